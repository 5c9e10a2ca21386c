//! What can happen to a conversation, and what it asks for. Events are past, actions imperative.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stox_msrp::{ByteRange, FailureReport, Incoming, IncomingId, LostCause, MsrpUri, Role};
use stox_sip::{Failure, ServerTransactionId, Uri};

use super::media::{Media, Unusable};
use crate::address::Jid;
use crate::body::Content;
use crate::config::ChatMode;
use crate::fault::Fault;
use crate::translate::promise::{Origin, Settlement};
use crate::xmpp::{ChatState, Outgoing};

/// One chat session within its conversation. Never reused while the conversation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId(pub u32);

/// One message under way, from the moment it leaves the core until its fate is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What a conversation needs to know of the configuration. All sizes in bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How chat messages reach SIP users.
    pub mode: ChatMode,
    /// A session without content is ended after this long (CHAT-25).
    pub idle: Duration,
    /// How long an INVITE may go without a final answer (CHAT-08).
    pub answer_wait: Duration,
    /// How long an accepted session may take to get its MSRP connection.
    pub bind_wait: Duration,
    /// How long the answer to a re-INVITE may take that makes a lost connection anew; if that is lost as soon again, the
    /// session is over (MSRP-10, T23).
    pub renew_wait: Duration,
    /// How long messages may wait for the peer's answer after a session has ended.
    pub drain_wait: Duration,
    /// How long the peer's last words may come in after its BYE, and further errors of the XMPP side after the first.
    pub linger: Duration,
    /// How long a MESSAGE waits for an error of the XMPP side before it is answered 200 (IM-05).
    pub error_wait: Duration,
    /// How long a peer without MSRP is remembered as such (CHAT-11), and an exchange of MESSAGEs as one (IM-19).
    pub memory: Duration,
    /// Sessions between the same two people at a time (CHAT-39, SEC-14).
    pub sessions: usize,
    /// Messages that may wait for one session (T23).
    pub held: usize,
    /// Their bodies together.
    pub held_bytes: usize,
    /// Messages of one session, in each direction, whose fate may be unknown at a time.
    pub window: usize,
    /// The largest body that fits a MESSAGE (RFC 3428 §8), allowing for its headers.
    pub page_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            mode: ChatMode::Auto,
            idle: Duration::from_secs(600),
            answer_wait: Duration::from_secs(180),
            bind_wait: Duration::from_secs(30),
            renew_wait: Duration::from_secs(30),
            drain_wait: Duration::from_secs(5),
            linger: Duration::from_millis(500),
            error_wait: Duration::from_millis(500),
            memory: Duration::from_secs(3600),
            sessions: 1000,
            held: 50,
            held_bytes: 64 * 1024,
            window: 1024,
            // 1300 bytes for the whole request, of which our headers with usual addresses take fewer than 600.
            page_bytes: 700,
        }
    }
}

/// A message with a body that the XMPP user wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// Who wrote to whom, and the id an error must carry.
    pub origin: Arc<Origin>,
    /// What kind of exchange it belongs to.
    pub kind: Kind,
    /// The text.
    pub body: String,
    /// `<subject/>` beside the body.
    pub subject: Option<String>,
    /// `xml:lang` of the body.
    pub lang: Option<String>,
    /// What it says of its writer beside the text.
    pub chat_state: Option<ChatState>,
    /// What of its fate the writer wants to hear of.
    pub wishes: Wishes,
    /// When it was written, if it was held on its way.
    pub sent: Option<SystemTime>,
}

/// What of a message's fate its XMPP writer wants to hear of. Only a message with an id may wish for anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// A receipt when it has arrived. XEP-0184.
    pub receipt: bool,
    /// A marker when it was shown. XEP-0333.
    pub display: bool,
}

/// What an XMPP client says of a message that it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It has arrived. XEP-0184, and `received` of XEP-0333.
    Received,
    /// The user has seen it. XEP-0333.
    Displayed,
}

impl Written {
    /// Bytes that it takes while it waits.
    pub fn size(&self) -> usize {
        let subject = self.subject.as_ref().map_or(0, String::len);
        let thread = self.origin.thread.as_ref().map_or(0, String::len);
        self.body.len() + subject + thread
    }
}

/// The two kinds of message that differ on the SIP side (T1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `type='chat'`: part of a session.
    Chat,
    /// `type='normal'`, none or `headline`: stands alone.
    Single,
}

/// A SIP MESSAGE for the XMPP user, its body already read.
#[derive(Clone, Debug)]
pub struct Paged {
    /// The transaction that waits for the answer.
    pub transaction: ServerTransactionId,
    /// Call-ID, which becomes the thread (T3).
    pub call_id: String,
    /// What it says. The request's Subject and Content-Language are those of a text that has none of its own.
    pub content: Content,
    /// The sender's address, device included.
    pub from: Uri,
    /// The session in whose dialog it came, if it came in one (IM-16).
    pub chat: Option<ChatId>,
}

/// An INVITE for the XMPP user.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Call-ID, which becomes the thread (CHAT-16).
    pub call_id: String,
    /// What the offer comes to; `None` where the INVITE carries no offer (CHAT-33).
    pub offer: Option<Media>,
    /// The caller's Contact or From, device included (CORE-10).
    pub from: Uri,
    /// Whom the Request-URI names: the XMPP user, or one device of theirs.
    pub to: Jid,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The XMPP user wrote a message with a body.
    Written(Written),
    /// The XMPP user's client told a chat state without a message, in that thread or in none.
    Stated {
        /// The thread it named.
        thread: Option<String>,
        /// What the user does; `gone` is the end of the conversation (CHAT-24).
        state: ChatState,
    },
    /// The XMPP user's client got a message.
    Receipted {
        /// The id of the stanza of ours.
        id: String,
        /// How.
        mark: Mark,
        /// When it said so, if that was held on its way (RCPT-15).
        sent: Option<SystemTime>,
    },
    /// A stanza of ours came back as an error.
    Bounced {
        /// The id of the stanza of ours.
        id: String,
        /// What the XMPP side said.
        fault: Fault,
    },
    /// The SIP user sent an INVITE. The id is the one [`Conversation::next_chat`](super::Conversation::next_chat) gave.
    Invited(ChatId, Invitation),
    /// Something happened to one session.
    Chat(ChatId, ChatEvent),
    /// The SIP user sent a MESSAGE.
    Paged(Paged),
    /// A MESSAGE of ours got its final answer.
    PageAnswered(Result<(), PageFault>),
    /// A dialog has had the Call-ID of a MESSAGE of ours already: that one went by another, and the rest of its thread
    /// does so too (CHAT-03).
    CallIdTaken {
        /// What was asked for.
        call_id: String,
        /// What took its place.
        instead: String,
    },
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// The time of [`Conversation::poll_timeout`](super::Conversation::poll_timeout) has come.
    Elapsed,
    /// The gateway says goodbye.
    ShutDown,
    /// The goodbye has taken too long: whatever has no fate yet goes back now.
    Abandon,
}

/// Why a MESSAGE of ours was not taken.
#[derive(Clone, Debug)]
pub enum PageFault {
    /// A final response of 300 or more.
    Rejected(Rejection),
    /// No final response.
    Failed(Failure),
}

/// A final response of 300 or more.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The status code.
    pub status: u16,
    /// The fault it stands for (T9).
    pub fault: Fault,
}

/// What happened to one session: its dialog first, then its MSRP connection.
#[derive(Debug)]
pub enum ChatEvent {
    /// 2xx to our INVITE, and what its SDP answer comes to.
    Answered {
        /// The answer, if a session can be made of it.
        media: Result<Media, Unusable>,
        /// The device that answered, if its Contact names one (CORE-10).
        device: Option<String>,
    },
    /// Final response of 300 or more to our INVITE.
    Rejected(Rejection),
    /// Our INVITE got no final response.
    Failed(Failure),
    /// The caller withdrew the INVITE.
    Cancelled,
    /// The caller's ACK; with its SDP answer where our 200 held the offer (CHAT-33).
    Acknowledged(Option<Result<Media, Unusable>>),
    /// The dialog is over: BYE, or the peer is gone.
    Ended,
    /// The peer changed the session by a re-INVITE or UPDATE, which is answered already: another path moves it to another
    /// connection, another direction holds or resumes it (CHAT-31, CHAT-32).
    Changed(Media),
    /// The peer took the MSRP stream out of the session (CHAT-31).
    StreamRemoved,
    /// 2xx to our re-INVITE with a fresh path, and what its answer comes to (MSRP-10).
    Renewed(Result<Media, Unusable>),
    /// That re-INVITE was refused or not answered.
    NotRenewed,
    /// The MSRP connection is up and bound.
    Bound,
    /// A complete MSRP message.
    Received(Incoming),
    /// The peer took the message.
    Accepted(Token),
    /// The peer refused the message with an MSRP status.
    Refused(Token, u16),
    /// The connection has no room for the message: it was not sent.
    Congested(Token),
    /// The connection was gone before the message could go by it: it goes by the next, if there is one (MSRP-10).
    Unsent(Token),
    /// The peer did not answer in time.
    Unanswered(Token),
    /// A REPORT with that status for a message of ours.
    Reported(Token, u16, ByteRange),
    /// The MSRP connection is gone or never came.
    Disconnected(LostCause),
}

/// What a conversation asks its shell to do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Send an INVITE with an MSRP offer (T4, T11).
    Invite {
        /// The session to be.
        chat: ChatId,
        /// Call-ID to use if no dialog has had it yet (CHAT-03); else, and for `None`, a fresh one.
        call_id: Option<String>,
        /// The thread, for XMPP-Thread.
        thread: String,
        /// Subject.
        subject: String,
        /// The XMPP user's device, for Contact.
        resource: Option<String>,
        /// The SIP user's device, where the XMPP user addressed one.
        device: Option<String>,
    },
    /// Acknowledge the 2xx.
    Ack(ChatId),
    /// Withdraw our INVITE.
    Cancel(ChatId),
    /// Withdraw our INVITE unless it is answered meanwhile: then the session is there (CHAT-27).
    Retract(ChatId),
    /// End the dialog.
    Bye(ChatId, Reason),
    /// Answer the caller's INVITE with 200 and an SDP answer, or an offer where there was none.
    Accept(ChatId),
    /// Answer the caller's INVITE with that status: no new session is taken.
    Decline(ChatId, u16),
    /// Take the MSRP session up: wait for the peer, or connect to it.
    OpenMsrp {
        /// The session.
        chat: ChatId,
        /// Which of its connections, counted from 1: it takes the place of the one before.
        leg: u32,
        /// The peer's path.
        path: Vec<MsrpUri>,
        /// Who connects.
        role: Role,
    },
    /// Send a re-INVITE that offers a fresh path, because the MSRP connection is gone (MSRP-10).
    Renew(ChatId),
    /// Send a message again that the peer had not confirmed when the connection before was lost, under the Message-ID it
    /// had if it was sent at all (MSRP-10).
    SendAgain {
        /// The session.
        chat: ChatId,
        /// As it was.
        token: Token,
    },
    /// Send one MSRP message.
    Send {
        /// The session.
        chat: ChatId,
        /// Comes back with its fate.
        token: Token,
        /// The id that the XMPP user gave it, wished for as transaction id (CHAT-13).
        transaction_id: Option<String>,
        /// Content-Type.
        content_type: &'static str,
        /// The body, wrapped in CPIM where the peer wants it.
        body: Bytes,
        /// Whether the peer is asked to report that it was shown.
        success_report: bool,
        /// What is to be heard of failures; with `No` the token comes back only with a REPORT.
        failure_report: FailureReport,
    },
    /// Answer a message of the SIP user's that is for the gateway alone, with that MSRP status.
    Respond {
        /// The session it came by.
        chat: ChatId,
        /// The message within the session.
        incoming: IncomingId,
        /// MSRP status.
        status: u16,
    },
    /// Answer a MESSAGE of the SIP user's that is for the gateway alone with 200.
    RespondPage(ServerTransactionId),
    /// Report to the sender of an MSRP message that it arrived (RCPT-04), or that it failed after its 200 (RCPT-10).
    Report {
        /// The session.
        chat: ChatId,
        /// Message-ID of the sender.
        message_id: String,
        /// Bytes of the message.
        length: usize,
        /// 200, or the MSRP status of the failure (T10).
        status: u16,
    },
    /// Forget the session: its MSRP connection and its dialog are of no more concern.
    Close(ChatId),
    /// Send a MESSAGE (T3). One at a time: the next one is asked for when this one was answered.
    Page(Box<Page>),
    /// Write a stanza; with a token, say when the server has taken it.
    Stanza(Outgoing, Option<Token>),
    /// A promise ended: tell the sender.
    Settle(Settlement),
}

/// A MESSAGE to be sent (T3, IM-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Call-ID.
    pub call_id: String,
    /// Who may have had it before.
    pub precedent: Precedent,
    /// From tag: one for all messages of a Call-ID.
    pub from_tag: String,
    /// Rises with each message of a Call-ID.
    pub cseq: u32,
    /// The XMPP user's device, for From (CORE-10).
    pub resource: Option<String>,
    /// The SIP user's device, where the XMPP user addressed one.
    pub device: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// Content-Language.
    pub lang: Option<String>,
    /// When it was written, if it was held on its way, for Date (IM-15).
    pub sent: Option<SystemTime>,
    /// Content-Type.
    pub content_type: &'static str,
    /// The text, or a document.
    pub body: String,
}

/// Who may have had the Call-ID of a MESSAGE before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedent {
    /// It is a thread, not used by MESSAGEs yet: any dialog, in which case another is to be taken (IM-09).
    Possible,
    /// Nobody but earlier MESSAGEs of its thread.
    Own,
}

/// Why the gateway ends a dialog, for the Reason header of its BYE (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The XMPP user left, or the session was idle: nothing is wrong.
    Left,
    /// The XMPP side does not take messages: the SIP status of its error (CHAT-37).
    Refused(u16),
    /// No MSRP session came about, or it broke.
    MediaLost,
    /// The gateway shuts down.
    ShuttingDown,
}
