//! What the parts of a conversation may use while they handle one event.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Instant, SystemTime};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use stox_msrp::Ident;

use super::event::{Action, Settings, Token, Written};
use super::party::Parties;
use crate::translate::promise::{Ledger, Promise};

/// The surroundings of one event.
pub(super) struct Context<'a> {
    pub now: Instant,
    pub clock: Clock,
    pub settings: &'a Settings,
    pub parties: &'a Parties,
    pub ledger: &'a Ledger,
    pub tokens: &'a mut Tokens,
    pub stanza_ids: &'a mut StanzaIds,
    /// What is to be done, in this order.
    pub out: &'a mut Vec<Action>,
    /// Messages whose session cannot be, because the peer has no MSRP (CHAT-11).
    pub stranded: &'a mut Vec<Stranded>,
}

impl Context<'_> {
    /// Has what is settled already told before what comes next.
    pub fn settle(&mut self) {
        let settled = self.ledger.drain();
        self.out.extend(settled.into_iter().map(Action::Settle));
    }
}

/// What a wall clock shows at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    instant: Instant,
    time: SystemTime,
}

impl Clock {
    /// The clock that shows `time` at `instant`.
    pub fn new(instant: Instant, time: SystemTime) -> Clock {
        Clock { instant, time }
    }

    /// What it shows at `now`.
    pub fn time(self, now: Instant) -> SystemTime {
        self.time + now.saturating_duration_since(self.instant)
    }
}

/// A message of a chat that has to travel without a session.
#[derive(Debug)]
pub(super) struct Stranded {
    pub written: Written,
    pub thread: String,
    pub promise: Promise,
}

/// Ids of stanzas written lately, so that an error names one message only (CHAT-14).
#[derive(Debug, Default)]
pub(super) struct StanzaIds {
    /// By hash: whoever makes two ids meet here gets a fresh one.
    known: BTreeSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl StanzaIds {
    /// As many are remembered.
    const REMEMBERED: usize = 1024;

    /// The wished id, or a fresh one if a stanza had it lately.
    pub fn claim(&mut self, wish: String, tokens: &mut Tokens) -> String {
        let is_free = self.known.insert(hash(&wish));
        let id = if is_free { wish } else { tokens.text() };
        let hash = hash(&id);
        self.known.insert(hash);
        self.oldest_first.push_back(hash);
        if self.oldest_first.len() > Self::REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        id
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Where tokens and random ids come from.
#[derive(Debug)]
pub(crate) struct Tokens {
    next: u64,
    rng: SmallRng,
}

impl Tokens {
    pub fn new(seed: u64) -> Tokens {
        Tokens {
            next: 0,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    pub fn token(&mut self) -> Token {
        Token(self.number())
    }

    /// A number that none had before.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A fresh name for a message.
    pub fn ident(&mut self) -> Ident {
        Ident::random(&mut self.rng)
    }

    /// A fresh id, thread or tag: 20 hexadecimal digits, 80 random bits, and a legal MSRP `ident`.
    pub fn text(&mut self) -> String {
        format!("{:020x}", self.rng.random::<u128>() >> 48)
    }
}
