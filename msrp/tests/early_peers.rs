//! Peers that connect before the session they come for is opened: an answer travels through proxies, the connection
//! does not.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use stox_msrp::{
    FailureReport, Incoming, Limits, LostCause, MsrpUri, Outgoing, Role, SessionConfig,
    SessionEvent, SessionOptions,
    node::{Inbox, Node, NodeConfig, Session},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

// MSRP-05
#[tokio::test]
async fn what_an_early_peer_sends_is_delivered_after_open() {
    let juliet = node(Limits::default()).await;
    for body in [
        "Art thou not Romeo?".to_owned(),
        "and a Montague? ".repeat(20_000),
    ] {
        let ours = juliet.mint();
        let mut peer = Peer::connect(&juliet).await;
        peer.send("abcd0", &ours, "").await;
        peer.send("abcd1", &ours, &body[..1]).await;
        peer.hears_nothing().await;
        let rest = peer.begin("abcd2", &ours, &body).await;

        let mut b = open(&juliet, ours, Role::Passive);
        let peer = tokio::spawn(async move {
            let mut peer = rest.await;
            for id in ["abcd0", "abcd1", "abcd2"] {
                assert_eq!(peer.status(id).await, 200);
            }
        });
        assert_eq!(b.event().await, SessionEvent::Bound);
        for expected in [&body[..1], &body] {
            let incoming = b.message().await;
            assert_eq!(incoming.body, expected);
            b.session.respond(incoming.id, 200);
        }
        peer.await.unwrap();
    }
}

#[tokio::test]
async fn an_early_request_may_be_long() {
    let juliet = node(Limits::default()).await;
    let long = "x".repeat(300_000);
    let (ours, unused) = (juliet.mint(), juliet.mint());
    let peer = Peer::connect(&juliet).await;
    let rest = peer.begin("abcd1", &ours, &long).await;
    sleep(A_MOMENT).await;
    let mut b = open(&juliet, ours.clone(), Role::Passive);
    let mut peer = rest.await;
    assert_eq!(b.event().await, SessionEvent::Bound);
    let incoming = b.message().await;
    assert_eq!(incoming.body, long);
    b.session.respond(incoming.id, 200);
    assert_eq!(peer.status("abcd1").await, 200);

    // The rest of a refused one is thrown away.
    let peer = Peer::connect(&juliet).await;
    let rest = peer.begin("abcd2", &unused, &long).await;
    sleep(A_MOMENT).await;
    juliet.release(&unused);
    let mut peer = rest.await;
    assert_eq!(peer.status("abcd2").await, 481);
    peer.send("abcd3", &ours, "").await;
    assert_eq!(peer.status("abcd3").await, 506);
}

#[tokio::test]
async fn two_nodes_whose_active_one_is_faster() {
    let (romeo, juliet) = (node(Limits::default()).await, node(Limits::default()).await);
    // The second comes on the first one's connection.
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let ours = juliet.mint();
        let mut a = open_to(&romeo, romeo.mint(), ours.clone(), Role::Active);
        sleep(A_MOMENT).await;
        let mut b = open(&juliet, ours, Role::Passive);
        assert_eq!(a.event().await, SessionEvent::Bound);
        assert_eq!(b.event().await, SessionEvent::Bound);
        a.session.send(outgoing("hello")).unwrap();
        assert_eq!(b.message().await.body, "hello");
        sessions.push((a, b));
    }
}

#[tokio::test]
async fn released_ids_are_unknown() {
    let juliet = node(Limits::default()).await;
    let ours = juliet.mint();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &ours, "").await;
    peer.hears_nothing().await;
    juliet.release(&ours);
    assert_eq!(peer.status("abcd1").await, 481);

    let mut late = Peer::connect(&juliet).await;
    late.send("abcd1", &ours, "").await;
    assert_eq!(late.status("abcd1").await, 481);

    // An open session is not a reservation.
    let ours = juliet.mint();
    let mut b = open(&juliet, ours.clone(), Role::Passive);
    juliet.release(&ours);
    peer.send("abcd2", &ours, "").await;
    assert_eq!(peer.status("abcd2").await, 200);
    assert_eq!(b.event().await, SessionEvent::Bound);
}

#[tokio::test]
async fn an_early_peer_waits_for_a_while_only() {
    let hold = Duration::from_millis(200);
    let juliet = node(Limits {
        hold,
        first_request: hold * 4,
        ..Limits::default()
    })
    .await;
    let ours = juliet.mint();
    let started = Instant::now();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &ours, "").await;
    assert_eq!(peer.status("abcd1").await, 481);
    assert!(started.elapsed() >= hold);

    // It may try again.
    let mut b = open(&juliet, ours.clone(), Role::Passive);
    peer.send("abcd2", &ours, "").await;
    assert_eq!(peer.status("abcd2").await, 200);
    assert_eq!(b.event().await, SessionEvent::Bound);
}

#[tokio::test]
async fn waiting_outlasts_the_time_for_a_first_request() {
    let first_request = Duration::from_millis(100);
    let juliet = node(Limits {
        first_request,
        ..Limits::default()
    })
    .await;
    let ours = juliet.mint();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &ours, "").await;
    sleep(first_request * 3).await;
    let mut b = open(&juliet, ours.clone(), Role::Passive);
    assert_eq!(peer.status("abcd1").await, 200);
    assert_eq!(b.event().await, SessionEvent::Bound);
}

#[tokio::test]
async fn reservations_end() {
    let juliet = node(Limits {
        reservations: 2,
        ..Limits::default()
    })
    .await;
    let oldest = juliet.mint();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &oldest, "").await;
    let second = juliet.mint();
    peer.hears_nothing().await;
    let third = juliet.mint();
    assert_eq!(peer.status("abcd1").await, 481);
    for ours in [second, third] {
        peer.send("abcd2", &ours, "").await;
        peer.hears_nothing().await;
        let _b = open(&juliet, ours, Role::Passive);
        assert_eq!(peer.status("abcd2").await, 200);
        peer = Peer::connect(&juliet).await;
    }
    // Forgotten, but not forbidden.
    let mut b = open(&juliet, oldest.clone(), Role::Passive);
    peer.send("abcd3", &oldest, "").await;
    assert_eq!(peer.status("abcd3").await, 200);
    assert_eq!(b.event().await, SessionEvent::Bound);

    let reservation = Duration::from_millis(200);
    let juliet = node(Limits {
        reservation,
        ..Limits::default()
    })
    .await;
    let started = Instant::now();
    let ours = juliet.mint();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &ours, "").await;
    assert_eq!(peer.status("abcd1").await, 481);
    assert!(started.elapsed() >= reservation);
    peer.send("abcd2", &ours, "").await;
    assert_eq!(peer.status("abcd2").await, 481);
}

// MSRP-26, SEC-14
#[tokio::test]
async fn few_wait_for_one_session() {
    let juliet = node(Limits::default()).await;
    let ours = juliet.mint();
    let mut peers = Vec::new();
    for _ in 0..17 {
        let mut peer = Peer::connect(&juliet).await;
        peer.send("abcd1", &ours, "").await;
        peers.push(peer);
    }
    // One of them finds no room.
    sleep(A_MOMENT).await;
    let _b = open(&juliet, ours, Role::Passive);
    let mut statuses = Vec::new();
    for peer in &mut peers {
        statuses.push(peer.status("abcd1").await);
    }
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    assert_eq!([count(200), count(506), count(481)], [1, 15, 1]);
}

// MSRP-26
#[tokio::test]
async fn who_waits_counts_as_a_connection() {
    let juliet = node(Limits {
        connections_per_source: 20,
        ..Limits::default()
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let ours = juliet.mint();
        let mut peer = Peer::connect(&juliet).await;
        peer.send("abcd1", &ours, "").await;
        waiting.push((peer, ours));
    }
    let mut refused = Peer::connect(&juliet).await;
    let read = timeout(PATIENCE, refused.stream.read(&mut [0])).await;
    assert!(matches!(read.unwrap(), Ok(0) | Err(_)));

    timeout(PATIENCE, juliet.close()).await.unwrap();
    for (mut peer, _) in waiting {
        let read = timeout(PATIENCE, peer.stream.read(&mut [0])).await;
        assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    }
}

// MSRP-09: who waits does not hold up the other sessions of its connection.
#[tokio::test]
async fn binding_requests_beside_a_session_are_set_aside() {
    const MOST: usize = 64;
    let juliet = node(Limits::default()).await;
    let ours = juliet.mint();
    let mut b = open(&juliet, ours.clone(), Role::Passive);
    let mut peer = Peer::connect(&juliet).await;
    peer.send("first", &ours, "").await;
    assert_eq!(peer.status("first").await, 200);
    assert_eq!(b.event().await, SessionEvent::Bound);

    let early: Vec<MsrpUri> = (0..MOST).map(|_| juliet.mint()).collect();
    for (index, uri) in early.iter().enumerate() {
        peer.send(&format!("early{index}"), uri, "").await;
    }
    // No room for one more, nor for a body.
    let (one_more, with_body) = (juliet.mint(), early[1].clone());
    for (id, uri, body) in [("more", &one_more, ""), ("body", &with_body, "hello")] {
        peer.send(id, uri, body).await;
        assert_eq!(peer.status(id).await, 481);
    }
    peer.send("hello", &ours, "hello").await;
    let incoming = b.message().await;
    b.session.respond(incoming.id, 200);
    assert_eq!(peer.status("hello").await, 200);

    // In the midst of another session's message.
    let long = "x".repeat(200_000);
    let rest = peer.begin("long", &ours, &long).await;
    sleep(A_MOMENT).await;
    juliet.release(&early[0]);
    let mut c = open(&juliet, early[1].clone(), Role::Passive);
    assert_eq!(c.event().await, SessionEvent::Bound);
    let mut peer = rest.await;
    assert_eq!(peer.status("early0").await, 481);
    assert_eq!(peer.status("early1").await, 200);
    let incoming = b.message().await;
    assert_eq!(incoming.body, long);
    b.session.respond(incoming.id, 200);
    assert_eq!(peer.status("long").await, 200);
}

// A peer that hung up while it waited.
#[tokio::test]
async fn an_early_peer_that_went_is_lost_after_open() {
    let juliet = node(Limits::default()).await;
    let ours = juliet.mint();
    let mut peer = Peer::connect(&juliet).await;
    peer.send("abcd1", &ours, "").await;
    sleep(A_MOMENT).await;
    drop(peer);
    let mut b = open(&juliet, ours, Role::Passive);
    assert_eq!(b.event().await, SessionEvent::Bound);
    let cause = LostCause::ConnectionEnded;
    assert_eq!(b.event().await, SessionEvent::Lost { cause });
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Enough for loopback.
const A_MOMENT: Duration = Duration::from_millis(100);
const STRANGER: &str = "msrp://127.0.0.1:9/r;tcp";

async fn node(limits: Limits) -> Node {
    Node::bind(NodeConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        limits,
        ..NodeConfig::default()
    })
    .await
    .unwrap()
}

/// A peer by its socket.
struct Peer {
    stream: TcpStream,
    heard: String,
}

impl Peer {
    async fn connect(node: &Node) -> Peer {
        let stream = TcpStream::connect(node.local_addresses()[0]).await.unwrap();
        let heard = String::new();
        Peer { stream, heard }
    }

    async fn send(&mut self, id: &str, to: &MsrpUri, body: &str) {
        let request = request(id, to, body);
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Sends half of a request; the rest and then the peer again are what is returned.
    async fn begin(
        mut self,
        id: &str,
        to: &MsrpUri,
        body: &str,
    ) -> impl Future<Output = Peer> + use<> {
        let request = request(id, to, body);
        let (half, rest) = request.split_at(request.len() / 2);
        let half = half.to_owned();
        let rest = rest.to_owned();
        let sent = timeout(A_MOMENT, self.stream.write_all(half.as_bytes())).await;
        sent.expect("half fits into the sockets' buffers").unwrap();
        async move {
            self.stream.write_all(rest.as_bytes()).await.unwrap();
            self
        }
    }

    async fn hears_nothing(&mut self) {
        let read = timeout(A_MOMENT, self.stream.read(&mut [0])).await;
        assert!(read.is_err());
    }

    /// Of the response to that request.
    async fn status(&mut self, id: &str) -> u16 {
        let (start, end) = (format!("MSRP {id} "), format!("-------{id}$\r\n"));
        while !(self.heard.contains(&start) && self.heard.contains(&end)) {
            let mut bytes = [0; 1024];
            let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
            let read = read.unwrap().unwrap();
            assert_ne!(read, 0, "closed after {:?}", self.heard);
            self.heard
                .push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        let at = self.heard.find(&start).unwrap() + start.len();
        self.heard[at..at + 3].parse().unwrap()
    }
}

fn request(id: &str, to: &MsrpUri, body: &str) -> String {
    let range = format!("1-{length}/{length}", length = body.len());
    let body = match body {
        "" => String::new(),
        body => format!("Content-Type: text/plain\r\n\r\n{body}\r\n"),
    };
    format!(
        "MSRP {id} SEND\r\nTo-Path: {to}\r\nFrom-Path: {STRANGER}\r\nMessage-ID: m{id}\r\n\
         Byte-Range: {range}\r\n{body}-------{id}$\r\n"
    )
}

struct End {
    session: Session,
    happened: mpsc::UnboundedReceiver<Happened>,
}

#[derive(Debug)]
enum Happened {
    Message(Incoming),
    Event(SessionEvent),
}

struct Door(mpsc::UnboundedSender<Happened>);

impl Inbox for Door {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        let _ = self.0.send(Happened::Message(message));
        Ok(())
    }

    fn complete(&self, event: SessionEvent) {
        let _ = self.0.send(Happened::Event(event));
    }
}

impl End {
    async fn next(&mut self) -> Happened {
        let happened = timeout(PATIENCE, self.happened.recv()).await;
        happened.unwrap().unwrap()
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

fn open(node: &Node, local: MsrpUri, role: Role) -> End {
    open_to(node, local, STRANGER.parse().unwrap(), role)
}

fn open_to(node: &Node, local: MsrpUri, remote: MsrpUri, role: Role) -> End {
    let (sender, happened) = mpsc::unbounded_channel();
    let config = SessionConfig {
        local,
        remote: vec![remote],
        role,
        max_size: 1_000_000,
        fingerprint: None,
        options: SessionOptions::default(),
    };
    End {
        session: node.open(config, Door(sender)),
        happened,
    }
}

fn outgoing(body: &str) -> Outgoing {
    Outgoing {
        token: 1,
        transaction_id: None,
        content_type: "text/plain; charset=utf-8".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}
