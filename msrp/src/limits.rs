//! The bounds that keep one peer from harming the others.

use std::time::Duration;

/// Bounds on what a peer can make this side hold or wait for. SEC-14, RFC 4975 §14.5.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one header line, its CRLF included. Default 8 KiB.
    pub header_line: usize,
    /// Bytes of a start line and its headers together. Default 16 KiB; at most 65,535.
    pub header_section: usize,
    /// Bytes of body held until a chunk is handed on in parts. Default 64 KiB.
    pub body_part: usize,
    /// Bytes of incomplete messages held per session, above one message of its `max_size`. Default 64 KiB.
    pub unassembled: usize,
    /// Incomplete messages per session. Default 16.
    pub incomplete_messages: usize,
    /// Complete messages per session whose response the owner still owes. Default 1,024.
    pub unanswered_incoming: usize,
    /// Chunks per session that the peer has not answered yet. Default 4,096.
    pub unanswered_outgoing: usize,
    /// Bytes of messages per session that the peer has not confirmed and that are held to be given back if the session
    /// is lost (MSRP-10). Default 4 MiB; a message that begins below it is taken whole.
    pub unconfirmed: usize,
    /// Messages per session that their owner hands in piece by piece, at a time. Default 16.
    pub streams: usize,
    /// Bytes of each of them that wait; its owner waits when there are as many. Default 64 KiB.
    pub stream_buffer: usize,
    /// Bytes of messages that come in piece by piece which the owner of a session has not taken yet; at so many its
    /// connection is not read. Default 256 KiB (MSRP-18).
    pub stream_window: usize,
    /// Bytes waiting to be written to a connection. Default 1 MiB; a message that begins below it is taken whole.
    pub queued: usize,
    /// Connections per IPv4 address or IPv6 network of 64 bits. Default 20,000: a SIP proxy or a gateway stands for many users.
    pub connections_per_source: usize,
    /// Connections in all. Default 65,536.
    pub connections: usize,
    /// Until the first valid request on an accepted connection (MSRP-26), and until somebody comes for a passive session. Default 30 s.
    pub first_request: Duration,
    /// For looking up and connecting to one address of the peer. Default 10 s.
    pub connect: Duration,
    /// Host names looked up at a time; others wait, which counts as connecting. Default 16: slow name servers must not
    /// take all threads of the runtime's pool.
    pub lookups: usize,
    /// Ids minted and not opened yet; of more, the oldest are forgotten. Default 65,536.
    pub reservations: usize,
    /// A minted id that is not opened is forgotten after this. Default 200 s: an INVITE may ring for 180 s.
    pub reservation: Duration,
    /// A peer that is here before its session waits for this long, then gets 481. Default 30 s.
    pub hold: Duration,
    /// Until a response, counted from the last byte written. Default 30 s. RFC 4975 §7.1.1.
    pub transaction: Duration,
    /// An incomplete message is given up after this (MSRP-12). Default 540 s.
    pub chunk: Duration,
    /// A connection without a session is closed after this (MSRP-09). Default 60 s.
    pub idle: Duration,
    /// A peer that reads nothing for this long loses its connection (MSRP-25), and an owner that takes nothing of what
    /// comes in piece by piece loses those messages. Default 60 s.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_line: 8 << 10,
            header_section: 16 << 10,
            body_part: 64 << 10,
            unassembled: 64 << 10,
            incomplete_messages: 16,
            unanswered_incoming: 1024,
            unanswered_outgoing: 4096,
            unconfirmed: 4 << 20,
            streams: 16,
            stream_buffer: 64 << 10,
            stream_window: 256 << 10,
            queued: 1 << 20,
            connections_per_source: 20_000,
            connections: 65_536,
            first_request: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            lookups: 16,
            reservations: 65_536,
            reservation: Duration::from_secs(200),
            hold: Duration::from_secs(30),
            transaction: Duration::from_secs(30),
            chunk: Duration::from_secs(540),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        }
    }
}
