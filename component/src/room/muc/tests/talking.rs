//! Messages in the room.

use super::*;

const ROMEO_IN_VERONA: &str = "sip:verona@chat.example.org;gr=Romeo";

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    stage
}

fn to_all(stage: &mut Stage, from: &str, body: &str) -> Vec<String> {
    lines(&stage.hears(1, from, &format!("<{VERONA}>"), body))
}

// RX-20 RX-21, T13, RFC 7702 §5.5.1: F16 to F19. The reflection has the id of what she wrote.
#[test]
fn to_all_and_back() {
    let mut stage = stage();
    let stanza = format!(
        "<message from='juliet@example.com/balcony' to='{ROOM}' type='groupchat' id='m1'><body>Who knows?</body></message>"
    );
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    assert_eq!(
        lines(&actions),
        [format!("SEND JuliC <{JULIET}> to {VERONA}: Who knows?")]
    );
    let token = token_of(&actions[0]).unwrap();
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        [
            "message JuliC→balcony groupchat body=Who knows? id=m1",
            "m1 delivered"
        ]
    );
}

// RX-21, T10: what the switch refuses, or does not answer, goes back and is not shown.
#[test]
fn what_the_switch_refuses_goes_back() {
    for (status, condition) in [
        (400, "bad-request"),
        (403, "forbidden"),
        (404, "item-not-found"),
        (413, "policy-violation"),
        (415, "not-acceptable"),
        (428, "feature-not-implemented"),
        (408, "remote-server-timeout"),
    ] {
        let mut stage = stage();
        let token = said(&mut stage, "hello");
        let event = match status {
            408 => MemberEvent::Unanswered(token),
            status => MemberEvent::Refused(token, status),
        };
        assert_eq!(stage.member(1, event), [format!("m1 refused {condition}")]);
    }
}

fn said(stage: &mut Stage, body: &str) -> Token {
    let stanza = format!(
        "<message from='juliet@example.com/balcony' to='{ROOM}' type='groupchat' id='m1'><body>{body}</body></message>"
    );
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    actions.iter().find_map(token_of).unwrap()
}

// RX-22: what the switch sends back is not shown twice; what she says elsewhere in the same words later is.
#[test]
fn echoes_are_known() {
    let mut stage = stage();
    let token = said(&mut stage, "hello");
    stage.member(1, MemberEvent::Accepted(token));
    let from = format!("\"JuliC\" <{JULIET};transport=tcp>");
    assert_eq!(to_all(&mut stage, &from, "hello"), ["SEND delivered"]);
    assert_eq!(
        to_all(&mut stage, &from, "hello"),
        ["message JuliC→balcony groupchat body=hello"]
    );
    said(&mut stage, "hello");
    stage.pass(Duration::from_secs(61));
    assert_eq!(
        to_all(&mut stage, &from, "hello"),
        ["message JuliC→balcony groupchat body=hello"]
    );
}

// RX-23, RFC 7702 §5.5.2
#[test]
fn to_one_alone() {
    let mut stage = stage();
    let ben = format!("{ROOM}/Ben");
    assert_eq!(
        stage.says("balcony", &ben, "chat", "<body>psst</body>"),
        [format!("SEND JuliC <{JULIET}> to {BEN}: psst")]
    );
    for (to, kind, expected) in [
        (
            format!("{ROOM}/Nobody"),
            "chat",
            "error=cancel item-not-found",
        ),
        (ben.clone(), "groupchat", "error=modify bad-request"),
        (ROOM.to_owned(), "chat", "error=modify bad-request"),
    ] {
        let lines = stage.says("balcony", &to, kind, "<body>psst</body>");
        assert!(lines[0].contains(expected), "{lines:?}");
        assert_eq!(lines.len(), 1);
    }
    // A private message that is taken is not reflected.
    let stanza = format!(
        "<message from='juliet@example.com/balcony' to='{ben}' type='chat' id='m1'><body>psst</body></message>"
    );
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    let token = actions.iter().find_map(token_of).unwrap();
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        ["m1 delivered"]
    );
}

// RX-23: a room that knows none.
#[test]
fn a_room_without_private_messages() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    let chatroom = Some(Chatroom {
        nickname: true,
        private_messages: false,
    });
    stage.answered_as(
        1,
        focus(),
        RoomMedia {
            chatroom,
            ..media()
        },
    );
    let (_, token) = stage.bound(1);
    stage.member(1, MemberEvent::Accepted(token));
    stage.roster(1, vec![person(BEN, "Ben"), person(JULIET, "JuliC")]);
    let lines = stage.says(
        "balcony",
        &format!("{ROOM}/Ben"),
        "chat",
        "<body>psst</body>",
    );
    assert!(lines[0].contains("feature-not-implemented"), "{lines:?}");
}

// RX-24: by whom, for whom, when.
#[test]
fn what_the_switch_sends() {
    let mut stage = stage();
    stage.roster(
        1,
        vec![
            person(BEN, "Ben"),
            person(ROMEO_IN_VERONA, "Romeo"),
            person(JULIET, "JuliC"),
        ],
    );
    for (from, to, expected) in [
        (
            format!("<{BEN};transport=udp>"),
            format!("<{VERONA}>"),
            "message Ben→balcony groupchat body=x",
        ),
        (
            format!("<{ROMEO_IN_VERONA}>"),
            format!("Conference Room <{VERONA}>"),
            "message Romeo→balcony groupchat body=x",
        ),
        (
            format!("<{VERONA}>;gr=Romeo"),
            format!("<{JULIET}>"),
            "message Romeo→balcony chat body=x",
        ),
        (
            format!("Ben <{BEN}>"),
            format!("<{VERONA};gr=JuliC>"),
            "message Ben→balcony chat body=x",
        ),
        (
            format!("<{VERONA}>"),
            format!("<{VERONA}>"),
            "message -→balcony groupchat body=x",
        ),
    ] {
        let actions = stage.hears(1, &from, &to, "x");
        assert_eq!(lines(&actions), [expected], "{from} {to}");
        // Answered as soon as the XMPP server has it.
        let token = token_of(&actions[0]).unwrap();
        assert_eq!(stage.tell(Event::Handed(token)), ["SEND delivered"]);
    }
    let late = stage.hears_late(
        1,
        &format!("<{BEN}>"),
        &format!("<{VERONA}>"),
        "x",
        Duration::from_secs(31),
    );
    assert_eq!(
        lines(&late),
        ["message Ben→balcony groupchat delay= body=x"]
    );
    let plain = stage.receives(1, "text/plain", Bytes::from_static(b"the bell"));
    assert_eq!(lines(&plain), ["message -→balcony groupchat body=the bell"]);
}

// RX-24, T10: what cannot be shown is refused, what says nothing is taken; what the XMPP server did not get goes back.
#[test]
fn what_cannot_be_shown() {
    let mut stage = stage();
    for (content_type, body, expected) in [
        ("image/png", "x", "SEND refused feature-not-implemented"),
        ("message/cpim", "nonsense", "SEND refused bad-request"),
        ("text/plain", "?OTRv3? I would like", "SEND delivered"),
        ("text/plain", "", "SEND delivered"),
        (
            "application/im-iscomposing+xml",
            "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state></isComposing>",
            "SEND delivered",
        ),
    ] {
        let actions = stage.receives(1, content_type, Bytes::from(body));
        assert_eq!(lines(&actions), [expected], "{body}");
    }
    let actions = stage.hears(1, &format!("<{BEN}>"), &format!("<{VERONA}>"), "x");
    let token = token_of(&actions[0]).unwrap();
    let lost = stage.tell(Event::Lost(token));
    assert!(
        lost[0].starts_with("SEND refused remote-server-timeout"),
        "{lost:?}"
    );
}

// RX-25: who is not in the roster is waited for, and what comes after waits, too.
#[test]
fn an_unknown_sender_is_waited_for() {
    let (paris, room) = ("\"Paris\" <sip:paris@example.org>", format!("<{VERONA}>"));
    let mut stage = stage();
    assert!(stage.hears(1, paris, &room, "one").is_empty());
    assert!(stage.hears(1, &format!("<{BEN}>"), &room, "two").is_empty());
    let people = vec![
        person(BEN, "Ben"),
        person("sip:paris@example.org", "County Paris"),
        person(JULIET, "JuliC"),
    ];
    assert_eq!(
        stage.roster(1, people),
        [
            "presence County Paris→balcony participant jid=paris%example.org@sip.example.com",
            "message County Paris→balcony groupchat body=one",
            "message Ben→balcony groupchat body=two"
        ]
    );
    assert!(
        stage
            .hears(1, "\"Tybalt\" <sip:tybalt@example.org>", &room, "three")
            .is_empty()
    );
    assert!(stage.pass(Duration::from_millis(1999)).is_empty());
    assert_eq!(
        stage.pass(Duration::from_millis(1)),
        ["message Tybalt→balcony groupchat body=three"]
    );
    assert!(
        stage
            .hears(1, "<sip:tybalt@example.org>", &room, "four")
            .is_empty()
    );
    assert_eq!(
        stage.pass(Duration::from_secs(2)),
        ["message tybalt→balcony groupchat body=four"]
    );
}

// RX-03, XEP-0045 §7.2.13: what came before she was in is history if it is old, and comes before the subject.
#[test]
fn what_comes_early_waits() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    stage.answered(1);
    let (_, token) = stage.bound(1);
    let room = format!("<{VERONA}>");
    assert!(
        stage
            .hears(1, &format!("<{VERONA}>"), &room, "Welcome!")
            .is_empty()
    );
    let hour = Duration::from_secs(3600);
    assert!(
        stage
            .hears_late(1, &format!("<{BEN}>"), &room, "an hour ago", hour)
            .is_empty()
    );
    stage.member(1, MemberEvent::Accepted(token));
    assert_eq!(
        stage.roster(1, vec![person(BEN, "Ben"), person(JULIET, "JuliC")]),
        [
            "presence Ben→balcony participant jid=benvolio%example.org@sip.example.com",
            "presence JuliC→balcony participant jid=juliet@example.com 110 100 id=j1",
            "message Ben→balcony groupchat delay= body=an hour ago",
            "message -→balcony groupchat subject=",
            "message -→balcony groupchat body=Welcome!"
        ]
    );
}

// XEP-0045 §7.2.14
#[test]
fn as_much_of_the_past_as_is_wanted() {
    for (history, expected) in [
        ("", vec!["3", "2", "1"]),
        ("<history maxstanzas='1'/>", vec!["1"]),
        ("<history maxstanzas='0'/>", vec![]),
        ("<history maxchars='0'/>", vec![]),
        ("<history maxchars='2'/>", vec!["2", "1"]),
        ("<history seconds='9000'/>", vec!["2", "1"]),
        ("<history since='1970-04-10T22:30:00Z'/>", vec!["1"]),
    ] {
        let mut stage = Stage::new();
        let join = format!("<x xmlns='http://jabber.org/protocol/muc'>{history}</x>");
        stage.presence("balcony", "JuliC", "", &join);
        stage.answered(1);
        let (_, token) = stage.bound(1);
        for hours in [3, 2, 1] {
            let age = Duration::from_secs(3600 * hours);
            let from = format!("<{BEN}>");
            stage.hears_late(1, &from, &format!("<{VERONA}>"), &hours.to_string(), age);
        }
        stage.member(1, MemberEvent::Accepted(token));
        let shown = stage.roster(1, vec![person(BEN, "Ben"), person(JULIET, "JuliC")]);
        let bodies: Vec<&str> = shown
            .iter()
            .filter_map(|line| line.split_once("body=").map(|(_, body)| body))
            .collect();
        assert_eq!(bodies, expected, "{history}");
    }
}

// T23: what waits is bounded, and what is too much goes back.
#[test]
fn too_much_comes_early() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    stage.answered(1);
    stage.bound(1);
    let (ben, room) = (format!("<{BEN}>"), format!("<{VERONA}>"));
    for _ in 0..50 {
        assert!(stage.hears(1, &ben, &room, "x").is_empty());
    }
    assert_eq!(
        lines(&stage.hears(1, &ben, &room, "x")),
        ["SEND refused resource-constraint"]
    );
}

// RX-34: subjects are not set from here; RX-20: nobody speaks who is not in.
#[test]
fn what_is_not_said() {
    let mut stage = stage();
    assert_eq!(
        stage.says("balcony", ROOM, "groupchat", "<subject>Mine</subject>"),
        ["message -→balcony error subject=Mine error=cancel not-allowed id=m1"]
    );
    let lines = stage.says("garden", ROOM, "groupchat", "<body>x</body>");
    assert!(lines[0].contains("not-acceptable"), "{lines:?}");
    assert!(
        stage
            .says(
                "balcony",
                ROOM,
                "groupchat",
                "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
            )
            .is_empty()
    );
}

// T12: more than the switch takes, and more than it has answered.
#[test]
fn bounds_of_what_is_said() {
    let mut stage = Stage::with(|settings| settings.window = 2);
    stage.wants_in("balcony", "JuliC");
    stage.answered_as(
        1,
        focus(),
        RoomMedia {
            max_size: Some(400),
            ..media()
        },
    );
    let (_, token) = stage.bound(1);
    stage.member(1, MemberEvent::Accepted(token));
    stage.roster(1, vec![person(JULIET, "JuliC")]);
    let long = format!("<body>{}</body>", "x".repeat(400));
    let lines = stage.says("balcony", ROOM, "groupchat", &long);
    assert!(
        lines[0].starts_with("m1 refused policy-violation"),
        "{lines:?}"
    );
    for _ in 0..2 {
        assert!(stage.says("balcony", ROOM, "groupchat", "<body>x</body>")[0].starts_with("SEND"));
    }
    let lines = stage.says("balcony", ROOM, "groupchat", "<body>x</body>");
    assert!(
        lines[0].starts_with("m1 refused resource-constraint"),
        "{lines:?}"
    );
}

// PERF-7: many members, one message: all of them show it under the same id, which it was given once.
#[test]
fn a_message_is_read_once_for_all() {
    let mut stage = Stage::new();
    for member in 1..=3 {
        stage.enter(member, &format!("d{member}"), &format!("J{member}"));
    }
    let ids: Vec<String> = (1..=3)
        .map(|member| {
            let actions = stage.hears(member, &format!("<{BEN}>"), &format!("<{VERONA}>"), "x");
            let Action::Stanza(stanza, _) = &actions[0] else {
                panic!("{actions:?}")
            };
            let xml = written(stanza, H);
            Document::parse(&xml)
                .unwrap()
                .root_element()
                .attribute("id")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}
