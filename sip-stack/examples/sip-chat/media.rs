//! What a chat's SDP says and how its text travels: plain, or wrapped in CPIM where the peer takes nothing else.

use bytes::Bytes;
use stox_msrp::content::{is_allowed, is_type};
use stox_msrp::cpim::{self, Address};
use stox_msrp::sdp::{self, LocalMedia, MsrpMedia, Origin, SessionDescription};
use stox_msrp::{MsrpUri, Role};
use stox_sip::{Headers, Name, Status, Uri};

pub const SDP: &str = "application/sdp";
pub const PLAIN: &str = "text/plain";
pub const CPIM: &str = "message/cpim";
/// The same list for an Accept header.
pub const ACCEPTED: &str = "text/plain, message/cpim";

/// Bytes of the biggest message taken.
pub const MAX_SIZE: u64 = 1024 * 1024;

/// What a peer's SDP comes to.
pub struct Peer {
    pub path: Vec<MsrpUri>,
    /// Our own part in connecting. RFC 6135.
    pub role: Role,
    pub wrapping: Wrapping,
}

/// How text travels to the peer.
#[derive(Clone, Copy)]
pub enum Wrapping {
    Plain,
    Cpim,
}

/// Our offer.
pub fn offer(local: &MsrpUri) -> Bytes {
    sdp::offer(local, origin(), &ours()).into()
}

/// Our answer to the offer in an INVITE, and the peer it names; the status to refuse it with if no chat can come of it.
pub fn answer(headers: &Headers, offer: &Bytes, local: &MsrpUri) -> Result<(Bytes, Peer), Status> {
    let content_type = headers.first(&Name::ContentType).unwrap_or_default();
    if !is_type(content_type, SDP) {
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    let description = SessionDescription::parse(offer).map_err(|_| Status::BAD_REQUEST)?;
    let (index, media) = description.msrp().ok_or(Status::NOT_ACCEPTABLE_HERE)?;
    let wrapping = wrapping(&media).ok_or(Status::NOT_ACCEPTABLE_HERE)?;
    let answer = sdp::answer(&description, index, local, origin(), &ours());
    Ok((
        answer.into(),
        Peer {
            role: sdp::answer_role(media.setup),
            path: media.path,
            wrapping,
        },
    ))
}

/// The peer that an answer to our offer names; `None` if no chat can come of it.
pub fn answered(answer: &Bytes) -> Option<Peer> {
    let (_, media) = SessionDescription::parse(answer).ok()?.msrp()?;
    let wrapping = wrapping(&media)?;
    Some(Peer {
        role: sdp::offerer_role(media.setup),
        path: media.path,
        wrapping,
    })
}

/// Content type and body of a text to be sent.
pub fn body(wrapping: Wrapping, from: &Uri, to: &Uri, text: &str) -> (&'static str, Bytes) {
    match wrapping {
        Wrapping::Plain => (PLAIN, Bytes::copy_from_slice(text.as_bytes())),
        Wrapping::Cpim => {
            let message = cpim::Message {
                from: Some(address(from)),
                to: vec![address(to)],
                content_type: Some(format!("{PLAIN}; charset=utf-8")),
                body: Bytes::copy_from_slice(text.as_bytes()),
                ..cpim::Message::default()
            };
            (CPIM, message.wrap())
        }
    }
}

/// The text of a body that came; `None` if it is no text.
pub fn text(content_type: Option<&str>, body: &Bytes) -> Option<String> {
    let content_type = content_type.unwrap_or(PLAIN);
    if is_type(content_type, CPIM) {
        let message = cpim::Message::parse(body).ok()?;
        let inner = message.content_type.as_deref().unwrap_or(PLAIN);
        return is_type(inner, PLAIN).then(|| String::from_utf8_lossy(&message.body).into_owned());
    }
    is_type(content_type, PLAIN).then(|| String::from_utf8_lossy(body).into_owned())
}

fn wrapping(media: &MsrpMedia) -> Option<Wrapping> {
    if is_allowed(&media.accept_types, PLAIN) {
        Some(Wrapping::Plain)
    } else if is_allowed(&media.accept_types, CPIM) {
        Some(Wrapping::Cpim)
    } else {
        None
    }
}

fn ours() -> LocalMedia {
    LocalMedia {
        accept_types: vec![PLAIN.to_owned(), CPIM.to_owned()],
        accept_wrapped_types: vec![PLAIN.to_owned()],
        max_size: Some(MAX_SIZE),
        ..LocalMedia::default()
    }
}

/// One description per session: nothing in it changes later.
fn origin() -> Origin {
    Origin {
        id: u64::from(rand::random::<u32>()),
        version: 1,
    }
}

fn address(uri: &Uri) -> Address {
    Address {
        name: None,
        uri: uri.to_string(),
    }
}
