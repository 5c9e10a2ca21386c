//! The stanzas that conversations write.

use std::time::{Duration, SystemTime};

use super::context::Tokens;
use super::event::{Kind, Mark, Wishes};
use super::promise::Origin;
use crate::address::Jid;
use crate::body::Text;
use crate::xmpp::{ChatState, Marker, MessageType, Outgoing, OutgoingMessage, Receipt};

/// How long a message may wait for the XMPP server. Its sender gives it up by itself after 30 s (RFC 4975 §7.1.1) or 32 s
/// (RFC 3261 Timer F), and must not hear of a failure and be read after all.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long a chat state may wait: nobody wants to hear later who was writing then (COMP-12).
const BRIEFLY: Duration = Duration::from_secs(10);

/// A time that lies no further back is that of the way here (T13).
const RECENT: Duration = Duration::from_secs(30);

/// What a message says beside its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    /// What its sender does.
    pub state: Option<ChatState>,
    /// What the XMPP user's client is asked for.
    pub wishes: Wishes,
    /// What the clock shows.
    pub now: SystemTime,
}

/// A message of a conversation (T4).
pub(super) fn chat(
    from: &Jid,
    to: &Jid,
    id: &str,
    thread: &str,
    text: Text,
    beside: Beside,
) -> Outgoing {
    message(from, to, MessageType::Chat, id, thread, text, beside)
}

/// A message that stands alone (T3, IM-03).
pub(super) fn single(
    from: &Jid,
    to: &Jid,
    id: &str,
    thread: &str,
    text: Text,
    beside: Beside,
) -> Outgoing {
    message(from, to, MessageType::Normal, id, thread, text, beside)
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

/// That a message of the XMPP user's was received or seen (RCPT-02).
pub(super) fn receipt(
    from: &Jid,
    origin: &Origin,
    kind: Kind,
    thread: &str,
    mark: Mark,
    tokens: &mut Tokens,
) -> Outgoing {
    let kind = match kind {
        Kind::Chat => MessageType::Chat,
        Kind::Single => MessageType::Normal,
    };
    let message = OutgoingMessage::new(from, &origin.from, kind)
        .id(tokens.text())
        .thread(thread);
    let about = origin.id.clone().unwrap_or_default();
    match mark {
        Mark::Received => message.receipt(Receipt::Received(about)),
        Mark::Displayed => message.marker(Marker::Displayed(about)),
    }
    .into()
}

fn message(
    from: &Jid,
    to: &Jid,
    kind: MessageType,
    id: &str,
    thread: &str,
    text: Text,
    beside: Beside,
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
    if let Some(state) = beside.state {
        message = message.chat_state(state);
    }
    if beside.wishes.receipt {
        message = message.receipt(Receipt::Requested);
    }
    if beside.wishes.display {
        message = message.marker(Marker::Markable);
    }
    let old = text.sent.filter(|sent| {
        let age = beside.now.duration_since(*sent);
        age.is_ok_and(|age| age > RECENT)
    });
    if let Some(sent) = old {
        message = message.delay(sent);
    }
    message.into()
}
