//! A SIP user in the room: its dialog, its MSRP connection, and its place in the MUC.

use std::collections::VecDeque;
use std::time::Instant;

use stox_msrp::{IncomingId, MsrpUri};
use stox_sip::Uri;

use super::event::{Farewell, Invitation, Media};
use super::outbox::Outbox;
use super::public::Sent;
use super::site::Site;
use crate::address::{Aor, Jid};
use crate::room::{Leg, MemberId};

/// A SIP user in the room.
#[derive(Debug)]
pub(super) struct Member {
    pub id: MemberId,
    /// The address of record.
    pub aor: Uri,
    /// The same, so that it can be compared.
    pub aor_key: String,
    /// What it is known as in XMPP: a full JID (RS-07).
    pub jid: Jid,
    /// What it is called as long as it has not said so (RS-06).
    pub temporary: String,
    /// All it may write as, so that they can be compared (RS-24).
    pub identities: Vec<String>,
    pub call: Call,
    pub line: Line,
    pub place: Place,
    /// What opens the room, if an invitation brought it.
    pub password: Option<String>,
    /// Wishes for a nickname that wait for their turn.
    pub wishes: VecDeque<Wish>,
    pub leg: Leg,
    /// The peer's path.
    pub path: Vec<MsrpUri>,
    pub takes_text: bool,
    pub private_messages: bool,
    pub max_size: Option<u64>,
    /// For the SIP user.
    pub outbox: Outbox,
    /// From the SIP user, until it is known what becomes of it.
    pub sent: VecDeque<Sent>,
    /// The subject it was told last.
    pub subject: String,
}

/// How far its dialog is.
#[derive(Debug)]
pub(super) enum Call {
    /// Its INVITE is answered with 200.
    Answering,
    /// We have sent an INVITE (RS-31).
    Summoned {
        until: Instant,
        /// Who wants it, to be told by way of the room where it does not come; none for invitations past the room.
        inviter: Option<Jid>,
    },
    Established,
    /// Its last words are on their way; then comes BYE.
    Parting {
        until: Instant,
        farewell: Farewell,
    },
}

/// How its MSRP connection is.
#[derive(Debug)]
pub(super) enum Line {
    /// There is none yet.
    Closed,
    /// It is being made.
    Opening,
    Bound,
    /// It is lost; messages wait (RS-35).
    Lost {
        until: Instant,
        /// Whether the peer is asked for a new one.
        renewal: Renewal,
    },
}

/// Whether a lost connection is being made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// We ask for it then: often the peer's BYE comes first.
    At(Instant),
    /// We have asked.
    Asked,
    /// The peer has refused; perhaps it asks by itself.
    Refused,
}

/// Its place in the MUC.
#[derive(Debug)]
pub(super) enum Place {
    /// It has none yet; from then on it gets one under a temporary name.
    Outside {
        from: Option<Instant>,
    },
    /// We have asked for it.
    Entering(Entering),
    /// The room is not there at present: it may only be starting (RS-36).
    Away(Away),
    Inside(Inside),
}

/// A join that the MUC has not answered.
#[derive(Debug)]
pub(super) struct Entering {
    pub nick: String,
    /// Of the presence that asks.
    pub id: String,
    /// The request for that nickname; none: the name is ours to choose.
    pub asked: Option<Asked>,
    /// Names tried before.
    pub tries: u32,
    pub until: Instant,
    pub entry: Entry,
}

/// Somebody whose room is not there.
#[derive(Debug)]
pub(super) struct Away {
    pub nick: String,
    /// When it last was.
    pub heard: Instant,
    /// How often it was looked for.
    pub rounds: u32,
    /// When it is looked for again.
    pub from: Instant,
}

/// Whether somebody was in the room before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    First,
    /// It may have been put out without our hearing of it (RS-36).
    Again {
        /// When the MUC last said something to it.
        heard: Instant,
        /// How often it was tried before.
        rounds: u32,
    },
}

/// In the MUC.
#[derive(Debug)]
pub(super) struct Inside {
    pub nick: String,
    /// The nickname it is about to have.
    pub change: Option<Change>,
    pub watch: Watch,
}

/// A change of nickname that the MUC has not answered (RS-13).
#[derive(Debug)]
pub(super) struct Change {
    pub nick: String,
    pub id: String,
    pub asked: Asked,
    pub until: Instant,
}

/// Whether the MUC still knows the occupant (RS-36). XEP-0410.
#[derive(Debug)]
pub(super) enum Watch {
    /// It said something then.
    Heard(Instant),
    /// It was asked.
    Asked {
        id: String,
        heard: Instant,
        until: Instant,
    },
}

/// A wish for a nickname.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub nick: String,
    pub asked: Asked,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub leg: Leg,
    pub incoming: IncomingId,
}

/// What becomes of a member.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Fate {
    Stays,
    /// It is put out; it is to be told why.
    Leaves(Farewell),
}

impl Member {
    pub fn new(id: MemberId, jid: Jid, invitation: Invitation, call: Call) -> Member {
        let identities = invitation.identities.iter().chain([&invitation.aor]);
        let mut member = Member {
            id,
            aor_key: key_of(&invitation.aor),
            jid,
            temporary: super::joining::temporary_nick(&invitation),
            identities: identities.map(key_of).collect(),
            aor: invitation.aor,
            call,
            line: Line::Closed,
            place: Place::Outside { from: None },
            password: None,
            wishes: VecDeque::new(),
            leg: Leg::default(),
            path: Vec::new(),
            takes_text: true,
            private_messages: false,
            max_size: None,
            outbox: Outbox::default(),
            sent: VecDeque::new(),
            subject: String::new(),
        };
        if let Some(media) = &invitation.media {
            member.learn(media);
        }
        member
    }

    /// What its description says it can do.
    pub fn learn(&mut self, media: &Media) {
        self.takes_text = media.takes_text;
        self.private_messages = media.private_messages;
        self.max_size = media.max_size;
    }

    /// Whether it takes part: it has called, or has followed our call.
    pub fn takes_part(&self) -> bool {
        match self.call {
            Call::Answering | Call::Established => true,
            Call::Summoned { .. } | Call::Parting { .. } => false,
        }
    }

    /// Its nickname in the MUC.
    pub fn nick(&self) -> Option<&str> {
        match &self.place {
            Place::Inside(inside) => Some(&inside.nick),
            Place::Outside { .. } | Place::Entering(_) | Place::Away(_) => None,
        }
    }

    pub fn is_inside(&self) -> bool {
        self.nick().is_some()
    }

    /// The MUC has said something to it.
    pub fn hear(&mut self, now: Instant) {
        if let Place::Inside(inside) = &mut self.place
            && let Watch::Heard(at) = &mut inside.watch
        {
            *at = now;
        }
    }

    /// When time changes something.
    pub fn deadline(&self, site: &Site) -> Option<Instant> {
        let settings = &site.settings;
        let call = match &self.call {
            Call::Summoned { until, .. } | Call::Parting { until, .. } => Some(*until),
            Call::Answering | Call::Established => None,
        };
        let line = match &self.line {
            Line::Lost {
                until,
                renewal: Renewal::At(at),
            } => Some(*until.min(at)),
            Line::Lost { until, .. } => Some(*until),
            Line::Closed | Line::Opening | Line::Bound => None,
        };
        let place = match &self.place {
            Place::Outside { from } => *from,
            Place::Entering(entering) => Some(entering.until),
            Place::Away(away) => Some(away.from),
            Place::Inside(inside) => {
                let watch = match &inside.watch {
                    Watch::Heard(at) => *at + settings.silence,
                    Watch::Asked { until, .. } => *until,
                };
                let change = inside.change.as_ref().map(|change| change.until);
                Some(change.map_or(watch, |change| change.min(watch)))
            }
        };
        let sent = self.sent.iter().map(|sent| sent.due(settings)).min();
        [call, line, place, sent].into_iter().flatten().min()
    }
}

/// A URI so that it can be compared with others of users: whatever the letters' case, and nothing but who and where.
pub(super) fn key_of(uri: &Uri) -> String {
    let device = crate::address::device_of(uri);
    let aor = Aor::of(uri).map_or_else(|_| uri.to_string(), |aor| aor.uri().to_string());
    match device {
        Some(device) => format!("{};gr={device}", aor.to_lowercase()),
        None => aor.to_lowercase(),
    }
}
