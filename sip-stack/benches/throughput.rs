//! How long a MESSAGE and its answer take between two drivers, beside a floor: the same bytes between two bare sockets,
//! as many under way, on one thread too. `cargo bench -p stox-sip --bench throughput`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stox_sip::{
    DriverConfig, Event, Method, NameAddr, OutgoingRequest, Reply, Sip, Status, Transport, Uri,
    bind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};

const UNDER_WAY: usize = 500;
/// Most messages in one write, as in the driver.
const BATCH: usize = 64;
/// What a datagram that has not come by then has become: lost.
const PATIENCE: Duration = Duration::from_millis(200);

fn main() {
    // Without it this is a test of the benchmark itself.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let messages = if is_bench { 100_000 } else { 1_000 };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for transport in [Transport::Udp, Transport::Tcp] {
        runtime.block_on(async {
            let bytes = exchange(transport).await;
            let floor = match transport {
                Transport::Tcp => floor_of_tcp(bytes.clone(), messages).await,
                _ => floor_of_udp(bytes.clone(), messages).await,
            };
            let drivers = drivers(transport, messages).await;
            if is_bench {
                println!(
                    "{transport}, {} bytes there, {} back",
                    bytes.0.len(),
                    bytes.1.len()
                );
                println!("  floor    {floor}");
                println!("  drivers  {drivers}");
                println!("  {:.1} times the floor", drivers.cpu / floor.cpu);
            }
        });
    }
}

/// What one run took.
struct Figures {
    per_second: f64,
    /// µs of both sides for each message.
    cpu: f64,
    lost: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures {
            per_second,
            cpu,
            lost,
        } = self;
        write!(
            f,
            "{per_second:>8.0} messages/s, {cpu:>5.1} µs CPU both sides, {lost} lost"
        )
    }
}

struct Stopwatch {
    began: Instant,
    cpu: f64,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    fn stop(&self, messages: usize, lost: usize) -> Figures {
        Figures {
            per_second: messages as f64 / self.began.elapsed().as_secs_f64(),
            cpu: (cpu_seconds() - self.cpu) / messages as f64 * 1e6,
            lost,
        }
    }
}

async fn drivers(transport: Transport, messages: usize) -> Figures {
    let (romeo, mut requests) = agent(transport).await;
    let (juliet, mut answers) = agent(transport).await;
    let target = target(romeo.local_addresses()[0].1, transport);
    tokio::spawn(async move {
        while let Some(event) = requests.recv().await {
            if let Event::Requested { transaction, .. } = event {
                romeo.respond(transaction, Reply::new(Status::OK)).await;
            }
        }
    });
    let watch = Stopwatch::start();
    let (mut sent, mut done, mut lost) = (0, 0, 0);
    while done < messages {
        while sent < messages && sent - done < UNDER_WAY {
            let id = juliet.reserve_request();
            juliet.request(id, message(&target)).await;
            sent += 1;
        }
        match answers.recv().await {
            Some(Event::Responded { .. }) => done += 1,
            Some(Event::RequestFailed { .. }) => (done, lost) = (done + 1, lost + 1),
            event => panic!("{event:?}"),
        }
    }
    watch.stop(messages, lost)
}

type Exchange = (Arc<[u8]>, Arc<[u8]>);

async fn floor_of_udp((request, response): Exchange, messages: usize) -> Figures {
    let (juliet, romeo) = (datagram_socket(), datagram_socket());
    juliet.connect(romeo.local_addr().unwrap()).await.unwrap();
    let answers = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((_, from)) = romeo.recv_from(&mut buffer).await {
            romeo.send_to(&response, from).await.unwrap();
        }
    });
    let mut buffer = vec![0; 65_536];
    let watch = Stopwatch::start();
    let (mut sent, mut done, mut lost) = (0, 0, 0);
    while done < messages {
        while sent < messages && sent - done < UNDER_WAY {
            juliet.send(&request).await.unwrap();
            sent += 1;
        }
        match tokio::time::timeout(PATIENCE, juliet.recv(&mut buffer)).await {
            Ok(received) => {
                received.unwrap();
                done += 1;
            }
            Err(_) => (done, lost) = (sent, lost + sent - done),
        }
    }
    let figures = watch.stop(messages, lost);
    answers.abort();
    figures
}

async fn floor_of_tcp((request, response): Exchange, messages: usize) -> Figures {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let juliet = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (romeo, _) = listener.accept().await.unwrap();
    for stream in [&juliet, &romeo] {
        stream.set_nodelay(true).unwrap();
    }
    let (length, answer) = (request.len(), response.len());
    let (mut from_juliet, mut to_juliet) = romeo.into_split();
    tokio::spawn(async move {
        let (mut count, responses) = (Counter::new(length), response.repeat(BATCH));
        while let Some(mut due) = count.read(&mut from_juliet).await {
            while due > 0 {
                let now = due.min(BATCH);
                to_juliet
                    .write_all(&responses[..now * answer])
                    .await
                    .unwrap();
                due -= now;
            }
        }
    });
    let (mut from_romeo, mut to_romeo) = juliet.into_split();
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let watch = Stopwatch::start();
    let permits = room.clone();
    tokio::spawn(async move {
        let requests = request.repeat(BATCH);
        let mut left = messages;
        while left > 0 {
            permits.acquire().await.unwrap().forget();
            let more = permits.available_permits().min(BATCH - 1).min(left - 1);
            permits.try_acquire_many(more as u32).unwrap().forget();
            to_romeo
                .write_all(&requests[..(more + 1) * length])
                .await
                .unwrap();
            left -= more + 1;
        }
        // Until the last answer is read, the other half must not close.
        permits
            .acquire_many(UNDER_WAY as u32)
            .await
            .unwrap()
            .forget();
    });
    let (mut count, mut done) = (Counter::new(answer), 0);
    while done < messages {
        let came = count.read(&mut from_romeo).await.unwrap();
        room.add_permits(came);
        done += came;
    }
    watch.stop(messages, 0)
}

/// Counts messages of one length in a stream.
struct Counter {
    length: usize,
    begun: usize,
    buffer: Vec<u8>,
}

impl Counter {
    fn new(length: usize) -> Self {
        Self {
            length,
            begun: 0,
            buffer: vec![0; 16 * 1024],
        }
    }

    /// How many more have come; none at the end.
    async fn read(&mut self, stream: &mut (impl AsyncReadExt + Unpin)) -> Option<usize> {
        let read = stream.read(&mut self.buffer).await.ok()?;
        self.begun += read;
        let whole = self.begun / self.length;
        self.begun %= self.length;
        (read > 0).then_some(whole)
    }
}

/// A socket with as much room as the driver's.
fn datagram_socket() -> UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 * 1024 * 1024);
    UdpSocket::from_std(socket).unwrap()
}

/// The bytes of a MESSAGE and of its answer, seen between two drivers.
async fn exchange(transport: Transport) -> Exchange {
    let (romeo, mut requests) = agent(transport).await;
    let (juliet, _answers) = agent(transport).await;
    let address = romeo.local_addresses()[0].1;
    tokio::spawn(async move {
        if let Some(Event::Requested { transaction, .. }) = requests.recv().await {
            romeo.respond(transaction, Reply::new(Status::OK)).await;
        }
        // The driver lives as long as its handle.
        requests.recv().await;
    });
    let mut buffer = vec![0; 65_536];
    if transport == Transport::Udp {
        let between = datagram_socket();
        let target = target(between.local_addr().unwrap(), transport);
        juliet
            .request(juliet.reserve_request(), message(&target))
            .await;
        let length = between.recv(&mut buffer).await.unwrap();
        let request: Arc<[u8]> = buffer[..length].into();
        between.send_to(&request, address).await.unwrap();
        let length = between.recv(&mut buffer).await.unwrap();
        return (request, buffer[..length].into());
    }
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(between.local_addr().unwrap(), transport);
    juliet
        .request(juliet.reserve_request(), message(&target))
        .await;
    let (mut from_juliet, _) = between.accept().await.unwrap();
    let length = from_juliet.read(&mut buffer).await.unwrap();
    let request: Arc<[u8]> = buffer[..length].into();
    let mut to_romeo = TcpStream::connect(address).await.unwrap();
    to_romeo.write_all(&request).await.unwrap();
    let length = to_romeo.read(&mut buffer).await.unwrap();
    (request, buffer[..length].into())
}

/// What this thread has run, which is all there is: the runtime has no other.
fn cpu_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split_whitespace().next();
    nanoseconds
        .and_then(|nanoseconds| nanoseconds.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1e9
}

async fn agent(transport: Transport) -> (Sip, mpsc::UnboundedReceiver<Event>) {
    let (sender, events) = mpsc::unbounded_channel();
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    let listen = vec![(transport, "127.0.0.1:0".parse().unwrap())];
    let config = DriverConfig {
        listen,
        ..DriverConfig::default()
    };
    (bind(config, handler).await.unwrap(), events)
}

fn target(address: SocketAddr, transport: Transport) -> Uri {
    format!("sip:romeo@{address};transport={}", transport.as_param())
        .parse()
        .unwrap()
}

fn message(target: &Uri) -> OutgoingRequest {
    let from = NameAddr::new("sip:juliet@example.com".parse().unwrap());
    let mut request = OutgoingRequest::new(
        Method::Message,
        target.clone(),
        from,
        NameAddr::new(target.clone()),
    );
    (request.content_type, request.body) = ("text/plain".into(), "x".repeat(300).into());
    request
}
