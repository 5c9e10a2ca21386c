//! What can happen to a room, and what it asks for. Events are past, actions imperative.

use std::time::Duration;

use bytes::Bytes;
use stox_msrp::{Incoming, IncomingId, LostCause, MsrpUri, NicknameRequest, Role};
use stox_sip::{Occasion, SubscriptionId, Uri};

use super::super::input::{Leg, MemberId, Token};
use crate::xmpp::{Outgoing, Stanza};

/// What a room needs to know of the configuration, and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a SIP user may take to say what it wants to be called before it enters under another name (RS-06).
    pub join_wait: Duration,
    /// How long the MUC may take to answer a join, a change of nickname or a message (RS-08, RS-22).
    pub answer_wait: Duration,
    /// How long a message of ours that was not answered is still known as ours (RS-23).
    pub copy_wait: Duration,
    /// Messages of the past that are asked for (RS-07).
    pub history: u32,
    /// How long a SIP user stays in the room without an MSRP connection (RS-35).
    pub recover_wait: Duration,
    /// How long the peer may take to hang up or to call again before we ask for a new connection (MSRP-10).
    pub renew_after: Duration,
    /// How long somebody's last message may take before BYE (RS-10).
    pub parting_wait: Duration,
    /// How long an INVITE of ours may go unanswered (RS-31).
    pub invite_wait: Duration,
    /// How long a room that is not there may take to come back before it is looked for again (RS-36).
    pub return_wait: Duration,
    /// After so long without a word of the MUC's it is asked whether an occupant is still in (RS-36).
    pub silence: Duration,
    /// For how long a nickname is kept for somebody whose connection was lost (SEC-17).
    pub nick_hold: Duration,
    /// SIP users in one room (SEC-14).
    pub members: usize,
    /// Messages that wait for one SIP user's connection (RS-28).
    pub queued: usize,
    /// Their bodies together, in bytes (T23).
    pub queued_bytes: usize,
    /// Messages to one SIP user that are not answered yet.
    pub window: usize,
    /// Messages of one SIP user whose fate is not known yet.
    pub sent: usize,
    /// Wishes for a nickname of one SIP user's that wait for their turn.
    pub nicknames: usize,
    /// Subscriptions in one room.
    pub subscriptions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            join_wait: Duration::from_secs(2),
            answer_wait: Duration::from_secs(25),
            copy_wait: Duration::from_secs(60),
            history: 20,
            recover_wait: Duration::from_secs(30),
            renew_after: Duration::from_secs(2),
            parting_wait: Duration::from_secs(1),
            invite_wait: Duration::from_secs(90),
            return_wait: Duration::from_secs(10),
            silence: Duration::from_secs(900),
            nick_hold: Duration::from_secs(60),
            members: 2000,
            queued: 100,
            queued_bytes: 64 * 1024,
            window: 64,
            sent: 256,
            nicknames: 8,
            subscriptions: 4000,
        }
    }
}

/// A SIP user who wants to enter, or whom we invite.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Who it is.
    pub aor: Uri,
    /// The display name in From.
    pub name: Option<String>,
    /// The device, as its Contact or From names it.
    pub device: Option<String>,
    /// Further URIs that the user may write as (RS-24).
    pub identities: Vec<Uri>,
    /// What the offer comes to; `None`: there was none, and ours goes into the 200.
    pub media: Option<Media>,
}

/// The MSRP stream of an offer or answer, as a room needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The peer's path, nearest hop first.
    pub path: Vec<MsrpUri>,
    /// Our part in setting up the connection (RFC 6135).
    pub role: Role,
    /// Whether it can show plain text inside CPIM (RS-26).
    pub takes_text: bool,
    /// Whether it knows private messages (RS-27).
    pub private_messages: bool,
    /// The largest message the peer takes, in bytes of the whole MSRP body.
    pub max_size: Option<u64>,
}

/// Why a SIP user cannot take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The SDP is missing or cannot be read.
    #[error("the SDP is missing or cannot be read")]
    Unreadable,
    /// No MSRP stream that can be used.
    #[error("the SDP has no MSRP stream that can be used")]
    NoMsrp,
    /// It does not take `message/cpim`, which is all that rooms send (RS-02).
    #[error("the peer does not take message/cpim")]
    NoCpim,
}

/// What happened.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and the large ones are the rare ones"
)]
pub enum Event {
    /// A SIP user calls.
    Invited(MemberId, Box<Invitation>),
    /// Something about a SIP user who is known.
    Member(MemberId, MemberEvent),
    /// A SUBSCRIBE of that user's; in the dialog of that member, if it came in one.
    Subscribed {
        /// The subscription it is to become.
        subscription: SubscriptionId,
        /// Whose it is.
        aor: Uri,
        /// In whose dialog.
        member: Option<MemberId>,
    },
    /// The state is to be told anew.
    StateAsked(SubscriptionId, Occasion),
    /// The subscription is over.
    SubscriptionEnded(SubscriptionId),
    /// A REFER of that user's: somebody is to be invited (RS-30).
    Referred {
        /// What it may bring.
        subscription: SubscriptionId,
        /// Whose it is.
        aor: Uri,
        /// In whose dialog.
        member: Option<MemberId>,
        /// Who is to be invited.
        target: Uri,
    },
    /// From the MUC, or an invitation into it.
    Stanza(Box<Stanza>),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// The XMPP server has accepted the component again.
    LinkUp,
    /// The link to the XMPP server is gone.
    LinkDown,
    /// Time has passed, see [`Room::poll_timeout`](super::Room::poll_timeout).
    Elapsed,
    /// The gateway says goodbye.
    ShutDown,
    /// The goodbye has taken too long.
    Abandon,
}

/// What happened to a SIP user.
#[derive(Debug)]
pub enum MemberEvent {
    /// Our 200 was acknowledged; where it held our offer, with this answer.
    Acknowledged(Option<Result<Media, Unusable>>),
    /// Our INVITE was accepted.
    Answered(Result<Media, Unusable>),
    /// Our INVITE was refused with this status, or could not be delivered, which is like one.
    Rejected(u16),
    /// The SIP user took the INVITE back.
    Cancelled,
    /// The dialog is over; with the peer's words, if it gave any.
    Ended(Option<String>),
    /// A re-INVITE of the peer's.
    Changed(Media),
    /// The answer to a re-INVITE of ours.
    Renewed(Media),
    /// No new connection comes of our re-INVITE.
    NotRenewed,
    /// The peer took the MSRP stream out.
    StreamRemoved,
    /// The MSRP session is bound.
    Bound,
    /// It is lost.
    Disconnected(LostCause),
    /// A message by MSRP.
    Received(Box<Incoming>),
    /// A wish for a nickname.
    Nickname(Box<NicknameRequest>),
    /// The peer has taken a message.
    Accepted(Token),
    /// The peer has refused a message, or not answered (408).
    Refused(Token, u16),
    /// Too much waits already: the message was not sent.
    Congested(Token),
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Answer the INVITE with 200 (RS-03).
    Accept(MemberId),
    /// Refuse the INVITE.
    Decline(MemberId, u16),
    /// Send an INVITE (RS-31).
    Invite(MemberId, Box<Summons>),
    /// Acknowledge the 2xx to our INVITE.
    Ack(MemberId),
    /// Take our INVITE back.
    Cancel(MemberId),
    /// End the dialog.
    Bye(MemberId, Farewell),
    /// Offer a fresh path (MSRP-10).
    Renew(MemberId),
    /// Open the MSRP session.
    Open {
        /// Whose.
        member: MemberId,
        /// Which of its connections.
        leg: Leg,
        /// The peer's path.
        path: Vec<MsrpUri>,
        /// Who connects.
        role: Role,
    },
    /// Send a message, which is a CPIM document.
    Send {
        /// To whom.
        member: MemberId,
        /// Its name.
        token: Token,
        /// The document; those for several members are one.
        body: Bytes,
    },
    /// Send again what an earlier connection left unconfirmed, under its old Message-ID.
    SendAgain(MemberId, Token, Bytes),
    /// Answer a message or a nickname.
    Respond(MemberId, Leg, IncomingId, u16),
    /// Tell what became of a message that was answered before.
    Report {
        /// Whose.
        member: MemberId,
        /// The message.
        message_id: String,
        /// Its bytes.
        length: usize,
        /// The failure.
        status: u16,
    },
    /// Forget dialog and MSRP session.
    Close(MemberId),
    /// Write a stanza; with a token the room is told what became of it.
    Stanza(Outgoing, Option<Token>),
    /// Accept the SUBSCRIBE or REFER.
    Admit(SubscriptionId),
    /// Refuse it.
    TurnAway(SubscriptionId, u16),
    /// Send a NOTIFY: `active`, with this document.
    Notify(SubscriptionId, Option<Bytes>),
    /// Have the state asked for as soon as a NOTIFY may be sent.
    ReportChange(SubscriptionId),
    /// Send the last NOTIFY of a subscription: `noresource`.
    EndSubscription(SubscriptionId),
    /// Send the only NOTIFY of a REFER.
    EndReferral(SubscriptionId),
}

/// An INVITE of ours.
#[derive(Clone, Debug)]
pub struct Summons {
    /// Whom to call.
    pub target: Uri,
    /// Who wants it.
    pub inviter: Option<Uri>,
    /// Why.
    pub reason: Option<String>,
}

/// Why a SIP user's dialog ends, as its BYE tells (T17, T18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// SIP status.
    pub cause: u16,
    /// Words for a human.
    pub text: String,
}

impl Farewell {
    /// A reason.
    pub fn new(cause: u16, text: impl Into<String>) -> Farewell {
        Farewell {
            cause,
            text: text.into(),
        }
    }
}
