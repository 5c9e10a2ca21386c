//! Shell: what one connection is to write, bounded by messages and by bytes (SEC-14).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::endpoint::Limits;

/// Most messages written at a time.
const BATCH: usize = 64;

/// Where messages are put.
#[derive(Debug)]
pub(super) struct Queue {
    messages: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
    most: usize,
}

/// As [`Queue`], for who does not keep it open.
#[derive(Debug)]
pub(super) struct WeakQueue {
    messages: mpsc::WeakSender<Bytes>,
    bytes: Arc<AtomicUsize>,
    most: usize,
}

/// Where messages are taken.
#[derive(Debug)]
pub(super) struct Unwritten {
    messages: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// There is no room for a message, or nobody to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub(super) fn new(limits: &Limits) -> (Self, Unwritten) {
        let (sender, messages) = mpsc::channel(limits.write_queue.max(1));
        let bytes = Arc::new(AtomicUsize::new(0));
        let queue = Self {
            messages: sender,
            bytes: bytes.clone(),
            most: limits.unwritten,
        };
        (queue, Unwritten { messages, bytes })
    }

    /// A message of any size is taken while less than the bound waits.
    pub(super) fn push(&self, message: Bytes) -> Result<(), Full> {
        push(&self.messages, &self.bytes, self.most, message)
    }

    pub(super) fn downgrade(&self) -> WeakQueue {
        WeakQueue {
            messages: self.messages.downgrade(),
            bytes: self.bytes.clone(),
            most: self.most,
        }
    }
}

impl WeakQueue {
    pub(super) fn push(&self, message: Bytes) -> Result<(), Full> {
        let messages = self.messages.upgrade().ok_or(Full)?;
        push(&messages, &self.bytes, self.most, message)
    }
}

impl Unwritten {
    /// Waits for messages and returns how many there are; 0 when there will be no more.
    pub(super) async fn next(&mut self, batch: &mut Vec<Bytes>) -> usize {
        self.messages.recv_many(batch, BATCH).await
    }

    pub(super) fn note_written(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

fn push(
    messages: &mpsc::Sender<Bytes>,
    bytes: &AtomicUsize,
    most: usize,
    message: Bytes,
) -> Result<(), Full> {
    let length = message.len();
    if bytes.fetch_add(length, Relaxed) >= most || messages.try_send(message).is_err() {
        bytes.fetch_sub(length, Relaxed);
        return Err(Full);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-14, SEC-14. A peer that reads nothing makes us hold so many bytes, whatever the number of messages.
    #[tokio::test]
    async fn bytes_are_bounded() {
        let limits = Limits {
            unwritten: 100,
            ..Limits::default()
        };
        let (queue, mut unwritten) = Queue::new(&limits);
        let message = Bytes::from_static(&[0; 60]);
        assert_eq!(queue.push(message.clone()), Ok(()));
        assert_eq!(queue.push(message.clone()), Ok(()));
        assert_eq!(queue.push(message.clone()), Err(Full));
        assert_eq!(queue.downgrade().push(message.clone()), Err(Full));
        let mut batch = Vec::new();
        assert_eq!(unwritten.next(&mut batch).await, 2);
        assert_eq!(queue.push(message.clone()), Err(Full));
        unwritten.note_written(120);
        assert_eq!(queue.push(message), Ok(()));
    }
}
