//! Addresses of a room: what is one of its occupants, and what the room itself.

use stox_sip::Uri;

use super::event::Place;
use crate::address::{Aor, Jid, device_of};

/// An address of the SIP side that can be compared: user and host, and the device. Other parameters do not count (RX-24).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey {
    /// `user@host`, the host in lower case.
    aor: String,
    /// The value of `gr`, decoded.
    device: Option<String>,
}

impl AddressKey {
    /// Of a URI; `None` for one that names nobody.
    pub fn of(uri: &Uri) -> Option<AddressKey> {
        Some(AddressKey {
            aor: Aor::of(uri).ok()?.to_string(),
            device: device_of(uri),
        })
    }

    /// Of a URI as text.
    pub fn parse(text: &str) -> Option<AddressKey> {
        AddressKey::of(&Uri::parse(text.trim()).ok()?)
    }

    /// The device.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The same user without device.
    pub fn user(&self) -> AddressKey {
        AddressKey {
            aor: self.aor.clone(),
            device: None,
        }
    }

    /// Whether both are of the same user.
    pub fn is_same_user(&self, other: &AddressKey) -> bool {
        self.aor == other.aor
    }

    /// Whether it is an address that is nobody's. RFC 2606 §2.
    pub fn is_invalid(&self) -> bool {
        self.aor.ends_with(".invalid")
    }

    /// The user part, if it is text.
    pub fn user_part(&self) -> Option<String> {
        let uri = Uri::parse(&self.aor).ok()?;
        uri.user_decoded().map(|user| user.into_owned())
    }
}

impl Place {
    /// The room's own, without device.
    pub fn key(&self) -> Option<AddressKey> {
        AddressKey::of(&self.uri)
    }

    /// The JID of the occupant with this nickname; that of the room for one that no JID can carry.
    pub fn occupant(&self, nick: &str) -> Jid {
        self.jid
            .with_resource(nick)
            .unwrap_or_else(|_| self.jid.as_jid().clone())
    }
}
