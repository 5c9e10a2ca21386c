//! The two escapings: XEP-0106 in localparts, percent-encoding in URIs.
//!
//! Nothing here panics or fails on any text; what cannot be an escape sequence stands for itself.

use std::fmt::Write as _;

/// Bytes of one XEP-0106 escape sequence, `\40`.
const SEQUENCE: usize = 3;

/// The characters of the table of XEP-0106 with their sequences. Case matters: `\2F` is no sequence.
const TABLE: [(char, &str); 10] = [
    (' ', r"\20"),
    ('"', r"\22"),
    ('&', r"\26"),
    ('\'', r"\27"),
    ('/', r"\2f"),
    (':', r"\3a"),
    ('<', r"\3c"),
    ('>', r"\3e"),
    ('@', r"\40"),
    ('\\', r"\5c"),
];

/// Writes a text so that a localpart can carry it.
///
/// A backslash is escaped only where the characters behind it would make it a sequence. The text must already have
/// the letter case it is to keep, since `\2F` becomes a sequence when it is lower-cased later. XEP-0106 §Business Rules.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let sequence = match c {
            '\\' => text
                .get(at..)
                .and_then(sequence_at_start)
                .map(|_| r"\5c")
                .unwrap_or(r"\"),
            _ => match sequence_of(c) {
                Some(sequence) => sequence,
                None => {
                    escaped.push(c);
                    continue;
                }
            },
        };
        escaped.push_str(sequence);
    }
    escaped
}

/// Reads what [`escape`] wrote: exactly the ten sequences, everything else as it stands. XEP-0106 §Business Rules.
pub fn unescape(escaped: &str) -> String {
    tokens(escaped).map(|token| token.character).collect()
}

/// Splits a localpart at the last place where it names a domain: an unescaped `%`, or an `@` written `\40`.
/// Both halves are still escaped.
pub fn split_at_domain(node: &str) -> Option<(&str, &str)> {
    let separator = tokens(node)
        .filter(|token| match token.len {
            SEQUENCE => token.character == '@',
            _ => token.character == '%',
        })
        .last()?;
    Some((
        node.get(..separator.at)?,
        node.get(separator.at + separator.len..)?,
    ))
}

/// One character of the meaning of an escaped text.
struct Token {
    character: char,
    /// Where it stands, in bytes.
    at: usize,
    /// How many bytes it takes; [`SEQUENCE`] for an escaped one, and for no separator that stands for itself.
    len: usize,
}

fn tokens(escaped: &str) -> impl Iterator<Item = Token> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = escaped.get(at..)?;
        let literal = rest.chars().next()?;
        let (character, len) = match sequence_at_start(rest) {
            Some(character) => (character, SEQUENCE),
            None => (literal, literal.len_utf8()),
        };
        let token = Token { character, at, len };
        at += len;
        Some(token)
    })
}

fn sequence_at_start(text: &str) -> Option<char> {
    TABLE
        .iter()
        .find(|(_, sequence)| text.starts_with(sequence))
        .map(|(character, _)| *character)
}

fn sequence_of(c: char) -> Option<&'static str> {
    TABLE
        .iter()
        .find(|(character, _)| *character == c)
        .map(|(_, sequence)| *sequence)
}

/// Percent-encodes every byte outside the `user` rule, for the user part of a SIP URI. RFC 3261 §25.1.
pub fn encode_user(text: &str) -> String {
    percent_encode(text, |byte| {
        is_unreserved(byte) || b"&=+$,;?/".contains(&byte)
    })
}

/// Percent-encodes every byte outside the `pvalue` rule, for the value of a URI parameter. RFC 3261 §25.1.
pub fn encode_param(text: &str) -> String {
    percent_encode(text, |byte| {
        is_unreserved(byte) || b"[]/:&+$".contains(&byte)
    })
}

/// Decodes `%hexhex` once and reads the bytes as UTF-8; `None` if they are none. A `%` without two hexadecimal digits
/// stands for itself. RFC 3986 §2.1.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match escaped_byte(rest) {
            Some((byte, tail)) => {
                bytes.push(byte);
                rest = tail;
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn percent_encode(text: &str, literal: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if literal(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

fn escaped_byte(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        [b'%', high, low, tail @ ..] => Some(((hex(*high)? << 4) | hex(*low)?, tail)),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // CORE-04, CORE-05
    #[test]
    fn the_ten_characters_and_nothing_else() {
        for (text, escaped) in [
            ("plain.user", "plain.user"),
            (r#" "&'/:<>@"#, r"\20\22\26\27\2f\3a\3c\3e\40"),
            (r"a\b", r"a\b"),
            (r"x\27y", r"x\5c27y"),
            (r"c:\cool", r"c\3a\cool"),
            (r"\3and\2is\5cool", r"\5c3and\2is\5c5cool"),
            (r"trailing\", r"trailing\"),
            (r"\2", r"\2"),
            (r"\2F", r"\2F"),
            (r"\\5c", r"\\5c5c"),
            (r"\é", r"\é"),
            ("", ""),
        ] {
            assert_eq!(escape(text), escaped);
            assert_eq!(unescape(escaped), text);
        }
    }

    #[test]
    fn a_localpart_is_split_at_its_last_unescaped_separator() {
        for (node, split) in [
            (r"romeo\40example.net", Some(("romeo", "example.net"))),
            ("romeo%example.net", Some(("romeo", "example.net"))),
            (r"a\40b\40example.net", Some((r"a\40b", "example.net"))),
            (r"a%b\40example.net", Some(("a%b", "example.net"))),
            (r"a\40b%example.net", Some((r"a\40b", "example.net"))),
            (r"a\5c40b", None),
            (r"a\\40b", Some((r"a\", "b"))),
            ("romeo", None),
            ("100%", Some(("100", ""))),
        ] {
            assert_eq!(split_at_domain(node), split, "{node}");
        }
    }

    #[test]
    fn percent_decoding_is_done_once_and_never_fails_on_syntax() {
        for (text, decoded) in [
            ("f%C3%BC", Some("fü")),
            ("f%c3%bc", Some("fü")),
            ("%2525", Some("%25")),
            ("100%", Some("100%")),
            ("%4", Some("%4")),
            ("%zz%40", Some("%zz@")),
            ("%C3", None),
            ("é", Some("é")),
        ] {
            assert_eq!(percent_decode(text).as_deref(), decoded, "{text}");
        }
    }

    proptest! {
        // CORE-06
        #[test]
        fn escaping_comes_back(text in "[ -~äß😀\\\\@%2f5c40]{0,40}") {
            prop_assert_eq!(unescape(&escape(&text)), text.clone());
            prop_assert_eq!(percent_decode(&encode_user(&text)), Some(text.clone()));
            prop_assert_eq!(percent_decode(&encode_param(&text)), Some(text));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            unescape(&text);
            escape(&text);
            split_at_domain(&text);
            percent_decode(&text);
        }
    }
}
