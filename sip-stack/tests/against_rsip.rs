//! The parser beside that of `rsip`, on the messages that it handles: plain header lines in their long form, users without
//! dots, names as hosts (SIP-02).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use stox_sip::{Headers, Message, Method, Name};

proptest! {
    #[test]
    fn requests_are_read_alike(
        method in select(rsip::Method::all()),
        uri in uri(),
        fields in fields(),
        body in "[ -~\r\n]{0,40}",
    ) {
        let text = format!("{method} {uri} SIP/2.0\r\n{}Content-Length: {}\r\n\r\n{body}", fields.replace("METHOD", &method.to_string()), body.len());
        let Ok(Message::Request(ours)) = Message::parse_datagram(Bytes::from(text.clone())) else { panic!("{text}") };
        let theirs = rsip::Request::try_from(text.as_bytes()).unwrap();
        prop_assert_eq!(&ours.method, &Method::from(theirs.method));
        prop_assert_eq!(ours.uri.to_string(), theirs.uri.to_string());
        prop_assert_eq!(ours.uri.user(), theirs.uri.auth.as_ref().map(|auth| auth.user.as_str()));
        prop_assert_eq!(ours.uri.port(), theirs.uri.port().map(|port| *port.value()));
        prop_assert_eq!(lines(&ours.headers), their_lines(&theirs.headers));
        prop_assert_eq!(&ours.body[..], &theirs.body[..]);
        typed(&ours.headers, &theirs)?;
    }

    #[test]
    fn responses_are_read_alike(code in 100..700_u16, reason in "[A-Z][a-z]{0,10}", fields in fields()) {
        let text = format!("SIP/2.0 {code} {reason}\r\n{}Content-Length: 0\r\n\r\n", fields.replace("METHOD", "INVITE"));
        let Ok(Message::Response(ours)) = Message::parse_datagram(Bytes::from(text.clone())) else { panic!("{text}") };
        let theirs = rsip::Response::try_from(text.as_bytes()).unwrap();
        prop_assert_eq!(ours.status.code(), theirs.status_code.code());
        prop_assert_eq!(lines(&ours.headers), their_lines(&theirs.headers));
        typed(&ours.headers, &theirs)?;
    }
}

/// The typed values that both have.
fn typed(ours: &Headers, theirs: &impl rsip::prelude::HeadersExt) -> Result<(), TestCaseError> {
    use rsip::prelude::{ToTypedHeader, UntypedHeader};

    let via = ours.top_via().unwrap();
    let their_via = theirs.via_header().unwrap().typed().unwrap();
    prop_assert_eq!(
        via.branch(),
        their_via.branch().map(|branch| branch.value())
    );
    prop_assert_eq!(via.transport.to_string(), their_via.transport.to_string());
    prop_assert_eq!(via.port, their_via.uri.port().map(|port| *port.value()));

    let from = ours.from().unwrap();
    let their_from = theirs.from_header().unwrap().typed().unwrap();
    prop_assert_eq!(from.tag(), their_from.tag().map(|tag| tag.value()));
    prop_assert_eq!(from.uri.to_string(), their_from.uri.to_string());

    let cseq = ours.cseq().unwrap();
    let their_cseq = theirs.cseq_header().unwrap().typed().unwrap();
    prop_assert_eq!(cseq.number, their_cseq.seq);
    prop_assert_eq!(cseq.method, Method::from(their_cseq.method));

    prop_assert_eq!(
        ours.call_id().unwrap(),
        theirs.call_id_header().unwrap().value()
    );
    Ok(())
}

fn lines(headers: &Headers) -> Vec<String> {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

fn their_lines(headers: &rsip::Headers) -> Vec<String> {
    let content_length = format!("{}:", Name::ContentLength);
    headers
        .iter()
        .map(ToString::to_string)
        .filter(|line| !line.starts_with(&content_length))
        .collect()
}

fn uri() -> impl Strategy<Value = String> {
    (
        "[a-z][a-z0-9]{0,8}",
        host(),
        option::of(1..u16::MAX),
        select(vec!["", ";transport=TCP", ";lr", ";user=phone"]),
    )
        .prop_map(|(user, host, port, param)| {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("sip:{user}@{host}{port}{param}")
        })
}

fn host() -> impl Strategy<Value = String> {
    "[a-z]{1,8}\\.(example|test)"
}

/// A header section for the method `METHOD`.
fn fields() -> impl Strategy<Value = String> {
    let via = (
        select(vec!["UDP", "TCP", "TLS"]),
        host(),
        option::of(1..u16::MAX),
        "[a-zA-Z0-9]{1,10}",
    );
    let name = select(vec!["Subject", "User-Agent", "Supported", "X-Other"]);
    let others = vec((name, "[a-z][a-z0-9 ,/]{0,20}[a-z]"), 0..4);
    let numbers = ("[a-z0-9]{1,8}", "[a-zA-Z0-9@.-]{1,20}", 0..1_u32 << 31);
    (via, uri(), uri(), numbers, others).prop_map(|(via, from, to, numbers, others)| {
        let (transport, host, port, branch) = via;
        let (tag, call_id, number) = numbers;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut text = format!(
            "Via: SIP/2.0/{transport} {host}{port};branch=z9hG4bK{branch}\r\nFrom: <{from}>;tag={tag}\r\nTo: <{to}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} METHOD\r\n"
        );
        for (name, value) in &others {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text
    })
}
