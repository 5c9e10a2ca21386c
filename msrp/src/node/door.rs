//! Shell: one session between its owner's handle, the registry and its connection.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Instant,
};

use super::{Inbox, Shared, connection::Connection, lock, now};
use crate::{
    IncomingId, LostCause, MsrpUri, Nickname, Outgoing, Report, Role, SendError,
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

    pub(super) fn send(self: &Arc<Door>, outgoing: Outgoing) -> Result<(), SendError> {
        let Some(connection) = self.connection.get() else {
            let mut core = lock(&self.core);
            return core.send(outgoing, now(), &mut rand::rng(), &mut Outbound::new());
        };
        connection.send(self, outgoing)
    }

    pub(super) fn use_nickname(&self, token: u64, nickname: &Nickname) -> Result<(), SendError> {
        let Some(connection) = self.connection.get() else {
            let (mut core, outbound) = (lock(&self.core), &mut Outbound::new());
            return core.use_nickname(token, nickname, now(), &mut rand::rng(), outbound);
        };
        connection.use_nickname(self, token, nickname)
    }

    pub(super) fn respond(&self, id: IncomingId, status: u16) {
        if let Some(connection) = self.connection.get() {
            connection.with(|outbound| lock(&self.core).respond(id, status, outbound));
        }
    }

    pub(super) fn report(&self, report: &Report) {
        if let Some(connection) = self.connection.get() {
            connection.with(|outbound| lock(&self.core).report(report, &mut rand::rng(), outbound));
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
    pub(super) fn lose_unbound(&self, cause: LostCause) -> bool {
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
    pub(super) fn hand_over(&self, output: Output) {
        let refused = {
            let inbox = lock(&self.inbox);
            let Some(inbox) = inbox.as_ref() else { return };
            match output {
                Output::Deliver(message) => {
                    let refused = inbox.receive(message).err();
                    refused.map(|message| (message.id, 413))
                }
                Output::Nickname(request) => {
                    let refused = inbox.receive_nickname(request).err();
                    refused.map(|request| (request.id, 403))
                }
                Output::Complete(event) => {
                    inbox.complete(event);
                    None
                }
            }
        };
        if let Some((id, status)) = refused {
            self.respond(id, status);
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
