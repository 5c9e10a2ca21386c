//! Nonces of ours: made from the time under a key, so that none is remembered until it is answered; and the counts of
//! those that were. RFC 7616 §3.3 (nonce), §3.4 (nc), §5.12.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};

use super::{hex, is_same};

/// Hexadecimal digits of the time, of what makes nonces of the same time differ, and of the seal.
const TIME: usize = 16;
const SALT: usize = 16;
const SEAL: usize = 32;

/// Makes nonces and knows them again.
#[derive(Debug)]
pub(crate) struct Nonces {
    key: [u8; 32],
    /// From when on the milliseconds in nonces count.
    start: Option<Instant>,
    counts: BTreeMap<NonceId, Counts>,
    /// This one and those before were given up for lack of room.
    given_up: Option<NonceId>,
    /// How long a nonce may be answered.
    age: Duration,
    /// Most nonces whose counts are kept.
    most: usize,
}

/// In the order in which the nonces were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NonceId {
    milliseconds: u64,
    salt: u64,
}

/// Which counts have come: the highest, and which of those shortly before it. Requests overtake each other.
#[derive(Debug)]
struct Counts {
    highest: u32,
    /// Bit n: `highest` - n has come.
    seen: u64,
}

/// Why an answer with the right password is not taken: each asks for another with a new nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NonceFault {
    #[error("not a nonce of ours")]
    Unknown,
    #[error("the nonce is too old")]
    Expired,
    #[error("the nonce was used with that count before")]
    Replayed,
}

impl Nonces {
    pub(crate) fn new(random: &mut StdRng, age: Duration, most: usize) -> Self {
        let mut key = [0; 32];
        random.fill_bytes(&mut key);
        Self {
            key,
            start: None,
            counts: BTreeMap::new(),
            given_up: None,
            age,
            most: most.max(1),
        }
    }

    /// A new nonce for that realm.
    pub(crate) fn issue(&mut self, realm: &str, random: &mut StdRng, now: Instant) -> String {
        let start = *self.start.get_or_insert(now);
        let id = NonceId {
            milliseconds: milliseconds(start, now),
            salt: random.random(),
        };
        format!("{}{}", id.digits(), self.seal(id, realm))
    }

    /// Takes a nonce with its count, once.
    pub(crate) fn accept(
        &mut self,
        nonce: &str,
        realm: &str,
        count: Option<u32>,
        now: Instant,
    ) -> Result<(), NonceFault> {
        let id = self.read(nonce, realm).ok_or(NonceFault::Unknown)?;
        let oldest = self.oldest(now);
        if id.milliseconds < oldest || self.given_up.is_some_and(|last| id <= last) {
            return Err(NonceFault::Expired);
        }
        while let Some(first) = self.counts.first_entry()
            && first.key().milliseconds < oldest
        {
            first.remove();
        }
        let is_new = match self.counts.get_mut(&id) {
            Some(counts) => counts.accept(count),
            None => {
                let mut counts = Counts {
                    highest: 0,
                    seen: 0,
                };
                let is_new = counts.accept(count);
                if is_new {
                    self.counts.insert(id, counts);
                }
                is_new
            }
        };
        while self.counts.len() > self.most {
            self.given_up = self.counts.pop_first().map(|(id, _)| id);
        }
        is_new.then_some(()).ok_or(NonceFault::Replayed)
    }

    fn read(&self, nonce: &str, realm: &str) -> Option<NonceId> {
        if nonce.len() != TIME + SALT + SEAL {
            return None;
        }
        let (time, rest) = nonce.split_at_checked(TIME)?;
        let (salt, seal) = rest.split_at_checked(SALT)?;
        let id = NonceId {
            milliseconds: u64::from_str_radix(time, 16).ok()?,
            salt: u64::from_str_radix(salt, 16).ok()?,
        };
        is_same(&self.seal(id, realm), seal).then_some(id)
    }

    /// A hash under our key. That it is cut, and of parts whose length is known, keeps anybody from prolonging it.
    fn seal(&self, id: NonceId, realm: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update(id.milliseconds.to_be_bytes());
        hasher.update(id.salt.to_be_bytes());
        hasher.update(realm);
        let mut digits = hex(&hasher.finalize());
        digits.truncate(SEAL);
        digits
    }

    /// What the time of a nonce must not be below.
    fn oldest(&self, now: Instant) -> u64 {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        self.start
            .map_or(0, |start| milliseconds(start, now).saturating_sub(age))
    }
}

impl NonceId {
    fn digits(&self) -> String {
        format!("{:016x}{:016x}", self.milliseconds, self.salt)
    }
}

impl Counts {
    /// Whether that count has not come before; none stands for a client that does not count, whose nonces serve once.
    fn accept(&mut self, count: Option<u32>) -> bool {
        let Some(count) = count else {
            let is_new = self.highest == 0;
            (self.highest, self.seen) = (u32::MAX, u64::MAX);
            return is_new;
        };
        if count > self.highest {
            let steps = count.saturating_sub(self.highest);
            self.seen = self.seen.checked_shl(steps).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let back = self.highest.saturating_sub(count);
        match 1_u64.checked_shl(back) {
            Some(bit) if count > 0 && self.seen & bit == 0 => {
                self.seen |= bit;
                true
            }
            Some(_) | None => false,
        }
    }
}

fn milliseconds(start: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    fn nonces(most: usize) -> (Nonces, StdRng, Instant) {
        let mut random = StdRng::seed_from_u64(1);
        (Nonces::new(&mut random, AGE, most), random, Instant::now())
    }

    /// SIP-16. A nonce is ours, for its realm, for its time; nothing is kept of those that nobody answers.
    #[test]
    fn nonces_cannot_be_made_up_and_grow_old() {
        let (mut nonces, mut random, now) = nonces(10);
        let nonce = nonces.issue("r", &mut random, now);
        assert_ne!(nonce, nonces.issue("r", &mut random, now));
        assert!(nonces.counts.is_empty());
        assert_eq!(nonces.accept(&nonce, "r", Some(1), now + AGE), Ok(()));
        let late = now + AGE + Duration::from_millis(1);
        assert_eq!(
            nonces.accept(&nonce, "r", Some(2), late),
            Err(NonceFault::Expired)
        );
        assert_eq!(
            nonces.accept(&nonce, "other", Some(3), now),
            Err(NonceFault::Unknown)
        );
        let later = nonce.replacen('0', "1", 1);
        for made_up in [
            later.as_str(),
            "",
            "é",
            &"é".repeat(32),
            &"0".repeat(64),
            &nonce[1..],
        ] {
            assert_eq!(
                nonces.accept(made_up, "r", Some(1), now),
                Err(NonceFault::Unknown),
                "{made_up}"
            );
        }
    }

    /// SIP-16. Each count serves once; they may overtake each other, but not by far.
    #[test]
    fn counts_serve_once() {
        let (mut nonces, mut random, now) = nonces(10);
        let nonce = nonces.issue("r", &mut random, now);
        for (count, expected) in [
            (0, false),
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (3, false),
            (70, true),
            (7, true),
            (7, false),
            (6, false),
            (u32::MAX, true),
            (u32::MAX, false),
            (70, false),
        ] {
            let accepted = nonces.accept(&nonce, "r", Some(count), now);
            assert_eq!(accepted.is_ok(), expected, "{count}");
        }
        let uncounted = nonces.issue("r", &mut random, now);
        assert_eq!(nonces.accept(&uncounted, "r", None, now), Ok(()));
        assert_eq!(
            nonces.accept(&uncounted, "r", None, now),
            Err(NonceFault::Replayed)
        );
        assert_eq!(
            nonces.accept(&uncounted, "r", Some(1), now),
            Err(NonceFault::Replayed)
        );
    }

    /// SIP-16. At the bound the oldest are given up, and are not taken any more; what has expired goes by itself.
    #[test]
    fn counts_are_kept_within_a_bound() {
        let (mut nonces, mut random, now) = nonces(2);
        let made: Vec<_> = (0..3)
            .map(|n| nonces.issue("r", &mut random, now + Duration::from_millis(n)))
            .collect();
        for nonce in &made {
            assert_eq!(nonces.accept(nonce, "r", Some(1), now), Ok(()));
        }
        assert_eq!(nonces.counts.len(), 2);
        assert_eq!(
            nonces.accept(&made[0], "r", Some(2), now),
            Err(NonceFault::Expired)
        );
        assert_eq!(
            nonces.accept(&made[1], "r", Some(1), now),
            Err(NonceFault::Replayed)
        );
        let later = now + AGE * 2;
        let nonce = nonces.issue("r", &mut random, later);
        assert_eq!(nonces.accept(&nonce, "r", Some(1), later), Ok(()));
        assert_eq!(nonces.counts.len(), 1);
    }
}
