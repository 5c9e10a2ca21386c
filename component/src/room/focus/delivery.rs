//! What occupants say, as SIP users get it: CPIM documents, each made once for everybody (RS-26, PERF-7).

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use stox_msrp::cpim;
use stox_sip::Uri;

use super::site::Site;
use crate::stamp;
use crate::text;

/// Documents that are kept, and for how long: the MUC tells all occupants of one message at once.
const KEPT: usize = 16;
const KEPT_FOR: Duration = Duration::from_secs(5);

const PLAIN: &str = "text/plain; charset=utf-8";

/// The latest documents.
#[derive(Debug, Default)]
pub(super) struct Press {
    latest: VecDeque<(Copy, Instant, Bytes)>,
}

/// What makes two stanzas tell of the same message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Copy {
    nick: Option<String>,
    id: Option<String>,
    sent: Option<SystemTime>,
    body: String,
}

impl Press {
    /// The document for what somebody says to everybody; `nick`: none for the room itself. `sent`: when, if not now.
    pub fn public(
        &mut self,
        nick: Option<&str>,
        id: Option<&str>,
        sent: Option<SystemTime>,
        body: &str,
        site: &Site,
        now: Instant,
    ) -> Bytes {
        let is_it = |copy: &Copy| {
            copy.body == body
                && copy.id.as_deref() == id
                && copy.nick.as_deref() == nick
                && copy.sent == sent
        };
        let known = self
            .latest
            .iter()
            .find(|(copy, made, _)| now.saturating_duration_since(*made) < KEPT_FOR && is_it(copy));
        if let Some((_, _, document)) = known {
            return document.clone();
        }
        let sent_at = sent.unwrap_or_else(|| site.clock.time(now));
        let document = document(nick, &site.uri, sent_at, body, site);
        let copy = Copy {
            nick: nick.map(str::to_owned),
            id: id.map(str::to_owned),
            sent,
            body: body.to_owned(),
        };
        self.latest.push_front((copy, now, document.clone()));
        self.latest.truncate(KEPT);
        document
    }
}

/// The document for what an occupant says; to the room, or to one user.
pub(super) fn document(
    nick: Option<&str>,
    to: &Uri,
    sent: SystemTime,
    body: &str,
    site: &Site,
) -> Bytes {
    let occupant = nick.and_then(|nick| site.addresses.sip_of_xmpp(&site.occupant(nick)?).ok());
    let from = occupant.as_ref().unwrap_or(&site.uri);
    let name = nick.map(|nick| text::for_header(nick).into_owned());
    cpim::Message {
        from: Some(cpim::Address {
            name,
            uri: from.to_string(),
        }),
        to: vec![cpim::Address {
            name: None,
            uri: to.to_string(),
        }],
        date_time: Some(stamp::format(sent)),
        content_type: Some(PLAIN.to_owned()),
        body: body.to_owned().into(),
        ..cpim::Message::default()
    }
    .wrap()
}

/// What a status of the room means for who is in it (T17). XEP-0045 §15.6.2.
pub(super) fn words_of_status(status: u16) -> Option<&'static str> {
    Some(match status {
        100 => "This room shows the real addresses of its occupants.",
        104 => "The room's configuration has changed.",
        170 => "What is said in this room is logged.",
        171 => "What is said in this room is no longer logged.",
        172 => "This room now shows the real addresses of its occupants.",
        173 => "This room no longer shows the real addresses of its occupants.",
        _ => return None,
    })
}
