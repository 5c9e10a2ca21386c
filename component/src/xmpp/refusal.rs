//! Stanzas that cannot be handed on, and what their senders are told. RFC 6120 §8.3.

use roxmltree::Node;
use thiserror::Error;

use super::framing::Excess;
use super::outgoing::{Outgoing, OutgoingIq, OutgoingMessage, OutgoingPresence};
use super::stanza::{IqType, MessageType, PresenceType, StanzaError};
use crate::address::{Jid, JidError};

/// A stanza that cannot be handed on, and what is known of it for an error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) reason: Reason,
    pub(super) envelope: Option<Box<Envelope>>,
}

/// Why a stanza cannot be handed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Reason {
    /// It was too much of something.
    #[error(transparent)]
    Excess(#[from] Excess),
    /// Bytes that are no UTF-8, or no well-formed XML.
    #[error("the stanza is not well-formed: {0}")]
    NotWellFormed(String),
    /// An address that is none.
    #[error("{0} is no XMPP address: {1}")]
    Address(&'static str, JidError),
    /// A `type` that decides about everything else, and is not known.
    #[error("the stanza has an unknown type")]
    Type,
    /// A request without the one child that says what it asks.
    #[error("the request has no payload, or several")]
    Payload,
}

/// The attributes of a stanza as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) name: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) id: Option<String>,
    pub(super) kind: Option<String>,
}

impl Envelope {
    pub(super) fn of(node: Node<'_, '_>) -> Envelope {
        let attribute = |name| node.attribute(name).map(str::to_owned);
        Envelope {
            name: node.tag_name().name().to_owned(),
            from: attribute("from"),
            to: attribute("to"),
            id: attribute("id"),
            kind: attribute("type"),
        }
    }
}

impl Unreadable {
    /// The error that tells the sender; `None` where it cannot or must not be told. RFC 6120 §8.3.1.
    pub(super) fn reply(&self, domain: &Jid) -> Option<Outgoing> {
        let envelope = self.envelope.as_ref()?;
        let to = Jid::parse(envelope.from.as_deref()?).ok()?;
        // A sender that the server would not know as ours would end the stream.
        let from = envelope
            .to
            .as_deref()
            .and_then(|to| Jid::parse(to).ok())
            .filter(|to| to.domain() == domain.domain())
            .unwrap_or_else(|| domain.clone());
        let condition = match self.reason {
            Reason::Excess(_) => "policy-violation",
            Reason::Address(..) => "jid-malformed",
            Reason::NotWellFormed(_) | Reason::Type | Reason::Payload => "bad-request",
        };
        let error = StanzaError {
            kind: "modify".to_owned(),
            condition: condition.to_owned(),
            address: None,
            text: Some(self.reason.to_string()),
            by: None,
        };
        let id = envelope.id.clone();
        match (envelope.name.as_str(), envelope.kind.as_deref()) {
            (_, Some("error")) | ("iq", Some("result")) | ("presence", Some("unavailable")) => None,
            ("message", _) => {
                let mut message = OutgoingMessage::new(&from, &to, MessageType::Error).error(error);
                message.id = id;
                Some(message.into())
            }
            ("presence", _) => {
                let mut presence = OutgoingPresence::new(&from, &to, PresenceType::Error);
                presence.id = id;
                presence.error = Some(error);
                Some(presence.into())
            }
            ("iq", _) => {
                let iq = OutgoingIq {
                    from,
                    to,
                    id: id.unwrap_or_default(),
                    kind: IqType::Error,
                    payload: None,
                    error: Some(error),
                };
                Some(iq.into())
            }
            _ => None,
        }
    }
}
