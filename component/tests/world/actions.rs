//! What the world does with what the core asks for.

use super::*;

impl World {
    pub(super) fn perform(&mut self, action: Action) -> Outcome<Option<Event>> {
        match action {
            Action::Invite { chat, .. } => {
                self.sides.insert(chat, Side::ours(self.now));
                let reply = match self.rng.random_range(0..100) {
                    roll if roll >= self.temper.refuses => Some(Reply::Takes),
                    roll if roll % 8 == 0 => None,
                    roll if roll % 8 == 1 => Some(Reply::TakesWithout(Unusable::NoMsrp)),
                    roll if roll % 8 == 2 => Some(Reply::Fails(Failure::Timeout)),
                    _ => Some(Reply::Refuses(
                        [486, 404, 480, 488, 415, 603, 408, 500, 503][self.rng.random_range(0..9)],
                    )),
                };
                if let Some(reply) = reply {
                    self.soon(chat, Step::Answers(reply));
                }
            }
            Action::Ack(chat) => {
                let side = self.side(chat)?;
                if side.dialog == Dialog::Answered {
                    side.dialog = Dialog::Up;
                } else if side.dialog != Dialog::Over {
                    return Err(format!("ACK without an answer in {chat:?}"));
                }
            }
            Action::Cancel(chat) => {
                let crosses = self.rng.random_bool(0.5);
                let side = self.side(chat)?;
                side.cancelled = true;
                if !crosses {
                    self.soon(chat, Step::Answers(Reply::Refuses(487)));
                }
            }
            Action::Retract(chat) => {
                if !self.rng.random_bool(0.5) {
                    self.soon(chat, Step::Answers(Reply::Refuses(487)));
                }
            }
            Action::Bye(chat, _) => {
                let side = self.side(chat)?;
                if side.dialog == Dialog::Ours {
                    return Err(format!("BYE before an answer in {chat:?}"));
                }
                side.dialog = Dialog::Over;
                if self.side(chat)?.wire == Wire::Up && self.rng.random_bool(0.5) {
                    self.soon(chat, Step::WireBreaks);
                }
            }
            Action::Accept(chat) => {
                let with_answer = !self.side(chat)?.has_offered();
                self.soon(chat, Step::Acknowledges(with_answer));
                let side = self.side(chat)?;
                side.dialog = Dialog::Up;
            }
            Action::Decline(chat, _) => self.side(chat)?.dialog = Dialog::Over,
            Action::Renew(chat) => {
                let side = self.side(chat)?;
                let knows_it = side.dialog == Dialog::Up && !side.is_forgotten;
                let renews = knows_it && self.rng.random_bool(0.7);
                self.soon(
                    chat,
                    if renews {
                        Step::Renews
                    } else {
                        Step::RefusesToRenew
                    },
                );
            }
            Action::SendAgain { chat, token } => {
                let message = self.sent.get(&token).copied();
                let message = message.ok_or("a SEND again of what was never sent")?;
                return self.deliver(chat, token, message);
            }
            Action::OpenMsrp { chat, path, .. } => {
                self.forget_connection(chat);
                let side = self.side(chat)?;
                side.wire = Wire::Opening;
                side.path = Some(path);
                let fails = self.unlucky(self.temper.breaks);
                if !(fails && self.one_in(4)) {
                    self.soon(
                        chat,
                        if fails {
                            Step::FailsToConnect
                        } else {
                            Step::Connects
                        },
                    );
                }
            }
            Action::Send {
                chat, token, body, ..
            } => return self.send(chat, token, &body),
            Action::Report { chat, .. } | Action::Respond { chat, .. } => {
                self.side(chat)?;
            }
            Action::RespondPage(_) => {}
            Action::Close(chat) => self.side(chat)?.close()?,
            Action::Page(page) => {
                if let Some(under_way) = self.page {
                    return Err(format!(
                        "a MESSAGE while [{under_way}] waits for its answer"
                    ));
                }
                let message = number_in(&page.body)?;
                self.fates.sent_in_order(message)?;
                self.page = Some(message);
                let reply = match self.rng.random_range(0..100) {
                    roll if roll >= self.temper.refuses => PageReply::Takes,
                    roll if roll % 3 == 0 => PageReply::Fails,
                    _ => PageReply::Refuses([480, 404, 415, 486, 500][self.rng.random_range(0..5)]),
                };
                let wait = self.rng.random_range(0..=self.temper.slowness);
                self.plan_in(wait, Happening::PageAnswered(message, reply));
                if page.precedent == Precedent::Possible && self.rng.random_bool(0.2) {
                    let instead = format!("{}-", page.call_id);
                    let call_id = page.call_id;
                    return Ok(Some(Event::CallIdTaken { call_id, instead }));
                }
            }
            Action::Stanza(stanza, token) => self.write(&stanza, token)?,
            Action::Settle(Settlement { ticket, outcome }) => {
                let message = match ticket {
                    Ticket::Stanza(origin) => number_of(origin.id.as_deref().unwrap_or_default())?,
                    Ticket::Send { incoming, .. } => number_of_incoming(incoming)?,
                    Ticket::Page { transaction, .. } => number_of_transaction(transaction)?,
                };
                self.fates.settle(message, &outcome)?;
            }
        }
        Ok(None)
    }

    pub(super) fn send(
        &mut self,
        chat: ChatId,
        token: Token,
        body: &Bytes,
    ) -> Outcome<Option<Event>> {
        let message = number_in(&String::from_utf8_lossy(body))?;
        self.sent.insert(token, message);
        self.deliver(chat, token, message)
    }

    /// What was under way by the connection before comes no more.
    pub(super) fn forget_connection(&mut self, chat: ChatId) {
        self.agenda.retain(|_, happening| {
            let Happening::Chat(of, step) = happening else {
                return true;
            };
            let is_carried = matches!(
                step,
                Step::Connects
                    | Step::FailsToConnect
                    | Step::Says
                    | Step::Takes(..)
                    | Step::Accepts(..)
                    | Step::Refuses(..)
                    | Step::StaysSilent(_)
                    | Step::Reports(..)
                    | Step::WireBreaks
                    | Step::WireIsMissed
            );
            *of != chat || !is_carried
        });
    }

    pub(super) fn deliver(
        &mut self,
        chat: ChatId,
        token: Token,
        message: usize,
    ) -> Outcome<Option<Event>> {
        let congested = self.temper.breaks > 0 && self.one_in(200);
        let wait = self.rng.random_range(0..=self.temper.slowness);
        let soonest = self.now + Duration::from_millis(wait);
        let side = self.side(chat)?;
        if side.wire == Wire::None || side.wire == Wire::Opening {
            return Err(format!(
                "SEND of [{message}] before there is a connection in {chat:?}"
            ));
        }
        if congested {
            return Ok(Some(Event::Chat(chat, ChatEvent::Congested(token))));
        }
        side.reaches = side.reaches.max(soonest);
        let at = side.reaches;
        self.plan_at(at, Happening::Chat(chat, Step::Takes(token, message)));
        Ok(None)
    }

    pub(super) fn write(&mut self, stanza: &Outgoing, token: Option<Token>) -> Outcome {
        let Outgoing::Message(message) = stanza else {
            return Err(format!("a stanza that is no message: {stanza:?}"));
        };
        let number = message.text().map(number_in).transpose()?;
        if let Some(number) = number {
            self.fates.written(number)?;
            if token.is_none() {
                return Err(format!("nobody is told whether [{number}] is taken"));
            }
        }
        let Some(token) = token else { return Ok(()) };
        let id = message.stanza_id().unwrap_or_default().to_owned();
        let wait = self.rng.random_range(0..=self.temper.slowness);
        self.server_reaches = self
            .server_reaches
            .max(self.now + Duration::from_millis(wait));
        let at = self.server_reaches;
        self.under_way.insert(
            token.0,
            Under {
                token,
                message: number,
            },
        );
        if self.unlucky(self.temper.breaks / 2) {
            self.plan_at(at, Happening::ServerLoses(token));
        } else {
            self.plan_at(at, Happening::ServerTakes(token));
            if let Some(number) = number
                && self.unlucky(self.temper.bounces)
            {
                let after = self.rng.random_range(0..=self.temper.slowness);
                self.plan_at(
                    at + Duration::from_millis(after),
                    Happening::Bounces(id, number),
                );
            }
        }
        Ok(())
    }
}
