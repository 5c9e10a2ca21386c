use stox_sip::conference::{
    ConferenceError, ConferenceInfo, ConferenceState, Description, DisconnectionMethod,
    ElementState, Endpoint, EndpointStatus, Media, MediaStatus, User,
};

use super::{
    AD_HOC, RFC4575_BASIC, RFC4575_RICH, RFC7701_NICKNAME, RFC7702_EXAMPLE_9, VERONA, document,
    read,
};

#[test]
fn the_basic_example_of_rfc_4575() {
    let user = |entity: &str, display_text: &str, endpoint| User {
        display_text: Some(display_text.into()),
        endpoints: vec![endpoint],
        ..User::new(entity)
    };
    let audio = || Media {
        id: "1".into(),
        kind: Some("audio".into()),
        status: Some(MediaStatus::SendRecv),
    };
    let laptop = Endpoint {
        entity: "sip:bob@pc33.example.com".into(),
        display_text: Some("Bob's Laptop".into()),
        status: Some(EndpointStatus::Disconnected),
        disconnection_method: Some(DisconnectionMethod::Departed),
        media: vec![audio()],
        ..Endpoint::default()
    };
    let alices = Endpoint {
        entity: "sip:4kfk4j392jsu@example.com;grid=433kj4j3u".into(),
        status: Some(EndpointStatus::Connected),
        media: vec![audio()],
        ..Endpoint::default()
    };
    let expected = ConferenceInfo {
        entity: "sips:conf233@example.com".into(),
        state: ElementState::Full,
        version: Some(1),
        description: Some(Description {
            subject: Some("Agenda: This month's goals".into()),
            ..Description::default()
        }),
        conference_state: Some(ConferenceState {
            user_count: Some(33),
            ..ConferenceState::default()
        }),
        users_state: ElementState::Full,
        users: vec![
            user("sip:bob@example.com", "Bob Hoskins", laptop),
            user("sip:alice@example.com", "Alice", alices),
        ],
    };
    assert_eq!(read(RFC4575_BASIC), expected);
}

#[test]
fn the_rich_example_of_rfc_4575() {
    let info = read(RFC4575_RICH);
    assert_eq!((info.state, info.version), (ElementState::Partial, Some(5)));
    let description = info.description.unwrap();
    assert_eq!(
        description.display_text.as_deref(),
        Some("Weekly Sales Meeting")
    );
    assert_eq!(
        description.free_text.as_deref(),
        Some("We will start strict on time")
    );
    let state = ConferenceState {
        user_count: Some(32),
        active: Some(true),
        locked: Some(false),
    };
    assert_eq!(info.conference_state, Some(state));
    let [bob] = &info.users[..] else {
        panic!(
            "the sidebars' users are not the conference's: {:?}",
            info.users
        )
    };
    assert_eq!(bob.associated_aors, ["mailto:bob@example.com"]);
    assert_eq!(bob.roles, ["participant"]);
    let [laptop] = &bob.endpoints[..] else {
        panic!("{:?}", bob.endpoints)
    };
    assert_eq!(laptop.status, Some(EndpointStatus::Disconnecting));
    assert_eq!(
        laptop.disconnection_method,
        Some(DisconnectionMethod::Booted)
    );
}

// RX-13
#[test]
fn the_nicknames_of_rfc_7701() {
    let names: Vec<_> = read(RFC7701_NICKNAME)
        .users
        .into_iter()
        .map(|user| (user.nickname.unwrap(), user.display_text.unwrap()))
        .collect();
    let named = |nickname: &str, display_text: &str| (nickname.into(), display_text.into());
    assert_eq!(
        names,
        [
            named("Dopey Donkey", "Bob Hoskins"),
            named("Alice the great", "Alice Kay")
        ]
    );
}

#[test]
fn a_document_without_namespace_is_read() {
    let info = read(RFC7702_EXAMPLE_9);
    assert_eq!(info.entity, "sip:3402934234@chat.example.org");
    assert_eq!(info.version, Some(0));
    assert_eq!(
        info.description.unwrap().subject.as_deref(),
        Some("Today in Verona")
    );
    let entities: Vec<_> = info.users.iter().map(|user| &user.entity[..]).collect();
    assert_eq!(
        entities,
        [
            "sip:montague@chat.example.org;gr=Romeo",
            "sip:montague@chat.example.org;gr=Ben",
            "sip:montague@chat.example.org;gr=JuliC"
        ]
    );
    assert_eq!(
        info.users[0].associated_aors,
        ["xmpp:romeo@example.org/dr4hcr0st3lup4c"]
    );
}

#[test]
fn users_without_endpoints_are_read() {
    let info = read(VERONA);
    assert_eq!(info.users.len(), 2);
    assert!(info.users.iter().all(|user| user.endpoints.is_empty()));
}

#[test]
fn what_an_open_conference_server_sends_is_read() {
    let info = read(AD_HOC);
    assert_eq!(info.description.unwrap().subject.as_deref(), Some(""));
    let [juliet, ben] = &info.users[..] else {
        panic!("{:?}", info.users)
    };
    // Its clients put the quotes into the nickname themselves.
    assert_eq!(juliet.display_text.as_deref(), Some("\"JuliC\""));
    assert_eq!(juliet.endpoints.len(), 2);
    assert_eq!((ben.display_text.as_ref(), ben.roles.len()), (None, 0));
    assert_eq!(ben.endpoints[0].media[0].kind.as_deref(), Some("message"));
}

#[test]
fn an_element_is_full_if_it_does_not_say() {
    let info = document(
        "",
        "<users><user entity='a'><endpoint entity='b'/></user></users>",
    );
    let user = &info.users[0];
    for state in [
        info.state,
        info.users_state,
        user.state,
        user.endpoints[0].state,
    ] {
        assert_eq!(state, ElementState::Full);
    }
    let info = document(
        "state='partial'",
        "<users state='partial'><user entity='a' state='deleted'/></users>",
    );
    assert_eq!(info.users_state, ElementState::Partial);
    assert_eq!(info.users, [User::deleted("a")]);
}

#[test]
fn a_partial_document_that_says_nothing_of_users_leaves_them_as_they_are() {
    assert_eq!(
        document("state='partial'", "").users_state,
        ElementState::Partial
    );
    assert_eq!(document("state='full'", "").users_state, ElementState::Full);
}

#[test]
fn what_is_not_understood_counts_as_absent() {
    let info = document(
        "version='soon' state='quite'",
        "<conference-state><user-count>many</user-count><active>1</active><locked>maybe</locked></conference-state>\
         <x:users xmlns:x='urn:x'><user entity='z'/></x:users>\
         <users><x:user entity='y' xmlns:x='urn:x'/><crowd/>\
         <user entity=' a ' xcon:nickname=' '><display-text>\n</display-text>\
         <endpoint><status>Connected</status><disconnection-method>bored</disconnection-method>\
         <media><status>up</status></media></endpoint></user></users>",
    );
    assert_eq!((info.version, info.state), (None, ElementState::Full));
    let state = ConferenceState {
        active: Some(true),
        ..ConferenceState::default()
    };
    assert_eq!(info.conference_state, Some(state));
    let endpoint = Endpoint {
        status: Some(EndpointStatus::Connected),
        media: vec![Media::default()],
        ..Endpoint::default()
    };
    let user = User {
        endpoints: vec![endpoint],
        ..User::new("a")
    };
    assert_eq!(info.users, [user]);
}

#[test]
fn a_user_without_an_entity_is_known_by_the_first_endpoint() {
    let info = document(
        "",
        "<users><user/><user><endpoint entity='sip:a'/><endpoint entity='sip:b'/></user></users>",
    );
    assert_eq!(info.users.len(), 1);
    assert_eq!(info.users[0].entity, "sip:a");
}

#[test]
fn several_uris_of_one_entry_are_all_read() {
    let info = document(
        "",
        "<users><user entity='a'><associated-aors><entry><uri>sip:a</uri><uri>xmpp:a</uri></entry>\
         <entry><uri/></entry></associated-aors></user></users>",
    );
    assert_eq!(info.users[0].associated_aors, ["sip:a", "xmpp:a"]);
}

#[test]
fn text_is_read_around_comments_and_in_sections() {
    let info = document(
        "",
        "<conference-description><subject> Two <!-- or three -->houses<![CDATA[ & <one> feud]]>\n</subject></conference-description>",
    );
    assert_eq!(
        info.description.unwrap().subject.as_deref(),
        Some("Two houses & <one> feud")
    );
}

#[test]
fn octets_around_and_within_that_should_not_be_there_do_no_harm() {
    let mut body = b"\r\n \xef\xbb\xbf".to_vec();
    body.extend_from_slice(b"<?xml version='1.0'?><conference-info entity='sip:v'><users>");
    body.extend_from_slice(
        b"<user entity='a'><display-text>Ren\xe9</display-text></user></users></conference-info>\r\n\0",
    );
    let refused = ConferenceInfo::parse(&body);
    assert!(matches!(refused, Err(ConferenceError::NotWellFormed(_))));
    body.pop();
    let info = ConferenceInfo::parse(&body).unwrap();
    assert_eq!(info.users[0].display_text.as_deref(), Some("Ren\u{fffd}"));
}

#[test]
fn something_else_is_refused() {
    let about = |document: &str| ConferenceInfo::parse(document.as_bytes());
    assert_eq!(
        about("<presence/>"),
        Err(ConferenceError::NotConferenceInfo("presence".into()))
    );
    let other = "<conference-info xmlns='urn:x'/>";
    assert_eq!(
        about(other),
        Err(ConferenceError::NotConferenceInfo("conference-info".into()))
    );
    for broken in ["", "Verona", "<conference-info>", "<conference-info/><a/>"] {
        assert!(
            matches!(about(broken), Err(ConferenceError::NotWellFormed(_))),
            "{broken}"
        );
    }
}

// SEC-10
#[test]
fn declarations_of_document_types_and_entities_are_refused() {
    for document in [
        "<!DOCTYPE conference-info [<!ENTITY a 'b'>]><conference-info entity='&a;'/>",
        "<!DOCTYPE conference-info SYSTEM 'file:///etc/passwd'><conference-info entity='a'/>",
        "<conference-info entity='&a;'/>",
    ] {
        let refused = ConferenceInfo::parse(document.as_bytes());
        assert!(
            matches!(refused, Err(ConferenceError::NotWellFormed(_))),
            "{refused:?}"
        );
    }
}

// SEC-10
#[test]
fn what_is_too_large_in_one_dimension_is_refused() {
    let refusal = |inside: &str| {
        let document = format!("<conference-info entity='sip:v'>{inside}</conference-info>");
        ConferenceInfo::parse(document.as_bytes()).unwrap_err()
    };
    let users = |users: &str| format!("<users>{users}</users>");
    let deep = "<a>".repeat(32) + &"</a>".repeat(32);
    assert_eq!(refusal(&deep), ConferenceError::TooDeep);
    let wide = format!("<a{}/>", " b=''".repeat(33));
    assert_eq!(refusal(&wide), ConferenceError::TooManyAttributes);
    let outer = format!("<a{}>", " xmlns:b='c'".repeat(32));
    let inner = "<a xmlns:b='c'/>".repeat(2000);
    assert_eq!(
        refusal(&format!("{outer}{inner}</a>")),
        ConferenceError::TooManyNamespaces
    );
    let many = users(&"<user entity='a'/>".repeat(2001));
    assert_eq!(refusal(&many), ConferenceError::TooManyUsers);
    let endpoints = "<endpoint/>".repeat(65);
    let many = users(&format!("<user entity='a'>{endpoints}</user>"));
    assert_eq!(refusal(&many), ConferenceError::TooManyEndpoints);
    let media = "<media/>".repeat(65);
    let many = users(&format!(
        "<user entity='a'><endpoint>{media}</endpoint></user>"
    ));
    assert_eq!(refusal(&many), ConferenceError::TooManyMedia);
    let nodes = "<a/>".repeat(128 * 1024);
    assert!(matches!(refusal(&nodes), ConferenceError::NotWellFormed(_)));
    let bytes = " ".repeat(1024 * 1024);
    assert!(matches!(refusal(&bytes), ConferenceError::TooLarge(_)));
}
