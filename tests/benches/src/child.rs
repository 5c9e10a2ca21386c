//! Programs that a run starts: on one core, logged into a file, ended by process id, never left behind. And what the
//! operating system says of them.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A running program. It dies with the load program even if that is killed.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` on that core (`None`: on any) in `folder`, with all it says in `log` there.
    pub fn start(
        command: &[String],
        environment: &[(String, String)],
        core: Option<usize>,
        folder: &Path,
        log: &str,
    ) -> io::Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join(log))?;
        let mut whole = Command::new("setpriv");
        whole.args(["--pdeathsig", "KILL"]);
        if let Some(core) = core {
            whole.args(["taskset", "-c", &core.to_string()]);
        }
        let child = whole
            .args(command)
            .envs(environment.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Process { child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// CPU time it and its own children have used so far.
    pub fn cpu(&self) -> Duration {
        family(self.id()).into_iter().map(cpu_of).sum()
    }

    /// Resident bytes of it and its own children.
    pub fn resident(&self) -> u64 {
        family(self.id()).into_iter().map(resident_of).sum()
    }

    /// Sends it a signal, by the name `kill` knows.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        // It may have ended by itself, which its owner notices.
        let _ = Command::new("kill").args(["-s", name, &id]).status();
    }

    /// Ends it: SIGTERM, and SIGKILL to what does not heed it within five seconds.
    pub fn stop(&mut self) {
        if !self.is_running() {
            return;
        }
        let family = family(self.id());
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.is_running() && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        for id in family {
            if Path::new(&format!("/proc/{id}")).exists() && self.is_running() {
                let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            }
        }
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The process and its own children.
fn family(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    std::iter::once(id).chain(children).collect()
}

/// In nanoseconds where the kernel counts them for each thread, else in its ticks.
fn cpu_of(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    let nanos = threads
        .into_iter()
        .flatten()
        .filter_map(|thread| {
            let path = thread.ok()?.path().join("schedstat");
            let text = fs::read_to_string(path).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    match nanos {
        0 => ticks_of(id),
        nanos => Duration::from_nanos(nanos),
    }
}

fn ticks_of(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in brackets may hold spaces.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that Rust runs on.
    Duration::from_millis(ticks * 10)
}

fn resident_of(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
