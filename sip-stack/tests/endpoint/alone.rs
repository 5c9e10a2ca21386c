//! One endpoint in virtual time, and a peer that is played by the test. Nothing sleeps.

use std::time::{Duration, Instant};

use stox_sip::{
    Endpoint, EndpointConfig, Event, Invite, LocalContact, Message, Method, Name, OutgoingRequest,
    Request, Response, Status, Transmit,
};

use crate::stage::{JULIET, ROMEO, address, endpoint, source};

pub struct Alone {
    pub romeo: Endpoint,
    pub now: Instant,
}

impl Alone {
    pub fn new(adjust: impl FnOnce(&mut EndpointConfig)) -> Self {
        Self {
            romeo: endpoint(ROMEO, 2, adjust),
            now: Instant::now(),
        }
    }

    /// A request or response comes as a datagram from the peer.
    pub fn hears(&mut self, message: impl Into<Message>) {
        let source = source(ROMEO, JULIET);
        self.romeo
            .handle_received(Ok(message.into()), source, self.now);
    }

    pub fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.romeo.poll_transmit()).collect()
    }

    /// What the endpoint has sent since the last time.
    pub fn says(&mut self) -> Vec<Message> {
        let transmits = self.transmits().into_iter();
        transmits
            .map(|transmit| Message::parse_datagram(transmit.payload).unwrap())
            .collect()
    }

    pub fn requests(&mut self) -> Vec<Request> {
        let said = self.says().into_iter();
        said.filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        })
        .collect()
    }

    /// The only request sent since the last time.
    #[track_caller]
    pub fn request(&mut self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// The last response sent since the last time.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let said = self.says().into_iter();
        let responses = said.filter_map(|message| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        });
        responses.last().expect("a response")
    }

    /// Answers a request of the endpoint with these fields.
    pub fn answers(&mut self, request: &Request, status: Status, fields: &[(Name, &str)]) {
        let mut response = Response::to_request(request, status);
        if response.to().unwrap().tag().is_none() {
            let to = format!("{};tag=j", response.headers.first(&Name::To).unwrap());
            response.headers.set(Name::To, to);
        }
        for (name, value) in fields {
            response.headers.push(name.clone(), *value);
        }
        self.hears(response);
    }

    pub fn event(&mut self) -> Option<Event> {
        self.romeo.poll_event()
    }

    /// Lets time pass, timer by timer.
    pub fn elapse(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.romeo.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.romeo.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Nothing more happens, and no timer or transaction is left.
    #[track_caller]
    pub fn ends_with_nothing_left(&mut self) {
        // Longer than any timer, those of sessions and registrations included.
        self.elapse(Duration::from_secs(10_000));
        self.transmits();
        if let Some(event) = self.event() {
            panic!("{event:?}");
        }
        assert!(self.romeo.is_idle());
        assert_eq!(self.romeo.poll_timeout(), None);
    }
}

pub fn contact() -> LocalContact {
    LocalContact {
        user: Some("romeo".into()),
        ..LocalContact::default()
    }
}

/// An INVITE of the endpoint to the peer.
pub fn invite() -> Invite {
    let target = "sip:juliet@192.0.2.1".parse().unwrap();
    Invite::new(target, address("romeo"), address("juliet"), contact())
}

/// A request of the endpoint to the peer.
pub fn outgoing(method: Method) -> OutgoingRequest {
    let target = "sip:juliet@192.0.2.1".parse().unwrap();
    OutgoingRequest::new(method, target, address("romeo"), address("juliet"))
}

/// A request of the peer outside of dialogs; `number` is its CSeq and in its branch and Call-ID.
pub fn incoming(method: Method, number: u32) -> Request {
    Request::new(method.clone(), "sip:romeo@192.0.2.2".parse().unwrap())
        .with_header(
            Name::Via,
            format!("SIP/2.0/UDP {JULIET};branch=z9hG4bK-{method}-{number}"),
        )
        .with_header(Name::MaxForwards, "70")
        .with_header(Name::From, "<sip:juliet@example.net>;tag=j")
        .with_header(Name::To, "<sip:romeo@example.net>")
        .with_header(Name::CallId, format!("{method}-{number}"))
        .with_header(Name::CSeq, format!("{number} {method}"))
        .with_header(Name::Contact, "<sip:juliet@192.0.2.1:5060>")
}
