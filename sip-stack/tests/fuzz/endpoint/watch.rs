//! What must hold of everything an endpoint says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stox_sip::{
    Destination, Event, InviteId, Message, Method, ParseError, Request, RequestId, Response,
    Status, SubscriptionId, Transmit,
};

use super::trust::STRANGER;

pub(super) struct Watch {
    /// With small limits answered requests are forgotten early.
    is_forgetful: bool,
    life_by_invite: BTreeMap<InviteId, Life>,
    is_ended_by_request: BTreeMap<RequestId, bool>,
    is_ended_by_subscription: BTreeMap<SubscriptionId, bool>,
    /// Requests of ours as they were sent, by branch and method.
    wire_by_transaction: BTreeMap<String, Bytes>,
    answer_by_transaction: BTreeMap<String, Answered>,
    heard_garbage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Ours,
    Theirs,
    /// Ended by the user, who may be told how that went or not.
    Left,
    Over,
}

#[derive(Clone, Copy, Debug)]
enum Answered {
    Awaited,
    With(Status, Instant),
}

impl Watch {
    pub(super) fn new(is_forgetful: bool) -> Watch {
        Watch {
            is_forgetful,
            life_by_invite: BTreeMap::new(),
            is_ended_by_request: BTreeMap::new(),
            is_ended_by_subscription: BTreeMap::new(),
            wire_by_transaction: BTreeMap::new(),
            answer_by_transaction: BTreeMap::new(),
            heard_garbage: false,
        }
    }

    pub(super) fn user_invited(&mut self, invite: InviteId) {
        self.life_by_invite.insert(invite, Life::Ours);
    }

    pub(super) fn user_requested(&mut self, request: RequestId) {
        self.is_ended_by_request.insert(request, false);
    }

    pub(super) fn user_subscribed(&mut self, subscription: SubscriptionId) {
        self.is_ended_by_subscription.insert(subscription, false);
    }

    /// After a rejection nothing is told of an invitation; of an established session it still is.
    pub(super) fn user_answered(&mut self, invite: InviteId, status: Status) {
        if status.code() >= 300 {
            self.user_ended(invite);
        }
    }

    pub(super) fn user_ended(&mut self, invite: InviteId) {
        if let Some(life @ Life::Theirs) = self.life_by_invite.get_mut(&invite) {
            *life = Life::Left;
        }
    }

    pub(super) fn user_closed(&mut self) {
        self.is_forgetful = true;
    }

    pub(super) fn heard(&mut self, message: &Result<Message, ParseError>) {
        match message {
            Ok(Message::Request(request)) if request.method == Method::Ack => {
                // The INVITE's transaction ends early.
                if let Some(key) = key_of_request(request, "INVITE") {
                    self.answer_by_transaction.remove(&key);
                }
            }
            Ok(_) => {}
            Err(_) => self.heard_garbage = true,
        }
    }

    pub(super) fn looked(&mut self) {
        self.heard_garbage = false;
    }

    pub(super) fn told(&mut self, event: &Event) {
        match event {
            Event::Invited {
                invite,
                request,
                source,
                ..
            } => {
                let before = self.life_by_invite.insert(*invite, Life::Theirs);
                assert_eq!(before, None, "{invite:?} comes twice");
                self.await_answer(request, source.connection.is_none());
            }
            Event::Requested {
                request, source, ..
            } => self.await_answer(request, source.connection.is_none()),
            Event::Reinvited {
                invite, request, ..
            } => {
                self.lives(*invite);
                // How it came is not told.
                self.await_answer(request, false);
            }
            Event::Progressed { invite, .. }
            | Event::Answered { invite, .. }
            | Event::Acknowledged { invite, .. } => self.lives(*invite),
            Event::Rejected { invite, .. }
            | Event::Failed { invite, .. }
            | Event::Cancelled { invite }
            | Event::Ended { invite, .. } => {
                self.lives(*invite);
                self.life_by_invite.insert(*invite, Life::Over);
            }
            Event::Responded { request, .. } | Event::RequestFailed { request, .. } => {
                let is_ended = self.is_ended_by_request.insert(*request, true);
                assert_eq!(is_ended, Some(false), "{request:?}: {event:?}");
            }
            Event::Notified { subscription, .. } | Event::StateAsked { subscription, .. } => {
                let is_ended = self.is_ended_by_subscription.get(subscription);
                assert_eq!(is_ended, Some(&false), "{subscription:?}: {event:?}");
            }
            Event::SubscriptionEnded { subscription, .. } => {
                let is_ended = self.is_ended_by_subscription.insert(*subscription, true);
                assert_eq!(is_ended, Some(false), "{subscription:?}: {event:?}");
            }
            _ => {}
        }
    }

    fn lives(&self, invite: InviteId) {
        let life = self.life_by_invite.get(&invite);
        assert!(
            matches!(life, Some(Life::Ours | Life::Theirs | Life::Left)),
            "{invite:?} is told of after its end"
        );
    }

    fn await_answer(&mut self, request: &Request, is_datagram: bool) {
        let Some(key) = key_of_request(request, request.method.as_str()) else {
            return;
        };
        if is_datagram && !self.is_forgetful {
            self.answer_by_transaction.insert(key, Answered::Awaited);
        } else {
            self.answer_by_transaction.remove(&key);
        }
    }

    /// The message, if it can be read.
    pub(super) fn sent(&mut self, transmit: &Transmit, now: Instant) -> Option<Message> {
        assert!(transmit.payload.len() < 60_000);
        let message = match Message::parse_datagram(transmit.payload.clone()) {
            Ok(message) => message,
            // Malformed fields go back as they came.
            Err(error) => {
                assert!(self.heard_garbage && error.method().is_none(), "{error}");
                return None;
            }
        };
        match &message {
            Message::Request(request) => self.sent_request(request, transmit),
            // Strangers are refused, also where they repeat what another has sent.
            Message::Response(_) if goes_to_stranger(transmit) => {}
            Message::Response(response) => self.sent_response(response, now),
        }
        Some(message)
    }

    /// What is sent again is the same, byte for byte.
    fn sent_request(&mut self, request: &Request, transmit: &Transmit) {
        let via = request.top_via().unwrap();
        assert!(via.has_unique_branch());
        let key = format!("{:?} {}", via.branch(), request.method);
        let before = self
            .wire_by_transaction
            .entry(key)
            .or_insert_with(|| transmit.payload.clone());
        assert_eq!(*before, transmit.payload);
        if let Destination::Datagram { .. } = transmit.destination {
            assert!(via.to_string().contains("UDP"), "{via}");
        }
    }

    /// A request that was told has one final answer, as long as its repetitions may come.
    fn sent_response(&mut self, response: &Response, now: Instant) {
        const REPETITIONS: Duration = Duration::from_secs(32);
        // What cannot be read is refused, also where it repeats something.
        if response.status.is_provisional() || self.is_forgetful || self.heard_garbage {
            return;
        }
        let Some(key) = key_of_response(response) else {
            return;
        };
        match self.answer_by_transaction.get_mut(&key) {
            Some(answered @ Answered::Awaited) => *answered = Answered::With(response.status, now),
            Some(Answered::With(status, at)) if now < *at + REPETITIONS => {
                assert_eq!(*status, response.status, "two answers to {key}");
            }
            Some(Answered::With(..)) | None => {
                self.answer_by_transaction.remove(&key);
            }
        }
    }

    /// What the user began has ended.
    pub(super) fn ended(&self) {
        for (invite, life) in &self.life_by_invite {
            assert_ne!(*life, Life::Ours, "{invite:?} has no end");
        }
        for (request, is_ended) in &self.is_ended_by_request {
            assert!(is_ended, "{request:?} has no end");
        }
        for (subscription, is_ended) in &self.is_ended_by_subscription {
            assert!(is_ended, "{subscription:?} has no end");
        }
    }
}

fn goes_to_stranger(transmit: &Transmit) -> bool {
    match transmit.destination {
        Destination::Datagram { remote, .. } => remote.ip() == STRANGER.ip(),
        Destination::Connection(_) => false,
    }
}

/// Names a request of the peer; `None` where the rules of RFC 2543 apply.
fn key_of_request(request: &Request, method: &str) -> Option<String> {
    let via = request.top_via().ok()?;
    let key = format!("{} {:?} {:?} {method}", via.host, via.port, via.branch());
    via.has_unique_branch().then_some(key.to_ascii_lowercase())
}

fn key_of_response(response: &Response) -> Option<String> {
    let via = response.top_via().ok()?;
    let method = response.cseq().ok()?.method;
    let key = format!("{} {:?} {:?} {method}", via.host, via.port, via.branch());
    via.has_unique_branch().then_some(key.to_ascii_lowercase())
}
