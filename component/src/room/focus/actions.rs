//! Shell: carries out what the core asks for.

use stox_msrp::{Admitted, FailureReport, Nicknames, SendError, SessionConfig, SessionOptions};
use stox_sip::conference::MEDIA_TYPE;
use stox_sip::{
    Document, LocalContact, Method, Name, NameAddr, Notice, ReferredBy, Reply, Status,
    SubscriptionId, TerminationReason, Uri, sipfrag,
};
use tracing::info;

use super::changing::describe;
use super::event::{Action, Event, Farewell, MemberEvent, Summons};
use super::sdp;
use super::task::{Line, Task};
use crate::body;
use crate::conversation::{self, Receipt};
use crate::registry::Owner;
use crate::room::{MemberId, MemberInbox, Token, Wire};
use crate::sip;
use crate::text;
use crate::xmpp::Outgoing;

impl Task {
    /// Does one thing. What comes of it at once is returned.
    pub(super) async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Accept(member) => self.accept(member).await,
            Action::Decline(member, status) => {
                let invite = self.wires.of(member)?.invite;
                let reply = Reply::new(status_of(status));
                self.ports.sip.answer(invite, reply).await;
            }
            Action::Invite(member, summons) => self.invite(member, *summons).await,
            Action::Ack(member) => {
                let invite = self.wires.of(member)?.invite;
                self.ports.sip.ack(invite, None).await;
            }
            Action::Cancel(member) => {
                let invite = self.wires.of(member)?.invite;
                self.ports.sip.cancel(invite).await;
            }
            Action::Bye(member, farewell) => {
                let invite = self.wires.of(member)?.invite;
                let headers = reason_header(&farewell);
                self.ports.sip.bye(invite, headers).await;
            }
            Action::Renew(member) => return self.renew(member).await,
            Action::Open {
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
                self.lines.entry(member).or_default().peer.clone_from(&path);
                let reach = &self.ports.reach;
                let wire = self.wires.of_mut(member)?;
                // Without a source the path leads nowhere (SEC-11).
                let admitted = match wire.source {
                    Some(source) => conversation::admitted(reach, source),
                    None => Admitted::only(|_| false),
                };
                let config = SessionConfig {
                    local: wire.local.clone(),
                    remote: path,
                    role,
                    max_size: self.ports.max_size,
                    fingerprint: wire.fingerprint,
                    options: SessionOptions {
                        nicknames: Nicknames::Quoted,
                        admitted,
                        ..SessionOptions::default()
                    },
                };
                wire.leg = leg;
                wire.session = Some(self.ports.msrp.open(config, inbox));
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
                let event = match session.send(outgoing).map_err(|unsent| unsent.why) {
                    Ok(()) => return None,
                    Err(SendError::Full | SendError::NotBound | SendError::Closed) => {
                        MemberEvent::Congested(token)
                    }
                    Err(SendError::BadContentType | SendError::RefusedType) => {
                        MemberEvent::Refused(token, 415)
                    }
                };
                return Some(Event::Member(member, event));
            }
            Action::SendAgain(member, token, _) => return self.send_again(member, token),
            Action::Respond(member, leg, incoming, status) => {
                let wire = self.wires.of(member).filter(|wire| wire.leg == leg)?;
                wire.session.as_ref()?.respond(incoming, status);
            }
            Action::Report {
                member,
                message_id,
                length,
                status,
            } => {
                let session = self.wires.of(member)?.session.as_ref()?;
                session.report(sip::report(message_id, length, status));
            }
            Action::Close(member) => self.close(member),
            Action::Stanza(stanza, token) => return self.write(stanza, token),
            Action::Admit(id) => self.admit(id).await,
            Action::TurnAway(id, status) => {
                let (transaction, _) = self.asked.remove(&id)?;
                let reply = Reply::new(status_of(status));
                self.ports.sip.respond(transaction, reply).await;
            }
            Action::Notify(id, document) => {
                let document = document.map(|body| Document {
                    content_type: MEDIA_TYPE.to_owned(),
                    body,
                });
                self.ports.sip.notify(id, Notice::Active(document)).await;
            }
            Action::ReportChange(id) => self.ports.sip.report_change(id).await,
            Action::EndSubscription(id) => {
                self.ports.sip.notify(id, last(None)).await;
            }
            Action::EndReferral(id) => {
                let trying = sipfrag(Status::TRYING);
                self.ports.sip.notify(id, last(Some(trying))).await;
            }
        }
        None
    }

    async fn accept(&mut self, member: MemberId) {
        let contact = contact_of(self.core.uri());
        let terms = self.ports.terms();
        let Some(wire) = self.wires.of_mut(member) else {
            return;
        };
        let (local, offer) = (wire.local.clone(), wire.offer.take());
        let body = describe(wire, |origin| match &offer {
            Some((description, index)) => sdp::answer(description, *index, &local, origin, terms),
            None => sdp::offer(&local, origin, terms),
        });
        let mut reply = sip::description(body);
        reply.contact = Some(contact);
        reply.headers.push(allowed_events());
        self.ports.sip.answer(wire.invite, reply).await;
    }

    /// Calls somebody into the room (RS-31).
    async fn invite(&mut self, member: MemberId, summons: Summons) {
        let Summons {
            target,
            inviter,
            reason,
        } = summons;
        let room = self.core.uri().clone();
        let invite = self.ports.sip.reserve_invite();
        let local = self.ports.msrp.mint();
        let from = NameAddr::from(room.clone());
        let to = NameAddr::from(target.clone());
        let mut request = stox_sip::Invite::new(target, from, to, contact_of(&room));
        request.headers.push(allowed_events());
        if let Some(inviter) = inviter {
            let referred_by = ReferredBy::new(NameAddr::from(inviter));
            request
                .headers
                .push((Name::ReferredBy, referred_by.to_string()));
        }
        if let Some(reason) = reason {
            let subject = text::for_reason(&reason).into_owned();
            request.headers.push((Name::Subject, subject));
        }
        let mut wire = Wire::new(invite, local.clone());
        let terms = self.ports.terms();
        let body = describe(&mut wire, |origin| sdp::offer(&local, origin, terms));
        request.content_type = sip::SDP_TYPE.to_owned();
        request.body = body.into();
        let owner = Owner::Room(self.door.clone());
        self.ports.registry.expect_invite(invite, owner);
        self.lines.insert(member, Line::default());
        self.wires.add(member, wire);
        self.ports.sip.invite(invite, request).await;
    }

    async fn admit(&mut self, id: SubscriptionId) {
        let Some((transaction, request)) = self.asked.remove(&id) else {
            return;
        };
        let contact = contact_of(self.core.uri());
        let sip = &self.ports.sip;
        if request.method == Method::Refer {
            return sip.accept_refer(id, transaction, request, contact).await;
        }
        let registry = &self.ports.registry;
        registry.expect_subscription(id, self.door.clone());
        sip.accept_subscription(id, transaction, request, contact)
            .await;
    }

    fn close(&mut self, member: MemberId) {
        if let Some(line) = self.lines.remove(&member)
            && let Some(offered) = &line.offered
        {
            self.ports.msrp.release(offered);
        }
        if let Some(wire) = self.wires.remove(member) {
            self.ports.registry.forget_invite(wire.invite);
            if wire.session.is_none() {
                self.ports.msrp.release(&wire.local);
            }
        }
    }

    fn write(&self, stanza: Outgoing, token: Option<Token>) -> Option<Event> {
        let confirm = token.map(|token| Receipt::Room {
            token,
            door: self.door.clone(),
        });
        match self.ports.xmpp.send(stanza, confirm) {
            Ok(()) => None,
            // The stanza was not written, so its sender hears of it.
            Err(refused) => {
                info!(reason = %refused, "a stanza is not written");
                token.map(Event::Lost)
            }
        }
    }
}

/// Contact of the room's dialogs: the gateway's own host and port are filled in by the endpoint (RS-03, CORE-11).
pub(super) fn contact_of(room: &Uri) -> LocalContact {
    LocalContact {
        user: room.user().map(str::to_owned),
        uri_params: Vec::new(),
        params: vec![("isfocus".to_owned(), None)],
    }
}

fn allowed_events() -> (Name, String) {
    (Name::AllowEvents, "conference".to_owned())
}

/// The last NOTIFY of a subscription.
fn last(document: Option<Document>) -> Notice {
    Notice::Terminated {
        reason: TerminationReason::NoResource,
        retry_after: None,
        document,
    }
}

/// The Reason header of a BYE (RFC 3326).
fn reason_header(farewell: &Farewell) -> Vec<(Name, String)> {
    if farewell.cause == 200 {
        return Vec::new();
    }
    let words = text::for_reason(&farewell.text);
    let words = words.replace(['"', '\\'], "'");
    let reason = format!("SIP;cause={};text=\"{words}\"", farewell.cause);
    vec![(Name::Reason, reason)]
}

fn status_of(code: u16) -> Status {
    Status::new(code).unwrap_or(Status::SERVER_INTERNAL_ERROR)
}
