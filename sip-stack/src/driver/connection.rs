//! Shell: one connection. Reads what the peer sends and reports it, writes what the driver sends.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::queue::{Queue, Unwritten, WeakQueue};
use super::run::Report;
use super::tls::{self, TlsSettings};
use super::unfinished::Unfinished;
use crate::endpoint::{ConnectionId, Limits, Matter, Source};
use crate::resolve::Target;
use crate::{Frame, KeepAlive, Message, PONG, ParseError, StreamFramer, Transport};

/// Most bytes read at a time.
const READ: usize = 16 * 1024;
/// Most messages reported at a time.
const BATCH: usize = 64;
/// How long the answer to a peer that lost its framing may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection's task and the queue of what it is to write. Dropping the queue closes the
/// connection after what is in it is written.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) queue: Queue,
    pub(super) task: JoinHandle<()>,
}

/// What all connections are given.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) limits: Limits,
    pub(super) unfinished: Unfinished,
    pub(super) reports: mpsc::Sender<Report>,
}

/// How a connection begins.
pub(super) enum Origin {
    Accepted(TcpStream),
    Connect(Target),
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was not made, or did nothing, or took nothing from us, for too long.
    #[error("it took too long")]
    Late(#[from] Elapsed),
    /// The server's certificate is not one that its domain can have.
    #[error("the peer is not who it should be")]
    Untrusted,
    /// No TLS with a peer that connected to us.
    #[error("no TLS: {0}")]
    Handshake(io::Error),
    /// The peer did not bring in time what it owed: a handshake, its first message, or the rest of one.
    #[error("the peer did not go on")]
    Stalled,
    /// All connections together held too much of messages that are not there as a whole.
    #[error("too much of unfinished messages")]
    Unfinished,
}

impl Broken {
    fn matter(&self) -> Option<Matter> {
        match self {
            Broken::Io(_) | Broken::Late(_) | Broken::Untrusted => None,
            Broken::Handshake(_) => Some(Matter::Handshake),
            Broken::Stalled => Some(Matter::Stalled),
            Broken::Unfinished => Some(Matter::Overload),
        }
    }
}

/// What the peer is to bring next, and until when.
#[derive(Clone, Copy)]
enum Awaited {
    /// The first message of a peer that connected to us.
    First(Instant),
    /// The rest of a message. It has its time from the message's first byte, not from its last one.
    Rest(Instant),
    /// Anything.
    Next(Instant),
}

impl Awaited {
    fn deadline(self) -> Instant {
        let (Awaited::First(at) | Awaited::Rest(at) | Awaited::Next(at)) = self;
        at
    }
}

/// Runs a connection until either side closes it, over TLS if there are settings for it; reports its end.
pub(super) fn spawn(
    id: ConnectionId,
    origin: Origin,
    tls: Option<TlsSettings>,
    common: Common,
) -> Connection {
    let (queue, messages) = Queue::new(&common.limits);
    let pongs = queue.downgrade();
    let task = tokio::spawn(async move {
        let ended = run(id, origin, tls, messages, pongs, &common).await;
        let is_untrusted = matches!(ended, Err(Broken::Untrusted));
        if let Err(error) = ended {
            tracing::debug!(?id, %error, "connection ended");
            if let Some(matter) = error.matter() {
                let broken = Report::Broken(id, matter, error.to_string());
                let _ = common.reports.send(broken).await;
            }
        }
        // An error means that the driver has ended.
        let last = match is_untrusted {
            true => Report::Untrusted(id),
            false => Report::Disconnected(id),
        };
        let _ = common.reports.send(last).await;
    });
    Connection { queue, task }
}

async fn run(
    id: ConnectionId,
    origin: Origin,
    tls: Option<TlsSettings>,
    messages: Unwritten,
    pongs: WeakQueue,
    common: &Common,
) -> Result<(), Broken> {
    let limits = &common.limits;
    let (stream, target, awaited) = match origin {
        Origin::Accepted(stream) => {
            let first = Awaited::First(Instant::now() + limits.stalled);
            (stream, None, first)
        }
        Origin::Connect(target) => {
            let stream = timeout(limits.connect, TcpStream::connect(target.address)).await??;
            let next = Awaited::Next(Instant::now() + limits.idle);
            (stream, Some(target), next)
        }
    };
    stream.set_nodelay(true)?;
    let source = Source {
        transport: tls.as_ref().map_or(Transport::Tcp, |_| Transport::Tls),
        local: stream.local_addr()?,
        remote: stream.peer_addr()?,
        connection: Some(id),
    };
    let Some(tls) = tls else {
        let (read_half, write_half) = stream.into_split();
        return tokio::select! {
            ended = read(read_half, source, awaited, pongs, common) => ended,
            ended = write(write_half, messages, limits.stalled) => ended,
        };
    };
    let (stream, domains) = match target {
        Some(target) => {
            let connected = timeout(limits.connect, tls.connect(stream, &target)).await?;
            connected.map_err(|error| match tls::is_about_certificate(&error) {
                true => Broken::Untrusted,
                false => Broken::Io(error),
            })?
        }
        None => {
            let accepted = timeout_at(awaited.deadline(), tls.accept(stream)).await;
            accepted
                .map_err(|_| Broken::Stalled)?
                .map_err(Broken::Handshake)?
        }
    };
    if let Some(domains) = domains {
        let report = Report::Authenticated(id, source.remote, domains);
        send(&common.reports, report).await?;
    }
    let (read_half, write_half) = tokio::io::split(stream);
    tokio::select! {
        ended = read(read_half, source, awaited, pongs, common) => ended,
        ended = write(write_half, messages, limits.stalled) => ended,
    }
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    source: Source,
    mut awaited: Awaited,
    pongs: WeakQueue,
    common: &Common,
) -> Result<(), Broken> {
    let (limits, reports) = (&common.limits, &common.reports);
    let mut share = common.unfinished.share();
    let mut framer = StreamFramer::new(limits.message);
    loop {
        framer.buffer().reserve(READ);
        match timeout_at(awaited.deadline(), stream.read_buf(framer.buffer())).await {
            Ok(read) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            Err(elapsed) => {
                return Err(match awaited {
                    Awaited::First(_) | Awaited::Rest(_) => Broken::Stalled,
                    Awaited::Next(_) => Broken::Late(elapsed),
                });
            }
        }
        let mut messages: Vec<Result<Message, ParseError>> = Vec::new();
        let (mut progressed, mut lost, mut ponged) = (false, false, false);
        while let Some(frame) = framer.next_frame() {
            progressed = true;
            match frame {
                Ok(Frame::Message(message)) => messages.push(Ok(*message)),
                Ok(Frame::KeepAlive(KeepAlive::Ping)) => {
                    // A full queue says more than a pong would.
                    let _ = pongs.push(Bytes::from_static(PONG));
                }
                Ok(Frame::KeepAlive(KeepAlive::Pong)) => ponged = true,
                Err(error) => {
                    lost = error.is_lost();
                    messages.push(Err(error.error().clone()));
                }
            }
            if messages.len() >= BATCH {
                let batch = std::mem::take(&mut messages);
                report(reports, source, batch).await?;
            }
        }
        if !messages.is_empty() {
            report(reports, source, messages).await?;
        }
        if let (true, Some(id)) = (ponged, source.connection) {
            send(reports, Report::Ponged(id)).await?;
        }
        if lost {
            tokio::time::sleep(LAST_WORDS).await;
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        }
        if share.set(framer.buffer().len()) > limits.unfinished {
            return Err(Broken::Unfinished);
        }
        let now = Instant::now();
        awaited = match (awaited, framer.is_within_message()) {
            (Awaited::First(_), false) | (Awaited::Rest(_), true) if !progressed => awaited,
            (_, false) => Awaited::Next(now + limits.idle),
            (_, true) => Awaited::Rest(now + limits.stalled),
        };
    }
}

async fn report(
    reports: &mpsc::Sender<Report>,
    source: Source,
    messages: Vec<Result<Message, ParseError>>,
) -> io::Result<()> {
    send(reports, Report::Received(source, messages)).await
}

async fn send(reports: &mpsc::Sender<Report>, report: Report) -> io::Result<()> {
    let sent = reports.send(report).await;
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut messages: Unwritten,
    stalled: Duration,
) -> Result<(), Broken> {
    let mut batch = Vec::with_capacity(4);
    loop {
        if messages.next(&mut batch).await == 0 {
            stream.shutdown().await?;
            return Ok(());
        }
        let bytes = match batch.as_slice() {
            [single] => single.clone(),
            several => {
                let mut bytes = BytesMut::with_capacity(several.iter().map(Bytes::len).sum());
                for message in several {
                    bytes.extend_from_slice(message);
                }
                bytes.freeze()
            }
        };
        batch.clear();
        timeout(stalled, stream.write_all(&bytes)).await??;
        // What TLS has not handed to the socket yet.
        timeout(stalled, stream.flush()).await??;
        messages.note_written(bytes.len());
    }
}
