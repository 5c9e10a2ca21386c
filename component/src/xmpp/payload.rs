//! Child elements that have no type of their own here, each as a document of its own.

use bytes::BytesMut;
use roxmltree::{Node, NodeType};

use super::framing::Excess;
use super::stanza::Payload;
use super::write;

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Bytes that the payloads of one stanza may come to. A copy can be far longer than its original: a namespace that is
/// declared once is written again wherever it is needed.
const MOST: usize = 512 * 1024;

/// Makes the payloads of one stanza.
#[derive(Debug)]
pub(super) struct Payloads {
    left: usize,
}

impl Payloads {
    pub(super) fn new() -> Payloads {
        Payloads { left: MOST }
    }

    /// The element, with every namespace it needs.
    pub(super) fn copy(&mut self, node: Node<'_, '_>) -> Result<Payload, Excess> {
        let namespace = node.tag_name().namespace().unwrap_or_default();
        let mut xml = BytesMut::new();
        self.element(&mut xml, node, None)?;
        self.left = self.left.saturating_sub(xml.len() + namespace.len());
        Ok(Payload {
            namespace: namespace.to_owned(),
            name: node.tag_name().name().to_owned(),
            xml: String::from_utf8_lossy(&xml).into_owned(),
        })
    }

    /// Calls itself once per level, and framing has bounded those.
    fn element(
        &self,
        out: &mut BytesMut,
        node: Node<'_, '_>,
        outer: Option<&str>,
    ) -> Result<(), Excess> {
        let name = node.tag_name().name();
        let namespace = node.tag_name().namespace().unwrap_or_default();
        out.extend_from_slice(b"<");
        out.extend_from_slice(name.as_bytes());
        if outer != Some(namespace) {
            write::attribute(out, "xmlns", namespace);
        }
        for (number, attribute) in node.attributes().enumerate() {
            let (name, value) = (attribute.name(), attribute.value());
            match attribute.namespace() {
                None => write::attribute(out, name, value),
                Some(XML) => write::attribute(out, &format!("xml:{name}"), value),
                Some(namespace) => {
                    write::attribute(out, &format!("xmlns:n{number}"), namespace);
                    write::attribute(out, &format!("n{number}:{name}"), value);
                }
            }
            self.bound(out)?;
        }
        if !node.has_children() {
            out.extend_from_slice(b"/>");
            return self.bound(out);
        }
        out.extend_from_slice(b">");
        for child in node.children() {
            match child.node_type() {
                NodeType::Element => self.element(out, child, Some(namespace))?,
                NodeType::Text => write::text(out, child.text().unwrap_or_default()),
                NodeType::Root | NodeType::PI | NodeType::Comment => {}
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b">");
        self.bound(out)
    }

    fn bound(&self, out: &BytesMut) -> Result<(), Excess> {
        match out.len() > self.left {
            true => Err(Excess::Bytes),
            false => Ok(()),
        }
    }
}
