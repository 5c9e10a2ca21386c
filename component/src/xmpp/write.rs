//! Stanzas into bytes. What is written here is well-formed whatever the values are, for one ill-formed stanza would
//! make the server end the stream for everybody. IM-13, RFC 6120 §4.9.3.13.

use std::time::SystemTime;

use bytes::{BufMut, BytesMut};

use super::muc::{self, MucElement};
use super::ns;
use super::outgoing::{Outgoing, OutgoingIq, OutgoingMessage, OutgoingPresence, Storage};
use super::stanza::{IqType, Marker, MessageType, PresenceType, Receipt, StanzaError};
use crate::address::Jid;
use crate::stamp;

/// Appends the stanza to `out`.
///
/// The sender is always an address on `domain`: a server ends the stream of a component that writes another one
/// (XEP-0114 §3). `held` is the time at which a message was taken that could not be written at once; it becomes its
/// `<delay/>` unless the message brings its own (CHAT-38).
pub(super) fn write(out: &mut BytesMut, stanza: &Outgoing, domain: &str, held: Option<SystemTime>) {
    match stanza {
        Outgoing::Message(message) => write_message(out, message, domain, held),
        Outgoing::Presence(presence) => write_presence(out, presence, domain),
        Outgoing::Iq(iq) => write_iq(out, iq, domain),
    }
}

/// The stanza as it goes to the server of `domain`.
pub fn rendered(stanza: &Outgoing, domain: &str) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out, stanza, domain, None);
    out
}

fn write_message(
    out: &mut BytesMut,
    message: &OutgoingMessage,
    domain: &str,
    held: Option<SystemTime>,
) {
    let kind = match message.kind {
        MessageType::Chat => Some("chat"),
        MessageType::Normal => None,
        MessageType::Groupchat => Some("groupchat"),
        MessageType::Headline => Some("headline"),
        MessageType::Error => Some("error"),
    };
    out.put_slice(b"<message");
    addresses(out, &message.from, &message.to, domain);
    optional_attribute(out, "id", message.id.as_deref());
    optional_attribute(out, "type", kind);
    optional_attribute(out, "xml:lang", message.lang.as_deref());
    out.put_slice(b">");
    optional_element(out, "subject", message.subject.as_deref());
    optional_element(out, "body", message.body.as_deref());
    optional_element(out, "thread", message.thread.as_deref());
    if let Some(state) = message.chat_state {
        empty_element(out, state.name(), ns::CHAT_STATES);
    }
    match &message.receipt {
        Some(Receipt::Requested) => empty_element(out, "request", ns::RECEIPTS),
        Some(Receipt::Received(id)) => named(out, "received", ns::RECEIPTS, id),
        None => {}
    }
    match &message.marker {
        Some(Marker::Markable) => empty_element(out, "markable", ns::MARKERS),
        Some(Marker::Received(id)) => named(out, "received", ns::MARKERS, id),
        Some(Marker::Displayed(id)) => named(out, "displayed", ns::MARKERS, id),
        None => {}
    }
    if message.storage == Storage::Never {
        empty_element(out, "no-store", ns::HINTS);
    }
    nick(out, message.nick.as_deref());
    if let Some(user) = &message.muc {
        muc::write_muc_user(out, user);
    }
    if let Some(invite) = &message.direct_invite {
        muc::write_direct_invite(out, invite);
    }
    if let Some(time) = message.delay.or(held.filter(|_| message.body.is_some())) {
        // A room tells its past itself, whoever said it. XEP-0045 §7.2.13.
        let room = message.from.bare();
        let by = match message.kind {
            MessageType::Groupchat => room.as_jid().as_str(),
            _ => domain,
        };
        out.put_slice(b"<delay");
        attribute(out, "xmlns", ns::DELAY);
        attribute(out, "from", by);
        attribute(out, "stamp", &stamp::format(time));
        out.put_slice(b"/>");
    }
    error(out, message.error.as_ref());
    out.put_slice(b"</message>");
}

fn write_presence(out: &mut BytesMut, presence: &OutgoingPresence, domain: &str) {
    let kind = match presence.kind {
        PresenceType::Available => None,
        PresenceType::Error => Some("error"),
        PresenceType::Probe => Some("probe"),
        PresenceType::Subscribe => Some("subscribe"),
        PresenceType::Subscribed => Some("subscribed"),
        PresenceType::Unavailable => Some("unavailable"),
        PresenceType::Unsubscribe => Some("unsubscribe"),
        PresenceType::Unsubscribed => Some("unsubscribed"),
    };
    out.put_slice(b"<presence");
    addresses(out, &presence.from, &presence.to, domain);
    optional_attribute(out, "id", presence.id.as_deref());
    optional_attribute(out, "type", kind);
    out.put_slice(b">");
    optional_element(out, "show", presence.show.map(|show| show.name()));
    optional_element(out, "status", presence.status.as_deref());
    if let Some(priority) = presence.priority {
        optional_element(out, "priority", Some(&priority.to_string()));
    }
    nick(out, presence.nick.as_deref());
    match &presence.muc {
        Some(MucElement::User(user)) => muc::write_muc_user(out, user),
        Some(MucElement::Join(join)) => muc::write_join(out, join),
        None => {}
    }
    error(out, presence.error.as_ref());
    out.put_slice(b"</presence>");
}

fn write_iq(out: &mut BytesMut, iq: &OutgoingIq, domain: &str) {
    let kind = match iq.kind {
        IqType::Get => "get",
        IqType::Set => "set",
        IqType::Result => "result",
        IqType::Error => "error",
    };
    out.put_slice(b"<iq");
    addresses(out, &iq.from, &iq.to, domain);
    attribute(out, "id", &iq.id);
    attribute(out, "type", kind);
    out.put_slice(b">");
    if let Some(payload) = &iq.payload {
        out.put_slice(payload.as_bytes());
    }
    error(out, iq.error.as_ref());
    out.put_slice(b"</iq>");
}

fn addresses(out: &mut BytesMut, from: &Jid, to: &Jid, domain: &str) {
    if from.domain().eq_ignore_ascii_case(domain) {
        attribute(out, "from", from.as_str());
    } else {
        tracing::error!(%from, domain, "a stanza from an address that is not ours; it goes out from the domain");
        attribute(out, "from", domain);
    }
    attribute(out, "to", to.as_str());
}

fn error(out: &mut BytesMut, error: Option<&StanzaError>) {
    let Some(error) = error else { return };
    let kind = match error.kind.as_str() {
        kind @ ("auth" | "cancel" | "continue" | "modify" | "wait") => kind,
        _ => "cancel",
    };
    let condition = match error.condition.as_str() {
        "" => "undefined-condition",
        name if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') => name,
        _ => "undefined-condition",
    };
    out.put_slice(b"<error");
    attribute(out, "type", kind);
    if let Some(by) = &error.by {
        attribute(out, "by", by);
    }
    out.put_slice(b"><");
    out.put_slice(condition.as_bytes());
    attribute(out, "xmlns", ns::STANZA_ERRORS);
    match &error.address {
        Some(address) => {
            out.put_slice(b">");
            text(out, address);
            out.put_slice(b"</");
            out.put_slice(condition.as_bytes());
            out.put_slice(b">");
        }
        None => out.put_slice(b"/>"),
    }
    if let Some(words) = &error.text {
        out.put_slice(b"<text");
        attribute(out, "xmlns", ns::STANZA_ERRORS);
        out.put_slice(b">");
        text(out, words);
        out.put_slice(b"</text>");
    }
    out.put_slice(b"</error>");
}

fn nick(out: &mut BytesMut, name: Option<&str>) {
    let Some(name) = name else { return };
    out.put_slice(b"<nick");
    attribute(out, "xmlns", ns::NICK);
    out.put_slice(b">");
    text(out, name);
    out.put_slice(b"</nick>");
}

fn empty_element(out: &mut BytesMut, name: &str, namespace: &str) {
    out.put_slice(b"<");
    out.put_slice(name.as_bytes());
    attribute(out, "xmlns", namespace);
    out.put_slice(b"/>");
}

/// An element whose only attribute is the id of what it is about.
fn named(out: &mut BytesMut, name: &str, namespace: &str, id: &str) {
    out.put_slice(b"<");
    out.put_slice(name.as_bytes());
    attribute(out, "xmlns", namespace);
    attribute(out, "id", id);
    out.put_slice(b"/>");
}

pub(super) fn optional_element(out: &mut BytesMut, name: &str, content: Option<&str>) {
    let Some(content) = content else { return };
    out.put_slice(b"<");
    out.put_slice(name.as_bytes());
    out.put_slice(b">");
    text(out, content);
    out.put_slice(b"</");
    out.put_slice(name.as_bytes());
    out.put_slice(b">");
}

pub(super) fn optional_attribute(out: &mut BytesMut, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        attribute(out, name, value);
    }
}

/// ` name="value"`. Line ends and tabs are written as references, or they would come out as spaces.
pub(super) fn attribute(out: &mut BytesMut, name: &str, value: &str) {
    out.put_slice(b" ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"=\"");
    escape(out, value, |c| match c {
        '<' => Some("&lt;"),
        '&' => Some("&amp;"),
        '"' => Some("&quot;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        c => illegal(c),
    });
    out.put_slice(b"\"");
}

/// Character data. A carriage return stays raw: with the line feed after it the receiver reads one line end, as SIP
/// bodies mean it.
pub(super) fn text(out: &mut BytesMut, value: &str) {
    escape(out, value, |c| match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '\t' | '\n' | '\r' => None,
        c => illegal(c),
    });
}

/// U+FFFD for what no XML 1.0 document can carry, not even as a reference. XML 1.0 §2.2.
fn illegal(c: char) -> Option<&'static str> {
    match c {
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => Some("\u{fffd}"),
        _ => None,
    }
}

fn escape(out: &mut BytesMut, value: &str, replacement: impl Fn(char) -> Option<&'static str>) {
    out.reserve(value.len());
    let mut rest = value;
    // Most text has nothing to escape, and is passed over byte by byte.
    while let Some(at) = find_suspect(rest.as_bytes()) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.put_slice(before.as_bytes());
        let mut characters = after.chars();
        let Some(c) = characters.next() else { return };
        match replacement(c) {
            Some(with) => out.put_slice(with.as_bytes()),
            None => out.put_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = characters.as_str();
    }
    out.put_slice(rest.as_bytes());
}

/// Sixteen bytes are looked at as one.
fn find_suspect(bytes: &[u8]) -> Option<usize> {
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |any, byte| any | suspect(*byte));
    let plain: usize = bytes.chunks(16).take_while(is_plain).map(<[u8]>::len).sum();
    let at = bytes.get(plain..)?.iter().position(|byte| suspect(*byte))?;
    Some(plain + at)
}

/// Whether the character that begins with this byte may need a replacement; 0xEF begins U+FFFE and U+FFFF.
fn suspect(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'<' | b'>' | b'&' | b'"' | 0xef)
}

#[cfg(test)]
mod tests;
