//! Requests and responses into a buffer. Header order and spacing are what the pickiest peers want: paths first,
//! Content-Type last, one blank after each colon (MSRP-03).

use bytes::{BufMut, BytesMut};

use super::{Flag, HYPHENS};
use crate::{ByteRange, FailureReport, MsrpUri, Nickname};

/// The two path headers of all our requests in a session, rendered once.
#[derive(Debug, Clone)]
pub struct Paths(Box<[u8]>);

impl Paths {
    /// To all of the peer's path in its order, from our own URI (MSRP-08).
    pub fn new(to: &[MsrpUri], from: &MsrpUri) -> Paths {
        let mut text = String::from("To-Path:");
        for uri in to {
            text.push(' ');
            text.push_str(&uri.to_string());
        }
        text.push_str(&format!("\r\nFrom-Path: {from}\r\n"));
        Paths(text.into_bytes().into())
    }
}

/// What stands before the body of a SEND.
#[derive(Debug)]
pub struct SendHead<'a> {
    /// Must not be in the body after seven hyphens.
    pub transaction_id: &'a [u8],
    /// Both path headers.
    pub paths: &'a Paths,
    /// Names the message in all its chunks.
    pub message_id: &'a [u8],
    /// Which bytes of the message follow.
    pub range: ByteRange,
    /// Whether success REPORTs are asked for.
    pub success_report: bool,
    /// What is to be told of failures; the default is not written.
    pub failure_report: FailureReport,
    /// Free of control characters. `None` for a request without body.
    pub content_type: Option<&'a str>,
}

/// Writes a SEND up to where its body begins, or, without a Content-Type, up to its end-line.
pub fn put_send_head(out: &mut BytesMut, head: &SendHead<'_>) {
    let content_type = head.content_type.map_or(0, str::len);
    reserve(out, &[content_type, head.paths.0.len(), 256]);
    put_start(out, head.transaction_id, b"SEND");
    out.put_slice(&head.paths.0);
    out.put_slice(b"Message-ID: ");
    out.put_slice(head.message_id);
    out.put_slice(b"\r\n");
    put_range(out, head.range);
    if head.success_report {
        out.put_slice(b"Success-Report: yes\r\n");
    }
    match head.failure_report {
        FailureReport::Yes => {}
        FailureReport::Partial => out.put_slice(b"Failure-Report: partial\r\n"),
        FailureReport::No => out.put_slice(b"Failure-Report: no\r\n"),
    }
    if let Some(content_type) = head.content_type {
        out.put_slice(b"Content-Type: ");
        out.put_slice(content_type.as_bytes());
        out.put_slice(b"\r\n\r\n");
    }
}

/// Writes the end-line of a request or response; after a body, the CRLF that parts them too.
pub fn put_end_line(out: &mut BytesMut, transaction_id: &[u8], flag: Flag, after_body: bool) {
    if after_body {
        out.put_slice(b"\r\n");
    }
    out.put_slice(HYPHENS);
    out.put_slice(transaction_id);
    out.put_u8(flag.as_byte());
    out.put_slice(b"\r\n");
}

/// Writes a whole REPORT. RFC 4975 §7.1.2.
pub fn put_report(
    out: &mut BytesMut,
    transaction_id: &[u8],
    paths: &Paths,
    message_id: &[u8],
    range: ByteRange,
    status: u16,
) {
    reserve(out, &[paths.0.len(), message_id.len(), 256]);
    put_start(out, transaction_id, b"REPORT");
    out.put_slice(&paths.0);
    out.put_slice(b"Message-ID: ");
    out.put_slice(message_id);
    out.put_slice(b"\r\n");
    put_range(out, range);
    out.put_slice(b"Status: 000 ");
    put_status(out, status);
    out.put_slice(b"\r\n");
    put_end_line(out, transaction_id, Flag::Complete, false);
}

/// Writes a whole NICKNAME. RFC 7701 §7.1.
pub fn put_nickname(out: &mut BytesMut, transaction_id: &[u8], paths: &Paths, nickname: &Nickname) {
    let value = nickname.to_string();
    reserve(out, &[paths.0.len(), value.len(), 128]);
    put_start(out, transaction_id, b"NICKNAME");
    out.put_slice(&paths.0);
    out.put_slice(b"Use-Nickname: ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
    put_end_line(out, transaction_id, Flag::Complete, false);
}

/// Writes a whole response: `to` is the previous hop of the request, `from` our own URI. RFC 4975 §7.2.
pub fn put_response(
    out: &mut BytesMut,
    transaction_id: &[u8],
    status: u16,
    to: &[u8],
    from: &[u8],
) {
    reserve(
        out,
        &[
            2usize.saturating_mul(transaction_id.len()),
            to.len(),
            from.len(),
            128,
        ],
    );
    out.put_slice(b"MSRP ");
    out.put_slice(transaction_id);
    out.put_u8(b' ');
    put_status(out, status);
    out.put_slice(b"\r\nTo-Path: ");
    out.put_slice(to);
    out.put_slice(b"\r\nFrom-Path: ");
    out.put_slice(from);
    out.put_slice(b"\r\n");
    put_end_line(out, transaction_id, Flag::Complete, false);
}

/// Makes room for pieces of these lengths.
fn reserve(out: &mut BytesMut, lengths: &[usize]) {
    let all = lengths
        .iter()
        .fold(0usize, |all, length| all.saturating_add(*length));
    out.reserve(all);
}

fn put_start(out: &mut BytesMut, transaction_id: &[u8], method: &[u8]) {
    out.put_slice(b"MSRP ");
    out.put_slice(transaction_id);
    out.put_u8(b' ');
    out.put_slice(method);
    out.put_slice(b"\r\n");
}

fn put_range(out: &mut BytesMut, range: ByteRange) {
    out.put_slice(b"Byte-Range: ");
    put_number(out, range.start);
    out.put_u8(b'-');
    put_number_or_star(out, range.end);
    out.put_u8(b'/');
    put_number_or_star(out, range.total);
    out.put_slice(b"\r\n");
}

fn put_status(out: &mut BytesMut, status: u16) {
    put_number(out, u64::from(status.clamp(100, 999)));
    let comment = comment(status);
    if !comment.is_empty() {
        out.put_u8(b' ');
        out.put_slice(comment);
    }
}

/// RFC 4975 §10, RFC 7701 §9.
fn comment(status: u16) -> &'static [u8] {
    match status {
        200 => b"OK",
        400 => b"Bad request",
        403 => b"Forbidden",
        404 => b"Not found",
        408 => b"Timeout",
        413 => b"Message too large",
        415 => b"Unsupported media type",
        423 => b"Parameter out of bounds",
        424 => b"Malformed nickname",
        425 => b"Nickname reserved or in use",
        428 => b"Private messages not supported",
        481 => b"No such session",
        501 => b"Unknown method",
        506 => b"Session on another connection",
        _ => b"",
    }
}

fn put_number_or_star(out: &mut BytesMut, number: Option<u64>) {
    match number {
        Some(number) => put_number(out, number),
        None => out.put_u8(b'*'),
    }
}

fn put_number(out: &mut BytesMut, number: u64) {
    let mut digits = [b'0'; 20];
    let mut left = number;
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0'.saturating_add((left % 10) as u8);
        left /= 10;
        first = place;
        if left == 0 {
            break;
        }
    }
    out.put_slice(digits.get(first..).unwrap_or_default());
}
