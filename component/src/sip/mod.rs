//! SIP messages and their SDP, between the wire's terms and the core's.

mod read;
mod write;

pub use read::{acknowledged, answered, invitation, of_session, page, rejection};
pub use write::{
    PAGE_TYPE, SDP_TYPE, answer, chat_headers, failure_report, offer, page_headers, reason_header,
    refresh, refusal,
};
