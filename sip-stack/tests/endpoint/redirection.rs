//! Redirected requests: RFC 3261 §8.1.3.4.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    Answer, CredentialScope, Credentials, Event, EventPackage, InviteId, Method, Name, Request,
    RequestId, Secret, Status, Subscribe, SubscriptionId,
};

use crate::alone::{Alone, contact, invite, outgoing};
use crate::stage::address;

const A: &str = "<sip:a@192.0.2.1>";

/// CORE-25, SIP-18. Where a 302 leads, by q; the same Call-ID, From and To, and the next CSeq; what comes of it is told.
#[test]
fn redirections_are_followed_in_their_order() {
    for is_invite in [true, false] {
        let mut stage = Alone::new(|_| ());
        match is_invite {
            true => stage.romeo.invite(InviteId::ours(1), invite(), stage.now),
            false => {
                let mut request = outgoing(Method::Message);
                (request.content_type, request.body) = ("text/plain".into(), "hi".into());
                stage.romeo.request(RequestId::ours(1), request, stage.now);
            }
        }
        let first = stage.request();
        let contacts = "<sip:b@192.0.2.1>;q=0.1, <sip:a@192.0.2.1;method=INVITE?Subject=x>;q=0.7";
        stage.answers(
            &first,
            Status::MOVED_TEMPORARILY,
            &[(Name::Contact, contacts)],
        );
        let second = next(&mut stage);
        assert_eq!(second.uri.to_string(), "sip:a@192.0.2.1");
        assert_eq!(second.headers.first(&Name::Subject), None);
        stage.answers(&second, Status::BUSY_HERE, &[]);
        let third = next(&mut stage);
        assert_eq!(third.uri.to_string(), "sip:b@192.0.2.1");
        for (number, request) in [(2, &second), (3, &third)] {
            assert_eq!(request.cseq().unwrap().number, number);
            for name in [Name::CallId, Name::From, Name::To, Name::ContentType] {
                assert_eq!(request.headers.first(&name), first.headers.first(&name));
            }
            assert_eq!(request.body, first.body);
            assert_ne!(
                request.top_via().unwrap().branch(),
                first.top_via().unwrap().branch()
            );
        }
        assert!(stage.event().is_none());
        stage.answers(&third, Status::OK, &[(Name::Contact, A)]);
        match stage.event() {
            Some(Event::Answered { response, .. }) => {
                assert!(is_invite);
                assert_eq!(response.cseq().unwrap().number, 3);
                stage.romeo.ack(InviteId::ours(1), None, stage.now);
                let ack = stage.request();
                assert_eq!(ack.cseq().unwrap().number, 3);
            }
            Some(Event::Responded { response, .. }) => {
                assert!(!is_invite);
                assert_eq!(response.status, Status::OK);
            }
            event => panic!("{event:?}"),
        }
    }
}

/// CORE-25. Each address once and five in all, whoever names them; then the last answer is told.
#[test]
fn redirections_end() {
    let mut stage = Alone::new(|_| ());
    stage
        .romeo
        .request(RequestId::ours(1), outgoing(Method::Message), stage.now);
    let mut tried = Vec::new();
    let status = loop {
        let Some(request) = stage.requests().pop() else {
            match stage.event() {
                Some(Event::Responded { response, .. }) => break response.status,
                event => panic!("{event:?}"),
            }
        };
        tried.push(request.uri.user().unwrap().to_owned());
        // Itself, the first one again, and one that is new.
        let contacts = format!(
            "<{}>, <sip:juliet@192.0.2.1>, <sip:n{}@192.0.2.1>",
            request.uri,
            tried.len()
        );
        stage.answers(
            &request,
            Status::MOVED_PERMANENTLY,
            &[(Name::Contact, &contacts)],
        );
    };
    assert_eq!(status, Status::MOVED_PERMANENTLY);
    assert_eq!(tried, ["juliet", "n1", "n2", "n3", "n4", "n5"]);
    stage.ends_with_nothing_left();
}

/// CORE-25. What is not followed: where nobody asks for it, nothing is named, another service is meant, everybody has
/// declined, or the request was taken back.
#[test]
fn what_is_told_instead() {
    for (limit, answers, expected) in [
        (0, vec![(302, A)], 302),
        (5, vec![(302, "<tel:+12025550101>")], 302),
        (5, vec![(302, "*")], 302),
        (5, vec![(380, A)], 380),
        (5, vec![(305, A)], 305),
        (
            5,
            vec![(302, "<sip:a@192.0.2.1>, <sip:b@192.0.2.1>"), (603, A)],
            603,
        ),
        (5, vec![(302, A), (404, "")], 404),
    ] {
        let mut stage = Alone::new(|config| config.limits.redirections = limit);
        stage.romeo.invite(InviteId::ours(1), invite(), stage.now);
        for (status, contact) in &answers {
            let request = next(&mut stage);
            let status = Status::new(*status).unwrap();
            stage.answers(&request, status, &[(Name::Contact, contact)]);
        }
        let Some(Event::Rejected { response, .. }) = stage.event() else {
            panic!("{answers:?}")
        };
        assert_eq!(response.status.code(), expected, "{answers:?}");
        stage.ends_with_nothing_left();
    }
    let mut stage = Alone::new(|_| ());
    stage.romeo.invite(InviteId::ours(1), invite(), stage.now);
    let request = stage.request();
    stage.answers(&request, Status::RINGING, &[]);
    stage.romeo.cancel(InviteId::ours(1), stage.now);
    stage.answers(&request, Status::MOVED_TEMPORARILY, &[(Name::Contact, A)]);
    assert!(
        stage
            .requests()
            .iter()
            .all(|it| it.method != Method::Invite)
    );
    let events: Vec<_> = std::iter::from_fn(|| stage.event()).collect();
    assert!(
        matches!(events.last(), Some(Event::Rejected { .. })),
        "{events:?}"
    );
}

/// CORE-25. An address without host leads on to the next one.
#[test]
fn addresses_that_cannot_be_reached() {
    let mut stage = Alone::new(|_| ());
    stage
        .romeo
        .request(RequestId::ours(1), outgoing(Method::Message), stage.now);
    let first = stage.request();
    let contacts = "<sip:a@nowhere.example>, <sip:b@192.0.2.1>;q=0.5";
    stage.answers(
        &first,
        Status::MOVED_TEMPORARILY,
        &[(Name::Contact, contacts)],
    );
    assert!(stage.requests().is_empty());
    while let Some((id, _)) = stage.romeo.poll_question() {
        stage
            .romeo
            .handle_resolved(id, Answer::NoRecords, stage.now);
    }
    let second = stage.request();
    assert_eq!(second.uri.to_string(), "sip:b@192.0.2.1");
    stage.answers(&second, Status::OK, &[]);
    assert!(matches!(stage.event(), Some(Event::Responded { .. })));
    stage.ends_with_nothing_left();
}

/// SIP-15, SIP-18. What is proven is proven anew for each address, and once; CSeq goes on rising.
#[test]
fn proofs_are_for_one_address() {
    let mut stage = Alone::new(|config| {
        config.credentials = vec![Credentials {
            scope: CredentialScope::Realm("example.net".into()),
            user: "romeo".into(),
            secret: Secret::new("wherefore"),
        }];
    });
    let challenge = "Digest realm=\"example.net\", nonce=\"n\", qop=\"auth\"";
    stage.romeo.invite(InviteId::ours(1), invite(), stage.now);
    let first = next(&mut stage);
    stage.answers(
        &first,
        Status::UNAUTHORIZED,
        &[(Name::WwwAuthenticate, challenge)],
    );
    let proven = next(&mut stage);
    assert!(proven.headers.first(&Name::Authorization).is_some());
    stage.answers(
        &proven,
        Status::MOVED_TEMPORARILY,
        &[(Name::Contact, "<sip:juliet@192.0.2.9>")],
    );
    let moved = next(&mut stage);
    let proofs: Vec<_> = moved.headers.fields(&Name::Authorization).collect();
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    assert!(
        proofs[0].contains("uri=\"sip:juliet@192.0.2.9\""),
        "{proofs:?}"
    );
    assert_eq!(moved.cseq().unwrap().number, 3);
}

/// CORE-25, SIP-12. A SUBSCRIBE that begins a subscription is redirected like others.
#[test]
fn subscriptions_are_redirected() {
    let mut stage = Alone::new(|_| ());
    let subscribe = Subscribe::new(
        "sip:juliet@192.0.2.1".parse().unwrap(),
        address("romeo"),
        address("juliet"),
        contact(),
        EventPackage::new("presence"),
    );
    stage
        .romeo
        .subscribe(SubscriptionId::new(1), subscribe, stage.now);
    let first = stage.request();
    stage.answers(&first, Status::MOVED_TEMPORARILY, &[(Name::Contact, A)]);
    let second = stage.request();
    assert_eq!(second.uri.to_string(), "sip:a@192.0.2.1");
    assert_eq!(second.cseq().unwrap().number, 2);
    assert!(stage.event().is_none());
}

/// CORE-25, SIP-18. Whatever is answered, in whatever order: a request ends once, is sent to six addresses at most, each with
/// a CSeq of its own, and leaves nothing behind.
#[test]
fn redirections_at_random() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut stage = Alone::new(|_| ());
        let is_invite = random.random_bool(0.5);
        match is_invite {
            true => stage.romeo.invite(InviteId::ours(1), invite(), stage.now),
            false => {
                let request = outgoing(Method::Message);
                stage.romeo.request(RequestId::ours(1), request, stage.now);
            }
        }
        let mut numbers = Vec::new();
        let mut ends = 0;
        for _ in 0..60 {
            for request in stage.requests() {
                if matches!(request.method, Method::Ack | Method::Cancel | Method::Bye) {
                    continue;
                }
                let number = request.cseq().unwrap().number;
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
                let contacts: Vec<String> = (0..random.random_range(0..4))
                    .map(|_| {
                        let (user, q) = (random.random_range(0..9), random.random_range(0..=9));
                        let host = random.random_range(1..4);
                        format!("<sip:u{user}@192.0.2.{host}>;q=0.{q}")
                    })
                    .collect();
                let statuses = [180, 301, 302, 302, 302, 404, 503, 603];
                let status = statuses[random.random_range(0..statuses.len())];
                if random.random_bool(0.8) {
                    let fields = [(Name::Contact, contacts.join(", "))];
                    let fields = fields.each_ref().map(|(n, v)| (n.clone(), v.as_str()));
                    stage.answers(&request, Status::new(status).unwrap(), &fields);
                }
            }
            while let Some(event) = stage.event() {
                match event {
                    Event::Progressed { .. } => {}
                    Event::Rejected { .. }
                    | Event::Failed { .. }
                    | Event::Responded { .. }
                    | Event::RequestFailed { .. } => ends += 1,
                    event => panic!("seed {seed}: {event:?}"),
                }
            }
            stage.elapse(Duration::from_millis(random.random_range(0..12_000)));
        }
        assert_eq!(ends, 1, "seed {seed}");
        let expected: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "seed {seed}");
        assert!(numbers.len() <= 6, "seed {seed}: {numbers:?}");
        stage.ends_with_nothing_left();
    }
}

/// The next request that is no ACK.
#[track_caller]
fn next(stage: &mut Alone) -> Request {
    let requests = stage.requests().into_iter();
    let mut others = requests.filter(|request| request.method != Method::Ack);
    others.next().expect("a request")
}
