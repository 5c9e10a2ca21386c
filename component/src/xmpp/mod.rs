//! The link to the XMPP server: a component stream that comes back by itself. XEP-0114, DISCO-01.
//!
//! ```text
//! socket ─► framing ─► read ─► iq (answers) ─► Handler
//! socket ◄─ outbox  ◄─ write ◄─────────────── Link::send
//! ```
//!
//! - `login` opens the stream and says which of the possible refusals happened; `backoff` tells when to try again.
//! - `framing` cuts the bytes into stanzas and leaves out what is too deep or too large; `read` makes types of them
//!   (`plain` of the many simple messages, with the addresses that are `known`; `payload` of what has no type), or a `refusal`. Nothing a server lets through ends the link.
//! - `muc` is what stanzas say about rooms.
//! - `iq` answers requests to the gateway and its addresses, a file per extension.
//! - `outbox` keeps what waits, and says what the server has provably taken.
//! - `link` is the handle, `task` the shell around all of them: with `trial`, the only files with sockets and timers.

mod backoff;
mod framing;
mod iq;
mod known;
mod link;
mod login;
mod muc;
mod ns;
mod outbox;
mod outgoing;
mod payload;
mod plain;
mod read;
mod refusal;
mod stanza;
mod task;
mod trial;
mod write;

pub use iq::{
    RoomView, answer_of_room, answer_of_somebody, answer_of_unentered_room, answer_of_user,
    asks_what_it_is, is_ping,
};
pub use link::{Confirmation, Handler, Link, LinkConfig, LinkEvent, spawn};
pub use muc::{
    Affiliation, DirectInvite, History, Join, MucDecline, MucDestroy, MucInvite, MucItem, MucUser,
    Role,
};
pub use outbox::{LinkRefused, OutboxLimits};
pub use outgoing::{Outgoing, OutgoingIq, OutgoingMessage, OutgoingPresence, Request};
pub use read::reread;
pub use stanza::{
    ChatState, Delay, Hints, Iq, IqType, Marker, Message, MessageType, Payload, Presence,
    PresenceType, Receipt, Show, Stanza, StanzaError, Text, Thread,
};
pub use trial::{LoginRefused, try_login};
pub use write::rendered;

/// The stanza as it is written, for tests.
#[cfg(test)]
pub(crate) fn written(stanza: &Outgoing, domain: &str) -> String {
    String::from_utf8_lossy(&rendered(stanza, domain)).into_owned()
}
