//! The sending half of a session: our SENDs, their transactions, and REPORTs about them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::{
    Outbound, Output,
    message_id::MessageIds,
    transactions::{Awaits, Oldest, Transactions},
};
use crate::{
    ByteRange, FailureReport, Ident, Limits, Nickname, Outgoing, Report, SendError, SessionEvent,
    codec::{Flag, Head, Paths, SendHead, put_end_line, put_nickname, put_report, put_send_head},
};

/// Bodies longer than this must say that they may be interrupted. RFC 4975 §7.1.1.
const UNINTERRUPTED: usize = 2048;

#[derive(Debug)]
pub(super) struct Sending {
    chunk_size: Option<usize>,
    message_ids: MessageIds,
    transactions: Transactions,
    /// Messages in several chunks that are not yet all answered, in order; the first with bytes left is being sent.
    chunked: Vec<Chunked>,
    /// REPORTs that may still come: their number is bounded by what was sent.
    reports_due: u64,
}

#[derive(Debug)]
struct Chunked {
    outgoing: Outgoing,
    message_id: Ident,
    sent: usize,
    unanswered: usize,
}

/// What became of the binding request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bind {
    Accepted,
    Refused { status: u16 },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BindTimeout {
    Unanswered,
    NotUnderWay,
}

impl Sending {
    pub(super) fn new(chunk_size: Option<usize>, rng: &mut impl Rng) -> Sending {
        Sending {
            chunk_size: chunk_size.map(|size| size.max(UNINTERRUPTED)),
            message_ids: MessageIds::new(rng),
            transactions: Transactions::default(),
            chunked: Vec::new(),
            reports_due: 0,
        }
    }

    pub(super) fn bind(
        &mut self,
        paths: &Paths,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
        deadline: Instant,
    ) {
        let id = self.fresh_id(None, &[], rng, outbound);
        // None of ours: a REPORT about it would be taken for one about a message with token 0.
        let message_id = Ident::random(rng);
        put_send_head(
            outbound.tail(),
            &SendHead {
                transaction_id: id.as_bytes(),
                paths,
                message_id: message_id.as_bytes(),
                range: ByteRange::of(0),
                success_report: false,
                failure_report: FailureReport::Yes,
                content_type: None,
            },
        );
        put_end_line(outbound.tail(), id.as_bytes(), Flag::Complete, false);
        self.transactions
            .begin(id, Awaits::Binding, outbound, deadline);
    }

    pub(super) fn take(
        &mut self,
        outgoing: Outgoing,
        paths: &Paths,
        limits: &Limits,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        let content_type = outgoing.content_type.as_bytes();
        if content_type.is_empty() || content_type.iter().any(u8::is_ascii_control) {
            return Err(SendError::BadContentType);
        }
        self.make_room(limits, outbound)?;
        let message_id = self.message_ids.next(outgoing.token);
        self.reports_due = self
            .reports_due
            .saturating_add(2 + outgoing.body.len() as u64 / UNINTERRUPTED as u64);
        let fits_one_chunk = self
            .chunk_size
            .is_none_or(|size| outgoing.body.len() <= size);
        if fits_one_chunk && !self.has_chunks() {
            self.write_whole(
                &outgoing,
                message_id,
                paths,
                rng,
                outbound,
                now + limits.transaction,
            );
        } else {
            self.chunked.push(Chunked {
                outgoing,
                message_id,
                sent: 0,
                unanswered: 0,
            });
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments)]
    pub(super) fn ask_for_nickname(
        &mut self,
        token: u64,
        nickname: &Nickname,
        paths: &Paths,
        limits: &Limits,
        now: Instant,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
    ) -> Result<(), SendError> {
        self.make_room(limits, outbound)?;
        let id = self.fresh_id(None, &[], rng, outbound);
        put_nickname(outbound.tail(), id.as_bytes(), paths, nickname);
        let awaits = Awaits::Message {
            token,
            failure_report: FailureReport::Yes,
        };
        self.transactions
            .begin(id, awaits, outbound, now + limits.transaction);
        Ok(())
    }

    pub(super) fn has_chunks(&self) -> bool {
        self.chunked.iter().any(Chunked::has_more)
    }

    /// Writes a chunk of the first message that has bytes left; whether any has more.
    pub(super) fn write_chunk(
        &mut self,
        paths: &Paths,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
        deadline: Instant,
    ) -> bool {
        let Some(index) = self.chunked.iter().position(Chunked::has_more) else {
            return false;
        };
        let size = self.chunk_size.unwrap_or(usize::MAX);
        let Some(message) = self.chunked.get(index) else {
            return false;
        };
        let outgoing = message.outgoing.clone();
        let message_id = message.message_id;
        let from = message.sent;
        let to = from.saturating_add(size).min(outgoing.body.len());
        let body = outgoing.body.slice(from..to);
        let is_last = to == outgoing.body.len();
        let wish = outgoing.transaction_id.as_deref().filter(|_| from == 0);
        let id = self.fresh_id(wish, &body, rng, outbound);
        let head = SendHead {
            transaction_id: id.as_bytes(),
            paths,
            message_id: message_id.as_bytes(),
            range: ByteRange {
                start: from as u64 + 1,
                end: (body.len() <= UNINTERRUPTED).then_some(to as u64),
                total: Some(outgoing.body.len() as u64),
            },
            success_report: outgoing.success_report,
            failure_report: outgoing.failure_report,
            content_type: Some(&outgoing.content_type),
        };
        let flag = if is_last {
            Flag::Complete
        } else {
            Flag::Continued
        };
        write_send(&head, &body, flag, outbound);
        let awaits_response = outgoing.failure_report != FailureReport::No;
        if awaits_response {
            let token = outgoing.token;
            self.transactions
                .begin(id, Awaits::Chunk { token }, outbound, deadline);
        }
        if is_last && !awaits_response {
            self.chunked.remove(index);
        } else if let Some(message) = self.chunked.get_mut(index) {
            message.sent = if is_last { usize::MAX } else { to };
            message.unanswered += usize::from(awaits_response);
            if is_last {
                message.outgoing.body = Bytes::new();
            }
        }
        self.has_chunks()
    }

    pub(super) fn on_response(
        &mut self,
        transaction_id: &[u8],
        status: u16,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> Option<Bind> {
        let id = Ident::new(transaction_id)?;
        let awaits = self.transactions.answer(&id, outbound)?;
        let is_success = (200..300).contains(&status);
        match awaits {
            Awaits::Binding if is_success => return Some(Bind::Accepted),
            Awaits::Binding => return Some(Bind::Refused { status }),
            Awaits::Message {
                token,
                failure_report,
            } if is_success => {
                if failure_report == FailureReport::Yes {
                    complete(out, SessionEvent::Accepted { token });
                }
            }
            Awaits::Message { token, .. } => complete(out, SessionEvent::Refused { token, status }),
            Awaits::Chunk { token } if is_success => self.chunk_was_accepted(token, out),
            Awaits::Chunk { token } => {
                if self.give_up(token).is_some() {
                    complete(out, SessionEvent::Refused { token, status });
                }
            }
            Awaits::Nothing => {}
        }
        None
    }

    pub(super) fn on_report(&mut self, head: &Head, out: &mut Vec<Output>) {
        let token = head
            .message_id()
            .and_then(|id| self.message_ids.token_of(id));
        let (Some(token), Some(status)) = (token, head.status()) else {
            return;
        };
        let Some(due) = self.reports_due.checked_sub(1) else {
            return;
        };
        self.reports_due = due;
        let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
        complete(
            out,
            SessionEvent::Reported {
                token,
                status,
                range,
            },
        );
    }

    pub(super) fn on_timeout(
        &mut self,
        now: Instant,
        timeout: Duration,
        outbound: &mut Outbound,
        out: &mut Vec<Output>,
    ) -> (BindTimeout, Option<Instant>) {
        let mut bind = BindTimeout::NotUnderWay;
        loop {
            let awaits = match self.transactions.expire_oldest(now, timeout, outbound) {
                Oldest::Expired(awaits) => awaits,
                Oldest::Due(deadline) => return (bind, Some(deadline)),
                Oldest::None => return (bind, None),
            };
            match awaits {
                Awaits::Binding => bind = BindTimeout::Unanswered,
                Awaits::Message {
                    token,
                    failure_report: FailureReport::Yes,
                } => {
                    complete(out, SessionEvent::Unanswered { token });
                }
                Awaits::Message { .. } | Awaits::Nothing => {}
                Awaits::Chunk { token } => self.chunk_was_not_answered(token, out),
            }
        }
    }

    pub(super) fn end(&mut self, outbound: &mut Outbound) {
        self.transactions.end(outbound);
        self.chunked = Vec::new();
    }

    fn write_whole(
        &mut self,
        outgoing: &Outgoing,
        message_id: Ident,
        paths: &Paths,
        rng: &mut impl Rng,
        outbound: &mut Outbound,
        deadline: Instant,
    ) {
        let wish = outgoing.transaction_id.as_deref();
        let id = self.fresh_id(wish, &outgoing.body, rng, outbound);
        let mut range = ByteRange::of(outgoing.body.len());
        if outgoing.body.len() > UNINTERRUPTED {
            range.end = None;
        }
        let head = SendHead {
            transaction_id: id.as_bytes(),
            paths,
            message_id: message_id.as_bytes(),
            range,
            success_report: outgoing.success_report,
            failure_report: outgoing.failure_report,
            content_type: Some(&outgoing.content_type),
        };
        write_send(&head, &outgoing.body, Flag::Complete, outbound);
        if outgoing.failure_report != FailureReport::No {
            let awaits = Awaits::Message {
                token: outgoing.token,
                failure_report: outgoing.failure_report,
            };
            self.transactions.begin(id, awaits, outbound, deadline);
        }
    }

    /// Whether one more request may wait: for being written, and for its answer.
    fn make_room(&mut self, limits: &Limits, outbound: &mut Outbound) -> Result<(), SendError> {
        let waiting = outbound.queued().saturating_add(self.unsent());
        if waiting >= limits.queued {
            return Err(SendError::Full);
        }
        let is_full = self.transactions.unanswered() >= limits.unanswered_outgoing;
        if is_full && !self.transactions.forget_oldest_partial(outbound) {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// The wish if it may be used, else a random id (CHAT-13, MSRP-16).
    fn fresh_id(
        &self,
        wish: Option<&str>,
        body: &[u8],
        rng: &mut impl Rng,
        outbound: &Outbound,
    ) -> Ident {
        let is_free =
            |id: &Ident| outbound.sequence(id).is_none() && !ends_within(body, id.as_bytes());
        wish.and_then(|wish| Ident::new(wish.as_bytes()))
            .filter(is_free)
            .unwrap_or_else(|| {
                loop {
                    let id = Ident::random(rng);
                    if is_free(&id) {
                        break id;
                    }
                }
            })
    }

    fn chunk_was_accepted(&mut self, token: u64, out: &mut Vec<Output>) {
        let Some(index) = self.chunked.iter().position(|m| m.outgoing.token == token) else {
            return;
        };
        let Some(message) = self.chunked.get_mut(index) else {
            return;
        };
        message.unanswered = message.unanswered.saturating_sub(1);
        if message.unanswered == 0 && !message.has_more() {
            let message = self.chunked.remove(index);
            if message.outgoing.failure_report == FailureReport::Yes {
                complete(out, SessionEvent::Accepted { token });
            }
        }
    }

    fn chunk_was_not_answered(&mut self, token: u64, out: &mut Vec<Output>) {
        let failure_report = self
            .chunked
            .iter()
            .find(|message| message.outgoing.token == token)
            .map(|message| message.outgoing.failure_report);
        match failure_report {
            Some(FailureReport::Yes) => {
                self.give_up(token);
                complete(out, SessionEvent::Unanswered { token });
            }
            // No answer is the good answer.
            Some(FailureReport::Partial) => self.chunk_was_accepted(token, out),
            Some(FailureReport::No) | None => {}
        }
    }

    /// Stops a message that takes several chunks (MSRP-17).
    fn give_up(&mut self, token: u64) -> Option<Chunked> {
        let index = self
            .chunked
            .iter()
            .position(|m| m.outgoing.token == token)?;
        Some(self.chunked.remove(index))
    }

    fn unsent(&self) -> usize {
        self.chunked
            .iter()
            .map(|message| message.outgoing.body.len().saturating_sub(message.sent))
            .fold(0, usize::saturating_add)
    }
}

impl Chunked {
    fn has_more(&self) -> bool {
        self.sent != usize::MAX
    }
}

pub(super) fn write_report(
    report: &Report,
    paths: &Paths,
    limits: &Limits,
    rng: &mut impl Rng,
    outbound: &mut Outbound,
) {
    let message_id = report.message_id.as_bytes();
    let is_writable = !message_id.is_empty() && message_id.iter().all(u8::is_ascii_graphic);
    // One REPORT per message at most is lost this way, and only with a peer that does not read.
    let has_room = outbound.queued() < limits.queued.saturating_mul(2);
    if is_writable && has_room {
        let id = Ident::random(rng);
        put_report(
            outbound.tail(),
            id.as_bytes(),
            paths,
            message_id,
            report.range,
            report.status,
        );
    }
}

fn write_send(head: &SendHead<'_>, body: &Bytes, flag: Flag, outbound: &mut Outbound) {
    put_send_head(outbound.tail(), head);
    outbound.push_body(body);
    put_end_line(outbound.tail(), head.transaction_id, flag, true);
}

fn complete(out: &mut Vec<Output>, event: SessionEvent) {
    out.push(Output::Complete(event));
}

/// Whether the body holds seven hyphens followed by that id.
fn ends_within(body: &[u8], id: &[u8]) -> bool {
    static HYPHENS: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
        std::sync::LazyLock::new(|| memchr::memmem::Finder::new(b"-------"));
    let mut rest = body;
    while let Some(at) = HYPHENS.find(rest) {
        // An id begins with a letter or digit: only the end of the run of hyphens matters.
        let run = rest.get(at..).unwrap_or_default();
        let after = run.iter().position(|byte| *byte != b'-');
        rest = after.and_then(|after| run.get(after..)).unwrap_or_default();
        if rest.starts_with(id) {
            return true;
        }
    }
    false
}
