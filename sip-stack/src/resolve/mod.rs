//! From a URI to the addresses to try, in order. RFC 3263, and RFC 3861 for `im:` and `pres:`.
//!
//! `plan` is pure: it asks questions and is given answers. `dns` is the shell that asks the DNS.

#[cfg(feature = "tokio")]
pub(crate) mod dns;
mod plan;

#[cfg(feature = "tokio")]
pub use dns::ResolverError;
pub use plan::{Answer, Naptr, Question, Srv, Target};
pub(crate) use plan::{Exhausted, Plan, Step};
