//! Offers and answers, ours and those of peers.

use stox_msrp::{
    MsrpUri, Role,
    sdp::{
        Chatroom, Direction, Fingerprint, LocalMedia, Origin, SdpError, SessionDescription, Setup,
        answer, answer_role, offer, offerer_role,
    },
};

// T11, MSRP-22: what is preferred stands first and is read so, message/cpim before all others.
#[test]
fn our_offer() {
    let text = offer(&local(), ORIGIN, &media());
    assert_eq!(
        String::from_utf8(text.clone()).unwrap(),
        "v=0\r\n\
         o=- 4711 2 IN IP4 gw.example.com\r\n\
         s=-\r\n\
         c=IN IP4 gw.example.com\r\n\
         t=0 0\r\n\
         m=message 2855 TCP/MSRP *\r\n\
         a=path:msrp://gw.example.com:2855/abc;tcp\r\n\
         a=accept-types:message/cpim text/plain\r\n\
         a=accept-wrapped-types:text/html\r\n\
         a=setup:actpass\r\n\
         a=max-size:20000\r\n"
    );
    let (index, read) = SessionDescription::parse(&text).unwrap().msrp().unwrap();
    assert_eq!(index, 0);
    assert_eq!(read.path, [local()]);
    assert_eq!(read.setup, Some(Setup::ActPass));
    assert_eq!(read.accept_types, media().accept_types);
    assert_eq!(read.accept_wrapped_types, media().accept_wrapped_types);
    assert_eq!(read.max_size, Some(20_000));
    assert_eq!(read.chatroom, None);
    assert_eq!(read.direction, Direction::SendRecv);
    assert_eq!(read.host.as_deref(), Some("gw.example.com"));
}

#[test]
fn an_address_of_six_and_a_room() {
    let local: MsrpUri = "msrps://[2001:db8::1]:2855/abc;tcp".parse().unwrap();
    let media = LocalMedia {
        setup: Setup::Active,
        accept_types: vec!["message/cpim".to_owned(), "x\r\na=y".to_owned()],
        chatroom: Some(Chatroom::FULL),
        ..LocalMedia::default()
    };
    let text = String::from_utf8(offer(&local, ORIGIN, &media)).unwrap();
    assert!(text.contains("o=- 4711 2 IN IP6 2001:db8::1\r\n"), "{text}");
    assert!(
        text.contains(
            "m=message 9 TCP/TLS/MSRP *\r\na=path:msrps://[2001:db8::1]:2855/abc;tcp\r\n"
        ),
        "{text}"
    );
    assert!(
        text.ends_with(
            "a=accept-types:message/cpim xa=y\r\na=setup:active\r\n\
             a=chatroom:nickname private-messages\r\n"
        ),
        "{text}"
    );
}

// NEG-06, MSRP-06
#[test]
fn an_answer_takes_one_line_and_declines_the_others() {
    let offered = "v=0\r\no=- 1 1 IN IP4 a.example\r\ns=-\r\nc=IN IP4 a.example\r\nt=0 0\r\n\
        m=audio 49170/2 RTP/AVP 0 96\r\na=sendonly\r\n\
        m=message 7654 TCP/MSRP *\r\na=file-selector:name:\"x\"\r\na=path:msrp://a.example:7654/f;tcp\r\n\
        m=message 7654 TCP/MSRP *\r\na=path:msrp://a.example:7654/x;tcp\r\na=accept-types:*\r\na=setup:passive\r\n\
        m=message 5222 xmpp/tcp chat\r\na=jid:a@b\r\n";
    let offered = SessionDescription::parse(offered.as_bytes()).unwrap();
    let (index, read) = offered.msrp().unwrap();
    assert_eq!(index, 2);
    assert_eq!(read.direction, Direction::SendRecv);
    let text = answer(&offered, index, &local(), ORIGIN, &media());
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=audio 0 RTP/AVP 0 96",
            "m=message 0 TCP/MSRP *",
            "m=message 9 TCP/MSRP *",
            "m=message 0 xmpp/tcp chat"
        ]
    );
    assert!(text.contains("a=setup:active\r\n"));
    let answered = SessionDescription::parse(text.as_bytes()).unwrap();
    assert_eq!(answered.msrp().unwrap().0, 2);
    assert_eq!(
        answered.attribute(2, "path"),
        Some("msrp://gw.example.com:2855/abc;tcp")
    );
    assert_eq!(offered.attribute(3, "jid"), Some("a@b"));
    assert_eq!(offered.media_lines().len(), 4);
    assert_eq!(offered.origin(), ("1", 1));
}

// MSRP-06
#[test]
fn roles_follow_setup() {
    for (setup, answerer, offerer) in [
        (None, Role::Passive, Role::Active),
        (Some(Setup::ActPass), Role::Passive, Role::Active),
        (Some(Setup::Active), Role::Passive, Role::Passive),
        (Some(Setup::Passive), Role::Active, Role::Active),
    ] {
        assert_eq!(answer_role(setup), answerer, "{setup:?}");
        assert_eq!(offerer_role(setup), offerer, "{setup:?}");
    }
    let text = "m=message 1 TCP/MSRP *\na=path:msrp://a:1/x;tcp\na=setup:holdconn\n";
    let (_, read) = SessionDescription::parse(text.as_bytes())
        .unwrap()
        .msrp()
        .unwrap();
    assert_eq!(read.setup, None);
}

// NEG-09, and the answer of a conference focus with its c= in the media section.
#[test]
fn what_peers_write_is_taken() {
    let room = "v=0\r\no=- 3812345678 3812345678 IN IP4 127.0.0.1\r\ns=SylkServer-6.6.1\r\nt=0 0\r\n\
        m=message 41234 TCP/MSRP *\r\nc=IN IP4 192.0.2.7\r\n\
        a=path:msrp://192.0.2.7:41234/0123456789abcdef0123;tcp\r\n\
        a=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\na=setup:passive\r\n\
        a=chatroom:nickname private-messages com.ag-projects.screen-sharing\r\n";
    let (_, read) = SessionDescription::parse(room.as_bytes())
        .unwrap()
        .msrp()
        .unwrap();
    assert_eq!(read.host.as_deref(), Some("192.0.2.7"));
    assert_eq!(read.chatroom, Some(Chatroom::FULL));
    assert_eq!(offerer_role(read.setup), Role::Active);

    let odd = "o=x 1 99999999999999999999999999 IN IP4 a\ns= -\ne=\nk=prompt\nb=nonsense\nr=1\n\
        c=IN IP4 a.example\nc=IN IP4 b.example\nt=0 0\nm=message 7394 tcp/msrp *\nt=0 0\nc=broken\n\
        a= path: msrp://a.example:7394/x;tcp \na=accept-types: text/plain \na=chatroom\na=inactive";
    let (_, read) = SessionDescription::parse(odd.as_bytes())
        .unwrap()
        .msrp()
        .unwrap();
    assert_eq!(read.accept_types, ["text/plain"]);
    assert_eq!(read.chatroom, Some(Chatroom::default()));
    assert_eq!(read.direction, Direction::Inactive);
    assert_eq!(read.host.as_deref(), Some("a.example"));
}

#[test]
fn what_cannot_be_used_is_no_session() {
    for text in [
        "v=0\r\n",
        "m=message 0 TCP/MSRP *\r\na=path:msrp://a:1/x;tcp\r\n",
        "m=message 1 TCP/MSRP *\r\n",
        "m=message 1 TCP/MSRP *\r\na=path:nonsense\r\n",
        "m=message 1 TCP/WSS/MSRP *\r\na=path:msrps://a:1/x;ws\r\n",
        "m=audio 1 TCP/MSRP *\r\na=path:msrp://a:1/x;tcp\r\n",
    ] {
        assert_eq!(
            SessionDescription::parse(text.as_bytes()).unwrap().msrp(),
            None,
            "{text}"
        );
    }
    assert!(matches!(
        SessionDescription::parse(b"m=message 99999 TCP/MSRP *\r\n"),
        Err(SdpError::Malformed(_))
    ));
    // Our answer would have no format either.
    assert!(matches!(
        SessionDescription::parse(b"m=message 5 TCP/MSRP \0\r\n"),
        Err(SdpError::Malformed(_))
    ));
    assert!(matches!(
        SessionDescription::parse("m=a 1 b c\r\n".repeat(65).as_bytes()),
        Err(SdpError::TooManyMedia)
    ));
    assert!(matches!(
        SessionDescription::parse(&[b'x'; 70_000]),
        Err(SdpError::TooBig)
    ));
}

// MSRP-27 CHAT-36: a file transfer is no session for chat, and is seen for what it is.
#[test]
fn file_transfers_are_visible_and_not_taken() {
    let offered = "v=0\r\nm=message 7654 TCP/MSRP *\r\na=file-selector:name:\"a b.jpg\" size:4092\r\n\
        a=path:msrp://a.example:7654/f;tcp\r\nm=message 7654 TCP/MSRP *\r\n\
        a=path:msrp://a.example:7654/x;tcp\r\n";
    let offered = SessionDescription::parse(offered.as_bytes()).unwrap();
    let file = offered.msrp_at(0).unwrap();
    assert_eq!(
        file.file_selector.as_deref(),
        Some("name:\"a b.jpg\" size:4092")
    );
    let (index, chat) = offered.msrp().unwrap();
    assert_eq!((index, chat.file_selector), (1, None));
    let text = answer(&offered, index, &local(), ORIGIN, &media());
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("m=message 0 TCP/MSRP *\r\nm=message 2855 TCP/MSRP *\r\n"));

    let alone = "m=message 1 TCP/MSRP *\r\na=file-selector\r\na=path:msrp://a:1/x;tcp\r\n";
    let alone = SessionDescription::parse(alone.as_bytes()).unwrap();
    assert_eq!(alone.msrp(), None);
    assert_eq!(alone.msrp_at(0).unwrap().file_selector.as_deref(), Some(""));
}

// SEC-07: the strongest fingerprint counts, the media's before the session's; ours are of SHA-256.
#[test]
fn fingerprints_are_chosen_by_strength() {
    let (strong, weak) = (
        Fingerprint::from_hash([1; 32]),
        Fingerprint::from_sha1([2; 20]),
    );
    let read = |session: &[Fingerprint], media: &[Fingerprint]| {
        let lines = |fingerprints: &[Fingerprint]| -> String {
            let lines = fingerprints.iter();
            lines
                .map(|one| format!("a=fingerprint:{one}\r\n"))
                .collect()
        };
        let text = format!(
            "v=0\r\n{}m=message 1 TCP/TLS/MSRP *\r\na=path:msrps://a:1/x;tcp\r\na=fingerprint:md5 AB\r\n{}",
            lines(session),
            lines(media)
        );
        let read = SessionDescription::parse(text.as_bytes()).unwrap();
        read.msrp_at(0).unwrap().fingerprint
    };
    assert_eq!(read(&[], &[weak, strong]), Some(strong));
    assert_eq!(read(&[], &[strong, weak]), Some(strong));
    assert_eq!(read(&[strong], &[weak]), Some(weak));
    assert_eq!(read(&[weak], &[]), Some(weak));
    assert_eq!(read(&[], &[]), None);

    let local: MsrpUri = "msrps://a.example:2855/abc;tcp".parse().unwrap();
    for (fingerprint, is_written) in [(strong, true), (weak, false)] {
        let media = LocalMedia {
            fingerprint: Some(fingerprint),
            ..media()
        };
        let text = String::from_utf8(offer(&local, ORIGIN, &media)).unwrap();
        assert_eq!(text.contains("a=fingerprint:"), is_written, "{fingerprint}");
    }
}

// MSRP-06: who cannot be connected to connects where the offer leaves the choice.
#[test]
fn an_answerer_that_cannot_be_reached_connects() {
    let media = LocalMedia {
        setup: Setup::Active,
        ..media()
    };
    for (offered, answered) in [
        ("a=setup:actpass\r\n", Setup::Active),
        ("a=setup:passive\r\n", Setup::Active),
        ("a=setup:active\r\n", Setup::Passive),
        ("", Setup::Passive),
    ] {
        let text = format!("m=message 1 TCP/MSRP *\r\na=path:msrp://a:1/x;tcp\r\n{offered}");
        let offer = SessionDescription::parse(text.as_bytes()).unwrap();
        let text = answer(&offer, 0, &local(), ORIGIN, &media);
        let (_, read) = SessionDescription::parse(&text).unwrap().msrp().unwrap();
        assert_eq!(read.setup, Some(answered), "{offered}");
    }
}

const ORIGIN: Origin = Origin {
    id: 4711,
    version: 2,
};

fn local() -> MsrpUri {
    "msrp://gw.example.com:2855/abc;tcp".parse().unwrap()
}

fn media() -> LocalMedia {
    LocalMedia {
        setup: Setup::ActPass,
        accept_types: vec!["message/cpim".to_owned(), "text/plain".to_owned()],
        accept_wrapped_types: vec!["text/html".to_owned()],
        max_size: Some(20_000),
        ..LocalMedia::default()
    }
}
