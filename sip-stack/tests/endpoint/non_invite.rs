//! Requests other than INVITE: RFC 3261 §17.1.2 and §17.2.2.

use std::collections::HashMap;

use stox_sip::{Event, Failure, Reply, RequestId, Status};

use crate::stage::{Loss, Net, message};

/// SIP-03. A lost request is repeated; a lost answer brings the same answer again; it is told once.
#[test]
fn a_message_is_told_once_whatever_is_lost() {
    let mut net = Net::new();
    let id = RequestId::ours(1);
    net.juliet.request(id, message("hi"), net.now);
    net.lose_next(1);
    net.run();
    net.elapse_ms(500);
    let Some(Event::Requested { transaction, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.elapse_ms(1000);
    assert!(net.romeo.poll_event().is_none(), "a repetition is absorbed");
    net.lose_next(1);
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    net.elapse_ms(2000);
    let Some(Event::Responded { request, response }) = net.juliet.poll_event() else {
        panic!()
    };
    assert_eq!((request, response.status), (id, Status::OK));
    net.ends_with_nothing_left();
}

/// SIP-03. Timer F; RFC 4320: an unanswered request gets 100, and never 408.
#[test]
fn a_message_nobody_answers_times_out() {
    let mut net = Net::new();
    net.juliet
        .request(RequestId::ours(1), message("hi"), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Requested { .. })
    ));
    net.elapse_ms(31_999);
    assert!(net.juliet.poll_event().is_none());
    net.elapse_ms(1);
    let Some(Event::RequestFailed {
        cause: Failure::Timeout,
        ..
    }) = net.juliet.poll_event()
    else {
        panic!()
    };
    let statuses: Vec<_> = net
        .log
        .iter()
        .filter(|line| line.starts_with("romeo"))
        .collect();
    assert!(
        !statuses.is_empty() && statuses.iter().all(|line| line.contains("100")),
        "{statuses:?}"
    );
    net.ends_with_nothing_left();
}

/// Random loss, many messages: each is told at most once, and each ends exactly once.
#[test]
fn random_loss_neither_doubles_nor_forgets() {
    for seed in 0..20 {
        let mut net = Net::new();
        net.loss = Loss::random(seed);
        let (mut told, mut ended) = (HashMap::new(), HashMap::new());
        for number in 0..50 {
            net.juliet.request(
                RequestId::ours(number),
                message(&number.to_string()),
                net.now,
            );
        }
        for _ in 0..700 {
            net.elapse_ms(100);
            while let Some(event) = net.romeo.poll_event() {
                let Event::Requested {
                    transaction,
                    request,
                    ..
                } = event
                else {
                    panic!("{event:?}")
                };
                *told.entry(request.body).or_insert(0) += 1;
                net.romeo
                    .respond(transaction, Reply::new(Status::OK), net.now);
            }
            while let Some(event) = net.juliet.poll_event() {
                match event {
                    Event::Responded { request, .. } | Event::RequestFailed { request, .. } => {
                        *ended.entry(request).or_insert(0) += 1;
                    }
                    event => panic!("{event:?}"),
                }
            }
        }
        assert!(
            told.values().all(|times| *times == 1),
            "seed {seed}: {told:?}"
        );
        assert_eq!(ended.len(), 50, "seed {seed}");
        assert!(
            ended.values().all(|times| *times == 1),
            "seed {seed}: {ended:?}"
        );
        net.ends_with_nothing_left();
    }
}
