//! Bodies and the parts of bodies that have several. RFC 3261 §7.4, §8.2.3; RFC 2046 §5.1; RFC 5621.

use bytes::Bytes;

use super::parse::{fields_of, find_section_end};
use super::{Request, Response};
use crate::grammar;
use crate::header::{Headers, Name, WithParams};
use crate::text::Text;

/// Most parts of one body, those of parts within parts included.
const MOST_PARTS: usize = 64;
/// How deep parts may lie within parts.
const DEEPEST: usize = 4;
/// The longest boundary. RFC 2046 §5.1.1.
const LONGEST_BOUNDARY: usize = 70;

/// A body that is no multipart, or such a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The fields about the body: Content-Type and others; of a whole body, all fields of the message.
    pub headers: Headers,
    /// The content, byte for byte.
    pub body: Bytes,
}

/// Whether who does not understand a body may do without it. RFC 3261 §20.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// No: it refuses the request. So also if nothing is said.
    Required,
    /// It ignores the body.
    Optional,
}

/// A body that says it has parts, and has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// Content-Type names no boundary, or one that cannot be.
    #[error("no boundary between the parts of a body")]
    NoBoundary,
    /// The boundary does not stand at the beginning, or not at the end.
    #[error("a body without its boundaries")]
    Unbounded,
    /// More parts than are read (64), or deeper ones (4).
    #[error("too many parts in a body")]
    TooMany,
}

/// Why a body cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Of a media type that is not taken.
    Type,
    /// Encoded otherwise than not at all.
    Encoding,
    Malformed(MultipartError),
}

impl Part {
    /// The media type; `text/plain` if none is given that can be read. RFC 2045 §5.2.
    pub fn content_type(&self) -> WithParams {
        content_type(&self.headers)
    }

    /// Whether it is of this media type, parameters aside.
    pub fn is(&self, media_type: &str) -> bool {
        self.content_type().is(media_type)
    }

    /// Whether it may be ignored.
    pub fn handling(&self) -> Handling {
        handling(&self.headers)
    }
}

impl Request {
    /// The parts of the body in their order, those within others included; of a body that is no multipart only itself,
    /// and of an empty one nothing.
    pub fn parts(&self) -> Result<Vec<Part>, MultipartError> {
        parts(&self.headers, &self.body)
    }

    /// The body if it is of that media type, or its first part that is. SIP-19.
    pub fn part(&self, media_type: &str) -> Option<Part> {
        first_of(&self.headers, &self.body, media_type)
    }
}

impl Response {
    /// The parts of the body in their order, those within others included; of a body that is no multipart only itself,
    /// and of an empty one nothing.
    pub fn parts(&self) -> Result<Vec<Part>, MultipartError> {
        parts(&self.headers, &self.body)
    }

    /// The body if it is of that media type, or its first part that is. SIP-19.
    pub fn part(&self, media_type: &str) -> Option<Part> {
        first_of(&self.headers, &self.body, media_type)
    }
}

/// Whether a body can be taken by who takes these media types; empty: all of them. What may be ignored can.
pub(crate) fn check(headers: &Headers, body: &Bytes, accepted: &[String]) -> Result<(), BodyFault> {
    if body.is_empty() {
        return Ok(());
    }
    match multipart(headers) {
        // Nearly every body is one.
        None => unless_optional(headers, check_single(headers, accepted)),
        Some(_) => check_entity(&read(headers, body)?, accepted),
    }
}

impl From<MultipartError> for BodyFault {
    fn from(error: MultipartError) -> Self {
        BodyFault::Malformed(error)
    }
}

/// A body as it is nested.
enum Entity {
    Single(Part),
    Several(Kind, Headers, Vec<Entity>),
}

/// How parts belong together. RFC 2046 §5.1.
#[derive(Clone, Copy)]
enum Kind {
    /// Each for itself; so also what is not known.
    Mixed,
    /// The same in several forms.
    Alternative,
    /// One with what it refers to; the number of the one. RFC 2387.
    Related(usize),
}

fn parts(headers: &Headers, body: &Bytes) -> Result<Vec<Part>, MultipartError> {
    let mut parts = Vec::new();
    if !body.is_empty() {
        flatten(read(headers, body)?, &mut parts);
    }
    Ok(parts)
}

fn first_of(headers: &Headers, body: &Bytes, media_type: &str) -> Option<Part> {
    let parts = parts(headers, body).ok()?;
    parts.into_iter().find(|part| part.is(media_type))
}

fn flatten(entity: Entity, out: &mut Vec<Part>) {
    match entity {
        Entity::Single(part) => out.push(part),
        Entity::Several(_, _, entities) => {
            for entity in entities {
                flatten(entity, out);
            }
        }
    }
}

fn check_entity(entity: &Entity, accepted: &[String]) -> Result<(), BodyFault> {
    let (headers, found) = match entity {
        Entity::Single(part) => (&part.headers, check_single(&part.headers, accepted)),
        Entity::Several(kind, headers, parts) => {
            let mut checked = parts.iter().map(|part| check_entity(part, accepted));
            let found = match kind {
                Kind::Mixed => checked.find(Result::is_err).unwrap_or(Ok(())),
                Kind::Alternative => checked.find(Result::is_ok).unwrap_or(Err(BodyFault::Type)),
                Kind::Related(root) => checked.nth(*root).unwrap_or(Ok(())),
            };
            (headers, check_encoding(headers).and(found))
        }
    };
    unless_optional(headers, found)
}

fn unless_optional(headers: &Headers, found: Result<(), BodyFault>) -> Result<(), BodyFault> {
    match found {
        Err(_) if handling(headers) == Handling::Optional => Ok(()),
        found => found,
    }
}

fn check_single(headers: &Headers, accepted: &[String]) -> Result<(), BodyFault> {
    check_encoding(headers)?;
    if accepted.is_empty() {
        return Ok(());
    }
    let content_type = content_type(headers);
    match accepted.iter().any(|one| content_type.is(one)) {
        true => Ok(()),
        false => Err(BodyFault::Type),
    }
}

fn check_encoding(headers: &Headers) -> Result<(), BodyFault> {
    let mut encodings = headers.all(&Name::ContentEncoding);
    match encodings
        .any(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
    {
        true => Err(BodyFault::Encoding),
        false => Ok(()),
    }
}

fn handling(headers: &Headers) -> Handling {
    let said = headers.content_disposition().ok();
    let said = said.and_then(|it| it.params.unquoted("handling").map(|h| h.into_owned()));
    match said {
        Some(said) if said.eq_ignore_ascii_case("optional") => Handling::Optional,
        Some(_) | None => Handling::Required,
    }
}

fn read(headers: &Headers, body: &Bytes) -> Result<Entity, MultipartError> {
    let mut room = MOST_PARTS;
    read_entity(headers.clone(), body.clone(), DEEPEST, &mut room)
}

fn read_entity(
    headers: Headers,
    body: Bytes,
    depth: usize,
    room: &mut usize,
) -> Result<Entity, MultipartError> {
    let Some(content_type) = multipart(&headers) else {
        return Ok(Entity::Single(Part { headers, body }));
    };
    let depth = depth.checked_sub(1).ok_or(MultipartError::TooMany)?;
    let boundary = content_type.params.unquoted("boundary");
    let boundary = boundary
        .filter(|b| !b.is_empty() && b.len() <= LONGEST_BOUNDARY)
        .ok_or(MultipartError::NoBoundary)?;
    let mut entities = Vec::new();
    for part in split(&body, boundary.as_bytes())? {
        *room = room.checked_sub(1).ok_or(MultipartError::TooMany)?;
        let (headers, body) = open(part);
        entities.push(read_entity(headers, body, depth, room)?);
    }
    let kind = if content_type.is("multipart/alternative") {
        Kind::Alternative
    } else if content_type.is("multipart/related") {
        Kind::Related(root(&content_type, &entities))
    } else {
        Kind::Mixed
    };
    Ok(Entity::Several(kind, headers, entities))
}

const MULTIPART: &str = "multipart/";

fn content_type(headers: &Headers) -> WithParams {
    let given = headers.content_type();
    given.unwrap_or_else(|_| WithParams::new(Text::from_static("text/plain")))
}

/// The Content-Type of a body that has parts.
fn multipart(headers: &Headers) -> Option<WithParams> {
    let value = headers.first(&Name::ContentType)?;
    let kind = grammar::trim_start(value).get(..MULTIPART.len())?;
    match kind.eq_ignore_ascii_case(MULTIPART) {
        true => headers.content_type().ok(),
        false => None,
    }
}

/// Which part the others belong to: the one that `start` names, else the first. RFC 2387 §3.2.
fn root(content_type: &WithParams, entities: &[Entity]) -> usize {
    let Some(start) = content_type.params.unquoted("start") else {
        return 0;
    };
    let id = Name::Other(Text::from_static("Content-ID"));
    let named = entities.iter().position(|entity| {
        let (Entity::Single(Part { headers, .. }) | Entity::Several(_, headers, _)) = entity;
        headers.first(&id) == Some(start.as_ref())
    });
    named.unwrap_or(0)
}

/// The bytes between the boundaries. RFC 2046 §5.1.1.
fn split(body: &Bytes, boundary: &[u8]) -> Result<Vec<Bytes>, MultipartError> {
    let mut parts = Vec::new();
    let mut begin = None;
    let mut delimiter = Vec::with_capacity(boundary.len().saturating_add(2));
    delimiter.extend_from_slice(b"--");
    delimiter.extend_from_slice(boundary);
    for at in memchr::memmem::find_iter(body, &delimiter) {
        let before = body.get(..at).unwrap_or_default();
        let Some(end) = line_start(before) else {
            continue;
        };
        let after = at.saturating_add(delimiter.len());
        let rest = body.get(after..).unwrap_or_default();
        let (is_last, rest) = match rest.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let padding = rest.get(..line).unwrap_or_default();
        // Another boundary that begins like this one.
        if !padding
            .iter()
            .all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
        {
            continue;
        }
        if let Some(begin) = begin {
            if parts.len() >= MOST_PARTS {
                return Err(MultipartError::TooMany);
            }
            // An empty part has no line end of its own before the boundary.
            parts.push(body.slice(begin..end.max(begin)));
        }
        if is_last {
            return match parts.is_empty() {
                true => Err(MultipartError::Unbounded),
                false => Ok(parts),
            };
        }
        let taken = body.len().saturating_sub(rest.len());
        begin = Some(taken.saturating_add(line).saturating_add(1).min(body.len()));
    }
    Err(MultipartError::Unbounded)
}

/// Where the text before a boundary ends, without the line end that belongs to the boundary; `None` if the boundary does
/// not stand at the beginning of a line.
fn line_start(before: &[u8]) -> Option<usize> {
    match before {
        [] => Some(0),
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => Some(rest.len()),
        _ => None,
    }
}

/// Takes the fields of a part from its content.
fn open(part: Bytes) -> (Headers, Bytes) {
    for empty in [&b"\r\n"[..], b"\n"] {
        if part.starts_with(empty) {
            return (Headers::new(), part.slice(empty.len()..));
        }
    }
    let end = find_section_end(&part, 0).unwrap_or(part.len());
    let section = String::from_utf8_lossy(part.get(..end).unwrap_or_default());
    let headers = fields_of(&Text::from(grammar::trim(&section)));
    (headers, part.slice(end..))
}

#[cfg(test)]
mod tests;
