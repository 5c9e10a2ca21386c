//! Text that crosses from one world into the other: what XML can carry, and what a header line can.

use std::borrow::Cow;

/// Stands for what could not be carried.
const REPLACEMENT: char = '\u{FFFD}';

/// Longest Reason-Phrase made from an error's text, in bytes.
pub const MAX_REASON: usize = 120;

/// The text with every character that XML 1.0 forbids replaced by U+FFFD.
///
/// One such character in a stanza makes the server close the component's stream, for everybody. IM-13, XML 1.0 §2.2.
pub fn for_xml(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_xml) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| if is_xml(c) { c } else { REPLACEMENT })
            .collect(),
    )
}

/// Bytes of a SIP or MSRP body read as UTF-8, as XML can carry it: what cannot be decoded becomes U+FFFD. IM-13.
pub fn from_bytes(bytes: &[u8]) -> String {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => for_xml(text).into_owned(),
        Cow::Owned(text) => for_xml(&text).into_owned(),
    }
}

/// The text as one header line can carry it: control characters are removed, and runs of white space around removed line
/// ends become one space.
///
/// Every value that comes from XMPP and goes into a SIP, SDP, MSRP or CPIM header passes here. SEC-09.
pub fn for_header(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // A line end separated words; without it they would run together.
            '\r' | '\n' | '\t' | '\u{2028}' | '\u{2029}' => {
                if !line.is_empty() && !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            c if is_control(c) => {}
            ' ' if line.ends_with(' ') => {}
            c => line.push(c),
        }
    }
    line.truncate(line.trim_end().len());
    Cow::Owned(line)
}

/// The text as a Reason-Phrase: as [`for_header`], and at most [`MAX_REASON`] bytes. CORE-24.
pub fn for_reason(text: &str) -> Cow<'_, str> {
    match for_header(text) {
        Cow::Borrowed(line) => Cow::Borrowed(truncate(line, MAX_REASON)),
        Cow::Owned(mut line) => {
            line.truncate(truncate(&line, MAX_REASON).len());
            Cow::Owned(line)
        }
    }
}

/// The longest beginning of the text that has at most `max` bytes and does not cut a character.
pub fn truncate(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// Whether the text is a `token`, so that it can stand in a header without quotes. RFC 3261 §25.1.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// Whether XML 1.0 lets a document contain the character. XML 1.0 §2.2, production `Char`.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // IM-13
    #[test]
    fn what_xml_forbids_is_replaced() {
        for (text, legal) in [
            ("plain\ttext\r\n", "plain\ttext\r\n"),
            ("a\u{0}b\u{b}c\u{1b}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}"),
            ("\u{FFFE}\u{FFFF}", "\u{FFFD}\u{FFFD}"),
            ("😀\u{85}\u{7f}", "😀\u{85}\u{7f}"),
        ] {
            assert_eq!(for_xml(text), legal);
        }
        assert!(matches!(for_xml("plain"), Cow::Borrowed(_)));
        assert_eq!(from_bytes(b"caf\xe9 \xc3\xa9\x00"), "caf\u{FFFD} é\u{FFFD}");
    }

    // SEC-09
    #[test]
    fn no_control_character_reaches_a_header() {
        for (text, line) in [
            ("Hello", "Hello"),
            ("two  spaces", "two  spaces"),
            ("Hi\r\nVia: evil", "Hi Via: evil"),
            ("a\u{0}b\u{85}c\u{7f}d", "abcd"),
            ("\r\n x \n\n y \r\n", " x y"),
            ("line\u{2028}separator", "line separator"),
            ("\n", ""),
        ] {
            assert_eq!(for_header(text), line, "{text:?}");
        }
    }

    // CORE-24
    #[test]
    fn a_reason_is_short_and_cuts_no_character() {
        let long = "é".repeat(100);
        assert_eq!(for_reason(&long).len(), 120);
        assert_eq!(for_reason(&format!("a{long}")).len(), 119);
        assert_eq!(for_reason(&format!("a\r\n{long}")).len(), 120);
        assert_eq!(for_reason("short"), "short");
    }

    #[test]
    fn tokens_are_told_from_other_text() {
        assert!(is_token("e0ffe42b28561960c6b12b944a092794b9683a38"));
        for other in ["", "a b", "a@b", "a\r\n", "é", "a;b", "<a>"] {
            assert!(!is_token(other), "{other:?}");
        }
    }
}
