use proptest::prelude::*;

use super::*;
use AddressError::*;

const H: &str = "sip.example.com";

fn book(style: AddressStyle) -> Addresses {
    Addresses::new(H, Some("example.net"), style)
}

fn percent() -> Addresses {
    book(AddressStyle::Percent)
}

fn escaped() -> Addresses {
    book(AddressStyle::Escaped)
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

// SEC-04
#[test]
fn who_may_not_use_the_gateway_has_no_address_on_the_other_side() {
    let book = percent().allowing(Allowed::of(&[jid("example.com"), jid("nurse@example.org")]));
    for (address, is_allowed) in [
        ("juliet@example.com/balcony", true),
        ("nurse@example.org", true),
        ("tybalt@example.org", false),
        ("juliet@rooms.example.com", false),
    ] {
        let uri = book.sip_of_xmpp(&jid(address));
        assert_eq!(uri.is_ok(), is_allowed, "{address}");
        assert_eq!(book.allows(&jid(address)), is_allowed);
    }
    let fault = Fault::from(NotAllowed);
    assert_eq!(
        (fault.condition(), NotAllowed.status()),
        (Condition::Forbidden, Status::FORBIDDEN)
    );
    // Where somebody has moved to may be told all the same.
    assert!(
        book.new_address_for_sip("xmpp:tybalt@example.org")
            .is_some()
    );
}

// CORE-03, CORE-04, CORE-05, T2: SIP user on the wire, its localpart, and back on the wire.
#[test]
fn sip_users_map_to_localparts_and_back() {
    for (wire, localpart, back) in [
        ("f%C3%BC", "fü", "f%C3%BC"),
        ("o'malley", r"o\27malley", "o'malley"),
        ("m&m", r"m\26m", "m&m"),
        ("a%2Fb", r"a\2fb", "a/b"),
        ("a%40b", r"a\40b", "a%40b"),
        ("%22q%22", r"\22q\22", "%22q%22"),
        ("u%23x", "u#x", "u%23x"),
        ("a%25b", "a%b", "a%25b"),
        ("x%5C27y", r"x\5c27y", "x%5C27y"),
        ("c%3A%5Ccool", r"c\3a\cool", "c%3A%5Ccool"),
        (
            "+12125551212;phone-context=x",
            "+12125551212;phone-context=x",
            "+12125551212;phone-context=x",
        ),
        ("first.last", "first.last", "first.last"),
        ("%F0%9F%98%80", "😀", "%F0%9F%98%80"),
        ("x%5C", r"x\", "x%5C"),
        (
            "a%7Cb%5E%60%7B%7D%5B%5D",
            "a|b^`{}[]",
            "a%7Cb%5E%60%7B%7D%5B%5D",
        ),
    ] {
        let sip = uri(&format!("sip:{wire}@example.net"));
        let expected = format!(r"{localpart}\40example.net@{H}");
        assert_eq!(escaped().jid_of(&sip).unwrap().as_str(), expected);
        assert_eq!(percent().sip_of(&jid(&expected)).unwrap().aor.user(), back);

        let separator = if localpart.contains('%') { r"\40" } else { "%" };
        let expected = format!("{localpart}{separator}example.net@{H}");
        assert_eq!(percent().jid_of(&sip).unwrap().as_str(), expected);
        assert_eq!(escaped().sip_of(&jid(&expected)).unwrap().aor.user(), back);

        let xmpp = jid(&format!("{localpart}@xmpp.example"));
        assert_eq!(
            percent().sip_of_xmpp(&xmpp).unwrap().to_string(),
            format!("sip:{back}@xmpp.example")
        );
        let wire = uri(&format!("sip:{wire}@xmpp.example"));
        assert_eq!(percent().xmpp_target(&wire).unwrap(), xmpp);
    }
}

// CORE-01, CORE-03, CORE-09, T2 and the contract's table of addresses.
#[test]
fn sip_uris_map_to_jids() {
    for (text, expected) in [
        ("sip:romeo@example.net", "romeo%example.net@sip.example.com"),
        (
            "sip:romeo@example.net;gr=orchard",
            "romeo%example.net@sip.example.com/orchard",
        ),
        (
            "sip:Romeo@Example.NET.;gr=Orchard",
            "romeo%example.net@sip.example.com/Orchard",
        ),
        ("im:romeo@example.net", "romeo%example.net@sip.example.com"),
        (
            "pres:romeo@example.net",
            "romeo%example.net@sip.example.com",
        ),
        (
            "sips:romeo@example.net",
            "romeo%example.net@sip.example.com",
        ),
        (
            "sip:alice:secret@h.example:5062;transport=tcp;user=phone?Subject=x",
            "alice%h.example@sip.example.com",
        ),
        ("sip:xyz@example.net;gr", "xyz%example.net@sip.example.com"),
        (
            "sip:x@example.net;gr=my%20phone",
            "x%example.net@sip.example.com/my phone",
        ),
        (
            "sip:x@example.net;gr=urn:uuid:f81d4fae-7dec",
            "x%example.net@sip.example.com/urn:uuid:f81d4fae-7dec",
        ),
        ("sip:x@192.0.2.7:5070", "x%192.0.2.7@sip.example.com"),
        (
            "sip:x@[2001:db8::1]",
            r"x%[2001\3adb8\3a\3a1]@sip.example.com",
        ),
        (
            "sip:a%25b@example.net",
            r"a%b\40example.net@sip.example.com",
        ),
        (
            "sip:verona@chat.example.org",
            "verona%chat.example.org@sip.example.com",
        ),
    ] {
        let mapped = percent().jid_of(&uri(text)).unwrap();
        assert_eq!(mapped.as_str(), expected, "{text}");
        let back = percent().sip_of(&mapped).unwrap();
        assert_eq!(
            percent().jid_of(&back.uri()).unwrap(),
            mapped,
            "{text} back from {back:?}"
        );
    }
    let mapped = escaped()
        .jid_of(&uri("sip:romeo@example.net;gr=orchard"))
        .unwrap();
    assert_eq!(
        mapped.as_str(),
        r"romeo\40example.net@sip.example.com/orchard"
    );
    let mapped = escaped().jid_of(&uri("sip:a%40b@example.net")).unwrap();
    assert_eq!(mapped.as_str(), r"a\40b\40example.net@sip.example.com");
}

// CORE-01: where the component's domain is a SIP domain too, its users are written natively.
#[test]
fn users_of_the_own_domain_are_native_only_if_it_is_the_default() {
    let native = Addresses::new("sip.example", Some("sip.example"), AddressStyle::Percent);
    for (sip, xmpp) in [
        ("sip:foo@sip.example;gr=bar", "foo@sip.example/bar"),
        ("sip:o'malley@sip.example", r"o\27malley@sip.example"),
        ("sip:f%C3%BC@sip.example", "fü@sip.example"),
        ("sip:a%40b@sip.example", r"a\40b%sip.example@sip.example"),
    ] {
        assert_eq!(native.jid_of(&uri(sip)).unwrap().as_str(), xmpp);
        assert_eq!(native.sip_of(&jid(xmpp)).unwrap().uri().to_string(), sip);
    }
    // CORE-19
    assert_eq!(
        percent().sip_of(&jid("x%sip.example.com@sip.example.com")),
        Err(Hairpin)
    );
}

// CORE-01: every spelling names the same user, whatever the style.
#[test]
fn all_spellings_are_understood() {
    for addresses in [percent(), escaped()] {
        for text in [
            "romeo%example.net@sip.example.com",
            r"romeo\40example.net@sip.example.com",
            "romeo@sip.example.com",
            "romeo%EXAMPLE.net@SIP.example.com",
        ] {
            let contact = addresses.sip_of(&jid(text)).unwrap();
            assert_eq!(contact.aor.to_string(), "sip:romeo@example.net", "{text}");
            assert_eq!(contact.device, None);
        }
        let device = addresses
            .sip_of(&jid("romeo@sip.example.com/a;b=c"))
            .unwrap();
        assert_eq!(
            device.uri().to_string(),
            "sip:romeo@example.net;gr=a%3Bb%3Dc"
        );
        let native = addresses.sip_of(&jid("100%@sip.example.com")).unwrap();
        assert_eq!(native.aor.to_string(), "sip:100%25@example.net");
    }
    let idn = percent()
        .sip_of(&jid("x%bücher.example@sip.example.com"))
        .unwrap();
    assert_eq!(
        idn.aor.to_string(),
        "sip:x@xn--bcher-kva.example",
        "CORE-14"
    );
}

#[test]
fn what_names_no_sip_user_is_refused() {
    let without_default = Addresses::new(H, None, AddressStyle::Percent);
    for (addresses, text, error) in [
        (&without_default, "romeo@sip.example.com", NoDomain),
        (&without_default, "romeo%@sip.example.com", NoDomain),
        (&without_default, "romeo%a..b@sip.example.com", NoDomain),
        (&without_default, r"romeo%a\20b@sip.example.com", NoDomain),
        (&percent(), "%example.net@sip.example.com", NoUser),
        (&percent(), "sip.example.com", NoUser),
        (&percent(), "romeo@elsewhere.example", NotOurs),
    ] {
        assert_eq!(addresses.sip_of(&jid(text)), Err(error), "{text}");
    }
}

// CORE-05, CORE-08, T2
#[test]
fn xmpp_users_map_to_sip_uris_and_back() {
    for (xmpp, sip) in [
        (
            "juliet@example.com/balcony",
            "sip:juliet@example.com;gr=balcony",
        ),
        (r"m\26m@xmpp.example", "sip:m&m@xmpp.example"),
        ("tschüss@xmpp.example", "sip:tsch%C3%BCss@xmpp.example"),
        ("baz@xmpp.example/qux", "sip:baz@xmpp.example;gr=qux"),
        ("user[x]@xmpp.example", "sip:user%5Bx%5D@xmpp.example"),
        (r"foo\bar@xmpp.example", "sip:foo%5Cbar@xmpp.example"),
        (
            "juliet@xmpp.example/my phone",
            "sip:juliet@xmpp.example;gr=my%20phone",
        ),
        ("j@x.example/a;b=c", "sip:j@x.example;gr=a%3Bb%3Dc"),
        ("j@x.example/über", "sip:j@x.example;gr=%C3%BCber"),
        ("j@x.example/x/y", "sip:j@x.example;gr=x/y"),
        ("j@x.example/50%", "sip:j@x.example;gr=50%25"),
        ("j@bücher.example", "sip:j@xn--bcher-kva.example"),
    ] {
        assert_eq!(percent().sip_of_xmpp(&jid(xmpp)).unwrap().to_string(), sip);
        assert_eq!(percent().xmpp_target(&uri(sip)).unwrap().as_str(), xmpp);
    }
    assert_eq!(
        percent().sip_of_xmpp(&jid("x@sip.example.com")),
        Err(Hairpin)
    );
    assert_eq!(percent().sip_of_xmpp(&jid("x@[bad")), Err(BadDomain));
}

// CORE-02
#[test]
fn xmpp_users_are_found_by_either_form() {
    for text in [
        "sip:juliet@example.com",
        "sip:Juliet@EXAMPLE.com:5061;transport=tcp",
        "sip:juliet%40example.com@sip.example.com",
        "sip:juliet%40example.com@SIP.example.com:5060;transport=udp",
        "im:juliet@example.com",
        "pres:juliet@example.com",
    ] {
        assert_eq!(
            percent().xmpp_target(&uri(text)).unwrap().as_str(),
            "juliet@example.com",
            "{text}"
        );
    }
    let device = percent().xmpp_target(&uri("sip:juliet%40example.com@sip.example.com;gr=balcony"));
    assert_eq!(device.unwrap().as_str(), "juliet@example.com/balcony");
}

// CORE-03, CORE-04, CORE-18, CORE-19
#[test]
fn requests_for_no_xmpp_user_are_refused_with_the_right_status() {
    for (text, error, status) in [
        ("sip:%FF@example.com", NotUtf8, 400),
        ("sip:%20juliet@example.com", Forbidden, 404),
        ("sip:juliet%20@example.com", Forbidden, 404),
        ("sip:a%00b@example.com", Forbidden, 404),
        ("sip:a%0D%0Ab@example.com", Forbidden, 404),
        ("sip:example.com", NoUser, 404),
        ("sip:juliet@sip.example.com", Hairpin, 482),
        ("sip:romeo%25example.net@sip.example.com", Hairpin, 482),
        ("sip:romeo%40sip.example.com@sip.example.com", Hairpin, 482),
        ("sip:%40example.com@sip.example.com", NoUser, 404),
        ("sip:juliet%40@sip.example.com", BadDomain, 404),
        ("tel:+12125551212", Scheme, 416),
    ] {
        let refused = percent().xmpp_target(&uri(text));
        assert_eq!(refused, Err(error), "{text}");
        assert_eq!(error.status().code(), status, "{text}");
    }
    let long = format!("sip:{}@example.com", "a".repeat(1024));
    assert_eq!(percent().xmpp_target(&uri(&long)), Err(TooLong));
    assert_eq!(TooLong.status().code(), 414);
    assert_eq!(Fault::from(TooLong).condition(), Condition::JidMalformed);
}

// CORE-09
#[test]
fn only_readable_devices_become_resources() {
    for (text, device) in [
        ("sip:x@y;gr=balcony", Some("balcony")),
        ("sip:x@y;GR=balcony", Some("balcony")),
        ("sip:x@y;gr", None),
        ("sip:x@y;gr=", None),
        ("sip:x@y;gr=%FF", None),
        ("sip:x@y;gr=a%0Ab", None),
        ("sip:x@y", None),
    ] {
        assert_eq!(device_of(&uri(text)).as_deref(), device, "{text}");
    }
}

// CORE-13
#[test]
fn one_user_has_one_address_of_record() {
    let aor = Aor::of(&uri("sip:a%2fb@Example.NET:5070;transport=tcp")).unwrap();
    assert_eq!(aor, Aor::of(&uri("sips:a/b@example.net")).unwrap());
    assert_ne!(aor, Aor::of(&uri("sip:A/b@example.net")).unwrap());
}

// CORE-20, CORE-24
#[test]
fn new_addresses_are_told_in_the_other_worlds_words() {
    for (contact, address) in [
        (
            "sip:romeo@afar.example.net",
            "xmpp:romeo%25afar.example.net@sip.example.com",
        ),
        (
            "sip:a%25b@example.net;gr=x%20y",
            "xmpp:a%25b%5C40example.net@sip.example.com/x%20y",
        ),
    ] {
        let told = percent().new_address_for_xmpp(&uri(contact)).unwrap();
        assert_eq!(told, address);
        assert_eq!(
            percent().new_address_for_sip(&told).unwrap().to_string(),
            contact
        );
    }
    for (address, contact) in [
        ("xmpp:juliet@example.org", Some("sip:juliet@example.org")),
        (
            "xmpp:juliet@example.org/b?message",
            Some("sip:juliet@example.org;gr=b"),
        ),
        (
            "xmpp:o%5C27malley@example.org",
            Some("sip:o'malley@example.org"),
        ),
        ("sip:juliet@example.org", Some("sip:juliet@example.org")),
        ("xmpp:", None),
        ("xmpp:%FF@x", None),
        ("mailto:juliet@example.org", None),
        ("elsewhere", None),
    ] {
        let told = percent()
            .new_address_for_sip(address)
            .map(|uri| uri.to_string());
        assert_eq!(told.as_deref(), contact, "{address}");
    }
}

/// What a user part may say once it is decoded: prepared, and without what no localpart can carry at its ends.
fn user() -> impl Strategy<Value = String> {
    r#"[a-z0-9éß😀!#$%()*+,.;=?^_`{|}~\[\]\\ "&'/:<>@-]{1,30}"#
        .prop_filter("spaces at the ends are refused", |user| {
            user.trim_matches(' ') == user
        })
}

proptest! {
    // CORE-06
    #[test]
    fn sip_addresses_come_back(user in user(), device in proptest::option::of("[ -~é]{1,20}")) {
        for addresses in [percent(), escaped()] {
            for host in ["example.net", "a-b.example", "192.0.2.1", "[2001:db8::1]"] {
                let contact = SipContact {
                    aor: Aor::new(&user, Host::parse(host).unwrap()).unwrap(),
                    device: device.clone(),
                };
                let jid = addresses.jid_of(&contact.uri()).unwrap();
                prop_assert_eq!(Jid::parse(jid.as_str()).unwrap(), jid.clone());
                prop_assert_eq!(addresses.sip_of(&jid).unwrap(), contact);
            }
        }
    }

    // CORE-06
    #[test]
    fn xmpp_addresses_come_back(user in user(), device in proptest::option::of("[ -~é]{1,20}")) {
        let jid = Jid::from_parts(Some(&escape::escape(&user)), "xmpp.example", device.as_deref()).unwrap();
        let uri = percent().sip_of_xmpp(&jid).unwrap();
        prop_assert_eq!(Uri::parse(&uri.to_string()).unwrap(), uri.clone());
        prop_assert_eq!(percent().xmpp_target(&uri).unwrap(), jid);
    }
}

// CORE-07
#[test]
fn dots_of_im_uris_are_read_in_both_forms() {
    for uri in ["im:first.last@example.net", "im:first%2Elast@example.net"] {
        let romeo = percent().jid_of(&uri.parse().unwrap()).unwrap();
        assert_eq!(romeo.as_str(), "first.last%example.net@sip.example.com");
    }
}

// CORE-14
#[test]
fn domains_are_a_labels_in_sip() {
    let contact = percent()
        .sip_of(&jid("x%bücher.example@sip.example.com"))
        .unwrap();
    assert_eq!(contact.aor.uri().to_string(), "sip:x@xn--bcher-kva.example");
    let juliet = percent()
        .sip_of_xmpp(&jid("juliet@bücher.example"))
        .unwrap();
    assert_eq!(juliet.to_string(), "sip:juliet@xn--bcher-kva.example");
}
