//! A peer's session description.

use sdp_types::{Attribute, Media, Session};
use thiserror::Error;

use super::{
    Chatroom, Direction, Fingerprint, HashFunction, MsrpMedia, Setup, TCP_MSRP, TLS_MSRP, scheme_of,
};
use crate::{MsrpUri, uri::Scheme};

/// A session description as received. All its media lines are kept, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    session: Session,
}

/// Bytes that are no session description.
#[derive(Debug, Error)]
pub enum SdpError {
    /// Bigger than any honest one.
    #[error("the session description is too big")]
    TooBig,
    /// More media lines than anybody has.
    #[error("the session description has too many media lines")]
    TooManyMedia,
    /// A line that is needed cannot be read.
    #[error("the session description cannot be read")]
    Malformed(#[source] sdp_types::ParserError),
}

/// A media line, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// `message`, `audio`…
    pub kind: &'a str,
    /// 0 if declined.
    pub port: u16,
    /// `TCP/MSRP`, `xmpp/tcp`…
    pub proto: &'a str,
    /// What follows, as written.
    pub format: &'a str,
}

impl SessionDescription {
    const LONGEST: usize = 64 << 10;
    const MOST_MEDIA: usize = 64;

    /// Reads what peers really write: lines that are not needed are passed over, missing ones do not matter (NEG-09).
    pub fn parse(bytes: &[u8]) -> Result<SessionDescription, SdpError> {
        if bytes.len() > SessionDescription::LONGEST {
            return Err(SdpError::TooBig);
        }
        let session = Session::parse(&readable(bytes)).map_err(SdpError::Malformed)?;
        if session.medias.len() > SessionDescription::MOST_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        Ok(SessionDescription { session })
    }

    /// The first media line for MSRP over TCP that can be used, with its place among all: not declined, with a path,
    /// and not for a file transfer (MSRP-27).
    pub fn msrp(&self) -> Option<(usize, MsrpMedia)> {
        self.msrp_over(&[Scheme::Msrp])
    }

    /// As `msrp`, over what is among `schemes`: a media line for TLS is taken as such or not at all (SEC-07).
    pub fn msrp_over(&self, schemes: &[Scheme]) -> Option<(usize, MsrpMedia)> {
        let mut medias = self.session.medias.iter().enumerate();
        medias.find_map(|(index, media)| {
            let scheme = scheme_of(&media.proto);
            let is_usable = schemes.contains(&scheme) && media.port != 0;
            let msrp = self.msrp_of(media).filter(|_| is_usable)?;
            let is_chat = msrp.file_selector.is_none();
            let is_secure = msrp.path.iter().all(|uri| uri.scheme() == Scheme::Msrps);
            (is_chat && (scheme == Scheme::Msrp || is_secure)).then_some((index, msrp))
        })
    }

    /// What the media line at `index` says about MSRP; `None` if it is not about MSRP or has no usable path.
    pub fn msrp_at(&self, index: usize) -> Option<MsrpMedia> {
        self.session
            .medias
            .get(index)
            .and_then(|media| self.msrp_of(media))
    }

    /// All media lines in order.
    pub fn media_lines(&self) -> impl ExactSizeIterator<Item = MediaLine<'_>> {
        self.session.medias.iter().map(|media| MediaLine {
            kind: &media.media,
            port: media.port,
            proto: &media.proto,
            format: &media.fmt,
        })
    }

    /// An attribute of the media line at `index`; empty for one without a value.
    pub fn attribute(&self, index: usize, name: &str) -> Option<&str> {
        let media = self.session.medias.get(index)?;
        value_in(&media.attributes, name)
    }

    /// Session id and version of `o=`: an offer with both unchanged changes nothing (RFC 3264 §8).
    pub fn origin(&self) -> (&str, u64) {
        let origin = &self.session.origin;
        (&origin.sess_id, origin.sess_version)
    }

    fn msrp_of(&self, media: &Media) -> Option<MsrpMedia> {
        let is_msrp = media.media.eq_ignore_ascii_case("message")
            && [TCP_MSRP, TLS_MSRP]
                .iter()
                .any(|proto| media.proto.eq_ignore_ascii_case(proto));
        if !is_msrp {
            return None;
        }
        let path: Vec<MsrpUri> = words(self.value(media, "path")?)
            .map(|uri| uri.parse())
            .collect::<Result<_, _>>()
            .ok()?;
        if path.is_empty() {
            return None;
        }
        let list = |name| {
            let value = self.value(media, name).unwrap_or_default();
            words(value).map(str::to_owned).collect()
        };
        let connection = media.connections.first();
        let connection = connection.or(self.session.connection.as_ref());
        Some(MsrpMedia {
            path,
            setup: self.value(media, "setup").and_then(setup),
            accept_types: list("accept-types"),
            accept_wrapped_types: list("accept-wrapped-types"),
            max_size: self
                .value(media, "max-size")
                .and_then(|size| size.parse().ok()),
            chatroom: self.value(media, "chatroom").map(Chatroom::of),
            file_selector: self.value(media, "file-selector").map(str::to_owned),
            cema: value_in(&media.attributes, "msrp-cema").is_some(),
            direction: self.direction(media),
            port: media.port,
            fingerprint: self.fingerprint(media),
            proto: media.proto.clone(),
            host: connection.map(|connection| connection.connection_address.clone()),
        })
    }

    /// The strongest that can be compared, of the media's, else of the session's. RFC 8122 §5.
    fn fingerprint(&self, media: &Media) -> Option<Fingerprint> {
        let strongest = |attributes: &[Attribute]| {
            let fingerprints = attributes.iter().filter(|attribute| {
                let name = attribute.attribute.trim();
                name.eq_ignore_ascii_case("fingerprint")
            });
            fingerprints
                .filter_map(|attribute| attribute.value.as_deref()?.parse::<Fingerprint>().ok())
                .min_by_key(|fingerprint| fingerprint.function() == HashFunction::Sha1)
        };
        strongest(&media.attributes).or_else(|| strongest(&self.session.attributes))
    }

    /// The media's attribute, else the session's.
    fn value<'a>(&'a self, media: &'a Media, name: &str) -> Option<&'a str> {
        value_in(&media.attributes, name).or_else(|| value_in(&self.session.attributes, name))
    }

    fn direction(&self, media: &Media) -> Direction {
        let attributes = media.attributes.iter().chain(&self.session.attributes);
        attributes
            .filter_map(|attribute| match attribute.attribute.as_str() {
                "sendrecv" => Some(Direction::SendRecv),
                "sendonly" => Some(Direction::SendOnly),
                "recvonly" => Some(Direction::RecvOnly),
                "inactive" => Some(Direction::Inactive),
                _ => None,
            })
            .next()
            .unwrap_or_default()
    }
}

fn value_in<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|attribute| attribute.attribute.trim().eq_ignore_ascii_case(name))
        .map(|attribute| attribute.value.as_deref().unwrap_or_default().trim())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

fn setup(value: &str) -> Option<Setup> {
    match value.to_ascii_lowercase().as_str() {
        "active" => Some(Setup::Active),
        "passive" => Some(Setup::Passive),
        "actpass" => Some(Setup::ActPass),
        _ => None,
    }
}

/// Only the lines that are needed, in a form a strict reader takes.
fn readable(bytes: &[u8]) -> Vec<u8> {
    let mut readable = Vec::with_capacity(bytes.len().saturating_add(8));
    readable.extend_from_slice(b"v=0\r\n");
    let mut has_media = false;
    let (mut has_origin, mut has_name, mut has_connection) = (false, false, false);
    let printable: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, 0 | b'\r'))
        .collect();
    for line in printable.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        let Some((kind, value)) = line.split_first() else {
            continue;
        };
        let Some(value) = value.strip_prefix(b"=").map(<[u8]>::trim_ascii) else {
            continue;
        };
        let is_kept = match kind {
            b'o' => {
                !has_media && !std::mem::replace(&mut has_origin, is_origin(value)) && has_origin
            }
            b's' => !has_media && !std::mem::replace(&mut has_name, true),
            b'c' => {
                let is_connection = words_of(value) == 3;
                is_connection && (has_media || !std::mem::replace(&mut has_connection, true))
            }
            b'm' => {
                has_media = true;
                true
            }
            b'a' => !value.is_empty(),
            _ => false,
        };
        if is_kept {
            readable.extend_from_slice(&[*kind, b'=']);
            readable.extend_from_slice(value);
            readable.extend_from_slice(b"\r\n");
        }
    }
    readable
}

fn is_origin(value: &[u8]) -> bool {
    let version = value.split(|byte| *byte == b' ').nth(2);
    words_of(value) == 6
        && version
            .and_then(|version| std::str::from_utf8(version).ok())
            .is_some_and(|version| version.parse::<u64>().is_ok())
}

fn words_of(value: &[u8]) -> usize {
    value.split(|byte| *byte == b' ').count()
}
