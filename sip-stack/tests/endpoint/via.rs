//! What the Via is for: RFC 3261 §17.2.3 and §18.2, RFC 3581.

use stox_sip::{Destination, Event, Method, Name, Reply, Source, Status};

use crate::stage::{JULIET, Net, ROMEO, raw, source, summaries};

/// SIP-03. Branches without the cookie are matched as RFC 2543 did.
#[test]
fn old_branches_are_matched() {
    let mut net = Net::new();
    let mut request = raw(Method::Invite, 1);
    request
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=7");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo_hears(&request);
    assert!(net.romeo.poll_event().is_none());
    net.romeo
        .answer(invite, Reply::new(Status::DECLINE), net.now);
    let answers = net.romeo_responses();
    assert_eq!(
        summaries(&answers),
        ["100 INVITE", "100 INVITE", "603 INVITE"]
    );
    let mut ack = request.clone();
    ack.method = Method::Ack;
    ack.headers.set(Name::CSeq, "1 ACK");
    ack.headers
        .set(Name::To, answers[2].headers.first(&Name::To).unwrap());
    net.romeo_hears(&ack);
    net.elapse_ms(10_000);
    assert!(net.romeo_says().is_empty(), "the ACK stops Timer G");
}

/// SIP-04, RFC 3581. Responses go where the request came from, if asked for; the Via says so.
#[test]
fn responses_find_their_way() {
    for (via, expected) in [
        ("192.0.2.1:5070", "192.0.2.1:5070"),
        ("192.0.2.1", "192.0.2.1:5060"),
        ("10.0.0.1:5070", "192.0.2.1:5070"),
        ("10.0.0.1:5070;rport", "192.0.2.1:40000"),
        ("juliet.example.com;rport", "192.0.2.1:40000"),
    ] {
        let mut net = Net::new();
        let mut request = raw(Method::Message, 1);
        request
            .headers
            .set(Name::Via, format!("SIP/2.0/UDP {via};branch=z9hG4bK1"));
        request.headers.set(Name::MaxForwards, "0");
        let from_elsewhere = Source {
            remote: "192.0.2.1:40000".parse().unwrap(),
            ..source(ROMEO, JULIET)
        };
        net.romeo
            .handle_received(Ok(request.into()), from_elsewhere, net.now);
        let transmit = net.romeo.poll_transmit().unwrap();
        let Destination::Datagram { remote, .. } = transmit.destination else {
            panic!()
        };
        assert_eq!(remote.to_string(), expected, "{via}");
        let text = String::from_utf8(transmit.payload.to_vec()).unwrap();
        assert_eq!(
            text.contains("received=192.0.2.1"),
            !via.starts_with("192.0.2.1"),
            "{text}"
        );
        assert_eq!(
            text.contains("rport=40000"),
            via.ends_with("rport"),
            "{text}"
        );
    }
}
