//! The messages of all runs, and as much of SIP and MSRP as writing and finding them takes. Trusts its peers.

use std::io::Write;

use memchr::{memchr, memmem};

/// Domain of the component that plays the XMPP users.
pub const USERS: &str = "load.bench";
/// Domain of the gateway's component.
pub const GATEWAY: &str = "gw.bench";
/// Domain of the SIP users.
pub const PEERS: &str = "sip.bench";

/// Bytes of the stanza in every message from XMPP; the same body goes the other way.
const STANZA: usize = 300;
const MARK: &[u8] = b"seq=";
const WORDS: &str =
    "Art thou not Romeo, and a Montague? How camest thou hither, tell me, and wherefore? ";

/// A stanza from user `pair` to SIP user `pair`.
pub fn stanza(out: &mut Vec<u8>, pair: usize, seq: u32) {
    head(out, pair, seq);
    body(out, seq);
    out.extend_from_slice(b"</body></message>");
}

fn head(out: &mut Vec<u8>, pair: usize, seq: u32) {
    put(
        out,
        format_args!(
            "<message from='u{pair:05}@{USERS}/balcony' to='romeo{pair:05}@{GATEWAY}' type='chat' id='m{seq:08}'>\
             <thread>{pair:05}-7f3c9d2e</thread><body>"
        ),
    );
}

/// The body of message `seq`: what fills the stanza.
pub fn body(out: &mut Vec<u8>, seq: u32) {
    let length = body_length();
    let end = out.len() + length;
    put(out, format_args!("seq={seq:08};"));
    while out.len() < end {
        let piece = WORDS.len().min(end - out.len());
        out.extend_from_slice(WORDS.as_bytes().get(..piece).unwrap_or_default());
    }
}

/// Bytes of every body.
pub fn body_length() -> usize {
    let mut frame = Vec::new();
    head(&mut frame, 0, 0);
    STANZA - frame.len() - "</body></message>".len()
}

/// The user leaves the conversation.
pub fn gone(out: &mut Vec<u8>, pair: usize) {
    put(
        out,
        format_args!(
            "<message from='u{pair:05}@{USERS}/balcony' to='romeo{pair:05}@{GATEWAY}' type='chat'>\
             <thread>{pair:05}-7f3c9d2e</thread>\
             <gone xmlns='http://jabber.org/protocol/chatstates'/></message>"
        ),
    );
}

/// Which message this is, wherever its body is in `bytes`.
pub fn seq_of(bytes: &[u8]) -> Option<u32> {
    let at = memmem::find(bytes, MARK)? + MARK.len();
    number(bytes.get(at..at + 8)?)
}

/// The number of the SIP user that is named first.
pub fn pair_of(bytes: &[u8]) -> Option<usize> {
    let at = memmem::find(bytes, b"romeo")? + b"romeo".len();
    number(bytes.get(at..at + 5)?).and_then(|pair| usize::try_from(pair).ok())
}

/// The number of the XMPP user that is named first.
pub fn user_of(bytes: &[u8]) -> Option<usize> {
    let at = memmem::find(bytes, b"@load.bench")?;
    number(bytes.get(at.checked_sub(5)?..at)?).and_then(|pair| usize::try_from(pair).ok())
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A MESSAGE from SIP user `pair` to user `pair`, sent from `local`.
pub fn message(out: &mut Vec<u8>, pair: usize, seq: u32, local: u16) {
    put(
        out,
        format_args!(
            "MESSAGE sip:u{pair:05}@{USERS} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{local};branch=z9hG4bK{seq:08}{pair:05};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:romeo{pair:05}@{PEERS}>;tag=t{pair:05}\r\n\
             To: <sip:u{pair:05}@{USERS}>\r\n\
             Call-ID: c{seq:08}@127.0.0.1\r\n\
             CSeq: 1 MESSAGE\r\n\
             Content-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {}\r\n\r\n",
            body_length()
        ),
    );
    body(out, seq);
}

/// A response to a SIP request: its Vias, From, To, Call-ID and CSeq, with what follows them.
pub fn response(out: &mut Vec<u8>, request: &[u8], status: &str, rest: std::fmt::Arguments<'_>) {
    put(out, format_args!("SIP/2.0 {status}\r\n"));
    let head = memmem::find(request, b"\r\n\r\n").map_or(request.len(), |end| end + 2);
    for line in lines(request.get(..head).unwrap_or_default()) {
        let name = line
            .get(..memchr(b':', line).unwrap_or(0))
            .unwrap_or_default();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"Via")
            || is(b"v")
            || is(b"From")
            || is(b"f")
            || is(b"Call-ID")
            || is(b"i")
            || is(b"CSeq")
        {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        } else if is(b"To") || is(b"t") {
            out.extend_from_slice(line);
            let tag: &[u8] = if memmem::find(line, b";tag=").is_some() {
                b"\r\n"
            } else {
                b";tag=peer\r\n"
            };
            out.extend_from_slice(tag);
        }
    }
    put(out, rest);
}

/// What nothing is to follow in a response.
pub const NOTHING: &str = "Content-Length: 0\r\n\r\n";

/// The value after `name` at the beginning of a line, without its white space.
pub fn line_after<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines(text)
        .find_map(|line| line.strip_prefix(name))
        .map(<[u8]>::trim_ascii)
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// One MSRP message in one SEND. `seq` none: the empty one that binds.
pub fn send(out: &mut Vec<u8>, to: &str, from: &str, transaction: u32, seq: Option<u32>) {
    put(
        out,
        format_args!(
            "MSRP t{transaction:08} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: m{transaction:08}\r\n"
        ),
    );
    match seq {
        Some(seq) => {
            let length = body_length();
            put(
                out,
                format_args!("Byte-Range: 1-{length}/{length}\r\nContent-Type: text/plain\r\n\r\n"),
            );
            body(out, seq);
            out.extend_from_slice(b"\r\n");
        }
        None => out.extend_from_slice(b"Byte-Range: 1-0/0\r\n"),
    }
    put(out, format_args!("-------t{transaction:08}$\r\n"));
}

/// The answer to a SEND.
pub fn ok(out: &mut Vec<u8>, to: &str, from: &str, transaction: &[u8]) {
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(transaction);
    put(
        out,
        format_args!(" 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------"),
    );
    out.extend_from_slice(transaction);
    out.extend_from_slice(b"$\r\n");
}

/// A whole MSRP request or response at the beginning of what was read.
pub struct Frame<'a> {
    pub transaction: &'a [u8],
    /// The method, or the status with its comment.
    pub what: &'a [u8],
    pub bytes: &'a [u8],
}

/// `None`: more must be read.
pub fn frame(read: &[u8]) -> Option<Frame<'_>> {
    let line = read.get(..memchr(b'\r', read)?)?;
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let _msrp = words.next()?;
    let transaction = words.next()?;
    let what = words.next()?;
    let mut from = line.len();
    loop {
        let at = from + memmem::find(read.get(from..)?, b"\r\n-------")?;
        let rest = read.get(at + 9..)?;
        if rest.starts_with(transaction) {
            let end = at + 9 + transaction.len() + 3;
            return Some(Frame {
                transaction,
                what,
                bytes: read.get(..end)?,
            });
        }
        from = at + 9;
    }
}

/// Writes what is formatted.
pub fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(what);
}
