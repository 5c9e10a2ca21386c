//! The rooms among them: by the room's address, and by the subscriptions that go with it.

use std::sync::atomic::Ordering;

use dashmap::mapref::entry::Entry;
use stox_sip::{InviteId, SubscriptionId};

use super::{Owner, Registry};
use crate::address::{BareJid, Jid};
use crate::mailbox::Full;
use crate::room::{Door, Input};

/// Rooms there may be at a time (SEC-14).
const ROOMS: usize = 20_000;

impl Registry {
    /// Delivers new work to the room of that address, which `begin` starts if there is none.
    ///
    /// The door is used while its entry is held, so that [`Registry::retire_room`] cannot close it in between.
    ///
    /// # Errors
    /// [`Full`] gives the work back: the room has too much to do, or there are too many rooms, or the gateway says
    /// goodbye, or `begin` has none.
    pub fn deliver_to_room(
        &self,
        address: &BareJid,
        input: Input,
        begin: impl FnOnce(&BareJid) -> Option<Door>,
    ) -> Result<(), Full<Input>> {
        self.with_room(address, begin, |door| match door {
            Some(door) => door.deliver(input),
            None => Err(Full(input)),
        })
    }

    /// The same for an INVITE, whose later events go the same way from the start.
    ///
    /// # Errors
    /// [`Full`] gives the work back.
    pub fn deliver_invite_to_room(
        &self,
        address: &BareJid,
        invite: InviteId,
        input: Input,
        begin: impl FnOnce(&BareJid) -> Option<Door>,
    ) -> Result<(), Full<Input>> {
        self.with_room(address, begin, |door| {
            let Some(door) = door else {
                return Err(Full(input));
            };
            self.expect_invite(invite, Owner::Room(door.clone()));
            door.deliver(input)
                .inspect_err(|_| self.forget_invite(invite))
        })
    }

    /// The room of that address, if there is one.
    pub fn room(&self, address: &BareJid) -> Option<Door> {
        if self.rooms() == 0 {
            return None;
        }
        let door = self.room_by_address.get(address)?;
        (!door.is_closed()).then(|| door.clone())
    }

    /// Takes the room out, unless something has come for it meanwhile.
    pub fn retire_room(&self, address: &BareJid) -> bool {
        let retired = self
            .room_by_address
            .remove_if(address, |_, door| door.is_quiet())
            .is_some();
        if retired {
            self.rooms.fetch_sub(1, Ordering::Relaxed);
            self.retired.notify_waiters();
        }
        retired
    }

    /// Which room waits for the events of that subscription.
    pub fn expect_subscription(&self, subscription: SubscriptionId, room: Door) {
        self.room_by_subscription.insert(subscription, room);
    }

    /// The subscription is of no more concern.
    pub fn forget_subscription(&self, subscription: SubscriptionId) {
        self.room_by_subscription.remove(&subscription);
    }

    /// Which room waits for the events of that subscription.
    pub fn room_of_subscription(&self, subscription: SubscriptionId) -> Option<Door> {
        let door = self.room_by_subscription.get(&subscription)?;
        Some(door.clone())
    }

    /// Every room's door, for goodbyes and for what concerns them all.
    pub fn room_doors(&self) -> Vec<Door> {
        self.room_by_address
            .iter()
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// An XMPP user's device asks to enter the room: what it says to that address is for the room from now on.
    pub fn take_seat(&self, room: &BareJid, device: &Jid) {
        let seat = (room.clone(), device.clone());
        *self.seats.entry(seat).or_default() += 1;
    }

    /// One such wish is of no more concern: it was not granted, or the device has left.
    pub fn vacate_seat(&self, room: &BareJid, device: &Jid) {
        let seat = (room.clone(), device.clone());
        if let Entry::Occupied(mut entry) = self.seats.entry(seat) {
            match entry.get().checked_sub(1) {
                None | Some(0) => {
                    entry.remove();
                }
                Some(left) => {
                    entry.insert(left);
                }
            }
        }
    }

    /// Whether what the device says to that address is for the room.
    pub fn is_seated(&self, room: &BareJid, device: &Jid) -> bool {
        !self.seats.is_empty() && self.seats.contains_key(&(room.clone(), device.clone()))
    }

    /// Rooms there are.
    pub fn rooms(&self) -> usize {
        self.rooms.load(Ordering::Relaxed)
    }

    fn with_room<T>(
        &self,
        address: &BareJid,
        begin: impl FnOnce(&BareJid) -> Option<Door>,
        use_it: impl FnOnce(Option<&Door>) -> T,
    ) -> T {
        if let Some(door) = self.room_by_address.get(address)
            && !door.is_closed()
        {
            return use_it(Some(&door));
        }
        match self.room_by_address.entry(address.clone()) {
            // Its task has failed: the next one begins anew.
            Entry::Occupied(mut entry) if entry.get().is_closed() => match begin(address) {
                Some(door) => {
                    entry.insert(door);
                    use_it(Some(entry.get()))
                }
                None => use_it(None),
            },
            Entry::Occupied(entry) => use_it(Some(entry.get())),
            Entry::Vacant(_) if self.rooms() >= ROOMS || self.is_closing() => use_it(None),
            Entry::Vacant(entry) => match begin(address) {
                Some(door) => {
                    self.rooms.fetch_add(1, Ordering::Relaxed);
                    use_it(Some(&entry.insert(door)))
                }
                None => use_it(None),
            },
        }
    }
}
