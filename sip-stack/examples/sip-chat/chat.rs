//! One chat: with whom, how far it has come, and what was typed but not yet delivered.

use std::collections::{BTreeMap, VecDeque};

use stox_msrp::node::Session;
use stox_msrp::{FailureReport, MsrpUri, Outgoing, SendError};
use stox_sip::{InviteId, Uri};

use crate::media::{self, Wrapping};
use crate::user::Wish;

/// Our own number of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChatId(pub u64);

pub struct Chat {
    pub peer: Uri,
    pub invite: InviteId,
    pub state: State,
    pub wish: Wish,
    /// Typed, not sent yet.
    waiting: VecDeque<String>,
    /// Sent, not answered yet, by the token it was sent with.
    under_way: BTreeMap<u64, String>,
    last_token: u64,
}

pub enum State {
    /// INVITE sent, no final response yet.
    Inviting { local: MsrpUri },
    /// Both sides agreed; the MSRP connection is not there yet.
    Connecting {
        session: Session,
        wrapping: Wrapping,
    },
    /// Messages can be sent.
    Open {
        session: Session,
        wrapping: Wrapping,
    },
}

impl Chat {
    pub fn new(peer: Uri, invite: InviteId, state: State) -> Chat {
        Chat {
            peer,
            invite,
            state,
            wish: Wish::Stay,
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            last_token: 0,
        }
    }

    pub fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Inviting { .. } => None,
            State::Connecting { session, .. } | State::Open { session, .. } => Some(session),
        }
    }

    /// The connection is there.
    pub fn bound(mut self) -> Chat {
        self.state = match self.state {
            State::Connecting { session, wrapping } => State::Open { session, wrapping },
            state @ (State::Inviting { .. } | State::Open { .. }) => state,
        };
        self
    }

    pub fn type_line(&mut self, line: &str) {
        self.waiting.push_back(line.to_owned());
    }

    /// Sends what waits, as far as the session takes it.
    pub fn send_waiting(&mut self, me: &Uri) -> Result<(), SendError> {
        let State::Open { session, wrapping } = &self.state else {
            return Ok(());
        };
        while let Some(text) = self.waiting.pop_front() {
            self.last_token += 1;
            let (content_type, body) = media::body(*wrapping, me, &self.peer, &text);
            let outgoing = Outgoing {
                token: self.last_token,
                transaction_id: None,
                content_type: content_type.to_owned(),
                body,
                success_report: false,
                failure_report: FailureReport::Yes,
            };
            match session.send(outgoing) {
                Ok(()) => {
                    self.under_way.insert(self.last_token, text);
                }
                Err(unsent) => {
                    self.waiting.push_front(text);
                    // There is room again when a message under way is answered.
                    return if unsent.why == SendError::Full {
                        Ok(())
                    } else {
                        Err(unsent.why)
                    };
                }
            }
        }
        Ok(())
    }

    /// A message is answered; its text.
    pub fn answered(&mut self, token: u64) -> Option<String> {
        self.under_way.remove(&token)
    }

    /// How many lines were typed and are not sent.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_all_delivered(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// What was typed and not delivered, in order.
    pub fn into_undelivered(self) -> impl Iterator<Item = String> {
        self.under_way.into_values().chain(self.waiting)
    }
}
