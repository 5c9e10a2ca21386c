//! The way in: from what arrived to the conversation it belongs to.
//!
//! Both routers run in the task that read the wire and never wait. What finds no conversation, or none with room, is
//! answered here.

mod focus;
mod inquiries;
mod iqs;
mod lobby;
mod rooms;

pub use self::inquiries::Inquiries;
pub use self::lobby::Lobby;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use stox_sip::{
    Event as SipEvent, Handler as SipHandler, InviteId, Method, Name, Originator, Reply, Request,
    Response, ServerTransactionId, Source, Status, Uri,
};
use tokio::sync::watch;
use tracing::{debug, info};

use self::lobby::Arrived;
use crate::address::{AddressError, Addresses, Aor, BareJid, Jid};
use crate::body;
use crate::conversation::{self, Ports, Receipt};
use crate::fault::{Condition, Fault};
use crate::from_xmpp;
use crate::mailbox::Input;
use crate::metrics;
use crate::pairs::Pairs;
use crate::rates::Rates;
use crate::registry::{Key, Owner, Registry};
use crate::room;
use crate::sip;
use crate::store::{EntryId, LeftBehind};
use crate::translate::{Event, Parties};
use crate::xmpp::{
    self, Delay, Handler as XmppHandler, Iq, LinkEvent, Message, Outgoing, OutgoingPresence,
    Presence, PresenceType, Stanza,
};

/// The parts of the gateway, which are complete a moment after the routers' tasks have started.
pub type SharedPorts = Arc<OnceLock<Arc<Ports>>>;

/// Routes stanzas.
pub struct XmppRouter {
    ports: SharedPorts,
    lobby: Arc<Lobby>,
    inquiries: Arc<Inquiries>,
    addresses: Arc<Addresses>,
    pairs: Pairs,
    /// The component's own.
    domain: String,
    /// What an earlier process left behind, until the XMPP server can be told what becomes of it.
    left_behind: Vec<LeftBehind>,
    /// Whether the XMPP server has accepted the component.
    up: watch::Sender<bool>,
    /// What each XMPP user writes.
    messages: Rates<BareJid>,
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
enum Arrival<'a> {
    /// From the XMPP server just now; these are its bytes.
    Fresh(&'a Bytes),
    /// From the store, where it has that name.
    LeftBehind(EntryId),
}

/// New sessions from one address in a second, and how many at once (SEC-13).
const INVITES: (u32, u32) = (5_000, 20_000);

/// Messages from one address, or of one XMPP user, in a second, and how many at once.
const MESSAGES: (u32, u32) = (50_000, 100_000);

/// Processes that may have died of a message before it goes back.
const TRIES: u32 = 3;

/// Routes SIP events.
pub struct SipRouter {
    registry: Arc<Registry>,
    lobby: Arc<Lobby>,
    inquiries: Arc<Inquiries>,
    addresses: Arc<Addresses>,
    ports: SharedPorts,
    pairs: Pairs,
    /// What each address sends.
    invites: Rates<IpAddr>,
    messages: Rates<IpAddr>,
}

impl XmppRouter {
    /// A router to the conversations behind `ports`. `left_behind` is taken up when the link stands for the first time.
    pub fn new(
        ports: SharedPorts,
        lobby: Arc<Lobby>,
        inquiries: Arc<Inquiries>,
        addresses: Arc<Addresses>,
        domain: String,
        left_behind: Vec<LeftBehind>,
        up: watch::Sender<bool>,
    ) -> XmppRouter {
        XmppRouter {
            ports,
            lobby,
            inquiries,
            addresses,
            pairs: Pairs::default(),
            domain,
            left_behind,
            up,
            messages: Rates::new(MESSAGES.0, MESSAGES.1),
        }
    }

    fn ports(&self) -> &Arc<Ports> {
        self.ports.wait()
    }

    fn message(&mut self, message: Message, arrival: Arrival<'_>) {
        let mut event = match from_xmpp::event_of(&message) {
            Ok(Some(event)) => event,
            Ok(None) => {
                if let Arrival::LeftBehind(entry) = arrival {
                    self.ports().store.release(entry);
                }
                return debug!(from = %message.from, "a message without anything for a SIP user");
            }
            Err(fault) => {
                let entry = match arrival {
                    Arrival::Fresh(_) => None,
                    Arrival::LeftBehind(entry) => Some(entry),
                };
                return self.give_back(&message, &fault, entry);
            }
        };
        let starts = matches!(event, Event::Written(_));
        let is_counted = starts && matches!(arrival, Arrival::Fresh(_));
        if is_counted && !self.messages.take(&message.from.bare(), Instant::now()) {
            let fault = Fault::new(Condition::ResourceConstraint).with_text("too many messages");
            return self.give_back(&message, &fault, None);
        }
        let mut entry = None;
        if let Event::Written(written) = &mut event {
            entry = match arrival {
                Arrival::Fresh(stanza) => self.ports().store.keep(stanza),
                Arrival::LeftBehind(entry) => Some(entry),
            };
            Arc::make_mut(&mut written.origin).entry = entry;
        }
        let (from, to) = (&message.from, &message.to);
        let fault = match self.key(from, to) {
            Err(fault) => fault,
            Ok((key, parties)) => {
                let input = Input::Xmpp(Box::new(event));
                let delivered = if starts {
                    self.ports().registry.deliver(&key, input, |key| {
                        let parties = match parties {
                            Some(parties) => parties,
                            // Known from an earlier conversation.
                            None => self.parties(from, to).ok()?.1,
                        };
                        let ports = self.ports().clone();
                        Some(conversation::begin(ports, key.clone(), parties))
                    })
                } else {
                    self.ports()
                        .registry
                        .deliver_if_known(&key, input)
                        .unwrap_or(Ok(()))
                };
                match delivered {
                    Ok(()) => return,
                    Err(_) => Fault::new(Condition::ResourceConstraint),
                }
            }
        };
        if starts {
            self.give_back(&message, &fault, entry);
        }
    }

    fn give_back(&self, message: &Message, fault: &Fault, entry: Option<EntryId>) {
        info!(from = %message.from, to = %message.to, condition = %fault.condition(), text = fault.text(), "a message goes back to the XMPP user");
        if let Some(refusal) = Outgoing::refusal(message, fault.into()) {
            let given_back = entry.map(|entry| self.ports().given_back(entry));
            self.reply(refusal, given_back);
        }
    }

    /// What an earlier process took and did not hand on.
    fn take_up(&mut self, left: LeftBehind) {
        let LeftBehind {
            entry,
            received,
            tries,
            stanza,
        } = left;
        let message = match xmpp::reread(&self.domain, &stanza) {
            Some(Stanza::Message(message)) => message,
            Some(Stanza::Presence(_) | Stanza::Iq(_)) | None => {
                self.ports().store.release(entry);
                return tracing::error!(
                    bytes = stanza.len(),
                    "a message in the store cannot be read any more: it is lost"
                );
            }
        };
        if tries > TRIES {
            let fault = Fault::new(Condition::InternalServerError);
            tracing::error!(from = %message.from, to = %message.to, tries, "a message goes back: stox ended each time it had it");
            if let Some(refusal) = Outgoing::refusal(&message, (&fault).into()) {
                self.reply(refusal, Some(self.ports().given_back(entry)));
            }
            return;
        }
        info!(from = %message.from, to = %message.to, "a message of before the restart is handed on");
        let mut message = *message;
        if let Some(thread) = &message.thread {
            // The earlier process has probably had a dialog of that name (CHAT-03).
            self.ports().registry.claim_call_id(&thread.id);
        }
        message.delay.get_or_insert(Delay {
            from: None,
            stamp: received,
        });
        self.message(message, Arrival::LeftBehind(entry));
    }

    /// The gateway itself may be on anybody's contact list, and is there as long as it runs (DISCO-08).
    fn presence_of_ours(&self, presence: &Presence) {
        let is_allowed = self.addresses.allows(&presence.from);
        let answers: &[PresenceType] = match presence.kind {
            PresenceType::Subscribe if !is_allowed => &[PresenceType::Unsubscribed],
            PresenceType::Probe if !is_allowed => &[],
            PresenceType::Subscribe => &[
                PresenceType::Subscribed,
                PresenceType::Subscribe,
                PresenceType::Available,
            ],
            PresenceType::Probe => &[PresenceType::Available],
            PresenceType::Unsubscribe => &[PresenceType::Unsubscribed],
            PresenceType::Available
            | PresenceType::Error
            | PresenceType::Subscribed
            | PresenceType::Unavailable
            | PresenceType::Unsubscribed => &[],
        };
        let to = presence.from.bare().into_jid();
        for kind in answers {
            self.reply(OutgoingPresence::new(&presence.to, &to, *kind).into(), None);
        }
    }

    /// Presence of SIP users is not there yet: what is not for a room is ignored.
    fn presence(&self, presence: &Presence) {
        match presence.to.node() {
            None => self.presence_of_ours(presence),
            Some(_) => self.presence_for_room(presence),
        }
    }

    fn reply(&self, stanza: Outgoing, confirm: Option<Receipt>) {
        if let Err(refused) = self.ports().xmpp.send(stanza, confirm) {
            tracing::warn!(reason = %refused, "an error cannot be told");
        }
    }

    /// Whose conversation it is; with the parties to it if they had to be mapped.
    fn key(&mut self, from: &Jid, to: &Jid) -> Result<(Key, Option<Parties>), Fault> {
        let pair = self.pairs.pair(from, to);
        if let Some(key) = self.pairs.key(pair) {
            return Ok((key.clone(), None));
        }
        let (key, parties) = self.parties(from, to)?;
        self.pairs.note(pair, key.clone());
        Ok((key, Some(parties)))
    }

    fn parties(&self, from: &Jid, to: &Jid) -> Result<(Key, Parties), Fault> {
        let juliet = from.bare().into_jid();
        let parties = Parties {
            juliet_uri: self.addresses.sip_of_xmpp(&juliet)?,
            juliet,
            romeo: to.bare().into_jid(),
            romeo_uri: self.addresses.sip_of(to)?.aor.uri(),
        };
        Ok((Key::of(&parties), parties))
    }
}

impl XmppHandler for XmppRouter {
    fn handle(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Stanza(stanza, bytes) => match self.of_rooms(stanza) {
                Some(Stanza::Message(message)) => {
                    if let Some(message) = self.message_for_room(*message) {
                        self.message(message, Arrival::Fresh(&bytes));
                    }
                }
                Some(Stanza::Presence(presence)) => self.presence(&presence),
                Some(Stanza::Iq(iq)) => self.iq(iq),
                None => {}
            },
            LinkEvent::Up => {
                metrics::link_up();
                self.lobby.link_up();
                self.tell_rooms(|| room::Input::LinkUp);
                // Before anything new, so that their order holds.
                for left in std::mem::take(&mut self.left_behind) {
                    self.take_up(left);
                }
                self.up.send_replace(true);
            }
            LinkEvent::Down => {
                metrics::link_down();
                self.lobby.link_down();
                self.tell_rooms(|| room::Input::LinkDown);
                self.up.send_replace(false);
            }
        }
    }

    fn answers(&self, request: &Iq) -> bool {
        self.room_of(request).is_some() || self.inquiries.concerns(request)
    }
}

impl SipRouter {
    /// A router that answers 503 until `ports` is filled.
    pub fn new(
        registry: Arc<Registry>,
        lobby: Arc<Lobby>,
        inquiries: Arc<Inquiries>,
        addresses: Arc<Addresses>,
        ports: SharedPorts,
    ) -> SipRouter {
        SipRouter {
            registry,
            lobby,
            inquiries,
            addresses,
            ports,
            pairs: Pairs::default(),
            invites: Rates::new(INVITES.0, INVITES.1),
            messages: Rates::new(MESSAGES.0, MESSAGES.1),
        }
    }
}

impl SipHandler for SipRouter {
    fn handle(&mut self, event: SipEvent) -> Result<(), Status> {
        match event {
            SipEvent::Invited {
                invite,
                request,
                originator,
                source,
            } => {
                let is_taken = self.invites.take(&source.remote.ip(), Instant::now());
                within(is_taken, &source)?;
                let from = sender(&request, &originator)?;
                if rooms::is_from_focus(&request) {
                    let source = source.remote.ip();
                    return self.invited_by_focus(invite, request, from, source);
                }
                let (key, parties, to) = self.parties(&from, &request.uri)?;
                self.lobby.invited(Arrived {
                    invite,
                    request,
                    from,
                    to,
                    key,
                    parties,
                    source: source.remote.ip(),
                })
            }
            event @ SipEvent::Requested { .. } if let Some(room) = self.room_for(&event) => {
                self.ask_room(&room, event)
            }
            SipEvent::Requested {
                transaction,
                invite,
                request,
                originator,
                source,
            } => {
                if request.method == Method::Message {
                    let is_taken = self.messages.take(&source.remote.ip(), Instant::now());
                    within(is_taken, &source)?;
                }
                self.requested(transaction, invite, request, &originator)
            }
            SipEvent::Responded { request, .. } | SipEvent::RequestFailed { request, .. } => {
                match self.registry.take_request(request) {
                    Some(owner) => owner.complete(event),
                    None => self.inquiries.answered(request, response_of(&event)),
                }
                Ok(())
            }
            SipEvent::Progressed { invite, .. }
            | SipEvent::Answered { invite, .. }
            | SipEvent::Rejected { invite, .. }
            | SipEvent::Failed { invite, .. }
            | SipEvent::Cancelled { invite }
            | SipEvent::Acknowledged { invite, .. }
            | SipEvent::Reinvited { invite, .. }
            | SipEvent::Ended { invite, .. } => match self.owner(invite) {
                Some(owner) => {
                    owner.complete(event);
                    Ok(())
                }
                // Who had it has let go of the dialog already.
                None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            },
            SipEvent::Notified { subscription, .. } => {
                if let Some(room) = self.registry.room_of_subscription(subscription) {
                    rooms::deliver_notify(&room, event);
                }
                Ok(())
            }
            SipEvent::StateAsked { subscription, .. }
            | SipEvent::SubscriptionEnded { subscription, .. } => {
                if let Some(room) = self.registry.room_of_subscription(subscription) {
                    room.complete(room::Input::Sip(Box::new(event)));
                }
                Ok(())
            }
            // What later versions of the endpoint tell is for later versions of this router.
            _ => Err(Status::NOT_IMPLEMENTED),
        }
    }
}

impl SipRouter {
    /// Whom the events of an INVITE are for; nobody, if it was still waiting to be anybody's.
    fn owner(&self, invite: InviteId) -> Option<Owner> {
        let owner = self.registry.owner_of_invite(invite);
        if owner.is_some() || self.lobby.withdraw(invite) {
            return owner;
        }
        // It may have found one just now.
        self.registry.owner_of_invite(invite)
    }

    fn requested(
        &mut self,
        transaction: ServerTransactionId,
        invite: Option<InviteId>,
        request: Request,
        originator: &Originator,
    ) -> Result<(), Status> {
        match (&request.method, invite) {
            // Inside a dialog it is known who speaks to whom (IM-16).
            (Method::Message, Some(invite)) => {
                let paged = Box::new((transaction, request, invite));
                match self.registry.owner_of_invite(invite) {
                    Some(Owner::Conversation(door)) => door
                        .deliver(Input::PagedInside(paged))
                        .map_err(|_| Status::SERVICE_UNAVAILABLE),
                    // What is said in a room is said by MSRP.
                    Some(Owner::Room(_)) => Err(Status::METHOD_NOT_ALLOWED),
                    None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
                }
            }
            (Method::Message, None) => {
                let from = sender(&request, originator)?;
                self.paged(transaction, request, from)
            }
            (Method::Options, _) => self.options(transaction),
            // Of packages that are not served, the endpoint has said so; of a room, only who has called it is told.
            (Method::Subscribe, _) => Err(Status::FORBIDDEN),
            (Method::Notify, _) => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            (Method::Refer, _) => Err(Status::DECLINE),
            _ => Err(Status::METHOD_NOT_ALLOWED),
        }
    }

    /// A MESSAGE outside of dialogs.
    fn paged(
        &mut self,
        transaction: ServerTransactionId,
        request: Request,
        from: Uri,
    ) -> Result<(), Status> {
        let ports = self.ports()?.clone();
        let pair = self.pairs.pair_of_uris(&from, &request.uri);
        let (key, mapped) = match self.pairs.key(pair) {
            Some(key) => (key.clone(), None),
            None => {
                let (key, parties, _) = self.parties(&from, &request.uri)?;
                // Whose name has capitals is looked at each time: the last spelling counts (CORE-06).
                if !has_capitals(&from) {
                    self.pairs.note(pair, key.clone());
                }
                (key, Some(parties))
            }
        };
        let target = mapped
            .is_none()
            .then(|| (from.clone(), request.uri.clone()));
        let input = Input::Paged(Box::new((transaction, request, from)));
        self.registry
            .deliver(&key, input, |key| {
                let parties = match (mapped, target) {
                    (Some(parties), _) => parties,
                    (None, Some((from, target))) => self.parties(&from, &target).ok()?.1,
                    (None, None) => return None,
                };
                Some(conversation::begin(ports, key.clone(), parties))
            })
            .map_err(|_| Status::SERVICE_UNAVAILABLE)
    }

    fn ports(&self) -> Result<&Arc<Ports>, Status> {
        self.ports.get().ok_or(Status::SERVICE_UNAVAILABLE)
    }

    /// What chats are possible here (SIP-08).
    fn options(&self, transaction: ServerTransactionId) -> Result<(), Status> {
        let ports = self.ports()?.clone();
        let mut reply = Reply::new(Status::OK);
        reply.headers.push((
            Name::Accept,
            format!("{}, {}", sip::SDP_TYPE, body::ACCEPTED),
        ));
        // As many wait here at most as the driver lets transactions be pending.
        tokio::spawn(async move { ports.sip.respond(transaction, reply).await });
        Ok(())
    }

    /// Whom a request is between (CORE-02).
    fn parties(&self, from: &Uri, target: &Uri) -> Result<(Key, Parties, Jid), Status> {
        let refused = |uri: &Uri, status: Status, why: AddressError| {
            info!(%uri, status = status.code(), reason = %why, "a SIP request is refused");
            status
        };
        let to = self.addresses.xmpp_target(target);
        let to = to.map_err(|why| refused(target, why.status(), why))?;
        let juliet = to.bare().into_jid();
        let juliet_uri = self.addresses.sip_of_xmpp(&juliet);
        let romeo = self.addresses.jid_of(from);
        let aor = Aor::of(from);
        let parties = Parties {
            juliet_uri: juliet_uri.map_err(|why| refused(target, why.status(), why))?,
            juliet,
            romeo: romeo
                .map_err(|why| refused(from, Status::FORBIDDEN, why))?
                .bare()
                .into_jid(),
            romeo_uri: aor
                .map_err(|why| refused(from, Status::FORBIDDEN, why))?
                .uri(),
        };
        let key = Key::of(&parties);
        self.registry.note_spelling(&key, &parties.romeo_uri);
        Ok((key, parties, to))
    }
}

fn response_of(event: &SipEvent) -> Option<&Response> {
    match event {
        SipEvent::Responded { response, .. } => Some(response),
        _ => None,
    }
}

/// Capital letters, or what may stand for some.
fn has_capitals(uri: &Uri) -> bool {
    let user = uri.user().unwrap_or_default();
    user.contains(|c: char| c.is_uppercase() || c == '%')
}

/// More than one source may bring gets 503 with Retry-After (SEC-13).
fn within(is_taken: bool, source: &Source) -> Result<(), Status> {
    if is_taken {
        return Ok(());
    }
    debug!(remote = %source.remote, "a SIP request is refused: there are too many from there");
    Err(Status::SERVICE_UNAVAILABLE)
}

/// Who sent a request, if the sender is who From says (CORE-12).
fn sender(request: &Request, originator: &Originator) -> Result<Uri, Status> {
    sip::sender(request, originator).inspect_err(|status| {
        let user = originator.user.as_ref().map(|user| user.name.as_str());
        info!(
            from = request.from().ok().map(|from| from.uri.to_string()),
            user,
            status = status.code(),
            "a SIP request is refused: it is not from whom it says"
        );
    })
}
