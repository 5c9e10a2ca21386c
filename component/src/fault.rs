//! What a sender is told when a message or request comes back, and the tables between the three ways to say it: stanza
//! errors, SIP status codes and MSRP status codes.
//!
//! Every number and every condition that crosses the gateway comes from here. RFC 7247 §7; where the RFC leaves a
//! choice, CORE-20 to CORE-24 make it.

use std::borrow::Cow;
use std::fmt;

use stox_msrp::LostCause;
use stox_sip::{Class, Failure, Method, Status};

use crate::address::Jid;
use crate::text;
use crate::xmpp::StanzaError;

/// Why something went back to its sender, in the words of XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    condition: Condition,
    kind: ErrorKind,
    text: Option<String>,
    address: Option<String>,
    by: Option<String>,
}

/// A stanza error condition. RFC 6120 §8.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `bad-request`
    BadRequest,
    /// `conflict`
    Conflict,
    /// `feature-not-implemented`
    FeatureNotImplemented,
    /// `forbidden`
    Forbidden,
    /// `gone`; may carry the new address.
    Gone,
    /// `internal-server-error`
    InternalServerError,
    /// `item-not-found`
    ItemNotFound,
    /// `jid-malformed`
    JidMalformed,
    /// `not-acceptable`
    NotAcceptable,
    /// `not-allowed`
    NotAllowed,
    /// `not-authorized`
    NotAuthorized,
    /// `policy-violation`
    PolicyViolation,
    /// `recipient-unavailable`
    RecipientUnavailable,
    /// `redirect`; may carry the other address.
    Redirect,
    /// `registration-required`
    RegistrationRequired,
    /// `remote-server-not-found`
    RemoteServerNotFound,
    /// `remote-server-timeout`
    RemoteServerTimeout,
    /// `resource-constraint`
    ResourceConstraint,
    /// `service-unavailable`
    ServiceUnavailable,
    /// `subscription-required`
    SubscriptionRequired,
    /// `undefined-condition`
    UndefinedCondition,
    /// `unexpected-request`
    UnexpectedRequest,
    /// An error stanza without condition, or with one that RFC 6120 does not know. Written as `undefined-condition`.
    Unrecognized,
}

/// What the sender of an erroneous stanza may do about it: the `type` attribute. RFC 6120 §8.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Retry with credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Change the stanza and retry.
    Modify,
    /// Retry later.
    Wait,
}

/// Whether a failed stanza had been addressed to one device or to the user. SIP says it by 4xx or 6xx. RFC 7247 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A full JID.
    Device,
    /// A bare JID.
    User,
}

/// Who was to get a message in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomMessage {
    /// Every occupant.
    ToAll,
    /// One occupant.
    Private,
}

impl Fault {
    /// A fault with the usual type for its condition (T7).
    pub fn new(condition: Condition) -> Fault {
        Fault {
            condition,
            kind: condition.usual_kind(),
            text: None,
            address: None,
            by: None,
        }
    }

    /// The same fault, found by whoever has this JID. RFC 6120 §8.3.1.
    pub fn by(self, jid: &str) -> Fault {
        Fault {
            by: Some(jid.to_owned()),
            ..self
        }
    }

    /// The same fault with words for a human. What XML cannot carry is replaced; no words at all are left out.
    pub fn with_text(self, words: impl AsRef<str>) -> Fault {
        let words = text::for_xml(words.as_ref().trim()).into_owned();
        Fault {
            text: Some(words).filter(|words| !words.is_empty()),
            ..self
        }
    }

    /// The same fault with the address to use instead, a URI. Only `gone` and `redirect` tell it.
    pub fn with_address(self, uri: impl Into<String>) -> Fault {
        Fault {
            address: Some(uri.into()),
            ..self
        }
    }

    /// The fault that an error stanza tells, from its `type`, the name of its condition element and its text.
    /// RFC 6120 §8.3.2.
    pub fn from_stanza(kind: Option<&str>, condition: Option<&str>, words: Option<&str>) -> Fault {
        let condition = condition
            .and_then(Condition::from_name)
            .unwrap_or(Condition::Unrecognized);
        let fault = Fault {
            kind: kind
                .and_then(ErrorKind::from_name)
                .unwrap_or_else(|| condition.usual_kind()),
            ..Fault::new(condition)
        };
        fault.with_text(words.unwrap_or_default())
    }

    /// The fault that a final SIP response of 300 and above tells; `reason` is its Reason-Phrase, or better words from
    /// a Warning or Reason header. The new address of a 301 is to be added by [`Fault::with_address`]. T9, CORE-21.
    pub fn from_sip(status: Status, reason: &str) -> Fault {
        use Condition::*;
        let condition = match status.code() {
            301 | 410 => Gone,
            380 => NotAcceptable,
            401 => NotAuthorized,
            403 => Forbidden,
            404 => ItemNotFound,
            405 => FeatureNotImplemented,
            406 => NotAcceptable,
            407 => RegistrationRequired,
            408 => RemoteServerTimeout,
            413 | 414 => PolicyViolation,
            415 | 416 => NotAcceptable,
            420 => FeatureNotImplemented,
            421 => NotAcceptable,
            423 => ResourceConstraint,
            430 => RecipientUnavailable,
            439 => FeatureNotImplemented,
            440 => PolicyViolation,
            480 => RecipientUnavailable,
            481 => ItemNotFound,
            482 | 483 => NotAcceptable,
            484 | 485 => ItemNotFound,
            486 | 487 => RecipientUnavailable,
            488 => NotAcceptable,
            489 => PolicyViolation,
            491 => UnexpectedRequest,
            501 => FeatureNotImplemented,
            502 => RemoteServerNotFound,
            504 => RemoteServerTimeout,
            505 => NotAcceptable,
            513 => PolicyViolation,
            604 => ItemNotFound,
            606 => NotAcceptable,
            _ => match status.class() {
                Class::Redirection => Redirect,
                Class::ClientError => BadRequest,
                Class::ServerError => InternalServerError,
                Class::GlobalFailure => RecipientUnavailable,
                // No failure at all: whoever asks has a bug.
                Class::Provisional | Class::Success => InternalServerError,
            },
        };
        Fault::new(condition).with_text(reason)
    }

    /// The fault of somebody who wants to enter a room, when the focus has refused the INVITE with this status, which
    /// says `told` elsewhere. T18.
    pub fn from_sip_join(status: u16, told: &Fault) -> Fault {
        use Condition::*;
        let words = told.text().unwrap_or_default();
        let condition = match status {
            405 | 501 | 420 => FeatureNotImplemented,
            408 | 504 => RemoteServerTimeout,
            415 | 488 | 606 => NotAcceptable,
            480 | 486 | 600 | 603 => RecipientUnavailable,
            // The room may have a place later.
            503 => {
                return Fault::from_stanza(Some("wait"), Some("service-unavailable"), Some(words));
            }
            404 | 604 => ItemNotFound,
            401 => NotAuthorized,
            403 => Forbidden,
            407 => RegistrationRequired,
            500..=599 => InternalServerError,
            _ => return told.clone(),
        };
        Fault::new(condition).with_text(words)
    }

    /// The fault when a request of ours got no final response (T9, local causes).
    pub fn from_failure(failure: &Failure) -> Fault {
        let condition = match failure {
            Failure::Timeout | Failure::ResolverFailed => Condition::RemoteServerTimeout,
            Failure::Unreachable | Failure::Untrusted | Failure::Unresolvable => {
                Condition::RemoteServerNotFound
            }
            Failure::Blocked => Condition::RemoteServerTimeout,
            Failure::TooManyRequests => Condition::ResourceConstraint,
            Failure::Cancelled | Failure::SessionEnded => Condition::RecipientUnavailable,
            Failure::Closing => Condition::InternalServerError,
            _ => Condition::InternalServerError,
        };
        // For people, who know of no targets.
        let text = match failure {
            Failure::Timeout => "the SIP side did not answer in time".to_owned(),
            Failure::Unreachable => "the SIP server cannot be reached".to_owned(),
            Failure::Unresolvable => "the DNS has no address for the SIP domain".to_owned(),
            Failure::Blocked => "the SIP server asks for a pause".to_owned(),
            failure => failure.to_string(),
        };
        Fault::new(condition).with_text(text)
    }

    /// For messages whose MSRP connection did not come about, or is gone (T9, local causes).
    pub fn from_lost(cause: LostCause) -> Fault {
        let condition = match cause {
            LostCause::NoAddress
            | LostCause::Unreachable
            | LostCause::Untrusted
            | LostCause::UnusablePath
            | LostCause::NotAdmitted => Condition::RemoteServerNotFound,
            LostCause::NobodyCame | LostCause::BindUnanswered | LostCause::Unresponsive => {
                Condition::RemoteServerTimeout
            }
            LostCause::BindRefused { status } | LostCause::Disowned { status } => {
                return Fault::from_msrp(status);
            }
            LostCause::ConnectionEnded
            | LostCause::Stalled
            | LostCause::Garbage
            | LostCause::Closed => Condition::RecipientUnavailable,
        };
        Fault::new(condition).with_text(format!("MSRP: {cause}"))
    }

    /// The fault that an MSRP status other than 200 tells, of a response or of a REPORT. T10.
    pub fn from_msrp(status: u16) -> Fault {
        use Condition::*;
        Fault::new(match status {
            403 => Forbidden,
            404 => ItemNotFound,
            408 => RemoteServerTimeout,
            413 => PolicyViolation,
            415 => NotAcceptable,
            424 => JidMalformed,
            425 => Conflict,
            428 => FeatureNotImplemented,
            481 => ItemNotFound,
            501 => FeatureNotImplemented,
            400..=499 => BadRequest,
            _ => InternalServerError,
        })
    }

    /// What happened.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// What the sender may do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Words for a human, as XML can carry them.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The address to use instead, a URI; only with `gone` and `redirect`.
    pub fn address(&self) -> Option<&str> {
        match self.condition {
            Condition::Gone | Condition::Redirect => self.address.as_deref(),
            _ => None,
        }
    }

    /// The words as a Reason-Phrase; none where the usual phrase of the status says as much. CORE-24.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        self.text.as_deref().map(text::for_reason)
    }

    /// The status that refuses a SIP request of this method. T8, CORE-20.
    ///
    /// Never 503, which would make the sender avoid the whole gateway, never 401 or 407, which need a challenge we do
    /// not have (CORE-22), and 408 only for an INVITE (CORE-23). A 405 needs an Allow header; 301 and 302 a Contact
    /// made from [`Fault::address`].
    pub fn to_sip(&self, addressee: Addressee, method: &Method) -> Status {
        use Addressee::*;
        use Condition::*;
        match (self.condition, addressee) {
            (BadRequest | Conflict | JidMalformed, _) => Status::BAD_REQUEST,
            (SubscriptionRequired | UndefinedCondition, _) => Status::BAD_REQUEST,
            (FeatureNotImplemented, Device) => Status::METHOD_NOT_ALLOWED,
            (FeatureNotImplemented, User) => Status::NOT_IMPLEMENTED,
            (Forbidden, Device) => Status::FORBIDDEN,
            (Forbidden, User) => Status::DECLINE,
            (Gone, _) if self.address.is_some() => Status::MOVED_PERMANENTLY,
            (Gone, _) => Status::GONE,
            (InternalServerError | ResourceConstraint, _) => Status::SERVER_INTERNAL_ERROR,
            (ItemNotFound, Device) => Status::NOT_FOUND,
            (ItemNotFound, User) => Status::DOES_NOT_EXIST_ANYWHERE,
            (NotAcceptable, Device) => Status::NOT_ACCEPTABLE,
            (NotAcceptable, User) => Status::NOT_ACCEPTABLE_ANYWHERE,
            (NotAllowed | PolicyViolation | ServiceUnavailable, _) => Status::FORBIDDEN,
            (NotAuthorized | RegistrationRequired, _) => Status::FORBIDDEN,
            (RecipientUnavailable, Device) => Status::TEMPORARILY_UNAVAILABLE,
            (RecipientUnavailable, User) => Status::BUSY_EVERYWHERE,
            (Redirect, _) => Status::MOVED_TEMPORARILY,
            // An XMPP server says the same for a domain that does not exist and for one it cannot resolve.
            (RemoteServerNotFound, _) => Status::NOT_FOUND,
            (RemoteServerTimeout, _) => match method {
                Method::Invite => Status::REQUEST_TIMEOUT,
                _ => Status::SERVER_TIME_OUT,
            },
            (UnexpectedRequest, _) => match method {
                Method::Invite | Method::Update => Status::REQUEST_PENDING,
                _ => Status::BAD_REQUEST,
            },
            (Unrecognized, _) => match self.kind {
                ErrorKind::Auth | ErrorKind::Cancel => Status::FORBIDDEN,
                ErrorKind::Modify => Status::BAD_REQUEST,
                ErrorKind::Wait => Status::TEMPORARILY_UNAVAILABLE,
            },
        }
    }

    /// The cause that ends a session because of this fault: the `cause` of `Reason: SIP`. T8, RFC 3326.
    pub fn to_sip_in_reason(&self) -> Status {
        self.to_sip(Addressee::Device, &Method::Invite)
    }

    /// The MSRP status that refuses a message of a one-to-one session, in a response or a REPORT. T10.
    pub fn to_msrp(&self) -> u16 {
        use Condition::*;
        match self.condition {
            ItemNotFound | Gone | RecipientUnavailable | Redirect => 403,
            NotAcceptable | FeatureNotImplemented => 415,
            _ => self.to_msrp_anywhere(),
        }
    }

    /// The MSRP status that refuses a message of a room's session, in a response or a REPORT. T10.
    pub fn to_msrp_in_room(&self, message: RoomMessage) -> u16 {
        use Condition::*;
        match (self.condition, message) {
            (ItemNotFound | Gone | RecipientUnavailable | Redirect, _) => 404,
            // Not an occupant, or without voice.
            (NotAcceptable, _) => 403,
            (FeatureNotImplemented, RoomMessage::ToAll) => 415,
            (FeatureNotImplemented, RoomMessage::Private) => 428,
            _ => self.to_msrp_anywhere(),
        }
    }

    fn to_msrp_anywhere(&self) -> u16 {
        use Condition::*;
        match self.condition {
            BadRequest | JidMalformed | UndefinedCondition | Unrecognized => 400,
            Forbidden | NotAllowed | NotAuthorized | RegistrationRequired => 403,
            SubscriptionRequired | ServiceUnavailable | Conflict => 403,
            PolicyViolation | ResourceConstraint => 413,
            RemoteServerNotFound | RemoteServerTimeout => 408,
            InternalServerError | UnexpectedRequest => 408,
            ItemNotFound | Gone | RecipientUnavailable | Redirect => 404,
            NotAcceptable | FeatureNotImplemented => 415,
        }
    }
}

/// Every condition beside its element name and its usual type. T7, RFC 6120 §8.3.3.
const CONDITIONS: [(Condition, &str, ErrorKind); 22] = {
    use Condition::*;
    use ErrorKind::*;
    [
        (BadRequest, "bad-request", Modify),
        (Conflict, "conflict", Cancel),
        (FeatureNotImplemented, "feature-not-implemented", Cancel),
        (Forbidden, "forbidden", Auth),
        (Gone, "gone", Cancel),
        (InternalServerError, "internal-server-error", Cancel),
        (ItemNotFound, "item-not-found", Cancel),
        (JidMalformed, "jid-malformed", Modify),
        (NotAcceptable, "not-acceptable", Modify),
        (NotAllowed, "not-allowed", Cancel),
        (NotAuthorized, "not-authorized", Auth),
        (PolicyViolation, "policy-violation", Modify),
        (RecipientUnavailable, "recipient-unavailable", Wait),
        (Redirect, "redirect", Modify),
        (RegistrationRequired, "registration-required", Auth),
        (RemoteServerNotFound, "remote-server-not-found", Cancel),
        (RemoteServerTimeout, "remote-server-timeout", Wait),
        (ResourceConstraint, "resource-constraint", Wait),
        (ServiceUnavailable, "service-unavailable", Cancel),
        (SubscriptionRequired, "subscription-required", Auth),
        (UndefinedCondition, "undefined-condition", Cancel),
        (UnexpectedRequest, "unexpected-request", Wait),
    ]
};

impl Condition {
    /// The name of the element, in `urn:ietf:params:xml:ns:xmpp-stanzas`.
    pub fn name(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(condition, _, _)| *condition == self)
            .map_or("undefined-condition", |(_, name, _)| name)
    }

    /// The condition with this element name.
    pub fn from_name(name: &str) -> Option<Condition> {
        CONDITIONS
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(condition, _, _)| *condition)
    }

    fn usual_kind(self) -> ErrorKind {
        CONDITIONS
            .iter()
            .find(|(condition, _, _)| *condition == self)
            .map_or(ErrorKind::Cancel, |(_, _, kind)| *kind)
    }
}

impl ErrorKind {
    /// The value of the `type` attribute.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Auth => "auth",
            ErrorKind::Cancel => "cancel",
            ErrorKind::Modify => "modify",
            ErrorKind::Wait => "wait",
        }
    }

    /// The type with this value; `continue`, which only warns, is none of them.
    pub fn from_name(name: &str) -> Option<ErrorKind> {
        match name {
            "auth" => Some(ErrorKind::Auth),
            "cancel" => Some(ErrorKind::Cancel),
            "modify" => Some(ErrorKind::Modify),
            "wait" => Some(ErrorKind::Wait),
            _ => None,
        }
    }
}

impl From<&Jid> for Addressee {
    fn from(jid: &Jid) -> Addressee {
        if jid.is_bare() {
            Addressee::User
        } else {
            Addressee::Device
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&Fault> for StanzaError {
    fn from(fault: &Fault) -> StanzaError {
        StanzaError {
            kind: fault.kind().name().to_owned(),
            condition: fault.condition().name().to_owned(),
            address: fault.address().map(str::to_owned),
            text: fault.text().map(str::to_owned),
            by: fault.by.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.name())?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
