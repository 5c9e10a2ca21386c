//! What is said in the room.

use super::*;

// RS-21 RS-22 RS-23: RFC 7702 §6.3.1; the answer waits for the MUC's copy, which goes nowhere.
#[test]
fn a_message_is_answered_when_the_muc_sends_it_back() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let lines = stage.sends(id, &to_room("Romeo is here!"));
    let message = only(&lines, "<message");
    assert!(message.contains("type=\"groupchat\""), "{message}");
    assert!(
        message.contains(&format!("from=\"{R}\"")) && message.contains(&format!("to=\"{ROOM}\""))
    );
    assert!(message.contains("<body>Romeo is here!</body>"));
    let stanza = id_in(message);
    let body = "<body>Romeo is here!</body>";
    assert_eq!(stage.says(R, "Romeo", &stanza, body), ["1 answer 200"]);
    // Another device under this name says the same, later and with an id of its own.
    let lines = stage.says(R, "Romeo", "other", body);
    assert_eq!(
        lines,
        [format!(
            "1 SEND From: \"Romeo\" <{ROOM_URI};gr=Romeo> | To: <{ROOM_URI}> | Romeo is here!"
        )]
    );
    assert_eq!(stage.wait(100.0), [""; 0]);
}

// RS-22 RS-23: a MUC that gives messages ids of its own.
#[test]
fn copies_under_another_id_are_known_by_their_words() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    stage.sends(id, &to_room("one"));
    stage.sends(id, &to_room("two"));
    assert_eq!(
        stage.says(R, "Romeo", "x1", "<body>one</body>"),
        ["1 answer 200"]
    );
    assert_eq!(
        stage.says(R, "Romeo", "x2", "<body>two</body>"),
        ["1 answer 200"]
    );
    let lines = stage.says(R, "Juliet", "x3", "<body>one</body>");
    only(&lines, "SEND");
}

// RS-22 RS-23: at 25 seconds it is given back; a copy that comes yet is not shown.
#[test]
fn a_message_without_copy_is_given_back() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let stanza = id_in(only(&stage.sends(id, &to_room("hi")), "<message"));
    assert_eq!(stage.wait(24.9), [""; 0]);
    assert_eq!(stage.wait(0.2), ["1 answer 408"]);
    stage.wait(20.0);
    assert_eq!(stage.says(R, "Romeo", &stanza, "<body>hi</body>"), [""; 0]);
    assert_eq!(stage.wait(100.0), [""; 0]);
}

// RS-22
#[test]
fn errors_of_the_muc_give_messages_back() {
    for (condition, status) in [
        ("forbidden", 403),
        ("not-acceptable", 403),
        ("policy-violation", 413),
        ("item-not-found", 404),
    ] {
        let mut stage = Stage::new();
        let id = stage.romeo_inside("Romeo");
        let stanza = id_in(only(&stage.sends(id, &to_room("hi")), "<message"));
        let lines = stage.stanza(&format!(
            "<message type='error' from='{ROOM}' to='{R}' id='{stanza}'><error type='auth'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        assert_eq!(having(&lines, "answer"), [format!("1 answer {status}")]);
    }
}

// RS-22: what the XMPP server never got is given back at once.
#[test]
fn a_stanza_that_is_lost_is_given_back() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let mut out = Vec::new();
    let incoming = Incoming {
        id: IncomingId::from_number(99),
        message_id: "m".into(),
        transaction_id: "t".into(),
        content_type: Some("message/cpim".into()),
        body: to_room("hi").into(),
        success_report: false,
        failure_report: FailureReport::Yes,
    };
    let event = Event::Member(id, MemberEvent::Received(Box::new(incoming)));
    stage.room.handle(event, stage.now, &mut out);
    let token = last_token(&stage, &out);
    assert_eq!(stage.handle(Event::Handed(token)), [""; 0]);
    assert_eq!(stage.handle(Event::Lost(token)), ["1 answer 408"]);
}

// RS-24
#[test]
fn what_is_wrong_with_a_message_is_told() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let room = format!("<{ROOM_URI}>");
    assert_eq!(stage.sends_as(id, "text/plain", "hi"), ["1 answer 415"]);
    for (document, status) in [
        ("no headers".to_owned(), 400),
        (
            cpim(
                ROMEO,
                &format!("{room}\r\nTo: <{ROOM_URI};gr=Juliet>"),
                "hi",
            ),
            403,
        ),
        (cpim("sip:juliet@example.com", &room, "hi"), 403),
        (
            format!("To: {room}\r\n\r\nContent-Type: text/plain\r\n\r\nhi"),
            400,
        ),
        (
            format!("From: <{ROMEO}>\r\n\r\nContent-Type: text/plain\r\n\r\nhi"),
            400,
        ),
        (cpim(ROMEO, "<sip:other@rooms.example.com>", "hi"), 404),
        (cpim(ROMEO, &format!("<{ROOM_URI};gr=Nobody>"), "hi"), 404),
        (to_room("hi").replace("text/plain", "image/png"), 415),
    ] {
        let lines = stage.sends(id, &document);
        assert_eq!(lines, [format!("1 answer {status}")], "{document}");
    }
    for from in [
        "sip:Romeo@EXAMPLE.net",
        "sip:romeo@example.net;gr=orchard",
        "sip:verona@rooms.example.com;gr=Romeo",
    ] {
        let lines = stage.sends(id, &cpim(from, &room, "hi"));
        only(&lines, "groupchat");
    }
}

// RS-24 RS-25: in both places; the promise is kept when the XMPP server has it, and an error comes as a REPORT.
#[test]
fn private_messages_go_to_one_occupant() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    for to in [
        format!("<{ROOM_URI};gr=Juliet>"),
        format!("<{ROOM_URI}>;gr=Juliet"),
    ] {
        let mut out = Vec::new();
        let incoming = Incoming {
            id: IncomingId::from_number(50),
            message_id: "secret".into(),
            transaction_id: "t".into(),
            content_type: Some("message/cpim".into()),
            body: cpim(ROMEO, &to, "I am here!!!").into(),
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        let event = Event::Member(id, MemberEvent::Received(Box::new(incoming)));
        stage.room.handle(event, stage.now, &mut out);
        let lines: Vec<_> = out.iter().map(line).collect();
        let message = only(&lines, "<message");
        assert!(
            message.contains(&format!("to=\"{ROOM}/Juliet\"")),
            "{message}"
        );
        assert!(
            message.contains("type=\"chat\"") && message.contains("muc#user"),
            "{message}"
        );
        assert!(
            message.contains(&format!("from=\"{R}\"")),
            "never from the room itself"
        );
        let token = last_token(&stage, &out);
        assert_eq!(stage.handle(Event::Handed(token)), ["1 answer 200"]);
        let lines = stage.stanza(&format!(
            "<message type='error' from='{ROOM}/Juliet' to='{R}' id='{}'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
            id_in(message)
        ));
        assert_eq!(lines, ["1 REPORT secret 404"]);
    }
}

// RS-26: history has its own time.
#[test]
fn what_occupants_say_is_sent_as_cpim() {
    let mut stage = Stage::new();
    stage.romeo_inside("Romeo");
    let lines = stage.says(R, "Lady Capulet", "m1", "<body>Who's there?</body>");
    assert_eq!(
        lines,
        [format!(
            "1 SEND From: \"Lady Capulet\" <{ROOM_URI};gr=Lady%20Capulet> | To: <{ROOM_URI}> | Who's there?"
        )]
    );
    let mut out = Vec::new();
    let stanza = format!(
        "<message type='groupchat' from='{ROOM}/Juliet' to='{R}'><body>old</body>\
         <delay xmlns='urn:xmpp:delay' stamp='2010-01-01T00:00:00Z'/></message>"
    );
    let stanza = reread(H, stanza.as_bytes()).unwrap();
    stage
        .room
        .handle(Event::Stanza(Box::new(stanza)), stage.now, &mut out);
    let [Action::Send { body, .. }] = out.as_slice() else {
        panic!("{out:?}");
    };
    let text = String::from_utf8_lossy(body);
    assert!(text.contains("DateTime: 2010-01-01T00:00:00"), "{text}");
    assert!(
        text.contains("Content-Type: text/plain; charset=utf-8"),
        "{text}"
    );
    let lines = stage.stanza(&format!(
        "<message type='groupchat' from='{ROOM}' to='{R}'><body>The curtain rises.</body></message>"
    ));
    assert!(only(&lines, "SEND").contains(&format!("From: <{ROOM_URI}>")));
}

// RS-26: no text, no message.
#[test]
fn who_cannot_show_text_gets_none() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let mut deaf = media("a");
    deaf.takes_text = false;
    stage.member(id, MemberEvent::Changed(deaf));
    assert_eq!(stage.says(R, "Juliet", "m1", "<body>hi</body>"), [""; 0]);
}

// PERF-7: one document, however many get it.
#[test]
fn a_document_is_made_once_for_everybody() {
    let mut stage = Stage::new();
    let mut devices = Vec::new();
    for number in 0..200 {
        let device = format!("d{number}");
        let (id, _) = stage.call(ROMEO, "Romeo", &device);
        let jid = format!("romeo%example.net@sip.example.com/{device}");
        stage.nickname(id, &device);
        stage.shows(&jid, &device, OWN);
        devices.push(jid);
    }
    let mut out = Vec::new();
    for jid in &devices {
        let stanza = format!(
            "<message type='groupchat' from='{ROOM}/Juliet' to='{jid}' id='m1'><body>all</body></message>"
        );
        let stanza = reread(H, stanza.as_bytes()).unwrap();
        stage
            .room
            .handle(Event::Stanza(Box::new(stanza)), stage.now, &mut out);
    }
    let bodies: Vec<_> = out
        .iter()
        .filter_map(|action| match action {
            Action::Send { body, .. } => Some(body.as_ptr()),
            _ => None,
        })
        .collect();
    assert_eq!(bodies.len(), 200);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

// RS-27
#[test]
fn private_messages_of_occupants() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let private = format!(
        "<message type='chat' from='{ROOM}/Juliet' to='{R}' id='p1'><body>psst</body><x xmlns='{MUC_USER}'/></message>"
    );
    let lines = stage.stanza(&private);
    assert_eq!(
        lines,
        [format!(
            "1 SEND From: \"Juliet\" <{ROOM_URI};gr=Juliet> | To: <{ROMEO}> | psst"
        )]
    );
    let mut without = media("a");
    without.private_messages = false;
    stage.member(id, MemberEvent::Changed(without));
    let lines = stage.stanza(&private);
    let error = only(&lines, "type=\"error\"");
    assert!(
        error.contains("feature-not-implemented") && error.contains("id=\"p1\""),
        "{error}"
    );
    assert!(error.contains(&format!("to=\"{ROOM}/Juliet\"")), "{error}");
}

// RS-27: what cannot be told is given back.
#[test]
fn a_private_message_that_is_not_taken_goes_back() {
    let mut stage = Stage::new();
    let id = stage.romeo_inside("Romeo");
    let private = format!(
        "<message type='chat' from='{ROOM}/Juliet' to='{R}' id='p1'><body>psst</body></message>"
    );
    stage.stanza(&private);
    let lines = stage.member(id, MemberEvent::Ended(None));
    assert!(only(&lines, "type=\"error\"").contains("recipient-unavailable"));
}

// RS-28: in order; of the past the oldest goes first.
#[test]
fn messages_wait_for_the_connection() {
    let mut stage = Stage::new();
    let id = stage.room.next_member();
    stage.handle(Event::Invited(
        id,
        Box::new(invitation(ROMEO, "Romeo", "orchard")),
    ));
    stage.member(id, MemberEvent::Acknowledged(None));
    stage.wait(2.1);
    stage.shows(R, "Romeo", OWN);
    let delay = "<delay xmlns='urn:xmpp:delay' stamp='2010-01-01T00:00:00Z'/>";
    for number in 0..20 {
        stage.says(
            R,
            "Juliet",
            &format!("h{number}"),
            &format!("<body>h{number}</body>{delay}"),
        );
    }
    for number in 0..90 {
        assert_eq!(
            stage.says(
                R,
                "Juliet",
                &format!("m{number}"),
                &format!("<body>m{number}</body>")
            ),
            [""; 0]
        );
    }
    let mut out = Vec::new();
    stage
        .room
        .handle(Event::Member(id, MemberEvent::Bound), stage.now, &mut out);
    let mut words: Vec<String> = Vec::new();
    // As many as may be under way; the rest when those are answered.
    assert_eq!(out.len(), 64);
    while !out.is_empty() {
        let mut next = Vec::new();
        for action in &out {
            let Action::Send { token, body, .. } = action else {
                panic!("{action:?}")
            };
            words.push(flat(body).rsplit(' ').next().unwrap().to_owned());
            stage.room.handle(
                Event::Member(id, MemberEvent::Accepted(*token)),
                stage.now,
                &mut next,
            );
        }
        out = next;
    }
    assert_eq!(words.len(), 100);
    assert_eq!(words[..2], ["h10", "h11"]);
    assert_eq!(words.last().unwrap(), "m89");
}

// RS-34: the other device shows what this one says.
#[test]
fn two_devices_of_one_user() {
    let mut stage = Stage::new();
    let one = stage.romeo_inside("Romeo");
    let (two, _) = stage.call(ROMEO, "Romeo", "phone");
    let phone = "romeo%example.net@sip.example.com/phone";
    stage.nickname(two, "Romeo");
    assert_eq!(stage.shows(phone, "Romeo", OWN), ["2 answer 200"]);
    let stanza = id_in(only(&stage.sends(one, &to_room("hi")), "<message"));
    assert_eq!(
        stage.says(R, "Romeo", &stanza, "<body>hi</body>"),
        ["1 answer 200"]
    );
    let lines = stage.says(phone, "Romeo", &stanza, "<body>hi</body>");
    assert!(only(&lines, "2 SEND").ends_with("| hi"));
    // One device leaves; the other one stays, and so does the occupant.
    stage.member(one, MemberEvent::Ended(None));
    let document = stage.room.document();
    assert_eq!(document.users.len(), 2);
}

// RS-06 RS-21: what is sent before its author is in waits.
#[test]
fn the_first_message_brings_its_author_in() {
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    let lines = stage.sends(id, &to_room("one"));
    assert_eq!(having(&lines, "<message"), [""; 0]);
    let lines = stage.shows(R, "Romeo", OWN);
    assert!(only(&lines, "<message").contains("<body>one</body>"));
    let mut stage = Stage::new();
    let (id, _) = stage.call(ROMEO, "Romeo", "orchard");
    stage.sends(id, &to_room("one"));
    let lines = stage.refuses(R, "Romeo", "forbidden");
    only(&lines, "answer 403");
}
