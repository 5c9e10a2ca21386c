//! Which address a SIP user has here, for clients that ask before they add a contact. XEP-0100 §6, DISCO-07, CORE-15.

use roxmltree::Document;
use stox_sip::Uri;

use super::error;
use crate::address::Addresses;
use crate::xmpp::stanza::{Payload, StanzaError};
use crate::xmpp::write;

pub(super) const NAMESPACE: &str = "jabber:iq:gateway";

/// What to ask the user for.
pub(super) fn prompt() -> String {
    format!(
        "<query xmlns='{NAMESPACE}'><desc>Enter the SIP address of the person you would like to chat with, \
         like romeo@example.net</desc><prompt>SIP address</prompt></query>"
    )
}

/// The JID for what the user entered: a URI, `user@domain`, or a telephone number.
pub(super) fn answer(payload: &Payload, addresses: &Addresses) -> Result<String, StanzaError> {
    let entered = entered(payload).ok_or_else(|| error("modify", "bad-request"))?;
    let uri = uri_of(&entered, addresses).ok_or_else(|| error("modify", "not-acceptable"))?;
    let jid = addresses
        .jid_of(&uri)
        .map_err(|_| error("modify", "not-acceptable"))?;
    let mut xml = bytes::BytesMut::from(format!("<query xmlns='{NAMESPACE}'><jid>").as_bytes());
    write::text(&mut xml, jid.bare().as_jid().as_str());
    xml.extend_from_slice(b"</jid></query>");
    Ok(String::from_utf8_lossy(&xml).into_owned())
}

fn entered(payload: &Payload) -> Option<String> {
    let document = Document::parse(&payload.xml).ok()?;
    let mut children = document.root_element().children();
    let prompt = children.find(|child| child.has_tag_name((NAMESPACE, "prompt")))?;
    Some(prompt.text()?.trim().to_owned())
}

fn uri_of(entered: &str, addresses: &Addresses) -> Option<Uri> {
    let scheme = entered.split_once(':').map(|(scheme, _)| scheme);
    let uri = match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("tel") => return number(entered.get(4..)?, addresses),
        Some("sip" | "sips" | "im" | "pres") => entered.to_owned(),
        _ if entered.contains('@') => format!("sip:{entered}"),
        _ => return number(entered, addresses),
    };
    uri.parse().ok()
}

/// A telephone number is somebody of the default domain; without one nobody is (CORE-15).
fn number(entered: &str, addresses: &Addresses) -> Option<Uri> {
    let domain = addresses.default_domain()?;
    let number = entered.split(';').next().unwrap_or_default();
    let digits: String = number
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/'))
        .collect();
    let local = digits.strip_prefix('+').unwrap_or(&digits);
    let is_number = !local.is_empty() && local.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| format!("sip:{digits}@{domain}").parse().ok())?
}
