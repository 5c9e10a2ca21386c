//! Shell: `stox check`. Tries everything a configuration names, without carrying a single message.

mod dns;

use std::fmt;
use std::io;
use std::time::SystemTime;

use stox_sip::Transport;
use tokio::net::{TcpListener, UdpSocket};

use crate::config::{Certificates, Config, Listener};
use crate::stamp;
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
    found(match &config.certificates {
        Some(own) => certificates(own, SystemTime::now()),
        None => Finding::skipped("sip.tls", "no certificates are configured"),
    });
    found(state(config));
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

/// Whether the folder of what outlives the process can be written.
fn state(config: &Config) -> Finding {
    let folder = &config.state_directory;
    let probe = folder.join(format!(".stox-check-{}", std::process::id()));
    let tried = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    Finding::new("state_directory", folder.display(), tried)
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

/// Whoever has a `Config` has found the files readable and matching; what is left is the time.
fn certificates(own: &Certificates, now: SystemTime) -> Finding {
    let files = format!("{} and {}", own.certificate.display(), own.key.display());
    let Some(expires) = own.expires else {
        return Finding::failing("sip.tls", files, "no expiry date can be read");
    };
    let time = stamp::format(expires);
    let day = time.split('T').next().unwrap_or(&time);
    match expires > now {
        true => Finding::holding("sip.tls", format!("{files} match, valid until {day}")),
        false => Finding::failing("sip.tls", files, format!("expired on {day}")),
    }
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
    fn certificates_hold_until_they_expire() {
        let directory = std::env::temp_dir().join(format!("stox-check-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut params = rcgen::CertificateParams::new(["example.com".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 6, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let write = |file, text: String| std::fs::write(directory.join(file), text).unwrap();
        write("cert.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
        let text = "[xmpp]\nserver = \"127.0.0.1:1\"\ndomain = \"a.example\"\nsecret = \"s\"\n\
                    [sip.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
        write("stox.toml", text.to_owned());
        let config = Config::load_with(&directory.join("stox.toml"), Default::default());
        std::fs::remove_dir_all(&directory).unwrap();
        let own = config.unwrap().certificates.unwrap();
        for (now, holds, end) in [
            (
                "2030-05-31T23:59:59Z",
                true,
                "match, valid until 2030-06-01",
            ),
            ("2030-06-01T00:00:01Z", false, ": expired on 2030-06-01"),
        ] {
            let finding = certificates(&own, stamp::parse(now).unwrap());
            assert_eq!(finding.holds(), holds);
            assert!(finding.to_string().ends_with(end), "{finding}");
        }
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
