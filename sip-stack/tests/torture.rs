//! Every message of the archive in RFC 4475, with what becomes of it here (SIP-02). Where the RFC allows to be strict or
//! liberal, the table shows what was chosen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use stox_sip::{
    Fault, HeaderError, Message, Method, Name, ParseError, Request, Response, Status, UriError,
};

/// What becomes of a message.
enum Outcome {
    /// A request that is read; whether it is served is decided above.
    Request(fn(&Request)),
    /// A response that is read.
    Response(fn(&Response)),
    /// A request answered with this status.
    Refused(Status, Fault),
    /// Not answered.
    Dropped(Fault),
}

use Outcome::{Dropped, Refused, Request as Accepts, Response as Reads};

fn table() -> Vec<(&'static str, Outcome)> {
    vec![
        // §3.1.1 Valid messages
        (
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
        ),
        (
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
        ),
        (
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
        ),
        (
            "escnull",
            Accepts(|m| assert_eq!(m.contacts().unwrap().len(), 2)),
        ),
        (
            "esc02",
            Accepts(|m| assert_eq!(m.method.as_str(), "RE%47IST%45R")),
        ),
        (
            "lwsdisp",
            Accepts(|m| assert_eq!(m.from().unwrap().display_name.as_deref(), Some("caller"))),
        ),
        (
            "longreq",
            Accepts(|m| {
                assert_eq!(m.vias().unwrap().len(), 34);
                assert_eq!(m.call_id().unwrap().len(), 141);
            }),
        ),
        (
            "dblreq",
            Accepts(|m| {
                assert_eq!(m.method, Method::Register);
                assert_eq!(m.call_id(), Ok("dblreq.0ha0isndaksdj99sdfafnl3lk233412"));
                assert!(m.body.is_empty());
            }),
        ),
        (
            "semiuri",
            Accepts(|m| {
                assert_eq!(
                    m.uri.user_decoded().as_deref(),
                    Some("user;par=u@example.net")
                )
            }),
        ),
        (
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
        ),
        (
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
        ),
        (
            "unreason",
            Reads(|m| assert_eq!(m.reason, "= 2**3 * 5**2 но сто девяносто девять - простое")),
        ),
        (
            "noreason",
            Reads(|m| assert_eq!((m.status, m.reason.as_str()), (Status::TRYING, ""))),
        ),
        // §3.1.2 Invalid messages
        (
            "badinv01",
            Refused(Status::BAD_REQUEST, malformed(Name::Via)),
        ),
        ("clerr", Refused(Status::BAD_REQUEST, Fault::Truncated)),
        (
            "ncl",
            Refused(Status::BAD_REQUEST, malformed(Name::ContentLength)),
        ),
        (
            "scalar02",
            Refused(Status::BAD_REQUEST, malformed(Name::CSeq)),
        ),
        ("scalarlg", Dropped(malformed(Name::CSeq))),
        ("quotbal", Refused(Status::BAD_REQUEST, malformed(Name::To))),
        (
            "ltgtruri",
            Refused(Status::BAD_REQUEST, Fault::RequestUri(UriError::Character)),
        ),
        (
            "lwsruri",
            Refused(Status::BAD_REQUEST, Fault::RequestUri(UriError::Character)),
        ),
        (
            "lwsstart",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:user@example.com")),
        ),
        (
            "trws",
            Accepts(|m| assert_eq!(m.uri.to_string(), "sip:remote-target@example.com")),
        ),
        (
            "escruri",
            Refused(Status::BAD_REQUEST, Fault::RequestUriHeaders),
        ),
        (
            "baddate",
            Accepts(|m| {
                assert_eq!(
                    m.headers.first(&Name::Date),
                    Some("Fri, 01 Jan 2010 16:00:00 EST")
                )
            }),
        ),
        (
            "regbadct",
            Refused(Status::BAD_REQUEST, malformed(Name::Contact)),
        ),
        (
            "badaspec",
            Accepts(|m| assert_eq!(m.to().unwrap().uri.to_string(), "sip:t.watson@example.org")),
        ),
        (
            "baddn",
            Accepts(|m| {
                assert_eq!(
                    m.from().unwrap().display_name.as_deref(),
                    Some("Bell, Alexander")
                )
            }),
        ),
        (
            "badvers",
            Refused(Status::VERSION_NOT_SUPPORTED, Fault::Version),
        ),
        (
            "mismatch01",
            Refused(Status::BAD_REQUEST, Fault::MethodMismatch),
        ),
        (
            "mismatch02",
            Refused(Status::BAD_REQUEST, Fault::MethodMismatch),
        ),
        ("bigcode", Dropped(Fault::Status)),
        // §3.2 Transaction layer: the branch is the cookie alone, so the rules of RFC 2543 apply.
        (
            "badbranch",
            Accepts(|m| assert!(!m.top_via().unwrap().has_unique_branch())),
        ),
        // §3.3 Application layer: read here, judged above.
        (
            "insuf",
            Refused(
                Status::BAD_REQUEST,
                Fault::Header(HeaderError::Missing(Name::From)),
            ),
        ),
        (
            "unkscm",
            Accepts(|m| assert_eq!(m.uri.scheme().as_str(), "nobodyKnowsThisScheme")),
        ),
        (
            "novelsc",
            Accepts(|m| assert_eq!(m.uri.scheme().as_str(), "soap.beep")),
        ),
        (
            "unksm2",
            Accepts(|m| assert_eq!(m.to().unwrap().uri.scheme().as_str(), "isbn")),
        ),
        (
            "bext01",
            Accepts(|m| {
                assert_eq!(
                    m.headers.all(&Name::Require).collect::<Vec<_>>(),
                    ["nothingSupportsThis", "nothingSupportsThisEither"]
                );
            }),
        ),
        (
            "invut",
            Accepts(|m| assert!(m.content_type().unwrap().is("application/unknownformat"))),
        ),
        (
            "regaut01",
            Accepts(|m| {
                assert_eq!(
                    m.headers.first(&Name::Authorization),
                    Some("NoOneKnowsThisScheme opaque-data=here")
                )
            }),
        ),
        (
            "multi01",
            Refused(
                Status::BAD_REQUEST,
                Fault::Header(HeaderError::Repeated(Name::CSeq)),
            ),
        ),
        (
            "mcl01",
            Refused(
                Status::BAD_REQUEST,
                Fault::Header(HeaderError::Repeated(Name::ContentLength)),
            ),
        ),
        ("bcast", Reads(|m| assert_eq!(m.vias().unwrap().len(), 2))),
        ("zeromf", Accepts(|m| assert_eq!(m.max_forwards(), Ok(0)))),
        (
            "cparam01",
            Accepts(|m| assert!(m.contact().unwrap().params.contains("unknownparam"))),
        ),
        (
            "cparam02",
            Accepts(|m| assert!(m.contact().unwrap().uri.params().contains("unknownparam"))),
        ),
        (
            "regescrt",
            Accepts(|m| {
                assert_eq!(
                    m.contact().unwrap().uri.header("Route").as_deref(),
                    Some("<sip:sip.example.com>")
                )
            }),
        ),
        (
            "sdp01",
            Accepts(|m| assert_eq!(m.headers.first(&Name::Accept), Some("text/nobodyKnowsThis"))),
        ),
        // §3.4 RFC 2543: no tag, no branch, no Content-Length.
        (
            "inv2543",
            Accepts(|m| {
                assert_eq!(m.from().unwrap().tag(), None);
                assert_eq!(m.top_via().unwrap().branch(), None);
                assert!(m.body.starts_with(b"v=0\r\n"));
            }),
        ),
        // In the archive only.
        ("test", Dropped(Fault::NotSip)),
    ]
}

/// SIP-02
#[test]
fn every_message_has_its_outcome() {
    for (file, outcome) in table() {
        let result = Message::parse_datagram(read(file));
        match (outcome, result) {
            (Accepts(check), Ok(Message::Request(request))) => check(&request),
            (Reads(check), Ok(Message::Response(response))) => check(&response),
            (Refused(status, fault), Err(error)) => {
                assert_eq!(error.fault(), &fault, "{file}");
                let response = error
                    .response()
                    .unwrap_or_else(|| panic!("{file}: no response"));
                assert_eq!(response.status, status, "{file}");
            }
            (Dropped(fault), Err(error)) => {
                assert_eq!(error.fault(), &fault, "{file}");
                assert_eq!(error.response(), None, "{file}");
            }
            (_, result) => panic!("{file}: {result:?}"),
        }
    }
}

/// What is read is the same again when written and read.
#[test]
fn every_message_survives_writing() {
    for (file, _) in table() {
        if let Ok(message) = Message::parse_datagram(read(file)) {
            assert_eq!(
                Message::parse_datagram(message.to_bytes()),
                Ok(message),
                "{file}"
            );
        }
    }
}

#[test]
fn no_message_of_the_archive_is_left_out() {
    let table = table();
    let in_table: BTreeSet<_> = table
        .iter()
        .map(|(file, _)| format!("{file}.dat"))
        .collect();
    let in_archive: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".dat"))
        .collect();
    assert_eq!(in_table, in_archive);
}

/// Whatever piece of a message is received, nothing breaks, and the error still names the fault.
#[test]
fn no_piece_of_a_message_breaks_the_parser() {
    for (file, _) in table() {
        let whole = read(file);
        for end in 0..whole.len() {
            let _: Result<Message, ParseError> = Message::parse_datagram(whole.slice(..end));
            let _: Result<Message, ParseError> = Message::parse_datagram(whole.slice(end..));
        }
    }
}

fn malformed(name: Name) -> Fault {
    Fault::Header(HeaderError::Malformed(name))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn read(file: &str) -> Bytes {
    Bytes::from(fs::read(folder().join(format!("{file}.dat"))).unwrap())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}
