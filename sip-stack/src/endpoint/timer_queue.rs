//! The one queue of all deadlines. An entry that is no longer wanted stays until it comes up, and is
//! ignored then: nothing is searched for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct TimerQueue<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// When the owner of a key is due in the queue; kept with the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scheduled(Option<Instant>);

impl Scheduled {
    /// Whether this is the entry that counts; then the owner has to schedule itself anew.
    pub(super) fn take(&mut self, at: Instant) -> bool {
        let counts = self.0 == Some(at);
        if counts {
            self.0 = None;
        }
        counts
    }
}

impl<K: Ord> TimerQueue<K> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Wakes the owner of `key` at `deadline` or before.
    pub(super) fn schedule(
        &mut self,
        key: K,
        deadline: Option<Instant>,
        scheduled: &mut Scheduled,
    ) {
        let Some(deadline) = deadline else { return };
        if scheduled.0.is_none_or(|at| deadline < at) {
            self.heap.push(Reverse((deadline, key)));
            scheduled.0 = Some(deadline);
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_earliest_entry_of_a_key_counts() {
        let now = Instant::now();
        let (mut queue, mut scheduled) = (TimerQueue::new(), Scheduled::default());
        queue.schedule('a', Some(now + Duration::from_secs(5)), &mut scheduled);
        queue.schedule('a', Some(now + Duration::from_secs(9)), &mut scheduled);
        queue.schedule('a', Some(now + Duration::from_secs(2)), &mut scheduled);
        assert_eq!(queue.next(), Some(now + Duration::from_secs(2)));
        assert_eq!(queue.pop_due(now), None);
        let (at, key) = queue.pop_due(now + Duration::from_secs(6)).unwrap();
        assert_eq!((key, scheduled.take(at)), ('a', true));
        let (at, _) = queue.pop_due(now + Duration::from_secs(6)).unwrap();
        assert!(!scheduled.take(at));
        assert_eq!(queue.next(), None);
    }
}
