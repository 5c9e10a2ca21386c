//! The dialog stands; the MSRP connection is being made. RFC 4975 §5.4, RFC 6135.

use std::collections::VecDeque;
use std::time::Instant;

use stox_msrp::LostCause;

use super::ending::Leaving;
use super::open::Open;
use super::{Context, Event, Held, State, Thread, hold, refuse_all, unavailable};
use crate::fault::Fault;
use crate::translate::event::{ChatEvent, Reason};
use crate::translate::media::Media;

/// Media agreed, connection awaited; messages still wait here. RFC 7573 §4, Figure 1 (F7, F8).
#[derive(Debug)]
pub(super) struct Binding {
    media: Media,
    pub held: VecDeque<Held>,
    then: Then,
    /// Connection due.
    pub until: Instant,
}

/// What follows when the connection stands and the waiting messages are sent.
#[derive(Debug)]
enum Then {
    Stay,
    /// The XMPP user has left meanwhile (CHAT-24).
    Leave,
}

impl Binding {
    pub fn begin(
        media: Media,
        held: VecDeque<Held>,
        thread: &mut Thread,
        cx: &mut Context<'_>,
    ) -> State {
        thread.open_msrp(&media, cx);
        State::Binding(Binding {
            media,
            held,
            then: Then::Stay,
            until: cx.now + cx.settings.bind_wait,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Written(written, promise) => {
                self.then = Then::Stay;
                hold(&mut self.held, Held { written, promise }, cx.settings);
                State::Binding(self)
            }
            Event::Stated(state) => {
                thread.typing.stated_early(state, cx.now);
                State::Binding(self)
            }
            Event::Peer(ChatEvent::Bound) => self.bound(thread, cx),
            // The first SEND of a passive peer's may arrive with the news that the connection is bound.
            Event::Peer(ChatEvent::Received(incoming)) => match self.bound(thread, cx) {
                State::Open(open) => {
                    open.on(Event::Peer(ChatEvent::Received(incoming)), thread, cx)
                }
                State::Leaving(leaving) => {
                    leaving.on(Event::Peer(ChatEvent::Received(incoming)), thread, cx)
                }
                state => state,
            },
            Event::Gone if self.held.is_empty() => self.leave(Reason::Left, thread, cx),
            Event::Gone => {
                self.then = Then::Leave;
                State::Binding(self)
            }
            Event::ShutDown => self.leave(Reason::ShuttingDown, thread, cx),
            // Held or resumed before it began; or moved: then the connection is made to where it is now.
            Event::Peer(ChatEvent::Changed(media)) if media.path == self.media.path => {
                State::Binding(Binding { media, ..self })
            }
            Event::Peer(ChatEvent::Changed(media)) => {
                thread.open_msrp(&media, cx);
                State::Binding(Binding { media, ..self })
            }
            Event::Peer(ChatEvent::StreamRemoved) => self.leave(Reason::MediaLost, thread, cx),
            Event::Peer(ChatEvent::Disconnected(cause)) => self.fail(cause, thread, cx),
            Event::Elapsed => self.fail(LostCause::NobodyCame, thread, cx),
            Event::Peer(ChatEvent::Ended | ChatEvent::Cancelled) => {
                refuse_all(self.held, &unavailable());
                State::Over
            }
            Event::Peer(ChatEvent::Acknowledged(_)) => State::Binding(self),
            Event::Receipted(..) | Event::Bounced(..) | Event::Handed(_) | Event::Lost(_) => {
                State::Binding(self)
            }
            Event::Peer(
                ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::Failed(_)
                | ChatEvent::Accepted(_)
                | ChatEvent::Refused(..)
                | ChatEvent::Congested(_)
                | ChatEvent::Unsent(_)
                | ChatEvent::Unanswered(_)
                | ChatEvent::Reported(..)
                | ChatEvent::Renewed(_)
                | ChatEvent::NotRenewed,
            ) => State::Binding(self),
        }
    }

    fn bound(self, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        let open = Open::begin(self.media, self.held, thread, cx);
        match self.then {
            Then::Stay => State::Open(open),
            Then::Leave => Leaving::begin(open.transfers, Reason::Left, thread, cx),
        }
    }

    fn fail(self, cause: LostCause, thread: &Thread, cx: &mut Context<'_>) -> State {
        thread.bye(Reason::MediaLost, cx);
        refuse_all(self.held, &Fault::from_lost(cause));
        State::Over
    }

    fn leave(self, reason: Reason, thread: &Thread, cx: &mut Context<'_>) -> State {
        thread.bye(reason, cx);
        refuse_all(self.held, &unavailable());
        State::Over
    }
}
