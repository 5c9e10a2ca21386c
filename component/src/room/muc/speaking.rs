//! What XMPP users write in the room. RFC 7702 §5.5, RX-20 to RX-23.

use bytes::Bytes;
use stox_msrp::cpim;
use stox_sip::Uri;
use tracing::{debug, info};

use super::event::{Action, Ticket};
use super::member::{Member, Underway};
use super::room::{Cx, Room};
use crate::fault::{Condition, Fault};
use crate::from_xmpp;
use crate::room::{MemberId, Token};
use crate::stamp;
use crate::text;
use crate::translate;
use crate::xmpp::{Message, MessageType, Outgoing, OutgoingMessage};

/// What is within CPIM, always said with its character set (T13).
const WORDS: &str = "text/plain; charset=utf-8";

impl Room {
    pub(super) fn message(&mut self, message: Message, cx: &mut Cx<'_>) {
        if message.kind == MessageType::Error {
            return self.bounced_message(&message, cx);
        }
        if let Some(user) = message.muc.as_deref()
            && (!user.invites.is_empty() || user.decline.is_some())
        {
            return self.invitation_message(&message, cx);
        }
        let member = self.member_by_seat.get(&message.from).copied();
        let member = member.filter(|id| self.members.get(id).is_some_and(Member::is_joined));
        let Some(id) = member else {
            let fault = Fault::new(Condition::NotAcceptable).with_text("you are not in this room");
            return self.give_back(&message, &fault, cx);
        };
        match (message.kind, message.to.resource()) {
            (MessageType::Groupchat, None) => self.say(id, &message, cx),
            (_, Some(_)) => self.whisper(id, &message, cx),
            (_, None) => {
                let fault = Fault::new(Condition::BadRequest)
                    .with_text("messages to the room are of type groupchat");
                self.give_back(&message, &fault, cx);
            }
        }
    }

    /// A message to all (F16).
    fn say(&mut self, id: MemberId, message: &Message, cx: &mut Cx<'_>) {
        if !message.subjects.is_empty() && message.body().is_none() {
            let fault = Fault::new(Condition::NotAllowed)
                .with_text("the subject of this room cannot be changed from here");
            return self.give_back(message, &fault, cx);
        }
        let body = match words_of(message) {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(fault) => return self.give_back(message, &fault, cx),
        };
        let promise = self.ledger.promise(ticket(message));
        let to = self.place.uri.clone();
        let underway = Underway::ToAll {
            promise,
            id: message.id.clone(),
            body: body.clone(),
            lang: message.body().and_then(|body| body.lang.clone()),
            thread: message.thread.as_ref().map(|thread| thread.id.clone()),
        };
        if !self.send(id, &to, &body, underway, cx) {
            return;
        }
        for sibling in self.siblings(id).into_iter().chain([id]) {
            if let Some(member) = self.members.get_mut(&sibling) {
                member.echoes.expect(&body, cx.now);
            }
        }
    }

    /// A message to one occupant (F20).
    fn whisper(&mut self, id: MemberId, message: &Message, cx: &mut Cx<'_>) {
        if message.kind == MessageType::Groupchat {
            let fault = Fault::new(Condition::BadRequest)
                .with_text("messages to one occupant are of type chat");
            return self.give_back(message, &fault, cx);
        }
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let nick = message.to.resource().unwrap_or_default();
        let found = member.roster.by_nick(nick);
        let to = found.and_then(|(entity, _)| Uri::parse(entity).ok());
        let is_possible = member
            .line()
            .is_some_and(|line| line.chatroom.private_messages);
        let to = match (to, is_possible) {
            (Some(to), true) => to,
            (Some(_), false) => {
                let fault = Fault::new(Condition::FeatureNotImplemented)
                    .with_text("this room knows no private messages");
                return self.give_back(message, &fault, cx);
            }
            (None, _) => {
                let fault = Fault::new(Condition::ItemNotFound)
                    .with_text("nobody in the room is called that");
                return self.give_back(message, &fault, cx);
            }
        };
        match words_of(message) {
            Ok(Some(body)) => {
                let promise = self.ledger.promise(ticket(message));
                self.send(id, &to, &body, Underway::Private(promise), cx);
            }
            Ok(None) => {}
            Err(fault) => self.give_back(message, &fault, cx),
        }
    }

    /// Hands a message to the switch (F17). `false`: it goes back to its sender.
    fn send(
        &mut self,
        id: MemberId,
        to: &Uri,
        body: &str,
        underway: Underway,
        cx: &mut Cx<'_>,
    ) -> bool {
        let token = self.fresh_token();
        let wall = self.clock.time(cx.now);
        let Some(member) = self.members.get_mut(&id) else {
            underway.refused(Fault::new(Condition::RecipientUnavailable));
            return false;
        };
        if member.underway.len() >= self.settings.window {
            let fault = Fault::new(Condition::ResourceConstraint)
                .with_text("too many messages wait for the room's answer");
            underway.refused(fault);
            return false;
        }
        let message = cpim_of(member, to, &stamp::format(wall), body);
        let most = member.line().and_then(|line| line.max_size);
        if most.is_some_and(|most| message.len() as u64 > most) {
            let fault = Fault::new(Condition::PolicyViolation)
                .with_text("the message is longer than the room takes");
            underway.refused(fault);
            return false;
        }
        member.underway.insert(token, underway);
        cx.act(Action::Send {
            member: id,
            token,
            body: message,
        });
        true
    }

    /// The switch has taken what was sent (F18): a message to all comes back to its sender (F19).
    pub(super) fn accepted(&mut self, id: MemberId, token: Token, cx: &mut Cx<'_>) {
        if self.nickname_accepted(id, token, cx) {
            return;
        }
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match member.underway.remove(&token) {
            Some(Underway::ToAll {
                promise,
                id: stanza_id,
                body,
                lang,
                thread,
            }) => {
                promise.delivered();
                let reflection = Reflection {
                    id: stanza_id,
                    body,
                    lang,
                    thread,
                };
                self.reflect(id, &reflection, cx);
            }
            Some(Underway::Private(promise)) => promise.delivered(),
            Some(Underway::Nickname) => self.wish_granted(id, cx),
            None => {}
        }
    }

    /// The switch has refused what was sent, or has not answered.
    pub(super) fn refused(&mut self, id: MemberId, token: Token, status: u16, cx: &mut Cx<'_>) {
        if self.nickname_refused(id, token, status, cx) {
            return;
        }
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        match member.underway.remove(&token) {
            Some(Underway::Nickname) => self.wish_refused(id, status, cx),
            Some(underway) => underway.refused(Fault::from_msrp(status)),
            None => debug!(member = id.0, status, "nothing that is known was refused"),
        }
    }

    /// All of the user's devices see it (RX-21).
    fn reflect(&self, id: MemberId, reflection: &Reflection, cx: &mut Cx<'_>) {
        let Some(author) = self.members.get(&id) else {
            return;
        };
        let from = self.place.occupant(&author.nick);
        for member in [id].into_iter().chain(self.siblings(id)) {
            let Some(member) = self.members.get(&member).filter(|it| it.is_joined()) else {
                continue;
            };
            for seat in &member.seats {
                let mut copy = OutgoingMessage::new(&from, &seat.jid, MessageType::Groupchat)
                    .body(reflection.body.clone());
                if let Some(id) = &reflection.id {
                    copy = copy.id(id.clone());
                }
                if let Some(lang) = &reflection.lang {
                    copy = copy.lang(lang.clone());
                }
                if let Some(thread) = &reflection.thread {
                    copy = copy.thread(thread.clone());
                }
                cx.write(copy);
            }
        }
    }

    pub(super) fn give_back(&self, message: &Message, fault: &Fault, cx: &mut Cx<'_>) {
        info!(from = %message.from, to = %message.to, condition = %fault.condition(), "a message for the room goes back to the XMPP user");
        if let Some(refusal) = Outgoing::refusal(message, fault.into()) {
            cx.write(refusal);
        }
    }
}

impl Underway {
    /// It goes back to its sender.
    pub fn refused(self, fault: Fault) {
        match self {
            Underway::ToAll { promise, .. } | Underway::Private(promise) => promise.refused(fault),
            Underway::Nickname => {}
        }
    }
}

/// What comes back to the author of a message.
struct Reflection {
    id: Option<String>,
    body: String,
    lang: Option<String>,
    thread: Option<String>,
}

fn ticket(message: &Message) -> Ticket {
    Ticket::Stanza {
        from: message.from.clone(),
        to: message.to.clone(),
        id: message.id.clone(),
    }
}

/// The words of a message, as one-to-one messages have them.
fn words_of(message: &Message) -> Result<Option<String>, Fault> {
    Ok(match from_xmpp::event_of(message)? {
        Some(translate::Event::Written(written)) => Some(written.body),
        _ => None,
    })
}

/// T13. From is the very address of the INVITE: some switches compare them letter by letter.
fn cpim_of(member: &Member, to: &Uri, sent: &str, body: &str) -> Bytes {
    let name = text::for_header(&member.nick).into_owned();
    let message = cpim::Message {
        from: Some(cpim::Address {
            name: Some(name),
            uri: member.user.uri.to_string(),
        }),
        to: vec![cpim::Address {
            name: None,
            uri: to.to_string(),
        }],
        date_time: Some(sent.to_owned()),
        content_type: Some(WORDS.to_owned()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..cpim::Message::default()
    };
    message.wrap()
}
