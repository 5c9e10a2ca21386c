//! Answers to challenges: what Authorization and Proxy-Authorization bring. RFC 7616 §3.4.

use std::fmt;

use super::scheme::Scheme;
use super::{Algorithm, Challenge, Qop, Secret, Subject, is_same};
use crate::grammar;

/// An answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) user: String,
    pub(crate) realm: String,
    pub(crate) nonce: String,
    /// The Request-URI as it was when the answer was computed.
    pub(crate) uri: String,
    pub(crate) algorithm: Algorithm,
    opaque: Option<String>,
    /// None: the client is older than the parameter (RFC 2069).
    protection: Option<Protection>,
    response: String,
}

/// What comes with `qop`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Protection {
    qop: Qop,
    /// Eight hexadecimal digits.
    count: String,
    cnonce: String,
}

impl Answer {
    /// Answers a challenge. `count` is how often its nonce is used, this time included; `cnonce` must be hard to guess.
    pub(crate) fn new(
        challenge: &Challenge,
        user: &str,
        secret: &Secret,
        uri: &str,
        subject: Subject<'_>,
        (count, cnonce): (u32, &str),
    ) -> Self {
        let mut answer = Self {
            user: user.to_owned(),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            uri: uri.to_owned(),
            algorithm: challenge.algorithm,
            opaque: challenge.opaque.clone(),
            protection: challenge.qop.map(|qop| Protection {
                qop,
                count: format!("{count:08x}"),
                cnonce: cnonce.to_owned(),
            }),
            response: String::new(),
        };
        answer.response = answer.compute(secret, subject);
        answer
    }

    /// The answers in the value of one header field; what is incomplete is left out.
    pub(crate) fn read_all(text: &str) -> Vec<Self> {
        let schemes = Scheme::read_all(text);
        schemes.iter().filter_map(Self::of_scheme).collect()
    }

    fn of_scheme(scheme: &Scheme<'_>) -> Option<Self> {
        if !scheme.is_digest() {
            return None;
        }
        let protection = match scheme.get("qop") {
            Some(qop) => Some(Protection {
                qop: Qop::parse(qop)?,
                count: scheme.owned("nc").filter(|count| is_count(count))?,
                cnonce: scheme.owned("cnonce")?,
            }),
            None => None,
        };
        let algorithm = match scheme.get("algorithm") {
            Some(name) => Algorithm::parse(name)?,
            None => Algorithm::Md5,
        };
        if algorithm.is_session() && protection.is_none() {
            return None;
        }
        Some(Self {
            user: scheme.owned("username")?,
            realm: scheme.owned("realm")?,
            nonce: scheme.owned("nonce")?,
            uri: scheme.owned("uri")?,
            algorithm,
            opaque: scheme.owned("opaque"),
            protection,
            response: scheme.owned("response")?,
        })
    }

    /// How often the nonce has been used; none: the client does not count (RFC 2069).
    pub(crate) fn count(&self) -> Option<u32> {
        let protection = self.protection.as_ref()?;
        u32::from_str_radix(&protection.count, 16).ok()
    }

    /// Whether who computed it knew the password.
    pub(crate) fn is_right(&self, secret: &Secret, subject: Subject<'_>) -> bool {
        is_same(&self.compute(secret, subject), &self.response)
    }

    /// RFC 7616 §3.4.1 to §3.4.3; without `qop` RFC 2069 §2.1.2.
    fn compute(&self, secret: &Secret, subject: Subject<'_>) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let nonce = self.nonce.as_bytes();
        let mut key = hash(&[
            self.user.as_bytes(),
            self.realm.as_bytes(),
            secret.expose().as_bytes(),
        ]);
        let (method, uri) = (subject.method.as_bytes(), self.uri.as_bytes());
        let Some(Protection { qop, count, cnonce }) = &self.protection else {
            return hash(&[key.as_bytes(), nonce, hash(&[method, uri]).as_bytes()]);
        };
        if self.algorithm.is_session() {
            key = hash(&[key.as_bytes(), nonce, cnonce.as_bytes()]);
        }
        let request = match qop {
            Qop::Auth => hash(&[method, uri]),
            Qop::AuthInt => hash(&[method, uri, hash(&[subject.body]).as_bytes()]),
        };
        hash(&[
            key.as_bytes(),
            nonce,
            count.as_bytes(),
            cnonce.as_bytes(),
            qop.as_str().as_bytes(),
            request.as_bytes(),
        ])
    }
}

fn is_count(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = [
            ("Digest username=", Some(&self.user)),
            (", realm=", Some(&self.realm)),
            (", nonce=", Some(&self.nonce)),
            (", uri=", Some(&self.uri)),
            (", response=", Some(&self.response)),
            (", opaque=", self.opaque.as_ref()),
        ];
        for (name, value) in quoted {
            if let Some(value) = value {
                f.write_str(name)?;
                grammar::write_quoted(f, value)?;
            }
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if let Some(Protection { qop, count, cnonce }) = &self.protection {
            write!(f, ", qop={}, nc={count}, cnonce=", qop.as_str())?;
            grammar::write_quoted(f, cnonce)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        challenge: &str,
        user: &str,
        secret: &str,
        (method, uri, body): (&str, &str, &str),
        cnonce: &str,
    ) -> Answer {
        let challenge = Challenge::read_all(challenge).remove(0);
        let subject = Subject {
            method,
            body: body.as_bytes(),
        };
        let answer = Answer::new(
            &challenge,
            user,
            &Secret::new(secret),
            uri,
            subject,
            (1, cnonce),
        );
        let read = Answer::read_all(&answer.to_string()).remove(0);
        assert_eq!(read, answer);
        assert!(read.is_right(&Secret::new(secret), subject));
        assert!(!read.is_right(&Secret::new("other"), subject));
        assert!(!read.is_right(
            &Secret::new(secret),
            Subject {
                method: "BYE",
                ..subject
            }
        ));
        answer
    }

    /// SIP-15. RFC 7616 §3.9.1.
    #[test]
    fn the_example_with_sha_256_and_md5() {
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = format!(
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm},
                nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            );
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let subject = ("GET", "/dir/index.html", "");
            let answer = answer(&challenge, "Mufasa", "Circle of Life", subject, cnonce);
            assert_eq!(answer.response, expected);
            assert_eq!(answer.count(), Some(1));
        }
    }

    /// SIP-15. RFC 7616 §3.9.2, with the user's name as it is. The RFC prints what SHA-512 cut to half gives, which is not
    /// SHA-512/256 (erratum 4897).
    #[test]
    fn the_example_with_sha_512_256() {
        let challenge = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256,
            nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
            charset=UTF-8, userhash=true"#;
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let subject = ("GET", "/doe.json", "");
        let answer = answer(challenge, "Jäsøn Doe", "Secret, or not?", subject, cnonce);
        assert_eq!(
            answer.response,
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
    }

    /// SIP-15. The example of RFC 2617 §3.5 with every `qop`, the session variant, and as RFC 2069 has it.
    #[test]
    fn every_kind_of_protection() {
        for (params, expected) in [
            (r#", qop="auth""#, "6629fae49393a05397450978507c4ef1"),
            (r#", qop="auth-int""#, "81e4985f8e4f2ba6130324907e7e52e9"),
            (
                r#", qop="auth", algorithm=MD5-sess"#,
                "8e3825c57e897f5a0dec6c2d4e5059d0",
            ),
            (
                r#", qop="auth-int", algorithm=SHA-256-sess"#,
                "6f407229bec1fe6d0ff46dfbcb36673b7442780c35ece54ee08367c2b96af780",
            ),
            ("", "670fd8c2df070c60b045671b8b24ff02"),
        ] {
            let challenge = format!(
                r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"{params}"#
            );
            let subject = ("GET", "/dir/index.html", "entity");
            let answer = answer(&challenge, "Mufasa", "Circle Of Life", subject, "0a4f113b");
            assert_eq!(answer.response, expected, "{params}");
        }
    }

    /// SIP-16.
    #[test]
    fn incomplete_answers_are_left_out() {
        let whole = r#"Digest username="u", realm="r", nonce="n", uri="sip:a@b", response="x", qop=auth, nc=0000000A, cnonce="c""#;
        assert_eq!(Answer::read_all(whole)[0].count(), Some(10));
        for (part, other) in [
            ("username=\"u\", ", ""),
            ("realm=\"r\"", "x=y"),
            ("nonce=\"n\"", "nonce"),
            ("uri=\"sip:a@b\"", "url=x"),
            ("nc=0000000A", "nc=+000000A"),
            ("nc=0000000A", "nc=A"),
            ("cnonce=\"c\"", ""),
            ("qop=auth", "qop=other"),
            ("qop=auth", "algorithm=SHA-256-sess"),
            ("qop=auth", "algorithm=none"),
            ("Digest", "Basic"),
        ] {
            let text = whole.replacen(part, other, 1);
            assert!(Answer::read_all(&text).is_empty(), "{text}");
        }
    }
}
