//! Messages that take more than one chunk, or come and go piece by piece.

use std::time::Duration;

use bytes::Bytes;
use stox_msrp::{
    ByteRange, FailureReport, IncomingId, Limits, LongMessages, Outgoing, OutgoingStream, Role,
    SendError, SessionEvent, SessionOptions, StreamEnd, StreamError,
    session::{Chunking, Output},
};

use crate::stage::*;

// MSRP-15
#[test]
fn a_response_interrupts_a_long_message_which_then_goes_on() {
    let mut side = Side::with(Role::Passive, Limits::default(), Chunking::FAIR);
    side.bind();
    let body = Bytes::from(vec![b'x'; 100_000]);
    side.send(&Outgoing {
        body: body.clone(),
        ..outgoing(1)
    })
    .unwrap();
    assert!(side.chunk());
    let first = side.sent();
    assert_eq!(header(&first, "Byte-Range"), "1-*/100000");
    // Nobody waits: the chunk goes on.
    assert!(side.chunk());
    let more = side.sent();
    assert!(more.bytes().all(|byte| byte == b'x'));

    side.receive(&message("aaaa", "m1", "1-5/5", "", "hello", '$'));
    let incoming = side.messages();
    side.respond(&incoming[0], 200);
    let sent = side.sent();
    let id = transaction_id(&first);
    assert!(
        sent.starts_with(&format!("\r\n-------{id}+\r\nMSRP aaaa 200 OK\r\n")),
        "{sent}"
    );
    let position = body_of(&first).len() + more.len();
    assert!(position >= 2048);
    assert!(side.chunk());
    let second = side.sent();
    assert_ne!(transaction_id(&second), id);
    assert_eq!(
        header(&second, "Byte-Range"),
        format!("{}-*/100000", position + 1)
    );
    assert_eq!(header(&second, "Message-ID"), header(&first, "Message-ID"));
    let mut rest = body_of(&second).len();
    while side.chunk() {
        rest += side.sent().len();
    }
    let last = side.sent();
    let end = format!("\r\n-------{}$\r\n", transaction_id(&second));
    rest += last.strip_suffix(&end).unwrap().len();
    assert_eq!(position + rest, 100_000);
    for id in [id, transaction_id(&second)] {
        assert_eq!(side.events(), []);
        side.receive(&response(&id, 200));
    }
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 1 }]);
}

// MSRP-15: some peers cannot take a second chunk, so that it comes only when others have waited long enough.
#[test]
fn by_default_only_what_is_very_long_is_interrupted() {
    let mut side = Side::bound();
    side.send(&Outgoing {
        body: Bytes::from(vec![b'x'; 256 << 10]),
        ..outgoing(1)
    })
    .unwrap();
    side.receive(&request("aaaa", "SEND", "Message-ID: 1112\r\n"));
    let sent = side.sent();
    assert_eq!(header(&sent, "Byte-Range"), "1-*/262144");
    assert!(!sent.contains("+\r\n"));
    assert!(sent.contains("MSRP aaaa 200"));

    let mut side = Side::bound();
    side.send(&Outgoing {
        body: Bytes::from(vec![b'x'; 1 << 20]),
        ..outgoing(1)
    })
    .unwrap();
    assert!(side.chunk());
    side.receive(&request("aaaa", "SEND", "Message-ID: 1112\r\n"));
    let sent = side.sent();
    let (before, _) = sent.split_once("MSRP aaaa 200").unwrap();
    assert!(before.ends_with("+\r\n"));
    assert!(before.len() >= 256 << 10);
    // Bounded, however long the message is.
    assert!(before.len() < 300 << 10, "{}", before.len());
}

// MSRP-15
#[test]
fn messages_alternate_fairly() {
    let mut side = Side::with(Role::Passive, Limits::default(), Chunking::FAIR);
    side.bind();
    for token in [1, 2] {
        side.begin(token, None).unwrap();
        assert_eq!(side.push(token, &[b'0' + token as u8; 60_000]), Ok(60_000));
    }
    let mut shares = [0usize; 2];
    for _ in 0..6 {
        side.chunk();
        let sent = side.sent();
        for (index, letter) in ["1", "2"].into_iter().enumerate() {
            shares[index] += sent.matches(&letter.repeat(1000)).count() * 1000;
        }
        assert!(shares[0].abs_diff(shares[1]) <= 20_000, "{shares:?}");
    }
    assert!(shares.iter().all(|share| *share > 40_000), "{shares:?}");
}

// MSRP-16
#[test]
fn what_looks_like_the_end_line_splits_the_message() {
    let mut side = Side::with(Role::Passive, Limits::default(), Chunking::FAIR);
    side.bind();
    side.begin(1, None).unwrap();
    side.push(1, &[b'x'; 5000]).unwrap();
    side.chunk();
    let first = side.sent();
    let id = transaction_id(&first);
    let trap = format!("\r\n-------{id}$\r\n");
    side.push(1, trap.as_bytes()).unwrap();
    side.push(1, b"and so on").unwrap();
    side.finish(1).unwrap();
    while side.chunk() {}
    let rest = side.sent();
    assert_eq!(rest.matches(&format!("-------{id}")).count(), 2);
    let (end, second) = rest.split_once("MSRP ").unwrap();
    assert!(end.ends_with(&format!("\r\n-------{id}+\r\n")), "{end}");
    let second_id = second.split(' ').next().unwrap();
    assert!(second.contains(&format!(
        "-------{id}$\r\nand so on\r\n-------{second_id}$\r\n"
    )));
}

// MSRP-13, MSRP-17
#[test]
fn a_refusal_ends_the_chunk_that_is_being_written() {
    for report in [false, true] {
        let mut side = Side::with(Role::Passive, Limits::default(), Chunking::FAIR);
        side.bind();
        side.send(&Outgoing {
            body: Bytes::from(vec![b'x'; 100_000]),
            ..outgoing(1)
        })
        .unwrap();
        side.chunk();
        let sent = side.sent();
        let id = transaction_id(&sent);
        let refused = SessionEvent::Refused {
            token: 1,
            status: 413,
        };
        if report {
            let message_id = header(&sent, "Message-ID");
            let headers = format!(
                "Message-ID: {message_id}\r\nByte-Range: 1-100/100000\r\nStatus: 000 413 No\r\n"
            );
            side.receive(&request("aaaa", "REPORT", &headers));
            let range = ByteRange::parse(b"1-100/100000").unwrap();
            let reported = SessionEvent::Reported {
                token: 1,
                status: 413,
                range,
            };
            assert_eq!(side.events(), [reported, refused]);
        } else {
            side.receive(&response(&id, 413));
            assert_eq!(side.events(), [refused]);
        }
        assert_eq!(side.sent(), format!("\r\n-------{id}#\r\n"));
        assert!(!side.chunk());
        side.pass(Duration::from_secs(60));
        assert_eq!(side.events(), []);
    }
}

// MSRP-13
#[test]
fn a_message_is_taken_back() {
    // In the midst of a chunk.
    let mut side = Side::with(Role::Passive, Limits::default(), Chunking::FAIR);
    side.bind();
    side.begin(1, Some(50_000)).unwrap();
    side.push(1, &[b'x'; 20_000]).unwrap();
    side.chunk();
    let id = transaction_id(&side.sent());
    assert!(side.cancel(1));
    assert_eq!(side.sent(), format!("\r\n-------{id}#\r\n"));
    assert!(!side.cancel(1));
    assert_eq!(side.push(1, b"x"), Err(StreamError::Ended));
    assert_eq!(side.events(), []);

    // Between two chunks.
    side.begin(2, None).unwrap();
    side.push(2, &[b'x'; 20_000]).unwrap();
    side.chunk();
    side.receive(&request("aaaa", "SEND", "Message-ID: 1112\r\n"));
    side.sent();
    assert!(side.cancel(2));
    let sent = side.sent();
    let id = transaction_id(&sent);
    assert!(
        sent.ends_with(&format!("\r\n\r\n\r\n-------{id}#\r\n")),
        "{sent}"
    );

    // Before anything was written.
    side.begin(3, None).unwrap();
    assert!(side.cancel(3));
    assert_eq!(side.sent(), "");
}

// MSRP-18
#[test]
fn a_message_is_handed_in_piece_by_piece() {
    let mut side = Side::bound();
    side.begin(1, None).unwrap();
    // Too little to begin with.
    assert_eq!(side.push(1, &[b'x'; 1000]), Ok(1000));
    assert!(!side.chunk());
    // No more than there is room for.
    assert_eq!(side.push(1, &[b'x'; 100_000]), Ok((64 << 10) - 1000));
    assert_eq!(side.push(1, b"x"), Ok(0));
    while side.chunk() {}
    let sent = side.sent();
    assert_eq!(header(&sent, "Byte-Range"), "1-*/*");
    assert!(side.push(1, &[b'y'; 60_000]).unwrap() > 0);
    side.finish(1).unwrap();
    while side.chunk() {}
    let id = transaction_id(&sent);
    assert!(side.sent().ends_with(&format!("y\r\n-------{id}$\r\n")));
    side.receive(&response(&id, 200));
    assert_eq!(side.events(), [SessionEvent::Accepted { token: 1 }]);

    // A length that was promised is kept.
    for (length, ends) in [(4999, true), (5001, false)] {
        side.begin(2, Some(5000)).unwrap();
        let pushed = side.push(2, &vec![b'x'; length]);
        assert_eq!(pushed.is_ok(), ends);
        let finished = side.finish(2);
        assert_eq!(
            finished,
            Err(match ends {
                true => StreamError::WrongLength,
                false => StreamError::Ended,
            })
        );
    }
}

// SEC-14
#[test]
fn streams_at_a_time_are_bounded() {
    let limits = Limits {
        streams: 2,
        ..Limits::default()
    };
    let mut side = Side::with(Role::Passive, limits, Chunking::FAIR);
    side.bind();
    side.begin(1, None).unwrap();
    side.begin(2, None).unwrap();
    assert_eq!(side.begin(3, None), Err(SendError::Full));
    side.cancel(1);
    side.begin(3, None).unwrap();
}

// MSRP-12, MSRP-18
#[test]
fn a_message_is_received_piece_by_piece_in_order() {
    let mut side = in_pieces(Limits::default());
    side.receive(&message("aaaa", "m1", "1-*/*", "", "one ", '+'));
    side.receive(&message("bbbb", "m1", "9-*/*", "", "three", '$'));
    side.receive(&message("cccc", "m1", "3-*/*", "", "e two ", '+'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 200"]);
    let (id, pieces, end) = side.stream();
    assert_eq!(pieces, ["one ", "two ", "three"]);
    assert_eq!(end, Some(StreamEnd::Complete));
    side.answer(id, 200);
    assert_eq!(side.statuses(), ["cccc 200"]);
    // What is there at once comes whole.
    side.receive(&message("dddd", "m2", "1-5/5", "", "hello", '$'));
    assert_eq!(side.messages()[0].body, "hello");
}

// MSRP-13
#[test]
fn a_piecewise_message_that_is_aborted_ends() {
    let mut side = in_pieces(Limits::default());
    side.receive(&message("aaaa", "m1", "1-*/10", "", "hello", '+'));
    side.receive(&message("bbbb", "m1", "6-*/10", "", "wor", '#'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 200"]);
    let (_, pieces, end) = side.stream();
    assert_eq!(
        (pieces, end),
        (vec!["hello".into()], Some(StreamEnd::Aborted))
    );
    side.receive(&message("cccc", "m2", "1-*/10", "", "hello", '+'));
    side.receive(&bodiless("dddd", "m2", "6-5/10", '#'));
    assert_eq!(side.statuses(), ["cccc 200", "dddd 200"]);
    assert_eq!(side.stream().2, Some(StreamEnd::Aborted));
}

// MSRP-18
#[test]
fn a_piecewise_message_is_refused_midway() {
    let mut side = in_pieces(Limits::default());
    side.receive(&message("aaaa", "m1", "1-*/10", "", "hello", '+'));
    let (id, _, end) = side.stream();
    assert_eq!(end, None);
    side.answer(id, 413);
    side.receive(&message("bbbb", "m1", "6-*/10", "", "wor", '+'));
    side.receive(&message("cccc", "m1", "9-*/10", "", "ld", '$'));
    assert_eq!(side.statuses(), ["aaaa 200", "bbbb 413", "cccc 413"]);
    assert!(side.out.is_empty());

    // Its size, and what may come out of order, are bounded.
    side.receive(&message("dddd", "m2", "1-*/100001", "", "x", '+'));
    side.receive(&message("eeee", "m3", "1-*/*", "", "x", '+'));
    side.receive(&message("ffff", "m3", "100001-*/*", "", "x", '+'));
    assert_eq!(side.statuses(), ["dddd 413", "eeee 200", "ffff 413"]);
    assert_eq!(side.stream().2, Some(StreamEnd::TooBig));
    side.receive(&message("gggg", "m4", "1-*/*", "", "x", '+'));
    side.pass(Duration::from_secs(541));
    assert_eq!(side.stream().2, Some(StreamEnd::GivenUp));
}

// MSRP-18, SEC-14
#[test]
fn an_owner_that_takes_nothing_stops_its_connection_for_a_while() {
    let limits = Limits {
        stream_window: 8,
        ..Limits::default()
    };
    let mut side = in_pieces(limits);
    side.receive(&message("aaaa", "m1", "1-*/*", "", "seven..", '+'));
    assert!(side.outbound.may_read());
    side.receive(&message("bbbb", "m1", "8-*/*", "", "!", '+'));
    assert!(!side.outbound.may_read());
    side.core.note_taken(4, &mut side.outbound);
    assert!(side.outbound.may_read());
    side.receive(&message("cccc", "m1", "9-*/*", "", "more", '+'));
    assert!(!side.outbound.may_read());
    side.stream();
    side.pass(Duration::from_secs(60));
    assert!(side.outbound.may_read());
    let [
        Output::StreamEnded {
            end: StreamEnd::NotTaken,
            ..
        },
    ] = side.out[..]
    else {
        panic!("{:?}", side.out)
    };
    side.sent();
    side.receive(&message("dddd", "m1", "13-*/*", "", "x", '$'));
    assert_eq!(side.statuses(), ["dddd 413"]);
}

impl Side {
    fn begin(&mut self, token: u64, total: Option<u64>) -> Result<(), SendError> {
        let stream = OutgoingStream {
            token,
            content_type: "a/b".to_owned(),
            total,
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        let (now, outbound) = (self.now, &mut self.outbound);
        self.core.begin_stream(stream, now, &mut self.rng, outbound)
    }

    fn push(&mut self, token: u64, piece: &[u8]) -> Result<usize, StreamError> {
        self.core.push_piece(token, piece, &mut self.outbound)
    }

    fn finish(&mut self, token: u64) -> Result<(), StreamError> {
        self.core.finish_stream(token, &mut self.outbound)
    }

    fn cancel(&mut self, token: u64) -> bool {
        let (now, outbound) = (self.now, &mut self.outbound);
        self.core.cancel(token, now, &mut self.rng, outbound)
    }

    /// What is known of the message that comes in piece by piece.
    fn stream(&mut self) -> (IncomingId, Vec<String>, Option<StreamEnd>) {
        let (mut began, mut pieces, mut ended) = (None, Vec::new(), None);
        for output in self.out.drain(..) {
            match output {
                Output::StreamBegan(stream) => began = Some(stream.id),
                Output::Piece { piece, .. } => {
                    pieces.push(String::from_utf8(piece.to_vec()).unwrap());
                }
                Output::StreamEnded { id, end } => {
                    began = began.or(Some(id));
                    ended = Some(end);
                }
                other => panic!("{other:?}"),
            }
        }
        (began.unwrap(), pieces, ended)
    }
}

fn in_pieces(limits: Limits) -> Side {
    let options = SessionOptions {
        long_messages: LongMessages::InPieces { max_size: 100_000 },
        ..SessionOptions::default()
    };
    let mut side = Side::having(Role::Passive, limits, Chunking::default(), options);
    side.bind();
    side
}

/// What stands between a request's head and the end of what was written.
fn body_of(written: &str) -> &str {
    written.split_once("\r\n\r\n").unwrap().1
}
