//! The translators: pure cores that turn what one side did into what the other side is to see.
//!
//! A [`Conversation`] is everything between one XMPP user and one SIP user: their chat sessions (`chat`) and the
//! messages that travel without one (`pager`). It never waits and never looks at a clock: [`Conversation::handle`]
//! takes one [`Event`] and the time and appends [`Action`]s; [`Conversation::poll_timeout`] says when
//! [`Event::Elapsed`] is due.

mod chat;
mod context;
mod event;
mod media;
mod pager;
mod party;
pub mod promise;
mod stanza;

use std::time::{Duration, Instant};

use chat::{Chat, Event as ChatInput};
pub use context::Clock;
use context::{Context, Stranded, Tokens};
pub use event::{
    Action, ChatEvent, ChatId, Event, Invitation, Kind, Page, PageFault, Paged, Reason, Rejection,
    Settings, Token, Written,
};
pub use media::{Media, Unusable, Wrapping};
use pager::Pager;
pub use party::Parties;

use crate::address::device_of;
use crate::config::ChatMode;
use crate::fault::{Condition, Fault};
use promise::{Ledger, Ticket};

/// How long a conversation without sessions keeps what it knows of its threads (T23, `corr.ttl`).
const LINGER: Duration = Duration::from_secs(3600);

/// Everything between one XMPP user and one SIP user.
#[derive(Debug)]
pub struct Conversation {
    clock: Clock,
    settings: Settings,
    parties: Parties,
    chats: Vec<Chat>,
    pager: Pager,
    ledger: Ledger,
    stranded: Vec<Stranded>,
    tokens: Tokens,
    next_chat: u32,
    /// When the XMPP user last wrote: what a thread stands for is remembered on their account only, so that strangers
    /// cannot fill the memory.
    last_written: Option<Instant>,
    service: Service,
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Running,
    ShuttingDown,
}

impl Conversation {
    /// A conversation in which nothing was said yet. `seed`: for the ids it makes; `clock`: for the times it writes.
    pub fn new(parties: Parties, settings: Settings, seed: u64, clock: Clock) -> Conversation {
        Conversation {
            clock,
            settings,
            parties,
            chats: Vec::new(),
            pager: Pager::default(),
            ledger: Ledger::default(),
            stranded: Vec::new(),
            tokens: Tokens::new(seed),
            next_chat: 0,
            last_written: None,
            service: Service::Running,
        }
    }

    /// The two it is between, as last seen.
    pub fn parties(&self) -> &Parties {
        &self.parties
    }

    /// The id for the next [`Event::Invited`].
    pub fn next_chat(&mut self) -> ChatId {
        self.next_chat += 1;
        ChatId(self.next_chat)
    }

    /// Takes one event; appends what is to be done.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        match event {
            Event::Written(written) => self.written(written, now, out),
            Event::Gone { thread } => self.gone(thread.as_deref(), now, out),
            Event::Bounced { id, fault } => self.bounced(&id, &fault, now, out),
            Event::Invited(chat, invitation) => self.invited(chat, invitation, now, out),
            Event::Chat(chat, event) => self.tell_chat(chat, ChatInput::Peer(event), now, out),
            Event::Paged(paged) => self.paged(paged, now, out),
            Event::PageAnswered(answer) => self.pager.answered(answer, out),
            Event::Handed(token) => {
                self.pager.handed(token, &self.settings, now);
                self.tell_all(|| ChatInput::Handed(token), now, out);
            }
            Event::Lost(token) => {
                self.pager.lost(token);
                self.tell_all(|| ChatInput::Lost(token), now, out);
            }
            Event::Elapsed => self.elapsed(now, out),
            Event::ShutDown => {
                self.service = Service::ShuttingDown;
                self.pager.shut_down();
                self.tell_all(|| ChatInput::ShutDown, now, out);
            }
        }
        self.page_stranded(now, out);
        // An answer must go out before the session it goes by is forgotten.
        out.extend(self.ledger.drain().into_iter().map(Action::Settle));
        self.chats.retain(|chat| {
            if chat.is_over() {
                out.push(Action::Close(chat.id()));
            }
            !chat.is_over()
        });
    }

    /// When [`Event::Elapsed`] is due; never before what is under way can still change something.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.chats
            .iter()
            .filter_map(|chat| chat.deadline(&self.settings))
            .chain(self.pager.deadline())
            .chain(
                self.last_written
                    .filter(|_| self.is_quiet())
                    .map(|written| written + LINGER),
            )
            .min()
    }

    /// Nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.chats.is_empty() && !self.pager.is_busy()
    }

    /// Nothing is under way and nothing is worth remembering.
    pub fn is_over(&self, now: Instant) -> bool {
        let worth_keeping = match (self.service, self.last_written) {
            (Service::ShuttingDown, _) | (_, None) => false,
            (Service::Running, Some(written)) => now < written + LINGER,
        };
        self.is_quiet() && !worth_keeping
    }
}

/// What the XMPP user does.
impl Conversation {
    fn written(&mut self, written: Written, now: Instant, out: &mut Vec<Action>) {
        self.last_written = Some(now);
        self.parties.romeo = written.origin.to.bare().into_jid();
        let promise = self
            .ledger
            .promise(Ticket::Stanza(Box::new(written.origin.clone())));
        if self.service == Service::ShuttingDown {
            return promise.refused(Fault::new(Condition::RecipientUnavailable));
        }
        if self.goes_by_page(&written, now) {
            let thread = match written.kind {
                Kind::Chat => Some(
                    written
                        .origin
                        .thread
                        .clone()
                        .unwrap_or_else(|| self.tokens.text()),
                ),
                Kind::Single => None,
            };
            let (_, pager, mut cx) = self.context(now, out);
            return pager.write(written, thread.as_deref(), promise, &mut cx);
        }
        match self.chat_for(&written, now) {
            Some(at) => {
                let (chats, _, mut cx) = self.context(now, out);
                if let Some(chat) = chats.get_mut(at) {
                    chat.handle(ChatInput::Written(written, promise), &mut cx);
                }
            }
            None => {
                let chat = self.next_chat();
                let thread = written
                    .origin
                    .thread
                    .clone()
                    .unwrap_or_else(|| self.tokens.text());
                let (chats, _, mut cx) = self.context(now, out);
                let opened = Chat::open(chat, thread, written, promise, &mut cx);
                chats.push(opened);
            }
        }
    }

    /// Whether the message travels by MESSAGE (IM-01, IM-10, CHAT-11).
    fn goes_by_page(&self, written: &Written, now: Instant) -> bool {
        match (self.settings.mode, written.kind) {
            (ChatMode::Message, _) => true,
            (ChatMode::Msrp, _) => false,
            (ChatMode::Auto, Kind::Chat) => self.pager.lacks_msrp(now),
            (ChatMode::Auto, Kind::Single) => {
                self.pager.lacks_msrp(now) || written.body.len() <= self.settings.page_bytes
            }
        }
    }

    /// The session that the message belongs to (CHAT-20 to CHAT-22).
    fn chat_for(&mut self, written: &Written, _now: Instant) -> Option<usize> {
        let open = |chat: &Chat| chat.takes_messages();
        match &written.origin.thread {
            None => {
                let latest = self.chats.iter().enumerate().filter(|(_, chat)| open(chat));
                latest
                    .max_by_key(|(_, chat)| chat.last_active())
                    .map(|(at, _)| at)
            }
            Some(thread) => {
                let known = self
                    .chats
                    .iter()
                    .position(|chat| open(chat) && chat.has_thread(thread));
                known.or_else(|| match self.chats.as_mut_slice() {
                    [only] => (open(only) && only.adopt(thread)).then_some(0),
                    _ => None,
                })
            }
        }
    }

    /// CHAT-24: the session of that thread, or the only one there is.
    fn gone(&mut self, thread: Option<&str>, now: Instant, out: &mut Vec<Action>) {
        let (chats, _, mut cx) = self.context(now, out);
        let chat = match (thread, chats.as_mut_slice()) {
            (Some(thread), chats) => chats.iter_mut().find(|chat| chat.has_thread(thread)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        if let Some(chat) = chat {
            chat.handle(ChatInput::Gone, &mut cx);
        }
    }

    fn bounced(&mut self, id: &str, fault: &Fault, now: Instant, out: &mut Vec<Action>) {
        if !self.pager.bounced(id, fault) {
            self.tell_all(
                || ChatInput::Bounced(id.to_owned(), fault.clone()),
                now,
                out,
            );
        }
    }
}

/// What the SIP user does.
impl Conversation {
    fn invited(
        &mut self,
        chat: ChatId,
        invitation: Invitation,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.service == Service::ShuttingDown {
            return out.extend([Action::Decline(chat), Action::Close(chat)]);
        }
        let device = device_of(&invitation.from);
        let (chats, _, mut cx) = self.context(now, out);
        let accepted = Chat::accept(chat, invitation, device, &mut cx);
        chats.push(accepted);
    }

    fn paged(&mut self, paged: Paged, now: Instant, out: &mut Vec<Action>) {
        let contact = self.parties.romeo_device(device_of(&paged.from).as_deref());
        let (_, pager, mut cx) = self.context(now, out);
        pager.receive(paged, &contact, &mut cx);
    }
}

impl Conversation {
    fn tell_chat(&mut self, id: ChatId, event: ChatInput, now: Instant, out: &mut Vec<Action>) {
        let (chats, _, mut cx) = self.context(now, out);
        if let Some(chat) = chats.iter_mut().find(|chat| chat.id() == id) {
            chat.handle(event, &mut cx);
        }
    }

    fn tell_all(&mut self, event: impl Fn() -> ChatInput, now: Instant, out: &mut Vec<Action>) {
        let (chats, _, mut cx) = self.context(now, out);
        for chat in chats {
            chat.handle(event(), &mut cx);
        }
    }

    fn elapsed(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.pager.elapsed(now);
        let (chats, _, mut cx) = self.context(now, out);
        for chat in chats {
            if chat
                .deadline(cx.settings)
                .is_some_and(|deadline| deadline <= now)
            {
                chat.handle(ChatInput::Elapsed, &mut cx);
            }
        }
    }

    /// Chats that turned out to have no MSRP go on by MESSAGE (CHAT-11).
    fn page_stranded(&mut self, now: Instant, out: &mut Vec<Action>) {
        let stranded = std::mem::take(&mut self.stranded);
        if stranded.is_empty() {
            return;
        }
        self.pager.remember_no_msrp(now + self.settings.memory);
        let (_, pager, mut cx) = self.context(now, out);
        for Stranded {
            written,
            thread,
            promise,
        } in stranded
        {
            pager.write(written, Some(&thread), promise, &mut cx);
        }
    }

    /// The parts, and what they may use of the rest.
    fn context<'a>(
        &'a mut self,
        now: Instant,
        out: &'a mut Vec<Action>,
    ) -> (&'a mut Vec<Chat>, &'a mut Pager, Context<'a>) {
        let cx = Context {
            now,
            clock: self.clock,
            settings: &self.settings,
            parties: &self.parties,
            ledger: &self.ledger,
            tokens: &mut self.tokens,
            out,
            stranded: &mut self.stranded,
        };
        (&mut self.chats, &mut self.pager, cx)
    }
}

/// Whether a thread can stand as Call-ID (RFC 3261 §25.1 `callid`, CHAT-03).
fn is_call_id(thread: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&byte)
            })
    };
    thread.len() <= 128
        && match thread.split_once('@') {
            Some((local, host)) => word(local) && word(host),
            None => word(thread),
        }
}

#[cfg(test)]
mod tests;
