//! As much of SIP and MSRP as rooms take. Trusts its peers.

use memchr::memmem;

use crate::wire::{self, put};

/// The description of an MSRP session at which we connect.
pub fn description(path: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
         a=accept-types:message/cpim\r\na=accept-wrapped-types:text/plain\r\na=path:{path}\r\na=setup:active\r\n\
         a=chatroom:nickname private-messages\r\n"
    )
}

/// A value of a message's head.
pub fn header(message: &[u8], name: &str) -> String {
    let value = wire::line_after(message, name.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// The status of a response; none of a request.
pub fn status(message: &[u8]) -> Option<u16> {
    let rest = message.trim_ascii_start().strip_prefix(b"SIP/2.0 ")?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

/// The method of a request.
pub fn method(message: &[u8]) -> &[u8] {
    let words = message.trim_ascii_start().split(|byte| *byte == b' ');
    words.into_iter().next().unwrap_or_default()
}

/// The URI of a request.
pub fn target(message: &[u8]) -> String {
    let mut words = message.trim_ascii_start().split(|byte| *byte == b' ');
    String::from_utf8_lossy(words.nth(1).unwrap_or_default()).into_owned()
}

/// The URI between the angle brackets.
pub fn uri_in(value: &str) -> &str {
    let (_, rest) = value.split_once('<').unwrap_or(("", value));
    rest.split('>').next().unwrap_or_default()
}

/// The address in `msrp://address/session;tcp`.
pub fn authority(path: &str) -> Option<std::net::SocketAddr> {
    path.split('/').nth(2)?.parse().ok()
}

/// A response with nothing but `rest` besides what it repeats; `rest` ends with the body or the empty line.
pub fn respond(out: &mut Vec<u8>, request: &[u8], status: &str, rest: std::fmt::Arguments<'_>) {
    wire::response(out, request.trim_ascii_start(), status, rest);
}

/// A request. `head`: To, From, Call-ID, CSeq and what else there is, each with its line end.
pub fn request(out: &mut Vec<u8>, first: &str, port: u16, branch: u64, head: &str, body: &str) {
    put(
        out,
        format_args!(
            "{first} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:{port};branch=z9hG4bK{branch:012}\r\nMax-Forwards: 70\r\n\
             {head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
}

/// The number that follows the word, of five digits.
pub fn number_after(text: &str, word: &str) -> Option<usize> {
    let (_, rest) = text.split_once(word)?;
    rest.get(..5)?.parse().ok()
}

/// Head and end of a SEND around what is said in it.
pub fn send(out: &mut Vec<u8>, to: &str, from: &str, transaction: u64, said: &[u8]) {
    put(
        out,
        format_args!(
            "MSRP t{transaction:08} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: m{transaction:08}\r\n\
             Byte-Range: 1-{length}/{length}\r\nFailure-Report: yes\r\nContent-Type: message/cpim\r\n\r\n",
            length = said.len()
        ),
    );
    out.extend_from_slice(said);
    put(out, format_args!("\r\n-------t{transaction:08}$\r\n"));
}

/// The SEND with which the active side binds, which has no body.
pub fn bind(out: &mut Vec<u8>, to: &str, from: &str, transaction: u64) {
    let transaction = u32::try_from(transaction).unwrap_or(u32::MAX);
    wire::send(out, to, from, transaction, None);
}

/// A wish for a nickname.
pub fn nickname(out: &mut Vec<u8>, to: &str, from: &str, transaction: u64, nickname: &str) {
    put(
        out,
        format_args!(
            "MSRP t{transaction:08} NICKNAME\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n\
             Use-Nickname: \"{nickname}\"\r\n-------t{transaction:08}$\r\n"
        ),
    );
}

/// What a SEND says: its body, if it has one.
pub fn said<'a>(frame: &wire::Frame<'a>) -> Option<&'a [u8]> {
    let begin = memmem::find(frame.bytes, b"\r\n\r\n")? + 4;
    let end = frame
        .bytes
        .len()
        .checked_sub(frame.transaction.len() + 12)?;
    frame.bytes.get(begin..end)
}

/// Message `seq` as CPIM.
pub fn cpim(from: &str, to: &str, seq: u32) -> Vec<u8> {
    let mut said = Vec::new();
    put(
        &mut said,
        format_args!(
            "From: <{from}>\r\nTo: <{to}>\r\nDateTime: 2026-11-20T19:00:00Z\r\n\r\n\
             Content-Type: text/plain;charset=utf-8\r\n\r\n"
        ),
    );
    wire::body(&mut said, seq);
    said
}
