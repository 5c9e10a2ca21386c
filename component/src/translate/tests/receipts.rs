//! Who hears that what arrived, and who does not.

use stox_msrp::imdn::{self, Delivery, Display, Imdn, Notification};
use stox_msrp::{ByteRange, Ident, cpim};

use super::*;
use crate::xmpp::{Marker, OutgoingMessage, Receipt};

fn asking(id: &str, wishes: Wishes) -> Event {
    let Event::Written(written) = message(id, Some(THREAD), "What man art thou?") else {
        unreachable!();
    };
    Event::Written(Written { wishes, ..written })
}

const RECEIPT: Wishes = Wishes {
    receipt: true,
    display: false,
};

fn reported(chat: ChatId, token: Token, status: u16, range: &str) -> Event {
    let range = ByteRange::parse(range.as_bytes()).unwrap();
    Event::Chat(chat, ChatEvent::Reported(token, status, range))
}

fn stanza(actions: &[Action]) -> &OutgoingMessage {
    let [Action::Stanza(Outgoing::Message(message), _), ..] = actions else {
        panic!("{actions:?}");
    };
    message
}

/// A message of romeo's that asks for all notifications, and the id of its stanza when juliet's server has taken it.
fn asked_for_everything(stage: &mut Stage, chat: ChatId) -> String {
    let wishes = imdn::Wishes {
        positive_delivery: true,
        negative_delivery: true,
        display: true,
        processing: false,
    };
    let mut asking = cpim::Message {
        from: Some("Romeo <sip:romeo@example.net>".parse().unwrap()),
        to: vec!["<sip:juliet@example.com>".parse().unwrap()],
        date_time: Some("2026-11-20T17:00:00Z".to_owned()),
        body: "O, wilt thou leave me so?".into(),
        ..cpim::Message::default()
    };
    imdn::ask(&mut asking, Ident::new(b"34jk324j").unwrap(), wishes);
    let body = String::from_utf8(asking.wrap().to_vec()).unwrap();
    let actions = stage.feed(received(chat, 7, "message/cpim", &body));
    let shown = stanza(&actions);
    assert_eq!(shown.wish(), Some(&Receipt::Requested));
    assert_eq!(shown.mark(), Some(&Marker::Markable));
    let id = shown.name().unwrap().to_owned();
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    stage.feed(Event::Handed(*token));
    id
}

fn receipted(id: &str, mark: Mark) -> Event {
    Event::Receipted {
        id: id.to_owned(),
        mark,
        sent: None,
    }
}

/// The notifications among these.
fn notifications(actions: &[Action]) -> Vec<Imdn> {
    let read = |action: &Action| match action {
        Action::Send {
            content_type: "message/cpim",
            body,
            failure_report: FailureReport::No,
            ..
        } => {
            let message = cpim::Message::parse(body).unwrap();
            assert!(imdn::is_notification(&message) && message.date_time.is_some());
            assert_eq!(message.to[0].uri, "sip:romeo@example.net");
            Some(Imdn::parse(&message.body).unwrap())
        }
        _ => None,
    };
    actions.iter().filter_map(read).collect()
}

// RCPT-01 RCPT-02 RCPT-03 RCPT-07
#[test]
fn a_receipt_comes_when_all_of_it_was_reported() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let sent = stage.feed(asking("m2", RECEIPT));
    assert!(matches!(
        sent.as_slice(),
        [Action::Send {
            success_report: true,
            failure_report: FailureReport::No,
            ..
        }]
    ));
    let token = token_of(&sent);
    assert!(stage.feed(reported(chat, token, 200, "1-9/18")).is_empty());
    let actions = stage.feed(reported(chat, token, 200, "10-18/18"));
    let receipt = stanza(&actions);
    assert_eq!(receipt.wish(), Some(&Receipt::Received("m2".to_owned())));
    assert_eq!(
        (receipt.text(), receipt.kind()),
        (None, crate::xmpp::MessageType::Chat)
    );
    assert_ne!(receipt.name(), Some("m2"));
    assert!(stage.feed(reported(chat, token, 200, "1-18/18")).is_empty());
}

// RCPT-08 T10
#[test]
fn a_failure_that_is_reported_goes_back() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let token = token_of(&stage.feed(asking("m2", RECEIPT)));
    let actions = stage.feed(reported(chat, token, 413, "1-18/18"));
    assert_eq!(refusals(&actions), [("m2", Condition::PolicyViolation)]);
    // Nor later, when nobody feared for it any more.
    let token = token_of(&stage.feed(asking("m3", RECEIPT)));
    let actions = stage.elapse();
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Settle(Settlement {
                outcome: Outcome::Delivered,
                ..
            })]
        ),
        "{actions:?}"
    );
    let actions = stage.feed(reported(chat, token, 413, "1-18/18"));
    assert_eq!(refusals(&actions), [("m3", Condition::PolicyViolation)]);
}

// RCPT-14
#[test]
fn the_end_of_a_session_brings_no_receipts() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let token = token_of(&stage.feed(asking("m2", RECEIPT)));
    // BYE: what was sent is with the peer, but nobody says that it was shown.
    let actions = stage.feed(Event::Chat(chat, ChatEvent::Ended));
    assert!(refusals(&actions).is_empty());
    let actions = stage.elapse();
    assert_eq!(stanza(&actions).state(), Some(ChatState::Gone));
    assert!(stage.feed(reported(chat, token, 200, "1-18/18")).is_empty());

    // A connection that breaks may have lost it.
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    stage.feed(asking("m2", RECEIPT));
    let lost = || Event::Chat(chat, ChatEvent::Disconnected(LostCause::ConnectionEnded));
    assert!(stage.feed(lost()).is_empty());
    stage.elapse();
    let actions = stage.feed(Event::Chat(chat, ChatEvent::NotRenewed));
    assert_eq!(
        refusals(&actions),
        [("m2", Condition::RecipientUnavailable)]
    );

    // One that ends just before BYE has not.
    let mut stage = Stage::new();
    stage.open(THREAD);
    stage.feed(asking("m2", RECEIPT));
    assert!(stage.feed(lost()).is_empty());
    let actions = stage.feed(Event::Chat(chat, ChatEvent::Ended));
    assert!(refusals(&actions).is_empty());
}

// CHAT-24 RCPT-07
#[test]
fn who_leaves_waits_for_the_report() {
    let mut stage = Stage::new();
    let chat = stage.open(THREAD);
    let token = token_of(&stage.feed(asking("m2", RECEIPT)));
    let gone = Event::Stated {
        thread: Some(THREAD.to_owned()),
        state: ChatState::Gone,
    };
    assert!(stage.feed(gone).is_empty());
    let actions = stage.feed(reported(chat, token, 200, "1-18/18"));
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Stanza(..), Action::Bye(..), ..]
        ),
        "{actions:?}"
    );
}

// RCPT-11 T15
#[test]
fn notifications_are_sent_once_each() {
    let mut stage = Stage::new();
    let chat = stage.invited();
    let id = asked_for_everything(&mut stage, chat);
    let actions = stage.feed(receipted(&id, Mark::Received));
    let [delivered] = notifications(&actions).try_into().unwrap();
    assert_eq!(
        (
            delivered.message_id.as_str(),
            delivered.date_time.as_deref()
        ),
        ("34jk324j", Some("2026-11-20T17:00:00Z"))
    );
    assert_eq!(
        delivered.notification,
        Notification::Delivery(Delivery::Delivered)
    );
    assert!(stage.feed(receipted(&id, Mark::Received)).is_empty());
    let [shown] = notifications(&stage.feed(receipted(&id, Mark::Displayed)))
        .try_into()
        .unwrap();
    assert_eq!(
        shown.notification,
        Notification::Display(Display::Displayed)
    );
    assert!(stage.feed(receipted(&id, Mark::Displayed)).is_empty());
}

// RCPT-10 RCPT-11
#[test]
fn an_error_after_the_answer_is_notified_too() {
    for (condition, expected) in [
        (Condition::ServiceUnavailable, Delivery::Failed),
        (Condition::Forbidden, Delivery::Forbidden),
    ] {
        let mut stage = Stage::new();
        let chat = stage.invited();
        let id = asked_for_everything(&mut stage, chat);
        let [failed] = notifications(&stage.feed(bounce(&id, condition)))
            .try_into()
            .unwrap();
        assert_eq!(failed.notification, Notification::Delivery(expected));
    }
}

// RCPT-11: none for who takes none (MSRP-21), and none for a notification.
#[test]
fn notifications_are_for_those_who_take_them() {
    let mut stage = Stage::new();
    stage.takes_imdn = false;
    let chat = stage.invited();
    let id = asked_for_everything(&mut stage, chat);
    assert!(stage.feed(receipted(&id, Mark::Received)).is_empty());
}

// RCPT-11
#[test]
fn what_was_seen_is_told_to_who_asked_in_cpim() {
    let mut stage = Stage::new();
    stage.wrapping = Wrapping::Cpim;
    let chat = stage.open(THREAD);
    let display = Wishes {
        receipt: false,
        display: true,
    };
    let sent = stage.feed(asking("m2", display));
    stage.accept(chat, &sent);
    let [Action::Send { body, .. }] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    let message = cpim::Message::parse(body).unwrap();
    let mut request = imdn::Request::of(&message).unwrap();
    let mut answer = |notification| {
        let id = Ident::new(b"8f7f8f7f").unwrap();
        let answer = request.answer(notification, id)?;
        Some(String::from_utf8(answer.wrap().to_vec()).unwrap())
    };
    assert_eq!(answer(Notification::Delivery(Delivery::Delivered)), None);
    let shown = answer(Notification::Display(Display::Displayed)).unwrap();
    let actions = stage.feed(received(chat, 9, "message/cpim", &shown));
    let marker = stanza(&actions).mark();
    assert_eq!(marker, Some(&Marker::Displayed("m2".to_owned())));
    assert!(matches!(actions[1], Action::Respond { status: 200, .. }));
    let again = stage.feed(received(chat, 10, "message/cpim", &shown));
    assert!(matches!(again.as_slice(), [Action::Respond { .. }]));
}

// RCPT-04 RCPT-05 RCPT-06 RCPT-10
#[test]
fn a_report_or_a_failure_but_not_both() {
    let mut stage = Stage::new();
    let chat = stage.invited();
    let message = |number| {
        let Event::Chat(chat, ChatEvent::Received(incoming)) =
            received(chat, number, "text/plain", "text")
        else {
            unreachable!();
        };
        let incoming = Incoming {
            success_report: true,
            ..incoming
        };
        Event::Chat(chat, ChatEvent::Received(incoming))
    };
    // Her client is faster than the word of her server.
    stage.feed(message(1));
    let actions = stage.feed(receipted("tid1", Mark::Received));
    assert_eq!(settled_with(&actions[..1]), [200]);
    assert!(
        matches!(&actions[1], Action::Report { status: 200, length: 4, message_id, .. } if message_id == "id1")
    );
    assert!(
        stage
            .feed(bounce("tid1", Condition::ItemNotFound))
            .is_empty()
    );
    stage.hand_over(message(2));
    let actions = stage.feed(bounce("tid2", Condition::ServiceUnavailable));
    assert!(matches!(
        actions.as_slice(),
        [Action::Report { status: 403, .. }]
    ));
    assert!(stage.feed(receipted("tid2", Mark::Received)).is_empty());
    // That her server took one is no news of her client.
    assert!(matches!(
        stage.hand_over(message(4)).as_slice(),
        [Action::Settle(_)]
    ));
    // Nobody asked for a report of this one.
    stage.hand_over(received(chat, 3, "text/plain", "text"));
    assert!(stage.feed(receipted("tid3", Mark::Received)).is_empty());
}

// RCPT-15
#[test]
fn what_an_archive_plays_back_is_no_news() {
    let mut stage = Stage::new();
    let began = SystemTime::UNIX_EPOCH;
    stage.now += Duration::from_secs(100);
    let chat = stage.invited();
    let id = asked_for_everything(&mut stage, chat);
    let delayed = |seconds| Event::Receipted {
        id: id.clone(),
        mark: Mark::Received,
        sent: Some(began + Duration::from_secs(seconds)),
    };
    let (old, new) = (delayed(50), delayed(150));
    assert!(stage.feed(old).is_empty());
    assert_eq!(notifications(&stage.feed(new)).len(), 1);
}

/// A MESSAGE of romeo's that asks for all notifications: what it brings juliet, and the id of that stanza.
fn page_asking_for_everything(stage: &mut Stage) -> String {
    let wishes = imdn::Wishes {
        positive_delivery: true,
        negative_delivery: true,
        display: true,
        processing: false,
    };
    let mut asking = cpim::Message {
        from: Some("<sip:romeo@example.net>".parse().unwrap()),
        to: vec!["<sip:juliet@example.com>".parse().unwrap()],
        body: "O, wilt thou leave me so?".into(),
        ..cpim::Message::default()
    };
    imdn::ask(&mut asking, Ident::new(b"34jk324j").unwrap(), wishes);
    let actions = stage.feed(Event::Paged(Paged {
        transaction: stox_sip::ServerTransactionId::from_number(1),
        call_id: "a84b4c76e66710".to_owned(),
        content: crate::body::read(Some("message/cpim"), &asking.wrap()).unwrap(),
        from: "sip:romeo@example.net".parse().unwrap(),
        chat: None,
    }));
    let shown = stanza(&actions);
    assert_eq!(shown.wish(), Some(&Receipt::Requested));
    assert_eq!(shown.mark(), Some(&Marker::Markable));
    let id = shown.name().unwrap().to_owned();
    let [Action::Stanza(_, Some(token))] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    stage.feed(Event::Handed(*token));
    id
}

fn paged_notification(actions: &[Action]) -> Notification {
    let [Action::Page(page)] = actions else {
        panic!("{actions:?}");
    };
    assert_eq!(page.content_type, "message/cpim");
    let message = cpim::Message::parse(&page.body.clone().into()).unwrap();
    assert!(imdn::is_notification(&message));
    Imdn::parse(&message.body).unwrap().notification
}

// RCPT-11
#[test]
fn a_message_without_session_is_notified_by_message() {
    let mut stage = Stage::new();
    let id = page_asking_for_everything(&mut stage);
    let delivered = stage.feed(receipted(&id, Mark::Received));
    assert_eq!(
        paged_notification(&delivered),
        Notification::Delivery(Delivery::Delivered)
    );
    // One MESSAGE at a time (IM-07).
    assert!(stage.feed(receipted(&id, Mark::Displayed)).is_empty());
    assert!(stage.feed(receipted(&id, Mark::Received)).is_empty());
    let shown = stage.feed(Event::PageAnswered(Ok(())));
    assert_eq!(
        paged_notification(&shown),
        Notification::Display(Display::Displayed)
    );
    stage.feed(Event::PageAnswered(Ok(())));
}

// RCPT-11 IM-05
#[test]
fn an_error_is_the_answer_or_the_notification() {
    let mut stage = Stage::new();
    let id = page_asking_for_everything(&mut stage);
    // Before the 200: the answer says it.
    let actions = stage.feed(bounce(&id, Condition::ItemNotFound));
    assert!(matches!(actions.as_slice(), [Action::Settle(_)]));
    assert!(stage.feed(receipted(&id, Mark::Received)).is_empty());

    let mut stage = Stage::new();
    let id = page_asking_for_everything(&mut stage);
    stage.elapse();
    let actions = stage.feed(bounce(&id, Condition::ItemNotFound));
    assert_eq!(
        paged_notification(&actions),
        Notification::Delivery(Delivery::Failed)
    );
}

// SEC-14
#[test]
fn who_reads_nothing_is_forgotten() {
    let mut stage = Stage::new();
    page_asking_for_everything(&mut stage);
    stage.elapse();
    assert!(!stage.core.is_over(stage.now));
    stage.elapse();
    assert!(stage.core.is_over(stage.now));
}
