//! The gateway.

pub mod address;
pub mod xmpp;
