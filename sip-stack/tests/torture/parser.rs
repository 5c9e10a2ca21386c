//! What the parser makes of each message.

use std::collections::BTreeSet;
use std::fs;

use stox_sip::{Message, ParseError};

use super::{Outcome, Reaction, cases, folder, read};

/// SIP-02
#[test]
fn every_message_has_its_outcome() {
    for case in cases() {
        let file = case.file;
        let result = Message::parse_datagram(read(file));
        match (case.outcome, result) {
            (Outcome::Request(check), Ok(Message::Request(request))) => check(&request),
            (Outcome::Reads(check), Ok(Message::Response(response))) => check(&response),
            (Outcome::Refused(fault), Err(error)) => {
                assert_eq!(error.fault(), &fault, "{file}");
                let status = error.response().map(|response| response.status);
                let Reaction::Refuses(expected) = case.reaction else {
                    panic!("{file}: the table has no status")
                };
                assert_eq!(status, Some(expected), "{file}");
            }
            (Outcome::Dropped(fault), Err(error)) => {
                assert_eq!(error.fault(), &fault, "{file}");
                assert_eq!(error.response(), None, "{file}");
            }
            (_, result) => panic!("{file}: {result:?}"),
        }
    }
}

/// What is read is the same again when written and read.
#[test]
fn every_message_survives_writing() {
    for case in cases() {
        let file = case.file;
        if let Ok(message) = Message::parse_datagram(read(file)) {
            assert_eq!(
                Message::parse_datagram(message.to_bytes()),
                Ok(message),
                "{file}"
            );
        }
    }
}

#[test]
fn no_message_of_the_archives_is_left_out() {
    let in_table: BTreeSet<_> = cases()
        .iter()
        .map(|case| format!("{}.dat", case.file))
        .collect();
    let in_folder: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".dat"))
        .collect();
    assert_eq!(in_table, in_folder);
    assert_eq!(
        (super::rfc4475::cases().len(), super::rfc5118::cases().len()),
        (50, 12)
    );
}

/// Whatever piece of a message is received, nothing breaks, and the error still names the fault.
#[test]
fn no_piece_of_a_message_breaks_the_parser() {
    for case in cases() {
        let whole = read(case.file);
        for end in 0..whole.len() {
            let _: Result<Message, ParseError> = Message::parse_datagram(whole.slice(..end));
            let _: Result<Message, ParseError> = Message::parse_datagram(whole.slice(end..));
        }
    }
}
