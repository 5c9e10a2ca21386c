//! Addresses of both worlds, and how they name each other.

mod allowed;
mod escape;
mod jid;
mod sip;

pub use allowed::Allowed;
pub use jid::{BareJid, Jid, JidError, MAX_PART, Part};
pub use sip::{
    AddressError, AddressStyle, Addresses, Aor, SipContact, device_of, device_of_value, gr_of,
    jid_of_xmpp_uri, with_device, xmpp_uri,
};
