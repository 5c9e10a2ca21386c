//! A stream of bytes through the framer: split anywhere it gives the same messages, and never holds more than its limits.

use stox_sip::{Frame, FrameError, Message, MessageLimits, StreamFramer};

use super::{Choices, message};

/// One line of how the stream is split, then the stream (SIP-01, SIP-14).
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (splits, stream) = match end {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (&[][..], data),
    };
    let limits = Choices::new(splits).of(&[(1 << 16, 1 << 20), (300, 10), (400, 100)]);
    let limits = MessageLimits {
        head: limits.0,
        body: limits.1,
        ..MessageLimits::default()
    };
    let whole = frames(stream, limits, || usize::MAX);
    let mut lengths = splits.iter().cycle().copied();
    let split = frames(stream, limits, || {
        1 + usize::from(lengths.next().unwrap_or_default()) % 64
    });
    assert_eq!(whole, split);
    again(&whole);
}

type Framed = Result<Message, FrameError>;

fn frames(stream: &[u8], limits: MessageLimits, mut length: impl FnMut() -> usize) -> Vec<Framed> {
    let mut framer = StreamFramer::new(limits);
    let mut frames: Vec<Framed> = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(length().min(rest.len()));
        rest = left;
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            let is_lost = frames
                .last()
                .is_some_and(|frame| frame.as_ref().is_err_and(FrameError::is_lost));
            assert!(!is_lost, "more after framing was lost");
            match frame {
                Ok(Frame::Message(framed)) => {
                    message::look_at(&framed);
                    assert!(framed.body().len() <= limits.body);
                    frames.push(Ok(*framed));
                }
                // A ping in two halves is a pong and a ping: not the same, but both are right.
                Ok(Frame::KeepAlive(_)) => {}
                Err(error) => {
                    if let Some(response) = error.error().response() {
                        let _ = response.to_bytes();
                    }
                    frames.push(Err(error));
                }
            }
        }
        assert!(framer.buffer().len() <= limits.head + limits.body);
    }
    frames
}

/// What was read can be written to a stream, and comes out of it as it was.
fn again(frames: &[Framed]) {
    let mut framer = StreamFramer::default();
    for message in frames.iter().flatten() {
        framer.push(&message.to_bytes());
        let read = framer.next_frame();
        assert_eq!(read, Some(Ok(Frame::Message(Box::new(message.clone())))));
        assert!(!framer.is_within_message() && framer.buffer().is_empty());
    }
}
