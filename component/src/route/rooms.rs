//! The way into rooms of the SIP world: what XMPP users say to them, and foci that invite (RX).

use std::net::IpAddr;

use stox_sip::{Feature, Features, InviteId, Request, Status, Uri};
use tracing::info;

use super::{SipRouter, XmppRouter};
use crate::address::BareJid;
use crate::fault::{Condition, Fault};
use crate::room::muc::{self, Place};
use crate::room::{self, Door, Input};
use crate::xmpp::{Message, MessageType, OutgoingPresence, Presence, PresenceType, Stanza};

impl XmppRouter {
    /// Takes a message that is for a room; gives back any other.
    pub(super) fn message_for_room(&self, message: Message) -> Option<Message> {
        let is_for_all = message.kind == MessageType::Groupchat;
        let invites = message
            .muc
            .as_deref()
            .is_some_and(|user| !user.invites.is_empty() || user.decline.is_some());
        let registry = &self.ports().registry;
        if !is_for_all && registry.rooms() == 0 {
            return Some(message);
        }
        let room = message.to.bare();
        let is_seated = registry.is_seated(&room, &message.from);
        if !is_seated && !is_for_all && !invites {
            return Some(message);
        }
        let Some(door) = registry.room(&room) else {
            // What is said to all of a room is for nobody else.
            return match is_for_all {
                true => {
                    let fault =
                        Fault::new(Condition::NotAcceptable).with_text("you are not in this room");
                    self.give_back(&message, &fault, None);
                    None
                }
                false => Some(message),
            };
        };
        let stanza = Input::Stanza(Box::new(Stanza::Message(Box::new(message))));
        if let Err(full) = door.deliver(stanza)
            && let Input::Stanza(stanza) = full.0
            && let Stanza::Message(message) = *stanza
        {
            self.give_back(&message, &Fault::new(Condition::ResourceConstraint), None);
        }
        None
    }

    /// Takes a presence for somebody on our domain: rooms have an ear for it (RX-01, RX-02).
    pub(super) fn presence_for_room(&self, presence: &Presence) {
        let registry = &self.ports().registry;
        let room = presence.to.bare();
        let joins = presence.join.is_some() && presence.kind == PresenceType::Available;
        if joins {
            return self.join(room, presence);
        }
        if registry.is_seated(&room, &presence.from)
            && let Some(door) = registry.room(&room)
        {
            let stanza = Stanza::Presence(Box::new(presence.clone()));
            let input = Input::Stanza(Box::new(stanza));
            match presence.kind {
                // Who leaves must not be overheard, and leaves once.
                PresenceType::Unavailable | PresenceType::Error => door.complete(input),
                _ => {
                    if door.deliver(input).is_err() {
                        info!(from = %presence.from, "a presence is left out: its room has too much to do");
                    }
                }
            }
            return;
        }
        let is_of_occupant = presence.to.resource().is_some();
        if presence.kind == PresenceType::Available && is_of_occupant {
            self.reply(muc::not_an_occupant(presence), None);
        }
    }

    fn join(&self, room: BareJid, presence: &Presence) {
        let place = match self.addresses.sip_of(room.as_jid()) {
            Ok(contact) => Place {
                jid: room.clone(),
                uri: contact.aor.uri(),
            },
            Err(error) => return self.refuse_join(presence, &error.into()),
        };
        let registry = &self.ports().registry;
        registry.take_seat(&room, &presence.from);
        let stanza = Stanza::Presence(Box::new(presence.clone()));
        let input = Input::Stanza(Box::new(stanza));
        let ports = self.ports().clone();
        let delivered =
            registry.deliver_to_room(&room, input, |_| Some(muc::begin(ports.clone(), place)));
        if delivered.is_err() {
            registry.vacate_seat(&room, &presence.from);
            let fault = Fault::from_stanza(Some("wait"), Some("service-unavailable"), None);
            self.refuse_join(presence, &fault);
        }
    }

    fn refuse_join(&self, presence: &Presence, fault: &Fault) {
        info!(from = %presence.from, to = %presence.to, condition = %fault.condition(), "an XMPP user cannot enter a room");
        if let Some(refusal) = OutgoingPresence::refusal(presence, fault.into()) {
            self.reply(refusal, None);
        }
    }

    /// Rooms have to know whether the XMPP server is there (RX-33).
    pub(super) fn tell_rooms(&self, what: impl Fn() -> Input) {
        for door in self.ports().registry.room_doors() {
            door.complete(what());
        }
    }
}

impl SipRouter {
    /// The INVITE of a focus for an XMPP user asks for more than a chat (RX-31).
    pub(super) fn invited_by_focus(
        &self,
        invite: InviteId,
        request: Request,
        from: Uri,
        source: IpAddr,
    ) -> Result<(), Status> {
        let (_, parties, to) = self.parties(&from, &request.uri)?;
        let place = Place {
            jid: parties.romeo.bare(),
            uri: parties.romeo_uri,
        };
        let ports = self.ports()?;
        let room = place.jid.clone();
        let input = Input::Invited(Box::new((invite, request, from, to, source)));
        self.registry
            .deliver_invite_to_room(&room, invite, input, |_| {
                Some(muc::begin(ports.clone(), place))
            })
            .map_err(|_| Status::SERVICE_UNAVAILABLE)
    }
}

/// Whether whoever sends an INVITE says that it is a conference.
pub(super) fn is_from_focus(request: &Request) -> bool {
    let contact = request.contact().ok();
    contact.and_then(|contact| Features::of(&contact).is(Feature::Focus)) == Some(true)
}

/// A NOTIFY that a room has no room for is left out: the next one tells more, or that one is missing.
pub(super) fn deliver_notify(door: &Door, event: stox_sip::Event) {
    if door.deliver(room::Input::Sip(Box::new(event))).is_err() {
        tracing::debug!("a NOTIFY is left out: its room has too much to do");
    }
}
