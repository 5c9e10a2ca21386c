//! Errors survive. CHAT-38.

use super::*;
use crate::xmpp::{OutgoingPresence, PresenceType};

// CHAT-38
#[test]
fn errors_are_written_again_until_the_server_has_taken_them() {
    let mut bench = Bench::up();
    bench.push_error("e1");
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.ids(), ["e1", "-", "sync-1"]);
    bench.push_error("e2");
    assert_eq!(bench.ids(), ["e2"]);
    assert_eq!(bench.outbox.handle_down(), vec![1]);
    bench.push(Some(2)).unwrap();
    bench.push_error("e3");
    assert_eq!(bench.ids(), [""; 0]);
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["e1", "e2", "-", "e3", "sync-2"]);
    assert_eq!(bench.answer(1), Answer::Unasked);
    assert_eq!(bench.answer(2), Answer::Marker(vec![2]));
    assert_eq!(bench.outbox.handle_down(), Vec::<u32>::new());
    bench.outbox.handle_up();
    assert!(!bench.outbox.has_round());
    assert_eq!(bench.outbox.poll_forgotten(bench.now), None);
}

// CHAT-38
#[test]
fn an_error_may_be_confirmed_like_any_other_stanza() {
    let mut bench = Bench::up();
    bench.push_this(&message_error("e", ""), Some(1)).unwrap();
    bench.ids();
    assert_eq!(bench.outbox.handle_down(), Vec::<u32>::new());
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["e", "sync-2"]);
    assert_eq!(bench.answer(2), Answer::Marker(vec![1]));
}

#[test]
fn errors_of_every_kind_of_stanza_survive() {
    let to = Jid::parse("juliet@example.com/balcony").unwrap();
    let romeo = Jid::parse("romeo%example.net@sip.example.com").unwrap();
    let request = Iq {
        from: to.clone(),
        to: romeo.clone(),
        kind: IqType::Get,
        ..marker(1)
    };
    let mut presence = OutgoingPresence::new(&romeo, &to, PresenceType::Error);
    presence.error = Some(StanzaError::default());
    let mut bench = Bench::up();
    let iq = OutgoingIq::error(&request, StanzaError::default());
    bench.push_this(&iq.into(), None).unwrap();
    bench.push_this(&presence.into(), None).unwrap();
    let result = OutgoingIq::result(&request, None);
    bench.push_this(&result.into(), None).unwrap();
    assert_eq!(bench.ids(), ["sync-1", "-", "sync-1", "sync-1"]);
    assert_eq!(bench.outbox.handle_down(), Vec::<u32>::new());
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["sync-1", "-", "sync-2"]);
}

// CHAT-38
#[test]
fn errors_outlive_the_grace_time_but_not_their_own() {
    let mut bench = Bench::new(OutboxLimits::default());
    bench.push_this(&message_error("e1", ""), Some(1)).unwrap();
    bench.now += Duration::from_secs(1800);
    bench.push_error("e2");
    assert_eq!(bench.outbox.handle_elapsed(bench.now), Vec::<u32>::new());
    bench.now += Duration::from_secs(1800);
    assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![1]);
    let forgotten = Forgotten {
        too_old: 1,
        ..Forgotten::default()
    };
    assert_eq!(bench.outbox.poll_forgotten(bench.now), Some(forgotten));
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["e2", "sync-1"]);
}

#[test]
fn errors_have_room_of_their_own() {
    let mut bench = Bench::new(OutboxLimits {
        stanzas: 1,
        ..OutboxLimits::default()
    });
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.push(Some(2)), Err(LinkRefused::Full(Some(2))));
    bench.push_error("e1");
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["-", "e1", "sync-1"]);
    assert_eq!(bench.answer(1), Answer::Marker(vec![1]));
}

#[test]
fn of_too_many_errors_the_oldest_go_and_are_counted_in_one_line() {
    let mut bench = Bench::new(OutboxLimits {
        errors: 2,
        ..OutboxLimits::default()
    });
    bench.outbox.handle_up();
    bench.push_this(&message_error("e1", ""), Some(1)).unwrap();
    bench.push_error("e2");
    assert_eq!(bench.ids(), ["e1", "e2", "sync-1"]);
    bench.push_error("e3");
    assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![1]);
    let forgotten = |no_room| Forgotten {
        no_room,
        ..Forgotten::default()
    };
    assert_eq!(bench.outbox.poll_forgotten(bench.now), Some(forgotten(1)));
    assert_eq!(bench.ids(), ["e3"]);
    // The marker stands for what is left of what was before it.
    assert_eq!(bench.answer(1), Answer::Marker(vec![]));
    assert_eq!(bench.ids(), ["sync-2"]);
    for id in ["e4", "e5", "e6"] {
        bench.push_error(id);
    }
    bench.now += Duration::from_secs(59);
    assert_eq!(bench.outbox.poll_forgotten(bench.now), None);
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.outbox.poll_forgotten(bench.now), Some(forgotten(2)));
    assert_eq!(bench.ids(), ["e5", "e6"]);
}

#[test]
fn errors_are_bounded_by_bytes() {
    let mut bench = Bench::new(OutboxLimits {
        error_bytes: 1000,
        ..OutboxLimits::default()
    });
    bench.push_error("e1");
    bench
        .push_this(&message_error("e2", &"x".repeat(500)), None)
        .unwrap();
    assert_eq!(
        bench.push_this(&message_error("e3", &"x".repeat(1000)), Some(3)),
        Err(LinkRefused::Full(Some(3)))
    );
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["e2", "sync-1"]);
}

// A stanza at which a server ends the stream must not do so again and again.
#[test]
fn an_error_at_which_three_connections_broke_is_not_written_again() {
    let mut bench = Bench::up();
    bench.push_this(&message_error("e1", ""), Some(1)).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.ids().first().map(String::as_str), Some("e1"));
        assert_eq!(bench.outbox.handle_down(), Vec::<u32>::new());
        bench.outbox.handle_up();
    }
    assert_eq!(bench.ids().first().map(String::as_str), Some("e1"));
    bench.push_error("e2");
    assert_eq!(bench.outbox.handle_down(), vec![1]);
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["e2", "sync-4"]);
    let forgotten = Forgotten {
        broken: 1,
        ..Forgotten::default()
    };
    assert_eq!(bench.outbox.poll_forgotten(bench.now), Some(forgotten));
}

#[test]
fn closing_waits_for_errors_and_counts_those_it_must_drop() {
    let mut bench = Bench::up();
    bench.push_this(&message_error("e1", ""), Some(1)).unwrap();
    bench.push_error("e2");
    assert_eq!(bench.outbox.close(), Vec::<u32>::new());
    assert_eq!(bench.ids(), ["e1", "e2", "sync-1"]);
    assert!(!bench.outbox.is_drained());
    assert_eq!(bench.outbox.handle_down(), vec![1]);
    assert!(bench.outbox.is_drained());
    let forgotten = Forgotten {
        closed: 2,
        ..Forgotten::default()
    };
    assert_eq!(bench.outbox.poll_forgotten(bench.now), Some(forgotten));

    let mut bench = Bench::up();
    bench.push_error("e1");
    bench.ids();
    assert_eq!(bench.outbox.close(), Vec::<u32>::new());
    bench.answer(1);
    assert!(bench.outbox.is_drained());
}

#[test]
fn an_error_too_large_goes_without_the_words_it_gives_back() {
    let mut bench = Bench::up();
    let large = message_error("e", &"&".repeat(256 * 1024 / 5));
    bench.push_this(&large, None).unwrap();
    let mut round = BytesMut::new();
    assert_eq!(
        bench.outbox.poll_round(bench.now, &mut round),
        Vec::<u32>::new()
    );
    let text = std::str::from_utf8(&round).unwrap();
    assert!(text.contains("id=\"e\" type=\"error\"><error "), "{text}");
    let hopeless = message_error(&"x".repeat(256 * 1024), "");
    assert_eq!(
        bench.push_this(&hopeless, Some(1)),
        Err(LinkRefused::TooLarge(Some(1)))
    );
}
