//! What an endpoint is told once: its timers, bounds, addresses and what it understands.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use super::authentication::Authentication;
use super::capabilities::METHODS;
use super::credentials::Credentials;
use super::identity::Assertion;
use super::reach::Reach;
use crate::{MessageLimits, Method, Transport, Uri};

/// What we call ourselves if nobody says otherwise.
const USER_AGENT: &str = concat!("stox-sip/", env!("CARGO_PKG_VERSION"));

/// The three times all others follow from. RFC 3261 §17.1.1.1, Table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Estimate of the round trip.
    pub t1: Duration,
    /// Longest pause between retransmissions of a request other than INVITE, or of a response to INVITE.
    pub t2: Duration,
    /// Longest time a message stays in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timers {
    /// 64·T1: Timers B, F, H, J, L, M and N (32 s).
    pub fn transaction(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D: as long as Timer H of any peer may be, so never below 32 s.
    pub fn d(&self) -> Duration {
        self.transaction().max(Duration::from_secs(32))
    }

    /// When Timer E reaches T2 for the first time: from then on a request that is not answered yet
    /// gets 100 (3.5 s). RFC 4320 §4.1.
    pub fn late(&self) -> Duration {
        let (mut interval, mut sum) = (self.t1, Duration::ZERO);
        while interval < self.t2 && !interval.is_zero() {
            sum = sum.saturating_add(interval);
            interval = interval.saturating_mul(2);
        }
        sum
    }
}

/// Bounds on what peers and users can make the endpoint hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What one message of a peer may take; larger requests get 413 or 513.
    pub message: MessageLimits,
    /// Bytes of messages that are not there as a whole yet, of all connections together; the connection that
    /// brings more is closed.
    pub unfinished: usize,
    /// Requests of ours under way, also those that wait for the DNS; further ones fail at once.
    pub client_transactions: usize,
    /// Requests of peers under way; further ones get 503, those inside sessions at twice as many.
    pub server_transactions: usize,
    /// Answered requests of peers kept to absorb retransmissions; the oldest are given up first.
    pub answered_transactions: usize,
    /// Sessions and invitations; further INVITEs get 503 or fail at once.
    pub invites: usize,
    /// Subscriptions of both sides; further ones get 503 or end at once.
    pub subscriptions: usize,
    /// Connections in all; the last quarter is for those that we make, further ones of peers are closed.
    pub connections: usize,
    /// Connections that one IPv4 address or IPv6 network of 64 bits has made to us; further ones are closed.
    pub connections_per_source: usize,
    /// Messages waiting to be written to one connection; at the bound the connection is given up.
    pub write_queue: usize,
    /// Bytes waiting to be written to one connection; at the bound the connection is given up.
    pub unwritten: usize,
    /// Commands waiting for the driver; at the bound the callers wait.
    pub commands: usize,
    /// How long a connection may take to be made.
    pub connect: Duration,
    /// How long a connection may take to bring its first message, or the rest of one it began; and
    /// how long one write may take.
    pub stalled: Duration,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// How long an INVITE may ring without a final response, in either direction; also one inside a session.
    pub ringing: Duration,
    /// How long a nonce of ours may be answered.
    pub nonce: Duration,
    /// Nonces whose use is counted; the oldest are given up first, and their users challenged anew.
    pub nonces: usize,
    /// The longest a target is spared because of its Retry-After.
    pub retry_after: Duration,
    /// Addresses that one request outside of dialogs is sent to because 3xx responses name them (CORE-25); with 0 they are
    /// told instead.
    pub redirections: usize,
}

impl Default for Limits {
    /// 100,000 requests of ours, 100,000 of peers and twice as many answered ones, 100,000 sessions and as many
    /// subscriptions and nonces; 10,000 connections, 1,000 of one source, with 64 MiB of unfinished messages;
    /// 4,096 messages or 8 MiB to be written to each, and 4,096 commands. 5 s to connect, 10 s for what a peer owes, 10 minutes
    /// of silence, 3 minutes of ringing, 5 minutes for a nonce, 1 minute for Retry-After.
    fn default() -> Self {
        Self {
            message: MessageLimits::default(),
            unfinished: 64 * 1024 * 1024,
            client_transactions: 100_000,
            server_transactions: 100_000,
            answered_transactions: 200_000,
            invites: 100_000,
            subscriptions: 100_000,
            connections: 10_000,
            connections_per_source: 1_000,
            write_queue: 4_096,
            unwritten: 8 * 1024 * 1024,
            commands: 4_096,
            connect: Duration::from_secs(5),
            stalled: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            ringing: Duration::from_secs(180),
            nonce: Duration::from_secs(300),
            nonces: 100_000,
            retry_after: Duration::from_secs(60),
            redirections: 5,
        }
    }
}

/// One of our own listening addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it listens for.
    pub transport: Transport,
    /// What it is bound to; may be the unspecified address.
    pub bound: SocketAddr,
    /// What peers can reach it at.
    pub advertised: SocketAddr,
}

/// What becomes of requests from outside of dialogs that are to be secure all the way: to a `sips` URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SipsRequests {
    /// They are told like others.
    #[default]
    Taken,
    /// Refused with 480 and Warning 380: what stands behind us may not be secure (SEC-06). RFC 5630 §5.2.
    Refused,
}

/// What an [`Endpoint`](crate::Endpoint) is told once.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Where we listen; a request of ours names one of them in its Via.
    pub listeners: Vec<Listener>,
    /// What requests of ours may leave by, the preferred first. Without UDP and TCP among them nothing is sent in the
    /// clear, whatever a URI asks for (SEC-01).
    pub transports: Vec<Transport>,
    /// Host and port put in Via and Contact instead of the listener's. Where we listen without TLS as well, the port
    /// is that of those listeners, and TLS keeps its listener's.
    pub public: Option<(String, Option<u16>)>,
    /// Where every request outside a route set goes first.
    pub outbound_proxy: Option<Uri>,
    /// Networks requests are taken from, and whose P-Asserted-Identity is believed. Others get 403 unless
    /// `authentication` asks for a proof instead; empty: every network, believed by nobody.
    pub trusted: Vec<IpNetwork>,
    /// Where addresses that peers name may lead us: Contact, Record-Route, redirections (SEC-11).
    pub reach: Reach,
    /// Who has to prove who they are; of several the first that asks it of a request (SIP-16).
    pub authentication: Vec<Authentication>,
    /// What requests of ours say to trusted networks of who they are from.
    pub assertion: Assertion,
    /// What challenges to requests of ours are answered with (SIP-15).
    pub credentials: Vec<Credentials>,
    /// Whether requests to `sips` URIs are taken.
    pub sips: SipsRequests,
    /// User-Agent in requests and Server in responses.
    pub user_agent: String,
    /// Option tags we understand: told in Supported, accepted in Require.
    pub supported: Vec<String>,
    /// The methods that are taken, told in Allow; others get 405 (SIP-06).
    pub allow: Vec<Method>,
    /// The media types that are taken, told in Accept; a request with another body that has to be understood gets 415.
    /// Empty: bodies are told whatever their type (SIP-19).
    pub accept: Vec<String>,
    /// The longest pause between pings on connections that we made; each is up to a fifth shorter. A peer that has promised
    /// to answer (`keep`, RFC 6223) and does not within ten seconds is gone. None: nobody is pinged. RFC 5626 §4.4.1.
    pub keep_alive: Option<Duration>,
    /// The timers.
    pub timers: Timers,
    /// The bounds.
    pub limits: Limits,
}

/// Nowhere listened, UDP and TCP to send by, nobody trusted, or challenged.
impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            transports: vec![Transport::Udp, Transport::Tcp],
            public: None,
            outbound_proxy: None,
            trusted: Vec::new(),
            reach: Reach::default(),
            authentication: Vec::new(),
            assertion: Assertion::default(),
            credentials: Vec::new(),
            sips: SipsRequests::default(),
            user_agent: USER_AGENT.to_owned(),
            supported: Vec::new(),
            allow: METHODS.to_vec(),
            accept: Vec::new(),
            keep_alive: None,
            timers: Timers::default(),
            limits: Limits::default(),
        }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpNetworkError {
    /// Not an IPv4 or IPv6 address before the slash.
    #[error("expected an IP address, alone or followed by /prefix")]
    Address,
    /// Not a number, or more bits than the address has.
    #[error("expected a prefix of 0 to 32 (IPv4) or 0 to 128 (IPv6)")]
    Prefix,
}

impl IpNetwork {
    /// The network of the first `prefix` bits of `address`.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, IpNetworkError> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix > bits {
            Err(IpNetworkError::Prefix)
        } else {
            Ok(Self { address, prefix })
        }
    }

    /// Whether `address` lies inside; IPv4 written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, of which a single host has all addresses.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| IpNetworkError::Address)?;
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| IpNetworkError::Prefix)?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        Self::new(address, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_shares_their_prefix() {
        for (network, address, expected) in [
            ("127.0.0.0/8", "127.1.2.3", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            let network: IpNetwork = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network:?} {address}"
            );
        }
        assert_eq!(
            "10.0.0.0/33".parse::<IpNetwork>(),
            Err(IpNetworkError::Prefix)
        );
        assert_eq!(
            "localhost/8".parse::<IpNetwork>(),
            Err(IpNetworkError::Address)
        );
    }

    #[test]
    fn timers_follow_from_t1_and_t2() {
        let timers = Timers::default();
        assert_eq!(timers.transaction(), Duration::from_secs(32));
        assert_eq!(timers.late(), Duration::from_millis(3500));
    }
}
