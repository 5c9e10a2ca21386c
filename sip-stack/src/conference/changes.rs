//! What a focus tells of a change. RFC 4575 §4.4.

use std::collections::HashMap;

use super::info::{ConferenceInfo, ElementState, User};

impl ConferenceInfo {
    /// What turns the copy of somebody who was told `earlier` into this document, with this one's version; both are full. A
    /// user who is new or has changed is told of as a whole, one who is gone as deleted. `None`: nothing has changed.
    ///
    /// Where a change cannot be told of, because an element is gone that was there, it is this document itself.
    pub fn changes_since(&self, earlier: &ConferenceInfo) -> Option<ConferenceInfo> {
        let is_gone = (self.description.is_none() && earlier.description.is_some())
            || (self.conference_state.is_none() && earlier.conference_state.is_some());
        if is_gone || self.entity != earlier.entity {
            return Some(self.clone());
        }
        let description = self.description.as_ref();
        let changes = ConferenceInfo {
            entity: self.entity.clone(),
            state: ElementState::Partial,
            version: self.version,
            description: description
                .filter(|now| Some(*now) != earlier.description.as_ref())
                .cloned(),
            conference_state: self
                .conference_state
                .filter(|now| Some(*now) != earlier.conference_state),
            users_state: ElementState::Partial,
            users: user_changes(&earlier.users, &self.users),
        };
        let nothing = changes.description.is_none()
            && changes.conference_state.is_none()
            && changes.users.is_empty();
        (!nothing).then_some(changes)
    }
}

/// Those who left come first: a nickname may have gone from one to another.
fn user_changes(before: &[User], after: &[User]) -> Vec<User> {
    let mut before_by_entity: HashMap<&str, &User> = before
        .iter()
        .map(|user| (user.entity.as_str(), user))
        .collect();
    let mut told = Vec::new();
    for user in after {
        match before_by_entity.remove(user.entity.as_str()) {
            Some(before) if before == user => {}
            Some(_) | None => told.push(user.clone()),
        }
    }
    let mut gone: Vec<User> = before
        .iter()
        .filter(|user| before_by_entity.contains_key(user.entity.as_str()))
        .map(|user| User::deleted(user.entity.clone()))
        .collect();
    gone.append(&mut told);
    gone
}
