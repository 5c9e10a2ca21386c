//! Shared, immutable text: many values cut from one message without a copy each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Enough for a header field's value that we write, so that it is not moved while it grows. Bytes.
const TYPICAL_VALUE: usize = 128;

/// What can be written into any kind of text without the detour by a formatter, which costs more than the writing.
pub(crate) trait Written {
    /// Writes it as it stands on the wire.
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result;
}

/// How many bytes that will be.
pub(crate) fn written_length(value: &impl Written) -> usize {
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = value.write(&mut count);
    count.0
}

/// A piece of immutable text. Cloning it and cutting pieces from it costs no allocation; a piece keeps the whole text it
/// was cut from alive (a header section: at most 64 KiB).
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared {
        source: Arc<str>,
        start: u32,
        end: u32,
    },
}

impl Text {
    /// Text known when the program was written.
    pub const fn from_static(text: &'static str) -> Self {
        Text(Repr::Static(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Shared { source, start, end } => source
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
        }
    }

    /// What `value` looks like on the wire.
    pub(crate) fn written(value: &impl Written) -> Text {
        let mut text = String::with_capacity(TYPICAL_VALUE);
        // Writing to a String cannot fail.
        let _ = value.write(&mut text);
        Text::from(text)
    }

    /// `part` as a `Text`; without a copy if `part` lies within this text.
    pub(crate) fn cut(&self, part: &str) -> Text {
        if part.is_empty() {
            return Text::default();
        }
        match &self.0 {
            Repr::Static(text) => within(text, part)
                .and_then(|(start, end)| text.get(start..end))
                .map(Text::from_static),
            Repr::Shared { source, .. } => within(source, part)
                .and_then(|(start, end)| Self::shared(Arc::clone(source), start, end)),
        }
        .unwrap_or_else(|| Text::from(part))
    }

    fn shared(source: Arc<str>, start: usize, end: usize) -> Option<Text> {
        let start = u32::try_from(start).ok()?;
        let end = u32::try_from(end).ok()?;
        Some(Text(Repr::Shared { source, start, end }))
    }
}

/// Where `part` lies in `whole`, if it was borrowed from it.
fn within(whole: &str, part: &str) -> Option<(usize, usize)> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some((start, end))
}

impl From<&str> for Text {
    /// Text of 4 GiB and more has no place in a message; it becomes empty.
    fn from(text: &str) -> Self {
        Self::shared(Arc::from(text), 0, text.len()).unwrap_or_default()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::from(text.as_str())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Text::from(text.as_str())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::from_static("")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_piece_shares_its_source() {
        let whole = Text::from("sip:juliet@example.com");
        let part = whole.cut(&whole[4..10]);
        assert_eq!(part, "juliet");
        assert_eq!(part.as_str().as_ptr(), whole[4..].as_ptr());
        assert_eq!(part.cut(&part[1..3]), "ul");
    }

    #[test]
    fn text_from_elsewhere_is_copied() {
        let whole = Text::from("abc");
        assert_eq!(whole.cut("elsewhere"), "elsewhere");
        assert_eq!(Text::from_static("abc").cut("b"), "b");
    }
}
