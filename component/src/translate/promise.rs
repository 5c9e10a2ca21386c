//! The promise that travels with each message: handed on, or given back.
//!
//! A [`Promise`] is made when a message is taken from its sender and ends in [`Promise::delivered`] or
//! [`Promise::refused`]. Whoever forgets it refuses the message: dropping an open promise settles it with
//! `internal-server-error` and logs the bug, so that no message can vanish inside the gateway.
//!
//! Whom to tell is said by a [`Ticket`]; rooms have tickets of their own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use stox_msrp::IncomingId;
use stox_sip::ServerTransactionId;

use super::event::ChatId;
use crate::address::Jid;
use crate::fault::{Addressee, Condition, Fault};
use crate::store::EntryId;

/// Whom to tell what became of a message, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// A stanza: its sender hears only of a failure, as an error stanza.
    Stanza(Arc<Origin>),
    /// An MSRP message: answered with 200, or with the status of the fault.
    Send {
        /// The session it came by.
        chat: ChatId,
        /// Which of the session's connections: no other can carry the answer.
        leg: u32,
        /// The message within the session.
        incoming: IncomingId,
    },
    /// A SIP MESSAGE: answered with 200, or with the status of the fault.
    Page {
        /// The transaction that waits for its final response.
        transaction: ServerTransactionId,
        /// Whom its stanza was addressed to: the SIP status differs (T8).
        addressee: Addressee,
    },
}

/// The parts of a stanza that its error reply repeats (RFC 6120 §8.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The sender's full JID.
    pub from: Jid,
    /// The address it was sent to.
    pub to: Jid,
    /// The sender's own id, if there was one.
    pub id: Option<String>,
    /// `chat`, `normal`…, repeated by nothing but kept for the log.
    pub thread: Option<String>,
    /// Where it is kept until it has found its end.
    pub entry: Option<EntryId>,
}

/// How a promise ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop on the other side has taken the message.
    Delivered,
    /// The message goes back to its sender with this fault.
    Refused(Fault),
}

/// A promise that ended, ready to be told to the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement<T = Ticket> {
    /// Whom to tell.
    pub ticket: T,
    /// What to tell.
    pub outcome: Outcome,
}

/// Where a conversation's promises write down how they ended. One per conversation, or room; clones write to the same book.
#[derive(Debug)]
pub struct Ledger<T = Ticket>(Arc<Mutex<Vec<Settlement<T>>>>);

impl<T> Clone for Ledger<T> {
    fn clone(&self) -> Self {
        Ledger(self.0.clone())
    }
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Ledger(Arc::default())
    }
}

impl<T: fmt::Debug> Ledger<T> {
    /// Takes responsibility for the message that `ticket` stands for.
    pub fn promise(&self, ticket: T) -> Promise<T> {
        Promise {
            ticket: Some(ticket),
            ledger: self.clone(),
        }
    }

    /// Everything settled since the last call, in the order it was settled.
    pub fn drain(&self) -> Vec<Settlement<T>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, ticket: T, outcome: Outcome) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Settlement { ticket, outcome });
    }
}

/// Responsibility for one message. See the [module](self).
#[derive(Debug)]
#[must_use = "a promise that is dropped refuses its message"]
pub struct Promise<T: fmt::Debug = Ticket> {
    ticket: Option<T>,
    ledger: Ledger<T>,
}

impl<T: fmt::Debug> Promise<T> {
    /// Whom it will be told; an open promise always has somebody.
    pub fn ticket(&self) -> Option<&T> {
        self.ticket.as_ref()
    }

    /// The sender has sent the message once more: the end is told there, and no more where it came first.
    pub fn readdress(&mut self, ticket: T) {
        if self.ticket.is_some() {
            self.ticket = Some(ticket);
        }
    }

    /// The message is in the hands of the next hop.
    pub fn delivered(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.ledger.write(ticket, Outcome::Delivered);
        }
    }

    /// The message goes back to its sender.
    pub fn refused(mut self, fault: Fault) {
        if let Some(ticket) = self.ticket.take() {
            self.ledger.write(ticket, Outcome::Refused(fault));
        }
    }
}

impl<T: fmt::Debug> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            tracing::error!(
                ?ticket,
                "a message was dropped without an outcome; it is given back"
            );
            self.ledger.write(
                ticket,
                Outcome::Refused(Fault::new(Condition::InternalServerError)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket::Stanza(Arc::new(Origin {
            from: "juliet@example.com/balcony".parse().unwrap(),
            to: "romeo%example.net@sip.example.com".parse().unwrap(),
            id: Some("m1".into()),
            thread: None,
            entry: None,
        }))
    }

    #[test]
    fn ends_once_as_told() {
        let ledger = Ledger::default();
        ledger.promise(ticket()).delivered();
        ledger
            .promise(ticket())
            .refused(Fault::new(Condition::ItemNotFound));
        let settled: Vec<_> = ledger.drain().into_iter().map(|s| s.outcome).collect();
        assert_eq!(
            settled,
            [
                Outcome::Delivered,
                Outcome::Refused(Fault::new(Condition::ItemNotFound))
            ]
        );
        assert!(ledger.drain().is_empty());
    }

    #[test]
    fn is_told_where_the_message_came_last() {
        let ledger = Ledger::default();
        let first = Ticket::Send {
            chat: ChatId(1),
            leg: 1,
            incoming: IncomingId::from_number(7),
        };
        let mut promise = ledger.promise(first);
        promise.readdress(ticket());
        promise.delivered();
        assert_eq!(
            ledger.drain(),
            [Settlement {
                ticket: ticket(),
                outcome: Outcome::Delivered
            }]
        );
    }

    #[test]
    fn forgotten_is_refused() {
        let ledger = Ledger::default();
        drop(ledger.promise(ticket()));
        assert_eq!(
            ledger.drain(),
            [Settlement {
                ticket: ticket(),
                outcome: Outcome::Refused(Fault::new(Condition::InternalServerError))
            }]
        );
    }
}
