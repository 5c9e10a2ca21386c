//! Flows: which socket or connection a message leaves by, and under which address we name ourselves
//! on it. RFC 3261 §18.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

use super::client::ClientKey;
use super::config::{EndpointConfig, Listener};
use crate::{Host, Transport};

/// One connection, made by us or by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// How a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// As a datagram.
    Datagram {
        /// From the socket bound to this address.
        local: SocketAddr,
        /// To this address.
        remote: SocketAddr,
    },
    /// On a connection; if it is being made, as soon as it is.
    Connection(ConnectionId),
}

impl Destination {
    pub(super) fn is_reliable(self) -> bool {
        matches!(self, Destination::Connection(_))
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// How.
    pub destination: Destination,
    /// The whole message.
    pub payload: Bytes,
    /// The request of ours that fails when this cannot be sent.
    pub(crate) origin: Option<ClientKey>,
}

#[derive(Debug)]
struct Connection {
    transport: Transport,
    remote: SocketAddr,
    /// Requests of ours that wait for an answer on it.
    waiting: HashSet<ClientKey>,
}

/// The connections there are, and those that are being made.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_id: HashMap<ConnectionId, Connection>,
    id_by_remote: HashMap<(Transport, SocketAddr), ConnectionId>,
    last_id: u64,
}

impl Connections {
    /// The connection to that address, if there is one.
    pub(super) fn find(&self, transport: Transport, remote: SocketAddr) -> Option<ConnectionId> {
        self.id_by_remote.get(&(transport, remote)).copied()
    }

    pub(super) fn contains(&self, id: ConnectionId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn add(&mut self, transport: Transport, remote: SocketAddr) -> ConnectionId {
        self.last_id = self.last_id.wrapping_add(1);
        let id = ConnectionId(self.last_id);
        self.by_id.insert(
            id,
            Connection {
                transport,
                remote,
                waiting: HashSet::new(),
            },
        );
        self.id_by_remote.entry((transport, remote)).or_insert(id);
        id
    }

    /// Takes a connection away. Returns the requests that waited on it.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Vec<ClientKey> {
        let Some(connection) = self.by_id.remove(&id) else {
            return Vec::new();
        };
        let remote = (connection.transport, connection.remote);
        if self.id_by_remote.get(&remote) == Some(&id) {
            self.id_by_remote.remove(&remote);
        }
        connection.waiting.into_iter().collect()
    }

    pub(super) fn wait(&mut self, destination: Destination, key: ClientKey) {
        if let Destination::Connection(id) = destination
            && let Some(connection) = self.by_id.get_mut(&id)
        {
            connection.waiting.insert(key);
        }
    }

    pub(super) fn wait_no_more(&mut self, destination: Destination, key: &ClientKey) {
        if let Destination::Connection(id) = destination
            && let Some(connection) = self.by_id.get_mut(&id)
        {
            connection.waiting.remove(key);
        }
    }
}

/// The listener that speaks to `remote` over `transport`: one of that transport and address family;
/// for connections without such a listener any of the family.
pub(super) fn listener_for(
    config: &EndpointConfig,
    transport: Transport,
    remote: IpAddr,
) -> Option<&Listener> {
    let of_family = || {
        config
            .listeners
            .iter()
            .filter(|l| l.bound.is_ipv4() == remote.is_ipv4())
    };
    of_family().find(|l| l.transport == transport).or_else(|| {
        let any = of_family().next();
        any.filter(|_| transport.is_reliable())
    })
}

/// Host and port under which `remote` reaches us: the public ones, else the listener's.
pub(super) fn advertised(
    config: &EndpointConfig,
    listener: Option<&Listener>,
    remote: IpAddr,
) -> (Host, Option<u16>) {
    if let Some((host, port)) = &config.public
        && let Some(host) = Host::parse(host)
    {
        return (host, *port);
    }
    let Some(listener) = listener else {
        return (unspecified(remote).into(), None);
    };
    // A listener on every address is reached on the loopback address from there only.
    let address = match listener.bound.ip() {
        bound if bound.is_unspecified() && remote.is_loopback() => remote,
        _ => listener.advertised.ip(),
    };
    (address.into(), Some(listener.bound.port()))
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
