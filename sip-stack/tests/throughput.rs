//! How long a MESSAGE and its answer take between two drivers. Run by hand, in release:
//! `cargo test --release -p stox-sip --test throughput -- --ignored --nocapture`.

#![cfg(feature = "tokio")]

use std::time::Instant;

use stox_sip::{
    DriverConfig, Event, Method, NameAddr, OutgoingRequest, Reply, Sip, Status, Transport, Uri,
    bind,
};
use tokio::sync::mpsc;

const MESSAGES: usize = 100_000;
const UNDER_WAY: usize = 500;

#[tokio::test]
#[ignore = "measures, decides nothing"]
async fn messages_per_second() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (romeo, mut requests) = agent(transport).await;
        let (juliet, mut answers) = agent(transport).await;
        let address = romeo.local_addresses()[0].1;
        let target: Uri = format!("sip:romeo@{address};transport={}", transport.as_param())
            .parse()
            .unwrap();
        tokio::spawn(async move {
            while let Some(event) = requests.recv().await {
                let Event::Requested { transaction, .. } = event else {
                    continue;
                };
                romeo.respond(transaction, Reply::new(Status::OK)).await;
            }
        });
        let started = (Instant::now(), cpu_seconds());
        let (mut sent, mut done, mut lost) = (0, 0, 0);
        while done < MESSAGES {
            while sent < MESSAGES && sent - done < UNDER_WAY {
                juliet
                    .request(juliet.reserve_request(), message(&target))
                    .await;
                sent += 1;
            }
            match answers.recv().await {
                Some(Event::Responded { .. }) => done += 1,
                Some(Event::RequestFailed { .. }) => (done, lost) = (done + 1, lost + 1),
                event => panic!("{event:?}"),
            }
        }
        let elapsed = started.0.elapsed().as_secs_f64();
        let cpu = (cpu_seconds() - started.1) / MESSAGES as f64 * 1e6;
        println!(
            "{transport}: {:.0} messages/s, {cpu:.1} µs CPU both sides, {lost} lost",
            MESSAGES as f64 / elapsed
        );
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
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
