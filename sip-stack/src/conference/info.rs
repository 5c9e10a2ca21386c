//! What a document says. RFC 4575 §5.

/// A conference information document. RFC 4575 §5.2.
///
/// Where it says `Option`, `None` is an element or attribute that is not there: in a partial document, one that has not
/// changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConferenceInfo {
    /// The conference's URI as the focus writes it. Some foci name another one than that which was subscribed to.
    pub entity: String,
    /// Whether it is the whole state, what has changed, or the end of the conference.
    pub state: ElementState,
    /// Counts the documents of one subscription that tell of a change. RFC 4575 §5.2 wants it in each; some leave it out.
    pub version: Option<u32>,
    /// What the conference is about.
    pub description: Option<Description>,
    /// What is true of the conference as a whole.
    pub conference_state: Option<ConferenceState>,
    /// Whether [`users`](Self::users) are all there are. `Partial` in a document that says nothing of users.
    pub users_state: ElementState,
    /// The users, in the order of the document; no two with the same entity unless the focus erred.
    pub users: Vec<User>,
}

/// What an element is with respect to what was told before. RFC 4575 §4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ElementState {
    /// All of it: what was known before is replaced.
    #[default]
    Full,
    /// What has changed.
    Partial,
    /// It is no more.
    Deleted,
}

/// What the conference is about. RFC 4575 §5.3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// A name for people.
    pub display_text: Option<String>,
    /// The subject; empty if there is none now.
    pub subject: Option<String>,
    /// A longer description.
    pub free_text: Option<String>,
}

/// What is true of the conference as a whole. RFC 4575 §5.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConferenceState {
    /// How many users take part; more than are listed, perhaps.
    pub user_count: Option<u32>,
    /// Whether it can be joined now.
    pub active: Option<bool>,
    /// Whether nobody else is let in.
    pub locked: Option<bool>,
}

/// Somebody who takes part. RFC 4575 §5.6.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The key: a URI, compared letter by letter (RFC 4575 §4.5).
    pub entity: String,
    /// Whether it is all that is known of the user, what has changed, or that the user has left.
    pub state: ElementState,
    /// A name for people; never empty when it was read.
    pub display_text: Option<String>,
    /// The attribute `xcon:nickname`; never empty when it was read. RFC 7701 §9.6.
    pub nickname: Option<String>,
    /// Further URIs of the user. RFC 4575 §5.6.2.
    pub associated_aors: Vec<String>,
    /// What the user may do, in words without a fixed meaning. RFC 4575 §5.6.3.
    pub roles: Vec<String>,
    /// The devices that take part; many foci tell of none. RFC 4575 §5.6.6.
    pub endpoints: Vec<Endpoint>,
}

/// A device or session of a user. RFC 4575 §5.7.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// The key among the endpoints of its user: a Contact, mostly.
    pub entity: String,
    /// Whether it is all that is known of the endpoint, what has changed, or that it is gone.
    pub state: ElementState,
    /// A name for people.
    pub display_text: Option<String>,
    /// How far it is in the conference.
    pub status: Option<EndpointStatus>,
    /// How it left.
    pub disconnection_method: Option<DisconnectionMethod>,
    /// Its media streams.
    pub media: Vec<Media>,
}

/// How far an endpoint is in the conference. RFC 4575 §5.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointStatus {
    /// Expected soon.
    Pending,
    /// The focus calls it.
    DialingOut,
    /// It calls, and is not let in yet.
    DialingIn,
    /// It rings.
    Alerting,
    /// It takes part and hears nothing.
    OnHold,
    /// It takes part.
    Connected,
    /// It takes part and is not heard.
    MutedViaFocus,
    /// It is leaving.
    Disconnecting,
    /// It has left.
    Disconnected,
}

/// How an endpoint left. RFC 4575 §5.7.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectionMethod {
    /// By itself.
    Departed,
    /// The focus put it out.
    Booted,
    /// It could not be reached, or could not get in.
    Failed,
    /// It was busy, or the focus was.
    Busy,
}

/// A media stream of an endpoint. RFC 4575 §5.8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// The key among the media of its endpoint.
    pub id: String,
    /// The element `type`: a media type of SDP, `message`.
    pub kind: Option<String>,
    /// Which way it flows, seen from the endpoint.
    pub status: Option<MediaStatus>,
}

/// Which way a media stream flows. RFC 4575 §5.8.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaStatus {
    /// To the endpoint.
    RecvOnly,
    /// From the endpoint.
    SendOnly,
    /// Both ways.
    SendRecv,
    /// Neither way.
    Inactive,
}

impl User {
    /// A user of whom nothing else is known.
    pub fn new(entity: impl Into<String>) -> User {
        User {
            entity: entity.into(),
            ..User::default()
        }
    }

    /// What tells that a user has left.
    pub fn deleted(entity: impl Into<String>) -> User {
        User {
            state: ElementState::Deleted,
            ..User::new(entity)
        }
    }
}

impl ElementState {
    pub(super) const ALL: [ElementState; 3] = [Self::Full, Self::Partial, Self::Deleted];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Deleted => "deleted",
        }
    }
}

impl EndpointStatus {
    pub(super) const ALL: [EndpointStatus; 9] = [
        Self::Pending,
        Self::DialingOut,
        Self::DialingIn,
        Self::Alerting,
        Self::OnHold,
        Self::Connected,
        Self::MutedViaFocus,
        Self::Disconnecting,
        Self::Disconnected,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::DialingOut => "dialing-out",
            Self::DialingIn => "dialing-in",
            Self::Alerting => "alerting",
            Self::OnHold => "on-hold",
            Self::Connected => "connected",
            Self::MutedViaFocus => "muted-via-focus",
            Self::Disconnecting => "disconnecting",
            Self::Disconnected => "disconnected",
        }
    }
}

impl DisconnectionMethod {
    pub(super) const ALL: [DisconnectionMethod; 4] =
        [Self::Departed, Self::Booted, Self::Failed, Self::Busy];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Departed => "departed",
            Self::Booted => "booted",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }
}

impl MediaStatus {
    pub(super) const ALL: [MediaStatus; 4] = [
        Self::RecvOnly,
        Self::SendOnly,
        Self::SendRecv,
        Self::Inactive,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RecvOnly => "recvonly",
            Self::SendOnly => "sendonly",
            Self::SendRecv => "sendrecv",
            Self::Inactive => "inactive",
        }
    }
}
