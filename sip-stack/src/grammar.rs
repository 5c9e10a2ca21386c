//! The character classes of the grammar, and the walk over text that has quoted strings and angle brackets in it.
//! RFC 3261 §25.1.

/// Whether `text` is a token: methods, header names, parameter names, option tags. RFC 3261 §25.1.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether `byte` may stand in a token.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// Splits at the first `separator`, an ASCII character, which is in neither half. What is in every message is split by
/// this: in a few characters it is found sooner than by any search made for many.
pub(crate) fn split_at(text: &str, separator: u8) -> Option<(&str, &str)> {
    split_where(text, |byte| byte == separator)
}

/// Splits at the first space or tab.
pub(crate) fn split_at_space(text: &str) -> Option<(&str, &str)> {
    split_where(text, |byte| matches!(byte, b' ' | b'\t'))
}

fn split_where(text: &str, is_separator: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let at = text.bytes().position(is_separator)?;
    Some((text.get(..at)?, text.get(at.checked_add(1)?..)?))
}

/// Trims what the grammar calls linear white space, and line ends left by folding.
pub(crate) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [one] if !is_space(*one) => return text,
        [first, .., last] if !is_space(*first) && !is_space(*last) => return text,
        _ => {}
    }
    let Some(end) = text.bytes().rposition(|byte| !is_space(byte)) else {
        return "";
    };
    trim_start(text.get(..=end).unwrap_or(text))
}

/// Trims linear white space at the start.
pub(crate) fn trim_start(text: &str) -> &str {
    let start = text.bytes().take_while(|byte| is_space(*byte)).count();
    text.get(start..).unwrap_or_default()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Splits at the first `separator` that is neither in a quoted string nor between angle brackets; the separator itself is
/// in neither half.
pub(crate) fn split_outside(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = find_outside(text, separator)?;
    let rest = text.get(at.checked_add(1)?..)?;
    Some((text.get(..at)?, rest))
}

fn find_outside(text: &str, separator: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    // Nearly every value has no separator at all, and finding none is quick.
    let first = memchr::memchr(separator, bytes)?;
    if memchr::memchr2(b'"', b'<', bytes.get(..first)?).is_none() {
        return Some(first);
    }
    let mut place = Place::Outside;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == separator && place == Place::Outside {
            return Some(at);
        }
        place = place.after(byte);
    }
    None
}

/// Whether every quoted string and angle bracket that begins in `text` also ends there.
pub(crate) fn is_closed(text: &str) -> bool {
    let bytes = text.as_bytes();
    let place = |place: Place, byte: &u8| place.after(*byte);
    memchr::memchr2(b'"', b'<', bytes).is_none()
        || bytes.iter().fold(Place::Outside, place) == Place::Outside
}

/// Where in a text one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Bracketed,
    Quoted,
    /// In a quoted string, behind its backslash.
    Escaped,
}

impl Place {
    fn after(self, byte: u8) -> Place {
        match (self, byte) {
            (Place::Escaped, _) => Place::Quoted,
            (Place::Quoted, b'\\') => Place::Escaped,
            (Place::Quoted, b'"') | (Place::Bracketed, b'>') => Place::Outside,
            (Place::Outside, b'"') => Place::Quoted,
            (Place::Outside, b'<') => Place::Bracketed,
            (place, _) => place,
        }
    }
}

/// The single values of a comma-separated list, trimmed, empty ones left out. RFC 3261 §7.3.1.
#[derive(Debug, Clone)]
pub(crate) struct CommaSeparated<'a> {
    rest: Option<&'a str>,
}

impl<'a> CommaSeparated<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        CommaSeparated { rest: Some(text) }
    }
}

impl<'a> Iterator for CommaSeparated<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while let Some(text) = self.rest.take() {
            let value = match split_outside(text, b',') {
                Some((value, rest)) => {
                    self.rest = Some(rest);
                    value
                }
                None => text,
            };
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// Takes a quoted string off the start of `text`, which must start with `"`: what stands between the quotes, escapes still
/// in it, and the rest after the closing quote. `None` if the string is never closed.
pub(crate) fn quoted_prefix(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((inner.get(..at)?, inner.get(at.checked_add(1)?..)?)),
            _ => {}
        }
    }
    None
}

/// Undoes the backslash escapes of a quoted string's content.
pub(crate) fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut escaped = false;
    for c in content.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}

/// Writes `content` as a quoted string.
pub(crate) fn write_quoted(out: &mut impl std::fmt::Write, content: &str) -> std::fmt::Result {
    out.write_char('"')?;
    for c in content.chars() {
        match c {
            '\r' | '\n' => out.write_char(' ')?,
            '"' | '\\' | '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Writes a number. What is in every message is written by this: it takes a fifth of what formatting does.
pub(crate) fn write_decimal(out: &mut impl std::fmt::Write, number: u64) -> std::fmt::Result {
    let mut digits = [0_u8; 20];
    let (mut left, mut used) = (number, 0_usize);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        used = used.saturating_add(1);
        if left == 0 {
            break;
        }
    }
    let written = digits.get(digits.len().saturating_sub(used)..);
    out.write_str(std::str::from_utf8(written.unwrap_or_default()).unwrap_or_default())
}

/// Writes 16 hexadecimal digits.
pub(crate) fn write_hex(out: &mut impl std::fmt::Write, number: u64) -> std::fmt::Result {
    let mut digits = [0_u8; 16];
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        let value = u8::try_from(left & 0xf).unwrap_or_default();
        *digit = match value {
            0..=9 => b'0' | value,
            _ => b'a'.saturating_add(value.saturating_sub(10)),
        };
        left >>= 4;
    }
    out.write_str(std::str::from_utf8(&digits).unwrap_or_default())
}

/// A decimal number as the grammar has it: digits only, no sign. `None` if there are other characters or none at all, or
/// the number does not fit.
pub(crate) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A decimal number of seconds or bytes where a number too large to hold means "very long".
pub(crate) fn decimal_saturating(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let text = r#""a, \"b, <" <sip:a,b@c>;x="1,2" ,, <sip:d> , e"#;
        let values: Vec<_> = CommaSeparated::new(text).collect();
        assert_eq!(
            values,
            [r#""a, \"b, <" <sip:a,b@c>;x="1,2""#, "<sip:d>", "e"]
        );
    }

    #[test]
    fn quoted_strings_end_at_the_first_unescaped_quote() {
        assert_eq!(quoted_prefix(r#""a\"b" rest"#), Some((r#"a\"b"#, " rest")));
        assert_eq!(quoted_prefix(r#""open"#), None);
        assert_eq!(quoted_prefix(r#""open\""#), None);
        assert_eq!(unescape(r#"a\"b\\c"#), r#"a"b\c"#);
    }

    #[test]
    fn numbers_are_written_as_they_are_formatted() {
        for number in [0, 9, 10, 5060, 65_535, 1_000_000_007, u64::MAX] {
            let mut written = String::new();
            write_decimal(&mut written, number).unwrap();
            assert_eq!(written, number.to_string());
            written.clear();
            write_hex(&mut written, number).unwrap();
            assert_eq!(written, format!("{number:016x}"));
        }
    }

    #[test]
    fn white_space_is_trimmed_at_both_ends() {
        for (text, trimmed) in [
            ("", ""),
            ("a", "a"),
            (" ", ""),
            ("\t\r\n ", ""),
            (" a", "a"),
            ("a ", "a"),
            ("a b", "a b"),
            ("\tä b\r\n", "ä b"),
        ] {
            assert_eq!(trim(text), trimmed);
        }
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(decimal::<u32>("+5"), None);
        assert_eq!(decimal::<u32>("0005"), Some(5));
        assert_eq!(decimal_saturating("1000000000000000000"), Some(u32::MAX));
        assert_eq!(decimal_saturating("-1"), None);
    }
}
