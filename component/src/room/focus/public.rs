//! What SIP users write, to everybody or to one occupant, until it is known what becomes of it (RS-21 to RS-25).

use std::time::{Duration, Instant};

use stox_msrp::{FailureReport, Incoming, content, cpim};
use stox_sip::Uri;

use super::event::{Action, Settings};
use super::member::{Member, key_of};
use super::roster::Roster;
use super::site::{Cx, Site, Ticket};
use crate::address;
use crate::body::{self, Content};
use crate::fault::{Condition, Fault, RoomMessage};
use crate::room::Token;
use crate::translate::promise::Promise;
use crate::xmpp::{MessageType, MucUser, OutgoingMessage};

/// A message of a SIP user's.
#[derive(Debug)]
pub(super) struct Sent {
    id: String,
    body: String,
    target: Target,
    since: Instant,
    /// Of the stanza.
    token: Token,
    /// To tell later that it failed, if that is wanted.
    report: Option<(String, usize)>,
    fate: SentFate,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Everybody,
    /// The occupant of that nickname.
    Occupant(String),
}

/// How far a message is.
#[derive(Debug)]
enum SentFate {
    /// It waits for its author's place in the MUC.
    Held(Promise<Ticket>),
    /// The stanza is on its way.
    UnderWay(Promise<Ticket>),
    /// It was answered; the MUC may still say something about it.
    Answered,
}

/// Whether this MUC sends messages back under the id they came with. XEP-0045 §18.1.1 (`stable_id`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ids {
    #[default]
    Unknown,
    Kept,
}

impl Sent {
    pub fn due(&self, settings: &Settings) -> Instant {
        let wait: Duration = match self.fate {
            SentFate::Held(_) | SentFate::UnderWay(_) => settings.answer_wait,
            SentFate::Answered => settings.copy_wait,
        };
        self.since + wait
    }

    fn message(&self) -> RoomMessage {
        match self.target {
            Target::Everybody => RoomMessage::ToAll,
            Target::Occupant(_) => RoomMessage::Private,
        }
    }

    /// Settles it; later there is nothing more to settle.
    fn settle(&mut self, outcome: Result<(), Fault>) {
        let fate = std::mem::replace(&mut self.fate, SentFate::Answered);
        match (fate, outcome) {
            (SentFate::Held(promise) | SentFate::UnderWay(promise), Ok(())) => promise.delivered(),
            (SentFate::Held(promise) | SentFate::UnderWay(promise), Err(fault)) => {
                promise.refused(fault);
            }
            (SentFate::Answered, _) => {}
        }
    }
}

impl Member {
    /// A message by MSRP.
    pub fn on_received(
        &mut self,
        incoming: Incoming,
        roster: &Roster,
        site: &mut Site,
        cx: &mut Cx<'_>,
    ) {
        let (target, body) = match self.read(&incoming, roster, site) {
            Ok(read) => read,
            Err(status) => {
                tracing::info!(sip = %self.aor, status, "a message for the room is refused");
                let respond = Action::Respond(self.id, self.leg, incoming.id, status);
                return cx.out.push(respond);
            }
        };
        if body.is_empty() {
            // Nothing that a MUC would send to anybody.
            cx.out
                .push(Action::Respond(self.id, self.leg, incoming.id, 200));
            return;
        }
        let message = match target {
            Target::Everybody => RoomMessage::ToAll,
            Target::Occupant(_) => RoomMessage::Private,
        };
        let promise = site.promise(Ticket::Send {
            member: self.id,
            leg: self.leg,
            incoming: incoming.id,
            message,
        });
        if self.sent.len() >= site.settings.sent {
            return promise.refused(Fault::new(Condition::ResourceConstraint));
        }
        let wants_report = incoming.failure_report != FailureReport::No;
        self.sent.push_back(Sent {
            id: site.stanza_id(),
            body,
            target,
            since: cx.now,
            token: site.token(),
            report: wants_report.then_some((incoming.message_id, incoming.body.len())),
            fate: SentFate::Held(promise),
        });
        match self.is_inside() {
            true => self.send_held(roster, site, cx),
            false => self.enter_unnamed(site, cx),
        }
    }

    /// Whom a message is for and what it says; `Err`: the status that refuses it (RS-24).
    fn read(
        &self,
        incoming: &Incoming,
        roster: &Roster,
        site: &Site,
    ) -> Result<(Target, String), u16> {
        let content_type = incoming.content_type.as_deref().unwrap_or_default();
        if !content::is_type(content_type, body::CPIM) {
            return Err(415);
        }
        let message = cpim::Message::parse(&incoming.body).map_err(|_| 400u16)?;
        let to = match message.to.as_slice() {
            [only] => only.uri.parse::<Uri>().map_err(|_| 404u16)?,
            [] => return Err(400),
            _ => return Err(403),
        };
        let from = message.from.as_ref().ok_or(400u16)?;
        let from = from.uri.parse::<Uri>().map_err(|_| 403u16)?;
        if !self.is(&from, site) {
            return Err(403);
        }
        let target = self.target(&to, roster, site).ok_or(404u16)?;
        match body::read_wrapped(message) {
            Ok(Content::Text(text)) => Ok((target, text.body)),
            Ok(Content::Composing(_) | Content::Imdn(_)) | Err(_) => Err(415),
        }
    }

    /// Whether the URI is one of this user's.
    fn is(&self, from: &Uri, site: &Site) -> bool {
        let without_device = address::with_device(from, None);
        let is_own = |uri: &Uri| self.identities.contains(&key_of(uri));
        is_own(from)
            || is_own(&without_device)
            || self.nick().is_some_and(|nick| {
                let occupant = site.addresses.xmpp_target(from).ok();
                occupant.is_some() && occupant == site.occupant(nick)
            })
    }

    fn target(&self, to: &Uri, roster: &Roster, site: &Site) -> Option<Target> {
        let bare = site.addresses.xmpp_target(&address::with_device(to, None));
        if bare.ok()? != *site.jid.as_jid() {
            return None;
        }
        match to.param("gr") {
            None => Some(Target::Everybody),
            Some(_) => {
                let nick = address::device_of(to)?;
                // Before it is in, nobody is known.
                (!self.is_inside() || roster.has(&nick)).then_some(Target::Occupant(nick))
            }
        }
    }

    /// Its place in the MUC is there: what waits for it goes out.
    pub fn send_held(&mut self, roster: &Roster, site: &Site, cx: &mut Cx<'_>) {
        let room = site.jid.as_jid();
        for sent in &mut self.sent {
            if !matches!(sent.fate, SentFate::Held(_)) {
                continue;
            }
            let stanza = match &sent.target {
                Target::Everybody => OutgoingMessage::new(&self.jid, room, MessageType::Groupchat),
                Target::Occupant(nick) => match site.occupant(nick).filter(|_| roster.has(nick)) {
                    Some(occupant) => OutgoingMessage::new(&self.jid, &occupant, MessageType::Chat)
                        .muc_user(MucUser::default()),
                    None => {
                        sent.settle(Err(Fault::new(Condition::ItemNotFound)));
                        continue;
                    }
                },
            };
            let stanza = stanza
                .id(sent.id.as_str())
                .body(sent.body.as_str())
                .within(site.settings.answer_wait);
            let token = Some(sent.token);
            cx.out.push(Action::Stanza(stanza.into(), token));
            let fate = std::mem::replace(&mut sent.fate, SentFate::Answered);
            if let SentFate::Held(promise) = fate {
                sent.fate = SentFate::UnderWay(promise);
            }
        }
    }

    /// Whether it is what this user wrote, as the MUC sends it to everybody: then it is not shown again (RS-22, RS-23).
    pub fn on_reflected(
        &mut self,
        id: Option<&str>,
        nick: &str,
        body: &str,
        ids: &mut Ids,
    ) -> bool {
        let of_all = |sent: &Sent| sent.target == Target::Everybody;
        let by_id = id.and_then(|id| {
            let mut sent = self.sent.iter();
            sent.position(|sent| of_all(sent) && sent.id == id)
        });
        if by_id.is_some() {
            *ids = Ids::Kept;
        }
        // Another device may say the same under the same name, with an id of its own.
        let may_be_renamed = (*ids == Ids::Unknown || id.is_none()) && self.nick() == Some(nick);
        let at = by_id.or_else(|| {
            let mut sent = self.sent.iter();
            sent.position(|sent| may_be_renamed && of_all(sent) && sent.body == body)
        });
        let Some(mut sent) = at.and_then(|at| self.sent.remove(at)) else {
            return false;
        };
        sent.settle(Ok(()));
        true
    }

    /// The MUC has refused a message, or an occupant's side has.
    pub fn on_bounced(&mut self, id: &str, fault: Fault, cx: &mut Cx<'_>) -> bool {
        let at = self.sent.iter().position(|sent| sent.id == id);
        let Some(mut sent) = at.and_then(|at| self.sent.remove(at)) else {
            return false;
        };
        let status = fault.to_msrp_in_room(sent.message());
        if let SentFate::Answered = sent.fate
            && let Some((message_id, length)) = sent.report.take()
            && sent.message() == RoomMessage::Private
        {
            // RS-25
            cx.out.push(Action::Report {
                member: self.id,
                message_id,
                length,
                status,
            });
        }
        sent.settle(Err(fault));
        true
    }

    /// The XMPP server has the stanza. To everybody it is answered when it comes back; to one occupant, now.
    pub fn on_handed(&mut self, token: Token) -> bool {
        let sent = self.sent.iter_mut().find(|sent| sent.token == token);
        let Some(sent) = sent else {
            return false;
        };
        if sent.message() == RoomMessage::Private {
            sent.settle(Ok(()));
        }
        true
    }

    /// The stanza may not have reached the XMPP server.
    pub fn on_lost(&mut self, token: Token) -> bool {
        let sent = self.sent.iter_mut().find(|sent| sent.token == token);
        let Some(sent) = sent else {
            return false;
        };
        sent.settle(Err(Fault::new(Condition::RemoteServerTimeout)));
        true
    }

    /// What was not answered in time is given back; what was, is forgotten after a while.
    pub fn on_time_for_sent(&mut self, settings: &Settings, now: Instant) {
        self.sent.retain_mut(|sent| {
            if sent.due(settings) > now {
                return true;
            }
            match sent.fate {
                SentFate::Answered => false,
                SentFate::Held(_) | SentFate::UnderWay(_) => {
                    sent.settle(Err(Fault::new(Condition::RemoteServerTimeout)));
                    true
                }
            }
        });
    }

    /// Nothing more will come of what is not answered yet.
    pub fn refuse_sent(&mut self, fault: &Fault) {
        for mut sent in self.sent.drain(..) {
            sent.settle(Err(fault.clone()));
        }
    }
}
