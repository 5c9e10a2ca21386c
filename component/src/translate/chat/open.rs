//! The session carries messages both ways. RFC 7573 §4 (F9 to F13), §5.

use std::collections::VecDeque;

use super::ending::{Draining, Failing, Leaving, Parting};
use super::renewing::{Cause, Renewing};
use super::transfers::{Bounce, Transfers};
use super::{Context, Event, Held, State, Thread};
use crate::translate::event::{ChatEvent, Reason};
use crate::translate::media::Media;

/// The peer does not know the session any more. RFC 4975 §10.
pub(super) const NO_SESSION: u16 = 481;
/// So many messages in a row without any answer mean the same (T10).
const UNANSWERED: u32 = 3;

/// Connected: messages cross.
#[derive(Debug)]
pub(super) struct Open {
    pub transfers: Transfers,
    /// Messages in a row that the peer did not answer.
    unanswered: u32,
}

impl Open {
    /// Everything that waited goes first, in the order it was written (CHAT-07).
    pub fn begin(
        media: Media,
        held: VecDeque<Held>,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> Open {
        let mut transfers = Transfers::new(media);
        for Held { written, promise } in held {
            transfers.send(written, promise, thread, cx);
        }
        if let Some(status) = thread.typing.session_began(cx.now) {
            transfers.tell(&status, thread, cx);
        }
        Open {
            transfers,
            unanswered: 0,
        }
    }

    /// The connection was made anew.
    pub fn again(transfers: Transfers) -> Open {
        Open {
            transfers,
            unanswered: 0,
        }
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Written(written, promise) => {
                self.transfers.send(written, promise, thread, cx);
                State::Open(self)
            }
            Event::Stated(state) => {
                if self.transfers.takes_composing()
                    && let Some(status) = thread.typing.stated(state, cx.now)
                {
                    self.transfers.tell(&status, thread, cx);
                }
                State::Open(self)
            }
            Event::Peer(ChatEvent::Received(incoming)) => {
                self.transfers.receive(incoming, thread, cx);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Accepted(token)) => {
                self.unanswered = 0;
                self.transfers.accepted(token);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Refused(token, status)) => {
                self.unanswered = 0;
                if status != NO_SESSION {
                    self.transfers.refused(token, status);
                    return State::Open(self);
                }
                // Once on a new session, then it is the sender's to know (T10).
                Renewing::begin(self.transfers, Cause::Unknown(token), thread, cx)
            }
            Event::Peer(ChatEvent::Unanswered(token)) => {
                self.unanswered += 1;
                self.transfers.unanswered(token);
                if self.unanswered >= UNANSWERED {
                    fail(self.transfers, thread, cx)
                } else {
                    State::Open(self)
                }
            }
            Event::Peer(ChatEvent::Congested(token)) => {
                self.transfers.congested(token);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Reported(token, status, range)) => {
                self.unanswered = 0;
                self.transfers.reported(token, status, range, thread, cx);
                State::Open(self)
            }
            Event::Receipted(id, mark) => {
                self.transfers.receipted(&id, mark, thread, cx);
                State::Open(self)
            }
            Event::Handed(token) => {
                self.transfers.handed(token, cx.now);
                State::Open(self)
            }
            Event::Lost(token) => {
                self.transfers.lost(token);
                State::Open(self)
            }
            Event::Bounced(id, fault) => {
                match self.transfers.bounced(&id, &fault, thread, cx) {
                    // Nobody there will take the next message either (CHAT-37).
                    Bounce::Final(status) => Failing::begin(self.transfers, status, cx),
                    Bounce::Single => State::Open(self),
                }
            }
            Event::Gone => Leaving::begin(self.transfers, Reason::Left, thread, cx),
            Event::Elapsed if cx.now < thread.last_active + cx.settings.idle => {
                self.transfers.elapsed(cx.now);
                let (told, shown) = thread.typing.poll(cx.now);
                if let Some(status) = told {
                    self.transfers.tell(&status, thread, cx);
                }
                if let Some(state) = shown {
                    thread.show(state, cx);
                }
                State::Open(self)
            }
            Event::Elapsed => {
                thread.say_gone(cx);
                Leaving::begin(self.transfers, Reason::Left, thread, cx)
            }
            Event::ShutDown => {
                thread.say_gone(cx);
                Leaving::begin(self.transfers, Reason::ShuttingDown, thread, cx)
            }
            Event::Peer(ChatEvent::StreamRemoved) => {
                thread.bye(Reason::Left, cx);
                Parting::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::Ended | ChatEvent::Cancelled) => {
                Parting::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::Disconnected(_)) => {
                Renewing::begin(self.transfers, Cause::Ended, thread, cx)
            }
            Event::Peer(ChatEvent::Unsent(token)) => {
                self.transfers.unsent(token);
                Renewing::begin(self.transfers, Cause::Ended, thread, cx)
            }
            Event::Peer(ChatEvent::Changed(media) | ChatEvent::Acknowledged(Some(Ok(media))))
                if media.path == self.transfers.path() =>
            {
                self.transfers.adjust(media, thread, cx);
                State::Open(self)
            }
            Event::Peer(ChatEvent::Changed(media) | ChatEvent::Renewed(Ok(media))) => {
                Renewing::connect(self.transfers, Cause::Ended, media, thread, cx)
            }
            // The peer moved in answer to an offer that has our old path: both need a fresh one.
            Event::Peer(ChatEvent::Acknowledged(Some(_))) => {
                Renewing::begin(self.transfers, Cause::Ended, thread, cx)
            }
            Event::Peer(
                ChatEvent::Bound
                | ChatEvent::Acknowledged(None)
                | ChatEvent::Renewed(Err(_))
                | ChatEvent::NotRenewed
                | ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::Failed(_),
            ) => State::Open(self),
        }
    }
}

/// The MSRP session is no more: what has no answer gets none (CHAT-29).
pub(super) fn fail(mut transfers: Transfers, thread: &mut Thread, cx: &mut Context<'_>) -> State {
    thread.say_gone(cx);
    thread.bye(Reason::MediaLost, cx);
    transfers.disconnected();
    Draining::begin(transfers, cx)
}
