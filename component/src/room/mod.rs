//! Where more than two meet: each chat room of one world is shown as a room of the other.
//!
//! One task owns a room and everybody who takes part in it through the gateway. Which room an address is, is found in
//! the [registry](crate::registry) by the address that XMPP knows the room under.

pub mod directory;
pub mod focus;
mod input;
pub mod muc;
pub mod nickname;
mod wires;

pub use input::{Door, Input, Leg, MemberId, Token};
pub use wires::{MemberInbox, Wire, Wires};
