//! How sessions end, and what becomes of what is under way.

use super::*;

#[test]
fn nobody_answers_the_invite() {
    // CHAT-08: CANCEL, and every message that waited goes back
    let mut stage = Stage::new();
    stage.feed(message("m1", Some(THREAD), "one"));
    stage.feed(message("m2", Some(THREAD), "two"));
    let actions = stage.elapse();
    assert!(
        matches!(actions.first(), Some(Action::Cancel(_))),
        "{actions:?}"
    );
    assert_eq!(
        refusals(&actions),
        [
            ("m1", Condition::RecipientUnavailable),
            ("m2", Condition::RecipientUnavailable)
        ]
    );
}

#[test]
fn an_idle_session_ends_with_bye_and_gone() {
    // CHAT-25
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    stage.now += Duration::from_secs(500);
    let sent = stage.feed(message("m2", Some(THREAD), "two"));
    stage.accept(chat, &sent);
    let before = stage.now;
    let actions = stage.elapse();
    assert_eq!(
        stage.now - before,
        Duration::from_secs(600),
        "a message begins the wait anew"
    );
    assert!(
        matches!(
            actions.as_slice(),
            [
                Action::Stanza(..),
                Action::Bye(_, Reason::Left),
                Action::Close(_)
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn leaving_waits_for_what_was_sent() {
    // CHAT-24: BYE after the messages, not before
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let sent = stage.feed(message("m2", Some(THREAD), "two"));
    assert!(
        stage
            .feed(Event::Stated {
                thread: Some(THREAD.to_owned()),
                state: ChatState::Gone
            })
            .is_empty()
    );
    let actions = stage.accept(chat, &sent);
    assert!(
        matches!(
            actions.as_slice(),
            [
                Action::Bye(_, Reason::Left),
                Action::Settle(Settlement {
                    outcome: Outcome::Delivered,
                    ..
                }),
                Action::Close(_)
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn last_words_before_bye_are_read() {
    // CHAT-23: BYE comes another way than MSRP and may overtake it
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    assert!(stage.feed(Event::Chat(chat, ChatEvent::Ended)).is_empty());
    let settled = stage.hand_over(received(chat, 1, "text/plain", "bye!"));
    assert_eq!(settled_with(&settled), [200]);
    let actions = stage.elapse();
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Stanza(_, None), Action::Close(_)]
        ),
        "gone comes last: {actions:?}"
    );
}

#[test]
fn leaving_early_sends_what_was_written() {
    // CHAT-24: gone while the connection is being made
    let mut stage = Stage::new();
    let actions = stage.feed(message("m1", Some(THREAD), "call me"));
    let [Action::Invite { chat, .. }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let chat = *chat;
    let media = Ok(stage.media(Role::Active));
    stage.feed(Event::Chat(
        chat,
        ChatEvent::Answered {
            media,
            device: None,
        },
    ));
    assert!(
        stage
            .feed(Event::Stated {
                thread: Some(THREAD.to_owned()),
                state: ChatState::Gone
            })
            .is_empty()
    );
    let sent = stage.feed(Event::Chat(chat, ChatEvent::Bound));
    let actions = stage.accept(chat, &sent);
    assert!(
        matches!(actions.first(), Some(Action::Bye(_, Reason::Left))),
        "{actions:?}"
    );
}

#[test]
fn nothing_is_kept_when_the_goodbye_takes_too_long() {
    // CHAT-38: every message has its fate before the program ends
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    stage.feed(message("m2", Some(THREAD), "two"));
    stage.feed(received(chat, 1, "text/plain", "three"));
    stage.feed(message("m4", Some("another"), "four"));
    stage.feed(Event::ShutDown);
    let actions = stage.feed(Event::Abandon);
    assert_eq!(
        refusals(&actions),
        [("m2", Condition::RecipientUnavailable)]
    );
    assert_eq!(settled_with(&actions), [408]);
    assert!(stage.core.is_over(stage.now));
}

#[test]
fn a_stranger_leaves_nothing_behind() {
    // SEC-14: a MESSAGE out of the blue is forgotten as soon as it is answered.
    let mut stage = Stage::new();
    let actions = stage.feed(Event::Paged(Paged {
        transaction: stox_sip::ServerTransactionId::from_number(1),
        call_id: "a84b4c76e66710".to_owned(),
        content: Content::Text(Text {
            body: "Hello?".to_owned(),
            ..Text::default()
        }),
        from: "sip:romeo@example.net".parse().unwrap(),
        chat: None,
    }));
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert!(
        stage.feed(Event::Handed(*token)).is_empty(),
        "an error may still come (IM-05)"
    );
    assert!(!stage.core.is_over(stage.now));
    let settled = stage.elapse();
    assert!(
        matches!(settled.as_slice(), [Action::Settle(_)]),
        "{settled:?}"
    );
    assert!(stage.core.is_over(stage.now));
    assert_eq!(stage.core.poll_timeout(), None);
}

#[test]
fn goodbye_gives_everything_back() {
    // CHAT-38
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let sent = stage.feed(message("m2", Some(THREAD), "two"));
    let actions = stage.feed(Event::ShutDown);
    assert!(
        matches!(actions.as_slice(), [Action::Stanza(..)]),
        "gone now, BYE when m2 is answered: {actions:?}"
    );
    let actions = stage.accept(chat, &sent);
    assert!(
        matches!(actions.first(), Some(Action::Bye(_, Reason::ShuttingDown))),
        "{actions:?}"
    );
    assert!(stage.core.is_over(stage.now));
    let late = stage.feed(message("m3", Some(THREAD), "three"));
    assert_eq!(refusals(&late), [("m3", Condition::RecipientUnavailable)]);
}
