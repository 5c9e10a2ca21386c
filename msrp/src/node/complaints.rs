//! Shell: of whom the log has spoken lately, so that nobody can fill it (MSRP-26).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{listener::source_of, lock};

/// Peers that were complained of in the last minute.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<IpAddr, Instant>>);

impl Complaints {
    const PAUSE: Duration = Duration::from_secs(60);
    const SOURCES: usize = 1024;

    /// Whether the log may speak of that source: once a minute, and while there are too many of them not at all.
    pub(super) fn may_speak(&self, source: IpAddr, now: Instant) -> bool {
        let source = source_of(source);
        let mut last_by_source = lock(&self.0);
        let is_recent = |last: &Instant| now.saturating_duration_since(*last) < Complaints::PAUSE;
        if last_by_source.get(&source).is_some_and(is_recent) {
            return false;
        }
        if last_by_source.len() >= Complaints::SOURCES {
            last_by_source.retain(|_, last| is_recent(last));
        }
        let has_room = last_by_source.len() < Complaints::SOURCES;
        if has_room {
            last_by_source.insert(source, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-26
    #[test]
    fn once_per_source_and_minute() {
        let complaints = Complaints::default();
        let now = Instant::now();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let speaks =
            |source, seconds| complaints.may_speak(source, now + Duration::from_secs(seconds));
        assert!(speaks(one, 0));
        assert!(!speaks(one, 59));
        assert!(speaks(other, 59));
        assert!(speaks(one, 60));
        for source in 0..2000u32 {
            speaks(IpAddr::from(source.to_be_bytes()), 61);
        }
        assert_eq!(lock(&complaints.0).len(), Complaints::SOURCES);
        // Those who were quiet make room.
        assert!(speaks(IpAddr::from([198, 51, 100, 1]), 200));
    }
}
