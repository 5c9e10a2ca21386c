//! What the focus tells of those in the room. RFC 7702 §5.4, RX-12, RX-13, RX-16, RX-17, RX-19.

use bytes::Bytes;
use stox_sip::conference::{Applied, ConferenceInfo};
use tracing::{debug, info};

use super::event::Action;
use super::member::{Stage, State, me};
use super::presence;
use super::room::{Cx, Room};
use super::roster::Change;
use crate::room::MemberId;

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
            let Some(member) = self.members.get(&id) else {
                return;
            };
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
}
