//! The task of one room (shell): reads its mailbox, runs its core, does what the core asks for. Decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stox_msrp::{MsrpUri, Unconfirmed};
use stox_sip::{InviteId, Request, RequestId, ServerTransactionId, SubscriptionId};
use tracing::{Instrument, info_span};

use super::event::{Action, Event, MemberEvent, Settings};
use super::room::Room;
use crate::address::BareJid;
use crate::conversation::Ports;
use crate::mailbox::{Mailbox, door};
use crate::room::{Door, Input, MemberId, Token, Wires};
use crate::translate::Clock;

/// Inputs handled before their actions are carried out, so that a burst costs one round.
const ROUND: usize = 64;

/// Starts the task of a room that nobody is in yet; `None`: SIP cannot name it.
pub fn begin(ports: Arc<Ports>, address: BareJid) -> Option<Door> {
    let uri = ports.addresses.sip_of_xmpp(&address).ok()?;
    let (door, mailbox) = door();
    let span = info_span!("room", xmpp = %address, sip = %uri);
    let core = Room::new(
        address.clone(),
        uri,
        ports.addresses.clone(),
        Settings::default(),
        rand::random(),
        Clock::new(Instant::now(), SystemTime::now()),
    );
    let task = Task {
        ports,
        address,
        core,
        door: door.clone(),
        wires: Wires::default(),
        lines: HashMap::new(),
        member_by_renewal: HashMap::new(),
        asked: HashMap::new(),
    };
    tokio::spawn(task.run(mailbox).instrument(span));
    Some(door)
}

pub(super) struct Task {
    pub ports: Arc<Ports>,
    pub address: BareJid,
    pub core: Room,
    pub door: Door,
    pub wires: Wires,
    /// What belongs to the MSRP connections beside that.
    pub lines: HashMap<MemberId, Line>,
    /// Re-INVITEs of ours under way.
    pub member_by_renewal: HashMap<RequestId, MemberId>,
    /// SUBSCRIBEs and REFERs that the core has not decided on.
    pub asked: HashMap<SubscriptionId, (ServerTransactionId, Request)>,
}

/// What belongs to a member's MSRP connection.
#[derive(Default)]
pub(super) struct Line {
    /// The peer's path.
    pub peer: Vec<MsrpUri>,
    /// What our re-INVITE under way offers in place of our path.
    pub offered: Option<MsrpUri>,
    /// Messages that the peer had not confirmed when a connection was lost (MSRP-10).
    pub unconfirmed: HashMap<Token, Unconfirmed>,
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
                None => self
                    .core
                    .handle(Event::Elapsed, Instant::now(), &mut actions),
            }
            self.perform_all(&mut actions).await;
            if self.core.is_over() && self.ports.registry.retire_room(&self.address) {
                break;
            }
        }
    }

    /// Tells the core what came, in its own terms.
    async fn take(&mut self, input: Input, actions: &mut Vec<Action>) {
        let event = match input {
            Input::Stanza(stanza) => Some(Event::Stanza(stanza)),
            Input::Invited(invited) => {
                let (invite, request, from, _, source) = *invited;
                self.invited(invite, &request, &from, source).await
            }
            Input::Sip(event) => self.sip_event(*event).await,
            // What came by a connection that another has taken the place of was not answered: it comes again.
            Input::Msrp(member, leg, incoming) => self
                .wires
                .has(member, leg)
                .then(|| Event::Member(member, MemberEvent::Received(incoming))),
            Input::MsrpNickname(member, leg, request) => self
                .wires
                .has(member, leg)
                .then(|| Event::Member(member, MemberEvent::Nickname(request))),
            Input::MsrpUnconfirmed(member, leg, unconfirmed) => {
                self.keep(member, leg, *unconfirmed);
                None
            }
            Input::MsrpOutcome(member, leg, event) => self
                .wires
                .has(member, leg)
                .then(|| super::from_sip::of_session(member, event))
                .flatten(),
            Input::Handed(token) => Some(Event::Handed(token)),
            Input::Lost(token) => Some(Event::Lost(token)),
            Input::LinkUp => Some(Event::LinkUp),
            Input::LinkDown => Some(Event::LinkDown),
            Input::ShutDown => Some(Event::ShutDown),
            Input::Abandon => Some(Event::Abandon),
        };
        if let Some(event) = event {
            self.core.handle(event, Instant::now(), actions);
        }
    }

    /// Carries out what the core asks for, and what follows from that.
    async fn perform_all(&mut self, actions: &mut Vec<Action>) {
        while !actions.is_empty() {
            for action in std::mem::take(actions) {
                if let Some(event) = self.perform(action).await {
                    self.core.handle(event, Instant::now(), actions);
                }
            }
        }
    }

    pub(super) fn of_member(&self, invite: InviteId, event: MemberEvent) -> Option<Event> {
        Some(Event::Member(self.wires.member(invite)?, event))
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
