//! What `[sip.tls]` names, read from its files and found to fit together.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stox_msrp::node;
use stox_sip::{ClientCertificates, TlsError, TlsSettings};

use super::{Tls, validity};

/// Our certificate with its key, and the roots that peers are verified with.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The file our certificate came from.
    pub certificate: PathBuf,
    /// The file its key came from.
    pub key: PathBuf,
    /// When our certificate ends to be valid; `None` if it does not say so in a way that can be read.
    pub expires: Option<SystemTime>,
    /// For SIP over TLS.
    pub sip: TlsSettings,
    /// For MSRP over TLS.
    pub msrp: node::TlsSettings,
}

/// What is wrong with one of the keys of `[sip.tls]`.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) key: &'static str,
    pub(super) problem: String,
}

const CERTIFICATE: &str = "sip.tls.certificate";
const KEY: &str = "sip.tls.key";
const CA: &str = "sip.tls.ca";

impl Certificates {
    /// Reads the files, named relative to `directory`.
    pub(super) fn read(table: &Tls, directory: &Path) -> Result<Certificates, Unusable> {
        let certificate = directory.join(&table.certificate);
        let key = directory.join(&table.key);
        let expected = "a PEM file with a certificate";
        let chain = certificates(CERTIFICATE, expected, &certificate)?;
        let private_key = private_key(&key)?;
        let (clients, roots) = (clients(table), roots(table, directory)?);
        let expires = chain
            .first()
            .and_then(|certificate| validity::not_after(certificate));
        let msrp = node::TlsSettings::new(
            chain.clone(),
            private_key.clone_key(),
            roots.clone(),
            msrp_clients(table),
        );
        let sip = TlsSettings::new(chain, private_key, roots, clients)
            .map_err(|error| unfit(&error, &certificate, &key))?;
        let expected = "a certificate and key for TLS";
        let msrp = msrp.map_err(|error| unusable(CERTIFICATE, expected, &certificate, error))?;
        Ok(Certificates {
            certificate,
            key,
            expires,
            sip,
            msrp,
        })
    }
}

fn clients(table: &Tls) -> ClientCertificates {
    match table.verify_client {
        true => ClientCertificates::Required,
        false => ClientCertificates::NotAsked,
    }
}

fn msrp_clients(table: &Tls) -> node::ClientCertificates {
    match table.verify_client {
        true => node::ClientCertificates::Required,
        false => node::ClientCertificates::Welcome,
    }
}

fn roots(table: &Tls, directory: &Path) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    let Some(file) = &table.ca else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return Ok(roots);
    };
    let (file, expected) = (directory.join(file), "a PEM file with trust roots");
    for root in certificates(CA, expected, &file)? {
        roots
            .add(root)
            .map_err(|error| unusable(CA, expected, &file, error))?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(
    key: &'static str,
    expected: &str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let text = fs::read(file).map_err(|error| unusable(key, expected, file, error))?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(key, expected, file, "has no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(key, expected, file, error)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let expected = "a PEM file with the certificate's private key";
    let text = fs::read(file).map_err(|error| unusable(KEY, expected, file, error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound => unusable(KEY, expected, file, "has no private key"),
        error => unusable(KEY, expected, file, error),
    })
}

fn unfit(error: &TlsError, certificate: &Path, key: &Path) -> Unusable {
    match error {
        TlsError::KeyMismatch => Unusable {
            key: KEY,
            problem: format!(
                "expected the private key of {}, but {} is that of another certificate",
                certificate.display(),
                key.display()
            ),
        },
        TlsError::NoRoots => Unusable {
            key: CA,
            problem: "expected a PEM file with trust roots: verify_client needs some, and the system has none"
                .to_owned(),
        },
        error => unusable(CERTIFICATE, "a certificate and key for TLS", certificate, error),
    }
}

fn unusable(
    key: &'static str,
    expected: &str,
    file: &Path,
    error: impl std::fmt::Display,
) -> Unusable {
    Unusable {
        key,
        problem: format!("expected {expected}, but {}: {error}", file.display()),
    }
}
