//! The SIP user's messages on their way to the XMPP user, and those whose fate may still change.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use stox_msrp::imdn::{self, Delivery as Fate, Display, Notification};
use stox_msrp::{FailureReport, Incoming, cpim};

use super::transfers::{remember, taken};
use super::{Context, Thread};
use crate::body::Text;
use crate::fault::{Condition, Fault};
use crate::translate::event::{Action, Mark, Token, Wishes};
use crate::translate::notices::failure;
use crate::translate::promise::Promise;
use crate::translate::stanza::{self, Beside};

/// How long an error may come back for a message whose sender asked for no more than that.
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// Written to the XMPP server, not known to be taken.
    unhanded: HashMap<Token, Inbound>,
    /// Taken by the XMPP server; an error may still come back (RCPT-10).
    handed: VecDeque<(Instant, Delivery)>,
    /// Likewise, and their senders want to hear more: kept as long as the session (T15).
    awaited: VecDeque<Delivery>,
}

#[derive(Debug)]
struct Inbound {
    promise: Promise,
    delivery: Delivery,
}

/// A message of the SIP user's under the id that its stanza had.
#[derive(Debug)]
struct Delivery {
    stanza_id: String,
    message_id: String,
    /// Bytes of the MSRP body.
    length: usize,
    failure_report: FailureReport,
    asked: Option<Box<Asked>>,
}

/// What the sender of a message wants to hear beside the answer.
#[derive(Debug)]
struct Asked {
    success_report: bool,
    imdn: Option<Box<imdn::Request>>,
}

impl Deliveries {
    pub fn receive(
        &mut self,
        incoming: Incoming,
        mut text: Text,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) {
        // Of one connection the MSRP session knows that itself.
        if thread.leg > 1 && self.is_known(&incoming, thread, cx) {
            return;
        }
        let promise = thread.promise_of(&incoming, cx);
        if self.unhanded.len() >= cx.settings.window {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        thread.touch(cx.now);
        thread.used_by_peer = Some(cx.now);
        let asked = Asked::of(&incoming, text.imdn.take());
        let beside = Beside {
            state: thread.typing.got_message(),
            wishes: asked.as_deref().map(Asked::wishes).unwrap_or_default(),
            now: cx.clock.time(cx.now),
        };
        let id = cx.stanza_ids.claim(incoming.transaction_id, cx.tokens);
        let (contact, name) = (thread.contact(cx), thread.name());
        let message = stanza::chat(&contact, &thread.reply_to, &id, name, text, beside);
        let token = cx.tokens.token();
        cx.out.push(Action::Stanza(message, Some(token)));
        let delivery = Delivery {
            stanza_id: id,
            message_id: incoming.message_id,
            length: incoming.body.len(),
            failure_report: incoming.failure_report,
            asked,
        };
        self.unhanded.insert(token, Inbound { promise, delivery });
    }

    /// Whether the message came by an earlier connection, too: it gets the answer that it got or would have got there, and
    /// is neither written nor counted again (MSRP-11).
    fn is_known(&mut self, incoming: &Incoming, thread: &Thread, cx: &mut Context<'_>) -> bool {
        let is_it = |delivery: &Delivery| delivery.message_id == incoming.message_id;
        let mut open = self.unhanded.values_mut();
        if let Some(inbound) = open.find(|inbound| is_it(&inbound.delivery)) {
            inbound.promise.readdress(thread.ticket_of(incoming));
            return true;
        }
        let handed = self.handed.iter().map(|(_, delivery)| delivery);
        let is_told = handed.chain(&self.awaited).any(is_it);
        if is_told {
            cx.out.push(taken(incoming, thread));
        }
        is_told
    }

    pub fn handed(&mut self, token: Token, now: Instant) {
        let Some(Inbound { promise, delivery }) = self.unhanded.remove(&token) else {
            return;
        };
        promise.delivered();
        if delivery.asked.is_some() {
            return remember(&mut self.awaited, delivery);
        }
        while let Some((since, _)) = self.handed.front()
            && now.saturating_duration_since(*since) > MEMORY
        {
            self.handed.pop_front();
        }
        remember(&mut self.handed, (now, delivery));
    }

    /// Whether a stanza of that id is among those whose fate is open or was told lately.
    pub fn wrote(&self, id: &str) -> bool {
        let handed = self.handed.iter().map(|(_, delivery)| delivery);
        let open = self.unhanded.values().map(|inbound| &inbound.delivery);
        let mut all = open.chain(handed).chain(&self.awaited);
        all.any(|delivery| delivery.stanza_id == id)
    }

    pub fn lost(&mut self, token: Token) {
        if let Some(inbound) = self.unhanded.remove(&token) {
            inbound
                .promise
                .refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }

    /// The XMPP user got the message, perhaps before the server's word of it came. Only the first receipt counts, and
    /// only where the sender asked (RCPT-05). Returns the notification that its sender is to get.
    pub fn receipted(
        &mut self,
        id: &str,
        mark: Mark,
        thread: &Thread,
        cx: &mut Context<'_>,
    ) -> Option<cpim::Message> {
        if let Some(token) = self.unhanded_token(id) {
            self.handed(token, cx.now);
            cx.settle();
        }
        let is_it = |delivery: &Delivery| delivery.stanza_id == id;
        let at = self.awaited.iter().position(is_it)?;
        let delivery = self.awaited.get_mut(at)?;
        let asked = delivery.asked.as_mut()?;
        if mark == Mark::Received && std::mem::take(&mut asked.success_report) {
            // Either of the two, never both (RCPT-10).
            delivery.failure_report = FailureReport::No;
            cx.out.push(Action::Report {
                chat: thread.chat,
                message_id: delivery.message_id.clone(),
                length: delivery.length,
                status: 200,
            });
        }
        let notification = match mark {
            Mark::Received => Notification::Delivery(Fate::Delivered),
            Mark::Displayed => Notification::Display(Display::Displayed),
        };
        let imdn = asked.imdn.as_mut();
        let answer = imdn.and_then(|imdn| imdn.answer(notification, cx.tokens.ident()));
        if asked.is_over()
            && let Some(told) = self.awaited.remove(at)
        {
            remember(&mut self.handed, (cx.now, told));
        }
        answer
    }

    /// A stanza came back. Returns the notification that the sender of its message is to get.
    pub fn bounced(
        &mut self,
        id: &str,
        fault: &Fault,
        thread: &Thread,
        cx: &mut Context<'_>,
    ) -> Option<cpim::Message> {
        if let Some(token) = self.unhanded_token(id) {
            let inbound = self.unhanded.remove(&token)?;
            inbound.promise.refused(fault.clone());
            return None;
        }
        let mut delivery = self.take(id)?;
        if delivery.failure_report != FailureReport::No {
            cx.out.push(Action::Report {
                chat: thread.chat,
                message_id: delivery.message_id,
                length: delivery.length,
                status: fault.to_msrp(),
            });
        }
        let imdn = delivery.asked.as_mut()?.imdn.as_mut()?;
        imdn.answer(failure(fault), cx.tokens.ident())
    }

    pub fn all_handed(&self) -> bool {
        self.unhanded.is_empty()
    }

    pub fn abandon(mut self) {
        for (_, inbound) in self.unhanded.drain() {
            inbound
                .promise
                .refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }

    fn unhanded_token(&self, id: &str) -> Option<Token> {
        self.unhanded
            .iter()
            .find_map(|(token, inbound)| (inbound.delivery.stanza_id == id).then_some(*token))
    }

    fn take(&mut self, id: &str) -> Option<Delivery> {
        let is_it = |delivery: &Delivery| delivery.stanza_id == id;
        if let Some(at) = self.awaited.iter().position(is_it) {
            return self.awaited.remove(at);
        }
        let mut handed = self.handed.iter();
        let at = handed.position(|(_, delivery)| is_it(delivery))?;
        self.handed.remove(at).map(|(_, delivery)| delivery)
    }
}

impl Asked {
    fn of(incoming: &Incoming, imdn: Option<Box<imdn::Request>>) -> Option<Box<Asked>> {
        let success_report = incoming.success_report;
        (success_report || imdn.is_some()).then(|| {
            Box::new(Asked {
                success_report,
                imdn,
            })
        })
    }

    /// What the XMPP user is asked for.
    fn wishes(&self) -> Wishes {
        let imdn = self.imdn.as_ref().map(|imdn| imdn.wishes());
        let imdn = imdn.unwrap_or_default();
        Wishes {
            receipt: self.success_report || imdn.positive_delivery,
            display: imdn.display,
        }
    }

    fn is_over(&self) -> bool {
        let imdn = self.imdn.as_ref();
        !self.success_report && imdn.is_none_or(|imdn| imdn.wishes().is_empty())
    }
}
