//! `a=fingerprint`: which certificate the described side shows. RFC 8122 §5, RFC 4975 §14.4.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use thiserror::Error;

/// The SHA-256 hash of a certificate in DER. Other hash functions are not understood.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Fingerprint::LENGTH]);

/// A text that is no fingerprint we can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FingerprintError {
    /// Another hash function than SHA-256.
    #[error("the fingerprint is not made with sha-256")]
    HashFunction,
    /// Not 32 bytes in hexadecimal with colons between.
    #[error("the fingerprint is not 32 bytes in hexadecimal")]
    Bytes,
}

impl Fingerprint {
    const LENGTH: usize = 32;
    const FUNCTION: &str = "sha-256";

    /// Of the certificate with that SHA-256 hash.
    pub fn from_hash(hash: [u8; Fingerprint::LENGTH]) -> Fingerprint {
        Fingerprint(hash)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let mut words = text.split_ascii_whitespace();
        let function = words.next().unwrap_or_default();
        if !function.eq_ignore_ascii_case(Fingerprint::FUNCTION) {
            return Err(FingerprintError::HashFunction);
        }
        let mut hash = [0; Fingerprint::LENGTH];
        let mut bytes = words.next().unwrap_or_default().split(':');
        for byte in &mut hash {
            *byte = bytes
                .next()
                .and_then(byte_of)
                .ok_or(FingerprintError::Bytes)?;
        }
        match bytes.next() {
            Some(_) => Err(FingerprintError::Bytes),
            None => Ok(Fingerprint(hash)),
        }
    }
}

fn byte_of(digits: &str) -> Option<u8> {
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Fingerprint::FUNCTION)?;
        for (index, byte) in self.0.iter().enumerate() {
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

    #[test]
    fn what_cannot_be_compared_is_no_fingerprint() {
        let bytes = vec!["AB"; 31].join(":");
        for (text, error) in [
            (String::new(), FingerprintError::HashFunction),
            (format!("sha-1 {bytes}:AB"), FingerprintError::HashFunction),
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
