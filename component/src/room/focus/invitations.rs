//! Who invites whom: REFER of SIP users becomes an invitation by way of the MUC (RS-30), and an invitation to a SIP user
//! becomes an INVITE (RS-31).

use stox_sip::{SubscriptionId, Uri};
use tracing::info;

use super::event::{Action, Farewell, Invitation, Media, Summons, Unusable};
use super::member::{Call, Member, Place, key_of};
use super::room::{Ending, Room};
use super::site::Cx;
use crate::address::{Addresses, Aor, Jid};
use crate::room::MemberId;
use crate::xmpp::{Message, MessageType, MucDecline, MucInvite, MucUser, OutgoingMessage};

impl Room {
    /// Somebody in the room wants somebody else there (RS-30).
    pub(super) fn referred(
        &mut self,
        subscription: SubscriptionId,
        aor: &Uri,
        member: Option<MemberId>,
        target: &Uri,
        cx: &mut Cx<'_>,
    ) {
        let id = self.member_of(&key_of(aor), member);
        let member = id.and_then(|id| self.members.get(&id));
        let Some(member) = member.filter(|member| member.is_inside()) else {
            info!(sip = %aor, status = 403, "a REFER is refused: its sender is not in the room");
            return cx.out.push(Action::TurnAway(subscription, 403));
        };
        let Some(invited) = invited_jid(target, &member.aor, &self.site.addresses) else {
            return cx.out.push(Action::TurnAway(subscription, 404));
        };
        info!(sip = %aor, %invited, "a SIP user invites somebody into the room");
        cx.out.push(Action::Admit(subscription));
        cx.out.push(Action::EndReferral(subscription));
        let invite = MucInvite {
            to: Some(invited),
            ..MucInvite::default()
        };
        let invitation = MucUser {
            invites: vec![invite],
            ..MucUser::default()
        };
        let id = self.site.stanza_id();
        let room = self.site.jid.as_jid();
        cx.write(
            OutgoingMessage::new(&member.jid, room, MessageType::Normal)
                .id(id)
                .muc_user(invitation),
        );
    }

    /// Takes a message that invites a SIP user into this room; whether it is one (RS-31).
    pub(super) fn on_invitation(&mut self, message: &Message, cx: &mut Cx<'_>) -> bool {
        if message.kind == MessageType::Error {
            return false;
        }
        let room = self.site.jid.as_jid();
        let mediated = message.muc.as_deref().filter(|_| message.from == *room);
        // Some rooms put both kinds of invitation into one message.
        if let Some((muc, invite)) = mediated.and_then(|muc| Some((muc, muc.invites.first()?))) {
            let (inviter, reason) = (invite.from.clone(), invite.reason.clone());
            self.summon(&message.to, inviter, true, reason, muc.password.clone(), cx);
            return true;
        }
        if let Some(direct) = &message.direct_invite
            && direct.jid.bare() == self.site.jid
        {
            // From a friend, or from an occupant in private: nobody is told if it is not followed.
            let inviter = (message.from.bare() != self.site.jid).then(|| message.from.clone());
            let (reason, password) = (direct.reason.clone(), direct.password.clone());
            self.summon(&message.to, inviter, false, reason, password, cx);
            return true;
        }
        false
    }

    fn summon(
        &mut self,
        whom: &Jid,
        inviter: Option<Jid>,
        is_mediated: bool,
        reason: Option<String>,
        password: Option<String>,
        cx: &mut Cx<'_>,
    ) {
        let contact = self.site.addresses.sip_of(&whom.bare());
        let Ok(aor) = contact.map(|contact| contact.aor.uri()) else {
            return info!(%whom, "an invitation is for nobody that can be called");
        };
        let key = key_of(&aor);
        let is_known = self.members.values().any(|member| member.aor_key == key);
        if is_known || self.is_closing() || self.members.len() >= self.site.settings.members {
            return info!(sip = %aor, "an invitation is not followed: the SIP user is in the room, or nobody else can be");
        }
        let Some(jid) = self.jid_for(&aor, None) else {
            return;
        };
        info!(sip = %aor, inviter = ?inviter, "a SIP user is invited into the room");
        let id = self.next_member();
        let invitation = Invitation {
            aor: aor.clone(),
            name: None,
            device: None,
            identities: Vec::new(),
            media: None,
        };
        let by = inviter.as_ref().and_then(|jid| {
            let bare = jid.bare().into_jid();
            let is_occupant = bare == *self.site.jid.as_jid();
            let known_as = if is_occupant { jid } else { &bare };
            self.site.addresses.sip_of_xmpp(known_as).ok()
        });
        let call = Call::Summoned {
            until: cx.now + self.site.settings.invite_wait,
            inviter: inviter.filter(|_| is_mediated),
        };
        let mut member = Member::new(id, jid, invitation, call);
        member.password = password;
        self.add(member);
        let summons = Summons {
            target: aor,
            inviter: by,
            reason,
        };
        cx.out.push(Action::Invite(id, Box::new(summons)));
    }

    /// Our INVITE was accepted.
    pub(super) fn summoned_came(
        &mut self,
        id: MemberId,
        answer: Result<Media, Unusable>,
        cx: &mut Cx<'_>,
    ) {
        cx.out.push(Action::Ack(id));
        let from = Some(cx.now + self.site.settings.join_wait);
        match (self.members.get_mut(&id), answer) {
            (Some(member), Ok(media)) => {
                member.call = Call::Established;
                member.place = Place::Outside { from };
                member.open(media, cx);
            }
            (_, Err(unusable)) => {
                self.stays_away(id, "no chat rooms", cx);
                if let Some(member) = self.members.get_mut(&id) {
                    member.call = Call::Established;
                }
                let farewell = Farewell::new(488, unusable.to_string());
                self.finish(id, Ending::Put(farewell), cx);
            }
            (None, Ok(_)) => {}
        }
    }

    /// Our INVITE was refused.
    pub(super) fn summoned_stays_away(&mut self, id: MemberId, status: u16, cx: &mut Cx<'_>) {
        info!(status, "an invited SIP user does not come");
        let words = match status {
            486 | 600 => "busy",
            603 | 403 => "declined",
            404 | 604 => "no such user",
            408 | 480 | 504 => "not there",
            _ => "cannot take part",
        };
        self.stays_away(id, words, cx);
        self.finish(id, Ending::Gone(None), cx);
    }

    /// Tells who has invited by way of the room (T19).
    pub(super) fn stays_away(&mut self, id: MemberId, why: &str, cx: &mut Cx<'_>) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if let Call::Summoned { inviter, .. } = &mut member.call
            && let Some(inviter) = inviter.take()
        {
            let decline = MucUser {
                decline: Some(MucDecline {
                    to: Some(inviter),
                    reason: Some(why.to_owned()),
                    ..MucDecline::default()
                }),
                ..MucUser::default()
            };
            let user = member.jid.bare().into_jid();
            let room = self.site.jid.as_jid();
            cx.write(OutgoingMessage::new(&user, room, MessageType::Normal).muc_user(decline));
        }
    }
}

/// Whom a URI means that a SIP user names. One of the SIP user's own domain is a SIP user, others are XMPP users.
fn invited_jid(target: &Uri, referrer: &Uri, addresses: &Addresses) -> Option<Jid> {
    let (invited, referrer) = (Aor::of(target).ok()?, Aor::of(referrer).ok()?);
    let host = invited.host().to_string().to_lowercase();
    let is_sip = host == referrer.host().to_string().to_lowercase()
        || addresses.default_domain() == Some(&host);
    let jid = match is_sip {
        true => addresses.jid_of(&invited.uri()),
        false => addresses.xmpp_target(&invited.uri()),
    };
    jid.ok().map(|jid| jid.bare().into_jid())
}
