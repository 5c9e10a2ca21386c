//! The one queue of all deadlines. An entry that is no longer wanted stays until it comes up, and is
//! ignored then: nothing is searched for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

/// Delays there are many timers of. Timers of one delay come up in the order in which they were set.
const LANES: usize = 4;

/// Entries a lane keeps its memory for when it is empty.
const CALM: usize = 1024;

#[derive(Debug)]
pub(super) struct TimerQueue<K> {
    /// Each in order, so that what comes last is put at the end: each delay finds a lane of its own.
    lanes: [VecDeque<(Instant, K)>; LANES],
    /// What fits in none.
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
            lanes: std::array::from_fn(|_| VecDeque::new()),
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
            scheduled.0 = Some(deadline);
            self.put(deadline, key);
        }
    }

    /// Where the least time lies between the last of a lane and this; an empty lane comes last.
    fn put(&mut self, deadline: Instant, key: K) {
        let fitting = self.lanes.iter_mut().filter_map(|lane| {
            let last = lane.back().map(|(at, _)| *at);
            last.is_none_or(|last| last <= deadline)
                .then_some((last, lane))
        });
        match fitting.max_by_key(|(last, _)| *last) {
            Some((_, lane)) => lane.push_back((deadline, key)),
            None => self.heap.push(Reverse((deadline, key))),
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let of_heap = self.heap.peek().map(|Reverse((at, _))| *at);
        let of_lanes = self.lanes.iter().filter_map(|lane| Some(lane.front()?.0));
        of_lanes.chain(of_heap).min()
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let next = self.next().filter(|next| *next <= now)?;
        let is_next =
            |lane: &&mut VecDeque<(Instant, K)>| lane.front().is_some_and(|(at, _)| *at == next);
        match self.lanes.iter_mut().find(is_next) {
            Some(lane) => {
                let entry = lane.pop_front();
                // After a flood.
                if lane.is_empty() && lane.capacity() > CALM {
                    *lane = VecDeque::new();
                }
                entry
            }
            None => self.heap.pop().map(|Reverse(entry)| entry),
        }
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

    #[test]
    fn whatever_the_delays_all_come_up_in_order() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        let mut expected = Vec::new();
        for number in 0..500_u64 {
            let delay = [500, 4000, 32_000, 250, 180_000, 7][number as usize % 6];
            let at = now + Duration::from_millis(number * 3 + delay);
            queue.schedule(number, Some(at), &mut Scheduled::default());
            expected.push(at);
        }
        expected.sort();
        let end = now + Duration::from_secs(3600);
        let fired = std::iter::from_fn(|| queue.pop_due(end));
        let (fired_at, mut keys): (Vec<_>, Vec<_>) = fired.unzip();
        assert_eq!(fired_at, expected);
        keys.sort();
        assert_eq!(keys, (0..500).collect::<Vec<_>>());
        assert_eq!(queue.next(), None);
    }
}
