//! Sessions: an INVITE, the dialog it makes, and what is under way inside it.
//! RFC 3261 §12 to §15.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use super::authentication::Peer;
use super::client::ClientKey;
use super::command::{InviteId, LocalContact, RequestId, ServerTransactionId};
use super::event::Source;
use super::flows::Transmit;
use super::session_changes::Changes;
use super::timer_queue::Scheduled;
use super::{EndCause, Endpoint, Event, Owner, QuestionId, Reply, TimerKey, compose};
use crate::dialog::{Dialog, DialogId};
use crate::transaction::Repeat;
use crate::transaction::reliable_provisional::ReliableProvisionals;
use crate::{Method, Name, Request, Status, Text};

/// Most ACKs kept to be sent again.
const MOST_ACKS: usize = 4;

/// Every session there is.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<InviteId, Entry>,
    id_by_dialog: HashMap<DialogId, InviteId>,
    last_id: u64,
}

#[derive(Debug)]
struct Entry {
    session: Session,
    scheduled: Scheduled,
}

#[derive(Debug)]
pub(super) enum Session {
    /// Our INVITE has no final response yet.
    Inviting(Inviting),
    /// The peer's INVITE has no final response yet.
    Invited(Box<Invited>),
    /// A 2xx was sent or received.
    Established(Box<Established>),
}

#[derive(Debug)]
pub(super) struct Inviting {
    pub(super) stage: Stage,
    pub(super) crossing: Crossing,
    pub(super) contact: LocalContact,
    pub(super) changes: Box<Changes>,
    /// When ringing has lasted too long, or when the CANCEL has had no effect.
    pub(super) deadline: Instant,
}

/// What becomes of a 2xx that crosses our CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossing {
    /// ACK and BYE.
    Ended,
    /// The user is told, as of any other.
    Told,
}

/// How far our INVITE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is asked or sent yet.
    Starting,
    /// Waits for the DNS.
    Resolving(QuestionId),
    /// Sent.
    Sent(ClientKey),
    /// Sent; to be cancelled when a 1xx comes. RFC 3261 §9.1.
    Withdrawing(ClientKey),
    /// CANCEL is sent.
    Cancelled(ClientKey),
}

#[derive(Debug)]
pub(super) struct Invited {
    pub(super) transaction: ServerTransactionId,
    pub(super) dialog: Dialog,
    pub(super) contact: LocalContact,
    pub(super) peer: Peer,
    pub(super) provisionals: Provisionals,
    pub(super) changes: Box<Changes>,
    /// When ringing has lasted too long.
    pub(super) deadline: Instant,
}

/// How provisional responses are sent. RFC 3262 §3.
#[derive(Debug)]
pub(super) enum Provisionals {
    /// Once.
    Sent,
    /// Until a PRACK comes.
    Reliable(Box<ReliableProvisionals<Reply>>),
}

#[derive(Debug)]
pub(super) struct Established {
    pub(super) dialog: Dialog,
    pub(super) contact: LocalContact,
    pub(super) peer: Peer,
    /// The ACKs of our INVITEs, newest last.
    pub(super) acks: Vec<OurAck>,
    /// Our 2xx whose ACK is awaited.
    pub(super) awaited: Option<AwaitedAck>,
    /// Our re-INVITE or UPDATE under way.
    pub(super) ours: Option<RequestId>,
    /// The peer's re-INVITE or UPDATE under way.
    pub(super) theirs: Option<ServerTransactionId>,
    pub(super) ending: Ending,
    pub(super) changes: Box<Changes>,
}

/// The ACK for a 2xx to an INVITE of ours.
#[derive(Debug)]
pub(super) struct OurAck {
    pub(super) cseq: u32,
    /// Those of the INVITE.
    pub(super) credentials: Vec<(Name, Text)>,
    /// What was sent, to be sent again for each repetition of the 2xx; none while the user has not called `ack`.
    pub(super) sent: Option<Transmit>,
}

/// A 2xx of ours that is repeated until its ACK comes. RFC 3261 §13.3.1.4.
#[derive(Debug)]
pub(super) struct AwaitedAck {
    pub(super) cseq: u32,
    pub(super) wire: Bytes,
    pub(super) source: Source,
    pub(super) return_port: u16,
    pub(super) repeat: Repeat,
    pub(super) end: Instant,
}

/// Whether we end the session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    No,
    /// BYE waits for the ACK, before which we must not send it. RFC 3261 §15.
    Waiting(Vec<(Name, String)>),
    /// BYE is sent.
    Sent,
}

impl Session {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Session::Inviting(inviting) => Some(inviting.deadline),
            Session::Invited(invited) => match &invited.provisionals {
                Provisionals::Sent => Some(invited.deadline),
                Provisionals::Reliable(reliable) => reliable
                    .deadline()
                    .map_or(Some(invited.deadline), |at| Some(at.min(invited.deadline))),
            },
            Session::Established(established) => {
                let awaited = established.awaited.as_ref();
                let awaited = awaited.map(|awaited| awaited.repeat.at().min(awaited.end));
                let changes = established.changes.deadline();
                awaited.into_iter().chain(changes).min()
            }
        }
    }

    /// What the peer is known to be; none while it has not answered.
    pub(super) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match self {
            Session::Inviting(_) => None,
            Session::Invited(invited) => Some(&mut invited.peer),
            Session::Established(established) => Some(&mut established.peer),
        }
    }

    fn dialog(&self) -> Option<&Dialog> {
        match self {
            Session::Inviting(_) => None,
            Session::Invited(invited) => Some(&invited.dialog),
            Session::Established(established) => Some(&established.dialog),
        }
    }
}

impl Established {
    pub(super) fn new(
        dialog: Dialog,
        contact: LocalContact,
        peer: Peer,
        changes: Box<Changes>,
    ) -> Self {
        Self {
            dialog,
            contact,
            peer,
            acks: Vec::new(),
            awaited: None,
            ours: None,
            theirs: None,
            ending: Ending::No,
            changes,
        }
    }

    /// The user owes the ACK of this INVITE.
    pub(super) fn expect_ack(&mut self, invite: &Request) {
        if self.acks.len() >= MOST_ACKS {
            self.acks.remove(0);
        }
        // Most sessions never have a second one.
        self.acks.reserve_exact(1);
        self.acks.push(OurAck {
            cseq: invite.cseq().map_or(0, |cseq| cseq.number),
            credentials: compose::credentials(invite),
            sent: None,
        });
    }

    /// The ACK that the user still owes.
    pub(super) fn owed_ack(&self) -> Option<&OurAck> {
        self.acks.iter().find(|ack| ack.sent.is_none())
    }
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn new_id(&mut self) -> InviteId {
        self.last_id = self.last_id.wrapping_add(1);
        InviteId::of_the_peer(self.last_id)
    }

    pub(super) fn get(&self, id: InviteId) -> Option<&Session> {
        self.by_id.get(&id).map(|entry| &entry.session)
    }

    pub(super) fn get_mut(&mut self, id: InviteId) -> Option<&mut Session> {
        self.by_id.get_mut(&id).map(|entry| &mut entry.session)
    }

    pub(super) fn established(&mut self, id: InviteId) -> Option<&mut Established> {
        match self.get_mut(id)? {
            Session::Established(established) => Some(established),
            Session::Inviting(_) | Session::Invited(_) => None,
        }
    }

    pub(super) fn inviting(&mut self, id: InviteId) -> Option<&mut Inviting> {
        match self.get_mut(id)? {
            Session::Inviting(inviting) => Some(inviting),
            Session::Invited(_) | Session::Established(_) => None,
        }
    }

    pub(super) fn find(&self, dialog: &DialogId) -> Option<InviteId> {
        self.id_by_dialog.get(dialog).copied()
    }

    /// Puts a session in its next state.
    pub(super) fn insert(&mut self, id: InviteId, session: Session) {
        if let Some(dialog) = session.dialog() {
            self.id_by_dialog.insert(dialog.id(), id);
        }
        match self.by_id.get_mut(&id) {
            Some(entry) => entry.session = session,
            None => {
                self.by_id.insert(
                    id,
                    Entry {
                        session,
                        scheduled: Scheduled::default(),
                    },
                );
            }
        }
    }

    pub(super) fn remove(&mut self, id: InviteId) -> Option<Session> {
        let session = self.by_id.remove(&id)?.session;
        if let Some(dialog) = session.dialog() {
            self.id_by_dialog.remove(&dialog.id());
        }
        Some(session)
    }
}

impl Endpoint {
    pub(super) fn schedule_session(&mut self, id: InviteId) {
        if let Some(entry) = self.sessions.by_id.get_mut(&id) {
            let deadline = entry.session.deadline();
            self.timers
                .schedule(TimerKey::Session(id), deadline, &mut entry.scheduled);
        }
    }

    pub(super) fn handle_session_time(&mut self, id: InviteId, at: Instant, now: Instant) {
        let Some(entry) = self.sessions.by_id.get_mut(&id) else {
            return;
        };
        if !entry.scheduled.take(at) {
            return;
        }
        if entry
            .session
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            match &entry.session {
                Session::Inviting(_) => self.handle_inviting_time(id, now),
                Session::Invited(_) => self.handle_invited_time(id, now),
                Session::Established(_) => {
                    self.handle_awaited_time(id, now);
                    self.handle_changes_time(id, now);
                }
            }
        }
        self.schedule_session(id);
    }

    /// Sends a request inside a dialog and asks nobody what becomes of it.
    pub(super) fn send_unowned(&mut self, dialog: &Dialog, mut request: Request, now: Instant) {
        compose::add_user_headers(&mut request, Vec::new(), &self.capabilities);
        self.start(request, Owner::Nobody, None, dialog.next_hop(), now);
    }

    /// Ends a session for a reason the user is told.
    pub(super) fn end_session(
        &mut self,
        id: InviteId,
        cause: EndCause,
        now: Instant,
    ) -> Option<Session> {
        let mut session = self.sessions.remove(id)?;
        self.leave_dialog(&session);
        self.give_up_change(&mut session);
        tracing::debug!(?id, cause = cause.name(), "session ended");
        self.events.push_back(Event::Ended { invite: id, cause });
        // What the peer still waits for in this session is over too. RFC 3261 §15.1.2.
        let pending = match &session {
            Session::Invited(invited) => Some(invited.transaction),
            Session::Established(established) => established.theirs,
            Session::Inviting(_) => None,
        };
        if let Some(pending) = pending {
            self.reply(pending, Reply::new(Status::REQUEST_TERMINATED), now);
        }
        Some(session)
    }

    /// Ends a session: with BYE where there is a dialog, with CANCEL or a rejection before.
    pub fn bye(&mut self, id: InviteId, headers: Vec<(Name, String)>, now: Instant) {
        match self.sessions.get(id) {
            Some(Session::Inviting(_)) => self.cancel(id, now),
            Some(Session::Invited(_)) => {
                self.answer(id, Reply::new(Status::TEMPORARILY_UNAVAILABLE), now);
            }
            Some(Session::Established(established)) => {
                match (&established.ending, &established.awaited) {
                    (Ending::No, Some(_)) => {
                        if let Some(established) = self.sessions.established(id) {
                            established.ending = Ending::Waiting(headers);
                        }
                    }
                    (Ending::No, None) => self.send_bye(id, headers, now),
                    (Ending::Waiting(_) | Ending::Sent, _) => {}
                }
            }
            None => {}
        }
    }

    pub(super) fn send_bye(&mut self, id: InviteId, headers: Vec<(Name, String)>, now: Instant) {
        // The peer repeats its 2xx until it has an ACK, whatever else it is told.
        if self
            .sessions
            .established(id)
            .is_some_and(|established| established.owed_ack().is_some())
        {
            self.ack(id, None, now);
        }
        let Some(established) = self.sessions.established(id) else {
            return;
        };
        established.ending = Ending::Sent;
        let mut request = established.dialog.request(Method::Bye);
        let next_hop = established.dialog.next_hop();
        compose::add_user_headers(&mut request, headers, &self.capabilities);
        self.start(request, Owner::Bye(id), None, next_hop, now);
    }

    /// Our BYE was answered, or nobody is there to answer it.
    pub(super) fn handle_bye_done(&mut self, id: InviteId, now: Instant) {
        self.end_session(id, EndCause::OurBye, now);
    }
}

/// The value of a Call-ID and the like as text that is kept.
pub(super) fn tag_of(address: &crate::NameAddr) -> Text {
    address.tag().map(Text::from).unwrap_or_default()
}
