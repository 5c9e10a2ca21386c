//! XMPP addresses, as the server prepared them.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Longest localpart, domainpart or resourcepart, in bytes of UTF-8. RFC 7622 §3.1.
pub const MAX_PART: usize = 1023;

/// An XMPP address, `localpart@domainpart/resourcepart`, of which only the domainpart must be there.
///
/// The text is kept as it came: the server has already prepared it by newer Unicode tables than any library here
/// has, so that letters and emoji which such a library would refuse stay addressable. Two addresses are equal when
/// their texts are. Cloning copies a pointer.
///
/// Each part has 1 to [`MAX_PART`] bytes and no control characters. RFC 7622.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Bytes before the `@`; 0 when there is no localpart.
    node_len: u16,
    /// Where the domainpart ends: the position of the `/`, or the length of the text.
    domain_end: u16,
}

/// Why a text is no XMPP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JidError {
    /// A part is announced by its separator, or required, and has no characters.
    #[error("the {0} is empty")]
    Empty(Part),
    /// A part has more than [`MAX_PART`] bytes.
    #[error("the {0} is longer than 1023 bytes")]
    TooLong(Part),
    /// A part has a character that no address can carry.
    #[error("the {0} has a forbidden character")]
    Forbidden(Part),
}

/// A part of an XMPP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What stands before the `@`.
    Localpart,
    /// The host.
    Domainpart,
    /// What stands after the first `/`.
    Resourcepart,
}

impl Jid {
    /// Reads an address. The first `/` begins the resourcepart, the first `@` before it ends the localpart.
    /// RFC 7622 §3.1.
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (node, domain) = match bare.split_once('@') {
            Some((node, domain)) => (Some(node), domain),
            None => (None, bare),
        };
        check(node, domain, resource)?;
        Ok(Jid::assemble(Arc::from(text), node, domain))
    }

    /// Puts an address together from its parts, which must already be escaped (XEP-0106).
    pub fn from_parts(
        node: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Jid, JidError> {
        if node.is_some_and(|node| node.contains(['@', '/'])) {
            return Err(JidError::Forbidden(Part::Localpart));
        }
        check(node, domain, resource)?;
        let mut text = String::with_capacity(
            node.map_or(0, |node| node.len() + 1)
                + domain.len()
                + resource.map_or(0, |resource| resource.len() + 1),
        );
        if let Some(node) = node {
            text.push_str(node);
            text.push('@');
        }
        text.push_str(domain);
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Ok(Jid::assemble(Arc::from(text), node, domain))
    }

    /// The localpart, escaped as it came.
    pub fn node(&self) -> Option<&str> {
        self.text
            .get(..usize::from(self.node_len))
            .filter(|node| !node.is_empty())
    }

    /// The domainpart.
    pub fn domain(&self) -> &str {
        self.text
            .get(self.domain_start()..usize::from(self.domain_end))
            .unwrap_or_default()
    }

    /// The resourcepart.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.domain_end) + 1..)
    }

    /// The address without its resourcepart: the account, the room, or the host.
    pub fn bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        let text = self.text.get(..usize::from(self.domain_end));
        BareJid(Jid {
            text: Arc::from(text.unwrap_or_default()),
            ..*self
        })
    }

    /// Whether there is no resourcepart.
    pub fn is_bare(&self) -> bool {
        self.text.len() == usize::from(self.domain_end)
    }

    /// The same account with this resourcepart.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        Jid::from_parts(self.node(), self.domain(), Some(resource))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn assemble(text: Arc<str>, node: Option<&str>, domain: &str) -> Jid {
        let node_len = node.map_or(0, str::len);
        let domain_start = node.map_or(0, |node| node.len() + 1);
        Jid {
            text,
            // Both fit: `check` has bounded every part.
            node_len: u16::try_from(node_len).unwrap_or(u16::MAX),
            domain_end: u16::try_from(domain_start + domain.len()).unwrap_or(u16::MAX),
        }
    }

    fn domain_start(&self) -> usize {
        match self.node_len {
            0 => 0,
            node_len => usize::from(node_len) + 1,
        }
    }
}

/// An XMPP address without resourcepart: the account, room or host that a [`Jid`] belongs to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

impl BareJid {
    /// Reads an address that has no resourcepart.
    pub fn parse(text: &str) -> Result<BareJid, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() {
            Ok(BareJid(jid))
        } else {
            Err(JidError::Forbidden(Part::Domainpart))
        }
    }

    /// The same address, where a [`Jid`] is wanted.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    /// The same address, where a [`Jid`] is wanted.
    pub fn into_jid(self) -> Jid {
        self.0
    }
}

impl Deref for BareJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Jid {
        bare.0
    }
}

fn check(node: Option<&str>, domain: &str, resource: Option<&str>) -> Result<(), JidError> {
    if let Some(node) = node {
        check_part(node, Part::Localpart)?;
    }
    check_part(domain, Part::Domainpart)?;
    if domain.contains(|c: char| c == '@' || c == '/' || c.is_whitespace()) {
        return Err(JidError::Forbidden(Part::Domainpart));
    }
    match resource {
        Some(resource) => check_part(resource, Part::Resourcepart),
        None => Ok(()),
    }
}

fn check_part(text: &str, part: Part) -> Result<(), JidError> {
    if text.is_empty() {
        Err(JidError::Empty(part))
    } else if text.len() > MAX_PART {
        Err(JidError::TooLong(part))
    } else if text.contains(char::is_control) {
        Err(JidError::Forbidden(part))
    } else {
        Ok(())
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl Hash for Jid {
    fn hash<S: Hasher>(&self, state: &mut S) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

// Maps keyed by addresses can be asked with the text of an attribute, without an allocation.
impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl Borrow<str> for BareJid {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::parse(text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Localpart => "localpart",
            Part::Domainpart => "domainpart",
            Part::Resourcepart => "resourcepart",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn parts_are_split_at_the_first_separators() {
        for (text, node, domain, resource) in [
            ("example.com", None, "example.com", None),
            ("juliet@example.com", Some("juliet"), "example.com", None),
            (
                "juliet@example.com/balcony",
                Some("juliet"),
                "example.com",
                Some("balcony"),
            ),
            ("example.com/a@b/c", None, "example.com", Some("a@b/c")),
            ("j😀@example.com/📱", Some("j😀"), "example.com", Some("📱")),
            (
                r"romeo\40a@sip.example/x",
                Some(r"romeo\40a"),
                "sip.example",
                Some("x"),
            ),
        ] {
            let jid = Jid::parse(text).unwrap();
            assert_eq!(
                (jid.node(), jid.domain(), jid.resource()),
                (node, domain, resource),
                "{text}"
            );
            assert_eq!(jid.to_string(), text);
            assert_eq!(Jid::from_parts(node, domain, resource).unwrap(), jid);
        }
    }

    #[test]
    fn empty_long_and_forbidden_parts_are_refused() {
        let long = "a".repeat(1024);
        for (text, error) in [
            ("", JidError::Empty(Part::Domainpart)),
            ("@", JidError::Empty(Part::Localpart)),
            ("@example.com", JidError::Empty(Part::Localpart)),
            ("juliet@", JidError::Empty(Part::Domainpart)),
            ("juliet@/x", JidError::Empty(Part::Domainpart)),
            ("juliet@example.com/", JidError::Empty(Part::Resourcepart)),
            ("a@b@c", JidError::Forbidden(Part::Domainpart)),
            ("a@b c", JidError::Forbidden(Part::Domainpart)),
            ("a\n@b", JidError::Forbidden(Part::Localpart)),
            ("a@b/\r\nc", JidError::Forbidden(Part::Resourcepart)),
            (&format!("{long}@b"), JidError::TooLong(Part::Localpart)),
            (&long, JidError::TooLong(Part::Domainpart)),
            (
                &format!("a@b/{long}"),
                JidError::TooLong(Part::Resourcepart),
            ),
        ] {
            assert_eq!(Jid::parse(text), Err(error), "{text}");
        }
        let longest = "a".repeat(1023);
        let jid = Jid::parse(&format!("{longest}@{longest}/{longest}")).unwrap();
        assert_eq!(jid.resource().map(str::len), Some(1023));
        assert_eq!(jid.domain().len(), 1023);
    }

    #[test]
    fn parts_cannot_be_smuggled_in_by_assembly() {
        assert!(Jid::from_parts(Some("a@b"), "c", None).is_err());
        assert!(Jid::from_parts(Some("a/b"), "c", None).is_err());
        assert!(Jid::from_parts(None, "c/d", None).is_err());
    }

    #[test]
    fn bare_addresses_are_map_keys_for_all_resources() {
        let mut map = HashMap::new();
        map.insert(Jid::parse("a@b/c").unwrap().bare(), 1);
        assert_eq!(map.get(&Jid::parse("a@b/d").unwrap().bare()), Some(&1));
        assert_eq!(map.get("a@b"), Some(&1));
        let bare = Jid::parse("a@b/c").unwrap().bare();
        assert_eq!(
            (bare.node(), bare.domain(), bare.resource()),
            (Some("a"), "b", None)
        );
        assert_eq!(bare.with_resource("d").unwrap().as_str(), "a@b/d");
    }
}
