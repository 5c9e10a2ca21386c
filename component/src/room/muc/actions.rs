//! Shell: carries out what the core asks for.

use stox_msrp::{FailureReport, LostCause, Nickname, SendError, SessionConfig, SessionOptions};
use stox_sip::conference;
use stox_sip::{
    EventPackage, LocalContact, Method, Name, NameAddr, Refer, ReferPlace, ReferSub, ReferTo,
    ReferredBy, Reply, Status, Subscribe, Uri, answer_once,
};
use tracing::{debug, info, warn};

use super::event::{Action, Event, MemberEvent, Proof, ReferralId, Ticket, User};
use super::task::Task;
use crate::address;
use crate::body;
use crate::conversation::{self, Receipt};
use crate::metrics;
use crate::registry::Owner;
use crate::room::{MemberId, MemberInbox, Token, Wire};
use crate::sip;
use crate::translate::promise::{Outcome, Settlement};
use crate::xmpp::Outgoing;

/// The event package of conferences. RFC 4575 §3.1.
const PACKAGE: &str = "conference";

impl Task {
    /// Does one thing. What comes of it at once is returned.
    pub(super) async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Invite {
                member,
                user,
                resource,
                nick,
                proof,
            } => {
                let resource = resource.as_deref();
                self.invite(member, &user, resource, &nick, proof).await;
            }
            Action::Ack(member) => {
                let invite = self.wires.of(member)?.invite;
                self.ports.sip.ack(invite, None).await;
            }
            Action::Cancel(member) => {
                let invite = self.wires.of(member)?.invite;
                self.ports.sip.cancel(invite).await;
            }
            Action::Bye(member, reason) => {
                let invite = self.wires.of(member)?.invite;
                let headers = sip::bye_reason(&reason);
                self.ports.sip.bye(invite, headers).await;
            }
            Action::Ring(member) => {
                let invite = self.wires.of(member)?.invite;
                self.ports
                    .sip
                    .answer(invite, Reply::new(Status::RINGING))
                    .await;
            }
            Action::Accept(member, user, resource) => {
                self.accept(member, &user, resource.as_deref()).await;
            }
            Action::Decline(member, status) => {
                let invite = self.wires.of(member)?.invite;
                let status = Status::new(status).unwrap_or(Status::TEMPORARILY_UNAVAILABLE);
                self.ports.sip.answer(invite, Reply::new(status)).await;
            }
            Action::OpenMsrp {
                member,
                leg,
                path,
                role,
            } => {
                let inbox = MemberInbox {
                    member,
                    leg,
                    door: self.door.clone(),
                };
                let reach = &self.ports.reach;
                let wire = self.wires.of_mut(member)?;
                let admitted = wire
                    .source
                    .map(|source| conversation::admitted(reach, source));
                let config = SessionConfig {
                    local: wire.local.clone(),
                    remote: path,
                    role,
                    max_size: self.ports.max_size,
                    fingerprint: wire.fingerprint,
                    options: SessionOptions {
                        admitted: admitted.unwrap_or_default(),
                        ..SessionOptions::default()
                    },
                };
                wire.leg = leg;
                wire.session = Some(self.ports.msrp.open(config, inbox));
            }
            Action::UseNickname {
                member,
                token,
                nick,
                form,
            } => {
                let session = self.wires.of(member)?.session.as_ref()?;
                let Ok(nickname) = Nickname::new(&nick) else {
                    return refused(member, token, 424);
                };
                let sent = session.use_nickname(token.0, &nickname.in_form(form));
                return sent.err().and_then(|error| unsent(member, token, error));
            }
            Action::Send {
                member,
                token,
                body,
            } => {
                let session = self.wires.of(member)?.session.as_ref()?;
                let outgoing = stox_msrp::Outgoing {
                    token: token.0,
                    transaction_id: None,
                    content_type: body::CPIM.to_owned(),
                    body,
                    success_report: false,
                    failure_report: FailureReport::Yes,
                };
                let sent = session.send(outgoing);
                return sent.err().and_then(|left| unsent(member, token, left.why));
            }
            Action::Subscribe {
                member,
                target,
                user,
                resource,
            } => {
                self.subscribe(member, target, &user, resource.as_deref())
                    .await
            }
            Action::Unsubscribe(member) => {
                if let Some(subscription) = self.subscription_of(member) {
                    self.member_by_subscription.remove(&subscription);
                    self.ports.registry.forget_subscription(subscription);
                    self.ports.sip.unsubscribe(subscription).await;
                }
            }
            Action::Refresh(member) => {
                let subscription = self.subscription_of(member)?;
                self.ports.sip.refresh_subscription(subscription).await;
            }
            Action::Refer {
                referral,
                user,
                resource,
                invited,
            } => {
                self.refer(referral, &user, resource.as_deref(), invited)
                    .await
            }
            Action::Close(member) => self.close(member),
            Action::Stanza(stanza, token) => return self.write(stanza, token),
            Action::Vacate(seat) => {
                let room = &self.core.place().jid;
                self.ports.registry.vacate_seat(room, &seat);
            }
            Action::Settle(settlement) => self.settle(settlement),
        }
        None
    }

    async fn invite(
        &mut self,
        member: MemberId,
        user: &User,
        resource: Option<&str>,
        nick: &str,
        proof: Option<Box<Proof>>,
    ) {
        self.close(member);
        let room = self.core.place().uri.clone();
        let invite = self.ports.sip.reserve_invite();
        let local = self.ports.msrp.mint();
        let mut wire = Wire::new(invite, local.clone());
        let offer = sip::room_offer(&local, wire.origin, self.ports.terms());
        wire.described.clone_from(&offer);
        let mut request = stox_sip::Invite::new(
            room.clone(),
            NameAddr::from(user.uri.clone()).with_display_name(nick.to_owned()),
            NameAddr::from(room),
            contact_of(user, resource),
        );
        request.content_type = sip::SDP_TYPE.to_owned();
        request.body = offer.into();
        if let Some(proof) = proof {
            prove(&mut request, user, &proof);
        }
        let door = self.door.clone();
        self.ports.registry.expect_invite(invite, Owner::Room(door));
        self.wires.add(member, wire);
        self.ports.sip.invite(invite, request).await;
    }

    fn close(&mut self, member: MemberId) {
        if let Some(wire) = self.wires.remove(member) {
            self.ports.registry.forget_invite(wire.invite);
            if wire.session.is_none() {
                self.ports.msrp.release(&wire.local);
            }
        }
    }

    async fn accept(&mut self, member: MemberId, user: &User, resource: Option<&str>) {
        let terms = self.ports.terms();
        let Some(wire) = self.wires.of_mut(member) else {
            return;
        };
        let (local, origin) = (wire.local.clone(), wire.origin);
        let body = match wire.offer.take() {
            Some((offer, index)) => sip::room_answer(&offer, index, &local, origin, terms),
            None => sip::room_offer(&local, origin, terms),
        };
        wire.described.clone_from(&body);
        let mut reply = sip::description(body);
        reply.contact = Some(contact_of(user, resource));
        self.ports.sip.answer(wire.invite, reply).await;
    }

    async fn subscribe(
        &mut self,
        member: MemberId,
        target: Uri,
        user: &User,
        resource: Option<&str>,
    ) {
        let subscription = self.ports.sip.reserve_subscription();
        let room = self.core.place().uri.clone();
        let mut subscribe = Subscribe::new(
            target,
            NameAddr::from(user.uri.clone()),
            NameAddr::from(room),
            contact_of(user, resource),
            EventPackage::new(PACKAGE),
        );
        let accept = (Name::Accept, conference::MEDIA_TYPE.to_owned());
        subscribe.headers.push(accept);
        let door = self.door.clone();
        self.ports.registry.expect_subscription(subscription, door);
        self.member_by_subscription.insert(subscription, member);
        self.ports.sip.subscribe(subscription, subscribe).await;
    }

    async fn refer(
        &mut self,
        referral: ReferralId,
        user: &User,
        resource: Option<&str>,
        invited: Uri,
    ) {
        let subscription = self.ports.sip.reserve_subscription();
        let room = self.core.place().uri.clone();
        let refer = Refer {
            place: ReferPlace::Outside {
                target: room.clone(),
                from: NameAddr::from(user.uri.clone()),
                to: NameAddr::from(room),
                contact: contact_of(user, resource),
            },
            refer_to: ReferTo::new(NameAddr::from(invited)),
            referred_by: Some(ReferredBy::new(NameAddr::from(user.uri.clone()))),
            subscription: ReferSub::Wanted,
            headers: vec![(Name::Accept, "message/sipfrag".to_owned())],
        };
        let door = self.door.clone();
        self.ports.registry.expect_subscription(subscription, door);
        self.referral_by_subscription.insert(subscription, referral);
        self.ports.sip.refer(subscription, refer).await;
    }

    fn write(&self, stanza: Outgoing, token: Option<Token>) -> Option<Event> {
        let confirm = token.map(|token| Receipt::Room {
            token,
            door: self.door.clone(),
        });
        let presence_to = match &stanza {
            Outgoing::Presence(presence) => Some(presence.to().clone()),
            Outgoing::Message(_) | Outgoing::Iq(_) => None,
        };
        match self.ports.xmpp.send(stanza, confirm) {
            Ok(()) => None,
            Err(refused) => {
                debug!(reason = %refused, "a stanza is not written");
                match token {
                    Some(token) => Some(Event::Lost(token)),
                    None => presence_to.map(Event::Unwritten),
                }
            }
        }
    }

    fn settle(&self, Settlement { ticket, outcome }: Settlement<Ticket>) {
        let is_from_xmpp = matches!(ticket, Ticket::Stanza { .. });
        metrics::settled_in_room(is_from_xmpp, &outcome);
        match (ticket, outcome) {
            (Ticket::Stanza { .. }, Outcome::Delivered) => {}
            (Ticket::Stanza { from, to, id }, Outcome::Refused(fault)) => {
                info!(id, condition = %fault.condition(), text = fault.text(), "a message for the room goes back to the XMPP user");
                let error = Outgoing::message_error(&to, &from, id.as_deref(), (&fault).into());
                if let Err(refused) = self.ports.xmpp.send(error, None) {
                    warn!(id, reason = %refused, "an error cannot be told");
                }
            }
            (
                Ticket::Send {
                    member,
                    leg,
                    incoming,
                    message,
                },
                outcome,
            ) => {
                let status = match &outcome {
                    Outcome::Delivered => 200,
                    Outcome::Refused(fault) => {
                        debug!(condition = %fault.condition(), "a message of the room goes back to the switch");
                        fault.to_msrp_in_room(message)
                    }
                };
                let wire = self.wires.of(member).filter(|wire| wire.leg == leg);
                if let Some(session) = wire.and_then(|wire| wire.session.as_ref()) {
                    session.respond(incoming, status);
                }
            }
        }
    }
}

/// Contact of a user's dialogs: the gateway's own host and port are filled in by the endpoint (CORE-11).
fn contact_of(user: &User, resource: Option<&str>) -> LocalContact {
    LocalContact {
        user: user.uri.user().map(str::to_owned),
        uri_params: resource
            .map(|resource| ("gr".to_owned(), Some(address::gr_of(resource))))
            .into_iter()
            .collect(),
        params: Vec::new(),
    }
}

/// The next attempt after a 401 (SIP-18): of the same call, with what the focus has asked for.
fn prove(request: &mut stox_sip::Invite, user: &User, proof: &Proof) {
    let challenge = &proof.challenge;
    request.call_id = challenge.call_id().ok().map(str::to_owned);
    let from = challenge.from().ok();
    request.from_tag = from.and_then(|from| from.tag().map(str::to_owned));
    let last = challenge.cseq().ok().map(|cseq| cseq.number);
    request.cseq = last.and_then(|last| last.checked_add(1));
    let name = user.uri.user_decoded().unwrap_or_default();
    request.headers.extend(answer_once(
        challenge,
        (&Method::Invite, &request.target, &request.body),
        &name,
        &proof.password,
        &mut rand::rng(),
    ));
}

fn unsent(member: MemberId, token: Token, error: SendError) -> Option<Event> {
    match error {
        // Too much waits: like a switch that has no room.
        SendError::Full => refused(member, token, 413),
        SendError::NotBound | SendError::BadContentType => refused(member, token, 400),
        SendError::RefusedType => refused(member, token, 415),
        SendError::Closed => Some(Event::Member(
            member,
            MemberEvent::Disconnected(LostCause::Closed),
        )),
    }
}

fn refused(member: MemberId, token: Token, status: u16) -> Option<Event> {
    Some(Event::Member(member, MemberEvent::Refused(token, status)))
}
