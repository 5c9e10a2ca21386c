//! A message of ours that goes out bit by bit, in as few chunks as those allow who wait for the connection (MSRP-15).

use bytes::{Bytes, BytesMut};
use rand::Rng;

use super::{Chunking, Outbound, transaction_id};
use crate::{
    ByteRange, Ident, Outgoing,
    codec::{Flag, Paths, SendHead, put_end_line, put_send_head},
};

/// Bodies longer than this must say that they may be interrupted. RFC 4975 §7.1.1.
pub(super) const UNINTERRUPTED: usize = 2048;
/// Bytes that one message writes before it is another's turn.
const TURN: usize = 16 << 10;
/// Seven hyphens and the longest transaction id.
const LONGEST_END: usize = 39;

#[derive(Debug)]
pub(super) struct Long {
    /// Of what comes in pieces the body is empty.
    pub(super) outgoing: Outgoing,
    pub(super) message_id: Ident,
    /// Chunks whose end-line is written and whose response has not come.
    pub(super) unanswered: usize,
    origin: Origin,
    rest: Rest,
    /// Bytes written.
    position: u64,
    total: Option<u64>,
    /// Its end-line is not written yet.
    chunk: Option<Chunk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Body,
    Pieces,
}

/// What is still to be written.
#[derive(Debug)]
enum Rest {
    /// All the rest, perhaps nothing.
    Known(Bytes),
    /// What there is of a message that is handed in piece by piece.
    Growing(BytesMut),
    /// The last chunk has ended.
    Ended,
}

#[derive(Debug)]
struct Chunk {
    id: Ident,
    written: usize,
}

impl Long {
    /// A message whose body is there.
    pub(super) fn whole(outgoing: Outgoing, message_id: Ident) -> Long {
        let body = outgoing.body.clone();
        let total = Some(body.len() as u64);
        Long::new(outgoing, message_id, Origin::Body, Rest::Known(body), total)
    }

    /// A message that is handed in piece by piece; `total` if it is known.
    pub(super) fn growing(outgoing: Outgoing, message_id: Ident, total: Option<u64>) -> Long {
        let rest = Rest::Growing(BytesMut::new());
        Long::new(outgoing, message_id, Origin::Pieces, rest, total)
    }

    fn new(
        outgoing: Outgoing,
        message_id: Ident,
        origin: Origin,
        rest: Rest,
        total: Option<u64>,
    ) -> Long {
        Long {
            outgoing,
            message_id,
            unanswered: 0,
            origin,
            rest,
            position: 0,
            total,
            chunk: None,
        }
    }

    /// Whether it is, or was, handed in piece by piece.
    pub(super) fn is_stream(&self) -> bool {
        self.origin == Origin::Pieces
    }

    pub(super) fn is_growing(&self) -> bool {
        matches!(self.rest, Rest::Growing(_))
    }

    /// Whether its last chunk has ended.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.rest, Rest::Ended)
    }

    /// Of the chunk that is being written, or was when somebody else interrupted it.
    pub(super) fn open_id(&self) -> Option<Ident> {
        self.chunk.as_ref().map(|chunk| chunk.id)
    }

    /// Somebody else has ended its chunk.
    pub(super) fn handle_interrupted(&mut self) {
        self.chunk = None;
    }

    /// Whether `write` would write something.
    pub(super) fn can_write(&self) -> bool {
        match &self.rest {
            Rest::Known(_) => true,
            // A chunk is begun only with what makes it worth its head.
            Rest::Growing(_) if self.chunk.is_none() => self.writable() >= UNINTERRUPTED,
            Rest::Growing(_) => self.writable() > 0,
            Rest::Ended => false,
        }
    }

    /// Bytes that wait here.
    pub(super) fn unsent(&self) -> usize {
        self.ahead().len()
    }

    /// Takes what fits of the next piece.
    pub(super) fn grow(&mut self, piece: &[u8], room: usize) -> Result<usize, TooLong> {
        let position = self.position;
        let Rest::Growing(waiting) = &mut self.rest else {
            return Ok(0);
        };
        let length = position + (waiting.len() + piece.len()) as u64;
        if self.total.is_some_and(|total| length > total) {
            return Err(TooLong);
        }
        let taken = piece.len().min(room.saturating_sub(waiting.len()));
        waiting.extend_from_slice(piece.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    /// The last piece was handed in; whether the message is as long as was said.
    pub(super) fn finish(&mut self) -> bool {
        let Rest::Growing(waiting) = &mut self.rest else {
            return false;
        };
        let waiting = waiting.split().freeze();
        let length = self.position + waiting.len() as u64;
        if self.total.is_some_and(|total| total != length) {
            return false;
        }
        self.total = Some(length);
        self.rest = Rest::Known(waiting);
        true
    }

    /// Goes on with its chunk, or begins one; returns the chunk's id if it ends it.
    pub(super) fn write(
        &mut self,
        chunking: Chunking,
        paths: &Paths,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Option<Ident> {
        let longest = chunking.longest.unwrap_or(usize::MAX).max(UNINTERRUPTED);
        let chunk = match self.chunk.take() {
            Some(chunk) => self.continue_chunk(chunk, longest, outbound),
            None => self.begin_chunk(chunking.at_once(), longest, paths, rng, outbound),
        };
        let flag = match &self.rest {
            Rest::Known(rest) if rest.is_empty() => Flag::Complete,
            _ if chunk.written >= longest => Flag::Continued,
            Rest::Known(_) | Rest::Growing(_) | Rest::Ended => {
                self.chunk = Some(chunk);
                return None;
            }
        };
        if flag == Flag::Complete {
            self.rest = Rest::Ended;
        }
        outbound.end_chunk(&chunk.id, flag);
        Some(chunk.id)
    }

    /// Writes no more of the message, which the peer does not want: its chunk ends with `#` (MSRP-17).
    pub(super) fn stop(&mut self, outbound: &mut Outbound) {
        if let Some(chunk) = self.chunk.take() {
            outbound.end_chunk(&chunk.id, Flag::Aborted);
        }
        self.rest = Rest::Ended;
    }

    /// Takes the message back: its chunk ends with `#`; if the last one has ended already and the peer has a part of the
    /// message, it is told in a chunk without content (MSRP-13).
    pub(super) fn abort(&mut self, paths: &Paths, rng: &mut impl Rng, outbound: &mut Outbound) {
        match self.chunk.take() {
            Some(chunk) => outbound.end_chunk(&chunk.id, Flag::Aborted),
            None if self.position > 0 && !self.is_sent() => {
                let id = transaction_id(None, &[], rng, outbound);
                self.put_head(&id, None, paths, outbound);
                put_end_line(outbound.tail(), id.as_bytes(), Flag::Aborted, true);
            }
            None => {}
        }
        self.rest = Rest::Ended;
    }

    fn begin_chunk(
        &mut self,
        at_once: usize,
        longest: usize,
        paths: &Paths,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Chunk {
        let length = self.writable().min(at_once).min(longest);
        let wish = self.outgoing.transaction_id.take();
        let seen = self.ahead().get(..length + LONGEST_END);
        let seen = seen.unwrap_or(self.ahead());
        let id = transaction_id(wish.as_deref(), seen, rng, outbound);
        let ends = length == longest || matches!(&self.rest, Rest::Known(k) if k.len() == length);
        let end = (ends && length <= UNINTERRUPTED).then_some(self.position + length as u64);
        self.put_head(&id, end, paths, outbound);
        let body = self.take(length);
        outbound.push_body(&body);
        outbound.begin_chunk(id);
        Chunk {
            id,
            written: length,
        }
    }

    /// Ends with what would look like the end-line; the next chunk has another id (MSRP-16).
    fn continue_chunk(&mut self, chunk: Chunk, longest: usize, outbound: &mut Outbound) -> Chunk {
        let wanted = self.writable().min(TURN).min(longest - chunk.written);
        let seen = self.ahead().get(..wanted + LONGEST_END);
        let found = end_within(seen.unwrap_or(self.ahead()), chunk.id.as_bytes());
        let length = found.map_or(wanted, |found| found.min(wanted));
        let body = self.take(length);
        outbound.push_body(&body);
        let written = match found {
            Some(found) if found <= wanted => longest,
            _ => chunk.written + length,
        };
        Chunk { written, ..chunk }
    }

    fn put_head(&self, id: &Ident, end: Option<u64>, paths: &Paths, outbound: &mut Outbound) {
        let head = SendHead {
            transaction_id: id.as_bytes(),
            paths,
            message_id: self.message_id.as_bytes(),
            range: ByteRange {
                start: self.position + 1,
                end,
                total: self.total,
            },
            success_report: self.outgoing.success_report,
            failure_report: self.outgoing.failure_report,
            content_type: Some(&self.outgoing.content_type),
        };
        put_send_head(outbound.tail(), &head);
    }

    /// What is there of the rest.
    fn ahead(&self) -> &[u8] {
        match &self.rest {
            Rest::Known(rest) => rest,
            Rest::Growing(waiting) => waiting,
            Rest::Ended => &[],
        }
    }

    /// Bytes of it that may be written: not those with which an end-line might begin that is not there yet.
    fn writable(&self) -> usize {
        match &self.rest {
            Rest::Known(rest) => rest.len(),
            Rest::Growing(waiting) => waiting.len().saturating_sub(LONGEST_END),
            Rest::Ended => 0,
        }
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.position += length as u64;
        match &mut self.rest {
            Rest::Known(rest) => rest.split_to(length),
            Rest::Growing(waiting) => waiting.split_to(length).freeze(),
            Rest::Ended => Bytes::new(),
        }
    }
}

/// More was handed in than was said.
#[derive(Debug)]
pub(super) struct TooLong;

impl Chunking {
    /// Bytes of a chunk that are written without asking who else waits.
    pub(super) fn at_once(self) -> usize {
        self.uninterrupted.max(TURN)
    }
}

/// Where seven hyphens stand that are followed by that id.
pub(super) fn end_within(body: &[u8], id: &[u8]) -> Option<usize> {
    static HYPHENS: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
        std::sync::LazyLock::new(|| memchr::memmem::Finder::new(b"-------"));
    let mut from = 0;
    while let Some(at) = HYPHENS.find(body.get(from..)?) {
        // An id begins with a letter or digit: only the end of the run of hyphens matters.
        let run = body.get(from + at..)?;
        let length = run.iter().position(|byte| *byte != b'-')?;
        from += at + length;
        if body.get(from..)?.starts_with(id) {
            return from.checked_sub(7);
        }
    }
    None
}
