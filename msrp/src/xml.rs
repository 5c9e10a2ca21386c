//! The small XML documents that travel as messages, to be read with bounds and written with escapes (SEC-10).

use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

/// Bytes that are no XML document we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XmlError {
    /// More than 16 KiB, which is far beyond any honest one.
    #[error("the document is too big")]
    TooBig,
    /// Another charset than UTF-8, which all of them use.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Not well-formed, with more than 512 nodes, or with a document type declaration.
    #[error("the document is not XML that can be read")]
    Malformed,
}

const LONGEST: usize = 16 << 10;
/// Elements, texts, comments. The reader takes each in turn, however deep it stands, so this bounds the depth too.
const MOST_NODES: u32 = 512;

/// The text of a document; blanks before its beginning, which XML forbids, are passed over.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, XmlError> {
    if bytes.len() > LONGEST {
        return Err(XmlError::TooBig);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    Ok(text.trim_start_matches('\u{feff}').trim())
}

/// Reads a document without entities of its own.
pub(crate) fn document(text: &str) -> Result<Document<'_>, XmlError> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|_| XmlError::Malformed)
}

/// The first child element of that name, in its parent's namespace or, as some write it, in none.
pub(crate) fn child<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    let namespace = parent.tag_name().namespace();
    parent.children().find(|node| {
        let tag = node.tag_name();
        node.is_element()
            && tag.name() == name
            && (tag.namespace() == namespace || tag.namespace().is_none())
    })
}

/// The characters within an element and outside its children, without blanks around them.
pub(crate) fn content(element: Node<'_, '_>) -> String {
    let texts = element.children().filter(Node::is_text);
    let content: String = texts.filter_map(|node| node.text()).collect();
    content.trim().to_owned()
}

/// Appends an element with that text.
pub(crate) fn push_element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    push_text(out, text);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Appends character data; characters that XML cannot carry are left out.
fn push_text(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
}
