//! Requests of the peer: their server transactions, and the way of our responses.
//! RFC 3261 §17.2, §18.2; RFC 3581.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::command::{InviteId, ServerTransactionId};
use super::config::Timers;
use super::event::Source;
use super::fingerprint::{Fingerprint, Fingerprinter, Parts, Spread};
use super::keep_alive::Promise;
use super::timer_queue::Scheduled;
use crate::header::Noted;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::{self, ServerNonInvite};
use crate::{Method, Name, NameAddr, Request, Response, Scheme, Status, Text, Uri, Via};

/// What we ask of peers that are refused for lack of room. Seconds.
const RETRY_AFTER: &str = "5";

pub(super) fn retry_after() -> (Name, String) {
    (Name::RetryAfter, RETRY_AFTER.to_owned())
}

/// By which hop a request came, with what identifies the request.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) via: Arc<Via>,
    pub(super) key: Fingerprint,
    pub(super) merge_key: Option<Fingerprint>,
}

impl Deref for Hop {
    type Target = Via;

    fn deref(&self) -> &Via {
        &self.via
    }
}

/// A server transaction.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) machine: Machine,
    pub(super) key: Fingerprint,
    pub(super) merge_key: Option<Fingerprint>,
    pub(super) source: Source,
    /// Where responses go when the connection of the request is gone.
    pub(super) return_port: u16,
    /// What every response to it begins with; gone after the final one.
    pub(super) skeleton: Option<Box<Response>>,
    pub(super) method: Method,
    pub(super) cseq: u32,
    /// Of our Contact in the responses: `sips` if the request was sent to such a URI. RFC 3261 §12.1.1.
    pub(super) scheme: Scheme,
    /// The session it came in or makes.
    pub(super) invite: Option<InviteId>,
    /// The Contact to be taken as the new target when this is accepted.
    pub(super) refresh: Option<Box<Uri>>,
    /// The last response sent.
    pub(super) wire: Bytes,
    pub(super) scheduled: Scheduled,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

/// What one event makes a server transaction do.
pub(super) enum Reaction {
    SendResponse,
    SendTrying,
}

impl Server {
    pub(super) fn is_terminated(&self) -> bool {
        matches!(
            self.machine,
            Machine::Invite(ServerInvite::Terminated)
                | Machine::NonInvite(ServerNonInvite::Terminated)
        )
    }

    /// Whether our final response is still awaited.
    pub(super) fn is_pending(&self) -> bool {
        self.skeleton.is_some()
    }

    /// The To of its responses, with tag, while the final one is awaited.
    pub(super) fn to(&self) -> Option<Text> {
        let to = self.skeleton.as_ref()?.headers.first(&Name::To)?;
        Some(Text::from(to))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::NonInvite(machine) => machine.deadline(),
        }
    }

    pub(super) fn on_repeated(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        self.on(
            server_invite::Event::Repeated,
            Some(server_non_invite::Event::Repeated),
            timers,
            now,
        )
    }

    pub(super) fn on_reply(
        &mut self,
        status: Status,
        timers: &Timers,
        now: Instant,
    ) -> Vec<Reaction> {
        match status {
            status if status.is_provisional() => {
                self.on(server_invite::Event::Provisional, None, timers, now)
            }
            status if status.is_success() => self.on(
                server_invite::Event::Success,
                Some(server_non_invite::Event::Final),
                timers,
                now,
            ),
            _ => self.on(
                server_invite::Event::Failure,
                Some(server_non_invite::Event::Final),
                timers,
                now,
            ),
        }
    }

    pub(super) fn on(
        &mut self,
        invite: server_invite::Event,
        non_invite: Option<server_non_invite::Event>,
        timers: &Timers,
        now: Instant,
    ) -> Vec<Reaction> {
        let reliable = self.source.transport.is_reliable();
        match (&mut self.machine, non_invite) {
            (Machine::Invite(machine), _) => {
                let mut out = Vec::new();
                *machine = machine.on(invite, reliable, timers, now, &mut out);
                out.into_iter()
                    .map(|server_invite::Action::SendResponse| Reaction::SendResponse)
                    .collect()
            }
            (Machine::NonInvite(machine), Some(event)) => {
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            (Machine::NonInvite(_), None) => Vec::new(),
        }
    }

    pub(super) fn on_time(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(timers, now, &mut out);
                out.into_iter()
                    .map(|server_invite::Action::SendResponse| Reaction::SendResponse)
                    .collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }
}

impl From<server_non_invite::Action> for Reaction {
    fn from(action: server_non_invite::Action) -> Self {
        match action {
            server_non_invite::Action::SendTrying => Reaction::SendTrying,
            server_non_invite::Action::SendResponse => Reaction::SendResponse,
        }
    }
}

/// The server transactions and the ways to find them.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) by_id: HashMap<ServerTransactionId, Box<Server>, Spread>,
    pub(super) id_by_key: HashMap<Fingerprint, ServerTransactionId, Spread>,
    pub(super) id_by_merge_key: HashMap<Fingerprint, ServerTransactionId, Spread>,
    /// Answered requests, oldest first; may name some that are gone.
    pub(super) answered: VecDeque<ServerTransactionId>,
    pub(super) pending: usize,
    pub(super) last_id: u64,
    pub(super) fingerprinter: Fingerprinter,
}

impl Servers {
    pub(super) fn new() -> Self {
        Self {
            by_id: HashMap::default(),
            id_by_key: HashMap::default(),
            id_by_merge_key: HashMap::default(),
            answered: VecDeque::new(),
            pending: 0,
            last_id: 0,
            fingerprinter: Fingerprinter::new(),
        }
    }

    /// How many wait for our final response.
    pub(super) fn unanswered(&self) -> usize {
        self.pending
    }

    pub(super) fn get(&self, id: ServerTransactionId) -> Option<&Server> {
        self.by_id.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ServerTransactionId) -> Option<&mut Server> {
        self.by_id.get_mut(&id).map(Box::as_mut)
    }

    /// The transaction that this request belongs to, as a repetition, as its ACK, or as its CANCEL. RFC 3261 §17.2.3, §9.2.
    pub(super) fn find(
        &self,
        request: &Request,
        via: &Via,
        method: &Method,
    ) -> Option<ServerTransactionId> {
        self.id_by_key.get(&self.key(request, via, method)).copied()
    }

    /// The transaction that the request which came by this hop repeats.
    pub(super) fn find_repeated(&self, hop: &Hop) -> Option<ServerTransactionId> {
        self.id_by_key.get(&hop.key).copied()
    }

    /// Another transaction with the same request, which came by another way. RFC 3261 §8.2.2.2.
    pub(super) fn find_merged(&self, hop: &Hop) -> Option<ServerTransactionId> {
        self.id_by_merge_key.get(&hop.merge_key?).copied()
    }

    pub(super) fn hop(&self, request: &Request, via: Arc<Via>) -> Hop {
        Hop {
            key: self.key(request, &via, &request.method),
            merge_key: self.merge_key(request),
            via,
        }
    }

    fn key(&self, request: &Request, via: &Via, method: &Method) -> Fingerprint {
        let method = if *method == Method::Ack {
            &Method::Invite
        } else {
            method
        };
        let mut parts = Parts::new();
        parts.text(method.as_str());
        match via.branch().filter(|_| via.has_unique_branch()) {
            Some(branch) => {
                parts.text(branch);
                parts.host(&via.host);
                parts.number(via.port.map_or(u32::MAX, u32::from));
            }
            None => {
                let headers = &request.headers;
                let tag = |name| headers.read_address(&name).and_then(NameAddr::tag);
                parts.text(&request.uri.to_string());
                parts.optional(tag(Name::From));
                parts.optional(match method {
                    // The ACK has a To tag that the INVITE had not.
                    Method::Invite | Method::Cancel => None,
                    _ => tag(Name::To),
                });
                parts.optional(request.call_id().ok());
                parts.number(headers.read_cseq().map_or(u32::MAX, |cseq| cseq.number));
                parts.text(&via.to_string());
            }
        }
        self.fingerprinter.fingerprint(&parts)
    }

    fn merge_key(&self, request: &Request) -> Option<Fingerprint> {
        let headers = &request.headers;
        if headers.read_address(&Name::To)?.tag().is_some() {
            return None;
        }
        let mut parts = Parts::new();
        parts.text(request.method.as_str());
        parts.optional(headers.read_address(&Name::From)?.tag());
        parts.text(request.call_id().ok()?);
        parts.number(headers.read_cseq()?.number);
        Some(self.fingerprinter.fingerprint(&parts))
    }

    /// A tag for responses that nothing is kept for: the same for each repetition. RFC 3261 §8.2.7.
    pub(super) fn stateless_tag(&self, response: &Response) -> String {
        let mut parts = Parts::new();
        for name in [Name::CallId, Name::CSeq, Name::From] {
            parts.optional(response.headers.first(&name));
        }
        let tag = self.fingerprinter.fingerprint(&parts).half();
        format!("{tag:016x}")
    }

    pub(super) fn remove(&mut self, id: ServerTransactionId) {
        let Some(server) = self.by_id.remove(&id) else {
            return;
        };
        if server.is_pending() {
            self.pending = self.pending.saturating_sub(1);
        }
        if self.id_by_key.get(&server.key) == Some(&id) {
            self.id_by_key.remove(&server.key);
        }
        if let Some(key) = server.merge_key
            && self.id_by_merge_key.get(&key) == Some(&id)
        {
            self.id_by_merge_key.remove(&key);
        }
        while self
            .answered
            .front()
            .is_some_and(|id| !self.by_id.contains_key(id))
        {
            self.answered.pop_front();
        }
    }
}

/// Adds a tag to the To of a response to a request whose To was that; not to one that has a tag.
pub(super) fn add_to_tag(response: &mut Response, to: Option<&NameAddr>, tag: &str) {
    if to.is_some_and(|to| to.tag().is_some()) {
        return;
    }
    if let Some(to) = response.headers.first(&Name::To) {
        let tagged = [to, ";tag=", tag].concat();
        response.headers.set(Name::To, tagged);
    }
}

/// Notes in the top Via where the request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
pub(super) fn note_source(request: &mut Request, via: &Via, source: &Source, promise: Promise) {
    let differs = via.host.ip() != Some(source.remote.ip());
    if differs || via.rport().is_some() {
        let remote = source.remote;
        let noted = Text::written(&Noted { via, remote });
        request.headers.set_top_via_text(noted);
    } else if promise == Promise::Given {
        request.headers.set_top_via(via);
    }
}

/// The port that responses go to when there is no connection. RFC 3261 §18.2.2, RFC 3581 §4.
pub(super) fn return_port(via: &Via, source: &Source) -> u16 {
    match via.rport() {
        Some(_) if !source.transport.is_reliable() => source.remote.port(),
        Some(_) | None => via.port.unwrap_or(source.transport.default_port()),
    }
}
