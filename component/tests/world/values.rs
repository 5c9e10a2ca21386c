//! What schedules are made of, and how a message is known again.

use super::*;

pub(super) fn conversation(rng: &mut SmallRng, now: Instant) -> Conversation {
    let parties = Parties {
        juliet: "juliet@example.com".parse().expect("a JID"),
        juliet_uri: "sip:juliet@example.com".parse().expect("a URI"),
        romeo: "romeo%example.net@sip.example.com".parse().expect("a JID"),
        romeo_uri: "sip:romeo@example.net".parse().expect("a URI"),
    };
    let mut settings = Settings::default();
    // Small bounds, so that they are met.
    if rng.random_bool(0.2) {
        settings.held = 3;
        settings.window = 4;
        settings.sessions = 3;
    }
    Conversation::new(
        parties,
        settings,
        rng.random(),
        Clock::new(now, SystemTime::UNIX_EPOCH),
    )
}

pub(super) fn incoming(number: usize) -> Incoming {
    Incoming {
        id: IncomingId::from_number(number as u64),
        message_id: format!("id{number}"),
        transaction_id: format!("tid{number}"),
        content_type: Some("text/plain".to_owned()),
        body: Bytes::from(format!("[{number}]")),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

pub(super) fn rejection(status: u16) -> Rejection {
    let code = Status::new(status).expect("a status code");
    Rejection {
        status,
        fault: Fault::from_sip(code, code.reason()),
    }
}

/// The number of the message whose text this is, bare or wrapped.
pub(super) fn number_in(text: &str) -> Outcome<usize> {
    let number = text
        .rsplit_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    number_of(number.map_or(text, |(number, _)| number))
}

pub(super) fn number_of(id: &str) -> Outcome<usize> {
    id.parse()
        .map_err(|_| format!("`{id}` is no message of the schedule"))
}

pub(super) fn number_of_incoming(id: IncomingId) -> Outcome<usize> {
    number_of_debug(&format!("{id:?}"))
}

pub(super) fn number_of_transaction(id: ServerTransactionId) -> Outcome<usize> {
    number_of_debug(&format!("{id:?}"))
}

/// These ids are opaque but for their look.
pub(super) fn number_of_debug(look: &str) -> Outcome<usize> {
    number_of(look.trim_matches(|c: char| !c.is_ascii_digit()))
}
