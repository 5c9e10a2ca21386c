//! What the user of the endpoint asks for, and the ids both speak of.

use bytes::Bytes;

use crate::{Method, Name, NameAddr, Status, Uri};

/// Ids of what the peer starts have this bit, so that both sides hand out ids without asking the other.
const OF_THE_PEER: u64 = 1 << 63;

/// One INVITE, sent or received, and the session it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InviteId(u64);

impl InviteId {
    /// The id of an INVITE of ours. The caller counts `number` up and never uses one twice.
    pub fn ours(number: u64) -> Self {
        Self(number & !OF_THE_PEER)
    }

    pub(crate) fn of_the_peer(number: u64) -> Self {
        Self(number | OF_THE_PEER)
    }
}

/// One request of ours other than INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

impl RequestId {
    /// The refresh that the endpoint sends by itself; of which nobody is told.
    pub(crate) const REFRESH: Self = Self(OF_THE_PEER);

    /// The id of a request of ours. The caller counts `number` up and never uses one twice.
    pub fn ours(number: u64) -> Self {
        Self(number & !OF_THE_PEER)
    }

    pub(crate) fn is_refresh(self) -> bool {
        self == Self::REFRESH
    }
}

/// One request of the peer that waits for our final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTransactionId(pub(crate) u64);

impl ServerTransactionId {
    /// An id with that number. Only the endpoint hands out ids that it knows; this is for tests of who uses it.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Our own Contact. Host, port and transport are filled in by the endpoint: the configured public
/// host, else the local address of the flow used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalContact {
    /// The user part, percent-encoded already.
    pub user: Option<String>,
    /// Parameters of the URI, such as `gr`; written as they are.
    pub uri_params: Vec<(String, Option<String>)>,
    /// Parameters of the header field, such as `isfocus` or `+sip.instance`; written as they are.
    pub params: Vec<(String, Option<String>)>,
}

/// An INVITE to be sent.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The Request-URI.
    pub target: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To, without tag.
    pub to: NameAddr,
    /// Our Contact.
    pub contact: LocalContact,
    /// None: a new one. The next attempt after 401 or 3xx keeps that of the first (SIP-18).
    pub call_id: Option<String>,
    /// None: a new one. The next attempt keeps that of the first.
    pub from_tag: Option<String>,
    /// None: 1. The next attempt has one more than the last. Each challenge answered raises it by one.
    pub cseq: Option<u32>,
    /// Further header fields; those the endpoint writes itself are ignored here.
    pub headers: Vec<(Name, String)>,
    /// Media type of the body; ignored when the body is empty.
    pub content_type: String,
    /// The session description, or empty.
    pub body: Bytes,
}

impl Invite {
    /// An INVITE without body or further header fields.
    pub fn new(target: Uri, from: NameAddr, to: NameAddr, contact: LocalContact) -> Self {
        Self {
            target,
            from,
            to,
            contact,
            call_id: None,
            from_tag: None,
            cseq: None,
            headers: Vec::new(),
            content_type: String::new(),
            body: Bytes::new(),
        }
    }
}

/// A request other than INVITE to be sent outside the sessions the endpoint keeps.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// Any but INVITE, ACK and CANCEL.
    pub method: Method,
    /// The Request-URI.
    pub target: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To; with tag inside a dialog the caller keeps (subscriptions).
    pub to: NameAddr,
    /// None: a new one.
    pub call_id: Option<String>,
    /// None: a new one.
    pub from_tag: Option<String>,
    /// None: 1. Each challenge answered raises it by one: the response tells the last.
    pub cseq: Option<u32>,
    /// Our Contact, where the method wants one (SUBSCRIBE, REFER).
    pub contact: Option<LocalContact>,
    /// Further header fields; those the endpoint writes itself are ignored here. A Route is obeyed.
    pub headers: Vec<(Name, String)>,
    /// Media type of the body; ignored when the body is empty.
    pub content_type: String,
    /// The body, or empty.
    pub body: Bytes,
}

impl OutgoingRequest {
    /// A request without body or further header fields.
    pub fn new(method: Method, target: Uri, from: NameAddr, to: NameAddr) -> Self {
        Self {
            method,
            target,
            from,
            to,
            call_id: None,
            from_tag: None,
            cseq: None,
            contact: None,
            headers: Vec::new(),
            content_type: String::new(),
            body: Bytes::new(),
        }
    }
}

/// A response to be sent. Via, From, To, Call-ID, CSeq, Record-Route, Server and Allow are filled in
/// by the endpoint.
#[derive(Clone, Debug)]
pub struct Reply {
    /// 101 to 699; provisional ones only to INVITE.
    pub status: Status,
    /// None: the usual phrase.
    pub reason: Option<String>,
    /// Our Contact; a response that makes a dialog gets one even when this is none.
    pub contact: Option<LocalContact>,
    /// Further header fields; those the endpoint writes itself are ignored here.
    pub headers: Vec<(Name, String)>,
    /// Media type of the body; ignored when the body is empty.
    pub content_type: Option<String>,
    /// The body, or empty.
    pub body: Bytes,
}

impl Reply {
    /// A response without body or further header fields.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            reason: None,
            contact: None,
            headers: Vec::new(),
            content_type: None,
            body: Bytes::new(),
        }
    }
}
