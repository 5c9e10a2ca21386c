//! Server transactions at work, and the way of our responses. RFC 3261 §8.2.6, §17.2, §18.2; RFC 3581.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::command::{InviteId, Reply, ServerTransactionId};
use super::event::Source;
use super::flows::{Destination, Transmit};
use super::server::{Hop, Machine, Reaction, Server, add_to_tag, return_port};
use super::timer_queue::Scheduled;
use super::{Endpoint, TimerKey, compose};
use crate::resolve::Target;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::ServerNonInvite;
use crate::{Method, Name, Request, Response, Scheme, Status, Transport, Via};

impl Endpoint {
    /// Begins the server transaction of a request.
    pub(super) fn begin(
        &mut self,
        request: &Request,
        via: &Hop,
        source: Source,
        invite: Option<InviteId>,
        to_tag: &str,
        now: Instant,
    ) -> ServerTransactionId {
        self.servers.last_id = self.servers.last_id.wrapping_add(1);
        let id = ServerTransactionId(self.servers.last_id);
        let mut skeleton = Response::to_request(request, Status::TRYING);
        let is_invite = request.method == Method::Invite;
        // The 100 has no To tag, all others have.
        let trying = is_invite.then(|| skeleton.to_bytes());
        let to = request.headers.read_address(&Name::To);
        add_to_tag(&mut skeleton, to, to_tag);
        if matches!(
            request.method,
            Method::Invite | Method::Subscribe | Method::Refer | Method::Notify
        ) {
            for route in request.headers.fields(&Name::RecordRoute) {
                skeleton.headers.push(Name::RecordRoute, route);
            }
        }
        let refreshes = matches!(
            request.method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify
        );
        let server = Server {
            machine: match is_invite {
                true => Machine::Invite(ServerInvite::new()),
                false => Machine::NonInvite(ServerNonInvite::new(&self.config.timers, now)),
            },
            key: via.key,
            merge_key: via.merge_key,
            source,
            return_port: return_port(via, &source),
            skeleton: Some(Box::new(skeleton)),
            method: request.method.clone(),
            cseq: request.headers.read_cseq().map_or(0, |cseq| cseq.number),
            scheme: match request.uri.scheme() {
                Scheme::Sips => Scheme::Sips,
                _ => Scheme::Sip,
            },
            invite,
            refresh: match refreshes {
                true => request.contact().ok().map(|c| Box::new(c.uri)),
                false => None,
            },
            wire: trying.unwrap_or_default(),
            scheduled: Scheduled::default(),
        };
        self.servers.id_by_key.insert(server.key, id);
        if let Some(key) = server.merge_key {
            self.servers.id_by_merge_key.insert(key, id);
        }
        self.servers.pending = self.servers.pending.saturating_add(1);
        self.servers.by_id.insert(id, Box::new(server));
        if is_invite {
            self.send_response(id);
        }
        self.schedule_server(id);
        id
    }

    /// The request came again.
    pub(super) fn handle_repeated(
        &mut self,
        id: ServerTransactionId,
        source: Source,
        now: Instant,
    ) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        server.source = source;
        let reactions = server.on_repeated(&self.config.timers, now);
        self.react(id, reactions);
    }

    /// The ACK for our rejection came.
    pub(super) fn handle_rejection_acknowledged(&mut self, id: ServerTransactionId, now: Instant) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        let reactions = server.on(
            server_invite::Event::Acknowledged,
            None,
            &self.config.timers,
            now,
        );
        self.react(id, reactions);
    }

    pub(super) fn handle_server_time(
        &mut self,
        id: ServerTransactionId,
        at: Instant,
        now: Instant,
    ) {
        let Some(server) = self.servers.by_id.get_mut(&id) else {
            return;
        };
        if !server.scheduled.take(at) {
            return;
        }
        let reactions = server.on_time(&self.config.timers, now);
        self.react(id, reactions);
    }

    /// Answers a request of the peer; for INVITE outside of a session see `answer`.
    pub fn respond(&mut self, transaction: ServerTransactionId, mut reply: Reply, now: Instant) {
        let Some(server) = self.servers.get(transaction) else {
            tracing::debug!(status = %reply.status, "an answer to a request that is over is dropped");
            return;
        };
        if server.method != Method::Invite && reply.status.is_provisional() {
            return;
        }
        // 408 would come when its transaction is over, and says nothing that its absence would not. RFC 4320 §4.2.
        if server.method != Method::Invite && reply.status == Status::REQUEST_TIMEOUT {
            (reply.status, reply.reason) = (Status::SERVER_TIME_OUT, None);
        }
        let (invite, status) = (server.invite, reply.status);
        let changes_session = matches!(server.method, Method::Invite | Method::Update);
        // For INVITE and UPDATE inside a session the Contact is that of the session.
        if let Some(invite) = invite
            && changes_session
            && reply.contact.is_none()
            && status.code() < 300
        {
            reply.contact = self.session_contact(invite);
        }
        if let Some(invite) = invite
            && changes_session
            && status.is_success()
        {
            self.add_agreement(invite, &mut reply, now);
        }
        if let (Some(response), Some(invite)) = (self.reply(transaction, reply, now), invite)
            && status.is_final()
        {
            self.handle_session_answered(invite, transaction, &response, status.is_success(), now);
        }
    }

    /// Sends a response in its transaction. Returns its bytes if it was sent.
    pub(super) fn reply(
        &mut self,
        id: ServerTransactionId,
        reply: Reply,
        now: Instant,
    ) -> Option<Bytes> {
        let server = self.servers.by_id.get(&id)?;
        let skeleton = match reply.status.is_final() {
            true => self.servers.by_id.get_mut(&id)?.skeleton.take()?,
            false => server.skeleton.clone()?,
        };
        let status = reply.status;
        let server = self.servers.by_id.get(&id)?;
        let (method, source) = (server.method.clone(), server.source);
        let contact = reply.contact.as_ref().map(|contact| {
            let sent_by = self.advertised_to(source.transport, source.remote.ip());
            compose::contact(contact, server.scheme.clone(), sent_by, source.transport)
        });
        let wire =
            compose::response(*skeleton, &method, reply, contact, &self.capabilities).to_bytes();
        let server = self.servers.by_id.get_mut(&id)?;
        server.wire = wire.clone();
        let reactions = server.on_reply(status, &self.config.timers, now);
        if status.is_final() {
            self.servers.pending = self.servers.pending.saturating_sub(1);
            if method == Method::Invite || !source.transport.is_reliable() {
                self.servers.answered.push_back(id);
            }
        }
        self.react(id, reactions);
        while self.servers.answered.len() > self.config.limits.answered_transactions {
            if let Some(oldest) = self.servers.answered.pop_front() {
                self.servers.remove(oldest);
            }
        }
        Some(wire)
    }

    fn react(&mut self, id: ServerTransactionId, reactions: Vec<Reaction>) {
        for reaction in reactions {
            if let Reaction::SendTrying = reaction
                && let Some(server) = self.servers.by_id.get_mut(&id)
                && let Some(skeleton) = &server.skeleton
            {
                server.wire = skeleton.to_bytes();
            }
            self.send_response(id);
        }
        if self
            .servers
            .by_id
            .get(&id)
            .is_some_and(|server| server.is_terminated())
        {
            self.servers.remove(id);
        }
        self.schedule_server(id);
    }

    fn schedule_server(&mut self, id: ServerTransactionId) {
        if let Some(server) = self.servers.by_id.get_mut(&id) {
            let deadline = server.deadline();
            self.timers
                .schedule(TimerKey::Server(id), deadline, &mut server.scheduled);
        }
    }

    pub(super) fn send_response(&mut self, id: ServerTransactionId) {
        let Some(server) = self.servers.by_id.get(&id) else {
            return;
        };
        let (source, port, wire) = (server.source, server.return_port, server.wire.clone());
        self.send_back(&source, port, wire);
    }

    /// Sends a response to where its request came from. RFC 3261 §18.2.2.
    pub(super) fn send_back(&mut self, source: &Source, port: u16, payload: Bytes) {
        if let Some(destination) = self.way_back(source, port) {
            self.transmits.push_back(Transmit {
                destination,
                payload,
                origin: None,
            });
        }
    }

    pub(super) fn way_back(&mut self, source: &Source, port: u16) -> Option<Destination> {
        let remote = SocketAddr::new(source.remote.ip(), port);
        match source.transport {
            Transport::Udp => Some(Destination::Datagram {
                local: source.local,
                remote,
            }),
            Transport::Tcp | Transport::Tls => match source
                .connection
                .filter(|id| self.connections.contains(*id))
            {
                Some(id) => Some(Destination::Connection(id)),
                // Nothing says whom a new TLS connection would have to lead to.
                None if source.transport == Transport::Tls => None,
                None => {
                    let target = Target {
                        transport: source.transport,
                        address: remote,
                        domain: None,
                    };
                    self.connection_to(target).map(Destination::Connection)
                }
            },
        }
    }

    /// Refuses a request without keeping anything of it. RFC 3261 §8.2.7.
    pub(super) fn refuse_statelessly(
        &mut self,
        request: &Request,
        via: &Via,
        source: &Source,
        status: Status,
        headers: impl IntoIterator<Item = (Name, String)>,
    ) {
        if request.method == Method::Ack {
            return;
        }
        let mut response = Response::to_request(request, status);
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        tracing::debug!(method = %request.method, %status, remote = %source.remote, "request refused");
        self.send_statelessly(response, via, source);
    }

    pub(super) fn send_statelessly(&mut self, mut response: Response, via: &Via, source: &Source) {
        let tag = self.servers.stateless_tag(&response);
        let to = response.headers.read_address(&Name::To).cloned();
        add_to_tag(&mut response, to.as_ref(), &tag);
        let method = response.cseq().map(|cseq| cseq.method);
        // Of a request that is malformed; nothing is told then that depends on its method.
        let method = method.unwrap_or(Method::Ack);
        self.capabilities.tell_in_response(&method, &mut response);
        self.send_back(source, return_port(via, source), response.to_bytes());
    }
}
