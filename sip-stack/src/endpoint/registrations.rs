//! Registrations of ours with their registrars. RFC 3261 §10.2; SIP-20.

use std::collections::HashMap;
use std::time::Instant;

use super::command::LocalContact;
use super::timer_queue::Scheduled;
use super::{Endpoint, Event, Failure, Owner, Phase, TimerKey, compose};
use crate::registration::{Action, Registrant, Wish};
use crate::{Method, Name, NameAddr, OutgoingRequest, Request, Response, Uri};

/// Most registrations at a time.
const MOST: usize = 1024;

/// One registration of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId(u64);

impl RegistrationId {
    /// The id of a registration. The caller counts `number` up and never uses one twice.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A registration to be kept.
#[derive(Clone, Debug)]
pub struct Register {
    /// The registrar: a domain that is looked up, or a host. A user in it is left out. RFC 3261 §10.2.
    pub registrar: Uri,
    /// What is registered: the address of a user or trunk, or a URI without user for a whole domain.
    pub address: NameAddr,
    /// Where requests to it are to be sent to.
    pub contact: LocalContact,
    /// Seconds; the registrar may grant less, or ask for more.
    pub expires: u32,
    /// Further fields of each REGISTER.
    pub headers: Vec<(Name, String)>,
}

impl Register {
    /// A registration for an hour at a time.
    pub fn new(registrar: Uri, address: NameAddr, contact: LocalContact) -> Self {
        Self {
            registrar,
            address,
            contact,
            expires: 3600,
            headers: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    register: Register,
    registrant: Registrant,
    /// The same in every REGISTER. RFC 3261 §10.2.4.
    call_id: String,
    from_tag: String,
    cseq: u32,
    scheduled: Scheduled,
}

/// Every registration there is.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    by_id: HashMap<RegistrationId, Entry>,
}

impl Endpoint {
    /// Registers, and stays registered: `Registered` tells of each success, `RegistrationFailed` of each failure, after
    /// which it is tried again. Challenges are answered with our credentials.
    pub fn register(&mut self, id: RegistrationId, register: Register, now: Instant) {
        if self.phase == Phase::Closing
            || self.registrations.by_id.len() >= MOST
            || self.registrations.by_id.contains_key(&id)
        {
            return self
                .events
                .push_back(Event::Unregistered { registration: id });
        }
        let mut out = Vec::new();
        let entry = Entry {
            registrant: Registrant::new(register.expires, &mut out),
            register,
            call_id: self.new_call_id(),
            from_tag: self.new_tag(),
            cseq: 0,
            scheduled: Scheduled::default(),
        };
        self.registrations.by_id.insert(id, entry);
        self.carry_out_registration(id, out, now);
    }

    /// Takes a registration back; `Unregistered` follows.
    pub fn unregister(&mut self, id: RegistrationId, now: Instant) {
        self.on_registration(id, now, |registrant, out| registrant.leave(now, out));
    }

    /// Takes every registration back, as before `close`.
    pub fn unregister_all(&mut self, now: Instant) {
        let mut ids: Vec<_> = self.registrations.by_id.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.unregister(id, now);
        }
    }

    /// A 2xx to the REGISTER that `request` is.
    pub(super) fn handle_registered(
        &mut self,
        id: RegistrationId,
        request: &Request,
        response: &Response,
        now: Instant,
    ) {
        let granted = granted(request, response);
        let Some(entry) = self.registrations.by_id.get_mut(&id) else {
            return;
        };
        let mut out = Vec::new();
        let (registrant, random) = (&mut entry.registrant, &mut self.random);
        registrant.handle_accepted(granted, random, now, &mut out);
        self.carry_out_registration(id, out, now);
    }

    pub(super) fn handle_registration_refused(
        &mut self,
        id: RegistrationId,
        response: &Response,
        now: Instant,
    ) {
        let wish = Wish {
            min_expires: response.min_expires().ok(),
            retry_after: response.retry_after().ok(),
        };
        let Some(entry) = self.registrations.by_id.get_mut(&id) else {
            return;
        };
        let mut out = Vec::new();
        let (registrant, random) = (&mut entry.registrant, &mut self.random);
        registrant.handle_refused(response.status, wish, random, now, &mut out);
        self.carry_out_registration(id, out, now);
    }

    pub(super) fn handle_registration_failed(
        &mut self,
        id: RegistrationId,
        failure: Failure,
        now: Instant,
    ) {
        let Some(entry) = self.registrations.by_id.get_mut(&id) else {
            return;
        };
        let mut out = Vec::new();
        let (registrant, random) = (&mut entry.registrant, &mut self.random);
        registrant.handle_failed(failure, random, now, &mut out);
        self.carry_out_registration(id, out, now);
    }

    pub(super) fn handle_registration_time(
        &mut self,
        id: RegistrationId,
        at: Instant,
        now: Instant,
    ) {
        let entry = self.registrations.by_id.get_mut(&id);
        if entry.is_some_and(|entry| entry.scheduled.take(at)) {
            self.on_registration(id, now, |registrant, out| {
                registrant.handle_timeout(now, out);
            });
        }
    }

    pub(super) fn next_cseq_of_registration(&mut self, id: RegistrationId) -> Option<u32> {
        let entry = self.registrations.by_id.get_mut(&id)?;
        entry.cseq = entry.cseq.checked_add(1)?;
        Some(entry.cseq)
    }

    fn on_registration(
        &mut self,
        id: RegistrationId,
        now: Instant,
        event: impl FnOnce(&mut Registrant, &mut Vec<Action>),
    ) {
        if let Some(entry) = self.registrations.by_id.get_mut(&id) {
            let mut out = Vec::new();
            event(&mut entry.registrant, &mut out);
            self.carry_out_registration(id, out, now);
        }
    }

    fn carry_out_registration(&mut self, id: RegistrationId, actions: Vec<Action>, now: Instant) {
        for action in actions {
            match action {
                Action::Register(seconds) => self.send_register(id, seconds, now),
                Action::TellRegistered(expires) => {
                    tracing::debug!(?id, expires, "registered");
                    self.events.push_back(Event::Registered {
                        registration: id,
                        expires,
                    });
                }
                Action::TellFailed(cause, again_in) => {
                    self.events.push_back(Event::RegistrationFailed {
                        registration: id,
                        cause,
                        again_in,
                    });
                }
                Action::End => {
                    self.registrations.by_id.remove(&id);
                    self.events
                        .push_back(Event::Unregistered { registration: id });
                }
            }
        }
        if let Some(entry) = self.registrations.by_id.get_mut(&id) {
            let at = entry.registrant.poll_timeout();
            self.timers
                .schedule(TimerKey::Registration(id), at, &mut entry.scheduled);
        }
    }

    fn send_register(&mut self, id: RegistrationId, seconds: u32, now: Instant) {
        let Some(cseq) = self.next_cseq_of_registration(id) else {
            return;
        };
        let Some(entry) = self.registrations.by_id.get(&id) else {
            return;
        };
        let register = &entry.register;
        let address = &register.address;
        let target = without_user(&register.registrar);
        let mut outgoing =
            OutgoingRequest::new(Method::Register, target, address.clone(), address.clone());
        outgoing.contact = Some(register.contact.clone());
        outgoing.headers.push((Name::Expires, seconds.to_string()));
        outgoing.headers.extend(register.headers.iter().cloned());
        let identity = compose::Identity {
            call_id: &entry.call_id,
            from_tag: &entry.from_tag,
            cseq,
        };
        let (request, contact) = compose::request(outgoing, &identity, &self.capabilities);
        let next_hop = self.next_hop(&request);
        self.start(request, Owner::Registration(id), contact, next_hop, now);
    }
}

/// How long the contact in the request is known by a 2xx to it: as its Contact says, else as Expires does; `None` if it is
/// not among the contacts. RFC 3261 §10.2.4, §10.3.
fn granted(request: &Request, response: &Response) -> Option<u32> {
    let own = request.contact().ok()?;
    let contacts = response.contacts().ok()?;
    let listed = contacts
        .iter()
        .find(|contact| contact.uri.equivalent(&own.uri))?;
    let said = listed.params.get("expires").flatten();
    said.and_then(crate::grammar::decimal_saturating)
        .or_else(|| response.expires().ok())
        .or_else(|| request.expires().ok())
}

fn without_user(registrar: &Uri) -> Uri {
    let Some(host) = registrar.host() else {
        return registrar.clone();
    };
    let uri = Uri::new(registrar.scheme().clone(), None, host.clone()).with_port(registrar.port());
    let params = registrar.params().iter();
    params.fold(uri, |uri, (name, value)| uri.with_param(name, value))
}
