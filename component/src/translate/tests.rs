//! What transcripts cannot say: threads, bounds, time, and messages that come back.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stox_msrp::{FailureReport, Incoming, IncomingId, LostCause, Role};

use super::*;
use crate::translate::promise::{Origin, Outcome, Settlement};

const THREAD: &str = "e0ffe42b28561960c6b12b944a092794b9683a38";

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
            .feed(Event::Gone {
                thread: Some(THREAD.to_owned())
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
fn a_lost_connection_gives_back_what_has_no_answer() {
    // CHAT-29
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    stage.feed(message("m2", Some(THREAD), "two"));
    let actions = stage.feed(Event::Chat(
        chat,
        ChatEvent::Disconnected(LostCause::ConnectionEnded),
    ));
    assert_eq!(
        refusals(&actions),
        [("m2", Condition::RecipientUnavailable)]
    );
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Bye(_, Reason::MediaLost)))
    );
    assert!(stage.core.is_quiet());
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
    let bounce = Event::Bounced {
        id: "tid1".to_owned(),
        fault: Fault::new(Condition::ItemNotFound),
    };
    let actions = stage.feed(bounce);
    assert!(
        matches!(
            actions.as_slice(),
            [
                Action::Bye(_, Reason::Refused(404)),
                Action::Settle(Settlement { outcome: Outcome::Refused(fault), .. }),
                Action::Close(_)
            ] if fault.to_msrp() == 403
        ),
        "{actions:?}"
    );
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
    let bounce = Event::Bounced {
        id: "tid1".to_owned(),
        fault: Fault::new(Condition::PolicyViolation),
    };
    let actions = stage.feed(bounce);
    assert!(
        matches!(actions.as_slice(), [Action::ReportFailure { message_id, length: 6, status: 413, .. }]
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

#[test]
fn a_stranger_leaves_nothing_behind() {
    // SEC-14: a MESSAGE out of the blue is forgotten as soon as it is answered.
    let mut stage = Stage::new();
    let actions = stage.feed(Event::Paged(Paged {
        transaction: stox_sip::ServerTransactionId::from_number(1),
        call_id: "a84b4c76e66710".to_owned(),
        body: "Hello?".to_owned(),
        subject: None,
        lang: None,
        from: "sip:romeo@example.net".parse().unwrap(),
        to: "juliet@example.com".parse().unwrap(),
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

struct Stage {
    core: Conversation,
    now: Instant,
    max_size: Option<u64>,
}

impl Stage {
    fn new() -> Stage {
        let parties = Parties {
            juliet: "juliet@example.com".parse().unwrap(),
            juliet_uri: "sip:juliet@example.com".parse().unwrap(),
            romeo: "romeo%example.net@sip.example.com".parse().unwrap(),
            romeo_uri: "sip:romeo@example.net".parse().unwrap(),
        };
        Stage {
            core: Conversation::new(
                parties,
                Settings::default(),
                1,
                Clock::new(Instant::now(), SystemTime::UNIX_EPOCH),
            ),
            now: Instant::now(),
            max_size: None,
        }
    }

    fn feed(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.core.handle(event, self.now, &mut actions);
        actions
    }

    /// Lets the time of the next deadline come.
    fn elapse(&mut self) -> Vec<Action> {
        self.now = self.core.poll_timeout().expect("something waits");
        self.feed(Event::Elapsed)
    }

    /// A session that juliet opened and romeo took, its first message answered.
    fn open(&mut self, thread: &str) -> ChatId {
        assert_eq!(thread, THREAD);
        self.open_with("Art thou not Romeo?")
    }

    fn open_with(&mut self, text: &str) -> ChatId {
        let actions = self.feed(message("m1", Some(THREAD), text));
        let [Action::Invite { chat, .. }] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        let chat = *chat;
        let media = Ok(self.media(Role::Active));
        self.feed(Event::Chat(
            chat,
            ChatEvent::Answered {
                media,
                device: None,
            },
        ));
        let sent = self.feed(Event::Chat(chat, ChatEvent::Bound));
        self.accept(chat, &sent);
        chat
    }

    /// A session that romeo opened.
    fn invited(&mut self) -> ChatId {
        let chat = self.core.next_chat();
        let invitation = Invitation {
            call_id: "742507no".to_owned(),
            offer: Some(self.media(Role::Passive)),
            from: "sip:romeo@example.net".parse().unwrap(),
            to: "juliet@example.com".parse().unwrap(),
        };
        self.feed(Event::Invited(chat, invitation));
        self.feed(Event::Chat(chat, ChatEvent::Bound));
        chat
    }

    /// romeo answers 200 to the one SEND among these.
    fn accept(&mut self, chat: ChatId, sent: &[Action]) -> Vec<Action> {
        let [Action::Send { token, .. }] = sent else {
            panic!("{sent:?}");
        };
        self.feed(Event::Chat(chat, ChatEvent::Accepted(*token)))
    }

    fn media(&self, role: Role) -> Media {
        Media {
            path: vec![
                "msrp://romeo.example.net:7394/kjhd37s2s2;tcp"
                    .parse()
                    .unwrap(),
            ],
            role,
            wrapping: Wrapping::Plain,
            max_size: self.max_size,
        }
    }
}

fn message(id: &str, thread: Option<&str>, body: &str) -> Event {
    Event::Written(Written {
        origin: Origin {
            from: "juliet@example.com/balcony".parse().unwrap(),
            to: "romeo%example.net@sip.example.com".parse().unwrap(),
            id: Some(id.to_owned()),
            thread: thread.map(str::to_owned),
        },
        kind: Kind::Chat,
        body: body.to_owned(),
        subject: None,
        lang: None,
    })
}

fn received(chat: ChatId, number: u64, content_type: &str, body: &str) -> Event {
    let incoming = Incoming {
        id: IncomingId::from_number(number),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some(content_type.to_owned()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        success_report: false,
        failure_report: FailureReport::Yes,
    };
    Event::Chat(chat, ChatEvent::Received(incoming))
}

/// The ids of juliet's messages that come back, and why.
fn refusals(actions: &[Action]) -> Vec<(&str, Condition)> {
    let refusal = |action| match action {
        &Action::Settle(Settlement {
            ticket: Ticket::Stanza(ref origin),
            outcome: Outcome::Refused(ref fault),
        }) => Some((origin.id.as_deref().unwrap_or_default(), fault.condition())),
        _ => None,
    };
    actions.iter().filter_map(refusal).collect()
}
