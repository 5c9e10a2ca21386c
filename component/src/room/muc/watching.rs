//! What the focus tells of those in the room. RFC 7702 §5.4, RX-12, RX-13, RX-16, RX-17, RX-19.

use std::time::Duration;

use bytes::Bytes;
use stox_sip::conference::{Applied, ConferenceInfo};
use tracing::{debug, info};

use super::event::Action;
use super::member::{Stage, State, me};
use super::presence;
use super::room::{Cx, Room};
use super::roster::Change;
use crate::address::Jid;
use crate::room::MemberId;

/// Before a device is shown the room again.
const CATCH_UP: Duration = Duration::from_secs(5);

impl Room {
    /// A NOTIFY; it is answered already.
    pub(super) fn notified(&mut self, id: MemberId, body: &Bytes, cx: &mut Cx<'_>) {
        if body.is_empty() {
            return;
        }
        let document = match ConferenceInfo::parse(body) {
            Ok(document) => document,
            Err(why) => {
                return info!(member = id.0, reason = %why, bytes = body.len(), "a conference document cannot be read");
            }
        };
        let siblings = self.sibling_keys(id);
        let people = Self::people(&self.key, &self.account_by_key, &self.addresses);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let seats = member.seat_jids();
        let me = me(member.key.as_ref(), &seats, &siblings);
        let told = member.roster.apply(document, &self.place, &people, me);
        match told.applied {
            Applied::Updated => {}
            Applied::Ignored => return debug!(member = id.0, "an old conference document"),
            Applied::Gap => {
                debug!(member = id.0, "a conference document is missing");
                return cx.act(Action::Refresh(id));
            }
            Applied::Ended => return self.destroyed(id, cx),
        }
        match &member.state {
            State::Open(_, Stage::Gathering { .. }) => self.complete(id, cx),
            State::Open(_, Stage::Joined) => {
                self.show_changes(id, told.changes, cx);
                if let Some(subject) = told.subject {
                    self.tell_subject(id, &subject, cx);
                }
                self.show_arrived(id, cx);
            }
            State::Open(..) | State::Inviting { .. } | State::Ringing { .. } => {}
        }
    }

    pub(super) fn show_changes(&mut self, id: MemberId, changes: Vec<Change>, cx: &mut Cx<'_>) {
        for change in changes {
            let Some(member) = self.members.get_mut(&id) else {
                return;
            };
            if let Change::Left(jid, _) = &change {
                member.note_departed(jid);
            }
            if let Change::Renamed(was, _) = &change {
                member.note_departed(&was.jid);
            }
            match change {
                Change::Left(jid, code) => {
                    for seat in &member.seats {
                        cx.write(presence::gone(&jid, &seat.jid, presence::left(code)));
                    }
                }
                Change::Renamed(was, nick) => {
                    for seat in &member.seats {
                        let about = presence::renamed(&was.about, &nick);
                        cx.write(presence::gone(&was.jid, &seat.jid, about));
                    }
                }
                Change::Present(occupant) => {
                    for seat in &member.seats {
                        cx.write(presence::of_occupant(&occupant, &seat.jid));
                    }
                }
                Change::OwnName(nick) => self.call(id, &nick, &[], cx),
                Change::OwnRole => {
                    for seat in &member.seats {
                        cx.write(presence::of_self(&self.place, member, &seat.jid, &[], None));
                    }
                }
            }
        }
    }

    fn tell_subject(&self, id: MemberId, subject: &str, cx: &mut Cx<'_>) {
        if let Some(member) = self.members.get(&id) {
            for seat in &member.seats {
                cx.write(presence::subject(&self.place, &seat.jid, subject));
            }
        }
    }

    /// A presence could not be written: the device is shown the room again, when there is more room for that.
    pub(super) fn unwritten(&mut self, to: &Jid, cx: &mut Cx<'_>) {
        if self.member_by_seat.contains_key(to) {
            self.behind.insert(to.clone());
            self.catch_up_at = self.catch_up_at.or(Some(cx.now + CATCH_UP));
        }
    }

    pub(super) fn catch_up(&mut self, cx: &mut Cx<'_>) {
        self.catch_up_at = None;
        for seat in std::mem::take(&mut self.behind) {
            info!(xmpp = %seat, "a device is shown the room again: it may have missed something");
            self.show_anew(&seat, cx);
        }
    }

    /// Shows a device what it may have missed: who is not there any more, who is, and the subject.
    pub(super) fn show_anew(&mut self, seat: &Jid, cx: &mut Cx<'_>) {
        let Some(id) = self.member_by_seat.get(seat).copied() else {
            return;
        };
        let Some(member) = self.members.get(&id).filter(|it| it.is_joined()) else {
            return;
        };
        for departed in member.departed() {
            cx.write(presence::gone(departed, seat, presence::left(None)));
        }
        self.show_room(id, seat, None, &[], cx);
    }
}
