//! A room of the SIP world with everybody who takes part in it through the gateway.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use stox_msrp::MsrpUri;
use tracing::debug;

use super::event::{Action, Event, MemberEvent, Place, ReferralId, Settings, Ticket};
use super::invitations::Referral;
use super::member::{Member, Stage, State};
use super::occupant::People;
use super::place::AddressKey;
use super::reading::Readings;
use crate::address::{Addresses, BareJid, Jid};
use crate::room::nickname::Held;
use crate::room::{MemberId, Token};
use crate::translate::promise::{Ledger, Promise};
use crate::translate::{Clock, Tokens};
use crate::xmpp::{Outgoing, Stanza};

/// A room of the SIP world, shown as a MUC.
#[derive(Debug)]
pub struct Room {
    pub(super) place: Place,
    /// The room's own address.
    pub(super) key: Option<AddressKey>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) members: BTreeMap<MemberId, Member>,
    pub(super) member_by_seat: HashMap<Jid, MemberId>,
    /// The dialogs of each user.
    pub(super) members_by_account: HashMap<BareJid, Vec<MemberId>>,
    /// Users with a member, by their SIP address.
    pub(super) account_by_key: HashMap<AddressKey, BareJid>,
    pub(super) referrals: BTreeMap<ReferralId, Referral>,
    /// Messages of the switch's that the XMPP server has not taken yet.
    pub(super) handing: HashMap<Token, Promise<Ticket>>,
    /// Devices that were asked whether they are still there, by the id of the question.
    pub(super) seat_by_ping: HashMap<String, Jid>,
    /// Devices to which a presence could not be written, and when they are shown the room again.
    pub(super) behind: BTreeSet<Jid>,
    pub(super) catch_up_at: Option<Instant>,
    /// Nicknames of users who have just lost their connection.
    pub(super) held: Held<BareJid>,
    pub(super) readings: Readings,
    pub(super) ledger: Ledger<Ticket>,
    pub(super) tokens: Tokens,
    next_member: u32,
    pub(super) next_referral: u32,
    link: Link,
    pub(super) service: Service,
}

/// Whether anybody may still come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Everybody may.
    Open,
    /// The gateway says goodbye.
    Closing,
}

/// Whether the XMPP server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

/// The surroundings of one event.
pub(super) struct Cx<'a> {
    pub now: Instant,
    /// What is to be done, in this order.
    pub out: &'a mut Vec<Action>,
}

impl Cx<'_> {
    pub fn act(&mut self, action: Action) {
        self.out.push(action);
    }

    /// Writes a stanza of which nobody needs to know what becomes of it.
    pub fn write(&mut self, stanza: impl Into<Outgoing>) {
        self.out.push(Action::Stanza(stanza.into(), None));
    }
}

impl Room {
    /// A room in which nobody is yet. Two rooms with the same seed choose the same ids.
    pub fn new(
        place: Place,
        addresses: Arc<Addresses>,
        settings: Settings,
        seed: u64,
        clock: Clock,
    ) -> Room {
        Room {
            key: place.key(),
            place,
            addresses,
            settings,
            clock,
            members: BTreeMap::new(),
            member_by_seat: HashMap::new(),
            members_by_account: HashMap::new(),
            account_by_key: HashMap::new(),
            referrals: BTreeMap::new(),
            handing: HashMap::new(),
            seat_by_ping: HashMap::new(),
            behind: BTreeSet::new(),
            catch_up_at: None,
            held: Held::default(),
            readings: Readings::default(),
            ledger: Ledger::default(),
            tokens: Tokens::new(seed),
            next_member: 0,
            next_referral: 0,
            link: Link::Up,
            service: Service::Open,
        }
    }

    /// The room, as each side knows it.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A name for a member to come.
    pub fn next_member(&mut self) -> MemberId {
        self.next_member += 1;
        MemberId(self.next_member)
    }

    /// Whether that is the switch's path in the member's session.
    pub fn is_path_of(&self, member: MemberId, path: &[MsrpUri]) -> bool {
        let line = self.members.get(&member).and_then(Member::line);
        line.is_some_and(|line| line.path == path)
    }

    /// Whether nobody is in the room and nothing is under way.
    pub fn is_over(&self) -> bool {
        self.members.is_empty() && self.referrals.is_empty() && self.handing.is_empty()
    }

    /// Whether there is nothing either that has to be remembered for those who come next.
    pub fn is_forgettable(&self) -> bool {
        self.is_over() && self.held.poll_timeout().is_none()
    }

    /// When [`Event::Elapsed`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let of_member = self.members.values().filter_map(|it| self.deadline(it));
        let others = self.catch_up_at.into_iter().chain(self.held.poll_timeout());
        of_member.chain(others).min()
    }

    /// Takes what happened at `now`, and appends what is to be done.
    pub fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Action>) {
        let mut cx = Cx { now, out };
        match event {
            Event::Stanza(Stanza::Presence(presence)) => self.presence(*presence, &mut cx),
            Event::Stanza(Stanza::Message(message)) => self.message(*message, &mut cx),
            Event::Stanza(Stanza::Iq(iq)) => self.iq(&iq, &mut cx),
            Event::Invited(member, invitation) => self.invited(member, invitation, &mut cx),
            Event::Member(member, event) => self.on(member, event, &mut cx),
            Event::Referral(referral, event) => self.on_referral(referral, event, &mut cx),
            Event::Handed(token) => {
                if let Some(promise) = self.handing.remove(&token) {
                    promise.delivered();
                }
            }
            Event::Lost(token) => self.lost(token),
            Event::LinkUp => self.link_up(&mut cx),
            Event::LinkDown => self.link = Link::Down,
            Event::Elapsed => self.elapsed(&mut cx),
            Event::Unwritten(to) => self.unwritten(&to, &mut cx),
            Event::ShutDown => self.shut_down(&mut cx),
        }
        let settled = self.ledger.drain();
        cx.out.extend(settled.into_iter().map(Action::Settle));
    }

    fn on(&mut self, id: MemberId, event: MemberEvent, cx: &mut Cx<'_>) {
        match event {
            MemberEvent::Answered { media, focus } => self.answered(id, media, focus, cx),
            MemberEvent::Rejected(rejection, challenge) => {
                self.rejected(id, &rejection, challenge, cx);
            }
            MemberEvent::Failed(failure) => self.failed(id, &failure, cx),
            MemberEvent::Cancelled => self.cancelled(id, cx),
            MemberEvent::Ended(end) => self.ended(id, &end, cx),
            MemberEvent::Bound => self.bound(id, cx),
            MemberEvent::Accepted(token) => self.accepted(id, token, cx),
            MemberEvent::Refused(token, status) => self.refused(id, token, status, cx),
            MemberEvent::Unanswered(token) => self.refused(id, token, UNANSWERED, cx),
            MemberEvent::Disconnected(cause) => self.disconnected(id, cause, cx),
            MemberEvent::Received(leg, incoming) => self.received(id, leg, &incoming, cx),
            MemberEvent::Notified(body) => self.notified(id, &body, cx),
            MemberEvent::Unsubscribed(end, next) => self.unsubscribed(id, &end, next, cx),
        }
    }

    /// The XMPP server is back: it may have let go of people meanwhile (RX-33).
    fn link_up(&mut self, cx: &mut Cx<'_>) {
        if self.link == Link::Down {
            self.link = Link::Up;
            self.ask_for_seats(cx);
        }
    }

    fn elapsed(&mut self, cx: &mut Cx<'_>) {
        if self.catch_up_at.is_some_and(|due| due <= cx.now) {
            self.catch_up(cx);
        }
        self.held.forget(cx.now);
        let due: Vec<MemberId> = self
            .members
            .values()
            .filter(|member| self.deadline(member).is_some_and(|due| due <= cx.now))
            .map(|member| member.id)
            .collect();
        for id in due {
            self.member_elapsed(id, cx);
        }
    }

    fn deadline(&self, member: &Member) -> Option<Instant> {
        match &member.state {
            State::Inviting { until, .. } | State::Ringing { until, .. } => Some(*until),
            State::Open(_, Stage::Connecting { until }) => Some(*until),
            // The MSRP session tells that nobody answers.
            State::Open(_, Stage::Naming { .. }) => None,
            State::Open(_, Stage::Gathering { until, asking }) => Some(asking.due(*until)),
            State::Open(_, Stage::Joined) => {
                let first = member.inbox.front()?;
                Some(first.at + self.settings.sender_wait)
            }
        }
    }

    fn member_elapsed(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        debug!(member = id.0, "waited long enough");
        match &member.state {
            State::Inviting { .. } => self.unanswered_invite(id, cx),
            State::Ringing { .. } => self.unheeded(id, cx),
            State::Open(_, Stage::Connecting { .. }) => self.unbound(id, cx),
            State::Open(_, Stage::Naming { .. }) => {}
            State::Open(_, Stage::Gathering { .. }) => self.gather_on(id, cx),
            State::Open(_, Stage::Joined) => self.show_arrived(id, cx),
        }
    }

    /// The user's other members in the room.
    pub(super) fn siblings(&self, id: MemberId) -> Vec<MemberId> {
        let Some(member) = self.members.get(&id) else {
            return Vec::new();
        };
        let of_account = self.members_by_account.get(member.account());
        let of_account = of_account.into_iter().flatten().copied();
        of_account.filter(|other| *other != id).collect()
    }

    /// What the user's other members are called, as nicknames are compared.
    pub(super) fn sibling_keys(&self, id: MemberId) -> Vec<String> {
        let siblings = self.siblings(id).into_iter();
        siblings
            .filter_map(|id| Some(self.members.get(&id)?.nick_key()))
            .collect()
    }

    pub(super) fn fresh_id(&mut self) -> String {
        self.tokens.text()
    }

    pub(super) fn fresh_token(&mut self) -> Token {
        Token(self.tokens.number())
    }

    /// Who is known by which address.
    pub(super) fn people<'a>(
        key: &'a Option<AddressKey>,
        accounts: &'a HashMap<AddressKey, BareJid>,
        addresses: &'a Addresses,
    ) -> People<'a> {
        People {
            room: key.as_ref(),
            accounts,
            addresses,
        }
    }
}

/// MSRP status of what was not answered in time (T10).
const UNANSWERED: u16 = 408;
