//! Our requests that wait for a response.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Outbound;
use crate::{FailureReport, Ident, Unconfirmed};

/// A session's transactions under way, in the order they were written.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// By ascending sequence.
    list: VecDeque<Transaction>,
    next_sequence: u64,
    /// Those of the list that still await something.
    unanswered: usize,
    /// Bytes of the messages that await something.
    kept: usize,
}

#[derive(Debug)]
struct Transaction {
    sequence: u64,
    id: Ident,
    /// The stream's position after its last byte.
    end: u64,
    awaits: Awaits,
}

/// What a response is for.
#[derive(Debug)]
pub(super) enum Awaits {
    Binding,
    /// A request that only shows that the session lives.
    KeepAlive,
    Nickname {
        token: u64,
    },
    /// A message in one chunk.
    Message(Unconfirmed),
    /// One of several chunks.
    Chunk {
        token: u64,
    },
    /// Nothing more; stays until those before it are done too.
    Nothing,
}

/// What the oldest transaction says about time.
pub(super) enum Oldest {
    Expired(Awaits),
    Due(Instant),
    None,
}

impl Transactions {
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Bytes held so that they can be given back.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unanswered == 0
    }

    /// A request with that id was put at the end of the queue.
    pub(super) fn begin(
        &mut self,
        id: Ident,
        awaits: Awaits,
        outbound: &mut Outbound,
        deadline: Instant,
    ) {
        self.begin_at(id, awaits, outbound.end(), outbound, deadline);
    }

    /// A request was written whose last byte is at that position of the stream.
    pub(super) fn begin_at(
        &mut self,
        id: Ident,
        awaits: Awaits,
        end: u64,
        outbound: &mut Outbound,
        deadline: Instant,
    ) {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        outbound.begin(id, sequence);
        self.unanswered += 1;
        self.kept = self.kept.saturating_add(awaits.kept());
        if self.list.capacity() == 0 {
            self.list.reserve_exact(1);
        }
        self.list.push_back(Transaction {
            sequence,
            id,
            end,
            awaits,
        });
        outbound.arm(deadline);
    }

    /// A response came; `None` if it fits nothing.
    pub(super) fn answer(&mut self, id: &Ident, outbound: &mut Outbound) -> Option<Awaits> {
        let sequence = outbound.sequence(id)?;
        let index = self.index_of(sequence)?;
        let transaction = self.list.get_mut(index)?;
        if transaction.id != *id {
            return None;
        }
        let awaits = std::mem::replace(&mut transaction.awaits, Awaits::Nothing);
        outbound.forget(id);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.kept = self.kept.saturating_sub(awaits.kept());
        self.drop_answered();
        Some(awaits)
    }

    /// Takes the oldest if it has waited `timeout` since its last byte was written.
    pub(super) fn expire_oldest(
        &mut self,
        now: Instant,
        timeout: Duration,
        outbound: &mut Outbound,
    ) -> Oldest {
        self.drop_answered();
        let Some(transaction) = self.list.front() else {
            return Oldest::None;
        };
        let deadline = match outbound.written_at(transaction.end) {
            Some(written) => written + timeout,
            // Not even written: the connection's own watch sees to that.
            None => now + timeout,
        };
        if deadline > now {
            return Oldest::Due(deadline);
        }
        self.take_oldest(outbound)
            .map_or(Oldest::None, Oldest::Expired)
    }

    /// With `partial` no answer is the good answer: the oldest such transaction may make room for a new one.
    pub(super) fn forget_oldest_partial(&mut self, outbound: &mut Outbound) -> bool {
        let is_partial = self.list.front().is_some_and(|transaction| {
            matches!(
                transaction.awaits,
                Awaits::Message(ref unconfirmed)
                    if unconfirmed.outgoing.failure_report == FailureReport::Partial
            )
        });
        is_partial && self.take_oldest(outbound).is_some()
    }

    /// No response matters any more; the messages that await one, in their order.
    pub(super) fn end(&mut self, outbound: &mut Outbound) -> Vec<Unconfirmed> {
        let mut unconfirmed = Vec::new();
        for transaction in std::mem::take(self).list {
            match transaction.awaits {
                Awaits::Nothing => continue,
                Awaits::Message(message) => unconfirmed.push(message),
                Awaits::Binding
                | Awaits::KeepAlive
                | Awaits::Nickname { .. }
                | Awaits::Chunk { .. } => {}
            }
            outbound.forget(&transaction.id);
        }
        unconfirmed
    }

    fn take_oldest(&mut self, outbound: &mut Outbound) -> Option<Awaits> {
        let transaction = self.list.pop_front()?;
        outbound.forget(&transaction.id);
        self.unanswered = self.unanswered.saturating_sub(1);
        self.kept = self.kept.saturating_sub(transaction.awaits.kept());
        self.drop_answered();
        Some(transaction.awaits)
    }

    fn index_of(&self, sequence: u64) -> Option<usize> {
        match self.list.front() {
            Some(first) if first.sequence == sequence => Some(0),
            _ => self
                .list
                .binary_search_by_key(&sequence, |transaction| transaction.sequence)
                .ok(),
        }
    }

    /// Lets go of transactions that await nothing: at the front always, elsewhere when they become the most.
    fn drop_answered(&mut self) {
        let is_answered = |transaction: &Transaction| matches!(transaction.awaits, Awaits::Nothing);
        while self.list.front().is_some_and(is_answered) {
            self.list.pop_front();
        }
        if self.list.len() > 2 * self.unanswered + 64 {
            self.list.retain(|transaction| !is_answered(transaction));
        }
        // An idle session keeps room for one (PERF-6).
        if self.list.is_empty() && self.list.capacity() > 1 {
            self.list = VecDeque::new();
        }
    }
}

impl Awaits {
    fn kept(&self) -> usize {
        match self {
            Awaits::Message(unconfirmed) => unconfirmed.outgoing.body.len(),
            Awaits::Binding
            | Awaits::KeepAlive
            | Awaits::Nickname { .. }
            | Awaits::Chunk { .. }
            | Awaits::Nothing => 0,
        }
    }
}
