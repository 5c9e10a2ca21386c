//! The gateway.

pub mod address;
