//! A stream of bytes through the decoder: split anywhere it gives the same, and what it gives can be written and read.

use bytes::BytesMut;
use stox_msrp::{
    ByteRange, Limits, MsrpUri,
    codec::{
        DecodeError, Decoder, Flag, Head, Method, Part, Paths, SendHead, Start, put_end_line,
        put_report, put_response, put_send_head,
    },
};

use super::Choices;

/// One line of how the stream is split, then the stream (MSRP-02, SEC-14).
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (splits, stream) = match end {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&[][..], data),
    };
    let mut choices = Choices::new(splits);
    let limits = choices.of(&[(8 << 10, 16 << 10, 64 << 10), (90, 300, 40), (60, 120, 1)]);
    let limits = Limits {
        header_line: limits.0,
        header_section: limits.1,
        body_part: limits.2,
        ..Limits::default()
    };
    let (whole, error) = decode(stream, &limits, || usize::MAX);
    let mut lengths = splits.iter().cycle().copied();
    let (split, split_error) = decode(stream, &limits, || {
        1 + usize::from(lengths.next().unwrap_or_default()) % 64
    });
    assert_eq!(error, split_error);
    assert_eq!(whole.len(), split.len());
    for (whole, split) in whole.iter().zip(&split) {
        assert_eq!(whole.bytes(), split.bytes());
        assert_eq!(whole.flag, split.flag);
        // Of a body that is cut off, more or less may still be held.
        let length = match whole.flag {
            Some(_) => whole.body.len().max(split.body.len()),
            None => whole.body.len().min(split.body.len()),
        };
        assert_eq!(whole.body.get(..length), split.body.get(..length));
        look_at(&whole.head);
        write_and_read(whole);
    }
}

struct Chunk {
    head: Head,
    body: Vec<u8>,
    /// `None`: cut off where the stream ended.
    flag: Option<Flag>,
}

impl Chunk {
    /// What was read of the head, so that two can be compared.
    fn bytes(&self) -> String {
        let head = &self.head;
        let paths: Vec<_> = head.to_path().chain(head.from_path()).collect();
        format!(
            "{:?} {:?} {:?} {:?} {paths:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            head.start(),
            head.fault(),
            head.transaction_id(),
            head.method_name(),
            head.message_id(),
            head.byte_range(),
            head.success_report(),
            head.failure_report(),
            head.status(),
            head.content_type(),
            head.has_body(),
        )
    }
}

fn decode(
    stream: &[u8],
    limits: &Limits,
    mut length: impl FnMut() -> usize,
) -> (Vec<Chunk>, Option<DecodeError>) {
    // The longest id, its hyphens, line ends and flag: what may have to be seen to know that a body goes on.
    const END_LINE: usize = 9 + 128 + 3;
    let mut decoder = Decoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut taken = 0;
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(length().min(rest.len()));
        rest = left;
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            let part = match decoder.decode(&mut buffer) {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut buffer).err(), Some(error));
                    return (chunks, Some(error));
                }
            };
            assert!(buffer.len() < before, "a part of nothing");
            taken += before - buffer.len();
            let (body, end) = match part {
                Part::First { head, body, end } => {
                    let unended = chunks.last().is_some_and(|chunk| chunk.flag.is_none());
                    assert!(!unended, "the last chunk has no end");
                    assert!(head.has_body() || (body.is_empty() && end.is_some()));
                    chunks.push(Chunk {
                        head,
                        body: body.to_vec(),
                        flag: end,
                    });
                    continue;
                }
                Part::Next { body, end } => (body, end),
            };
            let chunk = chunks.last_mut().expect("more of nothing");
            assert_eq!(chunk.flag, None, "more after the end");
            chunk.body.extend_from_slice(&body);
            chunk.flag = end;
        }
        assert_eq!(
            buffer.is_empty() && chunks_are_ended(&chunks),
            decoder.is_between_messages()
        );
        assert!(buffer.len() <= limits.header_section + limits.body_part + END_LINE);
    }
    assert_eq!(taken + buffer.len(), stream.len());
    (chunks, None)
}

fn chunks_are_ended(chunks: &[Chunk]) -> bool {
    chunks.last().is_none_or(|chunk| chunk.flag.is_some())
}

fn look_at(head: &Head) {
    for name in ["To-Path", "use-nickname", "Status", "x", ""] {
        let _ = head.header(name);
    }
    assert!((1..=128).contains(&head.transaction_id().len()));
    if let Start::Response(status) = head.start() {
        assert!(status < 1000);
    }
    if head.fault().is_none() {
        assert!(head.to_path().next().is_some() && head.from_path().next().is_some());
        assert!(head.whole_from_path().is_some());
    }
}

/// Whatever is well formed and of sessions is the same after it was written by us.
fn write_and_read(chunk: &Chunk) {
    let head = &chunk.head;
    let uris = |uris: Vec<&[u8]>| -> Option<Vec<MsrpUri>> {
        let uris = uris
            .into_iter()
            .map(|uri| std::str::from_utf8(uri).ok()?.parse().ok());
        uris.collect()
    };
    let (Some(to), Some(from)) = (
        uris(head.to_path().collect()),
        uris(head.from_path().collect()),
    ) else {
        return;
    };
    let (Some(flag), None, [from]) = (chunk.flag, head.fault(), &from[..]) else {
        return;
    };
    let (id, paths) = (head.transaction_id(), Paths::new(&to, from));
    let mut out = BytesMut::new();
    match (head.start(), head.message_id()) {
        (Start::Request(Method::Send), Some(message_id)) => {
            let content_type = head.content_type().filter(|_| head.has_body());
            let send = SendHead {
                transaction_id: id,
                paths: &paths,
                message_id,
                range: head.byte_range().unwrap_or(ByteRange::WHOLE),
                success_report: head.success_report(),
                failure_report: head.failure_report(),
                content_type,
            };
            put_send_head(&mut out, &send);
            out.extend_from_slice(&chunk.body);
            if content_type.is_none() && !chunk.body.is_empty() {
                return;
            }
            put_end_line(&mut out, id, flag, content_type.is_some());
        }
        (Start::Request(Method::Report), Some(message_id)) => {
            let Some(status @ 100..) = head.status() else {
                return;
            };
            let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
            put_report(&mut out, id, &paths, message_id, range, status);
        }
        (Start::Response(status @ 100..), _) => {
            let to: Vec<String> = to.iter().map(MsrpUri::to_string).collect();
            let to = to.join(" ");
            put_response(
                &mut out,
                id,
                status,
                to.as_bytes(),
                from.to_string().as_bytes(),
            );
        }
        _ => return,
    }
    let (read, error) = decode(&out, &Limits::default(), || usize::MAX);
    assert_eq!(error, None);
    let [read] = &read[..] else {
        panic!("{} messages of one", read.len())
    };
    assert_eq!(read.head.fault(), None);
    assert_eq!(read.head.start(), head.start());
    assert_eq!(read.head.transaction_id(), id);
    assert_eq!(read.head.to_path().count(), to.len());
    if let Start::Request(method) = head.start() {
        assert_eq!(read.head.message_id(), head.message_id());
        let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
        assert_eq!(read.head.byte_range(), Some(range));
        if method == Method::Send {
            assert_eq!(read.head.failure_report(), head.failure_report());
            assert_eq!(read.head.success_report(), head.success_report());
            assert_eq!(read.body, chunk.body);
            assert_eq!(read.flag, Some(flag));
        } else {
            assert_eq!(read.head.status(), head.status());
        }
    }
}
