//! Shell: SIP events in the core's terms. What the core need not know of is answered here.

use std::net::IpAddr;

use stox_sip::conference;
use stox_sip::{
    EndCause, InviteId, Name, Reply, Request, ServerTransactionId, Status, SubscriptionState,
    sipfrag_status,
};
use tracing::info;

use super::event::{DialogEnd, Event, FocusInvitation, MemberEvent, ReferralEvent, User};
use super::task::Task;
use crate::address::Jid;
use crate::room::{MemberId, Wire};
use crate::sip::{self, Change};
use crate::text;

impl Task {
    pub(super) async fn sip_event(&mut self, event: stox_sip::Event) -> Option<Event> {
        use stox_sip::Event as Sip;
        match event {
            Sip::Answered {
                invite,
                response,
                remote,
            } => {
                let member = self.wires.member(invite)?;
                let scheme = self.wires.of(member)?.local.scheme();
                let fingerprint = sip::fingerprint(&response.body, scheme);
                if let Some(wire) = self.wires.of_mut(member) {
                    wire.fingerprint = fingerprint;
                    wire.source = Some(remote.ip());
                }
                let event = MemberEvent::Answered {
                    media: sip::room_answered(&response.body, scheme),
                    focus: sip::focus_of(&response.headers, &[Name::Server]),
                };
                Some(Event::Member(member, event))
            }
            Sip::Rejected { invite, response } => {
                let rejection = sip::rejection(&response, &self.ports.addresses);
                let is_challenge = response.status == Status::UNAUTHORIZED;
                let challenge = is_challenge.then(|| Box::new(response));
                self.of_member(invite, MemberEvent::Rejected(rejection, challenge))
            }
            Sip::Failed { invite, cause } => self.of_member(invite, MemberEvent::Failed(cause)),
            Sip::Cancelled { invite } => self.of_member(invite, MemberEvent::Cancelled),
            Sip::Ended { invite, cause } => {
                let end = match cause {
                    EndCause::Bye(bye) => DialogEnd::Bye(sip::words_of_bye(&bye)),
                    EndCause::OurBye => DialogEnd::Ours,
                    _ => DialogEnd::Gone,
                };
                self.of_member(invite, MemberEvent::Ended(end))
            }
            Sip::Reinvited {
                invite,
                transaction,
                request,
            } => {
                self.reinvited(invite, transaction, &request).await;
                None
            }
            Sip::Requested { transaction, .. } => {
                let reply = Reply::new(Status::METHOD_NOT_ALLOWED);
                self.ports.sip.respond(transaction, reply).await;
                None
            }
            Sip::Notified {
                subscription,
                state,
                request,
            } => {
                if let Some(referral) = self.referral_by_subscription.get(&subscription) {
                    let status = sipfrag_status(&request)?.code();
                    let event = ReferralEvent::Notified(status);
                    return Some(Event::Referral(*referral, event));
                }
                let member = self.member_by_subscription.get(&subscription)?;
                let is_document = request.body.is_empty()
                    || request
                        .content_type()
                        .is_ok_and(|media| media.is(conference::MEDIA_TYPE));
                if !is_document {
                    info!(
                        member = member.0,
                        "a NOTIFY is no conference document: it is left out"
                    );
                    return None;
                }
                // The last words of a subscription say nothing of the room.
                let is_last = matches!(state, SubscriptionState::Terminated { .. });
                let has_more = !is_last || !request.body.is_empty();
                has_more.then(|| Event::Member(*member, MemberEvent::Notified(request.body)))
            }
            Sip::SubscriptionEnded {
                subscription,
                cause,
                next,
            } => {
                self.ports.registry.forget_subscription(subscription);
                if let Some(referral) = self.referral_by_subscription.remove(&subscription) {
                    return Some(Event::Referral(referral, ReferralEvent::Ended(cause)));
                }
                let member = self.member_by_subscription.remove(&subscription)?;
                let event = MemberEvent::Unsubscribed(cause, next);
                Some(Event::Member(member, event))
            }
            // Ringing changes nothing, and that our answer is acknowledged is no news.
            _ => None,
        }
    }

    fn of_member(&self, invite: InviteId, event: MemberEvent) -> Option<Event> {
        Some(Event::Member(self.wires.member(invite)?, event))
    }

    /// The INVITE of a focus for an XMPP user (RX-31). One whose offer is no room is refused here.
    pub(super) async fn invited(
        &mut self,
        invite: InviteId,
        request: &Request,
        to: Jid,
        source: IpAddr,
    ) -> Option<Event> {
        let account = to.bare();
        let uri = self.ports.addresses.sip_of_xmpp(account.as_jid()).ok();
        let offered = sip::room_offered(request, &self.ports.msrp.schemes());
        let (media, offer, uri) = match (offered, uri) {
            (Ok((media, offer)), Some(uri)) => (media, offer, uri),
            (offered, _) => {
                let reply = match offered {
                    Err(reply) => *reply,
                    Ok(_) => Reply::new(Status::NOT_FOUND),
                };
                info!(
                    status = reply.status.code(),
                    "the INVITE of a focus is refused"
                );
                self.ports.registry.forget_invite(invite);
                self.ports.sip.answer(invite, reply).await;
                return None;
            }
        };
        let member = self.core.next_member();
        let stream = offer.as_ref().and_then(|(sdp, index)| sdp.msrp_at(*index));
        let local = stream
            .as_ref()
            .and_then(|stream| self.ports.msrp.mint_for(stream.scheme()))
            .unwrap_or_else(|| self.ports.msrp.mint());
        let fingerprint = stream.and_then(|stream| stream.fingerprint);
        self.wires.add(
            member,
            Wire {
                offer,
                fingerprint,
                source: Some(source),
                ..Wire::new(invite, local)
            },
        );
        let subject = request.headers.first(&Name::Subject);
        let reason = subject.map(|subject| text::for_xml(subject.trim()).into_owned());
        let invitation = FocusInvitation {
            inviter: self.inviter(request),
            reason: reason.filter(|reason| !reason.is_empty()),
            focus: sip::focus_of(&request.headers, &[Name::UserAgent, Name::Server]),
            media,
            user: User { jid: account, uri },
            to,
        };
        Some(Event::Invited(member, Box::new(invitation)))
    }

    /// On whose behalf a focus invites.
    fn inviter(&self, request: &Request) -> Option<Jid> {
        let referrer = request.referred_by().ok()?.uri;
        let addresses = &self.ports.addresses;
        addresses.jid_of(&referrer).ok()
    }

    /// A session with a room stays as it is.
    async fn reinvited(
        &mut self,
        invite: InviteId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let reply = self.change(invite, request);
        self.ports.sip.respond(transaction, reply).await;
    }

    fn change(&mut self, invite: InviteId, request: &Request) -> Reply {
        let member = self.wires.member(invite);
        let Some((member, wire)) =
            member.and_then(|member| Some((member, self.wires.of_mut(member)?)))
        else {
            return Reply::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let terms = self.ports.terms();
        let (local, origin) = (wire.local.clone(), wire.origin);
        let is_same = |path| self.core.is_path_of(member, path);
        match sip::change(request, local.scheme()) {
            Change::Asks => sip::description(sip::room_offer(&local, origin, terms)),
            Change::Offers {
                description,
                index,
                media,
                ..
            } if is_same(&media.path) => {
                sip::description(sip::room_answer(&description, index, &local, origin, terms))
            }
            Change::Offers { .. } => Reply::new(Status::NOT_ACCEPTABLE_HERE),
            Change::Removed(_) => Reply::new(Status::NOT_ACCEPTABLE_HERE),
            Change::Refused(reply) => reply,
        }
    }

    pub(super) fn subscription_of(&self, member: MemberId) -> Option<stox_sip::SubscriptionId> {
        let mut subscriptions = self.member_by_subscription.iter();
        let found = subscriptions.find(|(_, of)| **of == member);
        found.map(|(subscription, _)| *subscription)
    }
}
