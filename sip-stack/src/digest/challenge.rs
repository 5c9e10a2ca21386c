//! Challenges: what WWW-Authenticate and Proxy-Authenticate ask for. RFC 7616 §3.3, RFC 8760 §2.4.

use std::fmt;

use super::scheme::Scheme;
use super::{Algorithm, Qop};
use crate::grammar;

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) opaque: Option<String>,
    pub(crate) algorithm: Algorithm,
    /// What the answer is to protect; none: the peer is older than the parameter (RFC 2069).
    pub(crate) qop: Option<Qop>,
    /// Whether only the nonce of the answer before was wrong.
    pub(crate) stale: bool,
}

impl Challenge {
    /// The challenges in the value of one header field that we understand, best liked first. RFC 8760 §2.4.
    pub(crate) fn read_all(text: &str) -> Vec<Self> {
        let schemes = Scheme::read_all(text);
        schemes.iter().filter_map(Self::of_scheme).collect()
    }

    fn of_scheme(scheme: &Scheme<'_>) -> Option<Self> {
        if !scheme.is_digest() {
            return None;
        }
        let algorithm = match scheme.get("algorithm") {
            Some(name) => Algorithm::parse(name)?,
            None => Algorithm::Md5,
        };
        let qop = match scheme.get("qop") {
            // Of options we do not know none can be chosen.
            Some(options) => Some(choose(options)?),
            None => None,
        };
        // The session key is made with a cnonce, which is sent with qop only. RFC 3261 §22.4.
        if algorithm.is_session() && qop.is_none() {
            return None;
        }
        Some(Self {
            realm: scheme.owned("realm")?,
            nonce: scheme.owned("nonce")?,
            opaque: scheme.owned("opaque"),
            algorithm,
            qop,
            stale: scheme
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// `auth` if it is offered: bodies may be changed on the way, and few peers compute `auth-int` as the text says.
fn choose(options: &str) -> Option<Qop> {
    let offered = || {
        options
            .split(',')
            .filter_map(|option| Qop::parse(option.trim()))
    };
    offered()
        .find(|qop| *qop == Qop::Auth)
        .or_else(|| offered().next())
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest realm=")?;
        grammar::write_quoted(f, &self.realm)?;
        f.write_str(", nonce=")?;
        grammar::write_quoted(f, &self.nonce)?;
        if let Some(opaque) = &self.opaque {
            f.write_str(", opaque=")?;
            grammar::write_quoted(f, opaque)?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if let Some(qop) = self.qop {
            f.write_str(", qop=")?;
            grammar::write_quoted(f, qop.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-15. RFC 8760 §2.4: the topmost that is understood; others are skipped.
    #[test]
    fn what_is_not_understood_is_skipped() {
        let text = r#"Basic realm="b", Digest realm="r", nonce="n", algorithm=SHA-1024,
            Digest realm="r", nonce="n", algorithm=SHA-256, qop="token, AUTH-INT,auth", opaque="o\"",
            Digest realm="r", nonce="n", qop="auth-int", stale=True,
            Digest realm="r", nonce="n", qop="later",
            Digest realm="r", nonce="n", algorithm=MD5-sess,
            Digest realm="r", Digest nonce="n", Digest realm="old", nonce=n"#;
        let challenges = Challenge::read_all(text);
        let found: Vec<_> = challenges
            .iter()
            .map(|c| (c.algorithm, c.qop, c.stale, c.realm.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (Algorithm::Sha256, Some(Qop::Auth), false, "r"),
                (Algorithm::Md5, Some(Qop::AuthInt), true, "r"),
                (Algorithm::Md5, None, false, "old"),
            ]
        );
        assert_eq!(challenges[0].opaque.as_deref(), Some("o\""));
        for challenge in challenges {
            assert_eq!(Challenge::read_all(&challenge.to_string()), [challenge]);
        }
    }
}
