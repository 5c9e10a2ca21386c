//! Somebody who takes part: one dialog with the focus, and the devices that it serves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use stox_msrp::sdp::Chatroom;
use stox_msrp::{MsrpUri, NicknameForm};
use stox_sip::{Secret, Uri};

use super::echo::Echoes;
use super::event::{FocusInvitation, Place, Ticket, User};
use super::own::Me;
use super::place::AddressKey;
use super::reading::Reading;
use super::roster::Roster;
use crate::address::{BareJid, Jid};
use crate::room::nickname::compare_key;
use crate::room::{Leg, MemberId, Token};
use crate::translate::promise::Promise;
use crate::xmpp::{History, Show};

/// One dialog with the focus, and whom it serves.
#[derive(Debug)]
pub struct Member {
    pub id: MemberId,
    pub user: User,
    pub key: Option<AddressKey>,
    /// Empty only while a focus waits for somebody to follow its invitation.
    pub seats: Vec<Seat>,
    /// What the user is called, or wishes to be called.
    pub nick: String,
    /// What the user asked to be called.
    pub wished: String,
    pub state: State,
    pub roster: Roster,
    /// Messages of the switch that are not shown yet, in their order.
    pub inbox: VecDeque<Arrived>,
    pub inbox_bytes: usize,
    /// Messages and nicknames that the switch has not answered yet.
    pub underway: BTreeMap<Token, Underway>,
    /// What the switch may send back of what the user wrote.
    pub echoes: Echoes,
    /// Changes of nickname; the first is under way.
    pub wishes: VecDeque<Wish>,
    /// The last who have gone, or are called something else.
    departed: VecDeque<Jid>,
}

/// One device of the user in the room.
#[derive(Debug)]
pub struct Seat {
    pub jid: Jid,
    /// Of its last presence that wants to enter.
    pub join_id: Option<String>,
    /// How much of the past it wants.
    pub history: History,
    pub availability: Availability,
}

/// What a device says of itself; only the user's own devices are told (RX-27).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    pub show: Option<Show>,
    pub status: Option<String>,
}

/// How far a member is. RFC 7702 §5.1 to §5.4.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all members are in the large one"
)]
pub enum State {
    /// INVITE sent, no final response yet (F2).
    Inviting {
        until: Instant,
        /// What opens the room, if it asks (RX-10).
        password: Option<Secret>,
    },
    /// The focus has invited the user, who has not joined yet (RX-31).
    Ringing {
        invitation: Box<FocusInvitation>,
        until: Instant,
    },
    /// The session is agreed on (F4).
    Open(Line, Stage),
}

/// What the focus has said of the session.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it is, as its Contact says.
    pub contact: Option<Uri>,
    /// The switch's.
    pub path: Vec<MsrpUri>,
    pub chatroom: Chatroom,
    pub max_size: Option<u64>,
    pub form: NicknameForm,
}

/// How far the way into the room is, once the session is agreed on.
#[derive(Debug)]
pub enum Stage {
    /// The MSRP connection is being set up (F6).
    Connecting { until: Instant },
    /// NICKNAME sent (F8); so many altered ones were tried before.
    Naming { token: Token, retries: u32 },
    /// SUBSCRIBE sent, no NOTIFY yet (F10).
    Gathering { until: Instant, asking: Asking },
    /// In the room.
    Joined,
}

/// Where the focus is asked who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// At its Contact (RX-11).
    Contact,
    /// At the room's own address: some know their conferences only by that.
    Room,
    /// There, again, at that time: it may have been too early.
    Again(Instant),
}

/// A message of the switch's that is not shown yet.
#[derive(Debug)]
pub struct Arrived {
    pub reading: Arc<Reading>,
    pub size: usize,
    pub at: Instant,
    pub promise: Promise<Ticket>,
    pub phase: Phase,
}

/// When a message of the switch's came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the user was in the room: it may be history.
    Before,
    /// Since.
    Since,
}

/// What the switch has not answered yet.
#[derive(Debug)]
pub enum Underway {
    /// A message to all.
    ToAll {
        promise: Promise<Ticket>,
        id: Option<String>,
        body: String,
        lang: Option<String>,
        thread: Option<String>,
    },
    /// A message to one occupant.
    Private(Promise<Ticket>),
    /// A change of nickname: that of the first wish.
    Nickname,
}

/// A change of nickname that is wished for.
#[derive(Debug)]
pub struct Wish {
    pub seat: Jid,
    pub nick: String,
    pub id: Option<String>,
}

/// As many who have gone are remembered.
const DEPARTED: usize = 256;

/// The only connection a member has.
pub const LEG: Leg = Leg(1);

impl Member {
    pub fn new(id: MemberId, user: User, place: &Place, nick: String, state: State) -> Member {
        Member {
            id,
            key: AddressKey::of(&user.uri),
            user,
            seats: Vec::new(),
            roster: Roster::new(place, &nick),
            wished: nick.clone(),
            nick,
            state,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            underway: BTreeMap::new(),
            echoes: Echoes::default(),
            wishes: VecDeque::new(),
            departed: VecDeque::new(),
        }
    }

    pub fn is_joined(&self) -> bool {
        matches!(self.state, State::Open(_, Stage::Joined))
    }

    pub fn account(&self) -> &BareJid {
        &self.user.jid
    }

    pub fn line(&self) -> Option<&Line> {
        match &self.state {
            State::Open(line, _) => Some(line),
            State::Inviting { .. } | State::Ringing { .. } => None,
        }
    }

    /// The nickname as it is compared.
    pub fn nick_key(&self) -> String {
        compare_key(&self.nick)
    }

    pub fn seat(&self, jid: &Jid) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.jid == *jid)
    }

    pub fn seat_mut(&mut self, jid: &Jid) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.jid == *jid)
    }

    /// The device that the dialog's Contact names.
    pub fn resource(&self) -> Option<String> {
        let first = self.seats.first()?;
        first.jid.resource().map(str::to_owned)
    }

    /// The devices' JIDs.
    pub fn seat_jids(&self) -> Vec<Jid> {
        self.seats.iter().map(|seat| seat.jid.clone()).collect()
    }

    pub fn note_departed(&mut self, jid: &Jid) {
        if self.departed.len() >= DEPARTED {
            self.departed.pop_front();
        }
        self.departed.push_back(jid.clone());
    }

    /// Those of the last who have gone that nobody has taken the place of.
    pub fn departed(&self) -> impl Iterator<Item = &Jid> {
        let own = self.nick.as_str();
        self.departed.iter().filter(move |jid| {
            let nick = jid.resource().unwrap_or_default();
            nick != own && self.roster.by_nick(nick).is_none()
        })
    }

    /// Takes the next of the messages that wait.
    pub fn pop_arrived(&mut self) -> Option<Arrived> {
        let arrived = self.inbox.pop_front()?;
        self.inbox_bytes = self.inbox_bytes.saturating_sub(arrived.size);
        Some(arrived)
    }
}

/// Who the member is, for its roster.
pub fn me<'a>(key: Option<&'a AddressKey>, seats: &'a [Jid], siblings: &'a [String]) -> Me<'a> {
    Me {
        key,
        seats,
        siblings,
    }
}
