//! Subscriptions at work: which dialogs they are in, and what they send and get there.
//! RFC 6665 §4; RFC 3515 §2.4; RFC 5057.

use std::collections::HashMap;
use std::time::Instant;

use super::authentication::AuthenticatedUser;
use super::command::{LocalContact, OutgoingRequest, Reply, ServerTransactionId};
use super::event::Source;
use super::session::Session;
use super::subscription_command::{Refer, ReferPlace, Subscribe, SubscriptionId};
use super::timer_queue::Scheduled;
use super::{Endpoint, Event, Failure, InviteId, Owner, Phase, TimerKey, compose, server};
use crate::dialog::{self, Dialog, DialogId};
use crate::refer::{self, ReferSub};
use crate::subscription::{
    self, Admission, Answer, Document, Next, Notice, Notifier, Package, Subscriber,
    SubscriptionEnd, notifier, subscriber,
};
use crate::{EventPackage, Method, Name, Request, Response, Status, SubscriptionState, Text, Via};

/// Most subscriptions that share one dialog.
const MOST_IN_A_DIALOG: usize = 16;

/// Every subscription there is.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_id: HashMap<SubscriptionId, Entry>,
    usages_by_dialog: HashMap<DialogId, Usages>,
    /// Those of ours that were begun outside of dialogs.
    id_by_half: HashMap<Half, SubscriptionId>,
    packages: Vec<Package>,
}

/// What is known of a dialog before the peer's first NOTIFY: Call-ID and our tag.
type Half = (Text, Text);

#[derive(Debug)]
struct Entry {
    side: Side,
    place: Place,
    event: EventPackage,
    contact: LocalContact,
    scheduled: Scheduled,
}

#[derive(Debug)]
enum Side {
    /// Ours, with the fields that each SUBSCRIBE of it has.
    Ours(Subscriber, Vec<(Name, String)>),
    /// The peer's.
    Theirs(Notifier, Package),
}

#[derive(Debug)]
enum Place {
    /// No NOTIFY has come yet.
    Opening(Box<Opening>),
    Dialog(DialogId),
}

/// A SUBSCRIBE or REFER of ours outside of dialogs.
#[derive(Debug)]
struct Opening {
    /// To be sent again after 423.
    request: OutgoingRequest,
    half: Half,
    /// CSeq of the last one.
    cseq: u32,
}

/// The subscriptions in one dialog.
#[derive(Debug, Default)]
struct Usages {
    /// None while a session is in the dialog too, which has it then.
    dialog: Option<Dialog>,
    ids: Vec<SubscriptionId>,
    /// How many REFER were accepted in it.
    refers: u32,
}

impl Endpoint {
    /// Which event packages peers may subscribe to. From then on a SUBSCRIBE to any other is refused by the endpoint, as is
    /// one that asks for too little time or for other documents; what is left is told as `Requested`, to be accepted by
    /// `accept_subscription` or refused by `respond`. Without this every SUBSCRIBE outside of known subscriptions is told.
    pub fn serve_events(&mut self, packages: Vec<Package>) {
        self.subscriptions.packages = packages;
    }

    /// Subscribes. What comes of it is told by `Notified` and, once, `SubscriptionEnded`; it is refreshed until then.
    pub fn subscribe(&mut self, id: SubscriptionId, subscribe: Subscribe, now: Instant) {
        let Subscribe {
            target,
            from,
            to,
            contact,
            event,
            expires,
            headers,
        } = subscribe;
        let mut request = OutgoingRequest::new(Method::Subscribe, target, from, to);
        request.contact = Some(contact.clone());
        let mut actions = Vec::new();
        let timer_n = self.config.timers.transaction();
        let subscriber = Subscriber::new(expires, timer_n, now, &mut actions);
        let place = self.opening(request);
        self.begin_subscription(id, Side::Ours(subscriber, headers), place, event, contact);
        self.carry_out_of_ours(id, actions, now);
    }

    /// Sends a REFER. What comes of it is told by `Notified` and, once, `SubscriptionEnded`.
    pub fn refer(&mut self, id: SubscriptionId, refer: Refer, now: Instant) {
        let subscriber = Subscriber::of_refer(self.config.timers.transaction(), now);
        let side = Side::Ours(subscriber, Vec::new());
        let headers = refer.fields();
        match refer.place {
            ReferPlace::In(invite) => {
                let Some(established) = self.sessions.established(invite) else {
                    return self.fail_subscription(id, Failure::SessionEnded);
                };
                let contact = established.contact.clone();
                let dialog = established.dialog.id();
                let mut request = established.dialog.request(Method::Refer);
                let next_hop = established.dialog.next_hop().clone();
                let event = event_of_refer(&request);
                let place = Place::Dialog(dialog);
                if !self.begin_subscription(id, side, place, event, contact.clone()) {
                    return;
                }
                compose::add_user_headers(&mut request, headers, &self.config);
                let owner = Owner::Subscription(id);
                self.start(request, owner, Some(contact), &next_hop, now);
            }
            ReferPlace::Outside {
                target,
                from,
                to,
                contact,
            } => {
                let mut request = OutgoingRequest::new(Method::Refer, target, from, to);
                (request.contact, request.headers) = (Some(contact.clone()), headers);
                let event = EventPackage::new(refer::PACKAGE).with_id("1");
                let place = self.opening(request);
                if self.begin_subscription(id, side, place, event, contact) {
                    self.send_opening(id, Vec::new(), now);
                }
            }
        }
    }

    /// Ends a subscription of ours. RFC 6665 §4.1.2.3.
    pub fn unsubscribe(&mut self, id: SubscriptionId, now: Instant) {
        self.on_ours(id, now, |ours, out| ours.unsubscribe(now, out));
    }

    /// Asks for the present state of a subscription of ours before it is due.
    pub fn refresh_subscription(&mut self, id: SubscriptionId, now: Instant) {
        self.on_ours(id, now, |ours, out| ours.refresh(now, out));
    }

    /// Accepts the SUBSCRIBE that `Requested` told of: 200 with the time granted. The caller says by `notify` what the state
    /// is, within two seconds; otherwise an empty NOTIFY is sent. PRES-15, PRES-19, RS-15.
    pub fn accept_subscription(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: &Request,
        contact: LocalContact,
        now: Instant,
    ) {
        let packages = self.subscriptions.packages.iter();
        let admission = match subscription::admit(packages, request) {
            Ok(admission) => admission,
            Err(refusal) => {
                let mut reply = Reply::new(refusal.status());
                reply.headers.extend(refusal.header());
                return self.refuse_subscription(id, transaction, reply, now);
            }
        };
        let is_same = |package: &&Package| package.name == admission.event.name;
        let Some(package) = self.subscriptions.packages.iter().find(is_same).cloned() else {
            return;
        };
        let mut reply = Reply::new(Status::OK);
        let expires = admission.granted.to_string();
        reply.headers.push((Name::Expires, expires));
        self.accept_usage(
            id,
            transaction,
            request,
            (admission, package),
            contact,
            reply,
            now,
        );
    }

    /// Accepts the REFER that `Requested` told of: 202, and a subscription if it wants one. The caller says by `notify` what
    /// comes of it, with a [`sipfrag`](crate::sipfrag); the last one ends it (`NoResource`). RS-30.
    pub fn accept_refer(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: &Request,
        contact: LocalContact,
        now: Instant,
    ) {
        let mut reply = Reply::new(Status::ACCEPTED);
        if ReferSub::of(&request.headers) == ReferSub::Unwanted {
            reply.headers.push((Name::ReferSub, "false".into()));
            reply.contact = Some(contact);
            self.respond(transaction, reply, now);
            return self.tell_end(id, SubscriptionEnd::NotWanted, Next::Never);
        }
        let mut event = EventPackage::new(refer::PACKAGE);
        let dialog = DialogId::of_incoming(request);
        // The first in a dialog is told without id, for peers that know of none. RFC 3515 §2.4.6.
        if let Some(usages) = dialog.and_then(|id| self.subscriptions.usages_by_dialog.get(&id))
            && usages.refers > 0
        {
            event = event_of_refer(request);
        }
        let package = Package::new(refer::PACKAGE, []);
        let admission = Admission {
            event,
            granted: package.max_expires,
        };
        self.accept_usage(
            id,
            transaction,
            request,
            (admission, package),
            contact,
            reply,
            now,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the request, what is granted of it, and the time"
    )]
    fn accept_usage(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: &Request,
        (admission, package): (Admission, Package),
        contact: LocalContact,
        mut reply: Reply,
        now: Instant,
    ) {
        let Some(to) = self.servers.get(transaction).and_then(|server| server.to()) else {
            return self.fail_subscription(id, Failure::Timeout);
        };
        let dialog = match DialogId::of_incoming(request) {
            Some(dialog) if self.dialog_mut(&dialog).is_some() => dialog,
            Some(_) => {
                let reply = Reply::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
                return self.refuse_subscription(id, transaction, reply, now);
            }
            None => {
                let tag = crate::NameAddr::parse(&to).map(|to| super::session::tag_of(&to));
                match Dialog::of_server(request, &tag.unwrap_or_default()) {
                    Ok(dialog) => self.keep_dialog(dialog),
                    Err(_) => {
                        let reply = Reply::new(Status::BAD_REQUEST);
                        return self.refuse_subscription(id, transaction, reply, now);
                    }
                }
            }
        };
        let notifier = Notifier::new(admission.granted, package.interval, now);
        let side = Side::Theirs(notifier, package);
        let is_refer = admission.event.name == refer::PACKAGE;
        let place = Place::Dialog(dialog.clone());
        if !self.begin_subscription(id, side, place, admission.event, contact.clone()) {
            let mut reply = Reply::new(Status::SERVICE_UNAVAILABLE);
            reply.headers.push(server::retry_after());
            return self.respond(transaction, reply, now);
        }
        if let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(&dialog) {
            usages.refers = usages.refers.saturating_add(is_refer.into());
        }
        reply.contact = Some(contact);
        self.reply(transaction, reply, now);
        self.refresh_target(&dialog, request.headers.all(&Name::Contact));
        self.schedule_subscription(id);
    }

    /// Tells the peer what the state is.
    pub fn notify(&mut self, id: SubscriptionId, notice: Notice, now: Instant) {
        self.on_theirs(id, now, |theirs, out| theirs.notify(notice, now, out));
    }

    /// Says that what is watched has changed: `StateAsked` follows when a NOTIFY may be sent (RS-18).
    pub fn report_change(&mut self, id: SubscriptionId, now: Instant) {
        self.on_theirs(id, now, |theirs, out| theirs.report_change(now, out));
    }

    /// A SUBSCRIBE that is for no subscription there is: refused, or told.
    pub(super) fn handle_subscribe(
        &mut self,
        request: Request,
        via: &Via,
        source: Source,
        user: Option<AuthenticatedUser>,
        invite: Option<InviteId>,
        now: Instant,
    ) {
        let packages = &self.subscriptions.packages;
        if !packages.is_empty()
            && let Err(refusal) = subscription::admit(packages.iter(), &request)
        {
            let (status, header) = (refusal.status(), refusal.header());
            return self.refuse_statelessly(&request, via, &source, status, header);
        }
        self.tell(request, via, source, user, invite, now);
    }

    /// A SUBSCRIBE or NOTIFY with a To tag, in a dialog that has no session.
    pub(super) fn handle_beside_sessions(
        &mut self,
        request: Request,
        via: &Via,
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
            None => self.tell(request, via, source, user, None, now),
        }
    }

    /// The NOTIFY that makes the dialog of a SUBSCRIBE. One from another fork is refused. PRES-03.
    fn handle_first_notify(
        &mut self,
        id: SubscriptionId,
        request: Request,
        via: &Via,
        source: Source,
        now: Instant,
    ) {
        let refused = match self.subscriptions.by_id.get(&id) {
            Some(entry) if !is_for(entry, request.event().ok().as_ref()) => {
                Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
            }
            Some(Entry {
                place: Place::Opening(opening),
                ..
            }) => Dialog::of_notify(&request, opening.cseq).map_err(|_| Status::BAD_REQUEST),
            Some(_) | None => Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        };
        match refused {
            Ok(dialog) => {
                let dialog = self.keep_dialog(dialog);
                if let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(&dialog) {
                    usages.ids.push(id);
                }
                if let Some(entry) = self.subscriptions.by_id.get_mut(&id) {
                    entry.place = Place::Dialog(dialog.clone());
                    entry.event = request.event().unwrap_or(entry.event.clone());
                }
                self.handle_notify(id, &dialog, request, via, source, now);
            }
            Err(status) => self.refuse_statelessly(&request, via, &source, status, None),
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
        via: &Via,
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

    /// A NOTIFY of a subscription of ours: answered at once, and told.
    fn handle_notify(
        &mut self,
        id: SubscriptionId,
        dialog: &DialogId,
        request: Request,
        via: &Via,
        source: Source,
        now: Instant,
    ) {
        let Ok(state) = request.subscription_state() else {
            let status = Status::BAD_REQUEST;
            return self.refuse_statelessly(&request, via, &source, status, None);
        };
        let transaction = self.begin(&request, via, source, None, "", now);
        self.reply(transaction, Reply::new(Status::OK), now);
        self.refresh_target(dialog, request.headers.all(&Name::Contact));
        self.events.push_back(Event::Notified {
            subscription: id,
            state: state.clone(),
            request,
        });
        self.on_ours(id, now, |ours, out| ours.handle_notified(&state, now, out));
    }

    /// A SUBSCRIBE in a subscription of the peer: more time, or no more. PRES-17, PRES-18.
    fn handle_refresh(
        &mut self,
        id: SubscriptionId,
        dialog: &DialogId,
        request: Request,
        via: &Via,
        source: Source,
        now: Instant,
    ) {
        let Some(Entry {
            side: Side::Theirs(_, package),
            contact,
            ..
        }) = self.subscriptions.by_id.get(&id)
        else {
            return;
        };
        let granted = subscription::expires(&request).and_then(|expires| package.grant(expires));
        let granted = match granted {
            Ok(granted) => granted,
            Err(refusal) => {
                let (status, header) = (refusal.status(), refusal.header());
                return self.refuse_statelessly(&request, via, &source, status, header);
            }
        };
        let mut reply = Reply::new(Status::OK);
        reply.contact = Some(contact.clone());
        reply.headers.push((Name::Expires, granted.to_string()));
        let transaction = self.begin(&request, via, source, None, "", now);
        self.reply(transaction, reply, now);
        self.refresh_target(dialog, request.headers.all(&Name::Contact));
        self.on_theirs(id, now, |theirs, out| {
            theirs.handle_refreshed(granted, now, out);
        });
    }

    /// The final answer to a SUBSCRIBE or REFER of ours.
    pub(super) fn handle_subscription_response(
        &mut self,
        id: SubscriptionId,
        response: &Response,
        now: Instant,
    ) {
        let Ok(cseq) = response.cseq() else { return };
        let dialog = match self.subscriptions.by_id.get_mut(&id).map(|e| &mut e.place) {
            // Credentials may have taken a number of their own.
            Some(Place::Opening(opening)) => {
                opening.cseq = opening.cseq.max(cseq.number);
                None
            }
            Some(Place::Dialog(dialog)) => Some(dialog.clone()),
            None => return,
        };
        if let Some(dialog) = dialog {
            if let Some(dialog) = self.dialog_mut(&dialog) {
                dialog.note_local(cseq.number);
            }
            if response.status.is_success() {
                self.refresh_target(&dialog, response.headers.all(&Name::Contact));
            }
        }
        let answer = Answer {
            status: response.status,
            expires: response.headers.expires().ok(),
            min_expires: response.headers.min_expires().ok(),
            retry_after: response.headers.retry_after().ok(),
        };
        let is_over = cseq.method == Method::Refer
            && response.status.is_success()
            && refer::is_without_subscription(response);
        self.on_ours(id, now, |ours, out| match is_over {
            true => ours.end(SubscriptionEnd::NotWanted, Next::Never, out),
            false => ours.handle_answered(answer, now, out),
        });
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

    pub(super) fn handle_subscription_failure(
        &mut self,
        id: SubscriptionId,
        cause: Failure,
        now: Instant,
    ) {
        self.on_ours(id, now, |ours, out| ours.handle_failed(cause, now, out));
    }

    pub(super) fn handle_notify_response(
        &mut self,
        id: SubscriptionId,
        response: &Response,
        now: Instant,
    ) {
        let status = response.status;
        self.on_theirs(id, now, |theirs, out| {
            theirs.handle_answered(status, now, out);
        });
    }

    pub(super) fn handle_notify_failure(
        &mut self,
        id: SubscriptionId,
        cause: Failure,
        now: Instant,
    ) {
        self.on_theirs(id, now, |theirs, out| theirs.handle_failed(cause, out));
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

    fn on_ours(
        &mut self,
        id: SubscriptionId,
        now: Instant,
        act: impl FnOnce(&mut Subscriber, &mut Vec<subscriber::Action>),
    ) {
        let mut actions = Vec::new();
        if let Some(Entry {
            side: Side::Ours(ours, _),
            ..
        }) = self.subscriptions.by_id.get_mut(&id)
        {
            act(ours, &mut actions);
        }
        self.carry_out_of_ours(id, actions, now);
    }

    fn carry_out_of_ours(
        &mut self,
        id: SubscriptionId,
        actions: Vec<subscriber::Action>,
        now: Instant,
    ) {
        for action in actions {
            match action {
                subscriber::Action::Subscribe { expires } => {
                    self.send_subscribe(id, expires, now);
                }
                subscriber::Action::End { cause, next } => {
                    self.end_subscription(id, cause, next);
                }
            }
        }
        self.schedule_subscription(id);
    }

    fn on_theirs(
        &mut self,
        id: SubscriptionId,
        now: Instant,
        act: impl FnOnce(&mut Notifier, &mut Vec<notifier::Action>),
    ) {
        let mut actions = Vec::new();
        if let Some(Entry {
            side: Side::Theirs(theirs, _),
            ..
        }) = self.subscriptions.by_id.get_mut(&id)
        {
            act(theirs, &mut actions);
        }
        for action in actions {
            match action {
                notifier::Action::Notify(state, document) => {
                    self.send_notify(id, &state, document, now);
                }
                notifier::Action::AskState(occasion) => {
                    self.events.push_back(Event::StateAsked {
                        subscription: id,
                        occasion,
                    });
                }
                notifier::Action::End(cause) => self.end_subscription(id, cause, Next::Never),
            }
        }
        self.schedule_subscription(id);
    }

    fn send_subscribe(&mut self, id: SubscriptionId, expires: u32, now: Instant) {
        let Some(Entry {
            side: Side::Ours(_, headers),
            place,
            event,
            contact,
            ..
        }) = self.subscriptions.by_id.get(&id)
        else {
            return;
        };
        let mut fields = vec![
            (Name::Event, event.to_string()),
            (Name::Expires, expires.to_string()),
        ];
        fields.extend(headers.iter().cloned());
        match place {
            Place::Opening(_) => self.send_opening(id, fields, now),
            Place::Dialog(dialog) => {
                let (dialog, contact) = (dialog.clone(), contact.clone());
                let owner = Owner::Subscription(id);
                self.send_in_dialog(
                    &dialog,
                    Method::Subscribe,
                    owner,
                    fields,
                    None,
                    contact,
                    now,
                );
            }
        }
    }

    /// Sends the SUBSCRIBE or REFER of a dialog that is not made yet.
    fn send_opening(&mut self, id: SubscriptionId, fields: Vec<(Name, String)>, now: Instant) {
        let Some(Entry {
            place: Place::Opening(opening),
            ..
        }) = self.subscriptions.by_id.get_mut(&id)
        else {
            return;
        };
        opening.cseq = opening.cseq.saturating_add(1);
        let mut request = opening.request.clone();
        request.headers.extend(fields);
        let identity = compose::Identity {
            call_id: &opening.half.0,
            from_tag: &opening.half.1,
            cseq: opening.cseq,
        };
        let (request, contact) = compose::request(request, &identity, &self.config);
        let next_hop = self.next_hop(&request);
        self.start(request, Owner::Subscription(id), contact, &next_hop, now);
    }

    fn send_notify(
        &mut self,
        id: SubscriptionId,
        state: &SubscriptionState,
        document: Option<Document>,
        now: Instant,
    ) {
        let Some(Entry {
            place: Place::Dialog(dialog),
            event,
            contact,
            ..
        }) = self.subscriptions.by_id.get(&id)
        else {
            return;
        };
        let fields = vec![
            (Name::Event, event.to_string()),
            (Name::SubscriptionState, state.to_string()),
        ];
        let (dialog, contact) = (dialog.clone(), contact.clone());
        let owner = Owner::Notify(id);
        self.send_in_dialog(
            &dialog,
            Method::Notify,
            owner,
            fields,
            document,
            contact,
            now,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, and the time"
    )]
    fn send_in_dialog(
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
        let next_hop = dialog.next_hop().clone();
        compose::add_user_headers(&mut request, fields, &self.config);
        if let Some(document) = document {
            request = request.with_body(document.content_type, document.body);
        }
        self.start(request, owner, Some(contact), &next_hop, now);
    }

    fn opening(&mut self, request: OutgoingRequest) -> Place {
        let half = (Text::from(self.new_call_id()), Text::from(self.new_tag()));
        Place::Opening(Box::new(Opening {
            request,
            half,
            cseq: 0,
        }))
    }

    /// Keeps a new subscription; if there is no room for it, says so, and it is not kept.
    fn begin_subscription(
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

    fn end_subscription(&mut self, id: SubscriptionId, cause: SubscriptionEnd, next: Next) {
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

    fn forget_dialog_if_unused(&mut self, place: &Place) {
        if let Place::Dialog(dialog) = place
            && self.sessions.find(dialog).is_none()
            && let Some(usages) = self.subscriptions.usages_by_dialog.get(dialog)
            && usages.ids.is_empty()
        {
            self.subscriptions.usages_by_dialog.remove(dialog);
        }
    }

    fn fail_subscription(&mut self, id: SubscriptionId, cause: Failure) {
        self.tell_end(id, SubscriptionEnd::Failed(cause), Next::Never);
    }

    fn refuse_subscription(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        reply: Reply,
        now: Instant,
    ) {
        let cause = SubscriptionEnd::Refused(reply.status);
        self.respond(transaction, reply, now);
        self.tell_end(id, cause, Next::Never);
    }

    fn tell_end(&mut self, id: SubscriptionId, cause: SubscriptionEnd, next: Next) {
        self.events.push_back(Event::SubscriptionEnded {
            subscription: id,
            cause,
            next,
        });
    }

    fn schedule_subscription(&mut self, id: SubscriptionId) {
        if let Some(entry) = self.subscriptions.by_id.get_mut(&id) {
            let deadline = match &entry.side {
                Side::Ours(ours, _) => ours.poll_timeout(),
                Side::Theirs(theirs, _) => theirs.poll_timeout(),
            };
            let key = TimerKey::Subscription(id);
            self.timers.schedule(key, deadline, &mut entry.scheduled);
        }
    }

    fn keep_dialog(&mut self, dialog: Dialog) -> DialogId {
        let id = dialog.id();
        let usages = self.subscriptions.usages_by_dialog.entry(id.clone());
        usages.or_default().dialog = Some(dialog);
        id
    }

    /// The dialog: that of the session in it, if there is one.
    fn dialog_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
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

    fn refresh_target<'a>(&mut self, id: &DialogId, contacts: impl Iterator<Item = &'a str>) {
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
fn is_for(entry: &Entry, event: Option<&EventPackage>) -> bool {
    event.is_some_and(|event| {
        // Its number may have changed on the way to us, because of credentials.
        let is_opening = matches!(entry.place, Place::Opening(_));
        let may_differ = event.name == refer::PACKAGE && (event.id.is_none() || is_opening);
        event.name == entry.event.name && (event.id == entry.event.id || may_differ)
    })
}

fn event_of_refer(request: &Request) -> EventPackage {
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    EventPackage::new(refer::PACKAGE).with_id(number.to_string())
}
