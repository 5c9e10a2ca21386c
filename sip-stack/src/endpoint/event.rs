//! What the user of the endpoint is told.

use std::net::SocketAddr;
use std::time::Duration;

use super::command::{InviteId, RequestId, ServerTransactionId};
use super::flows::ConnectionId;
use super::identity::Originator;
use super::registrations::RegistrationId;
use super::subscription_command::SubscriptionId;
use crate::registration::RegistrationFailure;
use crate::subscription::{Next, Occasion, SubscriptionEnd};
use crate::{Request, Response, SubscriptionState, Transport};

/// Where a message came from, and therefore where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// How it came.
    pub transport: Transport,
    /// Our address it was sent to.
    pub local: SocketAddr,
    /// The peer's address it was really sent from.
    pub remote: SocketAddr,
    /// The connection it came on; none for UDP.
    pub connection: Option<ConnectionId>,
}

/// One thing that happened and that the user of the endpoint has to know.
///
/// Each invitation and each request of ours ends in exactly one final event: `Rejected`, `Failed`
/// or `Ended` for an [`InviteId`], `Responded` or `RequestFailed` for a [`RequestId`],
/// `SubscriptionEnded` for a [`SubscriptionId`], `Unregistered` for a [`RegistrationId`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An initial INVITE came; 100 Trying is on its way. Answer it with `answer`.
    Invited {
        /// Names the invitation from now on.
        invite: InviteId,
        /// The INVITE.
        request: Request,
        /// Where it came from.
        source: Source,
        /// Who sent it, as far as that is certain.
        originator: Originator,
    },
    /// A provisional response above 100 came to our INVITE.
    Progressed {
        /// Our invitation.
        invite: InviteId,
        /// The 1xx.
        response: Response,
    },
    /// The first 2xx came to our INVITE; answer it with `ack`. Its retransmissions get that ACK
    /// again, and 2xx of further forks an ACK and a BYE, by the endpoint alone (CHAT-28).
    Answered {
        /// Our invitation, a session from now on.
        invite: InviteId,
        /// The 2xx.
        response: Response,
        /// Where the INVITE was sent to.
        remote: SocketAddr,
    },
    /// A final response of 300 and above came to our INVITE; it is acknowledged already.
    Rejected {
        /// Our invitation, which ends here.
        invite: InviteId,
        /// The response.
        response: Response,
    },
    /// Our INVITE got no final response.
    Failed {
        /// Our invitation, which ends here.
        invite: InviteId,
        /// Why.
        cause: Failure,
    },
    /// The peer took its INVITE back; 200 and 487 are sent already.
    Cancelled {
        /// The peer's invitation, which ends here.
        invite: InviteId,
    },
    /// The ACK of our 2xx came; it may carry a session description.
    Acknowledged {
        /// The peer's invitation, a session from now on.
        invite: InviteId,
        /// The ACK.
        request: Request,
    },
    /// A re-INVITE, or an UPDATE with a session description, came inside the dialog. Answer it with `respond`. An UPDATE
    /// without is answered by the endpoint.
    Reinvited {
        /// The session it changes.
        invite: InviteId,
        /// To answer it with.
        transaction: ServerTransactionId,
        /// The re-INVITE or UPDATE.
        request: Request,
    },
    /// The session is over.
    Ended {
        /// The session, which ends here.
        invite: InviteId,
        /// Why.
        cause: EndCause,
    },
    /// Any other request came. Answer it with `respond`, within 64·T1 (32 s).
    Requested {
        /// To answer it with.
        transaction: ServerTransactionId,
        /// The session in whose dialog it came; none outside of dialogs.
        invite: Option<InviteId>,
        /// The request.
        request: Request,
        /// Where it came from.
        source: Source,
        /// Who sent it, as far as that is certain.
        originator: Originator,
    },
    /// The final response came to a request of ours other than INVITE.
    Responded {
        /// Our request, which ends here.
        request: RequestId,
        /// The final response.
        response: Response,
    },
    /// A request of ours other than INVITE got no final response.
    RequestFailed {
        /// Our request, which ends here.
        request: RequestId,
        /// Why.
        cause: Failure,
    },
    /// A NOTIFY came in a subscription of ours; 200 is sent already.
    Notified {
        /// Our subscription, or our REFER.
        subscription: SubscriptionId,
        /// How it stands; after a last NOTIFY, `SubscriptionEnded` follows.
        state: SubscriptionState,
        /// The NOTIFY.
        request: Request,
    },
    /// A peer has to be told the whole state: say it by `notify`, within two seconds if the peer asked for it.
    StateAsked {
        /// The peer's subscription.
        subscription: SubscriptionId,
        /// Why.
        occasion: Occasion,
    },
    /// We are registered, or still are.
    Registered {
        /// Our registration.
        registration: RegistrationId,
        /// For so many seconds; it is refreshed before.
        expires: u32,
    },
    /// We could not be registered, or not again; an earlier registration lasts as long as it was granted.
    RegistrationFailed {
        /// Our registration, which is kept.
        registration: RegistrationId,
        /// Why.
        cause: RegistrationFailure,
        /// When it is tried again.
        again_in: Duration,
    },
    /// The registration is taken back, or was not begun because there are too many or the endpoint is closing.
    Unregistered {
        /// Our registration, which ends here.
        registration: RegistrationId,
    },
    /// The subscription is over.
    SubscriptionEnded {
        /// The subscription, which ends here.
        subscription: SubscriptionId,
        /// Why.
        cause: SubscriptionEnd,
        /// When to subscribe anew, for one of ours that is still wanted.
        next: Next,
    },
}

/// Why a request of ours got no final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No target answered in time (Timer B or F). Like 408.
    #[error("no target answered in time")]
    Timeout,
    /// Every target refused the connection, or none can be reached over a transport we have. Like 503.
    #[error("no target could be reached")]
    Unreachable,
    /// The server has shown no valid certificate for the domain that was asked for. Like 503.
    #[error("the SIP server has not shown a valid certificate for its domain")]
    Untrusted,
    /// The DNS has no address for the target's domain, or the URI is of a kind that has none. Like 404.
    #[error("the target has no address")]
    Unresolvable,
    /// The DNS did not answer. Like 503.
    #[error("the DNS did not answer")]
    ResolverFailed,
    /// Every target asked for silence (503 with Retry-After) that has not passed yet. Like 503.
    #[error("every target asked not to be called yet")]
    Blocked,
    /// A bound of [`Limits`](crate::Limits) is reached; nothing was sent. Like 503.
    #[error("too many requests are under way")]
    TooManyRequests,
    /// `cancel` came before anything was sent.
    #[error("cancelled before it was sent")]
    Cancelled,
    /// Another INVITE or UPDATE is under way in the session. Like 491.
    #[error("another change of the session is under way")]
    RequestPending,
    /// There is no such session, or it ended before.
    #[error("the session has ended")]
    SessionEnded,
    /// The endpoint is closing.
    #[error("the endpoint is closing")]
    Closing,
}

/// Why a session ended.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it travels in an event, which has the room for a request anyway"
)]
#[non_exhaustive]
pub enum EndCause {
    /// The peer's BYE; 200 is sent already.
    Bye(Request),
    /// Our own `bye` was answered, or nobody answers it any more.
    OurBye,
    /// No ACK came for our 2xx within 64·T1; BYE is sent.
    Unacknowledged,
    /// A request of ours inside the dialog got 481 or 408, or nobody answered it (CHAT-29).
    PeerGone,
    /// Nobody refreshed it in the time agreed on; BYE is sent (CHAT-30).
    Expired,
    /// The 2xx crossed our CANCEL; ACK and BYE are sent (CHAT-10).
    CancelCrossed,
}

impl EndCause {
    /// A word for the log; the request that ended a session may hold what is nobody else's.
    pub(super) fn name(&self) -> &'static str {
        match self {
            EndCause::Bye(_) => "bye",
            EndCause::OurBye => "our bye",
            EndCause::Unacknowledged => "no acknowledgement",
            EndCause::PeerGone => "peer gone",
            EndCause::Expired => "expired",
            EndCause::CancelCrossed => "crossed our cancel",
        }
    }
}

impl Event {
    /// What must be answered when nobody has room for this event.
    pub fn pending(&self) -> Option<Pending> {
        match self {
            Event::Invited { invite, .. } => Some(Pending::Invite(*invite)),
            Event::Reinvited { transaction, .. } | Event::Requested { transaction, .. } => {
                Some(Pending::Request(*transaction))
            }
            Event::Progressed { .. }
            | Event::Answered { .. }
            | Event::Rejected { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. }
            | Event::Acknowledged { .. }
            | Event::Ended { .. }
            | Event::Responded { .. }
            | Event::RequestFailed { .. }
            | Event::Notified { .. }
            | Event::StateAsked { .. }
            | Event::Registered { .. }
            | Event::RegistrationFailed { .. }
            | Event::Unregistered { .. }
            | Event::SubscriptionEnded { .. } => None,
        }
    }
}

/// A request of the peer that waits for our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// An initial INVITE.
    Invite(InviteId),
    /// Any other request.
    Request(ServerTransactionId),
}
