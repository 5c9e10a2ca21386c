//! The core of a MUC that SIP users take part in, a romeo who does so, and the MUC.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use stox::address::{AddressStyle, Addresses, Jid};
use stox::room::focus::{Action, Event, Invitation, Media, MemberEvent, Room, Settings};
use stox::room::{Leg, MemberId};
use stox::translate::Clock;
use stox::xmpp::{MessageType, Outgoing, PresenceType, Stanza};
use stox_msrp::cpim::{Address, Message};
use stox_msrp::{FailureReport, Incoming, IncomingId, MsrpUri, Nickname, NicknameRequest, Role};
use stox_sip::conference::{Applied, Conference, ConferenceInfo};
use stox_sip::{Occasion, SubscriptionId};

use super::script::{Line, Party};
use super::{Done, Play, stanza};

const ROOM: &str = "verona@rooms.example.com";
const URI: &str = "sip:verona@rooms.example.com";
const ROMEO: &str = "sip:romeo@example.net";

pub struct Stage {
    core: Room,
    now: Instant,
    done: Done,
    seen: Vec<String>,
    member: Option<MemberId>,
    /// Romeo as the MUC knows him, and the ids of what he asked it for last.
    jid: Option<Jid>,
    asked: Option<String>,
    wrote: VecDeque<String>,
    /// What romeo knows of the room by the documents that he got.
    known: Conference,
    /// Subscriptions that are to be told of a change when there is time.
    changed: BTreeSet<SubscriptionId>,
    number: u64,
}

impl Play for Stage {
    fn step(&mut self, line: &Line) -> Result<(), String> {
        match (line.from, line.to) {
            (Some(Party::Romeo), _) => self.romeo(&line.what),
            (Some(Party::Room), _) => self.room(&line.what),
            (Some(Party::Stox), Some(to)) => {
                if line.what.starts_with("NOTIFY: ") {
                    self.notify();
                }
                self.done.expect(to, &line.what)
            }
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
        let jid = ROOM.parse::<Jid>().expect("a JID").bare();
        let addresses = Addresses::new(stanza::DOMAIN, None, AddressStyle::Percent);
        let clock = Clock::new(now, SystemTime::UNIX_EPOCH);
        let (uri, settings) = (URI.parse().expect("a URI"), Settings::default());
        Stage {
            core: Room::new(jid, uri, Arc::new(addresses), settings, 1, clock),
            now,
            done: Done::default(),
            seen: Vec::new(),
            member: None,
            jid: None,
            asked: None,
            wrote: VecDeque::new(),
            known: Conference::new(URI),
            changed: BTreeSet::new(),
            number: 0,
        }
    }

    fn romeo(&mut self, what: &str) -> Result<(), String> {
        self.number += 1;
        let member = self.member;
        let inside = || member.ok_or("romeo is in no room");
        let subscription = SubscriptionId::new(self.number);
        let (verb, rest) = what.split_once(": ").unwrap_or((what, ""));
        let event = match verb {
            "INVITE, offers a chat room" => {
                let member = self.core.next_member();
                self.member = Some(member);
                Event::Invited(member, Box::new(invitation()))
            }
            "ACK" => {
                self.feed(Event::Member(inside()?, MemberEvent::Acknowledged(None)));
                Event::Member(inside()?, MemberEvent::Bound)
            }
            "NICKNAME" => {
                let request = NicknameRequest {
                    id: IncomingId::from_number(self.number),
                    nickname: Nickname::new(rest).map_err(|wrong| wrong.to_string())?,
                };
                Event::Member(inside()?, MemberEvent::Nickname(Box::new(request)))
            }
            "SUBSCRIBE" => Event::Subscribed {
                subscription,
                aor: ROMEO.parse().expect("a URI"),
                member: None,
            },
            "BYE" => {
                // The endpoint answers BYE by itself.
                self.done.note(Party::Romeo, "200");
                Event::Member(inside()?, MemberEvent::Ended(None))
            }
            // What is answered so is not followed here.
            "200" => return Ok(()),
            verb if let Some(to) = verb.strip_prefix("SEND to ") => {
                let message = incoming(self.number, to, rest);
                Event::Member(inside()?, MemberEvent::Received(Box::new(message)))
            }
            verb if let Some(target) = verb.strip_prefix("REFER to ") => Event::Referred {
                subscription,
                aor: ROMEO.parse().expect("a URI"),
                member,
                target: target.parse().map_err(|_| "no URI")?,
            },
            _ => return Err("romeo cannot do that".to_owned()),
        };
        self.feed(event);
        Ok(())
    }

    fn room(&mut self, what: &str) -> Result<(), String> {
        let romeo = self.jid.clone().ok_or("romeo has not asked to come in")?;
        let asked = self.asked.clone().unwrap_or_default();
        let presence = |nick: &str, kind: &str, inner: &str| {
            format!(
                "<presence from='{ROOM}/{nick}' to='{romeo}' id='{asked}'{kind}>\
                 <x xmlns='http://jabber.org/protocol/muc#user'>{inner}</x></presence>"
            )
        };
        let item = "<item affiliation='none' role='participant'/>";
        let himself = "<item affiliation='none' role='participant'/><status code='110'/>";
        let xml = match what.split_once(": ").ok_or("the MUC cannot do that")? {
            ("available", nick) => presence(nick, "", item),
            ("available, himself", nick) => presence(nick, "", himself),
            ("renamed, himself", nicks) => {
                let (old, new) = nicks.split_once(", ").ok_or("two nicknames")?;
                let gone = format!(
                    "<item affiliation='none' role='participant' nick='{new}'/>\
                     <status code='303'/><status code='110'/>"
                );
                let gone = presence(old, " type='unavailable'", &gone);
                self.feed(Event::Stanza(Box::new(stanza::sent(&gone))));
                presence(new, "", himself)
            }
            ("subject", subject) => format!(
                "<message from='{ROOM}' to='{romeo}' type='groupchat'><subject>{subject}</subject></message>"
            ),
            ("error", condition) => format!(
                "<presence from='{ROOM}/x' to='{romeo}' id='{asked}' type='error'>\
                 <x xmlns='http://jabber.org/protocol/muc'/><error type='cancel'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
            ),
            (who, text) => {
                let nick = who
                    .strip_suffix(" to all")
                    .ok_or("the MUC cannot do that")?;
                // What he wrote himself comes back under its id.
                let id = match nick {
                    "Romeo" => self.wrote.pop_front().ok_or("romeo has not written")?,
                    _ => format!("by-{nick}"),
                };
                format!(
                    "<message from='{ROOM}/{nick}' to='{romeo}' type='groupchat' id='{id}'>\
                     <body>{text}</body></message>"
                )
            }
        };
        self.feed(Event::Stanza(Box::new(stanza::sent(&xml))));
        Ok(())
    }

    /// There is time to tell of what has changed.
    fn notify(&mut self) {
        for subscription in std::mem::take(&mut self.changed) {
            self.feed(Event::StateAsked(subscription, Occasion::Changed));
        }
    }

    fn nothing_else(&mut self) -> Result<(), String> {
        self.done.is_all()?;
        // Who has left may still be told of by the MUC for a while.
        while let Some(due) = self.core.poll_timeout().filter(|_| !self.core.is_over()) {
            self.now = due;
            self.feed(Event::Elapsed);
        }
        self.done.is_all()?;
        match (self.core.is_over(), self.core.poll_timeout()) {
            (true, None) => Ok(()),
            (false, _) => Err("somebody is still in the room".to_owned()),
            (true, Some(_)) => Err("a timer is left".to_owned()),
        }
    }

    /// One event, and all that the world does by itself.
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
            Action::Accept(_) => "200, is focus".to_owned(),
            Action::Decline(_, status) => status.to_string(),
            Action::Bye(..) => "BYE".to_owned(),
            Action::Respond(_, Leg(_), _, status) => status.to_string(),
            Action::Send {
                member,
                token,
                body,
            } => {
                events.push_back(Event::Member(member, MemberEvent::Accepted(token)));
                heard(&body)
            }
            Action::Admit(_) => "200".to_owned(),
            Action::TurnAway(_, status) => status.to_string(),
            Action::Notify(_, Some(document)) => {
                let document = ConferenceInfo::parse(&document).expect("a conference document");
                let applied = self.known.apply(document);
                assert_eq!(applied, Applied::Updated, "RFC 4575 §4.6");
                let known = listed(&self.known);
                return self.done.note_again(Party::Romeo, "NOTIFY: ", known);
            }
            Action::Notify(_, None) => "NOTIFY, not yet".to_owned(),
            Action::ReportChange(subscription) => {
                self.changed.insert(subscription);
                return;
            }
            Action::EndSubscription(subscription) => {
                self.changed.remove(&subscription);
                events.push_back(Event::SubscriptionEnded(subscription));
                "NOTIFY, ends".to_owned()
            }
            Action::EndReferral(_) => "NOTIFY of the REFER: 100".to_owned(),
            Action::Stanza(outgoing, token) => {
                events.extend(token.map(Event::Handed));
                return self.asked(&outgoing);
            }
            Action::Open { .. } | Action::Close(_) => return,
            other => format!("{other:?}"),
        };
        self.done.note(Party::Romeo, what);
    }

    /// What romeo asks the MUC for.
    fn asked(&mut self, outgoing: &Outgoing) {
        let what = match stanza::received(outgoing, "rooms.example.com") {
            Stanza::Presence(presence) => {
                self.jid = Some(presence.from.clone());
                self.asked.clone_from(&presence.id);
                let nick = presence.to.resource().unwrap_or_default();
                match (presence.kind, &presence.join) {
                    (PresenceType::Unavailable, _) => "leave".to_owned(),
                    (_, Some(_)) => format!("join: {nick}"),
                    (_, None) => format!("nick: {nick}"),
                }
            }
            Stanza::Message(message) => {
                let text = message.body().map_or("", |body| body.text.as_str());
                let muc = message.muc.as_deref();
                let invited = muc.and_then(|muc| muc.invites.first()?.to.clone());
                match (message.kind, message.to.resource(), invited) {
                    (_, _, Some(invited)) => format!("invite: {invited}"),
                    (MessageType::Groupchat, _, _) => {
                        self.wrote.extend(message.id.clone());
                        format!("to all: {text}")
                    }
                    (_, Some(nick), _) => format!("to {nick}: {text}"),
                    other => format!("another message: {other:?}"),
                }
            }
            Stanza::Iq(iq) => format!("an iq: {:?}", iq.payload),
        };
        self.done.note(Party::Room, what);
    }
}

/// Who is there, and the subject.
fn listed(known: &Conference) -> String {
    let mut names: Vec<_> = known
        .users()
        .iter()
        .filter_map(|user| user.nickname.as_deref())
        .collect();
    names.sort_unstable();
    match known.subject() {
        Some(subject) if !subject.is_empty() => {
            format!("NOTIFY: {}; {subject}", names.join(", "))
        }
        _ => format!("NOTIFY: {}", names.join(", ")),
    }
}

/// A SEND of stox: from whom, to all or to him alone.
fn heard(body: &Bytes) -> String {
    let message = Message::parse(body).expect("CPIM");
    let text = String::from_utf8_lossy(&message.body);
    let from = message.from.and_then(|from| from.name);
    let from = from.as_deref().unwrap_or("the room");
    let to = message.to.first().map_or("", |to| to.uri.as_str());
    match to {
        URI => format!("SEND from {from} to all: {text}"),
        _ => format!("SEND from {from}: {text}"),
    }
}

fn incoming(number: u64, to: &str, text: &str) -> Incoming {
    let to = match to {
        "all" => URI.to_owned(),
        nick => format!("{URI};gr={nick}"),
    };
    let address = |uri: String| Address { name: None, uri };
    let message = Message {
        from: Some(address(ROMEO.to_owned())),
        to: vec![address(to)],
        content_type: Some("text/plain;charset=utf-8".to_owned()),
        body: Bytes::copy_from_slice(text.as_bytes()),
        ..Message::default()
    };
    Incoming {
        id: IncomingId::from_number(number),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some("message/cpim".to_owned()),
        body: message.wrap(),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

fn invitation() -> Invitation {
    let path: MsrpUri = "msrp://romeo.example.net:7394/kjhd37s2s2;tcp"
        .parse()
        .expect("an MSRP URI");
    Invitation {
        aor: ROMEO.parse().expect("a URI"),
        name: Some("Romeo".to_owned()),
        device: Some("orchard".to_owned()),
        identities: Vec::new(),
        media: Some(Media {
            path: vec![path],
            role: Role::Passive,
            takes_text: true,
            private_messages: true,
            max_size: None,
        }),
    }
}
