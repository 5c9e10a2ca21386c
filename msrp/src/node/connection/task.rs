//! Shell: the task of one connection. Reads and writes, and wakes when it is time.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Instant};

use bytes::BytesMut;
use tokio::{io::AsyncRead, sync::watch, time::sleep_until};
use tracing::debug;

use super::{Connection, Life, Wire, end, requests::Early};
use crate::{
    LostCause, SessionEvent,
    codec::Decoder,
    node::{Shared, door::Door, listener::Place, lock, now, outlet::Outlet, reading::read},
    session::Output,
};

/// Bytes written before others are heard again.
const AT_ONCE: usize = 256 << 10;
/// Segments per write.
const SLICES: usize = 64;

#[expect(
    clippy::manual_async_fn,
    reason = "an async function keeps its arguments twice (PERF-6)"
)]
pub(super) fn run(
    connection: Arc<Connection>,
    mut wire: Wire,
    peer: SocketAddr,
    place: Option<Place>,
    mut closing: watch::Receiver<bool>,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send {
    async move {
        debug!(%peer, "connected");
        let cause = {
            let mut task = Task {
                connection: &connection,
                shared: &shared,
                peer,
                decoder: Decoder::new(&shared.limits),
                buffer: BytesMut::new(),
                current: None,
                held_back: None,
                set_aside: Vec::new(),
                events: Vec::new(),
                writing: Writing::Done,
                is_ours: place.is_none(),
                has_impostor: false,
            };
            let work = pin!(task.run_over(&mut wire));
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => LostCause::Closed,
                cause = work => cause,
            }
        };
        debug!(%peer, %cause, "disconnected");
        end(&connection, cause, &shared);
        drop(place);
    }
}

/// The connection's task.
pub(super) struct Task<'a> {
    pub(super) connection: &'a Arc<Connection>,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) decoder: Decoder,
    pub(super) buffer: BytesMut,
    /// The session that gets the rest of a long body; `None` also while one is thrown away.
    pub(super) current: Option<Arc<Door>>,
    /// Its session has not come yet, and there is no other: nothing after it is read.
    pub(super) held_back: Option<Box<Early>>,
    /// Binding requests whose sessions have not come yet, beside sessions that must not wait for them.
    pub(super) set_aside: Vec<Early>,
    pub(super) events: Vec<(Arc<Door>, Output)>,
    writing: Writing,
    /// We have connected, the peer has not.
    pub(super) is_ours: bool,
    /// The peer has named a session that is not its own: nothing more is heard of it.
    pub(super) has_impostor: bool,
}

/// What the last attempt to write has come to.
#[derive(Clone, Copy)]
enum Writing {
    /// Nothing waits.
    Done,
    /// There is more, but it is others' turn.
    Paused,
    /// The peer does not read.
    Blocked { since: Instant },
}

enum Woken {
    Read(io::Result<usize>),
    Write,
    Timer,
}

impl Task<'_> {
    pub(super) async fn run_over(&mut self, wire: &mut Wire) -> LostCause {
        // Sends nothing that waits for an acknowledgement first; failing that, it is merely slower.
        match wire {
            Wire::Clear(stream) => {
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.split();
                self.run(reader, writer).await
            }
            Wire::Tls(stream, _) => {
                let _ = stream.get_ref().0.set_nodelay(true);
                let (reader, writer) = tokio::io::split(&mut **stream);
                // Most connections are in the clear, and need not be as big as this.
                Box::pin(self.run(reader, writer)).await
            }
        }
    }

    async fn run(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl Outlet,
    ) -> LostCause {
        let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
        loop {
            if let Err(cause) = self.resume() {
                return cause;
            }
            if self.has_impostor {
                return LostCause::Untrusted;
            }
            let written = self.write(&mut writer);
            self.connection.room_made.notify_waiters();
            if let Err(error) = written {
                debug!(peer = %self.peer, %error, "cannot write");
                return LostCause::ConnectionEnded;
            }
            let (deadline, may_read) = self.outlook();
            // Set anew only when it must fire earlier: most deadlines are met long before they come.
            if deadline.is_some_and(|deadline| timer.deadline().into_std() > deadline)
                || (timer.is_elapsed() && deadline.is_some())
            {
                timer.as_mut().reset(deadline.unwrap_or_else(now).into());
            }
            let connection = self.connection;
            let woken = tokio::select! {
                read = read(&mut reader, &mut self.buffer), if may_read => Woken::Read(read),
                _ = writer.writable(), if self.is_blocked() => Woken::Write,
                () = tokio::task::yield_now(), if self.is_paused() => Woken::Write,
                () = connection.something_waits.notified() => Woken::Write,
                () = timer.as_mut(), if deadline.is_some() => Woken::Timer,
            };
            match woken {
                Woken::Write => {}
                Woken::Read(Ok(0) | Err(_)) => return LostCause::ConnectionEnded,
                Woken::Read(Ok(_)) => {
                    let decoded = self.handle_read();
                    self.hand_over();
                    if let Err(cause) = decoded {
                        return cause;
                    }
                }
                Woken::Timer => {
                    if let Some(cause) = self.handle_timer() {
                        return cause;
                    }
                    self.hand_over();
                }
            }
        }
    }

    /// Writes what waits, as far as the socket takes it.
    fn write(&mut self, writer: &mut impl Outlet) -> io::Result<()> {
        let mut guard = lock(&self.connection.inner);
        let inner = &mut *guard;
        let mut left = AT_ONCE;
        loop {
            inner.make_chunks();
            if inner.outbound.is_empty() {
                return match writer.try_flush() {
                    Ok(()) => {
                        self.writing = Writing::Done;
                        Ok(())
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.block();
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
            }
            if left == 0 {
                self.writing = Writing::Paused;
                return Ok(());
            }
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let used = inner.outbound.slices(&mut slices);
            let written = writer.try_write_vectored(slices.get(..used).unwrap_or_default());
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    inner.outbound.handle_written(written, now());
                    left = left.saturating_sub(written);
                    self.writing = Writing::Done;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.block();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn block(&mut self) {
        if !self.is_blocked() {
            self.writing = Writing::Blocked { since: now() };
        }
    }

    fn is_blocked(&self) -> bool {
        matches!(self.writing, Writing::Blocked { .. })
    }

    fn is_paused(&self) -> bool {
        matches!(self.writing, Writing::Paused)
    }

    /// When the peer has not read for too long.
    fn stalls(&self) -> Option<Instant> {
        match self.writing {
            Writing::Blocked { since } => Some(since + self.connection.limits.stall),
            Writing::Done | Writing::Paused => None,
        }
    }

    /// When to wake at the latest, and whether to read: not while a peer that does not read makes us answer,
    /// nor while one waits for its session.
    fn outlook(&self) -> (Option<Instant>, bool) {
        let inner = lock(&self.connection.inner);
        let limits = &self.connection.limits;
        let unused = match inner.life {
            Life::Unused { until } if self.held_back.is_none() => Some(until),
            Life::Unused { .. } | Life::Used | Life::Ended => None,
        };
        let early = self.held_back.as_deref().into_iter().chain(&self.set_aside);
        let early = early.map(|early| early.hold.until).min();
        let deadline = [inner.outbound.deadline(), unused, self.stalls(), early]
            .into_iter()
            .flatten()
            .min();
        let may_read = self.held_back.is_none()
            && inner.outbound.may_read()
            && inner.outbound.queued() < limits.queued.saturating_mul(2);
        (deadline, may_read)
    }

    fn handle_timer(&mut self) -> Option<LostCause> {
        let now = now();
        let mut guard = lock(&self.connection.inner);
        let inner = &mut *guard;
        if matches!(inner.life, Life::Unused { until } if until <= now && self.held_back.is_none())
        {
            return Some(LostCause::ConnectionEnded);
        }
        if self.stalls().is_some_and(|at| at <= now) {
            return Some(LostCause::Stalled);
        }
        if inner.outbound.deadline().is_some_and(|at| at <= now) {
            inner.outbound.set_deadline(None);
            let mut out = Vec::new();
            let mut next: Option<Instant> = None;
            for door in inner.door_by_session_id.values() {
                let outbound = &mut inner.outbound;
                let due =
                    lock(door.core()).handle_timeout(now, &mut rand::rng(), outbound, &mut out);
                next = next.into_iter().chain(due).min();
                self.events
                    .extend(out.drain(..).map(|output| (door.clone(), output)));
            }
            inner.outbound.set_deadline(next);
        }
        None
    }

    /// Gives the owners what came for them, without a lock held.
    pub(super) fn hand_over(&mut self) {
        // An idle connection keeps no room for events (PERF-6).
        for (door, output) in std::mem::take(&mut self.events) {
            let is_lost = matches!(output, Output::Complete(SessionEvent::Lost { .. }));
            door.hand_over(output);
            if is_lost {
                self.shared.registry.unregister(&door);
                let idle_until = now() + self.connection.limits.idle;
                self.connection.release(&door, idle_until);
            }
        }
    }
}
