//! How long to wait before the next attempt to connect. DISCO-01.

use std::time::Duration;

use rand::{Rng, RngExt};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A refusal that only an operator can lift is not worth asking about more often.
const REFUSED: Duration = Duration::from_secs(15);

/// Growing pauses with jitter: at most 1 s before the first attempt, doubling up to 60 s.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { ceiling: FIRST }
    }

    /// A connection has proven itself: the next pause is a short one again.
    pub(super) fn reset(&mut self) {
        self.ceiling = FIRST;
    }

    /// The pause before the next attempt, after the server was not there or went away.
    pub(super) fn pause(&mut self, rng: &mut impl Rng) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(LONGEST);
        // Between half of it and all of it: components that lost the same server do not come back at once.
        whole_milliseconds(ceiling.mul_f64(rng.random_range(0.5..=1.0)))
    }

    /// The pause after the server has refused us for a reason that only an operator can remove.
    pub(super) fn pause_refused(&mut self, rng: &mut impl Rng) -> Duration {
        self.ceiling = self.ceiling.max(REFUSED);
        self.pause(rng)
    }
}

/// Operators read these pauses in the log.
fn whole_milliseconds(pause: Duration) -> Duration {
    Duration::new(pause.as_secs(), pause.subsec_millis() * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn pauses_grow_from_one_second_to_sixty() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new();
        for ceiling in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let pause = backoff.pause(&mut rng);
            assert_eq!(pause.subsec_nanos() % 1_000_000, 0, "{pause:?}");
            let pause = pause.as_secs_f64();
            let ceiling = f64::from(ceiling);
            assert!(
                (ceiling / 2.0..=ceiling).contains(&pause),
                "{pause} of {ceiling}"
            );
        }
        backoff.reset();
        assert!(backoff.pause(&mut rng) <= Duration::from_secs(1));
    }

    #[test]
    fn refusals_are_slow_from_the_start() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new();
        assert!(backoff.pause_refused(&mut rng) >= Duration::from_secs(7));
        for _ in 0..10 {
            assert!(backoff.pause_refused(&mut rng) <= Duration::from_secs(60));
        }
    }
}
