//! What is said in the MUC (RS-22, RS-23, RS-25 to RS-29).

use super::delivery;
use super::outbox::{Post, PostKind};
use super::presence::fault_of;
use super::room::Room;
use super::site::{Cx, Ticket};
use crate::fault::{Condition, Fault};
use crate::from_xmpp;
use crate::room::MemberId;
use crate::text;
use crate::xmpp::{Message, MessageType};

impl Room {
    pub(super) fn on_message(&mut self, message: Message, cx: &mut Cx<'_>) {
        if self.on_invitation(&message, cx) {
            return;
        }
        let Some(id) = self.member_by_jid.get(&message.to).copied() else {
            return self.on_message_for_nobody(&message);
        };
        if let Some(member) = self.members.get_mut(&id) {
            member.hear(cx.now);
        }
        let decline = message.muc.as_ref().and_then(|muc| muc.decline.as_ref());
        if let Some(decline) = decline.filter(|_| message.from.is_bare())
            && let Some(invited) = &decline.from
        {
            let reason = decline.reason.as_deref().unwrap_or_default();
            let words = format!("{} does not come. {reason}", invited.bare());
            return self.say(id, text::for_header(&words).trim_end(), cx);
        }
        match message.kind {
            MessageType::Error => self.on_message_error(id, &message, cx),
            MessageType::Groupchat => self.on_groupchat(id, &message, cx),
            MessageType::Chat | MessageType::Normal | MessageType::Headline
                if message.from.is_bare() =>
            {
                self.on_groupchat(id, &message, cx);
            }
            MessageType::Chat | MessageType::Normal | MessageType::Headline => {
                self.on_private(id, &message, cx);
            }
        }
    }

    /// Whoever writes to a SIP user who has left the room hears of it.
    fn on_message_for_nobody(&mut self, message: &Message) {
        let is_private = matches!(message.kind, MessageType::Chat | MessageType::Normal);
        if is_private && !message.from.is_bare() && message.body().is_some() {
            let fault = Fault::new(Condition::ItemNotFound);
            self.private_promise(message).refused(fault);
        }
    }

    fn on_message_error(&mut self, id: MemberId, message: &Message, cx: &mut Cx<'_>) {
        let fault = fault_of(message.error.as_ref());
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let is_known = message
            .id
            .as_deref()
            .is_some_and(|stanza| member.on_bounced(stanza, fault.clone(), cx));
        let invited = message
            .muc
            .as_ref()
            .and_then(|muc| muc.invites.first()?.to.clone());
        if let Some(invited) = invited.filter(|_| !is_known && message.from.is_bare()) {
            let words = fault.text().unwrap_or(fault.condition().name());
            let words = format!("{invited} cannot be invited: {words}.");
            return self.say(id, &text::for_header(&words), cx);
        }
        // The MUC does not know it any more, perhaps.
        if is_known && fault.condition() == Condition::NotAcceptable && message.from.is_bare() {
            self.ask_for(id, cx);
        }
    }

    /// From an occupant to everybody, or from the room.
    fn on_groupchat(&mut self, id: MemberId, message: &Message, cx: &mut Cx<'_>) {
        if let Some(muc) = &message.muc {
            self.say_statuses(id, muc, cx);
        }
        let nick = message.from.resource();
        if message.bodies.is_empty()
            && let Some(subject) = message.subject()
        {
            return self.on_subject(id, &subject.text, cx);
        }
        // An error would put the SIP user out.
        let Ok(Some((words, _))) = from_xmpp::words_of(message) else {
            return;
        };
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let stanza = message.id.as_deref();
        if let Some(nick) = nick
            && member.on_reflected(stanza, nick, &words, &mut self.ids)
        {
            return;
        }
        if !member.takes_text {
            return;
        }
        let sent = message.delay.as_ref().map(|delay| delay.stamp);
        let kind = match sent {
            Some(_) => PostKind::History,
            None => PostKind::Public,
        };
        let (site, press) = (&mut self.site, &mut self.press);
        let document = press.public(nick, stanza, sent, &words, site, cx.now);
        member.post(Post::new(document, kind), site, cx);
    }

    /// Of the room; who is not told by NOTIFY is told in words (RS-29).
    fn on_subject(&mut self, id: MemberId, subject: &str, cx: &mut Cx<'_>) {
        let is_news = self.roster.set_subject(subject);
        self.changed_if(is_news, cx);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.subject == subject {
            return;
        }
        subject.clone_into(&mut member.subject);
        let is_told = self.subscriptions.has(&member.aor_key);
        if !is_told {
            let words = match subject {
                "" => "The room has no subject any more.".to_owned(),
                subject => format!("Subject: {}", text::for_header(subject)),
            };
            self.say(id, &words, cx);
        }
    }

    /// From an occupant to this SIP user (RS-27).
    fn on_private(&mut self, id: MemberId, message: &Message, cx: &mut Cx<'_>) {
        let words = match from_xmpp::words_of(message) {
            Ok(Some((words, _))) => words,
            Ok(None) => return,
            Err(fault) => return self.private_promise(message).refused(fault),
        };
        let promise = self.private_promise(message);
        let Some(member) = self.members.get_mut(&id) else {
            return promise.refused(Fault::new(Condition::ItemNotFound));
        };
        if !member.private_messages || !member.takes_text {
            return promise.refused(Fault::new(Condition::FeatureNotImplemented));
        }
        let sent = message.delay.as_ref().map(|delay| delay.stamp);
        let sent = sent.unwrap_or_else(|| self.site.clock.time(cx.now));
        let nick = message.from.resource();
        let document = delivery::document(nick, &member.aor, sent, &words, &self.site);
        let post = Post::new(document, PostKind::Private(promise));
        member.post(post, &mut self.site, cx);
    }

    fn private_promise(&self, message: &Message) -> crate::translate::promise::Promise<Ticket> {
        self.site.promise(Ticket::Private {
            to: message.to.clone(),
            from: message.from.clone(),
            id: message.id.clone(),
        })
    }
}
