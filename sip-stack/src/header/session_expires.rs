//! Session-Expires.

use std::fmt;

use super::WithParams;
use crate::grammar;
use crate::text::Text;

/// How long a session lasts without a refresh, and who refreshes it. RFC 4028 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// Seconds.
    pub interval: u32,
    /// Who refreshes; none: the one who answers chooses.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session, by the role in the request that says so. RFC 4028 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answers the request.
    Uas,
}

impl SessionExpires {
    /// Reads a value; `None` if it is no number of seconds or the refresher is neither side.
    pub fn parse(text: &str) -> Option<Self> {
        Self::cut(&Text::from(text), text)
    }

    pub(crate) fn cut(source: &Text, text: &str) -> Option<Self> {
        let value = WithParams::cut(source, text)?;
        let refresher = match value.params.get("refresher") {
            None => None,
            Some(Some(side)) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(Some(side)) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return None,
        };
        Some(Self {
            interval: grammar::decimal_saturating(&value.value)?,
            refresher,
        })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CHAT-30
    #[test]
    fn intervals_and_refreshers() {
        for text in ["1800", "90;refresher=uac", "4000;refresher=uas"] {
            assert_eq!(SessionExpires::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            SessionExpires::parse("99999999999 ; Refresher=UAC; x=y"),
            Some(SessionExpires {
                interval: u32::MAX,
                refresher: Some(Refresher::Uac)
            })
        );
        for text in ["", "-1", "1800;refresher=me", "soon"] {
            assert_eq!(SessionExpires::parse(text), None, "{text}");
        }
    }
}
