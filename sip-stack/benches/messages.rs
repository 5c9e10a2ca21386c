//! What a message costs, each step beside a floor in the same run: a look for the empty line, a plain copy, and what
//! `rsip`'s parser takes for the same bytes. `cargo bench -p stox-sip --bench messages`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stox_sip::{
    Endpoint, EndpointConfig, Event, Listener, Message, Method, NameAddr, OutgoingRequest, Reply,
    Request, RequestId, Response, Source, Status, Transport,
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = parse, serialise, answer, endpoint
}
criterion_main!(benches);

const INVITE: &str = "INVITE sip:romeo@montague.example.net;transport=tcp SIP/2.0\r\n\
Via: SIP/2.0/TCP gw.example.com:5060;branch=z9hG4bK3e26b5b4aab7f4c1;rport\r\n\
Max-Forwards: 70\r\n\
From: \"Juliet Capulet\" <sip:juliet@example.com>;tag=8f7a1c30d2b94e56\r\n\
To: <sip:romeo@montague.example.net>\r\n\
Call-ID: 2b9a4c71-7f3e-4d0e-9c3a-5a0d9a0d6b11\r\n\
CSeq: 1 INVITE\r\n\
Contact: <sip:juliet@gw.example.com:5060;transport=tcp>\r\n\
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK\r\n\
Supported: timer, 100rel, replaces\r\n\
Session-Expires: 1800\r\n\
User-Agent: stox/0.1.0\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 229\r\n\
\r\n\
v=0\r\n\
o=- 3984710112 3984710112 IN IP4 192.0.2.1\r\n\
s=-\r\n\
c=IN IP4 192.0.2.1\r\n\
t=0 0\r\n\
m=message 2855 TCP/MSRP *\r\n\
a=accept-types:text/plain message/cpim\r\n\
a=path:msrp://gw.example.com:2855/3b9aca07f1e2;tcp\r\n\
a=setup:actpass\r\n\
a=sendrecv\r\n";

/// As a user agent sends it, in UDP; `N` stands for what differs from one to the next.
const MESSAGE: &str = "MESSAGE sip:juliet@example.com SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK9c1d5e7aN;rport\r\n\
Max-Forwards: 70\r\n\
From: \"Romeo\" <sip:romeo@montague.example.net>;tag=49583\r\n\
To: <sip:juliet@example.com>\r\n\
Call-ID: 711609sa-N@montague.example.net\r\n\
CSeq: 1 MESSAGE\r\n\
User-Agent: Balcony 1.0\r\n\
Content-Type: text/plain;charset=utf-8\r\n\
Content-Length: 46\r\n\
\r\n\
By a name I know not how to tell thee who I am";

fn parse(c: &mut Criterion) {
    for (name, text) in [("INVITE", INVITE), ("MESSAGE", MESSAGE)] {
        let bytes = Bytes::from_static(text.as_bytes());
        let mut group = c.benchmark_group(format!("parse {name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("floor: empty line", |b| {
            b.iter(|| memchr::memmem::find(black_box(&bytes), b"\r\n\r\n"))
        });
        group.bench_function("rsip", |b| {
            b.iter(|| rsip::SipMessage::try_from(&black_box(&bytes)[..]).unwrap())
        });
        group.bench_function("stox", |b| {
            b.iter(|| Message::parse_datagram(black_box(&bytes).clone()).unwrap())
        });
    }
}

fn serialise(c: &mut Criterion) {
    for (name, text) in [("INVITE", INVITE), ("MESSAGE", MESSAGE)] {
        let mut group = c.benchmark_group(format!("serialise {name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("floor: copy", |b| {
            b.iter(|| Bytes::copy_from_slice(black_box(text.as_bytes())))
        });
        let theirs = rsip::SipMessage::try_from(text.as_bytes()).unwrap();
        group.bench_function("rsip", |b| {
            b.iter(|| Bytes::from(black_box(&theirs).clone()))
        });
        let ours = Message::parse_datagram(Bytes::from_static(text.as_bytes())).unwrap();
        group.bench_function("stox", |b| b.iter(|| black_box(&ours).to_bytes()));
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        group.bench_function("stox, into a buffer", |b| {
            b.iter(|| {
                buffer.clear();
                black_box(&ours).encode(&mut buffer);
            })
        });
    }
}

/// A MESSAGE from its bytes to what a gateway needs of it, and the bytes of its answer. At most three times what `rsip` takes
/// to read it at all.
fn answer(c: &mut Criterion) {
    let bytes = Bytes::from_static(MESSAGE.as_bytes());
    let mut group = c.benchmark_group("MESSAGE read and answered");
    group.bench_function("floor: rsip, parse only", |b| {
        b.iter(|| rsip::SipMessage::try_from(&black_box(&bytes)[..]).unwrap())
    });
    group.bench_function("stox", |b| {
        b.iter(|| {
            let request = request(black_box(&bytes).clone());
            let told = (
                request.from().unwrap(),
                request.to().unwrap(),
                request.content_type().unwrap(),
                request.cseq().unwrap(),
                request.top_via().unwrap(),
            );
            let to = told.1.clone().with_tag("4c1d2e3f");
            let mut response = Response::to_request(&request, Status::OK);
            response.headers.set(stox_sip::Name::To, to.to_string());
            (told, request.body.clone(), response.to_bytes())
        })
    });
}

/// What the endpoint adds to that: the server transaction of a MESSAGE until it is answered, and the client transaction of
/// one of ours until its answer is told. Virtual time passes, so that the transactions of half a minute are there.
fn endpoint(c: &mut Criterion) {
    let mut group = c.benchmark_group("MESSAGE through the endpoint");
    let bytes = Bytes::from_static(MESSAGE.as_bytes());
    group.bench_function("floor: parse only", |b| {
        b.iter(|| Message::parse_datagram(black_box(&bytes).clone()).unwrap())
    });
    let (mut juliet, mut now, mut number) = (juliet(), Instant::now(), 0);
    group.bench_function("received and answered", |b| {
        b.iter_batched(
            || {
                number += 1;
                Bytes::from(MESSAGE.replace('N', &number.to_string()))
            },
            |bytes| {
                now += Duration::from_millis(1);
                let parsed = Message::parse_datagram(bytes);
                juliet.handle_received(parsed, romeo(), now);
                let Some(Event::Requested { transaction, .. }) = juliet.poll_event() else {
                    panic!("a MESSAGE is told")
                };
                juliet.respond(transaction, Reply::new(Status::OK), now);
                juliet.handle_timeout(now);
                juliet.poll_transmit().unwrap()
            },
            BatchSize::SmallInput,
        )
    });
    let outgoing = outgoing();
    let mut id = 0;
    group.bench_function("sent and its answer told", |b| {
        b.iter(|| {
            (id, now) = (id + 1, now + Duration::from_millis(1));
            juliet.request(RequestId::ours(id), outgoing.clone(), now);
            let sent = juliet.poll_transmit().unwrap().payload;
            let answer = Response::to_request(&request(sent), Status::OK);
            juliet.handle_received(Ok(answer.into()), romeo(), now);
            juliet.handle_timeout(now);
            juliet.poll_event().unwrap()
        })
    });
}

fn request(bytes: Bytes) -> Request {
    match Message::parse_datagram(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn juliet() -> Endpoint {
    let address = "192.0.2.1:5060".parse().unwrap();
    let config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: address,
            advertised: address,
        }],
        user_agent: "stox/0.1.0".into(),
        ..EndpointConfig::default()
    };
    Endpoint::new(config, StdRng::seed_from_u64(1))
}

fn romeo() -> Source {
    Source {
        transport: Transport::Udp,
        local: "192.0.2.1:5060".parse().unwrap(),
        remote: "192.0.2.2:5060".parse().unwrap(),
        connection: None,
    }
}

fn outgoing() -> OutgoingRequest {
    let address = |uri: &str| NameAddr::new(uri.parse().unwrap());
    let (juliet, romeo) = (
        address("sip:juliet@example.com"),
        address("sip:romeo@montague.example.net"),
    );
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    let mut request = OutgoingRequest::new(Method::Message, target, juliet, romeo);
    (request.content_type, request.body) = ("text/plain".into(), "Dost thou love me?".into());
    request
}
