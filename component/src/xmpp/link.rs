//! Shell of the link: sockets, timers and tasks. It decides nothing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::outbox::{Outbox, OutboxLimits};
use super::outgoing::Outgoing;
use super::stanza::Stanza;

/// Is told what became of a stanza; one of the two, once. Called from the link's task: it must not block.
pub trait Confirmation: Send + 'static {
    /// The XMPP server has provably taken the stanza.
    fn confirmed(self);
    /// The stanza is not known to have reached the server: its connection broke, or none came in time.
    fn lost(self);
}

/// Takes what comes from the XMPP server. Called in the link's task: it must not block.
pub trait Handler: Send + 'static {
    /// Something happened.
    fn handle(&mut self, event: LinkEvent);
}

/// What happened on the link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The server has accepted the component.
    Up,
    /// The connection is lost; the link connects again by itself.
    Down,
    /// A stanza for one of our addresses. Requests (iq of type get or set) that the link has answered itself, and
    /// answers to questions that were never asked, do not come here.
    Stanza(Stanza),
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
}

impl LinkConfig {
    /// A link with the usual bounds.
    pub fn new(
        server: impl Into<String>,
        domain: impl Into<String>,
        secret: impl Into<String>,
    ) -> LinkConfig {
        LinkConfig {
            server: server.into(),
            domain: domain.into(),
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

/// The stanza was not taken: too many wait already, or the link is closed. Gives its confirmation back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFull<C>(pub Option<C>);

impl<C> fmt::Display for LinkFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the XMPP link takes no more stanzas")
    }
}

impl<C: fmt::Debug> std::error::Error for LinkFull<C> {}

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
pub fn spawn<C: Confirmation, H: Handler>(config: LinkConfig, handler: H) -> Link<C> {
    let _ = handler;
    let (ended, _) = watch::channel(false);
    Link {
        shared: Arc::new(Shared {
            outbox: Mutex::new(Outbox::new(&config.domain, config.outbox)),
            written: Notify::new(),
            ended,
        }),
    }
}

impl<C: Confirmation> Link<C> {
    /// Writes a stanza as soon as possible. While there is no connection it waits for up to the grace time, and a
    /// message with a body gets a `<delay/>` (CHAT-38).
    ///
    /// With a confirmation, that is told when the server has taken the stanza, or that it may be lost.
    pub fn send(&self, stanza: Outgoing, confirm: Option<C>) -> Result<(), LinkFull<C>> {
        self.shared
            .outbox()
            .push(&stanza, confirm, Instant::now(), SystemTime::now())
            .map_err(LinkFull)?;
        self.shared.written.notify_one();
        Ok(())
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
        self.shared.written.notify_one();
        let mut ended = self.shared.ended.subscribe();
        let _ = tokio::time::timeout(wait, ended.wait_for(|ended| *ended)).await;
    }
}

/// What the handles and the link's tasks share.
#[derive(Debug)]
struct Shared<C> {
    outbox: Mutex<Outbox<C>>,
    /// There may be a round to write.
    written: Notify,
    ended: watch::Sender<bool>,
}

impl<C> Shared<C> {
    fn outbox(&self) -> MutexGuard<'_, Outbox<C>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
