//! Connections that middleboxes may take part in: each case of RFC 6714 §4 (MSRP-24).

use std::net::IpAddr;

use stox_msrp::{
    MsrpUri, Role,
    sdp::{
        LocalMedia, MsrpMedia, Origin, SessionDescription,
        cema::{self, Answering, Proceeding},
        offer,
    },
};

const DIRECT: &str =
    "c=IN IP4 192.0.2.5\r\nm=message 2855 TCP/MSRP *\r\na=path:msrp://192.0.2.5:2855/x;tcp";
const MIDDLEBOX: &str =
    "c=IN IP4 198.51.100.1\r\nm=message 7000 TCP/MSRP *\r\na=path:msrp://192.0.2.5:2855/x;tcp";
const RELAY: &str = "c=IN IP4 192.0.2.9\r\nm=message 9000 TCP/MSRP *\r\n\
    a=path:msrp://192.0.2.9:9000/r;tcp msrp://192.0.2.5:2855/x;tcp";
const RELAY_AND_MIDDLEBOX: &str = "c=IN IP4 198.51.100.1\r\nm=message 7000 TCP/MSRP *\r\n\
    a=path:msrp://192.0.2.9:9000/r;tcp msrp://192.0.2.5:2855/x;tcp";
const CEMA: &str = "\r\na=msrp-cema";

// MSRP-24, RFC 6714 §4.3
#[test]
fn offers_are_answered() {
    let cema = CEMA;
    for (offer, attributes, expected) in [
        // Broken by a middlebox that does not know CEMA.
        (MIDDLEBOX, "actpass", Answering::Decline),
        (MIDDLEBOX, "passive", Answering::Decline),
        (RELAY_AND_MIDDLEBOX, "actpass", Answering::Decline),
        // Nobody between: an offerer that does not know CEMA passes over it.
        (DIRECT, "actpass", Answering::Cema(Role::Passive)),
        (DIRECT, "passive", Answering::Cema(Role::Active)),
        (DIRECT, "", Answering::Cema(Role::Passive)),
        (
            &format!("{DIRECT}{cema}"),
            "actpass",
            Answering::Cema(Role::Passive),
        ),
        (
            &format!("{MIDDLEBOX}{cema}"),
            "actpass",
            Answering::Cema(Role::Passive),
        ),
        (
            &format!("{MIDDLEBOX}{cema}"),
            "active",
            Answering::Cema(Role::Passive),
        ),
        (
            &format!("{MIDDLEBOX}{cema}"),
            "passive",
            Answering::Cema(Role::Active),
        ),
        // The offerer has a relay and connects: criterion 2.
        (&format!("{RELAY}{cema}"), "active", Answering::Plain),
        (
            &format!("{RELAY_AND_MIDDLEBOX}{cema}"),
            "",
            Answering::Plain,
        ),
        (RELAY, "active", Answering::Plain),
        // It has one and can be connected to.
        (
            &format!("{RELAY_AND_MIDDLEBOX}{cema}"),
            "actpass",
            Answering::Cema(Role::Active),
        ),
        (
            &format!("{RELAY}{cema}"),
            "passive",
            Answering::Cema(Role::Active),
        ),
    ] {
        let offer = media(offer, attributes);
        assert_eq!(cema::answering(&offer, no_names), expected, "{offer:?}");
    }
}

// MSRP-24, RFC 6714 §4.2
#[test]
fn answers_are_acted_upon() {
    for (answer, setup, without, with) in [
        (
            DIRECT,
            "passive",
            Proceeding::ConnectToMediaLine,
            Proceeding::ConnectToMediaLine,
        ),
        (
            DIRECT,
            "",
            Proceeding::ConnectToMediaLine,
            Proceeding::ConnectToMediaLine,
        ),
        (DIRECT, "active", Proceeding::Await, Proceeding::Await),
        // Criterion 1: who does not know CEMA would connect past the middlebox.
        (
            MIDDLEBOX,
            "active",
            Proceeding::OfferAgain,
            Proceeding::Await,
        ),
        // None of the criteria.
        (
            MIDDLEBOX,
            "passive",
            Proceeding::ConnectToMediaLine,
            Proceeding::ConnectToMediaLine,
        ),
        // Nobody stands before the relay.
        (
            RELAY,
            "passive",
            Proceeding::ConnectToPath,
            Proceeding::ConnectToPath,
        ),
        (RELAY, "active", Proceeding::Await, Proceeding::Await),
        // Criterion 3.
        (
            RELAY_AND_MIDDLEBOX,
            "passive",
            Proceeding::OfferAgain,
            Proceeding::ConnectToMediaLine,
        ),
        (
            RELAY_AND_MIDDLEBOX,
            "",
            Proceeding::OfferAgain,
            Proceeding::ConnectToMediaLine,
        ),
        (
            RELAY_AND_MIDDLEBOX,
            "active",
            Proceeding::OfferAgain,
            Proceeding::Await,
        ),
    ] {
        let plain = media(answer, setup);
        assert_eq!(cema::proceeding(&plain, no_names), without, "{plain:?}");
        let cema = media(&format!("{answer}{CEMA}"), setup);
        assert!(cema.cema && !plain.cema);
        assert_eq!(cema::proceeding(&cema, no_names), with, "{cema:?}");
    }
}

// MSRP-24; RFC 6135 §4.2.2: who connects writes port 9, which says nothing about middleboxes.
#[test]
fn the_discard_port_is_no_middlebox() {
    let active = media(&DIRECT.replace("message 2855", "message 9"), "active");
    assert_eq!(cema::proceeding(&active, no_names), Proceeding::Await);
    let moved = media(&MIDDLEBOX.replace("message 7000", "message 9"), "active");
    assert_eq!(cema::proceeding(&moved, no_names), Proceeding::OfferAgain);
}

// MSRP-24, RFC 6714 §4.4
#[test]
fn names_are_compared_by_their_addresses() {
    let same = "c=IN IP4 A.example\r\nm=message 1 TCP/MSRP *\r\na=path:msrp://a.EXAMPLE:1/x;tcp";
    let same = media(same, "actpass");
    assert_eq!(
        cema::names(&same).count(),
        0,
        "equal without their addresses"
    );
    assert_eq!(
        cema::answering(&same, no_names),
        Answering::Cema(Role::Passive)
    );

    let named = "c=IN IP4 a.example\r\nm=message 1 TCP/MSRP *\r\na=path:msrp://192.0.2.7:1/x;tcp";
    let named = media(named, "actpass");
    assert_eq!(cema::names(&named).collect::<Vec<_>>(), ["a.example"]);
    for (addresses, expected) in [
        (
            &["192.0.2.1", "192.0.2.7"][..],
            Answering::Cema(Role::Passive),
        ),
        (&["192.0.2.1"], Answering::Decline),
        (&[], Answering::Decline),
    ] {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let answered = cema::answering(&named, |name| {
            assert_eq!(name, "a.example");
            addresses.clone()
        });
        assert_eq!(answered, expected, "{addresses:?}");
    }

    let both = "c=IN IP6 b.example\r\nm=message 1 TCP/MSRP *\r\na=path:msrp://a.example:1/x;tcp";
    let both = media(both, "actpass");
    assert_eq!(
        cema::names(&both).collect::<Vec<_>>(),
        ["b.example", "a.example"]
    );
    let one: IpAddr = "2001:db8::1".parse().unwrap();
    let answered = cema::answering(&both, |_| vec![one]);
    assert_eq!(answered, Answering::Cema(Role::Passive));
}

// MSRP-24: addresses of six are the same however they are written; the port counts too.
#[test]
fn addresses_are_compared_as_addresses() {
    let written =
        "c=IN IP6 2001:DB8:0::1\r\nm=message 1 TCP/MSRP *\r\na=path:msrp://[2001:db8::1]:1/x;tcp";
    let same = media(written, "actpass");
    assert_eq!(
        cema::answering(&same, no_names),
        Answering::Cema(Role::Passive)
    );
    let other_port = media(&written.replace("message 1", "message 2"), "actpass");
    assert_eq!(cema::answering(&other_port, no_names), Answering::Decline);
}

// MSRP-24: without c= there is only the path.
#[test]
fn without_an_address_the_path_is_connected_to() {
    let none = media(
        "m=message 1 TCP/MSRP *\r\na=path:msrp://192.0.2.7:1/x;tcp",
        "passive",
    );
    assert_eq!(cema::proceeding(&none, no_names), Proceeding::ConnectToPath);
}

// MSRP-24: we say it in the media section, and only where it is wished.
#[test]
fn the_attribute_is_written() {
    let local: MsrpUri = "msrp://192.0.2.1:2855/abc;tcp".parse().unwrap();
    for cema in [true, false] {
        let media = LocalMedia {
            cema,
            ..LocalMedia::default()
        };
        let text = offer(&local, Origin { id: 1, version: 1 }, &media);
        let read = SessionDescription::parse(&text).unwrap();
        assert_eq!(read.msrp_at(0).unwrap().cema, cema);
        assert_eq!(read.attribute(0, "msrp-cema"), cema.then_some(""));
    }
}

fn media(text: &str, setup: &str) -> MsrpMedia {
    let setup = match setup {
        "" => String::new(),
        setup => format!("a=setup:{setup}\r\n"),
    };
    let text = format!("v=0\r\n{text}\r\n{setup}");
    let description = SessionDescription::parse(text.as_bytes()).unwrap();
    description.msrp_at(0).unwrap()
}

fn no_names(name: &str) -> Vec<IpAddr> {
    panic!("{name} is no name")
}
