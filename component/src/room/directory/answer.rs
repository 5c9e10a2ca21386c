//! What an answer to disco#info says. XEP-0030 §3, XEP-0045 §6.

use roxmltree::Document;

use crate::xmpp::{Iq, IqType};

const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
const MUC: &str = "http://jabber.org/protocol/muc";

/// What somebody says to be, or why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A room, or a service for rooms.
    Conference,
    /// A server of users.
    Server,
    /// Something else.
    Other,
    /// There is no such address.
    NotFound,
    /// Not for us.
    Forbidden,
    /// Somebody is there, who does not say.
    Unwilling,
    /// The question did not get there.
    Unreachable,
}

impl Told {
    pub(super) fn by(iq: &Iq) -> Told {
        let error = iq.error.as_ref().map(|error| error.condition.as_str());
        match (iq.kind, error) {
            (IqType::Result, _) => told_by_result(iq).unwrap_or(Told::Other),
            (_, Some("item-not-found" | "gone")) => Told::NotFound,
            (_, Some("forbidden" | "not-allowed" | "not-authorized" | "registration-required")) => {
                Told::Forbidden
            }
            (
                _,
                Some("remote-server-not-found" | "remote-server-timeout" | "recipient-unavailable"),
            ) => Told::Unreachable,
            (_, Some(_) | None) => Told::Unwilling,
        }
    }
}

fn told_by_result(iq: &Iq) -> Option<Told> {
    let payload = iq.payload.as_ref()?;
    let document = Document::parse(&payload.xml).ok()?;
    let query = document.root_element();
    let has = |name: &str, attribute: &str, value: &str| {
        query.children().any(|child| {
            child.has_tag_name((DISCO_INFO, name)) && child.attribute(attribute) == Some(value)
        })
    };
    if has("identity", "category", "conference") && has("feature", "var", MUC) {
        return Some(Told::Conference);
    }
    has("identity", "category", "server").then_some(Told::Server)
}
