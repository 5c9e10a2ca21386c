//! What changes and refreshes a session, and reliable provisional responses, in virtual time. Nothing sleeps.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    Destination, EndCause, Endpoint, EndpointConfig, Event, Failure, Invite, InviteId, Listener,
    LocalContact, Message, Method, Name, NameAddr, Reply, Request, RequestId, Response, Source,
    Status, Transport, Uri,
};

/// CHAT-30. Both know of timers: the caller refreshes by UPDATE, at half the time, and goes on.
#[test]
fn the_caller_refreshes_by_update() {
    let mut net = Net::new(&["timer"], &["timer"]);
    let theirs = net.establish();
    assert_eq!(net.sent[0].session_expires().unwrap().to_string(), "1800");
    assert_eq!(net.field(Name::SessionExpires), "1800;refresher=uac");
    net.log.clear();
    net.elapse(900);
    net.elapse(900);
    assert_eq!(
        net.log,
        [
            "juliet UPDATE 2",
            "romeo 200 UPDATE",
            "juliet UPDATE 3",
            "romeo 200 UPDATE"
        ]
    );
    assert_eq!(net.field(Name::SessionExpires), "1800;refresher=uac");
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    net.both_have_ended();
    net.ends_with_nothing_left();
}

/// CHAT-30. Without UPDATE: a re-INVITE with the same session description.
#[test]
fn refreshed_by_reinvite_with_the_same_description() {
    let mut net = Net::new(&["timer"], &["timer"]);
    let theirs = net.establish_with(|net, theirs| {
        let mut reply = Reply::new(Status::OK);
        reply.headers.push((Name::Allow, "INVITE, ACK, BYE".into()));
        net.romeo.answer(theirs, reply, net.now);
    });
    net.log.clear();
    net.elapse(900);
    let Some(Event::Reinvited {
        transaction,
        request,
        ..
    }) = net.romeo.poll_event()
    else {
        panic!()
    };
    assert_eq!(request.body, "v=0 juliet");
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(net.juliet.poll_event().is_none(), "nobody asked for it");
    assert_eq!(
        net.log,
        [
            "juliet INVITE 2",
            "romeo 100 INVITE",
            "romeo 200 INVITE",
            "juliet ACK 2"
        ]
    );
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
}

/// CHAT-30. Nobody refreshes any more: both say BYE a little before the end.
#[test]
fn without_refresh_the_session_ends() {
    let mut net = Net::new(&["timer"], &["timer"]);
    net.establish();
    // Juliet is gone.
    let start = net.now;
    while let Some(at) = net.romeo.poll_timeout() {
        net.now = at;
        net.romeo.handle_timeout(at);
        if let Some(event) = net.romeo.poll_event() {
            assert!(
                matches!(
                    event,
                    Event::Ended {
                        cause: EndCause::Expired,
                        ..
                    }
                ),
                "{event:?}"
            );
            break;
        }
    }
    assert_eq!(net.now - start, Duration::from_secs(1768));
    assert_eq!(says(&mut net.romeo), ["BYE 1"]);
}

/// CHAT-30. A peer that knows nothing of timers is not bothered, and one that we do not know them to is answered.
#[test]
fn only_one_side_knows_of_timers() {
    for (juliet, romeo) in [(&["timer"][..], &[][..]), (&[], &["timer"])] {
        let mut net = Net::new(juliet, romeo);
        net.establish();
        net.log.clear();
        net.elapse(4000);
        assert_eq!(net.log, [""; 0]);
    }
}

/// CHAT-30. 422 both ways.
#[test]
fn intervals_that_are_too_small() {
    let mut net = Net::new(&["timer"], &["timer"]);
    let mut brief = raw(Method::Invite, 1, "");
    brief.headers.push(Name::Supported, "timer");
    brief.headers.push(Name::SessionExpires, "60");
    net.romeo_hears(&brief);
    let answers = net.romeo_answers();
    let status = Status::SESSION_INTERVAL_TOO_SMALL;
    assert_eq!(answers[0].status, status);
    assert_eq!(answers[0].min_se(), Ok(90));

    net.juliet.invite(InviteId::ours(1), invite(), net.now);
    let first = net.juliet_sends();
    let refused = Response::to_request(&first, status).with_header(Name::MinSe, "3600");
    net.juliet_hears(refused);
    let sent: Vec<_> = std::iter::from_fn(|| net.juliet.poll_transmit()).collect();
    let again = match Message::parse_datagram(sent[1].payload.clone()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.headers.first(&Name::CSeq), Some("2 INVITE"));
    assert_eq!(again.headers.first(&Name::SessionExpires), Some("3600"));
    assert_eq!(again.min_se(), Ok(3600));
    assert_eq!(again.call_id(), first.call_id());
    assert_eq!(again.body, first.body);
    let refused = Response::to_request(&again, status).with_header(Name::MinSe, "3601");
    net.juliet_hears(refused);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Rejected { .. })
    ));
}

/// SIP-06, RFC 3311. An UPDATE without description is answered, before and after the session is there.
#[test]
fn bare_updates_are_answered() {
    let mut net = Net::new(&[], &[]);
    net.romeo_hears(&raw(Method::Invite, 1, ""));
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .answer(invite, Reply::new(Status::RINGING), net.now);
    let tag = net.romeo_answers()[1].to().unwrap();
    let tag = tag.tag().unwrap();
    net.romeo_hears(&raw(Method::Update, 2, tag));
    assert_eq!(says(&mut net.romeo), ["200 UPDATE"]);
    let described = raw(Method::Update, 3, tag).with_body("application/sdp", "v=0");
    net.romeo_hears(&described);
    assert_eq!(says(&mut net.romeo), ["500 UPDATE"]);
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    net.romeo_hears(&raw(Method::Ack, 1, tag));
    net.romeo_hears(&raw(Method::Update, 4, tag));
    assert_eq!(says(&mut net.romeo), ["200 INVITE", "200 UPDATE"]);
}

/// SIP-06, RFC 3262. The peer requires reliable provisional responses: repeated until their PRACK, one after the other.
#[test]
fn reliable_provisional_responses() {
    let mut net = Net::new(&[], &[]);
    let mut request = raw(Method::Invite, 1, "");
    request.headers.push(Name::Require, "100rel");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    for status in [Status::RINGING, Status::SESSION_PROGRESS] {
        net.romeo.answer(invite, Reply::new(status), net.now);
    }
    let ringing = net.romeo_answers().remove(1);
    let rseq = ringing.rseq().unwrap();
    assert_eq!(ringing.headers.first(&Name::Require), Some("100rel"));
    let to = ringing.to().unwrap();
    let tag = to.tag().unwrap();
    net.romeo_passes(500);
    assert_eq!(says(&mut net.romeo), ["180 INVITE"]);
    let prack = |cseq, rack: String| raw(Method::Prack, cseq, tag).with_header(Name::RAck, rack);
    net.romeo_hears(&prack(2, format!("{} 1 INVITE", rseq + 1)));
    net.romeo_hears(&prack(3, format!("{rseq} 2 INVITE")));
    net.romeo_hears(&prack(4, format!("{rseq} 1 INVITE")));
    assert_eq!(
        says(&mut net.romeo),
        ["481 PRACK", "481 PRACK", "200 PRACK", "183 INVITE"]
    );
    // The final response may come before the PRACK of what says nothing of media.
    net.romeo.answer(invite, Reply::new(Status::OK), net.now);
    assert_eq!(says(&mut net.romeo), ["200 INVITE"]);
    net.romeo_hears(&prack(5, format!("{} 1 INVITE", rseq + 1)));
    assert_eq!(says(&mut net.romeo), ["200 PRACK"]);
    net.romeo_hears(&prack(6, format!("{} 1 INVITE", rseq + 1)));
    assert_eq!(says(&mut net.romeo), ["481 PRACK"]);
    net.romeo_hears(&prack(7, "1".into()));
    assert_eq!(says(&mut net.romeo), ["400 PRACK"]);
}

/// RFC 3262 §3. Nobody acknowledges: 500, and the user is told.
#[test]
fn an_unacknowledged_provisional_response() {
    let mut net = Net::new(&[], &[]);
    let mut request = raw(Method::Invite, 1, "");
    request.headers.push(Name::Require, "100rel");
    net.romeo_hears(&request);
    let Some(Event::Invited { invite, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .answer(invite, Reply::new(Status::RINGING), net.now);
    for _ in 0..64 {
        net.romeo_passes(500);
    }
    let said = says(&mut net.romeo);
    assert_eq!(said.iter().filter(|said| *said == "180 INVITE").count(), 7);
    assert_eq!(said.last().unwrap(), "500 INVITE");
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Cancelled { .. })
    ));
}

/// SIP-11, RFC 3261 §14.1. Both change the session at once: both get 491, Romeo tries again within two seconds, Juliet,
/// whose Call-ID it is, after him; both get through.
#[test]
fn after_glare_both_try_again() {
    let mut net = Net::new(&[], &[]);
    let theirs = net.establish();
    net.log.clear();
    change(&mut net.juliet, InviteId::ours(1), 1, net.now);
    change(&mut net.romeo, theirs, 2, net.now);
    net.run();
    let count = |net: &Net, what: &str| net.log.iter().filter(|l| l.ends_with(what)).count();
    assert_eq!(count(&net, "491 INVITE"), 2);
    assert!(net.juliet.poll_event().is_none());
    change(&mut net.romeo, theirs, 3, net.now);
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::RequestFailed {
            cause: Failure::RequestPending,
            ..
        })
    ));
    net.elapse(2);
    let Some(Event::Reinvited { transaction, .. }) = net.juliet.poll_event() else {
        panic!()
    };
    net.juliet
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Responded { request, response })
            if request == RequestId::ours(2) && response.status == Status::OK
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    net.elapse(2);
    let Some(Event::Reinvited { transaction, .. }) = net.romeo.poll_event() else {
        panic!()
    };
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Responded { request, .. }) if request == RequestId::ours(1)
    ));
}

/// A change that waits when the session ends is told to have failed.
#[test]
fn a_session_that_ends_after_glare() {
    let mut net = Net::new(&[], &[]);
    let theirs = net.establish();
    change(&mut net.juliet, InviteId::ours(1), 1, net.now);
    change(&mut net.romeo, theirs, 2, net.now);
    net.run();
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    for (agent, id) in [(&mut net.juliet, 1), (&mut net.romeo, 2)] {
        let events: Vec<_> = std::iter::from_fn(|| agent.poll_event()).collect();
        let failed = events.iter().any(|event| {
            matches!(event, Event::RequestFailed { request, cause: Failure::SessionEnded } if *request == RequestId::ours(id))
        });
        assert!(failed && events.len() == 2, "{events:?}");
    }
    net.ends_with_nothing_left();
}

/// SIP-11, CHAT-30. Both change the session whenever they like, and messages are lost: each change ends once, and the
/// session too.
#[test]
fn every_change_ends_once() {
    let mut glares = 0;
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut net = Net::new(&["timer"], &["timer"]);
        let theirs = net.establish();
        net.loss = Some(StdRng::seed_from_u64(seed + 1000));
        let mut ended = HashMap::new();
        for number in 0..60 {
            let request = RequestId::ours(number);
            let (agent, session) = match random.random_bool(0.5) {
                true => (&mut net.juliet, InviteId::ours(1)),
                false => (&mut net.romeo, theirs),
            };
            ended.insert(request, 0);
            let method = match random.random_bool(0.5) {
                true => Method::Invite,
                false => Method::Update,
            };
            let body = "v=0 changed".into();
            agent.request_in(
                session,
                request,
                method,
                vec![],
                "a/b".into(),
                body,
                net.now,
            );
            if random.random_bool(0.5) {
                net.elapse(random.random_range(0..4));
            }
            if random.random_bool(0.1) {
                net.elapse(random.random_range(0..1000));
            }
            net.settle(&mut ended);
        }
        net.elapse(100);
        net.settle(&mut ended);
        net.juliet.bye(InviteId::ours(1), vec![], net.now);
        for _ in 0..40 {
            net.elapse(100);
            net.settle(&mut ended);
        }
        assert!(
            ended.values().all(|times| *times == 1),
            "seed {seed}: {ended:?}"
        );
        glares += net.log.iter().filter(|line| line.contains(" 491 ")).count();
        net.ends_with_nothing_left();
    }
    assert!(glares > 20, "{glares}");
}

// ---- the stage ----

struct Net {
    juliet: Endpoint,
    romeo: Endpoint,
    now: Instant,
    log: Vec<String>,
    /// All that was sent.
    sent: Vec<Message>,
    /// Loses two in ten.
    loss: Option<StdRng>,
}

const JULIET: &str = "192.0.2.1:5060";
const ROMEO: &str = "192.0.2.2:5060";

impl Net {
    fn new(juliet: &[&str], romeo: &[&str]) -> Self {
        Self {
            juliet: endpoint(JULIET, 1, juliet),
            romeo: endpoint(ROMEO, 2, romeo),
            now: Instant::now(),
            log: Vec::new(),
            sent: Vec::new(),
            loss: None,
        }
    }

    fn establish(&mut self) -> InviteId {
        self.establish_with(|net, theirs| {
            net.romeo.answer(theirs, Reply::new(Status::OK), net.now);
        })
    }

    fn establish_with(&mut self, answer: impl FnOnce(&mut Self, InviteId)) -> InviteId {
        self.juliet.invite(InviteId::ours(1), invite(), self.now);
        self.run();
        let Some(Event::Invited { invite, .. }) = self.romeo.poll_event() else {
            panic!()
        };
        answer(self, invite);
        self.run();
        assert!(matches!(
            self.juliet.poll_event(),
            Some(Event::Answered { .. })
        ));
        self.juliet.ack(InviteId::ours(1), None, self.now);
        self.run();
        assert!(matches!(
            self.romeo.poll_event(),
            Some(Event::Acknowledged { .. })
        ));
        invite
    }

    /// The field of the last message that has it.
    fn field(&self, name: Name) -> &str {
        let sent = self.sent.iter().rev();
        sent.filter_map(|message| message.headers().first(&name))
            .next()
            .unwrap_or_default()
    }

    /// Both accept whatever they are asked; ends are counted.
    fn settle(&mut self, ended: &mut HashMap<RequestId, u32>) {
        self.run();
        let now = self.now;
        for agent in [&mut self.juliet, &mut self.romeo] {
            while let Some(event) = agent.poll_event() {
                match event {
                    Event::Reinvited { transaction, .. } => {
                        agent.respond(transaction, Reply::new(Status::OK), now);
                    }
                    Event::Responded { request, .. } | Event::RequestFailed { request, .. } => {
                        *ended.entry(request).or_insert(0) += 1;
                    }
                    Event::Acknowledged { .. } | Event::Ended { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        self.run();
    }

    fn both_have_ended(&mut self) {
        for agent in [&mut self.juliet, &mut self.romeo] {
            assert!(matches!(agent.poll_event(), Some(Event::Ended { .. })));
        }
    }

    fn run(&mut self) {
        loop {
            let mut in_flight = Vec::new();
            for (name, agent) in [("juliet", &mut self.juliet), ("romeo", &mut self.romeo)] {
                while let Some(transmit) = agent.poll_transmit() {
                    let message = Message::parse_datagram(transmit.payload).unwrap();
                    self.log.push(format!("{name} {}", summary(&message)));
                    self.sent.push(message.clone());
                    in_flight.push((name, transmit.destination, message));
                }
            }
            if in_flight.is_empty() {
                return;
            }
            for (name, destination, message) in in_flight {
                let Destination::Datagram { local, remote } = destination else {
                    panic!()
                };
                if self.loss.as_mut().is_some_and(|l| l.random_bool(0.2)) {
                    continue;
                }
                let to = match name {
                    "juliet" => &mut self.romeo,
                    _ => &mut self.juliet,
                };
                to.handle_received(Ok(message), source(remote, local), self.now);
            }
        }
    }

    /// Lets seconds pass, timer by timer.
    fn elapse(&mut self, seconds: u64) {
        self.run();
        let end = self.now + Duration::from_secs(seconds);
        loop {
            let next = [&self.juliet, &self.romeo]
                .into_iter()
                .filter_map(|agent| agent.poll_timeout())
                .min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.juliet.handle_timeout(self.now);
            self.romeo.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    fn ends_with_nothing_left(&mut self) {
        self.elapse(10_000);
        for agent in [&mut self.juliet, &mut self.romeo] {
            if let Some(event) = agent.poll_event() {
                panic!("{event:?}");
            }
            assert!(agent.is_idle());
            assert_eq!(agent.poll_timeout(), None);
        }
    }

    fn romeo_passes(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.romeo.handle_timeout(self.now);
    }

    fn romeo_hears(&mut self, request: &Request) {
        let source = source(ROMEO.parse().unwrap(), JULIET.parse().unwrap());
        let message = Ok(request.clone().into());
        self.romeo.handle_received(message, source, self.now);
    }

    fn romeo_answers(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.romeo.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Response(response)) => response,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn juliet_sends(&mut self) -> Request {
        let transmit = self.juliet.poll_transmit().unwrap();
        match Message::parse_datagram(transmit.payload) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn juliet_hears(&mut self, response: Response) {
        let source = source(JULIET.parse().unwrap(), ROMEO.parse().unwrap());
        self.juliet
            .handle_received(Ok(response.into()), source, self.now);
    }
}

fn raw(method: Method, cseq: u32, tag: &str) -> Request {
    let tag = match tag {
        "" => String::new(),
        tag => format!(";tag={tag}"),
    };
    Request::new(method.clone(), "sip:romeo@192.0.2.2".parse().unwrap())
        .with_header(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKraw{method}{cseq}"),
        )
        .with_header(Name::MaxForwards, "70")
        .with_header(Name::From, "<sip:juliet@example.net>;tag=j")
        .with_header(Name::To, format!("<sip:romeo@example.net>{tag}"))
        .with_header(Name::CallId, "raw")
        .with_header(Name::CSeq, format!("{cseq} {method}"))
        .with_header(Name::Contact, "<sip:juliet@192.0.2.1:5060>")
}

fn endpoint(address: &str, seed: u64, supported: &[&str]) -> Endpoint {
    let address: SocketAddr = address.parse().unwrap();
    let config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: address,
            advertised: address,
        }],
        user_agent: "test".into(),
        supported: supported.iter().map(|&option| option.into()).collect(),
        ..EndpointConfig::default()
    };
    Endpoint::new(config, StdRng::seed_from_u64(seed))
}

fn invite() -> Invite {
    let mut invite = Invite::new(
        "sip:romeo@192.0.2.2".parse().unwrap(),
        address("juliet"),
        address("romeo"),
        LocalContact::default(),
    );
    (invite.content_type, invite.body) = ("application/sdp".into(), "v=0 juliet".into());
    invite
}

fn change(agent: &mut Endpoint, session: InviteId, id: u64, now: Instant) {
    agent.request_in(
        session,
        RequestId::ours(id),
        Method::Invite,
        vec![],
        "application/sdp".into(),
        "v=0 changed".into(),
        now,
    );
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse::<Uri>().unwrap())
}

fn source(local: SocketAddr, remote: SocketAddr) -> Source {
    Source {
        transport: Transport::Udp,
        local,
        remote,
        connection: None,
    }
}

fn says(agent: &mut Endpoint) -> Vec<String> {
    std::iter::from_fn(|| agent.poll_transmit())
        .map(|transmit| summary(&Message::parse_datagram(transmit.payload).unwrap()))
        .collect()
}

fn summary(message: &Message) -> String {
    let cseq = message.cseq().unwrap();
    match message {
        Message::Request(request) => format!("{} {}", request.method, cseq.number),
        Message::Response(response) => format!("{} {}", response.status.code(), cseq.method),
    }
}
