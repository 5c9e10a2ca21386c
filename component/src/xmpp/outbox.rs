//! What waits to be written, and what the server has not yet provably taken. CHAT-38.
//!
//! XEP-0114 acknowledges nothing. What does prove something: a server works through the stanzas of a component in
//! their order, so a stanza addressed to ourselves (the marker) that comes back proves that everything written before
//! it was taken. At most one marker is under way: what is written meanwhile is covered by the next one, so that a busy
//! link pays for one marker per round trip and not for one per write.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, BytesMut};
use tokio::time::Instant;

use super::outgoing::Outgoing;
use super::stanza::Iq;
use super::write;

/// At most so many bytes go into one write: what is lost with a connection is at most one such round.
const ROUND: usize = 64 * 1024;

const MARKER: &str = "sync-";

/// Bounds of an [`Outbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Stanzas that wait or are not yet confirmed.
    pub stanzas: usize,
    /// Bytes that wait.
    pub bytes: usize,
    /// How long a stanza may wait for a connection.
    pub grace: Duration,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        OutboxLimits {
            stanzas: 32 * 1024,
            bytes: 16 * 1024 * 1024,
            grace: Duration::from_secs(60),
        }
    }
}

/// Where the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected: stanzas wait.
    Down,
    /// Connected: stanzas are written.
    Up,
    /// Connected, takes no more stanzas and ends when all are confirmed.
    Draining,
    /// Takes no more stanzas.
    Closed,
}

#[derive(Debug)]
struct Waiting<C> {
    /// Bytes of it in the buffer.
    len: usize,
    since: Instant,
    confirmation: Option<C>,
}

/// The queue of a link. `C` is told what became of a stanza.
#[derive(Debug)]
pub(super) struct Outbox<C> {
    domain: String,
    limits: OutboxLimits,
    state: State,
    /// The bytes of `waiting`, one after the other.
    buffer: BytesMut,
    waiting: VecDeque<Waiting<C>>,
    /// The last marker's number; numbers are never used twice, so that an old marker proves nothing.
    number: u64,
    /// When the marker under way was written.
    marker_since: Option<Instant>,
    /// Written before the marker under way.
    covered: Vec<C>,
    /// Written since.
    uncovered: Vec<C>,
    /// A marker is wanted although nothing needs a confirmation.
    probing: bool,
}

impl<C> Outbox<C> {
    pub(super) fn new(domain: &str, limits: OutboxLimits) -> Outbox<C> {
        Outbox {
            domain: domain.to_owned(),
            limits,
            state: State::Down,
            buffer: BytesMut::new(),
            waiting: VecDeque::new(),
            number: 0,
            marker_since: None,
            covered: Vec::new(),
            uncovered: Vec::new(),
            probing: false,
        }
    }

    /// Takes a stanza. Gives the confirmation back when there is no room, or when the link is closed.
    ///
    /// `wall` is written into a message that has to wait for a connection.
    pub(super) fn push(
        &mut self,
        stanza: &Outgoing,
        confirmation: Option<C>,
        now: Instant,
        wall: SystemTime,
    ) -> Result<(), Option<C>> {
        let held = match self.state {
            State::Up => None,
            State::Down => Some(wall),
            State::Draining | State::Closed => return Err(confirmation),
        };
        let count = self.waiting.len() + self.covered.len() + self.uncovered.len();
        let before = self.buffer.len();
        if count >= self.limits.stanzas || before >= self.limits.bytes {
            return Err(confirmation);
        }
        write::write(&mut self.buffer, stanza, &self.domain, held);
        self.waiting.push_back(Waiting {
            len: self.buffer.len() - before,
            since: now,
            confirmation,
        });
        Ok(())
    }

    /// Appends what is to be written now to `round`; from here on it counts as written.
    pub(super) fn poll_round(&mut self, now: Instant, round: &mut BytesMut) {
        match self.state {
            State::Up | State::Draining => {}
            State::Down | State::Closed => return,
        }
        while round.len() < ROUND {
            let Some(next) = self.waiting.pop_front() else {
                break;
            };
            round.put_slice(&self.buffer.split_to(next.len));
            self.uncovered.extend(next.confirmation);
        }
        let wanted = self.probing || !self.uncovered.is_empty();
        if wanted && self.marker_since.is_none() {
            self.probing = false;
            self.number += 1;
            self.marker_since = Some(now);
            self.covered.append(&mut self.uncovered);
            put_marker(round, self.number, &self.domain);
        }
    }

    /// Whether [`poll_round`](Outbox::poll_round) has something to write.
    pub(super) fn has_round(&self) -> bool {
        let marker = self.marker_since.is_none() && (self.probing || !self.uncovered.is_empty());
        match self.state {
            State::Up | State::Draining => marker || !self.waiting.is_empty(),
            State::Down | State::Closed => false,
        }
    }

    /// Takes an iq that came from the server. If it is the marker under way: what it confirms.
    ///
    /// Its type does not matter: a server that answers it with an error has taken what was before it all the same.
    pub(super) fn handle_marker(&mut self, iq: &Iq) -> Option<Vec<C>> {
        let ours = iq.from.as_str() == self.domain && iq.to.as_str() == self.domain;
        let number = iq.id.as_deref()?.strip_prefix(MARKER)?;
        if !ours || number.parse() != Ok(self.number) || self.marker_since.is_none() {
            return None;
        }
        self.marker_since = None;
        Some(std::mem::take(&mut self.covered))
    }

    /// Asks for a marker, to see whether the server is still there.
    pub(super) fn probe(&mut self) {
        self.probing = self.marker_since.is_none();
    }

    /// How long the marker under way has not come back.
    pub(super) fn marker_age(&self, now: Instant) -> Option<Duration> {
        self.marker_since
            .map(|since| now.saturating_duration_since(since))
    }

    /// Logged in.
    pub(super) fn handle_up(&mut self) {
        if self.state == State::Down {
            self.state = State::Up;
        }
    }

    /// The connection is gone. What was written without being confirmed is lost.
    #[must_use = "these are lost"]
    pub(super) fn handle_down(&mut self) -> Vec<C> {
        let mut lost = std::mem::take(&mut self.covered);
        lost.append(&mut self.uncovered);
        self.marker_since = None;
        self.probing = false;
        self.state = match self.state {
            State::Up | State::Down => State::Down,
            State::Draining | State::Closed => State::Closed,
        };
        if self.state == State::Closed {
            lost.extend(self.drop_waiting(|_| true));
        }
        lost
    }

    /// Takes no more stanzas. Without a connection, what waits is lost.
    #[must_use = "these are lost"]
    pub(super) fn close(&mut self) -> Vec<C> {
        match self.state {
            State::Up | State::Draining => {
                self.state = State::Draining;
                Vec::new()
            }
            State::Down | State::Closed => {
                self.state = State::Closed;
                self.drop_waiting(|_| true)
            }
        }
    }

    /// Whether the link is to end.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, State::Draining | State::Closed)
    }

    /// Whether the link is to end, and everything is written and confirmed.
    pub(super) fn is_drained(&self) -> bool {
        let nothing =
            self.waiting.is_empty() && self.covered.is_empty() && self.uncovered.is_empty();
        self.is_closing() && nothing
    }

    /// Whether stanzas are written now.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Drops what has waited for longer than the grace time.
    #[must_use = "these are lost"]
    pub(super) fn handle_elapsed(&mut self, now: Instant) -> Vec<C> {
        let grace = self.limits.grace;
        self.drop_waiting(|waiting| now.saturating_duration_since(waiting.since) >= grace)
    }

    fn drop_waiting(&mut self, over: impl Fn(&Waiting<C>) -> bool) -> Vec<C> {
        let mut dropped = Vec::new();
        while self.waiting.front().is_some_and(&over) {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            self.buffer.advance(waiting.len);
            dropped.extend(waiting.confirmation);
        }
        dropped
    }
}

fn put_marker(round: &mut BytesMut, number: u64, domain: &str) {
    let mut id = String::from(MARKER);
    // Writing into a String cannot fail.
    let _ = write!(id, "{number}");
    round.put_slice(b"<iq type=\"result\"");
    write::attribute(round, "id", &id);
    write::attribute(round, "from", domain);
    write::attribute(round, "to", domain);
    round.put_slice(b"/>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Jid;
    use crate::xmpp::OutgoingMessage;
    use crate::xmpp::stanza::{IqType, MessageType};

    const H: &str = "sip.example.com";

    fn message(body: &str) -> Outgoing {
        let from = Jid::parse("romeo%example.net@sip.example.com").unwrap();
        OutgoingMessage::new(&from, &from, MessageType::Chat)
            .body(body)
            .into()
    }

    fn marker(number: u64) -> Iq {
        Iq {
            from: Jid::parse(H).unwrap(),
            to: Jid::parse(H).unwrap(),
            id: Some(format!("sync-{number}")),
            kind: IqType::Result,
            lang: None,
            payload: None,
            error: None,
        }
    }

    struct Bench {
        outbox: Outbox<u32>,
        now: Instant,
    }

    impl Bench {
        fn new(limits: OutboxLimits) -> Bench {
            Bench {
                outbox: Outbox::new(H, limits),
                now: Instant::now(),
            }
        }

        fn up() -> Bench {
            let mut bench = Bench::new(OutboxLimits::default());
            bench.outbox.handle_up();
            bench
        }

        fn push(&mut self, confirmation: Option<u32>) -> Result<(), Option<u32>> {
            self.outbox.push(
                &message("x"),
                confirmation,
                self.now,
                SystemTime::UNIX_EPOCH,
            )
        }

        /// Stanzas of the round, markers as their ids.
        fn round(&mut self) -> (usize, Vec<String>) {
            assert_eq!(self.outbox.has_round(), {
                // Seen from outside: nothing is written without being announced.
                self.outbox.has_round()
            });
            let mut round = BytesMut::new();
            self.outbox.poll_round(self.now, &mut round);
            let text = format!("<s>{}</s>", std::str::from_utf8(&round).unwrap());
            let document = roxmltree::Document::parse(&text).unwrap();
            let (mut messages, mut markers) = (0, Vec::new());
            for node in document.root_element().children() {
                match node.tag_name().name() {
                    "iq" => markers.push(node.attribute("id").unwrap().to_owned()),
                    _ => messages += 1,
                }
            }
            (messages, markers)
        }
    }

    #[test]
    fn a_round_ends_with_one_marker_that_confirms_it() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        bench.push(None).unwrap();
        bench.push(Some(2)).unwrap();
        assert_eq!(bench.round(), (3, vec!["sync-1".to_owned()]));
        assert!(!bench.outbox.has_round());
        assert_eq!(bench.outbox.handle_marker(&marker(1)), Some(vec![1, 2]));
        assert_eq!(bench.outbox.handle_marker(&marker(1)), None);
        assert!(!bench.outbox.has_round());
    }

    #[test]
    fn nothing_to_confirm_needs_no_marker() {
        let mut bench = Bench::up();
        bench.push(None).unwrap();
        assert_eq!(bench.round(), (1, vec![]));
    }

    #[test]
    fn one_marker_at_a_time() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        assert_eq!(bench.round(), (1, vec!["sync-1".to_owned()]));
        bench.push(Some(2)).unwrap();
        assert_eq!(bench.round(), (1, vec![]));
        bench.push(Some(3)).unwrap();
        assert_eq!(bench.outbox.handle_marker(&marker(1)), Some(vec![1]));
        // The next marker covers what was written meanwhile and what goes with it.
        assert_eq!(bench.round(), (1, vec!["sync-2".to_owned()]));
        assert_eq!(bench.outbox.handle_marker(&marker(2)), Some(vec![2, 3]));
    }

    #[test]
    fn a_marker_follows_by_itself() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        bench.round();
        bench.push(Some(2)).unwrap();
        bench.round();
        bench.outbox.handle_marker(&marker(1));
        assert!(bench.outbox.has_round());
        assert_eq!(bench.round(), (0, vec!["sync-2".to_owned()]));
    }

    #[test]
    fn other_iqs_confirm_nothing() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        bench.round();
        let mut forged = marker(1);
        forged.from = Jid::parse("mallory@example.com").unwrap();
        assert_eq!(bench.outbox.handle_marker(&forged), None);
        assert_eq!(bench.outbox.handle_marker(&marker(2)), None);
        let mut strange = marker(1);
        strange.id = Some("sync-".into());
        assert_eq!(bench.outbox.handle_marker(&strange), None);
    }

    // CHAT-38
    #[test]
    fn a_lost_connection_loses_what_was_written_and_keeps_what_waits() {
        let mut bench = Bench::up();
        for n in 1..=2 {
            bench.push(Some(n)).unwrap();
            bench.round();
        }
        bench.push(Some(3)).unwrap();
        assert_eq!(bench.outbox.handle_down(), vec![1, 2]);
        assert_eq!(bench.round(), (0, vec![]));
        bench.push(Some(4)).unwrap();
        bench.outbox.handle_up();
        assert_eq!(bench.round(), (2, vec!["sync-2".to_owned()]));
        // The marker of the old connection proves nothing.
        assert_eq!(bench.outbox.handle_marker(&marker(1)), None);
        assert_eq!(bench.outbox.handle_marker(&marker(2)), Some(vec![3, 4]));
    }

    // CHAT-38
    #[test]
    fn what_waits_too_long_is_lost() {
        let mut bench = Bench::new(OutboxLimits::default());
        bench.push(Some(1)).unwrap();
        bench.now += Duration::from_secs(30);
        bench.push(Some(2)).unwrap();
        bench.now += Duration::from_secs(29);
        assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![]);
        bench.now += Duration::from_secs(1);
        assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![1]);
        bench.outbox.handle_up();
        assert_eq!(bench.round(), (1, vec!["sync-1".to_owned()]));
    }

    #[test]
    fn full_by_count_written_ones_included() {
        let mut bench = Bench::new(OutboxLimits {
            stanzas: 2,
            ..OutboxLimits::default()
        });
        bench.outbox.handle_up();
        bench.push(Some(1)).unwrap();
        bench.round();
        bench.push(Some(2)).unwrap();
        assert_eq!(bench.push(Some(3)), Err(Some(3)));
        bench.outbox.handle_marker(&marker(1));
        bench.push(Some(4)).unwrap();
    }

    #[test]
    fn full_by_bytes() {
        let mut bench = Bench::new(OutboxLimits {
            bytes: 100,
            ..OutboxLimits::default()
        });
        bench.push(Some(1)).unwrap();
        assert_eq!(bench.push(Some(2)), Err(Some(2)));
    }

    #[test]
    fn rounds_are_bounded() {
        let mut bench = Bench::up();
        let long = "x".repeat(40_000);
        for _ in 0..3 {
            bench
                .outbox
                .push(&message(&long), None, bench.now, SystemTime::UNIX_EPOCH)
                .unwrap();
        }
        assert_eq!(bench.round().0, 2);
        assert!(bench.outbox.has_round());
        assert_eq!(bench.round().0, 1);
    }

    #[test]
    fn closing_drains() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        assert_eq!(bench.outbox.close(), vec![]);
        assert_eq!(bench.push(Some(2)), Err(Some(2)));
        assert!(!bench.outbox.is_drained());
        bench.round();
        assert!(!bench.outbox.is_drained());
        bench.outbox.handle_marker(&marker(1));
        assert!(bench.outbox.is_drained());
    }

    #[test]
    fn closing_without_a_connection_loses_what_waits() {
        let mut bench = Bench::new(OutboxLimits::default());
        bench.push(Some(1)).unwrap();
        assert_eq!(bench.outbox.close(), vec![1]);
        assert!(bench.outbox.is_drained());
    }

    #[test]
    fn a_connection_lost_while_draining_loses_all() {
        let mut bench = Bench::up();
        bench.push(Some(1)).unwrap();
        bench.round();
        bench.push(Some(2)).unwrap();
        assert_eq!(bench.outbox.close(), vec![]);
        assert_eq!(bench.outbox.handle_down(), vec![1, 2]);
        assert!(bench.outbox.is_drained());
    }

    #[test]
    fn probes_ask_for_one_marker() {
        let mut bench = Bench::up();
        bench.outbox.probe();
        assert_eq!(bench.round(), (0, vec!["sync-1".to_owned()]));
        bench.outbox.probe();
        assert!(!bench.outbox.has_round());
        bench.now += Duration::from_secs(5);
        assert_eq!(
            bench.outbox.marker_age(bench.now),
            Some(Duration::from_secs(5))
        );
        assert_eq!(bench.outbox.handle_marker(&marker(1)), Some(vec![]));
        assert_eq!(bench.outbox.marker_age(bench.now), None);
    }
}
