//! What the two people, and the SIP user's client, do.

use super::*;

impl World {
    pub(super) fn juliet_writes(&mut self, kind: Kind) -> Outcome {
        let number = self.fates.write(Sender::Juliet);
        let device = ["balcony", "orchard"][self.rng.random_range(0..2)];
        let mut body = format!("[{number}]");
        if self.one_in(20) {
            body.push_str(&"O Romeo ".repeat(self.rng.random_range(1..200)));
        }
        let thread = self.thread();
        self.feed(Event::Written(Written {
            origin: Arc::new(Origin {
                from: format!("juliet@example.com/{device}")
                    .parse()
                    .expect("a JID"),
                to: "romeo%example.net@sip.example.com".parse().expect("a JID"),
                id: Some(number.to_string()),
                thread,
                entry: None,
            }),
            kind,
            body,
            subject: None,
            lang: None,
            chat_state: None,
            wishes: Wishes::default(),
            sent: None,
        }))
    }

    pub(super) fn romeo_invites(&mut self) -> Outcome {
        let chat = self.core.next_chat();
        let offer = match self.rng.random_range(0..3) {
            0 => None,
            1 => Some(self.media(Role::Active)),
            _ => Some(self.media(Role::Passive)),
        };
        self.sides.insert(chat, Side::theirs(self.now));
        self.number += 1;
        let call_id = format!("call{}", self.number);
        let withdraws = self.temper.refuses > 0 && self.one_in(20);
        self.feed(Event::Invited(
            chat,
            Invitation {
                call_id,
                offer,
                from: "sip:romeo@example.net".parse().expect("a URI"),
                to: "juliet@example.com".parse().expect("a JID"),
            },
        ))?;
        if withdraws {
            self.soon(chat, Step::Withdraws);
        }
        Ok(())
    }

    pub(super) fn romeo_pages(&mut self) -> Outcome {
        let number = self.fates.write(Sender::Romeo);
        self.feed(Event::Paged(Paged {
            transaction: ServerTransactionId::from_number(number as u64),
            call_id: format!("page{number}"),
            content: Content::Text(Text {
                body: format!("[{number}]"),
                ..Text::default()
            }),
            from: "sip:romeo@example.net".parse().expect("a URI"),
            chat: None,
        }))
    }

    pub(super) fn romeo_restarts(&mut self) {
        let mut open: Vec<ChatId> = self
            .sides
            .iter()
            .filter(|(_, side)| !side.is_closed())
            .map(|(chat, _)| *chat)
            .collect();
        open.sort();
        for chat in open {
            self.soon(chat, Step::HangsUp);
            self.soon(chat, Step::WireBreaks);
            if let Some(side) = self.sides.get_mut(&chat) {
                side.is_forgotten = true;
            }
        }
    }

    pub(super) fn romeo_does(&mut self, chat: ChatId, step: Step) -> Outcome {
        let Some(side) = self.sides.get_mut(&chat).filter(|side| !side.is_closed()) else {
            return Ok(());
        };
        let event = match step {
            Step::Answers(reply) => {
                if side.dialog != Dialog::Ours {
                    return Ok(());
                }
                if side.cancelled && matches!(reply, Reply::Takes | Reply::TakesWithout(_)) {
                    // The endpoint has acknowledged and ended what crossed the CANCEL.
                    side.dialog = Dialog::Over;
                    return self.feed(Event::Chat(chat, ChatEvent::Ended));
                }
                side.dialog = if matches!(reply, Reply::Takes | Reply::TakesWithout(_)) {
                    Dialog::Answered
                } else {
                    Dialog::Over
                };
                match reply {
                    Reply::Takes => ChatEvent::Answered {
                        media: Ok(self.media(Role::Active)),
                        device: None,
                    },
                    Reply::TakesWithout(unusable) => ChatEvent::Answered {
                        media: Err(unusable),
                        device: None,
                    },
                    Reply::Refuses(status) => ChatEvent::Rejected(rejection(status)),
                    Reply::Fails(failure) => ChatEvent::Failed(failure),
                }
            }
            Step::Withdraws => {
                if side.dialog != Dialog::Theirs {
                    return Ok(());
                }
                side.dialog = Dialog::Over;
                ChatEvent::Cancelled
            }
            Step::Acknowledges(with_answer) => {
                if side.dialog == Dialog::Over {
                    return Ok(());
                }
                side.dialog = Dialog::Up;
                let answer = with_answer.then(|| Ok(self.media(Role::Passive)));
                ChatEvent::Acknowledged(answer)
            }
            Step::Connects => {
                if side.wire != Wire::Opening {
                    return Ok(());
                }
                side.wire = Wire::Up;
                for _ in 0..self.rng.random_range(0..6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Says);
                }
                if self.unlucky(self.temper.breaks) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    let step = [Step::WireBreaks, Step::RemovesStream][usize::from(self.one_in(4))]
                        .clone();
                    self.chat_in(wait, chat, step);
                }
                if self.one_in(3) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 20);
                    self.chat_in(wait, chat, Step::HangsUp);
                }
                if self.one_in(6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Moves);
                }
                if self.one_in(6) {
                    let wait = self.rng.random_range(0..self.temper.slowness * 10);
                    self.chat_in(wait, chat, Step::Turns(Listening::OnHold));
                    self.chat_in(wait * 2 + 1, chat, Step::Turns(Listening::Listens));
                }
                ChatEvent::Bound
            }
            Step::FailsToConnect => {
                if side.wire != Wire::Opening {
                    return Ok(());
                }
                side.wire = Wire::Down;
                ChatEvent::Disconnected(LostCause::Unreachable)
            }
            Step::Says => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                let number = self.fates.write(Sender::Romeo);
                self.fates.said_in(number, chat);
                ChatEvent::Received(incoming(number))
            }
            Step::Takes(token, message) => return self.romeo_takes(chat, token, message),
            Step::Accepts(token, message) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                self.fates.accepted(message);
                if self.unlucky(self.temper.bounces / 3) {
                    self.soon(chat, Step::Reports(token, message));
                }
                ChatEvent::Accepted(token)
            }
            Step::Refuses(token, status) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                ChatEvent::Refused(token, status)
            }
            Step::StaysSilent(token) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                ChatEvent::Unanswered(token)
            }
            Step::Reports(token, message) => {
                if side.wire != Wire::Up {
                    return Ok(());
                }
                self.fates.reported(message);
                ChatEvent::Reported(token, 413, ByteRange::WHOLE)
            }
            Step::WireBreaks => {
                if side.wire == Wire::Up {
                    side.wire = Wire::Down;
                    self.soon(chat, Step::WireIsMissed);
                }
                return Ok(());
            }
            Step::WireIsMissed => ChatEvent::Disconnected(LostCause::ConnectionEnded),
            Step::HangsUp => {
                if !matches!(side.dialog, Dialog::Up | Dialog::Answered) {
                    return Ok(());
                }
                side.dialog = Dialog::Over;
                side.is_forgotten = true;
                if side.wire == Wire::Up {
                    self.soon(chat, Step::WireBreaks);
                }
                ChatEvent::Ended
            }
            Step::RemovesStream => {
                if side.dialog != Dialog::Up {
                    return Ok(());
                }
                side.is_forgotten = true;
                ChatEvent::StreamRemoved
            }
            Step::Renews | Step::Moves => {
                if side.dialog != Dialog::Up {
                    return Ok(());
                }
                let role = [Role::Active, Role::Passive][usize::from(self.one_in(2))];
                let mut media = self.media(role);
                let number = self.rng.random::<u32>();
                let path = format!("msrp://romeo.example.net:7394/moved{number};tcp");
                media.path = vec![path.parse().expect("an MSRP URI")];
                match step {
                    Step::Renews => ChatEvent::Renewed(Ok(media)),
                    _ => ChatEvent::Changed(media),
                }
            }
            Step::RefusesToRenew => ChatEvent::NotRenewed,
            Step::Turns(listening) => {
                if side.dialog != Dialog::Up || side.wire != Wire::Up {
                    return Ok(());
                }
                let path = side.path.clone();
                let mut media = self.media(Role::Active);
                media.listening = listening;
                if let Some(path) = path {
                    media.path = path;
                }
                ChatEvent::Changed(media)
            }
        };
        self.feed(Event::Chat(chat, event))
    }

    /// A SEND has reached romeo's client.
    pub(super) fn romeo_takes(&mut self, chat: ChatId, token: Token, message: usize) -> Outcome {
        let Some(side) = self
            .sides
            .get_mut(&chat)
            .filter(|side| side.wire == Wire::Up)
        else {
            return Ok(());
        };
        if side.is_forgotten {
            self.soon(chat, Step::Refuses(token, 481));
            return Ok(());
        }
        if self.unlucky(self.temper.refuses) {
            self.passed_over.insert(message);
            if self.rng.random_bool(0.3) {
                // Whether it is read or not, nobody is told.
                if self.rng.random_bool(0.5) && !self.fates.is_read(message) {
                    self.fates.read(message)?;
                }
                self.chat_in(30_000, chat, Step::StaysSilent(token));
            } else {
                let status = [403, 413, 415, 481, 400, 408][self.rng.random_range(0..6)];
                // Who does not know the session knows it for no later message either.
                if status == 481 {
                    self.side(chat)?.is_forgotten = true;
                }
                self.soon(chat, Step::Refuses(token, status));
            }
            return Ok(());
        }
        // Sent again, under the id it had: his client knows it.
        if !self.fates.is_read(message) {
            // What he once passed over comes after what was written later.
            if !self.passed_over.contains(&message) {
                self.side(chat)?.read(message)?;
            }
            self.fates.read(message)?;
        }
        self.soon(chat, Step::Accepts(token, message));
        Ok(())
    }

    pub(super) fn page_answered(&mut self, message: usize, reply: PageReply) -> Outcome {
        self.page = None;
        let answer = match reply {
            PageReply::Takes => {
                self.fates.read(message)?;
                self.fates.accepted(message);
                Ok(())
            }
            PageReply::Refuses(status) => Err(PageFault::Rejected(rejection(status))),
            PageReply::Fails => {
                if self.rng.random_bool(0.5) {
                    self.fates.read(message)?;
                }
                Err(PageFault::Failed(Failure::Timeout))
            }
        };
        self.feed(Event::PageAnswered(answer))
    }
}
