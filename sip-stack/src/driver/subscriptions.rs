//! Shell: the calls of the handle about subscriptions and REFER, on their way to the endpoint. It decides nothing.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Command, Sip};
use crate::Request;
use crate::endpoint::{
    Endpoint, LocalContact, Refer, ServerTransactionId, Subscribe, SubscriptionId,
};
use crate::subscription::{Notice, Package};

/// One call of the handle on its way to the driver's task.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it travels in a box")]
pub(super) enum SubscriptionCommand {
    Serve(Vec<Package>),
    Subscribe(SubscriptionId, Subscribe),
    Unsubscribe(SubscriptionId),
    Refresh(SubscriptionId),
    Accept(SubscriptionId, ServerTransactionId, Request, LocalContact),
    Notify(SubscriptionId, Notice),
    ReportChange(SubscriptionId),
    Refer(SubscriptionId, Refer),
    AcceptRefer(SubscriptionId, ServerTransactionId, Request, LocalContact),
}

impl SubscriptionCommand {
    pub(super) fn carry_out(self, endpoint: &mut Endpoint, now: Instant) {
        match self {
            Self::Serve(packages) => endpoint.serve_events(packages),
            Self::Subscribe(id, subscribe) => endpoint.subscribe(id, subscribe, now),
            Self::Unsubscribe(id) => endpoint.unsubscribe(id, now),
            Self::Refresh(id) => endpoint.refresh_subscription(id, now),
            Self::Accept(id, transaction, request, contact) => {
                endpoint.accept_subscription(id, transaction, &request, contact, now);
            }
            Self::Notify(id, notice) => endpoint.notify(id, notice, now),
            Self::ReportChange(id) => endpoint.report_change(id, now),
            Self::Refer(id, refer) => endpoint.refer(id, refer, now),
            Self::AcceptRefer(id, transaction, request, contact) => {
                endpoint.accept_refer(id, transaction, &request, contact, now);
            }
        }
    }
}

impl Sip {
    /// An id for a subscription of either side, or a REFER, to come, so that who waits for its events can be registered
    /// first.
    pub fn reserve_subscription(&self) -> SubscriptionId {
        SubscriptionId::new(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Says which event packages peers may subscribe to, see [`Endpoint::serve_events`].
    pub async fn serve_events(&self, packages: Vec<Package>) {
        self.send_about(SubscriptionCommand::Serve(packages)).await;
    }

    /// Subscribes. What comes of it is told by `Notified` and, once, `SubscriptionEnded`; it is refreshed until then.
    pub async fn subscribe(&self, id: SubscriptionId, subscribe: Subscribe) {
        self.send_about(SubscriptionCommand::Subscribe(id, subscribe))
            .await;
    }

    /// Ends a subscription of ours.
    pub async fn unsubscribe(&self, id: SubscriptionId) {
        self.send_about(SubscriptionCommand::Unsubscribe(id)).await;
    }

    /// Asks for the present state of a subscription of ours before it is due.
    pub async fn refresh_subscription(&self, id: SubscriptionId) {
        self.send_about(SubscriptionCommand::Refresh(id)).await;
    }

    /// Accepts the SUBSCRIBE that `Requested` told of, see [`Endpoint::accept_subscription`].
    pub async fn accept_subscription(
        &self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: Request,
        contact: LocalContact,
    ) {
        self.send_about(SubscriptionCommand::Accept(
            id,
            transaction,
            request,
            contact,
        ))
        .await;
    }

    /// Tells the peer of a subscription what the state is.
    pub async fn notify(&self, id: SubscriptionId, notice: Notice) {
        self.send_about(SubscriptionCommand::Notify(id, notice))
            .await;
    }

    /// Says that what a peer watches has changed: `StateAsked` follows when a NOTIFY may be sent.
    pub async fn report_change(&self, id: SubscriptionId) {
        self.send_about(SubscriptionCommand::ReportChange(id)).await;
    }

    /// Sends a REFER. What comes of it is told by `Notified` and, once, `SubscriptionEnded`.
    pub async fn refer(&self, id: SubscriptionId, refer: Refer) {
        self.send_about(SubscriptionCommand::Refer(id, refer)).await;
    }

    /// Accepts the REFER that `Requested` told of, see [`Endpoint::accept_refer`].
    pub async fn accept_refer(
        &self,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        request: Request,
        contact: LocalContact,
    ) {
        self.send_about(SubscriptionCommand::AcceptRefer(
            id,
            transaction,
            request,
            contact,
        ))
        .await;
    }

    async fn send_about(&self, command: SubscriptionCommand) {
        self.send(Command::Subscription(Box::new(command))).await;
    }
}
