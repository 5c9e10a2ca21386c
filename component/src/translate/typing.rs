//! Who is writing: chat states on the XMPP side, isComposing documents on the SIP side (T14). RFC 7573 §6, RFC 3994,
//! XEP-0085.
//!
//! Neither is worth waiting for: what cannot be told at once is forgotten, and no error comes of it (COMP-12).

use std::time::{Duration, Instant};

use stox_msrp::is_composing::IsComposing;

use crate::xmpp::ChatState;

/// For how long `active` is believed on the SIP side.
const REFRESH: Duration = Duration::from_secs(60);
/// So much earlier it is said again: what comes when the time is up comes too late.
const AHEAD: Duration = Duration::from_secs(10);
/// An XMPP client says `<composing/>` once; if it says nothing after that, it is believed no longer (COMP-05, T23).
const LONGEST: Duration = Duration::from_secs(600);
/// What was said before the session stood is told if it is no older (COMP-12).
const FRESH: Duration = Duration::from_secs(10);

/// What the two sides of a conversation were told of each other.
#[derive(Debug, Default)]
pub(super) struct Typing {
    told: Told,
    shown: Shown,
    client: Client,
}

/// What the SIP user was told of the XMPP user.
#[derive(Debug, Default)]
enum Told {
    #[default]
    Idle,
    /// Writes since then, but there is no session yet to tell it by (CHAT-07).
    Untold { since: Instant },
    /// Writes: to be said again at the one time, and no longer true after the other.
    Active { again: Instant, until: Instant },
}

/// What the XMPP user was told of the SIP user.
#[derive(Debug, Default)]
enum Shown {
    #[default]
    Active,
    /// Writes, as far as is known until then (COMP-06).
    Composing { until: Instant },
}

/// Whether the XMPP user's client has chat states (COMP-04).
#[derive(Debug, Default, PartialEq, Eq)]
enum Client {
    #[default]
    Unknown,
    HasStates,
    HasNone,
}

/// The XMPP user does something. What comes back is for the SIP user.
impl Typing {
    /// A chat state without a message. States that mean the same to SIP are told once (COMP-08).
    pub fn stated(&mut self, state: ChatState, now: Instant) -> Option<IsComposing> {
        self.client = Client::HasStates;
        match (is_writing(state), &mut self.told) {
            (true, Told::Active { until, .. }) => {
                *until = now + LONGEST;
                None
            }
            (true, Told::Idle | Told::Untold { .. }) => Some(self.tell(now, now + LONGEST)),
            (false, Told::Active { .. }) => {
                self.told = Told::Idle;
                Some(IsComposing::idle())
            }
            (false, Told::Idle | Told::Untold { .. }) => {
                self.told = Told::Idle;
                None
            }
        }
    }

    /// The same while there is nobody to be told.
    pub fn stated_early(&mut self, state: ChatState, now: Instant) {
        self.client = Client::HasStates;
        self.told = match is_writing(state) {
            true => Told::Untold { since: now },
            false => Told::Idle,
        };
    }

    /// A message: whoever gets it knows that it is written (COMP-06). Its state says whether the client has any.
    pub fn wrote(&mut self, state: Option<ChatState>) {
        self.told = Told::Idle;
        self.client = match state {
            Some(_) => Client::HasStates,
            None => Client::HasNone,
        };
    }

    /// There is a session now: what is still true is told (CHAT-07).
    pub fn session_began(&mut self, now: Instant) -> Option<IsComposing> {
        let Told::Untold { since } = self.told else {
            return None;
        };
        self.told = Told::Idle;
        let is_fresh = now.saturating_duration_since(since) <= FRESH;
        is_fresh.then(|| self.tell(now, since + LONGEST))
    }

    fn tell(&mut self, now: Instant, until: Instant) -> IsComposing {
        let again = now + (REFRESH - AHEAD);
        self.told = Told::Active { again, until };
        IsComposing::active(REFRESH)
    }
}

/// The SIP user does something. What comes back is for the XMPP user.
impl Typing {
    /// A status message (COMP-01).
    pub fn got_status(&mut self, status: &IsComposing, now: Instant) -> Option<ChatState> {
        if self.client == Client::HasNone {
            return None;
        }
        let before = std::mem::replace(
            &mut self.shown,
            match status.shown_for() {
                Some(time) => Shown::Composing { until: now + time },
                None => Shown::Active,
            },
        );
        match (before, &self.shown) {
            (Shown::Active, Shown::Composing { .. }) => Some(ChatState::Composing),
            (Shown::Composing { .. }, Shown::Active) => Some(ChatState::Active),
            (Shown::Active, Shown::Active) | (Shown::Composing { .. }, Shown::Composing { .. }) => {
                None
            }
        }
    }

    /// A message. What it says of its sender beside its text (COMP-03), for clients that want to know.
    pub fn got_message(&mut self) -> Option<ChatState> {
        self.shown = Shown::Active;
        (self.client != Client::HasNone).then_some(ChatState::Active)
    }
}

/// What time brings.
impl Typing {
    /// When [`Typing::poll`] has something.
    pub fn deadline(&self) -> Option<Instant> {
        let told = match self.told {
            Told::Active { again, until } => Some(again.min(until)),
            Told::Idle | Told::Untold { .. } => None,
        };
        let shown = match self.shown {
            Shown::Composing { until } => Some(until),
            Shown::Active => None,
        };
        [told, shown].into_iter().flatten().min()
    }

    /// What is due: for the SIP user, and for the XMPP user.
    pub fn poll(&mut self, now: Instant) -> (Option<IsComposing>, Option<ChatState>) {
        let told = match self.told {
            Told::Active { until, .. } if until <= now => {
                self.told = Told::Idle;
                Some(IsComposing::idle())
            }
            Told::Active { again, until } if again <= now => Some(self.tell(now, until)),
            Told::Active { .. } | Told::Idle | Told::Untold { .. } => None,
        };
        let shown = match self.shown {
            Shown::Composing { until } if until <= now => {
                self.shown = Shown::Active;
                Some(ChatState::Active)
            }
            Shown::Composing { .. } | Shown::Active => None,
        };
        (told, shown)
    }
}

fn is_writing(state: ChatState) -> bool {
    match state {
        ChatState::Composing => true,
        ChatState::Active | ChatState::Paused | ChatState::Inactive | ChatState::Gone => false,
    }
}
