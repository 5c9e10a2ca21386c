//! Documents from bytes.
//!
//! Reading is lenient: an element counts with the namespace of RFC 4575 or without any, as the examples of RFC 7702 have it;
//! what is not known is passed over, and what cannot be understood counts as absent. RFC 4575 §4.1, §5.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};
use thiserror::Error;

use super::info::{
    ConferenceInfo, ConferenceState, Description, DisconnectionMethod, ElementState, Endpoint,
    EndpointStatus, Media, MediaStatus, User,
};
use super::{MAX_ENDPOINTS, MAX_MEDIA, MAX_USERS, NAMESPACE, XCON_NAMESPACE, scan};

/// Bytes of a document: as much as the body of a SIP message may have.
const MAX_BYTES: usize = 1024 * 1024;
/// Elements and pieces of text of a document.
const MAX_NODES: u32 = 128 * 1024;

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConferenceError {
    /// More than 1 MiB.
    #[error("the document has {0} bytes")]
    TooLarge(usize),
    /// More than 32 elements within each other.
    #[error("the document is nested too deeply")]
    TooDeep,
    /// More than 32 attributes in one element.
    #[error("an element has too many attributes")]
    TooManyAttributes,
    /// More declarations of namespaces than any focus needs.
    #[error("the document declares too many namespaces")]
    TooManyNamespaces,
    /// More than 2,000 users.
    #[error("the document has too many users")]
    TooManyUsers,
    /// More than 64 endpoints of one user.
    #[error("a user has too many endpoints")]
    TooManyEndpoints,
    /// More than 64 media streams of one endpoint.
    #[error("an endpoint has too many media")]
    TooManyMedia,
    /// No XML, or XML with a document type declaration; what the reader says of it.
    #[error("the document is not well-formed: {0}")]
    NotWellFormed(String),
    /// XML about something else; the name of its root.
    #[error("the document is about <{0}>")]
    NotConferenceInfo(String),
}

impl ConferenceInfo {
    /// Reads a document. Octets that are not UTF-8 become U+FFFD. A user without an entity is known by that of its first
    /// endpoint; without that it is left out. Text is taken without the white space around it.
    ///
    /// Errors: too large in one of its dimensions, not XML, or not about a conference.
    pub fn parse(body: &[u8]) -> Result<ConferenceInfo, ConferenceError> {
        if body.len() > MAX_BYTES {
            return Err(ConferenceError::TooLarge(body.len()));
        }
        let text = text_of(body);
        scan::check(&text)?;
        let options = ParsingOptions {
            nodes_limit: MAX_NODES,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(&text, options)
            .map_err(|error| ConferenceError::NotWellFormed(error.to_string()))?;
        let root = document.root_element();
        if !is(root, "conference-info") {
            let name = root.tag_name().name().to_owned();
            return Err(ConferenceError::NotConferenceInfo(name));
        }
        conference_info(root)
    }
}

/// The XML of a body: white space before its declaration is not part of it, nor is a byte order mark.
fn text_of(body: &[u8]) -> Cow<'_, str> {
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    String::from_utf8_lossy(body.trim_ascii())
}

fn conference_info(root: Node<'_, '_>) -> Result<ConferenceInfo, ConferenceError> {
    let state = state(root);
    let users = child(root, "users");
    let unsaid = match state {
        ElementState::Full | ElementState::Deleted => ElementState::Full,
        ElementState::Partial => ElementState::Partial,
    };
    Ok(ConferenceInfo {
        entity: attribute(root, "entity").unwrap_or_default().to_owned(),
        state,
        version: attribute(root, "version").and_then(|version| version.parse().ok()),
        description: child(root, "conference-description").map(description),
        conference_state: child(root, "conference-state").map(conference_state),
        users_state: users.map_or(unsaid, self::state),
        users: users.map(self::users).transpose()?.unwrap_or_default(),
    })
}

fn description(node: Node<'_, '_>) -> Description {
    Description {
        display_text: child(node, "display-text").map(text),
        subject: child(node, "subject").map(text),
        free_text: child(node, "free-text").map(text),
    }
}

fn conference_state(node: Node<'_, '_>) -> ConferenceState {
    let boolean = |name| match text(child(node, name)?).as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    ConferenceState {
        user_count: child(node, "user-count").and_then(|count| text(count).parse().ok()),
        active: boolean("active"),
        locked: boolean("locked"),
    }
}

fn users(node: Node<'_, '_>) -> Result<Vec<User>, ConferenceError> {
    let mut users = Vec::new();
    for node in children(node, "user") {
        if users.len() >= MAX_USERS {
            return Err(ConferenceError::TooManyUsers);
        }
        users.extend(user(node)?);
    }
    Ok(users)
}

fn user(node: Node<'_, '_>) -> Result<Option<User>, ConferenceError> {
    let mut user = User {
        entity: attribute(node, "entity").unwrap_or_default().to_owned(),
        state: state(node),
        ..User::default()
    };
    for node in node.children().filter(Node::is_element) {
        match name(node) {
            "display-text" => user.display_text = Some(text(node)).filter(|text| !text.is_empty()),
            "associated-aors" => user.associated_aors = uris(node),
            "roles" => user.roles = children(node, "entry").map(text).collect(),
            "endpoint" if user.endpoints.len() >= MAX_ENDPOINTS => {
                return Err(ConferenceError::TooManyEndpoints);
            }
            "endpoint" => user.endpoints.push(endpoint(node)?),
            _ => {}
        }
    }
    user.nickname = node
        .attribute((XCON_NAMESPACE, "nickname"))
        .or_else(|| node.attribute("nickname"))
        .map(|nickname| trim(nickname).to_owned())
        .filter(|nickname| !nickname.is_empty());
    if user.entity.is_empty() {
        let first = user.endpoints.first();
        user.entity = first.map(|first| first.entity.clone()).unwrap_or_default();
    }
    Ok(Some(user).filter(|user| !user.entity.is_empty()))
}

/// The `<uri>` of each `<entry>`; of several, as an example of RFC 7702 has them, each.
fn uris(node: Node<'_, '_>) -> Vec<String> {
    children(node, "entry")
        .flat_map(|entry| children(entry, "uri"))
        .map(text)
        .filter(|uri| !uri.is_empty())
        .collect()
}

fn endpoint(node: Node<'_, '_>) -> Result<Endpoint, ConferenceError> {
    let mut endpoint = Endpoint {
        entity: attribute(node, "entity").unwrap_or_default().to_owned(),
        state: state(node),
        ..Endpoint::default()
    };
    for node in node.children().filter(Node::is_element) {
        match name(node) {
            "display-text" => endpoint.display_text = Some(text(node)),
            "status" => {
                endpoint.status = one_of(&text(node), &EndpointStatus::ALL, EndpointStatus::as_str);
            }
            "disconnection-method" => {
                let all = &DisconnectionMethod::ALL;
                endpoint.disconnection_method =
                    one_of(&text(node), all, DisconnectionMethod::as_str);
            }
            "media" if endpoint.media.len() >= MAX_MEDIA => {
                return Err(ConferenceError::TooManyMedia);
            }
            "media" => endpoint.media.push(media(node)),
            _ => {}
        }
    }
    Ok(endpoint)
}

fn media(node: Node<'_, '_>) -> Media {
    let status = child(node, "status").map(text).unwrap_or_default();
    Media {
        id: attribute(node, "id").unwrap_or_default().to_owned(),
        kind: child(node, "type").map(text),
        status: one_of(&status, &MediaStatus::ALL, MediaStatus::as_str),
    }
}

/// Full if it says nothing, or what nobody knows. RFC 4575 §4.4.
fn state(node: Node<'_, '_>) -> ElementState {
    attribute(node, "state")
        .and_then(|state| one_of(state, &ElementState::ALL, ElementState::as_str))
        .unwrap_or_default()
}

fn one_of<T: Copy>(text: &str, all: &[T], as_str: fn(T) -> &'static str) -> Option<T> {
    let mut all = all.iter().copied();
    all.find(|one| text.eq_ignore_ascii_case(as_str(*one)))
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attribute(name).map(trim)
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

fn children<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| is(*child, name))
}

fn is(node: Node<'_, '_>, its_name: &str) -> bool {
    node.is_element() && name(node) == its_name
}

/// The element's name; none if it is of somebody else's namespace.
fn name<'a>(node: Node<'a, '_>) -> &'a str {
    match node.tag_name().namespace() {
        None | Some(NAMESPACE) => node.tag_name().name(),
        Some(_) => "",
    }
}

/// The text of an element, whatever comments cut it up.
fn text(node: Node<'_, '_>) -> String {
    let mut pieces = node.children().filter_map(|child| match child.is_text() {
        true => child.text(),
        false => None,
    });
    let first = pieces.next().unwrap_or_default();
    match pieces.next() {
        None => trim(first).to_owned(),
        Some(second) => {
            let all: String = [first, second].into_iter().chain(pieces).collect();
            trim(&all).to_owned()
        }
    }
}

/// Without the white space of XML around it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
