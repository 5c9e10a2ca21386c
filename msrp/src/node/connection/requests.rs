//! Shell: what has been read, to the sessions it is for; what is here before its session waits.

use std::{sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use tracing::{info, trace};

use super::{
    Inner, Life,
    addressee::{Addressee, refuse_as_addressed},
    task::Task,
};
use crate::{
    LostCause,
    codec::{Flag, Head, Part, Start},
    node::{door::Door, lock, now, registry::Hold},
    session::Output,
};

/// Requests set aside on one connection, each without body.
const SET_ASIDE: usize = 64;

/// A request from its start, or the beginning of one.
pub(super) struct First {
    pub(super) head: Head,
    pub(super) body: Bytes,
    pub(super) end: Option<Flag>,
}

/// A request that is here before its session.
pub(super) struct Early {
    pub(super) request: First,
    pub(super) hold: Hold,
}

impl Task<'_> {
    /// Gives what was read to its sessions, until one must be waited for.
    pub(super) fn handle_read(&mut self) -> Result<(), LostCause> {
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
                    let complaints = &self.shared.complaints;
                    if complaints.may_speak(self.peer.ip(), now) {
                        info!(peer = %self.peer, %error, "connection closed: not MSRP");
                    }
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
    pub(super) fn resume(&mut self) -> Result<(), LostCause> {
        if self.held_back.is_none() && self.set_aside.is_empty() {
            return Ok(());
        }
        let now = now();
        let is_due = |early: &mut Early| early.hold.is_over(now);
        let mut due: Vec<Early> = self.set_aside.extract_if(.., is_due).collect();
        let held_back = self.held_back.take_if(|early| is_due(early));
        let reads_on = held_back.is_some();
        due.extend(held_back.map(|early| *early));
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
                        core.handle_response(&head, now, outbound, out);
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
                    self.held_back = Some(Box::new(Early { request, hold }));
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
}
