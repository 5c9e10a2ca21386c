//! Of whom the log has spoken lately: once per source, matter and minute is enough (SIP-14).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::config::network_of;

/// So long nothing more is said of a source in a matter.
const SILENCE: Duration = Duration::from_secs(60);
/// So many sources are kept apart in each matter; beyond that nothing is said of further ones.
const SOURCES: usize = 1024;
/// Those of whom nothing has been said lately are not looked for more often, whoever comes.
const TIDYING: Duration = Duration::from_secs(1);

/// What a source has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Matter {
    /// Sent something that is no SIP message, or a malformed one.
    Malformed,
    /// Sent a message beyond the limits.
    TooLarge,
    /// Sent a request that there was no room for.
    Overload,
    /// Gave a wrong password.
    Password,
    /// Made a connection too many.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "the driver's"))]
    Connection,
    /// Did not bring in time what it had begun, a message or a handshake.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "the driver's"))]
    Stalled,
    /// Could not agree with us on TLS.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "the driver's"))]
    Handshake,
}

/// When each source was last complained of.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    by_matter: HashMap<Matter, Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    last_by_source: HashMap<IpAddr, Instant>,
    tidied: Option<Instant>,
}

impl Complaints {
    /// Whether a complaint about the source is to be logged now.
    pub(crate) fn is_due(&mut self, matter: Matter, source: IpAddr, now: Instant) -> bool {
        let Sources {
            last_by_source,
            tidied,
        } = self.by_matter.entry(matter).or_default();
        let source = network_of(source);
        let is_old = |last: &Instant| now.saturating_duration_since(*last) >= SILENCE;
        if let Some(last) = last_by_source.get_mut(&source) {
            let due = is_old(last);
            if due {
                *last = now;
            }
            return due;
        }
        let is_tidy = |tidied| now.saturating_duration_since(tidied) < TIDYING;
        if last_by_source.len() >= SOURCES && !tidied.is_some_and(is_tidy) {
            *tidied = Some(now);
            last_by_source.retain(|_, last| !is_old(last));
        }
        let due = last_by_source.len() < SOURCES;
        if due {
            last_by_source.insert(source, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-14
    #[test]
    fn once_per_source_matter_and_minute() {
        let mut complaints = Complaints::default();
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let now = Instant::now();
        assert!(complaints.is_due(Matter::Malformed, one, now));
        assert!(!complaints.is_due(Matter::Malformed, one, now + Duration::from_secs(59)));
        assert!(complaints.is_due(Matter::Malformed, two, now));
        assert!(complaints.is_due(Matter::Overload, one, now));
        assert!(complaints.is_due(Matter::Malformed, one, now + Duration::from_secs(60)));
        assert!(!complaints.is_due(Matter::Malformed, one, now + Duration::from_secs(61)));
    }

    #[test]
    fn a_host_has_many_ipv6_addresses() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        for (address, expected) in [
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
        ] {
            let due = complaints.is_due(Matter::Malformed, address.parse().unwrap(), now);
            assert_eq!(due, expected, "{address}");
        }
    }

    #[test]
    fn many_sources_take_no_more_memory() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        for number in 0..3 * SOURCES as u32 {
            complaints.is_due(Matter::Malformed, IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(
            complaints.by_matter[&Matter::Malformed]
                .last_by_source
                .len(),
            SOURCES
        );
        let other = IpAddr::from([192, 0, 2, 1]);
        assert!(complaints.is_due(Matter::Malformed, other, now + SILENCE));
    }
}
