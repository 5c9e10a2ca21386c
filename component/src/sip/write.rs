//! What SIP peers are sent: headers, bodies and refusals.

use std::time::SystemTime;

use stox_msrp::sdp::{
    self, Direction, Fingerprint, LocalMedia, Origin, SessionDescription, answer_role,
};
use stox_msrp::uri::Scheme;
use stox_msrp::{ByteRange, MsrpUri, Report};
use stox_sip::{Method, Name, NameAddr, Reply, Request, Status};

use super::read::media_of;
use crate::address::{Addresses, Jid, xmpp_uri};
use crate::body;
use crate::fault::{Addressee, Fault};
use crate::stamp;
use crate::text;
use crate::translate::{Media, Reason};

/// Bytes of the longest Subject and the longest XMPP-Thread written: headers share their connection with others.
const SUBJECT: usize = 200;
const THREAD: usize = 128;

/// Content-Type of session descriptions.
pub const SDP_TYPE: &str = "application/sdp";

/// What all our session descriptions say.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The largest MSRP message taken, in bytes.
    pub max_size: u64,
    /// Of our certificate; told where the session is to be secure (SEC-07).
    pub fingerprint: Option<Fingerprint>,
}

/// An MSRP offer (T11).
pub fn offer(local: &MsrpUri, origin: Origin, terms: Terms) -> Vec<u8> {
    sdp::offer(local, origin, &media(terms))
}

/// The answer to an offer whose stream at `index` is taken (T11, NEG-06).
pub fn answer(
    offer: &SessionDescription,
    index: usize,
    local: &MsrpUri,
    origin: Origin,
    terms: Terms,
) -> Vec<u8> {
    let offered = offer.msrp_at(index).map(|media| media.direction);
    let media = LocalMedia {
        direction: mirrored(offered.unwrap_or_default()),
        ..media(terms)
    };
    sdp::answer(offer, index, local, origin, &media)
}

/// The headers of a chat INVITE beside those every request has (CHAT-02, CORR-02 to CORR-04). `juliet`: the XMPP user's
/// full JID.
pub fn chat_headers(
    subject: &str,
    thread: &str,
    juliet: &Jid,
    call_id: &str,
) -> Vec<(Name, String)> {
    let contact = format!("<{}>;{call_id}", xmpp_uri(juliet));
    let mut headers = vec![
        (Name::Subject, subject_of(subject)),
        (Name::Other("XMPP-Contact".into()), contact),
    ];
    if thread.len() <= THREAD && text::is_token(thread) {
        headers.push((Name::Other("XMPP-Thread".into()), thread.to_owned()));
    }
    headers
}

/// The headers of a MESSAGE beside those every request has (T3).
pub fn page_headers(
    subject: Option<&str>,
    lang: Option<&str>,
    sent: Option<SystemTime>,
) -> Vec<(Name, String)> {
    let subject = subject.map(|subject| (Name::Subject, subject_of(subject)));
    let lang = lang
        .filter(|lang| text::is_token(lang))
        .map(|lang| (Name::ContentLanguage, lang.to_owned()));
    let date = sent.map(|sent| (Name::Date, stamp::format_date(sent)));
    subject.into_iter().chain(lang).chain(date).collect()
}

/// The Reason header of a BYE (RFC 3326).
pub fn reason_header(reason: Reason) -> Vec<(Name, String)> {
    let reason = match reason {
        Reason::Left => return Vec::new(),
        Reason::Refused(status) => format!("SIP;cause={status}"),
        Reason::MediaLost => "SIP;cause=480;text=\"no MSRP connection\"".to_owned(),
        Reason::ShuttingDown => "SIP;cause=503;text=\"the gateway shuts down\"".to_owned(),
    };
    vec![(Name::Reason, reason)]
}

/// The final response that gives a request back (T8). A new address that SIP cannot name is not told (CORE-20).
pub fn refusal(
    fault: &Fault,
    addressee: Addressee,
    method: &Method,
    addresses: &Addresses,
) -> Reply {
    let status = fault.to_sip(addressee, method);
    let mut reply = Reply::new(status);
    reply.reason = fault.reason().map(|reason| reason.into_owned());
    if matches!(
        status,
        Status::MOVED_PERMANENTLY | Status::MOVED_TEMPORARILY
    ) {
        match fault
            .address()
            .and_then(|address| addresses.new_address_for_sip(address))
        {
            Some(uri) => reply
                .headers
                .push((Name::Contact, NameAddr::from(uri).to_string())),
            None => reply.status = Status::GONE,
        }
    }
    reply
}

/// A REPORT about a whole message (RCPT-04, RCPT-10).
pub fn report(message_id: String, length: usize, status: u16) -> Report {
    Report {
        message_id,
        range: ByteRange::of(length),
        status,
    }
}

/// What a re-INVITE, or an UPDATE with an offer, comes to (CHAT-31).
pub enum Change {
    /// It has no offer and asks for ours.
    Asks,
    /// A chat as before, or moved, held or resumed.
    Offers {
        /// The offer.
        description: Box<SessionDescription>,
        /// Which of its streams is the chat.
        index: usize,
        /// What that comes to.
        media: Media,
        /// Which certificate the peer shows.
        fingerprint: Option<Fingerprint>,
    },
    /// The MSRP stream is taken out: with it the chat ends.
    Removed(Box<SessionDescription>),
    /// Something that is not done here: all stays as it was.
    Refused(Reply),
}

/// Reads a re-INVITE or UPDATE of a session over this scheme, which must stay (SEC-07).
pub fn change(request: &Request, scheme: Scheme) -> Change {
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
            false => Change::Refused(Reply::new(Status::NOT_ACCEPTABLE_HERE)),
        };
    };
    match media_of(&stream, answer_role(stream.setup)) {
        Ok(media) => Change::Offers {
            description: Box::new(description),
            index,
            media,
            fingerprint: stream.fingerprint,
        },
        Err(_) => Change::Refused(Reply::new(Status::NOT_ACCEPTABLE_HERE)),
    }
}

/// A 200 with a description of ours.
pub fn description(body: Vec<u8>) -> Reply {
    let mut reply = Reply::new(Status::OK);
    reply.content_type = Some(SDP_TYPE.to_owned());
    reply.body = body.into();
    reply
}

/// The answer that takes none of the streams.
pub fn decline_all(offer: &SessionDescription, local: &MsrpUri, origin: Origin) -> Vec<u8> {
    sdp::answer(offer, usize::MAX, local, origin, &LocalMedia::default())
}

/// The direction of an answer to an offer with that one (CHAT-32). RFC 3264 §6.1.
fn mirrored(offered: Direction) -> Direction {
    match offered {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::SendRecv | Direction::Inactive => offered,
    }
}

fn media(terms: Terms) -> LocalMedia {
    LocalMedia {
        accept_types: body::TYPES.map(str::to_owned).to_vec(),
        accept_wrapped_types: body::WRAPPED_TYPES.map(str::to_owned).to_vec(),
        max_size: Some(terms.max_size),
        fingerprint: terms.fingerprint,
        ..LocalMedia::default()
    }
}

fn subject_of(subject: &str) -> String {
    text::truncate(&text::for_header(subject), SUBJECT).to_owned()
}

/// The origin of a new session's descriptions; nothing in them changes later.
pub fn origin() -> Origin {
    Origin {
        id: u64::from(rand::random::<u32>()),
        version: 1,
    }
}

#[cfg(test)]
mod tests {
    use stox_sip::Message;

    use super::*;
    use crate::translate::Listening;

    fn request(method: &str, lines: &str) -> Request {
        let body = match lines {
            "" => String::new(),
            lines => format!(
                "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}"
            ),
        };
        let text = format!(
            "{method} sip:juliet@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:romeo@example.net>;tag=1\r\nTo: <sip:juliet@example.com>;tag=2\r\nCall-ID: 1\r\n\
             CSeq: 2 {method}\r\nContact: <sip:romeo@192.0.2.1>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        match Message::parse_datagram(text.into()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    const CHAT: &str = "m=message 2855 TCP/MSRP *\r\na=path:msrp://192.0.2.1:2855/abcd;tcp\r\n\
                        a=accept-types:text/plain\r\n";

    // CHAT-31 CHAT-32 CHAT-36 SEC-07
    #[test]
    fn changes_of_the_peer() {
        let change_of = |method: &str, lines: &str| change(&request(method, lines), Scheme::Msrp);
        assert!(matches!(change_of("INVITE", ""), Change::Asks));
        for (direction, listening) in [
            ("", Listening::Listens),
            ("a=sendrecv\r\n", Listening::Listens),
            ("a=recvonly\r\n", Listening::Listens),
            ("a=sendonly\r\n", Listening::OnHold),
            ("a=inactive\r\n", Listening::OnHold),
        ] {
            let Change::Offers { media, .. } = change_of("UPDATE", &format!("{CHAT}{direction}"))
            else {
                panic!("{direction}");
            };
            assert_eq!(media.listening, listening, "{direction}");
        }
        let removed = CHAT.replace("2855 TCP", "0 TCP");
        assert!(matches!(change_of("INVITE", &removed), Change::Removed(_)));
        for refused in [
            format!("{CHAT}a=file-selector:name:\"a.txt\"\r\n"),
            CHAT.replace("TCP/MSRP", "TCP/TLS/MSRP")
                .replace("msrp:", "msrps:"),
            CHAT.replace("text/plain", "image/png"),
        ] {
            let change = change_of("INVITE", &refused);
            assert!(matches!(change, Change::Refused(_)), "{refused}");
        }
    }

    // CHAT-31: what is added beside the chat is declined, in its place, and what is asked of us is mirrored (CHAT-32)
    #[test]
    fn answers_keep_the_lines_of_the_offer() {
        let offer = format!("m=audio 4000 RTP/AVP 0\r\n{CHAT}a=sendonly\r\n");
        let Change::Offers {
            description, index, ..
        } = change(&request("INVITE", &offer), Scheme::Msrp)
        else {
            panic!();
        };
        let local = "msrp://192.0.2.2:2855/wxyz;tcp".parse().unwrap();
        let origin = Origin { id: 1, version: 1 };
        let terms = Terms {
            max_size: 9000,
            fingerprint: None,
        };
        let answer = String::from_utf8(answer(&description, index, &local, origin, terms)).unwrap();
        let lines: Vec<_> = answer
            .lines()
            .filter(|line| line.starts_with("m="))
            .collect();
        assert_eq!(lines, ["m=audio 0 RTP/AVP 0", "m=message 2855 TCP/MSRP *"]);
        assert!(answer.contains("a=recvonly\r\n"), "{answer}");
        let declined = decline_all(&description, &local, origin);
        let declined = String::from_utf8(declined).unwrap();
        assert!(declined.contains("m=message 0 TCP/MSRP *"), "{declined}");
    }
}
