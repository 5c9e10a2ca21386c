//! Bodies of several parts: which of them is text to be shown. RFC 2046 §5.1, MSRP-22, IM-12.

use stox_msrp::content;

use super::{Content, Text, Unreadable, read_part};

/// Parts of one body, and bodies within bodies; more than anybody sends.
const MOST_PARTS: usize = 32;
const DEEPEST: usize = 4;

/// Whether [`read`] takes the type.
pub fn is_one(content_type: &str) -> bool {
    kind_of(content_type).is_some()
}

/// What the parts say together. `depth`: bodies that this one is within.
///
/// # Errors
/// There is no part that can be shown.
pub fn read(content_type: &str, body: &[u8], depth: usize) -> Result<Content, Unreadable> {
    let kind = kind_of(content_type).ok_or(Unreadable::Type)?;
    let boundary = content::parameter(content_type, "boundary")
        .filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
        .ok_or(Unreadable::Multipart)?;
    if depth >= DEEPEST {
        return Err(Unreadable::Multipart);
    }
    let parts: Vec<Part<'_>> = parts(boundary, body).collect();
    match kind {
        Kind::Alternative => best(&parts, depth),
        Kind::First => parts.first().ok_or(Unreadable::Multipart)?.read(depth),
        Kind::Signed => {
            tracing::debug!("the signature of a message is not handed on");
            parts.first().ok_or(Unreadable::Multipart)?.read(depth)
        }
        Kind::All => all(&parts, depth),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Alternative,
    /// The parts belong together, and the first is what they are about.
    First,
    Signed,
    All,
}

fn kind_of(content_type: &str) -> Option<Kind> {
    let essence = content::essence(content_type).to_ascii_lowercase();
    Some(match essence.strip_prefix("multipart/")? {
        "alternative" => Kind::Alternative,
        "related" => Kind::First,
        "signed" => Kind::Signed,
        "encrypted" => return None,
        // What is not known is read as `mixed`. RFC 2046 §5.1.7.
        _ => Kind::All,
    })
}

struct Part<'a> {
    content_type: &'a str,
    encoding: Option<&'a str>,
    body: &'a [u8],
}

impl Part<'_> {
    fn read(&self, depth: usize) -> Result<Content, Unreadable> {
        let is_plain = self.encoding.is_none_or(|encoding| {
            let plain = ["7bit", "8bit", "binary"];
            plain.iter().any(|name| encoding.eq_ignore_ascii_case(name))
        });
        match is_plain {
            true => read_part(self.content_type, self.body, depth + 1),
            false => Err(Unreadable::Type),
        }
    }
}

/// Plain text says what its author wrote; of the rest the last that can be read is the best.
fn best(parts: &[Part<'_>], depth: usize) -> Result<Content, Unreadable> {
    let plain = parts
        .iter()
        .find(|part| content::is_type(part.content_type, super::PLAIN));
    let mut candidates = plain.into_iter().chain(parts.iter().rev());
    candidates
        .find_map(|part| part.read(depth).ok())
        .ok_or(Unreadable::Type)
}

/// The texts one after the other; what cannot be shown is named at its place.
fn all(parts: &[Part<'_>], depth: usize) -> Result<Content, Unreadable> {
    let mut texts = Vec::new();
    let mut shown = None;
    for part in parts {
        match part.read(depth) {
            Ok(Content::Text(text)) => {
                texts.push(text.body.trim_end().to_owned());
                shown = Some(());
            }
            // A document alone is for the client.
            Ok(other) if parts.len() == 1 => return Ok(other),
            Ok(Content::Composing(_) | Content::Imdn(_)) => {}
            Err(_) => texts.push(format!("[{}]", content::essence(part.content_type))),
        }
    }
    shown.ok_or(Unreadable::Type)?;
    Ok(Content::Text(Text {
        body: texts.join("\n\n"),
        ..Text::default()
    }))
}

fn parts<'a>(boundary: &str, body: &'a [u8]) -> impl Iterator<Item = Part<'a>> {
    let delimiter = format!("--{boundary}");
    let mut rest = after_delimiter(&delimiter, body);
    std::iter::from_fn(move || {
        let here = rest?;
        let end = find_delimiter(&delimiter, here)?;
        let raw = here.get(..end)?;
        rest = after_delimiter(&delimiter, here.get(end..)?);
        Some(part(raw))
    })
    .take(MOST_PARTS)
}

/// Where the next delimiter line begins, the line end before it included. RFC 2046 §5.1.1.
fn find_delimiter(delimiter: &str, body: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memmem::find(body.get(from..)?, delimiter.as_bytes())?;
        let before = body.get(..at)?;
        if before.is_empty() {
            return Some(0);
        }
        if let Some(line) = before.strip_suffix(b"\n") {
            return Some(line.strip_suffix(b"\r").unwrap_or(line).len());
        }
        from = at + delimiter.len();
    }
}

/// What follows the delimiter line that comes next; `None` after the last one.
fn after_delimiter<'a>(delimiter: &str, body: &'a [u8]) -> Option<&'a [u8]> {
    let at = find_delimiter(delimiter, body)?;
    let line = body.get(at..)?;
    let line = line.get(memchr::memmem::find(line, delimiter.as_bytes())? + delimiter.len()..)?;
    if line.starts_with(b"--") {
        return None;
    }
    line.get(memchr::memchr(b'\n', line)? + 1..)
}

fn part(raw: &[u8]) -> Part<'_> {
    let (head, body) = match raw.strip_prefix(b"\r\n").or(raw.strip_prefix(b"\n")) {
        Some(body) => (&b""[..], body),
        None => ["\r\n\r\n", "\n\n"]
            .iter()
            .find_map(|gap| {
                let at = memchr::memmem::find(raw, gap.as_bytes())?;
                Some((raw.get(..at)?, raw.get(at + gap.len()..)?))
            })
            .unwrap_or((raw, b"")),
    };
    let head = std::str::from_utf8(head).unwrap_or_default();
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim())
        })
    };
    Part {
        content_type: header("content-type").unwrap_or(super::PLAIN),
        encoding: header("content-transfer-encoding"),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: &str, body: &str) -> Result<String, Unreadable> {
        match read(content_type, body.replace('\n', "\r\n").as_bytes(), 0)? {
            Content::Text(text) => Ok(text.body),
            other => panic!("{other:?}"),
        }
    }

    const ALTERNATIVE: &str = "preamble\n--b\nContent-Type: text/plain\n\nplain\n--b\n\
        Content-Type: text/html\n\n<p>rich</p>\n--b--\nepilogue";

    // MSRP-22 IM-12
    #[test]
    fn the_best_part_is_taken() {
        let kind = "multipart/alternative; boundary=b";
        assert_eq!(text(kind, ALTERNATIVE).as_deref(), Ok("plain"));
        let rich = ALTERNATIVE.replacen("text/plain", "image/png", 1);
        assert_eq!(text(kind, &rich).as_deref(), Ok("rich"));
        let none = rich.replacen("text/html", "image/gif", 1);
        assert_eq!(text(kind, &none), Err(Unreadable::Type));
    }

    // MSRP-22
    #[test]
    fn texts_are_shown_and_the_rest_is_named() {
        let mixed = "--b\n\none\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b\n\
            content-type: text/plain; charset=utf-8\n\ntwo --b\n--b--";
        assert_eq!(
            text("multipart/mixed; boundary=\"b\"", mixed).as_deref(),
            Ok("one\n\n[image/png]\n\ntwo --b")
        );
        let pictures = "--b\nContent-Type: image/png\n\nx\n--b--";
        assert_eq!(
            text("multipart/mixed; boundary=b", pictures),
            Err(Unreadable::Type)
        );
    }

    // MSRP-22
    #[test]
    fn a_signature_is_dropped_and_what_is_encrypted_is_refused() {
        let signed = "--b\nContent-Type: text/plain\n\nsigned\n--b\nContent-Type: application/pkcs7-signature\n\nx\n--b--";
        assert_eq!(
            text("multipart/signed; boundary=b", signed).as_deref(),
            Ok("signed")
        );
        assert!(!is_one("multipart/encrypted; boundary=b"));
    }

    // SEC-14
    #[test]
    fn depth_and_number_are_bounded() {
        let mut body = "text".to_owned();
        let mut kind = "text/plain".to_owned();
        for depth in 0..10 {
            body = format!("--b{depth}\nContent-Type: {kind}\n\n{body}\n--b{depth}--");
            kind = format!("multipart/mixed; boundary=b{depth}");
        }
        assert_eq!(text(&kind, &body), Err(Unreadable::Type));
        let many = "--b\n\nx\n".repeat(1000) + "--b--";
        let shown = text("multipart/mixed; boundary=b", &many).unwrap();
        assert_eq!(shown.matches('x').count(), MOST_PARTS);
        for broken in [
            "",
            "--b",
            "--b\n",
            "--b--",
            "no delimiter",
            "--b\n\nnever ends",
        ] {
            assert!(
                text("multipart/mixed; boundary=b", broken).is_err(),
                "{broken}"
            );
        }
        assert_eq!(text("multipart/mixed", &many), Err(Unreadable::Multipart));
    }
}
