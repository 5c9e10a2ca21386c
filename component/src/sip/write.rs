//! What SIP peers are sent: headers, bodies and refusals.

use stox_msrp::sdp::{self, LocalMedia, Origin, SessionDescription, Setup};
use stox_msrp::{ByteRange, MsrpUri, Report};
use stox_sip::{Method, Name, NameAddr, Reply, Request, Status};

use crate::address::{Addresses, Jid, xmpp_uri};
use crate::body;
use crate::fault::{Addressee, Fault};
use crate::text;
use crate::translate::Reason;

/// Content-Type of the MESSAGEs we send (IM-01).
pub const PAGE_TYPE: &str = "text/plain;charset=UTF-8";

/// Content-Type of session descriptions.
pub const SDP_TYPE: &str = "application/sdp";

/// An MSRP offer (T11).
pub fn offer(local: &MsrpUri, max_size: u64) -> Vec<u8> {
    sdp::offer(local, origin(), &media(max_size))
}

/// The answer to an offer whose stream at `index` is taken (T11, NEG-06).
pub fn answer(offer: &SessionDescription, index: usize, local: &MsrpUri, max_size: u64) -> Vec<u8> {
    sdp::answer(offer, index, local, origin(), &media(max_size))
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
        (Name::Subject, text::for_header(subject).into_owned()),
        (Name::Other("XMPP-Contact".into()), contact),
    ];
    if text::is_token(thread) {
        headers.push((Name::Other("XMPP-Thread".into()), thread.to_owned()));
    }
    headers
}

/// The headers of a MESSAGE beside those every request has (T3).
pub fn page_headers(subject: Option<&str>, lang: Option<&str>) -> Vec<(Name, String)> {
    let subject = subject.map(|subject| (Name::Subject, text::for_header(subject).into_owned()));
    let lang = lang
        .filter(|lang| text::is_token(lang))
        .map(|lang| (Name::ContentLanguage, lang.to_owned()));
    subject.into_iter().chain(lang).collect()
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

/// A REPORT that takes a 200 back (RCPT-10).
pub fn failure_report(message_id: String, length: usize, status: u16) -> Report {
    Report {
        message_id,
        range: ByteRange::of(length),
        status,
    }
}

/// The answer to a re-INVITE or UPDATE: a refresh is confirmed with what stands, a change is refused (CHAT-31).
pub fn refresh(request: &Request, local: &MsrpUri, peer: &[MsrpUri], max_size: u64) -> Reply {
    let mut reply = Reply::new(Status::OK);
    if request.body.is_empty() {
        if request.method == Method::Invite {
            reply.content_type = Some(SDP_TYPE.to_owned());
            reply.body = offer(local, max_size).into();
        }
        return reply;
    }
    let unchanged = SessionDescription::parse(&request.body)
        .ok()
        .and_then(|description| {
            let (index, media) = description.msrp()?;
            (media.path == peer).then(|| answer(&description, index, local, max_size))
        });
    match unchanged {
        Some(body) => {
            reply.content_type = Some(SDP_TYPE.to_owned());
            reply.body = body.into();
            reply
        }
        None => Reply::new(Status::NOT_ACCEPTABLE_HERE),
    }
}

fn media(max_size: u64) -> LocalMedia {
    LocalMedia {
        accept_types: body::TYPES.map(str::to_owned).to_vec(),
        accept_wrapped_types: body::WRAPPED_TYPES.map(str::to_owned).to_vec(),
        max_size: Some(max_size),
        setup: Setup::ActPass,
        chatroom: None,
    }
}

/// One description per session: nothing in it changes later.
fn origin() -> Origin {
    Origin {
        id: u64::from(rand::random::<u32>()),
        version: 1,
    }
}
