//! Where requests go: RFC 3263, and the connections of RFC 3261 §18.

use stox_sip::{Answer, Event, Failure, Name, Question, RequestId, Response, Srv, Status};

use crate::stage::{Net, message};

/// SIP-13, RFC 3263 §4.3. 503, silence and refusal lead to the next target; the last answer is told.
#[test]
fn targets_are_tried_in_turn() {
    let mut net = Net::new();
    let mut request = message("x");
    request.target = "sip:romeo@example.org;transport=udp".parse().unwrap();
    let id = RequestId::ours(1);
    net.juliet.request(id, request.clone(), net.now);
    let answer = |net: &mut Net, expected: &str, answer| {
        let (id, question) = net.juliet.poll_question().unwrap();
        assert_eq!(format!("{question:?}"), expected);
        net.juliet.handle_resolved(id, answer, net.now);
    };
    let records = ["a", "b"].map(|host| Srv {
        priority: u16::from(host == "b"),
        weight: 0,
        port: 5060,
        host: format!("{host}.example.org"),
    });
    answer(
        &mut net,
        "Srv(\"_sip._udp.example.org\")",
        Answer::Srv(records.to_vec()),
    );
    answer(
        &mut net,
        "Addresses(\"a.example.org\")",
        Answer::Addresses(vec!["192.0.2.8".parse().unwrap()]),
    );
    let sent = net.juliet_sends();
    let mut busy = Response::to_request(&sent[0], Status::SERVICE_UNAVAILABLE);
    busy.headers.push(Name::RetryAfter, "20");
    net.juliet_hears(busy);
    answer(
        &mut net,
        "Addresses(\"b.example.org\")",
        Answer::Addresses(vec!["192.0.2.9".parse().unwrap()]),
    );
    assert_eq!(net.juliet_sends().len(), 1);
    net.elapse_ms(32_000);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::Timeout,
            ..
        })
    ));
    assert_eq!(
        net.juliet.poll_question().map(|(_, question)| question),
        None::<Question>
    );
}

/// RFC 3261 §18.1.1, §9. Over connections: refused, lost while idle, and answers on the same one.
#[test]
fn connections_fail_and_are_made_again() {
    let mut net = Net::new();
    let mut request = message("x");
    request.target = "sip:romeo@192.0.2.2;transport=tcp".parse().unwrap();
    net.juliet
        .request(RequestId::ours(1), request.clone(), net.now);
    let (first, target) = net.juliet.poll_connect().unwrap();
    assert_eq!(target.address.to_string(), "192.0.2.2:5060");
    let sent = net.juliet_sends();
    assert!(
        sent[0]
            .top_via()
            .unwrap()
            .to_string()
            .starts_with("SIP/2.0/TCP")
    );
    net.juliet_hears(Response::to_request(&sent[0], Status::OK));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Responded { .. })
    ));
    // The next one finds the connection closed, and gets a new one.
    net.juliet
        .request(RequestId::ours(2), request.clone(), net.now);
    assert_eq!(net.juliet.poll_connect(), None);
    net.juliet_sends();
    net.juliet.handle_disconnected(first, net.now);
    let (second, _) = net.juliet.poll_connect().unwrap();
    assert_ne!(first, second);
    assert_eq!(net.juliet_sends().len(), 1);
    net.juliet.handle_disconnected(second, net.now);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::Unreachable,
            ..
        })
    ));
    net.elapse_ms(60_000);
    net.ends_with_nothing_left();
}

/// SIP-03, RFC 3261 §18.4. A host says that nobody takes datagrams at a port: what waits for an answer from there fails, and
/// nothing else.
#[test]
fn what_waits_at_a_closed_port_fails() {
    let mut net = Net::new();
    for (id, host) in [(1, "192.0.2.2"), (2, "192.0.2.3"), (3, "192.0.2.2")] {
        let mut request = message("x");
        request.target = format!("sip:romeo@{host}").parse().unwrap();
        net.juliet.request(RequestId::ours(id), request, net.now);
    }
    assert_eq!(net.juliet_sends().len(), 3);
    let mut failed_of = |address: &str| {
        net.juliet
            .handle_unreachable(address.parse().unwrap(), net.now);
        let mut failed = Vec::new();
        while let Some(event) = net.juliet.poll_event() {
            match event {
                Event::RequestFailed { request, cause } => failed.push((request, cause)),
                other => panic!("{other:?}"),
            }
        }
        failed.sort_unstable_by_key(|(request, _)| format!("{request:?}"));
        failed
    };
    let gone = |id| (RequestId::ours(id), Failure::Unreachable);
    assert_eq!(failed_of("192.0.2.2:5061"), []);
    assert_eq!(failed_of("192.0.2.2:5060"), [gone(1), gone(3)]);
    assert_eq!(failed_of("192.0.2.2:5060"), []);
    assert_eq!(failed_of("192.0.2.3:5060"), [gone(2)]);
    net.elapse_ms(60_000);
    net.ends_with_nothing_left();
}
