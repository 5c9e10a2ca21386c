//! A subscription of ours. RFC 6665 §4.1.2, §4.1.3.

use std::time::{Duration, Instant};

use super::{Next, SubscriptionEnd, ends_usage, refresh_after};
use crate::{Failure, Status, SubscriptionState};

/// The longest that is asked for because a peer finds less too brief; in seconds.
const LONGEST: u32 = 7 * 24 * 3600;
/// How often a peer may find a SUBSCRIBE too brief in a row.
const MOST_TOO_BRIEF: u8 = 2;
/// The shortest pause before a refresh that failed is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);

/// What we do to have a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscriber {
    stage: Stage,
    sending: Sending,
    wish: Wish,
    /// Seconds, asked for in each SUBSCRIBE that is not to end it.
    asked: u32,
    too_brief: u8,
    /// 64·T1.
    timer_n: Duration,
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first NOTIFY.
    Subscribing { notify_by: Instant },
    /// Changes, and the time to refresh.
    Subscribed {
        refresh_at: Instant,
        expires_at: Instant,
    },
    /// The NOTIFY that follows the SUBSCRIBE which refreshes.
    Refreshing {
        notify_by: Instant,
        expires_at: Instant,
    },
    /// The last NOTIFY.
    Unsubscribing { notify_by: Instant },
    /// Nothing.
    Ended,
}

/// Whether a SUBSCRIBE waits for its answer; the next one waits for it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Idle,
    UnderWay,
}

/// How long the subscription is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Until we say otherwise.
    Keep,
    /// Once (Expires 0), or what a REFER brings by itself: never refreshed.
    Once,
    /// No longer.
    End,
}

/// The final answer to a SUBSCRIBE, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// Expires; seconds.
    pub(crate) expires: Option<u32>,
    /// Min-Expires; seconds.
    pub(crate) min_expires: Option<u32>,
    /// Retry-After; seconds.
    pub(crate) retry_after: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A SUBSCRIBE with this Expires, in the dialog if there is one.
    Subscribe { expires: u32 },
    /// The subscription is over.
    End { cause: SubscriptionEnd, next: Next },
}

impl Subscriber {
    /// Subscribes for `expires` seconds; 0 asks for the state once. RFC 6665 §4.4.3.
    pub(crate) fn new(
        expires: u32,
        timer_n: Duration,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Self {
        out.push(Action::Subscribe { expires });
        Self {
            stage: Stage::Subscribing {
                notify_by: now + timer_n,
            },
            sending: Sending::UnderWay,
            wish: if expires == 0 { Wish::Once } else { Wish::Keep },
            asked: expires,
            too_brief: 0,
            timer_n,
        }
    }

    /// The subscription that a REFER on its way will bring. RFC 3515 §2.4.4.
    pub(crate) fn of_refer(timer_n: Duration, now: Instant) -> Self {
        Self {
            stage: Stage::Subscribing {
                notify_by: now + timer_n,
            },
            sending: Sending::UnderWay,
            wish: Wish::Once,
            // Until the first NOTIFY says for how long it is.
            asked: 3600,
            too_brief: 0,
            timer_n,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Subscribing { notify_by } | Stage::Unsubscribing { notify_by } => {
                Some(notify_by)
            }
            Stage::Subscribed {
                refresh_at,
                expires_at,
            } => match (self.wish, self.sending) {
                (Wish::Keep, Sending::Idle) => Some(refresh_at.min(expires_at)),
                (Wish::Once | Wish::End, _) | (_, Sending::UnderWay) => Some(expires_at),
            },
            Stage::Refreshing { notify_by, .. } => Some(notify_by),
            Stage::Ended => None,
        }
    }

    /// A SUBSCRIBE, or the REFER, got its final answer.
    pub(crate) fn handle_answered(&mut self, answer: Answer, now: Instant, out: &mut Vec<Action>) {
        self.sending = Sending::Idle;
        if answer.status.is_success() {
            self.handle_accepted(answer, now, out);
        } else {
            self.handle_refused(answer, now, out);
        }
    }

    fn handle_accepted(&mut self, answer: Answer, now: Instant, out: &mut Vec<Action>) {
        self.too_brief = 0;
        if let Some(expires) = answer.expires
            && self.wish != Wish::Once
        {
            self.asked = self.asked.min(expires).max(1);
        }
        match self.stage {
            // The NOTIFY came first.
            Stage::Subscribed { expires_at, .. } => {
                if let Some(granted) = answer.expires.filter(|_| self.wish == Wish::Keep) {
                    let by_answer = now + Duration::from_secs(granted.into());
                    if by_answer < expires_at {
                        self.stage = subscribed(granted, now);
                    }
                }
                self.go_on(now, out);
            }
            // No NOTIFY follows. RFC 5839 §3.
            Stage::Refreshing { .. } if answer.status == Status::NO_NOTIFICATION => {
                self.stage = subscribed(answer.expires.unwrap_or(self.asked), now);
                self.go_on(now, out);
            }
            Stage::Subscribing { .. } | Stage::Refreshing { .. } => {}
            Stage::Unsubscribing { .. } if answer.status == Status::NO_NOTIFICATION => {
                self.end(SubscriptionEnd::Unsubscribed, Next::Never, out);
            }
            Stage::Unsubscribing { .. } | Stage::Ended => {}
        }
    }

    fn handle_refused(&mut self, answer: Answer, now: Instant, out: &mut Vec<Action>) {
        let Answer {
            status,
            retry_after,
            ..
        } = answer;
        if let Some(expires) = self.longer(&answer) {
            return self.ask_longer(expires, now, out);
        }
        let next = Next::after_refusal(status, retry_after);
        match self.stage {
            Stage::Subscribing { .. } => self.end(SubscriptionEnd::Refused(status), next, out),
            Stage::Subscribed { expires_at, .. } | Stage::Refreshing { expires_at, .. } => {
                if status != Status::REQUEST_TIMEOUT
                    && (ends_usage(status) || matches!(status.code(), 403 | 603))
                {
                    self.end(SubscriptionEnd::Refused(status), next, out);
                } else {
                    self.try_again(expires_at, retry_after, now, out);
                }
            }
            // The peer knows nothing of it any more, or will forget it.
            Stage::Unsubscribing { .. } => {
                self.end(SubscriptionEnd::Unsubscribed, Next::Never, out);
            }
            Stage::Ended => {}
        }
    }

    /// How much longer the peer wants us to ask for, within reason. RFC 3261 §21.4.17.
    fn longer(&self, answer: &Answer) -> Option<u32> {
        let least = answer.min_expires?;
        (answer.status == Status::INTERVAL_TOO_BRIEF
            && self.wish == Wish::Keep
            && self.too_brief < MOST_TOO_BRIEF
            && least > self.asked
            && least <= LONGEST)
            .then_some(least)
    }

    fn ask_longer(&mut self, expires: u32, now: Instant, out: &mut Vec<Action>) {
        self.too_brief = self.too_brief.saturating_add(1);
        self.asked = expires;
        let notify_by = now + self.timer_n;
        self.stage = match self.stage {
            Stage::Subscribing { .. } => Stage::Subscribing { notify_by },
            Stage::Subscribed { expires_at, .. } | Stage::Refreshing { expires_at, .. } => {
                Stage::Refreshing {
                    notify_by,
                    expires_at,
                }
            }
            stage @ (Stage::Unsubscribing { .. } | Stage::Ended) => return self.stage = stage,
        };
        self.send(expires, out);
    }

    /// A SUBSCRIBE, or the REFER, got no answer.
    pub(crate) fn handle_failed(&mut self, failure: Failure, now: Instant, out: &mut Vec<Action>) {
        self.sending = Sending::Idle;
        match self.stage {
            Stage::Subscribing { .. } => {
                self.end(SubscriptionEnd::Failed(failure), Next::after_failure(), out)
            }
            // No answer is no refusal: it stays valid until it expires. RFC 6665 §4.1.2.2.
            Stage::Subscribed { expires_at, .. } | Stage::Refreshing { expires_at, .. } => {
                self.try_again(expires_at, None, now, out);
            }
            Stage::Unsubscribing { .. } => {
                self.end(SubscriptionEnd::Unsubscribed, Next::Never, out);
            }
            Stage::Ended => {}
        }
    }

    /// A refresh failed that may succeed later, as long as the subscription lasts.
    fn try_again(
        &mut self,
        expires_at: Instant,
        retry_after: Option<u32>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let half = expires_at
            .saturating_duration_since(now)
            .checked_div(2)
            .unwrap_or_default();
        let pause = retry_after.map_or(half, |seconds| Duration::from_secs(seconds.into()));
        self.stage = Stage::Subscribed {
            refresh_at: now + pause.max(SHORTEST_PAUSE),
            expires_at,
        };
        self.go_on(now, out);
    }

    /// A NOTIFY came, and is answered.
    pub(crate) fn handle_notified(
        &mut self,
        state: &SubscriptionState,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let SubscriptionState::Terminated {
            reason,
            retry_after,
        } = state
        {
            let next = match self.wish {
                Wish::Keep => Next::after_termination(reason.as_ref(), *retry_after),
                Wish::Once | Wish::End => Next::Never,
            };
            let cause = match self.wish {
                Wish::End => SubscriptionEnd::Unsubscribed,
                Wish::Keep | Wish::Once => SubscriptionEnd::Terminated(reason.clone()),
            };
            return self.end(cause, next, out);
        }
        match self.stage {
            // Asked once and told once, whatever the peer calls it.
            Stage::Subscribing { .. } if self.asked == 0 => {
                self.end(SubscriptionEnd::Terminated(None), Next::Never, out);
            }
            Stage::Subscribing { .. } | Stage::Refreshing { .. } => {
                self.stage = subscribed(state.expires().unwrap_or(self.asked), now);
                self.go_on(now, out);
            }
            Stage::Subscribed {
                refresh_at,
                expires_at,
            } => {
                if let Some(seconds) = state.expires() {
                    let told = now + Duration::from_secs(seconds.into());
                    // Only a change counts: the rest of what was granted is refreshed when its time comes.
                    if told + Duration::from_secs(2) < expires_at || told > expires_at {
                        self.stage = subscribed(seconds, now);
                        if let Stage::Subscribed { refresh_at: at, .. } = &mut self.stage {
                            *at = (*at).min(refresh_at.max(now));
                        }
                    }
                }
            }
            Stage::Unsubscribing { .. } | Stage::Ended => {}
        }
    }

    /// Asks for the present state, and for more time, at once.
    pub(crate) fn refresh(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let (Stage::Subscribed { expires_at, .. }, Sending::Idle, Wish::Keep) =
            (self.stage, self.sending, self.wish)
        {
            self.send_refresh(expires_at, now, out);
        }
    }

    /// The subscription is not wanted any more. RFC 6665 §4.1.2.3.
    pub(crate) fn unsubscribe(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.stage == Stage::Ended || self.wish == Wish::End {
            return;
        }
        self.wish = Wish::End;
        self.go_on(now, out);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.stage {
            Stage::Subscribing { .. } => {
                let next = match self.wish {
                    Wish::Keep => Next::after_failure(),
                    Wish::Once | Wish::End => Next::Never,
                };
                self.end(SubscriptionEnd::NoNotify, next, out);
            }
            Stage::Refreshing { .. } => {
                self.end(SubscriptionEnd::NoNotify, Next::AtOnce, out);
            }
            Stage::Subscribed { expires_at, .. } if expires_at <= now => {
                let next = match self.wish {
                    Wish::Keep => Next::AtOnce,
                    Wish::Once | Wish::End => Next::Never,
                };
                self.end(SubscriptionEnd::Expired, next, out);
            }
            Stage::Subscribed { expires_at, .. } => self.send_refresh(expires_at, now, out),
            Stage::Unsubscribing { .. } => {
                self.end(SubscriptionEnd::Unsubscribed, Next::Never, out);
            }
            Stage::Ended => {}
        }
    }

    /// Does what waited for the answer or for the dialog.
    fn go_on(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let (Wish::End, Sending::Idle, Stage::Subscribed { .. } | Stage::Refreshing { .. }) =
            (self.wish, self.sending, self.stage)
        {
            self.stage = Stage::Unsubscribing {
                notify_by: now + self.timer_n,
            };
            self.send(0, out);
        }
    }

    fn send_refresh(&mut self, expires_at: Instant, now: Instant, out: &mut Vec<Action>) {
        self.stage = Stage::Refreshing {
            notify_by: now + self.timer_n,
            expires_at,
        };
        self.send(self.asked, out);
    }

    fn send(&mut self, expires: u32, out: &mut Vec<Action>) {
        self.sending = Sending::UnderWay;
        out.push(Action::Subscribe { expires });
    }

    /// Ends it for a reason that only who sent the request can see.
    pub(crate) fn end(&mut self, cause: SubscriptionEnd, next: Next, out: &mut Vec<Action>) {
        if self.stage != Stage::Ended {
            self.stage = Stage::Ended;
            out.push(Action::End { cause, next });
        }
    }
}

fn subscribed(granted: u32, now: Instant) -> Stage {
    Stage::Subscribed {
        refresh_at: now + refresh_after(granted),
        expires_at: now + Duration::from_secs(granted.into()),
    }
}

#[cfg(test)]
mod tests;
