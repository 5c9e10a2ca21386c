//! Requests that are answered with an error.

use super::Outbound;
use crate::{
    FailureReport,
    codec::{Head, Method, Start, put_response},
};

/// Answers a request with an error on behalf of `local`, unless it wants no answer: REPORTs never do, and SENDs with
/// Failure-Report `no` do not (RCPT-09, MSRP-20).
pub fn refuse(head: &Head, local: &[u8], status: u16, outbound: &mut Outbound) {
    let wants_none = match head.start() {
        Start::Request(Method::Send) => head.failure_report() == FailureReport::No,
        Start::Request(Method::Report) | Start::Response(_) => true,
        Start::Request(Method::Nickname | Method::Other) => false,
    };
    if wants_none {
        return;
    }
    let Some(to) = response_path(head) else {
        return;
    };
    put_response(outbound.tail(), head.transaction_id(), status, to, local);
}

/// Where a response goes: to the previous hop for a SEND, all the way back for the rest. RFC 4975 §7.2.
fn response_path(head: &Head) -> Option<&[u8]> {
    match head.start() {
        Start::Request(Method::Nickname | Method::Other) => head.whole_from_path(),
        _ => head.from_path().next(),
    }
}
