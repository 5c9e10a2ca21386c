//! Whose conversation it is, by the addresses of a message as they stand in it: mapping them anew for every message would
//! cost more than all the rest of routing it.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, Hash, RandomState};

use stox_sip::Uri;

use crate::registry::Key;

/// Pairs that are remembered. Beyond it all are forgotten, and mapped once more.
const PAIRS: usize = 65_536;

/// Pairs of sender and addressee that have been mapped lately, by a keyed hash of both that nobody learns: nothing of a
/// message is kept alive, and nobody can make two pairs the same.
#[derive(Debug, Default)]
pub struct Pairs {
    key_by_pair: HashMap<Pair, Key>,
    hasher: RandomState,
    scratch: String,
}

/// A sender and an addressee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair(u64);

impl Pairs {
    /// These two, exactly as they are spelt.
    pub fn pair(&self, from: &impl Hash, to: &impl Hash) -> Pair {
        Pair(self.hasher.hash_one((from, to)))
    }

    /// The same for URIs, which have so many parts that hashing each would cost more than writing them down.
    pub fn pair_of_uris(&mut self, from: &Uri, to: &Uri) -> Pair {
        self.scratch.clear();
        // Writing to a String cannot fail. No URI has a space in it.
        let _ = write!(self.scratch, "{from} {to}");
        Pair(self.hasher.hash_one(&self.scratch))
    }

    /// The conversation between these two.
    pub fn key(&self, pair: Pair) -> Option<&Key> {
        self.key_by_pair.get(&pair)
    }

    /// Notes whose conversation it is.
    pub fn note(&mut self, pair: Pair, key: Key) {
        if self.key_by_pair.len() >= PAIRS {
            self.key_by_pair = HashMap::new();
        }
        self.key_by_pair.insert(pair, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Jid;

    fn key(romeo: &str) -> Key {
        let juliet: Jid = "juliet@example.com".parse().unwrap();
        Key {
            juliet: juliet.bare(),
            romeo: romeo.into(),
        }
    }

    #[test]
    fn each_device_and_spelling_is_a_pair_of_its_own() {
        let mut pairs = Pairs::default();
        let pair = pairs.pair(
            &"juliet@example.com/balcony",
            &"romeo%example.net@sip.example.com",
        );
        pairs.note(pair, key("romeo@example.net"));
        assert_eq!(pairs.key(pair), Some(&key("romeo@example.net")));
        for (from, to) in [
            (
                "juliet@example.com/chamber",
                "romeo%example.net@sip.example.com",
            ),
            (
                "juliet@example.com/balcony",
                "ROMEO%example.net@sip.example.com",
            ),
            (
                "romeo%example.net@sip.example.com",
                "juliet@example.com/balcony",
            ),
            (
                "juliet@example.com/balconyromeo%example.net",
                "@sip.example.com",
            ),
        ] {
            assert_eq!(pairs.key(pairs.pair(&from, &to)), None);
        }
    }

    #[test]
    fn uris_are_pairs_as_they_are_spelt() {
        let mut pairs = Pairs::default();
        let mut pair =
            |from: &str, to: &str| pairs.pair_of_uris(&from.parse().unwrap(), &to.parse().unwrap());
        let romeo = "sip:romeo@example.net";
        let one = pair(romeo, "sip:juliet@example.com");
        assert_eq!(one, pair(romeo, "sip:juliet@example.com"));
        for other in ["sip:Juliet@example.com", "sip:juliet@example.com;gr=1"] {
            assert_ne!(one, pair(romeo, other));
        }
        assert_ne!(one, pair("sip:juliet@example.com", romeo));
    }

    /// SEC-14
    #[test]
    fn memory_is_bounded() {
        let mut pairs = Pairs::default();
        for number in 0..=PAIRS {
            pairs.note(pairs.pair(&number, &"romeo"), key("romeo@example.net"));
        }
        assert_eq!(pairs.key_by_pair.len(), 1);
    }
}
