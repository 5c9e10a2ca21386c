//! Whether and when a subscription that is over is asked for again. RFC 6665 §4.1.2.2, §4.1.3.

use std::time::Duration;

use crate::{Status, TerminationReason};

/// When to subscribe anew, in a new dialog, if the state is still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// At once.
    AtOnce,
    /// Not before this has passed.
    After(Duration),
    /// Not until something else changes: the peer does not want it, or cannot.
    Never,
}

/// After `probation` and `giveup` without a time of their own.
const PATIENCE: Duration = Duration::from_secs(300);
/// After failures that say nothing of when they pass.
const BACK_OFF: Duration = Duration::from_secs(60);
/// When the peer is not known where it was asked for.
const UNKNOWN_THERE: Duration = Duration::from_secs(3600);

impl Next {
    /// After a NOTIFY that ended the subscription. `retry_after` in seconds. PRES-06.
    pub(super) fn after_termination(
        reason: Option<&TerminationReason>,
        retry_after: Option<u32>,
    ) -> Self {
        match reason {
            Some(TerminationReason::Deactivated | TerminationReason::Timeout) => Next::AtOnce,
            Some(TerminationReason::Probation | TerminationReason::Giveup) => {
                after(retry_after, PATIENCE)
            }
            Some(
                TerminationReason::Rejected
                | TerminationReason::NoResource
                | TerminationReason::Invariant,
            ) => Next::Never,
            Some(TerminationReason::Other(_)) | None => after(retry_after, BACK_OFF),
        }
    }

    /// After a refusal. `retry_after` in seconds. PRES-05.
    pub(super) fn after_refusal(status: Status, retry_after: Option<u32>) -> Self {
        match status.code() {
            481 => Next::AtOnce,
            404 | 410 | 604 => after(retry_after, UNKNOWN_THERE),
            408 | 480 | 482..=485 | 491 => after(retry_after, BACK_OFF),
            501 | 505 | 513 => Next::Never,
            500..=599 => after(retry_after, BACK_OFF),
            _ => Next::Never,
        }
    }

    /// When nobody answered.
    pub(super) fn after_failure() -> Self {
        Next::After(BACK_OFF)
    }
}

fn after(seconds: Option<u32>, otherwise: Duration) -> Next {
    Next::After(seconds.map_or(otherwise, |seconds| Duration::from_secs(seconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PRES-06
    #[test]
    fn reasons_say_what_comes_next() {
        let seconds = |seconds| Next::After(Duration::from_secs(seconds));
        for (reason, retry_after, next) in [
            (Some(TerminationReason::Deactivated), Some(60), Next::AtOnce),
            (Some(TerminationReason::Timeout), Some(60), Next::AtOnce),
            (Some(TerminationReason::Probation), Some(70), seconds(70)),
            (Some(TerminationReason::Probation), None, seconds(300)),
            (Some(TerminationReason::Giveup), None, seconds(300)),
            (Some(TerminationReason::Rejected), Some(60), Next::Never),
            (Some(TerminationReason::NoResource), Some(60), Next::Never),
            (Some(TerminationReason::Invariant), Some(60), Next::Never),
            (
                Some(TerminationReason::Other("odd".into())),
                Some(9),
                seconds(9),
            ),
            (None, None, seconds(60)),
        ] {
            assert_eq!(
                Next::after_termination(reason.as_ref(), retry_after),
                next,
                "{reason:?}"
            );
        }
    }

    /// PRES-05
    #[test]
    fn refusals_say_what_comes_next() {
        let seconds = |seconds| Next::After(Duration::from_secs(seconds));
        for (code, retry_after, next) in [
            (403, Some(60), Next::Never),
            (489, None, Next::Never),
            (603, None, Next::Never),
            (481, None, Next::AtOnce),
            (404, None, seconds(3600)),
            (604, None, seconds(3600)),
            (405, None, Next::Never),
            (501, None, Next::Never),
            (480, Some(20), seconds(20)),
            (503, None, seconds(60)),
        ] {
            let status = Status::new(code).unwrap();
            assert_eq!(Next::after_refusal(status, retry_after), next, "{code}");
        }
    }
}
