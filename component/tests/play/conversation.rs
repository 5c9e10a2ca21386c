//! One conversation core, a juliet and a romeo that do what a transcript says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::script::{Line, Party};
use super::{Done, Play};
use bytes::Bytes;
use stox::body::{Content, Text};
use stox::fault::Fault;
use stox::translate::promise::{Origin, Outcome, Settlement, Ticket};
use stox::translate::{
    Action, ChatEvent, ChatId, Clock, Conversation, Event, Invitation, Kind, Listening, Mark,
    Media, PageFault, Paged, Parties, Rejection, Settings, Token, Wishes, Wrapping, Written,
};
use stox::xmpp::{ChatState, MessageType, Outgoing, Receipt};
use stox_msrp::is_composing::{self, IsComposing};
use stox_msrp::{ByteRange, FailureReport, Incoming, IncomingId, LostCause, MsrpUri, Role};
use stox_sip::{ServerTransactionId, Status};

const JULIET: &str = "juliet@example.com/balcony";
const ROMEO: &str = "romeo%example.net@sip.example.com";
const THREAD: &str = "e0ffe42b28561960c6b12b944a092794b9683a38";

pub struct Stage {
    core: Conversation,
    now: Instant,
    done: Done,
    /// Requests of stox that romeo has not answered, oldest first.
    to_answer: VecDeque<Pending>,
    /// Everything that happened, for a failure's message.
    seen: Vec<String>,
    chat: Option<ChatId>,
    /// Where romeo's end of the session is, and whether he takes messages.
    media: Media,
    /// The texts of SENDs that have no answer yet.
    sent: HashMap<Token, String>,
    sends: u64,
    /// The SEND of stox that asked for a report last, and the stanza that asked for a receipt last.
    to_report: Option<(ChatId, Token)>,
    to_receipt: Option<String>,
}

enum Pending {
    Invite(ChatId),
    Send(ChatId, Token),
    Message,
    Renewal(ChatId),
    Bye,
}

impl Play for Stage {
    fn step(&mut self, line: &Line) -> Result<(), String> {
        match (line.from, line.to) {
            (Some(Party::Juliet), _) => self.juliet(&line.what),
            (Some(Party::Romeo), _) => self.romeo(&line.what),
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
        let parties = Parties {
            juliet: "juliet@example.com".parse().expect("a JID"),
            juliet_uri: "sip:juliet@example.com".parse().expect("a URI"),
            romeo: ROMEO.parse().expect("a JID"),
            romeo_uri: "sip:romeo@example.net".parse().expect("a URI"),
        };
        let now = Instant::now();
        Stage {
            core: Conversation::new(
                parties,
                Settings::default(),
                1,
                Clock::new(now, SystemTime::UNIX_EPOCH),
            ),
            now,
            done: Done::default(),
            to_answer: VecDeque::new(),
            seen: Vec::new(),
            chat: None,
            media: media(Role::Active),
            sent: HashMap::new(),
            sends: 0,
            to_report: None,
            to_receipt: None,
        }
    }

    fn juliet(&mut self, what: &str) -> Result<(), String> {
        let event = match what.split_once(": ") {
            Some(("message", text)) => self.written(Kind::Chat, text),
            Some(("single", text)) => self.written(Kind::Single, text),
            Some(("message, receipt asked", text)) => match self.written(Kind::Chat, text) {
                Event::Written(written) => Event::Written(Written {
                    wishes: Wishes {
                        receipt: true,
                        display: false,
                    },
                    ..written
                }),
                other => other,
            },
            None if what == "received" => Event::Receipted {
                id: self.to_receipt.clone().ok_or("no receipt was asked for")?,
                mark: Mark::Received,
                sent: None,
            },
            _ => Event::Stated {
                thread: Some(THREAD.to_owned()),
                state: state_of(what).ok_or("juliet cannot do that")?,
            },
        };
        self.feed(event);
        Ok(())
    }

    fn written(&mut self, kind: Kind, text: &str) -> Event {
        self.sends += 1;
        Event::Written(Written {
            origin: Arc::new(Origin {
                from: JULIET.parse().expect("a JID"),
                to: ROMEO.parse().expect("a JID"),
                id: Some(format!("m{}", self.sends)),
                thread: Some(THREAD.to_owned()),
                entry: None,
            }),
            kind,
            body: text.to_owned(),
            subject: None,
            lang: None,
            chat_state: (kind == Kind::Chat).then_some(ChatState::Active),
            wishes: Wishes::default(),
            sent: None,
        })
    }

    fn romeo(&mut self, what: &str) -> Result<(), String> {
        let event = match (what.split_once(": "), what) {
            (Some(("SEND", text)), _) => {
                let chat = self.chat.ok_or("there is no session")?;
                self.sends += 1;
                Event::Chat(chat, ChatEvent::Received(incoming(self.sends, text)))
            }
            (Some(("SEND, report asked", text)), _) => {
                let chat = self.chat.ok_or("there is no session")?;
                self.sends += 1;
                let incoming = Incoming {
                    success_report: true,
                    ..incoming(self.sends, text)
                };
                Event::Chat(chat, ChatEvent::Received(incoming))
            }
            (None, "REPORT 200") => {
                let (chat, token) = self.to_report.ok_or("no report was asked for")?;
                let range = ByteRange::WHOLE;
                Event::Chat(chat, ChatEvent::Reported(token, 200, range))
            }
            (Some(("MESSAGE", text)), _) => {
                self.sends += 1;
                Event::Paged(Paged {
                    transaction: ServerTransactionId::from_number(self.sends),
                    call_id: "a84b4c76e66710".to_owned(),
                    content: Content::Text(Text {
                        body: text.to_owned(),
                        ..Text::default()
                    }),
                    from: "sip:romeo@example.net".parse().expect("a URI"),
                    chat: None,
                })
            }
            (None, "is composing" | "is idle") => {
                let chat = self.chat.ok_or("there is no session")?;
                self.sends += 1;
                let status = match what {
                    "is idle" => IsComposing::idle(),
                    _ => IsComposing::active(Duration::from_secs(60)),
                };
                let incoming = Incoming {
                    content_type: Some(is_composing::MEDIA_TYPE.to_owned()),
                    ..incoming(self.sends, &status.to_xml())
                };
                Event::Chat(chat, ChatEvent::Received(incoming))
            }
            (None, "INVITE, offers MSRP") => {
                let chat = self.core.next_chat();
                self.chat = Some(chat);
                Event::Invited(
                    chat,
                    Invitation {
                        call_id: "742507no".to_owned(),
                        offer: Some(media(Role::Passive)),
                        from: "sip:romeo@example.net".parse().expect("a URI"),
                        to: "juliet@example.com".parse().expect("a JID"),
                    },
                )
            }
            (None, "INVITE, no offer") => {
                let chat = self.core.next_chat();
                self.chat = Some(chat);
                Event::Invited(
                    chat,
                    Invitation {
                        call_id: "742507no".to_owned(),
                        offer: None,
                        from: "sip:romeo@example.net".parse().expect("a URI"),
                        to: "juliet@example.com".parse().expect("a JID"),
                    },
                )
            }
            (None, "ACK, answers MSRP") => Event::Chat(
                self.chat.ok_or("there is no session")?,
                ChatEvent::Acknowledged(Some(Ok(media(Role::Active)))),
            ),
            (None, "connection lost") => Event::Chat(
                self.chat.ok_or("there is no session")?,
                ChatEvent::Disconnected(LostCause::ConnectionEnded),
            ),
            (None, what) if let Some(change) = change_of(what) => {
                self.note(Party::Romeo, "200".to_owned());
                let chat = self.chat.ok_or("there is no session")?;
                Event::Chat(chat, self.changed(change)?)
            }
            (None, "ACK") => Event::Chat(
                self.chat.ok_or("there is no session")?,
                ChatEvent::Acknowledged(None),
            ),
            (None, "BYE") => {
                // The endpoint answers BYE by itself.
                self.note(Party::Romeo, "200".to_owned());
                Event::Chat(self.chat.ok_or("there is no session")?, ChatEvent::Ended)
            }
            (None, "CANCEL") => Event::Chat(
                self.chat.ok_or("there is no session")?,
                ChatEvent::Cancelled,
            ),
            (None, status) => {
                return self.answer(status.parse().map_err(|_| "romeo cannot do that")?);
            }
            _ => return Err("romeo cannot do that".to_owned()),
        };
        self.feed(event);
        Ok(())
    }

    /// A change of romeo's, which the shell has answered.
    fn changed(&mut self, change: &str) -> Result<ChatEvent, String> {
        match change {
            "unchanged" => {}
            "on hold" => self.media.listening = Listening::OnHold,
            "resumes" => self.media.listening = Listening::Listens,
            "moves" => self.media.path = elsewhere(),
            "without MSRP" => return Ok(ChatEvent::StreamRemoved),
            _ => return Err("no such change".to_owned()),
        }
        Ok(ChatEvent::Changed(self.media.clone()))
    }

    /// romeo answers the oldest request that waits for an answer.
    fn answer(&mut self, status: u16) -> Result<(), String> {
        if status < 200 {
            return Ok(());
        }
        let event = match self
            .to_answer
            .pop_front()
            .ok_or("nothing waits for an answer")?
        {
            Pending::Bye => return Ok(()),
            Pending::Invite(chat) if status < 300 => Event::Chat(
                chat,
                ChatEvent::Answered {
                    media: Ok(media(Role::Active)),
                    device: None,
                },
            ),
            Pending::Invite(chat) => {
                // The ACK of a refusal belongs to the transaction.
                self.note(Party::Romeo, "ACK".to_owned());
                Event::Chat(chat, ChatEvent::Rejected(rejection(status)))
            }
            Pending::Send(chat, token) if status < 300 => {
                Event::Chat(chat, ChatEvent::Accepted(token))
            }
            Pending::Send(chat, token) => Event::Chat(chat, ChatEvent::Refused(token, status)),
            Pending::Renewal(chat) if status < 300 => {
                self.media.path = elsewhere();
                Event::Chat(chat, ChatEvent::Renewed(Ok(self.media.clone())))
            }
            Pending::Renewal(chat) => Event::Chat(chat, ChatEvent::NotRenewed),
            Pending::Message if status < 300 => Event::PageAnswered(Ok(())),
            Pending::Message => Event::PageAnswered(Err(PageFault::Rejected(rejection(status)))),
        };
        self.feed(event);
        Ok(())
    }

    fn nothing_else(&mut self) -> Result<(), String> {
        self.done.is_all()?;
        if !self.core.is_quiet() {
            return Err("something is still under way".to_owned());
        }
        self.now = self.core.poll_timeout().unwrap_or(self.now) + Duration::from_secs(1);
        if self.core.is_over(self.now) {
            Ok(())
        } else {
            Err("the conversation does not end".to_owned())
        }
    }

    /// One event, and all that the world does by itself: connections are made, the XMPP server takes what it is sent.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.seen.push(format!("{event:?}"));
            let mut actions = Vec::new();
            self.core.handle(event, self.now, &mut actions);
            for action in actions {
                self.seen.push(format!("  {action:?}"));
                self.perform(action, &mut events);
            }
        }
        // Nobody else can do anything before these pass: the wait for a late error of the XMPP side.
        while let Some(due) = self
            .core
            .poll_timeout()
            .filter(|due| *due <= self.now + Duration::from_secs(1))
        {
            self.now = due;
            let mut actions = Vec::new();
            self.core.handle(Event::Elapsed, self.now, &mut actions);
            for action in actions {
                self.perform(action, &mut events);
            }
        }
    }

    fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) {
        let offer = "INVITE, offers MSRP".to_owned();
        match action {
            Action::Invite { chat, .. } => {
                self.chat = Some(chat);
                self.to_answer.push_back(Pending::Invite(chat));
                self.note(Party::Romeo, offer);
            }
            Action::Ack(_) => self.note(Party::Romeo, "ACK".to_owned()),
            Action::Cancel(_) | Action::Retract(_) => self.note(Party::Romeo, "CANCEL".to_owned()),
            Action::Bye(..) => {
                self.to_answer.push_back(Pending::Bye);
                self.note(Party::Romeo, "BYE".to_owned());
            }
            Action::Accept(_) => self.note(Party::Romeo, "200".to_owned()),
            Action::Decline(_, status) => self.note(Party::Romeo, status.to_string()),
            Action::OpenMsrp { chat, .. } => events.push_back(Event::Chat(chat, ChatEvent::Bound)),
            Action::Send {
                content_type: is_composing::MEDIA_TYPE,
                body,
                ..
            } => {
                let status = IsComposing::parse(&body).expect("an isComposing document");
                let what = status.shown_for().map_or("is idle", |_| "is composing");
                self.note(Party::Romeo, what.to_owned());
            }
            Action::Send {
                chat,
                token,
                body,
                success_report: true,
                failure_report: FailureReport::No,
                ..
            } => {
                self.to_report = Some((chat, token));
                let text = String::from_utf8_lossy(&body);
                self.note(Party::Romeo, format!("SEND, report asked: {text}"));
            }
            Action::Send {
                chat, token, body, ..
            } => {
                let text = String::from_utf8_lossy(&body).into_owned();
                self.sent.insert(token, text);
                self.send(chat, token);
            }
            Action::SendAgain { chat, token } => {
                self.to_answer
                    .retain(|pending| !matches!(pending, Pending::Send(_, of) if *of == token));
                self.send(chat, token);
            }
            Action::Renew(chat) => {
                self.to_answer.push_back(Pending::Renewal(chat));
                self.note(Party::Romeo, "re-INVITE, offers MSRP".to_owned());
            }
            // What is for the gateway alone is answered at once, and no line asks for that.
            Action::Respond { status, .. } => assert_eq!(status, 200),
            Action::RespondPage(_) => {}
            Action::Report { status, .. } => self.note(Party::Romeo, format!("REPORT {status}")),
            Action::Close(_) => {}
            Action::Page(page) => {
                self.to_answer.push_back(Pending::Message);
                self.note(Party::Romeo, format!("MESSAGE: {}", page.body));
            }
            Action::Stanza(stanza, token) => {
                if let Outgoing::Message(message) = &stanza
                    && message.wish() == Some(&Receipt::Requested)
                {
                    self.to_receipt = message.name().map(str::to_owned);
                }
                self.note(Party::Juliet, words_of(&stanza));
                events.extend(token.map(Event::Handed));
            }
            Action::Settle(Settlement {
                ticket: Ticket::Stanza(_),
                outcome: Outcome::Delivered,
            }) => {}
            Action::Settle(Settlement {
                ticket: Ticket::Stanza(_),
                outcome: Outcome::Refused(fault),
            }) => {
                self.note(Party::Juliet, format!("error: {}", fault.condition()));
            }
            Action::Settle(Settlement {
                outcome: Outcome::Delivered,
                ..
            }) => {
                self.note(Party::Romeo, "200".to_owned());
            }
            Action::Settle(Settlement {
                outcome: Outcome::Refused(fault),
                ..
            }) => {
                self.note(Party::Romeo, fault.to_msrp().to_string());
            }
        }
    }

    fn send(&mut self, chat: ChatId, token: Token) {
        self.to_answer.push_back(Pending::Send(chat, token));
        let text = self.sent.get(&token).cloned().unwrap_or_default();
        self.note(Party::Romeo, format!("SEND: {text}"));
    }

    fn note(&mut self, to: Party, what: String) {
        self.done.note(to, what);
    }
}

fn state_of(name: &str) -> Option<ChatState> {
    let all = [
        ChatState::Active,
        ChatState::Composing,
        ChatState::Paused,
        ChatState::Inactive,
        ChatState::Gone,
    ];
    all.into_iter().find(|state| state.name() == name)
}

/// A stanza in a transcript's words.
fn words_of(stanza: &Outgoing) -> String {
    let Outgoing::Message(message) = stanza else {
        return "another stanza".to_owned();
    };
    if let Some(Receipt::Received(_)) = message.wish() {
        return "received".to_owned();
    }
    match (message.kind(), message.text(), message.state()) {
        (MessageType::Chat, Some(body), _) if message.wish().is_some() => {
            format!("message, receipt asked: {body}")
        }
        (MessageType::Chat, Some(body), _) => format!("message: {body}"),
        (_, Some(body), _) => format!("single: {body}"),
        (_, None, Some(state)) => state.name().to_owned(),
        (_, None, None) => "an empty message".to_owned(),
    }
}

fn incoming(number: u64, text: &str) -> Incoming {
    Incoming {
        id: IncomingId::from_number(number),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some("text/plain".to_owned()),
        body: Bytes::copy_from_slice(text.as_bytes()),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

fn media(role: Role) -> Media {
    let path: MsrpUri = "msrp://romeo.example.net:7394/kjhd37s2s2;tcp"
        .parse()
        .expect("an MSRP URI");
    Media {
        path: vec![path],
        role,
        wrapping: Wrapping::Plain,
        max_size: None,
        takes_composing: true,
        takes_imdn: true,
        listening: Listening::Listens,
    }
}

/// What a re-INVITE or UPDATE of romeo's changes.
fn change_of(what: &str) -> Option<&str> {
    let change = what.strip_prefix("re-INVITE, ");
    change.or_else(|| what.strip_prefix("UPDATE, "))
}

fn elsewhere() -> Vec<MsrpUri> {
    let path = "msrp://romeo.example.net:7394/another;tcp".parse();
    vec![path.expect("an MSRP URI")]
}

fn rejection(status: u16) -> Rejection {
    let code = Status::new(status).expect("a status code");
    Rejection {
        status,
        fault: Fault::from_sip(code, code.reason()),
    }
}
