//! Call-IDs that dialogs of the gateway have had, so that none is used twice (CHAT-03).

use std::collections::{HashSet, VecDeque};

/// The Call-IDs of the past, as hashes: a false hit costs no more than a Call-ID that differs from the thread.
#[derive(Debug, Default)]
pub struct CallIds {
    known: HashSet<u64>,
    oldest_first: VecDeque<u64>,
}

impl CallIds {
    /// As many are remembered; the oldest go first.
    pub const REMEMBERED: usize = 65_536;

    /// Those of these hashes, which an earlier process noted.
    pub fn remembering(hashes: &[u64]) -> CallIds {
        let mut call_ids = CallIds::default();
        for hash in hashes {
            call_ids.note(*hash);
        }
        call_ids
    }

    /// Takes a Call-ID for a new dialog, and returns its hash. `None`: a dialog has had it already.
    pub fn claim(&mut self, call_id: &str) -> Option<u64> {
        let hash = CallIds::hash(call_id);
        self.note(hash).then_some(hash)
    }

    /// The hash that a Call-ID has in every process: FNV-1a.
    pub fn hash(call_id: &str) -> u64 {
        let bytes = call_id.bytes();
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    fn note(&mut self, hash: u64) -> bool {
        let fresh = self.known.insert(hash);
        if fresh {
            self.oldest_first.push_back(hash);
        }
        if self.oldest_first.len() > CallIds::REMEMBERED
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
        // CHAT-03 CHAT-20 CHAT-26: in later processes neither
        let mut call_ids = CallIds::default();
        let hashes = ["a", "b"].map(|call_id| call_ids.claim(call_id).unwrap());
        assert_eq!(call_ids.claim("a"), None);
        let mut later = CallIds::remembering(&hashes);
        assert_eq!(later.claim("b"), None);
        assert!(later.claim("c").is_some());
        // As published with the algorithm: what is in the file must mean the same for ever.
        assert_eq!(CallIds::hash("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn memory_is_bounded() {
        // SEC-14
        let mut call_ids = CallIds::default();
        for number in 0..2 * CallIds::REMEMBERED {
            call_ids.claim(&number.to_string());
        }
        assert_eq!(call_ids.known.len(), CallIds::REMEMBERED);
        assert!(call_ids.claim("0").is_some(), "the oldest are forgotten");
    }
}
