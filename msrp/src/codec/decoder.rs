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

#[derive(Debug)]
enum Phase {
    /// Within the head: lines before `line` are read, and there is no line end before `scanned`.
    Head {
        fields: Option<Fields>,
        line: usize,
        scanned: usize,
    },
    /// Within the body, which begins at `start` of the buffer; there is no end-line before `scanned`.
    Body {
        fields: Fields,
        start: usize,
        scanned: usize,
    },
    /// Within a body whose beginning was yielded; the buffer begins in its midst.
    Rest {
        transaction_id: Bytes,
        flag_is_optional: bool,
        scanned: usize,
    },
    Failed(DecodeError),
}

const NEW: Phase = Phase::Head {
    fields: None,
    line: 0,
    scanned: 0,
};

impl Decoder {
    /// For one connection, at the start of its stream.
    pub fn new(limits: &Limits) -> Decoder {
        Decoder {
            phase: NEW,
            line_limit: limits.header_line,
            head_limit: limits.header_section.min(usize::from(u16::MAX)),
            part: limits.body_part,
        }
    }

    /// The next part, its bytes removed from the buffer; `None` if more bytes are needed. Between calls the caller only
    /// appends to the buffer.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Part>, DecodeError> {
        if let Phase::Head { .. } = self.phase
            && let Some(part) = self.decode_head(buffer)?
        {
            return Ok(Some(part));
        }
        match self.phase {
            Phase::Head { .. } => Ok(None),
            Phase::Body { .. } => Ok(self.decode_body(buffer)),
            Phase::Rest { .. } => Ok(self.decode_rest(buffer)),
            Phase::Failed(error) => Err(error),
        }
    }

    /// Whether the stream is between two messages.
    pub fn is_between_messages(&self) -> bool {
        matches!(
            self.phase,
            Phase::Head {
                line: 0,
                scanned: 0,
                ..
            }
        )
    }

    fn decode_head(&mut self, buffer: &mut BytesMut) -> Result<Option<Part>, DecodeError> {
        match self.read_head(buffer) {
            Ok(None) => Ok(None),
            Ok(Some((head, flag, length))) => {
                self.phase = NEW;
                let head = Head::new(buffer.split_to(length).freeze(), head);
                Ok(Some(Part::First {
                    head,
                    body: Bytes::new(),
                    end: Some(flag),
                }))
            }
            Err(error) => {
                self.phase = Phase::Failed(error);
                Err(error)
            }
        }
    }

    /// Reads lines until the head ends. Yields it with its length if the message ends there too; changes the phase if
    /// a body begins.
    fn read_head(&mut self, bytes: &[u8]) -> Result<Option<(Fields, Flag, usize)>, DecodeError> {
        let Phase::Head {
            fields,
            line,
            scanned,
        } = &mut self.phase
        else {
            return Ok(None);
        };
        loop {
            let unscanned = bytes.get(*scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\r', b'\n', unscanned) else {
                if bytes.len() - *line >= self.line_limit {
                    return Err(DecodeError::LineTooLong);
                }
                *scanned = bytes.len();
                return Ok(None);
            };
            let line_end = *scanned + found;
            let next_line = line_end + 2;
            if next_line - *line > self.line_limit {
                return Err(DecodeError::LineTooLong);
            }
            if next_line > self.head_limit {
                return Err(DecodeError::HeadTooLong);
            }
            match bytes.get(line_end..next_line) {
                Some(b"\r\n") => {}
                None if bytes.last() == Some(&b'\r') => {
                    *scanned = line_end;
                    return Ok(None);
                }
                _ => return Err(DecodeError::LineEnd),
            }
            let text = bytes.get(*line..line_end).unwrap_or_default();
            match fields {
                None => {
                    *fields = Some(Fields::from_start_line(text).ok_or(DecodeError::NoStartLine)?);
                }
                Some(head) if text.is_empty() => {
                    head.has_body = true;
                    self.phase = Phase::Body {
                        fields: *head,
                        start: next_line,
                        scanned: line_end,
                    };
                    return Ok(None);
                }
                Some(head) => {
                    if let Some(flag) = end_of_head(text, head, bytes) {
                        return Ok(Some((*head, flag, next_line)));
                    }
                    head.read_header(text, *line);
                }
            }
            *line = next_line;
            *scanned = next_line;
        }
    }

    fn decode_body(&mut self, buffer: &mut BytesMut) -> Option<Part> {
        let Phase::Body {
            fields,
            start,
            scanned,
        } = &mut self.phase
        else {
            return None;
        };
        let id = fields.transaction_id.of(buffer);
        match find_end_line(buffer, *scanned, id, is_flag_optional(fields)) {
            Search::Found { at, length, flag } => {
                let (fields, start) = (*fields, *start);
                self.phase = NEW;
                let message = buffer.split_to(at + length).freeze();
                // The CRLF before the end-line may be that of the blank line: then there is no body at all.
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
            Search::Clear { before } if before.saturating_sub(*start) >= self.part => {
                let (fields, start) = (*fields, *start);
                let head = Head::new(buffer.split_to(start).freeze(), fields);
                self.phase = Phase::Rest {
                    transaction_id: head.share(head.transaction_id()),
                    flag_is_optional: is_flag_optional(&fields),
                    scanned: 0,
                };
                Some(Part::First {
                    head,
                    body: buffer.split_to(before - start).freeze(),
                    end: None,
                })
            }
            Search::Clear { before } => {
                *scanned = before;
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
                self.phase = NEW;
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
        let at = from + found;
        let candidate = bytes.get(at + PREFIX..).unwrap_or_default();
        match end_line_at(candidate, id, flag_is_optional) {
            Candidate::EndLine { flag, length } => {
                return Search::Found {
                    at,
                    length: PREFIX + length,
                    flag,
                };
            }
            Candidate::TooShort => return Search::Clear { before: at },
            Candidate::Body => from = at + 2,
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
            length: id.len() + 3,
        },
        [b'\r', b'\n', ..] if flag_is_optional => Candidate::EndLine {
            flag: Flag::Complete,
            length: id.len() + 2,
        },
        [] => Candidate::TooShort,
        [flag] | [flag, b'\r'] if Flag::from_byte(*flag).is_some() => Candidate::TooShort,
        [b'\r'] if flag_is_optional => Candidate::TooShort,
        _ => Candidate::Body,
    }
}
