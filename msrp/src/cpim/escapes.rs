//! The backslash escapes of header values. RFC 3862 §3.6.

use std::borrow::Cow;

/// The text with its escapes undone; a backslash that begins none stays.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        unescaped.push_str(before);
        match escape(after) {
            Some((letter, left)) => {
                unescaped.push(letter);
                rest = left;
            }
            None => {
                unescaped.push('\\');
                rest = after;
            }
        }
    }
    unescaped.push_str(rest);
    Cow::Owned(unescaped)
}

/// Appends the text with quotes, backslashes and control characters escaped.
pub(super) fn push_escaped(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // CPIM has no form for those above FFFF, none of which is a control character.
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            letter => out.push(letter),
        }
    }
}

fn escape(after: &str) -> Option<(char, &str)> {
    let mut letters = after.chars();
    let letter = match letters.next()? {
        'u' => {
            let digits = after.get(1..5)?;
            let value = u32::from_str_radix(digits, 16).ok()?;
            return Some((char::from_u32(value)?, after.get(5..)?));
        }
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        letter @ ('"' | '\'' | '\\') => letter,
        _ => return None,
    };
    Some((letter, letters.as_str()))
}
