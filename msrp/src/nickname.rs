//! Nicknames in chat rooms: the value of `Use-Nickname`.

use std::fmt;

use thiserror::Error;

/// What a participant of a chat room wants to be called: at most 1,023 bytes of UTF-8 without control characters.
/// The empty one gives the present nickname up. RFC 7701 §7.1, §7.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nickname {
    text: Box<str>,
    form: NicknameForm,
}

/// How a nickname stands in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NicknameForm {
    /// Between quotes, as the RFC has it.
    #[default]
    Quoted,
    /// As it is: some rooms take quotes for a part of the name.
    Bare,
}

/// A text that no nickname can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NicknameError {
    /// More than 1,023 bytes.
    #[error("a nickname has at most {} bytes", Nickname::LONGEST)]
    TooLong,
    /// A control character other than the tabulator.
    #[error("a nickname has no control characters")]
    ControlCharacter,
    /// Not UTF-8.
    #[error("a nickname is UTF-8")]
    NotUtf8,
    /// No closing quote, a quote within, or a backslash before anything but a quote or a backslash.
    #[error("the nickname is not a quoted string")]
    BadQuoting,
}

impl Nickname {
    /// Bytes, not characters; escapes not counted.
    pub const LONGEST: usize = 1023;

    /// A nickname, written between quotes.
    pub fn new(text: &str) -> Result<Nickname, NicknameError> {
        if text.len() > Nickname::LONGEST {
            return Err(NicknameError::TooLong);
        }
        // Beyond ASCII everything is allowed.
        if text.chars().any(|c| c.is_ascii_control() && c != '\t') {
            return Err(NicknameError::ControlCharacter);
        }
        Ok(Nickname {
            text: text.into(),
            form: NicknameForm::Quoted,
        })
    }

    /// The same, written in that form.
    pub fn in_form(self, form: NicknameForm) -> Nickname {
        Nickname { form, ..self }
    }

    /// The text, without quotes and escapes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it stood, or is to stand, in its header.
    pub fn form(&self) -> NicknameForm {
        self.form
    }

    /// Whether it gives the present nickname up. RFC 7701 §7.3.
    pub fn is_removal(&self) -> bool {
        self.text.is_empty()
    }

    /// Reads the value of a `Use-Nickname`.
    pub fn parse(value: &[u8]) -> Result<Nickname, NicknameError> {
        let value = std::str::from_utf8(value).map_err(|_| NicknameError::NotUtf8)?;
        let Some(quoted) = value.strip_prefix('"') else {
            return Ok(Nickname::new(value)?.in_form(NicknameForm::Bare));
        };
        let mut text = String::with_capacity(quoted.len());
        let mut letters = quoted.chars();
        loop {
            match letters.next().ok_or(NicknameError::BadQuoting)? {
                '"' => break,
                '\\' => match letters.next() {
                    Some(escaped @ ('"' | '\\')) => text.push(escaped),
                    _ => return Err(NicknameError::BadQuoting),
                },
                letter => text.push(letter),
            }
        }
        if letters.next().is_some() {
            return Err(NicknameError::BadQuoting);
        }
        Nickname::new(&text)
    }
}

/// As it stands in its header.
impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.form == NicknameForm::Bare {
            return f.write_str(&self.text);
        }
        f.write_str("\"")?;
        for letter in self.text.chars() {
            if matches!(letter, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{letter}")?;
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RX-05, RS-12
    #[test]
    fn quotes_and_escapes_come_and_go() {
        for (written, text) in [
            ("\"Alice the great\"", "Alice the great"),
            ("\"\"", ""),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            ("\"Zoë 雪\"", "Zoë 雪"),
        ] {
            let nickname = Nickname::parse(written.as_bytes()).unwrap();
            assert_eq!(nickname.as_str(), text);
            assert_eq!(nickname.form(), NicknameForm::Quoted);
            assert_eq!(nickname.to_string(), written);
            assert_eq!(Nickname::new(text).unwrap(), nickname);
        }
        let bare = Nickname::parse(b"Ally").unwrap();
        assert_eq!((bare.as_str(), bare.form()), ("Ally", NicknameForm::Bare));
        assert_eq!(bare.to_string(), "Ally");
    }

    // RS-12
    #[test]
    fn malformed_ones_are_seen() {
        for (written, error) in [
            (&b"\"a"[..], NicknameError::BadQuoting),
            (b"\"", NicknameError::BadQuoting),
            (b"\"a\"b\"", NicknameError::BadQuoting),
            (b"\"a\\\"", NicknameError::BadQuoting),
            (br#""a\b""#, NicknameError::BadQuoting),
            (b"\"\xff\"", NicknameError::NotUtf8),
            (b"\"a\x07\"", NicknameError::ControlCharacter),
        ] {
            assert_eq!(Nickname::parse(written), Err(error), "{written:?}");
        }
        let long = "ä".repeat(512);
        assert_eq!(Nickname::new(&long), Err(NicknameError::TooLong));
        assert_eq!(Nickname::new(&long[2..]).unwrap().as_str().len(), 1022);
        // What is escaped counts once.
        let quotes = "\"".repeat(Nickname::LONGEST);
        let written = Nickname::new(&quotes).unwrap().to_string();
        assert_eq!(
            Nickname::parse(written.as_bytes()).unwrap().as_str(),
            quotes
        );
    }
}
