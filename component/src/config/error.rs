//! What is wrong with a configuration, said so that the operator can put it right at once.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no configuration. Its text is one line; it never has a secret in it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The configuration file itself cannot be read.
    #[error("{}: cannot be read: {error}; expected a TOML file", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("{}: {problem}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{place}: unknown key {key}; expected {expected}")]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key with its path.
        key: String,
        /// The keys that exist there.
        expected: String,
    },
    /// A key that must be there and is not.
    #[error("{place}: {key} is missing; expected {expected}")]
    Missing {
        /// Where it should stand.
        place: Place,
        /// The key with its path.
        key: String,
        /// What is meant to stand there.
        expected: &'static str,
    },
    /// A key with a value it cannot have.
    #[error("{place}: {key}: {problem}")]
    Invalid {
        /// Where it stands.
        place: Place,
        /// The key with its path.
        key: String,
        /// What was expected, and what was found.
        problem: String,
    },
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The configuration file.
    File(PathBuf),
    /// An environment variable over the configuration file.
    Environment {
        /// The variable's name.
        variable: String,
        /// The file it went over.
        file: PathBuf,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Environment { variable, file } => {
                write!(f, "{variable} in the environment (over {})", file.display())
            }
        }
    }
}
