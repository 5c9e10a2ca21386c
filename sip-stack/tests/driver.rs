//! Two drivers talk over real sockets on the loopback address.

#![cfg(feature = "tokio")]

use std::net::SocketAddr;
use std::time::Duration;

use stox_sip::{
    BindError, DriverConfig, EndCause, Event, EventPackage, Failure, Invite, LocalContact, Method,
    Name, NameAddr, Notice, OutgoingRequest, Package, Register, Reply, Sip, Status, Subscribe,
    Timers, Transport, Uri, bind,
};
use tokio::sync::mpsc;

/// A driver and the events it tells.
struct Agent {
    sip: Sip,
    events: mpsc::UnboundedReceiver<Event>,
}

/// SIP-03, SIP-04: a MESSAGE and its answer, over each transport.
#[tokio::test]
async fn messages_are_answered() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (juliet, mut romeo) = (agent().await, agent().await);
        let mut juliet = juliet;
        let id = juliet.sip.reserve_request();
        juliet
            .sip
            .request(id, message(romeo.uri(transport), "Art thou not Romeo?"))
            .await;
        let Event::Requested {
            transaction,
            request,
            source,
            invite: None,
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(
            (request.method, &*request.body),
            (Method::Message, &b"Art thou not Romeo?"[..])
        );
        assert_eq!(source.transport, transport);
        romeo
            .sip
            .respond(transaction, Reply::new(Status::ACCEPTED))
            .await;
        let Event::Responded { request, response } = juliet.next().await else {
            panic!()
        };
        assert_eq!((request, response.status), (id, Status::ACCEPTED));
        assert!(response.headers.first(&Name::Server).is_some());
    }
}

/// SIP-12. A subscription over real sockets, asked for once.
#[tokio::test]
async fn a_state_is_asked_for_once() {
    let (mut juliet, mut romeo) = (agent().await, agent().await);
    romeo
        .sip
        .serve_events(vec![Package::new("presence", [])])
        .await;
    let ours = juliet.sip.reserve_subscription();
    let mut subscribe = Subscribe::new(
        romeo.uri(Transport::Tcp),
        address("juliet"),
        address("romeo"),
        contact("juliet"),
        EventPackage::new("presence"),
    );
    subscribe.expires = 0;
    juliet.sip.subscribe(ours, subscribe).await;
    let Event::Requested {
        transaction,
        request,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    let theirs = romeo.sip.reserve_subscription();
    romeo
        .sip
        .accept_subscription(theirs, transaction, request, contact("romeo"))
        .await;
    romeo.sip.notify(theirs, Notice::Active(None)).await;
    let Event::Notified {
        subscription,
        state,
        ..
    } = juliet.next().await
    else {
        panic!()
    };
    assert_eq!((subscription, state.is_terminated()), (ours, true));
    for agent in [&mut juliet, &mut romeo] {
        assert!(matches!(
            agent.next().await,
            Event::SubscriptionEnded { .. }
        ));
    }
}

/// CHAT-06, SIP-05: a session from INVITE to BYE with a message inside, over each transport.
#[tokio::test]
async fn sessions_live_from_invite_to_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut juliet, mut romeo) = (agent().await, agent().await);
        let sent = juliet.sip.reserve_invite();
        let mut invite = Invite::new(
            romeo.uri(transport),
            address("juliet"),
            address("romeo"),
            contact("juliet"),
        );
        (invite.content_type, invite.body) = ("application/sdp".into(), "v=0".into());
        juliet.sip.invite(sent, invite).await;

        let Event::Invited {
            invite: received,
            request,
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(&*request.body, b"v=0");
        romeo
            .sip
            .answer(received, Reply::new(Status::RINGING))
            .await;
        let Event::Progressed { response, .. } = juliet.next().await else {
            panic!()
        };
        assert_eq!(response.status, Status::RINGING);
        let answer = Reply {
            contact: Some(contact("romeo")),
            ..Reply::new(Status::OK)
        };
        romeo.sip.answer(received, answer).await;
        let Event::Answered { response, .. } = juliet.next().await else {
            panic!()
        };
        assert_eq!(response.contact().unwrap().uri.user(), Some("romeo"));
        juliet.sip.ack(sent, None).await;
        let Event::Acknowledged { invite, request } = romeo.next().await else {
            panic!()
        };
        assert_eq!((invite, request.cseq().unwrap().number), (received, 1));

        let id = romeo.sip.reserve_request();
        let body = "It is the east".into();
        romeo
            .sip
            .request_in(
                received,
                id,
                Method::Message,
                vec![],
                "text/plain".into(),
                body,
            )
            .await;
        let Event::Requested {
            invite,
            transaction,
            ..
        } = juliet.next().await
        else {
            panic!()
        };
        assert_eq!(invite, Some(sent));
        juliet
            .sip
            .respond(transaction, Reply::new(Status::OK))
            .await;
        assert!(matches!(romeo.next().await, Event::Responded { request, .. } if request == id));

        juliet
            .sip
            .bye(sent, vec![(Name::Reason, "SIP;cause=200".into())])
            .await;
        let Event::Ended {
            cause: EndCause::Bye(bye),
            ..
        } = romeo.next().await
        else {
            panic!()
        };
        assert_eq!(bye.headers.first(&Name::Reason), Some("SIP;cause=200"));
        assert!(matches!(
            juliet.next().await,
            Event::Ended {
                cause: EndCause::OurBye,
                ..
            }
        ));
    }
}

/// SIP-01: what is too large for a datagram takes a connection.
#[tokio::test]
async fn large_requests_take_a_connection() {
    let (mut juliet, mut romeo) = (agent().await, agent_on_one_port().await);
    let id = juliet.sip.reserve_request();
    juliet
        .sip
        .request(id, message(romeo.uri(Transport::Udp), &"x".repeat(2000)))
        .await;
    let Event::Requested {
        transaction,
        source,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    assert_eq!(source.transport, Transport::Tcp);
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}

/// SIP-01, RFC 3261 §18.1.1: and is sent as a datagram all the same where the connection is refused.
#[tokio::test]
async fn refused_connections_fall_back_to_datagrams() {
    let (mut juliet, mut romeo) = (agent().await, agent_with(&[Transport::Udp], |_| ()).await);
    let id = juliet.sip.reserve_request();
    juliet
        .sip
        .request(id, message(romeo.uri(Transport::Udp), &"x".repeat(2000)))
        .await;
    let Event::Requested {
        transaction,
        source,
        ..
    } = romeo.next().await
    else {
        panic!()
    };
    assert_eq!(source.transport, Transport::Udp);
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
}

/// SIP-01, RFC 5626 §3.5.1: who pings is answered; whom we call is pinged.
#[tokio::test]
async fn connections_are_kept_alive() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let juliet = agent_with(&[Transport::Tcp], |config| {
        config.keep_alive = Some(Duration::from_millis(100));
    })
    .await;
    let (_, address) = juliet.sip.local_addresses()[0];
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:romeo@{};transport=tcp", listener.local_addr().unwrap());
    let id = juliet.sip.reserve_request();
    let request = message(target.parse().unwrap(), "Anon, good nurse!");
    juliet.sip.request(id, request).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"nurse!\r\n\r\n\r\n\r\n") {
        let read = stream.read_buf(&mut received);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        assert_ne!(read.expect("two pings within ten seconds").unwrap(), 0);
    }
}

/// SIP-20: who closes takes his registrations back.
#[tokio::test]
async fn registrations_end_with_the_driver() {
    let mut juliet = agent().await;
    let registrar = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:{}", registrar.local_addr().unwrap());
    let answers = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let mut expires = Vec::new();
        while expires.last() != Some(&0) {
            let (length, remote) = registrar.recv_from(&mut buffer).await.unwrap();
            let datagram = buffer[..length].to_vec().into();
            let Ok(stox_sip::Message::Request(request)) =
                stox_sip::Message::parse_datagram(datagram)
            else {
                panic!()
            };
            assert_eq!(request.method, Method::Register);
            expires.push(request.expires().unwrap());
            let contact = request.contact().unwrap().with_param("expires", Some("60"));
            let mut answer = stox_sip::Response::to_request(&request, Status::OK);
            answer.headers.push(Name::Contact, contact.to_string());
            let bytes = answer.to_bytes();
            registrar.send_to(&bytes, remote).await.unwrap();
        }
        expires
    });
    let id = juliet.sip.reserve_registration();
    let register = Register::new(
        target.parse().unwrap(),
        address("juliet"),
        contact("juliet"),
    );
    juliet.sip.register(id, register).await;
    assert!(
        matches!(juliet.next().await, Event::Registered { registration, expires: 60 } if registration == id)
    );
    juliet.sip.close().await;
    assert!(matches!(juliet.next().await, Event::Unregistered { .. }));
    assert_eq!(answers.await.unwrap(), [3600, 0]);
}

#[tokio::test]
async fn what_nobody_listens_to_fails() {
    let mut juliet = agent_with(&[Transport::Udp, Transport::Tcp], |config| {
        config.timers = Timers {
            t1: Duration::from_millis(5),
            t2: Duration::from_millis(20),
            ..Timers::default()
        };
    })
    .await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for (target, expected) in [
        (
            format!("sip:romeo@127.0.0.1:{port};transport=tcp"),
            Failure::Unreachable,
        ),
        (format!("sip:romeo@127.0.0.1:{port}"), Failure::Timeout),
        ("tel:+15551234".to_owned(), Failure::Unresolvable),
    ] {
        let id = juliet.sip.reserve_request();
        juliet
            .sip
            .request(id, message(target.parse().unwrap(), "?"))
            .await;
        let Event::RequestFailed { request, cause } = juliet.next().await else {
            panic!()
        };
        assert_eq!((request, cause), (id, expected), "{target}");
    }
}

/// SIP-14: what the handler has no room for is refused.
#[tokio::test]
async fn overload_is_answered() {
    let mut juliet = agent().await;
    let config = DriverConfig {
        listen: vec![(Transport::Udp, any())],
        ..DriverConfig::default()
    };
    let full = bind(config, |_| Err(Status::SERVICE_UNAVAILABLE))
        .await
        .unwrap();
    let (_, address) = full.local_addresses()[0];
    let id = juliet.sip.reserve_request();
    let target: Uri = format!("sip:romeo@{address}").parse().unwrap();
    juliet.sip.request(id, message(target.clone(), "?")).await;
    let Event::Responded { response, .. } = juliet.next().await else {
        panic!()
    };
    assert_eq!(response.status, Status::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers.retry_after(), Ok(5));
    // SIP-13: it is left alone as long as it asked for.
    juliet.sip.request(id, message(target, "?")).await;
    assert!(matches!(
        juliet.next().await,
        Event::RequestFailed {
            cause: Failure::Blocked,
            ..
        }
    ));
}

#[tokio::test]
async fn bind_errors_name_the_listener() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let handler = |_| Ok(());
    let listen = |transport| DriverConfig {
        listen: vec![(transport, address)],
        ..DriverConfig::default()
    };
    let error = bind(listen(Transport::Tcp), handler).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on TCP:{address}:")),
        "{error}"
    );
    let error = bind(listen(Transport::Tls), handler).await.unwrap_err();
    assert!(matches!(error, BindError::NoCertificate { .. }));
    assert!(matches!(
        bind(DriverConfig::default(), handler).await,
        Err(BindError::NoListener)
    ));
}

/// Closing waits for what is under way and frees the ports.
#[tokio::test]
async fn close_waits_for_answers() {
    let (mut juliet, mut romeo) = (agent().await, agent().await);
    let addresses = romeo.sip.local_addresses();
    let id = juliet.sip.reserve_request();
    juliet
        .sip
        .request(id, message(romeo.uri(Transport::Tcp), "?"))
        .await;
    let Event::Requested { transaction, .. } = romeo.next().await else {
        panic!()
    };
    let sip = romeo.sip.clone();
    let closing = tokio::spawn(async move { sip.close().await });
    tokio::task::yield_now().await;
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    assert!(matches!(juliet.next().await, Event::Responded { .. }));
    closing.await.unwrap();
    for (transport, address) in addresses {
        match transport {
            Transport::Udp => drop(std::net::UdpSocket::bind(address).unwrap()),
            _ => assert!(std::net::TcpStream::connect(address).is_err()),
        }
    }
}

/// A peer that dribbles, pings, or sends rubbish is answered or closed, and disturbs nobody.
#[tokio::test]
async fn connections_of_strange_peers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut romeo = agent_with(&[Transport::Udp, Transport::Tcp], |config| {
        config.limits.stalled = Duration::from_millis(200);
    })
    .await;
    let address = romeo.address(Transport::Tcp);
    let connect = || tokio::net::TcpStream::connect(address);

    let mut silent = connect().await.unwrap();
    let mut dribbling = connect().await.unwrap();
    dribbling.write_all(b"MESSAGE sip:").await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).await.unwrap_or(0), 0);
    assert_eq!(dribbling.read_to_end(&mut rest).await.unwrap_or(0), 0);

    let mut pinging = connect().await.unwrap();
    pinging.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    pinging.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    let half = "OPTIONS sip:romeo@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\n\
                From: <sip:a@b>;tag=1\r\nTo: <sip:romeo@example.net>\r\nCall-ID: 1\r\n";
    let message = format!(
        "{half}CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n{half}CSeq: x\r\nContent-Length: 0\r\n\r\n"
    );
    pinging.write_all(message.as_bytes()).await.unwrap();
    let Event::Requested { transaction, .. } = romeo.next().await else {
        panic!()
    };
    romeo.sip.respond(transaction, Reply::new(Status::OK)).await;
    let mut answers = Vec::new();
    while !(String::from_utf8_lossy(&answers).contains(" 400 ")
        && String::from_utf8_lossy(&answers).contains(" 200 "))
    {
        assert_ne!(pinging.read_buf(&mut answers).await.unwrap(), 0);
    }
}

impl Agent {
    async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(Duration::from_secs(10), self.events.recv());
        next.await
            .expect("an event within ten seconds")
            .expect("a driver")
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        let addresses = self.sip.local_addresses();
        addresses
            .iter()
            .find(|(t, _)| *t == transport)
            .map(|(_, address)| *address)
            .unwrap()
    }

    fn uri(&self, transport: Transport) -> Uri {
        format!(
            "sip:romeo@{};transport={}",
            self.address(transport),
            transport.as_param()
        )
        .parse()
        .unwrap()
    }
}

async fn agent() -> Agent {
    agent_with(&[Transport::Udp, Transport::Tcp], |_| ()).await
}

/// Listens for datagrams and connections on the same port.
async fn agent_on_one_port() -> Agent {
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let listen = vec![(Transport::Udp, port), (Transport::Tcp, port)];
        if let Ok(agent) = try_agent(DriverConfig {
            listen,
            ..DriverConfig::default()
        })
        .await
        {
            return agent;
        }
    }
    panic!("no free port")
}

async fn agent_with(transports: &[Transport], adjust: impl FnOnce(&mut DriverConfig)) -> Agent {
    let listen = transports
        .iter()
        .map(|transport| (*transport, any()))
        .collect();
    let mut config = DriverConfig {
        listen,
        ..DriverConfig::default()
    };
    adjust(&mut config);
    try_agent(config).await.unwrap()
}

async fn try_agent(config: DriverConfig) -> Result<Agent, BindError> {
    let (sender, events) = mpsc::unbounded_channel();
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    Ok(Agent {
        sip: bind(config, handler).await?,
        events,
    })
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn address(user: &str) -> NameAddr {
    NameAddr::new(format!("sip:{user}@example.net").parse().unwrap())
}

fn contact(user: &str) -> LocalContact {
    LocalContact {
        user: Some(user.to_owned()),
        ..LocalContact::default()
    }
}

fn message(target: Uri, text: &str) -> OutgoingRequest {
    let mut request =
        OutgoingRequest::new(Method::Message, target, address("juliet"), address("romeo"));
    (request.content_type, request.body) = ("text/plain".into(), text.to_owned().into());
    request
}
