//! INVITE server transaction. RFC 3261 §17.2.1, Figure 7, with the Accepted state of RFC 6026 §8.3.

use std::time::Instant;

use super::{Repeat, earlier};
use crate::endpoint::Timers;

/// The state, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerInvite {
    /// No final response yet; the last provisional one answers retransmissions.
    Proceeding,
    /// A 300-699 is sent. Timer G: send it again (unreliable transports only). Timer H: give up
    /// waiting for the ACK.
    Completed { g: Option<Repeat>, h: Instant },
    /// The ACK came. Timer I: its retransmissions are over.
    Confirmed { i: Instant },
    /// A 2xx is sent; the user repeats it until the ACK comes. Timer L: retransmissions of the
    /// INVITE are over.
    Accepted { l: Instant },
    /// Over.
    Terminated,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The INVITE came again.
    Repeated,
    /// The ACK came.
    Acknowledged,
    /// The user answers with 100-199.
    Provisional,
    /// The user answers with 200-299.
    Success,
    /// The user answers with 300-699.
    Failure,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the last response of the user, for the first time or again.
    SendResponse,
}

impl ServerInvite {
    pub(crate) fn new() -> Self {
        Self::Proceeding
    }

    pub(crate) fn on(
        self,
        event: Event,
        reliable: bool,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Self {
        match self {
            Self::Proceeding => match event {
                Event::Repeated | Event::Provisional => {
                    out.push(Action::SendResponse);
                    self
                }
                Event::Success => {
                    out.push(Action::SendResponse);
                    Self::Accepted {
                        l: now + timers.transaction(),
                    }
                }
                Event::Failure => {
                    out.push(Action::SendResponse);
                    let g = (!reliable).then(|| Repeat::new(now, timers.t1));
                    Self::Completed {
                        g,
                        h: now + timers.transaction(),
                    }
                }
                Event::Acknowledged => self,
            },
            Self::Completed { .. } => match event {
                Event::Repeated => {
                    out.push(Action::SendResponse);
                    self
                }
                Event::Acknowledged if reliable => Self::Terminated,
                Event::Acknowledged => Self::Confirmed { i: now + timers.t4 },
                Event::Provisional | Event::Success | Event::Failure => self,
            },
            Self::Accepted { .. } => match event {
                Event::Success => {
                    out.push(Action::SendResponse);
                    self
                }
                Event::Repeated | Event::Acknowledged | Event::Provisional | Event::Failure => self,
            },
            Self::Confirmed { .. } | Self::Terminated => self,
        }
    }

    pub(crate) fn on_time(self, timers: &Timers, now: Instant, out: &mut Vec<Action>) -> Self {
        match self {
            Self::Completed { h, .. } if h <= now => Self::Terminated,
            Self::Completed { g: Some(g), h } if g.is_due(now) => {
                out.push(Action::SendResponse);
                Self::Completed {
                    g: Some(g.doubled(now, Some(timers.t2))),
                    h,
                }
            }
            Self::Confirmed { i: end } | Self::Accepted { l: end } if end <= now => {
                Self::Terminated
            }
            Self::Proceeding
            | Self::Completed { .. }
            | Self::Confirmed { .. }
            | Self::Accepted { .. }
            | Self::Terminated => self,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Completed { g, h } => Some(earlier(g, h)),
            Self::Confirmed { i: end } | Self::Accepted { l: end } => Some(end),
            Self::Proceeding | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn run(
        machine: ServerInvite,
        events: &[Event],
        reliable: bool,
        now: Instant,
    ) -> (ServerInvite, usize) {
        let mut out = Vec::new();
        let timers = Timers::default();
        let end = events.iter().fold(machine, |machine, event| {
            machine.on(*event, reliable, &timers, now, &mut out)
        });
        (end, out.len())
    }

    /// SIP-03. Figure 7: Timer G doubles from T1 to T2, Timer H ends it at 64·T1 without ACK.
    #[test]
    fn completed_repeats_until_timer_h() {
        let (timers, start) = (Timers::default(), Instant::now());
        let (mut machine, sent) = run(
            ServerInvite::new(),
            &[Event::Provisional, Event::Failure],
            false,
            start,
        );
        assert_eq!(sent, 2);
        let (mut fired_at, mut out) = (Vec::new(), Vec::new());
        while let Some(now) = machine.deadline() {
            machine = machine.on_time(&timers, now, &mut out);
            fired_at.push((now - start).as_millis());
        }
        assert_eq!(
            fired_at,
            [
                500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000
            ]
        );
        assert_eq!(out.len(), 10);
        assert_eq!(machine, ServerInvite::Terminated);
    }

    /// SIP-03. Retransmissions get the last response; the ACK stops everything, Timer I absorbs its copies.
    #[test]
    fn acknowledged_rejection_is_confirmed() {
        let now = Instant::now();
        let events = [
            Event::Repeated,
            Event::Failure,
            Event::Repeated,
            Event::Acknowledged,
            Event::Repeated,
        ];
        let (machine, sent) = run(ServerInvite::new(), &events, false, now);
        assert_eq!(
            (machine, sent),
            (
                ServerInvite::Confirmed {
                    i: now + Duration::from_secs(5)
                },
                3
            )
        );
        let (machine, _) = run(ServerInvite::new(), &events, true, now);
        assert_eq!(machine, ServerInvite::Terminated);
    }

    /// SIP-03, RFC 6026 §8.3. In Accepted only the user sends; a repeated INVITE is absorbed until Timer L.
    #[test]
    fn accepted_absorbs_retransmissions() {
        let now = Instant::now();
        let events = [
            Event::Success,
            Event::Repeated,
            Event::Acknowledged,
            Event::Success,
            Event::Failure,
        ];
        let (machine, sent) = run(ServerInvite::new(), &events, false, now);
        assert_eq!(
            (machine, sent),
            (
                ServerInvite::Accepted {
                    l: now + Duration::from_secs(32)
                },
                2
            )
        );
    }
}
