//! The four transaction machines of RFC 3261 §17, one per figure.
//!
//! A machine knows states and timers only: it is told what happened and says what is to be done.
//! Messages, branches and addresses are the endpoint's. Each has `on` for one event in one state,
//! `on_time` for its timers, and `deadline` for when it wants to be called next.

use std::time::{Duration, Instant};

pub(crate) mod client_invite;
pub(crate) mod client_non_invite;
pub(crate) mod reliable_provisional;
pub(crate) mod server_invite;
pub(crate) mod server_non_invite;

/// A timer that fires again and again at growing intervals: A, E and G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    at: Instant,
    interval: Duration,
}

impl Repeat {
    /// Fires first after `interval`.
    pub(crate) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            at: now + interval,
            interval,
        }
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Whether it fires now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// The same timer after it fired, with twice the interval but at most `cap`.
    pub(crate) fn doubled(self, now: Instant, cap: Option<Duration>) -> Self {
        let doubled = self.interval.saturating_mul(2);
        Self::new(now, cap.map_or(doubled, |cap| doubled.min(cap)))
    }
}

fn earlier(repeat: Option<Repeat>, end: Instant) -> Instant {
    repeat.map_or(end, |repeat| repeat.at.min(end))
}
