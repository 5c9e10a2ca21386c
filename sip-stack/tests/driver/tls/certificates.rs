//! Whose certificate is believed: RFC 5922.

use rustls::RootCertStore;
use stox_sip::{
    BindError, ClientCertificates, DriverConfig, Event, Status, TlsError, TlsSettings, Transport,
    bind,
};

use super::Outcome::{Answered, Forbidden, Refused};
use super::{Authority, LATER, Outcome, agent, outcome, outcome_at};
use crate::stage::any;
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
    let stream = tokio::net::TcpStream::connect(romeo.address(Transport::Tls)).await;
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
        juliet.message(&romeo.sips_uri("example.net")).await;
        romeo.accept().await;
        assert!(matches!(juliet.next().await, Event::Responded { .. }));
        romeo
            .message_from(from, &juliet.sips_uri("example.com"))
            .await;
        if expected == Status::OK {
            juliet.accept().await;
        }
        let Event::Responded { response, .. } = romeo.next().await else {
            panic!()
        };
        assert_eq!(response.status, expected, "{from}");
    }
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
