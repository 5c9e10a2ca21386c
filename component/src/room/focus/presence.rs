//! What the MUC says of its occupants, and of those who are SIP users (RS-08, RS-16, RS-19, RS-33).

use tracing::info;

use super::delivery::words_of_status;
use super::event::Farewell;
use super::member::{Entry, Place};
use super::room::{Ending, Room};
use super::site::Cx;
use crate::fault::Fault;
use crate::room::MemberId;
use crate::text;
use crate::xmpp::{Iq, IqType, MucUser, Presence, PresenceType, StanzaError};

impl Room {
    pub(super) fn on_presence(&mut self, presence: &Presence, cx: &mut Cx<'_>) {
        let Some(id) = self.member_by_jid.get(&presence.to).copied() else {
            return self.on_presence_of_nobody(presence, cx);
        };
        if let Some(member) = self.members.get_mut(&id) {
            member.hear(cx.now);
        }
        match presence.kind {
            PresenceType::Available => self.on_available(id, presence, cx),
            PresenceType::Unavailable => self.on_unavailable(id, presence, cx),
            PresenceType::Error => self.on_presence_error(id, presence, cx),
            PresenceType::Probe
            | PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => {}
        }
    }

    /// Whoever has left before the MUC let them in leaves now (RS-32), and so does whom we know nothing of any more.
    fn on_presence_of_nobody(&mut self, presence: &Presence, cx: &mut Cx<'_>) {
        let is_own = presence.muc.as_ref().is_some_and(|muc| muc.is_own());
        match presence.kind {
            PresenceType::Available if is_own => cx.leave(&presence.to, &presence.from, None),
            PresenceType::Unavailable | PresenceType::Error
                if is_own || presence.error.is_some() =>
            {
                self.left_by_jid.remove(&presence.to);
            }
            _ => {}
        }
    }

    fn on_available(&mut self, id: MemberId, presence: &Presence, cx: &mut Cx<'_>) {
        let (Some(nick), Some(muc)) = (presence.from.resource(), &presence.muc) else {
            return;
        };
        if muc.is_own() && muc.has(201) {
            return self.on_created(id, nick, cx);
        }
        let is_news = self.roster.note(nick, muc.item.as_ref());
        self.changed_if(is_news, cx);
        if muc.is_own() {
            let Some(member) = self.members.get(&id) else {
                return;
            };
            let is_first = matches!(
                &member.place,
                Place::Entering(entering) if entering.entry == Entry::First
            );
            if !member.is_inside() {
                let is_news = self.roster.expose(muc.has(100));
                self.changed_if(is_news, cx);
            }
            self.placed(id, nick, cx);
            if is_first {
                self.say_statuses(id, muc, cx);
            }
        }
    }

    /// There was no such room; the one that has been made is left again (RS-05). Where it was there before, its owner may
    /// be about to make it anew.
    fn on_created(&mut self, id: MemberId, nick: &str, cx: &mut Cx<'_>) {
        info!("there was no such room: the one that has been made is left again");
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if let Place::Entering(entering) = &member.place {
            let (wanted, entry) = (entering.nick.clone(), entering.entry);
            if member.look_again(&wanted, entry, &self.site, cx) {
                if let Some(occupant) = self.site.occupant(nick) {
                    cx.leave(&member.jid, &occupant, None);
                }
                return;
            }
        }
        let farewell = Farewell::new(404, "there is no such room");
        self.finish(id, Ending::Put(farewell), cx);
    }

    fn on_unavailable(&mut self, id: MemberId, presence: &Presence, cx: &mut Cx<'_>) {
        let Some(nick) = presence.from.resource() else {
            return;
        };
        let muc = presence.muc.as_deref();
        let renamed = muc.filter(|muc| muc.has(303));
        let renamed = renamed.and_then(|muc| muc.item.as_ref()?.nick.as_deref());
        if let Some(to) = renamed {
            let is_news = self.roster.rename(nick, to);
            return self.changed_if(is_news, cx);
        }
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let is_own = muc.is_some_and(MucUser::is_own) || member.nick() == Some(nick);
        let is_inside = match &member.place {
            Place::Inside(_) => true,
            // The MUC tells of an earlier end that nobody had heard of.
            Place::Entering(entering) => entering.entry == Entry::First,
            Place::Outside { .. } | Place::Away(_) => false,
        };
        // Another device of the same user may go on under this name.
        let is_shared = is_own && self.is_anybody_else(id, nick);
        if !is_shared {
            let is_news = self.roster.remove(nick);
            self.changed_if(is_news, cx);
        }
        if is_own && is_inside {
            let farewell = farewell_of(muc, presence);
            info!(
                cause = farewell.cause,
                text = farewell.text,
                "the room puts a SIP user out"
            );
            self.finish(id, Ending::Removed(farewell), cx);
        }
    }

    fn on_presence_error(&mut self, id: MemberId, presence: &Presence, cx: &mut Cx<'_>) {
        let fault = fault_of(presence.error.as_ref());
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let nick = presence.from.resource();
        let stanza_id = presence.id.as_deref();
        let fate = member.on_refused(&fault, stanza_id, nick, &mut self.site, cx);
        if let super::member::Fate::Leaves(farewell) = fate {
            self.say_goodbye(id, farewell, cx);
        }
    }

    /// Whether another SIP user has that nickname as well.
    fn is_anybody_else(&self, id: MemberId, nick: &str) -> bool {
        let mut others = self.members.values().filter(|member| member.id != id);
        others.any(|member| member.nick() == Some(nick))
    }

    /// What somebody who comes in has to know of the room (T17).
    pub(super) fn say_statuses(&mut self, id: MemberId, muc: &MucUser, cx: &mut Cx<'_>) {
        for status in &muc.statuses {
            match status {
                172 | 173 => {
                    let is_news = self.roster.expose(*status == 172);
                    self.changed_if(is_news, cx);
                }
                _ => {}
            }
            if let Some(words) = words_of_status(*status) {
                self.say(id, words, cx);
            }
        }
    }

    /// What the MUC says when it is asked for an occupant (RS-36).
    pub(super) fn on_iq(&mut self, iq: &Iq, cx: &mut Cx<'_>) {
        let Some(id) = self.member_by_jid.get(&iq.to).copied() else {
            return;
        };
        let fault = match iq.kind {
            IqType::Result => None,
            IqType::Error => Some(fault_of(iq.error.as_ref())),
            IqType::Get | IqType::Set => return,
        };
        self.on_watched(id, iq.id.as_deref(), fault.as_ref(), cx);
    }
}

pub(super) fn fault_of(error: Option<&StanzaError>) -> Fault {
    let error = error.cloned().unwrap_or_default();
    Fault::from_stanza(
        Some(&error.kind),
        Some(&error.condition),
        error.text.as_deref(),
    )
}

/// Why the MUC puts somebody out (T17).
fn farewell_of(muc: Option<&MucUser>, presence: &Presence) -> Farewell {
    let has = |status| muc.is_some_and(|muc| muc.has(status));
    let item = muc.and_then(|muc| muc.item.as_ref());
    let reason = item.and_then(|item| item.reason.as_deref());
    let status = presence.statuses.first().map(|status| status.text.as_str());
    let (cause, words) = match () {
        () if let Some(destroy) = muc.and_then(|muc| muc.destroy.as_ref()) => {
            let mut words = "the room is gone".to_owned();
            if let Some(reason) = &destroy.reason {
                words = format!("{words}: {reason}");
            }
            if let Some(venue) = &destroy.jid {
                words = format!("{words}; go to {venue}");
            }
            return Farewell::new(410, text::for_header(&words));
        }
        () if has(301) => (403, "banned"),
        () if has(307) && has(333) => (480, "connection lost"),
        () if has(307) => (403, "kicked"),
        () if has(321) => (403, "no longer a member"),
        () if has(322) => (403, "the room is for its members now"),
        () if has(332) => (503, "the chat service shuts down"),
        () if has(333) => (480, "connection lost"),
        () => (480, "no longer in the room"),
    };
    let words = match reason.or(status).filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{words}: {reason}"),
        None => words.to_owned(),
    };
    Farewell::new(cause, text::for_header(&words))
}
