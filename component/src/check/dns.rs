//! Shell: whether the DNS knows the SIP domains that a configuration names.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use thiserror::Error;
use tokio::time::timeout;

use super::Finding;
use crate::config::Config;

/// How long the questions about one domain may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why requests for a domain would find no target.
#[derive(Debug, Error)]
enum Unresolved {
    #[error("the system's DNS configuration cannot be used: {0}")]
    NoResolver(NetError),
    #[error("the name is no domain name")]
    NoName,
    #[error("the DNS did not answer within {} s", TIMEOUT.as_secs())]
    Silent,
    #[error("the DNS has no NAPTR, SRV, A or AAAA record for it")]
    NoRecords,
    #[error("the DNS has no A or AAAA record for it")]
    NoAddress,
    #[error("the DNS gave no answer: {0}")]
    Failed(NetError),
}

impl Unresolved {
    /// `absent` where the DNS said that there is nothing, which is an answer.
    fn from(error: NetError, absent: Unresolved) -> Unresolved {
        if error.is_no_records_found() || error.is_nx_domain() {
            absent
        } else {
            Unresolved::Failed(error)
        }
    }
}

/// Every SIP domain of the configuration that requests are sent to. RFC 3263.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let server = config.sip.dns_server;
    if let Some(proxy) = &config.sip.outbound_proxy {
        findings.push(match proxy.host().and_then(|host| host.name()) {
            // A port says that the name is a host's, not a domain's with services. RFC 3263 §4.2.
            Some(host) if proxy.port().is_some() => Finding::new(
                "sip.outbound_proxy",
                format!("address of {host}"),
                address(server, host).await,
            ),
            Some(domain) => Finding::new(
                "sip.outbound_proxy",
                format!("SIP servers of {domain}"),
                sip_servers(server, domain).await,
            ),
            None => Finding::skipped("sip.outbound_proxy", "an IP address needs no DNS"),
        });
    }
    if let Some(domain) = &config.sip.default_domain {
        findings.push(match &config.sip.outbound_proxy {
            Some(_) => Finding::skipped("sip.default_domain", "requests go to sip.outbound_proxy"),
            None if domain.parse::<std::net::IpAddr>().is_ok() => {
                Finding::skipped("sip.default_domain", "an IP address needs no DNS")
            }
            None => Finding::new(
                "sip.default_domain",
                format!("SIP servers of {domain}"),
                sip_servers(server, domain).await,
            ),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::skipped("sip", "no SIP domain is configured"));
    }
    findings
}

async fn address(server: Option<SocketAddr>, host: &str) -> Result<(), Unresolved> {
    let resolver = resolver(server)?;
    let host = absolute(host)?;
    match timeout(TIMEOUT, resolver.lookup_ip(host)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Unresolved::from(error, Unresolved::NoAddress)),
        Err(_) => Err(Unresolved::Silent),
    }
}

async fn sip_servers(server: Option<SocketAddr>, domain: &str) -> Result<(), Unresolved> {
    let resolver = resolver(server)?;
    let name = absolute(domain)?;
    let questions = [
        (name.clone(), RecordType::NAPTR),
        (absolute(&format!("_sip._udp.{domain}"))?, RecordType::SRV),
        (absolute(&format!("_sip._tcp.{domain}"))?, RecordType::SRV),
    ];
    let asked = async {
        for (name, kind) in questions {
            if resolver
                .lookup(name, kind)
                .await
                .is_ok_and(|lookup| !lookup.answers().is_empty())
            {
                return Ok(());
            }
        }
        resolver
            .lookup_ip(name)
            .await
            .map(drop)
            .map_err(|error| Unresolved::from(error, Unresolved::NoRecords))
    };
    timeout(TIMEOUT, asked)
        .await
        .unwrap_or(Err(Unresolved::Silent))
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, Unresolved> {
    let builder = match server {
        Some(address) => {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = address.port();
            }
            let server = NameServerConfig::new(address.ip(), true, connections.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().map_err(Unresolved::NoResolver)?,
    };
    builder.build().map_err(Unresolved::NoResolver)
}

/// As A-labels, and with the final dot, so that no search domain is tried.
fn absolute(name: &str) -> Result<Name, Unresolved> {
    let name = idna::domain_to_ascii(name).map_err(|_| Unresolved::NoName)?;
    let mut name = Name::from_ascii(name).map_err(|_| Unresolved::NoName)?;
    name.set_fqdn(true);
    Ok(name)
}
