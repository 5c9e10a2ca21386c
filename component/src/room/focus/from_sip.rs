//! Shell: SIP and MSRP events in the core's terms. What no core needs to know of is answered here.

use std::net::IpAddr;

use stox_msrp::SessionEvent;
use stox_sip::{
    EndCause, InviteId, Method, Name, NameAddr, Originator, ReferTo, Reply, Request,
    ServerTransactionId, Status, Uri,
};
use tracing::{debug, info};

use super::event::{Event, Invitation, MemberEvent};
use super::sdp;
use super::task::{Line, Task};
use crate::address;
use crate::room::{MemberId, Token, Wire};
use crate::sip;

/// Like the answer to an INVITE that nobody could be reached by.
const UNREACHABLE: u16 = 480;

impl Task {
    pub(super) async fn sip_event(&mut self, event: stox_sip::Event) -> Option<Event> {
        use stox_sip::Event as Sip;
        match event {
            Sip::Answered {
                invite,
                response,
                remote,
            } => {
                let wire = self.wires.member(invite);
                if let Some(wire) = wire.and_then(|member| self.wires.of_mut(member)) {
                    wire.source = Some(remote.ip());
                }
                let answer = self.answered(invite, &response.body)?;
                self.of_member(invite, MemberEvent::Answered(answer))
            }
            Sip::Rejected { invite, response } => {
                self.of_member(invite, MemberEvent::Rejected(response.status.code()))
            }
            Sip::Failed { invite, cause } => {
                info!(%cause, "an INVITE of the room has failed");
                self.of_member(invite, MemberEvent::Rejected(UNREACHABLE))
            }
            Sip::Cancelled { invite } => self.of_member(invite, MemberEvent::Cancelled),
            Sip::Acknowledged { invite, request } => {
                let answer = match request.body.is_empty() {
                    true => None,
                    false => Some(self.answered(invite, &request.body)?),
                };
                self.of_member(invite, MemberEvent::Acknowledged(answer))
            }
            Sip::Ended { invite, cause } => {
                self.of_member(invite, MemberEvent::Ended(words_of(&cause)))
            }
            Sip::Reinvited {
                invite,
                transaction,
                request,
            } => self.reinvited(invite, transaction, &request).await,
            Sip::Responded { request, response } => self.renewed(request, Some(&response)),
            Sip::RequestFailed { request, .. } => self.renewed(request, None),
            Sip::Requested {
                transaction,
                invite,
                request,
                originator,
                ..
            } => {
                self.requested(transaction, invite, request, &originator)
                    .await
            }
            Sip::StateAsked {
                subscription,
                occasion,
            } => Some(Event::StateAsked(subscription, occasion)),
            Sip::SubscriptionEnded { subscription, .. } => {
                self.ports.registry.forget_subscription(subscription);
                Some(Event::SubscriptionEnded(subscription))
            }
            // Ringing changes nothing.
            _ => None,
        }
    }

    /// An INVITE whose offer is of no use in a room is refused here.
    pub(super) async fn invited(
        &mut self,
        invite: InviteId,
        request: &Request,
        from: &Uri,
        source: IpAddr,
    ) -> Option<Event> {
        let (media, offer) = match sdp::read_offer(request, &self.ports.msrp.schemes()) {
            Ok(read) => read,
            Err(reply) => {
                info!(sip = %from, status = reply.status.code(), "an INVITE to the room is refused: it offers no chat room");
                self.ports.registry.forget_invite(invite);
                self.ports.sip.answer(invite, *reply).await;
                return None;
            }
        };
        if let Ok(call_id) = request.call_id() {
            self.ports.registry.claim_call_id(call_id);
        }
        let member = self.core.next_member();
        let stream = offer.as_ref().and_then(|(sdp, index)| sdp.msrp_at(*index));
        let chosen = stream.as_ref().map(|stream| stream.scheme());
        let local = chosen
            .and_then(|scheme| self.ports.msrp.mint_for(scheme))
            .unwrap_or_else(|| self.ports.msrp.mint());
        let line = Line {
            peer: media
                .as_ref()
                .map(|media| media.path.clone())
                .unwrap_or_default(),
            ..Line::default()
        };
        self.lines.insert(member, line);
        let wire = Wire {
            offer,
            fingerprint: stream.and_then(|stream| stream.fingerprint),
            source: Some(source),
            ..Wire::new(invite, local)
        };
        self.wires.add(member, wire);
        let caller = request.from().ok();
        let contact = request.contact().ok();
        let device = contact
            .as_ref()
            .and_then(device_of)
            .or_else(|| device_of(caller.as_ref()?))
            .filter(|_| !sip::is_anonymous(from));
        let written = [&caller, &contact].into_iter().flatten();
        let invitation = Invitation {
            aor: from.clone(),
            name: caller
                .as_ref()
                .and_then(|caller| caller.display_name.as_deref())
                .map(str::to_owned),
            device,
            identities: written.map(|address| address.uri.clone()).collect(),
            media,
        };
        Some(Event::Invited(member, Box::new(invitation)))
    }

    /// A SUBSCRIBE or REFER, in a dialog or outside.
    async fn requested(
        &mut self,
        transaction: ServerTransactionId,
        invite: Option<InviteId>,
        request: Request,
        originator: &Originator,
    ) -> Option<Event> {
        let refusal = match self.asks(invite, &request, originator) {
            Ok(event) => {
                if let Event::Subscribed { subscription, .. }
                | Event::Referred { subscription, .. } = &event
                {
                    self.asked.insert(*subscription, (transaction, request));
                }
                return Some(event);
            }
            Err(refusal) => refusal,
        };
        info!(
            method = %request.method, status = refusal.code(),
            "a request to the room is refused"
        );
        self.ports
            .sip
            .respond(transaction, Reply::new(refusal))
            .await;
        None
    }

    fn asks(
        &mut self,
        invite: Option<InviteId>,
        request: &Request,
        originator: &Originator,
    ) -> Result<Event, Status> {
        let aor = sip::sender(request, originator)?;
        let member = invite.and_then(|invite| self.wires.member(invite));
        match &request.method {
            Method::Subscribe => Ok(Event::Subscribed {
                subscription: self.ports.sip.reserve_subscription(),
                aor,
                member,
            }),
            Method::Refer => {
                let refer = ReferTo::of(request).map_err(|_| Status::BAD_REQUEST)?;
                if refer.method != Method::Invite {
                    return Err(Status::FORBIDDEN);
                }
                Ok(Event::Referred {
                    subscription: self.ports.sip.reserve_subscription(),
                    aor,
                    member,
                    target: refer.address.uri,
                })
            }
            // What is said in a room is said by MSRP.
            _ => Err(Status::METHOD_NOT_ALLOWED),
        }
    }
}

/// What happened to an MSRP session, in the core's terms.
pub(super) fn of_session(member: MemberId, event: SessionEvent) -> Option<Event> {
    let event = match event {
        SessionEvent::Bound => MemberEvent::Bound,
        SessionEvent::Accepted { token } => MemberEvent::Accepted(Token(token)),
        SessionEvent::Refused { token, status } => MemberEvent::Refused(Token(token), status),
        SessionEvent::Unanswered { token } => MemberEvent::Refused(Token(token), 408),
        SessionEvent::Reported { status, .. } => {
            debug!(status, "a report about what was said in the room");
            return None;
        }
        SessionEvent::Lost { cause } => MemberEvent::Disconnected(cause),
    };
    Some(Event::Member(member, event))
}

/// `gr` belongs inside the angle brackets, but RFC 7702 shows it after them (CORE-08).
fn device_of(address: &NameAddr) -> Option<String> {
    let outside = || address.params.get("gr").flatten();
    address::device_of(&address.uri).or_else(|| address::device_of_value(outside()?))
}

/// What the peer says with its BYE (RS-32).
fn words_of(cause: &EndCause) -> Option<String> {
    let EndCause::Bye(bye) = cause else {
        debug!("the dialog of somebody in the room is over without a BYE");
        return None;
    };
    let reason = bye.headers.first(&Name::Reason)?;
    let (_, params) = reason.split_once(';')?;
    let text = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("text").then_some(value)
    })?;
    let text = text.trim().trim_matches('"').trim();
    (!text.is_empty()).then(|| text.to_owned())
}
