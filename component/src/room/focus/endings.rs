//! How SIP users leave the room (RS-10, RS-32, RS-33).

use tracing::info;

use super::event::{Action, Farewell};
use super::member::{Call, Line, Place};
use super::room::{Ending, Room};
use super::site::Cx;
use crate::fault::{Condition, Fault};
use crate::room::MemberId;

/// What answers a nickname request of somebody who leaves.
const FORBIDDEN: u16 = 403;

impl Room {
    /// Somebody is no longer a member; whatever waits finds its end.
    pub(super) fn finish(&mut self, id: MemberId, ending: Ending, cx: &mut Cx<'_>) {
        let (words, farewell) = match &ending {
            Ending::Gone(words) => (words.clone(), None),
            Ending::Put(farewell) | Ending::Removed(farewell) => (None, Some(farewell.clone())),
        };
        let is_in_muc = !matches!(ending, Ending::Removed(_));
        self.withdraw(id, is_in_muc, words.as_deref(), cx);
        let Some(mut member) = self.members.remove(&id) else {
            return;
        };
        self.member_by_jid.remove(&member.jid);
        info!(sip = %member.aor, why = ?ending, "a SIP user leaves the room");
        let fault = Fault::new(Condition::RecipientUnavailable);
        member.outbox.give_up(&fault);
        // Answers go out before the session they go by is forgotten.
        self.site.settle(cx.out);
        match (&member.call, farewell) {
            (_, None) => {}
            (Call::Summoned { .. }, Some(_)) => cx.out.push(Action::Cancel(id)),
            (Call::Parting { farewell, .. }, Some(_)) => {
                cx.out.push(Action::Bye(id, farewell.clone()));
            }
            (Call::Answering | Call::Established, Some(farewell)) => {
                cx.out.push(Action::Bye(id, farewell));
            }
        }
        cx.out.push(Action::Close(id));
        if self.members.is_empty() {
            self.subscriptions.end(None, cx);
        }
        if !self.members.values().any(|member| member.is_inside()) {
            // What happens from now on is not told to us.
            self.roster.clear();
        }
    }

    /// Takes somebody out of the MUC, and refuses what waits for it.
    fn withdraw(&mut self, id: MemberId, is_in_muc: bool, words: Option<&str>, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        member.refuse_wishes(FORBIDDEN, cx);
        member.refuse_sent(&Fault::new(Condition::NotAcceptable));
        let place = std::mem::replace(&mut member.place, Place::Outside { from: None });
        let nick = match place {
            Place::Outside { .. } | Place::Away(_) => None,
            Place::Entering(entering) => {
                let until = entering.until;
                self.left_by_jid.insert(member.jid.clone(), until);
                Some(entering.nick)
            }
            Place::Inside(inside) => Some(inside.nick),
        };
        let occupant = nick.and_then(|nick| self.site.occupant(&nick));
        if let Some(occupant) = occupant.filter(|_| is_in_muc) {
            cx.leave(&member.jid, &occupant, words);
        }
        let aor = member.aor_key.clone();
        let has_other = self
            .members
            .values()
            .any(|other| other.id != id && other.aor_key == aor && other.takes_part());
        if !has_other {
            self.subscriptions.end(Some(&aor), cx);
        }
    }

    /// The MUC does not let somebody in: that is said in the room, then comes BYE (RS-10).
    pub(super) fn say_goodbye(&mut self, id: MemberId, farewell: Farewell, cx: &mut Cx<'_>) {
        let is_bound = self
            .members
            .get(&id)
            .is_some_and(|member| matches!(member.line, Line::Bound));
        if !is_bound {
            return self.finish(id, Ending::Put(farewell), cx);
        }
        self.withdraw(id, true, None, cx);
        let words = format!("You cannot take part: {}.", farewell.text);
        self.say(id, &words, cx);
        let until = cx.now + self.site.settings.parting_wait;
        if let Some(member) = self.members.get_mut(&id) {
            member.call = Call::Parting { until, farewell };
        }
    }

    /// The last words have arrived.
    pub(super) fn part_if_said(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        if let Call::Parting { farewell, .. } = &member.call
            && (member.outbox.is_idle() || !matches!(member.line, Line::Bound))
        {
            let farewell = farewell.clone();
            self.finish(id, Ending::Put(farewell), cx);
        }
    }

    /// An INVITE of ours has gone unanswered for too long, or last words have.
    pub(super) fn on_time_for_call(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        match &member.call {
            Call::Summoned { until, .. } if *until <= cx.now => {
                self.stays_away(id, "no answer", cx);
                self.finish(id, Ending::Put(Farewell::new(408, "no answer")), cx);
            }
            Call::Parting { until, farewell } if *until <= cx.now => {
                let farewell = farewell.clone();
                self.finish(id, Ending::Put(farewell), cx);
            }
            Call::Summoned { .. } | Call::Parting { .. } | Call::Answering | Call::Established => {}
        }
    }
}
