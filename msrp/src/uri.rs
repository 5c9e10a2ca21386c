//! MSRP URIs: the names of sessions. RFC 4975 §6.

use std::{fmt, net::IpAddr, str::FromStr};

use rand::Rng;
use thiserror::Error;

use crate::ident::fill_random;

/// Whether the connection is protected by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `msrp`: plain TCP.
    Msrp,
    /// `msrps`: TLS.
    Msrps,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Scheme::Msrp => "msrp",
            Scheme::Msrps => "msrps",
        }
    }
}

/// The name of a session at a host, as `msrp://host:port/session-id;tcp`.
///
/// Userinfo and unknown parameters are dropped on reading. Equal as RFC 4975 §6.1 compares: session id by case,
/// everything else not.
#[derive(Debug, Clone)]
pub struct MsrpUri {
    scheme: Scheme,
    host: Box<str>,
    port: Option<u16>,
    session_id: Box<str>,
    transport: Option<Box<str>>,
}

/// Why a text is not an MSRP URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UriError {
    /// The scheme is neither `msrp` nor `msrps`.
    #[error("the scheme is neither msrp nor msrps")]
    Scheme,
    /// No host, or one with characters no host has.
    #[error("the host is missing or malformed")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The session id has characters none may have.
    #[error("the session id is malformed")]
    SessionId,
    /// No transport parameter, as in `;tcp`.
    #[error("the transport is missing or malformed")]
    Transport,
}

impl MsrpUri {
    /// A fresh session at `host` and `port`, its id of 120 random bits (MSRP-01). An IPv6 address is given without
    /// brackets. RFC 4975 §14.1.
    pub fn mint(scheme: Scheme, host: &str, port: u16, rng: &mut impl Rng) -> MsrpUri {
        let mut id = [0; 24];
        fill_random(rng, id.iter_mut());
        MsrpUri {
            scheme,
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port: Some(port),
            session_id: id.iter().map(|byte| char::from(*byte)).collect(),
            transport: None,
        }
    }

    /// Plain or TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Missing only in URIs of relays.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Empty if the URI names a host and no session.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// `tcp`, in any case of letters.
    pub fn is_tcp(&self) -> bool {
        self.transport().eq_ignore_ascii_case("tcp")
    }

    fn transport(&self) -> &str {
        self.transport.as_deref().unwrap_or("tcp")
    }
}

impl FromStr for MsrpUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<MsrpUri, UriError> {
        let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
        let scheme = if scheme.eq_ignore_ascii_case("msrp") {
            Scheme::Msrp
        } else if scheme.eq_ignore_ascii_case("msrps") {
            Scheme::Msrps
        } else {
            return Err(UriError::Scheme);
        };
        let (place, parameters) = rest.split_once(';').ok_or(UriError::Transport)?;
        let (authority, session_id) = place.split_once('/').unwrap_or((place, ""));
        if !session_id.bytes().all(is_session_id_char) {
            return Err(UriError::SessionId);
        }
        let (host, port) = split_authority(authority)?;
        let transport = parameters.split(';').next().unwrap_or_default();
        if transport.is_empty() || !transport.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(UriError::Transport);
        }
        Ok(MsrpUri {
            scheme,
            host: host.into(),
            port,
            session_id: session_id.into(),
            transport: (transport != "tcp").then(|| transport.into()),
        })
    }
}

impl fmt::Display for MsrpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if !self.session_id.is_empty() {
            write!(f, "/{}", self.session_id)?;
        }
        write!(f, ";{}", self.transport())
    }
}

impl PartialEq for MsrpUri {
    fn eq(&self, other: &MsrpUri) -> bool {
        self.session_id == other.session_id
            && self.scheme == other.scheme
            && self.port == other.port
            && self.transport().eq_ignore_ascii_case(other.transport())
            && is_same_host(&self.host, &other.host)
    }
}

impl Eq for MsrpUri {}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_userinfo, place)| place);
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UriError::Host)?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UriError::Host);
            }
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(UriError::Port)?),
            };
            (host, port)
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_host = !host.is_empty() && host.bytes().all(is_host_char);
    if !is_host {
        return Err(UriError::Host);
    }
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port = digits.parse::<std::num::NonZeroU16>();
            Some(port.map_err(|_| UriError::Port)?.get())
        }
        Some(_) => return Err(UriError::Port),
    };
    Ok((host, port))
}

fn is_host_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'%')
}

fn is_session_id_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' | b'%')
}

pub(crate) fn is_same_host(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => {
            (one.contains('%') || other.contains('%'))
                && decoded(one).eq_ignore_ascii_case(&decoded(other))
        }
    }
}

/// The host with its percent-encoded characters decoded, for comparison only.
fn decoded(host: &str) -> Vec<u8> {
    let mut rest = host.as_bytes();
    let mut decoded = Vec::with_capacity(host.len());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => decoded.push(*first),
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn uri(text: &str) -> MsrpUri {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes() {
        for text in [
            "msrp://host.example.com:8493/asfd34;tcp",
            "msrps://[2001:db8::1]:2855/a.b-c_d~e+f=g/h;tcp",
            "msrp://192.0.2.1:9/x;tcp",
            "msrp://relay.example.com;tcp",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
        let full = uri("MSRP://user:pw@A.example:7394/2s93i9ek2a;TCP;newparam=1");
        assert_eq!(full.to_string(), "msrp://A.example:7394/2s93i9ek2a;TCP");
        assert!(full.is_tcp());
    }

    #[test]
    fn refuses_what_is_no_uri() {
        for (text, error) in [
            ("sip:a@b", UriError::Scheme),
            ("http://a:1/b;tcp", UriError::Scheme),
            ("msrp://a:1/b", UriError::Transport),
            ("msrp://a:1/b;", UriError::Transport),
            ("msrp://:1/b;tcp", UriError::Host),
            ("msrp://a b:1/b;tcp", UriError::Host),
            ("msrp://[::1:1/b;tcp", UriError::Host),
            ("msrp://a:99999/b;tcp", UriError::Port),
            ("msrp://a:+1/b;tcp", UriError::Port),
            ("msrp://a:1/b c;tcp", UriError::SessionId),
            ("msrp://a:1/b\r\nX: y;tcp", UriError::SessionId),
        ] {
            assert_eq!(text.parse::<MsrpUri>(), Err(error), "{text:?}");
        }
    }

    // MSRP-05, RFC 4975 §6.1
    #[test]
    fn compares_as_the_rfc_says() {
        let ours = uri("msrp://Host.example:7654/jshA7we;tcp");
        for same in [
            "MSRP://host.EXAMPLE:7654/jshA7we;tcp",
            "msrp://user@host.example:7654/jshA7we;TCP",
            "msrp://ho%73t.example:7654/jshA7we;tcp",
        ] {
            assert_eq!(ours, uri(same), "{same}");
        }
        for other in [
            "msrps://host.example:7654/jshA7we;tcp",
            "msrp://host.example:7654/jsha7we;tcp",
            "msrp://host.example:7655/jshA7we;tcp",
            "msrp://host.example/jshA7we;tcp",
            "msrp://host.example:7654;tcp",
            "msrp://host.example:7654/jshA7we;ws",
            "msrp://other.example:7654/jshA7we;tcp",
        ] {
            assert_ne!(ours, uri(other), "{other}");
        }
        assert_eq!(
            uri("msrp://[2001:db8:0::1]:9/a;tcp"),
            uri("msrp://[2001:DB8::1]:9/a;tcp")
        );
    }

    // MSRP-01
    #[test]
    fn minted_uris_differ_and_can_be_read_back() {
        let mut rng = StdRng::seed_from_u64(7);
        let one = MsrpUri::mint(Scheme::Msrp, "::1", 2855, &mut rng);
        let two = MsrpUri::mint(Scheme::Msrp, "::1", 2855, &mut rng);
        assert_ne!(one, two);
        assert_eq!(one.session_id().len(), 24);
        assert_eq!(uri(&one.to_string()), one);
    }
}
