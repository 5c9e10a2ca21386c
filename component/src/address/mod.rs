//! Addresses of both worlds, and how they name each other.

mod jid;

pub use jid::{BareJid, Jid, JidError, MAX_PART, Part};
