//! URIs.

mod equivalence;
mod escape;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::grammar;
use crate::host::Host;
use crate::message::Transport;
use crate::params::Params;
use crate::text::{Text, Written, written_length};

/// The scheme of a URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`. RFC 3261 §19.1.
    Sip,
    /// `sips:`. RFC 3261 §19.1.
    Sips,
    /// `im:`. RFC 3860.
    Im,
    /// `pres:`. RFC 3859.
    Pres,
    /// `tel:`. RFC 3966.
    Tel,
    /// `xmpp:`. RFC 5122.
    Xmpp,
    /// Any other scheme as it was written.
    Other(Text),
}

impl Scheme {
    /// The scheme without its colon.
    pub fn as_str(&self) -> &str {
        match self {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Im => "im",
            Scheme::Pres => "pres",
            Scheme::Tel => "tel",
            Scheme::Xmpp => "xmpp",
            Scheme::Other(scheme) => scheme,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is no `scheme:` at the start.
    #[error("no scheme")]
    Scheme,
    /// White space, a control character, an angle bracket or a quote stands in it.
    #[error("a character that must be percent-encoded")]
    Character,
    /// What should be `host` or `host:port` is not.
    #[error("no valid host and port")]
    Host,
    /// There are more parameters than anybody needs.
    #[error("too many parameters")]
    Params,
    /// There is an `@` with nothing before it.
    #[error("an empty user")]
    User,
}

/// A URI. `sip`, `sips`, `im` and `pres` are taken apart into user, host and so on; of `tel` the number is the user and
/// there is no host; any other URI is a scheme and opaque text.
///
/// All parts are kept as they stood on the wire, percent-encoded. `==` compares them literally;
/// [`Uri::equivalent`] compares as SIP does. RFC 3261 §19.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: Scheme,
    user: Option<Text>,
    password: Option<Text>,
    host: Option<Host>,
    port: Option<u16>,
    params: Params,
    /// What follows `?`, without it.
    headers: Option<Text>,
    /// Everything after the scheme, where it was not taken apart.
    opaque: Option<Text>,
}

impl Uri {
    /// A URI from its parts. `user` is percent-encoded already; should a character stand in it that may not, it is encoded,
    /// so that text from users can never break out of the URI.
    pub fn new(scheme: Scheme, user: Option<&str>, host: Host) -> Self {
        Uri {
            scheme,
            user: user
                .filter(|user| !user.is_empty())
                .map(|user| Text::from(&*escape::escape_rest(user, escape::is_user_byte))),
            password: None,
            host: Some(host),
            port: None,
            params: Params::new(),
            headers: None,
            opaque: None,
        }
    }

    /// An `im` or `pres` URI as the `sip` URI of the same user and host; any other as it is. RFC 3428 §5, RFC 3861.
    pub fn into_sip(mut self) -> Self {
        if matches!(self.scheme, Scheme::Im | Scheme::Pres) {
            self.scheme = Scheme::Sip;
        }
        self
    }

    /// The same URI with this port.
    pub fn with_port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    /// The same URI with this parameter; characters that may not stand in a parameter are percent-encoded.
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        let value =
            value.map(|value| Text::from(&*escape::escape_rest(value, escape::is_param_byte)));
        let name = match name {
            // Devices are named in every message.
            "gr" => Text::from_static("gr"),
            name => Text::from(&*escape::escape_rest(name, escape::is_param_byte)),
        };
        self.params.set(name, value);
        self
    }

    /// The same URI without this parameter.
    pub fn without_param(mut self, name: &str) -> Self {
        self.params.remove(name);
        self
    }

    /// The same URI with one more header (`?name=value`); both are percent-encoded here.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let header = format!(
            "{}={}",
            escape::escape(name, escape::is_header_byte),
            escape::escape(value, escape::is_header_byte)
        );
        self.headers = Some(match self.headers {
            Some(headers) => Text::from(format!("{headers}&{header}")),
            None => Text::from(header),
        });
        self
    }

    /// The same URI without headers, as it may stand in a Request-URI. RFC 3261 §19.1.1, Table 1.
    pub fn without_headers(mut self) -> Self {
        self.headers = None;
        self
    }

    /// Reads a URI.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Self::cut(&Text::from(text), text)
    }

    /// Reads the URI `text`, which lies in `source`.
    pub(crate) fn cut(source: &Text, text: &str) -> Result<Self, UriError> {
        // All of them: so many are looked at as one.
        if text
            .bytes()
            .fold(false, |any, byte| any | is_forbidden(byte))
        {
            return Err(UriError::Character);
        }
        let (scheme, rest) = grammar::split_at(text, b':').ok_or(UriError::Scheme)?;
        let scheme = parse_scheme(source, scheme)?;
        let mut uri = Uri {
            scheme,
            user: None,
            password: None,
            host: None,
            port: None,
            params: Params::new(),
            headers: None,
            opaque: None,
        };
        match uri.scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Im | Scheme::Pres => {
                uri.cut_address(source, rest)?
            }
            Scheme::Tel => uri.cut_number(source, rest)?,
            Scheme::Xmpp | Scheme::Other(_) => uri.opaque = Some(source.cut(rest)),
        }
        Ok(uri)
    }

    /// `[user[:password]@]host[:port]*(;param)[?headers]`. A user may contain `;` and `?`, so the `@` is looked for first.
    fn cut_address(&mut self, source: &Text, text: &str) -> Result<(), UriError> {
        let rest = match grammar::split_at(text, b'@') {
            Some((userinfo, rest)) => {
                let (user, password) = match grammar::split_at(userinfo, b':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() {
                    return Err(UriError::User);
                }
                self.user = Some(source.cut(user));
                self.password = password.map(|password| source.cut(password));
                rest
            }
            None => text,
        };
        // Most have nothing behind the host.
        let host = match rest.bytes().position(|byte| matches!(byte, b';' | b'?')) {
            Some(end) => {
                let (host, rest) = rest.split_at_checked(end).ok_or(UriError::Host)?;
                self.cut_behind_host(source, rest)?;
                host
            }
            None => rest,
        };
        let (host, port) = Host::cut_with_port(source, host).ok_or(UriError::Host)?;
        self.host = Some(host);
        self.port = port;
        Ok(())
    }

    /// `*(;param)[?headers]`.
    fn cut_behind_host(&mut self, source: &Text, text: &str) -> Result<(), UriError> {
        let (params, headers) = match grammar::split_at(text, b'?') {
            Some((params, headers)) => (params, Some(headers)),
            None => (text, None),
        };
        self.headers = headers.map(|headers| source.cut(headers));
        if let Some(params) = params.strip_prefix(';') {
            self.params = Params::parse_uri(source, params).ok_or(UriError::Params)?;
        }
        Ok(())
    }

    /// `number*(;param)`.
    fn cut_number(&mut self, source: &Text, text: &str) -> Result<(), UriError> {
        let (number, params) = match grammar::split_at(text, b';') {
            Some((number, params)) => (
                number,
                Params::parse_uri(source, params).ok_or(UriError::Params)?,
            ),
            None => (text, Params::new()),
        };
        if number.is_empty() {
            return Err(UriError::User);
        }
        self.user = Some(source.cut(number));
        self.params = params;
        Ok(())
    }

    /// The scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The user (of `tel` the number), percent-encoded as on the wire.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user with its percent-encoding undone; `None` if there is none or what comes out is not UTF-8.
    pub fn user_decoded(&self) -> Option<Cow<'_, str>> {
        escape::decode(self.user()?)
    }

    /// The password, percent-encoded as on the wire.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The host; `None` for `tel` and opaque URIs.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port if one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A parameter's value as on the wire: `None` if there is no such parameter, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params.get(name)
    }

    /// All parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The `transport` parameter: `None` if there is none, `Some(Err(name))` if it names one this crate does not speak.
    pub fn transport(&self) -> Option<Result<Transport, &str>> {
        let name = self.param("transport")?.unwrap_or_default();
        Some(Transport::parse(name).ok_or(name))
    }

    /// Whether the `lr` parameter is there: a loose router. RFC 3261 §16.12.
    pub fn is_loose(&self) -> bool {
        self.params.contains("lr")
    }

    /// The headers (`?name=value&…`), percent-encoded as on the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .flat_map(|headers| headers.split('&'))
            .filter(|header| !header.is_empty())
            .map(|header| header.split_once('=').unwrap_or((header, "")))
    }

    /// A header's value with its percent-encoding undone; `None` if it is not there or what comes out is not UTF-8.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers()
            .find(|(n, _)| escape::decode(n).is_some_and(|n| n.eq_ignore_ascii_case(name)))
            .and_then(|(_, value)| escape::decode(value))
    }

    /// How many bytes it takes on the wire.
    pub fn wire_length(&self) -> usize {
        written_length(self)
    }

    /// Everything after the colon of a URI that was not taken apart.
    pub fn opaque(&self) -> Option<&str> {
        self.opaque.as_deref()
    }

    /// Whether both name the same resource by the rules of SIP: users decoded and with case, hosts without, parameters that
    /// change the resource on both sides or on none. RFC 3261 §19.1.4.
    pub fn equivalent(&self, other: &Uri) -> bool {
        equivalence::equivalent(self, other)
    }
}

/// What stands in no URI: controls, white space, quotes, angle brackets.
fn is_forbidden(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'"' | b'<' | b'>' | 0x7f)
}

fn parse_scheme(source: &Text, text: &str) -> Result<Scheme, UriError> {
    for scheme in [
        Scheme::Sip,
        Scheme::Sips,
        Scheme::Im,
        Scheme::Pres,
        Scheme::Tel,
        Scheme::Xmpp,
    ] {
        if scheme.as_str().eq_ignore_ascii_case(text) {
            return Ok(scheme);
        }
    }
    let starts_with_letter = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if starts_with_letter
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    {
        Ok(Scheme::Other(source.cut(text)))
    } else {
        Err(UriError::Scheme)
    }
}

impl Written for Uri {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self.scheme.as_str())?;
        out.write_str(":")?;
        if let Some(opaque) = &self.opaque {
            return out.write_str(opaque);
        }
        if let Some(user) = &self.user {
            out.write_str(user)?;
            if let Some(password) = &self.password {
                out.write_str(":")?;
                out.write_str(password)?;
            }
        }
        if let Some(host) = &self.host {
            if self.user.is_some() {
                out.write_str("@")?;
            }
            host.write(out)?;
            if let Some(port) = self.port {
                out.write_str(":")?;
                grammar::write_decimal(out, port.into())?;
            }
        }
        self.params.write(out)?;
        if let Some(headers) = &self.headers {
            out.write_str("?")?;
            out.write_str(headers)?;
        }
        Ok(())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Uri::parse(text)
    }
}

#[cfg(test)]
mod tests;
