//! The wire: requests and responses in a byte stream. RFC 4975 §7, §9.
//!
//! [`Decoder`] takes whatever bytes have come and yields chunks; their bodies and header values are slices of the
//! bytes read. The `put_*` functions write into a buffer that the connection sends.

mod decoder;
mod encoder;
mod head;

pub use decoder::{DecodeError, Decoder, Part};
pub use encoder::{
    Paths, SendHead, put_end_line, put_nickname, put_report, put_response, put_send_head,
};
pub use head::{Head, HeadFault, Method, Start};

/// The sign at the end of an end-line. RFC 4975 §7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the message's last byte is in this chunk.
    Complete,
    /// `+`: more chunks follow.
    Continued,
    /// `#`: the sender gives the message up.
    Aborted,
}

impl Flag {
    fn from_byte(byte: u8) -> Option<Flag> {
        match byte {
            b'$' => Some(Flag::Complete),
            b'+' => Some(Flag::Continued),
            b'#' => Some(Flag::Aborted),
            _ => None,
        }
    }

    fn as_byte(self) -> u8 {
        match self {
            Flag::Complete => b'$',
            Flag::Continued => b'+',
            Flag::Aborted => b'#',
        }
    }
}

const HYPHENS: &[u8; 7] = b"-------";
