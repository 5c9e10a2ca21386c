//! The task of one conversation (shell): reads its mailbox, runs its core, does what the core asks for. Decides nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stox_msrp::node::{Inbox, Node, Session};
use stox_msrp::sdp::SessionDescription;
use stox_msrp::{Incoming, LostCause, MsrpUri, SendError, SessionConfig, SessionEvent};
use stox_sip::{
    InviteId, LocalContact, Method, NameAddr, Reply, Request, ServerTransactionId, Sip, Status,
};
use tracing::{Instrument, info, info_span};

use crate::address::{self, Jid};
use crate::metrics;
use crate::promise::{Outcome, Settlement, Ticket};
use crate::registry::{Door, Key, Mailbox, Registry, door};
use crate::sip;
use crate::translate::{
    Action, ChatEvent, ChatId, Clock, Conversation, Event, Page, PageFault, Parties, Settings,
    Token,
};
use crate::xmpp::{Confirmation, Link, Outgoing};

/// Inputs handled before their actions are carried out, so that a burst costs one round.
const ROUND: usize = 64;

/// What arrives in a conversation's mailbox.
#[derive(Debug)]
pub enum Input {
    /// From the XMPP side, translated by the router already.
    Xmpp(Box<Event>),
    /// An INVITE of the SIP user's for that address of the XMPP user's.
    Invited(Box<(InviteId, Request, Jid)>),
    /// A MESSAGE of the SIP user's for that address of the XMPP user's.
    Paged(Box<(ServerTransactionId, Request, Jid)>),
    /// What became of an INVITE, a dialog or a request.
    Sip(Box<stox_sip::Event>),
    /// A message of the SIP user's by MSRP.
    Msrp(ChatId, Box<Incoming>),
    /// What became of an MSRP session or of a message sent by it.
    MsrpOutcome(ChatId, SessionEvent),
    /// The XMPP server has taken the stanza.
    Handed(Token),
    /// The stanza cannot be known to have reached the XMPP server.
    Lost(Token),
    /// The gateway says goodbye.
    ShutDown,
}

/// What all conversations share.
pub struct Ports {
    /// The way to the XMPP server.
    pub xmpp: Link<Receipt>,
    /// The way to SIP peers.
    pub sip: Sip,
    /// The way to MSRP peers.
    pub msrp: Node,
    /// Where doors are found.
    pub registry: Arc<Registry>,
    /// What the configuration says of chats.
    pub settings: Settings,
    /// The largest MSRP message taken, in bytes.
    pub max_size: u64,
}

/// Starts the task of a conversation in which nothing was said yet.
pub fn begin(ports: Arc<Ports>, key: Key, parties: Parties) -> Door {
    let (door, mailbox) = door();
    let span = info_span!("conversation", xmpp = %parties.juliet, sip = %parties.romeo_uri);
    let core = Conversation::new(
        parties,
        ports.settings.clone(),
        rand::random(),
        Clock::new(Instant::now(), SystemTime::now()),
    );
    let task = Task {
        ports,
        key,
        core,
        door: door.clone(),
        wires: Wires::default(),
    };
    tokio::spawn(task.run(mailbox).instrument(span));
    door
}

struct Task {
    ports: Arc<Ports>,
    key: Key,
    core: Conversation,
    door: Door,
    wires: Wires,
}

/// Which dialog and which MSRP session belong to which chat.
#[derive(Default)]
struct Wires {
    by_chat: HashMap<ChatId, Wire>,
    chat_by_invite: HashMap<InviteId, ChatId>,
}

struct Wire {
    invite: InviteId,
    local: MsrpUri,
    peer: Vec<MsrpUri>,
    /// The peer's offer, as long as it waits for our answer.
    offer: Option<(SessionDescription, usize)>,
    session: Option<Session>,
}

impl Task {
    async fn run(mut self, mut mailbox: Mailbox) {
        let mut actions = Vec::new();
        loop {
            let due = self.core.poll_timeout();
            let first = tokio::select! {
                input = mailbox.recv() => input,
                () = until(due) => None,
            };
            match first {
                Some(input) => {
                    self.take(input, &mut actions).await;
                    for _ in 1..ROUND {
                        match mailbox.try_recv() {
                            Some(input) => self.take(input, &mut actions).await,
                            None => break,
                        }
                    }
                }
                None => self
                    .core
                    .handle(Event::Elapsed, Instant::now(), &mut actions),
            }
            self.perform_all(&mut actions).await;
            if self.core.is_over(Instant::now()) && self.ports.registry.retire(&self.key) {
                break;
            }
        }
    }

    /// Tells the core what came, in its own terms.
    async fn take(&mut self, input: Input, actions: &mut Vec<Action>) {
        let event = match input {
            Input::Xmpp(event) => Some(*event),
            Input::Invited(invited) => {
                let (invite, request, to) = *invited;
                self.invited(invite, &request, to).await
            }
            Input::Paged(paged) => {
                let (transaction, request, to) = *paged;
                self.paged(transaction, &request, to).await
            }
            Input::Sip(event) => self.sip_event(*event).await,
            Input::Msrp(chat, incoming) => Some(Event::Chat(chat, ChatEvent::Received(*incoming))),
            Input::MsrpOutcome(chat, event) => Some(Event::Chat(chat, sip::of_session(event))),
            Input::Handed(token) => Some(Event::Handed(token)),
            Input::Lost(token) => Some(Event::Lost(token)),
            Input::ShutDown => Some(Event::ShutDown),
        };
        if let Some(event) = event {
            self.core.handle(event, Instant::now(), actions);
        }
    }

    /// Carries out what the core asks for, and what follows from that.
    async fn perform_all(&mut self, actions: &mut Vec<Action>) {
        while !actions.is_empty() {
            for action in std::mem::take(actions) {
                if let Some(event) = self.perform(action).await {
                    self.core.handle(event, Instant::now(), actions);
                }
            }
        }
    }
}

/// SIP events in the core's terms.
impl Task {
    async fn sip_event(&mut self, event: stox_sip::Event) -> Option<Event> {
        use stox_sip::Event as Sip;
        match event {
            Sip::Answered { invite, response } => self.of_chat(invite, sip::answered(&response)),
            Sip::Rejected { invite, response } => {
                self.of_chat(invite, ChatEvent::Rejected(sip::rejection(&response)))
            }
            Sip::Failed { invite, cause } => self.of_chat(invite, ChatEvent::Failed(cause)),
            Sip::Cancelled { invite } => self.of_chat(invite, ChatEvent::Cancelled),
            Sip::Acknowledged { invite, request } => {
                self.of_chat(invite, sip::acknowledged(&request))
            }
            Sip::Ended { invite, .. } => self.of_chat(invite, ChatEvent::Ended),
            Sip::Reinvited {
                invite,
                transaction,
                request,
            } => {
                let reply = self.reinvited(invite, &request);
                self.ports.sip.respond(transaction, reply).await;
                None
            }
            Sip::Responded { response, .. } if response.status.is_success() => {
                Some(Event::PageAnswered(Ok(())))
            }
            Sip::Responded { response, .. } => Some(Event::PageAnswered(Err(PageFault::Rejected(
                sip::rejection(&response),
            )))),
            Sip::RequestFailed { cause, .. } => {
                Some(Event::PageAnswered(Err(PageFault::Failed(cause))))
            }
            // Ringing changes nothing: messages wait all the same.
            _ => None,
        }
    }

    fn of_chat(&self, invite: InviteId, event: ChatEvent) -> Option<Event> {
        let chat = self.wires.chat_by_invite.get(&invite)?;
        Some(Event::Chat(*chat, event))
    }

    /// An INVITE whose offer cannot become a chat is refused here; any other becomes one.
    async fn invited(&mut self, invite: InviteId, request: &Request, to: Jid) -> Option<Event> {
        match sip::invitation(request, to) {
            Ok((invitation, offer)) => {
                let chat = self.core.next_chat();
                info!(
                    call_id = invitation.call_id,
                    "the SIP user opens a chat session"
                );
                self.ports.registry.claim_call_id(&invitation.call_id);
                self.ports.registry.expect_invite(invite, self.door.clone());
                let local = self.ports.msrp.mint();
                self.wires.add(
                    chat,
                    Wire {
                        invite,
                        local,
                        peer: Vec::new(),
                        offer,
                        session: None,
                    },
                );
                Some(Event::Invited(chat, invitation))
            }
            Err(reply) => {
                info!(
                    status = reply.status.code(),
                    "an INVITE is refused: it offers no chat"
                );
                self.ports.sip.answer(invite, *reply).await;
                None
            }
        }
    }

    async fn paged(
        &mut self,
        transaction: ServerTransactionId,
        request: &Request,
        to: Jid,
    ) -> Option<Event> {
        match sip::page(transaction, request, to) {
            Ok(paged) => Some(Event::Paged(paged)),
            Err(reply) => {
                info!(
                    status = reply.status.code(),
                    "a MESSAGE is refused: it cannot be read as text"
                );
                self.ports.sip.respond(transaction, *reply).await;
                None
            }
        }
    }

    /// A re-INVITE that changes nothing is answered with what stands; anything else is refused (CHAT-31).
    fn reinvited(&self, invite: InviteId, request: &Request) -> Reply {
        let chat = self.wires.chat_by_invite.get(&invite);
        match chat.and_then(|chat| self.wires.by_chat.get(chat)) {
            Some(wire) => sip::refresh(request, &wire.local, &wire.peer, self.ports.max_size),
            None => Reply::new(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        }
    }
}

/// Actions of the core.
impl Task {
    /// Does one thing. What comes of it at once is returned.
    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Invite {
                chat,
                call_id,
                thread,
                subject,
                resource,
                device,
            } => {
                self.invite(chat, call_id, &thread, subject, resource, device)
                    .await;
            }
            Action::Ack(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports.sip.ack(invite, None).await;
            }
            Action::Cancel(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports.sip.cancel(invite).await;
            }
            Action::Bye(chat, reason) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                info!(?reason, "the chat session is ended");
                self.ports.sip.bye(invite, sip::reason_header(reason)).await;
            }
            Action::Accept(chat) => self.accept(chat).await,
            Action::Decline(chat) => {
                let invite = self.wires.by_chat.get(&chat)?.invite;
                self.ports
                    .sip
                    .answer(invite, Reply::new(Status::SERVICE_UNAVAILABLE))
                    .await;
            }
            Action::OpenMsrp { chat, path, role } => {
                let inbox = ChatInbox {
                    chat,
                    door: self.door.clone(),
                };
                let wire = self.wires.by_chat.get_mut(&chat)?;
                wire.peer.clone_from(&path);
                let config = SessionConfig {
                    local: wire.local.clone(),
                    remote: path,
                    role,
                    max_size: self.ports.max_size,
                };
                wire.session = Some(self.ports.msrp.open(config, inbox));
            }
            Action::Send {
                chat,
                token,
                transaction_id,
                content_type,
                body,
            } => {
                let session = self.wires.by_chat.get(&chat)?.session.as_ref()?;
                let outgoing = stox_msrp::Outgoing {
                    token: token.0,
                    transaction_id,
                    content_type: content_type.to_owned(),
                    body,
                    success_report: false,
                    failure_report: stox_msrp::FailureReport::Yes,
                };
                return match session.send(outgoing) {
                    Ok(()) => None,
                    Err(SendError::Full) => Some(Event::Chat(chat, ChatEvent::Congested(token))),
                    Err(SendError::Closed) => Some(Event::Chat(
                        chat,
                        ChatEvent::Disconnected(LostCause::Closed),
                    )),
                    Err(SendError::NotBound | SendError::BadContentType) => {
                        Some(Event::Chat(chat, ChatEvent::Refused(token, 400)))
                    }
                };
            }
            Action::ReportFailure {
                chat,
                message_id,
                length,
                status,
            } => {
                let session = self.wires.by_chat.get(&chat)?.session.as_ref()?;
                session.report(sip::failure_report(message_id, length, status));
            }
            Action::Close(chat) => {
                if let Some(wire) = self.wires.remove(chat) {
                    self.ports.registry.forget_invite(wire.invite);
                }
                metrics::session_closed();
            }
            Action::Page(page) => self.page(*page).await,
            Action::Stanza(stanza, token) => return self.write(stanza, token),
            Action::Settle(settlement) => self.settle(settlement).await,
        }
        None
    }

    async fn invite(
        &mut self,
        chat: ChatId,
        call_id: Option<String>,
        thread: &str,
        subject: String,
        resource: Option<String>,
        device: Option<String>,
    ) {
        let parties = self.core.parties();
        let invite = self.ports.sip.reserve_invite();
        let local = self.ports.msrp.mint();
        let target = address::with_device(&parties.romeo_uri, device.as_deref());
        let mut request = stox_sip::Invite::new(
            target,
            NameAddr::from(parties.juliet_uri.clone()),
            NameAddr::from(parties.romeo_uri.clone()),
            contact_of(parties, resource.as_deref()),
        );
        request.call_id = call_id.filter(|call_id| self.ports.registry.claim_call_id(call_id));
        request.headers = sip::chat_headers(&subject, thread);
        request.content_type = sip::SDP_TYPE.to_owned();
        request.body = sip::offer(&local, self.ports.max_size).into();
        info!(
            call_id = request.call_id,
            "the XMPP user opens a chat session"
        );
        self.ports.registry.expect_invite(invite, self.door.clone());
        self.wires.add(
            chat,
            Wire {
                invite,
                local,
                peer: Vec::new(),
                offer: None,
                session: None,
            },
        );
        metrics::session_opened();
        self.ports.sip.invite(invite, request).await;
    }

    async fn accept(&mut self, chat: ChatId) {
        let contact = contact_of(self.core.parties(), None);
        let Some(wire) = self.wires.by_chat.get_mut(&chat) else {
            return;
        };
        let body = match wire.offer.take() {
            Some((description, index)) => {
                sip::answer(&description, index, &wire.local, self.ports.max_size)
            }
            None => sip::offer(&wire.local, self.ports.max_size),
        };
        let mut reply = Reply::new(Status::OK);
        reply.contact = Some(contact);
        reply.content_type = Some(sip::SDP_TYPE.to_owned());
        reply.body = body.into();
        metrics::session_opened();
        self.ports.sip.answer(wire.invite, reply).await;
    }

    async fn page(&mut self, page: Page) {
        let parties = self.core.parties();
        let id = self.ports.sip.reserve_request();
        let from = address::with_device(&parties.juliet_uri, page.resource.as_deref());
        let target = address::with_device(&parties.romeo_uri, page.device.as_deref());
        let mut request = stox_sip::OutgoingRequest::new(
            Method::Message,
            target,
            NameAddr::from(from),
            NameAddr::from(parties.romeo_uri.clone()),
        );
        request.call_id = Some(page.call_id);
        request.from_tag = Some(page.from_tag);
        request.cseq = Some(page.cseq);
        request.headers = sip::page_headers(page.subject.as_deref(), page.lang.as_deref());
        request.content_type = sip::PAGE_TYPE.to_owned();
        request.body = page.body.into();
        self.ports.registry.expect_request(id, self.door.clone());
        self.ports.sip.request(id, request).await;
    }

    fn write(&self, stanza: Outgoing, token: Option<Token>) -> Option<Event> {
        let confirm = token.map(|token| Receipt {
            token,
            door: self.door.clone(),
        });
        match self.ports.xmpp.send(stanza, confirm) {
            Ok(()) => None,
            // The stanza was not written, so its sender hears of it.
            Err(_) => token.map(Event::Lost),
        }
    }

    async fn settle(&self, Settlement { ticket, outcome }: Settlement) {
        metrics::settled(&ticket, &outcome);
        match (ticket, outcome) {
            (Ticket::Stanza(_), Outcome::Delivered) => {}
            (Ticket::Stanza(origin), Outcome::Refused(fault)) => {
                info!(id = origin.id, condition = %fault.condition(), text = fault.text(), "a message goes back to the XMPP user");
                let error = Outgoing::message_error(
                    &origin.to,
                    &origin.from,
                    origin.id.as_deref(),
                    (&fault).into(),
                );
                if self.ports.xmpp.send(error, None).is_err() {
                    tracing::warn!(
                        id = origin.id,
                        "an error cannot be told: the queue to the XMPP server is full"
                    );
                }
            }
            (Ticket::Send { chat, incoming }, outcome) => {
                let status = match &outcome {
                    Outcome::Delivered => 200,
                    Outcome::Refused(fault) => {
                        info!(condition = %fault.condition(), status = fault.to_msrp(), "a message goes back to the SIP user");
                        fault.to_msrp()
                    }
                };
                if let Some(session) = self
                    .wires
                    .by_chat
                    .get(&chat)
                    .and_then(|wire| wire.session.as_ref())
                {
                    session.respond(incoming, status);
                }
            }
            (Ticket::Page { transaction, .. }, Outcome::Delivered) => {
                self.ports
                    .sip
                    .respond(transaction, Reply::new(Status::OK))
                    .await;
            }
            (
                Ticket::Page {
                    transaction,
                    addressee,
                },
                Outcome::Refused(fault),
            ) => {
                let reply = sip::refusal(&fault, addressee, &Method::Message);
                info!(condition = %fault.condition(), status = reply.status.code(), "a message goes back to the SIP user");
                self.ports.sip.respond(transaction, reply).await;
            }
        }
    }
}

impl Wires {
    fn add(&mut self, chat: ChatId, wire: Wire) {
        self.chat_by_invite.insert(wire.invite, chat);
        self.by_chat.insert(chat, wire);
    }

    fn remove(&mut self, chat: ChatId) -> Option<Wire> {
        let wire = self.by_chat.remove(&chat)?;
        self.chat_by_invite.remove(&wire.invite);
        Some(wire)
    }
}

/// The way from an MSRP session into the mailbox of its conversation.
struct ChatInbox {
    chat: ChatId,
    door: Door,
}

impl Inbox for ChatInbox {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        match self.door.deliver(Input::Msrp(self.chat, Box::new(message))) {
            Ok(()) => Ok(()),
            Err(full) => match full.0 {
                Input::Msrp(_, message) => Err(*message),
                _ => Ok(()),
            },
        }
    }

    fn complete(&self, event: SessionEvent) {
        self.door.complete(Input::MsrpOutcome(self.chat, event));
    }
}

/// The way from the XMPP link back into the mailbox of the conversation that wrote the stanza.
#[derive(Debug)]
pub struct Receipt {
    token: Token,
    door: Door,
}

impl Confirmation for Receipt {
    fn confirmed(self) {
        self.door.complete(Input::Handed(self.token));
    }

    fn lost(self) {
        self.door.complete(Input::Lost(self.token));
    }
}

/// Contact of the XMPP user's dialogs: the gateway's own host and port are filled in by the endpoint (CORE-11).
fn contact_of(parties: &Parties, resource: Option<&str>) -> LocalContact {
    LocalContact {
        user: parties.juliet_uri.user().map(str::to_owned),
        uri_params: resource
            .map(|resource| ("gr".to_owned(), Some(address::gr_of(resource))))
            .into_iter()
            .collect(),
        params: Vec::new(),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
