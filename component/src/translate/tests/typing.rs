//! Who is writing: what time brings, and who is told nothing.

use stox_msrp::is_composing::{self, IsComposing};

use super::*;

/// What these say to romeo and to juliet: `true` for an isComposing document with state active.
fn told(actions: &[Action]) -> (Vec<bool>, Vec<ChatState>) {
    let mut told = (Vec::new(), Vec::new());
    for action in actions {
        match action {
            Action::Send {
                content_type: is_composing::MEDIA_TYPE,
                body,
                failure_report: FailureReport::No,
                ..
            } => {
                let status = IsComposing::parse(body).unwrap();
                told.0.push(status.shown_for().is_some());
            }
            Action::Stanza(Outgoing::Message(message), None) => told.1.extend(message.state()),
            Action::Respond { status: 200, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    told
}

fn stated(state: ChatState) -> Event {
    Event::Stated {
        thread: Some(THREAD.to_owned()),
        state,
    }
}

fn status(chat: ChatId, refresh: Option<u64>) -> Event {
    let status = IsComposing {
        refresh: refresh.map(Duration::from_secs),
        ..IsComposing::active(Duration::from_secs(1))
    };
    received(chat, 7, is_composing::MEDIA_TYPE, &status.to_xml())
}

/// As [`message`], from a client with chat states.
fn message_with_state(id: &str) -> Event {
    let Event::Written(written) = message(id, Some(THREAD), "text") else {
        unreachable!();
    };
    Event::Written(Written {
        chat_state: Some(ChatState::Active),
        ..written
    })
}

// COMP-05
#[test]
fn composing_is_said_again_until_it_cannot_be_true_any_more() {
    let mut stage = Stage::new();
    stage.settings(|settings| settings.idle = Duration::from_secs(3600));
    let _ = stage.open(THREAD);
    let began = stage.now;
    assert_eq!(told(&stage.feed(stated(ChatState::Composing))).0, [true]);
    let mut again = 0;
    loop {
        match told(&stage.elapse()).0.as_slice() {
            [true] => again += 1,
            [false] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(again, 11);
    assert_eq!(stage.now - began, Duration::from_secs(600));
}

// COMP-05 COMP-08
#[test]
fn nothing_is_said_again_after_the_writing_has_stopped() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let idle = stage.core.poll_timeout();
    stage.feed(stated(ChatState::Composing));
    assert_eq!(told(&stage.feed(stated(ChatState::Paused))).0, [false]);
    assert!(told(&stage.feed(stated(ChatState::Inactive))).0.is_empty());
    assert_eq!(stage.core.poll_timeout(), idle);
    stage.feed(stated(ChatState::Composing));
    let sent = stage.feed(message_with_state("m2"));
    stage.accept(chat, &sent);
    assert_eq!(stage.core.poll_timeout(), idle);
}

// COMP-06
#[test]
fn a_status_of_the_sip_user_ends_by_itself() {
    for (refresh, seconds) in [(Some(30), 30), (None, 120)] {
        let mut stage = Stage::new();
        let chat = stage.open(THREAD);
        stage.feed(message_with_state("m2"));
        let began = stage.now;
        assert_eq!(
            told(&stage.feed(status(chat, refresh))).1,
            [ChatState::Composing]
        );
        assert_eq!(told(&stage.elapse()).1, [ChatState::Active]);
        assert_eq!(stage.now - began, Duration::from_secs(seconds));
    }
}

// COMP-04
#[test]
fn states_are_for_those_who_know_them_and_have_heard_of_the_session() {
    let mut stage = Stage::new();
    let chat = stage.invited();
    assert_eq!(told(&stage.feed(status(chat, None))).1, []);

    let mut stage = Stage::new();
    // Her client writes without chat states.
    let chat = stage.open(THREAD);
    assert_eq!(told(&stage.feed(status(chat, None))).1, []);
    let actions = stage.feed(received(chat, 1, "text/plain", "text"));
    let [Action::Stanza(Outgoing::Message(stanza), _)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(stanza.state(), None);
}

// COMP-03
#[test]
fn a_message_says_active_itself() {
    let mut stage = Stage::new();
    let chat = stage.invited();
    let actions = stage.feed(received(chat, 1, "text/plain", "text"));
    let [Action::Stanza(Outgoing::Message(stanza), _)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(stanza.state(), Some(ChatState::Active));
}

// COMP-02
#[test]
fn a_peer_that_takes_no_status_gets_none() {
    let mut stage = Stage::new();
    stage.takes_composing = false;
    let _ = stage.open(THREAD);
    let due = stage.core.poll_timeout();
    assert!(told(&stage.feed(stated(ChatState::Composing))).0.is_empty());
    assert_eq!(stage.core.poll_timeout(), due);
}

// COMP-02
#[test]
fn a_status_is_wrapped_where_text_is() {
    let mut stage = Stage::new();
    stage.wrapping = Wrapping::Cpim;
    let _ = stage.open(THREAD);
    let actions = stage.feed(stated(ChatState::Composing));
    let [
        Action::Send {
            content_type: "message/cpim",
            body,
            ..
        },
    ] = actions.as_slice()
    else {
        panic!("{actions:?}");
    };
    let message = stox_msrp::cpim::Message::parse(body).unwrap();
    assert_eq!(
        message.content_type.as_deref(),
        Some(is_composing::MEDIA_TYPE)
    );
    assert!(IsComposing::parse(&message.body).is_ok());
}

// COMP-12 CHAT-07
#[test]
fn what_is_no_news_is_not_told() {
    let mut stage = Stage::new();
    let actions = stage.feed(message_with_state("m1"));
    let [Action::Invite { chat, .. }] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    let chat = *chat;
    assert!(stage.feed(stated(ChatState::Composing)).is_empty());
    let media = Ok(stage.media(Role::Active));
    stage.feed(Event::Chat(
        chat,
        ChatEvent::Answered {
            media,
            device: None,
        },
    ));
    stage.now += Duration::from_secs(11);
    let sent = stage.feed(Event::Chat(chat, ChatEvent::Bound));
    stage.accept(chat, &sent);
}

// COMP-10
#[test]
fn by_message_only_where_the_client_does_the_same() {
    let page = |content| {
        Event::Paged(Paged {
            transaction: stox_sip::ServerTransactionId::from_number(1),
            call_id: "a84b4c76e66710".to_owned(),
            content,
            from: "sip:romeo@example.net".parse().unwrap(),
            chat: None,
        })
    };
    let mut stage = Stage::new();
    stage.settings(|settings| settings.mode = ChatMode::Message);
    let status = || {
        page(Content::Composing(IsComposing::active(
            Duration::from_secs(60),
        )))
    };
    // No exchange of messages: nobody to be told.
    let actions = stage.feed(status());
    assert!(
        matches!(actions.as_slice(), [Action::RespondPage(_)]),
        "{actions:?}"
    );
    stage.feed(message_with_state("m1"));
    stage.feed(Event::PageAnswered(Ok(())));
    assert!(stage.feed(stated(ChatState::Composing)).is_empty());
    let actions = stage.feed(status());
    let [
        Action::Stanza(Outgoing::Message(shown), None),
        Action::RespondPage(_),
    ] = actions.as_slice()
    else {
        panic!("{actions:?}");
    };
    assert_eq!(shown.state(), Some(ChatState::Composing));
    let actions = stage.feed(stated(ChatState::Composing));
    let [Action::Page(sent)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(sent.content_type, is_composing::MEDIA_TYPE);
    let unsupported = stox_sip::Status::UNSUPPORTED_MEDIA_TYPE;
    stage.feed(Event::PageAnswered(Err(PageFault::Rejected(Rejection {
        status: 415,
        fault: Fault::from_sip(unsupported, ""),
    }))));
    stage.feed(status());
    assert!(stage.feed(stated(ChatState::Paused)).is_empty());
    assert!(stage.feed(stated(ChatState::Composing)).is_empty());
}
