//! What stanzas say about rooms: the wish to enter one, what a room tells about an occupant, invitations. XEP-0045,
//! XEP-0249.

mod read;
mod write;

use std::sync::Arc;
use std::time::SystemTime;

pub(super) use self::read::{direct_invite, join, muc_user};
pub(super) use self::write::{write_direct_invite, write_join, write_muc_user};
use crate::address::Jid;

/// The wish to enter a room. XEP-0045 §7.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The room's password.
    pub password: Option<String>,
    /// How much of the past to tell.
    pub history: History,
}

/// How much of the past a room is to tell somebody who enters; what is `None` sets no bound. XEP-0045 §7.2.14.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Characters of all those stanzas together.
    pub max_chars: Option<u32>,
    /// Messages.
    pub max_stanzas: Option<u32>,
    /// Seconds back from now.
    pub seconds: Option<u32>,
    /// Nothing that is older.
    pub since: Option<SystemTime>,
}

impl History {
    /// At most so many messages.
    pub fn messages(most: u32) -> History {
        History {
            max_stanzas: Some(most),
            ..History::default()
        }
    }
}

/// What a room says beside a presence or a message: `<x/>` of `muc#user`.
///
/// Of several items, declines and the like the first counts; a room sends one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MucUser {
    /// Status codes, in the order of the stanza. XEP-0045 §15.6.2.
    pub statuses: Vec<u16>,
    /// Whom it is about.
    pub item: Option<MucItem>,
    /// Invitations by way of the room; to a room there can be several in one message. XEP-0045 §7.8.2.
    pub invites: Vec<MucInvite>,
    /// The answer of somebody who does not follow an invitation.
    pub decline: Option<MucDecline>,
    /// The room is gone.
    pub destroy: Option<MucDestroy>,
    /// What opens the room to which the recipient is invited.
    pub password: Option<String>,
}

impl MucUser {
    /// About one occupant.
    pub fn of(item: MucItem) -> MucUser {
        MucUser {
            item: Some(item),
            ..MucUser::default()
        }
    }

    /// With one more status code.
    pub fn status(mut self, code: u16) -> MucUser {
        self.statuses.push(code);
        self
    }

    /// Whether it has this status code.
    pub fn has(&self, code: u16) -> bool {
        self.statuses.contains(&code)
    }

    /// Whether it is about the occupant who gets it (status 110).
    pub fn is_own(&self) -> bool {
        self.has(110)
    }
}

/// What somebody is in a room. XEP-0045 §5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MucItem {
    /// Their lasting standing; none where it is missing or unknown.
    pub affiliation: Affiliation,
    /// What they may do now; none where it is missing or unknown.
    pub role: Role,
    /// Their own address, where the room shows it. What is no address counts as none.
    pub jid: Option<Jid>,
    /// The nickname they have from now on (status 303), or that they have reserved.
    pub nick: Option<String>,
    /// Who did it: a nickname, else an address.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl MucItem {
    /// Somebody with this role and no standing, which is what SIP focuses tell of their participants (T16).
    pub fn with_role(role: Role) -> MucItem {
        MucItem {
            role,
            ..MucItem::default()
        }
    }
}

/// A lasting standing in a room. XEP-0045 §5.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Affiliation {
    /// Owns the room.
    Owner,
    /// May change others' standing.
    Admin,
    /// Is on the list of members.
    Member,
    /// Is banned.
    Outcast,
    /// Nothing lasting.
    #[default]
    None,
}

impl Affiliation {
    /// The value of its attribute.
    pub fn name(self) -> &'static str {
        match self {
            Affiliation::Owner => "owner",
            Affiliation::Admin => "admin",
            Affiliation::Member => "member",
            Affiliation::Outcast => "outcast",
            Affiliation::None => "none",
        }
    }
}

/// What an occupant may do at present. XEP-0045 §5.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Keeps order.
    Moderator,
    /// Takes part.
    Participant,
    /// Listens.
    Visitor,
    /// Is not there.
    #[default]
    None,
}

impl Role {
    /// The value of its attribute.
    pub fn name(self) -> &'static str {
        match self {
            Role::Moderator => "moderator",
            Role::Participant => "participant",
            Role::Visitor => "visitor",
            Role::None => "none",
        }
    }
}

/// An invitation by way of the room. XEP-0045 §7.8.2.
///
/// To the room it names whom to invite (`to`), from the room who invites (`from`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MucInvite {
    /// Who invites.
    pub from: Option<Jid>,
    /// Who is invited.
    pub to: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
}

/// Somebody does not follow an invitation. XEP-0045 §7.8.2.
///
/// To the room it names who invited (`to`), from the room who declines (`from`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MucDecline {
    /// Who declines.
    pub from: Option<Jid>,
    /// Who had invited.
    pub to: Option<Jid>,
    /// Why not.
    pub reason: Option<String>,
}

/// The room is gone. XEP-0045 §10.9.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MucDestroy {
    /// Where to go instead.
    pub jid: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
    /// What opens the other room.
    pub password: Option<String>,
}

/// An invitation from user to user. XEP-0249.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectInvite {
    /// The room.
    pub jid: Jid,
    /// What opens it.
    pub password: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What an outgoing presence carries of XEP-0045.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MucElement {
    /// What a room says about an occupant. Many stanzas say the same.
    User(Arc<MucUser>),
    /// The wish to enter.
    Join(Join),
}
