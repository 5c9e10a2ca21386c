//! Shell: one session between its owner's handle, the registry and its connection.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use super::{
    Inbox, IncomingStream, Shared,
    connection::Connection,
    lock, now,
    streams::{Arrival, Arrivals},
};
use crate::{
    IncomingId, LostCause, MsrpUri, Nickname, Outgoing, OutgoingStream, Report, Role, SendError,
    StreamError, Unconfirmed, Unsent,
    sdp::Fingerprint,
    session::{Outbound, Output, SessionCore},
};

/// A session's core, its owner's inbox, and its connection once it has one. Locks are taken in this order: the
/// connection's, the core's; the inbox's only by itself.
pub(super) struct Door {
    local: MsrpUri,
    role: Role,
    /// Of the certificate its peer must show over TLS.
    fingerprint: Option<Fingerprint>,
    core: Mutex<SessionCore>,
    inbox: Mutex<Option<Box<dyn Inbox>>>,
    connection: OnceLock<Arc<Connection>>,
    arrivals_by_id: Mutex<HashMap<IncomingId, Arrivals>>,
    /// Whether it waits for its turn to write more of a long message.
    in_turn: AtomicBool,
}

impl Door {
    pub(super) fn new(
        core: SessionCore,
        fingerprint: Option<Fingerprint>,
        inbox: Box<dyn Inbox>,
    ) -> Door {
        Door {
            local: core.local().clone(),
            role: core.role(),
            fingerprint,
            core: Mutex::new(core),
            inbox: Mutex::new(Some(inbox)),
            connection: OnceLock::new(),
            arrivals_by_id: Mutex::default(),
            in_turn: AtomicBool::new(false),
        }
    }

    pub(super) fn local(&self) -> &MsrpUri {
        &self.local
    }

    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn core(&self) -> &Mutex<SessionCore> {
        &self.core
    }

    /// Binds the session to a connection, for good; whether it is that connection's now.
    pub(super) fn settle_on(&self, connection: &Arc<Connection>) -> bool {
        self.connection.set(connection.clone()).is_ok()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.connection.get().is_some()
    }

    pub(super) fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.get()
    }

    /// The session is among those that write long messages; whether it was not before.
    pub(super) fn queue_up(&self) -> bool {
        !self.in_turn.swap(true, Relaxed)
    }

    /// It is not among them any more.
    pub(super) fn leave_queue(&self) {
        self.in_turn.store(false, Relaxed);
    }

    pub(super) fn send(self: &Arc<Door>, outgoing: Outgoing) -> Result<(), Unsent<Outgoing>> {
        self.drive(|core, outbound| core.send(outgoing, now(), &mut rand::rng(), outbound))
    }

    pub(super) fn send_again(
        self: &Arc<Door>,
        message: Unconfirmed,
    ) -> Result<(), Unsent<Unconfirmed>> {
        self.drive(|core, outbound| core.send_again(message, now(), &mut rand::rng(), outbound))
    }

    pub(super) fn use_nickname(
        self: &Arc<Door>,
        token: u64,
        nickname: &Nickname,
    ) -> Result<(), SendError> {
        self.drive(|core, outbound| {
            core.use_nickname(token, nickname, now(), &mut rand::rng(), outbound)
        })
    }

    pub(super) fn begin_stream(self: &Arc<Door>, stream: OutgoingStream) -> Result<(), SendError> {
        self.drive(|core, outbound| core.begin_stream(stream, now(), &mut rand::rng(), outbound))
    }

    pub(super) fn push_piece(
        self: &Arc<Door>,
        token: u64,
        piece: &[u8],
    ) -> Result<usize, StreamError> {
        self.drive(|core, outbound| core.push_piece(token, piece, outbound))
    }

    pub(super) fn finish_stream(self: &Arc<Door>, token: u64) -> Result<(), StreamError> {
        self.drive(|core, outbound| core.finish_stream(token, outbound))
    }

    pub(super) fn cancel(self: &Arc<Door>, token: u64) -> bool {
        self.drive(|core, outbound| core.cancel(token, now(), &mut rand::rng(), outbound))
    }

    pub(super) fn note_taken(self: &Arc<Door>, bytes: u64) {
        if bytes > 0 {
            self.drive(|core, outbound| core.note_taken(bytes, outbound));
        }
    }

    pub(super) fn respond(self: &Arc<Door>, id: IncomingId, status: u16) {
        self.drive(|core, outbound| core.respond(id, status, outbound));
    }

    pub(super) fn report(self: &Arc<Door>, report: &Report) {
        self.drive(|core, outbound| core.report(report, now(), &mut rand::rng(), outbound));
    }

    /// Asks the core for something, on its connection if it has one.
    fn drive<T>(self: &Arc<Door>, ask: impl FnOnce(&mut SessionCore, &mut Outbound) -> T) -> T {
        match self.connection.get() {
            Some(connection) => connection.drive(self, ask),
            None => ask(&mut lock(&self.core), &mut Outbound::new()),
        }
    }

    /// The owner has gone.
    pub(super) fn close(&self, idle_until: Instant) {
        let connection = {
            // A connection settles under this lock too: either it finds the core closed, or we find the connection.
            let mut core = lock(&self.core);
            let connection = self.connection.get();
            if connection.is_none() {
                core.close(&mut Outbound::new());
            }
            connection
        };
        if let Some(connection) = connection {
            connection.release(self, idle_until);
        }
        // Held if the owner goes while it takes an event; then the inbox goes with the door.
        if let Ok(mut inbox) = self.inbox.try_lock() {
            *inbox = None;
        }
    }

    /// The session fails unless it has a connection by now; whether it did.
    pub(super) fn lose_unbound(self: &Arc<Door>, cause: LostCause) -> bool {
        let mut out = Vec::new();
        {
            let mut core = lock(&self.core);
            if self.is_settled() {
                return false;
            }
            core.handle_lost(cause, &mut Outbound::new(), &mut out);
        }
        out.into_iter().for_each(|output| self.hand_over(output));
        true
    }

    /// Gives an event to the owner. No lock may be held.
    pub(super) fn hand_over(self: &Arc<Door>, output: Output) {
        match output {
            Output::Piece { id, piece } => self.arrive(id, Arrival::Piece(piece)),
            Output::StreamEnded { id, end } => {
                self.arrive(id, Arrival::End(end));
                lock(&self.arrivals_by_id).remove(&id);
            }
            output => {
                if let Some((id, status)) = self.tell(output) {
                    self.respond(id, status);
                }
            }
        }
    }

    /// Returns what was refused, and with which status.
    fn tell(self: &Arc<Door>, output: Output) -> Option<(IncomingId, u16)> {
        let inbox = lock(&self.inbox);
        let inbox = inbox.as_ref()?;
        match output {
            Output::Deliver(message) => {
                let refused = inbox.receive(message).err();
                return refused.map(|message| (message.id, 413));
            }
            Output::Nickname(request) => {
                let refused = inbox.receive_nickname(request).err();
                return refused.map(|request| (request.id, 403));
            }
            Output::StreamBegan(began) => {
                let id = began.id;
                let (stream, arrivals) = IncomingStream::new(began, self);
                lock(&self.arrivals_by_id).insert(id, arrivals);
                // Refused, it is dropped, which tells the peer.
                drop(inbox.receive_stream(stream));
            }
            Output::GiveBack(unconfirmed) => inbox.give_back(unconfirmed),
            Output::Complete(event) => inbox.complete(event),
            Output::Piece { .. } | Output::StreamEnded { .. } => {}
        }
        None
    }

    fn arrive(self: &Arc<Door>, id: IncomingId, arrival: Arrival) {
        let unclaimed = match lock(&self.arrivals_by_id).get(&id) {
            Some(arrivals) => arrivals.send(arrival).err().map(|unsent| unsent.0),
            None => Some(arrival),
        };
        if let Some(Arrival::Piece(piece)) = unclaimed {
            self.note_taken(piece.len() as u64);
        }
    }
}

/// Passive sessions in the order in which they are given up if nobody comes.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<(Instant, Weak<Door>)>>);

impl Shared {
    /// Gives a passive session up at that time unless somebody has come.
    pub(super) fn wait(&self, door: &Arc<Door>, until: Instant) {
        lock(&self.waiting.0).push_back((until, Arc::downgrade(door)));
        self.someone_waits.notify_one();
    }

    /// Those that have waited until now; then when to look again.
    fn waited_enough(&self, now: Instant) -> (Vec<Arc<Door>>, Option<Instant>) {
        let mut waiting = lock(&self.waiting.0);
        let mut doors = Vec::new();
        while let Some((until, door)) = waiting.front() {
            let door = door.upgrade().filter(|door| !door.is_settled());
            if door.is_some() && *until > now {
                return (doors, Some(*until));
            }
            doors.extend(door);
            waiting.pop_front();
        }
        (doors, None)
    }
}

/// Gives up passive sessions to which nobody comes.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    loop {
        let (doors, next) = shared.waited_enough(now());
        for door in doors {
            shared.lose(&door, LostCause::NobodyCame);
        }
        let pause = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => shared.someone_waits.notified().await,
            }
        };
        tokio::select! {
            () = pause => {}
            _ = closing.wait_for(|closing| *closing) => break,
        }
    }
    for door in shared.registry.doors() {
        shared.lose(&door, LostCause::Closed);
    }
}
