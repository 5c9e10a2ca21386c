//! Our own offers and answers.

use std::{
    fmt::{self, Display, Write},
    net::Ipv6Addr,
};

use super::{
    Chatroom, Direction, Fingerprint, HashFunction, SessionDescription, Setup, TCP_MSRP, TLS_MSRP,
    answer_role,
};
use crate::{MsrpUri, Role, uri::Scheme};

/// RFC 4145 §4.1: the port of a side that connects itself.
const DISCARD: u16 = 9;

/// Our `o=` line: a description that differs from the session's last one has the next version. RFC 3264 §8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The same throughout the dialog.
    pub id: u64,
    /// Grows by one with each change.
    pub version: u64,
}

/// What we say of our side of a session. Control characters in it are left out (SEC-09).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalMedia {
    /// For offers: `ActPass`, or `Active` where nobody can connect to us (MSRP-06). Answers follow the offer; where it
    /// leaves the choice, `Active` here is active and anything else passive.
    pub setup: Setup,
    /// Types taken as a whole message, the preferred first.
    pub accept_types: Vec<String>,
    /// Types taken only inside others.
    pub accept_wrapped_types: Vec<String>,
    /// Bytes of the biggest message taken.
    pub max_size: Option<u64>,
    /// Features of our chat room, or, towards one, those we know. `None`: no room (RFC 7701 §8).
    pub chatroom: Option<Chatroom>,
    /// Whether `a=msrp-cema` is said; see [`cema`](super::cema) for when (MSRP-24).
    pub cema: bool,
    /// Which way messages go; written only where it is not both.
    pub direction: Direction,
    /// Of the certificate we show; written only beside an `msrps` URI, and only if made with SHA-256.
    pub fingerprint: Option<Fingerprint>,
}

/// An offer with one MSRP session.
pub fn offer(local: &MsrpUri, origin: Origin, media: &LocalMedia) -> Vec<u8> {
    let mut text = head(local, origin);
    msrp_media(&mut text, local, media, media.setup);
    // It may be kept as long as its dialog (PERF-6).
    text.shrink_to_fit();
    text.into_bytes()
}

/// An answer that takes the offer's media line at `index` and declines all others, in the offer's order (NEG-06).
/// `SessionDescription::msrp` has the index.
pub fn answer(
    offer: &SessionDescription,
    index: usize,
    local: &MsrpUri,
    origin: Origin,
    media: &LocalMedia,
) -> Vec<u8> {
    let offered = offer.msrp_at(index).and_then(|media| media.setup);
    let setup = match (answer_role(offered), offered, media.setup) {
        (Role::Active, _, _) | (_, Some(Setup::ActPass), Setup::Active) => Setup::Active,
        (Role::Passive, _, _) => Setup::Passive,
    };
    let mut text = head(local, origin);
    for (line_index, line) in offer.media_lines().enumerate() {
        if line_index == index {
            msrp_media(&mut text, local, media, setup);
        } else {
            put(
                &mut text,
                format_args!("m={} 0 {} {}\r\n", line.kind, line.proto, line.format),
            );
        }
    }
    text.into_bytes()
}

fn head(local: &MsrpUri, origin: Origin) -> String {
    let host = local.host();
    let family = if host.parse::<Ipv6Addr>().is_ok() {
        "IP6"
    } else {
        "IP4"
    };
    let Origin { id, version } = origin;
    let mut text = String::with_capacity(512);
    put(
        &mut text,
        format_args!(
            "v=0\r\no=- {id} {version} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
        ),
    );
    text
}

fn msrp_media(text: &mut String, local: &MsrpUri, media: &LocalMedia, setup: Setup) {
    let port = match setup {
        Setup::Active => DISCARD,
        Setup::Passive | Setup::ActPass => local.port().unwrap_or(DISCARD),
    };
    let proto = match local.scheme() {
        Scheme::Msrp => TCP_MSRP,
        Scheme::Msrps => TLS_MSRP,
    };
    let setup = match setup {
        Setup::Active => "active",
        Setup::Passive => "passive",
        Setup::ActPass => "actpass",
    };
    put(text, format_args!("m=message {port} {proto} *\r\n"));
    put(text, format_args!("a=path:{local}\r\n"));
    match media.direction {
        Direction::SendRecv => {}
        Direction::SendOnly => put(text, format_args!("a=sendonly\r\n")),
        Direction::RecvOnly => put(text, format_args!("a=recvonly\r\n")),
        Direction::Inactive => put(text, format_args!("a=inactive\r\n")),
    }
    let accept_types = Words(&media.accept_types);
    put(text, format_args!("a=accept-types:{accept_types}\r\n"));
    if !media.accept_wrapped_types.is_empty() {
        let types = Words(&media.accept_wrapped_types);
        put(text, format_args!("a=accept-wrapped-types:{types}\r\n"));
    }
    put(text, format_args!("a=setup:{setup}\r\n"));
    let fingerprint = media.fingerprint.filter(|fingerprint| {
        local.scheme() == Scheme::Msrps && fingerprint.function() == HashFunction::Sha256
    });
    if let Some(fingerprint) = fingerprint {
        put(text, format_args!("a=fingerprint:{fingerprint}\r\n"));
    }
    if let Some(size) = media.max_size {
        put(text, format_args!("a=max-size:{size}\r\n"));
    }
    if let Some(chatroom) = media.chatroom {
        put(text, format_args!("a={chatroom}\r\n"));
    }
    if media.cema {
        text.push_str("a=msrp-cema\r\n");
    }
}

fn put(text: &mut String, arguments: fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(arguments);
}

/// Words with a blank between, without anything that could end the line.
struct Words<'a>(&'a [String]);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            word.chars()
                .filter(|letter| !letter.is_control())
                .try_for_each(|letter| f.write_char(letter))?;
        }
        Ok(())
    }
}
