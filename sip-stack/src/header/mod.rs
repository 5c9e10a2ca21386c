//! Header fields: their names, their order, and the types of the values that a user agent reads.

mod cseq;
mod features;
mod name;
mod name_addr;
mod once;
mod rack;
mod replaces;
mod session_expires;
mod subscription;
mod via;
mod with_params;

pub use cseq::CSeq;
pub use features::{Feature, Features};
pub use name::Name;
pub use name_addr::NameAddr;
pub use rack::RAck;
pub use replaces::{Early, Replaces};
pub use session_expires::{Refresher, SessionExpires};
pub use subscription::{EventPackage, SubscriptionState, TerminationReason};
pub(crate) use via::Noted;
pub use via::{Via, ViaTransport};
pub use with_params::WithParams;

use std::fmt;
use std::sync::Arc;

use crate::grammar::{self, CommaSeparated};
use crate::text::Text;
use once::Once;

/// Why a header field could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There is no such field.
    #[error("no {0}")]
    Missing(Name),
    /// The field does not have the form that its name asks for.
    #[error("malformed {0}")]
    Malformed(Name),
    /// The field is there more than once, or has several values where only one is allowed.
    #[error("more than one {0}")]
    Repeated(Name),
}

impl HeaderError {
    /// The field it is about.
    pub fn name(&self) -> &Name {
        match self {
            HeaderError::Missing(name)
            | HeaderError::Malformed(name)
            | HeaderError::Repeated(name) => name,
        }
    }
}

/// The header fields of a message, in their order. Values have no white space at either end and no line ends in them: folded
/// lines are joined when read, and line ends in values that are set become spaces, so that no text can become a field.
///
/// `Content-Length` is never among them: it is the length of the body, checked when read and computed when written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(Name, Text)>,
    from: Once<Arc<NameAddr>>,
    to: Once<Arc<NameAddr>>,
    top_via: Once<Arc<Via>>,
    cseq: Once<CSeq>,
}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Headers {
            fields: Vec::new(),
            from: Once::new(),
            to: Once::new(),
            top_via: Once::new(),
            cseq: Once::new(),
        }
    }

    pub(crate) fn with_capacity(fields: usize) -> Self {
        Headers {
            fields: Vec::with_capacity(fields),
            ..Headers::new()
        }
    }

    /// Appends a field.
    pub fn push(&mut self, name: Name, value: impl Into<Text>) {
        self.forget(&name);
        self.fields.push((name, one_line(value.into())));
    }

    /// Appends a field that was read from one line of `source`, without its line end.
    pub(crate) fn push_line(&mut self, name: Name, source: &Text, value: &str) {
        self.forget(&name);
        let value = grammar::trim(value);
        let value = match memchr::memchr(b'\r', value.as_bytes()) {
            None => source.cut(value),
            Some(_) => one_line(source.cut(value)),
        };
        self.fields.push((name, value));
    }

    /// Appends a field of another message.
    pub(crate) fn push_again(&mut self, name: &Name, value: &Text) {
        self.forget(name);
        self.fields.push((name.clone(), value.clone()));
    }

    /// Puts a field before all others, as a proxy or client does with its Via.
    pub fn push_front(&mut self, name: Name, value: impl Into<Text>) {
        self.forget(&name);
        self.fields.insert(0, (name, one_line(value.into())));
    }

    /// Sets a field: the first of that name gets the value, others of that name go.
    pub fn set(&mut self, name: Name, value: impl Into<Text>) {
        self.forget(&name);
        let value = one_line(value.into());
        let mut fields = self.fields.iter_mut();
        let Some((_, first)) = fields.find(|(n, _)| *n == name) else {
            return self.fields.push((name, value));
        };
        *first = value;
        if fields.any(|(n, _)| *n == name) {
            let mut is_first = true;
            self.fields
                .retain(|(n, _)| *n != name || std::mem::take(&mut is_first));
        }
    }

    /// Takes all fields of that name away.
    pub fn remove(&mut self, name: &Name) {
        self.forget(name);
        self.fields.retain(|(n, _)| n != name);
    }

    /// The value of the first field of that name, whole.
    pub fn first(&self, name: &Name) -> Option<&str> {
        self.first_text(name).map(Text::as_str)
    }

    pub(crate) fn first_text(&self, name: &Name) -> Option<&Text> {
        self.fields
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// The fields of that name, each whole; the texts can be pushed elsewhere without a copy.
    pub fn fields<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Text> {
        self.fields
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// The single values of all fields of that name: comma-separated lists are taken apart where the name
    /// [is a list](Name::is_list).
    pub fn all<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a str> {
        self.all_texts(name).map(|(_, value)| value)
    }

    /// Like [`Headers::all`], each with the text it lies in.
    pub(crate) fn all_texts<'a>(
        &'a self,
        name: &'a Name,
    ) -> impl Iterator<Item = (&'a Text, &'a str)> {
        let is_list = name.is_list();
        self.fields(name).flat_map(move |text| {
            let (single, list) = match is_list {
                true => (None, Some(CommaSeparated::new(text))),
                false => (Some(text.as_str()), None),
            };
            single
                .into_iter()
                .chain(list.into_iter().flatten())
                .map(move |value| (text, value))
        })
    }

    /// Whether one of the values of that name is this token, whatever its case: an option tag, a method in Allow.
    pub fn contains(&self, name: &Name, token: &str) -> bool {
        self.all(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Puts `via` in the place of the topmost Via value, or before all fields if there is none.
    pub fn set_top_via(&mut self, via: &Via) {
        self.set_top_via_text(Text::written(via));
    }

    /// The same with a Via that is written already.
    pub(crate) fn set_top_via_text(&mut self, via: Text) {
        self.forget(&Name::Via);
        // A field may hold nothing but commas, and some may stand before the first value.
        let has_value = |value: &Text| CommaSeparated::new(value).next().is_some();
        let mut fields = self.fields.iter_mut();
        let top = fields.find(|(name, value)| *name == Name::Via && has_value(value));
        let Some((_, value)) = top else {
            return self.fields.insert(0, (Name::Via, via));
        };
        *value = match CommaSeparated::new(value).nth(1) {
            None => via,
            Some(_) => {
                let mut text = String::from(via);
                for other in CommaSeparated::new(value).skip(1) {
                    text.push_str(", ");
                    text.push_str(other);
                }
                Text::from(text)
            }
        };
    }

    /// The first From or To, read; `None` for other names, and for one that is missing or malformed.
    pub(crate) fn read_address(&self, name: &Name) -> Option<&NameAddr> {
        let once = match name {
            Name::From => &self.from,
            Name::To => &self.to,
            _ => return None,
        };
        let read = || {
            let value = self.first_text(name)?;
            Some(Arc::new(NameAddr::cut(value, value)?))
        };
        once.get_or_read(read).map(Arc::as_ref)
    }

    /// The topmost Via, read; `None` if it is missing or malformed.
    pub(crate) fn read_top_via(&self) -> Option<&Arc<Via>> {
        let read = || {
            let (source, value) = self.all_texts(&Name::Via).next()?;
            Some(Arc::new(Via::cut(source, value)?))
        };
        self.top_via.get_or_read(read)
    }

    /// The CSeq, read; `None` if it is missing or malformed.
    pub(crate) fn read_cseq(&self) -> Option<&CSeq> {
        let read = || CSeq::parse(self.first_text(&Name::CSeq)?);
        self.cseq.get_or_read(read)
    }

    /// The field is about to change.
    fn forget(&mut self, name: &Name) {
        match name {
            Name::From => self.from = Once::new(),
            Name::To => self.to = Once::new(),
            Name::Via => self.top_via = Once::new(),
            Name::CSeq => self.cseq = Once::new(),
            _ => {}
        }
    }

    /// All fields in their order, each whole.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Text)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// The value on one line, trimmed.
pub(crate) fn one_line(value: Text) -> Text {
    if memchr::memchr2(b'\r', b'\n', value.as_bytes()).is_some() {
        let line: String = value
            .chars()
            .map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c })
            .collect();
        return Text::from(grammar::trim(&line));
    }
    let trimmed = grammar::trim(&value);
    if trimmed.len() == value.len() {
        value
    } else {
        value.cut(trimmed)
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.fields {
            writeln!(f, "{name}: {value}\r")?;
        }
        Ok(())
    }
}

impl<T: Into<Text>> FromIterator<(Name, T)> for Headers {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(fields: I) -> Self {
        let mut headers = Headers::new();
        headers.extend(fields);
        headers
    }
}

impl<T: Into<Text>> Extend<(Name, T)> for Headers {
    fn extend<I: IntoIterator<Item = (Name, T)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.push(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        Headers::from_iter([
            (Name::Via, "SIP/2.0/TCP a, SIP/2.0/UDP b"),
            (Name::Subject, "one, two"),
            (Name::Via, "SIP/2.0/UDP c"),
            (Name::Supported, "timer,  100rel"),
        ])
    }

    #[test]
    fn lists_are_taken_apart_where_they_are_lists() {
        let headers = headers();
        assert_eq!(
            headers.all(&Name::Via).collect::<Vec<_>>(),
            ["SIP/2.0/TCP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
        );
        assert_eq!(
            headers.all(&Name::Subject).collect::<Vec<_>>(),
            ["one, two"]
        );
        assert!(headers.contains(&Name::Supported, "100REL"));
        assert!(!headers.contains(&Name::Supported, "replaces"));
        assert_eq!(
            headers.first(&Name::Via),
            Some("SIP/2.0/TCP a, SIP/2.0/UDP b")
        );
        assert_eq!(headers.first(&Name::Route), None);
    }

    #[test]
    fn set_keeps_the_place_of_the_first() {
        let mut headers = headers();
        headers.set(Name::Via, "SIP/2.0/UDP d");
        headers.set(Name::Event, "presence");
        let fields: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            fields,
            [
                "Via: SIP/2.0/UDP d",
                "Subject: one, two",
                "Supported: timer,  100rel",
                "Event: presence"
            ]
        );
    }

    #[test]
    fn the_top_via_is_replaced_alone() {
        let mut headers = headers();
        let mut via = Via::parse("SIP/2.0/TCP a").unwrap();
        via.params.set("received", Some("192.0.2.1"));
        headers.set_top_via(&via);
        assert_eq!(
            headers.first(&Name::Via),
            Some("SIP/2.0/TCP a;received=192.0.2.1, SIP/2.0/UDP b")
        );
        let mut commas = Headers::from_iter([
            (Name::Via, ",,"),
            (Name::Via, ", SIP/2.0/TCP a ,,SIP/2.0/UDP b"),
        ]);
        commas.set_top_via(&via);
        assert_eq!(
            commas.all(&Name::Via).collect::<Vec<_>>(),
            ["SIP/2.0/TCP a;received=192.0.2.1", "SIP/2.0/UDP b"]
        );
        let mut none = Headers::new();
        none.set_top_via(&via);
        assert_eq!(none.len(), 1);
    }

    #[test]
    fn a_value_cannot_become_a_field() {
        let mut headers = Headers::new();
        headers.push(Name::Subject, " hello\r\nRoute: <sip:evil.example>\r\n\r\n");
        assert_eq!(
            headers.first(&Name::Subject),
            Some("hello  Route: <sip:evil.example>")
        );
    }
}
