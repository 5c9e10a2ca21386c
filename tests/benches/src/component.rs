//! An XMPP component on a bare socket: login (XEP-0114) and where stanzas end. Trusts its server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use memchr::{memchr, memmem};
use sha1::{Digest, Sha1};

/// Secret of every component here.
pub const SECRET: &str = "s";

/// A logged-in component, with what has been read beyond the login.
pub struct Component {
    stream: mio::net::TcpStream,
    read: Vec<u8>,
    /// Bytes of `read` that are done with.
    taken: usize,
    to_write: Vec<u8>,
    scratch: Box<[u8]>,
}

impl Component {
    /// Logs in; waits until the server is there, but not forever.
    pub fn log_in(server: SocketAddr, domain: &str) -> io::Result<Component> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match try_log_in(server, domain) {
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)),
                result => return result,
            }
        }
    }

    /// The socket, to be registered for reading and writing.
    pub fn source(&mut self) -> &mut mio::net::TcpStream {
        &mut self.stream
    }

    /// Where to put what the next [`Component::flush`] writes.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.to_write
    }

    /// Reads what there is. Stanzas come from [`Component::next`] then.
    pub fn fill(&mut self) -> io::Result<()> {
        self.read.drain(..self.taken);
        self.taken = 0;
        read_all(&mut self.stream, &mut self.scratch, &mut self.read)?;
        quick(&self.stream);
        Ok(())
    }

    /// The next whole stanza, as positions in [`Component::bytes`].
    pub fn next(&mut self) -> Option<(usize, usize)> {
        let rest = self.read.get(self.taken..)?;
        let begin = self.taken + memchr(b'<', rest)?;
        let end = begin + element_end(self.read.get(begin..)?)?;
        self.taken = end;
        Some((begin, end))
    }

    /// Everything read that is not done with.
    pub fn bytes(&self) -> &[u8] {
        &self.read
    }

    /// Writes what waits, as far as the socket takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.stream, &mut self.to_write)
    }
}

fn try_log_in(server: SocketAddr, domain: &str) -> io::Result<Component> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
    )?;
    let head = read_until(&mut stream, b"<stream:stream")?;
    let id = attribute(&head, " id=").ok_or(ErrorKind::InvalidData)?;
    let digest = Sha1::digest(format!("{id}{SECRET}"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    write!(stream, "<handshake>{digest}</handshake>")?;
    let answer = read_until(&mut stream, b"<handshake")?;
    if answer.contains("error") {
        return Err(io::Error::other(answer));
    }
    stream.set_nonblocking(true)?;
    let stream = mio::net::TcpStream::from_std(stream);
    quick(&stream);
    Ok(Component {
        stream,
        read: Vec::new(),
        taken: 0,
        to_write: Vec::new(),
        scratch: scratch(),
    })
}

/// Reads to the end of the tag that begins so. Nothing comes after it before we have said more.
fn read_until(stream: &mut TcpStream, tag: &[u8]) -> io::Result<String> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let len = stream.read(&mut piece)?;
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(piece.get(..len).unwrap_or_default());
        let begin = memmem::find(&read, tag).or_else(|| memmem::find(&read, b"stream:error"));
        let rest = begin.and_then(|begin| read.get(begin..));
        if rest.is_some_and(|rest| memchr(b'>', rest).is_some()) {
            return Ok(String::from_utf8_lossy(&read).into_owned());
        }
    }
}

/// The value after `name` (which ends in `=`), in whichever quotes.
pub fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    let quote = rest.chars().next()?;
    rest.get(1..)?.split(quote).next()
}

/// Where the element with which `bytes` begin ends. Its own name must not be that of an element within it.
fn element_end(bytes: &[u8]) -> Option<usize> {
    let opening = memchr(b'>', bytes)?;
    if bytes.get(opening.wrapping_sub(1)) == Some(&b'/') {
        return Some(opening + 1);
    }
    let name: &[u8] = match bytes {
        [b'<', b'm', ..] => b"</message>",
        [b'<', b'i', ..] => b"</iq>",
        [b'<', b'p', ..] => b"</presence>",
        [b'<', b's', ..] => b"</stream:error>",
        _ => return Some(opening + 1),
    };
    Some(memmem::find(bytes, name)? + name.len())
}

/// What [`read_all`] reads into.
pub fn scratch() -> Box<[u8]> {
    vec![0; 64 * 1024].into()
}

/// Appends all there is, by way of `scratch`. The end of the stream is an error.
pub fn read_all(stream: &mut impl Read, scratch: &mut [u8], into: &mut Vec<u8>) -> io::Result<()> {
    loop {
        match stream.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                into.extend_from_slice(scratch.get(..len).unwrap_or_default());
                // What comes after a short read makes an event of its own.
                if len < scratch.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes as much as goes; keeps the rest.
pub fn flush(stream: &mut impl Write, waiting: &mut Vec<u8>) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = waiting.get(written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(len) => written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    waiting.drain(..written);
    Ok(())
}

/// Acknowledgements at once: a server with Nagle's algorithm, Prosody's default, waits 40 ms for each otherwise.
fn quick(stream: &mio::net::TcpStream) {
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}
