//! Requests to rooms, and answers to questions of theirs.

use tracing::debug;

use super::XmppRouter;
use crate::fault::{Condition, Fault};
use crate::room;
use crate::xmpp::{self, Iq, IqType, OutgoingIq, Stanza};

impl XmppRouter {
    /// The room that has to do with it: a request is to a room or somebody in it, an answer may come from there too.
    pub(super) fn room_of(&self, iq: &Iq) -> Option<room::Door> {
        let registry = &self.ports().registry;
        if registry.rooms() == 0 {
            return None;
        }
        let own = registry.room(&iq.to.bare());
        match iq.kind {
            IqType::Get | IqType::Set => own,
            IqType::Result | IqType::Error => own.or_else(|| registry.room(&iq.from.bare())),
        }
    }

    /// A room of the XMPP world hands on the ping of somebody in it, maybe our own, to a SIP user who is in it (RS-36).
    fn is_ping_in_room(&self, iq: &Iq) -> bool {
        let registry = &self.ports().registry;
        xmpp::is_ping(iq) && registry.room(&iq.from.bare()).is_some()
    }

    pub(super) fn iq(&self, iq: Box<Iq>) {
        if self.is_ping_in_room(&iq) {
            return self.reply(OutgoingIq::result(&iq, None).into(), None);
        }
        if matches!(iq.kind, IqType::Result | IqType::Error) && self.lobby.answered(&iq) {
            return;
        }
        let Some(room) = self.room_of(&iq) else {
            return match iq.kind {
                IqType::Get | IqType::Set => self.inquiries.ask(iq),
                IqType::Result | IqType::Error => {
                    debug!(from = %iq.from, "an answer that nobody awaits any more");
                }
            };
        };
        match iq.kind {
            // There can be no more of them than were asked for.
            IqType::Result | IqType::Error => {
                room.complete(room::Input::Stanza(Box::new(Stanza::Iq(iq))));
            }
            IqType::Get | IqType::Set => {
                let refusal = Fault::new(Condition::ResourceConstraint);
                let refusal = OutgoingIq::error(&iq, (&refusal).into());
                let input = room::Input::Stanza(Box::new(Stanza::Iq(iq)));
                if room.deliver(input).is_err() {
                    self.reply(refusal.into(), None);
                }
            }
        }
    }
}
