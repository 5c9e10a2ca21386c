//! What comes from the network, and what the user does about it.

use bytes::Bytes;
use stox_msrp::{Incoming, SessionEvent};
use stox_sip::{
    EndCause, Event, InviteId, Method, Name, Reply, Request, RequestId, Response,
    ServerTransactionId, Status, Uri,
};

use super::{MAX_CHATS, User, Wish, address_of};
use crate::chat::{Chat, ChatId, State};
use crate::media;
use crate::queue::Happened;
use crate::screen;

impl User {
    pub async fn on(&mut self, happened: Happened) {
        match happened {
            Happened::Sip(event) => self.on_sip(*event).await,
            Happened::Received(chat, message) => self.on_received(chat, &message),
            Happened::Completed(chat, event) => self.on_completed(chat, event).await,
        }
    }

    async fn on_sip(&mut self, event: Event) {
        match event {
            Event::Invited {
                invite, request, ..
            } => self.on_invited(invite, &request).await,
            Event::Answered {
                invite, response, ..
            } => self.on_answered(invite, &response).await,
            Event::Rejected { invite, response } => self.end(invite, Some(&status_line(&response))),
            Event::Failed { invite, cause } => self.end(invite, Some(&cause)),
            Event::Cancelled { invite } => self.end(invite, None::<&str>),
            Event::Ended { invite, cause } => match cause {
                EndCause::Bye(_) | EndCause::OurBye => self.end(invite, None::<&str>),
                EndCause::Unacknowledged => self.end(invite, Some("no ACK came")),
                EndCause::PeerGone => self.end(invite, Some("they are gone")),
                EndCause::CancelCrossed | _ => self.end(invite, None::<&str>),
            },
            Event::Reinvited {
                invite,
                transaction,
                request,
            } => self.on_reinvited(invite, transaction, &request).await,
            Event::Requested {
                transaction,
                request,
                ..
            } => self.on_requested(transaction, &request).await,
            Event::Responded { request, response } => self.on_responded(request, &response),
            Event::RequestFailed { request, cause } => {
                if let Some(to) = self.messages.remove(&request) {
                    self.not_delivered(&to, cause);
                }
            }
            Event::Progressed { .. } | Event::Acknowledged { .. } | _ => {}
        }
    }

    async fn on_invited(&mut self, invite: InviteId, request: &Request) {
        match self.accept(invite, request) {
            Ok(answer) => {
                let mut reply = Reply::new(Status::OK);
                reply.contact = Some(self.contact());
                reply.content_type = Some(media::SDP.to_owned());
                reply.body = answer;
                self.sip.answer(invite, reply).await;
            }
            Err(status) => {
                let mut reply = Reply::new(status);
                if status == Status::UNSUPPORTED_MEDIA_TYPE {
                    reply
                        .headers
                        .push((Name::Accept, format!("{}, {}", media::SDP, media::ACCEPTED)));
                }
                self.sip.answer(invite, reply).await;
            }
        }
    }

    /// Opens the session an INVITE offers. The answer to its SDP, or the status that refuses it.
    fn accept(&mut self, invite: InviteId, request: &Request) -> Result<Bytes, Status> {
        if !self.is_me(&request.uri) {
            return Err(Status::NOT_FOUND);
        }
        if self.chats.len() >= MAX_CHATS || self.wish != Wish::Stay {
            return Err(Status::BUSY_HERE);
        }
        let from = sender(request)?;
        let local = self.node.mint();
        let (answer, peer) = media::answer(&request.headers, &request.body, &local)?;
        screen::note(&format!("chat with {from}: they invite"));
        let state = self.connect(self.next_chat(), local, peer);
        let chat = self.add(Chat::new(from, invite, state));
        self.current.get_or_insert(chat);
        Ok(answer)
    }

    async fn on_answered(&mut self, invite: InviteId, response: &Response) {
        self.sip.ack(invite, None).await;
        let Some(id) = self.find(invite) else { return };
        let Some(chat) = self.chats.get_mut(&id) else {
            return;
        };
        let State::Inviting { local } = &chat.state else {
            return;
        };
        let local = local.clone();
        match media::answered(&response.body) {
            Some(peer) => {
                let state = self.connect(id, local, peer);
                if let Some(chat) = self.chats.get_mut(&id) {
                    chat.state = state;
                }
                self.go_on(id).await;
            }
            None => {
                self.sip.bye(invite, Vec::new()).await;
                self.end(invite, Some("they answered without an MSRP chat"));
            }
        }
    }

    /// Refreshes are confirmed; what would change is refused.
    async fn on_reinvited(
        &mut self,
        invite: InviteId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let session = self
            .find(invite)
            .and_then(|id| self.chats.get(&id))
            .and_then(Chat::session);
        let body = match session {
            Some(session) if request.body.is_empty() && request.method == Method::Invite => {
                Ok(media::offer(session.local()))
            }
            Some(_) if request.body.is_empty() => Ok(Bytes::new()),
            Some(session) => media::answer(&request.headers, &request.body, session.local())
                .map(|(answer, _)| answer),
            None => Err(Status::NOT_ACCEPTABLE_HERE),
        };
        let mut reply = Reply::new(body.as_ref().err().copied().unwrap_or(Status::OK));
        if let Ok(body) = body.as_ref()
            && !body.is_empty()
        {
            reply.content_type = Some(media::SDP.to_owned());
            reply.body = body.clone();
        }
        reply.contact = Some(self.contact());
        self.sip.respond(transaction, reply).await;
    }

    async fn on_requested(&mut self, transaction: ServerTransactionId, request: &Request) {
        let status = match &request.method {
            Method::Message if !self.is_me(&request.uri) => Status::NOT_FOUND,
            Method::Message => self.on_message(request),
            Method::Options => Status::OK,
            _ => Status::NOT_IMPLEMENTED,
        };
        let mut reply = Reply::new(status);
        if matches!(status, Status::UNSUPPORTED_MEDIA_TYPE) || request.method == Method::Options {
            reply
                .headers
                .push((Name::Accept, media::ACCEPTED.to_owned()));
        }
        self.sip.respond(transaction, reply).await;
    }

    fn on_message(&self, request: &Request) -> Status {
        let Ok(from) = sender(request) else {
            return Status::BAD_REQUEST;
        };
        match media::text(request.headers.first(&Name::ContentType), &request.body) {
            Some(text) => {
                screen::message(&from.to_string(), &text);
                Status::OK
            }
            None => Status::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    fn on_responded(&mut self, request: RequestId, response: &Response) {
        let Some(to) = self.messages.remove(&request) else {
            return;
        };
        if response.status.is_success() {
            screen::note(&format!("message to {to}: {}", status_line(response)));
        } else {
            self.not_delivered(&to, status_line(response));
        }
    }

    fn on_received(&mut self, id: ChatId, message: &Incoming) {
        let Some(chat) = self.chats.get(&id) else {
            return;
        };
        let Some(session) = chat.session() else {
            return;
        };
        match media::text(message.content_type.as_deref(), &message.body) {
            Some(text) => {
                screen::message(&chat.peer.to_string(), &text);
                session.respond(message.id, 200);
            }
            None => session.respond(message.id, 415),
        }
    }

    async fn on_completed(&mut self, id: ChatId, event: SessionEvent) {
        match event {
            SessionEvent::Bound => {
                let Some(chat) = self.chats.remove(&id) else {
                    return;
                };
                screen::note(&format!("chat with {}: open", chat.peer));
                self.chats.insert(id, chat.bound());
            }
            SessionEvent::Accepted { token } => {
                self.chats
                    .get_mut(&id)
                    .and_then(|chat| chat.answered(token));
            }
            SessionEvent::Refused { token, status } => {
                self.not_taken(id, token, format_args!("MSRP status {status}"))
            }
            SessionEvent::Unanswered { token } => self.not_taken(id, token, "no answer"),
            SessionEvent::Reported { status: 200, .. } => {}
            SessionEvent::Reported { token, status, .. } => {
                self.not_taken(id, token, format_args!("MSRP report {status}"));
            }
            SessionEvent::Lost { cause } => {
                let Some(invite) = self.chats.get(&id).map(|chat| chat.invite) else {
                    return;
                };
                self.sip.bye(invite, Vec::new()).await;
                self.end(invite, Some(&cause));
            }
        }
        self.go_on(id).await;
    }
}

/// Who sent a request.
fn sender(request: &Request) -> Result<Uri, Status> {
    request
        .from()
        .map(|from| address_of(&from.uri))
        .map_err(|_| Status::BAD_REQUEST)
}

/// Status and reason as the peer gave them.
fn status_line(response: &Response) -> String {
    format!("{} {}", response.status.code(), response.reason)
}
