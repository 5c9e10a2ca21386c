//! Who is in the room, as one subscription has told, and under which nickname each is shown. RX-12 to RX-19.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stox_sip::conference::{Applied, Conference, ConferenceInfo, ElementState, User};

use super::event::Place;
use super::occupant::{self, People, Standing};
use super::own::{Me, Own};
use super::place::AddressKey;
use crate::address::Jid;
use crate::room::nickname::compare_key;
use crate::xmpp::{MucUser, Role};

/// Occupants who are known only because they spoke.
const SPEAKERS: usize = 2_000;

/// The occupants that one member sees.
#[derive(Debug)]
pub struct Roster {
    copy: Conference,
    source: Source,
    /// By entity.
    occupants: BTreeMap<String, Occupant>,
    entity_by_key: HashMap<AddressKey, String>,
    /// Nicknames in use by others, as they are compared.
    taken: HashMap<String, String>,
    own: Own,
    subject: Option<String>,
}

/// Where the roster comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The focus will tell.
    Awaited,
    /// The focus tells.
    Focus,
    /// The focus does not tell: occupants are known when they speak (RX-18).
    Speakers,
}

/// Somebody else in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The name in the room.
    pub nick: String,
    /// Its JID.
    pub jid: Jid,
    /// What a presence says of them.
    pub about: Arc<MucUser>,
    /// What they would be called if nobody else were.
    wish: String,
}

/// What changed for the member. First those who left, then those who came: a nickname may pass from one to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Left, in a way that this status code tells.
    Left(Jid, Option<u16>),
    /// Is called something else from now on.
    Renamed(Occupant, String),
    /// Came, or is something else than before.
    Present(Occupant),
    /// The focus calls the user of the member something else.
    OwnName(String),
    /// The user of the member is something else than before.
    OwnRole,
}

/// What a document came to.
#[derive(Debug)]
pub struct Told {
    /// What became of it.
    pub applied: Applied,
    /// What changed.
    pub changes: Vec<Change>,
    /// The subject, where it is not what it was.
    pub subject: Option<String>,
}

impl Roster {
    /// Of a room in which the user is to be called so.
    pub fn new(place: &Place, nick: &str) -> Roster {
        Roster {
            copy: Conference::new(place.uri.to_string()),
            source: Source::Awaited,
            occupants: BTreeMap::new(),
            entity_by_key: HashMap::new(),
            taken: HashMap::new(),
            own: Own::new(nick),
            subject: None,
        }
    }

    /// Everybody else, in an order of their own.
    pub fn occupants(&self) -> impl Iterator<Item = &Occupant> {
        self.occupants.values()
    }

    /// What a presence says of the user.
    pub fn own(&self) -> &Arc<MucUser> {
        &self.own.about
    }

    /// What the focus calls the user.
    pub fn own_name(&self) -> Option<&str> {
        self.own.told.as_deref()
    }

    /// The subject, which may be empty.
    pub fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or_default()
    }

    /// Whether the focus shows people's addresses (status 100).
    pub fn shows_addresses(&self) -> bool {
        let has_jid = |about: &MucUser| about.item.as_ref().is_some_and(|item| item.jid.is_some());
        self.occupants().any(|occupant| has_jid(&occupant.about))
    }

    /// Whether the focus has told who is there.
    pub fn is_told(&self) -> bool {
        self.source == Source::Focus
    }

    /// The focus will not tell.
    pub fn give_up(&mut self) {
        if self.source == Source::Awaited {
            self.source = Source::Speakers;
        }
    }

    /// A new subscription begins.
    pub fn resubscribed(&mut self) {
        self.copy.resubscribe();
    }

    /// The occupant with that address.
    pub fn by_address(&self, key: &AddressKey) -> Option<&Occupant> {
        let known = |key: &AddressKey| self.entity_by_key.get(key);
        let entity = known(key).or_else(|| known(&key.user()))?;
        self.occupants.get(entity)
    }

    /// The address and the occupant with that nickname.
    pub fn by_nick(&self, nick: &str) -> Option<(&str, &Occupant)> {
        let entity = self.taken.get(&compare_key(nick))?;
        Some((entity, self.occupants.get(entity)?))
    }

    /// Whether that address is the user's own.
    pub fn is_own(&self, key: &AddressKey, me: Me<'_>) -> bool {
        self.own.is(key, me)
    }

    /// The user is called so from now on. Whoever was shown by that name is told apart.
    pub fn call_me(&mut self, place: &Place, was: &str, nick: &str) -> Vec<Change> {
        self.own.call(was, nick);
        let Some(entity) = self.taken.get(&self.own.key).cloned() else {
            return Vec::new();
        };
        let Some(other) = self.occupants.get(&entity).cloned() else {
            return Vec::new();
        };
        self.taken.remove(&self.own.key);
        let nick = self.claim(&other.wish, &entity);
        let renamed = Occupant {
            jid: place.occupant(&nick),
            nick: nick.clone(),
            ..other.clone()
        };
        self.occupants.insert(entity, renamed.clone());
        vec![Change::Renamed(other, nick), Change::Present(renamed)]
    }

    /// Somebody speaks whom the focus does not tell of (RX-18, RX-25): the occupant, and whether it is a new one.
    pub fn learn(&mut self, place: &Place, entity: &str, name: Option<&str>) -> (Occupant, bool) {
        if let Some(known) = self.occupants.get(entity) {
            return (known.clone(), false);
        }
        let user = User {
            display_text: name.map(str::to_owned),
            ..User::new(entity)
        };
        let wish = occupant::name_of(&user, AddressKey::parse(entity).as_ref());
        if self.source != Source::Speakers || self.occupants.len() >= SPEAKERS {
            // Only for this message: the focus may still tell who it is.
            let nick = self.free(&wish);
            let occupant = Occupant {
                jid: place.occupant(&nick),
                nick,
                about: occupant::about(Role::Participant, None),
                wish,
            };
            return (occupant, false);
        }
        let nick = self.claim(&wish, entity);
        let occupant = Occupant {
            jid: place.occupant(&nick),
            nick,
            about: occupant::about(Role::Participant, None),
            wish,
        };
        self.insert(entity, occupant.clone());
        (occupant, true)
    }

    /// Whether whoever speaks may still turn up in the roster.
    pub fn may_still_tell(&self) -> bool {
        self.source != Source::Speakers
    }

    /// Takes a document.
    pub fn apply(
        &mut self,
        document: ConferenceInfo,
        place: &Place,
        people: &People<'_>,
        me: Me<'_>,
    ) -> Told {
        if !self.is_ours(&document, people) {
            return Told {
                applied: Applied::Ignored,
                changes: Vec::new(),
                subject: None,
            };
        }
        let partings: HashMap<String, u16> = document
            .users
            .iter()
            .filter_map(|user| Some((user.entity.clone(), occupant::parting_of(user)?)))
            .collect();
        let told_of = told_of(&document);
        let applied = self.copy.apply(document);
        match applied {
            Applied::Updated => {}
            Applied::Ignored | Applied::Gap | Applied::Ended => {
                return Told {
                    applied,
                    changes: Vec::new(),
                    subject: None,
                };
            }
        }
        if self.source != Source::Focus {
            // What was only guessed from those who spoke is known now.
            self.source = Source::Focus;
        }
        let changes = self.compare(told_of.as_deref(), &partings, place, people, me);
        let subject = self.copy.subject().unwrap_or_default().trim().to_owned();
        let is_new = self.subject.as_ref() != Some(&subject);
        self.subject = Some(subject.clone());
        Told {
            applied,
            changes,
            subject: is_new.then_some(subject),
        }
    }

    /// Whether a document is about this room: about the address that was called, or the one that the focus has told of it
    /// first. Without any address it is.
    fn is_ours(&self, document: &ConferenceInfo, people: &People<'_>) -> bool {
        let told = document.entity.trim();
        let key = AddressKey::parse(told);
        let is_same = |other: &AddressKey| key.as_ref().is_some_and(|key| key.is_same_user(other));
        let is_first = self.copy.version().is_none() && self.source == Source::Awaited;
        told.is_empty()
            || is_first
            || told == self.copy.entity()
            || people.room.is_some_and(is_same)
            || AddressKey::parse(self.copy.entity())
                .as_ref()
                .is_some_and(is_same)
    }

    /// What the copy says differently from what is shown, of those entities; `None`: of all.
    fn compare(
        &mut self,
        told_of: Option<&[String]>,
        partings: &HashMap<String, u16>,
        place: &Place,
        people: &People<'_>,
        me: Me<'_>,
    ) -> Vec<Change> {
        let known = self.own.entity();
        let known = known.and_then(|entity| self.copy.user(entity));
        let others = self.users(told_of.filter(|_| known.is_some()));
        let candidates: Vec<&User> = known.into_iter().chain(others).collect();
        let own = self.own.find(&candidates, people, me);
        // Whoever was somebody else so far is to go, whether told of or not.
        let told_of = told_of.filter(|_| own.as_deref() == self.own.entity());
        let mut present: BTreeMap<String, Seen> = BTreeMap::new();
        let mut order = Vec::new();
        let mut changes = Vec::new();
        for user in self.users(told_of) {
            let Standing::Present(role) = occupant::standing_of(user) else {
                continue;
            };
            let key = AddressKey::parse(&user.entity);
            let seen = Seen {
                wish: occupant::name_of(user, key.as_ref()),
                about: occupant::about(role, occupant::address_of(user, key.as_ref(), people)),
            };
            if own.as_ref() != Some(&user.entity) {
                order.push(user.entity.clone());
            }
            present.insert(user.entity.clone(), seen);
        }
        if let Some(seen) = own.as_ref().and_then(|entity| present.remove(entity)) {
            self.own.note(seen, me, &mut changes);
        }
        self.own.set_entity(own);
        self.part(told_of, &present, partings, &mut changes);
        self.rename(&present, place, &mut changes);
        self.admit(&order, present, place, &mut changes);
        changes
    }

    /// Those users of the copy; `None`: all.
    fn users<'a>(&'a self, told_of: Option<&'a [String]>) -> impl Iterator<Item = &'a User> {
        let some = told_of.into_iter().flatten();
        let some = some.filter_map(|entity| self.copy.user(entity));
        let all = told_of.is_none().then(|| self.copy.users());
        some.chain(all.into_iter().flatten())
    }

    fn part(
        &mut self,
        told_of: Option<&[String]>,
        present: &BTreeMap<String, Seen>,
        partings: &HashMap<String, u16>,
        changes: &mut Vec<Change>,
    ) {
        let is_gone = |entity: &&String| !present.contains_key(*entity);
        let gone: Vec<String> = match told_of {
            Some(told_of) => told_of.iter().filter(is_gone).cloned().collect(),
            None => self.occupants.keys().filter(is_gone).cloned().collect(),
        };
        for entity in gone {
            if let Some(occupant) = self.remove(&entity) {
                changes.push(Change::Left(occupant.jid, partings.get(&entity).copied()));
            }
        }
    }

    fn rename(
        &mut self,
        present: &BTreeMap<String, Seen>,
        place: &Place,
        changes: &mut Vec<Change>,
    ) {
        let renamed: Vec<(String, Occupant)> = self
            .occupants
            .iter()
            .filter(|(entity, occupant)| {
                let seen = present.get(*entity);
                seen.is_some_and(|seen| seen.wish != occupant.wish)
            })
            .map(|(entity, occupant)| (entity.clone(), occupant.clone()))
            .collect();
        for (_, occupant) in &renamed {
            self.taken.remove(&compare_key(&occupant.nick));
        }
        for (entity, was) in renamed {
            let Some(seen) = present.get(&entity) else {
                continue;
            };
            let nick = self.claim(&seen.wish, &entity);
            if nick != was.nick {
                changes.push(Change::Renamed(was, nick.clone()));
            }
            let occupant = Occupant {
                jid: place.occupant(&nick),
                nick,
                // Told as new by `admit`.
                about: Arc::default(),
                wish: seen.wish.clone(),
            };
            self.insert(&entity, occupant);
        }
    }

    fn admit(
        &mut self,
        order: &[String],
        mut present: BTreeMap<String, Seen>,
        place: &Place,
        changes: &mut Vec<Change>,
    ) {
        for entity in order {
            let Some(seen) = present.remove(entity) else {
                continue;
            };
            match self.occupants.get_mut(entity) {
                Some(occupant) if occupant.about == seen.about => {}
                Some(occupant) => {
                    occupant.about = seen.about;
                    changes.push(Change::Present(occupant.clone()));
                }
                None => {
                    let nick = self.claim(&seen.wish, entity);
                    let occupant = Occupant {
                        jid: place.occupant(&nick),
                        nick,
                        about: seen.about,
                        wish: seen.wish,
                    };
                    self.insert(entity, occupant.clone());
                    changes.push(Change::Present(occupant));
                }
            }
        }
    }

    fn insert(&mut self, entity: &str, occupant: Occupant) {
        if let Some(key) = AddressKey::parse(entity) {
            self.entity_by_key.insert(key, entity.to_owned());
        }
        self.occupants.insert(entity.to_owned(), occupant);
    }

    fn remove(&mut self, entity: &str) -> Option<Occupant> {
        let occupant = self.occupants.remove(entity)?;
        self.taken.remove(&compare_key(&occupant.nick));
        if let Some(key) = AddressKey::parse(entity) {
            self.entity_by_key.remove(&key);
        }
        Some(occupant)
    }

    /// The wished nickname, told apart from those of others (RX-15).
    fn claim(&mut self, wish: &str, entity: &str) -> String {
        let nick = self.free(wish);
        self.taken.insert(compare_key(&nick), entity.to_owned());
        nick
    }

    fn free(&self, wish: &str) -> String {
        let is_taken = |nick: &str| {
            let key = compare_key(nick);
            key == self.own.key || self.taken.contains_key(&key)
        };
        if !is_taken(wish) {
            return wish.to_owned();
        }
        // As many as there are cannot all be taken by the others.
        (2..=self.taken.len().saturating_add(3))
            .map(|number| format!("{wish} ({number})"))
            .find(|nick| !is_taken(nick))
            .unwrap_or_else(|| wish.to_owned())
    }
}

/// Of whom alone a document tells: to look at everybody in the room for each who comes or goes would cost each member.
fn told_of(document: &ConferenceInfo) -> Option<Vec<String>> {
    let is_partial =
        document.state == ElementState::Partial && document.users_state == ElementState::Partial;
    let users = || document.users.iter();
    is_partial.then(|| users().map(|user| user.entity.clone()).collect())
}

/// What a document says of somebody who is there.
pub struct Seen {
    /// What they would be called if nobody else were.
    pub wish: String,
    /// What a presence says of them.
    pub about: Arc<MucUser>,
}
