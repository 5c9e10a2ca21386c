//! Who is in a conference, as its focus tells those who subscribed to the package `conference`. RFC 4575.
//!
//! A [`ConferenceInfo`] is one document: the whole state, what has changed, or that the conference is over. It is read by
//! [`ConferenceInfo::parse`] and written by [`ConferenceInfo::to_xml`]; what is to be told of a change is said by
//! [`ConferenceInfo::changes_since`]. A [`Conference`] is the subscriber's copy, and follows the documents in their order.
//!
//! ```
//! use stox_sip::conference::{Applied, Conference, ConferenceInfo, ElementState, User};
//!
//! let before = ConferenceInfo {
//!     entity: "sip:verona@chat.example.org".into(),
//!     version: Some(1),
//!     users: vec![User::new("sip:verona@chat.example.org;gr=Romeo")],
//!     ..ConferenceInfo::default()
//! };
//! let mut verona = Conference::new("sip:verona@chat.example.org");
//! assert_eq!(verona.apply(ConferenceInfo::parse(&before.to_xml())?), Applied::Updated);
//!
//! let mut after = ConferenceInfo { version: Some(2), ..before.clone() };
//! after.users.push(User::new("sip:verona@chat.example.org;gr=Ben"));
//! let change = after.changes_since(&before).expect("Ben is new");
//! assert_eq!((change.state, change.users.len()), (ElementState::Partial, 1));
//! assert_eq!(verona.apply(change), Applied::Updated);
//! assert_eq!(verona.users().len(), 2);
//! # Ok::<(), stox_sip::conference::ConferenceError>(())
//! ```

mod changes;
mod info;
mod read;
mod replica;
mod scan;
mod write;

pub use info::{
    ConferenceInfo, ConferenceState, Description, DisconnectionMethod, ElementState, Endpoint,
    EndpointStatus, Media, MediaStatus, User,
};
pub use read::ConferenceError;
pub use replica::{Applied, Conference};

/// The media type of the documents. RFC 4575 §3.4.
pub const MEDIA_TYPE: &str = "application/conference-info+xml";

/// RFC 4575 §4.2.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";
/// RFC 6501 §3.2; its attribute `nickname` is used by RFC 7701 §9.6.
const XCON_NAMESPACE: &str = "urn:ietf:params:xml:ns:xcon-conference-info";

/// Users of one document, and of a copy.
const MAX_USERS: usize = 2_000;
/// Endpoints of one user.
const MAX_ENDPOINTS: usize = 64;
/// Media streams of one endpoint.
const MAX_MEDIA: usize = 64;
