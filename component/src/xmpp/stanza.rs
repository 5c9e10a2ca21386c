//! Stanzas as they are read: own types that keep what a server lets through instead of refusing it.

use std::time::SystemTime;

use super::muc::{DirectInvite, Join, MucUser};
use crate::address::Jid;

/// A stanza for one of the addresses on our domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stanza {
    /// `<message/>`.
    Message(Box<Message>),
    /// `<presence/>`.
    Presence(Box<Presence>),
    /// `<iq/>`.
    Iq(Box<Iq>),
}

/// A `<message/>`. RFC 6121 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender, as the server stamped it.
    pub from: Jid,
    /// The address on our domain it is for.
    pub to: Jid,
    /// The sender's id; errors and receipts repeat it.
    pub id: Option<String>,
    /// What kind of exchange it belongs to. No `type` and an unknown one are [`MessageType::Normal`].
    pub kind: MessageType,
    /// The `type` as it came where RFC 6121 does not know it.
    pub unknown_type: Option<String>,
    /// `xml:lang` of the stanza.
    pub lang: Option<String>,
    /// Every `<body/>`, in the order of the stanza.
    pub bodies: Vec<Text>,
    /// Every `<subject/>`; an empty one is there with an empty text.
    pub subjects: Vec<Text>,
    /// `<thread/>`; of several the first.
    pub thread: Option<Thread>,
    /// What the sender is doing. XEP-0085.
    pub chat_state: Option<ChatState>,
    /// A delivery receipt, or the wish for one. XEP-0184.
    pub receipt: Option<Receipt>,
    /// What was seen, or the wish to be told. XEP-0333.
    pub marker: Option<Marker>,
    /// When the message was written, if it was held on its way. XEP-0203.
    pub delay: Option<Delay>,
    /// The name the sender goes by. XEP-0172.
    pub nick: Option<String>,
    /// What went wrong, in a message of [`MessageType::Error`].
    pub error: Option<StanzaError>,
    /// How the message wants to be stored and copied.
    pub hints: Hints,
    /// What a room says beside it: a private message of an occupant, an invitation, a change of the room. XEP-0045.
    pub muc: Option<Box<MucUser>>,
    /// An invitation to a room, from user to user. XEP-0249.
    pub direct_invite: Option<Box<DirectInvite>>,
    /// The id that the room it comes from archives it under; what others say they archived it under is not kept.
    /// XEP-0359.
    pub archive_id: Option<String>,
    /// Who wrote it, whatever their nickname is at the moment. XEP-0421.
    pub occupant_id: Option<String>,
    /// Every other child element.
    pub payloads: Vec<Payload>,
}

impl Message {
    /// A message without anything in it.
    pub fn new(from: Jid, to: Jid, kind: MessageType) -> Message {
        Message {
            from,
            to,
            id: None,
            kind,
            unknown_type: None,
            lang: None,
            bodies: Vec::new(),
            subjects: Vec::new(),
            thread: None,
            chat_state: None,
            receipt: None,
            marker: None,
            delay: None,
            nick: None,
            error: None,
            hints: Hints::default(),
            muc: None,
            direct_invite: None,
            archive_id: None,
            occupant_id: None,
            payloads: Vec::new(),
        }
    }

    /// The text to hand on: the body in the stanza's language, else the first. IM-14.
    pub fn body(&self) -> Option<&Text> {
        best(&self.bodies, self.lang.as_deref())
    }

    /// The subject in the stanza's language, else the first.
    pub fn subject(&self) -> Option<&Text> {
        best(&self.subjects, self.lang.as_deref())
    }

    /// The payload of that name, if it is there.
    pub fn payload(&self, namespace: &str, name: &str) -> Option<&Payload> {
        find(&self.payloads, namespace, name)
    }

    /// Somebody says that they archive it under this id: only the room it comes from is believed.
    pub(super) fn archived(&mut self, by: &str, id: &str) {
        let from = self.from.as_str();
        let room = from.split_once('/').map_or(from, |(room, _)| room);
        if room == by {
            self.archive_id = Some(id.to_owned());
        }
    }
}

/// The `type` of a message. RFC 6121 §5.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// Part of a one-to-one conversation.
    Chat,
    /// Stands alone.
    #[default]
    Normal,
    /// From or for a room.
    Groupchat,
    /// An alert to which no reply is expected.
    Headline,
    /// The fate of an earlier message.
    Error,
}

/// Text in a language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// `xml:lang` of the element, or the one it inherits from its stanza.
    pub lang: Option<String>,
    /// The text, entities resolved.
    pub text: String,
}

/// The conversation a message belongs to. RFC 6121 §5.2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its opaque id, never empty.
    pub id: String,
    /// The conversation it grew out of.
    pub parent: Option<String>,
}

/// What a chat partner is doing. XEP-0085 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatState {
    /// Attends to the conversation.
    Active,
    /// Writes.
    Composing,
    /// Wrote, and stopped.
    Paused,
    /// Has not looked for a while.
    Inactive,
    /// Has left the conversation.
    Gone,
}

impl ChatState {
    /// The name of its element.
    pub fn name(self) -> &'static str {
        match self {
            ChatState::Active => "active",
            ChatState::Composing => "composing",
            ChatState::Paused => "paused",
            ChatState::Inactive => "inactive",
            ChatState::Gone => "gone",
        }
    }
}

/// A delivery receipt, or the wish for one. XEP-0184 §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The sender asks to be told that the message arrived.
    Requested,
    /// The message of this id arrived.
    Received(String),
}

/// What was seen of a conversation, or the wish to be told. XEP-0333 §4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The sender asks to be told that the message was seen.
    Markable,
    /// The message of this id arrived.
    Received(String),
    /// The message of this id was seen.
    Displayed(String),
}

/// A message or presence that was held on its way. XEP-0203.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Who held it.
    pub from: Option<String>,
    /// When it was sent first.
    pub stamp: SystemTime,
}

/// How a message wants to be stored and copied. XEP-0334, XEP-0280 §8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Not to be stored, not even for an offline recipient.
    pub no_store: bool,
    /// Not to be archived.
    pub no_permanent_store: bool,
    /// For the addressed client only: `no-copy`, or `private` of message carbons.
    pub no_copy: bool,
    /// To be stored, whatever it looks like.
    pub store: bool,
}

/// An error of a stanza, as it is on the wire. RFC 6120 §8.3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StanzaError {
    /// `type`: `cancel`, `modify`, `wait`, `auth` or `continue`; `cancel` where it is missing.
    pub kind: String,
    /// Name of the defined condition; `undefined-condition` where none is there.
    pub condition: String,
    /// The address in `<gone/>` or `<redirect/>`.
    pub address: Option<String>,
    /// Words for a human reader.
    pub text: Option<String>,
    /// Who found it wrong, where that is not whom the stanza was for.
    pub by: Option<String>,
}

/// A child element that the gateway has no type for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its namespace; empty for none.
    pub namespace: String,
    /// Its local name.
    pub name: String,
    /// The element as an XML document of its own: every namespace it needs is declared in it.
    pub xml: String,
}

/// A `<presence/>`. RFC 6121 §4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The sender, as the server stamped it.
    pub from: Jid,
    /// The address on our domain it is for.
    pub to: Jid,
    /// The sender's id.
    pub id: Option<String>,
    /// What it says.
    pub kind: PresenceType,
    /// `xml:lang` of the stanza.
    pub lang: Option<String>,
    /// How available the sender is. An unknown `<show/>` counts as none.
    pub show: Option<Show>,
    /// Every `<status/>`.
    pub statuses: Vec<Text>,
    /// `<priority/>`; 0 where it is missing or no number of that range.
    pub priority: i8,
    /// The name the sender goes by. XEP-0172.
    pub nick: Option<String>,
    /// Since when, if the server tells an old presence. XEP-0203.
    pub delay: Option<Delay>,
    /// The sender wants to enter the room it writes to. XEP-0045 §7.2.
    pub join: Option<Join>,
    /// What a room says about the occupant whose presence it is. XEP-0045.
    pub muc: Option<Box<MucUser>>,
    /// Who it is, whatever their nickname is at the moment. XEP-0421.
    pub occupant_id: Option<String>,
    /// What went wrong, in a presence of [`PresenceType::Error`].
    pub error: Option<StanzaError>,
    /// Every other child element.
    pub payloads: Vec<Payload>,
}

impl Presence {
    /// A presence that says no more than its type.
    pub fn new(from: Jid, to: Jid, kind: PresenceType) -> Presence {
        Presence {
            from,
            to,
            id: None,
            kind,
            lang: None,
            show: None,
            statuses: Vec::new(),
            priority: 0,
            nick: None,
            delay: None,
            join: None,
            muc: None,
            occupant_id: None,
            error: None,
            payloads: Vec::new(),
        }
    }

    /// The payload of that name, if it is there.
    pub fn payload(&self, namespace: &str, name: &str) -> Option<&Payload> {
        find(&self.payloads, namespace, name)
    }
}

/// The `type` of a presence. RFC 6121 §4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No `type`: the sender is available.
    Available,
    /// Something went wrong with an earlier presence.
    Error,
    /// The server asks for the current presence.
    Probe,
    /// The sender wants to see our presence.
    Subscribe,
    /// The sender lets us see its presence.
    Subscribed,
    /// The sender is gone.
    Unavailable,
    /// The sender does not want our presence any more.
    Unsubscribe,
    /// The sender does not let us see its presence (any more).
    Unsubscribed,
}

/// How available somebody is. RFC 6121 §4.7.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Show {
    /// Away for a moment.
    Away,
    /// Wants to talk.
    Chat,
    /// Does not want to be disturbed.
    Dnd,
    /// Away for long.
    Xa,
}

impl Show {
    /// The text of its element.
    pub fn name(self) -> &'static str {
        match self {
            Show::Away => "away",
            Show::Chat => "chat",
            Show::Dnd => "dnd",
            Show::Xa => "xa",
        }
    }
}

/// An `<iq/>`. RFC 6120 §8.2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iq {
    /// The sender, as the server stamped it.
    pub from: Jid,
    /// The address on our domain it is for.
    pub to: Jid,
    /// The id that ties request and answer; servers do let iqs without one through.
    pub id: Option<String>,
    /// What it is.
    pub kind: IqType,
    /// `xml:lang` of the stanza.
    pub lang: Option<String>,
    /// The first child element that is no `<error/>`.
    pub payload: Option<Payload>,
    /// What went wrong, in an iq of [`IqType::Error`].
    pub error: Option<StanzaError>,
}

/// The `type` of an iq. RFC 6120 §8.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IqType {
    /// A question.
    Get,
    /// An order.
    Set,
    /// The answer to either.
    Result,
    /// The refusal of either.
    Error,
}

fn best<'a>(texts: &'a [Text], lang: Option<&str>) -> Option<&'a Text> {
    texts
        .iter()
        .find(|text| text.lang.as_deref() == lang)
        .or_else(|| texts.first())
}

fn find<'a>(payloads: &'a [Payload], namespace: &str, name: &str) -> Option<&'a Payload> {
    payloads
        .iter()
        .find(|payload| payload.name == name && payload.namespace == namespace)
}
