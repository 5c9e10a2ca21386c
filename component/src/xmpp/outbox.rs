//! What waits to be written, and what the server has not yet provably taken. CHAT-38.
//!
//! XEP-0114 acknowledges nothing. What does prove something: a server works through the stanzas of a component in
//! their order, so a stanza addressed to ourselves (the marker) that comes back proves that everything written before
//! it was taken. At most one marker is under way: what is written meanwhile is covered by the next one, so that a busy
//! link pays for one marker per round trip and not for one per write.
//!
//! Errors to users (`errors`) outlive a connection; of everything else, what is written and not proven is lost with it.

mod errors;

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::time::Instant;

use self::errors::{Errors, Forgotten, is_withdrawn};
use super::iq::Requests;
use super::link::Confirmation;
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

/// Bounds of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes of one stanza. Servers have a limit of their own (Prosody: 512 KiB) and end the stream, for everybody, of
    /// a component that exceeds it.
    pub stanza: usize,
    /// Stanzas that wait or are not yet confirmed.
    pub stanzas: usize,
    /// Bytes that wait.
    pub bytes: usize,
    /// How long a stanza may wait for a connection, unless it says so itself.
    pub grace: Duration,
    /// Errors to users that are kept, besides the other stanzas; beyond that the oldest are dropped.
    pub errors: usize,
    /// Bytes of those errors.
    pub error_bytes: usize,
    /// How long such an error is kept.
    pub error_grace: Duration,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        OutboxLimits {
            stanza: 256 * 1024,
            stanzas: 32 * 1024,
            bytes: 16 * 1024 * 1024,
            grace: Duration::from_secs(60),
            errors: 16 * 1024,
            error_bytes: 8 * 1024 * 1024,
            error_grace: Duration::from_secs(3600),
        }
    }
}

/// The stanza was not taken. Gives its confirmation back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LinkRefused<C> {
    /// Too many wait already: a later one may be taken.
    #[error("too many stanzas wait for the XMPP server")]
    Full(Option<C>),
    /// It is larger than [`OutboxLimits::stanza`]: the server might end the stream because of it.
    #[error("the stanza is too large for the XMPP server")]
    TooLarge(Option<C>),
    /// The link is closed.
    #[error("the XMPP link is closed")]
    Closed(Option<C>),
}

impl<C> LinkRefused<C> {
    /// The confirmation, which is told nothing any more.
    pub fn into_confirmation(self) -> Option<C> {
        match self {
            LinkRefused::Full(confirmation)
            | LinkRefused::TooLarge(confirmation)
            | LinkRefused::Closed(confirmation) => confirmation,
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
    /// Its place among all stanzas of the outbox.
    place: u64,
    /// Bytes of it in the buffer.
    len: usize,
    since: Instant,
    /// How long it may wait.
    patience: Duration,
    confirmation: Option<C>,
}

impl<C: Confirmation> Waiting<C> {
    fn is_over(&self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.since);
        waited >= self.patience || is_withdrawn(self.confirmation.as_ref())
    }
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
    errors: Errors<C>,
    /// The place of the next stanza.
    next_place: u64,
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

impl<C: Confirmation> Outbox<C> {
    pub(super) fn new(domain: &str, limits: OutboxLimits) -> Outbox<C> {
        Outbox {
            domain: domain.to_owned(),
            limits,
            state: State::Down,
            buffer: BytesMut::new(),
            waiting: VecDeque::new(),
            errors: Errors::new(),
            next_place: 0,
            number: 0,
            marker_since: None,
            covered: Vec::new(),
            uncovered: Vec::new(),
            probing: false,
            requests: Requests::default(),
        }
    }

    /// Takes a stanza, or says why not.
    ///
    /// `wall` is written into a message that has to wait for a connection.
    pub(super) fn push(
        &mut self,
        stanza: &Outgoing,
        confirmation: Option<C>,
        now: Instant,
        wall: SystemTime,
    ) -> Result<(), LinkRefused<C>> {
        let held = match self.state {
            State::Up => None,
            State::Down => Some(wall),
            State::Draining | State::Closed => return Err(LinkRefused::Closed(confirmation)),
        };
        if stanza.is_error() {
            return self.push_error(stanza, confirmation, now, held);
        }
        let count = self.waiting.len() + self.covered.len() + self.uncovered.len();
        if count >= self.limits.stanzas || self.buffer.len() >= self.limits.bytes {
            return Err(LinkRefused::Full(confirmation));
        }
        let Some(len) = self.append(stanza, held) else {
            return Err(LinkRefused::TooLarge(confirmation));
        };
        if let Outgoing::Iq(iq) = stanza {
            self.requests.sent(iq, now);
        }
        let place = self.take_place();
        self.waiting.push_back(Waiting {
            place,
            len,
            since: now,
            patience: stanza.patience().unwrap_or(self.limits.grace),
            confirmation,
        });
        Ok(())
    }

    /// An error that is too large goes without the words it gives back, rather than not at all.
    fn push_error(
        &mut self,
        stanza: &Outgoing,
        confirmation: Option<C>,
        now: Instant,
        held: Option<SystemTime>,
    ) -> Result<(), LinkRefused<C>> {
        let len = self.append(stanza, held).or_else(|| {
            let shorter = stanza.without_original()?;
            self.append(&shorter, held)
        });
        let Some(len) = len else {
            return Err(LinkRefused::TooLarge(confirmation));
        };
        let before = self.buffer.len().saturating_sub(len);
        // A copy: a piece of the buffer would keep all of it alive.
        let bytes = Bytes::copy_from_slice(self.buffer.get(before..).unwrap_or_default());
        self.buffer.truncate(before);
        let place = self.take_place();
        self.errors
            .push(bytes, place, confirmation, now, &self.limits)
            .map_err(LinkRefused::Full)
    }

    /// Writes the stanza at the end of the buffer: its bytes, or `None` and nothing written when it is too large.
    fn append(&mut self, stanza: &Outgoing, held: Option<SystemTime>) -> Option<usize> {
        let before = self.buffer.len();
        write::write(&mut self.buffer, stanza, &self.domain, held);
        let len = self.buffer.len() - before;
        if len > self.limits.stanza {
            self.buffer.truncate(before);
            return None;
        }
        Some(len)
    }

    fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    /// Appends what is to be written now to `round`; from here on it counts as written. What may wait no longer is
    /// dropped unwritten.
    #[must_use = "these are lost"]
    pub(super) fn poll_round(&mut self, now: Instant, round: &mut BytesMut) -> Vec<C> {
        let mut lost = Vec::new();
        match self.state {
            State::Up | State::Draining => {}
            State::Down | State::Closed => return lost,
        }
        while round.len() < ROUND {
            let waiting = self.waiting.front().map(|next| next.place);
            match (self.errors.next_place(), waiting) {
                (Some(error), Some(waiting)) if error < waiting => self.errors.write_next(round),
                (Some(_), None) => self.errors.write_next(round),
                (_, Some(_)) => self.write_next(now, round, &mut lost),
                (None, None) => break,
            }
        }
        lost.append(&mut self.errors.take_lost());
        let unproven = !self.uncovered.is_empty() || self.errors.want_marker();
        if (self.probing || unproven) && self.marker_since.is_none() {
            self.probing = false;
            self.number += 1;
            self.marker_since = Some(now);
            self.covered.append(&mut self.uncovered);
            self.errors.cover();
            put_marker(round, self.number, &self.domain);
        }
        lost
    }

    fn write_next(&mut self, now: Instant, round: &mut BytesMut, lost: &mut Vec<C>) {
        let Some(next) = self.waiting.pop_front() else {
            return;
        };
        let bytes = self.buffer.split_to(next.len);
        if next.is_over(now) {
            lost.extend(next.confirmation);
        } else {
            round.put_slice(&bytes);
            self.uncovered.extend(next.confirmation);
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
                    let mut confirmed = std::mem::take(&mut self.covered);
                    self.errors.confirm(&mut confirmed);
                    Answer::Marker(confirmed)
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

    /// The connection is gone. What was written without being confirmed is lost, except for errors.
    #[must_use = "these are lost"]
    pub(super) fn handle_down(&mut self) -> Vec<C> {
        let mut lost = std::mem::take(&mut self.covered);
        lost.append(&mut self.uncovered);
        self.marker_since = None;
        self.probing = false;
        self.errors.handle_down();
        self.state = match self.state {
            State::Up | State::Down => State::Down,
            State::Draining | State::Closed => State::Closed,
        };
        if self.state == State::Closed {
            lost.append(&mut self.drop_all());
        }
        lost.append(&mut self.errors.take_lost());
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
                self.drop_all()
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
        self.is_closing() && nothing && self.errors.is_empty()
    }

    /// Whether stanzas are written now.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Drops what may wait no longer; to be called every second or so.
    #[must_use = "these are lost"]
    pub(super) fn handle_elapsed(&mut self, now: Instant) -> Vec<C> {
        self.errors.drop_older(now, self.limits.error_grace);
        let mut lost = self.errors.take_lost();
        if self.waiting.iter().any(|waiting| waiting.is_over(now)) {
            lost.append(&mut self.drop_waiting(|waiting| waiting.is_over(now)));
        }
        lost
    }

    /// The errors that nobody will be told of and the log does not know of yet.
    pub(super) fn poll_forgotten(&mut self, now: Instant) -> Option<Forgotten> {
        self.errors.poll_forgotten(now, self.state == State::Closed)
    }

    fn drop_all(&mut self) -> Vec<C> {
        let mut lost = self.drop_waiting(|_| true);
        self.errors.close();
        lost.append(&mut self.errors.take_lost());
        lost
    }

    fn drop_waiting(&mut self, over: impl Fn(&Waiting<C>) -> bool) -> Vec<C> {
        let mut dropped = Vec::new();
        let mut kept = BytesMut::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let bytes = self.buffer.split_to(waiting.len);
            if over(&waiting) {
                dropped.extend(waiting.confirmation);
            } else {
                kept.put_slice(&bytes);
                self.waiting.push_back(waiting);
            }
        }
        self.buffer = kept;
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
