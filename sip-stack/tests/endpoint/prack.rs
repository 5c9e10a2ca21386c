//! Reliable provisional responses: RFC 3262.

use std::time::Duration;

use stox_sip::{Event, Method, Name, Reply, Status};

use crate::stage::{Net, raw, raw_inside};

/// SIP-06, RFC 3262. The peer requires reliable provisional responses: repeated until their PRACK, one after the other.
#[test]
fn reliable_provisional_responses() {
    let mut net = Net::new();
    let mut request = raw(Method::Invite, 1);
    request.headers.push(Name::Require, "100rel");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    for status in [Status::RINGING, Status::SESSION_PROGRESS] {
        net.romeo.answer(invite, Reply::new(status), net.now);
    }
    let ringing = net.romeo_responses().remove(1);
    let rseq = ringing.rseq().unwrap();
    assert_eq!(ringing.headers.first(&Name::Require), Some("100rel"));
    let to = ringing.to().unwrap();
    let tag = to.tag().unwrap();
    net.romeo_passes(500);
    assert_eq!(net.romeo_says(), ["180 INVITE"]);
    let prack =
        |cseq, rack: String| raw_inside(Method::Prack, cseq, tag).with_header(Name::RAck, rack);
    net.romeo_hears(&prack(2, format!("{} 1 INVITE", rseq + 1)));
    net.romeo_hears(&prack(3, format!("{rseq} 2 INVITE")));
    net.romeo_hears(&prack(4, format!("{rseq} 1 INVITE")));
    assert_eq!(
        net.romeo_says(),
        ["481 PRACK", "481 PRACK", "200 PRACK", "183 INVITE"]
    );
    // The final response may come before the PRACK of what says nothing of media.
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    assert_eq!(net.romeo_says(), ["200 INVITE"]);
    net.romeo_hears(&prack(5, format!("{} 1 INVITE", rseq + 1)));
    assert_eq!(net.romeo_says(), ["200 PRACK"]);
    net.romeo_hears(&prack(6, format!("{} 1 INVITE", rseq + 1)));
    assert_eq!(net.romeo_says(), ["481 PRACK"]);
    net.romeo_hears(&prack(7, "1".into()));
    assert_eq!(net.romeo_says(), ["400 PRACK"]);
}

/// RFC 3262 §3. Nobody acknowledges: 500, and the user is told.
#[test]
fn an_unacknowledged_provisional_response() {
    let mut net = Net::new();
    let mut request = raw(Method::Invite, 1);
    request.headers.push(Name::Require, "100rel");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .answer(invite, Reply::new(Status::RINGING), net.now);
    for _ in 0..64 {
        net.romeo_passes(500);
    }
    let said = net.romeo_says();
    assert_eq!(said.iter().filter(|said| *said == "180 INVITE").count(), 7);
    assert_eq!(said.last().unwrap(), "500 INVITE");
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Cancelled { .. })
    ));
}

impl Net {
    fn romeo_passes(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.romeo.handle_timeout(self.now);
    }
}
