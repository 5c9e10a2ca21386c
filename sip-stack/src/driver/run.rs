//! Shell: the driver's task. Carries what happens to the endpoint and what it wants to the sockets.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Sleep;

use super::connection::{self, Common, Connection, Origin};
use super::unfinished::Unfinished;
#[cfg(target_os = "linux")]
use super::unreachable;
use super::{BindError, Command, DriverConfig, Handler, TlsSettings, sockets};
use crate::endpoint::{
    Complaints, ConnectionId, Destination, Endpoint, EndpointConfig, Matter, QuestionId, Source,
    Transmit, network_of,
};
use crate::resolve::Answer;
use crate::resolve::dns::Dns;
use crate::{Message, ParseError, Transport};

/// Most of anything taken in one round, so that nothing waits long for its turn.
const BATCH: usize = 128;
/// Most reports of tasks that wait for the driver; at the bound the tasks wait.
const REPORTS: usize = 1024;
/// The largest datagram there is.
const DATAGRAM: usize = 65_536;
/// How long connections may take to write what is left when the driver ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How late timers may fire: no timer of SIP is that exact.
const LATENESS: Duration = Duration::from_millis(10);

/// What a task tells the driver.
pub(super) enum Report {
    Accepted(Transport, TcpStream, SocketAddr),
    Authenticated(ConnectionId, SocketAddr, Vec<String>),
    Received(Source, Vec<Result<Message, ParseError>>),
    Ponged(ConnectionId),
    /// A connection ended before its time.
    Broken(ConnectionId, Matter, String),
    Disconnected(ConnectionId),
    /// A connection was given up: the peer is not who it should be.
    Untrusted(ConnectionId),
    /// Nobody takes datagrams there.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody says so"))]
    Unreachable(SocketAddr),
    Resolved(QuestionId, Answer),
}

pub(super) async fn start(
    config: DriverConfig,
    commands: mpsc::Receiver<Command>,
    handler: Box<dyn Handler>,
) -> Result<Vec<(Transport, SocketAddr)>, BindError> {
    if config.listen.is_empty() {
        return Err(BindError::NoListener);
    }
    let tls_address = of_transport(&config.listen, Transport::Tls);
    if let (Some(address), None) = (tls_address, &config.tls) {
        return Err(BindError::NoCertificate { address });
    }
    let transports = transports(&config);
    let sockets = sockets::bind(&config.listen)?;
    let dns = Dns::new(config.dns_server)?;
    let addresses = sockets
        .listeners
        .iter()
        .map(|l| (l.transport, l.bound))
        .collect();
    let endpoint_config = EndpointConfig {
        listeners: sockets.listeners,
        transports,
        public: config.public,
        outbound_proxy: config.outbound_proxy,
        trusted: config.trusted,
        reach: config.reach,
        authentication: config.authentication,
        assertion: config.assertion,
        credentials: config.credentials,
        sips: config.sips,
        user_agent: config.user_agent,
        supported: config.supported,
        allow: config.allow,
        accept: config.accept,
        keep_alive: config.keep_alive,
        timers: config.timers,
        limits: config.limits,
    };
    let (reports, receiver) = mpsc::channel(REPORTS);
    let accepting = sockets
        .streams
        .into_iter()
        .map(|(transport, listener)| {
            tokio::spawn(accept(transport, listener, reports.clone())).abort_handle()
        })
        .collect();
    #[cfg(target_os = "linux")]
    let hearing = sockets
        .datagrams
        .iter()
        .map(|(_, socket)| tokio::spawn(unreachable::report(socket.clone(), reports.clone())))
        .collect();
    #[cfg(not(target_os = "linux"))]
    let hearing = Vec::new();
    let driver = Driver {
        endpoint: Endpoint::new(endpoint_config, rand::make_rng::<StdRng>()),
        handler,
        tls: config.tls,
        dns,
        datagrams: sockets.datagrams,
        buffer: vec![0; DATAGRAM].into_boxed_slice(),
        connections: HashMap::new(),
        accepted_by_source: HashMap::new(),
        complaints: Complaints::default(),
        accepting,
        hearing,
        common: Common {
            limits: config.limits,
            unfinished: Unfinished::default(),
            reports,
        },
    };
    tokio::spawn(driver.run(commands, receiver));
    Ok(addresses)
}

/// What requests may leave by. Connections can be made whatever is listened for; but who listens for TLS alone wants
/// nothing in the clear.
fn transports(config: &DriverConfig) -> Vec<Transport> {
    let has = |transport| of_transport(&config.listen, transport).is_some();
    let has_clear = has(Transport::Udp) || has(Transport::Tcp);
    [
        (Transport::Udp, has(Transport::Udp)),
        (Transport::Tcp, has_clear),
        (Transport::Tls, config.tls.is_some()),
    ]
    .into_iter()
    .filter_map(|(transport, is_usable)| is_usable.then_some(transport))
    .collect()
}

fn of_transport(listen: &[(Transport, SocketAddr)], wanted: Transport) -> Option<SocketAddr> {
    let mut listeners = listen.iter();
    let (_, address) = listeners.find(|(transport, _)| *transport == wanted)?;
    Some(*address)
}

async fn accept(transport: Transport, listener: TcpListener, reports: mpsc::Sender<Report>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if reports
                    .send(Report::Accepted(transport, stream, remote))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a SIP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Driver {
    endpoint: Endpoint,
    handler: Box<dyn Handler>,
    tls: Option<TlsSettings>,
    dns: Dns,
    datagrams: Vec<(SocketAddr, Arc<UdpSocket>)>,
    buffer: Box<[u8]>,
    connections: HashMap<ConnectionId, (Connection, Option<IpAddr>)>,
    /// How many connections each source has made to us.
    accepted_by_source: HashMap<IpAddr, usize>,
    /// Of connections; those of messages are the endpoint's.
    complaints: Complaints,
    accepting: Vec<AbortHandle>,
    /// Each has one of the datagram sockets, too.
    hearing: Vec<JoinHandle<()>>,
    common: Common,
}

impl Driver {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut reports: mpsc::Receiver<Report>,
    ) {
        let mut command_batch = Vec::with_capacity(BATCH);
        let mut report_batch = Vec::with_capacity(BATCH);
        let mut closing: Option<oneshot::Sender<()>> = None;
        let mut timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        loop {
            self.carry_out(Instant::now());
            if closing.is_some() && self.endpoint.is_idle() {
                break;
            }
            let has_timer = set(&mut timer, self.endpoint.poll_timeout());
            tokio::select! {
                count = commands.recv_many(&mut command_batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    let now = Instant::now();
                    for command in command_batch.drain(..) {
                        if let Some(done) = self.command(command, now) {
                            closing = Some(done);
                        }
                    }
                }
                _ = reports.recv_many(&mut report_batch, BATCH) => {
                    let now = Instant::now();
                    for report in report_batch.drain(..) {
                        self.report(report, now);
                    }
                }
                () = sockets::readable(&self.datagrams) => self.receive(Instant::now()),
                () = timer.as_mut(), if has_timer => self.endpoint.handle_timeout(Instant::now()),
                () = given_up(&mut closing), if closing.is_some() => break,
            }
        }
        self.end(reports).await;
        // Whoever closed the driver may have gone meanwhile.
        let _ = closing.map(|done| done.send(()));
    }

    fn command(&mut self, command: Command, now: Instant) -> Option<oneshot::Sender<()>> {
        match command {
            Command::Invite(id, invite) => self.endpoint.invite(id, *invite, now),
            Command::Ack(id, body) => self.endpoint.ack(id, body, now),
            Command::Cancel(id) => self.endpoint.cancel(id, now),
            Command::Retract(id) => self.endpoint.retract(id, now),
            Command::Bye(id, headers) => self.endpoint.bye(id, headers, now),
            Command::Answer(id, reply) => self.endpoint.answer(id, *reply, now),
            Command::Respond(transaction, reply) => self.endpoint.respond(transaction, *reply, now),
            Command::Request(id, request) => self.endpoint.request(id, *request, now),
            Command::RequestIn(invite, id, method, headers, content_type, body) => {
                self.endpoint
                    .request_in(invite, id, method, headers, content_type, body, now);
            }
            Command::Subscription(command) => command.carry_out(&mut self.endpoint, now),
            Command::Register(id, register) => self.endpoint.register(id, *register, now),
            Command::Unregister(id) => self.endpoint.unregister(id, now),
            Command::Close(done) => {
                self.endpoint.unregister_all(now);
                self.endpoint.close();
                for task in self.accepting.drain(..) {
                    task.abort();
                }
                return Some(done);
            }
        }
        None
    }

    fn report(&mut self, report: Report, now: Instant) {
        match report {
            Report::Accepted(transport, stream, remote) => {
                self.accepted(transport, stream, remote, now)
            }
            Report::Authenticated(id, remote, domains) => {
                self.endpoint.handle_authenticated(id, remote, domains)
            }
            Report::Received(source, messages) => {
                for message in messages {
                    trace("received", &message, &source.remote);
                    self.endpoint.handle_received(message, source, now);
                }
            }
            Report::Ponged(id) => self.endpoint.handle_pong(id, now),
            Report::Broken(id, matter, error) => {
                if let Some((_, Some(source))) = self.connections.get(&id)
                    && self.complaints.is_due(matter, *source, now)
                {
                    tracing::info!(%source, %error, "a connection is closed; more of them from there are for DEBUG");
                }
            }
            Report::Disconnected(id) => self.disconnected(id, now),
            Report::Untrusted(id) => {
                if self.forget_connection(id) {
                    self.endpoint.handle_untrusted(id, now);
                }
            }
            Report::Unreachable(remote) => self.endpoint.handle_unreachable(remote, now),
            Report::Resolved(question, answer) => {
                self.endpoint.handle_resolved(question, answer, now)
            }
        }
    }

    fn accepted(
        &mut self,
        transport: Transport,
        stream: TcpStream,
        remote: SocketAddr,
        now: Instant,
    ) {
        let source = network_of(remote.ip());
        let of_source = self.accepted_by_source.get(&source).copied();
        let of_source = of_source.unwrap_or(0);
        // The last quarter is for connections that we make.
        let limits = &self.common.limits;
        let most = limits.connections.saturating_sub(limits.connections / 4);
        if self.connections.len() >= most || of_source >= limits.connections_per_source {
            if self.complaints.is_due(Matter::Connection, source, now) {
                tracing::info!(%remote, of_source, "a connection too many is closed; more of them from there are for DEBUG");
            }
            tracing::debug!(%remote, of_source, "a connection too many is closed");
            return;
        }
        self.accepted_by_source
            .insert(source, of_source.saturating_add(1));
        let id = self.endpoint.handle_accepted(transport, remote);
        let origin = Origin::Accepted(stream);
        let tls = self.tls_for(transport);
        let connection = connection::spawn(id, origin, tls, self.common.clone());
        self.connections.insert(id, (connection, Some(source)));
    }

    fn tls_for(&self, transport: Transport) -> Option<TlsSettings> {
        self.tls.clone().filter(|_| transport == Transport::Tls)
    }

    fn disconnected(&mut self, id: ConnectionId, now: Instant) {
        if self.forget_connection(id) {
            self.endpoint.handle_disconnected(id, now);
        }
    }

    /// Whether it was known.
    fn forget_connection(&mut self, id: ConnectionId) -> bool {
        match self.connections.remove(&id) {
            Some((_, source)) => {
                self.forget_source(source);
                true
            }
            None => false,
        }
    }

    fn forget_source(&mut self, source: Option<IpAddr>) {
        if let Some(source) = source
            && let Some(count) = self.accepted_by_source.get_mut(&source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.accepted_by_source.remove(&source);
            }
        }
    }

    fn receive(&mut self, now: Instant) {
        for (local, socket) in &self.datagrams {
            for _ in 0..BATCH {
                let (length, remote) = match socket.try_recv_from(&mut self.buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        tracing::debug!(%error, %local, "cannot receive");
                        break;
                    }
                };
                let datagram = self.buffer.get(..length).unwrap_or_default();
                let message = Message::parse_borrowed(datagram, &self.common.limits.message);
                trace("received", &message, &remote);
                let source = Source {
                    transport: Transport::Udp,
                    local: *local,
                    remote,
                    connection: None,
                };
                self.endpoint.handle_received(message, source, now);
            }
        }
    }

    /// Does what the endpoint wants, until it wants nothing more.
    fn carry_out(&mut self, now: Instant) {
        loop {
            if let Some((id, target)) = self.endpoint.poll_connect() {
                let tls = self.tls_for(target.transport);
                let origin = Origin::Connect(target);
                let connection = connection::spawn(id, origin, tls, self.common.clone());
                self.connections.insert(id, (connection, None));
            } else if let Some(id) = self.endpoint.poll_disconnect() {
                if let Some((connection, source)) = self.connections.remove(&id) {
                    connection.task.abort();
                    self.forget_source(source);
                }
            } else if let Some(transmit) = self.endpoint.poll_transmit() {
                self.transmit(transmit, now);
            } else if let Some((id, question)) = self.endpoint.poll_question() {
                let (dns, reports) = (self.dns.clone(), self.common.reports.clone());
                tokio::spawn(async move {
                    let answer = dns.answer(&question).await;
                    let _ = reports.send(Report::Resolved(id, answer)).await;
                });
            } else if let Some(event) = self.endpoint.poll_event() {
                let pending = event.pending();
                if let (Err(status), Some(pending)) = (self.handler.handle(event), pending) {
                    tracing::debug!(%status, "nobody has room for a request");
                    self.endpoint.refuse(pending, status, now);
                }
            } else {
                return;
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit, now: Instant) {
        tracing::trace!(target: "wire", destination = ?transmit.destination, start = %start_line(&transmit.payload), "send");
        match transmit.destination {
            Destination::Datagram { local, remote } => {
                let Some((_, socket)) = self.datagrams.iter().find(|(bound, _)| *bound == local)
                else {
                    return;
                };
                match sockets::send(socket, &transmit.payload, remote) {
                    Ok(_) => {}
                    // As good as lost on the way: timers bring it again.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        tracing::debug!(%remote, "no room for a datagram");
                    }
                    Err(error) => {
                        tracing::debug!(%remote, %error, "cannot send");
                        self.endpoint.handle_transmit_failed(&transmit, now);
                    }
                }
            }
            Destination::Connection(id) => match self.connections.get(&id) {
                Some((connection, _)) => {
                    if connection.queue.push(transmit.payload).is_err() {
                        tracing::debug!(?id, "the peer does not read, its connection is closed");
                        connection.task.abort();
                        self.disconnected(id, now);
                    }
                }
                None => self.endpoint.handle_transmit_failed(&transmit, now),
            },
        }
    }

    /// Lets the connections write what is left.
    async fn end(mut self, reports: mpsc::Receiver<Report>) {
        // Reports find nobody any more, so that no task waits for room.
        drop(reports);
        for task in self.accepting.drain(..) {
            task.abort();
        }
        for task in self.hearing.drain(..) {
            task.abort();
            // Aborted is how it is meant to end.
            let _ = task.await;
        }
        let until = tokio::time::Instant::now() + FAREWELL;
        for (_, (connection, _)) in self.connections.drain() {
            drop(connection.queue);
            let mut task = connection.task;
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Sets the timer; whether there is anything to wait for. One waking serves all that is due a little earlier.
fn set(timer: &mut Pin<Box<Sleep>>, deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline.map(tokio::time::Instant::from_std) else {
        return false;
    };
    let latest = deadline + LATENESS;
    if timer.deadline() < deadline || timer.deadline() > latest {
        timer.as_mut().reset(latest);
    }
    true
}

/// Waits until nobody waits for the end any more.
async fn given_up(closing: &mut Option<oneshot::Sender<()>>) {
    match closing {
        Some(done) => done.closed().await,
        None => std::future::pending().await,
    }
}

fn trace(what: &str, message: &Result<Message, ParseError>, remote: &SocketAddr) {
    match message {
        Ok(Message::Request(request)) => {
            tracing::trace!(target: "wire", %remote, method = %request.method, uri = %request.uri, "{what}");
        }
        Ok(Message::Response(response)) => {
            tracing::trace!(target: "wire", %remote, status = %response.status, "{what}");
        }
        Err(error) => tracing::trace!(target: "wire", %remote, %error, "{what}"),
    }
}

fn start_line(payload: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = payload
        .iter()
        .position(|byte| *byte == b'\r')
        .unwrap_or(payload.len());
    String::from_utf8_lossy(payload.get(..end).unwrap_or_default())
}
