//! Messages that come and go whole or in chunks, their answers and reports.

use std::time::Duration;

use bytes::Bytes;
use stox_msrp::{
    ByteRange, FailureReport, Limits, LostCause, Outgoing, Report, Role, SendError, SessionEvent,
};

use stox_msrp::session::Chunking;

use crate::stage::*;

// MSRP-07
#[test]
fn the_active_side_binds_with_an_empty_send() {
    let mut side = Side::connected(Role::Active);
    let sent = side.sent();
    let id = transaction_id(&sent);
    let message_id = header(&sent, "Message-ID");
    assert_eq!(
        sent,
        format!(
            "MSRP {id} SEND\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\n\
             Message-ID: {message_id}\r\nByte-Range: 1-0/0\r\n-------{id}$\r\n"
        )
    );
    assert_eq!(side.send(&outgoing(1)), Err(SendError::NotBound));
    side.receive(&response(&id, 200));
    assert_eq!(side.events(), [SessionEvent::Bound]);
    assert_eq!(side.send(&outgoing(1)), Ok(()));
}

#[test]
fn a_refused_or_unanswered_binding_ends_the_session() {
    let mut side = Side::connected(Role::Active);
    let id = transaction_id(&side.sent());
    side.receive(&response(&id, 481));
    let cause = LostCause::BindRefused { status: 481 };
    assert_eq!(side.events(), [SessionEvent::Lost { cause }]);
    assert_eq!(side.send(&outgoing(1)), Err(SendError::Closed));

    let mut side = Side::connected(Role::Active);
    side.sent();
    side.pass(Duration::from_millis(29_999));
    assert_eq!(side.events(), []);
    side.pass(Duration::from_millis(1));
    let cause = LostCause::BindUnanswered;
    assert_eq!(side.events(), [SessionEvent::Lost { cause }]);
}

// MSRP-05, MSRP-07
#[test]
fn the_passive_side_is_bound_by_the_first_request() {
    let mut side = Side::connected(Role::Passive);
    assert_eq!(side.sent(), "");
    side.receive(&request(
        "abcd",
        "SEND",
        "Message-ID: 1111\r\nByte-Range: 1-0/0\r\n",
    ));
    assert_eq!(side.events(), [SessionEvent::Bound]);
    assert_eq!(
        side.sent(),
        format!("MSRP abcd 200 OK\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\n-------abcd$\r\n")
    );
    side.receive(&request("abce", "SEND", "Message-ID: 1112\r\n"));
    assert_eq!(side.statuses(), ["abce 200"]);
    assert_eq!(side.events(), []);
}

#[test]
fn the_response_waits_for_the_owner() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "1-5/5", "", "hello", '$'));
    assert_eq!(side.sent(), "");
    let [incoming] = &side.messages()[..] else {
        panic!()
    };
    assert_eq!(incoming.body, "hello");
    assert_eq!(incoming.message_id, "m1");
    assert_eq!(incoming.transaction_id, "aaaa");
    assert_eq!(incoming.content_type.as_deref(), Some("text/plain"));
    side.respond(incoming, 200);
    assert_eq!(side.statuses(), ["aaaa 200"]);
    side.respond(incoming, 200);
    assert_eq!(side.statuses(), [""; 0]);
}

// RCPT-09
#[test]
fn failure_report_decides_what_is_answered() {
    for (wish, status, answers) in [
        ("yes", 200, true),
        ("yes", 403, true),
        ("partial", 200, false),
        ("partial", 403, true),
        ("no", 200, false),
        ("no", 403, false),
    ] {
        let mut side = Side::bound();
        let header = format!("Failure-Report: {wish}\r\n");
        side.receive(&message("aaaa", "m1", "1-5/5", &header, "hello", '$'));
        let messages = side.messages();
        side.respond(&messages[0], status);
        assert_eq!(!side.sent().is_empty(), answers, "{wish} {status}");
        // What the session decides itself follows the same rule.
        side.receive(&message("aaab", "m2", "1-5/9999999", &header, "hello", '$'));
        assert_eq!(side.sent().contains(" 413 "), wish != "no", "{wish}");
        side.receive(&message("aaac", "m3", "1-2/4", &header, "he", '+'));
        assert_eq!(side.sent().contains(" 200 "), wish == "yes", "{wish}");
    }
}

// MSRP-12, CHAT-14
#[test]
fn chunks_in_any_order_make_one_message() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "6-11/11", "", " world", '$'));
    side.receive(&message("bbbb", "m2", "1-1/2", "", "x", '+'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 200"]);
    assert!(side.messages().is_empty());
    side.receive(&message("cccc", "m1", "1-5/11", "", "hello", '+'));
    let messages = side.messages();
    assert_eq!(messages[0].body, "hello world");
    assert_eq!(messages[0].transaction_id, "cccc");
    assert_eq!(side.sent(), "");
    side.respond(&messages[0], 200);
    assert_eq!(side.statuses(), ["cccc 200"]);
}

// MSRP-13
#[test]
fn an_aborted_message_reaches_nobody() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "1-*/10", "", "hello", '+'));
    side.receive(&message("bbbb", "m1", "6-*/10", "", "wor", '#'));
    side.receive(&message("cccc", "m1", "9-10/10", "", "ld", '$'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 200", "cccc 200"]);
    assert!(side.messages().is_empty());
    // Who has nothing more to say of it needs no content either.
    side.receive(&message("dddd", "m2", "1-*/10", "", "hello", '+'));
    side.receive(&bodiless("eeee", "m2", "6-5/10", '#'));
    side.receive(&message("ffff", "m2", "6-10/10", "", "world", '$'));
    assert_eq!(side.statuses(), ["dddd 200", "eeee 200", "ffff 200"]);
    assert!(side.messages().is_empty());
}

// MSRP-12
#[test]
fn chunks_that_never_come_are_given_up() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "1-5/10", "", "hello", '+'));
    side.pass(Duration::from_secs(541));
    side.receive(&message("bbbb", "m1", "6-10/10", "", "world", '$'));
    assert!(side.messages().is_empty());
}

// MSRP-14
#[test]
fn impossible_ranges_and_missing_ids_are_refused() {
    let mut side = Side::bound();
    for range in ["0-5/5", "7-5/10", "1-6/5", "x"] {
        side.receive(&message("aaaa", "m1", range, "", "hello", '$'));
        assert_eq!(side.statuses(), ["aaaa 400"], "{range}");
    }
    let without_id =
        message("aaaa", "m1", "1-5/5", "", "hello", '$').replace("Message-ID: m1\r\n", "");
    side.receive(&without_id);
    assert_eq!(side.statuses(), ["aaaa 400"]);
    assert!(side.messages().is_empty());
}

// Some peers count characters where the RFC counts bytes.
#[test]
fn data_longer_than_its_range_is_taken() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "1-4/4", "", "fünf", '$'));
    assert_eq!(side.messages()[0].body, "fünf");
}

// MSRP-18, RFC 4975 §10.5
#[test]
fn too_big_a_message_is_refused_and_so_is_the_rest_of_it() {
    let mut side = Side::bound();
    side.receive(&message("aaaa", "m1", "1-*/1001", "", "x", '+'));
    side.receive(&message("bbbb", "m1", "2-*/*", "", "y", '+'));
    side.receive(&message("cccc", "m1", "3-3/*", "", "z", '$'));
    assert_eq!(side.statuses(), ["aaaa 413", "bbbb 413", "cccc 413"]);
    // What the range hides the bytes show.
    side.receive(&message("dddd", "m2", "1-*/*", "", &"x".repeat(1001), '$'));
    side.receive(&message("eeee", "m3", "1-*/*", "", &"x".repeat(1000), '+'));
    side.receive(&message("ffff", "m3", "1001-*/*", "", "x", '+'));
    assert_eq!(side.statuses(), ["dddd 413", "eeee 200", "ffff 413"]);
    // The same id from the start is a new attempt.
    side.receive(&message("gggg", "m1", "1-1/1", "", "x", '$'));
    assert_eq!(side.messages().len(), 1);
}

// SEC-14
#[test]
fn what_is_incomplete_is_bounded() {
    let mut side = Side::bound();
    for index in 0..16 {
        side.receive(&message(
            "aaaa",
            &format!("m{index}"),
            "1-1/2",
            "",
            "x",
            '+',
        ));
        assert_eq!(side.statuses(), ["aaaa 200"]);
    }
    side.receive(&message("aaaa", "m16", "1-1/2", "", "x", '+'));
    assert_eq!(side.statuses(), ["aaaa 413"]);

    let limits = Limits {
        unassembled: 500,
        unanswered_incoming: 2,
        ..Limits::default()
    };
    let mut side = Side::with(Role::Passive, limits, Chunking::default());
    side.bind();
    side.receive(&message("aaaa", "m1", "1-*/*", "", &"x".repeat(900), '+'));
    side.receive(&message("bbbb", "m2", "1-*/*", "", &"x".repeat(700), '+'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 413"]);
    for (id, status) in [("cccc", ""), ("dddd", ""), ("eeee", "eeee 413")] {
        side.receive(&message(id, id, "1-1/1", "", "x", '$'));
        assert_eq!(side.statuses().join(""), status);
    }
}

// MSRP-19, MSRP-20, MSRP-08
#[test]
fn other_methods_are_answered_and_reports_never() {
    let mut side = Side::bound();
    side.receive(&request("aaaa", "AUTH", ""));
    side.receive(&request("bbbb", "NICKNAME", "Use-Nickname: \"Alice\"\r\n"));
    side.receive(&request(
        "cccc",
        "REPORT",
        "Message-ID: nobodys\r\nStatus: 000 200 OK\r\n",
    ));
    side.receive(&request("dddd", "REPORT", "nonsense\r\n"));
    assert_eq!(side.statuses(), ["aaaa 501", "bbbb 501"]);
    assert_eq!(side.events(), []);
    let relayed = message("eeee", "m1", "1-5/9999", "", "hello", '$')
        .replace("From-Path: ", "From-Path: msrp://relay.example:9/r;tcp ");
    side.receive(&relayed);
    assert_eq!(
        header(&side.sent(), "To-Path"),
        "msrp://relay.example:9/r;tcp"
    );
}

// CHAT-12, RCPT-01, RCPT-07
#[test]
fn a_message_goes_out_whole() {
    let mut side = Side::bound();
    side.send(&Outgoing {
        success_report: true,
        failure_report: FailureReport::No,
        ..outgoing(1)
    })
    .unwrap();
    let sent = side.sent();
    let (id, message_id) = (transaction_id(&sent), header(&sent, "Message-ID"));
    assert!(message_id.len() <= 31);
    assert_eq!(
        sent,
        format!(
            "MSRP {id} SEND\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\nMessage-ID: {message_id}\r\n\
             Byte-Range: 1-5/5\r\nSuccess-Report: yes\r\nFailure-Report: no\r\n\
             Content-Type: text/plain\r\n\r\nhello\r\n-------{id}$\r\n"
        )
    );
    for content_type in ["", "text/plain\r\nX: y"] {
        let bad = Outgoing {
            content_type: content_type.to_owned(),
            ..outgoing(2)
        };
        assert_eq!(side.send(&bad), Err(SendError::BadContentType));
    }
    assert_eq!(side.sent(), "");
}

// RFC 4975 §7.1.1: what is long must say that it may be interrupted.
#[test]
fn a_long_message_goes_in_one_chunk_unless_told_otherwise() {
    let body = Bytes::from(vec![b'x'; 5000]);
    let mut side = Side::bound();
    side.send(&Outgoing {
        body: body.clone(),
        ..outgoing(1)
    })
    .unwrap();
    assert_eq!(header(&side.sent(), "Byte-Range"), "1-*/5000");

    let mut side = Side::with(Role::Passive, Limits::default(), OF_2048);
    side.bind();
    let wish = Some("wish".to_owned());
    side.send(&Outgoing {
        body,
        transaction_id: wish,
        ..outgoing(1)
    })
    .unwrap();
    let mut ids = Vec::new();
    for (range, flag) in [
        ("1-2048/5000", "+"),
        ("2049-4096/5000", "+"),
        ("4097-5000/5000", "$"),
    ] {
        let has_more = side.chunk();
        let sent = side.sent();
        assert_eq!(header(&sent, "Byte-Range"), range);
        assert!(sent.ends_with(&format!("{flag}\r\n")));
        assert_eq!(has_more, flag == "+");
        ids.push(transaction_id(&sent));
    }
    assert_eq!(ids[0], "wish");
    for id in &ids[..2] {
        side.receive(&response(id, 200));
        assert_eq!(side.events(), []);
    }
    side.receive(&response(&ids[2], 200));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 1 }]);
}

// MSRP-17
#[test]
fn a_refused_chunk_stops_its_message() {
    let mut side = Side::with(Role::Passive, Limits::default(), OF_2048);
    side.bind();
    side.send(&Outgoing {
        body: Bytes::from(vec![b'x'; 9000]),
        ..outgoing(1)
    })
    .unwrap();
    side.send(&outgoing(2)).unwrap();
    side.chunk();
    let first = transaction_id(&side.sent());
    side.chunk();
    let second = transaction_id(&side.sent());
    side.receive(&response(&first, 413));
    side.receive(&response(&second, 413));
    assert_eq!(
        side.events(),
        [SessionEvent::Refused {
            token: 1,
            status: 413
        }]
    );
    assert!(!side.chunk());
    assert!(side.sent().contains("hello"));
}

// RCPT-08
#[test]
fn silence_counts_from_the_last_byte_written() {
    for (failure_report, expected) in [
        (
            FailureReport::Yes,
            vec![SessionEvent::Unanswered { token: 1 }],
        ),
        (FailureReport::Partial, vec![]),
        (FailureReport::No, vec![]),
    ] {
        let mut side = Side::bound();
        side.send(&Outgoing {
            failure_report,
            ..outgoing(1)
        })
        .unwrap();
        side.pass(Duration::from_secs(40));
        assert_eq!(side.events(), []);
        let id = transaction_id(&side.sent());
        side.pass(Duration::from_secs(29));
        assert_eq!(side.events(), []);
        side.pass(Duration::from_secs(1));
        assert_eq!(side.events(), expected);
        side.receive(&response(&id, 200));
        side.receive(&response(&id, 403));
        assert_eq!(side.events(), []);
    }
}

#[test]
fn responses_come_in_any_order() {
    let mut side = Side::bound();
    let mut ids = Vec::new();
    for token in 0..200 {
        side.send(&outgoing(token)).unwrap();
        ids.push(transaction_id(&side.sent()));
    }
    for token in (1..200).rev() {
        side.receive(&response(&ids[token as usize], 200));
        assert_eq!(side.events(), [SessionEvent::Accepted { token }]);
        side.receive(&response(&ids[token as usize], 200));
        assert_eq!(side.events(), []);
    }
    side.receive(&response("unknown", 200));
    side.pass(Duration::from_secs(30));
    assert_eq!(side.events(), [SessionEvent::Unanswered { token: 0 }]);
}

#[test]
fn only_so_many_may_wait_for_an_answer() {
    let limits = Limits {
        unanswered_outgoing: 2,
        ..Limits::default()
    };
    let mut side = Side::with(Role::Passive, limits.clone(), Chunking::default());
    side.bind();
    side.send(&outgoing(1)).unwrap();
    let first = transaction_id(&side.sent());
    side.send(&outgoing(2)).unwrap();
    assert_eq!(side.send(&outgoing(3)), Err(SendError::Full));
    side.receive(&response(&first, 200));
    assert_eq!(side.send(&outgoing(3)), Ok(()));

    // No answer is the good answer: the oldest makes room.
    let mut side = Side::with(Role::Passive, limits, Chunking::default());
    side.bind();
    for token in 0..10 {
        let partial = Outgoing {
            failure_report: FailureReport::Partial,
            ..outgoing(token)
        };
        assert_eq!(side.send(&partial), Ok(()));
    }

    let limits = Limits {
        queued: 100,
        ..Limits::default()
    };
    let mut side = Side::with(Role::Passive, limits, Chunking::default());
    side.bind();
    side.send(&outgoing(1)).unwrap();
    assert_eq!(side.send(&outgoing(2)), Err(SendError::Full));
    side.sent();
    assert_eq!(side.send(&outgoing(2)), Ok(()));
}

// CHAT-13, MSRP-16
#[test]
fn an_id_that_is_in_the_body_is_not_used() {
    let mut side = Side::bound();
    for (body, is_used) in [
        ("-------wish", false),
        ("----------wish$", false),
        ("- -------wis------wish -------", true),
    ] {
        let wish = Some("wish".to_owned());
        let body = Bytes::from_static(body.as_bytes());
        side.send(&Outgoing {
            transaction_id: wish,
            body,
            ..outgoing(1)
        })
        .unwrap();
        assert_eq!(transaction_id(&side.sent()) == "wish", is_used);
    }
}

#[test]
fn a_status_below_200_decides_nothing() {
    let mut side = Side::bound();
    assert_eq!(side.send(&outgoing(1)), Ok(()));
    let id = transaction_id(&side.sent());
    for status in [0, 2, 100, 199] {
        let response =
            response(&id, status).replace(&format!(" {status}\r"), &format!(" {status:03}\r"));
        side.receive(&response);
        assert_eq!(side.events(), []);
    }
    side.receive(&response(&id, 200));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 1 }]);
}

// The owner may have a message with any token, also 0.
#[test]
fn a_report_about_the_binding_request_is_about_no_message() {
    let mut side = Side::connected(Role::Active);
    let sent = side.sent();
    side.receive(&response(&transaction_id(&sent), 200));
    assert_eq!(side.send(&outgoing(0)), Ok(()));
    side.events();
    let message_id = header(&sent, "Message-ID");
    let headers = format!("Message-ID: {message_id}\r\nStatus: 000 200\r\n");
    side.receive(&request("abcd", "REPORT", &headers));
    assert_eq!(side.events(), []);
}

// RCPT-02, RCPT-03, MSRP-20
#[test]
fn reports_lead_to_their_message_and_are_bounded() {
    let mut side = Side::bound();
    for token in [0, 1, 31, 32, u64::MAX] {
        side.send(&outgoing(token)).unwrap();
        let message_id = header(&side.sent(), "Message-ID");
        let report = |extra: &str| {
            let headers = format!("Message-ID: {message_id}\r\n{extra}");
            request("abcd", "REPORT", &headers)
        };
        side.receive(&report("Byte-Range: 1-216/213\r\nStatus: 000 200 OK\r\n"));
        side.receive(&report("Status: 001 200 OK\r\n"));
        side.receive(&report("Status: 000 413\r\n"));
        let range = ByteRange {
            start: 1,
            end: Some(216),
            total: Some(213),
        };
        assert_eq!(
            side.events(),
            [
                SessionEvent::Reported {
                    token,
                    status: 200,
                    range
                },
                SessionEvent::Reported {
                    token,
                    status: 413,
                    range: ByteRange::WHOLE
                },
            ]
        );
        for _ in 0..100 {
            side.receive(&report("Status: 000 200 OK\r\n"));
        }
        assert_eq!(side.events(), []);
        side.sent();
    }
}

// RCPT-04, RCPT-10
#[test]
fn reports_are_written() {
    let mut side = Side::bound();
    let report = Report {
        message_id: "m1".to_owned(),
        range: ByteRange::of(5),
        status: 408,
    };
    side.report(&report);
    let sent = side.sent();
    let id = transaction_id(&sent);
    assert_eq!(
        sent,
        format!(
            "MSRP {id} REPORT\r\nTo-Path: {THEIRS}\r\nFrom-Path: {OURS}\r\nMessage-ID: m1\r\n\
             Byte-Range: 1-5/5\r\nStatus: 000 408 Timeout\r\n-------{id}$\r\n"
        )
    );
    side.report(&Report {
        message_id: "m1\r\nX: y".to_owned(),
        ..report
    });
    assert_eq!(side.sent(), "");
}

#[test]
fn after_the_end_there_is_nothing() {
    let mut side = Side::bound();
    side.send(&outgoing(1)).unwrap();
    side.receive(&message("aaaa", "m1", "1-5/5", "", "hello", '$'));
    let id = transaction_id(&side.sent());
    let messages = side.messages();
    side.lose(LostCause::ConnectionEnded);
    side.lose(LostCause::Stalled);
    let cause = LostCause::ConnectionEnded;
    assert_eq!(side.events(), [SessionEvent::Lost { cause }]);
    side.receive(&response(&id, 200));
    side.respond(&messages[0], 200);
    side.report(&Report {
        message_id: "m1".to_owned(),
        range: ByteRange::of(5),
        status: 200,
    });
    side.pass(Duration::from_secs(1000));
    assert_eq!(side.sent(), "");
    assert_eq!(side.events(), []);
    assert_eq!(side.send(&outgoing(1)), Err(SendError::Closed));
    side.receive(&message("bbbb", "m2", "1-5/5", "", "hello", '$'));
    assert_eq!(side.statuses(), ["bbbb 481"]);
}
