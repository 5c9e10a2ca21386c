//! Each message sent to an endpoint of its own over real sockets, as a datagram and on a connection, with IPv4 and IPv6:
//! what is answered, and that the endpoint lives on.

use std::net::SocketAddr;
use std::time::Duration;

use stox_sip::{DriverConfig, Event, Limits, Reply, Sip, Status, Transport, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Case, OverStreams, Reaction, cases, read};

/// What the user of the endpoint answers to an INVITE, and to all else.
const TO_INVITE: Status = Status::BUSY_HERE;
const TO_OTHERS: Status = Status::OK;
/// How long the rest of a message may take.
const STALLED: Duration = Duration::from_secs(1);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// SIP-01 SIP-02
#[tokio::test]
async fn every_message_as_a_datagram() {
    for_each_case_and_address(over_udp).await;
}

/// SIP-01 SIP-02
#[tokio::test]
async fn every_message_on_a_connection() {
    for_each_case_and_address(over_tcp).await;
}

/// SIP-02: one endpoint is sent all of them, and is none the worse for it.
#[tokio::test]
async fn all_messages_at_one_endpoint() {
    for local in addresses() {
        let endpoint = Endpoint::start(local).await;
        let mut client = Datagrams::open(&endpoint).await;
        for case in cases() {
            client.send(&with_rport(&read(case.file))).await;
            let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
            stream.write_all(&read(case.file)).await.unwrap();
        }
        client.send(&probe()).await;
        while !is_answer_to_probe(&client.next().await) {}
        let answers = on_a_connection(&endpoint, b"").await;
        assert_eq!(answers, Vec::<String>::new());
    }
}

async fn over_udp(case: Case, endpoint: Endpoint) {
    let mut client = Datagrams::open(&endpoint).await;
    client.send(&with_rport(&read(case.file))).await;
    // Answers leave in the order of the requests, so that what comes before this one's is of the message.
    client.send(&probe()).await;
    let mut answers = Vec::new();
    loop {
        let answer = client.next().await;
        if is_answer_to_probe(&answer) {
            break;
        }
        answers.push(answer);
    }
    assert_answers(&case, &endpoint, &answers, &[case.reaction]);
}

async fn over_tcp(case: Case, endpoint: Endpoint) {
    let message = read(case.file);
    let (expected, answers) = match case.over_streams {
        OverStreams::Same => (
            vec![case.reaction],
            on_a_connection(&endpoint, &message).await,
        ),
        OverStreams::Lost(statuses) => (
            statuses.iter().copied().map(Reaction::Refuses).collect(),
            until_closed(&endpoint, &message).await,
        ),
        OverStreams::Waits => (vec![], until_closed(&endpoint, &message).await),
    };
    assert_answers(&case, &endpoint, &answers, &expected);
}

/// Sends the message and the probe behind it; what is answered before the answer to the probe.
async fn on_a_connection(endpoint: &Endpoint, message: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
    stream.write_all(message).await.unwrap();
    stream.write_all(&probe()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let (mut answers, _) = split(&bytes);
        if answers.last().is_some_and(|last| is_answer_to_probe(last)) {
            answers.pop();
            return answers;
        }
        let read = timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        let count = read.expect("an answer in time").unwrap();
        assert_ne!(count, 0, "closed after {answers:?}");
    }
}

/// Sends the message; what is answered before the connection is closed by the endpoint, which serves others meanwhile.
async fn until_closed(endpoint: &Endpoint, message: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(endpoint.tcp).await.unwrap();
    stream.write_all(message).await.unwrap();
    assert_eq!(on_a_connection(endpoint, b"").await, Vec::<String>::new());
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    end.expect("the connection is closed in time").unwrap();
    split(&bytes).0
}

/// The responses in a stream, and what is left of it. None of them has a body.
fn split(bytes: &[u8]) -> (Vec<String>, String) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut parts: Vec<_> = text.split("\r\n\r\n").map(str::to_owned).collect();
    let rest = parts.pop().unwrap_or_default();
    assert!(
        parts
            .iter()
            .all(|part| part.contains("Content-Length: 0") || part.contains("l: 0")),
        "{text}"
    );
    (parts, rest)
}

fn assert_answers(case: &Case, endpoint: &Endpoint, answers: &[String], expected: &[Reaction]) {
    let is_answered_by_user = |text: &str| {
        [TO_INVITE, TO_OTHERS]
            .iter()
            .any(|status| starts_with(text, *status))
    };
    // An INVITE is told to be tried before anything else is said of it.
    let finals: Vec<_> = answers
        .iter()
        .filter(|answer| !starts_with(answer, Status::TRYING))
        .collect();
    let context = format!("{} at {}: {answers:#?}", case.file, endpoint.udp);
    let expected: Vec<_> = expected
        .iter()
        .filter(|reaction| **reaction != Reaction::Nothing)
        .collect();
    assert_eq!(finals.len(), expected.len(), "{context}");
    for (answer, reaction) in finals.into_iter().zip(expected) {
        let is_expected = match reaction {
            Reaction::Told => is_answered_by_user(answer),
            Reaction::Refuses(status) => starts_with(answer, *status),
            Reaction::Nothing => false,
        };
        assert!(is_expected, "{reaction:?} {context}");
        let refuses_method = *reaction == Reaction::Refuses(Status::METHOD_NOT_ALLOWED);
        let lists_methods = answer.contains("\nAllow:");
        assert_eq!(
            refuses_method,
            lists_methods && !is_answered_by_user(answer),
            "{context}"
        );
    }
}

fn starts_with(answer: &str, status: Status) -> bool {
    answer.starts_with(&format!("SIP/2.0 {} ", status.code()))
}

/// The messages name hosts that are not there; with this in the top Via the answer comes to where it was sent from
/// (RFC 3581 §4), and all else stands as it is in the archive.
fn with_rport(message: &[u8]) -> Vec<u8> {
    let is_via = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = name.trim_ascii();
        line.contains(&b':')
            && (name.eq_ignore_ascii_case(b"via") || name.eq_ignore_ascii_case(b"v"))
    };
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if is_via(line) {
            break;
        }
        at += line.len();
    }
    let via = &message[at..];
    // At the first parameter, on whatever line it stands; without one at the end of the line.
    let end = via.windows(2).position(|two| two == b"\r\n");
    let parameter = via.iter().position(|byte| *byte == b';');
    let (Some(place), false) = (
        parameter.or(end),
        message.windows(6).any(|six| six == b";rport"),
    ) else {
        return message.to_vec();
    };
    let place = match (parameter, end) {
        (Some(parameter), Some(end)) if end < parameter && !is_folded(via, end) => end,
        _ => place,
    };
    [&message[..at + place], b";rport", &message[at + place..]].concat()
}

fn is_folded(via: &[u8], end: usize) -> bool {
    matches!(via.get(end + 2), Some(b' ' | b'\t'))
}

fn probe() -> Vec<u8> {
    "OPTIONS sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/UDP client.invalid;branch=z9hG4bKprobe;rport\r\n\
     From: <sip:juliet@example.com>;tag=probe\r\nTo: <sip:romeo@example.net>\r\nCall-ID: probe\r\n\
     CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        .into()
}

fn is_answer_to_probe(answer: &str) -> bool {
    answer.starts_with("SIP/2.0 200 ") && answer.contains("\r\nCall-ID: probe")
}

/// A driver whose user answers everything.
struct Endpoint {
    udp: SocketAddr,
    tcp: SocketAddr,
    _sip: Sip,
}

impl Endpoint {
    async fn start(local: SocketAddr) -> Endpoint {
        let (sender, mut events) = mpsc::unbounded_channel();
        let config = DriverConfig {
            listen: vec![(Transport::Udp, local), (Transport::Tcp, local)],
            limits: Limits {
                stalled: STALLED,
                ..Limits::default()
            },
            ..DriverConfig::default()
        };
        let handler = move |event| {
            let _ = sender.send(event);
            Ok(())
        };
        let sip = bind(config, handler).await.unwrap();
        let user = sip.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Invited { invite, .. } => {
                        user.answer(invite, Reply::new(TO_INVITE)).await;
                    }
                    Event::Requested { transaction, .. } => {
                        user.respond(transaction, Reply::new(TO_OTHERS)).await;
                    }
                    event => panic!("{event:?}"),
                }
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

struct Datagrams(UdpSocket);

impl Datagrams {
    async fn open(endpoint: &Endpoint) -> Datagrams {
        let socket = UdpSocket::bind((endpoint.udp.ip(), 0)).await.unwrap();
        socket.connect(endpoint.udp).await.unwrap();
        Datagrams(socket)
    }

    async fn send(&self, message: &[u8]) {
        self.0.send(message).await.unwrap();
    }

    async fn next(&mut self) -> String {
        let mut buffer = vec![0; 65536];
        let received = timeout(PATIENCE, self.0.recv(&mut buffer)).await;
        let length = received.expect("an answer in time").unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

async fn for_each_case_and_address<F>(run: fn(Case, Endpoint) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for local in addresses() {
        for case in cases() {
            tasks.spawn(run(case, Endpoint::start(local).await));
        }
    }
    let mut failed = 0;
    while let Some(end) = tasks.join_next().await {
        failed += usize::from(end.is_err());
    }
    assert_eq!(
        failed, 0,
        "messages are not reacted to as they should be; each is told above"
    );
}

/// Loopback addresses; only the first where there is no IPv6.
fn addresses() -> Vec<SocketAddr> {
    let all = ["127.0.0.1:0", "[::1]:0"].map(|address| address.parse().unwrap());
    let is_there = |address: &SocketAddr| std::net::UdpSocket::bind(address).is_ok();
    all.into_iter().filter(is_there).collect()
}
