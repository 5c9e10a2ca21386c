//! NICKNAME in both directions. RFC 7701 §7.

use std::time::Duration;

use stox_msrp::{
    Limits, Nickname, NicknameForm, Nicknames, Role, SendError, SessionEvent, SessionOptions,
    session::Chunking,
};

use crate::stage::*;

// RX-05
#[test]
fn a_nickname_is_asked_for() {
    let mut side = Side::connected(Role::Active);
    let alice = Nickname::new("Alice \"the great\"").unwrap();
    assert_eq!(side.ask(7, &alice), Err(SendError::NotBound));
    let bind = transaction_id(&side.sent());
    side.receive(&response(&bind, 200));
    assert_eq!(side.events(), [SessionEvent::Bound]);

    side.ask(7, &alice).unwrap();
    let sent = side.sent();
    let id = transaction_id(&sent);
    assert_eq!(
        sent,
        format!(
            "MSRP {id} NICKNAME\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\n\
             Use-Nickname: \"Alice \\\"the great\\\"\"\r\n-------{id}$\r\n"
        )
    );
    // The chat room of a common peer leaves the flag out (MSRP-04).
    side.receive(&response(&id, 200).replace("$\r\n", "\r\n"));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 7 }]);
    let bare = alice.in_form(NicknameForm::Bare);
    side.ask(8, &bare).unwrap();
    assert_eq!(header(&side.sent(), "Use-Nickname"), "Alice \"the great\"");
}

// RX-08
#[test]
fn every_answer_and_none_are_told() {
    let nickname = Nickname::new("Al").unwrap();
    for status in [403, 423, 424, 425, 501] {
        let mut side = Side::bound();
        side.ask(7, &nickname).unwrap();
        let id = transaction_id(&side.sent());
        side.receive(&response(&id, status));
        assert_eq!(side.events(), [SessionEvent::Refused { token: 7, status }]);
    }
    let mut side = Side::bound();
    side.ask(7, &nickname).unwrap();
    side.sent();
    side.pass(Duration::from_millis(29_999));
    assert_eq!(side.events(), []);
    side.pass(Duration::from_millis(1));
    assert_eq!(side.events(), [SessionEvent::Unanswered { token: 7 }]);
}

// MSRP-19
#[test]
fn who_does_no_nicknames_says_so() {
    let mut side = Side::bound();
    side.receive(&request("aaaa", "NICKNAME", "Use-Nickname: \"Al\"\r\n"));
    assert_eq!(side.statuses(), ["aaaa 501"]);
    assert!(side.nicknames().is_empty());
}

// RS-08
#[test]
fn the_owner_answers() {
    for status in [200, 403, 424, 425, 408] {
        let mut side = taking(Nicknames::Quoted, Limits::default());
        let asked = request("aaaa", "NICKNAME", "Use-Nickname: \"Zo\\\\\"\r\n");
        // As some clients end it (MSRP-04).
        side.receive(&asked.replace("$\r\n", "\r\n"));
        assert_eq!(side.sent(), "");
        let [(id, nickname)] = &side.nicknames()[..] else {
            panic!()
        };
        assert_eq!(nickname.as_str(), "Zo\\");
        side.answer(*id, status);
        side.answer(*id, 200);
        let sent = side.sent();
        assert!(sent.starts_with(&format!("MSRP aaaa {status} ")), "{sent}");
        assert!(sent.ends_with("-------aaaa$\r\n"), "{sent}");
        assert_eq!(sent.matches("MSRP ").count(), 1);
    }
}

// RS-12
#[test]
fn what_is_no_nickname_is_refused_at_once() {
    for (header, taken, status) in [
        ("", Nicknames::QuotedOrBare, Some(400)),
        ("Use-Nickname: \"Al\r\n", Nicknames::QuotedOrBare, Some(424)),
        ("Use-Nickname: Al\r\n", Nicknames::Quoted, Some(424)),
        ("Use-Nickname: Al\r\n", Nicknames::QuotedOrBare, None),
        ("Use-Nickname: \"\"\r\n", Nicknames::Quoted, None),
    ] {
        let mut side = taking(taken, Limits::default());
        side.receive(&request("aaaa", "NICKNAME", header));
        let answers: Vec<_> = status
            .iter()
            .map(|status| format!("aaaa {status}"))
            .collect();
        assert_eq!(side.statuses(), answers, "{header}");
        assert_eq!(side.nicknames().is_empty(), status.is_some(), "{header}");
    }
    let long = format!("Use-Nickname: \"{}\"\r\n", "x".repeat(1024));
    let mut side = taking(Nicknames::Quoted, Limits::default());
    side.receive(&request("aaaa", "NICKNAME", &long));
    assert_eq!(side.statuses(), ["aaaa 424"]);
}

// SEC-14
#[test]
fn nicknames_that_wait_are_bounded() {
    let limits = Limits {
        unanswered_incoming: 1,
        ..Limits::default()
    };
    let mut side = taking(Nicknames::Quoted, limits);
    for id in ["aaaa", "bbbb"] {
        side.receive(&request(id, "NICKNAME", "Use-Nickname: \"Al\"\r\n"));
    }
    assert_eq!(side.statuses(), ["bbbb 408"]);
    assert_eq!(side.nicknames().len(), 1);
}

fn taking(nicknames: Nicknames, limits: Limits) -> Side {
    let options = SessionOptions {
        nicknames,
        ..SessionOptions::default()
    };
    let mut side = Side::having(Role::Passive, limits, Chunking::default(), options);
    side.bind();
    side
}
