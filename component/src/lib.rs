//! The gateway.

pub mod address;
pub mod xmpp;
pub mod config;
pub mod fault;
pub mod text;
pub mod check;
pub mod cli;
pub mod logging;
