//! Shell: whom a request or response is for.

use std::sync::Arc;

use super::{Inner, Security, task::Task};
use crate::{
    Role,
    codec::{Head, Method, Start},
    node::{
        door::Door,
        lock,
        registry::{Found, Hold},
    },
    session::refuse,
    uri::Scheme,
};

/// Whom a request or response is for.
pub(super) enum Addressee {
    Session(Arc<Door>),
    /// A session whose peer this is not.
    Betrayed(Arc<Door>),
    /// Nobody yet.
    Reserved(Hold),
    /// Nobody; the status is for requests.
    Nobody(u16),
}

/// Whether a session may use a connection that its peer has made.
enum Suitability {
    Suits,
    /// It is for the other scheme; nothing more is known.
    WrongScheme,
    /// The certificate is not the one in the peer's description (SEC-07).
    Impostor,
}

impl Task<'_> {
    /// Whom a request or response is for; the session gets the connection if it has none.
    pub(super) fn addressee(
        &self,
        head: &Head,
        inner: &mut Inner,
        find: impl FnOnce(&str) -> Found,
    ) -> Addressee {
        let session_id = head.to_path().next_back().map_or("", session_id);
        let known = inner.door_by_session_id.get(session_id);
        if matches!(head.start(), Start::Response(_)) {
            return known.map_or(Addressee::Nobody(481), |door| {
                Addressee::Session(door.clone())
            });
        }
        if head.start() == Start::Request(Method::Other) {
            return Addressee::Nobody(501);
        }
        if head.fault().is_some() {
            return Addressee::Nobody(400);
        }
        if let Some(door) = known {
            return match lock(door.core()).is_addressed_by(head) {
                true => Addressee::Session(door.clone()),
                false => Addressee::Nobody(481),
            };
        }
        match find(session_id) {
            Found::Session(door) if !lock(door.core()).is_addressed_by(head) => {
                Addressee::Nobody(481)
            }
            // The peer connects to us only if we are passive.
            Found::Session(door) if door.role() == Role::Passive && !door.is_settled() => {
                match self.suitability(&door) {
                    Suitability::Suits if self.connection.attach_within(inner, &door) => {
                        Addressee::Session(door)
                    }
                    Suitability::Suits | Suitability::WrongScheme => Addressee::Nobody(481),
                    Suitability::Impostor => Addressee::Betrayed(door),
                }
            }
            Found::Session(_) => Addressee::Nobody(506),
            Found::Reserved(hold) => Addressee::Reserved(hold),
            Found::Nothing => Addressee::Nobody(481),
        }
    }

    fn suitability(&self, door: &Door) -> Suitability {
        let (scheme, tls) = (door.local().scheme(), self.shared.tls.as_ref());
        match (scheme, &self.connection.security, tls) {
            (Scheme::Msrp, Security::Clear, _) => Suitability::Suits,
            (Scheme::Msrps, Security::Tls(shown), Some(tls)) => {
                match tls.suits(shown, door.fingerprint()) {
                    true => Suitability::Suits,
                    false => Suitability::Impostor,
                }
            }
            (Scheme::Msrp | Scheme::Msrps, _, _) => Suitability::WrongScheme,
        }
    }
}

/// Answers a request on behalf of whom it names.
pub(super) fn refuse_as_addressed(head: &Head, status: u16, inner: &mut Inner) {
    if let Some(target) = head.to_path().next_back() {
        refuse(head, target, status, &mut inner.outbound);
    }
}

/// The session id within an MSRP URI; empty if there is none.
fn session_id(uri: &[u8]) -> &str {
    const AUTHORITY: usize = "msrps://".len();
    let id = || {
        let slash = memchr::memchr(b'/', uri.get(AUTHORITY..)?)?;
        let rest = uri.get(AUTHORITY + slash + 1..)?;
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        std::str::from_utf8(rest.get(..end)?).ok()
    };
    id().unwrap_or_default()
}
