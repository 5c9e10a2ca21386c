//! What the gateway and its addresses are and can do. XEP-0030 §3, DISCO-02, DISCO-03.

use bytes::BytesMut;
use xmpp_parsers::disco::DiscoInfoQuery;

use super::room::RoomView;
use super::{Entity, error, query};
use crate::xmpp::ns;
use crate::xmpp::stanza::{Payload, StanzaError};
use crate::xmpp::write::{attribute, optional_attribute, optional_element};

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
    ns::MUC,
    ns::MUC_STABLE_ID,
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

/// What somebody in such a room answers.
const OCCUPANT: &[&str] = &[
    NAMESPACE,
    super::disco_items::NAMESPACE,
    super::ping::NAMESPACE,
    super::version::NAMESPACE,
];

/// What a room of the SIP world answers by way of the gateway.
const ROOM: &[&str] = &[
    NAMESPACE,
    super::disco_items::NAMESPACE,
    super::ping::NAMESPACE,
    super::version::NAMESPACE,
    ns::MUC,
    ns::MUC_STABLE_ID,
    ns::MUC_SELF_PING,
];

pub(super) fn answer(payload: &Payload, entity: Entity) -> Result<String, StanzaError> {
    let mut info = Info::for_query(payload)?;
    let features = match entity {
        Entity::Gateway => {
            info.identity("gateway", "simple", Some("SIP"));
            info.identity("conference", "text", Some("SIP"));
            GATEWAY
        }
        Entity::Contact => {
            info.identity("account", "registered", None);
            CONTACT
        }
        Entity::Device => {
            info.identity("client", "phone", None);
            CONTACT
        }
    };
    info.features(features);
    Ok(info.end())
}

/// About a room. XEP-0045 §6.4.
pub(super) fn answer_of_room(
    payload: &Payload,
    room: &RoomView<'_>,
) -> Result<String, StanzaError> {
    let mut info = Info::for_query(payload)?;
    info.identity("conference", "text", Some(room.name));
    info.features(ROOM);
    let occupants = room.nicks.len().to_string();
    if room.nicks.is_empty() {
        // Nobody has entered it from here: who else is there is not known.
        return Ok(info.end());
    }
    let subject = room
        .subject
        .map(|subject| ("muc#roominfo_subject", subject));
    let fields = [("muc#roominfo_occupants", occupants.as_str())];
    info.form(ns::MUC_ROOM_INFO, fields.into_iter().chain(subject));
    Ok(info.end())
}

/// About somebody in a room.
pub(super) fn answer_of_occupant(payload: &Payload) -> Result<String, StanzaError> {
    let mut info = Info::for_query(payload)?;
    info.identity("client", "phone", None);
    info.features(OCCUPANT);
    Ok(info.end())
}

/// An answer that is being written.
struct Info(BytesMut);

impl Info {
    /// Parts of an address (nodes) there are none.
    fn for_query(payload: &Payload) -> Result<Info, StanzaError> {
        let query: DiscoInfoQuery = query(payload)?;
        if query.node.is_some() {
            return Err(error("cancel", "item-not-found"));
        }
        let mut xml = BytesMut::from(&b"<query"[..]);
        attribute(&mut xml, "xmlns", NAMESPACE);
        xml.extend_from_slice(b">");
        Ok(Info(xml))
    }

    fn identity(&mut self, category: &str, kind: &str, name: Option<&str>) {
        self.0.extend_from_slice(b"<identity");
        attribute(&mut self.0, "category", category);
        attribute(&mut self.0, "type", kind);
        optional_attribute(&mut self.0, "name", name);
        self.0.extend_from_slice(b"/>");
    }

    fn features(&mut self, features: &[&str]) {
        for feature in features {
            self.0.extend_from_slice(b"<feature");
            attribute(&mut self.0, "var", feature);
            self.0.extend_from_slice(b"/>");
        }
    }

    /// XEP-0128.
    fn form<'a>(&mut self, kind: &'a str, fields: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.0.extend_from_slice(b"<x");
        attribute(&mut self.0, "xmlns", ns::DATA_FORMS);
        attribute(&mut self.0, "type", "result");
        self.0.extend_from_slice(b">");
        self.field("FORM_TYPE", Some("hidden"), kind);
        for (name, value) in fields {
            self.field(name, None, value);
        }
        self.0.extend_from_slice(b"</x>");
    }

    fn field(&mut self, name: &str, kind: Option<&str>, value: &str) {
        self.0.extend_from_slice(b"<field");
        attribute(&mut self.0, "var", name);
        optional_attribute(&mut self.0, "type", kind);
        self.0.extend_from_slice(b">");
        optional_element(&mut self.0, "value", Some(value));
        self.0.extend_from_slice(b"</field>");
    }

    fn end(mut self) -> String {
        self.0.extend_from_slice(b"</query>");
        String::from_utf8_lossy(&self.0).into_owned()
    }
}
