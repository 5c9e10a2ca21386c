//! Sessions that the peer begins, and its requests inside any session. RFC 3261 §12.2.2, §13.3,
//! §14.2, §15.1.2; RFC 3311.

use std::time::Instant;

use super::authentication::{AuthenticatedUser, Peer, RealmId};
use super::command::{InviteId, LocalContact, Reply, ServerTransactionId};
use super::event::Source;
use super::server::{self, Hop};
use super::session::{AwaitedAck, Ending, Established, Invited, Provisionals, Session};
use super::session_changes::Changes;
use super::{EndCause, Endpoint, Event};
use crate::dialog::{Dialog, DialogId};
use crate::transaction::Repeat;
use crate::{Method, Request, Status};

/// The request is answered already.
struct Refused;

impl Endpoint {
    /// An INVITE outside of any session.
    pub(super) fn handle_invite(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        proof: Option<(RealmId, AuthenticatedUser)>,
        now: Instant,
    ) {
        if self.sessions.len() >= self.config.limits.invites {
            return self.refuse_for_want_of_room(&request, via, &source, now);
        }
        if let Some(least) = self.too_brief(&request) {
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            return self.refuse_statelessly(&request, via, &source, status, [least]);
        }
        let tag = self.new_tag();
        let Ok(dialog) = Dialog::of_server(&request, &tag, source.remote.ip()) else {
            return self.refuse_statelessly(&request, via, &source, Status::BAD_REQUEST, None);
        };
        let invite = self.sessions.new_id();
        let transaction = self.begin(&request, via, source, Some(invite), &tag, now);
        let provisionals = self.provisionals_of(&request);
        let deadline = now + self.config.limits.ringing;
        let user = proof.as_ref().map(|(_, user)| user.clone());
        let originator = self.originator(&request, &source, user);
        let invited = Invited {
            transaction,
            dialog,
            contact: LocalContact::default(),
            peer: Peer::Caller {
                address: source.remote.ip(),
                proof,
            },
            provisionals,
            changes: Changes::of_invited(&request),
            deadline,
        };
        self.sessions
            .insert(invite, Session::Invited(Box::new(invited)));
        self.schedule_session(invite);
        self.events.push_back(Event::Invited {
            invite,
            request,
            source,
            originator,
        });
    }

    /// Answers the INVITE told by `Invited`. A 2xx is repeated until its ACK comes; after a response
    /// of 300 and above the invitation is over and nothing more is told of it.
    pub fn answer(&mut self, id: InviteId, reply: Reply, now: Instant) {
        let Some(Session::Invited(invited)) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(contact) = &reply.contact {
            invited.contact = contact.clone();
        }
        match invited.provisionals {
            Provisionals::Reliable(_) if reply.status.code() < 300 => {
                self.answer_reliably(id, reply, now);
            }
            Provisionals::Reliable(_) | Provisionals::Sent => self.finish(id, reply, now),
        }
    }

    /// Sends a response to an INVITE.
    pub(super) fn finish(&mut self, id: InviteId, mut reply: Reply, now: Instant) {
        let Some(Session::Invited(invited)) = self.sessions.get_mut(id) else {
            return;
        };
        let (transaction, status) = (invited.transaction, reply.status);
        if status.code() < 300 {
            reply.contact = Some(invited.contact.clone());
        }
        let (dialog, contact) = (invited.dialog.clone(), invited.contact.clone());
        let peer = invited.peer.clone();
        if status.is_provisional() {
            self.reply(transaction, reply, now);
        } else if status.is_success() {
            let mut changes = std::mem::take(&mut invited.changes);
            changes.unacknowledged = match &invited.provisionals {
                Provisionals::Reliable(provisionals) => provisionals.unacknowledged(),
                Provisionals::Sent => None,
            }
            .zip(self.servers.get(transaction).map(|server| server.cseq));
            let established = Established::new(dialog, contact, peer, changes);
            self.sessions
                .insert(id, Session::Established(Box::new(established)));
            self.add_agreement(id, &mut reply, now);
            self.accept(id, transaction, reply, now);
        } else {
            self.forget_invited(id);
            self.reply(transaction, reply, now);
        }
    }

    /// Sends a 2xx to an INVITE and goes on sending it.
    fn accept(
        &mut self,
        id: InviteId,
        transaction: ServerTransactionId,
        reply: Reply,
        now: Instant,
    ) {
        if let Some(wire) = self.reply(transaction, reply, now) {
            self.await_ack(id, transaction, wire, now);
        }
    }

    fn await_ack(
        &mut self,
        id: InviteId,
        transaction: ServerTransactionId,
        wire: bytes::Bytes,
        now: Instant,
    ) {
        let Some(server) = self.servers.get(transaction) else {
            return;
        };
        let awaited = AwaitedAck {
            cseq: server.cseq,
            wire,
            source: server.source,
            return_port: server.return_port,
            repeat: Repeat::new(now, self.config.timers.t1),
            end: now + self.config.timers.transaction(),
        };
        if let Some(established) = self.sessions.established(id) {
            established.awaited = Some(awaited);
        }
        self.schedule_session(id);
    }

    /// Ringing has lasted too long.
    pub(super) fn handle_invited_time(&mut self, id: InviteId, now: Instant) {
        if let Some(Session::Invited(invited)) = self.sessions.get(id)
            && invited.deadline > now
        {
            return self.handle_provisionals_time(id, now);
        }
        self.answer(id, Reply::new(Status::TEMPORARILY_UNAVAILABLE), now);
        self.events.push_back(Event::Cancelled { invite: id });
    }

    /// No ACK yet: the 2xx is sent again, or the session ends. RFC 3261 §13.3.1.4.
    pub(super) fn handle_awaited_time(&mut self, id: InviteId, now: Instant) {
        let t2 = self.config.timers.t2;
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        let Some(awaited) = &mut established.awaited else {
            return;
        };
        if awaited.end <= now {
            established.awaited = None;
            return self.end_with_bye(id, EndCause::Unacknowledged, now);
        }
        if awaited.repeat.is_due(now) {
            awaited.repeat = awaited.repeat.doubled(now, Some(t2));
            let (source, port, wire) = (awaited.source, awaited.return_port, awaited.wire.clone());
            self.send_back(&source, port, wire);
        }
    }

    /// An ACK that is for a 2xx.
    pub(super) fn handle_success_acknowledged(&mut self, request: Request, now: Instant) {
        let id = DialogId::of_incoming(&request).and_then(|dialog| self.sessions.find(&dialog));
        let (Some(id), Ok(cseq)) = (id, request.cseq()) else {
            return;
        };
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        if established
            .awaited
            .as_ref()
            .is_none_or(|awaited| awaited.cseq != cseq.number)
        {
            return;
        }
        established.awaited = None;
        let ending = match &mut established.ending {
            Ending::Waiting(headers) => Some(std::mem::take(headers)),
            Ending::No | Ending::Sent => None,
        };
        self.events.push_back(Event::Acknowledged {
            invite: id,
            request,
        });
        if let Some(headers) = ending {
            self.send_bye(id, headers, now);
        }
    }

    /// The peer's CANCEL came in time; 487 is sent.
    pub(super) fn handle_session_cancelled(
        &mut self,
        id: InviteId,
        transaction: ServerTransactionId,
    ) {
        match self.sessions.get_mut(id) {
            Some(Session::Invited(_)) => {
                self.forget_invited(id);
                self.events.push_back(Event::Cancelled { invite: id });
            }
            Some(Session::Established(established)) if established.theirs == Some(transaction) => {
                established.theirs = None;
            }
            Some(Session::Established(_) | Session::Inviting(_)) | None => {}
        }
    }

    fn forget_invited(&mut self, id: InviteId) {
        if let Some(session) = self.sessions.remove(id) {
            self.leave_dialog(&session);
        }
    }

    /// A request with a To tag.
    pub(super) fn handle_inside(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        demand: Option<RealmId>,
        now: Instant,
    ) {
        // Dialogs are served while new requests are refused (SIP-14), but not without end.
        let most = self.config.limits.server_transactions.saturating_mul(2);
        if self.servers.unanswered() >= most && request.method != Method::Bye {
            return self.refuse_for_want_of_room(&request, via, &source, now);
        }
        let dialog = DialogId::of_incoming(&request);
        let session = dialog.and_then(|dialog| Some((self.sessions.find(&dialog)?, dialog)));
        let Some((id, dialog)) = session else {
            return match request.method {
                Method::Subscribe => {
                    let user = match demand {
                        None => None,
                        Some(realm) => match self.prove(realm, &request, via, &source, now) {
                            Some(user) => Some(user),
                            None => return,
                        },
                    };
                    self.handle_beside_sessions(request, via, source, user, now);
                }
                // We subscribed, so the peer may have no password of ours.
                Method::Notify => self.handle_beside_sessions(request, via, source, None, now),
                _ => {
                    let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                    self.refuse_statelessly(&request, via, &source, status, None);
                }
            };
        };
        let user = match self.prove_inside(id, &request, via, &source, demand, now) {
            Ok(user) => user,
            Err(Refused) => return,
        };
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        let order = match self.sessions.get_mut(id) {
            Some(Session::Invited(invited)) => invited.dialog.accept(number),
            Some(Session::Established(established)) => established.dialog.accept(number),
            Some(Session::Inviting(_)) | None => return,
        };
        if order.is_err() {
            return self.refuse_statelessly(
                &request,
                via,
                &source,
                Status::SERVER_INTERNAL_ERROR,
                None,
            );
        }
        match request.method {
            Method::Bye => self.handle_bye(id, request, via, source, now),
            Method::Invite | Method::Update => self.handle_change(id, request, via, source, now),
            Method::Prack => self.handle_prack(id, request, via, source, user, now),
            Method::Subscribe | Method::Notify => {
                self.handle_in_dialog(&dialog, Some(id), request, via, source, user, now);
            }
            _ => self.tell(request, via, source, user, Some(id), now),
        }
    }

    /// Who sent a request inside a session: whoever proved himself when it began, if it comes from the same address;
    /// from elsewhere it needs a proof of its own, by the same user.
    fn prove_inside(
        &mut self,
        id: InviteId,
        request: &Request,
        via: &Hop,
        source: &Source,
        demand: Option<RealmId>,
        now: Instant,
    ) -> Result<Option<AuthenticatedUser>, Refused> {
        let known = self.sessions.get_mut(id).and_then(Session::peer_mut);
        let (at_home, proof) = match known.cloned() {
            Some(Peer::Caller { address, proof }) => (address == source.remote.ip(), proof),
            Some(Peer::Called) | None => return Ok(None),
        };
        // A From of another domain does not free the request of what its session asks.
        let demand = proof.as_ref().map(|(realm, _)| *realm).or(demand);
        let user = proof.map(|(_, user)| user);
        let Some(realm) = demand.filter(|_| user.is_none() || !at_home) else {
            return Ok(user);
        };
        let proven = self
            .prove(realm, request, via, source, now)
            .ok_or(Refused)?;
        if user.is_some_and(|user| user != proven) {
            self.refuse_statelessly(request, via, source, Status::FORBIDDEN, None);
            return Err(Refused);
        }
        if let Some(peer) = self.sessions.get_mut(id).and_then(Session::peer_mut) {
            *peer = Peer::Caller {
                address: source.remote.ip(),
                proof: Some((realm, proven.clone())),
            };
        }
        Ok(Some(proven))
    }

    fn handle_bye(
        &mut self,
        id: InviteId,
        request: Request,
        via: &Hop,
        source: Source,
        now: Instant,
    ) {
        let transaction = self.begin(&request, via, source, None, "", now);
        self.reply(transaction, Reply::new(Status::OK), now);
        self.end_session(id, EndCause::Bye(request), now);
    }

    /// A re-INVITE or UPDATE: told, unless one is under way already (SIP-11). RFC 3261 §14.2, RFC 3311 §5.2.
    fn handle_change(
        &mut self,
        id: InviteId,
        request: Request,
        via: &Hop,
        source: Source,
        now: Instant,
    ) {
        if let Some(least) = self.too_brief(&request) {
            let status = Status::SESSION_INTERVAL_TOO_SMALL;
            return self.refuse_statelessly(&request, via, &source, status, [least]);
        }
        if request.method == Method::Update && request.body.is_empty() {
            return self.handle_bare_update(id, &request, via, source, now);
        }
        let Some(established) = self.sessions.established(id) else {
            let headers = [server::retry_after()];
            return self.refuse_statelessly(
                &request,
                via,
                &source,
                Status::SERVER_INTERNAL_ERROR,
                headers,
            );
        };
        if established.ours.is_some() {
            return self.refuse_statelessly(&request, via, &source, Status::REQUEST_PENDING, None);
        }
        let unacknowledged = established.awaited.is_some() && request.method == Method::Invite;
        if established.theirs.is_some() || unacknowledged {
            let headers = [server::retry_after()];
            return self.refuse_statelessly(
                &request,
                via,
                &source,
                Status::SERVER_INTERNAL_ERROR,
                headers,
            );
        }
        let transaction = self.begin(&request, via, source, Some(id), "", now);
        if let Some(established) = self.sessions.established(id) {
            established.theirs = Some(transaction);
        }
        self.note_asked(id, &request);
        self.events.push_back(Event::Reinvited {
            invite: id,
            transaction,
            request,
        });
    }

    /// Our user answered a request of the peer inside a session.
    pub(super) fn handle_session_answered(
        &mut self,
        id: InviteId,
        transaction: ServerTransactionId,
        response: &bytes::Bytes,
        is_success: bool,
        now: Instant,
    ) {
        let refresh = self
            .servers
            .get_mut(transaction)
            .and_then(|server| server.refresh.take());
        let is_invite = self
            .servers
            .get(transaction)
            .is_some_and(|server| server.method == Method::Invite);
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        if established.theirs == Some(transaction) {
            established.theirs = None;
        }
        if is_success && let Some(target) = refresh {
            established.dialog.refresh(*target);
        }
        if is_success && is_invite {
            self.await_ack(id, transaction, response.clone(), now);
        }
    }

    /// The Contact of the session, for responses inside it.
    pub(super) fn session_contact(&self, id: InviteId) -> Option<LocalContact> {
        match self.sessions.get(id)? {
            Session::Established(established) => Some(established.contact.clone()),
            Session::Inviting(_) | Session::Invited(_) => None,
        }
    }
}
