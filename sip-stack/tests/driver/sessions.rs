//! A session from INVITE to BYE.

use stox_sip::{EndCause, Event, Invite, Method, Name, Reply, Status, Transport};

use crate::stage::{address, agent, contact};

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
