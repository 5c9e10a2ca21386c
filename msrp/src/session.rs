//! One MSRP session as a state machine. RFC 4975 §5 to §7.
//!
//! [`SessionCore`] takes requests, responses, time and its owner's wishes; it writes into the [`Outbound`] queue of its
//! connection, which sessions may share, and puts what the owner must know into a list of [`Output`]s. It never
//! waits and looks at no clock.

mod chunking;
mod long;
mod message_id;
mod outbound;
mod receiving;
mod refusal;
mod sending;
mod transactions;
mod wishes;

pub use chunking::Chunking;
pub use outbound::Outbound;
pub use refusal::refuse;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::Rng;

use self::{
    long::end_within,
    receiving::{Receiving, Repeated},
    sending::{Consequence, Sending},
};
use crate::{
    ByteRange, Ident, Incoming, IncomingId, Limits, LostCause, MsrpUri, NicknameRequest, Nicknames,
    Report, Role, SessionConfig, SessionEvent, StreamBegan, StreamEnd, Unconfirmed,
    codec::{Flag, Head, Method, Paths, Start},
};

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

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
