//! Calls from and to SIPp with its built-in scenarios, and messages that have to be proven, where it is installed.

#![cfg(feature = "tokio")]

mod branches;
mod loss;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stox_sip::{
    Algorithm, Authentication, CredentialScope, Credentials, Demand, DriverConfig, EndCause, Event,
    Invite, LocalContact, Method, NameAddr, OutgoingRequest, Reply, Secret, Sip, Status, Transport,
    Uri, User, bind,
};
use tokio::sync::mpsc;

const SIPP: &str = "/usr/bin/sipp";
const CALLS: usize = 50;

/// SIPp calls, over each transport: every call is answered, acknowledged and ended.
#[tokio::test]
async fn sipp_calls_us() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let (sip, mut events) = agent(transport).await;
        let address = sip.local_addresses()[0].1;
        let calls = CALLS.to_string();
        let mut sipp = start(&[
            "-sn",
            "uac",
            &address.to_string(),
            "-m",
            &calls,
            "-r",
            "100",
            "-t",
            mode,
            "-d",
            "10",
        ]);
        let mut ended = 0;
        while ended < CALLS {
            match next(&mut events).await {
                Event::Invited { invite, .. } => {
                    sip.answer(invite, Reply::new(Status::RINGING)).await;
                    sip.answer(invite, Reply::new(Status::OK)).await;
                }
                Event::Acknowledged { .. } => {}
                Event::Ended {
                    cause: EndCause::Bye(_),
                    ..
                } => ended += 1,
                event => panic!("{event:?}"),
            }
        }
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}

/// We call SIPp, over each transport.
#[tokio::test]
async fn we_call_sipp() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let (sip, mut events) = agent(transport).await;
        let port = free_port();
        let calls = CALLS.to_string();
        let mut sipp = start(&[
            "-sn",
            "uas",
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-m",
            &calls,
            "-t",
            mode,
        ]);
        wait_for_listener(port, transport).await;
        for _ in 0..CALLS {
            let target: Uri = format!(
                "sip:service@127.0.0.1:{port};transport={}",
                transport.as_param()
            )
            .parse()
            .unwrap();
            let from = NameAddr::new("sip:juliet@example.com".parse().unwrap());
            let mut invite = Invite::new(
                target.clone(),
                from,
                NameAddr::new(target),
                LocalContact::default(),
            );
            (invite.content_type, invite.body) = ("application/sdp".into(), "v=0\r\n".into());
            sip.invite(sip.reserve_invite(), invite).await;
        }
        let mut ended = 0;
        while ended < CALLS {
            match next(&mut events).await {
                Event::Progressed { .. } => {}
                Event::Answered { invite, .. } => {
                    sip.ack(invite, None).await;
                    sip.bye(invite, vec![]).await;
                }
                Event::Ended {
                    cause: EndCause::OurBye,
                    ..
                } => ended += 1,
                event => panic!("{event:?}"),
            }
        }
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}

/// SIP-16. SIPp proves who it is, over each transport.
#[tokio::test]
async fn sipp_is_challenged() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let juliet = User {
            name: "juliet".into(),
            secret: Secret::new("wherefore"),
        };
        let mut guard = Authentication::new("example.net", Demand::Everyone, vec![juliet]);
        // It knows no other, and does not look further than the first challenge.
        guard.algorithms = vec![Algorithm::Md5];
        let (sip, mut events) =
            agent_with(transport, |config| config.authentication = vec![guard]).await;
        let address = sip.local_addresses()[0].1.to_string();
        let scenario = scenario("challenged_uac.xml");
        let calls = CALLS.to_string();
        let mut sipp = start(&[
            "-sf",
            &scenario,
            &address,
            // By default it names nobody there.
            "-auth_uri",
            "romeo@example.net",
            "-m",
            &calls,
            "-r",
            "100",
            "-t",
            mode,
        ]);
        for _ in 0..CALLS {
            match next(&mut events).await {
                Event::Requested {
                    transaction,
                    originator,
                    ..
                } => {
                    assert_eq!(originator.user.unwrap().name, "juliet");
                    sip.respond(transaction, Reply::new(Status::OK)).await;
                }
                event => panic!("{event:?}"),
            }
        }
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}

/// SIP-15. SIPp asks us who we are, and verifies the answer.
#[tokio::test]
async fn sipp_challenges_us() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let credentials = Credentials {
            scope: CredentialScope::Realm("example.net".into()),
            user: "juliet".into(),
            secret: Secret::new("wherefore"),
        };
        let (sip, mut events) =
            agent_with(transport, |config| config.credentials = vec![credentials]).await;
        let port = free_port();
        let scenario = scenario("challenging_uas.xml");
        let (calls, listen) = (CALLS.to_string(), port.to_string());
        let mut sipp = start(&[
            "-sf",
            &scenario,
            "-i",
            "127.0.0.1",
            "-p",
            &listen,
            "-m",
            &calls,
            "-t",
            mode,
        ]);
        wait_for_listener(port, transport).await;
        for _ in 0..CALLS {
            let target: Uri = format!(
                "sip:romeo@127.0.0.1:{port};transport={}",
                transport.as_param()
            )
            .parse()
            .unwrap();
            let from = NameAddr::new("sip:juliet@example.com".parse().unwrap());
            let to = NameAddr::new(target.clone());
            let mut request = OutgoingRequest::new(Method::Message, target, from, to);
            (request.content_type, request.body) = ("text/plain".into(), "hi".into());
            sip.request(sip.reserve_request(), request).await;
        }
        for _ in 0..CALLS {
            match next(&mut events).await {
                Event::Responded { response, .. } => assert_eq!(response.status, Status::OK),
                event => panic!("{event:?}"),
            }
        }
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}

fn scenario(name: &str) -> String {
    format!("{}/tests/sipp/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_installed() -> bool {
    let is_installed = std::path::Path::new(SIPP).exists();
    if !is_installed {
        eprintln!("SIPp is not installed, nothing is tested");
    }
    is_installed
}

/// Ends with the test, whatever becomes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> Running {
    let mut command = Command::new(SIPP);
    command
        .args(arguments)
        .args(["-nostdin", "-timeout", "30s", "-timeout_error"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.current_dir(std::env::temp_dir());
    Running(command.spawn().unwrap())
}

/// Whether it ended well.
async fn wait(sipp: &mut Running) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = sipp.0.try_wait().unwrap() {
            return status.success();
        }
        assert!(Instant::now() < end, "SIPp does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The port cannot be bound any more when SIPp has it.
async fn wait_for_listener(port: u16, transport: Transport) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..500 {
        let is_free = match transport {
            Transport::Udp => std::net::UdpSocket::bind(address).is_ok(),
            Transport::Tcp | Transport::Tls => std::net::TcpStream::connect(address).is_err(),
        };
        if !is_free {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("SIPp does not listen");
}

async fn agent(transport: Transport) -> (Sip, mpsc::UnboundedReceiver<Event>) {
    agent_with(transport, |_| ()).await
}

async fn agent_with(
    transport: Transport,
    adjust: impl FnOnce(&mut DriverConfig),
) -> (Sip, mpsc::UnboundedReceiver<Event>) {
    let (sender, events) = mpsc::unbounded_channel();
    let handler = move |event| {
        let _ = sender.send(event);
        Ok(())
    };
    let listen = vec![(transport, "127.0.0.1:0".parse().unwrap())];
    let mut config = DriverConfig {
        listen,
        ..DriverConfig::default()
    };
    adjust(&mut config);
    (bind(config, handler).await.unwrap(), events)
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event
        .expect("an event within twenty seconds")
        .expect("a driver")
}
