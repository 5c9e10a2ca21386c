//! The way into the room, as far as the switch knows the nickname. RFC 7702 §5.1, §5.2; RX-01 to RX-10, RX-32, RX-33.

use stox_msrp::sdp::Chatroom;
use stox_msrp::{LostCause, Nickname};
use stox_sip::{Failure, Response, Secret};
use tracing::info;

use super::event::{Action, ByeReason, Focus, FocusKind, Proof, RoomMedia, RoomWrapping, User};
use super::member::{Availability, LEG, Line, Member, Seat, Stage, State, Wish};
use super::occupant;
use super::presence;
use super::room::{Cx, Room, Service};
use crate::fault::{Condition, Fault};
use crate::room::nickname::compare_key;
use crate::room::{MemberId, Token};
use crate::translate::{Rejection, Unusable};
use crate::xmpp::{Join, Outgoing, OutgoingPresence, Presence, PresenceType};

impl Room {
    pub(super) fn presence(&mut self, presence: Presence, cx: &mut Cx<'_>) {
        match presence.kind {
            PresenceType::Available => self.available(presence, cx),
            PresenceType::Unavailable => self.unavailable(&presence, cx),
            PresenceType::Error => self.bounced_presence(&presence, cx),
            // Nobody subscribes to a room.
            PresenceType::Probe
            | PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => {}
        }
    }

    fn available(&mut self, presence: Presence, cx: &mut Cx<'_>) {
        let member = self.member_by_seat.get(&presence.from).copied();
        let Some(wish) = presence.to.resource() else {
            if presence.join.is_some() {
                let fault = Fault::new(Condition::JidMalformed)
                    .with_text("a nickname is needed: join room@service/nickname");
                self.refuse_presence(&presence, &fault, cx);
            }
            return;
        };
        let Some(nick) = occupant::prepared(wish).filter(|nick| Nickname::new(nick).is_ok()) else {
            let fault = Fault::new(Condition::JidMalformed);
            return self.refuse_presence(&presence, &fault, cx);
        };
        match (member, &presence.join) {
            (None, None) => cx.write(presence::not_an_occupant(&presence)),
            (None, Some(_)) => self.enter(&presence, nick, cx),
            (Some(id), join) => self.present_again(id, &presence, nick, join.clone(), cx),
        }
    }

    /// Somebody wants to come in (F1).
    fn enter(&mut self, presence: &Presence, nick: String, cx: &mut Cx<'_>) {
        let account = presence.from.bare();
        let of_account = self.members_by_account.get(&account).into_iter().flatten();
        let seats: usize = of_account
            .filter_map(|id| Some(self.members.get(id)?.seats.len()))
            .sum();
        let is_full = self.members.len() >= self.settings.members || seats >= self.settings.seats;
        if is_full || self.service == Service::Closing {
            let fault = Fault::from_stanza(Some("wait"), Some("service-unavailable"), None);
            return self.refuse_presence(presence, &fault, cx);
        }
        let uri = match self.addresses.sip_of_xmpp(account.as_jid()) {
            Ok(uri) => uri,
            Err(error) => return self.refuse_presence(presence, &error.into(), cx),
        };
        if self.held.is_held_from(&nick, &account, cx.now) {
            let fault = self.of_room(Fault::new(Condition::Conflict));
            return self.refuse_presence(presence, &fault, cx);
        }
        let join = presence.join.clone().unwrap_or_default();
        if let Some(id) = self.ringing_for(&presence.from) {
            self.sit_down(id, presence, &join);
            return self.follow_invitation(id, nick, cx);
        }
        let id = self.next_member();
        let user = User { jid: account, uri };
        let until = cx.now + self.settings.answer_wait;
        let password = join.password.clone().map(Secret::new);
        let state = State::Inviting { until, password };
        let member = Member::new(id, user.clone(), &self.place, nick.clone(), state);
        self.admit(member);
        self.sit_down(id, presence, &join);
        info!(member = id.0, xmpp = %presence.from, nick, "an XMPP user wants to enter the room");
        cx.act(Action::Invite {
            member: id,
            user,
            resource: presence.from.resource().map(str::to_owned),
            nick,
            proof: None,
        });
    }

    pub(super) fn admit(&mut self, member: Member) {
        if let Some(key) = &member.key {
            self.account_by_key
                .insert(key.clone(), member.account().clone());
        }
        let of_account = self
            .members_by_account
            .entry(member.account().clone())
            .or_default();
        of_account.push(member.id);
        self.members.insert(member.id, member);
    }

    /// The device is one of those that this dialog serves.
    pub(super) fn sit_down(&mut self, id: MemberId, presence: &Presence, join: &Join) {
        if let Some(member) = self.members.get_mut(&id) {
            self.member_by_seat.insert(presence.from.clone(), id);
            member.seats.push(Seat {
                jid: presence.from.clone(),
                join_id: presence.id.clone(),
                history: join.history,
                availability: availability_of(presence),
            });
        }
    }

    /// A presence of somebody who is in the room, or about to be. RX-26, RX-27, RX-33.
    fn present_again(
        &mut self,
        id: MemberId,
        presence: &Presence,
        nick: String,
        join: Option<Join>,
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let is_same = compare_key(&nick) == member.nick_key() && nick == member.nick;
        let is_joined = member.is_joined();
        if let Some(seat) = member.seat_mut(&presence.from) {
            seat.availability = availability_of(presence);
            if let Some(join) = join.as_ref().filter(|_| !is_joined) {
                seat.join_id.clone_from(&presence.id);
                seat.history = join.history;
            }
        }
        if join.is_some() {
            // It counts once.
            cx.act(Action::Vacate(presence.from.clone()));
        }
        if join.is_some() && is_joined {
            // The client has lost track of the room.
            self.show_room(id, &presence.from, presence.id.as_deref(), &[], cx);
        } else if is_same && is_joined {
            self.show_self(id, presence.id.as_deref(), cx);
        }
        if !is_same {
            let wish = Wish {
                seat: presence.from.clone(),
                nick,
                id: presence.id.clone(),
            };
            self.wish_for(id, wish, cx);
        }
    }

    /// The user's devices see what one of them says of itself.
    fn show_self(&mut self, id: MemberId, stanza_id: Option<&str>, cx: &mut Cx<'_>) {
        if let Some(member) = self.members.get(&id) {
            for seat in &member.seats {
                cx.write(presence::of_self(
                    &self.place,
                    member,
                    &seat.jid,
                    &[],
                    stanza_id,
                ));
            }
        }
    }

    /// 2xx to our INVITE (F4).
    pub(super) fn answered(
        &mut self,
        id: MemberId,
        media: Result<RoomMedia, Unusable>,
        focus: Focus,
        cx: &mut Cx<'_>,
    ) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        cx.act(Action::Ack(id));
        let room = media.ok().filter(|media| is_room(media, &focus));
        let Some(media) = room else {
            info!(member = id.0, "who answered is no chat room");
            cx.act(Action::Bye(id, ByeReason::Unusable(488)));
            let fault = Fault::new(Condition::ItemNotFound)
                .with_text("there is no chat room of this address");
            return self.give_up(id, &fault, cx);
        };
        let until = cx.now + self.settings.bind_wait;
        member.state = State::Open(line_of(&media, focus), Stage::Connecting { until });
        cx.act(Action::OpenMsrp {
            member: id,
            leg: LEG,
            path: media.path,
            role: media.role,
        });
    }

    pub(super) fn rejected(
        &mut self,
        id: MemberId,
        rejection: &Rejection,
        challenge: Option<Box<Response>>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(member) = self.members.get_mut(&id)
            && let State::Inviting { password, .. } = &mut member.state
            && let (Some(password), Some(challenge)) = (password.take(), challenge)
        {
            let challenge = *challenge;
            return cx.act(Action::Invite {
                member: id,
                user: member.user.clone(),
                resource: member.resource(),
                nick: member.nick.clone(),
                proof: Some(Box::new(Proof {
                    password,
                    challenge,
                })),
            });
        }
        let fault = Fault::from_sip_join(rejection.status, &rejection.fault);
        self.give_up(id, &fault, cx);
    }

    pub(super) fn failed(&mut self, id: MemberId, failure: &Failure, cx: &mut Cx<'_>) {
        self.give_up(id, &Fault::from_failure(failure), cx);
    }

    pub(super) fn unanswered_invite(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        cx.act(Action::Cancel(id));
        self.give_up(id, &timeout(), cx);
    }

    pub(super) fn unbound(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        cx.act(Action::Bye(id, ByeReason::MediaLost));
        self.give_up(id, &timeout(), cx);
    }

    /// The MSRP connection stands (F7): the nickname is next (F8), if the room knows any (RX-05, RX-06).
    pub(super) fn bound(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let token = self.fresh_token();
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Open(line, stage @ Stage::Connecting { .. }) = &mut member.state else {
            return;
        };
        if !line.chatroom.nickname {
            return self.subscribe(id, cx);
        }
        *stage = Stage::Naming { token, retries: 0 };
        cx.act(Action::UseNickname {
            member: id,
            token,
            nick: member.nick.clone(),
            form: line.form,
        });
    }

    /// The switch has answered the first NICKNAME with 200 (F9). `false`: that was not it.
    pub(super) fn nickname_accepted(&mut self, id: MemberId, of: Token, cx: &mut Cx<'_>) -> bool {
        let stage = self.members.get(&id).map(|member| &member.state);
        match stage {
            Some(State::Open(_, Stage::Naming { token, .. })) if *token == of => {
                self.subscribe(id, cx);
                true
            }
            _ => false,
        }
    }

    /// The switch has refused the first NICKNAME. `false`: that was not it. RX-07, RX-08.
    pub(super) fn nickname_refused(
        &mut self,
        id: MemberId,
        of: Token,
        status: u16,
        cx: &mut Cx<'_>,
    ) -> bool {
        let Some(member) = self.members.get(&id) else {
            return false;
        };
        let retries = match &member.state {
            State::Open(_, Stage::Naming { token, retries }) if *token == of => *retries,
            _ => return false,
        };
        match status {
            // Nicknames are not for everybody: the focus says what the user is called.
            403 | 501 => {
                let member = self.members.get_mut(&id);
                if let Some(State::Open(line, _)) = member.map(|member| &mut member.state) {
                    line.chatroom.nickname = false;
                }
                self.subscribe(id, cx);
            }
            425 => match self.same_nick(id) {
                Some(sibling) => self.share(id, sibling, cx),
                None if retries < self.settings.nick_retry => {
                    self.try_other_nick(id, retries + 1, cx);
                }
                None => self.refuse_nick(id, status, cx),
            },
            _ => self.refuse_nick(id, status, cx),
        }
        true
    }

    fn refuse_nick(&mut self, id: MemberId, status: u16, cx: &mut Cx<'_>) {
        let reason = match status {
            425 => ByeReason::Unusable(486),
            _ => ByeReason::Unusable(400),
        };
        cx.act(Action::Bye(id, reason));
        self.give_up(id, &self.of_room(Fault::from_msrp(status)), cx);
    }

    fn try_other_nick(&mut self, id: MemberId, retries: u32, cx: &mut Cx<'_>) {
        let token = self.fresh_token();
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Open(line, stage) = &mut member.state else {
            return;
        };
        // "Juliet (2)" after "Juliet", "Juliet (3)" after that.
        let wish = member.nick.strip_suffix(&format!(" ({retries})"));
        let nick = format!("{} ({})", wish.unwrap_or(&member.nick), retries + 1);
        *stage = Stage::Naming { token, retries };
        cx.act(Action::UseNickname {
            member: id,
            token,
            nick: nick.clone(),
            form: line.form,
        });
        member.roster.call_me(&self.place, &member.nick, &nick);
        member.nick = nick;
    }

    /// Another member of the same user with the same nickname.
    fn same_nick(&self, id: MemberId) -> Option<MemberId> {
        let key = self.members.get(&id)?.nick_key();
        self.siblings(id).into_iter().find(|sibling| {
            let sibling = self.members.get(sibling);
            sibling.is_some_and(|sibling| sibling.is_joined() && sibling.nick_key() == key)
        })
    }

    /// The nickname is taken by another device of the same user: its dialog serves both (RX-32).
    fn share(&mut self, id: MemberId, sibling: MemberId, cx: &mut Cx<'_>) {
        cx.act(Action::Bye(id, ByeReason::Shared));
        let Some(member) = self.remove(id, cx) else {
            return;
        };
        let mut moved = Vec::new();
        if let Some(host) = self.members.get_mut(&sibling) {
            for seat in member.seats {
                self.member_by_seat.insert(seat.jid.clone(), sibling);
                moved.push((seat.jid.clone(), seat.join_id.clone()));
                host.seats.push(seat);
            }
        }
        for (jid, join_id) in moved {
            info!(member = sibling.0, xmpp = %jid, "another device of the user shares a dialog");
            self.show_room(sibling, &jid, join_id.as_deref(), &[], cx);
        }
    }

    /// The MSRP connection is gone.
    pub(super) fn disconnected(&mut self, id: MemberId, cause: LostCause, cx: &mut Cx<'_>) {
        let is_joined = self.members.get(&id).is_some_and(Member::is_joined);
        info!(member = id.0, %cause, "the MSRP session is lost");
        cx.act(Action::Bye(id, ByeReason::MediaLost));
        self.keep_nickname(id, cx);
        match is_joined {
            true => self.put_out(id, &presence::left_self(&[333]), cx),
            false => self.give_up(id, &Fault::from_lost(cause), cx),
        }
    }

    /// The user cannot be in the room: each device that wanted to is told why (RX-09).
    pub(super) fn give_up(&mut self, id: MemberId, fault: &Fault, cx: &mut Cx<'_>) {
        let Some(member) = self.remove(id, cx) else {
            return;
        };
        for seat in &member.seats {
            info!(member = id.0, xmpp = %seat.jid, condition = %fault.condition(), text = fault.text(), "an XMPP user cannot enter the room");
            let from = self.place.occupant(&member.wished);
            let id = seat.join_id.as_deref();
            cx.write(presence::not_joined(&from, &seat.jid, id, fault));
            self.vacate(&seat.jid, cx);
        }
    }

    /// The error says that it is the room's own (RX-07).
    pub(super) fn of_room(&self, fault: Fault) -> Fault {
        fault.by(self.place.jid.as_str())
    }

    pub(super) fn refuse_presence(&self, presence: &Presence, fault: &Fault, cx: &mut Cx<'_>) {
        info!(xmpp = %presence.from, condition = %fault.condition(), "a presence for the room is refused");
        let refusal: Option<Outgoing> = OutgoingPresence::refusal(presence, fault.into());
        if let Some(refusal) = refusal {
            cx.write(refusal);
        }
        if presence.join.is_some() {
            cx.act(Action::Vacate(presence.from.clone()));
        }
    }
}

fn is_room(media: &RoomMedia, focus: &Focus) -> bool {
    let says_so = focus.kind == FocusKind::Focus || media.chatroom.is_some();
    says_so && media.wrapping == RoomWrapping::Cpim
}

pub(super) fn line_of(media: &RoomMedia, focus: Focus) -> Line {
    Line {
        contact: focus.contact.filter(|_| focus.kind == FocusKind::Focus),
        path: media.path.clone(),
        chatroom: media.chatroom.unwrap_or(Chatroom {
            nickname: false,
            private_messages: false,
        }),
        max_size: media.max_size,
        form: focus.form,
    }
}

pub(super) fn availability_of(presence: &Presence) -> Availability {
    Availability {
        show: presence.show,
        status: presence.statuses.first().map(|status| status.text.clone()),
    }
}

fn timeout() -> Fault {
    Fault::new(Condition::RemoteServerTimeout)
}
