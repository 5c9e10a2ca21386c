//! Two nodes talk over loopback.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use stox_msrp::{
    Admitted, ByteRange, FailureReport, Incoming, Limits, LostCause, MsrpUri, Outgoing, Report,
    Role, SendError, SessionConfig, SessionEvent, SessionOptions,
    node::{Inbox, Node, NodeConfig, Session},
    session::Chunking,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

// MSRP-05, MSRP-07, RCPT-02
#[tokio::test]
async fn a_message_is_answered_and_reported() {
    let (romeo, juliet) = (node().await, node().await);
    let (mut a, mut b) = pair(&romeo, &juliet).await;

    a.session.send(outgoing(1, "Art thou not Romeo?")).unwrap();
    let incoming = b.message().await;
    assert_eq!(incoming.body, "Art thou not Romeo?");
    assert_eq!(
        incoming.content_type.as_deref(),
        Some("text/plain; charset=utf-8")
    );
    assert!(incoming.success_report);
    assert_eq!(incoming.failure_report, FailureReport::Yes);

    b.session.respond(incoming.id, 200);
    assert_eq!(a.event().await, SessionEvent::Accepted { token: 1 });

    let range = ByteRange::of(incoming.body.len());
    b.session.report(Report {
        message_id: incoming.message_id,
        range,
        status: 200,
    });
    assert_eq!(
        a.event().await,
        SessionEvent::Reported {
            token: 1,
            status: 200,
            range
        }
    );

    b.session.send(outgoing(7, "Neither, fair saint")).unwrap();
    let incoming = a.message().await;
    a.session.respond(incoming.id, 403);
    assert_eq!(
        b.event().await,
        SessionEvent::Refused {
            token: 7,
            status: 403
        }
    );
}

// CHAT-13
#[tokio::test]
async fn the_wished_transaction_id_is_used() {
    let (romeo, juliet) = (node().await, node().await);
    let (a, mut b) = pair(&romeo, &juliet).await;
    for (wish, is_used) in [("786e6f746375", true), ("x", false), ("a b c d", false)] {
        let mut message = outgoing(1, "hi");
        message.transaction_id = Some(wish.to_owned());
        a.session.send(message).unwrap();
        assert_eq!(b.message().await.transaction_id == wish, is_used, "{wish}");
    }
    // Not while it is in use.
    let mut message = outgoing(1, "hi");
    message.transaction_id = Some("786e6f746375".to_owned());
    a.session.send(message).unwrap();
    assert_ne!(b.message().await.transaction_id, "786e6f746375");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_in_both_directions_arrive_whole_and_in_order() {
    const MESSAGES: u64 = 500;
    let (romeo, juliet) = (node().await, node().await);
    let (mut a, mut b) = pair(&romeo, &juliet).await;
    for token in 0..MESSAGES {
        a.session
            .send(outgoing(token, &format!("a {token}")))
            .unwrap();
        b.session
            .send(outgoing(token, &format!("b {token}")))
            .unwrap();
    }
    for (ours, theirs, name) in [(&mut a, "b", "a"), (&mut b, "a", "b")] {
        let (mut received, mut accepted) = (0, 0);
        while received < MESSAGES || (name == "b" && accepted < MESSAGES) {
            match ours.next().await {
                Happened::Message(incoming) => {
                    assert_eq!(incoming.body, format!("{theirs} {received}"));
                    ours.session.respond(incoming.id, 200);
                    received += 1;
                }
                Happened::Event(event) => {
                    assert_eq!(event, SessionEvent::Accepted { token: accepted });
                    accepted += 1;
                }
            }
        }
    }
    for token in 0..MESSAGES {
        assert_eq!(a.event().await, SessionEvent::Accepted { token });
    }
}

// MSRP-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_share_a_port() {
    let listening = node().await;
    let mut pairs = Vec::new();
    for _ in 0..100 {
        // A node each: a connection each.
        let connecting = Node::bind(NodeConfig::default()).await.unwrap();
        let (a, b) = pair(&connecting, &listening).await;
        pairs.push((connecting, a, b));
    }
    for (index, (_, a, _)) in pairs.iter().enumerate() {
        a.session.send(outgoing(1, &index.to_string())).unwrap();
    }
    for (index, (_, a, b)) in pairs.iter_mut().enumerate() {
        let incoming = b.message().await;
        assert_eq!(incoming.body, index.to_string());
        b.session.respond(incoming.id, 200);
        assert_eq!(a.event().await, SessionEvent::Accepted { token: 1 });
    }
}

// MSRP-09
#[tokio::test]
async fn sessions_to_one_peer_share_a_connection_and_outlive_each_other() {
    let (romeo, juliet) = (node().await, node().await);
    let mut pairs = Vec::new();
    for _ in 0..20 {
        pairs.push(pair(&romeo, &juliet).await);
    }
    let (gone, _still_there) = pairs.remove(0);
    gone.session.close();
    for (a, b) in &mut pairs {
        a.session.send(outgoing(5, "still here")).unwrap();
        let incoming = b.message().await;
        b.session.respond(incoming.id, 200);
        assert_eq!(a.event().await, SessionEvent::Accepted { token: 5 });
    }
}

#[tokio::test]
async fn a_long_message_goes_through_in_one_chunk_and_in_many() {
    let of_2048 = Chunking {
        longest: Some(2048),
        ..Chunking::FAIR
    };
    for chunking in [Chunking::default(), Chunking::FAIR, of_2048] {
        let config = NodeConfig {
            chunking,
            ..listening()
        };
        let (romeo, juliet) = (Node::bind(config).await.unwrap(), node().await);
        let (mut a, mut b) = pair(&romeo, &juliet).await;
        let body: Bytes = (0..700_000u32).map(|i| (i % 251) as u8).collect();
        a.session
            .send(Outgoing {
                body: body.clone(),
                ..outgoing(3, "")
            })
            .unwrap();
        a.session.send(outgoing(4, "after it")).unwrap();
        let incoming = b.message().await;
        assert_eq!(incoming.body, body, "{chunking:?}");
        b.session.respond(incoming.id, 200);
        let after = b.message().await;
        assert_eq!(after.body, "after it");
        b.session.respond(after.id, 200);
        assert_eq!(a.event().await, SessionEvent::Accepted { token: 3 });
        assert_eq!(a.event().await, SessionEvent::Accepted { token: 4 });
    }
}

// MSRP-18, RFC 4975 §10.5
#[tokio::test]
async fn too_big_is_refused_at_once() {
    let (romeo, juliet) = (node().await, node().await);
    let (mut a, mut b) = pair(&romeo, &juliet).await;
    let body = Bytes::from(vec![b'x'; 2_000_000]);
    a.session
        .send(Outgoing {
            body,
            ..outgoing(1, "")
        })
        .unwrap();
    assert_eq!(
        a.event().await,
        SessionEvent::Refused {
            token: 1,
            status: 413
        }
    );
    a.session.send(outgoing(2, "small")).unwrap();
    assert_eq!(b.message().await.body, "small");
}

#[tokio::test]
async fn an_owner_without_room_refuses() {
    let (romeo, juliet) = (node().await, node().await);
    let (mut a, b) = pair(&romeo, &juliet).await;
    drop(b.happened);
    a.session.send(outgoing(1, "hello")).unwrap();
    assert_eq!(
        a.event().await,
        SessionEvent::Refused {
            token: 1,
            status: 413
        }
    );
}

// MSRP-25, SEC-14
#[tokio::test]
async fn the_queue_is_bounded() {
    let (romeo, juliet) = (node().await, node().await);
    let (a, _b) = pair(&romeo, &juliet).await;
    let mut results = (0..5000).map(|token| a.session.send(outgoing(token, "x")));
    assert!(results.any(|sent| sent.is_err_and(|unsent| unsent.why == SendError::Full)));
}

#[tokio::test]
async fn the_end_of_a_node_ends_its_peers_sessions() {
    let (romeo, juliet) = (node().await, node().await);
    let (mut a, mut b) = pair(&romeo, &juliet).await;
    timeout(PATIENCE, juliet.close()).await.unwrap();
    assert_eq!(
        a.event().await,
        SessionEvent::Lost {
            cause: LostCause::ConnectionEnded
        }
    );
    assert_eq!(
        b.event().await,
        SessionEvent::Lost {
            cause: LostCause::Closed
        }
    );
    let unsent = a.session.send(outgoing(1, "x")).unwrap_err();
    assert_eq!((unsent.why, unsent.message.token), (SendError::Closed, 1));
    assert!(
        TcpStream::connect(juliet.local_addresses()[0])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn nobody_there_is_told() {
    let romeo = node().await;
    let closed_port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for (remote, cause) in [
        (
            format!("msrp://127.0.0.1:{closed_port}/x;tcp"),
            LostCause::Unreachable,
        ),
        (
            format!("msrps://127.0.0.1:{closed_port}/x;tcp"),
            LostCause::UnusablePath,
        ),
        ("msrp://127.0.0.1/x;tcp".to_owned(), LostCause::UnusablePath),
    ] {
        let mut a = open(&romeo, romeo.mint(), remote.parse().unwrap(), Role::Active);
        let unsent = a.session.send(outgoing(1, "early")).unwrap_err();
        assert_eq!(unsent.why, SendError::NotBound);
        assert_eq!(a.event().await, SessionEvent::Lost { cause });
    }
    let config = NodeConfig {
        limits: Limits {
            first_request: Duration::from_millis(50),
            ..Limits::default()
        },
        ..listening()
    };
    let juliet = Node::bind(config).await.unwrap();
    let mut b = open(&juliet, juliet.mint(), romeo.mint(), Role::Passive);
    let cause = LostCause::NobodyCame;
    assert_eq!(b.event().await, SessionEvent::Lost { cause });
}

// SEC-11: neither an address nor a name leads where a session must not go; that says nothing of the next one.
#[tokio::test]
async fn a_session_connects_to_admitted_addresses_only() {
    let (romeo, juliet) = (node().await, node().await);
    for host in ["127.0.0.1", "localhost"] {
        let theirs = juliet.mint().to_string().replace("127.0.0.1", host);
        let theirs: MsrpUri = theirs.parse().unwrap();
        let near = Admitted::only(|address| !address.is_loopback());
        let mut a = open_to_admitted(&romeo, romeo.mint(), theirs, Role::Active, near);
        let cause = LostCause::NotAdmitted;
        assert_eq!(a.event().await, SessionEvent::Lost { cause }, "{host}");
    }
    let (a, mut b) = pair(&romeo, &juliet).await;
    a.session.send(outgoing(1, "hi")).unwrap();
    assert_eq!(b.message().await.body, "hi");
}

// MSRP-26, MSRP-05, MSRP-19: what a stranger gets.
#[tokio::test]
async fn strangers_are_answered_or_cut_off() {
    let juliet = node().await;
    let port = juliet.local_addresses()[0].port();
    let mut b = open(
        &juliet,
        juliet.mint(),
        "msrp://127.0.0.1:9/r;tcp".parse().unwrap(),
        Role::Passive,
    );
    let ours = b.session.local().to_string();

    let mut first = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for (method, path, status) in [
        ("SEND", format!("msrp://127.0.0.1:{port}/nobody;tcp"), 481),
        ("AUTH", ours.clone(), 501),
        ("SEND", ours.to_uppercase(), 481),
        ("SEND", ours.clone(), 200),
    ] {
        let answer = exchange(&mut first, method, &path).await;
        assert!(
            answer.starts_with(&format!("MSRP abcd1 {status}")),
            "{answer}"
        );
        assert!(answer.ends_with("-------abcd1$\r\n"), "{answer}");
    }
    assert_eq!(b.event().await, SessionEvent::Bound);

    let mut second = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let answer = exchange(&mut second, "SEND", &ours).await;
    assert!(answer.starts_with("MSRP abcd1 506"), "{answer}");

    let mut third = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    third.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, third.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
}

// MSRP-26
#[tokio::test]
async fn connections_are_limited_and_silent_ones_closed() {
    let config = NodeConfig {
        limits: Limits {
            connections_per_source: 2,
            first_request: Duration::from_millis(100),
            ..Limits::default()
        },
        ..listening()
    };
    let juliet = Node::bind(config).await.unwrap();
    let address = juliet.local_addresses()[0];
    let started = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(address).await.unwrap());
    }
    let mut third = streams.pop().unwrap();
    closed(&mut third).await;
    assert!(started.elapsed() < Duration::from_millis(100));
    for stream in &mut streams {
        closed(stream).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(100));
    let mut again = TcpStream::connect(address).await.unwrap();
    let refusal = exchange(&mut again, "SEND", "msrp://127.0.0.1:1/x;tcp").await;
    assert!(refusal.starts_with("MSRP abcd1 481"), "{refusal}");
}

// MSRP-09: a connection without sessions is kept for a while, not for ever.
#[tokio::test]
async fn an_unused_connection_is_closed() {
    let idle = Duration::from_millis(100);
    let juliet = limited(Limits {
        idle,
        ..Limits::default()
    })
    .await;
    let mut b = open(
        &juliet,
        juliet.mint(),
        STRANGER.parse().unwrap(),
        Role::Passive,
    );
    let ours = b.session.local().to_string();
    let mut stream = TcpStream::connect(juliet.local_addresses()[0])
        .await
        .unwrap();
    exchange(&mut stream, "SEND", &ours).await;
    assert_eq!(b.event().await, SessionEvent::Bound);
    let started = Instant::now();
    b.session.close();
    let answer = exchange(&mut stream, "SEND", &ours).await;
    assert!(answer.starts_with("MSRP abcd1 481"), "{answer}");
    closed(&mut stream).await;
    assert!(started.elapsed() >= idle);
}

// MSRP-25
#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_session() {
    let stall = Duration::from_millis(200);
    let juliet = limited(Limits {
        stall,
        ..Limits::default()
    })
    .await;
    let mut b = open(
        &juliet,
        juliet.mint(),
        STRANGER.parse().unwrap(),
        Role::Passive,
    );
    let ours = b.session.local().to_string();
    let mut stream = TcpStream::connect(juliet.local_addresses()[0])
        .await
        .unwrap();
    exchange(&mut stream, "SEND", &ours).await;
    assert_eq!(b.event().await, SessionEvent::Bound);
    let body = Bytes::from(vec![b'x'; 32 << 20]);
    b.session
        .send(Outgoing {
            body,
            ..outgoing(1, "")
        })
        .unwrap();
    let cause = LostCause::Stalled;
    assert_eq!(b.event().await, SessionEvent::Lost { cause });
}

// RCPT-08
#[tokio::test]
async fn a_peer_that_does_not_answer_is_noticed() {
    let transaction = Duration::from_millis(200);
    let romeo = limited(Limits {
        transaction,
        ..Limits::default()
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = format!("msrp://{}/silent;tcp", listener.local_addr().unwrap());
    let mut a = open(&romeo, romeo.mint(), remote.parse().unwrap(), Role::Active);
    let (mut stream, _) = listener.accept().await.unwrap();
    let cause = LostCause::BindUnanswered;
    assert_eq!(a.event().await, SessionEvent::Lost { cause });

    // The connection is still there, and the next session uses it.
    let mut b = open(&romeo, romeo.mint(), remote.parse().unwrap(), Role::Active);
    let ours = b.session.local().to_string();
    exchange_until(&mut stream, "SEND", &ours, "MSRP abcd1 200").await;
    assert_eq!(b.event().await, SessionEvent::Bound);
    b.session.send(outgoing(9, "hello?")).unwrap();
    assert_eq!(b.event().await, SessionEvent::Unanswered { token: 9 });
}

// SEC-14: what was read is given back.
#[tokio::test]
async fn garbage_after_a_session_ends_it() {
    let juliet = node().await;
    let mut b = open(
        &juliet,
        juliet.mint(),
        STRANGER.parse().unwrap(),
        Role::Passive,
    );
    let ours = b.session.local().to_string();
    let mut stream = TcpStream::connect(juliet.local_addresses()[0])
        .await
        .unwrap();
    exchange(&mut stream, "SEND", &ours).await;
    assert_eq!(b.event().await, SessionEvent::Bound);
    stream.write_all(b"nonsense\r\n").await.unwrap();
    let cause = LostCause::Garbage;
    assert_eq!(b.event().await, SessionEvent::Lost { cause });
    closed(&mut stream).await;
}

const STRANGER: &str = "msrp://127.0.0.1:9/r;tcp";

async fn limited(limits: Limits) -> Node {
    Node::bind(NodeConfig {
        limits,
        ..listening()
    })
    .await
    .unwrap()
}

const PATIENCE: Duration = Duration::from_secs(10);

fn listening() -> NodeConfig {
    NodeConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        ..NodeConfig::default()
    }
}

async fn node() -> Node {
    Node::bind(listening()).await.unwrap()
}

struct End {
    session: Session,
    happened: mpsc::UnboundedReceiver<Happened>,
}

enum Happened {
    Message(Incoming),
    Event(SessionEvent),
}

struct Door(mpsc::UnboundedSender<Happened>);

impl Inbox for Door {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        self.0
            .send(Happened::Message(message))
            .map_err(|refused| match refused.0 {
                Happened::Message(message) => message,
                Happened::Event(_) => unreachable!(),
            })
    }

    fn complete(&self, event: SessionEvent) {
        let _ = self.0.send(Happened::Event(event));
    }
}

impl End {
    async fn next(&mut self) -> Happened {
        timeout(PATIENCE, self.happened.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn message(&mut self) -> Incoming {
        match self.next().await {
            Happened::Message(incoming) => incoming,
            Happened::Event(event) => panic!("{event:?} instead of a message"),
        }
    }

    async fn event(&mut self) -> SessionEvent {
        match self.next().await {
            Happened::Event(event) => event,
            Happened::Message(incoming) => panic!("{incoming:?} instead of an event"),
        }
    }
}

fn open(node: &Node, local: MsrpUri, remote: MsrpUri, role: Role) -> End {
    open_to_admitted(node, local, remote, role, Admitted::default())
}

fn open_to_admitted(
    node: &Node,
    local: MsrpUri,
    remote: MsrpUri,
    role: Role,
    admitted: Admitted,
) -> End {
    let (sender, happened) = mpsc::unbounded_channel();
    let config = SessionConfig {
        local,
        remote: vec![remote],
        role,
        max_size: 1_000_000,
        fingerprint: None,
        options: SessionOptions {
            admitted,
            ..SessionOptions::default()
        },
    };
    End {
        session: node.open(config, Door(sender)),
        happened,
    }
}

/// Two bound sessions, the first of the node that connects.
async fn pair(active: &Node, passive: &Node) -> (End, End) {
    let (ours, theirs) = (active.mint(), passive.mint());
    let mut b = open(passive, theirs.clone(), ours.clone(), Role::Passive);
    let mut a = open(active, ours, theirs, Role::Active);
    assert_eq!(a.event().await, SessionEvent::Bound);
    assert_eq!(b.event().await, SessionEvent::Bound);
    (a, b)
}

fn outgoing(token: u64, body: &str) -> Outgoing {
    Outgoing {
        token,
        transaction_id: None,
        content_type: "text/plain; charset=utf-8".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        success_report: true,
        failure_report: FailureReport::Yes,
    }
}

/// Sends a request without body and reads its answer.
async fn exchange(stream: &mut TcpStream, method: &str, path: &str) -> String {
    exchange_until(stream, method, path, "MSRP abcd1 ").await
}

/// Reads until such a line and the end of what it begins have come.
async fn exchange_until(stream: &mut TcpStream, method: &str, path: &str, start: &str) -> String {
    let request = format!(
        "MSRP abcd1 {method}\r\nTo-Path: {path}\r\nFrom-Path: {STRANGER}\r\n\
         Message-ID: 4711\r\nByte-Range: 1-0/0\r\n-------abcd1$\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !(answer.contains(start) && answer.ends_with("-------abcd1$\r\n")) {
        let mut bytes = [0; 1024];
        let read = timeout(PATIENCE, stream.read(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(read, 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    answer
}

async fn closed(stream: &mut TcpStream) {
    let mut bytes = [0; 1];
    let read = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}
