use super::*;

const FIELDS: &str = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1@a\r\n";

fn parse(text: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    Message::parse_datagram(Bytes::copy_from_slice(text.as_ref()))
}

fn message(fields: &str, body: &str) -> String {
    format!("MESSAGE sip:c@d SIP/2.0\r\n{FIELDS}CSeq: 1 MESSAGE\r\n{fields}\r\n{body}")
}

fn fault(text: impl AsRef<[u8]>) -> (Fault, Option<u16>) {
    let error = parse(text).expect_err("a fault");
    let status = error.response().map(|response| response.status.code());
    (error.fault().clone(), status)
}

#[test]
fn body_and_values_are_pieces_of_the_datagram_and_its_text() {
    let datagram = Bytes::from(message("Content-Length: 5\r\n", "hello"));
    let message = Message::parse_datagram(datagram.clone()).unwrap();
    assert_eq!(message.body(), "hello");
    assert_eq!(
        message.body().as_ptr(),
        datagram[datagram.len() - 5..].as_ptr()
    );
    let call_id = message.call_id().unwrap();
    let cseq = message.headers().first(&Name::CSeq).unwrap();
    assert_eq!(
        cseq.as_ptr() as usize - call_id.as_ptr() as usize,
        "1@a\r\nCSeq: ".len()
    );
}

/// SIP-01
#[test]
fn content_length_cuts_the_body_of_a_datagram() {
    assert_eq!(parse(message("l: 2\r\n", "hello")).unwrap().body(), "he");
    assert_eq!(parse(message("", "hello")).unwrap().body(), "hello");
    assert_eq!(
        fault(message("l: 6\r\n", "hello")),
        (Fault::Truncated, Some(400))
    );
    let too_large = HeaderError::Malformed(Name::ContentLength).into();
    assert_eq!(
        fault(message("l: 99999999999999999999\r\n", "hello")),
        (too_large, Some(400))
    );
    let repeated = HeaderError::Repeated(Name::ContentLength).into();
    assert_eq!(
        fault(message("l: 5\r\nContent-Length: 5\r\n", "hello")),
        (repeated, Some(400))
    );
}

#[test]
fn line_ends_and_a_missing_last_one_are_tolerated() {
    let crlf = parse(message("Subject: x\r\n", "")).unwrap();
    assert_eq!(
        parse(message("Subject: x\r\n", "").replace('\r', "")).unwrap(),
        crlf
    );
    assert_eq!(
        parse(format!("\r\n\r\n{}", message("Subject: x\r\n", ""))).unwrap(),
        crlf
    );
    assert_eq!(parse(message("Subject: x", "").trim_end()).unwrap(), crlf);
}

#[test]
fn bytes_that_are_not_utf8_spoil_one_value_only() {
    let mut bytes = message("Subject: caf", "").into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"\xe9\r\nX: caf\xc3\xa9\r\n\r\n\xff");
    let message = parse(bytes).unwrap();
    assert_eq!(message.headers().first(&Name::Subject), Some("caf\u{fffd}"));
    assert_eq!(
        message.headers().first(&Name::parse("X").unwrap()),
        Some("caf\u{e9}")
    );
    assert_eq!(message.body(), &b"\xff"[..]);
}

#[test]
fn folded_values_are_one_line() {
    let message = parse(message(
        "Subject: a\r\n \t b\r\n\t\r\n  c\r\nX: \r\n y\r\n",
        "",
    ))
    .unwrap();
    assert_eq!(message.headers().first(&Name::Subject), Some("a b c"));
    assert_eq!(
        message.headers().first(&Name::parse("X").unwrap()),
        Some("y")
    );
}

/// SIP-02
#[test]
fn faults_and_their_answers() {
    let rest = format!("{FIELDS}CSeq: 1 MESSAGE\r\n\r\n");
    assert_eq!(fault(""), (Fault::KeepAlive, None));
    assert_eq!(fault("\r\n\r\n"), (Fault::KeepAlive, None));
    assert_eq!(fault([0_u8; 4]), (Fault::KeepAlive, None));
    assert_eq!(
        fault("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (Fault::NotSip, None)
    );
    assert_eq!(
        fault(format!("MESSAGE sip:c@d SIP/3.0\r\n{rest}")),
        (Fault::Version, Some(505))
    );
    assert_eq!(
        fault(format!("MESS\\AGE sip:c@d SIP/2.0\r\n{rest}")),
        (Fault::Method, None)
    );
    assert_eq!(
        fault(format!("MESSAGE c@d SIP/2.0\r\n{rest}")),
        (Fault::RequestUri(UriError::Scheme), Some(400))
    );
    assert_eq!(
        fault(format!("SIP/2.0 99 x\r\n{rest}")),
        (Fault::Status, None)
    );
    assert_eq!(
        fault(format!("SIP/2.0 0200 x\r\n{rest}")),
        (Fault::Status, None)
    );
    assert_eq!(fault(message("no colon\r\n", "")), (Fault::Line, Some(400)));
    assert_eq!(
        fault(message("bad name: x\r\n", "")),
        (Fault::Line, Some(400))
    );
    assert_eq!(
        fault(message("X: y\r\n", "").replace("Via", "X")),
        (HeaderError::Missing(Name::Via).into(), None)
    );
    assert_eq!(
        fault(message(&"X: y\r\n".repeat(600), "")),
        (Fault::TooManyFields, Some(513))
    );
    assert_eq!(
        fault(message("Contact: <\r\n", "")),
        (HeaderError::Malformed(Name::Contact).into(), Some(400))
    );
    let ack = message("no colon\r\n", "").replace("MESSAGE", "ACK");
    assert_eq!(fault(ack), (Fault::Line, None));
}

#[test]
fn a_refusal_says_why_and_copies_what_it_must() {
    let error = parse(message("l: x\r\nSubject: y\r\n", "")).unwrap_err();
    assert_eq!(error.method(), Some(&Method::Message));
    let expected = format!(
        "SIP/2.0 400 malformed Content-Length\r\n{FIELDS}CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(error.response().unwrap().to_bytes(), expected);
}

/// SIP-02; what RFC 5118 is about.
#[test]
fn ipv6_in_all_places() {
    let text = message("Contact: \"C\" <sip:c@[2001:db8::1]>\r\n", "")
        .replace("sip:c@d", "sip:[2001:db8::10]:5070")
        .replace(
            "UDP a;",
            "UDP [2001:db8::9:1]:5060;received=2001:db8::9:255;",
        );
    let Ok(Message::Request(request)) = parse(&text) else {
        panic!("not read")
    };
    assert_eq!(
        (
            request.uri.host().and_then(|host| host.ip()),
            request.uri.port()
        ),
        ("2001:db8::10".parse().ok(), Some(5070))
    );
    let via = request.top_via().unwrap();
    assert_eq!(
        (via.host.ip(), via.port, via.received()),
        (
            "2001:db8::9:1".parse().ok(),
            Some(5060),
            "2001:db8::9:255".parse().ok()
        )
    );
    let unbracketed = text.replace("sip:[2001:db8::10]:5070", "sip:2001:db8::10");
    assert_eq!(
        fault(unbracketed),
        (Fault::RequestUri(UriError::Host), Some(400))
    );
    let colons = text.replace("[2001:db8::1]", "[2001:db8:::1]");
    assert_eq!(
        fault(colons),
        (HeaderError::Malformed(Name::Contact).into(), Some(400))
    );
}

#[test]
fn the_end_of_the_section_is_found_wherever_the_search_resumes() {
    for text in ["ab\r\n\r\nx", "ab\n\nx", "ab\n\r\nx"] {
        let bytes = text.as_bytes();
        let end = Some(bytes.len() - 1);
        for from in 0..bytes.len() - 1 {
            assert_eq!(find_section_end(&bytes[..from], 0), None, "{text:?}");
            assert_eq!(find_section_end(bytes, from), end, "{text:?} from {from}");
        }
    }
}
