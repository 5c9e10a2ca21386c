//! Plays every file of `tests/transcripts` and its folder `rooms` against the cores, in virtual time. The files' own README tells
//! how they are written; the acceptance tests play the same ones between real servers.

mod play;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_transcript_plays() {
    let failures: Vec<String> = ["../tests/transcripts", "../tests/transcripts/rooms"]
        .into_iter()
        .flat_map(files_in)
        .filter_map(|path| {
            let text = fs::read_to_string(&path).expect("a readable transcript");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            play::play(&text)
                .err()
                .map(|failure| format!("{name}: {failure}"))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of transcripts")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no transcripts in {}", folder.display());
    files
}

#[test]
fn a_wrong_transcript_fails() {
    let wrong =
        "# CHAT-01\njuliet → stox  message: one\nstox → romeo  MESSAGE: one\nnothing else\n";
    let failure = play::play(wrong).expect_err("the gateway sends INVITE, not MESSAGE");
    assert!(failure.contains("line 3"), "{failure}");

    let short = "# CHAT-01\njuliet → stox  message: one\nnothing else\n";
    assert!(play::play(short).is_err(), "an INVITE is left");
}
