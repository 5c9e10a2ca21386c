//! How a request of ours leaves: which target is tried when, over which flow, under which address.
//! RFC 3261 §8.1.2, §9.1, §18.1; RFC 3263 §4.

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;

use super::blocklist::Standing;
use super::client::{Attempt, Client, ClientKey, Machine, Outcome, Owner};
use super::command::LocalContact;
use super::config::EndpointConfig;
use super::flows::{Destination, Transmit, advertised, listener_for};
use super::timer_queue::Scheduled;
use super::{Endpoint, Failure, QuestionId, compose};
use crate::dialog::NextHop;
use crate::resolve::{Plan, Step, Target};
use crate::text::Written;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_non_invite::ClientNonInvite;
use crate::{Method, Name, Request, Scheme, Text, Transport, Via};

/// In a Via: requests may come back on the connection. RFC 5923 §7.
pub(super) const ALIAS: &str = "alias";

/// Bytes of most Vias that we write.
const TYPICAL_VIA: usize = 96;

/// A request above this many bytes does not leave as a datagram. RFC 3261 §18.1.1.
const MOST_IN_A_DATAGRAM: usize = 1300;

impl Endpoint {
    /// Starts a request of ours towards `next_hop`.
    pub(super) fn start(
        &mut self,
        request: Request,
        owner: Owner,
        contact: Option<LocalContact>,
        next_hop: impl Into<NextHop>,
        now: Instant,
    ) {
        let NextHop { uri, named_by } = next_hop.into();
        let plan = Plan::new(&uri, &self.config.transports);
        let mut attempt = Attempt::new(request, owner, contact, plan);
        attempt.named_by = named_by;
        self.begin_attempt(attempt, now);
    }

    /// Starts a request again that has changed since it was sent.
    pub(super) fn restart(&mut self, attempt: Box<Attempt>, now: Instant) {
        let Attempt {
            mut request,
            owner,
            contact,
            identity,
            proofs,
            redirection,
            named_by,
            ..
        } = *attempt;
        if !proofs.is_empty() {
            request.headers.remove(&Name::Authorization);
            request.headers.remove(&Name::ProxyAuthorization);
        }
        request.headers.remove(&Name::PAssertedIdentity);
        request.headers.remove(&Name::PPreferredIdentity);
        request.headers.extend(identity);
        let plan = Plan::new(&self.next_hop(&request), &self.config.transports);
        let mut attempt = Attempt::new(request, owner, contact, plan);
        attempt.redirection = redirection;
        attempt.named_by = named_by;
        self.begin_attempt(attempt, now);
    }

    fn begin_attempt(&mut self, mut attempt: Box<Attempt>, now: Instant) {
        let request = &mut attempt.request;
        // The services of `im` and `pres` are found by the plan; the next hop need not know these schemes (CORE-17).
        if matches!(request.uri.scheme(), Scheme::Im | Scheme::Pres) {
            request.uri = request.uri.clone().into_sip();
        }
        if request.method != Method::Ack {
            // That has those of its INVITE.
            attempt.proofs = self.keyring.prove(request);
        }
        attempt.identity = self.take_identity(&mut attempt.request);
        let is_new = matches!(
            attempt.owner,
            Owner::Invite(_) | Owner::Request(_) | Owner::InSession(..)
        );
        if is_new && self.pending_clients >= self.config.limits.client_transactions {
            return self.fail(attempt, Failure::TooManyRequests, now);
        }
        self.pending_clients = self.pending_clients.saturating_add(1);
        self.advance(attempt, now);
    }

    /// Goes on with the next step of a request's plan.
    pub(super) fn advance(&mut self, mut attempt: Box<Attempt>, now: Instant) {
        if self.is_withdrawn(attempt.owner) {
            self.pending_clients = self.pending_clients.saturating_sub(1);
            return self.fail(attempt, Failure::Cancelled, now);
        }
        loop {
            let target = match attempt.plan.poll_step() {
                Step::Ask(question) => {
                    self.last_question = self.last_question.wrapping_add(1);
                    let id = QuestionId(self.last_question);
                    if let Owner::Invite(invite) = attempt.owner {
                        self.note_resolving(invite, id);
                    }
                    self.resolving.insert(id, attempt);
                    self.questions.push_back((id, question));
                    return;
                }
                Step::Try(target) if !self.may_be_tried(&attempt, &target) => {
                    attempt.outcome = Outcome::Failure(Failure::Unreachable);
                    continue;
                }
                Step::Try(target) => match self
                    .blocklist
                    .standing((target.transport, target.address), now)
                {
                    Standing::Good => target,
                    Standing::Shaky => {
                        attempt.shaky.push(target);
                        continue;
                    }
                    // What belongs to a session has nowhere else to go.
                    Standing::Blocked
                        if !matches!(
                            attempt.owner,
                            Owner::Invite(_) | Owner::Request(_) | Owner::Registration(_)
                        ) =>
                    {
                        target
                    }
                    Standing::Blocked => {
                        if matches!(attempt.outcome, Outcome::Untried) {
                            attempt.outcome = Outcome::Blocked;
                        }
                        continue;
                    }
                },
                Step::Exhausted(_) if !attempt.shaky.is_empty() => attempt.shaky.remove(0),
                Step::Exhausted(why) => return self.exhausted(attempt, why, now),
            };
            attempt = match self.send(attempt, target, now) {
                Ok(()) => return,
                Err(attempt) => attempt,
            };
        }
    }

    /// Nobody leads us where he could not go himself (SEC-11).
    fn may_be_tried(&self, attempt: &Attempt, target: &Target) -> bool {
        let Some(from) = attempt.named_by else {
            return true;
        };
        let address = target.address.ip();
        let leads = self.config.reach.leads(from, address);
        if !leads {
            tracing::info!(method = %attempt.request.method, %address, named_by = %from, "a request is not sent: the address is none that this peer may name");
        }
        leads
    }

    /// Sends a request to one target; gives it back when there is no way there.
    pub(super) fn send(
        &mut self,
        mut attempt: Box<Attempt>,
        target: Target,
        now: Instant,
    ) -> Result<(), Box<Attempt>> {
        let key = ClientKey {
            branch: self.random.random(),
            is_cancel: false,
        };
        let mut target = target;
        self.address(&mut attempt, key, &target);
        let mut wire = attempt.request.to_bytes();
        let by_stream = (Transport::Tcp, target.address);
        if target.transport == Transport::Udp
            && wire.len() > MOST_IN_A_DATAGRAM
            && attempt.fallback.is_none()
            // Where connections were refused lately, the datagram goes at once.
            && self.blocklist.standing(by_stream, now) == Standing::Good
        {
            let stream = Target {
                transport: Transport::Tcp,
                ..target.clone()
            };
            attempt.fallback = Some(std::mem::replace(&mut target, stream));
            self.address(&mut attempt, key, &target);
            wire = attempt.request.to_bytes();
        }
        let Some((destination, is_reused)) = self.destination_for(&target) else {
            attempt.outcome = Outcome::Failure(Failure::Unreachable);
            return match attempt.fallback.take() {
                Some(target) => self.send_as_datagram(attempt, target, now),
                None => Err(attempt),
            };
        };
        self.launch(attempt, key, target, destination, is_reused, wire, now);
        Ok(())
    }

    /// The connection was refused, so the datagram may be as large as it is. RFC 3261 §18.1.1.
    pub(super) fn send_as_datagram(
        &mut self,
        mut attempt: Box<Attempt>,
        target: Target,
        now: Instant,
    ) -> Result<(), Box<Attempt>> {
        let key = ClientKey {
            branch: self.random.random(),
            is_cancel: false,
        };
        self.address(&mut attempt, key, &target);
        let wire = attempt.request.to_bytes();
        let Some((destination, _)) = self.destination_for(&target) else {
            return Err(attempt);
        };
        self.launch(attempt, key, target, destination, false, wire, now);
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is what the transaction consists of"
    )]
    pub(super) fn launch(
        &mut self,
        attempt: Box<Attempt>,
        key: ClientKey,
        target: Target,
        destination: Destination,
        is_reused: bool,
        wire: Bytes,
        now: Instant,
    ) {
        if attempt.request.method == Method::Ack {
            self.pending_clients = self.pending_clients.saturating_sub(1);
            let transmit = Transmit {
                destination,
                payload: wire,
                origin: None,
            };
            if let Owner::Ack(invite, cseq) = attempt.owner {
                self.note_ack(invite, cseq, transmit.clone());
            }
            self.transmits.push_back(transmit);
            return;
        }
        let reliable = destination.is_reliable();
        let machine = match attempt.request.method {
            Method::Invite => {
                Machine::Invite(ClientInvite::new(reliable, &self.config.timers, now))
            }
            _ => Machine::NonInvite(ClientNonInvite::new(reliable, &self.config.timers, now)),
        };
        if let Owner::Invite(invite) = attempt.owner {
            self.note_sent(invite, key);
        }
        self.connections.wait(destination, key);
        self.keep_alive(destination, now);
        let is_reinvite =
            matches!(machine, Machine::Invite(_)) && matches!(attempt.owner, Owner::InSession(..));
        let client = Box::new(Client {
            machine,
            ringing_end: is_reinvite.then(|| now + self.config.limits.ringing),
            attempt,
            target,
            destination,
            is_reused,
            wire: wire.clone(),
            ack: Bytes::new(),
            ended_forks: Vec::new(),
            scheduled: Scheduled::default(),
        });
        self.transmits.push_back(client.transmit(key, wire));
        self.keep_client(key, client);
    }

    /// Sends the CANCEL of an INVITE: on its branch, to the same place. RFC 3261 §9.1.
    pub(super) fn send_cancel(&mut self, invite: ClientKey, now: Instant) {
        let key = ClientKey {
            is_cancel: true,
            ..invite
        };
        let Some(client) = self.clients.get(&invite) else {
            return;
        };
        let Some(request) = compose::follow_up(&client.attempt.request, Method::Cancel, None)
        else {
            return;
        };
        let (target, destination) = (client.target.clone(), client.destination);
        let wire = request.to_bytes();
        let attempt = Attempt::new(request, Owner::Nobody, None, Plan::exhausted());
        self.pending_clients = self.pending_clients.saturating_add(1);
        self.launch(attempt, key, target, destination, true, wire, now);
    }

    /// Writes Via and Contact for this target.
    pub(super) fn address(&self, attempt: &mut Attempt, key: ClientKey, target: &Target) {
        let sent_by = self.advertised_to(target.transport, target.address.ip());
        let mut via = String::with_capacity(TYPICAL_VIA);
        let hop = Via::new(target.transport, sent_by.0.clone(), sent_by.1);
        // Writing to a String cannot fail.
        let _ = hop.write(&mut via);
        via.push_str(";branch=");
        let _ = key.write_branch(&mut via);
        via.push_str(";rport");
        match target.transport {
            Transport::Udp => {}
            Transport::Tcp => self.ask_to_keep(&attempt.request, &mut via),
            Transport::Tls => {
                self.offer_alias(&mut via, target);
                self.ask_to_keep(&attempt.request, &mut via);
            }
        }
        attempt.request.headers.set_top_via_text(Text::from(via));
        self.write_identity(&mut attempt.request, &attempt.identity, target);
        if let Some(contact) = &attempt.contact {
            let scheme = secure_scheme(&attempt.request);
            let transport = self.contact_transport(&scheme, target);
            let contact = compose::contact(contact, scheme, sent_by, transport);
            attempt
                .request
                .headers
                .set(Name::Contact, Text::written(&contact));
        }
    }

    /// The peer may send its requests on this connection, instead of making one to our listener. RFC 5923 §8.1.
    fn offer_alias(&self, via: &mut String, target: &Target) {
        let listener = listener_for(&self.config, Transport::Tls, target.address.ip());
        if listener.is_some_and(|listener| listener.transport == Transport::Tls) {
            via.push(';');
            via.push_str(ALIAS);
        }
    }

    /// The transport of the listener that our Contact names. Where we send over TLS and do not listen for it, only a
    /// `sips:` Contact may not name another one.
    fn contact_transport(&self, scheme: &Scheme, target: &Target) -> Transport {
        let listener = listener_for(&self.config, target.transport, target.address.ip());
        match (target.transport, listener) {
            (Transport::Tls, Some(listener)) if *scheme != Scheme::Sips => listener.transport,
            (transport, _) => transport,
        }
    }

    pub(super) fn advertised_to(
        &self,
        transport: Transport,
        remote: IpAddr,
    ) -> (crate::Host, Option<u16>) {
        let config: &EndpointConfig = &self.config;
        advertised(config, listener_for(config, transport, remote), remote)
    }

    /// The socket or connection to a target, and whether the connection was there before.
    pub(super) fn destination_for(&mut self, target: &Target) -> Option<(Destination, bool)> {
        match target.transport {
            Transport::Udp => {
                let listener = self.config.listeners.iter().find(|l| {
                    l.transport == Transport::Udp && l.bound.is_ipv4() == target.address.is_ipv4()
                })?;
                Some((
                    Destination::Datagram {
                        local: listener.bound,
                        remote: target.address,
                    },
                    false,
                ))
            }
            Transport::Tcp | Transport::Tls => {
                let is_reused = self.connections.find(target).is_some();
                self.connection_to(target.clone())
                    .map(|id| (Destination::Connection(id), is_reused))
            }
        }
    }
}

/// The scheme of our Contact: `sips` where the request or its first hop is to be secure all the way.
/// RFC 3261 §8.1.1.8.
fn secure_scheme(request: &Request) -> Scheme {
    let route = request.routes().ok().and_then(|r| r.into_iter().next());
    let is_secure = *request.uri.scheme() == Scheme::Sips
        || route.is_some_and(|route| *route.uri.scheme() == Scheme::Sips);
    if is_secure { Scheme::Sips } else { Scheme::Sip }
}
