//! Who a request is from: what is proven of it, what is hidden, and what we say of ours. RFC 3323, RFC 3325; CORE-12, SEC-15.

use super::Endpoint;
use super::authentication::{self, AuthenticatedUser};
use super::event::Source;
use crate::resolve::Target;
use crate::{Headers, Method, Name, NameAddr, Request, Text, Uri};

/// Who sent a request, as far as that is certain. What it says itself in From, or in P-Asserted-Identity from somebody who is
/// not trusted, is not (CORE-12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Originator {
    /// P-Asserted-Identity of a request from a trusted network, and of one from a peer whose certificate stands for the
    /// domains of the identities. RFC 3325 §9.1.
    pub asserted: Vec<NameAddr>,
    /// Who has proven to know a password.
    pub user: Option<AuthenticatedUser>,
    /// The domain of From, in lower case, if the peer's certificate stands for it. RFC 5922.
    pub certified: Option<String>,
    /// Whether the sender wants to be known.
    pub visibility: Visibility,
}

/// Whether the sender of a request wants to be known to those it is for (SEC-15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing says otherwise.
    #[default]
    Open,
    /// No: Privacy has `id` or `user`, or From is anonymous. What is proven is for us alone. RFC 3323 §4.1, RFC 3325 §7.
    Hidden,
}

/// What the address of a sender rests on, the best first (CORE-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Somebody who is trusted vouches for it.
    Asserted,
    /// The sender knows the password of this user.
    Password,
    /// The peer has proven to be the domain of this address.
    Certificate,
    /// Nothing: it is what the sender says.
    Nothing,
}

impl Originator {
    /// The sender's address, and what it rests on: the first asserted identity that is a SIP address, else that of the user
    /// who knows the password, else From. Where it is not From, that is no more than a name to show (CORE-12).
    pub fn sender(&self, from: &NameAddr) -> (Uri, Proof) {
        let asserted = self.asserted.iter().map(|identity| &identity.uri);
        if let Some(uri) = asserted.clone().find(|uri| uri.host().is_some()) {
            return (uri.clone(), Proof::Asserted);
        }
        if let Some(uri) = self.user.as_ref().and_then(AuthenticatedUser::uri) {
            return (uri, Proof::Password);
        }
        let proof = match self.certified {
            Some(_) => Proof::Certificate,
            None => Proof::Nothing,
        };
        (from.uri.clone(), proof)
    }
}

/// What requests of ours say to trusted networks of who they are from. Nobody else is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assertion {
    /// Nothing beside what their headers bring.
    #[default]
    None,
    /// P-Preferred-Identity with the address in From: for a proxy that vouches for us. RFC 3325 §9.2.
    Preferred,
    /// P-Asserted-Identity with the address in From: to peers that trust us. RFC 3325 §9.1.
    Asserted,
}

impl Endpoint {
    pub(super) fn originator(
        &self,
        request: &Request,
        source: &Source,
        user: Option<AuthenticatedUser>,
    ) -> Originator {
        let proven = source.connection.and_then(|id| self.connections.proven(id));
        let is_proven = |uri: &Uri| proven.is_some_and(|domains| is_of(domains, uri));
        let mut asserted = request.asserted_identities().unwrap_or_default();
        if !authentication::is_in(&self.config.trusted, source) {
            asserted.retain(|identity| is_proven(&identity.uri));
        }
        // Most have nothing to be found in From, and the reading of it is spared.
        let is_telling = proven.is_some() || may_be_anonymous(&request.headers);
        let from = is_telling.then(|| request.from().ok()).flatten();
        let certified = from.as_ref().filter(|from| is_proven(&from.uri));
        let certified = certified.and_then(|from| Some(from.uri.host()?.to_string()));
        let is_hidden = from.is_some_and(|from| is_anonymous(&from.uri)) || hides(&request.headers);
        Originator {
            asserted,
            user,
            certified: certified.map(|domain| domain.to_ascii_lowercase()),
            visibility: match is_hidden {
                true => Visibility::Hidden,
                false => Visibility::Open,
            },
        }
    }

    /// Takes what a request of ours says of its sender from it: it is written anew for each target.
    pub(super) fn take_identity(&self, request: &mut Request) -> Vec<(Name, Text)> {
        let mut identity = Vec::new();
        for name in [Name::PAssertedIdentity, Name::PPreferredIdentity] {
            identity.extend(
                request
                    .headers
                    .fields(&name)
                    .map(|value| (name.clone(), value.clone())),
            );
            request.headers.remove(&name);
        }
        let name = match self.config.assertion {
            Assertion::Preferred => Name::PPreferredIdentity,
            Assertion::Asserted => Name::PAssertedIdentity,
            Assertion::None => return identity,
        };
        if identity.is_empty()
            && may_say(&request.method)
            && let Ok(from) = request.from()
            && !is_anonymous(&from.uri)
        {
            identity.push((name, Text::from(from.without_tag().to_string())));
        }
        identity
    }

    /// Writes it for trusted targets, and takes it away for others. RFC 3325 §5, §7.
    pub(super) fn write_identity(
        &self,
        request: &mut Request,
        identity: &[(Name, Text)],
        target: &Target,
    ) {
        if identity.is_empty() {
            return;
        }
        request.headers.remove(&Name::PAssertedIdentity);
        request.headers.remove(&Name::PPreferredIdentity);
        let mut trusted = self.config.trusted.iter();
        if trusted.any(|network| network.contains(target.address.ip())) {
            request.headers.extend(identity.iter().cloned());
        }
    }
}

/// Whether the host of a URI is one of these domains.
pub(super) fn is_of(domains: &[String], uri: &Uri) -> bool {
    let Some(host) = uri.host().map(ToString::to_string) else {
        return false;
    };
    domains
        .iter()
        .any(|domain| domain.eq_ignore_ascii_case(&host))
}

fn hides(headers: &Headers) -> bool {
    let values = headers.fields(&Name::Privacy);
    values
        .flat_map(|value| value.split([';', ',']))
        .any(|value| matches!(value.trim().to_ascii_lowercase().as_str(), "id" | "user"))
}

/// Whether it is worth the while to read From.
fn may_be_anonymous(headers: &Headers) -> bool {
    let from = headers.first(&Name::From).unwrap_or_default().as_bytes();
    // An escape could stand for any letter.
    from.contains(&b'%')
        || from
            .windows(ANONYMOUS.len())
            .any(|part| part.eq_ignore_ascii_case(ANONYMOUS.as_bytes()))
}

const ANONYMOUS: &str = "anonymous";

/// RFC 3323 §4.1.1.3; some keep their own domain.
fn is_anonymous(uri: &Uri) -> bool {
    let user = uri.user_decoded();
    let host = uri.host().map(ToString::to_string).unwrap_or_default();
    user.is_some_and(|user| user.eq_ignore_ascii_case(ANONYMOUS))
        || host.eq_ignore_ascii_case("anonymous.invalid")
}

/// RFC 3325 §9.1, Table 2; RFC 5876 §4.
fn may_say(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite
            | Method::Bye
            | Method::Options
            | Method::Message
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap()
    }

    /// CORE-12. Asserted, password, From; a telephone number is no SIP address.
    #[test]
    fn senders_by_what_is_proven_best() {
        let from = address("<sip:paris@example.org>;tag=p");
        let user = |name: &str, realm: &str| {
            Some(AuthenticatedUser {
                name: name.into(),
                realm: realm.into(),
            })
        };
        let asserted = vec![
            address("<tel:+12025550101>"),
            address("J <sip:juliet@example.com>"),
        ];
        for (asserted, user, certified, expected) in [
            (
                asserted,
                user("romeo", "example.net"),
                None,
                ("sip:juliet@example.com", Proof::Asserted),
            ),
            (
                vec![address("<tel:+12025550101>")],
                user("romeo", "example.net"),
                None,
                ("sip:romeo@example.net", Proof::Password),
            ),
            (
                vec![],
                user("romeo", "no domain"),
                Some("example.org"),
                ("sip:paris@example.org", Proof::Certificate),
            ),
            (
                vec![],
                None,
                None,
                ("sip:paris@example.org", Proof::Nothing),
            ),
        ] {
            let originator = Originator {
                asserted,
                user,
                certified: certified.map(str::to_owned),
                visibility: Visibility::Open,
            };
            let (uri, proof) = originator.sender(&from);
            assert_eq!((uri.to_string().as_str(), proof), expected);
        }
    }

    /// SEC-15. RFC 3323 §4.2.
    #[test]
    fn who_wants_to_be_hidden() {
        for (privacy, expected) in [
            ("id", true),
            ("header; ID ;critical", true),
            ("user", true),
            ("none", false),
            ("header;session", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = Headers::new();
            headers.push(Name::Privacy, privacy);
            assert_eq!(hides(&headers), expected, "{privacy}");
        }
        for (uri, expected) in [
            ("sip:anonymous@anonymous.invalid", true),
            ("sip:x17@Anonymous.Invalid", true),
            ("sip:Anonymous@example.com", true),
            ("sip:anonymous.fan@example.com", false),
            ("tel:+12025550101", false),
        ] {
            assert_eq!(is_anonymous(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
