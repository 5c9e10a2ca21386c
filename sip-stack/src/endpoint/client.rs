//! Requests of ours: what is known of each while it is tried at one target after the other, and the
//! client transaction at the present one. RFC 3261 §8.1, §17.1.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::Failure;
use super::command::{InviteId, LocalContact, RequestId};
use super::config::Timers;
use super::credentials::Proof;
use super::flows::{Destination, Transmit};
use super::redirection::Redirection;
use super::registrations::RegistrationId;
use super::subscription_command::SubscriptionId;
use super::timer_queue::Scheduled;
use crate::resolve::{Plan, Target};
use crate::transaction::client_invite::{self, ClientInvite};
use crate::transaction::client_non_invite::{self, ClientNonInvite};
use crate::{Method, Name, Request, Response, Status, Text, grammar};

/// With this our branches begin. RFC 3261 §8.1.1.7.
const COOKIE: &str = "z9hG4bK";

/// Names a client transaction: our branch, and the method where a branch has two. RFC 3261 §17.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    pub(super) branch: u64,
    pub(super) is_cancel: bool,
}

impl ClientKey {
    pub(super) fn of(response: &Response) -> Option<Self> {
        let via = response.headers.read_top_via()?;
        let digits = via.branch()?.strip_prefix(COOKIE)?;
        let branch = u64::from_str_radix(digits, 16).ok()?;
        Some(Self {
            branch,
            is_cancel: response.headers.read_cseq()?.method == Method::Cancel,
        })
    }

    pub(super) fn write_branch(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(COOKIE)?;
        grammar::write_hex(out, self.branch)
    }
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The INVITE that begins a session.
    Invite(InviteId),
    /// An ACK for a 2xx with this CSeq; no transaction.
    Ack(InviteId, u32),
    /// Our BYE.
    Bye(InviteId),
    /// Any other request of ours inside a session.
    InSession(InviteId, RequestId),
    /// A request outside of sessions.
    Request(RequestId),
    /// A SUBSCRIBE or REFER of a subscription of ours.
    Subscription(SubscriptionId),
    /// A NOTIFY of a subscription of the peer.
    Notify(SubscriptionId),
    /// A REGISTER.
    Registration(RegistrationId),
    /// Nobody asks what becomes of it: CANCEL, BYE and ACK of sessions that are gone.
    Nobody,
}

/// A request on its way through its targets.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Without Via and Contact, which depend on the flow.
    pub(super) request: Request,
    pub(super) owner: Owner,
    pub(super) contact: Option<LocalContact>,
    pub(super) plan: Plan,
    /// Tried when the plan has no more: targets that could not be reached lately.
    pub(super) shaky: Vec<Target>,
    /// The datagram target, while its connection is tried because of the size.
    pub(super) fallback: Option<Target>,
    /// What it says of its sender to who is trusted. RFC 3325.
    pub(super) identity: Vec<(Name, Text)>,
    /// Where else it may be sent, if it was redirected.
    pub(super) redirection: Option<Box<Redirection>>,
    /// The peer that has said where it goes, if that was not us.
    pub(super) named_by: Option<IpAddr>,
    /// What it bears for each realm that is known to ask.
    pub(super) proofs: Vec<Proof>,
    /// What is told when nothing is left.
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Untried,
    Blocked,
    Failure(Failure),
    Response(Response),
}

/// A client transaction and the request it carries.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) machine: Machine,
    pub(super) attempt: Box<Attempt>,
    pub(super) target: Target,
    pub(super) destination: Destination,
    /// Whether the connection was there before this request.
    pub(super) is_reused: bool,
    /// The request as sent; dropped with the final response.
    pub(super) wire: Bytes,
    /// The ACK for a rejection.
    pub(super) ack: Bytes,
    /// To tags of the 2xx that were answered with BYE.
    pub(super) ended_forks: Vec<Text>,
    /// How long a re-INVITE may have provisional responses only; for an initial INVITE its session sees to that.
    pub(super) ringing_end: Option<Instant>,
    pub(super) scheduled: Scheduled,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

/// What one event makes a client transaction do.
pub(super) enum Reaction {
    SendRequest,
    SendAck,
    Pass,
    Fail(Failure),
}

impl Attempt {
    pub(super) fn new(
        request: Request,
        owner: Owner,
        contact: Option<LocalContact>,
        plan: Plan,
    ) -> Box<Self> {
        Box::new(Self {
            request,
            owner,
            contact,
            plan,
            shaky: Vec::new(),
            fallback: None,
            identity: Vec::new(),
            redirection: None,
            named_by: None,
            proofs: Vec::new(),
            outcome: Outcome::Untried,
        })
    }
}

impl Client {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(ClientInvite::Proceeding) => self.ringing_end,
            Machine::Invite(machine) => machine.deadline(),
            Machine::NonInvite(machine) => machine.deadline(),
        }
    }

    /// Whether this has provisional responses for too long.
    pub(super) fn has_rung_too_long(&self, now: Instant) -> bool {
        self.is_proceeding() && self.ringing_end.is_some_and(|end| end <= now)
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(
            self.machine,
            Machine::Invite(ClientInvite::Terminated)
                | Machine::NonInvite(ClientNonInvite::Terminated)
        )
    }

    /// Whether all that can still come is the same response again, which is answered with nothing.
    pub(super) fn only_absorbs(&self) -> bool {
        matches!(
            self.machine,
            Machine::NonInvite(ClientNonInvite::Completed { .. })
        )
    }

    /// Whether a final response is still awaited.
    pub(super) fn is_pending(&self) -> bool {
        match self.machine {
            Machine::Invite(machine) => matches!(
                machine,
                ClientInvite::Calling { .. } | ClientInvite::Proceeding
            ),
            Machine::NonInvite(machine) => {
                matches!(
                    machine,
                    ClientNonInvite::Trying { .. } | ClientNonInvite::Proceeding { .. }
                )
            }
        }
    }

    /// Whether a provisional response has come, so that CANCEL may be sent.
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.machine, Machine::Invite(ClientInvite::Proceeding))
    }

    pub(super) fn on_response(
        &mut self,
        status: Status,
        timers: &Timers,
        now: Instant,
    ) -> Vec<Reaction> {
        let reliable = self.destination.is_reliable();
        match &mut self.machine {
            Machine::Invite(machine) => {
                let event = match status {
                    status if status.is_provisional() => client_invite::Event::Provisional,
                    status if status.is_success() => client_invite::Event::Success,
                    _ => client_invite::Event::Failure,
                };
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let event = match status.is_provisional() {
                    true => client_non_invite::Event::Provisional,
                    false => client_non_invite::Event::Final,
                };
                let mut out = Vec::new();
                *machine = machine.on(event, reliable, timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    pub(super) fn on_transport_failed(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        let reliable = self.destination.is_reliable();
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on(
                    client_invite::Event::TransportFailed,
                    reliable,
                    timers,
                    now,
                    &mut out,
                );
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on(
                    client_non_invite::Event::TransportFailed,
                    reliable,
                    timers,
                    now,
                    &mut out,
                );
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    pub(super) fn on_time(&mut self, timers: &Timers, now: Instant) -> Vec<Reaction> {
        match &mut self.machine {
            Machine::Invite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
            Machine::NonInvite(machine) => {
                let mut out = Vec::new();
                *machine = machine.on_time(timers, now, &mut out);
                out.into_iter().map(Reaction::from).collect()
            }
        }
    }

    pub(super) fn transmit(&self, key: ClientKey, payload: Bytes) -> Transmit {
        Transmit {
            destination: self.destination,
            payload,
            origin: Some(key),
        }
    }
}

impl From<client_invite::Action> for Reaction {
    fn from(action: client_invite::Action) -> Self {
        match action {
            client_invite::Action::SendRequest => Reaction::SendRequest,
            client_invite::Action::SendAck => Reaction::SendAck,
            client_invite::Action::Pass => Reaction::Pass,
            client_invite::Action::ReportTimeout => Reaction::Fail(Failure::Timeout),
            client_invite::Action::ReportTransportFailure => Reaction::Fail(Failure::Unreachable),
        }
    }
}

impl From<client_non_invite::Action> for Reaction {
    fn from(action: client_non_invite::Action) -> Self {
        match action {
            client_non_invite::Action::SendRequest => Reaction::SendRequest,
            client_non_invite::Action::Pass => Reaction::Pass,
            client_non_invite::Action::ReportTimeout => Reaction::Fail(Failure::Timeout),
            client_non_invite::Action::ReportTransportFailure => {
                Reaction::Fail(Failure::Unreachable)
            }
        }
    }
}
