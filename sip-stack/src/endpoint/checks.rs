//! What is checked before a request is acted on. RFC 3261 §8.2; SIP-06, SIP-07.

use super::compose::ALLOWED;
use super::config::{EndpointConfig, SipsRequests};
use crate::{Method, Name, Request, Scheme, Status};

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
}

impl Refusal {
    pub(super) fn status(&self) -> Status {
        match self {
            Refusal::Method => Status::METHOD_NOT_ALLOWED,
            Refusal::Scheme => Status::UNSUPPORTED_URI_SCHEME,
            Refusal::TooManyHops => Status::TOO_MANY_HOPS,
            Refusal::Sips => Status::TEMPORARILY_UNAVAILABLE,
            Refusal::Extensions(_) => Status::BAD_EXTENSION,
        }
    }
}

/// In the order in which RFC 3261 §8.2 names them.
pub(super) fn check(request: &Request, config: &EndpointConfig) -> Result<(), Refusal> {
    if !ALLOWED.contains(&request.method) {
        return Err(Refusal::Method);
    }
    if !matches!(
        request.uri.scheme(),
        Scheme::Sip | Scheme::Sips | Scheme::Im | Scheme::Pres
    ) {
        return Err(Refusal::Scheme);
    }
    let to = request.to().ok();
    let is_outside = to.as_ref().is_none_or(|to| to.tag().is_none());
    let is_sips = *request.uri.scheme() == Scheme::Sips
        || to.is_some_and(|to| *to.uri.scheme() == Scheme::Sips);
    if is_outside && is_sips && config.sips == SipsRequests::Refused {
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
            .filter(|tag| !tag.is_empty() && !is_supported(tag, config))
            .map(str::to_owned)
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::Extensions(unknown));
        }
    }
    Ok(())
}

fn is_supported(tag: &str, config: &EndpointConfig) -> bool {
    tag.eq_ignore_ascii_case(RELIABLE_PROVISIONALS)
        || config
            .supported
            .iter()
            .any(|supported| supported.eq_ignore_ascii_case(tag))
}
