//! Invitations by way of the room, in both directions.

use stox_sip::{Failure, Status};

use super::*;

const INVITE: &str =
    "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='hecate@shakespeare.lit'/></x>";

fn invitation() -> Box<FocusInvitation> {
    let user = User {
        jid: "juliet@example.com".parse::<Jid>().unwrap().bare(),
        uri: JULIET.parse().unwrap(),
    };
    Box::new(FocusInvitation {
        to: "juliet@example.com".parse().unwrap(),
        user,
        inviter: Some("benvolio%example.org@sip.example.com".parse().unwrap()),
        reason: Some("the feast".to_owned()),
        focus: focus(),
        media: media(),
    })
}

fn called() -> Stage {
    let mut stage = Stage::new();
    let member = stage.core.next_member();
    assert_eq!(
        stage.tell(Event::Invited(member, invitation())),
        [
            "180",
            "message -→- invite=benvolio%example.org@sip.example.com reason=the feast"
        ]
    );
    stage
}

// RX-30, T19, RFC 7702 §5.7: F27 to F30.
#[test]
fn she_invites() {
    let invited = || {
        let mut stage = Stage::new();
        stage.enter(1, "balcony", "JuliC");
        assert_eq!(
            stage.says("balcony", ROOM, "normal", INVITE),
            ["REFER sip:hecate@shakespeare.lit"]
        );
        stage
    };
    for (event, expected) in [
        (ReferralEvent::Notified(100), None),
        (ReferralEvent::Notified(200), None),
        (
            ReferralEvent::Notified(603),
            Some("message -→balcony decline=hecate@shakespeare.lit"),
        ),
        (
            ReferralEvent::Notified(486),
            Some("message -→balcony decline=hecate@shakespeare.lit"),
        ),
        (
            ReferralEvent::Notified(404),
            Some("message -→balcony error error=cancel item-not-found id=m1"),
        ),
        (
            ReferralEvent::Ended(SubscriptionEnd::Refused(Status::FORBIDDEN)),
            Some("message -→balcony error error=auth forbidden id=m1"),
        ),
        (
            ReferralEvent::Ended(SubscriptionEnd::Failed(Failure::Timeout)),
            Some("message -→balcony error error=wait remote-server-timeout id=m1"),
        ),
        (ReferralEvent::Ended(SubscriptionEnd::NoNotify), None),
    ] {
        let mut stage = invited();
        let lines = stage.tell(Event::Referral(ReferralId(1), event));
        assert_eq!(lines, expected.into_iter().collect::<Vec<_>>());
    }
}

// RX-30: SIP users by their JIDs here, and nobody from outside.
#[test]
fn who_may_invite_whom() {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    let sip = INVITE.replace(
        "hecate@shakespeare.lit",
        "mercutio%example.org@sip.example.com",
    );
    assert_eq!(
        stage.says("balcony", ROOM, "normal", &sip),
        ["REFER sip:mercutio@example.org"]
    );
    let lines = stage.says("garden", ROOM, "normal", INVITE);
    assert!(lines[0].contains("not-acceptable"), "{lines:?}");
}

// RX-31: the focus calls her, she comes, and that dialog is the membership.
#[test]
fn she_is_called_and_comes() {
    let mut stage = called();
    assert_eq!(
        stage.wants_in("balcony", "JuliC"),
        ["200 gr=balcony", "MSRP"]
    );
    let (lines, token) = stage.bound(1);
    assert_eq!(lines, ["NICKNAME JuliC"]);
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        ["SUBSCRIBE sip:verona@192.0.2.1:5060"]
    );
    assert_eq!(
        stage.roster(1, vec![person(JULIET, "JuliC")])[0],
        "presence JuliC→balcony participant jid=juliet@example.com 110 id=j1"
    );
}

// RX-31: she declines, does not answer, or the focus thinks better of it.
#[test]
fn she_is_called_and_does_not_come() {
    let decline = format!(
        "<message from='juliet@example.com/balcony' to='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <decline to='benvolio%example.org@sip.example.com'/></x></message>"
    );
    let mut stage = called();
    assert_eq!(stage.stanza(&decline), ["603", "close"]);
    assert!(stage.core.is_over());
    let mut stage = called();
    assert!(stage.pass(Duration::from_millis(89_999)).is_empty());
    assert_eq!(stage.pass(Duration::from_millis(1)), ["480", "close"]);
    let mut stage = called();
    assert_eq!(stage.member(1, MemberEvent::Cancelled), ["close"]);
    assert!(stage.core.is_over());
}

// SEC-14
#[test]
fn bounds_of_invitations() {
    let mut stage = Stage::with(|settings| settings.invitations = 1);
    let member = stage.core.next_member();
    stage.tell(Event::Invited(member, invitation()));
    let member = stage.core.next_member();
    assert_eq!(
        stage.tell(Event::Invited(member, invitation())),
        ["486", "close"]
    );
    let mut stage = Stage::with(|settings| settings.invitations = 1);
    stage.enter(1, "balcony", "JuliC");
    stage.says("balcony", ROOM, "normal", INVITE);
    let lines = stage.says("balcony", ROOM, "normal", INVITE);
    assert!(lines[0].contains("resource-constraint"), "{lines:?}");
}
