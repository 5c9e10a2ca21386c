//! Status messages: whether the peer is writing. RFC 3994.
//!
//! ```
//! use std::time::Duration;
//! use stox_msrp::is_composing::{IsComposing, State};
//!
//! let status = IsComposing::active(Duration::from_secs(60));
//! let read = IsComposing::parse(status.to_xml().as_bytes())?;
//! assert_eq!(read.state, State::Active);
//! assert_eq!(read.shown_for(), Some(Duration::from_secs(60)));
//! # Ok::<(), stox_msrp::is_composing::IsComposingError>(())
//! ```

use std::time::Duration;

use thiserror::Error;

use crate::xml::{self, XmlError};

/// The media type of the documents.
pub const MEDIA_TYPE: &str = "application/im-iscomposing+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";
/// What the receiver assumes where the composer names no interval. RFC 3994 §3.3.
const DEFAULT_REFRESH: Duration = Duration::from_secs(120);

/// What the user does. RFC 3994 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Is writing a message.
    Active,
    /// Is not; all states that we do not know count as this (COMP-01, RFC 3994 §3.5).
    #[default]
    Idle,
}

/// A status message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IsComposing {
    /// What the user does.
    pub state: State,
    /// When something was last written: RFC 3339, as written.
    pub last_active: Option<String>,
    /// What is being written: `text/plain`, or a type without subtype such as `audio`.
    pub content_type: Option<String>,
    /// Whole seconds, at least one: until when the composer says it again. At most a day is taken.
    pub refresh: Option<Duration>,
}

/// Bytes that are no status message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IsComposingError {
    /// Not XML, or more of it than is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another document.
    #[error("the document is not of type isComposing")]
    OtherDocument,
    /// It says nothing about the state.
    #[error("the isComposing document has no state")]
    NoState,
}

impl IsComposing {
    const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 60 * 60);

    /// The user writes; unless a message comes first, this is said again within `refresh` (COMP-05).
    pub fn active(refresh: Duration) -> IsComposing {
        IsComposing {
            state: State::Active,
            refresh: Some(refresh),
            ..IsComposing::default()
        }
    }

    /// The user has stopped.
    pub fn idle() -> IsComposing {
        IsComposing::default()
    }

    /// Reads a document in UTF-8; elements and attributes of others are passed over.
    pub fn parse(bytes: &[u8]) -> Result<IsComposing, IsComposingError> {
        let document = xml::document(xml::text_of(bytes)?)?;
        let root = document.root_element();
        if !root.has_tag_name((NAMESPACE, "isComposing")) {
            return Err(IsComposingError::OtherDocument);
        }
        let text_of = |name| {
            let text = xml::content(xml::child(root, name)?);
            Some(text).filter(|text| !text.is_empty())
        };
        let state = xml::child(root, "state").ok_or(IsComposingError::NoState)?;
        Ok(IsComposing {
            state: match xml::content(state).as_str() {
                "active" => State::Active,
                _ => State::Idle,
            },
            last_active: text_of("lastactive"),
            content_type: text_of("contenttype"),
            refresh: text_of("refresh").and_then(|seconds| refresh(&seconds)),
        })
    }

    /// Writes it, its elements in the order of the schema (T14). RFC 3994 §6.1.
    pub fn to_xml(&self) -> String {
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<isComposing xmlns=\"{NAMESPACE}\">"
        );
        let state = match self.state {
            State::Active => "active",
            State::Idle => "idle",
        };
        xml::push_element(&mut text, "state", state);
        if let Some(last_active) = &self.last_active {
            xml::push_element(&mut text, "lastactive", last_active);
        }
        if let Some(content_type) = &self.content_type {
            xml::push_element(&mut text, "contenttype", content_type);
        }
        if let Some(refresh) = self.refresh {
            let seconds = refresh.as_secs().max(1);
            xml::push_element(&mut text, "refresh", &seconds.to_string());
        }
        text.push_str("</isComposing>");
        text
    }

    /// How long the peer counts as writing if nothing else comes; `None` if it does not (COMP-06). RFC 3994 §3.3.
    pub fn shown_for(&self) -> Option<Duration> {
        match self.state {
            State::Active => Some(self.refresh.unwrap_or(DEFAULT_REFRESH)),
            State::Idle => None,
        }
    }
}

/// A positive number of seconds; too many to count are as many as are taken.
fn refresh(seconds: &str) -> Option<Duration> {
    let digits = seconds.strip_prefix('+').unwrap_or(seconds);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse().unwrap_or(u64::MAX);
    let refresh = Duration::from_secs(seconds).min(IsComposing::LONGEST_REFRESH);
    Some(refresh).filter(|refresh| !refresh.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(children: &str) -> IsComposing {
        let text = format!("<isComposing xmlns='{NAMESPACE}'>{children}</isComposing>");
        IsComposing::parse(text.as_bytes()).unwrap()
    }

    // COMP-01 COMP-06
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"\n\
            xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n\
            xsi:schemaLocation=\"urn:ietf:params:xml:ns:im-composing iscomposing.xsd\">\n";
        let active = format!(
            "{head}<state>active</state>\n<contenttype>text/plain</contenttype>\n\
             <refresh>90</refresh>\n</isComposing>"
        );
        let active = IsComposing::parse(active.as_bytes()).unwrap();
        assert_eq!(
            active,
            IsComposing {
                content_type: Some("text/plain".to_owned()),
                ..IsComposing::active(Duration::from_secs(90))
            }
        );
        assert_eq!(active.shown_for(), Some(Duration::from_secs(90)));
        let idle = format!(
            "{head}<state>idle</state><lastactive>2003-01-27T10:43:00Z</lastactive>\
             <contenttype>audio</contenttype></isComposing>\r\n"
        );
        let idle = IsComposing::parse(idle.as_bytes()).unwrap();
        assert_eq!(
            idle,
            IsComposing {
                last_active: Some("2003-01-27T10:43:00Z".to_owned()),
                content_type: Some("audio".to_owned()),
                ..IsComposing::idle()
            }
        );
        assert_eq!(idle.shown_for(), None);
    }

    // COMP-01 COMP-08, T14
    #[test]
    fn documents_are_written_in_the_order_of_the_schema() {
        assert_eq!(
            IsComposing::active(Duration::from_secs(60)).to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\">\
             <state>active</state><refresh>60</refresh></isComposing>"
        );
        assert_eq!(
            IsComposing::idle().to_xml(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\">\
             <state>idle</state></isComposing>"
        );
        let full = IsComposing {
            state: State::Active,
            last_active: Some("2003-01-27T10:43:00Z".to_owned()),
            content_type: Some("a<b>&c/ä\u{1}\u{ffff}".to_owned()),
            refresh: Some(Duration::from_millis(1)),
        };
        assert!(full.to_xml().ends_with(
            "<state>active</state><lastactive>2003-01-27T10:43:00Z</lastactive>\
             <contenttype>a&lt;b&gt;&amp;c/ä</contenttype><refresh>1</refresh></isComposing>"
        ));
        let read = IsComposing::parse(full.to_xml().as_bytes()).unwrap();
        assert_eq!(read.content_type.as_deref(), Some("a<b>&c/ä"));
    }

    // COMP-01, RFC 3994 §3.5
    #[test]
    fn unknown_states_count_as_idle() {
        for state in ["idle", "inactive", "Active", "thinking", ""] {
            let status = read(&format!("<state>{state}</state><refresh>30</refresh>"));
            assert_eq!(status.state, State::Idle, "{state}");
            assert_eq!(status.shown_for(), None, "{state}");
        }
    }

    // COMP-06, RFC 3994 §3.3
    #[test]
    fn the_interval_is_120_seconds_where_none_is_named() {
        for (refresh, seconds) in [
            ("", 120),
            ("<refresh/>", 120),
            ("<refresh>0</refresh>", 120),
            ("<refresh>-5</refresh>", 120),
            ("<refresh>soon</refresh>", 120),
            ("<refresh> 61 </refresh>", 61),
            ("<refresh>+61</refresh>", 61),
            ("<refresh>99999999999999999999999</refresh>", 86_400),
        ] {
            let status = read(&format!("<state>active</state>{refresh}"));
            let expected = Some(Duration::from_secs(seconds));
            assert_eq!(status.shown_for(), expected, "{refresh}");
        }
    }

    // COMP-01 SEC-10
    #[test]
    fn prefixes_blanks_and_what_others_add_do_not_matter() {
        for text in [
            "<ic:isComposing xmlns:ic='urn:ietf:params:xml:ns:im-iscomposing'><ic:state>active</ic:state>\
             </ic:isComposing>",
            "<ic:isComposing xmlns:ic='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state>\
             </ic:isComposing>",
            "\u{feff}\r\n <?xml version='1.0'?><!-- hello --><isComposing version='2' \
             xmlns='urn:ietf:params:xml:ns:im-iscomposing'><mood xmlns='urn:x'><state>idle</state></mood>\
             <state xmlns='urn:x'>idle</state>\n<state lang='en'> act<!-- -->ive\n</state></isComposing>\r\n\r\n",
            "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state><![CDATA[active]]></state>\
             </isComposing>",
        ] {
            let status = IsComposing::parse(text.as_bytes()).unwrap();
            assert_eq!(
                status,
                IsComposing {
                    state: State::Active,
                    ..IsComposing::idle()
                },
                "{text}"
            );
        }
    }

    // SEC-10
    #[test]
    fn other_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
        let wide = format!(
            "<isComposing xmlns='{NAMESPACE}'>{}</isComposing>",
            "<a/>".repeat(1000)
        );
        let long = format!("<isComposing xmlns='{NAMESPACE}'>{}", " ".repeat(17_000));
        let entity = format!(
            "<!DOCTYPE isComposing [<!ENTITY s 'active'>]><isComposing xmlns='{NAMESPACE}'>\
             <state>&s;</state></isComposing>"
        );
        let malformed = IsComposingError::Xml(XmlError::Malformed);
        for (text, error) in [
            (b"".as_slice(), malformed),
            (b"active", malformed),
            (b"<isComposing>\xff</isComposing>", XmlError::NotUtf8.into()),
            (b"<isComposing><state>active</state></isComposing>", IsComposingError::OtherDocument),
            (b"<imdn xmlns='urn:ietf:params:xml:ns:imdn'/>", IsComposingError::OtherDocument),
            (
                b"<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'/>",
                IsComposingError::NoState,
            ),
            (
                b"<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>&x;</state></isComposing>",
                malformed,
            ),
            (entity.as_bytes(), malformed),
            (deep.as_bytes(), malformed),
            (wide.as_bytes(), malformed),
            (long.as_bytes(), XmlError::TooBig.into()),
        ] {
            let text_shown = String::from_utf8_lossy(text);
            assert_eq!(IsComposing::parse(text), Err(error), "{text_shown:.100}");
        }
    }
}
