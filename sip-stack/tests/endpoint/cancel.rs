//! CANCEL: RFC 3261 §9.

use stox_sip::{Answer, EndCause, Event, Failure, InviteId, Method, Name, Reply, Request, Status};

use crate::stage::{Net, invite, raw};

/// CHAT-10, SIP-09. CANCEL waits for a 1xx; 200 and 487 are the endpoint's.
#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    net.juliet.invite(ours, invite(), net.now);
    net.lose_next(1);
    net.run();
    net.juliet.cancel(ours, net.now);
    net.run();
    assert_eq!(net.log, ["juliet INVITE 1"]);
    net.elapse_ms(500);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    assert!(
        matches!(net.romeo.poll_event(), Some(Event::Cancelled { invite: cancelled }) if cancelled == invite)
    );
    let Some(Event::Rejected { response, .. }) = net.juliet.poll_event() else {
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
    let (ours, theirs) = net.ring();
    net.romeo.answer(theirs, Reply::new(Status::OK), net.now);
    net.juliet.cancel(ours, net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::CancelCrossed,
            ..
        })
    ));
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// CHAT-27. The 2xx crosses a CANCEL that was no more than an offer to do without: there is a session, which stays.
#[test]
fn a_2xx_that_crosses_a_retraction_is_told() {
    for is_taken_back in [false, true] {
        let mut net = Net::new();
        let (ours, theirs) = net.ring();
        net.romeo.answer(theirs, Reply::new(Status::OK), net.now);
        net.juliet.retract(ours, net.now);
        if is_taken_back {
            net.juliet.cancel(ours, net.now);
        }
        net.run();
        match net.juliet.poll_event() {
            Some(Event::Answered { invite, .. }) if !is_taken_back => {
                assert_eq!(invite, ours);
                net.juliet.ack(ours, None, net.now);
                net.run();
                assert!(!net.log.iter().any(|line| line.contains("BYE")));
                net.juliet.bye(ours, Vec::new(), net.now);
                net.run();
                assert!(matches!(net.juliet.poll_event(), Some(Event::Ended { .. })));
            }
            Some(Event::Ended { .. }) if is_taken_back => {}
            other => panic!("{other:?}"),
        }
        for _ in 0..2 {
            let told = net.romeo.poll_event();
            assert!(
                matches!(told, Some(Event::Acknowledged { .. } | Event::Ended { .. })),
                "{told:?}"
            );
        }
        net.ends_with_nothing_left();
    }
}

/// SIP-09. A CANCEL that comes after the 2xx is answered and has no effect.
#[test]
fn a_late_cancel_has_no_effect() {
    let mut net = Net::new();
    let request = raw(Method::Invite, 1);
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    let mut cancel = Request::new(Method::Cancel, request.uri.clone());
    for name in [Name::Via, Name::From, Name::To, Name::CallId] {
        cancel
            .headers
            .push(name.clone(), request.headers.first(&name).unwrap());
    }
    cancel.headers.push(Name::CSeq, "1 CANCEL");
    net.romeo_hears(&cancel);
    assert!(net.romeo.poll_event().is_none());
    assert_eq!(net.romeo_says(), ["100 INVITE", "200 INVITE", "200 CANCEL"]);
    cancel
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother");
    net.romeo_hears(&cancel);
    assert_eq!(net.romeo_says(), ["481 CANCEL"]);
}

/// Cancelled while the DNS is asked: nothing is ever sent.
#[test]
fn cancelled_before_it_is_sent() {
    let mut net = Net::new();
    let ours = InviteId::ours(1);
    let mut invite = invite();
    invite.target = "sip:romeo@example.org".parse().unwrap();
    net.juliet.invite(ours, invite, net.now);
    let (id, _) = net.juliet.poll_question().unwrap();
    net.juliet.cancel(ours, net.now);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Failed {
            cause: Failure::Cancelled,
            ..
        })
    ));
    net.juliet.handle_resolved(id, Answer::NoRecords, net.now);
    assert!(net.juliet_sends().is_empty());
    net.ends_with_nothing_left();
}
