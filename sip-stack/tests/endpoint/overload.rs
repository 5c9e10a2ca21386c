//! More than there is room for: what is new is refused, what is under way goes on (SIP-14).

use std::time::Duration;

use stox_sip::{
    Authentication, Demand, EndCause, Event, InviteId, Message, MessageLimits, Method, Name, Reply,
    Request, Response, Secret, ServerTransactionId, Status, User,
};

use crate::alone::{Alone, contact, incoming};
use crate::log::Log;
use crate::stage::{ROMEO, source};

/// SIP-14
#[test]
fn what_is_new_is_refused_and_sessions_go_on() {
    let mut alone = Alone::new(|config| config.limits.server_transactions = 1);
    let (invite, answer) = establish(&mut alone);
    alone.hears(incoming(Method::Message, 2));
    let waiting = told(&mut alone);

    for (method, number) in [
        (Method::Invite, 3),
        (Method::Subscribe, 4),
        (Method::Message, 5),
        (Method::Options, 6),
        (Method::Refer, 7),
    ] {
        alone.hears(incoming(method, number));
        let refusal = alone.response();
        assert_eq!(refusal.status, Status::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.headers.retry_after(), Ok(5));
        assert!(alone.event().is_none());
    }

    // A message in the session is told and answered.
    alone.hears(inside(Method::Message, 11, &answer));
    let message = told(&mut alone);
    alone
        .romeo
        .respond(message, Reply::new(Status::OK), alone.now);
    assert_eq!(alone.response().status, Status::OK);
    // So is a change of it, though the message before still waits.
    alone.hears(inside(Method::Invite, 12, &answer));
    let Some(Event::Reinvited { transaction, .. }) = alone.event() else {
        panic!("no re-INVITE")
    };
    // At twice the bound even sessions have to wait, but not to end.
    alone.hears(inside(Method::Message, 13, &answer));
    assert_eq!(alone.response().status, Status::SERVICE_UNAVAILABLE);
    alone.romeo.respond(
        transaction,
        Reply::new(Status::NOT_ACCEPTABLE_HERE),
        alone.now,
    );
    alone.hears(inside(Method::Bye, 14, &answer));
    assert_eq!(alone.response().status, Status::OK);
    assert!(matches!(
        alone.event(),
        Some(Event::Ended { invite: ended, cause: EndCause::Bye(_) }) if ended == invite
    ));

    // As soon as there is room, what is new is taken.
    alone
        .romeo
        .respond(waiting, Reply::new(Status::OK), alone.now);
    assert_eq!(alone.response().status, Status::OK);
    alone.hears(incoming(Method::Message, 8));
    let message = told(&mut alone);
    alone
        .romeo
        .respond(message, Reply::new(Status::OK), alone.now);
    alone.elapse(Duration::from_secs(200));
    assert!(alone.event().is_none());
    assert_eq!(alone.romeo.poll_timeout(), None);
}

/// SIP-14
#[test]
fn sessions_are_so_many() {
    let mut alone = Alone::new(|config| config.limits.invites = 1);
    let (invite, _) = establish(&mut alone);
    alone.hears(incoming(Method::Invite, 2));
    let refusal = alone.response();
    assert_eq!(refusal.status, Status::SERVICE_UNAVAILABLE);
    assert_eq!(refusal.headers.retry_after(), Ok(5));
    // Other requests are none of this bound.
    alone.hears(incoming(Method::Message, 3));
    let message = told(&mut alone);
    alone
        .romeo
        .respond(message, Reply::new(Status::OK), alone.now);

    alone.romeo.bye(invite, vec![], alone.now);
    let bye = alone.request();
    alone.hears(Response::to_request(&bye, Status::OK));
    assert!(matches!(alone.event(), Some(Event::Ended { .. })));
    alone.hears(incoming(Method::Invite, 4));
    assert!(matches!(alone.event(), Some(Event::Invited { .. })));
}

/// SIP-14: the log speaks of each source once a minute, for whatever it does.
#[test]
fn the_log_is_not_flooded() {
    let log = Log::listen();
    let mut alone = Alone::new(|config| {
        config.limits.server_transactions = 1;
        config.authentication = vec![Authentication::new(
            "example.net",
            Demand::Networks(vec!["192.0.2.99".parse().unwrap()]),
            vec![User {
                name: "juliet".into(),
                secret: Secret::new("wherefore"),
            }],
        )];
    });
    let others = "192.0.2.7:5060";

    // No SIP at all.
    for _ in 0..3 {
        receives(&mut alone, others, b"GET / HTTP/1.1\r\n\r\n");
    }
    assert_eq!(log.count("no SIP message"), 1);
    // Beyond the limits.
    let large = incoming(Method::Message, 1).with_body("text/plain", "x".repeat(1000));
    for _ in 0..3 {
        receives(&mut alone, others, &large.to_bytes());
    }
    assert_eq!(alone.response().status, Status::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(log.count("beyond the limits"), 1);
    // A wrong password.
    for number in 1..4 {
        let request = incoming(Method::Message, number).with_header(
            Name::Authorization,
            "Digest username=\"juliet\", realm=\"example.net\", nonce=\"x\", uri=\"sip:romeo@192.0.2.2\", \
             response=\"00000000000000000000000000000000\", algorithm=MD5",
        );
        hears_from(&mut alone, "192.0.2.99:5060", request);
        assert_eq!(alone.response().status, Status::UNAUTHORIZED);
    }
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("a wrong password"));
    assert!(!lines[0].contains("juliet"), "{lines:?}");
    // No room.
    for number in 4..8 {
        hears_from(&mut alone, others, incoming(Method::Message, number));
    }
    assert_eq!(log.count("no room"), 1);
    // Somebody else, or a minute later.
    hears_from(&mut alone, "192.0.2.8:5060", incoming(Method::Message, 8));
    assert_eq!(log.count("no room"), 1);
    alone.elapse(Duration::from_secs(60));
    hears_from(&mut alone, others, incoming(Method::Message, 9));
    hears_from(&mut alone, others, incoming(Method::Message, 10));
    assert_eq!(log.count("no room"), 1);
}

/// Brings bytes to the endpoint as the driver does, with small limits.
fn receives(alone: &mut Alone, remote: &str, datagram: &[u8]) {
    let limits = MessageLimits {
        body: 100,
        ..MessageLimits::default()
    };
    let message = Message::parse_datagram_within(datagram.to_vec().into(), &limits);
    alone
        .romeo
        .handle_received(message, source(ROMEO, remote), alone.now);
}

fn hears_from(alone: &mut Alone, remote: &str, request: Request) {
    let message = Ok(request.into());
    alone
        .romeo
        .handle_received(message, source(ROMEO, remote), alone.now);
}

/// A session that the peer began; the INVITE's answer.
fn establish(alone: &mut Alone) -> (InviteId, Response) {
    alone.hears(incoming(Method::Invite, 1));
    let Some(Event::Invited { invite, .. }) = alone.event() else {
        panic!("no INVITE")
    };
    let reply = Reply {
        contact: Some(contact()),
        ..Reply::new(Status::OK)
    };
    alone.romeo.answer(invite, reply, alone.now);
    let answer = alone.response();
    alone.hears(inside(Method::Ack, 1, &answer));
    assert!(matches!(alone.event(), Some(Event::Acknowledged { .. })));
    (invite, answer)
}

/// A request of the peer in the dialog that the answer made.
fn inside(method: Method, number: u32, answer: &Response) -> Request {
    let mut request = incoming(method, number);
    request
        .headers
        .set(Name::To, answer.to().unwrap().to_string());
    request
        .headers
        .set(Name::CallId, answer.call_id().unwrap().to_owned());
    request
}

#[track_caller]
fn told(alone: &mut Alone) -> ServerTransactionId {
    match alone.event() {
        Some(Event::Requested { transaction, .. }) => transaction,
        event => panic!("{event:?}"),
    }
}
