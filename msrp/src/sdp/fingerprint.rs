//! `a=fingerprint`: which certificate the described side shows. RFC 8122 §5, RFC 4975 §14.4.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use thiserror::Error;

/// The hash of a certificate in DER. Other hash functions than these two are not understood.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(Digest);

/// What a fingerprint is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// As RFC 4975 has it, and weak: taken only where that is wished (SEC-07).
    Sha1,
    /// As ours are.
    Sha256,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Digest {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

/// A text that is no fingerprint we can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FingerprintError {
    /// Another hash function than SHA-256 and SHA-1.
    #[error("the fingerprint is made with neither sha-256 nor sha-1")]
    HashFunction,
    /// Not the bytes of such a hash in hexadecimal with colons between.
    #[error("the fingerprint is not a hash in hexadecimal")]
    Bytes,
}

impl Fingerprint {
    /// Of the certificate with that SHA-256 hash.
    pub fn from_hash(hash: [u8; 32]) -> Fingerprint {
        Fingerprint(Digest::Sha256(hash))
    }

    /// Of the certificate with that SHA-1 hash.
    pub fn from_sha1(hash: [u8; 20]) -> Fingerprint {
        Fingerprint(Digest::Sha1(hash))
    }

    /// What it is made with.
    pub fn function(&self) -> HashFunction {
        match self.0 {
            Digest::Sha1(_) => HashFunction::Sha1,
            Digest::Sha256(_) => HashFunction::Sha256,
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Digest::Sha1(hash) => hash,
            Digest::Sha256(hash) => hash,
        }
    }
}

impl HashFunction {
    /// Its name in descriptions; read in any case.
    fn name(self) -> &'static str {
        match self {
            HashFunction::Sha1 => "sha-1",
            HashFunction::Sha256 => "sha-256",
        }
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let hash = words.next().unwrap_or_default();
        let is = |function: HashFunction| name.eq_ignore_ascii_case(function.name());
        if is(HashFunction::Sha256) {
            Ok(Fingerprint(Digest::Sha256(bytes_of(hash)?)))
        } else if is(HashFunction::Sha1) {
            Ok(Fingerprint(Digest::Sha1(bytes_of(hash)?)))
        } else {
            Err(FingerprintError::HashFunction)
        }
    }
}

fn bytes_of<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], FingerprintError> {
    let mut hash = [0; LENGTH];
    let mut bytes = text.split(':');
    for byte in &mut hash {
        let digits = bytes.next().and_then(byte_of);
        *byte = digits.ok_or(FingerprintError::Bytes)?;
    }
    match bytes.next() {
        Some(_) => Err(FingerprintError::Bytes),
        None => Ok(hash),
    }
}

fn byte_of(digits: &str) -> Option<u8> {
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function().name())?;
        for (index, byte) in self.bytes().iter().enumerate() {
            f.write_char(if index == 0 { ' ' } else { ':' })?;
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-07
    #[test]
    fn fingerprints_come_back_as_written() {
        let bytes: Vec<String> = (0..32).map(|byte| format!("{:02X}", byte * 7)).collect();
        let text = format!("sha-256 {}", bytes.join(":"));
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.to_string(), text);
        let other_case = text.to_lowercase().replace("sha", " SHA");
        assert_eq!(other_case.parse(), Ok(fingerprint));
    }

    // SEC-07, with the example of RFC 4975 §14.4
    #[test]
    fn fingerprints_of_old_peers_are_understood() {
        let text = "SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.function(), HashFunction::Sha1);
        assert_eq!(fingerprint.to_string(), text.replace("SHA", "sha"));
        assert_ne!(fingerprint, Fingerprint::from_hash([0; 32]));
    }

    #[test]
    fn what_cannot_be_compared_is_no_fingerprint() {
        let bytes = vec!["AB"; 31].join(":");
        for (text, error) in [
            (String::new(), FingerprintError::HashFunction),
            (format!("md5 {bytes}:AB"), FingerprintError::HashFunction),
            (format!("sha-1 {bytes}:AB"), FingerprintError::Bytes),
            ("sha-256".to_owned(), FingerprintError::Bytes),
            (format!("sha-256 {bytes}"), FingerprintError::Bytes),
            (format!("sha-256 {bytes}:AB:AB"), FingerprintError::Bytes),
            (format!("sha-256 {bytes}:+B"), FingerprintError::Bytes),
            (format!("sha-256 {bytes}:ä"), FingerprintError::Bytes),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(error), "{text}");
        }
    }
}
