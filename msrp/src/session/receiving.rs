//! The receiving half of a session: chunks into messages, and the responses they get.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::{Link, Outbound, Output, refuse};
use crate::{
    ByteRange, FailureReport, Incoming, IncomingId, Nickname, NicknameForm, NicknameRequest,
    Nicknames,
    assembly::Assembly,
    codec::{Flag, Head, put_response},
};

#[derive(Debug)]
pub(super) struct Receiving {
    max_size: u64,
    next_id: u64,
    /// By ascending id.
    held: VecDeque<Held>,
    partial: Vec<Partial>,
    /// Chunk whose body comes in several parts.
    current: Option<Box<Current>>,
    /// Messages refused midway: their other chunks are refused too.
    refused: VecDeque<Bytes>,
    /// The refused message whose chunk is still coming in.
    discarding: Option<Bytes>,
}

/// A response owed.
#[derive(Debug)]
struct Held {
    id: IncomingId,
    transaction_id: Bytes,
    to: Bytes,
    failure_report: FailureReport,
}

/// A message of which chunks are missing.
#[derive(Debug)]
struct Partial {
    message_id: Bytes,
    assembly: Assembly,
    give_up: Instant,
}

#[derive(Debug)]
struct Current {
    head: Head,
    message_id: Bytes,
    /// Where its next byte belongs in the message, from 0.
    position: u64,
}

impl Receiving {
    pub(super) fn new(max_size: u64) -> Receiving {
        Receiving {
            max_size,
            next_id: 0,
            held: VecDeque::new(),
            partial: Vec::new(),
            current: None,
            refused: VecDeque::new(),
            discarding: None,
        }
    }

    pub(super) fn on_send(
        &mut self,
        head: &Head,
        body: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) {
        let is_empty = end.is_some() && body.is_empty() && head.content_type().is_none();
        if !head.has_body() || is_empty {
            return accept(head, link);
        }
        self.current = None;
        self.discarding = None;
        let range = head.byte_range().unwrap_or(ByteRange::WHOLE);
        let Some(message_id) = head.message_id().filter(|_| range.is_possible()) else {
            return refuse(head, link.local, 400, link.outbound);
        };
        if let Some(index) = self.refused.iter().position(|id| *id == message_id) {
            if end.is_some_and(|flag| flag != Flag::Continued) {
                self.refused.remove(index);
            }
            return refuse(head, link.local, 413, link.outbound);
        }
        if end == Some(Flag::Aborted) {
            self.partial
                .retain(|partial| partial.message_id != message_id);
            return accept(head, link);
        }
        let message_id = head.share(message_id);
        if range.total.is_some_and(|total| total > self.max_size) {
            return self.refuse_message(head, message_id, end, link);
        }
        let is_whole = end == Some(Flag::Complete) && range.start == 1;
        if is_whole && self.partial.iter().all(|p| p.message_id != message_id) {
            if body.len() as u64 > self.max_size {
                return refuse(head, link.local, 413, link.outbound);
            }
            return self.deliver(head, body, link);
        }
        let current = Current {
            head: head.clone(),
            message_id,
            position: range.start - 1,
        };
        self.take_body(Box::new(current), body, end, link);
    }

    pub(super) fn on_more(&mut self, body: Bytes, end: Option<Flag>, link: &mut Link<'_>) {
        if let Some(current) = self.current.take() {
            return self.take_body(current, body, end, link);
        }
        if end.is_some()
            && let Some(message_id) = self.discarding.take()
            && end != Some(Flag::Continued)
        {
            self.refused.retain(|refused| *refused != message_id);
        }
    }

    /// A NICKNAME for an owner that takes them.
    pub(super) fn on_nickname(&mut self, head: &Head, taken: Nicknames, link: &mut Link<'_>) {
        self.current = None;
        self.discarding = None;
        let Some(value) = head.header("Use-Nickname") else {
            return refuse(head, link.local, 400, link.outbound);
        };
        let is_taken = |nickname: &Nickname| {
            taken == Nicknames::QuotedOrBare || nickname.form() == NicknameForm::Quoted
        };
        let Some(nickname) = Nickname::parse(value).ok().filter(is_taken) else {
            return refuse(head, link.local, 424, link.outbound);
        };
        if self.held.len() >= link.limits.unanswered_incoming {
            return refuse(head, link.local, 408, link.outbound);
        }
        let to = head.whole_from_path().unwrap_or_default();
        let id = self.hold(head, to, FailureReport::Yes);
        link.out
            .push(Output::Nickname(NicknameRequest { id, nickname }));
    }

    pub(super) fn respond(
        &mut self,
        id: IncomingId,
        status: u16,
        local: &[u8],
        outbound: &mut Outbound,
    ) {
        let index = self.held.binary_search_by_key(&id.0, |held| held.id.0);
        let Some(held) = index.ok().and_then(|index| self.held.remove(index)) else {
            return;
        };
        if self.held.is_empty() && self.held.capacity() > 64 {
            self.held = VecDeque::new();
        }
        let is_wanted = match held.failure_report {
            FailureReport::Yes => true,
            FailureReport::Partial => !(200..300).contains(&status),
            FailureReport::No => false,
        };
        if is_wanted {
            put_response(
                outbound.tail(),
                &held.transaction_id,
                status,
                &held.to,
                local,
            );
        }
    }

    /// Gives up messages whose chunks do not come; returns when the next one is due.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.partial.retain(|partial| partial.give_up > now);
        self.partial.iter().map(|partial| partial.give_up).min()
    }

    pub(super) fn end(&mut self) {
        *self = Receiving::new(self.max_size);
    }

    fn take_body(
        &mut self,
        mut current: Box<Current>,
        body: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) {
        if end == Some(Flag::Aborted) {
            self.partial
                .retain(|partial| partial.message_id != current.message_id);
            return accept(&current.head, link);
        }
        let length = body.len() as u64;
        let Some(index) = self.partial_of(&current.message_id, link) else {
            return self.refuse_message(&current.head, current.message_id, end, link);
        };
        let others: u64 = self.held_elsewhere(index);
        let Some(partial) = self.partial.get_mut(index) else {
            return;
        };
        let allowed = self.max_size.saturating_add(link.limits.unassembled as u64);
        let is_taken = partial.assembly.insert(current.position, body).is_ok()
            && others.saturating_add(partial.assembly.held()) <= allowed;
        if !is_taken {
            return self.refuse_message(&current.head, current.message_id, end, link);
        }
        current.position = current.position.saturating_add(length);
        let Some(flag) = end else {
            self.current = Some(current);
            return;
        };
        if flag == Flag::Complete {
            partial.assembly.set_length(current.position);
        }
        match partial.assembly.take_complete() {
            Some(whole) => {
                self.partial.swap_remove(index);
                self.deliver(&current.head, whole, link);
            }
            None => accept(&current.head, link),
        }
    }

    /// The index of the message the chunk belongs to, a new one if need be; `None` if there are too many.
    fn partial_of(&mut self, message_id: &Bytes, link: &mut Link<'_>) -> Option<usize> {
        let known = self.partial.iter().position(|p| p.message_id == message_id);
        if known.is_some() {
            return known;
        }
        if self.partial.len() >= link.limits.incomplete_messages {
            return None;
        }
        let give_up = link.now + link.limits.chunk;
        link.outbound.arm(give_up);
        self.partial.push(Partial {
            message_id: Bytes::copy_from_slice(message_id),
            assembly: Assembly::new(self.max_size),
            give_up,
        });
        self.partial.len().checked_sub(1)
    }

    fn held_elsewhere(&self, index: usize) -> u64 {
        let others = self.partial.iter().enumerate();
        others
            .filter(|(other, _)| *other != index)
            .map(|(_, partial)| partial.assembly.held())
            .fold(0, u64::saturating_add)
    }

    /// 413 at once; what follows of the message gets the same (RFC 4975 §10.5).
    fn refuse_message(
        &mut self,
        head: &Head,
        message_id: Bytes,
        end: Option<Flag>,
        link: &mut Link<'_>,
    ) {
        const REMEMBERED: usize = 16;
        self.partial
            .retain(|partial| partial.message_id != message_id);
        if end.is_none() || end == Some(Flag::Continued) {
            if self.refused.len() == REMEMBERED {
                self.refused.pop_front();
            }
            let message_id = Bytes::copy_from_slice(&message_id);
            if end.is_none() {
                self.discarding = Some(message_id.clone());
            }
            self.refused.push_back(message_id);
        }
        refuse(head, link.local, 413, link.outbound);
    }

    fn deliver(&mut self, head: &Head, body: Bytes, link: &mut Link<'_>) {
        if self.held.len() >= link.limits.unanswered_incoming {
            return refuse(head, link.local, 413, link.outbound);
        }
        let failure_report = head.failure_report();
        let to = head.from_path().next().unwrap_or_default();
        let id = self.hold(head, to, failure_report);
        link.out.push(Output::Deliver(Incoming {
            id,
            message_id: text(head.message_id().unwrap_or_default()),
            transaction_id: text(head.transaction_id()),
            content_type: head.content_type().map(str::to_owned),
            body,
            success_report: head.success_report(),
            failure_report,
        }));
    }

    /// Owes the request an answer, if it wants one.
    fn hold(&mut self, head: &Head, to: &[u8], failure_report: FailureReport) -> IncomingId {
        let id = IncomingId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        if failure_report != FailureReport::No {
            self.held.push_back(Held {
                id,
                transaction_id: head.share(head.transaction_id()),
                to: head.share(to),
                failure_report,
            });
        }
        id
    }
}

/// 200, if it is wanted.
fn accept(head: &Head, link: &mut Link<'_>) {
    let Some(to) = head.from_path().next() else {
        return;
    };
    if head.failure_report() == FailureReport::Yes {
        put_response(
            link.outbound.tail(),
            head.transaction_id(),
            200,
            to,
            link.local,
        );
    }
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}
