//! Errors to users, which survive what other stanzas do not: an error is how a message is given back, and nobody is told
//! when it is lost. CHAT-38, IM-05.
//!
//! They are kept until a marker has come back after them, and written again on the next connection when it has not: the
//! user may then get one twice, which does no harm.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::Instant;

use super::OutboxLimits;
use crate::xmpp::link::Confirmation;

/// So often an error is written: the server may break one connection after the other because of this very stanza.
const TIMES: u8 = 3;

/// Between two reports of what was forgotten.
const REPORT: Duration = Duration::from_secs(60);

/// How many errors nobody was told, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::xmpp) struct Forgotten {
    /// Newer ones took their room.
    pub(in crate::xmpp) no_room: u64,
    /// They waited for too long.
    pub(in crate::xmpp) too_old: u64,
    /// Every connection they were written to broke.
    pub(in crate::xmpp) broken: u64,
    /// The link was closed before.
    pub(in crate::xmpp) closed: u64,
}

#[derive(Debug)]
struct Kept<C> {
    /// Its place among all stanzas of the outbox.
    place: u64,
    bytes: Bytes,
    since: Instant,
    times: u8,
    confirmation: Option<C>,
}

/// The errors of an outbox, the oldest first.
///
/// The first `covered` are written before the marker under way; those up to `written` are written, too; the rest waits.
#[derive(Debug)]
pub(super) struct Errors<C> {
    kept: VecDeque<Kept<C>>,
    covered: usize,
    written: usize,
    /// Of all of them together.
    bytes: usize,
    /// Confirmations of what is forgotten.
    lost: Vec<C>,
    forgotten: Forgotten,
    reported: Option<Instant>,
}

impl<C: Confirmation> Errors<C> {
    pub(super) fn new() -> Errors<C> {
        Errors {
            kept: VecDeque::new(),
            covered: 0,
            written: 0,
            bytes: 0,
            lost: Vec::new(),
            forgotten: Forgotten::default(),
            reported: None,
        }
    }

    /// Takes a written-out stanza, if need be in place of the oldest ones. Gives the confirmation back when even an
    /// empty queue has no room.
    pub(super) fn push(
        &mut self,
        bytes: Bytes,
        place: u64,
        confirmation: Option<C>,
        now: Instant,
        limits: &OutboxLimits,
    ) -> Result<(), Option<C>> {
        let most = limits.error_bytes;
        if bytes.len() > most || limits.errors == 0 {
            return Err(confirmation);
        }
        while self.kept.len() >= limits.errors || self.bytes + bytes.len() > most {
            self.forgotten.no_room += 1;
            self.forget_oldest();
        }
        self.bytes += bytes.len();
        self.kept.push_back(Kept {
            place,
            bytes,
            since: now,
            times: 0,
            confirmation,
        });
        Ok(())
    }

    /// The place of the one to be written next.
    pub(super) fn next_place(&self) -> Option<u64> {
        self.kept.get(self.written).map(|next| next.place)
    }

    /// Appends the one to be written next to `round`.
    pub(super) fn write_next(&mut self, round: &mut BytesMut) {
        let Some(next) = self.kept.get_mut(self.written) else {
            return;
        };
        if is_withdrawn(next.confirmation.as_ref()) {
            let withdrawn = self.kept.remove(self.written);
            self.let_go(withdrawn);
            return;
        }
        round.put_slice(&next.bytes);
        next.times += 1;
        self.written += 1;
    }

    /// Whether some are written that no marker under way covers.
    pub(super) fn want_marker(&self) -> bool {
        self.written > self.covered
    }

    /// A marker is written.
    pub(super) fn cover(&mut self) {
        self.covered = self.written;
    }

    /// The marker came back: adds to `confirmed` whom to tell.
    pub(super) fn confirm(&mut self, confirmed: &mut Vec<C>) {
        for _ in 0..self.covered {
            let Some(taken) = self.pop_oldest() else {
                break;
            };
            confirmed.extend(taken.confirmation);
        }
    }

    /// The connection is gone: what was written is to be written again.
    pub(super) fn handle_down(&mut self) {
        let written = std::mem::take(&mut self.written);
        self.covered = 0;
        let waiting = self.kept.split_off(written);
        for kept in std::mem::replace(&mut self.kept, waiting).into_iter().rev() {
            if kept.times < TIMES {
                self.kept.push_front(kept);
            } else {
                self.forgotten.broken += 1;
                self.let_go(Some(kept));
            }
        }
    }

    /// Drops what is older than that.
    pub(super) fn drop_older(&mut self, now: Instant, age: Duration) {
        let over = |kept: &Kept<C>| now.saturating_duration_since(kept.since) >= age;
        while self.kept.front().is_some_and(over) {
            self.forgotten.too_old += 1;
            self.forget_oldest();
        }
    }

    /// Drops all.
    pub(super) fn close(&mut self) {
        self.forgotten.closed += self.kept.len() as u64;
        while !self.kept.is_empty() {
            self.forget_oldest();
        }
    }

    /// Who is to be told that theirs was dropped.
    pub(super) fn take_lost(&mut self) -> Vec<C> {
        std::mem::take(&mut self.lost)
    }

    /// What was forgotten since the last report, if there is something to report; at most once a minute, except for
    /// the last one.
    pub(super) fn poll_forgotten(&mut self, now: Instant, last: bool) -> Option<Forgotten> {
        let recent = self
            .reported
            .is_some_and(|reported| now.saturating_duration_since(reported) < REPORT);
        if self.forgotten == Forgotten::default() || (recent && !last) {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.forgotten))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.pop_oldest() {
            self.lost.extend(oldest.confirmation);
        }
    }

    fn pop_oldest(&mut self) -> Option<Kept<C>> {
        let oldest = self.kept.pop_front()?;
        self.bytes -= oldest.bytes.len();
        self.covered = self.covered.saturating_sub(1);
        self.written = self.written.saturating_sub(1);
        Some(oldest)
    }

    fn let_go(&mut self, kept: Option<Kept<C>>) {
        if let Some(kept) = kept {
            self.bytes -= kept.bytes.len();
            self.lost.extend(kept.confirmation);
        }
    }
}

pub(super) fn is_withdrawn<C: Confirmation>(confirmation: Option<&C>) -> bool {
    confirmation.is_some_and(C::is_withdrawn)
}
