//! A chat over SIP and MSRP with TLS, through the gateway to a scripted XMPP server. SEC-01, SEC-02, SEC-07.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stox::config::Config;
use stox::gateway::Gateway;
use stox_msrp::node::{self, Inbox, Node, NodeConfig};
use stox_msrp::sdp::{LocalMedia, Origin, SessionDescription, Setup, offer};
use stox_msrp::uri::Scheme;
use stox_msrp::{FailureReport, Incoming, Outgoing, Role, SessionConfig, SessionEvent};
use stox_sip::{
    ClientCertificates, DriverConfig, Event, Invite, LocalContact, NameAddr, TlsSettings,
    Transport, bind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_chat_is_secure_from_the_invite_to_the_message() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let xmpp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sip, msrp) = (free_port(), free_port());
    let config = files.config(&format!(
        "[xmpp]\nserver = \"{}\"\ndomain = \"sip.example.com\"\nsecret = \"s\"\n\
         [sip]\nlisten = [\"tls:{sip}\"]\n[sip.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
         ca = \"ca.pem\"\nverify_client = true\n[msrp]\nlisten = [\"tls:{msrp}\"]\n",
        xmpp.local_addr().unwrap()
    ));
    let gateway = Gateway::start(&config).await.unwrap();
    let mut server = welcome(&xmpp).await;

    let (chain, key, roots) = authority.identity(&["sip:example.net", "sip:127.0.0.1"]);
    let proxy = format!(
        "sip:example.com:{};maddr=127.0.0.1;transport=tls;lr",
        sip.port()
    );
    let (told, mut events) = mpsc::unbounded_channel();
    let tls = TlsSettings::new(chain, key, roots, ClientCertificates::NotAsked).unwrap();
    let driver = DriverConfig {
        listen: vec![(Transport::Tls, "127.0.0.1:0".parse().unwrap())],
        outbound_proxy: Some(proxy.parse().unwrap()),
        tls: Some(tls),
        ..DriverConfig::default()
    };
    let handler = move |event| {
        let _ = told.send(event);
        Ok(())
    };
    let romeo = bind(driver, handler).await.unwrap();
    let node = Node::bind(secure_node()).await.unwrap();
    let local = node.mint();
    let media = LocalMedia {
        setup: Setup::Active,
        accept_types: vec!["text/plain".to_owned()],
        fingerprint: node.fingerprint(),
        ..LocalMedia::default()
    };
    let address = |uri: &str| NameAddr::new(uri.parse().unwrap());
    let contact = LocalContact {
        user: Some("romeo".to_owned()),
        ..LocalContact::default()
    };
    let mut invite = Invite::new(
        "sip:juliet@example.com".parse().unwrap(),
        address("sip:romeo@example.net"),
        address("sip:juliet@example.com"),
        contact,
    );
    invite.content_type = "application/sdp".to_owned();
    invite.body = offer(&local, Origin { id: 1, version: 1 }, &media).into();
    let id = romeo.reserve_invite();
    romeo.invite(id, invite).await;
    let answer = loop {
        match timeout(PATIENCE, events.recv()).await.unwrap().unwrap() {
            Event::Progressed { .. } => {}
            Event::Answered { response, .. } => break response.body,
            event => panic!("{event:?}"),
        }
    };
    romeo.ack(id, None).await;

    let answer = SessionDescription::parse(&answer).unwrap();
    assert_eq!(answer.msrp(), None, "nothing in the clear");
    let (_, media) = answer.msrp_over(&[Scheme::Msrps]).unwrap();
    assert!(media.fingerprint.is_some());
    let session = SessionConfig {
        local,
        remote: media.path,
        role: Role::Active,
        max_size: 1000,
        fingerprint: media.fingerprint,
        options: stox_msrp::SessionOptions::default(),
    };
    let (told, mut happened) = mpsc::unbounded_channel();
    let session = node.open(session, Ears(told));
    let bound = timeout(PATIENCE, happened.recv()).await.unwrap();
    assert_eq!(bound, Some(SessionEvent::Bound));
    let message = Outgoing {
        token: 1,
        transaction_id: None,
        content_type: "text/plain".to_owned(),
        body: "Art thou not Romeo?".into(),
        success_report: false,
        failure_report: FailureReport::Yes,
    };
    session.send(message).unwrap();
    read_until(&mut server, "<body>Art thou not Romeo?</body>").await;
    drop(gateway);
}

struct Ears(mpsc::UnboundedSender<SessionEvent>);

impl Inbox for Ears {
    fn receive(&self, message: Incoming) -> Result<(), Incoming> {
        Err(message)
    }

    fn complete(&self, event: SessionEvent) {
        let _ = self.0.send(event);
    }
}

/// Shows a certificate that nobody vouches for, as its description says.
fn secure_node() -> NodeConfig {
    let certified = rcgen::generate_simple_self_signed(["romeo".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let chain = vec![certified.cert.der().clone()];
    let (roots, clients) = (RootCertStore::empty(), node::ClientCertificates::Welcome);
    NodeConfig {
        tls: Some(node::Tls {
            settings: node::TlsSettings::new(chain, key, roots, clients).unwrap(),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
        }),
        ..NodeConfig::default()
    }
}

/// Takes the component's connection and its secret, whatever it is.
async fn welcome(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    read_until(&mut stream, "<stream:stream").await;
    let header = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                  xmlns='jabber:component:accept' from='sip.example.com' id='1'>";
    stream.write_all(header.as_bytes()).await.unwrap();
    read_until(&mut stream, "</handshake>").await;
    stream.write_all(b"<handshake/>").await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(end) {
        let read = timeout(PATIENCE, stream.read_buf(&mut heard)).await;
        let read = read.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&heard)));
        assert_ne!(read.unwrap(), 0, "{}", String::from_utf8_lossy(&heard));
    }
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Who vouches for certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certificate(&self, uris: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        let name = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(name).collect();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn identity(
        &self,
        uris: &[&str],
    ) -> (
        Vec<CertificateDer<'static>>,
        PrivateKeyDer<'static>,
        RootCertStore,
    ) {
        let (certificate, key) = self.certificate(uris);
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key, roots)
    }
}

/// A directory with the gateway's configuration and certificates, removed afterwards.
struct Files(PathBuf);

impl Files {
    fn new(authority: &Authority) -> Files {
        let directory = std::env::temp_dir().join(format!("stox-secure-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let files = Files(directory);
        let (certificate, key) = authority.certificate(&["sip:example.com", "sip:127.0.0.1"]);
        files.write("cert.pem", &certificate.pem());
        files.write("key.pem", &key.serialize_pem());
        files.write("ca.pem", &authority.0.pem());
        files
    }

    fn config(&self, text: &str) -> Config {
        self.write("stox.toml", text);
        Config::load_with(&self.0.join("stox.toml"), Default::default()).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
