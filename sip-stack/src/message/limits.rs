//! How much one message may take. SIP-14.

/// How much one message may take; what is larger is refused before more of it is read or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Start line and header fields, in bytes; beyond it 513.
    pub head: usize,
    /// Header fields, each line one; beyond it 513. Each costs memory beyond its bytes.
    pub fields: usize,
    /// Body, in bytes; beyond it 413.
    pub body: usize,
    /// A message that comes as a datagram, in bytes; beyond it 513. RFC 3261 §18.1.1.
    pub datagram: usize,
}

impl Default for MessageLimits {
    /// 64 KiB, as much as a datagram could carry; 512 fields; 1 MiB; every datagram there can be.
    fn default() -> Self {
        MessageLimits {
            head: 64 * 1024,
            fields: 512,
            body: 1024 * 1024,
            datagram: 65_535,
        }
    }
}
