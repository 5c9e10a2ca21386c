//! A SIP user for the terminal that chats over MSRP: what is typed goes to the current chat, what comes is printed.
//!
//! ```text
//! cargo run -p stox-sip --example sip-chat -- --me sip:romeo@example.net --listen 127.0.0.1:5080
//! ```
//!
//! Shell: carries lines, SIP events and MSRP events to the [`User`] one by one.

mod chat;
mod media;
mod options;
mod queue;
mod screen;
mod user;

use std::process::ExitCode;
use std::time::Duration;

use stox_msrp::node::{Node, NodeConfig};
use stox_sip::{DriverConfig, Sip, Transport};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use options::{Options, Start};
use queue::SipInbox;
use user::{User, Wish};

/// How long goodbyes may take.
const FAREWELL: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Start::Run(options)) => options,
        Ok(Start::Help) => {
            println!("{}\n\n{}", options::USAGE, user::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("sip-chat: {error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(*options).await {
        Ok(Outcome::AllDelivered) => ExitCode::SUCCESS,
        Ok(Outcome::NotAllDelivered) => ExitCode::FAILURE,
        Err(error) => {
            screen::trouble(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// What became of what was typed.
enum Outcome {
    AllDelivered,
    NotAllDelivered,
}

async fn run(options: Options) -> Result<Outcome, Box<dyn std::error::Error>> {
    let (queue, mut happenings) = queue::queue();
    let node = Node::bind(NodeConfig {
        listen: vec![options.msrp],
        ..NodeConfig::default()
    })
    .await?;
    let sip = stox_sip::bind(driver_config(&options), SipInbox(queue.clone())).await?;
    tell_addresses(&options, &sip, &node);

    let mut user = User::new(options.me, sip.clone(), node.clone(), queue);
    let mut lines = typed_lines();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    while !user.is_done() {
        tokio::select! {
            Some(entry) = happenings.recv() => user.on(entry.happened).await,
            line = lines.recv(), if user.wants_lines() => match line {
                Some(line) => user.obey(&line).await,
                None => user.leave(Wish::LeaveWhenDelivered).await,
            },
            _ = interrupt.recv() => user.leave(Wish::LeaveNow).await,
            _ = terminate.recv() => user.leave(Wish::LeaveNow).await,
        }
    }
    let outcome = if user.lost_anything() {
        Outcome::NotAllDelivered
    } else {
        Outcome::AllDelivered
    };
    drop(user);
    let _ = timeout(FAREWELL, async {
        sip.close().await;
        node.close().await;
    })
    .await;
    Ok(outcome)
}

fn driver_config(options: &Options) -> DriverConfig {
    DriverConfig {
        listen: vec![
            (Transport::Udp, options.listen),
            (Transport::Tcp, options.listen),
        ],
        outbound_proxy: options.proxy.clone(),
        user_agent: concat!("sip-chat/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..DriverConfig::default()
    }
}

fn tell_addresses(options: &Options, sip: &Sip, node: &Node) {
    let mut addresses: Vec<String> = Vec::new();
    addresses.extend(
        sip.local_addresses()
            .iter()
            .map(|(transport, address)| format!("{transport} {address}")),
    );
    addresses.extend(
        node.local_addresses()
            .iter()
            .map(|address| format!("MSRP {address}")),
    );
    screen::note(&format!(
        "{}: listening on {}",
        options.me,
        addresses.join(", ")
    ));
}

/// The lines of standard input, read by a thread of its own because reading them cannot be interrupted.
fn typed_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
