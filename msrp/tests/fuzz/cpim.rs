//! Bytes as a CPIM message: what can be read can be written, and is then the same for good.

use bytes::Bytes;
use stox_msrp::cpim::Message;

/// The bytes as a peer sends them (MSRP-23, T13, SEC-09).
pub fn run(data: &[u8]) {
    let Ok(message) = Message::parse(&Bytes::copy_from_slice(data)) else {
        return;
    };
    let _ = message.unknown_requirement(&["urn:ietf:params:imdn"]);
    let _ = message.extension("urn:ietf:params:imdn", "Disposition-Notification");
    assert!(message.body.len() <= data.len());

    let written = message.wrap();
    let read = Message::parse(&written).expect("what is written can be read");
    assert_eq!(read.body, message.body);
    assert_eq!(read.from.is_some(), message.from.is_some());
    assert_eq!(read.to.len(), message.to.len());
    assert_eq!(read.cc.len(), message.cc.len());
    assert_eq!(read.required.len(), message.required.len());
    assert_eq!(read.extensions.len(), message.extensions.len());
    let has_type = |message: &Message| {
        let content_type = message.content_type.as_deref().unwrap_or_default();
        !content_type.replace(char::is_control, "").trim().is_empty()
    };
    assert_eq!(has_type(&read), has_type(&message));
    assert_eq!(read.content_headers.len(), message.content_headers.len());
    assert_eq!(read.subject.is_some(), message.subject.is_some());

    // Control characters go the first time; after that nothing changes any more.
    let again = Message::parse(&read.wrap()).expect("what is written can be read");
    assert_eq!(again, read);
}
