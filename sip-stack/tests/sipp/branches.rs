//! SIPp's scenario with branches: a REGISTER, then a call whose way depends on who calls.

use stox_sip::{
    EndCause, Event, Invite, LocalContact, Method, NameAddr, OutgoingRequest, Reply, Status,
    Transport, Uri,
};

use crate::{agent, agent_with, free_port, is_installed, next, start, wait, wait_for_listener};

/// SIP-05: over each transport, both with the Call-ID by which SIPp knows them for one. SIPp rings before it says that
/// it tries.
#[tokio::test]
async fn we_register_and_call_sipp() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let (sip, mut events) = agent(transport).await;
        let port = free_port();
        let listen = port.to_string();
        let mut sipp = start(&[
            "-sn",
            "branchs",
            "-i",
            "127.0.0.1",
            "-p",
            &listen,
            "-m",
            "1",
            "-t",
            mode,
        ]);
        wait_for_listener(port, transport).await;
        let target: Uri = format!("sip:127.0.0.1:{port};transport={}", transport.as_param())
            .parse()
            .unwrap();
        let caller = || NameAddr::new("sip:ua2@example.com".parse().unwrap());
        let call_id = format!("branches-{mode}");
        let mut register =
            OutgoingRequest::new(Method::Register, target.clone(), caller(), caller());
        register.call_id = Some(call_id.clone());
        register.contact = Some(LocalContact::default());
        sip.request(sip.reserve_request(), register).await;
        match next(&mut events).await {
            Event::Responded { response, .. } => assert_eq!(response.status, Status::OK),
            event => panic!("{event:?}"),
        }
        let callee = NameAddr::new(target.clone());
        let mut invite = Invite::new(target, caller(), callee, LocalContact::default());
        (invite.content_type, invite.body) = ("application/sdp".into(), "v=0\r\n".into());
        invite.call_id = Some(call_id);
        let call = sip.reserve_invite();
        sip.invite(call, invite).await;
        let mut ringing = 0;
        loop {
            match next(&mut events).await {
                Event::Progressed { response, .. } => {
                    assert_eq!(response.status, Status::RINGING);
                    ringing += 1;
                }
                Event::Answered { invite, .. } => {
                    sip.ack(invite, None).await;
                    sip.bye(invite, vec![]).await;
                }
                Event::Ended {
                    cause: EndCause::OurBye,
                    ..
                } => break,
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(ringing, 1, "the branch for this caller was taken");
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}

/// SIP-05, SIP-06. SIPp registers, calls under the same Call-ID, and goes on by what it is answered; REGISTER is taken by
/// whom it is allowed.
#[tokio::test]
async fn sipp_registers_and_calls() {
    for (transport, mode) in [(Transport::Udp, "u1"), (Transport::Tcp, "t1")] {
        if !is_installed() {
            return;
        }
        let (sip, mut events) =
            agent_with(transport, |config| config.allow.push(Method::Register)).await;
        let address = sip.local_addresses()[0].1.to_string();
        let mut sipp = start(&["-sn", "branchc", &address, "-m", "1", "-t", mode]);
        match next(&mut events).await {
            Event::Requested {
                transaction,
                request,
                ..
            } => {
                assert_eq!(request.method, Method::Register);
                sip.respond(transaction, Reply::new(Status::OK)).await;
            }
            event => panic!("{event:?}"),
        }
        match next(&mut events).await {
            Event::Invited { invite, .. } => sip.answer(invite, Reply::new(Status::OK)).await,
            event => panic!("{event:?}"),
        }
        assert!(matches!(
            next(&mut events).await,
            Event::Acknowledged { .. }
        ));
        match next(&mut events).await {
            Event::Ended { cause, .. } => assert!(matches!(cause, EndCause::Bye(_)), "{cause:?}"),
            event => panic!("{event:?}"),
        }
        assert!(wait(&mut sipp).await, "SIPp is content over {transport}");
    }
}
