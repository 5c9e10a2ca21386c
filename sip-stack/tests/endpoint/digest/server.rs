//! Challenges that others answer, and whom they are for: RFC 3261 §22, RFC 7616.

use std::time::Instant;

use stox_sip::{
    CredentialScope, Credentials, Demand, EndCause, Endpoint, Event, InviteId, Message, Method,
    Name, OutgoingRequest, Reply, Request, RequestId, Response, Secret, Status, Uri, User,
};

use super::{ELSEWHERE, answers, converse, credentials, guard, guarded, statuses};
use crate::stage::{JULIET, Net, ROMEO, address, endpoint, invite, raw, source};

/// SIP-15, SIP-16, SIP-18. An INVITE is challenged once; what follows in its session is not.
#[test]
fn a_session_proves_itself_once() {
    let mut net = guarded();
    let ours = InviteId::ours(1);
    net.juliet.invite(ours, invite(), net.now);
    net.run();
    let Some(Event::Invited {
        invite: theirs,
        originator,
        ..
    }) = net.romeo.poll_event()
    else {
        panic!()
    };
    let caller = originator.user.unwrap();
    assert_eq!((&*caller.name, &*caller.realm), ("juliet", "example.net"));
    net.accept(theirs, Reply::new(Status::OK));
    assert_eq!(
        net.log,
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

    net.forget();
    net.juliet.request_in(
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
    }) = net.romeo.poll_event()
    else {
        panic!()
    };
    assert_eq!(originator.user.unwrap().name, "juliet");
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    assert_eq!(
        net.log,
        [
            "juliet MESSAGE 3",
            "romeo 200 MESSAGE",
            "romeo BYE 1",
            "juliet 200 BYE"
        ]
    );
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Responded { .. })
    ));
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Ended {
            cause: EndCause::Bye(_),
            ..
        })
    ));
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Ended {
            cause: EndCause::OurBye,
            ..
        })
    ));
    net.ends_with_nothing_left();
}

/// SIP-16. Everything but ACK and CANCEL is challenged, and nothing is kept of it.
#[test]
fn what_is_challenged() {
    let mut net = guarded();
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
        let request = raw(method.clone(), 1);
        assert_eq!(statuses(&mut net, &request, JULIET), expected, "{method}");
        assert!(net.romeo.poll_event().is_none());
    }
    assert!(net.romeo.is_idle());
    // The NOTIFY of a subscription of ours is the user's matter.
    let mut notify = raw(Method::Notify, 1);
    notify
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=ours");
    assert!(statuses(&mut net, &notify, JULIET).is_empty());
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Requested { .. })
    ));
    let mut subscribe = raw(Method::Subscribe, 1);
    subscribe
        .headers
        .set(Name::To, "<sip:romeo@example.net>;tag=ours");
    assert_eq!(statuses(&mut net, &subscribe, JULIET), [401]);
}

/// SIP-16. A proof serves once, for its method, its addressee, its user and its realm.
#[test]
fn proofs_cannot_be_used_again() {
    let mut net = guarded();
    assert_eq!(converse(&mut net, 1), Status::OK);
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
        let responses = answers(net, &request, JULIET);
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
    assert!(net.romeo.poll_event().is_none());
}

/// SIP-16. Whose requests are challenged; what the trusted networks have to do with it.
#[test]
fn who_is_challenged() {
    let trusted = || vec!["192.0.2.1".parse().unwrap()];
    let everybody = Vec::new;
    let domains = |domain: &str| Demand::Domains(vec![domain.into()]);
    let strangers_of = |domain: &str| Demand::StrangersOf(vec![domain.into()]);
    for (demand, trusted, source, expected) in [
        (Demand::Everyone, everybody(), JULIET, 401),
        (Demand::Everyone, trusted(), JULIET, 401),
        (Demand::Strangers, everybody(), JULIET, 401),
        (Demand::Strangers, trusted(), JULIET, 200),
        (Demand::Strangers, trusted(), ELSEWHERE, 401),
        (strangers_of("example.net"), everybody(), JULIET, 401),
        (strangers_of("example.net"), trusted(), JULIET, 200),
        (strangers_of("example.net"), trusted(), ELSEWHERE, 401),
        (strangers_of("example.org"), everybody(), JULIET, 200),
        (strangers_of("example.org"), trusted(), ELSEWHERE, 403),
        (Demand::Networks(trusted()), everybody(), JULIET, 401),
        (Demand::Networks(trusted()), everybody(), ELSEWHERE, 200),
        (domains("Example.net"), everybody(), JULIET, 401),
        (domains("example.org"), everybody(), JULIET, 200),
        (domains("example.org"), trusted(), ELSEWHERE, 403),
        (domains("example.net"), trusted(), ELSEWHERE, 401),
    ] {
        let what = format!("{demand:?} {trusted:?} {source}");
        let mut net = Net::with(
            |_| (),
            |config| {
                config.trusted = trusted;
                config.authentication = vec![guard(demand)];
            },
        );
        let mut statuses = statuses(&mut net, &raw(Method::Message, 1), source);
        if let Some(Event::Requested { transaction, .. }) = net.romeo.poll_event() {
            net.romeo
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
    let mut net = Net::with(
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
    net.juliet.request_in(
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
    assert_eq!(statuses(&mut net, &bye, ELSEWHERE), [401]);

    let challenged = answers(&mut net, &unproven("nurse", 11), ELSEWHERE).remove(0);
    assert_eq!(
        statuses(
            &mut net,
            &proven_by(&challenged, "nurse", "peace", &unproven("nurse2", 12)),
            ELSEWHERE
        ),
        [403]
    );
    let challenged = answers(&mut net, &unproven("juliet", 13), ELSEWHERE).remove(0);
    assert!(
        statuses(
            &mut net,
            &proven_by(&challenged, "juliet", "wherefore", &unproven("juliet2", 14)),
            ELSEWHERE
        )
        .is_empty()
    );
    assert!(
        matches!(net.romeo.poll_event(), Some(Event::Requested { originator, .. }) if originator.user.as_ref().unwrap().name == "juliet")
    );
    // She has moved.
    assert!(statuses(&mut net, &unproven("moved", 15), ELSEWHERE).is_empty());
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Requested { .. })
    ));
    assert_eq!(statuses(&mut net, &unproven("back", 16), JULIET), [401]);
}

/// SIP-16. Whom we called needs no password of ours.
#[test]
fn the_called_are_not_challenged() {
    let mut net = Net::with(
        |config| config.authentication = vec![guard(Demand::Everyone)],
        |_| (),
    );
    let (_, theirs) = net.establish();
    net.forget();
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    assert_eq!(net.log, ["romeo BYE 1", "juliet 200 BYE"]);
}

/// The request with the answer that somebody else gives to its challenge.
fn proven_by(challenged: &Response, user: &str, secret: &str, request: &Request) -> Request {
    let mut endpoint = endpoint(ELSEWHERE, 3, |config| {
        config.credentials = vec![Credentials {
            scope: CredentialScope::Realm("example.net".into()),
            user: user.into(),
            secret: Secret::new(secret),
        }];
    });
    let (now, id) = (Instant::now(), RequestId::ours(1));
    let mut outgoing = OutgoingRequest::new(
        request.method.clone(),
        request.uri.clone(),
        address("juliet"),
        address("romeo"),
    );
    (outgoing.content_type, outgoing.body) = ("a/b".into(), request.body.clone());
    endpoint.request(id, outgoing, now);
    let mut response = Response::to_request(&sent_by(&mut endpoint), Status::UNAUTHORIZED);
    for field in challenged.headers.fields(&Name::WwwAuthenticate) {
        response.headers.push(Name::WwwAuthenticate, field);
    }
    endpoint.handle_received(Ok(response.into()), source(ELSEWHERE, ROMEO), now);
    let answered = sent_by(&mut endpoint);
    let proof = answered.headers.first(&Name::Authorization).unwrap();
    request.clone().with_header(Name::Authorization, proof)
}

fn sent_by(endpoint: &mut Endpoint) -> Request {
    match Message::parse_datagram(endpoint.poll_transmit().unwrap().payload) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}
