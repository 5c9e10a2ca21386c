//! A start line and its headers, as slices of the bytes they came in.

use bytes::Bytes;

use super::HYPHENS;
use crate::{ByteRange, FailureReport};

/// What a request asks for. RFC 4975 §7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Carries a chunk of a message.
    Send,
    /// Tells what became of a message. Never answered.
    Report,
    /// Asks for a nickname in a chat room. RFC 7701 §7.1.
    Nickname,
    /// Any other; [`Head::method_name`] has it.
    Other,
}

/// What a start line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request(Method),
    /// A response with its status code.
    Response(u16),
}

/// What is wrong with a message whose end could be found all the same; requests with a fault are answered 400 (MSRP-19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// A line that is no header.
    MalformedHeader,
    /// A header that may come once came again.
    RepeatedHeader,
    /// A known header with a value it cannot have.
    MalformedValue,
    /// No To-Path or no From-Path.
    MissingPath,
}

/// A start line and its headers. Values are taken from the bytes when asked for; cloning shares them.
#[derive(Debug, Clone)]
pub struct Head {
    bytes: Bytes,
    fields: Fields,
}

impl Head {
    pub(super) fn new(bytes: Bytes, fields: Fields) -> Head {
        Head { bytes, fields }
    }

    /// Request or response.
    pub fn start(&self) -> Start {
        self.fields.start
    }

    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<HeadFault> {
        match self.fields.fault {
            None if self.fields.to_path.is_absent() || self.fields.from_path.is_absent() => {
                Some(HeadFault::MissingPath)
            }
            fault => fault,
        }
    }

    /// Printable ASCII, at most 128 bytes.
    pub fn transaction_id(&self) -> &[u8] {
        self.fields.transaction_id.of(&self.bytes)
    }

    /// The method of a request, the code and comment of a response.
    pub fn method_name(&self) -> &[u8] {
        self.fields.method.of(&self.bytes)
    }

    /// The URIs a request or response goes to, the next hop first. Empty if there are none.
    pub fn to_path(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        uris(self.fields.to_path.of(&self.bytes))
    }

    /// The URIs it came from, the previous hop first. Empty if there are none.
    pub fn from_path(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        uris(self.fields.from_path.of(&self.bytes))
    }

    /// The whole From-Path as it was written, its URIs apart by blanks.
    pub fn whole_from_path(&self) -> Option<&[u8]> {
        self.fields.from_path.value(&self.bytes)
    }

    /// Names the message a chunk or REPORT belongs to; printable ASCII.
    pub fn message_id(&self) -> Option<&[u8]> {
        self.fields.message_id.value(&self.bytes)
    }

    /// The bytes it is about.
    pub fn byte_range(&self) -> Option<ByteRange> {
        self.fields.byte_range
    }

    /// Whether success REPORTs are asked for; not unless it says so.
    pub fn success_report(&self) -> bool {
        self.fields.success_report
    }

    /// What the sender wants to hear of failures.
    pub fn failure_report(&self) -> FailureReport {
        self.fields.failure_report
    }

    /// The code of a REPORT's `Status`, if it is in namespace `000`.
    pub fn status(&self) -> Option<u16> {
        self.fields.status
    }

    /// Media type with parameters.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.fields.content_type.value(&self.bytes)?;
        std::str::from_utf8(value).ok()
    }

    /// Whether a body follows, if only an empty one. Without one there is no blank line.
    pub fn has_body(&self) -> bool {
        self.fields.has_body
    }

    /// The value of any header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let lines = self.bytes.split(|byte| *byte == b'\n').skip(1);
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .take_while(|line| !line.is_empty() && !line.starts_with(HYPHENS))
            .find_map(|line| {
                let (found, value) = line.split_at_checked(name.len())?;
                let value = value.strip_prefix(b":")?;
                found
                    .eq_ignore_ascii_case(name.as_bytes())
                    .then(|| value.trim_ascii())
            })
    }

    /// Part of the bytes that lives on by itself, for what must be kept after the head is gone.
    pub(crate) fn share(&self, part: &[u8]) -> Bytes {
        if part.is_empty() {
            return Bytes::new();
        }
        self.bytes.slice_ref(part)
    }

    /// A copy that does not keep the bytes read with it in memory.
    #[cfg(feature = "tokio")]
    pub(crate) fn detached(&self) -> Head {
        Head {
            bytes: Bytes::copy_from_slice(&self.bytes),
            fields: self.fields,
        }
    }
}

fn uris(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b' ')
        .filter(|uri| !uri.is_empty())
}

/// A slice of the head by its offsets; both 0 stands for absence, since the start line is there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) => Span { start, end },
            _ => Span::default(),
        }
    }

    fn is_absent(self) -> bool {
        self.end == 0
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }

    fn value(self, bytes: &[u8]) -> Option<&[u8]> {
        (!self.is_absent()).then(|| self.of(bytes))
    }
}

/// What has been read of a head, without its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    start: Start,
    pub(super) transaction_id: Span,
    method: Span,
    to_path: Span,
    from_path: Span,
    message_id: Span,
    content_type: Span,
    byte_range: Option<ByteRange>,
    status: Option<u16>,
    success_report: bool,
    failure_report: FailureReport,
    fault: Option<HeadFault>,
    pub(super) has_body: bool,
}

impl Fields {
    /// Reads a start line without its CRLF; `None` if it is not one of MSRP.
    pub(super) fn from_start_line(line: &[u8]) -> Option<Fields> {
        const PREFIX: usize = 5;
        const LONGEST_ID: usize = 128;
        let rest = line.strip_prefix(b"MSRP ")?;
        let space = memchr::memchr(b' ', rest)?;
        let (id, method) = rest.split_at_checked(space)?;
        let method = method.strip_prefix(b" ")?;
        let id_end = PREFIX.saturating_add(space);
        let id_is_usable = (1..=LONGEST_ID).contains(&id.len()) && is_graphic(id);
        if !id_is_usable {
            return None;
        }
        Some(Fields {
            start: start(method)?,
            transaction_id: Span::new(PREFIX, id_end),
            method: Span::new(id_end.saturating_add(1), line.len()),
            to_path: Span::default(),
            from_path: Span::default(),
            message_id: Span::default(),
            content_type: Span::default(),
            byte_range: None,
            status: None,
            success_report: false,
            failure_report: FailureReport::Yes,
            fault: None,
            has_body: false,
        })
    }

    pub(super) fn start(&self) -> Start {
        self.start
    }

    /// Reads a header line without its CRLF that begins at `offset` of the head.
    pub(super) fn read_header(&mut self, line: &[u8], offset: usize) {
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b't') => {
                if let Some((value, span)) = named(b"To-Path", line, offset) {
                    return set(&mut self.to_path, span, is_text(value), &mut self.fault);
                }
            }
            Some(b'f') => {
                if let Some((value, span)) = named(b"From-Path", line, offset) {
                    return set(&mut self.from_path, span, is_text(value), &mut self.fault);
                }
                if let Some((value, _)) = named(b"Failure-Report", line, offset) {
                    match failure_report(value) {
                        Some(wish) => self.failure_report = wish,
                        None => self.fault = Some(HeadFault::MalformedValue),
                    }
                    return;
                }
            }
            Some(b'm') => {
                if let Some((value, span)) = named(b"Message-ID", line, offset) {
                    let is_good = !value.is_empty() && is_graphic(value);
                    return set(&mut self.message_id, span, is_good, &mut self.fault);
                }
            }
            Some(b'b') => {
                if let Some((value, _)) = named(b"Byte-Range", line, offset) {
                    match (ByteRange::parse(value), self.byte_range) {
                        (Some(range), None) => self.byte_range = Some(range),
                        (_, Some(_)) => self.fault = Some(HeadFault::RepeatedHeader),
                        (None, _) => self.fault = Some(HeadFault::MalformedValue),
                    }
                    return;
                }
            }
            Some(b's') => {
                if let Some((value, _)) = named(b"Success-Report", line, offset) {
                    match value {
                        b"yes" => self.success_report = true,
                        b"no" => self.success_report = false,
                        _ => self.fault = Some(HeadFault::MalformedValue),
                    }
                    return;
                }
                if let Some((value, _)) = named(b"Status", line, offset) {
                    self.status = status(value);
                    return;
                }
            }
            Some(b'c') => {
                if let Some((value, span)) = named(b"Content-Type", line, offset) {
                    let is_good = is_text(value);
                    return set(&mut self.content_type, span, is_good, &mut self.fault);
                }
            }
            _ => {}
        }
        if !is_header(line) {
            self.fault = Some(HeadFault::MalformedHeader);
        }
    }
}

fn set(slot: &mut Span, span: Span, is_good: bool, fault: &mut Option<HeadFault>) {
    if !is_good {
        *fault = Some(HeadFault::MalformedValue);
    } else if !slot.is_absent() {
        *fault = Some(HeadFault::RepeatedHeader);
    } else {
        *slot = span;
    }
}

/// The value of the line if it is the header of that name, and where it stands.
#[inline]
fn named<'a, const LENGTH: usize>(
    name: &[u8; LENGTH],
    line: &'a [u8],
    offset: usize,
) -> Option<(&'a [u8], Span)> {
    let (found, rest) = line.split_first_chunk::<LENGTH>()?;
    let rest = rest.strip_prefix(b":")?;
    if found != name && !found.eq_ignore_ascii_case(name) {
        return None;
    }
    let value = rest.trim_ascii_start();
    let before = line.len().saturating_sub(value.len());
    let start = offset.saturating_add(before);
    let value = value.trim_ascii_end();
    Some((value, Span::new(start, start.saturating_add(value.len()))))
}

/// Printable and no blank. Without a short cut, so that it is done many bytes at a time.
fn is_graphic(value: &[u8]) -> bool {
    let graphic = |all: bool, byte: &u8| all & byte.is_ascii_graphic();
    value.iter().fold(true, graphic)
}

/// Not empty and without control characters, so that it can be written in a header again.
fn is_text(value: &[u8]) -> bool {
    const STEP: usize = 16;
    let (steps, _) = value.as_chunks::<STEP>();
    // The last step overlaps the one before it, so that no byte is left to be looked at by itself.
    let controls = match value.last_chunk::<STEP>() {
        Some(last) => steps.iter().fold(controls_in(last), |controls, step| {
            controls | controls_in(step)
        }),
        None => controls_in(value),
    };
    !value.is_empty() && controls == 0
}

/// Not 0 if there is a control character but tabs. Without a short cut, so that it is done many bytes at a time.
#[inline]
fn controls_in(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |controls, byte| {
        let is_control = u8::from(*byte < b' ') & u8::from(*byte != b'\t');
        controls | is_control | u8::from(*byte == 0x7f)
    })
}

fn is_header(line: &[u8]) -> bool {
    memchr::memchr(b':', line).is_some_and(|colon| {
        let name = line.get(..colon).unwrap_or_default();
        name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(u8::is_ascii_graphic)
    })
}

fn start(method: &[u8]) -> Option<Start> {
    match method {
        b"SEND" => Some(Start::Request(Method::Send)),
        b"REPORT" => Some(Start::Request(Method::Report)),
        b"NICKNAME" => Some(Start::Request(Method::Nickname)),
        _ if method.first().is_some_and(u8::is_ascii_digit) => {
            let (code, comment) = method.split_at_checked(3)?;
            let comment_is_apart = comment.first().is_none_or(|byte| *byte == b' ');
            if !comment_is_apart {
                return None;
            }
            Some(Start::Response(three_digits(code)?))
        }
        _ if !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) => {
            Some(Start::Request(Method::Other))
        }
        _ => None,
    }
}

fn failure_report(value: &[u8]) -> Option<FailureReport> {
    match value {
        b"yes" => Some(FailureReport::Yes),
        b"partial" => Some(FailureReport::Partial),
        b"no" => Some(FailureReport::No),
        _ => None,
    }
}

fn status(value: &[u8]) -> Option<u16> {
    let mut words = value
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    words.next().filter(|namespace| *namespace == b"000")?;
    three_digits(words.next()?)
}

fn three_digits(digits: &[u8]) -> Option<u16> {
    let [a, b, c] = digits else { return None };
    [a, b, c].into_iter().try_fold(0u16, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u16::from(digit))
    })
}
