//! Methods.

use std::fmt;

use crate::grammar;
use crate::text::Text;

/// The method of a request. Case-sensitive: `invite` is an extension method, not `INVITE`. RFC 3261 §7.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13.2.2.4.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §11.
    Options,
    /// RFC 3428.
    Message,
    /// RFC 6665 §3.1.
    Subscribe,
    /// RFC 6665 §3.2.
    Notify,
    /// RFC 3515.
    Refer,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 6086.
    Info,
    /// RFC 3261 §10.
    Register,
    /// RFC 3903.
    Publish,
    /// A method this crate does not know; a token. Made by [`Method::parse`].
    Extension(Text),
}

impl Method {
    /// Reads a method; `None` if it is not a token.
    pub fn parse(text: &str) -> Option<Method> {
        Self::known(text)
            .or_else(|| grammar::is_token(text).then(|| Method::Extension(Text::from(text))))
    }

    fn known(text: &str) -> Option<Method> {
        Some(match text {
            "INVITE" => Method::Invite,
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "OPTIONS" => Method::Options,
            "MESSAGE" => Method::Message,
            "SUBSCRIBE" => Method::Subscribe,
            "NOTIFY" => Method::Notify,
            "REFER" => Method::Refer,
            "UPDATE" => Method::Update,
            "PRACK" => Method::Prack,
            "INFO" => Method::Info,
            "REGISTER" => Method::Register,
            "PUBLISH" => Method::Publish,
            _ => return None,
        })
    }

    /// The method as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Message => "MESSAGE",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Refer => "REFER",
            Method::Update => "UPDATE",
            Method::Prack => "PRACK",
            Method::Info => "INFO",
            Method::Register => "REGISTER",
            Method::Publish => "PUBLISH",
            Method::Extension(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Self {
        match method {
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Options => Method::Options,
            rsip::Method::Message => Method::Message,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Update => Method::Update,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Info => Method::Info,
            rsip::Method::Register => Method::Register,
            rsip::Method::Publish => Method::Publish,
        }
    }
}

/// The method is an extension that has no name in `rsip`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the extension method {0} has no name of its own")]
pub struct UnknownMethod(pub Text);

impl TryFrom<&Method> for rsip::Method {
    type Error = UnknownMethod;

    fn try_from(method: &Method) -> Result<Self, UnknownMethod> {
        Ok(match method {
            Method::Invite => rsip::Method::Invite,
            Method::Ack => rsip::Method::Ack,
            Method::Bye => rsip::Method::Bye,
            Method::Cancel => rsip::Method::Cancel,
            Method::Options => rsip::Method::Options,
            Method::Message => rsip::Method::Message,
            Method::Subscribe => rsip::Method::Subscribe,
            Method::Notify => rsip::Method::Notify,
            Method::Refer => rsip::Method::Refer,
            Method::Update => rsip::Method::Update,
            Method::Prack => rsip::Method::PRack,
            Method::Info => rsip::Method::Info,
            Method::Register => rsip::Method::Register,
            Method::Publish => rsip::Method::Publish,
            Method::Extension(name) => return Err(UnknownMethod(name.clone())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
        assert_eq!(
            Method::parse("invite"),
            Some(Method::Extension(Text::from("invite")))
        );
        assert_eq!(
            Method::parse("RE%47IST%45R")
                .map(|m| m.to_string())
                .as_deref(),
            Some("RE%47IST%45R")
        );
        assert_eq!(Method::parse("IN VITE"), None);
        assert_eq!(Method::parse(""), None);
    }

    #[test]
    fn every_method_of_rsip_has_its_mirror_image() {
        for theirs in rsip::Method::all() {
            let ours = Method::from(theirs);
            assert_eq!(Method::parse(ours.as_str()), Some(ours.clone()));
            assert_eq!(rsip::Method::try_from(&ours), Ok(theirs));
        }
    }
}
