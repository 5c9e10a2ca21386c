//! Disposition notifications: what became of a message that travelled in CPIM. RFC 5438.
//!
//! The sender asks with headers of the CPIM message ([`ask`]), the recipient keeps the [`Request`] and answers it
//! with CPIM messages whose content is an [`Imdn`].
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use stox_msrp::{Ident, cpim, imdn::{self, Delivery, Imdn, Notification, Request, Wishes}};
//!
//! let mut rng = StdRng::seed_from_u64(1);
//! let mut message = cpim::Message {
//!     from: Some("Alice <im:alice@example.com>".parse()?),
//!     to: vec!["Bob <im:bob@example.com>".parse()?],
//!     date_time: Some("2006-04-04T12:16:49-05:00".to_owned()),
//!     body: "Hello World".into(),
//!     ..cpim::Message::default()
//! };
//! let id = Ident::random(&mut rng);
//! imdn::ask(&mut message, id, Wishes { positive_delivery: true, ..Wishes::default() });
//!
//! // Bob's side, when his user has got it:
//! let mut request = Request::of(&message).expect("it asks for something");
//! let delivered = Notification::Delivery(Delivery::Delivered);
//! let answer = request.answer(delivered, Ident::random(&mut rng)).expect("it asks for this");
//!
//! // Alice's side:
//! assert_eq!(answer.to, vec!["Alice <im:alice@example.com>".parse()?]);
//! let notification = Imdn::parse(&answer.body)?;
//! assert_eq!(notification.message_id, id.as_str());
//! assert_eq!(notification.notification, delivered);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;
mod request;

pub use document::{Imdn, ImdnError};
pub use request::{Request, ask, is_notification};

/// The media type of the documents.
pub const MEDIA_TYPE: &str = "message/imdn+xml";

/// The namespace of the CPIM headers. RFC 5438 §6.1.
pub const NAMESPACE: &str = "urn:ietf:params:imdn";

/// What a notification tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// Whether the message reached its recipient.
    Delivery(Delivery),
    /// What somebody on the way did with it. Recipients never say this.
    Processing(Processing),
    /// Whether it was shown to the user.
    Display(Display),
}

/// Whether a message reached its recipient. RFC 5438 §5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It did.
    Delivered,
    /// It did not.
    Failed,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// What somebody on the way did with a message. RFC 5438 §5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processing {
    /// What was to be done.
    Processed,
    /// Kept it for later.
    Stored,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// Whether a message was shown to the user. RFC 5438 §5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// It was.
    Displayed,
    /// The sender may not know.
    Forbidden,
    /// Nobody knows.
    Error,
}

/// Which notifications a sender wants: the values of `Disposition-Notification`. RFC 5438 §7.1.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Of success.
    pub positive_delivery: bool,
    /// Of failure.
    pub negative_delivery: bool,
    /// Of what is done on the way.
    pub processing: bool,
    /// Of its display to the user.
    pub display: bool,
}

impl Wishes {
    /// Whether that notification is wanted. That the sender may not know, or that nobody does, answers the wish for
    /// success as well as that for failure.
    pub fn include(&self, notification: Notification) -> bool {
        match notification {
            Notification::Delivery(Delivery::Delivered) => self.positive_delivery,
            Notification::Delivery(Delivery::Failed) => self.negative_delivery,
            Notification::Delivery(Delivery::Forbidden | Delivery::Error) => {
                self.positive_delivery || self.negative_delivery
            }
            Notification::Processing(_) => self.processing,
            Notification::Display(_) => self.display,
        }
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Wishes::default()
    }

    /// Forgets the wish that the notification answers: for delivery success and failure are one. RFC 5438 §7.2.1.
    fn remove(&mut self, notification: Notification) {
        match notification {
            Notification::Delivery(_) => {
                self.positive_delivery = false;
                self.negative_delivery = false;
            }
            Notification::Processing(_) => self.processing = false,
            Notification::Display(_) => self.display = false,
        }
    }
}
