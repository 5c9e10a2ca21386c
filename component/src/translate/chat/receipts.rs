//! Messages of the XMPP user's whose arrival is to be told: until the SIP user's client reports it. RFC 7573 §7.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stox_msrp::ByteRange;

use super::{Context, Thread};
use crate::fault::Fault;
use crate::translate::event::{Action, Kind, Mark, Token};
use crate::translate::promise::{Origin, Promise};
use crate::translate::stanza;

/// As many of one session are remembered.
const REMEMBERED: usize = 1024;
/// A message is lost with its connection if that breaks so soon after: as long as a response would have been waited for.
const AT_RISK: Duration = Duration::from_secs(30);

/// Messages sent with Failure-Report `no`, oldest first: only a REPORT tells of them (RCPT-07).
#[derive(Debug, Default)]
pub(super) struct Receipts {
    sent: VecDeque<Sent>,
    /// Not written by the connection that is gone: they are for the next.
    unsent: VecDeque<Sent>,
}

/// One of them.
#[derive(Debug)]
struct Sent {
    token: Token,
    receipt: Receipt,
    coverage: Coverage,
    since: Instant,
    /// Kept while the message may still be lost.
    promise: Option<Promise>,
}

/// Whom to tell that which message arrived.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub origin: Arc<Origin>,
    pub kind: Kind,
}

impl Receipt {
    /// Tells the sender (RCPT-02).
    pub fn tell(&self, mark: Mark, thread: &Thread, cx: &mut Context<'_>) {
        let name = self.origin.thread.as_deref().unwrap_or(thread.name());
        let contact = thread.contact(cx);
        let receipt = stanza::receipt(&contact, &self.origin, self.kind, name, mark, cx.tokens);
        cx.out.push(Action::Stanza(receipt, None));
    }
}

impl Receipts {
    pub fn sent(
        &mut self,
        token: Token,
        receipt: Receipt,
        length: usize,
        promise: Promise,
        now: Instant,
    ) {
        if self.sent.len() >= REMEMBERED
            && let Some(mut oldest) = self.sent.pop_front()
        {
            oldest.handed();
        }
        self.sent.push_back(Sent {
            token,
            receipt,
            coverage: Coverage::of(length),
            since: now,
            promise: Some(promise),
        });
    }

    /// When [`Receipts::elapsed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let at_risk = self.sent.iter().find(|sent| sent.promise.is_some())?;
        Some(at_risk.since + AT_RISK)
    }

    /// What has been with the peer for so long is not lost any more.
    pub fn elapsed(&mut self, now: Instant) {
        for sent in &mut self.sent {
            if now.saturating_duration_since(sent.since) < AT_RISK {
                break;
            }
            sent.handed();
        }
    }

    /// A REPORT of success, perhaps about a part (RCPT-03).
    pub fn arrived(&mut self, token: Token, range: ByteRange) -> Option<Receipt> {
        let at = self.sent.iter().position(|sent| sent.token == token)?;
        let sent = self.sent.get_mut(at)?;
        sent.coverage.add(range);
        if !sent.coverage.is_whole() {
            return None;
        }
        let mut sent = self.sent.remove(at)?;
        sent.handed();
        Some(sent.receipt)
    }

    /// A REPORT of failure, or a message that did not go out at all. Returns whom to tell where the promise cannot any
    /// more.
    pub fn failed(&mut self, token: Token, fault: &Fault) -> Option<Arc<Origin>> {
        let at = self.sent.iter().position(|sent| sent.token == token)?;
        let sent = self.sent.remove(at)?;
        match sent.promise {
            Some(promise) => {
                promise.refused(fault.clone());
                None
            }
            None => Some(sent.receipt.origin),
        }
    }

    /// The message did not go by its connection.
    pub fn unsent(&mut self, token: Token) {
        let at = self.sent.iter().position(|sent| sent.token == token);
        let unsent = at.and_then(|at| self.sent.remove(at));
        self.unsent.extend(unsent);
    }

    /// What did not go by the connection before goes by this one.
    pub fn unsent_goes(&mut self, now: Instant) -> Vec<Token> {
        let goes = self
            .unsent
            .drain(..)
            .map(|sent| Sent { since: now, ..sent });
        let at = self.sent.len();
        self.sent.extend(goes);
        self.sent.range(at..).map(|sent| sent.token).collect()
    }

    /// The connection broke under the session: what was sent by it may be lost.
    pub fn broke(&mut self, fault: &Fault) {
        refuse(self.sent.drain(..), fault);
    }

    /// There will be no other connection.
    pub fn given_up(&mut self, fault: &Fault) {
        self.broke(fault);
        refuse(self.unsent.drain(..), fault);
    }

    /// Whether a message may still be lost with the connection.
    pub fn are_at_risk(&self) -> bool {
        self.sent.iter().any(|sent| sent.promise.is_some())
    }

    /// The session ends as it should: what was sent is with the peer, and REPORTs may still come. What was not goes back.
    pub fn ended(&mut self, fault: &Fault) {
        self.sent.iter_mut().for_each(Sent::handed);
        refuse(self.unsent.drain(..), fault);
    }
}

fn refuse(messages: impl Iterator<Item = Sent>, fault: &Fault) {
    for promise in messages.filter_map(|sent| sent.promise) {
        promise.refused(fault.clone());
    }
}

impl Sent {
    fn handed(&mut self) {
        if let Some(promise) = self.promise.take() {
            promise.delivered();
        }
    }
}

/// Which bytes of a message were reported: zero-based, ends excluded, apart from each other and in order.
#[derive(Debug)]
struct Coverage {
    length: u64,
    reported: Vec<(u64, u64)>,
}

impl Coverage {
    /// Parts of one message that may stand apart from each other; more are those of somebody who means no good.
    const PARTS: usize = 64;

    fn of(length: usize) -> Coverage {
        Coverage {
            length: length as u64,
            reported: Vec::new(),
        }
    }

    fn add(&mut self, range: ByteRange) {
        let start = range.start.saturating_sub(1);
        // Who counts characters instead of bytes reports all of them just the same.
        let is_all = range.total.is_some() && range.end >= range.total;
        let end = match range.end {
            Some(end) if !is_all => end.min(self.length),
            _ => self.length,
        };
        if start >= end || self.reported.len() >= Coverage::PARTS {
            return;
        }
        let (mut start, mut end) = (start, end);
        self.reported.retain(|&(from, to)| {
            let touches = from <= end && start <= to;
            if touches {
                start = start.min(from);
                end = end.max(to);
            }
            !touches
        });
        let at = self.reported.partition_point(|&(from, _)| from < start);
        self.reported.insert(at, (start, end));
    }

    fn is_whole(&self) -> bool {
        self.length == 0 || self.reported == [(0, self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RCPT-03
    #[test]
    fn a_message_is_whole_when_all_of_it_was_reported() {
        for (reports, is_whole) in [
            (vec!["1-22/22"], true),
            (vec!["1-*/*"], true),
            (vec!["1-10/22"], false),
            (vec!["1-10/22", "11-22/22"], true),
            (vec!["11-22/22", "1-10/22"], true),
            (vec!["1-10/22", "12-22/22"], false),
            (vec!["1-10/22", "12-22/22", "5-15/22"], true),
            (vec!["1-10/22", "1-10/22"], false),
            (vec!["1-20/20"], true),
            (vec!["5-4/22"], false),
            (vec!["0-18446744073709551615/*"], true),
            (vec!["18446744073709551615-18446744073709551615/*"], false),
        ] {
            let mut coverage = Coverage::of(22);
            for report in &reports {
                coverage.add(ByteRange::parse(report.as_bytes()).unwrap());
            }
            assert_eq!(coverage.is_whole(), is_whole, "{reports:?}");
        }
        let mut coverage = Coverage::of(1 << 20);
        for at in 1..1000 {
            let report = format!("{0}-{0}/*", at * 2);
            coverage.add(ByteRange::parse(report.as_bytes()).unwrap());
        }
        assert_eq!(coverage.reported.len(), Coverage::PARTS);
    }
}
