//! Asking for notifications, and answering who asks: the CPIM headers. RFC 5438 §6, §7.

use super::{Imdn, MEDIA_TYPE, NAMESPACE, Notification, Wishes};
use crate::{
    Ident, content,
    cpim::{Address, Extension, Message, Name},
};

/// What must be kept of a message to answer its wishes, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    message_id: String,
    date_time: Option<String>,
    sender: Address,
    recipient: Option<Address>,
    original_to: Option<Address>,
    record_route: Vec<String>,
    wishes: Wishes,
}

/// Asks for notifications about a message. It must have `date_time`, which they repeat; the id is what they name it by.
/// RFC 5438 §7.1.1.
pub fn ask(message: &mut Message, id: Ident, wishes: Wishes) {
    let values: Vec<&str> = [
        (wishes.positive_delivery, "positive-delivery"),
        (wishes.negative_delivery, "negative-delivery"),
        (wishes.processing, "processing"),
        (wishes.display, "display"),
    ]
    .into_iter()
    .filter_map(|(is_wanted, value)| is_wanted.then_some(value))
    .collect();
    message
        .extensions
        .push(header("Message-ID", id.to_string()));
    if !values.is_empty() {
        let values = values.join(", ");
        message
            .extensions
            .push(header("Disposition-Notification", values));
    }
}

/// Whether the message is a notification, by its content's type. RFC 5438 §9.
pub fn is_notification(message: &Message) -> bool {
    let content_type = message.content_type.as_deref();
    content_type.is_some_and(|content_type| content::is_type(content_type, MEDIA_TYPE))
}

impl Request {
    /// Bytes of an id or URI that is kept until the answer.
    const LONGEST_VALUE: usize = 1024;
    const MOST_ROUTES: usize = 16;

    /// What the message asks for. `None` if it asks for nothing or cannot be answered: it has no id, nobody wrote it,
    /// it is a notification itself, or its headers are longer than anybody's.
    pub fn of(message: &Message) -> Option<Request> {
        if is_notification(message) {
            return None;
        }
        let wishes = wishes_of(message);
        let request = Request {
            message_id: message.extension(NAMESPACE, "Message-ID")?.to_owned(),
            date_time: message.date_time.clone(),
            sender: message.from.clone()?,
            recipient: message.to.first().cloned(),
            original_to: message
                .extension(NAMESPACE, "Original-To")
                .and_then(|value| value.parse().ok()),
            record_route: record_route(message),
            wishes,
        };
        let is_answerable = !wishes.is_empty() && !request.message_id.is_empty();
        (is_answerable && request.is_small()).then_some(request)
    }

    /// The sender's name for the message.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// What has not been answered yet.
    pub fn wishes(&self) -> Wishes {
        self.wishes
    }

    /// The message that carries the notification back: to the sender, by the way the message came, under an id of its
    /// own. `None` if it was not asked for, or if the same kind was answered already (RCPT-11). RFC 5438 §7.2.1.
    pub fn answer(&mut self, notification: Notification, id: Ident) -> Option<Message> {
        if !self.wishes.include(notification) {
            return None;
        }
        self.wishes.remove(notification);
        let recipient_uri = self.recipient.as_ref().map(|address| address.uri.clone());
        let original_to = self.original_to.as_ref();
        let document = Imdn {
            message_id: self.message_id.clone(),
            date_time: self.date_time.clone(),
            original_recipient_uri: original_to.map(|address| address.uri.clone()),
            recipient_uri,
            notification,
        };
        let mut extensions = vec![header("Message-ID", id.to_string())];
        let routes = self.record_route.iter();
        extensions.extend(routes.map(|route| header("IMDN-Route", route.clone())));
        Some(Message {
            from: self.recipient.clone(),
            to: vec![self.sender.clone()],
            extensions,
            content_type: Some(MEDIA_TYPE.to_owned()),
            content_headers: vec![("Content-Disposition".to_owned(), "notification".to_owned())],
            body: document.to_xml().into(),
            ..Message::default()
        })
    }

    fn is_small(&self) -> bool {
        let uris = [
            Some(&self.sender),
            self.recipient.as_ref(),
            self.original_to.as_ref(),
        ];
        let parties = uris
            .into_iter()
            .flatten()
            .flat_map(|address| [Some(address.uri.as_str()), address.name.as_deref()]);
        let mut values = parties
            .flatten()
            .chain(self.record_route.iter().map(String::as_str))
            .chain([self.message_id.as_str()])
            .chain(self.date_time.as_deref());
        values.all(|value| value.len() <= Request::LONGEST_VALUE)
            && self.record_route.len() <= Request::MOST_ROUTES
    }
}

/// Unknown values and parameters are passed over.
fn wishes_of(message: &Message) -> Wishes {
    let mut wishes = Wishes::default();
    for extension in headers(message, "Disposition-Notification") {
        for value in extension.value.split(',') {
            match value.split(';').next().unwrap_or_default().trim() {
                "positive-delivery" => wishes.positive_delivery = true,
                "negative-delivery" => wishes.negative_delivery = true,
                "processing" => wishes.processing = true,
                "display" => wishes.display = true,
                _ => {}
            }
        }
    }
    wishes
}

/// The last on the way first, as written.
fn record_route(message: &Message) -> Vec<String> {
    headers(message, "IMDN-Record-Route")
        .map(|extension| extension.value.clone())
        .collect()
}

fn headers<'a>(message: &'a Message, name: &'a str) -> impl Iterator<Item = &'a Extension> {
    message.extensions.iter().filter(move |extension| {
        extension.name.namespace == NAMESPACE && extension.name.name == name
    })
}

fn header(name: &str, value: String) -> Extension {
    Extension {
        name: Name {
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
        },
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imdn::{Delivery, Display, Processing};
    use bytes::Bytes;

    const DELIVERED: Notification = Notification::Delivery(Delivery::Delivered);
    const FAILED: Notification = Notification::Delivery(Delivery::Failed);
    const DISPLAYED: Notification = Notification::Display(Display::Displayed);

    fn message(headers: &str) -> Message {
        let text = format!(
            "From: Alice <im:alice@example.com>\r\nTo: Bob <im:bob@example.com>\r\n\
             NS: imdn <urn:ietf:params:imdn>\r\n{headers}DateTime: 2006-04-04T12:16:49-05:00\r\n\r\n\
             Content-type: text/plain\r\nContent-length: 12\r\n\r\nHello World"
        );
        Message::parse(&Bytes::from(text)).unwrap()
    }

    fn id() -> Ident {
        Ident::new(b"d834jied93rf").unwrap()
    }

    // RCPT-11, T15; RFC 5438 §7.1.1.3, §7.2.1.1
    #[test]
    fn the_example_of_the_rfc_is_answered() {
        let asking = message(
            "imdn.Message-ID: 34jk324j\r\nimdn.Disposition-Notification: positive-delivery, negative-delivery\r\n",
        );
        let mut request = Request::of(&asking).unwrap();
        let answer = request.answer(DELIVERED, id()).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&answer.wrap()),
            "From: \"Bob\" <im:bob@example.com>\r\nTo: \"Alice\" <im:alice@example.com>\r\n\
             NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: d834jied93rf\r\n\r\n\
             Content-Disposition: notification\r\nContent-Type: message/imdn+xml\r\n\r\n\
             <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\
             <message-id>34jk324j</message-id><datetime>2006-04-04T12:16:49-05:00</datetime>\
             <recipient-uri>im:bob@example.com</recipient-uri>\
             <original-recipient-uri>im:bob@example.com</original-recipient-uri>\
             <delivery-notification><status><delivered/></status></delivery-notification></imdn>"
        );
        assert!(is_notification(&answer));
    }

    // RCPT-11: exactly one per kind.
    #[test]
    fn each_kind_is_answered_once_and_only_if_asked_for() {
        let asking = message(
            "imdn.Message-ID: m1\r\nimdn.Disposition-Notification: display;x=y , negative-delivery,sniff\r\n",
        );
        let mut request = Request::of(&asking).unwrap();
        assert_eq!(request.answer(DELIVERED, id()), None);
        let processed = Notification::Processing(Processing::Processed);
        assert_eq!(request.answer(processed, id()), None);
        assert!(request.answer(FAILED, id()).is_some());
        let forbidden = Notification::Delivery(Delivery::Forbidden);
        assert_eq!(request.answer(forbidden, id()), None);
        assert!(request.answer(DISPLAYED, id()).is_some());
        assert_eq!(request.answer(DISPLAYED, id()), None);
        assert!(request.wishes().is_empty());
    }

    // RCPT-11, T15: a refusal answers the wish for success too.
    #[test]
    fn success_and_failure_are_one_kind() {
        for wish in ["positive-delivery", "negative-delivery"] {
            let asking = message(&format!(
                "imdn.Message-ID: m1\r\nimdn.Disposition-Notification: {wish}\r\n"
            ));
            let mut request = Request::of(&asking).unwrap();
            let forbidden = Notification::Delivery(Delivery::Forbidden);
            assert!(request.answer(forbidden, id()).is_some(), "{wish}");
            assert_eq!(request.answer(DELIVERED, id()), None, "{wish}");
            assert_eq!(request.answer(FAILED, id()), None, "{wish}");
        }
    }

    // RCPT-11; RFC 5438 §6.4, §6.6
    #[test]
    fn answers_go_back_the_way_the_message_came() {
        let asking = message(
            "imdn.Message-ID: m1\r\nimdn.Disposition-Notification: display\r\n\
             imdn.Original-To: <im:list@example.com>\r\n\
             imdn.IMDN-Record-Route: <im:second@example.org>\r\n\
             imdn.IMDN-Record-Route: First <im:first@example.net>\r\n",
        );
        let answer = Request::of(&asking)
            .unwrap()
            .answer(DISPLAYED, id())
            .unwrap();
        let routes: Vec<&str> = headers(&answer, "IMDN-Route")
            .map(|route| route.value.as_str())
            .collect();
        assert_eq!(
            routes,
            ["<im:second@example.org>", "First <im:first@example.net>"]
        );
        let document = Imdn::parse(&answer.body).unwrap();
        assert_eq!(
            document.recipient_uri.as_deref(),
            Some("im:bob@example.com")
        );
        assert_eq!(
            document.original_recipient_uri.as_deref(),
            Some("im:list@example.com")
        );
    }

    // RCPT-11: none for an IMDN; RFC 5438 §7.2.1.
    #[test]
    fn notifications_and_who_cannot_be_answered_ask_for_nothing() {
        let asking = "imdn.Message-ID: m1\r\nimdn.Disposition-Notification: positive-delivery\r\n";
        let mut notification = message(asking);
        notification.content_type = Some("Message/IMDN+xml; charset=utf-8".to_owned());
        let mut nobody = message(asking);
        nobody.from = None;
        let mut long = message(asking);
        long.to[0].uri = format!("im:{}", "b".repeat(2000));
        let many_routes = "imdn.IMDN-Record-Route: <im:a@example.com>\r\n".repeat(17);
        for (message, what) in [
            (notification, "a notification"),
            (nobody, "nobody's"),
            (long, "a long name"),
            (message(""), "nothing"),
            (message("imdn.Message-ID: m1\r\n"), "no wish"),
            (
                message("imdn.Message-ID: m1\r\nimdn.Disposition-Notification:\r\n"),
                "an empty wish",
            ),
            (
                message("imdn.Disposition-Notification: display\r\n"),
                "no id",
            ),
            (
                message(&asking.replace("imdn.", "")),
                "headers of CPIM itself",
            ),
            (message(&format!("{asking}{many_routes}")), "many routes"),
        ] {
            assert_eq!(Request::of(&message), None, "{what}");
        }
    }

    // RCPT-12, T15
    #[test]
    fn who_asks_is_understood() {
        let wishes = Wishes {
            positive_delivery: true,
            display: true,
            ..Wishes::default()
        };
        let mut asking = message("");
        ask(&mut asking, id(), wishes);
        let written = asking.wrap();
        assert!(String::from_utf8_lossy(&written).contains(
            "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: d834jied93rf\r\n\
             imdn.Disposition-Notification: positive-delivery, display\r\n"
        ));
        let request = Request::of(&Message::parse(&written).unwrap()).unwrap();
        assert_eq!(request.wishes(), wishes);
        assert_eq!(request.message_id(), "d834jied93rf");
    }
}
