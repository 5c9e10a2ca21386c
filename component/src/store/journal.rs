//! What is kept and not in the file yet. Knows no clock and no file.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::EntryId;

/// What is released within this time never sees the file. The price: a process that is killed takes the messages of so
/// many milliseconds with it, as it does those that it has not read yet.
pub(super) const SETTLING: Duration = Duration::from_millis(5);

/// What is not urgent goes with the next message, or after so long alone.
const IDLY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Journal {
    /// The name of the first of `fresh`; older ones are in the file.
    first: u64,
    fresh: VecDeque<Option<Fresh>>,
    /// In the file, and to be taken out.
    released: Vec<EntryId>,
    uri_by_address: HashMap<Arc<str>, String>,
    call_ids: Vec<u64>,
    /// When the first of them came.
    call_ids_since: Option<Instant>,
    state: State,
}

#[derive(Debug)]
struct Fresh {
    since: Instant,
    received: SystemTime,
    stanza: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// One commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub kept: Vec<(EntryId, SystemTime, Bytes)>,
    pub released: Vec<EntryId>,
    pub spellings: Vec<(Arc<str>, String)>,
    pub call_ids: Vec<u64>,
}

impl Journal {
    /// An empty one, whose first entry gets that name.
    pub fn beginning_at(first: u64) -> Journal {
        Journal {
            first,
            fresh: VecDeque::new(),
            released: Vec::new(),
            uri_by_address: HashMap::new(),
            call_ids: Vec::new(),
            call_ids_since: None,
            state: State::Open,
        }
    }

    pub fn keep(&mut self, stanza: Bytes, now: Instant, received: SystemTime) -> EntryId {
        let entry = EntryId(self.first + self.fresh.len() as u64);
        self.fresh.push_back(Some(Fresh {
            since: now,
            received,
            stanza,
        }));
        entry
    }

    pub fn release(&mut self, entry: EntryId) {
        let Some(at) = entry.0.checked_sub(self.first) else {
            return self.released.push(entry);
        };
        if let Some(fresh) = usize::try_from(at)
            .ok()
            .and_then(|at| self.fresh.get_mut(at))
        {
            *fresh = None;
        }
        while let Some(None) = self.fresh.front() {
            self.fresh.pop_front();
            self.first += 1;
        }
    }

    pub fn note_spelling(&mut self, address: Arc<str>, uri: String) {
        self.uri_by_address.insert(address, uri);
    }

    pub fn note_call_id(&mut self, hash: u64, now: Instant) {
        self.call_ids.push(hash);
        self.call_ids_since.get_or_insert(now);
    }

    /// From now on everything is due at once.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// When [`Journal::take`] is due. What is in the file and was handed on must leave it soon, for a process that is
    /// killed before would hand it on once more.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.released.is_empty() || !self.uri_by_address.is_empty() {
            return Some(now);
        }
        let oldest = self.fresh.iter().flatten().next();
        let due = oldest.map(|oldest| oldest.since + SETTLING);
        let due = due
            .into_iter()
            .chain(self.call_ids_since.map(|since| since + IDLY))
            .min()?;
        Some(match self.state {
            State::Open => due,
            State::Closed => now,
        })
    }

    /// What is to be written now.
    pub fn take(&mut self, now: Instant) -> Batch {
        let mut batch = Batch {
            kept: Vec::new(),
            released: std::mem::take(&mut self.released),
            spellings: self.uri_by_address.drain().collect(),
            call_ids: std::mem::take(&mut self.call_ids),
        };
        self.call_ids_since = None;
        while let Some(oldest) = self.fresh.front() {
            let is_due =
                |fresh: &Fresh| self.state == State::Closed || fresh.since + SETTLING <= now;
            if !oldest.as_ref().is_none_or(is_due) {
                break;
            }
            let entry = EntryId(self.first);
            self.first += 1;
            if let Some(Some(fresh)) = self.fresh.pop_front() {
                batch.kept.push((entry, fresh.received, fresh.stanza));
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(journal: &mut Journal, now: Instant) -> EntryId {
        journal.keep(
            Bytes::from_static(b"<message/>"),
            now,
            SystemTime::UNIX_EPOCH,
        )
    }

    fn names(batch: &Batch) -> Vec<u64> {
        batch.kept.iter().map(|(entry, ..)| entry.0).collect()
    }

    #[test]
    fn what_is_settled_soon_is_never_written() {
        let (mut journal, now) = (Journal::beginning_at(7), Instant::now());
        let entries = [(); 3].map(|()| keep(&mut journal, now));
        assert_eq!(journal.poll_timeout(now), Some(now + SETTLING));
        // In another order than they came.
        for at in [1, 0, 2] {
            journal.release(entries[at]);
        }
        assert_eq!(journal.poll_timeout(now), None);
        assert!(journal.take(now + SETTLING).kept.is_empty());
    }

    #[test]
    fn what_lasts_is_written_and_taken_out_again() {
        let (mut journal, now) = (Journal::beginning_at(0), Instant::now());
        let early = keep(&mut journal, now);
        let settled = keep(&mut journal, now);
        let late = keep(&mut journal, now + SETTLING);
        journal.release(settled);
        let batch = journal.take(now + SETTLING);
        assert_eq!(names(&batch), [early.0]);
        assert!(batch.released.is_empty());

        journal.release(early);
        assert_eq!(journal.poll_timeout(now), Some(now));
        let batch = journal.take(now + SETTLING);
        assert_eq!((names(&batch), batch.released), (vec![], vec![early]));

        assert_eq!(names(&journal.take(now + 2 * SETTLING)), [late.0]);
        assert_eq!(journal.poll_timeout(now), None);
    }

    #[test]
    fn call_ids_go_with_the_next_message_or_alone_in_the_end() {
        let (mut journal, now) = (Journal::beginning_at(0), Instant::now());
        journal.note_call_id(1, now);
        journal.note_call_id(2, now + SETTLING);
        assert_eq!(journal.poll_timeout(now), Some(now + IDLY));
        keep(&mut journal, now);
        assert_eq!(journal.poll_timeout(now), Some(now + SETTLING));
        assert_eq!(journal.take(now + SETTLING).call_ids, [1, 2]);
        assert_eq!(journal.poll_timeout(now), None);
        journal.note_call_id(3, now);
        journal.close();
        assert_eq!(journal.poll_timeout(now), Some(now));
        assert_eq!(journal.take(now).call_ids, [3]);
    }

    #[test]
    fn the_end_waits_for_nothing() {
        let (mut journal, now) = (Journal::beginning_at(0), Instant::now());
        let entry = keep(&mut journal, now);
        journal.close();
        assert_eq!(journal.poll_timeout(now), Some(now));
        assert_eq!(names(&journal.take(now)), [entry.0]);
        assert_eq!(journal.poll_timeout(now), None);
    }
}
