//! What is checked before a request is acted on. RFC 3261 §8.2; SIP-06, SIP-07.

use super::capabilities::{Capabilities, IDENTITY};
use super::config::SipsRequests;
use crate::message::{BodyFault, check_body};
use crate::{Host, Method, Name, Request, Scheme, Status};

/// Accepted in Require without being listed in Supported: provisional responses are made reliable for
/// peers that require it, and for no others. RFC 3262 §3.
pub(super) const RELIABLE_PROVISIONALS: &str = "100rel";

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 405 with Allow.
    Method,
    /// 416.
    Scheme,
    /// 483.
    TooManyHops,
    /// 480 with Warning 380.
    Sips,
    /// 420 with these in Unsupported.
    Extensions(Vec<String>),
    /// 415 with Accept.
    Type,
    /// 415 with Accept-Encoding.
    Encoding,
    /// 400.
    Multipart,
}

impl Refusal {
    pub(super) fn status(&self) -> Status {
        match self {
            Refusal::Method => Status::METHOD_NOT_ALLOWED,
            Refusal::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            Refusal::TooManyHops => Status::TOO_MANY_HOPS,
            Refusal::Sips => Status::TEMPORARILY_UNAVAILABLE,
            Refusal::Extensions(_) => Status::BAD_EXTENSION,
            Refusal::Type | Refusal::Encoding => Status::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Multipart => Status::BAD_REQUEST,
        }
    }

    /// What the sender is told beside the status. `host`: who we are.
    pub(super) fn header(self, host: &Host) -> Option<(Name, String)> {
        match self {
            Refusal::Extensions(unknown) => Some((Name::Unsupported, unknown.join(", "))),
            Refusal::Sips => Some((Name::Warning, format!("380 {host} \"SIPS Not Allowed\""))),
            Refusal::Encoding => Some((Name::AcceptEncoding, IDENTITY.to_owned())),
            // Allow and Accept are told with the status.
            Refusal::Method
            | Refusal::Scheme
            | Refusal::TooManyHops
            | Refusal::Type
            | Refusal::Multipart => None,
        }
    }
}

/// In the order in which RFC 3261 §8.2 names them.
pub(super) fn check(
    request: &Request,
    capabilities: &Capabilities,
    sips: SipsRequests,
) -> Result<(), Refusal> {
    if !capabilities.takes(&request.method) {
        return Err(Refusal::Method);
    }
    if !matches!(
        request.uri.scheme(),
        Scheme::Sip | Scheme::Sips | Scheme::Im | Scheme::Pres
    ) {
        return Err(Refusal::Scheme);
    }
    let to = request.headers.read_address(&Name::To);
    let is_outside = to.is_none_or(|to| to.tag().is_none());
    let is_sips = *request.uri.scheme() == Scheme::Sips
        || to.is_some_and(|to| *to.uri.scheme() == Scheme::Sips);
    if is_outside && is_sips && sips == SipsRequests::Refused {
        return Err(Refusal::Sips);
    }
    // OPTIONS may ask who stands at the last hop. RFC 3261 §11.
    let hops = request.headers.first(&Name::MaxForwards).map(str::trim);
    if hops == Some("0") && request.method != Method::Options {
        return Err(Refusal::TooManyHops);
    }
    if !matches!(request.method, Method::Ack | Method::Cancel) {
        let unknown: Vec<String> = request
            .headers
            .all(&Name::Require)
            .filter(|tag| !tag.is_empty() && !is_supported(tag, capabilities))
            .map(str::to_owned)
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::Extensions(unknown));
        }
    }
    check_content(request, capabilities)
}

/// Whether we can take the body. In NOTIFY that depends on what was subscribed to; what ends or acknowledges something
/// does so whatever it brings. RFC 3261 §8.2.3.
fn check_content(request: &Request, capabilities: &Capabilities) -> Result<(), Refusal> {
    let accepted = match request.method {
        Method::Ack | Method::Cancel | Method::Bye => return Ok(()),
        Method::Prack | Method::Notify | Method::Subscribe | Method::Refer => &[],
        Method::Invite
        | Method::Update
        | Method::Message
        | Method::Options
        | Method::Info
        | Method::Register
        | Method::Publish
        | Method::Extension(_) => capabilities.accepted_types(),
    };
    check_body(&request.headers, &request.body, accepted).map_err(|fault| match fault {
        BodyFault::Type => Refusal::Type,
        BodyFault::Encoding => Refusal::Encoding,
        BodyFault::Malformed(_) => Refusal::Multipart,
    })
}

fn is_supported(tag: &str, capabilities: &Capabilities) -> bool {
    tag.eq_ignore_ascii_case(RELIABLE_PROVISIONALS) || capabilities.supports(tag)
}
