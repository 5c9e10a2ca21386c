//! Values with parameters: Content-Type, Content-Disposition, Reason and others.

use std::fmt;

use crate::grammar;
use crate::params::Params;
use crate::text::Text;

/// `value;params`: a media type, a disposition, the protocol of a Reason. RFC 3261 §25.1, RFC 3326 §2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WithParams {
    /// What stands before the first `;`, as it was written.
    pub value: Text,
    /// The parameters.
    pub params: Params,
}

impl WithParams {
    /// The value alone.
    pub fn new(value: impl Into<Text>) -> Self {
        WithParams {
            value: value.into(),
            params: Params::new(),
        }
    }

    /// The same with this parameter.
    pub fn with_param(mut self, name: impl Into<Text>, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// Whether the value is this one, whatever the case.
    pub fn is(&self, value: &str) -> bool {
        self.value.eq_ignore_ascii_case(value)
    }

    /// Reads a value with its parameters; `None` if there is no value or a quoted string is never closed.
    pub fn parse(text: &str) -> Option<WithParams> {
        Self::cut(&Text::from(text), text)
    }

    /// Reads the value `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Option<WithParams> {
        let (value, params) = match grammar::split_outside(text, b';') {
            Some((value, params)) => (value, Params::parse_header(source, params)?),
            None => (text, Params::new()),
        };
        let value = grammar::trim(value);
        if value.is_empty() {
            return None;
        }
        Some(WithParams {
            value: source.cut(value),
            params,
        })
    }
}

impl fmt::Display for WithParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.value, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_events_and_states() {
        let media = WithParams::parse("Text/Plain ; charset = \"UTF-8\"").unwrap();
        assert!(media.is("text/plain"));
        assert_eq!(media.params.unquoted("charset").as_deref(), Some("UTF-8"));
        let state = WithParams::parse("terminated;reason=timeout;retry-after=10").unwrap();
        assert_eq!(
            state.to_string(),
            "terminated;reason=timeout;retry-after=10"
        );
        assert_eq!(WithParams::parse(";x"), None);
    }
}
