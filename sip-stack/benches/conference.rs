//! What the roster of a room with 200 users costs: read, written, followed, compared.
//! `cargo bench -p stox-sip --bench conference`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stox_sip::conference::{
    Applied, Conference, ConferenceInfo, ConferenceState, Description, Endpoint, EndpointStatus,
    Media, User,
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = roster
}
criterion_main!(benches);

const USERS: u32 = 200;

fn roster(c: &mut Criterion) {
    let before = document(1, USERS - 1);
    let after = document(2, USERS);
    let xml = after.to_xml();
    let mut group = c.benchmark_group("200 users");
    group.throughput(Throughput::Bytes(xml.len() as u64));
    group.bench_function("floor: the XML reader alone", |b| {
        let text = std::str::from_utf8(&xml).unwrap();
        b.iter(|| roxmltree::Document::parse(black_box(text)).unwrap())
    });
    group.bench_function("read", |b| {
        b.iter(|| ConferenceInfo::parse(black_box(&xml)).unwrap())
    });
    group.bench_function("write", |b| b.iter(|| black_box(&after).to_xml()));
    group.finish();

    let mut group = c.benchmark_group("one more than 199 users");
    let change = after.changes_since(&before).unwrap();
    group.bench_function("found", |b| {
        b.iter(|| black_box(&after).changes_since(black_box(&before)))
    });
    group.bench_function("written", |b| b.iter(|| black_box(&change).to_xml()));
    let xml = change.to_xml();
    group.bench_function("read and followed", |b| {
        let mut copy = Conference::new("sip:capulet@rooms.example.com");
        assert_eq!(copy.apply(before.clone()), Applied::Updated);
        b.iter_batched(
            || copy.clone(),
            |mut copy| {
                let change = ConferenceInfo::parse(black_box(&xml)).unwrap();
                assert_eq!(copy.apply(change), Applied::Updated);
                copy
            },
            BatchSize::SmallInput,
        )
    });
}

/// What a focus tells of its room.
fn document(version: u32, users: u32) -> ConferenceInfo {
    ConferenceInfo {
        entity: "sip:capulet@rooms.example.com".into(),
        version: Some(version),
        description: Some(Description {
            subject: Some("Today in Verona".into()),
            ..Description::default()
        }),
        conference_state: Some(ConferenceState {
            user_count: Some(users),
            ..ConferenceState::default()
        }),
        users: (0..users).map(user).collect(),
        ..ConferenceInfo::default()
    }
}

fn user(number: u32) -> User {
    let entity = format!("sip:capulet@rooms.example.com;gr=guest{number}");
    let name = Some(format!("guest{number}"));
    User {
        display_text: name.clone(),
        nickname: name,
        roles: vec!["participant".into()],
        endpoints: vec![Endpoint {
            entity: entity.clone(),
            status: Some(EndpointStatus::Connected),
            media: vec![Media {
                id: "1".into(),
                kind: Some("message".into()),
                status: None,
            }],
            ..Endpoint::default()
        }],
        ..User::new(entity)
    }
}
