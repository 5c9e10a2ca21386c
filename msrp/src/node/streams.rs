//! Shell: messages that go and come piece by piece.

use std::{ops::Deref, pin::pin, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::door::Door;
use crate::{OutgoingStream, SendError, StreamBegan, StreamEnd, StreamError};

/// The body of a message of ours. Dropped before `finish`, it takes the message back.
pub struct OutgoingBody {
    door: Arc<Door>,
    token: u64,
    progress: Progress,
}

enum Progress {
    Unfinished,
    Finished,
}

impl OutgoingBody {
    pub(super) fn begin(
        door: &Arc<Door>,
        stream: OutgoingStream,
    ) -> Result<OutgoingBody, SendError> {
        let token = stream.token;
        door.begin_stream(stream)?;
        Ok(OutgoingBody {
            door: door.clone(),
            token,
            progress: Progress::Unfinished,
        })
    }

    /// Hands in the bytes that follow those before; waits while too many of them are not written yet.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), StreamError> {
        let mut rest = piece;
        let connection = self.door.connection().ok_or(StreamError::Ended)?.clone();
        while !rest.is_empty() {
            let mut room = pin!(connection.room_made());
            // Before the attempt, so that room made between the two is noticed.
            room.as_mut().enable();
            let taken = self.door.push_piece(self.token, rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            if taken == 0 {
                room.await;
            }
        }
        Ok(())
    }

    /// There is no more. What becomes of the message is told by its token.
    pub fn finish(mut self) -> Result<(), StreamError> {
        self.progress = Progress::Finished;
        self.door.finish_stream(self.token)
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        if let Progress::Unfinished = self.progress {
            self.door.cancel(self.token);
        }
    }
}

/// A message from the peer that comes in piece by piece. Dropped before its end, it refuses the rest with 413; after a
/// complete one the owner answers with `Session::respond`.
pub struct IncomingStream {
    began: StreamBegan,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    door: Arc<Door>,
    end: Option<StreamEnd>,
}

/// Unbounded, because the session stops its connection when the owner does not take what arrives.
pub(super) type Arrivals = mpsc::UnboundedSender<Arrival>;

pub(super) enum Arrival {
    Piece(Bytes),
    End(StreamEnd),
}

impl IncomingStream {
    pub(super) fn new(began: StreamBegan, door: &Arc<Door>) -> (IncomingStream, Arrivals) {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let stream = IncomingStream {
            began,
            arrivals,
            door: door.clone(),
            end: None,
        };
        (stream, sender)
    }

    /// The bytes that follow those before; `None` when the message is complete, and else why it is not.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StreamEnd> {
        if self.end.is_none() {
            match self.arrivals.recv().await {
                Some(Arrival::Piece(piece)) => {
                    self.door.note_taken(piece.len() as u64);
                    return Ok(Some(piece));
                }
                Some(Arrival::End(end)) => self.end = Some(end),
                None => self.end = Some(StreamEnd::SessionLost),
            }
        }
        match self.end {
            Some(StreamEnd::Complete) | None => Ok(None),
            Some(end) => Err(end),
        }
    }
}

impl Deref for IncomingStream {
    type Target = StreamBegan;

    fn deref(&self) -> &StreamBegan {
        &self.began
    }
}

impl Drop for IncomingStream {
    fn drop(&mut self) {
        self.arrivals.close();
        let mut untaken = 0;
        while let Ok(arrival) = self.arrivals.try_recv() {
            match arrival {
                Arrival::Piece(piece) => untaken += piece.len() as u64,
                Arrival::End(end) => self.end = Some(end),
            }
        }
        self.door.note_taken(untaken);
        if self.end.is_none() {
            self.door.respond(self.began.id, 413);
        }
    }
}
