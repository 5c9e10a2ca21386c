//! Bytes as they come in, chunks out.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use thiserror::Error;

use super::{
    Flag, HYPHENS,
    head::{Fields, Head, Method, Start},
};
use crate::Limits;

/// The bytes are not MSRP, or more than may be held; where the next message begins is unknown, so that the connection
/// is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// No start line where one must be.
    #[error("no MSRP start line")]
    NoStartLine,
    /// A carriage return or line feed by itself among the headers.
    #[error("a line of the head does not end in CRLF")]
    LineEnd,
    /// A line of the head is longer than [`Limits::header_line`].
    #[error("a header line is too long")]
    LineTooLong,
    /// A head is longer than [`Limits::header_section`].
    #[error("a header section is too long")]
    HeadTooLong,
}

/// What the decoder yields: a chunk, or, if its body is long, first its beginning and then the rest in order.
#[derive(Debug, Clone)]
pub enum Part {
    /// A request or response from its start.
    First {
        /// Its start line and headers.
        head: Head,
        /// Its body, or the beginning of it.
        body: Bytes,
        /// The flag of its end-line; `None` if more of the body follows.
        end: Option<Flag>,
    },
    /// More of the body of the last `First`.
    Next {
        /// The bytes after those already yielded.
        body: Bytes,
        /// The flag of the end-line; `None` if more follows.
        end: Option<Flag>,
    },
}

/// Cuts a byte stream into chunks, however the bytes arrive (MSRP-02). Holds no bytes itself: what is not yet a chunk
/// stays in the caller's buffer, which may be dropped whenever it is empty. After an error it yields the same error.
#[derive(Debug)]
pub struct Decoder {
    phase: Phase,
    line_limit: usize,
    head_limit: usize,
    part: usize,
}

/// Where the buffer begins. A message that is there as a whole never leaves `Start`.
#[derive(Debug)]
enum Phase {
    /// At a start line.
    Start,
    /// At a start line too, of a head that has been read in part.
    Head(Reading),
    /// At a start line too; the body, which begins at `start`, has no end-line before `scanned`.
    Body {
        fields: Fields,
        start: usize,
        scanned: usize,
    },
    /// In the midst of a body whose beginning was yielded.
    Rest {
        transaction_id: Bytes,
        flag_is_optional: bool,
        scanned: usize,
    },
    Failed(DecodeError),
}

/// How far a head has been read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// `None` before the start line.
    fields: Option<Fields>,
    /// Where the next line begins.
    line: usize,
    /// There is no line end before this.
    scanned: usize,
}

/// What a head's last line says.
enum HeadEnd {
    /// The message ends there too.
    OfMessage(Flag),
    /// The body begins.
    BeforeBody,
    /// It has not come yet.
    NotYet,
}

impl Decoder {
    /// For one connection, at the start of its stream.
    pub fn new(limits: &Limits) -> Decoder {
        Decoder {
            phase: Phase::Start,
            line_limit: limits.header_line,
            head_limit: limits.header_section.min(usize::from(u16::MAX)),
            part: limits.body_part.max(1),
        }
    }

    /// The next part, its bytes removed from the buffer; `None` if more bytes are needed. Between calls the caller only
    /// appends to the buffer.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Part>, DecodeError> {
        match self.phase {
            Phase::Start if buffer.is_empty() => Ok(None),
            Phase::Start => self.decode_head(
                Reading {
                    fields: None,
                    line: 0,
                    scanned: 0,
                },
                buffer,
            ),
            Phase::Head(reading) => self.decode_head(reading, buffer),
            Phase::Body {
                fields,
                start,
                scanned,
            } => Ok(self.decode_body(fields, start, scanned, buffer)),
            Phase::Rest { .. } => Ok(self.decode_rest(buffer)),
            Phase::Failed(error) => Err(error),
        }
    }

    /// Whether the stream is between two messages, if the buffer is empty.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.phase, Phase::Start)
    }

    fn decode_head(
        &mut self,
        mut reading: Reading,
        buffer: &mut BytesMut,
    ) -> Result<Option<Part>, DecodeError> {
        let end = self.read_lines(&mut reading, buffer).inspect_err(|error| {
            self.phase = Phase::Failed(*error);
        })?;
        match (end, reading.fields) {
            (HeadEnd::OfMessage(flag), Some(fields)) => {
                self.phase = Phase::Start;
                Ok(Some(Part::First {
                    head: Head::new(buffer.split_to(reading.line).freeze(), fields),
                    body: Bytes::new(),
                    end: Some(flag),
                }))
            }
            (HeadEnd::BeforeBody, Some(fields)) => {
                // The CRLF before the end-line may be that of the blank line.
                let blank_line = reading.line.saturating_sub(2);
                Ok(self.decode_body(fields, reading.line, blank_line, buffer))
            }
            (_, _) => {
                self.phase = Phase::Head(reading);
                Ok(None)
            }
        }
    }

    /// Reads lines until the head ends or the bytes do.
    fn read_lines(&self, reading: &mut Reading, bytes: &[u8]) -> Result<HeadEnd, DecodeError> {
        loop {
            let unscanned = bytes.get(reading.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unscanned) else {
                if bytes.len().saturating_sub(reading.line) >= self.line_limit {
                    return Err(DecodeError::LineTooLong);
                }
                reading.scanned = bytes.len();
                return Ok(HeadEnd::NotYet);
            };
            let start = reading.line;
            let next = reading.scanned.saturating_add(found).saturating_add(1);
            if next.saturating_sub(start) > self.line_limit {
                return Err(DecodeError::LineTooLong);
            }
            if next > self.head_limit {
                return Err(DecodeError::HeadTooLong);
            }
            let line = bytes.get(start..next).unwrap_or_default();
            let line = line.strip_suffix(b"\r\n").ok_or(DecodeError::LineEnd)?;
            reading.line = next;
            reading.scanned = next;
            match &mut reading.fields {
                None => {
                    let fields = Fields::from_start_line(line).ok_or(DecodeError::NoStartLine)?;
                    reading.fields = Some(fields);
                }
                Some(fields) if line.is_empty() => {
                    fields.has_body = true;
                    return Ok(HeadEnd::BeforeBody);
                }
                Some(fields) => {
                    if let Some(flag) = end_of_head(line, fields, bytes) {
                        return Ok(HeadEnd::OfMessage(flag));
                    }
                    fields.read_header(line, start);
                }
            }
        }
    }

    fn decode_body(
        &mut self,
        fields: Fields,
        start: usize,
        scanned: usize,
        buffer: &mut BytesMut,
    ) -> Option<Part> {
        let id = fields.transaction_id.of(buffer);
        match find_end_line(buffer, scanned, id, is_flag_optional(&fields)) {
            Search::Found { at, length, flag } => {
                self.phase = Phase::Start;
                let message = buffer.split_to(at.saturating_add(length)).freeze();
                let body = if at > start {
                    message.slice(start..at)
                } else {
                    Bytes::new()
                };
                Some(Part::First {
                    head: Head::new(message, fields),
                    body,
                    end: Some(flag),
                })
            }
            Search::Clear { before } if before.saturating_sub(start) >= self.part => {
                let head = Head::new(buffer.split_to(start).freeze(), fields);
                self.phase = Phase::Rest {
                    transaction_id: head.share(head.transaction_id()),
                    flag_is_optional: is_flag_optional(&fields),
                    scanned: 0,
                };
                Some(Part::First {
                    head,
                    body: buffer.split_to(before.saturating_sub(start)).freeze(),
                    end: None,
                })
            }
            Search::Clear { before } => {
                self.phase = Phase::Body {
                    fields,
                    start,
                    scanned: before,
                };
                None
            }
        }
    }

    fn decode_rest(&mut self, buffer: &mut BytesMut) -> Option<Part> {
        let Phase::Rest {
            transaction_id,
            flag_is_optional,
            scanned,
        } = &mut self.phase
        else {
            return None;
        };
        match find_end_line(buffer, *scanned, transaction_id, *flag_is_optional) {
            Search::Found { at, length, flag } => {
                self.phase = Phase::Start;
                let body = buffer.split_to(at).freeze();
                let _end_line = buffer.split_to(length);
                Some(Part::Next {
                    body,
                    end: Some(flag),
                })
            }
            Search::Clear { before } if before >= self.part => {
                *scanned = 0;
                Some(Part::Next {
                    body: buffer.split_to(before).freeze(),
                    end: None,
                })
            }
            Search::Clear { before } => {
                *scanned = before;
                None
            }
        }
    }
}

/// Whether the line ends the message: hyphens, its transaction id, and a flag, which some peers leave out where it says
/// nothing (MSRP-04).
fn end_of_head(line: &[u8], fields: &Fields, bytes: &[u8]) -> Option<Flag> {
    let rest = line.strip_prefix(HYPHENS)?;
    let flag = rest.strip_prefix(fields.transaction_id.of(bytes))?;
    match flag {
        [flag] => Flag::from_byte(*flag),
        [] if is_flag_optional(fields) => Some(Flag::Complete),
        _ => None,
    }
}

fn is_flag_optional(fields: &Fields) -> bool {
    fields.start() != Start::Request(Method::Send)
}

enum Search {
    /// The body ends at `at`, followed by `length` bytes of CRLF and end-line.
    Found {
        at: usize,
        length: usize,
        flag: Flag,
    },
    /// No end-line begins before `before`.
    Clear { before: usize },
}

fn find_end_line(bytes: &[u8], from: usize, id: &[u8], flag_is_optional: bool) -> Search {
    static HYPHENS_ON_NEW_LINE: LazyLock<Finder<'static>> =
        LazyLock::new(|| Finder::new(b"\r\n-------"));
    const PREFIX: usize = 9;
    let mut from = from;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let Some(found) = HYPHENS_ON_NEW_LINE.find(rest) else {
            // The last bytes may be the beginning of it.
            let before = bytes.len().saturating_sub(PREFIX - 1);
            return Search::Clear {
                before: before.max(from),
            };
        };
        let at = from.saturating_add(found);
        let candidate = bytes.get(at.saturating_add(PREFIX)..).unwrap_or_default();
        match end_line_at(candidate, id, flag_is_optional) {
            Candidate::EndLine { flag, length } => {
                return Search::Found {
                    at,
                    length: PREFIX.saturating_add(length),
                    flag,
                };
            }
            Candidate::TooShort => return Search::Clear { before: at },
            Candidate::Body => from = at.saturating_add(2),
        }
    }
}

enum Candidate {
    EndLine { flag: Flag, length: usize },
    TooShort,
    Body,
}

fn end_line_at(bytes: &[u8], id: &[u8], flag_is_optional: bool) -> Candidate {
    let Some((found, after)) = bytes.split_at_checked(id.len()) else {
        return if id.starts_with(bytes) {
            Candidate::TooShort
        } else {
            Candidate::Body
        };
    };
    if found != id {
        return Candidate::Body;
    }
    match after {
        [flag, b'\r', b'\n', ..] if Flag::from_byte(*flag).is_some() => Candidate::EndLine {
            flag: Flag::from_byte(*flag).unwrap_or(Flag::Complete),
            length: id.len().saturating_add(3),
        },
        [b'\r', b'\n', ..] if flag_is_optional => Candidate::EndLine {
            flag: Flag::Complete,
            length: id.len().saturating_add(2),
        },
        [] => Candidate::TooShort,
        [flag] | [flag, b'\r'] if Flag::from_byte(*flag).is_some() => Candidate::TooShort,
        [b'\r'] if flag_is_optional => Candidate::TooShort,
        _ => Candidate::Body,
    }
}
