//! How SIP users come in, and what they are called.

use super::*;

// RS-06 RS-07 RS-08: the thin slice of RFC 7702 §6.1, from the call to the nickname's answer.
#[test]
fn a_nickname_is_answered_when_the_muc_has_let_its_owner_in() {
    let mut stage = Stage::new();
    let (id, lines) = stage.call(ROMEO, "Romeo", "orchard");
    assert_eq!(lines, ["1 200", "1 open 1"]);
    let lines = stage.nickname(id, "Montague");
    let join = only(&lines, "<presence");
    assert!(join.contains(&format!("from=\"{R}\"")), "{join}");
    assert!(join.contains(&format!("to=\"{ROOM}/Montague\"")), "{join}");
    assert!(join.contains("maxstanzas=\"20\""), "{join}");
    assert_eq!(lines.len(), 1);
    assert_eq!(stage.shows(R, "Juliet", PARTICIPANT), [""; 0]);
    assert_eq!(stage.shows(R, "Montague", OWN), ["1 answer 200"]);
    assert_eq!(stage.wait(30.0), [""; 0], "nothing else");
}

// RS-06: each of them brings the SIP user in, and nothing else does before.
#[test]
fn who_says_no_name_enters_under_the_display_name() {
    for (name, nick) in [
        ("Romeo M.", "Romeo M."),
        ("", "romeo"),
        ("\u{200b}", "romeo"),
    ] {
        let mut stage = Stage::new();
        let (_, _) = stage.call(ROMEO, name, "orchard");
        assert_eq!(stage.wait(1.9), [""; 0]);
        let lines = stage.wait(0.2);
        assert!(
            only(&lines, "<presence").contains(&format!("{ROOM}/{nick}\"")),
            "{lines:?}"
        );
    }
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    let lines = stage.sends(id, &to_room("hi"));
    assert!(only(&lines, "<presence").contains("/Romeo\""));
    let mut stage = Stage::new();
    stage.call(ROMEO, "Romeo", "orchard");
    let lines = stage.subscribes(1, ROMEO);
    assert!(only(&lines, "<presence").contains("/Romeo\""));
}

// RS-07: a device that says no name of its own has one all the same.
#[test]
fn every_dialog_has_a_resource() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "");
    let lines = stage.nickname(id, "Romeo");
    let join = only(&lines, "<presence");
    assert!(
        join.contains("from=\"romeo%example.net@sip.example.com/"),
        "{join}"
    );
    let lines = stage.member(id, MemberEvent::Ended(None));
    assert!(only(&lines, "unavailable").contains("from=\"romeo%example.net@sip.example.com/"));
}

// RS-08 T18
#[test]
fn refusals_of_the_muc_answer_the_nickname() {
    for (condition, status, bye) in [
        ("conflict", 425, None),
        ("jid-malformed", 424, None),
        ("not-acceptable", 403, Some(406)),
        ("not-allowed", 403, Some(403)),
        ("forbidden", 403, Some(403)),
        ("not-authorized", 403, Some(403)),
        ("registration-required", 403, Some(403)),
        ("item-not-found", 403, Some(404)),
        ("service-unavailable", 403, Some(486)),
        ("remote-server-not-found", 408, Some(404)),
        ("remote-server-timeout", 408, Some(504)),
    ] {
        let mut stage = Stage::new();
        let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
        stage.nickname(id, "Montague");
        let lines = stage.refuses(R, "Montague", condition);
        assert_eq!(lines[0], format!("1 answer {status}"), "{condition}");
        match bye {
            None => assert_eq!(lines.len(), 1, "{condition}: {lines:?}"),
            Some(cause) => {
                // RS-10: words of the room, then BYE.
                assert!(only(&lines, "SEND").contains(&format!("From: <{ROOM_URI}>")));
                let lines = stage.wait(1.1);
                let bye = only(&lines, "BYE");
                assert!(
                    bye.starts_with(&format!("1 BYE {cause} ")),
                    "{condition}: {bye}"
                );
                assert!(stage.room.is_over() || !stage.room.left_by_jid.is_empty());
            }
        }
    }
}

// RS-10: the subscription ends, too; without a connection nothing is said.
#[test]
fn who_is_not_let_in_is_put_out() {
    let mut stage = Stage::new();
    let id = stage.room.next_member();
    stage.handle(Event::Invited(
        id,
        Box::new(invitation(ROMEO, "Romeo", "orchard")),
    ));
    stage.member(id, MemberEvent::Acknowledged(None));
    stage.subscribes(4, ROMEO);
    let lines = stage.refuses(R, "Romeo", "forbidden");
    assert!(only(&lines, "BYE").starts_with("1 BYE 403"));
    only(&lines, "noresource");
    only(&lines, "1 close");
    assert_eq!(having(&lines, "SEND"), [""; 0]);
}

// RS-08
#[test]
fn a_muc_that_does_not_answer_costs_the_nickname() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.nickname(id, "Montague");
    assert_eq!(stage.wait(24.9), [""; 0]);
    let lines = stage.wait(0.2);
    assert_eq!(lines[0], "1 answer 408");
    assert!(only(&lines, "BYE").contains("504"));
    only(&lines, "unavailable");
}

// RS-09
#[test]
fn names_of_our_choice_are_varied() {
    let mut stage = Stage::new();
    stage.call(ROMEO, "Romeo", "orchard");
    stage.subscribes(1, ROMEO);
    for (taken, next) in [("Romeo", "Romeo (2)"), ("Romeo (2)", "Romeo (3)")] {
        let lines = stage.refuses(R, taken, "conflict");
        assert!(
            only(&lines, "<presence").contains(&format!("/{next}\"")),
            "{lines:?}"
        );
    }
    let lines = stage.shows(R, "Romeo (3)", OWN);
    assert_eq!(lines, ["#1# NOTIFY Full 1 Romeo%20(3)(participant) "]);
    let mut stage = Stage::new();
    stage.call(ROMEO, "Romeo", "orchard");
    stage.wait(3.0);
    for taken in ["Romeo", "Romeo (2)", "Romeo (3)", "Romeo (4)", "Romeo (5)"] {
        let lines = stage.refuses(R, taken, "conflict");
        assert_eq!(lines.len(), 1, "{lines:?}");
    }
    stage.refuses(R, "Romeo (6)", "conflict");
    assert!(only(&stage.wait(1.1), "BYE").contains("BYE 486"));
}

// RS-11
#[test]
fn a_name_that_the_muc_alters_is_granted() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.nickname(id, "Montague");
    let altered = format!("{OWN}<status code='210'/>");
    assert_eq!(stage.shows(R, "montague", &altered), ["1 answer 200"]);
    // The name it has already needs no presence.
    assert_eq!(stage.nickname(id, "montague"), ["1 answer 200"]);
}

// RS-12 RS-14
#[test]
fn names_that_can_be_none_and_names_given_up() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    assert_eq!(stage.nickname(id, " \u{3000} "), ["1 answer 424"]);
    assert_eq!(stage.nickname(id, "a\u{202e}b"), ["1 answer 424"]);
    let lines = stage.nickname(id, "  Count   Paris ");
    assert!(only(&lines, "<presence").contains("/Count Paris\""));
    stage.shows(R, "Count Paris", OWN);
    let lines = stage.nickname(id, "");
    assert!(only(&lines, "<presence").contains("/Romeo\""));
    stage.hides(
        R,
        "Count Paris",
        "<item role='participant' nick='Romeo'/><status code='303'/><status code='110'/>",
    );
    assert_eq!(stage.shows(R, "Romeo", OWN), ["1 answer 200"]);
}

// RS-13: one change at a time, each with an outcome of its own.
#[test]
fn changes_of_nickname_wait_for_each_other() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let lines = stage.nickname(id, "Montague");
    let change = only(&lines, "<presence");
    assert!(
        change.contains("/Montague\"") && !change.contains("protocol/muc"),
        "{change}"
    );
    assert_eq!(stage.nickname(id, "Capulet"), [""; 0]);
    stage.hides(
        R,
        "Romeo",
        "<item role='participant' nick='Montague'/><status code='303'/><status code='110'/>",
    );
    let lines = stage.shows(R, "Montague", OWN);
    assert_eq!(lines[0], "1 answer 200");
    assert!(lines[1].contains("/Capulet\""));
    // The old name stays.
    assert_eq!(stage.refuses(R, "Capulet", "conflict"), ["1 answer 425"]);
    assert_eq!(stage.nickname(id, "Montague"), ["1 answer 200"]);
    stage.nickname(id, "Nobody");
    assert_eq!(stage.wait(25.1), ["1 answer 408"]);
}

// RS-13 SEC-14
#[test]
fn a_storm_of_nicknames_is_refused() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let lines: Vec<_> = (0..50)
        .flat_map(|n| stage.nickname(id, &format!("n{n}")))
        .collect();
    assert_eq!(having(&lines, "<presence").len(), 1);
    assert_eq!(having(&lines, "answer 403").len(), 41);
}
