//! MSRP: the sessions in which SIP's instant messages travel.
//!
//! From the wire upwards: [`codec`] cuts a byte stream into requests and responses and writes them; [`assembly`] puts
//! the chunks of a message together; [`session`] is the state machine of one MSRP session and decides every answer;
//! [`uri`] names sessions. None of these does any I/O or looks at a clock.
//!
//! Beside them, what goes into a session's offer and answer ([`sdp`]), what goes into its messages ([`cpim`], and within
//! it the documents of [`is_composing`] and [`imdn`]) and which types may go there ([`content`]).
//!
//! The module `node` (feature `tokio`, on by default) is the shell: listeners, connections, TLS, and the way from a
//! connection to its sessions. Who has a runtime starts there; who has another one drives the sessions himself:
//!
//! ```
//! use std::{io::IoSlice, sync::Arc, time::Instant};
//!
//! use bytes::BytesMut;
//! use rand::{SeedableRng, rngs::StdRng};
//! use stox_msrp::{
//!     FailureReport, Limits, Outgoing, Role, SessionConfig, SessionEvent, SessionOptions,
//!     codec::{Decoder, Part, Start},
//!     session::{Chunking, Outbound, Output, SessionCore},
//! };
//!
//! /// A session and its connection.
//! struct End {
//!     session: SessionCore,
//!     outbound: Outbound,
//!     decoder: Decoder,
//!     rng: StdRng,
//!     now: Instant,
//! }
//!
//! impl End {
//!     /// The URIs are what offer and answer told in `a=path`.
//!     fn new(local: &str, remote: &str, role: Role) -> End {
//!         let (limits, now) = (Arc::new(Limits::default()), Instant::now());
//!         let config = SessionConfig {
//!             local: local.parse().expect("an MSRP URI"),
//!             remote: vec![remote.parse().expect("an MSRP URI")],
//!             role,
//!             max_size: 20_000,
//!             fingerprint: None,
//!             options: SessionOptions::default(),
//!         };
//!         let mut rng = StdRng::seed_from_u64(local.len() as u64);
//!         let decoder = Decoder::new(&limits);
//!         let mut outbound = Outbound::new();
//!         let mut session = SessionCore::new(config, limits, Chunking::default(), now, &mut rng);
//!         session.handle_connected(now, &mut rng, &mut outbound);
//!         End { session, outbound, decoder, rng, now }
//!     }
//!
//!     /// Bytes have come; the answer says what happened.
//!     fn handle(&mut self, bytes: &[u8]) -> Vec<Output> {
//!         let (mut buffer, mut out) = (BytesMut::from(bytes), Vec::new());
//!         let (session, now, outbound) = (&mut self.session, self.now, &mut self.outbound);
//!         while let Some(part) = self.decoder.decode(&mut buffer).expect("MSRP") {
//!             match part {
//!                 Part::First { head, body, end } => match head.start() {
//!                     Start::Request(_) => session.handle_request(&head, body, end, now, outbound, &mut out),
//!                     Start::Response(_) => session.handle_response(&head, now, outbound, &mut out),
//!                 },
//!                 Part::Next { body, end } => session.handle_more(body, end, now, outbound, &mut out),
//!             }
//!         }
//!         out
//!     }
//!
//!     /// Bytes to be written.
//!     fn written(&mut self) -> Vec<u8> {
//!         let mut slices = [IoSlice::new(&[]); 8];
//!         let used = self.outbound.slices(&mut slices);
//!         let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
//!         self.outbound.handle_written(bytes.len(), self.now);
//!         bytes
//!     }
//! }
//!
//! let (here, there) = ("msrp://192.0.2.1:2855/juliet;tcp", "msrp://192.0.2.2:2855/romeo;tcp");
//! let mut juliet = End::new(here, there, Role::Active);
//! let mut romeo = End::new(there, here, Role::Passive);
//!
//! // Who connects sends a request without content at once; then both are bound.
//! let bound = romeo.handle(&juliet.written());
//! assert!(matches!(bound[..], [Output::Complete(SessionEvent::Bound)]));
//! juliet.handle(&romeo.written());
//!
//! let message = Outgoing {
//!     token: 7,
//!     transaction_id: None,
//!     content_type: "text/plain".to_owned(),
//!     body: "Art thou not Romeo, and a Montague?".into(),
//!     success_report: false,
//!     failure_report: FailureReport::Yes,
//! };
//! juliet.session.send(message, juliet.now, &mut juliet.rng, &mut juliet.outbound)?;
//! for output in romeo.handle(&juliet.written()) {
//!     if let Output::Deliver(incoming) = output {
//!         assert_eq!(incoming.body, "Art thou not Romeo, and a Montague?");
//!         romeo.session.respond(incoming.id, 200, &mut romeo.outbound);
//!     }
//! }
//! let accepted = juliet.handle(&romeo.written());
//! assert!(matches!(accepted[..], [Output::Complete(SessionEvent::Accepted { token: 7 })]));
//! # Ok::<(), stox_msrp::Unsent<Outgoing>>(())
//! ```
//!
//! RFC 4975 (MSRP), RFC 7701 §7 (nicknames in chat rooms), RFC 6135 (who connects), RFC 6714 (through middleboxes),
//! RFC 3862 (CPIM), RFC 3994 (isComposing), RFC 5438 (IMDN).

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

pub mod assembly;
mod byte_range;
pub mod codec;
pub mod content;
pub mod cpim;
mod event;
mod history;
mod ident;
pub mod imdn;
pub mod is_composing;
mod limits;
mod nickname;
#[cfg(feature = "tokio")]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "counts of our own; lengths from the network are checked before"
)]
pub mod node;
pub mod sdp;
#[allow(
    clippy::arithmetic_side_effects,
    reason = "counts of our own; lengths from the network are checked before"
)]
pub mod session;
pub mod uri;
mod xml;

pub use byte_range::ByteRange;
pub use event::{
    Admitted, FailureReport, Incoming, IncomingId, LongMessages, LostCause, NicknameRequest,
    Nicknames, Outgoing, OutgoingStream, Report, Role, SendError, SessionConfig, SessionEvent,
    SessionOptions, StreamBegan, StreamEnd, StreamError, Unconfirmed, Unsent,
};
pub use history::{Histories, History};
pub use ident::Ident;
pub use limits::Limits;
pub use nickname::{Nickname, NicknameError, NicknameForm};
pub use uri::MsrpUri;
pub use xml::XmlError;
