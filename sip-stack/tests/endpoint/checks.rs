//! What is refused before anybody is told of it: RFC 3261 §8.2 and §12.2.2.

use stox_sip::{Answer, Event, Message, Method, Name, Reply, Status};

use crate::stage::{JULIET, Net, ROMEO, endpoint, raw, raw_inside, source, summaries};

/// SIP-05, SIP-06, SIP-07, SIP-10. What is refused, with what.
#[test]
fn what_is_refused() {
    for (change, expected) in [
        ("", "told"),
        ("Max-Forwards: 0", "483 MESSAGE"),
        ("Require: tardis", "420 MESSAGE"),
        ("Require: 100rel", "told"),
        ("uri tel:+1555", "416 MESSAGE"),
        ("uri im:romeo@example.net", "told"),
        ("method REGISTER", "405 REGISTER"),
        ("method FROBNICATE", "405 FROBNICATE"),
        ("method BYE", "481 BYE"),
        ("method INVITE", "400 INVITE"),
        ("To: <sip:romeo@example.net>;tag=gone", "481 MESSAGE"),
    ] {
        let mut net = Net::new();
        let mut request = raw(Method::Message, 1);
        request.headers.remove(&Name::Contact);
        match change.split_once(' ') {
            Some(("uri", uri)) => request.uri = uri.parse().unwrap(),
            Some(("method", method)) => {
                request.method = Method::parse(method).unwrap();
                request.headers.set(Name::CSeq, format!("1 {method}"));
            }
            Some((name, value)) => {
                request
                    .headers
                    .set(Name::parse(name.trim_end_matches(':')).unwrap(), value);
            }
            None => {}
        }
        net.romeo_hears(&request);
        let answers = net.romeo_responses();
        match net.romeo.poll_event() {
            Some(Event::Requested { .. }) => assert_eq!(expected, "told", "{change}"),
            Some(event) => panic!("{change}: {event:?}"),
            None => assert_eq!(summaries(&answers), [expected], "{change}"),
        }
        for answer in answers {
            assert!(answer.to().unwrap().tag().is_some(), "{change}: a To tag");
            match answer.status {
                Status::METHOD_NOT_ALLOWED => assert!(answer.headers.first(&Name::Allow).is_some()),
                Status::BAD_EXTENSION => {
                    assert_eq!(answer.headers.first(&Name::Unsupported), Some("tardis"))
                }
                _ => {}
            }
        }
    }
}

/// SIP-07, RFC 3261 §8.2.2.2. The same request by another way is a loop; the same way, a repetition.
#[test]
fn merged_requests_are_refused() {
    let mut net = Net::new();
    let request = raw(Method::Message, 1);
    net.romeo_hears(&request);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Requested { .. })
    ));
    net.romeo_hears(&request);
    assert!(net.romeo_says().is_empty());
    let mut other_way = request;
    other_way
        .headers
        .set(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother");
    net.romeo_hears(&other_way);
    assert_eq!(net.romeo_says(), ["482 MESSAGE"]);
    assert!(net.romeo.poll_event().is_none());
}

/// SIP-05. A CSeq that does not rise gets 500 and is not told.
#[test]
fn requests_out_of_order_are_refused() {
    let mut net = Net::new();
    net.romeo_hears(&raw(Method::Invite, 5));
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    let to = net.romeo_responses()[1].to().unwrap();
    let tag = to.tag().unwrap();
    for (cseq, expected) in [(7, None), (6, Some("500 MESSAGE"))] {
        net.romeo_hears(&raw_inside(Method::Message, cseq, tag));
        assert_eq!(net.romeo.poll_event().is_some(), expected.is_none());
        assert_eq!(net.romeo_says(), expected.into_iter().collect::<Vec<_>>());
    }
}

/// Requests of networks that are not trusted get 403.
#[test]
fn strangers_are_refused() {
    let mut net = Net::new();
    net.romeo = endpoint(ROMEO, 2, |config| {
        config.trusted = vec!["10.0.0.0/8".parse().unwrap()]
    });
    net.romeo_hears(&raw(Method::Message, 1));
    assert_eq!(net.romeo_says(), ["403 MESSAGE"]);
    assert!(net.romeo.poll_event().is_none());
}

/// SIP-02. Whatever comes, in whatever state: it is answered or dropped, and leaves nothing behind.
#[test]
fn torture_leaves_nothing_behind() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut net = Net::new();
    let mut heard = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        let message = Message::parse_datagram(std::fs::read(&path).unwrap().into());
        for _ in 0..2 {
            net.romeo
                .handle_received(message.clone(), source(ROMEO, JULIET), net.now);
        }
        heard += 1;
        // A refusal bears what was malformed, so Juliet could not read it.
        while net.romeo.poll_transmit().is_some() {}
        while let Some(event) = net.romeo.poll_event() {
            match event {
                Event::Invited { invite, .. } => {
                    net.romeo.answer(invite, Reply::new(Status::OK), net.now)
                }
                Event::Requested { transaction, .. } => {
                    net.romeo
                        .respond(transaction, Reply::new(Status::OK), net.now);
                }
                _ => {}
            }
        }
    }
    assert!(heard > 40, "{heard} files");
    // BYE to targets that have a name asks the DNS, which knows nothing.
    for _ in 0..5 {
        net.elapse(40);
        while let Some((id, _)) = net.romeo.poll_question() {
            net.romeo.handle_resolved(id, Answer::NoRecords, net.now);
        }
        while let Some((id, _)) = net.romeo.poll_connect() {
            net.romeo.handle_disconnected(id, net.now);
        }
        while net.romeo.poll_event().is_some() {}
    }
    net.ends_with_nothing_left();
}
