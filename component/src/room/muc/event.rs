//! What can happen to a room of the SIP world, and what it asks for. Events are past, actions imperative.

use std::time::Duration;

use bytes::Bytes;
use stox_msrp::sdp::Chatroom;
use stox_msrp::{Incoming, IncomingId, LostCause, MsrpUri, NicknameForm, Role};
use stox_sip::{Failure, Next, Response, Secret, SubscriptionEnd, Uri};

use crate::address::{BareJid, Jid};
use crate::fault::RoomMessage;
use crate::room::{Leg, MemberId, Token};
use crate::translate::promise::Settlement;
use crate::translate::{Rejection, Unusable};
use crate::xmpp::{Outgoing, Stanza};

/// What a room needs to know of the configuration. All sizes in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an INVITE may go without a final answer.
    pub answer_wait: Duration,
    /// How long an accepted session may take to get its MSRP connection.
    pub bind_wait: Duration,
    /// How long the first NOTIFY may take before somebody is in the room without it (RX-18).
    pub roster_wait: Duration,
    /// How long a focus waits for an answer to its invitation (RX-31).
    pub invite_wait: Duration,
    /// How long a message waits for its sender to appear in the roster (RX-25).
    pub sender_wait: Duration,
    /// A message that is older says when it was written (RX-24).
    pub late_after: Duration,
    /// How long a message of ours is known again when the switch sends it back (RX-22).
    pub echo_wait: Duration,
    /// How many altered nicknames are tried where the wished one is taken (RX-07).
    pub nick_retry: u32,
    /// Dialogs with the focus (SEC-14).
    pub members: usize,
    /// Devices of one user in the room.
    pub seats: usize,
    /// Messages of the switch that may wait for somebody who is not in the room yet (T23).
    pub held: usize,
    /// Their bodies together.
    pub held_bytes: usize,
    /// Messages of one member that the switch has not answered yet.
    pub window: usize,
    /// Changes of nickname that may wait for an earlier one.
    pub wishes: usize,
    /// Invitations by way of the room under way, in each direction.
    pub invitations: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            answer_wait: Duration::from_secs(180),
            bind_wait: Duration::from_secs(30),
            roster_wait: Duration::from_secs(10),
            invite_wait: Duration::from_secs(90),
            sender_wait: Duration::from_secs(2),
            late_after: Duration::from_secs(30),
            echo_wait: Duration::from_secs(60),
            nick_retry: 0,
            members: 1000,
            seats: 16,
            held: 50,
            held_bytes: 64 * 1024,
            window: 256,
            wishes: 8,
            invitations: 50,
        }
    }
}

/// The room, as each side knows it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The address its occupants write to, without resource.
    pub jid: BareJid,
    /// Its SIP address, without parameters.
    pub uri: Uri,
}

/// An XMPP user who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Without resource.
    pub jid: BareJid,
    /// The user's SIP address, without `gr`.
    pub uri: Uri,
}

/// One invitation of ours by way of the room. Never used twice in the same room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferralId(pub u32);

/// What the other side of a dialog says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Focus {
    /// Its Contact.
    pub contact: Option<Uri>,
    /// Whether the Contact says that it is a conference.
    pub kind: FocusKind,
    /// How it wants nicknames.
    pub form: NicknameForm,
}

/// Whether a Contact says `isfocus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FocusKind {
    /// It does.
    Focus,
    /// It says nothing of the kind.
    Unsaid,
}

/// What an offer or answer of a focus comes to (T12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMedia {
    /// The switch's path, nearest hop first.
    pub path: Vec<MsrpUri>,
    /// Our part in setting up the connection.
    pub role: Role,
    /// The largest message the switch takes.
    pub max_size: Option<u64>,
    /// What the room knows beyond messages; `None`: it does not say that it is one.
    pub chatroom: Option<Chatroom>,
    /// Whether it takes text in CPIM, without which there is no chat room.
    pub wrapping: RoomWrapping,
}

/// Whether text can travel to a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomWrapping {
    /// In `message/cpim`.
    Cpim,
    /// Not as chat rooms have it.
    Unknown,
}

/// A focus asks somebody in (RX-31).
#[derive(Clone, Debug)]
pub struct FocusInvitation {
    /// Whom: an XMPP user, or one device.
    pub to: Jid,
    /// The same user.
    pub user: User,
    /// On whose behalf, as the XMPP user is to see it.
    pub inviter: Option<Jid>,
    /// Why, in the words of its Subject.
    pub reason: Option<String>,
    /// Who asks.
    pub focus: Focus,
    /// Its offer.
    pub media: RoomMedia,
}

/// What happened.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each input and taken apart at once"
)]
pub enum Event {
    /// A stanza for the room or somebody in it, or an answer to one of the room's.
    Stanza(Stanza),
    /// A focus asks an XMPP user in. The id is the one that [`Room::next_member`](super::Room::next_member) gave.
    Invited(MemberId, Box<FocusInvitation>),
    /// Something happened to a member.
    Member(MemberId, MemberEvent),
    /// Something became of an invitation of ours.
    Referral(ReferralId, ReferralEvent),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// A presence for that device could not be written: too much waits.
    Unwritten(Jid),
    /// The XMPP server has accepted the component again.
    LinkUp,
    /// The link to the XMPP server is gone.
    LinkDown,
    /// The time that `poll_timeout` told has come.
    Elapsed,
    /// The gateway says goodbye.
    ShutDown,
}

/// What happened to one member's dialog, connection or subscription.
#[derive(Debug)]
pub enum MemberEvent {
    /// 2xx to our INVITE.
    Answered {
        /// What its SDP comes to.
        media: Result<RoomMedia, Unusable>,
        /// Who answered.
        focus: Focus,
    },
    /// A final response of 300 or more; here it is if it is a 401.
    Rejected(Rejection, Option<Box<Response>>),
    /// No final response.
    Failed(Failure),
    /// The focus took its INVITE back.
    Cancelled,
    /// The dialog is over.
    Ended(DialogEnd),
    /// The MSRP connection stands.
    Bound,
    /// The switch has taken a message or a nickname of ours.
    Accepted(Token),
    /// The switch has refused a message or a nickname of ours, with this status.
    Refused(Token, u16),
    /// The switch has not answered in 30 s.
    Unanswered(Token),
    /// The MSRP connection is gone.
    Disconnected(LostCause),
    /// A message of the switch's.
    Received(Leg, Incoming),
    /// A NOTIFY of the conference package; its body, which may be empty.
    Notified(Bytes),
    /// The subscription is over.
    Unsubscribed(SubscriptionEnd, Next),
}

/// What answers a 401 of the focus.
#[derive(Debug)]
pub struct Proof {
    /// What opens the room.
    pub password: Secret,
    /// The 401.
    pub challenge: Response,
}

/// How a dialog ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogEnd {
    /// By a BYE of the focus, and what it says about why.
    Bye(Option<String>),
    /// The focus does not know it any more, or nobody refreshed or acknowledged it.
    Gone,
    /// By ourselves.
    Ours,
}

/// What became of an invitation of ours.
#[derive(Clone, Debug)]
pub enum ReferralEvent {
    /// The focus has heard this status from the invited one.
    Notified(u16),
    /// There is no more to hear.
    Ended(SubscriptionEnd),
}

/// Why a dialog is ended by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByeReason {
    /// The user has left, perhaps with words.
    Left(Option<String>),
    /// The user's device is not there any more.
    Vanished,
    /// It is not the room that was wanted, or the nickname cannot be had.
    Unusable(u16),
    /// There is no MSRP connection.
    MediaLost,
    /// Another dialog of the same user serves both devices.
    Shared,
    /// The gateway shuts down.
    ShuttingDown,
}

/// Whom to tell what became of a message in a room, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// A stanza: its sender hears only of a failure, as an error stanza.
    Stanza {
        /// The sender's full JID.
        from: Jid,
        /// The room, or an occupant.
        to: Jid,
        /// The sender's own id, if there was one.
        id: Option<String>,
    },
    /// An MSRP message: answered with 200, or with the status of the fault.
    Send {
        /// Whose session it came by.
        member: MemberId,
        /// Which of its connections: no other can carry the answer.
        leg: Leg,
        /// The message within the session.
        incoming: IncomingId,
        /// Who was to get it.
        message: RoomMessage,
    },
}

/// What is to be done, in the order given.
#[derive(Debug)]
pub enum Action {
    /// INVITE to the focus (RX-01).
    Invite {
        /// Whose.
        member: MemberId,
        /// The member's account.
        user: User,
        /// The device.
        resource: Option<String>,
        /// What the user wants to be called.
        nick: String,
        /// What the focus has asked for, if this is another attempt (RX-10).
        proof: Option<Box<Proof>>,
    },
    /// ACK.
    Ack(MemberId),
    /// CANCEL.
    Cancel(MemberId),
    /// BYE.
    Bye(MemberId, ByeReason),
    /// 180 to the INVITE of a focus.
    Ring(MemberId),
    /// 200 with our answer, for this device.
    Accept(MemberId, User, Option<String>),
    /// The final refusal of the INVITE of a focus.
    Decline(MemberId, u16),
    /// Opens the MSRP session.
    OpenMsrp {
        /// Whose.
        member: MemberId,
        /// Which connection.
        leg: Leg,
        /// The switch's path.
        path: Vec<MsrpUri>,
        /// Our part in setting it up.
        role: Role,
    },
    /// NICKNAME (RX-05).
    UseNickname {
        /// Whose.
        member: MemberId,
        /// Named so in what comes of it.
        token: Token,
        /// What to be called.
        nick: String,
        /// How it is written.
        form: NicknameForm,
    },
    /// SEND of a `message/cpim`.
    Send {
        /// By whose session.
        member: MemberId,
        /// Named so in what comes of it.
        token: Token,
        /// The whole body.
        body: Bytes,
    },
    /// SUBSCRIBE to the conference package (RX-11).
    Subscribe {
        /// For whom.
        member: MemberId,
        /// Where.
        target: Uri,
        /// The member's account.
        user: User,
        /// The device.
        resource: Option<String>,
    },
    /// SUBSCRIBE with Expires 0.
    Unsubscribe(MemberId),
    /// SUBSCRIBE before it is due, for a full document.
    Refresh(MemberId),
    /// REFER (RX-30).
    Refer {
        /// Named so in what comes of it.
        referral: ReferralId,
        /// Who invites.
        user: User,
        /// The device.
        resource: Option<String>,
        /// Whom.
        invited: Uri,
    },
    /// Dialog, session and subscription are of no more concern.
    Close(MemberId),
    /// Writes a stanza; with a token, what becomes of it is to be told.
    Stanza(Outgoing, Option<Token>),
    /// The device is not in the room any more, nor about to be.
    Vacate(Jid),
    /// Tells a sender.
    Settle(Settlement<Ticket>),
}
