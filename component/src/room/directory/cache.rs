//! What was learnt, for as long as it holds.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A bounded memory. What does not hold any more stays until its place is needed: sometimes it is better than nothing.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    most: usize,
    held: HashMap<K, (V, Instant)>,
    /// When the next look for what holds no more may be: that takes long where there is much.
    sweep: Option<Instant>,
}

/// Between two such looks.
const PAUSE: Duration = Duration::from_secs(1);

impl<K: Eq + Hash, V: Copy> Cache<K, V> {
    pub(super) fn new(most: usize) -> Cache<K, V> {
        Cache {
            most,
            held: HashMap::new(),
            sweep: None,
        }
    }

    /// Keeps it if there is a place.
    pub(super) fn insert(&mut self, key: K, value: V, now: Instant, lasts: Duration) {
        if self.held.len() >= self.most && !self.held.contains_key(&key) {
            if self.sweep.is_none_or(|sweep| sweep <= now) {
                self.sweep = Some(now + PAUSE);
                self.held.retain(|_, (_, until)| *until > now);
            }
            if self.held.len() >= self.most {
                return;
            }
        }
        self.held.insert(key, (value, now + lasts));
    }

    /// What holds.
    pub(super) fn fresh(&self, key: &K, now: Instant) -> Option<V> {
        let (value, until) = self.held.get(key)?;
        (*until > now).then_some(*value)
    }

    /// What held when it was last heard of.
    pub(super) fn last(&self, key: &K) -> Option<V> {
        self.held.get(key).map(|(value, _)| *value)
    }

    /// From now on nothing of it holds.
    pub(super) fn expire(&mut self, now: Instant) {
        for (_, until) in self.held.values_mut() {
            *until = (*until).min(now);
        }
    }
}
