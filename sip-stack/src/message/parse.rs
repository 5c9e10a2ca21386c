//! From bytes to a message. RFC 3261 §7, §25.
//!
//! The header section is copied once, as text; every value is a piece of that text. The body is a piece of the datagram.

use bytes::Bytes;

use super::{Message, MessageLimits, Method, Request, Response, Status, validate};
use crate::grammar;
use crate::header::{HeaderError, Headers, Name, one_line};
use crate::text::Text;
use crate::uri::{Uri, UriError};

/// How many fields one part of a body may have; further ones are not read.
const MOST_FIELDS_OF_PART: usize = 64;

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line ends: a keep-alive, no message at all. RFC 5626 §3.5.1.
    #[error("nothing but line ends")]
    KeepAlive,
    /// The first line is neither that of a request nor that of a response: another protocol, or noise.
    #[error("not SIP")]
    NotSip,
    /// Another version than SIP/2.0.
    #[error("unknown SIP version")]
    Version,
    /// The method is no token.
    #[error("malformed method")]
    Method,
    /// The Request-URI cannot be read.
    #[error("malformed Request-URI: {0}")]
    RequestUri(UriError),
    /// The Request-URI has headers (`?name=value`), which it must not. RFC 3261 §19.1.1, Table 1.
    #[error("Request-URI with headers")]
    RequestUriHeaders,
    /// The status code of a response is not 100 to 699.
    #[error("status code out of range")]
    Status,
    /// A line of the header section is no field: no colon, or no token before it.
    #[error("malformed header line")]
    Line,
    /// More header fields than the receiver allows.
    #[error("too many header fields")]
    TooManyFields,
    /// A header field that every message needs is missing, malformed or there twice.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The method in CSeq is not that of the request.
    #[error("CSeq method does not match")]
    MethodMismatch,
    /// The body is shorter than its Content-Length says.
    #[error("body shorter than Content-Length")]
    Truncated,
    /// The header section is longer than the receiver allows.
    #[error("header section too large")]
    HeadTooLarge,
    /// The body is longer than the receiver allows.
    #[error("body too large")]
    BodyTooLarge,
    /// The datagram is longer than the receiver allows.
    #[error("datagram too large")]
    DatagramTooLarge,
}

impl Fault {
    /// With what a request that has this fault is to be answered.
    pub fn status(&self) -> Status {
        match self {
            Fault::Version => Status::VERSION_NOT_SUPPORTED,
            Fault::HeadTooLarge | Fault::TooManyFields | Fault::DatagramTooLarge => {
                Status::MESSAGE_TOO_LARGE
            }
            Fault::BodyTooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            Fault::KeepAlive
            | Fault::NotSip
            | Fault::Method
            | Fault::RequestUri(_)
            | Fault::RequestUriHeaders
            | Fault::Status
            | Fault::Line
            | Fault::Header(_)
            | Fault::MethodMismatch
            | Fault::Truncated => Status::BAD_REQUEST,
        }
    }
}

/// What was received is no message that can be used; of a request enough is kept to answer it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct ParseError {
    fault: Fault,
    readable: Option<Box<Readable>>,
}

/// What could be read of a malformed request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Readable {
    method: Method,
    headers: Headers,
}

impl ParseError {
    /// A fault of something that cannot be answered.
    pub(crate) fn unanswerable(fault: Fault) -> Self {
        ParseError {
            fault,
            readable: None,
        }
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The method, if it was a request.
    pub fn method(&self) -> Option<&Method> {
        self.readable.as_ref().map(|readable| &readable.method)
    }

    /// The header fields that could be read, if it was a request.
    pub fn headers(&self) -> Option<&Headers> {
        self.readable.as_ref().map(|readable| &readable.headers)
    }

    /// The response to be sent. `None` if there must be none (the message was a response, an ACK, no SIP at all) or there
    /// can be none because no Via says where it should go. RFC 3261 §8.2.6, §16.3.
    pub fn response(&self) -> Option<Response> {
        let readable = self
            .readable
            .as_ref()
            .filter(|readable| readable.method != Method::Ack)?;
        readable.headers.top_via().ok()?;
        let status = self.fault.status();
        let response = Response::to_headers(&readable.headers, status);
        Some(match status {
            Status::BAD_REQUEST => response.with_reason(self.fault.to_string()),
            _ => response,
        })
    }
}

impl Message {
    /// Reads a message that is alone in a datagram. Line ends before it and bytes after the end of its body are left out.
    /// What is returned has all fields that every message needs, once and readable. RFC 3261 §18.3.
    pub fn parse_datagram(datagram: Bytes) -> Result<Message, ParseError> {
        Self::parse_datagram_within(datagram, &MessageLimits::default())
    }

    /// The same with limits other than the default ones.
    pub fn parse_datagram_within(
        datagram: Bytes,
        limits: &MessageLimits,
    ) -> Result<Message, ParseError> {
        parse_whole(&datagram, limits, |body| datagram.slice_ref(body))
    }

    /// The same of a datagram that stays where it is: nothing but its body is copied.
    #[cfg(feature = "tokio")]
    pub(crate) fn parse_borrowed(
        datagram: &[u8],
        limits: &MessageLimits,
    ) -> Result<Message, ParseError> {
        parse_whole(datagram, limits, Bytes::copy_from_slice)
    }
}

fn parse_whole(
    datagram: &[u8],
    limits: &MessageLimits,
    body: impl FnOnce(&[u8]) -> Bytes,
) -> Result<Message, ParseError> {
    let start = datagram
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let message = datagram.get(start..).unwrap_or_default();
    // A keep-alive of a NAT is a few zero bytes, or line ends.
    if message.iter().all(|byte| *byte == 0) {
        return Err(ParseError::unanswerable(Fault::KeepAlive));
    }
    let end = find_section_end(message, 0).unwrap_or(message.len());
    if end > limits.head {
        let section = Section::parse_beginning(message, limits);
        return Err(section.into_error(Fault::HeadTooLarge));
    }
    let (head, rest) = message.split_at_checked(end).unwrap_or((message, &[]));
    let section = Section::parse(head, limits.fields);
    if datagram.len() > limits.datagram {
        return Err(section.into_error(Fault::DatagramTooLarge));
    }
    let length = section.content_length.unwrap_or(rest.len());
    if length > limits.body {
        return Err(section.into_error(Fault::BodyTooLarge));
    }
    match rest.get(..length) {
        Some(rest) => section.finish(body(rest)),
        None => Err(section.into_error(Fault::Truncated)),
    }
}

/// Where the header section ends: behind its empty line. `from` is where to go on looking, at most the place where the
/// search in a shorter text ended.
pub(crate) fn find_section_end(bytes: &[u8], from: usize) -> Option<usize> {
    // A line end that was found before may have become the first half of an empty line.
    let from = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| {
        let after = from.checked_add(at)?.checked_add(1)?;
        match bytes.get(after..)? {
            [b'\n', ..] => after.checked_add(1),
            [b'\r', b'\n', ..] => after.checked_add(2),
            _ => None,
        }
    })
}

/// The start line and the header fields, read as far as they could be.
#[derive(Debug)]
pub(crate) struct Section {
    start: Start,
    headers: Headers,
    /// `None` if there is none, or none that could be used; then there is a fault.
    pub(crate) content_length: Option<usize>,
    /// The first thing that was wrong.
    fault: Option<Fault>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on its way into a request"
)]
#[derive(Debug)]
enum Start {
    Request(Method, Option<Uri>),
    Response(Option<Status>, Text),
    Unreadable,
}

impl Section {
    /// Reads the bytes up to the body, and of them so many fields.
    pub(crate) fn parse(bytes: &[u8], fields: usize) -> Section {
        // Bytes that are not UTF-8 spoil the value they are in, not the message.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Text::from(text),
            Err(_) => Text::from(String::from_utf8_lossy(bytes).as_ref()),
        };
        let mut section = Section {
            start: Start::Unreadable,
            headers: Headers::with_capacity(16),
            content_length: None,
            fault: None,
        };
        let mut lines = LogicalLines { rest: &text };
        section.start_line(&text, lines.next_physical().unwrap_or_default());
        let mut has_content_length = false;
        for line in lines {
            if line.is_empty() {
                break;
            }
            if section.headers.len() >= fields {
                section.wrong(Fault::TooManyFields);
                break;
            }
            let Some((name, value)) = field(&text, line) else {
                section.wrong(Fault::Line);
                continue;
            };
            if name == Name::ContentLength {
                let repeated = std::mem::replace(&mut has_content_length, true);
                section.read_content_length(value, repeated);
            } else if memchr::memchr(b'\n', line.as_bytes()).is_some() {
                section.headers.push(name, unfold(value));
            } else {
                section.headers.push_line(name, &text, value);
            }
        }
        section
    }

    /// Reads of a head that is too large what is within the limits, so that the request can be answered.
    pub(crate) fn parse_beginning(bytes: &[u8], limits: &MessageLimits) -> Section {
        let head = bytes.get(..limits.head).unwrap_or(bytes);
        let whole_lines = memchr::memrchr(b'\n', head)
            .and_then(|at| head.get(..at))
            .unwrap_or_default();
        Self::parse(whole_lines, limits.fields)
    }

    fn wrong(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn read_content_length(&mut self, value: &str, repeated: bool) {
        self.content_length = grammar::decimal(grammar::trim(value)).filter(|_| !repeated);
        if repeated {
            self.wrong(HeaderError::Repeated(Name::ContentLength).into());
        } else if self.content_length.is_none() {
            self.wrong(HeaderError::Malformed(Name::ContentLength).into());
        }
    }

    fn start_line(&mut self, source: &Text, line: &str) {
        let line = grammar::trim(line);
        match line.get(..4) {
            Some(start) if start.eq_ignore_ascii_case("SIP/") => self.status_line(source, line),
            _ => self.request_line(source, line),
        }
    }

    /// `SIP/2.0 code reason`.
    fn status_line(&mut self, source: &Text, line: &str) {
        let (version, rest) = grammar::split_at_space(line).unwrap_or((line, ""));
        let rest = grammar::trim_start(rest);
        let (code, reason) = grammar::split_at_space(rest).unwrap_or((rest, ""));
        let status = Some(code)
            .filter(|code| code.len() == 3)
            .and_then(grammar::decimal)
            .and_then(Status::new);
        if !is_version(version) {
            self.wrong(Fault::Version);
        } else if status.is_none() {
            self.wrong(Fault::Status);
        }
        self.start = Start::Response(status, one_line(source.cut(reason)));
    }

    /// `method uri SIP/2.0`.
    fn request_line(&mut self, source: &Text, line: &str) {
        let Some((method, rest)) = grammar::split_at_space(line) else {
            return self.wrong(Fault::NotSip);
        };
        let last_space = memchr::memrchr2(b' ', b'\t', rest.as_bytes());
        let Some((uri, version)) = last_space.and_then(|at| rest.split_at_checked(at)) else {
            return self.wrong(Fault::NotSip);
        };
        let version = version.get(1..).unwrap_or_default();
        if !version
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
        {
            return self.wrong(Fault::NotSip);
        }
        let Some(method) = Method::parse(method) else {
            return self.wrong(Fault::Method);
        };
        if !is_version(version) {
            self.wrong(Fault::Version);
        }
        let uri = match Uri::cut(source, grammar::trim(uri)) {
            Ok(uri) => {
                if uri.headers().next().is_some() {
                    self.wrong(Fault::RequestUriHeaders);
                }
                Some(uri)
            }
            Err(error) => {
                self.wrong(Fault::RequestUri(error));
                None
            }
        };
        self.start = Start::Request(method, uri);
    }

    /// Whether this is not SIP at all, so that nothing behind it can be trusted either.
    pub(crate) fn is_noise(&self) -> bool {
        matches!(self.start, Start::Unreadable)
    }

    /// The message with this body, if all is well.
    pub(crate) fn finish(mut self, body: Bytes) -> Result<Message, ParseError> {
        if let Some(fault) = self.fault.take() {
            return Err(self.into_error(fault));
        }
        let method = match &self.start {
            Start::Request(method, _) => Some(method),
            Start::Response(..) | Start::Unreadable => None,
        };
        if let Err(fault) = validate::validate(method, &self.headers) {
            return Err(self.into_error(fault));
        }
        match self.start {
            Start::Request(method, Some(uri)) => Ok(Message::Request(Request {
                method,
                uri,
                headers: self.headers,
                body,
            })),
            Start::Response(Some(status), reason) => Ok(Message::Response(Response {
                status,
                reason,
                headers: self.headers,
                body,
            })),
            Start::Request(_, None) | Start::Response(None, _) | Start::Unreadable => {
                Err(ParseError::unanswerable(Fault::NotSip))
            }
        }
    }

    /// The error for this fault, or for an earlier one, with what is needed to answer.
    pub(crate) fn into_error(self, fault: Fault) -> ParseError {
        let fault = self.fault.unwrap_or(fault);
        let readable = match self.start {
            Start::Request(method, _) => Some(Box::new(Readable {
                method,
                headers: self.headers,
            })),
            Start::Response(..) | Start::Unreadable => None,
        };
        ParseError { fault, readable }
    }
}

fn is_version(text: &str) -> bool {
    text.eq_ignore_ascii_case("SIP/2.0")
}

/// The fields of a body part: what is none is left out, and so is what is one too many.
pub(super) fn fields_of(text: &Text) -> Headers {
    let lines = LogicalLines { rest: text };
    let fields = lines.filter_map(|line| {
        let (name, value) = field(text, line)?;
        Some((name, Text::from(unfold(value))))
    });
    fields.take(MOST_FIELDS_OF_PART).collect()
}

/// Takes a line apart at its first colon.
fn field<'a>(source: &Text, line: &'a str) -> Option<(Name, &'a str)> {
    let colon = memchr::memchr(b':', line.as_bytes())?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((Name::cut(source, grammar::trim(name))?, value.get(1..)?))
}

/// The value of a folded field on one line. RFC 3261 §7.3.1.
fn unfold(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for part in value
        .split('\n')
        .map(grammar::trim)
        .filter(|part| !part.is_empty())
    {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// Lines without their end; a line that starts with white space belongs to the one before it, with the line end between.
struct LogicalLines<'a> {
    rest: &'a str,
}

impl<'a> LogicalLines<'a> {
    /// The next line as it stands, continued or not.
    fn next_physical(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn take(&mut self, end: usize) -> Option<&'a str> {
        let line = self.rest.get(..end)?;
        self.rest = self.rest.get(end.saturating_add(1)..).unwrap_or_default();
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

impl<'a> Iterator for LogicalLines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.as_bytes();
        let end = memchr::memchr_iter(b'\n', bytes)
            .find(|at| !matches!(bytes.get(at.saturating_add(1)), Some(b' ' | b'\t')))
            .unwrap_or(bytes.len());
        self.take(end)
    }
}

#[cfg(test)]
mod tests;
