//! The endpoint as its user and its peers see it. A file for each thing that an RFC describes; the stage is the same.

mod alone;
mod asserted_identity;
mod cancel;
mod capabilities;
mod checks;
mod connections;
mod digest;
mod invite;
mod limits;
#[path = "../log/mod.rs"]
mod log;
mod loops;
mod non_invite;
mod overload;
mod prack;
mod reach;
mod redirection;
mod refer;
mod registration;
mod reinvite;
mod session_timer;
mod stage;
mod subscriptions;
mod targets;
mod update;
mod via;
