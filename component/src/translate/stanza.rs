//! The stanzas that conversations write.

use crate::address::Jid;
use crate::body::Text;
use crate::xmpp::{MessageType, Outgoing, OutgoingMessage};

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
        .body(text.body);
    if let Some(subject) = text.subject {
        message = message.subject(subject);
    }
    if let Some(lang) = text.lang {
        message = message.lang(lang);
    }
    message.into()
}
