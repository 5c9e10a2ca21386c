//! What a message of the switch's says. The switch sends the same to every member: it is read once for all of them
//! (PERF-7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use stox_msrp::{Incoming, content, cpim};
use tracing::debug;

use super::place::AddressKey;
use crate::body::{self, Content, Unreadable};
use crate::fault::{Condition, Fault};

/// Messages that are remembered, and the bytes of the longest.
const REMEMBERED: usize = 16;
const LONGEST: usize = 64 * 1024;

/// Texts between programs that encrypt for each other; nobody else can read them.
const OTR: &str = "?OTR";

/// What a message says.
#[derive(Debug)]
pub struct Reading {
    /// The id of the stanzas that come of it.
    pub id: String,
    /// Who wrote it, if it says so.
    pub sender: Option<Sender>,
    /// Whom it is for, if it says so.
    pub to: Option<AddressKey>,
    /// What is said.
    pub said: Said,
}

/// Who wrote a message.
#[derive(Debug)]
pub struct Sender {
    /// The address; `None` for one that is no SIP address.
    pub key: Option<AddressKey>,
    /// The same as it was written.
    pub uri: String,
    /// The display name.
    pub name: Option<String>,
}

/// What a message says.
#[derive(Debug)]
pub enum Said {
    /// These words.
    Words {
        /// The text.
        body: String,
        /// When it was written, if it says so.
        sent: Option<SystemTime>,
    },
    /// Nothing that a MUC has a form for.
    Nothing,
    /// Nothing that can be read: it goes back with this.
    Unreadable(Fault),
}

/// The last messages read.
#[derive(Debug, Default)]
pub struct Readings {
    latest: VecDeque<(Bytes, Arc<Reading>)>,
}

impl Readings {
    /// What that message says. `fresh_id` names one that is new.
    pub fn read(&mut self, incoming: &Incoming, fresh_id: impl FnOnce() -> String) -> Arc<Reading> {
        let content_type = incoming.content_type.as_deref().unwrap_or_default();
        let is_cpim = content::is_type(content_type, body::CPIM);
        let known = self.latest.iter().find(|(body, _)| *body == incoming.body);
        if let Some((_, reading)) = known.filter(|_| is_cpim) {
            return reading.clone();
        }
        let reading = Arc::new(read(incoming, fresh_id()));
        if is_cpim && incoming.body.len() <= LONGEST {
            if self.latest.len() >= REMEMBERED {
                self.latest.pop_front();
            }
            self.latest
                .push_back((incoming.body.clone(), reading.clone()));
        }
        reading
    }
}

fn read(incoming: &Incoming, id: String) -> Reading {
    let (mut sender, mut to) = (None, None);
    let content_type = incoming.content_type.as_deref();
    if content_type.is_some_and(|it| content::is_type(it, body::CPIM))
        && let Ok(message) = cpim::Message::parse(&incoming.body)
    {
        sender = message.from.map(|from| Sender {
            key: AddressKey::parse(&from.uri),
            uri: from.uri,
            name: from.name.filter(|name| !name.trim().is_empty()),
        });
        to = message.to.first().and_then(|to| AddressKey::parse(&to.uri));
    }
    Reading {
        id,
        sender,
        to,
        said: said(incoming),
    }
}

fn said(incoming: &Incoming) -> Said {
    if incoming.body.is_empty() {
        return Said::Nothing;
    }
    let content = body::read(incoming.content_type.as_deref(), &incoming.body);
    match content {
        Ok(Content::Text(text)) if text.body.trim().is_empty() => Said::Nothing,
        Ok(Content::Text(text)) if text.body.starts_with(OTR) => Said::Nothing,
        Ok(Content::Text(text)) => Said::Words {
            body: text.body,
            sent: text.sent,
        },
        Ok(Content::Composing(_) | Content::Imdn(_)) => Said::Nothing,
        Err(why) => {
            debug!(reason = %why, "a message of the switch cannot be shown");
            let condition = match why {
                Unreadable::Type | Unreadable::Charset => Condition::FeatureNotImplemented,
                Unreadable::Cpim
                | Unreadable::Composing
                | Unreadable::Imdn
                | Unreadable::Multipart
                | Unreadable::Required => Condition::BadRequest,
            };
            Said::Unreadable(Fault::new(condition))
        }
    }
}
