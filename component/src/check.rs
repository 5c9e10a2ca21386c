//! Shell: `stox check`. Tries everything a configuration names, without carrying a single message.

mod dns;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use stox_sip::Transport;
use tokio::net::{TcpListener, UdpSocket};

use crate::config::{Config, Listener};
use crate::xmpp::{self, LinkConfig};

/// Tries everything, prints one line per check to stdout as soon as it is made, and says whether all hold.
pub async fn check(config: &Config) -> bool {
    let mut all_hold = true;
    let mut found = |finding: Finding| {
        all_hold &= finding.holds();
        println!("{finding}");
    };
    // Whoever has a `Config` has it from a file without mistakes.
    found(Finding::new(
        "configuration",
        "every key is known and well-formed",
        Ok::<_, io::Error>(()),
    ));
    found(xmpp_server(config).await);
    for listener in &config.sip.listen {
        found(Finding::new("sip.listen", listener, bind(listener).await));
    }
    for listener in &config.msrp.listen {
        found(Finding::new("msrp.listen", listener, bind(listener).await));
    }
    found(match &config.admin {
        Some(admin) => Finding::new("admin.listen", admin.listen, bind_tcp(admin.listen).await),
        None => Finding::skipped("admin.listen", "not configured"),
    });
    found(Finding::skipped(
        "sip.tls",
        "no certificates are configured",
    ));
    for finding in dns::findings(config).await {
        found(finding);
    }
    all_hold
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// The key that names what was tried.
    subject: &'static str,
    verdict: Verdict,
    /// What was tried, and what came of it.
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Fails,
    /// There is nothing to try.
    Skipped,
}

impl Finding {
    fn new<T, E: fmt::Display>(
        subject: &'static str,
        tried: impl fmt::Display,
        result: Result<T, E>,
    ) -> Finding {
        match result {
            Ok(_) => Finding {
                subject,
                verdict: Verdict::Holds,
                detail: tried.to_string(),
            },
            Err(error) => Finding {
                subject,
                verdict: Verdict::Fails,
                detail: format!("{tried}: {error}"),
            },
        }
    }

    fn skipped(subject: &'static str, why: &str) -> Finding {
        Finding {
            subject,
            verdict: Verdict::Skipped,
            detail: why.to_owned(),
        }
    }

    fn holds(&self) -> bool {
        self.verdict != Verdict::Fails
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Holds => "ok",
            Verdict::Fails => "FAILED",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{verdict:<7} {}: {}", self.subject, self.detail)
    }
}

async fn bind(listener: &Listener) -> io::Result<()> {
    match listener.transport {
        Transport::Udp => UdpSocket::bind(listener.address).await.map(drop),
        Transport::Tcp | Transport::Tls => bind_tcp(listener.address).await,
    }
}

async fn bind_tcp(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).await.map(drop)
}

/// Logs in as the component and closes the stream again.
async fn xmpp_server(config: &Config) -> Finding {
    let server = config.xmpp.server.to_string();
    let tried = format!("handshake with {server} as {}", config.xmpp.domain);
    let link = LinkConfig::new(server, &config.xmpp.domain, config.xmpp.secret.expose());
    Finding::new("xmpp.server", tried, xmpp::try_login(&link).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn taken_listeners_fail_and_free_ones_hold() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let listener = Listener {
            transport: Transport::Tcp,
            address,
        };
        let finding = Finding::new("sip.listen", listener, bind(&listener).await);
        assert!(!finding.holds());
        assert!(
            finding
                .to_string()
                .starts_with(&format!("FAILED  sip.listen: tcp:{address}: ")),
            "{finding}"
        );

        let free = Listener {
            transport: Transport::Udp,
            address: "127.0.0.1:0".parse().unwrap(),
        };
        let finding = Finding::new("sip.listen", free, bind(&free).await);
        assert_eq!(finding.to_string(), "ok      sip.listen: udp:127.0.0.1:0");
        assert!(Finding::skipped("sip.tls", "none").holds());
    }
}
