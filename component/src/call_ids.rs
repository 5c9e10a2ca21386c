//! Call-IDs that dialogs of the gateway have had, so that none is used twice (CHAT-03).

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

/// As many are remembered; the oldest go first.
const REMEMBERED: usize = 65_536;

/// The Call-IDs of the past, as hashes: a false hit costs no more than a Call-ID that differs from the thread.
#[derive(Debug, Default)]
pub struct CallIds {
    hasher: RandomState,
    known: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl CallIds {
    /// Takes a Call-ID for a new dialog. `false`: a dialog has had it already.
    pub fn claim(&mut self, call_id: &str) -> bool {
        let hash = self.hasher.hash_one(call_id);
        let fresh = self.known.insert(hash);
        if fresh {
            self.oldest_first.push_back(hash);
        }
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_claimed_twice() {
        // CHAT-03 CHAT-20 CHAT-26
        let mut call_ids = CallIds::default();
        assert!(call_ids.claim("a"));
        assert!(call_ids.claim("b"));
        assert!(!call_ids.claim("a"));
    }

    #[test]
    fn memory_is_bounded() {
        // SEC-14
        let mut call_ids = CallIds::default();
        for number in 0..2 * REMEMBERED {
            call_ids.claim(&number.to_string());
        }
        assert_eq!(call_ids.known.len(), REMEMBERED);
        assert!(call_ids.claim("0"), "the oldest are forgotten");
    }
}
