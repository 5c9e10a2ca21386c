//! What the fuzzers found worth keeping, and what was written for them, once more: `fuzz/corpus/<target>`, and the messages
//! of RFC 4475 and RFC 5118, the documents of RFC 4575, RFC 7701 and RFC 7702.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod fuzz;

use std::{fs, path::Path};

#[test]
fn message() {
    replay("fuzz/corpus/message", fuzz::message::run);
    replay("tests/torture", fuzz::message::run);
}

#[test]
fn stream() {
    replay("fuzz/corpus/stream", fuzz::stream::run);
    replay("tests/torture", |message| {
        fuzz::stream::run(&[b"0\n", message].concat());
    });
}

#[test]
fn values() {
    replay("fuzz/corpus/values", fuzz::values::run);
}

#[test]
fn endpoint() {
    replay("fuzz/corpus/endpoint", fuzz::endpoint::run);
}

#[test]
fn conference() {
    replay("fuzz/corpus/conference", fuzz::conference::run);
    replay("tests/conference/documents", fuzz::conference::run);
}

/// Runs each file of the folder; the test's output names the one that fails.
fn replay(folder: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus") {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}
