//! Two nodes talk over TLS on the loopback address, with certificates made here.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, pki_types::PrivateKeyDer};
use stox_msrp::{
    FailureReport, Incoming, LostCause, MsrpUri, Outgoing, Role, SessionConfig, SessionEvent,
    SessionOptions,
    node::{
        ClientCertificates, Inbox, Node, NodeConfig, Preference, Session, Tls, TlsError,
        TlsSettings, WeakFingerprints,
    },
    sdp::{Fingerprint, LocalMedia, Origin, SessionDescription, answer, offer},
    uri::Scheme,
};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};

use ClientCertificates::{Required, Welcome};
use sha1::Digest;

/// SEC-07, MSRP-01: both ways, from small to more than the sockets hold, each peer known by its fingerprint.
#[tokio::test]
async fn messages_travel_over_tls() {
    let (romeo, juliet) = (
        node(&self_signed(Welcome)).await,
        node(&self_signed(Required)).await,
    );
    let (ours, theirs) = (juliet.mint(), romeo.mint());
    assert!(ours.to_string().starts_with("msrps://127.0.0.1:"), "{ours}");
    let mut b = open(
        &juliet,
        ours.clone(),
        theirs.clone(),
        Role::Passive,
        romeo.fingerprint(),
    );
    let mut a = open(&romeo, theirs, ours, Role::Active, juliet.fingerprint());
    assert_eq!(a.event().await, SessionEvent::Bound);
    assert_eq!(b.event().await, SessionEvent::Bound);
    for (token, length) in [(1, 5), (2, 70_000), (3, 3_000_000)] {
        let body = "x".repeat(length);
        a.session.send(outgoing(token, &body)).unwrap();
        let incoming = b.message().await;
        assert_eq!(incoming.body.len(), length);
        b.session.respond(incoming.id, 200);
        assert_eq!(a.event().await, SessionEvent::Accepted { token });
        b.session.send(outgoing(token, &body)).unwrap();
        let incoming = a.message().await;
        assert_eq!(incoming.body.len(), length);
        a.session.respond(incoming.id, 200);
        assert_eq!(b.event().await, SessionEvent::Accepted { token });
    }
}

/// MSRP-09: sessions that wait for the same connection fail with it, and not one after the other, each in an attempt of
/// its own.
#[tokio::test]
async fn a_connection_that_is_not_made_fails_all_that_wait_for_it() {
    let silent = std::net::TcpListener::bind(any()).unwrap();
    let connect = Duration::from_millis(500);
    let mut config = listening(&self_signed(Welcome));
    config.limits.connect = connect;
    let node = Node::bind(config).await.unwrap();
    let theirs: MsrpUri = format!("msrps://{}/abc;tcp", silent.local_addr().unwrap())
        .parse()
        .unwrap();
    let fingerprint = node.fingerprint();
    let began = std::time::Instant::now();
    let mut sessions: Vec<_> = (0..20)
        .map(|_| {
            open(
                &node,
                node.mint(),
                theirs.clone(),
                Role::Active,
                fingerprint,
            )
        })
        .collect();
    for session in &mut sessions {
        let cause = LostCause::Unreachable;
        assert_eq!(session.event().await, SessionEvent::Lost { cause });
    }
    assert!(began.elapsed() < connect * 4, "{:?}", began.elapsed());
}

/// SEC-07: a certificate that is not the one in the description ends the connection at once, on either side.
#[tokio::test]
async fn another_certificate_than_described_is_refused_at_once() {
    let stranger = self_signed(Welcome).fingerprint();
    let (romeo, juliet) = (
        node(&self_signed(Welcome)).await,
        node(&self_signed(Welcome)).await,
    );
    let untrusted = SessionEvent::Lost {
        cause: LostCause::Untrusted,
    };
    // Who connects finds another certificate.
    let (ours, theirs) = (juliet.mint(), romeo.mint());
    let _b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, None);
    let mut a = open(&romeo, theirs, ours, Role::Active, Some(stranger));
    assert_eq!(a.event().await, untrusted);
    // Who waits is shown another one.
    let (ours, theirs) = (juliet.mint(), romeo.mint());
    let mut b = open(
        &juliet,
        ours.clone(),
        theirs.clone(),
        Role::Passive,
        Some(stranger),
    );
    let mut a = open(&romeo, theirs, ours, Role::Active, juliet.fingerprint());
    assert_eq!(b.event().await, untrusted);
    let lost = a.event().await;
    assert!(matches!(lost, SessionEvent::Lost { .. }), "{lost:?}");
}

/// SEC-07: fingerprints made with SHA-1 are for those who wish; for others they are as good as none.
#[tokio::test]
async fn sha_1_is_taken_by_policy() {
    let (certificate, juliet) = self_signed_certificate(Welcome);
    let right = Fingerprint::from_sha1(sha1::Sha1::digest(&certificate).into());
    let wrong = Fingerprint::from_sha1([7; 20]);
    let juliet = node(&juliet).await;
    let untrusted = SessionEvent::Lost {
        cause: LostCause::Untrusted,
    };
    for (policy, fingerprint, expected) in [
        (WeakFingerprints::Accepted, right, SessionEvent::Bound),
        (WeakFingerprints::Accepted, wrong, untrusted.clone()),
        (WeakFingerprints::Ignored, right, untrusted),
    ] {
        let romeo = self_signed(Welcome).with_weak_fingerprints(policy);
        let romeo = node(&romeo).await;
        let (ours, theirs) = (juliet.mint(), romeo.mint());
        let _b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, None);
        let mut a = open(&romeo, theirs, ours, Role::Active, Some(fingerprint));
        assert_eq!(a.event().await, expected, "{policy:?} {fingerprint}");
    }
}

/// SEC-07: the same of who connects to us.
#[tokio::test]
async fn sha_1_of_who_connects_is_compared() {
    let (certificate, romeo) = self_signed_certificate(Welcome);
    let right = Fingerprint::from_sha1(sha1::Sha1::digest(&certificate).into());
    let wrong = Fingerprint::from_sha1([7; 20]);
    let juliet = self_signed(Welcome).with_weak_fingerprints(WeakFingerprints::Accepted);
    let (romeo, juliet) = (node(&romeo).await, node(&juliet).await);
    let untrusted = SessionEvent::Lost {
        cause: LostCause::Untrusted,
    };
    for (fingerprint, expected) in [(right, SessionEvent::Bound), (wrong, untrusted)] {
        let (ours, theirs) = (juliet.mint(), romeo.mint());
        let wanted = Some(fingerprint);
        let mut b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, wanted);
        let _a = open(&romeo, theirs, ours, Role::Active, juliet.fingerprint());
        assert_eq!(b.event().await, expected, "{fingerprint}");
    }
}

/// RFC 4975 §14.2: without a fingerprint the certificate is for the host's name, and a root vouches for it.
#[tokio::test]
async fn without_a_fingerprint_the_name_decides() {
    let authority = Authority::new();
    let of = |name: &str| authority.settings(name, Welcome);
    for (case, settings, is_trusted) in [
        ("right", of("127.0.0.1"), true),
        ("another name", of("192.0.2.1"), false),
        ("nobody vouches", self_signed(Welcome), false),
    ] {
        let (romeo, juliet) = (node(&of("romeo.example.net")).await, node(&settings).await);
        let (ours, theirs) = (juliet.mint(), romeo.mint());
        let _b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, None);
        let mut a = open(&romeo, theirs, ours, Role::Active, None);
        let expected = match is_trusted {
            true => SessionEvent::Bound,
            false => SessionEvent::Lost {
                cause: LostCause::Untrusted,
            },
        };
        assert_eq!(a.event().await, expected, "{case}");
    }
}

/// SEC-02: who requires certificates and is told no fingerprint wants somebody to vouch for them.
#[tokio::test]
async fn required_certificates_must_be_vouched_for() {
    let authority = Authority::new();
    let juliet = node(&authority.settings("127.0.0.1", Required)).await;
    for (settings, is_trusted) in [
        (authority.settings("romeo.example.net", Welcome), true),
        (self_signed(Welcome), false),
    ] {
        let romeo = node(&settings).await;
        let (ours, theirs) = (juliet.mint(), romeo.mint());
        let mut b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, None);
        let _a = open(&romeo, theirs, ours, Role::Active, juliet.fingerprint());
        let expected = match is_trusted {
            true => SessionEvent::Bound,
            false => SessionEvent::Lost {
                cause: LostCause::Untrusted,
            },
        };
        assert_eq!(b.event().await, expected);
    }
}

/// SEC-07: a session that is to be secure is neither bound nor opened in the clear, and the other way round.
#[tokio::test]
async fn nothing_falls_back_to_the_clear() {
    let settings = self_signed(Welcome);
    let juliet = both(&settings, Preference::Tls).await;
    let (clear, secure) = (juliet.mint_for(Scheme::Msrp).unwrap(), juliet.mint());
    assert_eq!(
        (clear.scheme(), secure.scheme()),
        (Scheme::Msrp, Scheme::Msrps)
    );
    assert_eq!(juliet.schemes(), [Scheme::Msrps, Scheme::Msrp]);

    let romeo = both(&self_signed(Welcome), Preference::Clear).await;
    assert_eq!(romeo.mint().scheme(), Scheme::Msrp);
    for (ours, theirs) in [(Scheme::Msrps, Scheme::Msrp), (Scheme::Msrp, Scheme::Msrps)] {
        let ours = juliet.mint_for(ours).unwrap();
        let mut a = open(
            &romeo,
            romeo.mint_for(theirs).unwrap(),
            ours,
            Role::Active,
            None,
        );
        let unusable = SessionEvent::Lost {
            cause: LostCause::UnusablePath,
        };
        assert_eq!(a.event().await, unusable);
    }

    // Its id named on a connection in the clear is no proof of anything.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let peer: MsrpUri = "msrps://127.0.0.1:9/x;tcp".parse().unwrap();
    let mut b = open(&juliet, secure.clone(), peer.clone(), Role::Passive, None);
    let mut stream = TcpStream::connect(juliet.local_addresses()[0])
        .await
        .unwrap();
    let request = format!(
        "MSRP abcd1 SEND\r\nTo-Path: {secure}\r\nFrom-Path: {peer}\r\nMessage-ID: 1\r\n\
         Byte-Range: 1-0/0\r\n-------abcd1$\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 14];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"MSRP abcd1 481");
    assert!(b.happened.try_recv().is_err());
    drop(b.session);
}

/// MSRP-09: a connection is used again by sessions of the same peer, not by those that await another certificate.
#[tokio::test]
async fn connections_are_shared_by_sessions_of_the_same_identity() {
    let (romeo, juliet) = (
        node(&self_signed(Welcome)).await,
        node(&self_signed(Welcome)).await,
    );
    let mut open_ends = Vec::new();
    for fingerprint in [juliet.fingerprint(), juliet.fingerprint()] {
        let (ours, theirs) = (juliet.mint(), romeo.mint());
        let mut b = open(&juliet, ours.clone(), theirs.clone(), Role::Passive, None);
        let mut a = open(&romeo, theirs, ours, Role::Active, fingerprint);
        assert_eq!(a.event().await, SessionEvent::Bound);
        assert_eq!(b.event().await, SessionEvent::Bound);
        open_ends.push((a, b));
    }
    let (ours, theirs) = (juliet.mint(), romeo.mint());
    let stranger = self_signed(Welcome).fingerprint();
    let mut a = open(&romeo, theirs, ours, Role::Active, Some(stranger));
    let cause = LostCause::Untrusted;
    assert_eq!(a.event().await, SessionEvent::Lost { cause });
}

/// SEC-07: descriptions of such sessions say `TCP/TLS/MSRP` and the fingerprint, and are not taken for plain ones.
#[tokio::test]
async fn descriptions_name_the_certificate() {
    let node = node(&self_signed(Welcome)).await;
    let media = LocalMedia {
        accept_types: vec!["text/plain".to_owned()],
        fingerprint: node.fingerprint(),
        ..LocalMedia::default()
    };
    let origin = Origin { id: 1, version: 1 };
    let text = offer(&node.mint(), origin, &media);
    let offered = SessionDescription::parse(&text).unwrap();
    assert_eq!(offered.msrp(), None, "not without TLS");
    let (index, read) = offered.msrp_over(&[Scheme::Msrp, Scheme::Msrps]).unwrap();
    assert_eq!(
        (read.proto.as_str(), read.fingerprint),
        ("TCP/TLS/MSRP", node.fingerprint())
    );
    let answered = answer(&offered, index, &node.mint(), origin, &media);
    let answered = SessionDescription::parse(&answered).unwrap();
    assert_eq!(answered.msrp(), None);
    let (_, read) = answered.msrp_over(&[Scheme::Msrps]).unwrap();
    assert_eq!(read.fingerprint, node.fingerprint());
    // The line says TLS and the path does not.
    let text = String::from_utf8(text)
        .unwrap()
        .replace("msrps://", "msrp://");
    let offered = SessionDescription::parse(text.as_bytes()).unwrap();
    assert_eq!(offered.msrp_over(&[Scheme::Msrp, Scheme::Msrps]), None);
}

#[test]
fn unusable_settings_are_refused() {
    let authority = Authority::new();
    let ((chain, _), (_, key)) = (authority.certificate("a"), authority.certificate("a"));
    let settings = |chain, key| TlsSettings::new(chain, key, RootCertStore::empty(), Welcome);
    assert!(matches!(
        settings(vec![chain], key.clone_key()),
        Err(TlsError::KeyMismatch)
    ));
    assert!(matches!(
        settings(Vec::new(), key),
        Err(TlsError::NoCertificate)
    ));
}

const PATIENCE: Duration = Duration::from_secs(10);

struct End {
    session: Session,
    happened: mpsc::UnboundedReceiver<Happened>,
}

enum Happened {
    Message(Incoming),
    Event(SessionEvent),
}

struct Door(mpsc::UnboundedSender<Happened>);

impl Inbox for Door {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        let _ = self.0.send(Happened::Message(message));
        Ok(())
    }

    fn complete(&self, event: SessionEvent) {
        let _ = self.0.send(Happened::Event(event));
    }
}

impl End {
    async fn next(&mut self) -> Happened {
        timeout(PATIENCE, self.happened.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn message(&mut self) -> Incoming {
        match self.next().await {
            Happened::Message(incoming) => incoming,
            Happened::Event(event) => panic!("{event:?} instead of a message"),
        }
    }

    async fn event(&mut self) -> SessionEvent {
        match self.next().await {
            Happened::Event(event) => event,
            Happened::Message(incoming) => panic!("{incoming:?} instead of an event"),
        }
    }
}

fn open(
    node: &Node,
    local: MsrpUri,
    remote: MsrpUri,
    role: Role,
    fingerprint: Option<Fingerprint>,
) -> End {
    let (sender, happened) = mpsc::unbounded_channel();
    let config = SessionConfig {
        local,
        remote: vec![remote],
        role,
        max_size: 10_000_000,
        fingerprint,
        options: SessionOptions::default(),
    };
    End {
        session: node.open(config, Door(sender)),
        happened,
    }
}

/// Listens for TLS only.
async fn node(settings: &TlsSettings) -> Node {
    Node::bind(listening(settings)).await.unwrap()
}

async fn both(settings: &TlsSettings, preference: Preference) -> Node {
    let config = NodeConfig {
        listen: vec![any()],
        preference,
        ..listening(settings)
    };
    Node::bind(config).await.unwrap()
}

fn listening(settings: &TlsSettings) -> NodeConfig {
    NodeConfig {
        tls: Some(Tls {
            settings: settings.clone(),
            listen: vec![any()],
        }),
        ..NodeConfig::default()
    }
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn outgoing(token: u64, body: &str) -> Outgoing {
    Outgoing {
        token,
        transaction_id: None,
        content_type: "text/plain".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

/// Nobody vouches for it, and it trusts nobody but by fingerprint.
fn self_signed(clients: ClientCertificates) -> TlsSettings {
    self_signed_certificate(clients).1
}

fn self_signed_certificate(
    clients: ClientCertificates,
) -> (rustls::pki_types::CertificateDer<'static>, TlsSettings) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let certificate = certified.cert.der().clone();
    let chain = vec![certificate.clone()];
    let settings = TlsSettings::new(chain, key, RootCertStore::empty(), clients).unwrap();
    (certificate, settings)
}

/// Who vouches for certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(
        &self,
        name: &str,
    ) -> (
        rustls::pki_types::CertificateDer<'static>,
        PrivateKeyDer<'static>,
    ) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }

    /// Trusts this authority.
    fn settings(&self, name: &str, clients: ClientCertificates) -> TlsSettings {
        let (certificate, key) = self.certificate(name);
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        TlsSettings::new(vec![certificate], key, roots, clients).unwrap()
    }
}
