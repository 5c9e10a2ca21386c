//! Shell: re-INVITE and UPDATE, those of the peer and ours.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use stox_msrp::sdp::Origin;
use stox_msrp::{MsrpUri, Unconfirmed};
use stox_sip::{
    InviteId, Method, Reply, Request, RequestId, Response, ServerTransactionId, Status,
};
use tracing::info;

use super::Task;
use super::wires::{Kept, Wire};
use crate::registry::Owner;
use crate::sip::{self, Change};
use crate::translate::{ChatEvent, ChatId, Event, Token};

impl Task {
    /// Answers a change of the peer's; what the core must know of it is returned (CHAT-31).
    pub(super) async fn reinvited(
        &mut self,
        invite: InviteId,
        transaction: ServerTransactionId,
        request: &Request,
    ) -> Option<Event> {
        let (reply, event) = self.change(invite, request);
        self.ports.sip.respond(transaction, reply).await;
        event
    }

    fn change(&mut self, invite: InviteId, request: &Request) -> (Reply, Option<Event>) {
        let known = self.wires.chat_by_invite.get(&invite).copied();
        let known = known.and_then(|chat| Some((chat, self.wires.by_chat.get_mut(&chat)?)));
        let Some((chat, wire)) = known else {
            return (Reply::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST), None);
        };
        let terms = self.ports.terms();
        match sip::change(request, wire.local.scheme()) {
            Change::Asks => {
                let local = wire.local.clone();
                let body = wire.describe(|origin| sip::offer(&local, origin, terms));
                (sip::description(body), None)
            }
            Change::Offers {
                description,
                index,
                media,
                fingerprint,
            } => {
                if media.path != wire.peer {
                    let scheme = wire.local.scheme();
                    let Some(local) = self.ports.msrp.mint_for(scheme) else {
                        return (Reply::new(Status::NOT_ACCEPTABLE_HERE), None);
                    };
                    info!("the SIP user's side moves the chat session to another connection");
                    wire.local = local;
                    wire.fingerprint = fingerprint;
                }
                let local = wire.local.clone();
                let body =
                    wire.describe(|origin| sip::answer(&description, index, &local, origin, terms));
                let event = Event::Chat(chat, ChatEvent::Changed(media));
                (sip::description(body), Some(event))
            }
            Change::Removed(description) => {
                let local = wire.local.clone();
                let body = wire.describe(|origin| sip::decline_all(&description, &local, origin));
                let event = Event::Chat(chat, ChatEvent::StreamRemoved);
                (sip::description(body), Some(event))
            }
            Change::Refused(reply) => (reply, None),
        }
    }

    /// Offers a fresh path, because the connection to the old one is gone (MSRP-10).
    pub(super) async fn renew(&mut self, chat: ChatId) -> Option<Event> {
        let terms = self.ports.terms();
        let wire = self.wires.by_chat.get_mut(&chat)?;
        let Some(local) = self.ports.msrp.mint_for(wire.local.scheme()) else {
            return Some(Event::Chat(chat, ChatEvent::NotRenewed));
        };
        let body = wire.describe(|origin| sip::offer(&local, origin, terms));
        wire.offered = Some(local);
        let (invite, request) = (wire.invite, self.ports.sip.reserve_request());
        info!("the MSRP connection is lost: the SIP user's side is asked to make it anew");
        self.wires.chat_by_renewal.insert(request, chat);
        let door = self.door.clone();
        self.ports
            .registry
            .expect_request(request, Owner::Conversation(door));
        let (headers, content_type) = (Vec::new(), sip::SDP_TYPE.to_owned());
        self.ports
            .sip
            .request_in(
                invite,
                request,
                Method::Invite,
                headers,
                content_type,
                body.into(),
            )
            .await;
        None
    }

    /// As many as the core has under way.
    pub(super) fn keep(&mut self, chat: ChatId, leg: u32, unconfirmed: Unconfirmed) {
        if self.wires.has(chat, leg)
            && let Some(wire) = self.wires.by_chat.get_mut(&chat)
        {
            let token = Token(unconfirmed.outgoing.token);
            wire.kept.insert(token, Kept::Unconfirmed(unconfirmed));
        }
    }

    /// The end of our re-INVITE, if it was one; `None`: no 2xx came.
    pub(super) fn renewed(
        &mut self,
        request: RequestId,
        response: Option<&Response>,
    ) -> Option<Event> {
        let chat = self.wires.chat_by_renewal.remove(&request)?;
        let accepted = response.filter(|response| response.status.is_success());
        let wire = self.wires.by_chat.get_mut(&chat);
        let offered = wire.and_then(|wire| Some((wire.offered.take()?, wire)));
        let event = match (offered, accepted) {
            (Some((local, wire)), Some(response)) => {
                let (media, fingerprint) = sip::renewed(&response.body, local.scheme());
                wire.local = local;
                wire.fingerprint = fingerprint;
                ChatEvent::Renewed(media)
            }
            (Some((local, _)), None) => {
                self.ports.msrp.release(&local);
                ChatEvent::NotRenewed
            }
            (None, _) => ChatEvent::NotRenewed,
        };
        Some(Event::Chat(chat, event))
    }
}

impl Wire {
    /// Describes our side; the version of the description rises only if it says something else than the last one.
    /// RFC 3264 §8.
    pub(super) fn describe(&mut self, build: impl Fn(Origin) -> Vec<u8>) -> Vec<u8> {
        let same = build(self.origin);
        let last = self.described.replace(hash(&same));
        if last.is_none() || last == self.described {
            return same;
        }
        self.origin.version += 1;
        let changed = build(self.origin);
        self.described = Some(hash(&changed));
        changed
    }

    pub(super) fn new(invite: InviteId, local: MsrpUri) -> Wire {
        Wire {
            invite,
            local,
            offered: None,
            origin: sip::origin(),
            described: None,
            peer: Vec::new(),
            offer: None,
            fingerprint: None,
            source: None,
            session: None,
            leg: 0,
            kept: HashMap::new(),
        }
    }
}

fn hash(description: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    description.hash(&mut hasher);
    hasher.finish()
}
