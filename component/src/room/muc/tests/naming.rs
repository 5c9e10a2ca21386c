//! Changes of nicknames.

use super::*;

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    stage
}

fn wishes(stage: &mut Stage, nick: &str) -> (Vec<String>, Token) {
    let stanza =
        format!("<presence from='juliet@example.com/balcony' to='{ROOM}/{nick}' id='p1'/>");
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    let token = actions.iter().find_map(token_of).unwrap_or(Token(0));
    (lines(&actions), token)
}

// RX-26, RFC 7702 §5.6: F23 to F26.
#[test]
fn another_nickname_and_a_taken_one() {
    let mut stage = stage();
    let (lines, token) = wishes(&mut stage, "CapuletGirl");
    assert_eq!(lines, ["NICKNAME CapuletGirl"]);
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        [
            "presence JuliC→balcony unavailable participant jid=juliet@example.com nick=CapuletGirl 303 110",
            "presence CapuletGirl→balcony participant jid=juliet@example.com 110"
        ]
    );
    // What the focus tells of it is no news, and an older document changes nothing.
    for told in ["CapuletGirl", "JuliC"] {
        assert!(
            stage
                .roster(1, vec![person(BEN, "Ben"), person(JULIET, told)])
                .is_empty()
        );
    }
    let (_, token) = wishes(&mut stage, "Ben");
    assert_eq!(
        stage.member(1, MemberEvent::Refused(token, 425)),
        [format!(
            "presence Ben→balcony error error=cancel conflict by={ROOM} echo id=p1"
        )]
    );
    let said = stage.says("balcony", ROOM, "groupchat", "<body>x</body>");
    assert!(said[0].starts_with("SEND CapuletGirl"), "{said:?}");
}

// RX-26: one after the other, each with its own outcome, and not without end.
#[test]
fn several_at_once() {
    let mut stage = stage();
    let (first, token) = wishes(&mut stage, "A");
    assert_eq!(first, ["NICKNAME A"]);
    assert!(wishes(&mut stage, "B").0.is_empty());
    assert!(wishes(&mut stage, "C").0.is_empty());
    let actions = stage.feed(Event::Member(MemberId(1), MemberEvent::Unanswered(token)));
    let token = actions.iter().find_map(token_of).unwrap();
    assert_eq!(
        lines(&actions),
        [
            format!(
                "presence A→balcony error error=wait remote-server-timeout by={ROOM} echo id=p1"
            ),
            "NICKNAME B".to_owned()
        ]
    );
    let lines = stage.member(1, MemberEvent::Accepted(token));
    assert_eq!(
        lines[1..],
        [
            "presence B→balcony participant jid=juliet@example.com 110",
            "NICKNAME C"
        ]
    );
    for nick in ["D", "E", "F", "G", "H", "I", "J"] {
        assert!(wishes(&mut stage, nick).0.is_empty(), "{nick}");
    }
    assert!(wishes(&mut stage, "K").0[0].contains("resource-constraint"));
}

// RX-26 RX-16: the focus tells the new nickname before the switch has answered.
#[test]
fn the_focus_is_faster_than_the_switch() {
    let mut stage = stage();
    let (_, token) = wishes(&mut stage, "Jule");
    let lines = stage.roster(1, vec![person(BEN, "Ben"), person(JULIET, "Jule")]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(stage.member(1, MemberEvent::Accepted(token)).is_empty());
}

// RX-26: where nobody chooses.
#[test]
fn a_room_that_gives_no_nicknames() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    let chatroom = Some(Chatroom {
        nickname: false,
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
    stage.bound(1);
    stage.roster(1, vec![person(JULIET, "JuliC")]);
    let (lines, _) = wishes(&mut stage, "Jule");
    assert_eq!(
        lines,
        ["presence Jule→balcony error error=modify not-acceptable echo id=p1"]
    );
}

// RX-16: the focus calls her something else.
#[test]
fn the_focus_names_her() {
    let mut stage = stage();
    assert_eq!(
        stage.roster(1, vec![person(BEN, "Ben"), person(JULIET, "Capulet")]),
        [
            "presence JuliC→balcony unavailable participant jid=juliet@example.com nick=Capulet 303 110",
            "presence Capulet→balcony participant jid=juliet@example.com 110"
        ]
    );
}

// RX-27: what she says of herself is for her own devices, and goes no further.
#[test]
fn what_she_says_of_herself() {
    let mut stage = stage();
    assert_eq!(
        stage.presence(
            "balcony",
            "JuliC",
            "",
            "<show>away</show><status>gone</status>"
        ),
        ["presence JuliC→balcony participant jid=juliet@example.com 110 show=away"]
    );
}

// RX-33: somebody who has lost track gets everything again, without another INVITE.
#[test]
fn she_enters_again() {
    let mut stage = stage();
    assert_eq!(
        stage.wants_in("balcony", "JuliC"),
        [
            "vacate balcony",
            "presence Ben→balcony participant jid=benvolio%example.org@sip.example.com",
            "presence JuliC→balcony participant jid=juliet@example.com 110 100 id=j1",
            "message -→balcony groupchat subject="
        ]
    );
}
