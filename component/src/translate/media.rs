//! What a peer's SDP comes to for a chat session.

use stox_msrp::{MsrpUri, Role};

/// The usable MSRP stream of an offer or answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The peer's path, nearest hop first.
    pub path: Vec<MsrpUri>,
    /// Our part in setting up the connection (RFC 6135).
    pub role: Role,
    /// How text must travel for this peer to take it.
    pub wrapping: Wrapping,
    /// The largest message the peer takes, in bytes of the whole MSRP body.
    pub max_size: Option<u64>,
    /// Whether it takes isComposing documents, wrapped as text is (COMP-02).
    pub takes_composing: bool,
    /// Whether it takes disposition notifications, which travel in CPIM (RCPT-11).
    pub takes_imdn: bool,
    /// Whether it takes messages at present.
    pub listening: Listening,
}

/// Whether a peer takes messages at present, as the direction in its description says (CHAT-32). RFC 4975 §8.9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// It does.
    #[default]
    Listens,
    /// Not before it says so: messages wait.
    OnHold,
}

/// How text travels to a peer (CHAT-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// As `text/plain`.
    Plain,
    /// As `text/plain` inside `message/cpim`.
    Cpim,
}

/// Why no chat session can be made of a peer's SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The SDP is missing or cannot be read.
    #[error("the SDP is missing or cannot be read")]
    Unreadable,
    /// No MSRP stream that can be used.
    #[error("the SDP has no MSRP stream that can be used")]
    NoMsrp,
    /// The peer takes no plain text, wrapped or not (MSRP-21).
    #[error("the peer takes no plain text")]
    NoText,
}
