//! What each sender is told.

use super::*;

#[test]
fn waiting_messages_are_bounded() {
    // CHAT-08: 50 messages or 64 KiB
    let mut stage = Stage::new();
    stage.feed(message("m0", Some(THREAD), "first"));
    for number in 1..50 {
        assert!(
            stage
                .feed(message(&format!("m{number}"), Some(THREAD), "more"))
                .is_empty()
        );
    }
    let refused = stage.feed(message("m50", Some(THREAD), "one too many"));
    assert_eq!(refusals(&refused), [("m50", Condition::ResourceConstraint)]);

    let mut stage = Stage::new();
    stage.feed(message("m0", Some(THREAD), "first"));
    let refused = stage.feed(message("m1", Some(THREAD), &"x".repeat(64 * 1024)));
    assert_eq!(refusals(&refused), [("m1", Condition::ResourceConstraint)]);
}

#[test]
fn a_message_is_answered_when_the_server_has_it() {
    // CHAT-38: never before
    let mut stage = Stage::new();
    let chat = stage.invited();
    let actions = stage.feed(received(chat, 1, "text/plain", "Neither, fair saint"));
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let settled = stage.feed(Event::Handed(*token));
    assert!(
        matches!(
            settled.as_slice(),
            [Action::Settle(Settlement {
                outcome: Outcome::Delivered,
                ..
            })]
        ),
        "{settled:?}"
    );

    let actions = stage.feed(received(chat, 2, "text/plain", "if either thee dislike"));
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let settled = stage.feed(Event::Lost(*token));
    assert!(
        matches!(settled.as_slice(), [Action::Settle(Settlement { outcome: Outcome::Refused(fault), .. })]
            if fault.to_msrp() == 408),
        "{settled:?}"
    );
}

#[test]
fn an_unknown_xmpp_user_ends_the_session() {
    // CHAT-37 T10: the bounce comes before the answer, so the answer is the refusal
    let mut stage = Stage::new();
    let chat = stage.invited();
    stage.feed(received(chat, 1, "text/plain", "Hello?"));
    let actions = stage.feed(bounce("tid1", Condition::ItemNotFound));
    assert_eq!(settled_with(&actions), [403]);
    let actions = stage.elapse();
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Bye(_, Reason::Refused(404)), Action::Close(_)]
        ),
        "{actions:?}"
    );
}

#[test]
fn every_message_of_a_failing_session_is_reported() {
    // CHAT-37 RCPT-10: all were answered 200 before the first error came
    let mut stage = Stage::new();
    let chat = stage.invited();
    for number in 1..=3 {
        stage.hand_over(received(chat, number, "text/plain", "Hello?"));
    }
    let mut reported = Vec::new();
    for id in ["tid1", "tid2", "tid3"] {
        for action in stage.feed(bounce(id, Condition::RemoteServerNotFound)) {
            match action {
                Action::Report {
                    message_id,
                    status: 408,
                    ..
                } => reported.push(message_id),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reported, ["id1", "id2", "id3"]);
    let actions = stage.elapse();
    assert!(
        matches!(actions.first(), Some(Action::Bye(..))),
        "{actions:?}"
    );
}

#[test]
fn a_bounce_belongs_to_one_message() {
    // CHAT-14: the peer numbers the transactions of each of its sessions alike
    let mut stage = Stage::new();
    let (one, two) = (stage.invited(), stage.invited());
    stage.hand_over(received(one, 1, "text/plain", "one"));
    stage.hand_over(received(two, 1, "text/plain", "two"));
    let actions = stage.feed(bounce("tid1", Condition::PolicyViolation));
    assert!(
        matches!(actions.as_slice(), [Action::Report { chat, .. }] if *chat == one),
        "{actions:?}"
    );
}

#[test]
fn answers_go_to_the_user_when_the_device_is_gone() {
    // CHAT-18: a bounce of the device does not end the session
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    stage.hand_over(received(chat, 1, "text/plain", "one"));
    let actions = stage.feed(bounce("tid1", Condition::ItemNotFound));
    assert!(
        matches!(actions.as_slice(), [Action::Report { .. }]),
        "{actions:?}"
    );
    let actions = stage.feed(received(chat, 2, "text/plain", "two"));
    let [Action::Stanza(Outgoing::Message(message), _)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(message.to().as_str(), "juliet@example.com");
}

#[test]
fn a_late_error_is_reported() {
    // RCPT-10
    let mut stage = Stage::new();
    let chat = stage.invited();
    let actions = stage.feed(received(chat, 1, "text/plain", "Hello?"));
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    stage.feed(Event::Handed(*token));
    let actions = stage.feed(bounce("tid1", Condition::PolicyViolation));
    assert!(
        matches!(actions.as_slice(), [Action::Report { message_id, length: 6, status: 413, .. }]
            if message_id == "id1"),
        "{actions:?}"
    );
}

#[test]
fn what_is_no_text_is_refused() {
    // CHAT-35: 415
    let mut stage = Stage::new();
    let chat = stage.invited();
    let actions = stage.feed(received(chat, 1, "image/png", "not a picture"));
    assert!(
        matches!(actions.as_slice(), [Action::Settle(Settlement { outcome: Outcome::Refused(fault), .. })]
            if fault.to_msrp() == 415),
        "{actions:?}"
    );
}

#[test]
fn too_long_for_the_peer() {
    // CHAT-34
    let mut stage = Stage::new();
    stage.max_size = Some(10);
    stage.open_with("short");
    let actions = stage.feed(message("m2", Some(THREAD), "longer than ten bytes"));
    assert_eq!(refusals(&actions), [("m2", Condition::PolicyViolation)]);
}
