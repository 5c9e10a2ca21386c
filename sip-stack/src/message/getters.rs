//! The typed values of header fields. Each says whether its field is missing or malformed.

use super::{Message, Request, Response};
use crate::grammar;
use crate::header::{
    CSeq, EventPackage, HeaderError, Headers, Name, NameAddr, RAck, Replaces, SessionExpires,
    SubscriptionState, Via, WithParams,
};
use crate::text::Text;

macro_rules! getters {
    ($($(#[$doc:meta])* $getter:ident -> $type:ty = $read:ident($name:ident);)*) => {
        impl Headers {
            $($(#[$doc])* pub fn $getter(&self) -> Result<$type, HeaderError> { $read(self, Name::$name) })*
        }

        impl Request {
            $($(#[$doc])* pub fn $getter(&self) -> Result<$type, HeaderError> { self.headers.$getter() })*
        }

        impl Response {
            $($(#[$doc])* pub fn $getter(&self) -> Result<$type, HeaderError> { self.headers.$getter() })*
        }

        impl Message {
            $($(#[$doc])* pub fn $getter(&self) -> Result<$type, HeaderError> { self.headers().$getter() })*
        }
    };
}

getters! {
    /// Who sent the request. RFC 3261 §20.20.
    from -> NameAddr = address(From);
    /// To whom the request goes. RFC 3261 §20.39.
    to -> NameAddr = address(To);
    /// The Call-ID. RFC 3261 §20.8.
    call_id -> &str = text(CallId);
    /// Number and method. RFC 3261 §20.16.
    cseq -> CSeq = cseq(CSeq);
    /// The hop that sent the request last. RFC 3261 §20.42.
    top_via -> Via = via(Via);
    /// All hops, the last one first. RFC 3261 §20.42.
    vias -> Vec<Via> = vias(Via);
    /// The first Contact. `*` is malformed. RFC 3261 §20.10.
    contact -> NameAddr = address(Contact);
    /// Every Contact; none is not an error. RFC 3261 §20.10.
    contacts -> Vec<NameAddr> = addresses(Contact);
    /// The proxies that the request is still to visit; none is not an error. RFC 3261 §20.34.
    routes -> Vec<NameAddr> = addresses(Route);
    /// The proxies that want to stay in the dialog, the last one first; none is not an error. RFC 3261 §20.30.
    record_routes -> Vec<NameAddr> = addresses(RecordRoute);
    /// How many more hops are allowed. RFC 3261 §20.22.
    max_forwards -> u8 = small_number(MaxForwards);
    /// The media type of the body: `type/subtype` and parameters. RFC 3261 §20.15.
    content_type -> WithParams = with_params(ContentType);
    /// What the body is for. RFC 3261 §20.11.
    content_disposition -> WithParams = with_params(ContentDisposition);
    /// Seconds; a number too large counts as the largest. RFC 3261 §20.19.
    expires -> u32 = seconds(Expires);
    /// Seconds. RFC 3261 §20.23.
    min_expires -> u32 = seconds(MinExpires);
    /// Seconds until the next attempt; comment and parameters are left out. RFC 3261 §20.33.
    retry_after -> u32 = seconds(RetryAfter);
    /// The event package and its `id`. RFC 6665 §8.2.1.
    event -> EventPackage = event(Event);
    /// The event packages the sender supports; none is not an error. RFC 6665 §8.2.2.
    allow_events -> Vec<Text> = tokens(AllowEvents);
    /// The state of a subscription with `reason`, `expires`, `retry-after`. RFC 6665 §8.2.3.
    subscription_state -> SubscriptionState = subscription_state(SubscriptionState);
    /// To whom the receiver is referred. RFC 3515 §2.1.
    refer_to -> NameAddr = address(ReferTo);
    /// Who refers. RFC 3892 §3.
    referred_by -> NameAddr = address(ReferredBy);
    /// The dialog to be replaced. RFC 3891 §6.1.
    replaces -> Replaces = replaces(Replaces);
    /// Why the request was sent: protocol with `cause` and `text`, the first of them. RFC 3326 §2.
    reason_header -> WithParams = with_params(Reason);
    /// How long the session lasts, and who refreshes it. RFC 4028 §4.
    session_expires -> SessionExpires = session_expires(SessionExpires);
    /// Seconds. RFC 4028 §5.
    min_se -> u32 = seconds(MinSe);
    /// Number of a reliable provisional response. RFC 3262 §7.1.
    rseq -> u32 = number(RSeq);
    /// Number of the provisional response that is acknowledged, and the CSeq of its request. RFC 3262 §7.2.
    rack -> RAck = rack(RAck);
    /// The identities that a trusted network vouches for; none is not an error. RFC 3325 §9.1.
    asserted_identities -> Vec<NameAddr> = addresses(PAssertedIdentity);
}

/// Reads the first value of that name.
fn first<T>(
    headers: &Headers,
    name: Name,
    read: impl Fn(&Text, &str) -> Option<T>,
) -> Result<T, HeaderError> {
    let value = headers
        .all_texts(&name)
        .next()
        .map(|(source, value)| read(source, value));
    match value {
        Some(value) => value.ok_or(HeaderError::Malformed(name)),
        None => Err(HeaderError::Missing(name)),
    }
}

/// Reads every value of that name.
fn every<T>(
    headers: &Headers,
    name: Name,
    read: impl Fn(&Text, &str) -> Option<T>,
) -> Result<Vec<T>, HeaderError> {
    let values: Option<Vec<T>> = headers
        .all_texts(&name)
        .map(|(source, value)| read(source, value))
        .collect();
    values.ok_or(HeaderError::Malformed(name))
}

fn text(headers: &Headers, name: Name) -> Result<&str, HeaderError> {
    headers
        .first(&name)
        .filter(|value| !value.is_empty())
        .ok_or(HeaderError::Missing(name))
}

fn address(headers: &Headers, name: Name) -> Result<NameAddr, HeaderError> {
    match headers.read_address(&name) {
        Some(address) => Ok(address.clone()),
        None => first(headers, name, NameAddr::cut),
    }
}

fn addresses(headers: &Headers, name: Name) -> Result<Vec<NameAddr>, HeaderError> {
    every(headers, name, NameAddr::cut)
}

fn via(headers: &Headers, name: Name) -> Result<Via, HeaderError> {
    match headers.read_top_via() {
        Some(via) => Ok(Via::clone(via)),
        None => first(headers, name, Via::cut),
    }
}

fn vias(headers: &Headers, name: Name) -> Result<Vec<Via>, HeaderError> {
    match every(headers, name, Via::cut) {
        Ok(vias) if vias.is_empty() => Err(HeaderError::Missing(Name::Via)),
        vias => vias,
    }
}

fn with_params(headers: &Headers, name: Name) -> Result<WithParams, HeaderError> {
    first(headers, name, WithParams::cut)
}

fn cseq(headers: &Headers, name: Name) -> Result<CSeq, HeaderError> {
    match headers.read_cseq() {
        Some(cseq) => Ok(cseq.clone()),
        None => first(headers, name, |_, value| CSeq::parse(value)),
    }
}

fn small_number(headers: &Headers, name: Name) -> Result<u8, HeaderError> {
    first(headers, name, |_, value| grammar::decimal(value))
}

fn number(headers: &Headers, name: Name) -> Result<u32, HeaderError> {
    first(headers, name, |_, value| grammar::decimal(value))
}

/// Digits at the start; a comment or parameters may follow.
fn seconds(headers: &Headers, name: Name) -> Result<u32, HeaderError> {
    first(headers, name, |_, value| {
        let digits = value.split([';', '(', ' ', '\t']).next()?;
        grammar::decimal_saturating(digits)
    })
}

fn tokens(headers: &Headers, name: Name) -> Result<Vec<Text>, HeaderError> {
    every(headers, name, |source, value| Some(source.cut(value)))
}

fn event(headers: &Headers, name: Name) -> Result<EventPackage, HeaderError> {
    first(headers, name, EventPackage::cut)
}

fn subscription_state(headers: &Headers, name: Name) -> Result<SubscriptionState, HeaderError> {
    first(headers, name, SubscriptionState::cut)
}

fn replaces(headers: &Headers, name: Name) -> Result<Replaces, HeaderError> {
    first(headers, name, Replaces::cut)
}

fn session_expires(headers: &Headers, name: Name) -> Result<SessionExpires, HeaderError> {
    first(headers, name, SessionExpires::cut)
}

fn rack(headers: &Headers, name: Name) -> Result<RAck, HeaderError> {
    first(headers, name, |_, value| RAck::parse(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(Name, &str)]) -> Headers {
        fields
            .iter()
            .map(|(name, value)| (name.clone(), *value))
            .collect()
    }

    #[test]
    fn missing_and_malformed_are_told_apart() {
        let headers = headers(&[
            (Name::CSeq, "x"),
            (Name::Route, "<sip:a;lr>, <"),
            (Name::Expires, "-1"),
        ]);
        assert_eq!(headers.from(), Err(HeaderError::Missing(Name::From)));
        assert_eq!(headers.cseq(), Err(HeaderError::Malformed(Name::CSeq)));
        assert_eq!(headers.routes(), Err(HeaderError::Malformed(Name::Route)));
        assert_eq!(headers.record_routes(), Ok(vec![]));
        assert_eq!(headers.vias(), Err(HeaderError::Missing(Name::Via)));
        assert_eq!(
            headers.expires(),
            Err(HeaderError::Malformed(Name::Expires))
        );
    }

    #[test]
    fn typed_values() {
        let headers = headers(&[
            (Name::Via, "SIP/2.0/TCP a, SIP/2.0/UDP b"),
            (Name::Via, "SIP/2.0/UDP c"),
            (Name::RecordRoute, "<sip:p1;lr>,<sip:p2;lr>"),
            (Name::RetryAfter, "120 (in a meeting);duration=3600"),
            (Name::Expires, "99999999999999999999"),
            (Name::MaxForwards, "70"),
            (Name::RAck, "776656 1 INVITE"),
            (
                Name::Replaces,
                "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff",
            ),
            (Name::SubscriptionState, "active;expires=3600"),
        ]);
        assert_eq!(
            headers.top_via().map(|via| via.to_string()).as_deref(),
            Ok("SIP/2.0/TCP a")
        );
        assert_eq!(headers.vias().map(|vias| vias.len()), Ok(3));
        assert_eq!(headers.record_routes().map(|routes| routes.len()), Ok(2));
        assert_eq!(headers.retry_after(), Ok(120));
        assert_eq!(headers.expires(), Ok(u32::MAX));
        assert_eq!(headers.max_forwards(), Ok(70));
        assert_eq!(
            headers.rack().map(|rack| rack.to_string()).as_deref(),
            Ok("776656 1 INVITE")
        );
        assert_eq!(
            headers
                .replaces()
                .map(|replaces| replaces.call_id.to_string())
                .as_deref(),
            Ok("98732@sip.example.com")
        );
        assert_eq!(
            headers.subscription_state(),
            Ok(SubscriptionState::Active {
                expires: Some(3600)
            })
        );
    }
}
