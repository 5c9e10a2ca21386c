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

use super::iq::Requests;
use super::outgoing::Outgoing;
use super::stanza::Iq;
use super::write;

/// At most so many bytes go into one write: what is lost with a connection is at most one such round.
const ROUND: usize = 64 * 1024;

const MARKER: &str = "sync-";

/// After so much silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);
/// A server that has not sent a marker back for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// What an iq of type result or error comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<C> {
    /// The marker under way: these are confirmed.
    Marker(Vec<C>),
    /// The answer to a question of ours.
    Expected,
    /// Nobody asked.
    Unasked,
}

/// Whether the server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It is, or is being asked.
    Fine,
    /// It does not work through what we write.
    Dead,
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
    requests: Requests,
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
            requests: Requests::default(),
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
        if let Outgoing::Iq(iq) = stanza {
            self.requests.sent(iq, now);
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

    /// Takes an iq of type result or error that came from the server.
    ///
    /// The marker's type does not matter: a server that answers it with an error has taken what was before it all the
    /// same.
    pub(super) fn handle_answer(&mut self, iq: &Iq) -> Answer<C> {
        let ours = iq.from.as_str() == self.domain && iq.to.as_str() == self.domain;
        let number = iq.id.as_deref().and_then(|id| id.strip_prefix(MARKER));
        if ours && let Some(number) = number {
            return match self.marker_since {
                Some(_) if number.parse() == Ok(self.number) => {
                    self.marker_since = None;
                    Answer::Marker(std::mem::take(&mut self.covered))
                }
                _ => Answer::Unasked,
            };
        }
        match self.requests.answered(iq) {
            true => Answer::Expected,
            false => Answer::Unasked,
        }
    }

    /// Looks after a connection on which the server was last heard at `heard`; to be called every second or so.
    pub(super) fn handle_tick(&mut self, now: Instant, heard: Instant) -> Health {
        match self.marker_since {
            Some(since) if now.saturating_duration_since(since) >= PATIENCE => Health::Dead,
            Some(_) => Health::Fine,
            None => {
                self.probing = now.saturating_duration_since(heard) >= SILENCE;
                Health::Fine
            }
        }
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
mod tests;
