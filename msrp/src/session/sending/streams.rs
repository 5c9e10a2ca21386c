//! Messages that their owner hands in piece by piece.

use bytes::Bytes;
use rand::Rng;

use super::{Pen, Sending};
use crate::{
    Outgoing, OutgoingStream, SendError, StreamError,
    session::{Outbound, long::Long},
};

impl Sending {
    pub(in crate::session) fn begin_stream(
        &mut self,
        stream: OutgoingStream,
        pen: &mut Pen<'_, impl Rng>,
    ) -> Result<(), SendError> {
        let streams = self.long.iter().filter(|long| long.is_stream()).count();
        if streams >= pen.limits.streams {
            return Err(SendError::Full);
        }
        let OutgoingStream {
            token,
            content_type,
            total,
            success_report,
            failure_report,
        } = stream;
        let outgoing = Outgoing {
            token,
            transaction_id: None,
            content_type,
            body: Bytes::new(),
            success_report,
            failure_report,
        };
        self.admit(&outgoing, pen)?;
        let message_id = self.message_ids.next(token);
        self.long.push(Long::growing(outgoing, message_id, total));
        Ok(())
    }

    /// Takes what fits; 0 if nothing does just now.
    pub(in crate::session) fn push_piece(
        &mut self,
        token: u64,
        piece: &[u8],
        room: usize,
        outbound: &mut Outbound,
    ) -> Result<usize, StreamError> {
        let index = self.growing(token)?;
        let long = self.long.get_mut(index).ok_or(StreamError::Ended)?;
        // REPORTs may come about every part of it.
        self.reports_due = self.reports_due.saturating_add(1);
        long.grow(piece, room).map_err(|_| {
            self.long.remove(index).stop(outbound);
            StreamError::WrongLength
        })
    }

    pub(in crate::session) fn finish_stream(
        &mut self,
        token: u64,
        outbound: &mut Outbound,
    ) -> Result<(), StreamError> {
        let index = self.growing(token)?;
        let long = self.long.get_mut(index).ok_or(StreamError::Ended)?;
        if !long.finish() {
            self.long.remove(index).stop(outbound);
            return Err(StreamError::WrongLength);
        }
        Ok(())
    }

    fn growing(&self, token: u64) -> Result<usize, StreamError> {
        let is_it = |long: &Long| long.outgoing.token == token && long.is_growing();
        self.long.iter().position(is_it).ok_or(StreamError::Ended)
    }
}
