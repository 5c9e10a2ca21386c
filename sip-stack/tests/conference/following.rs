use stox_sip::conference::{
    Applied, Conference, ConferenceInfo, DisconnectionMethod, EndpointStatus,
};

use super::{AD_HOC, RFC4575_BASIC, RFC4575_RICH, VERONA, document, read};

fn verona() -> Conference {
    let mut verona = Conference::new("sip:verona@chat.example.org");
    assert_eq!(verona.apply(read(VERONA)), Applied::Updated);
    verona
}

fn entities(conference: &Conference) -> Vec<&str> {
    let users = conference.users().iter();
    users.map(|user| &user.entity[..]).collect()
}

/// A document that changes the users.
fn partial(version: u32, users: &str) -> ConferenceInfo {
    document(
        &format!("state='partial' version='{version}'"),
        &format!("<users state='partial'>{users}</users>"),
    )
}

const JULIET: &str = "sip:verona@chat.example.org;gr=JuliC";
const BEN: &str = "sip:verona@chat.example.org;gr=Ben";

#[test]
fn the_first_full_document_is_the_copy() {
    let verona = verona();
    assert_eq!(verona.version(), Some(0));
    assert_eq!(verona.subject(), Some("Today in Verona"));
    assert_eq!(entities(&verona), [JULIET, BEN]);
}

// RX-12
#[test]
fn a_version_that_is_not_higher_is_dropped() {
    let mut verona = verona();
    assert_eq!(verona.apply(document("version='3'", "")), Applied::Updated);
    let before = verona.clone();
    for version in [0, 2, 3] {
        for state in ["full", "partial", "deleted"] {
            let late = document(
                &format!("version='{version}' state='{state}'"),
                "<users><user entity='late'/></users>",
            );
            assert_eq!(verona.apply(late), Applied::Ignored);
            assert_eq!(verona, before);
        }
    }
}

// RX-12
#[test]
fn a_partial_document_with_a_gap_before_it_changes_nothing() {
    let mut verona = verona();
    let before = verona.clone();
    let later = "<user entity='sip:romeo@example.org'/>";
    assert_eq!(verona.apply(partial(2, later)), Applied::Gap);
    assert_eq!(verona, before);
    // What the refresh brings has the version of what was missed.
    let full = document("version='2'", &format!("<users>{later}</users>"));
    assert_eq!(verona.apply(full), Applied::Updated);
    assert_eq!(entities(&verona), ["sip:romeo@example.org"]);
}

// RX-12
#[test]
fn a_partial_document_before_any_full_one_is_a_gap() {
    let mut conference = Conference::new("sip:conf233@example.com");
    assert_eq!(conference.apply(read(RFC4575_RICH)), Applied::Gap);
    assert_eq!(conference.users(), []);
}

// RX-12
#[test]
fn a_full_document_replaces_all_however_far_it_is_ahead() {
    let mut verona = verona();
    let full = document("version='9'", "<users><user entity='sip:new'/></users>");
    assert_eq!(verona.apply(full), Applied::Updated);
    assert_eq!(
        (entities(&verona), verona.subject()),
        (vec!["sip:new"], None)
    );
    assert_eq!(verona.version(), Some(9));
}

// RX-12
#[test]
fn a_partial_document_changes_what_it_tells_of() {
    let mut verona = verona();
    let change = format!(
        "<user entity='{BEN}' state='partial' xcon:nickname='Benvolio'/>\
         <user entity='sip:romeo@example.org'><display-text>Romeo</display-text></user>"
    );
    assert_eq!(verona.apply(partial(1, &change)), Applied::Updated);
    assert_eq!(entities(&verona), [JULIET, BEN, "sip:romeo@example.org"]);
    let ben = verona.user(BEN).unwrap();
    assert_eq!(ben.nickname.as_deref(), Some("Benvolio"));
    assert_eq!(ben.display_text.as_deref(), Some("Ben"));
    assert_eq!(ben.roles, ["participant"]);
    let change = format!("<user entity='{BEN}'><display-text>Tybalt</display-text></user>");
    assert_eq!(verona.apply(partial(2, &change)), Applied::Updated);
    let ben = verona.user(BEN).unwrap();
    assert_eq!(ben.display_text.as_deref(), Some("Tybalt"));
    assert_eq!((&ben.nickname, ben.roles.len()), (&None, 0));
    assert_eq!(verona.subject(), Some("Today in Verona"));
}

#[test]
fn the_subject_changes_alone() {
    let mut verona = verona();
    let subject = "<conference-description><subject>A plague</subject></conference-description>";
    let change = document("version='1' state='partial'", subject);
    assert_eq!(verona.apply(change), Applied::Updated);
    assert_eq!(verona.subject(), Some("A plague"));
    assert_eq!(verona.users().len(), 2);
}

// RX-17
#[test]
fn users_leave_as_deleted_or_by_absence() {
    let mut verona = verona();
    // What is told of a deleted user besides does not count.
    let gone =
        format!("<user entity='{BEN}' state='deleted'><display-text>Ben</display-text></user>");
    assert_eq!(verona.apply(partial(1, &gone)), Applied::Updated);
    assert_eq!(entities(&verona), [JULIET]);
    assert_eq!(verona.apply(partial(2, &gone)), Applied::Updated);
    let full =
        format!("<users><user entity='{BEN}'/><user entity='{JULIET}' state='deleted'/></users>");
    assert_eq!(
        verona.apply(document("version='3'", &full)),
        Applied::Updated
    );
    assert_eq!(entities(&verona), [BEN]);
    let none = document("version='4' state='partial'", "<users state='deleted'/>");
    assert_eq!(verona.apply(none), Applied::Updated);
    assert_eq!(entities(&verona), [""; 0]);
}

// RX-17
#[test]
fn how_an_endpoint_left_is_told() {
    let mut conference = Conference::new("sips:conf233@example.com");
    assert_eq!(conference.apply(read(RFC4575_BASIC)), Applied::Updated);
    let alice = "sip:4kfk4j392jsu@example.com;grid=433kj4j3u";
    let change = format!(
        "<user entity='sip:alice@example.com' state='partial'><endpoint entity='{alice}' state='partial'>\
         <status>disconnected</status><disconnection-method>booted</disconnection-method></endpoint></user>"
    );
    assert_eq!(conference.apply(partial(2, &change)), Applied::Updated);
    let user = conference.user("sip:alice@example.com").unwrap();
    let endpoint = &user.endpoints[0];
    assert_eq!(endpoint.status, Some(EndpointStatus::Disconnected));
    assert_eq!(
        endpoint.disconnection_method,
        Some(DisconnectionMethod::Booted)
    );
    assert_eq!(endpoint.media[0].id, "1");
    let gone = format!(
        "<user entity='sip:alice@example.com' state='partial'><endpoint entity='{alice}' state='deleted'/></user>"
    );
    assert_eq!(conference.apply(partial(3, &gone)), Applied::Updated);
    let user = conference.user("sip:alice@example.com").unwrap();
    assert_eq!(user.endpoints, []);
    assert_eq!(user.display_text.as_deref(), Some("Alice"));
}

#[test]
fn endpoints_and_media_are_added_and_replaced() {
    let mut conference = Conference::new("sip:verona@192.0.2.7");
    assert_eq!(conference.apply(read(AD_HOC)), Applied::Updated);
    let change = "<user entity='sip:ben@example.net' state='partial'>\
        <endpoint entity='sip:51174290@198.51.100.3:5060;transport=tcp' state='partial'><status>on-hold</status>\
        <media id='139907201830032'><type>message</type><status>inactive</status></media><media id='2'/></endpoint>\
        <endpoint entity='sip:other'><status>alerting</status></endpoint></user>";
    assert_eq!(conference.apply(partial(3, change)), Applied::Updated);
    let ben = conference.user("sip:ben@example.net").unwrap();
    let [first, other] = &ben.endpoints[..] else {
        panic!("{:?}", ben.endpoints)
    };
    assert_eq!(first.status, Some(EndpointStatus::OnHold));
    let ids: Vec<_> = first.media.iter().map(|media| &media.id[..]).collect();
    assert_eq!(ids, ["139907201830032", "2"]);
    assert_eq!(other.status, Some(EndpointStatus::Alerting));
    let replaced = "<user entity='sip:ben@example.net' state='partial'>\
        <endpoint entity='sip:other'><status>connected</status></endpoint></user>";
    assert_eq!(conference.apply(partial(4, replaced)), Applied::Updated);
    let ben = conference.user("sip:ben@example.net").unwrap();
    assert_eq!(ben.endpoints.len(), 2);
    assert_eq!(ben.endpoints[1].status, Some(EndpointStatus::Connected));
}

// RX-29
#[test]
fn a_deleted_document_ends_the_conference() {
    let mut verona = verona();
    let end = document(
        "version='5' state='deleted'",
        "<users><user entity='a'/></users>",
    );
    assert_eq!(verona.apply(end), Applied::Ended);
    assert_eq!(verona.users(), []);
}

#[test]
fn users_that_are_told_without_saying_so_are_all_users() {
    // So is the rich example of RFC 4575 §7.2 to be read, by the letter of §4.4.
    let mut conference = Conference::new("sips:conf233@example.com");
    let four = document(
        "version='4'",
        "<users><user entity='a'/><user entity='b'/></users>",
    );
    assert_eq!(conference.apply(four), Applied::Updated);
    assert_eq!(conference.apply(read(RFC4575_RICH)), Applied::Updated);
    assert_eq!(entities(&conference), ["sip:bob@example.com"]);
}

#[test]
fn a_user_told_of_twice_is_one_with_all_endpoints() {
    let mut conference = Conference::new("sip:v");
    let twice = document(
        "",
        "<users><user entity='a'><display-text>A</display-text><endpoint entity='1'/></user><user entity='b'/>\
         <user entity='a'><endpoint entity='2'/></user></users>",
    );
    assert_eq!(conference.apply(twice), Applied::Updated);
    assert_eq!(entities(&conference), ["a", "b"]);
    assert_eq!(conference.users()[0].endpoints.len(), 2);
    assert_eq!(conference.users()[0].display_text.as_deref(), Some("A"));
}

#[test]
fn documents_without_versions_are_taken_in_their_order() {
    let mut conference = Conference::new("sip:v");
    let change = || {
        document(
            "state='partial'",
            "<users state='partial'><user entity='b'/></users>",
        )
    };
    assert_eq!(conference.apply(change()), Applied::Gap);
    let full = document("", "<users><user entity='a'/></users>");
    assert_eq!(conference.apply(full), Applied::Updated);
    assert_eq!(conference.apply(change()), Applied::Updated);
    assert_eq!(entities(&conference), ["a", "b"]);
    assert_eq!(conference.version(), None);
}

// RX-12
#[test]
fn a_new_subscription_counts_anew() {
    let mut verona = verona();
    assert_eq!(verona.apply(partial(1, "")), Applied::Updated);
    verona.resubscribe();
    assert_eq!(verona.users().len(), 2);
    assert_eq!(verona.apply(partial(2, "")), Applied::Gap);
    let full = document("version='1'", "<users><user entity='a'/></users>");
    assert_eq!(verona.apply(full), Applied::Updated);
    assert_eq!(entities(&verona), ["a"]);
}

#[test]
fn the_version_after_the_last_there_can_be_is_a_gap() {
    let mut conference = Conference::new("sip:v");
    assert_eq!(
        conference.apply(document("version='4294967295'", "")),
        Applied::Updated
    );
    assert_eq!(conference.apply(partial(0, "")), Applied::Ignored);
}

// SEC-10
#[test]
fn a_copy_does_not_grow_without_bound() {
    let mut conference = Conference::new("sip:v");
    assert_eq!(
        conference.apply(document("version='0'", "")),
        Applied::Updated
    );
    for version in 1..=5 {
        let users: String = (0..500)
            .map(|user| format!("<user entity='{version}-{user}'/>"))
            .collect();
        assert_eq!(conference.apply(partial(version, &users)), Applied::Updated);
    }
    assert_eq!(conference.users().len(), 2_000);
    let endpoints = |version: u32, media: &str| {
        let endpoints: String = (0..60)
            .map(|number| format!("<endpoint entity='{version}-{number}' state='partial'/>"))
            .collect();
        let first = format!("<endpoint entity='6-0' state='partial'>{media}</endpoint>");
        partial(
            version,
            &format!("<user entity='1-0' state='partial'>{first}{endpoints}</user>"),
        )
    };
    for version in [6, 7, 8] {
        let media: String = (0..40)
            .map(|number| format!("<media id='{version}-{number}'/>"))
            .collect();
        assert_eq!(
            conference.apply(endpoints(version, &media)),
            Applied::Updated
        );
    }
    let user = conference.user("1-0").unwrap();
    assert_eq!(user.endpoints.len(), 64);
    assert_eq!(user.endpoints[0].media.len(), 64);
}
