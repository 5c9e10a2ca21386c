//! What SIP peers sent, in the core's terms.

use std::time::{Duration, SystemTime};

use stox_msrp::sdp::{
    Direction, Fingerprint, MsrpMedia, SessionDescription, answer_role, offerer_role,
};
use stox_msrp::uri::Scheme;
use stox_msrp::{SessionEvent, content};
use stox_msrp::{imdn, is_composing};
use stox_sip::{
    Headers, Name, NameAddr, Reply, Request, Response, ServerTransactionId, Status, Uri,
};

use crate::address::{self, Addresses, Jid};
use crate::body::{self, Content};
use crate::fault::Fault;
use crate::stamp;
use crate::text;
use crate::translate::{
    ChatEvent, ChatId, Invitation, Listening, Media, Paged, Rejection, Token, Unusable, Wrapping,
};

/// The offer of an INVITE, kept until it is answered: the description and the place of its chat stream.
pub type Offer = Option<(SessionDescription, usize)>;

/// An INVITE of this sender's for an XMPP user, if a chat can come of it over one of these schemes.
///
/// # Errors
/// The answer that refuses it: 400, 415 or 488.
pub fn invitation(
    request: &Request,
    from: &Uri,
    to: Jid,
    schemes: &[Scheme],
) -> Result<(Invitation, Offer), Box<Reply>> {
    let call_id = request
        .call_id()
        .map_err(|_| refuse(Status::BAD_REQUEST))?
        .to_owned();
    let from = with_device(from, request);
    if request.body.is_empty() {
        let invitation = Invitation {
            call_id,
            offer: None,
            from,
            to,
        };
        return Ok((invitation, None));
    }
    if !is_sdp(&request.headers) {
        let mut reply = refuse(Status::UNSUPPORTED_MEDIA_TYPE);
        reply
            .headers
            .push((Name::Accept, "application/sdp".to_owned()));
        return Err(reply);
    }
    let description =
        SessionDescription::parse(&request.body).map_err(|_| refuse(Status::BAD_REQUEST))?;
    let (index, media) = description.msrp_over(schemes).ok_or_else(not_acceptable)?;
    let offer = media_of(&media, answer_role(media.setup)).map_err(|_| not_acceptable())?;
    let invitation = Invitation {
        call_id,
        offer: Some(offer),
        from,
        to,
    };
    Ok((invitation, Some((description, index))))
}

/// A MESSAGE of this sender's for an XMPP user, if it is text of at most `max_size` bytes. `chat`: the session in whose dialog it came.
///
/// # Errors
/// The answer that refuses it: 400, 413 or 415; and 200 where it is not worth reading any more at `now` (IM-15).
pub fn page(
    transaction: ServerTransactionId,
    request: &Request,
    from: &Uri,
    chat: Option<ChatId>,
    max_size: u64,
    now: SystemTime,
) -> Result<Paged, Box<Reply>> {
    let bad = |_| refuse(Status::BAD_REQUEST);
    let call_id = request.call_id().map_err(bad)?.to_owned();
    let from = with_device(from, request);
    if request.body.len() as u64 > max_size {
        return Err(refuse(Status::REQUEST_ENTITY_TOO_LARGE));
    }
    let sent = request.headers.first(&Name::Date);
    let sent = sent.and_then(stamp::parse_date);
    let expires = request.headers.first(&Name::Expires);
    let expires: Option<u32> = expires.and_then(|seconds| seconds.trim().parse().ok());
    if let Some(seconds) = expires
        && sent
            .unwrap_or(now)
            .checked_add(Duration::from_secs(u64::from(seconds)))
            .is_some_and(|end| end <= now)
    {
        return Err(refuse(Status::OK));
    }
    let content_type = request.headers.first(&Name::ContentType);
    let mut content = body::read(content_type, &request.body).map_err(|_| {
        let mut reply = refuse(Status::UNSUPPORTED_MEDIA_TYPE);
        reply
            .headers
            .push((Name::Accept, body::ACCEPTED.to_owned()));
        reply
    })?;
    if let Content::Text(text) = &mut content {
        text.sent = text.sent.or(sent);
        let subject = request.headers.first(&Name::Subject);
        text.subject = text.subject.take().or(subject.map(str::to_owned));
        let lang = request.headers.all(&Name::ContentLanguage).next();
        text.lang = lang.filter(|lang| text::is_token(lang)).map(str::to_owned);
    }
    Ok(Paged {
        transaction,
        call_id,
        content,
        from,
        chat,
    })
}

/// 2xx to our INVITE. `scheme`: what we offered; an answer with another one is none (SEC-07).
pub fn answered(response: &Response, scheme: Scheme) -> ChatEvent {
    ChatEvent::Answered {
        media: answer_media(&response.body, scheme),
        device: response
            .contact()
            .ok()
            .and_then(|contact| device_of(&contact)),
    }
}

/// The ACK of our 2xx. An SDP in it answers an offer that our 2xx held.
pub fn acknowledged(request: &Request, scheme: Scheme) -> ChatEvent {
    ChatEvent::Acknowledged((!request.body.is_empty()).then(|| answer_media(&request.body, scheme)))
}

/// A final response of 300 or more (CORE-21, CORE-24).
pub fn rejection(response: &Response, addresses: &Addresses) -> Rejection {
    let fault = Fault::from_sip(response.status, &response.reason);
    let contact = response
        .contact()
        .ok()
        .and_then(|contact| addresses.new_address_for_xmpp(&contact.uri));
    Rejection {
        status: response.status.code(),
        fault: match contact {
            Some(address) => fault.with_address(address),
            None => fault,
        },
    }
}

/// What happened to an MSRP session, in the core's terms.
pub fn of_session(event: SessionEvent) -> ChatEvent {
    match event {
        SessionEvent::Bound => ChatEvent::Bound,
        SessionEvent::Accepted { token } => ChatEvent::Accepted(Token(token)),
        SessionEvent::Refused { token, status } => ChatEvent::Refused(Token(token), status),
        SessionEvent::Unanswered { token } => ChatEvent::Unanswered(Token(token)),
        SessionEvent::Reported {
            token,
            status,
            range,
        } => ChatEvent::Reported(Token(token), status, range),
        SessionEvent::Lost { cause } => {
            tracing::info!(%cause, "the MSRP session is lost");
            ChatEvent::Disconnected(cause)
        }
    }
}

/// The fingerprint in an answer: which certificate the peer shows.
pub fn fingerprint(body: &[u8], scheme: Scheme) -> Option<Fingerprint> {
    if scheme == Scheme::Msrp {
        return None;
    }
    let (_, media) = SessionDescription::parse(body).ok()?.msrp_over(&[scheme])?;
    media.fingerprint
}

/// The answer to a re-INVITE of ours: what it comes to, and which certificate the peer shows now.
pub fn renewed(body: &[u8], scheme: Scheme) -> (Result<Media, Unusable>, Option<Fingerprint>) {
    (answer_media(body, scheme), fingerprint(body, scheme))
}

fn answer_media(body: &[u8], scheme: Scheme) -> Result<Media, Unusable> {
    let description = SessionDescription::parse(body).map_err(|_| Unusable::Unreadable)?;
    let (_, media) = description.msrp_over(&[scheme]).ok_or(Unusable::NoMsrp)?;
    media_of(&media, offerer_role(media.setup))
}

/// CPIM where the peer puts it first or takes nothing else (CHAT-12).
pub(super) fn media_of(media: &MsrpMedia, role: stox_msrp::Role) -> Result<Media, Unusable> {
    let (types, wrapped) = (&media.accept_types, &media.accept_wrapped_types);
    let plain = content::is_allowed(types, body::PLAIN);
    // A peer that names nothing for the inside of CPIM is taken to read plain text there.
    let takes_cpim = content::is_allowed(types, body::CPIM);
    let cpim = takes_cpim
        && (wrapped.is_empty() || content::is_allowed_wrapped(types, wrapped, body::PLAIN));
    let cpim_first = types
        .first()
        .is_some_and(|first| content::is_type(first, body::CPIM));
    let wrapping = match (cpim, plain) {
        (true, _) if cpim_first => Wrapping::Cpim,
        (_, true) => Wrapping::Plain,
        (true, false) => Wrapping::Cpim,
        (false, false) => return Err(Unusable::NoText),
    };
    let composing = is_composing::MEDIA_TYPE;
    let takes_composing = match wrapping {
        Wrapping::Plain => content::is_allowed(types, composing),
        Wrapping::Cpim => content::is_allowed_wrapped(types, wrapped, composing),
    };
    Ok(Media {
        path: media.path.clone(),
        role,
        wrapping,
        max_size: media.max_size,
        takes_composing,
        takes_imdn: takes_cpim && content::is_allowed_wrapped(types, wrapped, imdn::MEDIA_TYPE),
        listening: match media.direction {
            Direction::SendRecv | Direction::RecvOnly => Listening::Listens,
            Direction::SendOnly | Direction::Inactive => Listening::OnHold,
        },
    })
}

/// The sender with its device: `gr` is looked for in Contact first, then in From (CORE-10).
/// That of somebody who is hidden is hidden, too (SEC-15).
fn with_device(sender: &Uri, request: &Request) -> Uri {
    if super::is_anonymous(sender) {
        return sender.clone();
    }
    let contact = request.contact().ok();
    let device = contact.and_then(|contact| device_of(&contact));
    let device = device.or_else(|| {
        // Most have nothing to be found there, and the reading of it is spared.
        let from = request.headers.first(&Name::From)?.as_bytes();
        let names_one = from
            .windows(2)
            .any(|letters| letters.eq_ignore_ascii_case(b"gr"));
        names_one
            .then(|| device_of(&request.from().ok()?))
            .flatten()
    });
    address::with_device(sender, device.as_deref())
}

/// `gr` belongs inside the angle brackets, but RFC 7573 and 7702 show it after them (CORE-08).
fn device_of(address: &NameAddr) -> Option<String> {
    let outside = || address.params.get("gr").flatten();
    address::device_of(&address.uri).or_else(|| address::device_of_value(outside()?))
}

fn is_sdp(headers: &Headers) -> bool {
    content::is_type(
        headers.first(&Name::ContentType).unwrap_or_default(),
        super::SDP_TYPE,
    )
}

fn not_acceptable() -> Box<Reply> {
    let mut reply = refuse(Status::NOT_ACCEPTABLE_HERE);
    let warning = "305 stox \"only MSRP chat with text/plain is possible here\"".to_owned();
    reply.headers.push((Name::Warning, warning));
    reply
}

fn refuse(status: Status) -> Box<Reply> {
    Box::new(Reply::new(status))
}

#[cfg(test)]
mod tests {
    use stox_sip::{Message, Method};

    use super::*;

    const BOTH: &[Scheme] = &[Scheme::Msrp, Scheme::Msrps];

    // SEC-07
    #[test]
    fn offers_are_taken_over_what_is_listened_for() {
        for (is_secure, schemes, is_taken) in [
            (true, &[Scheme::Msrps][..], true),
            (true, BOTH, true),
            (true, &[Scheme::Msrp], false),
            (false, &[Scheme::Msrp], true),
            (false, BOTH, true),
            (false, &[Scheme::Msrps], false),
        ] {
            let to = Jid::parse("juliet@example.com").unwrap();
            let from = "sip:romeo@example.net".parse().unwrap();
            match invitation(&invite(is_secure), &from, to, schemes) {
                Ok((_, offer)) => {
                    let (description, index) = offer.unwrap();
                    let media = description.msrp_at(index).unwrap();
                    assert_eq!(media.scheme() == Scheme::Msrps, is_secure);
                    assert_eq!(media.fingerprint.is_some(), is_secure);
                    assert!(is_taken, "{is_secure} {schemes:?}");
                }
                Err(reply) => {
                    assert_eq!(reply.status, Status::NOT_ACCEPTABLE_HERE);
                    assert!(!is_taken, "{is_secure} {schemes:?}");
                }
            }
        }
    }

    // SEC-07
    #[test]
    fn an_answer_without_tls_to_an_offer_with_it_is_none() {
        for is_secure in [true, false] {
            let body = sdp(is_secure);
            let media = answer_media(body.as_bytes(), Scheme::Msrps);
            assert_eq!(media.is_ok(), is_secure);
            let found = fingerprint(body.as_bytes(), Scheme::Msrps);
            assert_eq!(found.is_some(), is_secure);
            assert_eq!(
                answer_media(body.as_bytes(), Scheme::Msrp).is_ok(),
                !is_secure
            );
        }
    }

    // IM-15
    #[test]
    fn an_old_message_says_so_and_an_expired_one_is_dropped() {
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(1_289_690_940);
        for (headers, after, is_shown) in [
            ("", 0, true),
            ("Expires: 60\r\n", 1000, true),
            ("Expires: 0\r\n", 0, false),
            ("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", 1000, true),
            (
                "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\nExpires: 60\r\n",
                59,
                true,
            ),
            (
                "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\nExpires: 60\r\n",
                60,
                false,
            ),
            ("Expires: soon\r\n", 0, true),
        ] {
            let text = format!(
                "MESSAGE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
                 From: <sip:romeo@example.net>;tag=1\r\nTo: <sip:juliet@example.com>\r\nCall-ID: 1\r\n\
                 CSeq: 1 MESSAGE\r\n{headers}Content-Type: text/plain\r\nContent-Length: 4\r\n\r\ntext"
            );
            let request = match Message::parse_datagram(text.into()) {
                Ok(Message::Request(request)) => request,
                other => panic!("{other:?}"),
            };
            let romeo = "sip:romeo@example.net".parse().unwrap();
            let transaction = ServerTransactionId::from_number(1);
            let now = sent + Duration::from_secs(after);
            match page(transaction, &request, &romeo, None, 9000, now) {
                Ok(Paged {
                    content: Content::Text(text),
                    ..
                }) => {
                    assert!(is_shown, "{headers}");
                    assert_eq!(text.sent.is_some(), headers.contains("Date"));
                }
                Ok(other) => panic!("{other:?}"),
                Err(reply) => {
                    assert_eq!((is_shown, reply.status), (false, Status::OK), "{headers}");
                }
            }
        }
    }

    fn invite(is_secure: bool) -> Request {
        let body = sdp(is_secure);
        let text = format!(
            "INVITE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:romeo@example.net>;tag=1\r\nTo: <sip:juliet@example.com>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:romeo@192.0.2.1>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        match Message::parse_datagram(text.into()) {
            Ok(Message::Request(request)) if request.method == Method::Invite => request,
            other => panic!("{other:?}"),
        }
    }

    fn sdp(is_secure: bool) -> String {
        let (proto, scheme) = match is_secure {
            true => ("TCP/TLS/MSRP", "msrps"),
            false => ("TCP/MSRP", "msrp"),
        };
        let fingerprint = match is_secure {
            true => format!("a=fingerprint:sha-256 {}\r\n", vec!["AB"; 32].join(":")),
            false => String::new(),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=message 2855 {proto} *\r\na=path:{scheme}://192.0.2.1:2855/abcd;tcp\r\n\
             a=accept-types:text/plain\r\n{fingerprint}"
        )
    }
}
