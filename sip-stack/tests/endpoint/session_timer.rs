//! Session timers: RFC 4028.

use std::time::Duration;

use stox_sip::{EndCause, Event, InviteId, Message, Method, Name, Reply, Response, Status};

use crate::stage::{Net, invite, raw};

/// CHAT-30. Both know of timers: the caller refreshes by UPDATE, at half the time, and goes on.
#[test]
fn the_caller_refreshes_by_update() {
    let mut net = Net::supporting(&["timer"], &["timer"]);
    let (_, theirs) = net.establish();
    assert_eq!(net.sent[0].session_expires().unwrap().to_string(), "1800");
    assert_eq!(net.field(Name::SessionExpires), "1800;refresher=uac");
    net.forget();
    net.elapse(900);
    net.elapse(900);
    assert_eq!(
        net.log,
        [
            "juliet UPDATE 2",
            "romeo 200 UPDATE",
            "juliet UPDATE 3",
            "romeo 200 UPDATE"
        ]
    );
    assert_eq!(net.field(Name::SessionExpires), "1800;refresher=uac");
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
    net.both_have_ended();
    net.ends_with_nothing_left();
}

/// CHAT-30. Without UPDATE: a re-INVITE with the same session description.
#[test]
fn refreshed_by_reinvite_with_the_same_description() {
    let mut net = Net::supporting(&["timer"], &["timer"]);
    let (_, theirs) = net.invite();
    let mut reply = Reply::new(Status::OK);
    reply.headers.push((Name::Allow, "INVITE, ACK, BYE".into()));
    net.accept(theirs, reply);
    net.forget();
    net.elapse(900);
    let Some(Event::Reinvited {
        transaction,
        request,
        ..
    }) = net.romeo.poll_event()
    else {
        panic!()
    };
    assert_eq!(request.body, "v=0 juliet");
    net.romeo
        .respond(transaction, Reply::new(Status::OK), net.now);
    net.run();
    assert!(matches!(
        net.romeo.poll_event(),
        Some(Event::Acknowledged { .. })
    ));
    assert!(net.juliet.poll_event().is_none(), "nobody asked for it");
    assert_eq!(
        net.log,
        [
            "juliet INVITE 2",
            "romeo 100 INVITE",
            "romeo 200 INVITE",
            "juliet ACK 2"
        ]
    );
    net.romeo.bye(theirs, vec![], net.now);
    net.run();
}

/// CHAT-30. Nobody refreshes any more: both say BYE a little before the end.
#[test]
fn without_refresh_the_session_ends() {
    let mut net = Net::supporting(&["timer"], &["timer"]);
    net.establish();
    // Juliet is gone.
    let start = net.now;
    while let Some(at) = net.romeo.poll_timeout() {
        net.now = at;
        net.romeo.handle_timeout(at);
        if let Some(event) = net.romeo.poll_event() {
            assert!(
                matches!(
                    event,
                    Event::Ended {
                        cause: EndCause::Expired,
                        ..
                    }
                ),
                "{event:?}"
            );
            break;
        }
    }
    assert_eq!(net.now - start, Duration::from_secs(1768));
    assert_eq!(net.romeo_says(), ["BYE 1"]);
}

/// CHAT-30. A peer that knows nothing of timers is not bothered, and one that we do not know them to is answered.
#[test]
fn only_one_side_knows_of_timers() {
    for (juliet, romeo) in [(&["timer"][..], &[][..]), (&[], &["timer"])] {
        let mut net = Net::supporting(juliet, romeo);
        net.establish();
        net.forget();
        net.elapse(4000);
        assert_eq!(net.log, [""; 0]);
    }
}

/// CHAT-30, SIP-18. 422 both ways; what is sent again has the next CSeq, the same Call-ID and From.
#[test]
fn intervals_that_are_too_small() {
    let mut net = Net::supporting(&["timer"], &["timer"]);
    let mut brief = raw(Method::Invite, 1);
    brief.headers.push(Name::Supported, "timer");
    brief.headers.push(Name::SessionExpires, "60");
    net.romeo_hears(&brief);
    let answers = net.romeo_responses();
    let status = Status::SESSION_INTERVAL_TOO_SMALL;
    assert_eq!(answers[0].status, status);
    assert_eq!(answers[0].min_se(), Ok(90));

    net.juliet.invite(InviteId::ours(1), invite(), net.now);
    let first = net.juliet_sends_next();
    let refused = Response::to_request(&first, status).with_header(Name::MinSe, "3600");
    net.juliet_hears(refused);
    let sent: Vec<_> = std::iter::from_fn(|| net.juliet.poll_transmit()).collect();
    let again = match Message::parse_datagram(sent[1].payload.clone()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    };
    assert_eq!(again.headers.first(&Name::CSeq), Some("2 INVITE"));
    assert_eq!(again.headers.first(&Name::SessionExpires), Some("3600"));
    assert_eq!(again.min_se(), Ok(3600));
    assert_eq!(again.call_id(), first.call_id());
    assert_eq!(again.from(), first.from());
    assert_eq!(again.body, first.body);
    let refused = Response::to_request(&again, status).with_header(Name::MinSe, "3601");
    net.juliet_hears(refused);
    assert!(matches!(
        net.juliet.poll_event(),
        Some(Event::Rejected { .. })
    ));
}

impl Net {
    /// The field of the last message that has it.
    fn field(&self, name: Name) -> &str {
        let sent = self.sent.iter().rev();
        sent.filter_map(|message| message.headers().first(&name))
            .next()
            .unwrap_or_default()
    }

    fn both_have_ended(&mut self) {
        for agent in [&mut self.juliet, &mut self.romeo] {
            assert!(matches!(agent.poll_event(), Some(Event::Ended { .. })));
        }
    }
}
