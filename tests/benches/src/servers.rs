//! Private XMPP servers: empty, on loopback, all in one folder, on one core.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::Process;
use crate::component::SECRET;
use crate::wire::{GATEWAY, USERS};

/// Where Prosody has its rooms.
pub const ROOMS: &str = "rooms.bench";

/// The servers a gateway can be measured behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Prosody,
    Ejabberd,
}

/// A running server.
pub struct Server {
    #[expect(dead_code, reason = "it runs as long as this lives")]
    process: Process,
    /// Where components connect.
    pub components: SocketAddr,
}

impl Kind {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prosody => "Prosody",
            Kind::Ejabberd => "ejabberd",
        }
    }

    /// Starts one afresh in an empty folder; returns when components can connect.
    pub fn start(self, folder: &Path, core: Option<usize>) -> io::Result<Server> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let components = SocketAddr::from(([127, 0, 0, 1], port));
        let mut process = match self {
            Kind::Prosody => prosody(folder, port, core)?,
            Kind::Ejabberd => ejabberd(folder, port, core)?,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(components).is_err() {
            if !process.is_running() || Instant::now() > deadline {
                let folder = folder.display();
                return Err(io::Error::other(format!(
                    "{} did not start: see {folder}",
                    self.name()
                )));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(Server {
            process,
            components,
        })
    }
}

/// A port nobody has just now.
pub fn free_port() -> io::Result<u16> {
    // One that neither protocol uses: SIP listens on both.
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = tcp.local_addr()?.port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

fn prosody(folder: &Path, port: u16, core: Option<usize>) -> io::Result<Process> {
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    let components = [GATEWAY, USERS]
        .map(|name| format!("Component \"{name}\"\n\tcomponent_secret = \"{SECRET}\"\n"))
        .concat();
    let config = format!(
        r#"run_as_root = true
daemonize = false
data_path = "{}"
pidfile = "{}"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
s2s_ports = {{ }}
component_interface = "127.0.0.1"
component_ports = {{ {port} }}
modules_enabled = {{ "message", "presence", "iq" }}
modules_disabled = {{ "s2s", "tls", "c2s", "posix_daemonize" }}
log = {{ {{ levels = {{ min = "warn" }}, to = "console" }} }}
VirtualHost "bench"
{components}Component "{ROOMS}" "muc"
	muc_room_locking = false
"#,
        data.display(),
        folder.join("prosody.pid").display()
    );
    let path = folder.join("prosody.cfg.lua");
    fs::write(&path, config)?;
    let command = [
        "/usr/bin/prosody",
        "-F",
        "--config",
        &path.to_string_lossy(),
    ];
    Process::start(&command.map(String::from), &[], core, folder, "prosody.log")
}

/// One Erlang machine without distribution, so no epmd is started or used.
fn ejabberd(folder: &Path, port: u16, core: Option<usize>) -> io::Result<Process> {
    let config = format!(
        r#"loglevel: warning
hosts: [bench]
listen:
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    global_routes: false
    shaper: none
    hosts:
      {GATEWAY}:
        password: {SECRET}
      {USERS}:
        password: {SECRET}
s2s_access: none
auth_method: internal
default_db: mnesia
acme:
  auto: false
modules: {{}}
"#
    );
    fs::write(folder.join("ejabberd.yml"), config)?;
    let mnesia = format!("\"{}\"", folder.join("mnesia").display());
    let command = [
        "/usr/bin/erl",
        "-noinput",
        "+K",
        "true",
        "-mnesia",
        "dir",
        &mnesia,
        "-s",
        "ejabberd",
    ];
    let libraries = ejabberd_libraries()?;
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let environment = [
        ("EJABBERD_CONFIG_PATH", path("ejabberd.yml")),
        ("EJABBERD_LOG_PATH", path("ejabberd-own.log")),
        ("ERL_CRASH_DUMP", path("crash.dump")),
        ("ERL_LIBS", libraries.to_string_lossy().into_owned()),
        ("HOME", folder.to_string_lossy().into_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    Process::start(
        &command.map(String::from),
        &environment,
        core,
        folder,
        "ejabberd.log",
    )
}

/// The folder that holds `ejabberd-<version>`.
fn ejabberd_libraries() -> io::Result<PathBuf> {
    let is_ejabberd = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ejabberd-") && path.join("ebin").is_dir()
    };
    let folders = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect::<Vec<_>>()
    };
    let lib = Path::new("/usr/lib");
    let of_machines = folders(lib).into_iter().flat_map(|path| folders(&path));
    let mut all = folders(lib).into_iter().chain(of_machines);
    let found = all.find(is_ejabberd);
    found
        .and_then(|path| Some(path.parent()?.to_owned()))
        .ok_or_else(|| io::Error::other("ejabberd's libraries are not below /usr/lib"))
}
