//! The ways out of the room. RFC 7702 §5.8, RX-28, RX-29, RX-33.

use tracing::{debug, info};

use super::event::{Action, ByeReason, DialogEnd};
use super::member::{Member, Stage, State, Underway};
use super::presence;
use super::room::{Cx, Room, Service};
use crate::address::Jid;
use crate::fault::{Condition, Fault};
use crate::room::nickname::Held;
use crate::room::{MemberId, Token};
use crate::xmpp::{Message, MucUser, OutgoingIq, Presence, Request, StanzaError};

/// Conditions of errors that say that whoever should have got a stanza is not there. XEP-0045 §14.2.
const NOT_THERE: [&str; 7] = [
    "gone",
    "item-not-found",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
    // What servers say of a device that is gone.
    "service-unavailable",
];

/// XEP-0199.
const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

impl Room {
    /// A device leaves (F31).
    pub(super) fn unavailable(&mut self, presence: &Presence, cx: &mut Cx<'_>) {
        let words = presence.statuses.first().map(|status| status.text.clone());
        self.leave(&presence.from, ByeReason::Left(words), cx);
    }

    /// The device is not in the room any more; with the last one the dialog ends (RX-32).
    fn leave(&mut self, seat: &Jid, reason: ByeReason, cx: &mut Cx<'_>) {
        let Some(id) = self.member_by_seat.get(seat).copied() else {
            return;
        };
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        info!(member = id.0, xmpp = %seat, "an XMPP user leaves the room");
        let is_last = member.seats.len() <= 1;
        let is_joined = member.is_joined();
        let from = self.place.occupant(&member.nick);
        if is_last {
            match &member.state {
                State::Inviting { .. } => cx.act(Action::Cancel(id)),
                State::Ringing { .. } => cx.act(Action::Decline(id, 480)),
                State::Open(..) => cx.act(Action::Bye(id, reason)),
            }
            self.remove(id, cx);
        } else {
            member.seats.retain(|other| other.jid != *seat);
        }
        debug!(is_last, is_joined, "the device is out");
        cx.write(presence::gone(&from, seat, presence::left_self(&[])));
        self.vacate(seat, cx);
    }

    /// An error came back for a presence of the room's.
    pub(super) fn bounced_presence(&mut self, presence: &Presence, cx: &mut Cx<'_>) {
        self.bounced(&presence.from, presence.error.as_ref(), cx);
    }

    /// An error came back for a message of the room's.
    pub(super) fn bounced_message(&mut self, message: &Message, cx: &mut Cx<'_>) {
        self.bounced(&message.from, message.error.as_ref(), cx);
    }

    fn bounced(&mut self, seat: &Jid, error: Option<&StanzaError>, cx: &mut Cx<'_>) {
        let condition = error.map_or("", |error| error.condition.as_str());
        if NOT_THERE.contains(&condition) {
            info!(xmpp = %seat, condition, "a device is not there any more");
            if let Some(id) = self.member_by_seat.get(seat) {
                self.keep_nickname(*id, cx);
            }
            self.leave(seat, ByeReason::Vanished, cx);
        }
    }

    /// Asks every device whether it is still there (RX-33).
    pub(super) fn ask_for_seats(&mut self, cx: &mut Cx<'_>) {
        self.seat_by_ping.clear();
        let seats: Vec<(Jid, Jid)> = self
            .members
            .values()
            .filter(|member| member.is_joined())
            .flat_map(|member| {
                let from = self.place.occupant(&member.nick);
                let seats = member.seats.iter();
                seats.map(move |seat| (from.clone(), seat.jid.clone()))
            })
            .collect();
        for (from, seat) in seats {
            let id = self.fresh_id();
            let ping = OutgoingIq::request(&from, &seat, id.clone(), Request::Get, PING.to_owned());
            cx.write(ping);
            self.seat_by_ping.insert(id, seat);
        }
    }

    /// The answer to such a question.
    pub(super) fn ping_answered(&mut self, id: &str, error: Option<&StanzaError>, cx: &mut Cx<'_>) {
        let Some(seat) = self.seat_by_ping.remove(id) else {
            return;
        };
        self.bounced(&seat, error, cx);
        // What was told while the link was lost may be lost with it.
        self.show_anew(&seat, cx);
    }

    /// The dialog is over.
    pub(super) fn ended(&mut self, id: MemberId, end: &DialogEnd, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let (is_joined, words) = match end {
            DialogEnd::Bye(words) => (member.is_joined(), words.as_deref()),
            DialogEnd::Gone | DialogEnd::Ours => (member.is_joined(), None),
        };
        info!(member = id.0, ?end, "the focus has ended the session");
        let code = match end {
            DialogEnd::Bye(_) => 307,
            DialogEnd::Gone | DialogEnd::Ours => 333,
        };
        match is_joined {
            true => {
                let mut about = presence::left_self(&[code]);
                if let (Some(item), Some(words)) = (about.item.as_mut(), words) {
                    item.reason = Some(words.to_owned());
                }
                self.put_out(id, &about, cx);
            }
            false => {
                let fault = Fault::new(Condition::RecipientUnavailable)
                    .with_text(words.unwrap_or_default());
                self.give_up(id, &fault, cx);
            }
        }
    }

    /// The room is no more (RX-29).
    pub(super) fn destroyed(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        info!(member = id.0, "the room is no more");
        let is_joined = member.is_joined();
        cx.act(Action::Bye(id, ByeReason::Left(None)));
        match is_joined {
            true => self.put_out(id, &presence::destroyed(), cx),
            false => self.give_up(id, &Fault::new(Condition::ItemNotFound), cx),
        }
    }

    /// None of the member's devices is in the room any more, as this says; others are not told of one by one.
    pub(super) fn put_out(&mut self, id: MemberId, about: &MucUser, cx: &mut Cx<'_>) {
        let Some(member) = self.remove(id, cx) else {
            return;
        };
        let from = self.place.occupant(&member.nick);
        for seat in &member.seats {
            cx.write(presence::gone(&from, &seat.jid, about.clone()));
            self.vacate(&seat.jid, cx);
        }
    }

    /// The gateway says goodbye.
    pub(super) fn shut_down(&mut self, cx: &mut Cx<'_>) {
        self.service = Service::Closing;
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            let Some(member) = self.members.get(&id) else {
                continue;
            };
            let is_joined = member.is_joined();
            match &member.state {
                State::Inviting { .. } => cx.act(Action::Cancel(id)),
                State::Ringing { .. } => cx.act(Action::Decline(id, 480)),
                State::Open(..) => cx.act(Action::Bye(id, ByeReason::ShuttingDown)),
            }
            match is_joined {
                true => self.put_out(id, &presence::left_self(&[332]), cx),
                false => self.give_up(id, &closing(), cx),
            }
        }
        self.referrals.clear();
        self.held = Held::default();
        for (_, promise) in self.handing.drain() {
            promise.refused(closing());
        }
    }

    /// A stanza is lost: what it brought goes back.
    pub(super) fn lost(&mut self, token: Token) {
        if let Some(promise) = self.handing.remove(&token) {
            let fault = Fault::new(Condition::RemoteServerTimeout)
                .with_text("the XMPP server cannot be reached");
            promise.refused(fault);
        }
    }

    /// Takes the member out; what it had under way goes back to its senders.
    pub(super) fn remove(&mut self, id: MemberId, cx: &mut Cx<'_>) -> Option<Member> {
        let mut member = self.members.remove(&id)?;
        for (_, underway) in std::mem::take(&mut member.underway) {
            match underway {
                Underway::ToAll { promise, .. } | Underway::Private(promise) => {
                    let fault = Fault::new(Condition::RecipientUnavailable)
                        .with_text("the session with the room has ended");
                    promise.refused(fault);
                }
                Underway::Nickname => {}
            }
        }
        for arrived in member.inbox.drain(..) {
            arrived
                .promise
                .refused(Fault::new(Condition::RecipientUnavailable));
        }
        let has_subscribed = matches!(
            member.state,
            State::Open(_, Stage::Gathering { .. } | Stage::Joined)
        );
        if has_subscribed {
            cx.act(Action::Unsubscribe(id));
        }
        let settled = self.ledger.drain();
        cx.out.extend(settled.into_iter().map(Action::Settle));
        cx.act(Action::Close(id));
        if let Some(of_account) = self.members_by_account.get_mut(member.account()) {
            of_account.retain(|other| *other != id);
            if of_account.is_empty() {
                self.members_by_account.remove(member.account());
                if let Some(key) = &member.key {
                    self.account_by_key.remove(key);
                }
            }
        }
        Some(member)
    }

    /// The device has nothing to do with the room any more.
    pub(super) fn vacate(&mut self, seat: &Jid, cx: &mut Cx<'_>) {
        self.member_by_seat.remove(seat);
        self.behind.remove(seat);
        cx.act(Action::Vacate(seat.clone()));
    }
}

fn closing() -> Fault {
    Fault::new(Condition::RecipientUnavailable).with_text("the gateway shuts down")
}
