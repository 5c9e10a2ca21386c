//! Which of those in the room the user of a member is. RX-13, RX-16.

use std::sync::Arc;

use stox_sip::conference::User;

use super::occupant::{self, People};
use super::place::AddressKey;
use super::roster::{Change, Seen};
use crate::address::Jid;
use crate::room::nickname::compare_key;
use crate::xmpp::{MucUser, Role};

/// Nicknames that the user had lately: a document that still tells one of them is old.
const FORMER: usize = 8;

/// The user of the member.
#[derive(Debug)]
pub struct Own {
    /// What the user is called, as nicknames are compared.
    pub key: String,
    /// The entity that is the user, as soon as one is known.
    entity: Option<String>,
    /// The same as an address.
    address: Option<AddressKey>,
    /// What the focus called it last.
    pub told: Option<String>,
    /// What the user was called before.
    former: Vec<String>,
    /// What a presence says of the user.
    pub about: Arc<MucUser>,
}

/// Who the member is, to be found among those the focus tells of.
#[derive(Clone, Copy, Debug)]
pub struct Me<'a> {
    /// The user's SIP address.
    pub key: Option<&'a AddressKey>,
    /// The user's devices in this dialog.
    pub seats: &'a [Jid],
    /// What the user's other dialogs are called, as nicknames are compared.
    pub siblings: &'a [String],
}

impl Own {
    pub fn new(nick: &str) -> Own {
        Own {
            key: compare_key(nick),
            entity: None,
            address: None,
            told: None,
            former: Vec::new(),
            about: occupant::about(Role::Participant, None),
        }
    }

    /// The user was called so, and is called so from now on.
    pub fn call(&mut self, was: &str, nick: &str) {
        self.former.push(compare_key(was));
        if self.former.len() > FORMER {
            self.former.remove(0);
        }
        self.key = compare_key(nick);
    }

    /// Whether that address is the user's.
    pub fn is(&self, key: &AddressKey, me: Me<'_>) -> bool {
        self.address.as_ref() == Some(key) || me.key.is_some_and(|me| me.is_same_user(key))
    }

    /// The entity that is the user, as soon as one is known.
    pub fn entity(&self) -> Option<&str> {
        self.entity.as_deref()
    }

    /// The entity of the user, by what tells most first: address, device, place in the room, and for those whose address
    /// the focus hides, name.
    pub fn find(&self, users: &[&User], people: &People<'_>, me: Me<'_>) -> Option<String> {
        let key_of = |user: &User| AddressKey::parse(&user.entity);
        let is_room = |key: &AddressKey| people.room.is_some_and(|room| room.is_same_user(key));
        let by_address = |user: &&User| {
            let key = key_of(user);
            key.is_some_and(|key| me.key.is_some_and(|me| me.is_same_user(&key)))
        };
        let by_device = |user: &&User| {
            let jid = occupant::address_of(user, None, people);
            jid.is_some_and(|jid| me.seats.contains(&jid))
        };
        let by_place = |user: &&User| {
            let key = key_of(user).filter(is_room);
            let nick = key.and_then(|key| key.device().map(compare_key));
            nick.as_ref() == Some(&self.key)
        };
        let is_known = |user: &&User| self.entity.as_ref() == Some(&user.entity);
        let by_name = |user: &&User| {
            let key = key_of(user);
            let is_hidden = key
                .as_ref()
                .is_none_or(|key| is_room(key) || key.is_invalid());
            is_hidden && compare_key(&occupant::name_of(user, key.as_ref())) == self.key
        };
        let find = |test: &dyn Fn(&&User) -> bool| users.iter().copied().find(test);
        find(&by_address)
            .or_else(|| find(&by_device))
            .or_else(|| find(&by_place))
            .or_else(|| find(&is_known))
            .or_else(|| find(&by_name))
            .map(|user| user.entity.clone())
    }

    /// That entity is the user.
    pub fn set_entity(&mut self, entity: Option<String>) {
        if self.entity != entity {
            self.address = entity.as_deref().and_then(AddressKey::parse);
            self.entity = entity;
        }
    }

    /// Only what changes at the focus changes the user's nickname, and only if it is no older than what is known (RX-16).
    pub fn note(&mut self, seen: Seen, me: Me<'_>, changes: &mut Vec<Change>) {
        if self.about != seen.about {
            self.about = seen.about;
            changes.push(Change::OwnRole);
        }
        let key = compare_key(&seen.wish);
        let was = self.told.replace(seen.wish.clone());
        let is_news = was.is_some_and(|was| was != seen.wish);
        let is_other =
            key != self.key && !self.former.contains(&key) && !me.siblings.contains(&key);
        if is_news && is_other {
            changes.push(Change::OwnName(seen.wish));
        }
    }
}
