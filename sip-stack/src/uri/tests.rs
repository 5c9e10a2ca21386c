use super::*;
use crate::header::NameAddr;

/// SIP-02: each is read, taken apart and written as it was.
#[test]
fn uris_are_read_and_written() {
    for (text, user, host, port) in [
        (
            "sip:juliet@example.com",
            Some("juliet"),
            Some("example.com"),
            None,
        ),
        (
            "sip:first.last@example.com:5070",
            Some("first.last"),
            Some("example.com"),
            Some(5070),
        ),
        (
            "sips:[2001:db8::10]:5070",
            None,
            Some("[2001:db8::10]"),
            Some(5070),
        ),
        (
            "sip:user@[2001:db8::10];transport=tcp",
            Some("user"),
            Some("[2001:db8::10]"),
            None,
        ),
        (
            "sip:vivekg@chair-dnrc.example.com;unknownparam",
            Some("vivekg"),
            Some("chair-dnrc.example.com"),
            None,
        ),
        (
            "sip:user;par=u%40example.net@example.com",
            Some("user;par=u%40example.net"),
            Some("example.com"),
            None,
        ),
        (
            "sip:sips%3Auser%40example.com@example.net",
            Some("sips%3Auser%40example.com"),
            Some("example.net"),
            None,
        ),
        (
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"),
            Some("example.com"),
            None,
        ),
        (
            "sip:juliet@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            Some("juliet"),
            Some("example.com"),
            None,
        ),
        (
            "sip:room@conf.example.com?Replaces=a%40b%3Bto-tag%3D1&X=",
            Some("room"),
            Some("conf.example.com"),
            None,
        ),
        (
            "im:romeo@example.net",
            Some("romeo"),
            Some("example.net"),
            None,
        ),
        (
            "pres:romeo@example.net",
            Some("romeo"),
            Some("example.net"),
            None,
        ),
        (
            "tel:+1-201-555-0123;phone-context=example.com",
            Some("+1-201-555-0123"),
            None,
            None,
        ),
        ("soap.beep://192.0.2.103:3002", None, None, None),
        ("xmpp:juliet@example.com/balcony?message", None, None, None),
    ] {
        let uri = Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(uri.user(), user, "{text}");
        assert_eq!(
            uri.host().map(ToString::to_string).as_deref(),
            host,
            "{text}"
        );
        assert_eq!(uri.port(), port, "{text}");
        assert_eq!(uri.to_string(), text);
    }
}

#[test]
fn parts_of_a_uri() {
    let uri = Uri::parse(
        "SIP:a:secret@example.com;gr=urn:uuid:1;lr;Transport=TCP?Replaces=x%40y&Subject=hi",
    )
    .unwrap();
    assert_eq!(uri.scheme(), &Scheme::Sip);
    assert_eq!(uri.password(), Some("secret"));
    assert_eq!(uri.param("gr"), Some(Some("urn:uuid:1")));
    assert_eq!(uri.param("LR"), Some(None));
    assert!(uri.is_loose());
    assert_eq!(uri.transport(), Some(Ok(Transport::Tcp)));
    assert_eq!(uri.header("replaces").as_deref(), Some("x@y"));
    assert_eq!(
        Uri::parse("sip:a@b;transport=ws").unwrap().transport(),
        Some(Err("ws"))
    );
    assert_eq!(Uri::parse("xmpp:a@b").unwrap().opaque(), Some("a@b"));
    assert_eq!(
        Uri::parse("sip:J%C3%BCrgen@b")
            .unwrap()
            .user_decoded()
            .as_deref(),
        Some("Jürgen")
    );
}

#[test]
fn what_is_no_uri() {
    for (text, error) in [
        ("", UriError::Scheme),
        ("example.com", UriError::Scheme),
        ("1sip:a@b", UriError::Scheme),
        ("sip:", UriError::Host),
        ("sip:@example.com", UriError::User),
        ("sip:a@", UriError::Host),
        ("sip:a@b@c", UriError::Host),
        ("sip:a@host:port", UriError::Host),
        ("sip:a@host:99999", UriError::Host),
        ("sip:a@[::1", UriError::Host),
        ("sip:user@example.com; lr", UriError::Character),
        ("<sip:user@example.com>", UriError::Character),
        ("sip:a\r\nX: y@b", UriError::Character),
        ("tel:", UriError::User),
    ] {
        assert_eq!(Uri::parse(text), Err(error), "{text}");
    }
}

#[test]
fn built_uris_cannot_be_broken_out_of() {
    let uri = Uri::new(
        Scheme::Sip,
        Some("a%20b@c>\r\nX: y"),
        Host::parse("example.com").unwrap(),
    )
    .with_port(Some(5070))
    .with_param("transport", Some("tcp"))
    .with_param("gr", Some("a;b=c"))
    .with_header("Replaces", "1@2;to-tag=3");
    assert_eq!(
        uri.to_string(),
        "sip:a%20b%40c%3E%0D%0AX%3A%20y@example.com:5070;transport=tcp;gr=a%3Bb%3Dc?Replaces=1%402%3Bto-tag%3D3"
    );
    assert_eq!(Uri::parse(&uri.to_string()), Ok(uri));
}

/// The pairs of RFC 3261 §19.1.4.
#[test]
fn equivalence() {
    for (a, b, expected) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
            true,
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            true,
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            true,
        ),
        (
            "sip:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
            false,
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com;transport=udp",
            false,
        ),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
            false,
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
            false,
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
            false,
        ),
        ("sip:a@b;gr=1", "sip:a@b", true),
        ("sip:a@b;maddr=c;maddr=d", "sip:a@b;maddr=c;maddr=d", true),
        ("sip:a@b;maddr=c;maddr=d", "sip:a@b;maddr=c", true),
        ("sip:a@b;maddr=c;maddr=d", "sip:a@b;maddr=d", false),
        ("sip:a@b", "sips:a@b", false),
    ] {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), expected, "{a} {b}");
        assert_eq!(b.equivalent(&a), expected, "{b} {a}");
    }
}

#[test]
fn the_number_of_parameters_is_bounded() {
    let many = |count: usize| format!("sip:a@b{}", ";x".repeat(count));
    assert!(Uri::parse(&many(128)).is_ok());
    assert_eq!(Uri::parse(&many(129)), Err(UriError::Params));
    assert_eq!(
        NameAddr::parse(&format!("<sip:a@b>{}", ";x".repeat(129))),
        None
    );
}
