//! SIP for user agents.
