//! What reading and writing allocate, counted. One test alone, since all threads of a process are counted.

#![allow(clippy::unwrap_used)]

use std::alloc::System;

use bytes::BytesMut;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use stox_msrp::{
    ByteRange, FailureReport, Limits,
    codec::{Decoder, Flag, Part, Paths, SendHead, put_end_line, put_send_head},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// PERF-8: heads and bodies share the bytes read. What is allocated is the handle they share, once a read.
#[test]
fn messages_are_read_and_written_without_allocations() {
    let uri = |text: &str| text.parse().unwrap();
    let paths = Paths::new(
        &[uri("msrp://b.example.com:2855/kjhd37s2;tcp")],
        &uri("msrp://a.example.com:2855/jshA7wez;tcp"),
    );
    let mut written = BytesMut::with_capacity(1 << 20);
    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        put(&mut written, &paths, &[b'x'; 300]);
    }
    assert_eq!(region.change().allocations, 0, "writing");

    let mut decoder = Decoder::new(&Limits::default());
    let mut read = BytesMut::from(&written[..]);
    let mut bodies = Vec::with_capacity(100);
    let region = Region::new(ALLOCATOR);
    while let Some(part) = decoder.decode(&mut read).unwrap() {
        if let Part::First { body, .. } = part {
            bodies.push(body);
        }
    }
    let change = region.change();
    assert_eq!((bodies.len(), bodies[99].len()), (100, 300));
    assert!(change.allocations <= 1, "reading: {change:?}");
    assert_eq!(change.reallocations, 0, "reading: {change:?}");
}

fn put(buffer: &mut BytesMut, paths: &Paths, body: &[u8]) {
    let head = SendHead {
        transaction_id: b"a786hjs2",
        paths,
        message_id: b"87652491",
        range: ByteRange::of(body.len()),
        success_report: false,
        failure_report: FailureReport::Yes,
        content_type: Some("text/plain"),
    };
    put_send_head(buffer, &head);
    buffer.extend_from_slice(body);
    put_end_line(buffer, b"a786hjs2", Flag::Complete, true);
}
