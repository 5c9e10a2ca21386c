//! What the gateway and its addresses are and can do. XEP-0030 §3, DISCO-02, DISCO-03.

use std::collections::BTreeSet;

use xmpp_parsers::disco::{DiscoInfoQuery, DiscoInfoResult, Identity};
use xmpp_parsers::minidom::Element;

use super::{Entity, error, query};
use crate::xmpp::ns;
use crate::xmpp::stanza::{Payload, StanzaError};

pub(super) const NAMESPACE: &str = ns::DISCO_INFO;

/// What the gateway itself answers.
const GATEWAY: &[&str] = &[
    NAMESPACE,
    super::disco_items::NAMESPACE,
    super::ping::NAMESPACE,
    super::version::NAMESPACE,
    super::gateway::NAMESPACE,
    super::last::NAMESPACE,
    r"jid\20escaping",
];

/// What the addresses of SIP users answer, or carry over to SIP.
const CONTACT: &[&str] = &[
    NAMESPACE,
    super::disco_items::NAMESPACE,
    super::ping::NAMESPACE,
    super::version::NAMESPACE,
    super::vcard::NAMESPACE,
    ns::CHAT_STATES,
    ns::RECEIPTS,
    ns::MARKERS,
];

pub(super) fn answer(payload: &Payload, entity: Entity) -> Result<Option<Element>, StanzaError> {
    let query: DiscoInfoQuery = query(payload)?;
    if query.node.is_some() {
        return Err(error("cancel", "item-not-found"));
    }
    let (identity, features) = match entity {
        Entity::Gateway => (Identity::new("gateway", "simple", "en", "SIP"), GATEWAY),
        Entity::Contact => (unnamed("account", "registered"), CONTACT),
        Entity::Device => (unnamed("client", "phone"), CONTACT),
    };
    let result = DiscoInfoResult {
        node: None,
        identities: vec![identity],
        features: features
            .iter()
            .map(|&feature| feature.to_owned())
            .collect::<BTreeSet<_>>(),
        extensions: Vec::new(),
    };
    Ok(Some(result.into()))
}

fn unnamed(category: &str, kind: &str) -> Identity {
    Identity {
        category: category.to_owned(),
        type_: kind.to_owned(),
        lang: None,
        name: None,
    }
}
