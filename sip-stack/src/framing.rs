//! Messages out of a stream of bytes. RFC 3261 §18.3, RFC 5626 §3.5.1.

use bytes::{Buf, BytesMut};

use crate::header::{HeaderError, Name};
use crate::message::{Fault, Message, MessageLimits, ParseError, Section, find_section_end};

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// Line ends between messages.
    KeepAlive(KeepAlive),
}

/// Line ends between messages. RFC 5626 §3.5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Two line ends: to be answered with [`PONG`].
    Ping,
    /// One line end, the answer to a ping. Also seen where the halves of a ping arrive apart; the second half is then
    /// the ping.
    Pong,
}

/// What a peer is asked with whether it is still there. RFC 5626 §4.4.1.
pub(crate) const PING: &[u8] = b"\r\n\r\n";
/// The answer to a ping.
pub const PONG: &[u8] = b"\r\n";

/// What a stream carries is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A malformed message; the next one can be read. Answer it with its [response](ParseError::response).
    #[error("malformed message: {0}")]
    Malformed(ParseError),
    /// Where the next message begins is lost; nothing more is read. Answer, then close the connection.
    #[error("framing lost: {0}")]
    Lost(ParseError),
}

impl FrameError {
    /// What is wrong.
    pub fn error(&self) -> &ParseError {
        match self {
            FrameError::Malformed(error) | FrameError::Lost(error) => error,
        }
    }

    /// Whether the connection must be closed.
    pub fn is_lost(&self) -> bool {
        matches!(self, FrameError::Lost(_))
    }
}

/// Takes the bytes of a stream as they come and gives out messages. After each push, call [`StreamFramer::next_frame`] until
/// it gives `None`: only so what it holds stays within the limits of head and body together.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    state: State,
    limits: MessageLimits,
}

/// What is awaited.
#[derive(Debug, Default)]
enum State {
    /// A message or a keep-alive.
    #[default]
    Between,
    /// The same, after a single line end that was given out as a pong.
    HalfPing,
    /// The end of the header section, which is not among the first `scanned` bytes.
    Head { scanned: usize },
    /// `length` bytes of body.
    Body {
        section: Box<Section>,
        length: usize,
    },
    /// Nothing: framing is lost.
    Lost,
}

impl StreamFramer {
    /// A framer with these limits.
    pub fn new(limits: MessageLimits) -> Self {
        StreamFramer {
            buffer: BytesMut::new(),
            state: State::default(),
            limits,
        }
    }

    /// Takes more bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Lost) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Where the bytes of the stream can be read into without a copy; append only.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether part of a message is held, so that the peer owes the rest.
    pub fn is_within_message(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Body { .. })
    }

    /// The next message or keep-alive; `None` if more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Result<Frame, FrameError>> {
        loop {
            match std::mem::take(&mut self.state) {
                State::Between => {
                    if let Some(keep_alive) = self.on_between(false)? {
                        return Some(Ok(Frame::KeepAlive(keep_alive)));
                    }
                }
                State::HalfPing => {
                    // Kept if nothing more is there yet.
                    if self.buffer.is_empty() || *self.buffer == b"\r"[..] {
                        self.state = State::HalfPing;
                        return None;
                    }
                    if let Some(keep_alive) = self.on_between(true)? {
                        return Some(Ok(Frame::KeepAlive(keep_alive)));
                    }
                }
                State::Head { scanned } => {
                    if let Err(error) = self.on_head(scanned)? {
                        return Some(Err(self.lose(error)));
                    }
                }
                State::Body { section, length } => return self.on_body(section, length),
                State::Lost => {
                    self.state = State::Lost;
                    self.buffer.clear();
                    return None;
                }
            }
        }
    }

    /// `None`: wait. `Some(None)`: a message begins.
    fn on_between(&mut self, half_ping: bool) -> Option<Option<KeepAlive>> {
        match &*self.buffer {
            [] | [b'\r'] => None,
            [b'\r', b'\n', ..] if half_ping => {
                self.buffer.advance(2);
                Some(Some(KeepAlive::Ping))
            }
            [b'\r', b'\n', b'\r'] => None,
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.buffer.advance(4);
                Some(Some(KeepAlive::Ping))
            }
            [b'\r', b'\n', rest @ ..] => {
                self.state = if rest.is_empty() {
                    State::HalfPing
                } else {
                    State::Between
                };
                self.buffer.advance(2);
                Some(Some(KeepAlive::Pong))
            }
            _ => {
                self.state = State::Head { scanned: 0 };
                Some(None)
            }
        }
    }

    /// `None`: wait. `Some(Ok(()))`: the body is next.
    fn on_head(&mut self, scanned: usize) -> Option<Result<(), ParseError>> {
        let end = find_section_end(&self.buffer, scanned);
        if end.unwrap_or(self.buffer.len()) > self.limits.head {
            return Some(Err(self.head_too_large()));
        }
        let Some(end) = end else {
            self.state = State::Head {
                scanned: self.buffer.len(),
            };
            return None;
        };
        let section = Section::parse(&self.buffer.split_to(end), self.limits.fields);
        if section.is_noise() {
            return Some(Err(section.into_error(Fault::NotSip)));
        }
        match section.content_length {
            Some(length) if length > self.limits.body => {
                Some(Err(section.into_error(Fault::BodyTooLarge)))
            }
            Some(length) => {
                self.state = State::Body {
                    section: Box::new(section),
                    length,
                };
                Some(Ok(()))
            }
            // Without it nobody knows where the next message begins. RFC 3261 §18.3.
            None => Some(Err(
                section.into_error(HeaderError::Missing(Name::ContentLength).into())
            )),
        }
    }

    /// The fields up to the limit are read so that the request can be answered.
    fn head_too_large(&self) -> ParseError {
        Section::parse_beginning(&self.buffer, &self.limits).into_error(Fault::HeadTooLarge)
    }

    fn on_body(
        &mut self,
        section: Box<Section>,
        length: usize,
    ) -> Option<Result<Frame, FrameError>> {
        if self.buffer.len() < length {
            self.state = State::Body { section, length };
            return None;
        }
        let body = self.buffer.split_to(length).freeze();
        Some(match section.finish(body) {
            Ok(message) => Ok(Frame::Message(Box::new(message))),
            Err(error) => Err(FrameError::Malformed(error)),
        })
    }

    fn lose(&mut self, error: ParseError) -> FrameError {
        self.state = State::Lost;
        self.buffer.clear();
        FrameError::Lost(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "Via: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1@a\r\nCSeq: 1 MESSAGE\r\n";

    fn message(length: &str, body: &str) -> String {
        format!("MESSAGE sip:c@d SIP/2.0\r\n{FIELDS}{length}\r\n{body}")
    }

    /// What comes out, in short: bodies of messages, keep-alives, faults.
    fn frames(framer: &mut StreamFramer) -> Vec<String> {
        std::iter::from_fn(|| framer.next_frame())
            .map(|frame| match frame {
                Ok(Frame::Message(message)) => String::from_utf8_lossy(message.body()).into_owned(),
                Ok(Frame::KeepAlive(keep_alive)) => format!("{keep_alive:?}"),
                Err(FrameError::Malformed(error)) => format!("malformed: {error}"),
                Err(FrameError::Lost(error)) => format!("lost: {error}"),
            })
            .collect()
    }

    fn frames_of(text: &str) -> Vec<String> {
        let mut framer = StreamFramer::default();
        framer.push(text.as_bytes());
        frames(&mut framer)
    }

    /// SIP-01
    #[test]
    fn messages_and_keep_alives_in_one_push() {
        let text = format!(
            "\r\n\r\n{}{}\r\n{}",
            message("l: 5\r\n", "hello"),
            message("l:0\r\n", ""),
            message("l: 5\r\n", "again")
        );
        assert_eq!(frames_of(&text), ["Ping", "hello", "", "Pong", "again"]);
    }

    #[test]
    fn byte_by_byte() {
        let text = message("Content-Length : 5\r\n", "he\r\no") + &message("l: 3\r\n", "end");
        let mut framer = StreamFramer::default();
        let mut all = Vec::new();
        for byte in text.bytes() {
            framer.push(&[byte]);
            all.extend(frames(&mut framer));
            let _ = framer.is_within_message();
        }
        assert_eq!(all, ["he\r\no", "end"]);
        assert!(!framer.is_within_message());
    }

    #[test]
    fn a_ping_in_two_halves() {
        let mut framer = StreamFramer::default();
        framer.push(b"\r\n");
        assert_eq!(frames(&mut framer), ["Pong"]);
        framer.push(b"\r");
        assert!(frames(&mut framer).is_empty());
        framer.push(b"\n\r\n\r");
        assert_eq!(frames(&mut framer), ["Ping"]);
        framer.push(b"\n");
        assert_eq!(frames(&mut framer), ["Ping"]);
    }

    #[test]
    fn a_malformed_message_does_not_harm_the_next() {
        let text = message("l: 2\r\nno colon\r\n", "xx") + &message("l: 2\r\n", "ok");
        assert_eq!(frames_of(&text), ["malformed: malformed header line", "ok"]);
    }

    #[test]
    fn framing_is_lost_where_the_length_is_unknown() {
        let good = message("l: 2\r\n", "ok");
        for (bad, error) in [
            (message("", ""), "lost: no Content-Length"),
            (message("l: -1\r\n", ""), "lost: malformed Content-Length"),
            (
                message("l: 1\r\nl: 1\r\n", "x"),
                "lost: more than one Content-Length",
            ),
            (message("l: 1048577\r\n", ""), "lost: body too large"),
            ("GET / HTTP/1.1\r\nl: 0\r\n\r\n".to_owned(), "lost: not SIP"),
            (
                message(&format!("X: {}\r\nl: 0\r\n", "x".repeat(65536)), ""),
                "lost: header section too large",
            ),
        ] {
            assert_eq!(frames_of(&(bad + &good)), [error]);
        }
    }

    #[test]
    fn what_is_too_large_is_answered_before_it_is_there() {
        let mut framer = StreamFramer::new(MessageLimits {
            head: 512,
            body: 10,
            ..MessageLimits::default()
        });
        framer.push(message("l: 11\r\n", "").as_bytes());
        let Some(Err(FrameError::Lost(error))) = framer.next_frame() else {
            panic!("not refused")
        };
        assert_eq!(
            error.response().map(|response| response.status.code()),
            Some(413)
        );
        framer.push(&[b'x'; 100]);
        assert_eq!(framer.next_frame(), None);

        let mut framer = StreamFramer::new(MessageLimits {
            head: 512,
            body: 10,
            ..MessageLimits::default()
        });
        framer.push(message(&"X: y\r\n".repeat(100), "").trim_end().as_bytes());
        let Some(Err(FrameError::Lost(error))) = framer.next_frame() else {
            panic!("not refused")
        };
        assert_eq!(
            error.response().map(|response| response.status.code()),
            Some(513)
        );
    }
}
