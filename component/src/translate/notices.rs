//! MESSAGEs of the SIP user's whose sender wants to hear what became of them. RFC 5438, RCPT-11.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use stox_msrp::imdn::{self, Delivery, Display, Notification};
use stox_msrp::{Ident, cpim};

use super::event::{Mark, Wishes};
use crate::fault::{Condition, Fault};

/// As many are remembered, and for so long: who does not read for longer is not waited for.
const REMEMBERED: usize = 64;
const MEMORY: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Oldest first.
    awaited: VecDeque<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    stanza_id: String,
    request: Box<imdn::Request>,
    until: Instant,
}

impl Notices {
    /// Remembers what the sender asked for. Returns what the XMPP user is asked for.
    pub fn expect(
        &mut self,
        stanza_id: &str,
        request: Option<Box<imdn::Request>>,
        now: Instant,
    ) -> Wishes {
        let Some(request) = request else {
            return Wishes::default();
        };
        let wanted = request.wishes();
        if self.awaited.len() >= REMEMBERED {
            self.awaited.pop_front();
        }
        self.awaited.push_back(Awaited {
            stanza_id: stanza_id.to_owned(),
            request,
            until: now + MEMORY,
        });
        Wishes {
            receipt: wanted.positive_delivery,
            display: wanted.display,
        }
    }

    /// The XMPP user's client got the message. Returns the notification, if it is the first of its kind and asked for.
    pub fn receipted(&mut self, id: &str, mark: Mark, name: Ident) -> Option<cpim::Message> {
        let notification = match mark {
            Mark::Received => Notification::Delivery(Delivery::Delivered),
            Mark::Displayed => Notification::Display(Display::Displayed),
        };
        self.answer(id, notification, name)
    }

    /// The message came back after it had been answered.
    pub fn bounced(&mut self, id: &str, fault: &Fault, name: Ident) -> Option<cpim::Message> {
        let answer = self.answer(id, failure(fault), name);
        self.forget(id);
        answer
    }

    /// The message was refused: its answer says so already.
    pub fn forget(&mut self, id: &str) {
        self.awaited.retain(|awaited| awaited.stanza_id != id);
    }

    /// When [`Notices::elapsed`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.awaited.front().map(|awaited| awaited.until)
    }

    pub fn elapsed(&mut self, now: Instant) {
        while self.deadline().is_some_and(|until| until <= now) {
            self.awaited.pop_front();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.awaited.is_empty()
    }

    pub fn clear(&mut self) {
        self.awaited.clear();
    }

    fn answer(
        &mut self,
        id: &str,
        notification: Notification,
        name: Ident,
    ) -> Option<cpim::Message> {
        let mut awaited = self.awaited.iter();
        let at = awaited.position(|awaited| awaited.stanza_id == id)?;
        let request = &mut self.awaited.get_mut(at)?.request;
        let answer = request.answer(notification, name);
        if request.wishes().is_empty() {
            self.awaited.remove(at);
        }
        answer
    }
}

/// What a notification says of an error (T15).
pub(super) fn failure(fault: &Fault) -> Notification {
    Notification::Delivery(match fault.condition() {
        Condition::Forbidden => Delivery::Forbidden,
        _ => Delivery::Failed,
    })
}
