//! Shell: one connection. Reads what the peer sends and reports it, writes what the driver sends.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::run::Report;
use super::tls::TlsSettings;
use crate::endpoint::{ConnectionId, Limits, Source};
use crate::resolve::Target;
use crate::{Frame, KeepAlive, Message, PONG, ParseError, StreamFramer, Transport};

/// Most bytes read at a time.
const READ: usize = 16 * 1024;
/// Most messages written, or reported, at a time.
const BATCH: usize = 64;
/// How long the answer to a peer that lost its framing may take to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection's task and the queue of what it is to write. Dropping the queue closes the
/// connection after what is in it is written.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) queue: mpsc::Sender<Bytes>,
    pub(super) task: JoinHandle<()>,
}

/// How a connection begins.
pub(super) enum Origin {
    Accepted(TcpStream),
    Connect(Target),
}

/// Runs a connection until either side closes it, over TLS if there are settings for it; reports its end.
pub(super) fn spawn(
    id: ConnectionId,
    origin: Origin,
    tls: Option<TlsSettings>,
    limits: Limits,
    reports: mpsc::Sender<Report>,
) -> Connection {
    let (queue, messages) = mpsc::channel(limits.write_queue.max(1));
    let pongs = queue.downgrade();
    let task = tokio::spawn(async move {
        if let Err(error) = run(id, origin, tls, limits, messages, pongs, &reports).await {
            tracing::debug!(?id, %error, "connection ended");
        }
        // An error means that the driver has ended.
        let _ = reports.send(Report::Disconnected(id)).await;
    });
    Connection { queue, task }
}

async fn run(
    id: ConnectionId,
    origin: Origin,
    tls: Option<TlsSettings>,
    limits: Limits,
    messages: mpsc::Receiver<Bytes>,
    pongs: mpsc::WeakSender<Bytes>,
    reports: &mpsc::Sender<Report>,
) -> io::Result<()> {
    let (stream, target, first) = match origin {
        Origin::Accepted(stream) => (stream, None, limits.stalled),
        Origin::Connect(target) => {
            let stream = timeout(limits.connect, TcpStream::connect(target.address)).await??;
            (stream, Some(target), limits.idle)
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
            ended = read(read_half, source, first, limits, pongs, reports) => ended,
            ended = write(write_half, messages, limits.stalled) => ended,
        };
    };
    let (stream, domains) = match target {
        Some(target) => timeout(limits.connect, tls.connect(stream, &target)).await??,
        None => timeout(limits.stalled, tls.accept(stream)).await??,
    };
    if let Some(domains) = domains {
        send(reports, Report::Authenticated(id, source.remote, domains)).await?;
    }
    let (read_half, write_half) = tokio::io::split(stream);
    tokio::select! {
        ended = read(read_half, source, first, limits, pongs, reports) => ended,
        ended = write(write_half, messages, limits.stalled) => ended,
    }
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    source: Source,
    first: Duration,
    limits: Limits,
    pongs: mpsc::WeakSender<Bytes>,
    reports: &mpsc::Sender<Report>,
) -> io::Result<()> {
    let mut framer = StreamFramer::default();
    let mut deadline = Instant::now() + first;
    let mut was_within = false;
    loop {
        framer.buffer().reserve(READ);
        if timeout_at(deadline, stream.read_buf(framer.buffer())).await?? == 0 {
            return Ok(());
        }
        let mut messages: Vec<Result<Message, ParseError>> = Vec::new();
        let (mut progressed, mut lost, mut ponged) = (false, false, false);
        while let Some(frame) = framer.next_frame() {
            progressed = true;
            match frame {
                Ok(Frame::Message(message)) => messages.push(Ok(*message)),
                Ok(Frame::KeepAlive(KeepAlive::Ping)) => {
                    if let Some(queue) = pongs.upgrade() {
                        // A full queue says more than a pong would.
                        let _ = queue.try_send(Bytes::from_static(PONG));
                    }
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
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The rest of a message has its time from the message's first byte, not from its last one.
        let is_within = framer.is_within_message();
        if !is_within {
            deadline = Instant::now() + limits.idle;
        } else if progressed || !was_within {
            deadline = Instant::now() + limits.stalled;
        }
        was_within = is_within;
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
    mut messages: mpsc::Receiver<Bytes>,
    stalled: Duration,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(4);
    loop {
        if messages.recv_many(&mut batch, BATCH).await == 0 {
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
    }
}
