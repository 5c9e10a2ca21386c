//! What SIP users are told by NOTIFY.

use super::*;

// RS-16: nothing before everything is known; what was seen before counts.
#[test]
fn the_roster_comes_when_it_is_complete() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.nickname(id, "Romeo");
    stage.shows(R, "Juliet", "<item affiliation='owner' role='moderator'/>");
    assert_eq!(stage.subscribes(1, ROMEO), ["admit", "#1# NOTIFY nothing"]);
    let lines = stage.shows(R, "Romeo", OWN);
    assert_eq!(
        lines,
        [
            "1 answer 200",
            "#1# NOTIFY Full 1 Juliet(moderator,participant,administrator) Romeo(participant) "
        ]
    );
    let mut late = Stage::new();
    late.romeo_inside("Romeo");
    assert_eq!(
        late.subscribes(2, ROMEO),
        [
            "admit",
            "#2# NOTIFY Full 1 Juliet(participant) Romeo(participant) "
        ]
    );
}

// RS-15
#[test]
fn only_who_takes_part_is_told() {
    let mut stage = Stage::new();
    assert_eq!(stage.subscribes(1, ROMEO), ["turn away 403"]);
    stage.romeo_inside("Romeo");
    assert_eq!(stage.subscribes(2, BENVOLIO), ["turn away 403"]);
    let lines = stage.subscribes(3, "sip:ROMEO@example.net");
    assert_eq!(lines[0], "admit");
}

// RS-17
#[test]
fn the_document_names_occupants() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    stage.shows(R, "Lady;Capulet ü", "<item role='visitor'/>");
    stage.stanza(&format!(
        "<message type='groupchat' from='{ROOM}/Juliet' to='{R}'><subject>Today in Verona</subject></message>"
    ));
    let document = stage.room.document();
    assert_eq!(document.entity, ROOM_URI);
    assert_eq!(
        document.description.as_ref().unwrap().subject.as_deref(),
        Some("Today in Verona")
    );
    assert_eq!(document.conference_state.unwrap().user_count, Some(3));
    let lady = &document.users[1];
    assert_eq!(
        lady.entity,
        "sip:verona@rooms.example.com;gr=Lady%3BCapulet%20%C3%BC"
    );
    assert_eq!(lady.display_text.as_deref(), Some("Lady;Capulet ü"));
    assert_eq!(lady.nickname.as_deref(), Some("Lady;Capulet ü"));
    assert_eq!(lady.roles, ["observer"]);
    assert_eq!(lady.endpoints[0].media[0].kind.as_deref(), Some("message"));
    assert!(lady.associated_aors.is_empty());
    let xml = String::from_utf8(document.to_xml()).unwrap();
    assert!(xml.starts_with("<?xml"), "{xml}");
}

// RS-18: changes are merged, each document counts on, and a refresh gets everything.
#[test]
fn changes_are_told_together() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    stage.subscribes(1, ROMEO);
    let id = SubscriptionId::new(1);
    assert_eq!(stage.shows(R, "Nurse", PARTICIPANT), ["#1# changed"]);
    assert_eq!(
        stage.hides(R, "Juliet", ""),
        [""; 0],
        "it is asked for once"
    );
    assert_eq!(stage.shows(R, "Nurse", PARTICIPANT), [""; 0], "no news");
    assert_eq!(
        stage.handle(Event::StateAsked(id, changed())),
        ["#1# NOTIFY Partial 2 -Juliet() Nurse(participant) "]
    );
    assert_eq!(stage.shows(R, "Tybalt", PARTICIPANT), ["#1# changed"]);
    stage.hides(R, "Tybalt", "");
    // As it was: the document says so.
    assert_eq!(
        stage.handle(Event::StateAsked(id, changed())),
        ["#1# NOTIFY Full 3 Nurse(participant) Romeo(participant) "]
    );
    assert_eq!(
        stage.handle(Event::StateAsked(id, Occasion::Refreshed)),
        ["#1# NOTIFY Full 4 Nurse(participant) Romeo(participant) "]
    );
    stage.handle(Event::SubscriptionEnded(id));
    assert_eq!(stage.shows(R, "Friar", PARTICIPANT), [""; 0]);
}

// RS-19: even if it is asked for in between.
#[test]
fn another_nickname_is_one_change() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    stage.subscribes(1, ROMEO);
    stage.hides(
        R,
        "Juliet",
        "<item role='participant' nick='JuliC'/><status code='303'/>",
    );
    let lines = stage.handle(Event::StateAsked(SubscriptionId::new(1), changed()));
    assert!(
        lines[0].contains("-Juliet()") && lines[0].contains(" JuliC(participant)"),
        "{lines:?}"
    );
    assert_eq!(stage.shows(R, "JuliC", PARTICIPANT), [""; 0]);
}

// RS-20
#[test]
fn real_addresses_are_told_where_the_room_shows_them_to_all() {
    let item = "<item role='participant' jid='juliet@example.com/balcony'/>";
    for (status, aors) in [
        ("", &[][..]),
        (
            "<status code='100'/>",
            &["xmpp:juliet@example.com/balcony"][..],
        ),
    ] {
        let mut stage = Stage::new();
        let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
        stage.nickname(id, "Romeo");
        stage.shows(R, "Juliet", item);
        let lines = stage.shows(R, "Romeo", &format!("{OWN}{status}"));
        // T17: and it is said.
        assert_eq!(having(&lines, "SEND").len(), aors.len());
        assert_eq!(stage.room.document().users[0].associated_aors, aors);
    }
}

// RS-29: in words for who is not told otherwise.
#[test]
fn the_subject_is_told() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let (id, _) = stage.call(BENVOLIO, "Benvolio", "street");
    stage.nickname(id, "Ben");
    stage.shows(B, "Ben", OWN);
    stage.subscribes(1, ROMEO);
    let subject = "<subject>Peace</subject>";
    let lines = stage.says(R, "Juliet", "s1", subject);
    assert_eq!(lines, ["#1# changed"]);
    let lines = stage.says(B, "Juliet", "s1", subject);
    assert!(
        only(&lines, "2 SEND").ends_with("| Subject: Peace"),
        "{lines:?}"
    );
    let lines = stage.handle(Event::StateAsked(SubscriptionId::new(1), changed()));
    assert!(lines[0].ends_with(" Peace"), "{lines:?}");
}
