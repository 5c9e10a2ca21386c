//! Who invites whom.

use super::*;

fn refers(stage: &mut Stage, aor: &str, target: &str) -> Vec<String> {
    stage.handle(Event::Referred {
        subscription: SubscriptionId::new(9),
        aor: aor.parse().unwrap(),
        member: None,
        target: target.parse().unwrap(),
    })
}

// RS-30: RFC 7702 §6.5
#[test]
fn a_refer_becomes_an_invitation() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    for (target, invited) in [
        ("sip:mercutio@example.com", "mercutio@example.com"),
        (BENVOLIO, "benvolio%example.net@sip.example.com"),
        (
            "sip:nurse%40example.com@sip.example.com",
            "nurse@example.com",
        ),
    ] {
        let lines = refers(&mut stage, ROMEO, target);
        assert_eq!(lines[..2], ["admit", "NOTIFY 100"]);
        let message = only(&lines, "<message");
        assert!(
            message.contains(&format!("from=\"{R}\""))
                && message.contains(&format!("to=\"{ROOM}\""))
        );
        assert!(
            message.contains(&format!("<invite to=\"{invited}\"")),
            "{message}"
        );
    }
    assert_eq!(
        refers(&mut stage, BENVOLIO, "sip:mercutio@example.com"),
        ["turn away 403"]
    );
}

const MEDIATED: &str = "<message from='verona@rooms.example.com' to='benvolio%example.net@sip.example.com'>\
    <x xmlns='http://jabber.org/protocol/muc#user'><invite from='juliet@example.com/balcony'><reason>a feast</reason></invite>\
    <password>mask</password></x><x xmlns='jabber:x:conference' jid='verona@rooms.example.com'/></message>";

// RS-31
#[test]
fn an_invited_sip_user_is_called_and_comes() {
    let mut stage = Stage::new();
    let lines = stage.stanza(MEDIATED);
    assert_eq!(
        lines,
        ["1 INVITE sip:benvolio@example.net by sip:juliet@example.com Some(\"a feast\")"]
    );
    assert_eq!(stage.stanza(MEDIATED), [""; 0], "once is enough");
    let id = MemberId(1);
    let lines = stage.member(id, MemberEvent::Answered(Ok(media("b"))));
    assert_eq!(lines, ["1 ACK", "1 open 1"]);
    stage.member(id, MemberEvent::Bound);
    let lines = stage.wait(2.1);
    let join = only(&lines, "<presence");
    assert!(
        join.contains(&format!("{ROOM}/benvolio\"")) && join.contains("<password>mask</password>"),
        "{join}"
    );
}

// RS-31 T19
#[test]
fn who_does_not_come_declines() {
    for (status, words) in [(603, "declined"), (486, "busy"), (480, "not there")] {
        let mut stage = Stage::new();
        stage.stanza(MEDIATED);
        let lines = stage.member(MemberId(1), MemberEvent::Rejected(status));
        let decline = only(&lines, "<decline");
        assert!(
            decline.contains("to=\"juliet@example.com/balcony\"") && decline.contains(words),
            "{decline}"
        );
        assert!(
            decline.contains("from=\"benvolio%example.net@sip.example.com\""),
            "{decline}"
        );
        only(&lines, "1 close");
        assert!(stage.room.is_over());
    }
    let mut stage = Stage::new();
    stage.stanza(MEDIATED);
    let lines = stage.wait(90.1);
    only(&lines, "<decline");
    only(&lines, "1 CANCEL");
    let mut stage = Stage::new();
    stage.stanza(MEDIATED);
    let lines = stage.member(MemberId(1), MemberEvent::Answered(Err(Unusable::NoCpim)));
    assert_eq!(lines[0], "1 ACK");
    only(&lines, "<decline");
    assert!(only(&lines, "BYE").starts_with("1 BYE 488"));
}

// RS-31: past the room nobody hears of a refusal.
#[test]
fn direct_invitations() {
    let mut stage = Stage::new();
    let lines = stage.stanza(
        "<message from='juliet@example.com/balcony' to='benvolio%example.net@sip.example.com'>\
         <x xmlns='jabber:x:conference' jid='verona@rooms.example.com' reason='a feast'/></message>",
    );
    only(
        &lines,
        "1 INVITE sip:benvolio@example.net by sip:juliet@example.com",
    );
    let lines = stage.member(MemberId(1), MemberEvent::Rejected(603));
    assert_eq!(lines, ["1 close"]);
}

// RS-30: what comes of it later is said in the room.
#[test]
fn who_has_invited_hears_of_it() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let lines = stage.stanza(&format!(
        "<message from='{ROOM}' to='{R}'><x xmlns='{MUC_USER}'>\
         <decline from='mercutio@example.com/inn'><reason>a plague</reason></decline></x></message>"
    ));
    assert!(only(&lines, "SEND").ends_with("| mercutio@example.com does not come. a plague"));
    let lines = stage.stanza(&format!(
        "<message type='error' from='{ROOM}' to='{R}' id='i1'><x xmlns='{MUC_USER}'><invite to='mercutio@example.com'/></x>\
         <error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    ));
    assert!(
        only(&lines, "SEND").ends_with("| mercutio@example.com cannot be invited: forbidden."),
        "{lines:?}"
    );
}
