//! Changes of a session: RFC 3261 §14.

use std::collections::HashMap;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{EndCause, Endpoint, Event, Failure, InviteId, Method, Reply, RequestId, Status};

use crate::stage::{Loss, Net};

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
    change(&mut net.juliet, ours, 3, Method::Invite, net.now);
    net.run();
    let Some(Event::Reinvited {
        transaction,
        invite,
        ..
    }) = net.romeo.poll_event()
    else {
        panic!()
    };
    assert_eq!(invite, theirs);
    change(&mut net.romeo, theirs, 4, Method::Update, net.now);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::RequestPending,
            ..
        })
    ));
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(
        matches!(net.juliet.poll_event(), Some(Event::Responded { response, .. }) if response.status == Status::OK)
    );
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    net.juliet.bye(ours, vec![], net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
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

/// RFC 3261 §15.1.2. A re-INVITE that nobody has answered when the session ends is not left waiting.
#[test]
fn our_bye_answers_a_reinvite_too() {
    let mut net = Net::new();
    let (ours, theirs) = net.establish();
    net.juliet.request_in(
        ours,
        RequestId::ours(1),
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0".into(),
        net.now,
    );
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Reinvited { .. })
    ));
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    assert!(matches!(net.romeo.poll_event(), Some(Event::Ended { .. })));
    assert!(net.log.contains(&"romeo 487 INVITE".to_owned()));
    assert!(matches!(net.juliet.poll_event(), Some(Event::Ended { .. })));
    assert!(
        matches!(net.juliet.poll_event(), Some(Event::Responded { response, .. }) if response.status == Status::REQUEST_TERMINATED)
    );
    net.ends_with_nothing_left();
}

/// SIP-14. A peer that says of a re-INVITE that it is trying, and nothing more, is given up like one that is silent.
#[test]
fn a_reinvite_does_not_ring_for_ever() {
    let mut net = Net::new();
    let (ours, _) = net.establish();
    let id = RequestId::ours(1);
    net.juliet.request_in(
        ours,
        id,
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0".into(),
        net.now,
    );
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Reinvited { .. })
    ));
    net.elapse_ms(179_999);
    assert!(net.juliet.poll_event().is_none());
    net.elapse_ms(1);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::RequestFailed { request, cause: Failure::Timeout }) if request == id
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::PeerGone,
            ..
        })
    ));
    assert!(matches!(net.romeo.poll_event(), Some(Event::Ended { .. })));
    net.ends_with_nothing_left();
}

/// SIP-11, RFC 3261 §14.1. Both change the session at once: both get 491, Romeo tries again within two seconds, Juliet,
/// whose Call-ID it is, after him; both get through.
#[test]
fn after_glare_both_try_again() {
    let mut net = Net::new();
    let (_, theirs) = net.establish();
    net.forget();
    change(&mut net.juliet, InviteId::ours(1), 1, net.now);
    change(&mut net.romeo, theirs, 2, net.now);
    net.run();
    let count = |net: &Net, what: &str| net.log.iter().filter(|l| l.ends_with(what)).count();
    assert_eq!(count(&net, "491 INVITE"), 2);
    assert!(net.juliet.poll_event().is_none());
    change(&mut net.romeo, theirs, 3, net.now);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::RequestPending,
            ..
        })
    ));
    net.elapse(2);
    let Some(Event::Reinvited { transaction, .. }) = net.juliet.poll_event() else {
        panic!()
    };
    net.juliet
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Responded { request, response })
            if request == RequestId::ours(2) && response.status == Status::OK
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    net.elapse(2);
    let Some(Event::Reinvited { transaction, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Responded { request, .. }) if request == RequestId::ours(1)
    ));
}

/// A change that waits when the session ends is told to have failed.
#[test]
fn a_session_that_ends_after_glare() {
    let mut net = Net::new();
    let (_, theirs) = net.establish();
    change(&mut net.juliet, InviteId::ours(1), 1, net.now);
    change(&mut net.romeo, theirs, 2, net.now);
    net.run();
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    for (agent, id) in [(&mut net.juliet, 1), (&mut net.romeo, 2)] {
        let events: Vec<_> = std::iter::from_fn(|| agent.poll_event()).collect();
        let failed = events.iter().any(|event| {
            matches!(event, Event::RequestFailed { request, cause: Failure::SessionEnded } if *request == RequestId::ours(id))
        });
        assert!(failed && events.len() == 2, "{events:?}");
    }
    net.ends_with_nothing_left();
}

/// SIP-11, CHAT-30. Both change the session whenever they like, and messages are lost: each change ends once, and the
/// session too.
#[test]
fn every_change_ends_once() {
    let mut glares = 0;
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut net = Net::supporting(&["timer"], &["timer"]);
        let (_, theirs) = net.establish();
        net.loss = Loss::random(seed + 1000);
        let mut ended = HashMap::new();
        for number in 0..60 {
            let request = RequestId::ours(number);
            let (agent, session) = match random.random_bool(0.5) {
                true => (&mut net.juliet, InviteId::ours(1)),
                false => (&mut net.romeo, theirs),
            };
            ended.insert(request, 0);
            let method = match random.random_bool(0.5) {
                true => Method::Invite,
                false => Method::Update,
            };
            let body = "v=0 changed".into();
            agent.request_in(
                session,
                request,
                method,
                vec![],
                "a/b".into(),
                body,
                net.now,
            );
            if random.random_bool(0.5) {
                net.elapse(random.random_range(0..4));
            }
            if random.random_bool(0.1) {
                net.elapse(random.random_range(0..1000));
            }
            net.accept_changes(&mut ended);
        }
        net.elapse(100);
        net.accept_changes(&mut ended);
        net.juliet.bye(InviteId::ours(1), vec![], net.now);
        for _ in 0..40 {
            net.elapse(100);
            net.accept_changes(&mut ended);
        }
        assert!(
            ended.values().all(|times| *times == 1),
            "seed {seed}: {ended:?}"
        );
        glares += net.log.iter().filter(|line| line.contains(" 491 ")).count();
        net.ends_with_nothing_left();
    }
    assert!(glares > 20, "{glares}");
}

fn change(agent: &mut Endpoint, session: InviteId, id: u64, now: Instant) {
    agent.request_in(
        session,
        RequestId::ours(id),
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0 changed".into(),
        now,
    );
}

impl Net {
    /// Both accept whatever they are asked; ends are counted.
    fn accept_changes(&mut self, ended: &mut HashMap<RequestId, u32>) {
        self.run();
        let now = self.now;
        for agent in [&mut self.juliet, &mut self.romeo] {
            while let Some(event) = agent.poll_event() {
                match event {
                    Event::Reinvited { transaction, .. } => {
                        agent.respond(transaction, Reply::new(Status::OK), now);
                    }
                    Event::Responded { request, .. } | Event::RequestFailed { request, .. } => {
                        *ended.entry(request).or_insert(0) += 1;
                    }
                    Event::Acknowledged { .. } | Event::Ended { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        self.run();
    }
}
