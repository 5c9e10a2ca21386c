//! The endpoint.

mod command;
mod config;
mod event;
mod flows {
    /// One connection, made by us or by the peer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct ConnectionId(u64);
}

pub use command::{Invite, InviteId, LocalContact, OutgoingRequest, Reply, RequestId, ServerTransactionId};
pub use config::{EndpointConfig, IpNetwork, IpNetworkError, Limits, Listener, Timers};
pub use event::{EndCause, Event, Failure, Source};
pub use flows::ConnectionId;
