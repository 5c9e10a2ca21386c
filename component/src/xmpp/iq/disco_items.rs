//! What belongs to an address: nothing that is listed, but for the occupants of a room. XEP-0030 §4, DISCO-04.

use bytes::BytesMut;
use xmpp_parsers::disco::DiscoItemsQuery;

use super::{error, query};
use crate::address::Jid;
use crate::xmpp::stanza::{Payload, StanzaError};
use crate::xmpp::write::attribute;

pub(super) const NAMESPACE: &str = "http://jabber.org/protocol/disco#items";

/// `items` are addresses with names.
pub(super) fn answer<'a>(
    payload: &Payload,
    items: impl IntoIterator<Item = (Jid, &'a str)>,
) -> Result<String, StanzaError> {
    let query: DiscoItemsQuery = query(payload)?;
    if query.node.is_some() {
        return Err(error("cancel", "item-not-found"));
    }
    let mut xml = BytesMut::from(&b"<query"[..]);
    attribute(&mut xml, "xmlns", NAMESPACE);
    xml.extend_from_slice(b">");
    for (jid, name) in items {
        xml.extend_from_slice(b"<item");
        attribute(&mut xml, "jid", jid.as_str());
        attribute(&mut xml, "name", name);
        xml.extend_from_slice(b"/>");
    }
    xml.extend_from_slice(b"</query>");
    Ok(String::from_utf8_lossy(&xml).into_owned())
}
