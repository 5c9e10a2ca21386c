//! The core of a room of the SIP world, a juliet who takes part, and the focus with its switch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use stox::address::{AddressStyle, Addresses};
use stox::fault::Fault;
use stox::room::muc::{
    Action, DialogEnd, Event, Focus, FocusKind, MemberEvent, Place, ReferralEvent, ReferralId,
    Room, RoomMedia, RoomWrapping, Settings, Ticket,
};
use stox::room::{MemberId, Token};
use stox::translate::promise::{Outcome, Settlement};
use stox::translate::{Clock, Rejection};
use stox_msrp::cpim::Message;
use stox_msrp::sdp::Chatroom;
use stox_msrp::{MsrpUri, NicknameForm, Role};
use stox_sip::conference::{ConferenceInfo, Description, ElementState, User};
use stox_sip::{Next, Status, SubscriptionEnd};

use super::script::{Line, Party};
use super::{Done, Play, stanza};

const JULIET: &str = "juliet@example.com/balcony";
const ROOM: &str = "verona%chat.example.org@sip.example.com";
const URI: &str = "sip:verona@chat.example.org";

pub struct Stage {
    core: Room,
    now: Instant,
    done: Done,
    /// Requests of stox that the focus has not answered, oldest first.
    to_answer: VecDeque<Pending>,
    seen: Vec<String>,
    member: Option<MemberId>,
    referral: Option<ReferralId>,
    /// What juliet calls herself.
    nick: String,
    /// Of the last document.
    version: u32,
    ids: u64,
}

#[derive(Debug)]
enum Pending {
    Invite(MemberId),
    Nickname(MemberId, Token),
    Subscribe,
    Send(MemberId, Token),
    Refer,
    Bye(MemberId),
}

impl Play for Stage {
    fn step(&mut self, line: &Line) -> Result<(), String> {
        match (line.from, line.to) {
            (Some(Party::Juliet), _) => self.juliet(&line.what),
            (Some(Party::Focus), _) => self.focus(&line.what),
            (Some(Party::Stox), Some(to)) => self.done.expect(to, &line.what),
            _ if line.what == "nothing else" => self.nothing_else(),
            _ => Err("no such step".to_owned()),
        }
    }

    fn seen(&self) -> String {
        self.seen.join("\n    ")
    }
}

impl Stage {
    pub fn new() -> Stage {
        let now = Instant::now();
        let place = Place {
            jid: ROOM.parse::<stox::address::Jid>().expect("a JID").bare(),
            uri: URI.parse().expect("a URI"),
        };
        let addresses = Addresses::new(stanza::DOMAIN, None, AddressStyle::Percent);
        let clock = Clock::new(now, SystemTime::UNIX_EPOCH);
        Stage {
            core: Room::new(place, Arc::new(addresses), Settings::default(), 1, clock),
            now,
            done: Done::default(),
            to_answer: VecDeque::new(),
            seen: Vec::new(),
            member: None,
            referral: None,
            nick: String::new(),
            version: 0,
            ids: 0,
        }
    }

    fn juliet(&mut self, what: &str) -> Result<(), String> {
        self.ids += 1;
        let id = format!("id{}", self.ids);
        let presence = |nick: &str, kind: &str, inner: &str| {
            format!(
                "<presence from='{JULIET}' to='{ROOM}/{nick}' id='{id}'{kind}>{inner}</presence>"
            )
        };
        let message = |to: &str, kind: &str, inner: &str| {
            format!("<message from='{JULIET}' to='{to}' id='{id}' type='{kind}'>{inner}</message>")
        };
        let xml = match what.split_once(": ").unwrap_or((what, "")) {
            ("join", nick) => {
                self.nick = nick.to_owned();
                presence(nick, "", "<x xmlns='http://jabber.org/protocol/muc'/>")
            }
            ("nick", nick) => presence(nick, "", ""),
            ("leave", _) => presence(&self.nick, " type='unavailable'", ""),
            ("to all", text) => message(ROOM, "groupchat", &format!("<body>{text}</body>")),
            ("invite", whom) => message(
                ROOM,
                "normal",
                &format!(
                    "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='{whom}'/></x>"
                ),
            ),
            (to, text) => {
                let nick = to.strip_prefix("to ").ok_or("juliet cannot do that")?;
                let inner = format!("<body>{text}</body>");
                message(&format!("{ROOM}/{nick}"), "chat", &inner)
            }
        };
        self.feed(Event::Stanza(stanza::sent(&xml)));
        Ok(())
    }

    fn focus(&mut self, what: &str) -> Result<(), String> {
        let event = match what.split_once(": ") {
            Some(("NOTIFY", roster)) => {
                let member = self.member.ok_or("nobody has subscribed")?;
                self.version += 1;
                let document = document(roster, self.version);
                Event::Member(member, MemberEvent::Notified(document))
            }
            Some(("NOTIFY of the REFER", status)) => {
                let referral = self.referral.ok_or("nobody was referred")?;
                let status = status.parse().map_err(|_| "no status")?;
                self.feed(Event::Referral(referral, ReferralEvent::Notified(status)));
                let end = ReferralEvent::Ended(SubscriptionEnd::Terminated(None));
                Event::Referral(referral, end)
            }
            _ => match self.answer(what.parse().map_err(|_| "the focus cannot do that")?)? {
                Some(event) => event,
                None => return Ok(()),
            },
        };
        self.feed(event);
        Ok(())
    }

    /// The focus answers the oldest request that waits for an answer.
    fn answer(&mut self, status: u16) -> Result<Option<Event>, String> {
        let pending = self.to_answer.pop_front();
        let (member, event) = match pending.ok_or("nothing waits for an answer")? {
            Pending::Subscribe | Pending::Refer => return Ok(None),
            Pending::Invite(member) if status < 300 => (
                member,
                MemberEvent::Answered {
                    media: Ok(media()),
                    focus: Focus {
                        contact: URI.parse().ok(),
                        kind: FocusKind::Focus,
                        form: NicknameForm::Quoted,
                    },
                },
            ),
            Pending::Invite(member) => (member, MemberEvent::Rejected(rejection(status), None)),
            Pending::Nickname(member, token) | Pending::Send(member, token) if status < 300 => {
                (member, MemberEvent::Accepted(token))
            }
            Pending::Nickname(member, token) | Pending::Send(member, token) => {
                (member, MemberEvent::Refused(token, status))
            }
            Pending::Bye(member) => (member, MemberEvent::Ended(DialogEnd::Ours)),
        };
        Ok(Some(Event::Member(member, event)))
    }

    fn nothing_else(&mut self) -> Result<(), String> {
        self.done.is_all()?;
        match (self.core.is_over(), self.core.poll_timeout()) {
            (true, None) => Ok(()),
            (false, _) => Err("somebody is still in the room".to_owned()),
            (true, Some(_)) => Err("a timer is left".to_owned()),
        }
    }

    /// One event, and all that the world does by itself: connections are made, the XMPP server takes what it is sent.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.seen.push(format!("{event:?}"));
            let mut actions = Vec::new();
            self.now += Duration::from_millis(1);
            self.core.handle(event, self.now, &mut actions);
            for action in actions {
                self.seen.push(format!("  {action:?}"));
                self.perform(action, &mut events);
            }
        }
    }

    fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) {
        let what = match action {
            Action::Invite { member, .. } => {
                self.member = Some(member);
                self.to_answer.push_back(Pending::Invite(member));
                "INVITE, offers a chat room".to_owned()
            }
            Action::Ack(_) => "ACK".to_owned(),
            Action::Cancel(_) => "CANCEL".to_owned(),
            Action::Bye(member, _) => {
                self.to_answer.push_back(Pending::Bye(member));
                "BYE".to_owned()
            }
            Action::OpenMsrp { member, .. } => {
                return events.push_back(Event::Member(member, MemberEvent::Bound));
            }
            Action::UseNickname {
                member,
                token,
                nick,
                ..
            } => {
                self.to_answer.push_back(Pending::Nickname(member, token));
                format!("NICKNAME: {nick}")
            }
            Action::Send {
                member,
                token,
                body,
            } => {
                self.to_answer.push_back(Pending::Send(member, token));
                said(&body)
            }
            Action::Subscribe { .. } => {
                self.to_answer.push_back(Pending::Subscribe);
                "SUBSCRIBE".to_owned()
            }
            Action::Unsubscribe(member) => {
                let end = MemberEvent::Unsubscribed(SubscriptionEnd::Unsubscribed, Next::Never);
                events.push_back(Event::Member(member, end));
                "SUBSCRIBE, ends".to_owned()
            }
            Action::Refer {
                referral, invited, ..
            } => {
                self.referral = Some(referral);
                self.to_answer.push_back(Pending::Refer);
                format!("REFER to {invited}")
            }
            Action::Stanza(outgoing, token) => {
                events.extend(token.map(Event::Handed));
                let received = stanza::received(&outgoing, "example.com");
                return self.told(&stanza::told(&received));
            }
            Action::Settle(Settlement {
                ticket: Ticket::Stanza { .. },
                outcome: Outcome::Refused(fault),
            }) => return self.told(&format!("error: {}", fault.condition())),
            Action::Settle(_) | Action::Close(_) | Action::Vacate(_) => return,
            other => format!("{other:?}"),
        };
        self.done.note(Party::Focus, what);
    }

    fn told(&mut self, what: &str) {
        if let Some(nick) = what.strip_prefix("available, herself: ") {
            self.nick = nick.to_owned();
        }
        self.done.note(Party::Juliet, what);
    }
}

/// Who is there, and after a semicolon the subject.
fn document(roster: &str, version: u32) -> Bytes {
    let (names, subject) = roster.split_once("; ").unwrap_or((roster, ""));
    let user = |name: &str| User {
        display_text: Some(name.to_owned()),
        roles: vec!["participant".to_owned()],
        ..User::new(format!("{URI};gr={name}"))
    };
    let document = ConferenceInfo {
        entity: URI.to_owned(),
        state: ElementState::Full,
        version: Some(version),
        description: Some(Description {
            subject: Some(subject.to_owned()),
            ..Description::default()
        }),
        users: names.split(", ").map(user).collect(),
        ..ConferenceInfo::default()
    };
    document.to_xml().into()
}

/// A SEND to the switch: to all, or to one.
fn said(body: &Bytes) -> String {
    let message = Message::parse(body).expect("CPIM");
    let text = String::from_utf8_lossy(&message.body);
    let to = message.to.first().map_or("", |to| to.uri.as_str());
    match to.split_once(";gr=") {
        Some((_, nick)) => format!("SEND to {nick}: {text}"),
        None => format!("SEND to all: {text}"),
    }
}

fn media() -> RoomMedia {
    let path: MsrpUri = "msrp://chat.example.org:12763/kjhd37s2s20w2a;tcp"
        .parse()
        .expect("an MSRP URI");
    RoomMedia {
        path: vec![path],
        role: Role::Active,
        max_size: None,
        chatroom: Some(Chatroom::FULL),
        wrapping: RoomWrapping::Cpim,
    }
}

fn rejection(status: u16) -> Rejection {
    let code = Status::new(status).expect("a status code");
    Rejection {
        status,
        fault: Fault::from_sip(code, code.reason()),
    }
}
