//! What transcripts cannot say: threads, bounds, time, and messages that come back.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stox_msrp::{FailureReport, Incoming, IncomingId, LostCause, Role};

use super::*;
use crate::translate::promise::{Origin, Outcome, Settlement};
use crate::xmpp::Outgoing;

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
                Action::ReportFailure {
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
        matches!(actions.as_slice(), [Action::ReportFailure { chat, .. }] if *chat == one),
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
        matches!(actions.as_slice(), [Action::ReportFailure { .. }]),
        "{actions:?}"
    );
    let actions = stage.feed(received(chat, 2, "text/plain", "two"));
    let [Action::Stanza(Outgoing::Message(message), _)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(message.to().as_str(), "juliet@example.com");
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
            .feed(Event::Gone {
                thread: Some(THREAD.to_owned())
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
fn a_peer_that_forgot_the_session_ends_it() {
    // T10: 481, or three messages without any answer
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let token = token_of(&stage.feed(message("m2", Some(THREAD), "two")));
    let actions = stage.feed(Event::Chat(chat, ChatEvent::Refused(token, 481)));
    assert_eq!(refusals(&actions), [("m2", Condition::ItemNotFound)]);
    assert!(stage.core.is_quiet());

    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    for (number, id) in ["m2", "m3", "m4"].into_iter().enumerate() {
        assert!(
            !stage.core.is_quiet(),
            "{number} unanswered messages are not enough"
        );
        let token = token_of(&stage.feed(message(id, Some(THREAD), "hello?")));
        let actions = stage.feed(Event::Chat(chat, ChatEvent::Unanswered(token)));
        assert_eq!(refusals(&actions), [(id, Condition::RemoteServerTimeout)]);
    }
    assert!(stage.core.is_quiet());
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

    /// The XMPP server takes the one stanza that this makes.
    fn hand_over(&mut self, event: Event) -> Vec<Action> {
        let actions = self.feed(event);
        let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        self.feed(Event::Handed(*token))
    }

    /// A session that romeo opened.
    fn invited(&mut self) -> ChatId {
        let chat = self.core.next_chat();
        let invitation = self.invitation();
        self.feed(Event::Invited(chat, invitation));
        self.feed(Event::Chat(chat, ChatEvent::Bound));
        chat
    }

    fn invitation(&self) -> Invitation {
        Invitation {
            call_id: "742507no".to_owned(),
            offer: Some(self.media(Role::Passive)),
            from: "sip:romeo@example.net".parse().unwrap(),
            to: "juliet@example.com".parse().unwrap(),
        }
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

fn bounce(id: &str, condition: Condition) -> Event {
    Event::Bounced {
        id: id.to_owned(),
        fault: Fault::new(condition),
    }
}

fn token_of(sent: &[Action]) -> Token {
    match sent {
        [Action::Send { token, .. }] => *token,
        other => panic!("{other:?}"),
    }
}

/// The statuses that romeo's MSRP messages are answered with.
fn settled_with(actions: &[Action]) -> Vec<u16> {
    let status = |action: &Action| match action {
        Action::Settle(Settlement {
            ticket: Ticket::Send { .. },
            outcome,
        }) => Some(match outcome {
            Outcome::Delivered => 200,
            Outcome::Refused(fault) => fault.to_msrp(),
        }),
        _ => None,
    };
    actions.iter().filter_map(status).collect()
}
