//! The session ends, but what is under way still finds its fate. RFC 7573 §4, §6.1.

use std::time::Instant;

use super::transfers::Transfers;
use super::{Context, Event, State, Thread, unavailable};
use crate::translate::event::{ChatEvent, Reason};

/// Our side leaves: BYE follows when the peer has answered what was sent (CHAT-24).
#[derive(Debug)]
pub(super) struct Leaving {
    transfers: Transfers,
    reason: Reason,
    pub until: Instant,
}

/// The dialog is over: only the fate of what is under way is awaited.
#[derive(Debug)]
pub(super) struct Draining {
    transfers: Transfers,
    pub until: Instant,
}

impl Leaving {
    pub fn begin(
        transfers: Transfers,
        reason: Reason,
        thread: &Thread,
        cx: &mut Context<'_>,
    ) -> State {
        Leaving {
            transfers,
            reason,
            until: cx.now + cx.settings.drain_wait,
        }
        .next(thread, cx)
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Elapsed => {
                thread.bye(self.reason, cx);
                Draining::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::Ended) => Draining::begin(self.transfers, cx),
            Event::Peer(ChatEvent::Disconnected(_)) => {
                self.transfers.disconnected();
                self.next(thread, cx)
            }
            Event::ShutDown => {
                self.reason = Reason::ShuttingDown;
                self.next(thread, cx)
            }
            other => {
                settle(&mut self.transfers, other, thread, cx);
                self.next(thread, cx)
            }
        }
    }

    fn next(self, thread: &Thread, cx: &mut Context<'_>) -> State {
        if self.transfers.all_answered() {
            thread.bye(self.reason, cx);
            Draining::begin(self.transfers, cx)
        } else {
            State::Leaving(self)
        }
    }
}

impl Draining {
    pub fn begin(transfers: Transfers, cx: &Context<'_>) -> State {
        Draining {
            transfers,
            until: cx.now + cx.settings.drain_wait,
        }
        .next()
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Elapsed => {
                self.transfers.abandon();
                State::Over
            }
            Event::Peer(ChatEvent::Disconnected(_)) => {
                self.transfers.disconnected();
                self.next()
            }
            other => {
                settle(&mut self.transfers, other, thread, cx);
                self.next()
            }
        }
    }

    fn next(self) -> State {
        if self.transfers.all_answered() && self.transfers.all_handed() {
            State::Over
        } else {
            State::Draining(self)
        }
    }
}

/// What both states do alike: fates are noted, nothing new is begun but what the peer had already sent.
fn settle(transfers: &mut Transfers, event: Event, thread: &mut Thread, cx: &mut Context<'_>) {
    match event {
        Event::Peer(ChatEvent::Received(incoming)) => transfers.receive(incoming, thread, cx),
        Event::Peer(ChatEvent::Accepted(token)) => transfers.accepted(token),
        Event::Peer(ChatEvent::Refused(token, status)) => transfers.refused(token, status),
        Event::Peer(ChatEvent::Congested(token)) => transfers.congested(token),
        Event::Peer(ChatEvent::Unanswered(token)) => transfers.unanswered(token),
        Event::Peer(ChatEvent::Reported(token, status)) => transfers.reported(token, status, cx),
        Event::Handed(token) => transfers.handed(token),
        Event::Lost(token) => transfers.lost(token),
        Event::Bounced(id, fault) => {
            transfers.bounced(&id, &fault, thread, cx);
        }
        Event::Written(_, promise) => promise.refused(unavailable()),
        Event::Gone
        | Event::Elapsed
        | Event::ShutDown
        | Event::Peer(
            ChatEvent::Answered { .. }
            | ChatEvent::Rejected(_)
            | ChatEvent::Failed(_)
            | ChatEvent::Cancelled
            | ChatEvent::Acknowledged(_)
            | ChatEvent::Ended
            | ChatEvent::Bound
            | ChatEvent::Disconnected(_),
        ) => {}
    }
}
