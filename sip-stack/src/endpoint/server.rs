//! Requests of the peer: their server transactions, and the way of our responses.
//! RFC 3261 §17.2, §18.2; RFC 3581.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Instant;

use bytes::Bytes;

use super::command::{InviteId, ServerTransactionId};
use super::config::Timers;
use super::event::Source;
use super::keep_alive::Promise;
use super::timer_queue::Scheduled;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::{self, ServerNonInvite};
use crate::{Host, Method, Name, Request, Response, Scheme, Status, Text, Uri, Via};

/// What we ask of peers that are refused for lack of room. Seconds.
const RETRY_AFTER: &str = "5";

pub(super) fn retry_after() -> (Name, String) {
    (Name::RetryAfter, RETRY_AFTER.to_owned())
}

/// What identifies a request of a peer, as a keyed hash: short, and nobody can make two the same.
type Fingerprint = (u64, u64);

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
    pub(super) by_id: HashMap<ServerTransactionId, Server>,
    pub(super) id_by_key: HashMap<Fingerprint, ServerTransactionId>,
    pub(super) id_by_merge_key: HashMap<Fingerprint, ServerTransactionId>,
    /// Answered requests, oldest first; may name some that are gone.
    pub(super) answered: VecDeque<ServerTransactionId>,
    pub(super) pending: usize,
    pub(super) last_id: u64,
    pub(super) hashers: (RandomState, RandomState),
}

impl Servers {
    pub(super) fn new() -> Self {
        Self {
            by_id: HashMap::new(),
            id_by_key: HashMap::new(),
            id_by_merge_key: HashMap::new(),
            answered: VecDeque::new(),
            pending: 0,
            last_id: 0,
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// How many wait for our final response.
    pub(super) fn unanswered(&self) -> usize {
        self.pending
    }

    pub(super) fn get(&self, id: ServerTransactionId) -> Option<&Server> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ServerTransactionId) -> Option<&mut Server> {
        self.by_id.get_mut(&id)
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

    /// Another transaction with the same request, which came by another way. RFC 3261 §8.2.2.2.
    pub(super) fn find_merged(&self, request: &Request) -> Option<ServerTransactionId> {
        self.id_by_merge_key.get(&self.merge_key(request)?).copied()
    }

    pub(super) fn key(&self, request: &Request, via: &Via, method: &Method) -> Fingerprint {
        let method = if *method == Method::Ack {
            &Method::Invite
        } else {
            method
        };
        match via.branch().filter(|_| via.has_unique_branch()) {
            Some(branch) => {
                self.fingerprint(&(branch, AnyCase(&via.host), via.port, method.as_str()))
            }
            None => {
                let to_tag = match method {
                    // The ACK has a To tag that the INVITE had not.
                    Method::Invite | Method::Cancel => None,
                    _ => request.to().ok().and_then(|to| to.tag().map(str::to_owned)),
                };
                self.fingerprint(&(
                    request.uri.to_string(),
                    request
                        .from()
                        .ok()
                        .and_then(|from| from.tag().map(str::to_owned)),
                    to_tag,
                    request.call_id().ok(),
                    request.cseq().ok().map(|cseq| cseq.number),
                    via.to_string(),
                    method.as_str(),
                ))
            }
        }
    }

    pub(super) fn merge_key(&self, request: &Request) -> Option<Fingerprint> {
        if request.to().ok()?.tag().is_some() {
            return None;
        }
        let from = request.from().ok()?;
        let cseq = request.cseq().ok()?;
        Some(self.fingerprint(&(
            from.tag(),
            request.call_id().ok()?,
            cseq.number,
            request.method.as_str(),
        )))
    }

    pub(super) fn fingerprint(&self, value: &impl Hash) -> Fingerprint {
        (
            self.hashers.0.hash_one(value),
            self.hashers.1.hash_one(value),
        )
    }

    /// A tag for responses that nothing is kept for: the same for each repetition. RFC 3261 §8.2.7.
    pub(super) fn stateless_tag(&self, response: &Response) -> String {
        let call_id = response.headers.first(&Name::CallId);
        let cseq = response.headers.first(&Name::CSeq);
        let (tag, _) = self.fingerprint(&(call_id, cseq, response.headers.first(&Name::From)));
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

/// A host as it is hashed: without regard to the case of its name.
struct AnyCase<'a>(&'a Host);

impl Hash for AnyCase<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Host::Name(name) => {
                for byte in name.bytes() {
                    state.write_u8(byte.to_ascii_lowercase());
                }
            }
            Host::V4(address) => address.hash(state),
            Host::V6(address) => address.hash(state),
        }
        // Where the name ends and the next value begins.
        state.write_u8(0xff);
    }
}

/// Adds a tag to the To of a response that has none.
pub(super) fn add_to_tag(response: &mut Response, tag: &str) {
    if response.to().is_ok_and(|to| to.tag().is_some()) {
        return;
    }
    if let Some(to) = response.headers.first(&Name::To) {
        let to = format!("{to};tag={tag}");
        response.headers.set(Name::To, to);
    }
}

/// Notes in the top Via where the request really came from. RFC 3261 §18.2.1, RFC 3581 §4.
pub(super) fn note_source(request: &mut Request, via: &mut Via, source: &Source, promise: Promise) {
    let differs = via.host.ip() != Some(source.remote.ip());
    let asks_for_port = via.rport().is_some();
    if !differs && !asks_for_port {
        if promise == Promise::Given {
            request.headers.set_top_via(via);
        }
        return;
    }
    let address = source.remote.ip().to_string();
    via.params.set(Text::from_static("received"), Some(address));
    if asks_for_port {
        let port = source.remote.port().to_string();
        via.params.set(Text::from_static("rport"), Some(port));
    }
    request.headers.set_top_via(via);
}

/// The port that responses go to when there is no connection. RFC 3261 §18.2.2, RFC 3581 §4.
pub(super) fn return_port(via: &Via, source: &Source) -> u16 {
    match via.rport() {
        Some(_) if !source.transport.is_reliable() => source.remote.port(),
        Some(_) | None => via.port.unwrap_or(source.transport.default_port()),
    }
}
