//! Shell: one connection, over TCP or TLS, and the sessions it carries. While nothing is under way it holds no buffer.

mod addressee;
mod requests;
mod task;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{
    net::TcpStream,
    sync::{Notify, futures::Notified},
    time::timeout,
};
use tokio_rustls::TlsStream;
use tracing::debug;

use super::{Shared, TlsSettings, door::Door, listener::Place, lock, now, tls::Shown};
use crate::{
    Limits, LostCause,
    session::{Outbound, SessionCore},
};

/// What the connection's task and its sessions' handles share.
pub(super) struct Connection {
    inner: Mutex<Inner>,
    something_waits: Notify,
    room_made: Notify,
    limits: Arc<Limits>,
    security: Security,
}

/// What a connection's bytes travel on.
pub(super) enum Wire {
    Clear(TcpStream),
    /// With what the peer has shown of itself.
    Tls(Box<TlsStream<TcpStream>>, Shown),
}

/// What is known of who is at the other end.
enum Security {
    Clear,
    Tls(Shown),
}

struct Inner {
    outbound: Outbound,
    door_by_session_id: HashMap<Box<str>, Arc<Door>>,
    /// Sessions with messages in several chunks, each writing one in turn (MSRP-15).
    with_chunks: VecDeque<Arc<Door>>,
    life: Life,
}

#[derive(Clone, Copy)]
enum Life {
    Used,
    /// No session; the connection ends at that time.
    Unused {
        until: Instant,
    },
    Ended,
}

/// A peer has connected.
pub(super) fn accept(stream: TcpStream, peer: SocketAddr, place: Place, shared: &Arc<Shared>) {
    start(Wire::Clear(stream), peer, Some(place), shared);
}

/// A peer has connected and has the time for its first request to agree on TLS.
pub(super) async fn accept_tls(
    tls: TlsSettings,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    shared: Arc<Shared>,
) {
    let mut closing = shared.closing.subscribe();
    let handshake = timeout(shared.limits.first_request, tls.accept(stream));
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    match outcome {
        Ok(Ok((stream, shown))) => {
            start(
                Wire::Tls(Box::new(stream), shown),
                peer,
                Some(place),
                &shared,
            );
        }
        Ok(Err(error)) => debug!(%peer, %error, "no TLS with a peer that connected"),
        Err(_) => debug!(%peer, "no TLS in time"),
    }
}

/// Runs the connection in a task of its own.
pub(super) fn start(
    wire: Wire,
    peer: SocketAddr,
    place: Option<Place>,
    shared: &Arc<Shared>,
) -> Arc<Connection> {
    let connection = Arc::new(Connection {
        inner: Mutex::new(Inner {
            outbound: Outbound::new(),
            door_by_session_id: HashMap::new(),
            with_chunks: VecDeque::new(),
            life: Life::Unused {
                until: now() + shared.limits.first_request,
            },
        }),
        something_waits: Notify::new(),
        room_made: Notify::new(),
        limits: shared.limits.clone(),
        security: match &wire {
            Wire::Clear(_) => Security::Clear,
            Wire::Tls(_, shown) => Security::Tls(*shown),
        },
    });
    let closing = shared.closing.subscribe();
    let task = task::run(
        connection.clone(),
        wire,
        peer,
        place,
        closing,
        shared.clone(),
    );
    shared.runtime.spawn(task);
    connection
}

impl Connection {
    /// Makes the session one of this connection's; not if either is over.
    pub(super) fn attach(self: &Arc<Connection>, door: &Arc<Door>) -> bool {
        let is_attached = self.attach_within(&mut lock(&self.inner), door);
        if is_attached {
            self.something_waits.notify_one();
        }
        is_attached
    }

    /// Asks a session's core for something.
    pub(super) fn drive<T>(
        &self,
        door: &Arc<Door>,
        ask: impl FnOnce(&mut SessionCore, &mut Outbound) -> T,
    ) -> T {
        let answer = {
            let mut inner = lock(&self.inner);
            let mut core = lock(door.core());
            let answer = ask(&mut core, &mut inner.outbound);
            if core.has_chunks() && door.queue_up() {
                inner.with_chunks.push_back(door.clone());
            }
            answer
        };
        self.something_waits.notify_one();
        answer
    }

    /// Something of a message that is handed in piece by piece was written, or no more of it will be.
    pub(super) fn room_made(&self) -> Notified<'_> {
        self.room_made.notified()
    }

    /// Lets a session go.
    pub(super) fn release(&self, door: &Door, idle_until: Instant) {
        let mut inner = lock(&self.inner);
        lock(door.core()).close(&mut inner.outbound);
        inner.door_by_session_id.remove(door.local().session_id());
        if inner.door_by_session_id.is_empty() && matches!(inner.life, Life::Used) {
            inner.life = Life::Unused { until: idle_until };
            self.something_waits.notify_one();
        }
    }

    /// Something that its task waits for has happened.
    pub(super) fn wake(&self) {
        self.something_waits.notify_one();
    }

    fn attach_within(self: &Arc<Connection>, inner: &mut Inner, door: &Arc<Door>) -> bool {
        let mut core = lock(door.core());
        if matches!(inner.life, Life::Ended) || core.is_ended() || !door.settle_on(self) {
            return false;
        }
        inner.life = Life::Used;
        let session_id = door.local().session_id().into();
        inner.door_by_session_id.insert(session_id, door.clone());
        core.handle_connected(now(), &mut rand::rng(), &mut inner.outbound);
        true
    }
}

impl Inner {
    fn make_chunks(&mut self) {
        let now = now();
        while self.outbound.has_room_for_chunks()
            && let Some(door) = self.with_chunks.pop_front()
        {
            let has_more = lock(door.core()).poll_chunk(now, &mut rand::rng(), &mut self.outbound);
            match has_more {
                true => self.with_chunks.push_back(door),
                false => door.leave_queue(),
            }
        }
    }
}

/// Tells all sessions that the connection is over.
fn end(connection: &Connection, cause: LostCause, shared: &Shared) {
    let mut lost = Vec::new();
    {
        let mut guard = lock(&connection.inner);
        let inner = &mut *guard;
        inner.life = Life::Ended;
        inner.with_chunks.clear();
        let mut out = Vec::new();
        for (_, door) in inner.door_by_session_id.drain() {
            lock(door.core()).handle_lost(cause, &mut inner.outbound, &mut out);
            lost.extend(out.drain(..).map(|output| (door.clone(), output)));
        }
        inner.outbound = Outbound::new();
    }
    connection.room_made.notify_waiters();
    for (door, output) in lost {
        shared.registry.unregister(&door);
        door.hand_over(output);
    }
}
