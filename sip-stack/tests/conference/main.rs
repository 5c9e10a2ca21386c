//! The documents of the package `conference`: those of the RFCs, those that foci send, and those that we send.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod changing;
mod following;
mod reading;
mod writing;

use stox_sip::conference::ConferenceInfo;

const RFC4575_BASIC: &str = include_str!("documents/rfc4575_basic.xml");
const RFC4575_RICH: &str = include_str!("documents/rfc4575_rich.xml");
const RFC7701_NICKNAME: &str = include_str!("documents/rfc7701_nickname.xml");
/// Without a namespace, as it is printed.
const RFC7702_EXAMPLE_9: &str = include_str!("documents/rfc7702_example_9.xml");
/// What the focus of RFC 7702 would send, with its slips corrected: the namespace, one `<uri>` in each `<entry>`, `;gr=`.
const VERONA: &str = include_str!("documents/verona.xml");
/// As an open conference server of the field writes them.
const AD_HOC: &str = include_str!("documents/ad_hoc.xml");

const ALL: [&str; 6] = [
    RFC4575_BASIC,
    RFC4575_RICH,
    RFC7701_NICKNAME,
    RFC7702_EXAMPLE_9,
    VERONA,
    AD_HOC,
];

fn read(document: &str) -> ConferenceInfo {
    ConferenceInfo::parse(document.as_bytes()).unwrap()
}

/// A document with these attributes in its root and this inside.
fn document(attributes: &str, inside: &str) -> ConferenceInfo {
    const NAMESPACES: &str = "xmlns='urn:ietf:params:xml:ns:conference-info' \
        xmlns:xcon='urn:ietf:params:xml:ns:xcon-conference-info'";
    read(&format!(
        "<conference-info {NAMESPACES} entity='sip:verona@chat.example.org' {attributes}>{inside}</conference-info>"
    ))
}
