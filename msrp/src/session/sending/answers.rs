//! What the peer answers and reports, and what it leaves unanswered. RFC 4975 §7.1.1, §7.3.2, §10.

use std::time::{Duration, Instant};

use super::{Sending, blockable, complete};
use crate::{
    ByteRange, FailureReport, Ident, Outgoing, SessionEvent, Unconfirmed,
    codec::{Head, Paths},
    session::{
        Outbound, Output,
        long::Long,
        transactions::{Awaits, Oldest},
    },
};

/// Requests in a row that may go unanswered before the session counts as failed (T10).
const TIMEOUTS: u32 = 3;
/// Media types that are remembered as refused.
const REFUSED_TYPES: usize = 16;

/// What an answer, or none, means for the session itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Consequence {
    /// Our first request was taken.
    Bound,
    BindRefused {
        status: u16,
    },
    BindUnanswered,
    /// The peer does not know the session (481), or has it on another connection (506).
    Disowned {
        status: u16,
    },
    /// Nothing is answered any more.
    Unresponsive,
}

impl Sending {
    pub(in crate::session) fn on_response(
        &mut self,
        transaction_id: &[u8],
        status: u16,
        deadline: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Consequence> {
        self.note_interrupted(outbound, deadline);
        let id = Ident::new(transaction_id)?;
        let is_success = (200..300).contains(&status);
        let Some(awaits) = self.transactions.answer(&id, outbound) else {
            // The peer has seen enough of a chunk whose end has not come; a success can only come after that.
            let of_open = |long: &Long| long.open_id() == Some(id);
            let token = self.long.iter().find(|long| of_open(long))?.outgoing.token;
            return match is_success {
                true => None,
                false => self.refuse(token, status, outbound, out),
            };
        };
        if status != 408 {
            self.timeouts = 0;
        }
        match awaits {
            Awaits::Binding if is_success => return Some(Consequence::Bound),
            Awaits::Binding => return Some(Consequence::BindRefused { status }),
            Awaits::KeepAlive if is_success => {}
            Awaits::KeepAlive => return self.consequence_of(status),
            Awaits::Nickname { token } if is_success => {
                complete(out, SessionEvent::Accepted { token });
            }
            Awaits::Nickname { token } => {
                complete(out, SessionEvent::Refused { token, status });
                return self.consequence_of(status);
            }
            Awaits::Message(unconfirmed) if is_success => {
                let Unconfirmed { outgoing, .. } = unconfirmed;
                if outgoing.failure_report == FailureReport::Yes {
                    let token = outgoing.token;
                    complete(out, SessionEvent::Accepted { token });
                }
            }
            Awaits::Message(unconfirmed) => {
                return self.refuse_message(unconfirmed, status, out);
            }
            Awaits::Chunk { token } if is_success => self.chunk_was_accepted(token, out),
            Awaits::Chunk { token } => return self.refuse(token, status, outbound, out),
            Awaits::Nothing => {}
        }
        None
    }

    pub(in crate::session) fn on_report(
        &mut self,
        head: &Head,
        deadline: Instant,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Consequence> {
        self.note_interrupted(outbound, deadline);
        let token = self.token_of(head.message_id()?)?;
        let status = head.status()?;
        self.reports_due = self.reports_due.checked_sub(1)?;
        let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
        complete(
            out,
            SessionEvent::Reported {
                token,
                status,
                range,
            },
        );
        if (200..300).contains(&status) {
            return None;
        }
        let in_transit = |long: &Long| long.outgoing.token == token && !long.is_sent();
        if let Some(index) = self.long.iter().position(in_transit) {
            let mut long = self.long.remove(index);
            long.stop(outbound);
            self.remember_refused_type(&long.outgoing.content_type, status);
            if long.outgoing.failure_report != FailureReport::No {
                tell_refusal(&long.outgoing, status, out);
            }
        }
        self.consequence_of(status)
    }

    pub(in crate::session) fn on_timeout(
        &mut self,
        now: Instant,
        timeout: Duration,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> (Option<Consequence>, Option<Instant>) {
        self.note_interrupted(outbound, now + timeout);
        let mut bind = None;
        loop {
            let awaits = match self.transactions.expire_oldest(now, timeout, outbound) {
                Oldest::Expired(awaits) => awaits,
                Oldest::Due(deadline) => return (bind, Some(deadline)),
                Oldest::None => return (bind, None),
            };
            let counts = match awaits {
                Awaits::Binding => {
                    bind = Some(Consequence::BindUnanswered);
                    false
                }
                Awaits::Nickname { token } => {
                    complete(out, SessionEvent::Unanswered { token });
                    true
                }
                Awaits::Message(unconfirmed) => {
                    let outgoing = unconfirmed.outgoing;
                    let is_wanted = outgoing.failure_report == FailureReport::Yes;
                    if is_wanted {
                        let token = outgoing.token;
                        complete(out, SessionEvent::Unanswered { token });
                    }
                    is_wanted
                }
                Awaits::Chunk { token } => self.chunk_was_not_answered(token, outbound, out),
                Awaits::KeepAlive => true,
                Awaits::Nothing => false,
            };
            if counts && self.another_timeout().is_some() {
                return (Some(Consequence::Unresponsive), None);
            }
        }
    }

    /// Stops a message that is still being written and tells the peer so; whether there was something to stop.
    pub(in crate::session) fn cancel(
        &mut self,
        token: u64,
        paths: &Paths,
        rng: &mut impl rand::Rng,
        deadline: Instant,
        outbound: &mut Outbound,
    ) -> bool {
        self.note_interrupted(outbound, deadline);
        let in_transit = |long: &Long| long.outgoing.token == token && !long.is_sent();
        let Some(index) = self.long.iter().position(in_transit) else {
            return false;
        };
        let mut long = self.long.remove(index);
        long.abort(paths, rng, outbound);
        true
    }

    fn refuse_message(
        &mut self,
        unconfirmed: Unconfirmed,
        status: u16,
        out: &mut Vec<Output>,
    ) -> Option<Consequence> {
        let consequence = self.consequence_of(status);
        if let Some(Consequence::Disowned { .. }) = consequence {
            out.push(Output::GiveBack(unconfirmed));
            return consequence;
        }
        self.remember_refused_type(&unconfirmed.outgoing.content_type, status);
        tell_refusal(&unconfirmed.outgoing, status, out);
        consequence
    }

    /// A chunk was refused, and so the rest is not sent (MSRP-13, MSRP-17).
    fn refuse(
        &mut self,
        token: u64,
        status: u16,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Consequence> {
        let index = self
            .long
            .iter()
            .position(|long| long.outgoing.token == token)?;
        let consequence = self.consequence_of(status);
        if let Some(Consequence::Disowned { .. }) = consequence {
            // Still in the list, it is given back with the rest.
            return consequence;
        }
        let mut long = self.long.remove(index);
        long.stop(outbound);
        self.remember_refused_type(&long.outgoing.content_type, status);
        tell_refusal(&long.outgoing, status, out);
        consequence
    }

    fn chunk_was_accepted(&mut self, token: u64, out: &mut Vec<Output>) {
        let index = self.long.iter().position(|l| l.outgoing.token == token);
        let Some(index) = index else { return };
        let Some(long) = self.long.get_mut(index) else {
            return;
        };
        long.unanswered = long.unanswered.saturating_sub(1);
        if long.unanswered == 0 && long.is_sent() {
            let long = self.long.remove(index);
            if long.outgoing.failure_report == FailureReport::Yes {
                complete(out, SessionEvent::Accepted { token });
            }
        }
    }

    /// Whether that is a failure.
    fn chunk_was_not_answered(
        &mut self,
        token: u64,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> bool {
        let index = self.long.iter().position(|l| l.outgoing.token == token);
        let Some(index) = index else { return false };
        let failure_report = self.long.get(index).map(|l| l.outgoing.failure_report);
        match failure_report {
            Some(FailureReport::Yes) => {
                let mut long = self.long.remove(index);
                long.stop(outbound);
                complete(out, SessionEvent::Unanswered { token });
                true
            }
            // No answer is the good answer.
            Some(FailureReport::Partial) => {
                self.chunk_was_accepted(token, out);
                false
            }
            Some(FailureReport::No) | None => false,
        }
    }

    fn consequence_of(&mut self, status: u16) -> Option<Consequence> {
        match status {
            408 => self.another_timeout(),
            481 | 506 => Some(Consequence::Disowned { status }),
            _ => None,
        }
    }

    fn another_timeout(&mut self) -> Option<Consequence> {
        self.timeouts += 1;
        (self.timeouts >= TIMEOUTS).then_some(Consequence::Unresponsive)
    }

    fn remember_refused_type(&mut self, content_type: &str, status: u16) {
        let refused = blockable(content_type);
        if status == 415 && !refused.is_empty() && self.refused_types.len() < REFUSED_TYPES {
            self.refused_types.insert(refused.into());
        }
    }

    /// The owner's name for the message with that id.
    fn token_of(&self, message_id: &[u8]) -> Option<u64> {
        let of_resent = || {
            let mut resent = self.resent.iter();
            let (_, token) = resent.find(|(id, _)| id.as_bytes() == message_id)?;
            Some(*token)
        };
        self.message_ids.token_of(message_id).or_else(of_resent)
    }
}

/// 408 counts as silence, of which not everyone wants to hear (MSRP-20).
fn tell_refusal(outgoing: &Outgoing, status: u16, out: &mut Vec<Output>) {
    let token = outgoing.token;
    match (status, outgoing.failure_report) {
        (408, FailureReport::Yes) => complete(out, SessionEvent::Unanswered { token }),
        (408, FailureReport::Partial | FailureReport::No) => {}
        _ => complete(out, SessionEvent::Refused { token, status }),
    }
}
