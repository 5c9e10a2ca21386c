//! Sessions from INVITE to BYE: RFC 3261 §13 and §15.

use stox_sip::{
    EndCause, Event, Failure, InviteId, Method, Name, Reply, Request, RequestId, Response, Status,
};

use crate::stage::{Net, ROMEO, endpoint, invite};

/// CHAT-06, SIP-05, SIP-10. The whole life of a session, and every message of it.
#[test]
fn a_session_from_invite_to_bye() {
    let mut net = Net::new();
    let (ours, theirs) = net.ring();
    net.accept(theirs, Reply::new(Status::OK));
    net.romeo.request_in(
        theirs,
        RequestId::ours(7),
        Method::Message,
        vec![],
        "text/plain".into(),
        "It is the east".into(),
        net.now,
    );
    net.run();
    let Some(Event::Requested {
        transaction,
        invite,
        ..
    }) = net.juliet.poll_event()
    else {
        panic!()
    };
    assert_eq!(invite, Some(ours));
    net.juliet
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Responded { .. })
    ));
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
    ));
    assert_eq!(
        net.log,
        [
            "juliet INVITE 1",
            "romeo 100 INVITE",
            "romeo 180 INVITE",
            "romeo 200 INVITE",
            "juliet ACK 1",
            "romeo MESSAGE 1",
            "juliet 200 MESSAGE",
            "romeo BYE 2",
            "juliet 200 BYE",
        ]
    );
    net.ends_with_nothing_left();
}

/// SIP-03, RFC 3261 §13.3.1.4. A lost 2xx is sent again; a lost ACK is sent again for the repetition.
#[test]
fn lost_2xx_and_lost_ack_are_repaired() {
    let mut net = Net::new();
    let (_, theirs) = net.ring();
    net.lose_next(1);
    net.romeo.answer(theirs, Reply::new(Status::OK), net.now);
    net.run();
    assert!(net.juliet.poll_event().is_none());
    net.elapse_ms(500);
    let Some(Event::Answered { invite, .. }) = net.juliet.poll_event() else {
        panic!()
    };
    net.lose_next(1);
    net.juliet.ack(invite, None, net.now);
    net.run();
    assert!(net.romeo.poll_event().is_none());
    net.elapse_ms(1000);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(
        net.juliet.poll_event().is_none(),
        "the repetition is not told"
    );
    let count = |line: &str| net.log.iter().filter(|l| *l == line).count();
    assert_eq!((count("romeo 200 INVITE"), count("juliet ACK 1")), (3, 2));
}

/// SIP-03. No ACK within 64·T1: BYE, and the user is told.
#[test]
fn a_2xx_without_ack_ends_the_session() {
    let mut net = Net::new();
    let (_, theirs) = net.ring();
    net.romeo.answer(theirs, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Answered { .. })
    ));
    net.elapse_ms(32_000);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Ended {
            cause: EndCause::Unacknowledged,
            ..
        })
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    assert_eq!(
        net.log
            .iter()
            .filter(|line| *line == "romeo 200 INVITE")
            .count(),
        11
    );
    net.ends_with_nothing_left();
}

/// SIP-03. A lost rejection is repeated by Timer G, its ACK stops that.
#[test]
fn rejections_are_acknowledged() {
    let mut net = Net::new();
    let (ours, theirs) = net.ring();
    net.lose_next(1);
    net.romeo
        .answer(theirs, Reply::new(Status::BUSY_HERE), net.now);
    net.run();
    net.elapse_ms(500);
    let Some(Event::Rejected { invite, response }) = net.juliet.poll_event() else {
        panic!()
    };
    assert_eq!((invite, response.status), (ours, Status::BUSY_HERE));
    net.elapse_ms(10_000);
    assert_eq!(
        net.log[3..],
        ["romeo 486 INVITE", "romeo 486 INVITE", "juliet ACK 1"]
    );
    net.ends_with_nothing_left();
}

/// CHAT-28. Each further fork gets ACK and one BYE; the first keeps the session.
#[test]
fn forks_are_acknowledged_and_ended() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    net.juliet.invite(ours, invite(), net.now);
    let sent = net.juliet_sends();
    let answer = |tag: &str| {
        let mut response = Response::to_request(&sent[0], Status::OK);
        response
            .headers
            .set(Name::To, format!("<sip:romeo@example.net>;tag={tag}"));
        response
            .headers
            .push(Name::Contact, "<sip:romeo@192.0.2.2>");
        response
    };
    net.juliet_hears(answer("first"));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Answered { .. })
    ));
    net.juliet_hears(answer("first"));
    assert!(
        net.juliet_sends().is_empty(),
        "the user has not acknowledged yet"
    );
    net.juliet.ack(ours, None, net.now);
    assert_eq!(tags(&net.juliet_sends()), ["ACK first"]);
    net.juliet_hears(answer("second"));
    assert_eq!(tags(&net.juliet_sends()), ["ACK second", "BYE second"]);
    net.juliet_hears(answer("second"));
    net.juliet_hears(answer("first"));
    assert_eq!(tags(&net.juliet_sends()), ["ACK second", "ACK first"]);
    assert!(net.juliet.poll_event().is_none());
}

/// An INVITE that rings too long is taken back; one that the user forgets is refused.
#[test]
fn ringing_ends() {
    let mut net = Net::new();
    let (ours, theirs) = net.ring();
    net.elapse_ms(180_000);
    let Some(Event::Cancelled { invite }) = net.romeo.poll_event() else {
        panic!()
    };
    assert_eq!(invite, theirs);
    let Some(Event::Rejected { invite, .. }) = net.juliet.poll_event() else {
        panic!()
    };
    assert_eq!(invite, ours);
    net.ends_with_nothing_left();
}

/// CHAT-29. 481 inside the session ends it.
#[test]
fn a_peer_that_forgot_the_session_ends_it() {
    let mut net = Net::new();
    let (ours, _) = net.establish();
    net.romeo = endpoint(ROMEO, 9, |_| ());
    net.juliet.request_in(
        ours,
        RequestId::ours(1),
        Method::Message,
        vec![],
        "a/b".into(),
        "x".into(),
        net.now,
    );
    net.run();
    let Some(Event::Responded { response, .. }) = net.juliet.poll_event() else {
        panic!()
    };
    assert_eq!(response.status, Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::PeerGone,
            ..
        })
    ));
    net.juliet.request_in(
        ours,
        RequestId::ours(2),
        Method::Info,
        vec![],
        "".into(),
        "".into(),
        net.now,
    );
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::SessionEnded,
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// The method of each request, and the tag of its To.
fn tags(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|r| format!("{} {}", r.method, r.to().unwrap().tag().unwrap_or_default()))
        .collect()
}
