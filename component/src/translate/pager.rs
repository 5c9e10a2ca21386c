//! Single messages: SIP MESSAGE both ways (RFC 7572), and chat to a peer without MSRP (CHAT-11).

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use stox_msrp::cpim;
use stox_msrp::is_composing::{self, IsComposing};
use stox_sip::{ServerTransactionId, Uri};

use super::context::{Context, Tokens};
use super::event::{Action, Mark, Page, PageFault, Precedent, Settings, Token, Written};
use super::lane::{Lane, Sent};
use super::notices::Notices;
use super::party::Parties;
use super::stanza::{self, Beside};
use super::typing::Typing;
use crate::address::{Jid, with_device};
use crate::body::{self, Text};
use crate::fault::{Addressee, Condition, Fault};
use crate::stamp;
use crate::translate::promise::{Promise, Ticket};
use crate::xmpp::ChatState;

/// Threads whose Call-ID is remembered, per conversation.
const THREADS: usize = 32;
/// Bytes of Request-URI, From and To that [`Settings::page_bytes`] leaves room for.
const ADDRESSES: usize = 150;

/// Messages that travel without a session, each way.
#[derive(Debug, Default)]
pub(super) struct Pager {
    lane: Lane,
    /// Call-IDs in use, with the tag and the number of their last request (IM-08), oldest first.
    usages: VecDeque<Usage>,
    /// MESSAGEs of the SIP user whose stanza is on its way.
    inbound: HashMap<Token, Inbound>,
    /// The peer has no MSRP, as far as known until then (CHAT-11).
    no_msrp_until: Option<Instant>,
    /// A chat with the SIP user goes by MESSAGE, in that thread: an answer is chat too (IM-19).
    exchange: Option<Exchange>,
    recipient: Recipient,
    status: Status,
    notices: Notices,
}

/// Whether the XMPP user is known to take messages, so that an answer need not wait for an error (IM-05).
#[derive(Debug, Default)]
enum Recipient {
    #[default]
    Unknown,
    Proven,
}

/// Whether the SIP user's client reads isComposing documents in MESSAGEs. One that does not may show them as text, so
/// they are for those only that send them (COMP-10).
#[derive(Debug, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Unknown,
    Known,
    Refused,
}

#[derive(Debug)]
struct Usage {
    thread: Option<String>,
    call_id: String,
    from_tag: String,
    cseq: u32,
}

#[derive(Debug)]
struct Exchange {
    thread: String,
    with: Jid,
    /// The SIP user as last seen there.
    contact: Jid,
    until: Instant,
    typing: Typing,
}

#[derive(Debug)]
enum Inbound {
    /// The server has not taken the stanza yet.
    Unhanded { promise: Promise, stanza_id: String },
    /// Taken; an error may still come (IM-05).
    Handed {
        promise: Promise,
        stanza_id: String,
        until: Instant,
    },
}

impl Exchange {
    fn show(&self, state: ChatState, cx: &mut Context<'_>) {
        let message = stanza::state(&self.contact, &self.with, &self.thread, state);
        cx.out.push(Action::Stanza(message, None));
    }
}

/// Whether the message fits a MESSAGE, with the addresses of these two (IM-10).
pub(super) fn fits(written: &Written, parties: &Parties, settings: &Settings) -> bool {
    // As if every byte of the devices were escaped: with that nearly every message fits already.
    let device = |device: Option<&str>| device.map_or(0, |device| 4 + 3 * device.len());
    let at_most = parties.juliet_uri.wire_length()
        + 2 * parties.romeo_uri.wire_length()
        + device(written.origin.from.resource())
        + device(written.origin.to.resource());
    if written.size() + at_most.saturating_sub(ADDRESSES) <= settings.page_bytes {
        return true;
    }
    let from = parties.juliet_device(written.origin.from.resource());
    let target = with_device(&parties.romeo_uri, written.origin.to.resource());
    let addresses: usize = [&from, &target, &parties.romeo_uri]
        .map(Uri::wire_length)
        .iter()
        .sum();
    written.size() + addresses.saturating_sub(ADDRESSES) <= settings.page_bytes
}

/// Towards the SIP user.
impl Pager {
    /// Sends the message, or lets it wait for the answer to the one before. `chat`: the thread of the chat it belongs
    /// to, if it is one.
    pub fn write(
        &mut self,
        written: Written,
        chat: Option<&str>,
        promise: Promise,
        cx: &mut Context<'_>,
    ) {
        if !fits(&written, cx.parties, cx.settings) {
            return promise.refused(
                Fault::new(Condition::PolicyViolation)
                    .with_text("the message is too long for a SIP user without chat sessions"),
            );
        }
        let thread = chat
            .map(str::to_owned)
            .or_else(|| written.origin.thread.clone());
        let blank = self.blank(thread.as_deref(), cx.tokens);
        if let Some(thread) = chat {
            let mut typing = self.exchange.take().map(|before| before.typing);
            let typing = typing.get_or_insert_default();
            typing.wrote(written.chat_state);
            self.exchange = Some(Exchange {
                thread: thread.to_owned(),
                with: written.origin.from.clone(),
                contact: cx.parties.romeo_device(written.origin.to.resource()),
                until: cx.now + cx.settings.memory,
                typing: std::mem::take(typing),
            });
        }
        let page = Box::new(Page {
            resource: written.origin.from.resource().map(str::to_owned),
            device: written.origin.to.resource().map(str::to_owned),
            subject: written.subject,
            lang: written.lang,
            sent: written.sent,
            body: written.body,
            ..blank
        });
        self.lane
            .send(page, Sent::Message(promise), cx.settings, cx.out);
    }

    /// The MESSAGE under way got its answer.
    pub fn answered(&mut self, answer: Result<(), PageFault>, out: &mut Vec<Action>) {
        if let Some(Sent::Status) = self.lane.answered(answer, out) {
            self.status = Status::Refused;
        }
    }

    /// A chat state without a message, for the chat that goes by MESSAGE at present (COMP-10).
    pub fn stated(&mut self, thread: Option<&str>, state: ChatState, cx: &mut Context<'_>) {
        let exchange = self.exchange.as_mut().filter(|exchange| {
            cx.now < exchange.until && thread.is_none_or(|thread| thread == exchange.thread)
        });
        let Some(exchange) = exchange else {
            return;
        };
        if self.status == Status::Known
            && self.lane.is_free()
            && let Some(status) = exchange.typing.stated(state, cx.now)
        {
            self.tell(&status, cx);
        }
    }

    fn tell(&mut self, status: &IsComposing, cx: &mut Context<'_>) {
        let Some(exchange) = self.exchange.as_ref().filter(|_| self.lane.is_free()) else {
            return;
        };
        let thread = exchange.thread.clone();
        let resource = exchange.with.resource().map(str::to_owned);
        let device = exchange.contact.resource().map(str::to_owned);
        let page = Box::new(Page {
            resource,
            device,
            content_type: is_composing::MEDIA_TYPE,
            body: status.to_xml(),
            ..self.blank(Some(&thread), cx.tokens)
        });
        self.lane.send(page, Sent::Status, cx.settings, cx.out);
    }

    pub fn remember_no_msrp(&mut self, until: Instant) {
        self.no_msrp_until = Some(until);
    }

    /// The peer has opened a session itself.
    pub fn has_msrp(&mut self) {
        self.no_msrp_until = None;
    }

    /// The thread of the chat that goes by MESSAGE at present.
    pub fn exchange_thread(&self, now: Instant) -> Option<String> {
        let exchange = self
            .exchange
            .as_ref()
            .filter(|exchange| now < exchange.until);
        exchange.map(|exchange| exchange.thread.clone())
    }

    pub fn lacks_msrp(&self, now: Instant) -> bool {
        self.no_msrp_until.is_some_and(|until| now < until)
    }

    /// An empty MESSAGE with the Call-ID, From tag and next number of that thread (IM-08, IM-09).
    fn blank(&mut self, thread: Option<&str>, tokens: &mut Tokens) -> Page {
        let known = thread.and_then(|thread| {
            self.usages
                .iter_mut()
                .find(|usage| usage.thread.as_deref() == Some(thread))
        });
        if let Some(usage) = known {
            usage.cseq = usage.cseq.wrapping_add(1) & 0x7fff_ffff;
            return usage.page(Precedent::Own);
        }
        let (call_id, precedent) = match thread {
            Some(thread) if super::is_call_id(thread) => (thread.to_owned(), Precedent::Possible),
            _ => (tokens.text(), Precedent::Own),
        };
        let usage = Usage {
            thread: thread.map(str::to_owned),
            call_id,
            from_tag: tokens.text(),
            cseq: 1,
        };
        let page = usage.page(precedent);
        if thread.is_some() {
            if self.usages.len() >= THREADS {
                self.usages.pop_front();
            }
            self.usages.push_back(usage);
        }
        page
    }

    /// The MESSAGE under way has another Call-ID than was asked for: so do the next of its thread (CHAT-03).
    pub fn rename(&mut self, call_id: &str, instead: String) {
        self.lane.rename(call_id, &instead);
        let mut usages = self.usages.iter_mut();
        if let Some(usage) = usages.find(|usage| usage.call_id == call_id) {
            usage.call_id = instead;
        }
    }
}

impl Usage {
    fn page(&self, precedent: Precedent) -> Page {
        Page {
            call_id: self.call_id.clone(),
            precedent,
            from_tag: self.from_tag.clone(),
            cseq: self.cseq,
            resource: None,
            device: None,
            subject: None,
            lang: None,
            sent: None,
            content_type: body::PAGE,
            body: String::new(),
        }
    }
}

/// Towards the XMPP user.
impl Pager {
    /// `session`: the address and thread of the session in whose dialog the MESSAGE came, if it came in one.
    pub fn receive(
        &mut self,
        transaction: ServerTransactionId,
        call_id: String,
        mut text: Text,
        session: Option<(&Jid, &str)>,
        contact: &Jid,
        cx: &mut Context<'_>,
    ) {
        let mut exchange = self
            .exchange
            .as_mut()
            .filter(|exchange| cx.now < exchange.until);
        let state = exchange
            .as_mut()
            .and_then(|exchange| exchange.typing.got_message());
        let exchange = exchange.map(|exchange| (&exchange.with, exchange.thread.as_str()));
        let conversation = session.or(exchange);
        let promise = cx.ledger.promise(Ticket::Page {
            transaction,
            addressee: Addressee::from(conversation.map_or(&cx.parties.juliet, |(with, _)| with)),
        });
        if self.inbound.len() >= cx.settings.window {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        let stanza_id = cx.stanza_ids.claim(cx.tokens.text(), cx.tokens);
        let wishes = self.notices.expect(&stanza_id, text.imdn.take(), cx.now);
        let beside = Beside {
            state: state.filter(|_| conversation.is_some()),
            wishes,
            now: cx.clock.time(cx.now),
        };
        let message = match conversation {
            Some((with, thread)) => stanza::chat(contact, with, &stanza_id, thread, text, beside),
            None => {
                // A reply comes back in the thread of what it may be a reply to (IM-09).
                let usage = |usage: &&Usage| usage.call_id == call_id;
                let usage = self.usages.iter().find(usage).or(self.usages.back());
                let thread = usage
                    .and_then(|usage| usage.thread.clone())
                    .unwrap_or(call_id);
                stanza::single(
                    contact,
                    &cx.parties.juliet,
                    &stanza_id,
                    &thread,
                    text,
                    beside,
                )
            }
        };
        let token = cx.tokens.token();
        cx.out.push(Action::Stanza(message, Some(token)));
        self.inbound
            .insert(token, Inbound::Unhanded { promise, stanza_id });
    }

    /// The XMPP user's client got a message (RCPT-11).
    pub fn receipted(&mut self, id: &str, mark: Mark, cx: &mut Context<'_>) {
        if let Some(notice) = self.notices.receipted(id, mark, cx.tokens.ident()) {
            self.notify(notice, cx);
        }
    }

    /// Tells the SIP user's client what became of a message, after what waits already.
    fn notify(&mut self, mut notice: cpim::Message, cx: &mut Context<'_>) {
        notice.date_time = Some(stamp::format(cx.clock.time(cx.now)));
        let page = Box::new(Page {
            content_type: body::CPIM,
            body: String::from_utf8_lossy(&notice.wrap()).into_owned(),
            ..self.blank(None, cx.tokens)
        });
        self.lane.send(page, Sent::Notice, cx.settings, cx.out);
    }

    /// A status message (COMP-10).
    pub fn got_status(&mut self, status: &IsComposing, contact: &Jid, cx: &mut Context<'_>) {
        let exchange = self.exchange.as_mut();
        let Some(exchange) = exchange.filter(|exchange| cx.now < exchange.until) else {
            return;
        };
        if self.status == Status::Unknown {
            self.status = Status::Known;
        }
        exchange.contact = contact.clone();
        if let Some(state) = exchange.typing.got_status(status, cx.now) {
            exchange.show(state, cx);
        }
    }

    pub fn handed(&mut self, token: Token, settings: &Settings, now: Instant) {
        let Some(Inbound::Unhanded { promise, stanza_id }) = self.inbound.remove(&token) else {
            return;
        };
        match self.recipient {
            Recipient::Proven => promise.delivered(),
            Recipient::Unknown => {
                let until = now + settings.error_wait;
                self.inbound.insert(
                    token,
                    Inbound::Handed {
                        promise,
                        stanza_id,
                        until,
                    },
                );
            }
        }
    }

    pub fn lost(&mut self, token: Token) {
        if let Some(Inbound::Unhanded { promise, .. } | Inbound::Handed { promise, .. }) =
            self.inbound.remove(&token)
        {
            promise.refused(Fault::new(Condition::RemoteServerTimeout));
        }
    }

    /// A stanza came back. Says whether it was one of these.
    pub fn bounced(&mut self, id: &str, fault: &Fault, cx: &mut Context<'_>) -> bool {
        let token = self.inbound.iter().find_map(|(token, inbound)| {
            let (Inbound::Unhanded { stanza_id, .. } | Inbound::Handed { stanza_id, .. }) = inbound;
            (stanza_id == id).then_some(*token)
        });
        self.recipient = Recipient::Unknown;
        match token.and_then(|token| self.inbound.remove(&token)) {
            Some(Inbound::Unhanded { promise, .. } | Inbound::Handed { promise, .. }) => {
                promise.refused(fault.clone());
                self.notices.forget(id);
                // One device is gone; another may be there (CHAT-18).
                if let Some(exchange) = &mut self.exchange {
                    exchange.with = cx.parties.juliet.clone();
                }
                true
            }
            None => match self.notices.bounced(id, fault, cx.tokens.ident()) {
                Some(notice) => {
                    self.notify(notice, cx);
                    true
                }
                None => false,
            },
        }
    }

    /// No error came in time: those are delivered (IM-05).
    pub fn elapsed(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        self.notices.elapsed(now);
        let typing = self
            .exchange
            .as_mut()
            .map(|exchange| exchange.typing.poll(now));
        let (told, shown) = typing.unwrap_or_default();
        if let Some(status) = told {
            self.tell(&status, cx);
        }
        if let (Some(state), Some(exchange)) = (shown, &self.exchange) {
            exchange.show(state, cx);
        }
        let due: Vec<Token> = self
            .inbound
            .iter()
            .filter_map(|(token, inbound)| match inbound {
                Inbound::Handed { until, .. } if *until <= now => Some(*token),
                Inbound::Handed { .. } | Inbound::Unhanded { .. } => None,
            })
            .collect();
        for token in due {
            if let Some(Inbound::Handed { promise, .. } | Inbound::Unhanded { promise, .. }) =
                self.inbound.remove(&token)
            {
                promise.delivered();
                self.recipient = Recipient::Proven;
            }
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let typing = self.exchange.as_ref().map(|exchange| &exchange.typing);
        self.inbound
            .values()
            .filter_map(|inbound| match inbound {
                Inbound::Handed { until, .. } => Some(*until),
                Inbound::Unhanded { .. } => None,
            })
            .chain(typing.and_then(Typing::deadline))
            .chain(self.notices.deadline())
            .min()
    }
}

/// The end.
impl Pager {
    /// Gives back what was not sent; what was sent is still waited for.
    pub fn shut_down(&mut self) {
        self.notices.clear();
        self.lane.shut_down();
    }

    /// Gives back everything that has no fate yet.
    pub fn abandon(&mut self) {
        self.notices.clear();
        self.lane.abandon();
        for (_, inbound) in self.inbound.drain() {
            match inbound {
                Inbound::Unhanded { promise, .. } => {
                    promise.refused(Fault::new(Condition::RemoteServerTimeout));
                }
                // The server has it: nobody may be told that it came back.
                Inbound::Handed { promise, .. } => promise.delivered(),
            }
        }
    }

    /// Whether a message is under way.
    pub fn is_busy(&self) -> bool {
        !self.lane.is_free() || !self.inbound.is_empty() || !self.notices.is_empty()
    }
}
