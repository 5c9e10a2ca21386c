//! The link to the XMPP server against a scripted one. DISCO-01, CHAT-38.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stox::address::Jid;
use stox::xmpp::{
    Confirmation, Handler, Link, LinkConfig, LinkEvent, LinkRefused, MessageType, Outgoing,
    OutgoingMessage, Stanza, StanzaError, spawn,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const H: &str = "sip.example.com";
const SECONDS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn stanzas_both_ways() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;

    server.write("<message from='juliet@example.com/balcony' to='romeo%example.net@sip.example.com' type='chat'><body>Art thou").await;
    server.write(" not Romeo?</body></message>").await;
    bench.expect("message Art thou not Romeo?").await;

    bench.send("Neither, fair saint", Some("m1"));
    let heard = server.read_until("id=\"sync-1\"").await;
    assert!(
        heard.contains("<body>Neither, fair saint</body>"),
        "{heard}"
    );
    assert!(!heard.contains("<delay"), "{heard}");
    bench.expect_nothing().await;
    server
        .write("<iq type='result' id='sync-1' from='sip.example.com' to='sip.example.com'/>")
        .await;
    bench.expect("confirmed m1").await;
}

// IM-05: what a server answers before it takes the marker comes before the confirmation.
#[tokio::test]
async fn confirmations_keep_their_place_among_stanzas() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    bench.send("to nobody", Some("m1"));
    server.read_until("id=\"sync-1\"").await;
    server
        .write(
            "<message type='error' from='nobody@example.com' to='romeo%example.net@sip.example.com'><body>bounced</body></message>\
             <iq type='result' id='sync-1' from='sip.example.com' to='sip.example.com'/>",
        )
        .await;
    bench.expect("message bounced").await;
    bench.expect("confirmed m1").await;
}

// CHAT-38
#[tokio::test]
async fn a_lost_connection_comes_back_with_what_waits() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    bench.send("written", Some("m1"));
    server.read_until("id=\"sync-1\"").await;
    drop(server);
    bench.expect("lost m1").await;
    bench.expect("down").await;
    bench.send("waits", Some("m2"));

    let begin = Instant::now();
    let mut server = bench.accept().await;
    // The first attempt comes within a second; the rest is the login.
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    bench.expect("up").await;
    let heard = server.read_until("id=\"sync-2\"").await;
    assert!(heard.contains("<body>waits</body>"), "{heard}");
    assert!(heard.contains("<delay xmlns=\"urn:xmpp:delay\""), "{heard}");
    assert!(!heard.contains("written"), "{heard}");
    server
        .write("<iq type='result' id='sync-2' from='sip.example.com' to='sip.example.com'/>")
        .await;
    bench.expect("confirmed m2").await;
}

// CHAT-38
#[tokio::test]
async fn an_error_whose_connection_broke_comes_again() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    let from = Jid::parse("romeo%example.net@sip.example.com").unwrap();
    let to = Jid::parse("juliet@example.com/balcony").unwrap();
    let error = Outgoing::message_error(&from, &to, Some("e1"), StanzaError::default());
    bench.link.send(error, None).unwrap();
    server.read_until("id=\"sync-1\"").await;
    drop(server);
    bench.expect("down").await;

    let mut server = bench.accept().await;
    bench.expect("up").await;
    let heard = server.read_until("id=\"sync-2\"").await;
    assert!(heard.contains("id=\"e1\" type=\"error\""), "{heard}");
    server
        .write("<iq type='result' id='sync-2' from='sip.example.com' to='sip.example.com'/></stream:stream>")
        .await;
    bench.expect("down").await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    bench.send("afterwards", Some("m1"));
    let heard = server.read_until("id=\"sync-3\"").await;
    assert!(!heard.contains("e1"), "{heard}");
}

// DISCO-01
#[tokio::test]
async fn stream_errors_and_the_end_of_the_stream_lead_to_a_new_one() {
    let mut bench = Bench::start().await;
    for end in [
        "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
        "</stream:stream>",
    ] {
        let mut server = bench.accept().await;
        bench.expect("up").await;
        server.write(end).await;
        bench.expect("down").await;
    }
    bench.accept().await;
    bench.expect("up").await;
}

#[tokio::test]
async fn a_server_that_comes_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::connect_to(address, None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.listener = Some(TcpListener::bind(address).await.unwrap());
    let _server = bench.accept().await;
    bench.expect("up").await;
}

// Nothing a server lets through ends the link; what cannot be handed on is told to its sender.
#[tokio::test]
async fn nothing_a_user_sends_ends_the_link() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;

    let deep = format!("{}{}", "<a>".repeat(3000), "</a>".repeat(3000));
    let long = "x".repeat(9000);
    let to = "to='romeo%example.net@sip.example.com'";
    for (stanza, outcome) in [
        (
            format!("<message from='juliet@example.com/📱' {to}><body>emoji</body></message>"),
            Ok("message emoji"),
        ),
        (
            format!("<message from='😀@example.com/x' {to}><body>emoji</body></message>"),
            Ok("message emoji"),
        ),
        (
            format!("<presence from='a@b/c' {to}><show>online</show></presence>"),
            Ok("presence"),
        ),
        (
            format!("<message type='foo' from='a@b/c' {to}><body>foo</body></message>"),
            Ok("message foo"),
        ),
        (
            "<message from='a@b/c' to='romeo\\@sip.example.com'><body>backslash</body></message>"
                .into(),
            Ok("message backslash"),
        ),
        (
            format!("<message id='{long}' from='a@b/c' {to}><body>long</body></message>"),
            Ok("message long"),
        ),
        (
            format!("<message from='a@b/c' {to}><a b='{long}'/><body>long</body></message>"),
            Ok("message long"),
        ),
        (" \n ".into(), Err(None)),
        ("<!-- x --><?y?>".into(), Err(None)),
        (
            format!("<iq type='result' id='none' from='a@b/c' {to}/>"),
            Err(None),
        ),
        ("<handshake/>".into(), Err(None)),
        (
            format!("<message type='error' id='e' from='a@b/c' {to}>{deep}</message>"),
            Err(None),
        ),
        (
            format!("<message id='deep' from='a@b/c' {to}>{deep}</message>"),
            Err(Some("policy-violation")),
        ),
        (
            format!(
                "<message id='m' from='a@b/c' {to}><body>{}</body></message>",
                "x".repeat(1 << 20)
            ),
            Err(Some("policy-violation")),
        ),
        (
            "<message from='a@b/c' to='@sip.example.com'><body>x</body></message>".into(),
            Err(Some("jid-malformed")),
        ),
        (
            format!("<iq type='get' from='a@b/c' {to}><query xmlns='urn:unknown'/></iq>"),
            Err(Some("service-unavailable")),
        ),
        (format!("<iq from='a@b/c' {to}/>"), Err(Some("bad-request"))),
        (
            format!("<presence type='foo' from='a@b/c' {to}/>"),
            Err(Some("bad-request")),
        ),
        (
            format!("<message from='a@b/c' {to}><body>&undeclared;</body></message>"),
            Err(Some("bad-request")),
        ),
    ] {
        server.write(&stanza).await;
        match outcome {
            Ok(event) => bench.expect(event).await,
            Err(None) => {}
            Err(Some(condition)) => {
                let reply = server.read_until("</error>").await;
                assert!(
                    reply.contains(&format!("<{condition} ")),
                    "{stanza:.120}: {reply}"
                );
            }
        }
    }
    server.write("<iq type='get' id='p1' from='a@b/c' to='sip.example.com'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let reply = server.read_until("</iq>").await;
    assert!(reply.contains("id=\"p1\" type=\"result\""), "{reply}");
    bench.expect_nothing().await;
}

// SEC-05, DISCO-01
#[tokio::test]
async fn a_refused_secret_is_not_tried_again_at_once() {
    let mut bench = Bench::start().await;
    let refusal = "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
    let server = bench.accept_with(refusal).await;
    drop(server);
    let again = timeout(
        Duration::from_secs(3),
        bench.listener.as_ref().unwrap().accept(),
    )
    .await;
    assert!(again.is_err(), "tried again within 3 s");
}

#[tokio::test]
async fn closing_writes_confirms_and_says_goodbye() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    bench.send("last words", Some("m1"));
    let link = bench.link.clone();
    let closing = tokio::spawn(async move { link.close(SECONDS).await });
    server.read_until("id=\"sync-1\"").await;
    server
        .write("<iq type='result' id='sync-1' from='sip.example.com' to='sip.example.com'/>")
        .await;
    bench.expect("confirmed m1").await;
    server.read_until("</stream:stream>").await;
    server.write("</stream:stream>").await;
    bench.expect("down").await;
    timeout(SECONDS, closing).await.unwrap().unwrap();
    assert!(bench.link.send(message("late"), None).is_err());
}

#[tokio::test]
async fn closing_is_bounded() {
    let mut bench = Bench::start().await;
    let mut server = bench.accept().await;
    bench.expect("up").await;
    bench.send("never confirmed", Some("m1"));
    server.read_until("id=\"sync-1\"").await;
    let begin = Instant::now();
    bench.link.close(Duration::from_millis(200)).await;
    assert!(begin.elapsed() < Duration::from_secs(2));
    bench.expect("lost m1").await;
}

#[tokio::test]
async fn closing_without_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bench = Bench::connect_to(listener.local_addr().unwrap(), None);
    drop(listener);
    bench.send("nowhere to go", Some("m1"));
    bench.link.close(SECONDS).await;
    bench.expect("lost m1").await;
}

#[tokio::test]
async fn no_domain_no_link() {
    let (events, mut heard) = mpsc::unbounded_channel();
    let config = LinkConfig::new("127.0.0.1:1", "not a domain", "secret");
    let link = spawn(config, Recorder(events.clone()));
    let refused = link.send(message("x"), Some(Witness("m1", events)));
    assert!(matches!(refused.unwrap_err(), LinkRefused::Closed(Some(_))));
    link.close(SECONDS).await;
    assert!(heard.try_recv().is_err());
}

/// A link, what it says, and where its server listens.
struct Bench {
    link: Link<Witness>,
    events: mpsc::UnboundedSender<String>,
    heard: mpsc::UnboundedReceiver<String>,
    listener: Option<TcpListener>,
}

impl Bench {
    async fn start() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Bench::connect_to(listener.local_addr().unwrap(), Some(listener))
    }

    fn connect_to(address: SocketAddr, listener: Option<TcpListener>) -> Bench {
        let (events, heard) = mpsc::unbounded_channel();
        let config = LinkConfig::new(address.to_string(), H, "secret");
        let link = spawn(config, Recorder(events.clone()));
        Bench {
            link,
            events,
            heard,
            listener,
        }
    }

    async fn accept(&mut self) -> Server {
        self.accept_with("<handshake/>").await
    }

    async fn accept_with(&mut self, answer: &str) -> Server {
        let listener = self.listener.as_ref().unwrap();
        let (stream, _) = timeout(SECONDS, listener.accept()).await.unwrap().unwrap();
        let mut server = Server {
            stream,
            heard: String::new(),
        };
        server.read_until("to='sip.example.com'").await;
        server
            .write("<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='sip.example.com' id='i1'>")
            .await;
        // SHA-1 of "i1" and "secret".
        server
            .read_until("<handshake>8d5fdc7475fb9a0819568fe78e6e07af09890a5c</handshake>")
            .await;
        server.write(answer).await;
        server
    }

    fn send(&self, body: &str, confirmation: Option<&'static str>) {
        let confirmation = confirmation.map(|name| Witness(name, self.events.clone()));
        self.link.send(message(body), confirmation).unwrap();
    }

    async fn expect(&mut self, event: &str) {
        let heard = timeout(SECONDS, self.heard.recv()).await;
        assert_eq!(
            heard.as_ref().ok().and_then(|heard| heard.as_deref()),
            Some(event)
        );
    }

    async fn expect_nothing(&mut self) {
        let heard = timeout(Duration::from_millis(50), self.heard.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

fn message(body: &str) -> Outgoing {
    let from = Jid::parse("romeo%example.net@sip.example.com/orchard").unwrap();
    let to = Jid::parse("juliet@example.com").unwrap();
    OutgoingMessage::new(&from, &to, MessageType::Chat)
        .body(body)
        .into()
}

/// The server's end of one connection.
struct Server {
    stream: TcpStream,
    heard: String,
}

impl Server {
    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to this text, and returns all before it and it.
    async fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(end) {
                let rest = self.heard.split_off(at + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let mut piece = [0; 4096];
            let read = timeout(SECONDS, self.stream.read(&mut piece)).await;
            match read {
                Ok(Ok(length @ 1..)) => self
                    .heard
                    .push_str(std::str::from_utf8(&piece[..length]).unwrap()),
                other => panic!("{other:?} instead of {end} after {}", self.heard),
            }
        }
    }
}

struct Recorder(mpsc::UnboundedSender<String>);

impl Handler for Recorder {
    fn handle(&mut self, event: LinkEvent) {
        let text = match event {
            LinkEvent::Up => "up".into(),
            LinkEvent::Down => "down".into(),
            LinkEvent::Stanza(Stanza::Message(message), _) => {
                format!(
                    "message {}",
                    message
                        .body()
                        .map(|body| body.text.as_str())
                        .unwrap_or_default()
                )
            }
            LinkEvent::Stanza(Stanza::Presence(_), _) => "presence".into(),
            LinkEvent::Stanza(Stanza::Iq(_), _) => "iq".into(),
        };
        let _ = self.0.send(text);
    }
}

#[derive(Debug)]
struct Witness(&'static str, mpsc::UnboundedSender<String>);

impl Confirmation for Witness {
    fn confirmed(self) {
        let _ = self.1.send(format!("confirmed {}", self.0));
    }

    fn lost(self) {
        let _ = self.1.send(format!("lost {}", self.0));
    }
}
