//! Who has to prove who they are, and whether they did. RFC 3261 §22.1, §22.2; RFC 8760 §2.3; SIP-16.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use super::config::{IpNetwork, Limits};
use super::event::Source;
use crate::digest::{Algorithm, Answer, Challenge, Nonces, Qop, Secret, Subject};
use crate::{Host, Name, Request, Scheme, Uri};

/// Asks senders of requests for a proof of who they are.
///
/// ACK and CANCEL are never challenged, nor are requests inside a session that we began, NOTIFY inside a dialog, nor
/// requests inside a session from the address whose user proved himself when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Told to the client; globally unique, so best a domain. RFC 3261 §22.1.
    pub realm: String,
    /// Who is asked.
    pub demand: Demand,
    /// Who can answer.
    pub users: Vec<User>,
    /// What is offered, the best liked first; each answer has to use one of them.
    pub algorithms: Vec<Algorithm>,
}

/// Whose requests are challenged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Everybody's.
    Everyone,
    /// Of everybody outside of the trusted networks, who are otherwise refused; without such networks everybody's.
    Strangers,
    /// As `Strangers`, but only of those whose From is of one of these domains; other strangers are refused.
    StrangersOf(Vec<String>),
    /// From these networks.
    Networks(Vec<IpNetwork>),
    /// Whose From is of one of these domains.
    Domains(Vec<String>),
}

/// Somebody who can prove who he is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name in the realm.
    pub name: String,
    /// The password.
    pub secret: Secret,
}

impl Authentication {
    /// SHA-256 is offered first, then MD5. RFC 8760 §2.3.
    pub fn new(realm: impl Into<String>, demand: Demand, users: Vec<User>) -> Self {
        Self {
            realm: realm.into(),
            demand,
            users,
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        }
    }
}

/// Who has proven to know a password: now, or when the session began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthenticatedUser {
    /// The name in the realm.
    pub name: String,
    /// The realm.
    pub realm: String,
}

impl AuthenticatedUser {
    /// The address: the name if it is one already, else the name in the realm; `None` if the realm is no domain.
    pub fn uri(&self) -> Option<Uri> {
        match self.name.rsplit_once('@') {
            Some((user, domain)) => Some(Uri::new(Scheme::Sip, Some(user), Host::parse(domain)?)),
            None => Some(Uri::new(
                Scheme::Sip,
                Some(&self.name),
                Host::parse(&self.realm)?,
            )),
        }
    }
}

/// Whether a request may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Free,
    /// With a proof for this realm.
    WithProof(RealmId),
    Refused,
}

impl Admission {
    pub(super) fn realm(self) -> Option<RealmId> {
        match self {
            Admission::WithProof(realm) => Some(realm),
            Admission::Free | Admission::Refused => None,
        }
    }
}

/// Names one of the [`Authentication`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RealmId(usize);

/// What the peer of a session is known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// We called it: that it answers is proof enough.
    Called,
    /// It called us, from this address.
    Caller {
        address: IpAddr,
        proof: Option<(RealmId, AuthenticatedUser)>,
    },
}

/// What a request with a demand on it has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proven(AuthenticatedUser),
    /// Nothing, or something out of date; the values of WWW-Authenticate.
    Challenged(Vec<(Name, String)>),
    /// A wrong password, or one of somebody who is not there; the same values.
    Wrong(Vec<(Name, String)>),
    /// The proof is for a request to somebody else.
    Misdirected,
}

/// Knows the users and the nonces.
#[derive(Debug)]
pub(super) struct Guard {
    realms: Vec<Realm>,
    nonces: Nonces,
    /// Stands in for the password of users that are not there, so that time does not tell who is.
    decoy: Secret,
}

#[derive(Debug)]
struct Realm {
    name: String,
    demand: Demand,
    secret_by_user: HashMap<String, Secret>,
    algorithms: Vec<Algorithm>,
}

impl Guard {
    pub(super) fn new(
        authentication: Vec<Authentication>,
        limits: &Limits,
        random: &mut StdRng,
    ) -> Self {
        let realms = authentication.into_iter().map(|one| Realm {
            name: one.realm,
            demand: one.demand,
            secret_by_user: one.users.into_iter().map(|u| (u.name, u.secret)).collect(),
            algorithms: one.algorithms,
        });
        Self {
            realms: realms.collect(),
            decoy: Secret::new(format!("{:032x}", random.random::<u128>())),
            nonces: Nonces::new(random, limits.nonce, limits.nonces),
        }
    }

    /// What the first demand that meets the request asks; without one, strangers are refused.
    pub(super) fn admission(
        &self,
        request: &Request,
        source: &Source,
        trusted: &[IpNetwork],
    ) -> Admission {
        let is_stranger = !trusted.is_empty() && !is_in(trusted, source);
        let demanded = self.realms.iter().position(|realm| match &realm.demand {
            Demand::Everyone => true,
            Demand::Strangers => is_stranger || trusted.is_empty(),
            Demand::StrangersOf(domains) => {
                (is_stranger || trusted.is_empty()) && is_from(domains, request)
            }
            Demand::Networks(networks) => is_in(networks, source),
            Demand::Domains(domains) => is_from(domains, request),
        });
        match demanded {
            Some(realm) => Admission::WithProof(RealmId(realm)),
            None if is_stranger => Admission::Refused,
            None => Admission::Free,
        }
    }

    pub(super) fn judge(
        &mut self,
        id: RealmId,
        request: &Request,
        source: &Source,
        random: &mut StdRng,
        now: Instant,
    ) -> Verdict {
        let Some(realm) = self.realms.get(id.0) else {
            return Verdict::Misdirected;
        };
        let answers = request.headers.fields(&Name::Authorization);
        let answer = answers
            .flat_map(|field| Answer::read_all(field))
            .find(|answer| {
                answer.realm == realm.name && realm.algorithms.contains(&answer.algorithm)
            });
        let Some(answer) = answer else {
            return Verdict::Challenged(self.challenge(id, Freshness::First, random, now));
        };
        let secret = realm.secret_by_user.get(&answer.user);
        let subject = Subject {
            method: request.method.as_str(),
            body: &request.body,
        };
        let is_right = answer.is_right(secret.unwrap_or(&self.decoy), subject);
        if secret.is_none() || !is_right {
            return Verdict::Wrong(self.challenge(id, Freshness::First, random, now));
        }
        if !is_for(&answer.uri, &request.uri) {
            return Verdict::Misdirected;
        }
        let nonce = (answer.nonce.as_str(), answer.count());
        match self.nonces.accept(nonce.0, &realm.name, nonce.1, now) {
            Ok(()) => Verdict::Proven(AuthenticatedUser {
                name: answer.user,
                realm: answer.realm,
            }),
            Err(fault) => {
                tracing::debug!(realm = %realm.name, remote = %source.remote, %fault, "the proof has to be renewed");
                Verdict::Challenged(self.challenge(id, Freshness::Stale, random, now))
            }
        }
    }

    fn challenge(
        &mut self,
        id: RealmId,
        freshness: Freshness,
        random: &mut StdRng,
        now: Instant,
    ) -> Vec<(Name, String)> {
        let Some(realm) = self.realms.get(id.0) else {
            return Vec::new();
        };
        let nonce = self.nonces.issue(&realm.name, random, now);
        let challenges = realm.algorithms.iter().map(|algorithm| {
            let challenge = Challenge {
                realm: realm.name.clone(),
                nonce: nonce.clone(),
                opaque: None,
                algorithm: *algorithm,
                qop: Some(Qop::Auth),
                stale: freshness == Freshness::Stale,
            };
            (Name::WwwAuthenticate, challenge.to_string())
        });
        challenges.collect()
    }
}

/// Why we challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// There was no proof, or a wrong one.
    First,
    /// The proof was right, but its nonce is used up.
    Stale,
}

pub(super) fn is_in(networks: &[IpNetwork], source: &Source) -> bool {
    networks
        .iter()
        .any(|network| network.contains(source.remote.ip()))
}

fn is_from(domains: &[String], request: &Request) -> bool {
    let from = request.from().ok().map(|from| from.uri);
    let host = from
        .and_then(|uri| uri.host().map(ToString::to_string))
        .unwrap_or_default();
    // The same domain, written in full.
    let host = host.strip_suffix('.').unwrap_or(&host);
    domains
        .iter()
        .any(|domain| domain.eq_ignore_ascii_case(host))
}

/// Whether a proof for a request to `proven` is one for a request to `target`: proxies change the host, but must not make
/// of a message to one user a message to another. RFC 8760 §2.6.
fn is_for(proven: &str, target: &Uri) -> bool {
    Uri::parse(proven).is_ok_and(|proven| proven.user_decoded() == target.user_decoded())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CORE-12.
    #[test]
    fn the_address_of_a_user() {
        let uri = |name: &str, realm: &str| {
            let (name, realm) = (name.to_owned(), realm.to_owned());
            let uri = AuthenticatedUser { name, realm }.uri();
            uri.map(|uri| uri.to_string())
        };
        let expected = Some("sip:juliet@example.com".to_owned());
        assert_eq!(uri("juliet", "example.com"), expected);
        assert_eq!(uri("juliet@example.com", "Capulet house"), expected);
        assert_eq!(uri("juliet", "Capulet house"), None);
        let odd = Some("sip:a%3C%3Eb@example.com".to_owned());
        assert_eq!(uri("a<>b", "example.com"), odd);
    }

    /// SIP-16. RFC 8760 §2.6.
    #[test]
    fn proofs_are_for_one_user() {
        let target: Uri = "sip:romeo@192.0.2.2;transport=tcp".parse().unwrap();
        for (proven, expected) in [
            ("sip:romeo@example.net", true),
            ("sip:rome%6f@example.net", true),
            ("sip:paris@example.net", false),
            ("sip:example.net", false),
            ("", false),
            ("/romeo", false),
        ] {
            assert_eq!(is_for(proven, &target), expected, "{proven}");
        }
    }
}
