//! Shell: the task of one room. Reads its mailbox, runs its core, does what the core asks for. Decides nothing.
//!
//! `from_sip` reads SIP events in the core's terms, `actions` carries out what the core asks for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stox_msrp::SessionEvent;
use stox_sip::SubscriptionId;
use tracing::{Instrument, info_span};

use super::event::{Action, Event, MemberEvent, Place, ReferralId, Settings};
use super::room::Room;
use crate::conversation::Ports;
use crate::mailbox::{self, Mailbox};
use crate::room::{Door, Input, Leg, MemberId, Token, Wires};
use crate::translate::Clock;

/// Inputs handled before their actions are carried out, so that a burst costs one round.
const ROUND: usize = 64;

/// Starts the task of a room in which nobody is yet.
pub fn begin(ports: Arc<Ports>, place: Place) -> Door {
    let (door, mailbox) = mailbox::door();
    let span = info_span!("room", xmpp = %place.jid, sip = %place.uri);
    let core = Room::new(
        place,
        ports.addresses.clone(),
        Settings::default(),
        rand::random(),
        Clock::new(Instant::now(), SystemTime::now()),
    );
    let task = Task {
        ports,
        core,
        door: door.clone(),
        wires: Wires::default(),
        member_by_subscription: HashMap::new(),
        referral_by_subscription: HashMap::new(),
    };
    tokio::spawn(task.run(mailbox).instrument(span));
    door
}

pub(super) struct Task {
    pub ports: Arc<Ports>,
    pub core: Room,
    pub door: Door,
    pub wires: Wires,
    /// One at most for each member.
    pub member_by_subscription: HashMap<SubscriptionId, MemberId>,
    pub referral_by_subscription: HashMap<SubscriptionId, ReferralId>,
}

impl Task {
    async fn run(mut self, mut mailbox: Mailbox<Input>) {
        let mut actions = Vec::new();
        loop {
            let due = self.core.poll_timeout();
            let first = tokio::select! {
                input = mailbox.recv() => input,
                () = until(due) => None,
            };
            match first {
                Some(input) => {
                    self.take(input, &mut actions).await;
                    for _ in 1..ROUND {
                        match mailbox.try_recv() {
                            Some(input) => self.take(input, &mut actions).await,
                            None => break,
                        }
                    }
                }
                None => self.tell(Event::Elapsed, &mut actions),
            }
            self.perform_all(&mut actions).await;
            let address = &self.core.place().jid;
            if self.core.is_forgettable() && self.ports.registry.retire_room(address) {
                break;
            }
        }
    }

    /// Tells the core what came, in its own terms.
    async fn take(&mut self, input: Input, actions: &mut Vec<Action>) {
        let event = match input {
            Input::Stanza(stanza) => Some(Event::Stanza(*stanza)),
            Input::Invited(invited) => {
                let (invite, request, _, to, source) = *invited;
                self.invited(invite, &request, to, source).await
            }
            Input::Sip(event) => self.sip_event(*event).await,
            Input::Msrp(member, leg, incoming) => self
                .wires
                .has(member, leg)
                .then(|| Event::Member(member, MemberEvent::Received(leg, *incoming))),
            // A room gives nicknames, it takes none; and what a lost connection did not bring goes back to its sender.
            Input::MsrpNickname(..) | Input::MsrpUnconfirmed(..) => None,
            Input::MsrpOutcome(member, leg, event) => self.outcome(member, leg, event),
            Input::Handed(token) => Some(Event::Handed(token)),
            Input::Lost(token) => Some(Event::Lost(token)),
            Input::LinkUp => Some(Event::LinkUp),
            Input::LinkDown => Some(Event::LinkDown),
            Input::ShutDown | Input::Abandon => Some(Event::ShutDown),
        };
        if let Some(event) = event {
            self.tell(event, actions);
        }
    }

    fn outcome(&self, member: MemberId, leg: Leg, event: SessionEvent) -> Option<Event> {
        if !self.wires.has(member, leg) {
            return None;
        }
        let event = match event {
            SessionEvent::Bound => MemberEvent::Bound,
            SessionEvent::Accepted { token } => MemberEvent::Accepted(Token(token)),
            SessionEvent::Refused { token, status } => MemberEvent::Refused(Token(token), status),
            SessionEvent::Unanswered { token } => MemberEvent::Unanswered(Token(token)),
            // The answer to the SEND has said as much.
            SessionEvent::Reported { .. } => return None,
            SessionEvent::Lost { cause } => MemberEvent::Disconnected(cause),
        };
        Some(Event::Member(member, event))
    }

    fn tell(&mut self, event: Event, actions: &mut Vec<Action>) {
        self.core.handle(event, Instant::now(), actions);
    }

    /// Carries out what the core asks for, and what follows from that.
    async fn perform_all(&mut self, actions: &mut Vec<Action>) {
        while !actions.is_empty() {
            for action in std::mem::take(actions) {
                if let Some(event) = self.perform(action).await {
                    self.tell(event, actions);
                }
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
