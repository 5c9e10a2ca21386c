//! MSRP: the sessions in which SIP's instant messages travel.
//!
//! From the wire upwards: [`codec`] cuts a byte stream into requests and responses and writes them; [`assembly`] puts
//! the chunks of a message together; [`session`] is the state machine of one MSRP session and decides every answer;
//! [`uri`] names sessions. Beside them, what goes into a session's offer ([`sdp`]), what goes into its messages
//! ([`cpim`]) and which types may go there ([`content`]). None of these does any I/O or looks at a clock.
//!
//! [`node`] (feature `tokio`) is the shell: listeners, connections, and the way from a connection to its sessions.
//!
//! RFC 4975 (MSRP), RFC 7701 §7 (nicknames in chat rooms), RFC 6135 (who connects), RFC 3862 (CPIM).

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod assembly;
mod byte_range;
pub mod codec;
pub mod content;
pub mod cpim;
mod event;
mod history;
mod ident;
pub mod imdn;
pub mod is_composing;
mod limits;
mod nickname;
#[cfg(feature = "tokio")]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "counts of our own; lengths from the network are checked before"
)]
pub mod node;
pub mod sdp;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "counts of our own; lengths from the network are checked before"
)]
pub mod session;
pub mod uri;
mod xml;

pub use byte_range::ByteRange;
pub use event::{
    FailureReport, Incoming, IncomingId, LongMessages, LostCause, NicknameRequest, Nicknames,
    Outgoing, OutgoingStream, Report, Role, SendError, SessionConfig, SessionEvent, SessionOptions,
    StreamBegan, StreamEnd, StreamError, Unconfirmed,
};
pub use history::{Histories, History};
pub use ident::Ident;
pub use limits::Limits;
pub use nickname::{Nickname, NicknameError, NicknameForm};
pub use uri::MsrpUri;
pub use xml::XmlError;
