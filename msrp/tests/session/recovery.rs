//! What becomes of messages when a session is lost, and of sessions when a peer answers oddly or not at all.

use std::time::Duration;

use bytes::Bytes;
use stox_msrp::{
    FailureReport, History, Limits, LostCause, Outgoing, Role, SendError, SessionEvent,
    SessionOptions, Unconfirmed,
    session::{Chunking, Output},
};

use crate::stage::*;

// MSRP-10
#[test]
fn what_is_unconfirmed_is_given_back_and_sent_again() {
    let mut side = Side::with(Role::Passive, Limits::default(), OF_2048);
    side.bind();
    for token in [1, 2] {
        side.send(&outgoing(token)).unwrap();
    }
    side.send(&Outgoing {
        body: Bytes::from(vec![b'x'; 5000]),
        ..outgoing(3)
    })
    .unwrap();
    side.send(&Outgoing {
        failure_report: FailureReport::No,
        ..outgoing(4)
    })
    .unwrap();
    let sent = side.sent();
    let first = transaction_id(&sent);
    let second = sent.split("MSRP ").nth(2).unwrap();
    let second_id = header(second, "Message-ID");
    side.receive(&response(&first, 200));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 1 }]);
    side.chunk();
    side.sent();
    side.lose(LostCause::ConnectionEnded);
    let given_back = side.given_back();
    let cause = LostCause::ConnectionEnded;
    assert_eq!(side.events(), [SessionEvent::Lost { cause }]);
    let tokens: Vec<u64> = given_back.iter().map(|u| u.outgoing.token).collect();
    assert_eq!(tokens, [2, 3, 4]);
    assert_eq!(given_back[0].message_id.as_str(), second_id);
    assert_eq!(given_back[1].outgoing.body.len(), 5000);

    // The next session; a REPORT about it is understood there too.
    let mut side = Side::bound();
    let message = given_back.into_iter().next().unwrap();
    side.again(message).unwrap();
    let sent = side.sent();
    assert_eq!(header(&sent, "Message-ID"), second_id);
    side.receive(&response(&transaction_id(&sent), 200));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 2 }]);
    let headers = format!("Message-ID: {second_id}\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n");
    side.receive(&request("aaaa", "REPORT", &headers));
    let [
        SessionEvent::Reported {
            token: 2,
            status: 200,
            ..
        },
    ] = side.events()[..]
    else {
        panic!()
    };
}

// MSRP-10, SEC-14
#[test]
fn what_is_held_to_be_given_back_is_bounded() {
    let limits = Limits {
        unconfirmed: 10,
        ..Limits::default()
    };
    let mut side = Side::with(Role::Passive, limits, Chunking::default());
    side.bind();
    side.send(&outgoing(1)).unwrap();
    side.send(&outgoing(2)).unwrap();
    let sent = side.sent();
    assert_eq!(side.send(&outgoing(3)), Err(SendError::Full));
    side.receive(&response(&transaction_id(&sent), 200));
    side.send(&outgoing(3)).unwrap();
}

// MSRP-11
#[test]
fn a_message_is_delivered_once_whatever_the_session() {
    let history = History::default();
    let mut side = remembering(&history);
    let hello = |id| message(id, "m1", "1-5/5", "Success-Report: yes\r\n", "hello", '$');
    side.receive(&hello("aaaa"));
    assert_eq!(side.messages().len(), 1);
    side.lose(LostCause::ConnectionEnded);

    let mut side = remembering(&history);
    side.receive(&hello("bbbb"));
    assert!(side.messages().is_empty());
    let sent = side.sent();
    assert!(sent.starts_with("MSRP bbbb 200 OK\r\n"));
    let (_, report) = sent.split_once("-------bbbb$\r\n").unwrap();
    assert!(report.contains(" REPORT\r\n"));
    assert_eq!(header(report, "Message-ID"), "m1");
    assert_eq!(header(report, "Byte-Range"), "1-5/5");
    assert_eq!(header(report, "Status"), "000 200 OK");
    // In chunks too.
    side.receive(&message("cccc", "m1", "1-*/5", "", "he", '+'));
    side.receive(&message("dddd", "m1", "3-*/5", "", "llo", '$'));
    assert_eq!(side.statuses(), ["cccc 200", "dddd 200"]);
    assert!(side.messages().is_empty());
    // Of another peer it is another message.
    let mut side = Side::bound();
    side.receive(&hello("eeee"));
    assert_eq!(side.messages().len(), 1);
}

// MSRP-11
#[test]
fn a_message_that_was_refused_may_come_again() {
    let mut side = Side::bound();
    for (id, status) in [("aaaa", 403), ("bbbb", 200)] {
        side.receive(&message(id, "m1", "1-5/5", "", "hello", '$'));
        let messages = side.messages();
        side.respond(&messages[0], status);
        assert_eq!(side.statuses(), [format!("{id} {status}")]);
    }
    side.receive(&message("cccc", "m1", "1-5/5", "", "hello", '$'));
    assert!(side.messages().is_empty());
    assert_eq!(side.statuses(), ["cccc 200"]);
}

// MSRP-20, T10
#[test]
fn who_disowns_the_session_loses_it_and_the_message_is_given_back() {
    for status in [481, 506] {
        let mut side = Side::bound();
        side.send(&outgoing(1)).unwrap();
        side.send(&outgoing(2)).unwrap();
        let first = transaction_id(&side.sent());
        side.receive(&response(&first, status));
        let tokens: Vec<u64> = side.given_back().iter().map(|u| u.outgoing.token).collect();
        assert_eq!(tokens, [1, 2]);
        let cause = LostCause::Disowned { status };
        assert_eq!(side.events(), [SessionEvent::Lost { cause }]);

        let mut side = Side::bound();
        side.send(&outgoing(1)).unwrap();
        let message_id = header(&side.sent(), "Message-ID");
        let headers = format!("Message-ID: {message_id}\r\nStatus: 000 {status} Gone\r\n");
        side.receive(&request("aaaa", "REPORT", &headers));
        let [
            SessionEvent::Reported { .. },
            SessionEvent::Lost { cause: found },
        ] = side.events()[..]
        else {
            panic!()
        };
        assert_eq!(found, cause);
    }
}

// MSRP-20, T10
#[test]
fn a_timeout_elsewhere_counts_as_ours_and_three_in_a_row_end_the_session() {
    let mut side = Side::bound();
    let cause = LostCause::Unresponsive;
    for (token, status, lost) in [
        (1, 408, false),
        (2, 408, false),
        (3, 200, false),
        (4, 408, false),
        (5, 408, false),
        (6, 408, true),
    ] {
        side.send(&outgoing(token)).unwrap();
        let id = transaction_id(&side.sent());
        side.receive(&response(&id, status));
        let outcome = match status {
            408 => SessionEvent::Unanswered { token },
            _ => SessionEvent::Accepted { token },
        };
        let mut expected = vec![outcome];
        expected.extend(lost.then_some(SessionEvent::Lost { cause }));
        assert_eq!(side.events(), expected);
    }
    // And so does silence.
    let mut side = Side::bound();
    for token in 1..=3 {
        side.send(&outgoing(token)).unwrap();
        side.sent();
        side.pass(Duration::from_secs(30));
    }
    assert_eq!(side.events().last(), Some(&SessionEvent::Lost { cause }));
    // Who wants to hear of errors only does not hear of it.
    let mut side = Side::bound();
    side.send(&Outgoing {
        failure_report: FailureReport::Partial,
        ..outgoing(1)
    })
    .unwrap();
    let id = transaction_id(&side.sent());
    side.receive(&response(&id, 408));
    assert_eq!(side.events(), []);
}

// MSRP-20, T10
#[test]
fn a_refused_type_is_not_sent_again() {
    let mut side = Side::bound();
    let of_type = |token, content_type: &str| Outgoing {
        content_type: content_type.to_owned(),
        ..outgoing(token)
    };
    for content_type in ["text/html; charset=utf-8", "message/cpim"] {
        side.send(&of_type(1, content_type)).unwrap();
        let id = transaction_id(&side.sent());
        side.receive(&response(&id, 415));
    }
    side.events();
    assert_eq!(
        side.send(&of_type(2, "Text/HTML")),
        Err(SendError::RefusedType)
    );
    // It may have been what was inside that was not taken.
    side.send(&of_type(3, "message/cpim")).unwrap();
    side.send(&of_type(4, "text/plain")).unwrap();
}

// T10
#[test]
fn other_statuses_refuse_the_message_and_keep_the_session() {
    for status in [400, 403, 404, 413, 415, 423, 424, 425, 428, 501, 404, 599] {
        let mut side = Side::bound();
        side.send(&outgoing(1)).unwrap();
        let id = transaction_id(&side.sent());
        side.receive(&response(&id, status));
        assert_eq!(side.events(), [SessionEvent::Refused { token: 1, status }]);
        side.send(&Outgoing {
            content_type: "a/b".to_owned(),
            ..outgoing(2)
        })
        .unwrap();
    }
}

// MSRP-26
#[test]
fn an_idle_session_shows_that_it_lives() {
    let options = SessionOptions {
        keep_alive: Some(Duration::from_secs(60)),
        ..SessionOptions::default()
    };
    let usual = (Limits::default(), Chunking::default());
    let mut side = Side::having(Role::Passive, usual.0, usual.1, options);
    side.bind();
    side.pass(Duration::from_secs(50));
    side.receive(&request("aaaa", "SEND", "Message-ID: 1112\r\n"));
    side.sent();
    side.pass(Duration::from_secs(59));
    assert_eq!(side.sent(), "");
    side.pass(Duration::from_secs(1));
    let sent = side.sent();
    assert!(sent.contains(" SEND\r\n") && !sent.contains("Content-Type"));
    assert_eq!(header(&sent, "Byte-Range"), "1-0/0");
    side.receive(&response(&transaction_id(&sent), 200));
    assert_eq!(side.events(), []);
    // One that is not answered is followed by others, until the peer counts as gone.
    for _ in 0..5 {
        side.pass(Duration::from_secs(60));
        side.sent();
    }
    let cause = LostCause::Unresponsive;
    assert_eq!(side.events(), [SessionEvent::Lost { cause }]);
    // By default there is nothing of it.
    let mut side = Side::bound();
    side.pass(Duration::from_secs(100_000));
    assert_eq!(side.sent(), "");
}

impl Side {
    fn given_back(&mut self) -> Vec<Unconfirmed> {
        self.taken(|output| match output {
            Output::GiveBack(unconfirmed) => Some(unconfirmed.clone()),
            _ => None,
        })
    }

    fn again(&mut self, unconfirmed: Unconfirmed) -> Result<(), SendError> {
        let (now, outbound) = (self.now, &mut self.outbound);
        self.core
            .send_again(unconfirmed, now, &mut self.rng, outbound)
            .map_err(|unsent| unsent.why)
    }
}

fn remembering(history: &History) -> Side {
    let options = SessionOptions {
        history: history.clone(),
        ..SessionOptions::default()
    };
    let usual = (Limits::default(), Chunking::default());
    let mut side = Side::having(Role::Passive, usual.0, usual.1, options);
    side.bind();
    side
}
