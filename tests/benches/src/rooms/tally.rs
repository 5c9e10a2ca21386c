//! Who is in, and which message has reached whom.

use std::time::{Duration, Instant};

/// What is known of the users of one run, and of the messages that each of them is to get in the order in which they went
/// out.
pub struct Tally {
    users: Vec<User>,
    /// Users that are in their room.
    pub joined: usize,
    /// Why the others are not, or are no longer.
    pub refusals: Vec<String>,
    first: u32,
    sent_at: Vec<Instant>,
    receivers: usize,
    deliveries: usize,
    returned: usize,
    why_returned: Option<String>,
    out_of_order: usize,
    latencies: Vec<Duration>,
}

#[derive(Clone, Copy, Default)]
struct User {
    is_in: bool,
    /// The number after that of the last message.
    next: u32,
}

/// What became of the messages of a measurement.
pub struct Outcome {
    pub sent: usize,
    /// Messages times the users that each was for.
    pub expected: usize,
    pub deliveries: usize,
    /// Deliveries that there will not be: the message, or this copy, was given back.
    pub returned: usize,
    /// Why the first was.
    pub why_returned: Option<String>,
    /// Twice, or after a later one.
    pub out_of_order: usize,
    pub took: Duration,
    /// From the sender's write to each receiver's read, shortest first.
    pub latencies: Vec<Duration>,
}

impl Tally {
    pub fn new(users: usize) -> Tally {
        Tally {
            users: vec![User::default(); users],
            joined: 0,
            refusals: Vec::new(),
            first: 0,
            sent_at: Vec::new(),
            receivers: 0,
            deliveries: 0,
            returned: 0,
            why_returned: None,
            out_of_order: 0,
            latencies: Vec::new(),
        }
    }

    /// The user is in the room.
    pub fn joined(&mut self, user: usize) {
        if let Some(user) = self.users.get_mut(user).filter(|user| !user.is_in) {
            user.is_in = true;
            self.joined += 1;
        }
    }

    /// The user does not get in, or is thrown out.
    pub fn refused(&mut self, user: usize, why: &str) {
        if let Some(known) = self.users.get_mut(user) {
            self.joined -= usize::from(known.is_in);
            known.is_in = false;
            self.refusals.push(format!("user {user}: {why}"));
        }
    }

    /// Users with a fate.
    pub fn accounted(&self) -> usize {
        self.joined + self.refusals.len()
    }

    /// Messages begin, of which each is for so many users.
    pub fn begin(&mut self, receivers: usize) {
        *self = Tally {
            users: std::mem::take(&mut self.users),
            joined: self.joined,
            refusals: std::mem::take(&mut self.refusals),
            first: self.first + self.sent(),
            receivers,
            ..Tally::new(0)
        };
    }

    /// The next message goes out; its number.
    pub fn send(&mut self, now: Instant) -> u32 {
        let seq = self.first + self.sent();
        self.sent_at.push(now);
        seq
    }

    fn sent(&self) -> u32 {
        u32::try_from(self.sent_at.len()).unwrap_or(u32::MAX)
    }

    /// A message has reached a user.
    pub fn delivered(&mut self, user: usize, seq: u32, now: Instant) {
        let sent = seq
            .checked_sub(self.first)
            .and_then(|at| self.sent_at.get(usize::try_from(at).ok()?));
        let (Some(sent), Some(user)) = (sent, self.users.get_mut(user)) else {
            return;
        };
        if seq < user.next {
            self.out_of_order += 1;
            return;
        }
        user.next = seq + 1;
        self.deliveries += 1;
        self.latencies.push(now - *sent);
    }

    /// A message was given back to who wrote it.
    pub fn returned(&mut self, why: &str) {
        self.returned += self.receivers;
        self.why_returned.get_or_insert_with(|| why.to_owned());
    }

    /// The copy for one user was given back.
    pub fn returned_copy(&mut self, why: &str) {
        self.returned += 1;
        self.why_returned.get_or_insert_with(|| why.to_owned());
    }

    /// Messages that have not reached everybody.
    pub fn under_way(&self) -> usize {
        let done = (self.deliveries + self.returned) / self.receivers.max(1);
        self.sent_at.len().saturating_sub(done)
    }

    /// Deliveries and messages given back.
    pub fn heard(&self) -> usize {
        self.deliveries + self.returned + self.out_of_order
    }

    /// The sum of it all.
    pub fn outcome(&mut self, took: Duration) -> Outcome {
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        Outcome {
            sent: self.sent_at.len(),
            expected: self.sent_at.len() * self.receivers,
            deliveries: self.deliveries,
            returned: self.returned,
            why_returned: self.why_returned.take(),
            out_of_order: self.out_of_order,
            took,
            latencies,
        }
    }
}

impl Outcome {
    /// In a second.
    pub fn per_second(&self) -> f64 {
        self.deliveries as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the deliveries (0 to 1) does not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}
