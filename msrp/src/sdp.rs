//! MSRP in session descriptions: offers and answers. RFC 4975 §8, RFC 6135, RFC 3264 §6.
//!
//! ```
//! use stox_msrp::{MsrpUri, Role, sdp::{self, LocalMedia, Origin, SessionDescription}};
//!
//! let ours: MsrpUri = "msrp://192.0.2.1:2855/abc;tcp".parse()?;
//! let media = LocalMedia {
//!     accept_types: vec!["text/plain".to_owned()],
//!     ..LocalMedia::default()
//! };
//! let offer = sdp::offer(&ours, Origin { id: 1, version: 1 }, &media);
//!
//! // The other side takes the first session it can use, and waits for the connection.
//! let theirs: MsrpUri = "msrp://192.0.2.2:2855/xyz;tcp".parse()?;
//! let offer = SessionDescription::parse(&offer)?;
//! let (index, offered) = offer.msrp().expect("a session");
//! assert_eq!(sdp::answer_role(offered.setup), Role::Passive);
//! let answer = sdp::answer(&offer, index, &theirs, Origin { id: 2, version: 1 }, &media);
//!
//! let (_, answered) = SessionDescription::parse(&answer)?.msrp().expect("it was taken");
//! assert_eq!(sdp::offerer_role(answered.setup), Role::Active);
//! assert_eq!(answered.path, [theirs]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cema;
mod chatroom;
mod description;
mod fingerprint;
mod writing;

pub use chatroom::Chatroom;
pub use description::{MediaLine, SdpError, SessionDescription};
pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
pub use writing::{LocalMedia, Origin, answer, offer};

use crate::{MsrpUri, Role, uri::Scheme};

/// `a=setup`: who connects. RFC 4145 §4; `holdconn` counts as missing (RFC 6135 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Setup {
    /// Will connect.
    Active,
    /// Will be connected to.
    Passive,
    /// Either; what our offers say if nothing is against it.
    #[default]
    ActPass,
}

/// Which way messages go. RFC 8866 §6.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways; also if nothing is said.
    #[default]
    SendRecv,
    /// The describing side only sends.
    SendOnly,
    /// The describing side only receives.
    RecvOnly,
    /// Neither way.
    Inactive,
}

/// What a peer's media line says about an MSRP session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsrpMedia {
    /// In order: the first URI is connected to, the last is the peer.
    pub path: Vec<MsrpUri>,
    /// `None` if it does not say.
    pub setup: Option<Setup>,
    /// Types taken as a whole message; see [`content`](crate::content).
    pub accept_types: Vec<String>,
    /// Types taken only inside others.
    pub accept_wrapped_types: Vec<String>,
    /// Bytes of the biggest message the peer wants.
    pub max_size: Option<u64>,
    /// Features of a chat room; `None` if the peer knows nothing of rooms (RFC 7701 §8).
    pub chatroom: Option<Chatroom>,
    /// Which file is offered or asked for, as written: such a session is a file transfer and no chat, to be declined by
    /// whoever does not know them (MSRP-27, CHAT-36). RFC 5547 §6.
    pub file_selector: Option<String>,
    /// The peer connects to media lines and not to paths; see [`cema`] (MSRP-24).
    pub cema: bool,
    /// Which way messages go.
    pub direction: Direction,
    /// Of the media line; 9 if the peer connects.
    pub port: u16,
    /// Of the certificate the peer shows over TLS; `None` also if it is made in a way we cannot compare. Made with
    /// SHA-1 only where there is no other.
    pub fingerprint: Option<Fingerprint>,
    /// As written: `TCP/MSRP` or `TCP/TLS/MSRP`.
    pub proto: String,
    /// From the media's or session's `c=`; the path decides, not this, except with [`cema`].
    pub host: Option<String>,
}

impl MsrpMedia {
    /// Plain or TLS, by what the media line says.
    pub fn scheme(&self) -> Scheme {
        scheme_of(&self.proto)
    }
}

fn scheme_of(proto: &str) -> Scheme {
    if proto.eq_ignore_ascii_case(TLS_MSRP) {
        Scheme::Msrps
    } else {
        Scheme::Msrp
    }
}

/// The role of whoever answers an offer with that `setup` (MSRP-06).
pub fn answer_role(offered: Option<Setup>) -> Role {
    match offered {
        Some(Setup::Passive) => Role::Active,
        Some(Setup::Active | Setup::ActPass) | None => Role::Passive,
    }
}

/// The role of the offerer after an answer with that `setup` (MSRP-06). RFC 4975 §5.4: without one it connects.
pub fn offerer_role(answered: Option<Setup>) -> Role {
    match answered {
        Some(Setup::Active) => Role::Passive,
        Some(Setup::Passive | Setup::ActPass) | None => Role::Active,
    }
}

const TCP_MSRP: &str = "TCP/MSRP";
const TLS_MSRP: &str = "TCP/TLS/MSRP";
