//! Stanzas: to the conversation or room they belong to, or back.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;
use tracing::{debug, info};

use super::inquiries::Inquiries;
use super::lobby::Lobby;
use super::{MESSAGES, SharedPorts};
use crate::address::{Addresses, BareJid, Jid};
use crate::conversation::{self, Ports, Receipt};
use crate::fault::{Condition, Fault};
use crate::from_xmpp;
use crate::mailbox::Input;
use crate::metrics;
use crate::pairs::Pairs;
use crate::rates::Rates;
use crate::registry::Key;
use crate::room;
use crate::store::{EntryId, LeftBehind};
use crate::translate::{Event, Parties};
use crate::xmpp::{
    self, Delay, Handler as XmppHandler, Iq, LinkEvent, Message, Outgoing, OutgoingPresence,
    Presence, PresenceType, Stanza,
};

/// Routes stanzas.
pub struct XmppRouter {
    ports: SharedPorts,
    pub(super) lobby: Arc<Lobby>,
    pub(super) inquiries: Arc<Inquiries>,
    pub(super) addresses: Arc<Addresses>,
    pairs: Pairs,
    /// The component's own.
    domain: String,
    /// What an earlier process left behind, until the XMPP server can be told what becomes of it.
    left_behind: Vec<LeftBehind>,
    /// Whether the XMPP server has accepted the component.
    up: watch::Sender<bool>,
    /// What each XMPP user writes.
    pub(super) messages: Rates<BareJid>,
}

/// How a message came.
#[derive(Clone, Copy, Debug)]
enum Arrival<'a> {
    /// From the XMPP server just now; these are its bytes.
    Fresh(&'a Bytes),
    /// From the store, where it has that name.
    LeftBehind(EntryId),
}

/// Processes that may have died of a message before it goes back.
const TRIES: u32 = 3;

impl XmppRouter {
    /// A router to the conversations behind `ports`. `left_behind` is taken up when the link stands for the first time.
    pub fn new(
        ports: SharedPorts,
        lobby: Arc<Lobby>,
        inquiries: Arc<Inquiries>,
        addresses: Arc<Addresses>,
        domain: String,
        left_behind: Vec<LeftBehind>,
        up: watch::Sender<bool>,
    ) -> XmppRouter {
        XmppRouter {
            ports,
            lobby,
            inquiries,
            addresses,
            pairs: Pairs::default(),
            domain,
            left_behind,
            up,
            messages: Rates::new(MESSAGES.0, MESSAGES.1),
        }
    }

    pub(super) fn ports(&self) -> &Arc<Ports> {
        self.ports.wait()
    }

    fn message(&mut self, message: Message, arrival: Arrival<'_>) {
        let mut event = match from_xmpp::event_of(&message) {
            Ok(Some(event)) => event,
            Ok(None) => {
                if let Arrival::LeftBehind(entry) = arrival {
                    self.ports().store.release(entry);
                }
                return debug!(from = %message.from, "a message without anything for a SIP user");
            }
            Err(fault) => {
                let entry = match arrival {
                    Arrival::Fresh(_) => None,
                    Arrival::LeftBehind(entry) => Some(entry),
                };
                return self.give_back(&message, &fault, entry);
            }
        };
        let starts = matches!(event, Event::Written(_));
        let is_counted = starts && matches!(arrival, Arrival::Fresh(_));
        if is_counted && !self.messages.take(&message.from.bare(), Instant::now()) {
            let fault = Fault::new(Condition::ResourceConstraint).with_text("too many messages");
            return self.give_back(&message, &fault, None);
        }
        let mut entry = None;
        if let Event::Written(written) = &mut event {
            entry = match arrival {
                Arrival::Fresh(stanza) => self.ports().store.keep(stanza),
                Arrival::LeftBehind(entry) => Some(entry),
            };
            Arc::make_mut(&mut written.origin).entry = entry;
        }
        let (from, to) = (&message.from, &message.to);
        let fault = match self.key(from, to) {
            Err(fault) => fault,
            Ok((key, parties)) => {
                let input = Input::Xmpp(Box::new(event));
                let delivered = if starts {
                    self.ports().registry.deliver(&key, input, |key| {
                        let parties = match parties {
                            Some(parties) => parties,
                            // Known from an earlier conversation.
                            None => self.parties(from, to).ok()?.1,
                        };
                        let ports = self.ports().clone();
                        Some(conversation::begin(ports, key.clone(), parties))
                    })
                } else {
                    self.ports()
                        .registry
                        .deliver_if_known(&key, input)
                        .unwrap_or(Ok(()))
                };
                match delivered {
                    Ok(()) => return,
                    Err(_) => Fault::new(Condition::ResourceConstraint),
                }
            }
        };
        if starts {
            self.give_back(&message, &fault, entry);
        }
    }

    pub(super) fn give_back(&self, message: &Message, fault: &Fault, entry: Option<EntryId>) {
        info!(from = %message.from, to = %message.to, condition = %fault.condition(), text = fault.text(), "a message goes back to the XMPP user");
        if let Some(refusal) = Outgoing::refusal(message, fault.into()) {
            let given_back = entry.map(|entry| self.ports().given_back(entry));
            self.reply(refusal, given_back);
        }
    }

    /// What an earlier process took and did not hand on.
    fn take_up(&mut self, left: LeftBehind) {
        let LeftBehind {
            entry,
            received,
            tries,
            stanza,
        } = left;
        let message = match xmpp::reread(&self.domain, &stanza) {
            Some(Stanza::Message(message)) => message,
            Some(Stanza::Presence(_) | Stanza::Iq(_)) | None => {
                self.ports().store.release(entry);
                return tracing::error!(
                    bytes = stanza.len(),
                    "a message in the store cannot be read any more: it is lost"
                );
            }
        };
        if tries > TRIES {
            let fault = Fault::new(Condition::InternalServerError);
            tracing::error!(from = %message.from, to = %message.to, tries, "a message goes back: stox ended each time it had it");
            if let Some(refusal) = Outgoing::refusal(&message, (&fault).into()) {
                self.reply(refusal, Some(self.ports().given_back(entry)));
            }
            return;
        }
        info!(from = %message.from, to = %message.to, "a message of before the restart is handed on");
        let mut message = *message;
        if let Some(thread) = &message.thread {
            // The earlier process has probably had a dialog of that name (CHAT-03).
            self.ports().registry.claim_call_id(&thread.id);
        }
        message.delay.get_or_insert(Delay {
            from: None,
            stamp: received,
        });
        self.message(message, Arrival::LeftBehind(entry));
    }

    /// The gateway itself may be on anybody's contact list, and is there as long as it runs (DISCO-08).
    fn presence_of_ours(&self, presence: &Presence) {
        let is_allowed = self.addresses.allows(&presence.from);
        let answers: &[PresenceType] = match presence.kind {
            PresenceType::Subscribe if !is_allowed => &[PresenceType::Unsubscribed],
            PresenceType::Probe if !is_allowed => &[],
            PresenceType::Subscribe => &[
                PresenceType::Subscribed,
                PresenceType::Subscribe,
                PresenceType::Available,
            ],
            PresenceType::Probe => &[PresenceType::Available],
            PresenceType::Unsubscribe => &[PresenceType::Unsubscribed],
            PresenceType::Available
            | PresenceType::Error
            | PresenceType::Subscribed
            | PresenceType::Unavailable
            | PresenceType::Unsubscribed => &[],
        };
        let to = presence.from.bare().into_jid();
        for kind in answers {
            self.reply(OutgoingPresence::new(&presence.to, &to, *kind).into(), None);
        }
    }

    /// Presence of SIP users is not there yet: what is not for a room is ignored.
    fn presence(&self, presence: &Presence) {
        match presence.to.node() {
            None => self.presence_of_ours(presence),
            Some(_) => self.presence_for_room(presence),
        }
    }

    pub(super) fn reply(&self, stanza: Outgoing, confirm: Option<Receipt>) {
        if let Err(refused) = self.ports().xmpp.send(stanza, confirm) {
            tracing::warn!(reason = %refused, "an error cannot be told");
        }
    }

    /// Whose conversation it is; with the parties to it if they had to be mapped.
    fn key(&mut self, from: &Jid, to: &Jid) -> Result<(Key, Option<Parties>), Fault> {
        let pair = self.pairs.pair(from, to);
        if let Some(key) = self.pairs.key(pair) {
            return Ok((key.clone(), None));
        }
        let (key, parties) = self.parties(from, to)?;
        self.pairs.note(pair, key.clone());
        Ok((key, Some(parties)))
    }

    pub(super) fn parties(&self, from: &Jid, to: &Jid) -> Result<(Key, Parties), Fault> {
        let juliet = from.bare().into_jid();
        let parties = Parties {
            juliet_uri: self.addresses.sip_of_xmpp(&juliet)?,
            juliet,
            romeo: to.bare().into_jid(),
            romeo_uri: self.addresses.sip_of(to)?.aor.uri(),
        };
        Ok((Key::of(&parties), parties))
    }
}

impl XmppHandler for XmppRouter {
    fn handle(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Stanza(stanza, bytes) => match self.of_rooms(stanza) {
                Some(Stanza::Message(message)) => {
                    if let Some(message) = self.message_for_room(*message) {
                        self.message(message, Arrival::Fresh(&bytes));
                    }
                }
                Some(Stanza::Presence(presence)) => self.presence(&presence),
                Some(Stanza::Iq(iq)) => self.iq(iq),
                None => {}
            },
            LinkEvent::Up => {
                metrics::link_up();
                self.lobby.link_up();
                self.tell_rooms(|| room::Input::LinkUp);
                // Before anything new, so that their order holds.
                for left in std::mem::take(&mut self.left_behind) {
                    self.take_up(left);
                }
                self.up.send_replace(true);
            }
            LinkEvent::Down => {
                metrics::link_down();
                self.lobby.link_down();
                self.tell_rooms(|| room::Input::LinkDown);
                self.up.send_replace(false);
            }
        }
    }

    fn answers(&self, request: &Iq) -> bool {
        self.room_of(request).is_some() || self.inquiries.concerns(request)
    }
}
