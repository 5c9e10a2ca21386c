//! Messages: requests and responses.

mod body;
mod encode;
mod getters;
mod limits;
mod method;
mod parse;
mod status;
mod transport;
mod validate;

pub(crate) use body::{BodyFault, check as check_body};
pub use body::{Handling, MultipartError, Part};
pub use limits::MessageLimits;
pub use method::{Method, UnknownMethod};
pub use parse::{Fault, ParseError};
pub(crate) use parse::{Section, find_section_end};
pub use status::{Class, Status};
pub use transport::Transport;

use bytes::Bytes;

use crate::header::{Headers, Name};
use crate::text::Text;
use crate::uri::Uri;

/// A request or a response.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every message is a request, and a message is taken apart where it arrives"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request. RFC 3261 §7.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// A response. RFC 3261 §7.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The reason phrase, for people only; may be empty.
    pub reason: Text,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Request {
    /// A request without fields and body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Request {
            method,
            uri,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// The same with one more field.
    pub fn with_header(mut self, name: Name, value: impl Into<Text>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The same with this body and its Content-Type.
    pub fn with_body(mut self, content_type: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        self.headers.set(Name::ContentType, content_type);
        self.body = body.into();
        self
    }
}

impl Response {
    /// A response to `request` with the usual reason phrase: every Via, From, To, Call-ID and CSeq are the request's. A To tag
    /// is not added. RFC 3261 §8.2.6.2.
    pub fn to_request(request: &Request, status: Status) -> Self {
        Self::to_headers(&request.headers, status)
    }

    /// A response to a request of which only the fields are known.
    pub(crate) fn to_headers(request: &Headers, status: Status) -> Self {
        let mut headers = Headers::with_capacity(8);
        for (name, value) in request.iter() {
            if matches!(
                name,
                Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq
            ) {
                headers.push_again(name, value);
            }
        }
        Response {
            status,
            reason: Text::from_static(status.reason()),
            headers,
            body: Bytes::new(),
        }
    }

    /// The same with another reason phrase.
    pub fn with_reason(mut self, reason: impl Into<Text>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same with one more field.
    pub fn with_header(mut self, name: Name, value: impl Into<Text>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The same with this body and its Content-Type.
    pub fn with_body(mut self, content_type: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        self.headers.set(Name::ContentType, content_type);
        self.body = body.into();
        self
    }
}

impl Message {
    /// The header fields of either.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// The body of either.
    pub fn body(&self) -> &Bytes {
        match self {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Message::Response(response)
    }
}
