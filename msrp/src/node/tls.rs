//! Shell: TLS. What we show to peers, what we ask of them, and the handshakes.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::sdp::{Fingerprint, HashFunction};

/// What is shown to peers and asked of them over TLS 1.2 and 1.3. Clones share the same settings.
///
/// A peer whose description has a fingerprint must show the certificate with it, and needs nobody who vouches for it;
/// any other peer that we connect to needs a certificate for its host's name. RFC 4975 §14.2, §14.4.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    own: Arc<SingleCertAndKey>,
    fingerprint: Fingerprint,
    server: Arc<ServerConfig>,
    /// None: there are no roots, so nobody is known by name.
    by_name: Option<Arc<ClientConfig>>,
    vouching: Option<Arc<dyn ClientCertVerifier>>,
    clients: ClientCertificates,
    weak_fingerprints: WeakFingerprints,
}

/// Whether peers that connect to us have to show a certificate. They are always asked, so that it can be compared with
/// the fingerprint in their description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They need not.
    #[default]
    Welcome,
    /// They must, and without a fingerprint in their description a root must vouch for it.
    Required,
}

/// Whether a fingerprint made with SHA-1 is enough to know a peer by. RFC 4975 §14.4 has such ones, and RFC 8122 §5 no
/// longer wants them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeakFingerprints {
    /// They count as none: the peer needs a certificate for its host's name.
    #[default]
    Ignored,
    /// As good as others.
    Accepted,
}

/// Why certificate, key and roots cannot be used for TLS.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// The key is of another certificate.
    #[error("the key does not belong to the certificate")]
    KeyMismatch,
    /// Certificate or key cannot be used otherwise.
    #[error("certificate or key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What a peer has shown of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    certificate: Option<Hashes>,
    is_vouched_for: bool,
}

/// What fingerprints of a certificate are compared with.
#[derive(Clone, Copy, Debug)]
struct Hashes {
    sha1: Fingerprint,
    sha256: Fingerprint,
}

impl Hashes {
    fn of(certificate: &CertificateDer<'_>) -> Hashes {
        Hashes {
            sha1: Fingerprint::from_sha1(Sha1::digest(certificate).into()),
            sha256: Fingerprint::from_hash(Sha256::digest(certificate).into()),
        }
    }

    fn have(&self, wanted: Fingerprint) -> bool {
        match wanted.function() {
            HashFunction::Sha1 => self.sha1 == wanted,
            HashFunction::Sha256 => self.sha256 == wanted,
        }
    }
}

impl TlsSettings {
    /// Settings from a certificate chain, our own certificate first; its private key; and the roots that peers without
    /// a fingerprint are verified with. The process's default provider does the cryptography, aws-lc-rs where none is
    /// installed.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: RootCertStore,
        clients: ClientCertificates,
    ) -> Result<TlsSettings, TlsError> {
        let fingerprint = Hashes::of(chain.first().ok_or(TlsError::NoCertificate)?).sha256;
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let certified = CertifiedKey::from_der(chain, key, &provider);
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            error => TlsError::Unusable(error),
        })?;
        let own = Arc::new(SingleCertAndKey::from(certified));
        let algorithms = provider.signature_verification_algorithms;
        let any = AnyClient {
            algorithms,
            clients,
        };
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(any))
            .with_cert_resolver(own.clone());
        let roots = Arc::new(roots);
        // Both fail only where there are no roots.
        let vouching =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let by_name = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let by_name = by_name
            .ok()
            .map(|verifier| client(&provider, &own, verifier));
        Ok(TlsSettings {
            own,
            fingerprint,
            server: Arc::new(server),
            by_name: by_name.transpose()?.map(Arc::new),
            vouching: vouching.ok(),
            clients,
            weak_fingerprints: WeakFingerprints::default(),
            provider,
        })
    }

    /// These settings with another answer to SHA-1 (SEC-07).
    pub fn with_weak_fingerprints(self, weak_fingerprints: WeakFingerprints) -> TlsSettings {
        TlsSettings {
            weak_fingerprints,
            ..self
        }
    }

    /// Of our certificate, for our descriptions (SEC-07).
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Makes sure that whoever answers there has the wanted certificate, or else one for the host's name.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        wanted: Option<Fingerprint>,
    ) -> io::Result<(TlsStream<TcpStream>, Shown)> {
        let wanted = self.usable(wanted);
        let config = match wanted {
            Some(wanted) => {
                let algorithms = self.provider.signature_verification_algorithms;
                let verifier = Arc::new(Exactly { wanted, algorithms });
                let config = client(&self.provider, &self.own, verifier);
                Arc::new(config.map_err(io::Error::other)?)
            }
            None => {
                let config = self.by_name.clone();
                config
                    .ok_or_else(|| io::Error::other("there are no roots to verify the peer with"))?
            }
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let shown = Shown {
            certificate: certificates.and_then(<[_]>::first).map(Hashes::of),
            is_vouched_for: wanted.is_none(),
        };
        Ok((stream.into(), shown))
    }

    /// Lets a peer in; who it is turns out with its first request.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Shown)> {
        let stream = TlsAcceptor::from(self.server.clone())
            .accept(stream)
            .await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = match certificates.split_first() {
            Some((certificate, chain)) => Shown {
                certificate: Some(Hashes::of(certificate)),
                is_vouched_for: self.vouching.as_ref().is_some_and(|vouching| {
                    let now = UnixTime::now();
                    vouching.verify_client_cert(certificate, chain, now).is_ok()
                }),
            },
            None => Shown {
                certificate: None,
                is_vouched_for: false,
            },
        };
        Ok((stream.into(), shown))
    }

    /// Whether a peer that connected to us may be the one whose description has that fingerprint, if any. RFC 6135
    /// §4.3: one without a certificate is known by the session id alone.
    pub(super) fn suits(&self, shown: &Shown, wanted: Option<Fingerprint>) -> bool {
        match (self.usable(wanted), shown.certificate) {
            (Some(wanted), Some(shown)) => shown.have(wanted),
            (_, None) => self.clients == ClientCertificates::Welcome,
            (None, Some(_)) => shown.is_vouched_for || self.clients == ClientCertificates::Welcome,
        }
    }

    fn usable(&self, wanted: Option<Fingerprint>) -> Option<Fingerprint> {
        wanted.filter(|wanted| match wanted.function() {
            HashFunction::Sha1 => self.weak_fingerprints == WeakFingerprints::Accepted,
            HashFunction::Sha256 => true,
        })
    }
}

fn client(
    provider: &Arc<CryptoProvider>,
    own: &Arc<SingleCertAndKey>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(own.clone());
    // A resumed handshake would not look at the certificate again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The certificate with this fingerprint, whoever vouches for it.
#[derive(Debug)]
struct Exactly {
    wanted: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Hashes::of(certificate).have(self.wanted) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
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

/// Any certificate whose key the peer has; what it is worth turns out with the session.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
    clients: ClientCertificates,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.clients == ClientCertificates::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
