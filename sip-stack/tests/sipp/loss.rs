//! Calls and messages between SIPp and us where datagrams are lost on the way: a relay in between loses up to two copies
//! of each but provisional responses, chosen from a seed, in both directions. So each comes through in the end, by repetition (SIP-03).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stox_sip::{
    EndCause, Event, Invite, LocalContact, Method, NameAddr, OutgoingRequest, Reply, Status,
    Timers, Transport, Uri,
};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::{agent_with, free_port, is_installed, next, scenario, start, wait, wait_for_listener};

const SEED: u64 = 4475;
const CALLS: usize = 20;
/// Most copies of one datagram that are lost; the next one comes through.
const MOST_LOST: u32 = 2;

/// SIP-03: SIPp's INVITE, our answer, its ACK and BYE.
#[tokio::test]
async fn sipp_calls_us() {
    if !is_installed() {
        return;
    }
    let (sip, mut events) = agent_with(Transport::Udp, |config| config.timers = quick()).await;
    let relay = Relay::start(None, sip.local_addresses()[0].1).await;
    let near = relay.near.to_string();
    let calls = CALLS.to_string();
    // It hangs up when its ACK must have come through: a repeated 200 would make it stop repeating its BYE.
    let mut sipp = start(&["-sn", "uac", &near, "-m", &calls, "-r", "100", "-d", "4000"]);
    let (mut invited, mut ended) = (0, 0);
    while ended < CALLS {
        match next(&mut events).await {
            Event::Invited { invite, .. } => {
                invited += 1;
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
    assert!(wait(&mut sipp).await, "SIPp is content");
    assert_eq!(invited, CALLS, "each call is told once");
    relay.has_lost_some().await;
}

/// SIP-03: our INVITE, its answer, our ACK and BYE.
#[tokio::test]
async fn we_call_sipp() {
    if !is_installed() {
        return;
    }
    let (sip, mut events) = agent_with(Transport::Udp, |config| config.timers = quick()).await;
    let port = free_port();
    let (calls, listen) = (CALLS.to_string(), port.to_string());
    let mut sipp = start(&["-sn", "uas", "-i", "127.0.0.1", "-p", &listen, "-m", &calls]);
    wait_for_listener(port, Transport::Udp).await;
    let sipp_at = SocketAddr::from(([127, 0, 0, 1], port));
    let relay = Relay::start(Some(sipp_at), sip.local_addresses()[0].1).await;
    for _ in 0..CALLS {
        let target: Uri = format!("sip:service@{}", relay.far).parse().unwrap();
        let to = NameAddr::new(target.clone());
        let mut invite = Invite::new(target, juliet(), to, LocalContact::default());
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
    assert!(wait(&mut sipp).await, "SIPp is content");
    relay.has_lost_some().await;
}

/// SIP-03: each message of SIPp is told once, however often it comes.
#[tokio::test]
async fn messages_of_sipp() {
    if !is_installed() {
        return;
    }
    let (sip, mut events) = agent_with(Transport::Udp, |config| config.timers = quick()).await;
    let relay = Relay::start(None, sip.local_addresses()[0].1).await;
    let (near, calls) = (relay.near.to_string(), CALLS.to_string());
    let scenario = scenario("message_uac.xml");
    let mut sipp = start(&["-sf", &scenario, &near, "-m", &calls, "-r", "100"]);
    for _ in 0..CALLS {
        let Event::Requested { transaction, .. } = next(&mut events).await else {
            panic!("no request")
        };
        sip.respond(transaction, Reply::new(Status::OK)).await;
    }
    assert!(wait(&mut sipp).await, "SIPp is content");
    assert!(events.try_recv().is_err(), "a message is told twice");
    relay.has_lost_some().await;
}

/// SIP-03: each message of ours is answered in the end.
#[tokio::test]
async fn messages_to_sipp() {
    if !is_installed() {
        return;
    }
    let (sip, mut events) = agent_with(Transport::Udp, |config| config.timers = quick()).await;
    let port = free_port();
    let (calls, listen) = (CALLS.to_string(), port.to_string());
    let scenario = scenario("message_uas.xml");
    let mut sipp = start(&[
        "-sf",
        &scenario,
        "-i",
        "127.0.0.1",
        "-p",
        &listen,
        "-m",
        &calls,
    ]);
    wait_for_listener(port, Transport::Udp).await;
    let sipp_at = SocketAddr::from(([127, 0, 0, 1], port));
    let relay = Relay::start(Some(sipp_at), sip.local_addresses()[0].1).await;
    for _ in 0..CALLS {
        let target: Uri = format!("sip:romeo@{}", relay.far).parse().unwrap();
        let to = NameAddr::new(target.clone());
        let mut request = OutgoingRequest::new(Method::Message, target, juliet(), to);
        (request.content_type, request.body) = ("text/plain".into(), "hi".into());
        sip.request(sip.reserve_request(), request).await;
    }
    for _ in 0..CALLS {
        match next(&mut events).await {
            Event::Responded { response, .. } => assert_eq!(response.status, Status::OK),
            event => panic!("{event:?}"),
        }
    }
    assert!(wait(&mut sipp).await, "SIPp is content");
    relay.has_lost_some().await;
}

fn juliet() -> NameAddr {
    NameAddr::new("sip:juliet@example.com".parse().unwrap())
}

fn quick() -> Timers {
    Timers {
        t1: Duration::from_millis(200),
        ..Timers::default()
    }
}

/// Stands between SIPp, at its near side, and us, at its far side.
struct Relay {
    near: SocketAddr,
    far: SocketAddr,
    task: JoinHandle<()>,
    lost: tokio::sync::watch::Receiver<usize>,
}

impl Relay {
    /// Without an address of SIPp it is where the first datagram comes from.
    async fn start(mut sipp: Option<SocketAddr>, us: SocketAddr) -> Relay {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (near_at, far_at) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        let (sender, lost) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(async move {
            let mut loss = Loss::new();
            let (mut one, mut two) = (vec![0; 65536], vec![0; 65536]);
            loop {
                tokio::select! {
                    received = near.recv_from(&mut one) => {
                        let (length, from) = received.unwrap();
                        let sipp = *sipp.get_or_insert(from);
                        let datagram = through_us(&one[..length], sipp, far_at);
                        if loss.takes(&datagram) {
                            sender.send_modify(|lost| *lost += 1);
                        } else {
                            far.send_to(&datagram, us).await.unwrap();
                        }
                    }
                    received = far.recv_from(&mut two) => {
                        let (length, _) = received.unwrap();
                        let datagram = &two[..length];
                        if loss.takes(datagram) {
                            sender.send_modify(|lost| *lost += 1);
                        } else if let Some(sipp) = sipp {
                            near.send_to(datagram, sipp).await.unwrap();
                        }
                    }
                }
            }
        });
        Relay {
            near: near_at,
            far: far_at,
            task,
            lost,
        }
    }

    async fn has_lost_some(self) {
        let lost = *self.lost.borrow();
        assert!(lost > CALLS, "only {lost} datagrams were lost");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes a datagram of SIPp bring what follows it back to the relay: its Via asks for `rport`, its Contact is the relay's.
fn through_us(datagram: &[u8], sipp: SocketAddr, far: SocketAddr) -> Vec<u8> {
    let text = String::from_utf8(datagram.to_vec()).unwrap();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    let is_request = !text.starts_with("SIP/2.0");
    for line in &mut lines {
        if line.starts_with("Contact:") {
            *line = line.replace(&sipp.to_string(), &far.to_string());
        } else if is_request && line.starts_with("Via:") {
            *line = line.replacen(";branch=", ";rport;branch=", 1);
        }
    }
    lines.join("\r\n").into_bytes()
}

/// How many copies of each datagram are still to be lost.
struct Loss {
    random: StdRng,
    left_by_datagram: HashMap<Vec<u8>, u32>,
}

impl Loss {
    fn new() -> Loss {
        Loss {
            random: StdRng::seed_from_u64(SEED),
            left_by_datagram: HashMap::new(),
        }
    }

    fn takes(&mut self, datagram: &[u8]) -> bool {
        // SIPp stops repeating its 200 when the INVITE is repeated, so it has to be heard that the INVITE has come.
        if datagram.starts_with(b"SIP/2.0 1") {
            return false;
        }
        let random = &mut self.random;
        let left = self
            .left_by_datagram
            .entry(datagram.to_vec())
            .or_insert_with(|| random.random_range(0..=MOST_LOST));
        let takes = *left > 0;
        *left = left.saturating_sub(1);
        takes
    }
}
