//! Requests to the gateway and its addresses: a file per extension, and this list that joins them.
//!
//! Every request gets an answer, if only that there is none. DISCO-05, RFC 6120 §8.2.3.

mod disco_info;
mod disco_items;
mod ping;
mod requests;
mod version;

use xmpp_parsers::minidom::Element;

pub(super) use self::requests::Requests;
use super::outgoing::OutgoingIq;
use super::stanza::{Iq, IqType, Payload, StanzaError};
use crate::address::Jid;

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

/// The answer to a request (iq of type get or set).
pub(super) fn answer(request: &Iq) -> OutgoingIq {
    let Some(payload) = &request.payload else {
        return OutgoingIq::error(request, error("modify", "bad-request"));
    };
    let entity = Entity::of(&request.to);
    let answer = match (
        request.kind,
        payload.namespace.as_str(),
        payload.name.as_str(),
    ) {
        (IqType::Get, disco_info::NAMESPACE, "query") => disco_info::answer(payload, entity),
        (IqType::Get, disco_items::NAMESPACE, "query") => disco_items::answer(payload),
        (IqType::Get, ping::NAMESPACE, "ping") => Ok(ping::answer()),
        (IqType::Get, version::NAMESPACE, "query") => Ok(Some(version::answer())),
        // Nobody registers here: the gateway needs no account of the XMPP user's. DISCO-08.
        (_, "jabber:iq:register", "query") => Err(error("cancel", "feature-not-implemented")),
        _ => Err(error("cancel", "service-unavailable")),
    };
    match answer {
        Ok(result) => OutgoingIq::result(request, result.as_ref().map(String::from)),
        Err(error) => OutgoingIq::error(request, error),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(to: &str, kind: IqType, payload: &str) -> OutgoingIq {
        let document = roxmltree::Document::parse(payload).unwrap();
        let tag = document.root_element().tag_name();
        answer(&Iq {
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
        })
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
            (
                IqType::Get,
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
