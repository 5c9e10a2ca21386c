//! What is measured: how each is configured and started.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child::Process;
use crate::component::SECRET;
use crate::wire::{GATEWAY, PEERS};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// The floor of any component: bytes in, bytes out.
    Echo,
    /// The floor of a gateway to MSRP.
    RawMsrp,
    /// The floor of a gateway to MESSAGE.
    RawMessage,
    StoxMsrp,
    StoxMessage,
    /// With SIP by TCP: rosters do not fit into datagrams.
    StoxRooms,
    Kamailio,
}

/// Where a gateway finds everything, and where it is found.
pub struct Place<'a> {
    pub folder: &'a Path,
    pub core: Option<usize>,
    pub server: SocketAddr,
    /// Of the SIP users.
    pub sip_users: u16,
    pub msrp_users: u16,
    /// Of the gateway.
    pub sip: u16,
    pub msrp: u16,
    /// Sessions that a raw bridge opens.
    pub sessions: usize,
    pub stox: &'a Path,
}

impl Gateway {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Gateway::Echo => "raw echo",
            Gateway::RawMsrp | Gateway::RawMessage => "raw bridge",
            Gateway::StoxMsrp | Gateway::StoxMessage | Gateway::StoxRooms => "stox",
            Gateway::Kamailio => "Kamailio",
        }
    }

    /// Starts it.
    pub fn start(self, place: &Place<'_>) -> io::Result<Process> {
        fs::create_dir_all(place.folder)?;
        match self {
            Gateway::Echo => floor(place, &["echo", &place.server.to_string()]),
            Gateway::RawMsrp => bridge(place, place.sessions),
            Gateway::RawMessage => bridge(place, 0),
            Gateway::StoxMsrp => stox(place, "msrp", "udp"),
            Gateway::StoxMessage => stox(place, "message", "udp"),
            Gateway::StoxRooms => stox(place, "msrp", "tcp"),
            Gateway::Kamailio => kamailio(place),
        }
    }
}

/// This program itself, as one of the floors.
fn floor(place: &Place<'_>, arguments: &[&str]) -> io::Result<Process> {
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let command: Vec<String> = std::iter::once(own)
        .chain(arguments.iter().map(|argument| (*argument).to_owned()))
        .collect();
    Process::start(&command, &[], place.core, place.folder, "gateway.log")
}

fn bridge(place: &Place<'_>, sessions: usize) -> io::Result<Process> {
    let numbers = [place.sip, place.sip_users, place.msrp_users].map(|port| port.to_string());
    let [sip, sip_users, msrp_users] = &numbers;
    let (server, sessions) = (place.server.to_string(), sessions.to_string());
    floor(
        place,
        &["bridge", &server, sip, sip_users, msrp_users, &sessions],
    )
}

fn stox(place: &Place<'_>, mode: &str, transport: &str) -> io::Result<Process> {
    let config = format!(
        r#"log = "info"
[xmpp]
server = "{server}"
domain = "{GATEWAY}"
secret = "{SECRET}"
[sip]
listen = ["{transport}:127.0.0.1:{sip}"]
default_domain = "{PEERS}"
outbound_proxy = "sip:127.0.0.1:{sip_users};transport={transport}"
[msrp]
listen = ["tcp:127.0.0.1:{msrp}"]
[chat]
mode = "{mode}"
"#,
        server = place.server,
        sip = place.sip,
        sip_users = place.sip_users,
        msrp = place.msrp,
    );
    let path = place.folder.join("stox.toml");
    fs::write(&path, config)?;
    let command = [
        place.stox.to_string_lossy().into_owned(),
        "run".into(),
        "--config".into(),
        path.to_string_lossy().into_owned(),
    ];
    let environment = [("NO_COLOR".to_owned(), "1".to_owned())];
    Process::start(
        &command,
        &environment,
        place.core,
        place.folder,
        "gateway.log",
    )
}

/// Debian's, in component mode, with the memory it needs and the preload that keeps it alive (see the README).
fn kamailio(place: &Place<'_>) -> io::Result<Process> {
    let preload = preload(place.folder)?;
    let modules = ["sl", "tm", "rr", "maxfwd", "textops", "xmpp"]
        .map(|name| format!("loadmodule \"{name}.so\"\n"))
        .concat();
    let config = format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=4
auto_aliases=no
listen=udp:127.0.0.1:{sip}
disable_tcp=yes
dns=no
rev_dns=no
use_dns_cache=no
{modules}
modparam("xmpp", "backend", "component")
modparam("xmpp", "xmpp_domain", "{GATEWAY}")
modparam("xmpp", "xmpp_host", "127.0.0.1")
modparam("xmpp", "xmpp_port", {xmpp})
modparam("xmpp", "xmpp_password", "{SECRET}")
modparam("xmpp", "gateway_domain", "{GATEWAY}")
modparam("xmpp", "gwmap", "{PEERS}={GATEWAY}")
modparam("xmpp", "outbound_proxy", "sip:127.0.0.1:{sip_users}")
request_route {{
	if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
	if (is_method("MESSAGE")) {{
		if (!t_newtran()) {{ sl_reply_error(); exit; }}
		if (xmpp_send_message()) {{ t_reply("202", "Accepted"); }} else {{ t_reply("404", "Not found"); }}
		exit;
	}}
	sl_send_reply("405", "Method Not Allowed");
}}
"#,
        sip = place.sip,
        xmpp = place.server.port(),
        sip_users = place.sip_users,
    );
    let path = place.folder.join("kamailio.cfg");
    fs::write(&path, config)?;
    let folder = place.folder.to_string_lossy().into_owned();
    let path = path.to_string_lossy().into_owned();
    // With the default 64 MB of shared memory it loses messages without a word.
    let command = [
        "/usr/sbin/kamailio",
        "-DD",
        "-E",
        "-m",
        "4096",
        "-M",
        "64",
        "-Y",
        &folder,
        "-f",
        &path,
    ];
    let environment = [(
        "LD_PRELOAD".to_owned(),
        preload.to_string_lossy().into_owned(),
    )];
    Process::start(
        &command.map(String::from),
        &environment,
        place.core,
        place.folder,
        "gateway.log",
    )
}

fn preload(folder: &Path) -> io::Result<PathBuf> {
    let source = folder.join("expat-end.c");
    fs::write(&source, include_str!("../kamailio/expat-end.c"))?;
    let library = folder.join("expat-end.so");
    let status = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()?;
    match status.success() {
        true => Ok(library),
        false => Err(io::Error::other("cc cannot build Kamailio's preload")),
    }
}

/// Brings Debian's Kamailio if it is missing, without letting it start as a service.
pub fn install_kamailio() -> io::Result<()> {
    let modules = fs::read_dir("/usr/lib").into_iter().flatten();
    let has_module = modules
        .filter_map(|entry| Some(entry.ok()?.path()))
        .any(|path| path.join("kamailio/modules/xmpp.so").exists());
    if has_module && Path::new("/usr/sbin/kamailio").exists() {
        return Ok(());
    }
    let script = r#"
policy=/usr/sbin/policy-rc.d ours=false status=0
if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; ours=true; fi
apt-get update -q && DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends kamailio kamailio-xmpp-modules || status=$?
if $ours; then rm -f $policy; fi
exit $status
"#;
    let output = Command::new("sh").args(["-c", script]).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}
