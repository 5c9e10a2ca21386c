//! MSRP.
