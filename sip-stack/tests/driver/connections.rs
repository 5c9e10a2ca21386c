//! What is done about connections themselves: RFC 5626, RFC 3261 §18.

use std::time::Duration;

use stox_sip::{Event, Reply, Status, Transport};

use crate::stage::{agent_with, message};

/// SIP-01, RFC 5626 §3.5.1: who pings is answered; whom we call is pinged.
#[tokio::test]
async fn connections_are_kept_alive() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let juliet = agent_with(&[Transport::Tcp], |config| {
        config.keep_alive = Some(Duration::from_millis(100));
    })
    .await;
    let (_, address) = juliet.sip.local_addresses()[0];
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:romeo@{};transport=tcp", listener.local_addr().unwrap());
    let id = juliet.sip.reserve_request();
    let request = message(target.parse().unwrap(), "Anon, good nurse!");
    juliet.sip.request(id, request).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"nurse!\r\n\r\n\r\n\r\n") {
        let read = stream.read_buf(&mut received);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        assert_ne!(read.expect("two pings within ten seconds").unwrap(), 0);
    }
}

/// A peer that dribbles, pings, or sends rubbish is answered or closed, and disturbs nobody.
#[tokio::test]
async fn connections_of_strange_peers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut romeo = agent_with(&[Transport::Udp, Transport::Tcp], |config| {
        config.limits.stalled = Duration::from_millis(200);
    })
    .await;
    let address = romeo.address(Transport::Tcp);
    let connect = || tokio::net::TcpStream::connect(address);

    let mut silent = connect().await.unwrap();
    let mut dribbling = connect().await.unwrap();
    dribbling.write_all(b"MESSAGE sip:").await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).await.unwrap_or(0), 0);
    assert_eq!(dribbling.read_to_end(&mut rest).await.unwrap_or(0), 0);

    let mut pinging = connect().await.unwrap();
    pinging.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    pinging.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    let half = "OPTIONS sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\n\
                From: <sip:a@b>;tag=1\r\nTo: <sip:romeo@example.net>\r\nCall-ID: 1\r\n";
    let message = format!(
        "{half}CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n{half}CSeq: x\r\nContent-Length: 0\r\n\r\n"
    );
    pinging.write_all(message.as_bytes()).await.unwrap();
    let Event::Requested { transaction, .. } = romeo.next().await else {
        panic!()
    };
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    let mut answers = Vec::new();
    while !(String::from_utf8_lossy(&answers).contains(" 400 ")
        && String::from_utf8_lossy(&answers).contains(" 200 "))
    {
        assert_ne!(pinging.read_buf(&mut answers).await.unwrap(), 0);
    }
}
