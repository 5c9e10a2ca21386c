//! The wire, against the RFC's examples, the texts' misprints, and random splits.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use stox_msrp::{
    ByteRange, FailureReport, Limits, MsrpUri,
    codec::{
        DecodeError, Decoder, Flag, Head, HeadFault, Method, Part, Paths, SendHead, Start,
        put_end_line, put_report, put_response, put_send_head,
    },
};

/// RFC 4975 §4, with the values of its first example.
const SEND: &str = "MSRP a786hjs2 SEND\r\n\
    To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n\
    From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n\
    Message-ID: 87652491\r\n\
    Byte-Range: 1-25/25\r\n\
    Content-Type: text/plain\r\n\
    \r\n\
    Hey Bob, are you there?..\r\n\
    -------a786hjs2$\r\n";

#[test]
fn the_rfcs_first_example() {
    let chunks = decode(SEND.as_bytes()).unwrap();
    let [Chunk { head, body, flag }] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    assert_eq!(head.start(), Start::Request(Method::Send));
    assert_eq!(head.fault(), None);
    assert_eq!(head.transaction_id(), b"a786hjs2");
    assert_eq!(
        head.to_path().collect::<Vec<_>>(),
        [b"msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp"]
    );
    assert_eq!(head.message_id().unwrap(), b"87652491");
    assert_eq!(head.byte_range(), Some(ByteRange::of(25)));
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.failure_report(), FailureReport::Yes);
    assert!(!head.success_report());
    assert_eq!(body, "Hey Bob, are you there?..");
    assert_eq!(*flag, Flag::Complete);
}

// MSRP-04
#[test]
fn what_peers_really_send_is_taken() {
    let text = "MSRP 01234567-89ab-cdef-0123-456789abcdef NICKNAME\r\n\
        FROM-PATH:  msrp://a.example:1/x;tcp msrp://b.example:2/y;tcp \r\n\
        Use-Nickname: \"Alice the great\"\r\n\
        to-path:msrp://c.example:3/z;tcp\r\n\
        X-Unknown: a: b\r\n\
        -------01234567-89ab-cdef-0123-456789abcdef\r\n\
        MSRP abcd 200\r\n\
        To-Path: msrp://a.example:1/x;tcp\r\n\
        From-Path: msrp://c.example:3/z;tcp\r\n\
        -------abcd\r\n";
    let chunks = decode(text.as_bytes()).unwrap();
    let [nickname, response] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    assert_eq!(nickname.head.start(), Start::Request(Method::Nickname));
    assert_eq!(nickname.head.method_name(), b"NICKNAME");
    assert_eq!(nickname.head.fault(), None);
    assert_eq!(nickname.head.from_path().count(), 2);
    assert_eq!(
        nickname.head.header("use-nickname").unwrap(),
        b"\"Alice the great\""
    );
    assert_eq!(nickname.head.header("x-unknown").unwrap(), b"a: b");
    assert!(!nickname.head.has_body());
    assert_eq!(response.head.start(), Start::Response(200));
    assert_eq!(response.head.fault(), None);
}

// MSRP-02: only the own id ends a body, and only as a whole line.
#[test]
fn bodies_may_hold_hyphens_and_other_end_lines() {
    let body = "-------\r\n-------a786hjs2\r\n-------a786hjs2!\r\n-------other$\r\n\r\n-------a786hjs2$ \r\n-------A786HJS2$";
    let text = SEND.replace("Hey Bob, are you there?..", body);
    let chunks = decode(text.as_bytes()).unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].body, body);
}

#[test]
fn an_empty_body_is_no_missing_body() {
    let empty = SEND.replace("Hey Bob, are you there?..", "");
    let without_own_line = empty.replace("\r\n\r\n\r\n", "\r\n\r\n");
    let missing = without_own_line
        .replace("Content-Type: text/plain\r\n", "")
        .replace("\r\n\r\n", "\r\n");
    for (text, has_body) in [(empty, true), (without_own_line, true), (missing, false)] {
        let chunks = decode(text.as_bytes()).unwrap();
        assert_eq!(chunks.len(), 1, "{text}");
        assert_eq!(chunks[0].body, "");
        assert_eq!(chunks[0].head.has_body(), has_body, "{text}");
    }
}

// MSRP-19: what is framed is answered, not cut off.
#[test]
fn faults_leave_the_stream_readable() {
    for (broken, fault) in [
        (
            SEND.replace("Message-ID: 87652491", "nonsense"),
            HeadFault::MalformedHeader,
        ),
        (
            SEND.replace("Message-ID: 87652491", ": x"),
            HeadFault::MalformedHeader,
        ),
        (SEND.replace("1-25/25", "1-25"), HeadFault::MalformedValue),
        (
            SEND.replace("1-25/25", "1-99999999999999999999/25"),
            HeadFault::MalformedValue,
        ),
        (
            SEND.replace("Message-ID: 87652491", "Failure-Report: maybe"),
            HeadFault::MalformedValue,
        ),
        (
            SEND.replace("Message-ID: 87652491", "Byte-Range: 1-1/1"),
            HeadFault::RepeatedHeader,
        ),
        (
            SEND.replace("//atlanta", "//\ratlanta"),
            HeadFault::MalformedValue,
        ),
        (
            SEND.replace("text/plain", "text/\rplain"),
            HeadFault::MalformedValue,
        ),
        (
            SEND.replace("From-Path", "X-From-Path"),
            HeadFault::MissingPath,
        ),
    ] {
        let both = format!("{broken}{SEND}");
        let chunks = decode(both.as_bytes()).unwrap();
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[0].head.fault(), Some(fault), "{broken}");
        assert_eq!(chunks[1].head.fault(), None);
    }
}

#[test]
fn garbage_ends_the_stream() {
    let long = format!("MSRP abcd SEND\r\nX: {}\r\n", "x".repeat(9000));
    let many = format!("MSRP abcd SEND\r\n{}", "X: y\r\n".repeat(4000));
    for (text, error) in [
        ("GET / HTTP/1.1\r\n", DecodeError::NoStartLine),
        ("\r\n", DecodeError::NoStartLine),
        ("MSRP abcd\r\n", DecodeError::NoStartLine),
        ("MSRP abcd send\r\n", DecodeError::NoStartLine),
        ("MSRP abcd 20\r\n", DecodeError::NoStartLine),
        ("MSRP ab\u{1}cd SEND\r\n", DecodeError::NoStartLine),
        ("MSRP abcd SEND\nTo-Path: x\n", DecodeError::LineEnd),
        (&long, DecodeError::LineTooLong),
        (&many, DecodeError::HeadTooLong),
    ] {
        assert_eq!(
            decode(text.as_bytes()).map(|_| ()),
            Err(error),
            "{text:.40}"
        );
        assert_eq!(
            decode_split(text.as_bytes(), &[1]).map(|_| ()),
            Err(error),
            "{text:.40}"
        );
    }
}

// SEC-14: a long body is handed on as it comes, so that nothing is held but a part of it.
#[test]
fn long_bodies_come_in_parts() {
    let limits = Limits {
        body_part: 1000,
        ..Limits::default()
    };
    let body = "0123456789".repeat(1000);
    let text = SEND.replace("Hey Bob, are you there?..", &body);
    let mut decoder = Decoder::new(&limits);
    let mut buffer = BytesMut::new();
    let (mut parts, mut collected) = (0, Vec::new());
    for bytes in text.as_bytes().chunks(700) {
        buffer.extend_from_slice(bytes);
        while let Some(part) = decoder.decode(&mut buffer).unwrap() {
            let (Part::First { body, .. } | Part::Next { body, .. }) = part;
            collected.extend_from_slice(&body);
            parts += 1;
        }
        assert!(buffer.len() < 2000);
    }
    assert_eq!(collected, body.as_bytes());
    assert!(parts > 4, "{parts}");
    assert!(buffer.is_empty() && decoder.is_between_messages());
}

// The bodies of a batch are slices of what was read.
#[test]
fn bodies_share_the_buffer() {
    let mut buffer = BytesMut::from(SEND.repeat(3).as_bytes());
    let range = buffer.as_ptr_range();
    let mut decoder = Decoder::new(&Limits::default());
    for _ in 0..3 {
        let Some(Part::First { body, .. }) = decoder.decode(&mut buffer).unwrap() else {
            panic!("no message")
        };
        assert!(range.contains(&body.as_ptr()));
    }
}

// MSRP-03
#[test]
fn requests_are_written_in_the_order_all_peers_take() {
    let mut out = BytesMut::new();
    let paths = paths();
    let head = SendHead {
        transaction_id: b"d93kswow",
        paths: &paths,
        message_id: b"12339sdqwer",
        range: ByteRange::of(16),
        success_report: true,
        failure_report: FailureReport::Partial,
        content_type: Some("text/plain; charset=utf-8"),
    };
    put_send_head(&mut out, &head);
    out.extend_from_slice(b"Hi, I'm Alice!\r\n");
    put_end_line(&mut out, b"d93kswow", Flag::Complete, true);
    let head = SendHead {
        range: ByteRange::of(0),
        success_report: false,
        failure_report: FailureReport::Yes,
        content_type: None,
        ..head
    };
    put_send_head(&mut out, &head);
    put_end_line(&mut out, b"d93kswow", Flag::Complete, false);
    put_report(
        &mut out,
        b"dkei38sd",
        &paths,
        b"12339sdqwer",
        ByteRange::of(16),
        200,
    );
    put_response(
        &mut out,
        b"d93kswow",
        481,
        b"msrp://a.example:1/x;tcp",
        b"msrp://b.example:2/y;tcp",
    );
    let expected = "MSRP d93kswow SEND\r\n\
        To-Path: msrp://relay.example:9/r;tcp msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
        From-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp\r\n\
        Message-ID: 12339sdqwer\r\n\
        Byte-Range: 1-16/16\r\n\
        Success-Report: yes\r\n\
        Failure-Report: partial\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        \r\n\
        Hi, I'm Alice!\r\n\
        \r\n\
        -------d93kswow$\r\n\
        MSRP d93kswow SEND\r\n\
        To-Path: msrp://relay.example:9/r;tcp msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
        From-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp\r\n\
        Message-ID: 12339sdqwer\r\n\
        Byte-Range: 1-0/0\r\n\
        -------d93kswow$\r\n\
        MSRP dkei38sd REPORT\r\n\
        To-Path: msrp://relay.example:9/r;tcp msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
        From-Path: msrp://alicepc.example.com:7777/iau39soe2843z;tcp\r\n\
        Message-ID: 12339sdqwer\r\n\
        Byte-Range: 1-16/16\r\n\
        Status: 000 200 OK\r\n\
        -------dkei38sd$\r\n\
        MSRP d93kswow 481 No such session\r\n\
        To-Path: msrp://a.example:1/x;tcp\r\n\
        From-Path: msrp://b.example:2/y;tcp\r\n\
        -------d93kswow$\r\n";
    assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    let chunks = decode(&out).unwrap();
    assert_eq!(chunks.len(), 4);
    assert!(chunks.iter().all(|chunk| chunk.head.fault().is_none()));
    assert_eq!(chunks[2].head.status(), Some(200));
}

proptest! {
    // MSRP-02: however the bytes are split, the same chunks come out.
    #[test]
    fn splits_do_not_matter(
        bodies in prop::collection::vec(body(), 1..5),
        flags in prop::collection::vec(prop::sample::select(vec![Flag::Complete, Flag::Continued, Flag::Aborted]), 5),
        splits in prop::collection::vec(1usize..40, 1..50),
    ) {
        let paths = paths();
        let mut stream = BytesMut::new();
        for (body, flag) in bodies.iter().zip(&flags) {
            let head = SendHead {
                transaction_id: b"a786hjs2",
                paths: &paths,
                message_id: b"87652491",
                range: ByteRange::of(body.len()),
                success_report: false,
                failure_report: FailureReport::No,
                content_type: Some("application/octet-stream"),
            };
            put_send_head(&mut stream, &head);
            stream.extend_from_slice(body);
            put_end_line(&mut stream, b"a786hjs2", *flag, true);
        }
        let chunks = decode_split(&stream, &splits).unwrap();
        prop_assert_eq!(chunks.len(), bodies.len());
        for (chunk, (body, flag)) in chunks.iter().zip(bodies.iter().zip(&flags)) {
            prop_assert_eq!(&chunk.body[..], &body[..]);
            prop_assert_eq!(chunk.flag, *flag);
            prop_assert_eq!(chunk.head.fault(), None);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        splits in prop::collection::vec(1usize..40, 1..20),
    ) {
        let _ = decode_split(&bytes, &splits);
    }

    // Close to valid, so that all branches are met.
    #[test]
    fn no_damage_is_too_strange(
        damage in prop::collection::vec((0usize..320, any::<u8>()), 0..6),
        splits in prop::collection::vec(1usize..400, 1..20),
    ) {
        let mut bytes = SEND.repeat(2).into_bytes();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        let whole = decode(&bytes).map(|chunks| format!("{chunks:?}"));
        let split = decode_split(&bytes, &splits).map(|chunks| format!("{chunks:?}"));
        prop_assert_eq!(whole.is_ok(), split.is_ok());
        if let (Ok(whole), Ok(split)) = (whole, split) {
            prop_assert_eq!(whole, split);
        }
    }
}

#[derive(Debug)]
struct Chunk {
    head: Head,
    body: Bytes,
    flag: Flag,
}

fn decode(bytes: &[u8]) -> Result<Vec<Chunk>, DecodeError> {
    decode_split(bytes, &[usize::MAX])
}

/// Feeds the bytes in pieces of these lengths, over and over.
fn decode_split(bytes: &[u8], lengths: &[usize]) -> Result<Vec<Chunk>, DecodeError> {
    let mut decoder = Decoder::new(&Limits::default());
    let mut buffer = BytesMut::new();
    let mut chunks = Vec::new();
    let mut rest = bytes;
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let (piece, left) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
        rest = left;
        buffer.extend_from_slice(piece);
        while let Some(part) = decoder.decode(&mut buffer)? {
            match part {
                Part::First {
                    head,
                    body,
                    end: Some(flag),
                } => chunks.push(Chunk { head, body, flag }),
                part => panic!("{part:?} of a short message"),
            }
        }
    }
    Ok(chunks)
}

fn paths() -> Paths {
    let uri = |text: &str| text.parse::<MsrpUri>().unwrap();
    Paths::new(
        &[
            uri("msrp://relay.example:9/r;tcp"),
            uri("msrp://bob.example.com:8888/9di4eae923wzd;tcp"),
        ],
        &uri("msrp://alicepc.example.com:7777/iau39soe2843z;tcp"),
    )
}

/// Bytes rich in what could be taken for an end-line.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 7] = [
        b"-------",
        b"\r\n-------a786hjs",
        b"\r\n",
        b"\r",
        b"-------a786hjs2!",
        b"\xff\x00",
        b"text",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
