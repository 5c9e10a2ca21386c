//! Which XMPP users the gateway is for (SEC-04).

use std::collections::HashSet;

use super::{BareJid, Jid};

/// Who on the XMPP side may use the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Whoever the XMPP server lets write to it.
    #[default]
    Everybody,
    /// Those who are named.
    Named {
        /// All users of these domains, and rooms there; in lower case. Subdomains are domains of their own.
        domains: HashSet<String>,
        /// Single users.
        users: HashSet<BareJid>,
    },
}

impl Allowed {
    /// Bare JIDs, and domains for all of their users; everybody if there are none.
    pub fn of(entries: &[Jid]) -> Allowed {
        if entries.is_empty() {
            return Allowed::Everybody;
        }
        let (users, domains): (Vec<&Jid>, Vec<&Jid>) =
            entries.iter().partition(|entry| entry.node().is_some());
        let domain = |entry: &Jid| entry.domain().to_lowercase();
        Allowed::Named {
            domains: domains.into_iter().map(domain).collect(),
            users: users.into_iter().map(Jid::bare).collect(),
        }
    }

    /// Whether a user, or any device of theirs, is among them.
    pub fn includes(&self, jid: &Jid) -> bool {
        match self {
            Allowed::Everybody => true,
            Allowed::Named { domains, users } => {
                domains.contains(&jid.domain().to_lowercase()) || users.contains(&jid.bare())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SEC-04
    #[test]
    fn domains_and_single_users_may_be_named() {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let named = Allowed::of(&[jid("Example.com"), jid("nurse@example.org")]);
        for (address, is_included) in [
            ("juliet@example.com", true),
            ("juliet@example.com/balcony", true),
            ("example.com", true),
            ("juliet@rooms.example.com", false),
            ("juliet@badexample.com", false),
            ("nurse@example.org/phone", true),
            ("tybalt@example.org", false),
            ("example.org", false),
        ] {
            assert_eq!(named.includes(&jid(address)), is_included, "{address}");
            assert!(Allowed::of(&[]).includes(&jid(address)));
        }
    }
}
