//! The subscriber's copy of a conference. RFC 4575 §4.6.

use std::collections::HashMap;

use super::info::{ConferenceInfo, ConferenceState, Description, ElementState, Endpoint, User};
use super::{MAX_ENDPOINTS, MAX_MEDIA, MAX_USERS};

/// What one subscription has told of a conference so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conference {
    entity: String,
    basis: Basis,
    description: Option<Description>,
    state: Option<ConferenceState>,
    users: Vec<User>,
}

/// What the next changes would be changes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    /// No full document has come in this subscription.
    Nothing,
    /// Documents without versions.
    Unnumbered,
    /// The document of this version.
    Version(u32),
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Applied {
    /// The copy is what the document made of it.
    Updated,
    /// The document is no newer than the copy, which is as it was.
    Ignored,
    /// The document tells of changes to a state that never came; the copy is as it was. A refresh of the subscription brings
    /// a full document.
    Gap,
    /// The conference is over, and nobody is in the copy. The subscription is to be ended.
    Ended,
}

impl Conference {
    /// An empty copy of the conference with this URI.
    pub fn new(entity: impl Into<String>) -> Conference {
        Conference {
            entity: entity.into(),
            basis: Basis::Nothing,
            description: None,
            state: None,
            users: Vec::new(),
        }
    }

    /// The URI that the last document gave the conference; before it, and if it gave none, that of [`Conference::new`].
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// That of the last document that was taken.
    pub fn version(&self) -> Option<u32> {
        match self.basis {
            Basis::Version(version) => Some(version),
            Basis::Nothing | Basis::Unnumbered => None,
        }
    }

    /// What the conference is about.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// What the conference is about, in a line; may be empty.
    pub fn subject(&self) -> Option<&str> {
        self.description.as_ref()?.subject.as_deref()
    }

    /// What is true of the conference as a whole.
    pub fn conference_state(&self) -> Option<&ConferenceState> {
        self.state.as_ref()
    }

    /// Who is in the conference, or about to be, or was put out of it: their endpoints tell. In the order in which they were
    /// first told of; no two have the same entity, none is deleted, nor is any of their endpoints.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// The user with this key.
    pub fn user(&self, entity: &str) -> Option<&User> {
        self.users.iter().find(|user| user.entity == entity)
    }

    /// A new subscription begins, which counts its documents anew: its first full document is taken whatever its version. The
    /// copy stays until then.
    pub fn resubscribe(&mut self) {
        self.basis = Basis::Nothing;
    }

    /// Takes the next document that came. One without a version, which RFC 4575 §5.2 does not allow, is taken as the next: the
    /// dialog has kept the order. Of users beyond 2,000, and of endpoints of one user beyond 64, there is no copy.
    pub fn apply(&mut self, document: ConferenceInfo) -> Applied {
        match (document.state, self.relation(document.version)) {
            (_, Relation::Old) => Applied::Ignored,
            (ElementState::Full, _) => {
                self.replace(document);
                Applied::Updated
            }
            (ElementState::Deleted, _) => {
                let (users, conference_state) = (Vec::new(), None);
                self.replace(ConferenceInfo {
                    users,
                    conference_state,
                    ..document
                });
                Applied::Ended
            }
            (ElementState::Partial, Relation::Next) => {
                self.update(document);
                Applied::Updated
            }
            (ElementState::Partial, Relation::Later) => Applied::Gap,
        }
    }

    fn relation(&self, version: Option<u32>) -> Relation {
        match (self.basis, version) {
            (Basis::Version(known), Some(version)) if version <= known => Relation::Old,
            (Basis::Version(known), Some(version)) => match known.checked_add(1) {
                Some(next) if next == version => Relation::Next,
                _ => Relation::Later,
            },
            (Basis::Nothing, _) => Relation::Later,
            (Basis::Unnumbered, _) | (Basis::Version(_), None) => Relation::Next,
        }
    }

    fn replace(&mut self, document: ConferenceInfo) {
        self.begin(&document);
        self.description = document.description;
        self.state = document.conference_state;
        self.users.clear();
        self.add_all(document.users);
    }

    fn update(&mut self, document: ConferenceInfo) {
        self.begin(&document);
        self.description = document.description.or(self.description.take());
        self.state = document.conference_state.or(self.state.take());
        match document.users_state {
            ElementState::Full => {
                self.users.clear();
                self.add_all(document.users);
            }
            ElementState::Deleted => self.users.clear(),
            ElementState::Partial => {
                for user in document.users {
                    update_user(&mut self.users, user);
                }
            }
        }
    }

    fn begin(&mut self, document: &ConferenceInfo) {
        if !document.entity.is_empty() {
            self.entity.clone_from(&document.entity);
        }
        self.basis = match (self.basis, document.version) {
            (_, Some(version)) => Basis::Version(version),
            (Basis::Version(version), None) => Basis::Version(version),
            (Basis::Nothing | Basis::Unnumbered, None) => Basis::Unnumbered,
        };
    }

    /// All users there are. One who is there twice, as some foci tell of two devices, is one with the endpoints of both.
    fn add_all(&mut self, users: Vec<User>) {
        let mut index_by_entity: HashMap<String, usize> = HashMap::with_capacity(users.len());
        for user in users {
            if user.state == ElementState::Deleted {
                continue;
            }
            match index_by_entity.get(&user.entity) {
                Some(index) => {
                    if let Some(known) = self.users.get_mut(*index) {
                        for endpoint in user.endpoints {
                            update_endpoint(&mut known.endpoints, endpoint);
                        }
                    }
                }
                None if self.users.len() < MAX_USERS => {
                    index_by_entity.insert(user.entity.clone(), self.users.len());
                    self.users.push(whole_user(user));
                }
                None => {}
            }
        }
    }
}

/// How a document's version is related to the copy.
enum Relation {
    Old,
    Next,
    Later,
}

fn update_user(users: &mut Vec<User>, user: User) {
    let index = users.iter().position(|known| known.entity == user.entity);
    let known = index.and_then(|index| users.get_mut(index));
    match (user.state, known) {
        (ElementState::Deleted, _) => users.retain(|known| known.entity != user.entity),
        (ElementState::Full, Some(known)) => *known = whole_user(user),
        (ElementState::Partial, Some(known)) => change_user(known, user),
        (ElementState::Full | ElementState::Partial, None) => {
            if users.len() < MAX_USERS {
                users.push(whole_user(user));
            }
        }
    }
}

/// What is not told stays as it was.
fn change_user(known: &mut User, user: User) {
    known.display_text = user.display_text.or(known.display_text.take());
    known.nickname = user.nickname.or(known.nickname.take());
    if !user.associated_aors.is_empty() {
        known.associated_aors = user.associated_aors;
    }
    if !user.roles.is_empty() {
        known.roles = user.roles;
    }
    for endpoint in user.endpoints {
        update_endpoint(&mut known.endpoints, endpoint);
    }
}

fn update_endpoint(endpoints: &mut Vec<Endpoint>, endpoint: Endpoint) {
    let mut all = endpoints.iter_mut();
    let known = all.find(|known| known.entity == endpoint.entity);
    match (endpoint.state, known) {
        (ElementState::Deleted, _) => endpoints.retain(|known| known.entity != endpoint.entity),
        (ElementState::Full, Some(known)) => *known = whole_endpoint(endpoint),
        (ElementState::Partial, Some(known)) => change_endpoint(known, endpoint),
        (ElementState::Full | ElementState::Partial, None) => {
            if endpoints.len() < MAX_ENDPOINTS {
                endpoints.push(whole_endpoint(endpoint));
            }
        }
    }
}

/// What is not told stays as it was.
fn change_endpoint(known: &mut Endpoint, endpoint: Endpoint) {
    let method = endpoint.disconnection_method;
    known.display_text = endpoint.display_text.or(known.display_text.take());
    known.status = endpoint.status.or(known.status);
    known.disconnection_method = method.or(known.disconnection_method);
    for media in endpoint.media {
        let room = MAX_MEDIA.saturating_sub(known.media.len());
        match known.media.iter_mut().find(|known| known.id == media.id) {
            Some(known) => *known = media,
            None if room > 0 => known.media.push(media),
            None => {}
        }
    }
}

/// A user of whom all is told that is known.
fn whole_user(user: User) -> User {
    let mut endpoints = Vec::with_capacity(user.endpoints.len());
    for endpoint in user.endpoints {
        update_endpoint(&mut endpoints, endpoint);
    }
    User {
        state: ElementState::Full,
        endpoints,
        ..user
    }
}

/// An endpoint of which all is told that is known.
fn whole_endpoint(endpoint: Endpoint) -> Endpoint {
    Endpoint {
        state: ElementState::Full,
        ..endpoint
    }
}
