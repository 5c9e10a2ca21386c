//! What a document would cost to read, found before it is read: no peer makes the tree of a document deep, or the tables of
//! its namespaces larger than it is itself. SEC-10.

use memchr::{memchr, memchr3, memmem};

use super::ConferenceError;

/// Elements within each other. The schema needs 9.
const MAX_DEPTH: usize = 32;
/// Attributes of one element, declarations of namespaces included.
const MAX_ATTRIBUTES: usize = 32;
/// Namespaces in scope, summed over the elements that declare one: so many entries has the reader's table of them.
const MAX_NAMESPACES: usize = 64 * 1024;

/// Refuses what breaks a bound. What is not well-formed may pass: whoever reads it finds that out.
pub(super) fn check(text: &str) -> Result<(), ConferenceError> {
    let mut rest = text.as_bytes();
    let mut open = Vec::new();
    let (mut in_scope, mut namespaces) = (0_usize, 0_usize);
    while let Some(at) = memchr(b'<', rest) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(b"<!--") {
            rest = behind(rest, b"-->");
        } else if rest.starts_with(b"<![CDATA[") {
            rest = behind(rest, b"]]>");
        } else if rest.starts_with(b"<?") {
            rest = behind(rest, b"?>");
        } else if rest.starts_with(b"</") {
            in_scope = in_scope.saturating_sub(open.pop().unwrap_or_default());
            rest = behind(rest, b">");
        } else {
            let tag = Tag::read(rest)?;
            rest = tag.rest;
            if tag.declarations > 0 {
                namespaces = namespaces.saturating_add(in_scope.saturating_add(tag.declarations));
            }
            if namespaces > MAX_NAMESPACES {
                return Err(ConferenceError::TooManyNamespaces);
            }
            if tag.is_open {
                open.push(tag.declarations);
                in_scope = in_scope.saturating_add(tag.declarations);
            }
            if open.len() > MAX_DEPTH {
                return Err(ConferenceError::TooDeep);
            }
        }
    }
    Ok(())
}

/// What follows the first `end`; nothing if there is none.
fn behind<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    memmem::find(text, end)
        .and_then(|at| text.get(at.saturating_add(end.len())..))
        .unwrap_or_default()
}

/// The tag that begins an element.
struct Tag<'a> {
    declarations: usize,
    /// Whether an element begins that does not end at once.
    is_open: bool,
    /// What follows the tag.
    rest: &'a [u8],
}

impl<'a> Tag<'a> {
    fn read(text: &'a [u8]) -> Result<Tag<'a>, ConferenceError> {
        let (mut rest, mut attributes, mut declarations) = (text, 0_usize, 0_usize);
        loop {
            let at = memchr3(b'"', b'\'', b'>', rest).unwrap_or(rest.len());
            let (name, quoted) = rest.split_at_checked(at).unwrap_or((rest, b""));
            let Some((quote, value)) = quoted.split_first() else {
                return Ok(Tag {
                    declarations,
                    is_open: false,
                    rest: b"",
                });
            };
            if *quote == b'>' {
                return Ok(Tag {
                    declarations,
                    is_open: !name.ends_with(b"/"),
                    rest: value,
                });
            }
            attributes = attributes.saturating_add(1);
            if attributes > MAX_ATTRIBUTES {
                return Err(ConferenceError::TooManyAttributes);
            }
            if memmem::find(name, b"xmlns").is_some() {
                declarations = declarations.saturating_add(1);
            }
            rest = behind(value, std::slice::from_ref(quote));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_bound_is_counted_where_it_stands() {
        let nested = |depth: usize| "<a b='>'>".repeat(depth) + &"</a>".repeat(depth);
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(ConferenceError::TooDeep));
        let siblings = "<a><b c='/'/><!-- <d> --><![CDATA[<e>]]><?f <g> ?></a>".repeat(1000);
        assert_eq!(check(&siblings), Ok(()));
    }

    #[test]
    fn attributes_are_counted_in_their_element() {
        let with = |attributes: usize| format!("<a{}/>", " b='\">' ".repeat(attributes));
        assert_eq!(check(&with(MAX_ATTRIBUTES).repeat(2)), Ok(()));
        assert_eq!(
            check(&with(MAX_ATTRIBUTES + 1)),
            Err(ConferenceError::TooManyAttributes)
        );
    }

    #[test]
    fn namespaces_are_counted_where_the_reader_copies_them() {
        let outer = format!("<a{}>", " xmlns:b='c'".repeat(MAX_ATTRIBUTES));
        let plain = format!("{outer}{}</a>", "<d/>".repeat(MAX_NAMESPACES));
        assert_eq!(check(&plain), Ok(()));
        let inner = "<d xmlns:e='f'/>".repeat(MAX_NAMESPACES / (MAX_ATTRIBUTES + 1));
        assert_eq!(
            check(&format!("{outer}{inner}</a>")),
            Err(ConferenceError::TooManyNamespaces)
        );
        let siblings = "<d xmlns:e='f'></d>".repeat(MAX_NAMESPACES);
        assert_eq!(check(&siblings), Ok(()));
    }

    #[test]
    fn what_breaks_off_ends_the_look() {
        for text in ["<", "<a", "<a b='", "<!--", "</", "<?", "<![CDATA[", "a"] {
            assert_eq!(check(text), Ok(()));
        }
    }
}
