//! What a message of an XMPP user's means for a SIP user, in words that any SIP client can show.

use std::sync::Arc;

use roxmltree::Document;

use crate::fault::{Condition, Fault};
use crate::translate::promise::Origin;
use crate::translate::{Event, Kind, Mark, Wishes, Written};
use crate::xmpp::{Marker, Message, MessageType, Payload, Receipt};

/// Bytes of the longest thread that counts as one.
const THREAD: usize = 1024;

const CORRECTION: &str = "urn:xmpp:message-correct:0";
const REACTIONS: &str = "urn:xmpp:reactions:0";
const OUT_OF_BAND: &str = "jabber:x:oob";
const CARBONS: &str = "urn:xmpp:carbons:2";

/// What only the devices it is encrypted for can read: elements and their namespaces. XEP-0384, XEP-0373, XEP-0027,
/// XEP-0380.
const ENCRYPTED: [(&str, &str); 5] = [
    ("eu.siacs.conversations.axolotl", "encrypted"),
    ("urn:xmpp:omemo:2", "encrypted"),
    ("urn:xmpp:openpgp:0", "openpgp"),
    ("jabber:x:encrypted", "x"),
    ("urn:xmpp:eme:0", "encryption"),
];

/// What a message means for a conversation; `None` for one that carries nothing for the SIP side (IM-18).
///
/// # Errors
/// The message cannot be handed on as it is meant: it goes back with this fault.
pub fn event_of(message: &Message) -> Result<Option<Event>, Fault> {
    let kind = match message.kind {
        MessageType::Error => return Ok(bounce_of(message)),
        MessageType::Chat => Kind::Chat,
        // A room message to somebody who is no room stands alone, like any other.
        MessageType::Normal | MessageType::Headline | MessageType::Groupchat => Kind::Single,
    };
    // A copy of what somebody else was sent is for nobody here (XEP-0280 §11).
    if message.payloads.iter().any(is_carbon) {
        return Ok(None);
    }
    let thread = || {
        let thread = message.thread.as_ref().map(|thread| thread.id.clone());
        thread.filter(|thread| thread.len() <= THREAD)
    };
    if let Some((body, lang)) = words_of(message)? {
        return Ok(Some(Event::Written(Written {
            origin: Arc::new(Origin {
                from: message.from.clone(),
                to: message.to.clone(),
                id: message.id.clone(),
                thread: thread(),
                entry: None,
            }),
            kind,
            body,
            subject: message
                .subject()
                .map(|subject| subject.text.clone())
                .filter(|text| !text.is_empty()),
            lang,
            chat_state: message.chat_state,
            wishes: wishes_of(message),
            sent: message.delay.as_ref().map(|delay| delay.stamp),
        })));
    }
    if let Some((id, mark)) = mark_of(message) {
        return Ok(Some(Event::Receipted {
            id: id.to_owned(),
            mark,
            sent: message.delay.as_ref().map(|delay| delay.stamp),
        }));
    }
    Ok(message.chat_state.map(|state| Event::Stated {
        thread: thread(),
        state,
    }))
}

fn bounce_of(message: &Message) -> Option<Event> {
    let error = message.error.clone().unwrap_or_default();
    let fault = Fault::from_stanza(
        Some(&error.kind),
        Some(&error.condition),
        error.text.as_deref(),
    );
    let fault = match error.address {
        Some(address) => fault.with_address(address),
        None => fault,
    };
    Some(Event::Bounced {
        id: message.id.clone()?,
        fault,
    })
}

/// The text for the SIP user, and its language.
pub(crate) fn words_of(message: &Message) -> Result<Option<(String, Option<String>)>, Fault> {
    let body = message.body().filter(|body| !body.text.is_empty());
    let lang = body.and_then(|body| body.lang.clone());
    let body = body.map(|body| body.text.as_str());
    // The plain message: nothing else to be looked at.
    if message.payloads.is_empty() {
        return Ok(body.map(|body| (body.to_owned(), lang)));
    }
    if message.payloads.iter().any(is_encrypted) {
        return match body {
            // What its author wrote is not what a body says that is written by a program (SEC-16).
            Some(_) => Err(Fault::new(Condition::NotAcceptable)
                .with_text("SIP users cannot read encrypted messages: send this one unencrypted")),
            None => Ok(None),
        };
    }
    let link = message.payload(OUT_OF_BAND, "x").and_then(link_of);
    let words = match (body, link) {
        (Some(body), Some(link)) if !body.contains(&link) => Some(format!("{body}\n{link}")),
        (Some(body), _) if message.payload(CORRECTION, "replace").is_some() => {
            Some(format!("Correction: {body}"))
        }
        (Some(body), _) => Some(body.to_owned()),
        (None, Some(link)) => Some(link),
        (None, None) => message
            .payload(REACTIONS, "reactions")
            .and_then(reactions_of),
    };
    Ok(words.map(|words| (words, lang)))
}

/// Without an id there is nothing that a receipt could name; of room messages there are none (RCPT-13).
fn wishes_of(message: &Message) -> Wishes {
    if message.id.is_none() || message.kind == MessageType::Groupchat {
        return Wishes::default();
    }
    Wishes {
        receipt: message.receipt == Some(Receipt::Requested),
        display: message.marker == Some(Marker::Markable),
    }
}

fn mark_of(message: &Message) -> Option<(&str, Mark)> {
    if message.kind == MessageType::Groupchat {
        return None;
    }
    match (&message.marker, &message.receipt) {
        (Some(Marker::Displayed(id)), _) => Some((id, Mark::Displayed)),
        (_, Some(Receipt::Received(id))) | (Some(Marker::Received(id)), _) => {
            Some((id, Mark::Received))
        }
        _ => None,
    }
}

fn is_carbon(payload: &Payload) -> bool {
    payload.namespace == CARBONS && matches!(payload.name.as_str(), "sent" | "received")
}

fn is_encrypted(payload: &Payload) -> bool {
    ENCRYPTED
        .iter()
        .any(|(namespace, name)| payload.namespace == *namespace && payload.name == *name)
}

/// Where a file is to be found. XEP-0066 §3, XEP-0363.
fn link_of(payload: &Payload) -> Option<String> {
    let document = Document::parse(&payload.xml).ok()?;
    let children = document.root_element().children();
    let mut urls = children.filter(|child| child.has_tag_name((OUT_OF_BAND, "url")));
    let url = urls.next()?.text()?.trim();
    (!url.is_empty()).then(|| url.to_owned())
}

/// What somebody feels about an earlier message; nothing where they feel nothing any more. XEP-0444 §3.
fn reactions_of(payload: &Payload) -> Option<String> {
    let document = Document::parse(&payload.xml).ok()?;
    let children = document.root_element().children();
    let reactions = children.filter(|child| child.has_tag_name((REACTIONS, "reaction")));
    let mut words = "Reaction:".to_owned();
    for reaction in reactions.filter_map(|reaction| reaction.text()) {
        words.push(' ');
        words.push_str(reaction.trim());
    }
    (words.len() > "Reaction:".len()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::{Stanza, reread};

    fn read(inner: &str) -> Result<Option<Event>, Fault> {
        read_as("chat", inner)
    }

    fn read_as(kind: &str, inner: &str) -> Result<Option<Event>, Fault> {
        let stanza = format!(
            "<message from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' id='m1' \
             type='{kind}'>{inner}</message>"
        );
        match reread("sip.example.com", stanza.as_bytes()) {
            Some(Stanza::Message(message)) => event_of(&message),
            other => panic!("{other:?}"),
        }
    }

    fn written(inner: &str) -> Written {
        match read(inner) {
            Ok(Some(Event::Written(written))) => written,
            other => panic!("{other:?}"),
        }
    }

    // CHAT-35 IM-11, XEP-0308, XEP-0444, XEP-0461, XEP-0066
    #[test]
    fn what_has_no_form_in_sip_is_said_in_words() {
        for (inner, words) in [
            ("<body>text</body>", "text"),
            (
                "<body>text</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>",
                "Correction: text",
            ),
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👍</reaction><reaction>🎭</reaction></reactions>",
                "Reaction: 👍 🎭",
            ),
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👍</reaction></reactions><body>liked it</body>",
                "liked it",
            ),
            (
                "<body>&gt; earlier words\nmy answer</body><reply xmlns='urn:xmpp:reply:0' to='a@b' id='m0'/>\
                 <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='16'/></fallback>",
                "> earlier words\nmy answer",
            ),
            (
                "<x xmlns='jabber:x:oob'><url>https://example.com/a.png</url></x>",
                "https://example.com/a.png",
            ),
            (
                "<body>https://example.com/a.png</body><x xmlns='jabber:x:oob'><url>https://example.com/a.png</url></x>",
                "https://example.com/a.png",
            ),
            (
                "<body>look</body><x xmlns='jabber:x:oob'><url>https://example.com/a.png</url></x>",
                "look\nhttps://example.com/a.png",
            ),
            (
                "<body>plain</body><html xmlns='http://jabber.org/protocol/xhtml-im'>\
                 <body xmlns='http://www.w3.org/1999/xhtml'><p>rich</p></body></html>",
                "plain",
            ),
        ] {
            assert_eq!(written(inner).body, words, "{inner}");
        }
    }

    // IM-18
    #[test]
    fn what_says_nothing_goes_nowhere() {
        for inner in [
            "",
            "<body/>",
            "<subject>only this</subject>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='m0'/>",
            "<x xmlns='urn:unknown'>text</x>",
        ] {
            assert!(matches!(read(inner), Ok(None)), "{inner}");
        }
        assert!(matches!(
            read_as("error", "<body>text</body>"),
            Ok(Some(Event::Bounced { .. }))
        ));
    }

    // SEC-16
    #[test]
    fn what_is_encrypted_goes_back() {
        for encrypted in [
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AA==</payload></encrypted>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>",
            "<x xmlns='jabber:x:encrypted'>AA==</x>",
            "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:otr:0'/>",
        ] {
            let inner = format!("<body>I sent you an encrypted message</body>{encrypted}");
            let fault = read(&inner).unwrap_err();
            assert_eq!(fault.condition(), Condition::NotAcceptable, "{inner}");
            // Without words for anybody it is between programs.
            assert!(matches!(read(encrypted), Ok(None)), "{encrypted}");
        }
    }

    // SEC-12, XEP-0280 §11, XEP-0334
    #[test]
    fn copies_are_not_handed_on_and_hints_do_no_harm() {
        let copy = "<body>text</body><received xmlns='urn:xmpp:carbons:2'>\
            <forwarded xmlns='urn:xmpp:forward:0'/></received>";
        assert!(matches!(read(copy), Ok(None)));
        let hinted = "<body>text</body><private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/>\
            <no-store xmlns='urn:xmpp:hints'/>";
        assert_eq!(written(hinted).body, "text");
    }

    // RCPT-01 RCPT-13 RCPT-15
    #[test]
    fn receipts_and_markers() {
        let asked = "<body>text</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>";
        let both = Wishes {
            receipt: true,
            display: true,
        };
        assert_eq!(written(asked).wishes, both);
        let Ok(Some(Event::Written(in_room))) = read_as("groupchat", asked) else {
            panic!();
        };
        assert_eq!(in_room.wishes, Wishes::default());
        for (inner, expected) in [
            (
                "<received xmlns='urn:xmpp:receipts' id='x'/>",
                Some(Mark::Received),
            ),
            (
                "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>",
                Some(Mark::Displayed),
            ),
            (
                "<received xmlns='urn:xmpp:receipts' id='x'/><active xmlns='http://jabber.org/protocol/chatstates'/>",
                Some(Mark::Received),
            ),
            ("<received xmlns='urn:xmpp:receipts'/>", None),
        ] {
            match (read(inner), expected) {
                (
                    Ok(Some(Event::Receipted {
                        id,
                        mark,
                        sent: None,
                    })),
                    Some(expected),
                ) => {
                    assert_eq!((id.as_str(), mark), ("x", expected));
                }
                (Ok(None), None) => {}
                other => panic!("{inner}: {other:?}"),
            }
        }
        assert!(matches!(
            read_as("groupchat", "<received xmlns='urn:xmpp:receipts' id='x'/>"),
            Ok(None)
        ));
    }

    // IM-14
    #[test]
    fn the_body_in_the_language_of_the_stanza() {
        let both = written("<body xml:lang='de'>eins</body><body xml:lang='en'>one</body>");
        assert_eq!(
            (both.body.as_str(), both.lang.as_deref()),
            ("eins", Some("de"))
        );
    }

    // IM-15, XEP-0203
    #[test]
    fn when_it_was_written() {
        let late = written(
            "<body>text</body><delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:07Z'/>",
        );
        let sent = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7);
        assert_eq!(late.sent, Some(sent));
    }
}
