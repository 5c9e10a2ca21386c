//! Two nodes talk over loopback.
