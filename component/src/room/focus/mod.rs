//! A MUC shown as an MSRP chat room: the gateway is its focus and its switch. RFC 7701, RFC 7702 §6, XEP-0045.
//!
//! ```text
//! INVITE ─► 200 (isfocus) ─► NICKNAME, SUBSCRIBE, SEND or time ─► join ─► presences, 110 ─► NICKNAME 200, NOTIFY
//! SEND ─► groupchat ─► its reflection ─► 200          groupchat of others ─► one CPIM document ─► SEND to each
//! ```
//!
//! [`Room`] is the core; it takes [`Event`]s and the time and asks for [`Action`]s. Each SIP user is a `member`, with its
//! dialog and its own place in the MUC: `joining` gets it there, `public` is what it writes, `outbox` what waits for it,
//! `endings` how it leaves, `upkeep` whether the MUC still knows it. `presence` and `stanzas` are what the MUC says;
//! `roster` remembers who is there, `subscriptions` tells of it, `delivery` makes documents of what is said, and
//! `invitations` calls others.
//!
//! `task` is the shell around a room; `from_sip`, `actions` and `changing` belong to it, and `sdp` reads and writes the
//! descriptions (T12).

mod actions;
mod changing;
mod delivery;
mod endings;
mod event;
mod from_sip;
mod invitations;
mod joining;
mod member;
mod outbox;
mod presence;
mod public;
mod room;
mod roster;
mod sdp;
mod site;
mod stanzas;
mod subscriptions;
mod task;
mod upkeep;

pub use event::{
    Action, Event, Farewell, Invitation, Media, MemberEvent, Settings, Summons, Unusable,
};
pub use room::Room;
pub use task::begin;

#[cfg(test)]
mod tests;
