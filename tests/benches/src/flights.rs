//! What became of each message: when it went out, when it arrived, or that it was given back.

use std::time::{Duration, Instant};

/// The messages of one measurement.
#[derive(Default)]
pub struct Flights {
    first: u32,
    sent_at: Vec<Instant>,
    fates: Vec<Fate>,
    latencies: Vec<Duration>,
    refused: usize,
    contradicted: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Delivered,
    Refused,
}

/// What a measurement came to.
pub struct Outcome {
    pub sent: usize,
    pub delivered: usize,
    /// Given back to the sender as an error.
    pub refused: usize,
    /// Neither delivered nor given back.
    pub lost: usize,
    /// Delivered and given back, or delivered twice.
    pub contradicted: usize,
    pub took: Duration,
    /// Of those delivered, shortest first.
    pub latencies: Vec<Duration>,
}

impl Flights {
    /// `first`: the number of the first message.
    pub fn new(first: u32, total: u32) -> Flights {
        Flights {
            first,
            sent_at: Vec::with_capacity(total as usize),
            fates: Vec::with_capacity(total as usize),
            latencies: Vec::with_capacity(total as usize),
            ..Flights::default()
        }
    }

    /// The next message goes out.
    pub fn sent(&mut self, now: Instant) {
        self.sent_at.push(now);
        self.fates.push(Fate::UnderWay);
    }

    /// It has arrived.
    pub fn delivered(&mut self, seq: u32, now: Instant) {
        let Some(at) = self.position(seq) else {
            return;
        };
        if self.end(at, Fate::Delivered)
            && let Some(sent) = self.sent_at.get(at)
        {
            self.latencies.push(now - *sent);
        }
    }

    /// It was given back.
    pub fn refused(&mut self, seq: u32) {
        if let Some(at) = self.position(seq)
            && self.end(at, Fate::Refused)
        {
            self.refused += 1;
        }
    }

    /// Messages without a fate so far.
    pub fn under_way(&self) -> usize {
        self.fates.len() - self.accounted()
    }

    /// Messages with one.
    pub fn accounted(&self) -> usize {
        self.latencies.len() + self.refused
    }

    /// The sum of it all.
    pub fn outcome(mut self, took: Duration) -> Outcome {
        self.latencies.sort_unstable();
        Outcome {
            sent: self.fates.len(),
            delivered: self.latencies.len(),
            refused: self.refused,
            lost: self.under_way(),
            contradicted: self.contradicted,
            took,
            latencies: self.latencies,
        }
    }

    fn position(&self, seq: u32) -> Option<usize> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        (at < self.fates.len()).then_some(at)
    }

    /// Whether this is its first fate.
    fn end(&mut self, at: usize, fate: Fate) -> bool {
        match self.fates.get_mut(at) {
            Some(known) if *known == Fate::UnderWay => {
                *known = fate;
                true
            }
            Some(_) => {
                self.contradicted += 1;
                false
            }
            None => false,
        }
    }
}

impl Outcome {
    /// Delivered in a second.
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the messages (0 to 1) does not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}
