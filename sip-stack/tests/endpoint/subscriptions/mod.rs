//! Subscriptions: RFC 6665.

mod in_session;
mod lone;

use stox_sip::{
    Endpoint, Event, EventPackage, LocalContact, Next, Package, Request, ServerTransactionId,
    Subscribe, SubscriptionEnd, SubscriptionId,
};

use crate::stage::{Net, address};

pub const OURS: SubscriptionId = id(1);
pub const THEIRS: SubscriptionId = id(2);

pub const fn id(number: u64) -> SubscriptionId {
    SubscriptionId::new(number)
}

/// Romeo has presence to tell.
pub fn served() -> Net {
    let mut net = Net::new();
    let pidf = "application/pidf+xml".into();
    net.romeo
        .serve_events(vec![Package::new("presence", [pidf])]);
    net
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

impl Net {
    /// Juliet subscribes, Romeo accepts.
    fn subscribe(&mut self, event: &str, expires: u32) {
        let subscribe = subscribe(event, expires);
        self.juliet.subscribe(OURS, subscribe, self.now);
        self.run();
        self.accept_subscription(THEIRS);
        self.run();
    }

    fn accept_subscription(&mut self, subscription: SubscriptionId) {
        let (transaction, request) = self.romeo_is_asked();
        let contact = LocalContact::default();
        self.romeo
            .accept_subscription(subscription, transaction, &request, contact, self.now);
    }

    pub fn romeo_is_asked(&mut self) -> (ServerTransactionId, Request) {
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
    pub fn juliet_is_told(&mut self) -> String {
        match self.juliet.poll_event() {
            Some(Event::Notified {
                subscription: OURS,
                state,
                request,
            }) => format!("{state} {}", String::from_utf8_lossy(&request.body)),
            other => panic!("{other:?}"),
        }
    }

    pub fn juliet_is_over(&mut self) -> (SubscriptionEnd, Next) {
        over(&mut self.juliet)
    }

    pub fn romeo_is_over(&mut self) -> SubscriptionEnd {
        over(&mut self.romeo).0
    }
}

fn over(agent: &mut Endpoint) -> (SubscriptionEnd, Next) {
    match agent.poll_event() {
        Some(Event::SubscriptionEnded { cause, next, .. }) => (cause, next),
        other => panic!("{other:?}"),
    }
}
