//! P-Asserted-Identity: RFC 3325.

use stox_sip::{
    Assertion, Event, InviteId, Method, Name, Originator, Proof, Request, RequestId, Source,
    Transport, Visibility,
};

use crate::alone::{Alone, incoming, invite, outgoing};
use crate::stage::{JULIET, Net, ROMEO, raw, source};

/// CORE-12. P-Asserted-Identity counts from trusted networks only.
#[test]
fn identities_are_believed_of_trusted_networks() {
    for (trusted, expected) in [(vec!["192.0.2.0/24".parse().unwrap()], 2), (vec![], 0)] {
        let mut net = Net::with(|_| (), |config| config.trusted = trusted);
        for method in [Method::Message, Method::Invite] {
            let request = raw(method, 1).with_header(
                Name::PAssertedIdentity,
                "\"J\" <sip:juliet@example.org>, <tel:+12025550101>",
            );
            net.romeo_hears(&request);
            let Some(Event::Requested { originator, .. } | Event::Invited { originator, .. }) =
                net.romeo.poll_event()
            else {
                panic!()
            };
            assert_eq!(
                (originator.asserted.len(), &originator.user),
                (expected, &None)
            );
        }
        let malformed = raw(Method::Options, 1).with_header(Name::PAssertedIdentity, "<");
        net.romeo_hears(&malformed);
        assert!(
            matches!(net.romeo.poll_event(), Some(Event::Requested { originator, .. }) if originator == Originator::default())
        );
    }
}

/// CORE-12, SEC-02, SEC-03. A peer that has proven its domain vouches for the users of that domain, and for nobody else's.
#[test]
fn certificates_vouch_for_their_own_users() {
    for (asserted, expected) in [
        (None, Some(("sip:juliet@example.net", Proof::Certificate))),
        (
            Some("<sip:nurse@EXAMPLE.net>"),
            Some(("sip:nurse@EXAMPLE.net", Proof::Asserted)),
        ),
        (
            Some("<tel:+12025550101>"),
            Some(("sip:juliet@example.net", Proof::Certificate)),
        ),
        (Some("<sip:romeo@example.org>"), None),
    ] {
        let mut stage = Alone::new(|_| ());
        let remote = JULIET.parse().unwrap();
        let connection = stage.romeo.handle_accepted(Transport::Tls, remote);
        let domains = vec!["example.net".to_owned()];
        stage
            .romeo
            .handle_authenticated(connection, remote, domains);
        let mut request = incoming(Method::Message, 1);
        if let Some(asserted) = asserted {
            request.headers.push(Name::PAssertedIdentity, asserted);
        }
        let from = request.from().unwrap();
        let source = Source {
            transport: Transport::Tls,
            connection: Some(connection),
            ..source(ROMEO, JULIET)
        };
        stage
            .romeo
            .handle_received(Ok(request.into()), source, stage.now);
        match (stage.event(), expected) {
            (Some(Event::Requested { originator, .. }), Some((uri, proof))) => {
                assert_eq!(originator.certified.as_deref(), Some("example.net"));
                let sender = originator.sender(&from);
                assert_eq!((sender.0.to_string().as_str(), sender.1), (uri, proof));
            }
            (None, None) => assert_eq!(stage.response().status.code(), 403),
            (event, _) => panic!("{asserted:?}: {event:?}"),
        }
    }
}

/// SEC-15. Who does not want to be known is told apart; what is proven of him is told all the same, to us.
#[test]
fn hidden_senders() {
    for (name, value, expected) in [
        (Name::Privacy, "id", Visibility::Hidden),
        (Name::Privacy, "none", Visibility::Open),
        (
            Name::From,
            "\"A\" <sip:anonymous@anonymous.invalid>;tag=a",
            Visibility::Hidden,
        ),
        (
            Name::From,
            "<sip:%61nonymous@example.net>;tag=a",
            Visibility::Hidden,
        ),
        (
            Name::From,
            "\"Anonymous\" <sip:juliet@example.net>;tag=a",
            Visibility::Open,
        ),
        (Name::Subject, "id", Visibility::Open),
    ] {
        let mut stage = Alone::new(|config| config.trusted = vec!["192.0.2.0/24".parse().unwrap()]);
        let mut request = incoming(Method::Invite, 1)
            .with_header(Name::PAssertedIdentity, "<sip:juliet@example.net>");
        request.headers.set(name, value);
        stage.hears(request);
        let Some(Event::Invited { originator, .. }) = stage.event() else {
            panic!()
        };
        assert_eq!(originator.visibility, expected, "{value}");
        assert_eq!(originator.asserted.len(), 1);
    }
}

/// CORE-12, RFC 3325 §5, §7. Trusted targets are told who a request is from; others are not, whatever the user says.
#[test]
fn only_trusted_networks_are_told() {
    let said = |request: &Request| {
        let value = |name| request.headers.first(&name).map(str::to_owned);
        (
            value(Name::PAssertedIdentity),
            value(Name::PPreferredIdentity),
        )
    };
    let from = Some("<sip:romeo@example.net>".to_owned());
    let users = Some("<sip:montague@example.net>".to_owned());
    for (trusted, assertion, given, expected) in [
        ("192.0.2.0/24", Assertion::None, None, (None, None)),
        (
            "192.0.2.0/24",
            Assertion::Asserted,
            None,
            (from.clone(), None),
        ),
        (
            "192.0.2.0/24",
            Assertion::Preferred,
            None,
            (None, from.clone()),
        ),
        (
            "192.0.2.0/24",
            Assertion::Preferred,
            users.clone(),
            (users.clone(), None),
        ),
        (
            "192.0.2.0/24",
            Assertion::None,
            users.clone(),
            (users.clone(), None),
        ),
        ("198.51.100.0/24", Assertion::Asserted, None, (None, None)),
        (
            "198.51.100.0/24",
            Assertion::None,
            users.clone(),
            (None, None),
        ),
    ] {
        let mut stage = Alone::new(|config| {
            config.trusted = vec![trusted.parse().unwrap()];
            config.assertion = assertion;
        });
        let fields = given.map(|given| (Name::PAssertedIdentity, given));
        let mut request = outgoing(Method::Message);
        request.headers.extend(fields.clone());
        stage.romeo.request(RequestId::ours(1), request, stage.now);
        assert_eq!(said(&stage.request()), expected);
        let mut request = invite();
        request.headers.extend(fields);
        stage.romeo.invite(InviteId::ours(1), request, stage.now);
        assert_eq!(said(&stage.request()), expected);
    }
    // RFC 3325 §9.1, Table 2.
    let mut stage = Alone::new(|config| {
        config.trusted = vec!["192.0.2.0/24".parse().unwrap()];
        config.assertion = Assertion::Asserted;
    });
    let register = outgoing(Method::Register);
    stage.romeo.request(RequestId::ours(1), register, stage.now);
    assert_eq!(said(&stage.request()), (None, None));
}
