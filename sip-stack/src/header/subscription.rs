//! What subscriptions say in their header fields: Event and Subscription-State.

use std::fmt;

use super::WithParams;
use crate::grammar;
use crate::text::Text;

/// The event package of a subscription, and which of several with the same package in one dialog. Packages are compared byte
/// by byte, as are ids; a subscription without id differs from one with. RFC 6665 §8.2.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventPackage {
    /// The package with its templates: `presence`, `conference`, `presence.winfo`.
    pub name: Text,
    /// The `id`, a token.
    pub id: Option<Text>,
}

impl EventPackage {
    /// The package without id.
    pub fn new(name: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            id: None,
        }
    }

    /// The same with this id.
    pub fn with_id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Reads a value of Event; `None` if it is no token. Parameters other than `id` are left out.
    pub fn parse(text: &str) -> Option<Self> {
        Self::cut(&Text::from(text), text)
    }

    pub(crate) fn cut(source: &Text, text: &str) -> Option<Self> {
        let WithParams { value, params } = WithParams::cut(source, text)?;
        if !grammar::is_token(&value) {
            return None;
        }
        Some(Self {
            name: value,
            id: params.get("id").flatten().map(Text::from),
        })
    }
}

impl fmt::Display for EventPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.id {
            Some(id) => write!(f, ";id={id}"),
            None => Ok(()),
        }
    }
}

/// How a subscription stands, as its NOTIFY says. Times are in seconds. RFC 6665 §4.1.3, §8.2.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// Accepted, and allowed.
    Active {
        /// What is left of it.
        expires: Option<u32>,
    },
    /// Accepted; nobody has decided yet whether it is allowed.
    Pending {
        /// What is left of it.
        expires: Option<u32>,
    },
    /// Over.
    Terminated {
        /// Why.
        reason: Option<TerminationReason>,
        /// How long not to subscribe again.
        retry_after: Option<u32>,
    },
    /// A state this crate does not know: the subscription lives.
    Extension {
        /// The state.
        name: Text,
        /// What is left of it.
        expires: Option<u32>,
    },
}

/// Why a subscription is over. RFC 6665 §4.1.3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TerminationReason {
    /// To be subscribed anew at once, for example at another node.
    Deactivated,
    /// To be subscribed anew later.
    Probation,
    /// No longer allowed.
    Rejected,
    /// Not refreshed in time, or ended by the subscriber.
    Timeout,
    /// Nobody decided in time whether it is allowed.
    Giveup,
    /// What was watched is gone.
    NoResource,
    /// What is watched will not change.
    Invariant,
    /// A reason this crate does not know.
    Other(Text),
}

impl SubscriptionState {
    /// Over, for this reason.
    pub fn terminated(reason: TerminationReason) -> Self {
        Self::Terminated {
            reason: Some(reason),
            retry_after: None,
        }
    }

    /// Whether the subscription is over.
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Terminated { .. })
    }

    /// What is left of the subscription, in seconds, if that is said.
    pub fn expires(&self) -> Option<u32> {
        match self {
            Self::Active { expires } | Self::Pending { expires } => *expires,
            Self::Extension { expires, .. } => *expires,
            Self::Terminated { .. } => None,
        }
    }

    /// Reads a value of Subscription-State; `None` if it is no token. A parameter that is no number counts as missing.
    pub fn parse(text: &str) -> Option<Self> {
        Self::cut(&Text::from(text), text)
    }

    pub(crate) fn cut(source: &Text, text: &str) -> Option<Self> {
        let state = WithParams::cut(source, text)?;
        if !grammar::is_token(&state.value) {
            return None;
        }
        let seconds = |name: &str| {
            let value = state.params.get(name).flatten()?;
            grammar::decimal_saturating(value)
        };
        let expires = seconds("expires");
        Some(if state.is("active") {
            Self::Active { expires }
        } else if state.is("pending") {
            Self::Pending { expires }
        } else if state.is("terminated") {
            Self::Terminated {
                reason: state
                    .params
                    .get("reason")
                    .flatten()
                    .map(TerminationReason::of),
                retry_after: seconds("retry-after"),
            }
        } else {
            Self::Extension {
                name: state.value.clone(),
                expires,
            }
        })
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active { .. } => f.write_str("active")?,
            Self::Pending { .. } => f.write_str("pending")?,
            Self::Extension { name, .. } => f.write_str(name)?,
            Self::Terminated {
                reason,
                retry_after,
            } => {
                f.write_str("terminated")?;
                if let Some(reason) = reason {
                    write!(f, ";reason={}", reason.as_str())?;
                }
                if let Some(seconds) = retry_after {
                    write!(f, ";retry-after={seconds}")?;
                }
            }
        }
        match self.expires() {
            Some(seconds) => write!(f, ";expires={seconds}"),
            None => Ok(()),
        }
    }
}

impl TerminationReason {
    const KNOWN: [Self; 7] = [
        Self::Deactivated,
        Self::Probation,
        Self::Rejected,
        Self::Timeout,
        Self::Giveup,
        Self::NoResource,
        Self::Invariant,
    ];

    fn of(text: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|reason| text.eq_ignore_ascii_case(reason.as_str()))
            .unwrap_or_else(|| Self::Other(Text::from(text)))
    }

    /// The reason as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::NoResource => "noresource",
            Self::Invariant => "invariant",
            Self::Other(reason) => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIP-12
    #[test]
    fn event_ids_tell_subscriptions_apart() {
        let first = EventPackage::parse("refer ; id=93809823;x").unwrap();
        assert_eq!(first, EventPackage::new("refer").with_id("93809823"));
        assert_eq!(first.to_string(), "refer;id=93809823");
        assert_ne!(first, EventPackage::parse("refer").unwrap());
        assert_eq!(EventPackage::parse("a b"), None);
        assert_eq!(EventPackage::parse(""), None);
    }

    #[test]
    fn states_are_read_and_written() {
        for text in [
            "active;expires=3600",
            "pending",
            "terminated;reason=probation;retry-after=60",
            "terminated",
            "terminated;reason=unheard-of",
            "dormant;expires=5",
        ] {
            let state = SubscriptionState::parse(text).unwrap();
            assert_eq!(state.to_string(), text);
        }
        assert_eq!(
            SubscriptionState::parse("Active;Expires=-1"),
            Some(SubscriptionState::Active { expires: None })
        );
        assert_eq!(
            SubscriptionState::parse("terminated;reason=NoResource;expires=9"),
            Some(SubscriptionState::terminated(TerminationReason::NoResource))
        );
        assert_eq!(SubscriptionState::parse(";x"), None);
    }
}
