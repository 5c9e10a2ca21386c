//! What has happened and waits for the user. Bounded: what peers begin is refused when too much of it waits, and what
//! comes of our own doing is bounded by what we do.

use std::sync::Arc;

use stox_msrp::node::Inbox;
use stox_msrp::{Incoming, SessionEvent};
use stox_sip::{Event, Handler, Status};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chat::ChatId;

/// Requests and messages of peers that may wait.
const ROOM: usize = 1000;

/// One thing that happened.
pub enum Happened {
    Sip(Box<Event>),
    Received(ChatId, Incoming),
    Completed(ChatId, SessionEvent),
}

/// Something in the queue, with the room it takes there.
pub struct Entry {
    pub happened: Happened,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Clone)]
pub struct Queue {
    entries: UnboundedSender<Entry>,
    room: Arc<Semaphore>,
}

pub fn queue() -> (Queue, UnboundedReceiver<Entry>) {
    let (entries, receiver) = unbounded_channel();
    (
        Queue {
            entries,
            room: Arc::new(Semaphore::new(ROOM)),
        },
        receiver,
    )
}

impl Queue {
    fn put(&self, happened: Happened, room: Option<OwnedSemaphorePermit>) {
        // Nobody is there any more only while the program ends.
        let _ = self.entries.send(Entry {
            happened,
            _room: room,
        });
    }

    fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }
}

/// Where the SIP driver tells what happens.
pub struct SipInbox(pub Queue);

impl Handler for SipInbox {
    fn handle(&mut self, event: Event) -> Result<(), Status> {
        let room = match event {
            Event::Invited { .. } | Event::Requested { .. } | Event::Reinvited { .. } => {
                Some(self.0.room().ok_or(Status::SERVICE_UNAVAILABLE)?)
            }
            _ => None,
        };
        self.0.put(Happened::Sip(Box::new(event)), room);
        Ok(())
    }
}

/// Where the MSRP session of one chat tells what happens.
pub struct ChatInbox {
    pub chat: ChatId,
    pub queue: Queue,
}

impl Inbox for ChatInbox {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        match self.queue.room() {
            Some(room) => {
                self.queue
                    .put(Happened::Received(self.chat, message), Some(room));
                Ok(())
            }
            None => Err(message),
        }
    }

    fn complete(&self, event: SessionEvent) {
        self.queue.put(Happened::Completed(self.chat, event), None);
    }
}
