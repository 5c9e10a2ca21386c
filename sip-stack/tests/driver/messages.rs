//! Requests outside of sessions.

use std::time::Duration;

use stox_sip::{
    DriverConfig, Event, EventPackage, Failure, Method, Name, Notice, Package, Reply, Status,
    Subscribe, Timers, Transport, Uri, bind,
};

use crate::stage::{address, agent, agent_on_one_port, agent_with, any, contact, message};

/// SIP-03, SIP-04: a MESSAGE and its answer, over each transport.
#[tokio::test]
async fn messages_are_answered() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (juliet, mut romeo) = (agent().await, agent().await);
        let mut juliet = juliet;
        let id = juliet.sip.reserve_request();
        juliet
            .sip
            .request(id, message(romeo.uri(transport), "Art thou not Romeo?"))
            .await;
        let Event::Requested {
            transaction,
            request,
            source,
            invite: None,
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(
            (request.method, &*request.body),
            (Method::Message, &b"Art thou not Romeo?"[..])
        );
        assert_eq!(source.transport, transport);
        romeo
            .sip
            .respond(transaction, Reply::new(Status::ACCEPTED))
            .await;
        let Event::Responded { request, response } = juliet.next().await else {
            panic!()
        };
        assert_eq!((request, response.status), (id, Status::ACCEPTED));
        assert!(response.headers.first(&Name::Server).is_some());
    }
}

/// SIP-12. A subscription over real sockets, asked for once.
#[tokio::test]
async fn a_state_is_asked_for_once() {
    let (mut juliet, mut romeo) = (agent().await, agent().await);
    romeo
        .sip
        .serve_events(vec![Package::new("presence", [])])
        .await;
    let ours = juliet.sip.reserve_subscription();
    let mut subscribe = Subscribe::new(
        romeo.uri(Transport::Tcp),
        address("juliet"),
        address("romeo"),
        contact("juliet"),
        EventPackage::new("presence"),
    );
    subscribe.expires = 0;
    juliet.sip.subscribe(ours, subscribe).await;
    let Event::Requested {
        transaction,
        request,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    let theirs = romeo.sip.reserve_subscription();
    romeo
        .sip
        .accept_subscription(theirs, transaction, request, contact("romeo"))
        .await;
    romeo.sip.notify(theirs, Notice::Active(None)).await;
    let Event::Notified {
        subscription,
        state,
        ..
    } = juliet.next().await
    else {
        panic!()
    };
    assert_eq!((subscription, state.is_terminated()), (ours, true));
    for agent in [&mut juliet, &mut romeo] {
        assert!(matches!(
            agent.next().await,
            Event::SubscriptionEnded { .. }
        ));
    }
}

/// SIP-01: what is too large for a datagram takes a connection.
#[tokio::test]
async fn large_requests_take_a_connection() {
    let (mut juliet, mut romeo) = (agent().await, agent_on_one_port().await);
    let id = juliet.sip.reserve_request();
    juliet
        .sip
        .request(id, message(romeo.uri(Transport::Udp), &"x".repeat(2000)))
        .await;
    let Event::Requested {
        transaction,
        source,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    assert_eq!(source.transport, Transport::Tcp);
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}

/// SIP-01, RFC 3261 §18.1.1: and is sent as a datagram all the same where the connection is refused.
#[tokio::test]
async fn refused_connections_fall_back_to_datagrams() {
    let (mut juliet, mut romeo) = (agent().await, agent_with(&[Transport::Udp], |_| ()).await);
    let id = juliet.sip.reserve_request();
    juliet
        .sip
        .request(id, message(romeo.uri(Transport::Udp), &"x".repeat(2000)))
        .await;
    let Event::Requested {
        transaction,
        source,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    assert_eq!(source.transport, Transport::Udp);
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}

#[tokio::test]
async fn what_nobody_listens_to_fails() {
    let mut juliet = agent_with(&[Transport::Udp, Transport::Tcp], |config| {
        config.timers = Timers {
            t1: Duration::from_millis(5),
            t2: Duration::from_millis(20),
            ..Timers::default()
        };
    })
    .await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for (target, expected) in [
        (
            format!("sip:romeo@127.0.0.1:{port};transport=tcp"),
            Failure::Unreachable,
        ),
        (format!("sip:romeo@127.0.0.1:{port}"), Failure::Timeout),
        ("tel:+15551234".to_owned(), Failure::Unresolvable),
    ] {
        let id = juliet.sip.reserve_request();
        juliet
            .sip
            .request(id, message(target.parse().unwrap(), "?"))
            .await;
        let Event::RequestFailed { request, cause } = juliet.next().await else {
            panic!()
        };
        assert_eq!((request, cause), (id, expected), "{target}");
    }
}

/// SIP-14: what the handler has no room for is refused.
#[tokio::test]
async fn overload_is_answered() {
    let mut juliet = agent().await;
    let config = DriverConfig {
        listen: vec![(Transport::Udp, any())],
        ..DriverConfig::default()
    };
    let full = bind(config, |_| Err(Status::SERVICE_UNAVAILABLE))
        .await
        .unwrap();
    let (_, address) = full.local_addresses()[0];
    let id = juliet.sip.reserve_request();
    let target: Uri = format!("sip:romeo@{address}").parse().unwrap();
    juliet.sip.request(id, message(target.clone(), "?")).await;
    let Event::Responded { response, .. } = juliet.next().await else {
        panic!()
    };
    assert_eq!(response.status, Status::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers.retry_after(), Ok(5));
    // SIP-13: it is left alone as long as it asked for.
    juliet.sip.request(id, message(target, "?")).await;
    assert!(matches!(
        juliet.next().await,
        Event::RequestFailed {
            cause: Failure::Blocked,
            ..
        }
    ));
}
