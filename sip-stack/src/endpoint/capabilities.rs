//! What we say of ourselves: Allow, Supported, Accept, Allow-Events, User-Agent and Server. None is written twice (SIP-17).
//! RFC 3261 §11.2, §13.2.1, §13.3.1.4; RFC 6665 §4.4.4.

use super::config::EndpointConfig;
use crate::subscription::Package;
use crate::{Headers, Method, Name, Request, Response, Status, Text};

/// The methods that are taken unless the configuration says otherwise. REGISTER and PUBLISH are not among them (SIP-06).
pub(super) const METHODS: [Method; 11] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Message,
    Method::Subscribe,
    Method::Notify,
    Method::Refer,
    Method::Update,
    Method::Prack,
];

/// The field values, ready to be written; a field without value is not written.
#[derive(Debug)]
pub(super) struct Capabilities {
    methods: Vec<Method>,
    supported: Vec<String>,
    accept: Vec<String>,
    allow_field: Option<Text>,
    supported_field: Option<Text>,
    accept_field: Option<Text>,
    allow_events_field: Option<Text>,
    user_agent_field: Option<Text>,
}

impl Capabilities {
    pub(super) fn new(config: &EndpointConfig) -> Self {
        Self {
            allow_field: list(config.allow.iter().map(Method::as_str)),
            supported_field: list(config.supported.iter().map(String::as_str)),
            accept_field: list(config.accept.iter().map(String::as_str)),
            allow_events_field: None,
            user_agent_field: list([config.user_agent.as_str()].into_iter()),
            methods: config.allow.clone(),
            supported: config.supported.clone(),
            accept: config.accept.clone(),
        }
    }

    /// Templates such as `presence.winfo` are not told. RFC 6665 §4.4.4.
    pub(super) fn set_packages(&mut self, packages: &[Package]) {
        let names = packages.iter().map(|package| package.name.as_str());
        self.allow_events_field = list(names.filter(|name| !name.contains('.')));
    }

    pub(super) fn takes(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    pub(super) fn supports(&self, option: &str) -> bool {
        self.supported
            .iter()
            .any(|supported| supported.eq_ignore_ascii_case(option))
    }

    /// The media types taken; empty: they are not looked at.
    pub(super) fn accepted_types(&self) -> &[String] {
        &self.accept
    }

    /// Adds what a request of ours tells, beside what the user wants it to.
    pub(super) fn tell_in_request(&self, request: &mut Request) {
        let makes_dialogs = matches!(
            request.method,
            Method::Invite | Method::Subscribe | Method::Refer
        );
        let headers = &mut request.headers;
        if makes_dialogs || matches!(request.method, Method::Update | Method::Register) {
            add(headers, Name::Allow, &self.allow_field);
            add_to_list(headers, Name::Supported, &self.supported_field);
        }
        if makes_dialogs {
            add(headers, Name::AllowEvents, &self.allow_events_field);
        }
        if request.method == Method::Options {
            add(headers, Name::Accept, &self.accept_field);
        }
        add(headers, Name::UserAgent, &self.user_agent_field);
    }

    /// Adds what a response to a request with that method tells, beside what the user wants it to.
    pub(super) fn tell_in_response(&self, method: &Method, response: &mut Response) {
        let (status, headers) = (response.status, &mut response.headers);
        let is_success = status.is_success();
        let asks_us = is_success && *method == Method::Options;
        if asks_us
            || is_success && *method == Method::Invite
            || status == Status::METHOD_NOT_ALLOWED
        {
            add(headers, Name::Allow, &self.allow_field);
        }
        if asks_us || is_success && *method == Method::Invite {
            add_to_list(headers, Name::Supported, &self.supported_field);
        }
        let makes_dialogs = matches!(method, Method::Invite | Method::Subscribe | Method::Refer);
        if asks_us || is_success && makes_dialogs {
            add(headers, Name::AllowEvents, &self.allow_events_field);
        }
        if asks_us || status == Status::UNSUPPORTED_MEDIA_TYPE {
            add(headers, Name::Accept, &self.accept_field);
        }
        if asks_us {
            add(
                headers,
                Name::AcceptEncoding,
                &Some(Text::from_static(IDENTITY)),
            );
        }
        add(headers, Name::Server, &self.user_agent_field);
    }
}

/// No encoding at all, which is the only one taken. RFC 3261 §20.2.
pub(super) const IDENTITY: &str = "identity";

fn add(headers: &mut Headers, name: Name, value: &Option<Text>) {
    if let Some(value) = value
        && headers.first(&name).is_none()
    {
        headers.push(name, value);
    }
}

/// Where the user has named some, ours are added to them.
fn add_to_list(headers: &mut Headers, name: Name, value: &Option<Text>) {
    let Some(ours) = value else { return };
    let theirs: Vec<&str> = headers.all(&name).filter(|v| !v.is_empty()).collect();
    if theirs.is_empty() {
        headers.remove(&name);
        return headers.push(name, ours);
    }
    let missing = ours.split(", ").filter(|ours| {
        !theirs
            .iter()
            .any(|theirs| theirs.eq_ignore_ascii_case(ours))
    });
    let all: Vec<&str> = theirs.iter().copied().chain(missing).collect();
    let all = all.join(", ");
    headers.set(name, all);
}

fn list<'a>(values: impl Iterator<Item = &'a str>) -> Option<Text> {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    (!values.is_empty()).then(|| Text::from(values.join(", ")))
}
