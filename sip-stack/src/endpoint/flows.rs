//! Flows: which socket or connection a message leaves by, and under which address we name ourselves
//! on it. RFC 3261 §18.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;

use super::client::ClientKey;
use super::config::{EndpointConfig, Listener};
use super::fingerprint::Spread;
use super::timer_queue::Scheduled;
use crate::keep_alive::KeepAlive;
use crate::resolve::Target;
use crate::{Host, Transport};

/// Most names that a connection of a peer may have: each address for each of its domains.
const MOST_NAMES: usize = 64;

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
    /// Under which it is found by requests of ours.
    names: Vec<PeerName>,
    /// The domains its certificate proves, of a peer that was asked for one.
    proven: Option<Vec<String>>,
    /// Requests of ours that wait for an answer on it.
    waiting: HashSet<ClientKey>,
    side: Side,
    /// Of one of ours, if it is pinged.
    keep_alive: Option<KeepAlive>,
    scheduled: Scheduled,
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

/// Whom a connection leads to. What was verified for one domain is never used for another, though both be at the same
/// address. RFC 5922 §7.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PeerName {
    transport: Transport,
    remote: SocketAddr,
    /// Verified, or else the connection fails; only for TLS.
    domain: Option<String>,
}

impl PeerName {
    fn of(transport: Transport, remote: SocketAddr, domain: Option<&str>) -> Self {
        Self {
            transport,
            remote,
            domain: domain
                .filter(|_| transport == Transport::Tls)
                .map(str::to_ascii_lowercase),
        }
    }
}

/// The connections there are, and those that are being made.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_id: HashMap<ConnectionId, Connection>,
    id_by_name: HashMap<PeerName, ConnectionId>,
    /// Requests of ours that wait for an answer to a datagram, by where that went.
    waiting_at: HashMap<SocketAddr, HashSet<ClientKey, Spread>>,
    last_id: u64,
}

impl Connections {
    /// The connection to that target, if there is one.
    pub(super) fn find(&self, target: &Target) -> Option<ConnectionId> {
        let name = PeerName::of(target.transport, target.address, target.domain.as_deref());
        self.id_by_name.get(&name).copied()
    }

    pub(super) fn contains(&self, id: ConnectionId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A connection that we begin to make.
    pub(super) fn add(&mut self, target: &Target) -> ConnectionId {
        let id = self.add_nameless(Side::Ours);
        self.name(
            id,
            PeerName::of(target.transport, target.address, target.domain.as_deref()),
        );
        id
    }

    /// A connection that the peer made. Over TLS nobody knows yet who that is.
    pub(super) fn add_accepted(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
    ) -> ConnectionId {
        let id = self.add_nameless(Side::Theirs);
        if transport != Transport::Tls {
            self.name(id, PeerName::of(transport, remote, None));
        }
        id
    }

    /// The peer has proven to be these domains. A connection of ours is used for the domain that it was made for, and for
    /// no other.
    pub(super) fn prove(&mut self, id: ConnectionId, remote: SocketAddr, domains: Vec<String>) {
        let Some(connection) = self.by_id.get_mut(&id) else {
            return;
        };
        connection.proven = Some(domains.clone());
        if connection.side == Side::Theirs {
            for domain in &domains {
                self.name(id, PeerName::of(Transport::Tls, remote, Some(domain)));
            }
        }
    }

    /// The peer takes requests on the connection that it made as if they came to `address`, where it listens. What it has
    /// not proven to be is not sent there. RFC 5923 §8.2.
    pub(super) fn alias(&mut self, id: ConnectionId, address: SocketAddr) {
        let Some(connection) = self.by_id.get(&id) else {
            return;
        };
        let (Side::Theirs, Some(domains)) = (connection.side, &connection.proven) else {
            return;
        };
        let is_known = |name: &PeerName| name.remote == address;
        if connection.names.len() >= MOST_NAMES || connection.names.iter().any(is_known) {
            return;
        }
        for domain in domains.clone() {
            self.name(id, PeerName::of(Transport::Tls, address, Some(&domain)));
        }
    }

    /// Begins to ping a connection of ours; whether that is new.
    pub(super) fn begin_keep_alive(
        &mut self,
        id: ConnectionId,
        pause: Duration,
        random: &mut StdRng,
        now: Instant,
    ) -> bool {
        match self.by_id.get_mut(&id) {
            Some(connection)
                if connection.side == Side::Ours && connection.keep_alive.is_none() =>
            {
                connection.keep_alive = Some(KeepAlive::new(pause, random, now));
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn keep_alive(&mut self, id: ConnectionId) -> Option<&mut KeepAlive> {
        self.by_id.get_mut(&id)?.keep_alive.as_mut()
    }

    pub(super) fn keep_alive_timer(
        &mut self,
        id: ConnectionId,
    ) -> Option<(&mut KeepAlive, &mut Scheduled)> {
        let connection = self.by_id.get_mut(&id)?;
        let keep_alive = connection.keep_alive.as_mut()?;
        Some((keep_alive, &mut connection.scheduled))
    }

    /// What the peer has proven to be; `None` if it was not asked.
    pub(super) fn proven(&self, id: ConnectionId) -> Option<&[String]> {
        self.by_id.get(&id)?.proven.as_deref()
    }

    fn add_nameless(&mut self, side: Side) -> ConnectionId {
        self.last_id = self.last_id.wrapping_add(1);
        let id = ConnectionId(self.last_id);
        let connection = Connection {
            names: Vec::new(),
            proven: None,
            waiting: HashSet::new(),
            side,
            keep_alive: None,
            scheduled: Scheduled::default(),
        };
        self.by_id.insert(id, connection);
        id
    }

    fn name(&mut self, id: ConnectionId, name: PeerName) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            connection.names.push(name.clone());
            self.id_by_name.entry(name).or_insert(id);
        }
    }

    /// Takes a connection away. Returns the requests that waited on it.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Vec<ClientKey> {
        let Some(connection) = self.by_id.remove(&id) else {
            return Vec::new();
        };
        for name in &connection.names {
            if self.id_by_name.get(name) == Some(&id) {
                self.id_by_name.remove(name);
            }
        }
        connection.waiting.into_iter().collect()
    }

    pub(super) fn wait(&mut self, destination: Destination, key: ClientKey) {
        match destination {
            Destination::Datagram { remote, .. } => {
                self.waiting_at.entry(remote).or_default().insert(key);
            }
            Destination::Connection(id) => {
                if let Some(connection) = self.by_id.get_mut(&id) {
                    connection.waiting.insert(key);
                }
            }
        }
    }

    pub(super) fn wait_no_more(&mut self, destination: Destination, key: &ClientKey) {
        match destination {
            Destination::Datagram { remote, .. } => {
                if let Entry::Occupied(mut waiting) = self.waiting_at.entry(remote) {
                    waiting.get_mut().remove(key);
                    if waiting.get().is_empty() {
                        waiting.remove();
                    }
                }
            }
            Destination::Connection(id) => {
                if let Some(connection) = self.by_id.get_mut(&id) {
                    connection.waiting.remove(key);
                }
            }
        }
    }

    /// The requests that wait for an answer to a datagram which went there.
    pub(super) fn waiting_at(&self, remote: SocketAddr) -> Vec<ClientKey> {
        let waiting = self.waiting_at.get(&remote).into_iter().flatten();
        let mut waiting: Vec<ClientKey> = waiting.copied().collect();
        // In no order that chance has made.
        waiting.sort_unstable();
        waiting
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
        let is_clear = |listener: &Listener| listener.transport != Transport::Tls;
        return match listener {
            Some(tls) if !is_clear(tls) && config.listeners.iter().any(is_clear) => {
                (host, Some(tls.bound.port()))
            }
            Some(_) | None => (host, *port),
        };
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
