//! Requests to the gateway and its addresses: a file per extension, and this list that joins them.
//!
//! Every request gets an answer, if only that there is none. DISCO-05, RFC 6120 §8.2.3.

mod disco_info;
mod disco_items;
mod gateway;
mod last;
mod ping;
mod requests;
mod room;
mod vcard;
mod version;

use std::sync::Arc;
use std::time::Instant;

use xmpp_parsers::minidom::Element;

pub(super) use self::requests::Requests;
pub use self::room::{
    RoomView, answer_of_room, answer_of_unentered_room, asks_what_it_is, is_ping,
};
use super::ns;
use super::outgoing::OutgoingIq;
use super::stanza::{Iq, IqType, Payload, StanzaError};
use crate::address::{Addresses, Jid};

/// What an address on our domain stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entity {
    /// The gateway itself.
    Gateway,
    /// A SIP user: a bare JID.
    Contact,
    /// One of a SIP user's devices: a full JID.
    Device,
}

impl Entity {
    fn of(address: &Jid) -> Entity {
        match (address.node(), address.resource()) {
            (None, _) => Entity::Gateway,
            (Some(_), None) => Entity::Contact,
            (Some(_), Some(_)) => Entity::Device,
        }
    }
}

/// Who answers.
#[derive(Debug)]
pub(super) struct Desk {
    /// How SIP users are named here.
    pub addresses: Arc<Addresses>,
    /// When the gateway began.
    pub began: Instant,
}

impl Desk {
    /// The answer to a request (iq of type get or set).
    pub fn answer(&self, request: &Iq, now: Instant) -> OutgoingIq {
        let Some(payload) = &request.payload else {
            return OutgoingIq::error(request, error("modify", "bad-request"));
        };
        let entity = Entity::of(&request.to);
        let xml = |element: Option<Element>| element.as_ref().map(String::from);
        let answer = match (
            request.kind,
            payload.namespace.as_str(),
            payload.name.as_str(),
        ) {
            (IqType::Get, disco_info::NAMESPACE, "query") => {
                disco_info::answer(payload, entity).map(Some)
            }
            (IqType::Get, disco_items::NAMESPACE, "query") => {
                disco_items::answer(payload, []).map(Some)
            }
            (IqType::Get, ping::NAMESPACE, "ping") => Ok(xml(ping::answer())),
            (IqType::Get, version::NAMESPACE, "query") => Ok(xml(Some(version::answer()))),
            (IqType::Get, gateway::NAMESPACE, "query") if entity == Entity::Gateway => {
                Ok(Some(gateway::prompt()))
            }
            (IqType::Set, gateway::NAMESPACE, "query") if entity == Entity::Gateway => {
                gateway::answer(payload, &self.addresses).map(Some)
            }
            (IqType::Get, last::NAMESPACE, "query") if entity == Entity::Gateway => Ok(Some(
                last::answer(now.saturating_duration_since(self.began)),
            )),
            (IqType::Get, vcard::NAMESPACE, "vCard") => {
                vcard::answer(&request.to, &self.addresses).map(Some)
            }
            // Whatever room it may be: nobody governs it from here. RX-34.
            (_, ns::MUC_ADMIN | ns::MUC_OWNER, _) if entity != Entity::Gateway => {
                Err(error("cancel", "not-allowed"))
            }
            // Nobody registers here: the gateway needs no account of the XMPP user's. DISCO-08.
            (_, ns::REGISTER, "query") => Err(error("cancel", "feature-not-implemented")),
            _ => Err(error("cancel", "service-unavailable")),
        };
        match answer {
            Ok(result) => OutgoingIq::result(request, result),
            Err(error) => OutgoingIq::error(request, error),
        }
    }
}

/// The answer to a request to a SIP user, or a device of theirs.
pub fn answer_of_user(request: &Iq, addresses: &Arc<Addresses>) -> OutgoingIq {
    let now = Instant::now();
    let desk = Desk {
        addresses: addresses.clone(),
        began: now,
    };
    desk.answer(request, now)
}

/// The answer to a request to an address of the SIP world that does not say whether it is a user's or a room's. Pings are
/// for rooms nearly always: nobody is to take himself for present where he is not. XEP-0410.
pub fn answer_of_somebody(request: &Iq, addresses: &Arc<Addresses>) -> OutgoingIq {
    match is_ping(request) {
        true => OutgoingIq::error(request, error("cancel", "not-acceptable")),
        false => answer_of_user(request, addresses),
    }
}

/// The payload as a typed query. One that does not keep its own schema is a bad request.
fn query<T: TryFrom<Element>>(payload: &Payload) -> Result<T, StanzaError> {
    let bad_request = || error("modify", "bad-request");
    let element: Element = payload.xml.parse().map_err(|_| bad_request())?;
    T::try_from(element).map_err(|_| bad_request())
}

fn error(kind: &str, condition: &str) -> StanzaError {
    StanzaError {
        kind: kind.to_owned(),
        condition: condition.to_owned(),
        address: None,
        text: None,
        by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(to: &str, kind: IqType, payload: &str) -> OutgoingIq {
        ask_at(to, kind, payload, 0)
    }

    fn ask_at(to: &str, kind: IqType, payload: &str, seconds: u64) -> OutgoingIq {
        let document = roxmltree::Document::parse(payload).unwrap();
        let tag = document.root_element().tag_name();
        let desk = Desk {
            addresses: Arc::new(Addresses::new(H, Some("example.net"), Default::default())),
            began: Instant::now(),
        };
        let now = desk.began + std::time::Duration::from_secs(seconds);
        let request = Iq {
            from: Jid::parse("juliet@example.com/balcony").unwrap(),
            to: Jid::parse(to).unwrap(),
            id: Some("q1".into()),
            kind,
            lang: None,
            payload: Some(Payload {
                namespace: tag.namespace().unwrap_or_default().to_owned(),
                name: tag.name().to_owned(),
                xml: payload.to_owned(),
            }),
            error: None,
        };
        desk.answer(&request, now)
    }

    fn condition(answer: &OutgoingIq) -> Option<&str> {
        answer.error.as_ref().map(|error| error.condition.as_str())
    }

    const H: &str = "sip.example.com";
    const ROMEO: &str = "romeo%example.net@sip.example.com";

    // DISCO-02, DISCO-03
    #[test]
    fn disco_info() {
        const QUERY: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        for (to, identity) in [
            (H, "category=\"gateway\" type=\"simple\""),
            (ROMEO, "category=\"account\" type=\"registered\""),
            (
                "romeo%example.net@sip.example.com/orchard",
                "category=\"client\" type=\"phone\"",
            ),
        ] {
            let answer = ask(to, IqType::Get, QUERY);
            assert_eq!(answer.kind, IqType::Result);
            assert_eq!((answer.from.as_str(), answer.id.as_str()), (to, "q1"));
            let payload = answer.payload.unwrap();
            let document = roxmltree::Document::parse(&payload).unwrap();
            let features: Vec<_> = document
                .descendants()
                .filter_map(|node| node.attribute("var"))
                .collect();
            let identity_node = document
                .descendants()
                .find(|node| node.has_tag_name((disco_info::NAMESPACE, "identity")))
                .unwrap();
            assert_eq!(
                format!(
                    "category=\"{}\" type=\"{}\"",
                    identity_node.attribute("category").unwrap(),
                    identity_node.attribute("type").unwrap()
                ),
                identity
            );
            // Only what is really answered (DISCO-02).
            for feature in [
                disco_info::NAMESPACE,
                disco_items::NAMESPACE,
                ping::NAMESPACE,
                version::NAMESPACE,
            ] {
                assert!(features.contains(&feature), "{feature} of {to}");
                let name = if feature == ping::NAMESPACE {
                    "ping"
                } else {
                    "query"
                };
                let asked = ask(to, IqType::Get, &format!("<{name} xmlns='{feature}'/>"));
                assert_eq!(asked.kind, IqType::Result);
            }
        }
    }

    // DISCO-06 RX-33: who asks for himself in a room that he was in before we began is in it no more. XEP-0410 §3.2.
    #[test]
    fn a_device_of_a_user_is_there_as_far_as_anybody_knows() {
        let (jid, xml) = (
            Jid::parse("romeo%example.net@sip.example.com/orchard").unwrap(),
            "<ping xmlns='urn:xmpp:ping'/>",
        );
        let request = Iq {
            from: Jid::parse("juliet@example.com/balcony").unwrap(),
            to: jid,
            id: Some("q1".into()),
            kind: IqType::Get,
            lang: None,
            payload: Some(Payload {
                namespace: ping::NAMESPACE.into(),
                name: "ping".into(),
                xml: xml.into(),
            }),
            error: None,
        };
        let addresses = Arc::new(Addresses::new(H, None, Default::default()));
        assert_eq!(answer_of_user(&request, &addresses).kind, IqType::Result);
        let unknown = answer_of_somebody(&request, &addresses);
        assert_eq!(condition(&unknown), Some("not-acceptable"));
    }

    // DISCO-02
    #[test]
    fn the_gateway_is_where_rooms_are() {
        let answer = ask(
            H,
            IqType::Get,
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        );
        let payload = answer.payload.unwrap();
        for expected in [
            "<identity category=\"conference\" type=\"text\" name=\"SIP\"/>",
            "<feature var=\"http://jabber.org/protocol/muc\"/>",
        ] {
            assert!(payload.contains(expected), "{payload}");
        }
    }

    #[test]
    fn unknown_nodes() {
        for namespace in [disco_info::NAMESPACE, disco_items::NAMESPACE] {
            let answer = ask(
                H,
                IqType::Get,
                &format!("<query xmlns='{namespace}' node='x'/>"),
            );
            assert_eq!(condition(&answer), Some("item-not-found"));
        }
    }

    // DISCO-04, DISCO-06
    #[test]
    fn items_ping_and_version() {
        let items = ask(
            H,
            IqType::Get,
            "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        );
        assert!(!items.payload.unwrap().contains("item "));
        assert_eq!(
            ask(ROMEO, IqType::Get, "<ping xmlns='urn:xmpp:ping'/>").payload,
            None
        );
        let version = ask(H, IqType::Get, "<query xmlns='jabber:iq:version'/>")
            .payload
            .unwrap();
        assert!(version.contains("<name>stox</name>"), "{version}");
        assert!(version.contains(concat!(
            "<version>",
            env!("CARGO_PKG_VERSION"),
            "</version>"
        )));
        assert!(!version.contains("<os>"));
    }

    // DISCO-07 CORE-15
    #[test]
    fn which_address_a_sip_user_has() {
        let prompt = ask(H, IqType::Get, "<query xmlns='jabber:iq:gateway'/>");
        assert!(prompt.payload.unwrap().contains("<prompt>"));
        for (entered, jid) in [
            (
                "romeo@montague.net",
                Some("romeo%montague.net@sip.example.com"),
            ),
            (
                "  sip:Romeo@Montague.net;transport=tcp  ",
                Some("romeo%montague.net@sip.example.com"),
            ),
            (
                "im:romeo@montague.net",
                Some("romeo%montague.net@sip.example.com"),
            ),
            (
                "tel:+49-30-123;phone-context=x",
                Some("+4930123%example.net@sip.example.com"),
            ),
            ("+49 (30) 123", Some("+4930123%example.net@sip.example.com")),
            (
                "r&amp;m@montague.net",
                Some(r"r\26m%montague.net@sip.example.com"),
            ),
            ("http://montague.net", None),
            ("nobody", None),
            ("@", None),
            ("a@b c", None),
            ("", None),
        ] {
            let xml =
                format!("<query xmlns='jabber:iq:gateway'><prompt>{entered}</prompt></query>");
            let answer = ask(H, IqType::Set, &xml);
            match jid {
                Some(jid) => {
                    let payload = answer.payload.unwrap_or_default();
                    assert!(
                        payload.contains(&format!("<jid>{jid}</jid>")),
                        "{entered}: {payload}"
                    );
                }
                None => assert!(
                    matches!(condition(&answer), Some("not-acceptable" | "bad-request")),
                    "{entered}: {answer:?}"
                ),
            }
        }
        let to_contact = ask(ROMEO, IqType::Get, "<query xmlns='jabber:iq:gateway'/>");
        assert_eq!(condition(&to_contact), Some("service-unavailable"));
    }

    // DISCO-06
    #[test]
    fn last_activity_is_the_time_since_the_start() {
        let last = ask_at(H, IqType::Get, "<query xmlns='jabber:iq:last'/>", 77);
        assert!(last.payload.unwrap().contains("seconds='77'"));
        let of_contact = ask(ROMEO, IqType::Get, "<query xmlns='jabber:iq:last'/>");
        assert_eq!(condition(&of_contact), Some("service-unavailable"));
    }

    // DISCO-10
    #[test]
    fn what_is_known_of_a_sip_user() {
        let card = ask(ROMEO, IqType::Get, "<vCard xmlns='vcard-temp'/>");
        assert_eq!(
            card.payload.as_deref(),
            Some(
                "<vCard xmlns='vcard-temp'><FN>romeo@example.net</FN><URL>sip:romeo@example.net</URL></vCard>"
            )
        );
    }

    // RX-34: whoever comes before anybody has entered the room.
    #[test]
    fn nobody_governs_a_room_from_here() {
        for name in ["muc#owner", "muc#admin"] {
            let payload = format!("<query xmlns='http://jabber.org/protocol/{name}'/>");
            for kind in [IqType::Get, IqType::Set] {
                let answer = ask(ROMEO, kind, &payload);
                assert_eq!(condition(&answer), Some("not-allowed"));
            }
        }
    }

    // DISCO-05, DISCO-08
    #[test]
    fn everything_else_is_refused() {
        for (kind, payload, expected) in [
            (
                IqType::Get,
                "<query xmlns='urn:unknown'/>",
                "service-unavailable",
            ),
            (
                IqType::Set,
                "<query xmlns='jabber:iq:version'/>",
                "service-unavailable",
            ),
            (
                IqType::Set,
                "<ping xmlns='urn:xmpp:ping'/>",
                "service-unavailable",
            ),
            (
                IqType::Get,
                "<other xmlns='urn:xmpp:ping'/>",
                "service-unavailable",
            ),
            (IqType::Get, "<vCard xmlns='vcard-temp'/>", "item-not-found"),
            (
                IqType::Set,
                "<vCard xmlns='vcard-temp'/>",
                "service-unavailable",
            ),
            (
                IqType::Get,
                "<query xmlns='jabber:iq:register'/>",
                "feature-not-implemented",
            ),
        ] {
            let answer = ask(H, kind, payload);
            assert_eq!(answer.kind, IqType::Error);
            assert_eq!(condition(&answer), Some(expected), "{payload}");
        }
    }
}
