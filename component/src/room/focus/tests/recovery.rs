//! What survives a loss.

use super::*;

// RS-35 MSRP-10
#[test]
fn a_lost_connection_is_waited_for() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    assert_eq!(stage.member(id, lost()), [""; 0]);
    assert_eq!(
        stage.says(R, "Juliet", "m1", "<body>still there?</body>"),
        [""; 0]
    );
    assert_eq!(stage.wait(1.9), [""; 0], "the peer may be faster");
    assert_eq!(stage.wait(0.2), ["1 re-INVITE"]);
    stage.member(id, MemberEvent::NotRenewed);
    // The peer makes it anew by itself.
    assert_eq!(
        stage.member(id, MemberEvent::Changed(media("n"))),
        ["1 open 2"]
    );
    let lines = stage.member(id, MemberEvent::Bound);
    assert!(only(&lines, "SEND").ends_with("still there?"));
    assert_eq!(stage.wait(60.0), [""; 0]);
}

// RS-35
#[test]
fn who_does_not_come_back_leaves() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.member(id, lost());
    let lines = stage.wait(29.9);
    assert_eq!(lines, ["1 re-INVITE"]);
    let lines = stage.wait(0.2);
    only(&lines, "unavailable");
    assert!(only(&lines, "BYE").starts_with("1 BYE 480"));
}

// RS-35: what was under way is sent again under its old name.
#[test]
fn what_is_not_confirmed_is_sent_again() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.says(R, "Juliet", "m1", "<body>one</body>");
    stage.says(R, "Juliet", "m2", "<body>two</body>");
    stage.member(id, lost());
    stage.says(R, "Juliet", "m3", "<body>three</body>");
    stage.member(id, MemberEvent::Renewed(media("n")));
    let lines = stage.member(id, MemberEvent::Bound);
    assert_eq!(having(&lines, "SEND again").len(), 2);
    assert!(lines[2].ends_with("three"), "{lines:?}");
}

fn ping_error(stanza: &str, condition: &str) -> String {
    format!(
        "<iq type='error' from='{ROOM}/Romeo' to='{R}' id='{stanza}'><error type='cancel'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

// RS-36
#[test]
fn who_was_put_out_meanwhile_enters_again() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.subscribes(1, ROMEO);
    stage.handle(Event::LinkDown);
    stage.wait(10.0);
    let lines = stage.handle(Event::LinkUp);
    let ping = only(&lines, "urn:xmpp:ping");
    assert!(ping.contains(&format!("to=\"{ROOM}/Romeo\"")), "{ping}");
    let lines = stage.stanza(&ping_error(&id_in(ping), "not-acceptable"));
    let join = only(&lines, "<presence");
    assert!(
        join.contains("/Romeo\"") && join.contains("since="),
        "{join}"
    );
    // Juliet has left meanwhile, and the nurse has come.
    stage.shows(R, "Nurse", PARTICIPANT);
    let lines = stage.shows(R, "Romeo", OWN);
    only(
        &lines,
        "NOTIFY Full 2 Nurse(participant) Romeo(participant)",
    );
    assert_eq!(having(&lines, "BYE"), [""; 0]);
    let _ = id;
}

// RS-36 RS-09: the name is somebody else's now.
#[test]
fn a_name_that_is_lost_meanwhile_is_varied() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let lines = stage.handle(Event::LinkUp);
    let stanza = id_in(only(&lines, "urn:xmpp:ping"));
    stage.stanza(&ping_error(&stanza, "not-acceptable"));
    let lines = stage.refuses(R, "Romeo", "conflict");
    assert!(only(&lines, "<presence").contains("/Romeo (2)\""));
    assert_eq!(having(&stage.shows(R, "Romeo (2)", OWN), "BYE"), [""; 0]);
}

// RS-36: whoever answers for the occupant, it is there.
#[test]
fn who_is_still_there_stays() {
    for answer in [
        "result",
        "service-unavailable",
        "feature-not-implemented",
        "remote-server-timeout",
    ] {
        let mut stage = Stage::new();
        stage.romeo_inside("Romeo");
        let lines = stage.handle(Event::LinkUp);
        let stanza = id_in(only(&lines, "urn:xmpp:ping"));
        let lines = match answer {
            "result" => stage.stanza(&format!(
                "<iq type='result' from='{ROOM}/Romeo' to='{R}' id='{stanza}'/>"
            )),
            condition => stage.stanza(&ping_error(&stanza, condition)),
        };
        assert_eq!(lines, [""; 0], "{answer}");
    }
}

// RS-36: a MUC that restarts does not say so.
#[test]
fn a_silent_muc_is_asked() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    stage.wait(600.0);
    stage.says(R, "Juliet", "m1", "<body>hi</body>");
    assert_eq!(stage.wait(899.0), [""; 0]);
    only(&stage.wait(2.0), "urn:xmpp:ping");
}

// RS-36 RS-05: a server that has just started does not know its rooms yet; none is made in their place.
#[test]
fn a_room_that_is_not_there_is_looked_for() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let lines = stage.handle(Event::LinkUp);
    let stanza = id_in(only(&lines, "urn:xmpp:ping"));
    stage.stanza(&ping_error(&stanza, "item-not-found"));
    let created = format!("{OWN}<status code='201'/>");
    let lines = stage.shows(R, "Romeo", &created);
    assert!(only(&lines, "unavailable").contains(&format!("{ROOM}/Romeo\"")));
    assert_eq!(lines.len(), 1);
    let lines = stage.wait(10.1);
    assert!(only(&lines, "<presence").contains("/Romeo\""));
    let lines = stage.refuses(R, "Romeo", "remote-server-not-found");
    assert_eq!(lines, [""; 0]);
    only(&stage.wait(10.1), "<presence");
    stage.shows(R, "Romeo", OWN);
    let lines = stage.sends(id, &to_room("back again"));
    only(&lines, "groupchat");
}

// RS-36: for a while.
#[test]
fn a_room_that_stays_away_is_given_up() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let lines = stage.handle(Event::LinkUp);
    let stanza = id_in(only(&lines, "urn:xmpp:ping"));
    stage.stanza(&ping_error(&stanza, "item-not-found"));
    for _ in 0..5 {
        let lines = stage.refuses(R, "Romeo", "item-not-found");
        assert_eq!(lines, [""; 0]);
        only(&stage.wait(10.1), "<presence");
    }
    let lines = stage.refuses(R, "Romeo", "item-not-found");
    only(&lines, "SEND");
    assert!(only(&stage.wait(1.1), "BYE").starts_with("1 BYE 404"));
}

// SEC-17: for a minute a nickname stays with whom the connection was taken from.
#[test]
fn nobody_takes_the_name_of_who_has_just_lost_the_connection() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let (other, _) = stage.call(BENVOLIO, "Ben", "street");
    stage.nickname(other, "Ben");
    stage.shows(B, "Ben", OWN);
    stage.member(id, lost());
    stage.wait(30.1);
    assert_eq!(stage.nickname(other, "ROMEO"), ["2 answer 425"]);
    let (again, _) = stage.call(ROMEO, "Romeo", "orchard");
    only(&stage.nickname(again, "Romeo"), "<presence");
    stage.wait(60.0);
    only(&stage.nickname(other, "ROMEO"), "<presence");
}
