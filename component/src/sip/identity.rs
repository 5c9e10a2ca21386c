//! Who sent a SIP request, as far as that is known. RFC 3325 §9.1, RFC 3323 §4.2; CORE-12, SEC-03, SEC-15.

use stox_sip::{Name, Originator, Request, Scheme, Status, Uri};

use crate::address::Aor;

/// The host of a From that says nothing. RFC 3323 §4.1.1.3.
const ANONYMOUS: &str = "anonymous.invalid";

/// The address that stands for the sender: what a trusted network asserts, else what a password has proven, else what
/// From says. What is asserted may differ from From, which then only says how the sender likes to be called.
///
/// # Errors
/// 400: there is no From. 403: From names somebody else than the password belongs to.
pub fn sender(request: &Request, originator: &Originator) -> Result<Uri, Status> {
    let from = request.from().map_err(|_| Status::BAD_REQUEST)?.uri;
    if let Some(asserted) = asserted(originator)
        && !wants_privacy(request)
    {
        return Ok(asserted.clone());
    }
    let Some(user) = &originator.user else {
        return Ok(from);
    };
    let proven = user.uri().ok_or(Status::FORBIDDEN)?;
    if is_same(&from, &proven) {
        Ok(from)
    } else if is_anonymous(&from) {
        Ok(proven)
    } else {
        Err(Status::FORBIDDEN)
    }
}

/// The first that names a user: beside it there may be a telephone number.
fn asserted(originator: &Originator) -> Option<&Uri> {
    let mut uris = originator.asserted.iter().map(|address| &address.uri);
    uris.find(|uri| matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) && Aor::of(uri).is_ok())
}

/// Whoever asks for it stays what From says (SEC-15). RFC 3325 §9.3, RFC 3323 §4.2.
fn wants_privacy(request: &Request) -> bool {
    let values = request.headers.all(&Name::Privacy);
    let mut values = values.flat_map(|value| value.split([';', ',']));
    values.any(|value| {
        let value = value.trim();
        value.eq_ignore_ascii_case("id") || value.eq_ignore_ascii_case("user")
    })
}

fn is_anonymous(uri: &Uri) -> bool {
    let host = uri.host().map(ToString::to_string).unwrap_or_default();
    host.eq_ignore_ascii_case(ANONYMOUS)
}

/// Letter case is no difference: both would be the same JID.
fn is_same(one: &Uri, other: &Uri) -> bool {
    let folded = |uri: &Uri| Aor::of(uri).map(|aor| aor.uri().to_string().to_lowercase());
    matches!((folded(one), folded(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use stox_sip::{AuthenticatedUser, Message, NameAddr};

    use super::*;

    // CORE-12 SEC-03: in this order, and a From that contradicts the password is refused.
    #[test]
    fn the_sender_is_who_is_most_certain() {
        let romeo = "sip:romeo@example.net";
        let other = "sip:paris@example.net";
        let anonymous = "sip:anonymous@anonymous.invalid";
        for (from, asserted, user, expected) in [
            (romeo, &[][..], None, Ok(romeo)),
            (other, &[romeo], None, Ok(romeo)),
            (anonymous, &[romeo], None, Ok(romeo)),
            (other, &["tel:+15550100", romeo], None, Ok(romeo)),
            (other, &["tel:+15550100"], None, Ok(other)),
            (other, &[romeo], Some("paris"), Ok(romeo)),
            (romeo, &[], Some("romeo"), Ok(romeo)),
            (
                "sip:Romeo@Example.NET:5070",
                &[],
                Some("romeo"),
                Ok("sip:Romeo@Example.NET:5070"),
            ),
            (anonymous, &[], Some("romeo"), Ok(romeo)),
            (other, &[], Some("romeo"), Err(Status::FORBIDDEN)),
            (
                "sip:romeo@example.org",
                &[],
                Some("romeo"),
                Err(Status::FORBIDDEN),
            ),
        ] {
            let originator = originator(asserted, user);
            let got = sender(&request(from, ""), &originator);
            let got = got.map(|uri| uri.to_string());
            let expected = expected.map(|uri: &str| uri.parse::<Uri>().unwrap().to_string());
            assert_eq!(got, expected, "{from} {asserted:?} {user:?}");
        }
    }

    // SEC-15
    #[test]
    fn who_wants_to_stay_unknown_stays_what_from_says() {
        let anonymous = "sip:anonymous@anonymous.invalid";
        let originator = originator(&["sip:romeo@example.net"], None);
        for (privacy, expected) in [
            ("Privacy: id\r\n", anonymous),
            ("Privacy: header; Id; critical\r\n", anonymous),
            ("Privacy: user\r\n", anonymous),
            ("Privacy: none\r\n", "sip:romeo@example.net"),
            ("", "sip:romeo@example.net"),
        ] {
            let got = sender(&request(anonymous, privacy), &originator).unwrap();
            assert_eq!(got.to_string(), expected, "{privacy}");
        }
    }

    fn originator(asserted: &[&str], user: Option<&str>) -> Originator {
        let address = |uri: &&str| NameAddr::new(uri.parse().unwrap());
        Originator {
            asserted: asserted.iter().map(address).collect(),
            user: user.map(|name| AuthenticatedUser {
                name: name.to_owned(),
                realm: "example.net".to_owned(),
            }),
        }
    }

    fn request(from: &str, more: &str) -> Request {
        let text = format!(
            "MESSAGE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <{from}>;tag=1\r\nTo: <sip:juliet@example.com>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
             {more}Content-Length: 0\r\n\r\n"
        );
        match Message::parse_datagram(text.into()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }
}
