//! Elements of the stream into stanzas.
//!
//! Reading is lenient: what a server lets through is taken as well as it can be understood, and what cannot be
//! understood becomes an error reply to its sender, never the end of the stream. RFC 6120 §8.3, SEC-10.

use bytes::Bytes;
use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

use super::framing::{self, Excess};
use super::known::Known;
use super::muc;
use super::ns;
use super::payload::Payloads;
use super::plain;
use super::refusal::{Envelope, Reason, Unreadable};
use super::stanza::{
    ChatState, Delay, Iq, IqType, Marker, Message, MessageType, Presence, PresenceType, Receipt,
    Show, Stanza, StanzaError, Text, Thread,
};
use crate::address::Jid;
use crate::stamp;

/// Nodes of one stanza, text included.
const MAX_NODES: u32 = 16 * 1024;
/// Bytes of a language tag worth keeping: the longest that RFC 5646 §4.4.1 asks of anyone is 35.
const MAX_LANG: usize = 64;
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// What an element of the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// A stanza.
    Stanza(Stanza),
    /// The server ends the stream.
    StreamError(StreamError),
    /// Something that is not expected after the login; its name.
    Other(String),
}

/// Why the server ends the stream. RFC 6120 §4.9.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{condition}{}", .text.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub(super) struct StreamError {
    /// Name of the defined condition.
    pub(super) condition: String,
    /// The server's words.
    pub(super) text: Option<String>,
}

/// Reads a stanza that came on an earlier stream. `None`: it is none, or cannot be read without what that stream declared.
pub fn reread(domain: &str, stanza: &[u8]) -> Option<Stanza> {
    let domain = Jid::from_parts(None, domain, None).ok()?;
    match Reader::new(&domain, [(None, ns::COMPONENT)]).read(stanza) {
        Ok(Element::Stanza(stanza)) => Some(stanza),
        Ok(Element::StreamError(_) | Element::Other(_)) | Err(_) => None,
    }
}

/// Reads the elements of one stream.
#[derive(Debug)]
pub(super) struct Reader {
    domain: Jid,
    /// Whether a tag without a prefix is one of a component's stream.
    is_default: bool,
    /// An opening tag with the namespaces that the stream's own opening tag declares.
    opening: String,
    document: String,
    known: Known,
}

impl Reader {
    /// A reader for a stream whose opening tag declares these namespaces (prefix, or none, and name).
    pub(super) fn new<'a>(
        domain: &Jid,
        namespaces: impl IntoIterator<Item = (Option<&'a str>, &'a str)>,
    ) -> Reader {
        let mut is_default = false;
        let mut opening = bytes::BytesMut::from(&b"<stream"[..]);
        for (prefix, name) in namespaces {
            let attribute = match prefix {
                Some("xml") => continue,
                Some(prefix) => format!("xmlns:{prefix}"),
                None => {
                    is_default = name == ns::COMPONENT;
                    "xmlns".to_owned()
                }
            };
            super::write::attribute(&mut opening, &attribute, name);
        }
        Reader {
            domain: domain.clone(),
            is_default,
            opening: String::from_utf8_lossy(&opening).into_owned() + ">",
            document: String::new(),
            known: Known::default(),
        }
    }

    /// Reads one whole element.
    pub(super) fn read(&mut self, element: &[u8]) -> Result<Element, Unreadable> {
        let text = match std::str::from_utf8(element) {
            Ok(text) => text,
            Err(error) => {
                return Err(
                    self.unreadable(Some(element), Reason::NotWellFormed(error.to_string()))
                );
            }
        };
        if self.is_default
            && let Some(message) = plain::read(text, &self.domain, &mut self.known)
        {
            return Ok(Element::Stanza(Stanza::Message(Box::new(message))));
        }
        self.read_any(text)
    }

    /// Reads whatever it is, by way of a tree.
    fn read_any(&mut self, text: &str) -> Result<Element, Unreadable> {
        let failed = |reason: Reason| Unreadable {
            reason,
            envelope: None,
        };
        let mut whole = std::mem::take(&mut self.document);
        whole.clear();
        whole.push_str(&self.opening);
        whole.push_str(text);
        whole.push_str("</stream>");
        let read = match Document::parse_with_options(&whole, options()) {
            Ok(document) => match document.root_element().first_element_child() {
                Some(node) => self.element(node),
                None => Err(failed(Reason::NotWellFormed("no element".into()))),
            },
            Err(error) => Err(failed(Reason::NotWellFormed(error.to_string()))),
        };
        self.document = whole;
        match read {
            Err(Unreadable {
                reason,
                envelope: None,
            }) => Err(self.unreadable(Some(text.as_bytes()), reason)),
            read => read,
        }
    }

    /// What can be said of an element that was left out.
    pub(super) fn left_out(&self, opening: Option<&Bytes>, excess: Excess) -> Unreadable {
        self.unreadable(opening.map(|opening| &opening[..]), Reason::Excess(excess))
    }

    fn element(&self, node: Node<'_, '_>) -> Result<Element, Unreadable> {
        let tag = node.tag_name();
        let stanza = match (tag.namespace(), tag.name()) {
            (Some(ns::COMPONENT), "message") => {
                self.message(node).map(Box::new).map(Stanza::Message)
            }
            (Some(ns::COMPONENT), "presence") => {
                self.presence(node).map(Box::new).map(Stanza::Presence)
            }
            (Some(ns::COMPONENT), "iq") => self.iq(node).map(Box::new).map(Stanza::Iq),
            (Some(ns::STREAM), "error") => return Ok(Element::StreamError(stream_error(node))),
            (_, name) => return Ok(Element::Other(name.to_owned())),
        };
        stanza.map(Element::Stanza).map_err(|reason| Unreadable {
            reason,
            envelope: Some(Box::new(Envelope::of(node))),
        })
    }

    fn addresses(&self, node: Node<'_, '_>) -> Result<(Jid, Jid), Reason> {
        let from = Jid::parse(node.attribute("from").unwrap_or_default())
            .map_err(|error| Reason::Address("from", error))?;
        let to = match node.attribute("to") {
            Some(to) => Jid::parse(to).map_err(|error| Reason::Address("to", error))?,
            None => self.domain.clone(),
        };
        Ok((from, to))
    }

    fn message(&self, node: Node<'_, '_>) -> Result<Message, Reason> {
        let (from, to) = self.addresses(node)?;
        let (kind, unknown_type) = match node.attribute("type") {
            None | Some("normal") => (MessageType::Normal, None),
            Some("chat") => (MessageType::Chat, None),
            Some("groupchat") => (MessageType::Groupchat, None),
            Some("headline") => (MessageType::Headline, None),
            Some("error") => (MessageType::Error, None),
            // Treated as normal, as RFC 6121 §5.2.2 has it.
            Some(unknown) => (MessageType::Normal, Some(unknown.to_owned())),
        };
        let mut message = Message {
            id: owned(node.attribute("id")),
            unknown_type,
            lang: lang(node),
            ..Message::new(from, to, kind)
        };
        let mut payloads = Payloads::new();
        for child in node.children().filter(Node::is_element) {
            message.add(child, &mut payloads)?;
        }
        Ok(message)
    }

    fn presence(&self, node: Node<'_, '_>) -> Result<Presence, Reason> {
        let (from, to) = self.addresses(node)?;
        let kind = match node.attribute("type") {
            None => PresenceType::Available,
            Some("error") => PresenceType::Error,
            Some("probe") => PresenceType::Probe,
            Some("subscribe") => PresenceType::Subscribe,
            Some("subscribed") => PresenceType::Subscribed,
            Some("unavailable") => PresenceType::Unavailable,
            Some("unsubscribe") => PresenceType::Unsubscribe,
            Some("unsubscribed") => PresenceType::Unsubscribed,
            Some(_) => return Err(Reason::Type),
        };
        let mut presence = Presence {
            id: owned(node.attribute("id")),
            lang: lang(node),
            ..Presence::new(from, to, kind)
        };
        let mut payloads = Payloads::new();
        for child in node.children().filter(Node::is_element) {
            presence.add(child, &mut payloads)?;
        }
        Ok(presence)
    }

    fn iq(&self, node: Node<'_, '_>) -> Result<Iq, Reason> {
        let (from, to) = self.addresses(node)?;
        let kind = match node.attribute("type") {
            Some("get") => IqType::Get,
            Some("set") => IqType::Set,
            Some("result") => IqType::Result,
            Some("error") => IqType::Error,
            _ => return Err(Reason::Type),
        };
        let is_error = |child: &Node<'_, '_>| child.has_tag_name((ns::COMPONENT, "error"));
        let children = || node.children().filter(Node::is_element);
        let mut payloads = children().filter(|child| !is_error(child));
        let payload = payloads
            .next()
            .map(|child| Payloads::new().copy(child))
            .transpose()?;
        if matches!(kind, IqType::Get | IqType::Set)
            && (payload.is_none() || payloads.next().is_some())
        {
            return Err(Reason::Payload);
        }
        Ok(Iq {
            from,
            to,
            id: owned(node.attribute("id")),
            kind,
            lang: lang(node),
            payload,
            error: children().find(is_error).map(stanza_error),
        })
    }

    fn unreadable(&self, element: Option<&[u8]>, reason: Reason) -> Unreadable {
        Unreadable {
            reason,
            envelope: element
                .and_then(|element| self.envelope(element))
                .map(Box::new),
        }
    }

    /// Reads no more than the opening tag of an element that is broken further on.
    fn envelope(&self, element: &[u8]) -> Option<Envelope> {
        let opening = element.get(..framing::opening_end(element)?)?;
        let opening = std::str::from_utf8(opening).ok()?.strip_suffix('>')?;
        let opening = opening.strip_suffix('/').unwrap_or(opening);
        let whole = format!("{}{opening}/></stream>", self.opening);
        let document = Document::parse_with_options(&whole, options()).ok()?;
        let node = document.root_element().first_element_child()?;
        let tag = node.tag_name();
        let stanza = tag.namespace() == Some(ns::COMPONENT)
            && matches!(tag.name(), "message" | "presence" | "iq");
        stanza.then(|| Envelope::of(node))
    }
}

impl Message {
    fn add(&mut self, child: Node<'_, '_>, payloads: &mut Payloads) -> Result<(), Excess> {
        let tag = child.tag_name();
        match (tag.namespace().unwrap_or_default(), tag.name()) {
            (ns::COMPONENT, "body") => self.bodies.push(text(child, &self.lang)),
            (ns::COMPONENT, "subject") => self.subjects.push(text(child, &self.lang)),
            (ns::COMPONENT, "thread") => {
                let id = content(child);
                if self.thread.is_none() && !id.is_empty() {
                    let parent = owned(child.attribute("parent"));
                    self.thread = Some(Thread { id, parent });
                }
            }
            (ns::COMPONENT, "error") => self.error = Some(stanza_error(child)),
            (ns::CHAT_STATES, name) => self.chat_state = chat_state(name).or(self.chat_state),
            (ns::RECEIPTS, "request") => self.receipt = Some(Receipt::Requested),
            (ns::RECEIPTS, "received") => {
                // The oldest form had no id, and says nothing that could be handed on.
                if let Some(id) = child.attribute("id") {
                    self.receipt = Some(Receipt::Received(id.to_owned()));
                }
            }
            (ns::MARKERS, name) => self.marker = marker(name, child).or(self.marker.take()),
            (ns::DELAY, "delay") => self.delay = delay(child).or(self.delay.take()),
            (ns::NICK, "nick") => self.nick = Some(content(child)),
            (ns::HINTS, "no-store") => self.hints.no_store = true,
            (ns::HINTS, "no-permanent-store") => self.hints.no_permanent_store = true,
            (ns::HINTS, "no-copy") | (ns::CARBONS, "private") => self.hints.no_copy = true,
            (ns::HINTS, "store") => self.hints.store = true,
            (ns::MUC_USER, "x") => {
                self.muc
                    .get_or_insert_with(|| Box::new(muc::muc_user(child)));
            }
            (ns::CONFERENCE, "x") => {
                self.direct_invite = muc::direct_invite(child).map(Box::new);
            }
            (ns::STANZA_IDS, "stanza-id") => {
                if let (Some(by), Some(id)) = (child.attribute("by"), child.attribute("id")) {
                    self.archived(by, id);
                }
            }
            // An id of the client's own, which it recognises elsewhere.
            (ns::STANZA_IDS, "origin-id") => {}
            (ns::OCCUPANT_IDS, "occupant-id") => self.occupant_id = owned(child.attribute("id")),
            _ => self.payloads.push(payloads.copy(child)?),
        }
        Ok(())
    }
}

impl Presence {
    fn add(&mut self, child: Node<'_, '_>, payloads: &mut Payloads) -> Result<(), Excess> {
        let tag = child.tag_name();
        match (tag.namespace().unwrap_or_default(), tag.name()) {
            (ns::COMPONENT, "show") => self.show = show(content(child).trim()).or(self.show),
            (ns::COMPONENT, "status") => self.statuses.push(text(child, &self.lang)),
            (ns::COMPONENT, "priority") => {
                self.priority = content(child).trim().parse().unwrap_or(0)
            }
            (ns::COMPONENT, "error") => self.error = Some(stanza_error(child)),
            (ns::NICK, "nick") => self.nick = Some(content(child)),
            (ns::DELAY, "delay") => self.delay = delay(child).or(self.delay.take()),
            (ns::MUC, "x") => self.join = Some(muc::join(child)),
            (ns::MUC_USER, "x") => {
                self.muc
                    .get_or_insert_with(|| Box::new(muc::muc_user(child)));
            }
            (ns::OCCUPANT_IDS, "occupant-id") => self.occupant_id = owned(child.attribute("id")),
            _ => self.payloads.push(payloads.copy(child)?),
        }
        Ok(())
    }
}

fn options<'a>() -> ParsingOptions<'a> {
    ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    }
}

fn text(node: Node<'_, '_>, inherited: &Option<String>) -> Text {
    Text {
        lang: lang(node).or_else(|| inherited.clone()),
        text: content(node),
    }
}

/// All character data within, whatever comments or foreign elements stand between.
pub(super) fn content(node: Node<'_, '_>) -> String {
    let mut pieces = node
        .children()
        .filter(Node::is_text)
        .filter_map(|piece| piece.text());
    let mut content = pieces.next().unwrap_or_default().to_owned();
    pieces.for_each(|piece| content.push_str(piece));
    content
}

fn chat_state(name: &str) -> Option<ChatState> {
    Some(match name {
        "active" => ChatState::Active,
        "composing" => ChatState::Composing,
        "paused" => ChatState::Paused,
        "inactive" => ChatState::Inactive,
        "gone" => ChatState::Gone,
        _ => return None,
    })
}

fn marker(name: &str, node: Node<'_, '_>) -> Option<Marker> {
    let id = node.attribute("id").map(str::to_owned);
    Some(match name {
        "markable" => Marker::Markable,
        "received" => Marker::Received(id?),
        // That the user answered it means that it was seen.
        "displayed" | "acknowledged" => Marker::Displayed(id?),
        _ => return None,
    })
}

fn show(name: &str) -> Option<Show> {
    Some(match name {
        "away" => Show::Away,
        "chat" => Show::Chat,
        "dnd" => Show::Dnd,
        "xa" => Show::Xa,
        _ => return None,
    })
}

fn delay(node: Node<'_, '_>) -> Option<Delay> {
    Some(Delay {
        from: owned(node.attribute("from")),
        stamp: stamp::parse(node.attribute("stamp")?)?,
    })
}

fn stanza_error(node: Node<'_, '_>) -> StanzaError {
    let mut error = StanzaError {
        kind: node.attribute("type").unwrap_or("cancel").to_owned(),
        condition: "undefined-condition".to_owned(),
        address: None,
        text: None,
        by: owned(node.attribute("by")),
    };
    for child in node.children().filter(Node::is_element) {
        match (child.tag_name().namespace(), child.tag_name().name()) {
            (Some(ns::STANZA_ERRORS), "text") => error.text = Some(content(child)),
            (Some(ns::STANZA_ERRORS), name) => {
                error.condition = name.to_owned();
                error.address = Some(content(child)).filter(|address| !address.is_empty());
            }
            _ => {}
        }
    }
    error
}

fn stream_error(node: Node<'_, '_>) -> StreamError {
    let children = || {
        node.children()
            .filter(|child| child.tag_name().namespace() == Some(ns::STREAM_ERRORS))
    };
    let name = |child: Node<'_, '_>| child.tag_name().name().to_owned();
    StreamError {
        condition: children()
            .map(name)
            .find(|name| name != "text")
            .unwrap_or_else(|| "undefined-condition".to_owned()),
        text: children()
            .find(|child| child.tag_name().name() == "text")
            .map(content),
    }
}

/// `xml:lang`. Longer ones, which every text of the stanza would inherit, are none.
fn lang(node: Node<'_, '_>) -> Option<String> {
    owned(
        node.attribute((XML, "lang"))
            .filter(|lang| lang.len() <= MAX_LANG),
    )
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

#[cfg(test)]
mod tests;
