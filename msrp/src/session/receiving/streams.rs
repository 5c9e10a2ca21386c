//! Messages that their owner gets piece by piece, in order, and no faster than it takes them (MSRP-18).

use std::time::Instant;

use bytes::Bytes;

use super::{Chunk, Coming, Receiving, accept, text};
use crate::{
    IncomingId, LongMessages, StreamBegan, StreamEnd,
    assembly::Assembly,
    codec::Flag,
    session::{Link, Outbound, Output, refuse},
};

#[derive(Debug)]
pub(super) struct Streams {
    long_messages: LongMessages,
    list: Vec<Stream>,
    /// Bytes that the owner was given and has not said that it has taken.
    untaken: u64,
    flow: Flow,
}

#[derive(Debug)]
struct Stream {
    id: IncomingId,
    message_id: Bytes,
    /// Bytes given to the owner.
    position: u64,
    /// What came before what belongs before it.
    early: Assembly,
    /// Known once the last chunk has ended.
    length: Option<u64>,
    give_up: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Flow {
    Open,
    /// Nothing is read until the owner has taken more.
    Halted {
        since: Instant,
    },
}

impl Streams {
    pub(super) fn new(long_messages: LongMessages) -> Streams {
        Streams {
            long_messages,
            list: Vec::new(),
            untaken: 0,
            flow: Flow::Open,
        }
    }

    /// Bytes of the longest one; `None` if messages are delivered whole.
    pub(super) fn max_size(&self) -> Option<u64> {
        match self.long_messages {
            LongMessages::Whole => None,
            LongMessages::InPieces { max_size } => Some(max_size),
        }
    }

    pub(super) fn has(&self, message_id: &[u8]) -> bool {
        self.index_of(message_id).is_some()
    }

    pub(super) fn end(&mut self, outbound: &mut Outbound) -> Vec<IncomingId> {
        self.untaken = 0;
        self.open_flow(outbound);
        let list = std::mem::take(&mut self.list);
        list.into_iter().map(|stream| stream.id).collect()
    }

    fn index_of(&self, message_id: &[u8]) -> Option<usize> {
        self.list
            .iter()
            .position(|stream| stream.message_id == message_id)
    }

    fn remove(&mut self, message_id: &[u8]) -> Option<Stream> {
        let index = self.index_of(message_id)?;
        Some(self.list.remove(index))
    }

    fn open_flow(&mut self, outbound: &mut Outbound) {
        if let Flow::Halted { .. } = self.flow {
            self.flow = Flow::Open;
            outbound.resume_reading();
        }
    }
}

impl Receiving {
    pub(super) fn take_streamed(
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
        let Some(index) = self.stream_of(&chunk, link) else {
            return self.refuse_message(&chunk.head, chunk.message_id, end, link);
        };
        let length = body.len() as u64;
        if !self.give(index, chunk.position, body, link) {
            if let Some(stream) = self.streams.remove(&chunk.message_id) {
                tell_end(stream.id, StreamEnd::TooBig, link);
            }
            return self.refuse_message(&chunk.head, chunk.message_id, end, link);
        }
        chunk.position = chunk.position.saturating_add(length);
        let Some(flag) = end else {
            self.current = Some(Coming::Streamed(chunk));
            return;
        };
        let Some(stream) = self.streams.list.get_mut(index) else {
            return;
        };
        if flag == Flag::Complete {
            stream.length = Some(chunk.position);
        }
        if stream.length.is_none_or(|length| stream.position < length) {
            return accept(&chunk.head, link);
        }
        let id = stream.id;
        self.streams.list.remove(index);
        let entry = self.history.insert(&chunk.message_id);
        let to = chunk.head.from_path().next().unwrap_or_default();
        let failure_report = chunk.head.failure_report();
        self.hold(id, &chunk.head, to, failure_report, Some(entry));
        tell_end(id, StreamEnd::Complete, link);
    }

    pub(super) fn end_aborted_stream(&mut self, message_id: &[u8], link: &mut Link<'_>) {
        if let Some(stream) = self.streams.remove(message_id) {
            tell_end(stream.id, StreamEnd::Aborted, link);
        }
    }

    /// The owner has taken that many bytes.
    pub(in crate::session) fn note_taken(
        &mut self,
        bytes: u64,
        outbound: &mut Outbound,
        window: usize,
    ) {
        self.streams.untaken = self.streams.untaken.saturating_sub(bytes);
        if self.streams.untaken <= (window / 2) as u64 {
            self.streams.open_flow(outbound);
        }
    }

    /// The owner wants no more of a message that is still coming in.
    pub(super) fn refuse_stream(
        &mut self,
        id: IncomingId,
        status: u16,
        local: &[u8],
        outbound: &mut Outbound,
    ) {
        let index = self.streams.list.iter().position(|stream| stream.id == id);
        let Some(index) = index else { return };
        let stream = self.streams.list.remove(index);
        let end = match self.current.take() {
            Some(Coming::Streamed(chunk)) if chunk.message_id == stream.message_id => {
                refuse(&chunk.head, local, status, outbound);
                None
            }
            other => {
                self.current = other;
                Some(Flag::Continued)
            }
        };
        self.note_refused(stream.message_id, end);
    }

    /// Gives up streams that do not go on, and refuses all if their owner does not take them.
    pub(super) fn time_streams(&mut self, now: Instant, link: &mut Link<'_>) -> Option<Instant> {
        let stall = link.limits.stall;
        let stalled = match self.streams.flow {
            Flow::Halted { since } if since + stall <= now => {
                let all: Vec<IncomingId> = self.streams.list.iter().map(|s| s.id).collect();
                for id in all {
                    self.refuse_stream(id, 413, link.local, link.outbound);
                    tell_end(id, StreamEnd::NotTaken, link);
                }
                self.streams.untaken = 0;
                self.streams.open_flow(link.outbound);
                None
            }
            Flow::Halted { since } => Some(since + stall),
            Flow::Open => None,
        };
        let late = |stream: &mut Stream| stream.give_up <= now;
        for stream in self.streams.list.extract_if(.., late) {
            link.out.push(Output::StreamEnded {
                id: stream.id,
                end: StreamEnd::GivenUp,
            });
        }
        let give_up = self.streams.list.iter().map(|stream| stream.give_up).min();
        stalled.into_iter().chain(give_up).min()
    }

    /// The index of the message the chunk belongs to, a new one if need be; `None` if there are too many.
    fn stream_of(&mut self, chunk: &Chunk, link: &mut Link<'_>) -> Option<usize> {
        let known = self.streams.index_of(&chunk.message_id);
        if known.is_some() {
            return known;
        }
        let owed = self.streams.list.len() + self.held.len();
        if self.streams.list.len() >= link.limits.incomplete_messages
            || owed >= link.limits.unanswered_incoming
        {
            return None;
        }
        let id = self.fresh_id();
        let give_up = link.now + link.limits.chunk;
        link.outbound.arm(give_up);
        let head = &chunk.head;
        link.out.push(Output::StreamBegan(StreamBegan {
            id,
            message_id: text(&chunk.message_id),
            content_type: head.content_type().map(str::to_owned),
            total: head.byte_range().and_then(|range| range.total),
            success_report: head.success_report(),
            failure_report: head.failure_report(),
        }));
        self.streams.list.push(Stream {
            id,
            message_id: Bytes::copy_from_slice(&chunk.message_id),
            position: 0,
            early: Assembly::new(u64::MAX),
            length: None,
            give_up,
        });
        self.streams.list.len().checked_sub(1)
    }

    /// Gives the owner what is in order now; whether the bytes could be taken.
    fn give(&mut self, index: usize, position: u64, body: Bytes, link: &mut Link<'_>) -> bool {
        let max_size = self.streams.max_size().unwrap_or(self.max_size);
        let Some(stream) = self.streams.list.get_mut(index) else {
            return false;
        };
        let Some(end) = position.checked_add(body.len() as u64) else {
            return false;
        };
        if end > max_size.max(self.max_size) {
            return false;
        }
        stream.give_up = link.now + link.limits.chunk;
        link.outbound.arm(stream.give_up);
        if position > stream.position {
            let is_taken = stream.early.insert(position, body).is_ok();
            return is_taken && stream.early.held() <= link.limits.unassembled as u64;
        }
        // What was given already cannot be taken back.
        let known = usize::try_from(stream.position - position).unwrap_or(usize::MAX);
        let fresh = body.len().saturating_sub(known);
        let mut next = (fresh > 0).then(|| body.slice(known..));
        while let Some(piece) = next {
            stream.position += piece.len() as u64;
            self.streams.untaken += piece.len() as u64;
            next = stream.early.take_from(stream.position);
            let id = stream.id;
            link.out.push(Output::Piece { id, piece });
        }
        if self.streams.untaken >= link.limits.stream_window as u64
            && matches!(self.streams.flow, Flow::Open)
        {
            self.streams.flow = Flow::Halted { since: link.now };
            link.outbound.halt_reading();
            link.outbound.arm(link.now + link.limits.stall);
        }
        true
    }
}

fn tell_end(id: IncomingId, end: StreamEnd, link: &mut Link<'_>) {
    link.out.push(Output::StreamEnded { id, end });
}
