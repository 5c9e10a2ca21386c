//! Rooms: many in one of them, and many of them; XMPP users in MSRP rooms, and SIP users in rooms of the XMPP server.

mod focus;
mod guests;
mod sip;
mod stage;
mod tally;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::Process;
use crate::gateways::{Gateway, Place};
use crate::options::Options;
use crate::report::{Figure, micros};
use crate::servers::{Kind, Server, free_port};
use focus::Focus;
use guests::Guests;
use stage::{Heard, Stage};
use tally::Tally;

/// Joins under way.
const JOINING: usize = 50;
/// Messages under way when saturated.
const UNDER_WAY: usize = 10;
/// Messages in a second when calm.
const CALM: u32 = 5;
/// Occupants of each of many rooms.
const FEW: usize = 5;
/// Nothing has come for so long: what is still out is lost.
const PATIENCE: Duration = Duration::from_secs(35);
/// A gateway that takes longer to end is killed.
const GOODBYE: Duration = Duration::from_secs(20);

/// Who writes into the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// An XMPP user.
    Xmpp,
    /// A SIP user.
    Sip,
}

/// One kind of rooms, with all users in them.
pub trait Rooms {
    /// For the table.
    fn name(&self) -> &'static str;
    /// How many of the occupants get a message of this writer.
    fn receivers(&self, writer: Writer, occupants: usize) -> usize;
    /// Makes rooms where they have to be there before anybody comes. Returns how many are still missing.
    fn open(&mut self, rooms: usize, stage: &mut Stage) -> usize;
    /// A user is to get into a room.
    fn join(&mut self, user: usize, room: usize, stage: &mut Stage);
    /// Somebody writes this message into the first room.
    fn say(&mut self, writer: Writer, seq: u32, stage: &mut Stage);
    /// The gateway or the server said something.
    fn take(&mut self, heard: Heard, stage: &mut Stage, tally: &mut Tally);
    /// Time has passed.
    fn tick(&mut self, now: Instant, stage: &mut Stage);
}

/// Measures rooms of both kinds.
pub fn measure(options: &Options, folder: &Path) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (number, kind) in ["focus", "guests"].into_iter().enumerate() {
        for (what, rooms, occupants) in [
            ("crowd", 1, options.occupants),
            ("rooms", options.rooms, FEW),
        ] {
            let name = format!("rooms-{number}-{what}");
            let mut run = Run::start(options, &folder.join(name), kind, rooms * occupants)?;
            run.join(rooms, occupants, &mut figures)?;
            if what == "crowd" && run.tally.joined > 0 {
                run.crowd(occupants, &mut figures)?;
            }
        }
    }
    Ok(figures)
}

/// A gateway between a fresh server and the users. Dropped in this order.
struct Run<'a> {
    options: &'a Options,
    rooms: Box<dyn Rooms>,
    tally: Tally,
    stage: Stage,
    gateway: Process,
    #[expect(dead_code, reason = "it runs as long as this lives")]
    server: Server,
}

impl Run<'_> {
    fn start<'a>(
        options: &'a Options,
        folder: &Path,
        kind: &str,
        users: usize,
    ) -> io::Result<Run<'a>> {
        let (of_server, of_gateway) = options.cores.unzip();
        let server = Kind::Prosody.start(&folder.join("server"), of_server)?;
        let place = Place {
            folder: &folder.join("gateway"),
            core: of_gateway,
            server: server.components,
            sip_users: free_port()?,
            msrp_users: 0,
            sip: free_port()?,
            msrp: free_port()?,
            sessions: 0,
            stox: &options.stox,
        };
        let mut stage = Stage::new(server.components, place.sip_users)?;
        let gateway = Gateway::StoxRooms.start(&place)?;
        stage.await_gateway()?;
        let rooms: Box<dyn Rooms> = match kind {
            "focus" => Box::new(Focus::default()),
            _ => Box::new(Guests::new(([127, 0, 0, 1], place.sip).into())),
        };
        Ok(Run {
            options,
            rooms,
            tally: Tally::new(users),
            stage,
            gateway,
            server,
        })
    }

    /// Everybody comes; as many as may be under way at a time.
    fn join(
        &mut self,
        rooms: usize,
        occupants: usize,
        figures: &mut Vec<Figure>,
    ) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.rooms.open(rooms, &mut self.stage) > 0 {
            if Instant::now() > deadline {
                return Err(io::Error::other("the server does not make the rooms"));
            }
            self.listen(Duration::from_millis(200))?;
        }
        let (before, cpu) = (self.gateway.resident(), self.gateway.cpu());
        let (begin, mut heard) = (Instant::now(), Instant::now());
        let (total, mut asked, mut accounted) = (rooms * occupants, 0, 0);
        while accounted < total && heard.elapsed() < PATIENCE {
            while asked < total && asked < accounted + JOINING {
                self.rooms.join(asked, asked / occupants, &mut self.stage);
                asked += 1;
            }
            self.turn(Duration::from_millis(100))?;
            if self.tally.accounted() > accounted {
                accounted = self.tally.accounted();
                heard = Instant::now();
            }
        }
        let took = heard - begin;
        let cpu = self.gateway.cpu().saturating_sub(cpu);
        let name = format!("{}: {total} joins, {rooms} rooms", self.rooms.name());
        let remark = format!(
            "{} joined, {} refused{}, {} lost; {:.2} ms of CPU each",
            self.tally.joined,
            self.tally.refusals.len(),
            reason(self.tally.refusals.first().map(String::as_str)),
            total.saturating_sub(self.tally.accounted()),
            micros(cpu) / 1000.0 / total.max(1) as f64,
        );
        push(figures, name, took.as_secs_f64(), "s", remark);
        // What transactions and joins hold has passed.
        self.listen(self.options.settle)?;
        let grown = self.gateway.resident() as f64 - before as f64;
        let remark = format!(
            "{:.1} MB in all, {:.0} s after the last join; {} still in",
            self.gateway.resident() as f64 / 1e6,
            self.options.settle.as_secs_f64(),
            self.tally.joined
        );
        let name = format!(
            "{}: resident memory per occupant, {rooms} rooms",
            self.rooms.name()
        );
        push(
            figures,
            name,
            grown / 1024.0 / total.max(1) as f64,
            "KiB",
            remark,
        );
        Ok(())
    }

    /// Messages to all in one room.
    fn crowd(&mut self, occupants: usize, figures: &mut Vec<Figure>) -> io::Result<()> {
        for writer in [Writer::Xmpp, Writer::Sip] {
            let receivers = self.rooms.receivers(writer, occupants);
            let messages = self.options.messages / 100;
            for (total, pace) in [(messages, None), (self.options.calm / 60, Some(CALM))] {
                // What is done for the first time is not what is measured.
                self.say(writer, receivers, 5, None)?;
                let cpu = self.gateway.cpu();
                let outcome = self.say(writer, receivers, total, pace)?;
                let cpu = self.gateway.cpu().saturating_sub(cpu);
                let name = format!(
                    "{}: CPU per delivery, {} writes, {}",
                    self.rooms.name(),
                    match writer {
                        Writer::Xmpp => "an XMPP user",
                        Writer::Sip => "a SIP user",
                    },
                    match pace {
                        Some(pace) => format!("{pace}/s"),
                        None => format!("{UNDER_WAY} under way"),
                    }
                );
                let remark = format!(
                    "{:.0} deliveries/s of {} messages to {receivers}; {} lost, {} given back{}, {} twice or late; \
                     p50 {:.1} ms, p99 {:.1} ms",
                    outcome.per_second(),
                    outcome.sent,
                    outcome
                        .expected
                        .saturating_sub(outcome.deliveries + outcome.returned),
                    outcome.returned,
                    reason(outcome.why_returned.as_deref()),
                    outcome.out_of_order,
                    micros(outcome.latency(0.5)) / 1000.0,
                    micros(outcome.latency(0.99)) / 1000.0,
                );
                let each = micros(cpu) / outcome.deliveries.max(1) as f64;
                push(figures, name, each, "µs", remark);
            }
        }
        Ok(())
    }

    fn say(
        &mut self,
        writer: Writer,
        receivers: usize,
        total: u32,
        pace: Option<u32>,
    ) -> io::Result<tally::Outcome> {
        self.tally.begin(receivers);
        let (begin, mut heard) = (Instant::now(), Instant::now());
        let (mut sent, mut known) = (0, 0);
        while heard.elapsed() < PATIENCE {
            while sent < total {
                let now = Instant::now();
                let is_due = match pace {
                    Some(rate) => begin + Duration::from_secs(1) * sent / rate <= now,
                    None => self.tally.under_way() < UNDER_WAY,
                };
                if !is_due {
                    break;
                }
                let seq = self.tally.send(now);
                self.rooms.say(writer, seq, &mut self.stage);
                (sent, heard) = (sent + 1, now);
            }
            if sent == total && self.tally.under_way() == 0 {
                break;
            }
            self.turn(Duration::from_millis(5))?;
            if self.tally.heard() > known {
                (known, heard) = (self.tally.heard(), Instant::now());
            }
        }
        Ok(self.tally.outcome(heard - begin))
    }

    fn listen(&mut self, time: Duration) -> io::Result<()> {
        let deadline = Instant::now() + time;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            self.turn(left.min(Duration::from_millis(100)))?;
        }
        Ok(())
    }

    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        for heard in self.stage.listen(wait)? {
            self.rooms.take(heard, &mut self.stage, &mut self.tally);
        }
        self.rooms.tick(Instant::now(), &mut self.stage);
        match self.gateway.is_running() {
            true => Ok(()),
            false => Err(io::Error::other("the gateway ended by itself")),
        }
    }
}

/// The gateway says goodbye to everybody, and somebody must answer.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.gateway.signal("TERM");
        let deadline = Instant::now() + GOODBYE;
        while Instant::now() < deadline && self.turn(Duration::from_millis(20)).is_ok() {}
    }
}

fn push(figures: &mut Vec<Figure>, name: String, value: f64, unit: &'static str, remark: String) {
    eprintln!("{name}: {value:.2} {unit} ({remark})");
    figures.push(Figure {
        name,
        value,
        unit,
        remark,
    });
}

/// In brackets, if there is one.
fn reason(why: Option<&str>) -> String {
    why.map_or(String::new(), |why| format!(" ({})", plain(why)))
}

/// Without what would need an escape in the report.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| !matches!(c, '"' | '\\' | '|') && !c.is_control();
    text.chars().filter(is_plain).take(200).collect()
}
