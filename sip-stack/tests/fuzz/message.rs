//! Bytes as a datagram: what can be read can be written and is the same again, what cannot be read is refused in one
//! message.

use bytes::Bytes;
use stox_sip::{HeaderError, Message, Method, Name, Request, Response, Status};

use super::values;

/// The bytes as a peer sends them (SIP-01, SIP-02).
pub fn run(data: &[u8]) {
    match Message::parse_datagram(Bytes::copy_from_slice(data)) {
        Ok(message) => {
            look_at(&message);
            let written = message.to_bytes();
            assert_eq!(Message::parse_datagram(written), Ok(message));
        }
        Err(error) => {
            let Some(response) = error.response() else {
                return;
            };
            assert!(response.status.code() >= 400);
            assert_ne!(error.method(), Some(&Method::Ack));
            assert!(response.top_via().is_ok());
            let written = response.to_bytes();
            let lines = written.split(|byte| *byte == b'\n').count();
            assert_eq!(lines, response.headers.len() + 4, "a line of its own");
        }
    }
}

/// Everything that is needed of every message is there, and what may be there can be looked at.
pub fn look_at(message: &Message) {
    assert!(message.from().is_ok() && message.to().is_ok());
    assert!(message.call_id().is_ok_and(|call_id| !call_id.is_empty()));
    assert!(message.vias().is_ok_and(|vias| !vias.is_empty()));
    let cseq = message.cseq().expect("CSeq");
    assert!(cseq.number < 1 << 31);
    values::look_at(message.headers());
    match message {
        Message::Request(request) => look_at_request(request),
        Message::Response(response) => assert!((100..700).contains(&response.status.code())),
    }
}

fn look_at_request(request: &Request) {
    assert_eq!(
        request.cseq().map(|cseq| cseq.method),
        Ok(request.method.clone())
    );
    assert_eq!(request.uri.headers().count(), 0);
    values::look_at_uri(&request.uri);
    look_at_parts(request);
    let response = Response::to_request(request, Status::OK);
    assert_eq!(
        Message::parse_datagram(response.to_bytes()),
        Ok(Message::Response(response))
    );
    // What is replaced by us is ours alone.
    let mut headers = request.headers.clone();
    let vias = headers.all(&Name::Via).count();
    let mut via = request.top_via().expect("Via");
    via.params.set("received", Some("192.0.2.1"));
    headers.set_top_via(&via);
    assert_eq!(headers.all(&Name::Via).count(), vias);
    assert_eq!(headers.top_via(), Ok(via));
    headers.remove(&Name::To);
    assert_eq!(headers.to(), Err(HeaderError::Missing(Name::To)));
}

/// Parts lie within the body, and are no more than there is room for (SIP-19).
fn look_at_parts(request: &Request) {
    let Ok(parts) = request.parts() else {
        assert!(!request.body.is_empty());
        return;
    };
    assert!(parts.len() <= 64);
    assert!(parts.iter().map(|part| part.body.len()).sum::<usize>() <= request.body.len());
    for part in parts {
        let media_type = part.content_type().value;
        assert!(request.part(&media_type).is_some(), "{media_type}");
    }
}
