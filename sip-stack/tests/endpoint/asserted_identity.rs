//! P-Asserted-Identity: RFC 3325.

use stox_sip::{Event, Method, Name, Originator};

use crate::stage::{Net, raw};

/// CORE-12. P-Asserted-Identity counts from trusted networks only.
#[test]
fn identities_are_believed_of_trusted_networks() {
    for (trusted, expected) in [(vec!["192.0.2.0/24".parse().unwrap()], 2), (vec![], 0)] {
        let mut net = Net::with(|_| (), |config| config.trusted = trusted);
        for method in [Method::Message, Method::Invite] {
            let request = raw(method, 1).with_header(
                Name::PAssertedIdentity,
                "\"J\" <sip:juliet@example.org>, <tel:+12025550101>",
            );
            net.romeo_hears(&request);
            let Some(Event::Requested { originator, .. } | Event::Invited { originator, .. }) =
                net.romeo.poll_event()
            else {
                panic!()
            };
            assert_eq!(
                (originator.asserted.len(), &originator.user),
                (expected, &None)
            );
        }
        let malformed = raw(Method::Options, 1).with_header(Name::PAssertedIdentity, "<");
        net.romeo_hears(&malformed);
        assert!(
            matches!(net.romeo.poll_event(), Some(Event::Requested { originator, .. }) if originator == Originator::default())
        );
    }
}
