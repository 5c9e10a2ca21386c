//! The messages of one session that are under way, in both directions, and those whose fate may still change.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use stox_msrp::imdn::{self, Display, Imdn, Notification};
use stox_msrp::is_composing::{self, IsComposing};
use stox_msrp::{ByteRange, FailureReport, Ident, Incoming, MsrpUri, cpim};

use super::deliveries::Deliveries;
use super::receipts::{Receipt, Receipts};
use super::{Context, Held, Thread, hold, refuse_all, unavailable};
use crate::body::{self, Content};
use crate::fault::{Condition, Fault};
use crate::stamp;
use crate::translate::event::{Action, Mark, Token, Written};
use crate::translate::media::{Listening, Media, Wrapping};
use crate::translate::promise::{Origin, Outcome, Promise, Settlement, Ticket};

/// Messages that were told a fate and may yet be told another: as many of each kind are remembered.
const REMEMBERED: usize = 1024;

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
    link: Link,
    /// Written while the peer does not take messages, in order (CHAT-32, MSRP-10).
    waiting: VecDeque<Held>,
    /// Sent to the peer, no response yet; in the order they were sent.
    unanswered: VecDeque<(Token, Promise)>,
    /// Answered 200; a REPORT may still say otherwise (RCPT-08).
    answered: VecDeque<(Token, Arc<Origin>)>,
    /// Sent to the peer for a REPORT, and no response.
    receipts: Receipts,
    /// Sent to the peer, to be named by that id when they were shown (RCPT-11).
    marked: VecDeque<(Ident, Receipt)>,
    /// The other direction.
    deliveries: Deliveries,
}

/// Whether there is a connection to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// It is being made anew.
    Down,
}

/// Towards the SIP user.
impl Transfers {
    pub fn new(media: Media) -> Transfers {
        Transfers {
            media,
            link: Link::Up,
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
            answered: VecDeque::new(),
            receipts: Receipts::default(),
            marked: VecDeque::new(),
            deliveries: Deliveries::default(),
        }
    }

    /// Sends a message, or lets it wait until the peer takes it.
    pub fn send(
        &mut self,
        written: Written,
        promise: Promise,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) {
        match (self.link, self.media.listening) {
            (Link::Up, Listening::Listens) => self.send_now(written, promise, thread, cx),
            (Link::Down, _) | (_, Listening::OnHold) => {
                hold(&mut self.waiting, Held { written, promise }, cx.settings);
            }
        }
    }

    /// Where the peer is reached.
    pub fn path(&self) -> &[MsrpUri] {
        &self.media.path
    }

    /// The peer describes itself anew, at the same path: what waited goes if it may (CHAT-32).
    pub fn adjust(&mut self, media: Media, thread: &mut Thread, cx: &mut Context<'_>) {
        self.media = media;
        self.send_waiting(thread, cx);
    }

    /// There is no connection for now: what is written waits.
    pub fn pause(&mut self) {
        self.link = Link::Down;
    }

    /// There is a connection again: what has no answer goes once more, then what waited (MSRP-10). What no answer was
    /// asked for may have been lost with the old one.
    pub fn resume(&mut self, media: Media, thread: &mut Thread, cx: &mut Context<'_>) {
        self.link = Link::Up;
        self.receipts.broke(&unavailable());
        let unsent = self.receipts.unsent_goes(cx.now);
        let unanswered = self.unanswered.iter().map(|(token, _)| *token);
        let mut again: Vec<Token> = unanswered.chain(unsent).collect();
        again.sort_unstable();
        let chat = thread.chat;
        let again = again
            .into_iter()
            .map(|token| Action::SendAgain { chat, token });
        cx.out.extend(again);
        self.adjust(media, thread, cx);
    }

    fn send_waiting(&mut self, thread: &mut Thread, cx: &mut Context<'_>) {
        for Held { written, promise } in std::mem::take(&mut self.waiting) {
            self.send(written, promise, thread, cx);
        }
    }

    fn send_now(
        &mut self,
        written: Written,
        promise: Promise,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) {
        if self.unanswered.len() >= cx.settings.window {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        let mut mark = None;
        let (content_type, body) = match self.media.wrapping {
            Wrapping::Plain => (body::PLAIN, written.body.into_bytes().into()),
            Wrapping::Cpim => {
                let mut message = body::cpim(
                    &cx.parties.juliet_device(written.origin.from.resource()),
                    &cx.parties.romeo_uri,
                    written.sent.unwrap_or_else(|| cx.clock.time(cx.now)),
                    written.subject,
                    "text/plain; charset=utf-8",
                    written.body,
                );
                if written.wishes.display && self.media.takes_imdn {
                    mark = Some(ask_for_display(&mut message, cx));
                }
                (body::CPIM, message.wrap())
            }
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
        let length = body.len();
        cx.out.push(Action::Send {
            chat: thread.chat,
            token,
            transaction_id: written.origin.id.clone(),
            content_type,
            body,
            success_report: written.wishes.receipt,
            // XMPP has no report of failure beside the receipt that stays away (RCPT-07).
            failure_report: match written.wishes.receipt {
                true => FailureReport::No,
                false => FailureReport::Yes,
            },
        });
        if !written.wishes.receipt && mark.is_none() {
            self.unanswered.push_back((token, promise));
            return;
        }
        let receipt = Receipt {
            origin: written.origin,
            kind: written.kind,
        };
        if let Some(id) = mark {
            remember(&mut self.marked, (id, receipt.clone()));
        }
        match written.wishes.receipt {
            true => self.receipts.sent(token, receipt, length, promise, cx.now),
            false => self.unanswered.push_back((token, promise)),
        }
    }

    /// Whether [`Transfers::tell`] says anything.
    pub fn takes_composing(&self) -> bool {
        self.media.takes_composing
    }

    /// Tells the peer whether the XMPP user writes, if it takes such documents (COMP-02). Nobody waits for an answer.
    pub fn tell(&self, status: &IsComposing, thread: &Thread, cx: &mut Context<'_>) {
        if !self.media.takes_composing || self.link == Link::Down {
            return;
        }
        let document = status.to_xml();
        let (content_type, body) = match self.media.wrapping {
            Wrapping::Plain => (is_composing::MEDIA_TYPE, document.into()),
            Wrapping::Cpim => (
                body::CPIM,
                body::cpim(
                    &cx.parties.juliet_device(thread.reply_to.resource()),
                    &cx.parties.romeo_uri,
                    cx.clock.time(cx.now),
                    None,
                    is_composing::MEDIA_TYPE,
                    document,
                )
                .wrap(),
            ),
        };
        send_document(content_type, body, thread, cx);
    }

    pub fn accepted(&mut self, token: Token) {
        if let Some(promise) = self.take_unanswered(token) {
            if let Some(Ticket::Stanza(origin)) = promise.ticket() {
                remember(&mut self.answered, (token, Arc::clone(origin)));
            }
            promise.delivered();
        }
    }

    pub fn refused(&mut self, token: Token, status: u16) {
        self.fail(token, &Fault::from_msrp(status));
    }

    pub fn congested(&mut self, token: Token) {
        self.fail(token, &Fault::new(Condition::ResourceConstraint));
    }

    /// The message did not go by the connection that is gone, and waits for the next.
    pub fn unsent(&mut self, token: Token) {
        self.receipts.unsent(token);
    }

    pub fn unanswered(&mut self, token: Token) {
        self.fail(token, &Fault::new(Condition::RemoteServerTimeout));
    }

    /// Tokens rise.
    fn take_unanswered(&mut self, token: Token) -> Option<Promise> {
        let of = |(token, _): &(Token, Promise)| *token;
        let at = self.unanswered.binary_search_by_key(&token, of).ok()?;
        let (_, promise) = self.unanswered.remove(at)?;
        // An idle session keeps no room for many (PERF-6).
        if self.unanswered.is_empty() && self.unanswered.capacity() > 8 {
            self.unanswered = VecDeque::new();
        }
        Some(promise)
    }

    fn fail(&mut self, token: Token, fault: &Fault) -> Option<Arc<Origin>> {
        if let Some(promise) = self.take_unanswered(token) {
            promise.refused(fault.clone());
            return None;
        }
        self.receipts.failed(token, fault)
    }

    /// A REPORT. That a message arrived is for those who asked (RCPT-02); a failure that the peer tells after its 200
    /// is for all (RCPT-08).
    pub fn reported(
        &mut self,
        token: Token,
        status: u16,
        range: ByteRange,
        thread: &Thread,
        cx: &mut Context<'_>,
    ) {
        if status < 300 {
            if let Some(receipt) = self.receipts.arrived(token, range) {
                receipt.tell(Mark::Received, thread, cx);
            }
            return;
        }
        let fault = Fault::from_msrp(status);
        let known = self
            .answered
            .iter()
            .position(|(answered, _)| *answered == token);
        let answered = known.and_then(|at| self.answered.remove(at));
        let origin = match answered {
            Some((_, origin)) => Some(origin),
            None => self.fail(token, &fault),
        };
        if let Some(origin) = origin {
            cx.out.push(Action::Settle(Settlement {
                ticket: Ticket::Stanza(origin),
                outcome: Outcome::Refused(fault),
            }));
        }
    }

    /// What became of a message that asked for more than its arrival (RCPT-11).
    pub fn notified(&mut self, imdn: &Imdn, thread: &Thread, cx: &mut Context<'_>) {
        let is_about = |(id, _): &(Ident, Receipt)| id.as_str() == imdn.message_id;
        let known = self.marked.iter().position(is_about);
        if imdn.notification == Notification::Display(Display::Displayed)
            && let Some((_, receipt)) = known.and_then(|at| self.marked.remove(at))
        {
            receipt.tell(Mark::Displayed, thread, cx);
        }
    }

    /// The connection is gone: what has no response will get none (CHAT-29).
    pub fn disconnected(&mut self) {
        for (_, promise) in std::mem::take(&mut self.unanswered) {
            promise.refused(unavailable());
        }
        refuse_all(std::mem::take(&mut self.waiting), &unavailable());
        self.receipts.given_up(&unavailable());
    }

    /// The session ends as it should.
    pub fn end(&mut self) {
        self.receipts.ended(&unavailable());
    }

    pub fn all_answered(&self) -> bool {
        self.unanswered.is_empty() && self.waiting.is_empty()
    }

    /// Whether what was sent may not have got there yet, and only a REPORT will tell.
    pub fn await_reports(&self) -> bool {
        self.receipts.are_at_risk()
    }

    /// When [`Transfers::elapsed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.receipts.deadline()
    }

    pub fn elapsed(&mut self, now: Instant) {
        self.receipts.elapsed(now);
    }
}

/// Towards the XMPP user.
impl Transfers {
    pub fn receive(&mut self, incoming: Incoming, thread: &mut Thread, cx: &mut Context<'_>) {
        match body::read(incoming.content_type.as_deref(), &incoming.body) {
            Ok(Content::Text(text)) => self.deliveries.receive(incoming, text, thread, cx),
            Ok(Content::Composing(status)) => {
                thread.got_status(&status, cx);
                cx.out.push(taken(&incoming, thread));
            }
            Ok(Content::Imdn(imdn)) => {
                self.notified(&imdn, thread, cx);
                cx.out.push(taken(&incoming, thread));
            }
            Err(unreadable) => {
                let fault = Fault::new(Condition::NotAcceptable).with_text(unreadable.to_string());
                thread.promise_of(&incoming, cx).refused(fault);
            }
        }
    }

    pub fn handed(&mut self, token: Token, now: Instant) {
        self.deliveries.handed(token, now);
    }

    /// Whether a stanza of that id is among those whose fate is open or was told lately.
    pub fn wrote(&self, id: &str) -> bool {
        self.deliveries.wrote(id)
    }

    pub fn lost(&mut self, token: Token) {
        self.deliveries.lost(token);
    }

    /// The XMPP user got the message of that stanza.
    pub fn receipted(&mut self, id: &str, mark: Mark, thread: &Thread, cx: &mut Context<'_>) {
        if let Some(message) = self.deliveries.receipted(id, mark, thread, cx) {
            self.notify(message, thread, cx);
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
        if let Some(message) = self.deliveries.bounced(id, fault, thread, cx) {
            self.notify(message, thread, cx);
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
        self.deliveries.all_handed()
    }

    /// Sends a notification, if the peer takes any (MSRP-21).
    fn notify(&self, mut message: cpim::Message, thread: &Thread, cx: &mut Context<'_>) {
        if self.media.takes_imdn && self.link == Link::Up {
            message.date_time = Some(stamp::format(cx.clock.time(cx.now)));
            send_document(body::CPIM, message.wrap(), thread, cx);
        }
    }
}

impl Transfers {
    /// Nobody will wait any longer: whatever has no fate yet goes back.
    pub fn abandon(mut self) {
        self.end();
        for (_, promise) in std::mem::take(&mut self.unanswered) {
            promise.refused(unavailable());
        }
        refuse_all(std::mem::take(&mut self.waiting), &unavailable());
        self.deliveries.abandon();
    }
}

/// Sends what is for the peer's client rather than its user: nobody waits for an answer.
fn send_document(content_type: &'static str, body: Bytes, thread: &Thread, cx: &mut Context<'_>) {
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

/// The answer to what was for us alone.
pub(super) fn taken(incoming: &Incoming, thread: &Thread) -> Action {
    Action::Respond {
        chat: thread.chat,
        incoming: incoming.id,
        status: 200,
    }
}

/// Has the peer say when the message was shown; the id that it will name.
fn ask_for_display(message: &mut cpim::Message, cx: &mut Context<'_>) -> Ident {
    let id = cx.tokens.ident();
    let display = imdn::Wishes {
        display: true,
        ..imdn::Wishes::default()
    };
    imdn::ask(message, id, display);
    id
}

pub(super) fn remember<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}
