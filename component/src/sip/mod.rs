//! SIP messages and their SDP, between the wire's terms and the core's.

mod chatroom;
mod identity;
mod read;
mod write;

pub use chatroom::{
    bye_reason, focus_of, room_answer, room_answered, room_offer, room_offered, words_of_bye,
};
pub use identity::{is_anonymous, sender};
pub use read::{
    Offer, acknowledged, answered, fingerprint, invitation, of_session, page, rejection, renewed,
};
pub use write::{
    Change, SDP_TYPE, Terms, answer, change, chat_headers, decline_all, description, offer, origin,
    page_headers, reason_header, refusal, report,
};
