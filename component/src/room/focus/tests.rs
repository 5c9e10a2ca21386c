//! Rooms in virtual time: what goes in is stanzas and what the SIP side did, what comes out is read as lines.

mod endings;
mod invitations;
mod messages;
mod nicknames;
mod recovery;
mod roster;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use stox_msrp::{FailureReport, Incoming, IncomingId, LostCause, Nickname, NicknameRequest, Role};
use stox_sip::conference::ConferenceInfo;
use stox_sip::{Occasion, SubscriptionId, Uri};

use super::event::*;
use super::room::Room;
use crate::address::{AddressStyle, Addresses, BareJid};
use crate::room::{MemberId, Token};
use crate::translate::Clock;
use crate::xmpp::{Outgoing, reread, written};

const ROOM: &str = "verona@rooms.example.com";
const ROOM_URI: &str = "sip:verona@rooms.example.com";
const ROMEO: &str = "sip:romeo@example.net";
const BENVOLIO: &str = "sip:benvolio@example.net";
const H: &str = "sip.example.com";

/// A room and its surroundings.
struct Stage {
    room: Room,
    now: Instant,
    next_incoming: u64,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(Settings::default())
    }

    fn with(settings: Settings) -> Stage {
        let addresses = Addresses::new(H, None, AddressStyle::Percent);
        let now = Instant::now();
        let clock = Clock::new(now, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let room = Room::new(
            BareJid::parse(ROOM).unwrap(),
            ROOM_URI.parse().unwrap(),
            Arc::new(addresses),
            settings,
            7 << 32,
            clock,
        );
        Stage {
            room,
            now,
            next_incoming: 0,
        }
    }

    fn handle(&mut self, event: Event) -> Vec<String> {
        let mut out = Vec::new();
        self.room.handle(event, self.now, &mut out);
        out.iter().map(line).collect()
    }

    fn member(&mut self, id: MemberId, event: MemberEvent) -> Vec<String> {
        self.handle(Event::Member(id, event))
    }

    /// Lets time pass, with everything that is due meanwhile.
    fn wait(&mut self, seconds: f64) -> Vec<String> {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut lines = Vec::new();
        while let Some(due) = self.room.poll_timeout()
            && due <= end
        {
            self.now = due.max(self.now);
            lines.extend(self.handle(Event::Elapsed));
        }
        self.now = end;
        lines
    }

    fn stanza(&mut self, xml: &str) -> Vec<String> {
        let stanza = reread(H, xml.as_bytes()).unwrap_or_else(|| panic!("no stanza: {xml}"));
        self.handle(Event::Stanza(Box::new(stanza)))
    }

    /// A presence of an occupant, to that user of ours.
    fn shows(&mut self, to: &str, nick: &str, inner: &str) -> Vec<String> {
        self.stanza(&format!(
            "<presence from='{ROOM}/{nick}' to='{to}'><x xmlns='{MUC_USER}'>{inner}</x></presence>"
        ))
    }

    fn hides(&mut self, to: &str, nick: &str, inner: &str) -> Vec<String> {
        self.stanza(&format!(
            "<presence from='{ROOM}/{nick}' to='{to}' type='unavailable'><x xmlns='{MUC_USER}'>{inner}</x></presence>"
        ))
    }

    fn refuses(&mut self, to: &str, nick: &str, condition: &str) -> Vec<String> {
        self.stanza(&format!(
            "<presence from='{ROOM}/{nick}' to='{to}' type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ))
    }

    /// Groupchat, to that user of ours.
    fn says(&mut self, to: &str, nick: &str, id: &str, inner: &str) -> Vec<String> {
        self.stanza(&format!(
            "<message type='groupchat' from='{ROOM}/{nick}' to='{to}' id='{id}'>{inner}</message>"
        ))
    }

    /// A SIP user calls; the lines, and what it is from now on.
    fn call(&mut self, aor: &str, name: &str, device: &str) -> (MemberId, Vec<String>) {
        let id = self.room.next_member();
        let mut lines = self.handle(Event::Invited(id, Box::new(invitation(aor, name, device))));
        lines.extend(self.member(id, MemberEvent::Acknowledged(None)));
        lines.extend(self.member(id, MemberEvent::Bound));
        (id, lines)
    }

    /// Romeo, in the room under that name, with Juliet there.
    fn romeo_inside(&mut self, nick: &str) -> MemberId {
        let (id, _) = self.call(ROMEO, "Romeo", "orchard");
        self.nickname(id, nick);
        self.shows(R, "Juliet", PARTICIPANT);
        self.shows(R, nick, OWN);
        id
    }

    fn nickname(&mut self, id: MemberId, nick: &str) -> Vec<String> {
        self.next_incoming += 1;
        let request = NicknameRequest {
            id: IncomingId::from_number(self.next_incoming),
            nickname: Nickname::new(nick).unwrap(),
        };
        self.member(id, MemberEvent::Nickname(Box::new(request)))
    }

    /// A SEND with that CPIM document.
    fn sends(&mut self, id: MemberId, document: &str) -> Vec<String> {
        self.sends_as(id, "message/cpim", document)
    }

    fn sends_as(&mut self, id: MemberId, content_type: &str, body: &str) -> Vec<String> {
        self.next_incoming += 1;
        let incoming = Incoming {
            id: IncomingId::from_number(self.next_incoming),
            message_id: format!("mid{}", self.next_incoming),
            transaction_id: "t1".into(),
            content_type: Some(content_type.into()),
            body: Bytes::copy_from_slice(body.as_bytes()),
            success_report: false,
            failure_report: FailureReport::Yes,
        };
        self.member(id, MemberEvent::Received(Box::new(incoming)))
    }

    fn subscribes(&mut self, number: u64, aor: &str) -> Vec<String> {
        self.handle(Event::Subscribed {
            subscription: SubscriptionId::new(number),
            aor: aor.parse().unwrap(),
            member: None,
        })
    }
}

const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const PARTICIPANT: &str = "<item affiliation='none' role='participant'/>";
const OWN: &str = "<item affiliation='none' role='participant'/><status code='110'/>";
/// Romeo's device in XMPP.
const R: &str = "romeo%example.net@sip.example.com/orchard";
const B: &str = "benvolio%example.net@sip.example.com/street";

fn invitation(aor: &str, name: &str, device: &str) -> Invitation {
    let aor: Uri = aor.parse().unwrap();
    Invitation {
        identities: vec![aor.clone()],
        aor,
        name: (!name.is_empty()).then(|| name.to_owned()),
        device: (!device.is_empty()).then(|| device.to_owned()),
        media: Some(media("a")),
    }
}

fn media(path: &str) -> Media {
    Media {
        path: vec![
            format!("msrp://192.0.2.1:2855/{path}bcd;tcp")
                .parse()
                .unwrap(),
        ],
        role: Role::Passive,
        takes_text: true,
        private_messages: true,
        max_size: None,
    }
}

fn to_room(words: &str) -> String {
    cpim(ROMEO, &format!("<{ROOM_URI}>"), words)
}

fn cpim(from: &str, to: &str, words: &str) -> String {
    format!("From: <{from}>\r\nTo: {to}\r\n\r\nContent-Type: text/plain\r\n\r\n{words}")
}

/// What is to be done, in a line.
fn line(action: &Action) -> String {
    match action {
        Action::Accept(id) => format!("{} 200", id.0),
        Action::Decline(id, status) => format!("{} {status}", id.0),
        Action::Invite(id, summons) => format!(
            "{} INVITE {} by {} {:?}",
            id.0,
            summons.target,
            summons
                .inviter
                .as_ref()
                .map(Uri::to_string)
                .unwrap_or_default(),
            summons.reason
        ),
        Action::Ack(id) => format!("{} ACK", id.0),
        Action::Cancel(id) => format!("{} CANCEL", id.0),
        Action::Bye(id, farewell) => format!("{} BYE {} {}", id.0, farewell.cause, farewell.text),
        Action::Renew(id) => format!("{} re-INVITE", id.0),
        Action::Open { member, leg, .. } => format!("{} open {}", member.0, leg.0),
        Action::Send { member, body, .. } => format!("{} SEND {}", member.0, flat(body)),
        Action::SendAgain(member, token, _) => format!("{} SEND again {}", member.0, token.0),
        Action::Respond(member, _, _, status) => format!("{} answer {status}", member.0),
        Action::Report {
            member,
            message_id,
            status,
            ..
        } => format!("{} REPORT {message_id} {status}", member.0),
        Action::Close(id) => format!("{} close", id.0),
        Action::Stanza(stanza, _) => xml(stanza),
        Action::Admit(_) => "admit".into(),
        Action::TurnAway(_, status) => format!("turn away {status}"),
        Action::Notify(id, document) => match document {
            Some(document) => format!("{} {}", number(*id), shown(document)),
            None => format!("{} NOTIFY nothing", number(*id)),
        },
        Action::ReportChange(id) => format!("{} changed", number(*id)),
        Action::EndSubscription(id) => format!("{} NOTIFY noresource", number(*id)),
        Action::EndReferral(_) => "NOTIFY 100".into(),
    }
}

fn number(id: SubscriptionId) -> String {
    format!("{id:?}")
        .replace("SubscriptionId", "")
        .replace(['(', ')'], "#")
}

fn xml(stanza: &Outgoing) -> String {
    written(stanza, H)
}

/// A CPIM document in a line, without the time.
fn flat(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body);
    let lines = text.split("\r\n").filter(|line| {
        !line.starts_with("DateTime") && !line.starts_with("Content-Type") && !line.is_empty()
    });
    lines.collect::<Vec<_>>().join(" | ")
}

/// A conference document in a line: who is there, and what they are.
fn shown(document: &Bytes) -> String {
    let info = ConferenceInfo::parse(document).unwrap();
    let users = info.users.iter().map(|user| {
        let gone = match user.state {
            stox_sip::conference::ElementState::Deleted => "-",
            _ => "",
        };
        let (_, nick) = user.entity.rsplit_once("gr=").unwrap();
        format!("{gone}{nick}({})", user.roles.join(","))
    });
    let subject = info.description.and_then(|description| description.subject);
    format!(
        "NOTIFY {:?} {} {} {}",
        info.state,
        info.version.unwrap(),
        users.collect::<Vec<_>>().join(" "),
        subject.unwrap_or_default()
    )
}

/// The lines in which that stands.
fn having<'a>(lines: &'a [String], what: &str) -> Vec<&'a str> {
    let lines = lines.iter().map(String::as_str);
    lines.filter(|line| line.contains(what)).collect()
}

fn only<'a>(lines: &'a [String], what: &str) -> &'a str {
    match having(lines, what).as_slice() {
        [only] => only,
        _ => panic!("not one line with {what}: {lines:#?}"),
    }
}

/// The id of the stanza in that line.
fn id_in(line: &str) -> String {
    let (_, rest) = line
        .split_once(" id=\"")
        .unwrap_or_else(|| panic!("no id: {line}"));
    rest.split('"').next().unwrap().to_owned()
}

fn lost() -> MemberEvent {
    MemberEvent::Disconnected(LostCause::ConnectionEnded)
}

fn changed() -> Occasion {
    Occasion::Changed
}

fn last_token(stage: &Stage, actions: &[Action]) -> Token {
    let tokens = actions.iter().filter_map(|action| match action {
        Action::Send { token, .. } | Action::Stanza(_, Some(token)) => Some(*token),
        _ => None,
    });
    tokens
        .last()
        .unwrap_or_else(|| panic!("no token at {:?}", stage.now))
}
