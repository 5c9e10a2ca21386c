//! The stanzas that conversations write.

use std::time::Duration;

use crate::address::Jid;
use crate::body::Text;
use crate::xmpp::{MessageType, Outgoing, OutgoingMessage};

/// How long a message may wait for the XMPP server. Its sender gives it up by itself after 30 s (RFC 4975 §7.1.1) or 32 s
/// (RFC 3261 Timer F), and must not hear of a failure and be read after all.
const PATIENCE: Duration = Duration::from_secs(25);

/// A message of a conversation (T4).
pub(super) fn chat(from: &Jid, to: &Jid, id: &str, thread: &str, text: Text) -> Outgoing {
    message(from, to, MessageType::Chat, id, thread, text)
}

/// A message that stands alone (T3, IM-03).
pub(super) fn single(from: &Jid, to: &Jid, id: &str, thread: &str, text: Text) -> Outgoing {
    message(from, to, MessageType::Normal, id, thread, text)
}

fn message(
    from: &Jid,
    to: &Jid,
    kind: MessageType,
    id: &str,
    thread: &str,
    text: Text,
) -> Outgoing {
    let mut message = OutgoingMessage::new(from, to, kind)
        .id(id)
        .thread(thread)
        .body(text.body)
        .within(PATIENCE);
    if let Some(subject) = text.subject {
        message = message.subject(subject);
    }
    if let Some(lang) = text.lang {
        message = message.lang(lang);
    }
    message.into()
}
