//! Shell: listeners, connections, and the way from a connection to its sessions. Decides nothing; every answer is
//! made by [`SessionCore`](crate::session::SessionCore).

use std::{io, net::SocketAddr};

use thiserror::Error;

use crate::{
    Incoming, IncomingId, Limits, MsrpUri, Outgoing, Report, SendError, SessionConfig, SessionEvent,
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

/// One MSRP host: its listeners and connections. Clones are handles to the same node.
#[derive(Clone)]
pub struct Node;

impl Node {
    /// Listens. Must be called within a tokio runtime, which then runs the connections.
    pub async fn bind(config: NodeConfig) -> Result<Node, BindError> {
        let _ = config;
        todo!()
    }

    /// What is listened on, real ports in place of 0.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        todo!()
    }

    /// A fresh URI for a session at this node (MSRP-01).
    pub fn mint(&self) -> MsrpUri {
        todo!()
    }

    /// Registers a session. Passive: waits for a connection whose first request names `local`. Active: connects to
    /// the first of `remote` and binds with a bodiless SEND. Ends in `SessionEvent::Bound` or `Lost`.
    pub fn open(&self, session: SessionConfig, inbox: impl Inbox) -> Session {
        let _ = (session, inbox);
        todo!()
    }

    /// Ends listeners and connections; sessions get `Lost`.
    pub async fn close(&self) {
        todo!()
    }
}

/// Handle of one session; dropping it closes the session.
pub struct Session;

impl Session {
    /// Our own URI in this session.
    pub fn local(&self) -> &MsrpUri {
        todo!()
    }

    /// Queues a message. Never blocks.
    pub fn send(&self, outgoing: Outgoing) -> Result<(), SendError> {
        let _ = outgoing;
        todo!()
    }

    /// Answers a message received; what the sender does not want to hear is not sent (RCPT-09). Once per message;
    /// later calls do nothing.
    pub fn respond(&self, id: IncomingId, status: u16) {
        let _ = (id, status);
        todo!()
    }

    /// Sends a REPORT about a message received earlier.
    pub fn report(&self, report: Report) {
        let _ = report;
        todo!()
    }

    /// Ends the session; nothing comes after it. Its connection is closed when no session uses it.
    pub fn close(self) {
        todo!()
    }
}
