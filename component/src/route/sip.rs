//! SIP events: to the conversation or room they belong to, or refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use stox_sip::{
    Event as SipEvent, Handler as SipHandler, InviteId, Method, Name, Originator, Reply, Request,
    Response, ServerTransactionId, Source, Status, Uri,
};
use tracing::{debug, info};

use super::inquiries::Inquiries;
use super::lobby::{Arrived, Lobby};
use super::{MESSAGES, SharedPorts, rooms};
use crate::address::{AddressError, Addresses, Aor, Jid};
use crate::body;
use crate::conversation::{self, Ports};
use crate::mailbox::Input;
use crate::pairs::Pairs;
use crate::rates::Rates;
use crate::registry::{Key, Owner, Registry};
use crate::room;
use crate::sip;
use crate::translate::Parties;

/// New sessions from one address in a second, and how many at once (SEC-13).
const INVITES: (u32, u32) = (5_000, 20_000);

/// Routes SIP events.
pub struct SipRouter {
    pub(super) registry: Arc<Registry>,
    lobby: Arc<Lobby>,
    inquiries: Arc<Inquiries>,
    pub(super) addresses: Arc<Addresses>,
    ports: SharedPorts,
    pairs: Pairs,
    /// What each address sends.
    invites: Rates<IpAddr>,
    pub(super) messages: Rates<IpAddr>,
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

    pub(super) fn ports(&self) -> Result<&Arc<Ports>, Status> {
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
    pub(super) fn parties(&self, from: &Uri, target: &Uri) -> Result<(Key, Parties, Jid), Status> {
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
pub(super) fn within(is_taken: bool, source: &Source) -> Result<(), Status> {
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
