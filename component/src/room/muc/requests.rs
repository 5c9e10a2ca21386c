//! Requests to a room and its occupants. RX-33, RX-34, DISCO-03, DISCO-04.

use super::room::{Cx, Room};
use crate::xmpp::{Iq, IqType, RoomView, answer_of_room};

impl Room {
    pub(super) fn iq(&mut self, iq: &Iq, cx: &mut Cx<'_>) {
        match iq.kind {
            IqType::Get | IqType::Set => self.request(iq, cx),
            IqType::Result => {
                self.ping_answered(iq.id.as_deref().unwrap_or_default(), None, cx);
            }
            IqType::Error => {
                let id = iq.id.as_deref().unwrap_or_default();
                self.ping_answered(id, iq.error.as_ref(), cx);
            }
        }
    }

    fn request(&self, iq: &Iq, cx: &mut Cx<'_>) {
        let joined = |member: &&super::member::Member| member.is_joined();
        let asker = self.member_by_seat.get(&iq.from);
        let asker = asker.and_then(|id| self.members.get(id)).filter(joined);
        // Whoever asks from outside learns only how many there are, as far as somebody in the room has been told.
        let informed = asker.or_else(|| {
            let mut members = self.members.values().filter(joined);
            members.find(|member| member.roster.is_told())
        });
        let occupants = informed.map(|member| member.roster.occupants());
        let own = informed.map(|member| member.nick.as_str());
        let nicks = occupants
            .into_iter()
            .flatten()
            .map(|occupant| occupant.nick.as_str())
            .chain(own)
            .collect();
        let name = self.place.uri.user_decoded().unwrap_or_default();
        let view = RoomView {
            name: &name,
            subject: informed.map(|member| member.roster.subject()),
            nicks,
            own: asker.map(|member| member.nick.as_str()),
        };
        cx.write(answer_of_room(iq, &view));
    }
}
