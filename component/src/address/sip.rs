//! How SIP addresses and XMPP addresses name each other.
//!
//! A SIP user `sip:romeo@example.net` has three spellings on the component's domain: `romeo%example.net`,
//! `romeo\40example.net`, and `romeo` where `example.net` is the default domain. All are understood, whatever the
//! configured style; the style says which one is written. RFC 7247 §6, CORE-01 to CORE-08, CORE-14.

use std::fmt;

use stox_sip::{Host, Scheme, Status, Uri};
use thiserror::Error;

use super::allowed::Allowed;
use super::escape;
use super::jid::{Jid, JidError, MAX_PART};
use crate::fault::{Condition, Fault};

/// How SIP users are written where nobody has written to them first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressStyle {
    /// `romeo%example.net`; a user with a `%` in the name is written escaped.
    #[default]
    Percent,
    /// `romeo\40example.net`, by XEP-0106.
    Escaped,
}

/// The address book of one component: the mapping in both directions.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The component's domain, in lower case.
    domain: String,
    /// The SIP domain of users written without one, in lower case.
    default_domain: Option<String>,
    style: AddressStyle,
    allowed: Allowed,
}

/// A SIP user's address of record, in one canonical spelling so that it can be a key.
///
/// The user part is percent-encoded exactly where the `user` rule demands it and keeps its letter case; the host is in
/// lower case and an A-label. Port, password and parameters are no part of it. RFC 3261 §19.1.4, CORE-13.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Aor {
    user: String,
    host: Host,
    host_text: String,
}

/// A SIP user, or one device of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipContact {
    /// The user.
    pub aor: Aor,
    /// The value of `gr`, decoded.
    pub device: Option<String>,
}

/// Why an address has no counterpart in the other world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// A URI that names no user of messaging (`tel:`, `http:`…).
    #[error("the scheme of the URI names no user")]
    Scheme,
    /// The address names a host and nobody on it.
    #[error("the address names no user")]
    NoUser,
    /// The user part is not UTF-8 after decoding.
    #[error("the user part is not UTF-8")]
    NotUtf8,
    /// A character that the other side cannot carry, not even escaped.
    #[error("the address has a character that cannot be carried over")]
    Forbidden,
    /// Longer than 1023 bytes after the mapping.
    #[error("the address is too long")]
    TooLong,
    /// An XMPP address on the component's domain that names no SIP domain, and there is no default.
    #[error("the address names no SIP domain: user%domain before the @ does")]
    NoDomain,
    /// What should be a domain is none.
    #[error("the address names no valid domain")]
    BadDomain,
    /// An XMPP address that is not on the component's domain.
    #[error("the address is not on the gateway's domain")]
    NotOurs,
    /// The address leads back to the side it came from.
    #[error("the address leads back through the gateway")]
    Hairpin,
    /// An XMPP user the gateway is not for (SEC-04).
    #[error("the address may not use this gateway")]
    NotAllowed,
}

impl Addresses {
    /// The mapping for a component with this domain.
    pub fn new(domain: &str, default_domain: Option<&str>, style: AddressStyle) -> Addresses {
        Addresses {
            domain: domain.to_lowercase(),
            default_domain: default_domain.map(str::to_lowercase),
            style,
            allowed: Allowed::Everybody,
        }
    }

    /// The same for these XMPP users alone.
    pub fn allowing(self, allowed: Allowed) -> Addresses {
        Addresses { allowed, ..self }
    }

    /// Whether that XMPP user may use the gateway (SEC-04).
    pub fn allows(&self, jid: &Jid) -> bool {
        self.allowed.includes(jid)
    }

    /// The SIP domain of users that are named without one.
    pub fn default_domain(&self) -> Option<&str> {
        self.default_domain.as_deref()
    }

    /// The SIP user, or device, that an address on the component's domain stands for.
    pub fn sip_of(&self, jid: &Jid) -> Result<SipContact, AddressError> {
        if !self.is_own(jid.domain()) {
            return Err(AddressError::NotOurs);
        }
        let node = jid.node().ok_or(AddressError::NoUser)?;
        let aor = match escape::split_at_domain(node)
            .map(|(user, domain)| (user, to_host(&escape::unescape(domain))))
        {
            Some((user, Some(host))) => Aor::new(&escape::unescape(user), host)?,
            _ => {
                let domain = self
                    .default_domain
                    .as_deref()
                    .ok_or(AddressError::NoDomain)?;
                Aor::new(
                    &escape::unescape(node),
                    to_host(domain).ok_or(AddressError::BadDomain)?,
                )?
            }
        };
        if self.is_own(&aor.host_text) && !self.is_sip_domain() {
            return Err(AddressError::Hairpin);
        }
        Ok(SipContact {
            aor,
            device: jid.resource().map(str::to_owned),
        })
    }

    /// The address on the component's domain that a SIP user gets, in the configured style and prepared to lower case;
    /// with the device's `gr` as resourcepart. CORE-03, CORE-06.
    pub fn jid_of(&self, uri: &Uri) -> Result<Jid, AddressError> {
        let (user, host) = user_and_host(uri)?;
        let host = host_text(host);
        let user = user.to_lowercase();
        let escaped = escape::escape(&user);
        let node = if self.is_own(&host)
            && self.is_sip_domain()
            && escape::split_at_domain(&escaped).is_none()
        {
            escaped
        } else if self.style == AddressStyle::Percent && !user.contains('%') {
            format!("{escaped}%{}", escape::escape(&host))
        } else {
            format!(r"{escaped}\40{}", escape::escape(&host))
        };
        assemble(&node, &self.domain, device_of(uri).as_deref())
    }

    /// The XMPP user that a SIP URI names, prepared to lower case: `sip:juliet@example.com`, or
    /// `sip:juliet%40example.com@H` on the component's domain `H`. CORE-02.
    pub fn xmpp_target(&self, uri: &Uri) -> Result<Jid, AddressError> {
        let (user, host) = user_and_host(uri)?;
        let user = user.to_lowercase();
        let device = device_of(uri);
        if !self.is_own(&host_text(host)) {
            return assemble(&escape::escape(&user), &to_domain(host), device.as_deref());
        }
        // Without a domain of its own the user would be one of the SIP side.
        let (user, domain) = user.rsplit_once('@').ok_or(AddressError::Hairpin)?;
        let domain = to_host(domain).ok_or(AddressError::BadDomain)?;
        if self.is_own(&host_text(&domain)) {
            return Err(AddressError::Hairpin);
        }
        if user.is_empty() {
            return Err(AddressError::NoUser);
        }
        assemble(
            &escape::escape(user),
            &to_domain(&domain),
            device.as_deref(),
        )
    }

    /// The URI an XMPP user has on the SIP side: `sip:juliet@example.com`, with `gr` for a full JID. Only who may use the
    /// gateway has one. CORE-05, CORE-08, SEC-04.
    pub fn sip_of_xmpp(&self, jid: &Jid) -> Result<Uri, AddressError> {
        if !self.allows(jid) {
            return Err(AddressError::NotAllowed);
        }
        self.uri_of_xmpp(jid)
    }

    fn uri_of_xmpp(&self, jid: &Jid) -> Result<Uri, AddressError> {
        if self.is_own(jid.domain()) {
            return Err(AddressError::Hairpin);
        }
        let host = to_host(jid.domain()).ok_or(AddressError::BadDomain)?;
        let user = jid
            .node()
            .map(|node| escape::encode_user(&escape::unescape(node)));
        let uri = Uri::new(Scheme::Sip, user.as_deref(), host);
        Ok(match jid.resource() {
            Some(resource) => uri.with_param("gr", Some(&escape::encode_param(resource))),
            None => uri,
        })
    }

    /// The new address that a redirecting SIP Contact tells, as XMPP writes it: the `xmpp:` URI of its JID. CORE-24.
    pub fn new_address_for_xmpp(&self, contact: &Uri) -> Option<String> {
        self.jid_of(contact).ok().map(|jid| xmpp_uri(&jid))
    }

    /// The new address in an XMPP `<gone/>` or `<redirect/>`, as a SIP Contact. `None` where it has no counterpart: then
    /// the address is better not told. RFC 5122 §2.1, CORE-20.
    pub fn new_address_for_sip(&self, address: &str) -> Option<Uri> {
        if !address.starts_with("xmpp:") {
            let uri = Uri::parse(address).ok()?;
            return matches!(uri.scheme(), Scheme::Sip | Scheme::Sips).then_some(uri);
        }
        let jid = jid_of_xmpp_uri(address)?;
        match self.sip_of(&jid) {
            Ok(contact) => Some(contact.uri()),
            Err(AddressError::NotOurs) => self.uri_of_xmpp(&jid).ok(),
            Err(_) => None,
        }
    }

    fn is_own(&self, domain: &str) -> bool {
        without_dot(domain).to_lowercase() == self.domain
    }

    /// Whether the component's domain is a SIP domain as well, so that `sip:romeo@H` is a SIP user. CORE-01.
    fn is_sip_domain(&self) -> bool {
        self.default_domain.as_deref() == Some(&self.domain)
    }
}

/// A JID as `xmpp:` URI, percent-encoded. RFC 5122 §2.2.
pub fn xmpp_uri(jid: &Jid) -> String {
    let encode = |part: Option<&str>| part.map(escape::encode_user).unwrap_or_default();
    let at = if jid.node().is_some() { "@" } else { "" };
    let slash = if jid.is_bare() { "" } else { "/" };
    format!(
        "xmpp:{}{at}{}{slash}{}",
        encode(jid.node()),
        jid.domain(),
        encode(jid.resource())
    )
}

/// The JID that an `xmpp:` URI names. RFC 5122 §2.2.
pub fn jid_of_xmpp_uri(uri: &str) -> Option<Jid> {
    let address = uri.trim().strip_prefix("xmpp:")?;
    let address = address.split(['?', '#']).next()?;
    Jid::parse(&escape::percent_decode(address)?).ok()
}

/// The device a URI names: the value of `gr`, decoded. A `gr` without value (a temporary GRUU) names none, nor does one
/// that no resourcepart can carry. RFC 7247 §6.3, CORE-08, CORE-09.
pub fn device_of(uri: &Uri) -> Option<String> {
    device_of_value(uri.param("gr")??)
}

/// The device named by a `gr` value, wherever it stood. See [`device_of`].
pub fn device_of_value(gr: &str) -> Option<String> {
    escape::percent_decode(gr).filter(|device| {
        !device.is_empty() && device.len() <= MAX_PART && !device.contains(char::is_control)
    })
}

/// The URI with that device and no other, which may be none.
pub fn with_device(uri: &Uri, device: Option<&str>) -> Uri {
    let bare = uri.clone();
    let bare = match bare.param("gr") {
        Some(_) => bare.without_param("gr"),
        None => bare,
    };
    match device {
        Some(device) => bare.with_param("gr", Some(&gr_of(device))),
        None => bare,
    }
}

/// The `gr` value that names a device (CORE-08).
pub fn gr_of(device: &str) -> String {
    escape::encode_param(device)
}

impl Aor {
    /// The address of record of a URI; everything but user and host is left aside.
    pub fn of(uri: &Uri) -> Result<Aor, AddressError> {
        let (user, host) = user_and_host(uri)?;
        Aor::new(
            &user,
            to_host(&host_text(host)).ok_or(AddressError::BadDomain)?,
        )
    }

    fn new(user: &str, host: Host) -> Result<Aor, AddressError> {
        if user.is_empty() {
            return Err(AddressError::NoUser);
        }
        Ok(Aor {
            user: escape::encode_user(user),
            host_text: host.to_string(),
            host,
        })
    }

    /// The user part, percent-encoded as on the wire.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host, as on the wire.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The `sip:` URI.
    pub fn uri(&self) -> Uri {
        Uri::new(Scheme::Sip, Some(&self.user), self.host.clone())
    }
}

impl SipContact {
    /// The `sip:` URI, with `gr` for a device.
    pub fn uri(&self) -> Uri {
        match &self.device {
            Some(device) => self
                .aor
                .uri()
                .with_param("gr", Some(&escape::encode_param(device))),
            None => self.aor.uri(),
        }
    }
}

impl AddressError {
    /// What refuses a SIP request with such an address. CORE-03, CORE-18, CORE-19.
    pub fn status(self) -> Status {
        match self {
            AddressError::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            AddressError::NotUtf8 => Status::BAD_REQUEST,
            AddressError::TooLong => Status::REQUEST_URI_TOO_LONG,
            AddressError::Hairpin => Status::LOOP_DETECTED,
            AddressError::NotAllowed => Status::FORBIDDEN,
            AddressError::NoUser | AddressError::Forbidden => Status::NOT_FOUND,
            AddressError::NoDomain | AddressError::BadDomain | AddressError::NotOurs => {
                Status::NOT_FOUND
            }
        }
    }
}

impl From<AddressError> for Fault {
    fn from(error: AddressError) -> Fault {
        let condition = match error {
            AddressError::TooLong | AddressError::NotUtf8 => Condition::JidMalformed,
            AddressError::NotAllowed => Condition::Forbidden,
            AddressError::Scheme | AddressError::Hairpin => Condition::ItemNotFound,
            AddressError::NoUser | AddressError::Forbidden => Condition::ItemNotFound,
            AddressError::NoDomain | AddressError::BadDomain | AddressError::NotOurs => {
                Condition::ItemNotFound
            }
        };
        Fault::new(condition).with_text(error.to_string())
    }
}

/// The decoded user part and the host of a URI that can name a user. The user part ends at the only literal `@`; what
/// was encoded stays in it.
fn user_and_host(uri: &Uri) -> Result<(String, &Host), AddressError> {
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Im | Scheme::Pres => {}
        Scheme::Tel | Scheme::Xmpp | Scheme::Other(_) => return Err(AddressError::Scheme),
    }
    let host = uri.host().ok_or(AddressError::BadDomain)?;
    let user = uri.user().ok_or(AddressError::NoUser)?;
    let user = escape::percent_decode(user).ok_or(AddressError::NotUtf8)?;
    Ok((user, host))
}

fn assemble(node: &str, domain: &str, resource: Option<&str>) -> Result<Jid, AddressError> {
    if node.starts_with(r"\20") || node.ends_with(r"\20") {
        return Err(AddressError::Forbidden);
    }
    Jid::from_parts(Some(node), domain, resource).map_err(|error| match error {
        JidError::TooLong(_) => AddressError::TooLong,
        JidError::Empty(_) => AddressError::NoUser,
        JidError::Forbidden(_) => AddressError::Forbidden,
    })
}

/// A domain as SIP writes it: in lower case, an A-label, without a final dot. `None` if the text is no host. CORE-14.
fn to_host(domain: &str) -> Option<Host> {
    let domain = without_dot(domain);
    let host = match Host::parse(domain)? {
        Host::Name(_) => Host::parse(&idna::domain_to_ascii(domain).ok()?)?,
        address => address,
    };
    let is_sound = |name: &str| {
        !name.is_empty() && name.len() <= 253 && name.split('.').all(|label| !label.is_empty())
    };
    host.name().is_none_or(is_sound).then_some(host)
}

/// A host as XMPP writes it: in lower case, a U-label. CORE-14.
fn to_domain(host: &Host) -> String {
    match host.name() {
        Some(name) => match idna::domain_to_unicode(without_dot(name)) {
            (domain, Ok(())) => domain,
            (_, Err(_)) => host_text(host),
        },
        None => host.to_string(),
    }
}

fn host_text(host: &Host) -> String {
    match host.name() {
        Some(name) => without_dot(name).to_lowercase(),
        None => host.to_string(),
    }
}

fn without_dot(domain: &str) -> &str {
    domain.strip_suffix('.').unwrap_or(domain)
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:{}@{}", self.user, self.host_text)
    }
}

impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
