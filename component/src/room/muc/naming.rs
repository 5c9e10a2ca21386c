//! Changes of the own nickname. RFC 7702 §5.6, RX-26.

use tracing::info;

use super::event::Action;
use super::member::{State, Underway, Wish};
use super::presence;
use super::room::{Cx, Room};
use crate::fault::{Condition, Fault};
use crate::room::MemberId;
use crate::xmpp::{OutgoingPresence, PresenceType};

impl Room {
    /// A device wants the user to be called something else (F23). One change at a time, each with its own outcome.
    pub(super) fn wish_for(&mut self, id: MemberId, wish: Wish, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.wishes.len() >= self.settings.wishes {
            let fault = Fault::new(Condition::ResourceConstraint)
                .with_text("earlier changes of the nickname are under way");
            return self.refuse_wish(&wish, &fault, cx);
        }
        if self.held.is_held_from(&wish.nick, member.account(), cx.now) {
            let fault = self.of_room(Fault::new(Condition::Conflict));
            return self.refuse_wish(&wish, &fault, cx);
        }
        member.wishes.push_back(wish);
        let is_idle = member.wishes.len() == 1;
        if is_idle && member.is_joined() {
            self.next_wish(id, cx);
        }
    }

    /// Asks the switch for the first of the nicknames wished for (F24).
    pub(super) fn next_wish(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        loop {
            let token = self.fresh_token();
            let Some(member) = self.members.get_mut(&id) else {
                return;
            };
            let Some(wish) = member.wishes.front() else {
                return;
            };
            let State::Open(line, _) = &member.state else {
                return;
            };
            if wish.nick == member.nick {
                let wish = member.wishes.pop_front();
                if let Some(wish) = wish {
                    let member = self.members.get(&id);
                    let stanza = member.map(|member| {
                        let id = wish.id.as_deref();
                        presence::of_self(&self.place, member, &wish.seat, &[], id)
                    });
                    if let Some(stanza) = stanza {
                        cx.write(stanza);
                    }
                }
                continue;
            }
            if line.chatroom.nickname {
                cx.act(Action::UseNickname {
                    member: id,
                    token,
                    nick: wish.nick.clone(),
                    form: line.form,
                });
                member.underway.insert(token, Underway::Nickname);
                return;
            }
            let fault = Fault::new(Condition::NotAcceptable)
                .with_text("this room does not let its members choose nicknames");
            if let Some(wish) = member.wishes.pop_front() {
                self.refuse_wish(&wish, &fault, cx);
            }
        }
    }

    /// The switch agrees.
    pub(super) fn wish_granted(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let member = self.members.get_mut(&id);
        if let Some(wish) = member.and_then(|member| member.wishes.pop_front()) {
            // The focus may have told so before the switch.
            let member = self.members.get(&id);
            if member.is_some_and(|member| member.nick != wish.nick) {
                self.call(id, &wish.nick, &[], cx);
            }
        }
        self.next_wish(id, cx);
    }

    /// The switch does not agree (F25): the old nickname stays (F26).
    pub(super) fn wish_refused(&mut self, id: MemberId, status: u16, cx: &mut Cx<'_>) {
        let member = self.members.get_mut(&id);
        if let Some(wish) = member.and_then(|member| member.wishes.pop_front()) {
            let fault = self.of_room(Fault::from_msrp(status));
            self.refuse_wish(&wish, &fault, cx);
        }
        self.next_wish(id, cx);
    }

    /// The user is called so from now on.
    pub(super) fn call(&mut self, id: MemberId, nick: &str, codes: &[u16], cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        info!(
            member = id.0,
            was = member.nick,
            nick,
            "an XMPP user has another nickname"
        );
        let was = std::mem::replace(&mut member.nick, nick.to_owned());
        let from = self.place.occupant(&was);
        let about = presence::renamed(member.roster.own(), nick).status(110);
        let others = member.roster.call_me(&self.place, &was, nick);
        for seat in &member.seats {
            cx.write(presence::gone(&from, &seat.jid, about.clone()));
        }
        self.show_changes(id, others, cx);
        if let Some(member) = self.members.get(&id) {
            for seat in &member.seats {
                cx.write(presence::of_self(
                    &self.place,
                    member,
                    &seat.jid,
                    codes,
                    None,
                ));
            }
        }
    }

    /// The user has lost the connection: nobody else who comes through the gateway is to be taken for them (SEC-17).
    pub(super) fn keep_nickname(&mut self, id: MemberId, cx: &Cx<'_>) {
        if let Some(member) = self.members.get(&id).filter(|member| member.is_joined()) {
            let account = member.account().clone();
            self.held.hold(&member.nick, account, cx.now);
        }
    }

    fn refuse_wish(&self, wish: &Wish, fault: &Fault, cx: &mut Cx<'_>) {
        info!(xmpp = %wish.seat, nick = wish.nick, condition = %fault.condition(), "a nickname is refused");
        let from = self.place.occupant(&wish.nick);
        let mut presence =
            OutgoingPresence::new(&from, &wish.seat, PresenceType::Error).error(fault.into());
        if let Some(id) = &wish.id {
            presence = presence.id(id.clone());
        }
        cx.write(presence.echo_join());
    }
}
