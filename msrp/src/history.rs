//! Which messages a peer has got through, so that one that is sent again is not shown again.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The Message-IDs that were delivered from one peer, the latest ones only (MSRP-11). Clones are the same history:
/// a peer's next session is given that of the one before. Holds 16 bytes a message. RFC 4975 §5.4.
#[derive(Debug, Clone)]
pub struct History {
    delivered: Arc<Mutex<Delivered>>,
}

#[derive(Debug)]
struct Delivered {
    most: usize,
    keys: HashSet<u64>,
    by_age: VecDeque<u64>,
}

/// A message in a history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u64);

impl History {
    /// Messages remembered by default: as many as may be unanswered at a time.
    pub const USUAL: usize = 1024;

    /// Remembers that many messages.
    pub fn new(most: usize) -> History {
        let delivered = Delivered {
            most,
            keys: HashSet::new(),
            by_age: VecDeque::new(),
        };
        History {
            delivered: Arc::new(Mutex::new(delivered)),
        }
    }

    pub(crate) fn has(&self, message_id: &[u8]) -> bool {
        self.lock().keys.contains(&key(message_id))
    }

    /// The message was delivered.
    pub(crate) fn insert(&self, message_id: &[u8]) -> Entry {
        let key = key(message_id);
        let mut delivered = self.lock();
        let Delivered { most, keys, by_age } = &mut *delivered;
        if *most > 0 && keys.insert(key) {
            by_age.push_back(key);
            if by_age.len() > *most
                && let Some(oldest) = by_age.pop_front()
            {
                keys.remove(&oldest);
            }
        }
        Entry(key)
    }

    /// Its owner has refused it after all: the peer may try again.
    pub(crate) fn remove(&self, entry: Entry) {
        let mut delivered = self.lock();
        if delivered.keys.remove(&entry.0) {
            delivered.by_age.retain(|key| *key != entry.0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for History {
    fn default() -> History {
        History::new(History::USUAL)
    }
}

/// The histories of peers by what signalling knows them as, the latest ones only.
#[derive(Debug)]
pub struct Histories {
    most: usize,
    /// Those used since the last change of generations; when they are half of all, they become the older ones.
    young: HashMap<Box<str>, History>,
    old: HashMap<Box<str>, History>,
}

impl Histories {
    /// Remembers that many peers.
    pub fn new(most: usize) -> Histories {
        Histories {
            most,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The history of a peer, such as its address of record; an empty one if it is not remembered.
    pub fn of(&mut self, peer: &str) -> History {
        if let Some(history) = self.young.get(peer) {
            return history.clone();
        }
        let history = self.old.remove(peer).unwrap_or_default();
        if self.young.len() >= self.most.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(peer.into(), history.clone());
        history
    }

    /// Peers remembered.
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Two of a thousand ids of one peer are alike once in 10^13 such histories, and a peer that makes them so harms its own
/// messages only.
fn key(message_id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message_id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-11, SEC-14
    #[test]
    fn the_latest_are_remembered() {
        let history = History::new(3);
        for id in ["a", "b", "c", "d", "d"] {
            history.insert(id.as_bytes());
        }
        let known = ["a", "b", "c", "d"].map(|id| history.has(id.as_bytes()));
        assert_eq!(known, [false, true, true, true]);
        let entry = history.insert(b"c");
        history.remove(entry);
        assert!(!history.has(b"c"));
        assert_eq!(history.lock().by_age.len(), 2);
        let forgetful = History::new(0);
        forgetful.insert(b"a");
        assert!(!forgetful.has(b"a"));
    }

    // MSRP-11, SEC-14
    #[test]
    fn peers_are_remembered_and_bounded() {
        let mut histories = Histories::new(4);
        histories.of("sip:romeo@example.net").insert(b"a");
        for other in 0..100 {
            histories.of(&format!("sip:{other}@example.net"));
            // Who keeps coming is not forgotten.
            assert!(histories.of("sip:romeo@example.net").has(b"a"));
            assert!(histories.len() <= 4, "{}", histories.len());
        }
        assert!(!histories.of("sip:paris@example.net").has(b"a"));
        for other in 0..4 {
            histories.of(&format!("sip:{other}@example.org"));
        }
        assert!(!histories.of("sip:romeo@example.net").has(b"a"));
    }
}
