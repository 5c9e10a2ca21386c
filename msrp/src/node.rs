//! Shell: listeners, connections, and the way from a connection to its sessions. Decides nothing; every answer is
//! made by [`SessionCore`].

mod connection;
mod connector;
mod door;
mod listener;
mod lookups;
mod reading;
mod registry;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

use self::{
    connector::Peers,
    door::{Door, Waiting},
    listener::Sources,
    lookups::Lookups,
    registry::Registry,
};
use crate::{
    Incoming, IncomingId, Limits, LostCause, MsrpUri, Outgoing, Report, Role, SendError,
    SessionConfig, SessionEvent, session::SessionCore, uri::Scheme,
};

/// How a node listens and what it allows.
#[derive(Debug, Clone, Default)]
pub struct NodeConfig {
    /// Addresses to listen on; port 0 takes a free one. May be empty for a node that only connects.
    pub listen: Vec<SocketAddr>,
    /// Host and port put in our URIs; default: the first listener's. Needed if that one is `0.0.0.0` or `[::]`.
    pub public: Option<(String, u16)>,
    /// Bytes of body per chunk, at least 2048. `None`: every message in one chunk, which some peers need.
    pub chunk_size: Option<usize>,
    /// Bounds on peers.
    pub limits: Limits,
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
        let listeners = listener::bind_all(&config.listen)?;
        let local_addresses: Vec<SocketAddr> =
            listeners.iter().map(|(_, address)| *address).collect();
        let public = config.public.unwrap_or_else(|| {
            let first = local_addresses.first();
            first.map_or_else(
                || ("localhost".to_owned(), DEFAULT_PORT),
                |address| (address.ip().to_string(), address.port()),
            )
        });
        let shared = Arc::new(Shared {
            chunk_size: config.chunk_size,
            lookups: Lookups::new(config.limits.lookups),
            limits: Arc::new(config.limits),
            public,
            runtime: Handle::current(),
            registry: Registry::default(),
            waiting: Waiting::default(),
            someone_waits: Notify::new(),
            peers: Peers::default(),
            sources: Arc::default(),
            closing: watch::Sender::new(false),
        });
        for (listener, _) in listeners {
            tokio::spawn(listener::run(listener, shared.clone()));
        }
        tokio::spawn(door::run(shared.clone()));
        let owner = Arc::new(Owner {
            shared,
            local_addresses,
        });
        Ok(Node { owner })
    }

    /// What is listened on, real ports in place of 0.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.owner.local_addresses.clone()
    }

    /// A fresh URI for a session at this node (MSRP-01). Its id is reserved until the session is opened, for
    /// `Limits::reservation` at most: a peer that is told the URI and connects before `open` waits for it instead of
    /// getting 481.
    pub fn mint(&self) -> MsrpUri {
        let Shared {
            public: (host, port),
            registry,
            limits,
            ..
        } = &*self.owner.shared;
        let uri = MsrpUri::mint(Scheme::Msrp, host, *port, &mut rand::rng());
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
        let core = SessionCore::new(
            session,
            shared.limits.clone(),
            shared.chunk_size,
            &mut rand::rng(),
        );
        let door = Arc::new(Door::new(core, Box::new(inbox)));
        shared.registry.register(door.clone());
        match role {
            Role::Passive => shared.wait(&door, now() + shared.limits.first_request),
            Role::Active => {
                let task = connector::run(target, door.clone(), shared.clone());
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
    pub fn send(&self, outgoing: Outgoing) -> Result<(), SendError> {
        self.door.send(outgoing)
    }

    /// Answers a message received; what the sender does not want to hear is not sent (RCPT-09). Once per message;
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
    local_addresses: Vec<SocketAddr>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

/// What the node's tasks share.
struct Shared {
    limits: Arc<Limits>,
    chunk_size: Option<usize>,
    public: (String, u16),
    runtime: Handle,
    registry: Registry,
    lookups: Lookups,
    waiting: Waiting,
    someone_waits: Notify,
    peers: Peers,
    sources: Arc<Sources>,
    /// Every task holds a receiver and ends when it says so.
    closing: watch::Sender<bool>,
}

impl Shared {
    /// The session never had a connection, or never will.
    fn lose(&self, door: &Door, cause: LostCause) {
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
