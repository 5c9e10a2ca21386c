//! Elements about rooms, as leniently as the rest of a stanza: what is no address, no number or no known word is left out.

use roxmltree::Node;

use super::{
    Affiliation, DirectInvite, History, Join, MucDecline, MucDestroy, MucInvite, MucItem, MucUser,
    Role,
};
use crate::address::Jid;
use crate::stamp;
use crate::xmpp::ns;
use crate::xmpp::read::content;

/// Entries of one kind that one element may bring: more than any room sends, and a bound for what is kept.
const MOST: usize = 64;

/// `<x/>` of `http://jabber.org/protocol/muc`.
pub(in crate::xmpp) fn join(node: Node<'_, '_>) -> Join {
    let mut join = Join::default();
    for child in children(node, ns::MUC) {
        match child.tag_name().name() {
            "password" => join.password = Some(content(child)),
            "history" => join.history = history(child),
            _ => {}
        }
    }
    join
}

/// `<x/>` of `http://jabber.org/protocol/muc#user`.
pub(in crate::xmpp) fn muc_user(node: Node<'_, '_>) -> MucUser {
    let mut user = MucUser::default();
    for child in children(node, ns::MUC_USER) {
        match child.tag_name().name() {
            "status" if user.statuses.len() < MOST => {
                user.statuses.extend(number::<u16>(child, "code"))
            }
            "item" if user.item.is_none() => user.item = Some(item(child)),
            "invite" if user.invites.len() < MOST => user.invites.push(MucInvite {
                from: jid(child, "from"),
                to: jid(child, "to"),
                reason: words(child, "reason"),
            }),
            "decline" if user.decline.is_none() => {
                user.decline = Some(MucDecline {
                    from: jid(child, "from"),
                    to: jid(child, "to"),
                    reason: words(child, "reason"),
                });
            }
            "destroy" if user.destroy.is_none() => {
                user.destroy = Some(MucDestroy {
                    jid: jid(child, "jid"),
                    reason: words(child, "reason"),
                    password: words(child, "password"),
                });
            }
            "password" => user.password = Some(content(child)),
            _ => {}
        }
    }
    user
}

/// `<x/>` of `jabber:x:conference`; without a room it says nothing.
pub(in crate::xmpp) fn direct_invite(node: Node<'_, '_>) -> Option<DirectInvite> {
    let owned = |name| node.attribute(name).map(str::to_owned);
    Some(DirectInvite {
        jid: jid(node, "jid")?,
        password: owned("password"),
        reason: owned("reason"),
    })
}

fn history(node: Node<'_, '_>) -> History {
    History {
        max_chars: number(node, "maxchars"),
        max_stanzas: number(node, "maxstanzas"),
        seconds: number(node, "seconds"),
        since: node.attribute("since").and_then(stamp::parse),
    }
}

fn item(node: Node<'_, '_>) -> MucItem {
    let actor = children(node, ns::MUC_USER).find(|child| child.tag_name().name() == "actor");
    let actor = actor.and_then(|actor| actor.attribute("nick").or(actor.attribute("jid")));
    MucItem {
        affiliation: match node.attribute("affiliation") {
            Some("owner") => Affiliation::Owner,
            Some("admin") => Affiliation::Admin,
            Some("member") => Affiliation::Member,
            Some("outcast") => Affiliation::Outcast,
            Some(_) | None => Affiliation::None,
        },
        role: match node.attribute("role") {
            Some("moderator") => Role::Moderator,
            Some("participant") => Role::Participant,
            Some("visitor") => Role::Visitor,
            Some(_) | None => Role::None,
        },
        jid: jid(node, "jid"),
        nick: node.attribute("nick").map(str::to_owned),
        actor: actor.map(str::to_owned),
        reason: words(node, "reason"),
    }
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children()
        .filter(move |child| child.tag_name().namespace() == Some(namespace))
}

/// The text of a child of the same namespace; an empty one says nothing.
fn words(node: Node<'_, '_>, name: &str) -> Option<String> {
    let child = children(node, ns::MUC_USER).find(|child| child.tag_name().name() == name)?;
    Some(content(child)).filter(|words| !words.is_empty())
}

fn jid(node: Node<'_, '_>, name: &str) -> Option<Jid> {
    Jid::parse(node.attribute(name)?).ok()
}

fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    node.attribute(name)?.trim().parse().ok()
}
