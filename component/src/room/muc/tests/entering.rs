//! The way into the room.

use stox_msrp::LostCause;
use stox_sip::{Failure, Status};

use super::*;
use crate::fault::Fault;
use crate::room::nickname::HOLD;
use crate::translate::Rejection;

// RX-01 RX-03 RX-05 RX-11 RX-13 RX-14 RX-19, RFC 7702 §5.1 to §5.4: the figure, F1 to F15.
#[test]
fn the_way_in() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.wants_in("balcony", "JuliC"),
        [format!("INVITE {JULIET} gr=balcony as JuliC")]
    );
    assert_eq!(stage.answered(1), ["ACK", "MSRP"]);
    let (lines, token) = stage.bound(1);
    assert_eq!(lines, ["NICKNAME JuliC"]);
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        ["SUBSCRIBE sip:verona@192.0.2.1:5060"]
    );
    let people = vec![
        person("sip:verona@chat.example.org;gr=Romeo", "Romeo"),
        person(BEN, "Ben"),
        person("sip:verona@chat.example.org;gr=JuliC", "JuliC"),
    ];
    let document = ConferenceInfo {
        users: people,
        users_state: ElementState::Full,
        description: subject("Today in Verona"),
        ..stage.document(ElementState::Full)
    };
    assert_eq!(
        stage.notified(1, &document),
        [
            "presence Ben→balcony participant jid=benvolio%example.org@sip.example.com",
            "presence Romeo→balcony participant",
            "presence JuliC→balcony participant 110 100 id=j1",
            "message -→balcony groupchat subject=Today in Verona",
        ]
    );
    assert!(stage.core.poll_timeout().is_none(), "nothing else");
}

// RX-02
#[test]
fn nobody_enters_without_a_nickname_or_without_asking() {
    let mut stage = Stage::new();
    let lines = stage.stanza(&format!(
        "<presence from='juliet@example.com/balcony' to='{ROOM}' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ));
    assert_eq!(
        lines,
        [
            "presence -→balcony error error=modify jid-malformed echo id=j1",
            "vacate balcony"
        ]
    );
    assert_eq!(
        stage.presence("balcony", "JuliC", "", ""),
        ["presence JuliC→balcony unavailable none 110 307 333"]
    );
    assert!(stage.core.is_over());
}

// RX-04
#[test]
fn who_answers_may_be_no_room() {
    let unsaid = Focus {
        kind: FocusKind::Unsaid,
        ..focus()
    };
    let plain = RoomMedia {
        chatroom: None,
        ..media()
    };
    let without_cpim = RoomMedia {
        wrapping: RoomWrapping::Unknown,
        ..media()
    };
    for (focus, media, is_room) in [
        (unsaid.clone(), plain.clone(), false),
        (focus(), without_cpim, false),
        (unsaid, media(), true),
        (focus(), plain, true),
    ] {
        let mut stage = Stage::new();
        stage.wants_in("balcony", "JuliC");
        let lines = stage.answered_as(1, focus, media);
        match is_room {
            true => assert_eq!(lines, ["ACK", "MSRP"]),
            false => assert_eq!(
                lines,
                [
                    "ACK",
                    "BYE Unusable(488)",
                    "close",
                    "presence JuliC→balcony error error=cancel item-not-found echo id=j1",
                    "vacate balcony"
                ]
            ),
        }
    }
}

// RX-06: the room gives no nicknames; what the focus calls her is what she is called, and she is told (210).
#[test]
fn a_room_without_nicknames() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    let chatroom = Some(Chatroom {
        nickname: false,
        private_messages: true,
    });
    stage.answered_as(
        1,
        focus(),
        RoomMedia {
            chatroom,
            ..media()
        },
    );
    let (lines, _) = stage.bound(1);
    assert_eq!(lines, ["SUBSCRIBE sip:verona@192.0.2.1:5060"]);
    let lines = stage.roster(1, vec![person(JULIET, "Juliet Capulet")]);
    assert_eq!(
        lines,
        [
            "presence Juliet Capulet→balcony participant jid=juliet@example.com 110 210 id=j1",
            "message -→balcony groupchat subject="
        ]
    );
}

// RX-07 RX-08, T18
#[test]
fn a_nickname_that_cannot_be_had() {
    for (status, lines) in [
        (
            425,
            [
                "BYE Unusable(486)",
                "presence JuliC→balcony error error=cancel conflict by={ROOM} echo id=j1",
            ],
        ),
        (
            424,
            [
                "BYE Unusable(400)",
                "presence JuliC→balcony error error=modify jid-malformed by={ROOM} echo id=j1",
            ],
        ),
        (
            408,
            [
                "BYE Unusable(400)",
                "presence JuliC→balcony error error=wait remote-server-timeout by={ROOM} echo id=j1",
            ],
        ),
    ] {
        let mut stage = Stage::new();
        stage.wants_in("balcony", "JuliC");
        stage.answered(1);
        let (_, token) = stage.bound(1);
        let event = match status {
            408 => MemberEvent::Unanswered(token),
            status => MemberEvent::Refused(token, status),
        };
        let [bye, error] = lines.map(|line| line.replace("{ROOM}", ROOM));
        assert_eq!(
            stage.member(1, event),
            [bye, "close".into(), error, "vacate balcony".into()]
        );
        assert!(stage.core.is_over());
    }
    for status in [403, 501] {
        let mut stage = Stage::new();
        stage.wants_in("balcony", "JuliC");
        stage.answered(1);
        let (_, token) = stage.bound(1);
        assert_eq!(
            stage.member(1, MemberEvent::Refused(token, status)),
            ["SUBSCRIBE sip:verona@192.0.2.1:5060"]
        );
        // As the focus calls her.
        assert_eq!(
            stage.roster(1, vec![person(JULIET, "Juliet")])[0],
            "presence Juliet→balcony participant jid=juliet@example.com 110 210 id=j1"
        );
    }
}

// SEC-17: nobody else is to be taken for a user whose connection has just broken.
#[test]
fn a_lost_nickname_is_kept_for_its_owner() {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    let lines = stage.member(1, MemberEvent::Disconnected(LostCause::Unreachable));
    assert!(lines.iter().any(|line| line.contains("333")), "{lines:?}");
    let wish = |who: &str| {
        format!(
            "<presence from='{who}' to='{ROOM}/julic' id='n1'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
    };
    let nurse = wish("nurse@example.com/house");
    assert_eq!(
        stage.stanza(&nurse),
        [
            format!("presence julic→house error error=cancel conflict by={ROOM} echo id=n1"),
            "vacate house".into()
        ]
    );
    let juliet = wish("juliet@example.com/chamber");
    assert_eq!(
        stage.stanza(&juliet),
        [format!("INVITE {JULIET} gr=chamber as julic")]
    );
    stage.member(2, MemberEvent::Failed(Failure::Timeout));
    assert!(stage.core.is_over() && !stage.core.is_forgettable());
    stage.pass(HOLD);
    assert!(stage.core.is_forgettable());
    assert_eq!(
        stage.stanza(&nurse),
        ["INVITE sip:nurse@example.com gr=house as julic"]
    );
}

// RX-07: altered nicknames, as many as are allowed, and 210 says so.
#[test]
fn another_nickname_is_tried() {
    let mut stage = Stage::with(|settings| settings.nick_retry = 2);
    stage.wants_in("balcony", "JuliC");
    stage.answered(1);
    let (_, mut token) = stage.bound(1);
    for nick in ["JuliC (2)", "JuliC (3)"] {
        let actions = stage.feed(Event::Member(MemberId(1), MemberEvent::Refused(token, 425)));
        assert_eq!(lines(&actions), [format!("NICKNAME {nick}")]);
        token = actions.iter().find_map(token_of).unwrap();
    }
    stage.member(1, MemberEvent::Accepted(token));
    assert_eq!(
        stage.roster(1, vec![person(JULIET, "JuliC (3)")])[0],
        "presence JuliC (3)→balcony participant jid=juliet@example.com 110 210 id=j1"
    );
}

// RX-09, T18
#[test]
fn the_focus_refuses() {
    for (status, expected) in [
        (404, "cancel item-not-found"),
        (604, "cancel item-not-found"),
        (403, "auth forbidden"),
        (401, "auth not-authorized"),
        (407, "auth registration-required"),
        (405, "cancel feature-not-implemented"),
        (480, "wait recipient-unavailable"),
        (486, "wait recipient-unavailable"),
        (600, "wait recipient-unavailable"),
        (603, "wait recipient-unavailable"),
        (488, "modify not-acceptable"),
        (606, "modify not-acceptable"),
        (415, "modify not-acceptable"),
        (503, "wait service-unavailable"),
        (504, "wait remote-server-timeout"),
        (408, "wait remote-server-timeout"),
        (500, "cancel internal-server-error"),
        (502, "cancel internal-server-error"),
        (400, "modify bad-request"),
        (410, "cancel gone"),
    ] {
        let mut stage = Stage::new();
        stage.wants_in("balcony", "JuliC");
        let fault = Fault::from_sip(Status::new(status).unwrap(), "");
        assert_eq!(
            stage.member(1, MemberEvent::Rejected(Rejection { status, fault }, None)),
            [
                "close".to_owned(),
                format!("presence JuliC→balcony error error={expected} echo id=j1"),
                "vacate balcony".to_owned()
            ],
            "{status}"
        );
    }
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    let lines = stage.member(1, MemberEvent::Failed(Failure::Unresolvable));
    assert!(lines[1].contains("remote-server-not-found"), "{lines:?}");
    // Nobody answers at all.
    stage.wants_in("balcony", "JuliC");
    assert_eq!(
        stage.pass(Duration::from_secs(180)),
        [
            "CANCEL",
            "close",
            "presence JuliC→balcony error error=wait remote-server-timeout echo id=j1",
            "vacate balcony"
        ]
    );
}

// RX-10
#[test]
fn the_password_answers_one_challenge() {
    let mut stage = Stage::new();
    let join = "<x xmlns='http://jabber.org/protocol/muc'><password>cap</password></x>";
    assert_eq!(
        stage.presence("balcony", "JuliC", "id='j1'", join),
        [format!("INVITE {JULIET} gr=balcony as JuliC")]
    );
    assert_eq!(
        stage.member(1, challenged()),
        [format!("INVITE {JULIET} gr=balcony as JuliC with a proof")]
    );
    let lines = stage.member(1, challenged());
    assert!(lines[1].contains("not-authorized"), "{lines:?}");
    // Without a password the client is to ask for one.
    stage.wants_in("balcony", "JuliC");
    let lines = stage.member(2, challenged());
    assert!(lines[1].contains("not-authorized"), "{lines:?}");
}

fn challenged() -> MemberEvent {
    let status = Status::UNAUTHORIZED;
    let request = stox_sip::Request::new(stox_sip::Method::Invite, VERONA.parse().unwrap());
    let response = stox_sip::Response::to_request(&request, status);
    let fault = Fault::from_sip(status, "");
    let rejection = Rejection { status: 401, fault };
    MemberEvent::Rejected(rejection, Some(Box::new(response)))
}

// RX-11: a focus that is not asked at its Contact is asked at the room's own address, and again if that was too early.
#[test]
fn who_is_there_is_asked_twice() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    stage.answered(1);
    let (_, token) = stage.bound(1);
    stage.member(1, MemberEvent::Accepted(token));
    let too_early = || unsubscribed(SubscriptionEnd::Refused(Status::TEMPORARILY_UNAVAILABLE));
    let asks = [format!("SUBSCRIBE {VERONA}")];
    assert_eq!(stage.member(1, too_early()), asks);
    assert!(stage.member(1, too_early()).is_empty());
    assert_eq!(stage.pass(Duration::from_secs(1)), asks);
    assert_eq!(stage.roster(1, vec![person(JULIET, "JuliC")]).len(), 2);
}

// RX-18: without a roster she is in all the same, and knows those who speak.
#[test]
fn a_focus_that_does_not_tell_who_is_there() {
    for is_refused in [true, false] {
        let mut stage = Stage::new();
        stage.wants_in("balcony", "JuliC");
        stage.answered_as(
            1,
            Focus {
                kind: FocusKind::Unsaid,
                ..focus()
            },
            media(),
        );
        let (_, token) = stage.bound(1);
        stage.member(1, MemberEvent::Accepted(token));
        let lines = match is_refused {
            true => stage.member(1, unsubscribed(SubscriptionEnd::Refused(Status::BAD_EVENT))),
            false => stage.pass(Duration::from_secs(10)),
        };
        assert_eq!(
            lines,
            [
                "presence JuliC→balcony participant 110 id=j1",
                "message -→balcony groupchat subject="
            ]
        );
        let heard = stage.hears(
            1,
            &format!("\"Ben\" <{BEN}>"),
            &format!("<{VERONA}>"),
            "Soft",
        );
        assert_eq!(
            lines_of(&heard),
            [
                "presence Ben→balcony participant",
                "message Ben→balcony groupchat body=Soft"
            ]
        );
        let again = stage.hears(
            1,
            &format!("\"Ben\" <{BEN}>"),
            &format!("<{VERONA}>"),
            "Soft!",
        );
        assert_eq!(
            lines_of(&again),
            ["message Ben→balcony groupchat body=Soft!"]
        );
    }
}

fn lines_of(actions: &[Action]) -> Vec<String> {
    lines(actions)
}

// SEC-14: the room is full.
#[test]
fn bounds_of_a_room() {
    let mut stage = Stage::with(|settings| (settings.members, settings.seats) = (2, 16));
    stage.wants_in("a", "A");
    stage.wants_in("b", "B");
    assert_eq!(
        stage.wants_in("c", "C"),
        [
            "presence C→c error error=wait service-unavailable echo id=j1",
            "vacate c"
        ]
    );
    let mut stage = Stage::with(|settings| settings.seats = 1);
    stage.wants_in("a", "A");
    assert!(stage.wants_in("b", "B")[0].contains("service-unavailable"));
}
