//! Whether the gateway is there. XEP-0199, DISCO-06.

use xmpp_parsers::minidom::Element;

use crate::xmpp::ns;

pub(super) const NAMESPACE: &str = ns::PING;

/// A result without content.
pub(super) fn answer() -> Option<Element> {
    None
}
