//! Message bodies: what SIP users send read as text, and text wrapped for them (T13).

mod html;
mod multipart;

use std::time::SystemTime;

use bytes::Bytes;
use stox_msrp::imdn::{self, Imdn};
use stox_msrp::is_composing::{self, IsComposing};
use stox_msrp::{content, cpim};
use stox_sip::Uri;

use crate::stamp;

/// Plain text, always UTF-8 when we send it.
pub const PLAIN: &str = "text/plain";
/// The same in a MESSAGE (IM-01).
pub const PAGE: &str = "text/plain;charset=UTF-8";
/// Shown as plain text (IM-11).
pub const HTML: &str = "text/html";
/// A message with its own headers (RFC 3862).
pub const CPIM: &str = "message/cpim";
/// What we take, best first: `accept-types`.
pub const TYPES: [&str; 6] = [
    CPIM,
    PLAIN,
    HTML,
    "multipart/mixed",
    "multipart/alternative",
    is_composing::MEDIA_TYPE,
];
/// What we take inside CPIM: `accept-wrapped-types`.
pub const WRAPPED_TYPES: [&str; 4] = [PLAIN, HTML, is_composing::MEDIA_TYPE, imdn::MEDIA_TYPE];
/// The same for an Accept header.
pub const ACCEPTED: &str = "text/plain, text/html, message/cpim, multipart/mixed, multipart/alternative, \
     application/im-iscomposing+xml, message/imdn+xml";

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text for the XMPP user.
    Text(Text),
    /// Whether the SIP user writes.
    Composing(IsComposing),
    /// What became of a message of the XMPP user's.
    Imdn(Imdn),
}

/// The text of a message and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text itself.
    pub body: String,
    /// Subject, if the message has one of its own.
    pub subject: Option<String>,
    /// Language tag.
    pub lang: Option<String>,
    /// When it was written, if it says so itself.
    pub sent: Option<SystemTime>,
    /// What of its fate its sender wants to hear of (RCPT-11).
    pub imdn: Option<Box<imdn::Request>>,
}

/// Why a body cannot be shown as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A type we do not take.
    #[error("only text can be shown, plain or as HTML, alone or in message/cpim")]
    Type,
    /// A character set nobody knows.
    #[error("the character set is unknown")]
    Charset,
    /// Not CPIM, though it says so.
    #[error("the message/cpim cannot be read")]
    Cpim,
    /// Not a document of its type.
    #[error("the isComposing document cannot be read")]
    Composing,
    /// Not a document of its type.
    #[error("the disposition notification cannot be read")]
    Imdn,
    /// No body of several parts, though it says so.
    #[error("the parts of the message cannot be told apart")]
    Multipart,
    /// Whoever does not know something that the message needs must not take it.
    #[error("the message/cpim requires something that is not known here")]
    Required,
}

/// Reads a body. Bytes that the character set of a text does not know become U+FFFD (IM-13).
///
/// # Errors
/// The type is none of [`TYPES`], or the body is not what its type says.
pub fn read(content_type: Option<&str>, body: &Bytes) -> Result<Content, Unreadable> {
    let content_type = content_type.unwrap_or(PLAIN);
    if !content::is_type(content_type, CPIM) {
        return read_part(content_type, body, 0);
    }
    read_wrapped(cpim::Message::parse(body).map_err(|_| Unreadable::Cpim)?)
}

/// Reads what is inside CPIM.
///
/// # Errors
/// The type is none of [`WRAPPED_TYPES`], or the body is not what its type says.
pub fn read_wrapped(message: cpim::Message) -> Result<Content, Unreadable> {
    if message.unknown_requirement(&[imdn::NAMESPACE]).is_some() {
        return Err(Unreadable::Required);
    }
    let inner = message.content_type.as_deref().unwrap_or(PLAIN);
    let mut content = read_part(inner, &message.body, 0)?;
    if let Content::Text(text) = &mut content {
        text.sent = message.date_time.as_deref().and_then(stamp::parse);
        text.imdn = imdn::Request::of(&message).map(Box::new);
        text.subject = message.subject;
    }
    Ok(content)
}

/// The CPIM message for a text or a document (T13, one-to-one).
pub fn cpim(
    from: &Uri,
    to: &Uri,
    sent: SystemTime,
    subject: Option<String>,
    content_type: &str,
    body: String,
) -> cpim::Message {
    let address = |uri: &Uri| cpim::Address {
        name: None,
        uri: uri.to_string(),
    };
    cpim::Message {
        from: Some(address(from)),
        to: vec![address(to)],
        date_time: Some(stamp::format(sent)),
        subject,
        content_type: Some(content_type.to_owned()),
        body: body.into(),
        ..cpim::Message::default()
    }
}

/// `depth`: bodies of several parts that this one is within.
fn read_part(content_type: &str, body: &[u8], depth: usize) -> Result<Content, Unreadable> {
    if content::is_type(content_type, PLAIN) {
        return Ok(Content::Text(Text {
            body: decode(content_type, body)?,
            ..Text::default()
        }));
    }
    if content::is_type(content_type, HTML) {
        return Ok(Content::Text(Text {
            body: html::text_of(&decode(content_type, body)?),
            ..Text::default()
        }));
    }
    if multipart::is_one(content_type) {
        return multipart::read(content_type, body, depth);
    }
    if content::is_type(content_type, is_composing::MEDIA_TYPE) {
        let status = IsComposing::parse(body).map_err(|_| Unreadable::Composing)?;
        return Ok(Content::Composing(status));
    }
    if content::is_type(content_type, imdn::MEDIA_TYPE) {
        let notification = Imdn::parse(body).map_err(|_| Unreadable::Imdn)?;
        return Ok(Content::Imdn(notification));
    }
    Err(Unreadable::Type)
}

fn decode(content_type: &str, bytes: &[u8]) -> Result<String, Unreadable> {
    let charset = content::parameter(content_type, "charset");
    if charset.is_none_or(|label| label.eq_ignore_ascii_case("utf-8"))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Ok(text.to_owned());
    }
    let encoding = match charset {
        None => encoding_rs::UTF_8,
        // What msrplib calls it.
        Some(label) if label.eq_ignore_ascii_case("utf8") => encoding_rs::UTF_8,
        Some(label) => encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .ok_or(Unreadable::Charset)?,
    };
    Ok(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(content_type: &str, body: &[u8]) -> Result<String, Unreadable> {
        read(Some(content_type), &Bytes::copy_from_slice(body)).map(|content| text(content).body)
    }

    fn text(content: Content) -> Text {
        match content {
            Content::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_in_the_character_set_it_names() {
        // IM-13
        assert_eq!(
            read_text("text/plain", "günü 🎭".as_bytes()).as_deref(),
            Ok("günü 🎭")
        );
        assert_eq!(
            read_text("Text/Plain; charset=ISO-8859-1", b"g\xfcn").as_deref(),
            Ok("gün")
        );
        assert_eq!(
            read_text("text/plain;charset=\"utf8\"", "ü".as_bytes()).as_deref(),
            Ok("ü")
        );
        assert_eq!(
            read_text("text/plain;charset=UTF-8", b"a\xffb").as_deref(),
            Ok("a\u{fffd}b")
        );
        assert_eq!(
            read_text("text/plain;charset=klingon", b"x"),
            Err(Unreadable::Charset)
        );
    }

    #[test]
    fn what_is_no_text_is_refused() {
        // IM-12, CHAT-35
        assert_eq!(read_text("image/png", b"x"), Err(Unreadable::Type));
        assert_eq!(
            read_text("message/cpim", b"no headers here"),
            Err(Unreadable::Cpim)
        );
    }

    #[test]
    fn cpim_there_and_back() {
        // MSRP-23, T13
        let juliet: Uri = "sip:juliet@example.com;gr=balcony".parse().unwrap();
        let romeo: Uri = "sip:romeo@example.net".parse().unwrap();
        let body = "Art thou not Romeo? <&> 🎭\r\n".to_owned();
        let wrapped = cpim(
            &juliet,
            &romeo,
            SystemTime::UNIX_EPOCH,
            Some("Wherefore".to_owned()),
            "text/plain; charset=utf-8",
            body,
        )
        .wrap();
        let text = text(read(Some("message/cpim"), &wrapped).unwrap());
        assert_eq!(text.body, "Art thou not Romeo? <&> 🎭\r\n");
        assert_eq!(text.subject.as_deref(), Some("Wherefore"));
        assert!(wrapped.starts_with(b"From: <sip:juliet@example.com;gr=balcony>\r\n"));
    }
}
