//! Transaction ids and Message-IDs of our own making.

use std::fmt;

use rand::{Rng, RngExt};

/// A legal `ident`: 4 to 32 characters, the first a letter or digit. Held without an allocation. RFC 4975 §9.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ident {
    length: u8,
    bytes: [u8; Ident::LONGEST],
}

impl Ident {
    const LONGEST: usize = 32;
    const SHORTEST: usize = 4;

    pub(crate) const FALLBACK: Ident = {
        let mut bytes = [0; Ident::LONGEST];
        bytes[0] = b'0';
        bytes[1] = b'0';
        bytes[2] = b'0';
        bytes[3] = b'0';
        Ident { length: 4, bytes }
    };

    /// `None` if the text is not a legal `ident`.
    pub fn new(text: &[u8]) -> Option<Ident> {
        let legal = (Ident::SHORTEST..=Ident::LONGEST).contains(&text.len())
            && text.first().is_some_and(u8::is_ascii_alphanumeric)
            && text.iter().all(|byte| is_ident_char(*byte));
        if !legal {
            return None;
        }
        let mut bytes = [0; Ident::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Ident {
            length: text.len() as u8,
            bytes,
        })
    }

    /// 16 characters with 80 random bits.
    pub fn random(rng: &mut impl Rng) -> Ident {
        let mut bytes = [0; Ident::LONGEST];
        fill_random(rng, bytes.iter_mut().take(16));
        Ident { length: 16, bytes }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// 5 random bits a character: letters and digits that are legal in an `ident` and in a session id.
pub(crate) fn fill_random<'a>(rng: &mut impl Rng, slots: impl Iterator<Item = &'a mut u8>) {
    let mut bits = 0u64;
    let mut left = 0u8;
    for slot in slots {
        if left == 0 {
            bits = rng.random();
            left = 12;
        }
        *slot = letter_of(bits);
        bits >>= 5;
        left = left.saturating_sub(1);
    }
}

/// The letter for the lowest 5 bits.
pub(crate) fn letter_of(bits: u64) -> u8 {
    LETTERS
        .get((bits & 31) as usize)
        .copied()
        .unwrap_or_default()
}

/// The 5 bits of a letter.
pub(crate) fn digit_of(letter: u8) -> Option<u64> {
    memchr::memchr(letter, LETTERS).map(|digit| digit as u64)
}

fn is_ident_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'%' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn only_legal_idents_are_taken() {
        for legal in [
            "a786",
            "d93kswow",
            "4564dpWd",
            "a.b-c+d%e=",
            &"a".repeat(32),
        ] {
            assert_eq!(Ident::new(legal.as_bytes()).unwrap().as_str(), legal);
        }
        for illegal in [
            "",
            "abc",
            "-abcd",
            "ab cd",
            "ab\r\ncd",
            "ab_cd",
            "äbcd",
            &"a".repeat(33),
        ] {
            assert_eq!(Ident::new(illegal.as_bytes()), None, "{illegal}");
        }
    }

    #[test]
    fn random_idents_are_legal_and_differ() {
        let mut rng = StdRng::seed_from_u64(1);
        let first = Ident::random(&mut rng);
        let second = Ident::random(&mut rng);
        assert_ne!(first, second);
        assert_eq!(Ident::new(first.as_bytes()), Some(first));
    }
}
