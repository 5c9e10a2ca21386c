//! The log: where it goes, and what never gets into it.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Libraries that write whole stanzas at the levels below INFO, message bodies and secrets included. No filter brings
/// those out. SEC-08.
const INDISCREET: [&str; 1] = ["tokio_xmpp"];

/// Logs to stderr from here on, what `filter` lets through (the key `log`). To be called once.
pub fn init(filter: &str) -> Result<(), ParseError> {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(Discretion)
        .with(EnvFilter::try_new(filter)?)
        .with(lines)
        .init();
    Ok(())
}

/// Silences [`INDISCREET`] libraries below INFO, whatever the filter says.
struct Discretion;

impl<S: Subscriber> Layer<S> for Discretion {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let target = metadata.target();
        let is_indiscreet = INDISCREET
            .iter()
            .any(|library| target == *library || target.starts_with(&format!("{library}::")));
        !is_indiscreet || *metadata.level() <= Level::INFO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    // SEC-08
    #[test]
    fn stanzas_stay_out_of_the_log_whatever_the_filter() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::registry()
            .with(Discretion)
            .with(EnvFilter::new("trace,tokio_xmpp::xmlstream=trace"))
            .with(
                fmt::layer()
                    .with_writer(move || writer.clone())
                    .with_ansi(false),
            );
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "tokio_xmpp::xmlstream", "<body>hush</body>");
            tracing::debug!(target: "tokio_xmpp", "<body>hush</body>");
            tracing::info!(target: "tokio_xmpp", "connected");
            tracing::trace!(target: "stox", "state");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("hush"), "{text}");
        assert!(
            text.contains("connected") && text.contains("state"),
            "{text}"
        );
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
