//! What goes over a connection once it is there, and what never leaves it.

use stox_sip::{
    ClientCertificates, ConnectionId, DriverConfig, EndCause, Event, Failure, Invite, LocalContact,
    Name, Reply, SipsRequests, Status, Transport,
};

use super::{Authority, address, agent, over};
use crate::stage::{any, try_agent};
use ClientCertificates::{NotAsked, Required};

/// MSRP-09's rule in SIP: what was verified for one domain is used for that domain again, and for no other.
#[tokio::test]
async fn connections_are_used_again_for_the_same_domain_only() {
    let authority = Authority::new();
    let names = ["URI:sip:example.net", "URI:sip:example.org"];
    let mut romeo = agent(&authority.settings(&names, NotAsked)).await;
    let mut juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
    let mut connections: Vec<Option<ConnectionId>> = Vec::new();
    for domain in ["example.net", "Example.net", "example.org"] {
        juliet.message(&romeo.sips_uri(domain)).await;
        connections.push(romeo.accept().await);
        assert!(matches!(juliet.next().await, Event::Responded { .. }));
    }
    assert_eq!(connections[0], connections[1]);
    assert_ne!(connections[0], connections[2]);

    // The same where the other domain is not the peer's.
    let mut romeo = agent(&authority.settings(&["DNS:example.net"], NotAsked)).await;
    juliet.message(&romeo.sips_uri("example.net")).await;
    romeo.accept().await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
    juliet.message(&romeo.sips_uri("example.org")).await;
    assert!(matches!(
        juliet.next().await,
        Event::RequestFailed {
            cause: Failure::Untrusted,
            ..
        }
    ));
}

/// SIP-04, RFC 5923: a peer that has proven its domain gets our requests on the connection that it made, as if it were one
/// to its listener; of others nobody knows that they are who they say.
#[tokio::test]
async fn connections_are_used_in_both_directions() {
    let authority = Authority::new();
    for (clients, is_reused) in [(Required, true), (NotAsked, false)] {
        let juliet = authority.settings(&["DNS:example.com"], NotAsked);
        let romeo = authority.settings(&["DNS:example.net"], clients);
        let (mut juliet, mut romeo) = (agent(&juliet).await, agent(&romeo).await);
        juliet.message(&romeo.sips_uri("example.net")).await;
        romeo.accept().await;
        romeo.message(&juliet.sips_uri("example.com")).await;
        loop {
            match juliet.next().await {
                Event::Requested { source, .. } => {
                    assert_eq!(
                        source.remote == romeo.address(Transport::Tls),
                        is_reused,
                        "{clients:?}"
                    );
                    break;
                }
                Event::Responded { .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }
}

/// SIP-05, SIP-01: a session from INVITE to BYE, by `sips` and by `transport=tls`; requests inside it find their way
/// by the Contacts.
#[tokio::test]
async fn sessions_live_over_tls() {
    let authority = Authority::new();
    let names = ["URI:sip:example.net", "URI:sip:127.0.0.1"];
    for (scheme, parameter) in [("sips", ""), ("sip", ";transport=tls")] {
        let mut romeo = agent(&authority.settings(&names, NotAsked)).await;
        let mut juliet = agent(&authority.settings(&names, NotAsked)).await;
        let port = romeo.address(Transport::Tls).port();
        let target = format!("{scheme}:romeo@example.net:{port};maddr=127.0.0.1{parameter}");
        let sent = juliet.sip.reserve_invite();
        let contact = |user: &str| LocalContact {
            user: Some(user.to_owned()),
            ..LocalContact::default()
        };
        let (from, to) = (address("juliet@example.com"), address("romeo@example.net"));
        let mut invite = Invite::new(target.parse().unwrap(), from, to, contact("juliet"));
        (invite.content_type, invite.body) = ("application/sdp".into(), "v=0".into());
        juliet.sip.invite(sent, invite).await;
        let Event::Invited {
            invite: received,
            request,
            source,
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(source.transport, Transport::Tls);
        let expected = format!(
            "{scheme}:juliet@{}{parameter}",
            juliet.address(Transport::Tls)
        );
        assert_eq!(request.contact().unwrap().uri.to_string(), expected);
        let answer = Reply {
            contact: Some(contact("romeo")),
            ..Reply::new(Status::OK)
        };
        romeo.sip.answer(received, answer).await;
        let Event::Answered { response, .. } = juliet.next().await else {
            panic!()
        };
        let expected = format!(
            "{scheme}:romeo@{}{parameter}",
            romeo.address(Transport::Tls)
        );
        assert_eq!(response.contact().unwrap().uri.to_string(), expected);
        juliet.sip.ack(sent, None).await;
        assert!(matches!(romeo.next().await, Event::Acknowledged { .. }));
        romeo.sip.bye(received, Vec::new()).await;
        let Event::Ended {
            cause: EndCause::Bye(_),
            ..
        } = juliet.next().await
        else {
            panic!()
        };
    }
}

/// SEC-01, SEC-06: without TLS a `sips` target is not called at all; who listens for TLS only says nothing in the clear.
#[tokio::test]
async fn nothing_falls_back_to_the_clear() {
    let authority = Authority::new();
    let mut clear = try_agent(DriverConfig {
        listen: vec![(Transport::Tcp, any())],
        ..DriverConfig::default()
    })
    .await
    .unwrap();
    let mut tls = agent(&authority.settings(&["DNS:example.net"], NotAsked)).await;
    clear.message(&tls.sips_uri("example.net")).await;
    let to_clear = format!("sip:romeo@{};transport=tcp", clear.address(Transport::Tcp));
    tls.message(&to_clear).await;
    for agent in [&mut clear, &mut tls] {
        let failed = agent.next().await;
        assert!(
            matches!(
                failed,
                Event::RequestFailed {
                    cause: Failure::Unresolvable,
                    ..
                }
            ),
            "{failed:?}"
        );
    }
}

/// SEC-06, RFC 5630 §5.2: who does not vouch for the rest of the way refuses `sips`, and takes `sip` over the same TLS.
#[tokio::test]
async fn sips_is_refused_where_the_rest_of_the_way_may_not_be_secure() {
    let authority = Authority::new();
    let config = DriverConfig {
        sips: SipsRequests::Refused,
        ..over(&authority.settings(&["DNS:example.net"], NotAsked))
    };
    let mut romeo = try_agent(config).await.unwrap();
    let mut juliet = agent(&authority.settings(&["DNS:example.com"], NotAsked)).await;
    let secure = romeo.sips_uri("example.net");
    juliet.message(&secure).await;
    let Event::Responded { response, .. } = juliet.next().await else {
        panic!()
    };
    assert_eq!(response.status, Status::TEMPORARILY_UNAVAILABLE);
    let warning = response.headers.first(&Name::Warning).unwrap();
    assert!(warning.starts_with("380 127.0.0.1 "), "{warning}");
    let insecure = secure.replace("sips:", "sip:") + ";transport=tls";
    juliet.message(&insecure).await;
    romeo.accept().await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}
