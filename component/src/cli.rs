//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Ended with everything done.
pub const SUCCESS: u8 = 0;

/// The program could not start or go on, or a check failed.
pub const FAILURE: u8 = 1;

/// The command line or the configuration is wrong.
pub const MISCONFIGURED: u8 = 2;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the gateway in the foreground, logging to stderr
    Run(ConfigFile),
    /// Check the configuration and the world it names: one line per check, status 0 if all hold
    Check(ConfigFile),
}

/// Where the configuration is.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The configuration file; STOX_XMPP__SECRET and the like in the environment go over its keys
    #[arg(long = "config", value_name = "FILE")]
    pub path: PathBuf,
}

/// Gateway between an XMPP server and the SIP world.
#[derive(Debug, Parser)]
#[command(name = "stox", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// Reads the command line. Prints help, version or what is wrong with it, and ends the program, if there is nothing to do.
pub fn parse() -> Command {
    CommandLine::parse().command
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn commands_are_read() {
        CommandLine::command().debug_assert();
        let config = || ConfigFile {
            path: PathBuf::from("stox.toml"),
        };
        for (line, command) in [
            ("stox run --config stox.toml", Command::Run(config())),
            ("stox check --config stox.toml", Command::Check(config())),
            ("stox check --config=stox.toml", Command::Check(config())),
        ] {
            assert_eq!(
                CommandLine::try_parse_from(line.split(' '))
                    .unwrap()
                    .command,
                command
            );
        }
        for (line, kind, status) in [
            ("stox --version", ErrorKind::DisplayVersion, SUCCESS),
            ("stox help", ErrorKind::DisplayHelp, SUCCESS),
            ("stox --help", ErrorKind::DisplayHelp, SUCCESS),
            (
                "stox run",
                ErrorKind::MissingRequiredArgument,
                MISCONFIGURED,
            ),
            (
                "stox fly --config x",
                ErrorKind::InvalidSubcommand,
                MISCONFIGURED,
            ),
        ] {
            let error = CommandLine::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(
                (error.kind(), error.exit_code()),
                (kind, i32::from(status)),
                "{line}"
            );
        }
    }
}
