//! The stanzas that conversations write.

use std::time::Duration;

use crate::address::Jid;
use crate::body::Text;
use crate::xmpp::{ChatState, MessageType, Outgoing, OutgoingMessage};

/// How long a message may wait for the XMPP server. Its sender gives it up by itself after 30 s (RFC 4975 §7.1.1) or 32 s
/// (RFC 3261 Timer F), and must not hear of a failure and be read after all.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long a chat state may wait: nobody wants to hear later who was writing then (COMP-12).
const BRIEFLY: Duration = Duration::from_secs(10);

/// A message of a conversation (T4). `state`: what it says of its sender beside the text.
pub(super) fn chat(
    from: &Jid,
    to: &Jid,
    id: &str,
    thread: &str,
    text: Text,
    state: Option<ChatState>,
) -> Outgoing {
    let mut message = message(from, to, MessageType::Chat, id, thread, text);
    if let Some(state) = state {
        message = message.chat_state(state);
    }
    message.into()
}

/// A message that stands alone (T3, IM-03).
pub(super) fn single(from: &Jid, to: &Jid, id: &str, thread: &str, text: Text) -> Outgoing {
    message(from, to, MessageType::Normal, id, thread, text).into()
}

/// A chat state without a message (COMP-03). It has no id: an error about it is of no use.
pub(super) fn state(from: &Jid, to: &Jid, thread: &str, state: ChatState) -> Outgoing {
    OutgoingMessage::new(from, to, MessageType::Chat)
        .thread(thread)
        .chat_state(state)
        .not_stored()
        .within(BRIEFLY)
        .into()
}

fn message(
    from: &Jid,
    to: &Jid,
    kind: MessageType,
    id: &str,
    thread: &str,
    text: Text,
) -> OutgoingMessage {
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
    message
}
