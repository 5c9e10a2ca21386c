//! Shell: `stox check`. Tries everything a configuration names, without carrying a single message.

mod dns;

use std::fmt;
use std::io;

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
    found(Finding::holding(
        "configuration",
        "every key is known and well-formed",
    ));
    found(xmpp_server(config).await);
    // Kept until the end: two listeners of ours must not want the same address either.
    let mut bound = Vec::new();
    for (key, listener) in listeners(config) {
        found(match bind(&listener).await {
            Ok(socket) => {
                bound.push(socket);
                Finding::holding(key, listener)
            }
            Err(error) => Finding::failing(key, listener, error),
        });
    }
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
    fn new<E: fmt::Display>(
        subject: &'static str,
        tried: impl fmt::Display,
        result: Result<(), E>,
    ) -> Finding {
        match result {
            Ok(()) => Finding::holding(subject, tried),
            Err(error) => Finding::failing(subject, tried, error),
        }
    }

    fn holding(subject: &'static str, tried: impl fmt::Display) -> Finding {
        Finding {
            subject,
            verdict: Verdict::Holds,
            detail: tried.to_string(),
        }
    }

    fn failing(
        subject: &'static str,
        tried: impl fmt::Display,
        error: impl fmt::Display,
    ) -> Finding {
        Finding {
            subject,
            verdict: Verdict::Fails,
            detail: format!("{tried}: {error}"),
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

/// Every address to be listened at, with the key that names it.
fn listeners(config: &Config) -> impl Iterator<Item = (&'static str, Listener)> {
    let sip = config
        .sip
        .listen
        .iter()
        .map(|listener| ("sip.listen", *listener));
    let msrp = config
        .msrp
        .listen
        .iter()
        .map(|listener| ("msrp.listen", *listener));
    let admin = config.admin.iter().map(|admin| {
        let listener = Listener {
            transport: Transport::Tcp,
            address: admin.listen,
        };
        ("admin.listen", listener)
    });
    sip.chain(msrp).chain(admin)
}

/// Something that holds an address while it lives.
enum Bound {
    Udp { _socket: UdpSocket },
    Tcp { _listener: TcpListener },
}

async fn bind(listener: &Listener) -> io::Result<Bound> {
    Ok(match listener.transport {
        Transport::Udp => Bound::Udp {
            _socket: UdpSocket::bind(listener.address).await?,
        },
        Transport::Tcp | Transport::Tls => Bound::Tcp {
            _listener: TcpListener::bind(listener.address).await?,
        },
    })
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
    async fn taken_addresses_cannot_be_bound_and_free_ones_can() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener {
            transport: Transport::Tcp,
            address: taken.local_addr().unwrap(),
        };
        assert!(bind(&listener).await.is_err());
        drop(taken);
        let bound = bind(&listener).await.unwrap();
        assert!(bind(&listener).await.is_err());
        drop(bound);
    }

    #[test]
    fn a_finding_is_one_line() {
        for (finding, holds, line) in [
            (
                Finding::holding("sip.listen", "udp:127.0.0.1:5060"),
                true,
                "ok      sip.listen: udp:127.0.0.1:5060",
            ),
            (
                Finding::failing("xmpp.server", "handshake", "no"),
                false,
                "FAILED  xmpp.server: handshake: no",
            ),
            (
                Finding::skipped("sip.tls", "none"),
                true,
                "skipped sip.tls: none",
            ),
        ] {
            assert_eq!(
                (finding.holds(), finding.to_string().as_str()),
                (holds, line)
            );
        }
    }
}
