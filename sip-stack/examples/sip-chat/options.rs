//! The command line.

use std::net::{Ipv4Addr, SocketAddr};

use stox_sip::Uri;
use thiserror::Error;

pub const USAGE: &str = "\
usage: sip-chat --me URI [--listen ADDRESS:PORT] [--proxy URI] [--msrp ADDRESS:PORT]

  --me      who you are, for example sip:romeo@example.net
  --listen  where SIP is taken, by UDP and TCP; default: free ports of 127.0.0.1
  --proxy   where SIP requests go first, for example \"sip:127.0.0.1:5060;transport=tcp\"; default: as the DNS says
  --msrp    where MSRP connections are taken; default: a free port of 127.0.0.1

Ends with status 0 if all that was typed was delivered, with 1 if not, with 2 if it was called wrongly.";

/// How to run.
#[derive(Debug)]
pub struct Options {
    /// Our own address.
    pub me: Uri,
    /// Where SIP is taken; port 0 is a free one.
    pub listen: SocketAddr,
    /// Where SIP requests go first.
    pub proxy: Option<Uri>,
    /// Where MSRP connections are taken; port 0 is a free one.
    pub msrp: SocketAddr,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Start {
    Run(Box<Options>),
    Help,
}

/// A command line that cannot be followed.
#[derive(Debug, Error)]
pub enum UsageError {
    #[error("--me is missing")]
    NoOwnAddress,
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} is not an option")]
    Unknown(String),
    #[error("{option} {value:?}: expected a SIP address such as sip:romeo@example.net")]
    NotASipUri { option: String, value: String },
    #[error("{option} {value:?}: expected an address and a port such as 127.0.0.1:5080")]
    NotAnAddress { option: String, value: String },
}

pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Start, UsageError> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (mut me, mut listen, mut proxy, mut msrp) = (None, anywhere, None, anywhere);
    while let Some(option) = arguments.next() {
        if matches!(option.as_str(), "-h" | "--help") {
            return Ok(Start::Help);
        }
        if !matches!(option.as_str(), "--me" | "--listen" | "--proxy" | "--msrp") {
            return Err(UsageError::Unknown(option));
        }
        let Some(value) = arguments.next() else {
            return Err(UsageError::NoValue(option));
        };
        match option.as_str() {
            "--me" => me = Some(uri(option, value)?),
            "--proxy" => proxy = Some(uri(option, value)?),
            "--listen" => listen = address(option, value)?,
            _ => msrp = address(option, value)?,
        }
    }
    let me = me.ok_or(UsageError::NoOwnAddress)?;
    Ok(Start::Run(Box::new(Options {
        me,
        listen,
        proxy,
        msrp,
    })))
}

fn uri(option: String, value: String) -> Result<Uri, UsageError> {
    sip_uri(&value).ok_or(UsageError::NotASipUri { option, value })
}

/// A SIP address as people write it: `sip:` may be left out.
pub fn sip_uri(text: &str) -> Option<Uri> {
    let full = if text.starts_with("sip:") {
        text.to_owned()
    } else {
        format!("sip:{text}")
    };
    Uri::parse(&full).ok().filter(|uri| uri.host().is_some())
}

fn address(option: String, value: String) -> Result<SocketAddr, UsageError> {
    value
        .parse()
        .map_err(|_| UsageError::NotAnAddress { option, value })
}
