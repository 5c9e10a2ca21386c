//! The MSRP connection of a session that stands is made anew: it was lost, or the peer has moved. RFC 4975 §5.4, §8.4.

use std::time::Instant;

use stox_msrp::Incoming;

use super::ending::{Draining, Parting, settle};
use super::open::{NO_SESSION, Open, fail};
use super::transfers::Transfers;
use super::{Context, Event, State, Thread};
use crate::translate::event::{Action, ChatEvent, Reason, Token};
use crate::translate::media::Media;

/// What is written waits; what the peer had not confirmed is sent again (MSRP-10).
#[derive(Debug)]
pub(super) struct Renewing {
    pub transfers: Transfers,
    cause: Cause,
    stage: Stage,
    pub until: Instant,
}

/// Why it is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection has ended, or the peer has moved.
    Ended,
    /// The peer said of this message that it knows no such session (T10).
    Unknown(Token),
}

/// What is awaited.
#[derive(Debug)]
enum Stage {
    /// Whether the peer has left: its BYE comes another way than the end of the connection.
    Bye,
    /// The answer to our re-INVITE.
    Answer,
    /// The connection to where the peer is now.
    Connection(Media),
}

impl Renewing {
    /// The connection is lost: one re-INVITE with a fresh path is tried, unless the last is too short ago.
    pub fn begin(
        mut transfers: Transfers,
        cause: Cause,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> State {
        let since = thread
            .renewed
            .map(|at| cx.now.saturating_duration_since(at));
        if since.is_some_and(|since| since < cx.settings.renew_wait) {
            return give_up(transfers, cause, thread, cx);
        }
        transfers.pause();
        State::Renewing(Renewing {
            transfers,
            cause,
            stage: Stage::Bye,
            until: cx.now + cx.settings.linger,
        })
    }

    /// The peer has a new path: the connection is made to that.
    pub fn connect(
        mut transfers: Transfers,
        cause: Cause,
        media: Media,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> State {
        transfers.pause();
        thread.open_msrp(&media, cx);
        State::Renewing(Renewing {
            transfers,
            cause,
            stage: Stage::Connection(media),
            until: cx.now + cx.settings.bind_wait,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Written(written, promise) => {
                self.transfers.send(written, promise, thread, cx);
                State::Renewing(self)
            }
            Event::Stated(state) => {
                thread.typing.stated_early(state, cx.now);
                State::Renewing(self)
            }
            Event::Elapsed => match self.stage {
                Stage::Bye => {
                    cx.out.push(Action::Renew(thread.chat));
                    thread.renewed = Some(cx.now);
                    State::Renewing(Renewing {
                        stage: Stage::Answer,
                        until: cx.now + cx.settings.renew_wait,
                        ..self
                    })
                }
                Stage::Answer | Stage::Connection(_) => self.fail(thread, cx),
            },
            Event::Peer(ChatEvent::Changed(media) | ChatEvent::Renewed(Ok(media))) => {
                Renewing::connect(self.transfers, self.cause, media, thread, cx)
            }
            Event::Peer(ChatEvent::Bound) => self.bound(thread, cx),
            Event::Peer(ChatEvent::Received(incoming)) => {
                let state = self.bound(thread, cx);
                receive(state, incoming, thread, cx)
            }
            Event::Peer(ChatEvent::Disconnected(cause)) => match self.stage {
                Stage::Connection(_) => {
                    tracing::debug!(%cause, "the connection does not come about");
                    self.fail(thread, cx)
                }
                // Told more than once.
                Stage::Bye | Stage::Answer => State::Renewing(self),
            },
            Event::Peer(ChatEvent::Renewed(Err(_)) | ChatEvent::NotRenewed) => {
                self.fail(thread, cx)
            }
            Event::Peer(ChatEvent::Unsent(token)) => {
                self.transfers.unsent(token);
                State::Renewing(self)
            }
            // What it does not know goes to the session it will know.
            Event::Peer(ChatEvent::Refused(_, NO_SESSION)) => State::Renewing(self),
            Event::Peer(ChatEvent::Ended | ChatEvent::Cancelled) => {
                Parting::begin(self.transfers, cx)
            }
            Event::Peer(ChatEvent::StreamRemoved) => {
                thread.bye(Reason::Left, cx);
                Parting::begin(self.transfers, cx)
            }
            Event::Gone => self.leave(Reason::Left, thread, cx),
            Event::ShutDown => {
                thread.say_gone(cx);
                self.leave(Reason::ShuttingDown, thread, cx)
            }
            other @ (Event::Bounced(..)
            | Event::Handed(_)
            | Event::Lost(_)
            | Event::Receipted(..)
            | Event::Peer(
                ChatEvent::Accepted(_)
                | ChatEvent::Refused(..)
                | ChatEvent::Congested(_)
                | ChatEvent::Unanswered(_)
                | ChatEvent::Reported(..)
                | ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::Failed(_)
                | ChatEvent::Acknowledged(_),
            )) => {
                settle(&mut self.transfers, other, thread, cx);
                State::Renewing(self)
            }
        }
    }

    fn bound(mut self, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match self.stage {
            Stage::Connection(media) => {
                self.transfers.resume(media, thread, cx);
                State::Open(Open::again(self.transfers))
            }
            // Of the connection that is gone.
            Stage::Bye | Stage::Answer => State::Renewing(self),
        }
    }

    fn fail(self, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        give_up(self.transfers, self.cause, thread, cx)
    }

    /// There is nothing to send by, so what waits goes back.
    fn leave(mut self, reason: Reason, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        thread.bye(reason, cx);
        self.transfers.disconnected();
        Draining::begin(self.transfers, cx)
    }
}

/// The first SEND of a passive peer's may arrive with the news that the connection is bound; and a peer that knows the
/// session no more may have said something before.
fn receive(state: State, incoming: Incoming, thread: &mut Thread, cx: &mut Context<'_>) -> State {
    let event = Event::Peer(ChatEvent::Received(incoming));
    match state {
        State::Open(open) => open.on(event, thread, cx),
        State::Renewing(mut renewing) => {
            settle(&mut renewing.transfers, event, thread, cx);
            State::Renewing(renewing)
        }
        state => state,
    }
}

/// The sender of a message that the peer knew no session for hears that, the others that nobody is there.
fn give_up(
    mut transfers: Transfers,
    cause: Cause,
    thread: &mut Thread,
    cx: &mut Context<'_>,
) -> State {
    match cause {
        Cause::Ended => {}
        Cause::Unknown(token) => transfers.refused(token, NO_SESSION),
    }
    fail(transfers, thread, cx)
}
