//! stox, the gateway between an XMPP server and the SIP world, as a library for its own program and tests.
//!
//! ```text
//! xmpp (link) ─────┐                                         ┌─► xmpp (link)
//! SIP driver ──────┼─► route ──► registry ──► conversation ──┼─► SIP driver
//! MSRP connection ─┘    key       its door     owns one      └─► MSRP connection
//!                                              translate::Conversation
//! ```
//!
//! - [`translate`] decides: what one side did becomes what the other side is to see. No I/O, no clock.
//! - [`conversation`] is the task around one of those, [`mailbox`] its door; [`registry`] holds the doors; [`route`] finds
//!   the right one.
//! - [`room`] is where more than two meet: an MSRP chat room as a MUC, and a MUC as an MSRP chat room.
//! - [`xmpp`] is the link to the server; [`sip`] reads and writes SIP messages and SDP in the core's terms.
//! - `from_xmpp` says what a message of an XMPP user's means for a SIP user.
//! - [`address`], [`fault`], [`body`] and [`text`] map addresses, errors and texts between the worlds.
//! - [`translate::promise`] is what travels with every message, so that none is lost in silence.
//! - [`store`] keeps what must outlive the process.
//! - [`gateway`] puts it all together; [`config`], [`cli`], [`check`], [`admin`], [`logging`] and [`metrics`] are for its
//!   operator.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic
    )
)]

pub mod address;
pub mod admin;
pub mod body;
mod call_ids;
pub mod check;
pub mod cli;
pub mod config;
pub mod conversation;
pub mod fault;
mod from_xmpp;
pub mod gateway;
pub mod logging;
pub mod mailbox;
pub mod metrics;
mod pairs;
mod rates;
pub mod registry;
pub mod room;
pub mod route;
pub mod sip;
mod spellings;
pub mod stamp;
pub mod store;
pub mod text;
pub mod translate;
pub mod xmpp;
