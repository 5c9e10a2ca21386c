//! The world around one conversation core.

mod fates;
mod peer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
pub use fates::Tally;
use fates::{Fates, Sender};
use peer::{Dialog, Side, Wire};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use stox::body::{Content, Text};
use stox::fault::{Condition, Fault};
use stox::translate::promise::{Origin, Settlement, Ticket};
use stox::translate::{
    Action, ChatEvent, ChatId, Clock, Conversation, Event, Invitation, Kind, Listening, Media,
    PageFault, Paged, Parties, Rejection, Settings, Token, Unusable, Wishes, Wrapping, Written,
};
use stox::xmpp::{ChatState, Outgoing};
use stox_msrp::{ByteRange, FailureReport, Incoming, IncomingId, LostCause, Role};
use stox_sip::{Failure, ServerTransactionId, Status};

/// How long a schedule lasts at most, in virtual time.
const LENGTH: Duration = Duration::from_secs(4 * 3600);
/// More steps than any schedule takes that makes progress.
const STEPS: usize = 10_000;

/// What somebody does at some time.
#[derive(Clone, Debug)]
enum Happening {
    Writes(Kind),
    Leaves,
    Invites,
    Pages,
    LinkBreaks,
    /// The SIP user's client starts anew and knows nothing of before.
    RomeoRestarts,
    ShutsDown,
    Abandons,
    /// Something of one session.
    Chat(ChatId, Step),
    PageAnswered(usize, PageReply),
    ServerTakes(Token),
    ServerLoses(Token),
    Bounces(String, usize),
}

/// What the SIP user's side does in one session.
#[derive(Clone, Debug)]
enum Step {
    Answers(Reply),
    Withdraws,
    Acknowledges(bool),
    Connects,
    FailsToConnect,
    Says,
    Takes(Token, usize),
    Accepts(Token, usize),
    Refuses(Token, u16),
    StaysSilent(Token),
    Reports(Token, usize),
    /// The connection is cut; whoever is told of it hears so later.
    WireBreaks,
    WireIsMissed,
    HangsUp,
    RemovesStream,
    /// The answer to juliet's re-INVITE after the connection was lost.
    Renews,
    RefusesToRenew,
    /// He goes on another connection, or holds and resumes this one.
    Moves,
    Turns(Listening),
}

/// Final answers to INVITE.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Takes,
    TakesWithout(Unusable),
    Refuses(u16),
    Fails(Failure),
}

#[derive(Clone, Copy, Debug)]
enum PageReply {
    Takes,
    Refuses(u16),
    Fails,
}

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

    fn juliet_writes(&mut self, kind: Kind) -> Outcome {
        let number = self.fates.write(Sender::Juliet);
        let device = ["balcony", "orchard"][self.rng.random_range(0..2)];
        let mut body = format!("[{number}]");
        if self.one_in(20) {
            body.push_str(&"O Romeo ".repeat(self.rng.random_range(1..200)));
        }
        let thread = self.thread();
        self.feed(Event::Written(Written {
            origin: Origin {
                from: format!("juliet@example.com/{device}")
                    .parse()
                    .expect("a JID"),
                to: "romeo%example.net@sip.example.com".parse().expect("a JID"),
                id: Some(number.to_string()),
                thread,
                entry: None,
            },
            kind,
            body,
            subject: None,
            lang: None,
            chat_state: None,
            wishes: Wishes::default(),
            sent: None,
        }))
    }

    fn romeo_invites(&mut self) -> Outcome {
        let chat = self.core.next_chat();
        let offer = match self.rng.random_range(0..3) {
            0 => None,
            1 => Some(self.media(Role::Active)),
            _ => Some(self.media(Role::Passive)),
        };
        self.sides.insert(chat, Side::theirs(self.now));
        self.number += 1;
        let call_id = format!("call{}", self.number);
        let withdraws = self.temper.refuses > 0 && self.one_in(20);
        self.feed(Event::Invited(
            chat,
            Invitation {
                call_id,
                offer,
                from: "sip:romeo@example.net".parse().expect("a URI"),
                to: "juliet@example.com".parse().expect("a JID"),
            },
        ))?;
        if withdraws {
            self.soon(chat, Step::Withdraws);
        }
        Ok(())
    }

    fn romeo_pages(&mut self) -> Outcome {
        let number = self.fates.write(Sender::Romeo);
        self.feed(Event::Paged(Paged {
            transaction: ServerTransactionId::from_number(number as u64),
            call_id: format!("page{number}"),
            content: Content::Text(Text {
                body: format!("[{number}]"),
                ..Text::default()
            }),
            from: "sip:romeo@example.net".parse().expect("a URI"),
            chat: None,
        }))
    }

    fn romeo_restarts(&mut self) {
        let mut open: Vec<ChatId> = self
            .sides
            .iter()
            .filter(|(_, side)| !side.is_closed())
            .map(|(chat, _)| *chat)
            .collect();
        open.sort();
        for chat in open {
            self.soon(chat, Step::HangsUp);
            self.soon(chat, Step::WireBreaks);
            if let Some(side) = self.sides.get_mut(&chat) {
                side.is_forgotten = true;
            }
        }
    }

    fn romeo_does(&mut self, chat: ChatId, step: Step) -> Outcome {
        let Some(side) = self.sides.get_mut(&chat).filter(|side| !side.is_closed()) else {
            return Ok(());
        };
        let event = match step {
            Step::Answers(reply) => {
                if side.dialog != Dialog::Ours {
                    return Ok(());
                }
                if side.cancelled && matches!(reply, Reply::Takes | Reply::TakesWithout(_)) {
                    // The endpoint has acknowledged and ended what crossed the CANCEL.
                    side.dialog = Dialog::Over;
                    return self.feed(Event::Chat(chat, ChatEvent::Ended));
                }
                side.dialog = if matches!(reply, Reply::Takes | Reply::TakesWithout(_)) {
                    Dialog::Answered
                } else {
                    Dialog::Over
                };
                match reply {
                    Reply::Takes => ChatEvent::Answered {
                        media: Ok(self.media(Role::Active)),
                        device: None,
                    },
                    Reply::TakesWithout(unusable) => ChatEvent::Answered {
                        media: Err(unusable),
                        device: None,
                    },
                    Reply::Refuses(status) => ChatEvent::Rejected(rejection(status)),
                    Reply::Fails(failure) => ChatEvent::Failed(failure),
                }
            }
            Step::Withdraws => {
                if side.dialog != Dialog::Theirs {
                    return Ok(());
                }
                side.dialog = Dialog::Over;
                ChatEvent::Cancelled
            }
            Step::Acknowledges(with_answer) => {
                if side.dialog == Dialog::Over {
                    return Ok(());
                }
                side.dialog = Dialog::Up;
                let answer = with_answer.then(|| Ok(self.media(Role::Passive)));
                ChatEvent::Acknowledged(answer)
            }
            Step::Connects => {
                if side.wire != Wire::Opening {
                    return Ok(());
                }
                side.wire = Wire::Up;
                for _ in 0..self.rng.random_range(0..6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Says);
                }
                if self.unlucky(self.temper.breaks) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    let step = [Step::WireBreaks, Step::RemovesStream][usize::from(self.one_in(4))]
                        .clone();
                    self.chat_in(wait, chat, step);
                }
                if self.one_in(3) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 20);
                    self.chat_in(wait, chat, Step::HangsUp);
                }
                if self.one_in(6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Moves);
                }
                if self.one_in(6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Turns(Listening::OnHold));
                    self.chat_in(wait * 2 + 1, chat, Step::Turns(Listening::Listens));
                }
                ChatEvent::Bound
            }
            Step::FailsToConnect => {
                if side.wire != Wire::Opening {
                    return Ok(());
                }
                side.wire = Wire::Down;
                ChatEvent::Disconnected(LostCause::Unreachable)
            }
            Step::Says => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                let number = self.fates.write(Sender::Romeo);
                self.fates.said_in(number, chat);
                ChatEvent::Received(incoming(number))
            }
            Step::Takes(token, message) => return self.romeo_takes(chat, token, message),
            Step::Accepts(token, message) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                self.fates.accepted(message);
                if self.unlucky(self.temper.bounces / 3) {
                    self.soon(chat, Step::Reports(token, message));
                }
                ChatEvent::Accepted(token)
            }
            Step::Refuses(token, status) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                ChatEvent::Refused(token, status)
            }
            Step::StaysSilent(token) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                ChatEvent::Unanswered(token)
            }
            Step::Reports(token, message) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                self.fates.reported(message);
                ChatEvent::Reported(token, 413, ByteRange::WHOLE)
            }
            Step::WireBreaks => {
                if side.wire == Wire::Up {
                    side.wire = Wire::Down;
                    self.soon(chat, Step::WireIsMissed);
                }
                return Ok(());
            }
            Step::WireIsMissed => ChatEvent::Disconnected(LostCause::ConnectionEnded),
            Step::HangsUp => {
                if !matches!(side.dialog, Dialog::Up | Dialog::Answered) {
                    return Ok(());
                }
                side.dialog = Dialog::Over;
                side.is_forgotten = true;
                if side.wire == Wire::Up {
                    self.soon(chat, Step::WireBreaks);
                }
                ChatEvent::Ended
            }
            Step::RemovesStream => {
                if side.dialog != Dialog::Up {
                    return Ok(());
                }
                side.is_forgotten = true;
                ChatEvent::StreamRemoved
            }
            Step::Renews | Step::Moves => {
                if side.dialog != Dialog::Up {
                    return Ok(());
                }
                let role = [Role::Active, Role::Passive][usize::from(self.one_in(2))];
                let mut media = self.media(role);
                let number = self.rng.random::<u32>();
                let path = format!("msrp://romeo.example.net:7394/moved{number};tcp");
                media.path = vec![path.parse().expect("an MSRP URI")];
                match step {
                    Step::Renews => ChatEvent::Renewed(Ok(media)),
                    _ => ChatEvent::Changed(media),
                }
            }
            Step::RefusesToRenew => ChatEvent::NotRenewed,
            Step::Turns(listening) => {
                if side.dialog != Dialog::Up || side.wire != Wire::Up {
                    return Ok(());
                }
                let path = side.path.clone();
                let mut media = self.media(Role::Active);
                media.listening = listening;
                if let Some(path) = path {
                    media.path = path;
                }
                ChatEvent::Changed(media)
            }
        };
        self.feed(Event::Chat(chat, event))
    }

    /// A SEND has reached romeo's client.
    fn romeo_takes(&mut self, chat: ChatId, token: Token, message: usize) -> Outcome {
        let Some(side) = self
            .sides
            .get_mut(&chat)
            .filter(|side| side.wire == Wire::Up)
        else {
            return Ok(());
        };
        if side.is_forgotten {
            self.soon(chat, Step::Refuses(token, 481));
            return Ok(());
        }
        if self.unlucky(self.temper.refuses) {
            self.passed_over.insert(message);
            if self.rng.random_bool(0.3) {
                // Whether it is read or not, nobody is told.
                if self.rng.random_bool(0.5) && !self.fates.is_read(message) {
                    self.fates.read(message)?;
                }
                self.chat_in(30_000, chat, Step::StaysSilent(token));
            } else {
                let status = [403, 413, 415, 481, 400, 408][self.rng.random_range(0..6)];
                // Who does not know the session knows it for no later message either.
                if status == 481 {
                    self.side(chat)?.is_forgotten = true;
                }
                self.soon(chat, Step::Refuses(token, status));
            }
            return Ok(());
        }
        // Sent again, under the id it had: his client knows it.
        if !self.fates.is_read(message) {
            // What he once passed over comes after what was written later.
            if !self.passed_over.contains(&message) {
                self.side(chat)?.read(message)?;
            }
            self.fates.read(message)?;
        }
        self.soon(chat, Step::Accepts(token, message));
        Ok(())
    }

    fn page_answered(&mut self, message: usize, reply: PageReply) -> Outcome {
        self.page = None;
        let answer = match reply {
            PageReply::Takes => {
                self.fates.read(message)?;
                self.fates.accepted(message);
                Ok(())
            }
            PageReply::Refuses(status) => Err(PageFault::Rejected(rejection(status))),
            PageReply::Fails => {
                if self.rng.random_bool(0.5) {
                    self.fates.read(message)?;
                }
                Err(PageFault::Failed(Failure::Timeout))
            }
        };
        self.feed(Event::PageAnswered(answer))
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

    fn perform(&mut self, action: Action) -> Outcome<Option<Event>> {
        match action {
            Action::Invite { chat, .. } => {
                self.sides.insert(chat, Side::ours(self.now));
                let reply = match self.rng.random_range(0..100) {
                    roll if roll >= self.temper.refuses => Some(Reply::Takes),
                    roll if roll % 8 == 0 => None,
                    roll if roll % 8 == 1 => Some(Reply::TakesWithout(Unusable::NoMsrp)),
                    roll if roll % 8 == 2 => Some(Reply::Fails(Failure::Timeout)),
                    _ => Some(Reply::Refuses(
                        [486, 404, 480, 488, 415, 603, 408, 500, 503][self.rng.random_range(0..9)],
                    )),
                };
                if let Some(reply) = reply {
                    self.soon(chat, Step::Answers(reply));
                }
            }
            Action::Ack(chat) => {
                let side = self.side(chat)?;
                if side.dialog == Dialog::Answered {
                    side.dialog = Dialog::Up;
                } else if side.dialog != Dialog::Over {
                    return Err(format!("ACK without an answer in {chat:?}"));
                }
            }
            Action::Cancel(chat) => {
                let crosses = self.rng.random_bool(0.5);
                let side = self.side(chat)?;
                side.cancelled = true;
                if !crosses {
                    self.soon(chat, Step::Answers(Reply::Refuses(487)));
                }
            }
            Action::Bye(chat, _) => {
                let side = self.side(chat)?;
                if side.dialog == Dialog::Ours {
                    return Err(format!("BYE before an answer in {chat:?}"));
                }
                side.dialog = Dialog::Over;
                if self.side(chat)?.wire == Wire::Up && self.rng.random_bool(0.5) {
                    self.soon(chat, Step::WireBreaks);
                }
            }
            Action::Accept(chat) => {
                let with_answer = !self.side(chat)?.has_offered();
                self.soon(chat, Step::Acknowledges(with_answer));
                let side = self.side(chat)?;
                side.dialog = Dialog::Up;
            }
            Action::Decline(chat, _) => self.side(chat)?.dialog = Dialog::Over,
            Action::Renew(chat) => {
                let side = self.side(chat)?;
                let knows_it = side.dialog == Dialog::Up && !side.is_forgotten;
                let renews = knows_it && self.rng.random_bool(0.7);
                self.soon(
                    chat,
                    if renews {
                        Step::Renews
                    } else {
                        Step::RefusesToRenew
                    },
                );
            }
            Action::SendAgain { chat, token } => {
                let message = self.sent.get(&token).copied();
                let message = message.ok_or("a SEND again of what was never sent")?;
                return self.deliver(chat, token, message);
            }
            Action::OpenMsrp { chat, path, .. } => {
                self.forget_connection(chat);
                let side = self.side(chat)?;
                side.wire = Wire::Opening;
                side.path = Some(path);
                let fails = self.unlucky(self.temper.breaks);
                if !(fails && self.one_in(4)) {
                    self.soon(
                        chat,
                        if fails {
                            Step::FailsToConnect
                        } else {
                            Step::Connects
                        },
                    );
                }
            }
            Action::Send {
                chat, token, body, ..
            } => return self.send(chat, token, &body),
            Action::Report { chat, .. } | Action::Respond { chat, .. } => {
                self.side(chat)?;
            }
            Action::RespondPage(_) => {}
            Action::Close(chat) => self.side(chat)?.close()?,
            Action::Page(page) => {
                if let Some(under_way) = self.page {
                    return Err(format!(
                        "a MESSAGE while [{under_way}] waits for its answer"
                    ));
                }
                let message = number_in(&page.body)?;
                self.fates.sent_in_order(message)?;
                self.page = Some(message);
                let reply = match self.rng.random_range(0..100) {
                    roll if roll >= self.temper.refuses => PageReply::Takes,
                    roll if roll % 3 == 0 => PageReply::Fails,
                    _ => PageReply::Refuses([480, 404, 415, 486, 500][self.rng.random_range(0..5)]),
                };
                let wait = self.rng.random_range(0..=self.temper.slowness);
                self.plan_in(wait, Happening::PageAnswered(message, reply));
            }
            Action::Stanza(stanza, token) => self.write(&stanza, token)?,
            Action::Settle(Settlement { ticket, outcome }) => {
                let message = match ticket {
                    Ticket::Stanza(origin) => number_of(origin.id.as_deref().unwrap_or_default())?,
                    Ticket::Send { incoming, .. } => number_of_incoming(incoming)?,
                    Ticket::Page { transaction, .. } => number_of_transaction(transaction)?,
                };
                self.fates.settle(message, &outcome)?;
            }
        }
        Ok(None)
    }

    fn send(&mut self, chat: ChatId, token: Token, body: &Bytes) -> Outcome<Option<Event>> {
        let message = number_in(&String::from_utf8_lossy(body))?;
        self.sent.insert(token, message);
        self.deliver(chat, token, message)
    }

    /// What was under way by the connection before comes no more.
    fn forget_connection(&mut self, chat: ChatId) {
        self.agenda.retain(|_, happening| {
            let Happening::Chat(of, step) = happening else {
                return true;
            };
            let is_carried = matches!(
                step,
                Step::Connects
                    | Step::FailsToConnect
                    | Step::Says
                    | Step::Takes(..)
                    | Step::Accepts(..)
                    | Step::Refuses(..)
                    | Step::StaysSilent(_)
                    | Step::Reports(..)
                    | Step::WireBreaks
                    | Step::WireIsMissed
            );
            *of != chat || !is_carried
        });
    }

    fn deliver(&mut self, chat: ChatId, token: Token, message: usize) -> Outcome<Option<Event>> {
        let congested = self.temper.breaks > 0 && self.one_in(200);
        let wait = self.rng.random_range(0..=self.temper.slowness);
        let soonest = self.now + Duration::from_millis(wait);
        let side = self.side(chat)?;
        if side.wire == Wire::None || side.wire == Wire::Opening {
            return Err(format!(
                "SEND of [{message}] before there is a connection in {chat:?}"
            ));
        }
        if congested {
            return Ok(Some(Event::Chat(chat, ChatEvent::Congested(token))));
        }
        side.reaches = side.reaches.max(soonest);
        let at = side.reaches;
        self.plan_at(at, Happening::Chat(chat, Step::Takes(token, message)));
        Ok(None)
    }

    fn write(&mut self, stanza: &Outgoing, token: Option<Token>) -> Outcome {
        let Outgoing::Message(message) = stanza else {
            return Err(format!("a stanza that is no message: {stanza:?}"));
        };
        let number = message.text().map(number_in).transpose()?;
        if let Some(number) = number {
            self.fates.written(number)?;
            if token.is_none() {
                return Err(format!("nobody is told whether [{number}] is taken"));
            }
        }
        let Some(token) = token else { return Ok(()) };
        let id = message.stanza_id().unwrap_or_default().to_owned();
        let wait = self.rng.random_range(0..=self.temper.slowness);
        self.server_reaches = self
            .server_reaches
            .max(self.now + Duration::from_millis(wait));
        let at = self.server_reaches;
        self.under_way.insert(
            token.0,
            Under {
                token,
                message: number,
            },
        );
        if self.unlucky(self.temper.breaks / 2) {
            self.plan_at(at, Happening::ServerLoses(token));
        } else {
            self.plan_at(at, Happening::ServerTakes(token));
            if let Some(number) = number
                && self.unlucky(self.temper.bounces)
            {
                let after = self.rng.random_range(0..=self.temper.slowness);
                self.plan_at(
                    at + Duration::from_millis(after),
                    Happening::Bounces(id, number),
                );
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

fn conversation(rng: &mut SmallRng, now: Instant) -> Conversation {
    let parties = Parties {
        juliet: "juliet@example.com".parse().expect("a JID"),
        juliet_uri: "sip:juliet@example.com".parse().expect("a URI"),
        romeo: "romeo%example.net@sip.example.com".parse().expect("a JID"),
        romeo_uri: "sip:romeo@example.net".parse().expect("a URI"),
    };
    let mut settings = Settings::default();
    // Small bounds, so that they are met.
    if rng.random_bool(0.2) {
        settings.held = 3;
        settings.window = 4;
        settings.sessions = 3;
    }
    Conversation::new(
        parties,
        settings,
        rng.random(),
        Clock::new(now, SystemTime::UNIX_EPOCH),
    )
}

fn incoming(number: usize) -> Incoming {
    Incoming {
        id: IncomingId::from_number(number as u64),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some("text/plain".to_owned()),
        body: Bytes::from(format!("[{number}]")),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

fn rejection(status: u16) -> Rejection {
    let code = Status::new(status).expect("a status code");
    Rejection {
        status,
        fault: Fault::from_sip(code, code.reason()),
    }
}

/// The number of the message whose text this is, bare or wrapped.
fn number_in(text: &str) -> Outcome<usize> {
    let number = text
        .rsplit_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    number_of(number.map_or(text, |(number, _)| number))
}

fn number_of(id: &str) -> Outcome<usize> {
    id.parse()
        .map_err(|_| format!("`{id}` is no message of the schedule"))
}

fn number_of_incoming(id: IncomingId) -> Outcome<usize> {
    number_of_debug(&format!("{id:?}"))
}

fn number_of_transaction(id: ServerTransactionId) -> Outcome<usize> {
    number_of_debug(&format!("{id:?}"))
}

/// These ids are opaque but for their look.
fn number_of_debug(look: &str) -> Outcome<usize> {
    number_of(look.trim_matches(|c: char| !c.is_ascii_digit()))
}
