//! The floors: programs that do no more than the bytes need, in one thread, without state and without checks.

use std::io;
use std::net::SocketAddr;

use memchr::{memchr, memmem};
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};

use crate::component::{Component, flush, read_all, scratch};
use crate::wire::{self, put};

const XMPP: Token = Token(0);
const SIP: Token = Token(1);
const FIRST_SESSION: usize = 2;

/// Gives every message back to who sent it.
pub fn echo(server: SocketAddr) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let mut xmpp = Component::log_in(server, wire::GATEWAY)?;
    register(&poll, &mut xmpp)?;
    let mut out = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        xmpp.fill()?;
        while let Some((begin, end)) = xmpp.next() {
            let stanza = xmpp.bytes().get(begin..end).unwrap_or_default();
            if let Some(stanza) = Stanza::read(stanza) {
                out.extend_from_slice(b"<message from='");
                out.extend_from_slice(stanza.to);
                out.extend_from_slice(b"' to='");
                out.extend_from_slice(stanza.from);
                out.extend_from_slice(b"' type='chat'>");
                out.extend_from_slice(stanza.rest);
            }
        }
        xmpp.out().append(&mut out);
        xmpp.flush()?;
    }
}

/// What a bridge is between.
pub struct Ends {
    pub server: SocketAddr,
    /// Where it takes MESSAGEs.
    pub sip_port: u16,
    /// Where the SIP users are, for MESSAGE.
    pub sip_users: SocketAddr,
    /// Where the SIP users are, for MSRP.
    pub msrp_users: SocketAddr,
    /// Sessions to open at once; with none, all goes by MESSAGE.
    pub sessions: usize,
}

struct Session {
    stream: TcpStream,
    read: Vec<u8>,
    to_write: Vec<u8>,
    /// Of the SIP user.
    remote: String,
    local: String,
}

/// One stanza, one SEND or MESSAGE; and back.
pub fn bridge(ends: &Ends) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut xmpp = Component::log_in(ends.server, wire::GATEWAY)?;
    register(&poll, &mut xmpp)?;
    let mut sip = UdpSocket::bind(([127, 0, 0, 1], ends.sip_port).into())?;
    socket2::SockRef::from(&sip).set_recv_buffer_size(4 << 20)?;
    poll.registry()
        .register(&mut sip, SIP, Interest::READABLE)?;
    let mut sessions = (0..ends.sessions)
        .map(|pair| open(&poll, pair, ends.msrp_users))
        .collect::<io::Result<Vec<_>>>()?;
    let mut scratch = scratch();
    let mut dirty: Vec<usize> = (0..sessions.len()).collect();
    let mut out = Vec::new();
    let mut transaction = 0;
    loop {
        for at in dirty.drain(..) {
            if let Some(session) = sessions.get_mut(at) {
                flush(&mut session.stream, &mut session.to_write)?;
            }
        }
        xmpp.out().append(&mut out);
        xmpp.flush()?;
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                XMPP => {
                    xmpp.fill()?;
                    while let Some((begin, end)) = xmpp.next() {
                        let stanza = xmpp.bytes().get(begin..end).unwrap_or_default();
                        let Some(stanza) = Stanza::read(stanza) else {
                            continue;
                        };
                        transaction += 1;
                        let pair = wire::pair_of(stanza.to).unwrap_or_default();
                        if let Some(session) = sessions.get_mut(pair) {
                            if session.to_write.is_empty() {
                                dirty.push(pair);
                            }
                            session.send(&stanza, transaction);
                        } else {
                            let request = message(&stanza, pair, transaction, ends.sip_port);
                            // A full buffer loses it, as the network would.
                            let _ = sip.send_to(&request, ends.sip_users);
                        }
                    }
                }
                SIP => take_sip(&mut sip, &mut scratch, &mut out)?,
                Token(token) => {
                    let at = token - FIRST_SESSION;
                    if let Some(session) = sessions.get_mut(at) {
                        if session.to_write.is_empty() {
                            dirty.push(at);
                        }
                        if event.is_readable() {
                            session.take(at, &mut scratch, &mut out)?;
                        }
                    }
                }
            }
        }
    }
}

fn register(poll: &Poll, xmpp: &mut Component) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(xmpp.source(), XMPP, both)
}

/// As much of a stanza as is needed.
struct Stanza<'a> {
    from: &'a [u8],
    to: &'a [u8],
    /// From after the opening tag on.
    rest: &'a [u8],
    body: &'a [u8],
}

impl Stanza<'_> {
    fn read(stanza: &[u8]) -> Option<Stanza<'_>> {
        let (opening, rest) = stanza.split_at_checked(memchr(b'>', stanza)? + 1)?;
        let begin = memmem::find(rest, b"<body>")? + 6;
        let end = begin + memchr(b'<', rest.get(begin..)?)?;
        Some(Stanza {
            from: attribute(opening, b" from=")?,
            to: attribute(opening, b" to=")?,
            rest,
            body: rest.get(begin..end)?,
        })
    }
}

fn attribute<'a>(opening: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let begin = memmem::find(opening, name)? + name.len();
    let (quote, value) = opening.get(begin..)?.split_first()?;
    value.get(..memchr(*quote, value)?)
}

fn open(poll: &Poll, pair: usize, users: SocketAddr) -> io::Result<Session> {
    let mut stream = TcpStream::from_std({
        let stream = std::net::TcpStream::connect(users)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        stream
    });
    let both = Interest::READABLE | Interest::WRITABLE;
    let token = Token(FIRST_SESSION + pair);
    poll.registry().register(&mut stream, token, both)?;
    let remote = format!("msrp://{users}/s{pair:05};tcp");
    let local = format!("msrp://127.0.0.1:1/r{pair:05};tcp");
    let mut to_write = Vec::new();
    wire::send(&mut to_write, &remote, &local, 0, None);
    Ok(Session {
        stream,
        read: Vec::new(),
        to_write,
        remote,
        local,
    })
}

impl Session {
    fn send(&mut self, stanza: &Stanza<'_>, transaction: u32) {
        let Session { remote, local, .. } = self;
        let length = stanza.body.len();
        put(
            &mut self.to_write,
            format_args!(
                "MSRP t{transaction:08} SEND\r\nTo-Path: {remote}\r\nFrom-Path: {local}\r\n\
                 Message-ID: m{transaction:08}\r\nByte-Range: 1-{length}/{length}\r\nContent-Type: text/plain\r\n\r\n"
            ),
        );
        self.to_write.extend_from_slice(stanza.body);
        put(
            &mut self.to_write,
            format_args!("\r\n-------t{transaction:08}$\r\n"),
        );
    }

    fn take(&mut self, pair: usize, scratch: &mut [u8], out: &mut Vec<u8>) -> io::Result<()> {
        read_all(&mut self.stream, scratch, &mut self.read)?;
        let mut taken = 0;
        while let Some(frame) = wire::frame(self.read.get(taken..).unwrap_or_default()) {
            taken += frame.bytes.len();
            if frame.what != b"SEND" {
                continue;
            }
            wire::ok(
                &mut self.to_write,
                &self.remote,
                &self.local,
                frame.transaction,
            );
            let begin = memmem::find(frame.bytes, b"\r\n\r\n").map_or(0, |end| end + 4);
            let end = frame.bytes.len() - frame.transaction.len() - 12;
            write_stanza(out, pair, frame.bytes.get(begin..end).unwrap_or_default());
        }
        self.read.drain(..taken);
        Ok(())
    }
}

fn write_stanza(out: &mut Vec<u8>, pair: usize, body: &[u8]) {
    put(
        out,
        format_args!(
            "<message from='romeo{pair:05}@{}' to='u{pair:05}@{}/balcony' type='chat'><body>",
            wire::GATEWAY,
            wire::USERS
        ),
    );
    out.extend_from_slice(body);
    out.extend_from_slice(b"</body></message>");
}

fn message(stanza: &Stanza<'_>, pair: usize, transaction: u32, port: u16) -> Vec<u8> {
    let mut request = Vec::with_capacity(1024);
    put(
        &mut request,
        format_args!(
            "MESSAGE sip:romeo{pair:05}@{} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{transaction:08};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:u{pair:05}@{}>;tag=r{pair:05}\r\nTo: <sip:romeo{pair:05}@{}>\r\n\
             Call-ID: r{transaction:08}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {}\r\n\r\n",
            wire::PEERS,
            wire::USERS,
            wire::PEERS,
            stanza.body.len()
        ),
    );
    request.extend_from_slice(stanza.body);
    request
}

fn take_sip(sip: &mut UdpSocket, scratch: &mut [u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut reply = Vec::with_capacity(1024);
    loop {
        let (len, from) = match sip.recv_from(scratch) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let request = scratch.get(..len).unwrap_or_default();
        if request.starts_with(b"SIP/2.0") {
            continue;
        }
        let begin = memmem::find(request, b"\r\n\r\n").map_or(0, |end| end + 4);
        let pair = wire::user_of(request).unwrap_or_default();
        write_stanza(out, pair, request.get(begin..).unwrap_or_default());
        reply.clear();
        wire::response(
            &mut reply,
            request,
            "200 OK",
            format_args!("{}", wire::NOTHING),
        );
        let _ = sip.send_to(&reply, from);
    }
}
