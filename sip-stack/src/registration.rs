//! A registration that is kept: when it is refreshed, tried again and taken back. RFC 3261 §10.2; SIP-20.

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::{Failure, Status};

/// The first pause after a failure; each further one is twice as long. RFC 5626 §4.5.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause after a failure. RFC 5626 §4.5.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);
/// Seconds; a registrar that wants longer registrations than this is refused.
const LONGEST: u32 = 7 * 24 * 3600;
/// The least pause between two refreshes.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// What we do to stay registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registrant {
    stage: Stage,
    /// Seconds asked for.
    wanted: u32,
    /// Until when the registrar knows us, as far as we know.
    bound_until: Option<Instant>,
    /// Since the last success.
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A REGISTER is under way.
    Asking(Then),
    Registered {
        refresh_at: Instant,
    },
    /// The last REGISTER failed.
    Waiting {
        again_at: Instant,
    },
    /// The REGISTER that takes the registration back is under way.
    Leaving,
    Ended,
}

/// What follows the answer that is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Leave,
}

/// Why we are not registered, or may not be for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationFailure {
    /// The registrar refused, credentials that we have notwithstanding.
    #[error("the registrar answered {0}")]
    Refused(Status),
    /// No answer came.
    #[error(transparent)]
    Unanswered(#[from] Failure),
    /// The registrar accepted and does not know our contact all the same.
    #[error("the registrar does not list our contact")]
    NotListed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a REGISTER for so many seconds; 0 takes the registration back.
    Register(u32),
    /// We are registered for so many seconds.
    TellRegistered(u32),
    /// We are not; it is tried again after this time.
    TellFailed(RegistrationFailure, Duration),
    /// It is over.
    End,
}

/// What a refusal asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Seconds, of a 423.
    pub(crate) min_expires: Option<u32>,
    /// Seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Registrant {
    pub(crate) fn new(wanted: u32, out: &mut Vec<Action>) -> Self {
        let wanted = wanted.clamp(1, LONGEST);
        out.push(Action::Register(wanted));
        Self {
            stage: Stage::Asking(Then::Stay),
            wanted,
            bound_until: None,
            failures: 0,
        }
    }

    /// A 2xx: our contact is known for so many seconds; `None` or 0: it is not.
    pub(crate) fn handle_accepted(
        &mut self,
        granted: Option<u32>,
        random: &mut impl Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match (self.stage, granted) {
            (Stage::Asking(then), Some(seconds @ 1..)) => {
                let seconds = seconds.min(LONGEST);
                let period = Duration::from_secs(seconds.into());
                self.bound_until = Some(now + period);
                self.failures = 0;
                match then {
                    Then::Stay => {
                        self.stage = Stage::Registered {
                            refresh_at: now + period.mul_f64(0.8).max(LEAST_PAUSE),
                        };
                        out.push(Action::TellRegistered(seconds));
                    }
                    Then::Leave => self.take_back(out),
                }
            }
            (Stage::Asking(_), None | Some(0)) => {
                self.bound_until = None;
                self.fail(RegistrationFailure::NotListed, None, random, now, out);
            }
            (Stage::Leaving, _) => self.end(out),
            (Stage::Registered { .. } | Stage::Waiting { .. } | Stage::Ended, _) => {}
        }
    }

    /// A final response other than 2xx.
    pub(crate) fn handle_refused(
        &mut self,
        status: Status,
        wish: Wish,
        random: &mut impl Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match (self.stage, wish.min_expires) {
            // Longer, at once. RFC 3261 §10.2.8.
            (Stage::Asking(Then::Stay), Some(least))
                if status == Status::INTERVAL_TOO_BRIEF
                    && least > self.wanted
                    && least <= LONGEST =>
            {
                self.wanted = least;
                out.push(Action::Register(least));
            }
            (Stage::Asking(_), _) => {
                let pause = wish.retry_after.map(|it| Duration::from_secs(it.into()));
                self.fail(
                    RegistrationFailure::Refused(status),
                    pause,
                    random,
                    now,
                    out,
                );
            }
            (Stage::Leaving, _) => self.end(out),
            (Stage::Registered { .. } | Stage::Waiting { .. } | Stage::Ended, _) => {}
        }
    }

    /// No answer came.
    pub(crate) fn handle_failed(
        &mut self,
        failure: Failure,
        random: &mut impl Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        match self.stage {
            Stage::Asking(_) => self.fail(failure.into(), None, random, now, out),
            Stage::Leaving => self.end(out),
            Stage::Registered { .. } | Stage::Waiting { .. } | Stage::Ended => {}
        }
    }

    /// The registration is no longer wanted.
    pub(crate) fn leave(&mut self, now: Instant, out: &mut Vec<Action>) {
        match self.stage {
            // One at a time. RFC 3261 §10.2.
            Stage::Asking(_) => self.stage = Stage::Asking(Then::Leave),
            Stage::Registered { .. } => self.take_back(out),
            Stage::Waiting { .. } if self.bound_until.is_some_and(|until| until > now) => {
                self.take_back(out);
            }
            Stage::Waiting { .. } => self.end(out),
            Stage::Leaving | Stage::Ended => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.stage = Stage::Asking(Then::Stay);
            out.push(Action::Register(self.wanted));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Registered { refresh_at: at } | Stage::Waiting { again_at: at } => Some(at),
            Stage::Asking(_) | Stage::Leaving | Stage::Ended => None,
        }
    }

    fn take_back(&mut self, out: &mut Vec<Action>) {
        self.stage = Stage::Leaving;
        out.push(Action::Register(0));
    }

    fn end(&mut self, out: &mut Vec<Action>) {
        self.stage = Stage::Ended;
        out.push(Action::End);
    }

    fn fail(
        &mut self,
        why: RegistrationFailure,
        pause: Option<Duration>,
        random: &mut impl Rng,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Stage::Asking(Then::Leave) = self.stage {
            return match self.bound_until.is_some_and(|until| until > now) {
                true => self.take_back(out),
                false => self.end(out),
            };
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10));
        let share = random.random_range(0.5..1.0);
        let own = doubled.min(LONGEST_PAUSE).mul_f64(share);
        let pause = pause
            .unwrap_or(own)
            .clamp(own.min(LEAST_PAUSE), LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.stage = Stage::Waiting {
            again_at: now + pause,
        };
        out.push(Action::TellFailed(why, pause));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    struct Play {
        registrant: Registrant,
        random: StdRng,
        now: Instant,
        out: Vec<Action>,
    }

    impl Play {
        fn new(wanted: u32) -> Self {
            let mut out = Vec::new();
            Self {
                registrant: Registrant::new(wanted, &mut out),
                random: StdRng::seed_from_u64(1),
                now: Instant::now(),
                out,
            }
        }

        fn accepted(&mut self, granted: Option<u32>) -> Vec<Action> {
            let (random, out) = (&mut self.random, &mut self.out);
            self.registrant
                .handle_accepted(granted, random, self.now, out);
            std::mem::take(&mut self.out)
        }

        fn refused(&mut self, status: Status, wish: Wish) -> Vec<Action> {
            let (random, out) = (&mut self.random, &mut self.out);
            self.registrant
                .handle_refused(status, wish, random, self.now, out);
            std::mem::take(&mut self.out)
        }

        /// Until the next timer; how long that was.
        fn waited(&mut self) -> (Duration, Vec<Action>) {
            let at = self.registrant.poll_timeout().unwrap();
            let pause = at - self.now;
            self.now = at;
            self.registrant.handle_timeout(at, &mut self.out);
            (pause, std::mem::take(&mut self.out))
        }

        fn leave(&mut self) -> Vec<Action> {
            self.registrant.leave(self.now, &mut self.out);
            std::mem::take(&mut self.out)
        }
    }

    /// SIP-20. Refreshed after four fifths of what is granted, until it is taken back.
    #[test]
    fn registrations_are_refreshed() {
        let mut play = Play::new(3600);
        assert_eq!(std::mem::take(&mut play.out), [Action::Register(3600)]);
        assert_eq!(play.accepted(Some(1000)), [Action::TellRegistered(1000)]);
        let refresh = (Duration::from_secs(800), vec![Action::Register(3600)]);
        assert_eq!(play.waited(), refresh);
        assert_eq!(play.registrant.poll_timeout(), None);
        assert_eq!(play.accepted(Some(1000)), [Action::TellRegistered(1000)]);
        assert_eq!(play.leave(), [Action::Register(0)]);
        assert_eq!(play.leave(), []);
        assert_eq!(play.accepted(None), [Action::End]);
        assert_eq!(play.accepted(Some(60)), []);
    }

    /// SIP-20. Failures are tried again, ever later, and not all at once.
    #[test]
    fn failures_are_tried_again() {
        let mut play = Play::new(3600);
        play.out.clear();
        let mut longest = Duration::from_secs(30);
        for _ in 0..10 {
            let told = play.refused(Status::FORBIDDEN, Wish::default());
            let (pause, again) = play.waited();
            let why = RegistrationFailure::Refused(Status::FORBIDDEN);
            assert_eq!(told, [Action::TellFailed(why, pause)]);
            assert!(pause <= longest && pause >= longest / 2, "{pause:?}");
            assert_eq!(again.last(), Some(&Action::Register(3600)));
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
        play.accepted(Some(60));
        play.waited();
        let wish = Wish {
            retry_after: Some(100),
            ..Wish::default()
        };
        play.refused(Status::SERVICE_UNAVAILABLE, wish);
        assert_eq!(play.waited().0, Duration::from_secs(100));
        for granted in [None, Some(0)] {
            let told = play.accepted(granted);
            assert!(matches!(
                told[..],
                [Action::TellFailed(RegistrationFailure::NotListed, _)]
            ));
            play.waited();
        }
    }

    /// SIP-20. RFC 3261 §10.2.8: 423 is answered with what it asks for, once, and within reason.
    #[test]
    fn longer_registrations_where_they_are_wanted() {
        let mut play = Play::new(60);
        let wish = |seconds| Wish {
            min_expires: Some(seconds),
            ..Wish::default()
        };
        play.out.clear();
        let again = play.refused(Status::INTERVAL_TOO_BRIEF, wish(600));
        assert_eq!(again, [Action::Register(600)]);
        for (status, least) in [
            (Status::INTERVAL_TOO_BRIEF, 600),
            (Status::INTERVAL_TOO_BRIEF, u32::MAX),
            (Status::FORBIDDEN, 700),
        ] {
            let told = play.refused(status, wish(least));
            assert!(
                matches!(told[..], [Action::TellFailed(..)]),
                "{status} {least}"
            );
            play.waited();
        }
    }

    /// SIP-20. Taken back when the answer has come, and only if there is something to be taken back.
    #[test]
    fn taken_back_one_at_a_time() {
        let mut play = Play::new(60);
        play.out.clear();
        assert_eq!(play.leave(), []);
        assert_eq!(play.accepted(Some(60)), [Action::Register(0)]);
        let mut play = Play::new(60);
        play.out.clear();
        play.leave();
        let end = play.refused(Status::FORBIDDEN, Wish::default());
        assert_eq!(end, [Action::End]);
        // Still known from before.
        let mut play = Play::new(60);
        play.accepted(Some(600));
        play.waited();
        play.refused(Status::FORBIDDEN, Wish::default());
        assert_eq!(play.leave(), [Action::Register(0)]);
        let end = play.refused(Status::FORBIDDEN, Wish::default());
        assert_eq!(end, [Action::End]);
    }

    /// However little is granted, the registrar is not asked all the time.
    #[test]
    fn refreshes_have_a_pause() {
        let mut play = Play::new(60);
        play.accepted(Some(1));
        assert_eq!(play.waited().0, LEAST_PAUSE);
    }
}
