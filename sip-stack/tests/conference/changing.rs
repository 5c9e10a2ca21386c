use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use stox_sip::conference::{
    Applied, Conference, ConferenceInfo, ConferenceState, Description, ElementState, Endpoint,
    EndpointStatus, User,
};

proptest! {
    // RS-18
    #[test]
    fn changes_make_of_an_earlier_copy_the_later_one(before in info(), after in info()) {
        let before = ConferenceInfo { version: Some(1), ..before };
        let after = ConferenceInfo { version: Some(2), ..after };
        let mut follower = Conference::new("");
        prop_assert_eq!(follower.apply(before.clone()), Applied::Updated);
        match after.changes_since(&before) {
            Some(changes) => {
                let told = ConferenceInfo::parse(&changes.to_xml()).unwrap();
                prop_assert_eq!(&told, &changes);
                prop_assert_eq!(follower.apply(told), Applied::Updated);
            }
            None => prop_assert_eq!(&before.users, &after.users),
        }
        prop_assert_eq!(follower.description(), after.description.as_ref());
        prop_assert_eq!(follower.conference_state(), after.conference_state.as_ref());
        prop_assert_eq!(sorted(follower.users()), sorted(&after.users));
    }
}

// RS-18
#[test]
fn only_what_changed_is_told() {
    let user = |entity: &str, nickname: &str| User {
        nickname: Some(nickname.into()),
        ..User::new(entity)
    };
    let before = ConferenceInfo {
        entity: "sip:v".into(),
        version: Some(4),
        description: Some(Description::default()),
        users: vec![user("a", "A"), user("b", "B"), user("c", "C")],
        ..ConferenceInfo::default()
    };
    let after = ConferenceInfo {
        version: Some(5),
        users: vec![user("a", "A"), user("c", "CC"), user("d", "D")],
        ..before.clone()
    };
    let told = after.changes_since(&before).unwrap();
    let expected = ConferenceInfo {
        entity: "sip:v".into(),
        state: ElementState::Partial,
        version: Some(5),
        users_state: ElementState::Partial,
        users: vec![User::deleted("b"), user("c", "CC"), user("d", "D")],
        ..ConferenceInfo::default()
    };
    assert_eq!(told, expected);
    assert_eq!(before.changes_since(&before), None);
}

#[test]
fn what_cannot_be_told_as_a_change_is_told_as_a_whole() {
    let before = ConferenceInfo {
        description: Some(Description::default()),
        ..ConferenceInfo::default()
    };
    let after = ConferenceInfo::default();
    assert_eq!(after.changes_since(&before), Some(after));
}

fn sorted(users: &[User]) -> Vec<&User> {
    let mut users: Vec<_> = users.iter().collect();
    users.sort_by_key(|user| &user.entity);
    users
}

/// A full document; few names, so that two documents have some in common.
fn info() -> impl Strategy<Value = ConferenceInfo> {
    let subject = option::of("[a-c]{1,2}");
    let count = option::of(option::of(0..3_u32));
    (subject, count, vec(user(), 0..6)).prop_map(|(subject, count, mut users)| {
        users.sort_by(|one: &User, other| one.entity.cmp(&other.entity));
        users.dedup_by(|one, other| one.entity == other.entity);
        ConferenceInfo {
            description: Some(Description {
                subject,
                ..Description::default()
            }),
            conference_state: count.map(|user_count| ConferenceState {
                user_count,
                ..ConferenceState::default()
            }),
            users,
            ..ConferenceInfo::default()
        }
    })
}

fn user() -> impl Strategy<Value = User> {
    let status = option::of(select(vec![
        EndpointStatus::Connected,
        EndpointStatus::Disconnected,
    ]));
    let names = (option::of("[a-b<&\"]{1,2}"), option::of("[a-b]{1,2}"));
    ("[a-h]", names, vec("[a-b]", 0..3), option::of(status)).prop_map(
        |(entity, (display_text, nickname), roles, endpoint)| User {
            display_text,
            nickname,
            roles,
            endpoints: endpoint
                .map(|status| Endpoint {
                    entity: "1".into(),
                    status,
                    ..Endpoint::default()
                })
                .into_iter()
                .collect(),
            ..User::new(entity)
        },
    )
}
