//! Shell: which dialog and which MSRP session belong to which member of a room, and the ways back into its mailbox.

use std::collections::HashMap;
use std::net::IpAddr;

use stox_msrp::node::{Inbox, Session};
use stox_msrp::sdp::{Fingerprint, Origin, SessionDescription};
use stox_msrp::{Incoming, MsrpUri, NicknameRequest, SessionEvent, Unconfirmed};
use stox_sip::InviteId;

use super::input::{Door, Input, Leg, MemberId};
use crate::metrics;
use crate::sip;

/// Which dialog and which MSRP session belong to which member.
#[derive(Default)]
pub struct Wires {
    by_member: HashMap<MemberId, Wire>,
    member_by_invite: HashMap<InviteId, MemberId>,
}

/// A member's dialog and MSRP session.
pub struct Wire {
    /// The dialog.
    pub invite: InviteId,
    /// Our path.
    pub local: MsrpUri,
    /// Of the last description of ours.
    pub origin: Origin,
    /// The last description of ours; empty before the first.
    pub described: Vec<u8>,
    /// The peer's offer, as long as it waits for our answer, and which of its streams is taken.
    pub offer: Option<(SessionDescription, usize)>,
    /// Which certificate the peer shows, as its description says (SEC-07).
    pub fingerprint: Option<Fingerprint>,
    /// Where the answer to our INVITE came from; unknown in a dialog that the peer has begun.
    pub source: Option<IpAddr>,
    /// Its MSRP session, as soon as there is one.
    pub session: Option<Session>,
    /// Which of its connections that is.
    pub leg: Leg,
}

impl Wire {
    /// A dialog without MSRP session yet, which is to have that path of ours.
    pub fn new(invite: InviteId, local: MsrpUri) -> Wire {
        Wire {
            invite,
            local,
            origin: sip::origin(),
            described: Vec::new(),
            offer: None,
            fingerprint: None,
            source: None,
            session: None,
            leg: Leg::default(),
        }
    }
}

impl Wires {
    /// A member has a dialog from now on.
    pub fn add(&mut self, member: MemberId, wire: Wire) {
        metrics::session_opened();
        self.member_by_invite.insert(wire.invite, member);
        self.by_member.insert(member, wire);
    }

    /// That member's.
    pub fn of(&self, member: MemberId) -> Option<&Wire> {
        self.by_member.get(&member)
    }

    /// That member's.
    pub fn of_mut(&mut self, member: MemberId) -> Option<&mut Wire> {
        self.by_member.get_mut(&member)
    }

    /// Whose dialog it is.
    pub fn member(&self, invite: InviteId) -> Option<MemberId> {
        self.member_by_invite.get(&invite).copied()
    }

    /// Whether that is the member's connection at present.
    pub fn has(&self, member: MemberId, leg: Leg) -> bool {
        self.of(member).is_some_and(|wire| wire.leg == leg)
    }

    /// The member has none any more.
    pub fn remove(&mut self, member: MemberId) -> Option<Wire> {
        let wire = self.by_member.remove(&member)?;
        self.member_by_invite.remove(&wire.invite);
        metrics::session_closed();
        Some(wire)
    }
}

/// The way from a member's MSRP session into the mailbox of its room.
pub struct MemberInbox {
    /// Whose.
    pub member: MemberId,
    /// Which of its connections.
    pub leg: Leg,
    /// The room's.
    pub door: Door,
}

impl Inbox for MemberInbox {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        let input = Input::Msrp(self.member, self.leg, Box::new(message));
        match self.door.deliver(input).map_err(|full| full.0) {
            Err(Input::Msrp(_, _, message)) => Err(*message),
            _ => Ok(()),
        }
    }

    fn receive_nickname(&self, request: NicknameRequest) -> Result<(), NicknameRequest> {
        let input = Input::MsrpNickname(self.member, self.leg, Box::new(request));
        match self.door.deliver(input).map_err(|full| full.0) {
            Err(Input::MsrpNickname(_, _, request)) => Err(*request),
            _ => Ok(()),
        }
    }

    fn give_back(&self, unconfirmed: Unconfirmed) {
        let unconfirmed = Box::new(unconfirmed);
        self.door
            .complete(Input::MsrpUnconfirmed(self.member, self.leg, unconfirmed));
    }

    fn complete(&self, event: SessionEvent) {
        self.door
            .complete(Input::MsrpOutcome(self.member, self.leg, event));
    }
}
