//! What an operator can count. Names and help texts as Prometheus shows them.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::translate::promise::{Outcome, Ticket};

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const XMPP_TO_SIP: &str = "xmpp_to_sip";
const SIP_TO_XMPP: &str = "sip_to_xmpp";
const DELIVERED: &str = "delivered";
const REFUSED: &str = "refused";

/// A promise ended: one message was handed on or given back.
pub fn settled(ticket: &Ticket, outcome: &Outcome) {
    let labels = MessageLabels {
        direction: match ticket {
            Ticket::Stanza(_) => XMPP_TO_SIP,
            Ticket::Send { .. } | Ticket::Page { .. } => SIP_TO_XMPP,
        },
        outcome: match outcome {
            Outcome::Delivered => DELIVERED,
            Outcome::Refused(_) => REFUSED,
        },
    };
    METRICS.messages.get_or_create(&labels).inc();
}

/// A message of a room ended: an XMPP user's, or a SIP user's.
pub fn settled_in_room(is_from_xmpp: bool, outcome: &Outcome) {
    let labels = MessageLabels {
        direction: match is_from_xmpp {
            true => XMPP_TO_SIP,
            false => SIP_TO_XMPP,
        },
        outcome: match outcome {
            Outcome::Delivered => DELIVERED,
            Outcome::Refused(_) => REFUSED,
        },
    };
    METRICS.messages.get_or_create(&labels).inc();
}

/// A chat session was invited, by either side.
pub fn session_opened() {
    METRICS.sessions_open.inc();
}

/// A chat session, invited before, is over.
pub fn session_closed() {
    METRICS.sessions_open.dec();
}

/// The XMPP server accepted the component.
pub fn link_up() {
    METRICS.link_up.set(1);
    METRICS.link_connects.inc();
}

/// The connection to the XMPP server is lost or closed.
pub fn link_down() {
    METRICS.link_up.set(0);
}

/// All metrics in the text format that Prometheus reads.
pub fn render() -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = text::encode(&mut page, &METRICS.registry);
    page
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

struct Metrics {
    registry: Registry,
    messages: Family<MessageLabels, Counter<u64, AtomicU64>>,
    sessions_open: Gauge,
    link_up: Gauge,
    link_connects: Counter<u64, AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    direction: &'static str,
    outcome: &'static str,
}

impl Metrics {
    fn new() -> Metrics {
        let mut registry = Registry::with_prefix("stox");
        let messages = Family::<MessageLabels, Counter<u64, AtomicU64>>::default();
        // A rate can only be taken of a counter that was there before its first event.
        for direction in [XMPP_TO_SIP, SIP_TO_XMPP] {
            for outcome in [DELIVERED, REFUSED] {
                drop(messages.get_or_create(&MessageLabels { direction, outcome }));
            }
        }
        let sessions_open = Gauge::default();
        let link_up = Gauge::default();
        let link_connects = Counter::default();
        registry.register(
            "messages",
            "Messages handed to the next hop or given back to their sender",
            messages.clone(),
        );
        registry.register(
            "sessions_open",
            "Chat sessions with SIP users that are not over yet",
            sessions_open.clone(),
        );
        registry.register(
            "xmpp_link_up",
            "Whether the XMPP server has accepted the component (1) or not (0)",
            link_up.clone(),
        );
        registry.register(
            "xmpp_link_connects",
            "How often the XMPP server has accepted the component",
            link_connects.clone(),
        );
        Metrics {
            registry,
            messages,
            sessions_open,
            link_up,
            link_connects,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fault::{Condition, Fault};

    #[test]
    fn everything_counted_is_shown() {
        let page = render();
        assert!(
            page.contains("stox_messages_total{direction=\"xmpp_to_sip\",outcome=\"refused\"} "),
            "{page}"
        );
        session_opened();
        link_up();
        settled(
            &Ticket::Stanza(Arc::new(crate::translate::promise::Origin {
                from: "a@b/c".parse().unwrap(),
                to: "d@e".parse().unwrap(),
                id: None,
                thread: None,
                entry: None,
            })),
            &Outcome::Refused(Fault::new(Condition::ItemNotFound)),
        );
        let page = render();
        for line in [
            "stox_sessions_open ",
            "stox_xmpp_link_up ",
            "stox_xmpp_link_connects_total ",
            "# EOF",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
        assert!(
            !page.contains("stox_messages_total{direction=\"xmpp_to_sip\",outcome=\"refused\"} 0"),
            "{page}"
        );
    }
}
