//! The endpoint: one machine that owns every transaction and dialog. It does no I/O, takes the time
//! as an argument, and says what is to be sent, asked, connected and told.
//!
//! After each call the caller empties the `poll_*` queues, and calls [`Endpoint::handle_timeout`]
//! when [`Endpoint::poll_timeout`] is reached.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rand::rngs::StdRng;

use crate::resolve::{Answer, Question, Target};
use crate::{Message, Method, ParseError, Status, Transport, Uri};

mod authentication;
mod blocklist;
mod capabilities;
mod checks;
mod client;
mod command;
mod complaints;
mod compose;
mod config;
mod credentials;
mod event;
mod fingerprint;
mod flows;
mod identity;
mod incoming;
mod keep_alive;
mod reach;
mod redirection;
mod registrations;
mod responding;
mod results;
mod sending;
mod server;
mod session;
mod session_changes;
mod session_client;
mod session_prack;
mod session_server;
mod subscription_client;
mod subscription_command;
mod subscription_server;
mod subscriptions;
mod timer_queue;

pub use authentication::{AuthenticatedUser, Authentication, Demand, User};
pub use command::{
    Invite, InviteId, LocalContact, OutgoingRequest, Reply, RequestId, ServerTransactionId,
};
pub(crate) use complaints::{Complaints, Matter};
#[cfg(feature = "tokio")]
pub(crate) use config::network_of;
pub use config::{
    EndpointConfig, IpNetwork, IpNetworkError, Limits, Listener, SipsRequests, Timers,
};
pub use credentials::{CredentialScope, Credentials, answer_once};
pub use event::{EndCause, Event, Failure, Pending, Source};
pub use flows::{ConnectionId, Destination, Transmit};
pub use identity::{Assertion, Originator, Proof, Visibility};
pub use reach::Reach;
pub use registrations::{Register, RegistrationId};
pub use subscription_command::{Refer, ReferPlace, Subscribe, SubscriptionId};

use authentication::Guard;
use blocklist::Blocklist;
use capabilities::Capabilities;
use client::{Attempt, Client, ClientKey, Owner};
use credentials::Keyring;
use fingerprint::Spread;
use flows::Connections;
use registrations::Registrations;
use server::Servers;
use session::{Session, Sessions};
use subscriptions::Subscriptions;
use timer_queue::TimerQueue;

/// One question to the DNS under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(u64);

/// Who is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    Client(ClientKey),
    Server(ServerTransactionId),
    Session(InviteId),
    Subscription(SubscriptionId),
    Connection(ConnectionId),
    Registration(RegistrationId),
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
}

/// All transactions and dialogs of one user agent.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    capabilities: Capabilities,
    phase: Phase,
    random: StdRng,
    keyring: Keyring,
    guard: Guard,
    clients: HashMap<ClientKey, Box<Client>, Spread>,
    resolving: HashMap<QuestionId, Box<Attempt>>,
    last_question: u64,
    /// Requests of ours without a final response yet, those that wait for the DNS included.
    pending_clients: usize,
    servers: Servers,
    sessions: Sessions,
    subscriptions: Subscriptions,
    registrations: Registrations,
    connections: Connections,
    blocklist: Blocklist,
    complaints: Complaints,
    timers: TimerQueue<TimerKey>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    questions: VecDeque<(QuestionId, Question)>,
    connects: VecDeque<(ConnectionId, Target)>,
    disconnects: VecDeque<ConnectionId>,
}

impl Endpoint {
    /// An endpoint with nothing under way. `random` makes tags, branches and Call-IDs, so it has to
    /// be seeded with something nobody can guess.
    pub fn new(mut config: EndpointConfig, mut random: StdRng) -> Self {
        let keyring = Keyring::new(std::mem::take(&mut config.credentials));
        let authentication = std::mem::take(&mut config.authentication);
        let guard = Guard::new(authentication, &config.limits, &mut random);
        Self {
            keyring,
            guard,
            capabilities: Capabilities::new(&config),
            config,
            phase: Phase::Open,
            random,
            clients: HashMap::default(),
            resolving: HashMap::new(),
            last_question: 0,
            pending_clients: 0,
            servers: Servers::new(),
            sessions: Sessions::default(),
            subscriptions: Subscriptions::default(),
            registrations: Registrations::default(),
            connections: Connections::default(),
            blocklist: Blocklist::default(),
            complaints: Complaints::default(),
            timers: TimerQueue::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            questions: VecDeque::new(),
            connects: VecDeque::new(),
            disconnects: VecDeque::new(),
        }
    }

    /// A message came, or something that should have been one.
    pub fn handle_received(
        &mut self,
        message: Result<Message, ParseError>,
        source: Source,
        now: Instant,
    ) {
        if let Some(connection) = source.connection {
            self.note_sign_of_life(connection, now);
        }
        match message {
            Ok(Message::Request(request)) => self.handle_request(request, source, now),
            Ok(Message::Response(response)) => self.handle_response(response, now),
            Err(error) => self.handle_malformed(&error, source, now),
        }
    }

    /// A timer may be due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop_due(now) {
            match key {
                TimerKey::Client(key) => self.handle_client_time(key, at, now),
                TimerKey::Server(id) => self.handle_server_time(id, at, now),
                TimerKey::Session(id) => self.handle_session_time(id, at, now),
                TimerKey::Subscription(id) => self.handle_subscription_time(id, at, now),
                TimerKey::Connection(id) => self.handle_connection_time(id, at, now),
                TimerKey::Registration(id) => self.handle_registration_time(id, at, now),
            }
        }
    }

    /// A peer connected.
    pub fn handle_accepted(&mut self, transport: Transport, remote: SocketAddr) -> ConnectionId {
        self.connections.add_accepted(transport, remote)
    }

    /// The peer of a TLS connection has shown a certificate that is valid for these domains and no others; may be none. Its requests may come from users of these domains only, unless it is the outbound proxy (SEC-02).
    /// RFC 5922 §7.4.
    pub fn handle_authenticated(
        &mut self,
        connection: ConnectionId,
        remote: SocketAddr,
        domains: Vec<String>,
    ) {
        self.connections.prove(connection, remote, domains);
    }

    /// A connection could not be made, or is closed.
    pub fn handle_disconnected(&mut self, connection: ConnectionId, now: Instant) {
        self.lose(connection, Failure::Unreachable, now);
    }

    /// A connection was given up, because the peer has shown no valid certificate (SEC-01).
    pub fn handle_untrusted(&mut self, connection: ConnectionId, now: Instant) {
        self.lose(connection, Failure::Untrusted, now);
    }

    fn lose(&mut self, connection: ConnectionId, failure: Failure, now: Instant) {
        let mut waiting = self.connections.remove(connection);
        waiting.sort_unstable();
        for key in waiting {
            self.handle_client_transport_failed(key, failure, now);
        }
    }

    /// A message could not be sent.
    pub fn handle_transmit_failed(&mut self, transmit: &Transmit, now: Instant) {
        if let Some(key) = transmit.origin {
            self.handle_client_transport_failed(key, Failure::Unreachable, now);
        }
    }

    /// A host says that nobody takes datagrams at this address: what waits for an answer from there fails.
    /// RFC 3261 §18.4.
    pub fn handle_unreachable(&mut self, remote: SocketAddr, now: Instant) {
        for key in self.connections.waiting_at(remote) {
            if !self
                .clients
                .get(&key)
                .is_some_and(|client| client.is_pending())
            {
                continue;
            }
            self.handle_client_transport_failed(key, Failure::Unreachable, now);
        }
    }

    /// The DNS answered a question.
    pub fn handle_resolved(&mut self, question: QuestionId, answer: Answer, now: Instant) {
        self.handle_answer(question, answer, now);
    }

    /// Nobody has room for the request of this event: it is refused, a 503 with Retry-After.
    pub fn refuse(&mut self, pending: Pending, status: Status, now: Instant) {
        let mut reply = Reply::new(status);
        if status == Status::SERVICE_UNAVAILABLE {
            if let Some(source) = self.source_of(pending) {
                self.complain_of_overload(&source, now);
            }
            reply.headers.push(server::retry_after());
        }
        match pending {
            Pending::Invite(invite) => self.answer(invite, reply, now),
            Pending::Request(transaction) => self.respond(transaction, reply, now),
        }
    }

    fn source_of(&mut self, pending: Pending) -> Option<Source> {
        let transaction = match pending {
            Pending::Invite(invite) => match self.sessions.get_mut(invite)? {
                Session::Invited(invited) => invited.transaction,
                Session::Established(_) | Session::Inviting(_) => return None,
            },
            Pending::Request(transaction) => transaction,
        };
        Some(self.servers.get(transaction)?.source)
    }

    /// Takes no new requests from now on; what is under way goes on.
    pub fn close(&mut self) {
        self.phase = Phase::Closing;
    }

    /// Whether no request waits for an answer, in either direction.
    pub fn is_idle(&self) -> bool {
        self.pending_clients == 0 && self.servers.unanswered() == 0 && self.transmits.is_empty()
    }

    /// Sends a request other than INVITE outside of the sessions.
    pub fn request(&mut self, id: RequestId, mut request: OutgoingRequest, now: Instant) {
        if self.phase == Phase::Closing {
            return self.events.push_back(Event::RequestFailed {
                request: id,
                cause: Failure::Closing,
            });
        }
        let call_id = request.call_id.take();
        let call_id = call_id.unwrap_or_else(|| self.new_call_id());
        let from_tag = request.from_tag.take();
        let from_tag = from_tag.unwrap_or_else(|| self.new_tag());
        let identity = compose::Identity {
            call_id: &call_id,
            from_tag: &from_tag,
            cseq: request.cseq.unwrap_or(1),
        };
        let (request, contact) = compose::request(request, &identity, &self.capabilities);
        if matches!(
            request.method,
            Method::Invite | Method::Ack | Method::Cancel
        ) {
            tracing::error!(method = %request.method, "this method cannot be sent as a plain request");
            return self.events.push_back(Event::RequestFailed {
                request: id,
                cause: Failure::Unresolvable,
            });
        }
        let next_hop = self.next_hop(&request);
        self.start(request, Owner::Request(id), contact, next_hop, now);
    }

    /// The first Route, else the outbound proxy, else the target. RFC 3261 §8.1.2.
    fn next_hop(&self, request: &crate::Request) -> Uri {
        let route = request
            .routes()
            .ok()
            .and_then(|routes| routes.into_iter().next());
        match (route, &self.config.outbound_proxy) {
            (Some(route), _) => route.uri,
            (None, Some(proxy)) => proxy.clone(),
            (None, None) => request.uri.clone(),
        }
    }

    /// The connection to a target; begins to make one if there is none and there is room.
    fn connection_to(&mut self, target: Target) -> Option<ConnectionId> {
        if let Some(id) = self.connections.find(&target) {
            return Some(id);
        }
        if self.connections.len() >= self.config.limits.connections {
            return None;
        }
        let id = self.connections.add(&target);
        self.connects.push_back((id, target));
        Some(id)
    }

    /// The next message to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event to be told to the user.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next question to be asked of the DNS.
    pub fn poll_question(&mut self) -> Option<(QuestionId, Question)> {
        self.questions.pop_front()
    }

    /// The next connection to be made.
    pub fn poll_connect(&mut self) -> Option<(ConnectionId, Target)> {
        self.connects.pop_front()
    }

    /// When to call `handle_timeout` next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn new_tag(&mut self) -> String {
        use rand::RngExt;
        let mut tag = String::with_capacity(16);
        // Writing to a String cannot fail.
        let _ = crate::grammar::write_hex(&mut tag, self.random.random());
        tag
    }

    fn new_call_id(&mut self) -> String {
        use rand::RngExt;
        format!("{:032x}", self.random.random::<u128>())
    }
}
