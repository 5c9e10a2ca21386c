//! Sessions that we begin, and our requests inside any session. RFC 3261 §9.1, §13.2, §14.1.

use std::time::Instant;

use bytes::Bytes;

use super::authentication::Peer;
use super::client::{Client, ClientKey};
use super::command::{Invite, InviteId, RequestId};
use super::flows::Transmit;
use super::session::{Crossing, Ending, Established, Inviting, Session, Stage, tag_of};
use super::{
    EndCause, Endpoint, Event, Failure, Owner, Phase, QuestionId, compose, session_changes,
};
use crate::dialog::{self, Dialog};
use crate::{Method, Name, Response, Status, Uri};

/// Most forks of one INVITE that are sent a BYE.
const MOST_FORKS: usize = 16;

impl Endpoint {
    /// Sends an INVITE.
    pub fn invite(&mut self, id: InviteId, invite: Invite, now: Instant) {
        let refused = match self.phase {
            Phase::Closing => Some(Failure::Closing),
            Phase::Open if self.sessions.len() >= self.config.limits.invites => {
                Some(Failure::TooManyRequests)
            }
            Phase::Open => None,
        };
        if let Some(cause) = refused {
            return self.events.push_back(Event::Failed { invite: id, cause });
        }
        let call_id = invite.call_id.clone().unwrap_or_else(|| self.new_call_id());
        let from_tag = invite.from_tag.clone().unwrap_or_else(|| self.new_tag());
        let identity = compose::Identity {
            call_id: &call_id,
            from_tag: &from_tag,
            cseq: invite.cseq.unwrap_or(1),
        };
        let (mut request, contact) = compose::invite(invite, &identity, &self.capabilities);
        let changes = self.changes_of_inviting(&mut request);
        let deadline = now + self.config.limits.ringing;
        let inviting = Inviting {
            stage: Stage::Starting,
            crossing: Crossing::Ended,
            contact: contact.clone(),
            changes,
            deadline,
        };
        self.sessions.insert(id, Session::Inviting(inviting));
        let next_hop = self.next_hop(&request);
        self.start(request, Owner::Invite(id), Some(contact), next_hop, now);
        self.schedule_session(id);
    }

    pub(super) fn note_resolving(&mut self, id: InviteId, question: QuestionId) {
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.stage = Stage::Resolving(question);
        }
    }

    pub(super) fn note_sent(&mut self, id: InviteId, key: ClientKey) {
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.stage = Stage::Sent(key);
        }
    }

    /// Whether our INVITE is to go no further.
    pub(super) fn is_withdrawn(&self, owner: Owner) -> bool {
        let Owner::Invite(id) = owner else {
            return false;
        };
        match self.sessions.get(id) {
            Some(Session::Inviting(inviting)) => {
                matches!(inviting.stage, Stage::Withdrawing(_) | Stage::Cancelled(_))
            }
            Some(Session::Invited(_) | Session::Established(_)) | None => true,
        }
    }

    /// Takes our INVITE back if it is not answered yet: should a 2xx cross the CANCEL, the user is told of it as of any
    /// other, and has a session. [`Endpoint::cancel`] may follow.
    pub fn retract(&mut self, id: InviteId, now: Instant) {
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.crossing = Crossing::Told;
            self.withdraw(id, now);
        }
    }

    /// Takes our INVITE back. RFC 3261 §9.1.
    pub fn cancel(&mut self, id: InviteId, now: Instant) {
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.crossing = Crossing::Ended;
        }
        self.withdraw(id, now);
    }

    fn withdraw(&mut self, id: InviteId, now: Instant) {
        match self.sessions.get(id) {
            Some(Session::Inviting(inviting)) => match inviting.stage {
                Stage::Starting => self.handle_invite_failed(id, Failure::Cancelled),
                Stage::Resolving(question) => {
                    self.forget_resolving(question);
                    self.handle_invite_failed(id, Failure::Cancelled);
                }
                Stage::Sent(key)
                    if self
                        .clients
                        .get(&key)
                        .is_some_and(|client| client.is_proceeding()) =>
                {
                    self.send_cancel_of(id, key, now);
                }
                Stage::Sent(key) => self.set_stage(id, Stage::Withdrawing(key)),
                Stage::Withdrawing(_) | Stage::Cancelled(_) => {}
            },
            // The 2xx was on its way to the user.
            Some(Session::Established(_)) => self.bye(id, Vec::new(), now),
            Some(Session::Invited(_)) | None => {}
        }
    }

    fn send_cancel_of(&mut self, id: InviteId, key: ClientKey, now: Instant) {
        self.set_stage(id, Stage::Cancelled(key));
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.deadline = now + self.config.timers.transaction();
        }
        self.schedule_session(id);
        self.send_cancel(key, now);
    }

    fn set_stage(&mut self, id: InviteId, stage: Stage) {
        if let Some(inviting) = self.sessions.inviting(id) {
            inviting.stage = stage;
        }
    }

    /// Ringing has lasted too long: CANCEL; or the CANCEL had no effect: the INVITE is given up.
    pub(super) fn handle_inviting_time(&mut self, id: InviteId, now: Instant) {
        let Some(inviting) = self.sessions.inviting(id) else {
            return;
        };
        inviting.deadline = now + self.config.timers.transaction();
        match inviting.stage {
            Stage::Sent(key)
                if self
                    .clients
                    .get(&key)
                    .is_some_and(|client| client.is_proceeding()) =>
            {
                self.send_cancel_of(id, key, now);
            }
            Stage::Sent(key) | Stage::Withdrawing(key) | Stage::Cancelled(key) => {
                self.abandon(key);
                self.handle_invite_failed(id, Failure::Timeout);
            }
            Stage::Resolving(question) => {
                self.forget_resolving(question);
                self.handle_invite_failed(id, Failure::ResolverFailed);
            }
            Stage::Starting => self.handle_invite_failed(id, Failure::Timeout),
        }
    }

    /// A provisional response to our INVITE.
    pub(super) fn handle_invite_progress(
        &mut self,
        id: InviteId,
        key: ClientKey,
        response: Response,
        now: Instant,
    ) {
        let Some(inviting) = self.sessions.inviting(id) else {
            return;
        };
        match inviting.stage {
            Stage::Withdrawing(_) => self.send_cancel_of(id, key, now),
            Stage::Sent(_) if response.status != Status::TRYING => {
                self.events.push_back(Event::Progressed {
                    invite: id,
                    response,
                });
            }
            Stage::Starting | Stage::Resolving(_) | Stage::Sent(_) | Stage::Cancelled(_) => {}
        }
    }

    pub(super) fn handle_invite_rejected(&mut self, id: InviteId, response: Response) {
        if self.sessions.remove(id).is_some() {
            self.events.push_back(Event::Rejected {
                invite: id,
                response,
            });
        }
    }

    pub(super) fn handle_invite_failed(&mut self, id: InviteId, cause: Failure) {
        if self.sessions.remove(id).is_some() {
            self.events.push_back(Event::Failed { invite: id, cause });
        }
    }

    /// The first 2xx to an INVITE of ours, or to a re-INVITE.
    pub(super) fn handle_success(&mut self, client: &mut Client, response: Response, now: Instant) {
        match client.attempt.owner {
            Owner::Invite(id) => self.handle_invite_answered(id, client, response, now),
            Owner::InSession(id, request) => {
                self.handle_reinvite_answered(id, request, client, response, now)
            }
            Owner::Ack(..)
            | Owner::Bye(_)
            | Owner::Request(_)
            | Owner::Subscription(_)
            | Owner::Notify(_)
            | Owner::Registration(_)
            | Owner::Nobody => {}
        }
    }

    fn handle_invite_answered(
        &mut self,
        id: InviteId,
        client: &mut Client,
        response: Response,
        now: Instant,
    ) {
        let dialog = match Dialog::of_client(
            &client.attempt.request,
            &response,
            client.target.address.ip(),
        ) {
            Ok(dialog) => dialog,
            Err(error) => {
                tracing::debug!(%error, "a 2xx that makes no dialog");
                return self.handle_invite_failed(id, Failure::Unreachable);
            }
        };
        let Some(inviting) = self.sessions.inviting(id) else {
            return self.end_fork(client, &response, now);
        };
        if let (Stage::Withdrawing(_) | Stage::Cancelled(_), Crossing::Ended) =
            (inviting.stage, inviting.crossing)
        {
            self.end_fork(client, &response, now);
            self.end_session(id, EndCause::CancelCrossed, now);
            return;
        }
        let changes = std::mem::take(&mut inviting.changes);
        let contact = inviting.contact.clone();
        let mut established = Established::new(dialog, contact, Peer::Called, changes);
        established.expect_ack(&client.attempt.request);
        self.sessions
            .insert(id, Session::Established(Box::new(established)));
        self.note_accepted(id, &response, now);
        self.events.push_back(Event::Answered {
            invite: id,
            response,
            remote: client.target.address,
        });
    }

    /// Acknowledges the 2xx to our INVITE, with a body if the 2xx brought the offer. RFC 3261 §13.2.2.4.
    pub fn ack(&mut self, id: InviteId, body: Option<(String, Bytes)>, now: Instant) {
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        let Some(owed) = established.owed_ack() else {
            return;
        };
        let (cseq, credentials) = (owed.cseq, owed.credentials.clone());
        let mut request = established.dialog.ack(cseq);
        request.headers.extend(credentials);
        let next_hop = established.dialog.next_hop();
        compose::add_user_headers(&mut request, Vec::new(), &self.capabilities);
        if let Some((content_type, body)) = body {
            established.changes.note_description(&content_type, &body);
            request = request.with_body(content_type, body);
        }
        self.start(request, Owner::Ack(id, cseq), None, next_hop, now);
    }

    pub(super) fn note_ack(&mut self, id: InviteId, cseq: u32, transmit: Transmit) {
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        if let Some(ack) = established.acks.iter_mut().find(|ack| ack.cseq == cseq) {
            ack.sent = Some(transmit);
        }
    }

    /// Repetitions of the 2xx have ended, so the ACK needs not to be kept.
    pub(super) fn forget_acks(&mut self, client: &Client) {
        let (Owner::Invite(id) | Owner::InSession(id, _)) = client.attempt.owner else {
            return;
        };
        if client.attempt.request.method != Method::Invite {
            return;
        }
        let cseq = cseq_of(client);
        if let Some(established) = self.sessions.established(id) {
            established
                .acks
                .retain(|ack| ack.cseq != cseq || ack.sent.is_none());
        }
    }

    /// A 2xx after the first: a repetition gets its ACK again, another fork ACK and BYE (CHAT-28).
    pub(super) fn handle_further_success(
        &mut self,
        client: &mut Client,
        response: &Response,
        now: Instant,
    ) {
        let (Owner::Invite(id) | Owner::InSession(id, _)) = client.attempt.owner else {
            return;
        };
        let cseq = cseq_of(client);
        let tag = response.to().map(|to| tag_of(&to)).unwrap_or_default();
        let is_session = |established: &&mut Established| {
            established.dialog.remote_tag().unwrap_or_default() == &*tag
        };
        if let Some(established) = self.sessions.established(id).filter(is_session) {
            let Some(ack) = established.acks.iter_mut().find(|ack| ack.cseq == cseq) else {
                return;
            };
            // None: the user has not acknowledged it yet.
            let Some(transmit) = ack.sent.clone() else {
                return;
            };
            if let super::Destination::Connection(connection) = transmit.destination
                && !self.connections.contains(connection)
            {
                ack.sent = None;
                return self.ack(id, None, now);
            }
            return self.transmits.push_back(transmit);
        }
        self.end_fork(client, response, now);
    }

    /// Acknowledges a 2xx whose dialog nobody wants, and ends that dialog, once.
    fn end_fork(&mut self, client: &mut Client, response: &Response, now: Instant) {
        let Ok(mut dialog) = Dialog::of_client(
            &client.attempt.request,
            response,
            client.target.address.ip(),
        ) else {
            return;
        };
        let mut ack = dialog.ack(cseq_of(client));
        ack.headers
            .extend(compose::credentials(&client.attempt.request));
        self.send_unowned(&dialog, ack, now);
        let tag = dialog.id().remote_tag;
        if client.ended_forks.len() < MOST_FORKS && !client.ended_forks.contains(&tag) {
            client.ended_forks.push(tag);
            let bye = dialog.request(Method::Bye);
            self.send_unowned(&dialog, bye, now);
        }
    }

    /// Sends a request inside a session. For INVITE (a re-INVITE) the ACK is the endpoint's.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, and the time"
    )]
    pub fn request_in(
        &mut self,
        invite: InviteId,
        id: RequestId,
        method: Method,
        headers: Vec<(Name, String)>,
        content_type: String,
        body: Bytes,
        now: Instant,
    ) {
        let changes_session = matches!(method, Method::Invite | Method::Update);
        let refused = match self.sessions.established(invite) {
            None => Some(Failure::SessionEnded),
            Some(established) if established.ending != Ending::No => Some(Failure::SessionEnded),
            Some(established) if changes_session && is_changing(established) => {
                Some(Failure::RequestPending)
            }
            Some(_) if matches!(method, Method::Ack | Method::Cancel | Method::Bye) => {
                tracing::error!(%method, "this method cannot be sent as a plain request");
                Some(Failure::SessionEnded)
            }
            Some(_) => None,
        };
        if let Some(cause) = refused {
            return self
                .events
                .push_back(Event::RequestFailed { request: id, cause });
        }
        let mut fields = Vec::new();
        if changes_session {
            let proposal = (
                method.clone(),
                headers.clone(),
                content_type.clone(),
                body.clone(),
            );
            self.note_proposed(invite, id, proposal);
            fields = self.timer_fields(invite);
        }
        let Some(established) = self.sessions.established(invite) else {
            return;
        };
        if changes_session {
            established.ours = Some(id);
        }
        let has_contact =
            changes_session || matches!(method, Method::Subscribe | Method::Notify | Method::Refer);
        let contact = has_contact.then(|| established.contact.clone());
        let mut request = established.dialog.request(method);
        let next_hop = established.dialog.next_hop();
        compose::add_user_headers(&mut request, headers, &self.capabilities);
        session_changes::add_missing(&mut request, fields);
        if !body.is_empty() {
            request = request.with_body(content_type, body);
        }
        self.start(
            request,
            Owner::InSession(invite, id),
            contact,
            next_hop,
            now,
        );
    }

    fn handle_reinvite_answered(
        &mut self,
        id: InviteId,
        request: RequestId,
        client: &Client,
        response: Response,
        now: Instant,
    ) {
        if let Some(established) = self.sessions.established(id) {
            established.expect_ack(&client.attempt.request);
        }
        self.handle_session_response(id, request, response, now);
        self.ack(id, None, now);
    }

    /// The final response to a request of ours inside a session.
    pub(super) fn handle_session_response(
        &mut self,
        id: InviteId,
        request: RequestId,
        response: Response,
        now: Instant,
    ) {
        let status = response.status;
        if let Some(established) = self.sessions.established(id) {
            let method = response.cseq().map(|cseq| cseq.method);
            let refreshes = matches!(
                method,
                Ok(Method::Invite | Method::Update | Method::Subscribe | Method::Notify)
            );
            if established.ours == Some(request) {
                established.ours = None;
            }
            if status.is_success()
                && refreshes
                && let Ok(target) = contact_of(&response)
            {
                established.dialog.refresh(target);
            }
        }
        if self.settle_change(id, request, &response, now) {
            self.events
                .push_back(Event::Responded { request, response });
        }
        match status {
            Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST => {
                self.end_session(id, EndCause::PeerGone, now);
            }
            Status::REQUEST_TIMEOUT => self.end_with_bye(id, EndCause::PeerGone, now),
            _ => {}
        }
    }

    pub(super) fn handle_session_failure(
        &mut self,
        id: InviteId,
        request: RequestId,
        cause: Failure,
        now: Instant,
    ) {
        if let Some(established) = self.sessions.established(id)
            && established.ours == Some(request)
        {
            established.ours = None;
        }
        if self.settle_failed_change(id, request, now) {
            self.events
                .push_back(Event::RequestFailed { request, cause });
        }
        // Nobody answering is as good as 408. RFC 3261 §12.2.1.2.
        if cause == Failure::Timeout {
            self.end_with_bye(id, EndCause::PeerGone, now);
        }
    }

    /// Ends a session with a BYE that nobody waits for.
    pub(super) fn end_with_bye(&mut self, id: InviteId, cause: EndCause, now: Instant) {
        if let Some(Session::Established(mut established)) = self.end_session(id, cause, now)
            && established.ending != Ending::Sent
        {
            let bye = established.dialog.request(Method::Bye);
            self.send_unowned(&established.dialog, bye, now);
        }
    }
}

fn is_changing(established: &Established) -> bool {
    established.ours.is_some() || established.theirs.is_some() || established.changes.is_waiting()
}

fn cseq_of(client: &Client) -> u32 {
    client.attempt.request.cseq().map_or(0, |cseq| cseq.number)
}

fn contact_of(response: &Response) -> Result<Uri, crate::HeaderError> {
    dialog::contact(response.headers.all(&Name::Contact))
}
