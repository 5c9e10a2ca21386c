//! The task of one conversation (shell): reads its mailbox, runs its core, does what the core asks for. Decides nothing.
//!
//! `from_sip` reads SIP events in the core's terms, `changing` answers and sends re-INVITEs, `actions` carries out what the core asks for, `wires` keeps which
//! dialog and which MSRP session belong to which chat.

mod actions;
mod changing;
mod from_sip;
mod wires;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stox_msrp::node::Node;
use stox_sip::{Reach, Sip};
use tokio::time::sleep_until;
use tracing::{Instrument, info_span};

use crate::address::Addresses;
use crate::mailbox::{Door, Input, Mailbox, door};
use crate::registry::{Key, Registry};
use crate::sip;
use crate::store::{EntryId, Store};
use crate::translate::{Action, ChatEvent, Clock, Conversation, Event, Parties, Settings};
use crate::xmpp::Link;
use wires::Wires;
pub use wires::{Receipt, admitted};

/// Inputs handled before their actions are carried out, so that a burst costs one round.
const ROUND: usize = 64;

/// What all conversations share.
pub struct Ports {
    /// The way to the XMPP server.
    pub xmpp: Link<Receipt>,
    /// The way to SIP peers.
    pub sip: Sip,
    /// The way to MSRP peers.
    pub msrp: Node,
    /// What outlives the process.
    pub store: Store,
    /// Where doors are found.
    pub registry: Arc<Registry>,
    /// How addresses of the two worlds name each other.
    pub addresses: Arc<Addresses>,
    /// What the configuration says of chats.
    pub settings: Settings,
    /// The largest MSRP message taken, in bytes.
    pub max_size: u64,
    /// Where the paths of SIP users may lead us.
    pub reach: Reach,
}

impl Ports {
    /// Lets the store forget a message when the error that gives it back has reached the server.
    pub fn given_back(&self, entry: EntryId) -> Receipt {
        Receipt::GivenBack {
            store: self.store.clone(),
            entry,
        }
    }

    /// What our session descriptions say.
    pub(crate) fn terms(&self) -> sip::Terms {
        sip::Terms {
            max_size: self.max_size,
            fingerprint: self.msrp.fingerprint(),
        }
    }
}

/// Starts the task of a conversation in which nothing was said yet.
pub fn begin(ports: Arc<Ports>, key: Key, mut parties: Parties) -> Door {
    if let Some(uri) = ports.registry.spelling(&key) {
        parties.romeo_uri = uri;
    }
    let (door, mailbox) = door();
    let span = info_span!("conversation", xmpp = %parties.juliet, sip = %parties.romeo_uri);
    let core = Conversation::new(
        parties,
        ports.settings.clone(),
        rand::random(),
        Clock::new(Instant::now(), SystemTime::now()),
    );
    let task = Task {
        ports,
        key,
        core,
        door: door.clone(),
        wires: Wires::default(),
    };
    tokio::spawn(Box::new(task).run(mailbox).instrument(span));
    door
}

struct Task {
    ports: Arc<Ports>,
    key: Key,
    core: Conversation,
    door: Door,
    wires: Wires,
}

impl Task {
    /// In a box: an async function keeps its arguments twice.
    async fn run(mut self: Box<Self>, mut mailbox: Mailbox) {
        let mut actions = Vec::new();
        let mut alarm = pin!(sleep_until(tokio::time::Instant::now()));
        loop {
            let due = self.core.poll_timeout();
            // Set anew only when it must ring earlier: with each message most deadlines move on.
            if let Some(due) = due
                && (alarm.is_elapsed() || alarm.deadline().into_std() > due)
            {
                alarm.as_mut().reset(due.into());
            }
            let first = tokio::select! {
                input = mailbox.recv() => input,
                () = alarm.as_mut(), if due.is_some() => None,
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
                None => {
                    let now = Instant::now();
                    if due.is_some_and(|due| due <= now) {
                        self.core.handle(Event::Elapsed, now, &mut actions);
                    }
                }
            }
            self.perform_all(&mut actions).await;
            if self.core.is_over(Instant::now()) && self.ports.registry.retire(&self.key) {
                break;
            }
        }
    }

    /// Tells the core what came, in its own terms.
    async fn take(&mut self, input: Input, actions: &mut Vec<Action>) {
        match self.read(input) {
            Ok(Some(event)) => self.core.handle(event, Instant::now(), actions),
            Ok(None) => {}
            // In a box, so that a conversation with nothing to do is small (PERF-6).
            Err(input) => Box::pin(self.take_sip(input, actions)).await,
        }
    }

    /// What the SIP driver told, of which some is answered here; for that one may have to wait.
    async fn take_sip(&mut self, input: Input, actions: &mut Vec<Action>) {
        let event = match input {
            Input::Invited(invited) => {
                let (invite, request, from, to, source) = *invited;
                self.invited(invite, &request, &from, to, source).await
            }
            Input::Paged(paged) => {
                let (transaction, request, from) = *paged;
                self.paged(transaction, None, &request, &from).await
            }
            Input::PagedInside(paged) => {
                let (transaction, request, invite) = *paged;
                let from = self.core.parties().romeo_uri.clone();
                self.paged(transaction, Some(invite), &request, &from).await
            }
            Input::Sip(event) => self.sip_event(*event).await,
            others => self.read(others).ok().flatten(),
        };
        if let Some(event) = event {
            self.core.handle(event, Instant::now(), actions);
        }
    }

    /// Everything else; gives back what the SIP driver told.
    fn read(&mut self, input: Input) -> Result<Option<Event>, Input> {
        Ok(match input {
            Input::Xmpp(event) => Some(*event),
            // What came by a connection that another has taken the place of was not answered: it comes again.
            Input::Msrp(chat, leg, incoming) => self
                .wires
                .has(chat, leg)
                .then(|| Event::Chat(chat, ChatEvent::Received(*incoming))),
            Input::MsrpUnconfirmed(chat, leg, unconfirmed) => {
                self.keep(chat, leg, *unconfirmed);
                None
            }
            Input::MsrpOutcome(chat, leg, event) => self
                .wires
                .has(chat, leg)
                .then(|| Event::Chat(chat, sip::of_session(event))),
            Input::Handed(token) => Some(Event::Handed(token)),
            Input::Lost(token) => Some(Event::Lost(token)),
            Input::ShutDown => Some(Event::ShutDown),
            Input::Abandon => Some(Event::Abandon),
            Input::Invited(_) | Input::Paged(_) | Input::PagedInside(_) | Input::Sip(_) => {
                return Err(input);
            }
        })
    }

    /// Carries out what the core asks for, and what follows from that.
    async fn perform_all(&mut self, actions: &mut Vec<Action>) {
        while !actions.is_empty() {
            for action in std::mem::take(actions) {
                match self.perform(action) {
                    Ok(Some(event)) => self.core.handle(event, Instant::now(), actions),
                    Ok(None) => {}
                    // In a box for the same reason.
                    Err(action) => Box::pin(self.perform_waiting(action, actions)).await,
                }
            }
        }
    }

    async fn perform_waiting(&mut self, action: Action, actions: &mut Vec<Action>) {
        if let Some(event) = self.perform_by_sip(action).await {
            self.core.handle(event, Instant::now(), actions);
        }
    }
}
