//! Shell: accepts connections, within the limits per source and in all.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::{BindError, Shared, TlsSettings, connection, lock, now};
use crate::Limits;

/// Thousands of peers may come at once; each that finds the queue full waits a second.
const BACKLOG: i32 = 4096;

pub(super) fn bind_all(
    addresses: &[SocketAddr],
) -> Result<Vec<(TcpListener, SocketAddr)>, BindError> {
    addresses
        .iter()
        .map(|address| {
            bind(*address).map_err(|source| BindError {
                address: *address,
                source,
            })
        })
        .collect()
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// `tls`: what connections begin with; `None`: they are in the clear.
pub(super) async fn run(listener: TcpListener, tls: Option<TlsSettings>, shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match accepted {
            Ok((stream, peer)) => match shared.sources.admit(peer.ip(), &shared.limits) {
                Some(place) => match tls.clone() {
                    Some(tls) => {
                        let task = connection::accept_tls(tls, stream, peer, place, shared.clone());
                        shared.runtime.spawn(task);
                    }
                    None => connection::accept(stream, peer, place, &shared),
                },
                None if shared.complaints.may_speak(peer.ip(), now()) => {
                    info!(%peer, "connection refused: too many");
                }
                None => {}
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, of which a single host has all addresses.
pub(super) fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// How many connections each source has.
#[derive(Default)]
pub(super) struct Sources(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

impl Sources {
    /// A place for a connection, unless its source or the node has too many (MSRP-26).
    pub(super) fn admit(self: &Arc<Sources>, address: IpAddr, limits: &Limits) -> Option<Place> {
        let source = source_of(address);
        let mut counts = lock(&self.0);
        let of_source = counts.by_source.get(&source).copied().unwrap_or(0);
        if counts.total >= limits.connections || of_source >= limits.connections_per_source {
            return None;
        }
        counts.by_source.insert(source, of_source + 1);
        counts.total += 1;
        Some(Place {
            sources: self.clone(),
            source,
        })
    }
}

/// A connection's place among those allowed; given back when dropped.
pub(super) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.sources.0);
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.by_source.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-26
    #[test]
    fn a_host_has_many_ipv6_addresses_and_counts_once() {
        let sources = Arc::new(Sources::default());
        let limits = Limits {
            connections: 3,
            connections_per_source: 1,
            ..Limits::default()
        };
        let admit = |address: &str| sources.admit(address.parse().unwrap(), &limits);
        let first = admit("2001:db8::1");
        assert!(first.is_some());
        assert!(admit("2001:db8::2").is_none());
        let (_other, _four) = (
            admit("2001:db8:0:1::1").unwrap(),
            admit("192.0.2.1").unwrap(),
        );
        assert!(admit("::ffff:192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_none());
        drop(first);
        assert!(admit("2001:db8::2").is_some());
        assert_eq!(lock(&sources.0).by_source.len(), 2);
    }
}
