//! Values of the configuration file: how each kind is written, and what is said when it is not.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use stox_sip::{Host, IpNetwork, Transport, Uri};

use super::{Authority, Listener, Secret, Server, UserAddress};
use crate::address::{AddressStyle, Jid};
use crate::config::ChatMode;

/// Longest duration: what is meant to be forever can be written, and adding it to a clock cannot overflow.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A value written as one string.
trait Written: Sized {
    /// What to say is expected, after the word "expected".
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
}

fn read<T: Written, E: Error>(text: &str) -> Result<T, E> {
    T::read(text).ok_or_else(|| E::custom(format!("expected {}, found \"{text}\"", T::EXPECTED)))
}

macro_rules! deserialize_written {
    ($($type:ty)*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(&String::deserialize(deserializer)?)
            }
        })*
    };
}

deserialize_written! { Server Authority StyleName ModeName Filter UserAddress }

/// For fields whose type is not ours.
pub(super) fn domain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    read(&String::deserialize(deserializer)?).map(|Domain(domain)| domain)
}

pub(super) fn optional_domain<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    domain(deserializer).map(Some)
}

pub(super) fn address_style<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<AddressStyle, D::Error> {
    StyleName::deserialize(deserializer).map(|StyleName(style)| style)
}

pub(super) fn chat_mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChatMode, D::Error> {
    match ModeName::deserialize(deserializer)? {
        ModeName::Mode(mode) => Ok(mode),
        ModeName::Xmpp => Err(D::Error::custom(
            "the mode \"xmpp\" is not supported yet; expected auto, msrp or message",
        )),
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read(&String::deserialize(deserializer)?)
}

pub(super) fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Filter::deserialize(deserializer).map(|Filter(filter)| filter)
}

pub(super) fn socket<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    read(&String::deserialize(deserializer)?)
}

pub(super) fn optional_socket<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    socket(deserializer).map(Some)
}

pub(super) fn optional_proxy<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Uri>, D::Error> {
    read(&String::deserialize(deserializer)?).map(Some)
}

pub(super) fn networks<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpNetwork>, D::Error> {
    list(deserializer)
}

pub(super) fn xmpp_addresses<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Jid>, D::Error> {
    list(deserializer)
}

pub(super) fn sip_listeners<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Listener>, D::Error> {
    let listeners: Vec<SipListener> = list(deserializer)?;
    at_least_one(
        listeners
            .into_iter()
            .map(|SipListener(listener)| listener)
            .collect(),
    )
}

pub(super) fn msrp_listeners<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Listener>, D::Error> {
    let listeners: Vec<MsrpListener> = list(deserializer)?;
    at_least_one(
        listeners
            .into_iter()
            .map(|MsrpListener(listener)| listener)
            .collect(),
    )
}

fn at_least_one<T, E: Error>(list: Vec<T>) -> Result<Vec<T>, E> {
    if list.is_empty() {
        Err(E::custom("expected at least one listener"))
    } else {
        Ok(list)
    }
}

/// A list: an array in the file; in the environment one string with spaces or commas between the entries.
fn list<'de, D: Deserializer<'de>, T: Written>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Entries<T>(std::marker::PhantomData<T>);

    impl<'de, T: Written> Visitor<'de> for Entries<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list, each entry {}", T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
            text.split([',', ' '])
                .filter(|entry| !entry.is_empty())
                .map(read)
                .collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = entries.next_element::<String>()? {
                list.push(read(&entry)?);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(Entries(std::marker::PhantomData))
}

struct Domain(String);

impl Written for Domain {
    const EXPECTED: &'static str = "a domain such as \"sip.example.com\"";

    fn read(text: &str) -> Option<Self> {
        let jid = Jid::parse(text).ok()?;
        (jid.domain() == text && Host::parse(text).is_some()).then(|| Domain(text.to_lowercase()))
    }
}

struct StyleName(AddressStyle);

impl Written for StyleName {
    const EXPECTED: &'static str = "percent or escaped";

    fn read(text: &str) -> Option<Self> {
        match text {
            "percent" => Some(StyleName(AddressStyle::Percent)),
            "escaped" => Some(StyleName(AddressStyle::Escaped)),
            _ => None,
        }
    }
}

enum ModeName {
    Mode(ChatMode),
    Xmpp,
}

impl Written for ModeName {
    const EXPECTED: &'static str = "auto, msrp or message";

    fn read(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(ModeName::Mode(ChatMode::Auto)),
            "msrp" => Some(ModeName::Mode(ChatMode::Msrp)),
            "message" => Some(ModeName::Mode(ChatMode::Message)),
            "xmpp" => Some(ModeName::Xmpp),
            _ => None,
        }
    }
}

struct Filter(String);

impl Written for Filter {
    const EXPECTED: &'static str = "a filter such as \"info\" or \"info,stox=debug\"";

    fn read(text: &str) -> Option<Self> {
        tracing_subscriber::EnvFilter::try_new(text).ok()?;
        Some(Filter(text.to_owned()))
    }
}

impl Written for Duration {
    const EXPECTED: &'static str = "a duration such as \"10m\", \"90s\" or \"500ms\"";

    fn read(text: &str) -> Option<Self> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit_at)?;
        let number: u64 = number.parse().ok()?;
        let duration = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3_600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        };
        (duration <= MAX_DURATION).then_some(duration)
    }
}

impl Written for SocketAddr {
    const EXPECTED: &'static str = "an IP address and port such as \"127.0.0.1:9790\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Written for IpNetwork {
    const EXPECTED: &'static str = "a network such as \"127.0.0.0/8\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Written for Jid {
    const EXPECTED: &'static str = "a domain or an address such as \"juliet@example.com\"";

    fn read(text: &str) -> Option<Self> {
        let jid = Jid::parse(&text.to_lowercase()).ok()?;
        jid.is_bare().then_some(jid)
    }
}

impl Written for Uri {
    const EXPECTED: &'static str = "a SIP URI such as \"sip:127.0.0.1:5080;transport=tcp\"";

    fn read(text: &str) -> Option<Self> {
        let uri = Uri::parse(text).ok()?;
        let is_sip = matches!(uri.scheme(), stox_sip::Scheme::Sip | stox_sip::Scheme::Sips);
        let has_known_transport = uri.transport().is_none_or(|transport| transport.is_ok());
        (is_sip && has_known_transport).then_some(uri)
    }
}

struct SipListener(Listener);

impl Written for SipListener {
    const EXPECTED: &'static str =
        "a transport, IP address and port such as \"udp:127.0.0.1:5060\"";

    fn read(text: &str) -> Option<Self> {
        listener(text).map(SipListener)
    }
}

struct MsrpListener(Listener);

impl Written for MsrpListener {
    const EXPECTED: &'static str =
        "a transport, IP address and port such as \"tcp:127.0.0.1:2855\"";

    fn read(text: &str) -> Option<Self> {
        listener(text)
            .filter(|listener| listener.transport != Transport::Udp)
            .map(MsrpListener)
    }
}

fn listener(text: &str) -> Option<Listener> {
    let (transport, address) = text.split_once(':')?;
    Some(Listener {
        transport: Transport::parse(transport)?,
        address: address.parse().ok()?,
    })
}

impl Written for Server {
    const EXPECTED: &'static str = "a host and port such as \"127.0.0.1:5347\"";

    fn read(text: &str) -> Option<Self> {
        let Authority { host, port } = Authority::read(text)?;
        Some(Server { host, port: port? })
    }
}

impl Written for Authority {
    const EXPECTED: &'static str = "a host, with or without port, such as \"gw.example.com:5060\"";

    fn read(text: &str) -> Option<Self> {
        let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text.get(after_host..)?.rfind(':') {
            Some(colon) => {
                let (host, port) = text.split_at_checked(after_host + colon)?;
                (host, Some(port.get(1..)?.parse().ok()?))
            }
            None => (text, None),
        };
        Host::parse(host).map(|host| Authority { host, port })
    }
}

impl Written for UserAddress {
    const EXPECTED: &'static str = "the address of a SIP user such as \"romeo@example.net\"";

    fn read(text: &str) -> Option<Self> {
        UserAddress::parse(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Secret::new(&text).ok_or_else(|| D::Error::custom("expected a secret, found an empty text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("10m", Some(Duration::from_secs(600))),
            ("10s", Some(Duration::from_secs(10))),
            ("0s", Some(Duration::ZERO)),
            ("500ms", Some(Duration::from_millis(500))),
            ("1h", Some(Duration::from_secs(3600))),
            ("10", None),
            ("m", None),
            ("-1s", None),
            ("1.5s", None),
            ("10 m", None),
            ("18446744073709551615d", None),
            ("99999d", None),
            ("", None),
        ] {
            assert_eq!(Duration::read(text), expected, "{text}");
        }
    }

    #[test]
    fn hosts_may_be_names_or_addresses() {
        for (text, expected) in [
            ("gw.example.com:5060", Some(("gw.example.com", Some(5060)))),
            ("gw.example.com", Some(("gw.example.com", None))),
            ("[::1]:5060", Some(("[::1]", Some(5060)))),
            ("[::1]", Some(("[::1]", None))),
            ("127.0.0.1:1", Some(("127.0.0.1", Some(1)))),
            ("gw:65536", None),
            ("gw:", None),
            (":5060", None),
            ("a b:1", None),
        ] {
            let read =
                Authority::read(text).map(|authority| (authority.host.to_string(), authority.port));
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(read, expected, "{text}");
        }
    }
}
