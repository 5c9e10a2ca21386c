//! CPIM as the RFC, and as peers write it.

use bytes::Bytes;
use proptest::prelude::*;
use stox_msrp::cpim::{Address, CpimError, Extension, Message, Name};

// T13
#[test]
fn what_we_write() {
    let message = Message {
        from: Some(address(
            Some("Juliet \"J\" \\ Capulet\n"),
            "sip:juliet@example.com;gr=balcony",
        )),
        to: vec![address(None, "sip:romeo@example.net")],
        date_time: Some("2026-11-20T14:00:00Z".to_owned()),
        subject: Some("a\r\nb".to_owned()),
        extensions: vec![Extension {
            name: imdn("Message-ID"),
            value: "34jk324j".to_owned(),
        }],
        required: vec![imdn("Message-ID")],
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        body: Bytes::from_static("Art thou not Romeo?\r\n".as_bytes()),
        ..Message::default()
    };
    let wrapped = message.wrap();
    assert_eq!(
        std::str::from_utf8(&wrapped).unwrap(),
        "From: \"Juliet \\\"J\\\" \\\\ Capulet\\n\" <sip:juliet@example.com;gr=balcony>\r\n\
         To: <sip:romeo@example.net>\r\n\
         DateTime: 2026-11-20T14:00:00Z\r\n\
         Subject: a\\r\\nb\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\n\
         Require: imdn.Message-ID\r\n\
         imdn.Message-ID: 34jk324j\r\n\
         \r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         \r\n\
         Art thou not Romeo?\r\n"
    );
    assert_eq!(Message::parse(&wrapped).unwrap(), message);
}

// MSRP-23; RFC 3862 §5.1
#[test]
fn the_rfcs_example() {
    let message = parse(
        "From: MR SANDERS <im:piglet@100akerwood.com>\r\n\
         To: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
         cc: <im:owl@100akerwood.com>\r\n\
         DateTime: 2000-12-13T13:40:00-08:00\r\n\
         Subject: the weather will be fine today\r\n\
         Subject:;lang=fr beau temps prevu pour aujourd'hui\r\n\
         NS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n\
         Require: MyFeatures.VitalMessageOption\r\n\
         MyFeatures.VitalMessageOption: Confirmation-requested\r\n\
         MyFeatures.WackyMessageOption: Use-silly-font\r\n\
         \r\n\
         Content-type: text/xml; charset=utf-8\r\n\
         Content-ID: <1234567890@foo.com>\r\n\
         \r\n\
         <body>\r\n\r\n</body>",
    )
    .unwrap();
    let sender = address(Some("MR SANDERS"), "im:piglet@100akerwood.com");
    assert_eq!(message.from, Some(sender));
    assert_eq!(
        message.to,
        [address(
            Some("Depressed Donkey"),
            "im:eeyore@100akerwood.com"
        )]
    );
    assert_eq!(message.cc.len(), 1);
    assert_eq!(
        message.subject.as_deref(),
        Some("the weather will be fine today")
    );
    let namespace = "mid:MessageFeatures@id.foo.com";
    assert_eq!(
        message.extension(namespace, "WackyMessageOption"),
        Some("Use-silly-font")
    );
    assert_eq!(
        message.unknown_requirement(&[]).unwrap().name,
        "VitalMessageOption"
    );
    assert_eq!(message.unknown_requirement(&[namespace]), None);
    assert_eq!(
        message.content_type.as_deref(),
        Some("text/xml; charset=utf-8")
    );
    assert_eq!(
        message.content_headers,
        [("Content-ID".to_owned(), "<1234567890@foo.com>".to_owned())]
    );
    assert_eq!(message.body, "<body>\r\n\r\n</body>");
}

#[test]
fn the_stock_clients_mixture_of_line_ends() {
    let message = parse(
        "From: Alice <sip:alice@example.org>\r\n\
         To: Conference Room <sip:room1@conf.example.org>\r\n\
         DateTime: 2026-11-20T13:00:00.123456+00:00\r\n\
         NS: agp <urn:ag-projects:xml:ns:cpim>\r\n\
         agp.Message-Type: status\r\n\
         \r\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=\"utf8\"\nContent-Transfer-Encoding:\n\nhällo\n",
    )
    .unwrap();
    assert_eq!(message.from.unwrap().name.as_deref(), Some("Alice"));
    assert_eq!(
        message.content_type.as_deref(),
        Some("text/plain; charset=\"utf8\"")
    );
    assert_eq!(
        message.content_headers[1],
        ("Content-Transfer-Encoding".to_owned(), String::new())
    );
    assert_eq!(message.extensions[0].value, "status");
    assert_eq!(message.body, "hällo\n");
}

#[test]
fn folded_lines_belong_to_the_header_before_them() {
    let message = parse(
        "\r\nContent-ID: 1\r\nContent-Type:\r\n text/plain;\r\n\tcharset=utf-8\r\nX: 2\r\n 3\r\n\r\n",
    );
    let message = message.unwrap();
    assert_eq!(
        message.content_type.as_deref(),
        Some("text/plain; charset=utf-8")
    );
    let headers = [("Content-ID", "1"), ("X", "2 3")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(message.content_headers, headers);
}

// Two readers must not see two types in one message.
#[test]
fn the_first_type_counts_also_when_written_again() {
    let message = parse("\r\nContent-Type:\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\nx");
    let message = message.unwrap();
    assert_eq!(message.content_type.as_deref(), Some("a/b"));
    assert_eq!(message.wrap(), "\r\nContent-Type: a/b\r\n\r\nx");
}

#[test]
fn addresses_in_all_shapes() {
    for (text, expected) in [
        ("<sip:a@b>", address(None, "sip:a@b")),
        (
            "\"A \\\"q\\\" \\u00e4\" <sip:a@b;gr=x>",
            address(Some("A \"q\" ä"), "sip:a@b;gr=x"),
        ),
        (
            "\"<sip:evil@x>\" <sip:a@b>",
            address(Some("<sip:evil@x>"), "sip:a@b"),
        ),
        (
            "A B  <sip:a@b>;gr=orchard",
            address(Some("A B"), "sip:a@b;gr=orchard"),
        ),
    ] {
        let message = parse(&format!("From: {text}\r\n\r\n\r\n")).unwrap();
        assert_eq!(message.from, Some(expected), "{text}");
    }
    for text in [
        "sip:a@b",
        "",
        "\"open <sip:a@b>",
        "<sip:a\0@b>",
        "<<>",
        "<>",
        "<sip:a b>",
        "<sip:a@b",
    ] {
        let parsed = parse(&format!("From: {text}\r\n\r\n\r\n"));
        assert_eq!(parsed, Err(CpimError::MalformedAddress), "{text}");
    }
}

// MSRP-23: case counts, and a prefix decides what a name means.
#[test]
fn names_are_exact() {
    let message = parse(
        "from: <sip:a@b>\r\nFROM: nonsense\r\nNS: c <urn:ietf:params:cpim-headers:>\r\n\
         c.To: <sip:c@d>\r\nNS: <urn:x>\r\nTo: elsewhere\r\n\r\n\r\nbody",
    )
    .unwrap();
    assert_eq!(message.from, None);
    assert_eq!(message.to, [address(None, "sip:c@d")]);
    assert_eq!(message.extension("urn:x", "To"), Some("elsewhere"));
    assert_eq!(message.content_type, None);
    assert_eq!(message.body, "body");
}

#[test]
fn broken_ones_are_refused() {
    for (text, error) in [
        ("", CpimError::NoContent),
        ("From: <sip:a@b>\r\n", CpimError::NoContent),
        (
            "From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n",
            CpimError::NoContent,
        ),
        ("hello\r\n\r\n\r\n", CpimError::MalformedHeader),
        ("a b: c\r\n\r\n\r\n", CpimError::MalformedHeader),
        ("a\0b: c\r\n\r\n\r\n", CpimError::MalformedHeader),
        (
            "\r\nContent\u{1b}-Type: a/b\r\n\r\n",
            CpimError::MalformedHeader,
        ),
        ("\r\n: c\r\n\r\n", CpimError::MalformedHeader),
        ("Require: a\0b\r\n\r\n\r\n", CpimError::MalformedHeader),
        (&"x: y\r\n".repeat(200), CpimError::TooManyHeaders),
    ] {
        assert_eq!(parse(text), Err(error), "{text:?}");
    }
    assert_eq!(
        Message::parse(&Bytes::from_static(b"x: \xff\n\n\n")),
        Err(CpimError::NotUtf8)
    );
}

proptest! {
    #[test]
    fn what_is_wrapped_is_read_back(
        name in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{1,20}",
        subject in "\\PC{1,40}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let message = Message {
            from: Some(address(Some(&name), "sip:a@b")),
            subject: Some(format!("x{subject}x")),
            content_type: Some("text/plain".to_owned()),
            body: body.into(),
            ..Message::default()
        };
        prop_assert_eq!(Message::parse(&message.wrap()).unwrap(), message);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in "(\\PC|[\r\n:<>\"\\\\;.]|NS: |From: |Require: ){0,60}") {
        let _ = Message::parse(&Bytes::from(bytes));
    }
}

fn parse(text: &str) -> Result<Message, CpimError> {
    Message::parse(&Bytes::copy_from_slice(text.as_bytes()))
}

fn address(name: Option<&str>, uri: &str) -> Address {
    Address {
        name: name.map(str::to_owned),
        uri: uri.to_owned(),
    }
}

fn imdn(name: &str) -> Name {
    Name {
        namespace: "urn:ietf:params:imdn".to_owned(),
        name: name.to_owned(),
    }
}
