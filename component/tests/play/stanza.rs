//! Stanzas in the words of room transcripts.

use stox::xmpp::{
    Message, MessageType, Outgoing, Presence, PresenceType, Stanza, StanzaError, rendered, reread,
};

/// Where the gateway lives.
pub const DOMAIN: &str = "sip.example.com";

/// A stanza of ours as its receiver reads it.
pub fn received(stanza: &Outgoing, receiver: &str) -> Stanza {
    let bytes = rendered(stanza, DOMAIN);
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    reread(receiver, &bytes).unwrap_or_else(|| panic!("nobody at {receiver} reads {shown}"))
}

/// A stanza for the gateway.
pub fn sent(xml: &str) -> Stanza {
    reread(DOMAIN, xml.as_bytes()).unwrap_or_else(|| panic!("stox does not read {xml}"))
}

/// What an occupant is told of its room.
pub fn told(stanza: &Stanza) -> String {
    match stanza {
        Stanza::Presence(presence) => told_by_presence(presence),
        Stanza::Message(message) => told_by_message(message),
        Stanza::Iq(iq) => format!("an iq: {:?}", iq.payload),
    }
}

fn told_by_presence(presence: &Presence) -> String {
    if let Some(error) = &presence.error {
        return error_of(error);
    }
    let nick = presence.from.resource().unwrap_or("the room itself");
    let muc = presence.muc.as_deref();
    let statuses = muc.map_or(&[][..], |muc| &muc.statuses);
    let herself = if statuses.contains(&110) {
        ", herself"
    } else {
        ""
    };
    if presence.kind == PresenceType::Available {
        return format!("available{herself}: {nick}");
    }
    match muc.and_then(|muc| muc.item.as_ref()?.nick.as_deref()) {
        Some(new) if statuses.contains(&303) => format!("renamed{herself}: {nick}, {new}"),
        _ => format!("unavailable{herself}: {nick}"),
    }
}

fn told_by_message(message: &Message) -> String {
    if let Some(error) = &message.error {
        return error_of(error);
    }
    let nick = message.from.resource();
    match (message.body(), message.subject(), nick) {
        (None, Some(subject), None) => format!("subject: {}", subject.text),
        (Some(body), _, Some(nick)) if message.kind == MessageType::Groupchat => {
            format!("{nick} to all: {}", body.text)
        }
        (Some(body), _, Some(nick)) => format!("{nick} alone: {}", body.text),
        other => format!("another message: {other:?}"),
    }
}

fn error_of(error: &StanzaError) -> String {
    format!("error: {}", error.condition)
}
