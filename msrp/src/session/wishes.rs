//! What a session's owner asks for.

use std::time::Instant;

use rand::Rng;

use super::{
    Outbound, SessionCore, State,
    sending::{self, Pen, Sending},
};
use crate::{
    Ident, IncomingId, Nickname, Outgoing, OutgoingStream, Report, SendError, StreamError,
    Unconfirmed, Unsent,
};

impl SessionCore {
    /// Takes a message for sending. It is written at once, or, if it is long, by `poll_chunk`: call that until it says
    /// no.
    pub fn send(
        &mut self,
        outgoing: Outgoing,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), Unsent<Outgoing>> {
        if let Err(why) = self.must_be_bound() {
            return Err(Unsent::new(why, outgoing));
        }
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
    ) -> Result<(), Unsent<Unconfirmed>> {
        if let Err(why) = self.must_be_bound() {
            return Err(Unsent::new(why, unconfirmed));
        }
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

    fn must_be_bound(&self) -> Result<(), SendError> {
        match self.state {
            State::Unbound | State::Binding => Err(SendError::NotBound),
            State::Ended => Err(SendError::Closed),
            State::Bound => Ok(()),
        }
    }

    /// What sends, and what it writes with.
    pub(super) fn pen<'a, R>(
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
}
