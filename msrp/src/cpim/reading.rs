//! CPIM as peers write it: lines may end in a bare line feed, names may go without quotes.

use bytes::Bytes;

use super::{Address, CORE, CpimError, Extension, Message, Name, escapes::unescaped};

const MOST_HEADERS: usize = 128;

pub(super) fn parse(bytes: &Bytes) -> Result<Message, CpimError> {
    let mut message = Message::default();
    let mut namespaces = Namespaces::default();
    let mut lines = Lines { bytes, count: 0 };
    while let Some(line) = lines.next_header()? {
        let (name, value) = line.split_once(':').ok_or(CpimError::MalformedHeader)?;
        if name.is_empty() || !name.chars().all(is_name_char) {
            return Err(CpimError::MalformedHeader);
        }
        read_header(
            &mut message,
            &mut namespaces,
            name,
            without_parameters(value),
        )?;
    }
    for (name, value) in content_headers(&mut lines)? {
        if !name.eq_ignore_ascii_case("Content-Type") {
            message.content_headers.push((name, value));
        } else if !value.is_empty() {
            // A second one must not become the first when this is written again.
            message.content_type.get_or_insert(value);
        }
    }
    message.body = if lines.bytes.is_empty() {
        Bytes::new()
    } else {
        bytes.slice_ref(lines.bytes)
    };
    Ok(message)
}

/// Of names and addresses. Control characters are not written again: without them one name could become another.
fn is_name_char(letter: char) -> bool {
    !letter.is_whitespace() && !letter.is_control()
}

pub(super) fn is_core_header(name: &str) -> bool {
    matches!(
        name,
        "From" | "To" | "cc" | "DateTime" | "Subject" | "NS" | "Require"
    )
}

fn read_header(
    message: &mut Message,
    namespaces: &mut Namespaces,
    name: &str,
    value: &str,
) -> Result<(), CpimError> {
    let (namespace, name) = namespaces.resolve(name);
    if namespace != CORE {
        message.extensions.push(Extension {
            name: Name {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            value: value.to_owned(),
        });
        return Ok(());
    }
    match name {
        "From" => {
            let from = address(value)?;
            message.from.get_or_insert(from);
        }
        "To" => message.to.push(address(value)?),
        "cc" => message.cc.push(address(value)?),
        "DateTime" => message.date_time = Some(value.to_owned()),
        "Subject" => {
            let subject = || unescaped(value).into_owned();
            message.subject.get_or_insert_with(subject);
        }
        "NS" => namespaces.declare(value)?,
        "Require" => {
            for name in value.split(',').map(str::trim) {
                if !name.chars().all(is_name_char) {
                    return Err(CpimError::MalformedHeader);
                }
                if !name.is_empty() {
                    let (namespace, name) = namespaces.resolve(name);
                    message.required.push(Name {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    });
                }
            }
        }
        // Unknown headers are passed over.
        _ => {}
    }
    Ok(())
}

/// Names and values of the content's headers, folded ones on one line.
fn content_headers(lines: &mut Lines<'_>) -> Result<Vec<(String, String)>, CpimError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    while let Some(line) = lines.next_header()? {
        if !line.starts_with([' ', '\t']) {
            let (name, value) = line.split_once(':').ok_or(CpimError::MalformedHeader)?;
            let name = name.trim_end();
            if name.is_empty() || !name.chars().all(is_name_char) {
                return Err(CpimError::MalformedHeader);
            }
            headers.push((name.to_owned(), value.trim().to_owned()));
        } else if let Some((_, value)) = headers.last_mut() {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(line.trim());
        }
    }
    Ok(headers)
}

/// The lines before the next empty one.
struct Lines<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Lines<'a> {
    /// The next line; `None` at the empty one, which is then behind us.
    fn next_header(&mut self) -> Result<Option<&'a str>, CpimError> {
        let end = memchr::memchr(b'\n', self.bytes).ok_or(CpimError::NoContent)?;
        let (line, rest) = self.bytes.split_at_checked(end).unwrap_or_default();
        self.bytes = rest.get(1..).unwrap_or_default();
        self.count = self.count.saturating_add(1);
        if self.count > MOST_HEADERS {
            return Err(CpimError::TooManyHeaders);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(None);
        }
        std::str::from_utf8(line)
            .map(Some)
            .map_err(|_| CpimError::NotUtf8)
    }
}

#[derive(Default)]
struct Namespaces {
    uri_by_prefix: Vec<(String, String)>,
    default: Option<String>,
}

impl Namespaces {
    /// `prefix <uri>`, or `<uri>` for names without prefix.
    fn declare(&mut self, value: &str) -> Result<(), CpimError> {
        let (prefix, rest) = value.split_once('<').ok_or(CpimError::MalformedHeader)?;
        let (uri, _) = rest.split_once('>').ok_or(CpimError::MalformedHeader)?;
        match prefix.trim() {
            "" => self.default = Some(uri.to_owned()),
            prefix => self.uri_by_prefix.push((prefix.to_owned(), uri.to_owned())),
        }
        Ok(())
    }

    /// The name's namespace, and the name without its prefix.
    fn resolve<'a>(&'a self, name: &'a str) -> (&'a str, &'a str) {
        let declared = name.split_once('.').and_then(|(prefix, rest)| {
            let mut declared = self.uri_by_prefix.iter().rev();
            let (_, uri) = declared.find(|(found, _)| found == prefix)?;
            Some((uri.as_str(), rest))
        });
        declared.unwrap_or(match &self.default {
            // NS must stay readable whatever the default is.
            Some(uri) if name != "NS" => (uri, name),
            _ => (CORE, name),
        })
    }
}

/// A header value after its parameters, which stand between colon and blank: `Subject:;lang=fr Objet`.
fn without_parameters(value: &str) -> &str {
    match value.strip_prefix(';') {
        Some(parameters) => parameters
            .split_once(' ')
            .map_or("", |(_, value)| value)
            .trim(),
        None => value.trim(),
    }
}

pub(super) fn address(value: &str) -> Result<Address, CpimError> {
    let malformed = CpimError::MalformedAddress;
    let (name, uri) = if let Some(quoted) = value.strip_prefix('"') {
        let end = closing_quote(quoted).ok_or(malformed)?;
        let (name, rest) = quoted.split_at_checked(end).ok_or(malformed)?;
        let rest = rest.strip_prefix('"').unwrap_or(rest);
        (Some(unescaped(name).into_owned()), rest.trim_start())
    } else {
        let (name, _) = value.split_once('<').ok_or(malformed)?;
        let uri = value.get(name.len()..).unwrap_or_default();
        let name = name.trim();
        (
            (!name.is_empty()).then(|| unescaped(name).into_owned()),
            uri,
        )
    };
    let uri = uri.strip_prefix('<').ok_or(malformed)?;
    let (uri, after) = uri.split_once('>').ok_or(malformed)?;
    if uri.is_empty() || uri.contains('<') || !uri.chars().all(is_name_char) {
        return Err(malformed);
    }
    // Some write the URI's parameters behind the bracket.
    let after = after.trim();
    let uri = match after.strip_prefix(';') {
        Some(parameters) if !parameters.is_empty() && !after.contains(char::is_whitespace) => {
            format!("{uri}{after}")
        }
        _ => uri.to_owned(),
    };
    Ok(Address { name, uri })
}

/// Where the quoted text ends: at the first quote without a backslash before it.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}
