//! CEMA: connections that middleboxes may take part in. RFC 6714.
//!
//! A middlebox on the way writes its own address in `c=` and `m=` and leaves the path alone. Who knows CEMA says so with
//! `a=msrp-cema` and connects to the media line; who does not connects to the path. From what a peer's description says
//! follows which of them goes on, and with whom there is no way. Without relays of our own: the criteria about them do
//! not arise here.
//!
//! Names in `c=` and in the path are compared by their addresses. Look up [`names`] first and hand the answers on.
//!
//! ```
//! use stox_msrp::{Role, sdp::{SessionDescription, cema::{self, Answering}}};
//!
//! let offer = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=message 7000 TCP/MSRP *\r\n\
//!     a=path:msrp://10.0.0.5:2855/abc;tcp\r\na=setup:passive\r\na=msrp-cema\r\n";
//! let (_, media) = SessionDescription::parse(offer.as_bytes())?.msrp().expect("a session");
//! assert_eq!(cema::names(&media).count(), 0);
//! // The answer has `a=msrp-cema`, and the connection goes to 192.0.2.1:7000.
//! assert_eq!(cema::answering(&media, |_| Vec::new()), Answering::Cema(Role::Active));
//! assert_eq!((media.host.as_deref(), media.port), (Some("192.0.2.1"), 7000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::net::IpAddr;

use super::{MsrpMedia, Setup, offerer_role};
use crate::{Role, uri};

/// How to answer an offer. RFC 6714 §4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// With `a=msrp-cema`, in that role; who is active connects to the offer's media line.
    Cema(Role),
    /// Without it, as passive side: RFC 4975 decides.
    Plain,
    /// With port 0, or 488 for the whole: a middlebox that does not know CEMA has broken the offer.
    Decline,
}

/// How to go on after an answer to an offer with `a=msrp-cema`. RFC 6714 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proceeding {
    /// Connect to the host and port of the answer's media line; the path stays as it is in To-Path.
    ConnectToMediaLine,
    /// Connect to the first URI of the answer's path.
    ConnectToPath,
    /// The peer connects.
    Await,
    /// Offer again, without `a=msrp-cema`.
    OfferAgain,
}

/// How to answer the offer. `addresses` has what the names of [`names`] stand for.
pub fn answering(offer: &MsrpMedia, addresses: impl Fn(&str) -> Vec<IpAddr>) -> Answering {
    if !offer.cema && !is_direct(offer, addresses) {
        return Answering::Decline;
    }
    let role = match (offer.setup, has_relay(offer)) {
        (Some(Setup::Passive), _) | (Some(Setup::ActPass), true) => Role::Active,
        (Some(Setup::Active | Setup::ActPass) | None, false) => Role::Passive,
        // The peer's relay connects to our path and nowhere else.
        (Some(Setup::Active) | None, true) => return Answering::Plain,
    };
    Answering::Cema(role)
}

/// How to go on after the answer to our offer. `addresses` has what the names of [`names`] stand for.
pub fn proceeding(answer: &MsrpMedia, addresses: impl Fn(&str) -> Vec<IpAddr>) -> Proceeding {
    let role = offerer_role(answer.setup);
    let is_direct = is_direct(answer, addresses);
    match (role, has_relay(answer)) {
        (Role::Passive, _) if !answer.cema && !is_direct => Proceeding::OfferAgain,
        (Role::Active, true) if !answer.cema && !is_direct => Proceeding::OfferAgain,
        (Role::Passive, _) => Proceeding::Await,
        (Role::Active, true) if is_direct => Proceeding::ConnectToPath,
        (Role::Active, _) if answer.host.is_none() => Proceeding::ConnectToPath,
        (Role::Active, _) => Proceeding::ConnectToMediaLine,
    }
}

/// The names to be looked up before the description can be judged: none where it is plain without. RFC 6714 §4.4.
pub fn names(media: &MsrpMedia) -> impl Iterator<Item = &str> {
    let in_path = media.path.iter().map(|uri| uri.host());
    let hosts = media.host.as_deref().into_iter().chain(in_path);
    let is_plain = is_direct(media, |_| Vec::new());
    hosts.filter(move |host| !is_plain && host.parse::<IpAddr>().is_err())
}

/// Whether the media line has the address of a URI in the path, so that nobody stands between. RFC 6714 §4.4.
fn is_direct(media: &MsrpMedia, addresses: impl Fn(&str) -> Vec<IpAddr>) -> bool {
    // Without a c= line nobody has changed it.
    let Some(host) = media.host.as_deref() else {
        return true;
    };
    // Who connects writes the discard port, which is not its path's. RFC 6135 §4.2.2.
    let connects = media.setup == Some(Setup::Active);
    let mut candidates = media
        .path
        .iter()
        .filter(|uri| connects || uri.port() == Some(media.port));
    let all_of = |host: &str| match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => addresses(host),
    };
    candidates.any(|uri| {
        uri::is_same_host(host, uri.host()) || {
            let ours = all_of(host);
            all_of(uri.host())
                .iter()
                .any(|address| ours.contains(address))
        }
    })
}

fn has_relay(media: &MsrpMedia) -> bool {
    media.path.len() > 1
}
