//! A subscription of a peer. RFC 6665 §4.2.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{SubscriptionEnd, ends_usage};
use crate::{Failure, Status, SubscriptionState, TerminationReason};

/// How long the user may take to say what the state is, before an empty NOTIFY is sent (PRES-19).
const PATIENCE: Duration = Duration::from_secs(2);

/// What we do for who has subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notifier {
    stage: Stage,
    standing: Standing,
    expires_at: Instant,
    /// The NOTIFY that must follow the 2xx to a SUBSCRIBE.
    owed: Owed,
    change: Change,
    sending: Sending,
    /// What waits for the answer to the last NOTIFY.
    held: Option<Notice>,
    /// The shortest time between two NOTIFY about changes.
    interval: Duration,
    /// When the next NOTIFY about a change may be sent.
    quiet_until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Told of changes.
    Watching,
    /// The next NOTIFY is the last: the peer unsubscribed, or asked only once.
    Leaving,
    Ended,
}

/// Whether the subscription is allowed; what a NOTIFY says that the user does not give a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Pending,
    Active,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Nothing,
    By(Instant),
}

/// A change that the peer has not been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// Waits until a NOTIFY may be sent.
    Reported,
    /// The user is asked for the state.
    Asked,
}

/// Whether a NOTIFY waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Idle,
    UnderWay,
}

/// The body of a NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its media type.
    pub content_type: String,
    /// The document.
    pub body: Bytes,
}

/// What a NOTIFY is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The subscription is allowed, and this is the state; none: not known.
    Active(Option<Document>),
    /// Whether it is allowed is not decided yet; the document, if any, tells nothing that must not be told.
    Pending(Option<Document>),
    /// The subscription is over.
    Terminated {
        /// Why.
        reason: TerminationReason,
        /// Seconds until it may be asked for again.
        retry_after: Option<u32>,
        /// The last state.
        document: Option<Document>,
    },
}

/// Why the whole state is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The peer refreshed its subscription.
    Refreshed,
    /// The peer unsubscribed: the NOTIFY is the last.
    Unsubscribed,
    /// A change was reported, and a NOTIFY may be sent now.
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A NOTIFY.
    Notify(SubscriptionState, Option<Document>),
    /// The user has to say what the state is.
    AskState(Occasion),
    /// The subscription is over.
    End(SubscriptionEnd),
}

impl Notifier {
    /// Serves a subscription that is accepted for `granted` seconds; 0: told once. A NOTIFY is owed at once.
    pub(crate) fn new(granted: u32, interval: Duration, now: Instant) -> Self {
        Self {
            stage: match granted {
                0 => Stage::Leaving,
                _ => Stage::Watching,
            },
            standing: Standing::Pending,
            expires_at: now + Duration::from_secs(granted.into()),
            owed: Owed::By(now + PATIENCE),
            change: Change::None,
            sending: Sending::Idle,
            held: None,
            interval,
            quiet_until: now,
        }
    }

    /// The peer's SUBSCRIBE in the subscription is accepted for `granted` seconds; 0: it unsubscribes.
    pub(crate) fn handle_refreshed(&mut self, granted: u32, now: Instant, out: &mut Vec<Action>) {
        if self.stage == Stage::Ended {
            return;
        }
        self.owed = Owed::By(now + PATIENCE);
        if granted == 0 {
            self.stage = Stage::Leaving;
            return out.push(Action::AskState(Occasion::Unsubscribed));
        }
        self.expires_at = now + Duration::from_secs(granted.into());
        out.push(Action::AskState(Occasion::Refreshed));
    }

    /// Tells the peer. One NOTIFY at a time: a later one waits for the answer, and replaces one that waits already; the last
    /// one does not wait.
    pub(crate) fn notify(&mut self, notice: Notice, now: Instant, out: &mut Vec<Action>) {
        match (self.stage, &notice) {
            (Stage::Ended, _) => {}
            (Stage::Leaving, _) | (Stage::Watching, Notice::Terminated { .. }) => {
                self.send_last(notice, out);
            }
            (Stage::Watching, Notice::Active(_) | Notice::Pending(_)) => {
                match self.sending {
                    Sending::UnderWay => self.held = Some(notice),
                    Sending::Idle => self.send(notice, now, out),
                }
                (self.owed, self.change) = (Owed::Nothing, Change::None);
            }
        }
    }

    /// Something changed: the user is asked for the state as soon as a NOTIFY may be sent.
    pub(crate) fn report_change(&mut self, now: Instant, out: &mut Vec<Action>) {
        if (self.stage, self.change) == (Stage::Watching, Change::None) {
            self.change = Change::Reported;
            self.ask_of_change(now, out);
        }
    }

    fn ask_of_change(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.change_at().is_some_and(|at| at <= now) {
            self.change = Change::Asked;
            out.push(Action::AskState(Occasion::Changed));
        }
    }

    /// When a reported change may be told.
    fn change_at(&self) -> Option<Instant> {
        let may_be_sent = (self.stage, self.change, self.sending)
            == (Stage::Watching, Change::Reported, Sending::Idle);
        may_be_sent.then_some(self.quiet_until)
    }

    fn send(&mut self, notice: Notice, now: Instant, out: &mut Vec<Action>) {
        let expires = Some(self.seconds_left(now));
        let (state, document) = match notice {
            Notice::Active(document) => {
                self.standing = Standing::Active;
                (SubscriptionState::Active { expires }, document)
            }
            Notice::Pending(document) => {
                self.standing = Standing::Pending;
                (SubscriptionState::Pending { expires }, document)
            }
            Notice::Terminated { .. } => return self.send_last(notice, out),
        };
        (self.sending, self.quiet_until) = (Sending::UnderWay, now + self.interval);
        out.push(Action::Notify(state, document));
    }

    fn send_last(&mut self, notice: Notice, out: &mut Vec<Action>) {
        let (state, document, cause) = match (self.stage, notice) {
            (
                Stage::Watching | Stage::Ended,
                Notice::Terminated {
                    reason,
                    retry_after,
                    document,
                },
            ) => {
                let state = SubscriptionState::Terminated {
                    reason: Some(reason),
                    retry_after,
                };
                (state, document, SubscriptionEnd::OurNotice)
            }
            (
                _,
                Notice::Active(document)
                | Notice::Pending(document)
                | Notice::Terminated { document, .. },
            ) => (
                SubscriptionState::terminated(TerminationReason::Timeout),
                document,
                SubscriptionEnd::PeerUnsubscribed,
            ),
        };
        out.push(Action::Notify(state, document));
        self.end(cause, out);
    }

    /// Our NOTIFY got its final answer. PRES-17.
    pub(crate) fn handle_answered(&mut self, status: Status, now: Instant, out: &mut Vec<Action>) {
        if self.stage == Stage::Ended {
            return;
        }
        if ends_usage(status) {
            return self.end(SubscriptionEnd::NotifyRefused(status), out);
        }
        self.sending = Sending::Idle;
        match self.held.take() {
            Some(notice) => self.send(notice, now, out),
            None => self.ask_of_change(now, out),
        }
    }

    /// Our NOTIFY got no answer. PRES-17.
    pub(crate) fn handle_failed(&mut self, failure: Failure, out: &mut Vec<Action>) {
        if self.stage != Stage::Ended {
            self.end(SubscriptionEnd::NotifyFailed(failure), out);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let owed = match self.owed {
            Owed::By(at) => Some(at),
            Owed::Nothing => None,
        };
        match self.stage {
            Stage::Watching => [Some(self.expires_at), owed, self.change_at()]
                .into_iter()
                .flatten()
                .min(),
            Stage::Leaving => owed,
            Stage::Ended => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.stage == Stage::Watching && self.expires_at <= now {
            let state = match self.standing {
                // Nobody decided (PRES-16).
                Standing::Pending => TerminationReason::Giveup,
                Standing::Active => TerminationReason::Timeout,
            };
            out.push(Action::Notify(SubscriptionState::terminated(state), None));
            return self.end(SubscriptionEnd::Expired, out);
        }
        if let Owed::By(at) = self.owed
            && at <= now
        {
            let notice = match self.standing {
                Standing::Pending => Notice::Pending(None),
                Standing::Active => Notice::Active(None),
            };
            self.notify(notice, now, out);
        }
        self.ask_of_change(now, out);
    }

    fn seconds_left(&self, now: Instant) -> u32 {
        let left = self.expires_at.saturating_duration_since(now);
        u32::try_from(left.as_secs()).unwrap_or(u32::MAX)
    }

    fn end(&mut self, cause: SubscriptionEnd, out: &mut Vec<Action>) {
        self.stage = Stage::Ended;
        out.push(Action::End(cause));
    }
}

#[cfg(test)]
mod tests;
