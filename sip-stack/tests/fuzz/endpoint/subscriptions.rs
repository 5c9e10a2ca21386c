//! What the user does about subscriptions and REFER, of either side.

use stox_sip::{
    Document, Event, EventPackage, Method, Notice, Package, Refer, ReferPlace, ReferSub, ReferTo,
    Subscribe, SubscriptionId, TerminationReason, Text,
};

use super::{Choices, Play, address, contact, pick, target};

/// Served to peers; none: the user is told of every SUBSCRIBE.
pub(super) fn packages(choices: &mut Choices<'_>) -> Vec<Package> {
    match choices.below(2) {
        0 => vec![Package::new(
            "presence",
            [Text::from("application/pidf+xml")],
        )],
        _ => Vec::new(),
    }
}

impl Play {
    pub(super) fn subscribe(&mut self, choices: &mut Choices<'_>) {
        let id = self.new_subscription();
        let mut subscribe = Subscribe::new(
            target(choices).parse().unwrap(),
            address("juliet"),
            address("romeo"),
            contact(),
            EventPackage::new("presence"),
        );
        subscribe.expires = choices.of(&[3600, 0, 1]);
        self.endpoint.subscribe(id, subscribe, self.now);
    }

    pub(super) fn refer(&mut self, choices: &mut Choices<'_>) {
        let invite = pick(&self.invites, choices);
        let place = match invite.filter(|_| choices.below(2) == 0) {
            Some(invite) => ReferPlace::In(invite),
            None => ReferPlace::Outside {
                target: target(choices).parse().unwrap(),
                from: address("juliet"),
                to: address("romeo"),
                contact: contact(),
            },
        };
        let id = self.new_subscription();
        let refer = Refer {
            place,
            refer_to: ReferTo::new(address("mercutio")),
            referred_by: None,
            subscription: choices.of(&[ReferSub::Wanted, ReferSub::Unwanted]),
            headers: Vec::new(),
        };
        self.endpoint.refer(id, refer, self.now);
    }

    /// Accepts a SUBSCRIBE or REFER that was told, be it over or not.
    pub(super) fn accept_usage(&mut self, choices: &mut Choices<'_>) {
        let asked: Vec<_> = self
            .told
            .iter()
            .filter_map(|event| match event {
                Event::Requested {
                    transaction,
                    request,
                    ..
                } => Some((*transaction, request.clone())),
                _ => None,
            })
            .collect();
        let Some((transaction, request)) = pick(&asked, choices) else {
            return;
        };
        // Another id is not for what was answered before.
        if !self.transactions.contains(&transaction) {
            return;
        }
        self.transactions.retain(|other| *other != transaction);
        match request.method {
            Method::Subscribe if request.event().is_ok_and(|event| event.name == "presence") => {
                let id = self.new_subscription();
                self.endpoint
                    .accept_subscription(id, transaction, &request, contact(), self.now);
            }
            Method::Refer => {
                let id = self.new_subscription();
                self.endpoint
                    .accept_refer(id, transaction, &request, contact(), self.now);
            }
            _ => {}
        }
    }

    pub(super) fn notify(&mut self, choices: &mut Choices<'_>) {
        let document = choices
            .of(&[Some(20), None, Some(1500)])
            .map(|length| Document {
                content_type: "application/pidf+xml".into(),
                body: vec![b'x'; length].into(),
            });
        let notice = match choices.below(3) {
            0 => Notice::Active(document),
            1 => Notice::Pending(document),
            _ => over(),
        };
        if let Some(id) = pick(&self.subscriptions, choices) {
            self.endpoint.notify(id, notice, self.now);
        }
    }

    pub(super) fn adjust_subscription(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = pick(&self.subscriptions, choices) else {
            return;
        };
        match choices.below(3) {
            0 => self.endpoint.unsubscribe(id, self.now),
            1 => self.endpoint.refresh_subscription(id, self.now),
            _ => self.endpoint.report_change(id, self.now),
        }
    }

    pub(super) fn end_subscriptions(&mut self) {
        for id in self.subscriptions.clone() {
            self.endpoint.unsubscribe(id, self.now);
            self.endpoint.notify(id, over(), self.now);
            self.look();
        }
    }

    fn new_subscription(&mut self) -> SubscriptionId {
        self.numbers += 1;
        let id = SubscriptionId::new(self.numbers);
        self.subscriptions.push(id);
        self.watch.user_subscribed(id);
        id
    }
}

fn over() -> Notice {
    Notice::Terminated {
        reason: TerminationReason::NoResource,
        retry_after: None,
        document: None,
    }
}
