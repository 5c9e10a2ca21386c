//! The SIP domains that a certificate stands for, and whether one of them is the domain that is wanted.
//! RFC 5922 §7.1, §7.2.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use crate::{Scheme, Uri};

/// The domains of a certificate, in lower case: those of its `sip` URIs, and its DNS names only where it has none of
/// these. A URI with a user names a person and no domain. Wildcards are kept as they are, so they equal no domain.
pub(super) fn domains(certificate: &CertificateDer<'_>) -> Result<Vec<String>, webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    let of_uris: Vec<String> = certificate.valid_uri_names().filter_map(domain).collect();
    if !of_uris.is_empty() {
        return Ok(of_uris);
    }
    let names = certificate.valid_dns_names();
    Ok(names.map(str::to_ascii_lowercase).collect())
}

/// Whether a certificate stands for that domain, as a whole and whatever the case; or for that address, which it may
/// name as such: RFC 5922 speaks of domains alone, while peers write addresses into their Contacts.
pub(super) fn stands_for(
    certificate: &CertificateDer<'_>,
    wanted: &ServerName<'_>,
) -> Result<bool, webpki::Error> {
    if let ServerName::IpAddress(_) = wanted
        && EndEntityCert::try_from(certificate)?
            .verify_is_valid_for_subject_name(wanted)
            .is_ok()
    {
        return Ok(true);
    }
    let wanted = wanted.to_str();
    let wanted = wanted.trim_end_matches('.');
    let domains = domains(certificate)?;
    Ok(domains.iter().any(|d| d.eq_ignore_ascii_case(wanted)))
}

fn domain(uri: &str) -> Option<String> {
    let uri: Uri = uri.parse().ok()?;
    if *uri.scheme() != Scheme::Sip || uri.user().is_some() {
        return None;
    }
    let host = uri.host()?.to_string().to_ascii_lowercase();
    // An IPv6 address is compared without the brackets it has in a URI.
    Some(host.trim_matches(['[', ']']).to_owned())
}
