//! What arrives at a room.

use std::net::IpAddr;

use stox_msrp::{Incoming, NicknameRequest, SessionEvent, Unconfirmed};
use stox_sip::{InviteId, Request, Uri};

use crate::address::Jid;
use crate::mailbox;
use crate::xmpp::Stanza;

/// The way into a room's mailbox.
pub type Door = mailbox::Door<Input>;

/// Somebody who takes part in a room through the gateway. Never used twice in the same room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// Which of a member's MSRP connections, counted from 1: each takes the place of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg(pub u32);

/// A stanza or an MSRP message of the room's whose fate it wants to know. Never used twice in the same room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What is said in a room is said to each of its members: with ten messages under way, two hundred of them have two thousand
/// inputs, and each of them who enters is told of all (RX-24, RS-28).
impl mailbox::Bounded for Input {
    const MOST: usize = 16 * 1024;
}

/// What arrives in a room's mailbox.
#[derive(Debug)]
pub enum Input {
    /// For the room or somebody in it, or from there.
    Stanza(Box<Stanza>),
    /// An INVITE of the SIP user's who has that address, for that XMPP address, from that IP address.
    Invited(Box<(InviteId, Request, Uri, Jid, IpAddr)>),
    /// Another request for the room, or what became of an INVITE, a dialog, a request or a subscription.
    Sip(Box<stox_sip::Event>),
    /// A message by MSRP.
    Msrp(MemberId, Leg, Box<Incoming>),
    /// A wish for a nickname by MSRP.
    MsrpNickname(MemberId, Leg, Box<NicknameRequest>),
    /// A message of ours that the peer had not confirmed when such a connection was lost.
    MsrpUnconfirmed(MemberId, Leg, Box<Unconfirmed>),
    /// What became of such a connection or of a message sent by it.
    MsrpOutcome(MemberId, Leg, SessionEvent),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// The XMPP server has accepted the component again.
    LinkUp,
    /// The link to the XMPP server is gone.
    LinkDown,
    /// The gateway says goodbye.
    ShutDown,
    /// The goodbye has taken too long.
    Abandon,
}
