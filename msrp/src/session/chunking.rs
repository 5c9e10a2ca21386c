//! How long messages share a connection.

/// How messages are cut into chunks. By default each goes in one, because some peers end a session that brings a second
/// one; only what is longer than 256 KiB may be interrupted for others that wait for the connection. RFC 4975 §7.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunking {
    /// Bytes after which a chunk ends in any case, at least 2,048; `None`: it ends with its message.
    pub longest: Option<usize>,
    /// Bytes of a chunk after which it is interrupted if somebody else has something to say on its connection. At least 16
    /// KiB are written at once.
    pub uninterrupted: usize,
}

impl Chunking {
    /// As few chunks as possible, each interrupted as soon as somebody else waits.
    pub const FAIR: Chunking = Chunking {
        longest: None,
        uninterrupted: 2048,
    };
}

impl Default for Chunking {
    fn default() -> Chunking {
        Chunking {
            longest: None,
            uninterrupted: 256 << 10,
        }
    }
}
