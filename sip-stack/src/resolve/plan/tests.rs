use std::collections::HashMap;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const BOTH: &[Transport] = &[Transport::Udp, Transport::Tcp];

fn srv(priority: u16, weight: u16, host: &str, port: u16) -> Srv {
    Srv {
        priority,
        weight,
        port,
        host: host.to_owned(),
    }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    Naptr {
        order,
        preference,
        flags: "S".to_owned(),
        service: service.to_owned(),
        replacement: replacement.to_owned(),
    }
}

fn addresses(text: &str) -> Answer {
    Answer::Addresses(
        text.split(' ')
            .map(|address| address.parse().unwrap())
            .collect(),
    )
}

/// Everything the plan does against this zone, in order, and how it ends.
fn run(uri: &str, zone: &[(&str, Answer)]) -> (Vec<String>, Exhausted) {
    let zone: HashMap<&str, &Answer> = zone.iter().map(|(name, answer)| (*name, answer)).collect();
    let mut random = StdRng::seed_from_u64(7);
    let mut plan = Plan::new(&uri.parse().unwrap(), BOTH);
    let mut steps = Vec::new();
    loop {
        match plan.poll_step() {
            Step::Ask(question) => {
                let name = match question {
                    Question::Naptr(name) => format!("NAPTR {name}"),
                    Question::Srv(name) => format!("SRV {name}"),
                    Question::Addresses(name) => format!("A {name}"),
                };
                let answer = zone
                    .get(name.as_str())
                    .map_or(Answer::NoRecords, |answer| (*answer).clone());
                plan.handle_answer(answer, &mut random);
                steps.push(name);
            }
            Step::Try(target) => steps.push(format!("{} {}", target.transport, target.address)),
            Step::Exhausted(why) => return (steps, why),
        }
    }
}

#[test]
fn literal_addresses_and_explicit_ports_ask_little() {
    for (uri, expected) in [
        ("sip:romeo@192.0.2.1", vec!["UDP 192.0.2.1:5060"]),
        (
            "sip:romeo@192.0.2.1:5070;transport=tcp",
            vec!["TCP 192.0.2.1:5070"],
        ),
        ("sip:romeo@[2001:db8::1]", vec!["UDP [2001:db8::1]:5060"]),
        (
            "sip:romeo@example.net:5070",
            vec!["A example.net", "UDP 192.0.2.7:5070", "UDP 192.0.2.8:5070"],
        ),
        (
            "sip:romeo@example.org;maddr=192.0.2.9",
            vec!["UDP 192.0.2.9:5060"],
        ),
        ("sips:romeo@192.0.2.1", vec![]),
        ("sip:romeo@192.0.2.1;transport=sctp", vec![]),
        ("tel:+15551234", vec![]),
    ] {
        let (steps, _) = run(uri, &[("A example.net", addresses("192.0.2.7 192.0.2.8"))]);
        assert_eq!(steps, expected, "{uri}");
    }
}

/// RFC 3263 §4.1: NAPTR by order and preference, services we do not speak left out, whatever their case.
#[test]
fn naptr_chooses_the_transport() {
    let zone = [
        (
            "NAPTR example.net",
            Answer::Naptr(vec![
                naptr(90, 1, "sip+d2u", "_sip._udp.example.net"),
                naptr(50, 9, "SIPS+D2T", "_sips._tcp.example.net"),
                naptr(50, 10, "Sip+D2T", "_sip._tcp.example.net"),
            ]),
        ),
        (
            "SRV _sip._tcp.example.net",
            Answer::Srv(vec![srv(1, 0, "a.example.net", 5080)]),
        ),
        (
            "SRV _sip._udp.example.net",
            Answer::Srv(vec![srv(1, 0, "b.example.net", 5090)]),
        ),
        ("A a.example.net", addresses("192.0.2.1")),
        ("A b.example.net", addresses("192.0.2.2")),
    ];
    let (steps, why) = run("sip:romeo@Example.NET.", &zone);
    assert_eq!(
        steps,
        [
            "NAPTR example.net",
            "SRV _sip._tcp.example.net",
            "A a.example.net",
            "TCP 192.0.2.1:5080",
            "SRV _sip._udp.example.net",
            "A b.example.net",
            "UDP 192.0.2.2:5090",
        ]
    );
    assert_eq!(why, Exhausted::AllTried);
}

/// RFC 3263 §4.1, §4.2: without NAPTR the SRV names are guessed, without SRV the host itself is taken.
#[test]
fn missing_records_fall_through() {
    let (steps, why) = run(
        "sip:romeo@example.net",
        &[("A example.net", addresses("192.0.2.7"))],
    );
    assert_eq!(
        steps,
        [
            "NAPTR example.net",
            "SRV _sip._udp.example.net",
            "SRV _sip._tcp.example.net",
            "A example.net",
            "UDP 192.0.2.7:5060",
        ]
    );
    assert_eq!(why, Exhausted::AllTried);
    let (steps, why) = run("sip:romeo@example.net;transport=tcp", &[]);
    assert_eq!(steps, ["SRV _sip._tcp.example.net", "A example.net"]);
    assert_eq!(why, Exhausted::NoTarget);
}

/// Only "no records" falls through; a server that fails must not lead past the services of a domain.
#[test]
fn failures_do_not_fall_through_to_the_host() {
    let zone = [
        ("NAPTR example.net", Answer::Failed),
        ("SRV _sip._udp.example.net", Answer::Failed),
        ("A example.net", addresses("192.0.2.7")),
    ];
    let (steps, why) = run("sip:romeo@example.net", &zone);
    assert_eq!(
        steps,
        [
            "NAPTR example.net",
            "SRV _sip._udp.example.net",
            "SRV _sip._tcp.example.net"
        ]
    );
    assert_eq!(why, Exhausted::NoAnswer);
}

/// RFC 2782: a single record with the target "." means that the service is not offered.
#[test]
fn services_that_are_not_offered_end_the_search() {
    let zone = [
        (
            "SRV _sip._udp.example.net",
            Answer::Srv(vec![srv(0, 0, "", 0)]),
        ),
        ("A example.net", addresses("192.0.2.7")),
    ];
    let (steps, why) = run("sip:romeo@example.net;transport=udp", &zone);
    assert_eq!(steps, ["SRV _sip._udp.example.net"]);
    assert_eq!(why, Exhausted::NoTarget);
}

/// RFC 3861 §3.2: `im:` has services of its own, and is a SIP address where there are none.
#[test]
fn instant_inboxes_have_their_own_services() {
    let zone = [
        (
            "SRV _im._sip.example.net",
            Answer::Srv(vec![srv(0, 0, "im.example.net", 5062)]),
        ),
        ("A im.example.net", addresses("192.0.2.3")),
    ];
    let (steps, _) = run("im:romeo@example.net", &zone);
    assert_eq!(
        steps,
        [
            "SRV _im._sip.example.net",
            "A im.example.net",
            "UDP 192.0.2.3:5062"
        ]
    );
    let (steps, _) = run("pres:romeo@example.net", &[]);
    assert_eq!(
        steps.first().map(String::as_str),
        Some("SRV _pres._sip.example.net")
    );
    assert_eq!(steps.last().map(String::as_str), Some("A example.net"));
}

/// RFC 2782: priorities in order, weights as shares; every record comes once.
#[test]
fn weights_are_shares() {
    let mut random = StdRng::seed_from_u64(1);
    let mut first = HashMap::new();
    for _ in 0..1_000 {
        let records = vec![
            srv(2, 9, "late", 1),
            srv(1, 10, "rare", 1),
            srv(1, 30, "often", 1),
            srv(1, 0, "zero", 1),
        ];
        let ordered = in_order(records, &mut random);
        assert_eq!(ordered.len(), 4);
        assert_eq!(ordered.last().unwrap().host, "late");
        *first.entry(ordered[0].host.clone()).or_insert(0) += 1;
    }
    assert!((650..800).contains(&first["often"]), "{first:?}");
    assert!((180..320).contains(&first["rare"]), "{first:?}");
    assert!(first.get("zero").copied().unwrap_or(0) < 60, "{first:?}");
}

#[test]
fn a_zone_without_end_is_cut() {
    let many = (0..100)
        .map(|n| srv(n, 0, &format!("h{n}.example.net"), 5060))
        .collect();
    let (steps, _) = run(
        "sip:example.net;transport=udp",
        &[("SRV _sip._udp.example.net", Answer::Srv(many))],
    );
    assert_eq!(steps.len(), 9);
}
