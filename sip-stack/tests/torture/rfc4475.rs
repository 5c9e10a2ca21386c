//! The messages of RFC 4475. Where it allows to be strict or liberal, the table shows what was chosen.
//!
//! Where a method is not served, 405 and Allow is the answer, whether the method is known or not (RFC 3261 §8.2.1); what an
//! endpoint judges by itself comes before what RFC 4475 wants to show with the message.

use stox_sip::{Fault, HeaderError, Method, Name, Status, UriError};

use super::Outcome::{Dropped, Reads, Refused, Request as Accepts};
use super::OverStreams::{Lost, Waits};
use super::Reaction::{Nothing, Refuses, Told};
use super::{Case, case};

pub fn cases() -> Vec<Case> {
    vec![
        // §3.1.1 Valid messages
        case(
            "wsinv",
            Accepts(|m| {
                assert_eq!(m.method, Method::Invite);
                assert_eq!(
                    m.uri.to_string(),
                    "sip:vivekg@chair-dnrc.example.com;unknownparam"
                );
                assert_eq!(m.max_forwards(), Ok(68));
                assert_eq!(m.call_id(), Ok("wsinv.ndaksdj@192.0.2.1"));
                assert_eq!(m.cseq().unwrap().number, 9);
                assert_eq!(
                    m.from().unwrap().display_name.as_deref(),
                    Some("J Rosenberg \\\"")
                );
                assert_eq!(m.from().unwrap().tag(), Some("98asjd8"));
                assert_eq!(m.to().unwrap().tag(), Some("1918181833n"));
                let vias: Vec<_> = m.vias().unwrap().iter().map(ToString::to_string).collect();
                assert_eq!(
                    vias,
                    [
                        "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
                        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
                        "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
                    ]
                );
                assert_eq!(m.headers.first(&Name::Subject), Some(""));
                assert_eq!(
                    m.headers.first(&name("NewFangledHeader")),
                    Some("newfangled value continued newfangled value")
                );
                assert_eq!(
                    m.headers.first(&name("UnknownHeaderWithUnusualValue")),
                    Some(";;,,;;,;")
                );
                assert_eq!(m.content_type().unwrap().to_string(), "application/sdp");
                assert_eq!(
                    m.routes().unwrap().first().unwrap().uri.to_string(),
                    "sip:services.example.com;lr;unknownwith=value;unknown-no-value"
                );
                assert_eq!(
                    m.contact().unwrap().to_string(),
                    "\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com>;newparam=newvalue;secondparam;q=0.33"
                );
                assert_eq!(m.body.len(), 150);
            }),
            Refuses(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        ),
        case(
            "intmeth",
            Accepts(|m| {
                assert_eq!(
                    m.method.as_str(),
                    "!interesting-Method0123456789_*+`.%indeed'~"
                );
                assert_eq!(m.cseq().unwrap().method, m.method);
                assert_eq!(
                    m.uri.password(),
                    Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
                );
                assert_eq!(
                    m.to().unwrap().display_name.as_deref(),
                    Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
                );
                assert_eq!(
                    m.from()
                        .unwrap()
                        .params
                        .unquoted("fromParam''~+*_!.-%")
                        .as_deref(),
                    Some("работающий")
                );
                assert_eq!(
                    m.headers.first(&name("EXTENSIONHeader-!.%*+_`'~")),
                    Some("\u{feff}大停電")
                );
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "esc01",
            Accepts(|m| {
                assert_eq!(
                    m.uri.user_decoded().as_deref(),
                    Some("sips:user@example.com")
                );
                assert_eq!(
                    m.contact().unwrap().uri.user_decoded().as_deref(),
                    Some("caller")
                );
                assert_eq!(
                    m.from().unwrap().uri.user_decoded().as_deref(),
                    Some("I have spaces")
                );
            }),
            Told,
        ),
        case(
            "escnull",
            Accepts(|m| assert_eq!(m.contacts().unwrap().len(), 2)),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "esc02",
            Accepts(|m| assert_eq!(m.method.as_str(), "RE%47IST%45R")),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "lwsdisp",
            Accepts(|m| assert_eq!(m.from().unwrap().display_name.as_deref(), Some("caller"))),
            Told,
        ),
        case(
            "longreq",
            Accepts(|m| {
                assert_eq!(m.vias().unwrap().len(), 34);
                assert_eq!(m.call_id().unwrap().len(), 141);
            }),
            Told,
        ),
        // On a stream what follows is an INVITE without Contact, and after that the end of a body too long.
        case(
            "dblreq",
            Accepts(|m| {
                assert_eq!(m.method, Method::Register);
                assert_eq!(m.call_id(), Ok("dblreq.0ha0isndaksdj99sdfafnl3lk233412"));
                assert!(m.body.is_empty());
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        )
        .over_streams(Lost(&[Status::METHOD_NOT_ALLOWED, Status::BAD_REQUEST])),
        case(
            "semiuri",
            Accepts(|m| {
                assert_eq!(
                    m.uri.user_decoded().as_deref(),
                    Some("user;par=u@example.net")
                )
            }),
            Told,
        ),
        case(
            "transports",
            Accepts(|m| {
                let names: Vec<_> = m
                    .vias()
                    .unwrap()
                    .iter()
                    .map(|via| via.transport.to_string())
                    .collect();
                assert_eq!(names, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
            }),
            Told,
        ),
        case(
            "mpart01",
            Accepts(|m| {
                assert!(m.content_type().unwrap().is("multipart/mixed"));
                assert_eq!(
                    m.content_type()
                        .unwrap()
                        .params
                        .unquoted("boundary")
                        .as_deref(),
                    Some("7a9cbec02ceef655")
                );
                assert!(m.body.contains(&0x82));
            }),
            Told,
        ),
        case(
            "unreason",
            Reads(|m| assert_eq!(m.reason, "= 2**3 * 5**2 но сто девяносто девять - простое")),
            Nothing,
        ),
        case(
            "noreason",
            Reads(|m| assert_eq!((m.status, m.reason.as_str()), (Status::TRYING, ""))),
            Nothing,
        ),
        // §3.1.2 Invalid messages
        case(
            "badinv01",
            Refused(malformed(Name::Via)),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "clerr",
            Refused(Fault::Truncated),
            Refuses(Status::BAD_REQUEST),
        )
        .over_streams(Waits),
        case(
            "ncl",
            Refused(malformed(Name::ContentLength)),
            Refuses(Status::BAD_REQUEST),
        )
        .over_streams(Lost(&[Status::BAD_REQUEST])),
        case(
            "scalar02",
            Refused(malformed(Name::CSeq)),
            Refuses(Status::BAD_REQUEST),
        ),
        case("scalarlg", Dropped(malformed(Name::CSeq)), Nothing),
        case(
            "quotbal",
            Refused(malformed(Name::To)),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "ltgtruri",
            Refused(Fault::RequestUri(UriError::Character)),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "lwsruri",
            Refused(Fault::RequestUri(UriError::Character)),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "lwsstart",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:user@example.com")),
            Told,
        ),
        case(
            "trws",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:remote-target@example.com")),
            Told,
        ),
        case(
            "escruri",
            Refused(Fault::RequestUriHeaders),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "baddate",
            Accepts(|m| {
                assert_eq!(
                    m.headers.first(&Name::Date),
                    Some("Fri, 01 Jan 2010 16:00:00 EST")
                )
            }),
            Told,
        ),
        case(
            "regbadct",
            Refused(malformed(Name::Contact)),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "badaspec",
            Accepts(|m| assert_eq!(m.to().unwrap().uri.to_string(), "sip:t.watson@example.org")),
            Told,
        ),
        // In the archive the header section has no end.
        case(
            "baddn",
            Accepts(|m| {
                assert_eq!(
                    m.from().unwrap().display_name.as_deref(),
                    Some("Bell, Alexander")
                )
            }),
            Told,
        )
        .over_streams(Waits),
        case(
            "badvers",
            Refused(Fault::Version),
            Refuses(Status::VERSION_NOT_SUPPORTED),
        ),
        case(
            "mismatch01",
            Refused(Fault::MethodMismatch),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "mismatch02",
            Refused(Fault::MethodMismatch),
            Refuses(Status::BAD_REQUEST),
        ),
        case("bigcode", Dropped(Fault::Status), Nothing),
        // §3.2 Transaction layer: the branch is the cookie alone, so the rules of RFC 2543 apply.
        case(
            "badbranch",
            Accepts(|m| assert!(!m.top_via().unwrap().has_unique_branch())),
            Told,
        ),
        // §3.3 Application layer: read here, judged above.
        case(
            "insuf",
            Refused(Fault::Header(HeaderError::Missing(Name::From))),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "unkscm",
            Accepts(|m| assert_eq!(m.uri.scheme().as_str(), "nobodyKnowsThisScheme")),
            Refuses(Status::UNSUPPORTED_URI_SCHEME),
        ),
        case(
            "novelsc",
            Accepts(|m| assert_eq!(m.uri.scheme().as_str(), "soap.beep")),
            Refuses(Status::UNSUPPORTED_URI_SCHEME),
        ),
        case(
            "unksm2",
            Accepts(|m| assert_eq!(m.to().unwrap().uri.scheme().as_str(), "isbn")),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "bext01",
            Accepts(|m| {
                assert_eq!(
                    m.headers.all(&Name::Require).collect::<Vec<_>>(),
                    ["nothingSupportsThis", "nothingSupportsThisEither"]
                );
            }),
            Refuses(Status::BAD_EXTENSION),
        ),
        case(
            "invut",
            Accepts(|m| assert!(m.content_type().unwrap().is("application/unknownformat"))),
            Told,
        ),
        case(
            "regaut01",
            Accepts(|m| {
                assert_eq!(
                    m.headers.first(&Name::Authorization),
                    Some("NoOneKnowsThisScheme opaque-data=here")
                )
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "multi01",
            Refused(Fault::Header(HeaderError::Repeated(Name::CSeq))),
            Refuses(Status::BAD_REQUEST),
        ),
        case(
            "mcl01",
            Refused(Fault::Header(HeaderError::Repeated(Name::ContentLength))),
            Refuses(Status::BAD_REQUEST),
        )
        .over_streams(Lost(&[Status::BAD_REQUEST])),
        case(
            "bcast",
            Reads(|m| assert_eq!(m.vias().unwrap().len(), 2)),
            Nothing,
        ),
        case(
            "zeromf",
            Accepts(|m| assert_eq!(m.max_forwards(), Ok(0))),
            Told,
        ),
        case(
            "cparam01",
            Accepts(|m| assert!(m.contact().unwrap().params.contains("unknownparam"))),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "cparam02",
            Accepts(|m| assert!(m.contact().unwrap().uri.params().contains("unknownparam"))),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "regescrt",
            Accepts(|m| {
                assert_eq!(
                    m.contact().unwrap().uri.header("Route").as_deref(),
                    Some("<sip:sip.example.com>")
                )
            }),
            Refuses(Status::METHOD_NOT_ALLOWED),
        ),
        case(
            "sdp01",
            Accepts(|m| assert_eq!(m.headers.first(&Name::Accept), Some("text/nobodyKnowsThis"))),
            Told,
        ),
        // §3.4 RFC 2543: no tag, no branch, no Content-Length.
        case(
            "inv2543",
            Accepts(|m| {
                assert_eq!(m.from().unwrap().tag(), None);
                assert_eq!(m.top_via().unwrap().branch(), None);
                assert!(m.body.starts_with(b"v=0\r\n"));
            }),
            Told,
        )
        .over_streams(Lost(&[Status::BAD_REQUEST])),
        // In the archive only.
        case("test", Dropped(Fault::NotSip), Nothing).over_streams(Lost(&[])),
    ]
}

fn malformed(name: Name) -> Fault {
    Fault::Header(HeaderError::Malformed(name))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}
