//! Shell: SIP events in the core's terms. What no core needs to know of is answered here.

use std::net::IpAddr;
use std::time::SystemTime;

use stox_msrp::uri::Scheme;
use stox_sip::{EndCause, InviteId, Request, ServerTransactionId, Uri};
use tracing::{debug, info};

use super::Task;
use super::wires::Wire;
use crate::address::Jid;
use crate::sip;
use crate::translate::{ChatEvent, Event, PageFault, Rejection};

impl Task {
    pub(super) async fn sip_event(&mut self, event: stox_sip::Event) -> Option<Event> {
        use stox_sip::Event as Sip;
        match event {
            Sip::Answered {
                invite,
                response,
                remote,
            } => {
                self.learn_source(invite, remote.ip());
                let scheme = self.learn_answer(invite, &response.body);
                self.of_chat(invite, sip::answered(&response, scheme))
            }
            Sip::Rejected { invite, response } => {
                self.of_chat(invite, ChatEvent::Rejected(self.rejection(&response)))
            }
            Sip::Failed { invite, cause } => self.of_chat(invite, ChatEvent::Failed(cause)),
            Sip::Cancelled { invite } => self.of_chat(invite, ChatEvent::Cancelled),
            Sip::Acknowledged { invite, request } => {
                let scheme = self.learn_answer(invite, &request.body);
                self.of_chat(invite, sip::acknowledged(&request, scheme))
            }
            Sip::Ended { invite, cause } => {
                self.tell_end(&cause);
                self.of_chat(invite, ChatEvent::Ended)
            }
            Sip::Reinvited {
                invite,
                transaction,
                request,
            } => self.reinvited(invite, transaction, &request).await,
            Sip::Responded { request, response }
                if self.wires.chat_by_renewal.contains_key(&request) =>
            {
                self.renewed(request, Some(&response))
            }
            Sip::RequestFailed { request, .. }
                if self.wires.chat_by_renewal.contains_key(&request) =>
            {
                self.renewed(request, None)
            }
            Sip::Responded { response, .. } if response.status.is_success() => {
                Some(Event::PageAnswered(Ok(())))
            }
            Sip::Responded { response, .. } => Some(Event::PageAnswered(Err(PageFault::Rejected(
                self.rejection(&response),
            )))),
            Sip::RequestFailed { cause, .. } => {
                Some(Event::PageAnswered(Err(PageFault::Failed(cause))))
            }
            // Ringing changes nothing: messages wait all the same.
            _ => None,
        }
    }

    /// What an operator would tell the users (CHAT-29, CHAT-30); that somebody hung up is no news.
    fn tell_end(&self, cause: &EndCause) {
        match cause {
            EndCause::Expired => {
                info!("the chat session ends: the SIP user's side did not refresh it")
            }
            EndCause::PeerGone => {
                info!("the chat session ends: the SIP user's side knows it no more")
            }
            EndCause::Unacknowledged => {
                info!("the chat session ends: our 200 was never acknowledged")
            }
            _ => debug!("the dialog is over"),
        }
    }

    fn rejection(&self, response: &stox_sip::Response) -> Rejection {
        sip::rejection(response, &self.ports.addresses)
    }

    /// Keeps where the answer to our INVITE came from.
    fn learn_source(&mut self, invite: InviteId, source: IpAddr) {
        let chat = self.wires.chat_by_invite.get(&invite);
        if let Some(wire) = chat.and_then(|chat| self.wires.by_chat.get_mut(chat)) {
            wire.source = Some(source);
        }
    }

    /// Keeps the fingerprint of an answer to our offer. Returns what was offered.
    fn learn_answer(&mut self, invite: InviteId, answer: &[u8]) -> Scheme {
        let chat = self.wires.chat_by_invite.get(&invite);
        let Some(wire) = chat.and_then(|chat| self.wires.by_chat.get_mut(chat)) else {
            return Scheme::Msrp;
        };
        let scheme = wire.local.scheme();
        wire.fingerprint = wire.fingerprint.or(sip::fingerprint(answer, scheme));
        scheme
    }

    fn of_chat(&self, invite: InviteId, event: ChatEvent) -> Option<Event> {
        let chat = self.wires.chat_by_invite.get(&invite)?;
        Some(Event::Chat(*chat, event))
    }

    /// An INVITE whose offer cannot become a chat is refused here; any other becomes one.
    pub(super) async fn invited(
        &mut self,
        invite: InviteId,
        request: &Request,
        from: &Uri,
        to: Jid,
        source: IpAddr,
    ) -> Option<Event> {
        match sip::invitation(request, from, to, &self.ports.msrp.schemes()) {
            Ok((invitation, offer)) => {
                let chat = self.core.next_chat();
                info!(
                    call_id = invitation.call_id,
                    "the SIP user opens a chat session"
                );
                self.ports.registry.claim_call_id(&invitation.call_id);
                let media = offer.as_ref().and_then(|(sdp, index)| sdp.msrp_at(*index));
                let chosen = media.as_ref().map(|media| media.scheme());
                let local = chosen
                    .and_then(|scheme| self.ports.msrp.mint_for(scheme))
                    .unwrap_or_else(|| self.ports.msrp.mint());
                let fingerprint = media.and_then(|media| media.fingerprint);
                self.wires.add(
                    chat,
                    Wire {
                        offer: offer.map(Box::new),
                        fingerprint,
                        source: Some(source),
                        ..Wire::new(invite, local)
                    },
                );
                Some(Event::Invited(chat, invitation))
            }
            Err(reply) => {
                info!(
                    status = reply.status.code(),
                    "an INVITE is refused: it offers no chat"
                );
                self.ports.registry.forget_invite(invite);
                self.ports.sip.answer(invite, *reply).await;
                None
            }
        }
    }

    pub(super) async fn paged(
        &mut self,
        transaction: ServerTransactionId,
        invite: Option<InviteId>,
        request: &Request,
        from: &Uri,
    ) -> Option<Event> {
        let chat = invite.and_then(|invite| self.wires.chat_by_invite.get(&invite).copied());
        let now = SystemTime::now();
        match sip::page(transaction, request, from, chat, self.ports.max_size, now) {
            Ok(paged) => Some(Event::Paged(paged)),
            Err(reply) => {
                info!(
                    status = reply.status.code(),
                    bytes = request.body.len(),
                    "a MESSAGE is not handed on: it is no text that can be, or has expired"
                );
                self.ports.sip.respond(transaction, *reply).await;
                None
            }
        }
    }
}
