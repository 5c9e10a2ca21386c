//! The passwords of `[[sip.credentials]]`, which are ours, and of `[[sip.users]]`, which are those of SIP users.

use std::path::PathBuf;

use serde::Deserialize;
use stox_sip::{Authentication, CredentialScope, Credentials, Demand, Host, User};

use super::{ConfigError, Secret, value};

/// One `[[sip.credentials]]`: what a challenge of a SIP server is answered with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct OwnPassword {
    /// Challenges that name this realm.
    #[serde(default)]
    pub realm: Option<String>,
    /// Challenges to requests for this domain, whatever realm they name; in lower case.
    #[serde(default, deserialize_with = "value::optional_domain")]
    pub domain: Option<String>,
    /// Our name there.
    pub user: String,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// One `[[sip.users]]`: a SIP user who has to prove who he is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct UserPassword {
    /// Who.
    pub address: UserAddress,
    /// The password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// A SIP user's address, written `romeo@example.net`. The domain is the realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAddress {
    /// Before the `@`.
    pub user: String,
    /// After it, in lower case.
    pub domain: String,
}

impl UserAddress {
    pub(super) fn parse(text: &str) -> Option<UserAddress> {
        let (user, domain) = text.rsplit_once('@')?;
        let is_user = !user.is_empty() && !user.contains(['@', ':', '"', '\\']);
        (is_user && Host::parse(domain).is_some()).then(|| UserAddress {
            user: user.to_owned(),
            domain: domain.to_lowercase(),
        })
    }
}

/// How the two keys for one password are read; the configuration's reader knows files and places.
pub(super) trait ReadSecret {
    fn secret(
        &self,
        table: &str,
        inline: Option<&Secret>,
        file: Option<&PathBuf>,
    ) -> Result<Secret, ConfigError>;

    fn invalid(&self, key: &str, problem: &str) -> ConfigError;
}

/// What the endpoint answers challenges with (SIP-15).
pub(super) fn credentials(
    tables: &[OwnPassword],
    reader: &impl ReadSecret,
) -> Result<Vec<Credentials>, ConfigError> {
    let read = |(number, own): (usize, &OwnPassword)| {
        let table = format!("sip.credentials[{number}]");
        let scope = match (&own.realm, &own.domain) {
            (Some(realm), None) => CredentialScope::Realm(realm.clone()),
            (None, Some(domain)) => CredentialScope::Domain(domain.clone()),
            (Some(_), Some(_)) | (None, None) => {
                let key = format!("{table}.realm");
                return Err(reader.invalid(&key, "expected either realm or domain"));
            }
        };
        let secret = reader.secret(&table, own.password.as_ref(), own.password_file.as_ref())?;
        Ok(Credentials {
            scope,
            user: own.user.clone(),
            secret: stox_sip::Secret::new(secret.expose()),
        })
    };
    tables.iter().enumerate().map(read).collect()
}

/// Who has to prove who they are: whoever says to be of a domain of these users, unless a trusted network vouches for
/// them (SIP-16).
pub(super) fn authentication(
    tables: &[UserPassword],
    reader: &impl ReadSecret,
) -> Result<Vec<Authentication>, ConfigError> {
    let mut realms: Vec<Authentication> = Vec::new();
    for (number, known) in tables.iter().enumerate() {
        let table = format!("sip.users[{number}]");
        let UserAddress { user, domain } = &known.address;
        let secret = reader.secret(
            &table,
            known.password.as_ref(),
            known.password_file.as_ref(),
        )?;
        let user = User {
            name: user.clone(),
            secret: stox_sip::Secret::new(secret.expose()),
        };
        match realms.iter_mut().find(|realm| realm.realm == *domain) {
            Some(realm) if realm.users.iter().any(|other| other.name == user.name) => {
                let key = format!("{table}.address");
                return Err(reader.invalid(&key, "expected each address once"));
            }
            Some(realm) => realm.users.push(user),
            None => {
                let demand = Demand::StrangersOf(vec![domain.clone()]);
                realms.push(Authentication::new(domain.clone(), demand, vec![user]));
            }
        }
    }
    Ok(realms)
}
