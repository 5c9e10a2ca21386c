//! The configuration file, with what the environment puts over it.
//!
//! Every key has a type here and is checked when the file is read; a mistake is one message that names the place, the
//! key and what was expected. `STOX_XMPP__SECRET` in the environment is the key `xmpp.secret`.

mod certificates;
mod error;
mod load;
mod passwords;
mod validity;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use stox_sip::{Host, IpNetwork, Transport, Uri};

pub use certificates::Certificates;
pub use error::ConfigError;
pub use passwords::{OwnPassword, UserAddress, UserPassword};

use crate::address::{AddressStyle, Jid};

/// Everything an operator can choose.
#[derive(Clone, Debug)]
pub struct Config {
    /// The link to the XMPP server.
    pub xmpp: Xmpp,
    /// The SIP side.
    pub sip: Sip,
    /// MSRP sessions.
    pub msrp: Msrp,
    /// What the files of `[sip.tls]` hold; SIP and MSRP use the same.
    pub certificates: Option<Certificates>,
    /// What `[[sip.credentials]]` names, passwords read: answers to challenges of SIP servers.
    pub credentials: Vec<stox_sip::Credentials>,
    /// What `[[sip.users]]` names, passwords read: who is challenged.
    pub authentication: Vec<stox_sip::Authentication>,
    /// One-to-one chat.
    pub chat: Chat,
    /// The listener for health and metrics, if one is wanted.
    pub admin: Option<Admin>,
    /// The folder of what outlives the process; absolute, or relative to the working directory.
    pub state_directory: PathBuf,
    /// How long saying goodbye may take when the program ends.
    pub shutdown_timeout: Duration,
    /// What is logged: a tracing filter, known to be well-formed.
    pub log: String,
}

/// `[xmpp]`
#[derive(Clone, Debug)]
pub struct Xmpp {
    /// The component port of the XMPP server.
    pub server: Server,
    /// The component's domain, in lower case.
    pub domain: String,
    /// What the component proves itself with.
    pub secret: Secret,
    /// How SIP users are written where nobody has written to them first.
    pub address_style: AddressStyle,
    /// Domains and bare JIDs that may use the gateway; empty: whoever the server lets write to it.
    pub allowed: Vec<Jid>,
}

/// `[sip]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Sip {
    /// Where SIP is listened for; at least one.
    #[serde(deserialize_with = "value::sip_listeners")]
    pub listen: Vec<Listener>,
    /// Host and port put in Via and Contact instead of the listener's.
    pub public: Option<Authority>,
    /// The domain of SIP users that are written without one, in lower case.
    #[serde(deserialize_with = "value::optional_domain")]
    pub default_domain: Option<String>,
    /// Where requests go instead of RFC 3263 lookups.
    #[serde(deserialize_with = "value::optional_proxy")]
    pub outbound_proxy: Option<Uri>,
    /// The DNS server asked instead of the system's resolver.
    #[serde(deserialize_with = "value::optional_socket")]
    pub dns_server: Option<SocketAddr>,
    /// Networks that SIP requests are taken from; empty: every network.
    #[serde(deserialize_with = "value::networks")]
    pub trusted: Vec<IpNetwork>,
    /// Networks that are not everybody's and that SIP peers may name from everywhere all the same.
    #[serde(deserialize_with = "value::networks")]
    pub reachable: Vec<IpNetwork>,
    /// The files of certificates.
    pub tls: Option<Tls>,
    /// What challenges of SIP servers are answered with.
    pub credentials: Vec<OwnPassword>,
    /// SIP users who have to prove who they are.
    pub users: Vec<UserPassword>,
}

/// `[sip.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// Trust roots instead of the system's, PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Whether clients must show a certificate.
    #[serde(default)]
    pub verify_client: bool,
}

/// `[msrp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Msrp {
    /// Where MSRP is listened for; at least one, never UDP.
    #[serde(deserialize_with = "value::msrp_listeners")]
    pub listen: Vec<Listener>,
    /// The authority put in MSRP URIs instead of the listener's.
    pub public: Option<Authority>,
}

/// `[chat]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Chat {
    /// How chat crosses to the SIP side.
    #[serde(deserialize_with = "value::chat_mode")]
    pub mode: ChatMode,
    /// After how long without traffic a session is ended.
    #[serde(deserialize_with = "value::duration")]
    pub idle_timeout: Duration,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Admin {
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    #[serde(deserialize_with = "value::socket")]
    pub listen: SocketAddr,
}

/// How one-to-one chat crosses to the SIP side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatMode {
    /// An MSRP session, and pager MESSAGE where the peer has no MSRP.
    #[default]
    Auto,
    /// MSRP sessions only.
    Msrp,
    /// Pager MESSAGE only.
    Message,
}

/// A transport and the address to listen at, written `udp:127.0.0.1:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What is listened for.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

/// How peers reach us: a host, and a port where it is not the listener's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name or address.
    pub host: Host,
    /// The port, if it is another one than the listener's.
    pub port: Option<u16>,
}

/// A secret. It shows itself only to who asks by name; never in `Debug`, so never in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of at least one character.
    pub fn new(text: &str) -> Option<Secret> {
        (!text.is_empty()).then(|| Secret(text.to_owned()))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Default for Sip {
    fn default() -> Sip {
        Sip {
            listen: vec![
                Listener::any(Transport::Udp, 5060),
                Listener::any(Transport::Tcp, 5060),
            ],
            public: None,
            default_domain: None,
            outbound_proxy: None,
            dns_server: None,
            trusted: Vec::new(),
            reachable: Vec::new(),
            tls: None,
            credentials: Vec::new(),
            users: Vec::new(),
        }
    }
}

impl Default for Msrp {
    fn default() -> Msrp {
        Msrp {
            listen: vec![Listener::any(Transport::Tcp, 2855)],
            public: None,
        }
    }
}

impl Default for Chat {
    fn default() -> Chat {
        Chat {
            mode: ChatMode::Auto,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

impl Listener {
    fn any(transport: Transport, port: u16) -> Listener {
        Listener {
            transport,
            address: SocketAddr::from(([0, 0, 0, 0], port)),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_param(), self.address)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
