//! Juliet and Romeo: two endpoints in virtual time on a network that loses what the test says. Nothing sleeps.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    Destination, Endpoint, EndpointConfig, Event, Invite, InviteId, Listener, LocalContact,
    Message, Method, Name, NameAddr, OutgoingRequest, Reply, Request, Response, Source, Status,
    Transport,
};

pub const JULIET: &str = "192.0.2.1:5060";
pub const ROMEO: &str = "192.0.2.2:5060";

pub struct Net {
    pub juliet: Endpoint,
    pub romeo: Endpoint,
    pub now: Instant,
    pub loss: Loss,
    /// Who sent what, also what was lost; `sent` has the messages themselves.
    pub log: Vec<String>,
    pub sent: Vec<Message>,
}

pub enum Loss {
    /// So many, then none.
    Next(usize),
    /// Three in ten.
    Random(Box<StdRng>),
}

impl Loss {
    pub fn random(seed: u64) -> Self {
        Self::Random(Box::new(StdRng::seed_from_u64(seed)))
    }

    fn takes_one(&mut self) -> bool {
        match self {
            Self::Next(0) => false,
            Self::Next(count) => {
                *count -= 1;
                true
            }
            Self::Random(random) => random.random_bool(0.3),
        }
    }
}

impl Net {
    pub fn new() -> Self {
        Self::with(|_| (), |_| ())
    }

    /// Both configured as the test says.
    pub fn with(
        juliet: impl FnOnce(&mut EndpointConfig),
        romeo: impl FnOnce(&mut EndpointConfig),
    ) -> Self {
        Self {
            juliet: endpoint(JULIET, 1, juliet),
            romeo: endpoint(ROMEO, 2, romeo),
            now: Instant::now(),
            loss: Loss::Next(0),
            log: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// With these option tags.
    pub fn supporting(juliet: &[&str], romeo: &[&str]) -> Self {
        let owned = |options: &[&str]| options.iter().map(|&option| option.into()).collect();
        let (juliet, romeo) = (owned(juliet), owned(romeo));
        Self::with(
            |config| config.supported = juliet,
            |config| config.supported = romeo,
        )
    }

    pub fn lose_next(&mut self, count: usize) {
        self.loss = Loss::Next(count);
    }

    pub fn requests(&self) -> Vec<Request> {
        let requests = self.sent.iter().filter_map(|message| match message {
            Message::Request(request) => Some(request.clone()),
            Message::Response(_) => None,
        });
        requests.collect()
    }

    /// What was sent until now.
    pub fn forget(&mut self) {
        self.log.clear();
        self.sent.clear();
    }

    /// Carries everything to the other side until both are silent.
    pub fn run(&mut self) {
        loop {
            let mut in_flight = Vec::new();
            for (name, agent) in [("juliet", &mut self.juliet), ("romeo", &mut self.romeo)] {
                while let Some(transmit) = agent.poll_transmit() {
                    let message = Message::parse_datagram(transmit.payload).unwrap();
                    self.log.push(format!("{name} {}", summary(&message)));
                    self.sent.push(message.clone());
                    in_flight.push((transmit.destination, message));
                }
            }
            if in_flight.is_empty() {
                return;
            }
            for (destination, message) in in_flight {
                let Destination::Datagram { local, remote } = destination else {
                    panic!("{destination:?}")
                };
                if self.loss.takes_one() {
                    continue;
                }
                let agents = [(JULIET, &mut self.juliet), (ROMEO, &mut self.romeo)];
                let remote = remote.to_string();
                if let Some((_, to)) = agents.into_iter().find(|(address, _)| *address == remote) {
                    let source = source(&remote, &local.to_string());
                    to.handle_received(Ok(message), source, self.now);
                }
            }
        }
    }

    /// Lets seconds pass, timer by timer.
    pub fn elapse(&mut self, seconds: u64) {
        self.elapse_ms(seconds * 1000);
    }

    pub fn elapse_ms(&mut self, milliseconds: u64) {
        self.run();
        let end = self.now + Duration::from_millis(milliseconds);
        loop {
            let next = [&self.juliet, &self.romeo]
                .into_iter()
                .filter_map(Endpoint::poll_timeout)
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

    /// Juliet invites, Romeo is told. Her id, and his.
    pub fn invite(&mut self) -> (InviteId, InviteId) {
        let ours = InviteId::ours(1);
        self.juliet.invite(ours, invite(), self.now);
        self.run();
        match self.romeo.poll_event() {
            Some(Event::Invited { invite: theirs, .. }) => (ours, theirs),
            other => panic!("{other:?}"),
        }
    }

    /// Juliet invites, Romeo's telephone rings.
    pub fn ring(&mut self) -> (InviteId, InviteId) {
        let (ours, theirs) = self.invite();
        let ringing = Reply::new(Status::RINGING);
        self.romeo.answer(theirs, ringing, self.now);
        self.run();
        assert!(matches!(
            self.juliet.poll_event(),
            Some(Event::Progressed { .. })
        ));
        (ours, theirs)
    }

    pub fn establish(&mut self) -> (InviteId, InviteId) {
        let (ours, theirs) = self.invite();
        self.accept(theirs, Reply::new(Status::OK));
        (ours, theirs)
    }

    /// Romeo answers the INVITE of Juliet, and she acknowledges it.
    pub fn accept(&mut self, theirs: InviteId, reply: Reply) {
        self.romeo.answer(theirs, reply, self.now);
        self.run();
        let Some(Event::Answered { invite: ours, .. }) = self.juliet.poll_event() else {
            panic!("no answer")
        };
        self.juliet.ack(ours, None, self.now);
        self.run();
        assert!(matches!(
            self.romeo.poll_event(),
            Some(Event::Acknowledged { .. })
        ));
    }

    /// Nothing more happens, and no timer or transaction is left.
    pub fn ends_with_nothing_left(&mut self) {
        // Longer than any timer, those of sessions and subscriptions included.
        self.elapse(10_000);
        for agent in [&mut self.juliet, &mut self.romeo] {
            if let Some(event) = agent.poll_event() {
                panic!("{event:?}");
            }
            assert!(agent.is_idle());
            assert_eq!(agent.poll_timeout(), None);
        }
    }

    pub fn juliet_hears(&mut self, message: impl Into<Message>) {
        let source = source(JULIET, ROMEO);
        self.juliet
            .handle_received(Ok(message.into()), source, self.now);
    }

    pub fn juliet_sends(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.juliet.poll_transmit())
            .map(|transmit| request_of(&transmit.payload))
            .collect()
    }

    /// What she sends next; what follows it is left.
    pub fn juliet_sends_next(&mut self) -> Request {
        request_of(&self.juliet.poll_transmit().unwrap().payload)
    }

    pub fn juliet_says(&mut self) -> Vec<String> {
        says(&mut self.juliet)
    }

    pub fn romeo_hears(&mut self, message: &(impl Into<Message> + Clone)) {
        let message = Ok(message.clone().into());
        self.romeo
            .handle_received(message, source(ROMEO, JULIET), self.now);
    }

    pub fn romeo_responses(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.romeo.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Response(response)) => response,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    pub fn romeo_says(&mut self) -> Vec<String> {
        says(&mut self.romeo)
    }
}

pub fn endpoint(address: &str, seed: u64, adjust: impl FnOnce(&mut EndpointConfig)) -> Endpoint {
    Endpoint::new(config(address, adjust), StdRng::seed_from_u64(seed))
}

pub fn config(address: &str, adjust: impl FnOnce(&mut EndpointConfig)) -> EndpointConfig {
    let address: SocketAddr = address.parse().unwrap();
    let mut config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: address,
            advertised: address,
        }],
        user_agent: "test".into(),
        ..EndpointConfig::default()
    };
    adjust(&mut config);
    config
}

pub fn source(local: &str, remote: &str) -> Source {
    Source {
        transport: Transport::Udp,
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: None,
    }
}

pub fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse().unwrap())
}

/// Of Juliet to Romeo, with a description.
pub fn invite() -> Invite {
    let contact = LocalContact {
        user: Some("juliet".into()),
        ..LocalContact::default()
    };
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    let mut invite = Invite::new(target, address("juliet"), address("romeo"), contact);
    (invite.content_type, invite.body) = ("application/sdp".into(), "v=0 juliet".into());
    invite
}

/// Of Juliet to Romeo.
pub fn message(text: &str) -> OutgoingRequest {
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    let mut request =
        OutgoingRequest::new(Method::Message, target, address("juliet"), address("romeo"));
    (request.content_type, request.body) = ("text/plain".into(), text.to_owned().into());
    request
}

/// Of Juliet to Romeo, outside of any dialog, as no endpoint wrote it.
pub fn raw(method: Method, cseq: u32) -> Request {
    Request::new(method.clone(), "sip:romeo@192.0.2.2".parse().unwrap())
        .with_header(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKraw{method}{cseq}"),
        )
        .with_header(Name::MaxForwards, "70")
        .with_header(Name::From, "<sip:juliet@example.net>;tag=j")
        .with_header(Name::To, "<sip:romeo@example.net>")
        .with_header(Name::CallId, "raw")
        .with_header(Name::CSeq, format!("{cseq} {method}"))
        .with_header(Name::Contact, "<sip:juliet@192.0.2.1>")
}

/// In the dialog that Romeo gave this tag.
pub fn raw_inside(method: Method, cseq: u32, tag: &str) -> Request {
    let mut request = raw(method, cseq);
    let to = address("romeo").with_tag(tag);
    request.headers.set(Name::To, to.to_string());
    request
}

/// Method and CSeq, or status and method.
pub fn summary(message: &Message) -> String {
    let cseq = message.cseq().unwrap();
    match message {
        Message::Request(request) => format!("{} {}", request.method, cseq.number),
        Message::Response(response) => format!("{} {}", response.status.code(), cseq.method),
    }
}

fn says(agent: &mut Endpoint) -> Vec<String> {
    std::iter::from_fn(|| agent.poll_transmit())
        .map(|transmit| summary(&Message::parse_datagram(transmit.payload).unwrap()))
        .collect()
}

fn request_of(payload: &bytes::Bytes) -> Request {
    match Message::parse_datagram(payload.clone()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// Status and method of each.
pub fn summaries(responses: &[Response]) -> Vec<String> {
    let responses = responses.iter().cloned();
    responses
        .map(|response| summary(&response.into()))
        .collect()
}
