//! What passes between a session and its owner.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use thiserror::Error;

use crate::{ByteRange, History, Ident, MsrpUri, Nickname, sdp::Fingerprint};

/// Who opens the connection. RFC 6135 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Connects to the first URI of the peer's path and sends at once.
    Active,
    /// Waits for the peer's connection.
    Passive,
}

/// What an offer and its answer agreed on for one session.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Our own URI, made by `Node::mint` or [`MsrpUri::mint`] and given in our `a=path`.
    pub local: MsrpUri,
    /// The peer's `a=path`, in its order: the first is connected to, the last is the peer.
    pub remote: Vec<MsrpUri>,
    /// Who connects.
    pub role: Role,
    /// Bytes of the biggest message taken; bigger ones are refused with 413.
    pub max_size: u64,
    /// From the peer's description: over TLS it must show the certificate with this fingerprint. `None`: one for its
    /// host's name.
    pub fingerprint: Option<Fingerprint>,
    /// What this session does beyond whole messages both ways.
    pub options: SessionOptions,
}

/// What a session does beyond whole messages both ways; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// What becomes of the peer's NICKNAME requests.
    pub nicknames: Nicknames,
    /// How the owner gets messages that are not there at once.
    pub long_messages: LongMessages,
    /// What the peer has got through before; by default nothing.
    pub history: History,
    /// After so long without a request of either side the session sends one without content, so that a peer that has gone is
    /// noticed and nobody in between forgets the connection. By default it does not (MSRP-26).
    pub keep_alive: Option<Duration>,
    /// Which addresses the peer's path may lead to; by default all.
    pub admitted: Admitted,
}

/// Which addresses a session may connect to, whatever names lead there (SEC-11). By default all of them.
#[derive(Clone, Default)]
pub struct Admitted(Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>);

impl Admitted {
    /// Those of which `is_admitted` says so.
    pub fn only(is_admitted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Admitted {
        Admitted(Some(Arc::new(is_admitted)))
    }

    /// Whether the session may connect there.
    pub fn admits(&self, address: IpAddr) -> bool {
        let Admitted(is_admitted) = self;
        is_admitted
            .as_ref()
            .is_none_or(|is_admitted| is_admitted(address))
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "some" } else { "all" })
    }
}

/// How a session's owner gets messages of which not all is there at once: those in several chunks or with a long body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongMessages {
    /// Put together, up to the session's `max_size`.
    #[default]
    Whole,
    /// Piece by piece, as they come, in order (MSRP-18).
    InPieces {
        /// Bytes of the longest; bigger ones are refused with 413.
        max_size: u64,
    },
}

/// Whether a session's owner takes nicknames, as it said in its `a=chatroom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nicknames {
    /// NICKNAME is answered 501.
    #[default]
    Unknown,
    /// The owner gets quoted ones, which is the RFC's form; others are answered 424.
    Quoted,
    /// The owner also gets those without quotes, which the most used client sends.
    QuotedOrBare,
}

/// A complete message waiting for its final response; unique within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingId(pub(crate) u64);

impl IncomingId {
    /// An id with that number. Only a session hands out ids that it knows; this is for tests of who uses one.
    pub fn from_number(number: u64) -> IncomingId {
        IncomingId(number)
    }
}

/// The answers a sender wants to hear about failures. RFC 4975 §7.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureReport {
    /// Every response; silence for 30 s counts as failure. The default of the protocol.
    #[default]
    Yes,
    /// Only responses that refuse.
    Partial,
    /// Nothing at all.
    No,
}

/// One complete message from the peer, its chunks put together.
#[derive(Debug)]
pub struct Incoming {
    /// For [`respond`](crate::session::SessionCore::respond).
    pub id: IncomingId,
    /// Names the message in reports about it.
    pub message_id: String,
    /// Of the chunk that completed the message.
    pub transaction_id: String,
    /// As written by the sender, parameters included.
    pub content_type: Option<String>,
    /// The whole body. That of a message in one chunk shares the connection's read buffer.
    pub body: Bytes,
    /// The sender asks for a success REPORT.
    pub success_report: bool,
    /// What the sender wants to hear of failures. The session itself heeds it in responses.
    pub failure_report: FailureReport,
}

/// A message that comes in piece by piece.
#[derive(Debug, Clone)]
pub struct StreamBegan {
    /// Names it in its pieces. For [`respond`](crate::session::SessionCore::respond): when it has ended completely, and
    /// before that to refuse the rest.
    pub id: IncomingId,
    /// Names the message in reports about it.
    pub message_id: String,
    /// As written by the sender, parameters included.
    pub content_type: Option<String>,
    /// Bytes of the whole message, as far as its sender says.
    pub total: Option<u64>,
    /// The sender asks for a success REPORT.
    pub success_report: bool,
    /// What the sender wants to hear of failures. The session itself heeds it in responses.
    pub failure_report: FailureReport,
}

/// How a message that came in piece by piece has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// With its last byte; its response is held until the owner answers.
    Complete,
    /// The sender gave it up.
    Aborted,
    /// It was bigger, or came less in order, than is allowed; it is refused.
    TooBig,
    /// Its next chunk did not come in time.
    GivenUp,
    /// The owner did not take its pieces in time; it is refused.
    NotTaken,
    /// Its session is over.
    SessionLost,
}

/// The peer wants to be called something; answered as messages are: 200, 403 (no nicknames here), 425 (taken).
/// Without Failure-Report, so that every answer is sent. RFC 7701 §7.1.
#[derive(Debug)]
pub struct NicknameRequest {
    /// For [`respond`](crate::session::SessionCore::respond).
    pub id: IncomingId,
    /// Well-formed; perhaps empty, see [`Nickname::is_removal`].
    pub nickname: Nickname,
}

/// The outcome of something the owner asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The connection is up and the session is bound to it: messages can be sent.
    /// Active: our bodiless SEND was answered. Passive: the first valid request came.
    Bound,
    /// Every chunk of the message was answered 200, or the nickname was. Comes only for `FailureReport::Yes`.
    Accepted {
        /// The owner's name for it.
        token: u64,
    },
    /// A chunk was answered with something else, and the rest of the message is not sent; or the nickname was.
    /// Comes for `FailureReport::Yes` and `Partial`.
    Refused {
        /// The owner's name for it.
        token: u64,
        /// MSRP status, 300 and above.
        status: u16,
    },
    /// No response within 30 s after the last byte of a chunk, or of the nickname, was written. Comes only for `FailureReport::Yes`.
    Unanswered {
        /// The owner's name for it.
        token: u64,
    },
    /// A REPORT about a message we sent. Several may come for one message.
    Reported {
        /// The owner's name for it.
        token: u64,
        /// MSRP status from its `Status` header.
        status: u16,
        /// The bytes it is about; [`ByteRange::WHOLE`] if it does not say.
        range: ByteRange,
    },
    /// The session has failed. Comes once; nothing comes after it.
    Lost {
        /// Why.
        cause: LostCause,
    },
}

/// Why a session has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LostCause {
    /// The peer's host name has no address.
    #[error("the peer's host has no address")]
    NoAddress,
    /// None of the peer's addresses took the connection.
    #[error("no connection to the peer")]
    Unreachable,
    /// The peer has not shown the certificate it should have (SEC-07).
    #[error("the peer's certificate is not the one that was expected")]
    Untrusted,
    /// The peer's path asks for something this node does not do (another transport, or TLS where it is not set up).
    #[error("the peer's path cannot be used")]
    UnusablePath,
    /// The peer's path leads to addresses of which none is admitted (SEC-11).
    #[error("the peer's path leads where this peer may not lead")]
    NotAdmitted,
    /// Passive, and nobody connected in time.
    #[error("the peer did not connect in time")]
    NobodyCame,
    /// Active, and the peer refused the binding request.
    #[error("the peer refused the session with {status}")]
    BindRefused {
        /// MSRP status, 300 and above.
        status: u16,
    },
    /// Active, and the binding request was not answered in time.
    #[error("the peer did not answer the binding request")]
    BindUnanswered,
    /// The peer does not know the session any more (481), or has it on another connection (506).
    #[error("the peer disowned the session with {status}")]
    Disowned {
        /// MSRP status, 481 or 506.
        status: u16,
    },
    /// Three requests in a row were not answered in time (T10).
    #[error("the peer does not answer any more")]
    Unresponsive,
    /// The peer ended the connection, or it broke.
    #[error("the connection ended")]
    ConnectionEnded,
    /// The peer has not read for too long (MSRP-25).
    #[error("the peer stopped reading")]
    Stalled,
    /// The peer sent something that is not MSRP.
    #[error("the peer sent something that is not MSRP")]
    Garbage,
    /// This node was closed.
    #[error("the node was closed")]
    Closed,
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The owner's name for it in events; distinct among the session's messages under way.
    pub token: u64,
    /// Used for its first chunk if it is a legal `ident` (4 to 32 characters), not in use on the connection and not in
    /// the body; else a random one is (CHAT-13).
    pub transaction_id: Option<String>,
    /// Media type with parameters; no control characters.
    pub content_type: String,
    /// The whole body.
    pub body: Bytes,
    /// Ask for success REPORTs.
    pub success_report: bool,
    /// What to be told of failures.
    pub failure_report: FailureReport,
}

/// A message to send whose body comes in pieces.
#[derive(Debug, Clone)]
pub struct OutgoingStream {
    /// The owner's name for it in events; distinct among the session's messages under way.
    pub token: u64,
    /// Media type with parameters; no control characters.
    pub content_type: String,
    /// Bytes of the whole, if that is known.
    pub total: Option<u64>,
    /// Ask for success REPORTs.
    pub success_report: bool,
    /// What to be told of failures.
    pub failure_report: FailureReport,
}

/// A message that the peer had not confirmed when its session was lost. May be sent again in a later session with the
/// same peer, which then does not show it twice. RFC 4975 §5.4.
#[derive(Debug, Clone)]
pub struct Unconfirmed {
    /// The id it had.
    pub message_id: Ident,
    /// What was to be sent.
    pub outgoing: Outgoing,
}

/// No more of a message is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StreamError {
    /// It was refused, cancelled or not answered, or its session has ended.
    #[error("the message has ended")]
    Ended,
    /// It is longer or shorter than was said; what the peer has of it is taken back.
    #[error("the message is not as long as was said")]
    WrongLength,
}

/// A REPORT to send about a message received earlier. RFC 4975 §7.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// From the [`Incoming`] it is about.
    pub message_id: String,
    /// The bytes it is about: `ByteRange::of(body.len())` for the whole message.
    pub range: ByteRange,
    /// 200, or the failure.
    pub status: u16,
}

/// A message was not taken for sending; nothing of it will be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// Too much waits already: bytes to be written to the connection, or messages without an answer.
    #[error("the session's outbound queue is full")]
    Full,
    /// [`SessionEvent::Bound`] has not come yet.
    #[error("the session is not bound to a connection yet")]
    NotBound,
    /// The session has ended.
    #[error("the session has ended")]
    Closed,
    /// The content type is empty or holds control characters (SEC-09).
    #[error("the content type cannot be written in a header")]
    BadContentType,
    /// The peer has refused this media type with 415 in this session (MSRP-20).
    #[error("the peer does not take this media type")]
    RefusedType,
}

/// A message that was not taken for sending, given back as it was: a later session may take it (MSRP-10).
#[derive(Debug, Clone, Error)]
#[error("{why}")]
pub struct Unsent<M> {
    /// Why not.
    pub why: SendError,
    /// The message.
    pub message: Box<M>,
}

impl<M> Unsent<M> {
    pub(crate) fn new(why: SendError, message: M) -> Unsent<M> {
        Unsent {
            why,
            message: Box::new(message),
        }
    }
}
