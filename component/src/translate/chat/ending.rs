//! The session ends, but what is under way still finds its fate. RFC 7573 §4, §6.1.

use std::time::Instant;

use super::transfers::Transfers;
use super::{Context, Event, State, Thread, unavailable};
use crate::translate::event::{ChatEvent, Reason};

/// Our side leaves: BYE follows when the peer has answered what was sent (CHAT-24).
#[derive(Debug)]
pub(super) struct Leaving {
    pub transfers: Transfers,
    reason: Reason,
    pub until: Instant,
}

/// The XMPP side takes no more messages: the errors of those already handed over come in, then BYE (CHAT-37).
#[derive(Debug)]
pub(super) struct Failing {
    pub transfers: Transfers,
    /// SIP status of the first error.
    status: u16,
    pub until: Instant,
}

/// The peer has left: its last words may still be on their way by MSRP, which is another way than its BYE (CHAT-23).
#[derive(Debug)]
pub(super) struct Parting {
    pub transfers: Transfers,
    pub until: Instant,
}

/// The dialog is over: only the fate of what is under way is awaited. That of a message sent to the peer for a while;
/// that of a stanza for as long as the link needs, since it may still be delivered.
#[derive(Debug)]
pub(super) struct Draining {
    pub transfers: Transfers,
    until: Instant,
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
        if self.transfers.all_answered() && !self.transfers.await_reports() {
            thread.bye(self.reason, cx);
            Draining::begin(self.transfers, cx)
        } else {
            State::Leaving(self)
        }
    }
}

impl Failing {
    pub fn begin(mut transfers: Transfers, status: u16, cx: &Context<'_>) -> State {
        transfers.end();
        State::Failing(Failing {
            transfers,
            status,
            until: cx.now + cx.settings.linger,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Elapsed | Event::ShutDown => {
                thread.bye(Reason::Refused(self.status), cx);
                Draining::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::Ended) => Draining::begin(self.transfers, cx),
            other => {
                settle(&mut self.transfers, other, thread, cx);
                State::Failing(self)
            }
        }
    }
}

impl Parting {
    pub fn begin(mut transfers: Transfers, cx: &Context<'_>) -> State {
        transfers.end();
        State::Parting(Parting {
            transfers,
            until: cx.now + cx.settings.linger,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Elapsed | Event::ShutDown | Event::Peer(ChatEvent::Disconnected(_)) => {
                settle(&mut self.transfers, event, thread, cx);
                thread.say_gone(cx);
                Draining::begin(self.transfers, cx)
            }
            other => {
                settle(&mut self.transfers, other, thread, cx);
                State::Parting(self)
            }
        }
    }
}

impl Draining {
    pub fn begin(mut transfers: Transfers, cx: &Context<'_>) -> State {
        transfers.end();
        Draining {
            transfers,
            until: cx.now + cx.settings.drain_wait,
        }
        .next()
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Elapsed => self.transfers.disconnected(),
            other => settle(&mut self.transfers, other, thread, cx),
        }
        self.next()
    }

    /// When the peer's answers are waited for no longer.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.transfers.all_answered()).then_some(self.until)
    }

    fn next(self) -> State {
        if self.transfers.all_answered() && self.transfers.all_handed() {
            State::Over
        } else {
            State::Draining(self)
        }
    }
}

/// What these states do alike: fates are noted, nothing new is begun but what the peer had already sent.
pub(super) fn settle(
    transfers: &mut Transfers,
    event: Event,
    thread: &mut Thread,
    cx: &mut Context<'_>,
) {
    match event {
        Event::Peer(ChatEvent::Received(incoming)) => transfers.receive(incoming, thread, cx),
        Event::Peer(ChatEvent::Accepted(token)) => transfers.accepted(token),
        Event::Peer(ChatEvent::Refused(token, status)) => transfers.refused(token, status),
        Event::Peer(ChatEvent::Congested(token)) => transfers.congested(token),
        Event::Peer(ChatEvent::Unanswered(token)) => transfers.unanswered(token),
        Event::Peer(ChatEvent::Reported(token, status, range)) => {
            transfers.reported(token, status, range, thread, cx);
        }
        Event::Receipted(id, mark) => transfers.receipted(&id, mark, thread, cx),
        Event::Peer(ChatEvent::Disconnected(_) | ChatEvent::Unsent(_)) => transfers.disconnected(),
        Event::Handed(token) => transfers.handed(token, cx.now),
        Event::Lost(token) => transfers.lost(token),
        Event::Bounced(id, fault) => {
            transfers.bounced(&id, &fault, thread, cx);
        }
        Event::Written(_, promise) => promise.refused(unavailable()),
        Event::Stated(_)
        | Event::Gone
        | Event::Elapsed
        | Event::ShutDown
        | Event::Peer(
            ChatEvent::Answered { .. }
            | ChatEvent::Rejected(_)
            | ChatEvent::Failed(_)
            | ChatEvent::Cancelled
            | ChatEvent::Acknowledged(_)
            | ChatEvent::Ended
            | ChatEvent::StreamRemoved
            | ChatEvent::Changed(_)
            | ChatEvent::Renewed(_)
            | ChatEvent::NotRenewed
            | ChatEvent::Bound,
        ) => {}
    }
}
