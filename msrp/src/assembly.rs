//! A message put together from its chunks. RFC 4975 §7.3.1.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// The bytes of one message so far, wherever in it they belong (MSRP-12). Memory follows what was received, never what
/// a range claims (MSRP-14).
#[derive(Debug)]
pub struct Assembly {
    /// Runs of bytes by the position of their first, from 0; they neither overlap nor touch.
    run_by_start: BTreeMap<u64, Run>,
    held: u64,
    max_size: u64,
    /// Known once the last chunk has ended.
    length: Option<u64>,
}

#[derive(Debug)]
enum Run {
    /// As received.
    Shared(Bytes),
    Own(BytesMut),
}

/// A chunk cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssemblyError {
    /// The message is bigger than allowed.
    #[error("the message is too big")]
    TooBig,
    /// Its pieces lie apart in more places than any honest sender needs.
    #[error("the message is in too many pieces")]
    TooManyPieces,
}

impl Assembly {
    const MOST_RUNS: usize = 64;

    /// For a message of at most `max_size` bytes.
    pub fn new(max_size: u64) -> Assembly {
        Assembly {
            run_by_start: BTreeMap::new(),
            held: 0,
            max_size,
            length: None,
        }
    }

    /// Bytes held.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Adds bytes at a position, from 0. Where bytes came before, the new ones replace them.
    pub fn insert(&mut self, position: u64, bytes: Bytes) -> Result<(), AssemblyError> {
        let end = position.checked_add(bytes.len() as u64);
        let end = end
            .filter(|end| *end <= self.max_size)
            .ok_or(AssemblyError::TooBig)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if self.append(position, &bytes) {
            return Ok(());
        }
        self.cut(position, end);
        self.held = self.held.saturating_add(bytes.len() as u64);
        self.run_by_start.insert(position, Run::new(bytes));
        self.join_neighbours(position);
        if self.run_by_start.len() > Assembly::MOST_RUNS {
            return Err(AssemblyError::TooManyPieces);
        }
        Ok(())
    }

    /// The chunk that ends the message ended there.
    pub fn set_length(&mut self, length: u64) {
        self.length = Some(length);
    }

    /// The whole message, once every byte up to its length is there.
    pub fn take_complete(&mut self) -> Option<Bytes> {
        let length = self.length?;
        if length == 0 {
            return Some(Bytes::new());
        }
        let first = self.run_by_start.get(&0)?;
        if (first.len() as u64) < length {
            return None;
        }
        let mut whole = self.run_by_start.remove(&0)?.freeze();
        whole.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Some(whole)
    }

    /// The bytes there are from that position on, without gap; what lies before it is dropped.
    pub fn take_from(&mut self, position: u64) -> Option<Bytes> {
        loop {
            let at = *self.run_by_start.first_key_value()?.0;
            if at > position {
                return None;
            }
            let run = self.run_by_start.remove(&at)?.freeze();
            self.held = self.held.saturating_sub(run.len() as u64);
            let known = usize::try_from(position.saturating_sub(at)).unwrap_or(usize::MAX);
            if known < run.len() {
                return Some(run.slice(known..));
            }
        }
    }

    /// The common case: the bytes follow the last run.
    fn append(&mut self, position: u64, bytes: &Bytes) -> bool {
        let Some(mut last) = self.run_by_start.last_entry() else {
            return false;
        };
        if last.get().end(*last.key()) != position {
            return false;
        }
        last.get_mut().extend(bytes);
        self.held = self.held.saturating_add(bytes.len() as u64);
        true
    }

    /// Removes what lies between two positions.
    fn cut(&mut self, start: u64, end: u64) {
        loop {
            let found = self
                .run_by_start
                .range(..end)
                .next_back()
                .map(|(at, run)| (*at, run.end(*at)));
            let Some((at, run_end)) = found.filter(|(_, run_end)| *run_end > start) else {
                return;
            };
            let Some(run) = self.run_by_start.remove(&at) else {
                return;
            };
            let run = run.freeze();
            let before = start.saturating_sub(at) as usize;
            let after = run_end.saturating_sub(end) as usize;
            let kept = before.saturating_add(after);
            let cut = run.len().saturating_sub(kept);
            self.held = self.held.saturating_sub(cut as u64);
            if before > 0 {
                self.run_by_start
                    .insert(at, Run::Shared(run.slice(..before)));
            }
            if after > 0 {
                let tail = run.slice(run.len().saturating_sub(after)..);
                self.run_by_start.insert(end, Run::Shared(tail));
            }
        }
    }

    fn join_neighbours(&mut self, position: u64) {
        let before = self.run_by_start.range(..position).next_back();
        let joins_before = before.is_some_and(|(at, run)| run.end(*at) == position);
        let at = match before {
            Some((at, _)) if joins_before => *at,
            _ => position,
        };
        if joins_before {
            self.join(at, position);
        }
        let Some(end) = self.run_by_start.get(&at).map(|run| run.end(at)) else {
            return;
        };
        self.join(at, end);
    }

    /// Appends the run that begins at `next`, if any, to the one that begins at `at`.
    fn join(&mut self, at: u64, next: u64) {
        if let Some(follower) = self.run_by_start.remove(&next) {
            let follower = follower.freeze();
            if let Some(run) = self.run_by_start.get_mut(&at) {
                run.extend(&follower);
            }
        }
    }
}

impl Run {
    /// A small piece is copied, so that waiting for the others does not keep a whole read buffer alive.
    fn new(bytes: Bytes) -> Run {
        const COPIED: usize = 4096;
        if bytes.len() < COPIED {
            Run::Own(BytesMut::from(&bytes[..]))
        } else {
            Run::Shared(bytes)
        }
    }

    fn len(&self) -> usize {
        match self {
            Run::Shared(bytes) => bytes.len(),
            Run::Own(bytes) => bytes.len(),
        }
    }

    /// The position behind its last byte, if its first is at `start`.
    fn end(&self, start: u64) -> u64 {
        start.saturating_add(self.len() as u64)
    }

    fn extend(&mut self, more: &[u8]) {
        if let Run::Shared(bytes) = self {
            let length = bytes.len().saturating_add(more.len());
            let mut own =
                BytesMut::with_capacity(length.checked_next_power_of_two().unwrap_or(length));
            own.extend_from_slice(bytes);
            *self = Run::Own(own);
        }
        if let Run::Own(own) = self {
            own.extend_from_slice(more);
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Run::Shared(bytes) => bytes,
            Run::Own(bytes) => bytes.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn one_long_piece_is_not_copied() {
        let body = Bytes::from(vec![b'x'; 5000]);
        let mut assembly = Assembly::new(5000);
        assembly.insert(0, body.clone()).unwrap();
        assert_eq!(assembly.take_complete(), None);
        assembly.set_length(body.len() as u64);
        let whole = assembly.take_complete().unwrap();
        assert_eq!(whole.as_ptr(), body.as_ptr());
    }

    // MSRP-12
    #[test]
    fn pieces_come_in_any_order() {
        let pieces = [(0, "Neither, "), (9, "fair "), (14, "saint")];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut assembly = Assembly::new(19);
            for index in order {
                let (at, text) = pieces[index];
                assert_eq!(assembly.take_complete(), None);
                assembly.insert(at, piece(text)).unwrap();
                if index == 2 {
                    assembly.set_length(19);
                }
            }
            assert_eq!(assembly.held(), 19);
            assert_eq!(assembly.take_complete().unwrap(), "Neither, fair saint");
        }
    }

    // MSRP-12: of overlapping bytes the last ones count.
    #[test]
    fn the_last_bytes_win() {
        let mut assembly = Assembly::new(10);
        assembly.insert(0, piece("aaaaaaaaaa")).unwrap();
        assembly.insert(3, piece("bbb")).unwrap();
        assembly.insert(5, piece("cc")).unwrap();
        assembly.insert(0, piece("d")).unwrap();
        assert_eq!(assembly.held(), 10);
        assembly.set_length(10);
        assert_eq!(assembly.take_complete().unwrap(), "daabbccaaa");
    }

    // MSRP-12, MSRP-18
    #[test]
    fn what_is_in_order_is_taken() {
        let mut assembly = Assembly::new(u64::MAX);
        assembly.insert(5, piece("fgh")).unwrap();
        assembly.insert(10, piece("kl")).unwrap();
        assert_eq!(assembly.take_from(4), None);
        assert_eq!(assembly.take_from(6).unwrap(), "gh");
        assert_eq!(assembly.held(), 2);
        assert_eq!(assembly.take_from(12), None);
        assert_eq!(assembly.held(), 0);
    }

    #[test]
    fn nothing_but_the_end_is_complete_when_empty() {
        let mut assembly = Assembly::new(0);
        assembly.insert(0, Bytes::new()).unwrap();
        assembly.set_length(0);
        assert_eq!(assembly.take_complete().unwrap(), "");
    }

    // MSRP-14
    #[test]
    fn bounds_hold() {
        let mut assembly = Assembly::new(5);
        assert_eq!(
            assembly.insert(0, piece("123456")),
            Err(AssemblyError::TooBig)
        );
        assert_eq!(
            assembly.insert(u64::MAX, piece("1")),
            Err(AssemblyError::TooBig)
        );
        let mut assembly = Assembly::new(1000);
        let pieces = (0..65).map(|index| assembly.insert(index * 2, piece("x")));
        assert_eq!(pieces.last(), Some(Err(AssemblyError::TooManyPieces)));
    }
}
