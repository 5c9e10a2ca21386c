//! Parameters of URIs and of header fields: `;name` and `;name=value`.

use std::borrow::Cow;
use std::fmt;

use crate::grammar;
use crate::text::{Text, Written};

/// How many parameters are read: more than any text needs, so few that comparing all with all costs nothing.
const MAX_PARAMS: usize = 128;

/// The parameters after a URI or a header field's value, in their order. Names are compared without regard to case. Values
/// are kept as they stood on the wire: percent-encoded in URIs, with their quotes in header fields.
/// RFC 3261 §7.3.1, §19.1.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<(Text, Option<Text>)>);

impl Params {
    /// No parameters.
    pub const fn new() -> Self {
        Params(Vec::new())
    }

    /// Reads what follows a URI, the first `;` already taken off. `None` if there are too many.
    pub(crate) fn parse_uri(source: &Text, text: &str) -> Option<Self> {
        let mut params = Vec::new();
        for param in text.split(';').filter(|param| !param.is_empty()) {
            if params.len() == MAX_PARAMS {
                return None;
            }
            params.push(match grammar::split_at(param, b'=') {
                Some((name, value)) => (cut_name(source, name), Some(source.cut(value))),
                None => (cut_name(source, param), None),
            });
        }
        Some(Params(params))
    }

    /// Reads what follows a header field's value, the first `;` already taken off: white space is allowed around every
    /// part, values may be quoted strings. `None` if a quoted string or angle bracket is never closed or there are too many.
    pub(crate) fn parse_header(source: &Text, text: &str) -> Option<Self> {
        if !text.bytes().any(|byte| matches!(byte, b'"' | b'<')) {
            return Self::parse_plain(source, text);
        }
        // Whatever is written behind it would become part of it.
        if !grammar::is_closed(text) {
            return None;
        }
        let mut params = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let param = match grammar::split_outside(text, b';') {
                Some((param, after)) => {
                    rest = Some(after);
                    param
                }
                None => {
                    rest = None;
                    text
                }
            };
            let param = grammar::trim(param);
            if param.is_empty() {
                continue;
            }
            if params.len() == MAX_PARAMS {
                return None;
            }
            params.push(match grammar::split_at(param, b'=') {
                Some((name, value)) => {
                    let value = grammar::trim(value);
                    if value.starts_with('"') && grammar::quoted_prefix(value).is_none() {
                        return None;
                    }
                    let name = cut_name(source, grammar::trim(name));
                    (name, Some(source.cut(value)))
                }
                None => (cut_name(source, param), None),
            });
        }
        Some(Params(params))
    }

    /// The same where nothing is quoted and no angle bracket stands.
    fn parse_plain(source: &Text, text: &str) -> Option<Self> {
        let mut params = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest.take() {
            let param = match grammar::split_at(text, b';') {
                Some((param, after)) => {
                    rest = Some(after);
                    param
                }
                None => text,
            };
            let (name, value) = match grammar::split_at(param, b'=') {
                Some((name, value)) => (name, Some(source.cut(grammar::trim(value)))),
                None => (param, None),
            };
            let name = grammar::trim(name);
            if name.is_empty() && value.is_none() {
                continue;
            }
            if params.len() == MAX_PARAMS {
                return None;
            }
            params.push((cut_name(source, name), value));
        }
        Some(Params(params))
    }

    /// The parameter's value as on the wire: `None` if there is no such parameter, `Some(None)` if it has no value.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_deref())
    }

    /// The parameter's value with quotes and backslash escapes taken off, if it is there and has a value.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.get(name)??;
        Some(match grammar::quoted_prefix(value) {
            Some((content, _)) if content.contains('\\') => Cow::Owned(grammar::unescape(content)),
            Some((content, _)) => Cow::Borrowed(content),
            None => Cow::Borrowed(value),
        })
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a parameter, in place of the one with the same name if there is one. The value must be as it is to stand on the
    /// wire; a value for a header field that is no token goes through [`Params::set_quoted`].
    pub fn set(&mut self, name: impl Into<Text>, value: Option<impl Into<Text>>) {
        let name = name.into();
        let value = value.map(Into::into);
        match self
            .0
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(&name))
        {
            Some(param) => param.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a header field's parameter to a quoted string with this content.
    pub fn set_quoted(&mut self, name: impl Into<Text>, content: &str) {
        let mut value = String::with_capacity(content.len().saturating_add(2));
        // Writing to a String cannot fail.
        let _ = grammar::write_quoted(&mut value, content);
        self.set(name, Some(value));
    }

    /// Takes a parameter away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// All parameters in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Those that are in every message need not hold on to it.
fn cut_name(source: &Text, name: &str) -> Text {
    match name {
        "branch" => Text::from_static("branch"),
        "rport" => Text::from_static("rport"),
        "received" => Text::from_static("received"),
        "tag" => Text::from_static("tag"),
        _ => source.cut(name),
    }
}

impl Written for Params {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        for (name, value) in self.iter() {
            out.write_str(";")?;
            out.write_str(name)?;
            if let Some(value) = value {
                out.write_str("=")?;
                out.write_str(value)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_parameters_may_be_spaced_quoted_and_empty() {
        let source = Text::from(r#"  tag = 98asjd8 ;; newparam = "a;\"b" ; lr"#);
        let params = Params::parse_header(&source, &source).unwrap();
        assert_eq!(params.len(), 3);
        assert_eq!(params.get("TAG"), Some(Some("98asjd8")));
        assert_eq!(params.get("newparam"), Some(Some(r#""a;\"b""#)));
        assert_eq!(params.unquoted("newparam").as_deref(), Some(r#"a;"b"#));
        assert_eq!(params.get("lr"), Some(None));
        assert_eq!(params.to_string(), r#";tag=98asjd8;newparam="a;\"b";lr"#);
        // Whatever is added would not be seen.
        for open in [
            "a=\"open",
            "a\"b",
            "a=b\"c",
            "a=<b",
            "a=\"b\\\"",
            "a=\"b\"\"c",
        ] {
            assert!(
                Params::parse_header(&Text::from(open), open).is_none(),
                "{open}"
            );
        }
    }

    #[test]
    fn set_replaces() {
        let mut params = Params::new();
        params.set("Tag", Some("a"));
        params.set("tag", Some("b"));
        params.set_quoted("methods", "INVITE, \"BYE\"");
        assert_eq!(params.to_string(), r#";Tag=b;methods="INVITE, \"BYE\"""#);
        params.remove("TAG");
        assert!(!params.contains("tag"));
    }
}
