//! Status codes of responses.

use std::fmt;

/// A status code, 100 to 699. RFC 3261 §7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// The first digit of a status code. RFC 3261 §7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 1xx: received, still at work.
    Provisional,
    /// 2xx: done.
    Success,
    /// 3xx: look elsewhere.
    Redirection,
    /// 4xx: not this way, not here.
    ClientError,
    /// 5xx: this server cannot.
    ServerError,
    /// 6xx: nobody can.
    GlobalFailure,
}

impl Status {
    /// The status with this code; `None` if there can be no such status.
    pub const fn new(code: u16) -> Option<Status> {
        if code >= 100 && code <= 699 {
            Some(Status(code))
        } else {
            None
        }
    }

    /// The code, 100 to 699.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The class: what a status means whose code is unknown. RFC 3261 §8.1.3.2.
    pub const fn class(self) -> Class {
        match self.0 {
            0..200 => Class::Provisional,
            200..300 => Class::Success,
            300..400 => Class::Redirection,
            400..500 => Class::ClientError,
            500..600 => Class::ServerError,
            _ => Class::GlobalFailure,
        }
    }

    /// Whether more responses may follow (1xx).
    pub const fn is_provisional(self) -> bool {
        matches!(self.class(), Class::Provisional)
    }

    /// Whether the request was accepted (2xx).
    pub const fn is_success(self) -> bool {
        matches!(self.class(), Class::Success)
    }

    /// Whether this ends the transaction (2xx to 6xx).
    pub const fn is_final(self) -> bool {
        !self.is_provisional()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

impl From<&rsip::StatusCode> for Status {
    /// A code outside of 100 to 699 becomes 500, which every receiver understands.
    fn from(code: &rsip::StatusCode) -> Self {
        Status::new(code.code()).unwrap_or(Status::SERVER_INTERNAL_ERROR)
    }
}

impl From<Status> for rsip::StatusCode {
    fn from(status: Status) -> Self {
        rsip::StatusCode::from(status.code())
    }
}

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl Status {
            $(
                #[doc = concat!($code, " ", $reason, ".")]
                pub const $name: Status = Status($code);
            )*

            /// The usual reason phrase; empty for a code this crate does not know.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    100 TRYING "Trying"
    180 RINGING "Ringing"
    181 CALL_IS_BEING_FORWARDED "Call Is Being Forwarded"
    182 QUEUED "Queued"
    183 SESSION_PROGRESS "Session Progress"
    199 EARLY_DIALOG_TERMINATED "Early Dialog Terminated"
    200 OK "OK"
    202 ACCEPTED "Accepted"
    204 NO_NOTIFICATION "No Notification"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 MOVED_TEMPORARILY "Moved Temporarily"
    305 USE_PROXY "Use Proxy"
    380 ALTERNATIVE_SERVICE "Alternative Service"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    402 PAYMENT_REQUIRED "Payment Required"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required"
    408 REQUEST_TIMEOUT "Request Timeout"
    410 GONE "Gone"
    412 CONDITIONAL_REQUEST_FAILED "Conditional Request Failed"
    413 REQUEST_ENTITY_TOO_LARGE "Request Entity Too Large"
    414 REQUEST_URI_TOO_LONG "Request-URI Too Long"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 UNSUPPORTED_URI_SCHEME "Unsupported URI Scheme"
    420 BAD_EXTENSION "Bad Extension"
    421 EXTENSION_REQUIRED "Extension Required"
    422 SESSION_INTERVAL_TOO_SMALL "Session Interval Too Small"
    423 INTERVAL_TOO_BRIEF "Interval Too Brief"
    428 USE_IDENTITY_HEADER "Use Identity Header"
    429 PROVIDE_REFERRER_IDENTITY "Provide Referrer Identity"
    430 FLOW_FAILED "Flow Failed"
    433 ANONYMITY_DISALLOWED "Anonymity Disallowed"
    436 BAD_IDENTITY_INFO "Bad Identity Info"
    437 UNSUPPORTED_CREDENTIAL "Unsupported Credential"
    438 INVALID_IDENTITY_HEADER "Invalid Identity Header"
    439 FIRST_HOP_LACKS_OUTBOUND_SUPPORT "First Hop Lacks Outbound Support"
    440 MAX_BREADTH_EXCEEDED "Max-Breadth Exceeded"
    469 BAD_INFO_PACKAGE "Bad Info Package"
    470 CONSENT_NEEDED "Consent Needed"
    480 TEMPORARILY_UNAVAILABLE "Temporarily Unavailable"
    481 CALL_OR_TRANSACTION_DOES_NOT_EXIST "Call/Transaction Does Not Exist"
    482 LOOP_DETECTED "Loop Detected"
    483 TOO_MANY_HOPS "Too Many Hops"
    484 ADDRESS_INCOMPLETE "Address Incomplete"
    485 AMBIGUOUS "Ambiguous"
    486 BUSY_HERE "Busy Here"
    487 REQUEST_TERMINATED "Request Terminated"
    488 NOT_ACCEPTABLE_HERE "Not Acceptable Here"
    489 BAD_EVENT "Bad Event"
    491 REQUEST_PENDING "Request Pending"
    493 UNDECIPHERABLE "Undecipherable"
    494 SECURITY_AGREEMENT_REQUIRED "Security Agreement Required"
    500 SERVER_INTERNAL_ERROR "Server Internal Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 SERVER_TIME_OUT "Server Time-out"
    505 VERSION_NOT_SUPPORTED "Version Not Supported"
    513 MESSAGE_TOO_LARGE "Message Too Large"
    580 PRECONDITION_FAILURE "Precondition Failure"
    600 BUSY_EVERYWHERE "Busy Everywhere"
    603 DECLINE "Decline"
    604 DOES_NOT_EXIST_ANYWHERE "Does Not Exist Anywhere"
    606 NOT_ACCEPTABLE_ANYWHERE "Not Acceptable"
    607 UNWANTED "Unwanted"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_classes_and_phrases() {
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(700), None);
        assert_eq!(Status::new(404), Some(Status::NOT_FOUND));
        assert_eq!(Status::NOT_FOUND.class(), Class::ClientError);
        assert_eq!(Status::RINGING.to_string(), "180 Ringing");
        assert!(
            Status::OK.is_final() && Status::OK.is_success() && Status::TRYING.is_provisional()
        );
        assert_eq!(Status::new(699).map(Status::reason), Some(""));
    }
}
