//! Documents of the package `conference`: what can be read can be written and is the same again, and a copy that follows them
//! keeps what it promises.

use std::collections::HashSet;

use stox_sip::conference::{Applied, Conference, ConferenceInfo, ElementState, User};

/// Documents, with a NUL between them, one after the other to the same subscriber (RX-12, SEC-10).
pub fn run(data: &[u8]) {
    let mut conference = Conference::new("sip:verona@chat.example.org");
    for document in data.split(|byte| *byte == 0) {
        let Ok(info) = ConferenceInfo::parse(document) else {
            continue;
        };
        look_at(&info);
        let (before, version) = (conference.clone(), info.version);
        match conference.apply(info) {
            Applied::Updated => {
                assert!(version.is_none() || conference.version() == version);
                assert!(version.is_none() || before.version() < version);
            }
            Applied::Ended => assert!(conference.users().is_empty()),
            Applied::Ignored | Applied::Gap => assert_eq!(conference, before),
        }
        look_at_copy(&conference);
        look_at_changes(&whole(&before, 1), &whole(&conference, 2));
    }
}

/// What was read is the same when it was written, but for what a deleted element does not tell.
fn look_at(info: &ConferenceInfo) {
    let written = info.to_xml();
    let again = ConferenceInfo::parse(&written).expect("what we write");
    assert_eq!(again.to_xml(), written);
    let deleted = |user: &User| user.state == ElementState::Deleted;
    let endpoints = || info.users.iter().flat_map(|user| &user.endpoints);
    if info.state != ElementState::Deleted
        && info.users_state != ElementState::Deleted
        && !info.users.iter().any(deleted)
        && !endpoints().any(|endpoint| endpoint.state == ElementState::Deleted)
    {
        let mut info = info.clone();
        if info.state == ElementState::Full {
            info.description.get_or_insert_default();
        }
        assert_eq!(again, info);
    }
}

fn look_at_copy(conference: &Conference) {
    let mut entities = HashSet::new();
    for user in conference.users() {
        assert!(entities.insert(&user.entity) && !user.entity.is_empty());
        assert_eq!(conference.user(&user.entity), Some(user));
        assert_eq!(user.state, ElementState::Full);
        let mut entities = HashSet::new();
        for endpoint in &user.endpoints {
            assert!(entities.insert(&endpoint.entity));
            assert_eq!(endpoint.state, ElementState::Full);
            assert!(endpoint.media.len() <= 64);
        }
        assert!(user.endpoints.len() <= 64);
    }
    assert!(conference.users().len() <= 2_000);
}

/// Who was told what was before, and then what has changed, knows what is now.
fn look_at_changes(before: &ConferenceInfo, after: &ConferenceInfo) {
    let mut follower = Conference::new(before.entity.clone());
    assert_eq!(follower.apply(before.clone()), Applied::Updated);
    if let Some(changes) = after.changes_since(before) {
        assert_eq!(follower.apply(changes), Applied::Updated);
    }
    let sorted = |info: ConferenceInfo| {
        let mut users = info.users;
        users.sort_by(|one, other| one.entity.cmp(&other.entity));
        (info.entity, info.description, info.conference_state, users)
    };
    assert_eq!(sorted(whole(&follower, 2)), sorted(after.clone()));
}

/// The copy as a document.
fn whole(conference: &Conference, version: u32) -> ConferenceInfo {
    ConferenceInfo {
        entity: conference.entity().to_owned(),
        version: Some(version),
        description: conference.description().cloned(),
        conference_state: conference.conference_state().copied(),
        users: conference.users().to_vec(),
        ..ConferenceInfo::default()
    }
}
