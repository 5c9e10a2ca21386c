//! Reading: file, then environment, then the checks that need more than one key.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, File, FileFormat};
use serde::Deserialize;
use stox_sip::{Scheme, Transport};

use super::error::{ConfigError, Place};
use super::passwords::{self, ReadSecret};
use super::{Admin, Certificates, Chat, Config, Listener, Msrp, Secret, Server, Sip, Xmpp, value};
use crate::address::{AddressStyle, Jid};

/// What every environment variable of ours begins with.
const PREFIX: &str = "STOX";

/// What separates the parts of a key in a variable's name.
const SEPARATOR: &str = "__";

/// Where systemd says which folder `StateDirectory=` has made.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Sections {
    xmpp: XmppSection,
    #[serde(default)]
    sip: Sip,
    #[serde(default)]
    msrp: Msrp,
    #[serde(default)]
    chat: Chat,
    #[serde(default)]
    admin: Option<Admin>,
    #[serde(default)]
    state_directory: Option<PathBuf>,
    #[serde(default = "ten_seconds", deserialize_with = "value::duration")]
    shutdown_timeout: Duration,
    #[serde(default = "info", deserialize_with = "value::filter")]
    log: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct XmppSection {
    server: Server,
    #[serde(deserialize_with = "value::domain")]
    domain: String,
    #[serde(default)]
    secret: Option<Secret>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "value::address_style")]
    address_style: AddressStyle,
    #[serde(default, deserialize_with = "value::xmpp_addresses")]
    allowed: Vec<Jid>,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn info() -> String {
    "info".to_owned()
}

impl Config {
    /// Reads a file, with the process's environment over it.
    pub fn load(file: &Path) -> Result<Config, ConfigError> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("STOX_") || name == STATE_DIRECTORY)
            .collect();
        Config::load_with(file, environment)
    }

    /// Reads a file, with these variables over it.
    pub fn load_with(
        file: &Path,
        environment: HashMap<String, String>,
    ) -> Result<Config, ConfigError> {
        let text = fs::read_to_string(file).map_err(|error| ConfigError::Unreadable {
            file: file.to_owned(),
            error,
        })?;
        let reader = Reader { file, environment };
        let sections = reader.sections(&text)?;
        reader.check_transports(&sections)?;
        Ok(Config {
            certificates: reader.certificates(&sections.sip)?,
            credentials: passwords::credentials(&sections.sip.credentials, &reader)?,
            authentication: passwords::authentication(&sections.sip.users, &reader)?,
            xmpp: reader.xmpp(sections.xmpp)?,
            sip: sections.sip,
            msrp: sections.msrp,
            chat: sections.chat,
            admin: sections.admin,
            state_directory: reader.state_directory(sections.state_directory),
            shutdown_timeout: sections.shutdown_timeout,
            log: sections.log,
        })
    }
}

struct Reader<'a> {
    file: &'a Path,
    environment: HashMap<String, String>,
}

impl Reader<'_> {
    fn sections(&self, text: &str) -> Result<Sections, ConfigError> {
        let merged = config::Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(
                Environment::with_prefix(PREFIX)
                    .prefix_separator("_")
                    .separator(SEPARATOR)
                    .source(Some(self.environment.clone())),
            )
            .build()
            .map_err(|error| self.syntax(&error))?;
        serde_path_to_error::deserialize(merged).map_err(|error| {
            let path = error.path().to_string();
            self.explain(path, error.into_inner())
        })
    }

    /// The secret from whichever of the two keys is there.
    fn xmpp(&self, section: XmppSection) -> Result<Xmpp, ConfigError> {
        let secret = match (section.secret, section.secret_file) {
            (Some(secret), None) => secret,
            (None, Some(file)) => self.secret_from("xmpp.secret_file", &file)?,
            (None, None) => {
                return Err(ConfigError::Missing {
                    place: self.place("xmpp.secret"),
                    key: "xmpp.secret".to_owned(),
                    expected: "the secret the XMPP server has for this component, or xmpp.secret_file",
                });
            }
            (Some(_), Some(_)) => {
                return Err(self.invalid(
                    "xmpp.secret_file",
                    "expected either secret or secret_file, found both",
                ));
            }
        };
        Ok(Xmpp {
            server: section.server,
            domain: section.domain,
            secret,
            address_style: section.address_style,
            allowed: section.allowed,
        })
    }

    /// Reads a secret's file, named relative to the configuration file. A line end behind the secret is none of it.
    fn secret_from(&self, key: &str, file: &Path) -> Result<Secret, ConfigError> {
        let path = self.directory().join(file);
        let text = fs::read_to_string(&path).map_err(|error| {
            self.invalid(
                key,
                format!(
                    "expected a readable file with the secret, but {}: {error}",
                    path.display()
                ),
            )
        })?;
        Secret::new(text.trim_end_matches(['\r', '\n'])).ok_or_else(|| {
            self.invalid(
                key,
                format!(
                    "expected a file with the secret, but {} is empty",
                    path.display()
                ),
            )
        })
    }

    /// The folder that is configured, else the one that systemd made for the service, else where the configuration is.
    fn state_directory(&self, configured: Option<PathBuf>) -> PathBuf {
        let given = || {
            self.environment
                .get(STATE_DIRECTORY)
                .and_then(|folders| folders.split(':').next())
        };
        match configured {
            Some(folder) => self.directory().join(folder),
            None => given().map_or_else(|| self.directory().to_owned(), PathBuf::from),
        }
    }

    /// What files are named relative to: where the configuration file is.
    fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn certificates(&self, sip: &Sip) -> Result<Option<Certificates>, ConfigError> {
        let Some(table) = &sip.tls else {
            return Ok(None);
        };
        Certificates::read(table, self.directory())
            .map(Some)
            .map_err(|unusable| self.invalid(unusable.key, unusable.problem))
    }

    /// What is listened for and sent to over TLS needs a certificate, and who listens for TLS alone sends nothing in the
    /// clear (SEC-01).
    fn check_transports(&self, sections: &Sections) -> Result<(), ConfigError> {
        let sip = &sections.sip;
        let proxy = sip.outbound_proxy.as_ref();
        let proxy_transport = proxy.and_then(|uri| match uri.scheme() {
            Scheme::Sips => Some(Transport::Tls),
            _ => uri.transport()?.ok(),
        });
        let mut listeners = sip.listen.iter().chain(&sections.msrp.listen);
        let wants_tls = listeners.any(is_tls) || proxy_transport == Some(Transport::Tls);
        if wants_tls && sip.tls.is_none() {
            return Err(ConfigError::Missing {
                place: self.place("sip.tls"),
                key: "sip.tls".to_owned(),
                expected: "a table [sip.tls] with certificate and key, which tls listeners and sips: need",
            });
        }
        let is_in_the_clear = matches!(proxy_transport, Some(Transport::Udp | Transport::Tcp));
        if is_in_the_clear && sip.listen.iter().all(is_tls) {
            return Err(self.invalid(
                "sip.outbound_proxy",
                "expected a proxy reached over TLS, because all sip.listen listens for is TLS",
            ));
        }
        Ok(())
    }

    fn invalid(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::Invalid {
            place: self.place(key),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// Where the value of a key came from.
    fn place(&self, key: &str) -> Place {
        let file = self.file.to_owned();
        let key = key.split('[').next().unwrap_or(key);
        let variable = self.environment.keys().find(|variable| {
            variable
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.strip_prefix('_'))
                .is_some_and(|rest| rest.to_lowercase().replace(SEPARATOR, ".") == key)
        });
        match variable {
            Some(variable) => Place::Environment {
                variable: variable.clone(),
                file,
            },
            None => Place::File(file),
        }
    }

    /// The parser shows the offending line, which may be the one with the secret: only where and why are kept.
    fn syntax(&self, error: &config::ConfigError) -> ConfigError {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let problem = match (lines.next(), lines.next_back()) {
            (Some(place), Some(problem)) => format!("{place}: {problem}"),
            (Some(problem), None) => problem.to_owned(),
            (None, _) => "expected a TOML file".to_owned(),
        };
        ConfigError::Syntax {
            file: self.file.to_owned(),
            problem,
        }
    }

    /// Turns what the deserializer says of the value at `path` into a message with all three: place, key, expectation.
    fn explain(&self, path: String, error: config::ConfigError) -> ConfigError {
        let below = |name: &str| match path.as_str() {
            "." | "" => name.to_owned(),
            path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
            path if name.starts_with(&format!("{path}.")) => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match error {
            config::ConfigError::At { error, .. } => self.explain(path, *error),
            config::ConfigError::Type {
                unexpected,
                expected,
                ..
            } => self.invalid(&path, unexpected_type(&unexpected.to_string(), expected)),
            config::ConfigError::NotFound(key) => self.missing(below(&key)),
            error => {
                let text = error.to_string();
                if let Some((key, _)) = text
                    .strip_prefix("missing field `")
                    .and_then(|rest| rest.split_once('`'))
                {
                    return self.missing(below(key));
                }
                if let Some((key, rest)) = text
                    .strip_prefix("unknown field `")
                    .and_then(|rest| rest.split_once('`'))
                {
                    let key = below(key);
                    return ConfigError::UnknownKey {
                        place: self.place(&key),
                        key,
                        expected: rest.trim_start_matches(", expected ").replace('`', ""),
                    };
                }
                match text
                    .strip_prefix("invalid type: ")
                    .and_then(|rest| rest.split_once(", expected "))
                {
                    Some((found, expected)) => {
                        self.invalid(&path, unexpected_type(found, expected))
                    }
                    None => self.invalid(&path, text),
                }
            }
        }
    }

    fn missing(&self, key: String) -> ConfigError {
        let expected = match key.as_str() {
            "xmpp" => "a table [xmpp] with server, domain and secret",
            "xmpp.server" => "the component port of the XMPP server, such as \"127.0.0.1:5347\"",
            "xmpp.domain" => "the component's domain, such as \"sip.example.com\"",
            "admin.listen" => "an IP address and port such as \"127.0.0.1:9790\"",
            _ => "a value",
        };
        ConfigError::Missing {
            place: self.place(&key),
            key,
            expected,
        }
    }
}

impl ReadSecret for Reader<'_> {
    fn secret(
        &self,
        table: &str,
        inline: Option<&Secret>,
        file: Option<&PathBuf>,
    ) -> Result<Secret, ConfigError> {
        match (inline, file) {
            (Some(secret), None) => Ok(secret.clone()),
            (None, Some(file)) => self.secret_from(&format!("{table}.password_file"), file),
            (None, None) => {
                let key = format!("{table}.password");
                Err(ConfigError::Missing {
                    place: self.place(&key),
                    key,
                    expected: "the password, or password_file",
                })
            }
            (Some(_), Some(_)) => Err(self.invalid(
                &format!("{table}.password_file"),
                "expected either password or password_file, found both",
            )),
        }
    }

    fn invalid(&self, key: &str, problem: &str) -> ConfigError {
        Reader::invalid(self, key, problem)
    }
}

fn is_tls(listener: &Listener) -> bool {
    listener.transport == Transport::Tls
}

/// Names only the kind of the value that was found (`string "x"`): the value itself may be a secret.
fn unexpected_type(found: &str, expected: &str) -> String {
    let kind = found.split(' ').next().unwrap_or(found);
    format!("expected {expected}, found {kind}")
}

#[cfg(test)]
mod tests;
