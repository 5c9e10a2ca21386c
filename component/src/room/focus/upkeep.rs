//! Whether the MUC still knows the SIP users that are in it (RS-36). XEP-0410.

use tracing::info;

use super::member::{Entry, Inside, Place, Watch};
use super::room::Room;
use super::site::Cx;
use crate::fault::{Condition, Fault};
use crate::room::MemberId;
use crate::xmpp::{OutgoingIq, Request};

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

impl Room {
    /// The stream to the XMPP server is there again: what was said meanwhile was not said to us.
    pub(super) fn link_up(&mut self, cx: &mut Cx<'_>) {
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            self.ask_for(id, cx);
        }
    }

    /// Asks the MUC for the SIP user's own occupant. A join that may be lost is repeated.
    pub(super) fn ask_for(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match &mut member.place {
            Place::Outside { .. } | Place::Away(_) => {}
            Place::Entering(entering) => {
                let (nick, tries, entry) = (entering.nick.clone(), entering.tries, entering.entry);
                let asked = entering.asked.take();
                member.enter(nick, asked, tries, entry, &mut self.site, cx);
            }
            Place::Inside(inside) => {
                let Watch::Heard(heard) = inside.watch else {
                    return;
                };
                let stanza = self.site.stanza_id();
                if let Some(occupant) = self.site.occupant(&inside.nick) {
                    let ping = PING.to_owned();
                    cx.write(OutgoingIq::request(
                        &member.jid,
                        &occupant,
                        stanza.as_str(),
                        Request::Get,
                        ping,
                    ));
                }
                inside.watch = Watch::Asked {
                    id: stanza,
                    heard,
                    until: cx.now + self.site.settings.answer_wait,
                };
            }
        }
    }

    /// The MUC has answered: `None`, the occupant is there.
    pub(super) fn on_watched(
        &mut self,
        id: MemberId,
        stanza: Option<&str>,
        fault: Option<&Fault>,
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let Place::Inside(Inside { nick, watch, .. }) = &mut member.place else {
            return;
        };
        let Watch::Asked { id, heard, .. } = watch else {
            return;
        };
        if Some(id.as_str()) != stanza {
            return;
        }
        let heard = *heard;
        match fault.map(Fault::condition) {
            // Whoever answers for the occupant, it is there.
            None
            | Some(Condition::ServiceUnavailable | Condition::FeatureNotImplemented)
            // Nothing is known yet: it is asked again later.
            | Some(Condition::RemoteServerNotFound | Condition::RemoteServerTimeout) => {
                *watch = Watch::Heard(cx.now);
            }
            Some(condition) => {
                info!(sip = %member.aor, %condition, "the room has put a SIP user out without a word: it enters again");
                let nick = nick.clone();
                // A change that was asked for meanwhile is made when it is in.
                if let Place::Inside(inside) = &mut member.place
                    && let Some(change) = inside.change.take()
                {
                    member.wishes.push_front(super::member::Wish {
                        nick: change.nick,
                        asked: change.asked,
                    });
                }
                let entry = Entry::Again { heard, rounds: 0 };
                member.enter(nick, None, 0, entry, &mut self.site, cx);
                let id = member.id;
                let others = self.members.values().filter(|other| other.id != id);
                let is_under_way = others.into_iter().any(|other| {
                    matches!(&other.place, Place::Entering(entering) if matches!(entering.entry, Entry::Again { .. }))
                });
                if !is_under_way {
                    self.roster.begin_round();
                }
            }
        }
    }

    /// Asks for whom nothing was heard of for long; an answer that does not come says nothing.
    pub(super) fn watch(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let Place::Inside(inside) = &mut member.place else {
            return;
        };
        match &mut inside.watch {
            Watch::Heard(at) if *at + self.site.settings.silence <= cx.now => self.ask_for(id, cx),
            Watch::Asked { until, .. } if *until <= cx.now => inside.watch = Watch::Heard(cx.now),
            Watch::Heard(_) | Watch::Asked { .. } => {}
        }
    }
}
