//! Over TLS, with certificates made here.

mod certificates;
mod connections;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use stox_sip::{
    ClientCertificates, ConnectionId, DriverConfig, Event, Failure, Method, NameAddr,
    OutgoingRequest, Reply, Status, TlsError, TlsSettings, Transport,
};

use crate::stage::{Agent, any, try_agent};

use Outcome::{Answered, Forbidden, Refused};

/// What becomes of one MESSAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// 403: the peer does not believe who sends.
    Forbidden,
    /// There is no connection.
    Refused,
}

/// The outcome of a MESSAGE from juliet@example.com to romeo@example.net.
async fn outcome(juliet: Agent, romeo: Agent) -> Outcome {
    outcome_at("example.net", juliet, romeo).await
}

async fn outcome_at(domain: &str, mut juliet: Agent, mut romeo: Agent) -> Outcome {
    juliet.message(&romeo.sips_uri(domain)).await;
    loop {
        tokio::select! {
            event = juliet.next() => match event {
                Event::Responded { response, .. } => return match response.status {
                    Status::OK => Answered,
                    Status::FORBIDDEN => Forbidden,
                    status => panic!("{status}"),
                },
                Event::RequestFailed { cause: Failure::Unreachable | Failure::Untrusted, .. } => return Refused,
                event => panic!("{event:?}"),
            },
            Some(event) = romeo.events.recv() => {
                let Event::Requested { transaction, source, .. } = event else { panic!() };
                assert_eq!(source.transport, Transport::Tls);
                romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
            }
        }
    }
}

impl Agent {
    /// A domain that is found here without asking the DNS.
    fn sips_uri(&self, domain: &str) -> String {
        format!(
            "sips:romeo@{domain}:{};maddr=127.0.0.1",
            self.address(Transport::Tls).port()
        )
    }

    async fn message(&self, target: &str) {
        self.message_from("juliet@example.com", target).await;
    }

    async fn message_from(&self, from: &str, target: &str) {
        let (from, to) = (address(from), address("romeo@example.net"));
        let mut request = OutgoingRequest::new(Method::Message, target.parse().unwrap(), from, to);
        (request.content_type, request.body) = ("text/plain".into(), "Art thou".into());
        let id = self.sip.reserve_request();
        self.sip.request(id, request).await;
    }

    /// Takes a MESSAGE; the connection it came on.
    async fn accept(&mut self) -> Option<ConnectionId> {
        let Event::Requested {
            transaction,
            source,
            ..
        } = self.next().await
        else {
            panic!()
        };
        self.sip.respond(transaction, Reply::new(Status::OK)).await;
        source.connection
    }
}

async fn agent(tls: &TlsSettings) -> Agent {
    try_agent(over(tls)).await.unwrap()
}

fn over(tls: &TlsSettings) -> DriverConfig {
    DriverConfig {
        listen: vec![(Transport::Tls, any())],
        tls: Some(tls.clone()),
        ..DriverConfig::default()
    }
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}").parse().unwrap())
}

/// The year in which the certificates of these tests end.
const LATER: i32 = 2100;

/// A certificate and its key.
type Certificate = (
    rustls::pki_types::CertificateDer<'static>,
    PrivateKeyDer<'static>,
);

/// Who vouches for certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with these names (`DNS:…`, `URI:…`) until the end of a year.
    fn certificate(&self, names: &[&str], until: i32) -> Certificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| subject(name)).collect();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }

    fn settings(&self, names: &[&str], clients: ClientCertificates) -> TlsSettings {
        let certificate = self.certificate(names, LATER);
        self.settings_with(certificate, clients).unwrap()
    }

    /// Trusts this authority, whoever vouches for the certificate.
    fn settings_with(
        &self,
        (certificate, key): Certificate,
        clients: ClientCertificates,
    ) -> Result<TlsSettings, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        TlsSettings::new(vec![certificate], key, roots, clients)
    }
}

fn subject(name: &str) -> SanType {
    match name.split_once(':').unwrap() {
        ("DNS", name) => SanType::DnsName(name.try_into().unwrap()),
        ("URI", uri) => SanType::URI(uri.try_into().unwrap()),
        ("IP", address) => SanType::IpAddress(address.parse().unwrap()),
        (kind, _) => panic!("{kind}"),
    }
}
