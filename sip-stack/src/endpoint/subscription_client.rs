//! Subscriptions of ours, and REFER that we send. RFC 6665 §4.1; RFC 3515 §2.4.

use std::time::Instant;

use super::command::{OutgoingRequest, Reply};
use super::event::Source;
use super::server::Hop;
use super::subscription_command::{Refer, ReferPlace, Subscribe, SubscriptionId};
use super::subscriptions::{Entry, Opening, Place, Side, event_of_refer, is_for};
use super::{Endpoint, Event, Failure, Owner, compose};
use crate::dialog::{Dialog, DialogId};
use crate::refer;
use crate::subscription::{Answer, Next, Subscriber, SubscriptionEnd, subscriber};
use crate::{EventPackage, Method, Name, Request, Response, Status, Text};

impl Endpoint {
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
                let next_hop = established.dialog.next_hop();
                let event = event_of_refer(&request);
                let place = Place::Dialog(dialog);
                if !self.begin_subscription(id, side, place, event, contact.clone()) {
                    return;
                }
                compose::add_user_headers(&mut request, headers, &self.capabilities);
                let owner = Owner::Subscription(id);
                self.start(request, owner, Some(contact), next_hop, now);
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

    /// The NOTIFY that makes the dialog of a SUBSCRIBE. One from another fork is refused. PRES-03.
    pub(super) fn handle_first_notify(
        &mut self,
        id: SubscriptionId,
        request: Request,
        via: &Hop,
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
            }) => Dialog::of_notify(&request, opening.cseq, source.remote.ip())
                .map_err(|_| Status::BAD_REQUEST),
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

    /// A NOTIFY of a subscription of ours: answered at once, and told.
    pub(super) fn handle_notify(
        &mut self,
        id: SubscriptionId,
        dialog: &DialogId,
        request: Request,
        via: &Hop,
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

    pub(super) fn handle_subscription_failure(
        &mut self,
        id: SubscriptionId,
        cause: Failure,
        now: Instant,
    ) {
        self.on_ours(id, now, |ours, out| ours.handle_failed(cause, now, out));
    }

    pub(super) fn send_subscribe(&mut self, id: SubscriptionId, expires: u32, now: Instant) {
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
    pub(super) fn send_opening(
        &mut self,
        id: SubscriptionId,
        fields: Vec<(Name, String)>,
        now: Instant,
    ) {
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
        let (request, contact) = compose::request(request, &identity, &self.capabilities);
        let next_hop = self.next_hop(&request);
        self.start(request, Owner::Subscription(id), contact, next_hop, now);
    }

    pub(super) fn opening(&mut self, request: OutgoingRequest) -> Place {
        let half = (Text::from(self.new_call_id()), Text::from(self.new_tag()));
        Place::Opening(Box::new(Opening {
            request,
            half,
            cseq: 0,
        }))
    }

    pub(super) fn on_ours(
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

    pub(super) fn carry_out_of_ours(
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
}
