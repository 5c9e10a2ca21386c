//! Subscriptions in the dialog of a session: RFC 3261 §12, RFC 5057.

use std::time::Duration;

use stox_sip::{
    Event, LocalContact, Message, Method, Name, Notice, Request, Response, Status, SubscriptionEnd,
};

use super::{THEIRS, id, served};
use crate::stage::{Net, raw};

/// SIP-10. Subscriptions in the dialog of a session live on after its BYE, each by the `id` of its Event.
#[test]
fn subscriptions_outlive_the_session() {
    let mut net = served();
    let (_, theirs) = net.establish();
    let ack = net.requests().pop().unwrap();
    let subscribe = |number: u32, id: &str| {
        inside(&ack, Method::Subscribe, number)
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
    let mut net = served();
    net.establish();
    let ack = net.requests().pop().unwrap();
    let subscribe = |number, expires: &str| {
        inside(&ack, Method::Subscribe, number)
            .with_header(Name::Event, "presence")
            .with_header(Name::Expires, expires)
    };
    net.romeo_hears(&subscribe(2, "3600"));
    net.accept_subscription(THEIRS);
    net.romeo.notify(THEIRS, Notice::Active(None), net.now);
    let notify = net.romeo_sends_last();
    let answered = Response::to_request(&notify, Status::OK);
    net.romeo_hears(&answered);
    net.romeo_hears(&inside(&ack, Method::Bye, 3));
    assert_eq!(net.romeo_says(), ["200 BYE"]);
    assert!(matches!(net.romeo.poll_event(), Some(Event::Ended { .. })));
    net.romeo_hears(&inside(&ack, Method::Message, 4));
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

/// In the dialog that this is of.
fn inside(ack: &Request, method: Method, cseq: u32) -> Request {
    let mut request = raw(method, cseq);
    for name in [Name::From, Name::To, Name::CallId] {
        let field = ack.headers.first(&name).unwrap();
        request.headers.set(name.clone(), field);
    }
    request
}

impl Net {
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
