//! What is said and read of an MSRP chat room by those who take part in it (T12).

use stox_msrp::content;
use stox_msrp::sdp::{
    self, Chatroom, LocalMedia, MsrpMedia, Origin, SessionDescription, answer_role, offerer_role,
};
use stox_msrp::uri::Scheme;
use stox_msrp::{MsrpUri, NicknameForm, Role};
use stox_sip::{Feature, Features, Headers, Name, Reply, Request, Status};

use super::read::Offer;
use super::write::Terms;
use crate::body;
use crate::room::muc::{ByeReason, Focus, FocusKind, RoomMedia, RoomWrapping};
use crate::text;
use crate::translate::Unusable;

/// Bytes of the longest words in a Reason header.
const WORDS: usize = 200;

/// Takes quotes for a part of a nickname.
const BARE_NICKNAMES: &str = "SylkServer";

/// The offer of somebody who wants to enter a room.
pub fn room_offer(local: &MsrpUri, origin: Origin, terms: Terms) -> Vec<u8> {
    sdp::offer(local, origin, &media(terms))
}

/// The answer to a focus that offers a room in its stream at `index`.
pub fn room_answer(
    offer: &SessionDescription,
    index: usize,
    local: &MsrpUri,
    origin: Origin,
    terms: Terms,
) -> Vec<u8> {
    sdp::answer(offer, index, local, origin, &media(terms))
}

/// What the answer of a focus comes to. `scheme`: what we offered.
pub fn room_answered(answer: &[u8], scheme: Scheme) -> Result<RoomMedia, Unusable> {
    let description = SessionDescription::parse(answer).map_err(|_| Unusable::Unreadable)?;
    let (_, media) = description.msrp_over(&[scheme]).ok_or(Unusable::NoMsrp)?;
    Ok(room_media(&media, offerer_role(media.setup)))
}

/// What the INVITE of a focus offers, over one of these schemes.
///
/// # Errors
/// The answer that refuses it: 400 or 488.
pub fn room_offered(
    request: &Request,
    schemes: &[Scheme],
) -> Result<(RoomMedia, Offer), Box<Reply>> {
    let refuse = |status| Box::new(Reply::new(status));
    let description = SessionDescription::parse(&request.body)
        .map_err(|_| refuse(Status::NOT_ACCEPTABLE_HERE))?;
    let (index, media) = description
        .msrp_over(schemes)
        .ok_or_else(|| refuse(Status::NOT_ACCEPTABLE_HERE))?;
    let media = room_media(&media, answer_role(media.setup));
    match media.wrapping {
        RoomWrapping::Cpim => Ok((media, Some((description, index)))),
        RoomWrapping::Unknown => Err(refuse(Status::NOT_ACCEPTABLE_HERE)),
    }
}

/// Who the other side of a dialog is, by its Contact and its name of itself.
pub fn focus_of(headers: &Headers, names: &[Name]) -> Focus {
    let contact = headers.contact().ok();
    let is_focus = contact
        .as_ref()
        .and_then(|contact| Features::of(contact).is(Feature::Focus));
    let mut programs = names.iter().filter_map(|name| headers.first(name));
    let is_bare = programs.any(|program| program.starts_with(BARE_NICKNAMES));
    Focus {
        kind: match is_focus {
            Some(true) => FocusKind::Focus,
            Some(false) | None => FocusKind::Unsaid,
        },
        contact: contact.map(|contact| contact.uri),
        form: match is_bare {
            true => NicknameForm::Bare,
            false => NicknameForm::Quoted,
        },
    }
}

/// The Reason header of a BYE towards a focus (RFC 3326).
pub fn bye_reason(reason: &ByeReason) -> Vec<(Name, String)> {
    let value = match reason {
        ByeReason::Left(None) | ByeReason::Shared => return Vec::new(),
        ByeReason::Left(Some(words)) => {
            let words = text::for_header(words);
            let words = quoted(text::truncate(&words, WORDS));
            format!("SIP;cause=200;text={words}")
        }
        ByeReason::Vanished => "SIP;cause=480;text=\"the user's device is gone\"".to_owned(),
        ByeReason::Unusable(cause) => format!("SIP;cause={cause}"),
        ByeReason::MediaLost => "SIP;cause=480;text=\"no MSRP connection\"".to_owned(),
        ByeReason::ShuttingDown => "SIP;cause=503;text=\"the gateway shuts down\"".to_owned(),
    };
    vec![(Name::Reason, value)]
}

/// Why a BYE came, in the words of its Reason.
pub fn words_of_bye(bye: &Request) -> Option<String> {
    let reason = bye.reason_header().ok()?;
    let words = reason.params.unquoted("text")?;
    let words = text::for_xml(words.trim()).into_owned();
    (!words.is_empty()).then_some(words)
}

fn quoted(words: &str) -> String {
    let escaped = words.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn media(terms: Terms) -> LocalMedia {
    LocalMedia {
        accept_types: vec![body::CPIM.to_owned()],
        accept_wrapped_types: [body::PLAIN, body::HTML].map(str::to_owned).to_vec(),
        max_size: Some(terms.max_size),
        fingerprint: terms.fingerprint,
        chatroom: Some(Chatroom::FULL),
        ..LocalMedia::default()
    }
}

fn room_media(media: &MsrpMedia, role: Role) -> RoomMedia {
    let (types, wrapped) = (&media.accept_types, &media.accept_wrapped_types);
    let takes_cpim = content::is_allowed(types, body::CPIM)
        && (wrapped.is_empty() || content::is_allowed_wrapped(types, wrapped, body::PLAIN));
    RoomMedia {
        path: media.path.clone(),
        role,
        max_size: media.max_size,
        chatroom: media.chatroom,
        wrapping: match takes_cpim {
            true => RoomWrapping::Cpim,
            false => RoomWrapping::Unknown,
        },
    }
}
