//! What an endpoint says of itself, and which bodies it takes. RFC 3261 §8.2.3, §11.2, §20; RFC 6665 §4.4.4.

use stox_sip::{
    Event, EventPackage, Headers, InviteId, Method, Name, Package, Reply, RequestId, Response,
    Status, Subscribe, SubscriptionId,
};

use crate::alone::{Alone, contact, incoming, invite, outgoing};
use crate::stage::address;

const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK";

fn stage() -> Alone {
    let mut stage = Alone::new(|config| {
        config.supported = vec!["timer".into(), "gruu".into()];
        config.accept = vec!["application/sdp".into(), "text/plain".into()];
    });
    stage.romeo.serve_events(vec![
        Package::new("presence", []),
        Package::new("presence.winfo", []),
        Package::new("conference", []),
    ]);
    stage
}

/// The only value of that field.
#[track_caller]
fn only<'a>(headers: &'a Headers, name: &'a Name) -> &'a str {
    let fields: Vec<_> = headers.fields(name).collect();
    assert_eq!(fields.len(), 1, "{name}: {fields:?}");
    fields[0]
}

/// SIP-17. What begins a dialog says what we take and do, each once; other requests say who we are.
#[test]
fn requests_tell_what_we_can() {
    let mut stage = stage();
    stage.romeo.invite(InviteId::ours(1), invite(), stage.now);
    let mut subscribe = Subscribe::new(
        "sip:juliet@192.0.2.1".parse().unwrap(),
        address("romeo"),
        address("juliet"),
        contact(),
        EventPackage::new("presence"),
    );
    subscribe.expires = 600;
    stage
        .romeo
        .subscribe(SubscriptionId::new(2), subscribe, stage.now);
    let requests = stage.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(only(&request.headers, &Name::Allow), ALLOW);
        assert_eq!(only(&request.headers, &Name::Supported), "timer, gruu");
        // Templates are not told. RFC 6665 §4.4.4.
        let events = only(&request.headers, &Name::AllowEvents);
        assert_eq!(events, "presence, conference");
        assert_eq!(only(&request.headers, &Name::UserAgent), "test");
    }
    stage
        .romeo
        .request(RequestId::ours(3), outgoing(Method::Options), stage.now);
    let options = stage.request();
    assert_eq!(
        only(&options.headers, &Name::Accept),
        "application/sdp, text/plain"
    );
    stage
        .romeo
        .request(RequestId::ours(4), outgoing(Method::Message), stage.now);
    let message = stage.request();
    assert_eq!(only(&message.headers, &Name::UserAgent), "test");
    for name in [
        Name::Allow,
        Name::Supported,
        Name::AllowEvents,
        Name::Accept,
    ] {
        assert_eq!(message.headers.first(&name), None);
    }
}

/// SIP-17. What the user says goes before what we would say, and nothing stands there twice.
#[test]
fn what_the_user_says_is_not_said_again() {
    let mut stage = stage();
    let mut request = invite();
    request.headers = vec![
        (Name::UserAgent, "Mercutio".into()),
        (Name::UserAgent, "Benvolio".into()),
        (Name::Supported, "norefersub, GRUU".into()),
        (Name::Allow, "INVITE, ACK".into()),
        (Name::AllowEvents, "talk".into()),
        (Name::Subject, "one".into()),
        (Name::Subject, "two".into()),
        // The endpoint's own.
        (Name::Via, "SIP/2.0/UDP elsewhere".into()),
        (Name::Contact, "<sip:else@where>".into()),
        (Name::MaxForwards, "1".into()),
        (Name::CSeq, "9 BYE".into()),
        (Name::ContentType, "x/y".into()),
    ];
    stage.romeo.invite(InviteId::ours(1), request, stage.now);
    let sent = stage.request();
    for (name, expected) in [
        (Name::UserAgent, "Mercutio"),
        (Name::Supported, "norefersub, GRUU, timer"),
        (Name::Allow, "INVITE, ACK"),
        (Name::AllowEvents, "talk"),
        (Name::Subject, "one"),
        (Name::Contact, "<sip:romeo@192.0.2.2:5060>"),
        (Name::MaxForwards, "70"),
        (Name::CSeq, "1 INVITE"),
    ] {
        assert_eq!(only(&sent.headers, &name), expected);
    }
    assert!(only(&sent.headers, &Name::Via).starts_with("SIP/2.0/UDP 192.0.2.2:5060;"));
    assert_eq!(sent.headers.first(&Name::ContentType), None);
    // Nor in answers.
    stage.hears(incoming(Method::Options, 1));
    let mut reply = Reply::new(Status::OK);
    reply.headers = vec![
        (Name::Server, "Mercutio".into()),
        (Name::Accept, "text/html".into()),
        (Name::Allow, "OPTIONS".into()),
        (Name::CallId, "another".into()),
    ];
    let answer = answer(&mut stage, reply);
    for (name, expected) in [
        (Name::Server, "Mercutio"),
        (Name::Accept, "text/html"),
        (Name::Allow, "OPTIONS"),
        (Name::CallId, "OPTIONS-1"),
    ] {
        assert_eq!(only(&answer.headers, &name), expected);
    }
}

/// SIP-08, SIP-17. Who asks by OPTIONS is told everything; RFC 3261 §11.2.
#[test]
fn options_are_answered_in_full() {
    let mut stage = stage();
    stage.hears(incoming(Method::Options, 1));
    let answer = answer(&mut stage, Reply::new(Status::OK));
    for (name, expected) in [
        (Name::Allow, ALLOW),
        (Name::Supported, "timer, gruu"),
        (Name::Accept, "application/sdp, text/plain"),
        (Name::AcceptEncoding, "identity"),
        (Name::AllowEvents, "presence, conference"),
        (Name::Server, "test"),
    ] {
        assert_eq!(only(&answer.headers, &name), expected);
    }
    stage.hears(incoming(Method::Options, 2));
    let refusal = answer_of(&mut stage, Status::NOT_FOUND);
    assert_eq!(refusal.headers.first(&Name::Allow), None);
    assert_eq!(only(&refusal.headers, &Name::Server), "test");
}

/// SIP-17. So is who gets a 2xx to an INVITE.
#[test]
fn accepted_invitations_tell_what_we_can() {
    let mut stage = stage();
    stage.hears(incoming(Method::Invite, 1));
    let Some(Event::Invited { invite, .. }) = stage.event() else {
        panic!()
    };
    let now = stage.now;
    stage.romeo.answer(invite, Reply::new(Status::OK), now);
    let answer = stage.response();
    for (name, expected) in [
        (Name::Allow, ALLOW),
        (Name::Supported, "timer, gruu"),
        (Name::AllowEvents, "presence, conference"),
        (Name::Server, "test"),
    ] {
        assert_eq!(only(&answer.headers, &name), expected);
    }
}

/// SIP-06, SIP-17. Methods that are not allowed by the configuration get 405, with those that are.
#[test]
fn methods_are_configurable() {
    let mut stage = Alone::new(|config| {
        config.allow = vec![Method::Options, Method::Info];
        config.user_agent = String::new();
    });
    stage.hears(incoming(Method::Invite, 1));
    let refusal = stage.response();
    assert_eq!(refusal.status, Status::METHOD_NOT_ALLOWED);
    assert_eq!(only(&refusal.headers, &Name::Allow), "OPTIONS, INFO");
    assert_eq!(refusal.headers.first(&Name::Server), None);
    stage.hears(incoming(Method::Info, 2));
    assert!(matches!(stage.event(), Some(Event::Requested { .. })));
}

/// SIP-07, SIP-19. Bodies that must be understood and cannot be get 415, with what could; others are told.
#[test]
fn bodies_that_cannot_be_taken() {
    let mixed = |fields: &str| {
        format!(
            "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\nContent-Type: image/png\r\n{fields}\r\npng\r\n--b--"
        )
    };
    let optional = mixed("Content-Disposition: icon;handling=optional\r\n");
    let (multipart, png) = ("multipart/mixed;boundary=b", "image/png");
    let gzip = (Name::ContentEncoding, "gzip");
    let none = (Name::ContentEncoding, "identity");
    for (number, (method, content_type, body, field, expected)) in [
        (
            Method::Message,
            "text/plain; charset=utf-8",
            "hi",
            None,
            None,
        ),
        (Method::Message, "text/plain", "hi", Some(none), None),
        (
            Method::Message,
            "text/plain",
            "hi",
            Some(gzip.clone()),
            Some((415, Name::AcceptEncoding, "identity")),
        ),
        (
            Method::Notify,
            "text/plain",
            "hi",
            Some(gzip),
            Some((415, Name::AcceptEncoding, "identity")),
        ),
        (
            Method::Message,
            png,
            "png",
            None,
            Some((415, Name::Accept, "application/sdp, text/plain")),
        ),
        (
            Method::Invite,
            png,
            "png",
            None,
            Some((415, Name::Accept, "application/sdp, text/plain")),
        ),
        (Method::Invite, multipart, &optional, None, None),
        (
            Method::Invite,
            multipart,
            &mixed(""),
            None,
            Some((415, Name::Accept, "application/sdp, text/plain")),
        ),
        (
            Method::Invite,
            multipart,
            "no boundary",
            None,
            Some((400, Name::Server, "test")),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stage = stage();
        let mut request = incoming(method, u32::try_from(number).unwrap())
            .with_body(content_type, body.to_owned());
        if let Some((name, value)) = field {
            request.headers.push(name, value);
        }
        stage.hears(request);
        match expected {
            Some((status, name, value)) => {
                let refusal = stage.response();
                assert_eq!(refusal.status.code(), status, "{content_type} {body}");
                assert_eq!(only(&refusal.headers, &name), value);
                assert!(stage.event().is_none());
            }
            None => {
                let Some(Event::Requested { request, .. } | Event::Invited { request, .. }) =
                    stage.event()
                else {
                    panic!("{content_type} {body}")
                };
                let is_session = request.part("application/sdp").is_some();
                assert_eq!(is_session, content_type == multipart);
            }
        }
    }
}

/// SIP-19. Without a list of media types every one is told, and only an encoding is refused.
#[test]
fn every_type_is_told_where_none_is_named() {
    let mut stage = Alone::new(|_| ());
    stage.hears(incoming(Method::Message, 1).with_body("image/png", "png"));
    assert!(matches!(stage.event(), Some(Event::Requested { .. })));
}

fn answer_of(stage: &mut Alone, status: Status) -> Response {
    answer(stage, Reply::new(status))
}

/// Answers the request that was told of.
#[track_caller]
fn answer(stage: &mut Alone, reply: Reply) -> Response {
    let Some(Event::Requested { transaction, .. }) = stage.event() else {
        panic!()
    };
    stage.romeo.respond(transaction, reply, stage.now);
    stage.response()
}
