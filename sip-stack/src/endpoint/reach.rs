//! Where an address that a peer names may lead us (SEC-11).

use std::net::{IpAddr, Ipv6Addr};

use super::config::IpNetwork;

/// Who comes from outside has nothing to name inside: an address that a peer names (Contact, Record-Route, a session
/// description) leads us into a network that is not everybody's only if the peer itself comes from such a network.
///
/// Public addresses may be named by all, private ones by who has a private, link-local or loopback address, link-local ones by
/// who has a link-local or loopback address, loopback ones by who is on the same machine.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// May be named by all.
    open: Vec<IpNetwork>,
}

/// Who can have an address, the fewest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Machine,
    Link,
    Private,
    Public,
}

impl Reach {
    /// With these networks open to all.
    pub fn opening(open: Vec<IpNetwork>) -> Reach {
        Reach { open }
    }

    /// Whether an address that was named by who is at `from` may be sent to.
    pub fn leads(&self, from: IpAddr, to: IpAddr) -> bool {
        Scope::of(from) <= Scope::of(to) || self.open.iter().any(|network| network.contains(to))
    }
}

impl Scope {
    fn of(address: IpAddr) -> Scope {
        match address.to_canonical() {
            // To connect to the unspecified address is to connect to oneself; groups are nobody's.
            address
                if address.is_loopback() || address.is_unspecified() || address.is_multicast() =>
            {
                Scope::Machine
            }
            IpAddr::V4(address) if address.is_broadcast() || address.octets()[0] == 0 => {
                Scope::Machine
            }
            IpAddr::V4(address) if address.is_link_local() => Scope::Link,
            IpAddr::V6(address) if address.is_unicast_link_local() => Scope::Link,
            IpAddr::V4(address) if address.is_private() => Scope::Private,
            // Between a provider and its customers. RFC 6598.
            IpAddr::V4(address) if matches!(address.octets(), [100, 64..=127, ..]) => {
                Scope::Private
            }
            IpAddr::V6(address) if address.is_unique_local() => Scope::Private,
            IpAddr::V6(address) => within_v6(address),
            IpAddr::V4(_) => Scope::Public,
        }
    }
}

/// An IPv4 address behind a translator is as near as it is without. RFC 6052 §2.1, RFC 3056.
fn within_v6(address: Ipv6Addr) -> Scope {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let address = (u32::from(high) << 16) | u32::from(low);
        Scope::of(IpAddr::V4(address.into()))
    };
    match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => v4(g, h),
        (0x2002, high) => v4(high, c),
        (0, 0) if [c, d, e, f] == [0; 4] => v4(g, h),
        _ => Scope::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-11
    #[test]
    fn nobody_names_what_is_nearer_than_he_is() {
        let reach = Reach::opening(vec!["10.9.0.0/16".parse().unwrap()]);
        let sources = ["127.0.0.1", "169.254.7.7", "10.0.0.7", "192.0.2.7"];
        for (to, expected) in [
            ("127.0.0.1", [true, false, false, false]),
            ("127.9.9.9", [true, false, false, false]),
            ("0.0.0.0", [true, false, false, false]),
            ("0.1.2.3", [true, false, false, false]),
            ("::1", [true, false, false, false]),
            ("::", [true, false, false, false]),
            ("::ffff:127.0.0.1", [true, false, false, false]),
            ("::127.0.0.1", [true, false, false, false]),
            ("64:ff9b::127.0.0.1", [true, false, false, false]),
            ("2002:7f00:1::", [true, false, false, false]),
            ("224.0.0.1", [true, false, false, false]),
            ("255.255.255.255", [true, false, false, false]),
            ("169.254.169.254", [true, true, false, false]),
            ("fe80::1", [true, true, false, false]),
            ("10.0.0.1", [true, true, true, false]),
            ("172.16.0.1", [true, true, true, false]),
            ("192.168.1.1", [true, true, true, false]),
            ("100.64.0.1", [true, true, true, false]),
            ("fd00::1", [true, true, true, false]),
            ("64:ff9b::10.0.0.1", [true, true, true, false]),
            ("10.9.0.1", [true; 4]),
            ("192.0.2.1", [true; 4]),
            ("2001:db8::1", [true; 4]),
        ] {
            let led = sources.map(|from| reach.leads(from.parse().unwrap(), to.parse().unwrap()));
            assert_eq!(led, expected, "{to}");
        }
    }
}
