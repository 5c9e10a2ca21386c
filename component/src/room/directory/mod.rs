//! Which XMPP addresses are rooms: known, or asked for by disco#info while what came for the address waits. RS-01, RS-05.
//!
//! ```text
//! find(address) ─► known: Room, User or Refused
//!               └► the domain is asked, then the address where the domain does not settle it ─► poll_decided
//! ```
//!
//! What waits does so for [`PATIENCE`] at most, then the best guess has to do. The core asks and keeps, and neither sends
//! nor answers: `T` is whatever waits.

mod answer;
mod cache;
pub mod foci;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use self::answer::Told;
use self::cache::Cache;
use crate::address::{BareJid, Jid};
use crate::xmpp::Iq;

/// How long anything waits for a decision.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What may wait at a time (SEC-14).
const WAITING: usize = 4096;
/// Questions whose answers are still taken, for [`MEMORY`] if there is room for so long: fewer than the link keeps open.
const QUESTIONS: usize = 512;
const MEMORY: Duration = Duration::from_secs(60);

/// Domains and addresses of which something is known. They cannot crowd each other out.
const DOMAINS: usize = 4096;
const ADDRESSES: usize = 16_384;

/// What a domain is does not change every day.
const DOMAIN_LASTS: Duration = Duration::from_secs(3600);
/// Nor does what an address is, where the domain leaves that open.
const USER_LASTS: Duration = Duration::from_secs(600);
/// Rooms come and go.
const ROOM_LASTS: Duration = Duration::from_secs(60);
/// Nobody is to wait again and again for an answer that does not come.
const GUESS_LASTS: Duration = Duration::from_secs(30);
/// A room that is not there may be created any time.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// What is behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A room.
    Room,
    /// A user, as far as anybody knows.
    User,
    /// A room that cannot be entered.
    Refused(Refusal),
}

/// Why a room cannot be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none of that name.
    NotFound,
    /// The service does not let the gateway in.
    Forbidden,
}

/// What becomes of something that came for an address.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is known what the address is.
    Now(Kind, T),
    /// It comes back by [`Directory::poll_decided`].
    Waits,
    /// Too much waits already.
    Full(T),
}

/// A question to be sent: disco#info from the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whom to ask.
    pub to: Jid,
    /// The id of the question.
    pub id: String,
}

/// What is known, what is asked, and what waits for it.
#[derive(Debug)]
pub struct Directory<T> {
    link: Standing,
    domains: Cache<Jid, Domain>,
    addresses: Cache<Jid, Kind>,
    /// By whom is asked.
    waiting_by_subject: HashMap<Jid, Vec<Waiting<T>>>,
    waiting: usize,
    /// Whom each question went to, and when.
    asked_by_id: HashMap<String, (Jid, Instant)>,
    /// Of the last question, so that none has the id of another.
    number: u64,
    questions: VecDeque<Question>,
    decided: VecDeque<(T, Kind)>,
}

/// Whether questions can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Up,
    Down,
}

/// What a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// A service for rooms: every address there is one, or could be.
    Rooms,
    /// A server of users, or nobody who would answer.
    Users,
    /// Neither is said: each address has to be asked.
    Mixed,
}

/// What is known of an address without asking.
enum Knowledge {
    Kind(Kind),
    /// This has to be asked first.
    Lacks(Jid),
}

#[derive(Debug)]
struct Waiting<T> {
    target: Jid,
    until: Instant,
    item: T,
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Directory {
            link: Standing::Down,
            domains: Cache::new(DOMAINS),
            addresses: Cache::new(ADDRESSES),
            waiting_by_subject: HashMap::new(),
            waiting: 0,
            asked_by_id: HashMap::new(),
            number: 0,
            questions: VecDeque::new(),
            decided: VecDeque::new(),
        }
    }
}

impl<T> Directory<T> {
    /// Something came for that address.
    pub fn find(&mut self, target: &BareJid, item: T, now: Instant) -> Found<T> {
        let target = target.as_jid();
        match (self.knowledge(target, now), self.link) {
            (Knowledge::Kind(kind), _) => Found::Now(kind, item),
            (Knowledge::Lacks(_), Standing::Down) => Found::Now(self.guess(target), item),
            (Knowledge::Lacks(_), Standing::Up) if self.waiting >= WAITING => Found::Full(item),
            (Knowledge::Lacks(subject), Standing::Up) => {
                let waiting = Waiting {
                    target: target.clone(),
                    until: now + PATIENCE,
                    item,
                };
                match self.ask(subject, waiting, now) {
                    Ok(()) => Found::Waits,
                    Err(waiting) => Found::Full(waiting.item),
                }
            }
        }
    }

    /// The link to the XMPP server stands: what was known before may have changed.
    pub fn handle_up(&mut self, now: Instant) {
        self.link = Standing::Up;
        self.domains.expire(now);
        self.addresses.expire(now);
    }

    /// The link is gone: what is known has to do.
    pub fn handle_down(&mut self) {
        self.link = Standing::Down;
        self.asked_by_id.clear();
        self.questions.clear();
        let subjects: Vec<Jid> = self.waiting_by_subject.keys().cloned().collect();
        for subject in subjects {
            for waiting in self.take_waiting(&subject) {
                let kind = self.guess(&waiting.target);
                self.decided.push_back((waiting.item, kind));
            }
        }
    }

    /// An iq of type result or error came. `false`: it answers none of these questions.
    pub fn handle_answer(&mut self, iq: &Iq, now: Instant) -> bool {
        let Some(id) = &iq.id else { return false };
        match self.asked_by_id.get(id) {
            Some((subject, _)) if *subject == iq.from => {}
            Some(_) | None => return false,
        }
        let Some((subject, _)) = self.asked_by_id.remove(id) else {
            return false;
        };
        self.learn(&subject, Told::by(iq), now);
        self.settle(&subject, now);
        true
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.forget_asked(MEMORY, now);
        let is_over = |waiting: &Waiting<T>| waiting.until <= now;
        let due: Vec<Jid> = self
            .waiting_by_subject
            .iter()
            .filter(|(_, waiting)| waiting.iter().any(is_over))
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in due {
            tracing::debug!(%subject, "no answer what it is");
            self.learn_silence(&subject, now);
            for waiting in self.take_waiting(&subject) {
                let kind = self.guess(&waiting.target);
                self.decided.push_back((waiting.item, kind));
            }
        }
    }

    /// When [`Directory::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.waiting_by_subject.values().flatten();
        waiting.map(|waiting| waiting.until).min()
    }

    /// The next question to send.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// What has waited for long enough.
    pub fn poll_decided(&mut self) -> Option<(T, Kind)> {
        self.decided.pop_front()
    }

    /// Takes what waits and is no longer wanted.
    pub fn withdraw(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let place = self.waiting_by_subject.iter().find_map(|(subject, list)| {
            let at = list.iter().position(|waiting| is_it(&waiting.item))?;
            Some((subject.clone(), at))
        });
        let (subject, at) = place?;
        let list = self.waiting_by_subject.get_mut(&subject)?;
        let waiting = list.swap_remove(at);
        if list.is_empty() {
            self.waiting_by_subject.remove(&subject);
        }
        self.waiting -= 1;
        Some(waiting.item)
    }

    fn knowledge(&self, target: &Jid, now: Instant) -> Knowledge {
        let address = || match self.addresses.fresh(target, now) {
            Some(kind) => Knowledge::Kind(kind),
            None => Knowledge::Lacks(target.clone()),
        };
        let Some(domain) = domain_of(target) else {
            return Knowledge::Kind(Kind::User);
        };
        match self.domains.fresh(&domain, now) {
            Some(Domain::Users) => Knowledge::Kind(Kind::User),
            Some(Domain::Rooms | Domain::Mixed) => address(),
            None => Knowledge::Lacks(domain),
        }
    }

    /// By what was known once.
    fn guess(&self, target: &Jid) -> Kind {
        let domain = domain_of(target).and_then(|domain| self.domains.last(&domain));
        match (domain, self.addresses.last(target)) {
            (Some(Domain::Users), _) => Kind::User,
            (Some(Domain::Rooms), Some(Kind::Room | Kind::User) | None) => Kind::Room,
            (Some(Domain::Mixed) | None, None) => Kind::User,
            (_, Some(kind)) => kind,
        }
    }

    /// Lets something wait for an answer, and asks unless that is done already.
    fn ask(&mut self, subject: Jid, waiting: Waiting<T>, now: Instant) -> Result<(), Waiting<T>> {
        if let Some(list) = self.waiting_by_subject.get_mut(&subject) {
            list.push(waiting);
            self.waiting += 1;
            return Ok(());
        }
        if self.asked_by_id.len() >= QUESTIONS {
            self.forget_asked(PATIENCE, now);
            if self.asked_by_id.len() >= QUESTIONS {
                return Err(waiting);
            }
        }
        self.number += 1;
        let id = format!("kind-{}", self.number);
        self.asked_by_id.insert(id.clone(), (subject.clone(), now));
        self.questions.push_back(Question {
            to: subject.clone(),
            id,
        });
        self.waiting_by_subject.insert(subject, vec![waiting]);
        self.waiting += 1;
        Ok(())
    }

    fn forget_asked(&mut self, older: Duration, now: Instant) {
        self.asked_by_id
            .retain(|_, (_, asked)| now.saturating_duration_since(*asked) < older);
    }

    fn learn(&mut self, subject: &Jid, told: Told, now: Instant) {
        if subject.node().is_none() {
            let (domain, lasts) = match told {
                Told::Conference => (Domain::Rooms, DOMAIN_LASTS),
                Told::Server => (Domain::Users, DOMAIN_LASTS),
                Told::Other => (Domain::Mixed, DOMAIN_LASTS),
                Told::NotFound | Told::Forbidden | Told::Unwilling => (Domain::Mixed, GUESS_LASTS),
                Told::Unreachable => (Domain::Users, GUESS_LASTS),
            };
            return self.domains.insert(subject.clone(), domain, now, lasts);
        }
        let domain = domain_of(subject).and_then(|domain| self.domains.last(&domain));
        let (kind, lasts) = match (told, domain) {
            (Told::Conference, _) => (Kind::Room, ROOM_LASTS),
            (Told::NotFound, Some(Domain::Rooms)) => {
                (Kind::Refused(Refusal::NotFound), REFUSAL_LASTS)
            }
            (Told::Forbidden, Some(Domain::Rooms)) => {
                (Kind::Refused(Refusal::Forbidden), REFUSAL_LASTS)
            }
            // Who tries to enter will be told.
            (_, Some(Domain::Rooms)) => (Kind::Room, GUESS_LASTS),
            (_, Some(Domain::Users | Domain::Mixed) | None) => (Kind::User, USER_LASTS),
        };
        self.addresses.insert(subject.clone(), kind, now, lasts);
    }

    /// So that the next one does not wait too.
    fn learn_silence(&mut self, subject: &Jid, now: Instant) {
        match subject.node() {
            None => {
                let domain = self.domains.last(subject).unwrap_or(Domain::Users);
                self.domains
                    .insert(subject.clone(), domain, now, GUESS_LASTS);
            }
            Some(_) => {
                let kind = self.guess(subject);
                self.addresses
                    .insert(subject.clone(), kind, now, GUESS_LASTS);
            }
        }
    }

    /// Decides what waited for that answer, or has it wait for the next one.
    fn settle(&mut self, subject: &Jid, now: Instant) {
        for waiting in self.take_waiting(subject) {
            let kind = match self.knowledge(&waiting.target, now) {
                Knowledge::Kind(kind) => kind,
                // Nothing is kept of it because too much is: it is not asked in circles.
                Knowledge::Lacks(lacks) if lacks == *subject => self.guess(&waiting.target),
                Knowledge::Lacks(lacks) => match self.ask(lacks, waiting, now) {
                    Ok(()) => continue,
                    Err(waiting) => {
                        let kind = self.guess(&waiting.target);
                        self.decided.push_back((waiting.item, kind));
                        continue;
                    }
                },
            };
            self.decided.push_back((waiting.item, kind));
        }
    }

    fn take_waiting(&mut self, subject: &Jid) -> Vec<Waiting<T>> {
        let list = self.waiting_by_subject.remove(subject).unwrap_or_default();
        self.waiting -= list.len();
        list
    }
}

fn domain_of(target: &Jid) -> Option<Jid> {
    Jid::from_parts(None, target.domain(), None).ok()
}

#[cfg(test)]
mod tests;
