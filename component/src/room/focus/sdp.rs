//! Session descriptions of a room whose focus we are (T12).

use stox_msrp::sdp::{
    Chatroom, Fingerprint, LocalMedia, MsrpMedia, Origin, SessionDescription, answer_role,
    offerer_role,
};
use stox_msrp::uri::Scheme;
use stox_msrp::{MsrpUri, Role, content, sdp};
use stox_sip::{Name, Reply, Request, Status};

use super::event::{Media, Unusable};
use crate::body;
use crate::sip::{SDP_TYPE, Terms};

/// What rooms take inside CPIM.
const WRAPPED: [&str; 2] = [body::PLAIN, body::HTML];

/// An offer, kept until it is answered: the description and the place of its chat stream.
pub(super) type Offer = Option<(SessionDescription, usize)>;

/// The offer of an INVITE, if a room can come of it over one of these schemes; `None`: it has none (RS-02).
///
/// # Errors
/// The answer that refuses it: 400, 415 or 488.
pub(super) fn read_offer(
    request: &Request,
    schemes: &[Scheme],
) -> Result<(Option<Media>, Offer), Box<Reply>> {
    if request.body.is_empty() {
        return Ok((None, None));
    }
    let content_type = request.headers.first(&Name::ContentType);
    if !content::is_type(content_type.unwrap_or_default(), SDP_TYPE) {
        let mut reply = Reply::new(Status::UNSUPPORTED_MEDIA_TYPE);
        reply.headers.push((Name::Accept, SDP_TYPE.to_owned()));
        return Err(Box::new(reply));
    }
    let description = SessionDescription::parse(&request.body)
        .map_err(|_| Box::new(Reply::new(Status::BAD_REQUEST)))?;
    let (index, stream) = description.msrp_over(schemes).ok_or_else(not_acceptable)?;
    let media = media_of(&stream, answer_role(stream.setup)).map_err(|_| not_acceptable())?;
    Ok((Some(media), Some((description, index))))
}

/// An answer to an offer of ours over that scheme.
pub(super) fn read_answer(body: &[u8], scheme: Scheme) -> Result<Media, Unusable> {
    let description = SessionDescription::parse(body).map_err(|_| Unusable::Unreadable)?;
    let (_, stream) = description.msrp_over(&[scheme]).ok_or(Unusable::NoMsrp)?;
    media_of(&stream, offerer_role(stream.setup))
}

/// What a re-INVITE, or an UPDATE with an offer, comes to.
pub(super) enum Change {
    /// It has no offer and asks for ours.
    Asks,
    /// The room as before, or another connection to it.
    Offers {
        description: Box<SessionDescription>,
        index: usize,
        media: Media,
        fingerprint: Option<Fingerprint>,
    },
    /// The MSRP stream is taken out.
    Removed(Box<SessionDescription>),
    /// Something that is not done here: all stays as it was.
    Refused(Reply),
}

/// Reads a re-INVITE or UPDATE of a session over this scheme, which must stay (SEC-07).
pub(super) fn read_change(request: &Request, scheme: Scheme) -> Change {
    if request.body.is_empty() {
        return Change::Asks;
    }
    let Ok(description) = SessionDescription::parse(&request.body) else {
        return Change::Refused(Reply::new(Status::BAD_REQUEST));
    };
    let Some((index, stream)) = description.msrp_over(&[scheme]) else {
        let is_removed = description
            .media_lines()
            .all(|line| line.kind != "message" || line.port == 0);
        return match is_removed {
            true => Change::Removed(Box::new(description)),
            false => Change::Refused(*not_acceptable()),
        };
    };
    match media_of(&stream, answer_role(stream.setup)) {
        Ok(media) => Change::Offers {
            description: Box::new(description),
            index,
            media,
            fingerprint: stream.fingerprint,
        },
        Err(_) => Change::Refused(*not_acceptable()),
    }
}

/// Our offer.
pub(super) fn offer(local: &MsrpUri, origin: Origin, terms: Terms) -> Vec<u8> {
    sdp::offer(local, origin, &ours(terms))
}

/// Our answer to an offer whose stream at `index` is taken (RS-03).
pub(super) fn answer(
    offer: &SessionDescription,
    index: usize,
    local: &MsrpUri,
    origin: Origin,
    terms: Terms,
) -> Vec<u8> {
    sdp::answer(offer, index, local, origin, &ours(terms))
}

fn ours(terms: Terms) -> LocalMedia {
    LocalMedia {
        accept_types: vec![body::CPIM.to_owned()],
        accept_wrapped_types: WRAPPED.map(str::to_owned).to_vec(),
        max_size: Some(terms.max_size),
        chatroom: Some(Chatroom::FULL),
        fingerprint: terms.fingerprint,
        ..LocalMedia::default()
    }
}

fn media_of(stream: &MsrpMedia, role: Role) -> Result<Media, Unusable> {
    let (types, wrapped) = (&stream.accept_types, &stream.accept_wrapped_types);
    if !content::is_allowed(types, body::CPIM) {
        return Err(Unusable::NoCpim);
    }
    let takes_text = wrapped.is_empty() || content::is_allowed_wrapped(types, wrapped, body::PLAIN);
    Ok(Media {
        path: stream.path.clone(),
        role,
        takes_text,
        private_messages: stream.chatroom.is_some_and(|room| room.private_messages),
        max_size: stream.max_size,
    })
}

fn not_acceptable() -> Box<Reply> {
    let mut reply = Reply::new(Status::NOT_ACCEPTABLE_HERE);
    let warning = "305 stox \"only MSRP with message/cpim is possible in rooms\"".to_owned();
    reply.headers.push((Name::Warning, warning));
    Box::new(reply)
}
