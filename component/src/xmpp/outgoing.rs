//! Stanzas to be written: what they say, put together piece by piece.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::muc::{DirectInvite, Join, MucElement, MucUser};
use super::ns;
use super::stanza::{
    ChatState, Iq, IqType, Marker, Message, MessageType, Presence, PresenceType, Receipt, Show,
    StanzaError,
};
use crate::address::Jid;

/// A stanza from one of the addresses on our domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// `<message/>`.
    Message(Box<OutgoingMessage>),
    /// `<presence/>`.
    Presence(Box<OutgoingPresence>),
    /// `<iq/>`.
    Iq(Box<OutgoingIq>),
}

impl Outgoing {
    /// `<gone/>`: the SIP side has left the conversation. XEP-0085, RFC 7573 §6.1.
    pub fn gone(from: &Jid, to: &Jid, thread: &str) -> Outgoing {
        OutgoingMessage::new(from, to, MessageType::Chat)
            .thread(thread)
            .chat_state(ChatState::Gone)
            .into()
    }

    /// The error that gives a message back to its sender. RFC 6120 §8.3.1.
    pub fn message_error(from: &Jid, to: &Jid, id: Option<&str>, error: StanzaError) -> Outgoing {
        let mut message = OutgoingMessage::new(from, to, MessageType::Error).error(error);
        message.id = id.map(str::to_owned);
        message.into()
    }

    /// The error that gives this very message back: it repeats id, thread, subject and body. RFC 6120 §8.3.1.
    ///
    /// `None` for a message that is an error itself: those are never answered.
    pub fn refusal(message: &Message, error: StanzaError) -> Option<Outgoing> {
        if message.kind == MessageType::Error {
            return None;
        }
        let mut refusal = OutgoingMessage::new(&message.to, &message.from, MessageType::Error);
        refusal.id.clone_from(&message.id);
        refusal.thread = message.thread.as_ref().map(|thread| thread.id.clone());
        refusal.subject = message.subject().map(|subject| subject.text.clone());
        refusal.body = message.body().map(|body| body.text.clone());
        refusal.lang = message.body().and_then(|body| body.lang.clone());
        Some(refusal.error(error).into())
    }

    /// Whether it is of type error.
    pub(super) fn is_error(&self) -> bool {
        match self {
            Outgoing::Message(message) => message.kind == MessageType::Error,
            Outgoing::Presence(presence) => presence.kind == PresenceType::Error,
            Outgoing::Iq(iq) => iq.kind == IqType::Error,
        }
    }

    /// How long it may wait to be written, if it says so itself.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self {
            Outgoing::Message(message) => message.within,
            Outgoing::Presence(_) | Outgoing::Iq(_) => None,
        }
    }

    /// The same error without the words it gives back, which it need not repeat. RFC 6120 §8.3.1.
    pub(super) fn without_original(&self) -> Option<Outgoing> {
        match self {
            Outgoing::Message(message) if self.is_error() => {
                let mut message = message.clone();
                message.subject = None;
                message.body = None;
                Some(Outgoing::Message(message))
            }
            Outgoing::Message(_) | Outgoing::Presence(_) | Outgoing::Iq(_) => None,
        }
    }
}

/// A `<message/>` to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub(super) from: Jid,
    pub(super) to: Jid,
    pub(super) kind: MessageType,
    pub(super) id: Option<String>,
    pub(super) lang: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) body: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) chat_state: Option<ChatState>,
    pub(super) receipt: Option<Receipt>,
    pub(super) marker: Option<Marker>,
    pub(super) delay: Option<SystemTime>,
    pub(super) nick: Option<String>,
    pub(super) muc: Option<Arc<MucUser>>,
    pub(super) direct_invite: Option<Box<DirectInvite>>,
    pub(super) error: Option<StanzaError>,
    pub(super) within: Option<Duration>,
    pub(super) storage: Storage,
}

/// Whether servers may keep a message for later. XEP-0334.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Storage {
    #[default]
    AsUsual,
    Never,
}

impl OutgoingMessage {
    /// An empty message from an address on our domain.
    pub fn new(from: &Jid, to: &Jid, kind: MessageType) -> OutgoingMessage {
        OutgoingMessage {
            from: from.clone(),
            to: to.clone(),
            kind,
            id: None,
            lang: None,
            subject: None,
            body: None,
            thread: None,
            chat_state: None,
            receipt: None,
            marker: None,
            delay: None,
            nick: None,
            muc: None,
            direct_invite: None,
            error: None,
            within: None,
            storage: Storage::AsUsual,
        }
    }

    /// What kind of exchange it belongs to.
    pub fn kind(&self) -> MessageType {
        self.kind
    }

    /// Whom it is for.
    pub fn to(&self) -> &Jid {
        &self.to
    }

    /// `id`, which an error repeats.
    pub fn stanza_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The `<body/>`, if it has one.
    pub fn text(&self) -> Option<&str> {
        self.body.as_deref()
    }

    /// The chat state it tells, if it does.
    pub fn state(&self) -> Option<ChatState> {
        self.chat_state
    }

    /// The thread it belongs to, if it says so.
    pub fn of_thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// Its id, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The receipt that it is, or that it wishes for.
    pub fn wish(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The chat marker that it is, or that it wishes for.
    pub fn mark(&self) -> Option<&Marker> {
        self.marker.as_ref()
    }

    /// The id by which an error or a receipt will name it.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// `xml:lang` of the stanza.
    pub fn lang(mut self, lang: impl Into<String>) -> Self {
        self.lang = Some(lang.into());
        self
    }

    /// `<subject/>`; an empty one says that there is none.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// `<body/>`. Characters that XML cannot carry become U+FFFD when it is written (IM-13).
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// `<thread/>`.
    pub fn thread(mut self, thread: impl Into<String>) -> Self {
        self.thread = Some(thread.into());
        self
    }

    /// A chat state. XEP-0085.
    pub fn chat_state(mut self, state: ChatState) -> Self {
        self.chat_state = Some(state);
        self
    }

    /// A receipt, or the wish for one. XEP-0184.
    pub fn receipt(mut self, receipt: Receipt) -> Self {
        self.receipt = Some(receipt);
        self
    }

    /// A chat marker, or the wish for one. XEP-0333.
    pub fn marker(mut self, marker: Marker) -> Self {
        self.marker = Some(marker);
        self
    }

    /// When the message was really sent. Of a message of a room, the room says so; else the gateway. XEP-0203.
    pub fn delay(mut self, stamp: SystemTime) -> Self {
        self.delay = Some(stamp);
        self
    }

    /// The name the sender goes by. XEP-0172.
    pub fn nick(mut self, nick: impl Into<String>) -> Self {
        self.nick = Some(nick.into());
        self
    }

    /// What a room says beside the message. XEP-0045.
    pub fn muc_user(mut self, user: impl Into<Arc<MucUser>>) -> Self {
        self.muc = Some(user.into());
        self
    }

    /// An invitation to a room, from user to user. XEP-0249.
    pub fn direct_invite(mut self, invite: DirectInvite) -> Self {
        self.direct_invite = Some(Box::new(invite));
        self
    }

    /// What went wrong; only in a message of type error.
    pub fn error(mut self, error: StanzaError) -> Self {
        self.error = Some(error);
        self
    }

    /// Of use only now: no archive and no offline storage is to keep it. XEP-0334.
    pub fn not_stored(mut self) -> Self {
        self.storage = Storage::Never;
        self
    }

    /// How long it may wait to be written before it is lost, in place of the link's grace time: a sender who has been
    /// told meanwhile that it failed must not find it delivered later. Errors wait for as long as errors do.
    pub fn within(mut self, patience: Duration) -> Self {
        self.within = Some(patience);
        self
    }
}

impl From<OutgoingMessage> for Outgoing {
    fn from(message: OutgoingMessage) -> Outgoing {
        Outgoing::Message(Box::new(message))
    }
}

/// A `<presence/>` to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingPresence {
    pub(super) from: Jid,
    pub(super) to: Jid,
    pub(super) kind: PresenceType,
    pub(super) id: Option<String>,
    pub(super) show: Option<Show>,
    pub(super) status: Option<String>,
    pub(super) priority: Option<i8>,
    pub(super) nick: Option<String>,
    pub(super) muc: Option<MucElement>,
    pub(super) error: Option<StanzaError>,
}

impl OutgoingPresence {
    /// A presence that says no more than its type.
    pub fn new(from: &Jid, to: &Jid, kind: PresenceType) -> OutgoingPresence {
        OutgoingPresence {
            from: from.clone(),
            to: to.clone(),
            kind,
            id: None,
            show: None,
            status: None,
            priority: None,
            nick: None,
            muc: None,
            error: None,
        }
    }

    /// The error that answers a presence; `None` for one that must not be answered.
    pub fn refusal(presence: &Presence, error: StanzaError) -> Option<Outgoing> {
        if presence.kind == PresenceType::Error {
            return None;
        }
        let mut refusal = OutgoingPresence::new(&presence.to, &presence.from, PresenceType::Error);
        refusal.id.clone_from(&presence.id);
        if presence.join.is_some() {
            refusal = refusal.echo_join();
        }
        Some(refusal.error(error).into())
    }

    /// The id by which an error will name it.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// `<show/>`.
    pub fn show(mut self, show: Show) -> Self {
        self.show = Some(show);
        self
    }

    /// `<status/>`.
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// `<priority/>`.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The name the sender goes by; never in presence broadcasts (DISCO-11).
    pub fn nick(mut self, nick: impl Into<String>) -> Self {
        self.nick = Some(nick.into());
        self
    }

    /// What a room says about the occupant whose presence it is. XEP-0045.
    pub fn muc_user(mut self, user: impl Into<Arc<MucUser>>) -> Self {
        self.muc = Some(MucElement::User(user.into()));
        self
    }

    /// The wish to enter a room. XEP-0045 §7.2.
    pub fn join(mut self, join: Join) -> Self {
        self.muc = Some(MucElement::Join(join));
        self
    }

    /// The mark of a wish to enter that an error repeats, without what the wish said. XEP-0045 §7.2.
    pub fn echo_join(self) -> Self {
        self.join(Join::default())
    }

    /// What went wrong; only in a presence of type error.
    pub fn error(mut self, error: StanzaError) -> Self {
        self.error = Some(error);
        self
    }

    /// Whom it is for.
    pub fn to(&self) -> &Jid {
        &self.to
    }
}

impl From<OutgoingPresence> for Outgoing {
    fn from(presence: OutgoingPresence) -> Outgoing {
        Outgoing::Presence(Box::new(presence))
    }
}

/// An `<iq/>` to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingIq {
    pub(super) from: Jid,
    pub(super) to: Jid,
    pub(super) id: String,
    pub(super) kind: IqType,
    pub(super) payload: Option<String>,
    pub(super) error: Option<StanzaError>,
}

impl OutgoingIq {
    /// A question, or an order. Its answer comes as [`LinkEvent::Stanza`](super::LinkEvent::Stanza).
    ///
    /// `payload` is one well-formed element that declares its own namespace.
    pub fn request(
        from: &Jid,
        to: &Jid,
        id: impl Into<String>,
        kind: Request,
        payload: String,
    ) -> Self {
        OutgoingIq {
            from: from.clone(),
            to: to.clone(),
            id: id.into(),
            kind: match kind {
                Request::Get => IqType::Get,
                Request::Set => IqType::Set,
            },
            payload: Some(payload),
            error: None,
        }
    }

    /// The question what an address is and can do. XEP-0030 §3.
    pub fn disco_info(from: &Jid, to: &Jid, id: impl Into<String>) -> Self {
        let payload = format!("<query xmlns=\"{}\"/>", ns::DISCO_INFO);
        OutgoingIq::request(from, to, id, Request::Get, payload)
    }

    /// The question whether somebody is still there; of one's own occupant address, whether one is still in the room.
    /// XEP-0199, XEP-0410.
    pub fn ping(from: &Jid, to: &Jid, id: impl Into<String>) -> Self {
        let payload = format!("<ping xmlns=\"{}\"/>", ns::PING);
        OutgoingIq::request(from, to, id, Request::Get, payload)
    }

    /// The order to open a room that has just been created, with the settings that the service has for it.
    /// XEP-0045 §10.1.2.
    pub fn instant_room(from: &Jid, to: &Jid, id: impl Into<String>) -> Self {
        let (owner, forms) = (ns::MUC_OWNER, ns::DATA_FORMS);
        let payload =
            format!("<query xmlns=\"{owner}\"><x xmlns=\"{forms}\" type=\"submit\"/></query>");
        OutgoingIq::request(from, to, id, Request::Set, payload)
    }

    /// The answer to a request. `payload` is one well-formed element that declares its own namespace.
    pub fn result(request: &Iq, payload: Option<String>) -> Self {
        OutgoingIq {
            from: request.to.clone(),
            to: request.from.clone(),
            id: request.id.clone().unwrap_or_default(),
            kind: IqType::Result,
            payload,
            error: None,
        }
    }

    /// The refusal of a request.
    pub fn error(request: &Iq, error: StanzaError) -> Self {
        OutgoingIq {
            kind: IqType::Error,
            error: Some(error),
            ..OutgoingIq::result(request, None)
        }
    }
}

/// The two kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks.
    Get,
    /// Orders.
    Set,
}

impl From<OutgoingIq> for Outgoing {
    fn from(iq: OutgoingIq) -> Outgoing {
        Outgoing::Iq(Box::new(iq))
    }
}
