//! Shell: TLS. What we show to peers, what we ask of them, and the handshakes. Which domains a certificate stands for
//! is said by `identity`.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::identity;
use crate::resolve::Target;

/// What is shown to peers and asked of them over TLS 1.2 and 1.3. Clones share the same settings.
///
/// A peer we connect to must stand for the domain of the URI asked for, by the rules of RFC 5922: a `sip` URI in its
/// certificate decides, a DNS name only where there is none, and a wildcard never.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    clients: ClientCertificates,
}

/// Whether peers that connect to us have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    #[default]
    NotAsked,
    /// Who shows none, or one that the roots do not vouch for, is not let in (SEC-02).
    Required,
}

/// Why certificate, key and roots cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// The key is of another certificate.
    #[error("the key does not belong to the certificate")]
    KeyMismatch,
    /// Client certificates are to be verified, and there is nothing to verify them with.
    #[error("there is no trust root to verify clients with")]
    NoRoots,
    /// Certificate or key cannot be used otherwise.
    #[error("certificate or key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Whether a handshake failed because of what the peer has shown of itself.
pub(super) fn is_about_certificate(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

impl TlsSettings {
    /// Settings from a certificate chain, our own certificate first; its private key; and the roots that peers are
    /// verified with. The process's default provider does the cryptography, aws-lc-rs where none is installed.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: RootCertStore,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
                error => TlsError::Unusable(error),
            })?;
        let own = Arc::new(SingleCertAndKey::from(certified));
        let roots = Arc::new(roots);
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let server = match clients {
            ClientCertificates::NotAsked => server.with_no_client_auth(),
            ClientCertificates::Required => {
                let builder =
                    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
                let verifier = builder.build().map_err(|_| TlsError::NoRoots)?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let verifier = DomainVerifier {
            roots,
            algorithms: provider.signature_verification_algorithms,
        };
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Self {
            server: Arc::new(server.with_cert_resolver(own.clone())),
            client: Arc::new(client.with_client_cert_resolver(own)),
            clients,
        })
    }

    /// Makes sure that whoever answers there is the target's domain. Where peers that connect to us have to prove their
    /// domains, those that this one has proven are returned too: it may send requests on this connection.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        target: &Target,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Vec<String>>)> {
        let wanted = target.domain.as_deref().unwrap_or_default();
        // Brackets are part of how a URI writes an IPv6 address, not of the name.
        let name = wanted.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| io::ErrorKind::InvalidInput)?;
        let connector = TlsConnector::from(self.client.clone());
        let stream = match connector.connect(name, stream).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(domain = wanted, remote = %target.address, %error, "no TLS with the peer");
                return Err(error);
            }
        };
        let domains = match self.clients {
            ClientCertificates::NotAsked => None,
            ClientCertificates::Required => proven(stream.get_ref().1.peer_certificates())?,
        };
        Ok((stream.into(), domains))
    }

    /// Lets a peer in. Also returns the domains that its certificate proves, if it was asked for one.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Vec<String>>)> {
        let stream = TlsAcceptor::from(self.server.clone())
            .accept(stream)
            .await?;
        let domains = proven(stream.get_ref().1.peer_certificates())?;
        Ok((stream.into(), domains))
    }
}

fn proven(chain: Option<&[CertificateDer<'_>]>) -> io::Result<Option<Vec<String>>> {
    let certificate = chain.and_then(<[_]>::first);
    let domains = certificate.map(identity::domains).transpose();
    domains.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The certificate is vouched for by a root, of today, for servers; and stands for the domain by the rules of SIP.
#[derive(Debug)]
struct DomainVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for DomainVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        match identity::stands_for(certificate, name) {
            Ok(true) => Ok(ServerCertVerified::assertion()),
            Ok(false) => Err(CertificateError::NotValidForName.into()),
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
