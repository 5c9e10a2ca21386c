//! For how long the gateway has been there. XEP-0012 §5, DISCO-06.

use std::time::Duration;

pub(super) const NAMESPACE: &str = "jabber:iq:last";

pub(super) fn answer(uptime: Duration) -> String {
    format!(
        "<query xmlns='{NAMESPACE}' seconds='{}'/>",
        uptime.as_secs()
    )
}
