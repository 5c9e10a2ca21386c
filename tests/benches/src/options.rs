//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::Direction;
use crate::servers::Kind;

const USAGE: &str = "\
usage: stox-benches --stox PROGRAM [--counted PROGRAM] [--server prosody|ejabberd]... [--only WORD]... [--way WORD]...
                    [--messages N] [--under-way N] [--calm N] [--sessions N] [--occupants N] [--rooms N] [--settle S] [--rounds N] [--cores SERVER,GATEWAY | --any-core] [--json FILE] [--keep]

  --stox      the gateway, built with `cargo build --release -p stox`
  --counted   the gateway with a counting allocator, built with
              `cargo build --release -p stox-benches --features count`
  --only      of: echo, raw, stox, kamailio, set-ups, memory, rooms, allocations (needs --counted), million;
              all but the last without it
  --way       of: to-msrp, from-msrp, to-message, from-message; all without it
  --messages  in each saturated measurement (50,000)
  --under-way at a time in these (1,000); under a profiler fewer, or they are sent again
  --calm      in each measurement at 500 a second (3,000)
  --sessions  idle ones, for their memory (10,000)
  --occupants of one room (200)
  --rooms     of five occupants each (1,000)
  --settle    seconds until they are looked at, since SIP transactions linger for 32 (40)
  --rounds    of everything; each figure is the median (1)
  --cores     the core of the XMPP server, and that of gateway and generator together (0,1)
  --keep      leaves configurations and logs where they are, and says where";

/// What is to be measured.
pub struct Options {
    pub stox: PathBuf,
    pub counted: Option<PathBuf>,
    pub servers: Vec<Kind>,
    pub only: Vec<String>,
    pub ways: Vec<Direction>,
    pub messages: u32,
    /// At a time, when saturated.
    pub under_way: usize,
    pub calm: u32,
    pub sessions: u32,
    pub occupants: usize,
    pub rooms: usize,
    pub settle: Duration,
    pub rounds: usize,
    /// Of the server, and of gateway and generator.
    pub cores: Option<(usize, usize)>,
    pub json: Option<PathBuf>,
    pub keep: bool,
}

impl Options {
    /// The usage is the error.
    pub fn parse(words: &[&str]) -> Result<Options, &'static str> {
        let mut options = Options {
            stox: PathBuf::new(),
            counted: None,
            servers: Vec::new(),
            only: Vec::new(),
            ways: Vec::new(),
            messages: 50_000,
            under_way: 1_000,
            calm: 3_000,
            sessions: 10_000,
            occupants: 200,
            rooms: 1_000,
            settle: Duration::from_secs(40),
            rounds: 1,
            cores: Some((0, 1)),
            json: None,
            keep: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or(USAGE);
            match *word {
                "--stox" => options.stox = value()?.into(),
                "--counted" => options.counted = Some(value()?.into()),
                "--server" => options.servers.push(match value()? {
                    "prosody" => Kind::Prosody,
                    "ejabberd" => Kind::Ejabberd,
                    _ => return Err(USAGE),
                }),
                "--only" => options.only.push(value()?.to_owned()),
                "--way" => options.ways.push(match value()? {
                    "to-msrp" => Direction::XmppToMsrp,
                    "from-msrp" => Direction::MsrpToXmpp,
                    "to-message" => Direction::XmppToMessage,
                    "from-message" => Direction::MessageToXmpp,
                    _ => return Err(USAGE),
                }),
                "--messages" => options.messages = number(value()?)?,
                "--under-way" => options.under_way = number(value()?)?,
                "--calm" => options.calm = number(value()?)?,
                "--sessions" => options.sessions = number(value()?)?,
                "--occupants" => options.occupants = number(value()?)?,
                "--rooms" => options.rooms = number(value()?)?,
                "--settle" => options.settle = Duration::from_secs(number(value()?)?),
                "--rounds" => options.rounds = number(value()?)?,
                "--cores" => {
                    let (server, gateway) = value()?.split_once(',').ok_or(USAGE)?;
                    options.cores = Some((number(server)?, number(gateway)?));
                }
                "--any-core" => options.cores = None,
                "--json" => options.json = Some(value()?.into()),
                "--keep" => options.keep = true,
                _ => return Err(USAGE),
            }
        }
        if options.servers.is_empty() {
            options.servers.push(Kind::Prosody);
        }
        let needs_stox = ["stox", "set-ups", "memory", "rooms", "million"];
        let needs_stox = needs_stox.iter().any(|part| options.wants(part));
        if needs_stox && !options.stox.is_file() {
            return Err(USAGE);
        }
        // Each gateway runs in a folder of its own.
        for path in options.counted.iter_mut().chain([&mut options.stox]) {
            if let Ok(whole) = path.canonicalize() {
                *path = whole;
            }
        }
        Ok(options)
    }

    /// Whether that part is to be measured.
    pub fn wants(&self, part: &str) -> bool {
        match self.only.as_slice() {
            [] => part != "million",
            only => only.iter().any(|word| word == part),
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    text.replace(',', "").parse().map_err(|_| USAGE)
}
