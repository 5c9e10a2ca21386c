//! UPDATE: RFC 3311.

use stox_sip::{Event, Method, Reply, Status};

use crate::stage::{Net, raw, raw_inside};

/// SIP-06, RFC 3311. An UPDATE without description is answered, before and after the session is there.
#[test]
fn bare_updates_are_answered() {
    let mut net = Net::new();
    net.romeo_hears(&raw(Method::Invite, 1));
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .answer(invite, Reply::new(Status::RINGING), net.now);
    let tag = net.romeo_responses()[1].to().unwrap();
    let tag = tag.tag().unwrap();
    net.romeo_hears(&raw_inside(Method::Update, 2, tag));
    assert_eq!(net.romeo_says(), ["200 UPDATE"]);
    let described = raw_inside(Method::Update, 3, tag).with_body("application/sdp", "v=0");
    net.romeo_hears(&described);
    assert_eq!(net.romeo_says(), ["500 UPDATE"]);
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    net.romeo_hears(&raw_inside(Method::Ack, 1, tag));
    net.romeo_hears(&raw_inside(Method::Update, 4, tag));
    assert_eq!(net.romeo_says(), ["200 INVITE", "200 UPDATE"]);
}
