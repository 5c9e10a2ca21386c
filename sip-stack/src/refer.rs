//! REFER: who is asked to contact whom, on whose behalf, and how the referrer learns what came of it.
//! RFC 3515, RFC 3892, RFC 4488.

use std::fmt;

use crate::grammar;
use crate::subscription::Document;
use crate::{HeaderError, Headers, Method, Name, NameAddr, Request, Response, Status, Uri};

/// The event package of what a REFER brings. RFC 3515 §3.
pub(crate) const PACKAGE: &str = "refer";
/// The media type of its documents: the start line of a response, or more of it. RFC 3420.
pub(crate) const SIPFRAG: &str = "message/sipfrag";
/// More of a fragment than is ever needed for its first line.
const LONGEST_LINE: usize = 1024;

/// Who is to be contacted, by which method, with which fields. RFC 3515 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo {
    /// Name and address; the address without its method and fields.
    pub address: NameAddr,
    /// By default INVITE.
    pub method: Method,
    /// Fields for the request, such as Replaces, as the URI has them (percent-encoded): `name=value&name=value`.
    pub fields: Option<String>,
}

/// Who refers. The proof, if there is one, is in a body part with this Content-ID. RFC 3892 §3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferredBy {
    /// Name and address.
    pub address: NameAddr,
    /// Of the body part that proves it, without angle brackets.
    pub content_id: Option<String>,
}

/// Whether a REFER is to bring a subscription. RFC 4488 §4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReferSub {
    /// What comes of the REFER is told by NOTIFY.
    #[default]
    Wanted,
    /// Nobody is told (`Refer-Sub: false`).
    Unwanted,
}

/// Why a REFER cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferError {
    /// There is not exactly one Refer-To; answer 400. RFC 3515 §2.4.2.
    #[error("not exactly one Refer-To")]
    NotOne,
    /// The Refer-To cannot be read; answer 400.
    #[error(transparent)]
    Malformed(#[from] HeaderError),
}

impl ReferTo {
    /// Someone to be invited.
    pub fn new(address: NameAddr) -> Self {
        Self {
            address,
            method: Method::Invite,
            fields: None,
        }
    }

    /// Whom a REFER refers to. RS-30.
    pub fn of(request: &Request) -> Result<Self, ReferError> {
        let mut values = request.headers.fields(&Name::ReferTo);
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(ReferError::NotOne);
        };
        if grammar::split_outside(value, b',').is_some() {
            return Err(ReferError::NotOne);
        }
        Self::parse(value).ok_or(ReferError::Malformed(HeaderError::Malformed(Name::ReferTo)))
    }

    /// Reads a value; `None` if it is no address or the method is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let mut address = NameAddr::parse(text)?;
        let method = match address.uri.param("method") {
            Some(method) => Method::parse(method?)?,
            None => Method::Invite,
        };
        let whole = address.uri.to_string();
        let fields = whole
            .split_once('?')
            .map(|(_, fields)| fields.to_owned())
            .filter(|fields| !fields.is_empty());
        address.uri = address.uri.without_headers().without_param("method");
        Some(Self {
            address,
            method,
            fields,
        })
    }
}

impl fmt::Display for ReferTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uri = self.address.uri.to_string();
        if self.method != Method::Invite {
            uri.push_str(&format!(";method={}", self.method));
        }
        if let Some(fields) = &self.fields {
            uri.push_str(&format!("?{fields}"));
        }
        let mut address = self.address.clone();
        // A URI that cannot be read back stays without what was added.
        if let Ok(whole) = uri.parse::<Uri>() {
            address.uri = whole;
        }
        write!(f, "{address}")
    }
}

impl ReferredBy {
    /// Someone who proves nothing.
    pub fn new(address: NameAddr) -> Self {
        Self {
            address,
            content_id: None,
        }
    }

    /// Who sent a REFER, or who made the sender of another request send it; none is no error.
    pub fn of(headers: &Headers) -> Result<Option<Self>, HeaderError> {
        match headers.referred_by() {
            Ok(address) => Ok(Some(Self::read(address))),
            Err(HeaderError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(mut address: NameAddr) -> Self {
        let content_id = address.params.unquoted("cid").map(|id| {
            let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
            bare.unwrap_or(&id).to_owned()
        });
        address.params.remove("cid");
        Self {
            address,
            content_id,
        }
    }
}

impl fmt::Display for ReferredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut address = self.address.clone();
        if let Some(id) = &self.content_id {
            address.params.set_quoted("cid", &format!("<{id}>"));
        }
        write!(f, "{address}")
    }
}

impl ReferSub {
    /// What a REFER asks for, or what its 2xx grants.
    pub fn of(headers: &Headers) -> Self {
        match headers.first(&Name::ReferSub) {
            Some(value) if is_false(value) => ReferSub::Unwanted,
            Some(_) | None => ReferSub::Wanted,
        }
    }
}

fn is_false(value: &str) -> bool {
    let value = value.split(';').next().unwrap_or_default();
    grammar::trim(value).eq_ignore_ascii_case("false")
}

/// Tells a referrer how far it is: the status line of the response, as the body of a NOTIFY. RFC 3515 §2.4.5.
pub fn sipfrag(status: Status) -> Document {
    Document {
        content_type: format!("{SIPFRAG};version=2.0"),
        body: format!("SIP/2.0 {} {}\r\n", status.code(), status.reason()).into(),
    }
}

/// How far it is, by the body of a NOTIFY; `None` if it is no fragment of a response.
pub fn sipfrag_status(request: &Request) -> Option<Status> {
    if !request.content_type().is_ok_and(|media| media.is(SIPFRAG)) {
        return None;
    }
    let start = request.body.get(..LONGEST_LINE.min(request.body.len()))?;
    let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.get(..8).filter(|v| v.eq_ignore_ascii_case("SIP/2.0 "));
    rest?;
    let code = line.get(8..)?.split(' ').next()?;
    Status::new(grammar::decimal(code)?)
}

/// Whether the 2xx to a REFER that wants no subscription brings none. RFC 4488 §4.
pub(crate) fn is_without_subscription(response: &Response) -> bool {
    ReferSub::of(&response.headers) == ReferSub::Unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refer(values: &[&str]) -> Request {
        let mut request = Request::new(Method::Refer, "sip:room@example.net".parse().unwrap());
        for value in values {
            request.headers.push(Name::ReferTo, *value);
        }
        request
    }

    /// RS-30, RFC 3515 §2.4.2. Exactly one.
    #[test]
    fn there_is_exactly_one_refer_to() {
        let none = refer(&[]);
        let two = refer(&["<sip:a@example.net>", "<sip:b@example.net>"]);
        let list = refer(&["<sip:a@example.net>, <sip:b@example.net>"]);
        for request in [none, two, list] {
            assert_eq!(ReferTo::of(&request), Err(ReferError::NotOne));
        }
        let malformed = ReferTo::of(&refer(&["<sip"]));
        assert!(matches!(malformed, Err(ReferError::Malformed(_))));
        let one = ReferTo::of(&refer(&["\"a, b\" <sip:a,b@example.net>"])).unwrap();
        assert_eq!(one.method, Method::Invite);
    }

    /// RFC 3515 §2.1. The method and the fields of the URI.
    #[test]
    fn method_and_fields() {
        let text = "<sip:juliet@example.com;method=BYE?Replaces=c%3Bto-tag%3Da%3Bfrom-tag%3Db>";
        let refer_to = ReferTo::of(&refer(&[text])).unwrap();
        assert_eq!(refer_to.method, Method::Bye);
        assert_eq!(refer_to.address.to_string(), "<sip:juliet@example.com>");
        assert_eq!(
            refer_to.fields.as_deref(),
            Some("Replaces=c%3Bto-tag%3Da%3Bfrom-tag%3Db")
        );
        assert_eq!(refer_to.to_string(), text);
        let plain = ReferTo::parse("sip:juliet@example.com").unwrap();
        assert_eq!(plain.to_string(), "<sip:juliet@example.com>");
    }

    /// RFC 3892 §3
    #[test]
    fn who_refers() {
        let headers = Headers::from_iter([(
            Name::ReferredBy,
            "Romeo <sip:romeo@example.net>;cid=\"<20398823.2UWQFN309shb3@example.net>\"",
        )]);
        let referred_by = ReferredBy::of(&headers).unwrap().unwrap();
        assert_eq!(
            referred_by.content_id.as_deref(),
            Some("20398823.2UWQFN309shb3@example.net")
        );
        assert_eq!(
            referred_by.to_string(),
            "\"Romeo\" <sip:romeo@example.net>;cid=\"<20398823.2UWQFN309shb3@example.net>\""
        );
        assert_eq!(ReferredBy::of(&Headers::new()), Ok(None));
    }

    /// RFC 4488 §4
    #[test]
    fn whether_a_subscription_is_wanted() {
        for (value, wanted) in [
            ("false", ReferSub::Unwanted),
            ("FALSE ;x=y", ReferSub::Unwanted),
            ("true", ReferSub::Wanted),
        ] {
            let headers = Headers::from_iter([(Name::ReferSub, value)]);
            assert_eq!(ReferSub::of(&headers), wanted, "{value}");
        }
        assert_eq!(ReferSub::of(&Headers::new()), ReferSub::Wanted);
    }

    /// RS-30. Fragments, both ways.
    #[test]
    fn fragments() {
        let document = sipfrag(Status::TRYING);
        assert_eq!(document.body, "SIP/2.0 100 Trying\r\n");
        let notify = |media: &str, body: &'static str| {
            Request::new(Method::Notify, "sip:a@b".parse().unwrap()).with_body(media, body)
        };
        let own = Request::new(Method::Notify, "sip:a@b".parse().unwrap())
            .with_body(document.content_type, document.body);
        assert_eq!(sipfrag_status(&own), Some(Status::TRYING));
        for (media, body, status) in [
            (
                "message/sipfrag",
                "SIP/2.0 603 Decline",
                Some(Status::DECLINE),
            ),
            (
                "message/sipfrag",
                "sip/2.0 200\r\nTo: <sip:a@b>\r\n",
                Some(Status::OK),
            ),
            ("text/plain", "SIP/2.0 200 OK", None),
            ("message/sipfrag", "INVITE sip:a@b SIP/2.0", None),
            ("message/sipfrag", "SIP/2.0 99 Early", None),
            ("message/sipfrag", "SIP/2.0 \u{e9}", None),
            ("message/sipfrag", "", None),
        ] {
            assert_eq!(sipfrag_status(&notify(media, body)), status, "{body}");
        }
    }
}
