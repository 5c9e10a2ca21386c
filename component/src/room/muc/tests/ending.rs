//! The ways out of the room.

use stox_msrp::LostCause;
use stox_sip::TerminationReason;

use super::*;

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    stage
}

/// Two devices in one dialog.
fn sharing() -> Stage {
    let mut stage = stage();
    stage.wants_in("garden", "JuliC");
    stage.answered(2);
    let (_, token) = stage.bound(2);
    assert_eq!(
        stage.member(2, MemberEvent::Refused(token, 425)),
        [
            "BYE Shared",
            "close",
            "presence Ben→garden participant jid=benvolio%example.org@sip.example.com",
            "presence JuliC→garden participant jid=juliet@example.com 110 100 id=j1",
            "message -→garden groupchat subject="
        ]
    );
    stage
}

// RX-28, RFC 7702 §5.8: F31 to F34.
#[test]
fn she_leaves() {
    for (inner, bye) in [
        ("", "BYE Left(None)"),
        (
            "<status>parting is such sweet sorrow</status>",
            "BYE Left(Some(\"parting is such sweet sorrow\"))",
        ),
    ] {
        let mut stage = stage();
        assert_eq!(
            stage.presence("balcony", "JuliC", "type='unavailable'", inner),
            [
                bye,
                "UNSUBSCRIBE",
                "close",
                "presence JuliC→balcony unavailable none 110",
                "vacate balcony"
            ]
        );
        assert!(stage.core.is_over());
        assert!(stage.core.poll_timeout().is_none());
    }
}

// RX-28: before she is in.
#[test]
fn she_leaves_early() {
    let mut stage = Stage::new();
    stage.wants_in("balcony", "JuliC");
    assert_eq!(
        stage.presence("balcony", "JuliC", "type='unavailable'", "")[..2],
        ["CANCEL", "close"]
    );
    stage.wants_in("balcony", "JuliC");
    stage.answered(2);
    assert_eq!(
        stage.presence("balcony", "JuliC", "type='unavailable'", "")[..2],
        ["BYE Left(None)", "close"]
    );
    assert!(stage.core.is_over());
}

// RX-28, XEP-0045 §14.2: her device is not there any more.
#[test]
fn bounces() {
    for (condition, is_gone) in [
        ("gone", true),
        ("item-not-found", true),
        ("recipient-unavailable", true),
        ("redirect", true),
        ("remote-server-not-found", true),
        ("remote-server-timeout", true),
        ("service-unavailable", true),
        ("not-acceptable", false),
        ("policy-violation", false),
    ] {
        let mut stage = stage();
        let error = format!(
            "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        );
        let lines = stage.stanza(&format!(
            "<message from='juliet@example.com/balcony' to='{ROOM}/Ben' type='error'>{error}</message>"
        ));
        assert_eq!(
            lines.first().is_some_and(|line| line == "BYE Vanished"),
            is_gone,
            "{condition}"
        );
        assert_eq!(stage.core.is_over(), is_gone);
    }
}

// RX-29: how the focus ends it.
#[test]
fn the_focus_ends_it() {
    let no_resource = SubscriptionEnd::Terminated(Some(TerminationReason::NoResource));
    for (event, bye, presence) in [
        (
            MemberEvent::Ended(DialogEnd::Bye(Some("enough".to_owned()))),
            None,
            "presence JuliC→balcony unavailable none 110 307 reason=enough",
        ),
        (
            MemberEvent::Ended(DialogEnd::Gone),
            None,
            "presence JuliC→balcony unavailable none 110 333",
        ),
        (
            MemberEvent::Disconnected(LostCause::ConnectionEnded),
            Some("BYE MediaLost"),
            "presence JuliC→balcony unavailable none 110 333",
        ),
        (
            unsubscribed(no_resource),
            Some("BYE Left(None)"),
            "presence JuliC→balcony unavailable none 110 destroy=",
        ),
    ] {
        let mut stage = stage();
        let lines = stage.member(1, event);
        let rest = ["UNSUBSCRIBE", "close", presence, "vacate balcony"];
        let expected: Vec<&str> = bye.into_iter().chain(rest).collect();
        assert_eq!(lines, expected);
        assert!(stage.core.is_over());
    }
}

// RX-21 RX-29: what was under way when it ended goes back to whoever wrote it.
#[test]
fn nothing_is_lost_with_the_room() {
    let mut stage = stage();
    stage.says("balcony", ROOM, "groupchat", "<body>x</body>");
    stage.hears(1, "<sip:paris@example.org>", &format!("<{VERONA}>"), "y");
    let lines = stage.member(1, MemberEvent::Ended(DialogEnd::Bye(None)));
    let refused = |what: &str| {
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{what} refused recipient-unavailable")))
    };
    assert!(refused("m1") && refused("SEND"), "{lines:?}");
}

// DISCO-14, RX-29: the gateway says goodbye.
#[test]
fn goodbye() {
    let mut stage = stage();
    stage.wants_in("garden", "Julia");
    let heard = stage.hears(1, &format!("<{BEN}>"), &format!("<{VERONA}>"), "x");
    assert_eq!(heard.len(), 1);
    assert_eq!(
        stage.tell(Event::ShutDown),
        [
            "BYE ShuttingDown",
            "UNSUBSCRIBE",
            "close",
            "presence JuliC→balcony unavailable none 110 332",
            "vacate balcony",
            "CANCEL",
            "close",
            "presence Julia→garden error error=wait recipient-unavailable echo id=j1",
            "vacate garden",
            "SEND refused recipient-unavailable (the gateway shuts down)"
        ]
    );
    assert!(stage.core.is_over());
}

// RX-32: the second device has the nickname of the first; both get everything, and the last one ends the dialog.
#[test]
fn two_devices_share_a_dialog() {
    let mut stage = sharing();
    let heard = stage.hears(1, &format!("<{BEN}>"), &format!("<{VERONA}>"), "x");
    assert_eq!(
        lines(&heard),
        [
            "message Ben→balcony groupchat body=x",
            "message Ben→garden groupchat body=x"
        ]
    );
    let token = heard.iter().find_map(token_of).unwrap();
    assert_eq!(stage.tell(Event::Handed(token)), ["SEND delivered"]);
    let stanza = format!(
        "<message from='juliet@example.com/garden' to='{ROOM}' type='groupchat' id='m1'><body>y</body></message>"
    );
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    let token = token_of(&actions[0]).unwrap();
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        [
            "message JuliC→balcony groupchat body=y id=m1",
            "message JuliC→garden groupchat body=y id=m1",
            "m1 delivered"
        ]
    );
    assert_eq!(
        stage.presence("balcony", "JuliC", "type='unavailable'", ""),
        [
            "presence JuliC→balcony unavailable none 110",
            "vacate balcony"
        ]
    );
    assert_eq!(
        stage.presence("garden", "JuliC", "type='unavailable'", "")[0],
        "BYE Left(None)"
    );
    assert!(stage.core.is_over());
}

// RX-21 RX-22 RX-32: devices with dialogs of their own see what one of them says once, under its id.
#[test]
fn two_devices_with_two_dialogs() {
    let mut stage = stage();
    stage.enter(2, "garden", "Julia");
    let stanza = format!(
        "<message from='juliet@example.com/balcony' to='{ROOM}' type='groupchat' id='m1'><body>y</body></message>"
    );
    let actions = stage.feed(Event::Stanza(reread(H, stanza.as_bytes()).unwrap()));
    let token = token_of(&actions[0]).unwrap();
    // The copy may be there before the answer.
    let copy = stage.hears(
        2,
        &format!("\"JuliC\" <{JULIET}>"),
        &format!("<{VERONA}>"),
        "y",
    );
    assert_eq!(lines(&copy), ["SEND delivered"]);
    assert_eq!(
        stage.member(1, MemberEvent::Accepted(token)),
        [
            "message JuliC→balcony groupchat body=y id=m1",
            "message JuliC→garden groupchat body=y id=m1",
            "m1 delivered"
        ]
    );
}

// RX-33: after a loss of the link everybody is asked, and whoever is not there any more leaves.
#[test]
fn the_link_was_lost() {
    let mut stage = sharing();
    assert!(stage.tell(Event::LinkUp).is_empty(), "it was never down");
    stage.tell(Event::LinkDown);
    // What is told meanwhile may be lost.
    stage.roster(
        1,
        vec![person("sip:a@a.example", "A"), person(JULIET, "JuliC")],
    );
    let pings = stage.feed(Event::LinkUp);
    assert_eq!(
        lines(&pings),
        ["iq JuliC→balcony get", "iq JuliC→garden get"]
    );
    let id_of = |action: &Action| {
        let Action::Stanza(stanza, _) = action else {
            panic!("{action:?}")
        };
        let xml = written(stanza, H);
        Document::parse(&xml)
            .unwrap()
            .root_element()
            .attribute("id")
            .unwrap()
            .to_owned()
    };
    let (balcony, garden) = (id_of(&pings[0]), id_of(&pings[1]));
    assert_eq!(
        stage.stanza(&format!(
            "<iq from='juliet@example.com/balcony' to='{ROOM}/JuliC' type='result' id='{balcony}'/>"
        )),
        [
            "presence Ben→balcony unavailable none",
            "presence A→balcony participant jid=a%a.example@sip.example.com",
            "presence JuliC→balcony participant jid=juliet@example.com 110 100",
            "message -→balcony groupchat subject="
        ]
    );
    assert_eq!(
        stage.stanza(&format!(
            "<iq from='juliet@example.com/garden' to='{ROOM}/JuliC' type='error' id='{garden}'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )),
        ["presence JuliC→garden unavailable none 110", "vacate garden"]
    );
}

// SEC-14: a presence that finds no room on the link is not missing for ever.
#[test]
fn the_link_is_full() {
    let mut stage = stage();
    let seat: Jid = "juliet@example.com/balcony".parse().unwrap();
    assert!(stage.tell(Event::Unwritten(seat.clone())).is_empty());
    stage.tell(Event::Unwritten(seat));
    assert!(stage.pass(Duration::from_millis(4_999)).is_empty());
    assert_eq!(
        stage.pass(Duration::from_millis(1)),
        [
            "presence Ben→balcony participant jid=benvolio%example.org@sip.example.com",
            "presence JuliC→balcony participant jid=juliet@example.com 110 100",
            "message -→balcony groupchat subject="
        ]
    );
    assert!(stage.core.poll_timeout().is_none());
}

// DISCO-14: nobody comes in while the gateway says goodbye.
#[test]
fn the_door_is_closing() {
    let mut stage = Stage::new();
    stage.tell(Event::ShutDown);
    assert_eq!(
        stage.wants_in("balcony", "JuliC"),
        [
            "presence JuliC→balcony error error=wait service-unavailable echo id=j1",
            "vacate balcony"
        ]
    );
}
