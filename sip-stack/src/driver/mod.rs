//! Shell: owns the sockets, the clock and the endpoint core, and carries things between them. It
//! decides nothing about SIP.
//!
//! One task runs the core. It never waits for the handler, the DNS or a connection: those run in
//! tasks of their own and report back through bounded channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::endpoint::{
    Assertion, Authentication, Credentials, EndpointConfig, Event, Invite, InviteId, IpNetwork,
    Limits, OutgoingRequest, Reach, Register, RegistrationId, Reply, RequestId,
    ServerTransactionId, SipsRequests, Timers,
};
use crate::{Method, Name, Status, Transport, Uri};

mod connection;
mod identity;
mod queue;
mod run;
mod sockets;
mod subscriptions;
mod tls;
mod unfinished;
#[cfg(target_os = "linux")]
mod unreachable;

pub use tls::{ClientCertificates, TlsError, TlsSettings};

/// What a driver is told once.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Where to listen. Port 0: any free one, told by [`Sip::local_addresses`].
    pub listen: Vec<(Transport, SocketAddr)>,
    /// Host and port put in Via and Contact; none: the listener's address.
    pub public: Option<(String, Option<u16>)>,
    /// Where every request outside a route set goes first; none: RFC 3263 lookups.
    pub outbound_proxy: Option<Uri>,
    /// What is shown to peers and asked of them over TLS; none: TLS is neither listened for nor sent.
    ///
    /// Whoever listens for TLS alone also sends by TLS alone (SEC-01).
    pub tls: Option<TlsSettings>,
    /// The DNS server to ask; none: the system's.
    pub dns_server: Option<SocketAddr>,
    /// Networks requests are taken from, and whose P-Asserted-Identity is believed. Others get 403 unless
    /// `authentication` asks for a proof instead; empty: every network, believed by nobody.
    pub trusted: Vec<IpNetwork>,
    /// Where addresses that peers name may lead us: Contact, Record-Route, redirections (SEC-11).
    pub reach: Reach,
    /// Who has to prove who they are; of several the first that asks it of a request (SIP-16).
    pub authentication: Vec<Authentication>,
    /// What requests of ours say to trusted networks of who they are from.
    pub assertion: Assertion,
    /// What challenges to requests of ours are answered with (SIP-15).
    pub credentials: Vec<Credentials>,
    /// Whether requests to `sips` URIs are taken.
    pub sips: SipsRequests,
    /// User-Agent in requests and Server in responses.
    pub user_agent: String,
    /// Option tags the user of the stack understands: told in Supported, accepted in Require.
    pub supported: Vec<String>,
    /// The methods that are taken, told in Allow; others get 405 (SIP-06).
    pub allow: Vec<Method>,
    /// The media types that are taken, told in Accept; a request with another body that has to be understood gets 415.
    /// Empty: bodies are told whatever their type (SIP-19).
    pub accept: Vec<String>,
    /// The longest pause between pings on connections that we made; each is up to a fifth shorter. A peer that has promised
    /// to answer (`keep`, RFC 6223) and does not within ten seconds is gone. None: nobody is pinged. RFC 5626 §4.4.1.
    pub keep_alive: Option<Duration>,
    /// The timers.
    pub timers: Timers,
    /// The bounds.
    pub limits: Limits,
}

impl Default for DriverConfig {
    fn default() -> Self {
        let endpoint = EndpointConfig::default();
        Self {
            listen: Vec::new(),
            public: endpoint.public,
            outbound_proxy: endpoint.outbound_proxy,
            tls: None,
            dns_server: None,
            trusted: endpoint.trusted,
            reach: endpoint.reach,
            authentication: endpoint.authentication,
            assertion: endpoint.assertion,
            credentials: endpoint.credentials,
            sips: endpoint.sips,
            user_agent: endpoint.user_agent,
            supported: endpoint.supported,
            allow: endpoint.allow,
            accept: endpoint.accept,
            keep_alive: endpoint.keep_alive,
            timers: endpoint.timers,
            limits: endpoint.limits,
        }
    }
}

/// Takes the events of a driver.
pub trait Handler: Send + 'static {
    /// Called in the driver's task for each event, in order; must not block.
    ///
    /// `Err`: the event was a request that nobody has room for; the driver answers it with that
    /// status, a 503 with Retry-After. For other events the result is not looked at.
    fn handle(&mut self, event: Event) -> Result<(), Status>;
}

impl<F: FnMut(Event) -> Result<(), Status> + Send + 'static> Handler for F {
    fn handle(&mut self, event: Event) -> Result<(), Status> {
        self(event)
    }
}

/// Why a driver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {}:{address}: {source}", transport.as_param())]
    Listen {
        /// Of the listener.
        transport: Transport,
        /// Of the listener.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// TLS is to be listened for and no certificate is given.
    #[error("cannot listen on tls:{address}: no certificate is given")]
    NoCertificate {
        /// Of the listener.
        address: SocketAddr,
    },
    /// Nothing to listen on.
    #[error("no address to listen on is given")]
    NoListener,
    /// The system's DNS configuration cannot be read.
    #[error("cannot set up the DNS resolver: {0}")]
    Resolver(#[from] crate::resolve::ResolverError),
}

/// Binds the listeners and starts the driver's task. The driver lives until [`Sip::close`] or until
/// the last clone of the handle is dropped.
pub async fn bind(config: DriverConfig, handler: impl Handler) -> Result<Sip, BindError> {
    let (commands, receiver) = mpsc::channel(config.limits.commands.max(1));
    let local_addresses = run::start(config, receiver, Box::new(handler)).await?;
    Ok(Sip {
        commands,
        next_id: Arc::new(AtomicU64::new(1)),
        local_addresses: local_addresses.into(),
    })
}

/// The handle of a driver. Its calls wait only for room in the driver's queue; what comes of them
/// is told to the [`Handler`]. After the driver has ended they do nothing.
#[derive(Clone, Debug)]
pub struct Sip {
    commands: mpsc::Sender<Command>,
    next_id: Arc<AtomicU64>,
    local_addresses: Arc<[(Transport, SocketAddr)]>,
}

/// One call of the handle on its way to the driver's task.
#[derive(Debug)]
enum Command {
    Invite(InviteId, Box<Invite>),
    Ack(InviteId, Option<(String, Bytes)>),
    Cancel(InviteId),
    Retract(InviteId),
    Bye(InviteId, Vec<(Name, String)>),
    Answer(InviteId, Box<Reply>),
    Respond(ServerTransactionId, Box<Reply>),
    Request(RequestId, Box<OutgoingRequest>),
    RequestIn(
        InviteId,
        RequestId,
        Method,
        Vec<(Name, String)>,
        String,
        Bytes,
    ),
    Subscription(Box<subscriptions::SubscriptionCommand>),
    Register(RegistrationId, Box<Register>),
    Unregister(RegistrationId),
    Close(oneshot::Sender<()>),
}

impl Sip {
    /// An id for an INVITE to come, so that who waits for its events can be registered first.
    pub fn reserve_invite(&self) -> InviteId {
        InviteId::ours(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// An id for a registration to come.
    pub fn reserve_registration(&self) -> RegistrationId {
        RegistrationId::new(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Registers and stays registered, see [`Endpoint::register`](crate::Endpoint::register), until
    /// [`unregister`](Self::unregister) or [`close`](Self::close).
    pub async fn register(&self, id: RegistrationId, register: Register) {
        self.send(Command::Register(id, Box::new(register))).await;
    }

    /// Takes a registration back.
    pub async fn unregister(&self, id: RegistrationId) {
        self.send(Command::Unregister(id)).await;
    }

    /// An id for a request to come, so that who waits for its end can be registered first.
    pub fn reserve_request(&self) -> RequestId {
        RequestId::ours(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends an INVITE.
    pub async fn invite(&self, id: InviteId, invite: Invite) {
        self.send(Command::Invite(id, Box::new(invite))).await;
    }

    /// Acknowledges the 2xx told by `Answered`, with a body of the given media type if any.
    pub async fn ack(&self, id: InviteId, body: Option<(String, Bytes)>) {
        self.send(Command::Ack(id, body)).await;
    }

    /// Takes our INVITE back: CANCEL as soon as a 1xx has come. A 2xx that crosses it is answered
    /// with ACK and BYE by the endpoint.
    pub async fn cancel(&self, id: InviteId) {
        self.send(Command::Cancel(id)).await;
    }

    /// Takes our INVITE back if it is not answered yet: a 2xx that crosses the CANCEL is told as [`Event::Answered`].
    pub async fn retract(&self, id: InviteId) {
        self.send(Command::Retract(id)).await;
    }

    /// Ends a session.
    pub async fn bye(&self, id: InviteId, headers: Vec<(Name, String)>) {
        self.send(Command::Bye(id, headers)).await;
    }

    /// Answers the INVITE told by `Invited`, provisionally or finally.
    pub async fn answer(&self, id: InviteId, reply: Reply) {
        self.send(Command::Answer(id, Box::new(reply))).await;
    }

    /// Answers the request told by `Requested` or `Reinvited`.
    pub async fn respond(&self, transaction: ServerTransactionId, reply: Reply) {
        self.send(Command::Respond(transaction, Box::new(reply)))
            .await;
    }

    /// Sends a request other than INVITE outside of the sessions.
    pub async fn request(&self, id: RequestId, request: OutgoingRequest) {
        self.send(Command::Request(id, Box::new(request))).await;
    }

    /// Sends a request inside a session: MESSAGE, INFO, REFER, UPDATE, or INVITE for a re-INVITE
    /// (its ACK is sent by the endpoint).
    pub async fn request_in(
        &self,
        invite: InviteId,
        id: RequestId,
        method: Method,
        headers: Vec<(Name, String)>,
        content_type: String,
        body: Bytes,
    ) {
        self.send(Command::RequestIn(
            invite,
            id,
            method,
            headers,
            content_type,
            body,
        ))
        .await;
    }

    /// What is listened on, with the ports the system chose.
    pub fn local_addresses(&self) -> Vec<(Transport, SocketAddr)> {
        self.local_addresses.to_vec()
    }

    /// Takes no new requests, waits until those under way are done, then closes the sockets. The
    /// caller bounds the wait: when the future is dropped, everything is closed at once.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.send(Command::Close(done)).await;
        // An error means that the driver has ended, which is what was asked for.
        let _ = closed.await;
    }

    async fn send(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::debug!("the SIP driver has ended, a command is dropped");
        }
    }
}
