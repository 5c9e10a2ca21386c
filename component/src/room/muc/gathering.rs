//! Asking the focus who is in the room, and showing it to those who come in. RFC 7702 §5.3, §5.4; RX-03, RX-11, RX-18.

use std::time::{Duration, Instant};

use stox_sip::{Next, SubscriptionEnd, TerminationReason, Uri};
use tracing::{debug, info};

use super::event::Action;
use super::member::{Asking, Stage, State};
use super::presence;
use super::room::{Cx, Room};
use crate::address::Jid;
use crate::room::MemberId;

/// Before a focus that does not know the conference yet is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Room {
    /// Asks the focus who is there (F10).
    pub(super) fn subscribe(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let until = cx.now + self.settings.roster_wait;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Open(line, stage) = &mut member.state else {
            return;
        };
        let contact = line.contact.clone();
        let asking = match contact {
            Some(_) => Asking::Contact,
            None => Asking::Room,
        };
        *stage = Stage::Gathering { until, asking };
        let target = contact.unwrap_or_else(|| self.place.uri.clone());
        self.ask(id, target, cx);
    }

    fn ask(&self, id: MemberId, target: Uri, cx: &mut Cx<'_>) {
        if let Some(member) = self.members.get(&id) {
            cx.act(Action::Subscribe {
                member: id,
                target,
                user: member.user.clone(),
                resource: member.resource(),
            });
        }
    }

    /// The subscription is over. RX-18, RX-29.
    pub(super) fn unsubscribed(
        &mut self,
        id: MemberId,
        end: &SubscriptionEnd,
        next: Next,
        cx: &mut Cx<'_>,
    ) {
        debug!(
            member = id.0,
            ?end,
            "the focus tells no more who is in the room"
        );
        if let SubscriptionEnd::Terminated(Some(TerminationReason::NoResource)) = end {
            return self.destroyed(id, cx);
        }
        let now = cx.now;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match &mut member.state {
            State::Open(_, Stage::Gathering { until, asking }) => {
                let is_early =
                    matches!(end, SubscriptionEnd::Refused(status) if status.code() == 480);
                match asking {
                    // Some know their conferences only by the address that was called.
                    Asking::Contact => {
                        *asking = Asking::Room;
                        let target = self.place.uri.clone();
                        self.ask(id, target, cx);
                    }
                    Asking::Room | Asking::Again(_) if is_early && now + ASK_AGAIN < *until => {
                        *asking = Asking::Again(now + ASK_AGAIN);
                    }
                    Asking::Room | Asking::Again(_) => {
                        info!(
                            member = id.0,
                            ?end,
                            "the focus does not tell who is in the room"
                        );
                        member.roster.give_up();
                        self.complete(id, cx);
                    }
                }
            }
            State::Open(..) if next == Next::AtOnce => {
                member.roster.resubscribed();
                let target = self.place.uri.clone();
                self.ask(id, target, cx);
            }
            State::Open(..) | State::Inviting { .. } | State::Ringing { .. } => {}
        }
    }

    /// The roster has not come yet, or is to be asked for again.
    pub(super) fn gather_on(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let now = cx.now;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Open(_, Stage::Gathering { until, asking }) = &mut member.state else {
            return;
        };
        if now >= *until {
            info!(
                member = id.0,
                "the focus has not told in time who is in the room"
            );
            member.roster.give_up();
            return self.complete(id, cx);
        }
        if let Asking::Again(at) = asking
            && now >= *at
        {
            *asking = Asking::Room;
            let target = self.place.uri.clone();
            self.ask(id, target, cx);
        }
    }

    /// Everything is known that a client is to know first (F14, F15). RX-03.
    pub(super) fn complete(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Open(line, stage @ Stage::Gathering { .. }) = &mut member.state else {
            return;
        };
        *stage = Stage::Joined;
        let wish = member.nick.clone();
        if !line.chatroom.nickname
            && let Some(name) = member.roster.own_name().map(str::to_owned)
        {
            member.roster.call_me(&self.place, &wish, &name);
            member.nick = name;
        }
        info!(member = id.0, xmpp = %member.account(), nick = member.nick, "an XMPP user is in the room");
        let seats: Vec<(Jid, Option<String>)> = member
            .seats
            .iter()
            .map(|seat| (seat.jid.clone(), seat.join_id.clone()))
            .collect();
        let is_altered = member.nick != member.wished;
        let codes: &[u16] = match is_altered {
            true => &[210],
            false => &[],
        };
        for (jid, join_id) in &seats {
            self.show_occupants(id, jid, join_id.as_deref(), codes, cx);
        }
        self.show_history(id, cx);
        for (jid, _) in &seats {
            self.show_subject(id, jid, cx);
        }
        self.show_arrived(id, cx);
        self.next_wish(id, cx);
    }

    /// Everybody, the user last, and the subject.
    pub(super) fn show_room(
        &mut self,
        id: MemberId,
        to: &Jid,
        stanza_id: Option<&str>,
        codes: &[u16],
        cx: &mut Cx<'_>,
    ) {
        self.show_occupants(id, to, stanza_id, codes, cx);
        self.show_subject(id, to, cx);
    }

    fn show_occupants(
        &self,
        id: MemberId,
        to: &Jid,
        stanza_id: Option<&str>,
        codes: &[u16],
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        for occupant in member.roster.occupants() {
            cx.write(presence::of_occupant(occupant, to));
        }
        let shows = member.roster.shows_addresses().then_some(100);
        let codes: Vec<u16> = shows.into_iter().chain(codes.iter().copied()).collect();
        cx.write(presence::of_self(
            &self.place,
            member,
            to,
            &codes,
            stanza_id,
        ));
    }

    fn show_subject(&self, id: MemberId, to: &Jid, cx: &mut Cx<'_>) {
        if let Some(member) = self.members.get(&id) {
            cx.write(presence::subject(&self.place, to, member.roster.subject()));
        }
    }
}

impl Asking {
    /// When something is to be done about it.
    pub fn due(self, until: Instant) -> Instant {
        match self {
            Asking::Again(at) => at.min(until),
            Asking::Contact | Asking::Room => until,
        }
    }
}
