//! Shell: listeners, connections, and the way from a connection to its sessions. Decides nothing; every answer is
//! made by [`SessionCore`].

mod complaints;
mod connection;
mod connector;
mod door;
mod listener;
mod lookups;
mod outlet;
mod reading;
mod registry;
mod streams;
mod tls;

pub use streams::{IncomingStream, OutgoingBody};
pub use tls::{ClientCertificates, TlsError, TlsSettings, WeakFingerprints};

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{Notify, watch},
};

use self::{
    complaints::Complaints,
    connector::Peers,
    door::{Door, Waiting},
    listener::Sources,
    lookups::Lookups,
    registry::Registry,
};
use crate::{
    Incoming, IncomingId, Limits, LostCause, MsrpUri, Nickname, NicknameRequest, Outgoing,
    OutgoingStream, Report, Role, SendError, SessionConfig, SessionEvent, Unconfirmed, Unsent,
    sdp::Fingerprint,
    session::{Chunking, SessionCore},
    uri::Scheme,
};

/// How a node listens and what it allows.
#[derive(Debug, Clone, Default)]
pub struct NodeConfig {
    /// Addresses to listen on in the clear; port 0 takes a free one. May be empty for a node that only connects.
    pub listen: Vec<SocketAddr>,
    /// What TLS needs, and where it is listened for; `None`: no TLS.
    pub tls: Option<Tls>,
    /// What `mint` gives where both are listened for; the other is taken from peers that offer it.
    pub preference: Preference,
    /// Host and port put in our URIs; default: the first listener's. Needed if that one is `0.0.0.0` or `[::]`. Where
    /// both are listened for the port is that of what is preferred.
    pub public: Option<(String, u16)>,
    /// How messages are cut into chunks.
    pub chunking: Chunking,
    /// Bounds on peers.
    pub limits: Limits,
}

/// TLS at a node.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificates.
    pub settings: TlsSettings,
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
}

/// What a node that listens both in the clear and for TLS gives to peers that have not chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preference {
    /// `msrp`
    #[default]
    Clear,
    /// `msrps`
    Tls,
}

/// A node could not listen.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// Where a session's events go. Called from the connection's task: must not block.
pub trait Inbox: Send + 'static {
    /// A new message. `Err` gives it back when the owner has no room; the session then refuses it with 413.
    fn receive(&self, message: Incoming) -> Result<(), Incoming>;
    /// The peer asks for a nickname; only in sessions that say they take them. `Err` gives the request back, which is
    /// then answered 403.
    fn receive_nickname(&self, request: NicknameRequest) -> Result<(), NicknameRequest> {
        Err(request)
    }
    /// A message comes in piece by piece; only in sessions that say they take them so. `Err` gives it back, which
    /// refuses it with 413.
    fn receive_stream(&self, stream: IncomingStream) -> Result<(), IncomingStream> {
        Err(stream)
    }
    /// The session is about to be lost, and the peer has not confirmed this message. By default that is not made use
    /// of.
    fn give_back(&self, unconfirmed: Unconfirmed) {
        drop(unconfirmed);
    }
    /// The outcome of something the owner asked for. Cannot be refused; bounded by what was asked.
    fn complete(&self, event: SessionEvent);
}

/// One MSRP host: its listeners and connections. Clones are handles to the same node; when the last one is dropped,
/// the node closes.
#[derive(Clone)]
pub struct Node {
    owner: Arc<Owner>,
}

impl Node {
    /// Listens. Must be called within a tokio runtime, which then runs the connections.
    pub async fn bind(config: NodeConfig) -> Result<Node, BindError> {
        let clear = listener::bind_all(&config.listen)?;
        let (tls, secure) = match config.tls {
            Some(tls) => (Some(tls.settings), listener::bind_all(&tls.listen)?),
            None => (None, Vec::new()),
        };
        let authorities = Authorities::new(&clear, &secure, config.preference, config.public);
        let local_addresses = [&clear, &secure].map(|listeners| {
            let addresses = listeners.iter().map(|(_, address)| *address);
            addresses.collect::<Vec<SocketAddr>>()
        });
        let shared = Arc::new(Shared {
            chunking: config.chunking,
            lookups: Lookups::new(config.limits.lookups),
            limits: Arc::new(config.limits),
            authorities,
            tls,
            runtime: Handle::current(),
            registry: Registry::default(),
            waiting: Waiting::default(),
            someone_waits: Notify::new(),
            peers: Peers::default(),
            sources: Arc::default(),
            complaints: Complaints::default(),
            closing: watch::Sender::new(false),
        });
        for (listener, _) in clear {
            tokio::spawn(listener::run(listener, None, shared.clone()));
        }
        for (listener, _) in secure {
            tokio::spawn(listener::run(listener, shared.tls.clone(), shared.clone()));
        }
        tokio::spawn(door::run(shared.clone()));
        let owner = Arc::new(Owner {
            shared,
            local_addresses,
        });
        Ok(Node { owner })
    }

    /// What is listened on, real ports in place of 0: first in the clear, then for TLS.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.owner.local_addresses.concat()
    }

    /// What peers can connect with, the preferred first; never empty.
    pub fn schemes(&self) -> Vec<Scheme> {
        let authorities = &self.owner.shared.authorities;
        [Some(&authorities.first), authorities.second.as_ref()]
            .into_iter()
            .flatten()
            .map(|authority| authority.scheme)
            .collect()
    }

    /// Of the certificate we show over TLS, for our descriptions (SEC-07).
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let tls = self.owner.shared.tls.as_ref();
        tls.map(TlsSettings::fingerprint)
    }

    /// A fresh URI of the preferred scheme for a session at this node (MSRP-01). Its id is reserved until the session is opened, for
    /// `Limits::reservation` at most: a peer that is told the URI and connects before `open` waits for it instead of
    /// getting 481.
    pub fn mint(&self) -> MsrpUri {
        self.mint_at(&self.owner.shared.authorities.first)
    }

    /// As `mint`, for a peer that has chosen the scheme; `None`: we do not listen for it, so the peer's offer is to be
    /// refused (SEC-07).
    pub fn mint_for(&self, scheme: Scheme) -> Option<MsrpUri> {
        let Authorities { first, second } = &self.owner.shared.authorities;
        let mut both = [Some(first), second.as_ref()].into_iter().flatten();
        let authority = both.find(|authority| authority.scheme == scheme)?;
        Some(self.mint_at(authority))
    }

    fn mint_at(&self, authority: &Authority) -> MsrpUri {
        let Shared {
            registry, limits, ..
        } = &*self.owner.shared;
        let Authority { scheme, host, port } = authority;
        let uri = MsrpUri::mint(*scheme, host, *port, &mut rand::rng());
        registry.reserve(uri.session_id(), now(), limits);
        uri
    }

    /// A minted URI will not be opened: who comes for it gets 481. Does nothing once it is.
    pub fn release(&self, uri: &MsrpUri) {
        self.owner.shared.registry.release(uri.session_id());
    }

    /// Registers a session. Passive: waits for a connection whose first request names `local`. Active: connects to
    /// the first of `remote` and binds with a bodiless SEND. Ends in `SessionEvent::Bound` or `Lost`.
    pub fn open(&self, session: SessionConfig, inbox: impl Inbox) -> Session {
        let shared = &self.owner.shared;
        let (role, target) = (session.role, session.remote.first().cloned());
        let (fingerprint, admitted) = (session.fingerprint, session.options.admitted.clone());
        let core = SessionCore::new(
            session,
            shared.limits.clone(),
            shared.chunking,
            now(),
            &mut rand::rng(),
        );
        let door = Arc::new(Door::new(core, fingerprint, Box::new(inbox)));
        shared.registry.register(door.clone());
        match role {
            Role::Passive => shared.wait(&door, now() + shared.limits.first_request),
            Role::Active => {
                let task = connector::run(target, admitted, door.clone(), shared.clone());
                shared.runtime.spawn(task);
            }
        }
        Session {
            door,
            shared: shared.clone(),
        }
    }

    /// Ends listeners and connections; sessions get `Lost`.
    pub async fn close(&self) {
        let shared = &self.owner.shared;
        shared.closing.send_replace(true);
        shared.closing.closed().await;
    }
}

/// Handle of one session; dropping it closes the session.
pub struct Session {
    door: Arc<Door>,
    shared: Arc<Shared>,
}

impl Session {
    /// Our own URI in this session.
    pub fn local(&self) -> &MsrpUri {
        self.door.local()
    }

    /// Queues a message. Never blocks.
    ///
    /// # Errors
    /// [`Unsent`] gives the message back.
    pub fn send(&self, outgoing: Outgoing) -> Result<(), Unsent<Outgoing>> {
        self.door.send(outgoing)
    }

    /// Queues a message that was given back when an earlier session with this peer was lost, under the Message-ID that
    /// it had there (MSRP-10).
    ///
    /// # Errors
    /// [`Unsent`] gives the message back.
    pub fn send_again(&self, unconfirmed: Unconfirmed) -> Result<(), Unsent<Unconfirmed>> {
        self.door.send_again(unconfirmed)
    }

    /// Begins a message whose body is handed in piece by piece (MSRP-18).
    pub fn stream(&self, stream: OutgoingStream) -> Result<OutgoingBody, SendError> {
        OutgoingBody::begin(&self.door, stream)
    }

    /// Takes a message back of which not everything is written yet: the peer throws its part of it away, and nothing
    /// more is told of it. Whether that was so (MSRP-13).
    pub fn cancel(&self, token: u64) -> bool {
        self.door.cancel(token)
    }

    /// Asks the chat room at the other end for a nickname; see [`SessionCore::use_nickname`] for what comes of it.
    pub fn use_nickname(&self, token: u64, nickname: &Nickname) -> Result<(), SendError> {
        self.door.use_nickname(token, nickname)
    }

    /// Answers a message or a nickname received; what the sender does not want to hear is not sent (RCPT-09). Once per message;
    /// later calls do nothing.
    pub fn respond(&self, id: IncomingId, status: u16) {
        self.door.respond(id, status);
    }

    /// Sends a REPORT about a message received earlier.
    pub fn report(&self, report: Report) {
        self.door.report(&report);
    }

    /// Ends the session; nothing comes after it. Its connection is closed when no session uses it.
    pub fn close(self) {}
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.registry.unregister(&self.door);
        self.door.close(now() + self.shared.limits.idle);
    }
}

/// RFC 4975 §15.4.
const DEFAULT_PORT: u16 = 2855;

struct Owner {
    shared: Arc<Shared>,
    /// In the clear, for TLS.
    local_addresses: [Vec<SocketAddr>; 2],
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

/// What the node's tasks share.
struct Shared {
    limits: Arc<Limits>,
    chunking: Chunking,
    authorities: Authorities,
    tls: Option<TlsSettings>,
    runtime: Handle,
    registry: Registry,
    lookups: Lookups,
    waiting: Waiting,
    someone_waits: Notify,
    peers: Peers,
    sources: Arc<Sources>,
    complaints: Complaints,
    /// Every task holds a receiver and ends when it says so.
    closing: watch::Sender<bool>,
}

/// Where peers reach us, the preferred way first.
struct Authorities {
    first: Authority,
    second: Option<Authority>,
}

struct Authority {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Authorities {
    fn new(
        clear: &[(TcpListener, SocketAddr)],
        secure: &[(TcpListener, SocketAddr)],
        preference: Preference,
        public: Option<(String, u16)>,
    ) -> Authorities {
        let of = |scheme, listeners: &[(TcpListener, SocketAddr)]| {
            let (_, address) = listeners.first()?;
            Some(Authority {
                scheme,
                host: address.ip().to_string(),
                port: address.port(),
            })
        };
        let (clear, secure) = (of(Scheme::Msrp, clear), of(Scheme::Msrps, secure));
        let (first, second) = match (clear, secure, preference) {
            (Some(clear), Some(secure), Preference::Clear) => (clear, Some(secure)),
            (Some(clear), Some(secure), Preference::Tls) => (secure, Some(clear)),
            (Some(only), None, _) | (None, Some(only), _) => (only, None),
            (None, None, _) => {
                let nowhere = Authority {
                    scheme: Scheme::Msrp,
                    host: "localhost".to_owned(),
                    port: DEFAULT_PORT,
                };
                (nowhere, None)
            }
        };
        let Some((host, port)) = public else {
            return Authorities { first, second };
        };
        let second = second.map(|second| Authority {
            host: host.clone(),
            ..second
        });
        let first = Authority {
            host,
            port,
            ..first
        };
        Authorities { first, second }
    }
}

impl Shared {
    /// The session never had a connection, or never will.
    fn lose(&self, door: &Arc<Door>, cause: LostCause) {
        if door.lose_unbound(cause) {
            self.registry.unregister(door);
        }
    }
}

/// The runtime's clock, which tests may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
