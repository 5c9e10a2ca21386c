//! Which SIP addresses are conferences, for XMPP users who ask about an address before they enter it. DISCO-03, RX-33.
//!
//! The address is asked by OPTIONS; a conference says so in its Contact (`isfocus`). What was once told is remembered, and
//! who asks waits for [`PATIENCE`] at most.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::cache::Cache;
use crate::address::BareJid;

/// How long anybody waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Who may wait at a time (SEC-14).
const WAITING: usize = 1024;
/// Addresses of which something is known.
const ADDRESSES: usize = 16_384;

/// What an address is does not change every day.
const NATURE_LASTS: Duration = Duration::from_secs(600);
/// Nobody is to wait again and again for an answer that does not come.
const GUESS_LASTS: Duration = Duration::from_secs(30);

/// What is behind a SIP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A conference.
    Focus,
    /// Somebody else.
    User,
    /// It does not say.
    Unknown,
}

/// What becomes of a question about an address.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked<T> {
    /// It is known.
    Now(Nature, T),
    /// The address is to be asked; the question comes back by [`Foci::handle_answer`] or [`Foci::handle_timeout`].
    Ask,
    /// The same, and the address is being asked already.
    Waits,
}

/// What is known, and who waits to know more.
#[derive(Debug)]
pub struct Foci<T> {
    known: Cache<BareJid, Nature>,
    waiting_by_address: HashMap<BareJid, Vec<(Instant, T)>>,
    waiting: usize,
}

impl<T> Default for Foci<T> {
    fn default() -> Self {
        Foci {
            known: Cache::new(ADDRESSES),
            waiting_by_address: HashMap::new(),
            waiting: 0,
        }
    }
}

impl<T> Foci<T> {
    /// Somebody asks about the address. Where too many wait it stays open what it is.
    pub fn find(&mut self, address: BareJid, item: T, now: Instant) -> Looked<T> {
        if let Some(nature) = self.known.fresh(&address, now) {
            return Looked::Now(nature, item);
        }
        if self.waiting >= WAITING {
            let nature = self.known.last(&address).unwrap_or(Nature::Unknown);
            return Looked::Now(nature, item);
        }
        self.waiting += 1;
        let list = self.waiting_by_address.entry(address).or_default();
        list.push((now + PATIENCE, item));
        match list.len() {
            1 => Looked::Ask,
            _ => Looked::Waits,
        }
    }

    /// The address has said what it is. Gives back who waited for that.
    pub fn handle_answer(&mut self, address: &BareJid, nature: Nature, now: Instant) -> Vec<T> {
        self.known
            .insert(address.clone(), nature, now, NATURE_LASTS);
        self.take_waiting(address)
    }

    /// The address does not say, or cannot be asked. Gives back who waited, and the best guess.
    pub fn handle_silence(&mut self, address: &BareJid, now: Instant) -> (Nature, Vec<T>) {
        let nature = self.known.last(address).unwrap_or(Nature::Unknown);
        self.known.insert(address.clone(), nature, now, GUESS_LASTS);
        (nature, self.take_waiting(address))
    }

    /// Gives back who has waited for long enough, with the best guess.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<(Nature, T)> {
        let is_due = |list: &Vec<(Instant, T)>| list.iter().any(|(until, _)| *until <= now);
        let due: Vec<BareJid> = self
            .waiting_by_address
            .iter()
            .filter(|(_, list)| is_due(list))
            .map(|(address, _)| address.clone())
            .collect();
        let mut told = Vec::new();
        for address in due {
            let (nature, items) = self.handle_silence(&address, now);
            told.extend(items.into_iter().map(|item| (nature, item)));
        }
        told
    }

    fn take_waiting(&mut self, address: &BareJid) -> Vec<T> {
        let list = self.waiting_by_address.remove(address).unwrap_or_default();
        self.waiting -= list.len();
        list.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verona() -> BareJid {
        BareJid::parse("verona%chat.example.org@sip.example.com").unwrap()
    }

    // DISCO-03
    #[test]
    fn an_address_is_asked_once() {
        let mut foci = Foci::default();
        let now = Instant::now();
        assert_eq!(foci.find(verona(), 1, now), Looked::Ask);
        assert_eq!(foci.find(verona(), 2, now), Looked::Waits);
        assert_eq!(foci.handle_answer(&verona(), Nature::Focus, now), [1, 2]);
        assert_eq!(foci.find(verona(), 3, now), Looked::Now(Nature::Focus, 3));
        assert_eq!(foci.find(verona(), 4, now + NATURE_LASTS), Looked::Ask);
        // What it was is the best guess.
        let later = now + NATURE_LASTS + PATIENCE;
        assert_eq!(foci.handle_timeout(later), [(Nature::Focus, 4)]);
        assert!(foci.waiting_by_address.is_empty() && foci.waiting == 0);
    }

    // DISCO-05: everybody is answered in time.
    #[test]
    fn nobody_waits_for_long() {
        let mut foci = Foci::default();
        let now = Instant::now();
        assert_eq!(foci.find(verona(), 1, now), Looked::Ask);
        assert_eq!(foci.handle_timeout(now + PATIENCE / 2), []);
        let late = now + PATIENCE;
        assert_eq!(foci.handle_timeout(late), [(Nature::Unknown, 1)]);
        assert_eq!(
            foci.find(verona(), 2, late),
            Looked::Now(Nature::Unknown, 2)
        );
        assert!(
            foci.handle_answer(&verona(), Nature::Focus, late)
                .is_empty()
        );
        assert_eq!(foci.known.fresh(&verona(), late), Some(Nature::Focus));
    }

    // SEC-14
    #[test]
    fn not_too_many_wait() {
        let mut foci = Foci::default();
        let now = Instant::now();
        for n in 0..WAITING {
            let address = BareJid::parse(&format!("{n}%a@sip.example.com")).unwrap();
            assert_eq!(foci.find(address, n, now), Looked::Ask);
        }
        assert_eq!(foci.find(verona(), 0, now), Looked::Now(Nature::Unknown, 0));
        assert_eq!(foci.handle_timeout(now + PATIENCE).len(), WAITING);
        assert_eq!(foci.find(verona(), 0, now), Looked::Ask);
    }
}
