//! Shell: which dialog and which MSRP session belong to which chat, and the ways back into the mailbox.

use std::collections::HashMap;
use std::net::IpAddr;

use stox_msrp::node::{Inbox, Session};
use stox_msrp::sdp::Fingerprint;
use stox_msrp::sdp::{Origin, SessionDescription};
use stox_msrp::{
    Admitted, FailureReport, Incoming, MsrpUri, Outgoing, SendError, SessionEvent, Unconfirmed,
};
use stox_sip::{InviteId, Reach, RequestId};

use crate::mailbox::{Door, Input};
use crate::metrics;
use crate::room;
use crate::store::{EntryId, Store};
use crate::translate::{ChatEvent, ChatId, Token};
use crate::xmpp::Confirmation;

/// MSRP status of what was not answered in time (T10).
const TIMEOUT: u16 = 408;

/// Which dialog and which MSRP session belong to which chat.
#[derive(Default)]
pub(super) struct Wires {
    /// Not in the map itself, which has room for three from the first on (PERF-6).
    pub by_chat: HashMap<ChatId, Box<Wire>>,
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
    /// Of the text of the last description of ours: it is told from others, no more.
    pub described: Option<u64>,
    pub peer: Vec<MsrpUri>,
    /// The peer's offer, as long as it waits for our answer.
    pub offer: Option<Box<(SessionDescription, usize)>>,
    /// Which certificate the peer shows, as its description says (SEC-07).
    pub fingerprint: Option<Fingerprint>,
    /// Where the SIP of the peer comes from; unknown until it has answered.
    pub source: Option<IpAddr>,
    pub session: Option<Session>,
    /// Which of the session's connections that is.
    pub leg: u32,
    /// For the connection to come (MSRP-10).
    pub kept: HashMap<Token, Kept>,
}

/// A message that a connection left behind.
pub(super) enum Kept {
    /// The peer may have it, and knows it by its Message-ID then.
    Unconfirmed(Unconfirmed),
    /// The connection was gone before it could be written.
    Unsent(Box<Outgoing>),
}

impl Wire {
    /// What the peer's path may lead to: nothing that is nearer than where its SIP comes from (SEC-11).
    pub fn admitted(&self, reach: &Reach) -> Admitted {
        match self.source {
            Some(source) => admitted(reach, source),
            None => Admitted::only(|_| false),
        }
    }

    /// Sends by the connection there is, and keeps what that takes no more. Returns what the core must know.
    pub fn send(&mut self, outgoing: Outgoing) -> Result<(), ChatEvent> {
        let token = Token(outgoing.token);
        let Some(session) = &self.session else {
            return Err(self.keep_unsent(Box::new(outgoing)));
        };
        session.send(outgoing).map_err(|unsent| match unsent.why {
            SendError::Closed => self.keep_unsent(unsent.message),
            why => refused(token, why),
        })
    }

    /// Sends what the connection before gave back, under the Message-ID it had. What was not given back may have been
    /// read: its sender hears that nobody answered, which says nothing of the peer on the new connection.
    pub fn send_kept(&mut self, token: Token) -> Result<(), ChatEvent> {
        match self.kept.remove(&token) {
            Some(Kept::Unconfirmed(unconfirmed)) => self.send_again(unconfirmed),
            Some(Kept::Unsent(outgoing)) => self.send(*outgoing),
            None => Err(ChatEvent::Refused(token, TIMEOUT)),
        }
    }

    fn send_again(&mut self, unconfirmed: Unconfirmed) -> Result<(), ChatEvent> {
        let token = Token(unconfirmed.outgoing.token);
        let Some(session) = &self.session else {
            self.kept.insert(token, Kept::Unconfirmed(unconfirmed));
            return Err(ChatEvent::Unsent(token));
        };
        let sent = session.send_again(unconfirmed);
        sent.map_err(|unsent| match unsent.why {
            SendError::Closed => {
                self.kept.insert(token, Kept::Unconfirmed(*unsent.message));
                ChatEvent::Unsent(token)
            }
            why => refused(token, why),
        })
    }

    /// Nobody asks for a document again: it says what was true for a moment.
    fn keep_unsent(&mut self, outgoing: Box<Outgoing>) -> ChatEvent {
        let token = Token(outgoing.token);
        if outgoing.success_report || outgoing.failure_report != FailureReport::No {
            self.kept.insert(token, Kept::Unsent(outgoing));
        }
        ChatEvent::Unsent(token)
    }
}

/// What the path of a peer may lead to whose SIP comes from there (SEC-11).
pub fn admitted(reach: &Reach, source: IpAddr) -> Admitted {
    let reach = reach.clone();
    Admitted::only(move |address| reach.leads(source, address))
}

fn refused(token: Token, why: SendError) -> ChatEvent {
    match why {
        SendError::Full => ChatEvent::Congested(token),
        SendError::Closed => ChatEvent::Unsent(token),
        SendError::NotBound | SendError::BadContentType => ChatEvent::Refused(token, 400),
        SendError::RefusedType => ChatEvent::Refused(token, 415),
    }
}

impl Wires {
    pub fn add(&mut self, chat: ChatId, wire: Wire) {
        metrics::session_opened();
        self.chat_by_invite.insert(wire.invite, chat);
        self.by_chat.insert(chat, Box::new(wire));
    }

    /// Whether that is the session's connection at present.
    pub fn has(&self, chat: ChatId, leg: u32) -> bool {
        self.by_chat.get(&chat).is_some_and(|wire| wire.leg == leg)
    }

    pub fn remove(&mut self, chat: ChatId) -> Option<Box<Wire>> {
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
    use stox_msrp::node::{Node, NodeConfig};
    use stox_msrp::{Role, SessionConfig, SessionOptions};
    use stox_sip::InviteId;

    use super::*;
    use crate::mailbox::{Mailbox, door};

    fn outgoing(token: u64) -> Outgoing {
        Outgoing {
            token,
            transaction_id: None,
            content_type: "text/plain".to_owned(),
            body: "Art thou not Romeo?".into(),
            success_report: false,
            failure_report: FailureReport::Yes,
        }
    }

    /// A wire whose connection is gone.
    async fn broken() -> (Wire, Mailbox) {
        let node = Node::bind(NodeConfig::default()).await.unwrap();
        let (door, mut mailbox) = door();
        let mut wire = Wire::new(InviteId::ours(1), node.mint());
        let config = SessionConfig {
            local: wire.local.clone(),
            remote: vec!["msrp://127.0.0.1:9/peer;tcp".parse().unwrap()],
            role: Role::Passive,
            max_size: 9000,
            fingerprint: None,
            options: SessionOptions::default(),
        };
        let (chat, leg) = (ChatId(1), 1);
        wire.session = Some(node.open(config, ChatInbox { chat, leg, door }));
        node.close().await;
        assert!(matches!(mailbox.recv().await, Some(Input::MsrpOutcome(..))));
        (wire, mailbox)
    }

    // MSRP-10
    #[tokio::test]
    async fn what_its_connection_takes_no_more_is_kept_for_the_next() {
        let (mut wire, _mailbox) = broken().await;
        for _ in 0..2 {
            let event = match wire.kept.is_empty() {
                true => wire.send(outgoing(1)),
                false => wire.send_kept(Token(1)),
            };
            assert!(
                matches!(event, Err(ChatEvent::Unsent(Token(1)))),
                "{event:?}"
            );
            let kept = wire.kept.get(&Token(1));
            assert!(
                matches!(kept, Some(Kept::Unsent(message)) if message.body == "Art thou not Romeo?")
            );
        }
        let unconfirmed = Unconfirmed {
            message_id: stox_msrp::Ident::new(b"12345678").unwrap(),
            outgoing: outgoing(2),
        };
        wire.kept.insert(Token(2), Kept::Unconfirmed(unconfirmed));
        let event = wire.send_kept(Token(2));
        assert!(
            matches!(event, Err(ChatEvent::Unsent(Token(2)))),
            "{event:?}"
        );
        let kept = wire.kept.get(&Token(2));
        assert!(
            matches!(kept, Some(Kept::Unconfirmed(message)) if message.message_id.as_bytes() == b"12345678")
        );
        // What the user's client is told of the moment is not told later.
        let event = wire.send(Outgoing {
            failure_report: FailureReport::No,
            ..outgoing(3)
        });
        assert!(
            matches!(event, Err(ChatEvent::Unsent(Token(3)))),
            "{event:?}"
        );
        assert_eq!(wire.kept.len(), 2);
    }

    // SEC-11
    #[tokio::test]
    async fn a_path_leads_to_nothing_nearer_than_its_peer_is() {
        let (mut wire, _mailbox) = broken().await;
        let reach = Reach::opening(vec!["10.9.0.0/16".parse().unwrap()]);
        for (source, expected) in [
            (None, [false; 3]),
            (Some("192.0.2.7"), [false, false, true]),
            (Some("10.0.0.7"), [false, true, true]),
            (Some("127.0.0.1"), [true; 3]),
        ] {
            wire.source = source.map(|source| source.parse().unwrap());
            let admitted = wire.admitted(&reach);
            let admits = |address: &str| admitted.admits(address.parse().unwrap());
            assert_eq!(
                ["127.0.0.1", "192.168.0.1", "198.51.100.1"].map(admits),
                expected
            );
            assert_eq!(admits("10.9.0.1"), source.is_some(), "where all may lead");
        }
    }

    // MSRP-10
    #[tokio::test]
    async fn what_was_not_given_back_is_not_sent_again() {
        let (mut wire, _mailbox) = broken().await;
        let event = wire.send_kept(Token(1));
        assert!(
            matches!(event, Err(ChatEvent::Refused(Token(1), 408))),
            "{event:?}"
        );
    }

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
