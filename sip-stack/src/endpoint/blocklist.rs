//! Targets that are spared for a while: they asked for it (503 with Retry-After), or could not be
//! reached. SIP-13, RFC 3263 §4.3.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Transport;

/// How long a target that could not be reached comes last.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Most targets remembered; at the bound what has passed is forgotten, or else the new one is not noted.
const MOST: usize = 10_000;
/// Not looked through for that more often, whatever comes.
const TIDYING: Duration = Duration::from_secs(1);

/// Whether a target may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Could not be reached lately: others first.
    Shaky,
    /// Asked not to be called.
    Blocked,
}

#[derive(Debug, Default)]
pub(super) struct Blocklist {
    until_by_target: HashMap<(Transport, SocketAddr), (Standing, Instant)>,
    tidied: Option<Instant>,
}

impl Blocklist {
    pub(super) fn standing(&self, target: (Transport, SocketAddr), now: Instant) -> Standing {
        match self.until_by_target.get(&target) {
            Some((standing, until)) if now < *until => *standing,
            Some(_) | None => Standing::Good,
        }
    }

    /// The target asked for silence.
    pub(super) fn block(
        &mut self,
        target: (Transport, SocketAddr),
        period: Duration,
        now: Instant,
    ) {
        self.note(target, (Standing::Blocked, now + period), now);
    }

    /// The target could not be reached.
    pub(super) fn mistrust(&mut self, target: (Transport, SocketAddr), now: Instant) {
        if self.standing(target, now) != Standing::Blocked {
            self.note(target, (Standing::Shaky, now + BACK_OFF), now);
        }
    }

    /// The target answered.
    pub(super) fn forgive(&mut self, target: (Transport, SocketAddr)) {
        if !self.until_by_target.is_empty()
            && self
                .until_by_target
                .get(&target)
                .is_some_and(|(standing, _)| *standing == Standing::Shaky)
        {
            self.until_by_target.remove(&target);
        }
    }

    fn note(&mut self, target: (Transport, SocketAddr), entry: (Standing, Instant), now: Instant) {
        let is_tidy = |tidied| now.saturating_duration_since(tidied) < TIDYING;
        if self.until_by_target.len() >= MOST && !self.tidied.is_some_and(is_tidy) {
            self.tidied = Some(now);
            self.until_by_target.retain(|_, (_, until)| now < *until);
        }
        if self.until_by_target.len() < MOST || self.until_by_target.contains_key(&target) {
            self.until_by_target.insert(target, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-13
    #[test]
    fn targets_are_spared_for_the_time_they_ask_for() {
        let (mut list, now) = (Blocklist::default(), Instant::now());
        let target = (Transport::Udp, "192.0.2.1:5060".parse().unwrap());
        list.block(target, Duration::from_secs(10), now);
        list.mistrust(target, now);
        list.forgive(target);
        assert_eq!(
            list.standing(target, now + Duration::from_secs(9)),
            Standing::Blocked
        );
        assert_eq!(
            list.standing(target, now + Duration::from_secs(10)),
            Standing::Good
        );
        let later = now + Duration::from_secs(60);
        list.mistrust(target, later);
        assert_eq!(list.standing(target, later), Standing::Shaky);
        list.forgive(target);
        assert_eq!(list.standing(target, later), Standing::Good);
    }

    /// SIP-13, SEC-14
    #[test]
    fn the_list_is_bounded() {
        let (mut list, now) = (Blocklist::default(), Instant::now());
        for port in 0..=u16::MAX {
            list.mistrust(
                (Transport::Tcp, SocketAddr::from(([192, 0, 2, 1], port))),
                now,
            );
        }
        assert_eq!(list.until_by_target.len(), MOST);
        let (later, target) = (now + BACK_OFF, "198.51.100.1:5060".parse().unwrap());
        list.mistrust((Transport::Udp, target), later);
        let standing = list.standing((Transport::Udp, target), later);
        assert_eq!(standing, Standing::Shaky);
        assert_eq!(list.until_by_target.len(), 1);
    }
}
