//! Addresses with a display name and parameters: From, To, Contact, Route, Refer-To and others.

use std::fmt;

use crate::grammar;
use crate::params::Params;
use crate::text::{Text, Written};
use crate::uri::Uri;

/// `"Display name" <uri>;params`. Written always with angle brackets. RFC 3261 §20.10, §25.1 (name-addr, addr-spec).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name without quotes and escapes; `None` if there is none or it is empty.
    pub display_name: Option<Text>,
    /// The address.
    pub uri: Uri,
    /// The parameters of the field, not of the URI.
    pub params: Params,
}

impl NameAddr {
    /// The address alone.
    pub fn new(uri: Uri) -> Self {
        NameAddr {
            display_name: None,
            uri,
            params: Params::new(),
        }
    }

    /// The same with this display name; an empty one means none.
    pub fn with_display_name(mut self, name: impl Into<Text>) -> Self {
        self.display_name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// The same with this parameter.
    pub fn with_param(mut self, name: impl Into<Text>, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// The same with this tag.
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param(TAG, Some(tag))
    }

    /// The same without a tag.
    pub fn without_tag(mut self) -> Self {
        self.params.remove("tag");
        self
    }

    /// The tag, if there is one that is not empty.
    pub fn tag(&self) -> Option<&str> {
        self.params
            .get("tag")
            .flatten()
            .filter(|tag| !tag.is_empty())
    }

    /// Reads one address; `None` if it is none.
    pub fn parse(text: &str) -> Option<NameAddr> {
        Self::cut(&Text::from(text), text)
    }

    /// Reads the address `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Option<NameAddr> {
        let text = grammar::trim(text);
        let (display_name, rest) = if text.starts_with('"') {
            let (content, rest) = grammar::quoted_prefix(text)?;
            let name = if content.contains('\\') {
                Text::from(grammar::unescape(content))
            } else {
                source.cut(content)
            };
            (Some(name), grammar::trim_start(rest))
        } else {
            match grammar::split_at(text, b'<') {
                Some((name, rest)) => {
                    let name = grammar::trim(name);
                    let bracketed =
                        text.get(text.len().checked_sub(rest.len())?.checked_sub(1)?..)?;
                    // No brackets of its own: the `<` belongs to a parameter.
                    if memchr::memchr2(b';', b'"', name.as_bytes()).is_some() {
                        return Self::cut_bare(source, text);
                    }
                    (Some(source.cut(name)), bracketed)
                }
                None => return Self::cut_bare(source, text),
            }
        };
        let (uri, rest) = grammar::split_at(rest.strip_prefix('<')?, b'>')?;
        let uri = Uri::cut(source, grammar::trim(uri)).ok()?;
        let params = cut_params(source, grammar::trim_start(rest))?;
        Some(NameAddr {
            display_name: display_name.filter(|name| !name.is_empty()),
            uri,
            params,
        })
    }

    /// Without brackets, what follows the first `;` belongs to the field, and the URI may have no `,` and no `?`.
    /// RFC 3261 §20.10.
    fn cut_bare(source: &Text, text: &str) -> Option<NameAddr> {
        let (uri, params) = match grammar::split_at(text, b';') {
            Some((uri, params)) => (uri, Params::parse_header(source, params)?),
            None => (text, Params::new()),
        };
        if uri.contains([',', '?']) {
            return None;
        }
        let uri = Uri::cut(source, grammar::trim(uri)).ok()?;
        Some(NameAddr {
            display_name: None,
            uri,
            params,
        })
    }
}

const TAG: Text = Text::from_static("tag");

fn cut_params(source: &Text, text: &str) -> Option<Params> {
    if text.is_empty() {
        return Some(Params::new());
    }
    Params::parse_header(source, text.strip_prefix(';')?)
}

impl Written for NameAddr {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        if let Some(name) = &self.display_name {
            grammar::write_quoted(out, name)?;
            out.write_str(" ")?;
        }
        out.write_str("<")?;
        self.uri.write(out)?;
        out.write_str(">")?;
        self.params.write(out)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        NameAddr::new(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-02
    #[test]
    fn addresses_in_all_their_forms() {
        for (text, display_name, written) in [
            (
                "sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
                None,
                "<sip:vivekg@chair-dnrc.example.com>;tag=1918181833n",
            ),
            (
                r#""J Rosenberg \\\"" <sip:jdrosen@example.com> ; tag = 98asjd8"#,
                Some(r#"J Rosenberg \""#),
                r#""J Rosenberg \\\"" <sip:jdrosen@example.com>;tag=98asjd8"#,
            ),
            (
                "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
                Some("Bell, Alexander"),
                r#""Bell, Alexander" <sip:a.g.bell@example.com>;tag=43"#,
            ),
            (r#""" <sip:a@b>"#, None, "<sip:a@b>"),
            (
                r#""Watson" < sip:t.watson@example.org >"#,
                Some("Watson"),
                r#""Watson" <sip:t.watson@example.org>"#,
            ),
            (r#""a<b>" <sip:a@b>"#, Some("a<b>"), r#""a<b>" <sip:a@b>"#),
            (
                "<sip:a@b;transport=tcp?Replaces=x>;q=0.5",
                None,
                "<sip:a@b;transport=tcp?Replaces=x>;q=0.5",
            ),
            (
                "\"Quoted string \\\"\\\"\"<sip:caller@example.com>",
                Some("Quoted string \"\""),
                "\"Quoted string \\\"\\\"\" <sip:caller@example.com>",
            ),
            (
                "token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"x\"",
                Some("token1~` token2'+_ token3*%!.-"),
                "\"token1~` token2'+_ token3*%!.-\" <sip:mundane@example.com>;fromParam''~+*_!.-%=\"x\"",
            ),
            ("Jürgen <sip:j@b>", Some("Jürgen"), "\"Jürgen\" <sip:j@b>"),
            (
                r#"sip:a@b;+sip.instance="<urn:uuid:1>""#,
                None,
                r#"<sip:a@b>;+sip.instance="<urn:uuid:1>""#,
            ),
            ("<http://www.example.com>", None, "<http://www.example.com>"),
        ] {
            let address = NameAddr::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(address.display_name.as_deref(), display_name, "{text}");
            assert_eq!(address.to_string(), written);
            assert_eq!(NameAddr::parse(written), Some(address), "{written}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "<sip:a@b",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<>",
            "<sip:a@b> x",
            "*",
            "\"x\" sip:a@b",
            "<sip:a@b>;x=\"open",
        ] {
            assert_eq!(NameAddr::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tags() {
        let address = NameAddr::parse("<sip:a@b>").unwrap();
        assert_eq!(address.tag(), None);
        let tagged = address
            .clone()
            .with_tag("1x")
            .with_display_name("A \"b\"\r\nX: y");
        assert_eq!(tagged.tag(), Some("1x"));
        assert_eq!(tagged.to_string(), "\"A \\\"b\\\"  X: y\" <sip:a@b>;tag=1x");
        assert_eq!(tagged.without_tag().with_display_name(""), address);
    }
}
