//! From a message to bytes. RFC 3261 §7.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{Message, Request, Response};
use crate::grammar;
use crate::header::{Headers, Name};
use crate::text::{Written, written_length};

/// A message as it is written. It is as large as it has to be: some are kept for half a minute.
struct Wire(Vec<u8>);

const VERSION: &str = "SIP/2.0";
const CONTENT_LENGTH: &str = "Content-Length";
/// The most digits of a length.
const DIGITS: usize = 20;

impl Request {
    /// Appends the message as it goes on the wire; Content-Length is always there and always right.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.written().0);
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        self.written().0.into()
    }

    fn written(&self) -> Wire {
        let method = self.method.as_str();
        let start_line = [method.len(), written_length(&self.uri), VERSION.len(), 4];
        let mut out = Wire::with_room(&start_line, &self.headers, &self.body);
        out.put(method);
        out.put(" ");
        // Writing to memory cannot fail.
        let _ = self.uri.write(&mut out);
        out.put(" ");
        out.put(VERSION);
        out.put("\r\n");
        out.put_rest(&self.headers, &self.body);
        out
    }
}

impl Response {
    /// Appends the message as it goes on the wire; Content-Length is always there and always right.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.written().0);
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        self.written().0.into()
    }

    fn written(&self) -> Wire {
        let start_line = [VERSION.len(), self.reason.len(), " 200 \r\n".len()];
        let mut out = Wire::with_room(&start_line, &self.headers, &self.body);
        out.put(VERSION);
        out.put(" ");
        out.put_number(self.status.code().into());
        out.put(" ");
        for part in self.reason.split(['\r', '\n']) {
            out.put(part);
        }
        out.put("\r\n");
        out.put_rest(&self.headers, &self.body);
        out
    }
}

impl Message {
    /// Appends the message as it goes on the wire; Content-Length is always there and always right.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Message::Request(request) => request.encode(out),
            Message::Response(response) => response.encode(out),
        }
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

impl Wire {
    fn with_room(start_line: &[usize], headers: &Headers, body: &Bytes) -> Self {
        let fields = written_fields(headers)
            .map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(4));
        let last_field = [CONTENT_LENGTH.len(), ": \r\n\r\n".len(), DIGITS];
        let all = start_line.iter().copied().chain(fields).chain(last_field);
        Wire(Vec::with_capacity(
            all.fold(body.len(), usize::saturating_add),
        ))
    }

    fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn put_number(&mut self, number: u64) {
        // Writing to memory cannot fail.
        let _ = grammar::write_decimal(self, number);
    }

    fn put_rest(&mut self, headers: &Headers, body: &Bytes) {
        for (name, value) in written_fields(headers) {
            self.put(name);
            self.put(": ");
            self.put(value);
            self.put("\r\n");
        }
        self.put(CONTENT_LENGTH);
        self.put(": ");
        self.put_number(body.len().try_into().unwrap_or(u64::MAX));
        self.put("\r\n\r\n");
        self.0.extend_from_slice(body);
    }
}

impl fmt::Write for Wire {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text);
        Ok(())
    }
}

/// The length is written by itself.
fn written_fields(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    headers
        .iter()
        .filter(|(name, _)| **name != Name::ContentLength)
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Method, Status};
    use crate::text::Text;
    use crate::uri::Uri;

    #[test]
    fn a_request_on_the_wire() {
        let request = Request::new(
            Method::Message,
            Uri::parse("sip:romeo@example.net").unwrap(),
        )
        .with_header(Name::Via, "SIP/2.0/UDP a;branch=z9hG4bK1")
        .with_header(Name::ContentLength, "99")
        .with_body("text/plain", &b"\x00\xff\r\n"[..]);
        assert_eq!(
            request.to_bytes(),
            &b"MESSAGE sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n"[..]
        );
    }

    /// RFC 3261 §8.2.6
    #[test]
    fn a_response_copies_what_it_must() {
        let request = Request::new(
            Method::Message,
            Uri::parse("sip:romeo@example.net").unwrap(),
        )
        .with_header(Name::Via, "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b")
        .with_header(Name::Subject, "x")
        .with_header(Name::Via, "SIP/2.0/TCP c")
        .with_header(Name::From, "<sip:a@b>;tag=1")
        .with_header(Name::To, "<sip:c@d>")
        .with_header(Name::CallId, "1@a")
        .with_header(Name::CSeq, "1 MESSAGE")
        .with_body("text/plain", "hello");
        let response = Response::to_request(&request, Status::NOT_FOUND);
        let expected = "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b\r\nVia: SIP/2.0/TCP c\r\n\
                        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1@a\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(response.to_bytes(), expected);
        let response = response.with_reason(Text::from("no\r\nInjected: x"));
        assert!(
            response
                .to_bytes()
                .starts_with(b"SIP/2.0 404 noInjected: x\r\n")
        );
    }
}
