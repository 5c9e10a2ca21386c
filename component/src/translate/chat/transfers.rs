//! The messages of one session that are under way, in both directions, and those whose fate may still change.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use stox_msrp::is_composing::{self, IsComposing};
use stox_msrp::{FailureReport, Incoming};

use super::{Context, Thread, unavailable};
use crate::body::{self, Content, Text};
use crate::fault::{Condition, Fault};
use crate::translate::event::{Action, Token, Written};
use crate::translate::media::{Media, Wrapping};
use crate::translate::promise::{Origin, Outcome, Promise, Settlement, Ticket};
use crate::translate::stanza;

/// Messages that were told a fate and may yet be told another: as many of each direction are remembered, and for as long.
const REMEMBERED: usize = 1024;
const MEMORY: Duration = Duration::from_secs(60);

/// What an error of the XMPP side means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounce {
    /// One message failed.
    Single,
    /// No later message will fare better; the SIP status says why (CHAT-37).
    Final(u16),
}

#[derive(Debug)]
pub(super) struct Transfers {
    media: Media,
    /// Sent to the peer, no response yet.
    unanswered: HashMap<Token, Promise>,
    /// Answered 200; a REPORT may still say otherwise (RCPT-08).
    answered: VecDeque<(Token, Box<Origin>)>,
    /// Written to the XMPP server, not known to be taken.
    unhanded: HashMap<Token, Inbound>,
    /// Taken by the XMPP server; an error may still come back (RCPT-10).
    handed: VecDeque<(Instant, Delivery)>,
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
}

/// Towards the SIP user.
impl Transfers {
    pub fn new(media: Media) -> Transfers {
        Transfers {
            media,
            unanswered: HashMap::new(),
            answered: VecDeque::new(),
            unhanded: HashMap::new(),
            handed: VecDeque::new(),
        }
    }

    pub fn send(
        &mut self,
        written: Written,
        promise: Promise,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) {
        if self.unanswered.len() >= cx.settings.window {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        let (content_type, body) = match self.media.wrapping {
            Wrapping::Plain => (body::PLAIN, written.body.into_bytes().into()),
            Wrapping::Cpim => (
                body::CPIM,
                body::wrap(
                    &cx.parties.juliet_device(written.origin.from.resource()),
                    &cx.parties.romeo_uri,
                    cx.clock.time(cx.now),
                    written.subject,
                    "text/plain; charset=utf-8",
                    written.body,
                ),
            ),
        };
        if self
            .media
            .max_size
            .is_some_and(|max| body.len() as u64 > max)
        {
            return promise.refused(
                Fault::new(Condition::PolicyViolation)
                    .with_text("the message is longer than the SIP user's client takes"),
            );
        }
        thread.touch(cx.now);
        let token = cx.tokens.token();
        cx.out.push(Action::Send {
            chat: thread.chat,
            token,
            transaction_id: written.origin.id.clone(),
            content_type,
            body,
            success_report: false,
            failure_report: FailureReport::Yes,
        });
        self.unanswered.insert(token, promise);
    }

    /// Whether [`Transfers::tell`] says anything.
    pub fn takes_composing(&self) -> bool {
        self.media.takes_composing
    }

    /// Tells the peer whether the XMPP user writes, if it takes such documents (COMP-02). Nobody waits for an answer.
    pub fn tell(&self, status: &IsComposing, thread: &Thread, cx: &mut Context<'_>) {
        if !self.media.takes_composing {
            return;
        }
        let document = status.to_xml();
        let (content_type, body) = match self.media.wrapping {
            Wrapping::Plain => (is_composing::MEDIA_TYPE, document.into()),
            Wrapping::Cpim => (
                body::CPIM,
                body::wrap(
                    &cx.parties.juliet_device(thread.reply_to.resource()),
                    &cx.parties.romeo_uri,
                    cx.clock.time(cx.now),
                    None,
                    is_composing::MEDIA_TYPE,
                    document,
                ),
            ),
        };
        cx.out.push(Action::Send {
            chat: thread.chat,
            token: cx.tokens.token(),
            transaction_id: None,
            content_type,
            body,
            success_report: false,
            failure_report: FailureReport::No,
        });
    }

    pub fn accepted(&mut self, token: Token) {
        if let Some(promise) = self.unanswered.remove(&token) {
            if let Some(Ticket::Stanza(origin)) = promise.ticket() {
                remember(&mut self.answered, (token, origin.clone()));
            }
            promise.delivered();
        }
    }

    pub fn refused(&mut self, token: Token, status: u16) {
        if let Some(promise) = self.unanswered.remove(&token) {
            promise.refused(Fault::from_msrp(status));
        }
    }

    pub fn congested(&mut self, token: Token) {
        if let Some(promise) = self.unanswered.remove(&token) {
            promise.refused(Fault::new(Condition::ResourceConstraint));
        }
    }

    pub fn unanswered(&mut self, token: Token) {
        if let Some(promise) = self.unanswered.remove(&token) {
            promise.refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }

    /// A failure that the peer reports after its 200 reaches the sender as well (RCPT-08).
    pub fn reported(&mut self, token: Token, status: u16, cx: &mut Context<'_>) {
        if status < 300 {
            return;
        }
        let fault = Fault::from_msrp(status);
        if let Some(promise) = self.unanswered.remove(&token) {
            return promise.refused(fault);
        }
        let known = self
            .answered
            .iter()
            .position(|(answered, _)| *answered == token);
        if let Some((_, origin)) = known.and_then(|at| self.answered.remove(at)) {
            cx.out.push(Action::Settle(Settlement {
                ticket: Ticket::Stanza(origin),
                outcome: Outcome::Refused(fault),
            }));
        }
    }

    /// The connection is gone: what has no response will get none (CHAT-29).
    pub fn disconnected(&mut self) {
        for (_, promise) in self.unanswered.drain() {
            promise.refused(unavailable());
        }
    }

    pub fn all_answered(&self) -> bool {
        self.unanswered.is_empty()
    }
}

/// Towards the XMPP user.
impl Transfers {
    pub fn receive(&mut self, incoming: Incoming, thread: &mut Thread, cx: &mut Context<'_>) {
        match body::read(incoming.content_type.as_deref(), &incoming.body) {
            Ok(Content::Text(text)) => self.receive_text(incoming, text, thread, cx),
            Ok(Content::Composing(status)) => {
                thread.got_status(&status, cx);
                cx.out.push(Action::Respond {
                    chat: thread.chat,
                    incoming: incoming.id,
                    status: 200,
                });
            }
            Err(unreadable) => {
                let fault = Fault::new(Condition::NotAcceptable).with_text(unreadable.to_string());
                promise_of(&incoming, thread, cx).refused(fault);
            }
        }
    }

    fn receive_text(
        &mut self,
        incoming: Incoming,
        text: Text,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) {
        let promise = promise_of(&incoming, thread, cx);
        if self.unhanded.len() >= cx.settings.window {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        thread.touch(cx.now);
        let id = cx.stanza_ids.claim(incoming.transaction_id, cx.tokens);
        let state = thread.typing.got_message();
        let message = stanza::chat(
            &thread.contact(cx),
            &thread.reply_to,
            &id,
            thread.name(),
            text,
            state,
        );
        let token = cx.tokens.token();
        cx.out.push(Action::Stanza(message, Some(token)));
        let delivery = Delivery {
            stanza_id: id,
            message_id: incoming.message_id,
            length: incoming.body.len(),
            failure_report: incoming.failure_report,
        };
        self.unhanded.insert(token, Inbound { promise, delivery });
    }

    pub fn handed(&mut self, token: Token, now: Instant) {
        if let Some(inbound) = self.unhanded.remove(&token) {
            inbound.promise.delivered();
            while let Some((since, _)) = self.handed.front()
                && now.saturating_duration_since(*since) > MEMORY
            {
                self.handed.pop_front();
            }
            remember(&mut self.handed, (now, inbound.delivery));
        }
    }

    /// Whether a stanza of that id is among those whose fate is open or was told lately.
    pub fn wrote(&self, id: &str) -> bool {
        let mut open = self.unhanded.values();
        open.any(|inbound| inbound.delivery.stanza_id == id)
            || self
                .handed
                .iter()
                .any(|(_, delivery)| delivery.stanza_id == id)
    }

    pub fn lost(&mut self, token: Token) {
        if let Some(inbound) = self.unhanded.remove(&token) {
            inbound
                .promise
                .refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }

    /// A stanza came back.
    pub fn bounced(
        &mut self,
        id: &str,
        fault: &Fault,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> Bounce {
        let open = self
            .unhanded
            .iter()
            .find_map(|(token, inbound)| (inbound.delivery.stanza_id == id).then_some(*token));
        let handed = self
            .handed
            .iter()
            .position(|(_, delivery)| delivery.stanza_id == id);
        if let Some(inbound) = open.and_then(|token| self.unhanded.remove(&token)) {
            inbound.promise.refused(fault.clone());
        } else if let Some((_, delivery)) = handed.and_then(|at| self.handed.remove(at))
            && delivery.failure_report != FailureReport::No
        {
            cx.out.push(Action::ReportFailure {
                chat: thread.chat,
                message_id: delivery.message_id,
                length: delivery.length,
                status: fault.to_msrp(),
            });
        }
        if !thread.reply_to.is_bare() {
            // One device is gone; another may be there (CHAT-18).
            thread.reply_to = cx.parties.juliet.clone();
            return Bounce::Single;
        }
        match fault.condition() {
            Condition::ItemNotFound
            | Condition::Gone
            | Condition::RemoteServerNotFound
            | Condition::Forbidden => Bounce::Final(fault.to_sip_in_reason().code()),
            _ => Bounce::Single,
        }
    }

    pub fn all_handed(&self) -> bool {
        self.unhanded.is_empty()
    }
}

impl Transfers {
    /// Nobody will wait any longer: whatever has no fate yet goes back.
    pub fn abandon(mut self) {
        self.disconnected();
        for (_, inbound) in self.unhanded.drain() {
            inbound
                .promise
                .refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }
}

fn promise_of(incoming: &Incoming, thread: &Thread, cx: &Context<'_>) -> Promise {
    cx.ledger.promise(Ticket::Send {
        chat: thread.chat,
        incoming: incoming.id,
    })
}

fn remember<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}
