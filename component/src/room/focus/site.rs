//! What everybody in a room shares while one event is handled.

use std::sync::Arc;
use std::time::Instant;

use stox_msrp::IncomingId;
use stox_sip::Uri;

use super::event::{Action, Settings};
use crate::address::{Addresses, BareJid, Jid};
use crate::fault::RoomMessage;
use crate::room::{Leg, MemberId, Token, nickname};
use crate::translate::Clock;
use crate::translate::promise::{Ledger, Outcome, Promise, Settlement};
use crate::xmpp::{Outgoing, OutgoingPresence, PresenceType};

/// The room as both sides know it, and where names and promises come from.
#[derive(Debug)]
pub(super) struct Site {
    /// The MUC.
    pub jid: BareJid,
    /// The room as SIP users know it.
    pub uri: Uri,
    pub addresses: Arc<Addresses>,
    pub clock: Clock,
    pub settings: Settings,
    pub ledger: Ledger<Ticket>,
    /// Nicknames that are kept for somebody: as they are compared, for whom, and until when (SEC-17).
    held: Vec<(String, String, Instant)>,
    seed: u64,
    last: u64,
}

/// Nicknames that are kept at a time.
const HELD: usize = 256;

/// Whom to tell what became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ticket {
    /// The SIP user who sent it.
    Send {
        member: MemberId,
        leg: Leg,
        incoming: IncomingId,
        message: RoomMessage,
    },
    /// The occupant who wrote it to one SIP user.
    Private {
        /// The SIP user's.
        to: Jid,
        /// The occupant's.
        from: Jid,
        id: Option<String>,
    },
}

/// The surroundings of one event.
pub(super) struct Cx<'a> {
    pub now: Instant,
    pub out: &'a mut Vec<Action>,
}

impl Site {
    pub fn new(
        jid: BareJid,
        uri: Uri,
        addresses: Arc<Addresses>,
        settings: Settings,
        seed: u64,
        clock: Clock,
    ) -> Site {
        Site {
            jid,
            uri,
            addresses,
            clock,
            settings,
            ledger: Ledger::default(),
            held: Vec::new(),
            seed,
            last: 0,
        }
    }

    /// A name that nothing had before.
    pub fn token(&mut self) -> Token {
        self.last += 1;
        Token(self.last)
    }

    /// The same for a stanza.
    pub fn stanza_id(&mut self) -> String {
        self.last += 1;
        format!("{:08x}-{:x}", self.seed >> 32, self.last)
    }

    /// The same for the resource of a SIP user who names no device.
    pub fn resource(&mut self) -> String {
        self.last += 1;
        format!("{:016x}", self.seed.rotate_left(17) ^ self.last)
    }

    /// The occupant of that nickname; `None`: nobody can be called so.
    pub fn occupant(&self, nick: &str) -> Option<Jid> {
        self.jid.with_resource(nick).ok()
    }

    /// Keeps a nickname for who has just lost it with the connection.
    pub fn hold(&mut self, nick: &str, aor: &str, now: Instant) {
        self.held.retain(|(_, _, until)| *until > now);
        if self.held.len() < HELD {
            let until = now + self.settings.nick_hold;
            let key = nickname::compare_key(nick);
            self.held.push((key, aor.to_owned(), until));
        }
    }

    /// Whether a nickname is kept for somebody else.
    pub fn is_held(&self, nick: &str, aor: &str, now: Instant) -> bool {
        let mut held = self.held.iter().filter(|(_, _, until)| *until > now);
        let key = nickname::compare_key(nick);
        held.any(|(nick, owner, _)| *nick == key && owner != aor)
    }

    pub fn promise(&self, ticket: Ticket) -> Promise<Ticket> {
        self.ledger.promise(ticket)
    }

    /// Has what is settled told before what comes next.
    pub fn settle(&self, out: &mut Vec<Action>) {
        for Settlement { ticket, outcome } in self.ledger.drain() {
            match (ticket, outcome) {
                (
                    Ticket::Send {
                        member,
                        leg,
                        incoming,
                        message,
                    },
                    outcome,
                ) => {
                    let status = match outcome {
                        Outcome::Delivered => 200,
                        Outcome::Refused(fault) => fault.to_msrp_in_room(message),
                    };
                    out.push(Action::Respond(member, leg, incoming, status));
                }
                (Ticket::Private { .. }, Outcome::Delivered) => {}
                (Ticket::Private { to, from, id }, Outcome::Refused(fault)) => {
                    let error = Outgoing::message_error(&to, &from, id.as_deref(), (&fault).into());
                    out.push(Action::Stanza(error, None));
                }
            }
        }
    }
}

impl Cx<'_> {
    pub fn write(&mut self, stanza: impl Into<Outgoing>) {
        self.out.push(Action::Stanza(stanza.into(), None));
    }

    /// Somebody leaves the MUC.
    pub fn leave(&mut self, from: &Jid, occupant: &Jid, words: Option<&str>) {
        let mut presence = OutgoingPresence::new(from, occupant, PresenceType::Unavailable);
        if let Some(words) = words.filter(|words| !words.is_empty()) {
            presence = presence.status(words);
        }
        self.write(presence);
    }
}
