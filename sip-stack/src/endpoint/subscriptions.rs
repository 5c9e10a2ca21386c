//! Every subscription there is, and the dialogs they are in, alone or beside a session. RFC 6665 §4.4; RFC 5057.

use std::collections::HashMap;
use std::time::Instant;

use super::authentication::AuthenticatedUser;
use super::command::{LocalContact, OutgoingRequest};
use super::event::Source;
use super::server::Hop;
use super::session::Session;
use super::subscription_command::SubscriptionId;
use super::timer_queue::Scheduled;
use super::{Endpoint, Event, Failure, InviteId, Owner, Phase, TimerKey, compose};
use crate::dialog::{self, Dialog, DialogId};
use crate::refer;
use crate::subscription::{Document, Next, Notifier, Package, Subscriber, SubscriptionEnd};
use crate::{EventPackage, Method, Name, Request, Status, Text};

/// Most subscriptions that share one dialog.
const MOST_IN_A_DIALOG: usize = 16;

/// Every subscription there is.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub(super) by_id: HashMap<SubscriptionId, Entry>,
    pub(super) usages_by_dialog: HashMap<DialogId, Usages>,
    /// Those of ours that were begun outside of dialogs.
    pub(super) id_by_half: HashMap<Half, SubscriptionId>,
    pub(super) packages: Vec<Package>,
}

/// What is known of a dialog before the peer's first NOTIFY: Call-ID and our tag.
type Half = (Text, Text);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) side: Side,
    pub(super) place: Place,
    pub(super) event: EventPackage,
    pub(super) contact: LocalContact,
    pub(super) scheduled: Scheduled,
}

#[derive(Debug)]
pub(super) enum Side {
    /// Ours, with the fields that each SUBSCRIBE of it has.
    Ours(Subscriber, Vec<(Name, String)>),
    /// The peer's.
    Theirs(Notifier, Package),
}

#[derive(Debug)]
pub(super) enum Place {
    /// No NOTIFY has come yet.
    Opening(Box<Opening>),
    Dialog(DialogId),
}

/// A SUBSCRIBE or REFER of ours outside of dialogs.
#[derive(Debug)]
pub(super) struct Opening {
    /// To be sent again after 423.
    pub(super) request: OutgoingRequest,
    pub(super) half: Half,
    /// CSeq of the last one.
    pub(super) cseq: u32,
}

/// The subscriptions in one dialog.
#[derive(Debug, Default)]
pub(super) struct Usages {
    /// None while a session is in the dialog too, which has it then.
    pub(super) dialog: Option<Dialog>,
    pub(super) ids: Vec<SubscriptionId>,
    /// How many REFER were accepted in it.
    pub(super) refers: u32,
}

impl Endpoint {
    /// A SUBSCRIBE or NOTIFY with a To tag, in a dialog that has no session.
    pub(super) fn handle_beside_sessions(
        &mut self,
        request: Request,
        via: &Hop,
        source: Source,
        user: Option<AuthenticatedUser>,
        now: Instant,
    ) {
        let Some(dialog) = DialogId::of_incoming(&request) else {
            return self.tell(request, via, source, user, None, now);
        };
        let number = request.cseq().map_or(0, |cseq| cseq.number);
        if let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(&dialog) {
            let order = usages.dialog.as_mut().map(|dialog| dialog.accept(number));
            if order.is_some_and(|order| order.is_err()) {
                let status = Status::SERVER_INTERNAL_ERROR;
                return self.refuse_statelessly(&request, via, &source, status, None);
            }
            return self.handle_in_dialog(&dialog, None, request, via, source, user, now);
        }
        let half = (dialog.call_id.clone(), dialog.local_tag.clone());
        let opened = self.subscriptions.id_by_half.get(&half).copied();
        match opened.filter(|_| request.method == Method::Notify) {
            Some(id) => self.handle_first_notify(id, request, via, source, now),
            // Of a subscription that is over; without packages it may be one that the user keeps himself.
            None if request.method == Method::Subscribe
                && !self.subscriptions.packages.is_empty() =>
            {
                let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                self.refuse_statelessly(&request, via, &source, status, None);
            }
            None => self.tell(request, via, source, user, None, now),
        }
    }

    /// A SUBSCRIBE or NOTIFY in a dialog, in order: for one of the subscriptions there, or a new one.
    #[expect(
        clippy::too_many_arguments,
        reason = "the request, what is known of it, and the time"
    )]
    pub(super) fn handle_in_dialog(
        &mut self,
        dialog: &DialogId,
        invite: Option<InviteId>,
        request: Request,
        via: &Hop,
        source: Source,
        user: Option<AuthenticatedUser>,
        now: Instant,
    ) {
        let usage = self.subscriptions.find(dialog, &request);
        match (&request.method, usage) {
            (Method::Notify, Some(id)) => {
                self.handle_notify(id, dialog, request, via, source, now);
            }
            (_, Some(id)) => self.handle_refresh(id, dialog, request, via, source, now),
            (Method::Notify, None) if invite.is_none() => {
                let status = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                self.refuse_statelessly(&request, via, &source, status, None);
            }
            (Method::Notify, None) => self.tell(request, via, source, user, invite, now),
            (_, None) => self.handle_subscribe(request, via, source, user, invite, now),
        }
    }

    /// The CSeq of a SUBSCRIBE, REFER or NOTIFY that is sent once more; none: the subscription is over.
    pub(super) fn next_cseq_of_subscription(&mut self, id: SubscriptionId) -> Option<u32> {
        let dialog = match &mut self.subscriptions.by_id.get_mut(&id)?.place {
            Place::Dialog(dialog) => dialog.clone(),
            Place::Opening(opening) => {
                opening.cseq = opening.cseq.saturating_add(1);
                return Some(opening.cseq);
            }
        };
        self.dialog_mut(&dialog).map(Dialog::next_cseq)
    }

    pub(super) fn handle_subscription_time(
        &mut self,
        id: SubscriptionId,
        at: Instant,
        now: Instant,
    ) {
        let Some(entry) = self.subscriptions.by_id.get_mut(&id) else {
            return;
        };
        if !entry.scheduled.take(at) {
            return;
        }
        match entry.side {
            Side::Ours(..) => self.on_ours(id, now, |ours, out| ours.handle_timeout(now, out)),
            Side::Theirs(..) => {
                self.on_theirs(id, now, |theirs, out| theirs.handle_timeout(now, out));
            }
        }
    }

    /// The session of a dialog is over; the subscriptions in the dialog are not (SIP-10). RFC 5057 §5.
    pub(super) fn leave_dialog(&mut self, session: &Session) {
        let dialog = match session {
            Session::Inviting(_) => return,
            Session::Invited(invited) => &invited.dialog,
            Session::Established(established) => &established.dialog,
        };
        let id = dialog.id();
        let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(&id) else {
            return;
        };
        if usages.ids.is_empty() {
            self.subscriptions.usages_by_dialog.remove(&id);
            return;
        }
        let mut dialog = dialog.clone();
        // A BYE may be on its way with the next number.
        dialog.skip_number();
        usages.dialog = Some(dialog);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, and the time"
    )]
    pub(super) fn send_in_dialog(
        &mut self,
        dialog: &DialogId,
        method: Method,
        owner: Owner,
        fields: Vec<(Name, String)>,
        document: Option<Document>,
        contact: LocalContact,
        now: Instant,
    ) {
        let Some(dialog) = self.dialog_mut(dialog) else {
            return;
        };
        let mut request = dialog.request(method);
        let next_hop = dialog.next_hop();
        compose::add_user_headers(&mut request, fields, &self.capabilities);
        if let Some(document) = document {
            request = request.with_body(document.content_type, document.body);
        }
        self.start(request, owner, Some(contact), next_hop, now);
    }

    /// Keeps a new subscription; if there is no room for it, says so, and it is not kept.
    pub(super) fn begin_subscription(
        &mut self,
        id: SubscriptionId,
        side: Side,
        place: Place,
        event: EventPackage,
        contact: LocalContact,
    ) -> bool {
        let refused = match (&side, self.phase) {
            (Side::Ours(..), Phase::Closing) => Some(Failure::Closing),
            _ if self.subscriptions.by_id.len() >= self.config.limits.subscriptions => {
                Some(Failure::TooManyRequests)
            }
            (Side::Ours(..) | Side::Theirs(..), _) => None,
        };
        if let Some(cause) = refused {
            self.forget_dialog_if_unused(&place);
            self.fail_subscription(id, cause);
            return false;
        }
        match &place {
            Place::Opening(opening) => {
                let half = opening.half.clone();
                self.subscriptions.id_by_half.insert(half, id);
            }
            Place::Dialog(dialog) => {
                let usages = self.subscriptions.usages_by_dialog.entry(dialog.clone());
                let usages = usages.or_default();
                if usages.ids.len() >= MOST_IN_A_DIALOG {
                    self.fail_subscription(id, Failure::TooManyRequests);
                    return false;
                }
                usages.ids.push(id);
            }
        }
        let entry = Entry {
            side,
            place,
            event,
            contact,
            scheduled: Scheduled::default(),
        };
        self.subscriptions.by_id.insert(id, entry);
        self.schedule_subscription(id);
        true
    }

    pub(super) fn end_subscription(
        &mut self,
        id: SubscriptionId,
        cause: SubscriptionEnd,
        next: Next,
    ) {
        let Some(entry) = self.subscriptions.by_id.remove(&id) else {
            return;
        };
        if let Side::Ours(..) = entry.side {
            let half = match &entry.place {
                Place::Opening(opening) => opening.half.clone(),
                Place::Dialog(dialog) => (dialog.call_id.clone(), dialog.local_tag.clone()),
            };
            if self.subscriptions.id_by_half.get(&half) == Some(&id) {
                self.subscriptions.id_by_half.remove(&half);
            }
        }
        if let Place::Dialog(dialog) = &entry.place
            && let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(dialog)
        {
            usages.ids.retain(|other| *other != id);
        }
        self.forget_dialog_if_unused(&entry.place);
        tracing::debug!(?id, ?cause, "subscription ended");
        self.tell_end(id, cause, next);
    }

    pub(super) fn forget_dialog_if_unused(&mut self, place: &Place) {
        if let Place::Dialog(dialog) = place
            && self.sessions.find(dialog).is_none()
            && let Some(usages) = self.subscriptions.usages_by_dialog.get(dialog)
            && usages.ids.is_empty()
        {
            self.subscriptions.usages_by_dialog.remove(dialog);
        }
    }

    pub(super) fn fail_subscription(&mut self, id: SubscriptionId, cause: Failure) {
        self.tell_end(id, SubscriptionEnd::Failed(cause), Next::Never);
    }

    pub(super) fn tell_end(&mut self, id: SubscriptionId, cause: SubscriptionEnd, next: Next) {
        self.events.push_back(Event::SubscriptionEnded {
            subscription: id,
            cause,
            next,
        });
    }

    pub(super) fn schedule_subscription(&mut self, id: SubscriptionId) {
        if let Some(entry) = self.subscriptions.by_id.get_mut(&id) {
            let deadline = match &entry.side {
                Side::Ours(ours, _) => ours.poll_timeout(),
                Side::Theirs(theirs, _) => theirs.poll_timeout(),
            };
            let key = TimerKey::Subscription(id);
            self.timers.schedule(key, deadline, &mut entry.scheduled);
        }
    }

    pub(super) fn keep_dialog(&mut self, dialog: Dialog) -> DialogId {
        let id = dialog.id();
        let usages = self.subscriptions.usages_by_dialog.entry(id.clone());
        usages.or_default().dialog = Some(dialog);
        id
    }

    /// The dialog: that of the session in it, if there is one.
    pub(super) fn dialog_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        let session = self.sessions.find(id);
        match session.and_then(|session| self.sessions.get_mut(session)) {
            Some(Session::Invited(invited)) => Some(&mut invited.dialog),
            Some(Session::Established(established)) => Some(&mut established.dialog),
            Some(Session::Inviting(_)) | None => {
                let usages = self.subscriptions.usages_by_dialog.get_mut(id)?;
                usages.dialog.as_mut()
            }
        }
    }

    pub(super) fn refresh_target<'a>(
        &mut self,
        id: &DialogId,
        contacts: impl Iterator<Item = &'a str>,
    ) {
        if let Ok(target) = dialog::contact(contacts)
            && let Some(dialog) = self.dialog_mut(id)
        {
            dialog.refresh(target);
        }
    }
}

impl Subscriptions {
    /// The subscription in that dialog that a SUBSCRIBE or NOTIFY is for, by its Event.
    fn find(&self, dialog: &DialogId, request: &Request) -> Option<SubscriptionId> {
        let event = request.event().ok();
        let is_notify = request.method == Method::Notify;
        let usages = self.usages_by_dialog.get(dialog)?;
        usages.ids.iter().copied().find(|id| {
            self.by_id.get(id).is_some_and(|entry| {
                matches!(entry.side, Side::Ours(..)) == is_notify && is_for(entry, event.as_ref())
            })
        })
    }
}

/// Whether a request with this Event is for that subscription. RFC 6665 §8.2.1; RFC 3515 §2.4.6.
pub(super) fn is_for(entry: &Entry, event: Option<&EventPackage>) -> bool {
    event.is_some_and(|event| {
        // Its number may have changed on the way to us, because of credentials.
        let is_opening = matches!(entry.place, Place::Opening(_));
        let may_differ = event.name == refer::PACKAGE && (event.id.is_none() || is_opening);
        event.name == entry.event.name && (event.id == entry.event.id || may_differ)
    })
}

pub(super) fn event_of_refer(request: &Request) -> EventPackage {
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    EventPackage::new(refer::PACKAGE).with_id(number.to_string())
}
