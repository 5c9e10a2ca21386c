//! The gateway with an allocator that counts, for the load program: `stox-counted run --config FILE`. At each SIGUSR1
//! it writes how many times memory was asked for so far into `allocations` in its folder.

use std::alloc::System;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use stox::config::Config;
use stox::gateway::Gateway;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::main]
async fn main() -> ExitCode {
    let path = std::env::args().nth(3).unwrap_or_default();
    match run(Path::new(&path)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stox-counted: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(path)?;
    stox::logging::init(&config.log)?;
    let gateway = Gateway::start(&config).await?;
    let mut asked = signal(SignalKind::user_defined1())?;
    let mut ended = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = asked.recv() => {
                let counted = COUNTING.stats();
                let count = counted.allocations + counted.reallocations;
                // In one step, so that nobody reads half a number.
                fs::write("allocations.new", count.to_string())?;
                fs::rename("allocations.new", "allocations")?;
            }
            _ = ended.recv() => break,
        }
    }
    gateway.shut_down().await;
    Ok(())
}
