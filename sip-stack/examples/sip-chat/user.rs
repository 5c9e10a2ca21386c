//! The user: obeys what is typed, answers what comes, and shows both.

mod events;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use bytes::Bytes;
use stox_msrp::node::Node;
use stox_msrp::{MsrpUri, SessionConfig};
use stox_sip::{
    Invite, InviteId, LocalContact, Method, NameAddr, OutgoingRequest, RequestId, Sip, Uri,
};

use crate::chat::{Chat, ChatId, State};
use crate::media::{self, Peer};
use crate::options::sip_uri;
use crate::queue::{ChatInbox, Queue};
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
            fingerprint: None,
            options: stox_msrp::SessionOptions::default(),
        };
        let inbox = ChatInbox {
            chat: id,
            queue: self.queue.clone(),
        };
        let session = self.node.open(config, inbox);
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

/// Who a URI names, without how to get there.
fn address_of(uri: &Uri) -> Uri {
    match uri.host() {
        Some(host) => {
            Uri::new(uri.scheme().clone(), uri.user(), host.clone()).with_port(uri.port())
        }
        None => uri.clone(),
    }
}
