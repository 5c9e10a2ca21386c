//! SIP for user agents.
//!
//! **Wire.** [`Message::parse_datagram`] and [`StreamFramer`] turn bytes into a [`Request`] or a [`Response`]; both have their
//! [`Headers`] as text and, through getters, as types ([`NameAddr`], [`Via`], [`CSeq`], [`Uri`]). A message that is read has
//! the fields without which it could not be answered; a malformed request keeps what is needed to refuse it
//! ([`ParseError::response`]).
//!
//! **Machine.** An [`Endpoint`] owns every transaction (one machine for each figure of RFC 3261 §17) and every dialog. It
//! is told what happened and what its user wants, with the time, and says by its `poll_*` queues what is to be sent,
//! asked of the DNS, connected, and told to the user ([`Event`]). It answers by itself what needs nobody's opinion:
//! repetitions, CANCEL, BYE, what it cannot understand, further forks.
//! It answers challenges with our [`Credentials`], and challenges others as [`Authentication`] says; who a sender has
//! proven to be is told as the [`Originator`].
//!
//! Subscriptions are the endpoint's too: one of ours ([`Subscribe`], [`Refer`]) is refreshed until it ends, and its end says
//! what comes [`Next`]; one of a peer is served from what its user says by a [`Notice`]. They live in dialogs of their own or
//! share one with a session. Session timers run where `timer` is among what is supported.
//!
//! **Driver** (feature `tokio`). [`bind`] opens the sockets and runs an endpoint in a task; [`Sip`] is the handle to it, a
//! [`Handler`] is told the events. [`TlsSettings`] let it speak TLS, with the identities of RFC 5922.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic
    )
)]

mod dialog;
mod digest;
#[cfg(feature = "tokio")]
mod driver;
mod endpoint;
mod framing;
mod grammar;
mod header;
mod host;
mod keep_alive;
mod message;
mod params;
mod refer;
mod resolve;
mod session_timer;
mod subscription;
mod text;
mod transaction;
mod uri;

pub use digest::{Algorithm, Secret};
#[cfg(feature = "tokio")]
pub use driver::{
    BindError, ClientCertificates, DriverConfig, Handler, Sip, TlsError, TlsSettings, bind,
};
pub use endpoint::{
    Assertion, AuthenticatedUser, Authentication, ConnectionId, CredentialScope, Credentials,
    Demand, Destination, EndCause, Endpoint, EndpointConfig, Event, Failure, Invite, InviteId,
    IpNetwork, IpNetworkError, Limits, Listener, LocalContact, Originator, OutgoingRequest, Proof,
    QuestionId, Refer, ReferPlace, Reply, RequestId, ServerTransactionId, SipsRequests, Source,
    Subscribe, SubscriptionId, Timers, Transmit, User, Visibility,
};
pub use framing::{Frame, FrameError, FrameLimits, KeepAlive, PONG, StreamFramer};
pub use header::{
    CSeq, Early, EventPackage, HeaderError, Headers, Name, NameAddr, RAck, Refresher, Replaces,
    SessionExpires, SubscriptionState, TerminationReason, Via, ViaTransport, WithParams,
};
pub use host::Host;
pub use message::{
    Class, Fault, Handling, Message, Method, MultipartError, ParseError, Part, Request, Response,
    Status, Transport, UnknownMethod,
};
pub use params::Params;
pub use refer::{ReferError, ReferSub, ReferTo, ReferredBy, sipfrag, sipfrag_status};
#[cfg(feature = "tokio")]
pub use resolve::ResolverError;
pub use resolve::{Answer, Naptr, Question, Srv, Target};
pub use subscription::{Document, Next, Notice, Occasion, Package, SubscriptionEnd};
pub use text::Text;
pub use uri::{Scheme, Uri, UriError};
