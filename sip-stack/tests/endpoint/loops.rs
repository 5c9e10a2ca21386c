//! What keeps requests from going round and from becoming more: RFC 3261 §8.2.2.2, RFC 4320, RFC 5393.

use std::time::Duration;

use stox_sip::{Event, InviteId, Method, Name, Reply, RequestId, Status};

use crate::alone::{Alone, incoming, invite, outgoing};

/// SEC-12, SIP-07. Max-Forwards: at 0 it ends here, but for who asks what stands here; what is no number counts as none;
/// what we send begins with 70. RFC 3261 §8.1.1.6, §11, §16.3.
#[test]
fn hops_are_counted() {
    for (method, value, expected) in [
        (Method::Message, Some("0"), Some(483)),
        (Method::Invite, Some("0"), Some(483)),
        (Method::Subscribe, Some(" 0 "), Some(483)),
        (Method::Options, Some("0"), None),
        (Method::Message, Some("1"), None),
        (Method::Message, Some("many"), None),
        (Method::Message, None, None),
    ] {
        let mut stage = Alone::new(|_| ());
        let mut request = incoming(method.clone(), 1);
        request.headers.remove(&Name::MaxForwards);
        request
            .headers
            .extend(value.map(|value| (Name::MaxForwards, value)));
        stage.hears(request);
        let refused = stage
            .event()
            .is_none()
            .then(|| stage.response().status.code());
        assert_eq!(refused, expected, "{method} {value:?}");
    }
    let mut stage = Alone::new(|_| ());
    stage
        .romeo
        .request(RequestId::ours(1), outgoing(Method::Message), stage.now);
    stage.romeo.invite(InviteId::ours(1), invite(), stage.now);
    for request in stage.requests() {
        assert_eq!(request.max_forwards(), Ok(70));
    }
}

/// SEC-12. RFC 5393 §5.3.3: who does not fork has no use for Max-Breadth, refuses nothing for it and passes it to his user
/// as it came. One request that comes is told once.
#[test]
fn breadth_is_kept() {
    for value in ["60", "1", "0", "much"] {
        let mut stage = Alone::new(|_| ());
        let name = Name::parse("Max-Breadth").unwrap();
        stage.hears(incoming(Method::Message, 1).with_header(name.clone(), value));
        let Some(Event::Requested { request, .. }) = stage.event() else {
            panic!("{value}")
        };
        assert_eq!(request.headers.first(&name), Some(value));
        assert!(stage.event().is_none());
        assert!(stage.says().is_empty());
    }
}

/// SEC-12, SIP-07. A request that was forked on its way and comes by two ways is told once, and gets 482 by the other one.
/// RFC 3261 §8.2.2.2.
#[test]
fn forked_requests_meet_again() {
    for method in [
        Method::Message,
        Method::Invite,
        Method::Subscribe,
        Method::Options,
    ] {
        let mut stage = Alone::new(|_| ());
        let request = incoming(method.clone(), 1);
        let mut other = request.clone();
        other
            .headers
            .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-another");
        stage.hears(request.clone());
        assert!(stage.event().is_some());
        stage.says();
        stage.hears(other.clone());
        assert_eq!(stage.response().status, Status::LOOP_DETECTED, "{method}");
        // With a CSeq of its own it is another request.
        let mut next = other;
        next.headers.set(Name::CSeq, format!("2 {method}"));
        next.headers
            .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-third");
        assert!(stage.event().is_none());
        stage.hears(next);
        assert!(stage.event().is_some(), "{method}");
    }
}

/// SIP-03, CORE-23. RFC 4320 §4.1, §4.2: a request that is no INVITE gets no provisional response but a late 100, and no 408;
/// and no final one when its sender has stopped to wait for it.
#[test]
fn answers_to_non_invites() {
    let mut stage = Alone::new(|_| ());
    stage.hears(incoming(Method::Message, 1));
    let Some(Event::Requested { transaction, .. }) = stage.event() else {
        panic!()
    };
    for status in [Status::TRYING, Status::RINGING] {
        stage
            .romeo
            .respond(transaction, Reply::new(status), stage.now);
        assert!(stage.says().is_empty(), "{status}");
    }
    let timeout = Reply::new(Status::REQUEST_TIMEOUT);
    stage.romeo.respond(transaction, timeout, stage.now);
    assert_eq!(stage.response().status, Status::SERVER_TIME_OUT);

    stage.hears(incoming(Method::Message, 2));
    let Some(Event::Requested { transaction, .. }) = stage.event() else {
        panic!()
    };
    stage.elapse(Duration::from_millis(3_499));
    stage.hears(incoming(Method::Message, 2));
    assert!(stage.says().is_empty());
    stage.elapse(Duration::from_millis(1));
    assert_eq!(stage.response().status, Status::TRYING);
    stage.elapse(Duration::from_secs(40));
    stage.says();
    stage
        .romeo
        .respond(transaction, Reply::new(Status::OK), stage.now);
    assert!(stage.says().is_empty());
    stage.ends_with_nothing_left();
}
