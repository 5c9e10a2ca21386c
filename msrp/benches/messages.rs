//! What a message costs, each step beside its floor in the same run: to read a SEND, beside a look for its end-line; to
//! write one, beside a plain copy; CPIM, beside a look for the line ends of its headers.
//!
//! Times are per message. As many messages as fit into a read of 64 KiB are read in one go.
//! `cargo bench -p stox-msrp --no-default-features`

#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use memchr::memmem;
use stox_msrp::{
    ByteRange, FailureReport, Limits,
    codec::{Decoder, Flag, Paths, SendHead, put_end_line, put_send_head},
    cpim::Message,
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decode, encode, unwrap, wrap
}
criterion_main!(benches);

const TRANSACTION: &[u8] = b"a786hjs2kd93jwx4";
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";
/// What a connection reads at once.
const READ: usize = 64 << 10;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (size, body) in bodies() {
        let send = send(&body);
        group.throughput(Throughput::Bytes(send.len() as u64));
        let messages = (READ / send.len()).max(1);
        let read = send.repeat(messages);
        let end_line = [b"-------", TRANSACTION, b"$\r\n"].concat();
        let mut look = |(): &mut ()| {
            let mut rest = black_box(read.as_slice());
            while let Some(at) = memmem::find(rest, &end_line) {
                rest = rest.get(at + end_line.len()..).unwrap_or_default();
                black_box(rest);
            }
            assert!(rest.is_empty());
        };
        each(
            &mut group,
            &format!("{size}, memmem"),
            messages,
            || (),
            &mut look,
        );
        let mut decoder = Decoder::new(&Limits::default());
        let mut decode = |buffer: &mut BytesMut| {
            while let Some(part) = decoder.decode(buffer).unwrap() {
                black_box(&part);
            }
            assert!(buffer.is_empty());
        };
        let buffer = || BytesMut::from(read.as_slice());
        each(
            &mut group,
            &format!("{size}, SEND"),
            messages,
            buffer,
            &mut decode,
        );
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let paths = paths();
    for (size, body) in bodies() {
        let send = send(&body);
        group.throughput(Throughput::Bytes(send.len() as u64));
        let messages = (READ / send.len()).max(1);
        let buffer = || BytesMut::with_capacity(2 * READ);
        let mut copy = |buffer: &mut BytesMut| {
            for _ in 0..messages {
                buffer.extend_from_slice(black_box(&send));
            }
            black_box(buffer);
        };
        each(
            &mut group,
            &format!("{size}, copy"),
            messages,
            buffer,
            &mut copy,
        );
        let mut encode = |buffer: &mut BytesMut| {
            for _ in 0..messages {
                put(buffer, black_box(&paths), black_box(&body));
            }
            black_box(buffer);
        };
        each(
            &mut group,
            &format!("{size}, SEND"),
            messages,
            buffer,
            &mut encode,
        );
    }
}

fn unwrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unwrap");
    for (size, body) in bodies() {
        let wrapped = cpim(&body).wrap();
        group.throughput(Throughput::Bytes(wrapped.len() as u64));
        let mut look = |wrapped: &mut Bytes| {
            let headers = black_box(
                wrapped
                    .get(..wrapped.len() - body.len())
                    .unwrap_or_default(),
            );
            black_box(memchr::memchr_iter(b'\n', headers).count());
        };
        each(
            &mut group,
            &format!("{size}, memchr"),
            1,
            || wrapped.clone(),
            &mut look,
        );
        let mut unwrap = |wrapped: &mut Bytes| {
            black_box(Message::parse(black_box(wrapped)).unwrap());
        };
        each(
            &mut group,
            &format!("{size}, CPIM"),
            1,
            || wrapped.clone(),
            &mut unwrap,
        );
    }
}

fn wrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wrap");
    for (size, body) in bodies() {
        let message = cpim(&body);
        let wrapped = message.wrap();
        group.throughput(Throughput::Bytes(wrapped.len() as u64));
        let mut copy = |wrapped: &mut Bytes| {
            black_box(Bytes::copy_from_slice(black_box(wrapped)));
        };
        each(
            &mut group,
            &format!("{size}, copy"),
            1,
            || wrapped.clone(),
            &mut copy,
        );
        let mut wrap = |message: &mut Message| {
            black_box(black_box(message).wrap());
        };
        each(
            &mut group,
            &format!("{size}, CPIM"),
            1,
            || message.clone(),
            &mut wrap,
        );
    }
}

/// Measures the work alone, on something prepared afresh each time, and divides by the messages in it.
fn each<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    messages: usize,
    prepare: impl Fn() -> T,
    work: &mut impl FnMut(&mut T),
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|wanted| {
            let rounds = wanted.div_ceil(messages as u64);
            // Small pieces of work are timed many at a time: the clock takes 20 to 30 ns itself.
            let pieces = (64 / messages).max(1);
            let mut elapsed = Duration::ZERO;
            let mut left = rounds;
            while left > 0 {
                let now = left.min(pieces as u64);
                let mut prepared: Vec<T> = (0..now).map(|_| prepare()).collect();
                let start = Instant::now();
                for piece in &mut prepared {
                    work(piece);
                }
                elapsed += start.elapsed();
                left -= now;
            }
            let done = rounds * messages as u64;
            elapsed.mul_f64(wanted as f64 / done as f64)
        });
    });
}

/// Bodies by name; the first makes a SEND of 300 bytes.
fn bodies() -> [(&'static str, String); 4] {
    let rest = 300 - send("").len();
    [
        ("300 B in all", rest),
        ("60 B", 60),
        ("1 kB", 1_000),
        ("64 kB", 64_000),
    ]
    .map(|(name, length)| (name, "x".repeat(length)))
}

fn send(body: &str) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    put(&mut buffer, &paths(), body);
    buffer.to_vec()
}

fn put(buffer: &mut BytesMut, paths: &Paths, body: &str) {
    let head = SendHead {
        transaction_id: TRANSACTION,
        paths,
        message_id: b"87652491",
        range: ByteRange::of(body.len()),
        success_report: false,
        failure_report: FailureReport::Yes,
        content_type: Some(CONTENT_TYPE),
    };
    put_send_head(buffer, &head);
    buffer.extend_from_slice(body.as_bytes());
    put_end_line(buffer, TRANSACTION, Flag::Complete, true);
}

fn paths() -> Paths {
    let uri = |text: &str| text.parse().unwrap();
    Paths::new(
        &[uri("msrp://biloxi.example.com:12763/kjhd37s2;tcp")],
        &uri("msrp://atlanta.example.com:7654/jshA7wez;tcp"),
    )
}

/// As chat rooms send it.
fn cpim(body: &str) -> Message {
    Message {
        from: Some(
            "Romeo <sip:verona@chat.example.org;gr=romeo>"
                .parse()
                .unwrap(),
        ),
        to: vec!["<sip:verona@chat.example.org>".parse().unwrap()],
        date_time: Some("2026-11-20T10:00:00Z".to_owned()),
        content_type: Some(CONTENT_TYPE.to_owned()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..Message::default()
    }
}
