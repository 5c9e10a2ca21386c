//! Shell: asks the DNS. It decides nothing; the order of questions is `plan`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::plan::{Answer, Naptr, Question, Srv};

/// How long one try at one server may take, and how often it is tried.
const TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
/// How long one question may take in all, whatever the servers do.
const DEADLINE: Duration = Duration::from_secs(6);

/// Most questions asked at a time; others wait for their turn.
const QUESTIONS: usize = 256;
/// How long they wait: names whose servers are silent must not hold up the rest for longer than a request may take.
const PATIENCE: Duration = Duration::from_secs(32);

/// Why the resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The system's configuration cannot be read.
    #[error("the system's DNS configuration cannot be used: {0}")]
    Configuration(NetError),
}

/// Asks the system's DNS servers, or one that is told.
#[derive(Clone)]
pub(crate) struct Dns {
    resolver: TokioResolver,
    turns: Arc<Semaphore>,
}

impl Dns {
    pub(crate) fn new(server: Option<SocketAddr>) -> Result<Self, ResolverError> {
        let mut builder = match server {
            Some(address) => {
                let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut connections {
                    connection.port = address.port();
                }
                let server = NameServerConfig::new(address.ip(), true, connections.into());
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(ResolverError::Configuration)?,
        };
        let options = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        Ok(Self {
            resolver: builder.build().map_err(ResolverError::Configuration)?,
            turns: Arc::new(Semaphore::new(QUESTIONS)),
        })
    }

    pub(crate) async fn answer(&self, question: &Question) -> Answer {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.turns.acquire()).await else {
            tracing::debug!(?question, "too many questions to the DNS before this one");
            return Answer::Failed;
        };
        let asked = async {
            match question {
                Question::Naptr(name) => self.naptr(name).await,
                Question::Srv(name) => self.srv(name).await,
                Question::Addresses(name) => self.addresses(name).await,
            }
        };
        let answer = match timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_no_records_found() || error.is_nx_domain() => {
                Answer::NoRecords
            }
            Ok(Err(error)) => {
                tracing::debug!(?question, %error, "the DNS gave no answer");
                Answer::Failed
            }
            Err(_) => Answer::Failed,
        };
        tracing::debug!(?question, ?answer, "asked the DNS");
        answer
    }

    async fn naptr(&self, name: &str) -> Result<Answer, NetError> {
        let lookup = self
            .resolver
            .lookup(absolute(name)?, RecordType::NAPTR)
            .await?;
        let records = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::NAPTR(naptr) => Some(Naptr {
                    order: naptr.order,
                    preference: naptr.preference,
                    flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
                    service: String::from_utf8_lossy(&naptr.services).into_owned(),
                    replacement: relative(&naptr.replacement),
                }),
                _ => None,
            });
        Ok(Answer::Naptr(records.collect()))
    }

    async fn srv(&self, name: &str) -> Result<Answer, NetError> {
        let lookup = self
            .resolver
            .lookup(absolute(name)?, RecordType::SRV)
            .await?;
        let records = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(Srv {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: relative(&srv.target),
                }),
                _ => None,
            });
        Ok(Answer::Srv(records.collect()))
    }

    async fn addresses(&self, name: &str) -> Result<Answer, NetError> {
        let lookup = self.resolver.lookup_ip(absolute(name)?).await?;
        Ok(Answer::Addresses(lookup.iter().collect()))
    }
}

/// With the final dot, so that no search domain is tried.
fn absolute(name: &str) -> Result<Name, NetError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}

fn relative(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-14, SEC-14. Behind questions that nobody answers others wait for so long and no longer.
    #[tokio::test(start_paused = true)]
    async fn questions_do_not_wait_for_ever() {
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = Dns::new(nobody.local_addr().ok()).unwrap();
        let others = dns.turns.acquire_many(QUESTIONS as u32).await.unwrap();
        let question = Question::Addresses("example.net".to_owned());
        let began = tokio::time::Instant::now();
        assert_eq!(dns.answer(&question).await, Answer::Failed);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        drop(others);
        assert_eq!(dns.turns.available_permits(), QUESTIONS);
    }
}
