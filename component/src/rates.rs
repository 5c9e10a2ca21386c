//! How fast new work may come from one source (SEC-13): far above what anybody honest sends, and low enough that one
//! source cannot take all there is.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Sources that are counted at a time; of more only those are that were there before.
const SOURCES: usize = 65_536;

/// A steady rate with room for bursts, for each source of its own.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    /// Between two pieces of work at the steady rate.
    pause: Duration,
    /// How far ahead of the steady rate a source may be.
    burst: Duration,
    /// When the source would be done at the steady rate with all it has brought.
    done_by_source: HashMap<K, Instant>,
    /// When those that are done may be looked for again: that takes long where they are many.
    swept: Option<Instant>,
}

/// Between two looks for those that are done.
const SWEEP: Duration = Duration::from_secs(1);

impl<K: Eq + Hash + Clone> Rates<K> {
    /// `per_second`: at least 1. `burst`: pieces of work that may come at once.
    pub fn new(per_second: u32, burst: u32) -> Rates<K> {
        let pause = Duration::from_secs(1) / per_second.max(1);
        Rates {
            pause,
            burst: pause * burst,
            done_by_source: HashMap::new(),
            swept: None,
        }
    }

    /// Whether a piece of work is taken from that source; it counts only if it is.
    pub fn take(&mut self, source: &K, now: Instant) -> bool {
        if let Some(done) = self.done_by_source.get_mut(source) {
            let start = (*done).max(now);
            if start.duration_since(now) > self.burst {
                return false;
            }
            *done = start + self.pause;
            return true;
        }
        let is_swept = self.swept.is_some_and(|at| now < at + SWEEP);
        if self.done_by_source.len() >= SOURCES && !is_swept {
            self.swept = Some(now);
            self.done_by_source.retain(|_, done| *done > now);
        }
        if self.done_by_source.len() < SOURCES {
            self.done_by_source.insert(source.clone(), now + self.pause);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-13
    #[test]
    fn who_brings_too_much_waits_and_others_do_not() {
        let mut rates = Rates::new(10, 5);
        let mut now = Instant::now();
        let taken = (0..100).filter(|_| rates.take(&"iago", now)).count();
        assert_eq!(taken, 6, "the first, and a burst of five");
        assert!(rates.take(&"juliet", now));
        for _ in 0..20 {
            now += Duration::from_millis(100);
            assert!(rates.take(&"iago", now), "the steady rate");
            assert!(!rates.take(&"iago", now));
        }
        now += Duration::from_secs(60);
        let taken = (0..100).filter(|_| rates.take(&"iago", now)).count();
        assert_eq!(taken, 6);
    }

    // SEC-13, SEC-14
    #[test]
    fn many_sources_do_not_fill_the_memory() {
        let mut rates = Rates::new(1, 1);
        let now = Instant::now();
        for source in 0..SOURCES * 2 {
            assert!(rates.take(&source, now));
        }
        assert_eq!(rates.done_by_source.len(), SOURCES);
        assert!(rates.take(&usize::MAX, now + Duration::from_secs(2)));
        assert_eq!(rates.done_by_source.len(), 1);
    }
}
