//! Keeping a connection of ours alive, and finding out that it is dead. RFC 5626 §3.5.1, §4.4.1; RFC 6223.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

/// How long the answer to a ping may take. RFC 5626 §4.4.1.
const PATIENCE: Duration = Duration::from_secs(10);
/// What peers that promise to answer can make us ping at most as often as this.
const BRIEFEST: Duration = Duration::from_secs(10);

/// When a connection is pinged, and whether that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    /// The longest pause; each is up to a fifth shorter.
    pause: Duration,
    promise: Promise,
    stage: Stage,
}

/// Whether the peer has said that it answers pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// No: pings keep what lies between open, and silence means nothing.
    None,
    Given,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Quiet { ping_at: Instant },
    Pinged { answer_by: Instant },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Ping,
    /// The peer is gone.
    GiveUp,
}

impl KeepAlive {
    pub(crate) fn new(pause: Duration, random: &mut impl Rng, now: Instant) -> Self {
        let mut keep_alive = Self {
            pause,
            promise: Promise::None,
            stage: Stage::Quiet { ping_at: now },
        };
        keep_alive.wait(random, now);
        keep_alive
    }

    /// The peer promises to answer pings, and wants them this often; zero: as often as we like. RFC 6223.
    pub(crate) fn handle_promise(&mut self, seconds: u32, random: &mut impl Rng, now: Instant) {
        self.promise = Promise::Given;
        let wanted = Duration::from_secs(seconds.into());
        if !wanted.is_zero() && wanted < self.pause {
            self.pause = wanted.max(BRIEFEST);
            if let Stage::Quiet { .. } = self.stage {
                self.wait(random, now);
            }
        }
    }

    /// Something came from the peer.
    pub(crate) fn handle_sign_of_life(&mut self, random: &mut impl Rng, now: Instant) {
        if let Stage::Pinged { .. } = self.stage {
            self.wait(random, now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, random: &mut impl Rng, now: Instant) -> Option<Action> {
        match self.stage {
            Stage::Quiet { ping_at } if ping_at <= now => {
                match self.promise {
                    Promise::None => self.wait(random, now),
                    Promise::Given => {
                        self.stage = Stage::Pinged {
                            answer_by: now + PATIENCE,
                        }
                    }
                }
                Some(Action::Ping)
            }
            Stage::Pinged { answer_by } if answer_by <= now => Some(Action::GiveUp),
            Stage::Quiet { .. } | Stage::Pinged { .. } => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        match self.stage {
            Stage::Quiet { ping_at: at } | Stage::Pinged { answer_by: at } => at,
        }
    }

    fn wait(&mut self, random: &mut impl Rng, now: Instant) {
        let share = random.random_range(0.8..1.0);
        self.stage = Stage::Quiet {
            ping_at: now + self.pause.mul_f64(share),
        };
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// SIP-01. RFC 5626 §4.4.1: pauses differ, and are between four fifths and the whole of what is set.
    #[test]
    fn pauses_are_spread() {
        let mut random = StdRng::seed_from_u64(1);
        let mut now = Instant::now();
        let pause = Duration::from_secs(120);
        let mut keep_alive = KeepAlive::new(pause, &mut random, now);
        let mut pauses = Vec::new();
        for _ in 0..50 {
            pauses.push(keep_alive.poll_timeout() - now);
            now = keep_alive.poll_timeout();
            let action = keep_alive.handle_timeout(&mut random, now);
            assert_eq!(action, Some(Action::Ping));
        }
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(96) && *most <= pause);
        assert!(*most - *least > Duration::from_secs(12));
    }

    /// SIP-01. Who promised to answer has ten seconds for it; whatever comes from him will do.
    #[test]
    fn promises_are_held_to() {
        let mut random = StdRng::seed_from_u64(1);
        let now = Instant::now();
        let mut keep_alive = KeepAlive::new(Duration::from_secs(120), &mut random, now);
        keep_alive.handle_promise(30, &mut random, now);
        let at = keep_alive.poll_timeout();
        assert!(at <= now + Duration::from_secs(30));
        assert_eq!(keep_alive.handle_timeout(&mut random, now), None);
        let ping = keep_alive.handle_timeout(&mut random, at);
        assert_eq!(ping, Some(Action::Ping));
        assert_eq!(keep_alive.poll_timeout(), at + PATIENCE);
        keep_alive.handle_sign_of_life(&mut random, at);
        let at = keep_alive.poll_timeout();
        assert!(at > now + Duration::from_secs(24));
        let ping = keep_alive.handle_timeout(&mut random, at);
        assert_eq!(ping, Some(Action::Ping));
        let end = keep_alive.handle_timeout(&mut random, at + PATIENCE);
        assert_eq!(end, Some(Action::GiveUp));
        // Nobody makes us ping all the time.
        let mut keep_alive = KeepAlive::new(Duration::from_secs(120), &mut random, now);
        keep_alive.handle_promise(1, &mut random, now);
        assert!(keep_alive.poll_timeout() >= now + Duration::from_secs(8));
        let mut keep_alive = KeepAlive::new(Duration::from_secs(120), &mut random, now);
        keep_alive.handle_promise(0, &mut random, now);
        assert!(keep_alive.poll_timeout() >= now + Duration::from_secs(96));
    }
}
