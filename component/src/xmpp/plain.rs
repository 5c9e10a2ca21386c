//! The messages that nearly all traffic consists of, read without building a tree.
//!
//! Plain is a `<message/>` of a handful of known children, each empty or with nothing but text in it: what users write
//! to each other, and what rooms reflect. What is anything
//! else, or might not be well-formed, is none of ours: the full reader takes it, and says what is wrong with it. For
//! what is plain the two come to the same.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::known::Known;
use super::ns;
use super::stanza::{ChatState, Delay, Marker, Message, MessageType, Receipt, Text, Thread};
use crate::address::Jid;
use crate::stamp;

/// Bytes of the longest language tag that is taken here.
const MAX_LANG: usize = 64;

/// Reads a stanza of a stream whose default namespace is that of components; `None` if it is not plain.
pub(super) fn read(stanza: &str, domain: &Jid, known: &mut Known) -> Option<Message> {
    // Without a way out at the first odd one, many bytes are looked at at a time.
    let is_odd = stanza.bytes().fold(false, |odd, byte| odd | is_odd(byte));
    if is_odd || has_noncharacters(stanza) {
        return None;
    }
    let mut rest = Cursor(stanza);
    rest.skip("<message")?;
    let (mut from, mut to, mut id, mut kind) = (None, None, None, None);
    let (mut lang, mut namespace) = (None, None);
    while let Some((name, value)) = rest.attribute()? {
        let place = match name {
            "from" => &mut from,
            "to" => &mut to,
            "id" => &mut id,
            "type" => &mut kind,
            "xml:lang" => &mut lang,
            "xmlns" if value == ns::COMPONENT => &mut namespace,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let kind = match kind.as_deref() {
        None | Some("normal") => MessageType::Normal,
        Some("chat") => MessageType::Chat,
        Some("groupchat") => MessageType::Groupchat,
        Some("headline") => MessageType::Headline,
        Some(_) => return None,
    };
    if lang.as_ref().is_some_and(|lang| lang.len() > MAX_LANG) {
        return None;
    }
    let from = known.read(&from?)?;
    let to = match to {
        Some(to) => known.read(&to)?,
        None => domain.clone(),
    };
    let mut message = Message {
        id: id.map(Cow::into_owned),
        lang: lang.map(Cow::into_owned),
        ..Message::new(from, to, kind)
    };
    rest.skip(">")?;
    while rest.skip("</message>").is_none() {
        child(&mut rest, &mut message)?;
    }
    rest.0.is_empty().then_some(message)
}

fn child(rest: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    rest.skip("<")?;
    let name = rest.name()?;
    let (mut namespace, mut own) = (None, Own::default());
    while let Some((attribute, value)) = rest.attribute()? {
        let place = match attribute {
            "xmlns" => &mut namespace,
            "id" => &mut own.id,
            "by" => &mut own.by,
            "from" => &mut own.from,
            "stamp" => &mut own.stamp,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    let text = rest.content(name)?;
    let namespace = namespace.as_deref().unwrap_or(ns::COMPONENT);
    match own {
        Own {
            id: None,
            by: None,
            from: None,
            stamp: None,
        } => bare_child(namespace, name, text, message),
        own if text.is_none() => named_child(namespace, name, own, message),
        _ => None,
    }
}

/// A child without attributes.
fn bare_child(
    namespace: &str,
    name: &str,
    text: Option<Cow<'_, str>>,
    message: &mut Message,
) -> Option<()> {
    let words = |text: Option<Cow<'_, str>>| Text {
        lang: message.lang.clone(),
        text: text.unwrap_or_default().into_owned(),
    };
    match (namespace, name) {
        (ns::COMPONENT, "body") => message.bodies.push(words(text)),
        (ns::COMPONENT, "subject") => message.subjects.push(words(text)),
        (ns::COMPONENT, "thread") => {
            if let (None, Some(id)) = (&message.thread, text) {
                let (id, parent) = (id.into_owned(), None);
                message.thread = Some(Thread { id, parent });
            }
        }
        (ns::CHAT_STATES, name) if text.is_none() => {
            message.chat_state = Some(match name {
                "active" => ChatState::Active,
                "composing" => ChatState::Composing,
                "paused" => ChatState::Paused,
                "inactive" => ChatState::Inactive,
                "gone" => ChatState::Gone,
                _ => return None,
            });
        }
        (ns::MARKERS, "markable") if text.is_none() => message.marker = Some(Marker::Markable),
        (ns::RECEIPTS, "request") if text.is_none() => message.receipt = Some(Receipt::Requested),
        (ns::HINTS, "store") if text.is_none() => message.hints.store = true,
        (ns::HINTS, "no-store") if text.is_none() => message.hints.no_store = true,
        // A private message of an occupant.
        (ns::MUC_USER, "x") if text.is_none() => {
            message.muc.get_or_insert_default();
        }
        _ => return None,
    }
    Some(())
}

/// What a child has of its own beside its namespace.
#[derive(Default)]
struct Own<'a> {
    id: Option<Cow<'a, str>>,
    by: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    stamp: Option<Cow<'a, str>>,
}

/// An empty child with attributes: what rooms and clients add to nearly every message.
fn named_child(namespace: &str, name: &str, own: Own<'_>, message: &mut Message) -> Option<()> {
    match (namespace, name, own) {
        (
            ns::STANZA_IDS,
            "stanza-id",
            Own {
                id: Some(id),
                by: Some(by),
                from: None,
                stamp: None,
            },
        ) => message.archived(&by, &id),
        (
            ns::STANZA_IDS,
            "origin-id",
            Own {
                by: None,
                from: None,
                stamp: None,
                ..
            },
        ) => {}
        (
            ns::OCCUPANT_IDS,
            "occupant-id",
            Own {
                id: Some(id),
                by: None,
                from: None,
                stamp: None,
            },
        ) => message.occupant_id = Some(id.into_owned()),
        (
            ns::DELAY,
            "delay",
            Own {
                id: None,
                by: None,
                from,
                stamp: Some(stamp),
            },
        ) => {
            message.delay = Some(Delay {
                from: from.map(Cow::into_owned),
                stamp: stamp::parse(&stamp)?,
            });
        }
        _ => return None,
    }
    Some(())
}

/// A control character that XML forbids, or one that it rewrites.
fn is_odd(byte: u8) -> bool {
    (byte < b' ') & (byte != b'\n') & (byte != b'\t')
}

/// U+FFFE and U+FFFF, which XML forbids.
fn has_noncharacters(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr(0xef, rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if matches!(rest, [0xbf, 0xbe | 0xbf, ..]) {
            return true;
        }
    }
    false
}

/// What is left of a stanza.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn cut(&mut self, len: usize) -> Option<&'a str> {
        let (cut, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(cut)
    }

    /// A name without a prefix.
    fn name(&mut self) -> Option<&'a str> {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'-';
        let len = self.0.bytes().take_while(|byte| is_letter(byte)).count();
        if len == 0 {
            return None;
        }
        self.cut(len)
    }

    /// The next attribute of a tag; inner `None` at the end of the tag.
    fn attribute(&mut self) -> Option<Option<(&'a str, Cow<'a, str>)>> {
        if self.skip(" ").is_none() {
            return Some(None);
        }
        if matches!(self.0.as_bytes(), [b'>' | b'/', ..]) {
            return Some(None);
        }
        let name = self.cut(memchr(b'=', self.0.as_bytes())?)?;
        self.skip("=")?;
        let quote = *self.0.as_bytes().first()?;
        if !matches!(quote, b'\'' | b'"') {
            return None;
        }
        self.cut(1)?;
        let value = self.cut(memchr(quote, self.0.as_bytes())?)?;
        self.cut(1)?;
        // White space in a value is not what it seems to be.
        let is_odd = |byte| matches!(byte, b'<' | b'\n' | b'\t');
        if value.bytes().any(is_odd) {
            return None;
        }
        Some(Some((name, resolved(value)?)))
    }

    /// To the end of the element whose tag is under way: its text, if there is any.
    fn content(&mut self, name: &str) -> Option<Option<Cow<'a, str>>> {
        if self.skip("/>").is_some() {
            return Some(None);
        }
        self.skip(">")?;
        let text = self.cut(memchr(b'<', self.0.as_bytes())?)?;
        self.skip("</")?;
        self.skip(name)?;
        self.skip(">")?;
        if memmem::find(text.as_bytes(), b"]]>").is_some() {
            return None;
        }
        match text.is_empty() {
            true => Some(None),
            false => Some(Some(resolved(text)?)),
        }
    }
}

/// With the five entities that XML defines; others, and characters by number, are left to the full reader.
fn resolved(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr(b'&', text.as_bytes()) else {
        return Some(Cow::Borrowed(text));
    };
    let (before, mut rest) = text.split_at_checked(first)?;
    let mut whole = String::with_capacity(text.len());
    whole.push_str(before);
    while !rest.is_empty() {
        let (character, len) = match rest.as_bytes() {
            [b'&', b'l', b't', b';', ..] => ('<', 4),
            [b'&', b'g', b't', b';', ..] => ('>', 4),
            [b'&', b'a', b'm', b'p', b';', ..] => ('&', 5),
            [b'&', b'a', b'p', b'o', b's', b';', ..] => ('\'', 6),
            [b'&', b'q', b'u', b'o', b't', b';', ..] => ('"', 6),
            _ => return None,
        };
        whole.push(character);
        rest = rest.get(len..)?;
        let next = memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        let (words, others) = rest.split_at_checked(next)?;
        whole.push_str(words);
        rest = others;
    }
    Some(Cow::Owned(whole))
}
