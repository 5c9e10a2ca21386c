//! Messages that go and come piece by piece between two nodes over loopback.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use stox_msrp::{
    FailureReport, Incoming, LongMessages, Outgoing, OutgoingStream, Role, SessionConfig,
    SessionEvent, SessionOptions, StreamEnd, StreamError, Unconfirmed,
    node::{Inbox, IncomingStream, Node, NodeConfig, Session},
    session::Chunking,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

// MSRP-15, MSRP-18: a message of 100 MB passes without being held, and others pass it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_little_memory() {
    const LENGTH: u64 = 100 << 20;
    let (mut a, mut b) = pair(Chunking::FAIR).await;
    let before = most_resident();

    let mut body = a.session.stream(stream(1, Some(LENGTH))).unwrap();
    let writing = tokio::spawn(async move {
        let mut position = 0;
        while position < LENGTH {
            let piece = content(position, (LENGTH - position).min(50_000));
            body.write(&piece).await.unwrap();
            position += piece.len() as u64;
        }
        body.finish().unwrap();
    });
    let mut incoming = b.stream().await;
    assert_eq!(incoming.total, Some(LENGTH));
    let (mut position, mut passed) = (0, 0);
    while let Some(piece) = within(incoming.next()).await.unwrap() {
        assert!(
            piece == content(position, piece.len() as u64),
            "at {position}"
        );
        position += piece.len() as u64;
        // Now and then both sides have something else to say.
        if position / (10 << 20) > passed {
            passed += 1;
            a.session.send(outgoing(100 + passed)).unwrap();
            b.session.send(outgoing(100 + passed)).unwrap();
        }
    }
    assert_eq!(position, LENGTH);
    within(writing).await.unwrap();
    b.session.respond(incoming.id, 200);
    let mut accepted = Vec::new();
    for _ in 0..passed {
        for end in [&mut a, &mut b] {
            let message = end.message().await;
            assert_eq!(message.body, "hello");
            end.session.respond(message.id, 200);
        }
    }
    while accepted.len() as u64 <= passed {
        let SessionEvent::Accepted { token } = a.event().await else {
            panic!()
        };
        accepted.push(token);
    }
    assert!(accepted.contains(&1));
    let grown = most_resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
}

// MSRP-09, MSRP-15: two sessions on one connection, one of them with a message that has no end in sight.
#[tokio::test]
async fn a_long_message_does_not_hold_up_another_session() {
    let (active, passive) = (node(Chunking::FAIR).await, node(Chunking::FAIR).await);
    let (a, mut b) = pair_of(&active, &passive).await;
    let (mut c, mut d) = pair_of(&active, &passive).await;
    let mut body = a.session.stream(stream(1, None)).unwrap();
    let writing = tokio::spawn(async move {
        let piece = content(0, 50_000);
        while body.write(&piece).await.is_ok() {}
    });
    let mut incoming = b.stream().await;
    let reading =
        tokio::spawn(async move { while let Ok(Some(_)) = within(incoming.next()).await {} });
    for token in 0..100 {
        c.session.send(outgoing(token)).unwrap();
        let message = d.message().await;
        d.session.respond(message.id, 200);
        assert_eq!(c.event().await, SessionEvent::Accepted { token });
    }
    assert!(!writing.is_finished());
    drop(a.session);
    within(writing).await.unwrap();
    within(reading).await.unwrap();
}

// MSRP-18: who writes waits for who reads.
#[tokio::test]
async fn a_slow_reader_slows_the_writer() {
    let (a, mut b) = pair(Chunking::FAIR).await;
    let mut body = a.session.stream(stream(1, None)).unwrap();
    let mut written: u64 = 0;
    let piece = content(0, 260);
    while timeout(Duration::from_millis(500), body.write(&piece.repeat(1000)))
        .await
        .is_ok()
    {
        written += 260_000;
        assert!(written < 64 << 20, "nothing slows the writer");
    }
    // A part of the last piece may have been taken.
    let mut incoming = b.stream().await;
    let reading = tokio::spawn(async move {
        let mut position = 0;
        while let Some(piece) = within(incoming.next()).await.unwrap() {
            position += piece.len() as u64;
        }
        (incoming, position)
    });
    body.finish().unwrap();
    let (incoming, position) = within(reading).await.unwrap();
    assert!(
        (written..written + 260_000).contains(&position),
        "{position}"
    );
    b.session.respond(incoming.id, 200);
}

// MSRP-13
#[tokio::test]
async fn both_sides_can_give_a_message_up() {
    let (mut a, mut b) = pair(Chunking::FAIR).await;
    let mut body = a.session.stream(stream(1, None)).unwrap();
    body.write(&content(0, 100_000)).await.unwrap();
    let mut incoming = b.stream().await;
    assert!(within(incoming.next()).await.unwrap().is_some());
    drop(body);
    let end = loop {
        match within(incoming.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("complete"),
            Err(end) => break end,
        }
    };
    assert_eq!(end, StreamEnd::Aborted);

    let mut body = a.session.stream(stream(2, None)).unwrap();
    body.write(&content(0, 100_000)).await.unwrap();
    let incoming = b.stream().await;
    drop(incoming);
    let refused = async {
        while body.write(&content(0, 50_000)).await.is_ok() {}
        body.write(b"more").await
    };
    assert_eq!(within(refused).await, Err(StreamError::Ended));
    let refused = SessionEvent::Refused {
        token: 2,
        status: 413,
    };
    assert_eq!(a.event().await, refused);

    // The session lives on, until it is closed.
    let mut body = a.session.stream(stream(3, None)).unwrap();
    body.write(&content(0, 100_000)).await.unwrap();
    let mut incoming = b.stream().await;
    drop(a.session);
    assert_eq!(
        body.write(&content(0, 500_000)).await,
        Err(StreamError::Ended)
    );
    let end = loop {
        match within(incoming.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("complete"),
            Err(end) => break end,
        }
    };
    assert_eq!(end, StreamEnd::Aborted);
}

// MSRP-10
#[tokio::test]
async fn what_a_lost_session_has_not_confirmed_is_sent_again_under_its_id() {
    let node = node(Chunking::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = format!("msrp://{}/peer;tcp", listener.local_addr().unwrap());
    let mut ids = Vec::new();
    let mut given_back: Option<Unconfirmed> = None;
    for _ in 0..2 {
        let mut end = open(&node, node.mint(), &remote, Role::Active);
        let (mut stream, _) = listener.accept().await.unwrap();
        let bind = request_of(&mut stream).await;
        answer(&mut stream, &bind).await;
        assert_eq!(end.event().await, SessionEvent::Bound);
        match given_back.take() {
            Some(unconfirmed) => end.session.send_again(unconfirmed).unwrap(),
            None => end.session.send(outgoing(7)).unwrap(),
        }
        let request = request_of(&mut stream).await;
        ids.push(header(&request, "Message-ID"));
        drop(stream);
        let Happened::GivenBack(unconfirmed) = end.next().await else {
            panic!("not given back")
        };
        assert_eq!(unconfirmed.outgoing.body, "hello");
        given_back = Some(unconfirmed);
        let SessionEvent::Lost { .. } = end.event().await else {
            panic!("not lost")
        };
    }
    assert_eq!(ids[0], ids[1]);
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

/// What stands there in a message, whoever writes or reads it. Holds what might be taken for ends of lines and chunks.
fn content(position: u64, length: u64) -> Vec<u8> {
    const PATTERN: &[u8] = b"0123456789\r\n-------abcdefgh$\r\n";
    let start = (position % PATTERN.len() as u64) as usize;
    let length = length as usize;
    let mut all = PATTERN.repeat(length / PATTERN.len() + 2);
    all.truncate(start + length);
    all.split_off(start)
}

fn stream(token: u64, total: Option<u64>) -> OutgoingStream {
    OutgoingStream {
        token,
        content_type: "application/octet-stream".to_owned(),
        total,
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

fn outgoing(token: u64) -> Outgoing {
    Outgoing {
        token,
        transaction_id: None,
        content_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

/// Bytes of memory that this process has had at most.
#[cfg(target_os = "linux")]
fn most_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

struct End {
    session: Session,
    messages: mpsc::UnboundedReceiver<Incoming>,
    happened: mpsc::UnboundedReceiver<Happened>,
    _node: Node,
}

enum Happened {
    Stream(IncomingStream),
    GivenBack(Unconfirmed),
    Event(SessionEvent),
}

struct Door {
    messages: mpsc::UnboundedSender<Incoming>,
    happened: mpsc::UnboundedSender<Happened>,
}

impl Inbox for Door {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        self.messages.send(message).map_err(|refused| refused.0)
    }

    fn receive_stream(&self, stream: IncomingStream) -> Result<(), IncomingStream> {
        let refused = self.happened.send(Happened::Stream(stream)).err();
        match refused.map(|refused| refused.0) {
            Some(Happened::Stream(stream)) => Err(stream),
            _ => Ok(()),
        }
    }

    fn give_back(&self, unconfirmed: Unconfirmed) {
        let _ = self.happened.send(Happened::GivenBack(unconfirmed));
    }

    fn complete(&self, event: SessionEvent) {
        let _ = self.happened.send(Happened::Event(event));
    }
}

impl End {
    async fn next(&mut self) -> Happened {
        within(self.happened.recv()).await.unwrap()
    }

    async fn message(&mut self) -> Incoming {
        within(self.messages.recv()).await.unwrap()
    }

    async fn stream(&mut self) -> IncomingStream {
        match self.next().await {
            Happened::Stream(stream) => stream,
            _ => panic!("something else than a message in pieces"),
        }
    }

    async fn event(&mut self) -> SessionEvent {
        match self.next().await {
            Happened::Event(event) => event,
            _ => panic!("something else than an event"),
        }
    }
}

async fn node(chunking: Chunking) -> Node {
    Node::bind(NodeConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        chunking,
        ..NodeConfig::default()
    })
    .await
    .unwrap()
}

fn open(node: &Node, local: stox_msrp::MsrpUri, remote: &str, role: Role) -> End {
    let (messages_to, messages) = mpsc::unbounded_channel();
    let (happened_to, happened) = mpsc::unbounded_channel();
    let config = SessionConfig {
        local,
        remote: vec![remote.parse().unwrap()],
        role,
        max_size: 10_000,
        fingerprint: None,
        options: SessionOptions {
            long_messages: LongMessages::InPieces { max_size: 1 << 30 },
            ..SessionOptions::default()
        },
    };
    let door = Door {
        messages: messages_to,
        happened: happened_to,
    };
    End {
        session: node.open(config, door),
        messages,
        happened,
        _node: node.clone(),
    }
}

async fn pair(chunking: Chunking) -> (End, End) {
    pair_of(&node(chunking).await, &node(chunking).await).await
}

/// Two bound sessions, the first of the node that connects.
async fn pair_of(active: &Node, passive: &Node) -> (End, End) {
    let (ours, theirs) = (active.mint(), passive.mint());
    let mut b = open(passive, theirs.clone(), &ours.to_string(), Role::Passive);
    let mut a = open(active, ours, &theirs.to_string(), Role::Active);
    assert_eq!(a.event().await, SessionEvent::Bound);
    assert_eq!(b.event().await, SessionEvent::Bound);
    (a, b)
}

async fn request_of(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("$\r\n") {
        let mut bytes = [0; 4096];
        let read = within(stream.read(&mut bytes)).await.unwrap();
        assert_ne!(read, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    text
}

async fn answer(stream: &mut TcpStream, request: &str) {
    let id = request.split(' ').nth(1).unwrap();
    let (to, from) = (header(request, "From-Path"), header(request, "To-Path"));
    let response =
        format!("MSRP {id} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{id}$\r\n");
    stream.write_all(response.as_bytes()).await.unwrap();
}

fn header(text: &str, name: &str) -> String {
    let start = format!("{name}: ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_default().to_owned()
}
