//! Agents on the loopback address, each a driver.

use std::net::SocketAddr;
use std::time::Duration;

use stox_sip::{
    BindError, DriverConfig, Event, LocalContact, Method, NameAddr, OutgoingRequest, Sip,
    Transport, Uri, bind,
};
use tokio::sync::mpsc;

/// A driver and the events it tells.
pub struct Agent {
    pub sip: Sip,
    pub events: mpsc::UnboundedReceiver<Event>,
}

impl Agent {
    pub async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(Duration::from_secs(10), self.events.recv());
        next.await
            .expect("an event within ten seconds")
            .expect("a driver")
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        let addresses = self.sip.local_addresses();
        addresses
            .iter()
            .find(|(t, _)| *t == transport)
            .map(|(_, address)| *address)
            .unwrap()
    }

    pub fn uri(&self, transport: Transport) -> Uri {
        format!(
            "sip:romeo@{};transport={}",
            self.address(transport),
            transport.as_param()
        )
        .parse()
        .unwrap()
    }
}

pub async fn agent() -> Agent {
    agent_with(&[Transport::Udp, Transport::Tcp], |_| ()).await
}

/// Listens for datagrams and connections on the same port.
pub async fn agent_on_one_port() -> Agent {
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let listen = vec![(Transport::Udp, port), (Transport::Tcp, port)];
        if let Ok(agent) = try_agent(DriverConfig {
            listen,
            ..DriverConfig::default()
        })
        .await
        {
            return agent;
        }
    }
    panic!("no free port")
}

pub async fn agent_with(transports: &[Transport], adjust: impl FnOnce(&mut DriverConfig)) -> Agent {
    let listen = transports
        .iter()
        .map(|transport| (*transport, any()))
        .collect();
    let mut config = DriverConfig {
        listen,
        ..DriverConfig::default()
    };
    adjust(&mut config);
    try_agent(config).await.unwrap()
}

pub async fn try_agent(config: DriverConfig) -> Result<Agent, BindError> {
    let (sender, events) = mpsc::unbounded_channel();
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    Ok(Agent {
        sip: bind(config, handler).await?,
        events,
    })
}

pub fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse().unwrap())
}

pub fn contact(user: &str) -> LocalContact {
    LocalContact {
        user: Some(user.to_owned()),
        ..LocalContact::default()
    }
}

pub fn message(target: Uri, text: &str) -> OutgoingRequest {
    let mut request =
        OutgoingRequest::new(Method::Message, target, address("juliet"), address("romeo"));
    (request.content_type, request.body) = ("text/plain".into(), text.to_owned().into());
    request
}
