//! The SIP user opens the session without an offer: ours is in the 200, the answer comes with the ACK (CHAT-33).

use std::collections::VecDeque;
use std::time::Instant;

use super::binding::Binding;
use super::{Context, Event, Held, State, Thread, hold, refuse_all, unavailable};
use crate::translate::event::{ChatEvent, Reason};

/// 200 with an offer sent, ACK awaited. RFC 3261 §13.2.1.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) held: VecDeque<Held>,
    pub until: Instant,
}

impl Offering {
    pub fn begin(held: VecDeque<Held>, cx: &Context<'_>) -> State {
        State::Offering(Offering {
            held,
            until: cx.now + cx.settings.bind_wait,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Peer(ChatEvent::Acknowledged(Some(Ok(media)))) => {
                Binding::begin(media, self.held, thread, cx)
            }
            Event::Written(written, promise) => {
                hold(&mut self.held, Held { written, promise }, cx.settings);
                State::Offering(self)
            }
            Event::Stated(state) => {
                thread.typing.stated_early(state, cx.now);
                State::Offering(self)
            }
            Event::Peer(ChatEvent::Acknowledged(_)) | Event::Elapsed => {
                thread.bye(Reason::MediaLost, cx);
                refuse_all(self.held, &unavailable());
                State::Over
            }
            Event::Gone => {
                thread.bye(Reason::Left, cx);
                refuse_all(self.held, &unavailable());
                State::Over
            }
            Event::ShutDown => {
                thread.bye(Reason::ShuttingDown, cx);
                refuse_all(self.held, &unavailable());
                State::Over
            }
            Event::Peer(ChatEvent::Cancelled | ChatEvent::Ended | ChatEvent::Failed(_)) => {
                refuse_all(self.held, &unavailable());
                State::Over
            }
            Event::Receipted(..) | Event::Bounced(..) | Event::Handed(_) | Event::Lost(_) => {
                State::Offering(self)
            }
            Event::Peer(
                ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::StreamRemoved
                | ChatEvent::Changed(_)
                | ChatEvent::Renewed(_)
                | ChatEvent::NotRenewed
                | ChatEvent::Bound
                | ChatEvent::Received(_)
                | ChatEvent::Accepted(_)
                | ChatEvent::Refused(..)
                | ChatEvent::Congested(_)
                | ChatEvent::Unsent(_)
                | ChatEvent::Unanswered(_)
                | ChatEvent::Reported(..)
                | ChatEvent::Disconnected(_),
            ) => State::Offering(self),
        }
    }
}
