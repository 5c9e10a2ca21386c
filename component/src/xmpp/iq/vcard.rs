//! What is known of a SIP user: how they are called there. XEP-0054, DISCO-10.

use bytes::BytesMut;

use super::error;
use crate::address::{Addresses, Jid};
use crate::xmpp::stanza::StanzaError;
use crate::xmpp::write;

pub(super) const NAMESPACE: &str = "vcard-temp";

pub(super) fn answer(address: &Jid, addresses: &Addresses) -> Result<String, StanzaError> {
    let contact = addresses
        .sip_of(address)
        .map_err(|_| error("cancel", "item-not-found"))?;
    let uri = contact.aor.uri().to_string();
    let name = uri.split_once(':').map_or(uri.as_str(), |(_, name)| name);
    let mut xml = BytesMut::from(format!("<vCard xmlns='{NAMESPACE}'><FN>").as_bytes());
    write::text(&mut xml, name);
    xml.extend_from_slice(b"</FN><URL>");
    write::text(&mut xml, &uri);
    xml.extend_from_slice(b"</URL></vCard>");
    Ok(String::from_utf8_lossy(&xml).into_owned())
}
