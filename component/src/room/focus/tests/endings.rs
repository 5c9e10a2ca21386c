//! How it ends.

use super::*;

// RS-32: RFC 7702 §6.6
#[test]
fn who_hangs_up_leaves_the_muc() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.subscribes(1, ROMEO);
    let lines = stage.member(id, MemberEvent::Ended(Some("gone home".into())));
    let leave = only(&lines, "unavailable");
    assert!(leave.contains(&format!("to=\"{ROOM}/Romeo\"")), "{leave}");
    assert!(leave.contains("<status>gone home</status>"), "{leave}");
    only(&lines, "NOTIFY noresource");
    assert_eq!(having(&lines, "BYE"), [""; 0]);
    only(&lines, "1 close");
    assert!(stage.room.is_over());
    assert_eq!(stage.room.poll_timeout(), None, "nothing is left");
}

// RS-32
#[test]
fn a_join_that_comes_too_late_is_undone() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.nickname(id, "Romeo");
    let lines = stage.member(id, MemberEvent::Ended(None));
    only(&lines, "unavailable");
    only(&lines, "answer 403");
    assert!(!stage.room.is_over(), "the answer may still come");
    let lines = stage.shows(R, "Romeo", OWN);
    assert!(only(&lines, "unavailable").contains("/Romeo\""));
    stage.hides(R, "Romeo", "<item role='none'/><status code='110'/>");
    assert!(stage.room.is_over());
}

// RS-33 T17
#[test]
fn the_muc_puts_somebody_out() {
    for (inner, cause, words) in [
        (
            "<item role='none' affiliation='outcast'><reason>treason</reason></item><status code='301'/>",
            403,
            "banned: treason",
        ),
        ("<item role='none'/><status code='307'/>", 403, "kicked"),
        ("<item role='none'/><status code='321'/>", 403, "member"),
        ("<item role='none'/><status code='322'/>", 403, "member"),
        ("<item role='none'/><status code='332'/>", 503, "shuts down"),
        (
            "<item role='none'/><status code='333'/>",
            480,
            "connection lost",
        ),
        (
            "<item role='none'/><destroy jid='mantua@rooms.example.com'><reason>plague</reason></destroy>",
            410,
            "plague; go to mantua@rooms.example.com",
        ),
    ] {
        let mut stage = Stage::new();
        stage.romeo_inside("Romeo");
        stage.subscribes(1, ROMEO);
        let lines = stage.hides(R, "Romeo", &format!("{inner}<status code='110'/>"));
        let bye = only(&lines, "BYE");
        assert!(
            bye.starts_with(&format!("1 BYE {cause} ")) && bye.contains(words),
            "{bye}"
        );
        only(&lines, "NOTIFY noresource");
        assert_eq!(having(&lines, "<presence"), [""; 0], "it is out already");
        assert!(stage.room.is_over());
    }
}

// RS-33: another nickname is no end.
#[test]
fn a_change_of_name_is_no_removal() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let lines = stage.hides(
        R,
        "Romeo",
        "<item role='participant' nick='Dog'/><status code='303'/><status code='110'/>",
    );
    assert_eq!(lines, [""; 0]);
    stage.shows(R, "Dog", OWN);
    assert!(!stage.room.is_over());
}

// RS-05: a room that was not there is not left behind.
#[test]
fn a_room_that_is_made_by_mistake_is_left() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.nickname(id, "Romeo");
    let lines = stage.shows(R, "Romeo", &format!("{OWN}<status code='201'/>"));
    only(&lines, "unavailable");
    only(&lines, "answer 403");
    assert!(only(&lines, "BYE").starts_with("1 BYE 404"));
}

// RS-32: the gateway's own goodbye.
#[test]
fn shutting_down() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.sends(id, &to_room("last words"));
    let lines = stage.handle(Event::ShutDown);
    only(&lines, "1 answer 403");
    only(&lines, "unavailable");
    assert!(only(&lines, "BYE").starts_with("1 BYE 503"));
    assert!(stage.room.is_over());
    let id = stage.room.next_member();
    let late = Event::Invited(id, Box::new(invitation(ROMEO, "Romeo", "orchard")));
    assert_eq!(stage.handle(late), ["2 503", "2 close"]);
}

// SEC-14
#[test]
fn a_room_has_an_end() {
    let settings = Settings {
        members: 1,
        ..Settings::default()
    };
    let mut stage = Stage::with(settings);
    stage.romeo_inside("Romeo");
    let (_, lines) = stage.call(BENVOLIO, "Ben", "street");
    assert_eq!(lines, ["2 486", "2 close"]);
}
