//! Messages that travel without a session: their threads, their size, and those in the dialog of a session.

use super::*;

fn single(thread: Option<&str>, body: &str) -> Event {
    let Event::Written(written) = message("m1", thread, body) else {
        unreachable!();
    };
    Event::Written(Written {
        kind: Kind::Single,
        ..written
    })
}

fn paged(call_id: &str, chat: Option<ChatId>) -> Event {
    Event::Paged(Paged {
        transaction: stox_sip::ServerTransactionId::from_number(1),
        call_id: call_id.to_owned(),
        content: Content::Text(Text {
            body: "O, that I were a glove".to_owned(),
            ..Text::default()
        }),
        from: "sip:romeo@example.net".parse().unwrap(),
        chat,
    })
}

fn sent(actions: &[Action]) -> &Page {
    let [Action::Page(page), ..] = actions else {
        panic!("{actions:?}");
    };
    page
}

fn thread_of(actions: &[Action]) -> (&str, crate::xmpp::MessageType) {
    let [Action::Stanza(Outgoing::Message(message), _)] = actions else {
        panic!("{actions:?}");
    };
    (message.of_thread().unwrap(), message.kind())
}

// IM-09
#[test]
fn a_thread_is_the_call_id_where_it_can_be() {
    let long = "x".repeat(129);
    for (thread, is_kept) in [
        (THREAD, true),
        (&long[1..], true),
        (&long, false),
        ("two words", false),
        ("\u{e9}", false),
    ] {
        let mut stage = Stage::new();
        let actions = stage.feed(single(Some(thread), "text"));
        let call_id = sent(&actions).call_id.clone();
        assert_eq!(call_id == thread, is_kept, "{thread}");
        stage.feed(Event::PageAnswered(Ok(())));
        // Whether the answer keeps the Call-ID or has one of its own.
        for call_id in [&call_id, "a84b4c76e66710"] {
            let answer = stage.feed(paged(call_id, None));
            assert_eq!(thread_of(&answer).0, thread);
        }
    }
}

// IM-08 IM-09: no Call-ID that a dialog has had.
#[test]
fn a_call_id_that_is_taken_is_changed_for_the_whole_thread() {
    let mut stage = Stage::new();
    let actions = stage.feed(single(Some(THREAD), "one"));
    let first = sent(&actions).clone();
    assert_eq!(first.precedent, Precedent::Possible);
    stage.feed(single(Some(THREAD), "two"));
    stage.feed(Event::CallIdTaken {
        call_id: THREAD.to_owned(),
        instead: "another".to_owned(),
    });
    let second = stage.feed(Event::PageAnswered(Ok(())));
    stage.feed(Event::PageAnswered(Ok(())));
    let third = stage.feed(single(Some(THREAD), "three"));
    for (actions, cseq) in [(&second, 2), (&third, 3)] {
        let page = sent(actions);
        assert_eq!((page.call_id.as_str(), page.cseq), ("another", cseq));
        assert_eq!(page.from_tag, first.from_tag);
        assert_eq!(page.precedent, Precedent::Own);
    }
    stage.feed(Event::PageAnswered(Ok(())));
    stage.feed(single(Some("later"), "four"));
    let answer = stage.feed(paged("another", None));
    assert_eq!(thread_of(&answer).0, THREAD);
}

// IM-10
#[test]
fn what_is_too_long_for_a_message_opens_a_session() {
    let long = "x".repeat(701);
    let mut stage = Stage::new();
    let actions = stage.feed(single(Some(THREAD), &long));
    assert!(
        matches!(actions.as_slice(), [Action::Invite { .. }]),
        "{actions:?}"
    );
    let [Action::Invite { chat, .. }] = actions.as_slice() else {
        unreachable!();
    };
    let refused = ChatEvent::Rejected(Rejection {
        status: 488,
        fault: Fault::new(Condition::NotAcceptable),
    });
    let actions = stage.feed(Event::Chat(*chat, refused));
    assert_eq!(refusals(&actions), [("m1", Condition::PolicyViolation)]);

    let mut stage = Stage::new();
    stage.settings(|settings| settings.mode = ChatMode::Message);
    let actions = stage.feed(single(Some(THREAD), &long));
    assert_eq!(refusals(&actions), [("m1", Condition::PolicyViolation)]);
}

// IM-10: what counts is the whole request, addresses too.
#[test]
fn long_addresses_leave_less_room() {
    let Event::Written(short) = single(Some(THREAD), &"x".repeat(500)) else {
        unreachable!();
    };
    let device = "b".repeat(300);
    let mut long = short.clone();
    Arc::make_mut(&mut long.origin).from = short.origin.from.with_resource(&device).unwrap();
    let mut stage = Stage::new();
    sent(&stage.feed(Event::Written(short)));
    let mut stage = Stage::new();
    let actions = stage.feed(Event::Written(long));
    assert!(
        matches!(actions.as_slice(), [Action::Invite { .. }]),
        "{actions:?}"
    );
}

// IM-16
#[test]
fn a_message_in_the_dialog_of_a_session_is_part_of_it() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let actions = stage.feed(paged("another", Some(chat)));
    assert_eq!(
        thread_of(&actions),
        (THREAD, crate::xmpp::MessageType::Chat)
    );
}

// IM-15
#[test]
fn when_it_was_written_is_told() {
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
    let mut stage = Stage::new();
    let Event::Written(late) = single(None, "text") else {
        unreachable!();
    };
    let actions = stage.feed(Event::Written(Written {
        sent: Some(written),
        ..late
    }));
    assert_eq!(sent(&actions).sent, Some(written));
}
