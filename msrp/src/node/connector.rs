//! Shell: connections of our own to peers, shared by the sessions that go to the same host and port (MSRP-09).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use tokio::{net::TcpStream, time::timeout};
use tracing::{debug, info, warn};

use super::{
    Shared,
    connection::{self, Connection, Wire},
    door::Door,
    lock, now,
};
use crate::{Admitted, LostCause, MsrpUri, sdp::Fingerprint, uri::Scheme};

/// Most addresses of a host that are tried: a name can have any number, and each may take its time.
const ADDRESSES: usize = 8;

/// Connections we made, by whom they lead to.
#[derive(Default)]
pub(super) struct Peers(Mutex<HashMap<Address, Arc<Peer>>>);

/// Where to, how, and over TLS whose certificate: a connection is used again only where all are the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
    /// `None` also for a certificate that is valid for the host's name.
    fingerprint: Option<Fingerprint>,
}

/// One connection at a time is made to a peer; sessions that want it meanwhile wait for that one, and for no other if it
/// fails: each attempt takes its time.
#[derive(Default)]
struct Peer {
    attempt: tokio::sync::Mutex<Attempt>,
}

/// What became of the last attempt.
#[derive(Default)]
struct Attempt {
    connection: Weak<Connection>,
    failure: Option<(Instant, LostCause)>,
}

/// Connects an active session, or ends it.
pub(super) async fn run(
    target: Option<MsrpUri>,
    admitted: Admitted,
    door: Arc<Door>,
    shared: Arc<Shared>,
) {
    let mut closing = shared.closing.subscribe();
    let outcome = tokio::select! {
        outcome = connect(target, &admitted, &door, &shared) => outcome,
        _ = closing.wait_for(|closing| *closing) => Err(LostCause::Closed),
    };
    if let Err(cause) = outcome {
        debug!(session = door.local().session_id(), %cause, "active session failed");
        shared.lose(&door, cause);
    }
}

async fn connect(
    target: Option<MsrpUri>,
    admitted: &Admitted,
    door: &Arc<Door>,
    shared: &Arc<Shared>,
) -> Result<(), LostCause> {
    // A session that is to be secure does not go on in the clear (SEC-07).
    let scheme = door.local().scheme();
    let key = target
        .filter(|uri| uri.scheme() == scheme && uri.is_tcp())
        .and_then(|uri| {
            Some(Address {
                scheme,
                host: uri.host().to_owned(),
                port: uri.port()?,
                fingerprint: door.fingerprint().filter(|_| scheme == Scheme::Msrps),
            })
        })
        .ok_or(LostCause::UnusablePath)?;
    let peer = lock(&shared.peers.0)
        .entry(key.clone())
        .or_default()
        .clone();
    let outcome = {
        let wanted_since = now();
        let mut attempt = peer.attempt.lock().await;
        match (attempt.connection.upgrade(), attempt.failure) {
            (Some(existing), _) if existing.attach(door) => Ok(()),
            _ if lock(door.core()).is_ended() => Ok(()),
            (_, Some((at, cause))) if at > wanted_since => Err(cause),
            _ => match open(&key, admitted, shared).await {
                Ok(opened) => {
                    attempt.connection = Arc::downgrade(&opened);
                    attempt.failure = None;
                    opened
                        .attach(door)
                        .then_some(())
                        .ok_or(LostCause::ConnectionEnded)
                }
                // That says nothing of the next session's peer.
                Err(LostCause::NotAdmitted) => Err(LostCause::NotAdmitted),
                Err(cause) => {
                    attempt.failure = Some((now(), cause));
                    Err(cause)
                }
            },
        }
    };
    drop(peer);
    shared.peers.drop_unused();
    outcome
}

async fn open(
    peer: &Address,
    admitted: &Admitted,
    shared: &Arc<Shared>,
) -> Result<Arc<Connection>, LostCause> {
    let patience = shared.limits.connect;
    let tls = match (peer.scheme, &shared.tls) {
        (Scheme::Msrp, _) => None,
        (Scheme::Msrps, Some(tls)) => Some(tls),
        (Scheme::Msrps, None) => return Err(LostCause::UnusablePath),
    };
    let lookup = shared.lookups.addresses(&peer.host, peer.port);
    let mut addresses = match timeout(patience, lookup).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(_)) | Err(_) => return Err(LostCause::NoAddress),
    };
    if addresses.is_empty() {
        return Err(LostCause::NoAddress);
    }
    addresses.retain(|address| admitted.admits(address.ip()));
    if addresses.is_empty() {
        info!(
            host = peer.host,
            port = peer.port,
            "no connection: this peer may not lead there"
        );
        return Err(LostCause::NotAdmitted);
    }
    for address in addresses.into_iter().take(ADDRESSES) {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let Some(tls) = tls else {
                    return Ok(connection::start(
                        Wire::Clear(stream),
                        address,
                        None,
                        shared,
                    ));
                };
                let handshake = tls.connect(stream, &peer.host, peer.fingerprint);
                return match timeout(patience, handshake).await {
                    Ok(Ok((stream, shown))) => {
                        let wire = Wire::Tls(Box::new(stream), shown);
                        Ok(connection::start(wire, address, None, shared))
                    }
                    Ok(Err(error)) => {
                        warn!(host = peer.host, %address, %error, "no TLS with the peer");
                        Err(LostCause::Untrusted)
                    }
                    Err(_) => Err(LostCause::Unreachable),
                };
            }
            Ok(Err(error)) => debug!(%address, %error, "cannot connect"),
            Err(_) => debug!(%address, "no connection in time"),
        }
    }
    Err(LostCause::Unreachable)
}

impl Peers {
    /// Lets go of peers without a connection that nobody connects to just now. Amortised: looks through all of them
    /// only when they have doubled.
    fn drop_unused(&self) {
        let mut peers = lock(&self.0);
        if peers.len() < peers.capacity() {
            return;
        }
        peers.retain(|_, peer| {
            let is_wanted = Arc::strong_count(peer) > 1;
            let is_live = || {
                let attempt = peer.attempt.try_lock();
                attempt.map_or(true, |attempt| attempt.connection.strong_count() > 0)
            };
            is_wanted || is_live()
        });
    }
}
