//! Subscriptions with a dialog of their own: RFC 6665.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    Document, Endpoint, Event, LocalContact, Method, Name, Next, Notice, Occasion, Reply, Request,
    Response, Status, SubscriptionEnd, SubscriptionId, TerminationReason,
};

use super::{OURS, THEIRS, id, served, subscribe};
use crate::stage::{Loss, Net};

/// PRES-15, PRES-16, PRES-18, SIP-12, RS-16. From SUBSCRIBE to the last NOTIFY, and a refresh in between.
#[test]
fn a_whole_subscription() {
    let mut net = served();
    net.subscribe("presence", 3600);
    net.romeo.notify(THEIRS, Notice::Pending(None), net.now);
    net.run();
    assert_eq!(net.juliet_is_told(), "pending;expires=3600 ");
    net.elapse(60);
    net.romeo
        .notify(THEIRS, Notice::Active(document("open")), net.now);
    net.run();
    assert_eq!(net.juliet_is_told(), "active;expires=3540 open");
    // Four fifths of what the last NOTIFY left.
    net.elapse(2820);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::StateAsked {
            subscription: THEIRS,
            occasion: Occasion::Refreshed
        })
    ));
    net.romeo
        .notify(THEIRS, Notice::Active(document("away")), net.now);
    net.run();
    assert_eq!(net.juliet_is_told(), "active;expires=3600 away");
    net.juliet.unsubscribe(OURS, net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::StateAsked {
            occasion: Occasion::Unsubscribed,
            ..
        })
    ));
    net.romeo
        .notify(THEIRS, Notice::Active(document("closed")), net.now);
    net.run();
    assert_eq!(net.juliet_is_told(), "terminated;reason=timeout closed");
    assert_eq!(
        net.juliet_is_over(),
        (SubscriptionEnd::Unsubscribed, Next::Never)
    );
    assert_eq!(net.romeo_is_over(), SubscriptionEnd::PeerUnsubscribed);
    assert_eq!(
        net.log,
        [
            "juliet SUBSCRIBE 1",
            "romeo 200 SUBSCRIBE",
            "romeo NOTIFY 1",
            "juliet 200 NOTIFY",
            "romeo NOTIFY 2",
            "juliet 200 NOTIFY",
            "juliet SUBSCRIBE 2",
            "romeo 200 SUBSCRIBE",
            "romeo NOTIFY 3",
            "juliet 200 NOTIFY",
            "juliet SUBSCRIBE 3",
            "romeo 200 SUBSCRIBE",
            "romeo NOTIFY 4",
            "juliet 200 NOTIFY",
        ]
    );
    net.ends_with_nothing_left();
}

/// PRES-03. The NOTIFY that comes before the 200 makes the dialog, with its route set; one of another fork gets 481.
#[test]
fn a_notify_may_come_first() {
    let mut net = served();
    net.juliet
        .subscribe(OURS, subscribe("presence", 3600), net.now);
    let subscribe = net.juliet_sends_next();
    let notify = |tag: &str| {
        Request::new(Method::Notify, "sip:juliet@192.0.2.1".parse().unwrap())
            .with_header(
                Name::Via,
                format!("SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{tag}"),
            )
            .with_header(Name::MaxForwards, "70")
            .with_header(Name::From, format!("<sip:romeo@example.net>;tag={tag}"))
            .with_header(Name::To, subscribe.headers.first(&Name::From).unwrap())
            .with_header(Name::CallId, subscribe.call_id().unwrap())
            .with_header(Name::CSeq, "5 NOTIFY")
            .with_header(Name::RecordRoute, "<sip:192.0.2.2:5070;lr>")
            .with_header(Name::Contact, "<sip:romeo@192.0.2.9>")
            .with_header(Name::Event, "presence")
            .with_header(Name::SubscriptionState, "active;expires=100")
    };
    net.juliet_hears(notify("one"));
    assert_eq!(net.juliet_says(), ["200 NOTIFY"]);
    net.juliet_hears(notify("two"));
    assert_eq!(net.juliet_says(), ["481 NOTIFY"]);
    assert_eq!(net.juliet_is_told(), "active;expires=100 ");
    let mut accepted = Response::to_request(&subscribe, Status::OK);
    accepted
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=one");
    net.juliet_hears(accepted);
    net.now += Duration::from_secs(80);
    net.juliet.handle_timeout(net.now);
    let refresh = net.juliet_sends_next();
    assert_eq!(refresh.uri.to_string(), "sip:romeo@192.0.2.9");
    assert_eq!(
        refresh.headers.first(&Name::Route),
        Some("<sip:192.0.2.2:5070;lr>")
    );
    assert_eq!(refresh.headers.first(&Name::CSeq), Some("2 SUBSCRIBE"));
    let to = refresh.to().unwrap();
    assert_eq!(to.tag(), Some("one"));
    // Lower than the last.
    let mut late = notify("one");
    late.headers.set(Name::CSeq, "4 NOTIFY");
    late.headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKlate");
    net.juliet_hears(late);
    assert_eq!(net.juliet_says(), ["500 NOTIFY"]);
}

/// RS-15, SIP-12, PRES-05. 489 with Allow-Events, 406 with Accept; 423 is asked again with more.
#[test]
fn what_romeo_refuses() {
    for (event, expires, accept, status) in [
        ("dialog", 3600, "", Status::BAD_EVENT),
        ("presence", 3600, "text/plain", Status::NOT_ACCEPTABLE),
    ] {
        let mut net = served();
        let mut subscribe = subscribe(event, expires);
        if !accept.is_empty() {
            subscribe.headers.push((Name::Accept, accept.into()));
        }
        net.juliet.subscribe(OURS, subscribe, net.now);
        net.run();
        assert_eq!(
            net.juliet_is_over(),
            (SubscriptionEnd::Refused(status), Next::Never)
        );
        net.ends_with_nothing_left();
    }
    let mut net = served();
    net.subscribe("presence", 10);
    assert_eq!(
        net.log,
        [
            "juliet SUBSCRIBE 1",
            "romeo 423 SUBSCRIBE",
            "juliet SUBSCRIBE 2",
            "romeo 200 SUBSCRIBE"
        ]
    );
}

/// PRES-19. A poll: one NOTIFY, empty after two seconds if nobody says more.
#[test]
fn a_poll() {
    let mut net = served();
    net.subscribe("presence", 0);
    net.elapse(2);
    assert_eq!(net.juliet_is_told(), "terminated;reason=timeout ");
    assert_eq!(
        net.juliet_is_over(),
        (
            SubscriptionEnd::Terminated(Some(TerminationReason::Timeout)),
            Next::Never
        )
    );
    assert_eq!(net.romeo_is_over(), SubscriptionEnd::PeerUnsubscribed);
    net.ends_with_nothing_left();
}

/// PRES-17. Nobody there any more: the NOTIFY times out, or the peer knows of nothing.
#[test]
fn a_watcher_that_is_gone() {
    let mut net = served();
    net.subscribe("presence", 3600);
    net.romeo.notify(THEIRS, Notice::Active(None), net.now);
    while net.romeo.poll_transmit().is_some() {}
    for _ in 0..40 {
        net.now += Duration::from_secs(1);
        net.romeo.handle_timeout(net.now);
        while net.romeo.poll_transmit().is_some() {}
    }
    let SubscriptionEnd::NotifyFailed(_) = net.romeo_is_over() else {
        panic!()
    };
}

/// SIP-12, PRES-17. Whatever is lost and whatever is done in which order: each subscription ends once on each side, and
/// leaves nothing behind.
#[test]
fn every_subscription_ends_once() {
    let mut total = 0;
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut net = served();
        net.loss = Loss::random(seed + 1000);
        let (mut ended, mut served) = (HashMap::new(), Vec::new());
        for round in 0..60 {
            let ours = id(1 + random.random_range(0..10));
            let theirs = served.get(random.random_range(0..10)).copied();
            let theirs = theirs.unwrap_or(id(99));
            match random.random_range(0..8) {
                0 | 1 if round < 10 => {
                    let ours = id(1 + round);
                    let expires = [0, 60, 300, 3600][random.random_range(0..4)];
                    ended.insert(ours, 0);
                    net.juliet
                        .subscribe(ours, subscribe("presence", expires), net.now);
                }
                2 => net.juliet.unsubscribe(ours, net.now),
                3 => net.juliet.refresh_subscription(ours, net.now),
                4 => net.romeo.report_change(theirs, net.now),
                5 => net
                    .romeo
                    .notify(theirs, Notice::Active(document("x")), net.now),
                6 if random.random_bool(0.2) => {
                    let notice = Notice::Terminated {
                        reason: TerminationReason::Rejected,
                        retry_after: None,
                        document: None,
                    };
                    net.romeo.notify(theirs, notice, net.now);
                }
                _ => {}
            }
            net.elapse(random.random_range(0..20));
            net.settle(&mut ended, &mut served);
        }
        for number in 1..=10 {
            net.juliet.unsubscribe(id(number), net.now);
        }
        for _ in 0..100 {
            net.elapse(100);
            net.settle(&mut ended, &mut served);
        }
        assert!(
            ended.values().all(|times| *times == 1),
            "seed {seed}: {ended:?}"
        );
        net.ends_with_nothing_left();
        total += served.len();
    }
    assert!(total > 40, "{total}");
}

fn document(body: &'static str) -> Option<Document> {
    Some(Document {
        content_type: "text/plain".into(),
        body: body.into(),
    })
}

impl Net {
    /// Romeo accepts and tells, whatever he is asked; ends are counted, his under ids of a thousand and more.
    fn settle(
        &mut self,
        ended: &mut HashMap<SubscriptionId, u32>,
        served: &mut Vec<SubscriptionId>,
    ) {
        loop {
            let events: Vec<_> = [&mut self.juliet, &mut self.romeo]
                .into_iter()
                .filter_map(Endpoint::poll_event)
                .collect();
            if events.is_empty() {
                return self.run();
            }
            for event in events {
                match event {
                    Event::Requested {
                        transaction,
                        request,
                        ..
                    } if request.method == Method::Subscribe => {
                        let theirs = id(1000 + served.len() as u64);
                        served.push(theirs);
                        ended.insert(theirs, 0);
                        let contact = LocalContact::default();
                        self.romeo.accept_subscription(
                            theirs,
                            transaction,
                            &request,
                            contact,
                            self.now,
                        );
                    }
                    // Of a subscription that juliet has given up.
                    Event::Requested { transaction, .. } => {
                        let gone = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                        self.juliet.respond(transaction, Reply::new(gone), self.now);
                    }
                    Event::StateAsked { subscription, .. } => {
                        self.romeo
                            .notify(subscription, Notice::Active(None), self.now);
                    }
                    Event::SubscriptionEnded { subscription, .. } => {
                        *ended.entry(subscription).or_insert(0) += 1;
                    }
                    Event::Notified { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
