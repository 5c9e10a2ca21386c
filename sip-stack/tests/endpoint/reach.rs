//! Where peers may lead the endpoint: SEC-11.

use stox_sip::{Event, Failure, InviteId, Method, Name, Reach, Reply, RequestId, Status};

use crate::alone::{Alone, incoming, invite, outgoing};

/// None of them is for who comes from a public address.
const NEARER: [&str; 4] = ["127.0.0.1:25", "10.0.0.1", "169.254.169.254:80", "[::1]"];

// SEC-11
#[test]
fn requests_in_a_dialog_go_nowhere_nearer_than_the_peer() {
    let opened = |network: &str| Reach::opening(vec![network.parse().unwrap()]);
    for (reach, target, is_sent) in NEARER
        .map(|target| (Reach::default(), target, false))
        .into_iter()
        .chain([
            (opened("10.0.0.0/8"), "10.0.0.1", true),
            (Reach::default(), "198.51.100.1", true),
        ])
    {
        for field in [Name::Contact, Name::RecordRoute] {
            let mut stage = Alone::new(|config| config.reach = reach.clone());
            let value = format!("<sip:{target};lr>");
            let mut request = incoming(Method::Invite, 1);
            request.headers.set(field, value);
            stage.hears(request);
            let Some(Event::Invited { invite, .. }) = stage.event() else {
                panic!();
            };
            stage
                .romeo
                .answer(invite, Reply::new(Status::OK), stage.now);
            let mut ack = incoming(Method::Ack, 1);
            let to = stage.response().headers.first(&Name::To).map(str::to_owned);
            ack.headers.set(Name::To, to.unwrap());
            ack.headers.set(Name::CallId, "INVITE-1");
            stage.hears(ack);
            assert!(matches!(stage.event(), Some(Event::Acknowledged { .. })));
            stage.romeo.bye(invite, Vec::new(), stage.now);
            let byes = stage.requests();
            assert_eq!(!byes.is_empty(), is_sent, "{target}: {byes:?}");
            stage.elapse(std::time::Duration::from_secs(40));
            assert!(matches!(stage.event(), Some(Event::Ended { .. })));
        }
    }
}

// SEC-11, CORE-25
#[test]
fn redirections_lead_nowhere_nearer_than_who_redirects() {
    for target in NEARER {
        let contact = format!("<sip:a@{target}>");
        let fields = [(Name::Contact, contact.as_str())];
        let mut stage = Alone::new(|_| ());
        let request = outgoing(Method::Message);
        stage.romeo.request(RequestId::ours(1), request, stage.now);
        let request = stage.request();
        stage.answers(&request, Status::MOVED_TEMPORARILY, &fields);
        assert!(stage.requests().is_empty(), "{target}");
        let cause = Failure::Unreachable;
        assert!(
            matches!(stage.event(), Some(Event::RequestFailed { cause: told, .. }) if told == cause)
        );

        stage.romeo.invite(InviteId::ours(2), invite(), stage.now);
        let request = stage.request();
        stage.answers(&request, Status::MOVED_TEMPORARILY, &fields);
        let methods: Vec<_> = stage.requests().into_iter().map(|it| it.method).collect();
        assert_eq!(methods, [Method::Ack], "{target}");
        assert!(matches!(stage.event(), Some(Event::Failed { cause: told, .. }) if told == cause));
    }
}
