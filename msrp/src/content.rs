//! Which media types a peer takes. RFC 4975 §8.6.

/// Whether a list of format entries (`text/plain`, `text/*`, `*`) allows a media type. Letters are compared without
/// case; an entry with parameters allows only types that have them too.
pub fn is_allowed<S: AsRef<str>>(entries: &[S], content_type: &str) -> bool {
    entries
        .iter()
        .any(|entry| entry_allows(entry.as_ref(), content_type))
}

/// Whether a type may go inside a container such as `message/cpim`: those of `accept-types` may, and those of
/// `accept-wrapped-types` may only there (MSRP-21).
pub fn is_allowed_wrapped<S: AsRef<str>>(
    accept_types: &[S],
    accept_wrapped_types: &[S],
    content_type: &str,
) -> bool {
    is_allowed(accept_types, content_type) || is_allowed(accept_wrapped_types, content_type)
}

/// Type and subtype without parameters, as written.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether the type is `expected`, whatever its parameters and case of letters.
pub fn is_type(content_type: &str, expected: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case(expected)
}

/// The value of a parameter, without its quotes.
pub fn parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    parameters(content_type)
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn entry_allows(entry: &str, content_type: &str) -> bool {
    let (wanted, offered) = (essence(entry), essence(content_type));
    let is_essence_allowed = wanted == "*"
        || wanted.eq_ignore_ascii_case(offered)
        || wanted.strip_suffix("/*").is_some_and(|wanted| {
            offered
                .split_once('/')
                .is_some_and(|(offered, _)| wanted == "*" || wanted.eq_ignore_ascii_case(offered))
        });
    is_essence_allowed
        && parameters(entry).all(|(name, value)| {
            parameter(content_type, name).is_some_and(|offered| offered.eq_ignore_ascii_case(value))
        })
}

/// Name and value of each; a semicolon within quotes parts nothing.
fn parameters(content_type: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut quoted = false;
    content_type
        .split(move |letter| {
            quoted ^= letter == '"';
            letter == ';' && !quoted
        })
        .skip(1)
        .filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim();
            let unquoted = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            Some((name.trim(), unquoted.unwrap_or(value)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-21
    #[test]
    fn entries_allow_types() {
        for (entries, content_type, expected) in [
            ("message/cpim text/plain", "text/plain", true),
            ("message/cpim text/plain", "TEXT/Plain; charset=utf-8", true),
            ("message/cpim text/plain", "text/html", false),
            ("text/*", "text/html", true),
            ("text/*", "texts/html", false),
            ("text/*", "image/png", false),
            ("*", "application/im-iscomposing+xml", true),
            ("*/*", "a/b", true),
            (
                "text/plain;charset=UTF-8",
                "text/plain; charset=\"utf-8\"",
                true,
            ),
            ("text/plain;charset=utf-8", "text/plain", false),
            (
                "text/plain;charset=utf-8",
                "text/plain;charset=latin1",
                false,
            ),
            ("", "text/plain", false),
        ] {
            let entries: Vec<&str> = entries.split_whitespace().collect();
            assert_eq!(
                is_allowed(&entries, content_type),
                expected,
                "{entries:?} {content_type}"
            );
        }
    }

    #[test]
    fn wrapped_types_are_for_containers_only() {
        let (accept, wrapped) = (["message/cpim"], ["text/plain"]);
        assert!(!is_allowed(&accept, "text/plain"));
        assert!(is_allowed_wrapped(&accept, &wrapped, "text/plain"));
    }

    #[test]
    fn parameters_are_found() {
        let content_type = "multipart/mixed; boundary=\"a;b=c\" ; Charset = utf8";
        assert_eq!(parameter(content_type, "boundary"), Some("a;b=c"));
        assert_eq!(parameter(content_type, "charset"), Some("utf8"));
        assert_eq!(parameter(content_type, "b"), None);
        assert!(is_type(content_type, "multipart/mixed"));
    }
}
