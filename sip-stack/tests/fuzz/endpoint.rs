//! An endpoint in virtual time: its user, its peers, the network, the DNS and the clock do what the bytes say, in any order.
//! Every byte of a script is a decision; see `Play::step`.

mod peer;
mod subscriptions;
mod trust;
mod watch;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use stox_sip::{
    Answer, ConnectionId, Endpoint, EndpointConfig, Event, Invite, InviteId, Limits, Listener,
    LocalContact, Message, Method, Name, NameAddr, Naptr, OutgoingRequest, Question, QuestionId,
    Reply, RequestId, ServerTransactionId, Source, Srv, Status, SubscriptionId, Transmit,
    Transport,
};

use super::Choices;
use trust::Trust;
use watch::Watch;

/// Whatever happens, each request and session ends once, each request of the peer has one answer, what is sent can be read,
/// and nothing is left at the end (SIP-03 to SIP-16, CHAT-28, CHAT-30).
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut play = Play::new(&mut choices);
    let mut steps = 0;
    while let Some(step) = choices.next() {
        play.step(step, &mut choices);
        let sent = play.look();
        // One message of a peer must not bring many.
        let is_peer = b"RQDKCHLXP".contains(&step);
        assert!(!is_peer || sent <= 8, "{sent} messages for one");
        steps += 1;
        if steps == 200 {
            break;
        }
    }
    play.end();
}

/// How many of the last messages can be chosen from.
const REMEMBERED: usize = 12;

struct Play {
    endpoint: Endpoint,
    now: Instant,
    watch: Watch,
    trust: Trust,
    /// What an endpoint that has seen nothing looks like, in characters.
    fresh: usize,
    numbers: u64,
    /// Known to the user, newest last.
    invites: Vec<InviteId>,
    subscriptions: Vec<SubscriptionId>,
    transactions: Vec<ServerTransactionId>,
    told: Vec<Event>,
    /// Sent by the endpoint, newest last.
    sent: Vec<Message>,
    transmits: Vec<Transmit>,
    /// Given to the endpoint, newest last.
    heard: Vec<(Bytes, Source)>,
    questions: Vec<(QuestionId, Question)>,
    connections: Vec<ConnectionId>,
    accepted: Option<ConnectionId>,
}

impl Play {
    fn new(choices: &mut Choices<'_>) -> Play {
        let kind = choices.below(32);
        let (is_small, trust) = (kind % 2 == 1, Trust::new(kind / 2));
        let mut limits = Limits::default();
        if is_small {
            limits.client_transactions = 3;
            limits.server_transactions = 2;
            limits.answered_transactions = 2;
            limits.invites = 2;
            limits.subscriptions = 2;
            limits.connections = 2;
        }
        let listen = |transport| Listener {
            transport,
            bound: OURS.parse().unwrap(),
            advertised: OURS.parse().unwrap(),
        };
        let mut config = EndpointConfig {
            listeners: choices
                .of(&[&[Transport::Udp, Transport::Tcp][..], &[Transport::Tcp]])
                .iter()
                .map(|transport| listen(*transport))
                .collect(),
            user_agent: "stox".into(),
            limits,
            ..EndpointConfig::default()
        };
        trust.configure(&mut config, choices);
        let mut endpoint = Endpoint::new(config, StdRng::seed_from_u64(3261));
        endpoint.serve_events(subscriptions::packages(choices));
        Play {
            fresh: format!("{endpoint:?}").len(),
            endpoint,
            now: Instant::now(),
            watch: Watch::new(is_small),
            trust,
            numbers: 0,
            invites: Vec::new(),
            subscriptions: Vec::new(),
            transactions: Vec::new(),
            told: Vec::new(),
            sent: Vec::new(),
            transmits: Vec::new(),
            heard: Vec::new(),
            questions: Vec::new(),
            connections: Vec::new(),
            accepted: None,
        }
    }

    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        let now = self.now;
        match step {
            // The user.
            b'i' => self.invite(choices),
            b'q' => self.request(choices),
            b'm' => self.request_in(choices),
            b'a' => {
                let status = status(choices.of(&[200, 180, 486, 302, 101]));
                if let Some(invite) = pick(&self.invites, choices) {
                    self.watch.user_answered(invite, status);
                    self.endpoint.answer(invite, Reply::new(status), now);
                }
            }
            b'k' => {
                let body = choices.of(&[None, Some("application/sdp")]);
                let body = body.map(|content_type| (content_type.into(), "v=0\r\n".into()));
                if let Some(invite) = pick(&self.invites, choices) {
                    self.endpoint.ack(invite, body, now);
                }
            }
            b'c' => {
                if let Some(invite) = pick(&self.invites, choices) {
                    self.endpoint.cancel(invite, now);
                }
            }
            b'b' => {
                if let Some(invite) = pick(&self.invites, choices) {
                    self.watch.user_ended(invite);
                    self.endpoint.bye(invite, Vec::new(), now);
                }
            }
            b'r' => {
                let status = status(choices.of(&[200, 404, 481, 183, 503]));
                if let Some(transaction) = pick(&self.transactions, choices) {
                    self.endpoint.respond(transaction, Reply::new(status), now);
                }
            }
            b'f' => {
                let status = status(choices.of(&[503, 480]));
                let event = pick(&self.told, choices);
                if let Some(pending) = event.as_ref().and_then(Event::pending) {
                    if let Some(Event::Invited { invite, .. }) = event {
                        self.watch.user_answered(invite, status);
                    }
                    self.endpoint.refuse(pending, status, now);
                }
            }
            b'x' => {
                self.watch.user_closed();
                self.endpoint.close();
            }
            b's' => self.subscribe(choices),
            b'g' => self.refer(choices),
            b'v' => self.accept_usage(choices),
            b'n' => self.notify(choices),
            b'u' => self.adjust_subscription(choices),
            // The peer.
            b'R' => self.peer_responds(choices),
            b'Q' => self.peer_asks(choices),
            b'D' => self.peer_asks_in_dialog(choices),
            b'K' => self.peer_acknowledges(choices),
            b'C' => self.peer_cancels(choices),
            b'H' => {
                if let Some((bytes, source)) = pick(&self.heard, choices) {
                    self.hear(bytes, source);
                }
            }
            b'L' => {
                if let Some(message) = pick(&self.sent, choices) {
                    let source = self.source(choices);
                    self.hear(message.to_bytes(), source);
                }
            }
            b'X' => self.peer_sends_garbage(choices),
            b'P' => self.peer_proves(choices),
            // The network, the DNS and the clock.
            b'N' => self.dns_answers(choices),
            b'A' => {
                let id = self.endpoint.handle_accepted(Transport::Tcp, theirs());
                self.accepted = Some(id);
                self.connections.push(id);
            }
            b'Z' => {
                let index = choices.below(self.connections.len());
                if index < self.connections.len() {
                    let id = self.connections.remove(index);
                    self.endpoint.handle_disconnected(id, now);
                }
            }
            b'F' => {
                if let Some(transmit) = pick(&self.transmits, choices) {
                    self.endpoint.handle_transmit_failed(&transmit, now);
                }
            }
            b't' => {
                let next = self.endpoint.poll_timeout().unwrap_or(now);
                let until = match choices.below(6) {
                    0 => next.max(now),
                    1 => now + Duration::from_millis(100),
                    2 => now + Duration::from_millis(500),
                    3 => now + Duration::from_secs(4),
                    4 => now + Duration::from_secs(32),
                    _ => now + Duration::from_secs(200),
                };
                self.pass(until);
            }
            _ => {}
        }
    }

    fn invite(&mut self, choices: &mut Choices<'_>) {
        self.numbers += 1;
        let id = InviteId::ours(self.numbers);
        let target = target(choices);
        let mut invite = Invite::new(
            target.parse().unwrap(),
            address("juliet"),
            address("romeo"),
            contact(),
        );
        invite.content_type = "application/sdp".into();
        invite.body = body(choices);
        self.invites.push(id);
        self.watch.user_invited(id);
        self.endpoint.invite(id, invite, self.now);
    }

    fn request(&mut self, choices: &mut Choices<'_>) {
        self.numbers += 1;
        let id = RequestId::ours(self.numbers);
        let method = choices.of(&["MESSAGE", "OPTIONS", "SUBSCRIBE", "X-Y", "ACK", "INVITE"]);
        let mut request = OutgoingRequest::new(
            Method::parse(method).unwrap(),
            target(choices).parse().unwrap(),
            address("juliet"),
            address("romeo"),
        );
        request.content_type = "text/plain".into();
        request.body = body(choices);
        match choices.below(3) {
            0 => {}
            1 => request
                .headers
                .push((Name::Route, "<sip:192.0.2.2;lr>".into())),
            _ => request.contact = Some(contact()),
        }
        self.watch.user_requested(id);
        self.endpoint.request(id, request, self.now);
    }

    fn request_in(&mut self, choices: &mut Choices<'_>) {
        let method = choices.of(&["MESSAGE", "INVITE", "UPDATE", "REFER", "BYE", "X-Y"]);
        let Some(invite) = pick(&self.invites, choices) else {
            return;
        };
        self.numbers += 1;
        let id = RequestId::ours(self.numbers);
        self.watch.user_requested(id);
        self.endpoint.request_in(
            invite,
            id,
            Method::parse(method).unwrap(),
            Vec::new(),
            "text/plain".into(),
            body(choices),
            self.now,
        );
    }

    fn dns_answers(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.questions.len());
        let address = "192.0.2.2".parse().unwrap();
        let srv = |priority, host: &str| Srv {
            priority,
            weight: 1,
            port: 5070,
            host: host.into(),
        };
        let naptr = |service: &str, replacement: &str| Naptr {
            order: 1,
            preference: 1,
            flags: "s".into(),
            service: service.into(),
            replacement: replacement.into(),
        };
        let answer = match choices.below(7) {
            0 => Answer::Addresses(vec![address]),
            1 => Answer::NoRecords,
            2 => Answer::Failed,
            3 => Answer::Srv(vec![srv(1, "a.example.net"), srv(1, "b.example.net")]),
            4 => Answer::Naptr(vec![
                naptr("SIP+D2T", "_sip._tcp.example.net"),
                naptr("SIP+D2U", "_sip._udp.example.net"),
            ]),
            5 => Answer::Addresses(vec!["2001:db8::2".parse().unwrap(), address]),
            _ => Answer::Srv(vec![srv(1, "")]),
        };
        if index < self.questions.len() {
            let (id, _) = self.questions.remove(index);
            self.endpoint.handle_resolved(id, answer, self.now);
        }
    }

    /// Moves the clock, timer by timer, as the driver does.
    fn pass(&mut self, until: Instant) {
        let mut calls = 0;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            let next = self.endpoint.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "due again at once");
            calls += 1;
            assert!(calls < 5000, "timers without end");
            self.look();
        }
        self.now = self.now.max(until);
    }

    /// What the endpoint tells its user and its driver. Returns how many messages it sends.
    fn look(&mut self) -> usize {
        while let Some(event) = self.endpoint.poll_event() {
            self.watch.told(&event);
            match &event {
                Event::Invited { invite, .. } => self.invites.push(*invite),
                Event::Reinvited { transaction, .. } | Event::Requested { transaction, .. } => {
                    self.transactions.push(*transaction);
                }
                _ => {}
            }
            remember(&mut self.told, event);
        }
        let mut count = 0;
        while let Some(transmit) = self.endpoint.poll_transmit() {
            if let Some(message) = self.watch.sent(&transmit, self.now) {
                remember(&mut self.sent, message);
            }
            remember(&mut self.transmits, transmit);
            count += 1;
        }
        self.watch.looked();
        while let Some(question) = self.endpoint.poll_question() {
            self.questions.push(question);
        }
        while let Some((connection, target)) = self.endpoint.poll_connect() {
            assert_eq!(target.transport, Transport::Tcp);
            self.connections.push(connection);
        }
        count
    }

    /// Everybody hangs up and goes, and time passes until nothing can be due any more.
    fn end(&mut self) {
        self.end_subscriptions();
        for invite in self.invites.clone() {
            self.watch.user_ended(invite);
            self.endpoint.bye(invite, Vec::new(), self.now);
            self.look();
        }
        for _ in 0..10 {
            while let Some((id, _)) = self.questions.pop() {
                self.endpoint.handle_resolved(id, Answer::Failed, self.now);
                self.look();
            }
            while let Some(id) = self.connections.pop() {
                self.endpoint.handle_disconnected(id, self.now);
                self.look();
            }
            self.pass(self.now + Duration::from_secs(400));
        }
        assert_eq!(self.endpoint.poll_timeout(), None);
        assert!(self.endpoint.is_idle(), "a request waits for an answer");
        self.watch.ended();
        // The targets that could not be reached are remembered; a request or session would take more than this.
        let left = format!("{:?}", self.endpoint).len();
        assert!(
            left < self.fresh + 1200 + self.trust.kept(),
            "left: {:?}",
            self.endpoint
        );
    }
}

const OURS: &str = "192.0.2.1:5060";

fn theirs() -> SocketAddr {
    "192.0.2.2:5060".parse().unwrap()
}

fn target(choices: &mut Choices<'_>) -> &'static str {
    choices.of(&[
        "sip:romeo@192.0.2.2",
        "sip:romeo@192.0.2.2;transport=tcp",
        "sip:romeo@example.net",
        "im:romeo@example.net",
        "sip:romeo@[2001:db8::2]",
        "sips:romeo@192.0.2.2",
        "tel:+15550100",
        "sip:romeo@example.net:5080;transport=tcp",
    ])
}

fn body(choices: &mut Choices<'_>) -> Bytes {
    let length = choices.of(&[5, 0, 1400]);
    Bytes::from(vec![b'x'; length])
}

fn address(user: &str) -> NameAddr {
    NameAddr::parse(&format!("<sip:{user}@example.net>")).unwrap()
}

fn contact() -> LocalContact {
    LocalContact {
        user: Some("juliet".into()),
        ..LocalContact::default()
    }
}

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

/// One of the list, 0 being the newest.
fn pick<T: Clone>(all: &[T], choices: &mut Choices<'_>) -> Option<T> {
    let index = choices.below(all.len());
    all.iter().rev().nth(index).cloned()
}

fn remember<T>(all: &mut Vec<T>, new: T) {
    if all.len() == REMEMBERED {
        all.remove(0);
    }
    all.push(new);
}
