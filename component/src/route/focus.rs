//! The way to rooms of XMPP that SIP users are in: what those rooms say, and what SIP users ask of them (RS-15, RS-30, RS-31).

use std::time::Instant;

use stox_sip::{Event as SipEvent, Method, Status};
use tracing::info;

use super::sip::within;
use super::{SipRouter, XmppRouter};
use crate::address::BareJid;
use crate::fault::{Condition, Fault};
use crate::registry::Owner;
use crate::room::{self, focus};
use crate::xmpp::{Message, MessageType, Outgoing, OutgoingPresence, PresenceType, Stanza};

impl XmppRouter {
    /// Takes what comes from a room that SIP users are in, or calls one of them into a room; the rest is given back.
    pub(super) fn of_rooms(&mut self, stanza: Stanza) -> Option<Stanza> {
        if let Stanza::Message(message) = &stanza
            && let Some(room) = invited_to(message)
        {
            return self.invitation(room, stanza);
        }
        let from = match &stanza {
            // A user may have the address of what was thought to be a room: without a device it is not for a member.
            Stanza::Message(message) if !message.to.is_bare() => &message.from,
            Stanza::Presence(presence) if !presence.to.is_bare() => &presence.from,
            Stanza::Message(_) | Stanza::Presence(_) | Stanza::Iq(_) => return Some(stanza),
        };
        let registry = &self.ports().registry;
        if registry.rooms() == 0 {
            return left_behind(&stanza).map_or(Some(stanza), |leaving| self.put_out(leaving));
        }
        let Some(room) = registry.room(&from.bare()) else {
            return left_behind(&stanza).map_or(Some(stanza), |leaving| self.put_out(leaving));
        };
        // There can be no more of these than the room has asked for, and whoever asked waits for them (RS-08).
        let is_outcome = match &stanza {
            Stanza::Presence(presence) => {
                let is_own = presence.muc.as_ref().is_some_and(|muc| muc.is_own());
                is_own || presence.kind == PresenceType::Error
            }
            Stanza::Message(_) | Stanza::Iq(_) => false,
        };
        let input = room::Input::Stanza(Box::new(stanza));
        if is_outcome {
            room.complete(input);
            return None;
        }
        if let Err(full) = room.deliver(input) {
            // What a room says to all is not given back: that would put the SIP user out.
            if let room::Input::Stanza(stanza) = full.0
                && let Stanza::Message(message) = *stanza
            {
                info!(from = %message.from, to = %message.to, "a room says more than can be taken: a message is left out");
                if message.kind != MessageType::Groupchat {
                    let fault = Fault::new(Condition::ResourceConstraint);
                    self.give_back(&message, &fault, None);
                }
            }
        }
        None
    }

    fn invitation(&mut self, room: BareJid, stanza: Stanza) -> Option<Stanza> {
        if let Stanza::Message(message) = &stanza
            && !self.messages.take(&message.from.bare(), Instant::now())
        {
            info!(from = %message.from, "an invitation is not followed: there are too many");
            return None;
        }
        let ports = self.ports().clone();
        let input = room::Input::Stanza(Box::new(stanza));
        let delivered = ports.registry.deliver_to_room(&room, input, |address| {
            focus::begin(ports.clone(), address.clone())
        });
        match delivered {
            Ok(()) => None,
            Err(full) => {
                info!(%room, "an invitation cannot be followed: there is no such room, or no place for it");
                match full.0 {
                    room::Input::Stanza(stanza) => Some(*stanza),
                    _ => None,
                }
            }
        }
    }

    /// A room has let somebody in whom nobody knows any more.
    fn put_out(&self, leaving: Outgoing) -> Option<Stanza> {
        self.reply(leaving, None);
        None
    }
}

impl SipRouter {
    /// The room that a SUBSCRIBE or REFER is for, in a dialog of its own or in that of a member (RS-15, RS-30).
    pub(super) fn room_for(&self, event: &SipEvent) -> Option<room::Door> {
        let SipEvent::Requested {
            invite, request, ..
        } = event
        else {
            return None;
        };
        if !matches!(request.method, Method::Subscribe | Method::Refer) {
            return None;
        }
        match invite {
            Some(invite) => match self.registry.owner_of_invite(*invite)? {
                Owner::Room(room) => Some(room),
                Owner::Conversation(_) => None,
            },
            None => {
                let target = self.addresses.xmpp_target(&request.uri).ok()?;
                self.registry.room(&target.bare())
            }
        }
    }

    pub(super) fn ask_room(&mut self, room: &room::Door, event: SipEvent) -> Result<(), Status> {
        if let SipEvent::Requested { source, .. } = &event {
            let is_taken = self.messages.take(&source.remote.ip(), Instant::now());
            within(is_taken, source)?;
        }
        room.deliver(room::Input::Sip(Box::new(event)))
            .map_err(|_| Status::SERVICE_UNAVAILABLE)
    }
}

/// The room that a message invites into, by way of it or past it.
fn invited_to(message: &Message) -> Option<BareJid> {
    if message.kind == MessageType::Error {
        return None;
    }
    if let Some(direct) = &message.direct_invite {
        return Some(direct.jid.bare());
    }
    let muc = message.muc.as_ref()?;
    (message.from.is_bare() && !muc.invites.is_empty()).then(|| message.from.bare())
}

/// What takes somebody out of a room that has let in whom nobody knows here.
fn left_behind(stanza: &Stanza) -> Option<Outgoing> {
    let Stanza::Presence(presence) = stanza else {
        return None;
    };
    let is_own = presence.muc.as_ref().is_some_and(|muc| muc.is_own());
    (is_own && presence.kind == PresenceType::Available).then(|| {
        OutgoingPresence::new(&presence.to, &presence.from, PresenceType::Unavailable).into()
    })
}
