//! The translators: pure cores that turn what one side did into what the other side is to see.
//!
//! A [`Conversation`] is everything between one XMPP user and one SIP user: their chat sessions (`chat`) and the
//! messages that travel without one (`pager`). It never waits and never looks at a clock: [`Conversation::handle`]
//! takes one [`Event`] and the time and appends [`Action`]s; [`Conversation::poll_timeout`] says when
//! [`Event::Elapsed`] is due.

mod chat;
mod context;
mod event;
mod lane;
mod media;
mod notices;
mod pager;
mod party;
pub mod promise;
mod stanza;
mod typing;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chat::{Chat, Event as ChatInput};
pub use context::Clock;
pub(crate) use context::Tokens;
use context::{Context, StanzaIds, Stranded};
pub use event::{
    Action, ChatEvent, ChatId, Event, Invitation, Kind, Mark, Page, PageFault, Paged, Precedent,
    Reason, Rejection, Settings, Token, Wishes, Written,
};
pub use media::{Listening, Media, Unusable, Wrapping};
use pager::Pager;
pub use party::Parties;

use crate::address::{Aor, device_of};
use crate::body::Content;
use crate::config::ChatMode;
use crate::fault::{Condition, Fault};
use crate::xmpp::ChatState;
use promise::{Ledger, Promise, Ticket};
use tracing::debug;

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
    stanza_ids: StanzaIds,
    /// Until when what the threads stand for is worth remembering. Only what the XMPP user wrote and the SIP side took
    /// makes it so: neither strangers nor messages to nobody can fill the memory.
    remembered_until: Option<Instant>,
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
            stanza_ids: StanzaIds::default(),
            remembered_until: None,
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
            Event::Stated { thread, state } => self.stated(thread.as_deref(), state, now, out),
            Event::Receipted { id, mark, sent } => self.receipted(&id, mark, sent, now, out),
            Event::Bounced { id, fault } => self.bounced(&id, &fault, now, out),
            Event::Invited(chat, invitation) => self.invited(chat, invitation, now, out),
            Event::Chat(chat, event) => {
                if matches!(event, ChatEvent::Bound) {
                    self.remembered_until = Some(now + LINGER);
                }
                self.tell_chat(chat, ChatInput::Peer(event), now, out);
            }
            Event::Paged(paged) => self.paged(paged, now, out),
            Event::PageAnswered(answer) => {
                if answer.is_ok() {
                    self.remembered_until = Some(now + LINGER);
                }
                self.pager.answered(answer, out);
            }
            Event::CallIdTaken { call_id, instead } => self.pager.rename(&call_id, instead),
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
            Event::Abandon => self.abandon(now, out),
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
            .chain(self.remembered_until.filter(|_| self.is_quiet()))
            .min()
    }

    /// Nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.chats.is_empty() && !self.pager.is_busy()
    }

    /// Nothing is under way and nothing is worth remembering.
    pub fn is_over(&self, now: Instant) -> bool {
        let worth_keeping = match self.service {
            Service::ShuttingDown => false,
            Service::Running => self.remembered_until.is_some_and(|until| now < until),
        };
        self.is_quiet() && !worth_keeping
    }
}

/// What the XMPP user does.
impl Conversation {
    fn written(&mut self, written: Written, now: Instant, out: &mut Vec<Action>) {
        self.parties.romeo = written.origin.to.bare().into_jid();
        let promise = self
            .ledger
            .promise(Ticket::Stanza(Arc::clone(&written.origin)));
        if self.service == Service::ShuttingDown {
            return promise.refused(Fault::new(Condition::RecipientUnavailable));
        }
        let session = match written.kind {
            Kind::Chat => self.chat_for(&written),
            Kind::Single => None,
        };
        if let Some(at) = session {
            let (chats, _, mut cx) = self.context(now, out);
            if let Some(chat) = chats.get_mut(at) {
                chat.handle(ChatInput::Written(written, promise), &mut cx);
            }
        } else if self.goes_by_page(&written, now) {
            self.page(written, promise, now, out);
        } else if self.chats.len() >= self.settings.sessions {
            promise.refused(Fault::new(Condition::ResourceConstraint));
        } else {
            let chat = self.next_chat();
            let thread = match &written.origin.thread {
                Some(thread) => thread.clone(),
                None => self.tokens.text(),
            };
            let (chats, _, mut cx) = self.context(now, out);
            let opened = Chat::open(chat, thread, written, promise, &mut cx);
            // Most conversations never have a second one.
            chats.reserve_exact(1);
            chats.push(opened);
        }
    }

    fn page(&mut self, written: Written, promise: Promise, now: Instant, out: &mut Vec<Action>) {
        let thread = match (written.kind, &written.origin.thread) {
            (Kind::Single, _) => None,
            (Kind::Chat, Some(thread)) => Some(thread.clone()),
            (Kind::Chat, None) => {
                let under_way = self.pager.exchange_thread(now);
                Some(under_way.unwrap_or_else(|| self.tokens.text()))
            }
        };
        let (_, pager, mut cx) = self.context(now, out);
        pager.write(written, thread.as_deref(), promise, &mut cx);
    }

    /// Whether the message travels by MESSAGE (IM-01, IM-10, CHAT-11).
    fn goes_by_page(&self, written: &Written, now: Instant) -> bool {
        match (self.settings.mode, written.kind) {
            (ChatMode::Message, _) => true,
            (ChatMode::Msrp, _) => false,
            (ChatMode::Auto, Kind::Chat) => self.pager.lacks_msrp(now),
            (ChatMode::Auto, Kind::Single) => {
                self.pager.lacks_msrp(now) || pager::fits(written, &self.parties, &self.settings)
            }
        }
    }

    /// The session that the message belongs to (CHAT-20 to CHAT-22).
    fn chat_for(&mut self, written: &Written) -> Option<usize> {
        let open = |chat: &Chat| chat.takes_messages();
        match &written.origin.thread {
            None => {
                let latest = self.chats.iter().enumerate().filter(|(_, chat)| open(chat));
                latest
                    .max_by_key(|(_, chat)| chat.last_active())
                    .map(|(at, _)| at)
            }
            Some(thread) => {
                // Of several, the one that the SIP user's side used last (CHAT-27).
                let known = self.chats.iter().enumerate();
                let known = known.filter(|(_, chat)| open(chat) && chat.has_thread(thread));
                let known = known.max_by_key(|(_, chat)| chat.used_by_peer());
                let known = known.map(|(at, _)| at);
                known.or_else(|| match self.chats.as_mut_slice() {
                    [only] => (open(only) && only.adopt(thread)).then_some(0),
                    _ => None,
                })
            }
        }
    }

    /// A chat state is for the session of its thread, or for the only one there is. It opens none (COMP-07, CHAT-24).
    fn stated(
        &mut self,
        thread: Option<&str>,
        state: ChatState,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (chats, pager, mut cx) = self.context(now, out);
        if let (Some(thread), ChatState::Gone) = (thread, state) {
            // Both sessions of two that have crossed (CHAT-27).
            let open = chats.iter_mut().filter(|chat| !chat.is_over());
            for chat in open.filter(|chat| chat.has_thread(thread)) {
                chat.handle(ChatInput::Gone, &mut cx);
            }
            return pager.stated(Some(thread), state, &mut cx);
        }
        let mut open = chats.iter_mut().filter(|chat| chat.takes_messages());
        let chat = match thread {
            Some(thread) => open.find(|chat| chat.has_thread(thread)),
            None => match (open.next(), open.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            },
        };
        match (chat, state) {
            (Some(chat), ChatState::Gone) => chat.handle(ChatInput::Gone, &mut cx),
            (Some(chat), state) => chat.handle(ChatInput::Stated(state), &mut cx),
            (None, state) => pager.stated(thread, state, &mut cx),
        }
    }

    fn receipted(
        &mut self,
        id: &str,
        mark: Mark,
        sent: Option<SystemTime>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (chats, pager, mut cx) = self.context(now, out);
        pager.receipted(id, mark, &mut cx);
        if let Some(chat) = chats.iter_mut().find(|chat| chat.wrote(id)) {
            // What an archive plays back was heard when it was said (RCPT-15).
            let is_news = sent.is_none_or(|sent| sent >= cx.clock.time(chat.since()));
            if is_news {
                chat.handle(ChatInput::Receipted(id.to_owned(), mark), &mut cx);
            }
        }
    }

    fn bounced(&mut self, id: &str, fault: &Fault, now: Instant, out: &mut Vec<Action>) {
        let (chats, pager, mut cx) = self.context(now, out);
        if pager.bounced(id, fault, &mut cx) {
            return;
        }
        match chats.iter_mut().find(|chat| chat.wrote(id)) {
            Some(chat) => chat.handle(ChatInput::Bounced(id.to_owned(), fault.clone()), &mut cx),
            None => debug!(id, %fault, "an error came for a message that was answered long ago"),
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
        let refusal = if self.service == Service::ShuttingDown {
            Some(503)
        } else {
            (self.chats.len() >= self.settings.sessions).then_some(486)
        };
        if let Some(status) = refusal {
            return out.extend([Action::Decline(chat, status), Action::Close(chat)]);
        }
        self.pager.has_msrp();
        let device = self.meet(&invitation.from);
        let (chats, _, mut cx) = self.context(now, out);
        // Both have called each other: one session will do, and ours is not answered yet (CHAT-27).
        let yielded = chats.iter_mut().find_map(|chat| chat.give_way(&mut cx));
        let accepted = Chat::accept(chat, invitation, device, yielded, &mut cx);
        chats.push(accepted);
    }

    fn paged(&mut self, paged: Paged, now: Instant, out: &mut Vec<Action>) {
        let device = self.meet(&paged.from);
        let contact = self.parties.romeo_device(device.as_deref());
        let (chats, pager, mut cx) = self.context(now, out);
        let session = paged
            .chat
            .and_then(|id| chats.iter_mut().find(|chat| chat.id() == id));
        match (paged.content, session) {
            (Content::Text(text), session) => {
                let session = session.as_deref().map(Chat::reply_to);
                let (transaction, call_id) = (paged.transaction, paged.call_id);
                pager.receive(transaction, call_id, text, session, &contact, &mut cx);
            }
            (Content::Imdn(_), _) => cx.out.push(Action::RespondPage(paged.transaction)),
            (Content::Composing(status), session) => {
                match session {
                    Some(chat) => chat.got_status(&status, &mut cx),
                    None => pager.got_status(&status, &contact, &mut cx),
                }
                cx.out.push(Action::RespondPage(paged.transaction));
            }
        }
    }

    /// Notes how the SIP user is spelt (CORE-06); the device is returned (CORE-08).
    fn meet(&mut self, uri: &stox_sip::Uri) -> Option<String> {
        let known = &self.parties.romeo_uri;
        let is_known = (known.user(), known.host()) == (uri.user(), uri.host());
        if !is_known && let Ok(aor) = Aor::of(uri) {
            self.parties.romeo_uri = aor.uri();
        }
        device_of(uri)
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
        let (chats, pager, mut cx) = self.context(now, out);
        pager.elapsed(&mut cx);
        for chat in chats {
            if chat
                .deadline(cx.settings)
                .is_some_and(|deadline| deadline <= now)
            {
                chat.handle(ChatInput::Elapsed, &mut cx);
            }
        }
    }

    fn abandon(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.service = Service::ShuttingDown;
        let (chats, pager, mut cx) = self.context(now, out);
        for chat in chats {
            chat.abandon(&mut cx);
        }
        pager.abandon();
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
            stanza_ids: &mut self.stanza_ids,
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
