//! The way of a request that comes in: source, repetition, checks, dialog, and to whom it is told.
//! RFC 3261 §8.2, §9.2, §12.2.2.

use std::net::SocketAddr;
use std::time::Instant;

use super::authentication::{Admission, AuthenticatedUser, RealmId, Verdict};
use super::checks;
use super::command::{InviteId, Reply};
use super::event::Source;
use super::identity::is_of;
use super::keep_alive::Promise;
use super::sending::ALIAS;
use super::server::{self, Hop, note_source};
use super::{Endpoint, Event, Matter, Phase};
use crate::{Fault, Method, Name, ParseError, Request, Response, Status, Uri, Via};

impl Endpoint {
    pub(super) fn handle_request(&mut self, mut request: Request, source: Source, now: Instant) {
        let Some(mut via) = request.headers.read_top_via().cloned() else {
            return;
        };
        let promise = match source.transport.is_reliable() {
            true => self.promise_to_keep(&request, &mut via),
            false => Promise::NotAsked,
        };
        note_source(&mut request, &via, &source, promise);
        let admission = self
            .guard
            .admission(&request, &source, &self.config.trusted);
        if admission == Admission::Refused {
            return self.refuse_statelessly(&request, &via, &source, Status::FORBIDDEN, None);
        }
        if !self.may_come_from(&request, &source) {
            tracing::info!(remote = %source.remote, "the peer's certificate is for another domain than the request's sender");
            return self.refuse_statelessly(&request, &via, &source, Status::FORBIDDEN, None);
        }
        if let (Some(id), true) = (source.connection, via.params.contains(ALIAS)) {
            let port = via.port.unwrap_or(source.transport.default_port());
            let address = SocketAddr::new(source.remote.ip(), port);
            self.connections.alias(id, address);
        }
        match request.method {
            Method::Ack => self.handle_ack(request, &via, now),
            Method::Cancel => self.handle_cancel(&request, &via, &source, now),
            _ => {
                let hop = self.servers.hop(&request, via);
                match self.servers.find_repeated(&hop) {
                    Some(id) => self.handle_repeated(id, source, now),
                    None => self.handle_new(request, &hop, source, admission.realm(), now),
                }
            }
        }
    }

    /// A peer that has proven its domains speaks for their users only, the outbound proxy for everybody (SEC-02).
    fn may_come_from(&self, request: &Request, source: &Source) -> bool {
        let Some(domains) = source.connection.and_then(|id| self.connections.proven(id)) else {
            return true;
        };
        let is_proven = |uri: &Uri| is_of(domains, uri);
        if self.config.outbound_proxy.as_ref().is_some_and(is_proven) {
            return true;
        }
        // A telephone number is in nobody's domain.
        let is_asserted_rightly = |uri: &Uri| uri.host().is_none() || is_proven(uri);
        request.from().is_ok_and(|from| is_proven(&from.uri))
            && request.asserted_identities().is_ok_and(|asserted| {
                asserted
                    .iter()
                    .all(|identity| is_asserted_rightly(&identity.uri))
            })
    }

    /// What can be answered of a malformed request is, with what its fault calls for.
    pub(super) fn handle_malformed(&mut self, error: &ParseError, source: Source, now: Instant) {
        let remote = source.remote;
        match error.fault() {
            Fault::HeadTooLarge
            | Fault::TooManyFields
            | Fault::BodyTooLarge
            | Fault::DatagramTooLarge => {
                if self.complaints.is_due(Matter::TooLarge, remote.ip(), now) {
                    tracing::info!(%error, %remote, "a message beyond the limits came; more of them from there are for DEBUG");
                }
            }
            _ => {
                if self.complaints.is_due(Matter::Malformed, remote.ip(), now) {
                    tracing::info!(%error, %remote, "something that is no SIP message came; more of it from there is for DEBUG");
                }
            }
        }
        let Some(response) = error.response() else {
            tracing::debug!(%error, remote = %source.remote, "a malformed message is dropped");
            return;
        };
        let Ok(via) = response.top_via() else { return };
        tracing::debug!(%error, remote = %source.remote, status = %response.status, "a malformed request is refused");
        self.send_statelessly(response, &via, &source);
    }

    fn handle_new(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        demand: Option<RealmId>,
        now: Instant,
    ) {
        if let Err(refusal) = checks::check(&request, &self.capabilities, self.config.sips) {
            let status = refusal.status();
            let (host, _) = self.advertised_to(source.transport, source.remote.ip());
            let header = refusal.header(&host);
            return self.refuse_statelessly(&request, via, &source, status, header);
        }
        let to = request.headers.read_address(&Name::To);
        let is_inside = to.is_some_and(|to| to.tag().is_some());
        if is_inside {
            return self.handle_inside(request, via, source, demand, now);
        }
        if self.servers.find_merged(via).is_some() {
            return self.refuse_statelessly(&request, via, &source, Status::LOOP_DETECTED, None);
        }
        match request.method {
            Method::Bye | Method::Prack | Method::Update => {
                let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                self.refuse_statelessly(&request, via, &source, status, None);
            }
            _ if self.is_full() => self.refuse_for_want_of_room(&request, via, &source, now),
            _ => self.handle_outside(request, via, source, demand, now),
        }
    }

    /// A request that begins something.
    fn handle_outside(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        demand: Option<RealmId>,
        now: Instant,
    ) {
        let proven = match demand {
            None => None,
            Some(realm) => match self.prove(realm, &request, via, &source, now) {
                Some(user) => Some((realm, user)),
                None => return,
            },
        };
        match request.method {
            Method::Invite => self.handle_invite(request, via, source, proven, now),
            Method::Subscribe => {
                let user = proven.map(|(_, user)| user);
                self.handle_subscribe(request, via, source, user, None, now);
            }
            _ => {
                let user = proven.map(|(_, user)| user);
                self.tell(request, via, source, user, None, now);
            }
        }
    }

    /// Who sent the request; none: it was not proven, and the peer is told so.
    pub(super) fn prove(
        &mut self,
        realm: RealmId,
        request: &Request,
        via: &Hop,
        source: &Source,
        now: Instant,
    ) -> Option<AuthenticatedUser> {
        match self
            .guard
            .judge(realm, request, source, &mut self.random, now)
        {
            Verdict::Proven(user) => Some(user),
            Verdict::Challenged(headers) => {
                self.refuse_statelessly(request, via, source, Status::UNAUTHORIZED, headers);
                None
            }
            Verdict::Wrong(headers) => {
                if self
                    .complaints
                    .is_due(Matter::Password, source.remote.ip(), now)
                {
                    // Not the name: people write their password in its place.
                    tracing::info!(remote = %source.remote, "a wrong password, or no such user; more of it from there is for DEBUG");
                }
                self.refuse_statelessly(request, via, source, Status::UNAUTHORIZED, headers);
                None
            }
            Verdict::Misdirected => {
                self.refuse_statelessly(request, via, source, Status::BAD_REQUEST, None);
                None
            }
        }
    }

    /// 503 with Retry-After (SIP-14).
    pub(super) fn refuse_for_want_of_room(
        &mut self,
        request: &Request,
        via: &Via,
        source: &Source,
        now: Instant,
    ) {
        self.complain_of_overload(source, now);
        let headers = [server::retry_after()];
        self.refuse_statelessly(request, via, source, Status::SERVICE_UNAVAILABLE, headers);
    }

    pub(super) fn complain_of_overload(&mut self, source: &Source, now: Instant) {
        if self.phase == Phase::Open
            && self
                .complaints
                .is_due(Matter::Overload, source.remote.ip(), now)
        {
            tracing::warn!(remote = %source.remote, "no room for a request; more of them from there are for DEBUG");
        }
    }

    fn is_full(&self) -> bool {
        self.phase == Phase::Closing
            || self.servers.unanswered() >= self.config.limits.server_transactions
    }

    /// Tells the user of a request that is no INVITE.
    pub(super) fn tell(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        user: Option<AuthenticatedUser>,
        invite: Option<InviteId>,
        now: Instant,
    ) {
        let originator = self.originator(&request, &source, user);
        let tag = self.new_tag();
        let transaction = self.begin(&request, via, source, invite, &tag, now);
        self.events.push_back(Event::Requested {
            transaction,
            invite,
            request,
            source,
            originator,
        });
    }

    /// An ACK belongs to a rejection by its branch, or to a 2xx by its dialog.
    fn handle_ack(&mut self, request: Request, via: &Via, now: Instant) {
        if let Some(id) = self.servers.find(&request, via, &Method::Invite) {
            self.handle_rejection_acknowledged(id, now);
        }
        self.handle_success_acknowledged(request, now);
    }

    /// CANCEL ends the INVITE with its branch if that is not answered; other methods it leaves alone (SIP-09).
    fn handle_cancel(&mut self, request: &Request, via: &Via, source: &Source, now: Instant) {
        let cancelled = self.servers.find(request, via, &Method::Invite);
        let Some(server) = cancelled.and_then(|id| self.servers.get(id)) else {
            let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            return self.refuse_statelessly(request, via, source, status, None);
        };
        let (is_pending, invite) = (server.is_pending(), server.invite);
        let mut accepted = Response::to_request(request, Status::OK);
        // Both responses come from the same user agent, so they bear the same tag. RFC 3261 §9.2.
        if let Some(to) = server.to() {
            accepted.headers.set(Name::To, to);
        }
        self.send_statelessly(accepted, via, source);
        if let (Some(id), true) = (cancelled, is_pending) {
            self.reply(id, Reply::new(Status::REQUEST_TERMINATED), now);
            if let Some(invite) = invite {
                self.handle_session_cancelled(invite, id);
            }
        }
    }
}
