//! What holds for every message: written and read it is the same, split anywhere on a stream it is the same, and no bytes
//! break the parser (SIP-01, SIP-02).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use stox_sip::{
    CSeq, Frame, Host, Message, MessageLimits, Method, Name, NameAddr, Params, Request, Response,
    Scheme, Status, StreamFramer, Transport, Uri, Via,
};

proptest! {
    #[test]
    fn messages_are_the_same_when_written_and_read(message in message()) {
        prop_assert_eq!(Message::parse_datagram(message.to_bytes()), Ok(message));
    }

    #[test]
    fn uris_are_the_same_when_written_and_read(uri in uri()) {
        prop_assert_eq!(Uri::parse(&uri.to_string()), Ok(uri.clone()));
        prop_assert!(uri.equivalent(&uri));
    }

    #[test]
    fn addresses_are_the_same_when_written_and_read(address in name_addr()) {
        prop_assert_eq!(NameAddr::parse(&address.to_string()), Some(address));
    }

    #[test]
    fn vias_are_the_same_when_written_and_read(via in via()) {
        prop_assert_eq!(Via::parse(&via.to_string()), Some(via));
    }

    #[test]
    fn a_stream_can_be_split_anywhere(messages in vec(message(), 1..4), cuts in vec(any::<Index>(), 0..12)) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend_from_slice(&message.to_bytes());
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut framer = StreamFramer::default();
        let mut read = Vec::new();
        for piece in cuts.windows(2) {
            framer.push(&stream[piece[0]..piece[1]]);
            while let Some(frame) = framer.next_frame() {
                match frame {
                    Ok(Frame::Message(message)) => read.push(*message),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
        prop_assert_eq!(read, messages);
        prop_assert!(!framer.is_within_message());
    }

    /// SIP-19. What was put into a body is found in it, whatever stands between.
    #[test]
    fn parts_are_the_same_when_written_and_read(
        parts in vec(vec(select(vec!["x", "\r\n", "\n", "--", "b", " ", "-", ":", "\u{e9}"]), 0..8), 1..6),
        preamble in select(vec!["", "\r\n", "preamble\r\n"]),
        epilogue in select(vec!["", "\r\n", "\r\n--bound"]),
    ) {
        let parts: Vec<String> = parts.iter().map(|part| part.concat()).collect();
        let mut body = preamble.to_owned();
        for (number, part) in parts.iter().enumerate() {
            body += &format!("--bound\r\nContent-Type: x/n{number}\r\n\r\n{part}\r\n");
        }
        body += &format!("--bound--{epilogue}");
        let request = Request::new(Method::Message, "sip:a@b".parse().unwrap())
            .with_body("multipart/mixed; boundary=bound", body);
        let read = request.parts().unwrap();
        prop_assert_eq!(read.len(), parts.len());
        for (number, part) in parts.iter().enumerate() {
            let found = request.part(&format!("x/n{number}")).unwrap();
            prop_assert_eq!(&found.body, part.as_bytes());
        }
    }

    /// SIP-19. Nor does any body break the reading of its parts.
    #[test]
    fn no_body_breaks_the_reading_of_parts(
        pieces in vec(select(vec![
            "--b", "--b--", "--", "\r\n", "\n", "x", " ",
            "Content-Type: multipart/mixed;boundary=b\r\n\r\n",
            "Content-Type: multipart/related;boundary=\"b\"\r\n\r\n",
        ]), 0..40),
    ) {
        let request = Request::new(Method::Message, "sip:a@b".parse().unwrap())
            .with_body("multipart/mixed;boundary=b", pieces.concat());
        if let Ok(parts) = request.parts() {
            let length: usize = parts.iter().map(|part| part.body.len()).sum();
            prop_assert!(parts.len() <= 64 && length <= request.body.len());
        }
    }

    #[test]
    fn no_bytes_break_the_parser(bytes in vec(any::<u8>(), 0..400)) {
        check(Bytes::from(bytes));
    }

    #[test]
    fn no_characters_of_the_grammar_break_the_parser(
        start in select(vec!["", "INVITE sip:a@b SIP/2.0\r\n", "SIP/2.0 200 OK\r\n"]),
        text in "[ \t\r\n:;,=<>\"\\\\@?%/\\[\\]*()a1é]{0,120}",
    ) {
        check(Bytes::from(format!("{start}{text}")));
        let _ = (Uri::parse(&text), NameAddr::parse(&text), Via::parse(&text), CSeq::parse(&text), Host::parse(&text));
    }

    #[test]
    fn no_damage_breaks_the_parser(
        message in message(),
        damage in vec((any::<Index>(), select(b"\r\n \t:;,=<>\"\\@?%/[]*\0\xffa1".to_vec())), 1..6),
    ) {
        let mut bytes = message.to_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(Bytes::from(bytes));
    }
}

/// Reads the bytes both ways and looks at everything; what can be read must survive writing.
fn check(bytes: Bytes) {
    match Message::parse_datagram(bytes.clone()) {
        Ok(message) => {
            look_at(&message);
            assert_eq!(Message::parse_datagram(message.to_bytes()), Ok(message));
        }
        Err(error) => {
            if let Some(response) = error.response() {
                let _ = response.to_bytes();
            }
        }
    }
    let mut framer = StreamFramer::new(MessageLimits {
        head: 300,
        body: 100,
        ..MessageLimits::default()
    });
    for piece in bytes.chunks(7) {
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            if let Ok(Frame::Message(message)) = frame {
                look_at(&message);
            }
        }
        assert!(framer.buffer().len() <= 400 + 7);
    }
}

fn look_at(message: &Message) {
    let _ = (
        message.from(),
        message.to(),
        message.call_id(),
        message.cseq(),
        message.top_via(),
        message.vias(),
    );
    let _ = (
        message.contact(),
        message.contacts(),
        message.routes(),
        message.record_routes(),
        message.max_forwards(),
    );
    let _ = (
        message.content_type(),
        message.content_disposition(),
        message.expires(),
        message.retry_after(),
    );
    let _ = (
        message.event(),
        message.subscription_state(),
        message.refer_to(),
        message.referred_by(),
        message.replaces(),
    );
    let _ = (
        message.session_expires(),
        message.rseq(),
        message.rack(),
        message.asserted_identities(),
    );
    if let Ok(via) = message.top_via() {
        let _ = (
            via.received(),
            via.rport(),
            via.maddr(),
            via.ttl(),
            via.has_unique_branch(),
            via.branch(),
        );
    }
    if let Message::Request(request) = message {
        let uri = &request.uri;
        assert!(uri.equivalent(uri));
        let _ = (
            uri.user_decoded(),
            uri.header("Replaces"),
            uri.transport(),
            uri.headers().count(),
        );
        assert!(
            Message::parse_datagram(Response::to_request(request, Status::OK).to_bytes()).is_ok()
        );
    }
}

fn message() -> impl Strategy<Value = Message> {
    (
        any::<bool>(),
        (method(), uri(), status(), "\\PC{0,20}"),
        (
            vec(via(), 1..4),
            name_addr(),
            name_addr(),
            token(),
            0..1_u32 << 31,
        ),
        vec((header_name(), "\\PC{0,40}"), 0..6),
        vec(any::<u8>(), 0..60),
    )
        .prop_map(
            |(
                is_request,
                (method, uri, status, reason),
                (vias, from, to, call_id, number),
                others,
                body,
            )| {
                let cseq = CSeq::new(number, method.clone());
                let request = Request::new(method, uri.without_headers());
                let (uri, method) = (request.uri, request.method);
                let mut headers = request.headers;
                for via in vias {
                    headers.push(Name::Via, via.to_string());
                }
                headers.push(Name::From, from.to_string());
                headers.push(Name::To, to.to_string());
                headers.push(Name::CallId, call_id);
                headers.push(Name::CSeq, cseq.to_string());
                for (name, value) in others {
                    headers.push(name, value);
                }
                let body = Bytes::from(body);
                if is_request {
                    Message::Request(Request {
                        method,
                        uri,
                        headers,
                        body,
                    })
                } else {
                    Message::Response(Response {
                        status,
                        reason: reason.trim().into(),
                        headers,
                        body,
                    })
                }
            },
        )
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        select(vec![
            Method::Invite,
            Method::Message,
            Method::Ack,
            Method::Subscribe
        ]),
        token().prop_map(|text| Method::parse(&text).unwrap()),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    (100..700_u16).prop_map(|code| Status::new(code).unwrap())
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,12}"
}

/// Names that may occur more than once and need no form.
fn header_name() -> impl Strategy<Value = Name> {
    prop_oneof![
        select(vec![
            Name::Subject,
            Name::Supported,
            Name::UserAgent,
            Name::Event,
            Name::Route
        ]),
        token().prop_map(|text| Name::parse(&format!("X-{text}")).unwrap()),
    ]
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){0,2}".prop_map(|name| Host::parse(&name).unwrap()),
        any::<[u8; 4]>().prop_map(|octets| Host::V4(octets.into())),
        any::<[u16; 8]>().prop_map(|groups| Host::V6(groups.into())),
    ]
}

fn uri() -> impl Strategy<Value = Uri> {
    (
        select(vec![Scheme::Sip, Scheme::Sips, Scheme::Im, Scheme::Pres]),
        option::of("\\PC{1,12}"),
        host(),
        option::of(any::<u16>()),
        vec(("\\PC{1,6}", option::of("\\PC{0,6}")), 0..3),
        vec(("\\PC{1,6}", "\\PC{0,6}"), 0..3),
    )
        .prop_map(|(scheme, user, host, port, params, headers)| {
            let uri = Uri::new(scheme, user.as_deref(), host).with_port(port);
            let uri = params.iter().fold(uri, |uri, (name, value)| {
                uri.with_param(name, value.as_deref())
            });
            headers
                .iter()
                .fold(uri, |uri, (name, value)| uri.with_header(name, value))
        })
}

fn params() -> impl Strategy<Value = Params> {
    vec(
        (token(), option::of((any::<bool>(), "\\PC{0,10}", token()))),
        0..4,
    )
    .prop_map(|entries| {
        let mut params = Params::new();
        for (name, value) in entries {
            match value {
                Some((true, content, _)) => params.set_quoted(name, &content),
                Some((false, _, token)) => params.set(name, Some(token)),
                None => params.set(name, None::<String>),
            }
        }
        params
    })
}

fn name_addr() -> impl Strategy<Value = NameAddr> {
    (option::of("[^\r\n]{0,20}"), uri(), params()).prop_map(|(display_name, uri, params)| {
        let mut address = NameAddr::new(uri).with_display_name(display_name.unwrap_or_default());
        address.params = params;
        address
    })
}

fn via() -> impl Strategy<Value = Via> {
    (
        select(vec![Transport::Udp, Transport::Tcp, Transport::Tls]),
        host(),
        option::of(any::<u16>()),
        params(),
    )
        .prop_map(|(transport, host, port, params)| {
            let mut via = Via::new(transport, host, port);
            via.params = params;
            via
        })
}
