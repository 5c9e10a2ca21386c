//! Rooms in virtual time: what goes in is stanzas and what the SIP side did, what comes out is read as lines.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use roxmltree::Document;
use stox_msrp::sdp::Chatroom;
use stox_msrp::{FailureReport, Incoming, IncomingId, NicknameForm, Role, cpim};
use stox_sip::conference::{
    ConferenceInfo, Description, ElementState, Endpoint, EndpointStatus, User as Person,
};
use stox_sip::{Next, SubscriptionEnd};

use super::event::*;
use super::member::LEG;
use super::room::Room;
use crate::address::{Addresses, Jid};
use crate::room::{MemberId, Token};
use crate::stamp;
use crate::translate::Clock;
use crate::translate::promise::{Outcome, Settlement};
use crate::xmpp::{Outgoing, reread, written};

mod ending;
mod entering;
mod inviting;
mod naming;
mod roster;
mod talking;

const H: &str = "sip.example.com";
const ROOM: &str = "verona%chat.example.org@sip.example.com";
const VERONA: &str = "sip:verona@chat.example.org";
const JULIET: &str = "sip:juliet@example.com";
const BEN: &str = "sip:benvolio@example.org";

/// A room and its surroundings.
struct Stage {
    core: Room,
    now: Instant,
    start: Instant,
    began: SystemTime,
    next_incoming: u64,
    version: u32,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Stage {
        let mut settings = Settings::default();
        change(&mut settings);
        let place = Place {
            jid: ROOM.parse::<Jid>().unwrap().bare(),
            uri: VERONA.parse().unwrap(),
        };
        let (now, began) = (Instant::now(), SystemTime::UNIX_EPOCH + 100 * DAY);
        let addresses = Addresses::new(H, None, Default::default());
        Stage {
            core: Room::new(place, addresses.into(), settings, 1, Clock::new(now, began)),
            now,
            began,
            start: now,
            next_incoming: 0,
            version: 0,
        }
    }

    fn feed(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.core.handle(event, self.now, &mut actions);
        actions
    }

    fn tell(&mut self, event: Event) -> Vec<String> {
        self.feed(event).iter().map(line).collect()
    }

    fn member(&mut self, member: u32, event: MemberEvent) -> Vec<String> {
        self.tell(Event::Member(MemberId(member), event))
    }

    fn stanza(&mut self, xml: &str) -> Vec<String> {
        let stanza = reread(H, xml.as_bytes()).unwrap();
        self.tell(Event::Stanza(stanza))
    }

    /// A presence of juliet's device for that nickname.
    fn presence(&mut self, device: &str, nick: &str, attributes: &str, inner: &str) -> Vec<String> {
        self.stanza(&format!(
            "<presence from='juliet@example.com/{device}' to='{ROOM}/{nick}' {attributes}>{inner}</presence>"
        ))
    }

    fn wants_in(&mut self, device: &str, nick: &str) -> Vec<String> {
        self.presence(
            device,
            nick,
            "id='j1'",
            "<x xmlns='http://jabber.org/protocol/muc'/>",
        )
    }

    fn says(&mut self, device: &str, to: &str, kind: &str, inner: &str) -> Vec<String> {
        self.stanza(&format!(
            "<message from='juliet@example.com/{device}' to='{to}' type='{kind}' id='m1'>{inner}</message>"
        ))
    }

    fn answered(&mut self, member: u32) -> Vec<String> {
        self.answered_as(member, focus(), media())
    }

    fn answered_as(&mut self, member: u32, focus: Focus, media: RoomMedia) -> Vec<String> {
        let media = Ok(media);
        self.member(member, MemberEvent::Answered { media, focus })
    }

    /// The token of the last thing that was asked of a switch.
    fn bound(&mut self, member: u32) -> (Vec<String>, Token) {
        let actions = self.feed(Event::Member(MemberId(member), MemberEvent::Bound));
        let token = actions.iter().find_map(token_of).unwrap_or(Token(0));
        (actions.iter().map(line).collect(), token)
    }

    /// The next document, with everybody.
    fn roster(&mut self, member: u32, people: Vec<Person>) -> Vec<String> {
        let users_state = ElementState::Full;
        let document = ConferenceInfo {
            users: people,
            users_state,
            ..self.document(ElementState::Full)
        };
        self.notified(member, &document)
    }

    fn document(&mut self, state: ElementState) -> ConferenceInfo {
        self.version += 1;
        ConferenceInfo {
            entity: VERONA.to_owned(),
            state,
            version: Some(self.version),
            users_state: ElementState::Partial,
            ..ConferenceInfo::default()
        }
    }

    fn notified(&mut self, member: u32, document: &ConferenceInfo) -> Vec<String> {
        let body = Bytes::from(document.to_xml());
        self.member(member, MemberEvent::Notified(body))
    }

    /// Juliet's device is in the room with Ben, as member of that number.
    fn enter(&mut self, member: u32, device: &str, nick: &str) {
        self.wants_in(device, nick);
        self.answered(member);
        let (_, token) = self.bound(member);
        self.member(member, MemberEvent::Accepted(token));
        let lines = self.roster(member, vec![person(BEN, "Ben"), person(JULIET, nick)]);
        assert!(
            lines.last().is_some_and(|line| line.contains("subject")),
            "{lines:?}"
        );
    }

    /// Somebody writes in the room.
    fn hears(&mut self, member: u32, from: &str, to: &str, body: &str) -> Vec<Action> {
        self.hears_late(member, from, to, body, Duration::ZERO)
    }

    fn hears_late(
        &mut self,
        member: u32,
        from: &str,
        to: &str,
        body: &str,
        age: Duration,
    ) -> Vec<Action> {
        let elapsed = self.now.duration_since(self.start);
        let sent = self.began + elapsed - age;
        let message = cpim::Message {
            from: Some(from.parse().unwrap()),
            to: vec![to.parse().unwrap()],
            date_time: Some(stamp::format(sent)),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            body: Bytes::copy_from_slice(body.as_bytes()),
            ..cpim::Message::default()
        };
        self.receives(member, "message/cpim", message.wrap())
    }

    fn receives(&mut self, member: u32, content_type: &str, body: Bytes) -> Vec<Action> {
        self.next_incoming += 1;
        let incoming = Incoming {
            id: IncomingId::from_number(self.next_incoming),
            message_id: format!("id{}", self.next_incoming),
            transaction_id: "abcd".to_owned(),
            content_type: Some(content_type.to_owned()),
            body,
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        self.feed(Event::Member(
            MemberId(member),
            MemberEvent::Received(LEG, incoming),
        ))
    }

    fn pass(&mut self, duration: Duration) -> Vec<String> {
        let until = self.now + duration;
        let mut lines = Vec::new();
        while let Some(due) = self.core.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            lines.extend(self.tell(Event::Elapsed));
        }
        self.now = until;
        lines
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn focus() -> Focus {
    Focus {
        contact: Some("sip:verona@192.0.2.1:5060".parse().unwrap()),
        kind: FocusKind::Focus,
        form: NicknameForm::Quoted,
    }
}

fn media() -> RoomMedia {
    RoomMedia {
        path: vec!["msrp://192.0.2.1:2855/abcd;tcp".parse().unwrap()],
        role: Role::Active,
        max_size: None,
        chatroom: Some(Chatroom::FULL),
        wrapping: RoomWrapping::Cpim,
    }
}

/// Somebody with that nickname who is there.
fn person(entity: &str, nick: &str) -> Person {
    let endpoint = Endpoint {
        entity: format!("{entity};gr=x"),
        status: Some(EndpointStatus::Connected),
        ..Endpoint::default()
    };
    Person {
        nickname: Some(nick.to_owned()),
        endpoints: vec![endpoint],
        ..Person::new(entity)
    }
}

fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().map(line).collect()
}

fn token_of(action: &Action) -> Option<Token> {
    match action {
        Action::UseNickname { token, .. } | Action::Send { token, .. } => Some(*token),
        Action::Stanza(_, token) => *token,
        _ => None,
    }
}

/// One action as a line: what matters of it.
fn line(action: &Action) -> String {
    match action {
        Action::Invite {
            user,
            resource,
            nick,
            proof,
            ..
        } => format!(
            "INVITE {} gr={} as {nick}{}",
            user.uri,
            resource.as_deref().unwrap_or("-"),
            proof.as_ref().map_or("", |_| " with a proof")
        ),
        Action::Ack(_) => "ACK".to_owned(),
        Action::Cancel(_) => "CANCEL".to_owned(),
        Action::Bye(_, reason) => format!("BYE {reason:?}"),
        Action::Ring(_) => "180".to_owned(),
        Action::Accept(_, _, resource) => format!("200 gr={}", resource.as_deref().unwrap_or("-")),
        Action::Decline(_, status) => status.to_string(),
        Action::OpenMsrp { .. } => "MSRP".to_owned(),
        Action::UseNickname { nick, .. } => format!("NICKNAME {nick}"),
        Action::Send { body, .. } => {
            let message = cpim::Message::parse(body).unwrap();
            let from = message.from.unwrap();
            format!(
                "SEND {} <{}> to {}: {}",
                from.name.unwrap_or_default(),
                from.uri,
                message.to[0].uri,
                String::from_utf8_lossy(&message.body)
            )
        }
        Action::Subscribe { target, .. } => format!("SUBSCRIBE {target}"),
        Action::Unsubscribe(_) => "UNSUBSCRIBE".to_owned(),
        Action::Refresh(_) => "REFRESH".to_owned(),
        Action::Refer { invited, .. } => format!("REFER {invited}"),
        Action::Close(_) => "close".to_owned(),
        Action::Stanza(stanza, _) => stanza_line(stanza),
        Action::Vacate(jid) => format!("vacate {}", jid.resource().unwrap_or("-")),
        Action::Settle(Settlement { ticket, outcome }) => {
            let what = match ticket {
                Ticket::Stanza { id, .. } => id.clone().unwrap_or_default(),
                Ticket::Send { .. } => "SEND".to_owned(),
            };
            match outcome {
                Outcome::Delivered => format!("{what} delivered"),
                Outcome::Refused(fault) => format!("{what} refused {fault}"),
            }
        }
    }
}

/// `presence Ben→balcony participant`, `message -→balcony groupchat: text`
fn stanza_line(stanza: &Outgoing) -> String {
    let xml = written(stanza, H);
    let document = Document::parse(&xml).unwrap();
    let root = document.root_element();
    let find = |name: &str| {
        root.descendants()
            .find(|node| node.tag_name().name() == name)
    };
    let from: Jid = root.attribute("from").unwrap().parse().unwrap();
    let to: Jid = root.attribute("to").unwrap().parse().unwrap();
    let mut line = format!(
        "{} {}→{}",
        root.tag_name().name(),
        from.resource().unwrap_or("-"),
        to.resource().unwrap_or("-")
    );
    let mut add = |word: &str| {
        line.push(' ');
        line.push_str(word);
    };
    if let Some(kind) = root.attribute("type") {
        add(kind);
    }
    if let Some(item) = find("item") {
        add(item.attribute("role").unwrap_or("?"));
        for name in ["jid", "nick"] {
            if let Some(value) = item.attribute(name) {
                add(&format!("{name}={value}"));
            }
        }
    }
    let codes = root.descendants().filter_map(|node| node.attribute("code"));
    for code in codes {
        add(code);
    }
    for name in [
        "show", "destroy", "invite", "decline", "delay", "subject", "body", "reason",
    ] {
        if let Some(node) = find(name) {
            add(&format!(
                "{name}={}",
                node.attribute("from")
                    .filter(|_| name != "delay")
                    .or(node.text())
                    .unwrap_or_default()
            ));
        }
    }
    if let Some(error) = find("error") {
        let condition = error.first_element_child().unwrap();
        add(&format!(
            "error={} {}",
            error.attribute("type").unwrap(),
            condition.tag_name().name()
        ));
        if let Some(by) = error.attribute("by") {
            add(&format!("by={by}"));
        }
        if root
            .children()
            .any(|node| node.has_tag_name(("http://jabber.org/protocol/muc", "x")))
        {
            add("echo");
        }
    }
    if let Some(id) = root.attribute("id").filter(|id| id.len() < 5) {
        add(&format!("id={id}"));
    }
    line
}

fn unsubscribed(end: SubscriptionEnd) -> MemberEvent {
    MemberEvent::Unsubscribed(end, Next::Never)
}

fn subject(subject: &str) -> Option<Description> {
    Some(Description {
        subject: Some(subject.to_owned()),
        ..Description::default()
    })
}
