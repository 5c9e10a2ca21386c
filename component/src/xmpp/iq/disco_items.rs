//! What belongs to an address: nothing that is listed. XEP-0030 §4, DISCO-04.

use xmpp_parsers::disco::{DiscoItemsQuery, DiscoItemsResult};
use xmpp_parsers::minidom::Element;

use super::{error, query};
use crate::xmpp::stanza::{Payload, StanzaError};

pub(super) const NAMESPACE: &str = "http://jabber.org/protocol/disco#items";

pub(super) fn answer(payload: &Payload) -> Result<Option<Element>, StanzaError> {
    let query: DiscoItemsQuery = query(payload)?;
    if query.node.is_some() {
        return Err(error("cancel", "item-not-found"));
    }
    let result = DiscoItemsResult {
        node: None,
        items: Vec::new(),
        rsm: None,
    };
    Ok(Some(result.into()))
}
