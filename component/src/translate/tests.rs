//! What transcripts cannot say: threads, bounds, time, and messages that come back.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stox_msrp::{FailureReport, Incoming, IncomingId, LostCause, Role};

use super::*;
use crate::body::Text;
use crate::translate::promise::{Origin, Outcome, Settlement};
use crate::xmpp::Outgoing;

mod changes;
mod endings;
mod fates;
mod pages;
mod receipts;
mod threads;
mod typing;

const THREAD: &str = "e0ffe42b28561960c6b12b944a092794b9683a38";

struct Stage {
    core: Conversation,
    now: Instant,
    max_size: Option<u64>,
    wrapping: Wrapping,
    takes_composing: bool,
    takes_imdn: bool,
}

impl Stage {
    fn new() -> Stage {
        let parties = Parties {
            juliet: "juliet@example.com".parse().unwrap(),
            juliet_uri: "sip:juliet@example.com".parse().unwrap(),
            romeo: "romeo%example.net@sip.example.com".parse().unwrap(),
            romeo_uri: "sip:romeo@example.net".parse().unwrap(),
        };
        Stage {
            core: Conversation::new(
                parties,
                Settings::default(),
                1,
                Clock::new(Instant::now(), SystemTime::UNIX_EPOCH),
            ),
            now: Instant::now(),
            max_size: None,
            wrapping: Wrapping::Plain,
            takes_composing: true,
            takes_imdn: true,
        }
    }

    fn settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.core.settings);
    }

    fn feed(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.core.handle(event, self.now, &mut actions);
        actions
    }

    /// Lets the time of the next deadline come.
    fn elapse(&mut self) -> Vec<Action> {
        self.now = self.core.poll_timeout().expect("something waits");
        self.feed(Event::Elapsed)
    }

    /// A session that juliet opened and romeo took, its first message answered.
    fn open(&mut self, thread: &str) -> ChatId {
        assert_eq!(thread, THREAD);
        self.open_with("Art thou not Romeo?")
    }

    fn open_with(&mut self, text: &str) -> ChatId {
        let actions = self.feed(message("m1", Some(THREAD), text));
        let [Action::Invite { chat, .. }] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        let chat = *chat;
        let media = Ok(self.media(Role::Active));
        self.feed(Event::Chat(
            chat,
            ChatEvent::Answered {
                media,
                device: None,
            },
        ));
        let sent = self.feed(Event::Chat(chat, ChatEvent::Bound));
        self.accept(chat, &sent);
        chat
    }

    /// The XMPP server takes the one stanza that this makes.
    fn hand_over(&mut self, event: Event) -> Vec<Action> {
        let actions = self.feed(event);
        let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        self.feed(Event::Handed(*token))
    }

    /// A session that romeo opened.
    fn invited(&mut self) -> ChatId {
        let chat = self.core.next_chat();
        let invitation = self.invitation();
        self.feed(Event::Invited(chat, invitation));
        self.feed(Event::Chat(chat, ChatEvent::Bound));
        chat
    }

    fn invitation(&self) -> Invitation {
        Invitation {
            call_id: "742507no".to_owned(),
            offer: Some(self.media(Role::Passive)),
            from: "sip:romeo@example.net".parse().unwrap(),
            to: "juliet@example.com".parse().unwrap(),
        }
    }

    /// romeo answers 200 to the one SEND among these.
    fn accept(&mut self, chat: ChatId, sent: &[Action]) -> Vec<Action> {
        let [Action::Send { token, .. }] = sent else {
            panic!("{sent:?}");
        };
        self.feed(Event::Chat(chat, ChatEvent::Accepted(*token)))
    }

    fn media(&self, role: Role) -> Media {
        Media {
            path: vec![
                "msrp://romeo.example.net:7394/kjhd37s2s2;tcp"
                    .parse()
                    .unwrap(),
            ],
            role,
            wrapping: self.wrapping,
            max_size: self.max_size,
            takes_composing: self.takes_composing,
            takes_imdn: self.takes_imdn,
            listening: Listening::Listens,
        }
    }
}

fn message(id: &str, thread: Option<&str>, body: &str) -> Event {
    Event::Written(Written {
        origin: Arc::new(Origin {
            from: "juliet@example.com/balcony".parse().unwrap(),
            to: "romeo%example.net@sip.example.com".parse().unwrap(),
            id: Some(id.to_owned()),
            thread: thread.map(str::to_owned),
            entry: None,
        }),
        kind: Kind::Chat,
        body: body.to_owned(),
        subject: None,
        lang: None,
        chat_state: None,
        wishes: Wishes::default(),
        sent: None,
    })
}

fn received(chat: ChatId, number: u64, content_type: &str, body: &str) -> Event {
    let incoming = Incoming {
        id: IncomingId::from_number(number),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some(content_type.to_owned()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        success_report: false,
        failure_report: FailureReport::Yes,
    };
    Event::Chat(chat, ChatEvent::Received(incoming))
}

/// The ids of juliet's messages that come back, and why.
fn refusals(actions: &[Action]) -> Vec<(&str, Condition)> {
    let refusal = |action| match action {
        &Action::Settle(Settlement {
            ticket: Ticket::Stanza(ref origin),
            outcome: Outcome::Refused(ref fault),
        }) => Some((origin.id.as_deref().unwrap_or_default(), fault.condition())),
        _ => None,
    };
    actions.iter().filter_map(refusal).collect()
}

fn bounce(id: &str, condition: Condition) -> Event {
    Event::Bounced {
        id: id.to_owned(),
        fault: Fault::new(condition),
    }
}

fn token_of(sent: &[Action]) -> Token {
    match sent {
        [Action::Send { token, .. }] => *token,
        other => panic!("{other:?}"),
    }
}

/// The statuses that romeo's MSRP messages are answered with.
fn settled_with(actions: &[Action]) -> Vec<u16> {
    let status = |action: &Action| match action {
        Action::Settle(Settlement {
            ticket: Ticket::Send { .. },
            outcome,
        }) => Some(match outcome {
            Outcome::Delivered => 200,
            Outcome::Refused(fault) => fault.to_msrp(),
        }),
        _ => None,
    };
    actions.iter().filter_map(status).collect()
}
