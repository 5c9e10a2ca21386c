//! Questions of ours that wait for an answer: only those may be answered. DISCO-05.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::address::Jid;
use crate::xmpp::outgoing::OutgoingIq;
use crate::xmpp::stanza::{Iq, IqType};

const MOST: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(300);

/// The open questions, the oldest first. At most 1,024, each for at most five minutes: who asked has given up by then.
#[derive(Debug, Default)]
pub(in crate::xmpp) struct Requests {
    open: VecDeque<(Instant, String, Jid)>,
}

impl Requests {
    /// Remembers a question that is sent now; results and errors are no questions.
    pub(in crate::xmpp) fn sent(&mut self, iq: &OutgoingIq, now: Instant) {
        if !matches!(iq.kind, IqType::Get | IqType::Set) {
            return;
        }
        let over =
            |(since, ..): &(Instant, String, Jid)| now.saturating_duration_since(*since) > PATIENCE;
        while self.open.len() >= MOST || self.open.front().is_some_and(over) {
            self.open.pop_front();
        }
        self.open.push_back((now, iq.id.clone(), iq.to.clone()));
    }

    /// Whether this result or error answers an open question, which is then no longer open.
    pub(in crate::xmpp) fn answered(&mut self, iq: &Iq) -> bool {
        let open = self
            .open
            .iter()
            .position(|(_, id, to)| Some(id) == iq.id.as_ref() && *to == iq.from);
        open.and_then(|open| self.open.remove(open)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::outgoing::Request;

    fn question(id: &str) -> OutgoingIq {
        let from = Jid::parse("sip.example.com").unwrap();
        let to = Jid::parse("verona@rooms.example.com").unwrap();
        OutgoingIq::request(&from, &to, id, Request::Get, "<query xmlns='x'/>".into())
    }

    fn result(from: &str, id: &str) -> Iq {
        Iq {
            from: Jid::parse(from).unwrap(),
            to: Jid::parse("sip.example.com").unwrap(),
            id: Some(id.into()),
            kind: IqType::Result,
            lang: None,
            payload: None,
            error: None,
        }
    }

    #[test]
    fn answered_once_and_by_the_one_that_was_asked() {
        let mut requests = Requests::default();
        requests.sent(&question("q1"), Instant::now());
        assert!(!requests.answered(&result("mallory@example.com", "q1")));
        assert!(!requests.answered(&result("verona@rooms.example.com", "q2")));
        assert!(requests.answered(&result("verona@rooms.example.com", "q1")));
        assert!(!requests.answered(&result("verona@rooms.example.com", "q1")));
    }

    #[test]
    fn bounded_in_number_and_time() {
        let mut requests = Requests::default();
        let now = Instant::now();
        for n in 0..2000 {
            requests.sent(&question(&format!("q{n}")), now);
        }
        assert_eq!(requests.open.len(), MOST);
        requests.sent(&question("late"), now + PATIENCE + Duration::from_secs(1));
        assert_eq!(requests.open.len(), 1);
    }
}
