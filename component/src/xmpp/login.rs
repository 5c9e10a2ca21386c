//! Opening the stream: header, handshake, and which of the possible refusals happened. XEP-0114 §3, SEC-05.
//!
//! Header and handshake go through the typed stream of tokio-xmpp, which only borrows the connection: afterwards
//! `framing` goes on with it, and with what was read beyond the server's handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_xmpp::xmlstream::{
    ReadError, StreamHeader, Timeouts, XmlStream, XmppStreamElement, initiate_stream,
};
use xmpp_parsers::component::Handshake;
use xmpp_parsers::stream_error::{DefinedCondition, StreamError};

use super::{framing, ns};

/// At most so much of what the server says is kept to find its stream header in.
const HEADER: usize = 16 * 1024;
/// The whole login is bounded by the caller; the typed stream has no say in it.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A stream that the server has accepted.
#[derive(Debug)]
pub(super) struct LoggedIn<S> {
    pub(super) stream: S,
    /// What was read beyond the server's handshake.
    pub(super) read_ahead: BytesMut,
    /// Namespaces that the server's stream header declares: prefix, or none, and name.
    pub(super) namespaces: Vec<(Option<String>, String)>,
}

/// Why the server did not accept us.
#[derive(Debug, Error)]
pub(super) enum LoginError {
    /// No stream came about.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer within the time for a login.
    #[error("the XMPP server does not answer")]
    TimedOut,
    /// The server went away in the middle of the login. Servers that give no reason do so for a wrong secret, too.
    #[error("the XMPP server closed the connection during the login, without a reason")]
    Closed,
    /// Wrong secret; ejabberd says the same of a domain it does not know.
    #[error("the XMPP server does not accept xmpp.secret for the domain xmpp.domain{}", words(.0))]
    WrongSecret(Option<String>),
    /// The server knows no component of that domain.
    #[error("the XMPP server has no component of the domain xmpp.domain{}", words(.0))]
    HostUnknown(Option<String>),
    /// Another connection holds the domain.
    #[error("another component is connected for the domain xmpp.domain{}", words(.0))]
    Conflict(Option<String>),
    /// Any other stream error.
    #[error("the XMPP server ended the stream: {condition}{}", words(.text))]
    Refused {
        /// Name of the defined condition.
        condition: String,
        /// The server's words.
        text: Option<String>,
    },
    /// This is no component port.
    #[error("xmpp.server does not speak the component protocol: {0}")]
    Protocol(String),
}

impl LoginError {
    /// Whether only an operator can lift it.
    pub(super) fn needs_operator(&self) -> bool {
        match self {
            LoginError::WrongSecret(_)
            | LoginError::HostUnknown(_)
            | LoginError::Conflict(_)
            | LoginError::Protocol(_) => true,
            LoginError::Refused { condition, .. } => condition != "system-shutdown",
            LoginError::Io(_) | LoginError::TimedOut | LoginError::Closed => false,
        }
    }
}

/// Opens the stream of the component `domain` and proves that we know the secret.
pub(super) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    domain: &str,
    secret: &str,
) -> Result<LoggedIn<S>, LoginError> {
    let mut transport = Transport::new(stream);
    match introduce(&mut transport, domain, secret).await {
        Ok(()) => Ok(LoggedIn {
            namespaces: namespaces(&transport.said),
            stream: transport.stream,
            read_ahead: transport.unread,
        }),
        // The typed stream takes an early end for a syntax error.
        Err(LoginError::Protocol(_)) if transport.ended => Err(LoginError::Closed),
        Err(error) => Err(error),
    }
}

async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut Transport<S>,
    domain: &str,
    secret: &str,
) -> Result<(), LoginError> {
    let header = StreamHeader {
        to: Some(domain.into()),
        ..StreamHeader::default()
    };
    let timeouts = Timeouts {
        read_timeout: PATIENCE,
        response_timeout: PATIENCE,
    };
    let mut pending = initiate_stream(transport, ns::COMPONENT, header, timeouts)
        .await
        .map_err(failed)?;
    let id = pending.take_header().id;
    let mut stream: XmlStream<&mut Transport<S>, XmppStreamElement> = pending.skip_features();
    let sent = match id {
        Some(id) => {
            let proof = Handshake::from_stream_id_and_password(id.into_owned(), secret);
            stream
                .send(&XmppStreamElement::ComponentHandshake(proof))
                .await
        }
        // The server refuses us at once, and its reason follows.
        None => Ok(()),
    };
    // A reason the server has given is worth more than that it does not listen any more.
    match stream.next().await {
        Some(Ok(XmppStreamElement::ComponentHandshake(_))) => Ok(()),
        Some(Ok(XmppStreamElement::StreamError(error))) => Err(refusal(error.0)),
        Some(Ok(_)) => Err(LoginError::Protocol("a stanza before the login".to_owned())),
        Some(Err(ReadError::ParseError(error))) => Err(LoginError::Protocol(error.to_string())),
        Some(Err(ReadError::SoftTimeout)) => Err(LoginError::TimedOut),
        Some(Err(ReadError::HardError(error))) => Err(failed(error)),
        Some(Err(ReadError::StreamFooterReceived)) | None => {
            sent?;
            Err(LoginError::Closed)
        }
    }
}

fn failed(error: io::Error) -> LoginError {
    match error.kind() {
        io::ErrorKind::InvalidData => LoginError::Protocol(error.to_string()),
        io::ErrorKind::UnexpectedEof => LoginError::Closed,
        _ => LoginError::Io(error),
    }
}

fn refusal(error: StreamError) -> LoginError {
    let text = error.texts.into_values().next();
    match error.condition {
        DefinedCondition::NotAuthorized => LoginError::WrongSecret(text),
        DefinedCondition::HostUnknown | DefinedCondition::HostGone => LoginError::HostUnknown(text),
        DefinedCondition::Conflict => LoginError::Conflict(text),
        condition => LoginError::Refused {
            condition: condition.to_string(),
            text,
        },
    }
}

fn words(text: &Option<String>) -> String {
    text.as_ref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default()
}

/// The namespaces of the stream header in what the server said; the usual ones if it cannot be found.
fn namespaces(said: &[u8]) -> Vec<(Option<String>, String)> {
    declared(said).unwrap_or_else(|| {
        vec![
            (None, ns::COMPONENT.to_owned()),
            (Some("stream".to_owned()), ns::STREAM.to_owned()),
        ]
    })
}

fn declared(said: &[u8]) -> Option<Vec<(Option<String>, String)>> {
    let start = memchr::memmem::find_iter(said, b"<").find(|at| said.get(at + 1) != Some(&b'?'))?;
    let header = said.get(start..)?;
    let header = header.get(..framing::opening_end(header)?)?;
    let header = std::str::from_utf8(header).ok()?.strip_suffix('>')?;
    let header = format!("{header}/>");
    let document = roxmltree::Document::parse(&header).ok()?;
    let namespaces = document
        .root_element()
        .namespaces()
        .map(|namespace| {
            (
                namespace.name().map(str::to_owned),
                namespace.uri().to_owned(),
            )
        })
        .collect();
    Some(namespaces)
}

/// A connection that keeps what the typed stream has not used of what was read.
struct Transport<S> {
    stream: S,
    unread: BytesMut,
    /// The beginning of what the server said.
    said: Vec<u8>,
    /// The server has closed the connection.
    ended: bool,
}

impl<S> Transport<S> {
    fn new(stream: S) -> Transport<S> {
        Transport {
            stream,
            unread: BytesMut::new(),
            said: Vec::new(),
            ended: false,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncBufRead for Transport<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            let mut piece = [0; 4096];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
            this.ended = piece.filled().is_empty();
            this.unread.extend_from_slice(piece.filled());
        }
        Poll::Ready(Ok(&this.unread))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        let used = this.unread.get(..amount).unwrap_or_default();
        let room = HEADER.saturating_sub(this.said.len()).min(used.len());
        this.said
            .extend_from_slice(used.get(..room).unwrap_or_default());
        this.unread.advance(amount.min(this.unread.len()));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = piece.len().min(out.remaining());
        out.put_slice(piece.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='sip.example.com' id='i1'>";

    /// Logs in at a server that sends these pieces, each after it has read something.
    async fn with_server(
        pieces: &[&str],
    ) -> (
        Result<LoggedIn<tokio::io::DuplexStream>, LoginError>,
        String,
    ) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let server = async {
            let mut heard = BytesMut::new();
            for piece in pieces {
                let before = heard.len();
                while heard.len() == before || !heard.ends_with(b">") {
                    theirs.read_buf(&mut heard).await.unwrap();
                }
                theirs.write_all(piece.as_bytes()).await.unwrap();
            }
            drop(theirs);
            String::from_utf8(heard.to_vec()).unwrap()
        };
        tokio::join!(log_in(ours, "sip.example.com", "secret"), server)
    }

    async fn error(pieces: &[&str]) -> LoginError {
        with_server(pieces).await.0.unwrap_err()
    }

    // SEC-05: SHA-1 of "i1" + "secret", in lower-case hexadecimals.
    #[tokio::test]
    async fn proves_the_secret_and_loses_no_byte() {
        let (logged_in, heard) =
            with_server(&[HEADER, "<handshake/><message from='a'/> <iq"]).await;
        let logged_in = logged_in.unwrap();
        assert_eq!(&logged_in.read_ahead[..], b"<message from='a'/> <iq");
        assert!(heard.contains("to='sip.example.com'"), "{heard}");
        assert!(
            heard.contains("<handshake>8d5fdc7475fb9a0819568fe78e6e07af09890a5c</handshake>"),
            "{heard}"
        );
        let mut namespaces = logged_in.namespaces;
        namespaces.retain(|(prefix, _)| prefix.as_deref() != Some("xml"));
        namespaces.sort();
        assert_eq!(
            namespaces,
            [
                (None, ns::COMPONENT.to_owned()),
                (Some("db".to_owned()), "jabber:server:dialback".to_owned()),
                (Some("stream".to_owned()), ns::STREAM.to_owned()),
            ]
        );
    }

    #[tokio::test]
    async fn every_split_of_the_answer() {
        for handshake in [
            "<handshake/>",
            "<handshake></handshake>",
            "<handshake xmlns='jabber:component:accept'/>",
        ] {
            let answer = format!("{handshake}<message/>");
            for at in 1..handshake.len() + 3 {
                let (ours, mut theirs) = tokio::io::duplex(1 << 20);
                let (first, second) = answer.split_at(at);
                let server = async {
                    let mut heard = BytesMut::with_capacity(1000);
                    theirs.read_buf(&mut heard).await.unwrap();
                    theirs.write_all(HEADER.as_bytes()).await.unwrap();
                    while !heard.ends_with(b"</handshake>") {
                        theirs.read_buf(&mut heard).await.unwrap();
                    }
                    theirs.write_all(first.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                    theirs.write_all(second.as_bytes()).await.unwrap();
                    theirs
                };
                let (logged_in, _theirs) =
                    tokio::join!(log_in(ours, "sip.example.com", "secret"), server);
                let mut logged_in = logged_in.unwrap();
                let mut rest = logged_in.read_ahead;
                while rest.len() < "<message/>".len() {
                    logged_in.stream.read_buf(&mut rest).await.unwrap();
                }
                assert_eq!(&rest[..], b"<message/>", "{first}|{second}");
            }
        }
    }

    #[tokio::test]
    async fn tells_the_refusals_apart() {
        let stream_error = |condition: &str| {
            format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>words</text></stream:error></stream:stream>"
            )
        };
        let not_authorized = error(&[HEADER, &stream_error("not-authorized")]).await;
        assert!(
            matches!(not_authorized, LoginError::WrongSecret(Some(ref words)) if words == "words")
        );
        assert!(not_authorized.needs_operator());
        assert_eq!(
            not_authorized.to_string(),
            "the XMPP server does not accept xmpp.secret for the domain xmpp.domain: words"
        );
        let conflict = error(&[HEADER, &stream_error("conflict")]).await;
        assert!(matches!(conflict, LoginError::Conflict(_)));
        // Refused with the header already, with and without a stream id.
        for header in [HEADER.to_owned(), HEADER.replace(" id='i1'", "")] {
            let unknown = error(&[&(header + &stream_error("host-unknown"))]).await;
            assert!(matches!(unknown, LoginError::HostUnknown(_)), "{unknown}");
        }
        let shutdown = error(&[HEADER, &stream_error("system-shutdown")]).await;
        assert!(matches!(shutdown, LoginError::Refused { .. }));
        assert!(!shutdown.needs_operator());
    }

    #[tokio::test]
    async fn servers_that_are_none() {
        for pieces in [
            &["<html>"][..],
            &[HEADER, "<handshake>no</handshake>"],
            &[HEADER, "<unknown/>"],
        ] {
            let error = error(pieces).await;
            assert!(
                matches!(error, LoginError::Protocol(_) | LoginError::Io(_)),
                "{pieces:?}: {error:?}"
            );
        }
        // What is no XML at all may look like a connection that ended too early.
        error(&["HTTP/1.1 400 Bad Request\r\n\r\n"]).await;
        let early = error(&[""]).await;
        assert!(matches!(early, LoginError::Closed), "{early:?}");
        let closed = error(&[HEADER, ""]).await;
        assert!(
            matches!(closed, LoginError::Closed | LoginError::Io(_)),
            "{closed:?}"
        );
        let ended = error(&[HEADER, "</stream:stream>"]).await;
        assert!(matches!(ended, LoginError::Closed), "{ended:?}");
    }
}
