//! Which session a message belongs to, and how it travels.

use super::*;

#[test]
fn the_thread_is_offered_as_call_id_if_it_can_be_one() {
    // CHAT-03
    for (thread, call_id) in [(THREAD, Some(THREAD)), ("two words", None)] {
        let mut stage = Stage::new();
        let actions = stage.feed(message("m1", Some(thread), "one"));
        assert!(
            matches!(actions.as_slice(), [Action::Invite { call_id: used, thread: named, .. }]
                if used.as_deref() == call_id && named == thread),
            "{actions:?}"
        );
    }
}

#[test]
fn no_thread_gets_one_that_stays() {
    // CHAT-04 CHAT-21
    let mut stage = Stage::new();
    let actions = stage.feed(message("m1", None, "one"));
    let [
        Action::Invite {
            call_id: Some(call_id),
            thread,
            ..
        },
    ] = actions.as_slice()
    else {
        panic!("{actions:?}");
    };
    assert_eq!(call_id, thread);
    assert!(
        stage.feed(message("m2", None, "two")).is_empty(),
        "it waits for the same session"
    );
}

#[test]
fn own_threads_are_sessions_of_their_own() {
    // CHAT-20 CHAT-39
    let mut stage = Stage::new();
    stage.open(THREAD);
    let other = stage.feed(message("m2", Some("another"), "two"));
    assert!(
        matches!(other.as_slice(), [Action::Invite { .. }]),
        "{other:?}"
    );
}

#[test]
fn first_answer_to_a_sip_session_may_bring_its_own_thread() {
    // CHAT-22
    let mut stage = Stage::new();
    let chat = stage.invited();
    let answer = stage.feed(message("m1", Some("hers"), "What man art thou?"));
    assert!(
        matches!(answer.as_slice(), [Action::Send { chat: by, .. }] if *by == chat),
        "{answer:?}"
    );
    let other = stage.feed(message("m2", Some("yet another"), "two"));
    assert!(
        matches!(other.as_slice(), [Action::Invite { .. }]),
        "{other:?}"
    );
}

#[test]
fn an_answer_without_msrp_falls_back() {
    // NEG-07 CHAT-11
    let mut stage = Stage::new();
    let actions = stage.feed(message("m1", Some(THREAD), "one"));
    let [Action::Invite { chat, .. }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let answer = ChatEvent::Answered {
        media: Err(Unusable::NoMsrp),
        device: None,
    };
    let actions = stage.feed(Event::Chat(*chat, answer));
    assert!(
        matches!(
            actions.as_slice(),
            [
                Action::Ack(_),
                Action::Bye(_, Reason::MediaLost),
                Action::Page(_),
                Action::Close(_)
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn an_open_session_is_better_than_message() {
    // CHAT-19 CHAT-21: the peer had no MSRP, then opens a session itself
    let mut stage = Stage::new();
    let actions = stage.feed(message("m1", Some(THREAD), "one"));
    let [Action::Invite { chat, .. }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let rejection = Rejection {
        status: 488,
        fault: Fault::new(Condition::NotAcceptable),
    };
    stage.feed(Event::Chat(*chat, ChatEvent::Rejected(rejection)));
    stage.feed(Event::PageAnswered(Ok(())));
    let chat = stage.invited();
    let sent = stage.feed(message("m2", None, "two"));
    assert!(
        matches!(sent.as_slice(), [Action::Send { chat: by, .. }] if *by == chat),
        "{sent:?}"
    );
}

#[test]
fn sessions_of_a_pair_are_bounded() {
    // SEC-14
    let mut stage = Stage::new();
    let most = Settings::default().sessions;
    for number in 0..most {
        let id = format!("m{number}");
        let actions = stage.feed(message(&id, Some(&id), "hello?"));
        assert!(
            matches!(actions.as_slice(), [Action::Invite { .. }]),
            "{actions:?}"
        );
    }
    let actions = stage.feed(message("one too many", Some("one too many"), "hello?"));
    assert_eq!(
        refusals(&actions),
        [("one too many", Condition::ResourceConstraint)]
    );
    let chat = stage.core.next_chat();
    let actions = stage.feed(Event::Invited(chat, stage.invitation()));
    assert!(
        matches!(actions.first(), Some(Action::Decline(_, 486))),
        "{actions:?}"
    );
}

#[test]
fn a_thread_is_a_call_id_if_rfc_3261_lets_it() {
    // CHAT-03
    for good in [
        "711609sa",
        "29377446-0CBB-4296-8958-590D79094C50",
        "a@b.example",
        "{x}",
    ] {
        assert!(is_call_id(good), "{good}");
    }
    for bad in [
        "",
        "a b",
        "a@b@c",
        "@",
        "ü",
        "a\r\nVia: x",
        &"x".repeat(129),
    ] {
        assert!(!is_call_id(bad), "{bad}");
    }
}

#[test]
fn texts_differ_and_fit_an_msrp_ident() {
    let mut tokens = Tokens::new(7);
    let (one, two) = (tokens.text(), tokens.text());
    assert_ne!(one, two);
    assert_eq!(one.len(), 20);
}
