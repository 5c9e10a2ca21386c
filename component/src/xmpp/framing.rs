//! Cuts the bytes of a component stream into stanzas.
//!
//! The scanner knows just enough XML to find where an element ends: tags, quotes, comments, CDATA sections,
//! processing instructions. What is too deep or too large, or could make a parser work out of proportion, is left out
//! here before any parser sees it, so that no user can end the stream, or the process, for everybody.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr3, memmem};
use thiserror::Error;

/// Bounds of one stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameLimits {
    /// Bytes of the whole stanza.
    pub(super) bytes: usize,
    /// Elements within each other, the stanza itself included.
    pub(super) depth: usize,
    /// Attributes of one element.
    pub(super) attributes: usize,
    /// Namespace prefixes declared in the whole stanza: each costs time in every element below it.
    pub(super) prefixes: usize,
}

impl Default for FrameLimits {
    fn default() -> Self {
        FrameLimits {
            bytes: 256 * 1024,
            depth: 64,
            attributes: 64,
            prefixes: 64,
        }
    }
}

/// Something between the opening and the closing tag of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole element: a stanza, or a stream error.
    Element(Bytes),
    /// An element that was left out. Its opening tag is there if it was not itself the offender.
    LeftOut {
        /// `<message …>`, as it came.
        opening: Option<Bytes>,
        /// Which bound it broke.
        excess: Excess,
    },
    /// The closing tag of the stream.
    End,
}

/// The bound that an element broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Excess {
    /// More bytes than allowed.
    #[error("the stanza is too large")]
    Bytes,
    /// Elements within elements within elements.
    #[error("the stanza is nested too deeply")]
    Depth,
    /// Too many attributes in one element.
    #[error("an element has too many attributes")]
    Attributes,
    /// Too many namespace prefixes.
    #[error("too many namespace prefixes are declared")]
    Prefixes,
}

/// What no XMPP server may send. The stream cannot be followed any further. RFC 6120 §11.1, §11.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the server's stream is not well-formed XML")]
pub(super) struct NotWellFormed;

/// Where in the grammar the scanner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lex {
    /// Between tags.
    Text,
    /// In an opening tag, outside quotes.
    Opening,
    /// In an attribute value, up to this quote.
    Quoted(u8),
    /// In a closing tag.
    Closing,
    /// In a comment, a CDATA section or a processing instruction, up to this end.
    Until(&'static [u8]),
}

/// The scanner of one stream, from after its opening tag on.
#[derive(Debug)]
pub(super) struct Framer {
    limits: FrameLimits,
    /// Bytes from the beginning of the element under way on (while one is left out: of what is not yet scanned).
    buffer: BytesMut,
    /// Bytes of the buffer that the scanner has passed.
    scanned: usize,
    lex: Lex,
    depth: usize,
    /// Attributes of the tag under way.
    attributes: usize,
    prefixes: usize,
    /// Where the opening tag of the element under way ends.
    opening: Option<usize>,
    /// Set while the element under way is being left out.
    leaving_out: Option<(Option<Bytes>, Excess)>,
    /// The last byte that was dropped while leaving out.
    previous: u8,
}

impl Framer {
    /// A scanner that begins with what was read beyond the login.
    pub(super) fn new(limits: FrameLimits, already_read: BytesMut) -> Framer {
        Framer {
            limits,
            buffer: already_read,
            scanned: 0,
            lex: Lex::Text,
            depth: 0,
            attributes: 0,
            prefixes: 0,
            opening: None,
            leaving_out: None,
            previous: 0,
        }
    }

    /// Where to append what was read from the server.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame of what was read; `None` when more must be read first.
    pub(super) fn poll_frame(&mut self) -> Result<Option<Frame>, NotWellFormed> {
        loop {
            let step = match self.lex {
                Lex::Text => self.scan_text()?,
                Lex::Opening => self.scan_opening(),
                Lex::Quoted(quote) => self.scan_quoted(quote),
                Lex::Closing => self.scan_closing()?,
                Lex::Until(end) => self.scan_until(end),
            };
            self.bound();
            match step {
                Step::Moved => {}
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::NeedsMore => return Ok(None),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.scanned..).unwrap_or_default()
    }

    fn scan_text(&mut self) -> Result<Step, NotWellFormed> {
        let Some(at) = memchr(b'<', self.rest()) else {
            self.scanned = self.buffer.len();
            self.drop_outside();
            return Ok(Step::NeedsMore);
        };
        self.scanned += at;
        self.drop_outside();
        let (lex, len) = match self.rest() {
            [b'<', b'!', b'-', b'-', ..] => (Lex::Until(b"-->"), 4),
            [b'<', b'!', b'[', ..] if self.depth > 0 => (Lex::Until(b"]]>"), 3),
            [b'<', b'!', b'-'] | [b'<', b'!'] | [b'<'] => return Ok(Step::NeedsMore),
            // A document type, or something that is no XML at all.
            [b'<', b'!', ..] => return Err(NotWellFormed),
            [b'<', b'?', ..] => (Lex::Until(b"?>"), 2),
            [b'<', b'/', ..] => (Lex::Closing, 2),
            _ => (Lex::Opening, 1),
        };
        if lex == Lex::Opening {
            self.attributes = 0;
            self.depth += 1;
            if self.depth > self.limits.depth {
                self.leave_out(Excess::Depth);
            }
        }
        self.lex = lex;
        self.scanned += len;
        Ok(Step::Moved)
    }

    fn scan_opening(&mut self) -> Step {
        let Some(at) = memchr3(b'"', b'\'', b'>', self.rest()) else {
            self.scanned = self.buffer.len();
            return Step::NeedsMore;
        };
        self.scanned += at;
        let found = self.buffer.get(self.scanned).copied().unwrap_or_default();
        if found != b'>' {
            self.count_attribute();
            self.scanned += 1;
            self.lex = Lex::Quoted(found);
            return Step::Moved;
        }
        let before = match self.scanned.checked_sub(1) {
            Some(before) => self.buffer.get(before).copied().unwrap_or_default(),
            None => self.previous,
        };
        self.scanned += 1;
        self.lex = Lex::Text;
        if self.depth == 1 && self.opening.is_none() && self.scanned <= self.limits.bytes {
            self.opening = Some(self.scanned);
        }
        if before == b'/' {
            return self.ascend();
        }
        Step::Moved
    }

    fn scan_quoted(&mut self, quote: u8) -> Step {
        match memchr(quote, self.rest()) {
            Some(at) => {
                self.scanned += at + 1;
                self.lex = Lex::Opening;
                Step::Moved
            }
            None => {
                self.scanned = self.buffer.len();
                Step::NeedsMore
            }
        }
    }

    fn scan_closing(&mut self) -> Result<Step, NotWellFormed> {
        let Some(at) = memchr(b'>', self.rest()) else {
            self.scanned = self.buffer.len();
            // The closing tag of the stream is outside any stanza's bounds.
            return if self.depth == 0 && self.buffer.len() > self.limits.bytes {
                Err(NotWellFormed)
            } else {
                Ok(Step::NeedsMore)
            };
        };
        self.scanned += at + 1;
        self.lex = Lex::Text;
        if self.depth == 0 {
            self.drop_outside();
            return Ok(Step::Frame(Frame::End));
        }
        Ok(self.ascend())
    }

    fn scan_until(&mut self, end: &'static [u8]) -> Step {
        match memmem::find(self.rest(), end) {
            Some(at) => {
                self.scanned += at + end.len();
                self.lex = Lex::Text;
                Step::Moved
            }
            None => {
                // The end may be cut in two.
                let kept = end.len().saturating_sub(1).min(self.rest().len());
                self.scanned = self.buffer.len() - kept;
                Step::NeedsMore
            }
        }
    }

    /// An element has ended; with the outermost one ends the frame.
    fn ascend(&mut self) -> Step {
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return Step::Moved;
        }
        if self.leaving_out.is_none() && self.scanned > self.limits.bytes {
            self.leave_out(Excess::Bytes);
        }
        let element = self.buffer.split_to(self.scanned).freeze();
        self.scanned = 0;
        self.prefixes = 0;
        self.opening = None;
        Step::Frame(match self.leaving_out.take() {
            Some((opening, excess)) => Frame::LeftOut { opening, excess },
            None => Frame::Element(element),
        })
    }

    /// Counts the attribute whose value begins at the scanner's position.
    fn count_attribute(&mut self) {
        self.attributes += 1;
        if self.leaving_out.is_some() {
            return;
        }
        let before = self.buffer.get(..self.scanned).unwrap_or_default();
        let before = before.trim_ascii_end();
        let before = before.strip_suffix(b"=").unwrap_or(before).trim_ascii_end();
        let name = before
            .rsplit(|b| b.is_ascii_whitespace())
            .next()
            .unwrap_or_default();
        if name.starts_with(b"xmlns:") {
            self.prefixes += 1;
        }
        if self.attributes > self.limits.attributes {
            self.leave_out(Excess::Attributes);
        } else if self.prefixes > self.limits.prefixes {
            self.leave_out(Excess::Prefixes);
        }
    }

    /// Keeps the memory bounded: an element that grows too large is left out, and what is left out is dropped.
    fn bound(&mut self) {
        if self.depth > 0 && self.leaving_out.is_none() && self.scanned > self.limits.bytes {
            self.leave_out(Excess::Bytes);
        }
        if self.leaving_out.is_some() && self.scanned > 0 {
            let last = self.scanned - 1;
            self.previous = self.buffer.get(last).copied().unwrap_or_default();
            self.buffer.advance(self.scanned);
            self.scanned = 0;
        } else if self.depth == 0 && !matches!(self.lex, Lex::Opening | Lex::Quoted(_)) {
            self.drop_outside();
        }
    }

    fn leave_out(&mut self, excess: Excess) {
        if self.leaving_out.is_none() {
            let opening = self.opening.and_then(|end| self.buffer.get(..end));
            self.leaving_out = Some((opening.map(Bytes::copy_from_slice), excess));
        }
    }

    /// Drops what stands between elements: white space, which keeps the connection alive, and comments.
    fn drop_outside(&mut self) {
        if self.depth == 0 && self.leaving_out.is_none() {
            self.buffer.advance(self.scanned);
            self.scanned = 0;
        }
    }
}

/// Where the opening tag with which an element begins ends.
pub(super) fn opening_end(element: &[u8]) -> Option<usize> {
    let mut quote = None;
    let end = element.iter().position(|byte| match quote {
        None if matches!(byte, b'"' | b'\'') => {
            quote = Some(*byte);
            false
        }
        None => *byte == b'>',
        Some(_) => {
            quote = quote.filter(|quote| quote != byte);
            false
        }
    })?;
    Some(end + 1)
}

/// What a step of the scanner came to.
enum Step {
    Moved,
    Frame(Frame),
    NeedsMore,
}

#[cfg(test)]
mod tests;
