//! The sending half of a session: our requests, their answers, and REPORTs about them.

mod answers;
mod streams;

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

use rand::Rng;

pub(super) use self::answers::Consequence;
use super::{
    Chunking, Outbound, Output,
    long::Long,
    message_id::MessageIds,
    transaction_id,
    transactions::{Awaits, Transactions},
};
use crate::{
    ByteRange, FailureReport, Ident, Limits, Nickname, Outgoing, Report, SendError, SessionEvent,
    Unconfirmed, Unsent,
    codec::{Flag, Paths, SendHead, put_end_line, put_nickname, put_report, put_send_head},
    content,
    session::long::UNINTERRUPTED,
};

#[derive(Debug)]
pub(super) struct Sending {
    chunking: Chunking,
    message_ids: MessageIds,
    transactions: Transactions,
    /// Messages that are written bit by bit, until all their chunks are answered. Those whose body is there keep their
    /// order; those that are handed in piece by piece go on beside them.
    long: Vec<Long>,
    /// Whose turn it was last.
    last_turn: Option<u64>,
    /// REPORTs that may still come: their number is bounded by what was sent.
    reports_due: u64,
    /// Messages of an earlier session that were sent again, for REPORTs about them.
    resent: VecDeque<(Ident, u64)>,
    /// Media types that the peer has refused with 415, without parameters and in small letters.
    refused_types: HashSet<Box<str>>,
    /// Requests in a row that were not answered in time.
    timeouts: u32,
}

/// What every request is written with.
pub(super) struct Pen<'a, R> {
    pub(super) paths: &'a Paths,
    pub(super) limits: &'a Limits,
    pub(super) now: Instant,
    pub(super) rng: &'a mut R,
    pub(super) outbound: &'a mut Outbound,
}

impl<R> Pen<'_, R> {
    fn deadline(&self) -> Instant {
        self.now + self.limits.transaction
    }
}

impl Sending {
    pub(super) fn new(chunking: Chunking, rng: &mut impl Rng) -> Sending {
        Sending {
            chunking,
            message_ids: MessageIds::new(rng),
            transactions: Transactions::default(),
            long: Vec::new(),
            last_turn: None,
            reports_due: 0,
            resent: VecDeque::new(),
            refused_types: HashSet::new(),
            timeouts: 0,
        }
    }

    pub(super) fn bind(&mut self, pen: &mut Pen<'_, impl Rng>) {
        self.write_empty(Awaits::Binding, pen);
    }

    /// A request without content; of no use if others are under way, whose answers show as much.
    pub(super) fn keep_alive(&mut self, pen: &mut Pen<'_, impl Rng>) {
        if self.transactions.is_empty() && pen.outbound.is_empty() {
            self.write_empty(Awaits::KeepAlive, pen);
        }
    }

    pub(super) fn take(
        &mut self,
        outgoing: Outgoing,
        pen: &mut Pen<'_, impl Rng>,
    ) -> Result<(), Unsent<Outgoing>> {
        if let Err(why) = self.admit(&outgoing, pen) {
            return Err(Unsent::new(why, outgoing));
        }
        let message_id = self.message_ids.next(outgoing.token);
        self.write_or_queue(message_id, outgoing, pen);
        Ok(())
    }

    /// A message of an earlier session, under the id it had there.
    pub(super) fn take_again(
        &mut self,
        unconfirmed: Unconfirmed,
        pen: &mut Pen<'_, impl Rng>,
    ) -> Result<(), Unsent<Unconfirmed>> {
        if let Err(why) = self.admit(&unconfirmed.outgoing, pen) {
            return Err(Unsent::new(why, unconfirmed));
        }
        let Unconfirmed {
            message_id,
            outgoing,
        } = unconfirmed;
        if self.resent.len() >= pen.limits.unanswered_outgoing {
            self.resent.pop_front();
        }
        self.resent.push_back((message_id, outgoing.token));
        self.write_or_queue(message_id, outgoing, pen);
        Ok(())
    }

    pub(super) fn ask_for_nickname(
        &mut self,
        token: u64,
        nickname: &Nickname,
        pen: &mut Pen<'_, impl Rng>,
    ) -> Result<(), SendError> {
        self.make_room(pen)?;
        let id = transaction_id(None, &[], pen.rng, pen.outbound);
        put_nickname(pen.outbound.tail(), id.as_bytes(), pen.paths, nickname);
        let deadline = pen.deadline();
        self.transactions
            .begin(id, Awaits::Nickname { token }, pen.outbound, deadline);
        Ok(())
    }

    pub(super) fn has_chunks(&self) -> bool {
        self.next_turn().is_some()
    }

    /// Lets the message whose turn it is write; whether any has more.
    pub(super) fn write_chunk(&mut self, pen: &mut Pen<'_, impl Rng>) -> bool {
        let deadline = pen.deadline();
        self.note_interrupted(pen.outbound, deadline);
        let Some(index) = self.next_turn() else {
            return false;
        };
        let Some(long) = self.long.get_mut(index) else {
            return false;
        };
        self.last_turn = Some(long.outgoing.token);
        if let Some(id) = long.write(self.chunking, pen.paths, pen.rng, pen.outbound) {
            let end = pen.outbound.end();
            self.await_chunk(index, id, end, pen.outbound, deadline);
        }
        self.has_chunks()
    }

    /// The session is over; what the peer has not confirmed, in its order.
    pub(super) fn end(&mut self, outbound: &mut Outbound) -> Vec<Unconfirmed> {
        let mut unconfirmed = self.transactions.end(outbound);
        for long in std::mem::take(&mut self.long) {
            if let Some(id) = long.open_id() {
                outbound.end_chunk(&id, Flag::Aborted);
                outbound.take_interrupted(&id);
            }
            if !long.is_stream() {
                let Long {
                    message_id,
                    outgoing,
                    ..
                } = long;
                unconfirmed.push(Unconfirmed {
                    message_id,
                    outgoing,
                });
            }
        }
        unconfirmed
    }

    /// Like no other's: a Message-ID that no message gets.
    pub(super) fn fresh_report_id(&mut self) -> Ident {
        self.message_ids.next(0)
    }

    /// Whether the message may be sent at all, and now.
    fn admit(&mut self, outgoing: &Outgoing, pen: &mut Pen<'_, impl Rng>) -> Result<(), SendError> {
        let content_type = outgoing.content_type.as_bytes();
        if content_type.is_empty() || content_type.iter().any(u8::is_ascii_control) {
            return Err(SendError::BadContentType);
        }
        if !self.refused_types.is_empty()
            && self
                .refused_types
                .contains(&*blockable(&outgoing.content_type))
        {
            return Err(SendError::RefusedType);
        }
        self.make_room(pen)?;
        self.reports_due = self
            .reports_due
            .saturating_add(2 + outgoing.body.len() as u64 / UNINTERRUPTED as u64);
        Ok(())
    }

    /// Whether one more request may wait: for being written, and for its answer.
    fn make_room<R>(&mut self, pen: &mut Pen<'_, R>) -> Result<(), SendError> {
        let waiting = pen.outbound.queued().saturating_add(self.unsent());
        let is_full = waiting >= pen.limits.queued
            || self.transactions.unanswered() >= pen.limits.unanswered_outgoing
            || self.kept() >= pen.limits.unconfirmed;
        if !is_full {
            return Ok(());
        }
        let is_possible = waiting < pen.limits.queued;
        if is_possible && self.transactions.forget_oldest_partial(pen.outbound) {
            return Ok(());
        }
        Err(SendError::Full)
    }

    fn write_or_queue(
        &mut self,
        message_id: Ident,
        outgoing: Outgoing,
        pen: &mut Pen<'_, impl Rng>,
    ) {
        let longest = self.chunking.longest.map(|size| size.max(UNINTERRUPTED));
        let at_once = self.chunking.at_once().min(longest.unwrap_or(usize::MAX));
        let is_in_order = self
            .long
            .iter()
            .all(|long| long.is_stream() || long.is_sent());
        if outgoing.body.len() > at_once || !is_in_order {
            self.long.push(Long::whole(outgoing, message_id));
        } else {
            self.write_whole(message_id, outgoing, pen);
        }
    }

    fn write_whole(&mut self, message_id: Ident, outgoing: Outgoing, pen: &mut Pen<'_, impl Rng>) {
        let body = &outgoing.body;
        let wish = outgoing.transaction_id.as_deref();
        let id = transaction_id(wish, body, pen.rng, pen.outbound);
        let mut range = ByteRange::of(body.len());
        if body.len() > UNINTERRUPTED {
            range.end = None;
        }
        let head = SendHead {
            transaction_id: id.as_bytes(),
            paths: pen.paths,
            message_id: message_id.as_bytes(),
            range,
            success_report: outgoing.success_report,
            failure_report: outgoing.failure_report,
            content_type: Some(&outgoing.content_type),
        };
        pen.outbound.make_room(body.len());
        put_send_head(pen.outbound.tail(), &head);
        pen.outbound.push_body(body);
        put_end_line(pen.outbound.tail(), id.as_bytes(), Flag::Complete, true);
        if outgoing.failure_report != FailureReport::No {
            let awaits = Awaits::Message(Unconfirmed {
                message_id,
                outgoing,
            });
            let deadline = pen.deadline();
            self.transactions.begin(id, awaits, pen.outbound, deadline);
        }
    }

    fn write_empty(&mut self, awaits: Awaits, pen: &mut Pen<'_, impl Rng>) {
        let id = transaction_id(None, &[], pen.rng, pen.outbound);
        // None of ours: a REPORT about it would be taken for one about a message with token 0.
        let message_id = Ident::random(pen.rng);
        let head = SendHead {
            transaction_id: id.as_bytes(),
            paths: pen.paths,
            message_id: message_id.as_bytes(),
            range: ByteRange::of(0),
            success_report: false,
            failure_report: FailureReport::Yes,
            content_type: None,
        };
        put_send_head(pen.outbound.tail(), &head);
        put_end_line(pen.outbound.tail(), id.as_bytes(), Flag::Complete, false);
        let deadline = pen.deadline();
        self.transactions.begin(id, awaits, pen.outbound, deadline);
    }

    /// The first, after that whose turn it was, which has something to write.
    fn next_turn(&self) -> Option<usize> {
        let first_whole = self
            .long
            .iter()
            .position(|long| !long.is_stream() && !long.is_sent());
        let may_write = |(index, long): (usize, &Long)| {
            (long.can_write() && (long.is_stream() || first_whole == Some(index))).then_some(index)
        };
        let last = self
            .long
            .iter()
            .position(|long| Some(long.outgoing.token) == self.last_turn);
        let start = last.map_or(0, |last| last + 1);
        let candidates = || self.long.iter().enumerate();
        let mut later = candidates().skip(start).filter_map(may_write);
        later
            .next()
            .or_else(|| candidates().take(start).find_map(may_write))
    }

    /// Chunks that others have ended wait for their answers too.
    fn note_interrupted(&mut self, outbound: &mut Outbound, deadline: Instant) {
        if !outbound.has_interrupted() {
            return;
        }
        for index in 0..self.long.len() {
            let Some(long) = self.long.get_mut(index) else {
                continue;
            };
            let Some(id) = long.open_id() else { continue };
            if let Some(end) = outbound.take_interrupted(&id) {
                long.handle_interrupted();
                self.await_chunk(index, id, end, outbound, deadline);
            }
        }
    }

    /// A chunk's end-line was written.
    fn await_chunk(
        &mut self,
        index: usize,
        id: Ident,
        end: u64,
        outbound: &mut Outbound,
        deadline: Instant,
    ) {
        let Some(long) = self.long.get_mut(index) else {
            return;
        };
        if long.outgoing.failure_report != FailureReport::No {
            long.unanswered += 1;
            let token = long.outgoing.token;
            self.transactions
                .begin_at(id, Awaits::Chunk { token }, end, outbound, deadline);
        } else if long.is_sent() {
            self.long.remove(index);
        }
    }

    fn unsent(&self) -> usize {
        let unsent = self.long.iter().map(Long::unsent);
        unsent.fold(0, usize::saturating_add)
    }

    /// Bytes of messages that can be given back.
    fn kept(&self) -> usize {
        let long = self.long.iter().map(|long| long.outgoing.body.len());
        long.fold(self.transactions.kept(), usize::saturating_add)
    }
}

pub(super) fn write_report(
    report: &Report,
    id: Ident,
    paths: &Paths,
    limits: &Limits,
    outbound: &mut Outbound,
) {
    let message_id = report.message_id.as_bytes();
    let is_writable = !message_id.is_empty() && message_id.iter().all(u8::is_ascii_graphic);
    // One REPORT per message at most is lost this way, and only with a peer that does not read.
    let has_room = outbound.queued() < limits.queued.saturating_mul(2);
    if is_writable && has_room {
        put_report(
            outbound.tail(),
            id.as_bytes(),
            paths,
            message_id,
            report.range,
            report.status,
        );
    }
}

fn complete(out: &mut Vec<Output>, event: SessionEvent) {
    out.push(Output::Complete(event));
}

/// A media type as it is remembered when it was refused; empty for containers, of which the peer may have meant what
/// was inside.
fn blockable(content_type: &str) -> String {
    let essence = content::essence(content_type).to_ascii_lowercase();
    let is_container = essence.starts_with("message/") || essence.starts_with("multipart/");
    if is_container { String::new() } else { essence }
}
