//! The world around one conversation core.

mod actions;
mod fates;
mod happening;
mod peer;
mod people;
mod values;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
pub use fates::Tally;
use fates::{Fates, Sender};
use happening::{Happening, PageReply, Reply, Step};
use peer::{Dialog, Side, Wire};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use stox::body::{Content, Text};
use stox::fault::{Condition, Fault};
use stox::translate::promise::{Origin, Settlement, Ticket};
use stox::translate::{
    Action, ChatEvent, ChatId, Clock, Conversation, Event, Invitation, Kind, Listening, Media,
    PageFault, Paged, Parties, Precedent, Rejection, Settings, Token, Unusable, Wishes, Wrapping,
    Written,
};
use stox::xmpp::{ChatState, Outgoing};
use stox_msrp::{ByteRange, FailureReport, Incoming, IncomingId, LostCause, Role};
use stox_sip::{Failure, ServerTransactionId, Status};
use values::{
    conversation, incoming, number_in, number_of, number_of_incoming, number_of_transaction,
    rejection,
};

/// How long a schedule lasts at most, in virtual time.
const LENGTH: Duration = Duration::from_secs(4 * 3600);
/// More steps than any schedule takes that makes progress.
const STEPS: usize = 10_000;

/// How likely the world is to go wrong: of 100 occasions, drawn anew for each schedule so that some are calm.
#[derive(Clone, Copy, Debug)]
struct Temper {
    refuses: u32,
    breaks: u32,
    bounces: u32,
    /// Longest delay of anything on its way, in ms.
    slowness: u64,
}

/// Two people and everything between them but the core.
pub struct World {
    rng: SmallRng,
    temper: Temper,
    now: Instant,
    begun: Instant,
    core: Conversation,
    agenda: BTreeMap<(Instant, u64), Happening>,
    number: u64,
    sides: HashMap<ChatId, Side>,
    fates: Fates,
    /// Stanzas that the XMPP server has not taken yet, and when the last of them will be.
    under_way: BTreeMap<u64, Under>,
    server_reaches: Instant,
    /// What each SEND holds.
    sent: HashMap<Token, usize>,
    /// Messages that romeo's client has once lost.
    passed_over: HashSet<usize>,
    page: Option<usize>,
    history: Option<Vec<String>>,
}

/// A stanza under way.
struct Under {
    token: Token,
    message: Option<usize>,
}

type Outcome<T = ()> = Result<T, String>;

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let calm = rng.random_bool(0.3);
        let mut likely = |most: u32| if calm { 0 } else { rng.random_range(0..most) };
        let temper = Temper {
            refuses: likely(40),
            breaks: likely(15),
            bounces: likely(15),
            slowness: u64::from(10_u32.pow(1 + likely(4))),
        };
        let now = Instant::now();
        World {
            core: conversation(&mut rng, now),
            rng,
            temper,
            now,
            begun: now,
            agenda: BTreeMap::new(),
            number: 0,
            sides: HashMap::new(),
            fates: Fates::default(),
            under_way: BTreeMap::new(),
            server_reaches: now,
            page: None,
            sent: HashMap::new(),
            passed_over: HashSet::new(),
            history: None,
        }
    }

    pub fn with_history(seed: u64) -> World {
        World {
            history: Some(Vec::new()),
            ..World::new(seed)
        }
    }

    pub fn history(&self) -> String {
        self.history.as_deref().unwrap_or_default().join("\n")
    }

    pub fn tally(&self) -> &Tally {
        self.fates.tally()
    }

    /// Plays to the end; `Err` says what is wrong.
    pub fn play(&mut self) -> Outcome {
        self.plan();
        for _ in 0..STEPS {
            let planned = self.agenda.keys().next().map(|(at, _)| *at);
            let due = self.core.poll_timeout();
            let Some(at) = planned.into_iter().chain(due).min() else {
                return self.finish();
            };
            self.now = self.now.max(at);
            self.note("", &self.now.duration_since(self.begun));
            if due.is_some_and(|due| due <= self.now) {
                self.feed(Event::Elapsed)?;
                let again = self.core.poll_timeout();
                if again.is_some_and(|again| again <= self.now) && !self.core.is_over(self.now) {
                    return Err("a deadline that has passed is still asked for".to_owned());
                }
            } else if let Some((_, happening)) = self.agenda.pop_first() {
                self.happens(happening)?;
            }
            self.renew();
        }
        Err("the schedule does not end".to_owned())
    }

    fn plan(&mut self) {
        let acts = self.rng.random_range(1..40);
        let span = [2_000, 60_000, 1_800_000][self.rng.random_range(0..3)];
        for _ in 0..acts {
            let act = match self.rng.random_range(0..100) {
                0..62 => Happening::Writes(if self.one_in(5) {
                    Kind::Single
                } else {
                    Kind::Chat
                }),
                62..68 => Happening::Leaves,
                68..76 => Happening::Invites,
                76..94 => Happening::Pages,
                94..98 if self.temper.breaks > 0 => Happening::LinkBreaks,
                _ if self.temper.breaks > 0 => Happening::RomeoRestarts,
                _ => Happening::Invites,
            };
            let at = Duration::from_millis(self.rng.random_range(0..span));
            self.plan_at(self.begun + at, act);
        }
        if self.rng.random_bool(0.5) {
            let at = self.begun + Duration::from_millis(self.rng.random_range(0..span + 20_000));
            self.plan_at(at, Happening::ShutsDown);
            self.plan_at(at + Duration::from_secs(10), Happening::Abandons);
        }
    }

    /// A conversation that is over is forgotten; the next event begins another.
    fn renew(&mut self) {
        if self.core.is_over(self.now) && self.sides.values().all(Side::is_closed) {
            self.sides.clear();
            self.fates.forget_sessions();
            self.agenda.retain(|_, happening| {
                !matches!(
                    happening,
                    Happening::Chat(..) | Happening::ServerTakes(_) | Happening::ServerLoses(_)
                )
            });
            self.core = conversation(&mut self.rng, self.now);
        }
    }

    fn finish(&mut self) -> Outcome {
        if self.now.saturating_duration_since(self.begun) > LENGTH {
            return Err("something waits for hours".to_owned());
        }
        if !self.core.is_over(self.now) {
            return Err("nothing waits, yet the conversation is not over".to_owned());
        }
        if let Some(chat) = self
            .sides
            .iter()
            .find_map(|(chat, side)| (!side.is_closed()).then_some(chat))
        {
            return Err(format!("{chat:?} was never closed"));
        }
        self.fates.all_told()
    }

    fn happens(&mut self, happening: Happening) -> Outcome {
        if let Some(history) = &mut self.history {
            history.push(format!(
                "{:?} {happening:?}",
                self.now.duration_since(self.begun)
            ));
        }
        match happening {
            Happening::Writes(kind) => self.juliet_writes(kind),
            Happening::Leaves => {
                let thread = self.thread();
                let state = ChatState::Gone;
                self.feed(Event::Stated { thread, state })
            }
            Happening::Invites => self.romeo_invites(),
            Happening::Pages => self.romeo_pages(),
            Happening::LinkBreaks => {
                for under in std::mem::take(&mut self.under_way).into_values() {
                    self.server_loses(under)?;
                }
                Ok(())
            }
            Happening::RomeoRestarts => {
                self.romeo_restarts();
                Ok(())
            }
            Happening::ShutsDown => self.feed(Event::ShutDown),
            Happening::Abandons => {
                // The process ends: an answer that comes later finds nobody.
                self.agenda
                    .retain(|_, happening| !matches!(happening, Happening::PageAnswered(..)));
                self.page = None;
                self.feed(Event::Abandon)
            }
            Happening::Chat(chat, step) => self.romeo_does(chat, step),
            Happening::PageAnswered(message, reply) => self.page_answered(message, reply),
            Happening::ServerTakes(token) => {
                let Some(under) = self.under_way.remove(&token.0) else {
                    return Ok(());
                };
                if let Some(message) = under.message {
                    self.fates.handed(message);
                }
                self.feed(Event::Handed(under.token))
            }
            Happening::ServerLoses(token) => match self.under_way.remove(&token.0) {
                Some(under) => self.server_loses(under),
                None => Ok(()),
            },
            Happening::Bounces(id, message) => {
                self.fates.bounced(message);
                let condition = [
                    Condition::ItemNotFound,
                    Condition::ServiceUnavailable,
                    Condition::RecipientUnavailable,
                    Condition::NotAcceptable,
                ][self.rng.random_range(0..4)];
                self.feed(Event::Bounced {
                    id,
                    fault: Fault::new(condition),
                })
            }
        }
    }

    fn server_loses(&mut self, under: Under) -> Outcome {
        self.feed(Event::Lost(under.token))
    }

    fn feed(&mut self, event: Event) -> Outcome {
        let mut events = vec![event];
        while !events.is_empty() {
            for event in std::mem::take(&mut events) {
                self.note("  ", &event);
                let mut actions = Vec::new();
                self.core.handle(event, self.now, &mut actions);
                for action in actions {
                    self.note("    ", &action);
                    events.extend(self.perform(action)?);
                }
            }
        }
        Ok(())
    }
}

impl World {
    fn side(&mut self, chat: ChatId) -> Outcome<&mut Side> {
        match self.sides.get_mut(&chat) {
            Some(side) if !side.is_closed() => Ok(side),
            Some(_) => Err(format!("an action for {chat:?}, which was closed")),
            None => Err(format!("an action for {chat:?}, which was never opened")),
        }
    }

    fn media(&mut self, role: Role) -> Media {
        Media {
            path: vec![
                "msrp://romeo.example.net:7394/kjhd37s2s2;tcp"
                    .parse()
                    .expect("an MSRP URI"),
            ],
            role,
            wrapping: if self.rng.random_bool(0.5) {
                Wrapping::Plain
            } else {
                Wrapping::Cpim
            },
            max_size: self.rng.random_bool(0.1).then_some(400),
            takes_composing: false,
            takes_imdn: false,
            listening: Listening::Listens,
        }
    }

    /// One of few threads, so that they meet.
    fn thread(&mut self) -> Option<String> {
        [None, Some("thread-one"), Some("thread-two")][self.rng.random_range(0..3)]
            .map(str::to_owned)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn unlucky(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn soon(&mut self, chat: ChatId, step: Step) {
        let wait = self.rng.random_range(0..=self.temper.slowness);
        self.chat_in(wait, chat, step);
    }

    fn chat_in(&mut self, millis: u64, chat: ChatId, step: Step) {
        self.plan_in(millis, Happening::Chat(chat, step));
    }

    fn plan_in(&mut self, millis: u64, happening: Happening) {
        self.plan_at(self.now + Duration::from_millis(millis), happening);
    }

    fn plan_at(&mut self, at: Instant, happening: Happening) {
        self.number += 1;
        self.agenda.insert((at, self.number), happening);
    }

    fn note(&mut self, indent: &str, what: &impl Debug) {
        if let Some(history) = &mut self.history {
            history.push(format!("{indent}{what:?}"));
        }
    }
}
