//! What is measured, in which order, and on what.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::child::Process;
use crate::flights::Outcome;
use crate::gateways::{self, Gateway, Place};
use crate::load::{Direction, Load, Pace, Then};
use crate::options::Options;
use crate::report::{self, Figure, Report, Row, micros};
use crate::rooms;
use crate::servers::{Kind, Server, free_port};

/// Messages under way when saturated.
const UNDER_WAY: usize = 1000;
/// Messages in a second when calm.
const CALM: u32 = 500;
/// MSRP sessions that the messages go by.
const SESSIONS: usize = 100;
/// A gateway that takes longer to end is killed.
const GOODBYE: Duration = Duration::from_secs(20);
/// Users that the MESSAGEs are between.
const PAIRS: usize = 1000;

/// Measures everything that is wanted, and prints it.
pub fn run(options: &Options) -> io::Result<()> {
    if let Some((_, core)) = options.cores {
        pin(core)?;
    }
    let folder = std::env::temp_dir().join(format!("stox-benches-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut bench = Bench {
        options,
        folder: folder.clone(),
        started: 0,
        report: Report::default(),
    };
    let done = bench.measure_all();
    println!("{}", bench.report.table());
    if let Some(path) = &options.json {
        fs::write(path, bench.report.json())?;
    }
    match options.keep || done.is_err() {
        true => eprintln!("configurations and logs: {}", folder.display()),
        false => fs::remove_dir_all(&folder)?,
    }
    done
}

/// This program, which is the generator.
fn pin(core: usize) -> io::Result<()> {
    let (core, own) = (core.to_string(), std::process::id().to_string());
    let output = Command::new("taskset")
        .args(["-cp", &core, &own])
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other("taskset cannot pin the generator")),
    }
}

struct Bench<'a> {
    options: &'a Options,
    folder: PathBuf,
    /// Worlds so far, for their folders.
    started: usize,
    report: Report,
}

/// A gateway between a fresh server and the generator. Dropped in this order.
struct World {
    load: Load,
    gateway: Process,
    /// The gateway's.
    folder: PathBuf,
    #[expect(dead_code, reason = "it runs as long as this lives")]
    server: Server,
}

impl Bench<'_> {
    fn measure_all(&mut self) -> io::Result<()> {
        let options = self.options;
        for &server in &options.servers {
            use Direction::{Echo, MessageToXmpp, MsrpToXmpp, XmppToMessage, XmppToMsrp};
            let msrp = [XmppToMsrp, MsrpToXmpp];
            let message = [XmppToMessage, MessageToXmpp];
            if options.wants("echo") {
                self.relay(Gateway::Echo, server, &[Echo])?;
            }
            if options.wants("raw") {
                self.relay(Gateway::RawMsrp, server, &msrp)?;
                self.relay(Gateway::RawMessage, server, &message)?;
            }
            if options.wants("stox") {
                self.relay(Gateway::StoxMsrp, server, &msrp)?;
                self.relay(Gateway::StoxMessage, server, &message)?;
            }
            if options.wants("kamailio") {
                gateways::install_kamailio()?;
                self.relay(Gateway::Kamailio, server, &message)?;
            }
            if options.wants("set-ups") {
                self.set_ups(server)?;
            }
            if options.wants("memory") {
                self.memory(server)?;
            }
            if options.wants("rooms") && server == Kind::Prosody {
                let figures = rooms::measure(options, &self.folder)?;
                self.report.figures.extend(figures);
            }
            if options.wants("allocations")
                && let Some(counted) = &options.counted
            {
                self.allocations(counted, server)?;
            }
            if options.wants("million") {
                self.million(server)?;
            }
        }
        Ok(())
    }

    fn relay(
        &mut self,
        gateway: Gateway,
        server: Kind,
        directions: &[Direction],
    ) -> io::Result<()> {
        let ways = &self.options.ways;
        let wanted = |way: &&Direction| ways.is_empty() || ways.contains(way);
        let directions: Vec<Direction> = directions.iter().filter(wanted).copied().collect();
        if directions.is_empty() {
            return Ok(());
        }
        let mut rounds: Vec<Vec<Row>> = directions.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.options.rounds {
            let mut world = self.world(gateway, server)?;
            let pairs = world.prepare(gateway)?;
            for (&direction, rows) in directions.iter().zip(&mut rounds) {
                let warm_up = self.options.messages / 10;
                let under_way = self.options.under_way;
                world
                    .load
                    .run(direction, pairs, Pace::Saturated(under_way), warm_up)?;
                rows.push(world.row(gateway, server, direction, pairs, self.options)?);
            }
        }
        for rows in rounds {
            if let Some(row) = median(rows) {
                eprintln!(
                    "{} {}: {:.0}/s, {:.1} µs, {} lost",
                    row.gateway,
                    row.direction,
                    row.saturated.per_second,
                    micros(row.saturated.cpu),
                    row.saturated.lost + row.calm.lost
                );
                self.report.rows.push(row);
            }
        }
        Ok(())
    }

    /// PERF-5: from INVITE to the first message delivered, and the end.
    fn set_ups(&mut self, server: Kind) -> io::Result<()> {
        let mut world = self.world(Gateway::StoxMsrp, server)?;
        world.prepare(Gateway::StoxMsrp)?;
        let name = server.name();
        let mut first = SESSIONS;
        for (pace, total, remark) in [
            (Pace::Saturated(50), 5_000, "50 under way"),
            (Pace::PerSecond(500), 5_000, "500/s"),
            (Pace::PerSecond(1000), 10_000, "1,000/s"),
        ] {
            let (outcome, cpu) =
                world.timed(|world| world.load.set_up(first, total, pace, Then::End))?;
            first += total as usize;
            let fates = format!(
                "{remark}, behind {name}; {} of {} refused, {} lost, p99 {:.1} ms",
                outcome.refused,
                outcome.sent,
                outcome.lost,
                micros(outcome.latency(0.99)) / 1000.0
            );
            self.figure("set-ups", outcome.per_second(), "/s", fates.clone());
            let each = micros(cpu) / 1000.0 / outcome.delivered.max(1) as f64;
            self.figure("CPU of a session, begin to end", each, "ms", fates);
        }
        Ok(())
    }

    /// PERF-6 and PERF-8: what idle sessions hold, and what they cost the others.
    fn memory(&mut self, server: Kind) -> io::Result<()> {
        let mut world = self.world(Gateway::StoxMsrp, server)?;
        let total = self.options.sessions;
        let name = server.name();
        let few = 10;
        world
            .load
            .set_up(0, few, Pace::Saturated(few as usize), Then::Keep)?;
        let messages = self.options.messages;
        for direction in [Direction::XmppToMsrp, Direction::MsrpToXmpp] {
            world.load.run(
                direction,
                few as usize,
                Pace::Saturated(UNDER_WAY),
                messages / 10,
            )?;
            self.cost(&mut world, direction, few as usize, few)?;
        }
        let before = world.gateway.resident();
        let outcome = world.load.set_up(
            few as usize,
            total - few,
            Pace::Saturated(UNDER_WAY / 10),
            Then::Keep,
        )?;
        sleep(self.options.settle);
        let grown = world.gateway.resident().saturating_sub(before);
        let each = grown as f64 / 1024.0 / outcome.delivered.max(1) as f64;
        let remark = format!(
            "{} sessions, each with its own connection, behind {name}; {} refused, {} lost",
            outcome.delivered, outcome.refused, outcome.lost
        );
        self.figure("resident memory of an idle session", each, "KiB", remark);
        for direction in [Direction::XmppToMsrp, Direction::MsrpToXmpp] {
            self.cost(&mut world, direction, few as usize, total)?;
            self.cost(&mut world, direction, total as usize, total)?;
        }
        Ok(())
    }

    fn cost(
        &mut self,
        world: &mut World,
        direction: Direction,
        pairs: usize,
        sessions: u32,
    ) -> io::Result<()> {
        let messages = self.options.messages;
        let (outcome, cpu) = world.timed(|world| {
            world
                .load
                .run(direction, pairs, Pace::Saturated(UNDER_WAY), messages)
        })?;
        let each = micros(cpu) / outcome.delivered.max(1) as f64;
        let name = format!("CPU per message, {}", name_of(direction));
        let remark = format!(
            "{sessions} sessions, the messages over {pairs} of them; {} lost",
            outcome.lost
        );
        self.figure(&name, each, "µs", remark);
        Ok(())
    }

    /// PERF-8: how often the gateway asks for memory.
    fn allocations(&mut self, counted: &Path, server: Kind) -> io::Result<()> {
        use Direction::{MessageToXmpp, MsrpToXmpp, XmppToMessage, XmppToMsrp};
        for (gateway, directions) in [
            (Gateway::StoxMsrp, [XmppToMsrp, MsrpToXmpp]),
            (Gateway::StoxMessage, [XmppToMessage, MessageToXmpp]),
        ] {
            let mut world = self.world_of(gateway, server, counted)?;
            let pairs = world.prepare(gateway)?;
            let messages = self.options.messages;
            for direction in directions {
                for (pace, total, remark) in [
                    (Pace::Saturated(UNDER_WAY), messages, "saturated"),
                    (Pace::PerSecond(CALM), self.options.calm, "calm"),
                ] {
                    world.load.run(direction, pairs, pace, total / 10)?;
                    let before = world.allocations()?;
                    world.load.run(direction, pairs, pace, total)?;
                    let each = (world.allocations()? - before) / f64::from(total);
                    let name = format!("allocations per message, {}", name_of(direction));
                    self.figure(&name, each, "", remark.to_owned());
                }
            }
        }
        Ok(())
    }

    /// PERF-6: a million messages leave no trace.
    fn million(&mut self, server: Kind) -> io::Result<()> {
        let mut world = self.world(Gateway::StoxMsrp, server)?;
        let pairs = world.prepare(Gateway::StoxMsrp)?;
        let pace = Pace::Saturated(UNDER_WAY);
        let run = |world: &mut World, total: u32| -> io::Result<u64> {
            world
                .load
                .run(Direction::XmppToMsrp, pairs, pace, total / 2)?;
            world
                .load
                .run(Direction::MsrpToXmpp, pairs, pace, total / 2)?;
            Ok(world.gateway.resident())
        };
        let before = run(&mut world, 100_000)?;
        let after = run(&mut world, 1_000_000)?;
        let grown = (after as f64 - before as f64) / 1024.0;
        let remark = format!("{:.1} MB at the end", after as f64 / 1e6);
        self.figure(
            "growth over a million messages, after the first 100,000",
            grown,
            "KiB",
            remark,
        );
        Ok(())
    }

    fn figure(&mut self, name: &str, value: f64, unit: &'static str, remark: String) {
        eprintln!("{name}: {value:.2} {unit} ({remark})");
        self.report.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
            remark,
        });
    }

    fn world(&mut self, gateway: Gateway, server: Kind) -> io::Result<World> {
        self.world_of(gateway, server, &self.options.stox)
    }

    fn world_of(&mut self, gateway: Gateway, server: Kind, stox: &Path) -> io::Result<World> {
        self.started += 1;
        let folder = self.folder.join(self.started.to_string());
        let (of_server, of_gateway) = match self.options.cores {
            Some((server, gateway)) => (Some(server), Some(gateway)),
            None => (None, None),
        };
        let server = server.start(&folder.join("server"), of_server)?;
        let (sip_users, msrp_users) = (free_port()?, free_port()?);
        let of_gateway_folder = folder.join("gateway");
        let place = Place {
            folder: &of_gateway_folder,
            core: of_gateway,
            server: server.components,
            sip_users,
            msrp_users,
            sip: free_port()?,
            msrp: free_port()?,
            sessions: SESSIONS,
            stox,
        };
        let load = Load::new(server.components, sip_users, msrp_users, place.sip)?;
        let gateway = gateway.start(&place)?;
        let mut world = World {
            load,
            gateway,
            folder: place.folder.to_owned(),
            server,
        };
        world.await_gateway()?;
        Ok(world)
    }
}

/// The gateway says goodbye to every session, and somebody must answer.
impl Drop for World {
    fn drop(&mut self) {
        self.gateway.signal("TERM");
        let deadline = Instant::now() + GOODBYE;
        while self.gateway.is_running()
            && Instant::now() < deadline
            && self.load.listen(Duration::from_millis(20)).is_ok()
        {}
    }
}

impl World {
    /// Until the component is there nothing can arrive, and the server says so.
    fn await_gateway(&mut self) -> io::Result<()> {
        for _ in 0..1200 {
            if !self.gateway.is_running() {
                return Err(io::Error::other("the gateway ended by itself"));
            }
            let one = Pace::Saturated(1);
            let outcome = self.load.run(Direction::XmppToMsrp, 1, one, 1)?;
            if outcome.delivered == 1 {
                return Ok(());
            }
            sleep(Duration::from_millis(50));
        }
        Err(io::Error::other("the gateway takes no messages"))
    }

    /// Opens the sessions. Returns how many users there are to write.
    fn prepare(&mut self, gateway: Gateway) -> io::Result<usize> {
        let complete = match gateway {
            Gateway::RawMsrp => self.load.await_sessions(SESSIONS)?,
            Gateway::StoxMsrp => {
                let total = u32::try_from(SESSIONS).unwrap_or(u32::MAX);
                let outcome = self
                    .load
                    .set_up(0, total, Pace::Saturated(20), Then::Keep)?;
                outcome.delivered == SESSIONS
            }
            _ => return Ok(PAIRS),
        };
        match complete {
            true => Ok(SESSIONS),
            false => Err(io::Error::other("the sessions were not opened")),
        }
    }

    fn row(
        &mut self,
        gateway: Gateway,
        server: Kind,
        direction: Direction,
        pairs: usize,
        options: &Options,
    ) -> io::Result<Row> {
        let mut measure = |pace, total| -> io::Result<report::Load> {
            let (outcome, cpu) =
                self.timed(|world| world.load.run(direction, pairs, pace, total))?;
            Ok(report::Load {
                per_second: outcome.per_second(),
                cpu: cpu / u32::try_from(outcome.sent.max(1)).unwrap_or(u32::MAX),
                p50: outcome.latency(0.5),
                p99: outcome.latency(0.99),
                sent: outcome.sent,
                lost: outcome.lost,
                refused: outcome.refused,
                contradicted: outcome.contradicted,
            })
        };
        Ok(Row {
            gateway: gateway.name(),
            server: server.name(),
            direction: name_of(direction),
            saturated: measure(Pace::Saturated(options.under_way), options.messages)?,
            calm: measure(Pace::PerSecond(CALM), options.calm)?,
            resident: self.gateway.resident(),
        })
    }

    /// As `stox-counted` tells when it is asked.
    fn allocations(&self) -> io::Result<f64> {
        let path = self.folder.join("allocations");
        self.gateway.signal("USR1");
        for _ in 0..200 {
            sleep(Duration::from_millis(20));
            if let Ok(count) = fs::read_to_string(&path) {
                fs::remove_file(&path)?;
                return count.parse().map_err(io::Error::other);
            }
        }
        Err(io::Error::other("the gateway does not count"))
    }

    fn timed(
        &mut self,
        run: impl FnOnce(&mut World) -> io::Result<Outcome>,
    ) -> io::Result<(Outcome, Duration)> {
        let before = self.gateway.cpu();
        let outcome = run(self)?;
        Ok((outcome, self.gateway.cpu().saturating_sub(before)))
    }
}

fn name_of(direction: Direction) -> &'static str {
    match direction {
        Direction::XmppToMsrp => "XMPP to MSRP",
        Direction::MsrpToXmpp => "MSRP to XMPP",
        Direction::XmppToMessage => "XMPP to MESSAGE",
        Direction::MessageToXmpp => "MESSAGE to XMPP",
        Direction::Echo => "XMPP to XMPP",
    }
}

/// The round whose CPU time is the median.
fn median(mut rows: Vec<Row>) -> Option<Row> {
    rows.sort_by_key(|row| row.saturated.cpu);
    let middle = rows.len() / 2;
    rows.into_iter().nth(middle)
}
