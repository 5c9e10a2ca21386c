//! What the switch may send back of what a user wrote (RX-22).

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// As many are remembered.
const REMEMBERED: usize = 256;

/// The user's last messages, of each member until the switch has sent it back to that one.
#[derive(Debug, Default)]
pub struct Echoes {
    expected: VecDeque<(u64, Instant)>,
}

impl Echoes {
    /// The user has written this.
    pub fn expect(&mut self, body: &str, now: Instant) {
        if self.expected.len() >= REMEMBERED {
            self.expected.pop_front();
        }
        self.expected.push_back((hash(body), now));
    }

    /// Whether this is one of them, no older than `patience`; it is known no more.
    pub fn is_echo(&mut self, body: &str, now: Instant, patience: Duration) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) <= patience;
        self.expected.retain(|(_, at)| is_fresh(*at));
        let hash = hash(body);
        let found = self.expected.iter().position(|(known, _)| *known == hash);
        found.and_then(|at| self.expected.remove(at)).is_some()
    }
}

/// Line ends may have changed on the way, and blanks at the end.
fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in body.trim_end().lines() {
        line.trim_end().hash(&mut hasher);
    }
    hasher.finish()
}
