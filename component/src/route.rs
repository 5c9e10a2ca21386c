//! The way in: from what arrived to the conversation or room it belongs to.
//!
//! - `xmpp` routes stanzas and `sip` routes SIP events. Both routers run in the task that read the wire and never wait. What
//!   finds nobody, or nobody with room, is answered there.
//! - `rooms` is their way to rooms of the SIP world, `focus` that to MUCs, `iqs` that of requests.
//! - `lobby` is where INVITEs wait until it is known whether they are for a user or a room; `inquiries` find out what an
//!   address of the SIP side is.

mod focus;
mod inquiries;
mod iqs;
mod lobby;
mod rooms;
mod sip;
mod xmpp;

pub use self::inquiries::Inquiries;
pub use self::lobby::Lobby;
pub use self::sip::SipRouter;
pub use self::xmpp::XmppRouter;

use std::sync::{Arc, OnceLock};

use crate::conversation::Ports;

/// The parts of the gateway, which are complete a moment after the routers' tasks have started.
pub type SharedPorts = Arc<OnceLock<Arc<Ports>>>;

/// Messages from one address, or of one XMPP user, in a second, and how many at once.
const MESSAGES: (u32, u32) = (50_000, 100_000);
