//! Elements about rooms into bytes.

use bytes::{BufMut, BytesMut};

use super::{DirectInvite, Join, MucItem, MucUser};
use crate::address::Jid;
use crate::stamp;
use crate::xmpp::ns;
use crate::xmpp::write::{attribute, optional_attribute, optional_element};

/// `<x/>` of `http://jabber.org/protocol/muc`.
pub(in crate::xmpp) fn write_join(out: &mut BytesMut, join: &Join) {
    out.put_slice(b"<x");
    attribute(out, "xmlns", ns::MUC);
    out.put_slice(b">");
    optional_element(out, "password", join.password.as_deref());
    let history = &join.history;
    let bounds = [
        ("maxchars", history.max_chars),
        ("maxstanzas", history.max_stanzas),
        ("seconds", history.seconds),
    ];
    let since = history.since.map(stamp::format);
    if since.is_some() || bounds.iter().any(|(_, bound)| bound.is_some()) {
        out.put_slice(b"<history");
        for (name, bound) in bounds {
            let bound = bound.map(|bound| bound.to_string());
            optional_attribute(out, name, bound.as_deref());
        }
        optional_attribute(out, "since", since.as_deref());
        out.put_slice(b"/>");
    }
    out.put_slice(b"</x>");
}

/// `<x/>` of `http://jabber.org/protocol/muc#user`, its children in the order of the schema's examples.
pub(in crate::xmpp) fn write_muc_user(out: &mut BytesMut, user: &MucUser) {
    out.put_slice(b"<x");
    attribute(out, "xmlns", ns::MUC_USER);
    out.put_slice(b">");
    for invite in &user.invites {
        write_call(out, "invite", [&invite.from, &invite.to], &invite.reason);
    }
    if let Some(decline) = &user.decline {
        write_call(
            out,
            "decline",
            [&decline.from, &decline.to],
            &decline.reason,
        );
    }
    if let Some(item) = &user.item {
        write_item(out, item);
    }
    if let Some(destroy) = &user.destroy {
        out.put_slice(b"<destroy");
        optional_attribute(out, "jid", destroy.jid.as_ref().map(Jid::as_str));
        out.put_slice(b">");
        optional_element(out, "password", destroy.password.as_deref());
        optional_element(out, "reason", destroy.reason.as_deref());
        out.put_slice(b"</destroy>");
    }
    optional_element(out, "password", user.password.as_deref());
    for code in &user.statuses {
        out.put_slice(b"<status");
        attribute(out, "code", &code.to_string());
        out.put_slice(b"/>");
    }
    out.put_slice(b"</x>");
}

/// `<x/>` of `jabber:x:conference`.
pub(in crate::xmpp) fn write_direct_invite(out: &mut BytesMut, invite: &DirectInvite) {
    out.put_slice(b"<x");
    attribute(out, "xmlns", ns::CONFERENCE);
    attribute(out, "jid", invite.jid.as_str());
    optional_attribute(out, "password", invite.password.as_deref());
    optional_attribute(out, "reason", invite.reason.as_deref());
    out.put_slice(b"/>");
}

fn write_item(out: &mut BytesMut, item: &MucItem) {
    out.put_slice(b"<item");
    attribute(out, "affiliation", item.affiliation.name());
    attribute(out, "role", item.role.name());
    optional_attribute(out, "jid", item.jid.as_ref().map(Jid::as_str));
    optional_attribute(out, "nick", item.nick.as_deref());
    if item.actor.is_none() && item.reason.is_none() {
        return out.put_slice(b"/>");
    }
    out.put_slice(b">");
    if let Some(actor) = &item.actor {
        out.put_slice(b"<actor");
        attribute(out, "nick", actor);
        out.put_slice(b"/>");
    }
    optional_element(out, "reason", item.reason.as_deref());
    out.put_slice(b"</item>");
}

fn write_call(
    out: &mut BytesMut,
    name: &str,
    [from, to]: [&Option<Jid>; 2],
    reason: &Option<String>,
) {
    out.put_slice(b"<");
    out.put_slice(name.as_bytes());
    optional_attribute(out, "from", from.as_ref().map(Jid::as_str));
    optional_attribute(out, "to", to.as_ref().map(Jid::as_str));
    out.put_slice(b">");
    optional_element(out, "reason", reason.as_deref());
    out.put_slice(b"</");
    out.put_slice(name.as_bytes());
    out.put_slice(b">");
}
