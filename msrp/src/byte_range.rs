//! The `Byte-Range` header.

use std::fmt;

/// Which bytes of a message a chunk or REPORT is about: one-based, both ends included.
/// An empty body is `1-0/0`. RFC 4975 §7.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// Position of the first byte, from 1.
    pub start: u64,
    /// Position of the last byte; `None` is written `*`.
    pub end: Option<u64>,
    /// Bytes of the whole message; `None` is written `*`.
    pub total: Option<u64>,
}

impl ByteRange {
    /// From the first byte on, however many there are: what a missing header means.
    pub const WHOLE: ByteRange = ByteRange {
        start: 1,
        end: None,
        total: None,
    };

    /// The whole of a message of `bytes` bytes.
    pub fn of(bytes: usize) -> ByteRange {
        let bytes = bytes as u64;
        ByteRange {
            start: 1,
            end: Some(bytes),
            total: Some(bytes),
        }
    }

    /// Reads a header value. Only its form is checked: some peers count characters, so that the end in their REPORTs
    /// may lie beyond the total. `None` too if a number does not fit 64 bits.
    pub fn parse(value: &[u8]) -> Option<ByteRange> {
        let (start, rest) = number(value)?;
        let (end, rest) = number_or_star(rest.strip_prefix(b"-")?)?;
        let (total, rest) = number_or_star(rest.strip_prefix(b"/")?)?;
        rest.is_empty().then_some(ByteRange { start, end, total })
    }

    /// Whether a chunk can have this range (MSRP-14). RFC 4975 §7.3.1.
    pub fn is_possible(&self) -> bool {
        let before = match self.start.checked_sub(1) {
            Some(before) => before,
            None => return false,
        };
        let ends_after_start = self.end.is_none_or(|end| end >= before);
        let within_total = self
            .total
            .is_none_or(|total| before <= total && self.end.is_none_or(|end| end <= total));
        ends_after_start && within_total
    }

    /// Whether this is the range of a request without content, `1-0/0`.
    pub fn is_empty(&self) -> bool {
        self.end == Some(0)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start)?;
        match self.end {
            Some(end) => write!(f, "{end}/")?,
            None => f.write_str("*/")?,
        }
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// A number or `*`, and what follows.
fn number_or_star(text: &[u8]) -> Option<(Option<u64>, &[u8])> {
    match text.strip_prefix(b"*") {
        Some(rest) => Some((None, rest)),
        None => number(text).map(|(value, rest)| (Some(value), rest)),
    }
}

/// A number of at least one digit, and what follows.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    let mut rest = text;
    while let Some((digit, after)) = rest.split_first() {
        let Some(digit) = digit.checked_sub(b'0').filter(|digit| *digit <= 9) else {
            break;
        };
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        rest = after;
    }
    (rest.len() < text.len()).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_the_rfc_shows() {
        for text in ["1-16/16", "1-*/*", "1-0/0", "2049-*/8000", "5-8/*"] {
            let range = ByteRange::parse(text.as_bytes()).unwrap();
            assert_eq!(range.to_string(), text);
            assert!(range.is_possible(), "{text}");
        }
    }

    // MSRP-14
    #[test]
    fn impossible_ranges_are_seen() {
        for text in ["0-5/5", "5-3/9", "1-6/5", "7-*/5"] {
            let range = ByteRange::parse(text.as_bytes()).unwrap();
            assert!(!range.is_possible(), "{text}");
        }
        for text in [
            "",
            "1",
            "1-2",
            "-2/3",
            "1-/3",
            "1-2/",
            "a-b/c",
            "1-2/3x",
            "+1-2/3",
            "1-99999999999999999999/3",
        ] {
            assert_eq!(ByteRange::parse(text.as_bytes()), None, "{text}");
        }
    }
}
