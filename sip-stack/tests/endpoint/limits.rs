//! Bounds.

use stox_sip::{Event, Failure, Method, Reply, RequestId, Status};

use crate::stage::{JULIET, Net, ROMEO, endpoint, message, raw};

/// SIP-14. Bounds are answered, and what is inside sessions goes on.
#[test]
fn bounds_are_answered() {
    let mut net = Net::new();
    net.romeo = endpoint(ROMEO, 2, |config| config.limits.server_transactions = 1);
    for (cseq, expected) in [(1, vec![]), (2, vec!["503 MESSAGE"])] {
        net.romeo_hears(&raw(Method::Message, cseq));
        assert_eq!(net.romeo_says(), expected);
    }
    net.juliet = endpoint(JULIET, 1, |config| config.limits.client_transactions = 0);
    net.juliet
        .request(RequestId::ours(1), message("x"), net.now);
    assert!(matches!(
        net.juliet.poll_event(),
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
    net.romeo = endpoint(ROMEO, 2, |config| config.limits.answered_transactions = 2);
    let mut hear = |number: u32| {
        net.romeo_hears(&raw(Method::Message, number));
        let event = net.romeo.poll_event();
        if let Some(Event::Requested { transaction, .. }) = &event {
            net.romeo
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
