//! Name and version of the gateway. The operating system is nobody's business. XEP-0092, DISCO-06.

use xmpp_parsers::minidom::Element;
use xmpp_parsers::version::VersionResult;

pub(super) const NAMESPACE: &str = "jabber:iq:version";

pub(super) fn answer() -> Element {
    let result = VersionResult {
        name: "stox".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        os: None,
    };
    result.into()
}
