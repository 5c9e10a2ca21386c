//! The receiving half of a session: chunks into messages, and the responses they get.

mod streams;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use self::streams::Streams;
use super::{Link, Outbound, Output, refuse};
use crate::{
    ByteRange, FailureReport, History, Incoming, IncomingId, Nickname, NicknameForm,
    NicknameRequest, Nicknames, SessionOptions,
    assembly::Assembly,
    codec::{Flag, Head, put_response},
    history::Entry,
};

#[derive(Debug)]
pub(super) struct Receiving {
    max_size: u64,
    history: History,
    next_id: u64,
    /// By ascending id.
    held: VecDeque<Held>,
    partial: Vec<Partial>,
    /// Messages that their owner gets piece by piece.
    streams: Streams,
    /// The chunk of which more is to come.
    current: Option<Coming>,
    /// Messages refused midway: their other chunks are refused too.
    refused: VecDeque<Bytes>,
}

/// A response owed.
#[derive(Debug)]
struct Held {
    id: IncomingId,
    transaction_id: Bytes,
    to: Bytes,
    failure_report: FailureReport,
    /// Of a message; none of a nickname.
    entry: Option<Entry>,
}

/// A message of which chunks are missing.
#[derive(Debug)]
struct Partial {
    message_id: Bytes,
    assembly: Assembly,
    give_up: Instant,
}

/// What becomes of a chunk whose body comes in several parts.
#[derive(Debug)]
enum Coming {
    /// Its message is put together.
    Assembled(Box<Chunk>),
    /// Its owner gets it as it comes.
    Streamed(Box<Chunk>),
    /// The message was delivered before.
    Repeated(Box<Chunk>),
    /// The message was refused, by its id.
    Refused(Bytes),
}

#[derive(Debug)]
struct Chunk {
    head: Head,
    message_id: Bytes,
    /// Where its next byte belongs in the message, from 0.
    position: u64,
}

/// A message was received once more whose sender wants to know that it was delivered.
#[derive(Debug)]
pub(super) struct Repeated {
    pub(super) message_id: String,
    pub(super) length: u64,
}

impl Receiving {
    pub(super) fn new(max_size: u64, options: &SessionOptions) -> Receiving {
        Receiving {
            max_size,
            history: options.history.clone(),
            next_id: 0,
            held: VecDeque::new(),
            partial: Vec::new(),
            streams: Streams::new(options.long_messages),
            current: None,
            refused: VecDeque::new(),
        }
    }

    pub(super) fn on_send(
        &mut self,
        head: &Head,
        body: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) -> Option<Repeated> {
        self.current = None;
        let is_empty = end.is_some() && body.is_empty() && head.content_type().is_none();
        if !head.has_body() || is_empty {
            if end == Some(Flag::Aborted) {
                self.forget_aborted(head.message_id().unwrap_or_default(), link);
            }
            accept(head, link);
            return None;
        }
        let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
        let Some(message_id) = head.message_id().filter(|_| range.is_possible()) else {
            refuse(head, link.local, 400, link.outbound);
            return None;
        };
        let message_id = head.share(message_id);
        if self.refused.contains(&message_id) {
            self.note_refused(message_id, end);
            refuse(head, link.local, 413, link.outbound);
            return None;
        }
        let chunk = Chunk {
            head: head.clone(),
            message_id,
            position: range.start - 1,
        };
        if self.history.has(&chunk.message_id) {
            return self.take_repeated(Box::new(chunk), body.len() as u64, end, link);
        }
        let is_known_stream = self.streams.has(&chunk.message_id);
        let max_size = match self.streams.max_size() {
            Some(max_size) => max_size.max(self.max_size),
            None => self.max_size,
        };
        if end != Some(Flag::Aborted) && range.total.is_some_and(|total| total > max_size) {
            self.refuse_message(head, chunk.message_id, end, link);
            return None;
        }
        let is_whole = end == Some(Flag::Complete) && range.start == 1 && !is_known_stream;
        let is_small = body.len() as u64 <= self.max_size;
        let is_first = || {
            self.partial
                .iter()
                .all(|p| p.message_id != chunk.message_id)
        };
        if is_whole && (is_small || self.streams.max_size().is_none()) && is_first() {
            match is_small {
                true => self.deliver(head, body, link),
                false => refuse(head, link.local, 413, link.outbound),
            }
            return None;
        }
        let chunk = Box::new(chunk);
        match self.streams.max_size() {
            Some(_) => self.take_streamed(chunk, body, end, link),
            None => self.take_body(chunk, body, end, link),
        }
        None
    }

    pub(super) fn on_more(
        &mut self,
        body: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) -> Option<Repeated> {
        match self.current.take()? {
            Coming::Assembled(chunk) => self.take_body(chunk, body, end, link),
            Coming::Streamed(chunk) => self.take_streamed(chunk, body, end, link),
            Coming::Repeated(chunk) => {
                return self.take_repeated(chunk, body.len() as u64, end, link);
            }
            Coming::Refused(message_id) => self.note_refused(message_id, end),
        }
        None
    }

    /// A NICKNAME for an owner that takes them.
    pub(super) fn on_nickname(&mut self, head: &Head, taken: Nicknames, link: &mut Link<'_>) {
        self.current = None;
        let Some(value) = head.header("Use-Nickname") else {
            return refuse(head, link.local, 400, link.outbound);
        };
        let is_taken = |nickname: &Nickname| {
            taken == Nicknames::QuotedOrBare || nickname.form() == NicknameForm::Quoted
        };
        let Some(nickname) = Nickname::parse(value).ok().filter(is_taken) else {
            return refuse(head, link.local, 424, link.outbound);
        };
        if self.held.len() >= link.limits.unanswered_incoming {
            return refuse(head, link.local, 408, link.outbound);
        }
        let to = head.whole_from_path().unwrap_or_default();
        let id = self.fresh_id();
        self.hold(id, head, to, FailureReport::Yes, None);
        link.out
            .push(Output::Nickname(NicknameRequest { id, nickname }));
    }

    pub(super) fn respond(
        &mut self,
        id: IncomingId,
        status: u16,
        local: &[u8],
        outbound: &mut Outbound,
    ) {
        let is_success = (200..300).contains(&status);
        let index = self.held.binary_search_by_key(&id.0, |held| held.id.0);
        let Some(held) = index.ok().and_then(|index| self.held.remove(index)) else {
            if !is_success {
                self.refuse_stream(id, status, local, outbound);
            }
            return;
        };
        if self.held.is_empty() && self.held.capacity() > 64 {
            self.held = VecDeque::new();
        }
        if let Some(entry) = held.entry.filter(|_| !is_success) {
            self.history.remove(entry);
        }
        let is_wanted = match held.failure_report {
            FailureReport::Yes => true,
            FailureReport::Partial => !is_success,
            FailureReport::No => false,
        };
        if is_wanted {
            put_response(
                outbound.tail(),
                &held.transaction_id,
                status,
                &held.to,
                local,
            );
        }
    }

    /// Gives up messages whose chunks do not come; returns when the next one is due.
    pub(super) fn on_timeout(&mut self, now: Instant, link: &mut Link<'_>) -> Option<Instant> {
        self.partial.retain(|partial| partial.give_up > now);
        let partial = self.partial.iter().map(|partial| partial.give_up).min();
        let streams = self.time_streams(now, link);
        super::earlier(partial, streams)
    }

    /// The session is over; the messages that were coming in piece by piece.
    pub(super) fn end(&mut self, outbound: &mut Outbound) -> Vec<IncomingId> {
        let streams = self.streams.end(outbound);
        self.held = VecDeque::new();
        self.partial = Vec::new();
        self.current = None;
        self.refused = VecDeque::new();
        streams
    }

    fn take_body(
        &mut self,
        mut chunk: Box<Chunk>,
        body: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) {
        if end == Some(Flag::Aborted) {
            self.forget_aborted(&chunk.message_id, link);
            return accept(&chunk.head, link);
        }
        let length = body.len() as u64;
        let Some(index) = self.partial_of(&chunk.message_id, link) else {
            return self.refuse_message(&chunk.head, chunk.message_id, end, link);
        };
        let others: u64 = self.held_elsewhere(index);
        let Some(partial) = self.partial.get_mut(index) else {
            return;
        };
        let allowed = self.max_size.saturating_add(link.limits.unassembled as u64);
        let is_taken = partial.assembly.insert(chunk.position, body).is_ok()
            && others.saturating_add(partial.assembly.held()) <= allowed;
        if !is_taken {
            return self.refuse_message(&chunk.head, chunk.message_id, end, link);
        }
        chunk.position = chunk.position.saturating_add(length);
        let Some(flag) = end else {
            self.current = Some(Coming::Assembled(chunk));
            return;
        };
        if flag == Flag::Complete {
            partial.assembly.set_length(chunk.position);
        }
        match partial.assembly.take_complete() {
            Some(whole) => {
                self.partial.swap_remove(index);
                self.deliver(&chunk.head, whole, link);
            }
            None => accept(&chunk.head, link),
        }
    }

    /// Acknowledged as usual, and shown to nobody (MSRP-11).
    fn take_repeated(
        &mut self,
        mut chunk: Box<Chunk>,
        length: u64,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) -> Option<Repeated> {
        chunk.position = chunk.position.saturating_add(length);
        let Some(flag) = end else {
            self.current = Some(Coming::Repeated(chunk));
            return None;
        };
        accept(&chunk.head, link);
        let is_told = flag == Flag::Complete && chunk.head.success_report();
        is_told.then(|| Repeated {
            message_id: text(&chunk.message_id),
            length: chunk.position,
        })
    }

    /// The peer has taken the message back, of which a part may be here (MSRP-13).
    fn forget_aborted(&mut self, message_id: &[u8], link: &mut Link<'_>) {
        self.partial
            .retain(|partial| partial.message_id != message_id);
        self.refused.retain(|refused| refused != message_id);
        self.end_aborted_stream(message_id, link);
    }

    /// The index of the message the chunk belongs to, a new one if need be; `None` if there are too many.
    fn partial_of(&mut self, message_id: &Bytes, link: &mut Link<'_>) -> Option<usize> {
        let known = self.partial.iter().position(|p| p.message_id == message_id);
        if known.is_some() {
            return known;
        }
        if self.partial.len() >= link.limits.incomplete_messages {
            return None;
        }
        let give_up = link.now + link.limits.chunk;
        link.outbound.arm(give_up);
        self.partial.push(Partial {
            message_id: Bytes::copy_from_slice(message_id),
            assembly: Assembly::new(self.max_size),
            give_up,
        });
        self.partial.len().checked_sub(1)
    }

    fn held_elsewhere(&self, index: usize) -> u64 {
        let others = self.partial.iter().enumerate();
        others
            .filter(|(other, _)| *other != index)
            .map(|(_, partial)| partial.assembly.held())
            .fold(0, u64::saturating_add)
    }

    /// 413 at once; what follows of the message gets the same (RFC 4975 §10.5).
    fn refuse_message(
        &mut self,
        head: &Head,
        message_id: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) {
        self.partial
            .retain(|partial| partial.message_id != message_id);
        self.note_refused(Bytes::copy_from_slice(&message_id), end);
        refuse(head, link.local, 413, link.outbound);
    }

    /// A chunk of a refused message: the last one ends the matter.
    fn note_refused(&mut self, message_id: Bytes, end: Option<Flag>) {
        const REMEMBERED: usize = 16;
        if end.is_some_and(|flag| flag != Flag::Continued) {
            self.refused.retain(|refused| *refused != message_id);
            return;
        }
        if !self.refused.contains(&message_id) {
            if self.refused.len() == REMEMBERED {
                self.refused.pop_front();
            }
            self.refused.push_back(message_id.clone());
        }
        if end.is_none() {
            self.current = Some(Coming::Refused(message_id));
        }
    }

    fn deliver(&mut self, head: &Head, body: Bytes, link: &mut Link<'_>) {
        if self.held.len() >= link.limits.unanswered_incoming {
            return refuse(head, link.local, 413, link.outbound);
        }
        let message_id = head.message_id().unwrap_or_default();
        let failure_report = head.failure_report();
        let to = head.from_path().next().unwrap_or_default();
        let entry = self.history.insert(message_id);
        let id = self.fresh_id();
        self.hold(id, head, to, failure_report, Some(entry));
        link.out.push(Output::Deliver(Incoming {
            id,
            message_id: text(message_id),
            transaction_id: text(head.transaction_id()),
            content_type: head.content_type().map(str::to_owned),
            body,
            success_report: head.success_report(),
            failure_report,
        }));
    }

    fn fresh_id(&mut self) -> IncomingId {
        let id = IncomingId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// Owes the request an answer, if it wants one.
    fn hold(
        &mut self,
        id: IncomingId,
        head: &Head,
        to: &[u8],
        failure_report: FailureReport,
        entry: Option<Entry>,
    ) {
        if failure_report == FailureReport::No {
            return;
        }
        let held = Held {
            id,
            transaction_id: head.share(head.transaction_id()),
            to: head.share(to),
            failure_report,
            entry,
        };
        // A stream got its id when it began.
        let place = self.held.partition_point(|other| other.id.0 < id.0);
        self.held.insert(place, held);
    }
}

/// 200, if it is wanted.
fn accept(head: &Head, link: &mut Link<'_>) {
    let Some(to) = head.from_path().next() else {
        return;
    };
    if head.failure_report() == FailureReport::Yes {
        put_response(
            link.outbound.tail(),
            head.transaction_id(),
            200,
            to,
            link.local,
        );
    }
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}
