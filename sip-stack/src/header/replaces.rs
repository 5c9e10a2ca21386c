//! Replaces.

use std::fmt;

use super::WithParams;
use crate::text::Text;

/// The dialog that the one made by an INVITE is to take the place of. The tags are named from the side of who receives it.
/// RFC 3891 §3, §6.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Of the dialog.
    pub call_id: Text,
    /// The receiver's own tag.
    pub to_tag: Text,
    /// The tag of the receiver's peer.
    pub from_tag: Text,
    /// Which dialogs may be replaced.
    pub early: Early,
}

/// Whether a dialog that is already confirmed may be replaced. RFC 3891 §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Early {
    /// Early and confirmed ones alike.
    OrConfirmed,
    /// Early ones only (`early-only`).
    Only,
}

impl Replaces {
    /// Reads a value; `None` if a part is missing or empty.
    pub fn parse(text: &str) -> Option<Self> {
        Self::cut(&Text::from(text), text)
    }

    pub(crate) fn cut(source: &Text, text: &str) -> Option<Self> {
        let WithParams { value, params } = WithParams::cut(source, text)?;
        let tag = |name: &str| {
            let tag = params.get(name).flatten()?;
            (!tag.is_empty()).then(|| Text::from(tag))
        };
        Some(Self {
            call_id: value,
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early: match params.contains("early-only") {
                true => Early::Only,
                false => Early::OrConfirmed,
            },
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (call_id, to, from) = (&self.call_id, &self.to_tag, &self.from_tag);
        write!(f, "{call_id};to-tag={to};from-tag={from}")?;
        match self.early {
            Early::Only => f.write_str(";early-only"),
            Early::OrConfirmed => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_all_three() {
        let text = "425928@bobster.example.org;to-tag=7743;from-tag=6472";
        assert_eq!(Replaces::parse(text).unwrap().to_string(), text);
        let early = Replaces::parse("c;early-only;from-tag=a;to-tag=b").unwrap();
        assert_eq!(early.to_string(), "c;to-tag=b;from-tag=a;early-only");
        for text in ["c;to-tag=b", "c;to-tag=;from-tag=a", ";to-tag=b;from-tag=a"] {
            assert_eq!(Replaces::parse(text), None, "{text}");
        }
    }
}
