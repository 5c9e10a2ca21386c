//! Two sessions that share a connection, in virtual time: their owner, their peer, the connection and the clock do what the
//! bytes say, in any order. Every byte of a script is a decision; see `Play::step`.

mod peer;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rand::{SeedableRng, rngs::StdRng};
use stox_msrp::{
    ByteRange, FailureReport, History, IncomingId, Limits, LongMessages, LostCause, Nickname,
    Nicknames, Outgoing, OutgoingStream, Report, Role, SessionConfig, SessionEvent, SessionOptions,
    StreamEnd, StreamError, Unconfirmed,
    codec::Decoder,
    session::{Chunking, Outbound, Output, SessionCore},
};

use self::peer::header_of;
use super::Choices;

/// Every message ends once, every request is answered as its sender wants to hear it, what is put together is what was
/// sent, and nothing is left at the end (MSRP-12 to MSRP-18, RCPT-01, RCPT-09, SEC-14).
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut play = Play::new(&mut choices);
    let mut steps = 0;
    while let Some(step) = choices.next() {
        play.step(step, &mut choices);
        play.look();
        steps += 1;
        if steps == 300 {
            break;
        }
    }
    play.end();
}

const OURS: [&str; 2] = [
    "msrp://gateway.example.org:2855/ours1;tcp",
    "msrp://gateway.example.org:2855/ours2;tcp",
];
const THEIRS: &str = "msrp://peer.example.net:7654/theirs;tcp";
const MAX_SIZE: u64 = 3000;

struct Play {
    sides: [Side; 2],
    /// Which of the two the next steps are about.
    turn: usize,
    outbound: Outbound,
    rng: StdRng,
    now: Instant,
    next: Option<Instant>,
    /// From the peer.
    decoder: Decoder,
    buffer: BytesMut,
    /// Whose request is coming in.
    current: Option<usize>,
    /// Sent by the peer and still on its way.
    under_way: Vec<u8>,
    is_slow: bool,
    requests: u32,
    request_by_id: BTreeMap<String, Asked>,
    /// To the peer.
    reader: Decoder,
    written: BytesMut,
    reading: Option<(String, Vec<u8>)>,
    unanswered: Vec<(usize, String)>,
    message_ids: Vec<String>,
    tokens: u64,
}

/// One session and what is known of it.
struct Side {
    core: SessionCore,
    does_everything: bool,
    /// Number and bytes so far of the messages that come in piece by piece.
    coming: BTreeMap<IncomingId, (u64, u64)>,
    /// Not finished yet.
    streaming: Vec<u64>,
    given_back: Vec<Unconfirmed>,
    out: Vec<Output>,
    stage: Stage,
    owed: Vec<IncomingId>,
    sent_by_token: BTreeMap<u64, Sent>,
    /// How much of each message of the peer was sent.
    position_by_message: [u64; 4],
    /// What we sent, by Message-ID.
    bytes_by_message: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unbound,
    Bound,
    Over,
}

struct Sent {
    length: u64,
    wish: FailureReport,
    ends: u32,
}

/// A request of the peer.
struct Asked {
    side: usize,
    /// What may be answered: `None` for REPORTs.
    wish: Option<FailureReport>,
    answers: u32,
}

impl Play {
    fn new(choices: &mut Choices<'_>) -> Play {
        let limits = match choices.below(3) {
            0 => Limits::default(),
            1 => Limits {
                body_part: 30,
                unassembled: 100,
                incomplete_messages: 2,
                unanswered_incoming: 2,
                unanswered_outgoing: 3,
                queued: 4000,
                ..Limits::default()
            },
            _ => Limits {
                body_part: 1,
                unanswered_outgoing: 1,
                ..Limits::default()
            },
        };
        let of_2500 = Chunking {
            longest: Some(2500),
            ..Chunking::FAIR
        };
        let chunking = choices.of(&[Chunking::default(), Chunking::FAIR, of_2500]);
        let limits = Arc::new(limits);
        let now = Instant::now();
        let mut rng = StdRng::seed_from_u64(4975);
        // The first does everything there is, the second nothing beyond whole messages.
        let everything = SessionOptions {
            nicknames: Nicknames::QuotedOrBare,
            long_messages: LongMessages::InPieces {
                max_size: 2 * MAX_SIZE,
            },
            history: History::new(2),
            keep_alive: Some(Duration::from_secs(200)),
            ..SessionOptions::default()
        };
        let nothing = SessionOptions {
            history: History::new(0),
            ..SessionOptions::default()
        };
        let mut all_options = [everything, nothing].into_iter();
        let sides = OURS.map(|local| {
            let options = all_options.next().unwrap_or_default();
            let does_everything = options.nicknames != Nicknames::Unknown;
            let config = SessionConfig {
                local: local.parse().unwrap(),
                remote: vec![THEIRS.parse().unwrap()],
                role: choices.of(&[Role::Passive, Role::Active]),
                max_size: MAX_SIZE,
                fingerprint: None,
                options,
            };
            Side {
                core: SessionCore::new(config, Arc::clone(&limits), chunking, now, &mut rng),
                does_everything,
                coming: BTreeMap::new(),
                streaming: Vec::new(),
                given_back: Vec::new(),
                out: Vec::new(),
                stage: Stage::Unbound,
                owed: Vec::new(),
                sent_by_token: BTreeMap::new(),
                position_by_message: [0; 4],
                bytes_by_message: BTreeMap::new(),
            }
        });
        let mut play = Play {
            sides,
            turn: 0,
            outbound: Outbound::new(),
            rng,
            now,
            next: None,
            decoder: Decoder::new(&limits),
            buffer: BytesMut::new(),
            current: None,
            under_way: Vec::new(),
            is_slow: false,
            requests: 0,
            request_by_id: BTreeMap::new(),
            reader: Decoder::new(&Limits::default()),
            written: BytesMut::new(),
            reading: None,
            unanswered: Vec::new(),
            message_ids: Vec::new(),
            tokens: 0,
        };
        for side in &mut play.sides {
            side.core
                .handle_connected(play.now, &mut play.rng, &mut play.outbound);
        }
        play
    }

    fn step(&mut self, step: u8, choices: &mut Choices<'_>) {
        match step {
            // The owner.
            b's' => self.send(choices),
            b'n' => {
                self.tokens += 1;
                let nickname = Nickname::new("R").unwrap();
                let side = &mut self.sides[self.turn];
                let (token, now, outbound) = (self.tokens, self.now, &mut self.outbound);
                let asked = side
                    .core
                    .use_nickname(token, &nickname, now, &mut self.rng, outbound);
                assert!(asked.is_err() || side.stage == Stage::Bound);
                if asked.is_ok() {
                    let sent = Sent {
                        length: u64::MAX,
                        wish: FailureReport::Yes,
                        ends: 0,
                    };
                    side.sent_by_token.insert(token, sent);
                }
            }
            b'p' => {
                let side = &mut self.sides[self.turn];
                let more = side
                    .core
                    .poll_chunk(self.now, &mut self.rng, &mut self.outbound);
                assert_eq!(more, side.core.has_chunks());
            }
            b'b' => self.begin_stream(choices),
            b'f' => self.push_piece(choices),
            b'e' => {
                let side = &mut self.sides[self.turn];
                let index = choices.below(side.streaming.len());
                if index < side.streaming.len() {
                    let token = side.streaming.remove(index);
                    if side.core.finish_stream(token, &mut self.outbound)
                        == Err(StreamError::WrongLength)
                    {
                        side.forget(token);
                    }
                }
            }
            b'k' => {
                let token = self.tokens.saturating_sub(choices.below(4) as u64);
                let side = &mut self.sides[self.turn];
                let (now, outbound) = (self.now, &mut self.outbound);
                if side.core.cancel(token, now, &mut self.rng, outbound) {
                    side.forget(token);
                }
            }
            b'u' => {
                let bytes = choices.of(&[u64::MAX, 1, 1000]);
                let side = &mut self.sides[self.turn];
                side.core.note_taken(bytes, &mut self.outbound);
            }
            b'g' => self.send_again(),
            b'a' => self.answer(choices),
            b'r' => self.report(choices),
            b'c' => {
                let side = &mut self.sides[self.turn];
                side.core.close(&mut self.outbound);
                side.stage = Stage::Over;
            }
            b'l' => {
                let side = &mut self.sides[self.turn];
                let cause = choices.of(&[LostCause::ConnectionEnded, LostCause::Stalled]);
                side.core
                    .handle_lost(cause, &mut self.outbound, &mut side.out);
            }
            // The peer.
            b'S' => self.peer_sends(choices),
            b'E' => {
                let wish = wish(choices);
                let headers = format!("Message-ID: empty\r\n{}", header_of(wish));
                self.peer_asks("SEND", Some(wish), &headers, None);
            }
            b'R' => self.peer_reports(choices),
            b'N' => self.peer_asks(
                "NICKNAME",
                Some(FailureReport::Yes),
                choices.of(&[
                    "Use-Nickname: \"R\"\r\n",
                    "",
                    "Use-Nickname: R\r\n",
                    "Use-Nickname: \"R\r\n",
                ]),
                None,
            ),
            b'A' => self.peer_answers(choices),
            b'h' => self.is_slow = !self.is_slow,
            b'd' => {
                let bytes = choices.of(&[usize::MAX, 1, 30, 200]);
                self.deliver(bytes);
            }
            // The connection and the clock.
            b'w' => {
                let bytes = choices.of(&[usize::MAX, 1, 100, 1000]);
                self.write(bytes);
            }
            b't' => {
                let seconds = choices.of(&[1, 0, 10, 29, 30, 31, 600]);
                self.pass(Duration::from_secs(seconds));
            }
            b'z' => self.turn = 1 - self.turn,
            _ => {}
        }
    }

    fn send(&mut self, choices: &mut Choices<'_>) {
        self.tokens += 1;
        let token = self.tokens;
        let length = choices.of(&[5, 0, 1, 2048, 2049, 6000]);
        let transaction_id = choices.of(&[None, Some("same"), Some("bad id"), Some("-------")]);
        let failure_report = wish(choices);
        let outgoing = Outgoing {
            token,
            transaction_id: transaction_id.map(str::to_owned),
            content_type: "text/plain".to_owned(),
            body: (0..length).map(|at| byte_of(token, at)).collect(),
            success_report: choices.below(2) == 1,
            failure_report,
        };
        let side = &mut self.sides[self.turn];
        let result = side
            .core
            .send(outgoing, self.now, &mut self.rng, &mut self.outbound);
        assert!(result.is_err() || side.stage == Stage::Bound);
        if result.is_ok() {
            let sent = Sent {
                length,
                wish: failure_report,
                ends: 0,
            };
            side.sent_by_token.insert(token, sent);
        }
    }

    fn begin_stream(&mut self, choices: &mut Choices<'_>) {
        self.tokens += 1;
        let failure_report = wish(choices);
        let stream = OutgoingStream {
            token: self.tokens,
            content_type: "a/b".to_owned(),
            total: choices.of(&[None, Some(3000), Some(0)]),
            success_report: false,
            failure_report,
        };
        let side = &mut self.sides[self.turn];
        let (now, outbound) = (self.now, &mut self.outbound);
        let begun = side.core.begin_stream(stream, now, &mut self.rng, outbound);
        assert!(begun.is_err() || side.stage == Stage::Bound);
        if begun.is_ok() {
            let sent = Sent {
                length: 0,
                wish: failure_report,
                ends: 0,
            };
            side.sent_by_token.insert(self.tokens, sent);
            side.streaming.push(self.tokens);
        }
    }

    fn push_piece(&mut self, choices: &mut Choices<'_>) {
        let length = choices.of(&[3000, 1, 0, 40_000]);
        let side = &mut self.sides[self.turn];
        let index = choices.below(side.streaming.len());
        let Some(token) = side.streaming.get(index).copied() else {
            return;
        };
        let sent = side.sent_by_token.get_mut(&token).expect("a message");
        let piece: Vec<u8> = (sent.length..sent.length + length)
            .map(|at| byte_of(token, at))
            .collect();
        match side.core.push_piece(token, &piece, &mut self.outbound) {
            Ok(taken) => sent.length += taken as u64,
            Err(StreamError::WrongLength) => {
                side.forget(token);
                side.streaming.remove(index);
            }
            Err(StreamError::Ended) => {
                side.streaming.remove(index);
            }
        }
    }

    /// What one session was given back goes out in the other.
    fn send_again(&mut self) {
        let Some(unconfirmed) = self.sides[1 - self.turn].given_back.pop() else {
            return;
        };
        let side = &mut self.sides[self.turn];
        let outgoing = &unconfirmed.outgoing;
        let (token, wish) = (outgoing.token, outgoing.failure_report);
        let length = outgoing.body.len() as u64;
        let (now, outbound) = (self.now, &mut self.outbound);
        let sent = side
            .core
            .send_again(unconfirmed, now, &mut self.rng, outbound);
        if sent.is_ok() {
            let sent = Sent {
                length,
                wish,
                ends: 0,
            };
            side.sent_by_token.insert(token, sent);
        }
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        let side = &mut self.sides[self.turn];
        let index = choices.below(side.owed.len());
        let status = choices.of(&[200, 413, 403]);
        let Some(incoming) = side.owed.get(index).copied() else {
            return;
        };
        side.core.respond(incoming, status, &mut self.outbound);
        // Sometimes twice, which must not matter.
        if choices.below(2) == 0 {
            side.owed.remove(index);
        }
    }

    fn report(&mut self, choices: &mut Choices<'_>) {
        let side = &mut self.sides[self.turn];
        let report = Report {
            message_id: choices.of(&["m0", "", "a b"]).to_owned(),
            range: ByteRange::of(choices.below(9)),
            status: choices.of(&[200, 408, 7]),
        };
        let (now, outbound) = (self.now, &mut self.outbound);
        side.core.report(&report, now, &mut self.rng, outbound);
    }

    /// Moves the clock, calling at every deadline on the way, as the connection does.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut calls = 0;
        loop {
            let deadline = self.next.into_iter().chain(self.outbound.deadline()).min();
            let Some(deadline) = deadline.filter(|deadline| *deadline <= until) else {
                break;
            };
            self.now = deadline.max(self.now);
            self.outbound.set_deadline(None);
            self.next = None;
            for side in &mut self.sides {
                let next = side.core.handle_timeout(
                    self.now,
                    &mut self.rng,
                    &mut self.outbound,
                    &mut side.out,
                );
                assert!(next.is_none_or(|next| next > self.now), "due again at once");
                self.next = self.next.into_iter().chain(next).min();
            }
            calls += 1;
            assert!(calls < 2000, "timers without end");
            self.look();
        }
        self.now = until;
    }

    /// What the sessions have told their owners.
    fn look(&mut self) {
        for side in &mut self.sides {
            for output in std::mem::take(&mut side.out) {
                assert_ne!(side.stage, Stage::Over, "{output:?} after the end");
                match output {
                    Output::Deliver(incoming) => {
                        assert_eq!(side.stage, Stage::Bound);
                        assert!(incoming.body.len() as u64 <= MAX_SIZE);
                        let number = incoming.message_id.strip_prefix('m').unwrap();
                        let number: u64 = number.parse().unwrap();
                        for (at, byte) in incoming.body.iter().enumerate() {
                            assert_eq!(*byte, byte_of(1000 + number, at as u64), "{at}");
                        }
                        side.owed.push(incoming.id);
                    }
                    Output::StreamBegan(began) => {
                        assert_eq!(side.stage, Stage::Bound);
                        assert!(side.does_everything);
                        let number = began.message_id.strip_prefix('m').unwrap();
                        let number: u64 = number.parse().unwrap();
                        let other = side.coming.insert(began.id, (number, 0));
                        assert!(other.is_none());
                    }
                    Output::Piece { id, piece } => {
                        let (number, position) = side.coming.get_mut(&id).expect("a stream");
                        for byte in &piece {
                            assert_eq!(*byte, byte_of(1000 + *number, *position));
                            *position += 1;
                        }
                        assert!(!piece.is_empty() && *position <= 2 * MAX_SIZE);
                    }
                    Output::StreamEnded { id, end } => {
                        side.coming.remove(&id).expect("a stream");
                        if end == StreamEnd::Complete {
                            side.owed.push(id);
                        }
                    }
                    Output::GiveBack(unconfirmed) => side.given_back.push(unconfirmed),
                    Output::Nickname(request) => {
                        assert!(side.does_everything);
                        assert_eq!(request.nickname.as_str(), "R");
                        side.owed.push(request.id);
                    }
                    Output::Complete(SessionEvent::Bound) => {
                        assert_eq!(side.stage, Stage::Unbound);
                        side.stage = Stage::Bound;
                    }
                    Output::Complete(SessionEvent::Lost { .. }) => side.stage = Stage::Over,
                    Output::Complete(SessionEvent::Reported { token, .. }) => {
                        assert!(side.sent_by_token.contains_key(&token));
                    }
                    Output::Complete(SessionEvent::Accepted { token }) => {
                        side.ends(token, &[FailureReport::Yes]);
                    }
                    Output::Complete(SessionEvent::Unanswered { token }) => {
                        side.ends(token, &[FailureReport::Yes]);
                    }
                    Output::Complete(SessionEvent::Refused { token, status }) => {
                        assert!(status >= 300);
                        side.ends(token, &[FailureReport::Yes, FailureReport::Partial]);
                    }
                }
            }
            assert_eq!(side.core.is_ended(), side.stage == Stage::Over);
        }
    }

    /// Everything arrives, everything is answered, and time passes until nothing can be due any more.
    fn end(&mut self) {
        self.deliver(usize::MAX);
        self.look();
        for side in &mut self.sides {
            for token in std::mem::take(&mut side.streaming) {
                let (now, outbound) = (self.now, &mut self.outbound);
                if side.core.cancel(token, now, &mut self.rng, outbound) {
                    side.forget(token);
                }
            }
            for incoming in std::mem::take(&mut side.owed) {
                side.core.respond(incoming, 200, &mut self.outbound);
            }
            while side
                .core
                .poll_chunk(self.now, &mut self.rng, &mut self.outbound)
            {}
        }
        // The peer answers no more, not even to those that only show that a session lives.
        for _ in 0..8 {
            self.write(usize::MAX);
            self.pass(Duration::from_secs(200));
        }
        self.look();
        for side in &self.sides {
            for (token, sent) in &side.sent_by_token {
                let is_told = sent.wish != FailureReport::Yes || side.stage == Stage::Over;
                assert!(is_told || sent.ends == 1, "nothing told of {token}");
            }
        }
        for (id, asked) in &self.request_by_id {
            let is_over = self.sides[asked.side].stage == Stage::Over;
            let must_answer = asked.wish == Some(FailureReport::Yes) && !is_over;
            assert!(!must_answer || asked.answers == 1, "{id} has no answer");
        }
        assert_eq!((self.next, self.outbound.deadline()), (None, None));
        assert!(self.outbound.may_read());
        assert!(self.outbound.is_empty() && self.buffer.is_empty() && self.written.is_empty());
        let ids: BTreeSet<_> = self.message_ids.iter().collect();
        assert_eq!(ids.len(), self.message_ids.len());
    }
}

impl Side {
    /// Nothing more is told of that message.
    fn forget(&mut self, token: u64) {
        if let Some(sent) = self.sent_by_token.get_mut(&token) {
            sent.wish = FailureReport::No;
        }
    }

    /// A message ended, if its sender wanted to hear that.
    fn ends(&mut self, token: u64, wishes: &[FailureReport]) {
        assert_eq!(self.stage, Stage::Bound);
        let sent = self.sent_by_token.get_mut(&token).expect("a message");
        sent.ends += 1;
        assert_eq!(sent.ends, 1, "{token} ends twice");
        assert!(wishes.contains(&sent.wish), "{:?}", sent.wish);
    }
}

/// What stands at that place of a message: a letter, so that no body holds an end-line.
fn byte_of(message: u64, at: u64) -> u8 {
    b'a' + ((message * 7 + at * 5 + at / 26) % 26) as u8
}

fn wish(choices: &mut Choices<'_>) -> FailureReport {
    choices.of(&[
        FailureReport::Yes,
        FailureReport::Partial,
        FailureReport::No,
    ])
}
