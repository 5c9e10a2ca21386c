//! Shell: carries out what the core asks for.

use stox_msrp::node::Session;
use stox_msrp::{MsrpUri, Role, SessionConfig, SessionOptions};
use stox_sip::{LocalContact, Method, NameAddr, Reply, Status};
use tracing::{info, warn};

use super::Task;
use super::wires::{ChatInbox, Receipt, Wire};
use crate::registry::Owner;
use crate::translate::promise::{Outcome, Settlement, Ticket};
use crate::translate::{Action, ChatId, Event, Page, Parties, Precedent, Token};
use crate::xmpp::Outgoing;
use crate::{address, metrics, sip};

impl Task {
    /// Does one thing. What comes of it at once is returned; given back is what needs the SIP driver.
    pub(super) fn perform(&mut self, action: Action) -> Result<Option<Event>, Action> {
        let event = match action {
            Action::SendAgain { chat, token } => {
                let wire = self.wires.by_chat.get_mut(&chat);
                let event = wire.and_then(|wire| wire.send_kept(token).err());
                event.map(|event| Event::Chat(chat, event))
            }
            Action::OpenMsrp {
                chat,
                leg,
                path,
                role,
            } => {
                self.open_msrp(chat, leg, path, role);
                None
            }
            Action::Send {
                chat,
                token,
                transaction_id,
                content_type,
                body,
                success_report,
                failure_report,
            } => {
                let outgoing = stox_msrp::Outgoing {
                    token: token.0,
                    transaction_id,
                    content_type: content_type.to_owned(),
                    body,
                    success_report,
                    failure_report,
                };
                let wire = self.wires.by_chat.get_mut(&chat);
                let event = wire.and_then(|wire| wire.send(outgoing).err());
                event.map(|event| Event::Chat(chat, event))
            }
            Action::Respond {
                chat,
                incoming,
                status,
            } => {
                if let Some(session) = self.session(chat) {
                    session.respond(incoming, status);
                }
                None
            }
            Action::Report {
                chat,
                message_id,
                length,
                status,
            } => {
                if let Some(session) = self.session(chat) {
                    session.report(sip::report(message_id, length, status));
                }
                None
            }
            Action::Close(chat) => {
                self.close(chat);
                None
            }
            Action::Stanza(stanza, token) => self.write(stanza, token),
            Action::Settle(settlement) => {
                self.settle(settlement).map_err(Action::Settle)?;
                None
            }
            Action::Invite { .. }
            | Action::Ack(_)
            | Action::Cancel(_)
            | Action::Retract(_)
            | Action::Bye(..)
            | Action::Accept(_)
            | Action::Decline(..)
            | Action::Renew(_)
            | Action::RespondPage(_)
            | Action::Page(_) => return Err(action),
        };
        Ok(event)
    }

    /// The same with what needs the SIP driver, for which one may have to wait.
    pub(super) async fn perform_by_sip(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Invite {
                chat,
                call_id,
                thread,
                subject,
                resource,
                device,
            } => {
                self.invite(chat, call_id, &thread, subject, resource, device)
                    .await;
            }
            Action::Ack(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports.sip.ack(invite, None).await;
            }
            Action::Cancel(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports.sip.cancel(invite).await;
            }
            Action::Retract(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports.sip.retract(invite).await;
            }
            Action::Bye(chat, reason) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                info!(?reason, "the chat session is ended");
                self.ports.sip.bye(invite, sip::reason_header(reason)).await;
            }
            Action::Accept(chat) => self.accept(chat).await,
            Action::Decline(chat, status) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                info!(status, "an INVITE is refused: no new session is taken");
                let status = Status::new(status).unwrap_or(Status::SERVICE_UNAVAILABLE);
                self.ports.sip.answer(invite, Reply::new(status)).await;
            }
            Action::Renew(chat) => return self.renew(chat).await,
            Action::RespondPage(transaction) => {
                let reply = Reply::new(Status::OK);
                self.ports.sip.respond(transaction, reply).await;
            }
            Action::Page(page) => return self.page(*page).await,
            Action::Settle(settlement) => self.settle_by_sip(settlement).await,
            others => return self.perform(others).ok().flatten(),
        }
        None
    }

    fn session(&self, chat: ChatId) -> Option<&Session> {
        self.wires.by_chat.get(&chat)?.session.as_ref()
    }

    fn open_msrp(&mut self, chat: ChatId, leg: u32, path: Vec<MsrpUri>, role: Role) {
        let Some(wire) = self.wires.by_chat.get_mut(&chat) else {
            return;
        };
        let inbox = ChatInbox {
            chat,
            leg,
            door: self.door.clone(),
        };
        wire.peer.clone_from(&path);
        let config = SessionConfig {
            local: wire.local.clone(),
            remote: path,
            role,
            max_size: self.ports.max_size,
            fingerprint: wire.fingerprint,
            options: SessionOptions {
                admitted: wire.admitted(&self.ports.reach),
                ..SessionOptions::default()
            },
        };
        wire.leg = leg;
        wire.session = Some(self.ports.msrp.open(config, inbox));
    }

    fn close(&mut self, chat: ChatId) {
        let Some(wire) = self.wires.remove(chat) else {
            return;
        };
        if let Some(offered) = &wire.offered {
            self.ports.msrp.release(offered);
        }
        self.ports.registry.forget_invite(wire.invite);
        if wire.session.is_none() {
            self.ports.msrp.release(&wire.local);
        }
    }

    async fn invite(
        &mut self,
        chat: ChatId,
        call_id: Option<String>,
        thread: &str,
        subject: String,
        resource: Option<String>,
        device: Option<String>,
    ) {
        let parties = self.core.parties();
        let invite = self.ports.sip.reserve_invite();
        let local = self.ports.msrp.mint();
        let target = address::with_device(&parties.romeo_uri, device.as_deref());
        let mut request = stox_sip::Invite::new(
            target,
            NameAddr::from(parties.juliet_uri.clone()),
            NameAddr::from(parties.romeo_uri.clone()),
            contact_of(parties, resource.as_deref()),
        );
        let call_id = call_id
            .filter(|call_id| self.ports.registry.claim_call_id(call_id))
            .unwrap_or_else(fresh_call_id);
        let juliet = parties.juliet_jid(resource.as_deref());
        request.headers = sip::chat_headers(&subject, thread, &juliet, &call_id);
        request.content_type = sip::SDP_TYPE.to_owned();
        let mut wire = Wire::new(invite, local.clone());
        let terms = self.ports.terms();
        let body = wire.describe(|origin| sip::offer(&local, origin, terms));
        request.body = body.into();
        info!(call_id, "the XMPP user opens a chat session");
        request.call_id = Some(call_id);
        self.ports
            .registry
            .expect_invite(invite, Owner::Conversation(self.door.clone()));
        self.wires.add(chat, wire);
        self.ports.sip.invite(invite, request).await;
    }

    async fn accept(&mut self, chat: ChatId) {
        let contact = contact_of(self.core.parties(), None);
        let Some(wire) = self.wires.by_chat.get_mut(&chat) else {
            return;
        };
        let terms = self.ports.terms();
        let (local, offer) = (wire.local.clone(), wire.offer.take());
        let body = wire.describe(|origin| match offer.as_deref() {
            Some((description, index)) => sip::answer(description, *index, &local, origin, terms),
            None => sip::offer(&local, origin, terms),
        });
        let mut reply = sip::description(body);
        reply.contact = Some(contact);
        self.ports.sip.answer(wire.invite, reply).await;
    }

    async fn page(&mut self, mut page: Page) -> Option<Event> {
        let taken = page.precedent == Precedent::Possible
            && !self.ports.registry.claim_call_id(&page.call_id);
        let renamed = taken.then(|| {
            let instead = fresh_call_id();
            let call_id = std::mem::replace(&mut page.call_id, instead.clone());
            Event::CallIdTaken { call_id, instead }
        });
        let parties = self.core.parties();
        let id = self.ports.sip.reserve_request();
        let from = address::with_device(&parties.juliet_uri, page.resource.as_deref());
        let target = address::with_device(&parties.romeo_uri, page.device.as_deref());
        let mut request = stox_sip::OutgoingRequest::new(
            Method::Message,
            target,
            NameAddr::from(from),
            NameAddr::from(parties.romeo_uri.clone()),
        );
        request.call_id = Some(page.call_id);
        request.from_tag = Some(page.from_tag);
        request.cseq = Some(page.cseq);
        request.headers =
            sip::page_headers(page.subject.as_deref(), page.lang.as_deref(), page.sent);
        request.content_type = page.content_type.to_owned();
        request.body = page.body.into();
        self.ports
            .registry
            .expect_request(id, Owner::Conversation(self.door.clone()));
        self.ports.sip.request(id, request).await;
        renamed
    }

    fn write(&self, stanza: Outgoing, token: Option<Token>) -> Option<Event> {
        let confirm = token.map(|token| Receipt::Conversation {
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

    /// Tells the sender what became of a message; given back is what needs the SIP driver.
    fn settle(&self, settlement: Settlement) -> Result<(), Settlement> {
        if matches!(settlement.ticket, Ticket::Page { .. }) {
            return Err(settlement);
        }
        let Settlement { ticket, outcome } = settlement;
        metrics::settled(&ticket, &outcome);
        match (ticket, outcome) {
            (Ticket::Stanza(origin), Outcome::Delivered) => {
                if let Some(entry) = origin.entry {
                    self.ports.store.release(entry);
                }
            }
            (Ticket::Stanza(origin), Outcome::Refused(fault)) => {
                info!(id = origin.id, condition = %fault.condition(), text = fault.text(), "a message goes back to the XMPP user");
                let error = Outgoing::message_error(
                    &origin.to,
                    &origin.from,
                    origin.id.as_deref(),
                    (&fault).into(),
                );
                let given_back = origin.entry.map(|entry| self.ports.given_back(entry));
                if let Err(refused) = self.ports.xmpp.send(error, given_back) {
                    warn!(id = origin.id, reason = %refused, "an error cannot be told");
                }
            }
            (
                Ticket::Send {
                    chat,
                    leg,
                    incoming,
                },
                outcome,
            ) => {
                let status = match &outcome {
                    Outcome::Delivered => 200,
                    Outcome::Refused(fault) => {
                        info!(condition = %fault.condition(), status = fault.to_msrp(), "a message goes back to the SIP user");
                        fault.to_msrp()
                    }
                };
                if self.wires.has(chat, leg)
                    && let Some(session) = self.session(chat)
                {
                    session.respond(incoming, status);
                }
            }
            (Ticket::Page { .. }, _) => {}
        }
        Ok(())
    }

    /// The same for MESSAGEs.
    async fn settle_by_sip(&self, Settlement { ticket, outcome }: Settlement) {
        let Ticket::Page {
            transaction,
            addressee,
        } = ticket
        else {
            return;
        };
        metrics::settled(&ticket, &outcome);
        let reply = match outcome {
            Outcome::Delivered => Reply::new(Status::OK),
            Outcome::Refused(fault) => {
                let reply =
                    sip::refusal(&fault, addressee, &Method::Message, &self.ports.addresses);
                info!(condition = %fault.condition(), status = reply.status.code(), "a message goes back to the SIP user");
                reply
            }
        };
        self.ports.sip.respond(transaction, reply).await;
    }
}

/// Contact of the XMPP user's dialogs: the gateway's own host and port are filled in by the endpoint (CORE-11).
fn contact_of(parties: &Parties, resource: Option<&str>) -> LocalContact {
    LocalContact {
        user: parties.juliet_uri.user().map(str::to_owned),
        uri_params: resource
            .map(|resource| ("gr".to_owned(), Some(address::gr_of(resource))))
            .into_iter()
            .collect(),
        params: Vec::new(),
    }
}

fn fresh_call_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
