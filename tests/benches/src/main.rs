//! Measures stox, the floors below it and Kamailio, one after another over the same messages. `README.md` beside the
//! sources says how to run it and what came of it.

mod child;
mod component;
mod flights;
mod gateways;
mod load;
mod options;
mod raw;
mod report;
mod rooms;
mod runs;
mod servers;
mod wire;

use std::io;
use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // What the program starts itself as.
        ["echo", server] => with(server, raw::echo),
        ["bridge", server, sip, sip_users, msrp_users, sessions] => {
            let number = |text: &str| text.parse::<u16>().map_err(io::Error::other);
            with(server, |server| {
                raw::bridge(&raw::Ends {
                    server,
                    sip_port: number(sip)?,
                    sip_users: ([127, 0, 0, 1], number(sip_users)?).into(),
                    msrp_users: ([127, 0, 0, 1], number(msrp_users)?).into(),
                    sessions: sessions.parse().map_err(io::Error::other)?,
                })
            })
        }
        _ => match Options::parse(&words) {
            Ok(options) => runs::run(&options),
            Err(usage) => {
                eprintln!("{usage}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stox-benches: {error}");
            ExitCode::FAILURE
        }
    }
}

fn with(
    server: &str,
    floor: impl FnOnce(std::net::SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    floor(server.parse().map_err(io::Error::other)?)
}
