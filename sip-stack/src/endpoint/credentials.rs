//! Our credentials, and the challenges they have answered lately. RFC 3261 §22.2, §22.3; RFC 8760 §2.4; SIP-15.

use std::collections::{HashMap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::digest::{Answer, Challenge, Subject};
use crate::{Method, Name, Request, Response, Secret, Uri};

/// Most domains, and dialogs, whose challenges are kept to be answered before they are asked again.
const MOST_AREAS: usize = 4096;
/// Most challenges kept for one of them.
const MOST_REALMS: usize = 8;
/// How often one request may be answered with "stale" before it is given up.
const MOST_ROUNDS: u8 = 3;
/// Most realms that one request proves itself to.
const MOST_PROOFS: usize = 8;

/// A name and password of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Which challenges they answer.
    pub scope: CredentialScope,
    /// The user's name as the realm knows it.
    pub user: String,
    /// The password.
    pub secret: Secret,
}

/// Which challenges credentials answer. Those of the realm are preferred to those of the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialScope {
    /// Challenges that name this realm, whoever sends them.
    Realm(String),
    /// Whatever realm is named, if the request went to this domain: by its Request-URI or its To.
    Domain(String),
}

/// Our credentials, and what they are to be used for.
#[derive(Debug)]
pub(super) struct Keyring {
    credentials: Vec<Credentials>,
    sessions_by_area: HashMap<Area, Vec<Session>>,
    /// Oldest first.
    areas: VecDeque<Area>,
}

/// Where a challenge is answered before it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Area {
    /// Lower case.
    domain: String,
    /// Only requests with this Call-ID: what a proxy asks is not answered elsewhere, unless we are configured with its
    /// realm. RFC 3261 §22.3.
    call_id: Option<String>,
}

/// What began with a challenge: its nonce, as often as it may be used. RFC 7616 §3.6.
#[derive(Debug)]
struct Session {
    challenger: Challenger,
    challenge: Challenge,
    /// Which of our credentials.
    credentials: usize,
    cnonce: String,
    /// How often the nonce has been used.
    count: u32,
}

/// Who challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenger {
    /// By 401.
    Server,
    /// By 407.
    Proxy,
}

/// What a request bears for one realm.
#[derive(Debug)]
pub(super) struct Proof {
    challenger: Challenger,
    realm: String,
    nonce: String,
    /// How often this request was challenged for it; 0: not yet, the nonce is from an earlier request.
    rounds: u8,
}

impl Proof {
    /// Credentials that were just rejected are not tried again, but a nonce may be stale. RFC 3261 §22.1.
    fn may_be_renewed(&self, challenge: &Challenge) -> bool {
        let is_first = self.rounds == 0;
        self.nonce != challenge.nonce
            && (is_first || (challenge.stale && self.rounds < MOST_ROUNDS))
    }
}

impl Challenger {
    fn asks_in(self) -> Name {
        match self {
            Challenger::Server => Name::WwwAuthenticate,
            Challenger::Proxy => Name::ProxyAuthenticate,
        }
    }

    fn is_answered_in(self) -> Name {
        match self {
            Challenger::Server => Name::Authorization,
            Challenger::Proxy => Name::ProxyAuthorization,
        }
    }
}

impl Keyring {
    pub(super) fn new(credentials: Vec<Credentials>) -> Self {
        Self {
            credentials,
            sessions_by_area: HashMap::new(),
            areas: VecDeque::new(),
        }
    }

    /// Adds to a new request what its realms asked of earlier ones. What its author wrote himself stays.
    pub(super) fn prove(&mut self, request: &mut Request) -> Vec<Proof> {
        let has_own = |name| request.headers.first(&name).is_some();
        if self.areas.is_empty()
            || has_own(Name::Authorization)
            || has_own(Name::ProxyAuthorization)
        {
            return Vec::new();
        }
        let mut proofs = Vec::new();
        self.write(request, &mut proofs);
        proofs
    }

    /// Puts answers to the challenges of a 401 or 407 into its request; whether there is any hope in sending it again.
    pub(super) fn answer(
        &mut self,
        request: &mut Request,
        response: &Response,
        proofs: &mut Vec<Proof>,
        random: &mut StdRng,
    ) -> bool {
        if self.credentials.is_empty() {
            return false;
        }
        let mut has_answer = false;
        for (challenger, challenge) in challenges(response) {
            let Some(credentials) = self.find(&challenge.realm, request) else {
                continue;
            };
            let is_full = proofs.len() >= MOST_PROOFS;
            let proof = proofs
                .iter_mut()
                .find(|proof| proof.challenger == challenger && proof.realm == challenge.realm);
            match proof {
                Some(proof) if proof.may_be_renewed(&challenge) => {
                    proof.nonce.clone_from(&challenge.nonce);
                    proof.rounds = proof.rounds.saturating_add(1);
                }
                Some(_) => {
                    tracing::info!(realm = %challenge.realm, "our credentials are not accepted");
                    self.forget(request, challenger, &challenge.realm);
                    return false;
                }
                None if is_full => return false,
                None => proofs.push(Proof {
                    challenger,
                    realm: challenge.realm.clone(),
                    nonce: challenge.nonce.clone(),
                    rounds: 1,
                }),
            }
            has_answer = true;
            let session = Session {
                challenger,
                challenge,
                credentials,
                cnonce: format!("{:032x}", random.random::<u128>()),
                count: 0,
            };
            self.keep(request, session);
        }
        if has_answer {
            request.headers.remove(&Name::Authorization);
            request.headers.remove(&Name::ProxyAuthorization);
            self.write(request, proofs);
        }
        has_answer
    }

    /// Writes an answer for each realm that is known where the request goes.
    fn write(&mut self, request: &mut Request, proofs: &mut Vec<Proof>) {
        for area in areas_of(request) {
            let Some(sessions) = self.sessions_by_area.get_mut(&area) else {
                continue;
            };
            for session in sessions {
                let Some(credentials) = self.credentials.get(session.credentials) else {
                    continue;
                };
                let (challenger, challenge) = (session.challenger, &session.challenge);
                session.count = session.count.saturating_add(1);
                let subject = Subject {
                    method: request.method.as_str(),
                    body: &request.body,
                };
                let answer = Answer::new(
                    challenge,
                    &credentials.user,
                    &credentials.secret,
                    &request.uri.to_string(),
                    subject,
                    (session.count, &session.cnonce),
                );
                request
                    .headers
                    .push(challenger.is_answered_in(), answer.to_string());
                let is_noted = proofs
                    .iter()
                    .any(|proof| proof.challenger == challenger && proof.realm == challenge.realm);
                if !is_noted {
                    proofs.push(Proof {
                        challenger,
                        realm: challenge.realm.clone(),
                        nonce: challenge.nonce.clone(),
                        rounds: 0,
                    });
                }
            }
        }
    }

    fn find(&self, realm: &str, request: &Request) -> Option<usize> {
        let domains = [domain_of(request), request_domain(request)];
        let of_realm = self.credentials.iter().position(
            |credentials| matches!(&credentials.scope, CredentialScope::Realm(r) if r == realm),
        );
        of_realm.or_else(|| {
            self.credentials
                .iter()
                .position(|credentials| match &credentials.scope {
                    CredentialScope::Domain(domain) => {
                        domains.iter().any(|d| d.eq_ignore_ascii_case(domain))
                    }
                    CredentialScope::Realm(_) => false,
                })
        })
    }

    /// Goes on with this challenge from now on. Several requests may be challenged with one nonce, whose uses are then
    /// counted together.
    fn keep(&mut self, request: &Request, mut session: Session) {
        let known = self.forget(request, session.challenger, &session.challenge.realm);
        let same = known
            .into_iter()
            .find(|known| known.challenge.nonce == session.challenge.nonce);
        if let Some(same) = same {
            (session.count, session.cnonce) = (same.count, same.cnonce);
        }
        let is_configured = self
            .credentials
            .get(session.credentials)
            .is_some_and(|credentials| matches!(credentials.scope, CredentialScope::Realm(_)));
        let [everywhere, in_dialog] = areas_of(request);
        let area = match session.challenger {
            Challenger::Proxy if !is_configured => in_dialog,
            Challenger::Proxy | Challenger::Server => everywhere,
        };
        let sessions = self
            .sessions_by_area
            .entry(area.clone())
            .or_insert_with(|| {
                self.areas.push_back(area);
                Vec::new()
            });
        if sessions.len() >= MOST_REALMS {
            sessions.remove(0);
        }
        sessions.push(session);
        while self.areas.len() > MOST_AREAS {
            if let Some(oldest) = self.areas.pop_front() {
                self.sessions_by_area.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, request: &Request, challenger: Challenger, realm: &str) -> Vec<Session> {
        let mut forgotten = Vec::new();
        for area in areas_of(request) {
            if let Some(sessions) = self.sessions_by_area.get_mut(&area) {
                forgotten.extend(sessions.extract_if(.., |session| {
                    session.challenger == challenger && session.challenge.realm == realm
                }));
            }
        }
        forgotten
    }
}

/// Answers a 401 with a name and password that are good for this one request, and are not kept: the fields for its next
/// attempt, which keeps Call-ID and tag and raises CSeq by one (SIP-18). Empty: there is no challenge we understand.
/// RFC 3261 §22.2.
pub fn answer_once(
    response: &Response,
    request: (&Method, &Uri, &[u8]),
    user: &str,
    secret: &Secret,
    random: &mut impl Rng,
) -> Vec<(Name, String)> {
    let (method, target, body) = request;
    let target = target.to_string();
    challenges(response)
        .into_iter()
        .filter(|(challenger, _)| *challenger == Challenger::Server)
        .map(|(challenger, challenge)| {
            let cnonce = format!("{:032x}", random.random::<u128>());
            let method = method.as_str();
            let subject = Subject { method, body };
            let answer = Answer::new(&challenge, user, secret, &target, subject, (1, &cnonce));
            (challenger.is_answered_in(), answer.to_string())
        })
        .collect()
}

/// Of each realm the topmost challenge that we understand. RFC 8760 §2.4.
fn challenges(response: &Response) -> Vec<(Challenger, Challenge)> {
    let mut found: Vec<(Challenger, Challenge)> = Vec::new();
    for challenger in [Challenger::Server, Challenger::Proxy] {
        for field in response.headers.fields(&challenger.asks_in()) {
            for challenge in Challenge::read_all(field) {
                let is_known = found
                    .iter()
                    .any(|(who, known)| *who == challenger && known.realm == challenge.realm);
                if !is_known && found.len() < MOST_PROOFS {
                    found.push((challenger, challenge));
                }
            }
        }
    }
    found
}

/// Where the request goes, in any dialog and in its own.
fn areas_of(request: &Request) -> [Area; 2] {
    let domain = domain_of(request).to_ascii_lowercase();
    let everywhere = Area {
        domain: domain.clone(),
        call_id: None,
    };
    let in_dialog = Area {
        domain,
        call_id: Some(request.call_id().unwrap_or_default().to_owned()),
    };
    [everywhere, in_dialog]
}

/// Of the To: inside a dialog the Request-URI is the address of a machine.
fn domain_of(request: &Request) -> String {
    let to = request.to().ok().and_then(|to| to.uri.host().cloned());
    to.map_or_else(|| request_domain(request), |host| host.to_string())
}

fn request_domain(request: &Request) -> String {
    request
        .uri
        .host()
        .map(ToString::to_string)
        .unwrap_or_default()
}
