//! The document a notification carries. RFC 5438 §11.

use roxmltree::Node;
use thiserror::Error;

use super::{Delivery, Display, Notification, Processing};
use crate::xml::{self, XmlError};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imdn {
    /// `imdn.Message-ID` of the message it is about.
    pub message_id: String,
    /// `DateTime` of that message, as it was written there. Mandatory; `None` is written as an empty one.
    pub date_time: Option<String>,
    /// The recipient's URI. Lists that do not tell their members leave it out.
    pub recipient_uri: Option<String>,
    /// The URI that the sender wrote to, if somebody on the way changed it.
    pub original_recipient_uri: Option<String>,
    /// What became of it.
    pub notification: Notification,
}

/// Bytes that are no notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImdnError {
    /// Not XML, or more of it than is read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another document.
    #[error("the document is not of type imdn")]
    OtherDocument,
    /// It does not say which message it is about.
    #[error("the imdn document names no message")]
    NoMessageId,
    /// It is about something else than delivery, processing or display.
    #[error("the imdn document has no notification that is known")]
    NoNotification,
    /// It does not say what became of the message, or by words unknown.
    #[error("the imdn document has no status that is known")]
    NoStatus,
}

impl Imdn {
    /// Reads a document in UTF-8; elements and attributes of others are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Imdn, ImdnError> {
        let document = xml::document(xml::text_of(bytes)?)?;
        let root = document.root_element();
        if !root.has_tag_name((NAMESPACE, "imdn")) {
            return Err(ImdnError::OtherDocument);
        }
        let text_of = |name| {
            let text = xml::content(xml::child(root, name)?);
            Some(text).filter(|text| !text.is_empty())
        };
        Ok(Imdn {
            message_id: text_of("message-id").ok_or(ImdnError::NoMessageId)?,
            date_time: text_of("datetime"),
            recipient_uri: text_of("recipient-uri"),
            original_recipient_uri: text_of("original-recipient-uri"),
            notification: notification(root)?,
        })
    }

    /// Writes it, its elements in the order of the schema. RFC 5438 §11.1.9.
    pub fn to_xml(&self) -> String {
        let mut text =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"{NAMESPACE}\">");
        xml::push_element(&mut text, "message-id", &self.message_id);
        let date_time = self.date_time.as_deref().unwrap_or_default();
        xml::push_element(&mut text, "datetime", date_time);
        // By the schema one of them is not without the other.
        let recipient = self
            .recipient_uri
            .as_ref()
            .or(self.original_recipient_uri.as_ref());
        let original = self.original_recipient_uri.as_ref().or(recipient);
        if let (Some(recipient), Some(original)) = (recipient, original) {
            xml::push_element(&mut text, "recipient-uri", recipient);
            xml::push_element(&mut text, "original-recipient-uri", original);
        }
        let (kind, status) = words_of(self.notification);
        text.push_str(&format!(
            "<{kind}><status><{status}/></status></{kind}></imdn>"
        ));
        text
    }
}

fn notification(root: Node<'_, '_>) -> Result<Notification, ImdnError> {
    let mut is_other = false;
    for notification in ALL {
        let (kind, status) = words_of(notification);
        let Some(element) = xml::child(root, kind) else {
            continue;
        };
        let found = xml::child(element, "status").and_then(|element| xml::child(element, status));
        if found.is_some() {
            return Ok(notification);
        }
        is_other = true;
    }
    Err(if is_other {
        ImdnError::NoStatus
    } else {
        ImdnError::NoNotification
    })
}

const ALL: [Notification; 11] = [
    Notification::Delivery(Delivery::Delivered),
    Notification::Delivery(Delivery::Failed),
    Notification::Delivery(Delivery::Forbidden),
    Notification::Delivery(Delivery::Error),
    Notification::Processing(Processing::Processed),
    Notification::Processing(Processing::Stored),
    Notification::Processing(Processing::Forbidden),
    Notification::Processing(Processing::Error),
    Notification::Display(Display::Displayed),
    Notification::Display(Display::Forbidden),
    Notification::Display(Display::Error),
];

/// The names of the two elements that say it.
fn words_of(notification: Notification) -> (&'static str, &'static str) {
    match notification {
        Notification::Delivery(status) => (
            "delivery-notification",
            match status {
                Delivery::Delivered => "delivered",
                Delivery::Failed => "failed",
                Delivery::Forbidden => "forbidden",
                Delivery::Error => "error",
            },
        ),
        Notification::Processing(status) => (
            "processing-notification",
            match status {
                Processing::Processed => "processed",
                Processing::Stored => "stored",
                Processing::Forbidden => "forbidden",
                Processing::Error => "error",
            },
        ),
        Notification::Display(status) => (
            "display-notification",
            match status {
                Display::Displayed => "displayed",
                Display::Forbidden => "forbidden",
                Display::Error => "error",
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imdn(notification: Notification) -> Imdn {
        Imdn {
            message_id: "34jk324j".to_owned(),
            date_time: Some("2008-04-04T12:16:49-05:00".to_owned()),
            recipient_uri: Some("im:bob@example.com".to_owned()),
            original_recipient_uri: Some("im:bob@example.com".to_owned()),
            notification,
        }
    }

    // RCPT-11, T15; RFC 5438 §7.2.1.1, §7.2.1.2, §8.1
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (words, notification) in [
            (
                "delivery delivered",
                Notification::Delivery(Delivery::Delivered),
            ),
            (
                "display displayed",
                Notification::Display(Display::Displayed),
            ),
            (
                "processing processed",
                Notification::Processing(Processing::Processed),
            ),
        ] {
            let (kind, status) = words.split_once(' ').unwrap();
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\n\
                 <message-id>34jk324j</message-id>\n <datetime>2008-04-04T12:16:49-05:00</datetime>\n\
                 <recipient-uri>im:bob@example.com</recipient-uri>\n\
                 <original-recipient-uri\n >im:bob@example.com</original-recipient-uri>\n\
                 <{kind}-notification>\n<status>\n<{status}/>\n</status>\n</{kind}-notification>\n</imdn>\n"
            );
            assert_eq!(
                Imdn::parse(text.as_bytes()),
                Ok(imdn(notification)),
                "{words}"
            );
        }
    }

    // RCPT-11, T15; RFC 5438 §11.1.9
    #[test]
    fn documents_are_written_in_the_order_of_the_schema() {
        let text = imdn(Notification::Delivery(Delivery::Failed)).to_xml();
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\
             <message-id>34jk324j</message-id><datetime>2008-04-04T12:16:49-05:00</datetime>\
             <recipient-uri>im:bob@example.com</recipient-uri>\
             <original-recipient-uri>im:bob@example.com</original-recipient-uri>\
             <delivery-notification><status><failed/></status></delivery-notification></imdn>"
        );
        let short = Imdn {
            message_id: "a<b>&\r\nc".to_owned(),
            date_time: None,
            recipient_uri: None,
            original_recipient_uri: None,
            notification: Notification::Display(Display::Displayed),
        };
        assert!(short.to_xml().ends_with(
            "<message-id>a&lt;b&gt;&amp;c</message-id><datetime></datetime>\
             <display-notification><status><displayed/></status></display-notification></imdn>"
        ));
    }

    #[test]
    fn all_that_is_written_can_be_read() {
        for notification in ALL {
            let imdn = imdn(notification);
            assert_eq!(Imdn::parse(imdn.to_xml().as_bytes()), Ok(imdn));
        }
    }

    // RFC 5438 §11.1.7: a status may have extensions beside it.
    #[test]
    fn what_others_add_is_passed_over() {
        let text = "<i:imdn xmlns:i='urn:ietf:params:xml:ns:imdn' xmlns:l='urn:other' l:a='b'><l:message-id>x</l:message-id>\
             <i:message-id> m1 </i:message-id><i:datetime/><subject>Hi</subject><i:delivery-notification l:a='b'>\
             <i:status><l:delivered/><l:reason code='415'>no</l:reason><i:failed/></i:status>\
             </i:delivery-notification></i:imdn>";
        let imdn = Imdn::parse(text.as_bytes()).unwrap();
        assert_eq!(imdn.message_id, "m1");
        assert_eq!(imdn.date_time, None);
        assert_eq!(imdn.notification, Notification::Delivery(Delivery::Failed));
    }

    // SEC-10
    #[test]
    fn other_documents_are_refused() {
        let with = |content: &str| {
            format!("<imdn xmlns='{NAMESPACE}'><message-id>m</message-id>{content}</imdn>")
        };
        let malformed = ImdnError::Xml(XmlError::Malformed);
        for (text, error) in [
            (String::new(), malformed),
            ("<!DOCTYPE imdn><imdn/>".to_owned(), malformed),
            (
                "<imdn><message-id>m</message-id></imdn>".to_owned(),
                ImdnError::OtherDocument,
            ),
            (
                format!("<imdn xmlns='{NAMESPACE}'/>"),
                ImdnError::NoMessageId,
            ),
            (
                format!("<imdn xmlns='{NAMESPACE}'><message-id> </message-id></imdn>"),
                ImdnError::NoMessageId,
            ),
            (with(""), ImdnError::NoNotification),
            (
                with("<status><delivered/></status>"),
                ImdnError::NoNotification,
            ),
            (with("<delivery-notification/>"), ImdnError::NoStatus),
            (
                with(
                    "<delivery-notification><status><displayed/></status></delivery-notification>",
                ),
                ImdnError::NoStatus,
            ),
            (with(&" ".repeat(20_000)), XmlError::TooBig.into()),
        ] {
            assert_eq!(Imdn::parse(text.as_bytes()), Err(error), "{text:.120}");
        }
    }
}
