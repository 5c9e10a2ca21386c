//! A driver finds its targets by a DNS server on the loopback address. RFC 3263.

#![cfg(feature = "tokio")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use stox_sip::{
    DriverConfig, Event, Failure, Method, NameAddr, OutgoingRequest, Reply, Sip, Status, Transport,
    Uri, bind,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// NAPTR leads to TCP, its first SRV target refuses the connection, the second one answers.
#[tokio::test]
async fn naptr_and_srv_lead_to_a_target_that_answers() {
    let (romeo, mut requests) = agent(None).await;
    let port = port_of(&romeo);
    let refusing = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let zone = vec![
        ("example.net", naptr(10, "SIP+D2T", "_sip._tcp.example.net")),
        ("_sip._tcp.example.net", srv(1, refusing, "a.example.net")),
        ("_sip._tcp.example.net", srv(2, port, "b.example.net")),
        ("a.example.net", RData::A(A(Ipv4Addr::LOCALHOST))),
        ("b.example.net", RData::A(A(Ipv4Addr::LOCALHOST))),
    ];
    let (juliet, mut answers) = agent(Some(serve(zone).await)).await;
    juliet
        .request(juliet.reserve_request(), message("sip:romeo@example.net"))
        .await;
    let Event::Requested {
        transaction,
        source,
        ..
    } = next(&mut requests).await
    else {
        panic!()
    };
    assert_eq!(source.transport, Transport::Tcp);
    romeo.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(next(&mut answers).await, Event::Responded { .. }));
}

/// SIP-13, RFC 3263. What the DNS said holds for its time to live: the second request gets nothing new.
#[tokio::test]
async fn answers_are_kept_for_their_time() {
    let (romeo, mut requests) = agent(None).await;
    let zone = vec![
        (
            "_sip._tcp.example.net",
            srv(1, port_of(&romeo), "a.example.net"),
        ),
        ("a.example.net", RData::A(A(Ipv4Addr::LOCALHOST))),
    ];
    let (address, given) = serve_and_count(zone).await;
    let (juliet, mut answers) = agent(Some(address)).await;
    let mut given_by_then = Vec::new();
    for _ in 0..2 {
        let request = message("sip:romeo@example.net;transport=tcp");
        juliet.request(juliet.reserve_request(), request).await;
        let Event::Requested { transaction, .. } = next(&mut requests).await else {
            panic!()
        };
        romeo.respond(transaction, Reply::new(Status::OK)).await;
        assert!(matches!(next(&mut answers).await, Event::Responded { .. }));
        given_by_then.push(given.load(Ordering::Relaxed));
    }
    assert_eq!(given_by_then, [2, 2]);
}

/// CORE-17. RFC 3861 §4: `im` and `pres` have services of their own, without which they are the SIP address with the same
/// user and host; a SIP address is not looked for among them. The next hop is told the SIP address. RFC 3428 §5.
#[tokio::test]
async fn instant_inboxes_and_presentities_are_found() {
    let (romeo, mut requests) = agent(None).await;
    let (paris, mut other_requests) = agent(None).await;
    let zone = vec![
        (
            "_im._sip.example.net",
            srv(1, port_of(&romeo), "a.example.net"),
        ),
        (
            "_pres._sip.example.net",
            srv(1, port_of(&romeo), "a.example.net"),
        ),
        (
            "_sip._tcp.example.net",
            srv(1, port_of(&paris), "a.example.net"),
        ),
        (
            "_sip._tcp.example.org",
            srv(1, port_of(&paris), "a.example.net"),
        ),
        ("a.example.net", RData::A(A(Ipv4Addr::LOCALHOST))),
    ];
    let (juliet, mut answers) = agent(Some(serve(zone).await)).await;
    for (target, is_romeo, uri) in [
        ("im:romeo@example.net", true, "sip:romeo@example.net"),
        ("pres:romeo@example.net", true, "sip:romeo@example.net"),
        ("sip:romeo@example.net", false, "sip:romeo@example.net"),
        ("im:paris@example.org", false, "sip:paris@example.org"),
        ("pres:paris@example.org", false, "sip:paris@example.org"),
    ] {
        juliet
            .request(juliet.reserve_request(), message(target))
            .await;
        let (agent, events) = match is_romeo {
            true => (&romeo, &mut requests),
            false => (&paris, &mut other_requests),
        };
        let Event::Requested {
            transaction,
            request,
            ..
        } = next(events).await
        else {
            panic!("{target}")
        };
        assert_eq!(request.uri.to_string(), uri, "{target}");
        agent.respond(transaction, Reply::new(Status::OK)).await;
        assert!(matches!(next(&mut answers).await, Event::Responded { .. }));
    }
}

/// "There is none" and "there is no answer" are not the same.
#[tokio::test]
async fn missing_names_and_missing_servers_are_told_apart() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let nobody_answers = silent.local_addr().unwrap();
    for (server, expected) in [
        (
            serve(vec![("elsewhere.example.net", srv(1, 1, "a"))]).await,
            Failure::Unresolvable,
        ),
        (nobody_answers, Failure::ResolverFailed),
    ] {
        let (juliet, mut events) = agent(Some(server)).await;
        juliet
            .request(
                juliet.reserve_request(),
                message("sip:romeo@example.net;transport=tcp"),
            )
            .await;
        let Event::RequestFailed { cause, .. } = next(&mut events).await else {
            panic!()
        };
        assert_eq!(cause, expected);
    }
}

async fn agent(dns_server: Option<SocketAddr>) -> (Sip, mpsc::UnboundedReceiver<Event>) {
    let (sender, events) = mpsc::unbounded_channel();
    let listen = vec![(Transport::Tcp, "127.0.0.1:0".parse().unwrap())];
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    let config = DriverConfig {
        listen,
        dns_server,
        ..DriverConfig::default()
    };
    (bind(config, handler).await.unwrap(), events)
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
    event
        .expect("an event within half a minute")
        .expect("a driver")
}

fn port_of(sip: &Sip) -> u16 {
    sip.local_addresses()[0].1.port()
}

fn message(target: &str) -> OutgoingRequest {
    let address =
        |user: &str| NameAddr::new(format!("sip:{user}@example.net").parse::<Uri>().unwrap());
    OutgoingRequest::new(
        Method::Message,
        target.parse().unwrap(),
        address("juliet"),
        address("romeo"),
    )
}

fn naptr(order: u16, service: &str, replacement: &str) -> RData {
    let service = service.as_bytes().into();
    RData::NAPTR(NAPTR::new(
        order,
        1,
        b"s".to_vec().into(),
        service,
        Box::default(),
        name(replacement),
    ))
}

fn srv(priority: u16, port: u16, host: &str) -> RData {
    RData::SRV(SRV::new(priority, 1, port, name(host)))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

/// Answers from a zone until the test ends.
async fn serve(zone: Vec<(&'static str, RData)>) -> SocketAddr {
    serve_and_count(zone).await.0
}

/// As `serve`; how many records were given is told.
async fn serve_and_count(zone: Vec<(&'static str, RData)>) -> (SocketAddr, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = given.clone();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let Ok(query) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            let reply = answer(&query, &zone);
            counter.fetch_add(reply.answers.len(), Ordering::Relaxed);
            let _ = socket.send_to(&reply.to_vec().unwrap(), client).await;
        }
    });
    (address, given)
}

fn answer(query: &Message, zone: &[(&str, RData)]) -> Message {
    let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    let question = query.queries[0].clone();
    let of_name = || {
        zone.iter()
            .filter(|(owner, _)| name(owner) == *question.name())
    };
    if of_name().next().is_none() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    for (_, data) in of_name().filter(|(_, data)| data.record_type() == question.query_type()) {
        reply.add_answer(Record::from_rdata(
            question.name().clone(),
            60,
            data.clone(),
        ));
    }
    assert_ne!(question.query_type(), RecordType::ANY);
    reply.add_query(question);
    reply
}
