//! Who a SIP request is from, as the XMPP user is to see it. RFC 3323, RFC 3325; CORE-12, SEC-03, SEC-15.

use std::hash::{DefaultHasher, Hash, Hasher};

use stox_sip::{Host, NameAddr, Originator, Proof, Request, Scheme, Status, Uri, Visibility};

use crate::address::Aor;

/// The host of addresses that say nothing. RFC 3323 §4.1.1.3.
const ANONYMOUS: &str = "anonymous.invalid";

/// The address that stands for the sender: what is asserted, else what a password has proven, else what From says. Where
/// it is asserted, From only says how the sender likes to be called. Who wants to be hidden gets an address that is the
/// same throughout one Call-ID and tells nothing.
///
/// # Errors
/// 400: there is no From. 403: From names somebody else than the password belongs to.
pub fn sender(request: &Request, originator: &Originator) -> Result<Uri, Status> {
    let from = request.from().map_err(|_| Status::BAD_REQUEST)?;
    let (uri, proof) = originator.sender(&from);
    let is_proven = originator.user.is_some();
    match (proof, originator.visibility) {
        (Proof::Password, Visibility::Open) if is_same(&from, &uri) => Ok(from.uri),
        (Proof::Password, Visibility::Open) => Err(Status::FORBIDDEN),
        (Proof::Asserted, Visibility::Open) => Ok(uri),
        // The password is that of a user who has no address, so he has none to show.
        (_, Visibility::Open) if is_proven => Err(Status::FORBIDDEN),
        (_, Visibility::Open) => Ok(from.uri),
        (_, Visibility::Hidden) => nobody(request),
    }
}

/// Whether it is an address that tells nothing.
pub fn is_anonymous(uri: &Uri) -> bool {
    let name = uri.host().and_then(Host::name);
    name.is_some_and(|name| name.eq_ignore_ascii_case(ANONYMOUS))
}

/// One address for each Call-ID, so that those who are hidden are not taken for each other.
fn nobody(request: &Request) -> Result<Uri, Status> {
    let mut hasher = DefaultHasher::new();
    request.call_id().unwrap_or_default().hash(&mut hasher);
    let name = format!("anonymous-{:016x}", hasher.finish());
    let host = Host::parse(ANONYMOUS).ok_or(Status::SERVER_INTERNAL_ERROR)?;
    Ok(Uri::new(Scheme::Sip, Some(&name), host))
}

/// Letter case is no difference: both would be the same JID.
fn is_same(from: &NameAddr, other: &Uri) -> bool {
    let folded = |uri: &Uri| Aor::of(uri).map(|aor| aor.uri().to_string().to_lowercase());
    matches!((folded(&from.uri), folded(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use stox_sip::{AuthenticatedUser, Message};

    use super::*;

    const ROMEO: &str = "sip:romeo@example.net";

    // CORE-12 SEC-03: in this order, and a From that contradicts the password is refused.
    #[test]
    fn the_sender_is_who_is_most_certain() {
        let other = "sip:paris@example.net";
        for (from, asserted, user, expected) in [
            (ROMEO, &[][..], None, Ok(ROMEO)),
            (other, &[ROMEO], None, Ok(ROMEO)),
            (other, &["tel:+15550100", ROMEO], None, Ok(ROMEO)),
            (other, &["tel:+15550100"], None, Ok(other)),
            (other, &[ROMEO], Some("paris"), Ok(ROMEO)),
            (ROMEO, &[], Some("romeo"), Ok(ROMEO)),
            (
                "sip:Romeo@Example.NET:5070",
                &[],
                Some("romeo"),
                Ok("sip:Romeo@Example.NET:5070"),
            ),
            (other, &[], Some("romeo"), Err(Status::FORBIDDEN)),
            (
                "sip:romeo@example.org",
                &[],
                Some("romeo"),
                Err(Status::FORBIDDEN),
            ),
        ] {
            let originator = originator(asserted, user, Visibility::Open);
            let got = sender(&request(from, "1"), &originator);
            let got = got.map(|uri| uri.to_string());
            let expected = expected.map(|uri: &str| uri.parse::<Uri>().unwrap().to_string());
            assert_eq!(got, expected, "{from} {asserted:?} {user:?}");
        }
    }

    // SEC-15
    #[test]
    fn who_is_hidden_is_nobody_and_nobody_else() {
        for (asserted, user) in [(&[ROMEO][..], None), (&[], Some("romeo")), (&[], None)] {
            let originator = originator(asserted, user, Visibility::Hidden);
            let of = |from, call_id| sender(&request(from, call_id), &originator).unwrap();
            let (one, same) = (of("sip:a@anonymous.invalid", "1"), of(ROMEO, "1"));
            assert!(is_anonymous(&one), "{one}");
            assert!(!one.to_string().contains("romeo"), "{one}");
            assert_eq!(one, same);
            assert_ne!(one, of(ROMEO, "2"), "another call may be somebody else's");
        }
    }

    fn originator(asserted: &[&str], user: Option<&str>, visibility: Visibility) -> Originator {
        let mut originator = Originator::default();
        let address = |uri: &&str| NameAddr::new(uri.parse().unwrap());
        originator.asserted = asserted.iter().map(address).collect();
        originator.user = user.map(|name| AuthenticatedUser {
            name: name.to_owned(),
            realm: "example.net".to_owned(),
        });
        originator.visibility = visibility;
        originator
    }

    fn request(from: &str, call_id: &str) -> Request {
        let text = format!(
            "MESSAGE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <{from}>;tag=1\r\nTo: <sip:juliet@example.com>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        match Message::parse_datagram(text.into()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }
}
