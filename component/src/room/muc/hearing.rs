//! What the switch sends. RX-22, RX-24, RX-25.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stox_msrp::Incoming;
use tracing::debug;

use super::event::{Action, Ticket};
use super::member::{Arrived, Member, Phase, me};
use super::presence;
use super::reading::{Reading, Said};
use super::room::{Cx, Room};
use crate::address::Jid;
use crate::fault::{Condition, Fault, RoomMessage};
use crate::room::{Leg, MemberId};
use crate::xmpp::{History, MessageType, MucUser, Outgoing, OutgoingMessage};

/// From whom a message is, as the member sees it.
enum From {
    /// An occupant, or the room.
    Somebody(Jid),
    /// The user, by another way than this dialog, or an echo; so called in the room.
    Own(Jid),
    /// Nobody yet: the roster may tell.
    Nobody,
}

impl Room {
    /// A message of the switch's.
    pub(super) fn received(
        &mut self,
        id: MemberId,
        leg: Leg,
        incoming: &Incoming,
        cx: &mut Cx<'_>,
    ) {
        let tokens = &mut self.tokens;
        let reading = self.readings.read(incoming, || tokens.text());
        let message = match self.is_for_all(id, &reading) {
            true => RoomMessage::ToAll,
            false => RoomMessage::Private,
        };
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let promise = self.ledger.promise(Ticket::Send {
            member: id,
            leg,
            incoming: incoming.id,
            message,
        });
        let size = incoming.body.len();
        let is_full = member.inbox.len() >= self.settings.held
            || member.inbox_bytes + size > self.settings.held_bytes;
        match &reading.said {
            Said::Nothing => return promise.delivered(),
            Said::Unreadable(fault) => return promise.refused(fault.clone()),
            Said::Words { .. } if is_full && !member.inbox.is_empty() => {
                debug!(member = id.0, "too many messages wait to be shown");
                return promise.refused(Fault::new(Condition::ResourceConstraint));
            }
            Said::Words { .. } => {}
        }
        let phase = match member.is_joined() {
            true => Phase::Since,
            false => Phase::Before,
        };
        member.inbox_bytes += size;
        member.inbox.push_back(Arrived {
            reading,
            size,
            at: cx.now,
            promise,
            phase,
        });
        self.show_arrived(id, cx);
    }

    /// What came before the user was in the room and is old is its past: as much of it as was asked for, before the
    /// subject. XEP-0045 §7.2.13.
    pub(super) fn show_history(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let wall = self.clock.time(cx.now);
        let late_after = self.settings.late_after;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let is_history = |arrived: &Arrived| {
            let late = late_since(&arrived.reading, wall, late_after);
            arrived.phase == Phase::Before && late.is_some()
        };
        let (past, rest): (Vec<Arrived>, Vec<Arrived>) =
            member.inbox.drain(..).partition(is_history);
        member.inbox.extend(rest);
        let wanted = member.seats.first().map(|seat| seat.history);
        let kept = wanted_of(&past, wanted.unwrap_or_default(), wall);
        for (index, arrived) in past.into_iter().enumerate() {
            match kept.contains(&index) {
                true => self.show(id, arrived, cx),
                false => arrived.promise.delivered(),
            }
        }
    }

    /// Shows what has come, up to a message whose sender may still become known.
    pub(super) fn show_arrived(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        loop {
            let Some(member) = self.members.get(&id).filter(|it| it.is_joined()) else {
                return;
            };
            let Some(first) = member.inbox.front() else {
                return;
            };
            let is_waited_for = cx.now < first.at + self.settings.sender_wait;
            let reading = first.reading.clone();
            if let From::Nobody = self.from(member, &reading)
                && is_waited_for
                && member.roster.may_still_tell()
            {
                return;
            }
            let arrived = self.members.get_mut(&id).and_then(Member::pop_arrived);
            if let Some(arrived) = arrived {
                self.show(id, arrived, cx);
            }
        }
    }

    /// Shows one message to the member's devices.
    fn show(&mut self, id: MemberId, arrived: Arrived, cx: &mut Cx<'_>) {
        let reading = arrived.reading;
        let Said::Words { body, .. } = &reading.said else {
            return arrived.promise.delivered();
        };
        let patience = self.settings.echo_wait;
        let is_for_all = self.is_for_all(id, &reading);
        let Some(member) = self.members.get(&id) else {
            return arrived
                .promise
                .refused(Fault::new(Condition::RecipientUnavailable));
        };
        let from = match self.from(member, &reading) {
            From::Somebody(jid) => jid,
            From::Own(own) => {
                let member = self.members.get_mut(&id);
                let is_echo =
                    member.is_some_and(|member| member.echoes.is_echo(body, cx.now, patience));
                if is_echo || !is_for_all {
                    debug!(member = id.0, "an echo is not shown again");
                    return arrived.promise.delivered();
                }
                own
            }
            From::Nobody => self.introduce(id, &reading, cx),
        };
        let wall = self.clock.time(cx.now);
        let late = late_since(&reading, wall, self.settings.late_after);
        let token = self.fresh_token();
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let last = member.seats.len().saturating_sub(1);
        for (index, seat) in member.seats.iter().enumerate() {
            let kind = match is_for_all {
                true => MessageType::Groupchat,
                false => MessageType::Chat,
            };
            let mut stanza = OutgoingMessage::new(&from, &seat.jid, kind)
                .id(reading.id.clone())
                .body(body.clone());
            if !is_for_all {
                stanza = stanza.muc_user(MucUser::default());
            }
            if let Some(late) = late {
                stanza = stanza.delay(late);
            }
            let token = (index == last).then_some(token);
            cx.act(Action::Stanza(Outgoing::from(stanza), token));
        }
        if self.members.get(&id).is_some_and(|it| it.seats.is_empty()) {
            return arrived.promise.delivered();
        }
        self.handing.insert(token, arrived.promise);
    }

    /// Somebody speaks whom nobody told of.
    fn introduce(&mut self, id: MemberId, reading: &Reading, cx: &mut Cx<'_>) -> Jid {
        let room = self.place.jid.as_jid().clone();
        let Some(member) = self.members.get_mut(&id) else {
            return room;
        };
        let Some(sender) = &reading.sender else {
            return room;
        };
        let name = sender.name.as_deref();
        let (occupant, is_new) = member.roster.learn(&self.place, &sender.uri, name);
        if is_new {
            for seat in &member.seats {
                cx.write(presence::of_occupant(&occupant, &seat.jid));
            }
        }
        occupant.jid
    }

    fn from(&self, member: &Member, reading: &Reading) -> From {
        let room = || From::Somebody(self.place.jid.as_jid().clone());
        let Some(sender) = &reading.sender else {
            return room();
        };
        let Some(key) = &sender.key else {
            return From::Nobody;
        };
        if self.key.as_ref() == Some(key) {
            return room();
        }
        if member.roster.is_own(key, me(member.key.as_ref(), &[], &[])) {
            return From::Own(self.place.occupant(&member.nick));
        }
        match member.roster.by_address(key) {
            Some(occupant) if self.is_sibling(member, &occupant.nick) => {
                From::Own(occupant.jid.clone())
            }
            Some(occupant) => From::Somebody(occupant.jid.clone()),
            None => From::Nobody,
        }
    }

    /// Whether another dialog of the same user is called that.
    fn is_sibling(&self, member: &Member, nick: &str) -> bool {
        let siblings = self.siblings(member.id);
        siblings.iter().any(|id| {
            let sibling = self.members.get(id);
            sibling.is_some_and(|sibling| sibling.nick == nick)
        })
    }

    /// Whether a message is for the room, not for the member alone. One that does not say is.
    fn is_for_all(&self, id: MemberId, reading: &Arc<Reading>) -> bool {
        let Some(to) = &reading.to else {
            return true;
        };
        if self.key.as_ref() == Some(to) {
            return true;
        }
        let line = self.members.get(&id).and_then(Member::line);
        let contact = line.and_then(|line| line.contact.as_ref());
        let contact = contact.and_then(super::place::AddressKey::of);
        contact.as_ref() == Some(to)
    }
}

/// When a message was written, if that was long ago.
fn late_since(reading: &Reading, wall: SystemTime, late_after: Duration) -> Option<SystemTime> {
    let Said::Words { sent, .. } = &reading.said else {
        return None;
    };
    sent.filter(|sent| wall.duration_since(*sent).is_ok_and(|age| age > late_after))
}

/// The places of those that are wanted: the latest that keep every bound.
fn wanted_of(past: &[Arrived], wanted: History, wall: SystemTime) -> Vec<usize> {
    let most = wanted.max_stanzas.map_or(usize::MAX, |most| most as usize);
    let mut chars = wanted.max_chars.map_or(usize::MAX, |most| most as usize);
    let oldest = wanted
        .seconds
        .and_then(|seconds| wall.checked_sub(Duration::from_secs(u64::from(seconds))));
    let mut kept = Vec::new();
    for (index, arrived) in past.iter().enumerate().rev() {
        let Said::Words { body, sent } = &arrived.reading.said else {
            continue;
        };
        let is_old = |bound: Option<SystemTime>| bound.is_some_and(|bound| *sent < Some(bound));
        let size = body.chars().count();
        if kept.len() >= most || size > chars || is_old(oldest) || is_old(wanted.since) {
            break;
        }
        chars = chars.saturating_sub(size);
        kept.push(index);
    }
    kept
}
