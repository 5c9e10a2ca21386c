//! Host of a URI or of a Via.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::grammar;
use crate::text::{Text, Written};

/// A host: what stands between `@` and `:port`. RFC 3261 §25.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name as it was written.
    Name(Text),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; between brackets on the wire.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a host, an IPv6 address with or without its brackets; `None` if it is none of the three.
    pub fn parse(text: &str) -> Option<Host> {
        Self::cut(&Text::from(text), text)
    }

    /// Reads the host `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Option<Host> {
        let first = *text.as_bytes().first()?;
        if first == b'[' {
            let address = text.strip_prefix('[')?.strip_suffix(']')?;
            return parse_v6(address).map(Host::V6);
        }
        if first.is_ascii_digit()
            && let Ok(address) = text.parse()
        {
            return Some(Host::V4(address));
        }
        // All of them: so many are looked at as one.
        if text
            .bytes()
            .fold(true, |all, byte| all & is_name_byte(byte))
        {
            return Some(Host::Name(source.cut(text)));
        }
        // Some peers forget the brackets in `received`.
        text.parse().ok().map(Host::V6)
    }

    /// Splits `host[:port]`, white space allowed around both.
    pub(crate) fn cut_with_port(source: &Text, text: &str) -> Option<(Host, Option<u16>)> {
        let text = grammar::trim(text);
        let (host, port) = match text.strip_prefix('[') {
            Some(after) => {
                let (_, rest) = after.split_once(']')?;
                let host = text.get(..text.len().checked_sub(rest.len())?)?;
                let rest = grammar::trim(rest);
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return None,
                }
            }
            None => match grammar::split_at(text, b':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let host = Host::cut(source, grammar::trim(host))?;
        let port = match port {
            Some(port) => Some(grammar::decimal(grammar::trim(port))?),
            None => None,
        };
        Some((host, port))
    }

    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// The domain name, if the host is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Host::Name(name) => Some(name),
            Host::V4(_) | Host::V6(_) => None,
        }
    }

    /// Whether both are the same host: names without regard to case.
    pub fn equivalent(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        }
    }
}

/// The grammar of RFC 3261 leads to a colon too many before an IPv4 address (`2001:db8:::192.0.2.1`), which has to be
/// tolerated. RFC 5118 §4.10.
fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let with_colon_too_many = || text.contains('.').then(|| text.replacen(":::", "::", 1));
    let address = text.parse().ok();
    address.or_else(|| with_colon_too_many()?.parse().ok())
}

/// Letters of a domain name; underscore and anything beyond ASCII occur in practice.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') || !byte.is_ascii()
}

impl Written for Host {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Host::Name(name) => out.write_str(name),
            Host::V4(address) => {
                let [a, b, c, d] = address.octets();
                grammar::write_decimal(out, a.into())?;
                [b, c, d].into_iter().try_for_each(|octet| {
                    out.write_str(".")?;
                    grammar::write_decimal(out, octet.into())
                })
            }
            Host::V6(address) => write!(out, "[{address}]"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        Host::from(address.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("192.0.2.2 : 5060", "192.0.2.2", Some(5060)),
            ("[2001:db8::9]", "[2001:db8::9]", None),
            ("[2001:db8::9]:5061", "[2001:db8::9]", Some(5061)),
            ("host_1.example.com:0", "host_1.example.com", Some(0)),
            ("[2001:db8:::192.0.2.1]:1", "[2001:db8::c000:201]", Some(1)),
        ] {
            let parsed = Host::cut_with_port(&Text::from(text), text).unwrap();
            assert_eq!(
                (parsed.0.to_string().as_str(), parsed.1),
                (host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_host() {
        for text in [
            "",
            ":5060",
            "a b",
            "a@b",
            "[::1",
            "[::1]x",
            "host:",
            "host:65536",
            "host:-1",
            "[1.2.3.4]",
            "[2001:db8:::1]",
            "[::::192.0.2.1]",
            "%65",
        ] {
            assert_eq!(Host::cut_with_port(&Text::from(text), text), None, "{text}");
        }
        assert_eq!(Host::parse("::1"), Some(Host::V6(Ipv6Addr::LOCALHOST)));
    }
}
