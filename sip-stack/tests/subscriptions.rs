//! Subscriptions and REFER between two endpoints in virtual time. Nothing sleeps.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    Destination, Document, Endpoint, EndpointConfig, Event, EventPackage, Invite, InviteId,
    Listener, LocalContact, Message, Method, Name, NameAddr, Next, Notice, Occasion, Package,
    Refer, ReferPlace, ReferSub, ReferTo, ReferredBy, Reply, Request, Response,
    ServerTransactionId, Source, Status, Subscribe, SubscriptionEnd, SubscriptionId,
    TerminationReason, Transport, Uri, sipfrag, sipfrag_status,
};

const OURS: SubscriptionId = id(1);
const THEIRS: SubscriptionId = id(2);

/// PRES-15, PRES-16, PRES-18, SIP-12, RS-16. From SUBSCRIBE to the last NOTIFY, and a refresh in between.
#[test]
fn a_whole_subscription() {
    let mut net = Net::new();
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
    let mut net = Net::new();
    net.juliet
        .subscribe(OURS, subscribe("presence", 3600), net.now);
    let subscribe = net.juliet_sends();
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
    net.juliet_hears(notify("one").into());
    assert_eq!(net.juliet_says(), ["200 NOTIFY"]);
    net.juliet_hears(notify("two").into());
    assert_eq!(net.juliet_says(), ["481 NOTIFY"]);
    assert_eq!(net.juliet_is_told(), "active;expires=100 ");
    let mut accepted = Response::to_request(&subscribe, Status::OK);
    accepted
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=one");
    net.juliet_hears(accepted.into());
    net.now += Duration::from_secs(80);
    net.juliet.handle_timeout(net.now);
    let refresh = net.juliet_sends();
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
    net.juliet_hears(late.into());
    assert_eq!(net.juliet_says(), ["500 NOTIFY"]);
}

/// RS-15, SIP-12, PRES-05. 489 with Allow-Events, 406 with Accept; 423 is asked again with more.
#[test]
fn what_romeo_refuses() {
    for (event, expires, accept, status) in [
        ("dialog", 3600, "", Status::BAD_EVENT),
        ("presence", 3600, "text/plain", Status::NOT_ACCEPTABLE),
    ] {
        let mut net = Net::new();
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
    let mut net = Net::new();
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
    let mut net = Net::new();
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
    let mut net = Net::new();
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

/// SIP-10. Subscriptions in the dialog of a session live on after its BYE, each by the `id` of its Event.
#[test]
fn subscriptions_outlive_the_session() {
    let mut net = Net::new();
    let theirs = net.establish();
    let invite = net.invite.clone().unwrap();
    let subscribe = |number: u32, id: &str| {
        Request::new(Method::Subscribe, "sip:romeo@192.0.2.2".parse().unwrap())
            .with_header(
                Name::Via,
                format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKs{number}"),
            )
            .with_header(Name::MaxForwards, "70")
            .with_header(Name::From, invite.from().unwrap().to_string())
            .with_header(Name::To, net.to.clone())
            .with_header(Name::CallId, invite.call_id().unwrap())
            .with_header(Name::CSeq, format!("{number} SUBSCRIBE"))
            .with_header(Name::Contact, "<sip:juliet@192.0.2.1:5060>")
            .with_header(Name::Event, format!("presence;id={id}"))
    };
    let requests = [subscribe(2, "a"), subscribe(3, "b")];
    for (request, subscription) in requests.iter().zip([THEIRS, id(3)]) {
        net.romeo_hears(request);
        let Some(Event::Requested {
            transaction,
            invite: Some(invite),
            request,
            ..
        }) = net.romeo.poll_event()
        else {
            panic!()
        };
        assert_eq!(invite, theirs);
        net.romeo.accept_subscription(
            subscription,
            transaction,
            &request,
            LocalContact::default(),
            net.now,
        );
        net.romeo
            .notify(subscription, Notice::Active(None), net.now);
    }
    assert_eq!(
        net.romeo_says(),
        ["200 SUBSCRIBE", "NOTIFY 1", "200 SUBSCRIBE", "NOTIFY 2"]
    );
    net.romeo.bye(theirs, vec![], net.now);
    assert_eq!(net.romeo_says(), ["BYE 3"]);
    net.now += Duration::from_secs(33);
    net.romeo.handle_timeout(net.now);
    let events: Vec<_> = std::iter::from_fn(|| net.romeo.poll_event()).collect();
    // Nobody answered anything, so the two that were told are over, and the session.
    assert_eq!(events.len(), 3, "{events:?}");
}

/// SIP-10, SIP-12. After the BYE of the peer the dialog is the subscriptions'.
#[test]
fn a_refresh_after_bye() {
    let mut net = Net::new();
    net.establish();
    let invite = net.invite.clone().unwrap();
    let to = net.to.clone();
    let inside = |method: Method, number: u32| {
        let uri: Uri = "sip:romeo@192.0.2.2".parse().unwrap();
        Request::new(method.clone(), uri)
            .with_header(
                Name::Via,
                format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi{number}"),
            )
            .with_header(Name::MaxForwards, "70")
            .with_header(Name::From, invite.from().unwrap().to_string())
            .with_header(Name::To, to.clone())
            .with_header(Name::CallId, invite.call_id().unwrap())
            .with_header(Name::CSeq, format!("{number} {method}"))
            .with_header(Name::Contact, "<sip:juliet@192.0.2.1:5060>")
    };
    let subscribe = |number, expires: &str| {
        inside(Method::Subscribe, number)
            .with_header(Name::Event, "presence")
            .with_header(Name::Expires, expires)
    };
    net.romeo_hears(&subscribe(2, "3600"));
    net.accept(THEIRS);
    net.romeo.notify(THEIRS, Notice::Active(None), net.now);
    let notify = net.romeo_sends_last();
    let answered = Response::to_request(&notify, Status::OK);
    net.romeo_hears_response(answered);
    net.romeo_hears(&inside(Method::Bye, 3));
    assert_eq!(net.romeo_says(), ["200 BYE"]);
    assert!(matches!(net.romeo.poll_event(), Some(Event::Ended { .. })));
    net.romeo_hears(&inside(Method::Message, 4));
    assert_eq!(net.romeo_says(), ["481 MESSAGE"]);
    net.romeo_hears(&subscribe(3, "3600"));
    assert_eq!(net.romeo_says(), ["500 SUBSCRIBE"]);
    net.romeo_hears(&subscribe(5, "0"));
    net.romeo.poll_event();
    net.romeo.notify(THEIRS, Notice::Active(None), net.now);
    assert_eq!(net.romeo_says(), ["200 SUBSCRIBE", "NOTIFY 3"]);
    assert_eq!(net.romeo_is_over(), SubscriptionEnd::PeerUnsubscribed);
    net.romeo_hears(&subscribe(6, "3600"));
    assert_eq!(net.romeo_says(), ["481 SUBSCRIBE"]);
}

/// RS-30, RFC 3515, RFC 4488. In a session and outside, with and without subscription.
#[test]
fn refer_and_what_comes_of_it() {
    for place in ["inside", "outside"] {
        let mut net = Net::new();
        let session = (place == "inside").then(|| {
            net.establish();
            net.log.clear();
            ReferPlace::In(InviteId::ours(1))
        });
        let place = session.unwrap_or_else(|| ReferPlace::Outside {
            target: "sip:romeo@192.0.2.2".parse().unwrap(),
            from: address("juliet"),
            to: address("romeo"),
            contact: LocalContact::default(),
        });
        let refer = Refer {
            place,
            refer_to: ReferTo::new(address("mercutio")),
            referred_by: Some(ReferredBy::new(address("juliet"))),
            subscription: ReferSub::Wanted,
            headers: vec![],
        };
        net.juliet.refer(OURS, refer.clone(), net.now);
        net.run();
        let (transaction, request) = net.romeo_is_asked();
        let refer_to = ReferTo::of(&request).unwrap();
        assert_eq!(refer_to.address, address("mercutio"));
        let referred_by = ReferredBy::of(&request.headers).unwrap().unwrap();
        assert_eq!(referred_by.address, address("juliet"));
        net.romeo.accept_refer(
            THEIRS,
            transaction,
            &request,
            LocalContact::default(),
            net.now,
        );
        let trying = Notice::Active(Some(sipfrag(Status::TRYING)));
        net.romeo.notify(THEIRS, trying, net.now);
        net.run();
        let Some(Event::Notified { request, .. }) = net.juliet.poll_event() else {
            panic!()
        };
        assert_eq!(sipfrag_status(&request), Some(Status::TRYING));
        assert_eq!(request.headers.first(&Name::Event), Some("refer"));
        let done = Notice::Terminated {
            reason: TerminationReason::NoResource,
            retry_after: None,
            document: Some(sipfrag(Status::OK)),
        };
        net.romeo.notify(THEIRS, done, net.now);
        net.run();
        assert_eq!(
            net.juliet_is_told(),
            "terminated;reason=noresource SIP/2.0 200 OK\r\n"
        );
        let cause = SubscriptionEnd::Terminated(Some(TerminationReason::NoResource));
        assert_eq!(net.juliet_is_over(), (cause, Next::Never));
        assert_eq!(net.romeo_is_over(), SubscriptionEnd::OurNotice);
        let unwanted = Refer {
            subscription: ReferSub::Unwanted,
            ..refer
        };
        net.juliet.refer(id(3), unwanted, net.now);
        net.run();
        let (transaction, request) = net.romeo_is_asked();
        net.romeo.accept_refer(
            id(4),
            transaction,
            &request,
            LocalContact::default(),
            net.now,
        );
        net.run();
        assert_eq!(net.romeo_is_over(), SubscriptionEnd::NotWanted);
        assert_eq!(net.juliet_is_over().0, SubscriptionEnd::NotWanted);
    }
}

/// SIP-12, PRES-17. Whatever is lost and whatever is done in which order: each subscription ends once on each side, and
/// leaves nothing behind.
#[test]
fn every_subscription_ends_once() {
    let mut total = 0;
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut net = Net::new();
        net.loss = Some(StdRng::seed_from_u64(seed + 1000));
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

// ---- the stage ----

struct Net {
    juliet: Endpoint,
    romeo: Endpoint,
    now: Instant,
    log: Vec<String>,
    /// Loses three in ten.
    loss: Option<StdRng>,
    /// Juliet's INVITE, and the To of its answer.
    invite: Option<Request>,
    to: String,
}

const JULIET: &str = "192.0.2.1:5060";
const ROMEO: &str = "192.0.2.2:5060";

impl Net {
    fn new() -> Self {
        let mut romeo = endpoint(ROMEO, 2);
        let pidf = "application/pidf+xml".into();
        romeo.serve_events(vec![Package::new("presence", [pidf])]);
        Self {
            juliet: endpoint(JULIET, 1),
            romeo,
            now: Instant::now(),
            log: Vec::new(),
            loss: None,
            invite: None,
            to: String::new(),
        }
    }

    /// Juliet subscribes, Romeo accepts.
    fn subscribe(&mut self, event: &str, expires: u32) {
        self.juliet
            .subscribe(OURS, subscribe(event, expires), self.now);
        self.run();
        self.accept(THEIRS);
        self.run();
    }

    fn accept(&mut self, subscription: SubscriptionId) {
        let (transaction, request) = self.romeo_is_asked();
        let contact = LocalContact::default();
        self.romeo
            .accept_subscription(subscription, transaction, &request, contact, self.now);
    }

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

    fn romeo_is_asked(&mut self) -> (ServerTransactionId, Request) {
        match self.romeo.poll_event() {
            Some(Event::Requested {
                transaction,
                request,
                ..
            }) => (transaction, request),
            other => panic!("{other:?}"),
        }
    }

    /// State and body of the NOTIFY that Juliet is told of.
    fn juliet_is_told(&mut self) -> String {
        match self.juliet.poll_event() {
            Some(Event::Notified {
                subscription: OURS,
                state,
                request,
            }) => format!("{state} {}", String::from_utf8_lossy(&request.body)),
            other => panic!("{other:?}"),
        }
    }

    fn juliet_is_over(&mut self) -> (SubscriptionEnd, Next) {
        over(&mut self.juliet)
    }

    fn romeo_is_over(&mut self) -> SubscriptionEnd {
        over(&mut self.romeo).0
    }

    fn establish(&mut self) -> InviteId {
        let ours = InviteId::ours(1);
        let invite = Invite::new(
            "sip:romeo@192.0.2.2".parse().unwrap(),
            address("juliet"),
            address("romeo"),
            LocalContact::default(),
        );
        self.juliet.invite(ours, invite, self.now);
        self.run();
        let Some(Event::Invited {
            invite, request, ..
        }) = self.romeo.poll_event()
        else {
            panic!()
        };
        self.romeo.answer(invite, Reply::new(Status::OK), self.now);
        self.run();
        let Some(Event::Answered { response, .. }) = self.juliet.poll_event() else {
            panic!()
        };
        self.to = response.to().unwrap().to_string();
        self.invite = Some(request);
        self.juliet.ack(ours, None, self.now);
        self.run();
        assert!(matches!(
            self.romeo.poll_event(),
            Some(Event::Acknowledged { .. })
        ));
        invite
    }

    fn run(&mut self) {
        loop {
            let mut in_flight = Vec::new();
            for (name, agent) in [("juliet", &mut self.juliet), ("romeo", &mut self.romeo)] {
                while let Some(transmit) = agent.poll_transmit() {
                    let message = Message::parse_datagram(transmit.payload).unwrap();
                    self.log.push(format!("{name} {}", summary(&message)));
                    in_flight.push((name, transmit.destination, message));
                }
            }
            if in_flight.is_empty() {
                return;
            }
            for (name, destination, message) in in_flight {
                let Destination::Datagram { local, remote } = destination else {
                    panic!()
                };
                if self.loss.as_mut().is_some_and(|l| l.random_bool(0.3)) {
                    continue;
                }
                let to = match name {
                    "juliet" => &mut self.romeo,
                    _ => &mut self.juliet,
                };
                to.handle_received(Ok(message), source(remote, local), self.now);
            }
        }
    }

    /// Lets seconds pass, timer by timer.
    fn elapse(&mut self, seconds: u64) {
        self.run();
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let next = [&self.juliet, &self.romeo]
                .into_iter()
                .filter_map(|agent| agent.poll_timeout())
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.juliet.handle_timeout(self.now);
            self.romeo.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    fn ends_with_nothing_left(&mut self) {
        self.elapse(10_000);
        for agent in [&mut self.juliet, &mut self.romeo] {
            if let Some(event) = agent.poll_event() {
                panic!("{event:?}");
            }
            assert!(agent.is_idle());
            assert_eq!(agent.poll_timeout(), None);
        }
    }

    fn juliet_sends(&mut self) -> Request {
        match self.juliet.poll_transmit().map(|transmit| transmit.payload) {
            Some(payload) => match Message::parse_datagram(payload) {
                Ok(Message::Request(request)) => request,
                other => panic!("{other:?}"),
            },
            None => panic!("nothing is sent"),
        }
    }

    fn juliet_hears(&mut self, message: Message) {
        let source = source(JULIET.parse().unwrap(), ROMEO.parse().unwrap());
        self.juliet.handle_received(Ok(message), source, self.now);
    }

    fn juliet_says(&mut self) -> Vec<String> {
        says(&mut self.juliet)
    }

    fn romeo_hears(&mut self, request: &Request) {
        let source = source(ROMEO.parse().unwrap(), JULIET.parse().unwrap());
        let message = Ok(request.clone().into());
        self.romeo.handle_received(message, source, self.now);
    }

    fn romeo_hears_response(&mut self, response: Response) {
        let source = source(ROMEO.parse().unwrap(), JULIET.parse().unwrap());
        self.romeo
            .handle_received(Ok(response.into()), source, self.now);
    }

    fn romeo_says(&mut self) -> Vec<String> {
        says(&mut self.romeo)
    }

    fn romeo_sends_last(&mut self) -> Request {
        let mut last = None;
        while let Some(transmit) = self.romeo.poll_transmit() {
            last = Some(transmit.payload);
        }
        match Message::parse_datagram(last.unwrap()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }
}

const fn id(number: u64) -> SubscriptionId {
    SubscriptionId::new(number)
}

fn endpoint(address: &str, seed: u64) -> Endpoint {
    let address: SocketAddr = address.parse().unwrap();
    let config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: address,
            advertised: address,
        }],
        user_agent: "test".into(),
        ..EndpointConfig::default()
    };
    Endpoint::new(config, StdRng::seed_from_u64(seed))
}

fn subscribe(event: &str, expires: u32) -> Subscribe {
    let mut subscribe = Subscribe::new(
        "sip:romeo@192.0.2.2".parse().unwrap(),
        address("juliet"),
        address("romeo"),
        LocalContact::default(),
        EventPackage::new(event),
    );
    subscribe.expires = expires;
    subscribe
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse::<Uri>().unwrap())
}

fn document(body: &'static str) -> Option<Document> {
    Some(Document {
        content_type: "text/plain".into(),
        body: body.into(),
    })
}

fn source(local: SocketAddr, remote: SocketAddr) -> Source {
    Source {
        transport: Transport::Udp,
        local,
        remote,
        connection: None,
    }
}

fn over(agent: &mut Endpoint) -> (SubscriptionEnd, Next) {
    match agent.poll_event() {
        Some(Event::SubscriptionEnded { cause, next, .. }) => (cause, next),
        other => panic!("{other:?}"),
    }
}

fn says(agent: &mut Endpoint) -> Vec<String> {
    std::iter::from_fn(|| agent.poll_transmit())
        .map(|transmit| summary(&Message::parse_datagram(transmit.payload).unwrap()))
        .collect()
}

fn summary(message: &Message) -> String {
    let cseq = message.cseq().unwrap();
    match message {
        Message::Request(request) => format!("{} {}", request.method, cseq.number),
        Message::Response(response) => format!("{} {}", response.status.code(), cseq.method),
    }
}
