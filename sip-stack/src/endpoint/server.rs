//! Requests of the peer: their server transactions, and the way of our responses.
//! RFC 3261 §17.2, §18.2; RFC 3581.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::command::{InviteId, Reply, ServerTransactionId};
use super::config::Timers;
use super::event::Source;
use super::flows::{Destination, Transmit};
use super::timer_queue::Scheduled;
use super::{Endpoint, TimerKey, compose};
use crate::resolve::Target;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::{self, ServerNonInvite};
use crate::{Method, Name, Request, Response, Status, Text, Transport, Uri, Via};

/// What we ask of peers that are refused for lack of room. Seconds.
const RETRY_AFTER: &str = "5";

pub(super) fn retry_after() -> (Name, String) {
    (Name::RetryAfter, RETRY_AFTER.to_owned())
}

/// What identifies a request of a peer, as a keyed hash: short, and nobody can make two the same.
type Fingerprint = (u64, u64);

/// A server transaction.
#[derive(Debug)]
pub(super) struct Server {
    machine: Machine,
    key: Fingerprint,
    merge_key: Option<Fingerprint>,
    pub(super) source: Source,
    /// Where responses go when the connection of the request is gone.
    pub(super) return_port: u16,
    /// What every response to it begins with; gone after the final one.
    skeleton: Option<Box<Response>>,
    pub(super) method: Method,
    pub(super) cseq: u32,
    /// The session it came in or makes.
    pub(super) invite: Option<InviteId>,
    /// The Contact to be taken as the new target when this is accepted.
    pub(super) refresh: Option<Uri>,
    /// The last response sent.
    wire: Bytes,
    scheduled: Scheduled,
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

/// What one event makes a server transaction do.
enum Reaction {
    SendResponse,
    SendTrying,
}

impl Server {
    fn is_terminated(&self) -> bool {
        matches!(
            self.machine,
            Machine::Invite(ServerInvite::Terminated)
                | Machine::NonInvite(ServerNonInvite::Terminated)
        )
    }

    /// Whether our final response is still awaited.
    pub(super) fn is_pending(&self) -> bool {
        self.skeleton.is_some()
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::NonInvite(machine) => machine.deadline(),
        }
    }

    fn on_repeated(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        self.on(
            server_invite::Event::Repeated,
            Some(server_non_invite::Event::Repeated),
            timers,
            now,
        )
    }

    fn on_reply(&mut self, status: Status, timers: &Timers, now: Instant) -> Vec<Reaction> {
        match status {
            status if status.is_provisional() => {
                self.on(server_invite::Event::Provisional, None, timers, now)
            }
            status if status.is_success() => self.on(
                server_invite::Event::Success,
                Some(server_non_invite::Event::Final),
                timers,
                now,
            ),
            _ => self.on(
                server_invite::Event::Failure,
                Some(server_non_invite::Event::Final),
                timers,
                now,
            ),
        }
    }

    fn on(
        &mut self,
        invite: server_invite::Event,
        non_invite: Option<server_non_invite::Event>,
        timers: &Timers,
        now: Instant,
    ) -> Vec<Reaction> {
        let reliable = self.source.transport.is_reliable();
        match (&mut self.machine, non_invite) {
            (Machine::Invite(machine), _) => {
                let mut out = Vec::new();
                *machine = machine.on(invite, reliable, timers, now, &mut out);
                out.into_iter()
                    .map(|server_invite::Action::SendResponse| Reaction::SendResponse)
                    .collect()
            }
            (Machine::NonInvite(machine), Some(event)) => {
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            (Machine::NonInvite(_), None) => Vec::new(),
        }
    }

    fn on_time(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(timers, now, &mut out);
                out.into_iter()
                    .map(|server_invite::Action::SendResponse| Reaction::SendResponse)
                    .collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }
}

impl From<server_non_invite::Action> for Reaction {
    fn from(action: server_non_invite::Action) -> Self {
        match action {
            server_non_invite::Action::SendTrying => Reaction::SendTrying,
            server_non_invite::Action::SendResponse => Reaction::SendResponse,
        }
    }
}

/// The server transactions and the ways to find them.
#[derive(Debug)]
pub(super) struct Servers {
    by_id: HashMap<ServerTransactionId, Server>,
    id_by_key: HashMap<Fingerprint, ServerTransactionId>,
    id_by_merge_key: HashMap<Fingerprint, ServerTransactionId>,
    /// Answered requests other than INVITE, oldest first; may name some that are gone.
    answered: VecDeque<ServerTransactionId>,
    pending: usize,
    last_id: u64,
    hashers: (RandomState, RandomState),
}

impl Servers {
    pub(super) fn new() -> Self {
        Self {
            by_id: HashMap::new(),
            id_by_key: HashMap::new(),
            id_by_merge_key: HashMap::new(),
            answered: VecDeque::new(),
            pending: 0,
            last_id: 0,
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// How many wait for our final response.
    pub(super) fn unanswered(&self) -> usize {
        self.pending
    }

    pub(super) fn get(&self, id: ServerTransactionId) -> Option<&Server> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ServerTransactionId) -> Option<&mut Server> {
        self.by_id.get_mut(&id)
    }

    /// The transaction that this request belongs to, as a repetition, as its ACK, or as its CANCEL. RFC 3261 §17.2.3, §9.2.
    pub(super) fn find(
        &self,
        request: &Request,
        via: &Via,
        method: &Method,
    ) -> Option<ServerTransactionId> {
        self.id_by_key.get(&self.key(request, via, method)).copied()
    }

    /// Another transaction with the same request, which came by another way. RFC 3261 §8.2.2.2.
    pub(super) fn find_merged(&self, request: &Request) -> Option<ServerTransactionId> {
        self.id_by_merge_key.get(&self.merge_key(request)?).copied()
    }

    fn key(&self, request: &Request, via: &Via, method: &Method) -> Fingerprint {
        let method = if *method == Method::Ack {
            &Method::Invite
        } else {
            method
        };
        match via.branch().filter(|_| via.has_unique_branch()) {
            Some(branch) => self.fingerprint(&(
                branch,
                via.host.to_string().to_ascii_lowercase(),
                via.port,
                method.as_str(),
            )),
            None => {
                let to_tag = match method {
                    // The ACK has a To tag that the INVITE had not.
                    Method::Invite | Method::Cancel => None,
                    _ => request.to().ok().and_then(|to| to.tag().map(str::to_owned)),
                };
                self.fingerprint(&(
                    request.uri.to_string(),
                    request
                        .from()
                        .ok()
                        .and_then(|from| from.tag().map(str::to_owned)),
                    to_tag,
                    request.call_id().ok(),
                    request.cseq().ok().map(|cseq| cseq.number),
                    via.to_string(),
                    method.as_str(),
                ))
            }
        }
    }

    fn merge_key(&self, request: &Request) -> Option<Fingerprint> {
        if request.to().ok()?.tag().is_some() {
            return None;
        }
        let from = request.from().ok()?;
        let cseq = request.cseq().ok()?;
        Some(self.fingerprint(&(
            from.tag(),
            request.call_id().ok()?,
            cseq.number,
            request.method.as_str(),
        )))
    }

    fn fingerprint(&self, value: &impl Hash) -> Fingerprint {
        (
            self.hashers.0.hash_one(value),
            self.hashers.1.hash_one(value),
        )
    }

    /// A tag for responses that nothing is kept for: the same for each repetition. RFC 3261 §8.2.7.
    pub(super) fn stateless_tag(&self, response: &Response) -> String {
        let call_id = response.headers.first(&Name::CallId);
        let cseq = response.headers.first(&Name::CSeq);
        let (tag, _) = self.fingerprint(&(call_id, cseq, response.headers.first(&Name::From)));
        format!("{tag:016x}")
    }

    fn remove(&mut self, id: ServerTransactionId) {
        let Some(server) = self.by_id.remove(&id) else {
            return;
        };
        if server.is_pending() {
            self.pending = self.pending.saturating_sub(1);
        }
        if self.id_by_key.get(&server.key) == Some(&id) {
            self.id_by_key.remove(&server.key);
        }
        if let Some(key) = server.merge_key
            && self.id_by_merge_key.get(&key) == Some(&id)
        {
            self.id_by_merge_key.remove(&key);
        }
        while self
            .answered
            .front()
            .is_some_and(|id| !self.by_id.contains_key(id))
        {
            self.answered.pop_front();
        }
    }
}

/// Adds a tag to the To of a response that has none.
pub(super) fn add_to_tag(response: &mut Response, tag: &str) {
    if response.to().is_ok_and(|to| to.tag().is_some()) {
        return;
    }
    if let Some(to) = response.headers.first(&Name::To) {
        let to = format!("{to};tag={tag}");
        response.headers.set(Name::To, to);
    }
}

/// Notes in the top Via where the request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
pub(super) fn note_source(request: &mut Request, via: &mut Via, source: &Source) {
    let differs = via.host.ip() != Some(source.remote.ip());
    let asks_for_port = via.rport().is_some();
    if !differs && !asks_for_port {
        return;
    }
    via.params
        .set("received", Some(source.remote.ip().to_string()));
    if asks_for_port {
        via.params
            .set("rport", Some(source.remote.port().to_string()));
    }
    request.headers.set_top_via(via);
}

/// The port that responses go to when there is no connection. RFC 3261 §18.2.2, RFC 3581 §4.
pub(super) fn return_port(via: &Via, source: &Source) -> u16 {
    match via.rport() {
        Some(_) if !source.transport.is_reliable() => source.remote.port(),
        Some(_) | None => via.port.unwrap_or(source.transport.default_port()),
    }
}

impl Endpoint {
    /// Begins the server transaction of a request.
    pub(super) fn begin(
        &mut self,
        request: &Request,
        via: &Via,
        source: Source,
        invite: Option<InviteId>,
        to_tag: &str,
        now: Instant,
    ) -> ServerTransactionId {
        self.servers.last_id = self.servers.last_id.wrapping_add(1);
        let id = ServerTransactionId(self.servers.last_id);
        let mut skeleton = Response::to_request(request, Status::TRYING);
        let is_invite = request.method == Method::Invite;
        // The 100 has no To tag, all others have.
        let trying = is_invite.then(|| skeleton.to_bytes());
        add_to_tag(&mut skeleton, to_tag);
        if matches!(
            request.method,
            Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
        ) {
            for route in request.headers.fields(&Name::RecordRoute) {
                skeleton.headers.push(Name::RecordRoute, route);
            }
        }
        let refreshes = matches!(
            request.method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify
        );
        let server = Server {
            machine: match is_invite {
                true => Machine::Invite(ServerInvite::new()),
                false => Machine::NonInvite(ServerNonInvite::new(&self.config.timers, now)),
            },
            key: self.servers.key(request, via, &request.method),
            merge_key: self.servers.merge_key(request),
            source,
            return_port: return_port(via, &source),
            skeleton: Some(Box::new(skeleton)),
            method: request.method.clone(),
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            invite,
            refresh: request
                .contact()
                .ok()
                .filter(|_| refreshes)
                .map(|contact| contact.uri),
            wire: trying.unwrap_or_default(),
            scheduled: Scheduled::default(),
        };
        self.servers.id_by_key.insert(server.key, id);
        if let Some(key) = server.merge_key {
            self.servers.id_by_merge_key.insert(key, id);
        }
        self.servers.pending = self.servers.pending.saturating_add(1);
        self.servers.by_id.insert(id, server);
        if is_invite {
            self.send_response(id);
        }
        self.schedule_server(id);
        id
    }

    /// The request came again.
    pub(super) fn handle_repeated(
        &mut self,
        id: ServerTransactionId,
        source: Source,
        now: Instant,
    ) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        server.source = source;
        let reactions = server.on_repeated(&self.config.timers, now);
        self.react(id, reactions);
    }

    /// The ACK for our rejection came.
    pub(super) fn handle_rejection_acknowledged(&mut self, id: ServerTransactionId, now: Instant) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        let reactions = server.on(
            server_invite::Event::Acknowledged,
            None,
            &self.config.timers,
            now,
        );
        self.react(id, reactions);
    }

    pub(super) fn handle_server_time(
        &mut self,
        id: ServerTransactionId,
        at: Instant,
        now: Instant,
    ) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        if !server.scheduled.take(at) {
            return;
        }
        let reactions = server.on_time(&self.config.timers, now);
        self.react(id, reactions);
    }

    /// Answers a request of the peer; for INVITE outside of a session see `answer`.
    pub fn respond(&mut self, transaction: ServerTransactionId, mut reply: Reply, now: Instant) {
        let Some(server) = self.servers.get(transaction) else {
            tracing::debug!(status = %reply.status, "an answer to a request that is over is dropped");
            return;
        };
        if server.method != Method::Invite && reply.status.is_provisional() {
            return;
        }
        let (invite, status) = (server.invite, reply.status);
        // For INVITE and UPDATE inside a session the Contact is that of the session.
        if let Some(invite) = invite
            && matches!(server.method, Method::Invite | Method::Update)
            && reply.contact.is_none()
            && status.code() < 300
        {
            reply.contact = self.session_contact(invite);
        }
        if let (Some(response), Some(invite)) = (self.reply(transaction, reply, now), invite)
            && status.is_final()
        {
            self.handle_session_answered(invite, transaction, &response, status.is_success(), now);
        }
    }

    /// Sends a response in its transaction. Returns its bytes if it was sent.
    pub(super) fn reply(
        &mut self,
        id: ServerTransactionId,
        reply: Reply,
        now: Instant,
    ) -> Option<Bytes> {
        let server = self.servers.by_id.get(&id)?;
        let skeleton = match reply.status.is_final() {
            true => self.servers.by_id.get_mut(&id)?.skeleton.take()?,
            false => server.skeleton.clone()?,
        };
        let status = reply.status;
        let server = self.servers.by_id.get(&id)?;
        let (method, source) = (server.method.clone(), server.source);
        let contact = reply.contact.as_ref().map(|contact| {
            let sent_by = self.advertised_to(source.transport, source.remote.ip());
            compose::contact(contact, sent_by, source.transport)
        });
        let wire = compose::response(*skeleton, &method, reply, contact, &self.config).to_bytes();
        let server = self.servers.by_id.get_mut(&id)?;
        server.wire = wire.clone();
        let reactions = server.on_reply(status, &self.config.timers, now);
        if status.is_final() {
            self.servers.pending = self.servers.pending.saturating_sub(1);
            if method != Method::Invite && !source.transport.is_reliable() {
                self.servers.answered.push_back(id);
            }
        }
        self.react(id, reactions);
        while self.servers.answered.len() > self.config.limits.answered_transactions {
            if let Some(oldest) = self.servers.answered.pop_front() {
                self.servers.remove(oldest);
            }
        }
        Some(wire)
    }

    fn react(&mut self, id: ServerTransactionId, reactions: Vec<Reaction>) {
        for reaction in reactions {
            if let Reaction::SendTrying = reaction
                && let Some(server) = self.servers.by_id.get_mut(&id)
                && let Some(skeleton) = &server.skeleton
            {
                server.wire = skeleton.to_bytes();
            }
            self.send_response(id);
        }
        if self
            .servers
            .by_id
            .get(&id)
            .is_some_and(Server::is_terminated)
        {
            self.servers.remove(id);
        }
        self.schedule_server(id);
    }

    fn schedule_server(&mut self, id: ServerTransactionId) {
        if let Some(server) = self.servers.by_id.get_mut(&id) {
            let deadline = server.deadline();
            self.timers
                .schedule(TimerKey::Server(id), deadline, &mut server.scheduled);
        }
    }

    fn send_response(&mut self, id: ServerTransactionId) {
        let Some(server) = self.servers.by_id.get(&id) else {
            return;
        };
        let (source, port, wire) = (server.source, server.return_port, server.wire.clone());
        self.send_back(&source, port, wire);
    }

    /// Sends a response to where its request came from. RFC 3261 §18.2.2.
    pub(super) fn send_back(&mut self, source: &Source, port: u16, payload: Bytes) {
        if let Some(destination) = self.way_back(source, port) {
            self.transmits.push_back(Transmit {
                destination,
                payload,
                origin: None,
            });
        }
    }

    pub(super) fn way_back(&mut self, source: &Source, port: u16) -> Option<Destination> {
        let remote = SocketAddr::new(source.remote.ip(), port);
        match source.transport {
            Transport::Udp => Some(Destination::Datagram {
                local: source.local,
                remote,
            }),
            Transport::Tcp | Transport::Tls => match source
                .connection
                .filter(|id| self.connections.contains(*id))
            {
                Some(id) => Some(Destination::Connection(id)),
                None => {
                    let target = Target {
                        transport: source.transport,
                        address: remote,
                        domain: None,
                    };
                    self.connection_to(target).map(Destination::Connection)
                }
            },
        }
    }

    /// Refuses a request without keeping anything of it. RFC 3261 §8.2.7.
    pub(super) fn refuse_statelessly(
        &mut self,
        request: &Request,
        via: &Via,
        source: &Source,
        status: Status,
        headers: impl IntoIterator<Item = (Name, String)>,
    ) {
        if request.method == Method::Ack {
            return;
        }
        let mut response = Response::to_request(request, status);
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        tracing::debug!(method = %request.method, %status, remote = %source.remote, "request refused");
        self.send_statelessly(response, via, source);
    }

    pub(super) fn send_statelessly(&mut self, mut response: Response, via: &Via, source: &Source) {
        let tag = self.servers.stateless_tag(&response);
        add_to_tag(&mut response, &tag);
        if response.status == Status::METHOD_NOT_ALLOWED {
            response
                .headers
                .push(Name::Allow, Text::from_static(compose::ALLOW));
        }
        compose::add_server(&mut response, &self.config);
        self.send_back(source, return_port(via, source), response.to_bytes());
    }
}
