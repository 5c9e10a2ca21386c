//! Shell: re-INVITE and UPDATE, those of the peer and ours (MSRP-10, RS-35).

use stox_msrp::Unconfirmed;
use stox_msrp::sdp::{Fingerprint, Origin, SessionDescription};
use stox_msrp::uri::Scheme;
use stox_sip::{
    InviteId, Method, Reply, Request, RequestId, Response, ServerTransactionId, Status,
};
use tracing::info;

use super::event::{Event, Media, MemberEvent, Unusable};
use super::sdp::{self, Change};
use super::task::Task;
use crate::registry::Owner;
use crate::room::{Leg, MemberId, Token, Wire};
use crate::sip;

/// MSRP status of what was not answered in time (T10).
const TIMEOUT: u16 = 408;

impl Task {
    /// Answers a change of the peer's; what the core must know of it is returned.
    pub(super) async fn reinvited(
        &mut self,
        invite: InviteId,
        transaction: ServerTransactionId,
        request: &Request,
    ) -> Option<Event> {
        let (reply, event) = self.change(invite, request);
        let contact = super::actions::contact_of(self.core.uri());
        let reply = Reply {
            contact: Some(contact),
            ..reply
        };
        self.ports.sip.respond(transaction, reply).await;
        event
    }

    fn change(&mut self, invite: InviteId, request: &Request) -> (Reply, Option<Event>) {
        let member = self.wires.member(invite);
        let known = member.and_then(|member| Some((member, self.wires.of_mut(member)?)));
        let Some((member, wire)) = known else {
            return (Reply::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST), None);
        };
        let terms = self.ports.terms();
        match sdp::read_change(request, wire.local.scheme()) {
            Change::Asks => {
                let local = wire.local.clone();
                let body = describe(wire, |origin| sdp::offer(&local, origin, terms));
                (sip::description(body), None)
            }
            Change::Offers {
                description,
                index,
                media,
                fingerprint,
            } => {
                let line = self.lines.entry(member).or_default();
                if media.path != line.peer {
                    let Some(local) = self.ports.msrp.mint_for(wire.local.scheme()) else {
                        return (Reply::new(Status::NOT_ACCEPTABLE_HERE), None);
                    };
                    info!("somebody in the room moves to another connection");
                    wire.local = local;
                    wire.fingerprint = fingerprint;
                }
                let local = wire.local.clone();
                let body = describe(wire, |origin| {
                    sdp::answer(&description, index, &local, origin, terms)
                });
                let event = Event::Member(member, MemberEvent::Changed(media));
                (sip::description(body), Some(event))
            }
            Change::Removed(description) => {
                let local = wire.local.clone();
                let body = describe(wire, |origin| {
                    sip::decline_all(&description, &local, origin)
                });
                let event = Event::Member(member, MemberEvent::StreamRemoved);
                (sip::description(body), Some(event))
            }
            Change::Refused(reply) => (reply, None),
        }
    }

    /// Offers a fresh path, because the connection to the old one is gone (MSRP-10).
    pub(super) async fn renew(&mut self, member: MemberId) -> Option<Event> {
        let terms = self.ports.terms();
        let wire = self.wires.of_mut(member)?;
        let Some(local) = self.ports.msrp.mint_for(wire.local.scheme()) else {
            return Some(Event::Member(member, MemberEvent::NotRenewed));
        };
        let body = describe(wire, |origin| sdp::offer(&local, origin, terms));
        let invite = wire.invite;
        self.lines.entry(member).or_default().offered = Some(local);
        let request = self.ports.sip.reserve_request();
        self.member_by_renewal.insert(request, member);
        let owner = Owner::Room(self.door.clone());
        self.ports.registry.expect_request(request, owner);
        info!("an MSRP connection is lost: the SIP user's side is asked to make it anew");
        let content_type = sip::SDP_TYPE.to_owned();
        self.ports
            .sip
            .request_in(
                invite,
                request,
                Method::Invite,
                Vec::new(),
                content_type,
                body.into(),
            )
            .await;
        None
    }

    /// The end of our re-INVITE; `None`: no 2xx came.
    pub(super) fn renewed(
        &mut self,
        request: RequestId,
        response: Option<&Response>,
    ) -> Option<Event> {
        let member = self.member_by_renewal.remove(&request)?;
        let offered = self.lines.get_mut(&member)?.offered.take();
        let accepted = response.filter(|response| response.status.is_success());
        let renewed = match (offered, accepted, self.wires.of_mut(member)) {
            (Some(local), Some(response), Some(wire)) => {
                let scheme = local.scheme();
                wire.local = local;
                wire.fingerprint = fingerprint(&response.body, scheme);
                sdp::read_answer(&response.body, scheme).ok()
            }
            (Some(local), _, _) => {
                self.ports.msrp.release(&local);
                None
            }
            (None, _, _) => None,
        };
        let event = match renewed {
            Some(media) => MemberEvent::Renewed(media),
            None => MemberEvent::NotRenewed,
        };
        Some(Event::Member(member, event))
    }

    /// An answer to an offer of ours; keeps the fingerprint in it (SEC-07).
    pub(super) fn answered(
        &mut self,
        invite: InviteId,
        body: &[u8],
    ) -> Option<Result<Media, Unusable>> {
        let member = self.wires.member(invite)?;
        let wire = self.wires.of_mut(member)?;
        let scheme = wire.local.scheme();
        wire.fingerprint = wire.fingerprint.or(fingerprint(body, scheme));
        Some(sdp::read_answer(body, scheme))
    }

    /// As many as the core has under way.
    pub(super) fn keep(&mut self, member: MemberId, leg: Leg, unconfirmed: Unconfirmed) {
        if self.wires.has(member, leg) {
            let token = Token(unconfirmed.outgoing.token);
            let line = self.lines.entry(member).or_default();
            line.unconfirmed.insert(token, unconfirmed);
        }
    }

    /// Sends what was given back under the Message-ID it had. What was not given back may have been read.
    pub(super) fn send_again(&mut self, member: MemberId, token: Token) -> Option<Event> {
        let unconfirmed = self.lines.get_mut(&member)?.unconfirmed.remove(&token);
        let session = self.wires.of(member)?.session.as_ref();
        let event = match (unconfirmed, session) {
            (Some(unconfirmed), Some(session)) => match session.send_again(unconfirmed) {
                Ok(()) => return None,
                // What became of the connection is told by itself.
                Err(unsent) => {
                    let line = self.lines.get_mut(&member)?;
                    line.unconfirmed.insert(token, *unsent.message);
                    MemberEvent::Congested(token)
                }
            },
            (None, _) | (_, None) => MemberEvent::Refused(token, TIMEOUT),
        };
        Some(Event::Member(member, event))
    }
}

/// Describes our side; the version of the description rises only if it says something else than the last one.
/// RFC 3264 §8.
pub(super) fn describe(wire: &mut Wire, build: impl Fn(Origin) -> Vec<u8>) -> Vec<u8> {
    let same = build(wire.origin);
    if wire.described.is_empty() || wire.described == same {
        wire.described.clone_from(&same);
        return same;
    }
    wire.origin.version += 1;
    wire.described = build(wire.origin);
    wire.described.clone()
}

fn fingerprint(body: &[u8], scheme: Scheme) -> Option<Fingerprint> {
    if scheme == Scheme::Msrp {
        return None;
    }
    let (_, stream) = SessionDescription::parse(body).ok()?.msrp_over(&[scheme])?;
    stream.fingerprint
}
