use super::*;
use crate::xmpp::muc::{
    Affiliation, DirectInvite, History, Join, MucDecline, MucDestroy, MucInvite, MucItem, MucUser,
    Role,
};
use crate::xmpp::outgoing::Request;
use crate::xmpp::reread;
use crate::xmpp::stanza::{ChatState, Show, Stanza};
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn romeo() -> Jid {
    jid("romeo%example.net@sip.example.com/orchard")
}

fn written(stanza: impl Into<Outgoing>) -> String {
    let mut out = BytesMut::new();
    write(&mut out, &stanza.into(), "sip.example.com", None);
    let text = String::from_utf8(out.to_vec()).unwrap();
    roxmltree::Document::parse(&text).unwrap();
    text
}

#[test]
fn message_with_everything() {
    let message = OutgoingMessage::new(&romeo(), &jid("juliet@example.com"), MessageType::Chat)
        .id("m\"1")
        .lang("en")
        .subject("a & b")
        .body("1 < 2 > 0\r\n\"'")
        .thread("t")
        .chat_state(ChatState::Active)
        .receipt(Receipt::Requested)
        .nick("Romeo")
        .delay(UNIX_EPOCH + Duration::from_secs(1_031_699_305));
    assert_eq!(
        written(message),
        "<message from=\"romeo%example.net@sip.example.com/orchard\" to=\"juliet@example.com\" \
         id=\"m&quot;1\" type=\"chat\" xml:lang=\"en\"><subject>a &amp; b</subject>\
         <body>1 &lt; 2 &gt; 0\r\n\"'</body><thread>t</thread>\
         <active xmlns=\"http://jabber.org/protocol/chatstates\"/>\
         <request xmlns=\"urn:xmpp:receipts\"/>\
         <nick xmlns=\"http://jabber.org/protocol/nick\">Romeo</nick>\
         <delay xmlns=\"urn:xmpp:delay\" from=\"sip.example.com\" stamp=\"2002-09-10T23:08:25.000Z\"/></message>"
    );
}

#[test]
fn receipt_and_gone() {
    let juliet = jid("juliet@example.com/balcony");
    let receipt = OutgoingMessage::new(&romeo(), &juliet, MessageType::Normal)
        .receipt(Receipt::Received("m1".into()));
    assert!(written(receipt).contains("<received xmlns=\"urn:xmpp:receipts\" id=\"m1\"/>"));
    assert_eq!(
        written(Outgoing::gone(&romeo(), &juliet, "t")),
        "<message from=\"romeo%example.net@sip.example.com/orchard\" to=\"juliet@example.com/balcony\" \
         type=\"chat\"><thread>t</thread><gone xmlns=\"http://jabber.org/protocol/chatstates\"/></message>"
    );
}

// IM-13, SEC-10
#[test]
fn characters_that_xml_cannot_carry_are_replaced() {
    let bad = "a\0b\u{b}c\u{1f}d\u{fffe}e\u{ffff}f\u{7f}g😀\th";
    let message = OutgoingMessage::new(&romeo(), &romeo(), MessageType::Chat)
        .id(bad)
        .body(bad);
    let text = written(message);
    let replaced = "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{7f}g😀";
    assert!(
        text.contains(&format!("<body>{replaced}\th</body>")),
        "{text}"
    );
    assert!(text.contains(&format!("id=\"{replaced}&#9;h\"")), "{text}");
}

// DISCO-01
#[test]
fn the_sender_is_always_on_our_domain() {
    let other = jid("romeo@example.net");
    let message = OutgoingMessage::new(&other, &other, MessageType::Chat);
    assert!(
        written(message).starts_with("<message from=\"sip.example.com\" to=\"romeo@example.net\"")
    );
}

#[test]
fn errors() {
    let error = StanzaError {
        kind: "cancel".into(),
        condition: "gone".into(),
        address: Some("xmpp:a@b".into()),
        text: Some("moved".into()),
        by: None,
    };
    let juliet = jid("juliet@example.com/balcony");
    assert_eq!(
        written(Outgoing::message_error(
            &romeo(),
            &juliet,
            Some("m1"),
            error
        )),
        "<message from=\"romeo%example.net@sip.example.com/orchard\" to=\"juliet@example.com/balcony\" id=\"m1\" \
         type=\"error\"><error type=\"cancel\"><gone xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\">xmpp:a@b</gone>\
         <text xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\">moved</text></error></message>"
    );
    let smuggled = StanzaError {
        kind: "x\" y=\"".into(),
        condition: "a><b".into(),
        by: Some("rooms@example.com\" y=\"".into()),
        ..StanzaError::default()
    };
    assert!(
        written(Outgoing::message_error(&romeo(), &juliet, None, smuggled)).contains(
            "<error type=\"cancel\" by=\"rooms@example.com&quot; y=&quot;\"><undefined-condition "
        )
    );
}

#[test]
fn presence_and_iq() {
    let juliet = jid("juliet@example.com");
    let presence = OutgoingPresence::new(&romeo(), &juliet, PresenceType::Available)
        .show(Show::Away)
        .status("out")
        .priority(-1);
    assert!(
        written(presence)
            .ends_with("><show>away</show><status>out</status><priority>-1</priority></presence>")
    );
    let iq = OutgoingIq::request(
        &romeo(),
        &juliet,
        "q1",
        Request::Get,
        "<ping xmlns='urn:xmpp:ping'/>".into(),
    );
    assert!(written(iq).ends_with("id=\"q1\" type=\"get\"><ping xmlns='urn:xmpp:ping'/></iq>"));
}

// RX-01, RS-07
#[test]
fn wishes_to_enter_a_room() {
    let room = jid("verona@rooms.example.com/Romeo");
    let plain = OutgoingPresence::new(&romeo(), &room, PresenceType::Available).id("j1");
    let join = Join {
        password: Some("<".into()),
        history: History {
            since: Some(UNIX_EPOCH),
            ..History::messages(20)
        },
    };
    assert_eq!(
        written(plain.clone().join(join)),
        "<presence from=\"romeo%example.net@sip.example.com/orchard\" to=\"verona@rooms.example.com/Romeo\" id=\"j1\">\
         <x xmlns=\"http://jabber.org/protocol/muc\"><password>&lt;</password>\
         <history maxstanzas=\"20\" since=\"1970-01-01T00:00:00.000Z\"/></x></presence>"
    );
    assert!(
        written(plain.echo_join())
            .ends_with("><x xmlns=\"http://jabber.org/protocol/muc\"></x></presence>")
    );
}

#[test]
fn what_a_room_says_about_an_occupant() {
    let juliet = jid("juliet@example.com/balcony");
    let user = MucUser {
        destroy: Some(MucDestroy {
            reason: Some("over".into()),
            ..MucDestroy::default()
        }),
        ..MucUser::of(MucItem {
            affiliation: Affiliation::Member,
            role: Role::None,
            jid: Some(juliet.clone()),
            nick: Some("\"".into()),
            actor: Some("Nurse".into()),
            reason: Some("&".into()),
        })
    };
    let gone = OutgoingPresence::new(&romeo(), &juliet, PresenceType::Unavailable)
        .status("bye")
        .muc_user(user.status(110).status(307));
    assert!(written(gone).ends_with(
        " type=\"unavailable\"><status>bye</status><x xmlns=\"http://jabber.org/protocol/muc#user\">\
         <item affiliation=\"member\" role=\"none\" jid=\"juliet@example.com/balcony\" nick=\"&quot;\">\
         <actor nick=\"Nurse\"/><reason>&amp;</reason></item><destroy><reason>over</reason></destroy>\
         <status code=\"110\"/><status code=\"307\"/></x></presence>"
    ));
    let user = std::sync::Arc::new(MucUser::of(MucItem::with_role(Role::Participant)));
    let here = OutgoingPresence::new(&romeo(), &juliet, PresenceType::Available).muc_user(user);
    assert!(
        written(here).ends_with("<item affiliation=\"none\" role=\"participant\"/></x></presence>")
    );
}

// RX-19, RX-24
#[test]
fn messages_of_a_room() {
    let room = jid("verona%chat.example.org@sip.example.com");
    let from = room.with_resource("Romeo").unwrap();
    let juliet = jid("juliet@example.com/balcony");
    let none = OutgoingMessage::new(&room, &juliet, MessageType::Groupchat).subject("");
    assert!(written(none).ends_with(" type=\"groupchat\"><subject></subject></message>"));
    let history = OutgoingMessage::new(&from, &juliet, MessageType::Groupchat)
        .body("Hark")
        .delay(UNIX_EPOCH);
    assert!(
        written(history).ends_with(
            "<body>Hark</body><delay xmlns=\"urn:xmpp:delay\" \
             from=\"verona%chat.example.org@sip.example.com\" stamp=\"1970-01-01T00:00:00.000Z\"/></message>"
        )
    );
    let private = OutgoingMessage::new(&from, &juliet, MessageType::Chat)
        .body("psst")
        .muc_user(MucUser::default());
    assert!(written(private).ends_with(
        "<body>psst</body><x xmlns=\"http://jabber.org/protocol/muc#user\"></x></message>"
    ));
}

// RX-31, RS-30, RS-31
#[test]
fn invitations_are_read_as_they_were_written() {
    let juliet = jid("juliet@example.com/balcony");
    let user = MucUser {
        invites: vec![MucInvite {
            from: Some(romeo()),
            to: Some(juliet.clone()),
            reason: Some("a < b".into()),
        }],
        decline: Some(MucDecline {
            from: Some(romeo()),
            to: None,
            reason: Some("no".into()),
        }),
        password: Some("p".into()),
        ..MucUser::default()
    };
    let direct = DirectInvite {
        jid: jid("verona@rooms.example.com"),
        password: Some("p\n".into()),
        reason: Some("\"come\"".into()),
    };
    let message = OutgoingMessage::new(&romeo(), &juliet, MessageType::Normal)
        .muc_user(user.clone())
        .direct_invite(direct.clone());
    let text = written(message);
    let Some(Stanza::Message(read)) = reread("sip.example.com", text.as_bytes()) else {
        panic!("{text}");
    };
    assert_eq!(read.muc.as_deref(), Some(&user));
    assert_eq!(read.direct_invite.as_deref(), Some(&direct));
}

// RX-09
#[test]
fn the_refusal_of_a_wish_to_enter_repeats_its_mark() {
    let text = "<presence from='juliet@example.com/b' to='verona%chat.example.org@sip.example.com/Julia' id='j1'>\
                <x xmlns='http://jabber.org/protocol/muc'><password>secret</password></x></presence>";
    let Some(Stanza::Presence(join)) = reread("sip.example.com", text.as_bytes()) else {
        panic!("no presence");
    };
    let error = StanzaError {
        kind: "auth".into(),
        condition: "not-authorized".into(),
        ..StanzaError::default()
    };
    let refusal = OutgoingPresence::refusal(&join, error).unwrap();
    assert_eq!(
        written(refusal),
        "<presence from=\"verona%chat.example.org@sip.example.com/Julia\" to=\"juliet@example.com/b\" id=\"j1\" \
         type=\"error\"><x xmlns=\"http://jabber.org/protocol/muc\"></x><error type=\"auth\">\
         <not-authorized xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></presence>"
    );
}

#[test]
fn questions_to_rooms() {
    let room = jid("verona@rooms.example.com");
    for (question, expected) in [
        (
            OutgoingIq::disco_info(&romeo(), &room, "q1"),
            "type=\"get\"><query xmlns=\"http://jabber.org/protocol/disco#info\"/></iq>",
        ),
        (
            OutgoingIq::ping(&romeo(), &room, "q1"),
            "type=\"get\"><ping xmlns=\"urn:xmpp:ping\"/></iq>",
        ),
        (
            OutgoingIq::instant_room(&romeo(), &room, "q1"),
            "type=\"set\"><query xmlns=\"http://jabber.org/protocol/muc#owner\">\
             <x xmlns=\"jabber:x:data\" type=\"submit\"/></query></iq>",
        ),
    ] {
        assert!(written(question).ends_with(expected), "{expected}");
    }
}

// CHAT-38
#[test]
fn held_messages_tell_when_they_were_taken() {
    let time = UNIX_EPOCH + Duration::from_secs(1_031_699_305);
    let mut out = BytesMut::new();
    let message = OutgoingMessage::new(&romeo(), &romeo(), MessageType::Chat).body("x");
    write(&mut out, &message.into(), "sip.example.com", Some(time));
    write(
        &mut out,
        &Outgoing::gone(&romeo(), &romeo(), "t"),
        "sip.example.com",
        Some(time),
    );
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(text.matches("<delay ").count(), 1);
    assert!(text.contains("stamp=\"2002-09-10T23:08:25.000Z\""));
}

/// Text that XML can carry; a carriage return is read as a line feed where it is not in an attribute.
const WORDS: &str = "[^\\x00-\\x08\\x0b-\\x1f\u{fffe}\u{ffff}]{1,12}";

fn words() -> impl Strategy<Value = String> {
    WORDS.prop_map(|words| words)
}

fn somebody() -> impl Strategy<Value = Option<Jid>> {
    let resource = "[^\\pC]{0,8}".prop_map(|resource| {
        let bare = jid("verona@rooms.example.com");
        bare.with_resource(&resource).unwrap_or(bare)
    });
    proptest::option::of(resource)
}

prop_compose! {
    fn item()(
        affiliation in prop_oneof![
            Just(Affiliation::Owner), Just(Affiliation::Admin), Just(Affiliation::Member),
            Just(Affiliation::Outcast), Just(Affiliation::None),
        ],
        role in prop_oneof![
            Just(Role::Moderator), Just(Role::Participant), Just(Role::Visitor), Just(Role::None),
        ],
        jid in somebody(),
        nick in proptest::option::of(words()),
        actor in proptest::option::of(words()),
        reason in proptest::option::of(words()),
    ) -> MucItem {
        MucItem { affiliation, role, jid, nick, actor, reason }
    }
}

prop_compose! {
    fn user()(
        statuses in proptest::collection::vec(100..1000u16, 0..5),
        item in proptest::option::of(item()),
        invites in proptest::collection::vec((somebody(), somebody(), proptest::option::of(words())), 0..3),
        decline in proptest::option::of((somebody(), somebody(), proptest::option::of(words()))),
        destroy in proptest::option::of((somebody(), proptest::option::of(words()), proptest::option::of(words()))),
        password in proptest::option::of(words()),
    ) -> MucUser {
        let invite = |(from, to, reason)| MucInvite { from, to, reason };
        MucUser {
            statuses,
            item,
            invites: invites.into_iter().map(invite).collect(),
            decline: decline.map(|(from, to, reason)| MucDecline { from, to, reason }),
            destroy: destroy.map(|(jid, reason, password)| MucDestroy { jid, reason, password }),
            password,
        }
    }
}

proptest! {
    /// Whatever a room is made to say, it is read as it was written.
    #[test]
    fn what_rooms_say_comes_back(user in user(), password in proptest::option::of(words()), most: Option<u32>) {
        let juliet = jid("juliet@example.com/balcony");
        let presence = OutgoingPresence::new(&romeo(), &juliet, PresenceType::Available);
        let text = written(presence.clone().muc_user(user.clone()));
        match reread("sip.example.com", text.as_bytes()) {
            Some(Stanza::Presence(read)) => prop_assert_eq!(read.muc.as_deref(), Some(&user)),
            other => prop_assert!(false, "{text}: {other:?}"),
        }
        let history = History { max_stanzas: most, ..History::default() };
        let join = Join { password, history };
        let text = written(presence.join(join.clone()));
        match reread("sip.example.com", text.as_bytes()) {
            Some(Stanza::Presence(read)) => prop_assert_eq!(read.join, Some(join)),
            other => prop_assert!(false, "{text}: {other:?}"),
        }
    }
}
