//! Shell: which session has which id, and which ids are reserved: given to a peer, which may so be here before its
//! session is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, Weak},
    time::Instant,
};

use super::{connection::Connection, door::Door, lock};
use crate::Limits;

/// Connections that wait for one id. Several may: an INVITE that forks gives it to more than one peer.
const HOLDERS: usize = 16;

/// The node's session ids.
#[derive(Default)]
pub(super) struct Registry(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    door_by_session_id: HashMap<Box<str>, Arc<Door>>,
    reservation_by_session_id: HashMap<Box<str>, Reservation>,
    session_id_by_age: BTreeMap<u64, Box<str>>,
    next_age: u64,
}

struct Reservation {
    age: u64,
    until: Instant,
    /// The only one: gone when the reservation has ended.
    token: Arc<()>,
    holders: Vec<Weak<Connection>>,
}

/// What an id stands for.
pub(super) enum Found {
    Session(Arc<Door>),
    Reserved(Hold),
    Nothing,
}

/// A connection's wait for a reserved id.
pub(super) struct Hold {
    token: Weak<()>,
    /// Nobody waits longer.
    pub(super) until: Instant,
}

impl Hold {
    /// Whether the session has come, or is not waited for any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until <= now || self.token.strong_count() == 0
    }
}

impl Registry {
    /// Expects a session with that id. The oldest reservations end if there are too many.
    pub(super) fn reserve(&self, session_id: &str, now: Instant, limits: &Limits) {
        let mut ended = Vec::new();
        {
            let mut ids = lock(&self.0);
            while let Some(oldest) = ids.oldest_reservation()
                && (oldest.until <= now
                    || ids.reservation_by_session_id.len() >= limits.reservations)
            {
                ended.extend(ids.end_oldest_reservation());
            }
            if limits.reservations > 0 {
                ids.insert_reservation(session_id, now + limits.reservation);
            }
        }
        ended.into_iter().for_each(Reservation::end);
    }

    /// Expects no session with that id any more.
    pub(super) fn release(&self, session_id: &str) {
        let ended = lock(&self.0).end_reservation(session_id);
        ended.into_iter().for_each(Reservation::end);
    }

    /// The session has come; connections that wait for it are woken.
    pub(super) fn register(&self, door: Arc<Door>) {
        let ended = {
            let mut ids = lock(&self.0);
            let session_id = door.local().session_id();
            let ended = ids.end_reservation(session_id);
            let session_id = session_id.into();
            ids.door_by_session_id.insert(session_id, door);
            ended
        };
        ended.into_iter().for_each(Reservation::end);
    }

    pub(super) fn unregister(&self, door: &Door) {
        let door = {
            let mut ids = lock(&self.0);
            ids.door_by_session_id.remove(door.local().session_id())
        };
        drop(door);
    }

    pub(super) fn find(&self, session_id: &str) -> Found {
        let door = lock(&self.0).door_by_session_id.get(session_id).cloned();
        door.map_or(Found::Nothing, Found::Session)
    }

    /// As `find`; if the id is reserved, the connection is woken when that is over, except by `Hold::until`.
    pub(super) fn find_or_hold(
        &self,
        session_id: &str,
        connection: &Arc<Connection>,
        now: Instant,
        limits: &Limits,
    ) -> Found {
        let mut ids = lock(&self.0);
        if let Some(door) = ids.door_by_session_id.get(session_id) {
            return Found::Session(door.clone());
        }
        let reservation = ids.reservation_by_session_id.get_mut(session_id);
        reservation
            .filter(|reservation| reservation.until > now)
            .and_then(|reservation| reservation.hold(connection, now + limits.hold))
            .map_or(Found::Nothing, Found::Reserved)
    }

    pub(super) fn doors(&self) -> Vec<Arc<Door>> {
        lock(&self.0).door_by_session_id.values().cloned().collect()
    }
}

impl Ids {
    fn insert_reservation(&mut self, session_id: &str, until: Instant) {
        let age = self.next_age;
        self.next_age += 1;
        let reservation = Reservation {
            age,
            until,
            token: Arc::new(()),
            holders: Vec::new(),
        };
        self.session_id_by_age.insert(age, session_id.into());
        self.reservation_by_session_id
            .insert(session_id.into(), reservation);
    }

    fn oldest_reservation(&self) -> Option<&Reservation> {
        let (_, session_id) = self.session_id_by_age.first_key_value()?;
        self.reservation_by_session_id.get(session_id)
    }

    fn end_oldest_reservation(&mut self) -> Option<Reservation> {
        let (_, session_id) = self.session_id_by_age.pop_first()?;
        self.reservation_by_session_id.remove(&session_id)
    }

    fn end_reservation(&mut self, session_id: &str) -> Option<Reservation> {
        let reservation = self.reservation_by_session_id.remove(session_id)?;
        self.session_id_by_age.remove(&reservation.age);
        Some(reservation)
    }
}

impl Reservation {
    fn hold(&mut self, connection: &Arc<Connection>, until: Instant) -> Option<Hold> {
        let holder = Arc::downgrade(connection);
        if !self.holders.iter().any(|other| other.ptr_eq(&holder)) {
            if self.holders.len() >= HOLDERS {
                self.holders.retain(|other| other.strong_count() > 0);
            }
            if self.holders.len() >= HOLDERS {
                return None;
            }
            self.holders.push(holder);
        }
        Some(Hold {
            token: Arc::downgrade(&self.token),
            until: self.until.min(until),
        })
    }

    /// The registry's lock must not be held: a connection may end here.
    fn end(self) {
        drop(self.token);
        let holders = self.holders.iter().filter_map(Weak::upgrade);
        holders.for_each(|connection| connection.wake());
    }
}
