//! Requests to a room of the SIP world and to those in it. XEP-0045 §6, XEP-0410, RX-33, RX-34, DISCO-03, DISCO-04.

use super::{disco_info, disco_items, error, ping, version};
use crate::address::Jid;
use crate::xmpp::ns;
use crate::xmpp::outgoing::OutgoingIq;
use crate::xmpp::stanza::{Iq, IqType, Payload, StanzaError};

/// What a room can tell those who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What is talked about there.
    pub subject: Option<&'a str>,
    /// The nicknames of all who are there.
    pub nicks: Vec<&'a str>,
    /// The nickname of the one who asks; `None` for somebody who is not in the room.
    pub own: Option<&'a str>,
}

/// The answer to a request (iq of type get or set) to a room or to an occupant of it.
pub fn answer_of_room(request: &Iq, room: &RoomView<'_>) -> OutgoingIq {
    let Some(payload) = &request.payload else {
        return OutgoingIq::error(request, error("modify", "bad-request"));
    };
    let answer = match request.to.resource() {
        None => of_room(request, payload, room),
        Some(nick) => of_occupant(request, payload, room, nick),
    };
    match answer {
        Ok(result) => OutgoingIq::result(request, result),
        Err(error) => OutgoingIq::error(request, error),
    }
}

/// Whether it asks if somebody is there.
pub fn is_ping(request: &Iq) -> bool {
    let is_ping =
        |payload: &Payload| (&*payload.namespace, &*payload.name) == (ping::NAMESPACE, "ping");
    request.kind == IqType::Get && request.payload.as_ref().is_some_and(is_ping)
}

/// Whether the answer to a request is another one for a room than for a user: what is there, and whether the asker is.
pub fn asks_what_it_is(request: &Iq) -> bool {
    let Some(payload) = &request.payload else {
        return false;
    };
    let is_of_occupant = request.to.resource().is_some();
    match (payload.namespace.as_str(), payload.name.as_str()) {
        (disco_info::NAMESPACE, "query") => request.kind == IqType::Get,
        (ping::NAMESPACE, _) => is_ping(request) && is_of_occupant,
        (ns::REGISTER, "query") => true,
        _ => false,
    }
}

/// The answer to a request to a room, or somebody in it, that nobody has entered from here.
pub fn answer_of_unentered_room(request: &Iq) -> OutgoingIq {
    let name = request.to.node().unwrap_or_default();
    let room = RoomView {
        name,
        subject: None,
        nicks: Vec::new(),
        own: None,
    };
    answer_of_room(request, &room)
}

fn of_room(
    request: &Iq,
    payload: &Payload,
    room: &RoomView<'_>,
) -> Result<Option<String>, StanzaError> {
    match (
        request.kind,
        payload.namespace.as_str(),
        payload.name.as_str(),
    ) {
        (IqType::Get, disco_info::NAMESPACE, "query") => {
            disco_info::answer_of_room(payload, room).map(Some)
        }
        (IqType::Get, disco_items::NAMESPACE, "query") => {
            disco_items::answer(payload, occupants(&request.to, room)).map(Some)
        }
        (IqType::Get, ping::NAMESPACE, "ping") => Ok(None),
        (IqType::Get, version::NAMESPACE, "query") => Ok(Some(String::from(&version::answer()))),
        // A conference has nobody here who could govern it, and its focus offers no way. RX-34.
        (_, ns::MUC_ADMIN | ns::MUC_OWNER | ns::REGISTER, _) | (IqType::Set, _, _) => {
            Err(error("cancel", "not-allowed"))
        }
        _ => Err(error("cancel", "service-unavailable")),
    }
}

fn of_occupant(
    request: &Iq,
    payload: &Payload,
    room: &RoomView<'_>,
    nick: &str,
) -> Result<Option<String>, StanzaError> {
    if room.own.is_none() {
        return Err(error("cancel", "not-acceptable"));
    }
    if room.own != Some(nick) && !room.nicks.contains(&nick) {
        return Err(error("cancel", "item-not-found"));
    }
    match (
        request.kind,
        payload.namespace.as_str(),
        payload.name.as_str(),
    ) {
        (IqType::Get, ping::NAMESPACE, "ping") => Ok(None),
        (IqType::Get, disco_info::NAMESPACE, "query") => {
            disco_info::answer_of_occupant(payload).map(Some)
        }
        (IqType::Get, disco_items::NAMESPACE, "query") => {
            disco_items::answer(payload, []).map(Some)
        }
        (IqType::Get, version::NAMESPACE, "query") => Ok(Some(String::from(&version::answer()))),
        (_, ns::MUC_ADMIN | ns::MUC_OWNER | ns::REGISTER, _) => Err(error("cancel", "not-allowed")),
        _ => Err(error("cancel", "service-unavailable")),
    }
}

/// Nobody learns from outside who is in a room.
fn occupants<'a>(address: &Jid, room: &RoomView<'a>) -> Vec<(Jid, &'a str)> {
    if room.own.is_none() {
        return Vec::new();
    }
    let item = |nick: &&'a str| Some((address.with_resource(nick).ok()?, *nick));
    room.nicks.iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "verona%chat.example.org@sip.example.com";

    fn view(own: Option<&'static str>) -> RoomView<'static> {
        RoomView {
            name: "verona",
            subject: Some("a < b\u{1}"),
            nicks: vec!["Romeo", "Julia & co"],
            own,
        }
    }

    fn ask(
        nick: Option<&str>,
        kind: IqType,
        payload: &str,
        own: Option<&'static str>,
    ) -> OutgoingIq {
        let document = roxmltree::Document::parse(payload).unwrap();
        let tag = document.root_element().tag_name();
        let room = Jid::parse(ROOM).unwrap();
        let request = Iq {
            from: Jid::parse("juliet@example.com/balcony").unwrap(),
            to: nick.map_or(room.clone(), |nick| room.with_resource(nick).unwrap()),
            id: Some("q1".into()),
            kind,
            lang: None,
            payload: Some(Payload {
                namespace: tag.namespace().unwrap_or_default().to_owned(),
                name: tag.name().to_owned(),
                xml: payload.to_owned(),
            }),
            error: None,
        };
        answer_of_room(&request, &view(own))
    }

    fn condition(answer: &OutgoingIq) -> Option<&str> {
        answer.error.as_ref().map(|error| error.condition.as_str())
    }

    const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
    const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

    // RX-33
    #[test]
    fn who_pings_the_own_address_learns_whether_they_are_in() {
        let own = Some("Julia & co");
        assert_eq!(ask(own, IqType::Get, PING, own).kind, IqType::Result);
        assert_eq!(
            condition(&ask(own, IqType::Get, PING, None)),
            Some("not-acceptable")
        );
        let other = ask(Some("Mercutio"), IqType::Get, PING, own);
        assert_eq!(condition(&other), Some("item-not-found"));
        assert_eq!(
            ask(Some("Romeo"), IqType::Get, PING, own).kind,
            IqType::Result
        );
        assert_eq!(ask(None, IqType::Get, PING, None).kind, IqType::Result);
    }

    // RX-33: as after a restart, when clients still believe to be in a room.
    #[test]
    fn nobody_is_in_a_room_that_nobody_has_entered() {
        let mut request = Iq {
            from: Jid::parse("juliet@example.com/balcony").unwrap(),
            to: Jid::parse(&format!("{ROOM}/Juliet")).unwrap(),
            id: Some("q1".into()),
            kind: IqType::Get,
            lang: None,
            payload: Some(Payload {
                namespace: ping::NAMESPACE.into(),
                name: "ping".into(),
                xml: PING.into(),
            }),
            error: None,
        };
        assert!(asks_what_it_is(&request));
        let answer = answer_of_unentered_room(&request);
        assert_eq!(condition(&answer), Some("not-acceptable"));
        request.to = Jid::parse(ROOM).unwrap();
        assert!(!asks_what_it_is(&request));
        assert_eq!(answer_of_unentered_room(&request).kind, IqType::Result);
    }

    // RX-34
    #[test]
    fn nobody_governs_a_conference_from_here() {
        for payload in [
            "<query xmlns='http://jabber.org/protocol/muc#admin'/>",
            "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
            "<query xmlns='jabber:iq:register'/>",
        ] {
            for kind in [IqType::Get, IqType::Set] {
                for nick in [None, Some("Romeo")] {
                    let answer = ask(nick, kind, payload, Some("Julia & co"));
                    assert_eq!(
                        (answer.kind, condition(&answer)),
                        (IqType::Error, Some("not-allowed")),
                        "{payload}"
                    );
                }
            }
        }
        let unknown = ask(
            None,
            IqType::Set,
            "<odd xmlns='urn:odd'/>",
            Some("Julia & co"),
        );
        assert_eq!(condition(&unknown), Some("not-allowed"));
        let unknown = ask(None, IqType::Get, "<odd xmlns='urn:odd'/>", None);
        assert_eq!(condition(&unknown), Some("service-unavailable"));
    }

    // DISCO-03
    #[test]
    fn what_a_room_is() {
        let payload = ask(None, IqType::Get, INFO, None).payload.unwrap();
        let document = roxmltree::Document::parse(&payload).unwrap();
        for expected in [
            "<identity category=\"conference\" type=\"text\" name=\"verona\"/>",
            "<feature var=\"http://jabber.org/protocol/muc\"/>",
            "<feature var=\"http://jabber.org/protocol/muc#stable_id\"/>",
            "<value>http://jabber.org/protocol/muc#roominfo</value>",
            "<field var=\"muc#roominfo_occupants\"><value>2</value></field>",
            "<field var=\"muc#roominfo_subject\"><value>a &lt; b\u{fffd}</value></field>",
        ] {
            assert!(payload.contains(expected), "{payload}");
        }
        assert!(
            document
                .root_element()
                .has_tag_name((ns::DISCO_INFO, "query"))
        );
        let occupant = ask(Some("Romeo"), IqType::Get, INFO, Some("Julia & co"));
        assert!(occupant.payload.unwrap().contains("category=\"client\""));
        let node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>";
        assert_eq!(
            condition(&ask(None, IqType::Get, node, None)),
            Some("item-not-found")
        );
    }

    // DISCO-04
    #[test]
    fn only_those_who_are_in_learn_who_else_is() {
        let payload = ask(None, IqType::Get, ITEMS, Some("Romeo"))
            .payload
            .unwrap();
        assert_eq!(
            payload,
            format!(
                "<query xmlns=\"http://jabber.org/protocol/disco#items\"><item jid=\"{ROOM}/Romeo\" name=\"Romeo\"/>\
                 <item jid=\"{ROOM}/Julia &amp; co\" name=\"Julia &amp; co\"/></query>"
            )
        );
        let outside = ask(None, IqType::Get, ITEMS, None).payload.unwrap();
        assert!(!outside.contains("item "));
    }
}
