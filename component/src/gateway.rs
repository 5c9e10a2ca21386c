//! The gateway as a whole (shell): puts the parts together, says when it is ready, and says goodbye.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stox_msrp::node::{NodeConfig, Preference, Tls};
use stox_sip::{DriverConfig, Package, Reach, Sip, SipsRequests, Transport, conference};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::address::{Addresses, Allowed};
use crate::config::{Authority, Config, Listener};
use crate::conversation::Ports;
use crate::mailbox::Input;
use crate::registry::Registry;
use crate::room;
use crate::route::{Inquiries, Lobby, SipRouter, XmppRouter};
use crate::store::{Kept, Store};
use crate::translate::Settings;
use crate::xmpp::{self, LinkConfig};

/// The largest MSRP message taken (T23): what fits the stanza limit of XMPP servers with room to spare.
const MAX_SIZE: u64 = 9000;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A SIP listener.
    #[error("sip.listen: {0}")]
    Sip(#[from] stox_sip::BindError),
    /// The MSRP listener.
    #[error("msrp.listen: {0}: {source}", source = std::error::Error::source(.0).map(ToString::to_string).unwrap_or_default())]
    Msrp(#[from] stox_msrp::node::BindError),
}

/// A running gateway.
pub struct Gateway {
    ports: Arc<Ports>,
    lobby: Arc<Lobby>,
    ready: watch::Receiver<bool>,
    shutdown_timeout: Duration,
}

impl Gateway {
    /// Binds all listeners and starts the link to the XMPP server, which connects and reconnects by itself.
    ///
    /// # Errors
    /// A listener cannot be bound.
    pub async fn start(config: &Config) -> Result<Gateway, StartError> {
        let addresses = Addresses::new(
            &config.xmpp.domain,
            config.sip.default_domain.as_deref(),
            config.xmpp.address_style,
        );
        let addresses = Arc::new(addresses.allowing(Allowed::of(&config.xmpp.allowed)));
        let (store, kept) = open_store(config);
        let registry = Registry::new(store.clone(), &kept.spellings);
        let registry = Arc::new(registry.remembering(&kept.call_ids));
        let (up, ready) = watch::channel(false);
        // The routers belong to tasks that start before what they route to is complete.
        let ports = Arc::new(OnceLock::new());

        let lobby = Arc::new(Lobby::new(
            config.xmpp.domain.clone(),
            registry.clone(),
            ports.clone(),
        ));
        let domain = &config.xmpp.domain;
        let inquiries = Arc::new(Inquiries::new(domain, addresses.clone(), ports.clone()));

        let router = SipRouter::new(
            registry.clone(),
            lobby.clone(),
            inquiries.clone(),
            addresses.clone(),
            ports.clone(),
        );
        let sip = stox_sip::bind(sip_config(config), router).await?;
        sip.serve_events(vec![conference_package()]).await;
        let msrp = stox_msrp::node::Node::bind(msrp_config(config)).await?;
        let secret = config.xmpp.secret.expose();
        let link = LinkConfig {
            addresses: addresses.clone(),
            ..LinkConfig::new(
                config.xmpp.server.to_string(),
                config.xmpp.domain.clone(),
                secret,
            )
        };
        let router = XmppRouter::new(
            ports.clone(),
            lobby.clone(),
            inquiries,
            addresses.clone(),
            config.xmpp.domain.clone(),
            kept.messages,
            up,
        );
        let gateway = Ports {
            xmpp: xmpp::spawn(link, router),
            sip,
            msrp,
            store,
            registry,
            addresses,
            settings: Settings {
                mode: config.chat.mode,
                idle: config.chat.idle_timeout,
                ..Settings::default()
            },
            max_size: MAX_SIZE,
            reach: Reach::opening(config.sip.reachable.clone()),
        };
        info!(
            sip = %listeners(&gateway.sip),
            msrp = ?gateway.msrp.local_addresses(),
            xmpp = %config.xmpp.server,
            "listening; waiting for the XMPP server"
        );
        let gateway = Arc::new(gateway);
        Ok(Gateway {
            ports: ports.get_or_init(|| gateway).clone(),
            lobby,
            ready,
            shutdown_timeout: config.shutdown_timeout,
        })
    }

    /// Whether the XMPP server has accepted the component; all listeners are bound as soon as there is a gateway.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Says goodbye on both sides: BYE and `<gone/>` for every session, then the end of the XMPP stream. Takes no
    /// longer than the configured `shutdown_timeout`.
    pub async fn shut_down(self) {
        let deadline = Instant::now() + self.shutdown_timeout;
        let Ports {
            xmpp,
            sip,
            msrp,
            registry,
            ..
        } = &*self.ports;
        registry.close();
        self.lobby.close();
        for door in registry.doors() {
            door.complete(Input::ShutDown);
        }
        for room in registry.room_doors() {
            room.complete(room::Input::ShutDown);
        }
        let rest = self.shutdown_timeout / 4;
        if timeout_at(deadline - rest, registry.emptied())
            .await
            .is_err()
        {
            warn!(
                conversations = registry.len(),
                rooms = registry.rooms(),
                "shutdown_timeout is nearly over: what is not answered yet goes back to its senders"
            );
            for door in registry.doors() {
                door.complete(Input::Abandon);
            }
            for room in registry.room_doors() {
                room.complete(room::Input::Abandon);
            }
            if timeout_at(deadline - rest / 2, registry.emptied())
                .await
                .is_err()
            {
                warn!(
                    conversations = registry.len(),
                    rooms = registry.rooms(),
                    "conversations or rooms do not end"
                );
            }
        }
        // BYEs are still on their way, and so are the last stanzas.
        if timeout_at(deadline, sip.close()).await.is_err() {
            warn!("shutdown_timeout is over with SIP requests still unanswered");
        }
        msrp.close().await;
        let rest = deadline.saturating_duration_since(Instant::now());
        xmpp.close(rest.max(Duration::from_millis(100))).await;
        let store = self.ports.store.clone();
        if tokio::task::spawn_blocking(move || store.close())
            .await
            .is_err()
        {
            warn!("the store cannot be closed");
        }
    }
}

/// The store in the folder that the configuration names; without it the gateway runs all the same.
fn open_store(config: &Config) -> (Store, Kept) {
    let file = store_file(config);
    match Store::open(&file) {
        Ok((store, kept)) => {
            if !kept.messages.is_empty() {
                info!(
                    messages = kept.messages.len(),
                    "messages that an earlier process left behind are handed on"
                );
            }
            (store, kept)
        }
        Err(wrong) => {
            warn!(
                file = %file.display(), error = %wrong,
                "nothing is kept: messages under way would not survive a crash; state_directory should be a folder of its own that can be written"
            );
            (Store::default(), Kept::default())
        }
    }
}

/// The store's file: one for each domain.
pub fn store_file(config: &Config) -> PathBuf {
    config
        .state_directory
        .join(format!("{}.redb", config.xmpp.domain))
}

/// What SIP users in a room may watch (RS-15).
fn conference_package() -> Package {
    Package::new("conference", [conference::MEDIA_TYPE.into()])
}

fn sip_config(config: &Config) -> DriverConfig {
    DriverConfig {
        listen: config
            .sip
            .listen
            .iter()
            .map(|listener| (listener.transport, listener.address))
            .collect(),
        public: config
            .sip
            .public
            .as_ref()
            .map(|public| (public.host.to_string(), public.port))
            .or_else(|| Some((outward(&config.sip.listen)?, None))),
        outbound_proxy: config.sip.outbound_proxy.clone(),
        tls: config.certificates.as_ref().map(|own| own.sip.clone()),
        dns_server: config.sip.dns_server,
        trusted: config.sip.trusted.clone(),
        reach: Reach::opening(config.sip.reachable.clone()),
        authentication: config.authentication.clone(),
        credentials: config.credentials.clone(),
        // Nothing says that the way on to the XMPP user is secure (SEC-06).
        sips: SipsRequests::Refused,
        user_agent: concat!("stox/", env!("CARGO_PKG_VERSION")).to_owned(),
        // `timer`: sessions whose peer is gone without a word end (CHAT-30).
        supported: ["gruu", "timer"].map(str::to_owned).to_vec(),
        ..DriverConfig::default()
    }
}

fn msrp_config(config: &Config) -> NodeConfig {
    let first = config.msrp.listen.first();
    let port = first.map_or(2855, |listener| listener.address.port());
    let public = match &config.msrp.public {
        Some(Authority { host, port: public }) => Some((host.to_string(), public.unwrap_or(port))),
        None => outward(&config.msrp.listen).map(|host| (host, port)),
    };
    let of = |wanted| {
        let listeners = config.msrp.listen.iter();
        let wanted = listeners.filter(move |listener| listener.transport == wanted);
        wanted.map(|listener| listener.address).collect::<Vec<_>>()
    };
    let is_tls_first = first.is_some_and(|listener| listener.transport == Transport::Tls);
    NodeConfig {
        listen: of(Transport::Tcp),
        tls: config.certificates.as_ref().map(|own| Tls {
            settings: own.msrp.clone(),
            listen: of(Transport::Tls),
        }),
        // What peers are offered is what the operator names first.
        preference: match is_tls_first {
            true => Preference::Tls,
            false => Preference::Clear,
        },
        public,
        ..NodeConfig::default()
    }
}

/// The address peers reach us at where every address is listened on and none is configured: that of the interface
/// towards the rest of the world. `None`: the listener's own address will do.
fn outward(listeners: &[Listener]) -> Option<String> {
    let first = listeners.first()?.address.ip();
    if !first.is_unspecified() {
        return None;
    }
    let (from, to): (SocketAddr, SocketAddr) = match first {
        // Addresses for documentation: nothing is sent, the kernel only picks the route.
        IpAddr::V4(_) => (([0; 4], 0).into(), ([192, 0, 2, 1], 9).into()),
        IpAddr::V6(_) => (
            ([0u16; 8], 0).into(),
            ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
        ),
    };
    let local = UdpSocket::bind(from).and_then(|socket| {
        socket.connect(to)?;
        socket.local_addr()
    });
    let ip = local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip());
    Some(match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    })
}

fn listeners(sip: &Sip) -> String {
    let name = |(transport, address): (Transport, SocketAddr)| {
        format!("{}:{address}", transport.as_param())
    };
    sip.local_addresses()
        .into_iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
}
