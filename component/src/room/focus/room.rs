//! The room itself: who takes part, and to whom what happens is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

#[cfg(test)]
use stox_sip::conference::ConferenceInfo;
use stox_sip::{SubscriptionId, Uri};
use tracing::{debug, info};

use super::delivery::Press;
use super::event::{Action, Event, Farewell, Invitation, Media, MemberEvent, Settings, Unusable};
use super::member::{Call, Entry, Fate, Line, Member, Place, Renewal, key_of};
use super::outbox::{Post, PostKind};
use super::public::Ids;
use super::roster::Roster;
use super::site::{Cx, Site};
use super::subscriptions::Subscriptions;
use crate::address::{Addresses, BareJid, Jid};
use crate::fault::{Condition, Fault};
use crate::room::{Leg, MemberId};
use crate::translate::Clock;
use crate::xmpp::Stanza;

/// A MUC that SIP users take part in.
#[derive(Debug)]
pub struct Room {
    pub(super) site: Site,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) member_by_jid: HashMap<Jid, MemberId>,
    /// Who has left before the MUC answered the join, and until when that may still come (RS-32).
    pub(super) left_by_jid: HashMap<Jid, Instant>,
    pub(super) roster: Roster,
    pub(super) subscriptions: Subscriptions,
    pub(super) press: Press,
    pub(super) ids: Ids,
    last_member: u32,
    service: Service,
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Running,
    ShuttingDown,
}

impl Room {
    /// A room that nobody is in yet; `uri` is what SIP users know it as. `seed`: for the names it makes; `clock`: for the
    /// times it writes.
    pub fn new(
        jid: BareJid,
        uri: Uri,
        addresses: Arc<Addresses>,
        settings: Settings,
        seed: u64,
        clock: Clock,
    ) -> Room {
        Room {
            site: Site::new(jid, uri, addresses, settings, seed, clock),
            members: BTreeMap::new(),
            member_by_jid: HashMap::new(),
            left_by_jid: HashMap::new(),
            roster: Roster::default(),
            subscriptions: Subscriptions::default(),
            press: Press::default(),
            ids: Ids::default(),
            last_member: 0,
            service: Service::Running,
        }
    }

    /// What SIP users know it as.
    pub fn uri(&self) -> &Uri {
        &self.site.uri
    }

    /// The id for the next [`Event::Invited`].
    pub fn next_member(&mut self) -> MemberId {
        self.last_member += 1;
        MemberId(self.last_member)
    }

    /// Takes one event; appends what is to be done.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        let mut cx = Cx { now, out };
        match event {
            Event::Invited(id, invitation) => self.invited(id, *invitation, &mut cx),
            Event::Member(id, event) => self.tell_member(id, event, &mut cx),
            Event::Subscribed {
                subscription,
                aor,
                member,
            } => self.subscribed(subscription, &aor, member, &mut cx),
            Event::StateAsked(id, occasion) => {
                let aor = self.subscriptions.aor(id);
                let is_inside = aor.is_some_and(|aor| self.is_inside(aor));
                let state = is_inside.then(|| self.roster.document(&self.site));
                self.subscriptions.on_asked(id, occasion, state, &mut cx);
            }
            Event::SubscriptionEnded(id) => self.subscriptions.remove(id),
            Event::Referred {
                subscription,
                aor,
                member,
                target,
            } => self.referred(subscription, &aor, member, &target, &mut cx),
            Event::Stanza(stanza) => match *stanza {
                Stanza::Message(message) => self.on_message(*message, &mut cx),
                Stanza::Presence(presence) => self.on_presence(&presence, &mut cx),
                Stanza::Iq(iq) => self.on_iq(&iq, &mut cx),
            },
            Event::Handed(token) => {
                let mut members = self.members.values_mut();
                members.any(|member| member.on_handed(token));
            }
            Event::Lost(token) => {
                let mut members = self.members.values_mut();
                members.any(|member| member.on_lost(token));
            }
            Event::LinkUp => self.link_up(&mut cx),
            Event::LinkDown => {
                debug!("the link is down: whoever is in the room stays for the time being")
            }
            Event::Elapsed => self.elapsed(&mut cx),
            Event::ShutDown | Event::Abandon => self.shut_down(&mut cx),
        }
        self.site.settle(out);
    }

    /// When [`Event::Elapsed`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let members = self.members.values();
        let members = members.filter_map(|member| member.deadline(&self.site));
        members.chain(self.left_by_jid.values().copied()).min()
    }

    /// Nobody is in it, and nothing is under way.
    pub fn is_over(&self) -> bool {
        let nobody_left = self.left_by_jid.is_empty() || self.service == Service::ShuttingDown;
        self.members.is_empty() && nobody_left
    }

    /// Whether somebody of that address is in the MUC.
    pub(super) fn is_inside(&self, aor: &str) -> bool {
        let mut members = self.members.values();
        members.any(|member| member.aor_key == aor && member.is_inside())
    }

    pub(super) fn is_closing(&self) -> bool {
        self.service == Service::ShuttingDown
    }

    /// What occupants are told of has changed.
    pub(super) fn changed_if(&mut self, is_news: bool, cx: &mut Cx<'_>) {
        if is_news {
            self.subscriptions.changed(cx);
        }
    }

    /// The full JID of a SIP user who comes in (RS-07).
    pub(super) fn jid_for(&mut self, aor: &Uri, device: Option<&str>) -> Option<Jid> {
        let bare = self.site.addresses.jid_of(aor).ok()?.bare();
        let named = device.and_then(|device| bare.with_resource(device).ok());
        if let Some(named) = named
            && !self.member_by_jid.contains_key(&named)
        {
            return Some(named);
        }
        let resource = self.site.resource();
        bare.with_resource(&resource).ok()
    }

    pub(super) fn add(&mut self, member: Member) {
        self.member_by_jid.insert(member.jid.clone(), member.id);
        self.members.insert(member.id, member);
    }

    fn invited(&mut self, id: MemberId, invitation: Invitation, cx: &mut Cx<'_>) {
        let refusal = if self.is_closing() {
            Some(503)
        } else {
            (self.members.len() >= self.site.settings.members).then_some(486)
        };
        let jid = self.jid_for(&invitation.aor, invitation.device.as_deref());
        let (Some(jid), None) = (jid, refusal) else {
            let status = refusal.unwrap_or(403);
            info!(sip = %invitation.aor, status, "an INVITE to the room is refused");
            return cx
                .out
                .extend([Action::Decline(id, status), Action::Close(id)]);
        };
        info!(sip = %invitation.aor, %jid, "a SIP user calls the room");
        let media = invitation.media.clone();
        let mut member = Member::new(id, jid, invitation, Call::Answering);
        cx.out.push(Action::Accept(id));
        if let Some(media) = media {
            member.open(media, cx);
        }
        self.add(member);
    }

    fn tell_member(&mut self, id: MemberId, event: MemberEvent, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return debug!("an outcome for a SIP user who has left");
        };
        let (site, roster) = (&mut self.site, &self.roster);
        let fate = match event {
            MemberEvent::Acknowledged(answer) => match member.on_acknowledged(answer, site, cx) {
                Ok(()) => Fate::Stays,
                Err(unusable) => Fate::Leaves(Farewell::new(488, unusable.to_string())),
            },
            MemberEvent::Answered(answer) => return self.summoned_came(id, answer, cx),
            MemberEvent::Rejected(status) => return self.summoned_stays_away(id, status, cx),
            MemberEvent::Cancelled => return self.finish(id, Ending::Gone(None), cx),
            MemberEvent::Ended(words) => return self.finish(id, Ending::Gone(words), cx),
            MemberEvent::StreamRemoved => Fate::Leaves(Farewell::new(200, "the chat is over")),
            MemberEvent::Changed(media) => {
                member.on_changed(media, cx);
                Fate::Stays
            }
            MemberEvent::Renewed(media) => {
                if matches!(member.line, Line::Lost { .. }) {
                    member.open(media, cx);
                }
                Fate::Stays
            }
            MemberEvent::NotRenewed => {
                if let Line::Lost { renewal, .. } = &mut member.line {
                    *renewal = Renewal::Refused;
                }
                Fate::Stays
            }
            MemberEvent::Bound => {
                member.line = Line::Bound;
                member.outbox.pump(id, site, cx);
                Fate::Stays
            }
            MemberEvent::Disconnected(cause) => {
                info!(sip = %member.aor, %cause, "the MSRP connection of somebody in the room is lost");
                member.on_disconnected(site, cx.now);
                Fate::Stays
            }
            MemberEvent::Received(incoming) => {
                member.on_received(*incoming, roster, site, cx);
                Fate::Stays
            }
            MemberEvent::Nickname(request) => {
                member.on_nickname(&request, site, cx);
                Fate::Stays
            }
            MemberEvent::Accepted(token) => {
                member.outbox.accepted(token);
                member.pump(site, cx);
                Fate::Stays
            }
            MemberEvent::Refused(token, status) => {
                member.outbox.refused(token, status);
                member.pump(site, cx);
                Fate::Stays
            }
            MemberEvent::Congested(token) => {
                member.outbox.congested(token);
                Fate::Stays
            }
        };
        self.follow(id, fate, cx);
        self.part_if_said(id, cx);
    }

    pub(super) fn follow(&mut self, id: MemberId, fate: Fate, cx: &mut Cx<'_>) {
        if let Fate::Leaves(farewell) = fate {
            self.finish(id, Ending::Put(farewell), cx);
        }
    }

    /// Somebody wants to be told what happens (RS-15, RS-16).
    fn subscribed(
        &mut self,
        subscription: SubscriptionId,
        aor: &Uri,
        member: Option<MemberId>,
        cx: &mut Cx<'_>,
    ) {
        let key = key_of(aor);
        let id = self.member_of(&key, member);
        let Some(id) = id else {
            info!(sip = %aor, status = 403, "a SUBSCRIBE is refused: its sender has not called the room");
            return cx.out.push(Action::TurnAway(subscription, 403));
        };
        if self.subscriptions.len() >= self.site.settings.subscriptions {
            return cx.out.push(Action::TurnAway(subscription, 503));
        }
        cx.out.push(Action::Admit(subscription));
        let state = self
            .is_inside(&key)
            .then(|| self.roster.document(&self.site));
        self.subscriptions.add(subscription, &key, state, cx);
        if let Some(member) = self.members.get_mut(&id) {
            member.enter_unnamed(&mut self.site, cx);
        }
    }

    /// Who it is that takes part under that address; in its dialog, if it is known which.
    pub(super) fn member_of(&self, aor: &str, member: Option<MemberId>) -> Option<MemberId> {
        match member {
            Some(id) => self.members.get(&id).filter(|member| member.takes_part()),
            None => {
                let mut members = self.members.values();
                members.find(|member| member.aor_key == aor && member.takes_part())
            }
        }
        .map(|member| member.id)
    }

    /// The MUC has shown somebody its own presence: it is in, or is called otherwise.
    pub(super) fn placed(&mut self, id: MemberId, nick: &str, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let again = matches!(
            &member.place,
            Place::Entering(entering) if matches!(entering.entry, Entry::Again { .. })
        );
        let has_entered = member.on_placed(nick, cx.now, cx);
        if has_entered {
            let aor = member.aor_key.clone();
            if again {
                let is_news = self.roster.end_round();
                self.changed_if(is_news, cx);
            }
            let document = self.roster.document(&self.site);
            self.subscriptions.complete(&aor, &document, cx);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.send_held(&self.roster, &self.site, cx);
            member.grant_next(&mut self.site, cx);
        }
    }

    /// The document of the whole state.
    #[cfg(test)]
    pub(super) fn document(&mut self) -> Arc<ConferenceInfo> {
        self.roster.document(&self.site)
    }

    /// Words of the room's to one SIP user.
    pub(super) fn say(&mut self, id: MemberId, words: &str, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let document = self
            .press
            .public(None, None, None, words, &self.site, cx.now);
        member.post(Post::new(document, PostKind::Public), &mut self.site, cx);
    }

    fn elapsed(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        self.left_by_jid.retain(|_, until| *until > now);
        let due = self.members.values().filter_map(|member| {
            let due = member.deadline(&self.site)?;
            (due <= now).then_some(member.id)
        });
        for id in due.collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.on_time_for_sent(&self.site.settings, now);
            let fate = match member.on_time_for_place(&mut self.site, cx) {
                Fate::Stays => member.on_time_for_line(&mut self.site, cx),
                leaves => leaves,
            };
            self.follow(id, fate, cx);
            self.watch(id, cx);
            self.on_time_for_call(id, cx);
        }
    }

    fn shut_down(&mut self, cx: &mut Cx<'_>) {
        self.service = Service::ShuttingDown;
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            let farewell = Farewell::new(503, "the gateway shuts down");
            self.finish(id, Ending::Put(farewell), cx);
        }
    }
}

/// How somebody leaves the room.
#[derive(Debug)]
pub(super) enum Ending {
    /// Its dialog is over; with its last words.
    Gone(Option<String>),
    /// We end its dialog.
    Put(Farewell),
    /// The same, and the MUC has it no more.
    Removed(Farewell),
}

/// The MSRP connection.
impl Member {
    /// Opens the connection that offer and answer agree on.
    pub fn open(&mut self, media: Media, cx: &mut Cx<'_>) {
        self.learn(&media);
        self.leg = Leg(self.leg.0 + 1);
        self.path.clone_from(&media.path);
        self.line = Line::Opening;
        cx.out.push(Action::Open {
            member: self.id,
            leg: self.leg,
            path: media.path,
            role: media.role,
        });
    }

    /// Our 200 was acknowledged: if nothing else brings it into the MUC, time does (RS-06).
    fn on_acknowledged(
        &mut self,
        answer: Option<Result<Media, Unusable>>,
        site: &Site,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unusable> {
        self.call = Call::Established;
        if let Some(answer) = answer {
            // That of an offer of ours in the answer to a re-INVITE without one comes here, too.
            let media = answer?;
            if matches!(self.line, Line::Closed) || media.path != self.path {
                self.open(media, cx);
            }
        }
        if let Place::Outside { from } = &mut self.place {
            from.get_or_insert(cx.now + site.settings.join_wait);
        }
        Ok(())
    }

    /// A re-INVITE: the same connection, or another.
    fn on_changed(&mut self, media: Media, cx: &mut Cx<'_>) {
        if media.path == self.path && !matches!(self.line, Line::Lost { .. }) {
            return self.learn(&media);
        }
        self.outbox.disconnected();
        self.open(media, cx);
    }

    /// The connection is lost: the peer may make it anew (RS-35).
    fn on_disconnected(&mut self, site: &Site, now: Instant) {
        self.outbox.disconnected();
        self.line = Line::Lost {
            until: now + site.settings.recover_wait,
            renewal: Renewal::At(now + site.settings.renew_after),
        };
    }

    fn on_time_for_line(&mut self, site: &mut Site, cx: &mut Cx<'_>) -> Fate {
        match &mut self.line {
            Line::Lost { until, .. } if *until <= cx.now => {
                info!(sip = %self.aor, after = ?site.settings.recover_wait, "no new MSRP connection has come");
                if let Place::Inside(inside) = &self.place {
                    site.hold(&inside.nick, &self.aor_key, cx.now);
                }
                Fate::Leaves(Farewell::new(480, "no MSRP connection"))
            }
            Line::Lost {
                renewal: Renewal::At(at),
                ..
            } if *at > cx.now => Fate::Stays,
            Line::Lost { renewal, .. } if matches!(renewal, Renewal::At(_)) => {
                *renewal = match self.call {
                    Call::Established => {
                        cx.out.push(Action::Renew(self.id));
                        Renewal::Asked
                    }
                    Call::Answering | Call::Summoned { .. } | Call::Parting { .. } => {
                        Renewal::Refused
                    }
                };
                Fate::Stays
            }
            Line::Closed | Line::Opening | Line::Bound | Line::Lost { .. } => Fate::Stays,
        }
    }

    /// One more message for it.
    pub fn post(&mut self, post: Post, site: &mut Site, cx: &mut Cx<'_>) {
        let is_too_long = |max: u64| post.body.len() as u64 > max;
        if self.max_size.is_some_and(is_too_long) {
            debug!(sip = %self.aor, "a message is left out: it is longer than the SIP user takes");
            return post.give_up(Fault::new(Condition::PolicyViolation));
        }
        self.outbox.push(post, &site.settings);
        self.pump(site, cx);
    }

    fn pump(&mut self, site: &mut Site, cx: &mut Cx<'_>) {
        if matches!(self.line, Line::Bound) {
            self.outbox.pump(self.id, site, cx);
        }
    }
}
