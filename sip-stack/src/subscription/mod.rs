//! Subscriptions: who watches something and who tells of it, one machine for each side. RFC 6665.
//!
//! A [`Subscriber`] keeps one subscription of ours alive; a [`Notifier`] serves one of a peer. Both know nothing of dialogs
//! and messages: they are told what happened and say what is to be sent and told.

mod next;
pub(crate) mod notifier;
mod package;
pub(crate) mod subscriber;

use std::time::Duration;

pub use next::Next;
pub(crate) use notifier::Notifier;
pub use notifier::{Document, Notice, Occasion};
pub use package::Package;
pub(crate) use package::{Admission, admit, expires};
pub(crate) use subscriber::{Answer, Subscriber};

use crate::{Failure, Status, TerminationReason};

/// Why a subscription is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The NOTIFY said so.
    Terminated(Option<TerminationReason>),
    /// Our SUBSCRIBE or REFER was refused, with this.
    Refused(Status),
    /// Our SUBSCRIBE or REFER got no answer.
    Failed(Failure),
    /// No NOTIFY came within Timer N.
    NoNotify,
    /// Not refreshed in time.
    Expired,
    /// We ended it, and the peer knows or does not answer.
    Unsubscribed,
    /// The REFER was accepted without a subscription, as it asked. RFC 4488.
    NotWanted,
    /// The peer ended it by a SUBSCRIBE with Expires 0, or only wanted to know once.
    PeerUnsubscribed,
    /// Our NOTIFY was refused, with this.
    NotifyRefused(Status),
    /// Our NOTIFY got no answer.
    NotifyFailed(Failure),
    /// We ended it, by a last NOTIFY.
    OurNotice,
}

/// When a subscription is refreshed: four fifths of what is granted (SIP-12).
fn refresh_after(granted: u32) -> Duration {
    Duration::from_secs(granted.into())
        .saturating_mul(4)
        .checked_div(5)
        .unwrap_or_default()
}

/// Whether this answer to a SUBSCRIBE or NOTIFY inside a subscription ends it. RFC 6665 §4.1.2.2, §4.2.2; RFC 5057 §5.1.
fn ends_usage(status: Status) -> bool {
    matches!(
        status.code(),
        404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604
    )
}
