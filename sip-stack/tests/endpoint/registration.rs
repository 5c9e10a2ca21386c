//! Registrations of ours: RFC 3261 §10.2.

use std::time::Duration;

use stox_sip::{
    CredentialScope, Credentials, Event, Failure, Method, Name, Register, RegistrationFailure,
    RegistrationId, Request, Secret, Status,
};

use crate::alone::{Alone, contact};
use crate::stage::address;

const ID: RegistrationId = RegistrationId::new(1);
const HOUR: &[(Name, &str)] = &[(
    Name::Contact,
    "<sip:other@192.0.2.77>;expires=20, <sip:romeo@192.0.2.2:5060>;expires=3600",
)];

fn registered(adjust: impl FnOnce(&mut stox_sip::EndpointConfig)) -> Alone {
    let mut stage = Alone::new(adjust);
    // Who registers is in the Request-URI no more.
    let registrar = "sip:romeo@192.0.2.1;transport=udp".parse().unwrap();
    let register = Register::new(registrar, address("romeo"), contact());
    stage.romeo.register(ID, register, stage.now);
    stage
}

/// What the REGISTERs of one registration have in common, and their CSeq and Expires.
fn check(request: &Request, cseq: u32, expires: u32) -> [String; 2] {
    assert_eq!(request.method, Method::Register);
    assert_eq!(request.uri.to_string(), "sip:192.0.2.1;transport=udp");
    assert_eq!(request.to().unwrap(), address("romeo"));
    let contact = request.contact().unwrap().to_string();
    assert_eq!(contact, "<sip:romeo@192.0.2.2:5060>");
    assert_eq!(request.cseq().unwrap().number, cseq);
    assert_eq!(request.expires().unwrap(), expires);
    [Name::CallId, Name::From].map(|name| request.headers.first(&name).unwrap().to_owned())
}

/// SIP-20, SIP-15. Challenged, asked for longer, refreshed before it ends, taken back: one Call-ID, one From tag, and a
/// CSeq that rises.
#[test]
fn the_life_of_a_registration() {
    let mut stage = registered(|config| {
        config.credentials = vec![Credentials {
            scope: CredentialScope::Realm("example.net".into()),
            user: "romeo".into(),
            secret: Secret::new("wherefore"),
        }];
    });
    let first = stage.request();
    let same = check(&first, 1, 3600);
    assert_eq!(first.headers.first(&Name::Authorization), None);
    let challenge = "Digest realm=\"example.net\", nonce=\"n\", qop=\"auth\"";
    stage.answers(
        &first,
        Status::UNAUTHORIZED,
        &[(Name::WwwAuthenticate, challenge)],
    );
    let second = stage.request();
    assert_eq!(check(&second, 2, 3600), same);
    assert!(second.headers.first(&Name::Authorization).is_some());
    stage.answers(
        &second,
        Status::INTERVAL_TOO_BRIEF,
        &[(Name::MinExpires, "7200")],
    );
    let third = stage.request();
    assert_eq!(check(&third, 3, 7200), same);
    stage.answers(&third, Status::OK, HOUR);
    // Its own contact counts, not that of another.
    assert!(matches!(
        stage.event(),
        Some(Event::Registered {
            registration: ID,
            expires: 3600
        })
    ));
    stage.elapse(Duration::from_secs(2879));
    assert!(stage.requests().is_empty());
    stage.elapse(Duration::from_secs(1));
    let refresh = stage.request();
    assert_eq!(check(&refresh, 4, 7200), same);
    stage.answers(&refresh, Status::OK, HOUR);
    assert!(matches!(stage.event(), Some(Event::Registered { .. })));
    stage.romeo.unregister(ID, stage.now);
    let last = stage.request();
    assert_eq!(check(&last, 5, 0), same);
    assert!(stage.event().is_none());
    stage.answers(&last, Status::OK, &[]);
    assert!(matches!(
        stage.event(),
        Some(Event::Unregistered { registration: ID })
    ));
    stage.ends_with_nothing_left();
}

/// SIP-20. Silence and refusal are told, and tried again later.
#[test]
fn failures_are_told_and_tried_again() {
    let mut stage = registered(|_| ());
    let refused = Some(RegistrationFailure::Refused(Status::FORBIDDEN));
    let unlisted = Some(RegistrationFailure::NotListed);
    let silence = Some(RegistrationFailure::Unanswered(Failure::Timeout));
    let elsewhere: &[_] = &[(Name::Contact, "<sip:romeo@192.0.2.3>;expires=60")];
    let mut cseq = 0;
    for (answer, expected) in [
        (None, silence),
        (Some((Status::FORBIDDEN, &[][..])), refused),
        (Some((Status::OK, elsewhere)), unlisted),
        (Some((Status::OK, HOUR)), None),
    ] {
        let request = stage.request();
        cseq += 1;
        check(&request, cseq, 3600);
        match answer {
            Some((status, fields)) => stage.answers(&request, status, fields),
            None => stage.elapse(Duration::from_secs(32)),
        }
        stage.says();
        match (stage.event(), expected) {
            (
                Some(Event::RegistrationFailed {
                    cause, again_in, ..
                }),
                Some(expected),
            ) => {
                assert_eq!(cause, expected);
                assert!(again_in >= Duration::from_secs(15));
                stage.elapse(again_in - Duration::from_millis(1));
                assert!(stage.requests().is_empty());
                stage.elapse(Duration::from_millis(1));
            }
            (Some(Event::Registered { .. }), None) => {}
            event => panic!("{event:?}"),
        }
    }
}

/// SIP-20. Nothing is left behind at the registrar when we close, and nothing new is begun.
#[test]
fn registrations_are_taken_back_before_closing() {
    let mut stage = registered(|_| ());
    let request = stage.request();
    // While the first one is under way, no other is sent. RFC 3261 §10.2.
    stage.romeo.unregister_all(stage.now);
    stage.romeo.close();
    assert!(stage.requests().is_empty());
    assert!(!stage.romeo.is_idle());
    stage.answers(&request, Status::OK, HOUR);
    let last = stage.request();
    check(&last, 2, 0);
    stage.answers(&last, Status::FORBIDDEN, &[]);
    assert!(matches!(stage.event(), Some(Event::Unregistered { .. })));
    let late = RegistrationId::new(2);
    let registrar = "sip:192.0.2.1".parse().unwrap();
    let register = Register::new(registrar, address("romeo"), contact());
    stage.romeo.register(late, register, stage.now);
    assert!(matches!(
        stage.event(),
        Some(Event::Unregistered { registration }) if registration == late
    ));
    stage.ends_with_nothing_left();
}
