//! Of whom the log has spoken lately: once per source and minute is enough (SIP-14).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So long nothing more is said of a source.
const SILENCE: Duration = Duration::from_secs(60);
/// So many sources are kept apart; beyond that nothing is said of further ones.
const SOURCES: usize = 1024;

/// When each source was last complained of.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last_by_source: HashMap<IpAddr, Instant>,
}

impl Complaints {
    /// Whether a complaint about the source is to be logged now.
    pub(super) fn is_due(&mut self, source: IpAddr, now: Instant) -> bool {
        let is_old = |last: &Instant| now.saturating_duration_since(*last) >= SILENCE;
        if let Some(last) = self.last_by_source.get_mut(&source) {
            let due = is_old(last);
            if due {
                *last = now;
            }
            return due;
        }
        if self.last_by_source.len() >= SOURCES {
            self.last_by_source.retain(|_, last| !is_old(last));
        }
        let due = self.last_by_source.len() < SOURCES;
        if due {
            self.last_by_source.insert(source, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_source_and_minute() {
        let mut complaints = Complaints::default();
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let now = Instant::now();
        assert!(complaints.is_due(one, now));
        assert!(!complaints.is_due(one, now + Duration::from_secs(59)));
        assert!(complaints.is_due(two, now));
        assert!(complaints.is_due(one, now + Duration::from_secs(60)));
        assert!(!complaints.is_due(one, now + Duration::from_secs(61)));
    }

    #[test]
    fn many_sources_take_no_more_memory() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        for number in 0..3 * SOURCES as u32 {
            complaints.is_due(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(complaints.last_by_source.len(), SOURCES);
        assert!(complaints.is_due(IpAddr::from([192, 0, 2, 1]), now + SILENCE));
    }
}
