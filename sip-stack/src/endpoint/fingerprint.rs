//! What identifies a request, and the hashing of keys that nobody else chooses.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use crate::Host;

/// What identifies a request of a peer, as a keyed hash of all of it: short, and nobody can make two the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64, u64);

/// Makes fingerprints by keys that nobody learns.
#[derive(Debug)]
pub(super) struct Fingerprinter(RandomState, RandomState);

/// The parts of what is identified, one behind the other, each with its length so that none runs into the next.
#[derive(Debug)]
pub(super) struct Parts(Vec<u8>);

impl Fingerprinter {
    pub(super) fn new() -> Self {
        Self(RandomState::new(), RandomState::new())
    }

    pub(super) fn fingerprint(&self, parts: &Parts) -> Fingerprint {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(&parts.0);
            hasher.finish()
        };
        Fingerprint(hash(&self.0), hash(&self.1))
    }
}

impl Fingerprint {
    /// Half of it, which says nothing of the rest.
    pub(super) fn half(self) -> u64 {
        self.0
    }
}

impl Parts {
    pub(super) fn new() -> Self {
        // What most come to.
        Parts(Vec::with_capacity(160))
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Without regard to case.
    pub(super) fn host(&mut self, host: &Host) {
        match host {
            Host::Name(name) => {
                self.length(name.len());
                let bytes = name.bytes().map(|byte| byte.to_ascii_lowercase());
                self.0.extend(bytes);
            }
            Host::V4(address) => self.0.extend_from_slice(&address.octets()),
            Host::V6(address) => self.0.extend_from_slice(&address.octets()),
        }
    }

    pub(super) fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// What is not there is something else than what is empty.
    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.0.extend_from_slice(&usize::MAX.to_be_bytes()),
        }
    }

    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&length.to_be_bytes());
    }
}

/// For maps by keys that we have made ourselves, at random or one after the other, and by fingerprints: what others choose
/// is never put into them, so that spreading the keys is enough.
pub(super) type Spread = BuildHasherDefault<Spreader>;

#[derive(Debug, Default)]
pub(super) struct Spreader(u64);

/// An odd number with bits everywhere: the golden ratio.
const RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Spreader {
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(RATIO);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(write: impl Fn(&mut Parts)) -> Parts {
        let mut parts = Parts::new();
        write(&mut parts);
        parts
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let different = [
            parts(|parts| parts.text("ab")),
            parts(|parts| parts.text("")),
            parts(|parts| parts.optional(None)),
            parts(|parts| (parts.text("a"), parts.text("b")).1),
            parts(|parts| (parts.text("ab"), parts.text("")).1),
            parts(|parts| parts.number(1)),
            parts(|parts| parts.host(&Host::parse("ab.example").unwrap())),
            parts(|parts| parts.host(&Host::parse("192.0.2.1").unwrap())),
        ];
        let fingerprinter = Fingerprinter::new();
        let all: std::collections::HashSet<_> = different
            .iter()
            .map(|parts| fingerprinter.fingerprint(parts))
            .collect();
        assert_eq!(all.len(), different.len());
    }

    #[test]
    fn what_is_the_same_has_the_same_one() {
        let of = |host: &str| {
            parts(|parts| {
                parts.host(&Host::parse(host).unwrap());
                parts.optional(Some("z9hG4bK1"));
            })
        };
        let fingerprinter = Fingerprinter::new();
        let one = fingerprinter.fingerprint(&of("Example.COM"));
        assert_eq!(one, fingerprinter.fingerprint(&of("example.com")));
        assert_ne!(one, Fingerprinter::new().fingerprint(&of("example.com")));
    }

    #[test]
    fn keys_in_a_row_are_spread() {
        let hash = |number: u64| {
            let mut hasher = Spreader::default();
            hasher.write_u64(number);
            hasher.finish()
        };
        let high: std::collections::HashSet<_> =
            (0..128).map(|number| hash(number) >> 57).collect();
        assert!(high.len() > 64, "{}", high.len());
    }
}
