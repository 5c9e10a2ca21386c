//! Where more than two meet: each chat room of one world is shown as a room of the other. RFC 7702.
//!
//! ```text
//! XMPP users ─► muc   ─► focus and switch of an MSRP room      (RFC 7702 §5)
//! SIP users  ─► focus ─► MUC                                   (RFC 7702 §6)
//! ```
//!
//! - [`muc`] makes an MSRP chat room a MUC; [`focus`] makes a MUC an MSRP chat room. In each, a core decides and the task
//!   around it does. One task owns a room and everybody who takes part in it through the gateway.
//! - [`directory`] knows which XMPP addresses are rooms, and where nobody has asked yet, whom to ask.
//! - [`nickname`] compares nicknames and makes them distinct.
//! - `input` is what arrives at either kind of room, `wires` the dialogs and MSRP sessions of its members.
//!
//! Which room an address is, is found in the [registry](crate::registry) by the address that XMPP knows the room under.

pub mod directory;
pub mod focus;
mod input;
pub mod muc;
pub mod nickname;
mod wires;

pub use input::{Door, Input, Leg, MemberId, Token};
pub use wires::{MemberInbox, Wire, Wires};
