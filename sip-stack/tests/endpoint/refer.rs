//! REFER: RFC 3515, RFC 4488.

use stox_sip::{
    Event, InviteId, LocalContact, Name, Next, Notice, Refer, ReferPlace, ReferSub, ReferTo,
    ReferredBy, Status, SubscriptionEnd, TerminationReason, sipfrag, sipfrag_status,
};

use crate::stage::address;
use crate::subscriptions::{OURS, THEIRS, id, served};

/// RS-30, RFC 3515, RFC 4488. In a session and outside, with and without subscription.
#[test]
fn refer_and_what_comes_of_it() {
    for place in ["inside", "outside"] {
        let mut net = served();
        let session = (place == "inside").then(|| {
            net.establish();
            net.forget();
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
