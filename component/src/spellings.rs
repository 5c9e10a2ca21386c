//! How SIP users spell their own addresses: SIP user parts are case-sensitive, localparts are not (CORE-06).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use stox_sip::Uri;

/// As many are remembered; the oldest go first.
const REMEMBERED: usize = 65_536;

/// The spellings seen last, by the one spelling that all others lead to.
#[derive(Debug, Default)]
pub struct Spellings {
    uri_by_address: HashMap<Arc<str>, Uri>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Spellings {
    /// Notes a spelling; a later one takes its place. Says whether it was new.
    pub fn note(&mut self, address: Arc<str>, uri: &Uri) -> bool {
        match self.uri_by_address.insert(address.clone(), uri.clone()) {
            Some(last) => return last != *uri,
            None => self.oldest_first.push_back(address),
        }
        if self.oldest_first.len() > REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.uri_by_address.remove(&oldest);
        }
        true
    }

    /// The last one noted.
    pub fn last(&self, address: &str) -> Option<Uri> {
        self.uri_by_address.get(address).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Key;
    use crate::translate::Parties;

    #[test]
    fn the_last_spelling_counts() {
        // CORE-06
        let mut spellings = Spellings::default();
        let uri = |text: &str| Uri::parse(text).unwrap();
        let key = |uri: &Uri| {
            Key::of(&Parties {
                juliet: "juliet@example.com".parse().unwrap(),
                juliet_uri: Uri::parse("sip:juliet@example.com").unwrap(),
                romeo: "romeo%example.net@sip.example.com".parse().unwrap(),
                romeo_uri: uri.clone(),
            })
        };
        let (small, large) = (uri("sip:romeo@example.net"), uri("sip:Romeo@EXAMPLE.net"));
        assert_eq!(key(&small), key(&large));
        let address = key(&small).romeo;
        assert!(spellings.last(&address).is_none());
        assert!(spellings.note(key(&large).romeo, &large));
        assert!(!spellings.note(key(&large).romeo, &large));
        let last = spellings.last(&address).unwrap();
        assert_eq!(last.user(), Some("Romeo"));
    }
}
