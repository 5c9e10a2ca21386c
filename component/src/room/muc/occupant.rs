//! What a focus tells of a participant, in the terms of a MUC (T16).

use std::collections::HashMap;
use std::sync::Arc;

use stox_sip::Uri;
use stox_sip::conference::{DisconnectionMethod, EndpointStatus, User};

use super::place::AddressKey;
use crate::address::{Addresses, BareJid, Jid, jid_of_xmpp_uri};
use crate::room::nickname;
use crate::text;
use crate::xmpp::{MucItem, MucUser, Role};

/// Bytes of the longest name shown: a resourcepart has room for it and what tells it apart.
const LONGEST: usize = 512;

/// Whether a participant is in the room. RFC 4575 §5.6.6, §5.7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the room, with this role.
    Present(Role),
    /// Not yet, or not any more.
    Absent,
}

/// The standing of a participant, by the first endpoint that takes part; whoever has none told of is there.
pub fn standing_of(user: &User) -> Standing {
    let statuses = user.endpoints.iter().map(|endpoint| endpoint.status);
    let status = statuses.clone().find(|status| is_present(*status));
    match status {
        None if !user.endpoints.is_empty() => Standing::Absent,
        Some(Some(EndpointStatus::MutedViaFocus)) => Standing::Present(Role::Visitor),
        None | Some(_) => Standing::Present(role_of(&user.roles)),
    }
}

fn is_present(status: Option<EndpointStatus>) -> bool {
    match status {
        None
        | Some(
            EndpointStatus::Connected | EndpointStatus::OnHold | EndpointStatus::MutedViaFocus,
        ) => true,
        Some(
            EndpointStatus::Pending
            | EndpointStatus::DialingIn
            | EndpointStatus::DialingOut
            | EndpointStatus::Alerting
            | EndpointStatus::Disconnecting
            | EndpointStatus::Disconnected,
        ) => false,
    }
}

/// The status code that says how a participant left, if there is one (RX-17).
pub fn parting_of(user: &User) -> Option<u16> {
    let mut methods = user
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.disconnection_method);
    match methods.next()? {
        DisconnectionMethod::Booted => Some(307),
        DisconnectionMethod::Failed | DisconnectionMethod::Busy => Some(333),
        DisconnectionMethod::Departed => None,
    }
}

/// Of several roles the one that may do most.
fn role_of(roles: &[String]) -> Role {
    let of = |role: &String| match role.trim().to_ascii_lowercase().as_str() {
        "moderator" | "administrator" | "host" => Role::Moderator,
        "observer" | "none" => Role::Visitor,
        _ => Role::Participant,
    };
    let has = |wanted| roles.iter().any(|role| of(role) == wanted);
    match roles.is_empty() {
        true => Role::Participant,
        false if has(Role::Moderator) => Role::Moderator,
        false if has(Role::Participant) => Role::Participant,
        false => Role::Visitor,
    }
}

/// What a participant is to be called, as a nickname can be (RX-13). `key`: that of the participant's entity.
pub fn name_of(user: &User, key: Option<&AddressKey>) -> String {
    let told = [user.nickname.as_deref(), user.display_text.as_deref()];
    let told = told.into_iter().flatten();
    let user_part = key.and_then(AddressKey::user_part);
    let candidates = told.chain(user_part.as_deref());
    candidates
        .filter_map(prepared)
        .next()
        .unwrap_or_else(|| prepared(&user.entity).unwrap_or_else(|| "?".to_owned()))
}

/// A text as a nickname, if it can be one.
pub fn prepared(name: &str) -> Option<String> {
    let name = text::for_header(name);
    nickname::prepare(text::truncate(&name, LONGEST)).ok()
}

/// The address of a participant where the focus shows it: that of one of the `associated-aors`, else the entity if it is
/// an address of record (RX-13).
pub fn address_of(user: &User, key: Option<&AddressKey>, people: &People<'_>) -> Option<Jid> {
    let mut associated = user.associated_aors.iter();
    if let Some(jid) = associated.find_map(|uri| people.jid_of(uri)) {
        return Some(jid);
    }
    let key = key?;
    let is_aor = !key.is_invalid() && people.room.is_none_or(|room| !room.is_same_user(key));
    is_aor.then(|| people.jid_of(&user.entity)).flatten()
}

/// Who is known by which address.
#[derive(Clone, Copy, Debug)]
pub struct People<'a> {
    /// The room itself.
    pub room: Option<&'a AddressKey>,
    /// XMPP users who are in the room through the gateway: their SIP address leads back to them.
    pub accounts: &'a HashMap<AddressKey, BareJid>,
    /// Everybody else.
    pub addresses: &'a Addresses,
}

impl People<'_> {
    fn jid_of(&self, uri: &str) -> Option<Jid> {
        if let Some(jid) = jid_of_xmpp_uri(uri) {
            return Some(jid);
        }
        let uri = Uri::parse(uri.trim()).ok()?;
        let account = AddressKey::of(&uri).and_then(|key| self.accounts.get(&key.user()));
        match account {
            Some(account) => Some(account.as_jid().clone()),
            None => self.addresses.jid_of(&uri).ok(),
        }
    }
}

/// What a presence says of somebody with this role and perhaps this address; SIP knows no affiliations.
pub fn about(role: Role, jid: Option<Jid>) -> Arc<MucUser> {
    Arc::new(MucUser::of(MucItem {
        jid,
        ..MucItem::with_role(role)
    }))
}
