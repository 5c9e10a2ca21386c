//! Shell: which dialog and which MSRP session belong to which chat, and the ways back into the mailbox.

use std::collections::HashMap;

use stox_msrp::node::{Inbox, Session};
use stox_msrp::sdp::Fingerprint;
use stox_msrp::sdp::{Origin, SessionDescription};
use stox_msrp::{Incoming, MsrpUri, SessionEvent, Unconfirmed};
use stox_sip::{InviteId, RequestId};

use crate::mailbox::{Door, Input};
use crate::metrics;
use crate::room;
use crate::store::{EntryId, Store};
use crate::translate::{ChatId, Token};
use crate::xmpp::Confirmation;

/// Which dialog and which MSRP session belong to which chat.
#[derive(Default)]
pub(super) struct Wires {
    pub by_chat: HashMap<ChatId, Wire>,
    pub chat_by_invite: HashMap<InviteId, ChatId>,
    /// Re-INVITEs of ours under way.
    pub chat_by_renewal: HashMap<RequestId, ChatId>,
}

pub(super) struct Wire {
    pub invite: InviteId,
    pub local: MsrpUri,
    /// What our re-INVITE under way offers in its place.
    pub offered: Option<MsrpUri>,
    /// Of the last description of ours.
    pub origin: Origin,
    /// The last description of ours; empty before the first.
    pub described: Vec<u8>,
    pub peer: Vec<MsrpUri>,
    /// The peer's offer, as long as it waits for our answer.
    pub offer: Option<(SessionDescription, usize)>,
    /// Which certificate the peer shows, as its description says (SEC-07).
    pub fingerprint: Option<Fingerprint>,
    pub session: Option<Session>,
    /// Which of the session's connections that is.
    pub leg: u32,
    /// Messages that the peer had not confirmed when a connection was lost (MSRP-10).
    pub unconfirmed: HashMap<Token, Unconfirmed>,
}

impl Wires {
    pub fn add(&mut self, chat: ChatId, wire: Wire) {
        metrics::session_opened();
        self.chat_by_invite.insert(wire.invite, chat);
        self.by_chat.insert(chat, wire);
    }

    /// Whether that is the session's connection at present.
    pub fn has(&self, chat: ChatId, leg: u32) -> bool {
        self.by_chat.get(&chat).is_some_and(|wire| wire.leg == leg)
    }

    pub fn remove(&mut self, chat: ChatId) -> Option<Wire> {
        let wire = self.by_chat.remove(&chat)?;
        self.chat_by_invite.remove(&wire.invite);
        metrics::session_closed();
        Some(wire)
    }
}

/// The way from an MSRP session into the mailbox of its conversation.
pub(super) struct ChatInbox {
    pub chat: ChatId,
    pub leg: u32,
    pub door: Door,
}

impl Inbox for ChatInbox {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        match self
            .door
            .deliver(Input::Msrp(self.chat, self.leg, Box::new(message)))
        {
            Ok(()) => Ok(()),
            Err(full) => match full.0 {
                Input::Msrp(_, _, message) => Err(*message),
                _ => Ok(()),
            },
        }
    }

    fn give_back(&self, unconfirmed: Unconfirmed) {
        let unconfirmed = Box::new(unconfirmed);
        self.door
            .complete(Input::MsrpUnconfirmed(self.chat, self.leg, unconfirmed));
    }

    fn complete(&self, event: SessionEvent) {
        self.door
            .complete(Input::MsrpOutcome(self.chat, self.leg, event));
    }
}

/// Who is told what became of a stanza.
#[derive(Debug)]
pub enum Receipt {
    /// The conversation that wrote it, by its mailbox.
    Conversation {
        /// What it calls the stanza.
        token: Token,
        /// Its door.
        door: Door,
    },
    /// The room that wrote it, by its mailbox.
    Room {
        /// What it calls the stanza.
        token: room::Token,
        /// Its door.
        door: room::Door,
    },
    /// The store: the stanza is the error by which this message goes back to its sender.
    GivenBack {
        /// Where the message is kept.
        store: Store,
        /// Under which name.
        entry: EntryId,
    },
}

impl Confirmation for Receipt {
    fn confirmed(self) {
        match self {
            Receipt::Conversation { token, door } => door.complete(Input::Handed(token)),
            Receipt::Room { token, door } => door.complete(room::Input::Handed(token)),
            Receipt::GivenBack { store, entry } => store.release(entry),
        }
    }

    fn lost(self) {
        match self {
            Receipt::Conversation { token, door } => door.complete(Input::Lost(token)),
            Receipt::Room { token, door } => door.complete(room::Input::Lost(token)),
            // It stays in the store: the next start tries again.
            Receipt::GivenBack { .. } => {}
        }
    }

    /// A conversation ends only when whoever sent it something knows what became of that: nobody may read later what
    /// its sender believes to have failed.
    fn is_withdrawn(&self) -> bool {
        match self {
            Receipt::Conversation { door, .. } => door.is_closed(),
            Receipt::Room { door, .. } => door.is_closed(),
            Receipt::GivenBack { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::door;

    // PERF-3: nothing is delivered that its sender was told had failed.
    #[test]
    fn what_a_conversation_wrote_is_withdrawn_with_it() {
        let (door, mailbox) = door();
        let token = Token(1);
        let receipt = Receipt::Conversation { token, door };
        assert!(!receipt.is_withdrawn());
        drop(mailbox);
        assert!(receipt.is_withdrawn());
    }
}
