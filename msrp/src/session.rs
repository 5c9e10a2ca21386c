//! One MSRP session as a state machine. RFC 4975 §5 to §7.
//!
//! [`SessionCore`] takes requests, responses, time and its owner's wishes; it writes into the [`Outbound`] queue of its
//! connection, which sessions may share, and puts what the owner must know into a list of [`Output`]s. It never
//! waits and looks at no clock.

mod long;
mod message_id;
mod outbound;
mod receiving;
mod sending;
mod transactions;

pub use outbound::Outbound;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::Rng;

use self::{
    long::end_within,
    receiving::{Receiving, Repeated},
    sending::{Consequence, Pen, Sending},
};
use crate::{
    ByteRange, FailureReport, Ident, Incoming, IncomingId, Limits, LostCause, MsrpUri, Nickname,
    NicknameRequest, Nicknames, Outgoing, OutgoingStream, Report, Role, SendError, SessionConfig,
    SessionEvent, StreamBegan, StreamEnd, StreamError, Unconfirmed,
    codec::{Flag, Head, Method, Paths, Start, put_response},
};

/// How messages are cut into chunks. By default each goes in one, because some peers end a session that brings a second
/// one; only what is longer than 256 KiB may be interrupted for others that wait for the connection. RFC 4975 §7.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunking {
    /// Bytes after which a chunk ends in any case, at least 2,048; `None`: it ends with its message.
    pub longest: Option<usize>,
    /// Bytes of a chunk after which it is interrupted if somebody else has something to say on its connection. At least 16
    /// KiB are written at once.
    pub uninterrupted: usize,
}

impl Chunking {
    /// As few chunks as possible, each interrupted as soon as somebody else waits.
    pub const FAIR: Chunking = Chunking {
        longest: None,
        uninterrupted: 2048,
    };
}

impl Default for Chunking {
    fn default() -> Chunking {
        Chunking {
            longest: None,
            uninterrupted: 256 << 10,
        }
    }
}

/// For the session's owner, in the order it happened.
#[derive(Debug)]
pub enum Output {
    /// A complete message; its response is held until [`SessionCore::respond`].
    Deliver(Incoming),
    /// The peer asks for a nickname; its response is held as a message's is.
    Nickname(NicknameRequest),
    /// A message comes in piece by piece.
    StreamBegan(StreamBegan),
    /// The next piece of one; the owner says with [`SessionCore::note_taken`] when it has room for more.
    Piece {
        /// Of its beginning.
        id: IncomingId,
        /// Bytes that follow those before.
        piece: Bytes,
    },
    /// There are no more pieces.
    StreamEnded {
        /// Of its beginning.
        id: IncomingId,
        /// Whether it is complete.
        end: StreamEnd,
    },
    /// The session is about to be lost, and the peer has not confirmed this message of ours.
    GiveBack(Unconfirmed),
    /// Something the owner waits for.
    Complete(SessionEvent),
}

/// One session. Order of calls: `handle_connected` when it has a connection; then everything else, always with that
/// connection's [`Outbound`]; `close` or `handle_lost` at the end.
#[derive(Debug)]
pub struct SessionCore {
    local: MsrpUri,
    local_text: Box<[u8]>,
    paths: Paths,
    role: Role,
    state: State,
    sending: Sending,
    receiving: Receiving,
    nicknames: Nicknames,
    keep_alive: Option<Duration>,
    /// When one side last asked for something.
    active: Instant,
    limits: Arc<Limits>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No connection yet.
    Unbound,
    /// Connected. Active: the binding request is not answered yet. Passive: about to see the first valid request.
    Binding,
    Bound,
    Ended,
}

impl SessionCore {
    /// A session of which nothing is written yet.
    pub fn new(
        config: SessionConfig,
        limits: Arc<Limits>,
        chunking: Chunking,
        now: Instant,
        rng: &mut impl Rng,
    ) -> SessionCore {
        SessionCore {
            local_text: config.local.to_string().into_bytes().into(),
            paths: Paths::new(&config.remote, &config.local),
            local: config.local,
            role: config.role,
            state: State::Unbound,
            sending: Sending::new(chunking, rng),
            receiving: Receiving::new(config.max_size, &config.options),
            nicknames: config.options.nicknames,
            keep_alive: config.options.keep_alive,
            active: now,
            limits,
        }
    }

    /// Our own URI.
    pub fn local(&self) -> &MsrpUri {
        &self.local
    }

    /// Who connects.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the session is over, by whichever side.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether a request or response is for this session: by its last To-Path URI (MSRP-05). RFC 4975 §6.1.
    pub fn is_addressed_by(&self, head: &Head) -> bool {
        head.to_path().next_back().is_some_and(|uri| {
            *uri == *self.local_text
                || std::str::from_utf8(uri)
                    .ok()
                    .and_then(|uri| uri.parse::<MsrpUri>().ok())
                    .is_some_and(|uri| uri == self.local)
        })
    }

    /// The session has a connection: active ones bind it with a SEND without body, which the pickiest peers need
    /// (MSRP-07). RFC 4975 §5.4.
    pub fn handle_connected(&mut self, now: Instant, rng: &mut impl Rng, outbound: &mut Outbound) {
        if self.state != State::Unbound {
            return;
        }
        self.state = State::Binding;
        self.active = now;
        if self.role == Role::Active {
            let (sending, mut pen) = self.pen(now, rng, outbound);
            sending.bind(&mut pen);
        }
    }

    /// A request, or the beginning of one; `end` is `None` if more of its body follows. The caller has made sure that
    /// it is addressed to this session and that its To- and From-Path are there.
    pub fn handle_request(
        &mut self,
        head: &Head,
        body: Bytes,
        end: Option<Flag>,
        now: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        if self.state == State::Ended {
            return refuse(head, &self.local_text, 481, outbound);
        }
        if head.fault().is_some() {
            return refuse(head, &self.local_text, 400, outbound);
        }
        self.active = now;
        match head.start() {
            Start::Request(Method::Send) => {
                self.become_bound(outbound, out);
                let mut link = Link {
                    local: &self.local_text,
                    limits: &self.limits,
                    now,
                    outbound,
                    out,
                };
                let repeated = self.receiving.on_send(head, body, end, &mut link);
                self.report_repeated(repeated, outbound);
            }
            Start::Request(Method::Report) => {
                self.become_bound(outbound, out);
                let deadline = now + self.limits.transaction;
                let consequence = self.sending.on_report(head, deadline, outbound, out);
                self.follow(consequence, outbound, out);
            }
            Start::Request(Method::Nickname) if self.nicknames != Nicknames::Unknown => {
                self.become_bound(outbound, out);
                let mut link = Link {
                    local: &self.local_text,
                    limits: &self.limits,
                    now,
                    outbound,
                    out,
                };
                self.receiving.on_nickname(head, self.nicknames, &mut link);
            }
            Start::Request(Method::Nickname | Method::Other) => {
                refuse(head, &self.local_text, 501, outbound);
            }
            Start::Response(_) => {}
        }
    }

    /// More of the last request's body.
    pub fn handle_more(
        &mut self,
        body: Bytes,
        end: Option<Flag>,
        now: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        if self.state == State::Ended {
            return;
        }
        let mut link = Link {
            local: &self.local_text,
            limits: &self.limits,
            now,
            outbound,
            out,
        };
        let repeated = self.receiving.on_more(body, end, &mut link);
        self.report_repeated(repeated, outbound);
    }

    /// A response to one of our requests; one that fits none is ignored.
    pub fn handle_response(
        &mut self,
        head: &Head,
        now: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        let Start::Response(status) = head.start() else {
            return;
        };
        // MSRP has no provisional responses: below 200 is neither yes nor no.
        if self.state == State::Ended || status < 200 {
            return;
        }
        let deadline = now + self.limits.transaction;
        let id = head.transaction_id();
        let consequence = self
            .sending
            .on_response(id, status, deadline, outbound, out);
        self.follow(consequence, outbound, out);
    }

    /// Time has passed. Returns when to call again at the latest.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Instant> {
        if self.state == State::Ended {
            return None;
        }
        let timeout = self.limits.transaction;
        let (consequence, transactions) = self.sending.on_timeout(now, timeout, outbound, out);
        self.follow(consequence, outbound, out);
        if self.state == State::Ended {
            return None;
        }
        let mut link = Link {
            local: &self.local_text,
            limits: &self.limits,
            now,
            outbound,
            out,
        };
        let chunks = self.receiving.on_timeout(now, &mut link);
        let mut next = earlier(transactions, chunks);
        if let Some(interval) = self.keep_alive.filter(|_| self.state == State::Bound) {
            if self.active + interval <= now {
                self.active = now;
                let (sending, mut pen) = self.pen(now, rng, outbound);
                sending.keep_alive(&mut pen);
                next = earlier(next, Some(now + timeout));
            }
            next = earlier(next, Some(self.active + interval));
        }
        next
    }

    /// Takes a message for sending. It is written at once, or, if it is long, by `poll_chunk`: call that until it says
    /// no.
    pub fn send(
        &mut self,
        outgoing: Outgoing,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        self.must_be_bound()?;
        self.active = now;
        let (sending, mut pen) = self.pen(now, rng, outbound);
        sending.take(outgoing, &mut pen)
    }

    /// Takes a message that an earlier session with this peer gave back, under the Message-ID it had there (MSRP-10).
    pub fn send_again(
        &mut self,
        unconfirmed: Unconfirmed,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        self.must_be_bound()?;
        self.active = now;
        let (sending, mut pen) = self.pen(now, rng, outbound);
        sending.take_again(unconfirmed, &mut pen)
    }

    /// Begins a message whose body its owner hands in with `push_piece` and ends with `finish_stream`, or takes back with
    /// `cancel`. Other messages go on meanwhile.
    pub fn begin_stream(
        &mut self,
        stream: OutgoingStream,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        self.must_be_bound()?;
        let (sending, mut pen) = self.pen(now, rng, outbound);
        sending.begin_stream(stream, &mut pen)
    }

    /// Takes what there is room for of the next piece of a message, and returns how many bytes that is. There is more room
    /// after `poll_chunk`.
    pub fn push_piece(
        &mut self,
        token: u64,
        piece: &[u8],
        outbound: &mut Outbound,
    ) -> Result<usize, StreamError> {
        let room = self.limits.stream_buffer;
        self.sending.push_piece(token, piece, room, outbound)
    }

    /// There are no more pieces.
    pub fn finish_stream(
        &mut self,
        token: u64,
        outbound: &mut Outbound,
    ) -> Result<(), StreamError> {
        self.sending.finish_stream(token, outbound)
    }

    /// Takes a message back of which not everything is written yet; the peer is told to throw its part of it away. Whether it was
    /// so: then nothing more is heard of it (MSRP-13).
    pub fn cancel(
        &mut self,
        token: u64,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> bool {
        let deadline = now + self.limits.transaction;
        self.sending
            .cancel(token, &self.paths, rng, deadline, outbound)
    }

    /// The owner has taken that many bytes of what came in piece by piece: there is room for as many more.
    pub fn note_taken(&mut self, bytes: u64, outbound: &mut Outbound) {
        self.receiving
            .note_taken(bytes, outbound, self.limits.stream_window);
    }

    /// Asks the chat room at the other end for a nickname. Ends in `Accepted`, `Refused` (403: it knows none here; 423,
    /// 424: it cannot be one; 425: another has it; 501: it knows none at all) or `Unanswered` with that token, which is
    /// distinct among the session's messages too. RFC 7701 §7.1.
    pub fn use_nickname(
        &mut self,
        token: u64,
        nickname: &Nickname,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        self.must_be_bound()?;
        self.active = now;
        let (sending, mut pen) = self.pen(now, rng, outbound);
        sending.ask_for_nickname(token, nickname, &mut pen)
    }

    /// Lets the long message whose turn it is write more; whether any has more.
    pub fn poll_chunk(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> bool {
        if self.state != State::Bound {
            return false;
        }
        self.active = now;
        let (sending, mut pen) = self.pen(now, rng, outbound);
        sending.write_chunk(&mut pen)
    }

    /// Whether `poll_chunk` has something to write.
    pub fn has_chunks(&self) -> bool {
        self.state == State::Bound && self.sending.has_chunks()
    }

    /// Answers a delivered message or nickname, as far as its sender wants to hear it (RCPT-09). Once for each.
    pub fn respond(&mut self, id: IncomingId, status: u16, outbound: &mut Outbound) {
        if self.state != State::Ended {
            self.receiving
                .respond(id, status, &self.local_text, outbound);
        }
    }

    /// Sends a REPORT about a message received earlier.
    pub fn report(
        &mut self,
        report: &Report,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) {
        if self.state == State::Bound {
            let id = Ident::random(rng);
            sending::write_report(report, id, &self.paths, &self.limits, outbound);
        }
        self.active = now;
    }

    /// The connection is gone or of no use.
    pub fn handle_lost(
        &mut self,
        cause: LostCause,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        if self.state != State::Ended {
            self.state = State::Ended;
            let unconfirmed = self.sending.end(outbound);
            let streams = self.receiving.end(outbound);
            out.extend(streams.into_iter().map(|id| {
                let end = StreamEnd::SessionLost;
                Output::StreamEnded { id, end }
            }));
            out.extend(unconfirmed.into_iter().map(Output::GiveBack));
            out.push(Output::Complete(SessionEvent::Lost { cause }));
        }
    }

    /// The owner ends the session; nothing comes after it.
    pub fn close(&mut self, outbound: &mut Outbound) {
        self.state = State::Ended;
        self.sending.end(outbound);
        self.receiving.end(outbound);
    }

    fn must_be_bound(&self) -> Result<(), SendError> {
        match self.state {
            State::Unbound | State::Binding => Err(SendError::NotBound),
            State::Ended => Err(SendError::Closed),
            State::Bound => Ok(()),
        }
    }

    fn pen<'a, R>(
        &'a mut self,
        now: Instant,
        rng: &'a mut R,
        outbound: &'a mut Outbound,
    ) -> (&'a mut Sending, Pen<'a, R>) {
        let pen = Pen {
            paths: &self.paths,
            limits: &self.limits,
            now,
            rng,
            outbound,
        };
        (&mut self.sending, pen)
    }

    /// A valid request or the answer to ours: both sides know the connection now.
    fn become_bound(&mut self, outbound: &mut Outbound, out: &mut Vec<Output>) {
        if self.state == State::Binding {
            self.state = State::Bound;
            if let Some(interval) = self.keep_alive {
                outbound.arm(self.active + interval);
            }
            out.push(Output::Complete(SessionEvent::Bound));
        }
    }

    /// What an answer, or none, means for the session.
    fn follow(
        &mut self,
        consequence: Option<Consequence>,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        let cause = match consequence {
            None => return,
            Some(Consequence::Bound) => return self.become_bound(outbound, out),
            // A peer that has sent us something knows the session all the same.
            Some(Consequence::BindRefused { .. } | Consequence::BindUnanswered)
                if self.state != State::Binding =>
            {
                return;
            }
            Some(Consequence::BindRefused { status }) => LostCause::BindRefused { status },
            Some(Consequence::BindUnanswered) => LostCause::BindUnanswered,
            Some(Consequence::Disowned { status }) => LostCause::Disowned { status },
            Some(Consequence::Unresponsive) => LostCause::Unresponsive,
        };
        self.handle_lost(cause, outbound, out);
    }

    /// The owner does not hear of it, so that we tell the peer in its place (MSRP-11).
    fn report_repeated(&mut self, repeated: Option<Repeated>, outbound: &mut Outbound) {
        if let Some(Repeated { message_id, length }) = repeated
            && self.state == State::Bound
        {
            let report = Report {
                message_id,
                range: ByteRange {
                    start: 1,
                    end: Some(length),
                    total: Some(length),
                },
                status: 200,
            };
            let id = self.sending.fresh_report_id();
            sending::write_report(&report, id, &self.paths, &self.limits, outbound);
        }
    }
}

/// The wish if it may be used, else a random id (CHAT-13, MSRP-16).
fn transaction_id(
    wish: Option<&str>,
    body: &[u8],
    rng: &mut impl Rng,
    outbound: &Outbound,
) -> Ident {
    let is_free = |id: &Ident| !outbound.is_in_use(id) && end_within(body, id.as_bytes()).is_none();
    wish.and_then(|wish| Ident::new(wish.as_bytes()))
        .filter(is_free)
        .unwrap_or_else(|| {
            loop {
                let id = Ident::random(rng);
                if is_free(&id) {
                    break id;
                }
            }
        })
}

/// What a request is answered through.
struct Link<'a> {
    local: &'a [u8],
    limits: &'a Limits,
    now: Instant,
    outbound: &'a mut Outbound,
    out: &'a mut Vec<Output>,
}

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

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
