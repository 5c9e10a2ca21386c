//! Server transaction of every method but INVITE. RFC 3261 §17.2.2, Figure 8, with RFC 4320 §4:
//! 100 when the answer is late, and none at all when it is too late.

use std::time::Instant;

use crate::endpoint::Timers;

/// The state, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerNonInvite {
    /// The user has the request. `late`: send 100. `end`: the client has given up.
    Trying { late: Instant, end: Instant },
    /// 100 is sent.
    Proceeding { end: Instant },
    /// The final response is sent. Timer J: retransmissions of the request are over.
    Completed { j: Instant },
    /// Over.
    Terminated,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The request came again.
    Repeated,
    /// The user answers with 200-699.
    Final,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send 100 Trying.
    SendTrying,
    /// Send the final response, for the first time or again.
    SendResponse,
}

impl ServerNonInvite {
    pub(crate) fn new(timers: &Timers, now: Instant) -> Self {
        Self::Trying {
            late: now + timers.late(),
            end: now + timers.transaction(),
        }
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
            Self::Trying { .. } | Self::Proceeding { .. } if event == Event::Final => {
                out.push(Action::SendResponse);
                if reliable {
                    Self::Terminated
                } else {
                    Self::Completed {
                        j: now + timers.transaction(),
                    }
                }
            }
            Self::Proceeding { .. } => {
                out.push(Action::SendTrying);
                self
            }
            Self::Completed { .. } if event == Event::Repeated => {
                out.push(Action::SendResponse);
                self
            }
            Self::Trying { .. } | Self::Completed { .. } | Self::Terminated => self,
        }
    }

    pub(crate) fn on_time(self, now: Instant, out: &mut Vec<Action>) -> Self {
        match self {
            Self::Trying { end, .. } | Self::Proceeding { end } | Self::Completed { j: end }
                if end <= now =>
            {
                Self::Terminated
            }
            Self::Trying { late, end } if late <= now => {
                out.push(Action::SendTrying);
                Self::Proceeding { end }
            }
            Self::Trying { .. }
            | Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Terminated => self,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Trying { late, end } => Some(late.min(end)),
            Self::Proceeding { end } | Self::Completed { j: end } => Some(end),
            Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// SIP-03. Figure 8: silence while the user thinks, then the same response again until Timer J.
    #[test]
    fn completed_repeats_the_response() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let mut machine = ServerNonInvite::new(&timers, now);
        for event in [Event::Repeated, Event::Final, Event::Repeated, Event::Final] {
            machine = machine.on(event, false, &timers, now, &mut out);
        }
        assert_eq!(out, [Action::SendResponse, Action::SendResponse]);
        assert_eq!(
            machine,
            ServerNonInvite::Completed {
                j: now + Duration::from_secs(32)
            }
        );
        assert_eq!(
            machine.on_time(now + Duration::from_secs(32), &mut out),
            ServerNonInvite::Terminated
        );
    }

    /// RFC 4320 §4.1: 100 after 3.5 s, repeated for retransmissions; §4.2: no 408 at the end.
    #[test]
    fn late_answers_are_announced_once_and_never_turn_into_408() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let machine = ServerNonInvite::new(&timers, now);
        assert_eq!(machine.deadline(), Some(now + Duration::from_millis(3500)));
        let machine = machine.on_time(now + Duration::from_millis(3500), &mut out);
        let machine = machine.on(Event::Repeated, false, &timers, now, &mut out);
        assert_eq!(out, [Action::SendTrying, Action::SendTrying]);
        assert_eq!(machine.deadline(), Some(now + Duration::from_secs(32)));
        assert_eq!(
            machine.on_time(now + Duration::from_secs(32), &mut out),
            ServerNonInvite::Terminated
        );
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn reliable_transports_need_no_j() {
        let (timers, now) = (Timers::default(), Instant::now());
        let machine = ServerNonInvite::new(&timers, now);
        assert_eq!(
            machine.on(Event::Final, true, &timers, now, &mut Vec::new()),
            ServerNonInvite::Terminated
        );
    }
}
