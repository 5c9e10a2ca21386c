//! Requests to where nobody takes datagrams, over real sockets: they fail as soon as the host there says so.
//! RFC 3261 §18.4.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use stox_sip::{
    DriverConfig, Event, Failure, Invite, LocalContact, Method, NameAddr, OutgoingRequest, Status,
    Transport, Uri, bind,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far less than Timer B and Timer F, 32 s.
const AT_ONCE: Duration = Duration::from_secs(10);

/// SIP-03 SIP-13
#[tokio::test]
async fn requests_to_closed_ports_fail_at_once() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(closed) = std::net::UdpSocket::bind(local) else {
            continue;
        };
        let target: Uri = format!("sip:romeo@{}", closed.local_addr().unwrap())
            .parse()
            .unwrap();
        drop(closed);
        let (sender, mut events) = mpsc::unbounded_channel();
        let config = DriverConfig {
            listen: vec![(Transport::Udp, local.parse().unwrap())],
            ..DriverConfig::default()
        };
        let handler = move |event| {
            let _ = sender.send(event);
            Ok::<(), Status>(())
        };
        let sip = bind(config, handler).await.unwrap();
        let juliet = || NameAddr::new("sip:juliet@example.com".parse().unwrap());
        let romeo = || NameAddr::new(target.clone());
        let begin = Instant::now();

        let request = OutgoingRequest::new(Method::Message, target.clone(), juliet(), romeo());
        sip.request(sip.reserve_request(), request).await;
        let event = timeout(AT_ONCE, events.recv())
            .await
            .expect("an event at once");
        assert!(
            matches!(
                event,
                Some(Event::RequestFailed {
                    cause: Failure::Unreachable,
                    ..
                })
            ),
            "{event:?}"
        );

        let invite = Invite::new(target.clone(), juliet(), romeo(), LocalContact::default());
        sip.invite(sip.reserve_invite(), invite).await;
        let event = timeout(AT_ONCE, events.recv())
            .await
            .expect("an event at once");
        assert!(
            matches!(
                event,
                Some(Event::Failed {
                    cause: Failure::Unreachable,
                    ..
                })
            ),
            "{event:?}"
        );
        assert!(begin.elapsed() < AT_ONCE);
        timeout(AT_ONCE, sip.close()).await.expect("closed");
    }
}
