//! The two people of a conversation, as each side knows them.

use stox_sip::Uri;

use crate::address::{Jid, with_device};

/// The XMPP user and the SIP user.
///
/// The SIP user's spelling and the JID the XMPP user writes to are the last ones seen: SIP user parts are
/// case-sensitive while localparts are not, and a user answers from the very JID that was written to.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The XMPP user, without resource.
    pub juliet: Jid,
    /// The XMPP user's SIP address, without `gr`.
    pub juliet_uri: Uri,
    /// The SIP user's address, without `gr`.
    pub romeo_uri: Uri,
    /// The SIP user's JID on our domain, without resource.
    pub romeo: Jid,
}

impl Parties {
    /// The SIP user's JID with that device as resource, where a resource can carry it.
    pub fn romeo_device(&self, device: Option<&str>) -> Jid {
        device
            .and_then(|device| self.romeo.with_resource(device).ok())
            .unwrap_or_else(|| self.romeo.clone())
    }

    /// The XMPP user's JID with that resource.
    pub fn juliet_jid(&self, resource: Option<&str>) -> Jid {
        resource
            .and_then(|resource| self.juliet.with_resource(resource).ok())
            .unwrap_or_else(|| self.juliet.clone())
    }

    /// The XMPP user's SIP address with that device.
    pub fn juliet_device(&self, resource: Option<&str>) -> Uri {
        with_device(&self.juliet_uri, resource)
    }
}
