//! The XMPP user opens the session: INVITE until its final answer. RFC 7573 §4, Figure 1.

use std::collections::VecDeque;
use std::time::Instant;

use super::binding::Binding;
use super::{Context, Event, Held, State, Thread, hold, refuse_all, unavailable};
use crate::config::ChatMode;
use crate::fault::{Condition, Fault};
use crate::translate::context::Stranded;
use crate::translate::event::{Action, ChatEvent, Reason, Rejection};
use crate::translate::is_call_id;
use crate::translate::media::Unusable;

/// Answers that say: no MSRP here (CHAT-11).
const NO_MSRP: [u16; 6] = [405, 415, 420, 488, 501, 606];

/// INVITE sent, no final response yet; messages wait here. RFC 7573 §4, Figure 1 (F3 to F6).
#[derive(Debug)]
pub(super) struct Inviting {
    pub(super) held: VecDeque<Held>,
    /// Answer due (CHAT-08).
    pub until: Instant,
}

/// CANCEL sent: only the end of the transaction is awaited. RFC 3261 §9.1.
#[derive(Debug)]
pub(super) struct Cancelling {
    pub until: Instant,
}

/// CANCEL sent because the peer calls as well. Should a 2xx cross it, there are two sessions, and both stay (CHAT-27).
#[derive(Debug)]
pub(super) struct Yielding {
    pub until: Instant,
}

impl Inviting {
    pub fn begin(first: Held, thread: &Thread, cx: &mut Context<'_>) -> State {
        let origin = &first.written.origin;
        let subject = match &first.written.subject {
            Some(subject) => subject.clone(),
            None => format!(
                "Open chat with {}?",
                origin.from.node().unwrap_or(origin.from.domain())
            ),
        };
        cx.out.push(Action::Invite {
            chat: thread.chat,
            call_id: is_call_id(thread.name()).then(|| thread.name().to_owned()),
            thread: thread.name().to_owned(),
            subject,
            resource: origin.from.resource().map(str::to_owned),
            device: thread.device.clone(),
        });
        State::Inviting(Inviting {
            held: VecDeque::from([first]),
            until: cx.now + cx.settings.answer_wait,
        })
    }

    pub fn on(mut self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Written(written, promise) => {
                hold(&mut self.held, Held { written, promise }, cx.settings);
                State::Inviting(self)
            }
            Event::Stated(state) => {
                thread.typing.stated_early(state, cx.now);
                State::Inviting(self)
            }
            Event::Peer(ChatEvent::Answered { media, device }) => {
                cx.out.push(Action::Ack(thread.chat));
                if device.is_some() {
                    thread.device = device;
                }
                match media {
                    Ok(media) => Binding::begin(media, self.held, thread, cx),
                    Err(unusable) => self.no_session(unusable, thread, cx),
                }
            }
            Event::Peer(ChatEvent::Rejected(rejection)) => self.rejected(&rejection, thread, cx),
            Event::Peer(ChatEvent::Failed(failure)) => {
                refuse_all(self.held, &Fault::from_failure(&failure));
                State::Over
            }
            Event::Gone | Event::Elapsed | Event::ShutDown => {
                cx.out.push(Action::Cancel(thread.chat));
                refuse_all(self.held, &unavailable());
                State::Cancelling(Cancelling {
                    until: cx.now + cx.settings.bind_wait,
                })
            }
            Event::Peer(ChatEvent::Ended) => {
                refuse_all(self.held, &unavailable());
                State::Over
            }
            // Nothing was written to either side yet, so none of these can be about this session.
            Event::Receipted(..) | Event::Bounced(..) | Event::Handed(_) | Event::Lost(_) => {
                State::Inviting(self)
            }
            Event::Peer(
                ChatEvent::Cancelled
                | ChatEvent::Acknowledged(_)
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
            ) => State::Inviting(self),
        }
    }

    /// The peer calls as well: ours is withdrawn, and what waited is returned (CHAT-27).
    pub fn give_way(self, thread: &Thread, cx: &mut Context<'_>) -> (VecDeque<Held>, State) {
        cx.out.push(Action::Retract(thread.chat));
        let yielding = State::Yielding(Yielding {
            until: cx.now + cx.settings.bind_wait,
        });
        (self.held, yielding)
    }

    /// The peer said no: by MESSAGE if it only lacks MSRP, else the sender hears why (CHAT-09, CHAT-11).
    fn rejected(self, rejection: &Rejection, thread: &Thread, cx: &mut Context<'_>) -> State {
        if NO_MSRP.contains(&rejection.status) {
            self.without_session(&rejection.fault, thread, cx);
        } else {
            refuse_all(self.held, &rejection.fault);
        }
        State::Over
    }

    /// The answer holds no session that text can travel by (NEG-07, MSRP-21).
    fn no_session(self, unusable: Unusable, thread: &Thread, cx: &mut Context<'_>) -> State {
        thread.bye(Reason::MediaLost, cx);
        let fault = Fault::new(Condition::NotAcceptable).with_text(unusable.to_string());
        match unusable {
            Unusable::NoMsrp => self.without_session(&fault, thread, cx),
            Unusable::Unreadable | Unusable::NoText => refuse_all(self.held, &fault),
        }
        State::Over
    }

    /// The peer has no MSRP: by MESSAGE then, where the configuration lets it (CHAT-11).
    fn without_session(self, fault: &Fault, thread: &Thread, cx: &mut Context<'_>) {
        if cx.settings.mode != ChatMode::Auto {
            return refuse_all(self.held, fault);
        }
        let thread = thread.name().to_owned();
        let strand = |Held { written, promise }| Stranded {
            written,
            promise,
            thread: thread.clone(),
        };
        cx.stranded.extend(self.held.into_iter().map(strand));
    }
}

impl Yielding {
    pub fn on(self, event: Event, thread: &mut Thread, cx: &mut Context<'_>) -> State {
        match event {
            Event::Peer(ChatEvent::Answered { media, device }) => {
                cx.out.push(Action::Ack(thread.chat));
                if device.is_some() {
                    thread.device = device;
                }
                match media {
                    Ok(media) => Binding::begin(media, VecDeque::new(), thread, cx),
                    Err(_) => {
                        thread.bye(Reason::MediaLost, cx);
                        State::Over
                    }
                }
            }
            // Nobody wants it any more, even if it is answered.
            Event::Gone | Event::ShutDown | Event::Elapsed => {
                cx.out.push(Action::Cancel(thread.chat));
                State::Cancelling(Cancelling {
                    until: cx.now + cx.settings.bind_wait,
                })
            }
            other => match (Cancelling { until: self.until }).on(other) {
                State::Cancelling(_) => State::Yielding(self),
                state => state,
            },
        }
    }
}

impl Cancelling {
    pub fn on(self, event: Event) -> State {
        match event {
            // A 2xx that crossed the CANCEL is acknowledged and ended by the endpoint.
            Event::Peer(
                ChatEvent::Answered { .. }
                | ChatEvent::Rejected(_)
                | ChatEvent::Failed(_)
                | ChatEvent::Ended,
            )
            | Event::Elapsed => State::Over,
            Event::Written(_, promise) => {
                promise.refused(unavailable());
                State::Cancelling(self)
            }
            Event::Stated(_)
            | Event::Gone
            | Event::Receipted(..)
            | Event::Bounced(..)
            | Event::Handed(_)
            | Event::Lost(_)
            | Event::ShutDown => State::Cancelling(self),
            Event::Peer(
                ChatEvent::Cancelled
                | ChatEvent::Acknowledged(_)
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
            ) => State::Cancelling(self),
        }
    }
}
