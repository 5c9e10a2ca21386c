//! What all connections together hold of messages that are not there as a whole yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<AtomicUsize>);

/// Those of one connection; gives them back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    all: Unfinished,
    bytes: usize,
}

impl Unfinished {
    /// The share of a new connection, which holds nothing yet.
    pub(super) fn share(&self) -> Share {
        Share {
            all: self.clone(),
            bytes: 0,
        }
    }
}

impl Share {
    /// Notes what the connection holds now; returns what all of them hold.
    pub(super) fn set(&mut self, bytes: usize) -> usize {
        let all = &self.all.0;
        let before = std::mem::replace(&mut self.bytes, bytes);
        all.fetch_add(bytes, Ordering::Relaxed);
        all.fetch_sub(before, Ordering::Relaxed)
            .saturating_sub(before)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-14
    #[test]
    fn shares_add_up_and_are_given_back() {
        let all = Unfinished::default();
        let (mut one, mut two) = (all.share(), all.share());
        assert_eq!(one.set(10), 10);
        assert_eq!(two.set(5), 15);
        assert_eq!(one.set(3), 8);
        drop(two);
        assert_eq!(one.set(4), 4);
        drop(one);
        assert_eq!(all.share().set(0), 0);
    }
}
