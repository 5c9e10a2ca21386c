//! How a SIP user gets into the MUC and what it is called there (RS-06 to RS-14).

use std::time::{Duration, Instant};

use stox_msrp::NicknameRequest;
use tracing::info;

use super::event::{Action, Farewell, Invitation};
use super::member::{
    Asked, Away, Change, Entering, Entry, Fate, Inside, Member, Place, Watch, Wish,
};
use super::site::{Cx, Site};
use crate::fault::{Condition, Fault};
use crate::room::nickname;
use crate::xmpp::{History, Join, OutgoingPresence, PresenceType};

/// Names of our own choice that are tried one after the other (RS-09).
const VARIATIONS: u32 = 5;
/// How often a room is looked for that is not there any more (RS-36).
const ROUNDS: u32 = 5;
/// What somebody is called who has no name that can be used.
const NAMELESS: &str = "SIP user";

/// MSRP statuses of nickname requests. RFC 7701 §7.1.
const OK: u16 = 200;
const FORBIDDEN: u16 = 403;
const TIMEOUT: u16 = 408;
const MALFORMED: u16 = 424;
const TAKEN: u16 = 425;

/// What somebody is called who does not say so: the display name, else the user part (RS-06, RS-14).
pub(super) fn temporary_nick(invitation: &Invitation) -> String {
    let user = invitation.aor.user_decoded();
    let names = [invitation.name.as_deref(), user.as_deref()];
    let prepared = names
        .into_iter()
        .flatten()
        .find_map(|name| nickname::prepare(name).ok());
    prepared.unwrap_or_else(|| NAMELESS.to_owned())
}

impl Member {
    /// A wish for a nickname (RS-08, RS-12, RS-13).
    pub fn on_nickname(&mut self, request: &NicknameRequest, site: &mut Site, cx: &mut Cx<'_>) {
        let asked = Asked {
            leg: self.leg,
            incoming: request.id,
        };
        let wanted = match request.nickname.is_removal() {
            // A MUC has nobody without a name.
            true => Ok(self.temporary.clone()),
            false => nickname::prepare(request.nickname.as_str()),
        };
        let nick = match wanted {
            Ok(nick) if site.occupant(&nick).is_some() => nick,
            Ok(_) | Err(_) => return self.answer(asked, MALFORMED, cx),
        };
        if site.is_held(&nick, &self.aor_key, cx.now) {
            info!(sip = %self.aor, nick, "a nickname is kept for who has just lost the connection");
            return self.answer(asked, TAKEN, cx);
        }
        if self.wishes.len() >= site.settings.nicknames {
            info!(sip = %self.aor, "a nickname is refused: too many wishes wait already");
            return self.answer(asked, FORBIDDEN, cx);
        }
        self.wishes.push_back(Wish { nick, asked });
        self.grant_next(site, cx);
    }

    /// Takes up the next wish, as soon as none is under way.
    pub fn grant_next(&mut self, site: &mut Site, cx: &mut Cx<'_>) {
        loop {
            let is_busy = match &self.place {
                Place::Outside { .. } => false,
                Place::Entering(_) | Place::Away(_) => true,
                Place::Inside(inside) => inside.change.is_some(),
            };
            if is_busy || !self.takes_part() {
                return;
            }
            let Some(Wish { nick, asked }) = self.wishes.pop_front() else {
                return;
            };
            if self.nick() == Some(&nick) {
                // RS-11
                self.answer(asked, OK, cx);
                continue;
            }
            match self.is_inside() {
                false => self.enter(nick, Some(asked), 0, Entry::First, site, cx),
                true => self.change_to(nick, asked, site, cx),
            }
        }
    }

    /// Enters under a name of our choice, unless it is in or on its way (RS-06).
    pub fn enter_unnamed(&mut self, site: &mut Site, cx: &mut Cx<'_>) {
        if matches!(self.place, Place::Outside { .. }) {
            let nick = self.temporary.clone();
            self.enter(nick, None, 0, Entry::First, site, cx);
        }
    }

    /// Asks the MUC for a place (RS-07).
    pub fn enter(
        &mut self,
        nick: String,
        asked: Option<Asked>,
        tries: u32,
        entry: Entry,
        site: &mut Site,
        cx: &mut Cx<'_>,
    ) {
        let id = site.stanza_id();
        if let Some(occupant) = site.occupant(&nick) {
            let history = match entry {
                Entry::First => History::messages(site.settings.history),
                // What was said meanwhile. Rooms count whole seconds: nothing is to be told twice.
                Entry::Again { heard, .. } => History {
                    since: Some(site.clock.time(heard + Duration::from_secs(1))),
                    ..History::messages(site.settings.history)
                },
            };
            let password = self.password.clone();
            let presence = OutgoingPresence::new(&self.jid, &occupant, PresenceType::Available)
                .id(id.as_str())
                .join(Join { password, history });
            cx.write(presence);
        }
        self.place = Place::Entering(Entering {
            nick,
            id,
            asked,
            tries,
            until: cx.now + site.settings.answer_wait,
            entry,
        });
    }

    fn change_to(&mut self, nick: String, asked: Asked, site: &mut Site, cx: &mut Cx<'_>) {
        let id = site.stanza_id();
        if let Some(occupant) = site.occupant(&nick) {
            cx.write(
                OutgoingPresence::new(&self.jid, &occupant, PresenceType::Available)
                    .id(id.as_str()),
            );
        }
        let until = cx.now + site.settings.answer_wait;
        if let Place::Inside(inside) = &mut self.place {
            inside.change = Some(Change {
                nick,
                id,
                asked,
                until,
            });
        }
    }

    /// The MUC has shown it its own presence under that nickname. Returns whether it was not in before.
    pub fn on_placed(&mut self, nick: &str, now: Instant, cx: &mut Cx<'_>) -> bool {
        let watch = Watch::Heard(now);
        let change = match &mut self.place {
            Place::Inside(inside) => {
                if inside.nick != nick {
                    info!(sip = %self.aor, nick, "the SIP user has another nickname in the room");
                }
                nick.clone_into(&mut inside.nick);
                inside.watch = watch;
                // Any other presence of its own is told again for other reasons: a role, for example.
                let is_done = inside
                    .change
                    .as_ref()
                    .is_some_and(|change| change.nick == nick);
                is_done.then(|| inside.change.take()).flatten()
            }
            Place::Outside { .. } | Place::Entering(_) | Place::Away(_) => {
                let nick = nick.to_owned();
                info!(sip = %self.aor, nick, "the SIP user is in the room");
                let inside = Place::Inside(Inside {
                    nick,
                    change: None,
                    watch,
                });
                if let Place::Entering(Entering {
                    asked: Some(asked), ..
                }) = std::mem::replace(&mut self.place, inside)
                {
                    self.answer(asked, OK, cx);
                }
                return true;
            }
        };
        if let Some(change) = change {
            self.answer(change.asked, OK, cx);
        }
        false
    }

    /// The MUC does not let it in, or not under that nickname (T18).
    pub fn on_refused(
        &mut self,
        fault: &Fault,
        id: Option<&str>,
        nick: Option<&str>,
        site: &mut Site,
        cx: &mut Cx<'_>,
    ) -> Fate {
        // By the id, or by the nickname where the MUC does not repeat it.
        let is_of = |own: &str, wanted: &str| id.map_or(nick == Some(wanted), |id| id == own);
        match &mut self.place {
            Place::Entering(entering) if is_of(&entering.id, &entering.nick) => {
                let entering = Entering {
                    nick: entering.nick.clone(),
                    id: entering.id.clone(),
                    ..*entering
                };
                self.not_let_in(entering, fault, site, cx)
            }
            Place::Inside(inside) => {
                let is_meant = |change: &Change| is_of(&change.id, &change.nick);
                if inside.change.as_ref().is_some_and(is_meant)
                    && let Some(change) = inside.change.take()
                {
                    self.answer(change.asked, answer_of(fault), cx);
                    self.grant_next(site, cx);
                }
                Fate::Stays
            }
            Place::Outside { .. } | Place::Entering(_) | Place::Away(_) => Fate::Stays,
        }
    }

    fn not_let_in(
        &mut self,
        entering: Entering,
        fault: &Fault,
        site: &mut Site,
        cx: &mut Cx<'_>,
    ) -> Fate {
        let Entering {
            nick,
            asked,
            tries,
            entry,
            ..
        } = entering;
        if let Some(asked) = asked {
            self.answer(asked, answer_of(fault), cx);
            if matches!(
                fault.condition(),
                Condition::Conflict | Condition::JidMalformed
            ) {
                // Another wish may follow; if none does, it enters under a name of our choice.
                let from = Some(cx.now + site.settings.join_wait);
                self.place = Place::Outside { from };
                self.grant_next(site, cx);
                return Fate::Stays;
            }
        } else if fault.condition() == Condition::Conflict && tries < VARIATIONS {
            let tries = tries + 1;
            let nick = variation(&nick, tries);
            self.enter(nick, None, tries, entry, site, cx);
            return Fate::Stays;
        }
        let may_be_starting = matches!(
            fault.condition(),
            Condition::ItemNotFound
                | Condition::ServiceUnavailable
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout
        );
        if may_be_starting && self.look_again(&nick, entry, site, cx) {
            return Fate::Stays;
        }
        self.place = Place::Outside { from: None };
        info!(sip = %self.aor, condition = %fault.condition(), text = fault.text(), "the room does not let the SIP user in");
        Fate::Leaves(farewell_of(fault))
    }

    /// What the MUC did not answer in time.
    pub fn on_time_for_place(&mut self, site: &mut Site, cx: &mut Cx<'_>) -> Fate {
        match &mut self.place {
            Place::Outside { from } if from.is_some_and(|from| from <= cx.now) => {
                self.enter_unnamed(site, cx);
            }
            Place::Entering(entering) if entering.until <= cx.now => {
                let (nick, entry) = (entering.nick.clone(), entering.entry);
                if let Some(asked) = entering.asked.take() {
                    self.answer(asked, TIMEOUT, cx);
                }
                if self.look_again(&nick, entry, site, cx) {
                    return Fate::Stays;
                }
                return Fate::Leaves(Farewell::new(504, "the room does not answer"));
            }
            Place::Inside(inside) => {
                let is_late = |change: &Change| change.until <= cx.now;
                if inside.change.as_ref().is_some_and(is_late)
                    && let Some(change) = inside.change.take()
                {
                    self.answer(change.asked, TIMEOUT, cx);
                    self.grant_next(site, cx);
                }
            }
            Place::Away(away) if away.from <= cx.now => {
                let (nick, heard, rounds) = (away.nick.clone(), away.heard, away.rounds);
                let entry = Entry::Again { heard, rounds };
                self.enter(nick, None, 0, entry, site, cx);
            }
            Place::Outside { .. } | Place::Entering(_) | Place::Away(_) => {}
        }
        Fate::Stays
    }

    /// The room it was in is not there: perhaps its server has just started. `false`: it was looked for often enough,
    /// or the member was never in (RS-36).
    pub fn look_again(&mut self, nick: &str, entry: Entry, site: &Site, cx: &Cx<'_>) -> bool {
        let Entry::Again { heard, rounds } = entry else {
            return false;
        };
        if rounds >= ROUNDS {
            return false;
        }
        info!(sip = %self.aor, "the room is not there: it is looked for again");
        self.place = Place::Away(Away {
            nick: nick.to_owned(),
            heard,
            rounds: rounds + 1,
            from: cx.now + site.settings.return_wait,
        });
        true
    }

    /// Every wish that waits is refused: the member leaves.
    pub fn refuse_wishes(&mut self, status: u16, cx: &mut Cx<'_>) {
        let under_way = match &mut self.place {
            Place::Entering(entering) => entering.asked.take(),
            Place::Inside(inside) => inside.change.take().map(|change| change.asked),
            Place::Outside { .. } | Place::Away(_) => None,
        };
        let waiting = self.wishes.drain(..).map(|wish| wish.asked);
        for asked in under_way.into_iter().chain(waiting).collect::<Vec<_>>() {
            self.answer(asked, status, cx);
        }
    }

    pub fn answer(&self, asked: Asked, status: u16, cx: &mut Cx<'_>) {
        let Asked { leg, incoming } = asked;
        cx.out.push(Action::Respond(self.id, leg, incoming, status));
    }
}

/// The next name of our choice for somebody whose last one is taken: `Romeo`, `Romeo (2)`, `Romeo (3)`.
fn variation(nick: &str, tries: u32) -> String {
    let base = match tries {
        1 => nick,
        _ => nick.rsplit_once(" (").map_or(nick, |(base, _)| base),
    };
    format!("{base} ({})", tries + 1)
}

/// The answer to a NICKNAME that the MUC refuses (T18).
fn answer_of(fault: &Fault) -> u16 {
    match fault.condition() {
        Condition::Conflict => TAKEN,
        Condition::JidMalformed => MALFORMED,
        Condition::RemoteServerNotFound | Condition::RemoteServerTimeout => TIMEOUT,
        _ => FORBIDDEN,
    }
}

/// Why the dialog of somebody ends whom the MUC does not let in (T18).
fn farewell_of(fault: &Fault) -> Farewell {
    let (cause, words) = match fault.condition() {
        Condition::NotAuthorized => (403, "the room needs a password"),
        Condition::Forbidden => (403, "banned from the room"),
        Condition::RegistrationRequired => (403, "the room is for its members"),
        Condition::ItemNotFound => (404, "there is no such room"),
        Condition::NotAllowed => (403, "rooms cannot be made here"),
        Condition::ServiceUnavailable => (486, "the room is full"),
        Condition::NotAcceptable => (406, "the room wants another nickname"),
        Condition::RemoteServerNotFound => (404, "there is no such chat service"),
        Condition::RemoteServerTimeout => (504, "the room does not answer"),
        Condition::JidMalformed => (400, "no nickname can be like this"),
        Condition::Conflict => (486, "the nickname is taken"),
        _ => {
            let words = fault.text().unwrap_or("the room refuses").to_owned();
            return Farewell::new(fault.to_sip_in_reason().code(), words);
        }
    };
    Farewell::new(cause, fault.text().unwrap_or(words))
}
