use stox_sip::conference::{
    ConferenceInfo, ConferenceState, Description, DisconnectionMethod, ElementState, Endpoint,
    EndpointStatus, Media, MediaStatus, User,
};

use super::{ALL, read};

/// An occupant of a MUC as a focus shows it.
fn occupant(nickname: &str, roles: &[&str]) -> User {
    let entity = format!("sip:capulet@rooms.example.com;gr={nickname}");
    User {
        display_text: Some(nickname.into()),
        nickname: Some(nickname.into()),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        endpoints: vec![Endpoint {
            entity: entity.clone(),
            status: Some(EndpointStatus::Connected),
            media: vec![Media {
                id: "1".into(),
                kind: Some("message".into()),
                status: None,
            }],
            ..Endpoint::default()
        }],
        ..User::new(entity)
    }
}

// RS-17
#[test]
fn what_a_focus_tells_of_a_room() {
    let mut romeo = occupant("Romeo", &["moderator", "participant"]);
    romeo.associated_aors = vec!["xmpp:romeo@example.org/orchard".into()];
    let info = ConferenceInfo {
        entity: "sip:capulet@rooms.example.com".into(),
        version: Some(1),
        description: Some(Description {
            subject: Some("Today in <Verona> & \"beyond\"".into()),
            ..Description::default()
        }),
        conference_state: Some(ConferenceState {
            user_count: Some(1),
            active: Some(true),
            locked: None,
        }),
        users: vec![romeo],
        ..ConferenceInfo::default()
    };
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
        xmlns:xcon=\"urn:ietf:params:xml:ns:xcon-conference-info\" \
        entity=\"sip:capulet@rooms.example.com\" state=\"full\" version=\"1\">\
        <conference-description>\
        <subject>Today in &lt;Verona&gt; &amp; &quot;beyond&quot;</subject>\
        </conference-description>\
        <conference-state><user-count>1</user-count><active>true</active></conference-state>\
        <users state=\"full\">\
        <user entity=\"sip:capulet@rooms.example.com;gr=Romeo\" state=\"full\" xcon:nickname=\"Romeo\">\
        <display-text>Romeo</display-text>\
        <associated-aors><entry><uri>xmpp:romeo@example.org/orchard</uri></entry></associated-aors>\
        <roles><entry>moderator</entry><entry>participant</entry></roles>\
        <endpoint entity=\"sip:capulet@rooms.example.com;gr=Romeo\" state=\"full\">\
        <status>connected</status><media id=\"1\"><type>message</type></media></endpoint>\
        </user></users></conference-info>";
    assert_eq!(String::from_utf8(info.to_xml()).unwrap(), expected);
    assert_eq!(read(expected), info);
}

#[test]
fn what_is_read_is_the_same_when_written_and_read() {
    for document in ALL {
        let info = read(document);
        assert_eq!(ConferenceInfo::parse(&info.to_xml()), Ok(info));
    }
}

#[test]
fn every_word_of_the_schema_is_written_as_it_is_read() {
    use DisconnectionMethod as Method;
    use EndpointStatus as Status;
    let statuses = [
        Status::Pending,
        Status::DialingOut,
        Status::DialingIn,
        Status::Alerting,
        Status::OnHold,
        Status::Connected,
        Status::MutedViaFocus,
        Status::Disconnecting,
        Status::Disconnected,
    ];
    let methods = [
        Method::Departed,
        Method::Booted,
        Method::Failed,
        Method::Busy,
    ];
    let flows = [
        MediaStatus::RecvOnly,
        MediaStatus::SendOnly,
        MediaStatus::SendRecv,
        MediaStatus::Inactive,
    ];
    let endpoints = statuses
        .iter()
        .enumerate()
        .map(|(number, status)| Endpoint {
            entity: number.to_string(),
            state: [ElementState::Full, ElementState::Partial][number % 2],
            display_text: Some(String::new()),
            status: Some(*status),
            disconnection_method: Some(methods[number % 4]),
            media: vec![Media {
                id: "1".into(),
                kind: None,
                status: Some(flows[number % 4]),
            }],
        });
    let user = User {
        state: ElementState::Partial,
        endpoints: endpoints.collect(),
        ..User::new("sip:a")
    };
    let info = ConferenceInfo {
        state: ElementState::Partial,
        users_state: ElementState::Partial,
        users: vec![user],
        ..ConferenceInfo::default()
    };
    assert_eq!(ConferenceInfo::parse(&info.to_xml()), Ok(info));
}

#[test]
fn a_full_document_has_what_it_must_have() {
    let info = ConferenceInfo {
        entity: "sip:v".into(),
        ..ConferenceInfo::default()
    };
    let text = String::from_utf8(info.to_xml()).unwrap();
    assert!(
        text.contains("<conference-description></conference-description><users state=\"full\"/>"),
        "{text}"
    );
}

#[test]
fn of_what_is_deleted_nothing_else_is_told() {
    let gone = User {
        state: ElementState::Deleted,
        ..occupant("Ben", &["participant"])
    };
    let mut info = ConferenceInfo {
        entity: "sip:v".into(),
        state: ElementState::Partial,
        version: Some(7),
        users_state: ElementState::Partial,
        users: vec![gone],
        ..ConferenceInfo::default()
    };
    let told = read(std::str::from_utf8(&info.to_xml()).unwrap());
    assert_eq!(
        told.users,
        [User::deleted("sip:capulet@rooms.example.com;gr=Ben")]
    );
    info.state = ElementState::Deleted;
    let told = read(std::str::from_utf8(&info.to_xml()).unwrap());
    assert_eq!((told.state, told.version), (ElementState::Deleted, Some(7)));
    assert_eq!(told.users, []);
}

#[test]
fn text_that_xml_would_change_stays_as_it_is() {
    let nickname = "a\tb\r\nc \"d\" 'e' <f> &amp; ]]> Ж 🌹";
    let user = User {
        display_text: Some(nickname.into()),
        nickname: Some(nickname.into()),
        ..User::new("sip:a")
    };
    let mut info = ConferenceInfo {
        description: Some(Description::default()),
        users: vec![user],
        ..ConferenceInfo::default()
    };
    assert_eq!(ConferenceInfo::parse(&info.to_xml()).as_ref(), Ok(&info));
    info.users[0].nickname = Some("a\u{0}\u{b}\u{ffff}b".into());
    let told = ConferenceInfo::parse(&info.to_xml()).unwrap();
    assert_eq!(
        told.users[0].nickname.as_deref(),
        Some("a\u{fffd}\u{fffd}\u{fffd}b")
    );
}
