//! INVITE client transaction. RFC 3261 §17.1.1, Figure 5, with the Accepted state of RFC 6026 §8.4.

use std::time::Instant;

use super::{Repeat, earlier};
use crate::endpoint::Timers;

/// The state, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientInvite {
    /// The INVITE is sent, nothing came back. Timer A: send it again (unreliable transports only).
    /// Timer B: give up.
    Calling { a: Option<Repeat>, b: Instant },
    /// A 1xx came; the peer may take as long as it likes.
    Proceeding,
    /// A 300-699 came and is acknowledged. Timer D: its retransmissions are over.
    Completed { d: Instant },
    /// A 2xx came. Timer M: 2xx of further forks and retransmissions are over.
    Accepted { m: Instant },
    /// Over.
    Terminated,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// 100-199 came.
    Provisional,
    /// 200-299 came.
    Success,
    /// 300-699 came.
    Failure,
    /// The request could not be sent.
    TransportFailed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the INVITE again.
    SendRequest,
    /// Send the ACK for the 300-699.
    SendAck,
    /// Tell the user of the response that came.
    Pass,
    /// Tell the user that nobody answered.
    ReportTimeout,
    /// Tell the user that the request could not be sent.
    ReportTransportFailure,
}

impl ClientInvite {
    /// The caller sends the INVITE for the first time.
    pub(crate) fn new(reliable: bool, timers: &Timers, now: Instant) -> Self {
        Self::Calling {
            a: (!reliable).then(|| Repeat::new(now, timers.t1)),
            b: now + timers.transaction(),
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
            Self::Calling { .. } | Self::Proceeding => match event {
                Event::Provisional => {
                    out.push(Action::Pass);
                    Self::Proceeding
                }
                Event::Success => {
                    out.push(Action::Pass);
                    Self::Accepted {
                        m: now + timers.transaction(),
                    }
                }
                Event::Failure => {
                    out.extend([Action::SendAck, Action::Pass]);
                    if reliable {
                        Self::Terminated
                    } else {
                        Self::Completed {
                            d: now + timers.d(),
                        }
                    }
                }
                Event::TransportFailed => {
                    out.push(Action::ReportTransportFailure);
                    Self::Terminated
                }
            },
            Self::Completed { .. } => match event {
                Event::Failure => {
                    out.push(Action::SendAck);
                    self
                }
                Event::Provisional | Event::Success => self,
                // The ACK could not be sent; the user has the response already.
                Event::TransportFailed => Self::Terminated,
            },
            Self::Accepted { .. } => match event {
                Event::Success => {
                    out.push(Action::Pass);
                    self
                }
                Event::Provisional | Event::Failure | Event::TransportFailed => self,
            },
            Self::Terminated => self,
        }
    }

    pub(crate) fn on_time(self, now: Instant, out: &mut Vec<Action>) -> Self {
        match self {
            Self::Calling { b, .. } if b <= now => {
                out.push(Action::ReportTimeout);
                Self::Terminated
            }
            Self::Calling { a: Some(a), b } if a.is_due(now) => {
                out.push(Action::SendRequest);
                Self::Calling {
                    a: Some(a.doubled(now, None)),
                    b,
                }
            }
            Self::Completed { d: end } | Self::Accepted { m: end } if end <= now => {
                Self::Terminated
            }
            Self::Calling { .. }
            | Self::Proceeding
            | Self::Completed { .. }
            | Self::Accepted { .. }
            | Self::Terminated => self,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Calling { a, b } => Some(earlier(a, b)),
            Self::Completed { d: end } | Self::Accepted { m: end } => Some(end),
            Self::Proceeding | Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// SIP-03. Figure 5: Timer A doubles from T1 without a cap, Timer B ends it at 64·T1.
    #[test]
    fn calling_repeats_until_timer_b() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut machine = ClientInvite::new(false, &timers, start);
        let (mut sent_at, mut out) = (Vec::new(), Vec::new());
        while let Some(now) = machine.deadline() {
            machine = machine.on_time(now, &mut out);
            sent_at.push((now - start).as_millis());
        }
        assert_eq!(sent_at, [500, 1500, 3500, 7500, 15500, 31500, 32000]);
        assert_eq!(out[..6], [Action::SendRequest; 6]);
        assert_eq!(out[6..], [Action::ReportTimeout]);
        assert_eq!(machine, ClientInvite::Terminated);
    }

    /// SIP-03. On a reliable transport nothing is repeated and nothing lingers.
    #[test]
    fn reliable_transports_need_neither_a_nor_d() {
        let (timers, now) = (Timers::default(), Instant::now());
        let machine = ClientInvite::new(true, &timers, now);
        assert_eq!(machine.deadline(), Some(now + Duration::from_secs(32)));
        let mut out = Vec::new();
        assert_eq!(
            machine.on(Event::Failure, true, &timers, now, &mut out),
            ClientInvite::Terminated
        );
        assert_eq!(out, [Action::SendAck, Action::Pass]);
    }

    /// SIP-03. A repeated rejection gets its ACK again, but is told once; Timer D ends it.
    #[test]
    fn completed_acknowledges_again() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let mut machine = ClientInvite::new(false, &timers, now);
        for event in [
            Event::Provisional,
            Event::Failure,
            Event::Failure,
            Event::Success,
        ] {
            machine = machine.on(event, false, &timers, now, &mut out);
        }
        assert_eq!(
            out,
            [Action::Pass, Action::SendAck, Action::Pass, Action::SendAck]
        );
        let end = machine.deadline().unwrap();
        assert_eq!(end, now + Duration::from_secs(32));
        assert_eq!(machine.on_time(end, &mut out), ClientInvite::Terminated);
    }

    /// SIP-03, RFC 6026 §8.4. Every 2xx is passed on until Timer M ends it.
    #[test]
    fn accepted_passes_every_success() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let mut machine = ClientInvite::new(false, &timers, now);
        for event in [
            Event::Success,
            Event::Success,
            Event::Failure,
            Event::TransportFailed,
        ] {
            machine = machine.on(event, false, &timers, now, &mut out);
        }
        assert_eq!(out, [Action::Pass, Action::Pass]);
        assert_eq!(
            machine,
            ClientInvite::Accepted {
                m: now + Duration::from_secs(32)
            }
        );
        assert_eq!(
            machine.on_time(now + Duration::from_secs(32), &mut out),
            ClientInvite::Terminated
        );
    }

    #[test]
    fn proceeding_waits_without_timers() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let machine = ClientInvite::new(false, &timers, now).on(
            Event::Provisional,
            false,
            &timers,
            now,
            &mut out,
        );
        assert_eq!(
            (machine, machine.deadline()),
            (ClientInvite::Proceeding, None)
        );
    }
}
