//! The user: obeys what is typed, answers what comes, and shows both.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use bytes::Bytes;
use stox_msrp::node::{Node, Session};
use stox_msrp::{Incoming, MsrpUri, SessionConfig, SessionEvent};
use stox_sip::{
    EndCause, Event, Invite, InviteId, LocalContact, Method, Name, NameAddr, OutgoingRequest,
    Reply, Request, RequestId, Response, ServerTransactionId, Sip, Status, Uri,
};

use crate::chat::{Chat, ChatId, State};
use crate::media::{self, Peer};
use crate::options::sip_uri;
use crate::queue::{ChatInbox, Happened, Queue};
use crate::screen;

pub const HELP: &str = "\
/chat URI           starts a chat, or goes back to the one there is
/message URI TEXT   sends one SIP MESSAGE
/bye                ends the current chat, once what was typed is delivered; again: at once
/quit               leaves the same way, as the end of the input does
/help               this text
anything else goes to the current chat: the one named last by /chat, or one that comes while there is none";

/// Chats at once; further invitations are answered 486.
const MAX_CHATS: usize = 100;
/// Typed lines that may wait in a chat before no more are read.
const MAX_WAITING: usize = 100;

/// Whether we want to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    Stay,
    LeaveWhenDelivered,
    LeaveNow,
}

pub struct User {
    me: Uri,
    sip: Sip,
    node: Node,
    queue: Queue,
    chats: BTreeMap<ChatId, Chat>,
    last_chat: u64,
    current: Option<ChatId>,
    /// SIP MESSAGEs without an answer yet: to whom.
    messages: HashMap<RequestId, Uri>,
    wish: Wish,
    undelivered: u64,
}

/// What is typed.
impl User {
    pub fn new(me: Uri, sip: Sip, node: Node, queue: Queue) -> User {
        User {
            me,
            sip,
            node,
            queue,
            chats: BTreeMap::new(),
            last_chat: 0,
            current: None,
            messages: HashMap::new(),
            wish: Wish::Stay,
            undelivered: 0,
        }
    }

    /// Whether the next line can be obeyed.
    pub fn wants_lines(&self) -> bool {
        self.wish == Wish::Stay && self.chats.values().all(|chat| chat.waiting() < MAX_WAITING)
    }

    pub fn is_done(&self) -> bool {
        self.wish != Wish::Stay && self.chats.is_empty() && self.messages.is_empty()
    }

    pub fn lost_anything(&self) -> bool {
        self.undelivered > 0
    }

    pub async fn obey(&mut self, line: &str) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match command {
            "/chat" => match sip_uri(rest) {
                Some(peer) => self.chat(peer).await,
                None => screen::trouble("expected a SIP address: /chat sip:juliet@example.com"),
            },
            "/message" => match rest
                .split_once(' ')
                .and_then(|(to, text)| Some((sip_uri(to)?, text)))
            {
                Some((to, text)) => self.message(to, text).await,
                None => screen::trouble(
                    "expected a SIP address and a text: /message sip:juliet@example.com Hello",
                ),
            },
            "/bye" => match self.current {
                Some(chat) => self.say_goodbye(chat).await,
                None => screen::trouble("there is no chat to leave"),
            },
            "/quit" => self.leave(Wish::LeaveWhenDelivered).await,
            "/help" => HELP.lines().for_each(screen::note),
            command if command.starts_with('/') => {
                screen::trouble(&format!("{command} is not a command; /help lists them"));
            }
            _ if line.trim().is_empty() => {}
            _ => self.say(line).await,
        }
    }

    /// Leaves every chat and then the program.
    pub async fn leave(&mut self, wish: Wish) {
        self.wish = self.wish.max(wish);
        let chats: Vec<ChatId> = self.chats.keys().copied().collect();
        for chat in chats {
            self.leave_chat(chat, wish).await;
        }
        if wish == Wish::LeaveNow {
            for (_, to) in std::mem::take(&mut self.messages) {
                self.not_delivered(&to, "not answered yet");
            }
        }
    }

    async fn chat(&mut self, target: Uri) {
        let peer = address_of(&target);
        let there = self
            .chats
            .iter()
            .find(|(_, chat)| chat.peer.equivalent(&peer) && chat.wish == Wish::Stay);
        if let Some((id, _)) = there {
            self.current = Some(*id);
            screen::note(&format!("chat with {peer}: current"));
            return;
        }
        let local = self.node.mint();
        let to = NameAddr::new(peer.clone());
        let mut invite = Invite::new(target, NameAddr::new(self.me.clone()), to, self.contact());
        invite.content_type = media::SDP.to_owned();
        invite.body = media::offer(&local);
        let id = self.sip.reserve_invite();
        self.current = Some(self.add(Chat::new(peer.clone(), id, State::Inviting { local })));
        screen::note(&format!("chat with {peer}: inviting"));
        self.sip.invite(id, invite).await;
    }

    async fn message(&mut self, target: Uri, text: &str) {
        let to = address_of(&target);
        let (from, recipient) = (NameAddr::new(self.me.clone()), NameAddr::new(to.clone()));
        let mut request = OutgoingRequest::new(Method::Message, target, from, recipient);
        request.content_type = format!("{}; charset=utf-8", media::PLAIN);
        request.body = Bytes::copy_from_slice(text.as_bytes());
        let id = self.sip.reserve_request();
        self.messages.insert(id, to);
        self.sip.request(id, request).await;
    }

    async fn say(&mut self, line: &str) {
        let Some(id) = self.current else {
            self.undelivered += 1;
            screen::trouble(&format!(
                "not delivered, there is no chat (/chat URI starts one): {line}"
            ));
            return;
        };
        if let Some(chat) = self.chats.get_mut(&id) {
            chat.type_line(line);
        }
        self.go_on(id).await;
    }

    async fn say_goodbye(&mut self, id: ChatId) {
        let wish = match self.chats.get(&id).map(|chat| chat.wish) {
            Some(Wish::Stay) | None => Wish::LeaveWhenDelivered,
            Some(Wish::LeaveWhenDelivered | Wish::LeaveNow) => Wish::LeaveNow,
        };
        self.leave_chat(id, wish).await;
    }

    async fn leave_chat(&mut self, id: ChatId, wish: Wish) {
        let Some(chat) = self.chats.get_mut(&id) else {
            return;
        };
        chat.wish = chat.wish.max(wish);
        self.go_on(id).await;
    }
}

/// What happens.
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
            Event::Answered { invite, response } => self.on_answered(invite, &response).await,
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

/// What both come to.
impl User {
    /// Sends what waits in a chat, and leaves it if that is wished and can be.
    async fn go_on(&mut self, id: ChatId) {
        let Some(chat) = self.chats.get_mut(&id) else {
            return;
        };
        let invite = chat.invite;
        if let Err(error) = chat.send_waiting(&self.me) {
            self.sip.bye(invite, Vec::new()).await;
            self.end(invite, Some(&error));
            return;
        }
        let leaves = match chat.wish {
            Wish::Stay => false,
            Wish::LeaveWhenDelivered => chat.is_all_delivered(),
            Wish::LeaveNow => true,
        };
        if leaves {
            match chat.state {
                State::Inviting { .. } => self.sip.cancel(invite).await,
                State::Connecting { .. } | State::Open { .. } => {
                    self.sip.bye(invite, Vec::new()).await
                }
            }
            self.end(invite, None::<&str>);
        }
    }

    /// A chat is over: as it should be, or because of a failure.
    fn end(&mut self, invite: InviteId, failure: Option<&(impl Display + ?Sized)>) {
        let Some(id) = self.find(invite) else { return };
        let Some(chat) = self.chats.remove(&id) else {
            return;
        };
        let peer = chat.peer.clone();
        match failure {
            Some(failure) => screen::trouble(&format!("chat with {peer}: {failure}")),
            None => screen::note(&format!("chat with {peer}: ended")),
        }
        for text in chat.into_undelivered() {
            self.not_delivered(&peer, text);
        }
        if self.current == Some(id) {
            // Not another chat: what is being typed is for this peer alone.
            self.current = None;
        }
    }

    /// Opens our end of an MSRP session both sides agreed on.
    fn connect(&self, id: ChatId, local: MsrpUri, peer: Peer) -> State {
        let config = SessionConfig {
            local,
            remote: peer.path,
            role: peer.role,
            max_size: media::MAX_SIZE,
        };
        let inbox = ChatInbox {
            chat: id,
            queue: self.queue.clone(),
        };
        let session: Session = self.node.open(config, inbox);
        State::Connecting {
            session,
            wrapping: peer.wrapping,
        }
    }

    fn add(&mut self, chat: Chat) -> ChatId {
        let id = self.next_chat();
        self.last_chat = id.0;
        self.chats.insert(id, chat);
        id
    }

    fn next_chat(&self) -> ChatId {
        ChatId(self.last_chat + 1)
    }

    fn find(&self, invite: InviteId) -> Option<ChatId> {
        self.chats
            .iter()
            .find(|(_, chat)| chat.invite == invite)
            .map(|(id, _)| *id)
    }

    fn not_taken(&mut self, id: ChatId, token: u64, why: impl Display) {
        let Some(chat) = self.chats.get_mut(&id) else {
            return;
        };
        let text = chat.answered(token).unwrap_or_default();
        let peer = chat.peer.clone();
        self.not_delivered(&peer, format_args!("{why}: {text}"));
    }

    fn not_delivered(&mut self, to: &Uri, what: impl Display) {
        self.undelivered += 1;
        screen::trouble(&format!("not delivered to {to}: {what}"));
    }

    /// Whether a request is for us: the user is ours, the host may be that of our own socket.
    fn is_me(&self, target: &Uri) -> bool {
        target.user_decoded() == self.me.user_decoded()
    }

    fn contact(&self) -> LocalContact {
        LocalContact {
            user: self.me.user().map(str::to_owned),
            ..LocalContact::default()
        }
    }
}

/// Who sent a request.
fn sender(request: &Request) -> Result<Uri, Status> {
    request
        .from()
        .map(|from| address_of(&from.uri))
        .map_err(|_| Status::BAD_REQUEST)
}

/// Who a URI names, without how to get there.
fn address_of(uri: &Uri) -> Uri {
    match uri.host() {
        Some(host) => {
            Uri::new(uri.scheme().clone(), uri.user(), host.clone()).with_port(uri.port())
        }
        None => uri.clone(),
    }
}

/// Status and reason as the peer gave them.
fn status_line(response: &Response) -> String {
    format!("{} {}", response.status.code(), response.reason)
}
