//! What the user of the endpoint asks for about subscriptions.

use super::command::{InviteId, LocalContact};
use crate::refer::{ReferSub, ReferTo, ReferredBy};
use crate::{EventPackage, Name, NameAddr, Uri};

/// One subscription, ours or a peer's, or one REFER and what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(u64);

impl SubscriptionId {
    /// The id of a subscription of either side. The caller counts `number` up and never uses one twice.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A subscription to be asked for, in a dialog of its own.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// The Request-URI.
    pub target: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To, without tag.
    pub to: NameAddr,
    /// Our Contact.
    pub contact: LocalContact,
    /// What is watched.
    pub event: EventPackage,
    /// Seconds; 0: the state is asked for once. RFC 6665 §4.4.3.
    pub expires: u32,
    /// Further fields of each SUBSCRIBE, such as Accept.
    pub headers: Vec<(Name, String)>,
}

impl Subscribe {
    /// A subscription for one hour.
    pub fn new(
        target: Uri,
        from: NameAddr,
        to: NameAddr,
        contact: LocalContact,
        event: EventPackage,
    ) -> Self {
        Self {
            target,
            from,
            to,
            contact,
            event,
            expires: 3600,
            headers: Vec::new(),
        }
    }
}

/// A REFER to be sent.
#[derive(Clone, Debug)]
pub struct Refer {
    /// Where it is sent.
    pub place: ReferPlace,
    /// Whom the receiver is to contact.
    pub refer_to: ReferTo,
    /// Who refers.
    pub referred_by: Option<ReferredBy>,
    /// Whether we want to be told what comes of it.
    pub subscription: ReferSub,
    /// Further fields.
    pub headers: Vec<(Name, String)>,
}

/// Where a REFER is sent.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is made once for each REFER and taken apart at once"
)]
pub enum ReferPlace {
    /// In the dialog of a session.
    In(InviteId),
    /// In a dialog of its own.
    Outside {
        /// The Request-URI.
        target: Uri,
        /// From, without tag.
        from: NameAddr,
        /// To, without tag.
        to: NameAddr,
        /// Our Contact.
        contact: LocalContact,
    },
}

impl Refer {
    /// The fields of the REFER.
    pub(super) fn fields(&self) -> Vec<(Name, String)> {
        let mut fields = vec![(Name::ReferTo, self.refer_to.to_string())];
        if let Some(referred_by) = &self.referred_by {
            fields.push((Name::ReferredBy, referred_by.to_string()));
        }
        if self.subscription == ReferSub::Unwanted {
            fields.push((Name::ReferSub, "false".to_owned()));
            fields.push((Name::Supported, "norefersub".to_owned()));
        }
        fields.extend(self.headers.iter().cloned());
        fields
    }
}
