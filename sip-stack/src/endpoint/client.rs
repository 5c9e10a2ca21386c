//! Requests of ours: which target is tried when, the client transaction at each, and what comes of
//! it. RFC 3261 §8.1, §17.1, §18.1; RFC 3263 §4.3.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;

use super::blocklist::Standing;
use super::command::{InviteId, LocalContact, RequestId};
use super::config::{EndpointConfig, Timers};
use super::flows::{Destination, Transmit, advertised, listener_for};
use super::timer_queue::Scheduled;
use super::{Endpoint, Event, Failure, QuestionId, TimerKey, compose};
use crate::resolve::{Answer, Exhausted, Plan, Step, Target};
use crate::transaction::client_invite::{self, ClientInvite};
use crate::transaction::client_non_invite::{self, ClientNonInvite};
use crate::{Method, Name, Request, Response, Status, Text, Transport, Uri, Via};

/// A request above this many bytes does not leave as a datagram. RFC 3261 §18.1.1.
const MOST_IN_A_DATAGRAM: usize = 1300;
const COOKIE: &str = "z9hG4bK";

/// Names a client transaction: our branch, and the method where a branch has two. RFC 3261 §17.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    branch: u64,
    is_cancel: bool,
}

impl ClientKey {
    fn of(response: &Response) -> Option<Self> {
        let via = response.top_via().ok()?;
        let digits = via.branch()?.strip_prefix(COOKIE)?;
        let branch = u64::from_str_radix(digits, 16).ok()?;
        Some(Self {
            branch,
            is_cancel: response.cseq().ok()?.method == Method::Cancel,
        })
    }

    fn branch(&self) -> String {
        format!("{COOKIE}{:016x}", self.branch)
    }
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The INVITE that begins a session.
    Invite(InviteId),
    /// An ACK for a 2xx with this CSeq; no transaction.
    Ack(InviteId, u32),
    /// Our BYE.
    Bye(InviteId),
    /// Any other request of ours inside a session.
    InSession(InviteId, RequestId),
    /// A request outside of sessions.
    Request(RequestId),
    /// Nobody asks what becomes of it: CANCEL, BYE and ACK of sessions that are gone.
    Nobody,
}

/// A request on its way through its targets.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Without Via and Contact, which depend on the flow.
    pub(super) request: Request,
    pub(super) owner: Owner,
    pub(super) contact: Option<LocalContact>,
    plan: Plan,
    /// Tried when the plan has no more: targets that could not be reached lately.
    shaky: Vec<Target>,
    /// The datagram target, while its connection is tried because of the size.
    fallback: Option<Target>,
    /// What is told when nothing is left.
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Untried,
    Blocked,
    Failure(Failure),
    Response(Response),
}

/// A client transaction and the request it carries.
#[derive(Debug)]
pub(super) struct Client {
    machine: Machine,
    pub(super) attempt: Box<Attempt>,
    target: Target,
    destination: Destination,
    /// Whether the connection was there before this request.
    is_reused: bool,
    /// The request as sent; dropped with the final response.
    wire: Bytes,
    /// The ACK for a rejection.
    ack: Bytes,
    /// To tags of the 2xx that were answered with BYE.
    pub(super) ended_forks: Vec<Text>,
    scheduled: Scheduled,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

/// What one event makes a client transaction do.
enum Reaction {
    SendRequest,
    SendAck,
    Pass,
    Fail(Failure),
}

impl Attempt {
    pub(super) fn new(
        request: Request,
        owner: Owner,
        contact: Option<LocalContact>,
        plan: Plan,
    ) -> Box<Self> {
        Box::new(Self {
            request,
            owner,
            contact,
            plan,
            shaky: Vec::new(),
            fallback: None,
            outcome: Outcome::Untried,
        })
    }
}

impl Client {
    fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::NonInvite(machine) => machine.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        matches!(
            self.machine,
            Machine::Invite(ClientInvite::Terminated)
                | Machine::NonInvite(ClientNonInvite::Terminated)
        )
    }

    /// Whether a final response is still awaited.
    pub(super) fn is_pending(&self) -> bool {
        match self.machine {
            Machine::Invite(machine) => matches!(
                machine,
                ClientInvite::Calling { .. } | ClientInvite::Proceeding
            ),
            Machine::NonInvite(machine) => {
                matches!(
                    machine,
                    ClientNonInvite::Trying { .. } | ClientNonInvite::Proceeding { .. }
                )
            }
        }
    }

    /// Whether a provisional response has come, so that CANCEL may be sent.
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.machine, Machine::Invite(ClientInvite::Proceeding))
    }

    fn on_response(&mut self, status: Status, timers: &Timers, now: Instant) -> Vec<Reaction> {
        let reliable = self.destination.is_reliable();
        match &mut self.machine {
            Machine::Invite(machine) => {
                let event = match status {
                    status if status.is_provisional() => client_invite::Event::Provisional,
                    status if status.is_success() => client_invite::Event::Success,
                    _ => client_invite::Event::Failure,
                };
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let event = match status.is_provisional() {
                    true => client_non_invite::Event::Provisional,
                    false => client_non_invite::Event::Final,
                };
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    fn on_transport_failed(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        let reliable = self.destination.is_reliable();
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on(
                    client_invite::Event::TransportFailed,
                    reliable,
                    timers,
                    now,
                    &mut out,
                );
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on(
                    client_non_invite::Event::TransportFailed,
                    reliable,
                    timers,
                    now,
                    &mut out,
                );
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    fn on_time(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    fn transmit(&self, key: ClientKey, payload: Bytes) -> Transmit {
        Transmit {
            destination: self.destination,
            payload,
            origin: Some(key),
        }
    }
}

impl From<client_invite::Action> for Reaction {
    fn from(action: client_invite::Action) -> Self {
        match action {
            client_invite::Action::SendRequest => Reaction::SendRequest,
            client_invite::Action::SendAck => Reaction::SendAck,
            client_invite::Action::Pass => Reaction::Pass,
            client_invite::Action::ReportTimeout => Reaction::Fail(Failure::Timeout),
            client_invite::Action::ReportTransportFailure => Reaction::Fail(Failure::Unreachable),
        }
    }
}

impl From<client_non_invite::Action> for Reaction {
    fn from(action: client_non_invite::Action) -> Self {
        match action {
            client_non_invite::Action::SendRequest => Reaction::SendRequest,
            client_non_invite::Action::Pass => Reaction::Pass,
            client_non_invite::Action::ReportTimeout => Reaction::Fail(Failure::Timeout),
            client_non_invite::Action::ReportTransportFailure => {
                Reaction::Fail(Failure::Unreachable)
            }
        }
    }
}

impl Endpoint {
    /// Starts a request of ours towards `next_hop`.
    pub(super) fn start(
        &mut self,
        request: Request,
        owner: Owner,
        contact: Option<LocalContact>,
        next_hop: &Uri,
        now: Instant,
    ) {
        let plan = Plan::new(next_hop, &self.transports);
        let attempt = Attempt::new(request, owner, contact, plan);
        let is_new = matches!(
            owner,
            Owner::Invite(_) | Owner::Request(_) | Owner::InSession(..)
        );
        if is_new && self.pending_clients >= self.config.limits.client_transactions {
            return self.fail(attempt, Failure::TooManyRequests, now);
        }
        self.pending_clients = self.pending_clients.saturating_add(1);
        self.advance(attempt, now);
    }

    /// Goes on with the next step of a request's plan.
    fn advance(&mut self, mut attempt: Box<Attempt>, now: Instant) {
        if self.is_withdrawn(attempt.owner) {
            self.pending_clients = self.pending_clients.saturating_sub(1);
            return self.fail(attempt, Failure::Cancelled, now);
        }
        loop {
            let target = match attempt.plan.poll_step() {
                Step::Ask(question) => {
                    self.last_question = self.last_question.wrapping_add(1);
                    let id = QuestionId(self.last_question);
                    if let Owner::Invite(invite) = attempt.owner {
                        self.note_resolving(invite, id);
                    }
                    self.resolving.insert(id, attempt);
                    self.questions.push_back((id, question));
                    return;
                }
                Step::Try(target) => match self
                    .blocklist
                    .standing((target.transport, target.address), now)
                {
                    Standing::Good => target,
                    Standing::Shaky => {
                        attempt.shaky.push(target);
                        continue;
                    }
                    // What belongs to a session has nowhere else to go.
                    Standing::Blocked
                        if !matches!(attempt.owner, Owner::Invite(_) | Owner::Request(_)) =>
                    {
                        target
                    }
                    Standing::Blocked => {
                        if matches!(attempt.outcome, Outcome::Untried) {
                            attempt.outcome = Outcome::Blocked;
                        }
                        continue;
                    }
                },
                Step::Exhausted(_) if !attempt.shaky.is_empty() => attempt.shaky.remove(0),
                Step::Exhausted(why) => return self.exhausted(attempt, why, now),
            };
            attempt = match self.send(attempt, target, now) {
                Ok(()) => return,
                Err(attempt) => attempt,
            };
        }
    }

    /// Sends a request to one target; gives it back when there is no way there.
    fn send(
        &mut self,
        mut attempt: Box<Attempt>,
        target: Target,
        now: Instant,
    ) -> Result<(), Box<Attempt>> {
        let key = ClientKey {
            branch: self.random.random(),
            is_cancel: false,
        };
        let mut target = target;
        self.address(&mut attempt, key, &target);
        let mut wire = attempt.request.to_bytes();
        if target.transport == Transport::Udp
            && wire.len() > MOST_IN_A_DATAGRAM
            && attempt.fallback.is_none()
        {
            let stream = Target {
                transport: Transport::Tcp,
                ..target.clone()
            };
            attempt.fallback = Some(std::mem::replace(&mut target, stream));
            self.address(&mut attempt, key, &target);
            wire = attempt.request.to_bytes();
        }
        let Some((destination, is_reused)) = self.destination_for(&target) else {
            attempt.outcome = Outcome::Failure(Failure::Unreachable);
            return match attempt.fallback.take() {
                Some(target) => self.send_as_datagram(attempt, target, now),
                None => Err(attempt),
            };
        };
        self.launch(attempt, key, target, destination, is_reused, wire, now);
        Ok(())
    }

    /// The connection was refused, so the datagram may be as large as it is. RFC 3261 §18.1.1.
    fn send_as_datagram(
        &mut self,
        mut attempt: Box<Attempt>,
        target: Target,
        now: Instant,
    ) -> Result<(), Box<Attempt>> {
        let key = ClientKey {
            branch: self.random.random(),
            is_cancel: false,
        };
        self.address(&mut attempt, key, &target);
        let wire = attempt.request.to_bytes();
        let Some((destination, _)) = self.destination_for(&target) else {
            return Err(attempt);
        };
        self.launch(attempt, key, target, destination, false, wire, now);
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is what the transaction consists of"
    )]
    fn launch(
        &mut self,
        attempt: Box<Attempt>,
        key: ClientKey,
        target: Target,
        destination: Destination,
        is_reused: bool,
        wire: Bytes,
        now: Instant,
    ) {
        if attempt.request.method == Method::Ack {
            self.pending_clients = self.pending_clients.saturating_sub(1);
            let transmit = Transmit {
                destination,
                payload: wire,
                origin: None,
            };
            if let Owner::Ack(invite, cseq) = attempt.owner {
                self.note_ack(invite, cseq, transmit.clone());
            }
            self.transmits.push_back(transmit);
            return;
        }
        let reliable = destination.is_reliable();
        let machine = match attempt.request.method {
            Method::Invite => {
                Machine::Invite(ClientInvite::new(reliable, &self.config.timers, now))
            }
            _ => Machine::NonInvite(ClientNonInvite::new(reliable, &self.config.timers, now)),
        };
        if let Owner::Invite(invite) = attempt.owner {
            self.note_sent(invite, key);
        }
        self.connections.wait(destination, key);
        let client = Client {
            machine,
            attempt,
            target,
            destination,
            is_reused,
            wire: wire.clone(),
            ack: Bytes::new(),
            ended_forks: Vec::new(),
            scheduled: Scheduled::default(),
        };
        self.transmits.push_back(client.transmit(key, wire));
        self.keep_client(key, client);
    }

    /// Sends the CANCEL of an INVITE: on its branch, to the same place. RFC 3261 §9.1.
    pub(super) fn send_cancel(&mut self, invite: ClientKey, now: Instant) {
        let key = ClientKey {
            is_cancel: true,
            ..invite
        };
        let Some(client) = self.clients.get(&invite) else {
            return;
        };
        let Some(request) = compose::follow_up(&client.attempt.request, Method::Cancel, None)
        else {
            return;
        };
        let (target, destination) = (client.target.clone(), client.destination);
        let wire = request.to_bytes();
        let attempt = Attempt::new(request, Owner::Nobody, None, Plan::exhausted());
        self.pending_clients = self.pending_clients.saturating_add(1);
        self.launch(attempt, key, target, destination, true, wire, now);
    }

    /// Writes Via and Contact for this target.
    fn address(&self, attempt: &mut Attempt, key: ClientKey, target: &Target) {
        let sent_by = self.advertised_to(target.transport, target.address.ip());
        let via = Via::new(target.transport, sent_by.0.clone(), sent_by.1)
            .with_branch(&key.branch())
            .with_rport();
        attempt.request.headers.set_top_via(&via);
        if let Some(contact) = &attempt.contact {
            let contact = compose::contact(contact, sent_by, target.transport);
            attempt
                .request
                .headers
                .set(Name::Contact, contact.to_string());
        }
    }

    pub(super) fn advertised_to(
        &self,
        transport: Transport,
        remote: IpAddr,
    ) -> (crate::Host, Option<u16>) {
        let config: &EndpointConfig = &self.config;
        advertised(config, listener_for(config, transport, remote), remote)
    }

    /// The socket or connection to a target, and whether the connection was there before.
    fn destination_for(&mut self, target: &Target) -> Option<(Destination, bool)> {
        match target.transport {
            Transport::Udp => {
                let listener = self.config.listeners.iter().find(|l| {
                    l.transport == Transport::Udp && l.bound.is_ipv4() == target.address.is_ipv4()
                })?;
                Some((
                    Destination::Datagram {
                        local: listener.bound,
                        remote: target.address,
                    },
                    false,
                ))
            }
            Transport::Tcp => {
                let is_reused = self
                    .connections
                    .find(Transport::Tcp, target.address)
                    .is_some();
                self.connection_to(target.clone())
                    .map(|id| (Destination::Connection(id), is_reused))
            }
            Transport::Tls => None,
        }
    }

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
        if response.cseq().map(|cseq| cseq.method) != Ok(client.attempt.request.method.clone()) {
            return self.keep_client(key, client);
        }
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
        mut client: Client,
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
            if matches!(client.attempt.owner, Owner::Invite(_) | Owner::Request(_)) {
                let mut attempt = self.detach(key, client);
                attempt.outcome = Outcome::Response(response);
                return self.advance(attempt, now);
            }
        }
        client.attempt.request.body = Bytes::new();
        self.pending_clients = self.pending_clients.saturating_sub(1);
        let owner = client.attempt.owner;
        if matches!(
            client.machine,
            Machine::Invite(ClientInvite::Accepted { .. })
        ) {
            self.handle_success(&mut client, response, now);
        } else {
            self.report_final(owner, response, now);
        }
        self.keep_client(key, client);
    }

    /// Leaves a transaction to itself, which absorbs what still comes, and gives its request to the next one.
    fn detach(&mut self, key: ClientKey, mut client: Client) -> Box<Attempt> {
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
    fn exhausted(&mut self, mut attempt: Box<Attempt>, why: Exhausted, now: Instant) {
        self.pending_clients = self.pending_clients.saturating_sub(1);
        let failure = match std::mem::replace(&mut attempt.outcome, Outcome::Untried) {
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

    fn fail(&mut self, attempt: Box<Attempt>, failure: Failure, now: Instant) {
        tracing::debug!(method = %attempt.request.method, uri = %attempt.request.uri, %failure, "a request failed");
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
            Owner::Bye(invite) => self.handle_bye_done(invite),
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
            Owner::Bye(invite) => self.handle_bye_done(invite),
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
    pub(super) fn handle_client_transport_failed(&mut self, key: ClientKey, now: Instant) {
        let Some(mut client) = self.clients.remove(&key) else {
            return;
        };
        // Its answer may still come, on another connection.
        if client.is_proceeding() {
            return self.keep_client(key, client);
        }
        let reactions = client.on_transport_failed(&self.config.timers, now);
        if client.target.transport.is_reliable() && !client.is_reused {
            self.blocklist
                .mistrust((client.target.transport, client.target.address), now);
        }
        self.react_to_failure(key, client, reactions, now);
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
        let reactions = client.on_time(&self.config.timers, now);
        self.react_to_failure(key, client, reactions, now);
    }

    fn react_to_failure(
        &mut self,
        key: ClientKey,
        client: Client,
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

    fn try_elsewhere(&mut self, key: ClientKey, client: Client, failure: Failure, now: Instant) {
        self.connections.wait_no_more(client.destination, &key);
        let Client {
            mut attempt,
            target,
            is_reused,
            ..
        } = client;
        attempt.outcome = Outcome::Failure(failure);
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
        // An idle connection that the peer had closed says nothing about the peer.
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

    fn keep_client(&mut self, key: ClientKey, mut client: Client) {
        if client.is_terminated() {
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
