//! Digest authentication: the hashes, challenges, answers to them, and nonces.
//! RFC 7616, RFC 8760, RFC 3261 §22.

mod answer;
mod challenge;
mod nonce;
mod scheme;

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

pub(crate) use answer::Answer;
pub(crate) use challenge::Challenge;
pub(crate) use nonce::Nonces;

/// A password. Never shown: not in logs, not by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps this password.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a digest is computed with. The session variants hash a key of the session instead of the password.
/// RFC 7616 §3.3, RFC 8760 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Session,
    /// `SHA-512-256`.
    Sha512Half,
    /// `SHA-512-256-sess`.
    Sha512HalfSession,
    /// `MD5`; for peers that know nothing better.
    Md5,
    /// `MD5-sess`.
    Md5Session,
}

impl Algorithm {
    const ALL: [Algorithm; 6] = [
        Algorithm::Sha256,
        Algorithm::Sha256Session,
        Algorithm::Sha512Half,
        Algorithm::Sha512HalfSession,
        Algorithm::Md5,
        Algorithm::Md5Session,
    ];

    /// The algorithm with this name, whatever its case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Session => "SHA-256-sess",
            Algorithm::Sha512Half => "SHA-512-256",
            Algorithm::Sha512HalfSession => "SHA-512-256-sess",
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Session => "MD5-sess",
        }
    }

    pub(crate) fn is_session(self) -> bool {
        match self {
            Algorithm::Sha256Session | Algorithm::Sha512HalfSession | Algorithm::Md5Session => true,
            Algorithm::Sha256 | Algorithm::Sha512Half | Algorithm::Md5 => false,
        }
    }

    /// The hash of the parts with colons between them, as lower-case hexadecimal digits.
    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Algorithm::Sha256 | Algorithm::Sha256Session => hash_joined::<Sha256>(parts),
            Algorithm::Sha512Half | Algorithm::Sha512HalfSession => {
                hash_joined::<Sha512_256>(parts)
            }
            Algorithm::Md5 | Algorithm::Md5Session => hash_joined::<Md5>(parts),
        }
    }
}

fn hash_joined<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// What an answer protects besides the password: the method alone, or the body too. RFC 7616 §3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qop {
    Auth,
    AuthInt,
}

impl Qop {
    fn parse(token: &str) -> Option<Self> {
        [Qop::Auth, Qop::AuthInt]
            .into_iter()
            .find(|qop| qop.as_str().eq_ignore_ascii_case(token))
    }

    fn as_str(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// The request that an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) method: &'a str,
    pub(crate) body: &'a [u8],
}

/// Whether two texts are the same; how long it takes tells only whether they are equally long.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    let difference = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("xyzzy")), "Secret(..)");
    }

    proptest::proptest! {
        /// SEC-14. Nothing that stands in a field breaks its readers, and what they read they write.
        #[test]
        fn whatever_is_read_is_written(text in r#"(Digest realm="r", nonce="n", uri="", username="u", response="x", )?(Digest |[a-z]{1,9}=|"|\\|[ ,=a-z<]|realm="r"|nonce="n"|qop="?auth"?|nc=00000001|cnonce=|username=|uri=|response=|algorithm=MD5-sess){0,24}"#) {
            for challenge in Challenge::read_all(&text) {
                proptest::prop_assert_eq!(Challenge::read_all(&challenge.to_string()), [challenge]);
            }
            for answer in Answer::read_all(&text) {
                proptest::prop_assert_eq!(Answer::read_all(&answer.to_string()), [answer]);
            }
        }
    }

    #[test]
    fn texts_are_compared_as_a_whole() {
        assert!(is_same("abc", "abc") && is_same("", ""));
        assert!(!is_same("abc", "abd") && !is_same("abc", "ab") && !is_same("", "a"));
    }

    /// RFC 3261 §22.4, RFC 8760 §2.6: the hash of an empty body.
    #[test]
    fn hashes_of_nothing() {
        assert_eq!(
            Algorithm::Md5.hash(&[b""]),
            "d41d8cd98f00b204e9800998ecf8427e"
        );
        assert_eq!(
            Algorithm::Sha256.hash(&[b""]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
