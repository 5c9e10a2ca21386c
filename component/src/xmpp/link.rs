//! The link as the rest of the gateway sees it: what it takes, what it tells, and the handle to it. Its work is done by
//! the tasks in `task`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval};
use tracing::{error, warn};

use super::outbox::{LinkRefused, Outbox, OutboxLimits};
use super::outgoing::Outgoing;
use super::stanza::{Iq, Stanza};
use super::task::Task;
use crate::address::{AddressStyle, Addresses, Jid};

/// Between two looks at what has waited for too long.
const TICK: Duration = Duration::from_secs(1);

/// Is told what became of a stanza; one of the two, once. Called from the link's task: it must not block.
pub trait Confirmation: Send + 'static {
    /// The XMPP server has provably taken the stanza.
    fn confirmed(self);
    /// The stanza is not known to have reached the server: its connection broke, none came in time, or it was
    /// withdrawn.
    fn lost(self);
    /// Whether the stanza is not to be written any more. Asked right before it is written, with the link's queue
    /// locked: it must neither block nor use the link.
    fn is_withdrawn(&self) -> bool {
        false
    }
}

/// Takes what comes from the XMPP server. Called in the link's task: it must not block.
pub trait Handler: Send + 'static {
    /// Something happened.
    fn handle(&mut self, event: LinkEvent);
    /// Whether this request (iq of type get or set) is to come to [`Handler::handle`], which then sees to its answer.
    /// The others are answered by the link.
    fn answers(&self, request: &Iq) -> bool {
        let _ = request;
        false
    }
}

/// What happened on the link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The server has accepted the component.
    Up,
    /// The connection is lost; the link connects again by itself.
    Down,
    /// A stanza for one of our addresses, and its bytes as they came. Requests (iq of type get or set) that the link answers
    /// itself ([`Handler::answers`]), and answers to questions that were never asked, do not come here.
    Stanza(Stanza, Bytes),
}

/// What a link needs to know.
#[derive(Clone)]
pub struct LinkConfig {
    /// Host and port of the server's component listener.
    pub server: String,
    /// The component's domain, in the form the server knows.
    pub domain: String,
    /// The shared secret. Never logged (SEC-05).
    pub secret: String,
    /// Bounds of what waits.
    pub outbox: OutboxLimits,
    /// How SIP users are named on the domain, for those who ask.
    pub addresses: Arc<Addresses>,
}

impl LinkConfig {
    /// A link with the usual bounds.
    pub fn new(
        server: impl Into<String>,
        domain: impl Into<String>,
        secret: impl Into<String>,
    ) -> LinkConfig {
        let domain = domain.into();
        let addresses = Addresses::new(&domain, None, AddressStyle::default());
        LinkConfig {
            server: server.into(),
            domain,
            addresses: Arc::new(addresses),
            secret: secret.into(),
            outbox: OutboxLimits::default(),
        }
    }
}

impl fmt::Debug for LinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkConfig")
            .field("server", &self.server)
            .field("domain", &self.domain)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// A handle to the link. Clones are the same link, which lives until [`Link::close`].
#[derive(Debug)]
pub struct Link<C> {
    shared: Arc<Shared<C>>,
}

impl<C> Clone for Link<C> {
    fn clone(&self) -> Self {
        Link {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Connects to the server, and again whenever the connection is lost. Must be called within a tokio runtime.
///
/// A configured domain that is no XMPP domain leaves a link that is closed from the start.
pub fn spawn<C: Confirmation, H: Handler>(config: LinkConfig, handler: H) -> Link<C> {
    let shared = Arc::new(Shared {
        outbox: Mutex::new(Outbox::new(&config.domain, config.outbox)),
        written: Notify::new(),
        closing: watch::Sender::new(None),
        ended: watch::Sender::new(false),
    });
    match Jid::from_parts(None, &config.domain, None) {
        Ok(domain) => {
            let task = Task::new(config, domain, Arc::clone(&shared), handler);
            tokio::spawn(task.run_until_closed());
        }
        Err(reason) => {
            error!(domain = config.domain, %reason, "no XMPP link: xmpp.domain is no domain");
            shared.end();
        }
    }
    Link { shared }
}

impl<C: Confirmation> Link<C> {
    /// Writes a stanza as soon as possible. While there is no connection it waits for up to the grace time, or for as
    /// long as [`OutgoingMessage::within`](super::OutgoingMessage::within) says, and a message with a body gets a
    /// `<delay/>` (CHAT-38).
    ///
    /// With a confirmation, that is told when the server has taken the stanza, or that it may be lost. A stanza of type
    /// error is written again, on the next connection, until the server has provably taken it.
    ///
    /// # Errors
    /// The queue is full, the stanza too large, or the link closed.
    pub fn send(&self, stanza: Outgoing, confirm: Option<C>) -> Result<(), LinkRefused<C>> {
        self.shared.push(&stanza, confirm)
    }

    /// Whether the server has accepted the component and the connection stands.
    pub fn is_up(&self) -> bool {
        self.shared.outbox().is_up()
    }

    /// Ends the link: takes no more stanzas, writes what waits, waits for its confirmations, closes the stream and
    /// waits for the server to do the same, all within `wait`. What is not confirmed then is lost.
    pub async fn close(&self, wait: Duration) {
        let lost = self.shared.outbox().close();
        lost.into_iter().for_each(C::lost);
        let deadline = Instant::now() + wait;
        self.shared.closing.send_replace(Some(deadline));
        self.shared.written.notify_one();
        // The sender lives in `shared`: waiting cannot fail.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// What the handles and the link's tasks share.
#[derive(Debug)]
pub(super) struct Shared<C> {
    outbox: Mutex<Outbox<C>>,
    /// There may be a round to write.
    pub(super) written: Notify,
    /// When the link is to have ended at the latest.
    closing: watch::Sender<Option<Instant>>,
    ended: watch::Sender<bool>,
}

impl<C: Confirmation> Shared<C> {
    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox<C>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, stanza: &Outgoing, confirm: Option<C>) -> Result<(), LinkRefused<C>> {
        self.outbox()
            .push(stanza, confirm, Instant::now(), SystemTime::now())?;
        self.written.notify_one();
        Ok(())
    }

    /// Runs something while there is no connection; `None` when the link is to end instead.
    pub(super) async fn unless_closing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let expiry = async {
            let mut tick = interval(TICK);
            loop {
                tick.tick().await;
                self.expire();
            }
        };
        tokio::select! {
            result = work => Some(result),
            () = expiry => None,
            _ = self.is_closing() => None,
        }
    }

    /// Gives up what may wait no longer. To be called every second or so.
    pub(super) fn expire(&self) {
        let lost = self.outbox().handle_elapsed(Instant::now());
        lost.into_iter().for_each(C::lost);
        self.report();
    }

    pub(super) fn end(&self) {
        let lost = {
            let mut outbox = self.outbox();
            let mut lost = outbox.close();
            lost.append(&mut outbox.handle_down());
            lost
        };
        lost.into_iter().for_each(C::lost);
        self.report();
        self.ended.send_replace(true);
    }

    fn report(&self) {
        let forgotten = self.outbox().poll_forgotten(Instant::now());
        if let Some(forgotten) = forgotten {
            warn!(
                no_room = forgotten.no_room,
                too_old = forgotten.too_old,
                broken = forgotten.broken,
                closed = forgotten.closed,
                "errors to XMPP users are dropped: those users do not learn that a message came to nothing"
            );
        }
    }

    /// Returns when the link is to end.
    pub(super) async fn is_closing(&self) -> Instant {
        let mut closing = self.closing.subscribe();
        match closing.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    }
}
