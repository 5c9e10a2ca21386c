//! The `stox` program: reads the command line, runs the gateway until it is told to stop.

use std::future::Future;
use std::process::ExitCode;

use stox::admin::Admin;
use stox::cli::{self, Command, ConfigFile, FAILURE, MISCONFIGURED, SUCCESS};
use stox::config::Config;
use stox::gateway::Gateway;
use stox::{check, logging};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

fn main() -> ExitCode {
    // The one cryptography of the whole process; nothing else is in it that could have been installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ExitCode::from(match cli::parse() {
        Command::Run(file) => with_config(&file, run),
        Command::Check(file) => with_config(&file, check),
    })
}

fn with_config<F: Future<Output = u8>>(file: &ConfigFile, command: impl FnOnce(Config) -> F) -> u8 {
    let config = match Config::load(&file.path) {
        Ok(config) => config,
        Err(wrong) => {
            eprintln!("stox: {wrong}");
            return MISCONFIGURED;
        }
    };
    if let Err(wrong) = logging::init(&config.log) {
        eprintln!("stox: {}: log: {wrong}", file.path.display());
        return MISCONFIGURED;
    }
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => finish(runtime, command(config)),
        Err(wrong) => {
            eprintln!("stox: the system gives no threads: {wrong}");
            FAILURE
        }
    }
}

/// Runs the command, and does not wait for what it leaves behind: a lookup of a name, which the system makes in a thread
/// of its own, can take longer than an operator has patience.
fn finish(runtime: Runtime, command: impl Future<Output = u8>) -> u8 {
    let status = runtime.block_on(command);
    runtime.shutdown_background();
    status
}

async fn check(config: Config) -> u8 {
    if check::check(&config).await {
        SUCCESS
    } else {
        FAILURE
    }
}

async fn run(config: Config) -> u8 {
    let mut stops = match Stops::new() {
        Ok(stops) => stops,
        Err(wrong) => {
            error!(error = %wrong, "signals cannot be waited for");
            return FAILURE;
        }
    };
    let gateway = match Gateway::start(&config).await {
        Ok(gateway) => gateway,
        Err(wrong) => {
            error!("{wrong}");
            return FAILURE;
        }
    };
    let admin = match &config.admin {
        Some(admin) => match Admin::spawn(admin.listen, gateway.ready()).await {
            Ok(admin) => Some(admin),
            Err(wrong) => {
                error!(address = %admin.listen, error = %wrong, "admin.listen: cannot listen");
                return FAILURE;
            }
        },
        None => None,
    };
    let mut ready = gateway.ready();
    tokio::select! {
        () = until_ready(&mut ready) => {
            info!(version = env!("CARGO_PKG_VERSION"), domain = config.xmpp.domain, "ready");
            tell_systemd(&[sd_notify::NotifyState::Ready]);
            stops.next().await;
        }
        () = stops.next() => {}
    }
    info!(timeout = ?config.shutdown_timeout, "stopping: a second signal ends at once");
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    let status = tokio::select! {
        () = gateway.shut_down() => SUCCESS,
        () = stops.next() => {
            warn!("ended at once, without goodbye");
            FAILURE
        }
    };
    drop(admin);
    info!("stopped");
    status
}

/// What is borrowed from the channel while it is looked at must be gone before the next change of readiness.
async fn until_ready(ready: &mut watch::Receiver<bool>) {
    if ready.wait_for(|up| *up).await.is_err() {
        std::future::pending().await
    }
}

fn tell_systemd(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(wrong) = sd_notify::notify(state) {
        warn!(error = %wrong, "systemd cannot be told");
    }
}

/// SIGTERM and SIGINT.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn new() -> std::io::Result<Stops> {
        Ok(Stops {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    #[test]
    fn a_lookup_under_way_does_not_hold_up_the_end() {
        const LOOKUP: Duration = Duration::from_secs(20);
        let (answer, lookup) = mpsc::channel::<()>();
        let begin = Instant::now();
        let status = finish(Runtime::new().unwrap(), async {
            tokio::task::spawn_blocking(move || lookup.recv_timeout(LOOKUP));
            SUCCESS
        });
        assert_eq!(status, SUCCESS);
        assert!(begin.elapsed() < LOOKUP / 2, "{:?}", begin.elapsed());
        drop(answer);
    }
}
