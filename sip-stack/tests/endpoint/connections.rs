//! Connections that are kept alive and used in both directions: RFC 5626 §4.4, RFC 5923, RFC 6223.

use std::time::Duration;

use stox_sip::{
    ConnectionId, Destination, Endpoint, Event, Failure, InviteId, Message, Method, Name,
    OutgoingRequest, Request, RequestId, Response, Source, Status, Transport,
};

use crate::alone::{Alone, contact, incoming, outgoing};
use crate::stage::{JULIET, ROMEO, address};

const PAUSE: Duration = Duration::from_secs(120);
const PING: &[u8] = b"\r\n\r\n";

/// SIP-01. A connection of ours is pinged; a peer that promises to answer and does not is gone, with what waits for it.
#[test]
fn peers_that_promised_to_answer_are_held_to_it() {
    let mut stage = Alone::new(|config| config.keep_alive = Some(PAUSE));
    let (connection, invite) = invited(&mut stage);
    assert_eq!(invite.top_via().unwrap().params.get("keep"), Some(None));
    let trying = Response::to_request(&invite, Status::TRYING);
    comes(&mut stage, connection, promising(trying, "60"));
    stage
        .romeo
        .request(RequestId::ours(2), message(), stage.now);
    assert_eq!(sent(&mut stage.romeo).len(), 1);
    stage.elapse(Duration::from_secs(47));
    assert_eq!(pings(&mut stage.romeo), 0);
    stage.elapse(Duration::from_secs(13));
    assert_eq!(pings(&mut stage.romeo), 1);
    stage.romeo.handle_pong(connection, stage.now);
    stage.elapse(Duration::from_secs(47));
    assert_eq!(
        (pings(&mut stage.romeo), stage.romeo.poll_disconnect()),
        (0, None)
    );
    let mut seconds = 0;
    while stage.romeo.poll_disconnect() != Some(connection) {
        stage.elapse(Duration::from_secs(1));
        seconds += 1;
        assert!(seconds < 25);
    }
    // The message has had its time meanwhile.
    assert!(matches!(
        stage.event(),
        Some(Event::RequestFailed {
            cause: Failure::Timeout,
            ..
        })
    ));
    assert_eq!(stage.romeo.poll_disconnect(), None);
}

/// SIP-01. Who promised nothing is pinged as well, and its silence means nothing. RFC 5626 §4.4.
#[test]
fn silence_of_others_means_nothing() {
    let mut stage = Alone::new(|config| config.keep_alive = Some(PAUSE));
    let (connection, invite) = invited(&mut stage);
    comes(
        &mut stage,
        connection,
        Response::to_request(&invite, Status::TRYING),
    );
    sent(&mut stage.romeo);
    stage.elapse(Duration::from_secs(170));
    assert_eq!(
        (pings(&mut stage.romeo), stage.romeo.poll_disconnect()),
        (1, None)
    );
}

/// SIP-01. Whoever is not to be pinged is not, and is not asked for a promise; nor is who made the connection.
#[test]
fn pings_are_wanted_and_for_connections_of_ours() {
    let mut stage = Alone::new(|_| ());
    let (_, invite) = invited(&mut stage);
    assert_eq!(invite.top_via().unwrap().params.get("keep"), None);
    stage.elapse(Duration::from_secs(170));
    assert_eq!(pings(&mut stage.romeo), 0);

    let mut stage = Alone::new(|config| config.keep_alive = Some(PAUSE));
    let theirs = stage
        .romeo
        .handle_accepted(Transport::Tcp, JULIET.parse().unwrap());
    stage
        .romeo
        .request(RequestId::ours(1), message(), stage.now);
    let (destination, request) = sent(&mut stage.romeo).remove(0);
    assert_eq!(destination, Destination::Connection(theirs));
    // Only what lasts may ask. RFC 6223.
    assert_eq!(request.top_via().unwrap().params.get("keep"), None);
    stage.elapse(Duration::from_secs(170));
    assert_eq!(pings(&mut stage.romeo), 0);
}

/// SIP-01, RFC 6223. A peer that asks whether it may ping is told how often, on connections, for what lasts.
#[test]
fn peers_are_promised_answers() {
    for (method, transport, expected) in [
        (Method::Invite, Transport::Tcp, Some("120")),
        (Method::Invite, Transport::Udp, None),
        (Method::Message, Transport::Tcp, None),
    ] {
        let mut stage = Alone::new(|_| ());
        let connection = match transport {
            Transport::Udp => None,
            _ => Some(
                stage
                    .romeo
                    .handle_accepted(transport, JULIET.parse().unwrap()),
            ),
        };
        let mut request = incoming(method.clone(), 1);
        let via = request.headers.first(&Name::Via).unwrap().to_owned();
        request.headers.set(Name::Via, format!("{via};keep"));
        let source = Source {
            connection,
            transport,
            ..source(JULIET)
        };
        stage
            .romeo
            .handle_received(Ok(request.into()), source, stage.now);
        if let Some(Event::Requested { transaction, .. }) = stage.event() {
            let reply = stox_sip::Reply::new(Status::OK);
            stage.romeo.respond(transaction, reply, stage.now);
        }
        let via = stage.response().top_via().unwrap();
        assert_eq!(
            via.params.get("keep").flatten(),
            expected,
            "{method} {transport}"
        );
    }
}

/// SIP-04, RFC 5923 §8.2. An alias is for who has proven his domain, for that domain, and for the port in his Via.
#[test]
fn aliases_are_for_proven_domains() {
    let ephemeral = "192.0.2.1:40000";
    for (domains, via, target, expected) in [
        (
            Some("example.net"),
            ";alias",
            "sips:juliet@example.net;maddr=192.0.2.1",
            true,
        ),
        (
            Some("example.net"),
            ";alias",
            "sips:juliet@EXAMPLE.net:5061;maddr=192.0.2.1",
            true,
        ),
        (
            Some("example.net"),
            "",
            "sips:juliet@example.net;maddr=192.0.2.1",
            false,
        ),
        (
            Some("example.net"),
            ";alias",
            "sips:juliet@example.net:5071;maddr=192.0.2.1",
            false,
        ),
        (
            Some("example.net"),
            ";alias",
            "sips:juliet@example.net;maddr=192.0.2.9",
            false,
        ),
        (
            Some("example.net"),
            ";alias",
            "sips:juliet@example.org;maddr=192.0.2.1",
            false,
        ),
        (
            None,
            ";alias",
            "sips:juliet@example.net;maddr=192.0.2.1",
            false,
        ),
    ] {
        let mut stage = Alone::new(|config| config.transports = vec![Transport::Tls]);
        let remote = ephemeral.parse().unwrap();
        let connection = stage.romeo.handle_accepted(Transport::Tls, remote);
        if let Some(domain) = domains {
            stage
                .romeo
                .handle_authenticated(connection, remote, vec![domain.to_owned()]);
        }
        let mut request = incoming(Method::Message, 1);
        let sent_by = format!("SIP/2.0/TLS juliet.example.net;branch=z9hG4bK-a{via}");
        request.headers.set(Name::Via, sent_by);
        let source = Source {
            transport: Transport::Tls,
            connection: Some(connection),
            ..source(ephemeral)
        };
        stage
            .romeo
            .handle_received(Ok(request.into()), source, stage.now);
        assert!(matches!(stage.event(), Some(Event::Requested { .. })));
        let mut request = outgoing(Method::Message);
        request.target = target.parse().unwrap();
        stage.romeo.request(RequestId::ours(1), request, stage.now);
        let used = sent(&mut stage.romeo);
        let is_reused = used[0].0 == Destination::Connection(connection);
        assert_eq!(is_reused, expected, "{domains:?} {via} {target}");
    }
}

/// A connection over TCP to the peer, and the INVITE on it.
fn invited(stage: &mut Alone) -> (ConnectionId, Request) {
    let mut invite = crate::alone::invite();
    invite.target = "sip:juliet@192.0.2.1;transport=tcp".parse().unwrap();
    invite.contact = contact();
    stage.romeo.invite(InviteId::ours(1), invite, stage.now);
    let (connection, _) = stage.romeo.poll_connect().unwrap();
    let (destination, request) = sent(&mut stage.romeo).remove(0);
    assert_eq!(destination, Destination::Connection(connection));
    (connection, request)
}

/// On the connection to the peer.
fn message() -> OutgoingRequest {
    let target = format!("sip:juliet@{JULIET};transport=tcp");
    let (from, to) = (address("romeo"), address("juliet"));
    OutgoingRequest::new(Method::Message, target.parse().unwrap(), from, to)
}

fn promising(mut response: Response, seconds: &str) -> Response {
    let via = response.headers.first(&Name::Via).unwrap();
    let via = via.replace(";keep", &format!(";keep={seconds}"));
    response.headers.set(Name::Via, via);
    response
}

fn comes(stage: &mut Alone, connection: ConnectionId, message: impl Into<Message>) {
    let source = Source {
        transport: Transport::Tcp,
        connection: Some(connection),
        ..source(JULIET)
    };
    stage
        .romeo
        .handle_received(Ok(message.into()), source, stage.now);
}

fn source(remote: &str) -> Source {
    crate::stage::source(ROMEO, remote)
}

fn sent(endpoint: &mut Endpoint) -> Vec<(Destination, Request)> {
    std::iter::from_fn(|| endpoint.poll_transmit())
        .filter_map(|transmit| match Message::parse_datagram(transmit.payload) {
            Ok(Message::Request(request)) => Some((transmit.destination, request)),
            _ => None,
        })
        .collect()
}

fn pings(endpoint: &mut Endpoint) -> usize {
    std::iter::from_fn(|| endpoint.poll_transmit())
        .filter(|transmit| transmit.payload == PING)
        .count()
}
