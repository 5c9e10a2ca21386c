//! What peers can make a bound driver hold and wait for, over real sockets: each limit, and what is answered beyond it
//! (SIP-14).

#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod log;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::Log;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use stox_sip::{
    ClientCertificates, DriverConfig, Event, Limits, MessageLimits, Reply, Sip, Status,
    TlsSettings, Transport, bind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// SIP-02 SIP-14
#[tokio::test]
async fn messages_beyond_the_limits() {
    let message = MessageLimits {
        head: 1000,
        fields: 20,
        body: 500,
        datagram: 900,
    };
    let endpoint = Endpoint::start(|limits| limits.message = message).await;
    let padding = format!("X: {}\r\n", "x".repeat(1000));
    let many = "X: y\r\n".repeat(20);
    for (fields, body, expected) in [
        ("", 0, "200"),
        ("", 500, "200"),
        ("", 501, "413"),
        (padding.as_str(), 0, "513"),
        (many.as_str(), 0, "513"),
    ] {
        let text = message_with(fields, body);
        let context = format!("{} fields, {body} bytes of body", fields.lines().count());
        assert_eq!(
            code(&over_udp(&endpoint, &text).await),
            expected,
            "{context}"
        );
        let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(code(&head(&mut stream).await), expected, "{context}");
    }
    // A stream may carry what a datagram may not.
    let text = message_with(&format!("X: {}\r\n", "x".repeat(300)), 500);
    assert!(text.len() > 900);
    assert_eq!(code(&over_udp(&endpoint, &text).await), "513");
    let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(code(&head(&mut stream).await), "200");
}

/// SIP-14: beyond the bound of its source a connection is closed, others go on; one that ends makes room.
#[tokio::test]
async fn connections_of_a_source() {
    let log = Log::listen();
    let endpoint = Endpoint::start(|limits| limits.connections_per_source = 2).await;
    let mut first = TcpStream::connect(endpoint.tcp).await.unwrap();
    assert!(is_served(&mut first).await);
    let mut second = TcpStream::connect(endpoint.tcp).await.unwrap();
    assert!(is_served(&mut second).await);
    for _ in 0..3 {
        let mut third = TcpStream::connect(endpoint.tcp).await.unwrap();
        assert!(!is_served(&mut third).await);
    }
    assert_eq!(log.count("a connection too many"), 1);
    assert!(is_served(&mut first).await);
    drop(second);
    assert!(becomes_served(endpoint.tcp).await);
}

/// SIP-14: of all connections a quarter is left for those that we make.
#[tokio::test]
async fn connections_in_all() {
    let endpoint = Endpoint::start(|limits| limits.connections = 4).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
        assert!(is_served(&mut stream).await);
        taken.push(stream);
    }
    let mut further = TcpStream::connect(endpoint.tcp).await.unwrap();
    assert!(!is_served(&mut further).await);
    taken.pop();
    assert!(becomes_served(endpoint.tcp).await);
}

/// SIP-14: who connects and is silent, or brings a message byte by byte, has his time, and is then closed; whoever has
/// brought a message may be silent for longer.
#[tokio::test]
async fn peers_that_do_not_go_on() {
    let log = Log::listen();
    let stalled = Duration::from_millis(400);
    let endpoint = Endpoint::start(|limits| {
        limits.stalled = stalled;
        limits.idle = stalled * 4;
    })
    .await;
    let begin = Instant::now();
    let mut silent = TcpStream::connect(endpoint.tcp).await.unwrap();
    let mut patient = TcpStream::connect(endpoint.tcp).await.unwrap();
    assert!(is_served(&mut patient).await);
    let dribbling = tokio::spawn(async move {
        let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
        let begin = Instant::now();
        for byte in "MESSAGE sip:romeo@example.net SIP/2.0\r\nX: "
            .bytes()
            .chain(std::iter::repeat(b'x'))
        {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            assert!(begin.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begin.elapsed()
    });
    assert_eq!(rest(&mut silent).await, "");
    assert!(begin.elapsed() >= stalled);
    assert!(dribbling.await.unwrap() >= stalled);
    assert!(is_served(&mut patient).await);
    let served = Instant::now();
    assert_eq!(rest(&mut patient).await, "");
    assert!(served.elapsed() >= stalled * 4);
    // Both came from the same place, and silence is nothing to complain of.
    assert_eq!(log.count("did not go on"), 1);
}

/// SIP-14: what all connections together hold of messages that are not there yet is bounded; whoever brings more is
/// closed, and what he held is free again.
#[tokio::test]
async fn unfinished_messages() {
    let log = Log::listen();
    let endpoint = Endpoint::start(|limits| limits.unfinished = 50_000).await;
    let mut begun = TcpStream::connect(endpoint.tcp).await.unwrap();
    let text = message_with("", 40_000);
    let (beginning, end) = text.split_at(text.len() - 1);
    begun.write_all(beginning.as_bytes()).await.unwrap();
    // Answered after the beginning was read.
    let mut small = TcpStream::connect(endpoint.tcp).await.unwrap();
    assert!(is_served(&mut small).await);
    // The same again is too much, small messages are not.
    for _ in 0..2 {
        let mut further = TcpStream::connect(endpoint.tcp).await.unwrap();
        further.write_all(beginning.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut further).await, "");
        assert!(is_served(&mut small).await);
    }
    begun.write_all(end.as_bytes()).await.unwrap();
    assert_eq!(code(&head(&mut begun).await), "200");
    assert_eq!(log.count("unfinished messages"), 1);
    let mut again = TcpStream::connect(endpoint.tcp).await.unwrap();
    again.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(code(&head(&mut again).await), "200");
}

/// SIP-14 SEC-02: whoever connects for TLS and speaks something else, or nothing, is closed, and named once.
#[tokio::test]
async fn handshakes_that_fail() {
    let log = Log::listen();
    let certified = rcgen::generate_simple_self_signed(vec!["example.net".into()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = TlsSettings::new(
        vec![certified.cert.der().clone()],
        key,
        RootCertStore::empty(),
        ClientCertificates::NotAsked,
    );
    let mut config = DriverConfig {
        listen: vec![(Transport::Tls, "127.0.0.1:0".parse().unwrap())],
        tls: Some(tls.unwrap()),
        ..DriverConfig::default()
    };
    config.limits.stalled = Duration::from_millis(300);
    let sip = bind(config, |_| Ok(())).await.unwrap();
    let address = sip.local_addresses()[0].1;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(message_with("", 0).as_bytes())
            .await
            .unwrap();
        assert!(!rest(&mut stream).await.contains("SIP/2.0"));
    }
    assert_eq!(log.count("no TLS"), 1);
    for _ in 0..2 {
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(rest(&mut silent).await, "");
    }
    assert_eq!(log.count("did not go on"), 1);
}

fn message_with(fields: &str, body: usize) -> String {
    let id = rand::random::<u64>();
    format!(
        "MESSAGE sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/UDP client.invalid;branch=z9hG4bK{id};rport\r\n\
         From: <sip:juliet@example.com>;tag=1\r\nTo: <sip:romeo@example.net>\r\nCall-ID: {id}\r\nCSeq: 1 MESSAGE\r\n\
         Max-Forwards: 70\r\nContent-Length: {body}\r\n{fields}\r\n{}",
        "x".repeat(body)
    )
}

async fn over_udp(endpoint: &Endpoint, text: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(text.as_bytes(), endpoint.udp).await.unwrap();
    let mut buffer = vec![0; 65536];
    let received = timeout(PATIENCE, socket.recv(&mut buffer)).await;
    let length = received.expect("an answer in time").unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Whether a request on the connection is answered; it is closed otherwise.
async fn is_served(stream: &mut TcpStream) -> bool {
    let text = message_with("", 0);
    if stream.write_all(text.as_bytes()).await.is_err() {
        return false;
    }
    match code(&head(stream).await).as_str() {
        "200" => true,
        "" => false,
        code => panic!("{code}"),
    }
}

/// The driver hears of the end of a connection a little later than the peer.
async fn becomes_served(address: SocketAddr) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if is_served(&mut stream).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// What comes up to an empty line, or the end.
async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match timeout(PATIENCE, stream.read(&mut byte))
            .await
            .expect("an answer in time")
        {
            Ok(0) | Err(_) => break,
            Ok(_) => bytes.extend_from_slice(&byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// What comes until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Closed with something unread it is reset.
    let _ = end.expect("the connection is closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn code(response: &str) -> String {
    let code = response.split(' ').nth(1);
    code.unwrap_or_default().to_owned()
}

/// A driver whose user accepts everything.
struct Endpoint {
    udp: SocketAddr,
    tcp: SocketAddr,
    _sip: Sip,
}

impl Endpoint {
    async fn start(adjust: impl FnOnce(&mut Limits)) -> Endpoint {
        let (sender, mut events) = mpsc::unbounded_channel();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut config = DriverConfig {
            listen: vec![(Transport::Udp, any), (Transport::Tcp, any)],
            ..DriverConfig::default()
        };
        adjust(&mut config.limits);
        let handler = move |event| {
            let _ = sender.send(event);
            Ok(())
        };
        let sip = bind(config, handler).await.unwrap();
        let user = sip.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Event::Requested { transaction, .. } = event else {
                    panic!("{event:?}")
                };
                user.respond(transaction, Reply::new(Status::OK)).await;
            }
        });
        let addresses = sip.local_addresses();
        Endpoint {
            udp: addresses[0].1,
            tcp: addresses[1].1,
            _sip: sip,
        }
    }
}
