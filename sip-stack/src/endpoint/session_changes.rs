//! What changes or refreshes a session: session timers, and re-INVITE and UPDATE that met one of the peer.
//! RFC 4028; RFC 3261 §14.1; RFC 3311.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;

use super::client::Attempt;
use super::command::{InviteId, Reply, RequestId};
use super::event::Source;
use super::server::Hop;
use super::session::{Ending, Established, Session};
use super::{EndCause, Endpoint, Event, Failure, Owner, compose};
use crate::session_timer::{Ask, Due, OPTION, SessionTimer};
use crate::{CSeq, Headers, Method, Name, Request, Response, Status};

/// How often a change of ours may meet one of the peer before the user is told.
const MOST_TRIES: u8 = 5;

/// What is known for refreshes and for changes that have to be tried again.
#[derive(Debug, Default)]
pub(super) struct Changes {
    timer: SessionTimer,
    /// What the peer's request under way asks for.
    asked: Ask,
    means: Means,
    caller: Caller,
    /// The session description we gave last, and its media type.
    description: Option<(String, Bytes)>,
    /// Our re-INVITE or UPDATE, until its end is told.
    proposal: Option<Proposal>,
    /// RSeq and CSeq of a provisional response that was still to be acknowledged when the final one was sent.
    pub(super) unacknowledged: Option<(u32, u32)>,
}

/// By which method the session is refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Means {
    #[default]
    Reinvite,
    /// The peer allows it.
    Update,
}

/// Who chose the Call-ID, and therefore waits longer after glare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Caller {
    #[default]
    We,
    ThePeer,
}

#[derive(Debug)]
struct Proposal {
    id: RequestId,
    method: Method,
    headers: Vec<(Name, String)>,
    content_type: String,
    body: Bytes,
    tries: u8,
    /// None: it is under way.
    again_at: Option<Instant>,
}

impl Changes {
    /// Of a session that the peer's INVITE begins.
    pub(super) fn of_invited(request: &Request) -> Box<Self> {
        let mut changes = Self {
            caller: Caller::ThePeer,
            asked: Ask::of(&request.headers),
            ..Self::default()
        };
        changes.note_methods(&request.headers);
        Box::new(changes)
    }

    pub(super) fn note_description(&mut self, content_type: &str, body: &Bytes) {
        if !body.is_empty() {
            self.description = Some((content_type.to_owned(), body.clone()));
        }
    }

    fn note_methods(&mut self, headers: &Headers) {
        if headers.contains(&Name::Allow, Method::Update.as_str()) {
            self.means = Means::Update;
        }
    }

    /// Whether a change of ours waits to be tried again.
    pub(super) fn is_waiting(&self) -> bool {
        self.deadline_of_proposal().is_some()
    }

    fn deadline_of_proposal(&self) -> Option<Instant> {
        self.proposal.as_ref()?.again_at
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.timer.poll_timeout(), self.deadline_of_proposal()];
        deadlines.into_iter().flatten().min()
    }
}

impl Endpoint {
    /// Session timers are used when `timer` is among what we support.
    fn has_session_timers(&self) -> bool {
        self.capabilities.supports(OPTION)
    }

    /// What an INVITE of ours that begins a session asks for is written into it.
    pub(super) fn changes_of_inviting(&self, request: &mut Request) -> Box<Changes> {
        let mut changes = Box::new(Changes::default());
        let content_type = request
            .headers
            .first(&Name::ContentType)
            .unwrap_or_default();
        changes.note_description(content_type, &request.body);
        if self.has_session_timers() {
            add_missing(request, changes.timer.ask());
        }
        changes
    }

    /// Our INVITE got 422: it is sent again if the peer's interval is bearable (CHAT-30). RFC 4028 §7.3.
    pub(super) fn wants_longer(&mut self, owner: Owner, response: &Response) -> bool {
        let Owner::Invite(id) = owner else {
            return false;
        };
        response.status == Status::SESSION_INTERVAL_TOO_SMALL
            && self.has_session_timers()
            && !self.is_withdrawn(owner)
            && self
                .sessions
                .inviting(id)
                .is_some_and(|inviting| inviting.changes.timer.handle_too_brief(&response.headers))
    }

    /// Sends an INVITE again that got 422.
    pub(super) fn invite_longer(&mut self, mut attempt: Box<Attempt>, now: Instant) {
        let Owner::Invite(id) = attempt.owner else {
            return;
        };
        let Some(inviting) = self.sessions.inviting(id) else {
            return;
        };
        for (name, value) in inviting.changes.timer.ask() {
            attempt.request.headers.set(name, value);
        }
        let number = attempt.request.cseq().map_or(0, |cseq| cseq.number);
        let cseq = CSeq::new(number.saturating_add(1), Method::Invite);
        attempt.request.headers.set(Name::CSeq, cseq.to_string());
        self.restart(attempt, now);
    }

    /// A 2xx to a request of ours began or refreshed the session.
    pub(super) fn note_accepted(&mut self, id: InviteId, response: &Response, now: Instant) {
        let has_timers = self.has_session_timers();
        if let Some(established) = self.sessions.established(id) {
            let changes = &mut established.changes;
            changes.note_methods(&response.headers);
            if has_timers {
                changes.timer.handle_accepted(&response.headers, now);
            }
        }
        self.schedule_session(id);
    }

    /// A 2xx of ours begins or refreshes the session: what we agree to is written into it.
    pub(super) fn add_agreement(&mut self, id: InviteId, reply: &mut Reply, now: Instant) {
        let has_timers = self.has_session_timers();
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        let changes = &mut established.changes;
        let content_type = reply.content_type.as_deref().unwrap_or_default();
        changes.note_description(content_type, &reply.body);
        if has_timers {
            let fields = changes.timer.answer(&changes.asked, now);
            reply.headers.extend(fields);
        }
        self.schedule_session(id);
    }

    /// The Min-SE to refuse a request with, 422: it asks for a session interval that is too small.
    pub(super) fn too_brief(&self, request: &Request) -> Option<(Name, String)> {
        let least = Ask::of(&request.headers).too_brief()?;
        self.has_session_timers()
            .then(|| (Name::MinSe, least.to_string()))
    }

    /// An UPDATE without a session description changes nothing anybody has to be asked about: it is answered at once, also
    /// before the session is there. RFC 3311 §5.2, RFC 4028 §7.4.
    pub(super) fn handle_bare_update(
        &mut self,
        id: InviteId,
        request: &Request,
        via: &Hop,
        source: Source,
        now: Instant,
    ) {
        let transaction = self.begin(request, via, source, None, "", now);
        let target = request.contact().map(|contact| contact.uri);
        let mut reply = Reply::new(Status::OK);
        match self.sessions.get_mut(id) {
            Some(Session::Established(established)) => {
                established.changes.asked = Ask::of(&request.headers);
                if let Ok(target) = target {
                    established.dialog.refresh(target);
                }
                reply.contact = Some(established.contact.clone());
                self.add_agreement(id, &mut reply, now);
            }
            Some(Session::Invited(invited)) => {
                if let Ok(target) = target {
                    invited.dialog.refresh(target);
                }
                reply.contact = Some(invited.contact.clone());
            }
            Some(Session::Inviting(_)) | None => {}
        }
        self.reply(transaction, reply, now);
    }

    /// What a re-INVITE or UPDATE of the peer asks for.
    pub(super) fn note_asked(&mut self, id: InviteId, request: &Request) {
        if let Some(established) = self.sessions.established(id) {
            established.changes.asked = Ask::of(&request.headers);
        }
    }

    /// Keeps a re-INVITE or UPDATE of the user until its end.
    pub(super) fn note_proposed(
        &mut self,
        invite: InviteId,
        id: RequestId,
        request: (Method, Vec<(Name, String)>, String, Bytes),
    ) {
        let (method, headers, content_type, body) = request;
        if let Some(established) = self.sessions.established(invite) {
            established.changes.proposal = Some(Proposal {
                id,
                method,
                headers,
                content_type,
                body,
                tries: 0,
                again_at: None,
            });
        }
    }

    /// The fields that a re-INVITE or UPDATE of ours has for the timer.
    pub(super) fn timer_fields(&mut self, id: InviteId) -> Vec<(Name, String)> {
        if !self.has_session_timers() {
            return Vec::new();
        }
        let established = self.sessions.established(id);
        established.map_or_else(Vec::new, |established| established.changes.timer.ask())
    }

    /// A request of ours inside a session got its final response. Returns whether the user is told.
    pub(super) fn settle_change(
        &mut self,
        id: InviteId,
        request: RequestId,
        response: &Response,
        now: Instant,
    ) -> bool {
        let wait = self.pause_after_glare(id);
        let Some(established) = self.sessions.established(id) else {
            return !request.is_refresh();
        };
        let changes = &mut established.changes;
        let is_success = response.status.is_success();
        if request.is_refresh() {
            if response.status == Status::SESSION_INTERVAL_TOO_SMALL {
                changes.timer.handle_too_brief(&response.headers);
            }
            if !is_success {
                changes.timer.handle_refresh_failed(now);
                self.schedule_session(id);
            } else {
                self.note_accepted(id, response, now);
            }
            return false;
        }
        let Some(proposal) = changes.proposal.as_mut().filter(|p| p.id == request) else {
            return true;
        };
        proposal.tries = proposal.tries.saturating_add(1);
        if response.status == Status::REQUEST_PENDING && proposal.tries < MOST_TRIES {
            tracing::debug!(?id, ?wait, "the change of the session met one of the peer");
            proposal.again_at = Some(now + wait);
            self.schedule_session(id);
            return false;
        }
        if let Some(proposal) = changes.proposal.take()
            && is_success
        {
            changes.note_description(&proposal.content_type, &proposal.body);
            self.note_accepted(id, response, now);
        }
        true
    }

    /// A request of ours inside a session got no answer. Returns whether the user is told.
    pub(super) fn settle_failed_change(
        &mut self,
        id: InviteId,
        request: RequestId,
        now: Instant,
    ) -> bool {
        if let Some(established) = self.sessions.established(id) {
            let changes = &mut established.changes;
            changes.proposal.take_if(|proposal| proposal.id == request);
            if request.is_refresh() {
                changes.timer.handle_refresh_failed(now);
            }
            self.schedule_session(id);
        }
        !request.is_refresh()
    }

    /// How long to wait after 491, in steps of 10 ms: longer for who chose the Call-ID. RFC 3261 §14.1.
    fn pause_after_glare(&mut self, id: InviteId) -> Duration {
        let caller = self
            .sessions
            .established(id)
            .map(|established| established.changes.caller);
        let steps = match caller {
            Some(Caller::We) => self.random.random_range(210..=400),
            Some(Caller::ThePeer) | None => self.random.random_range(0..=200),
        };
        Duration::from_millis(10).saturating_mul(steps)
    }

    /// Refreshes, ends what nobody refreshed, and tries again what met a change of the peer.
    pub(super) fn handle_changes_time(&mut self, id: InviteId, now: Instant) {
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        match established.changes.timer.handle_timeout(now) {
            Some(Due::Refresh) => self.refresh_session(id, now),
            Some(Due::Expired) => return self.end_with_bye(id, EndCause::Expired, now),
            None => {}
        }
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        let is_busy = is_busy(established);
        let changes = &mut established.changes;
        if changes.deadline_of_proposal().is_none_or(|at| at > now) {
            return;
        }
        let wait = Duration::from_millis(500);
        let Some(proposal) = &mut changes.proposal else {
            return;
        };
        // The peer's change is still under way.
        if is_busy {
            proposal.again_at = Some(now + wait);
            return;
        }
        proposal.again_at = None;
        let (request, method) = (proposal.id, proposal.method.clone());
        let (headers, body) = (proposal.headers.clone(), proposal.body.clone());
        let content_type = proposal.content_type.clone();
        self.send_change(id, request, method, headers, (content_type, body), now);
    }

    fn refresh_session(&mut self, id: InviteId, now: Instant) {
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        let (method, description) =
            match (&established.changes.description, established.changes.means) {
                (_, Means::Update) | (None, Means::Reinvite) => {
                    (Method::Update, Default::default())
                }
                (Some(description), Means::Reinvite) => (Method::Invite, description.clone()),
            };
        if is_busy(established) || established.changes.is_waiting() {
            return established.changes.timer.handle_refresh_failed(now);
        }
        self.send_change(id, RequestId::REFRESH, method, Vec::new(), description, now);
    }

    /// Sends a re-INVITE or UPDATE, with what it asks of the timer.
    fn send_change(
        &mut self,
        id: InviteId,
        request_id: RequestId,
        method: Method,
        headers: Vec<(Name, String)>,
        (content_type, body): (String, Bytes),
        now: Instant,
    ) {
        let fields = self.timer_fields(id);
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        established.ours = Some(request_id);
        let contact = established.contact.clone();
        let mut request = established.dialog.request(method);
        let next_hop = established.dialog.next_hop();
        compose::add_user_headers(&mut request, headers, &self.capabilities);
        add_missing(&mut request, fields);
        if !body.is_empty() {
            request = request.with_body(content_type, body);
        }
        let owner = Owner::InSession(id, request_id);
        self.start(request, owner, Some(contact), next_hop, now);
    }

    /// The session is over: a change that waits to be tried again is too.
    pub(super) fn give_up_change(&mut self, session: &mut Session) {
        if let Session::Established(established) = session
            && let Some(proposal) = established.changes.proposal.take()
            && proposal.again_at.is_some()
        {
            self.events.push_back(Event::RequestFailed {
                request: proposal.id,
                cause: Failure::SessionEnded,
            });
        }
    }
}

/// Whether a change of the session must not be sent now.
fn is_busy(established: &Established) -> bool {
    established.ours.is_some()
        || established.theirs.is_some()
        || established.awaited.is_some()
        || established.ending != Ending::No
}

/// Adds fields that the user has not written.
pub(super) fn add_missing(request: &mut Request, fields: Vec<(Name, String)>) {
    for (name, value) in fields {
        if request.headers.first(&name).is_none() {
            request.headers.push(name, value);
        }
    }
}
