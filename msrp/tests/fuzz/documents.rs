//! Bytes as the XML documents that travel as messages: what can be read can be written, and is then the same for good.

use bytes::Bytes;
use rand::{SeedableRng, rngs::StdRng};
use stox_msrp::{
    Ident,
    cpim::Message,
    imdn::{Delivery, Display, Imdn, Notification, Processing, Request, is_notification},
    is_composing::{IsComposing, State},
};

/// The bytes as a status message (COMP-01, COMP-06, SEC-10).
pub fn run_is_composing(data: &[u8]) {
    let Ok(read) = IsComposing::parse(data) else {
        return;
    };
    assert_eq!(read.shown_for().is_some(), read.state == State::Active);
    let in_bounds = |refresh| (1..=86_400).contains(&refresh);
    assert!(
        read.refresh
            .is_none_or(|refresh| in_bounds(refresh.as_secs()))
    );

    // Control characters go the first time; after that nothing changes any more.
    let written = read.to_xml();
    let once = IsComposing::parse(written.as_bytes()).expect("what is written can be read");
    assert_eq!((once.state, once.refresh), (read.state, read.refresh));
    let again = IsComposing::parse(once.to_xml().as_bytes());
    assert_eq!(again, Ok(once));
}

/// The bytes as a notification, and as a CPIM message that may ask for some (RCPT-11, T15, SEC-10).
pub fn run_imdn(data: &[u8]) {
    if let Ok(read) = Imdn::parse(data) {
        round_trip(&read);
    }
    let Ok(message) = Message::parse(&Bytes::copy_from_slice(data)) else {
        return;
    };
    let Some(mut request) = Request::of(&message) else {
        return;
    };
    let mut rng = StdRng::seed_from_u64(1);
    for notification in [
        Notification::Delivery(Delivery::Failed),
        Notification::Delivery(Delivery::Delivered),
        Notification::Processing(Processing::Stored),
        Notification::Display(Display::Displayed),
    ] {
        let is_wanted = request.wishes().include(notification);
        let answer = request.answer(notification, Ident::random(&mut rng));
        assert_eq!(answer.is_some(), is_wanted);
        assert!(!request.wishes().include(notification), "answered once");
        let Some(answer) = answer else {
            continue;
        };
        assert!(is_notification(&answer) && Request::of(&answer).is_none());
        let sent = Message::parse(&answer.wrap()).expect("our answer can be read");
        assert_eq!(sent.to.len(), 1);
        // An id or date of control characters alone is empty when written.
        if let Ok(read) = Imdn::parse(&sent.body) {
            assert_eq!(read.notification, notification);
        }
    }
}

fn round_trip(read: &Imdn) {
    let Ok(once) = Imdn::parse(read.to_xml().as_bytes()) else {
        assert!(read.message_id.chars().all(|letter| !is_written(letter)));
        return;
    };
    assert_eq!(once.notification, read.notification);
    assert_eq!(Imdn::parse(once.to_xml().as_bytes()), Ok(once));
}

fn is_written(letter: char) -> bool {
    !letter.is_control() && !letter.is_whitespace() && !matches!(letter, '\u{fffe}' | '\u{ffff}')
}
