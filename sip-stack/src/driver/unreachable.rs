//! Shell: hears what other hosts say about datagrams that nobody took there. Linux tells it apart from what is received;
//! elsewhere such datagrams are as good as lost. RFC 3261 §18.4.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
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

/// Where the next of the datagrams that are complained of was sent; `None`: the complaint means nothing.
fn next(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    let mut datagram = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut datagram)];
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let heard =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
    let is_failure = heard.cmsgs()?.any(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(complaint, _)
        | ControlMessageOwned::Ipv6RecvErr(complaint, _) => is_failure(&complaint),
        _ => false,
    });
    let address = heard.address.filter(|_| is_failure);
    let v4 = address.as_ref().and_then(SockaddrStorage::as_sockaddr_in);
    let v6 = address.as_ref().and_then(SockaddrStorage::as_sockaddr_in6);
    Ok(match (v4, v6) {
        (Some(v4), _) => Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port())),
        (None, Some(v6)) => Some(SocketAddr::new(IpAddr::V6(v6.ip()), v6.port())),
        (None, None) => None,
    })
}

/// Unreachable destinations and problems with parameters are failures. What was too large for a network is sent again in
/// fragments, and what took too many hops may yet come by other ways. RFC 3261 §18.4; RFC 792, RFC 4443 §3.
fn is_failure(complaint: &libc::sock_extended_err) -> bool {
    const UNREACHABLE: u8 = 3;
    const FRAGMENTATION_NEEDED: u8 = 4;
    const PARAMETER_PROBLEM: u8 = 12;
    const UNREACHABLE_6: u8 = 1;
    const PARAMETER_PROBLEM_6: u8 = 4;
    match complaint.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => match complaint.ee_type {
            UNREACHABLE => complaint.ee_code != FRAGMENTATION_NEEDED,
            kind => kind == PARAMETER_PROBLEM,
        },
        libc::SO_EE_ORIGIN_ICMP6 => {
            matches!(complaint.ee_type, UNREACHABLE_6 | PARAMETER_PROBLEM_6)
        }
        // The system's own were told when the datagram was to be sent.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-03, RFC 3261 §18.4
    #[test]
    fn what_is_no_failure_is_not_taken_for_one() {
        let (v4, v6) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6);
        for (ee_origin, ee_type, ee_code, expected) in [
            (v4, 3, 3, true),
            (v4, 3, 1, true),
            (v4, 3, 4, false),
            (v4, 11, 0, false),
            (v4, 12, 0, true),
            (v6, 1, 4, true),
            (v6, 2, 0, false),
            (v6, 3, 0, false),
            (v6, 4, 0, true),
            (libc::SO_EE_ORIGIN_LOCAL, 0, 0, false),
        ] {
            let complaint = libc::sock_extended_err {
                ee_errno: 0,
                ee_origin,
                ee_type,
                ee_code,
                ee_pad: 0,
                ee_info: 0,
                ee_data: 0,
            };
            assert_eq!(
                is_failure(&complaint),
                expected,
                "{ee_origin} {ee_type} {ee_code}"
            );
        }
    }
}
