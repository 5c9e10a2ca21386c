//! The session carries messages both ways. RFC 7573 §4 (F9 to F13), §5.

use std::collections::VecDeque;

use super::ending::{Draining, Leaving};
use super::transfers::Transfers;
use super::{Context, Event, Held, State, Thread};
use crate::translate::event::{ChatEvent, Reason};
use crate::translate::media::Media;

/// Connected: messages cross.
#[derive(Debug)]
pub(super) struct Open {
    transfers: Transfers,
}

impl Open {
    /// Everything that waited goes first, in the order it was written (CHAT-07).
    pub fn begin(
        media: Media,
        held: VecDeque<Held>,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> State {
        let mut transfers = Transfers::new(media);
        for Held { written, promise } in held {
            transfers.send(written, promise, thread, cx);
        }
        State::Open(Open { transfers })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Written(written, promise) => {
                self.transfers.send(written, promise, thread, cx);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Received(incoming)) => {
                self.transfers.receive(incoming, thread, cx);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Accepted(token)) => {
                self.transfers.accepted(token);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Refused(token, status)) => {
                self.transfers.refused(token, status);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Congested(token)) => {
                self.transfers.congested(token);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Unanswered(token)) => {
                self.transfers.unanswered(token);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Reported(token, status)) => {
                self.transfers.reported(token, status, cx);
                State::Open(self)
            }
            Event::Handed(token) => {
                self.transfers.handed(token);
                State::Open(self)
            }
            Event::Lost(token) => {
                self.transfers.lost(token);
                State::Open(self)
            }
            Event::Bounced(id, fault) => match self.transfers.bounced(&id, &fault, thread, cx) {
                // Nobody there will take the next message either (CHAT-37).
                Some(status) => {
                    thread.bye(Reason::Refused(status), cx);
                    Draining::begin(self.transfers, cx)
                }
                None => State::Open(self),
            },
            Event::Gone => Leaving::begin(self.transfers, Reason::Left, thread, cx),
            Event::Elapsed => {
                thread.say_gone(cx);
                Leaving::begin(self.transfers, Reason::Left, thread, cx)
            }
            Event::ShutDown => {
                thread.say_gone(cx);
                Leaving::begin(self.transfers, Reason::ShuttingDown, thread, cx)
            }
            Event::Peer(ChatEvent::Ended | ChatEvent::Cancelled) => {
                thread.say_gone(cx);
                Draining::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::Disconnected(_)) => {
                thread.say_gone(cx);
                thread.bye(Reason::MediaLost, cx);
                self.transfers.disconnected();
                Draining::begin(self.transfers, cx)
            }
            Event::Peer(
                ChatEvent::Bound
                | ChatEvent::Acknowledged(_)
                | ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::Failed(_),
            ) => State::Open(self),
        }
    }
}
