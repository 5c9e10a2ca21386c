//! Every message of the archives in RFC 4475 and RFC 5118, with what becomes of it here (SIP-02): by the parser, and by an
//! endpoint that it is sent to over real sockets. The tables serve both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use stox_sip::{Fault, Request, Response, Status};

mod parser;
mod rfc4475;
mod rfc5118;
#[cfg(feature = "tokio")]
mod sockets;

/// A message and what becomes of it.
#[derive(Clone)]
struct Case {
    /// Without folder and `.dat`.
    file: &'static str,
    outcome: Outcome,
    reaction: Reaction,
    over_streams: OverStreams,
}

/// What the parser makes of a message that is alone in a datagram.
#[derive(Clone)]
enum Outcome {
    /// A request that is read; whether it is served is decided above.
    Request(fn(&Request)),
    /// A response that is read.
    Reads(fn(&Response)),
    /// A request that is refused.
    Refused(Fault),
    /// Not answered.
    Dropped(Fault),
}

/// What an endpoint makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// Tells its user, whose answer is sent.
    Told,
    /// Answers by itself.
    Refuses(Status),
    /// No answer.
    Nothing,
}

/// What is different where the message comes over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OverStreams {
    /// Nothing: the same reaction, and the connection can be used further.
    Same,
    /// These answers; then the connection is closed, as nobody knows where the next message begins.
    Lost(&'static [Status]),
    /// The rest of the message is awaited; when it does not come, the connection is closed.
    Waits,
}

fn case(file: &'static str, outcome: Outcome, reaction: Reaction) -> Case {
    Case {
        file,
        outcome,
        reaction,
        over_streams: OverStreams::Same,
    }
}

impl Case {
    fn over_streams(mut self, difference: OverStreams) -> Self {
        self.over_streams = difference;
        self
    }
}

fn cases() -> Vec<Case> {
    [rfc4475::cases(), rfc5118::cases()].concat()
}

fn read(file: &str) -> Bytes {
    Bytes::from(fs::read(folder().join(format!("{file}.dat"))).unwrap())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}
