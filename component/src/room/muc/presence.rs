//! Presences of a room and its occupants. RX-14: each is for the device itself, at its full JID.

use std::sync::Arc;

use super::event::Place;
use super::member::{Availability, Member};
use super::roster::Occupant;
use crate::address::Jid;
use crate::fault::Fault;
use crate::xmpp::{
    MessageType, MucDestroy, MucItem, MucUser, Outgoing, OutgoingMessage, OutgoingPresence,
    Presence, PresenceType, Role,
};

/// Somebody else is in the room.
pub fn of_occupant(occupant: &Occupant, to: &Jid) -> Outgoing {
    OutgoingPresence::new(&occupant.jid, to, PresenceType::Available)
        .muc_user(occupant.about.clone())
        .into()
}

/// The user is in the room. `codes`: beside 110.
pub fn of_self(
    place: &Place,
    member: &Member,
    to: &Jid,
    codes: &[u16],
    id: Option<&str>,
) -> Outgoing {
    let mut about = MucUser::clone(member.roster.own()).status(110);
    for code in codes {
        about = about.status(*code);
    }
    let seat = member.seat(to);
    let from = place.occupant(&member.nick);
    let mut presence = OutgoingPresence::new(&from, to, PresenceType::Available).muc_user(about);
    if let Some(Availability { show, status }) = seat.map(|seat| &seat.availability) {
        if let Some(show) = show {
            presence = presence.show(*show);
        }
        if let Some(status) = status {
            presence = presence.status(status.clone());
        }
    }
    if let Some(id) = id {
        presence = presence.id(id);
    }
    presence.into()
}

/// Somebody is not in the room any more, or not under this name.
pub fn gone(from: &Jid, to: &Jid, about: MucUser) -> Outgoing {
    OutgoingPresence::new(from, to, PresenceType::Unavailable)
        .muc_user(about)
        .into()
}

/// What is said of somebody who has left.
pub fn left(code: Option<u16>) -> MucUser {
    let about = MucUser::of(MucItem::with_role(Role::None));
    match code {
        Some(code) => about.status(code),
        None => about,
    }
}

/// What is said of somebody who is called something else from now on.
pub fn renamed(was: &Arc<MucUser>, nick: &str) -> MucUser {
    let item = was.item.clone().unwrap_or_default();
    MucUser::of(MucItem {
        nick: Some(nick.to_owned()),
        ..item
    })
    .status(303)
}

/// The user is not in the room any more, because of what these codes say.
pub fn left_self(codes: &[u16]) -> MucUser {
    let mut about = left(None).status(110);
    for code in codes {
        about = about.status(*code);
    }
    about
}

/// The room is no more.
pub fn destroyed() -> MucUser {
    MucUser {
        destroy: Some(MucDestroy::default()),
        ..left_self(&[])
    }
}

/// The subject of the room.
pub fn subject(place: &Place, to: &Jid, subject: &str) -> Outgoing {
    OutgoingMessage::new(place.jid.as_jid(), to, MessageType::Groupchat)
        .subject(subject)
        .into()
}

/// Nobody came into the room: the error for the presence with this id. RX-09.
pub fn not_joined(from: &Jid, to: &Jid, id: Option<&str>, fault: &Fault) -> Outgoing {
    let mut presence = OutgoingPresence::new(from, to, PresenceType::Error)
        .echo_join()
        .error(fault.into());
    if let Some(id) = id {
        presence = presence.id(id);
    }
    presence.into()
}

/// The answer to somebody who speaks of a presence in a room without being in it: there is none (RX-02).
pub fn not_an_occupant(presence: &Presence) -> Outgoing {
    gone(&presence.to, &presence.from, left_self(&[307, 333]))
}
