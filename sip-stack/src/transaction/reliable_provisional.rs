//! Provisional responses that are repeated until a PRACK comes, one at a time. RFC 3262 §3.

use std::time::Instant;

use super::Repeat;
use crate::endpoint::Timers;

/// The provisional responses to one INVITE. `R` is a response that is not numbered yet.
#[derive(Debug)]
pub(crate) struct ReliableProvisionals<R> {
    /// RSeq of the next one.
    next: u32,
    stage: Stage,
    /// The newest one that waits for the PRACK of the one before.
    waiting: Option<(R, Described)>,
    /// A 2xx that must not overtake a session description.
    held: Option<R>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is to be acknowledged.
    Idle,
    Unacknowledged {
        rseq: u32,
        described: Described,
        repeat: Repeat,
        end: Instant,
    },
}

/// Whether a response has a session description in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Described {
    No,
    Yes,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<R> {
    /// Send this provisional response with Require and this RSeq.
    Send(u32, R),
    /// Send the last one again.
    Repeat,
    /// Send this final response.
    Finish(R),
    /// Nobody acknowledges: refuse the INVITE with 5xx.
    GiveUp,
}

/// There is nothing to be acknowledged with that number: 481.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoSuchResponse;

impl<R> ReliableProvisionals<R> {
    /// `first`: RSeq of the first one, 1 to 2³¹ - 1.
    pub(crate) fn new(first: u32) -> Self {
        Self {
            next: first,
            stage: Stage::Idle,
            waiting: None,
            held: None,
        }
    }

    /// A provisional response is to be sent. One that waits already is replaced: the newest says more.
    pub(crate) fn provide(
        &mut self,
        response: R,
        described: Described,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Action<R>>,
    ) {
        match self.stage {
            Stage::Unacknowledged { .. } => self.waiting = Some((response, described)),
            Stage::Idle => {
                let rseq = self.next;
                self.next = self.next.saturating_add(1);
                self.stage = Stage::Unacknowledged {
                    rseq,
                    described,
                    repeat: Repeat::new(now, timers.t1),
                    end: now + timers.transaction(),
                };
                out.push(Action::Send(rseq, response));
            }
        }
    }

    /// The INVITE is accepted.
    pub(crate) fn accept(&mut self, response: R, out: &mut Vec<Action<R>>) {
        match self.stage {
            Stage::Unacknowledged {
                described: Described::Yes,
                ..
            } => self.held = Some(response),
            Stage::Unacknowledged { .. } | Stage::Idle => out.push(Action::Finish(response)),
        }
    }

    /// A PRACK came for that RSeq.
    pub(crate) fn handle_prack(
        &mut self,
        rseq: u32,
        timers: &Timers,
        now: Instant,
        out: &mut Vec<Action<R>>,
    ) -> Result<(), NoSuchResponse> {
        match self.stage {
            Stage::Unacknowledged { rseq: sent, .. } if sent == rseq => {}
            Stage::Unacknowledged { .. } | Stage::Idle => return Err(NoSuchResponse),
        }
        self.stage = Stage::Idle;
        if let Some(response) = self.held.take() {
            out.push(Action::Finish(response));
        } else if let Some((response, described)) = self.waiting.take() {
            self.provide(response, described, timers, now, out);
        }
        Ok(())
    }

    /// The RSeq that may still be acknowledged after the final response.
    pub(crate) fn unacknowledged(&self) -> Option<u32> {
        match self.stage {
            Stage::Unacknowledged { rseq, .. } => Some(rseq),
            Stage::Idle => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Unacknowledged { repeat, end, .. } => Some(repeat.at().min(end)),
            Stage::Idle => None,
        }
    }

    pub(crate) fn on_time(&mut self, now: Instant, out: &mut Vec<Action<R>>) {
        let Stage::Unacknowledged { repeat, end, .. } = &mut self.stage else {
            return;
        };
        if *end <= now {
            self.stage = Stage::Idle;
            out.push(Action::GiveUp);
        } else if repeat.is_due(now) {
            // No longest interval, unlike a 2xx.
            *repeat = repeat.doubled(now, None);
            out.push(Action::Repeat);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Provisionals = ReliableProvisionals<&'static str>;

    fn provide(
        p: &mut Provisionals,
        response: &'static str,
        described: Described,
        now: Instant,
    ) -> Vec<Action<&'static str>> {
        let mut out = Vec::new();
        p.provide(response, described, &Timers::default(), now, &mut out);
        out
    }

    fn prack(
        p: &mut Provisionals,
        rseq: u32,
        now: Instant,
    ) -> Result<Vec<Action<&'static str>>, NoSuchResponse> {
        let mut out = Vec::new();
        p.handle_prack(rseq, &Timers::default(), now, &mut out)?;
        Ok(out)
    }

    /// SIP-06, RFC 3262 §3. One at a time, numbered one by one.
    #[test]
    fn one_at_a_time() {
        let (mut p, now) = (Provisionals::new(7), Instant::now());
        assert_eq!(
            provide(&mut p, "180", Described::No, now),
            [Action::Send(7, "180")]
        );
        assert_eq!(provide(&mut p, "182", Described::No, now), []);
        assert_eq!(provide(&mut p, "183", Described::No, now), []);
        assert_eq!(prack(&mut p, 8, now), Err(NoSuchResponse));
        assert_eq!(prack(&mut p, 7, now), Ok(vec![Action::Send(8, "183")]));
        assert_eq!(prack(&mut p, 7, now), Err(NoSuchResponse));
        assert_eq!(prack(&mut p, 8, now), Ok(vec![]));
        assert_eq!(p.deadline(), None);
    }

    /// RFC 3262 §3. A 2xx waits for the PRACK if a session description is not acknowledged.
    #[test]
    fn a_2xx_does_not_overtake_a_description() {
        let now = Instant::now();
        for (described, at_once) in [(Described::No, true), (Described::Yes, false)] {
            let mut p = Provisionals::new(1);
            provide(&mut p, "183", described, now);
            let mut out = Vec::new();
            p.accept("200", &mut out);
            assert_eq!(!out.is_empty(), at_once);
            if !at_once {
                assert_eq!(prack(&mut p, 1, now), Ok(vec![Action::Finish("200")]));
            }
        }
    }

    /// RFC 3262 §3. Repeated at T1 and twice as long each time, for 64·T1.
    #[test]
    fn repeated_until_given_up() {
        let (mut p, start) = (Provisionals::new(1), Instant::now());
        provide(&mut p, "180", Described::No, start);
        let mut times = Vec::new();
        while let Some(at) = p.deadline() {
            let mut out = Vec::new();
            p.on_time(at, &mut out);
            times.push((at - start, out.pop().unwrap()));
        }
        let last = times.pop().unwrap();
        assert_eq!(last, (Duration::from_secs(32), Action::GiveUp));
        let seconds: Vec<_> = times.iter().map(|(at, _)| at.as_secs_f32()).collect();
        assert_eq!(seconds, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
    }
}
