//! The messages of RFC 5118. Its archive has bare line feeds, and counts bodies otherwise than it writes them: here the lines
//! end as in SIP, and Content-Length is right, so that each message shows what the text of its section says.

use std::net::IpAddr;

use stox_sip::{Fault, Method, Status, UriError};

use super::Outcome::{Refused, Request as Accepts};
use super::Reaction::{Refuses, Told};
use super::{Case, case};

pub fn cases() -> Vec<Case> {
    vec![
        // §4.1, §4.2: with and without the brackets.
        case(
            "ipv6-good",
            Accepts(|m| {
                assert_eq!(
                    m.uri.host().and_then(|host| host.ip()),
                    Some(ip("2001:db8::10"))
                );
                assert_eq!(m.top_via().unwrap().host.ip(), Some(ip("2001:db8::9:1")));
                let contact = m.contact().unwrap().uri;
                assert_eq!(contact.to_string(), "sip:caller@[2001:db8::1]");
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "ipv6-bad",
            Refused(Fault::RequestUri(UriError::Host)),
            Refuses(Status::BAD_REQUEST),
        ),
        // §4.3, §4.4: what looks like a port is part of the address, unless it stands behind the bracket.
        case(
            "port-ambiguous",
            Accepts(|m| {
                let host = m.uri.host().and_then(|host| host.ip());
                assert_eq!((host, m.uri.port()), (Some(ip("2001:db8::10:5070")), None));
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "port-unambiguous",
            Accepts(|m| {
                let host = m.uri.host().and_then(|host| host.ip());
                assert_eq!((host, m.uri.port()), (Some(ip("2001:db8::10")), Some(5070)));
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        // §4.5: received, with and without brackets.
        case(
            "via-received-param-with-delim",
            Accepts(|m| {
                assert_eq!(m.top_via().unwrap().received(), Some(ip("2001:db8::9:255")));
            }),
            Refuses(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        ),
        case(
            "via-received-param-no-delim",
            Accepts(|m| {
                assert_eq!(m.top_via().unwrap().received(), Some(ip("2001:db8::9:255")));
            }),
            Told,
        ),
        // §4.6 to §4.8
        case(
            "ipv6-in-sdp",
            Accepts(|m| {
                assert_eq!(m.method, Method::Invite);
                assert!(m.body.ends_with(b"a=rtpmap:107 H263-1998/90000\r\n"));
            }),
            Told,
        ),
        case(
            "mult-ip-in-header",
            Accepts(|m| {
                let vias = m.vias().unwrap();
                let hosts: Vec<_> = vias.iter().map(|via| (via.host.ip(), via.port)).collect();
                assert_eq!(
                    hosts,
                    [
                        (Some(ip("2001:db8::9:1")), Some(6050)),
                        (Some(ip("192.0.2.1")), None),
                        (Some(ip("2001:db8::9:255")), None),
                    ]
                );
                assert_eq!(vias.last().unwrap().received(), Some(ip("192.0.2.200")));
            }),
            Refuses(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        ),
        case(
            "mult-ip-in-sdp",
            Accepts(|m| assert!(m.body.ends_with(b"a=rtpmap:107 H263-1998/90000\r\n"))),
            Told,
        ),
        // §4.9
        case(
            "ipv4-mapped-ipv6",
            Accepts(|m| {
                let via = m.top_via().unwrap();
                assert_eq!(
                    (via.host.ip(), via.port),
                    (Some(ip("::ffff:192.0.2.10")), Some(19823))
                );
                let contact = m.contact().unwrap().uri;
                assert_eq!(
                    contact.host().and_then(|host| host.ip()),
                    Some(ip("::ffff:192.0.2.2"))
                );
            }),
            Told,
        ),
        // §4.10: the grammar of RFC 3261 leads to a colon too many; it is read as if it were not there.
        case(
            "ipv6-bug-abnf-3-colons",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:user@[2001:db8::c000:201]")),
            Told,
        ),
        case(
            "ipv6-correct-abnf-2-colons",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:user@[2001:db8::c000:201]")),
            Told,
        ),
    ]
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
