//! Random schedules: two people, a SIP peer, an MSRP connection and an XMPP server that do and fail what they like, in
//! virtual time, around one conversation core. Whatever they do, each message has one fate, the true one, and order holds.
//!
//! `STOX_SCHEDULE=<seed>` plays one schedule again and shows all of it; `STOX_SCHEDULES=<n>` plays that many.

mod world;

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::{Tally, World};

/// As many in each run.
const SCHEDULES: u64 = 100_000;

/// The promise: handed on or given back (CHAT-07, CHAT-08, CHAT-09, CHAT-24, CHAT-28, CHAT-29, CHAT-37, RCPT-08, RCPT-10,
/// IM-05).
#[test]
fn every_message_has_one_fate() {
    if let Some(seed) = env::var("STOX_SCHEDULE")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        let mut world = World::with_history(seed);
        let outcome = world.play();
        println!("{}", world.history());
        return outcome.expect("a schedule without a fault");
    }
    let count = env::var("STOX_SCHEDULES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(SCHEDULES);
    let first: u64 = rand::random();
    println!("{count} schedules from seed {first}");

    let next = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let mut mine = Tally::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || failed.lock().expect("no panic").is_some() {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    let mut world = World::new(seed);
                    if world.play().is_err() {
                        *failed.lock().expect("no panic") = Some(seed);
                    }
                    mine.add(world.tally());
                }
                tally.lock().expect("no panic").add(&mine);
            });
        }
    });
    let tally = tally.into_inner().expect("no panic");
    println!("{tally:?}");
    if let Some(seed) = failed.into_inner().expect("no panic") {
        let mut world = World::with_history(seed);
        let fault = world.play().expect_err("the same fault again");
        panic!("STOX_SCHEDULE={seed}: {fault}\n{}", world.history());
    }
    tally.assert_everything_happened();
}
