//! The form that challenges and credentials share: a scheme, then parameters with commas between them.
//! RFC 3261 §25.1 (challenge, credentials).

use std::borrow::Cow;

use crate::grammar::{self, CommaSeparated};

/// Most schemes read of one header field.
const MOST_SCHEMES: usize = 16;
/// Most parameters read of one scheme.
const MOST_PARAMS: usize = 32;
/// The longest value of a parameter, in bytes: far above what anybody sends, low enough to be kept.
const LONGEST: usize = 1024;

/// One scheme with its parameters.
#[derive(Debug)]
pub(super) struct Scheme<'a> {
    name: &'a str,
    params: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Scheme<'a> {
    /// The schemes in the value of one header field, in their order.
    pub(super) fn read_all(text: &'a str) -> Vec<Self> {
        let mut schemes: Vec<Self> = Vec::new();
        for item in CommaSeparated::new(text) {
            let (name, rest) = split_token(item);
            if name.is_empty() {
                continue;
            }
            let (name, value) = match rest.strip_prefix('=') {
                Some(value) => (name, value),
                // A second token right after the first: the first is a scheme, and this its first parameter.
                None => {
                    if schemes.len() == MOST_SCHEMES {
                        break;
                    }
                    schemes.push(Scheme {
                        name,
                        params: Vec::new(),
                    });
                    let (name, rest) = split_token(rest);
                    match rest.strip_prefix('=') {
                        Some(value) => (name, value),
                        None => continue,
                    }
                }
            };
            if let Some(scheme) = schemes.last_mut()
                && scheme.params.len() < MOST_PARAMS
                && let Some(value) = unquote(value)
            {
                scheme.params.push((name, value));
            }
        }
        schemes
    }

    pub(super) fn is_digest(&self) -> bool {
        self.name.eq_ignore_ascii_case("Digest")
    }

    /// The value of the first parameter of that name, without quotes and escapes.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// The token at the start, and what follows it and white space.
fn split_token(text: &str) -> (&str, &str) {
    let length = text
        .bytes()
        .take_while(|b| grammar::is_token_byte(*b))
        .count();
    let (token, rest) = text.split_at_checked(length).unwrap_or(("", text));
    (token, grammar::trim_start(rest))
}

fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let value = grammar::trim(value);
    if value.len() > LONGEST {
        return None;
    }
    if !value.starts_with('"') {
        return Some(Cow::Borrowed(value));
    }
    let (content, _) = grammar::quoted_prefix(value)?;
    Some(match content.contains('\\') {
        true => Cow::Owned(grammar::unescape(content)),
        false => Cow::Borrowed(content),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_schemes_in_one_field() {
        let text = r#"Digest realm = "a, \"b\" <", nonce="1" , qop="auth,auth-int",NTLM, Basic realm=x,
            Digest nonce="2", , stale=TRUE"#;
        let schemes = Scheme::read_all(text);
        let names: Vec<_> = schemes.iter().map(|scheme| scheme.name).collect();
        assert_eq!(names, ["Digest", "NTLM", "Basic", "Digest"]);
        assert_eq!(schemes[0].get("Realm"), Some(r#"a, "b" <"#));
        assert_eq!(schemes[0].get("qop"), Some("auth,auth-int"));
        assert_eq!(schemes[1].get("realm"), None);
        assert_eq!(schemes[2].get("realm"), Some("x"));
        assert_eq!(schemes[3].get("nonce"), Some("2"));
        assert_eq!(schemes[3].get("stale"), Some("TRUE"));
        assert!(schemes[0].is_digest() && !schemes[2].is_digest());
    }

    #[test]
    fn what_is_no_scheme_is_left_out() {
        for text in ["", ",,,", "=", "realm=\"x\"", "\"Digest\"", "é=1"] {
            assert!(Scheme::read_all(text).is_empty(), "{text}");
        }
        let long = format!("Digest realm=\"{}\"", "x".repeat(5000));
        assert_eq!(Scheme::read_all(&long)[0].get("realm"), None);
        assert_eq!(
            Scheme::read_all("Digest realm=\"open")[0].get("realm"),
            None
        );
        assert_eq!(Scheme::read_all(&"A b=1,".repeat(100)).len(), MOST_SCHEMES);
    }
}
