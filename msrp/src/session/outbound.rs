//! What waits to be written to one connection.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    Ident,
    codec::{Flag, put_end_line},
};

/// Bytes of the longest body that is copied.
const COPIED: usize = 4096;

/// The bytes waiting for a connection, the transactions under way on it, and when to look at its sessions again.
/// Sessions that share the connection share this. Holds no memory to speak of while nothing waits.
#[derive(Debug, Default)]
pub struct Outbound {
    segments: VecDeque<Bytes>,
    tail: BytesMut,
    in_segments: usize,
    /// Bytes that left this queue since the connection began.
    written: u64,
    /// When positions of the stream were written, coarsely: never earlier than the truth.
    marks: VecDeque<Mark>,
    sequence_by_transaction: HashMap<Ident, u64>,
    deadline: Option<Instant>,
    /// The chunk at the end of what waits, of which more is to come: whoever writes something else ends it first.
    open: Option<Ident>,
    /// Chunks that were ended so, until their sessions ask.
    interrupted: Vec<Interrupted>,
    /// Sessions whose owners have not taken what they were given.
    halted: usize,
}

#[derive(Debug, Clone, Copy)]
struct Interrupted {
    id: Ident,
    /// The stream's position after its end-line.
    end: u64,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    since: Instant,
    at: Instant,
    position: u64,
}

impl Outbound {
    /// A new connection's.
    pub fn new() -> Outbound {
        Outbound::default()
    }

    /// Bytes waiting.
    pub fn queued(&self) -> usize {
        self.in_segments + self.tail.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queued() == 0
    }

    /// Fills `slices` with what waits, in order; returns how many are used.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let waiting = self.segments.iter().map(|bytes| &bytes[..]).chain(tail);
        slices
            .iter_mut()
            .zip(waiting)
            .map(|(slice, bytes)| *slice = IoSlice::new(bytes))
            .count()
    }

    /// That many bytes from the front were written to the connection.
    pub fn handle_written(&mut self, bytes: usize, now: Instant) {
        self.written = self.written.saturating_add(bytes as u64);
        let mut left = bytes;
        while let Some(first) = self.segments.front_mut() {
            if left < first.len() {
                first.advance(left);
                self.in_segments = self.in_segments.saturating_sub(left);
                left = 0;
                break;
            }
            left -= first.len();
            self.in_segments = self.in_segments.saturating_sub(first.len());
            self.segments.pop_front();
        }
        if left >= self.tail.len() {
            self.tail = BytesMut::new();
        } else {
            self.tail.advance(left);
        }
        if self.is_empty() && self.segments.capacity() > 64 {
            self.segments = VecDeque::new();
        }
        self.mark(now);
    }

    /// When the sessions of the connection want their `handle_timeout`.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Sets the deadline anew, after all sessions were asked.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether so little waits that long messages may go on: they must not stand before what others have to say.
    pub fn has_room_for_chunks(&self) -> bool {
        const AHEAD: usize = 32 << 10;
        self.queued() < AHEAD
    }

    /// Whether more may be read from the connection: not while a session's owner does not take what it was given.
    pub fn may_read(&self) -> bool {
        self.halted == 0
    }

    pub(super) fn halt_reading(&mut self) {
        self.halted += 1;
    }

    pub(super) fn resume_reading(&mut self) {
        self.halted = self.halted.saturating_sub(1);
    }

    /// The end of what waits, for something that is no part of a chunk that is being written. RFC 4975 §7.1.1.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        if let Some(id) = self.open.take() {
            put_end_line(&mut self.tail, id.as_bytes(), Flag::Continued, true);
            let end = self.end();
            self.interrupted.push(Interrupted { id, end });
        }
        &mut self.tail
    }

    /// More of the body that was written last may come.
    pub(super) fn begin_chunk(&mut self, id: Ident) {
        self.open = Some(id);
    }

    /// Its chunk is at the end of what waits.
    pub(super) fn end_chunk(&mut self, id: &Ident, flag: Flag) {
        if self.open.take_if(|open| open == id).is_some() {
            put_end_line(&mut self.tail, id.as_bytes(), flag, true);
        }
    }

    /// Whether chunks were interrupted and nobody has asked for them yet.
    pub(super) fn has_interrupted(&self) -> bool {
        !self.interrupted.is_empty()
    }

    /// The position after that chunk's end-line, if it was interrupted.
    pub(super) fn take_interrupted(&mut self, id: &Ident) -> Option<u64> {
        let index = self.interrupted.iter().position(|i| i.id == *id)?;
        Some(self.interrupted.swap_remove(index).end)
    }

    /// Makes room for a body and what stands around it, which would else come bit by bit.
    pub(super) fn make_room(&mut self, body: usize) {
        const AROUND: usize = 512;
        if body <= COPIED {
            self.tail.reserve(body + AROUND);
        }
    }

    /// Appends a body: a small one by copying, so that many fit one write; a big one as it is.
    pub(super) fn push_body(&mut self, body: &Bytes) {
        if body.len() <= COPIED {
            self.tail.extend_from_slice(body);
            return;
        }
        if !self.tail.is_empty() {
            let head = self.tail.split().freeze();
            self.in_segments += head.len();
            self.segments.push_back(head);
        }
        self.in_segments += body.len();
        self.segments.push_back(body.clone());
    }

    /// The position in the stream after everything that waits.
    pub(super) fn end(&self) -> u64 {
        self.written.saturating_add(self.queued() as u64)
    }

    /// When everything before that position had been written; `None` if it has not yet.
    pub(super) fn written_at(&self, position: u64) -> Option<Instant> {
        let index = self.marks.partition_point(|mark| mark.position < position);
        self.marks.get(index).map(|mark| mark.at)
    }

    /// Asks for a `handle_timeout` at that time at the latest.
    pub(super) fn arm(&mut self, at: Instant) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    /// Notes a transaction of our own under the session's number for it; not if its id is in use.
    pub(super) fn begin(&mut self, id: Ident, sequence: u64) -> bool {
        use std::collections::hash_map::Entry;
        match self.sequence_by_transaction.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(sequence);
                true
            }
        }
    }

    /// Whether a request under way has that id.
    pub(super) fn is_in_use(&self, id: &Ident) -> bool {
        self.sequence(id).is_some()
            || self.open == Some(*id)
            || self
                .interrupted
                .iter()
                .any(|interrupted| interrupted.id == *id)
    }

    pub(super) fn sequence(&self, id: &Ident) -> Option<u64> {
        self.sequence_by_transaction.get(id).copied()
    }

    pub(super) fn forget(&mut self, id: &Ident) {
        self.sequence_by_transaction.remove(id);
        if self.sequence_by_transaction.is_empty() {
            if !self.has_transactions() {
                self.marks.clear();
            }
            if self.sequence_by_transaction.capacity() > 64 {
                self.sequence_by_transaction = HashMap::new();
            }
            if self.marks.capacity() > 8 {
                self.marks = VecDeque::new();
            }
        }
    }

    fn has_transactions(&self) -> bool {
        !self.sequence_by_transaction.is_empty()
            || self.open.is_some()
            || !self.interrupted.is_empty()
    }

    fn mark(&mut self, now: Instant) {
        const APART: Duration = Duration::from_secs(1);
        const KEPT: usize = 64;
        if !self.has_transactions() {
            return;
        }
        let position = self.written;
        match self.marks.back_mut() {
            Some(mark) if now.saturating_duration_since(mark.since) < APART => {
                mark.at = now;
                mark.position = position;
            }
            _ => {
                if self.marks.len() == KEPT {
                    self.marks.pop_front();
                }
                self.marks.push_back(Mark {
                    since: now,
                    at: now,
                    position,
                });
            }
        }
    }
}
