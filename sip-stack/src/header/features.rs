//! What a user agent says in its Contact that it can do and is. RFC 3840 §9, §10.

use std::fmt::Write;

use super::NameAddr;
use crate::grammar;
use crate::message::Method;
use crate::params::Params;
use crate::text::Text;

/// The feature tags of a Contact: the parameters of it that are about the user agent. SIP-21.
///
/// To send them, put [`Features::into_params`] among the parameters of a [`LocalContact`](crate::LocalContact).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features(Params);

/// What a user agent is, or not. RFC 3840 §10, RFC 4569.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// `isfocus`: a conference.
    Focus,
    /// `automata`: a machine, not a person.
    Automaton,
    /// `+sip.message`: takes messages in sessions (MSRP). Also read as `message`, as some examples have it.
    Message,
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `text`: real-time text.
    Text,
}

impl Feature {
    const fn tag(self) -> &'static str {
        match self {
            Feature::Focus => "isfocus",
            Feature::Automaton => "automata",
            Feature::Message => "+sip.message",
            Feature::Audio => "audio",
            Feature::Video => "video",
            Feature::Text => "text",
        }
    }

    /// How else it is written, though it should not be.
    const fn bare_tag(self) -> Option<&'static str> {
        match self {
            Feature::Message => Some("message"),
            Feature::Focus
            | Feature::Automaton
            | Feature::Audio
            | Feature::Video
            | Feature::Text => None,
        }
    }
}

const METHODS: &str = "methods";
const EVENTS: &str = "events";
/// As the list of events is called in some examples.
const EVENT: &str = "event";

impl Features {
    /// Nothing is said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a Contact.
    pub fn of(contact: &NameAddr) -> Self {
        Self(contact.params.clone())
    }

    /// The same with this one.
    pub fn with(mut self, feature: Feature) -> Self {
        self.0.set(Text::from_static(feature.tag()), None::<Text>);
        self
    }

    /// The same with the methods taken.
    pub fn with_methods<'a>(mut self, methods: impl IntoIterator<Item = &'a Method>) -> Self {
        self.set_list(METHODS, methods.into_iter().map(Method::as_str));
        self
    }

    /// The same with the event packages that can be subscribed to.
    pub fn with_events<'a>(mut self, events: impl IntoIterator<Item = &'a str>) -> Self {
        self.set_list(EVENTS, events.into_iter());
        self
    }

    fn set_list<'a>(&mut self, name: &'static str, values: impl Iterator<Item = &'a str>) {
        let mut list = String::new();
        for value in values.filter(|value| grammar::is_token(value)) {
            if !list.is_empty() {
                list.push(',');
            }
            // Writing to a String cannot fail.
            let _ = list.write_str(value);
        }
        self.0.set_quoted(Text::from_static(name), &list);
    }

    /// Whether the user agent is that: `None` if it does not say.
    pub fn is(&self, feature: Feature) -> Option<bool> {
        let value = self.0.get(feature.tag());
        let value = value.or_else(|| self.0.get(feature.bare_tag()?));
        value.map(|value| match value {
            None => true,
            Some(value) => truth(value),
        })
    }

    /// Whether the user agent takes requests of that method: `None` if it does not say.
    pub fn takes(&self, method: &Method) -> Option<bool> {
        self.lists(METHODS, method.as_str())
    }

    /// Whether that event package can be subscribed to: `None` if it is not said.
    pub fn notifies_of(&self, package: &str) -> Option<bool> {
        self.lists(EVENTS, package)
            .or_else(|| self.lists(EVENT, package))
    }

    /// A list takes in what it names; one of exceptions, all else. RFC 3840 §9.
    fn lists(&self, name: &str, wanted: &str) -> Option<bool> {
        let list = self.0.unquoted(name)?;
        let mut values = list.split(',').map(grammar::trim).filter(|v| !v.is_empty());
        let is_wanted = |value: &str| value.eq_ignore_ascii_case(wanted);
        let (mut named, mut except) = (false, None);
        for value in values.by_ref() {
            match value.strip_prefix('!') {
                Some(value) => except = Some(except.unwrap_or(false) || is_wanted(value)),
                None if is_wanted(value) => return Some(true),
                None => named = true,
            }
        }
        Some(match except {
            Some(is_excepted) => !is_excepted && !named,
            None => false,
        })
    }

    /// As parameters of a Contact.
    pub fn into_params(self) -> Vec<(String, Option<String>)> {
        let params = self.0.iter();
        params
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect()
    }
}

/// `"TRUE"`, `"FALSE"`, or the negation of one.
fn truth(value: &str) -> bool {
    let value = value.trim_matches('"');
    let (is_negated, value) = match grammar::trim(value).strip_prefix('!') {
        Some(value) => (true, value),
        None => (false, grammar::trim(value)),
    };
    value.eq_ignore_ascii_case("FALSE") == is_negated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(params: &str) -> Features {
        Features::of(&NameAddr::parse(&format!("<sip:a@b>{params}")).unwrap())
    }

    /// SIP-21
    #[test]
    fn features_are_said_in_many_ways() {
        for (params, expected) in [
            (";+sip.message", Some(true)),
            (";+SIP.Message", Some(true)),
            (";message", Some(true)),
            (";+sip.message=\"TRUE\"", Some(true)),
            (";+sip.message=\"!FALSE\"", Some(true)),
            (";+sip.message=\"FALSE\"", Some(false)),
            (";+sip.message=\"!true\"", Some(false)),
            (";message=false", Some(false)),
            (";isfocus", None),
            ("", None),
        ] {
            assert_eq!(features(params).is(Feature::Message), expected, "{params}");
        }
        let room = features(";isfocus;automata=\"TRUE\";audio=\"FALSE\"");
        assert_eq!(room.is(Feature::Focus), Some(true));
        assert_eq!(room.is(Feature::Automaton), Some(true));
        assert_eq!(room.is(Feature::Audio), Some(false));
        assert_eq!(room.is(Feature::Video), None);
    }

    /// SIP-21
    #[test]
    fn lists_name_what_is_taken_or_what_is_not() {
        let some = features(";methods=\"INVITE, MESSAGE\";events=\"conference\"");
        assert_eq!(some.takes(&Method::Message), Some(true));
        assert_eq!(some.takes(&Method::Refer), Some(false));
        assert_eq!(some.notifies_of("Conference"), Some(true));
        assert_eq!(some.notifies_of("presence"), Some(false));
        let others = features(";methods=\"!REFER,!MESSAGE\";event=presence");
        assert_eq!(others.takes(&Method::Refer), Some(false));
        assert_eq!(others.takes(&Method::Message), Some(false));
        assert_eq!(others.takes(&Method::Invite), Some(true));
        assert_eq!(others.notifies_of("presence"), Some(true));
        assert_eq!(features("").takes(&Method::Invite), None);
        assert_eq!(features("").notifies_of("presence"), None);
    }

    /// SIP-21. What is written: base tags bare, `+sip.message`, lists quoted.
    #[test]
    fn features_as_they_are_sent() {
        let features = Features::new()
            .with(Feature::Focus)
            .with(Feature::Automaton)
            .with(Feature::Message)
            .with_methods(&[Method::Invite, Method::Bye])
            .with_events(["conference", "no token"]);
        let mut contact = NameAddr::parse("<sip:a@b>").unwrap();
        for (name, value) in features.into_params() {
            contact = contact.with_param(name, value.as_deref());
        }
        assert_eq!(
            contact.to_string(),
            "<sip:a@b>;isfocus;automata;+sip.message;methods=\"INVITE,BYE\";events=\"conference\""
        );
    }
}
