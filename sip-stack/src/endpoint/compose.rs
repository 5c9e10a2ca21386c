//! Writes our own header fields: nobody else writes them, and none is written twice (SIP-17).

use std::fmt;

use super::capabilities::Capabilities;
use super::command::{Invite, LocalContact, OutgoingRequest, Reply};
use crate::dialog::MAX_FORWARDS;
use crate::text::Written;
use crate::{
    CSeq, Headers, Host, Method, Name, NameAddr, Request, Response, Scheme, Text, Transport, Uri,
};

/// Fields of most requests of ours.
const TYPICAL_FIELDS: usize = 12;

/// Bytes of most From, To and CSeq together.
const TYPICAL_VALUES: usize = 256;

/// What a request outside of a dialog is made from.
pub(super) struct Identity<'a> {
    pub(super) call_id: &'a str,
    pub(super) from_tag: &'a str,
    pub(super) cseq: u32,
}

pub(super) fn invite(
    invite: Invite,
    identity: &Identity<'_>,
    capabilities: &Capabilities,
) -> (Request, LocalContact) {
    let mut request = base(
        Method::Invite,
        invite.target,
        &invite.from,
        &invite.to,
        identity,
    );
    add_user_headers(&mut request, invite.headers, capabilities);
    if !invite.body.is_empty() {
        request = request.with_body(invite.content_type, invite.body);
    }
    (request, invite.contact)
}

pub(super) fn request(
    outgoing: OutgoingRequest,
    identity: &Identity<'_>,
    capabilities: &Capabilities,
) -> (Request, Option<LocalContact>) {
    let mut request = base(
        outgoing.method,
        outgoing.target,
        &outgoing.from,
        &outgoing.to,
        identity,
    );
    add_user_headers(&mut request, outgoing.headers, capabilities);
    if !outgoing.body.is_empty() {
        request = request.with_body(outgoing.content_type, outgoing.body);
    }
    (request, outgoing.contact)
}

/// Adds the user's fields and ours to a request; also to one inside a dialog.
pub(super) fn add_user_headers(
    request: &mut Request,
    headers: Vec<(Name, String)>,
    capabilities: &Capabilities,
) {
    for (name, value) in headers {
        if !is_ours(&name) {
            add_once(&mut request.headers, name, value);
        }
    }
    capabilities.tell_in_request(request);
}

/// Of a field that may be there once only, the first stays.
fn add_once(headers: &mut Headers, name: Name, value: String) {
    if may_repeat(&name) || headers.first(&name).is_none() {
        headers.push(name, value);
    }
}

fn may_repeat(name: &Name) -> bool {
    name.is_list()
        || matches!(
            name,
            Name::Authorization
                | Name::ProxyAuthorization
                | Name::WwwAuthenticate
                | Name::ProxyAuthenticate
                | Name::Other(_)
        )
}

/// Turns the skeleton of a response into the response that a reply asks for.
pub(super) fn response(
    mut response: Response,
    method: &Method,
    reply: Reply,
    contact: Option<NameAddr>,
    capabilities: &Capabilities,
) -> Response {
    response.status = reply.status;
    response.reason = reply
        .reason
        .map_or(Text::from_static(reply.status.reason()), Text::from);
    if reply.status.code() >= 300 {
        response.headers.remove(&Name::RecordRoute);
    }
    if let Some(contact) = contact {
        response
            .headers
            .push(Name::Contact, Text::written(&contact));
    }
    for (name, value) in reply.headers {
        if !is_ours(&name) || (name == Name::Contact && reply.status.code() >= 300) {
            add_once(&mut response.headers, name, value);
        }
    }
    capabilities.tell_in_response(method, &mut response);
    if !reply.body.is_empty() {
        response = response.with_body(reply.content_type.unwrap_or_default(), reply.body);
    }
    response
}

/// The CANCEL or the ACK for a rejection that belongs to a sent INVITE: on its branch and its route.
/// RFC 3261 §9.1, §17.1.1.3.
pub(super) fn follow_up(invite: &Request, method: Method, to: Option<&str>) -> Option<Request> {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    let via = invite.headers.all(&Name::Via).next()?;
    request.headers.push(Name::Via, via);
    request
        .headers
        .push(Name::MaxForwards, Text::from_static(MAX_FORWARDS));
    for route in invite.headers.fields(&Name::Route) {
        request.headers.push(Name::Route, route);
    }
    request
        .headers
        .push(Name::From, invite.headers.first(&Name::From)?);
    request
        .headers
        .push(Name::To, to.or_else(|| invite.headers.first(&Name::To))?);
    request
        .headers
        .push(Name::CallId, invite.headers.first(&Name::CallId)?);
    request.headers.push(
        Name::CSeq,
        Text::written(&CSeq::new(invite.cseq().ok()?.number, method.clone())),
    );
    if method == Method::Ack {
        request.headers.extend(credentials(invite));
    }
    Some(request)
}

/// The credentials of an INVITE, which its ACK has to bear too. RFC 3261 §22.1.
pub(super) fn credentials(invite: &Request) -> Vec<(Name, Text)> {
    let fields = invite.headers.iter();
    fields
        .filter(|(name, _)| matches!(name, Name::Authorization | Name::ProxyAuthorization))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Our Contact as it is reached over this transport.
pub(super) fn contact(
    contact: &LocalContact,
    scheme: Scheme,
    (host, port): (Host, Option<u16>),
    transport: Transport,
) -> NameAddr {
    // `sips` says TLS already. RFC 5630 §3.1.3.
    let says_transport = match transport {
        Transport::Udp => false,
        Transport::Tcp => true,
        Transport::Tls => scheme != Scheme::Sips,
    };
    let mut uri = Uri::new(scheme, contact.user.as_deref(), host).with_port(port);
    if says_transport {
        uri = uri.with_param("transport", Some(transport.as_param()));
    }
    for (name, value) in &contact.uri_params {
        uri = uri.with_param(name, value.as_deref());
    }
    contact
        .params
        .iter()
        .fold(NameAddr::new(uri), |contact, (name, value)| {
            contact.with_param(name, value.as_deref())
        })
}

fn base(
    method: Method,
    target: Uri,
    from: &NameAddr,
    to: &NameAddr,
    identity: &Identity<'_>,
) -> Request {
    let cseq = CSeq::new(identity.cseq, method.clone());
    let mut request = Request::new(method, target.without_headers());
    request.headers = Headers::with_capacity(TYPICAL_FIELDS);
    let headers = &mut request.headers;
    headers.push(Name::MaxForwards, Text::from_static(MAX_FORWARDS));
    let [from, to, cseq] = written_as_one(&Tagged(from, identity.from_tag), to, &cseq);
    headers.push(Name::From, from);
    headers.push(Name::To, to);
    headers.push(Name::CallId, identity.call_id);
    headers.push(Name::CSeq, cseq);
    request
}

/// Three values cut from one text, which costs less than three.
fn written_as_one(one: &impl Written, two: &impl Written, three: &impl Written) -> [Text; 3] {
    let mut text = String::with_capacity(TYPICAL_VALUES);
    // Writing to a String cannot fail.
    let _ = one.write(&mut text);
    let end_of_one = text.len();
    let _ = two.write(&mut text);
    let end_of_two = text.len();
    let _ = three.write(&mut text);
    let text = Text::from(text);
    let cut = |part: Option<&str>| text.cut(part.unwrap_or_default());
    [
        cut(text.get(..end_of_one)),
        cut(text.get(end_of_one..end_of_two)),
        cut(text.get(end_of_two..)),
    ]
}

/// An address with another tag than it has, if any.
struct Tagged<'a>(&'a NameAddr, &'a str);

impl Written for Tagged<'_> {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Tagged(address, tag) = self;
        if address.params.contains("tag") {
            return NameAddr::clone(address).with_tag(tag).write(out);
        }
        address.write(out)?;
        out.write_str(";tag=")?;
        out.write_str(tag)
    }
}

/// Fields that only the endpoint writes.
fn is_ours(name: &Name) -> bool {
    matches!(
        name,
        Name::Via
            | Name::From
            | Name::To
            | Name::CallId
            | Name::CSeq
            | Name::MaxForwards
            | Name::Contact
            | Name::ContentLength
            | Name::ContentType
            | Name::RecordRoute
    )
}
