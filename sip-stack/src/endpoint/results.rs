//! What comes of a request of ours: responses, timeouts and failures, and whether the next target is
//! tried. RFC 3261 §8.1.3, §17.1; RFC 3263 §4.3.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Attempt, Client, ClientKey, Machine, Outcome, Owner, Reaction};
use super::{Endpoint, Event, Failure, QuestionId, TimerKey, compose};
use crate::resolve::{Answer, Exhausted, Plan};
use crate::transaction::client_invite::ClientInvite;
use crate::{CSeq, Method, Name, Request, Response, Status};

impl Endpoint {
    /// The response to a request of ours came.
    pub(super) fn handle_response(&mut self, response: Response, now: Instant) {
        let Some(key) = ClientKey::of(&response) else {
            return;
        };
        let Some(mut client) = self.clients.remove(&key) else {
            tracing::debug!(status = %response.status, "a response without transaction is dropped");
            return;
        };
        // A response whose method is not the request's belongs to another transaction. RFC 3261 §17.1.3.
        let cseq = response.headers.read_cseq();
        if cseq.map(|cseq| &cseq.method) != Some(&client.attempt.request.method) {
            return self.keep_client(key, client);
        }
        self.note_promise(client.destination, &response, now);
        let was_pending = client.is_pending();
        let reactions = client.on_response(response.status, &self.config.timers, now);
        self.blocklist
            .forgive((client.target.transport, client.target.address));
        if was_pending && !client.is_pending() {
            self.connections.wait_no_more(client.destination, &key);
            client.wire = Bytes::new();
        }
        let mut passed = None;
        for reaction in reactions {
            match reaction {
                Reaction::SendAck => self.send_rejection_ack(key, &mut client, &response),
                Reaction::Pass => passed = Some(()),
                Reaction::SendRequest | Reaction::Fail(_) => {}
            }
        }
        match passed {
            Some(()) if response.status.is_provisional() => {
                self.keep_client(key, client);
                self.handle_provisional(key, response, now);
            }
            Some(()) if was_pending => self.handle_final(key, client, response, now),
            // A further 2xx to an INVITE.
            Some(()) => {
                self.handle_further_success(&mut client, &response, now);
                self.keep_client(key, client);
            }
            None => self.keep_client(key, client),
        }
    }

    fn send_rejection_ack(&mut self, key: ClientKey, client: &mut Client, response: &Response) {
        if client.ack.is_empty()
            && let Some(ack) = compose::follow_up(
                &client.attempt.request,
                Method::Ack,
                response.headers.first(&Name::To),
            )
        {
            client.ack = ack.to_bytes();
        }
        self.transmits
            .push_back(client.transmit(key, client.ack.clone()));
    }

    fn handle_provisional(&mut self, key: ClientKey, response: Response, now: Instant) {
        let owner = self.clients.get(&key).map(|client| client.attempt.owner);
        if let Some(Owner::Invite(invite)) = owner {
            self.handle_invite_progress(invite, key, response, now);
        }
    }

    /// The first final response: told, or the next target is tried.
    fn handle_final(
        &mut self,
        key: ClientKey,
        mut client: Box<Client>,
        response: Response,
        now: Instant,
    ) {
        if response.status == Status::SERVICE_UNAVAILABLE {
            if let Ok(seconds) = response.headers.retry_after() {
                let period =
                    Duration::from_secs(seconds.into()).min(self.config.limits.retry_after);
                self.blocklist.block(
                    (client.target.transport, client.target.address),
                    period,
                    now,
                );
            }
            if matches!(
                client.attempt.owner,
                Owner::Invite(_) | Owner::Request(_) | Owner::Registration(_)
            ) {
                let mut attempt = self.detach(key, client);
                attempt.outcome = Outcome::Response(response);
                return self.advance(attempt, now);
            }
        }
        let is_challenge = matches!(
            response.status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        );
        if is_challenge && self.answer_challenge(&mut client, &response) {
            let target = client.target.clone();
            let mut attempt = self.detach(key, client);
            attempt.fallback = None;
            if let Err(attempt) = self.send(attempt, target, now) {
                self.advance(attempt, now);
            }
            return;
        }
        if self.wants_longer(client.attempt.owner, &response) {
            let attempt = self.detach(key, client);
            self.pending_clients = self.pending_clients.saturating_sub(1);
            return self.invite_longer(attempt, now);
        }
        self.pending_clients = self.pending_clients.saturating_sub(1);
        if !response.status.is_success() && self.may_follow(&mut client, &response) {
            let attempt = self.detach(key, client);
            return self.follow(attempt, now);
        }
        client.attempt.request.body = Bytes::new();
        let owner = client.attempt.owner;
        if matches!(
            client.machine,
            Machine::Invite(ClientInvite::Accepted { .. })
        ) {
            self.handle_success(&mut client, response, now);
        } else if let (Owner::Registration(id), true) = (owner, response.status.is_success()) {
            self.handle_registered(id, &client.attempt.request, &response, now);
        } else {
            self.report_final(owner, response, now);
        }
        self.keep_client(key, client);
    }

    /// Makes of a challenged request the next one of its sender: with credentials, the CSeq raised, all else as it was
    /// (SIP-15, SIP-18). Whether that can be done. RFC 3261 §8.1.3.5, §22.2.
    fn answer_challenge(&mut self, client: &mut Client, response: &Response) -> bool {
        let Attempt {
            request,
            owner,
            proofs,
            ..
        } = &mut *client.attempt;
        if request.method == Method::Cancel || self.is_withdrawn(*owner) {
            return false;
        }
        let random = &mut self.random;
        if !self.keyring.answer(request, response, proofs, random) {
            return false;
        }
        let owner = *owner;
        let Some(number) = self.next_cseq(owner, &client.attempt.request) else {
            return false;
        };
        let request = &mut client.attempt.request;
        let cseq = CSeq::new(number, request.method.clone());
        request.headers.set(Name::CSeq, cseq.to_string());
        true
    }

    /// The CSeq that follows a request's where it is sent anew.
    pub(super) fn next_cseq(&mut self, owner: Owner, request: &Request) -> Option<u32> {
        let last = request.cseq().map(|cseq| cseq.number);
        let following = || last.ok()?.checked_add(1);
        match owner {
            Owner::InSession(id, _) | Owner::Bye(id) => self
                .sessions
                .established(id)
                .map(|established| established.dialog.next_cseq()),
            Owner::Subscription(id) | Owner::Notify(id) => {
                self.next_cseq_of_subscription(id).or_else(following)
            }
            Owner::Registration(id) => self.next_cseq_of_registration(id),
            Owner::Invite(_) | Owner::Request(_) | Owner::Nobody | Owner::Ack(..) => following(),
        }
    }

    /// Leaves a transaction to itself, which absorbs what still comes, and gives its request to the next one.
    fn detach(&mut self, key: ClientKey, mut client: Box<Client>) -> Box<Attempt> {
        let mut rest = Attempt::new(
            Request::new(
                client.attempt.request.method.clone(),
                client.attempt.request.uri.clone(),
            ),
            Owner::Nobody,
            None,
            Plan::exhausted(),
        );
        std::mem::swap(&mut rest, &mut client.attempt);
        self.keep_client(key, client);
        rest
    }

    /// The targets are used up: tells what came of the last one.
    pub(super) fn exhausted(&mut self, mut attempt: Box<Attempt>, why: Exhausted, now: Instant) {
        self.pending_clients = self.pending_clients.saturating_sub(1);
        let failure = match std::mem::replace(&mut attempt.outcome, Outcome::Untried) {
            Outcome::Response(_) if self.has_next_location(&attempt) => {
                return self.follow(attempt, now);
            }
            Outcome::Response(response) => return self.report_final(attempt.owner, response, now),
            Outcome::Failure(failure) => failure,
            Outcome::Blocked => Failure::Blocked,
            Outcome::Untried => match why {
                Exhausted::NoAnswer => Failure::ResolverFailed,
                Exhausted::NoTarget => Failure::Unresolvable,
                Exhausted::AllTried => Failure::Unreachable,
            },
        };
        self.fail(attempt, failure, now);
    }

    pub(super) fn fail(&mut self, attempt: Box<Attempt>, failure: Failure, now: Instant) {
        tracing::debug!(method = %attempt.request.method, uri = %attempt.request.uri, %failure, "a request failed");
        if failure != Failure::TooManyRequests && self.has_next_location(&attempt) {
            return self.follow(attempt, now);
        }
        self.report_failure(attempt.owner, failure, now);
    }

    /// A final response other than 2xx to an INVITE.
    fn report_final(&mut self, owner: Owner, response: Response, now: Instant) {
        match owner {
            Owner::Invite(invite) => self.handle_invite_rejected(invite, response),
            Owner::Request(request) => self
                .events
                .push_back(Event::Responded { request, response }),
            Owner::InSession(invite, request) => {
                self.handle_session_response(invite, request, response, now)
            }
            Owner::Subscription(id) => self.handle_subscription_response(id, &response, now),
            Owner::Notify(id) => self.handle_notify_response(id, &response, now),
            Owner::Registration(id) => self.handle_registration_refused(id, &response, now),
            Owner::Bye(invite) => self.handle_bye_done(invite, now),
            Owner::Ack(..) | Owner::Nobody => {}
        }
    }

    fn report_failure(&mut self, owner: Owner, cause: Failure, now: Instant) {
        match owner {
            Owner::Invite(invite) => self.handle_invite_failed(invite, cause),
            Owner::Request(request) => self
                .events
                .push_back(Event::RequestFailed { request, cause }),
            Owner::InSession(invite, request) => {
                self.handle_session_failure(invite, request, cause, now)
            }
            Owner::Subscription(id) => self.handle_subscription_failure(id, cause, now),
            Owner::Notify(id) => self.handle_notify_failure(id, cause, now),
            Owner::Registration(id) => self.handle_registration_failed(id, cause, now),
            Owner::Bye(invite) => self.handle_bye_done(invite, now),
            Owner::Ack(..) | Owner::Nobody => {}
        }
    }

    /// The DNS answered.
    pub(super) fn handle_answer(&mut self, id: QuestionId, answer: Answer, now: Instant) {
        // Gone if the request was cancelled meanwhile.
        if let Some(mut attempt) = self.resolving.remove(&id) {
            attempt.plan.handle_answer(answer, &mut self.random);
            self.advance(attempt, now);
        }
    }

    /// Gives up a request that waits for the DNS.
    pub(super) fn forget_resolving(&mut self, id: QuestionId) {
        if self.resolving.remove(&id).is_some() {
            self.pending_clients = self.pending_clients.saturating_sub(1);
        }
    }

    /// Gives up waiting for the final response to an INVITE.
    pub(super) fn abandon(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.remove(&key) {
            self.connections.wait_no_more(client.destination, &key);
            if client.is_pending() {
                self.pending_clients = self.pending_clients.saturating_sub(1);
            }
        }
    }

    /// What was sent for this transaction did not get out.
    /// `failure`: what is told of it where it is the end.
    pub(super) fn handle_client_transport_failed(
        &mut self,
        key: ClientKey,
        failure: Failure,
        now: Instant,
    ) {
        let Some(mut client) = self.clients.remove(&key) else {
            return;
        };
        // Its answer may still come, on another connection.
        if client.is_proceeding() {
            return self.keep_client(key, client);
        }
        let reactions = client.on_transport_failed(&self.config.timers, now);
        let reactions = reactions.into_iter().map(|reaction| match reaction {
            Reaction::Fail(_) => Reaction::Fail(failure),
            Reaction::SendRequest | Reaction::SendAck | Reaction::Pass => reaction,
        });
        self.react_to_failure(key, client, reactions.collect(), now);
    }

    pub(super) fn handle_client_time(&mut self, key: ClientKey, at: Instant, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        if !client.scheduled.take(at) {
            return;
        }
        let Some(mut client) = self.clients.remove(&key) else {
            return;
        };
        if client.has_rung_too_long(now) {
            self.connections.wait_no_more(client.destination, &key);
            self.pending_clients = self.pending_clients.saturating_sub(1);
            return self.fail(client.attempt, Failure::Timeout, now);
        }
        let reactions = client.on_time(&self.config.timers, now);
        self.react_to_failure(key, client, reactions, now);
    }

    fn react_to_failure(
        &mut self,
        key: ClientKey,
        client: Box<Client>,
        reactions: Vec<Reaction>,
        now: Instant,
    ) {
        for reaction in reactions {
            match reaction {
                Reaction::SendRequest => self
                    .transmits
                    .push_back(client.transmit(key, client.wire.clone())),
                Reaction::Fail(failure) => return self.try_elsewhere(key, client, failure, now),
                Reaction::SendAck | Reaction::Pass => {}
            }
        }
        self.keep_client(key, client);
    }

    fn try_elsewhere(
        &mut self,
        key: ClientKey,
        client: Box<Client>,
        failure: Failure,
        now: Instant,
    ) {
        self.connections.wait_no_more(client.destination, &key);
        let Client {
            mut attempt,
            target,
            is_reused,
            ..
        } = *client;
        attempt.outcome = Outcome::Failure(failure);
        // An idle connection that the peer had closed says nothing about the peer.
        if !is_reused {
            self.blocklist
                .mistrust((target.transport, target.address), now);
        }
        if key.is_cancel {
            self.pending_clients = self.pending_clients.saturating_sub(1);
            return;
        }
        if failure == Failure::Unreachable && attempt.fallback.is_some() {
            if let Some(target) = attempt.fallback.take()
                && let Err(attempt) = self.send_as_datagram(attempt, target, now)
            {
                self.advance(attempt, now);
            }
            return;
        }
        attempt.fallback = None;
        let again = failure == Failure::Unreachable && is_reused && target.transport.is_reliable();
        let attempt = match again {
            true => match self.send(attempt, target, now) {
                Ok(()) => return,
                Err(attempt) => attempt,
            },
            false => attempt,
        };
        self.advance(attempt, now);
    }

    pub(super) fn keep_client(&mut self, key: ClientKey, mut client: Box<Client>) {
        // What Timer K is for, a response that comes again, finds no transaction now and is dropped for that.
        if client.is_terminated() || client.only_absorbs() {
            self.connections.wait_no_more(client.destination, &key);
            self.forget_acks(&client);
            return;
        }
        let deadline = client.deadline();
        self.timers
            .schedule(TimerKey::Client(key), deadline, &mut client.scheduled);
        self.clients.insert(key, client);
    }
}
