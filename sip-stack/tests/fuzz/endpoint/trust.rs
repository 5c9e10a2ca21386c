//! Whom the endpoint trusts, what it and its peers prove, and how long sessions last.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use stox_sip::{
    Authentication, CredentialScope, Credentials, Demand, Endpoint, EndpointConfig, Invite,
    InviteId, Listener, Message, Method, Name, OutgoingRequest, Request, RequestId, Response,
    Secret, Source, Status, Transport, User,
};

use super::{Choices, Play, address, contact, pick, theirs};

/// In none of the networks that are trusted.
pub(super) const STRANGER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66)), 5060);
const REALM: &str = "example.net";
const PASSWORD: &str = "wherefore";

/// What of it an endpoint does; scripts that begin with 0 or 1 do without.
#[derive(Clone, Copy)]
pub(super) struct Trust {
    demands_proof: bool,
    knows_passwords: bool,
    refreshes_sessions: bool,
    trusts_some: bool,
}

impl Trust {
    pub(super) fn new(flavour: usize) -> Trust {
        let is_set = |bit: usize| flavour & bit != 0;
        Trust {
            demands_proof: is_set(1),
            knows_passwords: is_set(2),
            refreshes_sessions: is_set(4),
            trusts_some: is_set(8),
        }
    }

    pub(super) fn configure(self, config: &mut EndpointConfig, choices: &mut Choices<'_>) {
        if self.demands_proof {
            let demand = match choices.below(3) {
                0 => Demand::Everyone,
                1 => Demand::Strangers,
                _ => Demand::Domains(vec![REALM.into()]),
            };
            let romeo = User {
                name: "romeo".into(),
                secret: Secret::new(PASSWORD),
            };
            config.authentication = vec![Authentication::new(REALM, demand, vec![romeo])];
        }
        if self.knows_passwords {
            let scope = match choices.below(2) {
                0 => CredentialScope::Realm(REALM.into()),
                _ => CredentialScope::Domain(REALM.into()),
            };
            config.credentials = vec![credentials(scope, "juliet")];
        }
        if self.refreshes_sessions {
            config.supported.push("timer".into());
        }
        if self.trusts_some {
            config.trusted = vec!["192.0.2.2".parse().unwrap()];
        }
    }

    /// What is kept when all is over, in characters: challenges, and the nonces that were used.
    pub(super) fn kept(self) -> usize {
        match self.demands_proof || self.knows_passwords {
            true => 20_000,
            false => 0,
        }
    }

    /// What a peer says of timers and identities.
    pub(super) fn fields(self, choices: &mut Choices<'_>) -> String {
        let mut fields = String::new();
        if self.refreshes_sessions {
            fields.push_str(choices.of(&[
                "",
                "Supported: timer\r\nSession-Expires: 90\r\n",
                "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n",
                "Require: timer\r\nSession-Expires: 90;refresher=uac\r\n",
                "Session-Expires: 10\r\nMin-SE: 99999999999\r\n",
                "Supported: timer\r\nMin-SE: 300\r\n",
                "Session-Expires: x\r\n",
            ]));
        }
        if self.trusts_some {
            fields.push_str(choices.of(&[
                "",
                "P-Asserted-Identity: <sip:romeo@example.net>, <tel:+1>\r\n",
                "P-Asserted-Identity: <\r\n",
            ]));
        }
        fields
    }

    /// Where a datagram comes from; strangers come only to those who mind.
    pub(super) fn remote(self, choices: &mut Choices<'_>) -> SocketAddr {
        match self.trusts_some && choices.below(4) == 1 {
            true => STRANGER,
            false => theirs(),
        }
    }
}

/// The fields of a 401 or 407.
pub(super) fn challenge(code: u16, number: u64, choices: &mut Choices<'_>) -> String {
    let name = match code {
        401 => "WWW-Authenticate",
        _ => "Proxy-Authenticate",
    };
    let realm = choices.of(&[REALM, "elsewhere"]);
    let more = choices.of(&[
        ", qop=\"auth\", algorithm=SHA-256",
        ", qop=\"auth-int,auth\", stale=true",
        "",
        ", algorithm=SHA3",
        ", qop=\"auth\", opaque=\"\\\"\", nextnonce=\"",
        ", qop=\"x\"",
    ]);
    let field = format!("{name}: Digest realm=\"{realm}\", nonce=\"n{number}\"{more}\r\n");
    field.repeat(choices.of(&[1, 2]))
}

impl Play {
    /// Romeo sends once more what was challenged, now with a proof: his, or that of one nobody knows.
    pub(super) fn peer_proves(&mut self, choices: &mut Choices<'_>) {
        let challenges = self.sent.iter().filter_map(|message| match message {
            Message::Response(response) if response.status == Status::UNAUTHORIZED => {
                Some(response.clone())
            }
            _ => None,
        });
        let Some(challenged) = pick(&challenges.collect::<Vec<_>>(), choices) else {
            return;
        };
        let heard = self.heard.iter().rev().find_map(|(bytes, source)| {
            let Ok(Message::Request(request)) = Message::parse_datagram(bytes.clone()) else {
                return None;
            };
            let is_it = request.call_id() == challenged.call_id()
                && request.cseq().ok() == challenged.cseq().ok();
            is_it.then_some((request, *source))
        });
        let Some((mut request, source)) = heard else {
            return;
        };
        let user = choices.of(&["romeo", "tybalt"]);
        let Some(proof) = proof(&challenged, user, &request) else {
            return;
        };
        self.numbers += 1;
        if let Ok(via) = request.top_via() {
            let via = via.with_branch(&format!("z9hG4bKw{}", self.numbers));
            request.headers.set_top_via(&via);
        }
        let is_new = choices.below(2) == 0;
        if let (true, Ok(cseq)) = (is_new, request.cseq()) {
            let cseq = format!("{} {}", cseq.number.saturating_add(1), cseq.method);
            request.headers.set(Name::CSeq, cseq);
        }
        request.headers.push(Name::Authorization, proof);
        self.hear(request.to_bytes(), source);
    }
}

/// What an endpoint of that user answers to the challenge; none: it cannot send such a request.
fn proof(challenged: &Response, user: &str, request: &Request) -> Option<String> {
    let bound = theirs();
    let config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound,
            advertised: bound,
        }],
        credentials: vec![credentials(CredentialScope::Realm(REALM.into()), user)],
        ..EndpointConfig::default()
    };
    let (mut endpoint, now) = (
        Endpoint::new(config, StdRng::seed_from_u64(7616)),
        Instant::now(),
    );
    let (target, from, to) = (request.uri.clone(), address("romeo"), address("juliet"));
    match request.method {
        Method::Ack | Method::Cancel => return None,
        Method::Invite => {
            let invite = Invite::new(target, from, to, contact());
            endpoint.invite(InviteId::ours(1), invite, now);
        }
        _ => {
            let outgoing = OutgoingRequest::new(request.method.clone(), target, from, to);
            endpoint.request(RequestId::ours(1), outgoing, now);
        }
    }
    let mut response = Response::to_request(&sent(&mut endpoint)?, Status::UNAUTHORIZED);
    for field in challenged.headers.fields(&Name::WwwAuthenticate) {
        response.headers.push(Name::WwwAuthenticate, field);
    }
    let source = Source {
        transport: Transport::Udp,
        local: bound,
        remote: "192.0.2.1:5060".parse().ok()?,
        connection: None,
    };
    endpoint.handle_received(Ok(response.into()), source, now);
    let proven = sent(&mut endpoint)?;
    proven
        .headers
        .first(&Name::Authorization)
        .map(str::to_owned)
}

/// The last of what it sends, which is behind the ACK.
fn sent(endpoint: &mut Endpoint) -> Option<Request> {
    let last = std::iter::from_fn(|| endpoint.poll_transmit()).last()?;
    match Message::parse_datagram(last.payload) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

fn credentials(scope: CredentialScope, user: &str) -> Credentials {
    Credentials {
        scope,
        user: user.into(),
        secret: Secret::new(PASSWORD),
    }
}
