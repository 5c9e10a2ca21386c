//! Addresses that have been read lately: to check and to copy them anew for every stanza would cost more than to find them
//! here, and stanzas that are kept for a while would each keep copies of their own.

use std::collections::HashSet;

use crate::address::Jid;

/// As many are remembered. Beyond it all are forgotten, and read once more (SEC-14).
const KNOWN: usize = 65_536;

/// The addresses, as they were spelt.
#[derive(Debug, Default)]
pub(super) struct Known {
    jids: HashSet<Jid>,
}

impl Known {
    /// Reads an address; `None`: it is none.
    pub(super) fn read(&mut self, text: &str) -> Option<Jid> {
        if let Some(jid) = self.jids.get(text) {
            return Some(jid.clone());
        }
        let jid = Jid::parse(text).ok()?;
        if self.jids.len() >= KNOWN {
            self.jids = HashSet::new();
        }
        self.jids.insert(jid.clone());
        Some(jid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_says_however_often_it_is_read() {
        let mut known = Known::default();
        for text in [
            "juliet@example.com/balcony",
            "juliet@example.com",
            "Juliet@example.com",
            "example.com",
        ] {
            for _ in 0..2 {
                let jid = known.read(text).unwrap();
                assert_eq!(jid, Jid::parse(text).unwrap());
                assert_eq!(jid.resource(), Jid::parse(text).unwrap().resource());
            }
        }
        for text in ["", "@example.com", "juliet@"] {
            assert_eq!(known.read(text), None);
        }
        assert_eq!(known.jids.len(), 4);
    }

    #[test]
    fn memory_is_bounded() {
        let mut known = Known::default();
        for number in 0..=KNOWN {
            known.read(&format!("{number}@example.com")).unwrap();
        }
        assert_eq!(known.jids.len(), 1);
    }
}
