use super::*;
use crate::xmpp::{Iq, IqType, Payload, StanzaError};

const ROOMS: &str = "rooms.example.com";
const VERONA: &str = "verona@rooms.example.com";

const CONFERENCE: &str =
    "<identity category='conference' type='text'/><feature var='http://jabber.org/protocol/muc'/>";
const SERVER: &str = "<identity category='server' type='im'/><feature var='urn:xmpp:ping'/>";

/// A directory with its clock, and what came of it.
struct Desk {
    directory: Directory<u32>,
    now: Instant,
}

impl Desk {
    fn up() -> Desk {
        let now = Instant::now();
        let mut directory = Directory::default();
        directory.handle_up(now);
        Desk { directory, now }
    }

    fn find(&mut self, target: &str, item: u32) -> Found<u32> {
        let target = BareJid::parse(target).unwrap();
        self.directory.find(&target, item, self.now)
    }

    fn asked(&mut self) -> Option<String> {
        let question = self.directory.poll_question()?;
        Some(format!("{} {}", question.id, question.to))
    }

    fn answer(&mut self, asked: &str, result: Result<&str, &str>) {
        assert!(self.try_answer(asked, result), "{asked}");
    }

    fn try_answer(&mut self, asked: &str, result: Result<&str, &str>) -> bool {
        let (id, from) = asked.split_once(' ').unwrap();
        let namespace = "http://jabber.org/protocol/disco#info";
        let iq = Iq {
            from: Jid::parse(from).unwrap(),
            to: Jid::parse("sip.example.com").unwrap(),
            id: Some(id.into()),
            kind: match result {
                Ok(_) => IqType::Result,
                Err(_) => IqType::Error,
            },
            lang: None,
            payload: result.ok().map(|inner| Payload {
                namespace: namespace.into(),
                name: "query".into(),
                xml: format!("<query xmlns='{namespace}'>{inner}</query>"),
            }),
            error: result.err().map(|condition| StanzaError {
                condition: condition.into(),
                ..StanzaError::default()
            }),
        };
        self.directory.handle_answer(&iq, self.now)
    }

    fn decided(&mut self) -> Vec<(u32, Kind)> {
        std::iter::from_fn(|| self.directory.poll_decided()).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self
            .directory
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.directory.handle_timeout(self.now);
        }
    }

    fn nothing_waits(&self) {
        assert_eq!(self.directory.waiting, 0);
        assert!(self.directory.waiting_by_subject.is_empty());
        assert_eq!(self.directory.poll_timeout(), None);
    }
}

// RS-01
#[test]
fn the_domain_is_asked_first_and_then_the_room() {
    let mut desk = Desk::up();
    assert_eq!(desk.find(VERONA, 1), Found::Waits);
    let asked = desk.asked().unwrap();
    assert_eq!(asked, format!("kind-1 {ROOMS}"));
    // Who comes meanwhile waits for the same answer.
    assert_eq!(desk.find("mantua@rooms.example.com", 2), Found::Waits);
    assert_eq!(desk.asked(), None);
    desk.answer(&asked, Ok(CONFERENCE));
    assert_eq!(desk.decided(), []);
    let asked = [desk.asked().unwrap(), desk.asked().unwrap()];
    assert_eq!(asked[0], format!("kind-2 {VERONA}"));
    desk.answer(&asked[0], Ok(CONFERENCE));
    assert_eq!(desk.decided(), [(1, Kind::Room)]);
    desk.answer(&asked[1], Ok(CONFERENCE));
    assert_eq!(desk.decided(), [(2, Kind::Room)]);
    desk.nothing_waits();
    // It is remembered.
    assert_eq!(desk.find(VERONA, 3), Found::Now(Kind::Room, 3));
    desk.pass(ROOM_LASTS);
    assert_eq!(desk.find(VERONA, 4), Found::Waits);
    assert_eq!(desk.asked(), Some(format!("kind-4 {VERONA}")));
}

// RS-01: what is no room is a user, and after the first nobody waits.
#[test]
fn a_server_has_users() {
    let mut desk = Desk::up();
    assert_eq!(desk.find("juliet@example.com", 1), Found::Waits);
    let asked = desk.asked().unwrap();
    desk.answer(&asked, Ok(SERVER));
    assert_eq!(desk.decided(), [(1, Kind::User)]);
    assert_eq!(desk.find("nurse@example.com", 2), Found::Now(Kind::User, 2));
    assert_eq!(desk.asked(), None);
    desk.nothing_waits();
}

// RS-01: the address itself decides where its domain does not say.
#[test]
fn an_address_of_an_odd_domain_is_asked() {
    for (answer, kind) in [
        (Ok(CONFERENCE), Kind::Room),
        (
            Ok("<identity category='conference' type='text'/>"),
            Kind::User,
        ),
        (
            Ok("<identity category='account' type='registered'/>"),
            Kind::User,
        ),
        (Err("service-unavailable"), Kind::User),
        (Err("item-not-found"), Kind::User),
    ] {
        let mut desk = Desk::up();
        assert_eq!(desk.find("a@gateway.example.com", 1), Found::Waits);
        let asked = desk.asked().unwrap();
        desk.answer(&asked, Ok("<identity category='gateway' type='irc'/>"));
        let asked = desk.asked().unwrap();
        assert_eq!(asked, "kind-2 a@gateway.example.com");
        desk.answer(&asked, answer);
        assert_eq!(desk.decided(), [(1, kind)], "{answer:?}");
    }
}

// RS-05
#[test]
fn rooms_that_cannot_be_entered_are_known_before_anybody_is_answered() {
    for (condition, kind) in [
        ("item-not-found", Kind::Refused(Refusal::NotFound)),
        ("gone", Kind::Refused(Refusal::NotFound)),
        ("forbidden", Kind::Refused(Refusal::Forbidden)),
        ("not-allowed", Kind::Refused(Refusal::Forbidden)),
        // Who tries to enter will be told.
        ("service-unavailable", Kind::Room),
    ] {
        let mut desk = Desk::up();
        desk.find(VERONA, 1);
        let asked = desk.asked().unwrap();
        desk.answer(&asked, Ok(CONFERENCE));
        let asked = desk.asked().unwrap();
        desk.answer(&asked, Err(condition));
        assert_eq!(desk.decided(), [(1, kind)], "{condition}");
        if kind != Kind::Room {
            // The room may be created any time.
            assert_eq!(desk.find(VERONA, 2), Found::Now(kind, 2));
            desk.pass(REFUSAL_LASTS);
            assert_eq!(desk.find(VERONA, 3), Found::Waits);
        }
    }
}

#[test]
fn nobody_waits_for_long() {
    let mut desk = Desk::up();
    assert_eq!(desk.find(VERONA, 1), Found::Waits);
    let asked = desk.asked().unwrap();
    desk.pass(PATIENCE - Duration::from_millis(1));
    assert_eq!(desk.decided(), []);
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.decided(), [(1, Kind::User)]);
    desk.nothing_waits();
    // Nor the next one; but what is said late is heard.
    assert_eq!(desk.find(VERONA, 2), Found::Now(Kind::User, 2));
    desk.answer(&asked, Ok(CONFERENCE));
    assert_eq!(desk.find(VERONA, 3), Found::Waits);
    let asked = desk.asked().unwrap();
    assert_eq!(asked, format!("kind-2 {VERONA}"));
    // In a place for rooms it is most likely a room.
    desk.pass(PATIENCE);
    assert_eq!(desk.decided(), [(3, Kind::Room)]);
    // And both questions together take no longer than one.
    desk.pass(DOMAIN_LASTS);
    desk.find(VERONA, 4);
    let asked = desk.asked().unwrap();
    desk.pass(PATIENCE - Duration::from_secs(1));
    desk.answer(&asked, Ok(CONFERENCE));
    assert_eq!(desk.decided(), []);
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.decided(), [(4, Kind::Room)]);
}

#[test]
fn without_a_link_what_is_known_has_to_do() {
    let mut desk = Desk::up();
    desk.find(VERONA, 1);
    let asked = desk.asked().unwrap();
    desk.answer(&asked, Ok(CONFERENCE));
    let asked = desk.asked().unwrap();
    desk.answer(&asked, Ok(CONFERENCE));
    assert_eq!(desk.decided(), [(1, Kind::Room)]);
    desk.find("juliet@example.com", 2);
    desk.directory.handle_down();
    assert_eq!(desk.decided(), [(2, Kind::User)]);
    desk.nothing_waits();
    assert_eq!(desk.asked(), None);
    desk.pass(DOMAIN_LASTS);
    assert_eq!(desk.find(VERONA, 3), Found::Now(Kind::Room, 3));
    assert_eq!(desk.find("nurse@example.com", 4), Found::Now(Kind::User, 4));
    // The server that comes back may be another one.
    desk.directory.handle_up(desk.now);
    assert_eq!(desk.find(VERONA, 5), Found::Waits);
}

#[test]
fn only_who_was_asked_answers() {
    let mut desk = Desk::up();
    desk.find(VERONA, 1);
    let asked = desk.asked().unwrap();
    assert!(!desk.try_answer("kind-1 mallory@example.com", Ok(SERVER)));
    assert!(!desk.try_answer(&format!("kind-7 {ROOMS}"), Ok(SERVER)));
    assert_eq!(desk.decided(), []);
    desk.answer(&asked, Ok(SERVER));
    assert!(!desk.try_answer(&asked, Ok(CONFERENCE)));
}

#[test]
fn a_domain_that_cannot_be_reached_keeps_nobody_waiting() {
    let mut desk = Desk::up();
    desk.find("a@nowhere.example", 1);
    let asked = desk.asked().unwrap();
    desk.answer(&asked, Err("remote-server-not-found"));
    assert_eq!(desk.decided(), [(1, Kind::User)]);
    assert_eq!(desk.find("b@nowhere.example", 2), Found::Now(Kind::User, 2));
}

#[test]
fn what_is_no_longer_wanted_is_taken_out() {
    let mut desk = Desk::up();
    desk.find(VERONA, 1);
    desk.find(VERONA, 2);
    assert_eq!(desk.directory.withdraw(|item| *item == 1), Some(1));
    assert_eq!(desk.directory.withdraw(|item| *item == 1), None);
    desk.find("a@b.example", 3);
    assert_eq!(desk.directory.withdraw(|item| *item == 3), Some(3));
    assert_eq!(desk.directory.waiting_by_subject.len(), 1);
    let asked = desk.asked().unwrap();
    desk.answer(&asked, Ok(SERVER));
    assert_eq!(desk.decided(), [(2, Kind::User)]);
    desk.nothing_waits();
}

// SEC-14
#[test]
fn everything_is_bounded() {
    let mut desk = Desk::up();
    for n in 0..QUESTIONS {
        assert_eq!(desk.find(&format!("a@d{n}.example"), 0), Found::Waits);
    }
    assert_eq!(desk.find("a@more.example", 1), Found::Full(1));
    for n in QUESTIONS..WAITING {
        assert_eq!(desk.find(&format!("a{n}@d1.example"), 0), Found::Waits);
    }
    assert_eq!(desk.find("b@d1.example", 2), Found::Full(2));
    desk.pass(PATIENCE);
    assert_eq!(desk.decided().len(), WAITING);
    desk.nothing_waits();
    assert_eq!(desk.find("a@more.example", 3), Found::Waits);
    assert_eq!(desk.directory.asked_by_id.len(), 1);

    let mut cache = Cache::new(2);
    let now = desk.now;
    for n in 0..5 {
        cache.insert(n, n, now, Duration::from_secs(1 + n));
    }
    assert_eq!([0, 1, 2].map(|n| cache.last(&n)), [Some(0), Some(1), None]);
    // What no longer holds makes room.
    let later = now + Duration::from_secs(1);
    cache.insert(5, 5, later, Duration::from_secs(1));
    assert_eq!([0, 1, 5].map(|n| cache.last(&n)), [None, Some(1), Some(5)]);
    assert_eq!(cache.fresh(&1, now + Duration::from_secs(2)), None);
}
