//! SIP for user agents.
//!
//! **Wire.** [`Message::parse_datagram`] and [`StreamFramer`] turn bytes into a [`Request`] or a [`Response`]; both have their
//! [`Headers`] as text and, through getters, as types ([`NameAddr`], [`Via`], [`CSeq`], [`Uri`]). A message that is read has
//! the fields without which it could not be answered; a malformed request keeps what is needed to refuse it
//! ([`ParseError::response`]). What a body that has parts is made of is said by [`Request::part`]; what a user agent says in
//! its Contact that it is by [`Features`].
//!
//! **Machine.** An [`Endpoint`] owns every transaction (one machine for each figure of RFC 3261 §17) and every dialog. It
//! is told what happened and what its user wants, with the time, and says by its `poll_*` queues what is to be sent,
//! asked of the DNS, connected, closed, and told to the user ([`Event`]). It follows redirections, and answers by itself what needs nobody's opinion:
//! repetitions, CANCEL, BYE, what it cannot understand, further forks.
//! It answers challenges with our [`Credentials`], and challenges others as [`Authentication`] says; who a sender has
//! proven to be is told as the [`Originator`].
//!
//! Subscriptions are the endpoint's too: one of ours ([`Subscribe`], [`Refer`]) is refreshed until it ends, and its end says
//! what comes [`Next`]; one of a peer is served from what its user says by a [`Notice`]. They live in dialogs of their own or
//! share one with a session. Session timers run where `timer` is among what is supported.
//! A [`Register`] keeps us registered until it is taken back.
//!
//! **Documents.** What the package `conference` tells, as it is read, written and followed, is in [`conference`]; the machine
//! knows nothing of it.
//!
//! **Driver** (feature `tokio`). `bind` opens the sockets and runs an endpoint in a task; `Sip` is the handle to it, a
//! `Handler` is told the events. `TlsSettings` let it speak TLS, with the identities of RFC 5922.
//!
//! Two endpoints, and what a driver does for them: it carries what is to be sent, brings the time, and tells the events.
//!
//! ```
//! use std::time::Instant;
//!
//! use rand::{SeedableRng, rngs::StdRng};
//! use stox_sip::{
//!     Destination, Endpoint, EndpointConfig, Event, Listener, Message, Method, NameAddr, OutgoingRequest, Reply, RequestId,
//!     Source, Status, Transport,
//! };
//!
//! fn endpoint(address: &str, seed: u64) -> Endpoint {
//!     let address = address.parse().unwrap();
//!     let listener = Listener { transport: Transport::Udp, bound: address, advertised: address };
//!     let config = EndpointConfig { listeners: vec![listener], ..EndpointConfig::default() };
//!     // Outside of examples the seed is one that nobody can guess.
//!     Endpoint::new(config, StdRng::seed_from_u64(seed))
//! }
//!
//! /// Carries the next datagram of one endpoint to the other.
//! fn carry(from: &mut Endpoint, to: &mut Endpoint, now: Instant) {
//!     let transmit = from.poll_transmit().expect("something to send");
//!     let Destination::Datagram { local, remote } = transmit.destination else { panic!("only UDP is spoken here") };
//!     let source = Source { transport: Transport::Udp, local: remote, remote: local, connection: None };
//!     to.handle_received(Message::parse_datagram(transmit.payload), source, now);
//! }
//!
//! let mut juliet = endpoint("192.0.2.1:5060", 1);
//! let mut romeo = endpoint("192.0.2.2:5060", 2);
//! let now = Instant::now();
//!
//! let address = |uri: &str| NameAddr::new(uri.parse().unwrap());
//! let mut message = OutgoingRequest::new(
//!     Method::Message,
//!     "sip:romeo@192.0.2.2".parse()?,
//!     address("sip:juliet@example.com"),
//!     address("sip:romeo@example.net"),
//! );
//! (message.content_type, message.body) = ("text/plain".into(), "Dost thou love me?".into());
//! juliet.request(RequestId::ours(1), message, now);
//! carry(&mut juliet, &mut romeo, now);
//!
//! let Some(Event::Requested { transaction, request, .. }) = romeo.poll_event() else { panic!("a MESSAGE is told") };
//! assert_eq!(request.body, "Dost thou love me?");
//! romeo.respond(transaction, Reply::new(Status::OK), now);
//! carry(&mut romeo, &mut juliet, now);
//!
//! let Some(Event::Responded { request, response }) = juliet.poll_event() else { panic!("so is its answer") };
//! assert_eq!((request, response.status), (RequestId::ours(1), Status::OK));
//! // Romeo would answer a repetition until Timer J fires, half a minute later.
//! assert!(romeo.poll_timeout().is_some());
//! # Ok::<(), stox_sip::UriError>(())
//! ```

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

pub mod conference;
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
mod registration;
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
    QuestionId, Reach, Refer, ReferPlace, Register, RegistrationId, Reply, RequestId,
    ServerTransactionId, SipsRequests, Source, Subscribe, SubscriptionId, Timers, Transmit, User,
    Visibility, answer_once,
};
pub use framing::{Frame, FrameError, KeepAlive, PONG, StreamFramer};
pub use header::{
    CSeq, Early, EventPackage, Feature, Features, HeaderError, Headers, Name, NameAddr, RAck,
    Refresher, Replaces, SessionExpires, SubscriptionState, TerminationReason, Via, ViaTransport,
    WithParams,
};
pub use host::Host;
pub use message::{
    Class, Fault, Handling, Message, MessageLimits, Method, MultipartError, ParseError, Part,
    Request, Response, Status, Transport, UnknownMethod,
};
pub use params::Params;
pub use refer::{ReferError, ReferSub, ReferTo, ReferredBy, sipfrag, sipfrag_status};
pub use registration::RegistrationFailure;
#[cfg(feature = "tokio")]
pub use resolve::ResolverError;
pub use resolve::{Answer, Naptr, Question, Srv, Target};
pub use subscription::{Document, Next, Notice, Occasion, Package, SubscriptionEnd};
pub use text::Text;
pub use uri::{Scheme, Uri, UriError};
