//! MESSAGEs of ours: one at a time, in order. RFC 3428 §8, IM-07.

use std::collections::VecDeque;

use super::event::{Action, Page, PageFault, Settings};
use super::promise::Promise;
use crate::fault::{Condition, Fault};

#[derive(Debug, Default)]
pub(super) enum Lane {
    #[default]
    Free,
    Waiting {
        sent: Sent,
        next: VecDeque<(Box<Page>, Sent)>,
    },
}

/// What a MESSAGE carries, and who waits for its fate.
#[derive(Debug)]
pub(super) enum Sent {
    Message(Promise),
    /// Whether the XMPP user writes: nobody does.
    Status,
    /// What became of a message of the SIP user's: nobody either.
    Notice,
}

impl Lane {
    pub fn is_free(&self) -> bool {
        matches!(self, Lane::Free)
    }

    /// Sends the MESSAGE, or lets it wait for the answer to the one before, or gives it back (CHAT-08).
    pub fn send(
        &mut self,
        page: Box<Page>,
        sent: Sent,
        settings: &Settings,
        out: &mut Vec<Action>,
    ) {
        match self {
            Lane::Free => {
                out.push(Action::Page(page));
                *self = Lane::Waiting {
                    sent,
                    next: VecDeque::new(),
                };
            }
            Lane::Waiting { next, .. } => {
                let bytes: usize = next.iter().map(|(page, _)| page.body.len()).sum();
                if next.len() < settings.held && bytes + page.body.len() <= settings.held_bytes {
                    next.push_back((page, sent));
                } else {
                    sent.refused(Fault::new(Condition::ResourceConstraint));
                }
            }
        }
    }

    /// The MESSAGE under way got its answer: the next one may go. Returns what was refused for its type.
    pub fn answered(
        &mut self,
        answer: Result<(), PageFault>,
        out: &mut Vec<Action>,
    ) -> Option<Sent> {
        let Lane::Waiting { sent, mut next } = std::mem::take(self) else {
            return None;
        };
        if let Some((page, sent)) = next.pop_front() {
            out.push(Action::Page(page));
            *self = Lane::Waiting { sent, next };
        }
        match (sent, answer) {
            (Sent::Message(promise), Ok(())) => promise.delivered(),
            (Sent::Message(promise), Err(PageFault::Rejected(rejection))) => {
                promise.refused(rejection.fault);
            }
            (Sent::Message(promise), Err(PageFault::Failed(failure))) => {
                promise.refused(Fault::from_failure(&failure));
            }
            (sent, Err(PageFault::Rejected(rejection))) if rejection.status == 415 => {
                return Some(sent);
            }
            (Sent::Status | Sent::Notice, Ok(()) | Err(_)) => {}
        }
        None
    }

    /// What waits with that Call-ID goes by the other one.
    pub fn rename(&mut self, call_id: &str, instead: &str) {
        if let Lane::Waiting { next, .. } = self {
            let pages = next.iter_mut().map(|(page, _)| page);
            for page in pages.filter(|page| page.call_id == call_id) {
                page.call_id = instead.to_owned();
            }
        }
    }

    /// Gives back what was not sent; what was sent is still waited for.
    pub fn shut_down(&mut self) {
        if let Lane::Waiting { next, .. } = self {
            for (_, sent) in next.drain(..) {
                sent.refused(Fault::new(Condition::RecipientUnavailable));
            }
        }
    }

    /// Gives back everything that has no fate yet.
    pub fn abandon(&mut self) {
        if let Lane::Waiting { sent, next } = std::mem::take(self) {
            sent.refused(Fault::new(Condition::RemoteServerTimeout));
            for (_, sent) in next {
                sent.refused(Fault::new(Condition::RecipientUnavailable));
            }
        }
    }
}

impl Sent {
    fn refused(self, fault: Fault) {
        match self {
            Sent::Message(promise) => promise.refused(fault),
            Sent::Status | Sent::Notice => {}
        }
    }
}
