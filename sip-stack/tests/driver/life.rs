//! How a driver begins and ends.

use stox_sip::{
    BindError, DriverConfig, Event, Method, Name, Register, Reply, Status, Transport, bind,
};

use crate::stage::{address, agent, contact, message};

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
            .starts_with(&format!("cannot listen on tcp:{address}:")),
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
