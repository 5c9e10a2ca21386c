//! One MSRP session as a state machine. RFC 4975 §5 to §7.
//!
//! [`SessionCore`] takes requests, responses, time and its owner's wishes; it writes into the [`Outbound`] queue of its
//! connection, which sessions may share, and puts what the owner must know into a list of [`Output`]s. It never
//! waits and looks at no clock.

mod message_id;
mod outbound;
mod receiving;
mod sending;
mod transactions;

pub use outbound::Outbound;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use rand::Rng;

use self::{receiving::Receiving, sending::Sending};
use crate::{
    FailureReport, Incoming, IncomingId, Limits, LostCause, MsrpUri, Nickname, NicknameRequest,
    Nicknames, Outgoing, Report, Role, SendError, SessionConfig, SessionEvent,
    codec::{Flag, Head, Method, Paths, Start, put_response},
};

/// For the session's owner, in the order it happened.
#[derive(Debug)]
pub enum Output {
    /// A complete message; its response is held until [`SessionCore::respond`].
    Deliver(Incoming),
    /// The peer asks for a nickname; its response is held as a message's is.
    Nickname(NicknameRequest),
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
    /// `chunk_size`: bytes of body per chunk, `None` for every message in one chunk.
    pub fn new(
        config: SessionConfig,
        limits: Arc<Limits>,
        chunk_size: Option<usize>,
        rng: &mut impl Rng,
    ) -> SessionCore {
        SessionCore {
            local_text: config.local.to_string().into_bytes().into(),
            paths: Paths::new(&config.remote, &config.local),
            local: config.local,
            role: config.role,
            state: State::Unbound,
            sending: Sending::new(chunk_size, rng),
            receiving: Receiving::new(config.max_size),
            nicknames: config.options.nicknames,
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
        if self.role == Role::Active {
            self.sending
                .bind(&self.paths, rng, outbound, now + self.limits.transaction);
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
        match head.start() {
            Start::Request(Method::Send) => {
                self.become_bound(out);
                let mut link = Link {
                    local: &self.local_text,
                    limits: &self.limits,
                    now,
                    outbound,
                    out,
                };
                self.receiving.on_send(head, body, end, &mut link);
            }
            Start::Request(Method::Report) => {
                self.become_bound(out);
                self.sending.on_report(head, out);
            }
            Start::Request(Method::Nickname) if self.nicknames != Nicknames::Unknown => {
                self.become_bound(out);
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
        self.receiving.on_more(body, end, &mut link);
    }

    /// A response to one of our requests; one that fits none is ignored.
    pub fn handle_response(&mut self, head: &Head, outbound: &mut Outbound, out: &mut Vec<Output>) {
        let Start::Response(status) = head.start() else {
            return;
        };
        // MSRP has no provisional responses: below 200 is neither yes nor no.
        if self.state == State::Ended || status < 200 {
            return;
        }
        match self
            .sending
            .on_response(head.transaction_id(), status, outbound, out)
        {
            None => {}
            Some(sending::Bind::Accepted) => self.become_bound(out),
            Some(sending::Bind::Refused { status }) if self.state == State::Binding => {
                self.handle_lost(LostCause::BindRefused { status }, outbound, out);
            }
            Some(sending::Bind::Refused { .. }) => {}
        }
    }

    /// Time has passed. Returns when to call again at the latest.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Instant> {
        if self.state == State::Ended {
            return None;
        }
        let timeout = self.limits.transaction;
        let (bind, transactions) = self.sending.on_timeout(now, timeout, outbound, out);
        if bind == sending::BindTimeout::Unanswered && self.state == State::Binding {
            self.handle_lost(LostCause::BindUnanswered, outbound, out);
            return None;
        }
        let chunks = self.receiving.on_timeout(now);
        earlier(transactions, chunks)
    }

    /// Takes a message for sending. It is written at once, or, if it takes several chunks, by `poll_chunk`: call that
    /// until it says no.
    pub fn send(
        &mut self,
        outgoing: Outgoing,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        match self.state {
            State::Unbound | State::Binding => Err(SendError::NotBound),
            State::Ended => Err(SendError::Closed),
            State::Bound => {
                self.sending
                    .take(outgoing, &self.paths, &self.limits, now, rng, outbound)
            }
        }
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
        match self.state {
            State::Unbound | State::Binding => Err(SendError::NotBound),
            State::Ended => Err(SendError::Closed),
            State::Bound => self.sending.ask_for_nickname(
                token,
                nickname,
                &self.paths,
                &self.limits,
                now,
                rng,
                outbound,
            ),
        }
    }

    /// Writes the next chunk of a message that takes several; whether there are more.
    pub fn poll_chunk(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> bool {
        self.state == State::Bound
            && self
                .sending
                .write_chunk(&self.paths, rng, outbound, now + self.limits.transaction)
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
    pub fn report(&mut self, report: &Report, rng: &mut impl Rng, outbound: &mut Outbound) {
        if self.state == State::Bound {
            sending::write_report(report, &self.paths, &self.limits, rng, outbound);
        }
    }

    /// The connection is gone or of no use.
    pub fn handle_lost(
        &mut self,
        cause: LostCause,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) {
        if self.state != State::Ended {
            self.close(outbound);
            out.push(Output::Complete(SessionEvent::Lost { cause }));
        }
    }

    /// The owner ends the session; nothing comes after it.
    pub fn close(&mut self, outbound: &mut Outbound) {
        self.state = State::Ended;
        self.sending.end(outbound);
        self.receiving.end();
    }

    /// A valid request or the answer to ours: both sides know the connection now.
    fn become_bound(&mut self, out: &mut Vec<Output>) {
        if self.state == State::Binding {
            self.state = State::Bound;
            out.push(Output::Complete(SessionEvent::Bound));
        }
    }
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
