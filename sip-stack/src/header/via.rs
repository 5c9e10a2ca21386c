//! Via.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::grammar;
use crate::host::Host;
use crate::message::Transport;
use crate::params::Params;
use crate::text::{Text, Written};

/// The transport a Via names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ViaTransport {
    /// One that this crate speaks.
    Known(Transport),
    /// Any other as it was written; of hops that we do not talk to ourselves.
    Other(Text),
}

impl fmt::Display for ViaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ViaTransport::Known(transport) => transport.fmt(f),
            ViaTransport::Other(name) => name.fmt(f),
        }
    }
}

/// One hop of a request: where its responses go. RFC 3261 §20.42, RFC 3581.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Via {
    /// By what the hop sent the request.
    pub transport: ViaTransport,
    /// Host of the sent-by.
    pub host: Host,
    /// Port of the sent-by, if one was given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params,
}

/// With this a branch begins that is unique in space and time. RFC 3261 §8.1.1.7.
const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// A hop without parameters.
    pub fn new(transport: Transport, host: Host, port: Option<u16>) -> Self {
        Via {
            transport: ViaTransport::Known(transport),
            host,
            port,
            params: Params::new(),
        }
    }

    /// The same with this branch.
    pub fn with_branch(mut self, branch: &str) -> Self {
        self.params.set(Text::from_static("branch"), Some(branch));
        self
    }

    /// The same with a request to send responses to the port that this came from. RFC 3581 §3.
    pub fn with_rport(mut self) -> Self {
        self.params.set(Text::from_static("rport"), None::<Text>);
        self
    }

    /// The same with this parameter.
    pub fn with_param(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.params.set(Text::from_static(name), value);
        self
    }

    /// The branch, if there is one that is not empty.
    pub fn branch(&self) -> Option<&str> {
        self.params
            .get("branch")
            .flatten()
            .filter(|branch| !branch.is_empty())
    }

    /// Whether the branch identifies the transaction by itself: the magic cookie and something after it. Otherwise the rules
    /// of RFC 2543 apply. RFC 3261 §17.2.3.
    pub fn has_unique_branch(&self) -> bool {
        self.branch()
            .and_then(|branch| branch.split_at_checked(MAGIC_COOKIE.len()))
            .is_some_and(|(cookie, rest)| {
                cookie.eq_ignore_ascii_case(MAGIC_COOKIE) && !rest.is_empty()
            })
    }

    /// The address that the request really came from, as the next hop saw it.
    pub fn received(&self) -> Option<IpAddr> {
        Host::parse(self.params.get("received")??)?.ip()
    }

    /// `rport`: `None` if it is not there, `Some(None)` if it is asked for, `Some(Some(port))` if it was filled in.
    /// RFC 3581 §4.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params
            .get("rport")
            .map(|value| value.and_then(grammar::decimal))
    }

    /// The host that responses are to go to instead of the sent-by.
    pub fn maddr(&self) -> Option<Host> {
        Host::parse(self.params.get("maddr")??)
    }

    /// Time to live of a multicast packet.
    pub fn ttl(&self) -> Option<u8> {
        grammar::decimal(self.params.get("ttl")??)
    }

    /// Whether both were sent by the same host and port; no port is not the same as the default port.
    pub fn same_sent_by(&self, other: &Via) -> bool {
        self.port == other.port && self.host.equivalent(&other.host)
    }

    /// Reads one Via value; `None` if it is none.
    pub fn parse(text: &str) -> Option<Via> {
        Self::cut(&Text::from(text), text)
    }

    /// Reads the Via value `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Option<Via> {
        let (protocol, rest) = grammar::split_at(text, b'/')?;
        let (version, rest) = grammar::split_at(rest, b'/')?;
        if !grammar::trim(protocol).eq_ignore_ascii_case("SIP") || !is_version(version) {
            return None;
        }
        let rest = grammar::trim(rest);
        let (transport, rest) = rest.split_once([' ', '\t', '\r', '\n'])?;
        let transport = match Transport::parse(transport) {
            Some(transport) => ViaTransport::Known(transport),
            None if grammar::is_token(transport) => ViaTransport::Other(source.cut(transport)),
            None => return None,
        };
        let (sent_by, params) = match grammar::split_at(rest, b';') {
            Some((sent_by, params)) => (sent_by, Params::parse_header(source, params)?),
            None => (rest, Params::new()),
        };
        let (host, port) = Host::cut_with_port(source, sent_by)?;
        Some(Via {
            transport,
            host,
            port,
            params,
        })
    }
}

/// Any version will do: a request of another version is refused, and for that its Via must be understood.
fn is_version(text: &str) -> bool {
    let version = grammar::trim(text);
    version == "2.0"
        || version
            .split('.')
            .all(|number| grammar::decimal::<u8>(number).is_some())
}

impl Via {
    /// Writes it without its parameters.
    fn write_hop(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str("SIP/2.0/")?;
        out.write_str(match &self.transport {
            ViaTransport::Known(transport) => transport.as_str(),
            ViaTransport::Other(name) => name,
        })?;
        out.write_str(" ")?;
        self.host.write(out)?;
        if let Some(port) = self.port {
            out.write_str(":")?;
            grammar::write_decimal(out, port.into())?;
        }
        Ok(())
    }
}

impl Written for Via {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.write_hop(out)?;
        self.params.write(out)
    }
}

/// A Via with the address that its request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
pub(crate) struct Noted<'a> {
    pub(crate) via: &'a Via,
    pub(crate) remote: SocketAddr,
}

impl Written for Noted<'_> {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.via.write_hop(out)?;
        let address = Host::from(self.remote.ip());
        let mut is_noted = false;
        for (name, value) in self.via.params.iter() {
            out.write_str(";")?;
            out.write_str(name)?;
            if name.eq_ignore_ascii_case("received") && !is_noted {
                is_noted = true;
                out.write_str("=")?;
                write_bare(&address, out)?;
            } else if name.eq_ignore_ascii_case("rport") {
                out.write_str("=")?;
                grammar::write_decimal(out, self.remote.port().into())?;
            } else if let Some(value) = value {
                out.write_str("=")?;
                out.write_str(value)?;
            }
        }
        if is_noted {
            return Ok(());
        }
        out.write_str(";received=")?;
        write_bare(&address, out)
    }
}

/// An IPv6 address has no brackets there. RFC 3261 §25.1 (via-received).
fn write_bare(address: &Host, out: &mut impl fmt::Write) -> fmt::Result {
    match address {
        Host::V6(address) => write!(out, "{address}"),
        Host::V4(_) | Host::Name(_) => address.write(out),
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-02 SIP-04
    #[test]
    fn vias_in_all_their_forms() {
        let via = Via::parse(
            "SIP  / 2.0\t/ TCP     spindle.example.com   ;\tbranch  =   z9hG4bK9ikj8  ,",
        )
        .map(|via| via.to_string());
        assert_eq!(
            via.as_deref(),
            Some("SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8  ,")
        );

        let via = Via::parse("SIP/2.0/udp [2001:db8::9:1]:5061;received=[2001:db8::9:255];rport=5070;branch=z9hG4bKas3-111;ttl=16;maddr=224.2.0.1").unwrap();
        assert_eq!(via.transport, ViaTransport::Known(Transport::Udp));
        assert_eq!(
            (via.host.to_string().as_str(), via.port),
            ("[2001:db8::9:1]", Some(5061))
        );
        assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
        assert_eq!(via.rport(), Some(Some(5070)));
        assert_eq!(via.maddr(), Host::parse("224.2.0.1"));
        assert_eq!(via.ttl(), Some(16));
        assert!(via.has_unique_branch());

        let via = Via::parse("SIP/2.0/UNKNOWN t1.example.com:5060;rport;branch=1").unwrap();
        assert_eq!(via.transport, ViaTransport::Other(Text::from("UNKNOWN")));
        assert_eq!(via.rport(), Some(None));
        assert!(!via.has_unique_branch());
        assert_eq!(
            Via::parse("SIP/2.0/UDP a;received=2001:db8::1")
                .unwrap()
                .received(),
            Some("2001:db8::1".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_via() {
        for text in [
            "",
            ";",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/x/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0/U(P a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP :5060",
        ] {
            assert_eq!(Via::parse(text), None, "{text}");
        }
    }

    #[test]
    fn vias_are_built_and_compared() {
        let via = Via::new(
            Transport::Tls,
            Host::parse("Example.com").unwrap(),
            Some(5061),
        )
        .with_branch("z9hG4bK1")
        .with_rport();
        assert_eq!(
            via.to_string(),
            "SIP/2.0/TLS Example.com:5061;branch=z9hG4bK1;rport"
        );
        assert!(via.same_sent_by(&Via::parse("SIP/2.0/UDP example.com:5061").unwrap()));
        assert!(!via.same_sent_by(&Via::parse("SIP/2.0/TLS example.com").unwrap()));
    }
}
