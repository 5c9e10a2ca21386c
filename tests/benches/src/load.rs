//! The load generator: all XMPP users, by way of one component, and all SIP users with their MSRP sessions, in one
//! thread. What it sends it looks for on the other side.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};

use crate::component::{Component, attribute, flush, read_all, scratch};
use crate::flights::{Flights, Outcome};
use crate::wire;

const XMPP: Token = Token(0);
const SIP: Token = Token(1);
const MSRP: Token = Token(2);
/// Tokens below are for the three above.
const FIRST_PEER: usize = 3;
/// The socket's buffers, as far as the system allows.
const BUFFERS: usize = 4 << 20;
/// Nothing has come for so long: what is still out is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Transaction of the SENDs that bind.
const BINDING: u32 = 99_999_999;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    XmppToMsrp,
    MsrpToXmpp,
    XmppToMessage,
    MessageToXmpp,
    /// From the XMPP user by the component back to the XMPP user.
    Echo,
}

/// When messages go out.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As many are under way at a time.
    Saturated(usize),
    /// As many in a second.
    PerSecond(u32),
}

/// What is done with a new session once its first message has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: it stays.
    Keep,
    /// The XMPP user leaves.
    End,
}

/// The generator. Made once for a gateway.
pub struct Load {
    poll: Poll,
    xmpp: Component,
    sip: UdpSocket,
    sip_port: u16,
    gateway_sip: SocketAddr,
    msrp: TcpListener,
    msrp_port: u16,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    /// Peers with something to write.
    dirty: Vec<usize>,
    sessions: Vec<Session>,
    then: Then,
    flights: Flights,
    next_seq: u32,
    scratch: Box<[u8]>,
    datagram: Vec<u8>,
}

/// An MSRP connection.
struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
    to_write: Vec<u8>,
    pair: Option<usize>,
}

/// A SIP user's session with the XMPP user of the same number.
#[derive(Default)]
struct Session {
    peer: Option<usize>,
    local: String,
    remote: String,
    answer: Vec<u8>,
    /// The last message that arrived in it.
    seq: u32,
}

impl Load {
    /// Logs in with the server, listens for the gateway. `gateway_sip`: where MESSAGEs go.
    pub fn new(
        server: SocketAddr,
        sip_port: u16,
        msrp_port: u16,
        gateway_sip: u16,
    ) -> io::Result<Load> {
        let poll = Poll::new()?;
        let mut xmpp = Component::log_in(server, wire::USERS)?;
        let mut sip = UdpSocket::bind(([127, 0, 0, 1], sip_port).into())?;
        let buffers = socket2::SockRef::from(&sip);
        buffers.set_recv_buffer_size(BUFFERS)?;
        buffers.set_send_buffer_size(BUFFERS)?;
        let mut msrp = TcpListener::bind(([127, 0, 0, 1], msrp_port).into())?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(xmpp.source(), XMPP, both)?;
        poll.registry()
            .register(&mut sip, SIP, Interest::READABLE)?;
        poll.registry()
            .register(&mut msrp, MSRP, Interest::READABLE)?;
        Ok(Load {
            poll,
            xmpp,
            sip_port: sip.local_addr()?.port(),
            sip,
            gateway_sip: ([127, 0, 0, 1], gateway_sip).into(),
            msrp_port: msrp.local_addr()?.port(),
            msrp,
            peers: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            sessions: Vec::new(),
            then: Then::Keep,
            flights: Flights::default(),
            next_seq: 0,
            scratch: scratch(),
            datagram: vec![0; 64 * 1024],
        })
    }

    /// Waits until as many sessions are there; for a gateway that opens them by itself.
    pub fn await_sessions(&mut self, count: usize) -> io::Result<bool> {
        let deadline = Instant::now() + PATIENCE * 4;
        while self.connected() < count && Instant::now() < deadline {
            self.listen(Duration::from_millis(50))?;
        }
        Ok(self.connected() >= count)
    }

    fn connected(&self) -> usize {
        let of = |session: &&Session| session.peer.is_some() && !session.remote.is_empty();
        self.sessions.iter().filter(of).count()
    }

    /// Sends `total` messages, from each of `pairs` users in turn.
    pub fn run(
        &mut self,
        direction: Direction,
        pairs: usize,
        pace: Pace,
        total: u32,
    ) -> io::Result<Outcome> {
        self.then = Then::Keep;
        self.measure(pace, total, |load, count, seq| {
            load.send(direction, count as usize % pairs, seq)
        })
    }

    /// Lets users `first..first + total` open sessions, each by a message.
    pub fn set_up(
        &mut self,
        first: usize,
        total: u32,
        pace: Pace,
        then: Then,
    ) -> io::Result<Outcome> {
        self.then = then;
        self.measure(pace, total, |load, count, seq| {
            load.send(Direction::XmppToMsrp, first + count as usize, seq)
        })
    }

    fn measure(
        &mut self,
        pace: Pace,
        total: u32,
        mut send: impl FnMut(&mut Load, u32, u32),
    ) -> io::Result<Outcome> {
        self.flights = Flights::new(self.next_seq, total);
        let begin = Instant::now();
        let mut sent = 0;
        let mut heard = Instant::now();
        let mut accounted = 0;
        while accounted < total as usize {
            while sent < total {
                let now = Instant::now();
                let is_due = match pace {
                    Pace::Saturated(window) => self.flights.under_way() < window,
                    Pace::PerSecond(rate) => begin + Duration::from_secs(1) * sent / rate <= now,
                };
                if !is_due {
                    break;
                }
                self.flights.sent(now);
                send(self, sent, self.next_seq);
                self.next_seq += 1;
                sent += 1;
                heard = now;
            }
            let wait = match pace {
                Pace::PerSecond(rate) if sent < total => (begin
                    + Duration::from_secs(1) * sent / rate)
                    .saturating_duration_since(Instant::now()),
                _ => Duration::from_millis(100),
            };
            self.listen(wait)?;
            if self.flights.accounted() > accounted {
                accounted = self.flights.accounted();
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                break;
            }
        }
        let flights = std::mem::take(&mut self.flights);
        Ok(flights.outcome(begin.elapsed()))
    }

    fn send(&mut self, direction: Direction, pair: usize, seq: u32) {
        match direction {
            Direction::XmppToMsrp | Direction::XmppToMessage | Direction::Echo => {
                wire::stanza(self.xmpp.out(), pair, seq);
            }
            Direction::MessageToXmpp => {
                self.datagram.clear();
                wire::message(&mut self.datagram, pair, seq, self.sip_port);
                // A full buffer loses it, as the network would: it is counted as lost.
                let _ = self.sip.send_to(&self.datagram, self.gateway_sip);
            }
            Direction::MsrpToXmpp => {
                let Some(session) = self.sessions.get(pair) else {
                    return;
                };
                let Some(at) = session.peer else { return };
                if let Some(Some(peer)) = self.peers.get_mut(at) {
                    if peer.to_write.is_empty() {
                        self.dirty.push(at);
                    }
                    let (to, from) = (&session.remote, &session.local);
                    wire::send(&mut peer.to_write, to, from, seq, Some(seq));
                }
            }
        }
    }

    /// Writes what waits, waits for what comes for so long at most, takes it.
    pub fn listen(&mut self, wait: Duration) -> io::Result<()> {
        self.flush()?;
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &events {
            match event.token() {
                XMPP => {
                    if event.is_readable() {
                        self.read_xmpp()?;
                    }
                }
                SIP => self.read_sip()?,
                MSRP => self.accept()?,
                Token(token) => {
                    let at = token - FIRST_PEER;
                    if event.is_readable() {
                        self.read_msrp(at);
                    }
                    if event.is_writable() {
                        self.dirty.push(at);
                    }
                }
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.xmpp.flush()?;
        for at in std::mem::take(&mut self.dirty) {
            if let Some(Some(peer)) = self.peers.get_mut(at)
                && flush(&mut peer.stream, &mut peer.to_write).is_err()
            {
                self.drop_peer(at);
            }
        }
        Ok(())
    }

    fn read_xmpp(&mut self) -> io::Result<()> {
        self.xmpp.fill()?;
        let now = Instant::now();
        while let Some((begin, end)) = self.xmpp.next() {
            let stanza = self.xmpp.bytes().get(begin..end).unwrap_or_default();
            let seq = if memmem::find(stanza, b"<error").is_some() {
                let text = String::from_utf8_lossy(stanza);
                let id = attribute(&text, " id=").and_then(|id| id.strip_prefix('m'));
                id.and_then(|id| id.parse().ok()).map(Err)
            } else {
                wire::seq_of(stanza).map(Ok)
            };
            match seq {
                Some(Ok(seq)) => self.flights.delivered(seq, now),
                Some(Err(seq)) => self.flights.refused(seq),
                None => {}
            }
        }
        Ok(())
    }

    fn read_sip(&mut self) -> io::Result<()> {
        loop {
            self.datagram.resize(64 * 1024, 0);
            let (len, from) = match self.sip.recv_from(&mut self.datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.datagram.truncate(len);
            let datagram = std::mem::take(&mut self.datagram);
            self.take_sip(&datagram, from);
            self.datagram = datagram;
        }
    }

    fn take_sip(&mut self, datagram: &[u8], from: SocketAddr) {
        let method = datagram.split(|byte| *byte == b' ').next();
        let mut reply = Vec::with_capacity(1024);
        let nothing = format_args!("{}", wire::NOTHING);
        match method.unwrap_or_default() {
            b"SIP/2.0" => return self.answered(datagram),
            b"MESSAGE" => {
                if let Some(seq) = wire::seq_of(datagram) {
                    self.flights.delivered(seq, Instant::now());
                }
                wire::response(&mut reply, datagram, "200 OK", nothing);
            }
            b"INVITE" => match self.invited(datagram) {
                Some(answer) => reply = answer,
                None => wire::response(&mut reply, datagram, "488 Not Acceptable Here", nothing),
            },
            b"ACK" => {
                // A session that cannot be connected is missed as what was to arrive in it.
                let _ = wire::pair_of(datagram).map(|pair| self.connect(pair));
                return;
            }
            b"BYE" => {
                wire::response(&mut reply, datagram, "200 OK", nothing);
                if let Some(pair) = wire::pair_of(datagram) {
                    self.ended(pair);
                }
            }
            _ => wire::response(&mut reply, datagram, "200 OK", nothing),
        }
        let _ = self.sip.send_to(&reply, from);
    }

    fn answered(&mut self, response: &[u8]) {
        let status = response.get(8..11).unwrap_or_default();
        if status.starts_with(b"1") || status.starts_with(b"2") {
            return;
        }
        let call_id = wire::line_after(response, b"Call-ID: c").unwrap_or_default();
        let seq = std::str::from_utf8(call_id.get(..8).unwrap_or_default());
        if let Some(seq) = seq.ok().and_then(|seq| seq.parse().ok()) {
            self.flights.refused(seq);
        }
    }

    /// A 200 whose description has us connect: each session gets a connection of its own.
    fn invited(&mut self, invite: &[u8]) -> Option<Vec<u8>> {
        let pair = wire::pair_of(invite)?;
        let path = String::from_utf8_lossy(wire::line_after(invite, b"a=path:")?).into_owned();
        if self.sessions.len() <= pair {
            self.sessions.resize_with(pair + 1, Session::default);
        }
        let (sip_port, msrp_port) = (self.sip_port, self.msrp_port);
        let session = self.sessions.get_mut(pair)?;
        if session.remote == path {
            return Some(session.answer.clone());
        }
        session.local = format!("msrp://127.0.0.1:{msrp_port}/s{pair:05};tcp");
        session.remote = path;
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=message {msrp_port} TCP/MSRP *\r\na=accept-types:text/plain\r\na=path:{}\r\na=setup:active\r\n",
            session.local
        );
        let mut answer = Vec::new();
        wire::response(
            &mut answer,
            invite,
            "200 OK",
            format_args!(
                "Contact: <sip:romeo{pair:05}@127.0.0.1:{sip_port}>\r\nContent-Type: application/sdp\r\n\
                 Content-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            ),
        );
        session.answer.clone_from(&answer);
        Some(answer)
    }

    /// Connects to the gateway and binds.
    fn connect(&mut self, pair: usize) -> io::Result<()> {
        let Some(session) = self
            .sessions
            .get(pair)
            .filter(|session| session.peer.is_none())
        else {
            return Ok(());
        };
        let authority = session.remote.split('/').nth(2).unwrap_or_default();
        let address = authority.parse().map_err(io::Error::other)?;
        let mut to_write = Vec::new();
        wire::send(
            &mut to_write,
            &session.remote,
            &session.local,
            BINDING,
            None,
        );
        let stream = TcpStream::connect(address)?;
        let at = self.add_peer(Peer {
            stream,
            read: Vec::new(),
            to_write,
            pair: Some(pair),
        })?;
        if let Some(session) = self.sessions.get_mut(pair) {
            session.peer = Some(at);
        }
        Ok(())
    }

    fn ended(&mut self, pair: usize) {
        let Some(session) = self.sessions.get_mut(pair) else {
            return;
        };
        let peer = session.peer.take();
        let seq = session.seq;
        *session = Session::default();
        if let Some(at) = peer {
            self.drop_peer(at);
            if self.then == Then::End {
                self.flights.delivered(seq, Instant::now());
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.msrp.accept() {
                Ok((stream, _)) => {
                    self.add_peer(Peer {
                        stream,
                        read: Vec::new(),
                        to_write: Vec::new(),
                        pair: None,
                    })?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn add_peer(&mut self, mut peer: Peer) -> io::Result<usize> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let _ = peer.stream.set_nodelay(true);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut peer.stream, Token(FIRST_PEER + at), both)?;
        if let Some(place) = self.peers.get_mut(at) {
            *place = Some(peer);
        }
        Ok(at)
    }

    fn drop_peer(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at).and_then(Option::take) {
            self.free.push(at);
            if let Some(session) = peer.pair.and_then(|pair| self.sessions.get_mut(pair))
                && session.peer == Some(at)
            {
                session.peer = None;
            }
        }
    }

    fn read_msrp(&mut self, at: usize) {
        let Some(Some(peer)) = self.peers.get_mut(at) else {
            return;
        };
        let end = read_all(&mut peer.stream, &mut self.scratch, &mut peer.read);
        let now = Instant::now();
        let read = std::mem::take(&mut peer.read);
        let mut taken = 0;
        while let Some(frame) = wire::frame(read.get(taken..).unwrap_or_default()) {
            taken += frame.bytes.len();
            self.take_msrp(at, &frame, now);
        }
        if let Some(Some(peer)) = self.peers.get_mut(at) {
            peer.read = read;
            peer.read.drain(..taken);
            if peer.read.is_empty() {
                peer.read = Vec::new();
            }
        }
        if end.is_err() {
            self.drop_peer(at);
        }
    }

    fn take_msrp(&mut self, at: usize, frame: &wire::Frame<'_>, now: Instant) {
        let Some(Some(peer)) = self.peers.get_mut(at) else {
            return;
        };
        if frame.what != b"SEND" {
            if !frame.what.starts_with(b"200") && frame.what != b"REPORT" {
                let seq = std::str::from_utf8(frame.transaction.get(1..).unwrap_or_default());
                if let Some(seq) = seq.ok().and_then(|seq| seq.parse().ok()) {
                    self.flights.refused(seq);
                }
            }
            return;
        }
        if peer.pair.is_none() {
            peer.pair = bound(frame.bytes, &mut self.sessions, at);
        }
        let Some(pair) = peer.pair else { return };
        let Some(session) = self.sessions.get_mut(pair) else {
            return;
        };
        if peer.to_write.is_empty() {
            self.dirty.push(at);
        }
        let (to, from) = (&session.remote, &session.local);
        wire::ok(&mut peer.to_write, to, from, frame.transaction);
        if let Some(seq) = wire::seq_of(frame.bytes) {
            session.seq = seq;
            match self.then {
                Then::Keep => self.flights.delivered(seq, now),
                Then::End => wire::gone(self.xmpp.out(), pair),
            }
        }
    }
}

/// The gateway has connected: whose session this is.
fn bound(send: &[u8], sessions: &mut Vec<Session>, at: usize) -> Option<usize> {
    let path = |name| Some(String::from_utf8_lossy(wire::line_after(send, name)?).into_owned());
    let local = path(b"To-Path:")?;
    let pair: usize = local.split("/s").nth(1)?.get(..5)?.parse().ok()?;
    if sessions.len() <= pair {
        sessions.resize_with(pair + 1, Session::default);
    }
    let session = sessions.get_mut(pair)?;
    session.peer = Some(at);
    session.local = local;
    session.remote = path(b"From-Path:")?;
    Some(pair)
}
