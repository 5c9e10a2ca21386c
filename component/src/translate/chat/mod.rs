//! One-to-one chat over MSRP: one session, from the first message to its end (RFC 7573).
//!
//! ```text
//! opened by the XMPP user: Inviting ──► Binding ──► Open ──► Leaving ──► Draining ──► Over
//!                   Yielding ◄┴► Cancelling           ├────► Failing ───────▲
//! opened by the SIP user:  Offering ──► Binding       ├────► Parting ───────┘
//!                                                     ◄────► Renewing
//! ```
//!
//! Each state is a file. `Thread` is what stays true from the first state to the last.

mod binding;
mod deliveries;
mod ending;
mod inviting;
mod offering;
mod open;
mod receipts;
mod renewing;
mod transfers;

use std::collections::VecDeque;
use std::time::Instant;

use stox_msrp::is_composing::IsComposing;
use stox_msrp::{Incoming, Role};

use binding::Binding;
use ending::{Draining, Failing, Leaving, Parting};
use inviting::{Cancelling, Inviting, Yielding};
use offering::Offering;
use open::Open;
use renewing::Renewing;

use super::context::Context;
use super::event::{Action, ChatEvent, ChatId, Invitation, Mark, Reason, Settings, Token, Written};
use super::media::Media;
use super::stanza;
use super::typing::Typing;
use crate::address::Jid;
use crate::fault::{Condition, Fault};
use crate::translate::promise::{Promise, Ticket};
use crate::xmpp::{ChatState, Outgoing};

/// One session. Given every event of its own in turn; over when [`Chat::is_over`] says so.
#[derive(Debug)]
pub(super) struct Chat {
    thread: Thread,
    state: State,
}

/// What is true of a session in all its states.
#[derive(Debug)]
struct Thread {
    chat: ChatId,
    /// The session's own thread, then the aliases the XMPP user brought (CHAT-22).
    names: Vec<String>,
    /// Where the SIP user's messages go: the resource that wrote last, else the bare JID (CHAT-18).
    reply_to: Jid,
    /// The SIP user's device, which becomes the resource of what comes from there.
    device: Option<String>,
    opening: Opening,
    /// When it began.
    since: Instant,
    /// Last content message either way, else the beginning (CHAT-25).
    last_active: Instant,
    /// When the SIP user's side last used it, by opening it to begin with.
    used_by_peer: Option<Instant>,
    content: Content,
    typing: Typing,
    /// The MSRP connection it has, counted from 1; 0 before the first.
    leg: u32,
    /// When the SIP user's side was last asked to make a lost connection anew (MSRP-10).
    renewed: Option<Instant>,
}

/// Who opened the session, and whether the other has joined in (CHAT-22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Xmpp,
    Sip,
    SipAnswered,
}

/// Whether anything was said: who never heard of a session need not hear of its end (CHAT-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    None,
    Exchanged,
    /// The XMPP user was told that it is over, and is told no more.
    Ended,
}

#[derive(Debug)]
enum State {
    Inviting(Inviting),
    Offering(Offering),
    Binding(Binding),
    Open(Open),
    Renewing(Renewing),
    Cancelling(Cancelling),
    Yielding(Yielding),
    Leaving(Leaving),
    Failing(Failing),
    Parting(Parting),
    Draining(Draining),
    Over,
}

/// A message that waits for its session.
#[derive(Debug)]
struct Held {
    written: Written,
    promise: Promise,
}

/// What a session leaves to the one that takes its place (CHAT-27).
#[derive(Debug)]
pub(super) struct Yielded {
    names: Vec<String>,
    reply_to: Jid,
    held: VecDeque<Held>,
}

/// What the conversation has for one session, beside [`ChatEvent`].
#[derive(Debug)]
pub(super) enum Event {
    /// The XMPP user wrote.
    Written(Written, Promise),
    /// The XMPP user's client told a chat state without a message: any but `gone`.
    Stated(ChatState),
    /// The XMPP user left the conversation.
    Gone,
    /// The XMPP user's client got the message of that stanza id.
    Receipted(String, Mark),
    /// A stanza of this session's came back.
    Bounced(String, Fault),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// Something of the dialog or the MSRP connection.
    Peer(ChatEvent),
    /// The state's deadline has come.
    Elapsed,
    /// The gateway says goodbye.
    ShutDown,
}

impl Chat {
    /// The XMPP user's first message opens a session (CHAT-01).
    pub fn open(
        chat: ChatId,
        thread: String,
        written: Written,
        promise: Promise,
        cx: &mut Context<'_>,
    ) -> Chat {
        let mut typing = Typing::default();
        typing.wrote(written.chat_state);
        let thread = Thread {
            chat,
            names: vec![thread],
            reply_to: written.origin.from.clone(),
            device: written.origin.to.resource().map(str::to_owned),
            opening: Opening::Xmpp,
            since: cx.now,
            last_active: cx.now,
            used_by_peer: None,
            content: Content::None,
            typing,
            leg: 0,
            renewed: None,
        };
        let state = Inviting::begin(Held { written, promise }, &thread, cx);
        Chat { thread, state }
    }

    /// The SIP user's INVITE is accepted at once (CHAT-15).
    pub fn accept(
        chat: ChatId,
        invitation: Invitation,
        device: Option<String>,
        yielded: Option<Yielded>,
        cx: &mut Context<'_>,
    ) -> Chat {
        let mut names = vec![invitation.call_id];
        let (reply_to, opening, held) = match yielded {
            Some(yielded) => {
                names.extend(yielded.names);
                (yielded.reply_to, Opening::SipAnswered, yielded.held)
            }
            None => (invitation.to, Opening::Sip, VecDeque::new()),
        };
        let mut thread = Thread {
            chat,
            names,
            reply_to,
            device,
            opening,
            since: cx.now,
            last_active: cx.now,
            used_by_peer: Some(cx.now),
            content: Content::None,
            typing: Typing::default(),
            leg: 0,
            renewed: None,
        };
        let state = match invitation.offer {
            // Who is connected to must be there before the peer can know of it.
            Some(media) if media.role == Role::Passive => {
                let binding = Binding::begin(media, held, &mut thread, cx);
                cx.out.push(Action::Accept(chat));
                binding
            }
            Some(media) => {
                cx.out.push(Action::Accept(chat));
                Binding::begin(media, held, &mut thread, cx)
            }
            None => {
                cx.out.push(Action::Accept(chat));
                Offering::begin(held, cx)
            }
        };
        Chat { thread, state }
    }

    /// Withdraws an INVITE of ours that has no answer yet, for one of the peer's: what waited goes by that (CHAT-27).
    pub fn give_way(&mut self, cx: &mut Context<'_>) -> Option<Yielded> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Inviting(inviting) => {
                let (held, state) = inviting.give_way(&self.thread, cx);
                self.state = state;
                Some(Yielded {
                    names: self.thread.names.clone(),
                    reply_to: self.thread.reply_to.clone(),
                    held,
                })
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    /// One event in one state.
    pub fn handle(&mut self, event: Event, cx: &mut Context<'_>) {
        if let Event::Written(written, _) = &event {
            self.thread.reply_to = written.origin.from.clone();
            self.thread.typing.wrote(written.chat_state);
            if self.thread.opening == Opening::Sip {
                self.thread.opening = Opening::SipAnswered;
            }
        }
        let before = self.state.name();
        let thread = &mut self.thread;
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Inviting(state) => state.on(event, thread, cx),
            State::Offering(state) => state.on(event, thread, cx),
            State::Binding(state) => state.on(event, thread, cx),
            State::Open(state) => state.on(event, thread, cx),
            State::Renewing(state) => state.on(event, thread, cx),
            State::Cancelling(state) => state.on(event),
            State::Yielding(state) => state.on(event, thread, cx),
            State::Leaving(state) => state.on(event, thread, cx),
            State::Failing(state) => state.on(event, thread, cx),
            State::Parting(state) => state.on(event, thread, cx),
            State::Draining(state) => state.on(event, thread, cx),
            State::Over => State::Over,
        };
        let after = self.state.name();
        if before != after {
            tracing::debug!(
                chat = self.thread.chat.0,
                from = before,
                to = after,
                "chat session"
            );
        }
    }

    pub fn id(&self) -> ChatId {
        self.thread.chat
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// When [`Event::Elapsed`] is due.
    pub fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match &self.state {
            State::Inviting(state) => Some(state.until),
            State::Offering(state) => Some(state.until),
            State::Binding(state) => Some(state.until),
            State::Open(state) => {
                let idle = self.thread.last_active + settings.idle;
                let typing = self.thread.typing.deadline();
                let due = typing.into_iter().chain(state.transfers.deadline());
                due.chain([idle]).min()
            }
            State::Renewing(state) => Some(state.until),
            State::Cancelling(state) => Some(state.until),
            State::Yielding(state) => Some(state.until),
            State::Leaving(state) => Some(state.until),
            State::Failing(state) => Some(state.until),
            State::Parting(state) => Some(state.until),
            State::Draining(state) => state.deadline(),
            State::Over => None,
        }
    }

    /// Whether what the XMPP user writes now can go by this session.
    pub fn takes_messages(&self) -> bool {
        match self.state {
            State::Inviting(_)
            | State::Offering(_)
            | State::Binding(_)
            | State::Open(_)
            | State::Renewing(_) => true,
            State::Cancelling(_)
            | State::Yielding(_)
            | State::Leaving(_)
            | State::Failing(_)
            | State::Parting(_)
            | State::Draining(_)
            | State::Over => false,
        }
    }

    pub fn has_thread(&self, thread: &str) -> bool {
        self.thread.names.iter().any(|name| name == thread)
    }

    /// Takes the XMPP user's own thread as another name of this session, if it is one that the SIP user opened and
    /// the XMPP user has not answered yet (CHAT-22).
    pub fn adopt(&mut self, thread: &str) -> bool {
        let unanswered = self.thread.opening == Opening::Sip;
        if unanswered {
            self.thread.names.push(thread.to_owned());
        }
        unanswered
    }

    pub fn since(&self) -> Instant {
        self.thread.since
    }

    pub fn last_active(&self) -> Instant {
        self.thread.last_active
    }

    pub fn used_by_peer(&self) -> Option<Instant> {
        self.thread.used_by_peer
    }

    /// Where something that belongs to this session goes: the XMPP user's address, and the thread.
    pub fn reply_to(&self) -> (&Jid, &str) {
        (&self.thread.reply_to, self.thread.name())
    }

    /// A status message that came in the session's dialog.
    pub fn got_status(&mut self, status: &IsComposing, cx: &mut Context<'_>) {
        self.thread.got_status(status, cx);
    }

    /// Whether it wrote the stanza of that id, whose error then is its own.
    pub fn wrote(&self, id: &str) -> bool {
        match &self.state {
            State::Open(state) => state.transfers.wrote(id),
            State::Renewing(state) => state.transfers.wrote(id),
            State::Leaving(state) => state.transfers.wrote(id),
            State::Failing(state) => state.transfers.wrote(id),
            State::Parting(state) => state.transfers.wrote(id),
            State::Draining(state) => state.transfers.wrote(id),
            State::Inviting(_)
            | State::Offering(_)
            | State::Binding(_)
            | State::Cancelling(_)
            | State::Yielding(_)
            | State::Over => false,
        }
    }

    /// Gives back whatever has no fate yet, and ends.
    pub fn abandon(&mut self, cx: &mut Context<'_>) {
        let thread = &self.thread;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Inviting(state) => {
                cx.out.push(Action::Cancel(thread.chat));
                refuse_all(state.held, &unavailable());
            }
            State::Yielding(_) => cx.out.push(Action::Cancel(thread.chat)),
            State::Offering(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                refuse_all(state.held, &unavailable());
            }
            State::Binding(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                refuse_all(state.held, &unavailable());
            }
            State::Open(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                state.transfers.abandon();
            }
            State::Renewing(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                state.transfers.abandon();
            }
            State::Leaving(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                state.transfers.abandon();
            }
            State::Failing(state) => {
                thread.bye(Reason::ShuttingDown, cx);
                state.transfers.abandon();
            }
            State::Parting(state) => state.transfers.abandon(),
            State::Draining(state) => state.transfers.abandon(),
            State::Cancelling(_) | State::Over => {}
        }
    }
}

impl Thread {
    /// The name that the XMPP user knows the session by.
    fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// A content message crossed.
    fn touch(&mut self, now: Instant) {
        self.last_active = now;
        if self.content == Content::None {
            self.content = Content::Exchanged;
        }
    }

    /// Takes responsibility for a message of the SIP user's.
    fn promise_of(&self, incoming: &Incoming, cx: &Context<'_>) -> Promise {
        cx.ledger.promise(self.ticket_of(incoming))
    }

    fn ticket_of(&self, incoming: &Incoming) -> Ticket {
        Ticket::Send {
            chat: self.chat,
            leg: self.leg,
            incoming: incoming.id,
        }
    }

    /// The SIP user as the XMPP user sees them in this session.
    fn contact(&self, cx: &Context<'_>) -> Jid {
        cx.parties.romeo_device(self.device.as_deref())
    }

    fn got_status(&mut self, status: &IsComposing, cx: &mut Context<'_>) {
        if let Some(state) = self.typing.got_status(status, cx.now) {
            self.show(state, cx);
        }
    }

    /// Shows the XMPP user what the SIP user does; a stranger's doings are nobody's business (COMP-04).
    fn show(&self, state: ChatState, cx: &mut Context<'_>) {
        if self.content == Content::Exchanged {
            let message = stanza::state(&self.contact(cx), &self.reply_to, self.name(), state);
            cx.out.push(Action::Stanza(message, None));
        }
    }

    /// Tells the XMPP user that the session has ended, if they knew of it (CHAT-23).
    fn say_gone(&mut self, cx: &mut Context<'_>) {
        if self.content == Content::Exchanged {
            self.content = Content::Ended;
            let gone = Outgoing::gone(&self.contact(cx), &self.reply_to, self.name());
            cx.out.push(Action::Stanza(gone, None));
        }
    }

    /// Asks for a connection in place of the one before.
    fn open_msrp(&mut self, media: &Media, cx: &mut Context<'_>) {
        self.leg += 1;
        cx.out.push(Action::OpenMsrp {
            chat: self.chat,
            leg: self.leg,
            path: media.path.clone(),
            role: media.role,
        });
    }

    fn bye(&self, reason: Reason, cx: &mut Context<'_>) {
        cx.out.push(Action::Bye(self.chat, reason));
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            State::Inviting(_) => "inviting",
            State::Offering(_) => "offering",
            State::Binding(_) => "binding",
            State::Open(_) => "open",
            State::Renewing(_) => "renewing",
            State::Cancelling(_) => "cancelling",
            State::Yielding(_) => "yielding",
            State::Leaving(_) => "leaving",
            State::Failing(_) => "failing",
            State::Parting(_) => "parting",
            State::Draining(_) => "draining",
            State::Over => "over",
        }
    }
}

/// Adds to what waits, or gives back what does not fit (CHAT-08).
fn hold(held: &mut VecDeque<Held>, message: Held, settings: &Settings) {
    let bytes: usize = held.iter().map(|held| held.written.size()).sum();
    let fits = held.len() < settings.held
        && bytes.saturating_add(message.written.size()) <= settings.held_bytes;
    if fits {
        held.push_back(message);
    } else {
        message
            .promise
            .refused(Fault::new(Condition::ResourceConstraint));
    }
}

/// Gives back everything that waited.
fn refuse_all(held: VecDeque<Held>, fault: &Fault) {
    for message in held {
        message.promise.refused(fault.clone());
    }
}

/// Nobody is there to take messages any more.
fn unavailable() -> Fault {
    Fault::new(Condition::RecipientUnavailable)
}
