//! Invitations by way of the room, in both directions (T19). RFC 7702 §5.7, RX-30, RX-31.

use stox_sip::{Status, SubscriptionEnd};
use tracing::info;

use super::event::{Action, FocusInvitation, ReferralEvent, ReferralId};
use super::joining::line_of;
use super::member::{LEG, Member, Stage, State};
use super::room::{Cx, Room};
use crate::address::Jid;
use crate::fault::{Condition, Fault};
use crate::room::MemberId;
use crate::xmpp::{
    Message, MessageType, MucDecline, MucInvite, MucUser, Outgoing, OutgoingMessage,
};

/// An invitation of an XMPP user's that the focus carries out.
#[derive(Debug)]
pub struct Referral {
    /// Who invites.
    inviter: Jid,
    /// The id of the invitation, for an error.
    id: Option<String>,
    /// Who is invited.
    invited: Jid,
}

impl Room {
    /// Somebody invites others (F27), or does not follow an invitation.
    pub(super) fn invitation_message(&mut self, message: &Message, cx: &mut Cx<'_>) {
        let Some(user) = message.muc.as_deref() else {
            return;
        };
        if user.decline.is_some() {
            return self.declined(&message.from, cx);
        }
        let member = self.member_by_seat.get(&message.from).copied();
        let member = member.and_then(|id| self.members.get(&id));
        let Some(member) = member.filter(|member| member.is_joined()) else {
            let fault = Fault::new(Condition::NotAcceptable).with_text("you are not in this room");
            return self.give_back(message, &fault, cx);
        };
        let inviter = member.user.clone();
        for invite in &user.invites {
            let Some(invited) = &invite.to else {
                let fault = Fault::new(Condition::BadRequest).with_text("nobody is invited");
                self.give_back(message, &fault, cx);
                continue;
            };
            if self.referrals.len() >= self.settings.invitations {
                let fault = Fault::new(Condition::ResourceConstraint)
                    .with_text("too many invitations are under way");
                self.give_back(message, &fault, cx);
                return;
            }
            let uri = match self.addresses.sip_of(invited) {
                Ok(contact) => Ok(contact.aor.uri()),
                Err(_) => self.addresses.sip_of_xmpp(invited.bare().as_jid()),
            };
            let uri = match uri {
                Ok(uri) => uri,
                Err(error) => {
                    self.give_back(message, &error.into(), cx);
                    continue;
                }
            };
            self.next_referral += 1;
            let referral = ReferralId(self.next_referral);
            info!(inviter = %message.from, %invited, "an XMPP user invites somebody into the room");
            self.referrals.insert(
                referral,
                Referral {
                    inviter: message.from.clone(),
                    id: message.id.clone(),
                    invited: invited.clone(),
                },
            );
            cx.act(Action::Refer {
                referral,
                user: inviter.clone(),
                resource: message.from.resource().map(str::to_owned),
                invited: uri,
            });
        }
    }

    /// What became of such an invitation (F30).
    pub(super) fn on_referral(&mut self, id: ReferralId, event: ReferralEvent, cx: &mut Cx<'_>) {
        match event {
            ReferralEvent::Notified(..300) => {}
            ReferralEvent::Notified(status @ (486 | 600 | 603)) => {
                if let Some(referral) = self.referrals.remove(&id) {
                    info!(invited = %referral.invited, status, "an invitation is declined");
                    cx.write(self.decline_to(&referral));
                }
            }
            ReferralEvent::Notified(status) => self.referral_failed(id, status, cx),
            ReferralEvent::Ended(SubscriptionEnd::Refused(status)) => {
                self.referral_failed(id, status.code(), cx);
            }
            ReferralEvent::Ended(SubscriptionEnd::Failed(failure)) => {
                if let Some(referral) = self.referrals.remove(&id) {
                    cx.write(self.referral_error(&referral, &Fault::from_failure(&failure)));
                }
            }
            // Nobody has said that it did not work.
            ReferralEvent::Ended(_) => {
                self.referrals.remove(&id);
            }
        }
    }

    fn referral_failed(&mut self, id: ReferralId, status: u16, cx: &mut Cx<'_>) {
        if let Some(referral) = self.referrals.remove(&id) {
            info!(invited = %referral.invited, status, "an invitation has failed");
            let status = Status::new(status).unwrap_or(Status::SERVER_INTERNAL_ERROR);
            cx.write(self.referral_error(&referral, &Fault::from_sip(status, "")));
        }
    }

    fn decline_to(&self, referral: &Referral) -> Outgoing {
        let room = self.place.jid.as_jid();
        let decline = MucUser {
            decline: Some(MucDecline {
                from: Some(referral.invited.clone()),
                ..MucDecline::default()
            }),
            ..MucUser::default()
        };
        OutgoingMessage::new(room, &referral.inviter, MessageType::Normal)
            .muc_user(decline)
            .into()
    }

    fn referral_error(&self, referral: &Referral, fault: &Fault) -> Outgoing {
        let room = self.place.jid.as_jid();
        Outgoing::message_error(
            room,
            &referral.inviter,
            referral.id.as_deref(),
            fault.into(),
        )
    }

    /// A focus asks an XMPP user in: the user is asked, and decides by joining.
    pub(super) fn invited(
        &mut self,
        id: MemberId,
        invitation: Box<FocusInvitation>,
        cx: &mut Cx<'_>,
    ) {
        let ringing = |member: &&Member| matches!(member.state, State::Ringing { .. });
        let waiting = self.members.values().filter(ringing).count();
        let is_full = self.members.len() >= self.settings.members;
        if is_full || waiting >= self.settings.invitations {
            cx.act(Action::Decline(id, 486));
            return cx.act(Action::Close(id));
        }
        info!(member = id.0, xmpp = %invitation.to, "the focus of the room invites an XMPP user");
        let asked = MucUser {
            invites: vec![MucInvite {
                from: invitation.inviter.clone(),
                to: None,
                reason: invitation.reason.clone(),
            }],
            ..MucUser::default()
        };
        let room = self.place.jid.as_jid();
        let message =
            OutgoingMessage::new(room, &invitation.to, MessageType::Normal).muc_user(asked);
        let user = invitation.user.clone();
        let until = cx.now + self.settings.invite_wait;
        let state = State::Ringing { invitation, until };
        let member = Member::new(id, user, &self.place, String::new(), state);
        self.admit(member);
        cx.act(Action::Ring(id));
        cx.write(message);
    }

    /// The invitation of a focus to this user that waits, if there is one.
    pub(super) fn ringing_for(&self, jid: &Jid) -> Option<MemberId> {
        let account = jid.bare();
        let waits = |member: &&Member| {
            *member.account() == account && matches!(member.state, State::Ringing { .. })
        };
        self.members.values().find(waits).map(|member| member.id)
    }

    /// The invited user joins: the dialog of the invitation becomes the membership.
    pub(super) fn follow_invitation(&mut self, id: MemberId, nick: String, cx: &mut Cx<'_>) {
        let until = cx.now + self.settings.bind_wait;
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let State::Ringing { invitation, .. } = &member.state else {
            return;
        };
        let line = line_of(&invitation.media, invitation.focus.clone());
        let (path, role) = (invitation.media.path.clone(), invitation.media.role);
        member.roster.call_me(&self.place, "", &nick);
        member.wished.clone_from(&nick);
        member.nick = nick;
        member.state = State::Open(line, Stage::Connecting { until });
        cx.act(Action::Accept(id, member.user.clone(), member.resource()));
        cx.act(Action::OpenMsrp {
            member: id,
            leg: LEG,
            path,
            role,
        });
    }

    fn declined(&mut self, from: &Jid, cx: &mut Cx<'_>) {
        if let Some(id) = self.ringing_for(from) {
            info!(member = id.0, xmpp = %from, "an XMPP user does not want to come into the room");
            cx.act(Action::Decline(id, 603));
            self.remove(id, cx);
        }
    }

    /// Nobody has followed the invitation in time.
    pub(super) fn unheeded(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        cx.act(Action::Decline(id, 480));
        self.remove(id, cx);
    }

    /// The focus has taken its invitation back.
    pub(super) fn cancelled(&mut self, id: MemberId, cx: &mut Cx<'_>) {
        self.give_up(id, &Fault::new(Condition::RecipientUnavailable), cx);
    }
}
