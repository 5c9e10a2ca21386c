//! An address that is read at most once, however often it is asked for: nearly everything that is decided about a message
//! depends on its From and To.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::NameAddr;

/// What reading a field came to, if it has been read. It follows from the field, so that all are equal.
#[derive(Clone, Default)]
pub(super) struct Once(OnceLock<Option<Arc<NameAddr>>>);

impl Once {
    /// Not read yet.
    pub(super) const fn new() -> Self {
        Once(OnceLock::new())
    }

    /// What `read` returns, or returned the first time.
    pub(super) fn get_or_read(&self, read: impl FnOnce() -> Option<NameAddr>) -> Option<&NameAddr> {
        self.0.get_or_init(|| read().map(Arc::new)).as_deref()
    }
}

impl PartialEq for Once {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Once {}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
