//! Requests of ours that are redirected: which addresses are tried, in which order, and how often. RFC 3261 §8.1.3.4; CORE-25.

use std::collections::VecDeque;
use std::time::Instant;

use super::Endpoint;
use super::client::{Attempt, Client, Owner};
use crate::{CSeq, Class, Name, NameAddr, Response, Scheme, Status, Uri};

/// A q-value in thousandths. RFC 3261 §25.1.
const WHOLE: u16 = 1000;

/// The addresses that 3xx responses to one request have named. Each is tried once.
#[derive(Debug)]
pub(super) struct Redirection {
    /// The first one is where the request was sent to begin with.
    seen: Vec<Uri>,
    waiting: VecDeque<Uri>,
}

impl Redirection {
    fn new(target: Uri) -> Self {
        Self {
            seen: vec![target],
            waiting: VecDeque::new(),
        }
    }

    /// Takes the addresses of a response, the best liked first; at most so many of all responses together.
    fn learn(&mut self, mut contacts: Vec<NameAddr>, most: usize) {
        contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
        // Addresses that are followed first are those of the last response.
        let mut named = Vec::new();
        for contact in contacts {
            // What is no address of a user agent, or would replace fields of the request, is not taken from a URI.
            let uri = contact.uri.without_param("method").without_headers();
            let is_new = !self.seen.iter().any(|seen| seen.equivalent(&uri));
            if self.seen.len() <= most && is_new && self.may_lead_to(&uri) {
                self.seen.push(uri.clone());
                named.push(uri);
            }
        }
        for uri in named.into_iter().rev() {
            self.waiting.push_front(uri);
        }
    }

    /// What was to be secure all the way stays so.
    fn may_lead_to(&self, uri: &Uri) -> bool {
        let is_secure = self
            .seen
            .first()
            .is_some_and(|first| *first.scheme() == Scheme::Sips);
        match uri.scheme() {
            Scheme::Sips => true,
            Scheme::Sip => !is_secure,
            Scheme::Im | Scheme::Pres | Scheme::Tel | Scheme::Xmpp | Scheme::Other(_) => false,
        }
    }
}

impl Endpoint {
    /// Whether the request goes on to an address of a redirection, which may be what this response is. What it answers with
    /// is told only when there is none left.
    pub(super) fn may_follow(&self, client: &mut Client, response: &Response) -> bool {
        let source = client.target.address.ip();
        let attempt = &mut *client.attempt;
        let most = self.config.limits.redirections;
        // 380 names other services, and 305 a proxy for this target.
        let names_addresses = matches!(
            response.status,
            Status::MULTIPLE_CHOICES | Status::MOVED_PERMANENTLY | Status::MOVED_TEMPORARILY
        );
        if names_addresses && most > 0 && is_redirectable(attempt) {
            let contacts = response.contacts().unwrap_or_default();
            let target = &attempt.request.uri;
            let redirection = attempt
                .redirection
                .get_or_insert_with(|| Box::new(Redirection::new(target.clone())));
            redirection.learn(contacts, most);
            attempt.named_by = Some(source);
        }
        // 6xx speaks for every address. RFC 3261 §21.6.
        response.status.class() != Class::GlobalFailure && self.has_next_location(attempt)
    }

    pub(super) fn has_next_location(&self, attempt: &Attempt) -> bool {
        let redirection = attempt.redirection.as_ref();
        redirection.is_some_and(|redirection| !redirection.waiting.is_empty())
            && !self.is_withdrawn(attempt.owner)
    }

    /// Sends a request to the next address: with the Call-ID and From tag it had, and the CSeq raised (SIP-18).
    pub(super) fn follow(&mut self, mut attempt: Box<Attempt>, now: Instant) {
        let redirection = attempt.redirection.as_mut();
        let Some(uri) = redirection.and_then(|it| it.waiting.pop_front()) else {
            return;
        };
        tracing::debug!(method = %attempt.request.method, from = %attempt.request.uri, to = %uri, "a request is redirected");
        attempt.request.uri = uri;
        let request = &mut attempt.request;
        // What was proven there is not for the next one.
        request.headers.remove(&Name::Authorization);
        if let Some(number) = self.next_cseq(attempt.owner, &attempt.request) {
            let cseq = CSeq::new(number, attempt.request.method.clone());
            attempt.request.headers.set(Name::CSeq, cseq.to_string());
        }
        self.restart(attempt, now);
    }
}

/// Requests inside of dialogs stay with the peer of the dialog.
fn is_redirectable(attempt: &Attempt) -> bool {
    let is_outside = || attempt.request.to().is_ok_and(|to| to.tag().is_none());
    match attempt.owner {
        Owner::Invite(_) | Owner::Request(_) | Owner::Subscription(_) | Owner::Registration(_) => {
            is_outside()
        }
        Owner::Ack(..)
        | Owner::Bye(_)
        | Owner::InSession(..)
        | Owner::Notify(_)
        | Owner::Nobody => false,
    }
}

fn preference(contact: &NameAddr) -> u16 {
    let Some(q) = contact.params.get("q").flatten() else {
        return WHOLE;
    };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if whole == "1" {
        return WHOLE;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    digits.fold(0, |sum, digit| match digit {
        b'0'..=b'9' => {
            u16::from(digit.saturating_sub(b'0')).saturating_add(10_u16.saturating_mul(sum))
        }
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(target: &str, most: usize, contacts: &[&str]) -> Vec<String> {
        let mut redirection = Redirection::new(target.parse().unwrap());
        let contacts = contacts.iter().map(|it| NameAddr::parse(it).unwrap());
        redirection.learn(contacts.collect(), most);
        let waiting = redirection.waiting.iter();
        waiting.map(ToString::to_string).collect()
    }

    /// CORE-25. By q, those without first; what was tried, is no SIP address or is one too many is left out.
    #[test]
    fn addresses_in_their_order() {
        let named = learned(
            "sip:romeo@example.net",
            5,
            &[
                "<sip:c@example.net>;q=0.25",
                "<sip:b@example.net>;q=0.9;expires=60",
                "<sip:a@example.net>",
                "<sip:ROMEO@example.net>;q=0",
                "<sip:romeo@EXAMPLE.net>",
                "<sip:b@example.net>;q=0.1",
                "<tel:+12025550101>",
                "<mailto:romeo@example.net>",
                "<sip:d@example.net;method=INVITE?Subject=x>;q=0.2",
                "<sip:e@example.net>;q=0.1",
            ],
        );
        let expected = [
            "sip:a@example.net",
            "sip:b@example.net",
            "sip:c@example.net",
            "sip:d@example.net",
            "sip:e@example.net",
        ];
        assert_eq!(named, expected);
        let secure = learned("sips:romeo@example.net", 5, &["<sip:a@b>", "<sips:a@b>"]);
        assert_eq!(secure, ["sips:a@b"]);
    }

    #[test]
    fn q_values() {
        for (params, expected) in [
            ("", 1000),
            (";q=1", 1000),
            (";q=1.000", 1000),
            (";q=0.5", 500),
            (";q=0.05", 50),
            (";q=0", 0),
            (";q=.7", 700),
            (";q=0.1234567890123", 123),
            (";q=x", 0),
            (";q", 1000),
        ] {
            let contact = NameAddr::parse(&format!("<sip:a@b>{params}")).unwrap();
            assert_eq!(preference(&contact), expected, "{params}");
        }
    }
}
