//! Subscriptions of peers, and REFER that they send. RFC 6665 §4.2; RFC 3515 §2.4.

use std::time::Instant;

use super::authentication::AuthenticatedUser;
use super::command::{InviteId, LocalContact, Reply, ServerTransactionId};
use super::event::{Pending, Source};
use super::server::Hop;
use super::subscription_command::SubscriptionId;
use super::subscriptions::{Entry, Place, Side, event_of_refer};
use super::{Endpoint, Event, Failure, Owner};
use crate::dialog::{Dialog, DialogId};
use crate::refer::{self, ReferSub};
use crate::subscription::{
    self, Admission, Document, Next, Notice, Notifier, Package, SubscriptionEnd, notifier,
};
use crate::{EventPackage, Method, Name, Request, Response, Status, SubscriptionState};

impl Endpoint {
    /// Which event packages peers may subscribe to. From then on a SUBSCRIBE to any other is refused by the endpoint, as is
    /// one that asks for too little time or for other documents; what is left is told as `Requested`, to be accepted by
    /// `accept_subscription` or refused by `respond`. Without this every SUBSCRIBE outside of known subscriptions is told.
    pub fn serve_events(&mut self, packages: Vec<Package>) {
        self.capabilities.set_packages(&packages);
        self.subscriptions.packages = packages;
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

    /// Accepts the REFER that `Requested` told of: 200, and a subscription if it wants one. The caller says by `notify` what
    /// comes of it, with a [`sipfrag`](crate::sipfrag); the last one ends it (`NoResource`). RS-30.
    pub fn accept_refer(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: &Request,
        contact: LocalContact,
        now: Instant,
    ) {
        let mut reply = Reply::new(Status::OK);
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
    pub(super) fn accept_usage(
        &mut self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: &Request,
        (admission, package): (Admission, Package),
        contact: LocalContact,
        mut reply: Reply,
        now: Instant,
    ) {
        let server = self.servers.get(transaction);
        let Some((to, source)) = server.and_then(|server| Some((server.to()?, server.source)))
        else {
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
                match Dialog::of_server(request, &tag.unwrap_or_default(), source.remote.ip()) {
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
            return self.refuse(
                Pending::Request(transaction),
                Status::SERVICE_UNAVAILABLE,
                now,
            );
        }
        if let Some(usages) = self.subscriptions.usages_by_dialog.get_mut(&dialog) {
            usages.refers = usages.refers.saturating_add(is_refer.into());
        }
        reply.contact = Some(contact);
        self.reply(transaction, reply, now);
        self.refresh_target(&dialog, request.headers.all(&Name::Contact));
        self.schedule_subscription(id);
    }

    pub(super) fn refuse_subscription(
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
        via: &Hop,
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

    /// A SUBSCRIBE in a subscription of the peer: more time, or no more. PRES-17, PRES-18.
    pub(super) fn handle_refresh(
        &mut self,
        id: SubscriptionId,
        dialog: &DialogId,
        request: Request,
        via: &Hop,
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

    pub(super) fn send_notify(
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

    pub(super) fn on_theirs(
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
}
