//! Client transaction of every method but INVITE. RFC 3261 §17.1.2, Figure 6.

use std::time::Instant;

use super::{Repeat, earlier};
use crate::endpoint::Timers;

/// The state, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientNonInvite {
    /// The request is sent, nothing came back. Timer E: send it again (unreliable transports only).
    /// Timer F: give up.
    Trying { e: Option<Repeat>, f: Instant },
    /// A 1xx came. Timer E goes on at T2.
    Proceeding { e: Option<Repeat>, f: Instant },
    /// The final response came. Timer K: its retransmissions are over.
    Completed { k: Instant },
    /// Over.
    Terminated,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// 100-199 came.
    Provisional,
    /// 200-699 came.
    Final,
    /// The request could not be sent.
    TransportFailed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the request again.
    SendRequest,
    /// Tell the user of the final response that came.
    Pass,
    /// Tell the user that nobody answered.
    ReportTimeout,
    /// Tell the user that the request could not be sent.
    ReportTransportFailure,
}

impl ClientNonInvite {
    /// The caller sends the request for the first time.
    pub(crate) fn new(reliable: bool, timers: &Timers, now: Instant) -> Self {
        Self::Trying {
            e: (!reliable).then(|| Repeat::new(now, timers.t1)),
            f: now + timers.transaction(),
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
            Self::Trying { e, f } | Self::Proceeding { e, f } => match event {
                Event::Provisional => Self::Proceeding { e, f },
                Event::Final => {
                    out.push(Action::Pass);
                    if reliable {
                        Self::Terminated
                    } else {
                        Self::Completed { k: now + timers.t4 }
                    }
                }
                Event::TransportFailed => {
                    out.push(Action::ReportTransportFailure);
                    Self::Terminated
                }
            },
            Self::Completed { .. } | Self::Terminated => self,
        }
    }

    pub(crate) fn on_time(self, timers: &Timers, now: Instant, out: &mut Vec<Action>) -> Self {
        match self {
            Self::Trying { f, .. } | Self::Proceeding { f, .. } if f <= now => {
                out.push(Action::ReportTimeout);
                Self::Terminated
            }
            Self::Trying { e: Some(e), f } if e.is_due(now) => {
                out.push(Action::SendRequest);
                Self::Trying {
                    e: Some(e.doubled(now, Some(timers.t2))),
                    f,
                }
            }
            Self::Proceeding { e: Some(e), f } if e.is_due(now) => {
                out.push(Action::SendRequest);
                Self::Proceeding {
                    e: Some(Repeat::new(now, timers.t2)),
                    f,
                }
            }
            Self::Completed { k } if k <= now => Self::Terminated,
            Self::Trying { .. }
            | Self::Proceeding { .. }
            | Self::Completed { .. }
            | Self::Terminated => self,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Trying { e, f } | Self::Proceeding { e, f } => Some(earlier(e, f)),
            Self::Completed { k } => Some(k),
            Self::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// SIP-03. Figure 6: Timer E doubles from T1 to T2 and stays there, Timer F ends it at 64·T1.
    #[test]
    fn trying_repeats_until_timer_f() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut machine = ClientNonInvite::new(false, &timers, start);
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
        assert_eq!(out.len(), 11);
        assert_eq!(out.last(), Some(&Action::ReportTimeout));
    }

    /// SIP-03. After a 1xx the running Timer E fires once more, then every T2.
    #[test]
    fn proceeding_repeats_every_t2() {
        let (timers, start) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let mut machine = ClientNonInvite::new(false, &timers, start).on(
            Event::Provisional,
            false,
            &timers,
            start,
            &mut out,
        );
        let mut fired_at = Vec::new();
        while let Some(now) = machine.deadline() {
            machine = machine.on_time(&timers, now, &mut out);
            fired_at.push((now - start).as_millis());
        }
        assert_eq!(fired_at[..3], [500, 4500, 8500]);
        assert_eq!(fired_at.last(), Some(&32000));
    }

    /// SIP-03. The final response is told once; Timer K absorbs its retransmissions.
    #[test]
    fn completed_absorbs_retransmissions() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let mut machine = ClientNonInvite::new(false, &timers, now);
        for event in [
            Event::Final,
            Event::Final,
            Event::Provisional,
            Event::TransportFailed,
        ] {
            machine = machine.on(event, false, &timers, now, &mut out);
        }
        assert_eq!(out, [Action::Pass]);
        let end = now + Duration::from_secs(5);
        assert_eq!(machine.deadline(), Some(end));
        assert_eq!(
            machine.on_time(&timers, end, &mut out),
            ClientNonInvite::Terminated
        );
    }

    #[test]
    fn reliable_transports_need_neither_e_nor_k() {
        let (timers, now) = (Timers::default(), Instant::now());
        let mut out = Vec::new();
        let machine = ClientNonInvite::new(true, &timers, now);
        assert_eq!(machine.deadline(), Some(now + Duration::from_secs(32)));
        assert_eq!(
            machine.on(Event::Final, true, &timers, now, &mut out),
            ClientNonInvite::Terminated
        );
    }
}
