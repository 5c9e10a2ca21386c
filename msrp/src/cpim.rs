//! Messages wrapped in `message/cpim`: who wrote them to whom and when, around the content. RFC 3862.
//!
//! ```
//! use stox_msrp::cpim::Message;
//!
//! let message = Message {
//!     from: Some("Juliet <sip:juliet@example.com>".parse()?),
//!     to: vec!["<sip:romeo@example.net>".parse()?],
//!     content_type: Some("text/plain;charset=utf-8".to_owned()),
//!     body: "Wherefore art thou?".into(),
//!     ..Message::default()
//! };
//! let read = Message::parse(&message.wrap())?;
//! assert_eq!(read, message);
//! # Ok::<(), stox_msrp::cpim::CpimError>(())
//! ```

mod escapes;
mod reading;
mod writing;

use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

/// The namespace of CPIM's own headers. RFC 3862 §4.
const CORE: &str = "urn:ietf:params:cpim-headers:";

/// A CPIM message and the content within.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Who wrote it.
    pub from: Option<Address>,
    /// Whom to; in rooms one, the room or an occupant.
    pub to: Vec<Address>,
    /// Copies to.
    pub cc: Vec<Address>,
    /// RFC 3339, as written.
    pub date_time: Option<String>,
    /// Plain text, escapes undone.
    pub subject: Option<String>,
    /// Headers of other namespaces, such as IMDN's.
    pub extensions: Vec<Extension>,
    /// What `Require` names: whoever does not know all of it must not take the message.
    pub required: Vec<Name>,
    /// Of the content, with parameters; `None` counts as plain text.
    pub content_type: Option<String>,
    /// The content's other MIME headers, names and values as written.
    pub content_headers: Vec<(String, String)>,
    /// The content.
    pub body: Bytes,
}

/// A party: `"Juliet" <sip:juliet@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Display name, without quotes and escapes.
    pub name: Option<String>,
    /// The URI, without its angle brackets.
    pub uri: String,
}

impl FromStr for Address {
    type Err = CpimError;

    fn from_str(text: &str) -> Result<Address, CpimError> {
        reading::address(text.trim())
    }
}

/// A header's name in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// A URI; that of CPIM itself if none is declared.
    pub namespace: String,
    /// Without prefix; case counts.
    pub name: String,
}

/// A header of another namespace than CPIM's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its full name.
    pub name: Name,
    /// As written.
    pub value: String,
}

/// Bytes that are not a CPIM message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CpimError {
    /// The headers are not UTF-8.
    #[error("the CPIM headers are not UTF-8")]
    NotUtf8,
    /// A line that is no header.
    #[error("a line among the CPIM headers is no header")]
    MalformedHeader,
    /// A party that is not `name <uri>`.
    #[error("a CPIM address is not of the form: name <uri>")]
    MalformedAddress,
    /// The content's headers end nowhere.
    #[error("the CPIM message has no content")]
    NoContent,
    /// More headers than anybody writes.
    #[error("the CPIM message has too many headers")]
    TooManyHeaders,
}

impl Message {
    /// Reads a CPIM message; the body shares the bytes.
    pub fn parse(bytes: &Bytes) -> Result<Message, CpimError> {
        reading::parse(bytes)
    }

    /// Writes it: CPIM headers, an empty line, the content's headers, an empty line, the content (T13).
    pub fn wrap(&self) -> Bytes {
        writing::wrap(self)
    }

    /// The first thing `Require` names that is neither CPIM's own nor of a namespace in `known` (MSRP-23).
    pub fn unknown_requirement(&self, known: &[&str]) -> Option<&Name> {
        self.required.iter().find(|required| {
            let is_core = required.namespace == CORE && reading::is_core_header(&required.name);
            !is_core && !known.contains(&required.namespace.as_str())
        })
    }

    /// The value of an extension header.
    pub fn extension(&self, namespace: &str, name: &str) -> Option<&str> {
        self.extensions
            .iter()
            .find(|extension| extension.name.namespace == namespace && extension.name.name == name)
            .map(|extension| extension.value.as_str())
    }
}
