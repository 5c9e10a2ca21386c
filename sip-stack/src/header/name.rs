//! Names of header fields.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::grammar;
use crate::text::Text;

macro_rules! names {
    ($($variant:ident $name:literal $source:literal;)*) => {
        /// The name of a header field. Compared without regard to case; compact forms are the same name.
        /// RFC 3261 §7.3.
        #[derive(Debug, Clone)]
        pub enum Name {
            $(
                #[doc = concat!("`", $name, "`. ", $source, ".")]
                $variant,
            )*
            /// A name this crate does not know, as it was written; a token. Made by [`Name::parse`].
            Other(Text),
        }

        impl Name {
            fn long_form(text: &str) -> Option<Name> {
                $(
                    if text.eq_ignore_ascii_case($name) {
                        return Some(Name::$variant);
                    }
                )*
                None
            }

            /// The name in its long form.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Name::$variant => $name,)*
                    Name::Other(name) => name,
                }
            }
        }
    };
}

// The names that are in every message come first: they are looked for in this order.
names! {
    Via "Via" "RFC 3261 §20.42";
    From "From" "RFC 3261 §20.20";
    To "To" "RFC 3261 §20.39";
    CallId "Call-ID" "RFC 3261 §20.8";
    CSeq "CSeq" "RFC 3261 §20.16";
    MaxForwards "Max-Forwards" "RFC 3261 §20.22";
    Contact "Contact" "RFC 3261 §20.10";
    ContentType "Content-Type" "RFC 3261 §20.15";
    ContentLength "Content-Length" "RFC 3261 §20.14";
    UserAgent "User-Agent" "RFC 3261 §20.41";
    Server "Server" "RFC 3261 §20.35";
    Allow "Allow" "RFC 3261 §20.5";
    Supported "Supported" "RFC 3261 §20.37";
    Date "Date" "RFC 3261 §20.17";
    Route "Route" "RFC 3261 §20.34";
    RecordRoute "Record-Route" "RFC 3261 §20.30";
    Accept "Accept" "RFC 3261 §20.1";
    AcceptContact "Accept-Contact" "RFC 3841 §9.2";
    AcceptEncoding "Accept-Encoding" "RFC 3261 §20.2";
    AcceptLanguage "Accept-Language" "RFC 3261 §20.3";
    AlertInfo "Alert-Info" "RFC 3261 §20.4";
    AllowEvents "Allow-Events" "RFC 6665 §8.2.2";
    AuthenticationInfo "Authentication-Info" "RFC 3261 §20.6";
    Authorization "Authorization" "RFC 3261 §20.7";
    CallInfo "Call-Info" "RFC 3261 §20.9";
    ContentDisposition "Content-Disposition" "RFC 3261 §20.11";
    ContentEncoding "Content-Encoding" "RFC 3261 §20.12";
    ContentLanguage "Content-Language" "RFC 3261 §20.13";
    ErrorInfo "Error-Info" "RFC 3261 §20.18";
    Event "Event" "RFC 6665 §8.2.1";
    Expires "Expires" "RFC 3261 §20.19";
    HistoryInfo "History-Info" "RFC 7044 §5";
    InReplyTo "In-Reply-To" "RFC 3261 §20.21";
    MimeVersion "MIME-Version" "RFC 3261 §20.24";
    MinExpires "Min-Expires" "RFC 3261 §20.23";
    MinSe "Min-SE" "RFC 4028 §5";
    Organization "Organization" "RFC 3261 §20.25";
    PAssertedIdentity "P-Asserted-Identity" "RFC 3325 §9.1";
    PPreferredIdentity "P-Preferred-Identity" "RFC 3325 §9.2";
    Path "Path" "RFC 3327 §4";
    Priority "Priority" "RFC 3261 §20.26";
    Privacy "Privacy" "RFC 3323 §4.2";
    ProxyAuthenticate "Proxy-Authenticate" "RFC 3261 §20.27";
    ProxyAuthorization "Proxy-Authorization" "RFC 3261 §20.28";
    ProxyRequire "Proxy-Require" "RFC 3261 §20.29";
    RAck "RAck" "RFC 3262 §7.2";
    Reason "Reason" "RFC 3326 §2";
    ReferSub "Refer-Sub" "RFC 4488 §4";
    ReferTo "Refer-To" "RFC 3515 §2.1";
    ReferredBy "Referred-By" "RFC 3892 §3";
    RejectContact "Reject-Contact" "RFC 3841 §9.2";
    Replaces "Replaces" "RFC 3891 §6.1";
    ReplyTo "Reply-To" "RFC 3261 §20.31";
    RequestDisposition "Request-Disposition" "RFC 3841 §9.1";
    Require "Require" "RFC 3261 §20.32";
    RetryAfter "Retry-After" "RFC 3261 §20.33";
    RSeq "RSeq" "RFC 3262 §7.1";
    ServiceRoute "Service-Route" "RFC 3608 §5";
    SessionExpires "Session-Expires" "RFC 4028 §4";
    SipETag "SIP-ETag" "RFC 3903 §11.3.1";
    SipIfMatch "SIP-If-Match" "RFC 3903 §11.3.2";
    Subject "Subject" "RFC 3261 §20.36";
    SubscriptionState "Subscription-State" "RFC 6665 §8.2.3";
    Timestamp "Timestamp" "RFC 3261 §20.38";
    Unsupported "Unsupported" "RFC 3261 §20.40";
    Warning "Warning" "RFC 3261 §20.43";
    WwwAuthenticate "WWW-Authenticate" "RFC 3261 §20.44";
}

impl Name {
    /// Reads a name, long or compact; `None` if it is not a token.
    pub fn parse(text: &str) -> Option<Name> {
        Self::cut(&Text::from_static(""), text)
    }

    /// Reads the name `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Option<Name> {
        let known = match text.as_bytes() {
            [letter] => Self::compact_form(*letter),
            _ => Self::long_form(text),
        };
        known.or_else(|| grammar::is_token(text).then(|| Name::Other(source.cut(text))))
    }

    fn compact_form(letter: u8) -> Option<Name> {
        Some(match letter.to_ascii_lowercase() {
            b'v' => Name::Via,
            b'f' => Name::From,
            b't' => Name::To,
            b'i' => Name::CallId,
            b'm' => Name::Contact,
            b'c' => Name::ContentType,
            b'l' => Name::ContentLength,
            b'a' => Name::AcceptContact,
            b'u' => Name::AllowEvents,
            b'e' => Name::ContentEncoding,
            b'o' => Name::Event,
            b'r' => Name::ReferTo,
            b'b' => Name::ReferredBy,
            b'j' => Name::RejectContact,
            b'd' => Name::RequestDisposition,
            b'x' => Name::SessionExpires,
            b's' => Name::Subject,
            b'k' => Name::Supported,
            _ => return None,
        })
    }

    /// Whether the field's value is a comma-separated list, so that several values in one field mean the same as several
    /// fields. Names this crate does not know are taken as single values. RFC 3261 §7.3.1.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            Name::Via
                | Name::Contact
                | Name::Route
                | Name::RecordRoute
                | Name::Accept
                | Name::AcceptContact
                | Name::AcceptEncoding
                | Name::AcceptLanguage
                | Name::AlertInfo
                | Name::Allow
                | Name::AllowEvents
                | Name::CallInfo
                | Name::ContentEncoding
                | Name::ContentLanguage
                | Name::ErrorInfo
                | Name::HistoryInfo
                | Name::InReplyTo
                | Name::PAssertedIdentity
                | Name::PPreferredIdentity
                | Name::Path
                | Name::ProxyRequire
                | Name::Reason
                | Name::RejectContact
                | Name::RequestDisposition
                | Name::Require
                | Name::ServiceRoute
                | Name::Supported
                | Name::Unsupported
                | Name::Warning
        )
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Name::Other(a), Name::Other(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        if let Name::Other(name) = self {
            for byte in name.bytes() {
                byte.to_ascii_lowercase().hash(state);
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-02
    #[test]
    fn names_have_no_case_and_compact_forms() {
        assert_eq!(Name::parse("TO"), Some(Name::To));
        assert_eq!(Name::parse("t"), Some(Name::To));
        assert_eq!(Name::parse("I"), Some(Name::CallId));
        assert_eq!(Name::parse("cseq"), Some(Name::CSeq));
        assert_eq!(Name::parse("o"), Some(Name::Event));
        assert_eq!(Name::parse("z"), Some(Name::Other(Text::from("Z"))));
        assert_eq!(Name::parse("X-Stox"), Name::parse("x-sTOX"));
        assert_ne!(Name::parse("X-Stox"), Name::parse("X-Other"));
        assert_eq!(Name::parse("Bad Name"), None);
        assert_eq!(Name::parse(""), None);
    }

    #[test]
    fn every_known_name_is_found_again() {
        for name in [
            Name::PAssertedIdentity,
            Name::WwwAuthenticate,
            Name::SipETag,
            Name::MinSe,
        ] {
            assert_eq!(Name::parse(name.as_str()), Some(name));
        }
    }
}
