//! The sockets of a run: one component for all XMPP users, SIP by TCP, and MSRP, in one thread.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::component::{Component, attribute, flush, read_all, scratch};
use crate::wire::{self, put};

const XMPP: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;

/// What the gateway said.
pub enum Heard {
    /// A stanza to one of the XMPP users.
    Stanza(String),
    /// A SIP message, and the connection that it came by.
    Sip(usize, Vec<u8>),
    /// An MSRP request or response, and the connection that it came by.
    Msrp(usize, Vec<u8>),
    /// The connection is gone.
    Closed(usize),
}

/// What is spoken over a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Sip,
    Msrp,
}

/// All sockets.
pub struct Stage {
    poll: Poll,
    xmpp: Component,
    listener: TcpListener,
    /// Where SIP is listened for.
    pub port: u16,
    connections: Vec<Option<Connection>>,
    /// Connections with something to write.
    dirty: Vec<usize>,
    scratch: Box<[u8]>,
    /// Where goes what is said to a connection that is gone.
    nowhere: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    speaks: Speaks,
    read: Vec<u8>,
    to_write: Vec<u8>,
}

impl Stage {
    /// Logs in with the server, listens for the gateway.
    pub fn new(server: SocketAddr, port: u16) -> io::Result<Stage> {
        let poll = Poll::new()?;
        let mut xmpp = Component::log_in(server, wire::USERS)?;
        let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(xmpp.source(), XMPP, both)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Stage {
            poll,
            xmpp,
            listener,
            port,
            connections: Vec::new(),
            dirty: Vec::new(),
            scratch: scratch(),
            nowhere: Vec::new(),
        })
    }

    /// Connects; what is written waits until the connection is there.
    pub fn connect(&mut self, address: SocketAddr, speaks: Speaks) -> io::Result<usize> {
        let stream = TcpStream::connect(address)?;
        self.add(stream, speaks)
    }

    /// Where to put what is to be said to the server.
    pub fn xmpp(&mut self) -> &mut Vec<u8> {
        self.xmpp.out()
    }

    /// Where to put what is to be said over a connection.
    pub fn out(&mut self, at: usize) -> &mut Vec<u8> {
        match self.connections.get_mut(at) {
            Some(Some(connection)) => {
                if connection.to_write.is_empty() {
                    self.dirty.push(at);
                }
                &mut connection.to_write
            }
            _ => {
                self.nowhere.clear();
                &mut self.nowhere
            }
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, at: usize) {
        if let Some(connection) = self.connections.get_mut(at) {
            *connection = None;
        }
    }

    /// Writes what waits, waits for what comes for so long at most, and reads it.
    pub fn listen(&mut self, wait: Duration) -> io::Result<Vec<Heard>> {
        self.flush()?;
        let mut events = Events::with_capacity(1024);
        let mut heard = Vec::new();
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(heard),
            result => result?,
        }
        for event in &events {
            match event.token() {
                XMPP if event.is_readable() => self.read_xmpp(&mut heard)?,
                XMPP => {}
                LISTENER => self.accept()?,
                Token(token) => {
                    let at = token - FIRST_CONNECTION;
                    if event.is_readable() {
                        self.read(at, &mut heard);
                    }
                    if event.is_writable() {
                        self.dirty.push(at);
                    }
                }
            }
        }
        Ok(heard)
    }

    /// Asks the server for the gateway until that answers.
    pub fn await_gateway(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            put(
                self.xmpp(),
                format_args!(
                    "<iq type='get' from='u00000@{}/balcony' to='{}' id='there'>\
                     <query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
                    wire::USERS,
                    wire::GATEWAY
                ),
            );
            let until = Instant::now() + Duration::from_millis(200);
            while Instant::now() < until {
                for heard in self.listen(Duration::from_millis(50))? {
                    if let Heard::Stanza(stanza) = heard
                        && stanza.starts_with("<iq")
                        && attribute(&stanza, " type=") == Some("result")
                    {
                        return Ok(());
                    }
                }
            }
        }
        Err(io::Error::other("the gateway does not answer"))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.xmpp.flush()?;
        for at in std::mem::take(&mut self.dirty) {
            if let Some(Some(connection)) = self.connections.get_mut(at)
                && flush(&mut connection.stream, &mut connection.to_write).is_err()
            {
                self.close(at);
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.add(stream, Speaks::Sip)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream, speaks: Speaks) -> io::Result<usize> {
        let at = self.connections.len();
        let both = Interest::READABLE | Interest::WRITABLE;
        let token = Token(FIRST_CONNECTION + at);
        self.poll.registry().register(&mut stream, token, both)?;
        self.connections.push(Some(Connection {
            stream,
            speaks,
            read: Vec::new(),
            to_write: Vec::new(),
        }));
        Ok(at)
    }

    fn read_xmpp(&mut self, heard: &mut Vec<Heard>) -> io::Result<()> {
        self.xmpp.fill()?;
        while let Some((begin, end)) = self.xmpp.next() {
            let stanza = self.xmpp.bytes().get(begin..end).unwrap_or_default();
            heard.push(Heard::Stanza(String::from_utf8_lossy(stanza).into_owned()));
        }
        Ok(())
    }

    fn read(&mut self, at: usize, heard: &mut Vec<Heard>) {
        let Some(Some(connection)) = self.connections.get_mut(at) else {
            return;
        };
        let Connection {
            stream,
            speaks,
            read,
            ..
        } = connection;
        let end = read_all(stream, &mut self.scratch, read);
        let mut taken = 0;
        loop {
            let rest = read.get(taken..).unwrap_or_default();
            let length = match *speaks {
                Speaks::Sip => sip_length(rest),
                Speaks::Msrp => wire::frame(rest).map(|frame| frame.bytes.len()),
            };
            let Some(whole) = length.and_then(|length| rest.get(..length)) else {
                break;
            };
            taken += whole.len();
            heard.push(match *speaks {
                Speaks::Sip => Heard::Sip(at, whole.to_vec()),
                Speaks::Msrp => Heard::Msrp(at, whole.to_vec()),
            });
        }
        read.drain(..taken);
        if end.is_err() {
            self.close(at);
            heard.push(Heard::Closed(at));
        }
    }
}

/// Bytes of the message at the beginning, with the empty lines before it; none before its head is there.
fn sip_length(read: &[u8]) -> Option<usize> {
    let before = read
        .iter()
        .take_while(|byte| b"\r\n".contains(byte))
        .count();
    let message = read.get(before..)?;
    let head = memmem::find(message, b"\r\n\r\n")? + 4;
    let length = wire::line_after(message.get(..head)?, b"Content-Length:")?;
    let body: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    Some(before + head + body)
}
