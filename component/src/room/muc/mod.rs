//! A chat room of the SIP world, an MSRP switch with its conference focus, shown as a MUC to XMPP users. RFC 7702 §5.
//!
//! ```text
//! presence (join) ─► INVITE, ACK ─► MSRP ─► NICKNAME ─► SUBSCRIBE ─► NOTIFY ─► presences, subject
//! groupchat       ─► SEND, 200   ─► groupchat (reflected)
//!                    SEND        ─► groupchat
//! unavailable     ─► BYE         ─► unavailable
//! ```
//!
//! [`Room`] decides: [`Room::handle`] takes one [`Event`] and the time and appends [`Action`]s. Each XMPP user who takes
//! part has a dialog of their own with the focus (`member`), whose states are the way into the room (`joining`, `gathering`) and out of
//! it (`ending`). What the focus tells of others (`watching`) becomes occupants (`roster`, by the rules of `occupant`; `own` finds the user among them).
//! `speaking` is what users write, `hearing` what the switch sends (read once for all by `reading`; what comes back is
//! known by `echo`), `naming` changes of nickname, `invitations` both directions of those, `requests` the answers to iqs.
//!
//! `task` is the shell around it, with `actions` and `from_sip`.

mod actions;
mod echo;
mod ending;
mod event;
mod from_sip;
mod gathering;
mod hearing;
mod invitations;
mod joining;
mod member;
mod naming;
mod occupant;
mod own;
mod place;
mod presence;
mod reading;
mod requests;
mod room;
mod roster;
mod speaking;
mod task;
#[cfg(test)]
mod tests;
mod watching;

pub use event::{
    Action, ByeReason, DialogEnd, Event, Focus, FocusInvitation, FocusKind, MemberEvent, Place,
    ReferralEvent, ReferralId, RoomMedia, RoomWrapping, Settings, Ticket, User,
};
pub use presence::not_an_occupant;
pub use room::Room;
pub use task::begin;
