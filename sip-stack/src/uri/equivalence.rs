//! When two URIs name the same resource. RFC 3261 §19.1.4.

use super::Uri;
use super::escape::decode_bytes;

/// Parameters that must be on both sides or on neither.
const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

pub(super) fn equivalent(a: &Uri, b: &Uri) -> bool {
    a == b || same_parts(a, b)
}

fn same_parts(a: &Uri, b: &Uri) -> bool {
    let same_scheme = a.scheme.as_str().eq_ignore_ascii_case(b.scheme.as_str());
    let same_host = match (&a.host, &b.host) {
        (Some(a), Some(b)) => a.equivalent(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    same_scheme
        && same_host
        && a.port == b.port
        && same_text(a.user(), b.user())
        && same_text(a.password(), b.password())
        && same_text(a.opaque(), b.opaque())
        && same_params(a, b)
        && same_headers(a, b)
}

fn same_text(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => decode_bytes(a).eq(decode_bytes(b)),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn same_params(a: &Uri, b: &Uri) -> bool {
    let decisive = DECISIVE
        .iter()
        .all(|name| a.params.contains(name) == b.params.contains(name));
    decisive
        && a.params.iter().all(|(name, _)| {
            // Of a name that is there more than once the first counts, on both sides.
            match (a.params.get(name), b.params.get(name)) {
                (Some(value), Some(other)) => same_value(value, other),
                (_, _) => true,
            }
        })
}

fn same_value(a: Option<&str>, b: Option<&str>) -> bool {
    same_without_case(a.unwrap_or_default(), b.unwrap_or_default())
}

fn same_without_case(a: &str, b: &str) -> bool {
    decode_bytes(a)
        .map(|byte| byte.to_ascii_lowercase())
        .eq(decode_bytes(b).map(|byte| byte.to_ascii_lowercase()))
}

/// So many headers nobody needs; comparing all with all would cost too much.
const MAX_HEADERS: usize = 128;

/// Headers count whatever their order: each on one side has its equal on the other.
fn same_headers(a: &Uri, b: &Uri) -> bool {
    let within = |a: &Uri, b: &Uri| {
        a.headers().all(|(name, value)| {
            b.headers()
                .any(|(n, v)| same_without_case(name, n) && decode_bytes(value).eq(decode_bytes(v)))
        })
    };
    let count = a.headers().count();
    count <= MAX_HEADERS && count == b.headers().count() && within(a, b) && within(b, a)
}
