//! From a message to bytes. RFC 3261 §7.

use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Message, Request, Response};
use crate::header::{Headers, Name};

/// What a header section usually takes.
const TYPICAL_SECTION: usize = 768;

impl Request {
    /// Appends the message as it goes on the wire; Content-Length is always there and always right.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(TYPICAL_SECTION.saturating_add(self.body.len()));
        out.put_slice(self.method.as_str().as_bytes());
        // Writing to a BytesMut fails only when it cannot grow, and it can.
        let _ = write!(out, " {} SIP/2.0\r\n", self.uri);
        encode_rest(&self.headers, &self.body, out);
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

impl Response {
    /// Appends the message as it goes on the wire; Content-Length is always there and always right.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(TYPICAL_SECTION.saturating_add(self.body.len()));
        let _ = write!(out, "SIP/2.0 {} ", self.status.code());
        for part in self.reason.split(['\r', '\n']) {
            out.put_slice(part.as_bytes());
        }
        out.put_slice(b"\r\n");
        encode_rest(&self.headers, &self.body, out);
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
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

fn encode_rest(headers: &Headers, body: &Bytes, out: &mut BytesMut) {
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| **name != Name::ContentLength)
    {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    let _ = write!(out, "{}: {}\r\n\r\n", Name::ContentLength, body.len());
    out.put_slice(body);
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
