//! Digest authentication between two endpoints in virtual time, and against answers that a test makes up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use stox_sip::{
    Authentication, CredentialScope, Credentials, Demand, Destination, EndCause, Endpoint,
    EndpointConfig, Event, Invite, InviteId, Listener, LocalContact, Message, Method, Name,
    NameAddr, Originator, OutgoingRequest, Reply, Request, RequestId, Response, Secret, Source,
    Status, Transport, Uri, User,
};

const JULIET: &str = "192.0.2.1:5060";
const ROMEO: &str = "192.0.2.2:5060";
const ELSEWHERE: &str = "192.0.2.3:5060";

/// SIP-15, SIP-16, SIP-18. An INVITE is challenged once; what follows in its session is not.
#[test]
fn a_session_proves_itself_once() {
    let mut net = Net::guarded();
    let (ours, theirs) = net.establish();
    assert_eq!(
        net.lines(),
        [
            "juliet INVITE 1",
            "romeo 401 INVITE",
            "juliet ACK 1",
            "juliet INVITE 2",
            "romeo 100 INVITE",
            "romeo 200 INVITE",
            "juliet ACK 2",
        ]
    );
    let [first, _, second, ack] = &net.requests()[..] else {
        panic!()
    };
    for name in [Name::CallId, Name::From, Name::To, Name::Contact] {
        assert_eq!(first.headers.first(&name), second.headers.first(&name));
    }
    assert_ne!(first.top_via(), second.top_via());
    let proof = |request: &Request| {
        request
            .headers
            .first(&Name::Authorization)
            .map(str::to_owned)
    };
    assert_eq!(proof(first), None);
    assert!(
        proof(second)
            .unwrap()
            .contains("algorithm=SHA-256, qop=auth, nc=00000001")
    );
    assert_eq!(proof(second), proof(ack), "RFC 3261 §22.1");
    assert_eq!(net.caller.as_deref(), Some("juliet of example.net"));

    net.log.clear();
    net.juliet.endpoint.request_in(
        ours,
        RequestId::ours(1),
        Method::Message,
        vec![],
        "a/b".into(),
        "x".into(),
        net.now,
    );
    net.run();
    let Some(Event::Requested {
        transaction,
        originator,
        ..
    }) = net.romeo.next()
    else {
        panic!()
    };
    assert_eq!(originator.user.unwrap().name, "juliet");
    net.romeo
        .endpoint
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.romeo.endpoint.bye(theirs, vec![], net.now);
    net.run();
    assert_eq!(
        net.lines(),
        [
            "juliet MESSAGE 3",
            "romeo 200 MESSAGE",
            "romeo BYE 1",
            "juliet 200 BYE"
        ]
    );
    assert!(matches!(net.juliet.next(), Some(Event::Responded { .. })));
    assert!(matches!(
        net.juliet.next(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    assert!(matches!(
        net.romeo.next(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// SIP-15. What was asked once is answered at once the next time, counted up; an old nonce is renewed.
#[test]
fn the_next_request_brings_its_proof_until_the_nonce_is_stale() {
    let mut net = Net::guarded();
    for (id, expected) in [
        (
            1,
            &[
                "juliet MESSAGE 1",
                "romeo 401 MESSAGE",
                "juliet MESSAGE 2",
                "romeo 200 MESSAGE",
            ][..],
        ),
        (2, &["juliet MESSAGE 1", "romeo 200 MESSAGE"]),
        (3, &["juliet MESSAGE 1", "romeo 200 MESSAGE"]),
    ] {
        assert_eq!(net.converse(id), Status::OK);
        assert_eq!(net.lines(), expected);
        net.log.clear();
    }
    net.elapse(301_000);
    assert_eq!(net.converse(4), Status::OK);
    assert_eq!(
        net.lines(),
        [
            "juliet MESSAGE 1",
            "romeo 401 MESSAGE",
            "juliet MESSAGE 2",
            "romeo 200 MESSAGE"
        ]
    );
    let challenges: Vec<_> = net.responses()[0]
        .headers
        .all(&Name::WwwAuthenticate)
        .map(str::to_owned)
        .collect();
    assert_eq!(challenges.len(), 2);
    assert!(
        challenges[0].contains("SHA-256") && challenges[1].contains("MD5"),
        "RFC 8760 §2.3"
    );
    assert!(challenges.iter().all(|challenge| challenge.contains("stale=true") && challenge.contains("qop=\"auth\"")));
    let counts: Vec<_> = net
        .requests()
        .iter()
        .map(|request| {
            request
                .headers
                .first(&Name::Authorization)
                .unwrap()
                .contains("nc=00000001")
        })
        .collect();
    assert_eq!(counts, [false, true]);
    net.ends_with_nothing_left();
}

/// SIP-15. Credentials that were rejected are not tried again; without any the response is the user's.
#[test]
fn the_wrong_password_is_tried_once() {
    for (credentials, sent) in [
        (
            vec![credentials(
                CredentialScope::Domain("example.net".into()),
                "wrong",
            )],
            2,
        ),
        (vec![], 1),
    ] {
        let mut net = Net::new(
            |config| config.credentials = credentials,
            |config| config.authentication = vec![guard(Demand::Everyone)],
        );
        assert_eq!(net.converse(1), Status::UNAUTHORIZED);
        assert_eq!(net.requests().len(), sent);
        assert_eq!(net.converse(2), Status::UNAUTHORIZED);
        assert_eq!(
            net.requests().len(),
            sent * 2,
            "nothing is sent ahead that was rejected"
        );
        let ours = InviteId::ours(1);
        net.juliet.endpoint.invite(ours, invite(), net.now);
        net.run();
        assert!(
            matches!(net.juliet.next(), Some(Event::Rejected { response, .. }) if response.status == Status::UNAUTHORIZED)
        );
        net.ends_with_nothing_left();
    }
}

/// SIP-15. A proxy and then the user agent ask, each for its realm; both get their answer, also in the dialog.
#[test]
fn several_realms() {
    let mut net = Net::new(
        |config| {
            config.credentials = vec![
                credentials(
                    CredentialScope::Domain("example.net".into()),
                    "of the domain",
                ),
                credentials(CredentialScope::Realm("proxy".into()), "of the proxy"),
            ];
        },
        |_| (),
    );
    let ours = InviteId::ours(1);
    net.juliet.endpoint.invite(ours, invite(), net.now);
    let first = net.juliet_sends().remove(0);
    net.juliet_hears(challenge(
        &first,
        Status::PROXY_AUTHENTICATION_REQUIRED,
        Name::ProxyAuthenticate,
        &[r#"Digest realm="proxy", nonce="p1", qop="auth""#],
    ));
    let second = net.juliet_sends().remove(1);
    assert_eq!(summary(&second), "INVITE 2 proxy p1 1");
    // Two realms in one field, the first of them with what nobody knows before what we know.
    net.juliet_hears(challenge(&second, Status::UNAUTHORIZED, Name::WwwAuthenticate, &[
        r#"Digest realm="home", nonce="h0", algorithm=SHA3, Digest realm="home", nonce="h1", algorithm=SHA-256, qop="auth-int,auth", Digest realm="other", nonce="o1""#,
        r#"Digest realm="home", nonce="h2", algorithm=MD5, qop="auth""#,
    ]));
    let third = net.juliet_sends().remove(1);
    assert_eq!(
        summary(&third),
        "INVITE 3 home h1 1, other o1 -, proxy p1 2"
    );
    net.juliet_hears(accepted(&third));
    assert!(matches!(net.juliet.next(), Some(Event::Answered { .. })));
    net.juliet.endpoint.ack(ours, None, net.now);
    assert_eq!(
        summary(&net.juliet_sends()[0]),
        "ACK 3 home h1 1, other o1 -, proxy p1 2"
    );
    net.juliet.endpoint.bye(ours, vec![], net.now);
    let bye = net.juliet_sends().remove(0);
    assert_eq!(summary(&bye), "BYE 4 home h1 2, other o1 -, proxy p1 3");
    net.juliet_hears(Response::to_request(&bye, Status::OK));
    assert!(matches!(
        net.juliet.next(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// SIP-15. RFC 3261 §22.3: what a proxy asked in one dialog is not sent in another, unless we are configured with its realm.
#[test]
fn proxies_are_answered_within_their_dialog() {
    for (scope, elsewhere) in [
        (CredentialScope::Domain("example.net".into()), "MESSAGE 1 "),
        (
            CredentialScope::Realm("proxy".into()),
            "MESSAGE 1 proxy p1 2",
        ),
    ] {
        let mut net = Net::new(
            |config| config.credentials = vec![credentials(scope, "x")],
            |_| (),
        );
        net.juliet
            .endpoint
            .request(RequestId::ours(1), message(), net.now);
        let first = net.juliet_sends().remove(0);
        net.juliet_hears(challenge(
            &first,
            Status::PROXY_AUTHENTICATION_REQUIRED,
            Name::ProxyAuthenticate,
            &[r#"Digest realm="proxy", nonce="p1", qop="auth""#],
        ));
        let second = net.juliet_sends().remove(0);
        assert_eq!(summary(&second), "MESSAGE 2 proxy p1 1");
        net.juliet_hears(Response::to_request(&second, Status::OK));
        net.juliet
            .endpoint
            .request(RequestId::ours(2), message(), net.now);
        assert_eq!(summary(&net.juliet_sends()[0]), elsewhere);
    }
}

/// SIP-15. Requests that were challenged together count the uses of one nonce together.
#[test]
fn one_nonce_for_several_requests() {
    let credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")];
    let mut net = Net::new(|config| config.credentials = credentials, |_| ());
    for id in [1, 2] {
        net.juliet
            .endpoint
            .request(RequestId::ours(id), message(), net.now);
    }
    for (request, expected) in net.juliet_sends().iter().zip(["r n 1", "r n 2"]) {
        net.juliet_hears(challenge(
            request,
            Status::UNAUTHORIZED,
            Name::WwwAuthenticate,
            &[r#"Digest realm="r", nonce="n", qop="auth""#],
        ));
        assert_eq!(
            summary(&net.juliet_sends()[0]),
            format!("MESSAGE 2 {expected}")
        );
    }
}

/// SIP-15. Stale nonces are renewed, but not for ever, and not with the nonce that was stale.
#[test]
fn a_peer_that_always_says_stale_is_given_up() {
    let mut net = Net::new(
        |config| config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")],
        |_| (),
    );
    net.juliet
        .endpoint
        .request(RequestId::ours(1), message(), net.now);
    let mut request = net.juliet_sends().remove(0);
    let mut rounds = 0;
    while net.juliet.endpoint.poll_event().is_none() {
        let field = format!(r#"Digest realm="r", nonce="n{rounds}", qop="auth", stale=true"#);
        net.juliet_hears(challenge(
            &request,
            Status::UNAUTHORIZED,
            Name::WwwAuthenticate,
            &[&field],
        ));
        request = net.juliet_sends().pop().unwrap_or(request);
        rounds += 1;
    }
    assert_eq!((rounds, request.cseq().unwrap().number), (4, 4));
    net.juliet
        .endpoint
        .request(RequestId::ours(2), message(), net.now);
    let request = net.juliet_sends().remove(0);
    let again = [r#"Digest realm="r", nonce="n", qop="auth""#];
    net.juliet_hears(challenge(
        &request,
        Status::UNAUTHORIZED,
        Name::WwwAuthenticate,
        &again,
    ));
    let request = net.juliet_sends().remove(0);
    let again = [r#"Digest realm="r", nonce="n", qop="auth", stale=true"#];
    net.juliet_hears(challenge(
        &request,
        Status::UNAUTHORIZED,
        Name::WwwAuthenticate,
        &again,
    ));
    assert!(matches!(net.juliet.next(), Some(Event::Responded { .. })));
    net.ends_with_nothing_left();
}

/// SIP-15, SIP-18. Inside a dialog the next CSeq is the dialog's, whatever was sent meanwhile.
#[test]
fn requests_inside_a_dialog_are_answered_in_their_order() {
    let mut net = Net::new(
        |config| config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")],
        |_| (),
    );
    let (ours, _) = net.establish();
    for (id, method) in [(1, Method::Invite), (2, Method::Message)] {
        net.juliet.endpoint.request_in(
            ours,
            RequestId::ours(id),
            method,
            vec![],
            "a/b".into(),
            "x".into(),
            net.now,
        );
    }
    let [change, message] = &net.juliet_sends()[..] else {
        panic!()
    };
    net.juliet_hears(challenge(
        change,
        Status::UNAUTHORIZED,
        Name::WwwAuthenticate,
        &[r#"Digest realm="r", nonce="n", qop="auth-int""#],
    ));
    let [ack, again] = &net.juliet_sends()[..] else {
        panic!()
    };
    assert_eq!(summary(ack), "ACK 2 ");
    assert_eq!(summary(again), "INVITE 4 r n 1");
    assert!(
        again
            .headers
            .first(&Name::Authorization)
            .unwrap()
            .contains("qop=auth-int")
    );
    assert_eq!(
        (again.body.clone(), again.to().unwrap()),
        (change.body.clone(), change.to().unwrap())
    );
    net.juliet_hears(Response::to_request(message, Status::OK));
    net.juliet_hears(accepted(again));
    for _ in 0..2 {
        assert!(
            matches!(net.juliet.next(), Some(Event::Responded { response, .. }) if response.status == Status::OK)
        );
    }
    let ack = net.juliet_sends().remove(0);
    assert_eq!(summary(&ack), "ACK 4 r n 1");
}

/// SIP-09, SIP-15. An INVITE that was taken back is not sent again.
#[test]
fn a_cancelled_invite_is_not_answered() {
    let mut net = Net::guarded();
    net.juliet
        .endpoint
        .invite(InviteId::ours(1), invite(), net.now);
    let first = net.juliet_sends().remove(0);
    net.juliet.endpoint.cancel(InviteId::ours(1), net.now);
    net.juliet_hears(challenge(
        &first,
        Status::UNAUTHORIZED,
        Name::WwwAuthenticate,
        &[r#"Digest realm="r", nonce="n""#],
    ));
    assert!(matches!(net.juliet.next(), Some(Event::Rejected { .. })));
    assert_eq!(net.juliet_sends().len(), 1, "the ACK");
    net.ends_with_nothing_left();
}

/// SIP-15. Nothing shows a password.
#[test]
fn secrets_are_not_shown() {
    let mut net = Net::guarded();
    net.establish();
    let config = config(ROMEO, |config| {
        config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "wherefore")];
        config.authentication = vec![guard(Demand::Everyone)];
    });
    let shown = format!(
        "{config:?} {:?} {:?}",
        net.juliet.endpoint, net.romeo.endpoint
    );
    assert!(!shown.contains("wherefore"));
}

/// SIP-16. Everything but ACK and CANCEL is challenged, and nothing is kept of it.
#[test]
fn what_is_challenged() {
    let mut net = Net::guarded();
    for (method, expected) in [
        (Method::Message, vec![401]),
        (Method::Options, vec![401]),
        (Method::Subscribe, vec![401]),
        (Method::Refer, vec![401]),
        (Method::Notify, vec![401]),
        (Method::Invite, vec![401]),
        (Method::Ack, vec![]),
        (Method::Cancel, vec![481]),
        (Method::Bye, vec![481]),
    ] {
        let request = raw(method.clone());
        assert_eq!(net.romeo_answers(&request, JULIET), expected, "{method}");
        assert!(net.romeo.next().is_none());
    }
    assert!(net.romeo.endpoint.is_idle());
    // The NOTIFY of a subscription of ours is the user's matter.
    let mut notify = raw(Method::Notify);
    notify
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=ours");
    assert!(net.romeo_answers(&notify, JULIET).is_empty());
    assert!(matches!(net.romeo.next(), Some(Event::Requested { .. })));
    let mut subscribe = raw(Method::Subscribe);
    subscribe
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=ours");
    assert_eq!(net.romeo_answers(&subscribe, JULIET), [401]);
}

/// SIP-16. A proof serves once, for its method, its addressee, its user and its realm.
#[test]
fn proofs_cannot_be_used_again() {
    let mut net = Net::guarded();
    assert_eq!(net.converse(1), Status::OK);
    let proven = net.requests().remove(1);
    let mut number = 1;
    let mut again = |net: &mut Net, change: &dyn Fn(&mut Request)| {
        number += 1;
        let mut request = proven.clone();
        request.headers.set(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKagain{number}"),
        );
        request.headers.set(Name::CallId, format!("again{number}"));
        change(&mut request);
        let responses = net.romeo_hears(&request, JULIET);
        let stale = responses[0]
            .headers
            .first(&Name::WwwAuthenticate)
            .map(|field| field.contains("stale"));
        (responses[0].status.code(), stale)
    };
    let edit = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |request: &mut Request| {
            let field = request
                .headers
                .first(&Name::Authorization)
                .unwrap()
                .replacen(&from, &to, 1);
            request.headers.set(Name::Authorization, field);
        }
    };
    assert_eq!(again(&mut net, &|_| ()), (401, Some(true)), "a replay");
    assert_eq!(
        again(&mut net, &|request| request.method = Method::Options),
        (401, Some(false))
    );
    let paris: Uri = "sip:paris@192.0.2.2".parse().unwrap();
    assert_eq!(
        again(&mut net, &|request| request.uri = paris.clone()),
        (400, None)
    );
    for (from, to) in [
        ("nc=00000001", "nc=00000002"),
        ("username=\"juliet\"", "username=\"nurse\""),
        ("username=\"juliet\"", "username=\"romeo\""),
        ("realm=\"example.net\"", "realm=\"other\""),
        ("algorithm=SHA-256", "algorithm=SHA-256-sess"),
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("response=\"", "response=\"0"),
        ("uri=\"sip:romeo@", "uri=\"sip:paris@"),
        ("Digest", "Basic"),
    ] {
        assert_eq!(again(&mut net, &edit(from, to)), (401, Some(false)), "{to}");
    }
    assert!(net.romeo.next().is_none());
}

/// SIP-16. Whose requests are challenged; what the trusted networks have to do with it.
#[test]
fn who_is_challenged() {
    let trusted = || vec!["192.0.2.1".parse().unwrap()];
    let everybody = Vec::new;
    let domains = |domain: &str| Demand::Domains(vec![domain.into()]);
    for (demand, trusted, source, expected) in [
        (Demand::Everyone, everybody(), JULIET, 401),
        (Demand::Everyone, trusted(), JULIET, 401),
        (Demand::Strangers, everybody(), JULIET, 401),
        (Demand::Strangers, trusted(), JULIET, 200),
        (Demand::Strangers, trusted(), ELSEWHERE, 401),
        (Demand::Networks(trusted()), everybody(), JULIET, 401),
        (Demand::Networks(trusted()), everybody(), ELSEWHERE, 200),
        (domains("Example.com"), everybody(), JULIET, 401),
        (domains("example.org"), everybody(), JULIET, 200),
        (domains("example.org"), trusted(), ELSEWHERE, 403),
        (domains("example.com"), trusted(), ELSEWHERE, 401),
    ] {
        let what = format!("{demand:?} {trusted:?} {source}");
        let mut net = Net::new(
            |_| (),
            |config| {
                config.trusted = trusted;
                config.authentication = vec![guard(demand)];
            },
        );
        let mut statuses = net.romeo_answers(&raw(Method::Message), source);
        if let Some(Event::Requested { transaction, .. }) = net.romeo.next() {
            net.romeo
                .endpoint
                .respond(transaction, Reply::new(Status::OK), net.now);
            statuses.extend(
                net.romeo_responses()
                    .iter()
                    .map(|response| response.status.code()),
            );
        }
        assert_eq!(statuses, [expected], "{what}");
    }
}

/// SIP-16. Another address inside a session needs a proof of the same user.
#[test]
fn sessions_cannot_be_taken_over() {
    let mut net = Net::new(
        |config| {
            config.credentials = vec![credentials(
                CredentialScope::Realm("example.net".into()),
                "wherefore",
            )]
        },
        |config| {
            let mut guard = guard(Demand::Domains(vec!["example.net".into()]));
            guard.users.push(User {
                name: "nurse".into(),
                secret: Secret::new("peace"),
            });
            config.authentication = vec![guard];
        },
    );
    let (ours, _) = net.establish();
    net.juliet.endpoint.request_in(
        ours,
        RequestId::ours(1),
        Method::Message,
        vec![],
        "a/b".into(),
        "x".into(),
        net.now,
    );
    let inside = net.juliet_sends().remove(0);
    let unproven = |name: &str, number: u32| {
        let mut request = inside.clone();
        request.headers.remove(&Name::Authorization);
        request.headers.set(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK{number}{name}"),
        );
        request
            .headers
            .set(Name::CSeq, format!("{number} {}", request.method));
        request
    };
    // A From of another domain asks for no less.
    let mut bye = unproven("bye", 10);
    bye.method = Method::Bye;
    bye.headers.set(Name::CSeq, "10 BYE");
    let from = bye
        .headers
        .first(&Name::From)
        .unwrap()
        .replace("example.net", "example.org");
    bye.headers.set(Name::From, from);
    assert_eq!(net.romeo_answers(&bye, ELSEWHERE), [401]);

    let challenged = net.romeo_hears(&unproven("nurse", 11), ELSEWHERE).remove(0);
    assert_eq!(
        net.romeo_answers(
            &proven_by(&challenged, "nurse", "peace", &unproven("nurse2", 12)),
            ELSEWHERE
        ),
        [403]
    );
    let challenged = net
        .romeo_hears(&unproven("juliet", 13), ELSEWHERE)
        .remove(0);
    assert!(
        net.romeo_answers(
            &proven_by(&challenged, "juliet", "wherefore", &unproven("juliet2", 14)),
            ELSEWHERE
        )
        .is_empty()
    );
    assert!(
        matches!(net.romeo.next(), Some(Event::Requested { originator, .. }) if originator.user.as_ref().unwrap().name == "juliet")
    );
    // She has moved.
    assert!(
        net.romeo_answers(&unproven("moved", 15), ELSEWHERE)
            .is_empty()
    );
    assert!(matches!(net.romeo.next(), Some(Event::Requested { .. })));
    assert_eq!(net.romeo_answers(&unproven("back", 16), JULIET), [401]);
}

/// SIP-16. Whom we called needs no password of ours.
#[test]
fn the_called_are_not_challenged() {
    let mut net = Net::new(
        |config| config.authentication = vec![guard(Demand::Everyone)],
        |_| (),
    );
    let (_, theirs) = net.establish();
    net.log.clear();
    net.romeo.endpoint.bye(theirs, vec![], net.now);
    net.run();
    assert_eq!(net.lines(), ["romeo BYE 1", "juliet 200 BYE"]);
}

/// CORE-12. P-Asserted-Identity counts from trusted networks only.
#[test]
fn identities_are_believed_of_trusted_networks() {
    for (trusted, expected) in [(vec!["192.0.2.0/24".parse().unwrap()], 2), (vec![], 0)] {
        let mut net = Net::new(|_| (), |config| config.trusted = trusted);
        for method in [Method::Message, Method::Invite] {
            let request = raw(method).with_header(
                Name::PAssertedIdentity,
                "\"J\" <sip:juliet@example.org>, <tel:+12025550101>",
            );
            net.romeo_hears(&request, JULIET);
            let Some(Event::Requested { originator, .. } | Event::Invited { originator, .. }) =
                net.romeo.next()
            else {
                panic!()
            };
            assert_eq!(
                (originator.asserted.len(), &originator.user),
                (expected, &None)
            );
        }
        let malformed = raw(Method::Options).with_header(Name::PAssertedIdentity, "<");
        net.romeo_hears(&malformed, JULIET);
        assert!(
            matches!(net.romeo.next(), Some(Event::Requested { originator, .. }) if originator == Originator::default())
        );
    }
}

// ---- the stage ----

struct Agent {
    endpoint: Endpoint,
    address: SocketAddr,
}

struct Net {
    juliet: Agent,
    romeo: Agent,
    now: Instant,
    log: Vec<Message>,
    /// The user who has established the session.
    caller: Option<String>,
}

impl Agent {
    fn next(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }
}

impl Net {
    fn new(
        juliet: impl FnOnce(&mut EndpointConfig),
        romeo: impl FnOnce(&mut EndpointConfig),
    ) -> Self {
        let agent = |address, seed, adjust: Box<dyn FnOnce(&mut EndpointConfig) + '_>| Agent {
            endpoint: Endpoint::new(config(address, adjust), StdRng::seed_from_u64(seed)),
            address: address.parse().unwrap(),
        };
        Self {
            juliet: agent(JULIET, 1, Box::new(juliet)),
            romeo: agent(ROMEO, 2, Box::new(romeo)),
            now: Instant::now(),
            log: Vec::new(),
            caller: None,
        }
    }

    /// Romeo asks everybody for a proof, and Juliet knows her password.
    fn guarded() -> Self {
        Self::new(
            |config| {
                config.credentials = vec![credentials(
                    CredentialScope::Domain("EXAMPLE.net".into()),
                    "wherefore",
                )]
            },
            |config| config.authentication = vec![guard(Demand::Everyone)],
        )
    }

    /// Carries everything to the other side until both are silent.
    fn run(&mut self) {
        loop {
            let from_juliet =
                std::iter::from_fn(|| self.juliet.endpoint.poll_transmit()).map(|t| (JULIET, t));
            let from_romeo =
                std::iter::from_fn(|| self.romeo.endpoint.poll_transmit()).map(|t| (ROMEO, t));
            let in_flight: Vec<_> = from_juliet.chain(from_romeo).collect();
            if in_flight.is_empty() {
                return;
            }
            for (from, transmit) in in_flight {
                let Destination::Datagram { remote, .. } = transmit.destination else {
                    panic!()
                };
                let message = Message::parse_datagram(transmit.payload).unwrap();
                self.log.push(message.clone());
                let agents = [&mut self.juliet, &mut self.romeo];
                if let Some(to) = agents.into_iter().find(|agent| agent.address == remote) {
                    to.endpoint
                        .handle_received(Ok(message), source(from, remote), self.now);
                }
            }
        }
    }

    fn elapse(&mut self, milliseconds: u64) {
        self.run();
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(at) = [&self.juliet, &self.romeo]
            .into_iter()
            .filter_map(|agent| agent.endpoint.poll_timeout())
            .min()
            && at <= end
        {
            self.now = self.now.max(at);
            self.juliet.endpoint.handle_timeout(self.now);
            self.romeo.endpoint.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// Juliet invites, Romeo accepts.
    fn establish(&mut self) -> (InviteId, InviteId) {
        let ours = InviteId::ours(1);
        self.juliet.endpoint.invite(ours, invite(), self.now);
        self.run();
        let Some(Event::Invited {
            invite: theirs,
            originator,
            ..
        }) = self.romeo.next()
        else {
            panic!()
        };
        self.romeo
            .endpoint
            .answer(theirs, Reply::new(Status::OK), self.now);
        self.caller = originator
            .user
            .map(|user| format!("{} of {}", user.name, user.realm));
        self.run();
        assert!(matches!(self.juliet.next(), Some(Event::Answered { .. })));
        self.juliet.endpoint.ack(ours, None, self.now);
        self.run();
        assert!(matches!(
            self.romeo.next(),
            Some(Event::Acknowledged { .. })
        ));
        (ours, theirs)
    }

    /// Juliet sends a message, Romeo accepts it if it is told.
    fn converse(&mut self, id: u64) -> Status {
        self.juliet
            .endpoint
            .request(RequestId::ours(id), message(), self.now);
        self.run();
        if let Some(Event::Requested { transaction, .. }) = self.romeo.next() {
            self.romeo
                .endpoint
                .respond(transaction, Reply::new(Status::OK), self.now);
            self.run();
        }
        match self.juliet.next() {
            Some(Event::Responded { response, .. }) => response.status,
            other => panic!("{other:?}"),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|message| {
                let cseq = message.cseq().unwrap();
                let is_juliet = |address: NameAddr| address.uri.user() == Some("juliet");
                let from_juliet = is_juliet(message.from().unwrap());
                let name = |by_juliet| if by_juliet { "juliet" } else { "romeo" };
                match message {
                    Message::Request(request) => {
                        format!("{} {} {}", name(from_juliet), request.method, cseq.number)
                    }
                    Message::Response(response) => format!(
                        "{} {} {}",
                        name(!from_juliet),
                        response.status.code(),
                        cseq.method
                    ),
                }
            })
            .collect()
    }

    fn requests(&self) -> Vec<Request> {
        self.log
            .iter()
            .filter_map(|message| match message {
                Message::Request(request) => Some(request.clone()),
                Message::Response(_) => None,
            })
            .collect()
    }

    fn responses(&self) -> Vec<Response> {
        self.log
            .iter()
            .filter_map(|message| match message {
                Message::Response(response) => Some(response.clone()),
                Message::Request(_) => None,
            })
            .collect()
    }

    fn juliet_sends(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.juliet.endpoint.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Request(request)) => request,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn juliet_hears(&mut self, response: Response) {
        let source = source(ROMEO, self.juliet.address);
        self.juliet
            .endpoint
            .handle_received(Ok(response.into()), source, self.now);
    }

    fn romeo_hears(&mut self, request: &Request, from: &str) -> Vec<Response> {
        let source = source(from, self.romeo.address);
        self.romeo
            .endpoint
            .handle_received(Ok(request.clone().into()), source, self.now);
        let mut responses = self.romeo_responses();
        responses.retain(|response| response.status != Status::TRYING);
        responses
    }

    fn romeo_answers(&mut self, request: &Request, from: &str) -> Vec<u16> {
        self.romeo_hears(request, from)
            .iter()
            .map(|response| response.status.code())
            .collect()
    }

    fn romeo_responses(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.romeo.endpoint.poll_transmit())
            .map(|transmit| match Message::parse_datagram(transmit.payload) {
                Ok(Message::Response(response)) => response,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Nothing more happens, and no timer or transaction is left.
    fn ends_with_nothing_left(&mut self) {
        self.elapse(200_000);
        for agent in [&mut self.juliet, &mut self.romeo] {
            if let Some(event) = agent.next() {
                panic!("{event:?}");
            }
            assert!(agent.endpoint.is_idle());
            assert_eq!(agent.endpoint.poll_timeout(), None);
        }
    }
}

fn config(address: &str, adjust: impl FnOnce(&mut EndpointConfig)) -> EndpointConfig {
    let address: SocketAddr = address.parse().unwrap();
    let mut config = EndpointConfig {
        listeners: vec![Listener {
            transport: Transport::Udp,
            bound: address,
            advertised: address,
        }],
        user_agent: "test".into(),
        ..EndpointConfig::default()
    };
    adjust(&mut config);
    config
}

fn guard(demand: Demand) -> Authentication {
    let juliet = User {
        name: "juliet".into(),
        secret: Secret::new("wherefore"),
    };
    let romeo = User {
        name: "romeo".into(),
        secret: Secret::new("a rose"),
    };
    Authentication::new("example.net", demand, vec![juliet, romeo])
}

fn credentials(scope: CredentialScope, secret: &str) -> Credentials {
    Credentials {
        scope,
        user: "juliet".into(),
        secret: Secret::new(secret),
    }
}

fn source(from: &str, to: SocketAddr) -> Source {
    Source {
        transport: Transport::Udp,
        local: to,
        remote: from.parse().unwrap(),
        connection: None,
    }
}

fn challenge(request: &Request, status: Status, name: Name, fields: &[&str]) -> Response {
    let mut response = Response::to_request(request, status);
    for field in fields {
        response.headers.push(name.clone(), *field);
    }
    response
}

fn accepted(request: &Request) -> Response {
    let mut response = Response::to_request(request, Status::OK);
    let to = request.to().unwrap();
    let tag = to.tag().unwrap_or("r").to_owned();
    response
        .headers
        .set(Name::To, to.with_tag(&tag).to_string());
    response.with_header(Name::Contact, "<sip:romeo@192.0.2.2>")
}

/// The request with the answer that somebody else gives to its challenge.
fn proven_by(challenged: &Response, user: &str, secret: &str, request: &Request) -> Request {
    let mut endpoint = Endpoint::new(
        config(ELSEWHERE, |config| {
            let realm = CredentialScope::Realm("example.net".into());
            config.credentials = vec![Credentials {
                scope: realm,
                user: user.into(),
                secret: Secret::new(secret),
            }];
        }),
        StdRng::seed_from_u64(3),
    );
    let (now, id) = (Instant::now(), RequestId::ours(1));
    let mut outgoing = OutgoingRequest::new(
        request.method.clone(),
        request.uri.clone(),
        address("juliet"),
        address("romeo"),
    );
    (outgoing.content_type, outgoing.body) = ("a/b".into(), request.body.clone());
    endpoint.request(id, outgoing, now);
    let mut sent = || match Message::parse_datagram(endpoint.poll_transmit().unwrap().payload) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    let mut response = Response::to_request(&sent(), Status::UNAUTHORIZED);
    for field in challenged.headers.fields(&Name::WwwAuthenticate) {
        response.headers.push(Name::WwwAuthenticate, field);
    }
    endpoint.handle_received(
        Ok(response.into()),
        source(ROMEO, ELSEWHERE.parse().unwrap()),
        now,
    );
    let answered = match Message::parse_datagram(endpoint.poll_transmit().unwrap().payload) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    let proof = answered.headers.first(&Name::Authorization).unwrap();
    request.clone().with_header(Name::Authorization, proof)
}

/// Method, CSeq, and for each realm the nonce and how often it was used.
fn summary(request: &Request) -> String {
    let mut proofs = Vec::new();
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        for field in request.headers.fields(&name) {
            let param = |name: &str| {
                let (_, rest) = field.split_once(&format!("{name}="))?;
                Some(
                    rest.split(',')
                        .next()?
                        .trim_matches('"')
                        .trim_start_matches('0')
                        .to_owned(),
                )
            };
            let count = param(" nc").unwrap_or_else(|| "-".into());
            proofs.push(format!(
                "{} {} {count}",
                param("realm").unwrap(),
                param(" nonce").unwrap()
            ));
        }
    }
    proofs.sort();
    format!(
        "{} {} {}",
        request.method,
        request.cseq().unwrap().number,
        proofs.join(", ")
    )
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse().unwrap())
}

fn invite() -> Invite {
    let contact = LocalContact {
        user: Some("juliet".into()),
        ..LocalContact::default()
    };
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    Invite::new(target, address("juliet"), address("romeo"), contact)
}

fn message() -> OutgoingRequest {
    let target = "sip:romeo@192.0.2.2".parse().unwrap();
    let mut request =
        OutgoingRequest::new(Method::Message, target, address("juliet"), address("romeo"));
    (request.content_type, request.body) = ("text/plain".into(), "hi".into());
    request
}

fn raw(method: Method) -> Request {
    Request::new(method.clone(), "sip:romeo@example.net".parse().unwrap())
        .with_header(
            Name::Via,
            format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}"),
        )
        .with_header(Name::MaxForwards, "70")
        .with_header(Name::From, "<sip:juliet@example.com>;tag=j")
        .with_header(Name::To, "<sip:romeo@example.net>")
        .with_header(Name::CallId, format!("raw{method}"))
        .with_header(Name::CSeq, format!("1 {method}"))
        .with_header(Name::Contact, "<sip:juliet@192.0.2.1>")
}
