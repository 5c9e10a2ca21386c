//! Who is in the room.

use stox_sip::TerminationReason;
use stox_sip::conference::DisconnectionMethod;

use super::*;

fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.enter(1, "balcony", "JuliC");
    stage
}

fn partial(stage: &mut Stage, users: Vec<Person>) -> Vec<String> {
    let document = ConferenceInfo {
        users,
        ..stage.document(ElementState::Partial)
    };
    stage.notified(1, &document)
}

const ROMEO: &str = "sip:verona@chat.example.org;gr=Romeo";

// RX-12 RX-16 RX-17, RFC 4575 §4.6: partial documents and full ones.
#[test]
fn they_come_change_and_go() {
    let mut stage = stage();
    assert_eq!(
        partial(&mut stage, vec![person(ROMEO, "Romeo")]),
        ["presence Romeo→balcony participant"]
    );
    let moderator = Person {
        roles: vec!["Moderator".to_owned()],
        ..person(ROMEO, "Romeo")
    };
    assert_eq!(
        partial(&mut stage, vec![moderator]),
        ["presence Romeo→balcony moderator"]
    );
    assert_eq!(
        partial(&mut stage, vec![person(ROMEO, "Montague")]),
        [
            "presence Romeo→balcony unavailable moderator nick=Montague 303",
            "presence Montague→balcony participant"
        ]
    );
    assert_eq!(
        partial(&mut stage, vec![Person::deleted(ROMEO)]),
        ["presence Montague→balcony unavailable none"]
    );
    assert_eq!(
        stage.roster(1, vec![person(JULIET, "JuliC")]),
        ["presence Ben→balcony unavailable none"]
    );
}

// RX-12: what is old changes nothing, what is missing is asked for.
#[test]
fn versions() {
    let mut stage = stage();
    stage.version -= 1;
    assert!(stage.roster(1, vec![person(JULIET, "JuliC")]).is_empty());
    stage.version += 5;
    assert_eq!(
        partial(&mut stage, vec![person(ROMEO, "Romeo")]),
        ["REFRESH"]
    );
    assert_eq!(
        stage.roster(
            1,
            vec![
                person(BEN, "Ben"),
                person(ROMEO, "Romeo"),
                person(JULIET, "JuliC")
            ]
        ),
        ["presence Romeo→balcony participant"]
    );
}

// RX-12: what is no document, and what is about another room.
#[test]
fn what_no_focus_should_send() {
    let mut stage = stage();
    for body in ["", "nonsense", "<a/>"] {
        let lines = stage.member(1, MemberEvent::Notified(Bytes::from(body)));
        assert!(lines.is_empty(), "{body}: {lines:?}");
    }
    let other = ConferenceInfo {
        entity: "sip:mantua@chat.example.org".to_owned(),
        version: Some(77),
        users_state: ElementState::Full,
        ..stage.document(ElementState::Full)
    };
    assert!(stage.notified(1, &other).is_empty());
    assert_eq!(
        partial(&mut stage, vec![person(ROMEO, "Romeo")]),
        ["REFRESH"],
        "that one was counted by nobody"
    );
}

// RX-13 RX-17, T16: which endpoints are shown, and how they go.
#[test]
fn standings() {
    use EndpointStatus::*;
    for (status, shown) in [
        (None, Some("participant")),
        (Some(Connected), Some("participant")),
        (Some(OnHold), Some("participant")),
        (Some(MutedViaFocus), Some("visitor")),
        (Some(Pending), None),
        (Some(DialingIn), None),
        (Some(DialingOut), None),
        (Some(Alerting), None),
        (Some(Disconnecting), None),
        (Some(Disconnected), None),
    ] {
        let mut stage = stage();
        let lines = partial(&mut stage, vec![with_status(status, None)]);
        let expected: Vec<String> = shown
            .map(|role| format!("presence Romeo→balcony {role}"))
            .into_iter()
            .collect();
        assert_eq!(lines, expected, "{status:?}");
    }
    use DisconnectionMethod::*;
    for (method, expected) in [
        (Departed, "presence Romeo→balcony unavailable none"),
        (Booted, "presence Romeo→balcony unavailable none 307"),
        (Failed, "presence Romeo→balcony unavailable none 333"),
    ] {
        let mut stage = stage();
        partial(&mut stage, vec![with_status(Some(Connected), None)]);
        let gone = with_status(Some(Disconnected), Some(method));
        assert_eq!(partial(&mut stage, vec![gone]), [expected]);
    }
}

fn with_status(status: Option<EndpointStatus>, method: Option<DisconnectionMethod>) -> Person {
    let mut person = person(ROMEO, "Romeo");
    for endpoint in &mut person.endpoints {
        endpoint.status = status;
        endpoint.disconnection_method = method;
    }
    person
}

// RX-13, T16: roles, names and addresses.
#[test]
fn what_is_told_of_somebody() {
    let of = |change: &dyn Fn(&mut Person)| {
        let mut stage = stage();
        let mut somebody = person("sip:romeo@example.net", "Romeo");
        change(&mut somebody);
        partial(&mut stage, vec![somebody]).join(" ")
    };
    let jid = "jid=romeo%example.net@sip.example.com";
    for (roles, role) in [
        (vec!["ADMINISTRATOR"], "moderator"),
        (vec!["host", "participant"], "moderator"),
        (vec!["user"], "participant"),
        (vec!["odd"], "participant"),
        (vec!["observer"], "visitor"),
        (vec!["None"], "visitor"),
        (vec!["observer", "participant"], "participant"),
    ] {
        let roles: Vec<String> = roles.into_iter().map(str::to_owned).collect();
        let line = of(&|person| person.roles.clone_from(&roles));
        assert_eq!(line, format!("presence Romeo→balcony {role} {jid}"));
    }
    let shown = |name: &str| format!("presence {name}→balcony participant {jid}");
    let display = of(&|person| {
        person.nickname = None;
        person.display_text = Some("Romeo M.".to_owned());
    });
    assert_eq!(display, shown("Romeo M."));
    assert_eq!(of(&|person| person.nickname = None), shown("romeo"));
    for (entity, expected) in [
        ("sip:anon@anonymous.invalid", ""),
        ("sip:verona@chat.example.org;gr=x", ""),
        ("tel:+1555", ""),
        (JULIET, " jid=juliet@example.com"),
    ] {
        if entity == JULIET {
            continue;
        }
        let line = of(&|person| person.entity = entity.to_owned());
        assert_eq!(
            line,
            format!("presence Romeo→balcony participant{expected}"),
            "{entity}"
        );
    }
    let associated = of(&|person| {
        person.entity = ROMEO.to_owned();
        person.associated_aors = vec!["xmpp:romeo@example.org/dr4hcr0st3lup4c".to_owned()];
    });
    assert_eq!(
        associated,
        "presence Romeo→balcony participant jid=romeo@example.org/dr4hcr0st3lup4c"
    );
}

// RX-15, RFC 8266 §2.4: told apart, as long as both are there; her own nickname is hers.
#[test]
fn two_with_one_name() {
    let mut stage = stage();
    let people = |names: &[(&str, &str)]| {
        let others = names.iter().map(|(entity, name)| person(entity, name));
        others.chain([person(JULIET, "JuliC")]).collect::<Vec<_>>()
    };
    assert_eq!(
        stage.roster(
            1,
            people(&[
                (BEN, "Ben"),
                ("sip:a@a.example", "ben"),
                ("sip:b@b.example", "juliC")
            ])
        ),
        [
            "presence ben (2)→balcony participant jid=a%a.example@sip.example.com",
            "presence juliC (2)→balcony participant jid=b%b.example@sip.example.com"
        ]
    );
    assert_eq!(
        stage.roster(
            1,
            people(&[("sip:a@a.example", "ben"), ("sip:b@b.example", "juliC")])
        ),
        ["presence Ben→balcony unavailable none"]
    );
}

// RX-16: a nickname passes from one to another in one document: who has it goes first.
#[test]
fn a_nickname_changes_hands() {
    let mut stage = stage();
    partial(&mut stage, vec![person(ROMEO, "Romeo")]);
    let lines = partial(&mut stage, vec![person(ROMEO, "Ben"), person(BEN, "Romeo")]);
    assert_eq!(lines.len(), 4);
    assert!(
        lines[..2].iter().all(|line| line.contains("303")),
        "{lines:?}"
    );
    assert!(
        lines[2..].iter().all(|line| !line.contains("unavailable")),
        "{lines:?}"
    );
}

// RX-19: the subject, and only if it is another one.
#[test]
fn subjects() {
    let mut stage = stage();
    let mut told = |text: &str| {
        let document = ConferenceInfo {
            description: subject(text),
            ..stage.document(ElementState::Partial)
        };
        stage.notified(1, &document)
    };
    assert_eq!(told("Feast"), ["message -→balcony groupchat subject=Feast"]);
    assert!(told("Feast").is_empty());
    assert_eq!(told(""), ["message -→balcony groupchat subject="]);
}

// RX-12: a subscription that ends is made again, where the focus wants it; and counts anew.
#[test]
fn a_new_subscription() {
    let mut stage = stage();
    let end = SubscriptionEnd::Terminated(Some(TerminationReason::Deactivated));
    assert_eq!(
        stage.member(1, MemberEvent::Unsubscribed(end, Next::AtOnce)),
        [format!("SUBSCRIBE {VERONA}")]
    );
    stage.version = 0;
    assert_eq!(
        stage.roster(1, vec![person(JULIET, "JuliC")]),
        ["presence Ben→balcony unavailable none"]
    );
}

// SEC-14: many changes, one after the other, leave nothing behind.
#[test]
fn a_storm_of_presences() {
    let mut stage = stage();
    for round in 0..200 {
        let name = format!("N{round}");
        let lines = partial(&mut stage, vec![person(ROMEO, &name)]);
        assert!(lines.last().unwrap().contains(&name));
    }
    assert_eq!(partial(&mut stage, vec![Person::deleted(ROMEO)]).len(), 1);
    assert_eq!(
        partial(&mut stage, vec![person("sip:other@example.org", "N1")]),
        ["presence N1→balcony participant jid=other%example.org@sip.example.com"]
    );
}
