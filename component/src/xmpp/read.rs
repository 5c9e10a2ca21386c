//! Elements of the stream into stanzas.
//!
//! Reading is lenient: what a server lets through is taken as well as it can be understood, and what cannot be
//! understood becomes an error reply to its sender, never the end of the stream. RFC 6120 §8.3, SEC-10.

use bytes::Bytes;
use roxmltree::{Document, Node, NodeType, ParsingOptions};
use thiserror::Error;

use super::framing::{self, Excess};
use super::ns;
use super::outgoing::{Outgoing, OutgoingIq, OutgoingMessage, OutgoingPresence};
use super::stanza::{
    ChatState, Delay, Hints, Iq, IqType, Join, Message, MessageType, Payload, Presence,
    PresenceType, Receipt, Show, Stanza, StanzaError, Text, Thread,
};
use crate::address::{Jid, JidError};
use crate::stamp;

/// Nodes of one stanza, text included.
const MAX_NODES: u32 = 16 * 1024;
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

/// Reads the elements of one stream.
#[derive(Debug)]
pub(super) struct Reader {
    domain: Jid,
    /// An opening tag with the namespaces that the stream's own opening tag declares.
    opening: String,
    document: String,
}

impl Reader {
    /// A reader for a stream whose opening tag declares these namespaces (prefix, or none, and name).
    pub(super) fn new<'a>(
        domain: &Jid,
        namespaces: impl IntoIterator<Item = (Option<&'a str>, &'a str)>,
    ) -> Reader {
        let mut opening = bytes::BytesMut::from(&b"<stream"[..]);
        for (prefix, name) in namespaces {
            let attribute = match prefix {
                Some("xml") => continue,
                Some(prefix) => format!("xmlns:{prefix}"),
                None => "xmlns".to_owned(),
            };
            super::write::attribute(&mut opening, &attribute, name);
        }
        Reader {
            domain: domain.clone(),
            opening: String::from_utf8_lossy(&opening).into_owned() + ">",
            document: String::new(),
        }
    }

    /// Reads one whole element.
    pub(super) fn read(&mut self, element: &[u8]) -> Result<Element, Unreadable> {
        let failed = |reason: Reason| Unreadable {
            reason,
            envelope: None,
        };
        let text = match std::str::from_utf8(element) {
            Ok(text) => text,
            Err(error) => {
                return Err(
                    self.unreadable(Some(element), Reason::NotWellFormed(error.to_string()))
                );
            }
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
            }) => Err(self.unreadable(Some(element), reason)),
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
            from,
            to,
            id: owned(node.attribute("id")),
            kind,
            unknown_type,
            lang: owned(node.attribute((XML, "lang"))),
            bodies: Vec::new(),
            subjects: Vec::new(),
            thread: None,
            chat_state: None,
            receipt: None,
            delay: None,
            nick: None,
            error: None,
            hints: Hints::default(),
            payloads: Vec::new(),
        };
        for child in node.children().filter(Node::is_element) {
            message.add(child);
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
            from,
            to,
            id: owned(node.attribute("id")),
            kind,
            lang: owned(node.attribute((XML, "lang"))),
            show: None,
            statuses: Vec::new(),
            priority: 0,
            nick: None,
            delay: None,
            join: None,
            error: None,
            payloads: Vec::new(),
        };
        for child in node.children().filter(Node::is_element) {
            presence.add(child);
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
        let payload = payloads.next().map(payload);
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
            lang: owned(node.attribute((XML, "lang"))),
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

impl Envelope {
    fn of(node: Node<'_, '_>) -> Envelope {
        Envelope {
            name: node.tag_name().name().to_owned(),
            from: owned(node.attribute("from")),
            to: owned(node.attribute("to")),
            id: owned(node.attribute("id")),
            kind: owned(node.attribute("type")),
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

impl Message {
    fn add(&mut self, child: Node<'_, '_>) {
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
            (ns::DELAY, "delay") => self.delay = delay(child).or(self.delay.take()),
            (ns::NICK, "nick") => self.nick = Some(content(child)),
            (ns::HINTS, "no-store") => self.hints.no_store = true,
            (ns::HINTS, "no-permanent-store") => self.hints.no_permanent_store = true,
            (ns::HINTS, "no-copy") | (ns::CARBONS, "private") => self.hints.no_copy = true,
            (ns::HINTS, "store") => self.hints.store = true,
            _ => self.payloads.push(payload(child)),
        }
    }
}

impl Presence {
    fn add(&mut self, child: Node<'_, '_>) {
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
            (ns::MUC, "x") => self.join = Some(join(child)),
            _ => self.payloads.push(payload(child)),
        }
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
        lang: owned(node.attribute((XML, "lang"))).or_else(|| inherited.clone()),
        text: content(node),
    }
}

/// All character data within, whatever comments or foreign elements stand between.
fn content(node: Node<'_, '_>) -> String {
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

fn join(node: Node<'_, '_>) -> Join {
    let child = |name| {
        node.children()
            .find(|child| child.has_tag_name((ns::MUC, name)))
    };
    Join {
        password: child("password").map(content),
        max_stanzas: child("history")
            .and_then(|history| history.attribute("maxstanzas"))
            .and_then(|number| number.trim().parse().ok()),
    }
}

fn stanza_error(node: Node<'_, '_>) -> StanzaError {
    let mut error = StanzaError {
        kind: node.attribute("type").unwrap_or("cancel").to_owned(),
        condition: "undefined-condition".to_owned(),
        address: None,
        text: None,
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

fn payload(node: Node<'_, '_>) -> Payload {
    let mut xml = bytes::BytesMut::new();
    copy(&mut xml, node, None);
    Payload {
        namespace: node.tag_name().namespace().unwrap_or_default().to_owned(),
        name: node.tag_name().name().to_owned(),
        xml: String::from_utf8_lossy(&xml).into_owned(),
    }
}

/// Writes an element with every namespace it needs. It calls itself once per level, and [`framing`](super::framing)
/// has bounded those.
fn copy(out: &mut bytes::BytesMut, node: Node<'_, '_>, outer: Option<&str>) {
    let name = node.tag_name().name();
    let namespace = node.tag_name().namespace().unwrap_or_default();
    out.extend_from_slice(b"<");
    out.extend_from_slice(name.as_bytes());
    if outer != Some(namespace) {
        super::write::attribute(out, "xmlns", namespace);
    }
    for (number, attribute) in node.attributes().enumerate() {
        match attribute.namespace() {
            None => super::write::attribute(out, attribute.name(), attribute.value()),
            Some(XML) => {
                super::write::attribute(
                    out,
                    &format!("xml:{}", attribute.name()),
                    attribute.value(),
                );
            }
            Some(namespace) => {
                super::write::attribute(out, &format!("xmlns:n{number}"), namespace);
                super::write::attribute(
                    out,
                    &format!("n{number}:{}", attribute.name()),
                    attribute.value(),
                );
            }
        }
    }
    out.extend_from_slice(b">");
    for child in node.children() {
        match child.node_type() {
            NodeType::Element => copy(out, child, Some(namespace)),
            NodeType::Text => super::write::text(out, child.text().unwrap_or_default()),
            NodeType::Root | NodeType::PI | NodeType::Comment => {}
        }
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b">");
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::framing::{Frame, FrameLimits, Framer};
    use bytes::BytesMut;
    use std::time::{Duration, UNIX_EPOCH};

    const H: &str = "sip.example.com";

    fn reader() -> Reader {
        Reader::new(
            &Jid::parse(H).unwrap(),
            [
                (None, ns::COMPONENT),
                (Some("stream"), ns::STREAM),
                (Some("db"), "jabber:server:dialback"),
            ],
        )
    }

    fn read(text: &str) -> Result<Element, Unreadable> {
        reader().read(text.as_bytes())
    }

    fn message(inner: &str) -> Message {
        let text = format!(
            "<message from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' {inner}</message>"
        );
        match read(&text) {
            Ok(Element::Stanza(Stanza::Message(message))) => *message,
            other => panic!("{other:?}"),
        }
    }

    fn presence(inner: &str) -> Presence {
        let text = format!(
            "<presence from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' {inner}</presence>"
        );
        match read(&text) {
            Ok(Element::Stanza(Stanza::Presence(presence))) => *presence,
            other => panic!("{other:?}"),
        }
    }

    /// The reply to raw bytes that are cut and read as the link does it, as the condition it tells.
    fn reply_to(bytes: &[u8]) -> Option<String> {
        let mut framer = Framer::new(FrameLimits::default(), BytesMut::from(bytes));
        let mut reader = reader();
        let unreadable = match framer.poll_frame().unwrap().unwrap() {
            Frame::Element(element) => reader.read(&element).unwrap_err(),
            Frame::LeftOut { opening, excess } => reader.left_out(opening.as_ref(), excess),
            Frame::End => panic!("the end"),
        };
        assert_eq!(framer.poll_frame(), Ok(None));
        let error = match unreadable.reply(&Jid::parse(H).unwrap())? {
            Outgoing::Message(message) => message.error.unwrap(),
            Outgoing::Presence(presence) => presence.error.unwrap(),
            Outgoing::Iq(iq) => iq.error.unwrap(),
        };
        Some(error.condition)
    }

    #[test]
    fn a_message_with_everything() {
        let message = message(
            "id='m1' type='chat' xml:lang='en'><subject>S</subject><body>plain &amp; <![CDATA[<simple>]]></body>\
             <body xml:lang='de'>schlicht</body><thread parent='p'>t</thread>\
             <composing xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
             <delay xmlns='urn:xmpp:delay' from='x' stamp='2002-09-10T23:08:25Z'/>\
             <nick xmlns='http://jabber.org/protocol/nick'>Juliet</nick><private xmlns='urn:xmpp:carbons:2'/>\
             <no-store xmlns='urn:xmpp:hints'/><x:origin-id xmlns:x='urn:xmpp:sid:0' id='o1'/>",
        );
        assert_eq!(message.from.as_str(), "juliet@example.com/balcony");
        assert_eq!(message.id.as_deref(), Some("m1"));
        assert_eq!(message.kind, MessageType::Chat);
        assert_eq!(message.body().unwrap().text, "plain & <simple>");
        assert_eq!(message.bodies[1].lang.as_deref(), Some("de"));
        assert_eq!(message.subject().unwrap().text, "S");
        assert_eq!(
            message.thread,
            Some(Thread {
                id: "t".into(),
                parent: Some("p".into())
            })
        );
        assert_eq!(message.chat_state, Some(ChatState::Composing));
        assert_eq!(message.receipt, Some(Receipt::Requested));
        assert_eq!(
            message.delay.unwrap().stamp,
            UNIX_EPOCH + Duration::from_secs(1_031_699_305)
        );
        assert_eq!(message.nick.as_deref(), Some("Juliet"));
        assert_eq!(
            message.hints,
            Hints {
                no_store: true,
                no_copy: true,
                ..Hints::default()
            }
        );
        assert_eq!(
            message.payloads,
            [Payload {
                namespace: "urn:xmpp:sid:0".into(),
                name: "origin-id".into(),
                xml: "<origin-id xmlns=\"urn:xmpp:sid:0\" id=\"o1\"></origin-id>".into(),
            }]
        );
    }

    // IM-14
    #[test]
    fn the_body_in_the_language_of_the_stanza_is_taken() {
        let german = message(
            "xml:lang='de'><body xml:lang='en'>hello</body><body xml:lang='de'>hallo</body>",
        );
        assert_eq!(german.body().unwrap().text, "hallo");
        let other = message(
            "xml:lang='fr'><body xml:lang='en'>hello</body><body xml:lang='de'>hallo</body>",
        );
        assert_eq!(other.body().unwrap().text, "hello");
        assert_eq!(message(">").body(), None);
    }

    #[test]
    fn payloads_stand_alone() {
        let message = message(
            "xmlns:p='urn:p' xml:lang='en'><p:a p:b='1' xml:lang='de' c='&lt;'><d xmlns='urn:d'>x &amp; y<e/></d><p:f/></p:a>",
        );
        let payload = message.payload("urn:p", "a").unwrap();
        assert_eq!(
            payload.xml,
            "<a xmlns=\"urn:p\" xmlns:n0=\"urn:p\" n0:b=\"1\" xml:lang=\"de\" c=\"&lt;\">\
             <d xmlns=\"urn:d\">x &amp; y<e></e></d><f></f></a>"
        );
        roxmltree::Document::parse(&payload.xml).unwrap();
    }

    #[test]
    fn errors_of_messages() {
        let message = message(
            "type='error' id='m1'><body>x</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>moved</text><own xmlns='urn:own'/></error>",
        );
        let error = StanzaError {
            kind: "cancel".into(),
            condition: "gone".into(),
            address: Some("xmpp:a@b".into()),
            text: Some("moved".into()),
        };
        assert_eq!(message.error, Some(error.clone()));
        assert_eq!(Outgoing::refusal(&message, error), None);
        let bare = super::tests::message("type='error'><error/>");
        assert_eq!(bare.error.unwrap().condition, "undefined-condition");
    }

    #[test]
    fn presence_is_lenient() {
        let away = presence("><show> away </show><status>out</status><priority>5</priority>");
        assert_eq!((away.show, away.priority), (Some(Show::Away), 5));
        // What an ordinary client can make a server send.
        let odd = presence("><show>online</show><priority>200</priority><priority/><status/>");
        assert_eq!(
            (odd.kind, odd.show, odd.priority),
            (PresenceType::Available, None, 0)
        );
        assert_eq!(presence("><show/>").show, None);
        let join = presence(
            "><x xmlns='http://jabber.org/protocol/muc'><password>p</password><history maxstanzas='7'/></x>",
        );
        assert_eq!(
            join.join,
            Some(Join {
                password: Some("p".into()),
                max_stanzas: Some(7)
            })
        );
        assert_eq!(
            presence("type='unavailable'>").kind,
            PresenceType::Unavailable
        );
    }

    #[test]
    fn addresses_stay_as_the_server_prepared_them() {
        for (from, to) in [
            ("juliet@example.com/📱", "romeo%example.net@sip.example.com"),
            ("😀@example.com/x", "romeo%example.net@sip.example.com"),
            ("Ԩ@example.com/Ԩ", "romeo%example.net@sip.example.com"),
            ("juliet@example.com/x", "romeo\\@sip.example.com"),
            ("juliet@example.com/x", "romeo\\2@sip.example.com/\\"),
        ] {
            let text = format!("<message from='{from}' to='{to}'><body>x</body></message>");
            let Ok(Element::Stanza(Stanza::Message(message))) = read(&text) else {
                panic!("{text}");
            };
            assert_eq!((message.from.as_str(), message.to.as_str()), (from, to));
        }
    }

    #[test]
    fn unknown_message_types_are_normal_and_remembered() {
        let odd = message("type='foo'><body>x</body>");
        assert_eq!(odd.kind, MessageType::Normal);
        assert_eq!(odd.unknown_type.as_deref(), Some("foo"));
    }

    #[test]
    fn several_threads_and_bodies() {
        let odd =
            message("><thread/><thread>a</thread><thread>b</thread><body>1</body><body>2</body>");
        assert_eq!(odd.thread.as_ref().unwrap().id, "a");
        assert_eq!(odd.body().unwrap().text, "1");
    }

    #[test]
    fn requests_without_id_are_read() {
        let read = read(
            "<iq from='a@b/c' to='sip.example.com' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        );
        let Ok(Element::Stanza(Stanza::Iq(iq))) = read else {
            panic!("{read:?}");
        };
        assert_eq!(iq.id, None);
        assert_eq!(iq.payload.unwrap().name, "ping");
    }

    #[test]
    fn a_missing_recipient_is_the_domain() {
        let Ok(Element::Stanza(Stanza::Message(message))) = read("<message from='a@b/c'/>") else {
            panic!("no message");
        };
        assert_eq!(message.to.as_str(), H);
    }

    #[test]
    fn stream_level_elements() {
        let error = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                     <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error>";
        let expected = StreamError {
            condition: "conflict".into(),
            text: Some("Replaced".into()),
        };
        assert_eq!(expected.to_string(), "conflict (Replaced)");
        assert_eq!(read(error), Ok(Element::StreamError(expected)));
        assert_eq!(read("<handshake/>"), Ok(Element::Other("handshake".into())));
        assert_eq!(
            read("<x:message xmlns:x='urn:x'/>"),
            Ok(Element::Other("message".into()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let deep = format!(
            "<message from='a@b/c' to='d@sip.example.com'>{}{}</message>",
            "<a>".repeat(3000),
            "</a>".repeat(3000)
        );
        let large = format!(
            "<message from='a@b/c' to='d@sip.example.com'><body>{}</body></message>",
            "x".repeat(300_000)
        );
        let nodes = format!(
            "<message from='a@b/c' to='d@sip.example.com'>{}</message>",
            "<a/>".repeat(20_000)
        );
        let not_utf8 = b"<message from='a@b/c' to='d@sip.example.com'><body>\xff</body></message>";
        for (bytes, condition) in [
            (deep.as_bytes(), Some("policy-violation")),
            (large.as_bytes(), Some("policy-violation")),
            (nodes.as_bytes(), Some("bad-request")),
            (&not_utf8[..], Some("bad-request")),
            (
                b"<message from='a@b/c' to='@sip.example.com'/>",
                Some("jid-malformed"),
            ),
            (
                b"<message from='a@b/c' to='d@sip.example.com/'/>",
                Some("jid-malformed"),
            ),
            (
                b"<message from='a@b/c' to='d@sip.example.com'><a></b></message>",
                Some("bad-request"),
            ),
            (
                b"<message from='a@b/c' to='d@sip.example.com'>&nbsp;</message>",
                Some("bad-request"),
            ),
            (
                b"<message from='a@b/c' to='d@sip.example.com'><p:a/></message>",
                Some("bad-request"),
            ),
            (
                b"<presence type='foo' from='a@b/c' to='d@sip.example.com'/>",
                Some("bad-request"),
            ),
            (
                b"<iq from='a@b/c' to='d@sip.example.com'/>",
                Some("bad-request"),
            ),
            (
                b"<iq type='get' id='1' from='a@b/c' to='d@sip.example.com'/>",
                Some("bad-request"),
            ),
            (
                b"<iq type='set' id='1' from='a@b/c' to='d@sip.example.com'><a/><b/></iq>",
                Some("bad-request"),
            ),
            // Never answered: errors, results, and senders that cannot be addressed.
            (
                b"<message type='error' from='a@b/c' to='@sip.example.com'/>",
                None,
            ),
            (
                b"<iq type='result' id='1' from='a@b/c' to='@sip.example.com'/>",
                None,
            ),
            (
                b"<iq type='error' id='1' from='a@b/c' to='@sip.example.com'/>",
                None,
            ),
            (
                b"<presence type='unavailable' from='a@b/c' to='@sip.example.com'/>",
                None,
            ),
            (b"<message from='@b' to='d@sip.example.com'/>", None),
            (b"<message to='d@sip.example.com'/>", None),
            (b"<message from='a@b/c' to='x' a='1' a='2'/>", None),
        ] {
            let shown = String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes));
            assert_eq!(reply_to(bytes).as_deref(), condition, "{shown}");
        }
    }

    #[test]
    fn replies_come_from_our_domain() {
        for (to, from) in [
            ("romeo@sip.example.com/x", "romeo@sip.example.com/x"),
            ("romeo@elsewhere.example", H),
            ("@sip.example.com", H),
        ] {
            let text = format!("<iq from='a@b/c' id='i1' to='{to}' type='foo'/>");
            let reply = read(&text).unwrap_err().reply(&Jid::parse(H).unwrap());
            let Some(Outgoing::Iq(iq)) = reply else {
                panic!("{reply:?}")
            };
            assert_eq!((iq.from.as_str(), iq.id.as_str()), (from, "i1"));
        }
    }

    // SEC-10: work is bounded whatever a stanza holds.
    #[test]
    fn many_namespaces_are_read_in_no_time() {
        let prefixes: String = (0..63).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
        let text = format!(
            "<message from='a@b/c' to='d@sip.example.com'><a{prefixes}>{}</a></message>",
            "<b xmlns='v'/>".repeat(10_000)
        );
        let begin = std::time::Instant::now();
        read(&text).unwrap();
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    }
}
