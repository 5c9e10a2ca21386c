//! Shell of the link's two tasks: one connects, reads and begins again, one writes. They decide nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use tracing::{debug, error, info, trace, warn};

use super::backoff::Backoff;
use super::framing::{Frame, FrameLimits, Framer, NotWellFormed};
use super::iq::Desk;
use super::link::{Confirmation, Handler, LinkConfig, LinkEvent, Shared};
use super::login::{self, LoggedIn, LoginError};
use super::outbox::{Answer, Health};
use super::outgoing::Outgoing;
use super::read::{Element, Reader, StreamError};
use super::refusal::Unreadable;
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
/// Between two looks at whether the server is still there.
const TICK: Duration = Duration::from_secs(1);

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
pub(super) struct Task<C, H> {
    config: LinkConfig,
    domain: Jid,
    shared: Arc<Shared<C>>,
    handler: H,
    backoff: Backoff,
    rng: StdRng,
    told: Told,
    desk: Desk,
}

impl<C: Confirmation, H: Handler> Task<C, H> {
    pub(super) fn new(
        config: LinkConfig,
        domain: Jid,
        shared: Arc<Shared<C>>,
        handler: H,
    ) -> Task<C, H> {
        let desk = Desk {
            addresses: Arc::clone(&config.addresses),
            began: std::time::Instant::now(),
        };
        Task {
            desk,
            config,
            domain,
            shared,
            handler,
            backoff: Backoff::new(),
            rng: rand::make_rng(),
            told: Told::Nothing,
        }
    }

    pub(super) async fn run_until_closed(mut self) {
        let shared = Arc::clone(&self.shared);
        let deadline = async {
            let deadline = shared.is_closing().await;
            sleep_until(deadline).await;
        };
        tokio::select! {
            () = self.run() => info!("XMPP link closed"),
            () = deadline => match shared.outbox().is_drained() {
                true => info!("XMPP link closed; the server has not closed its side"),
                false => warn!("XMPP link closed before everything was written and confirmed"),
            },
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
                _ = tick.tick() => {
                    self.shared.expire();
                    let health = self.shared.outbox().handle_tick(Instant::now(), heard);
                    match health {
                        Health::Fine => self.shared.written.notify_one(),
                        Health::Dead => return Ended::Silent,
                    }
                }
            }
            // The kernel falls back to delayed acknowledgements by itself; a server with Nagle's algorithm, which is
            // Prosody's default, then waits 40 ms for each of them.
            #[cfg(target_os = "linux")]
            let _ = half.as_ref().set_quickack(true);
        }
    }

    fn take(&mut self, frame: Frame, reader: &mut Reader) -> Option<Ended> {
        match frame {
            Frame::Element(bytes) => return self.take_element(bytes, reader),
            Frame::LeftOut { opening, excess } => {
                self.refuse(&reader.left_out(opening.as_ref(), excess));
            }
            Frame::End => return Some(Ended::StreamClosed),
        }
        None
    }

    fn take_element(&mut self, bytes: Bytes, reader: &mut Reader) -> Option<Ended> {
        match reader.read(&bytes) {
            Ok(Element::Stanza(stanza)) => self.take_stanza(stanza, bytes),
            Ok(Element::StreamError(error)) => return Some(Ended::StreamError(error)),
            Ok(Element::Other(name)) => debug!(name, "an element that is no stanza is ignored"),
            Err(unreadable) => self.refuse(&unreadable),
        }
        None
    }

    fn take_stanza(&mut self, stanza: Stanza, bytes: Bytes) {
        trace!(target: "wire", stanza = head(&stanza), "from the XMPP server");
        if let Stanza::Iq(iq) = &stanza {
            match iq.kind {
                IqType::Get | IqType::Set if self.handler.answers(iq) => {}
                IqType::Get | IqType::Set => {
                    let answer = self.desk.answer(iq, std::time::Instant::now());
                    return self.reply(answer.into());
                }
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
        self.handler.handle(LinkEvent::Stanza(stanza, bytes));
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
        if let Err(refused) = self.shared.push(&reply, None) {
            debug!(reason = %refused, "no reply");
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
        let (lost, drained) = {
            let mut outbox = shared.outbox();
            let lost = outbox.poll_round(Instant::now(), &mut round);
            (lost, outbox.is_drained())
        };
        lost.into_iter().for_each(C::lost);
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
