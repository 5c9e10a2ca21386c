//! Shell of the link: sockets, timers and tasks. It decides nothing.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rand::rngs::StdRng;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tracing::{debug, error, info, trace, warn};

use super::backoff::Backoff;
use super::framing::{Frame, FrameLimits, Framer, NotWellFormed};
use super::iq;
use super::login::{self, LoggedIn, LoginError};
use super::outbox::{Answer, Health, Outbox, OutboxLimits};
use super::outgoing::Outgoing;
use super::read::{Element, Reader, StreamError, Unreadable};
use super::stanza::{IqType, Stanza};
use crate::address::Jid;

/// Bytes asked for in one read, and the size of a fresh buffer.
const BUFFER: usize = 64 * 1024;
/// From the first packet of a connection to the server's handshake.
const LOGIN: Duration = Duration::from_secs(10);
/// For one round of stanzas to get into the socket.
const WRITE: Duration = Duration::from_secs(15);
/// A connection that stood for so long has proven that the next one is worth an early attempt.
const PROVEN: Duration = Duration::from_secs(10);
/// Between two looks at what has become old.
const TICK: Duration = Duration::from_secs(1);

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
    /// A stanza for one of our addresses. Requests (iq of type get or set), which the link answers itself, and
    /// answers to questions that were never asked do not come here.
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
            let task = Task {
                config,
                domain,
                shared: Arc::clone(&shared),
                handler,
                backoff: Backoff::new(),
                rng: rand::make_rng(),
                told: Told::Nothing,
            };
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
    /// Writes a stanza as soon as possible. While there is no connection it waits for up to the grace time, and a
    /// message with a body gets a `<delay/>` (CHAT-38).
    ///
    /// With a confirmation, that is told when the server has taken the stanza, or that it may be lost.
    pub fn send(&self, stanza: Outgoing, confirm: Option<C>) -> Result<(), LinkFull<C>> {
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
struct Shared<C> {
    outbox: Mutex<Outbox<C>>,
    /// There may be a round to write.
    written: Notify,
    /// When the link is to have ended at the latest.
    closing: watch::Sender<Option<Instant>>,
    ended: watch::Sender<bool>,
}

impl<C> Shared<C> {
    fn outbox(&self) -> MutexGuard<'_, Outbox<C>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, stanza: &Outgoing, confirm: Option<C>) -> Result<(), LinkFull<C>> {
        self.outbox()
            .push(stanza, confirm, Instant::now(), SystemTime::now())
            .map_err(LinkFull)?;
        self.written.notify_one();
        Ok(())
    }

    /// Runs something while there is no connection; `None` when the link is to end instead.
    async fn unless_closing<T>(&self, work: impl Future<Output = T>) -> Option<T>
    where
        C: Confirmation,
    {
        let expiry = async {
            let mut tick = interval(TICK);
            loop {
                tick.tick().await;
                let lost = self.outbox().handle_elapsed(Instant::now());
                lost.into_iter().for_each(C::lost);
            }
        };
        tokio::select! {
            result = work => Some(result),
            () = expiry => None,
            _ = self.is_closing() => None,
        }
    }

    fn end(&self)
    where
        C: Confirmation,
    {
        let lost = {
            let mut outbox = self.outbox();
            let mut lost = outbox.close();
            lost.append(&mut outbox.handle_down());
            lost
        };
        lost.into_iter().for_each(C::lost);
        self.ended.send_replace(true);
    }

    /// Returns when the link is to end.
    async fn is_closing(&self) -> Instant {
        let mut closing = self.closing.subscribe();
        match closing.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    }
}

/// What the operator has been told about the link's present trouble.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// That the connection was lost.
    Lost,
    /// That the login fails, and why.
    Failing(String),
}

/// Why a connection ended.
#[derive(Debug, Error)]
enum Ended {
    #[error("the gateway closed it")]
    Closed,
    #[error("the server closed the connection")]
    Disconnected,
    #[error("the server closed the stream")]
    StreamClosed,
    #[error("stream error: {0}")]
    StreamError(StreamError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server takes no more bytes")]
    Stuck,
    #[error("the server does not answer")]
    Silent,
    #[error(transparent)]
    NotWellFormed(#[from] NotWellFormed),
}

/// The link's task: connects, reads, and begins again.
struct Task<C, H> {
    config: LinkConfig,
    domain: Jid,
    shared: Arc<Shared<C>>,
    handler: H,
    backoff: Backoff,
    rng: StdRng,
    told: Told,
}

impl<C: Confirmation, H: Handler> Task<C, H> {
    async fn run_until_closed(mut self) {
        let shared = Arc::clone(&self.shared);
        let deadline = async {
            let deadline = shared.is_closing().await;
            sleep_until(deadline).await;
        };
        tokio::select! {
            () = self.run() => info!("XMPP link closed"),
            () = deadline => warn!("XMPP link closed before everything was written and confirmed"),
        }
        shared.end();
    }

    async fn run(&mut self) {
        loop {
            let shared = Arc::clone(&self.shared);
            let login = log_in(&self.config);
            let Some(result) = shared.unless_closing(login).await else {
                return;
            };
            let pause = match result {
                Ok(logged_in) => {
                    let begin = Instant::now();
                    let ended = self.connected(logged_in).await;
                    if self.shared.outbox().is_closing() {
                        return;
                    }
                    if begin.elapsed() >= PROVEN {
                        self.backoff.reset();
                    }
                    let pause = match &ended {
                        Ended::StreamError(error) if error.condition == "conflict" => {
                            self.backoff.pause_refused(&mut self.rng)
                        }
                        _ => self.backoff.pause(&mut self.rng),
                    };
                    self.told = Told::Lost;
                    warn!(reason = %ended, next_attempt_in = ?pause, "XMPP link lost");
                    pause
                }
                Err(failure) => {
                    let pause = match failure.needs_operator() {
                        true => self.backoff.pause_refused(&mut self.rng),
                        false => self.backoff.pause(&mut self.rng),
                    };
                    self.tell(&failure, pause);
                    pause
                }
            };
            if shared.unless_closing(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// One line for each new reason, so that a long outage does not fill the log.
    fn tell(&mut self, failure: &LoginError, pause: Duration) {
        let reason = failure.to_string();
        let server = &self.config.server;
        let domain = &self.config.domain;
        let known = match &self.told {
            Told::Failing(told) => *told == reason,
            Told::Lost => !failure.needs_operator(),
            Told::Nothing => false,
        };
        if known {
            debug!(server, domain, reason, next_attempt_in = ?pause, "no XMPP link");
            return;
        }
        match failure.needs_operator() {
            true => error!(server, domain, reason, next_attempt_in = ?pause, "no XMPP link"),
            false => warn!(server, domain, reason, next_attempt_in = ?pause, "no XMPP link"),
        }
        self.told = Told::Failing(reason);
    }

    async fn connected(&mut self, logged_in: LoggedIn<TcpStream>) -> Ended {
        info!(server = %self.config.server, domain = %self.config.domain, "XMPP link up");
        self.told = Told::Nothing;
        self.shared.outbox().handle_up();
        self.handler.handle(LinkEvent::Up);

        let (read_half, write_half) = logged_in.stream.into_split();
        let namespaces = logged_in.namespaces.iter();
        let reader = Reader::new(
            &self.domain,
            namespaces.map(|(prefix, name)| (prefix.as_deref(), name.as_str())),
        );
        let framer = Framer::new(FrameLimits::default(), logged_in.read_ahead);
        let mut writer = Writer(tokio::spawn(write_rounds(
            Arc::clone(&self.shared),
            write_half,
        )));
        let ended = {
            let mut reading = std::pin::pin!(self.read_stanzas(read_half, framer, reader));
            tokio::select! {
                ended = &mut reading => ended,
                written = &mut writer.0 => match written {
                    // Our side is closed: the server may still have something to say before it closes its own.
                    Ok(Ended::Closed) => reading.await,
                    Ok(ended) => ended,
                    Err(failed) => Ended::Io(failed.into()),
                },
            }
        };
        drop(writer);
        let lost = self.shared.outbox().handle_down();
        lost.into_iter().for_each(C::lost);
        self.handler.handle(LinkEvent::Down);
        ended
    }

    async fn read_stanzas(
        &mut self,
        mut half: OwnedReadHalf,
        mut framer: Framer,
        mut reader: Reader,
    ) -> Ended {
        let mut heard = Instant::now();
        let mut tick = interval(TICK);
        loop {
            loop {
                match framer.poll_frame() {
                    Ok(Some(Frame::End)) => return Ended::StreamClosed,
                    Ok(Some(frame)) => {
                        if let Some(ended) = self.take(frame, &mut reader) {
                            return ended;
                        }
                    }
                    Ok(None) => break,
                    Err(broken) => return broken.into(),
                }
            }
            framer.buffer().reserve(BUFFER);
            tokio::select! {
                read = half.read_buf(framer.buffer()) => match read {
                    Ok(0) => return Ended::Disconnected,
                    Ok(_) => heard = Instant::now(),
                    Err(error) => return error.into(),
                },
                _ = tick.tick() => match self.shared.outbox().handle_tick(Instant::now(), heard) {
                    Health::Fine => self.shared.written.notify_one(),
                    Health::Dead => return Ended::Silent,
                },
            }
            // The kernel falls back to delayed acknowledgements by itself; a server with Nagle's algorithm, which is
            // Prosody's default, then waits 40 ms for each of them.
            #[cfg(target_os = "linux")]
            let _ = half.as_ref().set_quickack(true);
        }
    }

    fn take(&mut self, frame: Frame, reader: &mut Reader) -> Option<Ended> {
        let element = match frame {
            Frame::Element(bytes) => reader.read(&bytes),
            Frame::LeftOut { opening, excess } => Err(reader.left_out(opening.as_ref(), excess)),
            Frame::End => return Some(Ended::StreamClosed),
        };
        match element {
            Ok(Element::Stanza(stanza)) => self.take_stanza(stanza),
            Ok(Element::StreamError(error)) => return Some(Ended::StreamError(error)),
            Ok(Element::Other(name)) => debug!(name, "an element that is no stanza is ignored"),
            Err(unreadable) => self.refuse(&unreadable),
        }
        None
    }

    fn take_stanza(&mut self, stanza: Stanza) {
        trace!(target: "wire", stanza = head(&stanza), "from the XMPP server");
        if let Stanza::Iq(iq) = &stanza {
            match iq.kind {
                IqType::Get | IqType::Set => return self.reply(iq::answer(iq).into()),
                IqType::Result | IqType::Error => {
                    let answer = self.shared.outbox().handle_answer(iq);
                    match answer {
                        Answer::Marker(confirmed) => {
                            self.shared.written.notify_one();
                            return confirmed.into_iter().for_each(C::confirmed);
                        }
                        Answer::Unasked => {
                            return debug!(from = %iq.from, "an answer nobody asked for");
                        }
                        Answer::Expected => {}
                    }
                }
            }
        }
        self.handler.handle(LinkEvent::Stanza(stanza));
    }

    fn refuse(&self, unreadable: &Unreadable) {
        let from = unreadable
            .envelope
            .as_ref()
            .and_then(|envelope| envelope.from.as_deref());
        debug!(from, reason = %unreadable.reason, "a stanza cannot be handed on");
        if let Some(reply) = unreadable.reply(&self.domain) {
            self.reply(reply);
        }
    }

    fn reply(&self, reply: Outgoing) {
        if self.shared.push(&reply, None).is_err() {
            debug!("no room for a reply");
        }
    }
}

/// The writer's task, which ends with its connection.
struct Writer(JoinHandle<Ended>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn log_in(config: &LinkConfig) -> Result<LoggedIn<TcpStream>, LoginError> {
    let login = async {
        let stream = TcpStream::connect(&config.server).await?;
        stream.set_nodelay(true)?;
        login::log_in(stream, &config.domain, &config.secret).await
    };
    timeout(LOGIN, login)
        .await
        .unwrap_or(Err(LoginError::TimedOut))
}

/// One write for all that waits, again and again; at the end the closing tag.
async fn write_rounds<C: Confirmation>(shared: Arc<Shared<C>>, mut half: OwnedWriteHalf) -> Ended {
    let mut round = BytesMut::with_capacity(BUFFER);
    loop {
        round.clear();
        let drained = {
            let mut outbox = shared.outbox();
            outbox.poll_round(Instant::now(), &mut round);
            outbox.is_drained()
        };
        if !round.is_empty() {
            match timeout(WRITE, half.write_all(&round)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => return error.into(),
                Err(_) => return Ended::Stuck,
            }
        }
        if drained {
            // Whether this arrives does not matter any more.
            let _ = timeout(WRITE, half.write_all(b"</stream:stream>")).await;
            return Ended::Closed;
        }
        shared.written.notified().await;
    }
}

fn head(stanza: &Stanza) -> String {
    match stanza {
        Stanza::Message(message) => format!(
            "message {} → {} {:?}",
            message.from, message.to, message.kind
        ),
        Stanza::Presence(presence) => format!(
            "presence {} → {} {:?}",
            presence.from, presence.to, presence.kind
        ),
        Stanza::Iq(iq) => format!("iq {} → {} {:?}", iq.from, iq.to, iq.kind),
    }
}
