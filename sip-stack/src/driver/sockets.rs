//! Shell: binds the listening sockets, and sends from those for datagrams.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::BindError;
use crate::Transport;
use crate::endpoint::Listener;

/// Bytes the system keeps for a datagram socket while the driver is busy: thousands of messages.
const DATAGRAM_BUFFER: usize = 4 * 1024 * 1024;
/// Connections the system keeps until they are accepted.
const BACKLOG: i32 = 4096;
/// Most failures of others' datagrams that may stand before one of ours.
const COMPLAINTS: usize = 8;

/// What is listened on.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    /// By the address each is bound to.
    pub(super) datagrams: Vec<(SocketAddr, Arc<UdpSocket>)>,
    /// With what connections to each are made: TCP, or TLS over it.
    pub(super) streams: Vec<(Transport, TcpListener)>,
}

pub(super) fn bind(listen: &[(Transport, SocketAddr)]) -> Result<Sockets, BindError> {
    let mut sockets = Sockets::default();
    for &(transport, address) in listen {
        let failed = |source| BindError::Listen {
            transport,
            address,
            source,
        };
        let bound = match transport {
            Transport::Udp => {
                let socket = datagrams(address).map_err(failed)?;
                let bound = socket.local_addr().map_err(failed)?;
                sockets.datagrams.push((bound, Arc::new(socket)));
                bound
            }
            Transport::Tcp | Transport::Tls => {
                let socket = streams(address).map_err(failed)?;
                let bound = socket.local_addr().map_err(failed)?;
                sockets.streams.push((transport, socket));
                bound
            }
        };
        let advertised = SocketAddr::new(reachable(bound.ip()), bound.port());
        sockets.listeners.push(Listener {
            transport,
            bound,
            advertised,
        });
    }
    Ok(sockets)
}

/// Sends a datagram at once or not at all.
pub(super) fn send(socket: &UdpSocket, payload: &[u8], remote: SocketAddr) -> io::Result<usize> {
    let mut left = COMPLAINTS;
    loop {
        match socket.try_send_to(payload, remote) {
            // Said, perhaps, of datagrams to others before this one, and heard elsewhere.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock && left > 0 => {
                left = left.saturating_sub(1);
            }
            sent => return sent,
        }
    }
}

/// Waits until one of the sockets has something.
pub(super) async fn readable(sockets: &[(SocketAddr, Arc<UdpSocket>)]) {
    poll_fn(|context| {
        let is_ready =
            |(_, socket): &(SocketAddr, Arc<UdpSocket>)| socket.poll_recv_ready(context).is_ready();
        match sockets.iter().any(is_ready) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may allow less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
    let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
    #[cfg(target_os = "linux")]
    super::unreachable::listen(&socket, address.is_ipv6())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn streams(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The address that others reach a socket at which is bound to every address: the one the system
/// would send from. Nothing is sent to find out.
fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let (any, elsewhere, loopback): (IpAddr, IpAddr, IpAddr) = match bound {
        IpAddr::V4(_) => (
            bound,
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv4Addr::LOCALHOST.into(),
        ),
        IpAddr::V6(_) => (
            bound,
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            Ipv6Addr::LOCALHOST.into(),
        ),
    };
    let probe = || -> io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind((any, 0))?;
        socket.connect((elsewhere, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    probe().unwrap_or(loopback)
}
