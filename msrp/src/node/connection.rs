//! Shell: one connection, over TCP or TLS. Reads, hands what came to the sessions' cores, writes what they have queued; one write
//! for everything that waits. While nothing is under way it holds no buffer.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncRead,
    net::TcpStream,
    sync::{Notify, watch},
    time::{sleep_until, timeout},
};
use tokio_rustls::TlsStream;
use tracing::{debug, info, trace};

use super::{
    Shared, TlsSettings,
    door::Door,
    listener::Place,
    lock, now,
    outlet::Outlet,
    reading::read,
    registry::{Found, Hold},
    tls::Shown,
};
use crate::{
    Limits, LostCause, Outgoing, Role, SendError, SessionEvent,
    codec::{Decoder, Flag, Head, Method, Part, Start},
    session::{Outbound, Output, refuse},
    uri::Scheme,
};

/// Segments per write.
const SLICES: usize = 64;
/// Chunks of long messages are made while less than this waits, so that others are not held up behind them.
const CHUNKS_AHEAD: usize = 32 << 10;
/// Requests set aside on one connection, each without body.
const SET_ASIDE: usize = 64;

/// What the connection's task and its sessions' handles share.
pub(super) struct Connection {
    inner: Mutex<Inner>,
    something_waits: Notify,
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

/// Whether a session may use a connection that its peer has made.
enum Suitability {
    Suits,
    /// It is for the other scheme; nothing more is known.
    WrongScheme,
    /// The certificate is not the one in the peer's description (SEC-07).
    Impostor,
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
        limits: shared.limits.clone(),
        security: match &wire {
            Wire::Clear(_) => Security::Clear,
            Wire::Tls(_, shown) => Security::Tls(*shown),
        },
    });
    let closing = shared.closing.subscribe();
    let task = run(
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

    pub(super) fn send(&self, door: &Arc<Door>, outgoing: Outgoing) -> Result<(), SendError> {
        let sent = {
            let mut inner = lock(&self.inner);
            let mut core = lock(door.core());
            let had_chunks = core.has_chunks();
            let sent = core.send(outgoing, now(), &mut rand::rng(), &mut inner.outbound);
            if !had_chunks && core.has_chunks() {
                inner.with_chunks.push_back(door.clone());
            }
            sent
        };
        self.something_waits.notify_one();
        sent
    }

    /// Lets a session write.
    pub(super) fn with(&self, write: impl FnOnce(&mut Outbound)) {
        write(&mut lock(&self.inner).outbound);
        self.something_waits.notify_one();
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

async fn run(
    connection: Arc<Connection>,
    wire: Wire,
    peer: SocketAddr,
    place: Option<Place>,
    mut closing: watch::Receiver<bool>,
    shared: Arc<Shared>,
) {
    debug!(%peer, "connected");
    let cause = {
        let work = Task {
            connection: &connection,
            shared: &shared,
            peer,
            decoder: Decoder::new(&shared.limits),
            buffer: BytesMut::new(),
            current: None,
            held_back: None,
            set_aside: Vec::new(),
            events: Vec::new(),
            blocked_since: None,
            is_ours: place.is_none(),
            has_impostor: false,
        };
        let work = pin!(work.run_over(wire));
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
    for (door, output) in lost {
        shared.registry.unregister(&door);
        door.hand_over(output);
    }
}

/// The connection's task.
struct Task<'a> {
    connection: &'a Arc<Connection>,
    shared: &'a Arc<Shared>,
    peer: SocketAddr,
    decoder: Decoder,
    buffer: BytesMut,
    /// The session that gets the rest of a long body; `None` also while one is thrown away.
    current: Option<Arc<Door>>,
    /// Its session has not come yet, and there is no other: nothing after it is read.
    held_back: Option<Early>,
    /// Binding requests whose sessions have not come yet, beside sessions that must not wait for them.
    set_aside: Vec<Early>,
    events: Vec<(Arc<Door>, Output)>,
    blocked_since: Option<Instant>,
    /// We have connected, the peer has not.
    is_ours: bool,
    /// The peer has named a session that is not its own: nothing more is heard of it.
    has_impostor: bool,
}

/// A request from its start, or the beginning of one.
struct First {
    head: Head,
    body: Bytes,
    end: Option<Flag>,
}

/// A request that is here before its session.
struct Early {
    request: First,
    hold: Hold,
}

/// Whom a request or response is for.
enum Addressee {
    Session(Arc<Door>),
    /// A session whose peer this is not.
    Betrayed(Arc<Door>),
    /// Nobody yet.
    Reserved(Hold),
    /// Nobody; the status is for requests.
    Nobody(u16),
}

enum Woken {
    Read(io::Result<usize>),
    Write,
    Timer,
}

impl Task<'_> {
    async fn run_over(self, wire: Wire) -> LostCause {
        // Sends nothing that waits for an acknowledgement first; failing that, it is merely slower.
        match wire {
            Wire::Clear(mut stream) => {
                let _ = stream.set_nodelay(true);
                let (reader, writer) = stream.split();
                self.run(reader, writer).await
            }
            Wire::Tls(stream, _) => {
                let _ = stream.get_ref().0.set_nodelay(true);
                let (reader, writer) = tokio::io::split(*stream);
                self.run(reader, writer).await
            }
        }
    }

    async fn run(
        mut self,
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
            if let Err(error) = self.write(&mut writer) {
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
                _ = writer.writable(), if self.blocked_since.is_some() => Woken::Write,
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
        loop {
            inner.make_chunks();
            if inner.outbound.is_empty() {
                return match writer.try_flush() {
                    Ok(()) => {
                        self.blocked_since = None;
                        Ok(())
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.blocked_since.get_or_insert_with(now);
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
            }
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let used = inner.outbound.slices(&mut slices);
            let written = writer.try_write_vectored(slices.get(..used).unwrap_or_default());
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    inner.outbound.handle_written(written, now());
                    self.blocked_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_since.get_or_insert_with(now);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
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
        let early = self.held_back.iter().chain(&self.set_aside);
        let early = early.map(|early| early.hold.until).min();
        let stalled = self.blocked_since.map(|since| since + limits.stall);
        let deadline = [inner.outbound.deadline(), unused, stalled, early]
            .into_iter()
            .flatten()
            .min();
        let may_read =
            self.held_back.is_none() && inner.outbound.queued() < limits.queued.saturating_mul(2);
        (deadline, may_read)
    }

    /// Gives what was read to its sessions, until one must be waited for.
    fn handle_read(&mut self) -> Result<(), LostCause> {
        let connection = self.connection;
        let mut guard = lock(&connection.inner);
        let inner = &mut *guard;
        let now = now();
        let mut out = Vec::new();
        while self.held_back.is_none() && !self.has_impostor {
            let part = match self.decoder.decode(&mut self.buffer) {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(error) => {
                    info!(peer = %self.peer, %error, "connection closed: not MSRP");
                    return Err(LostCause::Garbage);
                }
            };
            match part {
                Part::First { head, body, end } => {
                    trace!(
                        target: "wire",
                        peer = %self.peer,
                        transaction = %String::from_utf8_lossy(head.transaction_id()),
                        start = %String::from_utf8_lossy(head.method_name()),
                        body = body.len(),
                        "received"
                    );
                    let (registry, limits) = (&self.shared.registry, &connection.limits);
                    let find = |id: &str| registry.find_or_hold(id, connection, now, limits);
                    let addressee = self.addressee(&head, inner, find);
                    let first = First { head, body, end };
                    self.current = self.on_first(first, addressee, now, inner, &mut out);
                }
                Part::Next { body, end } => {
                    let Some(door) = self.current.take() else {
                        continue;
                    };
                    lock(door.core()).handle_more(body, end, now, &mut inner.outbound, &mut out);
                    self.events
                        .extend(out.drain(..).map(|output| (door.clone(), output)));
                    self.current = end.is_none().then_some(door);
                }
            }
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(())
    }

    /// Takes up requests whose sessions have come, or are not waited for any more.
    fn resume(&mut self) -> Result<(), LostCause> {
        if self.held_back.is_none() && self.set_aside.is_empty() {
            return Ok(());
        }
        let now = now();
        let is_due = |early: &mut Early| early.hold.is_over(now);
        let mut due: Vec<Early> = self.set_aside.extract_if(.., is_due).collect();
        let held_back = self.held_back.take_if(is_due);
        let reads_on = held_back.is_some();
        due.extend(held_back);
        if due.is_empty() {
            return Ok(());
        }
        let connection = self.connection;
        {
            let mut guard = lock(&connection.inner);
            let inner = &mut *guard;
            let mut out = Vec::new();
            for Early { request, .. } in due {
                let find = |id: &str| self.shared.registry.find(id);
                let addressee = self.addressee(&request.head, inner, find);
                let is_partial = request.end.is_none();
                let door = self.on_first(request, addressee, now, inner, &mut out);
                // One set aside is whole, and perhaps the body of another is coming in.
                if is_partial {
                    self.current = door;
                }
            }
            // It could not say anything meanwhile.
            if let Life::Unused { until } = &mut inner.life
                && reads_on
            {
                *until = now + connection.limits.first_request;
            }
        }
        let outcome = if reads_on { self.handle_read() } else { Ok(()) };
        self.hand_over();
        outcome
    }

    /// Returns the session that gets the rest of the body, if there is more.
    fn on_first(
        &mut self,
        First { head, body, end }: First,
        addressee: Addressee,
        now: Instant,
        inner: &mut Inner,
        out: &mut Vec<Output>,
    ) -> Option<Arc<Door>> {
        match addressee {
            Addressee::Session(door) => {
                {
                    let mut core = lock(door.core());
                    let outbound = &mut inner.outbound;
                    if matches!(head.start(), Start::Response(_)) {
                        core.handle_response(&head, outbound, out);
                    } else {
                        core.handle_request(&head, body, end, now, outbound, out);
                    }
                }
                self.events
                    .extend(out.drain(..).map(|output| (door.clone(), output)));
                end.is_none().then_some(door)
            }
            Addressee::Betrayed(door) => {
                info!(peer = %self.peer, "connection closed: its certificate is not the session's");
                let mut core = lock(door.core());
                if !door.is_settled() {
                    core.handle_lost(LostCause::Untrusted, &mut inner.outbound, out);
                }
                drop(core);
                self.events
                    .extend(out.drain(..).map(|output| (door.clone(), output)));
                self.has_impostor = true;
                None
            }
            Addressee::Reserved(hold) => {
                let is_alone = matches!(inner.life, Life::Unused { .. }) && !self.is_ours;
                let can_stand_aside =
                    body.is_empty() && end.is_some() && self.set_aside.len() < SET_ASIDE;
                if is_alone {
                    let request = First { head, body, end };
                    self.held_back = Some(Early { request, hold });
                } else if can_stand_aside {
                    let head = head.detached();
                    let request = First { head, body, end };
                    self.set_aside.push(Early { request, hold });
                } else {
                    refuse_as_addressed(&head, 481, inner);
                }
                None
            }
            Addressee::Nobody(status) => {
                refuse_as_addressed(&head, status, inner);
                None
            }
        }
    }

    /// Whom a request or response is for; the session gets the connection if it has none.
    fn addressee(
        &self,
        head: &Head,
        inner: &mut Inner,
        find: impl FnOnce(&str) -> Found,
    ) -> Addressee {
        let session_id = head.to_path().next_back().map_or("", session_id);
        let known = inner.door_by_session_id.get(session_id);
        if matches!(head.start(), Start::Response(_)) {
            return known.map_or(Addressee::Nobody(481), |door| {
                Addressee::Session(door.clone())
            });
        }
        if head.start() == Start::Request(Method::Other) {
            return Addressee::Nobody(501);
        }
        if head.fault().is_some() {
            return Addressee::Nobody(400);
        }
        if let Some(door) = known {
            return match lock(door.core()).is_addressed_by(head) {
                true => Addressee::Session(door.clone()),
                false => Addressee::Nobody(481),
            };
        }
        match find(session_id) {
            Found::Session(door) if !lock(door.core()).is_addressed_by(head) => {
                Addressee::Nobody(481)
            }
            // The peer connects to us only if we are passive.
            Found::Session(door) if door.role() == Role::Passive && !door.is_settled() => {
                match self.suitability(&door) {
                    Suitability::Suits if self.connection.attach_within(inner, &door) => {
                        Addressee::Session(door)
                    }
                    Suitability::Suits | Suitability::WrongScheme => Addressee::Nobody(481),
                    Suitability::Impostor => Addressee::Betrayed(door),
                }
            }
            Found::Session(_) => Addressee::Nobody(506),
            Found::Reserved(hold) => Addressee::Reserved(hold),
            Found::Nothing => Addressee::Nobody(481),
        }
    }

    fn suitability(&self, door: &Door) -> Suitability {
        let (scheme, tls) = (door.local().scheme(), self.shared.tls.as_ref());
        match (scheme, &self.connection.security, tls) {
            (Scheme::Msrp, Security::Clear, _) => Suitability::Suits,
            (Scheme::Msrps, Security::Tls(shown), Some(tls)) => {
                match tls.suits(shown, door.fingerprint()) {
                    true => Suitability::Suits,
                    false => Suitability::Impostor,
                }
            }
            (Scheme::Msrp | Scheme::Msrps, _, _) => Suitability::WrongScheme,
        }
    }

    fn handle_timer(&mut self) -> Option<LostCause> {
        let now = now();
        let mut guard = lock(&self.connection.inner);
        let inner = &mut *guard;
        if matches!(inner.life, Life::Unused { until } if until <= now && self.held_back.is_none())
        {
            return Some(LostCause::ConnectionEnded);
        }
        let stall = self.connection.limits.stall;
        if self.blocked_since.is_some_and(|since| since + stall <= now) {
            return Some(LostCause::Stalled);
        }
        if inner.outbound.deadline().is_some_and(|at| at <= now) {
            inner.outbound.set_deadline(None);
            let mut out = Vec::new();
            let mut next: Option<Instant> = None;
            for door in inner.door_by_session_id.values() {
                let due = lock(door.core()).handle_timeout(now, &mut inner.outbound, &mut out);
                next = next.into_iter().chain(due).min();
                self.events
                    .extend(out.drain(..).map(|output| (door.clone(), output)));
            }
            inner.outbound.set_deadline(next);
        }
        None
    }

    /// Gives the owners what came for them, without a lock held.
    fn hand_over(&mut self) {
        for (door, output) in self.events.drain(..) {
            let is_lost = matches!(output, Output::Complete(SessionEvent::Lost { .. }));
            door.hand_over(output);
            if is_lost {
                self.shared.registry.unregister(&door);
                let idle_until = now() + self.connection.limits.idle;
                self.connection.release(&door, idle_until);
            }
        }
        if self.events.capacity() > 64 {
            self.events = Vec::new();
        }
    }
}

impl Inner {
    fn make_chunks(&mut self) {
        let now = now();
        while self.outbound.queued() < CHUNKS_AHEAD
            && let Some(door) = self.with_chunks.pop_front()
        {
            let has_more = lock(door.core()).poll_chunk(now, &mut rand::rng(), &mut self.outbound);
            if has_more {
                self.with_chunks.push_back(door);
            }
        }
    }
}

/// Answers a request on behalf of whom it names.
fn refuse_as_addressed(head: &Head, status: u16, inner: &mut Inner) {
    if let Some(target) = head.to_path().next_back() {
        refuse(head, target, status, &mut inner.outbound);
    }
}

/// The session id within an MSRP URI; empty if there is none.
fn session_id(uri: &[u8]) -> &str {
    const AUTHORITY: usize = "msrps://".len();
    let id = || {
        let slash = memchr::memchr(b'/', uri.get(AUTHORITY..)?)?;
        let rest = uri.get(AUTHORITY + slash + 1..)?;
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        std::str::from_utf8(rest.get(..end)?).ok()
    };
    id().unwrap_or_default()
}
