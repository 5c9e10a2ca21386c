mod errors;

use super::*;
use crate::address::Jid;
use crate::xmpp::stanza::{IqType, MessageType, StanzaError};
use crate::xmpp::{OutgoingIq, OutgoingMessage, Request};

const H: &str = "sip.example.com";

/// From this number on, confirmations are withdrawn.
const WITHDRAWN: u32 = 900;

impl Confirmation for u32 {
    fn confirmed(self) {}

    fn lost(self) {}

    fn is_withdrawn(&self) -> bool {
        *self >= WITHDRAWN
    }
}

fn message(body: &str) -> Outgoing {
    let from = Jid::parse("romeo%example.net@sip.example.com").unwrap();
    OutgoingMessage::new(&from, &from, MessageType::Chat)
        .body(body)
        .into()
}

fn marker(number: u64) -> Iq {
    Iq {
        from: Jid::parse(H).unwrap(),
        to: Jid::parse(H).unwrap(),
        id: Some(format!("sync-{number}")),
        kind: IqType::Result,
        lang: None,
        payload: None,
        error: None,
    }
}

impl Outbox<u32> {
    /// Whether there is something to write, found out without writing it.
    fn has_round(&mut self) -> bool {
        let unproven = !self.uncovered.is_empty() || self.errors.want_marker();
        let marker = self.marker_since.is_none() && (self.probing || unproven);
        marker || !self.waiting.is_empty() || self.errors.next_place().is_some()
    }
}

fn message_within(patience: Duration) -> Outgoing {
    let from = Jid::parse("romeo%example.net@sip.example.com").unwrap();
    OutgoingMessage::new(&from, &from, MessageType::Chat)
        .body("x")
        .within(patience)
        .into()
}

fn message_error(id: &str, body: &str) -> Outgoing {
    let from = Jid::parse("romeo%example.net@sip.example.com").unwrap();
    OutgoingMessage::new(&from, &from, MessageType::Error)
        .id(id)
        .body(body)
        .error(StanzaError::default())
        .into()
}

struct Bench {
    outbox: Outbox<u32>,
    now: Instant,
}

impl Bench {
    fn new(limits: OutboxLimits) -> Bench {
        Bench {
            outbox: Outbox::new(H, limits),
            now: Instant::now(),
        }
    }

    fn up() -> Bench {
        let mut bench = Bench::new(OutboxLimits::default());
        bench.outbox.handle_up();
        bench
    }

    fn push(&mut self, confirmation: Option<u32>) -> Result<(), LinkRefused<u32>> {
        self.push_this(&message("x"), confirmation)
    }

    fn push_this(
        &mut self,
        stanza: &Outgoing,
        confirmation: Option<u32>,
    ) -> Result<(), LinkRefused<u32>> {
        self.outbox
            .push(stanza, confirmation, self.now, SystemTime::UNIX_EPOCH)
    }

    fn push_error(&mut self, id: &str) {
        self.push_this(&message_error(id, ""), None).unwrap();
    }

    /// What is written, as ids, and what is lost instead.
    fn round_of_ids(&mut self) -> (Vec<String>, Vec<u32>) {
        let mut round = BytesMut::new();
        let lost = self.outbox.poll_round(self.now, &mut round);
        let text = format!("<s>{}</s>", std::str::from_utf8(&round).unwrap());
        let document = roxmltree::Document::parse(&text).unwrap();
        let ids = document.root_element().children();
        let ids = ids.map(|node| node.attribute("id").unwrap_or("-").to_owned());
        (ids.collect(), lost)
    }

    fn ids(&mut self) -> Vec<String> {
        let (ids, lost) = self.round_of_ids();
        assert_eq!(lost, Vec::<u32>::new());
        ids
    }

    fn answer(&mut self, number: u64) -> Answer<u32> {
        self.outbox.handle_answer(&marker(number))
    }

    /// Stanzas of the round, markers as their ids.
    fn round(&mut self) -> (usize, Vec<String>) {
        let mut round = BytesMut::new();
        assert_eq!(
            self.outbox.poll_round(self.now, &mut round),
            Vec::<u32>::new()
        );
        let text = format!("<s>{}</s>", std::str::from_utf8(&round).unwrap());
        let document = roxmltree::Document::parse(&text).unwrap();
        let (mut messages, mut markers) = (0, Vec::new());
        for node in document.root_element().children() {
            match node.tag_name().name() {
                "iq" => markers.push(node.attribute("id").unwrap().to_owned()),
                _ => messages += 1,
            }
        }
        (messages, markers)
    }
}

#[test]
fn a_round_ends_with_one_marker_that_confirms_it() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    bench.push(None).unwrap();
    bench.push(Some(2)).unwrap();
    assert_eq!(bench.round(), (3, vec!["sync-1".to_owned()]));
    assert!(!bench.outbox.has_round());
    assert_eq!(
        bench.outbox.handle_answer(&marker(1)),
        Answer::Marker(vec![1, 2])
    );
    assert_eq!(bench.outbox.handle_answer(&marker(1)), Answer::Unasked);
    assert!(!bench.outbox.has_round());
}

#[test]
fn nothing_to_confirm_needs_no_marker() {
    let mut bench = Bench::up();
    bench.push(None).unwrap();
    assert_eq!(bench.round(), (1, vec![]));
}

#[test]
fn one_marker_at_a_time() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.round(), (1, vec!["sync-1".to_owned()]));
    bench.push(Some(2)).unwrap();
    assert_eq!(bench.round(), (1, vec![]));
    bench.push(Some(3)).unwrap();
    assert_eq!(
        bench.outbox.handle_answer(&marker(1)),
        Answer::Marker(vec![1])
    );
    // The next marker covers what was written meanwhile and what goes with it.
    assert_eq!(bench.round(), (1, vec!["sync-2".to_owned()]));
    assert_eq!(
        bench.outbox.handle_answer(&marker(2)),
        Answer::Marker(vec![2, 3])
    );
}

#[test]
fn a_marker_follows_by_itself() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    bench.round();
    bench.push(Some(2)).unwrap();
    bench.round();
    bench.outbox.handle_answer(&marker(1));
    assert!(bench.outbox.has_round());
    assert_eq!(bench.round(), (0, vec!["sync-2".to_owned()]));
}

#[test]
fn other_iqs_confirm_nothing() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    bench.round();
    let mut forged = marker(1);
    forged.from = Jid::parse("mallory@example.com").unwrap();
    assert_eq!(bench.outbox.handle_answer(&forged), Answer::Unasked);
    assert_eq!(bench.outbox.handle_answer(&marker(2)), Answer::Unasked);
    let mut strange = marker(1);
    strange.id = Some("sync-".into());
    assert_eq!(bench.outbox.handle_answer(&strange), Answer::Unasked);
}

// CHAT-38
#[test]
fn a_lost_connection_loses_what_was_written_and_keeps_what_waits() {
    let mut bench = Bench::up();
    for n in 1..=2 {
        bench.push(Some(n)).unwrap();
        bench.round();
    }
    bench.push(Some(3)).unwrap();
    assert_eq!(bench.outbox.handle_down(), vec![1, 2]);
    assert_eq!(bench.round(), (0, vec![]));
    bench.push(Some(4)).unwrap();
    bench.outbox.handle_up();
    assert_eq!(bench.round(), (2, vec!["sync-2".to_owned()]));
    // The marker of the old connection proves nothing.
    assert_eq!(bench.outbox.handle_answer(&marker(1)), Answer::Unasked);
    assert_eq!(
        bench.outbox.handle_answer(&marker(2)),
        Answer::Marker(vec![3, 4])
    );
}

// CHAT-38
#[test]
fn what_waits_too_long_is_lost() {
    let mut bench = Bench::new(OutboxLimits::default());
    bench.push(Some(1)).unwrap();
    bench.now += Duration::from_secs(30);
    bench.push(Some(2)).unwrap();
    bench.now += Duration::from_secs(29);
    assert_eq!(bench.outbox.handle_elapsed(bench.now), Vec::<u32>::new());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![1]);
    bench.outbox.handle_up();
    assert_eq!(bench.round(), (1, vec!["sync-1".to_owned()]));
}

// IM-05: the sender of a MESSAGE that has timed out was told that it failed.
#[test]
fn a_stanza_with_less_patience_is_lost_sooner() {
    let mut bench = Bench::new(OutboxLimits::default());
    bench.push(Some(1)).unwrap();
    bench
        .push_this(&message_within(Duration::from_secs(25)), Some(2))
        .unwrap();
    bench.push(Some(3)).unwrap();
    bench.now += Duration::from_secs(24);
    assert_eq!(bench.outbox.handle_elapsed(bench.now), Vec::<u32>::new());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![2]);
    bench.outbox.handle_up();
    assert_eq!(bench.ids(), ["-", "-", "sync-1"]);
    assert_eq!(bench.answer(1), Answer::Marker(vec![1, 3]));
}

// IM-05
#[test]
fn patience_is_looked_at_once_more_before_writing() {
    let mut bench = Bench::new(OutboxLimits::default());
    bench
        .push_this(&message_within(Duration::from_secs(25)), Some(1))
        .unwrap();
    bench.now += Duration::from_secs(25);
    bench.push(Some(2)).unwrap();
    bench.outbox.handle_up();
    assert_eq!(
        bench.round_of_ids(),
        (vec!["-".to_owned(), "sync-1".to_owned()], vec![1])
    );
}

#[test]
fn what_is_withdrawn_is_not_written() {
    let mut bench = Bench::up();
    bench.push(Some(WITHDRAWN)).unwrap();
    bench.push(Some(1)).unwrap();
    bench
        .push_this(&message_error("e", ""), Some(WITHDRAWN + 1))
        .unwrap();
    bench.push_error("f");
    assert_eq!(
        bench.round_of_ids(),
        (
            vec!["-".to_owned(), "f".to_owned(), "sync-1".to_owned()],
            vec![WITHDRAWN, WITHDRAWN + 1]
        )
    );
    assert_eq!(bench.answer(1), Answer::Marker(vec![1]));
    bench.push(Some(WITHDRAWN)).unwrap();
    assert_eq!(bench.outbox.handle_elapsed(bench.now), vec![WITHDRAWN]);
    assert!(!bench.outbox.has_round());
}

#[test]
fn full_by_count_written_ones_included() {
    let mut bench = Bench::new(OutboxLimits {
        stanzas: 2,
        ..OutboxLimits::default()
    });
    bench.outbox.handle_up();
    bench.push(Some(1)).unwrap();
    bench.round();
    bench.push(Some(2)).unwrap();
    assert_eq!(bench.push(Some(3)), Err(LinkRefused::Full(Some(3))));
    bench.outbox.handle_answer(&marker(1));
    bench.push(Some(4)).unwrap();
}

#[test]
fn full_by_bytes() {
    let mut bench = Bench::new(OutboxLimits {
        bytes: 100,
        ..OutboxLimits::default()
    });
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.push(Some(2)), Err(LinkRefused::Full(Some(2))));
}

// A server ends the stream, for everybody, of a component that writes a stanza beyond its limit.
#[test]
fn a_stanza_too_large_for_servers_is_refused_and_harms_no_other() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    // As large as that only once it is escaped.
    let large = message(&"&".repeat(256 * 1024 / 5));
    let refused = bench.push_this(&large, Some(2)).unwrap_err();
    assert_eq!(refused, LinkRefused::TooLarge(Some(2)));
    assert_eq!(refused.into_confirmation(), Some(2));
    bench.push(Some(3)).unwrap();
    bench
        .push_this(&message(&"x".repeat(255 * 1024)), Some(4))
        .unwrap();
    assert_eq!(bench.ids(), ["-", "-", "-", "sync-1"]);
    assert_eq!(bench.answer(1), Answer::Marker(vec![1, 3, 4]));
}

#[test]
fn rounds_are_bounded() {
    let mut bench = Bench::up();
    let long = "x".repeat(40_000);
    for _ in 0..3 {
        bench
            .outbox
            .push(&message(&long), None, bench.now, SystemTime::UNIX_EPOCH)
            .unwrap();
    }
    assert_eq!(bench.round().0, 2);
    assert!(bench.outbox.has_round());
    assert_eq!(bench.round().0, 1);
}

#[test]
fn closing_drains() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.outbox.close(), Vec::<u32>::new());
    assert_eq!(bench.push(Some(2)), Err(LinkRefused::Closed(Some(2))));
    assert!(!bench.outbox.is_drained());
    bench.round();
    assert!(!bench.outbox.is_drained());
    bench.outbox.handle_answer(&marker(1));
    assert!(bench.outbox.is_drained());
}

#[test]
fn closing_without_a_connection_loses_what_waits() {
    let mut bench = Bench::new(OutboxLimits::default());
    bench.push(Some(1)).unwrap();
    assert_eq!(bench.outbox.close(), vec![1]);
    assert!(bench.outbox.is_drained());
}

#[test]
fn a_connection_lost_while_draining_loses_all() {
    let mut bench = Bench::up();
    bench.push(Some(1)).unwrap();
    bench.round();
    bench.push(Some(2)).unwrap();
    assert_eq!(bench.outbox.close(), Vec::<u32>::new());
    assert_eq!(bench.outbox.handle_down(), vec![1, 2]);
    assert!(bench.outbox.is_drained());
}

#[test]
fn silence_is_probed_and_a_dead_server_found() {
    let mut bench = Bench::up();
    let heard = bench.now;
    bench.now += Duration::from_secs(29);
    assert_eq!(bench.outbox.handle_tick(bench.now, heard), Health::Fine);
    assert!(!bench.outbox.has_round());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.outbox.handle_tick(bench.now, heard), Health::Fine);
    assert_eq!(bench.round(), (0, vec!["sync-1".to_owned()]));
    bench.now += Duration::from_secs(29);
    assert_eq!(bench.outbox.handle_tick(bench.now, heard), Health::Fine);
    assert!(!bench.outbox.has_round());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.outbox.handle_tick(bench.now, heard), Health::Dead);
    assert_eq!(
        bench.outbox.handle_answer(&marker(1)),
        Answer::Marker(vec![])
    );
    assert_eq!(bench.outbox.handle_tick(bench.now, bench.now), Health::Fine);
    assert!(!bench.outbox.has_round());
}

// DISCO-05
#[test]
fn answers_are_taken_for_questions_only() {
    let mut bench = Bench::up();
    let from = Jid::parse(H).unwrap();
    let to = Jid::parse("rooms.example.com").unwrap();
    let question = OutgoingIq::request(&from, &to, "q1", Request::Get, "<q xmlns='x'/>".into());
    bench
        .outbox
        .push(&question.into(), None, bench.now, SystemTime::UNIX_EPOCH)
        .unwrap();
    let answer = Iq {
        from: to,
        id: Some("q1".into()),
        ..marker(1)
    };
    assert_eq!(bench.outbox.handle_answer(&answer), Answer::Expected);
    assert_eq!(bench.outbox.handle_answer(&answer), Answer::Unasked);
}

// Every confirmation is told once, whatever happens.
#[test]
fn random_schedules() {
    for seed in 0..100 {
        random_schedule(seed);
    }
}

fn random_schedule(seed: u64) {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    let mut rng = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new(OutboxLimits {
        stanzas: 20,
        errors: 5,
        ..OutboxLimits::default()
    });
    let mut told = Vec::new();
    let mut taken = 0;
    for step in 0..200 {
        match rng.random_range(0..10) {
            0..=2 => match bench.push(Some(step)) {
                Ok(()) => taken += 1,
                Err(refused) => assert_eq!(refused, LinkRefused::Full(Some(step))),
            },
            3..=4 => {
                let error = message_error("e", "");
                bench.push_this(&error, Some(step)).unwrap();
                taken += 1;
            }
            5..=6 => told.extend(bench.round_of_ids().1),
            7 => {
                if let Answer::Marker(confirmed) = bench.answer(bench.outbox.number) {
                    told.extend(confirmed);
                }
            }
            8 => match rng.random_bool(0.5) {
                true => bench.outbox.handle_up(),
                false => told.extend(bench.outbox.handle_down()),
            },
            _ => {
                bench.now += Duration::from_secs(rng.random_range(0..1000));
                told.extend(bench.outbox.handle_elapsed(bench.now));
            }
        }
    }
    told.extend(bench.outbox.close());
    told.extend(bench.outbox.handle_down());
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!((told.len(), count), (taken, taken), "seed {seed}");
    assert!(bench.outbox.is_drained(), "seed {seed}");
    assert!(bench.outbox.buffer.is_empty(), "seed {seed}");
}
