//! Two endpoints in virtual time on a network that loses what the test says. Nothing sleeps.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use stox_sip::{
    Answer, ConnectionId, Destination, EndCause, Endpoint, EndpointConfig, Event, Failure, Invite,
    InviteId, Listener, LocalContact, Message, Method, Name, NameAddr, OutgoingRequest, Question,
    Reply, Request, RequestId, Response, Source, Srv, Status, Transport, Uri,
};

/// SIP-03. A lost request is repeated; a lost answer brings the same answer again; it is told once.
#[test]
fn a_message_is_told_once_whatever_is_lost() {
    let mut net = Net::new();
    let id = RequestId::ours(1);
    net.juliet.endpoint.request(id, message("hi"), net.now);
    net.lose_next(1);
    net.run();
    net.elapse(500);
    let Some(Event::Requested { transaction, .. }) = net.romeo.event() else {
        panic!()
    };
    net.elapse(1000);
    assert!(net.romeo.event().is_none(), "a repetition is absorbed");
    net.lose_next(1);
    net.romeo
        .endpoint
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    net.elapse(2000);
    let Some(Event::Responded { request, response }) = net.juliet.event() else {
        panic!()
    };
    assert_eq!((request, response.status), (id, Status::OK));
    net.ends_with_nothing_left();
}

/// SIP-03. Timer F; RFC 4320: an unanswered request gets 100, and never 408.
#[test]
fn a_message_nobody_answers_times_out() {
    let mut net = Net::new();
    net.juliet
        .endpoint
        .request(RequestId::ours(1), message("hi"), net.now);
    net.run();
    assert!(matches!(net.romeo.event(), Some(Event::Requested { .. })));
    net.elapse(31_999);
    assert!(net.juliet.event().is_none());
    net.elapse(1);
    let Some(Event::RequestFailed {
        cause: Failure::Timeout,
        ..
    }) = net.juliet.event()
    else {
        panic!()
    };
    let statuses: Vec<_> = net
        .log
        .iter()
        .filter(|line| line.starts_with("romeo"))
        .collect();
    assert!(
        !statuses.is_empty() && statuses.iter().all(|line| line.contains("100")),
        "{statuses:?}"
    );
    net.ends_with_nothing_left();
}

/// CHAT-06, SIP-05, SIP-10. The whole life of a session, and every message of it.
#[test]
fn a_session_from_invite_to_bye() {
    let mut net = Net::new();
    let (ours, theirs) = net.establish();
    net.romeo.endpoint.request_in(
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
    }) = net.juliet.event()
    else {
        panic!()
    };
    assert_eq!(invite, Some(ours));
    net.juliet
        .endpoint
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(net.romeo.event(), Some(Event::Responded { .. })));
    net.romeo.endpoint.bye(theirs, vec![], net.now);
    net.run();
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    assert!(matches!(
        net.romeo.event(),
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
    let (_, theirs) = net.invite();
    net.lose_next(1);
    net.romeo
        .endpoint
        .answer(theirs, Reply::new(Status::OK), net.now);
    net.run();
    assert!(net.juliet.event().is_none());
    net.elapse(500);
    let Some(Event::Answered { invite, .. }) = net.juliet.event() else {
        panic!()
    };
    net.lose_next(1);
    net.juliet.endpoint.ack(invite, None, net.now);
    net.run();
    assert!(net.romeo.event().is_none());
    net.elapse(1000);
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(net.juliet.event().is_none(), "the repetition is not told");
    let count = |line: &str| net.log.iter().filter(|l| *l == line).count();
    assert_eq!((count("romeo 200 INVITE"), count("juliet ACK 1")), (3, 2));
}

/// SIP-03. No ACK within 64·T1: BYE, and the user is told.
#[test]
fn a_2xx_without_ack_ends_the_session() {
    let mut net = Net::new();
    let (_, theirs) = net.invite();
    net.romeo
        .endpoint
        .answer(theirs, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(net.juliet.event(), Some(Event::Answered { .. })));
    net.elapse(32_000);
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Ended {
            cause: EndCause::Unacknowledged,
            ..
        })
    ));
    assert!(matches!(
        net.juliet.event(),
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
    let (ours, theirs) = net.invite();
    net.lose_next(1);
    net.romeo
        .endpoint
        .answer(theirs, Reply::new(Status::BUSY_HERE), net.now);
    net.run();
    net.elapse(500);
    let Some(Event::Rejected { invite, response }) = net.juliet.event() else {
        panic!()
    };
    assert_eq!((invite, response.status), (ours, Status::BUSY_HERE));
    net.elapse(10_000);
    assert_eq!(
        net.log[3..],
        ["romeo 486 INVITE", "romeo 486 INVITE", "juliet ACK 1"]
    );
    net.ends_with_nothing_left();
}

/// CHAT-10, SIP-09. CANCEL waits for a 1xx; 200 and 487 are the endpoint's.
#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    net.juliet.endpoint.invite(ours, invite("romeo"), net.now);
    net.lose_next(1);
    net.run();
    net.juliet.endpoint.cancel(ours, net.now);
    net.run();
    assert_eq!(net.log, ["juliet INVITE 1"]);
    net.elapse(500);
    let Some(Event::Invited { invite, .. }) = net.romeo.event() else {
        panic!()
    };
    assert!(
        matches!(net.romeo.event(), Some(Event::Cancelled { invite: cancelled }) if cancelled == invite)
    );
    let Some(Event::Rejected { response, .. }) = net.juliet.event() else {
        panic!()
    };
    assert_eq!(response.status, Status::REQUEST_TERMINATED);
    assert_eq!(
        net.log[1..],
        [
            "juliet INVITE 1",
            "romeo 100 INVITE",
            "juliet CANCEL 1",
            "romeo 200 CANCEL",
            "romeo 487 INVITE",
            "juliet ACK 1"
        ]
    );
    net.ends_with_nothing_left();
}

/// CHAT-10. The 2xx crosses the CANCEL: ACK, BYE, and the user is told that it is over.
#[test]
fn a_2xx_that_crosses_the_cancel_is_ended() {
    let mut net = Net::new();
    let (ours, theirs) = net.invite();
    net.romeo
        .endpoint
        .answer(theirs, Reply::new(Status::OK), net.now);
    net.juliet.endpoint.cancel(ours, net.now);
    net.run();
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Ended {
            cause: EndCause::CancelCrossed,
            ..
        })
    ));
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// SIP-09. A CANCEL that comes after the 2xx is answered and has no effect.
#[test]
fn a_late_cancel_has_no_effect() {
    let mut net = Net::new();
    let request = net.raw_invite("1");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.event() else {
        panic!()
    };
    net.romeo
        .endpoint
        .answer(invite, Reply::new(Status::OK), net.now);
    let mut cancel = Request::new(Method::Cancel, request.uri.clone());
    for name in [Name::Via, Name::From, Name::To, Name::CallId] {
        cancel
            .headers
            .push(name.clone(), request.headers.first(&name).unwrap());
    }
    cancel.headers.push(Name::CSeq, "1 CANCEL");
    net.romeo_hears(&cancel);
    assert!(net.romeo.event().is_none());
    assert_eq!(net.romeo_says(), ["100 INVITE", "200 INVITE", "200 CANCEL"]);
    cancel
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother");
    net.romeo_hears(&cancel);
    assert_eq!(net.romeo_says(), ["481 CANCEL"]);
}

/// CHAT-28. Each further fork gets ACK and one BYE; the first keeps the session.
#[test]
fn forks_are_acknowledged_and_ended() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    net.juliet.endpoint.invite(ours, invite("romeo"), net.now);
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
    assert!(matches!(net.juliet.event(), Some(Event::Answered { .. })));
    net.juliet_hears(answer("first"));
    assert!(
        net.juliet_sends().is_empty(),
        "the user has not acknowledged yet"
    );
    net.juliet.endpoint.ack(ours, None, net.now);
    assert_eq!(summary(&net.juliet_sends()), ["ACK first"]);
    net.juliet_hears(answer("second"));
    assert_eq!(summary(&net.juliet_sends()), ["ACK second", "BYE second"]);
    net.juliet_hears(answer("second"));
    net.juliet_hears(answer("first"));
    assert_eq!(summary(&net.juliet_sends()), ["ACK second", "ACK first"]);
    assert!(net.juliet.event().is_none());
}

/// SIP-11. A re-INVITE is told and answered; another one meanwhile is not sent.
#[test]
fn changes_of_a_session_come_one_at_a_time() {
    let mut net = Net::new();
    let (ours, theirs) = net.establish();
    let change = |endpoint: &mut Endpoint, session, id, method, now| {
        endpoint.request_in(
            session,
            RequestId::ours(id),
            method,
            vec![],
            "application/sdp".into(),
            "v=0".into(),
            now,
        );
    };
    change(&mut net.juliet.endpoint, ours, 3, Method::Invite, net.now);
    net.run();
    let Some(Event::Reinvited {
        transaction,
        invite,
        ..
    }) = net.romeo.event()
    else {
        panic!()
    };
    assert_eq!(invite, theirs);
    change(&mut net.romeo.endpoint, theirs, 4, Method::Update, net.now);
    assert!(matches!(
        net.romeo.event(),
        Some(Event::RequestFailed {
            cause: Failure::RequestPending,
            ..
        })
    ));
    net.romeo
        .endpoint
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(
        matches!(net.juliet.event(), Some(Event::Responded { response, .. }) if response.status == Status::OK)
    );
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Acknowledged { .. })
    ));
    net.juliet.endpoint.bye(ours, vec![], net.now);
    net.run();
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
    ));
    assert!(matches!(
        net.romeo.event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// RFC 3261 §15.1.2. A re-INVITE that nobody has answered when the session ends is not left waiting.
#[test]
fn our_bye_answers_a_reinvite_too() {
    let mut net = Net::new();
    let (ours, theirs) = net.establish();
    net.juliet.endpoint.request_in(
        ours,
        RequestId::ours(1),
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0".into(),
        net.now,
    );
    net.run();
    assert!(matches!(net.romeo.event(), Some(Event::Reinvited { .. })));
    net.romeo.endpoint.bye(theirs, vec![], net.now);
    net.run();
    assert!(matches!(net.romeo.event(), Some(Event::Ended { .. })));
    assert!(net.log.contains(&"romeo 487 INVITE".to_owned()));
    assert!(matches!(net.juliet.event(), Some(Event::Ended { .. })));
    assert!(
        matches!(net.juliet.event(), Some(Event::Responded { response, .. }) if response.status == Status::REQUEST_TERMINATED)
    );
    net.ends_with_nothing_left();
}

/// SIP-14. A peer that says of a re-INVITE that it is trying, and nothing more, is given up like one that is silent.
#[test]
fn a_reinvite_does_not_ring_for_ever() {
    let mut net = Net::new();
    let (ours, _) = net.establish();
    let id = RequestId::ours(1);
    net.juliet.endpoint.request_in(
        ours,
        id,
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0".into(),
        net.now,
    );
    net.run();
    assert!(matches!(net.romeo.event(), Some(Event::Reinvited { .. })));
    net.elapse(179_999);
    assert!(net.juliet.event().is_none());
    net.elapse(1);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::RequestFailed { request, cause: Failure::Timeout }) if request == id
    ));
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Ended {
            cause: EndCause::PeerGone,
            ..
        })
    ));
    assert!(matches!(net.romeo.event(), Some(Event::Ended { .. })));
    net.ends_with_nothing_left();
}

/// CHAT-29. 481 inside the session ends it.
#[test]
fn a_peer_that_forgot_the_session_ends_it() {
    let mut net = Net::new();
    let (ours, _) = net.establish();
    net.romeo = Agent::new("192.0.2.2:5060", 9, |_| ());
    net.juliet.endpoint.request_in(
        ours,
        RequestId::ours(1),
        Method::Message,
        vec![],
        "a/b".into(),
        "x".into(),
        net.now,
    );
    net.run();
    let Some(Event::Responded { response, .. }) = net.juliet.event() else {
        panic!()
    };
    assert_eq!(response.status, Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Ended {
            cause: EndCause::PeerGone,
            ..
        })
    ));
    net.juliet.endpoint.request_in(
        ours,
        RequestId::ours(2),
        Method::Info,
        vec![],
        "".into(),
        "".into(),
        net.now,
    );
    assert!(matches!(
        net.juliet.event(),
        Some(Event::RequestFailed {
            cause: Failure::SessionEnded,
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// SIP-05, SIP-06, SIP-07, SIP-10. What is refused, with what.
#[test]
fn what_is_refused() {
    for (change, expected) in [
        ("", "told"),
        ("Max-Forwards: 0", "483 MESSAGE"),
        ("Require: tardis", "420 MESSAGE"),
        ("Require: 100rel", "told"),
        ("uri tel:+1555", "416 MESSAGE"),
        ("uri im:romeo@example.net", "told"),
        ("method REGISTER", "405 REGISTER"),
        ("method FROBNICATE", "405 FROBNICATE"),
        ("method BYE", "481 BYE"),
        ("method INVITE", "400 INVITE"),
        ("To: <sip:romeo@example.net>;tag=gone", "481 MESSAGE"),
    ] {
        let mut net = Net::new();
        let mut request = net.raw_message("1");
        match change.split_once(' ') {
            Some(("uri", uri)) => request.uri = uri.parse().unwrap(),
            Some(("method", method)) => {
                request.method = Method::parse(method).unwrap();
                request.headers.set(Name::CSeq, format!("1 {method}"));
            }
            Some((name, value)) => {
                request
                    .headers
                    .set(Name::parse(name.trim_end_matches(':')).unwrap(), value);
            }
            None => {}
        }
        net.romeo_hears(&request);
        let answers = net.romeo_responses();
        match net.romeo.event() {
            Some(Event::Requested { .. }) => assert_eq!(expected, "told", "{change}"),
            Some(event) => panic!("{change}: {event:?}"),
            None => assert_eq!(summary_of(&answers), [expected], "{change}"),
        }
        for answer in answers {
            assert!(answer.to().unwrap().tag().is_some(), "{change}: a To tag");
            match answer.status {
                Status::METHOD_NOT_ALLOWED => assert!(answer.headers.first(&Name::Allow).is_some()),
                Status::BAD_EXTENSION => {
                    assert_eq!(answer.headers.first(&Name::Unsupported), Some("tardis"))
                }
                _ => {}
            }
        }
    }
}

/// SIP-07, RFC 3261 §8.2.2.2. The same request by another way is a loop; the same way, a repetition.
#[test]
fn merged_requests_are_refused() {
    let mut net = Net::new();
    let request = net.raw_message("1");
    net.romeo_hears(&request);
    assert!(matches!(net.romeo.event(), Some(Event::Requested { .. })));
    net.romeo_hears(&request);
    assert!(net.romeo_says().is_empty());
    let mut other_way = request;
    other_way
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother");
    net.romeo_hears(&other_way);
    assert_eq!(net.romeo_says(), ["482 MESSAGE"]);
    assert!(net.romeo.event().is_none());
}

/// SIP-03. Branches without the cookie are matched as RFC 2543 did.
#[test]
fn old_branches_are_matched() {
    let mut net = Net::new();
    let mut request = net.raw_invite("1");
    request
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=7");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.event() else {
        panic!()
    };
    net.romeo_hears(&request);
    assert!(net.romeo.event().is_none());
    net.romeo
        .endpoint
        .answer(invite, Reply::new(Status::DECLINE), net.now);
    let answers = net.romeo_responses();
    assert_eq!(
        summary_of(&answers),
        ["100 INVITE", "100 INVITE", "603 INVITE"]
    );
    let mut ack = request.clone();
    ack.method = Method::Ack;
    ack.headers.set(Name::CSeq, "1 ACK");
    ack.headers
        .set(Name::To, answers[2].headers.first(&Name::To).unwrap());
    net.romeo_hears(&ack);
    net.elapse(10_000);
    assert!(net.romeo_says().is_empty(), "the ACK stops Timer G");
}

/// SIP-04, RFC 3581. Responses go where the request came from, if asked for; the Via says so.
#[test]
fn responses_find_their_way() {
    for (via, expected) in [
        ("192.0.2.1:5070", "192.0.2.1:5070"),
        ("192.0.2.1", "192.0.2.1:5060"),
        ("10.0.0.1:5070", "192.0.2.1:5070"),
        ("10.0.0.1:5070;rport", "192.0.2.1:40000"),
        ("juliet.example.com;rport", "192.0.2.1:40000"),
    ] {
        let mut net = Net::new();
        let mut request = net.raw_message("1");
        request
            .headers
            .set(Name::Via, format!("SIP/2.0/UDP {via};branch=z9hG4bK1"));
        request.headers.set(Name::MaxForwards, "0");
        let source = Source {
            remote: "192.0.2.1:40000".parse().unwrap(),
            ..source_of_juliet()
        };
        net.romeo
            .endpoint
            .handle_received(Ok(request.into()), source, net.now);
        let transmit = net.romeo.endpoint.poll_transmit().unwrap();
        let Destination::Datagram { remote, .. } = transmit.destination else {
            panic!()
        };
        assert_eq!(remote.to_string(), expected, "{via}");
        let text = String::from_utf8(transmit.payload.to_vec()).unwrap();
        assert_eq!(
            text.contains("received=192.0.2.1"),
            !via.starts_with("192.0.2.1"),
            "{text}"
        );
        assert_eq!(
            text.contains("rport=40000"),
            via.ends_with("rport"),
            "{text}"
        );
    }
}

/// SIP-05. A CSeq that does not rise gets 500 and is not told.
#[test]
fn requests_out_of_order_are_refused() {
    let mut net = Net::new();
    let request = net.raw_invite("5");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.event() else {
        panic!()
    };
    net.romeo
        .endpoint
        .answer(invite, Reply::new(Status::OK), net.now);
    let to = net.romeo_responses()[1]
        .headers
        .first(&Name::To)
        .unwrap()
        .to_owned();
    for (cseq, expected) in [(7, None), (6, Some("500 MESSAGE"))] {
        let mut inside = net.raw_message(&cseq.to_string());
        inside.headers.set(Name::To, to.as_str());
        inside.headers.set(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{cseq}"),
        );
        net.romeo_hears(&inside);
        assert_eq!(net.romeo.event().is_some(), expected.is_none());
        assert_eq!(net.romeo_says(), expected.into_iter().collect::<Vec<_>>());
    }
}

/// Requests of networks that are not trusted get 403.
#[test]
fn strangers_are_refused() {
    let mut net = Net::new();
    net.romeo = Agent::new("192.0.2.2:5060", 2, |config| {
        config.trusted = vec!["10.0.0.0/8".parse().unwrap()]
    });
    let request = net.raw_message("1");
    net.romeo_hears(&request);
    assert_eq!(net.romeo_says(), ["403 MESSAGE"]);
    assert!(net.romeo.event().is_none());
}

/// SIP-14. Bounds are answered, and what is inside sessions goes on.
#[test]
fn bounds_are_answered() {
    let mut net = Net::new();
    net.romeo = Agent::new("192.0.2.2:5060", 2, |config| {
        config.limits.server_transactions = 1
    });
    for (cseq, expected) in [("1", vec![]), ("2", vec!["503 MESSAGE"])] {
        let mut request = net.raw_message(cseq);
        request.headers.set(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{cseq}"),
        );
        net.romeo_hears(&request);
        assert_eq!(net.romeo_says(), expected);
    }
    net.juliet = Agent::new("192.0.2.1:5060", 1, |config| {
        config.limits.client_transactions = 0
    });
    net.juliet
        .endpoint
        .request(RequestId::ours(1), message("x"), net.now);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::RequestFailed {
            cause: Failure::TooManyRequests,
            ..
        })
    ));
}

/// Answered requests are kept to absorb repetitions, but only so many.
#[test]
fn answered_requests_are_forgotten_at_the_bound() {
    let mut net = Net::new();
    net.romeo = Agent::new("192.0.2.2:5060", 2, |config| {
        config.limits.answered_transactions = 2
    });
    let mut hear = |number: u32| {
        let mut request = net.raw_message(&number.to_string());
        request.headers.set(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}"),
        );
        net.romeo_hears(&request);
        let event = net.romeo.event();
        if let Some(Event::Requested { transaction, .. }) = &event {
            net.romeo
                .endpoint
                .respond(*transaction, Reply::new(Status::OK), net.now);
        }
        (event.is_some(), net.romeo_says().len())
    };
    for number in 1..=3 {
        assert_eq!(hear(number), (true, 1));
    }
    assert_eq!(
        hear(3),
        (false, 1),
        "a repetition is answered again, not told"
    );
    assert_eq!(hear(1), (true, 1), "the oldest is forgotten");
    net.ends_with_nothing_left();
}

/// SIP-13, RFC 3263 §4.3. 503, silence and refusal lead to the next target; the last answer is told.
#[test]
fn targets_are_tried_in_turn() {
    let mut net = Net::new();
    let mut request = message("x");
    request.target = "sip:romeo@example.org;transport=udp".parse().unwrap();
    let id = RequestId::ours(1);
    net.juliet.endpoint.request(id, request.clone(), net.now);
    let answer = |net: &mut Net, expected: &str, answer| {
        let (id, question) = net.juliet.endpoint.poll_question().unwrap();
        assert_eq!(format!("{question:?}"), expected);
        net.juliet.endpoint.handle_resolved(id, answer, net.now);
    };
    let records = ["a", "b"].map(|host| Srv {
        priority: u16::from(host == "b"),
        weight: 0,
        port: 5060,
        host: format!("{host}.example.org"),
    });
    answer(
        &mut net,
        "Srv(\"_sip._udp.example.org\")",
        Answer::Srv(records.to_vec()),
    );
    answer(
        &mut net,
        "Addresses(\"a.example.org\")",
        Answer::Addresses(vec!["192.0.2.8".parse().unwrap()]),
    );
    let sent = net.juliet_sends();
    let mut busy = Response::to_request(&sent[0], Status::SERVICE_UNAVAILABLE);
    busy.headers.push(Name::RetryAfter, "20");
    net.juliet_hears(busy);
    answer(
        &mut net,
        "Addresses(\"b.example.org\")",
        Answer::Addresses(vec!["192.0.2.9".parse().unwrap()]),
    );
    assert_eq!(net.juliet_sends().len(), 1);
    net.elapse(32_000);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::RequestFailed {
            cause: Failure::Timeout,
            ..
        })
    ));
    assert_eq!(
        net.juliet
            .endpoint
            .poll_question()
            .map(|(_, question)| question),
        None::<Question>
    );
}

/// RFC 3261 §18.1.1, §9. Over connections: refused, lost while idle, and answers on the same one.
#[test]
fn connections_fail_and_are_made_again() {
    let mut net = Net::new();
    let mut request = message("x");
    request.target = "sip:romeo@192.0.2.2;transport=tcp".parse().unwrap();
    net.juliet
        .endpoint
        .request(RequestId::ours(1), request.clone(), net.now);
    let (first, target) = net.juliet.endpoint.poll_connect().unwrap();
    assert_eq!(target.address.to_string(), "192.0.2.2:5060");
    let sent = net.juliet_sends();
    assert!(
        sent[0]
            .top_via()
            .unwrap()
            .to_string()
            .starts_with("SIP/2.0/TCP")
    );
    net.juliet_hears(Response::to_request(&sent[0], Status::OK));
    assert!(matches!(net.juliet.event(), Some(Event::Responded { .. })));
    // The next one finds the connection closed, and gets a new one.
    net.juliet
        .endpoint
        .request(RequestId::ours(2), request.clone(), net.now);
    assert_eq!(net.juliet.endpoint.poll_connect(), None);
    net.juliet_sends();
    net.juliet.endpoint.handle_disconnected(first, net.now);
    let (second, _) = net.juliet.endpoint.poll_connect().unwrap();
    assert_ne!(first, second);
    assert_eq!(net.juliet_sends().len(), 1);
    net.juliet.endpoint.handle_disconnected(second, net.now);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::RequestFailed {
            cause: Failure::Unreachable,
            ..
        })
    ));
    net.elapse(60_000);
    net.ends_with_nothing_left();
}

/// An INVITE that rings too long is taken back; one that the user forgets is refused.
#[test]
fn ringing_ends() {
    let mut net = Net::new();
    let (ours, theirs) = net.invite();
    net.elapse(180_000);
    let Some(Event::Cancelled { invite }) = net.romeo.event() else {
        panic!()
    };
    assert_eq!(invite, theirs);
    let Some(Event::Rejected { invite, .. }) = net.juliet.event() else {
        panic!()
    };
    assert_eq!(invite, ours);
    net.ends_with_nothing_left();
}

/// Cancelled while the DNS is asked: nothing is ever sent.
#[test]
fn cancelled_before_it_is_sent() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    let mut invite = invite("romeo");
    invite.target = "sip:romeo@example.org".parse().unwrap();
    net.juliet.endpoint.invite(ours, invite, net.now);
    let (id, _) = net.juliet.endpoint.poll_question().unwrap();
    net.juliet.endpoint.cancel(ours, net.now);
    assert!(matches!(
        net.juliet.event(),
        Some(Event::Failed {
            cause: Failure::Cancelled,
            ..
        })
    ));
    net.juliet
        .endpoint
        .handle_resolved(id, Answer::NoRecords, net.now);
    assert!(net.juliet_sends().is_empty());
    net.ends_with_nothing_left();
}

/// Random loss, many messages: each is told at most once, and each ends exactly once.
#[test]
fn random_loss_neither_doubles_nor_forgets() {
    for seed in 0..20 {
        let mut net = Net::new();
        net.loss = Loss::Random(Box::new(StdRng::seed_from_u64(seed)));
        let (mut told, mut ended) = (HashMap::new(), HashMap::new());
        for number in 0..50 {
            net.juliet.endpoint.request(
                RequestId::ours(number),
                message(&number.to_string()),
                net.now,
            );
        }
        for _ in 0..700 {
            net.elapse(100);
            while let Some(event) = net.romeo.event() {
                let Event::Requested {
                    transaction,
                    request,
                    ..
                } = event
                else {
                    panic!("{event:?}")
                };
                *told.entry(request.body).or_insert(0) += 1;
                net.romeo
                    .endpoint
                    .respond(transaction, Reply::new(Status::OK), net.now);
            }
            while let Some(event) = net.juliet.event() {
                match event {
                    Event::Responded { request, .. } | Event::RequestFailed { request, .. } => {
                        *ended.entry(request).or_insert(0) += 1;
                    }
                    event => panic!("{event:?}"),
                }
            }
        }
        assert!(
            told.values().all(|times| *times == 1),
            "seed {seed}: {told:?}"
        );
        assert_eq!(ended.len(), 50, "seed {seed}");
        assert!(
            ended.values().all(|times| *times == 1),
            "seed {seed}: {ended:?}"
        );
        net.ends_with_nothing_left();
    }
}

/// SIP-02. Whatever comes, in whatever state: it is answered or dropped, and leaves nothing behind.
#[test]
fn torture_leaves_nothing_behind() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut net = Net::new();
    let mut heard = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        let message = Message::parse_datagram(std::fs::read(&path).unwrap().into());
        for _ in 0..2 {
            net.romeo
                .endpoint
                .handle_received(message.clone(), source_of_juliet(), net.now);
        }
        heard += 1;
        // A refusal bears what was malformed, so Juliet could not read it.
        while net.romeo.endpoint.poll_transmit().is_some() {}
        while let Some(event) = net.romeo.event() {
            match event {
                Event::Invited { invite, .. } => {
                    net.romeo
                        .endpoint
                        .answer(invite, Reply::new(Status::OK), net.now)
                }
                Event::Requested { transaction, .. } => {
                    net.romeo
                        .endpoint
                        .respond(transaction, Reply::new(Status::OK), net.now);
                }
                _ => {}
            }
        }
    }
    assert!(heard > 40, "{heard} files");
    // BYE to targets that have a name asks the DNS, which knows nothing.
    for _ in 0..5 {
        net.elapse(40_000);
        while let Some((id, _)) = net.romeo.endpoint.poll_question() {
            net.romeo
                .endpoint
                .handle_resolved(id, Answer::NoRecords, net.now);
        }
        while let Some((id, _)) = net.romeo.endpoint.poll_connect() {
            net.romeo.endpoint.handle_disconnected(id, net.now);
        }
        while net.romeo.event().is_some() {}
    }
    net.ends_with_nothing_left();
}

// ---- the stage ----

struct Agent {
    endpoint: Endpoint,
    address: SocketAddr,
}

struct Net {
    juliet: Agent,
    romeo: Agent,
    now: Instant,
    loss: Loss,
    /// Who sent what, also what was lost.
    log: Vec<String>,
}

enum Loss {
    Next(usize),
    Random(Box<StdRng>),
}

impl Agent {
    fn new(address: &str, seed: u64, adjust: impl FnOnce(&mut EndpointConfig)) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let mut config = EndpointConfig {
            listeners: vec![Listener {
                transport: Transport::Udp,
                bound: address,
                advertised: address,
            }],
            user_agent: "test".into(),
            ..EndpointConfig::default()
        };
        adjust(&mut config);
        Self {
            endpoint: Endpoint::new(config, StdRng::seed_from_u64(seed)),
            address,
        }
    }

    fn event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }
}

impl Net {
    fn new() -> Self {
        Self {
            juliet: Agent::new("192.0.2.1:5060", 1, |_| ()),
            romeo: Agent::new("192.0.2.2:5060", 2, |_| ()),
            now: Instant::now(),
            loss: Loss::Next(0),
            log: Vec::new(),
        }
    }

    fn lose_next(&mut self, count: usize) {
        self.loss = Loss::Next(count);
    }

    fn is_lost(&mut self) -> bool {
        match &mut self.loss {
            Loss::Next(0) => false,
            Loss::Next(count) => {
                *count -= 1;
                true
            }
            Loss::Random(random) => rand::RngExt::random_bool(random, 0.3),
        }
    }

    /// Carries everything to the other side until both are silent.
    fn run(&mut self) {
        loop {
            let mut in_flight = VecDeque::new();
            for (name, agent) in [("juliet", &mut self.juliet), ("romeo", &mut self.romeo)] {
                while let Some(transmit) = agent.endpoint.poll_transmit() {
                    in_flight.push_back((name, agent.address, transmit));
                }
            }
            if in_flight.is_empty() {
                return;
            }
            for (name, from, transmit) in in_flight {
                let Destination::Datagram { local, remote } = transmit.destination else {
                    panic!()
                };
                assert_eq!(local, from);
                let message = Message::parse_datagram(transmit.payload).unwrap();
                let what = match &message {
                    Message::Request(request) => {
                        format!("{} {}", request.method, request.cseq().unwrap().number)
                    }
                    Message::Response(response) => {
                        format!(
                            "{} {}",
                            response.status.code(),
                            response.cseq().unwrap().method
                        )
                    }
                };
                self.log.push(format!("{name} {what}"));
                if self.is_lost() {
                    continue;
                }
                let agents = [&mut self.juliet, &mut self.romeo];
                let Some(to) = agents.into_iter().find(|agent| agent.address == remote) else {
                    continue;
                };
                let source = Source {
                    transport: Transport::Udp,
                    local: remote,
                    remote: from,
                    connection: None,
                };
                to.endpoint.handle_received(Ok(message), source, self.now);
            }
        }
    }

    /// Lets milliseconds pass, timer by timer.
    fn elapse(&mut self, milliseconds: u64) {
        self.run();
        let end = self.now + Duration::from_millis(milliseconds);
        loop {
            let next = [&self.juliet, &self.romeo]
                .into_iter()
                .filter_map(|agent| agent.endpoint.poll_timeout())
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.juliet.endpoint.handle_timeout(self.now);
            self.romeo.endpoint.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// Juliet invites, Romeo's telephone rings.
    fn invite(&mut self) -> (InviteId, InviteId) {
        let ours = InviteId::ours(1);
        self.juliet.endpoint.invite(ours, invite("romeo"), self.now);
        self.run();
        let Some(Event::Invited { invite: theirs, .. }) = self.romeo.event() else {
            panic!()
        };
        self.romeo
            .endpoint
            .answer(theirs, Reply::new(Status::RINGING), self.now);
        self.run();
        assert!(matches!(
            self.juliet.event(),
            Some(Event::Progressed { .. })
        ));
        (ours, theirs)
    }

    fn establish(&mut self) -> (InviteId, InviteId) {
        let (ours, theirs) = self.invite();
        self.romeo
            .endpoint
            .answer(theirs, Reply::new(Status::OK), self.now);
        self.run();
        assert!(matches!(self.juliet.event(), Some(Event::Answered { .. })));
        self.juliet.endpoint.ack(ours, None, self.now);
        self.run();
        assert!(matches!(
            self.romeo.event(),
            Some(Event::Acknowledged { .. })
        ));
        (ours, theirs)
    }

    /// Nothing more happens, and no timer or transaction is left.
    fn ends_with_nothing_left(&mut self) {
        // Longer than any timer, the one for ringing included.
        self.elapse(200_000);
        for agent in [&mut self.juliet, &mut self.romeo] {
            if let Some(event) = agent.event() {
                panic!("{event:?}");
            }
            assert!(agent.endpoint.is_idle());
            assert_eq!(agent.endpoint.poll_timeout(), None);
        }
    }

    fn romeo_hears(&mut self, request: &Request) {
        self.romeo.endpoint.handle_received(
            Ok(request.clone().into()),
            source_of_juliet(),
            self.now,
        );
    }

    fn romeo_responses(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.romeo.endpoint.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Response(response)) => response,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn romeo_says(&mut self) -> Vec<String> {
        summary_of(&self.romeo_responses())
    }

    fn juliet_hears(&mut self, response: Response) {
        let source = Source {
            transport: Transport::Udp,
            local: self.juliet.address,
            remote: self.romeo.address,
            connection: None::<ConnectionId>,
        };
        self.juliet
            .endpoint
            .handle_received(Ok(response.into()), source, self.now);
    }

    fn juliet_sends(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.juliet.endpoint.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Request(request)) => request,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn raw_message(&self, cseq: &str) -> Request {
        Request::new(Method::Message, "sip:romeo@example.net".parse().unwrap())
            .with_header(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKraw")
            .with_header(Name::MaxForwards, "70")
            .with_header(Name::From, "<sip:juliet@example.com>;tag=j")
            .with_header(Name::To, "<sip:romeo@example.net>")
            .with_header(Name::CallId, "raw")
            .with_header(Name::CSeq, format!("{cseq} MESSAGE"))
    }

    fn raw_invite(&self, cseq: &str) -> Request {
        let mut request = self.raw_message(cseq);
        request.method = Method::Invite;
        request.headers.set(Name::CSeq, format!("{cseq} INVITE"));
        request.with_header(Name::Contact, "<sip:juliet@192.0.2.1>")
    }
}

fn source_of_juliet() -> Source {
    Source {
        transport: Transport::Udp,
        local: "192.0.2.2:5060".parse().unwrap(),
        remote: "192.0.2.1:5060".parse().unwrap(),
        connection: None,
    }
}

fn summary(requests: &[Request]) -> Vec<String> {
    requests
        .iter()
        .map(|r| format!("{} {}", r.method, r.to().unwrap().tag().unwrap_or_default()))
        .collect()
}

fn summary_of(responses: &[Response]) -> Vec<String> {
    responses
        .iter()
        .map(|r| format!("{} {}", r.status.code(), r.cseq().unwrap().method))
        .collect()
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse::<Uri>().unwrap())
}

fn invite(user: &str) -> Invite {
    let contact = LocalContact {
        user: Some("juliet".into()),
        ..LocalContact::default()
    };
    Invite::new(
        format!("sip:{user}@192.0.2.2").parse().unwrap(),
        address("juliet"),
        address(user),
        contact,
    )
}

fn message(text: &str) -> OutgoingRequest {
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    let mut request =
        OutgoingRequest::new(Method::Message, target, address("juliet"), address("romeo"));
    (request.content_type, request.body) = ("text/plain".into(), text.to_owned().into());
    request
}
