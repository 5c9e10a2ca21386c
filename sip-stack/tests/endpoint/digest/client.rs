//! Challenges that we answer: RFC 3261 §22, RFC 7616.

use stox_sip::{
    CredentialScope, Demand, EndCause, Event, InviteId, Method, Name, Request, RequestId, Response,
    Status,
};

use super::{converse, credentials, guard, guarded};
use crate::stage::{Net, ROMEO, config, invite, message};

/// SIP-15. What was asked once is answered at once the next time, counted up; an old nonce is renewed.
#[test]
fn the_next_request_brings_its_proof_until_the_nonce_is_stale() {
    let mut net = guarded();
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
        assert_eq!(converse(&mut net, id), Status::OK);
        assert_eq!(net.log, expected);
        net.forget();
    }
    net.elapse_ms(301_000);
    assert_eq!(converse(&mut net, 4), Status::OK);
    assert_eq!(
        net.log,
        [
            "juliet MESSAGE 1",
            "romeo 401 MESSAGE",
            "juliet MESSAGE 2",
            "romeo 200 MESSAGE"
        ]
    );
    let challenges: Vec<_> = net.sent[1]
        .headers()
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
        let mut net = Net::with(
            |config| config.credentials = credentials,
            |config| config.authentication = vec![guard(Demand::Everyone)],
        );
        assert_eq!(converse(&mut net, 1), Status::UNAUTHORIZED);
        assert_eq!(net.requests().len(), sent);
        assert_eq!(converse(&mut net, 2), Status::UNAUTHORIZED);
        assert_eq!(
            net.requests().len(),
            sent * 2,
            "nothing is sent ahead that was rejected"
        );
        let ours = InviteId::ours(1);
        net.juliet.invite(ours, invite(), net.now);
        net.run();
        assert!(
            matches!(net.juliet.poll_event(), Some(Event::Rejected { response, .. }) if response.status == Status::UNAUTHORIZED)
        );
        net.ends_with_nothing_left();
    }
}

/// SIP-15. A proxy and then the user agent ask, each for its realm; both get their answer, also in the dialog.
#[test]
fn several_realms() {
    let mut net = Net::with(
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
    net.juliet.invite(ours, invite(), net.now);
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
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Answered { .. })
    ));
    net.juliet.ack(ours, None, net.now);
    assert_eq!(
        summary(&net.juliet_sends()[0]),
        "ACK 3 home h1 1, other o1 -, proxy p1 2"
    );
    net.juliet.bye(ours, vec![], net.now);
    let bye = net.juliet_sends().remove(0);
    assert_eq!(summary(&bye), "BYE 4 home h1 2, other o1 -, proxy p1 3");
    net.juliet_hears(Response::to_request(&bye, Status::OK));
    assert!(matches!(
        net.juliet.poll_event(),
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
        let mut net = Net::with(
            |config| config.credentials = vec![credentials(scope, "x")],
            |_| (),
        );
        net.juliet
            .request(RequestId::ours(1), message("hi"), net.now);
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
            .request(RequestId::ours(2), message("hi"), net.now);
        assert_eq!(summary(&net.juliet_sends()[0]), elsewhere);
    }
}

/// SIP-15. Requests that were challenged together count the uses of one nonce together.
#[test]
fn one_nonce_for_several_requests() {
    let credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")];
    let mut net = Net::with(|config| config.credentials = credentials, |_| ());
    for id in [1, 2] {
        net.juliet
            .request(RequestId::ours(id), message("hi"), net.now);
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
    let mut net = Net::with(
        |config| config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")],
        |_| (),
    );
    net.juliet
        .request(RequestId::ours(1), message("hi"), net.now);
    let mut request = net.juliet_sends().remove(0);
    let mut rounds = 0;
    while net.juliet.poll_event().is_none() {
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
        .request(RequestId::ours(2), message("hi"), net.now);
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
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Responded { .. })
    ));
    net.ends_with_nothing_left();
}

/// SIP-15, SIP-18. Inside a dialog the next CSeq is the dialog's, whatever was sent meanwhile.
#[test]
fn requests_inside_a_dialog_are_answered_in_their_order() {
    let mut net = Net::with(
        |config| config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "x")],
        |_| (),
    );
    let (ours, _) = net.establish();
    for (id, method) in [(1, Method::Invite), (2, Method::Message)] {
        net.juliet.request_in(
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
            matches!(net.juliet.poll_event(), Some(Event::Responded { response, .. }) if response.status == Status::OK)
        );
    }
    let ack = net.juliet_sends().remove(0);
    assert_eq!(summary(&ack), "ACK 4 r n 1");
}

/// SIP-09, SIP-15. An INVITE that was taken back is not sent again.
#[test]
fn a_cancelled_invite_is_not_answered() {
    let mut net = guarded();
    net.juliet.invite(InviteId::ours(1), invite(), net.now);
    let first = net.juliet_sends().remove(0);
    net.juliet.cancel(InviteId::ours(1), net.now);
    net.juliet_hears(challenge(
        &first,
        Status::UNAUTHORIZED,
        Name::WwwAuthenticate,
        &[r#"Digest realm="r", nonce="n""#],
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Rejected { .. })
    ));
    assert_eq!(net.juliet_sends().len(), 1, "the ACK");
    net.ends_with_nothing_left();
}

/// SIP-15. Nothing shows a password.
#[test]
fn secrets_are_not_shown() {
    let mut net = guarded();
    net.establish();
    let config = config(ROMEO, |config| {
        config.credentials = vec![credentials(CredentialScope::Realm("r".into()), "wherefore")];
        config.authentication = vec![guard(Demand::Everyone)];
    });
    let shown = format!("{config:?} {:?} {:?}", net.juliet, net.romeo);
    assert!(!shown.contains("wherefore"));
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
