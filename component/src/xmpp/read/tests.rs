use super::*;
use crate::xmpp::framing::{Frame, FrameLimits, Framer};
use crate::xmpp::muc::{
    Affiliation, DirectInvite, History, Join, MucDecline, MucDestroy, MucInvite, MucItem, MucUser,
    Role,
};
use crate::xmpp::outgoing::Outgoing;
use crate::xmpp::stanza::{Hints, Payload};
use bytes::BytesMut;
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

const H: &str = "sip.example.com";

fn reader() -> Reader {
    Reader::new(
        &Jid::parse(H).unwrap(),
        [
            (None, ns::COMPONENT),
            (Some("stream"), ns::STREAM),
            (Some("db"), "jabber:server:dialback"),
        ],
    )
}

fn read(text: &str) -> Result<Element, Unreadable> {
    reader().read(text.as_bytes())
}

fn message(inner: &str) -> Message {
    let text = format!(
        "<message from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' {inner}</message>"
    );
    match read(&text) {
        Ok(Element::Stanza(Stanza::Message(message))) => *message,
        other => panic!("{other:?}"),
    }
}

fn presence(inner: &str) -> Presence {
    let text = format!(
        "<presence from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' {inner}</presence>"
    );
    match read(&text) {
        Ok(Element::Stanza(Stanza::Presence(presence))) => *presence,
        other => panic!("{other:?}"),
    }
}

/// The reply to raw bytes that are cut and read as the link does it, as the condition it tells.
fn reply_to(bytes: &[u8]) -> Option<String> {
    let mut framer = Framer::new(FrameLimits::default(), BytesMut::from(bytes));
    let mut reader = reader();
    let unreadable = match framer.poll_frame().unwrap().unwrap() {
        Frame::Element(element) => reader.read(&element).unwrap_err(),
        Frame::LeftOut { opening, excess } => reader.left_out(opening.as_ref(), excess),
        Frame::End => panic!("the end"),
    };
    assert_eq!(framer.poll_frame(), Ok(None));
    let error = match unreadable.reply(&Jid::parse(H).unwrap())? {
        Outgoing::Message(message) => message.error.unwrap(),
        Outgoing::Presence(presence) => presence.error.unwrap(),
        Outgoing::Iq(iq) => iq.error.unwrap(),
    };
    Some(error.condition)
}

#[test]
fn a_message_with_everything() {
    let message = message(
        "id='m1' type='chat' xml:lang='en'><subject>S</subject><body>plain &amp; <![CDATA[<simple>]]></body>\
         <body xml:lang='de'>schlicht</body><thread parent='p'>t</thread>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
         <delay xmlns='urn:xmpp:delay' from='x' stamp='2002-09-10T23:08:25Z'/>\
         <nick xmlns='http://jabber.org/protocol/nick'>Juliet</nick><private xmlns='urn:xmpp:carbons:2'/>\
         <no-store xmlns='urn:xmpp:hints'/><x:odd xmlns:x='urn:odd' id='o1'/>\
         <origin-id xmlns='urn:xmpp:sid:0' id='o2'/>",
    );
    assert_eq!(message.from.as_str(), "juliet@example.com/balcony");
    assert_eq!(message.id.as_deref(), Some("m1"));
    assert_eq!(message.kind, MessageType::Chat);
    assert_eq!(message.body().unwrap().text, "plain & <simple>");
    assert_eq!(message.bodies[1].lang.as_deref(), Some("de"));
    assert_eq!(message.subject().unwrap().text, "S");
    assert_eq!(
        message.thread,
        Some(Thread {
            id: "t".into(),
            parent: Some("p".into())
        })
    );
    assert_eq!(message.chat_state, Some(ChatState::Composing));
    assert_eq!(message.receipt, Some(Receipt::Requested));
    assert_eq!(
        message.delay.unwrap().stamp,
        UNIX_EPOCH + Duration::from_secs(1_031_699_305)
    );
    assert_eq!(message.nick.as_deref(), Some("Juliet"));
    assert_eq!(
        message.hints,
        Hints {
            no_store: true,
            no_copy: true,
            ..Hints::default()
        }
    );
    assert_eq!(
        message.payloads,
        [Payload {
            namespace: "urn:odd".into(),
            name: "odd".into(),
            xml: "<odd xmlns=\"urn:odd\" id=\"o1\"/>".into(),
        }]
    );
}

// IM-14
#[test]
fn the_body_in_the_language_of_the_stanza_is_taken() {
    let german =
        message("xml:lang='de'><body xml:lang='en'>hello</body><body xml:lang='de'>hallo</body>");
    assert_eq!(german.body().unwrap().text, "hallo");
    let other =
        message("xml:lang='fr'><body xml:lang='en'>hello</body><body xml:lang='de'>hallo</body>");
    assert_eq!(other.body().unwrap().text, "hello");
    assert_eq!(message(">").body(), None);
}

#[test]
fn payloads_stand_alone() {
    let message = message(
        "xmlns:p='urn:p' xml:lang='en'><p:a p:b='1' xml:lang='de' c='&lt;'><d xmlns='urn:d'>x &amp; y<e/></d><p:f/></p:a>",
    );
    let payload = message.payload("urn:p", "a").unwrap();
    assert_eq!(
        payload.xml,
        "<a xmlns=\"urn:p\" xmlns:n0=\"urn:p\" n0:b=\"1\" xml:lang=\"de\" c=\"&lt;\">\
         <d xmlns=\"urn:d\">x &amp; y<e/></d><f/></a>"
    );
    roxmltree::Document::parse(&payload.xml).unwrap();
}

#[test]
fn errors_of_messages() {
    let message = message(
        "type='error' id='m1'><body>x</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a@b</gone>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>moved</text><own xmlns='urn:own'/></error>",
    );
    let error = StanzaError {
        kind: "cancel".into(),
        condition: "gone".into(),
        address: Some("xmpp:a@b".into()),
        text: Some("moved".into()),
        by: None,
    };
    assert_eq!(message.error, Some(error));
    let bare = super::tests::message("type='error'><error/>");
    assert_eq!(bare.error.unwrap().condition, "undefined-condition");
}

#[test]
fn presence_is_lenient() {
    let away = presence("><show> away </show><status>out</status><priority>5</priority>");
    assert_eq!((away.show, away.priority), (Some(Show::Away), 5));
    // What an ordinary client can make a server send.
    let odd = presence("><show>online</show><priority>200</priority><priority/><status/>");
    assert_eq!(
        (odd.kind, odd.show, odd.priority),
        (PresenceType::Available, None, 0)
    );
    assert_eq!(presence("><show/>").show, None);
    let join = presence(
        "><x xmlns='http://jabber.org/protocol/muc'><password>p</password><history maxstanzas='7'/></x>",
    );
    assert_eq!(
        join.join,
        Some(Join {
            password: Some("p".into()),
            history: History::messages(7)
        })
    );
    assert_eq!(
        presence("type='unavailable'>").kind,
        PresenceType::Unavailable
    );
}

// RX-01, RX-10
#[test]
fn wishes_to_enter_a_room() {
    let join = presence(
        "><x xmlns='http://jabber.org/protocol/muc'><password> cyrano </password>\
         <history maxchars='65000' maxstanzas='20' seconds='180' since='2002-09-10T23:08:25Z'/></x>",
    );
    let history = History {
        max_chars: Some(65_000),
        max_stanzas: Some(20),
        seconds: Some(180),
        since: Some(UNIX_EPOCH + Duration::from_secs(1_031_699_305)),
    };
    let password = Some(" cyrano ".into());
    assert_eq!(join.join, Some(Join { password, history }));
    let odd = presence(
        "><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='-1' seconds='x' since='y'/>\
         <password xmlns='urn:other'>p</password></x>",
    );
    assert_eq!(odd.join, Some(Join::default()));
    assert_eq!(presence(">").join, None);
}

#[test]
fn what_a_room_says_about_an_occupant() {
    let own = presence(
        "><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='member' role='moderator' jid='juliet@example.com/balcony' nick='Julia'>\
         <actor nick='Nurse' jid='n@example.com'/><reason>Hush</reason></item>\
         <status code='100'/><status code='210'/><status code='x'/><status code='110'/></x>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o1'/>",
    );
    let user = own.muc.unwrap();
    assert!(user.is_own() && user.has(210) && !user.has(201));
    assert_eq!(user.statuses, [100, 210, 110]);
    assert_eq!(
        user.item,
        Some(MucItem {
            affiliation: Affiliation::Member,
            role: Role::Moderator,
            jid: Some(Jid::parse("juliet@example.com/balcony").unwrap()),
            nick: Some("Julia".into()),
            actor: Some("Nurse".into()),
            reason: Some("Hush".into()),
        })
    );
    assert_eq!(own.occupant_id.as_deref(), Some("o1"));
    assert!(own.payloads.is_empty());
    let gone = presence(
        "type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='king' jid='@'/>\
         <destroy jid='mantua@rooms.example.com'><reason>Banished</reason><password>p</password></destroy></x>",
    );
    let user = gone.muc.unwrap();
    assert_eq!(user.item, Some(MucItem::default()));
    assert_eq!(
        user.destroy,
        Some(MucDestroy {
            jid: Some(Jid::parse("mantua@rooms.example.com").unwrap()),
            reason: Some("Banished".into()),
            password: Some("p".into()),
        })
    );
}

// RX-30, RX-31, RS-31
#[test]
fn invitations() {
    let benvolio = Some(Jid::parse("benvolio@example.com").unwrap());
    let mediated = message(
        "><x xmlns='http://jabber.org/protocol/muc#user'><invite to='benvolio@example.com'><reason>Come</reason></invite>\
         <invite to='@'/><password>p</password></x>",
    );
    let expected = MucUser {
        invites: vec![
            MucInvite {
                from: None,
                to: benvolio.clone(),
                reason: Some("Come".into()),
            },
            MucInvite::default(),
        ],
        password: Some("p".into()),
        ..MucUser::default()
    };
    assert_eq!(mediated.muc.as_deref(), Some(&expected));
    let declined = message(
        "><x xmlns='http://jabber.org/protocol/muc#user'><decline from='benvolio@example.com'><reason/></decline></x>",
    );
    let expected = MucDecline {
        from: benvolio,
        to: None,
        reason: None,
    };
    assert_eq!(declined.muc.unwrap().decline, Some(expected));
    let direct = message(
        "><x xmlns='jabber:x:conference' jid='verona@rooms.example.com' password='p' reason='Come'/>",
    );
    assert_eq!(
        direct.direct_invite.as_deref(),
        Some(&DirectInvite {
            jid: Jid::parse("verona@rooms.example.com").unwrap(),
            password: Some("p".into()),
            reason: Some("Come".into()),
        })
    );
    assert_eq!(
        message("><x xmlns='jabber:x:conference'/>").direct_invite,
        None
    );
}

#[test]
fn only_the_room_says_under_which_id_it_archives() {
    let ids = "><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.com' id='room'/>\
               <stanza-id xmlns='urn:xmpp:sid:0' by='mallory@example.com' id='other'/>";
    assert_eq!(message(ids).archive_id.as_deref(), Some("room"));
}

// SEC-10
#[test]
fn what_a_room_says_is_bounded() {
    let many = format!(
        "><x xmlns='http://jabber.org/protocol/muc#user'>{}{}</x>",
        "<status code='100'/>".repeat(1000),
        "<invite/>".repeat(1000)
    );
    let user = message(&many).muc.unwrap();
    assert_eq!((user.statuses.len(), user.invites.len()), (64, 64));
}

#[test]
fn addresses_stay_as_the_server_prepared_them() {
    for (from, to) in [
        ("juliet@example.com/📱", "romeo%example.net@sip.example.com"),
        ("😀@example.com/x", "romeo%example.net@sip.example.com"),
        ("Ԩ@example.com/Ԩ", "romeo%example.net@sip.example.com"),
        ("juliet@example.com/x", "romeo\\@sip.example.com"),
        ("juliet@example.com/x", "romeo\\2@sip.example.com/\\"),
    ] {
        let text = format!("<message from='{from}' to='{to}'><body>x</body></message>");
        let Ok(Element::Stanza(Stanza::Message(message))) = read(&text) else {
            panic!("{text}");
        };
        assert_eq!((message.from.as_str(), message.to.as_str()), (from, to));
    }
}

#[test]
fn unknown_message_types_are_normal_and_remembered() {
    let odd = message("type='foo'><body>x</body>");
    assert_eq!(odd.kind, MessageType::Normal);
    assert_eq!(odd.unknown_type.as_deref(), Some("foo"));
}

#[test]
fn several_threads_and_bodies() {
    let odd = message("><thread/><thread>a</thread><thread>b</thread><body>1</body><body>2</body>");
    assert_eq!(odd.thread.as_ref().unwrap().id, "a");
    assert_eq!(odd.body().unwrap().text, "1");
}

#[test]
fn requests_without_id_are_read() {
    let read =
        read("<iq from='a@b/c' to='sip.example.com' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
    let Ok(Element::Stanza(Stanza::Iq(iq))) = read else {
        panic!("{read:?}");
    };
    assert_eq!(iq.id, None);
    assert_eq!(iq.payload.unwrap().name, "ping");
}

#[test]
fn a_missing_recipient_is_the_domain() {
    let Ok(Element::Stanza(Stanza::Message(message))) = read("<message from='a@b/c'/>") else {
        panic!("no message");
    };
    assert_eq!(message.to.as_str(), H);
}

#[test]
fn stream_level_elements() {
    let error = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error>";
    let expected = StreamError {
        condition: "conflict".into(),
        text: Some("Replaced".into()),
    };
    assert_eq!(expected.to_string(), "conflict (Replaced)");
    assert_eq!(read(error), Ok(Element::StreamError(expected)));
    assert_eq!(read("<handshake/>"), Ok(Element::Other("handshake".into())));
    assert_eq!(
        read("<x:message xmlns:x='urn:x'/>"),
        Ok(Element::Other("message".into()))
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let deep = format!(
        "<message from='a@b/c' to='d@sip.example.com'>{}{}</message>",
        "<a>".repeat(3000),
        "</a>".repeat(3000)
    );
    let large = format!(
        "<message from='a@b/c' to='d@sip.example.com'><body>{}</body></message>",
        "x".repeat(300_000)
    );
    let nodes = format!(
        "<message from='a@b/c' to='d@sip.example.com'>{}</message>",
        "<a/>".repeat(20_000)
    );
    let not_utf8 = b"<message from='a@b/c' to='d@sip.example.com'><body>\xff</body></message>";
    for (bytes, condition) in [
        (deep.as_bytes(), Some("policy-violation")),
        (large.as_bytes(), Some("policy-violation")),
        (nodes.as_bytes(), Some("bad-request")),
        (&not_utf8[..], Some("bad-request")),
        (
            b"<message from='a@b/c' to='@sip.example.com'/>",
            Some("jid-malformed"),
        ),
        (
            b"<message from='a@b/c' to='d@sip.example.com/'/>",
            Some("jid-malformed"),
        ),
        (
            b"<message from='a@b/c' to='d@sip.example.com'><a></b></message>",
            Some("bad-request"),
        ),
        (
            b"<message from='a@b/c' to='d@sip.example.com'>&nbsp;</message>",
            Some("bad-request"),
        ),
        (
            b"<message from='a@b/c' to='d@sip.example.com'><p:a/></message>",
            Some("bad-request"),
        ),
        (
            b"<presence type='foo' from='a@b/c' to='d@sip.example.com'/>",
            Some("bad-request"),
        ),
        (
            b"<iq from='a@b/c' to='d@sip.example.com'/>",
            Some("bad-request"),
        ),
        (
            b"<iq type='get' id='1' from='a@b/c' to='d@sip.example.com'/>",
            Some("bad-request"),
        ),
        (
            b"<iq type='set' id='1' from='a@b/c' to='d@sip.example.com'><a/><b/></iq>",
            Some("bad-request"),
        ),
        // Never answered: errors, results, and senders that cannot be addressed.
        (
            b"<message type='error' from='a@b/c' to='@sip.example.com'/>",
            None,
        ),
        (
            b"<iq type='result' id='1' from='a@b/c' to='@sip.example.com'/>",
            None,
        ),
        (
            b"<iq type='error' id='1' from='a@b/c' to='@sip.example.com'/>",
            None,
        ),
        (
            b"<presence type='unavailable' from='a@b/c' to='@sip.example.com'/>",
            None,
        ),
        (b"<message from='@b' to='d@sip.example.com'/>", None),
        (b"<message to='d@sip.example.com'/>", None),
        (b"<message from='a@b/c' to='x' a='1' a='2'/>", None),
    ] {
        let shown = String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes));
        assert_eq!(reply_to(bytes).as_deref(), condition, "{shown}");
    }
}

#[test]
fn replies_come_from_our_domain() {
    for (to, from) in [
        ("romeo@sip.example.com/x", "romeo@sip.example.com/x"),
        ("romeo@elsewhere.example", H),
        ("@sip.example.com", H),
    ] {
        let text = format!("<iq from='a@b/c' id='i1' to='{to}' type='foo'/>");
        let reply = read(&text).unwrap_err().reply(&Jid::parse(H).unwrap());
        let Some(Outgoing::Iq(iq)) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!((iq.from.as_str(), iq.id.as_str()), (from, "i1"));
    }
}

// SEC-10: work is bounded whatever a stanza holds.
#[test]
fn many_namespaces_are_read_in_no_time() {
    let prefixes: String = (0..63).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let text = format!(
        "<message from='a@b/c' to='d@sip.example.com'><a{prefixes}>{}</a></message>",
        "<b xmlns='v'/>".repeat(10_000)
    );
    let begin = std::time::Instant::now();
    read(&text).unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

// SEC-10: so is memory.
#[test]
fn what_is_declared_once_is_not_copied_without_bound() {
    let long = "u".repeat(100_000);
    let siblings = "<p:b/>".repeat(10_000);
    let attributes = "<c p:a='1'/>".repeat(5_000);
    let children = "<body/>".repeat(10_000);
    for (outer, inner) in [
        (
            format!("xmlns:p='{long}'"),
            format!("<a xmlns='v'>{siblings}</a>"),
        ),
        (format!("xmlns:p='{long}'"), siblings.clone()),
        (
            format!("xmlns:p='{long}'"),
            format!("<a xmlns='v'>{attributes}</a>"),
        ),
    ] {
        let text =
            format!("<message from='a@b/c' to='d@sip.example.com' {outer}>{inner}</message>");
        assert_eq!(
            read(&text).unwrap_err().reason,
            Reason::Excess(Excess::Bytes)
        );
    }
    let text = format!(
        "<message from='a@b/c' to='d@sip.example.com' xml:lang='{long}'>{children}</message>"
    );
    let Ok(Element::Stanza(Stanza::Message(message))) = read(&text) else {
        panic!("no message");
    };
    assert_eq!((message.lang, message.bodies.len()), (None, 10_000));
}

/// What the reader of plain messages makes of it, which must be what the other one makes of it too.
fn plainly(text: &str) -> Option<Message> {
    let plain = plain::read(text, &Jid::parse(H).unwrap(), &mut Known::default())?;
    let full = reader().read_any(text);
    assert_eq!(
        full,
        Ok(Element::Stanza(Stanza::Message(Box::new(plain.clone())))),
        "{text}"
    );
    Some(plain)
}

const OPENING: &str = "<message from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' type='chat' id='m1'>";

#[test]
fn plain_messages_take_the_short_way() {
    let message = plainly(&format!(
        "{OPENING}<thread>t1</thread><body>&lt;3 &amp; &quot;Здравствуй&apos;\n</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>"
    ))
    .unwrap();
    assert_eq!(message.body().unwrap().text, "<3 & \"Здравствуй'\n");
    assert_eq!(message.thread.unwrap().id, "t1");
    for plain in [
        "<message from='j@example.com' xml:lang=\"it\"><body/><subject></subject><thread/></message>",
        "<message xmlns='jabber:component:accept' from='j@e'><body xmlns='jabber:component:accept'>a</body><body>b</body></message>",
        "<message from='j@e' ><body >a > b</body></message>",
    ] {
        assert!(plainly(plain).is_some(), "{plain}");
    }
}

// PERF-7: what Prosody and ejabberd reflect to every occupant.
#[test]
fn messages_of_rooms_take_the_short_way() {
    let prosody = plainly(
        "<message type='groupchat' id='m1' xml:lang='en' from='verona@rooms.example.com/Romeo &amp; Juliet' \
         to='juliet%example.net@sip.example.com/orchard'><body>Hark</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='m1'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='verona@rooms.example.com' id='a1'/>\
         <occupant-id id='o1' xmlns='urn:xmpp:occupant-id:0'/></message>",
    )
    .unwrap();
    assert_eq!(prosody.kind, MessageType::Groupchat);
    assert_eq!(prosody.from.resource(), Some("Romeo & Juliet"));
    assert_eq!(prosody.archive_id.as_deref(), Some("a1"));
    assert_eq!(prosody.occupant_id.as_deref(), Some("o1"));
    assert!(prosody.payloads.is_empty());
    let history = plainly(
        "<message to='j%e@sip.example.com/o' from='verona@rooms.example.com/Romeo' type='groupchat'><body>Hark</body>\
         <delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='verona@rooms.example.com'/></message>",
    )
    .unwrap();
    let delay = history.delay.unwrap();
    assert_eq!(delay.from.as_deref(), Some("verona@rooms.example.com"));
    assert_eq!(delay.stamp, UNIX_EPOCH + Duration::from_secs(1_031_699_305));
    let private = plainly(
        "<message to='j%e@sip.example.com/o' from='verona@rooms.example.com/Romeo' type='chat'><body>psst</body>\
         <x xmlns='http://jabber.org/protocol/muc#user'/></message>",
    )
    .unwrap();
    assert_eq!(private.muc, Some(Box::default()));
}

/// Whatever might mean something else, or nothing that XML allows, is left to the full reader.
#[test]
fn anything_else_takes_the_long_way() {
    for inner in [
        "<body>&#33;</body>",
        "<body>&nbsp;</body>",
        "<body>a<!-- b --></body>",
        "<body><![CDATA[a]]></body>",
        "<body>]]></body>",
        "<body>a\rb</body>",
        "<body>\u{1}</body>",
        "<body>\u{fffe}</body>",
        "<body>a<b/>c</body>",
        "<body>a</bodyx>",
        "<body xml:lang='it'>a</body>",
        "<body xmlns=''>a</body>",
        "<body xmlns='jabber:component:accept' xmlns='jabber:component:accept'>a</body>",
        "<x:body xmlns:x='jabber:component:accept'>a</x:body>",
        "<thread parent='t0'>t1</thread>",
        "<delay xmlns='urn:xmpp:delay' stamp='20261120T00:00:00'/>",
        "<delay xmlns='urn:xmpp:delay' stamp='2026-11-20T00:00:00Z'>away</delay>",
        "<delay xmlns='urn:xmpp:delay' stamp='2026-11-20T00:00:00Z' id='1'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='a@b'>1</stanza-id>",
        "<occupant-id xmlns='urn:xmpp:occupant-id:0'/>",
        "<occupant-id xmlns='urn:other' id='1'/>",
        "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>",
        "<x xmlns='jabber:x:conference' jid='a@b'/>",
        "<body id='1'>a</body>",
        "<nick xmlns='http://jabber.org/protocol/nick'>a</nick>",
        "<active xmlns='http://jabber.org/protocol/chatstates'>a</active>",
        " ",
        "a",
    ] {
        let text = format!("{OPENING}{inner}</message>");
        assert_eq!(plainly(&text), None, "{text}");
    }
    for text in [
        "<message to='a@b'><body>a</body></message>",
        "<message from='j@e' from='j@e'><body>a</body></message>",
        "<message from='j@e'to='a@b'><body>a</body></message>",
        "<message from='j@e' foo='a'><body>a</body></message>",
        "<message from='j@e' id='a\tb'><body>a</body></message>",
        "<message from='j@e' id='<'><body>a</body></message>",
        "<message from='j@e' xmlns='jabber:client'><body>a</body></message>",
        "<message from='j@e' type='error'><body>a</body></message>",
        "<message from='j@e' type='foo'><body>a</body></message>",
        "<message from='@'><body>a</body></message>",
        "<message from='j@e'><body>a</body></message >",
        "<message from='j@e'><body>a</body></message>a",
        "<message from='j@e'/>",
        "<messages from='j@e'></messages>",
        "<presence from='j@e'/>",
    ] {
        assert_eq!(plainly(text), None, "{text}");
    }
}

proptest! {
    /// Whatever is put together, the two readers do not differ where the short one reads at all.
    #[test]
    fn the_two_readers_agree(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..12),
        words in "[ -~é&<>'\"\\]]{0,12}",
    ) {
        let inner: String = pieces.iter().filter_map(|at| PIECES.get(*at).copied()).collect();
        for text in [
            format!("{OPENING}{inner}</message>"),
            format!("{OPENING}<body>{words}</body>{inner}</message>"),
            format!("<message from='j@e' id='{words}' {inner}</message>"),
            format!("<message from='j@e' {words}><body>a</body></message>"),
        ] {
            plainly(&text);
        }
    }
}

const PIECES: &[&str] = &[
    "<body>",
    "</body>",
    "<body/>",
    "<body>a</body>",
    "<thread>t</thread>",
    "<thread/>",
    "<subject>s</subject>",
    "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    "<gone xmlns='http://jabber.org/protocol/chatstates'/>",
    "<request xmlns='urn:xmpp:receipts'/>",
    "<x xmlns='http://jabber.org/protocol/muc#user'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@example.com' id='s1'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='j@e' id='s2'/>",
    "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>",
    "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='i1'/>",
    "<delay xmlns='urn:xmpp:delay' from='j@e' stamp='2026-11-20T00:00:00Z'/>",
    "<delay xmlns='urn:xmpp:delay' stamp='2026'/>",
    "<store xmlns='urn:xmpp:hints'/>",
    " id='i2'",
    "<markable xmlns='urn:xmpp:chat-markers:0'/>",
    "<x xmlns='a'/>",
    " ",
    ">",
    "/>",
    "&lt;",
    "&",
    "]]>",
    "<",
    "type='chat'",
    " xml:lang='it'",
    " xmlns='jabber:component:accept'",
    "\n",
    "a",
    "'",
    "</message>",
];

proptest! {
    /// SEC-10: whatever is said about rooms, in whatever order and depth, is read or refused; and what is read says no
    /// more than it may.
    #[test]
    fn nothing_about_rooms_is_too_odd(
        pieces in proptest::collection::vec(0..ROOM_PIECES.len(), 0..40),
        words in "[ -~é<>&'\"]{0,8}",
        name in prop_oneof![Just("message"), Just("presence")],
    ) {
        let inner: String = pieces.iter().filter_map(|at| ROOM_PIECES.get(*at).copied()).collect();
        for text in [
            format!("<{name} from='verona@rooms.example.com/{words}' to='j%e@sip.example.com'>{inner}</{name}>"),
            format!("<{name} from='verona@rooms.example.com' to='j%e@sip.example.com'>\
                     <x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x>{inner}{words}</{name}>"),
        ] {
            let user = match read(&text) {
                Ok(Element::Stanza(Stanza::Message(message))) => message.muc,
                Ok(Element::Stanza(Stanza::Presence(presence))) => presence.muc,
                _ => None,
            };
            if let Some(user) = user {
                prop_assert!(user.statuses.len() <= 64 && user.invites.len() <= 64);
            }
        }
    }
}

const ROOM_PIECES: &[&str] = &[
    "<x xmlns='http://jabber.org/protocol/muc'>",
    "<x xmlns='http://jabber.org/protocol/muc#user'>",
    "<x xmlns='jabber:x:conference' jid='verona@rooms.example.com'/>",
    "<x xmlns='jabber:x:conference'>",
    "</x>",
    "<item affiliation='owner' role='moderator' jid='a@b/c' nick='n'/>",
    "<item affiliation='' role='king' jid='@'>",
    "<actor nick='a'/>",
    "<actor/>",
    "</item>",
    "<status code='110'/>",
    "<status code='-1'/>",
    "<status code='99999'/>",
    "<status>110</status>",
    "<invite to='a@b' from='c@d'><reason>r</reason><continue thread='t'/></invite>",
    "<invite>",
    "</invite>",
    "<decline from='a@b'/>",
    "<decline>",
    "</decline>",
    "<destroy jid='e@f'>",
    "</destroy>",
    "<reason>",
    "</reason>",
    "<password>p</password>",
    "<history maxstanzas='99999999999' seconds='' since='now'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='verona@rooms.example.com' id='a'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0'/>",
    "<occupant-id xmlns='urn:xmpp:occupant-id:0' id=''/>",
    "<body>b</body>",
    "<subject/>",
];
