//! A value that is read at most once, however often it is asked for: nearly everything that is decided about a message
//! depends on its From, To, top Via and CSeq.

use std::fmt;
use std::sync::OnceLock;

/// What reading a field came to, if it has been read. It follows from the field, so that all are equal.
#[derive(Clone)]
pub(super) struct Once<T>(OnceLock<Option<T>>);

impl<T> Once<T> {
    /// Not read yet.
    pub(super) const fn new() -> Self {
        Once(OnceLock::new())
    }

    /// What `read` returns, or returned the first time.
    pub(super) fn get_or_read(&self, read: impl FnOnce() -> Option<T>) -> Option<&T> {
        self.0.get_or_init(read).as_ref()
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once::new()
    }
}

impl<T> PartialEq for Once<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Once<T> {}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
