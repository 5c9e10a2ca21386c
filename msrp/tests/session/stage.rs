//! One session with a connection that is a list of bytes, and a clock that moves when told.

use std::{
    io::IoSlice,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rand::{SeedableRng, rngs::StdRng};
use stox_msrp::{
    FailureReport, Incoming, IncomingId, Limits, LostCause, Nickname, Outgoing, Report, Role,
    SendError, SessionConfig, SessionEvent, SessionOptions,
    codec::{Decoder, Part, Start},
    session::{Chunking, Outbound, Output, SessionCore},
};

pub const OURS: &str = "msrp://gw.example.com:2855/ours;tcp";
pub const THEIRS: &str = "msrp://peer.example.net:7654/theirs;tcp";

pub const OF_2048: Chunking = Chunking {
    longest: Some(2048),
    uninterrupted: 2048,
};

/// One session with a connection that is a list of bytes, and a clock that moves when told.
pub struct Side {
    pub core: SessionCore,
    pub outbound: Outbound,
    pub decoder: Decoder,
    pub rng: StdRng,
    pub now: Instant,
    pub next: Option<Instant>,
    pub out: Vec<Output>,
}

impl Side {
    pub fn with(role: Role, limits: Limits, chunking: Chunking) -> Side {
        Side::having(role, limits, chunking, SessionOptions::default())
    }

    pub fn having(role: Role, limits: Limits, chunking: Chunking, options: SessionOptions) -> Side {
        let mut rng = StdRng::seed_from_u64(4975);
        let decoder = Decoder::new(&limits);
        let config = SessionConfig {
            local: OURS.parse().unwrap(),
            remote: vec![THEIRS.parse().unwrap()],
            role,
            max_size: 1000,
            fingerprint: None,
            options,
        };
        let now = Instant::now();
        let mut side = Side {
            core: SessionCore::new(config, Arc::new(limits), chunking, now, &mut rng),
            outbound: Outbound::new(),
            decoder,
            rng,
            now,
            next: None,
            out: Vec::new(),
        };
        side.core
            .handle_connected(side.now, &mut side.rng, &mut side.outbound);
        side
    }

    pub fn connected(role: Role) -> Side {
        Side::with(role, Limits::default(), Chunking::default())
    }

    pub fn bound() -> Side {
        let mut side = Side::connected(Role::Passive);
        side.bind();
        side
    }

    pub fn bind(&mut self) {
        self.receive(&request("bind", "SEND", "Message-ID: bind\r\n"));
        assert_eq!(self.events(), [SessionEvent::Bound]);
        assert_eq!(self.statuses(), ["bind 200"]);
    }

    pub fn receive(&mut self, text: &str) {
        let mut buffer = BytesMut::from(text);
        let (now, outbound, out) = (self.now, &mut self.outbound, &mut self.out);
        while let Some(part) = self.decoder.decode(&mut buffer).unwrap() {
            match part {
                Part::Next { body, end } => self.core.handle_more(body, end, now, outbound, out),
                Part::First { head, body, end } => {
                    assert!(self.core.is_addressed_by(&head));
                    match head.start() {
                        Start::Request(_) => {
                            self.core
                                .handle_request(&head, body, end, now, outbound, out);
                        }
                        Start::Response(_) => self.core.handle_response(&head, now, outbound, out),
                    }
                }
            }
        }
        assert!(buffer.is_empty());
    }

    pub fn send(&mut self, outgoing: &Outgoing) -> Result<(), SendError> {
        self.core
            .send(
                outgoing.clone(),
                self.now,
                &mut self.rng,
                &mut self.outbound,
            )
            .map_err(|unsent| {
                assert_eq!(unsent.message.token, outgoing.token, "given back");
                unsent.why
            })
    }

    pub fn chunk(&mut self) -> bool {
        self.core
            .poll_chunk(self.now, &mut self.rng, &mut self.outbound)
    }

    pub fn respond(&mut self, incoming: &Incoming, status: u16) {
        self.core.respond(incoming.id, status, &mut self.outbound);
    }

    pub fn answer(&mut self, id: IncomingId, status: u16) {
        self.core.respond(id, status, &mut self.outbound);
    }

    pub fn ask(&mut self, token: u64, nickname: &Nickname) -> Result<(), SendError> {
        let (now, outbound) = (self.now, &mut self.outbound);
        self.core
            .use_nickname(token, nickname, now, &mut self.rng, outbound)
    }

    pub fn report(&mut self, report: &Report) {
        let (now, outbound) = (self.now, &mut self.outbound);
        self.core.report(report, now, &mut self.rng, outbound);
    }

    pub fn lose(&mut self, cause: LostCause) {
        self.core
            .handle_lost(cause, &mut self.outbound, &mut self.out);
    }

    /// Moves the clock, calling at every deadline on the way, as the connection does.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let deadline = self.next.into_iter().chain(self.outbound.deadline()).min();
            let Some(deadline) = deadline.filter(|deadline| *deadline <= until) else {
                break;
            };
            self.now = deadline.max(self.now);
            self.outbound.set_deadline(None);
            self.next = self.core.handle_timeout(
                self.now,
                &mut self.rng,
                &mut self.outbound,
                &mut self.out,
            );
        }
        self.now = until;
    }

    /// What was written since the last call; it is written now.
    pub fn sent(&mut self) -> String {
        let mut sent = Vec::new();
        let mut slices = [IoSlice::new(&[]); 16];
        let used = self.outbound.slices(&mut slices);
        for slice in &slices[..used] {
            sent.extend_from_slice(slice);
        }
        self.outbound.handle_written(sent.len(), self.now);
        String::from_utf8(sent).unwrap()
    }

    /// The responses among it, as `transaction status`.
    pub fn statuses(&mut self) -> Vec<String> {
        let sent = self.sent();
        let starts = sent.lines().filter_map(|line| line.strip_prefix("MSRP "));
        starts
            .map(|start| start.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    pub fn events(&mut self) -> Vec<SessionEvent> {
        self.taken(|output| match output {
            Output::Complete(event) => Some(event.clone()),
            _ => None,
        })
    }

    pub fn messages(&mut self) -> Vec<Incoming> {
        let is_message = |output: &mut Output| matches!(output, Output::Deliver(_));
        let messages = self.out.extract_if(.., is_message);
        messages
            .filter_map(|output| match output {
                Output::Deliver(incoming) => Some(incoming),
                _ => None,
            })
            .collect()
    }

    pub fn nicknames(&mut self) -> Vec<(IncomingId, Nickname)> {
        self.taken(|output| match output {
            Output::Nickname(request) => Some((request.id, request.nickname.clone())),
            _ => None,
        })
    }

    /// What is of that kind, in its order; the rest stays.
    pub fn taken<T>(&mut self, kind: impl Fn(&Output) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        self.out.retain(|output| {
            let kept = kind(output).map(|output| found.push(output));
            kept.is_none()
        });
        found
    }
}

pub fn request(id: &str, method: &str, headers: &str) -> String {
    format!(
        "MSRP {id} {method}\r\nTo-Path: {OURS}\r\nFrom-Path: {THEIRS}\r\n{headers}-------{id}$\r\n"
    )
}

pub fn message(
    id: &str,
    message_id: &str,
    range: &str,
    headers: &str,
    body: &str,
    flag: char,
) -> String {
    format!(
        "MSRP {id} SEND\r\nTo-Path: {OURS}\r\nFrom-Path: {THEIRS}\r\nMessage-ID: {message_id}\r\n\
         Byte-Range: {range}\r\n{headers}Content-Type: text/plain\r\n\r\n{body}\r\n-------{id}{flag}\r\n"
    )
}

/// Of a message whose rest will not come.
pub fn bodiless(id: &str, message_id: &str, range: &str, flag: char) -> String {
    format!(
        "MSRP {id} SEND\r\nTo-Path: {OURS}\r\nFrom-Path: {THEIRS}\r\nMessage-ID: {message_id}\r\n\
         Byte-Range: {range}\r\n-------{id}{flag}\r\n"
    )
}

pub fn response(id: &str, status: u16) -> String {
    format!("MSRP {id} {status}\r\nTo-Path: {OURS}\r\nFrom-Path: {THEIRS}\r\n-------{id}$\r\n")
}

pub fn outgoing(token: u64) -> Outgoing {
    Outgoing {
        token,
        transaction_id: None,
        content_type: "text/plain".to_owned(),
        body: Bytes::from_static(b"hello"),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

pub fn transaction_id(text: &str) -> String {
    text.split(' ').nth(1).unwrap().to_owned()
}

pub fn header(text: &str, name: &str) -> String {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap().to_owned()
}
