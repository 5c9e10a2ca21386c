//! What the fuzzers found worth keeping, and what was written for them, once more: `fuzz/corpus/<target>`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod fuzz;

use std::{fs, path::Path};

#[test]
fn stream() {
    replay("stream", fuzz::stream::run);
}

#[test]
fn session() {
    replay("session", fuzz::session::run);
}

#[test]
fn cpim() {
    replay("cpim", fuzz::cpim::run);
}

#[test]
fn sdp() {
    replay("sdp", fuzz::sdp::run);
}

#[test]
fn is_composing() {
    replay("is_composing", fuzz::documents::run_is_composing);
}

#[test]
fn imdn() {
    replay("imdn", fuzz::documents::run_imdn);
}

/// Runs each file of the target's corpus; the test's output names the one that fails.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus") {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}
