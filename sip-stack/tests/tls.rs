//! Two drivers talk over TLS on the loopback address, with certificates made here.

#![cfg(feature = "tokio")]

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use stox_sip::{
    BindError, ClientCertificates, ConnectionId, DriverConfig, EndCause, Event, Failure, Invite,
    LocalContact, Method, Name, NameAddr, OutgoingRequest, Reply, Sip, SipsRequests, Status,
    TlsError, TlsSettings, Transport, bind,
};
use tokio::sync::mpsc;

use ClientCertificates::{NotAsked, Required};

/// SEC-01, RFC 5922 §7: a `sip` URI decides, a DNS name only where there is none, a wildcard never; and a certificate
/// that is out of date or that nobody vouches for is no certificate.
#[tokio::test]
async fn the_certificate_must_be_the_domains_own() {
    let authority = Authority::new();
    let cases: [(&str, &[&str], Outcome); 9] = [
        ("dns", &["DNS:example.net"], Answered),
        ("dns, other case", &["DNS:Example.NET"], Answered),
        ("uri", &["URI:sip:example.net"], Answered),
        (
            "uri among others",
            &["URI:sip:example.org", "URI:SIP:Example.net", "URI:xmpp:a"],
            Answered,
        ),
        (
            "wrong uri, right dns",
            &["URI:sip:example.org", "DNS:example.net"],
            Refused,
        ),
        (
            "a user's uri names no domain, dns does",
            &["URI:sip:romeo@example.net", "DNS:example.net"],
            Answered,
        ),
        ("a user's uri", &["URI:sip:romeo@example.net"], Refused),
        ("wildcard", &["DNS:*.net", "DNS:*.example.net"], Refused),
        ("suffix", &["DNS:host.example.net", "DNS:net"], Refused),
    ];
    for (case, names, expected) in cases {
        let romeo = agent(&authority.settings(names, NotAsked)).await;
        let juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
        assert_eq!(outcome(juliet, romeo).await, expected, "{case}");
    }
    let expired = authority.certificate(&["DNS:example.net"], 2001);
    let stranger = Authority::new().certificate(&["DNS:example.net"], LATER);
    for (case, certificate) in [("expired", expired), ("another authority", stranger)] {
        let romeo = agent(&authority.settings_with(certificate, NotAsked).unwrap()).await;
        let juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
        assert_eq!(outcome(juliet, romeo).await, Refused, "{case}");
    }
}

/// SEC-01: an address that was asked for as such may stand in the certificate as such.
#[tokio::test]
async fn a_certificate_may_name_the_address() {
    let authority = Authority::new();
    for (names, asked, expected) in [
        (&["IP:127.0.0.1"][..], "127.0.0.1", Answered),
        (
            &["URI:sip:example.org", "IP:127.0.0.1"],
            "127.0.0.1",
            Answered,
        ),
        (&["URI:sip:127.0.0.1"], "127.0.0.1", Answered),
        (&["IP:127.0.0.2"], "127.0.0.1", Refused),
        (&["IP:127.0.0.1"], "example.net", Refused),
    ] {
        let romeo = agent(&authority.settings(names, NotAsked)).await;
        let juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
        let outcome = outcome_at(asked, juliet, romeo).await;
        assert_eq!(outcome, expected, "{names:?} {asked}");
    }
}

/// SEC-02: who asks for client certificates lets nobody in without one, and believes of its requests only what the
/// certificate proves.
#[tokio::test]
async fn clients_prove_their_domain_where_it_is_asked_for() {
    let authority = Authority::new();
    let romeo = || authority.settings(&["URI:sip:example.net"], Required);
    let (right, wrong) = (["URI:sip:example.com"], ["URI:sip:example.org"]);
    for (case, juliet, expected) in [
        ("right", authority.settings(&right, NotAsked), Answered),
        (
            "another domain than From's",
            authority.settings(&wrong, NotAsked),
            Forbidden,
        ),
        (
            "another authority",
            authority
                .settings_with(Authority::new().certificate(&right, LATER), NotAsked)
                .unwrap(),
            Refused,
        ),
    ] {
        let (juliet, romeo) = (agent(&juliet).await, agent(&romeo()).await);
        assert_eq!(outcome(juliet, romeo).await, expected, "{case}");
    }
}

/// SEC-02: no certificate at all, which a driver of ours never does.
#[tokio::test]
async fn clients_without_a_certificate_are_not_let_in() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let authority = Authority::new();
    let mut romeo = agent(&authority.settings(&["DNS:example.net"], Required)).await;
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(romeo.address()).await;
    let name = "example.net".try_into().unwrap();
    // With TLS 1.3 the client is done before the server has looked.
    if let Ok(mut stream) = connector.connect(name, stream.unwrap()).await {
        let _ = stream.write_all(b"\r\n\r\n").await;
        let mut pong = Vec::new();
        let _ = stream.read_to_end(&mut pong).await;
        assert_eq!(pong, b"");
    }
    assert!(romeo.events.try_recv().is_err());
}

/// MSRP-09's rule in SIP: what was verified for one domain is used for that domain again, and for no other.
#[tokio::test]
async fn connections_are_used_again_for_the_same_domain_only() {
    let authority = Authority::new();
    let names = ["URI:sip:example.net", "URI:sip:example.org"];
    let mut romeo = agent(&authority.settings(&names, NotAsked)).await;
    let mut juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
    let mut connections: Vec<Option<ConnectionId>> = Vec::new();
    for domain in ["example.net", "Example.net", "example.org"] {
        juliet.message(&romeo.uri(domain)).await;
        connections.push(romeo.accept().await);
        assert!(matches!(juliet.next().await, Event::Responded { .. }));
    }
    assert_eq!(connections[0], connections[1]);
    assert_ne!(connections[0], connections[2]);

    // The same where the other domain is not the peer's.
    let mut romeo = agent(&authority.settings(&["DNS:example.net"], NotAsked)).await;
    juliet.message(&romeo.uri("example.net")).await;
    romeo.accept().await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
    juliet.message(&romeo.uri("example.org")).await;
    assert!(matches!(
        juliet.next().await,
        Event::RequestFailed {
            cause: Failure::Unreachable,
            ..
        }
    ));
}

/// SIP-04, RFC 5923: a peer that has proven its domain gets our requests on the connection that it made, as if it were one
/// to its listener; of others nobody knows that they are who they say.
#[tokio::test]
async fn connections_are_used_in_both_directions() {
    let authority = Authority::new();
    for (clients, is_reused) in [(Required, true), (NotAsked, false)] {
        let juliet = authority.settings(&["DNS:example.com"], NotAsked);
        let romeo = authority.settings(&["DNS:example.net"], clients);
        let (mut juliet, mut romeo) = (agent(&juliet).await, agent(&romeo).await);
        juliet.message(&romeo.uri("example.net")).await;
        romeo.accept().await;
        romeo.message(&juliet.uri("example.com")).await;
        loop {
            match juliet.next().await {
                Event::Requested { source, .. } => {
                    assert_eq!(source.remote == romeo.address(), is_reused, "{clients:?}");
                    break;
                }
                Event::Responded { .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }
}

/// SEC-02, SIP-04: who asks for proofs believes no more of what comes on a connection that it made itself.
#[tokio::test]
async fn the_called_prove_their_domain_too() {
    let authority = Authority::new();
    for (from, expected) in [
        ("romeo@example.net", Status::OK),
        ("juliet@example.com", Status::FORBIDDEN),
    ] {
        let juliet = authority.settings(&["DNS:example.com"], Required);
        let romeo = authority.settings(&["DNS:example.net"], Required);
        let (mut juliet, mut romeo) = (agent(&juliet).await, agent(&romeo).await);
        juliet.message(&romeo.uri("example.net")).await;
        romeo.accept().await;
        assert!(matches!(juliet.next().await, Event::Responded { .. }));
        romeo.message_from(from, &juliet.uri("example.com")).await;
        if expected == Status::OK {
            juliet.accept().await;
        }
        let Event::Responded { response, .. } = romeo.next().await else {
            panic!()
        };
        assert_eq!(response.status, expected, "{from}");
    }
}

/// SIP-05, SIP-01: a session from INVITE to BYE, by `sips` and by `transport=tls`; requests inside it find their way
/// by the Contacts.
#[tokio::test]
async fn sessions_live_over_tls() {
    let authority = Authority::new();
    let names = ["URI:sip:example.net", "URI:sip:127.0.0.1"];
    for (scheme, parameter) in [("sips", ""), ("sip", ";transport=tls")] {
        let mut romeo = agent(&authority.settings(&names, NotAsked)).await;
        let mut juliet = agent(&authority.settings(&names, NotAsked)).await;
        let port = romeo.address().port();
        let target = format!("{scheme}:romeo@example.net:{port};maddr=127.0.0.1{parameter}");
        let sent = juliet.sip.reserve_invite();
        let contact = |user: &str| LocalContact {
            user: Some(user.to_owned()),
            ..LocalContact::default()
        };
        let (from, to) = (address("juliet@example.com"), address("romeo@example.net"));
        let mut invite = Invite::new(target.parse().unwrap(), from, to, contact("juliet"));
        (invite.content_type, invite.body) = ("application/sdp".into(), "v=0".into());
        juliet.sip.invite(sent, invite).await;
        let Event::Invited {
            invite: received,
            request,
            source,
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(source.transport, Transport::Tls);
        let expected = format!("{scheme}:juliet@{}{parameter}", juliet.address());
        assert_eq!(request.contact().unwrap().uri.to_string(), expected);
        let answer = Reply {
            contact: Some(contact("romeo")),
            ..Reply::new(Status::OK)
        };
        romeo.sip.answer(received, answer).await;
        let Event::Answered { response, .. } = juliet.next().await else {
            panic!()
        };
        let expected = format!("{scheme}:romeo@{}{parameter}", romeo.address());
        assert_eq!(response.contact().unwrap().uri.to_string(), expected);
        juliet.sip.ack(sent, None).await;
        assert!(matches!(romeo.next().await, Event::Acknowledged { .. }));
        romeo.sip.bye(received, Vec::new()).await;
        let Event::Ended {
            cause: EndCause::Bye(_),
            ..
        } = juliet.next().await
        else {
            panic!()
        };
    }
}

/// SEC-01, SEC-06: without TLS a `sips` target is not called at all; who listens for TLS only says nothing in the clear.
#[tokio::test]
async fn nothing_falls_back_to_the_clear() {
    let authority = Authority::new();
    let mut clear = agent_of(DriverConfig {
        listen: vec![(Transport::Tcp, any())],
        ..DriverConfig::default()
    })
    .await;
    let mut tls = agent(&authority.settings(&["DNS:example.net"], NotAsked)).await;
    clear.message(&tls.uri("example.net")).await;
    let to_clear = format!("sip:romeo@{};transport=tcp", clear.address());
    tls.message(&to_clear).await;
    for agent in [&mut clear, &mut tls] {
        let failed = agent.next().await;
        assert!(
            matches!(
                failed,
                Event::RequestFailed {
                    cause: Failure::Unresolvable,
                    ..
                }
            ),
            "{failed:?}"
        );
    }
}

/// SEC-06, RFC 5630 §5.2: who does not vouch for the rest of the way refuses `sips`, and takes `sip` over the same TLS.
#[tokio::test]
async fn sips_is_refused_where_the_rest_of_the_way_may_not_be_secure() {
    let authority = Authority::new();
    let config = DriverConfig {
        sips: SipsRequests::Refused,
        ..over(&authority.settings(&["DNS:example.net"], NotAsked))
    };
    let mut romeo = agent_of(config).await;
    let mut juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
    let secure = romeo.uri("example.net");
    juliet.message(&secure).await;
    let Event::Responded { response, .. } = juliet.next().await else {
        panic!()
    };
    assert_eq!(response.status, Status::TEMPORARILY_UNAVAILABLE);
    let warning = response.headers.first(&Name::Warning).unwrap();
    assert!(warning.starts_with("380 127.0.0.1 "), "{warning}");
    let insecure = secure.replace("sips:", "sip:") + ";transport=tls";
    juliet.message(&insecure).await;
    romeo.accept().await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}

/// What cannot work is said at once.
#[tokio::test]
async fn unusable_settings_are_refused() {
    let authority = Authority::new();
    let (chain, _) = authority.certificate(&["DNS:example.net"], LATER);
    let (_, other_key) = authority.certificate(&["DNS:example.net"], LATER);
    let settings = |certificate, clients| authority.settings_with(certificate, clients).err();
    assert!(matches!(
        settings((chain, other_key), NotAsked),
        Some(TlsError::KeyMismatch)
    ));
    let (chain, key) = authority.certificate(&["DNS:example.net"], LATER);
    let without_roots = TlsSettings::new(
        vec![chain],
        key.clone_key(),
        RootCertStore::empty(),
        Required,
    );
    assert!(matches!(without_roots, Err(TlsError::NoRoots)));
    let without_chain = TlsSettings::new(Vec::new(), key, RootCertStore::empty(), NotAsked);
    assert!(matches!(without_chain, Err(TlsError::NoCertificate)));
    let config = DriverConfig {
        listen: vec![(Transport::Tls, any())],
        ..DriverConfig::default()
    };
    assert!(matches!(
        bind(config, |_| Ok(())).await,
        Err(BindError::NoCertificate { .. })
    ));
}

/// What becomes of one MESSAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// 403: the peer does not believe who sends.
    Forbidden,
    /// There is no connection.
    Refused,
}
use Outcome::{Answered, Forbidden, Refused};

/// The outcome of a MESSAGE from juliet@example.com to romeo@example.net.
async fn outcome(juliet: Agent, romeo: Agent) -> Outcome {
    outcome_at("example.net", juliet, romeo).await
}

async fn outcome_at(domain: &str, mut juliet: Agent, mut romeo: Agent) -> Outcome {
    juliet.message(&romeo.uri(domain)).await;
    loop {
        tokio::select! {
            event = juliet.next() => match event {
                Event::Responded { response, .. } => return match response.status {
                    Status::OK => Answered,
                    Status::FORBIDDEN => Forbidden,
                    status => panic!("{status}"),
                },
                Event::RequestFailed { cause: Failure::Unreachable, .. } => return Refused,
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

struct Agent {
    sip: Sip,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Agent {
    async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(Duration::from_secs(10), self.events.recv());
        let next = next.await.expect("an event within ten seconds");
        next.expect("a driver")
    }

    fn address(&self) -> SocketAddr {
        self.sip.local_addresses()[0].1
    }

    /// A domain that is found here without asking the DNS.
    fn uri(&self, domain: &str) -> String {
        format!(
            "sips:romeo@{domain}:{};maddr=127.0.0.1",
            self.address().port()
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
    agent_of(over(tls)).await
}

fn over(tls: &TlsSettings) -> DriverConfig {
    DriverConfig {
        listen: vec![(Transport::Tls, any())],
        tls: Some(tls.clone()),
        ..DriverConfig::default()
    }
}

async fn agent_of(config: DriverConfig) -> Agent {
    let (sender, events) = mpsc::unbounded_channel();
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    Agent {
        sip: bind(config, handler).await.unwrap(),
        events,
    }
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
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
