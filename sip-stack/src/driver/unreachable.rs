//! Shell: hears what other hosts say about datagrams that nobody took there. Linux tells it apart from what is received;
//! elsewhere such datagrams are as good as lost. RFC 3261 §18.4.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::Socket;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::run::Report;

/// Asks the system to keep what it hears.
pub(super) fn listen(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    match is_ipv6 {
        true => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
        false => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
    }
    Ok(())
}

/// Reports each address that a datagram of this socket did not reach anybody at.
pub(super) async fn report(socket: Arc<UdpSocket>, reports: mpsc::Sender<Report>) {
    loop {
        let heard = socket.async_io(Interest::ERROR, || next(&socket)).await;
        match heard {
            Ok(Some(remote)) => {
                if reports.send(Report::Unreachable(remote)).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "unreachable peers are not noticed any more");
                return;
            }
        }
    }
}

/// Where the next of the datagrams that are complained of was sent.
fn next(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    let mut datagram = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut datagram)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let heard = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, None, flags)?;
    let address = heard.address;
    let v4 = address.as_ref().and_then(SockaddrStorage::as_sockaddr_in);
    let v6 = address.as_ref().and_then(SockaddrStorage::as_sockaddr_in6);
    Ok(match (v4, v6) {
        (Some(v4), _) => Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port())),
        (None, Some(v6)) => Some(SocketAddr::new(IpAddr::V6(v6.ip()), v6.port())),
        (None, None) => None,
    })
}
