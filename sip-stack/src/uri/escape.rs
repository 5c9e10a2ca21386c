//! Percent-encoding. RFC 3261 §19.1.2, §25.1.

use std::borrow::Cow;

/// Characters that stand in a user as they are.
pub(super) fn is_user_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
}

/// Characters that stand in a parameter as they are.
pub(super) fn is_param_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$')
}

/// Characters that stand in a header as they are.
pub(super) fn is_header_byte(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        )
}

/// Encodes every byte that may not stand as it is, `%` included.
pub(super) fn escape(text: &str, allowed: fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(allowed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        push(&mut out, byte, allowed(byte));
    }
    Cow::Owned(out)
}

/// Encodes what may not stand as it is in text that is encoded already: `%` stays where two hexadecimal digits follow.
pub(super) fn escape_rest(text: &str, allowed: fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(allowed) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for (at, &byte) in bytes.iter().enumerate() {
        let is_escape = byte == b'%' && escaped_byte(bytes, at).is_some();
        push(&mut out, byte, is_escape || allowed(byte));
    }
    Cow::Owned(out)
}

fn push(out: &mut String, byte: u8, as_it_is: bool) {
    if as_it_is {
        out.push(char::from(byte));
        return;
    }
    out.push('%');
    for nibble in [byte >> 4, byte & 0xf] {
        out.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit.to_ascii_uppercase()));
    }
}

/// Undoes percent-encoding; a `%` without two hexadecimal digits stands for itself. `None` if the bytes are not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(decode_bytes(text).collect())
        .ok()
        .map(Cow::Owned)
}

/// The bytes that the text stands for.
pub(super) fn decode_bytes(text: &str) -> impl Iterator<Item = u8> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        if byte == b'%'
            && let Some(decoded) = escaped_byte(bytes, at)
        {
            at = at.saturating_add(3);
            return Some(decoded);
        }
        at = at.saturating_add(1);
        Some(byte)
    })
}

/// The byte that `%xx` at this place stands for.
fn escaped_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let high = hex(*bytes.get(at.checked_add(1)?)?)?;
    let low = hex(*bytes.get(at.checked_add(2)?)?)?;
    Some(high << 4 | low)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_round_trip() {
        assert_eq!(escape("<sip:a@b>", is_header_byte), "%3Csip:a%40b%3E");
        assert_eq!(escape("100%", is_user_byte), "100%25");
        assert_eq!(decode("%3Csip:a%40b%3E").as_deref(), Some("<sip:a@b>"));
        assert_eq!(decode("J%C3%BCrgen").as_deref(), Some("Jürgen"));
        assert_eq!(decode("100%").as_deref(), Some("100%"));
        assert_eq!(decode("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(decode("%ff"), None);
    }

    #[test]
    fn what_is_escaped_already_stays() {
        assert_eq!(
            escape_rest("a%20b c%\r\n", is_user_byte),
            "a%20b%20c%25%0D%0A"
        );
        assert_eq!(escape_rest("ü", is_user_byte), "%C3%BC");
    }
}
