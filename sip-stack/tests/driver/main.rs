//! Drivers talk over real sockets on the loopback address.

#![cfg(feature = "tokio")]

mod connections;
mod life;
mod messages;
mod sessions;
mod stage;
mod tls;
